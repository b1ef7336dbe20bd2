// Goal:   every row is used, cut or dropped, and counted; an epoch is a permutation, and what an
//         update takes depends on its number alone.
// Method: one row of each kind, with limits set to the token from their own lengths.
#include "algos/tokens.h"

#include "algos/tiny_job.h"

enum { ROWS = 50 };

static int64_t length(tiny *t, const char *text) {
    int32_t *ids;
    int64_t  n;
    ok(mg_tokenizer_encode(tiny_words, text, strlen(text), false, &t->run, &ids, &n));
    return n;
}

static void rows_are_used_cut_or_dropped(void **state) {
    (void)state;
    tiny *t = tiny_job("sft", 1);
    const char *const longer = "bread and salt on the table", *shorter = "rain";
    const mg_pair     pairs[] = {{shorter, shorter},
                                 {longer, shorter}, // a prompt beyond the limit
                                 {shorter, longer}, // an answer beyond it
                                 {shorter, ""},
                                 {shorter, "ra<|endoftext|>in"}}; // ends before its end
    mg_pair_tokens    x;
    t->job.rule.template   = "{prompt}";
    t->job.rule.prompt_max = length(t, longer) - 1;
    t->job.response_max    = length(t, longer);
    ok(mg_pair_tokens_make(&t->job, pairs, 5, &x));
    assert_int_equal(x.n, 5);
    assert_int_equal(x.cut, 1);
    assert_int_equal(x.dropped, 2);
    assert_int_equal(x.n_rows, 3);
    const int64_t kept[] = {0, 1, 3};
    assert_memory_equal(x.rows, kept, sizeof kept);
    assert_int_equal(x.prompts[1].n, length(t, longer) - 1);
    assert_int_equal(x.answers[1].prompt, 1);
    assert_int_equal(x.answers[0].n, length(t, shorter) + 1);
    assert_int_equal(x.answers[0].tokens[x.answers[0].n - 1], TINY_STOP);
    assert_int_equal(x.answers[2].n, 0);
    assert_int_equal(x.answers[4].n, 0);

    t->job.rule.cut = false; // the long prompt goes too
    t->job.response_max++;   // and the long answer with its stop just fits
    ok(mg_pair_tokens_make(&t->job, pairs, 5, &x));
    assert_int_equal(x.cut, 0);
    assert_int_equal(x.dropped, 2);
    const int64_t left[] = {0, 2, 3};
    assert_int_equal(x.n_rows, 3);
    assert_memory_equal(x.rows, left, sizeof left);
    tiny_stop(t);
}

static void preferences_need_both_answers(void **state) {
    (void)state;
    tiny *t = tiny_job("dpo", 1);
    const char *const    longer = "bread and salt on the table", *shorter = "rain";
    const mg_preference  rows[] = {{shorter, longer, shorter}, {shorter, shorter, longer},
                                   {longer, shorter, shorter}, {shorter, shorter, "red"}};
    mg_preference_tokens x;
    t->job.rule.template   = "{prompt}";
    t->job.rule.prompt_max = length(t, longer) - 1;
    t->job.response_max    = length(t, longer);
    ok(mg_preference_tokens_make(&t->job, rows, 4, &x));
    assert_int_equal(x.n, 2);
    assert_int_equal(x.dropped, 2);
    assert_int_equal(x.cut, 1);
    for (int32_t i = 0; i < 4; i++) assert_int_equal(x.answers[i].prompt, i / 2);
    assert_int_equal(x.prompts[0].n, length(t, longer) - 1);
    assert_int_equal(x.answers[3].n, length(t, "red") + 1); // rejected, of the last row
    tiny_stop(t);
}

static void data_that_cannot_be_used_are_refused(void **state) {
    (void)state;
    tiny *t = tiny_job("sft", 1);
    const mg_pair        bad[]  = {{"rain", "rain"}, {"rain", "r\xFF"}};
    const mg_preference  row    = {"rain", "grey seals, two of them", "rain"};
    const mg_preference  worse  = {"\xFF", "rain", "rain"};
    mg_pair_tokens       x      = {.n = -7};
    mg_preference_tokens y      = {.n = -7};
    assert_int_equal(mg_pair_tokens_make(&t->job, bad, 2, &x), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "row 2"));
    assert_int_equal(mg_preference_tokens_make(&t->job, &worse, 1, &y), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "row 1"));
    t->job.response_max = 1;
    assert_int_equal(mg_pair_tokens_make(&t->job, bad, 1, &x), MG_EMPTY);
    assert_int_equal(mg_preference_tokens_make(&t->job, &row, 1, &y), MG_EMPTY);
    assert_int_equal(x.n, -7); // outputs only on success
    assert_int_equal(y.n, -7);
    tiny_stop(t);
}

static void each_epoch_is_another_permutation(void **state) {
    (void)state;
    mg_arena scratch;
    int64_t  order[3][ROWS];
    ok(mg_arena_init(&scratch, "scratch", 1 << 20));
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        bool seen[ROWS] = {false};
        mg_shuffled_rows(1, ROWS, epoch, ROWS, &scratch, order[epoch]);
        for (int i = 0; i < ROWS; i++) {
            assert_in_range(order[epoch][i], 0, ROWS - 1);
            assert_false(seen[order[epoch][i]]);
            seen[order[epoch][i]] = true;
        }
    }
    assert_memory_not_equal(order[0], order[1], sizeof order[0]);
    assert_memory_not_equal(order[1], order[2], sizeof order[0]);
    int64_t other[ROWS];
    mg_shuffled_rows(2, ROWS, 0, ROWS, &scratch, other);
    assert_memory_not_equal(order[0], other, sizeof other);
    assert_int_equal(mg_arena_mark(&scratch), 0);
    mg_arena_release(&scratch);
}

// Batches that do not divide the rows, and one larger than all of them.
static void updates_take_the_stream_of_rows_in_order(void **state) {
    (void)state;
    mg_arena scratch;
    int64_t  stream[3 * ROWS], batch[2 * ROWS];
    ok(mg_arena_init(&scratch, "scratch", 1 << 20));
    for (int64_t epoch = 0; epoch < 3; epoch++)
        mg_shuffled_rows(1, ROWS, epoch, ROWS, &scratch, stream + epoch * ROWS);
    for (int64_t update = 20; update >= 0; update--) { // none needs those before it
        mg_shuffled_rows(1, ROWS, update, 7, &scratch, batch);
        assert_memory_equal(batch, stream + 7 * update, sizeof *batch * 7);
    }
    mg_shuffled_rows(1, ROWS, 1, ROWS + 11, &scratch, batch);
    assert_memory_equal(batch, stream + ROWS + 11, sizeof *batch * (ROWS + 11));
    mg_arena_release(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_used_cut_or_dropped),
        cmocka_unit_test(preferences_need_both_answers),
        cmocka_unit_test(data_that_cannot_be_used_are_refused),
        cmocka_unit_test(each_epoch_is_another_permutation),
        cmocka_unit_test(updates_take_the_stream_of_rows_in_order),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
