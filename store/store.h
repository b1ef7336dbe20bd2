// store.h - what happened in a run, kept: episodes, metrics, which episodes fed which update.
//
// One SQLite file per run (run.db, write-ahead log). Everything of one update is one transaction:
// after a kill an update is wholly there or absent. After an error in the middle of one, close the
// store: what was not committed is gone. Numbers come back with the bits that they went in with.
// Threads: one at a time.
#ifndef MG_STORE_STORE_H
#define MG_STORE_STORE_H
#include "core/arena.h"
#include "env/episode.h"

#define MG_STORE_BUSY_MS 5000

typedef struct mg_store mg_store;

// Opens or creates. On success owned by the caller, ended by mg_store_close.
// Errors: MG_IO, MG_NOMEM, MG_CORRUPT (not a run's file, which stays as it is, or one of another
// schema version), MG_BUSY (somebody else has been writing for MG_STORE_BUSY_MS).
mg_err mg_store_open(mg_store **out, const char *path) MG_MUST_USE;
void   mg_store_close(mg_store *s); // NULL: no effect

// One update's transaction. Rows of the same or later updates, left by an interrupted life of the
// run, are removed first: readers follow the last life. Episodes and metrics are written between
// begin and commit only; a metric written twice keeps its later value.
// Errors: MG_IO, MG_BUSY; MG_NUMERIC for a metric or a reward's VALUE that is not finite.
mg_err mg_store_begin(mg_store *s, int64_t update) MG_MUST_USE;
mg_err mg_store_episode(mg_store *s, const mg_episode *e) MG_MUST_USE;
mg_err mg_store_metric(mg_store *s, const char *name, double value) MG_MUST_USE;
mg_err mg_store_commit(mg_store *s) MG_MUST_USE;

// A note of the run: resolved config, data card, results; replaces an older one of that name.
// Reading one that is not there: MG_EMPTY.
mg_err mg_store_note(mg_store *s, const char *name, const char *text) MG_MUST_USE;
mg_err mg_store_note_read(mg_store *s, const char *name, mg_arena *arena, char **text) MG_MUST_USE;

// Readers. What they return lies on the arena. Errors: MG_IO, MG_BUSY, MG_CORRUPT.
//
// Names in alphabetical order; one metric's points in order of update; n 0 when there are none.
typedef struct mg_point {
    int64_t update;
    double  value;
} mg_point;
mg_err mg_store_metric_names(mg_store *s, mg_arena *arena, char ***names, int64_t *n) MG_MUST_USE;
mg_err mg_store_metric_read(mg_store *s, const char *name, mg_arena *arena, mg_point **points,
                            int64_t *n) MG_MUST_USE;

// Episodes of updates in [from, to), oldest first, at most `max`. start.prefix comes back as NULL:
// the prefix is the FORCED ones of the tokens.
mg_err mg_store_episodes_read(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                              mg_episode **episodes, int64_t *n) MG_MUST_USE;
#endif
