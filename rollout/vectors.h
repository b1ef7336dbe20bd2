// vectors.h - the episode loop for perceptron policies in worlds of vectors.
//
// All episodes advance together: those that are not over are shown to the policy in one batch, and each world makes
// its step. The record is as of any other episode; what a learner needs besides is in mg_episode.vectors.
#ifndef MG_ROLLOUT_VECTORS_H
#define MG_ROLLOUT_VECTORS_H
#include "rollout/rollout.h"

// Is it one whose observations are numbers?
static inline bool mg_vectors_world(const mg_rollout *r) { return r->class->observation.kind == MG_SPACE_VECTOR; }

// Plays n episodes by r->model, a perceptron that fits the world, from the beginning; a start's prefix or
// demonstration is a broken program. r->sampling.temperature 0: the policy's mode; any other: as its head draws,
// from stream (r->seed, MG_PURPOSE_SAMPLE, draws) at (episode, attempt, turn). What goes wrong in one episode is its
// verdict, as in rollout.h, a number seen that is not finite among it. Episodes live on `arena`; scratch, which may
// be the same, is reset to its mark.
// Error: MG_NUMERIC (the policy's numbers are not finite).
mg_err mg_vectors_run(const mg_rollout *r, const mg_start *starts, int64_t n, int64_t policy_version, uint64_t draws,
                      mg_arena *arena, mg_arena *scratch, mg_episode *episodes) MG_MUST_USE;
#endif
