// td3_bc.c - the actor's loss of TD3-BC, in the world too. The rest is td3/.
//
// Source: Fujimoto & Gu 2021, arXiv:2106.06860, equations 3 to 5, and its public code (sfujim/TD3_BC).
// Not in the paper:
//  - in the world, what is cloned is the batch's action, of the policy's own past as well as of the data, and the
//    weight of cloning may fall to 0 in a straight line (ours);
//  - as in the code, lambda's mean |Q| is at the policy's actions, not at the data's as the text has it.
#include "algos/td3_bc/td3_bc.h"

#define MG_CONFIG_OF mg_td3_bc_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_TD3_BC_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

double mg_td3_bc_weight(int64_t steps, int64_t anneal_steps) {
    if (anneal_steps == 0) return 1;
    return steps < anneal_steps ? 1 - (double)steps / (double)anneal_steps : 0;
}

static double loss(mg_td3 *l, const mg_actor_terms *x) {
    const mg_td3_bc_config *c = l->more;
    return mg_actor_loss_bc(x, l->config.bc_alpha, mg_td3_bc_weight(l->base.state.steps, c->bc_anneal_steps));
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    const mg_td3_bc_config *c   = config;
    const mg_td3_config     td3 = MG_TD3_PART(c);
    if (!job->transitions && job->model_folder[0] == 0)
        return mg_fail(MG_CONFIG, "data: found none, wanted a file of transitions, which td3_bc learns from");
    return mg_td3_open(out, job, &td3, 0, loss, c);
}

const mg_algo mg_algo_td3_bc = {
    .name        = "td3_bc",
    .summary     = "TD3 that stays near the actions of a logged data set",
    .citation    = "Fujimoto & Gu 2021, arXiv:2106.06860",
    .fields      = fields,
    .config_size = sizeof(mg_td3_bc_config),
    .open        = open_learner,
    MG_OFF_POLICY_FUNCTIONS,
};
