// record.h - what the episode loops write down, each the same way.
#ifndef MG_ROLLOUT_RECORD_H
#define MG_ROLLOUT_RECORD_H
#include "env/env.h"
#include "env/episode.h"

// The seed of an environment's reset: keyed like every draw by what the episode is.
uint64_t mg_record_seed(uint64_t seed, int64_t policy_version, const mg_start *s);

// A copy on the arena, with a 0 behind it.
void *mg_record_bytes(mg_arena *arena, const void *data, size_t size);

// A value as the record has it, on the arena: text as it is; an observation of numbers as their bytes
// (float32); a choice in decimal; an action of numbers in decimal with nine digits, which is all of a
// float32, a space between two.
const char *mg_record_value(const mg_value *v, const mg_space *space, bool action, mg_arena *arena,
                            size_t *size);

// Room for turn i; turns [0, i) stay as they are.
mg_turn *mg_record_room(mg_turn **turns, int64_t *room, int64_t i, mg_arena *arena);

// What the environment answered to the episode's last turn: reward, evidence and how things stand.
// Watching stops at the class's limit, or at turns_max.
void mg_record_transition(mg_episode *e, mg_turn *turn, const mg_transition *t,
                          const mg_env_class *class, int64_t turns_max, mg_arena *arena);
#endif
