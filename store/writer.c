// writer.c - the thread and its queue.
#include "store/writer.h"

#include <string.h>

// ---- Filling a batch ----

void mg_batch_append(mg_batch *b, mg_row *r) {
    r->next = NULL;
    if (b->last) b->last->next = r;
    else b->first = r;
    b->last = r;
}

mg_row *mg_batch_row(mg_batch *b, int statement, int n, bool later) {
    MG_ASSERT(n <= MG_COLUMNS_MAX);
    mg_row *r = mg_arena_alloc(&b->arena, sizeof *r + sizeof *r->columns * (size_t)n);
    r->statement = statement, r->n = n;
    if (!later) mg_batch_append(b, r);
    return r;
}

void mg_row_integer(mg_row *r, int column, int64_t x) {
    MG_ASSERT(column < r->n);
    r->columns[column] = (mg_column){.kind = MG_INTEGER, .integer = x};
}

void mg_row_real(mg_row *r, int column, double x) {
    MG_ASSERT(column < r->n);
    r->columns[column] = (mg_column){.kind = MG_REAL, .real = x};
}

void mg_row_text(mg_batch *b, mg_row *r, int column, const char *text) {
    MG_ASSERT(column < r->n);
    if (text)
        r->columns[column] = (mg_column){.kind = MG_TEXT, .integer = (int64_t)strlen(text),
                                         .bytes = mg_arena_strdup(&b->arena, text)};
}

uint8_t *mg_row_blob(mg_batch *b, mg_row *r, int column, const void *bytes, size_t size) {
    MG_ASSERT(column < r->n);
    uint8_t *copy = mg_arena_alloc_raw(&b->arena, size);
    if (bytes) memcpy(copy, bytes, size);
    r->columns[column] = (mg_column){.kind = MG_BLOB, .integer = (int64_t)size, .bytes = copy};
    return copy;
}

// ---- Writing one ----

mg_err mg_sqlite_fail(sqlite3 *db, const char *path, const char *what) {
    const int    code = sqlite3_errcode(db);
    const mg_err err  = code == SQLITE_BUSY || code == SQLITE_LOCKED      ? MG_BUSY
                        : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? MG_CORRUPT
                        : code == SQLITE_NOMEM                            ? MG_NOMEM
                                                                          : MG_IO;
    return mg_fail(err, "store %s: %s: %s", path, what, sqlite3_errmsg(db));
}

// What is bound stays where it is until the step is over.
static void bind(sqlite3_stmt *q, const mg_row *r) {
    for (int i = 0; i < r->n; i++) {
        const mg_column *c = &r->columns[i];
        switch (c->kind) {
        case MG_NULL:    sqlite3_bind_null(q, i + 1); break;
        case MG_INTEGER: sqlite3_bind_int64(q, i + 1, c->integer); break;
        case MG_REAL:    sqlite3_bind_double(q, i + 1, c->real); break;
        case MG_TEXT:    sqlite3_bind_text(q, i + 1, c->bytes, (int)c->integer, SQLITE_STATIC); break;
        case MG_BLOB:
            sqlite3_bind_blob64(q, i + 1, c->bytes, (sqlite3_uint64)c->integer, SQLITE_STATIC);
            break;
        }
    }
}

static mg_err write_row(mg_writer *w, const mg_batch *b, const mg_row *r) {
    sqlite3_stmt *q = w->statements[r->statement];
    bind(q, r);
    const mg_err err = sqlite3_step(q) == SQLITE_DONE ? MG_OK : mg_sqlite_fail(w->db, w->path, b->name);
    sqlite3_reset(q);
    return err;
}

