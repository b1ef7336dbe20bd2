// store.h - what happened in a run, kept: episodes, metrics, which episodes fed which update.
//
// One SQLite file per run (run.db, write-ahead log). Everything of one update is one transaction:
// after a kill an update is wholly there or absent. Nothing is ever removed or changed: a run that
// goes on after a kill or a rollback appends a life. Numbers come back with the bits that they went
// in with, and hashes (chain.h) tell when somebody changed one.
//
// What is written is handed to a thread of the store's own (writer.h). It is acknowledged when it is
// committed, which mg_store_wait waits for: then it survives the death of the process, and with
// mg_store_durable a loss of power. The first error in writing ends it, and every later call reports
// that same error; readers too.
// Threads: one at a time. One writing store per file.
//
// Updates are counted from 0 here, as in the file; people and programs read of them from 1 (mg_update_number).
#ifndef MG_STORE_STORE_H
#define MG_STORE_STORE_H
#include "core/arena.h"
#include "env/episode.h"
#include "store/chain.h"

#define MG_STORE_BUSY_MS 5000

// What update `update` is called wherever a run is told of: the first is update 1, and checkpoint n lies behind
// update n.
static inline long long mg_update_number(int64_t update) { return (long long)update + 1; }

typedef struct mg_store mg_store;

// Opens or creates. On success owned by the caller, ended by mg_store_close.
// Errors: MG_IO, MG_NOMEM, MG_CORRUPT (not a run's file, which stays as it is, or one of another
// schema version), MG_BUSY (somebody else has been writing for MG_STORE_BUSY_MS).
mg_err mg_store_open(mg_store **out, const char *path) MG_MUST_USE;
// Writes what was committed, drops an update that was not. The error is that of mg_store_wait, which
// is called before where it matters. NULL: no effect.
mg_err mg_store_close(mg_store *s);

// How much of an episode is kept. REPLAYABLE is for worlds that give the same again for the same seed
// and actions: tokens, log-probabilities, observations, calls and evidence are left out, and hashes of
// them kept, so that heads are the same and mg_store_verify still checks everything that is there.
typedef enum mg_record { MG_RECORD_FULL, MG_RECORD_REPLAYABLE } mg_record;
void   mg_store_record(mg_store *s, mg_record how); // from the next episode on
mg_err mg_store_durable(mg_store *s, bool against_power_loss) MG_MUST_USE;

// A new life: what follows goes on from behind `from` updates. It is there with its first committed
// update. Update u belongs to the newest life that began at or before it (its first committed update
// there): readers follow the last life, and see what an older one did before it.
// `identity`: what must be equal for two runs to have equal heads, such as the hash of an environment.
// Errors: MG_MISMATCH when fewer than `from` updates are there to go on from, or the last life had another
// identity; MG_IO, MG_BUSY.
mg_err mg_store_life(mg_store *s, int64_t from, const char *identity) MG_MUST_USE;

// One update's transaction, within a life, in rising order; twice the same is a broken program.
// Episodes, metrics and the ledger are written between begin and commit only, copied, and put in
// logical order (group, episode, attempt); a metric written twice keeps its later value. begin waits
// while MG_STORE_QUEUE_MAX updates before it are not committed yet.
// Errors: the writer's (MG_IO, MG_BUSY); MG_NUMERIC for a metric or a reward's VALUE that is not finite;
// MG_LIMIT for an update above MG_STORE_UPDATE_MAX bytes.
mg_err mg_store_begin(mg_store *s, int64_t update) MG_MUST_USE;
mg_err mg_store_episode(mg_store *s, const mg_episode *e) MG_MUST_USE;
mg_err mg_store_metric(mg_store *s, const char *name, double value) MG_MUST_USE;
mg_err mg_store_commit(mg_store *s) MG_MUST_USE;

// The ledger: this episode feeds this update (recorded or not), in the order in which it does.
// Error: MG_MISMATCH when its verdict is not CLEAN.
mg_err mg_store_fed(mg_store *s, const mg_episode *e) MG_MUST_USE;
// The same for a replay buffer, at most once an update.
mg_err mg_store_fed_replay(mg_store *s, const mg_fed_replay *r) MG_MUST_USE;

// Returns when everything that was handed over is committed. Error: the writer's.
mg_err mg_store_wait(mg_store *s) MG_MUST_USE;

// A note of the run: resolved config, data card, results; replaces an older one of that name, and is
// committed on return. Not between begin and commit. Reading one that is not there: MG_EMPTY.
mg_err mg_store_note(mg_store *s, const char *name, const char *text) MG_MUST_USE;
mg_err mg_store_note_read(mg_store *s, const char *name, mg_arena *arena, char **text) MG_MUST_USE;

// Readers; not between begin and commit. They wait for the writer first. What they return lies on the
// arena. Errors: MG_IO, MG_BUSY, MG_CORRUPT, and the writer's.
//
// Names in alphabetical order; one metric's points in order of update; n 0 when there are none.
typedef struct mg_point {
    int64_t update;
    double  value;
} mg_point;
mg_err mg_store_metric_names(mg_store *s, mg_arena *arena, char ***names, int64_t *n) MG_MUST_USE;
mg_err mg_store_metric_read(mg_store *s, const char *name, mg_arena *arena, mg_point **points,
                            int64_t *n) MG_MUST_USE;

// Episodes of updates in [from, to), in logical order, at most `max`. start.demo comes back as NULL: it
// is the item's own. Of a replayable record observation, tokens, role and logp are NULL: they are not
// there, which is not the same as empty.
mg_err mg_store_episodes_read(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                              mg_episode **episodes, int64_t *n) MG_MUST_USE;

// How many updates the last life has behind it.
mg_err mg_store_updates(mg_store *s, int64_t *n) MG_MUST_USE;
// Episodes that are not CLEAN, the first `max` of each code.
mg_err mg_store_unclean_read(mg_store *s, int64_t max, mg_arena *arena, mg_episode **episodes,
                             int64_t *n) MG_MUST_USE;

// What fed an update: heads and verdicts as they were then.
typedef struct mg_fed {
    int32_t    group;
    uint32_t   episode, attempt;
    mg_verdict verdict;
    uint8_t    head[32];
} mg_fed;
typedef struct mg_ledger {
    mg_fed       *fed; // [n]
    int64_t       n;
    bool          replayed;
    mg_fed_replay replay; // where replayed
} mg_ledger;
mg_err mg_store_ledger_read(mg_store *s, int64_t update, mg_arena *arena, mg_ledger *out) MG_MUST_USE;

// The head of the run's chain, behind the last life's last update. Error: MG_EMPTY before the first.
mg_err mg_store_head(mg_store *s, uint8_t out[32]) MG_MUST_USE;

// Walks the whole record, all lives, and computes every hash again. MG_CORRUPT says where it was cut
// off, put in another order or changed: "update 12, group 3, episode 7, turn 2: ...". Metrics and
// notes have no hash. Somebody who cuts off whole updates and makes the file's own account of its end
// (`tip`) fit is only found out by comparing mg_store_head with one that was kept elsewhere.
mg_err mg_store_verify(mg_store *s) MG_MUST_USE;
#endif
