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
    assert_int_equal(mg_pair_tokens_make(&t->job, bad, 1, &x), MG_CONFIG);
    assert_int_equal(mg_preference_tokens_make(&t->job, &row, 1, &y), MG_CONFIG);
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

// Appends the text's tokens, and the stop where one ends it.
static void put(tiny *t, const char *text, bool stop, mg_role role, int32_t *ids, uint8_t *roles,
                int64_t *n) {
    int32_t *part;
    int64_t  size;
    ok(mg_tokenizer_encode(tiny_words, text, strlen(text), false, &t->run, &part, &size));
    for (int64_t k = 0; k < size + stop; k++) {
        ids[*n]       = k < size ? part[k] : TINY_STOP;
        roles[(*n)++] = (uint8_t)role;
    }
}

static void turns_follow_each_other_in_one_answer(void **state) {
    (void)state;
    tiny             *t       = tiny_job("sft", 1);
    const mg_exchange later[] = {{"bread and salt", "a boat"}, {"the fox", ""}};
    const mg_pair     pairs[] = {{.prompt = "rain", .completion = "red kite", .later = later, .n_later = 2},
                                 {.prompt = "rain", .completion = "red kite"}};
    mg_pair_tokens    x;
    int32_t           ids[100];
    uint8_t           roles[100];
    int64_t           n = 0, longest;
    put(t, "red kite", true, MG_ROLE_POLICY, ids, roles, &n);
    const int64_t first = n;
    put(t, "bread and salt", false, MG_ROLE_ENVIRONMENT, ids, roles, &n);
    put(t, "\n", false, MG_ROLE_ENVIRONMENT, ids, roles, &n);
    put(t, "a boat", true, MG_ROLE_POLICY, ids, roles, &n);
    put(t, "the fox", false, MG_ROLE_ENVIRONMENT, ids, roles, &n);
    put(t, "\n", false, MG_ROLE_ENVIRONMENT, ids, roles, &n);
    longest = length(t, "rain\n") + n; // where the last answer begins
    put(t, "", true, MG_ROLE_POLICY, ids, roles, &n);
    ok(mg_pair_tokens_make(&t->job, pairs, 2, &x));
    assert_int_equal(x.n_rows, 2);
    assert_int_equal(x.cut + x.dropped, 0);
    assert_int_equal(x.first[0], first);
    assert_int_equal(x.answers[0].n, n);
    assert_memory_equal(x.answers[0].tokens, ids, sizeof *ids * (size_t)n);
    assert_memory_equal(x.role[0], roles, (size_t)n);
    assert_int_equal(x.answers[1].n, first); // one turn is as it was
    assert_int_equal(x.first[1], first);
    assert_memory_equal(x.role[1], roles, (size_t)first);

    // The last turn, too, has room for an answer of response_max; one token less, and the row goes.
    t->job.context_max = longest + t->job.response_max;
    ok(mg_pair_tokens_make(&t->job, pairs, 2, &x));
    assert_int_equal(x.n_rows, 2);
    t->job.context_max--;
    ok(mg_pair_tokens_make(&t->job, pairs, 2, &x));
    assert_int_equal(x.dropped, 1);
    assert_true(x.n_rows == 1 && x.rows[0] == 1);
    assert_true(x.answers[0].n == 0 && x.first[0] == 0 && !x.role[0]);
    tiny_stop(t);
}

static void a_turn_that_cannot_be_used_drops_its_row(void **state) {
    (void)state;
    tiny             *t       = tiny_job("sft", 1);
    const char *const longer  = "bread and salt on the table";
    const mg_exchange later[] = {{longer, "rain"}, {"rain", longer}, {"rain", "ra<|endoftext|>in"}};
    mg_pair           pairs[3];
    mg_pair_tokens    x;
    for (int i = 0; i < 3; i++)
        pairs[i] = (mg_pair){.prompt = "rain", .completion = "rain", .later = &later[i], .n_later = 1};
    t->job.rule.template   = "{prompt}";
    t->job.rule.prompt_max = length(t, longer) - 1;
    t->job.response_max    = length(t, longer);
    ok(mg_pair_tokens_make(&t->job, pairs, 3, &x)); // the observation is cut, and counted
    assert_int_equal(x.cut, 1);
    assert_int_equal(x.dropped, 2);
    assert_true(x.n_rows == 1 && x.rows[0] == 0);
    assert_int_equal(x.answers[0].n, 2 * (length(t, "rain") + 1) + length(t, longer) - 1);
    t->job.rule.cut = false;
    t->job.response_max++;
    ok(mg_pair_tokens_make(&t->job, pairs, 3, &x));
    assert_true(x.n_rows == 1 && x.rows[0] == 1);

    const mg_exchange odd = {"rain", "r\xFF"};
    pairs[1].later = &odd;
    assert_int_equal(mg_pair_tokens_make(&t->job, pairs, 3, &x), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "row 2: turn 2: "));
    tiny_stop(t);
}

// Llama 3's begin-of-text stands before the first observation alone, as in rollout_test.
static void the_first_token_of_texts_comes_once(void **state) {
    (void)state;
    static const char *const special[] = {"<|endoftext|>", "<|begin|>"};
    const mg_text            text      = {tiny_texts[0], strlen(tiny_texts[0])};
    const mg_exchange        later     = {"rain", "rain"};
    const mg_pair pair = {.prompt = "rain", .completion = "rain", .later = &later, .n_later = 1};
    tiny         *t    = tiny_job("sft", 1);
    mg_tokenizer *llama = NULL;
    mg_pair_tokens x;
    ok(mg_tokenizer_train(&llama, &(mg_tokenizer_training){
           .family = MG_TOKENIZER_LLAMA3, .texts = &text, .n_texts = 1, .vocab_size = 270,
           .special = special, .n_special = 2, .first = "<|begin|>"}));
    t->job.tokenizer = llama;
    ok(mg_pair_tokens_make(&t->job, &pair, 1, &x));
    assert_int_equal(x.prompts[0].tokens[0], mg_tokenizer_id(llama, "<|begin|>"));
    for (int64_t k = 0; k < x.answers[0].n; k++)
        assert_int_not_equal(x.answers[0].tokens[k], mg_tokenizer_id(llama, "<|begin|>"));
    mg_tokenizer_free(llama);
    tiny_stop(t);
}

static void rows_are_tasks_of_the_item_they_were_made_on(void **state) {
    (void)state;
    const mg_exchange later  = {"rain", "rain"};
    const mg_pair     rows[] = {{"rain", "rain"}, {.placed = true, .item = 7}, {.placed = true, .item = -1},
                                {.item = 9, .later = &later, .n_later = 1}};
    const int64_t     items[] = {0, 7, -1, 3};
    for (int i = 0; i < 4; i++) assert_int_equal(mg_pair_item(rows, i), items[i]);
    assert_true(mg_pairs_have_turns(rows, 4));
    assert_false(mg_pairs_have_turns(rows, 3));
    assert_false(mg_pairs_have_turns(NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_used_cut_or_dropped),
        cmocka_unit_test(turns_follow_each_other_in_one_answer),
        cmocka_unit_test(a_turn_that_cannot_be_used_drops_its_row),
        cmocka_unit_test(the_first_token_of_texts_comes_once),
        cmocka_unit_test(rows_are_tasks_of_the_item_they_were_made_on),
        cmocka_unit_test(preferences_need_both_answers),
        cmocka_unit_test(data_that_cannot_be_used_are_refused),
        cmocka_unit_test(each_epoch_is_another_permutation),
        cmocka_unit_test(updates_take_the_stream_of_rows_in_order),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
