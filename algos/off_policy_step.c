// off_policy_step.c - the parts of a gradient step on transitions.
#include "algos/off_policy.h"

#include <math.h>
#include <string.h>

#include "store/replay.h"

enum { FOLLOWED = 16384 }; // weights of a target in one piece of work

// ---- Batches

// How many of n come from the data; the rest from the buffer.
static int64_t from_data(const mg_off_policy *l, mg_rng *rng, int64_t n) {
    const char     *mode = l->config.replay_mode;
    const mg_replay *ring = l->job->replay;
    const int64_t   data = l->job->transitions ? l->job->transitions->n : 0;
    const int64_t   held = ring ? mg_replay_rows(ring) - mg_replay_low(ring) : 0;
    int64_t         k    = 0;
    if (!l->state.learnt.online) return n;
    if (data == 0 || strcmp(mode, "empty") == 0 || strcmp(mode, "warmup") == 0) return 0;
    if (held == 0) return n;
    if (strcmp(mode, "half") == 0) return n / 2;
    for (int64_t i = 0; i < n; i++) k += (int64_t)mg_rng_below(rng, (uint64_t)(data + held)) < data;
    return k;
}

mg_transitions mg_off_policy_draw(const mg_off_policy *l) {
    const int64_t  n    = l->config.batch;
    mg_rng         rng  = mg_rng_stream(l->job->seed, MG_PURPOSE_BATCH, (uint64_t)l->state.updates);
    mg_transitions b    = mg_transitions_new(l->job->step, n, l->observations, l->actions);
    const int64_t  k    = from_data(l, &rng, n);
    mg_transitions data = mg_transitions_view(&b, 0, k), ring = mg_transitions_view(&b, k, n - k);
    if (k > 0) mg_transitions_sample(l->job->transitions, &rng, &data);
    if (k < n) mg_replay_sample(l->job->replay, &rng, &ring);
    mg_mlp_normalise(l->actor, b.observation, n, b.observation);
    mg_mlp_normalise(l->actor, b.next, n, b.next);
    return b;
}

// ---- Critics

static mg_tensor *constant(mg_arena *a, int64_t rows, int64_t cols, const float *numbers) {
    mg_tensor *t = MG_NEW(a, mg_tensor, 1);
    *t = (mg_tensor){.dtype = MG_F32, .rows = rows, .cols = cols, .data = (void *)numbers};
    return t;
}

// [s, a], as critics read them.
static mg_tensor *joined(const mg_off_policy *l, mg_tape *tape, int64_t n, const float *s, mg_tensor *a) {
    return mg_concat(tape, constant(tape->arena, n, l->observations, s), a, l->actions);
}

const float *mg_off_policy_values(const mg_off_policy *l, mg_model *critics, int64_t n, const float *s,
                                  const float *a, int64_t stride) {
    mg_tape tape = mg_tape_make(l->job->step, l->job->team, false);
    return mg_f32(mg_mlp_forward(&tape, critics, joined(l, &tape, n, s, constant(tape.arena, n, stride, a))));
}

void mg_off_policy_target(const mg_transitions *b, double gamma, const double *next, float *y) {
    for (int64_t i = 0; i < b->n; i++)
        y[i] = (float)((double)b->reward[i] + (b->terminal[i] ? 0 : gamma * next[i]));
}

mg_err mg_off_policy_critic_step(mg_off_policy *l, const mg_transitions *b, const float *y) {
    mg_tape    tape = mg_tape_make(l->job->step, l->job->team, true);
    mg_tensor *a    = constant(tape.arena, b->n, l->actions, b->action);
    mg_tensor *q    = mg_mlp_forward(&tape, l->critic, joined(l, &tape, b->n, b->observation, a));
    const float *Q = mg_f32(q);
    float       *dq = mg_grad(q);
    double       loss = 0, mean = 0;
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t k = 0; k < 2; k++) {
            const double off = (double)Q[2 * i + k] - (double)y[i];
            loss += off * off / (double)b->n;
            dq[2 * i + k] = (float)(2 * off / (double)b->n);
            if (k == 0) mean += (double)Q[2 * i] / (double)b->n;
        }
    if (!isfinite(loss))
        return mg_fail(MG_NUMERIC, "critic loss is %g at gradient step %lld", loss, (long long)l->state.updates);
    mg_tape_backward(&tape);
    l->sums.critic_loss += loss, l->sums.q += mean, l->sums.steps++;
    return mg_adamw_step(&l->critic_opt, l->critic, l->config.critic_lr, l->job->team, NULL);
}

