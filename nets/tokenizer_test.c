// Goal:   a tokenizer reads what the Python library wrote and gives the same ids; trains the same
//         merges; refuses what it does not understand, by name; never reads past bad input.
// Method: nets/testdata holds small files of three families, lines of mixed Unicode and their ids,
//         all written by the library (tools/peer_tokenizer.py --fixture). Each error case changes
//         one value of such a file.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/file.h"
#include "nets/tokenizer.h"

#define DATA "nets/testdata/"

static const struct {
    const char         *name;
    mg_tokenizer_family family;
    const char         *first;
} families[] = {
    {"gpt2", MG_TOKENIZER_GPT2, NULL},
    {"llama3", MG_TOKENIZER_LLAMA3, "<|begin|>"},
    {"qwen2", MG_TOKENIZER_QWEN2, NULL},
};
enum { N_FAMILIES = 3 };

static const char *const special[] = {"<|endoftext|>", "<|begin|>"};

static mg_arena arena;
static char     folder[] = "/tmp/mg-tokenizer-XXXXXX";

static void need(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static void assert_fails(mg_err err, mg_err wanted, const char *says) {
    if (err != wanted || !strstr(mg_err_detail(), says))
        fail_msg("%s: %s; wanted %s: ...%s...", mg_err_name(err), mg_err_detail(),
                 mg_err_name(wanted), says);
}

static json_t *read_json(const char *path) {
    json_error_t why;
    json_t      *root = json_load_file(path, JSON_ALLOW_NUL, &why);
    if (!root) fail_msg("%s: %s", path, why.text);
    return root;
}

static mg_tokenizer *load(const char *name) {
    mg_tokenizer *t;
    need(mg_tokenizer_load(&t, mg_path(&arena, DATA "tokenizer_%s.json", name)));
    return t;
}

static void assert_ids(const json_t *wanted, const int32_t *ids, int64_t n) {
    assert_int_equal(json_array_size(wanted), n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(json_integer_value(json_array_get(wanted, (size_t)i)), ids[i]);
}

// --- against the library ---

static void ids_are_those_of_the_library(void **state) {
    (void)state;
    json_t *lines = read_json(DATA "tokenizer_lines.json");
    assert_true(json_array_size(lines) >= 60);
    for (int f = 0; f < N_FAMILIES; f++) {
        const char   *name    = families[f].name;
        json_t       *answers = read_json(mg_path(&arena, DATA "tokenizer_%s_ids.json", name));
        json_t       *plain   = json_object_get(answers, "plain");
        json_t       *before  = json_object_get(answers, "before");
        json_t       *apart   = json_object_get(answers, "untrusted"); // encode_special_tokens
        mg_tokenizer *t       = load(name);
        assert_int_equal(json_array_size(plain), json_array_size(lines));
        assert_int_equal(json_array_size(before), families[f].first ? 1 : 0);
        for (size_t i = 0; i < json_array_size(lines); i++) {
            const json_t *line = json_array_get(lines, i);
            const char   *text = json_string_value(line);
            int32_t      *ids;
            int64_t       n, k = (int64_t)json_array_size(before);
            need(mg_tokenizer_encode(t, text, json_string_length(line), false, &arena, &ids, &n));
            assert_ids(json_array_get(plain, i), ids, n);
            need(mg_tokenizer_encode(t, text, json_string_length(line), true, &arena, &ids, &n));
            assert_ids(before, ids, k);
            assert_ids(json_array_get(plain, i), ids + k, n - k);
            need(mg_tokenizer_encode_plain(t, text, json_string_length(line), -1, &arena, &ids, &n));
            assert_ids(json_array_get(apart, i), ids, n);
        }
        mg_tokenizer_free(t);
        json_decref(answers);
    }
    json_decref(lines);
}

static mg_tokenizer_training training_on(const json_t *lines, int f) {
    const size_t n     = json_array_size(lines);
    mg_text     *texts = MG_NEW(&arena, mg_text, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *line = json_array_get(lines, i);
        texts[i]           = (mg_text){json_string_value(line), json_string_length(line)};
    }
    return (mg_tokenizer_training){families[f].family, texts, (int64_t)n, 500, special, 2,
                                   families[f].first};
}

static bool same_part(const json_t *ours, const json_t *theirs, const char *key) {
    return json_equal(json_object_get(ours, key), json_object_get(theirs, key));
}

static void merges_are_those_of_the_library(void **state) {
    (void)state;
    json_t *lines = read_json(DATA "tokenizer_lines.json");
    for (int f = 0; f < N_FAMILIES; f++) {
        const mg_tokenizer_training how = training_on(lines, f);
        mg_tokenizer               *t;
        const char                 *path = mg_path(&arena, "%s/trained.json", folder);
        need(mg_tokenizer_train(&t, &how));
        need(mg_tokenizer_save(t, path));
        json_t *ours   = read_json(path);
        json_t *theirs = read_json(mg_path(&arena, DATA "tokenizer_%s.json", families[f].name));
        json_t *merges = json_object_get(json_object_get(ours, "model"), "merges");
        assert_int_equal(json_array_size(merges), 242);
        assert_true(same_part(ours, theirs, "model"));
        assert_true(same_part(ours, theirs, "normalizer"));
        assert_true(same_part(ours, theirs, "pre_tokenizer"));
        json_decref(ours);
        json_decref(theirs);
        mg_tokenizer_free(t);
    }
    json_decref(lines);
}

// --- properties ---

static void text_survives_the_round_trip(void **state) {
    (void)state;
    json_t       *lines = read_json(DATA "tokenizer_lines.json");
    mg_tokenizer *t;
    for (int f = 0; f < 2; f++) { // without a normal form nothing may change
        const mg_tokenizer_training how = training_on(lines, f);
        need(mg_tokenizer_train(&t, &how));
        for (int64_t i = 0; i < how.n_texts; i++) {
            const mg_text was = how.texts[i];
            int32_t      *ids;
            int64_t       n;
            char         *text;
            size_t        size;
            need(mg_tokenizer_encode(t, was.data, was.size, false, &arena, &ids, &n));
            need(mg_tokenizer_decode(t, ids, n, false, &arena, &text, &size));
            assert_int_equal(size, was.size);
            assert_memory_equal(text, was.data, size);
            assert_int_equal(text[size], 0);
        }
        mg_tokenizer_free(t);
    }
    json_decref(lines);
}

static void a_loaded_file_is_saved_as_it_was(void **state) {
    (void)state;
    char         *was, *is;
    size_t        was_size, is_size;
    const char   *path = mg_path(&arena, "%s/saved.json", folder);
    mg_tokenizer *t    = load("llama3");
    need(mg_tokenizer_save(t, path));
    need(mg_file_read(DATA "tokenizer_llama3.json", 1 << 20, &arena, &was, &was_size));
    need(mg_file_read(path, 1 << 20, &arena, &is, &is_size));
    assert_int_equal(is_size, was_size);
    assert_memory_equal(is, was, was_size);
    assert_fails(mg_tokenizer_save(t, "/nowhere/tokenizer.json"), MG_IO, "/nowhere/tokenizer.json");
    mg_tokenizer_free(t);
}

static void tokens_are_found_and_spelled_out(void **state) {
    (void)state;
    mg_tokenizer *t = load("gpt2");
    size_t        size;
    assert_int_equal(mg_tokenizer_vocab_size(t), 509);
    assert_int_equal(mg_tokenizer_id(t, "<|endoftext|>"), 0);
    assert_int_equal(mg_tokenizer_id(t, "<|im_start|>"), 500);
    assert_int_equal(mg_tokenizer_id(t, "no such token"), -1);
    const int32_t space = mg_tokenizer_id(t, "\xC4\xA0"); // U+0120
    assert_true(space > 0);
    assert_memory_equal(mg_tokenizer_token_bytes(t, space, &size), " ", 1);
    assert_int_equal(size, 1);
    const int32_t added = mg_tokenizer_id(t, "<a b>");
    assert_memory_equal(mg_tokenizer_token_bytes(t, added, &size), "<a b>", 5);
    assert_int_equal(size, 5);
    assert_true(mg_tokenizer_is_special(t, 0));
    assert_false(mg_tokenizer_is_special(t, space));
    assert_false(mg_tokenizer_is_special(t, mg_tokenizer_id(t, "word"))); // added, not special
    mg_tokenizer_free(t);
}

static void decoding_gives_raw_bytes_and_refuses_strangers(void **state) {
    (void)state;
    mg_tokenizer *t     = load("gpt2");
    const int32_t lead  = mg_tokenizer_id(t, "\xC3\xA2"); // U+00E2: the byte E2
    const int32_t ids[] = {0, lead, mg_tokenizer_id(t, "A"), 509, -1};
    char         *text;
    size_t        size;
    need(mg_tokenizer_decode(t, ids, 3, true, &arena, &text, &size));
    assert_int_equal(size, 2);
    assert_memory_equal(text, "\xE2" "A", 3);
    need(mg_tokenizer_decode(t, ids, 3, false, &arena, &text, &size));
    assert_string_equal(text, "<|endoftext|>\xE2" "A");
    need(mg_tokenizer_decode(t, ids, 0, false, &arena, &text, &size));
    assert_int_equal(size, 0);
    assert_fails(mg_tokenizer_decode(t, ids, 4, true, &arena, &text, &size), MG_MISMATCH,
                 "id 509 at place 3, the tokenizer has 0..508");
    assert_fails(mg_tokenizer_decode(t, ids + 4, 1, true, &arena, &text, &size), MG_MISMATCH,
                 "id -1");
    mg_tokenizer_free(t);
}

// --- bad texts ---

static void bad_utf8_is_refused_with_its_place(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t      size, at;
    } bad[] = {
        {"abc\xFF" "de", 6, 3},      {"\x80", 1, 0},          {"\xC3", 1, 0},
        {"x\xC0\xAF", 3, 1},         {"\xED\xA0\x80", 3, 0}, // overlong; a surrogate
        {"12345678\xF4\x90\x80\x80", 12, 8},                 // beyond U+10FFFF
        {"\xE2\x82\xAC\xE2\x82", 5, 3},                      // cut short
    };
    mg_tokenizer *t = load("qwen2");
    int32_t      *ids;
    int64_t       n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(mg_tokenizer_encode(t, bad[i].text, bad[i].size, false, &arena, &ids, &n),
                     MG_CORRUPT, mg_path(&arena, "byte %zu of %zu", bad[i].at, bad[i].size));
    need(mg_tokenizer_encode(t, "a\0b", 3, false, &arena, &ids, &n)); // a zero byte is text
    assert_int_equal(n, 3);
    need(mg_tokenizer_encode(t, NULL, 0, false, &arena, &ids, &n));
    assert_int_equal(n, 0);
    mg_tokenizer_free(t);
}

static void limits_are_errors(void **state) {
    (void)state;
    mg_tokenizer *t = load("qwen2");
    int32_t      *ids;
    int64_t       n;
    char         *marks = mg_arena_alloc(&arena, 2 * 1025 + 1);
    for (int i = 0; i < 1025; i++) memcpy(marks + 2 * i, i % 2 ? "\xCC\x81" : "\xCC\xA3", 2);
    assert_fails(mg_tokenizer_encode(t, marks, 2 * 1025, false, &arena, &ids, &n), MG_LIMIT,
                 "1025 combining marks in a row, at most 1024");
    need(mg_tokenizer_encode(t, marks, 2 * 1024, false, &arena, &ids, &n));

    mg_arena small;
    need(mg_arena_init(&small, "small", 4096));
    char *text = mg_arena_alloc(&arena, 4000);
    memset(text, 'a', 4000);
    for (size_t size = 1; size <= 4000; size++) { // room for the ids, for the word, or for neither
        const mg_err err = mg_tokenizer_encode(t, text, size, true, &small, &ids, &n);
        if (err) assert_fails(err, MG_LIMIT, "arena small");
        if (err) assert_int_equal(mg_arena_mark(&small), 0);
        mg_arena_reset(&small, 0);
        assert_true(size > 10 || !err);
        assert_true(size < 1024 || err);
    }
    assert_fails(mg_tokenizer_encode(t, text, MG_TOKENIZER_TEXT_MAX + 1, false, &arena, &ids, &n),
                 MG_LIMIT, "at most");
    mg_arena_release(&small);
    mg_tokenizer_free(t);
}

// --- bad files ---

typedef struct change {
    const char *path;  // keys and indices, with '/'
    const char *value; // JSON; NULL: delete
    mg_err      err;
    const char *says;
} change;

static const change changes[] = {
    {"version", "\"2.0\"", MG_UNSUPPORTED, "version \"2.0\""},
    {"truncation", "{}", MG_UNSUPPORTED, "truncation is not supported"},
    {"padding", "{}", MG_UNSUPPORTED, "padding is not supported"},
    {"decoder", "{\"type\":\"WordPiece\"}", MG_UNSUPPORTED, "decoder WordPiece is not supported"},
    {"decoder", "null", MG_UNSUPPORTED, "decoder null"},
    {"normalizer", "{\"type\":\"Lowercase\"}", MG_UNSUPPORTED,
     "normalizer Lowercase is not supported"},
    {"normalizer", "{\"type\":\"Sequence\"}", MG_CORRUPT, "normalizer Sequence without"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\"}", MG_UNSUPPORTED,
     "pre_tokenizer Metaspace is not supported"},
    {"pre_tokenizer", "null", MG_UNSUPPORTED, "pre_tokenizer null"},
    {"pre_tokenizer", "{\"type\":\"Digits\"}", MG_UNSUPPORTED, "without ByteLevel"},
    {"pre_tokenizer/pretokenizers/0", "{\"type\":\"ByteLevel\"}", MG_UNSUPPORTED,
     "ByteLevel after ByteLevel"},
    {"pre_tokenizer/pretokenizers/0/pattern", "{\"String\":\" \"}", MG_UNSUPPORTED, "but a Regex"},
    {"pre_tokenizer/pretokenizers/0/pattern/Regex", "\"a(\"", MG_CORRUPT,
     "missing closing parenthesis"},
    {"pre_tokenizer/pretokenizers/0/pattern/Regex", "\"a*\"", MG_UNSUPPORTED, "match nothing"},
    {"pre_tokenizer/pretokenizers/0/invert", "true", MG_UNSUPPORTED, "invert"},
    {"pre_tokenizer/pretokenizers/0/behavior", "\"MergedWithNext\"", MG_UNSUPPORTED,
     "behavior MergedWithNext"},
    {"post_processor/processors/1/type", "\"BertProcessing\"", MG_UNSUPPORTED,
     "post_processor BertProcessing is not supported"},
    {"post_processor/processors/1/single/1", NULL, MG_UNSUPPORTED, "exactly one $A"},
    {"post_processor/processors/1/single/1/Sequence/id", "\"B\"", MG_UNSUPPORTED, "another piece"},
    {"post_processor/processors/1/special_tokens/<|begin|>", NULL, MG_CORRUPT, "without ids"},
    {"post_processor/processors/1/special_tokens/<|begin|>/ids/0", "509", MG_CORRUPT, "has id 509"},
    {"model", NULL, MG_CORRUPT, "has no model"},
    {"model/type", "\"Unigram\"", MG_UNSUPPORTED, "model Unigram is not supported"},
    {"model/dropout", "0.1", MG_UNSUPPORTED, "dropout"},
    {"model/byte_fallback", "true", MG_UNSUPPORTED, "byte_fallback"},
    {"model/continuing_subword_prefix", "\"##\"", MG_UNSUPPORTED, "continuing_subword_prefix"},
    {"model/end_of_word_suffix", "\"</w>\"", MG_UNSUPPORTED, "end_of_word_suffix"},
    {"model/vocab", NULL, MG_CORRUPT, "without vocab"},
    {"model/merges", NULL, MG_CORRUPT, "without merges"},
    {"model/vocab/a", "\"66\"", MG_CORRUPT, "token \"a\" has no integer id"},
    {"model/vocab/a", "-1", MG_CORRUPT, "token \"a\" has id -1"},
    {"model/vocab/a", "1048576", MG_LIMIT, "id 1048576, the largest supported is 1048575"},
    {"model/vocab/a", "2000", MG_CORRUPT, "no token has id 66, though ids run to 2000"},
    {"model/vocab/a", "67", MG_CORRUPT, "\"a\" and \"b\" both have id 67"},
    {"model/vocab/a", NULL, MG_CORRUPT, "no token has id 66"},
    {"model/merges/0", "\"a zz\"", MG_CORRUPT, "merge 0 names \"zz\""},
    {"model/merges/0", "\"a\"", MG_CORRUPT, "merge 0 is neither"},
    {"model/merges/0", "\"a b c\"", MG_CORRUPT, "merge 0 is neither"},
    {"model/merges/0", "[\"a\", 1]", MG_CORRUPT, "merge 0 is neither"},
    {"model/merges/0", "[\"a\", \"\"]", MG_CORRUPT, "merge 0 names \"\""},
    {"model/merges/1", "\". .\"", MG_CORRUPT, "merge 1 is merge 0 again"},
    {"model/merges/3", "[\"!\", \"~\"]", MG_CORRUPT, "merge 3 names \"!~\""},
    {"added_tokens/0/id", "1", MG_CORRUPT,
     "added token \"<|endoftext|>\" has id 1, in the vocabulary 0"},
    {"added_tokens/2/id", "7", MG_CORRUPT, "and \"<|im_start|>\" both have id 7"},
    {"added_tokens/2/content", "\"\"", MG_CORRUPT, "without content"},
    {"added_tokens/2/content", "\"<mask>\"", MG_CORRUPT, "token \"<mask>\" has ids"},
    {"added_tokens/1", "{\"id\":0,\"content\":\"<|endoftext|>\"}", MG_CORRUPT, "is added twice"},
};

// A copy of the file with one value changed, on the disk.
static const char *changed_file(const char *name, const change *c) {
    json_t *root = read_json(mg_path(&arena, DATA "tokenizer_%s.json", name)), *at = root;
    char    path[128], *rest = path, *key;
    snprintf(path, sizeof path, "%s", c->path);
    json_t *value = c->value ? json_loads(c->value, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(value || !c->value);
    while ((key = strsep(&rest, "/"))) {
        const size_t i    = (size_t)atoi(key);
        json_t      *next = json_is_array(at) ? json_array_get(at, i) : json_object_get(at, key);
        assert_true(next != NULL);
        if (rest) at = next;
        else if (json_is_array(at) && value) assert_int_equal(json_array_set_new(at, i, value), 0);
        else if (json_is_array(at)) assert_int_equal(json_array_remove(at, i), 0);
        else if (value) assert_int_equal(json_object_set_new(at, key, value), 0);
        else assert_int_equal(json_object_del(at, key), 0);
    }
    const char *file = mg_path(&arena, "%s/changed.json", folder);
    assert_int_equal(json_dump_file(root, file, 0), 0);
    json_decref(root);
    return file;
}

static void files_that_are_not_understood_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        mg_tokenizer *t    = NULL;
        const char   *file = changed_file("llama3", &changes[i]);
        assert_fails(mg_tokenizer_load(&t, file), changes[i].err, changes[i].says);
        assert_fails(changes[i].err, changes[i].err, file); // the sentence names the file
        assert_null(t);
    }
    const change  same = {"added_tokens/6/content", "\"u\u030Ci\u030C\"", MG_OK, ""};
    mg_tokenizer *t    = NULL;
    assert_fails(mg_tokenizer_load(&t, changed_file("qwen2", &same)), MG_UNSUPPORTED,
                 "504 and 507 have the same normal form");
    assert_null(t);
}

