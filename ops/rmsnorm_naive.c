// rmsnorm_naive.c - y_j = g_j x_j r, r = 1 / sqrt(mean_j x_j^2 + eps), in plain loops.
//
// With u_j = x_j r:  dg_j += dy_j u_j,  dx_j += r (g_j dy_j - u_j mean_k(g_k dy_k u_k)).
#include <math.h>

#include "ops/naive.h"

static real inverse_rms(const real *x, int64_t d, double eps) {
    real sum = 0;
    for (int64_t j = 0; j < d; j++) sum += x[j] * x[j];
    return 1 / (real)sqrt((double)(sum / (real)d) + eps);
}

void NAIVE(rmsnorm_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rmsnorm_call *c = context;
    const int64_t          d = c->x->cols;
    const real            *g = numbers(c->g);

    for (int64_t i = 0; i < c->x->rows; i++) {
        const real *x = numbers(c->x) + i * d;
        real       *y = numbers(c->y) + i * d;
        real        r = inverse_rms(x, d, c->eps);
        for (int64_t j = 0; j < d; j++) y[j] = g[j] * (x[j] * r);
    }
}

void NAIVE(rmsnorm_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rmsnorm_call *c  = context;
    const int64_t          d  = c->x->cols;
    const real            *g  = numbers(c->g);
    real                  *dg = gradient(c->g), *dx = gradient(c->x);

    for (int64_t i = 0; i < c->x->rows; i++) {
        const real *x = numbers(c->x) + i * d, *dy = gradient(c->y) + i * d;
        real        r = inverse_rms(x, d, c->eps), mean = 0;
        for (int64_t j = 0; j < d; j++) mean += g[j] * dy[j] * x[j] * r;
        mean /= (real)d;
        for (int64_t j = 0; j < d; j++) {
            if (dg) dg[j] += dy[j] * x[j] * r;
            if (dx) dx[i * d + j] += r * (g[j] * dy[j] - x[j] * r * mean);
        }
    }
}
