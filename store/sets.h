// sets.h - logged data sets out of others: out of a replay buffer, and of two sets one.
#ifndef MG_STORE_SETS_H
#define MG_STORE_SETS_H
#include "store/replay.h"

// The first `rows` rows that a replay buffer was ever given, oldest first, as D4RL's medium-replay sets are (Fu et al.
// 2020; its scripts/generation/mujoco/convert_buffer.py). Actions become as many times `scale`: a buffer's lie in
// [-1, 1]. Where a row's next observation is not, to the bit, what the next row begins with, and the task was not
// over, an episode was cut off: that is its timeout. The last row is one when its episode has `steps_max` steps.
// On the arena. Errors: MG_EMPTY (no row), MG_LIMIT (the oldest have made room for others, there are fewer, or more
// than the arena has room for).
mg_err mg_logged_of_replay(const mg_replay *r, const mg_replay_shape *shape, int64_t rows, double scale,
                           int64_t steps_max, mg_arena *arena, mg_logged *out) MG_MUST_USE;

// a up to its last row that is terminal or timed out, then b; of the result the first `rows_max` rows. What one of
// them does not have the result has not (as D4RL's medium-expert: scripts/generation/mujoco/stitch_dataset.py, which
// takes one row where none of a's ends an episode; we refuse). The world is a's, else b's; words are those that both
// have alike. On the arena.
// Errors: MG_MISMATCH (sizes, worlds, plants, a robot's versions, where both sets say), MG_EMPTY (no episode of a's is
// finished), MG_LIMIT (more than the arena has room for).
mg_err mg_logged_join(const mg_logged *a, const mg_logged *b, int64_t rows_max, mg_arena *arena,
                      mg_logged *out) MG_MUST_USE;
#endif
