// collect_play.h - a logged data set out of a policy's episodes, by D4RL's recipe.
//
// Whole episodes one after the other until there are `rows` rows; then the last is cut. An episode that has as many
// steps as the world allows is timed out, one that ended before is terminal (Fu et al. 2020; its
// scripts/generation/mujoco/collect_data.py). Only CLEAN episodes are kept. Draws are keyed by (seed, episode,
// attempt, step), so the first rows of a longer set are those of a shorter one, but for its cut.
#ifndef MG_APP_COLLECT_PLAY_H
#define MG_APP_COLLECT_PLAY_H
#include "app/rollout_world.h"
#include "store/transitions.h"

typedef struct mg_collect_counts {
    int64_t kept, attempts, failures; // episodes in the set; all that were begun; that the harness's side failed
} mg_collect_counts;

// The policy is w's: its script, or its model, which acts as its head draws. Of a robot there are positions and
// speeds before each step as well. The log-probability is that of the action divided by the world's limit.
// On the arena. Errors: MG_INTERRUPTED; MG_UNFIT (the gate stopped); MG_EMPTY (episode after episode is lost); those
// of acting.
mg_err mg_collect_play(mg_rollout_world *w, int64_t rows, mg_arena *arena, mg_logged *out,
                       mg_collect_counts *counts) MG_MUST_USE;
#endif
