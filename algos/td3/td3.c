// td3.c - one gradient step of TD3, in the order of the listing.
//
// Source: Fujimoto, van Hoof & Meger 2018, arXiv:1802.09477, Algorithm 1; offline TD3-BC, Fujimoto & Gu 2021,
// arXiv:2106.06860; constants and order of both as in their public code (sfujim/TD3, sfujim/TD3_BC).
// Not in the paper:
//  - batches, noise and exploration are drawn from streams keyed by the number of the step, with replacement;
//  - behind data come steps in the world in one run, and batches from both (replay_mode);
//  - a run may start from another's policy and critics; targets are then copied from them;
//  - transitions enter the buffer when their episode has ended and was found clean.
#include "algos/td3/td3.h"

#include <math.h>
#include <string.h>

#define MG_CONFIG_OF mg_td3_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_TD3_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

// pi(s) [n, actions] of a policy that nothing is asked of but its actions.
static const float *actions_of(const mg_off_policy *b, mg_model *policy, int64_t n, const float *s) {
    mg_tape   tape = mg_tape_make(b->job->step, b->job->team, false);
    mg_tensor x    = {.dtype = MG_F32, .rows = n, .cols = b->observations, .data = (void *)s};
    return mg_f32(mg_activation(&tape, mg_mlp_forward(&tape, policy, &x), MG_TANH));
}

// a~ = clip(pi'(s') + clip(eps, -c, c), -1, 1),  eps ~ N(0, policy_noise)
static float *smoothed(const mg_td3 *l, const mg_transitions *b) {
    const mg_off_policy *base = &l->base;
    const mg_td3_config *c    = &l->config;
    float *a   = (float *)actions_of(base, base->actor_target, b->n, b->next);
    mg_rng rng = mg_rng_stream(base->job->seed, MG_PURPOSE_NOISE, (uint64_t)base->state.updates);
    for (int64_t i = 0; i < b->n * base->actions; i++) {
        const double eps = c->policy_noise * mg_rng_normal(&rng);
        const double x   = (double)a[i] + fmax(-c->noise_clip, fmin(c->noise_clip, eps));
        a[i]             = (float)fmax(-1, fmin(1, x));
    }
    return a;
}

// y = r + gamma (1 - d) min_k Q'_k(s', a~);  both critics towards y
static mg_err critics(mg_td3 *l, const mg_transitions *b) {
    mg_off_policy *base = &l->base;
    const float   *q = mg_off_policy_values(base, base->critic_target, b->n, b->next, smoothed(l, b), base->actions);
    double        *least = MG_NEW(base->job->step, double, b->n);
    float         *y     = MG_NEW(base->job->step, float, b->n);
    for (int64_t i = 0; i < b->n; i++) least[i] = (double)fminf(q[2 * i], q[2 * i + 1]);
    mg_off_policy_target(b, base->config.gamma, least, y);
    return mg_off_policy_critic_step(base, b, y);
}

// grad_phi of the loss at Q_1(s, pi_phi(s))
static mg_err policy(mg_td3 *l, const mg_transitions *b) {
    mg_off_policy *base = &l->base;
    mg_tape        tape = mg_tape_make(base->job->step, base->job->team, true);
    mg_tensor      s    = {.dtype = MG_F32, .rows = b->n, .cols = base->observations, .data = b->observation};
    mg_tensor     *pi   = mg_activation(&tape, mg_mlp_forward(&tape, base->actor, &s), MG_TANH);
    mg_tensor     *q    = mg_off_policy_through(base, &tape, b, pi, 1);
    const unsigned anchors = base->state.learnt.online ? l->anchors : 0;
    const mg_actor_terms x = {
        .n = b->n, .actions = base->actions, .q = mg_f32(q), .pi = mg_f32(pi), .data = b->action,
        .target = anchors & MG_TD3_TARGET ? actions_of(base, base->actor_target, b->n, b->observation) : NULL,
        .frozen = anchors & MG_TD3_FROZEN ? actions_of(base, base->anchor, b->n, b->observation) : NULL,
        .dq = mg_grad(q), .dpi = mg_grad(pi)};
    const double loss = base->state.learnt.online ? l->loss(l, &x) : mg_actor_loss_bc(&x, l->config.bc_alpha, 1);
    base->sums.data_distance += mg_action_distance(b->n, base->actions, x.pi, b->action);
    if (isfinite(loss)) mg_tape_backward(&tape);
    return mg_off_policy_actor_step(base, loss);
}

// Algorithm 1, the body of its loop behind "sample mini-batch".
static mg_err step(mg_off_policy *base) {
    mg_td3              *l   = (mg_td3 *)base;
    const mg_transitions b   = mg_off_policy_draw(base);
    mg_err               err = critics(l, &b);
    if (err || (base->state.updates + 1) % l->config.policy_delay != 0) return err;
    err = policy(l, &b);
    if (!err) mg_off_policy_follow(base);
    return err;
}

mg_err mg_td3_open(mg_learner **out, const mg_job *job, const mg_td3_config *config, unsigned anchors,
                   mg_td3_loss *loss, const void *more) {
    const mg_td3_config *c = config;
    const mg_off_policy_config shared = {.offline_updates = c->offline_updates, .steps = c->steps,
                                         MG_OFF_POLICY_FIELDS(MG_TD3_COPY)};
    mg_td3 *l = MG_NEW(job->run, mg_td3, 1);
    *l = (mg_td3){.config = *config, .loss = loss, .anchors = anchors, .more = more,
                  .base = {.step = step, .noise = config->explore_noise}};
    mg_err err = mg_off_policy_open(&l->base, job, &shared, MG_HEAD_TANH, true, anchors & MG_TD3_FROZEN);
    if (err)
        mg_off_policy_close((mg_learner *)l);
    else
        *out = (mg_learner *)l;
    return err;
}

static double plain(mg_td3 *l, const mg_actor_terms *x) {
    (void)l;
    return mg_actor_loss_plain(x);
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    return mg_td3_open(out, job, config, 0, plain, NULL);
}

const mg_algo mg_algo_td3 = {
    .name        = "td3",
    .summary     = "a deterministic policy learnt through twin critics, from a replay buffer",
    .citation    = "Fujimoto et al. 2018, arXiv:1802.09477",
    .fields      = fields,
    .config_size = sizeof(mg_td3_config),
    .open        = open_learner,
    MG_OFF_POLICY_FUNCTIONS,
};
