// act.c - from a policy's numbers to actions.
#include "nets/act.h"

#include <math.h>
#include <string.h>

#define LOG_2PI_HALF 0.918938533204672742 // log(2 pi) / 2

int64_t mg_act_numbers(const mg_mlp_shape *s) {
    MG_ASSERT(s->head != MG_HEAD_NONE && s->nets == 1);
    return s->head == MG_HEAD_CATEGORICAL ? 0 : s->head == MG_HEAD_TANH_GAUSSIAN ? s->out / 2 : s->out;
}

double mg_log_tanh_slope(double u) {
    const double softplus = fmax(-2 * u, 0) + log1p(exp(-2 * fabs(u))); // log(1 + exp(-2u))
    return 2 * (log(2) - u - softplus);
}

static mg_err check(const mg_model *m, const mg_tensor *y) {
    for (int64_t i = 0; i < mg_tensor_count(y); i++)
        if (!isfinite(mg_f32(y)[i]))
            return mg_fail(MG_NUMERIC, "number %lld of the policy for row %lld is %g", (long long)(i % y->cols),
                           (long long)(i / y->cols), (double)mg_f32(y)[i]);
    for (int64_t j = 0; m->config.mlp.head == MG_HEAD_GAUSSIAN && j < y->cols; j++)
        if (!isfinite(mg_f32(m->free)[j]))
            return mg_fail(MG_NUMERIC, "the logarithm of the policy's deviation of number %lld is %g", (long long)j,
                           (double)mg_f32(m->free)[j]);
    return MG_OK;
}

static void put(const mg_acts *out, int64_t at, double a, double scale) {
    if (out->drawn) out->drawn[at] = (float)a;
    if (out->action) out->action[at] = (float)(scale * fmin(fmax((double)(float)a, -1), 1));
}

// One row of a tanh or tanh-Gaussian head. draws NULL: the mode.
static void squash(const mg_mlp_shape *s, const float *y, int64_t i, mg_rng *draws, const mg_acts *out) {
    const bool    noisy = s->head == MG_HEAD_TANH_GAUSSIAN;
    const int64_t n     = mg_act_numbers(s);
    double        logp  = 0;
    for (int64_t j = 0; j < n; j++) {
        const double deviation = noisy ? fmin(fmax((double)y[n + j], MG_LOG_DEVIATION_MIN), MG_LOG_DEVIATION_MAX) : 0;
        const double e         = noisy && draws ? mg_rng_normal(draws) : 0;
        const double u         = noisy ? (double)y[j] + exp(deviation) * e : (double)y[j];
        put(out, i * n + j, tanh(u), s->action_scale);
        logp += -e * e / 2 - deviation - LOG_2PI_HALF - mg_log_tanh_slope(u);
    }
    if (out->logp) out->logp[i] = logp;
}

// The first of the likeliest; or by the distribution function, from the first choice to the last, which has the rest.
static int32_t choose(const float *z, int64_t n, mg_rng *draws) {
    int32_t best = 0, k = 0;
    double  sum = 0;
    for (int32_t j = 1; j < n; j++)
        if (z[j] > z[best]) best = j;
    if (!draws) return best;
    for (int64_t j = 0; j < n; j++) sum += exp((double)z[j] - (double)z[best]);
    const double u     = mg_rng_uniform(draws) * sum;
    double       below = exp((double)z[0] - (double)z[best]);
    while (k < n - 1 && u >= below) below += exp((double)z[++k] - (double)z[best]);
    return k;
}

// Log-probabilities are those that a learner's tape computes again: the same operation, on the same numbers.
static void widen(const mg_tensor *logp, const mg_acts *out) {
    for (int64_t i = 0; out->logp && i < logp->rows; i++) out->logp[i] = (double)mg_f32(logp)[i];
}

// A deviation that is not a number, or too large for one, would pass for an end of the world's range.
static mg_err act_gaussian(mg_tape *t, mg_model *m, mg_tensor *y, mg_rng *draws, const mg_acts *out) {
    const int64_t n     = y->cols;
    float        *drawn = mg_arena_alloc(t->arena, sizeof *drawn * (size_t)(y->rows * n));
    for (int64_t i = 0; i < y->rows; i++)
        for (int64_t j = 0; j < n; j++) {
            const double e = draws ? mg_rng_normal(&draws[i]) : 0, d = draws ? exp((double)mg_f32(m->free)[j]) : 0;
            drawn[i * n + j] = (float)((double)mg_f32(y)[i * n + j] + d * e);
            if (!isfinite(drawn[i * n + j]))
                return mg_fail(MG_NUMERIC, "number %lld of the action drawn for row %lld is %g: the logarithm of the "
                                           "policy's deviation is %g", (long long)j, (long long)i,
                               (double)drawn[i * n + j], (double)mg_f32(m->free)[j]);
            put(out, i * n + j, (double)drawn[i * n + j], m->config.mlp.action_scale);
        }
    if (out->logp) widen(mg_gaussian_logp(t, y, m->free, drawn), out);
    return MG_OK;
}

static void act_categorical(mg_tape *t, mg_tensor *y, mg_rng *draws, const mg_acts *out) {
    int32_t *choice = MG_NEW(t->arena, int32_t, y->rows);
    for (int64_t i = 0; i < y->rows; i++) {
        choice[i] = choose(mg_f32(y) + i * y->cols, y->cols, draws ? &draws[i] : NULL);
        if (out->choice) out->choice[i] = choice[i];
    }
    if (out->logp) widen(mg_token_logp(t, y, choice, 1, NULL), out);
}

mg_err mg_act(mg_model *policy, mg_team *team, const float *observations, int64_t rows, mg_rng *draws,
              mg_arena *scratch, const mg_acts *out) {
    const mg_mlp_shape *s    = &policy->config.mlp;
    const size_t        mark = mg_arena_mark(scratch);
    mg_tape             tape = mg_tape_make(scratch, team, false);
    mg_tensor          *x    = mg_tape_tensor(&tape, rows, s->in);
    MG_ASSERT(policy->nets && s->nets == 1 && !(s->head == MG_HEAD_TANH && out->logp));
    mg_mlp_normalise(policy, observations, rows, mg_f32(x));
    mg_tensor *y   = mg_mlp_forward(&tape, policy, x);
    mg_err     err = check(policy, y);
    if (!err) switch (s->head) {
        case MG_HEAD_NONE: MG_ASSERT(!"a policy"); break;
        case MG_HEAD_TANH:
        case MG_HEAD_TANH_GAUSSIAN:
            for (int64_t i = 0; i < rows; i++)
                squash(s, mg_f32(y) + i * s->out, i, draws ? &draws[i] : NULL, out);
            break;
        case MG_HEAD_GAUSSIAN: err = act_gaussian(&tape, policy, y, draws, out); break;
        case MG_HEAD_CATEGORICAL: act_categorical(&tape, y, draws, out); break;
        }
    mg_arena_reset(scratch, mark);
    return err;
}
