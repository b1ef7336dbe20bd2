// Goal:   texts come apart where the patterns of tokenizer.json say, also where PCRE2 and Oniguruma
//         would differ; added tokens are found longest first.
// Method: literal cases; the pieces are written one after the other with '|' between them.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "nets/tokenizer_added.h"
#include "nets/tokenizer_pieces.h"

static mg_arena arena;

static void need(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static void assert_fails(mg_err err, mg_err wanted, const char *says) {
    if (err != wanted || !strstr(mg_err_detail(), says))
        fail_msg("%s: %s; wanted %s: ...%s...", mg_err_name(err), mg_err_detail(),
                 mg_err_name(wanted), says);
}

static mg_err write_down(void *context, const char *piece, size_t size) {
    char *all = context;
    if (*all) strcat(all, "|");
    strncat(all, piece, size);
    return MG_OK;
}

static void assert_pieces(const char *pre_tokenizer, const char *text, const char *wanted) {
    json_t   *part = json_loads(pre_tokenizer, 0, NULL);
    mg_pieces pieces;
    mg_cutter cutter;
    char      all[256] = "";
    assert_non_null(part);
    need(mg_pieces_read(&pieces, "test", NULL, part));
    need(mg_cutter_init(&cutter, &pieces, &arena, write_down, all));
    need(mg_cutter_run(&cutter, text, strlen(text)));
    assert_string_equal(all, wanted);
    mg_cutter_release(&cutter);
    mg_pieces_release(&pieces);
    json_decref(part);
}

#define BYTES        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(p, b)  "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" p "\"},\"behavior\":\"" b "\"}"
#define DIGITS(each) "{\"type\":\"Digits\",\"individual_digits\":" each "}"
#define FIRST(parts) "{\"type\":\"Sequence\",\"pretokenizers\":[" parts "," BYTES "]}"

static void texts_come_apart_as_the_file_says(void **state) {
    (void)state;
    const char *const gpt2 = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}";
    assert_pieces(gpt2, "it's 12 o'clock,  ok", "it|'s| 12| o|'|clock|,| | ok");
    assert_pieces(gpt2, "a  b   ", "a| | b|   ");
    // U+00A0 and U+3000 are white space, U+180E is not: with PCRE2's \\s it would stand alone.
    assert_pieces(gpt2, "a \u180Eb", "a| \u180E|b");
    assert_pieces(gpt2, "\u180E!", "\u180E!");
    assert_pieces(gpt2, "a\u00A0\u3000b", "a|\u00A0|\u3000|b");
    assert_pieces("{\"type\":\"ByteLevel\"}", "ab cd", " ab| cd");
    assert_pieces("{\"type\":\"ByteLevel\"}", " ab", " ab");
    assert_pieces(FIRST(SPLIT("\\\\s+", "Removed")), "a b\tc", "a|b|c");
    assert_pieces(FIRST(SPLIT("\\\\s", "Isolated")), "a b", "a| |b");
    assert_pieces(FIRST(SPLIT("\\\\d", "Isolated")), "a1\u0661b", "a|1|\u0661|b");
    assert_pieces(FIRST(SPLIT("b$", "Isolated")), "ab\nb", "a|b|\n|b"); // $ at every line
    assert_pieces(FIRST(DIGITS("false")), "a12\u00BDb", "a|12\u00BD|b");
    assert_pieces(FIRST(DIGITS("true")), "a12b", "a|1|2|b");
    // Each step sees the pieces of the step before, not what is around them.
    assert_pieces(FIRST(SPLIT("x", "Isolated") "," SPLIT("a(?!x)", "Isolated")), "bax", "b|a|x");
}

static void patterns_that_would_differ_are_refused(void **state) {
    (void)state;
    const char *const bad[][2] = {
        {"\\w+", "this escape at byte 0"},      {"a\\b", "this escape at byte 1"},
        {"\\h", "this escape"},                 {"(a)\\1", "this escape"},
        {"[\\S]", "this escape"},               {"\\p{Han}", "general category"},
        {"\\pL", "property without braces"},    {"[a[b]]", "a class inside a class"},
        {"[a&&b]", "an intersection"},          {"[]a]", "begins with ']'"},
        {"a{1,3}+", "possessive or lazy"},      {"a{,3}", "without a lower bound"},
        {"(?<n>a)", "this kind of group"},      {"(*UTF)a", "a verb"},
        {"(?x)a", "this kind of group"},        {"a\\", "this escape at byte 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pcre2_code *code = NULL;
        assert_fails(mg_pattern_compile("f.json", bad[i][0], &code), MG_UNSUPPORTED, bad[i][1]);
        assert_null(code);
    }
    char *much = mg_arena_alloc(&arena, MG_PATTERN_MAX + 1);
    memset(much, 'a', MG_PATTERN_MAX);
    pcre2_code *code;
    assert_fails(mg_pattern_compile("f.json", much, &code), MG_LIMIT, "more than 4096 bytes");
    const char *const good[] = {MG_PATTERN_GPT2, "\\x{41}+",       "[^\\]\\s]+?",
                                "(?i:x)++",      "\\p{^Lu}{2}", "\\$"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        need(mg_pattern_compile("f.json", good[i], &code));
        pcre2_code_free(code);
    }
}

// Gaps as they are, tokens as <id>.
static void assert_walk(const mg_added *added, const char *text, const char *wanted) {
    char          all[256] = "";
    mg_added_walk w        = {.added = added, .text = text, .size = strlen(text)};
    while (mg_added_next(&w)) {
        strncat(all, w.gap, w.gap_size);
        const size_t n = strlen(all);
        if (w.id >= 0) snprintf(all + n, sizeof all - n, "<%d>", w.id);
    }
    assert_string_equal(all, wanted);
}

static void added_tokens_are_found_longest_first(void **state) {
    (void)state;
    mg_added_token tokens[] = {
        {.text = "aba", .size = 3, .id = 0},
        {.text = "ab", .size = 2, .id = 1},
        {.text = "[M]", .size = 3, .id = 2, .lstrip = true, .rstrip = true},
        {.text = "one", .size = 3, .id = 3, .single_word = true},
        {.text = " z", .size = 2, .id = 4},
    };
    mg_added added;
    mg_added_init(&added, tokens, 5);
    assert_walk(&added, "", "");
    assert_walk(&added, "none", "none");
    assert_walk(&added, "ababa", "<0>ba"); // they do not overlap
    assert_walk(&added, "xabxaba", "x<1>x<0>");
    assert_walk(&added, "a \u3000[M]\t\n[M] b", "a<2><2>b");
    assert_walk(&added, "[M]\u180E[M]\u200B", "<2>\u180E<2>\u200B"); // not white space
    assert_walk(&added, "[M]  z", "<2><4>"); // the space counts for both, as in the Python library
    assert_walk(&added, "one (one) one2 \u00E9one", "<3> (<3>) one2 \u00E9one");
    assert_walk(&added, "one_ one\u0301 one\u200D \u24D0one", "one_ one\u0301 one\u200D \u24D0one");
    assert_walk(&added, "\u00B2one\u00BD", "\u00B2<3>\u00BD"); // No is no word character
    mg_added_init(&added, NULL, 0);
    assert_walk(&added, "aba", "aba");
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", (size_t)16 << 20);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_apart_as_the_file_says),
        cmocka_unit_test(patterns_that_would_differ_are_refused),
        cmocka_unit_test(added_tokens_are_found_longest_first),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
