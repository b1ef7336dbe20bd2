// Goal: transitions are those of D4RL's rule, their means those of a hand computation, samples those of
// the stream.
#include "store/transitions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", (size_t)1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

// Seven rows: an episode of three that ends, one of two that is cut off, two rows of a third.
#define ROWS 7
static float   observation[ROWS * 2], action[ROWS], reward[ROWS], next[ROWS * 2];
static uint8_t terminal[ROWS], timeout[ROWS];

static mg_logged logged(bool own_next) {
    for (int i = 0; i < ROWS; i++) {
        observation[2 * i] = (float)(10 * i), observation[2 * i + 1] = (float)(10 * i + 1);
        next[2 * i] = (float)(100 * i), next[2 * i + 1] = (float)(100 * i + 1);
        action[i] = (float)i / 8, reward[i] = (float)-i, terminal[i] = i == 2, timeout[i] = i == 4;
    }
    return (mg_logged){.rows = ROWS, .obs = 2, .act = 1, .observation = observation, .action = action,
                       .reward = reward, .terminal = terminal, .timeout = timeout, .next = own_next ? next : NULL};
}

static mg_transitions of(mg_logged l) {
    mg_transitions t;
    if (mg_logged_transitions(&l, &arena, &t)) fail_msg("%s", mg_err_detail());
    return t;
}

static void assert_floats(const float *got, const float *wanted, int n) {
    for (int i = 0; i < n; i++)
        if (got[i] != wanted[i]) fail_msg("number %d: %g, wanted %g", i, (double)got[i], (double)wanted[i]);
}

static void test_rows_at_a_timeout_and_the_last_are_left_out(void **state) {
    (void)state;
    const mg_transitions t = of(logged(false));
    assert_int_equal(t.n, 5); // rows 0 1 2 3 5
    assert_floats(t.observation, (float[]){0, 1, 10, 11, 20, 21, 30, 31, 50, 51}, 10);
    assert_floats(t.next, (float[]){10, 11, 20, 21, 30, 31, 40, 41, 60, 61}, 10);
    assert_floats(t.action, (float[]){0, .125f, .25f, .375f, .625f}, 5);
    assert_floats(t.reward, (float[]){0, -1, -2, -3, -5}, 5);
    assert_memory_equal(t.terminal, ((uint8_t[]){0, 0, 1, 0, 0}), 5);
}

static void test_next_observations_of_the_file_are_taken_for_the_same_rows(void **state) {
    (void)state;
    const mg_transitions t = of(logged(true));
    assert_int_equal(t.n, 5);
    assert_floats(t.observation, (float[]){0, 1, 10, 11, 20, 21, 30, 31, 50, 51}, 10);
    assert_floats(t.next, (float[]){0, 1, 100, 101, 200, 201, 300, 301, 500, 501}, 10);
}

static void test_terminal_and_timed_out_is_left_out_like_a_timeout(void **state) {
    (void)state;
    mg_logged l = logged(false);
    l.timeout[2] = 1;
    assert_int_equal(of(l).n, 4);
}

static void test_nothing_left_is_an_error(void **state) {
    (void)state;
    mg_logged      l = logged(false);
    mg_transitions t;
    l.rows       = 2;
    l.timeout[0] = 1;
    assert_int_equal(mg_logged_transitions(&l, &arena, &t), MG_EMPTY);
    assert_non_null(strstr(mg_err_detail(), "2 rows"));
    assert_int_equal(l.rows, 2); // untouched
}

static void test_no_room_for_what_is_new_is_an_error(void **state) {
    (void)state;
    mg_arena       small = mg_arena_part(&arena, 64);
    mg_logged      l     = logged(false);
    mg_transitions t;
    assert_int_equal(mg_logged_transitions(&l, &small, &t), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "found 40 bytes of next observations")); // 5 rows of 2 numbers
    assert_int_equal(l.rows, ROWS);
    l = logged(true);
    assert_int_equal(mg_logged_transitions(&l, &small, &t), MG_OK);
}

