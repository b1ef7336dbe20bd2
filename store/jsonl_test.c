// jsonl_test.c - rows of text data sets: what is taken, what is refused, and with which words.
#include "store/jsonl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

static char     path[64];
static mg_arena arena;

static int setup(void **state) {
    (void)state;
    strcpy(path, "/tmp/mg-jsonl-XXXXXX");
    const int fd = mkstemp(path);
    return fd < 0 || close(fd) || mg_arena_init(&arena, "test", (size_t)1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return unlink(path);
}

static void put(const char *text, size_t size) {
    if (mg_file_write(path, text, size)) fail_msg("%s", mg_err_detail());
}

static mg_pair *read_pairs(const char *text, int64_t wanted) {
    mg_pair *pairs;
    int64_t  n;
    put(text, strlen(text));
    if (mg_pairs_read(path, &arena, &pairs, &n)) fail_msg("%s", mg_err_detail());
    assert_int_equal(n, wanted);
    return pairs;
}

static void assert_pair(mg_pair p, const char *prompt, const char *completion) {
    assert_string_equal(p.prompt, prompt);
    assert_string_equal(p.completion, completion);
}

static void test_pairs(void **state) {
    (void)state;
    mg_pair *p = read_pairs("{\"prompt\": \"a\\nb\", \"completion\": \"\\u00e9\\ud83d\\ude00\"}\n"
                            "{\"completion\":\"\",\"prompt\":\"\xc3\xa9 \\\"q\\\"\"}\n",
                            2);
    assert_pair(p[0], "a\nb", "\xc3\xa9\xf0\x9f\x98\x80");
    assert_pair(p[1], "\xc3\xa9 \"q\"", "");
}

static void test_line_ends(void **state) {
    (void)state;
    mg_pair *p = read_pairs("{\"prompt\":\"a\",\"completion\":\"b\"}\r\n\r\n \t\n\n"
                            "{\"prompt\":\"c\",\"completion\":\"d\"}",
                            2);
    assert_pair(p[0], "a", "b");
    assert_pair(p[1], "c", "d");
}

static void test_messages(void **state) {
    (void)state;
    mg_pair *p = read_pairs(
        "{\"prompt\":[{\"role\":\"system\",\"content\":\"be brief\"},"
        "{\"role\":\"user\",\"content\":\"why?\",\"name\":\"x\"}],"
        "\"completion\":[{\"role\":\"assistant\",\"content\":\"so\"}]}\n"
        "{\"prompt\":\"p\",\"completion\":[{\"role\":\"assistant\",\"content\":\"\"},"
        "{\"role\":\"assistant\",\"content\":\"\"}]}\n",
        2);
    assert_pair(p[0], "be brief\nwhy?", "so");
    assert_pair(p[1], "p", "\n");
}

static void test_further_keys_are_let_pass(void **state) {
    (void)state;
    mg_pair *p = read_pairs("{\"id\":123456789012345678901234567890,\"prompt\":\"a\","
                            "\"meta\":{\"x\":[null,true,1.5]},\"completion\":\"b\","
                            "\"score\":-1e-3}\n",
                            1);
    assert_pair(p[0], "a", "b");
}

static void test_many_rows(void **state) {
    (void)state;
    enum { ROWS = 5000 }; // beyond the first room for rows, and its double
    char  *text;
    size_t size;
    FILE  *out = open_memstream(&text, &size);
    for (int i = 0; i < ROWS; i++)
        fprintf(out, "{\"prompt\":\"%d\",\"chosen\":\"c%d\",\"rejected\":\"r%d\"}\n", i, i * 3,
                i * 7);
    fclose(out);
    put(text, size);
    free(text);
    mg_preference *rows;
    int64_t        n;
    if (mg_preferences_read(path, &arena, &rows, &n)) fail_msg("%s", mg_err_detail());
    assert_int_equal(n, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(atoi(rows[i].prompt), i);
        assert_int_equal(atoi(rows[i].chosen + 1), i * 3);
        assert_int_equal(atoi(rows[i].rejected + 1), i * 7);
    }
}

static void assert_refused(mg_err wanted, const char *sentence, const char *text, size_t size) {
    mg_pair *pairs = NULL;
    int64_t  n     = -1;
    put(text, size);
    const mg_err err = mg_pairs_read(path, &arena, &pairs, &n);
    if (err != wanted) fail_msg("found %s, wanted %s", mg_err_name(err), mg_err_name(wanted));
    assert_true(pairs == NULL && n == -1);
    assert_int_equal(strncmp(mg_err_detail(), path, strlen(path)), 0);
    if (!strstr(mg_err_detail(), sentence))
        fail_msg("found '%s', wanted '%s'", mg_err_detail(), sentence);
}

#define GOOD "{\"prompt\":\"a\",\"completion\":\"b\"}\n"

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {GOOD "{\"prompt\":\"a\"}\n",
         ":2: completion: found nothing, wanted a text or a list of messages"},
        {"\n" GOOD GOOD "{\"prompt\":7,\"completion\":\"b\"}",
         ":4: prompt: found a number, wanted a text"},
        {"{\"prompt\":null,\"completion\":\"b\"}", ":1: prompt: found null"},
        {"{\"prompt\":true,\"completion\":\"b\"}", ":1: prompt: found true or false"},
        {"{\"prompt\":{\"role\":\"user\"},\"completion\":\"b\"}", ":1: prompt: found an object"},
        {"{\"prompt\":[],\"completion\":\"b\"}", ":1: prompt: found an empty list"},
        {"{\"prompt\":[\"x\"],\"completion\":\"b\"}",
         ":1: prompt[0].role: found nothing, wanted a text"},
        {"{\"prompt\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\"}],"
         "\"completion\":\"b\"}",
         ":1: prompt[1].content: found nothing, wanted a text"},
        {"{\"prompt\":\"a\",\"completion\":[{\"role\":1,\"content\":\"x\"}]}",
         ":1: completion[0].role: found a number, wanted a text"},
        {GOOD "{\"prompt\":\"a\",\"completion\":\"b\",\"prompt\":\"c\"}\n", "duplicate object key"},
        {GOOD "[1, 2]\n", ":2: found a list, wanted an object"},
        {GOOD "\"text\"\n", ":2:"},
        {GOOD "{\"prompt\":\"a\",\"completion\":\"b\"} x\n", ":2:"},
        {GOOD "{\"prompt\":\"a\",\"completion\":\"b\"\n", ":2:"},
        {"{\"prompt\":\"a\xc3\x28\",\"completion\":\"b\"}\n", "unable to decode byte 0xc3"},
        {"{\"prompt\":\"a\xed\xa0\x80\",\"completion\":\"b\"}\n", "unable to decode byte 0xed"},
        {"{\"prompt\":\"a\\u0000\",\"completion\":\"b\"}\n", ":1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(MG_CORRUPT, cases[i].sentence, cases[i].text, strlen(cases[i].text));
    // Bytes of value 0 are no blank line.
    assert_refused(MG_CORRUPT, ":2:", GOOD "\0\n", sizeof GOOD "\0\n" - 1);
}

#define USER "{\"role\":\"user\",\"content\":\"u\"}"
#define ANSWER "{\"role\":\"assistant\",\"content\":\"a\"}"

static void test_conversations(void **state) {
    (void)state;
    mg_pair *p = read_pairs(
        "{\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
        "{\"role\":\"user\",\"content\":\"why?\"},{\"role\":\"assistant\",\"content\":\"look\"},"
        "{\"role\":\"tool\",\"content\":\"\\u00e9\",\"tool_call_id\":\"7\"},"
        "{\"role\":\"developer\",\"content\":\"go on\"},{\"role\":\"assistant\",\"content\":\"\"},"
        "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"so\"}]}\n"
        GOOD
        "{\"seed\":9007199254740991,\"item\":3,\"messages\":[" USER "," ANSWER "],\"prompt\":\"x\"}\n"
        "{\"seed\":12,\"messages\":[" USER "," ANSWER "]}\n"
        "{\"item\":0,\"messages\":[" USER "," ANSWER "]}\n"
        "{\"prompt\":\"p\",\"completion\":\"c\",\"messages\":7,\"seed\":\"x\"}\n",
        6);
    assert_pair(p[0], "be brief\nwhy?", "look");
    assert_int_equal(p[0].n_later, 2);
    assert_string_equal(p[0].later[0].observation, "\xc3\xa9\ngo on");
    assert_string_equal(p[0].later[0].action, "");
    assert_string_equal(p[0].later[1].observation, "");
    assert_string_equal(p[0].later[1].action, "so");
    assert_false(p[0].placed);
    assert_pair(p[1], "a", "b");
    assert_true(p[1].n_later == 0 && !p[1].later && !p[1].placed);
    assert_pair(p[2], "u", "a");
    assert_int_equal(p[2].n_later, 0);
    assert_true(p[2].placed && p[2].item == 3 && p[2].seed == UINT64_C(9007199254740991));
    assert_true(p[3].placed && p[3].item == -1 && p[3].seed == 12);
    assert_true(p[4].placed && p[4].item == 0 && p[4].seed == 0);
    assert_pair(p[5], "p", "c"); // a completion makes it a pair, whatever else it has
    assert_false(p[5].placed);
}

static void test_conversations_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {GOOD "{\"messages\":[]}", ":2: messages: found an empty list, wanted a list of messages"},
        {"{\"messages\":\"x\"}", ":1: messages: found a text"},
        {"{\"prompt\":\"x\",\"messages\":null}", ":1: messages: found null"},
        {"{\"messages\":[" USER ",7]}", ":1: messages[1].role: found nothing, wanted a text"},
        {"{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":null}]}",
         ":1: messages[1].content: found null, wanted a text"},
        {"{\"messages\":[" USER ",{\"role\":\"Assistant\",\"content\":\"x\"}]}",
         ":1: messages[1].role: found 'Assistant', wanted system, user, tool or assistant"},
        {"{\"messages\":[" ANSWER "]}",
         ":1: messages[0].role: found 'assistant', wanted something to answer"},
        {"{\"messages\":[" USER "," ANSWER "," ANSWER "]}",
         ":1: messages[2].role: found 'assistant', wanted something to answer"},
        {"{\"messages\":[" USER "," ANSWER "," USER "]}",
         ":1: messages[2].role: found 'user', wanted assistant: the last word is an answer"},
        {"{\"messages\":[" USER "]}", ":1: messages[0].role: found 'user', wanted assistant"},
        {"{\"messages\":[" USER "," ANSWER "],\"seed\":\"1\"}",
         ":1: seed: found a text, wanted a whole number from 0 to 9007199254740991"},
        {"{\"messages\":[" USER "," ANSWER "],\"seed\":-1}", ":1: seed: found another number"},
        {"{\"messages\":[" USER "," ANSWER "],\"seed\":9007199254740992}", ":1: seed: found another"},
        {"{\"messages\":[" USER "," ANSWER "],\"item\":1.5}",
         ":1: item: found another number, wanted a whole number from -1 to"},
        {"{\"messages\":[" USER "," ANSWER "],\"item\":null}", ":1: item: found null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(MG_CORRUPT, cases[i].sentence, cases[i].text, strlen(cases[i].text));
}

