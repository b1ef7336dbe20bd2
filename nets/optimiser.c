// optimiser.c - AdamW, gradient clipping and schedules.
//
// The flat arrays are cut into slices of a fixed size, which the team takes in any order. Each
// leaves its sum of squares in its own place; they are added up in slice order.
#include "nets/optimiser.h"

#include <math.h>
#include <string.h>

enum {
    SLICE = 65536, // weights of one sum of squares
    MOVED = 8192,  // weights of a piece of an update: a small network's too are enough for all threads
    SUMS  = 16,    // sums that run side by side within a slice, folded in order
};

#define NORM_MAX 1e18 // after clipping: the square of a gradient must be a float

mg_err mg_adamw_init(mg_adamw *o, const mg_model *m, const mg_adamw_config *config) {
    MG_ASSERT(config->beta1 >= 0 && config->beta1 < 1 && config->beta2 >= 0 && config->beta2 < 1);
    MG_ASSERT(config->eps > 0 && config->decay >= 0 && config->clip >= 0);
    *o = (mg_adamw){.config = *config, .n_weights = m->n_weights};
    const size_t moments = sizeof(float) * (size_t)m->n_weights;
    const size_t squares = sizeof(double) * (size_t)mg_pieces(m->n_weights, SLICE);
    mg_err       err     = mg_arena_init(&o->arena, "optimiser", 2 * moments + squares + 3 * 64);
    if (err) return err;
    o->m       = mg_arena_alloc(&o->arena, moments);
    o->v       = mg_arena_alloc(&o->arena, moments);
    o->squares = mg_arena_alloc(&o->arena, squares);
    return MG_OK;
}

void mg_adamw_release(mg_adamw *o) {
    mg_arena_release(&o->arena);
    *o = (mg_adamw){0};
}

void mg_adamw_reset(mg_adamw *o) {
    memset(o->m, 0, sizeof *o->m * (size_t)o->n_weights);
    memset(o->v, 0, sizeof *o->v * (size_t)o->n_weights);
    o->steps = 0;
}

typedef struct update {
    mg_adamw *o;
    mg_model *model;
    double    lr, scale;          // of the gradient, by clipping
    double    unbias_m, unbias_v; // 1 / (1 - beta^t)
} update;

static void sum_squares(void *context, int64_t piece, int worker) {
    (void)worker;
    const update *s     = context;
    const int64_t begin = piece * SLICE, end = mg_piece_end(s->o->n_weights, SLICE, piece);
    const float  *g     = s->model->grads;
    double        sums[SUMS] = {0};
    int64_t       i = begin;
    for (; i + SUMS <= end; i += SUMS)
        for (int64_t k = 0; k < SUMS; k++) sums[k] += (double)g[i + k] * (double)g[i + k];
    for (int64_t k = 0; i + k < end; k++) sums[k] += (double)g[i + k] * (double)g[i + k];
    for (int64_t k = 1; k < SUMS; k++) sums[0] += sums[k];
    s->o->squares[piece] = sums[0];
}

// Weights begin .. end-1, all of one parameter. The averages are written m += (1-b)(g - m): a float
// holds 1-b to seven digits, but 1 minus the float b only to five.
static void update_span(const update *s, int64_t begin, int64_t end, double decay) {
    const mg_adamw_config *c = &s->o->config;
    const float step_m = (float)(1 - c->beta1), step_v = (float)(1 - c->beta2);
    const float scale = (float)s->scale, eps = (float)c->eps;
    const float lr = (float)(s->lr * s->unbias_m), unbias_v = (float)s->unbias_v;
    const float kept = (float)(1 - s->lr * decay);
    float *restrict w = s->model->weights, *restrict g = s->model->grads;
    float *restrict m = s->o->m, *restrict v = s->o->v;
    for (int64_t i = begin; i < end; i++) {
        const float clipped = g[i] * scale;
        m[i] += step_m * (clipped - m[i]);
        v[i] += step_v * (clipped * clipped - v[i]);
        w[i] = w[i] * kept - lr * m[i] / (sqrtf(v[i] * unbias_v) + eps);
        g[i] = 0;
    }
}

static void update_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const update *s     = context;
    const int64_t begin = piece * MOVED, end = mg_piece_end(s->o->n_weights, MOVED, piece);
    for (int64_t p = 0; p < s->model->n_params; p++) {
        const mg_param *param = &s->model->params[p];
        const int64_t   from  = (const float *)param->tensor.data - s->model->weights;
        const int64_t   to    = from + mg_tensor_count(&param->tensor);
        const int64_t   lo = from > begin ? from : begin, hi = to < end ? to : end;
        if (lo < hi) update_span(s, lo, hi, param->vector ? 0 : s->o->config.decay);
    }
}

mg_err mg_adamw_step(mg_adamw *o, mg_model *model, double lr, mg_team *team, double *grad_norm) {
    MG_ASSERT(model->grads && o->n_weights == model->n_weights);
    const int64_t pieces = mg_pieces(o->n_weights, SLICE);
    update        s      = {.o = o, .model = model, .lr = lr};
    mg_team_run(team, sum_squares, &s, pieces);
    double sum = 0;
    for (int64_t i = 0; i < pieces; i++) sum += o->squares[i];

    const double norm = sqrt(sum);
    s.scale           = o->config.clip > 0 && norm > o->config.clip ? o->config.clip / norm : 1;
    if (!(norm * s.scale <= NORM_MAX)) // not so for NaN
        return mg_fail(MG_NUMERIC, "the gradient's norm is %g", norm);
    o->steps++;
    s.unbias_m = 1 / (1 - pow(o->config.beta1, (double)o->steps));
    s.unbias_v = 1 / (1 - pow(o->config.beta2, (double)o->steps));
    mg_team_run(team, update_piece, &s, mg_pieces(o->n_weights, MOVED));
    mg_model_touch(model);
    if (grad_norm) *grad_norm = norm;
    return MG_OK;
}

double mg_schedule_lr(mg_schedule s, double lr, int64_t step, int64_t total, int64_t warmup) {
    MG_ASSERT(step >= 0 && total > 0 && warmup >= 0);
    if (step < warmup) return lr * (double)step / (double)warmup;
    const double left = step < total ? (double)(total - step) / (double)(total - warmup) : 0;
    switch (s) {
    case MG_SCHEDULE_LINEAR: return lr * left;
    case MG_SCHEDULE_COSINE: return lr * 0.5 * (1 + cos(M_PI * (1 - left)));
    case MG_SCHEDULE_CONSTANT: break;
    }
    return lr;
}