static void test_episodes_end_at_terminals_timeouts_and_the_last_row(void **state) {
    (void)state;
    mg_logged l = logged(false);
    assert_int_equal(mg_logged_episodes(&l), 3);
    l.rows = 5;
    assert_int_equal(mg_logged_episodes(&l), 2);
}

// 20 numbers, so that more than one block of columns is summed.
static void test_scale_is_mean_and_deviation_of_the_rows(void **state) {
    (void)state;
    mg_transitions t = mg_transitions_new(&arena, 4, 20, 1);
    float          mean[20], deviation[20];
    for (int k = 0; k < 20; k++) {
        const float rows[4] = {1, 3, 3, 9}; // mean 4, squares 9 1 1 25, variance 9
        for (int i = 0; i < 4; i++) t.observation[i * 20 + k] = rows[i] * (float)(k + 1);
    }
    mg_transitions_scale(&t, mean, deviation);
    for (int k = 0; k < 20; k++) {
        assert_float_equal(mean[k], 4 * (k + 1), 0);
        assert_float_equal(deviation[k], 3 * (k + 1) + .001, 1e-5);
    }
}

static void test_samples_are_the_rows_that_the_stream_names(void **state) {
    (void)state;
    mg_transitions t = mg_transitions_new(&arena, 1000, 3, 2), b = mg_transitions_new(&arena, 77, 3, 2);
    for (int64_t i = 0; i < t.n; i++) {
        for (int k = 0; k < 3; k++) t.observation[3 * i + k] = (float)(i + k), t.next[3 * i + k] = (float)(-i - k);
        t.action[2 * i] = (float)i, t.action[2 * i + 1] = (float)(2 * i);
        t.reward[i] = (float)i / 4, t.terminal[i] = i % 3 == 0;
    }
    mg_rng rng = mg_rng_stream(9, MG_PURPOSE_TEST, 0), again = rng;
    mg_transitions_sample(&t, &rng, &b);
    for (int64_t j = 0; j < b.n; j++) {
        const int64_t i = (int64_t)mg_rng_below(&again, 1000);
        assert_floats(b.observation + 3 * j, (float[]){(float)i, (float)(i + 1), (float)(i + 2)}, 3);
        assert_floats(b.next + 3 * j, (float[]){(float)-i, (float)(-i - 1), (float)(-i - 2)}, 3);
        assert_floats(b.action + 2 * j, (float[]){(float)i, (float)(2 * i)}, 2);
        assert_true(b.reward[j] == (float)i / 4 && b.terminal[j] == (i % 3 == 0));
    }
}

static void test_a_view_is_rows_of_the_same_memory(void **state) {
    (void)state;
    mg_transitions t = mg_transitions_new(&arena, 10, 3, 2), v = mg_transitions_view(&t, 4, 5);
    v.observation[0] = 1, v.next[3] = 2, v.action[0] = 3, v.reward[4] = 4, v.terminal[4] = 1;
    assert_int_equal(v.n, 5);
    assert_true(t.observation[12] == 1 && t.next[15] == 2 && t.action[8] == 3 && t.reward[8] == 4);
    assert_int_equal(t.terminal[8], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_at_a_timeout_and_the_last_are_left_out),
        cmocka_unit_test(test_next_observations_of_the_file_are_taken_for_the_same_rows),
        cmocka_unit_test(test_terminal_and_timed_out_is_left_out_like_a_timeout),
        cmocka_unit_test(test_nothing_left_is_an_error),
        cmocka_unit_test(test_no_room_for_what_is_new_is_an_error),
        cmocka_unit_test(test_episodes_end_at_terminals_timeouts_and_the_last_row),
        cmocka_unit_test(test_scale_is_mean_and_deviation_of_the_rows),
        cmocka_unit_test(test_samples_are_the_rows_that_the_stream_names),
        cmocka_unit_test(test_a_view_is_rows_of_the_same_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
