// model_oracle.h - for tests: the network once more, in double and in plain loops.
//
// One whole sequence at a time, full attention, no cache, no parents; weights are found by their
// Hugging Face names. It shares nothing with model.c but the places of the parameters.
#ifndef MG_NETS_MODEL_ORACLE_H
#define MG_NETS_MODEL_ORACLE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "nets/model.h"

enum { LONGEST = 512, WIDEST = 64 }; // tokens; vocabulary, heads, feed-forward part

typedef struct oracle {
    const mg_model *m;       // for its shape, and the names and places of its parameters
    const double   *weights; // instead of m->weights
} oracle;

static inline oracle oracle_of(const mg_model *m, mg_arena *arena) {
    double *w = MG_NEW(arena, double, m->n_weights);
    for (int64_t i = 0; i < m->n_weights; i++) w[i] = (double)m->weights[i];
    return (oracle){m, w};
}

// layer -1: a name outside the layers. NULL: there is none.
static inline const double *weight(const oracle *o, int layer, const char *name, const char *kind) {
    char full[96], prefix[32] = "";
    if (layer >= 0) snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    snprintf(full, sizeof full, "%s%s.%s", prefix, name, kind);
    for (int64_t i = 0; i < o->m->n_params; i++)
        if (strcmp(o->m->params[i].name, full) == 0)
            return o->weights + ((float *)o->m->params[i].tensor.data - o->m->weights);
    return NULL;
}

// y = W x + b for the linear map of that name; without a bias where there is none.
static inline void oracle_linear(const oracle *o, int layer, const char *name, const double *x,
                                 int64_t in, double *y, int64_t out) {
    const double *W = weight(o, layer, name, "weight"), *b = weight(o, layer, name, "bias");
    assert_non_null(W);
    for (int64_t i = 0; i < out; i++) {
        y[i] = b ? b[i] : 0;
        for (int64_t j = 0; j < in; j++) y[i] += W[i * in + j] * x[j];
    }
}

static inline void oracle_norm(const oracle *o, int layer, const char *name, const double *x,
                               double *y) {
    const int64_t d = o->m->config.d_model;
    const double *g = weight(o, layer, name, "weight");
    double        mean = 0;
    for (int64_t j = 0; j < d; j++) mean += x[j] * x[j] / (double)d;
    for (int64_t j = 0; j < d; j++) y[j] = g[j] * x[j] / sqrt(mean + o->m->config.norm_eps);
}

// Angle per position of pair j, by the cases of transformers' modeling_rope_utils.py.
static inline double oracle_frequency(const mg_model_config *c, int64_t j) {
    const mg_rope_scaling *s = &c->rope_scaling;
    const double f = 1 / pow(c->rope_theta, (double)(2 * j) / (double)c->head_width);
    if (s->factor == 0) return f;
    const double wavelength = 2 * 3.14159265358979323846 / f, C = (double)s->original_context;
    if (wavelength < C / s->high_freq_factor) return f;
    if (wavelength > C / s->low_freq_factor) return f / s->factor;
    const double smooth =
        (C / wavelength - s->low_freq_factor) / (s->high_freq_factor - s->low_freq_factor);
    return (1 - smooth) * f / s->factor + smooth * f;
}

static inline void oracle_rope(const mg_model_config *c, double *x, int64_t heads,
                               int64_t position) {
    const int64_t h = c->head_width;
    for (int64_t head = 0; head < heads; head++)
        for (int64_t j = 0; j < h / 2; j++) {
            const double angle = (double)position * oracle_frequency(c, j);
            double      *a = &x[head * h + j], *b = &x[head * h + j + h / 2], was = *a;
            *a = was * cos(angle) - *b * sin(angle);
            *b = *b * cos(angle) + was * sin(angle);
        }
}

