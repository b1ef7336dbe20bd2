// gae.c - advantages, and whitening.
#include "algos/gae.h"

#include <math.h>

#include "core/err.h"

void mg_gae(int64_t n, const double *r, const double *v, double bootstrap, double gamma,
            double lambda, double *advantage, double *target) {
    MG_ASSERT(advantage != r && advantage != v && target != v);
    double a = 0, v_next = bootstrap;
    for (int64_t t = n - 1; t >= 0; t--) {
        const double delta = r[t] + gamma * v_next - v[t]; // eq. 11
        a                  = delta + gamma * lambda * a;   // eq. 16
        advantage[t] = a;
        target[t]    = a + v[t];
        v_next       = v[t];
    }
}

void mg_whiten(int64_t n, double *x, const uint8_t *keep, int keep_mean) {
    double count = 0, mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++)
        if (!keep || keep[i]) count++, mean += x[i];
    if (count == 0) return;
    mean /= count;
    for (int64_t i = 0; i < n; i++)
        if (!keep || keep[i]) var += (x[i] - mean) * (x[i] - mean);
    const double scale = 1 / sqrt(var / count + 1e-8);
    for (int64_t i = 0; i < n; i++)
        if (!keep || keep[i]) x[i] = (x[i] - mean) * scale + (keep_mean ? mean : 0);
}
