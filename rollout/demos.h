// demos.h - recorded episodes as demonstrations.
#ifndef MG_ROLLOUT_DEMOS_H
#define MG_ROLLOUT_DEMOS_H
#include "core/arena.h"
#include "env/episode.h"

// Every episode, in order, as a demonstration of all its turns that keeps item and seed; which ones are
// worth imitating is the caller's choice. *out is [n] on the arena, texts and all. Errors, naming the
// episode: MG_EMPTY (no turn), MG_CORRUPT (a byte 0, which no text has).
mg_err mg_demos_of(const mg_episode *episodes, int64_t n, mg_arena *arena, mg_pair **out) MG_MUST_USE;
#endif
