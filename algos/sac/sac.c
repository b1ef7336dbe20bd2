// sac.c - one gradient step of SAC, in the order of the listing.
//
// Source: Haarnoja et al. 2018, arXiv:1812.05905, Algorithm 1, equations 5, 7, 9 and 18; appendix C for the
// log-density behind tanh.
// Not in the paper:
//  - the order within a step is critics, policy, temperature, targets, all on one batch; the temperature's gradient
//    is that of -log alpha (log pi + H) in log alpha, as common implementations have it;
//  - log deviations are clamped to [-20, 2];
//  - the first start_steps actions are drawn evenly; transitions enter the buffer when their episode has ended and
//    was found clean; data, where there are any, are drawn from as replay_mode says.
#include "algos/sac/sac.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "nets/act.h"

#define MG_CONFIG_OF mg_sac_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_SAC_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

// Draw `which` of this gradient step: 0 at the next states, 1 at the states.
static const float *noise(const mg_off_policy *b, uint32_t which, int64_t n) {
    float *e   = MG_NEW(b->job->step, float, n);
    mg_rng rng = mg_rng_stream(b->job->seed, MG_PURPOSE_NOISE, (uint64_t)b->state.updates);
    mg_rng_seek(&rng, which, 0, 0);
    for (int64_t i = 0; i < n; i++) e[i] = (float)mg_rng_normal(&rng);
    return e;
}

// a ~ pi(s) and log pi(a | s), side by side [n, actions + 1].
static mg_tensor *drawn(const mg_off_policy *b, mg_tape *tape, uint32_t which, int64_t n, float *s) {
    mg_tensor *x = MG_NEW(tape->arena, mg_tensor, 1);
    *x = (mg_tensor){.dtype = MG_F32, .rows = n, .cols = b->observations, .data = s};
    return mg_squash(tape, mg_mlp_forward(tape, b->actor, x), noise(b, which, n * b->actions), MG_LOG_DEVIATION_MIN,
                     MG_LOG_DEVIATION_MAX);
}

// y = r + gamma (1 - d) (min_k Q'_k(s', a') - alpha log pi(a' | s')),  a' ~ pi(s')
static mg_err critics(mg_sac *l, const mg_transitions *b, double alpha) {
    mg_off_policy *base   = &l->base;
    mg_tape        tape   = mg_tape_make(base->job->step, base->job->team, false);
    const int64_t  stride = base->actions + 1;
    const float   *a      = mg_f32(drawn(base, &tape, 0, b->n, b->next));
    const float   *q      = mg_off_policy_values(base, base->critic_target, b->n, b->next, a, stride);
    double        *soft   = MG_NEW(base->job->step, double, b->n);
    float         *y      = MG_NEW(base->job->step, float, b->n);
    for (int64_t i = 0; i < b->n; i++)
        soft[i] = (double)fminf(q[2 * i], q[2 * i + 1]) - alpha * (double)a[i * stride + base->actions];
    mg_off_policy_target(b, base->config.gamma, soft, y);
    return mg_off_policy_critic_step(base, b, y);
}

// J_pi = mean alpha log pi(a | s) - min_k Q_k(s, a),  a ~ pi(s)
static mg_err policy(mg_sac *l, const mg_transitions *b, double alpha, double *logp) {
    mg_off_policy *base = &l->base;
    mg_tape        tape = mg_tape_make(base->job->step, base->job->team, true);
    mg_tensor     *pi   = drawn(base, &tape, 1, b->n, b->observation);
    mg_tensor     *q    = mg_off_policy_through(base, &tape, b, pi, 2);
    const float   *Q = mg_f32(q), *a = mg_f32(pi);
    float         *dq = mg_grad(q), *da = mg_grad(pi);
    const double   n = (double)b->n;
    double         loss = 0;
    *logp = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t k    = Q[2 * i] <= Q[2 * i + 1] ? 2 * i : 2 * i + 1;
        const int64_t last = i * pi->cols + base->actions;
        loss += (alpha * (double)a[last] - (double)Q[k]) / n;
        *logp += (double)a[last] / n;
        dq[k]    = (float)(-1 / n);
        da[last] = (float)(alpha / n);
    }
    if (isfinite(loss)) mg_tape_backward(&tape);
    return mg_off_policy_actor_step(base, loss);
}

// Algorithm 1, the body of its inner loop.
static mg_err step(mg_off_policy *base) {
    mg_sac              *l     = (mg_sac *)base;
    const mg_transitions b     = mg_off_policy_draw(base);
    const double         alpha = exp(base->state.learnt.variable);
    double               logp  = 0;
    mg_err               err   = critics(l, &b, alpha);
    if (!err) err = policy(l, &b, alpha, &logp);
    if (err) return err;
    base->sums.temperature += alpha, base->sums.entropy -= logp;
    if (l->config.alpha_learnt)
        mg_off_policy_variable_step(&base->state.learnt, -(logp + l->config.target_entropy * (double)base->actions),
                                    l->config.alpha_lr);
    mg_off_policy_follow(base);
    return MG_OK;
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
#define COPY(kind, name, fallback, min, max, doc) .name = c->name,
    const mg_sac_config       *c      = config;
    const mg_off_policy_config shared = {.steps = c->steps, MG_OFF_POLICY_FIELDS(COPY)};
#undef COPY
    mg_sac *l = MG_NEW(job->run, mg_sac, 1);
    *l = (mg_sac){.config = *c, .base = {.step = step, .state = {.learnt = {.variable = log(c->alpha)}}}};
    mg_err err = mg_off_policy_open(&l->base, job, &shared, MG_HEAD_TANH_GAUSSIAN, false, false);
    if (!err && job->model_folder[0])
        mg_log(MG_LOG_INFO, "%s: the temperature is not carried on, it begins at alpha, %g", job->model_folder,
               c->alpha);
    if (err)
        mg_off_policy_close((mg_learner *)l);
    else
        *out = (mg_learner *)l;
    return err;
}

const mg_algo mg_algo_sac = {
    .name        = "sac",
    .summary     = "a stochastic policy that is paid for its entropy, from a replay buffer",
    .citation    = "Haarnoja et al. 2018, arXiv:1812.05905",
    .fields      = fields,
    .config_size = sizeof(mg_sac_config),
    .open        = open_learner,
    MG_OFF_POLICY_FUNCTIONS,
};
