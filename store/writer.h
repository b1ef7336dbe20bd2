// writer.h - the one thread that writes to the database, behind a bounded queue of transactions.
//
// A batch is one transaction: rows for prepared statements, in order, copied when they are put. Who
// fills batches is one thread, the owner; while nothing is queued (mg_writer_wait) the owner may
// use the database itself. The first error ends the writing: the batch is rolled back, everything
// behind it is dropped, for a record with a hole is worse than one that ends; the owner is told the
// same error by every later call.
#ifndef MG_STORE_WRITER_H
#define MG_STORE_WRITER_H
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

#define MG_STORE_QUEUE_MAX  4                      // transactions: not committed, or in the making
#define MG_STORE_UPDATE_MAX ((size_t)4 << 30)      // bytes of one; address space is reserved for it
#define MG_COLUMNS_MAX      40

typedef enum mg_column_kind { MG_NULL, MG_INTEGER, MG_REAL, MG_TEXT, MG_BLOB } mg_column_kind;

typedef struct mg_column {
    mg_column_kind kind;
    int64_t        integer; // or the size of a blob
    double         real;
    const void    *bytes;
} mg_column;

typedef struct mg_row {
    struct mg_row *next;
    int            statement, n;
    mg_column      columns[]; // [n]
} mg_row;

typedef struct mg_batch {
    struct mg_batch *next;
    mg_arena         arena;
    mg_row          *first, *last;
    char             name[32]; // for sentences: "update 12"
} mg_batch;

typedef struct mg_writer {
    const char   *path;            // for sentences; borrowed
    sqlite3      *db;              // borrowed
    sqlite3_stmt *const *statements; // borrowed
    mg_batch      batches[MG_STORE_QUEUE_MAX];

    pthread_mutex_t lock;          // of everything below
    pthread_cond_t  filled, emptied;
    mg_batch       *first, *last;  // queued; the first is being written
    mg_batch       *free;
    bool            stop;
    mg_err          err;
    char            sentence[512];

    pthread_t       thread;
    bool            started;
} mg_writer;

// Starts the thread. Errors: MG_NOMEM, MG_IO.
mg_err mg_writer_start(mg_writer *w, const char *path, sqlite3 *db, sqlite3_stmt *const *statements) MG_MUST_USE;
// Writes what is queued, ends the thread and gives everything back. One that was not started: no effect.
mg_err mg_writer_stop(mg_writer *w);

// An empty batch, after waiting for one while the queue is full. Error: the writer's.
mg_err mg_writer_begin(mg_writer *w, mg_batch **out) MG_MUST_USE;
void   mg_writer_hand(mg_writer *w, mg_batch *b); // queued: the writer's from now on
void   mg_writer_drop(mg_writer *w, mg_batch *b); // never to be written

// Returns when nothing is queued any more. Error: the writer's.
mg_err mg_writer_wait(mg_writer *w) MG_MUST_USE;
mg_err mg_writer_error(mg_writer *w) MG_MUST_USE; // the same, without waiting

// A row for a statement, put behind the others at once or (later true) by mg_batch_append.
mg_row *mg_batch_row(mg_batch *b, int statement, int n, bool later);
void    mg_batch_append(mg_batch *b, mg_row *r);
// Columns, one after the other; texts and blobs are copied. The blob's memory is the caller's to fill.
void     mg_row_integer(mg_row *r, int column, int64_t x);
void     mg_row_real(mg_row *r, int column, double x);
void     mg_row_text(mg_batch *b, mg_row *r, int column, const char *text); // NULL: null
uint8_t *mg_row_blob(mg_batch *b, mg_row *r, int column, const void *bytes, size_t size); // bytes NULL: unfilled

mg_err mg_sqlite_fail(sqlite3 *db, const char *path, const char *what);
#endif
