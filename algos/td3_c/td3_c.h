// td3_c.h - TD3 under a constraint: fine-tuning in the world that may not move far at once.
//
//   maximise E[Q_1(s, pi(s))]  subject to  c = E ||pi(s) - a(s)||^2 / A <= eps
//
// for anchors a: the target policy, which follows; the policy as it was at the passage to the world; the batch's
// actions. Luo et al. 2023, "Finetuning from offline reinforcement learning: challenges, trade-offs and practical
// solutions", arXiv:2303.17396, propose conservative policy optimisation of this kind. The bound, the step of the
// multiplier and the scaling of its terms are ours.
#ifndef MG_ALGOS_TD3_C_TD3_C_H
#define MG_ALGOS_TD3_C_TD3_C_H
#include "algos/td3/td3.h"

#define MG_TD3_C_FIELDS(F)                                                                                          \
    MG_TD3_FIELDS(F)                                                                                                \
    F(name, anchor, target, 0, 0,                                                                                   \
      "target|frozen|data: where actions are to stay near: the target policy's, those of the policy that the world " \
      "was begun with, the batch's")                                                                                \
    F(real, eps, 1e-3, 1e-12, 1e3, "bound of the mean squared distance of an action's numbers, in [-1, 1] (ours)")  \
    F(real, eps_end, 1e-3, 1e-12, 1e3, "bound after eps_steps, straight on the way (ours)")                         \
    F(int, eps_steps, 0, 0, 1000000000, "environment steps from eps to eps_end; 0: it stays eps")                   \
    F(real, dual_lr, 0.01, 0, 1e3, "step of the multiplier's ascent (ours)")                                        \
    F(real, lambda0, 1, 1e-4, 1e4, "multiplier at the beginning")                                                   \
    F(flag, fixed, false, 0, 0, "lambda stays lambda0: a penalty instead of a constraint")                          \
    F(flag, scale_free, true, 0, 0, "the constraint's term is scaled by mean |Q_1|")

typedef struct mg_td3_c_config {
    MG_CONFIG_STRUCT(MG_TD3_C_FIELDS)
} mg_td3_c_config;

extern const mg_algo mg_algo_td3_c;

// The bound after so many environment steps.
double mg_td3_c_bound(const mg_td3_c_config *c, int64_t steps);
#endif
