// Goal:   the true mean is rejected, or left out of the interval, ever, with probability at most
//         alpha; a wrong one soon.
// Method: capital by hand while bets are truncated; the paper's formulas evaluated anew from the
//         whole history at every step; simulated streams, looked at after every observation.
#include "stats/betting.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"

_Static_assert(sizeof(mg_betting) == 8 * 8, "padding in mg_betting");
_Static_assert(sizeof(mg_confseq) == (6 + 2 * 1001) * 8, "padding in mg_confseq");

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static void between(double found, double low, double high) {
    if (!(low <= found && found <= high)) fail_msg("found %g, wanted [%g, %g]", found, low, high);
}

// The first bets, sqrt(2 log(40) / ...) > 4, are truncated: at m = 1/2 to lambda = 1 on either
// side, so that a win pays 3/2 and a loss 1/2; at m = 1/4 to 2 and 2/3.
static void capital_is_as_by_hand(void **state) {
    (void)state;
    mg_betting b;
    mg_betting_init(&b, .5, .05);
    near(mg_betting_log_wealth(&b), log(.5), 0);
    mg_betting_observe(&b, 1);
    mg_betting_observe(&b, 1);
    near(mg_betting_log_wealth(&b), log(2.25 / 2), 1e-15);
    mg_betting_observe(&b, 0);
    near(b.log_up, log(1.125), 1e-15);
    near(b.log_down, log(.375), 1e-15);
    mg_betting_observe(&b, .5); // a tie moves nothing
    near(mg_betting_log_wealth(&b), log(1.125 / 2), 1e-15);
    near(b.log_peak, log(2.25 / 2), 1e-15);

    mg_betting_init(&b, .25, .05);
    mg_betting_observe(&b, 1);
    near(b.log_up, log(1 + 2 * .75), 1e-15);
    near(b.log_down, log(1 - 2.0 / 3 * .75), 1e-15);
}

static void a_decision_takes_log_40_and_stays(void **state) {
    (void)state;
    mg_betting b; // nine wins: 1.5^9 = 38.4, ten: 57.7
    mg_betting_init(&b, .5, .05);
    for (int i = 0; i < 9; i++) mg_betting_observe(&b, 1);
    assert_false(mg_betting_decided(&b));
    mg_betting_observe(&b, 1);
    assert_true(mg_betting_decided(&b));
    for (int i = 0; i < 9; i++) mg_betting_observe(&b, 0);
    assert_true(mg_betting_log_wealth(&b) < log(20));
    assert_true(mg_betting_decided(&b));
}

// log K+ (side 1) or log K- (side -1) of x[0..n), from the formulas in betting.h, all anew.
static double capital(const double *x, int n, double m, double alpha, int side) {
    double log_K = 0;
    for (int t = 1; t <= n; t++) {
        double squares = 0;
        for (int i = 1; i < t; i++) {
            double mu = .5;
            for (int j = 0; j < i; j++) mu += x[j];
            squares += pow(x[i - 1] - mu / (i + 1), 2);
        }
        const double sigma2 = (.25 + squares) / t;
        const double lambda = sqrt(2 * log(2 / alpha) / (sigma2 * t * log(t + 1)));
        const double most   = .5 / (side > 0 ? m : 1 - m);
        log_K += log1p(side * (lambda < most ? lambda : most) * (x[t - 1] - m));
    }
    return log_K;
}

static void capital_follows_the_formulas(void **state) {
    (void)state;
    enum { N = 150 };
    const double m[] = {.1, .37, .5, .9}, alpha[] = {.05, .2};
    mg_rng       r   = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    double       x[N];
    for (int i = 0; i < N; i++) x[i] = pow(mg_rng_uniform(&r), 2);
    for (int k = 0; k < 8; k++) {
        mg_betting b;
        mg_betting_init(&b, m[k % 4], alpha[k / 4]);
        for (int i = 0; i < N; i++) mg_betting_observe(&b, x[i]);
        near(b.log_up, capital(x, N, m[k % 4], alpha[k / 4], 1), 1e-11);
        near(b.log_down, capital(x, N, m[k % 4], alpha[k / 4], -1), 1e-11);
    }
}

// Hits at a rate, or win, tie and loss at 1/4, 1/2 and 1/4.
typedef enum kind { BERNOULLI, DUEL } kind;

static double draw(mg_rng *r, kind k, double rate) {
    const double u = mg_rng_u32(r) * 0x1p-32;
    if (k == BERNOULLI) return u < rate;
    return u < .25 ? 0 : u < .75 ? .5 : 1;
}

// alpha is .05; shares of 20,000 streams have a standard error of at most .0015.
static void the_true_mean_is_rejected_at_most_alpha_often(void **state) {
    (void)state;
    const int    n_streams = 20000, n = 1000;
    const kind   kinds[]   = {BERNOULLI, DUEL};
    const double means[]   = {.1, .5};
    for (int k = 0; k < 2; k++) {
        mg_rng r      = mg_rng_stream(2, MG_PURPOSE_TEST, (uint64_t)k);
        int    alarms = 0;
        for (int i = 0; i < n_streams; i++) {
            mg_betting b;
            mg_betting_init(&b, means[k], .05);
            while (b.plugin.n < n && !mg_betting_decided(&b))
                mg_betting_observe(&b, draw(&r, kinds[k], means[k]));
            alarms += mg_betting_decided(&b);
        }
        between((double)alarms / n_streams, .05 / 10, .05);
    }
}

