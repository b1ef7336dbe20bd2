// Goal:   a true null is rejected, ever, with probability at most alpha; a false one soon.
// Method: wealth by hand after a few observations; simulated streams, looked at after every
//         observation; bounds against the tests they invert.
#include "stats/wealth.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

// Fourteen fields of eight bytes and nothing between: saved states can be compared as bytes.
_Static_assert(sizeof(mg_wealth) == 14 * 8, "padding in mg_wealth");

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static void between(double found, double low, double high) {
    if (!(low <= found && found <= high)) fail_msg("found %g, wanted [%g, %g]", found, low, high);
}

// 'x' is a hit, '.' a miss.
static mg_wealth watch(mg_rate_null null, double p0, const char *hits) {
    mg_wealth w;
    mg_wealth_init(&w, null, p0);
    for (; *hits; hits++) mg_wealth_observe(&w, *hits == 'x');
    return w;
}

static double wealth_after(mg_rate_null null, double p0, const char *hits) {
    return exp(watch(null, p0, hits).log_now);
}

// At p0 = .05 the alternatives are .07, .1, .2 and .45: a hit pays q / .05, a miss (1 - q) / .95.
static void wealth_against_at_most_is_as_by_hand(void **state) {
    (void)state;
    near(wealth_after(MG_RATE_AT_MOST, .05, ""), 1, 0);
    near(wealth_after(MG_RATE_AT_MOST, .05, "x"), .82 / 4 / .05, 1e-14);
    near(wealth_after(MG_RATE_AT_MOST, .05, "."), 3.18 / 4 / .95, 1e-14);
    near(wealth_after(MG_RATE_AT_MOST, .05, "x."), .5626 / 4 / (.05 * .95), 1e-14);
    near(wealth_after(MG_RATE_AT_MOST, .05, "xx"), .2574 / 4 / (.05 * .05), 1e-13);
}

// With odds ratio 1/f a miss pays f / (f - (f - 1) .05) and a hit 1/f of that; f is 133/93, 19/9,
// 19/4 and 171/11.
static void wealth_against_at_least_is_as_by_hand(void **state) {
    (void)state;
    const double miss[] = {133.0 / 131, 38.0 / 37, 76.0 / 73, 171.0 / 163};
    const double hit[]  = {93.0 / 131, 18.0 / 37, 16.0 / 73, 11.0 / 163};
    double       one_miss = 0, one_hit = 0, both = 0;
    for (int k = 0; k < 4; k++)
        one_miss += miss[k] / 4, one_hit += hit[k] / 4, both += miss[k] * miss[k] * hit[k] / 4;
    near(wealth_after(MG_RATE_AT_LEAST, .05, "."), one_miss, 1e-14);
    near(wealth_after(MG_RATE_AT_LEAST, .05, "x"), one_hit, 1e-14);
    near(wealth_after(MG_RATE_AT_LEAST, .05, ".x."), both, 1e-14);
}

static void hits_and_misses_mirror_the_nulls(void **state) {
    (void)state;
    const double p0[] = {.01, .05, .5, .95};
    for (int i = 0; i < 4; i++)
        near(watch(MG_RATE_AT_MOST, p0[i], "..xx.x.xxx..").log_now,
             watch(MG_RATE_AT_LEAST, 1 - p0[i], "xx..x.x...xx").log_now, 1e-12);
}

static void only_the_peak_depends_on_the_order(void **state) {
    (void)state;
    mg_wealth early = watch(MG_RATE_AT_MOST, .05, "xx......"), late;
    late = watch(MG_RATE_AT_MOST, .05, "......xx");
    near(early.log_now, late.log_now, 0);
    near(early.log_peak, log(25.74), 1e-13);
    assert_true(mg_wealth_decided(&early, .05)); // 25.74 >= 20 after two hits
    assert_true(mg_wealth_decided(&late, .05) == (late.log_now >= log(20)));
    for (int i = 0; i < 1000; i++) mg_wealth_observe(&early, false);
    assert_true(early.log_now < 0);
    assert_true(mg_wealth_decided(&early, .05)); // a verdict is not taken back
    assert_false(mg_wealth_decided(&early, 1 / 25.75));
}

