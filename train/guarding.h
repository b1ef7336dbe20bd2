// guarding.h - the guard at work in a run: plays the pairs, keeps the state to go back to, and gives the account.
//
// guard/start/ in the run's folder is the policy that the run started from, guard/good/NNNNNN/ what a rollback goes
// back to and guard/best/NNNNNN/ what the run may end with (run.h): the learner's parts as at a checkpoint and the
// numbers that it learns beside them, but not the gate, the buffer or counters, which go on.
//
// The note "guard" in the run's store is the account so far (guard_account.h), written anew at the beginning, behind
// every look and at the end, so that a run which was interrupted has one too.
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
    mg_compute             compute; // of the run: products of the policies that play
    int64_t                updates; // of the run
    int64_t                tasks;   // of the world; 0: its seed decides
    mg_guard               guard;   // kept in checkpoints
    mg_model              *start;   // owned; NULL: not begun
    const char            *verdict; // static; NULL: not judged yet
    char                   fault[512]; // of the first episode of this life that did not go well; "": none
} mg_guarding;

// `now` is here and below what a rollback puts back: parts, of which the first is the policy, and learnt bytes.
//
// Before the first update that acts in the world: measures and keeps the starting policy. Errors: MG_IO,
// MG_UNFIT (no episode went well), those of playing.
mg_err mg_guarding_begin(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_arena *scratch) MG_MUST_USE;
// In a later life, when the guard's bytes are back. Errors: those of loading the starting policy.
mg_err mg_guarding_resume(mg_guarding *g, mg_arena *scratch) MG_MUST_USE;
void   mg_guarding_end(mg_guarding *g);

// Episodes that the run played to learn from: what evaluation is compared with.
void mg_guarding_count(mg_guarding *g, const mg_episode *episodes, int64_t n);

// Behind update `update`, if a look is due: plays, decides, and acts on the decision, so that after a rollback `now`
// is the last good state. *over: do not go on. Metrics guard_return, guard_start (means of the pairs of which both
// went well), guard_pairs, guard_faults (of them, where the policy's alone did not go well), guard_wealth (1: a
// rollback), guard_rollback, guard_good (updates behind the last good state).
mg_err mg_guarding_look(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_metrics *m, bool *over,
                        mg_arena *scratch) MG_MUST_USE;

// Instead of that look, where learning has left the finite for the reason `why`: goes back, as behind a collapse.
// Metrics guard_rollback and guard_good.
mg_err mg_guarding_broke(mg_guarding *g, const mg_snapshot *now, int64_t update, const char *why, mg_metrics *m,
                         bool *over, mg_arena *scratch) MG_MUST_USE;

// At the run's end, with keep_best: `now` becomes the best state. Errors: as mg_snapshot_load.
mg_err mg_guarding_best(mg_guarding *g, const mg_snapshot *now, mg_arena *scratch) MG_MUST_USE;
// Then: plays the verdict's pairs, and completes the note.
mg_err mg_guarding_judge(mg_guarding *g, const mg_model *policy, mg_arena *scratch) MG_MUST_USE;
#endif
