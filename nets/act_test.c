// Goal: actions are those that a head's numbers mean, and log-probabilities those of the distributions that they are
// drawn from; a row's do not depend on its batch.
// Method: linear policies whose numbers are set by hand; distributions are compared with their densities by counting
// and by sums over a grid, not by the code's own formulas.
#include "nets/act.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "act test", (size_t)1 << 30) != MG_OK;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

// A linear policy whose numbers are `bias`, whatever it sees, but for x_0, which is added to the first.
static mg_model *policy(mg_mlp_head head, int64_t out, const float *bias, double scale) {
    mg_model *m;
    const mg_mlp_shape shape = {.in = 2, .out = out, .width = 1, .nets = 1, .head = head, .action_scale = scale,
                                .free = head == MG_HEAD_GAUSSIAN ? out : 0};
    if (mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = shape}, false))
        fail_msg("%s", mg_err_detail());
    memcpy(m->nets[0].b->data, bias, sizeof *bias * (size_t)out);
    mg_f32(m->nets[0].W)[0] = 1;
    mg_model_touch(m);
    return m;
}

static void act(mg_model *m, const float *seen, int64_t rows, mg_rng *draws, mg_acts out) {
    if (mg_act(m, NULL, seen, rows, draws, &arena, &out)) fail_msg("%s", mg_err_detail());
}

static const float nothing[2 * 4096];

// Streams of rows, as a rollout has them.
static mg_rng *streams(int64_t rows) {
    mg_rng *draws = MG_NEW(&arena, mg_rng, rows);
    for (int64_t i = 0; i < rows; i++) {
        draws[i] = mg_rng_stream(7, MG_PURPOSE_TEST, 0);
        mg_rng_seek(&draws[i], (uint32_t)i, 0, 0);
    }
    return draws;
}

static void test_a_deterministic_policy_gives_tanh_by_the_range(void **state) {
    (void)state;
    mg_model *m = policy(MG_HEAD_TANH, 2, (float[]){0.5f, -3}, 2);
    float     drawn[2], action[2];
    act(m, (float[]){0.25f, 9}, 1, NULL, (mg_acts){.drawn = drawn, .action = action});
    near((double)drawn[0], tanh(0.75), 1e-7), near((double)drawn[1], tanh(-3), 1e-7);
    near((double)action[0], 2 * tanh(0.75), 2e-7), near((double)action[1], 2 * tanh(-3), 2e-7);
    assert_int_equal(mg_act_numbers(&m->config.mlp), 2);
    mg_model_free(m);
}

static void test_what_is_seen_is_normalised(void **state) {
    (void)state;
    mg_model *m = policy(MG_HEAD_TANH, 1, (float[]){0}, 1);
    float     action;
    mg_mlp_set_input(m, (double[]){5, 0}, (double[]){4, 1});
    act(m, (float[]){7, 0}, 1, NULL, (mg_acts){.action = &action});
    near((double)action, tanh(0.5), 1e-7);
    mg_model_free(m);
}

// Mean, deviation and density of 4,096 draws; what lies beyond the range is cut for the world alone.
static void test_a_gaussian_policy_draws_what_its_numbers_say(void **state) {
    (void)state;
    enum { N = 4096 };
    mg_model *m = policy(MG_HEAD_GAUSSIAN, 2, (float[]){0.5f, -1}, 3);
    float    *drawn = MG_NEW(&arena, float, 2 * N), *action = MG_NEW(&arena, float, 2 * N);
    double   *logp = MG_NEW(&arena, double, N), sum[2] = {0}, squares[2] = {0};
    const double deviation[2] = {0.25, 2};
    int       cut = 0;
    for (int j = 0; j < 2; j++) mg_f32(m->free)[j] = (float)log(deviation[j]);
    act(m, nothing, N, streams(N), (mg_acts){.drawn = drawn, .action = action, .logp = logp});
    for (int i = 0; i < N; i++) {
        double density = 1;
        for (int j = 0; j < 2; j++) {
            const double x = (double)drawn[2 * i + j], z = (x - (j == 0 ? 0.5 : -1)) / deviation[j];
            sum[j] += x / N, squares[j] += z * z / N;
            density *= exp(-z * z / 2) / sqrt(2 * acos(-1)) / deviation[j];
            near((double)action[2 * i + j], 3 * fmin(fmax(x, -1), 1), 1e-6);
            cut += fabs(x) > 1;
        }
        near(logp[i], log(density), 2e-5);
    }
    near(sum[0], 0.5, 4 * 0.25 / 64), near(sum[1], -1, 4 * 2.0 / 64); // four deviations of a mean
    near(squares[0], 1, 0.09), near(squares[1], 1, 0.09);             // sqrt(2 / 4096) is .022
    assert_true(cut > N / 2 && cut < N);
    act(m, nothing, 1, NULL, (mg_acts){.drawn = drawn, .logp = logp}); // the mode
    assert_true(drawn[0] == 0.5f && drawn[1] == -1);
    near(logp[0], -log(0.25 * 2 * 2 * acos(-1)), 1e-5);
    mg_model_free(m);
}

