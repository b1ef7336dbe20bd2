// Goal:   the actors' losses are what their equations say, with their slopes, and the multiplier finds what the
//         constraint costs.
// Method: values by hand; slopes by central differences; a toy problem whose solution is closed: the nearest point of
//         a ball to one outside.
#include "algos/td3/actor_loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

enum { N = 5, A = 3 };

typedef struct numbers {
    float          q[N], pi[N * A], data[N * A], dq[N], dpi[N * A];
    mg_actor_terms x;
} numbers;

static void draw(numbers *n) {
    mg_rng rng = mg_rng_stream(11, MG_PURPOSE_TEST, 0);
    memset(n, 0, sizeof *n);
    for (int i = 0; i < N; i++) n->q[i] = (float)(3 * mg_rng_normal(&rng));
    for (int i = 0; i < N * A; i++) n->pi[i] = (float)mg_rng_uniform(&rng), n->data[i] = (float)mg_rng_uniform(&rng);
    n->x = (mg_actor_terms){.n = N, .actions = A, .q = n->q, .pi = n->pi, .data = n->data, .dq = n->dq, .dpi = n->dpi};
}

static void losses_by_hand(void **state) {
    (void)state;
    // Two transitions of two numbers; mean Q -1, mean |Q| 3, c = (0.25 + 0 + 1 + 0.25) / 4.
    float          q[] = {2, -4}, pi[] = {0.5f, 0, 1, 0.5f}, data[] = {0, 0, 0, 0}, dq[2] = {0}, dpi[4] = {0};
    mg_actor_terms x = {.n = 2, .actions = 2, .q = q, .pi = pi, .data = data, .dq = dq, .dpi = dpi};
    near(mg_action_distance(2, 2, pi, data), 0.375, 1e-12);
    near(mg_actor_loss_plain(&x), 1, 1e-12);
    near((double)dq[0], -0.5, 1e-7), near((double)dpi[2], 0, 0);
    near(mg_actor_loss_bc(&x, 6, 1), 2 * 1 + 0.375, 1e-12);              // lambda = 6 / 3
    near(mg_actor_loss_bc(&x, 6, 0), 2, 1e-12);                          // faded: no cloning
    near(mg_actor_loss_constraint(&x, data, 3, false), (1 + 3 * 0.375) / 4, 1e-12);
    near(mg_actor_loss_constraint(&x, data, 3, true), (1 + 3 * 0.375 * 3) / 4, 1e-12);
}

// mean |Q| is a constant: it is held while q is moved, by dividing it out of the loss.
typedef double loss_fn(const mg_actor_terms *x);
static double size_at_start;
static double bc(const mg_actor_terms *x) {
    double size = 0;
    for (int i = 0; i < N; i++) size += fabs((double)x->q[i]) / N;
    return mg_actor_loss_bc(x, 2.5 * size / size_at_start, 0.7);
}
static double plain(const mg_actor_terms *x) { return mg_actor_loss_plain(x); }
static double constrained(const mg_actor_terms *x) { return mg_actor_loss_constraint(x, x->data, 1.7, false); }

static double moved(loss_fn *loss, float *at, double by, numbers *n) {
    const float was = *at;
    *at             = (float)((double)was + by);
    const double l  = loss(&n->x);
    *at             = was;
    return l;
}

static void gradients_are_slopes(void **state) {
    (void)state;
    loss_fn *const all[] = {plain, bc, constrained};
    for (int k = 0; k < 3; k++) {
        numbers n;
        draw(&n);
        size_at_start = 0;
        for (int i = 0; i < N; i++) size_at_start += fabs((double)n.q[i]) / N;
        all[k](&n.x);
        float dq[N], dpi[N * A];
        memcpy(dq, n.dq, sizeof dq), memcpy(dpi, n.dpi, sizeof dpi);
        for (int i = 0; i < N; i++)
            near((double)dq[i], (moved(all[k], &n.q[i], 0.125, &n) - moved(all[k], &n.q[i], -0.125, &n)) / 0.25, 1e-5);
        for (int i = 0; i < N * A; i++)
            near((double)dpi[i], (moved(all[k], &n.pi[i], 0.0625, &n) - moved(all[k], &n.pi[i], -0.0625, &n)) / 0.125,
                 1e-5);
    }
}

