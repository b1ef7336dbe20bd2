// scripted.h - episodes of a policy that a world brings along: its oracle, its floor, rungs between.
//
// For any world, text or vectors; what is no text is written as in record.h. The record has no tokens.
#ifndef MG_ROLLOUT_SCRIPTED_H
#define MG_ROLLOUT_SCRIPTED_H
#include "rollout/rollout.h"

#define MG_SCRIPTED_TURNS_MAX 65536 // per episode, where the class's limit is none or larger

// Plays n episodes by r->script, one after the other, from the beginning of their starts' items; a start's
// prefix or demonstration is a broken program. The script's draws are a stream (r->seed,
// MG_PURPOSE_SAMPLE, draws) at (episode, attempt, turn). What the environment does wrong is its episode's
// verdict, as in rollout.h; the script's own error ends the call. Episodes live on `arena`.
mg_err mg_scripted_run(const mg_rollout *r, const mg_start *starts, int64_t n, int64_t policy_version,
                       uint64_t draws, mg_arena *arena, mg_episode *episodes) MG_MUST_USE;

// A policy for any world that lists its actions, discrete ones or admissible texts: each as likely as the
// others, the empty text where none may be said (or the list cannot be had). NULL: the world lists none.
const mg_script *mg_scripted_random(const mg_env_class *class);
#endif
