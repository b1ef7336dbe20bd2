// td3_c.c - the actor's loss of TD3 under a constraint, and its multiplier. The rest is td3/.
//
// Source: the kind of Luo et al. 2023, arXiv:2303.17396, of whose constants nothing is public; the multiplier is
// learnt by dual ascent beside the policy, as in MPO (Abdolmaleki et al. 2018, arXiv:1806.06920).
// Ours: bound, its schedule, the multiplier's parametrisation and step (actor_loss.h); the loss divided by
// 1 + lambda, so that the step's size does not grow with the multiplier; the constraint's term in units of mean |Q|.
#include "algos/td3_c/td3_c.h"

#include <string.h>

#define MG_CONFIG_OF mg_td3_c_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_TD3_C_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

double mg_td3_c_bound(const mg_td3_c_config *c, int64_t steps) {
    if (c->eps_steps == 0) return c->eps;
    const double share = steps < c->eps_steps ? (double)steps / (double)c->eps_steps : 1;
    return c->eps + share * (c->eps_end - c->eps);
}

static double loss(mg_td3 *l, const mg_actor_terms *x) {
    const mg_td3_c_config *d      = l->more;
    double                *eta    = &l->base.state.learnt.variable;
    const float           *a      = x->target ? x->target : x->frozen ? x->frozen : x->data;
    const double           lambda = d->fixed ? d->lambda0 : mg_multiplier(*eta);
    const double           eps    = mg_td3_c_bound(d, l->base.state.steps) * mg_job_bound(l->base.job);
    const double           c      = mg_action_distance(x->n, x->actions, x->pi, a);
    const double           loss   = mg_actor_loss_constraint(x, a, lambda, d->scale_free);
    if (!d->fixed) *eta = mg_multiplier_ascend(*eta, c, eps, d->dual_lr);
    l->base.sums.distance += c, l->base.sums.multiplier += lambda, l->base.sums.bound += eps;
    return loss;
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    const mg_td3_c_config *c       = config;
    const mg_td3_config    td3     = MG_TD3_PART(c);
    const unsigned         anchors = strcmp(c->anchor, "target") == 0   ? MG_TD3_TARGET
                                     : strcmp(c->anchor, "frozen") == 0 ? MG_TD3_FROZEN
                                                                        : 0;
    mg_err err = mg_td3_open(out, job, &td3, anchors, loss, c);
    if (!err) ((mg_td3 *)*out)->base.state.learnt.variable = mg_multiplier_eta(c->lambda0);
    return err;
}

const mg_algo mg_algo_td3_c = {
    .name        = "td3_c",
    .summary     = "TD3 that may not move far from an anchor: a constraint with a learnt multiplier",
    .citation    = "after Luo et al. 2023, arXiv:2303.17396",
    .fields      = fields,
    .config_size = sizeof(mg_td3_c_config),
    .open        = open_learner,
    MG_OFF_POLICY_FUNCTIONS,
};
