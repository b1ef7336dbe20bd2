// support_desk_books.c - the desk's database: one connection in memory, statements prepared once.
#include <string.h>

#include "worlds/support_desk_parts.h"

// Nothing is ever written to a file: no journal to recover from, small pages for small images.
static const char schema[] =
    "pragma page_size = 1024; pragma journal_mode = memory; pragma synchronous = off;"
    "pragma locking_mode = exclusive;"
    "create table customers(id integer primary key, name text not null, email text,"
    "  address text not null);"
    "create table orders(id integer primary key, customer_id integer not null, product text not null,"
    "  price integer not null, bought integer not null, stock integer not null,"
    "  status text not null, address text not null, replaces integer);"
    "create table charges(id integer primary key, order_id integer not null,"
    "  cents integer not null);"
    "create table refunds(id integer primary key, order_id integer not null,"
    "  cents integer not null);"
    "create table tickets(id integer primary key, customer_id integer not null,"
    "  order_id integer not null, words text not null, address text, status text not null)";

static const char *const statements[DESK_STATEMENTS] = {
    [DESK_SQL_ORDER] =
        "select o.id, o.price, o.bought, o.stock,"
        " (select count(*) from orders where replaces = o.id), o.product, o.status, c.name, c.email,"
        " o.address from orders o join customers c on c.id = o.customer_id where o.id = ?1",
    [DESK_SQL_PAYMENTS] =
        "select id, (select count(*) from charges where order_id = ?1),"
        " (select coalesce(sum(cents), 0) from charges where order_id = ?1),"
        " (select count(*) from refunds where order_id = ?1),"
        " (select coalesce(sum(cents), 0) from refunds where order_id = ?1)"
        " from orders where id = ?1",
    [DESK_SQL_TICKET]  = "select status = 'open' from tickets where id = ?1",
    [DESK_SQL_REFUND]  = "insert into refunds(order_id, cents) values(?1, ?2)",
    // Sent to where the ticket about this order asks for, or else to where it was sent before.
    [DESK_SQL_REPLACE] =
        "insert into orders(customer_id, product, price, bought, stock, status, address, replaces)"
        " select customer_id, product, 0, 1, stock,"
        "  case when stock > 0 then 'packed' else 'waiting' end,"
        "  coalesce((select t.address from tickets t where t.order_id = ?1"
        "   and t.address is not null), address), id from orders where id = ?1",
    [DESK_SQL_READDRESS] = "update orders set address = ?2 where id = ?1",
    [DESK_SQL_RESOLVE]   = "update tickets set status = 'closed' where id = ?1",
    // ?1 order, ?2 ticket, ?3 where it has to go, ?4 its address at the start.
    [DESK_SQL_VERIFY] =
        "select (select count(*) from refunds where order_id = ?1),"
        " (select coalesce(sum(cents), 0) from refunds where order_id = ?1),"
        " (select count(*) from orders where replaces = ?1),"
        " (select count(*) from orders r join orders o on o.id = ?1"
        "   where r.replaces = ?1 and r.address = ?3 and r.product = o.product),"
        " (select address = ?3 from orders where id = ?1),"
        " (select address in (?3, ?4) from orders where id = ?1),"
        " (select status = 'closed' from tickets where id = ?2),"
        " (select count(*) from refunds where order_id <> ?1)"
        "  + (select count(*) from orders where replaces <> ?1)"
        "  + (select count(*) from tickets where id <> ?2 and status <> 'open')"
        "  + (select count(*) from orders o join customers c on c.id = o.customer_id"
        "     where o.id <> ?1 and replaces is null and o.address <> c.address)",
    [DESK_SQL_BEGIN]            = "begin",
    [DESK_SQL_COMMIT]           = "commit",
    [DESK_SQL_ROLLBACK]         = "rollback",
    [DESK_SQL_DROP_CUSTOMERS]   = "delete from customers",
    [DESK_SQL_DROP_CHARGES]     = "delete from charges",
    [DESK_SQL_DROP_TICKETS]     = "delete from tickets",
    [DESK_SQL_DROP_ORDERS]      = "delete from orders where id < ?1",
    [DESK_SQL_DROP_REFUNDS]     = "delete from refunds where id < ?1",
    [DESK_SQL_ALL_ORDERS_GONE]  = "delete from orders",
    [DESK_SQL_ALL_REFUNDS_GONE] = "delete from refunds",
    [DESK_SQL_NEW_CUSTOMER]     = "insert into customers values(?1, ?2, ?3, ?4)",
    [DESK_SQL_NEW_ORDER] = "insert into orders values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, null)",
    [DESK_SQL_NEW_CHARGE] = "insert into charges(order_id, cents) values(?1, ?2)",
    [DESK_SQL_NEW_TICKET] = "insert into tickets values(?1, ?2, ?3, ?4, ?5, 'open')",
    [DESK_SQL_LAST_ORDER]  = "select coalesce(max(id), 0) + 1 from orders",
    [DESK_SQL_LAST_REFUND] = "select coalesce(max(id), 0) + 1 from refunds",
    // The witness reads rows and counts for itself.
    [DESK_SQL_ROW_ORDER]    = "select * from orders where id = ?1",
    [DESK_SQL_ROW_CUSTOMER] = "select * from customers where id = ?1",
    [DESK_SQL_ROWS_RESENT]  = "select replaces from orders where replaces = ?1",
    [DESK_SQL_ROWS_CHARGE]  = "select cents from charges where order_id = ?1",
    [DESK_SQL_ROWS_REFUND]  = "select cents from refunds where order_id = ?1",
    [DESK_SQL_ROW_TICKET]   = "select * from tickets where id = ?1",
    [DESK_SQL_SCAN_CUSTOMERS] = "select * from customers order by id",
    [DESK_SQL_SCAN_ORDERS]    = "select * from orders order by id",
    [DESK_SQL_SCAN_CHARGES]   = "select * from charges order by id",
    [DESK_SQL_SCAN_REFUNDS]   = "select * from refunds order by id",
    [DESK_SQL_SCAN_TICKETS]   = "select * from tickets order by id",
};

