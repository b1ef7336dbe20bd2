// db.h - inside the store: what its files share.
#ifndef MG_STORE_DB_H
#define MG_STORE_DB_H
#include "store/store.h"
#include "store/writer.h"

enum { MG_ADD_NOTE, MG_ADD_LIFE, MG_ADD_METRIC, MG_ADD_EPISODE, MG_ADD_FED, MG_ADD_FED_REPLAY,
       MG_ADD_DONE, MG_SET_TIP, MG_STATEMENTS };

// Columns of the table episode, in order.
enum { MG_E_ID, MG_E_LIFE, MG_E_STEP, MG_E_ITEM, MG_E_GROUP, MG_E_EPISODE, MG_E_ATTEMPT, MG_E_N_PREFIX,
       MG_E_PREFIX, MG_E_DEMO_TURNS, MG_E_SEED, MG_E_POLICY, MG_E_TERMINATED, MG_E_TRUNCATED,
       MG_E_STOPPED, MG_E_LEARNED_KIND, MG_E_LEARNED, MG_E_LEARNED_REASON, MG_E_VERDICT, MG_E_CODE,
       MG_E_DETAIL, MG_E_CODE_TURN, MG_E_RESET, MG_E_END, MG_E_TOKENS, MG_E_ROLE, MG_E_LOGP,
       MG_E_LEFT_OUT, MG_E_N_TURNS, MG_E_TURNS, MG_E_LINK, MG_E_HEAD, MG_E_COLUMNS };

struct mg_store {
    char         *path;                // owned
    sqlite3      *db;                  // owned; the writer's while something is queued
    sqlite3_stmt *add[MG_STATEMENTS];  // owned, prepared once
    mg_writer     writer;
    mg_record     record;

    int64_t       life, low;           // 0: none yet
    uint8_t       start[32];           // the run's head that it goes on from
    uint8_t       life_hash[32];
    const char   *identity;            // owned
    bool          life_new;            // not written yet
    int64_t       update;              // begun last in this life
    uint8_t       head[32];            // behind the last committed update of it

    mg_batch     *batch;               // between begin and commit
    struct waiting *episodes;          // of it, on its arena [n_episodes]
    uint8_t     (*fed)[32];            // [n_fed]
    int64_t       n_episodes, n_fed;
    const mg_fed_replay *replay;
};

// A query, finished by the caller. The writer is waited for first.
mg_err mg_query(mg_store *s, const char *sql, sqlite3_stmt **out) MG_MUST_USE;
// True while it has a further row; a fault ends it too and is written to *err.
bool mg_query_next(mg_store *s, sqlite3_stmt *q, mg_err *err);
// An array of n elements with room for one more: it doubles whenever n is 0 or a power of two.
void *mg_grow(mg_arena *arena, void *old, int64_t n, size_t size);

// One row of the table episode. `stored` may be NULL; of a replayable record left_out is set.
typedef struct mg_stored {
    const uint8_t (*left_out)[32]; // [n_turns + 1] the hashes of what is not there; NULL: all is
    uint64_t       *links;         // [n_turns + 1] as mg_episode_links gave them
    uint8_t         head[32];
} mg_stored;
mg_err mg_episode_read(mg_store *s, sqlite3_stmt *q, mg_arena *arena, mg_episode *e, mg_stored *stored) MG_MUST_USE;

// The run's head behind the last update before `update`, as life `life` found it: of lives before it.
// *found false: there is none. *last: that update.
mg_err mg_head_before(mg_store *s, int64_t life, int64_t update, uint8_t head[32], int64_t *last,
                      bool *found) MG_MUST_USE;
#endif
