// guarding.h - the guard at work in a run: plays the pairs, keeps the state to go back to, and gives the account.
//
// guard/start/ in the run's folder is the policy that the run started from, guard/good/ what a rollback goes back to:
// the learner's parts as at a checkpoint, but not the gate, the buffer or counters, which go on.
#ifndef MG_TRAIN_GUARDING_H
#define MG_TRAIN_GUARDING_H
#include "rollout/rollout.h"
#include "train/guard.h"
#include "train/run.h"

typedef struct mg_guarding {
    const mg_guard_config *config;  // borrowed, as is the rest but `start`
    const mg_rollout      *rollout; // of the run: its world and how it samples
    const mg_run          *run;
    const char            *origin;  // as mg_model_save
    int64_t                updates; // of the run
    int64_t                tasks;   // of the world; 0: its seed decides
    mg_guard               guard;   // kept in checkpoints
    mg_model              *start;   // owned; NULL: not begun
} mg_guarding;

// Before the first update that acts in the world: measures and keeps the starting policy, parts[0]. Errors: MG_IO,
// MG_UNFIT (no episode went well), those of playing.
mg_err mg_guarding_begin(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_arena *scratch) MG_MUST_USE;
// In a later life, when the guard's bytes are back. Errors: those of loading the starting policy.
mg_err mg_guarding_resume(mg_guarding *g, mg_arena *scratch) MG_MUST_USE;
void   mg_guarding_end(mg_guarding *g);

// Behind update `update`, if a look is due: plays, decides, and acts on the decision, so that after a rollback the
// parts are those of the last good state. *over: do not go on. Metrics guard_return, guard_start (means of the pairs),
// guard_pairs, guard_wealth (1: a rollback), guard_rollback.
mg_err mg_guarding_look(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_metrics *m, bool *over,
                        mg_arena *scratch) MG_MUST_USE;

// At the run's end: plays the verdict's pairs and keeps the note "guard", JSON, in the run's store.
mg_err mg_guarding_judge(mg_guarding *g, const mg_model *policy, mg_arena *scratch) MG_MUST_USE;
#endif