// The best bet in hindsight, on the right side, needs log(2/alpha) / KL. Bets that learn as they go
// take longer near the null (1.9 times at .6) and, being truncated, at certainty (1.9 at 1).
static void a_win_rate_is_told_from_one_half(void **state) {
    (void)state;
    const double rates[] = {.7, .8, .9, .3};
    for (int k = 0; k < 4; k++) {
        const double p = rates[k], kl = p * log(2 * p) + (1 - p) * log(2 * (1 - p));
        mg_rng       r = mg_rng_stream(3, MG_PURPOSE_TEST, (uint64_t)k);
        double       sum = 0;
        for (int i = 0; i < 2000; i++) {
            mg_betting b;
            mg_betting_init(&b, .5, .05);
            while (!mg_betting_decided(&b)) mg_betting_observe(&b, draw(&r, BERNOULLI, p));
            assert_true((b.log_up > b.log_down) == (p > .5));
            sum += (double)b.plugin.n;
        }
        between(sum / 2000 / (log(2 / .05) / kl), 1, 1.5);
    }
}

// A point of the grid is outside the interval exactly when its own test has rejected it. Both ends
// are rounded outward: a rejected point next to the interval is its end.
static void the_interval_holds_what_no_test_has_rejected(void **state) {
    (void)state;
    enum { POINTS = 9 };
    static mg_confseq c;
    mg_betting        b[POINTS];
    mg_rng            r = mg_rng_stream(4, MG_PURPOSE_TEST, 0);
    for (int stream = 0; stream < 20; stream++) {
        mg_confseq_init(&c, .1);
        for (int k = 0; k < POINTS; k++) mg_betting_init(&b[k], (k + 1) / 10.0, .1);
        for (int i = 0; i < 400; i++) {
            const double x = draw(&r, stream % 2 ? DUEL : BERNOULLI, .35);
            double       low, high;
            mg_confseq_observe(&c, x);
            mg_confseq_interval(&c, &low, &high);
            for (int k = 0; k < POINTS; k++) {
                mg_betting_observe(&b[k], x);
                const double m = (k + 1) / 10.0;
                assert_int_equal(mg_betting_decided(&b[k]), !(low < m - 1e-9 && m + 1e-9 < high));
            }
        }
    }
}

// Of 2,000 streams: three standard errors (.0049 each) more than alpha are allowed.
static void the_interval_covers_the_mean_at_all_times(void **state) {
    (void)state;
    static mg_confseq c;
    mg_rng            r      = mg_rng_stream(5, MG_PURPOSE_TEST, 0);
    int               misses = 0;
    for (int stream = 0; stream < 2000; stream++) {
        double low = 0, high = 1;
        mg_confseq_init(&c, .05);
        for (int i = 0; i < 500 && low <= .3 && .3 <= high; i++) {
            mg_confseq_observe(&c, draw(&r, BERNOULLI, .3));
            mg_confseq_interval(&c, &low, &high);
        }
        misses += !(low <= .3 && .3 <= high);
    }
    between(misses / 2000.0, .05 / 10, .05 + 3 * .0049);
}

// Hoeffding's interval for one n = 1,000 fixed beforehand is .086 wide; looking at all times costs.
static void the_interval_narrows_and_never_widens(void **state) {
    (void)state;
    static mg_confseq c;
    mg_rng            r = mg_rng_stream(6, MG_PURPOSE_TEST, 0);
    double            low, high, low_before = 0, high_before = 1;
    mg_confseq_init(&c, .05);
    for (int i = 0; i < 1000; i++) {
        mg_confseq_observe(&c, draw(&r, BERNOULLI, .5));
        mg_confseq_interval(&c, &low, &high);
        assert_true(low_before <= low && low < high && high <= high_before);
        low_before  = low;
        high_before = high;
    }
    between(high - low, .086, .2);
}

static void losses_mirror_wins(void **state) {
    (void)state;
    static mg_confseq c, d;
    mg_rng            r = mg_rng_stream(7, MG_PURPOSE_TEST, 0);
    mg_confseq_init(&c, .05);
    mg_confseq_init(&d, .05);
    for (int i = 0; i < 300; i++) {
        const double x = draw(&r, BERNOULLI, .8);
        mg_confseq_observe(&c, x);
        mg_confseq_observe(&d, 1 - x);
        assert_int_equal(c.low, MG_CONFSEQ_GRID - d.high);
        assert_int_equal(c.high, MG_CONFSEQ_GRID - d.low);
    }
    assert_true(c.low > 500); // it has learnt something
}

// No constant mean explains this stream. The interval keeps one step rather than becoming empty.
static void a_changing_mean_leaves_one_step(void **state) {
    (void)state;
    static mg_confseq c;
    double            low, high;
    mg_confseq_init(&c, .05);
    for (int i = 0; i < 4000; i++) mg_confseq_observe(&c, i < 2000);
    mg_confseq_interval(&c, &low, &high);
    near(high - low, .001, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capital_is_as_by_hand),
        cmocka_unit_test(a_decision_takes_log_40_and_stays),
        cmocka_unit_test(capital_follows_the_formulas),
        cmocka_unit_test(the_true_mean_is_rejected_at_most_alpha_often),
        cmocka_unit_test(a_win_rate_is_told_from_one_half),
        cmocka_unit_test(the_interval_holds_what_no_test_has_rejected),
        cmocka_unit_test(the_interval_covers_the_mean_at_all_times),
        cmocka_unit_test(the_interval_narrows_and_never_widens),
        cmocka_unit_test(losses_mirror_wins),
        cmocka_unit_test(a_changing_mean_leaves_one_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