static void test_empty(void **state) {
    (void)state;
    assert_refused(MG_EMPTY, "the data set is empty", "", 0);
    assert_refused(MG_EMPTY, "the data set is empty", "\n\r\n", 3);
}

// The good row, then one whose line has `size` bytes.
static size_t put_long_line(size_t size) {
    const size_t prompt = size - strlen("{\"prompt\":\"\",\"completion\":\"\"}");
    char        *text   = malloc(size + sizeof GOOD + 1);
    char        *end    = stpcpy(text, GOOD "{\"prompt\":\"");
    memset(end, 'x', prompt);
    end = stpcpy(end + prompt, "\",\"completion\":\"\"}\n");
    put(text, (size_t)(end - text));
    free(text);
    return prompt;
}

static void test_sizes(void **state) {
    (void)state;
    mg_pair     *p;
    int64_t      n;
    const size_t prompt = put_long_line(MG_JSONL_LINE_MAX);
    if (mg_pairs_read(path, &arena, &p, &n)) fail_msg("%s", mg_err_detail());
    assert_true(n == 2 && strlen(p[1].prompt) == prompt);

    static const size_t over[] = {1, 1 << 20};
    for (int i = 0; i < 2; i++) {
        put_long_line(MG_JSONL_LINE_MAX + over[i]);
        assert_int_equal(mg_pairs_read(path, &arena, &p, &n), MG_LIMIT);
        assert_non_null(strstr(mg_err_detail(), ":2: the line is longer than 16777216 bytes"));
    }
    // A file with a hole: no disk is used.
    put(GOOD, strlen(GOOD));
    assert_int_equal(truncate(path, MG_JSONL_FILE_MAX + 1), 0);
    assert_int_equal(mg_pairs_read(path, &arena, &p, &n), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "4294967297 bytes, at most 4294967296 are read"));
}

