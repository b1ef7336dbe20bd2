// mlp.c - perceptrons forward.
#include "nets/mlp.h"

mg_tensor *mg_mlp_forward(mg_tape *t, mg_model *m, mg_tensor *x) {
    const mg_mlp_shape *s = &m->config.mlp;
    MG_ASSERT(m->nets && x->cols == s->in);
    return mg_mlp(t, x, m->nets, s->depth + 1, s->nets, s->tanh ? MG_TANH : MG_RELU);
}

void mg_mlp_normalise(const mg_model *m, const float *x, int64_t n, float *out) {
    const int64_t in   = m->config.mlp.in;
    const float  *mean = mg_f32(m->mean), *scale = mg_f32(m->scale);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < in; j++) out[i * in + j] = (x[i * in + j] - mean[j]) * scale[j];
}

void mg_mlp_set_input(mg_model *m, const double *mean, const double *deviation) {
    for (int64_t j = 0; j < m->config.mlp.in; j++) {
        MG_ASSERT(deviation[j] > 0);
        mg_f32(m->mean)[j]  = (float)mean[j];
        mg_f32(m->scale)[j] = (float)(1 / deviation[j]);
    }
}