mg_err desk_books_fail(const desk_books *b, const char *what) {
    return mg_fail(MG_IO, "support-desk: %s: %s", what, sqlite3_errmsg(b->db));
}

mg_err desk_books_open(desk_books *b) {
    *b = (desk_books){.prepared = calloc(DESK_STATEMENTS, sizeof(sqlite3_stmt *))};
    mg_err err = MG_OK;
    if (!b->prepared) return mg_fail(MG_NOMEM, "support-desk: %d statements", DESK_STATEMENTS);
    // One environment, one thread: SQLite's own mutexes would only cost.
    if (sqlite3_open_v2(":memory:", &b->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        err = desk_books_fail(b, "open");
    if (!err && sqlite3_exec(b->db, schema, NULL, NULL, NULL) != SQLITE_OK)
        err = desk_books_fail(b, "schema");
    for (int i = 0; !err && i < DESK_STATEMENTS; i++)
        if (sqlite3_prepare_v3(b->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &b->prepared[i],
                               NULL) != SQLITE_OK)
            err = desk_books_fail(b, statements[i]);
    if (err) desk_books_close(b);
    return err;
}

void desk_books_close(desk_books *b) {
    for (int i = 0; b->prepared && i < DESK_STATEMENTS; i++) sqlite3_finalize(b->prepared[i]);
    free(b->prepared);
    sqlite3_close(b->db);
    *b = (desk_books){0};
}

int desk_books_changes(const desk_books *b) { return sqlite3_total_changes(b->db); }

// ---- statements

sqlite3_stmt *desk_books_bind(desk_books *b, desk_statement s, int64_t first) {
    sqlite3_bind_int64(b->prepared[s], 1, first); // a statement without a ?1 says no, and that is all
    return b->prepared[s];
}

mg_err desk_books_done(desk_books *b, sqlite3_stmt *s, int code) {
    mg_err err = code == SQLITE_ROW || code == SQLITE_DONE ? MG_OK : desk_books_fail(b, sqlite3_sql(s));
    sqlite3_reset(s);
    return err;
}

static mg_err run(desk_books *b, sqlite3_stmt *s) { return desk_books_done(b, s, sqlite3_step(s)); }

static void text(sqlite3_stmt *s, int at, const char *value) { // NULL for ""
    if (value[0])
        sqlite3_bind_text(s, at, value, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, at);
}

static mg_err number(desk_books *b, desk_statement which, int64_t *out) {
    sqlite3_stmt *s    = b->prepared[which];
    const int     code = sqlite3_step(s);
    if (code == SQLITE_ROW) *out = sqlite3_column_int64(s, 0);
    return desk_books_done(b, s, code);
}

// ---- a new episode

static mg_err drop(desk_books *b, bool keep_new) {
    static const desk_statement all[] = {DESK_SQL_DROP_CUSTOMERS, DESK_SQL_DROP_CHARGES,
                                         DESK_SQL_DROP_TICKETS};
    mg_err err = MG_OK;
    for (int i = 0; !err && i < 3; i++) err = run(b, b->prepared[all[i]]);
    // Deleting without a condition is a truncation, and much faster.
    if (!err)
        err = run(b, keep_new ? desk_books_bind(b, DESK_SQL_DROP_ORDERS, b->first_new_order)
                              : b->prepared[DESK_SQL_ALL_ORDERS_GONE]);
    if (!err)
        err = run(b, keep_new ? desk_books_bind(b, DESK_SQL_DROP_REFUNDS, b->first_new_refund)
                              : b->prepared[DESK_SQL_ALL_REFUNDS_GONE]);
    return err;
}

static mg_err fill_order(desk_books *b, const desk_task *t, int i) {
    const desk_order *o = &t->orders[i];
    sqlite3_stmt     *s = desk_books_bind(b, DESK_SQL_NEW_ORDER, i + 1);
    sqlite3_bind_int(s, 2, o->customer + 1);
    text(s, 3, o->product);
    sqlite3_bind_int(s, 4, o->price);
    sqlite3_bind_int(s, 5, o->bought);
    sqlite3_bind_int(s, 6, o->stock);
    text(s, 7, o->status);
    text(s, 8, t->customers[o->customer].address);
    mg_err err = run(b, s);
    for (int k = 0; !err && k < o->charges; k++) {
        s = desk_books_bind(b, DESK_SQL_NEW_CHARGE, i + 1);
        sqlite3_bind_int(s, 2, o->price);
        err = run(b, s);
    }
    return err;
}

static mg_err fill_ticket(desk_books *b, const desk_task *t, int i) {
    const int32_t order = i == t->ticket ? t->order : t->bystander;
    sqlite3_stmt *s     = desk_books_bind(b, DESK_SQL_NEW_TICKET, i + 1);
    sqlite3_bind_int(s, 2, t->orders[order].customer + 1);
    sqlite3_bind_int(s, 3, order + 1);
    text(s, 4, i == t->ticket ? t->words : "thanks , all is well");
    text(s, 5, i == t->ticket ? t->wanted : "");
    return run(b, s);
}

static mg_err fill(desk_books *b, const desk_task *t) {
    mg_err err = MG_OK;
    for (int i = 0; !err && i < DESK_CUSTOMERS; i++) {
        sqlite3_stmt *s = desk_books_bind(b, DESK_SQL_NEW_CUSTOMER, i + 1);
        text(s, 2, t->customers[i].name);
        text(s, 3, t->customers[i].email);
        text(s, 4, t->customers[i].address);
        err = run(b, s);
    }
    for (int i = 0; !err && i < DESK_ORDERS; i++) err = fill_order(b, t, i);
    for (int i = 0; !err && i < DESK_TICKETS; i++) err = fill_ticket(b, t, i);
    if (!err) err = desk_books_refund(b, t->refunded + 1, t->orders[t->refunded].price);
    if (!err) err = number(b, DESK_SQL_LAST_ORDER, &b->first_new_order);
    if (!err) err = number(b, DESK_SQL_LAST_REFUND, &b->first_new_refund);
    return err;
}

mg_err desk_books_fill(desk_books *b, const desk_task *t, bool keep_new) {
    mg_err err = run(b, b->prepared[DESK_SQL_BEGIN]);
    if (err) return err;
    err = drop(b, keep_new);
    if (!err) err = fill(b, t);
    if (!err) return run(b, b->prepared[DESK_SQL_COMMIT]);
    sqlite3_step(b->prepared[DESK_SQL_ROLLBACK]); // the first sentence stays
    sqlite3_reset(b->prepared[DESK_SQL_ROLLBACK]);
    return err;
}

// ---- snapshots

mg_err desk_books_image(const desk_books *b, unsigned char **image, sqlite3_int64 *size) {
    unsigned char *bytes = sqlite3_serialize(b->db, "main", size, 0);
    if (!bytes) return mg_fail(MG_NOMEM, "support-desk: an image of the database");
    *image = bytes;
    return MG_OK;
}

mg_err desk_books_restore(desk_books *b, const void *image, size_t size) {
    unsigned char *bytes = sqlite3_malloc64(size); // SQLite's own from here on
    if (!bytes) return mg_fail(MG_NOMEM, "support-desk: an image of %zu bytes", size);
    memcpy(bytes, image, size);
    if (sqlite3_deserialize(b->db, "main", bytes, (sqlite3_int64)size, (sqlite3_int64)size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) !=
        SQLITE_OK)
        return desk_books_fail(b, "restore");
    return MG_OK;
}

// ---- what calls read and change

static void column(sqlite3_stmt *s, int at, char *out, size_t size) { // out is zeroed
    const char *value = (const char *)sqlite3_column_text(s, at);
    if (value) snprintf(out, size, "%s", value);
}

mg_err desk_books_order(desk_books *b, int64_t order, desk_order_view *out, bool *found) {
    sqlite3_stmt *s    = desk_books_bind(b, DESK_SQL_ORDER, order);
    const int     code = sqlite3_step(s);
    *found             = code == SQLITE_ROW;
    if (*found) {
        memset(out, 0, sizeof *out);
        out->id     = sqlite3_column_int64(s, 0);
        out->price  = sqlite3_column_int64(s, 1);
        out->bought = sqlite3_column_int64(s, 2);
        out->stock  = sqlite3_column_int64(s, 3);
        out->resent = sqlite3_column_int64(s, 4);
        column(s, 5, out->product, sizeof out->product);
        column(s, 6, out->status, sizeof out->status);
        column(s, 7, out->customer, sizeof out->customer);
        column(s, 8, out->email, sizeof out->email);
        column(s, 9, out->address, sizeof out->address);
    }
    return desk_books_done(b, s, code);
}

mg_err desk_books_payments(desk_books *b, int64_t order, desk_payments_view *out, bool *found) {
    sqlite3_stmt *s    = desk_books_bind(b, DESK_SQL_PAYMENTS, order);
    const int     code = sqlite3_step(s);
    *found             = code == SQLITE_ROW;
    if (*found)
        *out = (desk_payments_view){.id       = sqlite3_column_int64(s, 0),
                                    .charges  = sqlite3_column_int64(s, 1),
                                    .charged  = sqlite3_column_int64(s, 2),
                                    .refunds  = sqlite3_column_int64(s, 3),
                                    .refunded = sqlite3_column_int64(s, 4)};
    return desk_books_done(b, s, code);
}

mg_err desk_books_ticket(desk_books *b, int64_t ticket, bool *open, bool *found) {
    sqlite3_stmt *s    = desk_books_bind(b, DESK_SQL_TICKET, ticket);
    const int     code = sqlite3_step(s);
    *found             = code == SQLITE_ROW;
    if (*found) *open = sqlite3_column_int(s, 0);
    return desk_books_done(b, s, code);
}

mg_err desk_books_refund(desk_books *b, int64_t order, int64_t cents) {
    sqlite3_stmt *s = desk_books_bind(b, DESK_SQL_REFUND, order);
    sqlite3_bind_int64(s, 2, cents);
    return run(b, s);
}

mg_err desk_books_replace(desk_books *b, int64_t order) {
    return run(b, desk_books_bind(b, DESK_SQL_REPLACE, order));
}

mg_err desk_books_readdress(desk_books *b, int64_t order, const char *address) {
    sqlite3_stmt *s = desk_books_bind(b, DESK_SQL_READDRESS, order);
    text(s, 2, address);
    return run(b, s);
}

mg_err desk_books_resolve(desk_books *b, int64_t ticket) {
    return run(b, desk_books_bind(b, DESK_SQL_RESOLVE, ticket));
}

mg_err desk_books_verify(desk_books *b, const desk_task *t, desk_conditions *out) {
    sqlite3_stmt *s = desk_books_bind(b, DESK_SQL_VERIFY, t->order + 1);
    sqlite3_bind_int(s, 2, t->ticket + 1);
    text(s, 3, desk_task_target(t));
    text(s, 4, desk_task_address(t));
    const int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const int refunds = sqlite3_column_int(s, 0), refunded = sqlite3_column_int(s, 1);
        const int resent = sqlite3_column_int(s, 2), resent_right = sqlite3_column_int(s, 3);
        const bool fixed[DESK_FIXES] = {
            [DESK_REFUND]  = refunds == 1 && refunded == t->orders[t->order].price,
            [DESK_REPLACE] = resent == 1 && resent_right == 1,
            [DESK_ADDRESS] = sqlite3_column_int(s, 4)};
        // The refund of long ago is the one thing of others that is there from the start.
        *out = (desk_conditions){.fixed  = fixed[t->fix],
                                 .closed = sqlite3_column_int(s, 6),
                                 .clean  = (t->fix == DESK_REFUND || refunds == 0) &&
                                          (t->fix == DESK_REPLACE || resent == 0) &&
                                          sqlite3_column_int(s, 5) && sqlite3_column_int(s, 7) == 1};
    }
    return desk_books_done(b, s, code);
}