static mg_err run(mg_writer *w, const mg_batch *b, const char *sql) {
    return sqlite3_exec(w->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? MG_OK : mg_sqlite_fail(w->db, w->path, b->name);
}

static mg_err write_batch(mg_writer *w, const mg_batch *b) {
    mg_err err = run(w, b, "begin immediate");
    for (const mg_row *r = b->first; r && !err; r = r->next) err = write_row(w, b, r);
    if (!err) err = run(w, b, "commit");
    // What the error left of the transaction; there may be nothing, and this error says no more.
    if (err && !sqlite3_get_autocommit(w->db)) sqlite3_exec(w->db, "rollback", NULL, NULL, NULL);
    return err;
}

static void *write_batches(void *context) {
    mg_writer *w = context;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->stop) pthread_cond_wait(&w->filled, &w->lock);
        if (!w->first) break;
        mg_batch *b   = w->first;
        mg_err    err = w->err;
        pthread_mutex_unlock(&w->lock);
        if (!err) err = write_batch(w, b);
        pthread_mutex_lock(&w->lock);
        if (err && !w->err) {
            w->err = err;
            snprintf(w->sentence, sizeof w->sentence, "%s", mg_err_detail());
        }
        w->first = b->next;
        b->next  = w->free;
        w->free  = b;
        pthread_cond_signal(&w->emptied);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

// ---- The owner's side ----

mg_err mg_writer_start(mg_writer *w, const char *path, sqlite3 *db, sqlite3_stmt *const *statements) {
    mg_err err = MG_OK;
    *w = (mg_writer){.path = path, .db = db, .statements = statements};
    for (int i = 0; i < MG_STORE_QUEUE_MAX && !err; i++) {
        err = mg_arena_init(&w->batches[i].arena, "store", MG_STORE_UPDATE_MAX);
        w->batches[i].next = w->free;
        w->free            = &w->batches[i];
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->filled, NULL);
    pthread_cond_init(&w->emptied, NULL);
    const int failed = err ? 0 : pthread_create(&w->thread, NULL, write_batches, w);
    if (failed) err = mg_fail(MG_IO, "store %s: start its thread: %s", path, strerror(failed));
    w->started = !err;
    if (err)
        for (int i = 0; i < MG_STORE_QUEUE_MAX; i++) mg_arena_release(&w->batches[i].arena);
    return err;
}

mg_err mg_writer_stop(mg_writer *w) {
    if (!w->started) return MG_OK;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->filled);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    const mg_err err = mg_writer_error(w);
    for (int i = 0; i < MG_STORE_QUEUE_MAX; i++) mg_arena_release(&w->batches[i].arena);
    pthread_cond_destroy(&w->emptied);
    pthread_cond_destroy(&w->filled);
    pthread_mutex_destroy(&w->lock);
    w->started = false;
    return err;
}

mg_err mg_writer_error(mg_writer *w) {
    if (!w->started) return MG_OK;
    pthread_mutex_lock(&w->lock);
    const mg_err err = w->err;
    pthread_mutex_unlock(&w->lock);
    return err ? mg_fail(err, "%s", w->sentence) : MG_OK; // the sentence is written once
}

mg_err mg_writer_begin(mg_writer *w, mg_batch **out) {
    pthread_mutex_lock(&w->lock);
    while (!w->free) pthread_cond_wait(&w->emptied, &w->lock);
    mg_batch    *b   = w->free;
    const mg_err err = w->err;
    if (!err) w->free = b->next;
    pthread_mutex_unlock(&w->lock);
    if (err) return mg_writer_error(w);
    mg_arena_reset(&b->arena, 0);
    b->next  = NULL;
    b->first = b->last = NULL;
    *out     = b;
    return MG_OK;
}

void mg_writer_hand(mg_writer *w, mg_batch *b) {
    pthread_mutex_lock(&w->lock);
    if (w->first) w->last->next = b;
    else w->first = b;
    w->last = b;
    pthread_cond_signal(&w->filled);
    pthread_mutex_unlock(&w->lock);
}

void mg_writer_drop(mg_writer *w, mg_batch *b) {
    pthread_mutex_lock(&w->lock);
    b->next = w->free;
    w->free = b;
    pthread_mutex_unlock(&w->lock);
}

mg_err mg_writer_wait(mg_writer *w) {
    if (!w->started) return MG_OK;
    pthread_mutex_lock(&w->lock);
    while (w->first) pthread_cond_wait(&w->emptied, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return mg_writer_error(w);
}
