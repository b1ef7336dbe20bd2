// Goal:   the interquartile mean is what is left of sorted scores without their outer quarters; its interval draws
//         within tasks, sits at the quantiles of all resamples, and covers about as often as it says.
// Method: literals; all 4^4 resamples of a small sample; simulated scores whose interquartile mean is known.
#include "stats/iqm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mg_arena arena;

static int open_group(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", 1 << 24);
}

static int close_group(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static mg_interval of(const mg_runs *tasks, int64_t n, double alpha, uint64_t seed) {
    mg_rng      r = mg_rng_stream(seed, MG_PURPOSE_BOOTSTRAP, 0);
    mg_interval found;
    assert_int_equal(mg_iqm_interval(tasks, n, alpha, &r, &arena, &found), MG_OK);
    return found;
}

// A quarter of nine is two; SciPy's trim_mean(x, .25), which the paper's code calls, cuts down alike.
static void outer_quarters_are_left_out(void **state) {
    (void)state;
    double eight[] = {8, -1000, 3, 6, 5, 4, 1000, 2};
    near(mg_iqm(eight, 8), 4.5, 1e-15);
    double nine[] = {9, 8, 7, 6, 5, 4, 3, 2, 100};
    near(mg_iqm(nine, 9), 6, 1e-15); // 4, 5, 6, 7, 8
    double five[] = {1, 50, 2, 3, 4};
    near(mg_iqm(five, 5), 3, 1e-15);
    double three[] = {1, 2, 6};
    near(mg_iqm(three, 3), 3, 1e-15);
    double one[] = {7};
    near(mg_iqm(one, 1), 7, 0);
}

// Scores that differ between tasks alone: no draw within a task changes anything.
static void runs_are_drawn_within_their_tasks(void **state) {
    (void)state;
    static const double low[] = {0, 0, 0, 0}, high[] = {1, 1, 1, 1, 1, 1};
    const mg_runs       tasks[] = {{low, 4}, {high, 6}};
    const mg_interval   x = of(tasks, 2, .05, 1);
    near(x.mean, 4. / 6, 1e-15); // of ten, two fall at each end: two 0 and four 1 stay
    near(x.low, 4. / 6, 1e-15);
    near(x.high, 4. / 6, 1e-15);
}

// The interval's ends among all 256 resamples of four scores, each of which loses its lowest and its highest.
static void ends_are_quantiles_of_all_resamples(void **state) {
    (void)state;
    static const double scores[] = {0.3, 1, 2.5, 7};
    const mg_interval   x = of(&(mg_runs){scores, 4}, 1, .2, 3);
    int                 below[2] = {0}, at_most[2] = {0};
    near(x.mean, 1.75, 1e-15);
    for (int k = 0; k < 256; k++) {
        double sum = 0, least = INFINITY, most = -INFINITY;
        for (int i = 0, digits = k; i < 4; i++, digits /= 4) {
            const double s = scores[digits % 4];
            sum += s, least = fmin(least, s), most = fmax(most, s);
        }
        const double iqm = (sum - least - most) / 2;
        for (int e = 0; e < 2; e++) {
            const double end = e ? x.high : x.low;
            below[e] += iqm < end - 1e-9, at_most[e] += iqm < end + 1e-9;
        }
    }
    // Three deviations of a share of 1,999 around .1 and .9.
    const double off = 3 * sqrt(.1 * .9 / 1999);
    for (int e = 0; e < 2; e++) {
        const double p = e ? .9 : .1;
        if (below[e] / 256. > p + off || at_most[e] / 256. < p - off)
            fail_msg("end %d: %d below, %d at most", e, below[e], at_most[e]);
    }
}

typedef double draw(mg_rng *r, int task);

// Symmetric around 0 as a whole: 0 is the interquartile mean.
static double normal(mg_rng *r, int task) { return task - 1.5 + mg_rng_normal(r); }
// 2 times the integral of -log(1 - u) from 1/4 to 3/4: 2 [v - v log v] from 1/4 to 3/4 = .7384.
static double exponential(mg_rng *r, int task) {
    (void)task;
    return -log(1 - mg_rng_uniform(r));
}

static double coverage(draw *of_task, double truth, int runs, uint64_t id) {
    enum { SAMPLES = 500, TASKS = 4, RUNS_MAX = 40 };
    int hits = 0;
    for (int s = 0; s < SAMPLES; s++) {
        double  scores[TASKS][RUNS_MAX];
        mg_runs tasks[TASKS];
        mg_rng  r = mg_rng_stream(17, MG_PURPOSE_TEST, id);
        mg_rng_seek(&r, (uint32_t)s, 0, 0);
        for (int t = 0; t < TASKS; t++) {
            for (int i = 0; i < runs; i++) scores[t][i] = of_task(&r, t);
            tasks[t] = (mg_runs){scores[t], runs};
        }
        const mg_interval x = of(tasks, TASKS, .05, (uint64_t)s);
        hits += x.low <= truth && truth <= x.high;
    }
    return (double)hits / SAMPLES;
}

// Percentile intervals of small samples are a factor of about sqrt((n - 1) / n) too narrow: with ten runs a task 1.86
// deviations instead of 1.96, which cover 93.7 %. Three deviations of a share of 500 are 3.3 %.
static void it_covers_about_as_often_as_it_says(void **state) {
    (void)state;
    const double even = coverage(normal, 0, 10, 1), skewed = coverage(exponential, .73838, 10, 2);
    if (even < .904 || even > .983) fail_msg("normal scores: covered %g", even);
    if (skewed < .904 || skewed > .983) fail_msg("exponential scores: covered %g", skewed);
}

static void a_smaller_alpha_is_a_wider_interval_and_equal_streams_give_equal_bits(void **state) {
    (void)state;
    static const double a[] = {.1, .5, .4, .9, .7}, b[] = {.2, .3, 1.4};
    const mg_runs       tasks[] = {{a, 5}, {b, 3}};
    const mg_interval   wide = of(tasks, 2, .01, 1), narrow = of(tasks, 2, .5, 1), again = of(tasks, 2, .5, 1);
    assert_true(wide.low < narrow.low && narrow.low < narrow.high && narrow.high < wide.high);
    assert_memory_equal(&narrow, &again, sizeof again);
}

static void what_cannot_be_resampled_is_refused(void **state) {
    (void)state;
    static const double good[] = {1, 2, 3}, bad[] = {1, NAN, 3};
    mg_rng              r = mg_rng_stream(1, MG_PURPOSE_BOOTSTRAP, 0);
    mg_interval         x;
    const mg_runs       few[] = {{good, 3}, {good, 1}}, nan[] = {{good, 3}, {bad, 3}};
    const mg_runs       many[] = {{good, 3}, {good, INT64_MAX}};
    assert_int_equal(mg_iqm_interval(NULL, 0, .05, &r, &arena, &x), MG_EMPTY);
    assert_int_equal(mg_iqm_interval(few, 2, .05, &r, &arena, &x), MG_EMPTY);
    assert_non_null(strstr(mg_err_detail(), "task 1: found 1 runs, wanted 2 or more"));
    assert_int_equal(mg_iqm_interval(nan, 2, .05, &r, &arena, &x), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "task 1, run 1: the score is nan"));
    assert_int_equal(mg_iqm_interval(many, 2, .05, &r, &arena, &x), MG_LIMIT);
    assert_int_equal(mg_iqm_interval(few, 1, .001, &r, &arena, &x), MG_LIMIT);
    assert_int_equal(mg_iqm_interval(few, 1, NAN, &r, &arena, &x), MG_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outer_quarters_are_left_out),
        cmocka_unit_test(runs_are_drawn_within_their_tasks),
        cmocka_unit_test(ends_are_quantiles_of_all_resamples),
        cmocka_unit_test(it_covers_about_as_often_as_it_says),
        cmocka_unit_test(a_smaller_alpha_is_a_wider_interval_and_equal_streams_give_equal_bits),
        cmocka_unit_test(what_cannot_be_resampled_is_refused),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
