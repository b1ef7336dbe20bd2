// support_desk_witness.c - what the state holds, read row by row, apart from what calls and rewards
// read: base tables instead of aggregates, compared with the task as it was made.
#include <string.h>

#include "worlds/support_desk_parts.h"

uint64_t desk_hash(const void *bytes, size_t size) { // Fowler, Noll & Vo, 64 bits, 1a
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return h ? h : 1;
}

static void column(sqlite3_stmt *s, int at, char *out, size_t size) { // out is zeroed
    const char *value = (const char *)sqlite3_column_text(s, at);
    if (value) snprintf(out, size, "%s", value);
}

// How many rows, and the sum of their first column.
static mg_err add_up(desk_books *b, desk_statement which, int64_t id, int64_t *n, int64_t *sum) {
    sqlite3_stmt *s = desk_books_bind(b, which, id);
    int           code;
    *n = *sum = 0;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        *n += 1;
        *sum += sqlite3_column_int64(s, 0);
    }
    return desk_books_done(b, s, code);
}

mg_err desk_witness_order(desk_books *b, int64_t order, uint64_t *digest) {
    desk_order_view v        = {0};
    int64_t         customer = 0, sum;
    memset(&v, 0, sizeof v); // the padding too
    sqlite3_stmt *s    = desk_books_bind(b, DESK_SQL_ROW_ORDER, order);
    int           code = sqlite3_step(s);
    const bool    row  = code == SQLITE_ROW;
    if (row) {
        v.id     = sqlite3_column_int64(s, 0);
        customer = sqlite3_column_int64(s, 1);
        column(s, 2, v.product, sizeof v.product);
        v.price  = sqlite3_column_int64(s, 3);
        v.bought = sqlite3_column_int64(s, 4);
        v.stock  = sqlite3_column_int64(s, 5);
        column(s, 6, v.status, sizeof v.status);
        column(s, 7, v.address, sizeof v.address);
    }
    mg_err err = desk_books_done(b, s, code);
    if (!err) err = add_up(b, DESK_SQL_ROWS_RESENT, order, &v.resent, &sum);
    if (err) return err;
    s    = desk_books_bind(b, DESK_SQL_ROW_CUSTOMER, customer);
    code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        column(s, 1, v.customer, sizeof v.customer);
        column(s, 2, v.email, sizeof v.email);
    }
    err = desk_books_done(b, s, code);
    if (!err) *digest = row ? desk_hash(&v, sizeof v) : 0;
    return err;
}

mg_err desk_witness_payments(desk_books *b, int64_t order, uint64_t *digest) {
    desk_payments_view v    = {.id = order};
    sqlite3_stmt      *s    = desk_books_bind(b, DESK_SQL_ROW_ORDER, order);
    const int          code = sqlite3_step(s);
    mg_err             err  = desk_books_done(b, s, code);
    if (!err) err = add_up(b, DESK_SQL_ROWS_CHARGE, order, &v.charges, &v.charged);
    if (!err) err = add_up(b, DESK_SQL_ROWS_REFUND, order, &v.refunds, &v.refunded);
    if (!err) *digest = code == SQLITE_ROW ? desk_hash(&v, sizeof v) : 0;
    return err;
}

mg_err desk_witness_ticket(desk_books *b, int64_t ticket, uint64_t *digest) {
    sqlite3_stmt *s    = desk_books_bind(b, DESK_SQL_ROW_TICKET, ticket);
    const int     code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const char *status = (const char *)sqlite3_column_text(s, 5);
        *digest            = desk_hash(status, strlen(status));
    } else {
        *digest = 0;
    }
    return desk_books_done(b, s, code);
}

// ---- conditions

static bool same(sqlite3_stmt *s, int at, const char *wanted) {
    const char *found = (const char *)sqlite3_column_text(s, at);
    return found ? strcmp(found, wanted) == 0 : wanted[0] == 0;
}

// What was found of the ticket's own order.
typedef struct tally {
    int  refunds, right_refunds, resent, right_resent, history;
    bool address_right, clean;
} tally;

static void see_customer(const desk_task *t, sqlite3_stmt *s, tally *n) {
    const int64_t i = sqlite3_column_int64(s, 0) - 1;
    const bool    ok = i >= 0 && i < DESK_CUSTOMERS && same(s, 1, t->customers[i].name) &&
                    same(s, 2, t->customers[i].email) && same(s, 3, t->customers[i].address);
    if (!ok) n->clean = false;
}

static void see_order(const desk_task *t, sqlite3_stmt *s, tally *n) {
    const int64_t i   = sqlite3_column_int64(s, 0) - 1;
    const bool    own = i == t->order;
    if (i >= DESK_ORDERS) { // a replacement
        if (sqlite3_column_int64(s, 8) != t->order + 1) {
            n->clean = false;
            return;
        }
        n->resent++;
        if (same(s, 2, t->orders[t->order].product) && same(s, 7, desk_task_target(t)))
            n->right_resent++;
        return;
    }
    const desk_order *o  = &t->orders[i];
    const bool moved = !same(s, 7, t->customers[o->customer].address);
    if (sqlite3_column_int64(s, 1) != o->customer + 1 || !same(s, 2, o->product) ||
        sqlite3_column_int64(s, 3) != o->price || sqlite3_column_int64(s, 4) != o->bought ||
        sqlite3_column_int64(s, 5) != o->stock || !same(s, 6, o->status) ||
        (moved && !(own && same(s, 7, desk_task_target(t)))))
        n->clean = false;
    if (own) n->address_right = same(s, 7, desk_task_target(t));
}

