// drpo.h - dataset reset policy optimisation: PPO whose episodes start inside reference answers.
//
// Chang et al. 2024, "Dataset reset policy optimization for RLHF", arXiv:2404.08495, Algorithm 1
// with PPO as its oracle. With reset_share 0 it is ppo, bit for bit.
//
// Where the data have pairs of several turns, resets go between turns, and read "turns" for "tokens"
// below: an episode starts behind 1 .. L-1 of a demonstration's L turns, which the rollout plays or
// restores (mg_start.demo). A row of one turn then starts at its beginning.
#ifndef MG_ALGOS_DRPO_DRPO_H
#define MG_ALGOS_DRPO_DRPO_H
#include "algos/ppo/ppo.h"

#define MG_DRPO_FIELDS(F)                                                                          \
    MG_PPO_FIELDS(F)                                                                               \
    F(real, reset_share, 1, 0, 1, "beta: chance that an episode starts inside a reference")        \
    F(name, reset_source, reference, 0, 0,                                                         \
      "reference|sft: prefixes of the human answer, or of a sample of the starting policy")        \
    F(flag, prefix_zero, false, 0, 0, "a reset may also draw the empty prefix (paper: never)")     \
    F(real, prefix_share_max, 1, 0, 1, "longest prefix, as a share of the reference")

typedef struct mg_drpo_config {
    MG_CONFIG_STRUCT(MG_DRPO_FIELDS)
} mg_drpo_config;

extern const mg_algo mg_algo_drpo;

// Length of the prefix that a reset puts before an episode: Unif{lo .. hi} with lo = 1 (0 with
// prefix_zero) and hi = min(L - 1, floor(prefix_share_max L)), where L counts the reference's
// tokens, its stop included, up to response_max. So never the whole reference and never its stop. 0
// when the coin (reset_share) says no or nothing is left to draw from.
int64_t mg_drpo_prefix(const mg_drpo_config *c, int64_t reference_tokens, int64_t response_max,
                       mg_rng *rng);
#endif