static void harmless_differences_are_taken(void **state) {
    (void)state;
    const change harmless[] = {
        {"model/type", NULL, MG_OK, ""},
        {"model/unk_token", "\"<unk>\"", MG_OK, ""},
        {"model/dropout", "0.0", MG_OK, ""},
        {"model/continuing_subword_prefix", "\"\"", MG_OK, ""},
        {"post_processor", "null", MG_OK, ""},
        {"version", NULL, MG_OK, ""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}", MG_OK, ""},
    };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        mg_tokenizer *t;
        need(mg_tokenizer_load(&t, changed_file("llama3", &harmless[i])));
        mg_tokenizer_free(t);
    }
}

static void damaged_files_are_refused(void **state) {
    (void)state;
    mg_tokenizer *t = NULL;
    char         *text;
    size_t        size;
    const char   *path = mg_path(&arena, "%s/cut.json", folder);
    assert_fails(mg_tokenizer_load(&t, "nets/testdata/none.json"), MG_IO, "none.json");
    need(mg_file_read(DATA "tokenizer_gpt2.json", 1 << 20, &arena, &text, &size));
    for (size_t cut = 0; cut + 2 < size; cut += 97) {
        need(mg_file_write(path, text, cut));
        assert_fails(mg_tokenizer_load(&t, path), MG_CORRUPT, "cut.json:");
    }
    need(mg_file_write(path, "{\"model\":1,\"model\":2}", 21));
    assert_fails(mg_tokenizer_load(&t, path), MG_CORRUPT,
                 "cut.json:1:18: not JSON: duplicate object key");
    const char *one = "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},"
                      "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
                      "\"decoder\":{\"type\":\"ByteLevel\"}}";
    need(mg_file_write(path, one, strlen(one)));
    assert_fails(mg_tokenizer_load(&t, path), MG_CORRUPT, "no token \"\xC4\x80\" for byte 0x00");
    char *spelling = mg_arena_alloc(&arena, MG_TOKENIZER_TOKEN_MAX + 2);
    memset(spelling, 'a', MG_TOKENIZER_TOKEN_MAX + 1);
    const char *large = mg_path(&arena, "%.21s%s%s", one, spelling, one + 21);
    need(mg_file_write(path, large, strlen(large)));
    assert_fails(mg_tokenizer_load(&t, path), MG_LIMIT, "token 0 has more than 65535 bytes");
    need(mg_file_write(path, "[]", 2));
    assert_fails(mg_tokenizer_load(&t, path), MG_CORRUPT, "not a tokenizer.json");
    assert_null(t);
}

