// optimiser.c - AdamW, gradient clipping and schedules.
#include "nets/optimiser.h"

#include <math.h>

#define SLICE 65536 // weights per piece: the norm is summed in slice order, whatever the threads

mg_err mg_adamw_init(mg_adamw *o, const mg_model *m, const mg_adamw_config *config) {
    *o = (mg_adamw){.config = *config, .n_weights = m->n_weights};
    const size_t size = sizeof(float) * (size_t)m->n_weights;
    mg_err       err  = mg_arena_init(&o->arena, "optimiser", 2 * (size + 64));
    if (err) return err;
    o->m = mg_arena_alloc(&o->arena, size);
    o->v = mg_arena_alloc(&o->arena, size);
    return MG_OK;
}

void mg_adamw_release(mg_adamw *o) {
    mg_arena_release(&o->arena);
    *o = (mg_adamw){0};
}

typedef struct step {
    mg_adamw *o;
    mg_model *model;
    double   *squares; // [pieces] sum of g^2 of a slice
    double    lr, scale;
    double    unbias_m, unbias_v; // 1 / (1 - beta^t)
} step;

static void sum_squares(void *context, int64_t piece, int worker) {
    (void)worker;
    const step   *s   = context;
    const int64_t end = mg_piece_end(s->o->n_weights, SLICE, piece);
    double        sum = 0;
    for (int64_t i = piece * SLICE; i < end; i++) {
        const double g = (double)s->model->grads[i];
        sum += g * g;
    }
    s->squares[piece] = sum;
}

// One parameter's part of a slice: the fused update of the header's formula.
static void update_span(const step *s, int64_t begin, int64_t end, double decay) {
    const mg_adamw_config *c = &s->o->config;
    const float b1 = (float)c->beta1, b2 = (float)c->beta2, eps = (float)c->eps;
    const float scale = (float)s->scale, lr = (float)s->lr, shrink = (float)(1 - s->lr * decay);
    const float um = (float)s->unbias_m, uv = (float)s->unbias_v;
    float *restrict w = s->model->weights, *restrict g = s->model->grads;
    float *restrict m = s->o->m, *restrict v = s->o->v;
    for (int64_t i = begin; i < end; i++) {
        const float gi = g[i] * scale;
        m[i] = b1 * m[i] + (1 - b1) * gi;
        v[i] = b2 * v[i] + (1 - b2) * gi * gi;
        w[i] = w[i] * shrink - lr * (m[i] * um) / (sqrtf(v[i] * uv) + eps);
        g[i] = 0;
    }
}

static void update_slice(void *context, int64_t piece, int worker) {
    (void)worker;
    const step   *s     = context;
    const int64_t begin = piece * SLICE, end = mg_piece_end(s->o->n_weights, SLICE, piece);
    for (int64_t p = 0; p < s->model->n_params; p++) {
        const mg_param *param = &s->model->params[p];
        const int64_t   from  = (float *)param->tensor.data - s->model->weights;
        const int64_t   to    = from + mg_tensor_count(&param->tensor);
        const int64_t   lo = from > begin ? from : begin, hi = to < end ? to : end;
        if (lo < hi) update_span(s, lo, hi, param->vector ? 0 : s->o->config.decay);
    }
}

mg_err mg_adamw_step(mg_adamw *o, mg_model *model, double lr, mg_team *team, double *grad_norm) {
    MG_ASSERT(model->grads && o->n_weights == model->n_weights);
    const int64_t pieces = mg_pieces(o->n_weights, SLICE);
    const size_t  mark   = mg_arena_mark(&model->arena);
    step          s      = {.o = o, .model = model, .lr = lr};
    s.squares            = MG_NEW(&model->arena, double, pieces);
    mg_team_run(team, sum_squares, &s, pieces);
    double sum = 0;
    for (int64_t i = 0; i < pieces; i++) sum += s.squares[i];
    mg_arena_reset(&model->arena, mark);

    const double norm = sqrt(sum);
    if (!isfinite(norm)) return mg_fail(MG_NUMERIC, "the gradient's norm is %g", norm);
    o->steps++;
    s.scale    = o->config.clip > 0 && norm > o->config.clip ? o->config.clip / norm : 1;
    s.unbias_m = 1 / (1 - pow(o->config.beta1, (double)o->steps));
    s.unbias_v = 1 / (1 - pow(o->config.beta2, (double)o->steps));
    mg_team_run(team, update_slice, &s, pieces);
    mg_model_touch(model);
    if (grad_norm) *grad_norm = norm;
    return MG_OK;
}

double mg_schedule_lr(mg_schedule s, double lr, int64_t at, int64_t total, int64_t warmup) {
    MG_ASSERT(at >= 0 && total > 0 && warmup >= 0);
    if (at < warmup) return lr * (double)(at + 1) / (double)warmup;
    const double left = total > warmup ? (double)(total - at) / (double)(total - warmup) : 1;
    switch (s) {
    case MG_SCHEDULE_LINEAR: return lr * fmax(left, 0);
    case MG_SCHEDULE_COSINE: return lr * 0.5 * (1 - cos(3.141592653589793 * fmax(left, 0)));
    case MG_SCHEDULE_CONSTANT: break;
    }
    return lr;
}