static void equal_histories_are_equal_bytes(void **state) {
    (void)state;
    mg_wealth a, b;
    memset(&a, 0x55, sizeof a);
    memset(&b, 0xaa, sizeof b);
    mg_wealth_init(&a, MG_RATE_AT_LEAST, .2);
    mg_wealth_init(&b, MG_RATE_AT_LEAST, .2);
    mg_wealth_observe(&a, true);
    mg_wealth_observe(&b, true);
    assert_memory_equal(&a, &b, sizeof a);
}

// Observations until the null is rejected; n_max if it is not by then.
static int64_t time_to_reject(mg_rng *r, mg_rate_null null, double p0, double p, int64_t n_max) {
    const uint64_t below = (uint64_t)(p * 0x1p32); // 2^-32 from p at most
    mg_wealth      w;
    mg_wealth_init(&w, null, p0);
    while (w.n < n_max && !mg_wealth_decided(&w, .05))
        mg_wealth_observe(&w, mg_rng_u32(r) < below);
    return mg_wealth_decided(&w, .05) ? w.n : n_max + 1;
}

// Every stream is at the edge of the null, where rejections are most frequent. alpha is .05; the
// exact shares within 1,000 observations are .0305 and .0413 (dynamic programming over the counts);
// 20,000 streams find them with a standard error of at most .0014.
static void a_true_null_is_rejected_at_most_alpha_often(void **state) {
    (void)state;
    const int    n_streams = 20000;
    const double share[]   = {.0305, .0413};
    for (int null = MG_RATE_AT_MOST; null <= MG_RATE_AT_LEAST; null++) {
        int64_t alarms = 0;
        mg_rng  r      = mg_rng_stream(1, MG_PURPOSE_TEST, (uint64_t)null);
        for (int i = 0; i < n_streams; i++)
            alarms += time_to_reject(&r, (mg_rate_null)null, .05, .05, 1000) <= 1000;
        const double found = (double)alarms / n_streams;
        between(found, .05 / 10, .05);
        near(found, share[null], 4 * .0014);
    }
}

static double kl(double p, double q) {
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q));
}

// Mean over 4,000 streams, in units of what the best bet in hindsight needs.
static double relative_time(mg_rate_null null, double p0, double p) {
    enum { STREAMS = 4000, MAX = 20000 };
    mg_rng r   = mg_rng_stream(2, MG_PURPOSE_TEST, (uint64_t)null);
    double sum = 0;
    for (int i = 0; i < STREAMS; i++) {
        const int64_t n = time_to_reject(&r, null, p0, p, MAX);
        assert_true(n <= MAX);
        sum += (double)n;
    }
    return sum / STREAMS / (log(1 / .05) / kl(p, p0));
}

// Below 1 is impossible: by Wald's identity the mean time is at least E(log wealth at the end)
// / KL, and the wealth at the end is at least 20.
static void a_gate_at_five_percent_decides_within_1_5_of_the_optimum(void **state) {
    (void)state;
    between(relative_time(MG_RATE_AT_MOST, .05, .08), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .05, .15), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .05, .30), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .05, .02), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .05, .01), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .05, .001), 1, 1.5);
}

static void other_rates_are_decided_as_soon(void **state) {
    (void)state;
    between(relative_time(MG_RATE_AT_MOST, .01, .02), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .01, .05), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .01, .002), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .5, .6), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .5, .9), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .5, .4), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .5, .1), 1, 1.5);
    between(relative_time(MG_RATE_AT_MOST, .95, .98), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .95, .92), 1, 1.5);
    between(relative_time(MG_RATE_AT_LEAST, .95, .70), 1, 1.5);
}

static bool rejected(mg_rate_null null, double p0, int64_t n, int64_t hits, double alpha) {
    mg_wealth w;
    mg_wealth_init(&w, null, p0);
    for (int64_t i = 0; i < n; i++) mg_wealth_observe(&w, i < hits);
    return w.log_now >= -log(alpha);
}

