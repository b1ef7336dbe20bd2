// bootstrap.c - resampled means, sorted, read off at bias-corrected and accelerated levels.
#include "stats/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "stats/order.h"

// So that (RESAMPLES + 1) alpha/2 is whole for the usual alphas; DiCiccio & Efron 1996, "Bootstrap
// confidence intervals", use 2,000 for BCa.
enum { RESAMPLES = 1999 };

// A sample, or the differences of pairs (b not NULL).
typedef struct sample {
    const double *a, *b;
    int64_t       n;
} sample;

static inline double at(const sample *s, int64_t i) { return s->b ? s->a[i] - s->b[i] : s->a[i]; }

static mg_err check(const sample *s, double alpha) {
    if (s->n < 2)
        return mg_fail(MG_EMPTY, "a bootstrap interval needs 2 observations, found %lld",
                       (long long)s->n);
    if (s->n > MG_BOOTSTRAP_N_MAX)
        return mg_fail(MG_LIMIT, "a bootstrap interval takes %d observations at most, found %lld",
                       MG_BOOTSTRAP_N_MAX, (long long)s->n);
    if (!(MG_BOOTSTRAP_ALPHA_MIN <= alpha && alpha < 1))
        return mg_fail(MG_LIMIT, "alpha of a bootstrap interval: found %g, wanted %g to below 1",
                       alpha, MG_BOOTSTRAP_ALPHA_MIN);
    for (int64_t i = 0; i < s->n; i++)
        if (!isfinite(at(s, i)))
            return mg_fail(MG_NUMERIC, "bootstrap: observation %lld of %lld is %g", (long long)i,
                           (long long)s->n, at(s, i));
    return MG_OK;
}

static double mean_of(const sample *s) {
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += at(s, i);
    return sum / (double)s->n;
}

static double resampled_mean(const sample *s, mg_rng *r) {
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += at(s, (int64_t)mg_rng_below(r, (uint64_t)s->n));
    return sum / (double)s->n;
}

static double normal_cdf(double z) { return erfc(-z * M_SQRT1_2) / 2; }

// By bisection: three calls an interval do not deserve a table of coefficients.
static double normal_quantile(double p) {
    double low = -9, high = 9; // Phi(-9) is 1e-19
    for (int i = 0; i < 60; i++) {
        const double z = (low + high) / 2;
        if (normal_cdf(z) < p) low = z;
        else high = z;
    }
    return (low + high) / 2;
}

// sum (x_i - mean)^k
static double moment(const sample *s, double mean, int k) {
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += pow(at(s, i) - mean, k);
    return sum;
}

// Among few distinct scores many resampled means equal the mean but for rounding; each counts
// half, or rounding would move z0. The added half keeps z0 finite.
static double bias_correction(const double *means, double mean, double sd) {
    const double tie   = 1e-9 * sd;
    double       below = 0.5;
    for (int64_t i = 0; i < RESAMPLES; i++)
        below += means[i] < mean - tie ? 1 : means[i] <= mean + tie ? 0.5 : 0;
    return normal_quantile(below / (RESAMPLES + 1));
}

static mg_err interval(const sample *s, double alpha, mg_rng *r, mg_interval *out) {
    const mg_err err = check(s, alpha);
    if (err) return err;
    double       means[RESAMPLES];
    const double mean = mean_of(s);
    for (int64_t i = 0; i < RESAMPLES; i++) means[i] = resampled_mean(s, r);
    qsort(means, RESAMPLES, sizeof *means, mg_by_value);

    const double d2 = moment(s, mean, 2), d3 = moment(s, mean, 3);
    const double z0 = bias_correction(means, mean, sqrt(d2 / (double)s->n));
    const double a  = d2 > 0 ? d3 / (6 * d2 * sqrt(d2)) : 0;
    double       end[2];
    for (int i = 0; i < 2; i++) {
        const double z = z0 + normal_quantile(i ? 1 - alpha / 2 : alpha / 2);
        // |a| < 1/6 (its limit is one outlier) and |z| < 6.1, so the divisor leaves 0 only for
        // samples whose every resampled mean lies on one side.
        const double level = normal_cdf(z0 + z / fmax(1 - a * z, 0.01));
        end[i]             = mg_order_statistic(means, RESAMPLES, level);
    }
    *out = (mg_interval){.mean = mean, .low = end[0], .high = end[1]};
    return MG_OK;
}

mg_err mg_bootstrap_mean(const double *x, int64_t n, double alpha, mg_rng *r, mg_interval *out) {
    return interval(&(sample){.a = x, .n = n}, alpha, r, out);
}

mg_err mg_bootstrap_difference(const double *a, const double *b, int64_t n, double alpha,
                               mg_rng *r, mg_interval *out) {
    return interval(&(sample){.a = a, .b = b, .n = n}, alpha, r, out);
}
