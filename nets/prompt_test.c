// Goal:   a prompt is template, text and template again, whatever is cut; an answer ends with the
//         stop token.
// Method: the three parts' bytes, read back token by token; limits one token to either side.
#include "nets/prompt.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nets/tiny.h"

static const char TEXT[] = "a red kite over the hill";

static mg_tokenizer *tokenizer;
static mg_arena      arena;

static int enter(void **state) {
    (void)state;
    tokenizer = tiny_tokenizer();
    return mg_arena_init(&arena, "test", (size_t)1 << 30) ? -1 : 0;
}

static int leave(void **state) {
    (void)state;
    mg_tokenizer_free(tokenizer);
    mg_arena_release(&arena);
    return 0;
}

static mg_prompt_rule rule_of(const char *template, int64_t prompt_max, bool cut) {
    return (mg_prompt_rule){.template = template, .prompt_max = prompt_max, .cut = cut,
                            .stop = TINY_STOP};
}

static int64_t tokens_of(const char *text) {
    int32_t *ids;
    int64_t  n;
    assert_int_equal(mg_tokenizer_encode(tokenizer, text, strlen(text), false, &arena, &ids, &n),
                     MG_OK);
    return n;
}

static const char *said(const int32_t *ids, int64_t n) {
    char  *text;
    size_t size;
    assert_int_equal(mg_tokenizer_decode(tokenizer, ids, n, false, &arena, &text, &size), MG_OK);
    return text;
}

static void a_template_holds_its_slot_once(void **state) {
    (void)state;
    const char *const wrong[] = {"", "prompt", "{prompt", "{prompt} and {prompt}", "{ prompt }"};
    const char *const right[] = {"{prompt}", "Q: {prompt}\nA:", "{{prompt}}"};
    for (int i = 0; i < 5; i++) {
        const mg_prompt_rule rule = rule_of(wrong[i], 0, false);
        assert_int_equal(mg_prompt_rule_check(&rule), MG_CONFIG);
        assert_non_null(strstr(mg_err_detail(), "exactly once"));
    }
    for (int i = 0; i < 3; i++) {
        const mg_prompt_rule rule = rule_of(right[i], 0, false);
        assert_int_equal(mg_prompt_rule_check(&rule), MG_OK);
    }
}

static void text_is_put_into_the_template(void **state) {
    (void)state;
    const mg_prompt_rule rule = rule_of("Q: {prompt}\nA:", 0, false);
    int32_t             *ids;
    int64_t              n;
    bool                 cut = true;
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &ids, &n, &cut),
                     MG_OK);
    assert_string_equal(said(ids, n), "Q: a red kite over the hill\nA:");
    assert_int_equal(n, tokens_of("Q: ") + tokens_of(TEXT) + tokens_of("\nA:"));
    assert_false(cut);
}

// The seam is between tokens: the text's tokens are those of the text alone.
static void a_long_text_loses_its_end_and_nothing_else(void **state) {
    (void)state;
    const int64_t  frame = tokens_of("Q: ") + tokens_of("\nA:"), text = tokens_of(TEXT);
    mg_prompt_rule rule  = rule_of("Q: {prompt}\nA:", frame + text, true);
    int32_t       *whole, *ids;
    int64_t        n_whole, n;
    bool           cut = true;
    assert_int_equal(
        mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &whole, &n_whole, &cut),
        MG_OK);
    assert_int_equal(n_whole, frame + text);
    assert_false(cut);
    for (int64_t less = 1; less <= text; less++) {
        rule.prompt_max = frame + text - less;
        assert_int_equal(mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &ids, &n,
                                          &cut), MG_OK);
        const int64_t kept = tokens_of("Q: ") + text - less;
        assert_int_equal(n, rule.prompt_max);
        assert_true(cut);
        assert_memory_equal(ids, whole, sizeof *ids * (size_t)kept);
        assert_memory_equal(ids + kept, whole + kept + less, sizeof *ids * (size_t)(n - kept));
    }
    rule.prompt_max = frame - 1; // not even the template fits
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &ids, &n, NULL),
                     MG_LIMIT);
}

static void too_long_is_refused_where_cutting_is_off(void **state) {
    (void)state;
    mg_prompt_rule rule = rule_of("{prompt}", tokens_of(TEXT) - 1, false);
    int32_t       *ids  = NULL;
    int64_t        n    = -1;
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &ids, &n, NULL),
                     MG_LIMIT);
    assert_null(ids);
    assert_int_equal(n, -1);
    assert_non_null(strstr(mg_err_detail(), "prompt_max"));
    rule.prompt_max++;
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, TEXT, strlen(TEXT), &arena, &ids, &n, NULL),
                     MG_OK);
}

