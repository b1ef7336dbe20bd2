// sac.h - soft actor-critic: a stochastic policy that is paid for entropy, with a learnt temperature.
//
// Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", arXiv:1812.05905, Algorithm 1.
#ifndef MG_ALGOS_SAC_SAC_H
#define MG_ALGOS_SAC_SAC_H
#include "algos/off_policy.h"

#define MG_SAC_FIELDS(F)                                                                                            \
    F(int, steps, 100000, 0, 1000000000, "environment steps, played in whole episodes (ours)")                      \
    MG_OFF_POLICY_FIELDS(F)                                                                                         \
    F(real, alpha, 1, 1e-6, 1e6, "temperature at the beginning, also of a run that starts from a policy")             \
    F(flag, alpha_learnt, true, 0, 0, "the temperature is learnt (section 5); else it stays")                       \
    F(real, alpha_lr, 3e-4, 0, 1, "step size of log alpha")                                                         \
    F(real, target_entropy, -1, -1e6, 1e6, "in nats, for each number of an action")

typedef struct mg_sac_config {
    MG_CONFIG_STRUCT(MG_SAC_FIELDS)
} mg_sac_config;

typedef struct mg_sac {
    mg_off_policy base; // first: a pointer to one is a pointer to the other
    mg_sac_config config;
} mg_sac;

extern const mg_algo mg_algo_sac;
#endif
