// Goal:   the interval sits at the levels of Efron's BCa, and covers the mean as often as it says.
// Method: all 6^6 resamples of a small sample give the exact bootstrap distribution, and from it,
//         with a jackknife left out one by one, the levels; simulated samples of known mean; what
//         shifting, scaling, turning and pairing must do.
#include "stats/bootstrap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static mg_interval of(const double *x, int64_t n, double alpha, uint64_t seed) {
    mg_rng      r = mg_rng_stream(seed, MG_PURPOSE_BOOTSTRAP, 0);
    mg_interval found;
    assert_int_equal(mg_bootstrap_mean(x, n, alpha, &r, &found), MG_OK);
    return found;
}

enum { SMALL = 6, ALL = 46656 }; // 6^6
static const double SKEWED[SMALL] = {0.11, 0.28, 0.53, 0.97, 2.05, 6.71};

static void every_resample(double *means) {
    for (int k = 0; k < ALL; k++) {
        means[k] = 0;
        for (int i = 0, digits = k; i < SMALL; i++, digits /= SMALL)
            means[k] += SKEWED[digits % SMALL] / SMALL;
    }
}

// Share of all resamples whose mean is below v; those within rounding of v count half.
static double share_below(const double *means, double v) {
    double below = 0;
    for (int k = 0; k < ALL; k++) below += means[k] < v - 1e-9 ? 1 : means[k] < v + 1e-9 ? .5 : 0;
    return below / ALL;
}

static double phi(double z) { return (1 + erf(z / sqrt(2))) / 2; }

// Newton's method on phi.
static double phi_inverse(double p) {
    double z = 0;
    for (int i = 0; i < 100; i++) z -= (phi(z) - p) * sqrt(2 * M_PI) * exp(z * z / 2);
    return z;
}

// Efron & Tibshirani 1993, eq. 14.15: over the estimates with one observation left out.
static double jackknife_acceleration(void) {
    double without[SMALL], mean = 0, square = 0, cube = 0;
    for (int i = 0; i < SMALL; i++) {
        without[i] = 0;
        for (int j = 0; j < SMALL; j++) without[i] += j == i ? 0 : SKEWED[j] / (SMALL - 1);
        mean += without[i] / SMALL;
    }
    for (int i = 0; i < SMALL; i++) {
        square += pow(mean - without[i], 2);
        cube += pow(mean - without[i], 3);
    }
    return cube / (6 * pow(square, 1.5));
}

// At alpha = .1 the exact levels are far from the percentiles' .05 and .95. One call reads a level
// to about .01 (1,999 resamples, z0 included), 200 calls in the mean to .001; the distribution's
// steps add as much again.
static void ends_sit_at_the_levels_of_the_exact_distribution(void **state) {
    (void)state;
    static double means[ALL];
    double        mean = 0, low = 0, high = 0;
    every_resample(means);
    for (int i = 0; i < SMALL; i++) mean += SKEWED[i] / SMALL;
    const double z0 = phi_inverse(share_below(means, mean)), a = jackknife_acceleration();
    const double z = phi_inverse(.95);
    const double level_low  = phi(z0 + (z0 - z) / (1 - a * (z0 - z)));
    const double level_high = phi(z0 + (z0 + z) / (1 - a * (z0 + z)));
    assert_true(level_low > .08 && level_high > .98);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const mg_interval found = of(SKEWED, SMALL, .1, seed);
        near(found.mean, mean, 1e-12);
        low += share_below(means, found.low) / 200;
        high += share_below(means, found.high) / 200;
    }
    near(low, level_low, .004);
    near(high, level_high, .004);
}

// For 50 normal draws a percentile interval is mean +- 1.96 sqrt(49/50) s / sqrt(50), in the mean
// over resamples, and covers with probability P(|t_49| < 1.94) = .942; BCa estimates two numbers
// more and loses a little. 1,000 samples: standard error .0074.
static void the_mean_is_covered_as_often_as_t_says(void **state) {
    (void)state;
    enum { N = 50, SAMPLES = 1000 };
    mg_rng draw = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    double x[N];
    int    covered = 0;
    for (uint64_t k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < N; i++) x[i] = 3 + mg_rng_normal(&draw);
        const mg_interval found = of(x, N, .05, k);
        covered += found.low <= 3 && 3 <= found.high;
    }
    near((double)covered / SAMPLES, .942, 3 * .0074);
}

