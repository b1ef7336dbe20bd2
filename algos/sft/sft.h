// sft.h - supervised fine-tuning: imitate the references by maximum likelihood.
#ifndef MG_ALGOS_SFT_SFT_H
#define MG_ALGOS_SFT_SFT_H
#include "algos/algo.h"

#define MG_SFT_FIELDS(F)                                                                           \
    F(real, epochs, 1, 1e-3, 1000, "passes over the data")                                         \
    F(int, batch, 64, 1, 65536, "rows per update")                                                 \
    F(int, microbatch, 32, 1, 65536,                                                               \
      "rows read at once where no gradient is asked for; changes memory, not a bit of the result") \
    F(real, lr, 1e-3, 0, 1, "step size (DR-PO's paper: 3e-6 for 2.8 B parameters)")                \
    F(name, schedule, cosine, 0, 0, "linear|constant|cosine: course of the step size")             \
    F(int, warmup, 50, 0, 1000000, "updates over which the step size rises from 0")                \
    F(real, clip_norm, 1, 0, 1e9, "largest gradient norm; 0: no limit")                            \
    F(real, decay, 0.01, 0, 10, "decoupled weight decay, on matrices")                             \
    F(flag, prompt_loss, false, 0, 0, "learn the prompt's tokens as well: for a fresh model")

typedef struct mg_sft_config {
    MG_CONFIG_STRUCT(MG_SFT_FIELDS)
} mg_sft_config;

extern const mg_algo mg_algo_sft;
#endif
