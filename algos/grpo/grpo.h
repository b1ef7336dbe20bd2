// grpo.h - group relative policy optimisation: the group's mean is the baseline, not a critic.
//
// Shao et al. 2024, "DeepSeekMath", arXiv:2402.03300, section 4.1.
#ifndef MG_ALGOS_GRPO_GRPO_H
#define MG_ALGOS_GRPO_GRPO_H
#include "algos/algo.h"

#define MG_GRPO_FIELDS(F)                                                                          \
    F(int, updates, 80, 1, 1000000, "updates in all")                                              \
    F(int, prompts, 8, 1, 65536, "prompts per update")                                             \
    F(int, group, 8, 2, 1024, "answers per prompt (paper: 64)")                                    \
    F(int, epochs, 1, 1, 64, "passes over each batch (paper: 1)")                                  \
    F(int, microbatch, 32, 1, 65536,                                                               \
      "answers read at once where no gradient is asked for; changes memory, not a bit of the result") \
    F(real, lr, 2e-4, 0, 1, "step size (paper: 1e-6 for 7 B parameters)")                          \
    F(name, schedule, linear, 0, 0, "linear|constant|cosine: course of the step size")             \
    F(int, warmup, 0, 0, 1000000, "updates over which the step size rises from 0")                 \
    F(real, clip_norm, 1, 0, 1e9, "largest gradient norm; 0: no limit")                            \
    F(real, adam_eps, 1e-8, 1e-12, 1, "AdamW epsilon")                                             \
    F(real, clip, 0.2, 1e-4, 1, "ratio clip epsilon, eq. 3")                                       \
    F(real, kl_coef, 0.04, 0, 100, "beta: weight of the KL term, eq. 3 (paper: 0.04)")             \
    F(real, temperature, 1, 1e-3, 100, "of sampling, and alike of old, reference and new")         \
    F(real, missing_eos, -1, -1e9, 1e9,                                                            \
      "replaces the reward model's score of an answer without its stop")                           \
    F(flag, divide_by_std, true, 0, 0, "divide advantages by the group's deviation (paper: yes)")  \
    F(name, length_norm, answer, 0, 0,                                                             \
      "answer|batch: mean over each answer's tokens, then over answers (paper), or over all tokens")

typedef struct mg_grpo_config {
    MG_CONFIG_STRUCT(MG_GRPO_FIELDS)
} mg_grpo_config;

extern const mg_algo mg_algo_grpo;

// A_i = r_i - mean r [ / (std r + 1e-4) ] within each run of equal groups; biased deviation.
// A group of one has advantage 0; which groups are too small to learn from, the gate has said before.
// reward, advantage, group [n].
void mg_grpo_advantages(int64_t n, const int32_t *group, const double *reward, bool divide_by_std,
                        double *advantage);
#endif