// The density of tanh(u) over a grid sums to 1, and draws fall where it says.
static void test_a_tanh_gaussian_policy_has_the_density_of_its_draws(void **state) {
    (void)state;
    enum { N = 4096, CELLS = 8 };
    mg_model *m = policy(MG_HEAD_TANH_GAUSSIAN, 2, (float[]){0.3f, (float)log(0.7)}, 2);
    float    *drawn = MG_NEW(&arena, float, N);
    double   *logp = MG_NEW(&arena, double, N), share[CELLS] = {0}, wanted[CELLS] = {0};
    act(m, nothing, N, streams(N), (mg_acts){.drawn = drawn, .logp = logp});
    for (int k = 0; k < 80000; k++) { // by substitution, without the code's formula: p(a) = N(atanh a) / (1 - a^2)
        const double a = -1 + (k + 0.5) / 40000, z = (atanh(a) - 0.3) / 0.7;
        wanted[(int)((a + 1) / 2 * CELLS)] += exp(-z * z / 2) / sqrt(2 * acos(-1)) / 0.7 / (1 - a * a) / 40000;
    }
    for (int i = 0; i < N; i++) {
        const double a = (double)drawn[i], z = (atanh(a) - 0.3) / 0.7;
        share[(int)((a + 1) / 2 * CELLS)] += 1.0 / N;
        if (fabs(a) < 0.99)
            near(logp[i], -z * z / 2 - log(sqrt(2 * acos(-1)) * 0.7) - log(1 - a * a), 1e-4);
    }
    for (int c = 0; c < CELLS; c++) near(share[c], wanted[c], 0.03); // four deviations of a share
    act(m, nothing, 1, NULL, (mg_acts){.drawn = drawn});
    near((double)drawn[0], tanh(0.3), 1e-7);
    mg_model_free(m);
}

// log(1 - tanh(u)^2) = -2 log cosh u, which for large u is 2 log 2 - 2 |u|; tanh is 1 in double from 20 on.
static void test_the_correction_of_tanh_is_stable(void **state) {
    (void)state;
    for (double u = -3; u <= 3; u += 0.37) near(mg_log_tanh_slope(u), -2 * log(cosh(u)), 1e-14);
    near(mg_log_tanh_slope(50), 2 * log(2) - 100, 1e-12);
    near(mg_log_tanh_slope(-400), 2 * log(2) - 800, 1e-10);
    mg_model *m = policy(MG_HEAD_TANH_GAUSSIAN, 2, (float[]){300, 90}, 1); // the deviation is exp(2) at most
    double    logp;
    float     drawn;
    act(m, nothing, 1, NULL, (mg_acts){.drawn = &drawn, .logp = &logp});
    near(logp, -2 - 0.918938533204672742 - (2 * log(2) - 600), 1e-9);
    assert_true(drawn == 1);
    mg_model_free(m);
}

static void test_choices_fall_by_their_probabilities(void **state) {
    (void)state;
    enum { N = 4096 };
    const double p[3] = {0.5, 0.2, 0.3};
    mg_model    *m = policy(MG_HEAD_CATEGORICAL, 3, (float[]){(float)log(5), (float)log(2), (float)log(3)}, 1);
    int64_t     *choice = MG_NEW(&arena, int64_t, N);
    double      *logp = MG_NEW(&arena, double, N), share[3] = {0};
    act(m, nothing, N, streams(N), (mg_acts){.choice = choice, .logp = logp});
    for (int i = 0; i < N; i++) {
        assert_in_range(choice[i], 0, 2);
        share[choice[i]] += 1.0 / N;
        near(logp[i], log(p[choice[i]]), 1e-6);
    }
    for (int k = 0; k < 3; k++) near(share[k], p[k], 4 * sqrt(p[k] * (1 - p[k]) / N));
    act(m, nothing, 1, NULL, (mg_acts){.choice = choice});
    assert_int_equal(choice[0], 0);
    act(m, (float[]){-30, 0}, 1, NULL, (mg_acts){.choice = choice});
    assert_int_equal(choice[0], 2);
    mg_f32(m->nets[0].b)[1] = mg_f32(m->nets[0].b)[2] = 9; // of several likeliest the first
    mg_model_touch(m);
    act(m, nothing, 1, NULL, (mg_acts){.choice = choice});
    assert_int_equal(choice[0], 1);
    assert_int_equal(mg_act_numbers(&m->config.mlp), 0);
    mg_model_free(m);
}