static void test_no_file(void **state) {
    (void)state;
    mg_pair       *pairs;
    mg_preference *rows;
    int64_t        n;
    assert_int_equal(mg_pairs_read("/nowhere/train.jsonl", &arena, &pairs, &n), MG_IO);
    assert_string_equal(mg_err_detail(), "open /nowhere/train.jsonl: No such file or directory");
    assert_int_equal(mg_preferences_read("/tmp", &arena, &rows, &n), MG_IO);
    assert_string_equal(mg_err_detail(), "read /tmp: Is a directory");
}

static void test_preferences_want_three_keys(void **state) {
    (void)state;
    mg_preference *rows;
    int64_t        n;
    put(GOOD, strlen(GOOD));
    assert_int_equal(mg_preferences_read(path, &arena, &rows, &n), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), ":1: chosen: found nothing"));
}

static void test_written_and_read(void **state) {
    (void)state;
    const mg_pair       pairs[] = {{"a\n\"\\\t\x01", "\xc3\xa9</script>"},
                                   {"", "\xf0\x9f\x98\x80"}};
    const mg_preference rows[]  = {{"p", "\r", "n"}, {"", "", ""}};
    mg_pair            *p;
    mg_preference      *r;
    int64_t             n;
    char               *text;
    size_t              size;
    assert_int_equal(mg_pairs_write(path, pairs, 2), MG_OK);
    assert_int_equal(mg_file_read(path, 4096, &arena, &text, &size), MG_OK);
    assert_string_equal(text, "{\"prompt\":\"a\\n\\\"\\\\\\t\\u0001\","
                              "\"completion\":\"\xc3\xa9</script>\"}\n"
                              "{\"prompt\":\"\",\"completion\":\"\xf0\x9f\x98\x80\"}\n");
    assert_int_equal(mg_pairs_read(path, &arena, &p, &n), MG_OK);
    assert_int_equal(n, 2);
    assert_pair(p[0], pairs[0].prompt, pairs[0].completion);
    assert_pair(p[1], pairs[1].prompt, pairs[1].completion);
    assert_int_equal(mg_preferences_write(path, rows, 2), MG_OK);
    assert_int_equal(mg_preferences_read(path, &arena, &r, &n), MG_OK);
    assert_int_equal(n, 2);
    assert_string_equal(r[0].prompt, "p");
    assert_string_equal(r[0].chosen, "\r");
    assert_string_equal(r[0].rejected, "n");

    // A text that is no text: the row is named and the old file stays.
    const mg_pair bad[] = {{"fine", "fine"}, {"fine", "\xff"}};
    assert_int_equal(mg_pairs_write(path, bad, 2), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), ": row 2: found bytes that are not UTF-8"));
    assert_int_equal(mg_preferences_read(path, &arena, &r, &n), MG_OK);
    assert_int_equal(mg_pairs_write("/nowhere/train.jsonl", pairs, 2), MG_IO);
}

