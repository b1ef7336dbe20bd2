// Goal:   a configuration is exactly what was written, or is refused with a sentence that says
//         where and what instead; and what is written out reads back the same.
// Method: literal files against literal sentences, and random texts, integers and reals through
//         write and read. Files lie in a fresh folder that is the working directory.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/rng.h"

#define TOP_FIELDS(F)                                                                              \
    F(name, algo, "ppo", 0, 0, "td3|sac|ppo: the algorithm")                                       \
    F(int, seed, 7, -9007199254740992, 9007199254740992, "seed of every stream")                   \
    F(text, model, "", 0, 0, "model folder")
#define PPO_FIELDS(F)                                                                              \
    F(real, gamma, 0.99, 0, 1, "discount")                                                         \
    F(real, lr, 3e-4, 0, 1000, "step size")                                                        \
    F(int, epochs, 4, 1, 64, "passes over each batch")                                             \
    F(flag, whiten, true, 0, 0, "whiten the advantages")                                           \
    F(text, note, "say \"\\hi\"\n", 0, 0, "free text")

typedef struct top_config {
    MG_CONFIG_STRUCT(TOP_FIELDS)
} top_config;
typedef struct ppo_config {
    MG_CONFIG_STRUCT(PPO_FIELDS)
} ppo_config;

