// reward_model.h - learn a reward from preference pairs by Bradley-Terry maximum likelihood.
//
// Bradley & Terry 1952; for language models Stiennon et al. 2020, arXiv:2009.01325. In DR-PO
// (arXiv:2404.08495) this is eq. 1.
#ifndef MG_ALGOS_REWARD_MODEL_REWARD_MODEL_H
#define MG_ALGOS_REWARD_MODEL_REWARD_MODEL_H
#include "algos/algo.h"

#define MG_REWARD_MODEL_FIELDS(F)                                                                  \
    F(real, epochs, 1, 1e-3, 1000, "passes over the pairs")                                        \
    F(int, batch, 64, 1, 65536, "pairs per update")                                                \
    F(int, microbatch, 32, 1, 65536,                                                               \
      "pairs read at once where no gradient is asked for; changes memory, not a bit of the result") \
    F(name, pool, mean, 0, 0,                                                                      \
      "mean|last: score is the mean over the answer's tokens, or the one at its stop (paper)")     \
    F(name, normalise, samples, 0, 0,                                                              \
      "samples|references: mean 0 and deviation 1 over the pairs' texts, or only mean 0 over the " \
      "human references (paper)")                                                                  \
    F(int, normalise_rows, 1000, 2, 1000000, "texts that the normalisation looks at")              \
    F(real, lr, 3e-4, 0, 1, "step size (DR-PO's paper: 3e-6 for 2.8 B parameters)")                \
    F(name, schedule, linear, 0, 0, "linear|constant|cosine: course of the step size")             \
    F(int, warmup, 20, 0, 1000000, "updates over which the step size rises from 0")                \
    F(real, clip_norm, 1, 0, 1e9, "largest gradient norm; 0: no limit")                            \
    F(real, decay, 0.01, 0, 10, "decoupled weight decay, on matrices")

typedef struct mg_reward_model_config {
    MG_CONFIG_STRUCT(MG_REWARD_MODEL_FIELDS)
} mg_reward_model_config;

extern const mg_algo mg_algo_reward_model;
#endif