static void shifting_scaling_and_turning_the_data_do_so_to_the_interval(void **state) {
    (void)state;
    const mg_interval plain = of(SKEWED, SMALL, .05, 7);
    double            scaled[SMALL], turned[SMALL];
    for (int i = 0; i < SMALL; i++) scaled[i] = 10 + 3 * SKEWED[i], turned[i] = -SKEWED[i];
    const mg_interval s = of(scaled, SMALL, .05, 7), t = of(turned, SMALL, .05, 7);
    near(s.mean, 10 + 3 * plain.mean, 1e-12);
    near(s.low, 10 + 3 * plain.low, 1e-12);
    near(s.high, 10 + 3 * plain.high, 1e-12);
    near(t.low, -plain.high, 1e-12);
    near(t.high, -plain.low, 1e-12);
    assert_true(SKEWED[0] < plain.low && plain.low < plain.mean);
    assert_true(plain.mean < plain.high && plain.high < SKEWED[SMALL - 1]);
}

static void pairs_stay_together(void **state) {
    (void)state;
    double before[SMALL], halved[SMALL];
    for (int i = 0; i < SMALL; i++) before[i] = SKEWED[i] - .25, halved[i] = SKEWED[i] / 2;
    mg_rng      r = mg_rng_stream(3, MG_PURPOSE_BOOTSTRAP, 0);
    mg_interval d;
    assert_int_equal(mg_bootstrap_difference(SKEWED, before, SMALL, .05, &r, &d), MG_OK);
    near(d.low, .25, 1e-12); // unpaired, the spread of SKEWED would show
    near(d.high, .25, 1e-12);

    const mg_interval mean = of(halved, SMALL, .05, 4);
    r                      = mg_rng_stream(4, MG_PURPOSE_BOOTSTRAP, 0);
    assert_int_equal(mg_bootstrap_difference(SKEWED, halved, SMALL, .05, &r, &d), MG_OK);
    assert_memory_equal(&d, &mean, sizeof d); // x - x/2 is x/2, bit for bit
}

// With half of 20 outcomes a win, 18 % of resampled means equal 1/2. Were they counted as not
// below, z0 would be -.22 and the interval off centre by .05; counted half, its centre is 1/2.
static void ties_pull_to_neither_side(void **state) {
    (void)state;
    double outcome[20], centre = 0;
    for (int i = 0; i < 20; i++) outcome[i] = i % 2;
    for (uint64_t seed = 0; seed < 50; seed++) {
        const mg_interval found = of(outcome, 20, .05, seed);
        centre += (found.low + found.high) / 2 / 50;
    }
    near(centre, .5, .01);

    const double equal[] = {.1, .1, .1};
    const mg_interval e  = of(equal, 3, .05, 0);
    near(e.low, .1, 1e-15);
    near(e.high, .1, 1e-15);
}

static void the_stream_decides_every_bit(void **state) {
    (void)state;
    const mg_interval a = of(SKEWED, SMALL, .05, 1), b = of(SKEWED, SMALL, .05, 1),
                      c = of(SKEWED, SMALL, .05, 2);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
}

static void what_has_no_interval_is_refused(void **state) {
    (void)state;
    const double      bad[] = {1, NAN, 2}, huge[] = {1, INFINITY};
    const mg_interval before = {1, 2, 3};
    mg_interval       out    = before;
    mg_rng            r      = mg_rng_stream(1, MG_PURPOSE_BOOTSTRAP, 0);
    assert_int_equal(mg_bootstrap_mean(SKEWED, 1, .05, &r, &out), MG_EMPTY);
    assert_int_equal(mg_bootstrap_mean(SKEWED, MG_BOOTSTRAP_N_MAX + 1, .05, &r, &out), MG_LIMIT);
    assert_int_equal(mg_bootstrap_mean(SKEWED, SMALL, .009, &r, &out), MG_LIMIT);
    assert_int_equal(mg_bootstrap_mean(SKEWED, SMALL, 1, &r, &out), MG_LIMIT);
    assert_int_equal(mg_bootstrap_mean(SKEWED, SMALL, NAN, &r, &out), MG_LIMIT);
    assert_int_equal(mg_bootstrap_mean(bad, 3, .05, &r, &out), MG_NUMERIC);
    assert_int_equal(mg_bootstrap_mean(huge, 2, .05, &r, &out), MG_NUMERIC);
    assert_int_equal(mg_bootstrap_difference(huge, huge, 2, .05, &r, &out), MG_NUMERIC);
    assert_memory_equal(&out, &before, sizeof out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_sit_at_the_levels_of_the_exact_distribution),
        cmocka_unit_test(the_mean_is_covered_as_often_as_t_says),
        cmocka_unit_test(shifting_scaling_and_turning_the_data_do_so_to_the_interval),
        cmocka_unit_test(pairs_stay_together),
        cmocka_unit_test(ties_pull_to_neither_side),
        cmocka_unit_test(the_stream_decides_every_bit),
        cmocka_unit_test(what_has_no_interval_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
