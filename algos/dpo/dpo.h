// dpo.h - direct preference optimisation: learn from pairs without a reward model.
//
// Rafailov et al. 2023, arXiv:2305.18290.
#ifndef MG_ALGOS_DPO_DPO_H
#define MG_ALGOS_DPO_DPO_H
#include "algos/algo.h"

#define MG_DPO_FIELDS(F)                                                                           \
    F(real, epochs, 1, 1e-3, 1000, "passes over the pairs")                                        \
    F(int, batch, 64, 1, 65536, "pairs per update")                                                \
    F(int, microbatch, 16, 1, 65536,                                                               \
      "pairs read at once where no gradient is asked for; changes memory, not a bit of the result") \
    F(real, beta, 0.1, 1e-6, 100, "strength of the tie to the reference, eq. 7")                   \
    F(real, lr, 1e-4, 0, 1, "step size (DR-PO's paper: 3e-6 for 2.8 B parameters)")                \
    F(name, schedule, linear, 0, 0, "linear|constant|cosine: course of the step size")             \
    F(int, warmup, 0, 0, 1000000, "updates over which the step size rises from 0")                 \
    F(real, clip_norm, 1, 0, 1e9, "largest gradient norm; 0: no limit")

typedef struct mg_dpo_config {
    MG_CONFIG_STRUCT(MG_DPO_FIELDS)
} mg_dpo_config;

extern const mg_algo mg_algo_dpo;
#endif