// The loss's scale in Q: twice the critic, and the constraint's term keeps its part of the whole.
static void the_scale_free_constraint_does_not_know_the_unit_of_reward(void **state) {
    (void)state;
    numbers one, ten;
    draw(&one), draw(&ten);
    for (int i = 0; i < N; i++) ten.q[i] *= 10;
    mg_actor_loss_constraint(&one.x, one.data, 2, true);
    mg_actor_loss_constraint(&ten.x, ten.data, 2, true);
    for (int i = 0; i < N * A; i++) near((double)ten.dpi[i], 10 * (double)one.dpi[i], 1e-5);
    for (int i = 0; i < N; i++) near((double)ten.dq[i], (double)one.dq[i], 0);
}

static void a_critic_of_zeros_pushes_nowhere(void **state) {
    (void)state;
    numbers n;
    draw(&n);
    memset(n.q, 0, sizeof n.q);
    assert_true(isfinite(mg_actor_loss_bc(&n.x, 2.5, 1)));
    for (int i = 0; i < N; i++) near((double)n.dq[i], 0, 0);
}

static void a_multiplier_is_the_softplus_of_its_eta(void **state) {
    (void)state;
    near(mg_multiplier(0), log(2), 1e-12);
    near(mg_multiplier(mg_multiplier_eta(1)), 1, 1e-12);
    near(mg_multiplier(mg_multiplier_eta(1e-4)), 1e-4, 1e-12);
    near(mg_multiplier(mg_multiplier_eta(500)), 500, 1e-9);
    near(mg_multiplier(1e9), MG_MULTIPLIER_MAX, 0);
    // A violation of ten bounds moves it no further than one of two; without one it falls as fast.
    near(mg_multiplier_ascend(1, 11, 1, 0.1), 1.1, 1e-12);
    near(mg_multiplier_ascend(1, 3, 1, 0.1), 1.1, 1e-12);
    near(mg_multiplier_ascend(1, 1.5, 1, 0.1), 1.05, 1e-12);
    near(mg_multiplier_ascend(1, 0, 1, 0.1), 0.9, 1e-12);
    near(mg_multiplier_ascend(-10, 0, 1, 0.1), -10, 0);
}

// q(a) = -||a - a*||^2 under ||a - a0||^2 <= eps. For a multiplier lambda the best is (a* + lambda a0) / (1 + lambda),
// and at the solution lambda = max(0, ||a* - a0|| / sqrt(eps) - 1). The policy is taken to be at its best.
static void the_multiplier_finds_the_closed_form(void **state) {
    (void)state;
    const struct {
        double best[2], anchor[2], eps;
    } toys[] = {{{3, 4}, {0, 0}, 1}, {{1, 0}, {0, 0}, 0.01}, {{0.5, -0.5}, {0.25, 0.5}, 0.04}, {{0.1, 0}, {0, 0}, 0.25}};
    for (size_t k = 0; k < sizeof toys / sizeof *toys; k++) {
        const double D2 = pow(toys[k].best[0] - toys[k].anchor[0], 2) + pow(toys[k].best[1] - toys[k].anchor[1], 2);
        const double wanted = fmax(0, sqrt(D2) / sqrt(toys[k].eps) - 1);
        double       eta    = mg_multiplier_eta(1), c = 0;
        for (int step = 0; step < 200000; step++) {
            const double lambda = mg_multiplier(eta);
            c = 0;
            for (int j = 0; j < 2; j++) {
                const double a = (toys[k].best[j] + lambda * toys[k].anchor[j]) / (1 + lambda);
                c += pow(a - toys[k].anchor[j], 2);
            }
            eta = mg_multiplier_ascend(eta, c, toys[k].eps, 0.01);
        }
        near(mg_multiplier(eta), wanted, 1e-3);
        assert_true(c <= toys[k].eps * (1 + 1e-3));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_by_hand),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(the_scale_free_constraint_does_not_know_the_unit_of_reward),
        cmocka_unit_test(a_critic_of_zeros_pushes_nowhere),
        cmocka_unit_test(a_multiplier_is_the_softplus_of_its_eta),
        cmocka_unit_test(the_multiplier_finds_the_closed_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