static void a_word_that_is_a_token_is_taken_whole(void **state) {
    (void)state;
    const change  unmade = {"model/merges/241", NULL, MG_OK, ""}; // makes token 499
    mg_tokenizer *t;
    int32_t      *ids;
    int64_t       n;
    size_t        size;
    need(mg_tokenizer_load(&t, changed_file("llama3", &unmade)));
    const char *word = mg_tokenizer_token_bytes(t, 499, &size);
    assert_memory_equal(word, " \u0E01\u0E23\u0E01", 10);
    need(mg_tokenizer_encode(t, word, size, false, &arena, &ids, &n));
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 499);
    mg_tokenizer_free(t);
}

static void a_normalised_token_stands_for_its_normal_form(void **state) {
    (void)state;
    const change  apart = {"added_tokens/6/content", "\"o\u0302\u0323\"", MG_OK, ""};
    mg_tokenizer *t;
    int32_t      *ids;
    int64_t       n;
    size_t        size;
    need(mg_tokenizer_load(&t, changed_file("qwen2", &apart)));
    assert_memory_equal(mg_tokenizer_token_bytes(t, 504, &size), "\u1ED9", 3);
    assert_int_equal(size, 3);
    need(mg_tokenizer_encode(t, "o\u0323\u0302\u1ED9", 8, false, &arena, &ids, &n));
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 504);
    assert_int_equal(ids[1], 504);
    mg_tokenizer_free(t);
}