// Streams whose first number is known: a choice is the first whose distribution function is above it.
static void test_a_draw_ends_where_the_distribution_function_passes_it(void **state) {
    (void)state;
    enum { N = 512 };
    const double f[3] = {0.5, 0.7, 1};
    mg_model    *m = policy(MG_HEAD_CATEGORICAL, 3, (float[]){(float)log(5), (float)log(2), (float)log(3)}, 1);
    mg_rng      *draws = streams(N), *again = streams(N);
    int64_t      choice[N], seen[3] = {0};
    act(m, nothing, N, draws, (mg_acts){.choice = choice});
    for (int i = 0; i < N; i++) {
        const double u = mg_rng_uniform(&again[i]);
        int64_t      k = 0;
        while (f[k] <= u) k++;
        assert_true(fabs(u - f[0]) > 1e-6 && fabs(u - f[1]) > 1e-6); // not so near that rounding decides
        assert_int_equal(choice[i], k);
        seen[k]++;
    }
    assert_true(seen[0] > 200 && seen[1] > 50 && seen[2] > 100);
    mg_model_free(m);
}

// 70 rows together, and each alone.
static void test_a_row_has_the_same_bits_in_any_batch(void **state) {
    (void)state;
    enum { N = 70 };
    static const mg_mlp_head heads[] = {MG_HEAD_TANH, MG_HEAD_TANH_GAUSSIAN, MG_HEAD_GAUSSIAN, MG_HEAD_CATEGORICAL};
    float seen[3 * N];
    for (int i = 0; i < 3 * N; i++) seen[i] = (float)sin(i * 1.3) * 2;
    for (int h = 0; h < 4; h++) {
        mg_model    *m;
        mg_mlp_shape s = {.in = 3, .out = 4, .width = 33, .depth = 2, .nets = 1, .tanh = h % 2 == 0, .head = heads[h],
                          .action_scale = 1.5, .free = heads[h] == MG_HEAD_GAUSSIAN ? 4 : 0};
        if (mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = s}, false)) fail();
        mg_model_init(m, 11);
        const int64_t n = mg_act_numbers(&s);
        float   drawn[4 * N], action[4 * N], drawn_1[4], action_1[4];
        int64_t choice[N], choice_1;
        double  logp[N], logp_1, *all = h ? logp : NULL, *one = h ? &logp_1 : NULL;
        act(m, seen, N, streams(N), (mg_acts){drawn, action, choice, all});
        for (int i = 0; i < N; i++) {
            mg_rng *draws = streams(N);
            act(m, seen + 3 * i, 1, draws + i, (mg_acts){drawn_1, action_1, &choice_1, one});
            if (n > 0) assert_memory_equal(drawn_1, drawn + n * i, sizeof(float) * (size_t)n);
            if (n > 0) assert_memory_equal(action_1, action + n * i, sizeof(float) * (size_t)n);
            if (n == 0) assert_int_equal(choice_1, choice[i]);
            if (one) assert_true(logp_1 == logp[i]);
        }
        mg_model_free(m);
    }
}

// Clamped to the world's range, what they spoil would be an action like others. One too large decides nothing where
// nothing is drawn.
static void test_deviations_that_are_none_are_refused(void **state) {
    (void)state;
    static const float logs[] = {NAN, INFINITY, -INFINITY, 1000};
    float              action[2];
    const mg_acts      out = {.action = action};
    for (int k = 0; k < 4; k++) {
        mg_model *m = policy(MG_HEAD_GAUSSIAN, 2, (float[]){0.5f, -0.25f}, 1);
        mg_f32(m->free)[0] = 0, mg_f32(m->free)[1] = logs[k];
        assert_int_equal(mg_act(m, NULL, nothing, 1, streams(1), &arena, &out), MG_NUMERIC);
        assert_non_null(strstr(mg_err_detail(), "the policy's deviation"));
        const mg_err greedy = mg_act(m, NULL, nothing, 1, NULL, &arena, &out);
        assert_int_equal(greedy, k == 3 ? MG_OK : MG_NUMERIC);
        if (k == 3) assert_true(action[0] == 0.5f && action[1] == -0.25f);
        mg_model_free(m);
    }
}

static void test_numbers_that_are_none_are_refused(void **state) {
    (void)state;
    mg_model *m = policy(MG_HEAD_GAUSSIAN, 2, (float[]){0, NAN}, 1);
    float     action[4];
    assert_int_equal(mg_act(m, NULL, nothing, 2, NULL, &arena, &(mg_acts){.action = action}), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "number 1 of the policy for row 0 is nan"));
    mg_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_deterministic_policy_gives_tanh_by_the_range),
        cmocka_unit_test(test_what_is_seen_is_normalised),
        cmocka_unit_test(test_a_gaussian_policy_draws_what_its_numbers_say),
        cmocka_unit_test(test_a_tanh_gaussian_policy_has_the_density_of_its_draws),
        cmocka_unit_test(test_the_correction_of_tanh_is_stable),
        cmocka_unit_test(test_choices_fall_by_their_probabilities),
        cmocka_unit_test(test_a_draw_ends_where_the_distribution_function_passes_it),
        cmocka_unit_test(test_a_row_has_the_same_bits_in_any_batch),
        cmocka_unit_test(test_numbers_that_are_none_are_refused),
        cmocka_unit_test(test_deviations_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
