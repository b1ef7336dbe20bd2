// Goal:   advantages and targets are right at every kind of end, and whitening at every mask.
// Method: episodes small enough to do by hand, the sum that the recursion stands for, and the
//         identity that for lambda = 1 the advantage is the discounted return minus the value.
#include "algos/gae.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rng.h"

enum { LONG = 40 };

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

static void ends_match_hand_computation(void **state) {
    (void)state;
    const double r[3] = {1, 1, 1}, v[3] = {2, 4, 6};
    double       A[3], target[3];
    mg_gae(3, r, v, 0, 0.5, 0.5, A, target); // terminated
    near(A[2], 1 - 6, 0);
    near(A[1], (1 + 0.5 * 6 - 4) + 0.25 * -5, 0);
    near(A[0], (1 + 0.5 * 4 - 2) + 0.25 * -1.25, 0);
    near(target[2], 1, 0);
    near(target[1], 2.75, 0);
    near(target[0], 2.6875, 0);
    mg_gae(3, r, v, 8, 0.5, 0.5, A, target); // truncated where the critic says 8
    near(A[2], 1 + 0.5 * 8 - 6, 0);
    near(A[1], 0 + 0.25 * -1, 0);
    near(A[0], 1 + 0.25 * -0.25, 0);
    mg_gae(1, r, v, 8, 1, 0.95, A, target); // one step
    near(A[0], 1 + 8 - 2, 0);
    near(target[0], 9, 0);
    mg_gae(0, r, v, 8, 1, 1, A, target); // none: nothing is written
    near(A[0], 7, 0);
}

// r, v ~ N(0, 1)
static void random_episode(double *r, double *v) {
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int t = 0; t < LONG; t++) r[t] = mg_rng_normal(&rng), v[t] = mg_rng_normal(&rng);
}

static void the_recursion_is_its_sum(void **state) {
    (void)state;
    const double gamma = 0.9, lambda = 0.8, end = 1.7;
    double       r[LONG], v[LONG], A[LONG], target[LONG];
    random_episode(r, v);
    mg_gae(LONG, r, v, end, gamma, lambda, A, target);
    for (int t = 0; t < LONG; t++) {
        double sum = 0;
        for (int l = 0; t + l < LONG; l++) {
            const double next = t + l + 1 < LONG ? v[t + l + 1] : end;
            sum += pow(gamma * lambda, l) * (r[t + l] + gamma * next - v[t + l]);
        }
        near(A[t], sum, 1e-12);
        near(target[t], sum + v[t], 1e-12);
    }
}

static void lambda_one_is_the_return_and_lambda_zero_one_step(void **state) {
    (void)state;
    const double gamma = 0.9, end = -0.6;
    double       r[LONG], v[LONG], A[LONG], target[LONG];
    random_episode(r, v);
    mg_gae(LONG, r, v, end, gamma, 1, A, target);
    for (int t = 0; t < LONG; t++) {
        double back = pow(gamma, LONG - t) * end;
        for (int k = t; k < LONG; k++) back += pow(gamma, k - t) * r[k];
        near(A[t], back - v[t], 1e-12);
        near(target[t], back, 1e-12);
    }
    mg_gae(LONG, r, v, end, gamma, 0, A, target);
    for (int t = 0; t < LONG; t++)
        near(A[t], r[t] + gamma * (t + 1 < LONG ? v[t + 1] : end) - v[t], 1e-12);
}

static void whitening_matches_hand_computation(void **state) {
    (void)state;
    const uint8_t keep[4]   = {1, 1, 0, 1};
    const double  deviation = sqrt(8.0 / 3 + 1e-8); // of 1, 3, 5: biased
    double        x[4] = {1, 3, 100, 5}, y[4] = {1, 3, 100, 5};
    mg_whiten(4, x, keep, 0);
    near(x[0], -2 / deviation, 1e-15);
    near(x[1], 0, 0);
    near(x[2], 100, 0); // neither changed nor counted
    near(x[3], 2 / deviation, 1e-15);
    mg_whiten(4, y, keep, 1);
    near(y[0], 3 - 2 / deviation, 1e-15);
    near(y[1], 3, 0);
    near(y[2], 100, 0);
    near(y[3], 3 + 2 / deviation, 1e-15);
}

static void small_deviations_meet_the_constant_under_the_root(void **state) {
    (void)state;
    const uint8_t none[2] = {0, 0};
    double        x[2] = {0, 2e-4}, same[3] = {7, 7, 7}, left[2] = {3, 9};
    mg_whiten(2, x, NULL, 0); // variance 1e-8: 1e-4 / sqrt(2e-8)
    near(x[1], sqrt(0.5), 1e-12);
    mg_whiten(3, same, NULL, 0);
    near(same[0], 0, 0);
    mg_whiten(2, left, none, 0);
    near(left[0], 3, 0);
    near(left[1], 9, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_match_hand_computation),
        cmocka_unit_test(the_recursion_is_its_sum),
        cmocka_unit_test(lambda_one_is_the_return_and_lambda_zero_one_step),
        cmocka_unit_test(whitening_matches_hand_computation),
        cmocka_unit_test(small_deviations_meet_the_constant_under_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
