// tape_test.c - the tape without operations: order, gradients, recording.
#include "tensor/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state) {
    static mg_arena arena;
    *state = &arena;
    return mg_arena_init(&arena, "tape", 1 << 20);
}

static int teardown(void **state) {
    mg_arena_release(*state);
    return 0;
}

static int  order[4], n_run;
static void note(mg_tape *tape, void *saved) {
    (void)tape;
    order[n_run++] = *(int *)saved;
}

static void test_backward_runs_from_last_to_first(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape tape     = mg_tape_make(*state, NULL, true);
    int     marks[3] = {1, 2, 3};

    n_run = 0;
    for (int i = 0; i < 3; i++) mg_tape_push(&tape, note, &marks[i]);
    assert_int_equal(n_run, 0);
    mg_tape_backward(&tape);
    assert_int_equal(n_run, 3);
    assert_memory_equal(order, ((int[]){3, 2, 1}), sizeof(int[3]));
}

static void test_gradients_start_from_zero_on_used_memory(void **state) {
    mg_arena_reset(*state, 0);
    memset(mg_arena_alloc(*state, 4096), 0xff, 4096);
    mg_arena_reset(*state, 0);
    mg_tape    tape = mg_tape_make(*state, NULL, true);
    mg_tensor *t    = mg_tape_tensor(&tape, 3, 5);

    assert_int_equal(t->dtype, MG_F32);
    assert_int_equal(mg_tensor_count(t), 15);
    assert_int_equal(t->version, 0);
    assert_null(t->packed);
    for (int i = 0; i < 15; i++) assert_true(mg_grad_f32(t)[i] == 0);
    mg_f32(t)[14] = 1; // data and gradient do not overlap
    assert_true(mg_grad_f32(t)[0] == 0 && mg_grad_f32(t)[14] == 0);
}

static void test_without_recording_nothing_is_kept(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape tape = mg_tape_make(*state, NULL, false);
    assert_null(mg_tape_tensor(&tape, 2, 2)->grad);
    mg_tape_push(&tape, note, NULL);
    assert_null(tape.last);
}

static void test_double_is_naive(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape    tape = mg_tape_make_f64(*state);
    mg_tensor *t    = mg_tape_tensor(&tape, 1, 9);

    assert_true(tape.naive && tape.record);
    assert_int_equal(t->dtype, MG_F64);
    mg_f64(t)[8] = 1;
    for (int i = 0; i < 9; i++) assert_true(((double *)t->grad)[i] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backward_runs_from_last_to_first),
        cmocka_unit_test(test_gradients_start_from_zero_on_used_memory),
        cmocka_unit_test(test_without_recording_nothing_is_kept),
        cmocka_unit_test(test_double_is_naive),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
