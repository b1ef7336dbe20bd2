// replay.h - a recorded episode played again: the same reset and the same actions on a fresh
// environment with no load and no faults put in.
#ifndef MG_ROLLOUT_REPLAY_H
#define MG_ROLLOUT_REPLAY_H
#include "rollout/rollout.h"

// *second, on the arena, is the record of the second playing, with its own verdict and without tokens.
// It ends where the first one ended, or before, where the environment ends it or fails. Of *r the
// environment counts: class, world, manifest, wants_reward; its pool is left alone. What the environment
// does wrong is in *second.
void mg_replay(const mg_rollout *r, const mg_episode *first, mg_arena *arena, mg_episode *second);
#endif
