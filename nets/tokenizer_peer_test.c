// Goal:   ids, bytes and learned merges are those of the Python library `tokenizers`, on 10,000
//         lines of mixed Unicode and on tokenizers that use every option.
// Method: tools/peer_tokenizer.py has written what the library says into the folder that the
//         environment variable MG_PEER_DIR names. What is trained here is saved there, so that
//         `peer_tokenizer.py FOLDER --check` can open it with the library.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/file.h"
#include "nets/tokenizer.h"

enum { NAME_MAX_SIZE = 1024, SHOWN_MAX = 5 };

static mg_arena arena;
static char     folder[NAME_MAX_SIZE];

// Aborts the test with the sentence when a call failed.
static void need(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static json_t *read_json(const char *name) {
    json_error_t why;
    char        *path = mg_path(&arena, "%s/%s", folder, name);
    json_t      *root = json_load_file(path, JSON_ALLOW_NUL, &why);
    if (!root) fail_msg("%s: %s", path, why.text);
    return root;
}

static bool same_ids(const json_t *wanted, const int32_t *ids, int64_t n) {
    if ((int64_t)json_array_size(wanted) != n) return false;
    for (int64_t i = 0; i < n; i++)
        if (json_integer_value(json_array_get(wanted, (size_t)i)) != ids[i]) return false;
    return true;
}

static bool same_text(const json_t *wanted, const char *text, size_t size) {
    return json_string_length(wanted) == size &&
           memcmp(json_string_value(wanted), text, size) == 0;
}

// What is compared for one line; counts what differs and shows the first few.
static int compare_line(const mg_tokenizer *t, const json_t *answers, size_t line, const char *text,
                        size_t size) {
    const size_t  mark = mg_arena_mark(&arena);
    const json_t *skipped = json_array_get(json_object_get(answers, "skipped"), line);
    const json_t *before  = json_object_get(answers, "before");
    const json_t *plain   = json_array_get(json_object_get(answers, "plain"), line);
    int32_t      *ids, *special;
    int64_t       n, n_special;
    char         *back;
    size_t        back_size;
    need(mg_tokenizer_encode(t, text, size, false, &arena, &ids, &n));
    bool same = same_ids(plain, ids, n);

    need(mg_tokenizer_encode(t, text, size, true, &arena, &special, &n_special));
    const int64_t k = (int64_t)json_array_size(before);
    same &= n_special == n + k && same_ids(before, special, k) &&
            (n == 0 || memcmp(special + k, ids, (size_t)n * sizeof *ids) == 0);

    need(mg_tokenizer_decode(t, ids, n, false, &arena, &back, &back_size));
    same &= same_text(json_array_get(json_object_get(answers, "text"), line), back, back_size);
    if (skipped) {
        need(mg_tokenizer_decode(t, ids, n, true, &arena, &back, &back_size));
        same &= same_text(skipped, back, back_size);
    }
    // The library lets merges make a special token; then there is only one thing to hold ours to.
    const json_t *apart = json_array_get(json_object_get(answers, "untrusted"), line);
    bool          made  = false;
    need(mg_tokenizer_encode_plain(t, text, size, -1, &arena, &ids, &n));
    for (int64_t i = 0; i < n; i++) same &= !mg_tokenizer_is_special(t, ids[i]);
    for (size_t i = 0; i < json_array_size(apart); i++)
        made |= mg_tokenizer_is_special(t, (int32_t)json_integer_value(json_array_get(apart, i)));
    same &= made || same_ids(apart, ids, n);
    mg_arena_reset(&arena, mark);
    return !same;
}

static void compare_lines(const mg_tokenizer *t, const char *name, const json_t *lines) {
    json_t *answers = read_json(mg_path(&arena, "%s/answers.json", name));
    size_t  differ  = 0;
    assert_true(json_array_size(lines) >= 1000);
    assert_int_equal(json_array_size(json_object_get(answers, "plain")), json_array_size(lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const char   *text = json_string_value(line);
        if (!compare_line(t, answers, i, text, json_string_length(line))) continue;
        if (differ++ < SHOWN_MAX) print_error("%s: line %zu differs\n", name, i);
    }
    print_message("%s: %zu of %zu lines differ\n", name, differ, json_array_size(lines));
    assert_int_equal(differ, 0);
    json_decref(answers);
}

static void compare_bytes(const mg_tokenizer *t, const char *name) {
    json_t *answers = read_json(mg_path(&arena, "%s/answers.json", name));
    json_t *bytes   = json_object_get(answers, "bytes");
    assert_int_equal(json_array_size(bytes), mg_tokenizer_vocab_size(t));
    for (int32_t id = 0; id < mg_tokenizer_vocab_size(t); id++) {
        size_t      size;
        const char *hex  = json_string_value(json_array_get(bytes, (size_t)id));
        const char *text = mg_tokenizer_token_bytes(t, id, &size);
        assert_int_equal(strlen(hex), 2 * size);
        for (size_t i = 0; i < size; i++) {
            const char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
            assert_int_equal(strtol(two, NULL, 16), (uint8_t)text[i]);
        }
    }
    json_decref(answers);
}

static void loaded_tokenizers_agree(void **state) {
    (void)state;
    json_t *cases = read_json("cases.json"), *lines = read_json("lines.json");
    json_t *names = json_object_get(cases, "load");
    assert_true(json_array_size(names) >= 10);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const size_t  mark = mg_arena_mark(&arena);
        const char   *name = json_string_value(json_array_get(names, i));
        mg_tokenizer *t;
        need(mg_tokenizer_load(&t, mg_path(&arena, "%s/%s/tokenizer.json", folder, name)));
        compare_lines(t, name, lines);
        compare_bytes(t, name);
        mg_tokenizer_free(t);
        mg_arena_reset(&arena, mark);
    }
    json_decref(cases);
    json_decref(lines);
}

static mg_tokenizer *train(const json_t *how) {
    const char *family = json_string_value(json_object_get(how, "family"));
    json_t     *corpus = read_json(json_string_value(json_object_get(how, "corpus")));
    json_t     *names  = json_object_get(how, "special");
    const size_t n = json_array_size(corpus), n_special = json_array_size(names);
    mg_text     *texts   = MG_NEW(&arena, mg_text, n);
    const char **special = MG_NEW(&arena, const char *, n_special);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(corpus, i);
        texts[i]           = (mg_text){json_string_value(text), json_string_length(text)};
    }
    for (size_t i = 0; i < n_special; i++) special[i] = json_string_value(json_array_get(names, i));
    const mg_tokenizer_training training = {
        .family     = strcmp(family, "gpt2") == 0     ? MG_TOKENIZER_GPT2
                      : strcmp(family, "llama3") == 0 ? MG_TOKENIZER_LLAMA3
                                                      : MG_TOKENIZER_QWEN2,
        .texts      = texts,
        .n_texts    = (int64_t)n,
        .vocab_size = (int32_t)json_integer_value(json_object_get(how, "vocab_size")),
        .special    = special,
        .n_special  = (int32_t)n_special,
        .first      = json_string_value(json_object_get(how, "first")),
    };
    mg_tokenizer *t;
    need(mg_tokenizer_train(&t, &training));
    json_decref(corpus);
    return t;
}

