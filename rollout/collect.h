// collect.h - an update's episodes on their way through the gate: played, judged, played again where
// suspected, tried again where the harness failed, admitted.
#ifndef MG_ROLLOUT_COLLECT_H
#define MG_ROLLOUT_COLLECT_H
#include "harness/gate.h"
#include "rollout/rollout.h"

typedef struct mg_collected {
    mg_episode *all;     // [n_all] every attempt, ordered by (start, attempt)
    int64_t     n_all;
    int64_t    *kept;    // [n_kept] which of them are admitted, ascending
    int64_t     n_kept;
    mg_episode *instead; // [n_all] what a study's control arm learns from in their place; NULL: themselves
    int64_t     cut_prompts;
    int64_t     replayed; // how many were played again
} mg_collected;

// A suspect, and a drawn share of the others, is played again; what comes out decides about *e. The draw is rng's at
// (episode, attempt). *replayed counts.
void mg_collect_second_look(const mg_rollout *r, mg_rng *rng, mg_arena *arena, mg_episode *e, int64_t *replayed);

// Plays the starts, at most 1 + config.retries times each; draws as in mg_rollout_run. On trip nothing
// is kept. Everything lies on `arena`. Errors: those of mg_rollout_run; memory.
mg_err mg_collect(const mg_rollout *r, mg_gate *gate, const mg_start *starts, int64_t n,
                  int64_t policy_version, uint64_t draws, mg_arena *arena, mg_arena *scratch,
                  mg_collected *out) MG_MUST_USE;
#endif