// y of one head of the last of n tokens. q [h]; k, v: that head's first number of token 0.
static inline void oracle_attend(int64_t n, int64_t h, int64_t stride, const double *q,
                                 const double *k, const double *v, double *y) {
    double p[LONGEST], sum = 0;
    for (int64_t j = 0; j < n; j++) {
        double s = 0;
        for (int64_t x = 0; x < h; x++) s += q[x] * k[j * stride + x];
        sum += p[j] = exp(s / sqrt((double)h));
    }
    for (int64_t x = 0; x < h; x++) {
        y[x] = 0;
        for (int64_t j = 0; j < n; j++) y[x] += p[j] / sum * v[j * stride + x];
    }
}

// h [n, d] of one whole sequence goes through one layer.
static inline void oracle_layer(const oracle *o, int layer, double (*H)[WIDEST], int64_t n) {
    static double q[LONGEST][WIDEST], k[LONGEST][WIDEST], v[LONGEST][WIDEST];
    const mg_model_config *c = &o->m->config;
    const int64_t d = c->d_model, h = c->head_width, width = c->n_heads * h;
    const int64_t kv = c->n_kv_heads * h, per_key = c->n_heads / c->n_kv_heads;
    double        x[WIDEST], y[WIDEST], up[WIDEST];
    for (int64_t i = 0; i < n; i++) {
        oracle_norm(o, layer, "input_layernorm", H[i], x);
        oracle_linear(o, layer, "self_attn.q_proj", x, d, q[i], width);
        oracle_linear(o, layer, "self_attn.k_proj", x, d, k[i], kv);
        oracle_linear(o, layer, "self_attn.v_proj", x, d, v[i], kv);
        oracle_rope(c, q[i], c->n_heads, i);
        oracle_rope(c, k[i], c->n_kv_heads, i);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t a = 0; a < c->n_heads; a++)
            oracle_attend(i + 1, h, WIDEST, &q[i][a * h], &k[0][a / per_key * h],
                          &v[0][a / per_key * h], &y[a * h]);
        oracle_linear(o, layer, "self_attn.o_proj", y, width, x, d);
        for (int64_t j = 0; j < d; j++) H[i][j] += x[j];

        oracle_norm(o, layer, "post_attention_layernorm", H[i], x);
        oracle_linear(o, layer, "mlp.gate_proj", x, d, y, c->d_ff);
        oracle_linear(o, layer, "mlp.up_proj", x, d, up, c->d_ff);
        for (int64_t j = 0; j < c->d_ff; j++) y[j] *= up[j] / (1 + exp(-y[j]));
        oracle_linear(o, layer, "mlp.down_proj", y, c->d_ff, x, d);
        for (int64_t j = 0; j < d; j++) H[i][j] += x[j];
    }
}

// Hidden states [n, d] and what the head says of them, [n, vocab] or [n, 1].
static inline void oracle_run(const oracle *o, const int32_t *tokens, int64_t n,
                              double (*H)[WIDEST], double (*Z)[WIDEST]) {
    const mg_model_config *c = &o->m->config;
    const double          *embed = weight(o, -1, "model.embed_tokens", "weight");
    const double *head = weight(o, -1, c->scalar_head ? "score" : "lm_head", "weight");
    double        x[WIDEST];
    assert_true(n <= LONGEST && c->vocab <= WIDEST && c->n_heads * c->head_width <= WIDEST);
    for (int64_t i = 0; i < n; i++)
        memcpy(H[i], embed + tokens[i] * c->d_model, sizeof(double) * (size_t)c->d_model);
    for (int layer = 0; layer < c->n_layers; layer++) oracle_layer(o, layer, H, n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(x, H[i], sizeof x);
        oracle_norm(o, -1, "model.norm", x, H[i]);
        for (int64_t k = 0; k < (c->scalar_head ? 1 : c->vocab); k++) {
            Z[i][k] = 0;
            for (int64_t j = 0; j < c->d_model; j++)
                Z[i][k] += (head ? head : embed)[k * c->d_model + j] * H[i][j];
        }
    }
}
#endif