static void what_is_no_prompt_is_refused(void **state) {
    (void)state;
    const mg_prompt_rule rule = rule_of("{prompt}", 0, false);
    int32_t             *ids;
    int64_t              n;
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, "", 0, &arena, &ids, &n, NULL), MG_EMPTY);
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, "a\xFF", 2, &arena, &ids, &n, NULL),
                     MG_CORRUPT);
    assert_int_equal(mg_answer_encode(tokenizer, &rule, "a\xFF", 2, &arena, &ids, &n), MG_CORRUPT);
}

static void an_answer_ends_with_the_stop(void **state) {
    (void)state;
    mg_prompt_rule       rule = rule_of("Q: {prompt}", 3, false); // its limits are for prompts
    int32_t             *ids;
    int64_t              n;
    assert_int_equal(mg_answer_encode(tokenizer, &rule, "red kite", 8, &arena, &ids, &n), MG_OK);
    assert_string_equal(said(ids, n), "red kite<|endoftext|>");
    assert_int_equal(n, tokens_of("red kite") + 1);
    assert_int_equal(mg_answer_encode(tokenizer, &rule, "", 0, &arena, &ids, &n), MG_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], TINY_STOP);
    rule.stop = 17;
    assert_int_equal(mg_answer_encode(tokenizer, &rule, "red", 3, &arena, &ids, &n), MG_OK);
    assert_int_equal(ids[n - 1], 17);
}

// The template is the user's and may say a special token; a text's spelling of one stays text.
static void a_text_never_becomes_the_stop(void **state) {
    (void)state;
    const mg_prompt_rule rule = rule_of("<|endoftext|>{prompt}", 0, false);
    const char           text[] = "red<|endoftext|>kite";
    int32_t             *ids;
    int64_t              n;
    assert_int_equal(mg_prompt_encode(tokenizer, &rule, text, strlen(text), &arena, &ids, &n, NULL),
                     MG_OK);
    assert_string_equal(said(ids, n), "<|endoftext|>red<|endoftext|>kite");
    assert_int_equal(ids[0], TINY_STOP);
    for (int64_t i = 1; i < n; i++) assert_int_not_equal(ids[i], TINY_STOP);
    assert_int_equal(mg_answer_encode(tokenizer, &rule, text, strlen(text), &arena, &ids, &n), MG_OK);
    for (int64_t i = 0; i < n; i++) assert_int_equal(ids[i] == TINY_STOP, i == n - 1);
}

// Llama 3 puts a token in front of a text; a text that goes on after others gets none.
static void only_the_first_text_gets_the_first_token(void **state) {
    (void)state;
    static const char *const special[] = {"<|end|>", "<|begin|>"};
    const mg_text            text      = {TEXT, strlen(TEXT)};
    mg_tokenizer            *llama     = NULL;
    mg_prompt_rule           rule      = rule_of("Q: {prompt}", 0, false);
    int32_t                 *first, *later;
    int64_t                  n_first, n_later;
    assert_int_equal(mg_tokenizer_train(&llama, &(mg_tokenizer_training){
                         .family = MG_TOKENIZER_LLAMA3, .texts = &text, .n_texts = 1,
                         .vocab_size = 262, .special = special, .n_special = 2,
                         .first = "<|begin|>"}), MG_OK);
    assert_int_equal(mg_prompt_encode(llama, &rule, TEXT, strlen(TEXT), &arena, &first, &n_first,
                                      NULL), MG_OK);
    rule.continued = true;
    assert_int_equal(mg_prompt_encode(llama, &rule, TEXT, strlen(TEXT), &arena, &later, &n_later,
                                      NULL), MG_OK);
    assert_int_equal(first[0], mg_tokenizer_id(llama, "<|begin|>"));
    assert_int_equal(n_first, n_later + 1);
    assert_memory_equal(first + 1, later, sizeof *later * (size_t)n_later);
    mg_tokenizer_free(llama);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_holds_its_slot_once),
        cmocka_unit_test(text_is_put_into_the_template),
        cmocka_unit_test(a_long_text_loses_its_end_and_nothing_else),
        cmocka_unit_test(too_long_is_refused_where_cutting_is_off),
        cmocka_unit_test(what_is_no_prompt_is_refused),
        cmocka_unit_test(an_answer_ends_with_the_stop),
        cmocka_unit_test(a_text_never_becomes_the_stop),
        cmocka_unit_test(only_the_first_text_gets_the_first_token),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