static void assert_without(const mg_tokenizer *t, const char *text, int32_t stop, int32_t barred) {
    int32_t *ids;
    int64_t  n;
    char    *back;
    size_t   size;
    need(mg_tokenizer_encode(t, text, strlen(text), false, &arena, &ids, &n));
    bool there = false; // else it would show nothing
    for (int64_t i = 0; i < n; i++) there |= ids[i] == barred;
    assert_true(there);
    need(mg_tokenizer_encode_plain(t, text, strlen(text), stop, &arena, &ids, &n));
    for (int64_t i = 0; i < n; i++) assert_int_not_equal(ids[i], barred);
    need(mg_tokenizer_decode(t, ids, n, false, &arena, &back, &size));
    assert_string_equal(back, text);
}

// The special token may be found in the text, be a word that is taken whole, or what merges make; the
// stop may be a token that is not special.
static void no_text_spells_a_special_token_or_the_stop(void **state) {
    (void)state;
    for (int f = 0; f < N_FAMILIES; f++) {
        mg_tokenizer *t = load(families[f].name);
        assert_without(t, "a <|endoftext|> b", -1, mg_tokenizer_id(t, "<|endoftext|>"));
        assert_without(t, "x<mask>", -1, mg_tokenizer_id(t, "<mask>"));
        assert_without(t, "a <a b>!", mg_tokenizer_id(t, "<a b>"), mg_tokenizer_id(t, "<a b>"));
        mg_tokenizer_free(t);
    }
    static const char *const names[] = {"gpt2", "llama3"}; // by merges, as a whole
    for (int f = 0; f < 2; f++) {
        json_t *root = read_json(mg_path(&arena, DATA "tokenizer_%s.json", names[f]));
        json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
        const char *word = "", *key;
        json_t     *id, *which = NULL;
        json_object_foreach(vocab, key, id) { // a word of some letters that merges make
            bool letters = strlen(key) >= 3;
            for (const char *c = key; *c; c++) letters &= *c >= 'a' && *c <= 'z';
            if (letters) word = key, which = id;
        }
        assert_non_null(which);
        json_array_append_new(
            json_object_get(root, "added_tokens"),
            json_pack("{s:O, s:s, s:b, s:b, s:b, s:b, s:b}", "id", which, "content", word,
                      "single_word", 1, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
        char *text = json_dumps(root, 0);
        const char *path = mg_path(&arena, "%s/changed.json", folder);
        need(mg_file_write(path, text, strlen(text)));
        mg_tokenizer *t;
        need(mg_tokenizer_load(&t, path));
        assert_without(t, word, -1, (int32_t)json_integer_value(which));
        mg_tokenizer_free(t);
        free(text);
        json_decref(root);
    }
}

static void each_piece_can_get_a_space_in_front(void **state) {
    (void)state;
    const change  prefix = {"pre_tokenizer/pretokenizers/1/add_prefix_space", "true", MG_OK, ""};
    mg_tokenizer *t;
    int32_t      *ids;
    int64_t       n;
    char         *text;
    size_t        size;
    need(mg_tokenizer_load(&t, changed_file("llama3", &prefix)));
    need(mg_tokenizer_encode(t, "Z0", 2, false, &arena, &ids, &n)); // more ids than bytes
    assert_int_equal(n, 4);
    need(mg_tokenizer_decode(t, ids, n, false, &arena, &text, &size));
    assert_string_equal(text, " Z 0");
    mg_tokenizer_free(t);
}

// --- training ---

static void training_refuses_what_cannot_be(void **state) {
    (void)state;
    const mg_text               good = {"some text", 9}, bad[] = {good, {"ab\xFF", 3}};
    const char *const           twice[] = {"<s>", "<s>"}, *const empty[] = {""};
    mg_tokenizer               *t   = NULL;
    const mg_tokenizer_training base = {MG_TOKENIZER_GPT2, &good, 1, 300, special, 2, NULL};
    mg_tokenizer_training       how  = base;
    how.vocab_size = 257;
    assert_fails(mg_tokenizer_train(&t, &how), MG_CONFIG, "vocab_size 257, wanted 258");
    how = base, how.special = twice;
    assert_fails(mg_tokenizer_train(&t, &how), MG_CONFIG, "\"<s>\" is named twice");
    how = base, how.special = empty, how.n_special = 1;
    assert_fails(mg_tokenizer_train(&t, &how), MG_CONFIG, "special token 0 is empty");
    how = base, how.first = "<s>";
    assert_fails(mg_tokenizer_train(&t, &how), MG_CONFIG, "\"<s>\" is not a special token");
    how = base, how.texts = bad, how.n_texts = 2;
    assert_fails(mg_tokenizer_train(&t, &how), MG_CORRUPT, "training text 1: byte 2 (0xFF)");
    assert_null(t);
    how = base, how.n_texts = 0; // bytes alone are a tokenizer
    need(mg_tokenizer_train(&t, &how));
    assert_int_equal(mg_tokenizer_vocab_size(t), 258);
    mg_tokenizer_free(t);
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", (size_t)256 << 20) || !mkdtemp(folder);
}

static int teardown(void **state) {
    (void)state;
    const char *const names[] = {"trained.json", "saved.json", "changed.json", "cut.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(mg_path(&arena, "%s/%s", folder, names[i]));
    mg_arena_release(&arena);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_library),
        cmocka_unit_test(merges_are_those_of_the_library),
        cmocka_unit_test(text_survives_the_round_trip),
        cmocka_unit_test(a_loaded_file_is_saved_as_it_was),
        cmocka_unit_test(tokens_are_found_and_spelled_out),
        cmocka_unit_test(decoding_gives_raw_bytes_and_refuses_strangers),
        cmocka_unit_test(bad_utf8_is_refused_with_its_place),
        cmocka_unit_test(limits_are_errors),
        cmocka_unit_test(files_that_are_not_understood_are_refused),
        cmocka_unit_test(harmless_differences_are_taken),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_word_that_is_a_token_is_taken_whole),
        cmocka_unit_test(a_normalised_token_stands_for_its_normal_form),
        cmocka_unit_test(no_text_spells_a_special_token_or_the_stop),
        cmocka_unit_test(each_piece_can_get_a_space_in_front),
        cmocka_unit_test(training_refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