#define MG_CONFIG_OF top_config
static const mg_field top_fields[] = {MG_CONFIG_TABLE(TOP_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF
#define MG_CONFIG_OF ppo_config
static const mg_field ppo_fields[] = {MG_CONFIG_TABLE(PPO_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

#define A_TEXT "a text in UTF-8 of at most 4096 bytes"

static mg_arena         arena;
static top_config       top;
static ppo_config       ppo;
static const mg_section sections[] = {{"", top_fields, &top}, {"ppo", ppo_fields, &ppo}};
static char             folder[]   = "/tmp/mg_config_test_XXXXXX";

static int enter(void **state) {
    (void)state;
    return !mkdtemp(folder) || chdir(folder) || mg_arena_init(&arena, "test", 64 << 20);
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return unlink("c.yaml") || rmdir(folder);
}

static int reset(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    mg_config_defaults(sections, 2, &arena);
    return 0;
}

static void put_bytes(const char *text, size_t size) {
    FILE *f = fopen("c.yaml", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void assert_taken(const char *text) {
    put_bytes(text, strlen(text));
    if (mg_config_read(sections, 2, "c.yaml", &arena)) fail_msg("%s: %s", text, mg_err_detail());
}

static void assert_refused(const char *text, const char *sentence) {
    put_bytes(text, strlen(text));
    assert_int_equal(mg_config_read(sections, 2, "c.yaml", &arena), MG_CONFIG);
    assert_string_equal(mg_err_detail(), sentence);
}

static void defaults_are_what_the_list_says(void **state) {
    (void)state;
    assert_string_equal(top.algo, "ppo");
    assert_int_equal(top.seed, 7);
    assert_string_equal(top.model, "");
    assert_true(ppo.gamma == 0.99 && ppo.lr == 3e-4);
    assert_int_equal(ppo.epochs, 4);
    assert_true(ppo.whiten);
    assert_string_equal(ppo.note, "say \"\\hi\"\n");
}

static void a_file_sets_what_it_names_and_nothing_else(void **state) {
    (void)state;
    assert_taken("# comment\nseed: -12\nppo:\n  lr: 1e-2\n  whiten: false\nmodel: a b\n");
    assert_int_equal(top.seed, -12);
    assert_true(ppo.lr == 0.01);
    assert_false(ppo.whiten);
    assert_string_equal(top.model, "a b");
    assert_true(ppo.gamma == 0.99);
    assert_string_equal(top.algo, "ppo");
}

static void texts_may_be_quoted_plain_or_folded(void **state) {
    (void)state;
    assert_taken("model: it's # not a comment? no\n");
    assert_string_equal(top.model, "it's");
    assert_taken("model: 'it''s \"so\"'\n");
    assert_string_equal(top.model, "it's \"so\"");
    assert_taken("model: \"a\\tb\\u00e9\"\n");
    assert_string_equal(top.model, "a\tb\xc3\xa9");
    assert_taken("model: |\n  two\n  lines\n");
    assert_string_equal(top.model, "two\nlines\n");
    assert_taken("model: true\n");
    assert_string_equal(top.model, "true");
    assert_taken("model: ''\nppo: {epochs: '5'}\n");
    assert_string_equal(top.model, "");
    assert_int_equal(ppo.epochs, 5);
    assert_taken("model: &a x\nppo: {note: *a}\n");
    assert_string_equal(ppo.note, "x");
}

static void nothing_is_no_change(void **state) {
    (void)state;
    assert_taken("");
    assert_taken("# only a comment\n");
    assert_taken("---\n...\n");
    assert_taken("ppo:\n");
    assert_taken("ppo: {}\n");
    defaults_are_what_the_list_says(NULL);
}

static void numbers_are_taken_strictly(void **state) {
    (void)state;
    static const char *const ints[] = {"2.5", "010", "'-'", "+5", "1e1",      "0x10", "1_0", "0",
                                       "65",  "-1",  "5x", "~",  "0.5e+1", "true", "''",
                                       "9223372036854775808"};
    static const char *const reals[] = {"3e-4x", "1e999", "-1e999", "1e-999", ".inf", "inf", "nan",
                                        ".nan",  "0x1p-1", "00.5", "-0.1", "1.1", "1e", ".", "' 1'",
                                        "0,5",   "1..",    "fast", "''"};
    char file[64], sentence[160];
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        const int quotes = ints[i][0] == '\'';
        snprintf(file, sizeof file, "ppo:\n  epochs: %s\n", ints[i]);
        snprintf(sentence, sizeof sentence,
                 "c.yaml:2:11: ppo.epochs: found '%.*s', wanted an integer in 1..64",
                 (int)strlen(ints[i]) - 2 * quotes, ints[i] + quotes);
        assert_refused(file, sentence);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const int quotes = reals[i][0] == '\'';
        snprintf(file, sizeof file, "ppo:\n  gamma: %s\n", reals[i]);
        snprintf(sentence, sizeof sentence,
                 "c.yaml:2:10: ppo.gamma: found '%.*s', wanted a number in 0..1",
                 (int)strlen(reals[i]) - 2 * quotes, reals[i] + quotes);
        assert_refused(file, sentence);
    }
    assert_int_equal(ppo.epochs, 4);
    assert_true(ppo.gamma == 0.99);
}

static void the_ends_of_a_range_belong_to_it(void **state) {
    (void)state;
    assert_taken("seed: 9007199254740992\nppo: {epochs: 1, gamma: 0}\n");
    assert_true(top.seed == INT64_C(9007199254740992) && ppo.epochs == 1 && ppo.gamma == 0);
    assert_taken("seed: -9007199254740992\nppo: {epochs: 64, gamma: 1.0}\n");
    assert_true(top.seed == INT64_C(-9007199254740992) && ppo.epochs == 64 && ppo.gamma == 1);
    assert_refused("seed: 9007199254740994",
                   "c.yaml:1:7: seed: found '9007199254740994', wanted an integer in "
                   "-9007199254740992..9007199254740992");
    assert_taken("ppo: {gamma: .5, lr: +1.E2}\n");
    assert_true(ppo.gamma == 0.5 && ppo.lr == 100);
}

#define WIDE_FIELDS(F) F(int, n, 0, -1e19, 1e19, "any integer")
typedef struct wide_config {
    MG_CONFIG_STRUCT(WIDE_FIELDS)
} wide_config;
#define MG_CONFIG_OF wide_config
static const mg_field wide_fields[] = {MG_CONFIG_TABLE(WIDE_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

static void integers_end_where_int64_ends(void **state) {
    (void)state;
    wide_config      wide;
    const mg_section s = {"", wide_fields, &wide};
    mg_config_defaults(&s, 1, &arena);
    assert_int_equal(mg_config_set(&s, 1, "n", "9223372036854775807", &arena), MG_OK);
    assert_true(wide.n == INT64_MAX);
    assert_int_equal(mg_config_set(&s, 1, "n", "9223372036854775808", &arena), MG_CONFIG);
    assert_true(wide.n == INT64_MAX);
    assert_int_equal(mg_config_set(&s, 1, "n", "-9223372036854775808", &arena), MG_OK);
    assert_true(wide.n == INT64_MIN);
    assert_int_equal(mg_config_set(&s, 1, "n", "-9223372036854775809", &arena), MG_CONFIG);
}

static void wrong_kinds_are_named(void **state) {
    (void)state;
    assert_refused("ppo:\n  whiten: maybe\n",
                   "c.yaml:2:11: ppo.whiten: found 'maybe', wanted true or false");
    assert_refused("ppo:\n  whiten: True\n",
                   "c.yaml:2:11: ppo.whiten: found 'True', wanted true or false");
    assert_refused("algo: sacc\n", "c.yaml:1:7: algo: found 'sacc', wanted one of td3 sac ppo");
    assert_refused("algo: sa\n", "c.yaml:1:7: algo: found 'sa', wanted one of td3 sac ppo");
    assert_refused("algo: ''\n", "c.yaml:1:7: algo: found '', wanted one of td3 sac ppo");
    assert_refused("model:\n", "c.yaml:1:7: model: found nothing, wanted " A_TEXT);
    assert_refused("seed: [1]\n", "c.yaml:1:7: seed: found a list, wanted an integer in "
                                  "-9007199254740992..9007199254740992");
    assert_refused("model: \"a\\0b\"\n",
                   "c.yaml:1:8: model: found a text with a zero byte, wanted " A_TEXT);
    assert_refused("ppo: 3\n", "c.yaml:1:6: ppo: found '3', wanted a mapping of keys");
    assert_refused("- 1\n", "c.yaml:1:1: found a list, wanted a mapping of keys");
    assert_refused("word\n", "c.yaml:1:1: found 'word', wanted a mapping of keys");
}

static void unknown_keys_are_answered_with_the_known_ones(void **state) {
    (void)state;
    assert_refused("seed: 1\nbatchh: 2\n",
                   "c.yaml:2:1: batchh: found 'batchh', wanted one of algo seed model ppo");
    assert_refused("ppo:\n  gama: 1\n",
                   "c.yaml:2:3: ppo.gama: found 'gama', wanted one of gamma lr epochs whiten note "
                   "(did you mean gamma?)");
    assert_refused("pppo: {}\n",
                   "c.yaml:1:1: pppo: found 'pppo', wanted one of algo seed model ppo "
                   "(did you mean ppo?)");
    assert_refused("ppo: {ppo: {}}\n", "c.yaml:1:7: ppo.ppo: found 'ppo', wanted one of gamma lr "
                                       "epochs whiten note");
    assert_refused("ppo: {xy: 1}\n", // two edits from lr, which has two letters
                   "c.yaml:1:7: ppo.xy: found 'xy', wanted one of gamma lr epochs whiten note");
    assert_refused("<<: {seed: 1}\n",
                   "c.yaml:1:1: <<: found '<<', wanted one of algo seed model ppo");
    assert_refused("[a]: 1\n", "c.yaml:1:1: found a list, wanted the name of a key");
    assert_refused("\"seed\\0\": 1\n",
                   "c.yaml:1:1: found a text with a zero byte, wanted the name of a key");
    assert_refused("'': 1\n", "c.yaml:1:1: found '', wanted one of algo seed model ppo");
}

static void long_and_wild_texts_are_shown_short_and_tame(void **state) {
    (void)state;
    char file[256], sentence[256];
    snprintf(file, sizeof file, "algo: \"\\e%059d%s\"\n", 0, "\xc3\xa9z"); // cut before the e acute
    snprintf(sentence, sizeof sentence,
             "c.yaml:1:7: algo: found '?%059d...', wanted one of td3 sac ppo", 0);
    assert_refused(file, sentence);
    snprintf(file, sizeof file, "algo: %059d%s\n", 0, "\xc3\xa9z");
    snprintf(sentence, sizeof sentence,
             "c.yaml:1:7: algo: found '%059d...', wanted one of td3 sac ppo", 0);
    assert_refused(file, sentence);
}

static void repeated_keys_and_documents_are_refused(void **state) {
    (void)state;
    assert_refused("seed: 1\nmodel: x\nseed: 1\n",
                   "c.yaml:3:1: seed: found 'seed', wanted each key once");
    assert_refused("ppo: {lr: 1, lr: 1}\n",
                   "c.yaml:1:14: ppo.lr: found 'lr', wanted each key once");
    assert_refused("ppo: {}\nppo: {}\n", "c.yaml:2:1: ppo: found 'ppo', wanted each key once");
    assert_refused("seed: 1\n---\nseed: 2\n", "c.yaml:3:1: found a mapping, wanted one document");
}

static void broken_syntax_is_placed(void **state) {
    (void)state;
    assert_refused("seed:\n\t1\n", "c.yaml:2:1: while scanning for the next token found character "
                                   "that cannot start any token");
    assert_refused("seed: [1\n", "c.yaml:2:1: while parsing a flow sequence did not find expected "
                                 "',' or ']'");
    assert_refused("seed: 1\n...\n}\n",
                   "c.yaml:3:1: did not find expected <document start>");
    assert_refused("seed: *x\n", "c.yaml:1:7: found undefined alias");
    assert_refused("seed: \xff\n", "c.yaml: byte 7: invalid leading UTF-8 octet");
    assert_refused("&a {ppo: *a}\n", "c.yaml:1:5: ppo.ppo: found 'ppo', wanted one of gamma lr "
                                     "epochs whiten note");
}

static void unreadable_files_are_not_called_bad_yaml(void **state) {
    (void)state;
    assert_int_equal(mg_config_read(sections, 2, "none.yaml", &arena), MG_IO);
    assert_string_equal(mg_err_detail(), "open none.yaml: No such file or directory");
    assert_int_equal(mg_config_read(sections, 2, "/tmp", &arena), MG_IO);
    assert_string_equal(mg_err_detail(), "read /tmp: Is a directory");

    char *big = mg_arena_alloc(&arena, MG_CONFIG_FILE_SIZE_MAX + 1);
    memset(big, '#', MG_CONFIG_FILE_SIZE_MAX + 1);
    put_bytes(big, MG_CONFIG_FILE_SIZE_MAX);
    assert_int_equal(mg_config_read(sections, 2, "c.yaml", &arena), MG_OK);
    put_bytes(big, MG_CONFIG_FILE_SIZE_MAX + 1);
    assert_int_equal(mg_config_read(sections, 2, "c.yaml", &arena), MG_LIMIT);
    assert_string_equal(mg_err_detail(), "c.yaml: more than 65536 bytes");
}

static void peek_finds_a_top_level_scalar(void **state) {
    (void)state;
    const char *value = "before";
    static const char file[] = "x: [1]\nalgo: sac\n[algo]: wrong\nppo: {y: z}\n";
    put_bytes(file, strlen(file));
    assert_int_equal(mg_config_peek("c.yaml", "algo", &arena, &value), MG_OK);
    assert_string_equal(value, "sac");
    assert_int_equal(mg_config_peek("c.yaml", "x", &arena, &value), MG_OK);
    assert_int_equal(mg_config_peek("c.yaml", "y", &arena, &value), MG_OK);
    assert_string_equal(value, "sac");
    put_bytes("{", 1);
    assert_int_equal(mg_config_peek("c.yaml", "algo", &arena, &value), MG_CONFIG);
    assert_int_equal(mg_config_peek("none.yaml", "algo", &arena, &value), MG_IO);
    assert_string_equal(value, "sac");
}

static void assert_flag_refused(const char *key, const char *value, const char *sentence) {
    assert_int_equal(mg_config_set(sections, 2, key, value, &arena), MG_CONFIG);
    assert_string_equal(mg_err_detail(), sentence);
}

static void the_command_line_sets_one_key(void **state) {
    (void)state;
    char value[] = "a: b";
    assert_int_equal(mg_config_set(sections, 2, "model", value, &arena), MG_OK);
    memset(value, 'x', 4); // the configuration keeps its own copy
    assert_string_equal(top.model, "a: b");
    assert_int_equal(mg_config_set(sections, 2, "ppo.epochs", "9", &arena), MG_OK);
    assert_int_equal(ppo.epochs, 9);
}

static void the_command_line_is_refused_as_strictly(void **state) {
    (void)state;
    char long_key[80], sentence[200];
    assert_flag_refused("ppo.epochs", "2.5",
                        "--ppo.epochs: found '2.5', wanted an integer in 1..64");
    assert_flag_refused("ppo.gama", "1", "--ppo.gama: found no such key, wanted one of gamma lr "
                                         "epochs whiten note (did you mean gamma?)");
    assert_flag_refused("gamma", "1",
                        "--gamma: found no such key, wanted one of algo seed model ppo");
    assert_flag_refused("ppp.gamma", "1", "--ppp.gamma: found no such key, wanted one of algo seed "
                                          "model ppo (did you mean ppo?)");
    assert_flag_refused("ppo", "1",
                        "--ppo: found no such key, wanted one of algo seed model ppo");
    assert_flag_refused(".seed", "1",
                        "--.seed: found no such key, wanted one of algo seed model ppo");
    snprintf(long_key, sizeof long_key, "%070d.seed", 0);
    snprintf(sentence, sizeof sentence,
             "--%060d...: found no such key, wanted one of algo seed model ppo", 0);
    assert_flag_refused(long_key, "1", sentence);
    assert_flag_refused("model", "\xc3(", "--model: found '\xc3(', wanted " A_TEXT);
    assert_int_equal(top.seed, 7);
}

static void texts_have_a_longest_one(void **state) {
    (void)state;
    char text[MG_FIELD_TEXT_SIZE_MAX + 2] = "";
    memset(text, 'x', MG_FIELD_TEXT_SIZE_MAX);
    assert_int_equal(mg_config_set(sections, 2, "model", text, &arena), MG_OK);
    text[MG_FIELD_TEXT_SIZE_MAX] = 'x';
    assert_int_equal(mg_config_set(sections, 2, "model", text, &arena), MG_CONFIG);
}

// RFC 3629, section 4: what is not UTF-8.
static void texts_are_utf8(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xc3",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
        "\xe2\x82"};
    static const char *const good[] = {"\x7f",         "\xc2\x80",     "\xdf\xbf",
                                       "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(mg_config_set(sections, 2, "model", bad[i], &arena), MG_CONFIG);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(mg_config_set(sections, 2, "model", good[i], &arena), MG_OK);
}

// What was set must come back from write and read, after the defaults have wiped it.
static void assert_round_trip(void) {
    const top_config a = top;
    const ppo_config b = ppo;
    FILE            *f = fopen("c.yaml", "wb");
    assert_non_null(f);
    mg_config_write(sections, 2, f);
    assert_int_equal(fclose(f), 0);
    mg_config_defaults(sections, 2, &arena);
    if (mg_config_read(sections, 2, "c.yaml", &arena)) fail_msg("%s", mg_err_detail());
    assert_string_equal(top.algo, a.algo);
    assert_int_equal(top.seed, a.seed);
    assert_string_equal(top.model, a.model);
    assert_memory_equal(&ppo.gamma, &b.gamma, sizeof b.gamma);
    assert_memory_equal(&ppo.lr, &b.lr, sizeof b.lr);
    assert_int_equal(ppo.epochs, b.epochs);
    assert_int_equal(ppo.whiten, b.whiten);
    assert_string_equal(ppo.note, b.note);
}

static void awkward_texts_round_trip(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", " ", "a: b", "a:", "- a", "-", "--flag", "? x", "'", "\"", "'\"'", "\\", "\\n", "a\\",
        "#", "a # b", "null", "~", "true", "010", "1e3", "[a", "{a", "}", "*a", "&a", "!a", "%a",
        "@a", "`a", "|", ">", "<<", "---", "...", " lead", "trail ", "two\nlines", "\n", "\n\n",
        "\r", "\r\n", "\t", "a\tb", "\x01", "\x1b[31m", "\x7f", "caf\xc3\xa9", "\xe4\xbd\xa0",
        "\xf0\x9f\x8e\xb2", "\xc2\x80", "\xc2\x85", "\xc2\x9f", "\xc2\xa0", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf", "a \xe2\x80\xa8 b",
        "\xed\x9f\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mg_arena_reset(&arena, 0);
        mg_config_defaults(sections, 2, &arena);
        assert_int_equal(mg_config_set(sections, 2, "model", texts[i], &arena), MG_OK);
        assert_int_equal(mg_config_set(sections, 2, "ppo.note", texts[i], &arena), MG_OK);
        assert_round_trip();
        assert_string_equal(top.model, texts[i]);
    }
}

static void random_values_round_trip(void **state) {
    (void)state;
    static const char *const bits[] = {
        "\"", "\\", ":", "#",  "-", " ",            "\n",           "\t",
        "'",  "{",  "a", "\x02", "\xc2\x85", "\xc3\xa9", "\xe2\x80\xa8", "\xef\xbb\xbf"};
    mg_rng r = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < 300; i++) {
        mg_arena_reset(&arena, 0);
        mg_config_defaults(sections, 2, &arena);
        char text[64] = "";
        for (uint64_t n = mg_rng_below(&r, 16); n > 0; n--)
            strcat(text, bits[mg_rng_below(&r, 16)]);
        top.model  = mg_arena_strdup(&arena, text);
        top.algo   = "sac";
        top.seed   = (int64_t)mg_rng_below(&r, 1ull << 53) - (1ll << 52);
        ppo.gamma  = mg_rng_uniform(&r);
        ppo.lr     = 1000 * pow(mg_rng_uniform(&r), 1 + (double)mg_rng_below(&r, 200));
        ppo.whiten = mg_rng_below(&r, 2);
        assert_round_trip();
    }
}

// Everything `print` writes.
static const char *written(void (*print)(FILE *)) {
    char  *text = NULL;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    assert_non_null(f);
    print(f);
    assert_int_equal(fclose(f), 0);
    const char *copy = mg_arena_strdup(&arena, text);
    free(text);
    return copy;
}

static void print_config(FILE *f) { mg_config_write(sections, 2, f); }
static void print_help(FILE *f) { mg_config_help(sections, 2, f); }
static void print_markdown(FILE *f) { mg_config_markdown(&sections[0], f); }

static void what_is_written_is_plain_yaml(void **state) {
    (void)state;
    ppo.lr    = 100;
    top.model = "\xef\xbb\xbf\xc3\xa9"; // a byte order mark cannot be seen; e acute can
    assert_string_equal(written(print_config), "algo: ppo\n"
                                               "seed: 7\n"
                                               "model: \"\\ufeff\xc3\xa9\"\n"
                                               "ppo:\n"
                                               "  gamma: 0.99\n"
                                               "  lr: 100\n"
                                               "  epochs: 4\n"
                                               "  whiten: true\n"
                                               "  note: \"say \\\"\\\\hi\\\"\\u000a\"\n");
}

static void help_and_docs_list_every_key(void **state) {
    (void)state;
    const char *help = written(print_help);
    assert_non_null(strstr(help, "  --ppo.epochs  4"));
    assert_non_null(strstr(help, "  passes over each batch (an integer in 1..64)\n"));
    assert_non_null(strstr(help, "  --algo        \"ppo\""));
    assert_non_null(strstr(help, "  the algorithm (one of td3 sac ppo)\n"));
    assert_non_null(strstr(help, "  whiten the advantages\n"));
    assert_string_equal(
        written(print_markdown),
        "| key | default | takes | meaning |\n"
        "| --- | --- | --- | --- |\n"
        "| `algo` | `\"ppo\"` | one of td3 sac ppo | the algorithm |\n"
        "| `seed` | `7` | an integer in -9007199254740992..9007199254740992 | seed of every stream "
        "|\n"
        "| `model` | `\"\"` | a text in UTF-8 of at most 4096 bytes | model folder |\n");
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_what_the_list_says),
        TEST(a_file_sets_what_it_names_and_nothing_else),
        TEST(texts_may_be_quoted_plain_or_folded),
        TEST(nothing_is_no_change),
        TEST(numbers_are_taken_strictly),
        TEST(the_ends_of_a_range_belong_to_it),
        TEST(integers_end_where_int64_ends),
        TEST(wrong_kinds_are_named),
        TEST(unknown_keys_are_answered_with_the_known_ones),
        TEST(long_and_wild_texts_are_shown_short_and_tame),
        TEST(repeated_keys_and_documents_are_refused),
        TEST(broken_syntax_is_placed),
        TEST(unreadable_files_are_not_called_bad_yaml),
        TEST(peek_finds_a_top_level_scalar),
        TEST(the_command_line_sets_one_key),
        TEST(the_command_line_is_refused_as_strictly),
        TEST(texts_have_a_longest_one),
        TEST(texts_are_utf8),
        TEST(awkward_texts_round_trip),
        TEST(random_values_round_trip),
        TEST(what_is_written_is_plain_yaml),
        TEST(help_and_docs_list_every_key),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
