// td3.h - twin delayed deep deterministic policy gradient, and the learner that td3_bc/ and td3_c/ change.
//
// Fujimoto, van Hoof & Meger 2018, arXiv:1802.09477, Algorithm 1. What its two relatives change is the loss of the
// actor alone (actor_loss.h), which is chosen at every actor step: behind data, and in the world.
#ifndef MG_ALGOS_TD3_TD3_H
#define MG_ALGOS_TD3_TD3_H
#include "algos/off_policy.h"
#include "algos/td3/actor_loss.h"

#define MG_TD3_SHARED_FIELDS(F)                                                                                     \
    MG_OFF_POLICY_FIELDS(F)                                                                                         \
    F(real, policy_noise, 0.2, 0, 10, "deviation of the noise on the target's action")                              \
    F(real, noise_clip, 0.5, 0, 10, "and its limit")                                                                \
    F(int, policy_delay, 2, 1, 1000, "gradient steps of the critics for each of the policy")                        \
    F(real, explore_noise, 0.1, 0, 10, "deviation of the noise on actions in the world")                            \
    F(real, bc_alpha, 2.5, 0, 1e9, "alpha of TD3-BC's loss, which is what is learnt by from data")

#define MG_TD3_FIELDS(F)                                                                                            \
    F(int, offline_updates, 0, 0, 1000000000, "gradient steps of TD3-BC on `data` before the world is touched")     \
    F(int, steps, 100000, 0, 1000000000, "environment steps, played in whole episodes (ours)")                      \
    MG_TD3_SHARED_FIELDS(F)

typedef struct mg_td3_config {
    MG_CONFIG_STRUCT(MG_TD3_FIELDS)
} mg_td3_config;

// The fields of td3, copied by name from the struct of a list that begins with them.
#define MG_TD3_COPY(kind, name, fallback, min, max, doc) .name = c->name,
#define MG_TD3_PART(c)                                                                                              \
    (mg_td3_config) { .offline_updates = (c)->offline_updates, .steps = (c)->steps, MG_TD3_SHARED_FIELDS(MG_TD3_COPY) }

typedef struct mg_td3 mg_td3;

// The actor's loss, whose gradients are added to x's. Called once per actor step.
typedef double mg_td3_loss(mg_td3 *l, const mg_actor_terms *x);

typedef enum mg_td3_anchors { MG_TD3_TARGET = 1, MG_TD3_FROZEN = 2 } mg_td3_anchors;

struct mg_td3 {
    mg_off_policy base; // first: a pointer to one is a pointer to the other
    mg_td3_config config;
    mg_td3_loss  *loss;    // in the world; on data it is TD3-BC's
    unsigned      anchors; // of mg_td3_anchors: whose actions the loss is told
    const void   *more;    // the config of who changes the loss
};

extern const mg_algo mg_algo_td3;

// Opens a learner of that loss, as td3_bc/ and td3_c/ do. Errors: those of mg_off_policy_open.
mg_err mg_td3_open(mg_learner **out, const mg_job *job, const mg_td3_config *config, unsigned anchors,
                   mg_td3_loss *loss, const void *more) MG_MUST_USE;
#endif
