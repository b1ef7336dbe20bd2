// Goal:   scores that do not fall are taken for a change, ever, with probability at most alpha; a fall is noticed soon.
// Method: wealth by hand; simulated streams, looked at after every score; a delay worked out from the bets.
#include "stats/detector.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

// Nine fields of eight bytes and nothing between: saved states can be compared as bytes.
_Static_assert(sizeof(mg_detector) == 9 * 8, "padding in mg_detector");

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static double sum(const mg_detector *d) {
    double all = 0;
    for (int k = 0; k < MG_DETECTOR_BETS; k++) all += d->wealth[k];
    return all;
}

// At m = 1/2 the bets are .5, 1, 1.5 and 1.9: a score of 0 pays 1.25, 1.5, 1.75, 1.95, one of 1 pays .75, .5, .25, .05.
static void wealth_is_as_by_hand(void **state) {
    (void)state;
    mg_detector d;
    mg_detector_init(&d, .5, 2);
    near(sum(&d), 0, 0);
    mg_detector_start(&d);
    near(sum(&d), .5, 1e-15);
    mg_detector_observe(&d, 0);
    near(sum(&d), (1.25 + 1.5 + 1.75 + 1.95) / 8, 1e-15);
    mg_detector_start(&d);
    mg_detector_observe(&d, 1);
    near(sum(&d), (2.25 * .75 + 2.5 * .5 + 2.75 * .25 + 2.95 * .05) / 8, 1e-15);
    near(d.peak, (1.25 + 1.5 + 1.75 + 1.95) / 8, 1e-15);
    mg_detector_observe(&d, .5);
    near(sum(&d), (2.25 * .75 + 2.5 * .5 + 2.75 * .25 + 2.95 * .05) / 8, 1e-15);
}

static void nobody_comes_beyond_the_last_start(void **state) {
    (void)state;
    mg_detector d, before;
    mg_detector_init(&d, .5, 1);
    mg_detector_start(&d);
    before = d;
    mg_detector_start(&d);
    assert_memory_equal(&d, &before, sizeof d);
}

static void a_decision_is_not_taken_back(void **state) {
    (void)state;
    mg_detector d;
    mg_detector_init(&d, .5, 1);
    mg_detector_start(&d);
    for (int i = 0; i < 20; i++) mg_detector_observe(&d, 0);
    assert_true(mg_detector_decided(&d, .05));
    for (int i = 0; i < 100; i++) mg_detector_observe(&d, 1);
    assert_true(mg_detector_decided(&d, .05) && sum(&d) < 1);
}

// Streams at the edge of the null: scores 0 or 1 evenly, and uniform ones; five a look, sixty looks.
static double false_alarms(bool coins, uint64_t id) {
    enum { STREAMS = 20000, LOOKS = 60, SCORES = 5 };
    int alarms = 0;
    for (int s = 0; s < STREAMS; s++) {
        mg_rng      rng = mg_rng_stream(11, MG_PURPOSE_TEST, id);
        mg_detector d;
        mg_detector_init(&d, .5, LOOKS);
        mg_rng_seek(&rng, (uint32_t)s, 0, 0);
        for (int look = 0; look < LOOKS; look++) {
            mg_detector_start(&d);
            for (int i = 0; i < SCORES; i++)
                mg_detector_observe(&d, coins ? (double)(mg_rng_u32(&rng) & 1) : mg_rng_uniform(&rng));
        }
        alarms += mg_detector_decided(&d, .05);
    }
    return (double)alarms / STREAMS;
}

// .05, and three standard deviations of a share of 20,000.
static void a_true_null_is_rejected_as_seldom_as_promised(void **state) {
    (void)state;
    const double most = .05 + 3 * sqrt(.05 * .95 / 20000);
    const double coins = false_alarms(true, 1), even = false_alarms(false, 2);
    if (!(coins <= most && even <= most)) fail_msg("found %g and %g, wanted at most %g", coins, even, most);
    assert_true(coins > 0); // it is no test that never speaks
}

// Scores of 1 until a change, then 0: the last gambler alone has 1.95^n / (4 starts_max) in his largest bet, which is
// 1/alpha after log(4 * 60 / .05) / log(1.95) = 12.7 scores; those who came before lost nearly all.
static void a_change_is_noticed_at_any_time(void **state) {
    (void)state;
    for (int change = 0; change < 60; change++) {
        mg_detector d;
        int         delay = 0;
        mg_detector_init(&d, .5, 60);
        for (int i = 0; i < change; i++) mg_detector_start(&d), mg_detector_observe(&d, 1);
        mg_detector_start(&d);
        while (!mg_detector_decided(&d, .05)) mg_detector_observe(&d, 0), delay++;
        if (delay < 11 || delay > 13) fail_msg("change at %d: noticed after %d scores, wanted 11 to 13", change, delay);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wealth_is_as_by_hand),
        cmocka_unit_test(nobody_comes_beyond_the_last_start),
        cmocka_unit_test(a_decision_is_not_taken_back),
        cmocka_unit_test(a_true_null_is_rejected_as_seldom_as_promised),
        cmocka_unit_test(a_change_is_noticed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
