// td3_bc.h - TD3 with a term of behaviour cloning: learning from a logged data set, and going on in the world.
//
// Fujimoto & Gu 2021, "A minimalist approach to offline reinforcement learning", arXiv:2106.06860. The learner is
// td3's; in the world the same loss goes on, with a weight that may fade.
#ifndef MG_ALGOS_TD3_BC_TD3_BC_H
#define MG_ALGOS_TD3_BC_TD3_BC_H
#include "algos/td3/td3.h"

#define MG_TD3_BC_FIELDS(F)                                                                                         \
    F(int, offline_updates, 100000, 0, 1000000000, "gradient steps on `data` (paper: 1000000)")                     \
    F(int, steps, 0, 0, 1000000000, "environment steps behind them (paper: none)")                                  \
    MG_TD3_SHARED_FIELDS(F)                                                                                         \
    F(int, bc_anneal_steps, 0, 0, 1000000000,                                                                       \
      "environment steps in which the weight of cloning falls from 1 to 0; 0: it stays (ours)")

typedef struct mg_td3_bc_config {
    MG_CONFIG_STRUCT(MG_TD3_BC_FIELDS)
} mg_td3_bc_config;

extern const mg_algo mg_algo_td3_bc;

// The weight of cloning after so many environment steps.
double mg_td3_bc_weight(int64_t steps, int64_t anneal_steps);
#endif