// ---- Policies

static int64_t layers_of(const mg_off_policy *l) {
    return l->critic->config.mlp.nets * (l->critic->config.mlp.depth + 1);
}

void mg_off_policy_constant_open(mg_off_policy *l) {
    l->constant = MG_NEW(l->job->run, mg_mlp_layer, layers_of(l));
    for (int64_t i = 0; i < layers_of(l); i++) {
        l->constant[i].W = MG_NEW(l->job->run, mg_tensor, 1);
        l->constant[i].b = MG_NEW(l->job->run, mg_tensor, 1);
    }
}

void mg_off_policy_constant_close(mg_off_policy *l) {
    for (int64_t i = 0; l->constant && i < layers_of(l); i++)
        if (!l->critic->nets[i].W->packed) mg_linear_unpack(l->constant[i].W);
    l->constant = NULL;
}

// The numbers as they are now; what products have packed serves both, and is the original's.
static void follow_tensor(mg_tensor *copy, mg_tensor *original) {
    if (!original->packed)
        original->packed = copy->packed;
    else if (copy->packed != original->packed)
        mg_linear_unpack(copy);
    *copy      = *original;
    copy->grad = NULL;
}

static const mg_mlp_layer *constant_layers(mg_off_policy *l) {
    for (int64_t i = 0; i < layers_of(l); i++) {
        follow_tensor(l->constant[i].W, l->critic->nets[i].W);
        follow_tensor(l->constant[i].b, l->critic->nets[i].b);
    }
    return l->constant;
}

mg_tensor *mg_off_policy_through(mg_off_policy *l, mg_tape *tape, const mg_transitions *b, mg_tensor *a,
                                 int64_t nets) {
    const mg_mlp_shape *s = &l->critic->config.mlp;
    return mg_mlp(tape, joined(l, tape, b->n, b->observation, a), constant_layers(l), s->depth + 1, nets,
                  s->tanh ? MG_TANH : MG_RELU);
}

mg_err mg_off_policy_actor_step(mg_off_policy *l, double loss) {
    if (!isfinite(loss))
        return mg_fail(MG_NUMERIC, "policy loss is %g at gradient step %lld", loss, (long long)l->state.updates);
    l->sums.actor_loss += loss, l->sums.actor_steps++;
    return mg_adamw_step(&l->actor_opt, l->actor, l->config.lr * mg_job_step(l->job), l->job->team, NULL);
}

// theta' <- theta' + tau (theta - theta')
typedef struct following {
    float       *target;
    const float *from;
    int64_t      n;
    float        tau;
} following;

static void follow_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const following *f   = context;
    const int64_t    end = mg_piece_end(f->n, FOLLOWED, piece);
    float *restrict  to  = f->target;
    for (int64_t i = piece * FOLLOWED; i < end; i++) to[i] += f->tau * (f->from[i] - to[i]);
}

static void polyak(const mg_off_policy *l, mg_model *target, const mg_model *from) {
    following f = {target->weights, from->weights, from->n_weights, (float)l->config.tau};
    mg_team_run(l->job->team, follow_piece, &f, mg_pieces(f.n, FOLLOWED));
    mg_model_touch(target);
}

void mg_off_policy_follow(mg_off_policy *l) {
    polyak(l, l->critic_target, l->critic);
    if (l->actor_target) polyak(l, l->actor_target, l->actor);
}

void mg_off_policy_variable_step(mg_off_policy_learnt *s, double gradient, double lr) {
    s->t += 1;
    s->m += 0.1 * (gradient - s->m);
    s->v += 0.001 * (gradient * gradient - s->v);
    const double m = s->m / (1 - pow(0.9, s->t)), v = s->v / (1 - pow(0.999, s->t));
    s->variable -= lr * m / (sqrt(v) + 1e-8);
}
