// bootstrap.h - confidence interval for a mean, or for the mean difference of pairs, from a sample
// of fixed size.
//
// Source: the BCa interval (bias-corrected and accelerated) of Efron 1987, "Better bootstrap
// confidence intervals", as in Efron & Tibshirani 1993, "An introduction to the bootstrap",
// chapter 14: the order statistics of resampled means at the levels
//
//     Phi(z0 + (z0 + z) / (1 - a (z0 + z))),   z = Phi^-1(alpha/2) and Phi^-1(1 - alpha/2)
//     z0 = Phi^-1(share of resampled means below the mean)                          (14.14)
//     a  = sum d^3 / (6 (sum d^2)^(3/2)),  d = x_i - mean    (14.15 with the jackknife of a mean)
//
// With z0 = a = 0 it is the percentile interval. Why BCa: like the studentised interval it errs by
// O(1/n) where percentiles err by O(1/sqrt n), and unlike it never leaves the range of the data and
// does not break down when a resample has no variance, which scores with many ties bring about.
//
// This is for reports: it is valid once, at a sample size fixed beforehand. To look as data arrive,
// use betting.h. In small samples it covers too seldom: 91 times in 100 instead of 95 for 20
// draws of an exponential, 94 for 50 normal ones (4,000 simulated samples each).
#ifndef MG_STATS_BOOTSTRAP_H
#define MG_STATS_BOOTSTRAP_H
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

enum { MG_BOOTSTRAP_N_MAX = 1000000 };    // observations; the work is 1999 n draws
#define MG_BOOTSTRAP_ALPHA_MIN 0.01       // below, too few resamples lie outside the ends

typedef struct mg_interval {
    double mean, low, high;
} mg_interval;

// Of x[0..n). Draws from r. Errors: MG_EMPTY (n < 2), MG_LIMIT (n or alpha out of range),
// MG_NUMERIC (a value that is not finite).
mg_err mg_bootstrap_mean(const double *x, int64_t n, double alpha, mg_rng *r,
                         mg_interval *out) MG_MUST_USE;

// Of a[i] - b[i]: pairs are resampled whole. Errors: the same.
mg_err mg_bootstrap_difference(const double *a, const double *b, int64_t n, double alpha,
                               mg_rng *r, mg_interval *out) MG_MUST_USE;
#endif