static void test_conversations_written_and_read(void **state) {
    (void)state;
    const mg_exchange later[] = {{"then\n", "\xc3\xa9"}, {"", "end"}};
    const mg_pair     pairs[] = {
        {.prompt = "p", .completion = "c", .later = later, .n_later = 2},
        {.prompt = "p", .completion = "c"},
        {.prompt = "p", .completion = "", .placed = true, .item = -1, .seed = MG_SEED_MAX},
        {.prompt = "p", .completion = "c", .later = later, .n_later = 1, .placed = true, .item = 4}};
    mg_pair *p;
    int64_t  n;
    char    *text;
    size_t   size;
    if (mg_pairs_write(path, pairs, 4)) fail_msg("%s", mg_err_detail());
    assert_int_equal(mg_file_read(path, 4096, &arena, &text, &size), MG_OK);
    assert_string_equal(
        text,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"c\"},"
        "{\"role\":\"user\",\"content\":\"then\\n\"},{\"role\":\"assistant\",\"content\":\"\xc3\xa9\"},"
        "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"end\"}]}\n"
        "{\"prompt\":\"p\",\"completion\":\"c\"}\n"
        "{\"item\":-1,\"seed\":9007199254740991,\"messages\":[{\"role\":\"user\",\"content\":\"p\"},"
        "{\"role\":\"assistant\",\"content\":\"\"}]}\n"
        "{\"item\":4,\"seed\":0,\"messages\":[{\"role\":\"user\",\"content\":\"p\"},"
        "{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"user\",\"content\":\"then\\n\"},"
        "{\"role\":\"assistant\",\"content\":\"\xc3\xa9\"}]}\n");
    assert_int_equal(mg_pairs_read(path, &arena, &p, &n), MG_OK);
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++) {
        assert_pair(p[i], pairs[i].prompt, pairs[i].completion);
        assert_int_equal(p[i].n_later, pairs[i].n_later);
        for (int64_t k = 0; k < p[i].n_later; k++) {
            assert_string_equal(p[i].later[k].observation, later[k].observation);
            assert_string_equal(p[i].later[k].action, later[k].action);
        }
        assert_int_equal(p[i].placed, pairs[i].placed);
        assert_true(p[i].item == pairs[i].item && p[i].seed == pairs[i].seed);
    }
    // What no file can carry: the row is named and the old file stays.
    const mg_exchange odd  = {"\xff", "x"};
    mg_pair           bad[] = {pairs[0], {.prompt = "p", .completion = "c", .later = &odd, .n_later = 1}};
    assert_int_equal(mg_pairs_write(path, bad, 2), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), ": row 2: found bytes that are not UTF-8"));
    bad[1] = (mg_pair){.prompt = "p", .completion = "c", .placed = true, .seed = MG_SEED_MAX + 1};
    assert_int_equal(mg_pairs_write(path, bad, 2), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), ": row 2: found item 0 and seed 9007199254740992"));
    assert_int_equal(mg_pairs_read(path, &arena, &p, &n), MG_OK);
    assert_int_equal(n, 4);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pairs),
        TEST(test_line_ends),
        TEST(test_messages),
        TEST(test_further_keys_are_let_pass),
        TEST(test_many_rows),
        TEST(test_refusals),
        TEST(test_conversations),
        TEST(test_conversations_refused),
        TEST(test_conversations_written_and_read),
        TEST(test_empty),
        TEST(test_sizes),
        TEST(test_no_file),
        TEST(test_preferences_want_three_keys),
        TEST(test_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
