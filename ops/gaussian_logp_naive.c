// gaussian_logp_naive.c - sum_j log N(x_ij; m_ij, exp(s_j)^2) in plain loops.
#include <math.h>

#include "ops/naive.h"

void NAIVE(gaussian_logp_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_gaussian_logp_call *c = context;
    const int64_t                d = c->m->cols;

    for (int64_t i = 0; i < c->m->rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < d; j++) {
            const double s = (double)numbers(c->s)[j];
            const double z = ((double)c->x[i * d + j] - (double)numbers(c->m)[i * d + j]) / exp(s);
            sum += -z * z / 2 - s - log(2 * acos(-1)) / 2;
        }
        numbers(c->logp)[i] = (real)sum;
    }
}

void NAIVE(gaussian_logp_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_gaussian_logp_call *c  = context;
    const int64_t                d  = c->m->cols;
    real                        *dm = gradient(c->m), *ds = gradient(c->s);

    for (int64_t i = 0; i < c->m->rows; i++) {
        const double g = (double)gradient(c->logp)[i];
        for (int64_t j = 0; j < d; j++) {
            const double deviation = exp((double)numbers(c->s)[j]);
            const double z = ((double)c->x[i * d + j] - (double)numbers(c->m)[i * d + j]) / deviation;
            if (dm) dm[i * d + j] += (real)(g * z / deviation);
            if (ds) ds[j] += (real)(g * (z * z - 1));
        }
    }
}
