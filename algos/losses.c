// losses.c - losses and their derivatives.
#include "algos/losses.h"

#include <math.h>

double mg_loss_clip(int64_t n, const float *logp, const double *logp_old, const double *A,
                    const uint8_t *keep, double eps, double weight, float *dlogp,
                    mg_clip_counts *counts) {
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
        if (keep && !keep[t]) continue;
        const double log_rho = (double)logp[t] - logp_old[t], rho = exp(log_rho);
        const double clipped = fmin(fmax(rho, 1 - eps), 1 + eps);
        const double plain = -A[t] * rho, bound = -A[t] * clipped;
        // Where the bound is the larger one, rho lies outside the interval and has no gradient. Not
        // so for NaN, which goes on into the loss.
        if (bound > plain) {
            sum += bound;
        } else {
            sum += plain;
            dlogp[t] += (float)(weight * plain); // d rho / d logp = rho
        }
        if (counts) {
            counts->tokens += 1;
            counts->clipped += bound > plain;
            counts->ratio_off_max = fmax(counts->ratio_off_max, fabs(rho - 1));
            counts->kl += rho - 1 - log_rho;
        }
    }
    return weight * sum;
}

double mg_loss_value(int64_t n, const float *V, const double *V_old, const double *target,
                     const uint8_t *keep, double eps, double weight, float *dV) {
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
        if (keep && !keep[t]) continue;
        const double v = V[t], clipped = fmin(fmax(v, V_old[t] - eps), V_old[t] + eps);
        const double plain = (v - target[t]) * (v - target[t]);
        const double bound = (clipped - target[t]) * (clipped - target[t]);
        if (bound > plain) {
            sum += bound; // v lies outside the interval: no gradient
        } else {
            sum += plain; // NaN too
            dV[t] += (float)(weight * (v - target[t]));
        }
    }
    return weight * 0.5 * sum;
}

double mg_loss_bradley_terry(double margin, double *dmargin) {
    // log(1 + exp(-m)) without overflow on either side.
    const double e = exp(-fabs(margin));
    *dmargin       = margin >= 0 ? -e / (1 + e) : -1 / (1 + e);
    return log1p(e) + (margin < 0 ? -margin : 0);
}

double mg_loss_k3(int64_t n, const float *logp, const double *ref, const uint8_t *keep,
                  double weight, float *dlogp) {
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
        if (keep && !keep[t]) continue;
        const double d = ref[t] - (double)logp[t];
        sum += exp(d) - d - 1;
        dlogp[t] += (float)(weight * (1 - exp(d)));
    }
    return weight * sum;
}