static void trained_tokenizers_agree(void **state) {
    (void)state;
    json_t *cases = read_json("cases.json"), *lines = read_json("lines.json");
    json_t *trainings = json_object_get(cases, "train");
    assert_true(json_array_size(trainings) >= 3);
    for (size_t i = 0; i < json_array_size(trainings); i++) {
        const size_t  mark = mg_arena_mark(&arena);
        const json_t *how  = json_array_get(trainings, i);
        const char   *name = json_string_value(json_object_get(how, "name"));
        mg_tokenizer *t    = train(how);
        need(mg_tokenizer_save(t, mg_path(&arena, "%s/%s/trained.json", folder, name)));
        json_t *ours   = read_json(mg_path(&arena, "%s/trained.json", name));
        json_t *theirs = read_json(mg_path(&arena, "%s/tokenizer.json", name));
        print_message("%s: %zu merges\n", name,
                      json_array_size(json_object_get(json_object_get(ours, "model"), "merges")));
        assert_true(json_equal(json_object_get(ours, "model"), json_object_get(theirs, "model")));
        compare_lines(t, name, lines);
        json_decref(ours);
        json_decref(theirs);
        mg_tokenizer_free(t);
        mg_arena_reset(&arena, mark);
    }
    json_decref(cases);
    json_decref(lines);
}

int main(void) {
    const char *named = getenv("MG_PEER_DIR");
    if (!named || strlen(named) >= sizeof folder) {
        print_error("MG_PEER_DIR must name the folder that tools/peer_tokenizer.py has filled\n");
        return EXIT_FAILURE;
    }
    strcpy(folder, named);
    if (mg_arena_init(&arena, "peer test", (size_t)1 << 30)) return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_tokenizers_agree),
        cmocka_unit_test(trained_tokenizers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
