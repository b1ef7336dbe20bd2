// plain_net.h - for tests: perceptrons, their gradients and Adam in doubles and plain loops, from the formulas alone.
#ifndef MG_ALGOS_PLAIN_NET_H
#define MG_ALGOS_PLAIN_NET_H
#include <math.h>
#include <string.h>

#include "nets/optimiser.h"

enum { PLAIN_WIDE = 16, PLAIN_DEEP = 4, PLAIN_MAX = 2048 };

// One net of ReLU layers: weights in the order W_0 b_0 W_1 b_1 ..., with Adam's state.
typedef struct plain_net {
    int    layers, size[PLAIN_DEEP + 1]; // numbers between layers
    int    n;
    double w[PLAIN_MAX], g[PLAIN_MAX], m[PLAIN_MAX], v[PLAIN_MAX];
    int    t;
} plain_net;

// Net k of a model.
static inline plain_net plain_of(const mg_model *model, int k) {
    const mg_mlp_shape *s = &model->config.mlp;
    plain_net           p = {.layers = (int)s->depth + 1};
    for (int i = 0; i < p.layers; i++) {
        const mg_mlp_layer *l = &model->nets[k * p.layers + i];
        p.size[i]     = (int)l->W->cols;
        p.size[i + 1] = (int)l->W->rows;
        for (int64_t j = 0; j < l->W->rows * l->W->cols; j++) p.w[p.n++] = (double)mg_f32(l->W)[j];
        for (int64_t j = 0; j < l->W->rows; j++) p.w[p.n++] = (double)mg_f32(l->b)[j];
    }
    return p;
}

typedef struct plain_pass {
    double h[PLAIN_DEEP + 1][PLAIN_WIDE]; // h[0] the input, h[layers] the output
} plain_pass;

static inline const double *plain_forward(const plain_net *p, const double *x, plain_pass *a) {
    const double *w = p->w;
    memcpy(a->h[0], x, sizeof *x * (size_t)p->size[0]);
    for (int l = 0; l < p->layers; l++) {
        const int in = p->size[l], out = p->size[l + 1];
        for (int i = 0; i < out; i++) {
            double sum = w[in * out + i];
            for (int j = 0; j < in; j++) sum += w[i * in + j] * a->h[l][j];
            a->h[l + 1][i] = l + 1 < p->layers && sum < 0 ? 0 : sum;
        }
        w += in * out + out;
    }
    return a->h[p->layers];
}

// Adds to g (unless `constant`) and gives d loss / d input.
static inline void plain_backward(plain_net *p, const plain_pass *a, const double *dy, double *dx, bool constant) {
    double d[PLAIN_WIDE], below[PLAIN_WIDE];
    int    at = p->n;
    memcpy(d, dy, sizeof *d * (size_t)p->size[p->layers]);
    for (int l = p->layers - 1; l >= 0; l--) {
        const int in = p->size[l], out = p->size[l + 1];
        at -= in * out + out;
        memset(below, 0, sizeof below);
        for (int i = 0; i < out; i++) {
            if (l + 1 < p->layers && a->h[l + 1][i] <= 0) continue;
            for (int j = 0; j < in; j++) {
                if (!constant) p->g[at + i * in + j] += d[i] * a->h[l][j];
                below[j] += d[i] * p->w[at + i * in + j];
            }
            if (!constant) p->g[at + in * out + i] += d[i];
        }
        memcpy(d, below, sizeof d);
    }
    memcpy(dx, d, sizeof *d * (size_t)p->size[0]);
}

// Kingma & Ba 2015, algorithm 1, with the public codes' constants; gradients are spent.
static inline void plain_adam(plain_net *p, double lr) {
    p->t++;
    for (int i = 0; i < p->n; i++) {
        p->m[i] = 0.9 * p->m[i] + 0.1 * p->g[i];
        p->v[i] = 0.999 * p->v[i] + 0.001 * p->g[i] * p->g[i];
        p->w[i] -= lr * (p->m[i] / (1 - pow(0.9, p->t))) / (sqrt(p->v[i] / (1 - pow(0.999, p->t))) + 1e-8);
        p->g[i] = 0;
    }
}

static inline void plain_follow(plain_net *target, const plain_net *p, double tau) {
    for (int i = 0; i < p->n; i++) target->w[i] = tau * p->w[i] + (1 - tau) * target->w[i];
}

// The largest difference of Adam's first moments of net k, relative to the largest of them: weights alone would not
// show a gradient of another size.
static inline double plain_moments_differ(const plain_net *p, const mg_model *model, const mg_adamw *opt, int k) {
    const mg_mlp_layer *layers = &model->nets[k * p->layers];
    double              most = 0, size = 1e-12;
    int                 at = 0;
    for (int i = 0; i < p->layers; i++) {
        const mg_tensor *parts[] = {layers[i].W, layers[i].b};
        for (int part = 0; part < 2; part++)
            for (int64_t j = 0; j < mg_tensor_count(parts[part]); j++, at++) {
                const double m = (double)opt->m[mg_f32(parts[part]) - model->weights + j];
                most = fmax(most, fabs(m - p->m[at])), size = fmax(size, fabs(p->m[at]));
            }
    }
    return most / size;
}

// The largest difference of net k of a model.
static inline double plain_differs(const plain_net *p, const mg_model *model, int k) {
    const plain_net now  = plain_of(model, k);
    double          most = 0;
    for (int i = 0; i < p->n; i++) most = fmax(most, fabs(now.w[i] - p->w[i]));
    return most;
}
#endif
