// token_logp_naive.c - log softmax(z / temperature)[target] and its entropy in plain loops.
#include <math.h>

#include "ops/naive.h"

// log sum_k exp(z_k / temperature); the largest term is taken out so that nothing overflows.
static double log_sum_exp(const real *z, int64_t n, double temperature) {
    double max = (double)z[0], sum = 0;
    for (int64_t k = 1; k < n; k++) max = fmax(max, (double)z[k]);
    for (int64_t k = 0; k < n; k++) sum += exp(((double)z[k] - max) / temperature);
    return max / temperature + log(sum);
}

void NAIVE(token_logp_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_token_logp_call *c = context;
    const int64_t             n = c->z->cols;

    for (int64_t i = 0; i < c->z->rows; i++) {
        const real *z   = numbers(c->z) + i * n;
        double      lse = log_sum_exp(z, n, c->temperature), entropy = 0;
        numbers(c->logp)[i] = (real)((double)z[c->target[i]] / c->temperature - lse);
        if (!c->entropy) continue;
        for (int64_t k = 0; k < n; k++) {
            double logp = (double)z[k] / c->temperature - lse;
            entropy -= exp(logp) * logp;
        }
        c->entropy[i] = (float)entropy;
    }
}

void NAIVE(token_logp_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_token_logp_call *c = context;
    const int64_t             n = c->z->cols;

    if (!gradient(c->z)) return;
    for (int64_t i = 0; i < c->z->rows; i++) {
        const real *z   = numbers(c->z) + i * n;
        real       *dz  = gradient(c->z) + i * n;
        double      lse = log_sum_exp(z, n, c->temperature);
        double      g   = (double)gradient(c->logp)[i] / c->temperature;
        for (int64_t k = 0; k < n; k++) {
            double p = exp((double)z[k] / c->temperature - lse);
            dz[k] += (real)(g * ((k == c->target[i]) - p));
        }
    }
}
