// squash_naive.c - a tanh-Gaussian's draw and its log-density, in plain loops.
#include <math.h>

#include "ops/naive.h"

static real between(real x, double low, double high) {
    return x < (real)low ? (real)low : x > (real)high ? (real)high : x;
}

void NAIVE(squash_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_squash_call *c = context;
    const int64_t         A = c->z->cols / 2;

    for (int64_t i = 0; i < c->z->rows; i++) {
        const real *z    = numbers(c->z) + i * 2 * A;
        real       *y    = numbers(c->y) + i * (A + 1);
        double      logp = 0;
        for (int64_t j = 0; j < A; j++) {
            const double l = (double)between(z[A + j], c->low, c->high), n = (double)c->noise[i * A + j];
            const double u = (double)z[j] + exp(l) * n;
            // log(1 - tanh^2 u) = 2 (log 2 - u - log(1 + exp(-2 u))), which stays finite
            logp += -0.5 * n * n - l - 0.5 * log(2 * M_PI) -
                    2 * (log(2) - fabs(u) - log1p(exp(-2 * fabs(u))));
            y[j] = (real)tanh(u);
        }
        y[A] = (real)logp;
    }
}

// d a / d u = 1 - a^2; d logp / d u = 2 a, and - 1 to the log deviation by its own term.
void NAIVE(squash_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_squash_call *c  = context;
    const real           *dy = gradient(c->y);
    real                 *dz = gradient(c->z);
    const int64_t         A  = c->z->cols / 2;

    if (!dz) return;
    for (int64_t i = 0; i < c->z->rows; i++)
        for (int64_t j = 0; j < A; j++) {
            const real l = numbers(c->z)[i * 2 * A + A + j], a = numbers(c->y)[i * (A + 1) + j];
            const real dlogp = dy[i * (A + 1) + A];
            const real du    = dy[i * (A + 1) + j] * (1 - a * a) + dlogp * 2 * a;
            dz[i * 2 * A + j] += du;
            if (l > (real)c->low && l < (real)c->high)
                dz[i * 2 * A + A + j] += du * (real)(exp((double)l) * (double)c->noise[i * A + j]) - dlogp;
        }
}