static void bounds_are_where_the_tests_change_their_mind(void **state) {
    (void)state;
    for (int64_t n = 50; n <= 800; n *= 2) {
        for (int64_t hits = n / 10; hits <= n - n / 10; hits += n / 5) {
            const double low = mg_rate_lower(n, hits, .05), high = mg_rate_upper(n, hits, .05);
            assert_true(0 < low && low < (double)hits / (double)n);
            assert_true(high < 1 && (double)hits / (double)n < high);
            assert_true(rejected(MG_RATE_AT_MOST, low - 1e-9, n, hits, .05));
            assert_false(rejected(MG_RATE_AT_MOST, low + 1e-9, n, hits, .05));
            assert_true(rejected(MG_RATE_AT_LEAST, high + 1e-9, n, hits, .05));
            assert_false(rejected(MG_RATE_AT_LEAST, high - 1e-9, n, hits, .05));
            near(1 - mg_rate_lower(n, n - hits, .05), high, 1e-12);
        }
    }
}

static void bounds_say_nothing_before_there_is_something(void **state) {
    (void)state;
    near(mg_rate_lower(0, 0, .05), 0, 0);
    near(mg_rate_upper(0, 0, .05), 1, 0);
    near(mg_rate_lower(1000, 0, .05), 0, 0);
    near(mg_rate_upper(1000, 1000, .05), 1, 0);
    assert_true(mg_rate_upper(1000, 0, .05) < .01);
}

// From the odds ratios f alone, in exact fractions: one hit at p0 = 1/2 multiplies by 2f / (1 + f),
// which is 133/113, 19/14, 38/23 and 171/91 and in the mean 1.5163...; so at that alpha the
// bound is 1/2.
static void a_bound_is_as_by_hand(void **state) {
    (void)state;
    const double wealth = (133.0 / 113 + 19.0 / 14 + 38.0 / 23 + 171.0 / 91) / 4;
    near(mg_rate_lower(1, 1, 1 / wealth), .5, 1e-12);
    near(mg_rate_upper(1, 0, 1 / wealth), .5, 1e-12);
}

// .95^59 = .0485, .95^58 = .0510; .99^299 = .0495, .99^298 = .05004; .999^2995 < .05 < .999^2994.
static void clean_probes_bound_the_rate(void **state) {
    (void)state;
    assert_int_equal(mg_probes_needed(.05, .05), 59);
    assert_int_equal(mg_probes_needed(.01, .05), 299);
    assert_int_equal(mg_probes_needed(.001, .05), 2995);
    assert_int_equal(mg_probes_needed(.5, .25), 2);
    assert_true(mg_probes_bound(59, .05) <= .05 && .05 < mg_probes_bound(58, .05));
    assert_true(mg_probes_bound(299, .05) <= .01 && .01 < mg_probes_bound(298, .05));
    assert_true(mg_probes_bound(2995, .05) <= .001 && .001 < mg_probes_bound(2994, .05));
    near(mg_probes_bound(2, .25), .5, 1e-15);
    near(mg_probes_bound(1, .05), .95, 1e-15);
    near(mg_probes_bound(1000000, .05) * 1e6, 2.995732273553991 - 4.4872e-6, 1e-9); // log 20 - ...
}

static void the_tests_of_a_run_spend_alpha_in_all(void **state) {
    (void)state;
    near(mg_alpha_share(.05, 1), .030396355092701, 1e-15); // .3 / pi^2
    near(mg_alpha_share(.05, 2), .030396355092701 / 4, 1e-15);
    double spent = 0;
    for (int64_t k = 100000; k >= 1; k--) spent += mg_alpha_share(.05, k);
    near(spent, .05 - .030396355092701 / 100000.5, 1e-12); // the tail is 1/(n + 1/2)
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wealth_against_at_most_is_as_by_hand),
        cmocka_unit_test(wealth_against_at_least_is_as_by_hand),
        cmocka_unit_test(hits_and_misses_mirror_the_nulls),
        cmocka_unit_test(only_the_peak_depends_on_the_order),
        cmocka_unit_test(equal_histories_are_equal_bytes),
        cmocka_unit_test(a_true_null_is_rejected_at_most_alpha_often),
        cmocka_unit_test(a_gate_at_five_percent_decides_within_1_5_of_the_optimum),
        cmocka_unit_test(other_rates_are_decided_as_soon),
        cmocka_unit_test(bounds_are_where_the_tests_change_their_mind),
        cmocka_unit_test(bounds_say_nothing_before_there_is_something),
        cmocka_unit_test(a_bound_is_as_by_hand),
        cmocka_unit_test(clean_probes_bound_the_rate),
        cmocka_unit_test(the_tests_of_a_run_spend_alpha_in_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
