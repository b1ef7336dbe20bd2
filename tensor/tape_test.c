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
    for (int i = 0; i < 3; i++) {
        mg_tensor *y = mg_tape_tensor(&tape, 1, 1);
        mg_grad(y);
        mg_tape_push(&tape, y, note, &marks[i]);
    }
    assert_int_equal(n_run, 0);
    mg_tape_backward(&tape);
    assert_int_equal(n_run, 3);
    assert_memory_equal(order, ((int[]){3, 2, 1}), sizeof(int[3]));
}

// Nobody asked for the second one's gradient: it is not in the loss, and nor is what is behind it.
static void test_a_result_outside_the_loss_is_left_out(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape    tape     = mg_tape_make(*state, NULL, true);
    int        marks[3] = {1, 2, 3};
    mg_tensor *y[3];
    n_run = 0;
    for (int i = 0; i < 3; i++) {
        y[i] = mg_tape_tensor(&tape, 1, 1);
        mg_tape_push(&tape, y[i], note, &marks[i]);
    }
    mg_grad(y[0]), mg_grad(y[2]);
    mg_tape_backward(&tape);
    assert_int_equal(n_run, 2);
    assert_memory_equal(order, ((int[]){3, 1}), sizeof(int[2]));
}

// A chain of results: each node hands its gradient, plus one, to the result before it.
typedef struct link {
    mg_tensor *x, *y;
} link;

static const void *seen[4]; // where the gradients were

static void pass_on(mg_tape *tape, void *saved) {
    (void)tape;
    const link *l    = saved;
    seen[n_run++]    = l->y->grad;
    const bool first = mg_grad_begin(l->x);
    for (int i = 0; i < 100; i++)
        mg_grad_f32(l->x)[i] = (first ? 0 : mg_grad_f32(l->x)[i]) + mg_grad_f32(l->y)[i] + 1;
}

static void test_memory_of_gradients_goes_on_to_others(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape   tape  = mg_tape_make(*state, NULL, true);
    float     input[100] = {0};
    mg_tensor x = {.dtype = MG_F32, .rows = 10, .cols = 10, .grad = input}, *before = &x;
    link      links[4];
    n_run = 0;
    for (int i = 0; i < 4; i++) {
        links[i] = (link){before, mg_tape_tensor(&tape, 10, 10)};
        before   = links[i].y;
        mg_tape_push(&tape, before, pass_on, &links[i]);
    }
    mg_grad_f32(before)[7] = 5;
    const size_t used = mg_arena_mark(*state);
    mg_tape_backward(&tape);
    assert_true(input[7] == 9 && input[8] == 4);
    assert_ptr_equal(seen[2], seen[0]); // a node needs two at a time
    assert_ptr_equal(seen[3], seen[1]);
    assert_int_equal(mg_arena_mark(*state), used + 448); // of 100 floats in whole cache lines
    assert_null(before->grad);
}

static void test_a_gradient_is_taken_only_where_none_is_begun(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape    tape = mg_tape_make(*state, NULL, true);
    mg_tensor *y = mg_tape_tensor(&tape, 1, 2), *a = mg_tape_tensor(&tape, 2, 1);
    mg_tensor  constant = {.dtype = MG_F32, .rows = 2, .cols = 1};
    mg_grad_f32(y)[1] = 3;
    void *memory      = y->grad;
    assert_false(mg_grad_wanted(&constant));
    assert_false(mg_grad_begin(&constant));
    assert_null(mg_grad(&constant));
    assert_false(mg_grad_take(&constant, y));
    assert_true(mg_grad_take(a, y));
    assert_ptr_equal(a->grad, memory);
    assert_null(y->grad);
    assert_true(mg_grad_f32(a)[0] == 0 && mg_grad_f32(a)[1] == 3);
    mg_grad(y);
    assert_false(mg_grad_take(a, y));
    assert_ptr_equal(a->grad, memory);
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
    mg_tensor *t = mg_tape_tensor(&tape, 2, 2);
    assert_false(mg_grad_wanted(t));
    assert_null(mg_grad(t));
    mg_tape_push(&tape, t, note, NULL);
    assert_null(tape.last);
}

static void test_double_is_naive(void **state) {
    mg_arena_reset(*state, 0);
    mg_tape    tape = mg_tape_make_f64(*state);
    mg_tensor *t    = mg_tape_tensor(&tape, 1, 9);

    assert_true(tape.naive && tape.record);
    assert_int_equal(t->dtype, MG_F64);
    mg_f64(t)[8] = 1;
    for (int i = 0; i < 9; i++) assert_true(((double *)mg_grad(t))[i] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backward_runs_from_last_to_first),
        cmocka_unit_test(test_a_result_outside_the_loss_is_left_out),
        cmocka_unit_test(test_memory_of_gradients_goes_on_to_others),
        cmocka_unit_test(test_a_gradient_is_taken_only_where_none_is_begun),
        cmocka_unit_test(test_gradients_start_from_zero_on_used_memory),
        cmocka_unit_test(test_without_recording_nothing_is_kept),
        cmocka_unit_test(test_double_is_naive),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
