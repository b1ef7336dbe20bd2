// Goal:   each loss is its formula, and what it writes is the derivative of that.
// Method: cases by hand on either side of every clip; central differences of the returned loss over
//         random cases, as one relative error over the vector; masks; and for Bradley-Terry the
//         statistics: the maximum-likelihood reward comes closer like 1 / sqrt(pairs).
#include "algos/losses.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rng.h"

enum { N = 64 };
static const float STEP = 0x1p-9f; // values are multiples of it, so that differences are exact

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

// ---- by hand ------------------------------------------------------------------------------

static void the_clip_loss_matches_hand_computation(void **state) {
    (void)state;
    static const struct {
        double A, rho, loss, slope; // slope: d loss / d logp
    } cases[] = {
        {2, 1, -2, -2},      {-2, 1, 2, 2},
        {1, 1.5, -1.2, 0},   // better and beyond the clip: no reason to go on
        {1, 0.5, -0.5, -0.5}, // worse: the way back is open
        {-1, 1.5, 1.5, 1.5}, {-1, 0.5, 0.8, 0},
        {1, 1.1, -1.1, -1.1}, {0, 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double old  = -1.25;
        const float  logp = (float)(old + log(cases[i].rho));
        float        dlogp = 10; // is added to
        const double loss = mg_loss_clip(1, &logp, &old, &cases[i].A, NULL, 0.2, 3, &dlogp, NULL);
        near(loss, 3 * cases[i].loss, 1e-6);
        near((double)dlogp - 10, 3 * cases[i].slope, 3e-6);
    }
}

static void the_clip_loss_counts_what_it_kept(void **state) {
    (void)state;
    const double   old[4] = {0, 0, 0, 0}, A[4] = {1, 1, -1, 1};
    const float    logp[4] = {0, 1, 1, 9};
    const uint8_t  keep[4] = {1, 1, 1, 0};
    float          dlogp[4] = {0};
    mg_clip_counts counts = {.tokens = 5, .clipped = 2, .kl = 1};
    mg_loss_clip(4, logp, old, A, keep, 0.2, 1, dlogp, &counts);
    near(counts.tokens, 8, 0);
    near(counts.clipped, 3, 0); // the second token's; the third's A keeps it on the plain branch
    near(counts.ratio_off_max, exp(1) - 1, 1e-12);
    near(counts.kl, 1 + 2 * (exp(1) - 2), 1e-12);
    assert_true(dlogp[3] == 0);
}

static void the_value_loss_matches_hand_computation(void **state) {
    (void)state;
    static const struct {
        double V, old, target, loss, slope;
    } cases[] = {
        {0.1, 0, 1, 0.405, -0.9},  // inside the clip
        {1, 0, 2, 1.62, 0},        // beyond it, and on the way to the target
        {1, 0, 0, 0.5, 1},         // beyond it, on the wrong side
        {-1, 0, -3, 3.92, 0},      {-1, 0, 1, 2, -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float V = (float)cases[i].V;
        float       dV = 10;
        const double loss =
            mg_loss_value(1, &V, &cases[i].old, &cases[i].target, NULL, 0.2, 4, &dV);
        near(loss, 4 * cases[i].loss, 1e-6);
        near((double)dV - 10, 4 * cases[i].slope, 1e-6);
    }
}

static void the_pair_and_kl_losses_match_hand_computation(void **state) {
    (void)state;
    const float  logp = -2;
    const double ref  = -2 + log(2);
    float        dlogp = 0;
    double       d;
    near(mg_loss_bradley_terry(0, &d), log(2), 1e-15);
    near(d, -0.5, 0);
    near(mg_loss_bradley_terry(2, &d), 0.12692801104297250, 1e-15);
    near(d, -0.11920292202211755, 1e-15);
    near(mg_loss_bradley_terry(-2, &d), 2.12692801104297250, 1e-15);
    near(d, -0.88079707797788243, 1e-15);
    near(mg_loss_bradley_terry(1000, &d), 0, 0);
    near(d, 0, 0);
    near(mg_loss_bradley_terry(-1000, &d), 1000, 0);
    near(d, -1, 0);
    near(mg_loss_k3(1, &logp, &ref, NULL, 3, &dlogp), 3 * (2 - log(2) - 1), 1e-12);
    near((double)dlogp, 3 * (1 - 2), 1e-6);
}

static void a_nan_comes_through(void **state) {
    (void)state;
    const float  nan = NAN;
    const double zero = 0, one = 1;
    float        d = 0;
    assert_true(isnan(mg_loss_clip(1, &nan, &zero, &one, NULL, 0.2, 1, &d, NULL)));
    assert_true(isnan(mg_loss_value(1, &nan, &zero, &one, NULL, 0.2, 1, &d)));
    assert_true(isnan(mg_loss_k3(1, &nan, &zero, NULL, 1, &d)));
    assert_true(isnan(mg_loss_bradley_terry((double)nan, &(double){0})));
}

// ---- central differences ------------------------------------------------------------------

typedef struct numbers {
    float   x[N];
    double  old[N], aim[N]; // logp_old or V_old; A, target or ref
    uint8_t keep[N];
} numbers;

typedef double loss_of(const numbers *c, float *dx);

static double clip_of(const numbers *c, float *dx) {
    return mg_loss_clip(N, c->x, c->old, c->aim, c->keep, 0.2, 0.7, dx, NULL);
}
static double value_of(const numbers *c, float *dx) {
    return mg_loss_value(N, c->x, c->old, c->aim, c->keep, 0.2, 0.7, dx);
}
static double k3_of(const numbers *c, float *dx) {
    return mg_loss_k3(N, c->x, c->aim, c->keep, 0.7, dx);
}

static float grid(double x) { return (float)rint(x / (double)STEP) * STEP; }

// No number lies within a step of a place where a loss has a corner.
static numbers random_numbers(void) {
    numbers c;
    mg_rng  rng = mg_rng_stream(2, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < N; i++) {
        c.x[i] = grid(mg_rng_normal(&rng));
        const double off = 0.3 * mg_rng_normal(&rng), far = 0.01;
        const bool   corner = fabs(fabs(off) - 0.2) < far || fabs(off - log(1.2)) < far ||
                            fabs(off - log(0.8)) < far;
        c.old[i]  = (double)c.x[i] - (corner ? 0.1 : off);
        c.aim[i]  = mg_rng_normal(&rng);
        c.keep[i] = i % 4 != 0;
    }
    return c;
}

static void gradients_are_central_differences(void **state) {
    (void)state;
    loss_of *const losses[] = {clip_of, value_of, k3_of};
    for (int k = 0; k < 3; k++) {
        numbers c = random_numbers();
        float   dx[N] = {0}, unused[N];
        double  off = 0, norm = 0;
        losses[k](&c, dx);
        for (int i = 0; i < N; i++) {
            const float x = c.x[i];
            c.x[i]          = x + STEP;
            const double up = losses[k](&c, unused);
            c.x[i]          = x - STEP;
            const double down = losses[k](&c, unused), slope = (up - down) / (2 * (double)STEP);
            c.x[i] = x;
            off += pow((double)dx[i] - slope, 2);
            norm += slope * slope;
            if (!c.keep[i]) assert_true(dx[i] == 0 && slope == 0);
        }
        assert_true(norm > 1);
        near(sqrt(off / norm), 0, 1e-5);
    }
    for (double m = -4; m <= 4; m += 0.5) {
        double       d, unused;
        const double h = 1e-4;
        mg_loss_bradley_terry(m, &d);
        near((mg_loss_bradley_terry(m + h, &unused) - mg_loss_bradley_terry(m - h, &unused)) /
                 (2 * h),
             d, 1e-8);
    }
}

// ---- what the likelihood is for -----------------------------------------------------------

enum { D = 3, PAIRS_MAX = 32000, FITS = 60 };

// One Newton step of the mean Bradley-Terry loss of r(x) = w . x. For sigma, with d the loss's
// derivative by the margin, the second derivative is -d (1 + d).
static void newton(int64_t pairs, double (*x)[D], double *w) {
    double H[D][D + 1] = {{0}};
    for (int64_t p = 0; p < pairs; p++) {
        double margin = 0, d;
        for (int j = 0; j < D; j++) margin += w[j] * x[p][j];
        mg_loss_bradley_terry(margin, &d);
        for (int j = 0; j < D; j++) {
            for (int k = 0; k < D; k++) H[j][k] -= d * (1 + d) * x[p][j] * x[p][k];
            H[j][D] += d * x[p][j];
        }
    }
    for (int j = 0; j < D; j++) // Gauss and Jordan; H is positive definite
        for (int i = 0; i < D; i++)
            for (int k = D; k >= j && i != j; k--) H[i][k] -= H[i][j] / H[j][j] * H[j][k];
    for (int j = 0; j < D; j++) w[j] -= H[j][D] / H[j][j];
}

// |w_hat - w*| when `pairs` pairs are labelled by sigma(w* . (x_winner - x_loser)).
static double error_of(int64_t pairs, uint64_t id) {
    static double x[PAIRS_MAX][D];
    const double  truth[D] = {1, -0.5, 2};
    double        w[D] = {0}, sum = 0;
    mg_rng        rng = mg_rng_stream(3, MG_PURPOSE_TEST, id);
    for (int64_t p = 0; p < pairs; p++) {
        double margin = 0;
        for (int j = 0; j < D; j++) margin += truth[j] * (x[p][j] = mg_rng_normal(&rng));
        if (mg_rng_uniform(&rng) > 1 / (1 + exp(-margin)))
            for (int j = 0; j < D; j++) x[p][j] = -x[p][j]; // the other one won
    }
    for (int step = 0; step < 8; step++) newton(pairs, x, w);
    for (int j = 0; j < D; j++) sum += (w[j] - truth[j]) * (w[j] - truth[j]);
    return sqrt(sum);
}

static void the_likelihood_finds_a_linear_reward_at_root_m(void **state) {
    (void)state;
    double few = 0, many = 0;
    for (uint64_t i = 0; i < FITS; i++) {
        few += error_of(500, i) / FITS;
        many += error_of(32000, FITS + i) / FITS;
    }
    assert_true(many < 0.05);
    // 64 times the pairs, an eighth of the error; three deviations of the ratio of two means of 60
    // lengths, each spread by .42 of itself (a length in three dimensions), are 1.8.
    near(few / many, 8, 1.8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clip_loss_matches_hand_computation),
        cmocka_unit_test(the_clip_loss_counts_what_it_kept),
        cmocka_unit_test(the_value_loss_matches_hand_computation),
        cmocka_unit_test(the_pair_and_kl_losses_match_hand_computation),
        cmocka_unit_test(a_nan_comes_through),
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(the_likelihood_finds_a_linear_reward_at_root_m),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
