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
struct mg_td3 {
    mg_off_policy base; // first: a learner's pointer is this one's too
    mg_td3_config config;
    // The actor's loss and its gradients, written to x. Called once per actor step, in the world; offline it is
    // TD3-BC's.
    double (*loss)(mg_td3 *l, const mg_actor_terms *x);
    const void *more; // the config of who changes the loss
};

extern const mg_algo mg_algo_td3;

// Opens a learner of that loss; td3_bc/ and td3_c/ are this. Errors: those of mg_off_policy_open.
mg_err mg_td3_open(mg_learner **out, const mg_job *job, const mg_td3_config *config, bool anchored,
                   double (*loss)(mg_td3 *l, const mg_actor_terms *x), const void *more) MG_MUST_USE;
// Of algo.h's table, but for open and the like.
#define MG_TD3_FUNCTIONS                                                                                            \
    .acts_in = MG_IN_VECTORS, .needs_world = true, .updates = mg_td3_updates, .update = mg_td3_update,               \
    .steps_end = mg_td3_steps_end, .act = mg_td3_act, .learn = mg_td3_learn, .state = mg_td3_state,                   \
    .parts = mg_td3_parts, .finish = mg_td3_finish, .close = mg_td3_close
#endif