static void see_charge(const desk_task *t, sqlite3_stmt *s, tally *n) {
    const int64_t i = sqlite3_column_int64(s, 1) - 1;
    if (i < 0 || i >= DESK_ORDERS || sqlite3_column_int64(s, 2) != t->orders[i].price)
        n->clean = false;
}

static void see_refund(const desk_task *t, sqlite3_stmt *s, tally *n) {
    const int64_t i = sqlite3_column_int64(s, 1) - 1, cents = sqlite3_column_int64(s, 2);
    if (i == t->order) {
        n->refunds++;
        if (cents == t->orders[i].price) n->right_refunds++;
    } else if (i == t->refunded && cents == t->orders[i].price && n->history == 0) {
        n->history = 1; // that of long ago
    } else {
        n->clean = false;
    }
}

static mg_err see_all(desk_books *b, desk_statement which, const desk_task *t, tally *n,
                      void (*see)(const desk_task *, sqlite3_stmt *, tally *), int *rows) {
    sqlite3_stmt *s = b->prepared[which];
    int           code;
    *rows = 0;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        see(t, s, n);
        *rows += 1;
    }
    return desk_books_done(b, s, code);
}

static mg_err see_tickets(desk_books *b, const desk_task *t, tally *n, bool *closed) {
    sqlite3_stmt *s = b->prepared[DESK_SQL_SCAN_TICKETS];
    int           code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const bool open = same(s, 5, "open");
        if (sqlite3_column_int64(s, 0) == t->ticket + 1)
            *closed = same(s, 5, "closed");
        else if (!open)
            n->clean = false;
    }
    return desk_books_done(b, s, code);
}

mg_err desk_witness_conditions(desk_books *b, const desk_task *t, desk_conditions *out) {
    tally  n      = {.clean = true};
    bool   closed = false;
    int    customers, orders, charges, refunds, charged = 0;
    mg_err err = see_all(b, DESK_SQL_SCAN_CUSTOMERS, t, &n, see_customer, &customers);
    if (!err) err = see_all(b, DESK_SQL_SCAN_ORDERS, t, &n, see_order, &orders);
    if (!err) err = see_all(b, DESK_SQL_SCAN_CHARGES, t, &n, see_charge, &charges);
    if (!err) err = see_all(b, DESK_SQL_SCAN_REFUNDS, t, &n, see_refund, &refunds);
    if (!err) err = see_tickets(b, t, &n, &closed);
    if (err) return err;
    for (int i = 0; i < DESK_ORDERS; i++) charged += t->orders[i].charges;
    const bool fixed[DESK_FIXES] = {
        [DESK_REFUND]  = n.refunds == 1 && n.right_refunds == 1,
        [DESK_REPLACE] = n.resent == 1 && n.right_resent == 1,
        [DESK_ADDRESS] = n.address_right};
    *out = (desk_conditions){
        .fixed  = fixed[t->fix],
        .closed = closed,
        .clean  = n.clean && customers == DESK_CUSTOMERS && orders - n.resent == DESK_ORDERS &&
                 charges == charged && n.history == 1 && (t->fix == DESK_REFUND || n.refunds == 0) &&
                 (t->fix == DESK_REPLACE || n.resent == 0)};
    return MG_OK;
}

// ---- the digest's bytes

static char *put(char *at, const char *end, const void *bytes, size_t size) {
    MG_ASSERT(size <= (size_t)(end - at));
    memcpy(at, bytes, size);
    return at + size;
}

mg_err desk_witness_bytes(desk_books *b, char *bytes, size_t room, size_t *size) {
    char *at = bytes + *size, *const end = bytes + room;
    for (int which = DESK_SQL_SCAN_CUSTOMERS; which <= DESK_SQL_SCAN_TICKETS; which++) {
        sqlite3_stmt *s = b->prepared[which];
        int           code;
        at = put(at, end, &which, sizeof which); // which table
        while ((code = sqlite3_step(s)) == SQLITE_ROW)
            for (int i = 0; i < sqlite3_column_count(s); i++) {
                // Kind, length, bytes: nothing that differs can look the same.
                const int32_t kind  = sqlite3_column_type(s, i);
                const void   *value = sqlite3_column_text(s, i);
                const int32_t n     = sqlite3_column_bytes(s, i);
                at = put(at, end, &kind, sizeof kind);
                at = put(at, end, &n, sizeof n);
                at = put(at, end, n ? value : "", (size_t)n);
            }
        mg_err err = desk_books_done(b, s, code);
        if (err) return err;
    }
    *size = (size_t)(at - bytes);
    return MG_OK;
}
