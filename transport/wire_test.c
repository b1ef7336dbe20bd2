// Goal:   a line says exactly what it says; what is missing, strange or of the wrong type is
// refused by
//         name, and a reward that is no number never becomes one.
#include "transport/wire.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static mg_wire_answer read_line(const char *line, mg_wire_call call) {
    mg_wire_answer a = {0};
    if (mg_wire_read(line, strlen(line), call, &a)) fail_msg("%s: %s", line, mg_err_detail());
    return a;
}

static void ids_and_nonces_that_are_none_read_as_zero(void **state) {
    (void)state;
    const struct {
        const char *line;
        uint64_t    id, nonce;
    } rows[] = {{"{\"id\":7,\"nonce\":\"00000000000000ff\"}", 7, 255},
                {"{\"id\":7,\"nonce\":\"FFFFFFFFFFFFFFFF\"}", 7, UINT64_MAX},
                {"{\"id\":-7,\"nonce\":\"\"}", 0, 0},
                {"{\"id\":7.0,\"nonce\":255}", 0, 0},
                {"{\"id\":\"7\",\"nonce\":\"0x0f\"}", 0, 0},
                {"{\"id\":9223372036854775808,\"nonce\":\"12345678901234567\"}", 0, 0},
                {"{\"id\":7,\"nonce\":\"ff\\u0000\"}", 7, 0},
                {"{}", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_wire_answer a = read_line(rows[i].line, MG_WIRE_STEP);
        assert_true(a.id == rows[i].id && a.nonce == rows[i].nonce);
        assert_int_equal(a.code, MG_CODE_NONE);
        mg_wire_release(&a);
        mg_wire_release(&a);
    }
}

static void lines_that_are_no_message_are_refused_with_what_was_seen(void **state) {
    (void)state;
    const struct {
        const char *line, *words;
    } rows[] = {{"", "found the line ''"},
                {"Loading", "found the line 'Loading'"},
                {"[]", "wanted a JSON object"},
                {"7", "wanted a JSON object"},
                {"{\"a\":1,\"a\":2}", "duplicate"},
                {"{\"a\":\"\xff\"}", "unable to decode"},
                {"{\"a\":1} {\"b\":2}", "end of file expected"},
                {"{\"a\":nan}", "found the line"},
                {"{\"a\":01}", "found the line"},
                {"{\"a\":--1}", "found the line"},
                {"{\"error\":5}", "\"error\": found 5, wanted a sentence"},
                {"{\"error\":\"x\",\"code\":\"E.bogus\"}", "found \"E.bogus\""},
                {"{\"error\":\"x\",\"code\":\"M.wrong\"}", "found \"M.wrong\""},
                {"{\"error\":\"x\",\"code\":\"H.desync\"}", "found \"H.desync\""},
                {"{\"error\":\"x\",\"code\":3}", "found 3, wanted a text"},
                {"{\"error\":\"x\",\"reward\":1}", "found key \"reward\""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_wire_answer a = {0};
        assert_int_equal(mg_wire_read(rows[i].line, strlen(rows[i].line), MG_WIRE_STEP, &a),
                         MG_CORRUPT);
        if (!strstr(mg_err_detail(), rows[i].words))
            fail_msg("%s: %s", rows[i].line, mg_err_detail());
        assert_null(a.root);
    }
}

static void a_typed_failure_has_a_code_its_own_or_the_calls(void **state) {
    (void)state;
    const struct {
        const char  *line;
        mg_wire_call call;
        mg_code      code;
    } rows[] = {{"{\"error\":\"full\",\"code\":\"E.capacity\"}", MG_WIRE_RESET, MG_E_CAPACITY},
                {"{\"error\":\"full\",\"code\":\"S.sandbox\"}", MG_WIRE_STEP, MG_S_SANDBOX},
                {"{\"error\":\"full\",\"code\":null}", MG_WIRE_RESET, MG_E_RESET},
                {"{\"error\":\"full\"}", MG_WIRE_RESET, MG_E_RESET},
                {"{\"error\":\"full\"}", MG_WIRE_STEP, MG_E_STEP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_wire_answer a = read_line(rows[i].line, rows[i].call);
        assert_int_equal(a.code, rows[i].code);
        assert_string_equal(a.error, "full");
        mg_wire_release(&a);
    }
}

// The text of a step's answer with that reward (NULL: none) and that evidence (NULL: none).
static const char *step_line(const char *reward, const char *evidence) {
    static char line[2048];
    snprintf(line, sizeof line,
             "{\"observation\":\"seen\"%s%s,\"terminated\":true,\"truncated\":false%s%s}",
             reward ? ",\"reward\":" : "", reward ? reward : "", evidence ? ",\"evidence\":" : "",
             evidence ? evidence : "");
    return line;
}

static const mg_space text_space = {.kind = MG_SPACE_TEXT, .n = 10};

static mg_err shown_of(const char *line, const mg_space *space, float *vector, mg_wire_answer *a,
                       mg_wire_shown *s) {
    *a = read_line(line, MG_WIRE_STEP);
    return mg_wire_shown_read(a, MG_WIRE_STEP, space, vector, s);
}

static void a_reward_is_a_number_or_none(void **state) {
    (void)state;
    const struct {
        const char    *text;
        mg_reward_kind kind;
        double         value;
    } rows[] = {
        {"0.1", MG_REWARD_VALUE, 0.1},
        {"-0.0", MG_REWARD_VALUE, -0.0},
        {"1", MG_REWARD_VALUE, 1},
        {"-9223372036854775808", MG_REWARD_VALUE, -0x1p63},
        {"9223372036854775808", MG_REWARD_VALUE, 0x1p63},
        {"-123456789012345678901234567890", MG_REWARD_VALUE, -123456789012345678901234567890.0},
        {"4.9e-324", MG_REWARD_VALUE, 4.9e-324},
        {"1e-999", MG_REWARD_VALUE, 0}, // the nearest double, as IEEE 754 rounds
        {"1.7976931348623157e308", MG_REWARD_VALUE, 1.7976931348623157e308},
        {"1.8e308", MG_REWARD_INVALID, 0},
        {"-1e999", MG_REWARD_INVALID, 0},
        {"NaN", MG_REWARD_INVALID, 0},
        {"Infinity", MG_REWARD_INVALID, 0},
        {"-Infinity", MG_REWARD_INVALID, 0},
        {"\"NaN\"", MG_REWARD_INVALID, 0},
        {"\"0.5\"", MG_REWARD_INVALID, 0},
        {"\"\"", MG_REWARD_INVALID, 0},
        {"true", MG_REWARD_INVALID, 0},
        {"false", MG_REWARD_INVALID, 0},
        {"[0.5]", MG_REWARD_INVALID, 0},
        {"{\"value\":0.5}", MG_REWARD_INVALID, 0},
        {"null", MG_REWARD_ABSENT, 0},
        {NULL, MG_REWARD_ABSENT, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_wire_answer a;
        mg_wire_shown  s;
        if (shown_of(step_line(rows[i].text, NULL), &text_space, NULL, &a, &s))
            fail_msg("%s: %s", rows[i].text, mg_err_detail());
        const mg_reward *r = &s.transition.reward;
        if (r->kind != rows[i].kind) fail_msg("%s: found kind %d", rows[i].text, (int)r->kind);
        if (r->kind == MG_REWARD_VALUE)
            assert_memory_equal(&r->value, &rows[i].value, sizeof r->value);
        if (r->kind != MG_REWARD_VALUE) assert_non_null(r->reason);
        assert_true(s.transition.terminated && !s.transition.truncated);
        assert_memory_equal(s.transition.observation.text, "seen", 4);
        mg_wire_shown_release(&s);
        mg_wire_release(&a);
    }
}

static void numbers_that_are_none_are_mended_outside_of_texts_alone(void **state) {
    (void)state;
    mg_wire_answer a;
    mg_wire_shown  s;
    const mg_space wide = {.kind = MG_SPACE_TEXT, .n = 100};
    const char *line =
        "{\"observation\":\"a \\\"NaN\\\" \\\\\",\"info\":[NaN,-Infinity,[1e999]],\"reward\":NaN,"
        "\"terminated\":false,\"truncated\":true}";
    assert_int_equal(shown_of(line, &wide, NULL, &a, &s), MG_OK);
    assert_int_equal(s.transition.observation.size, 9);
    assert_memory_equal(s.transition.observation.text, "a \"NaN\" \\", 9);
    assert_int_equal(s.transition.reward.kind, MG_REWARD_INVALID);
    assert_true(s.transition.truncated);
    mg_wire_shown_release(&s);
    mg_wire_release(&a);
}

static void a_step_without_one_of_its_parts_is_refused_by_name(void **state) {
    (void)state;
    const struct {
        const char *line, *words;
        mg_err      err;
    } rows[] = {
        {"{\"observation\":\"a\",\"truncated\":false}", "\"terminated\": found nothing",
         MG_CORRUPT},
        {"{\"observation\":\"a\",\"terminated\":false}", "\"truncated\": found nothing",
         MG_CORRUPT},
        {"{\"observation\":\"a\",\"terminated\":0,\"truncated\":false}", "\"terminated\": found 0",
         MG_CORRUPT},
        {"{\"terminated\":false,\"truncated\":false}", "\"observation\": found nothing",
         MG_MISMATCH},
        {"{\"observation\":null,\"terminated\":false,\"truncated\":false}", "found null",
         MG_MISMATCH},
        {"{\"observation\":\"12345678901\",\"terminated\":false,\"truncated\":false}",
         "at most 10 bytes", MG_MISMATCH},
        {"{\"observation\":\"a\",\"terminated\":false,\"truncated\":false,\"done\":true}",
         "found key \"done\"", MG_CORRUPT},
        {"{\"observation\":\"a\",\"terminated\":false,\"truncated\":false,\"digest\":\"ab\"}",
         "64 hex digits", MG_CORRUPT},
        {"{\"observation\":\"a\",\"terminated\":false,\"truncated\":false,\"manifest_hash\":1}",
         "\"manifest_hash\": found 1", MG_CORRUPT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_wire_answer a;
        mg_wire_shown  s;
        assert_int_equal(shown_of(rows[i].line, &text_space, NULL, &a, &s), rows[i].err);
        if (!strstr(mg_err_detail(), rows[i].words))
            fail_msg("%s: %s", rows[i].line, mg_err_detail());
        mg_wire_release(&a);
    }
}

static void evidence_is_read_whole_or_refused(void **state) {
    (void)state;
    mg_wire_answer a;
    mg_wire_shown  s;
    assert_int_equal(
        shown_of(
            step_line(
                "1",
                "{\"action\":\"settle\",\"arguments\":{\"b\":1,\"a\":[]},\"status\":"
                "\"timeout\",\"error\":\"late\",\"took_ns\":5,\"conditions\":3,"
                "\"held\":2,\"owed\":\"much\",\"touched\":[{\"key\":\"k\",\"wrote\":"
                "true,\"before\":{\"y\":1,\"x\":2},\"after\":{\"x\":2,\"y\":1}},"
                "{\"key\":\"l\",\"wrote\":false,\"shown\":1,\"before\":\"1\",\"after\":null}]}"),
            &text_space, NULL, &a, &s),
        MG_OK);
    const mg_evidence *e = &s.transition.evidence;
    assert_string_equal(e->action, "settle");
    assert_string_equal(e->arguments, "{\"a\":[],\"b\":1}");
    assert_int_equal(e->status, MG_STATUS_TIMEOUT);
    assert_string_equal(e->error, "late");
    assert_true(e->took_ns == 5 && e->conditions == 3 && e->held == 2 && e->n_touched == 2);
    assert_int_equal(e->owed.kind, MG_REWARD_INVALID);
    assert_true(e->touched[0].before == e->touched[0].after &&
                e->touched[0].before != 0);                            // keys in any order
    assert_true(e->touched[0].shown == 0 && e->touched[1].after == 0); // not known
    assert_true(e->touched[1].shown != e->touched[1].before);          // 1 is not "1"
    mg_wire_shown_release(&s);
    mg_wire_release(&a);

    const char *const bad[][2] = {
        {"[]", "\"evidence\": found []"},
        {"{\"acton\":\"x\"}", "found key \"acton\""},
        {"{\"action\":1}", "\"action\": found 1"},
        {"{\"action\":\"a\\u0000b\"}", "\"action\": found"},
        {"{\"status\":\"OK\"}", "\"status\": found \"OK\""},
        {"{\"took_ns\":-1}", "\"took_ns\": found -1"},
        {"{\"took_ns\":1.5}", "\"took_ns\": found 1.5"},
        {"{\"conditions\":2}", "\"held\": found nothing"},
        {"{\"conditions\":2,\"held\":3}", "\"held\": found 3, wanted an integer in 0..2"},
        {"{\"held\":1}", "\"held\": found 1"},
        {"{\"conditions\":3000000000}", "\"conditions\": found 3000000000"},
        {"{\"arguments\":\"{}\"}", "\"arguments\": found"},
        {"{\"touched\":{}}", "\"touched\""},
        {"{\"touched\":[1]}", "\"touched\": found 1"},
        {"{\"touched\":[{\"key\":\"\",\"wrote\":true}]}", "\"key\": found \"\""},
        {"{\"touched\":[{\"wrote\":true}]}", "\"key\": found nothing"},
        {"{\"touched\":[{\"key\":\"k\"}]}", "\"wrote\": found nothing"},
        {"{\"touched\":[{\"key\":\"k\",\"wrote\":true,\"befor\":1}]}", "\"befor\""}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(shown_of(step_line("1", bad[i][0]), &text_space, NULL, &a, &s),
                         MG_CORRUPT);
        if (!strstr(mg_err_detail(), bad[i][1])) fail_msg("%s: %s", bad[i][0], mg_err_detail());
        mg_wire_release(&a);
    }
}

static void observations_are_of_their_space(void **state) {
    (void)state;
    const mg_space vector = {.kind = MG_SPACE_VECTOR, .n = 2, .low = -HUGE_VAL, .high = HUGE_VAL},
                   unit = {.kind = MG_SPACE_VECTOR, .n = 1, .low = 0, .high = 0.1},
                   discrete = {.kind = MG_SPACE_DISCRETE, .n = 4};
    const struct {
        const char     *text;
        const mg_space *space;
        bool            good;
    } rows[] = {
        {"[1,-2.5]", &vector, true},  {"[1]", &vector, false},      {"[1,2,3]", &vector, false},
        {"[1,NaN]", &vector, false},  {"[1,1e39]", &vector, false}, {"[1,\"2\"]", &vector, false},
        {"[1,null]", &vector, false}, {"\"12\"", &vector, false},   {"3", &discrete, true},
        {"4", &discrete, false},      {"-1", &discrete, false},     {"1.0", &discrete, false},
        {"true", &discrete, false},   {"[0.1]", &unit, true},       {"[0.11]", &unit, false},
        {"[-1e-9]", &unit, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char           line[200];
        float          numbers[2] = {0};
        mg_wire_answer a;
        mg_wire_shown  s;
        snprintf(line, sizeof line, "{\"observation\":%s,\"terminated\":false,\"truncated\":false}",
                 rows[i].text);
        const mg_err err = shown_of(line, rows[i].space, numbers, &a, &s);
        if (err != (rows[i].good ? MG_OK : MG_MISMATCH)) fail_msg("%s: %d", rows[i].text, (int)err);
        if (i == 0)
            assert_true(numbers[0] == 1 && numbers[1] == -2.5f &&
                        s.transition.observation.vector == numbers);
        if (i == 8) assert_int_equal(s.transition.observation.index, 3);
        mg_wire_release(&a);
    }
}

static void a_hello_is_read_whole_or_refused(void **state) {
    (void)state;
    mg_wire_hello  h;
    mg_wire_answer a =
        read_line("{\"manifest\":{\"version\":\"1\",\"name\":\"x\"},\"observation\":{\"vector\":3,"
                  "\"low\":-1,\"high\":2},\"action\":{\"discrete\":4},\"steps_max\":9,\"items\":2,"
                  "\"digests\":true,\"resets\":true,\"manifest_hash\":\"m\"}",
                  MG_WIRE_HELLO);
    assert_int_equal(mg_wire_hello_read(&a, &h), MG_OK);
    assert_string_equal(h.name, "x");
    assert_string_equal(h.manifest, "{\"name\":\"x\",\"version\":\"1\"}");
    assert_string_equal(h.manifest_hash, "m");
    assert_true(h.observation.kind == MG_SPACE_VECTOR && h.observation.n == 3 &&
                h.observation.low == -1 && h.observation.high == 2);
    assert_true(h.action.kind == MG_SPACE_DISCRETE && h.action.n == 4 && h.steps_max == 9 &&
                h.items == 2);
    assert_true(h.digests && h.resets && !h.snapshots && !h.admissible);
    mg_wire_hello_release(&h);
    mg_wire_release(&a);

    const char *const bad[][2] = {
        {"{\"action\":\"text\",\"steps_max\":1}", "\"observation\": found nothing"},
        {"{\"observation\":\"txt\",\"action\":\"text\",\"steps_max\":1}",
         "\"observation\": found \"txt\""},
        {"{\"observation\":{\"vector\":0},\"action\":\"text\",\"steps_max\":1}",
         "\"vector\": found 0"},
        {"{\"observation\":{\"vector\":2,\"hi\":1},\"action\":\"text\",\"steps_max\":1}", "\"hi\""},
        {"{\"observation\":{\"vector\":2,\"low\":1,\"high\":0},\"action\":\"text\",\"steps_max\":"
         "1}",
         "low"},
        {"{\"observation\":\"text\",\"action\":\"text\"}", "\"steps_max\": found nothing"},
        {"{\"observation\":\"text\",\"action\":\"text\",\"steps_max\":0}",
         "\"steps_max\": found 0"},
        {"{\"observation\":\"text\",\"action\":\"text\",\"steps_max\":1,\"items\":1099511627776}",
         "\"items\": found 1099511627776, wanted an integer in 1..16777216"},
        {"{\"observation\":\"text\",\"action\":\"text\",\"steps_max\":1,\"resets\":1}",
         "\"resets\": found 1"},
        {"{\"observation\":\"text\",\"action\":\"text\",\"steps_max\":1,\"snapshots\":true}",
         "\"digests\" beside it"},
        {"{\"observation\":\"text\",\"action\":\"text\",\"steps_max\":1,\"manifest\":[]}",
         "\"manifest\": found []"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        a = read_line(bad[i][0], MG_WIRE_HELLO);
        assert_int_equal(mg_wire_hello_read(&a, &h), MG_CORRUPT);
        if (!strstr(mg_err_detail(), bad[i][1])) fail_msg("%s: %s", bad[i][0], mg_err_detail());
        mg_wire_release(&a);
    }
}

static char *request(const mg_wire_request *r) {
    char  *line;
    size_t size;
    if (mg_wire_write(r, &line, &size)) fail_msg("%s", mg_err_detail());
    assert_int_equal(line[size - 1], '\n');
    assert_null(memchr(line, '\n', size - 1));
    for (size_t i = 0; i < size; i++) assert_true((unsigned char)line[i] < 0x80);
    line[size - 1] = 0;
    return line;
}

static void requests_are_written_as_documented(void **state) {
    (void)state;
    const mg_reset_options o   = {.item = 3, .prefix = "a\nb", .prefix_size = 3};
    const mg_value say = {
        .kind = MG_SPACE_TEXT, .text = "x\x00\"\xc3\xa9\xe2\x82\xff", .size = 8, .open = true};
    const float            numbers[2] = {0.5f, -0.0f};
    const mg_value act = {.kind = MG_SPACE_VECTOR, .vector = numbers},
                   pick = {.kind = MG_SPACE_DISCRETE, .index = 2};
    const mg_space         two = {.kind = MG_SPACE_VECTOR, .n = 2};
    const struct {
        mg_wire_request r;
        const char     *line;
    } rows[] = {
        {{.call = MG_WIRE_HELLO, .id = 1, .nonce = 255},
         "{\"id\":1,\"nonce\":\"00000000000000ff\",\"call\":\"hello\"}"},
        {{.call = MG_WIRE_RESET,
          .id = 2,
          .nonce = 1,
          .seed = UINT64_MAX,
          .options = &o,
          .now_ns = 4},
         "{\"id\":2,\"nonce\":\"0000000000000001\",\"call\":\"reset\",\"seed\":9223372036854775807,"
         "\"item\":3,"
         "\"now_ns\":4,\"prefix\":\"a\\nb\"}"},
        // the two bytes of a character that breaks off, and one that begins none, are U+FFFD each
        {{.call = MG_WIRE_STEP, .id = 3, .nonce = 1, .action = &say},
         "{\"id\":3,\"nonce\":\"0000000000000001\",\"call\":\"step\",\"action\":"
         "\"x\\u0000\\\"\\u00E9\\uFFFD\\uFFFD\\uFFFD\",\"open\":true,\"now_ns\":0}"},
        {{.call = MG_WIRE_STEP, .id = 3, .nonce = 1, .action = &act, .space = &two},
         "{\"id\":3,\"nonce\":\"0000000000000001\",\"call\":\"step\",\"action\":[0.5,-0.0],\"now_"
         "ns\":0}"},
        {{.call = MG_WIRE_STEP, .id = 3, .nonce = 1, .action = &pick},
         "{\"id\":3,\"nonce\":\"0000000000000001\",\"call\":\"step\",\"action\":2,\"now_ns\":0}"},
        {{.call = MG_WIRE_RESTORE, .id = 4, .nonce = 1, .bytes = "[1,{}]", .n_bytes = 6},
         "{\"id\":4,\"nonce\":\"0000000000000001\",\"call\":\"restore\",\"snapshot\":[1,{}]}"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *line = request(&rows[i].r);
        assert_string_equal(line, rows[i].line);
        free(line);
    }
}

static void what_cannot_be_sent_is_refused(void **state) {
    (void)state;
    const float    numbers[2] = {0.5f, NAN};
    const mg_value act        = {.kind = MG_SPACE_VECTOR, .vector = numbers};
    const mg_space two        = {.kind = MG_SPACE_VECTOR, .n = 2};
    char          *line;
    size_t         size;
    mg_wire_request r = {.call = MG_WIRE_STEP, .id = 1, .nonce = 1, .action = &act, .space = &two};
    assert_int_equal(mg_wire_write(&r, &line, &size), MG_NUMERIC);
    r = (mg_wire_request){.call = MG_WIRE_RESTORE, .id = 1, .nonce = 1, .bytes = "{", .n_bytes = 1};
    assert_int_equal(mg_wire_write(&r, &line, &size), MG_CORRUPT);
    char          *text = calloc(1, MG_WIRE_LINE_MAX);
    const mg_value long_text = {.kind = MG_SPACE_TEXT,
                                .text = memset(text, 'a', MG_WIRE_LINE_MAX),
                                .size = MG_WIRE_LINE_MAX};
    r = (mg_wire_request){.call = MG_WIRE_STEP, .id = 1, .nonce = 1, .action = &long_text};
    assert_int_equal(mg_wire_write(&r, &line, &size), MG_LIMIT);
    free(text);
}

static void lists_of_actions_and_snapshots_are_read_whole_or_refused(void **state) {
    (void)state;
    const char   **actions;
    int64_t        n;
    char          *bytes;
    size_t         size;
    uint8_t        digest[32];
    mg_wire_answer a = read_line("{\"actions\":[\"b\",\"a\"]}", MG_WIRE_ADMISSIBLE);
    assert_int_equal(mg_wire_admissible_read(&a, &actions, &n), MG_OK);
    assert_int_equal(n, 2);
    assert_string_equal(actions[0], "b");
    free(actions);
    mg_wire_release(&a);
    a = read_line("{\"actions\":[\"b\",1]}", MG_WIRE_ADMISSIBLE);
    assert_int_equal(mg_wire_admissible_read(&a, &actions, &n), MG_CORRUPT);
    mg_wire_release(&a);
    a = read_line("{\"snapshot\":{\"b\":0.1,\"a\":null}}", MG_WIRE_SNAPSHOT);
    assert_int_equal(mg_wire_snapshot_read(&a, &bytes, &size), MG_OK);
    assert_int_equal(size, strlen("{\"a\":null,\"b\":0.10000000000000001}"));
    assert_memory_equal(bytes, "{\"a\":null,\"b\":0.10000000000000001}", size);
    free(bytes);
    assert_int_equal(mg_wire_admissible_read(&a, &actions, &n), MG_CORRUPT);
    assert_int_equal(mg_wire_digest_read(&a, digest), MG_CORRUPT);
    mg_wire_release(&a);
}

static void *no_memory(size_t size) {
    (void)size;
    return NULL;
}

// What could not be copied was said all the same.
static void want_of_memory_is_no_silence(void **state) {
    (void)state;
    mg_wire_hello  h;
    mg_wire_shown  s;
    mg_wire_answer hello = read_line("{\"manifest\":{\"name\":\"x\"},\"observation\":\"text\",\"action\":\"text\","
                                     "\"steps_max\":1,\"manifest_hash\":\"m\"}",
                                     MG_WIRE_HELLO);
    mg_wire_answer step  = read_line(step_line("1", "{\"action\":\"x\",\"arguments\":{\"a\":1}}"), MG_WIRE_STEP);
    json_set_alloc_funcs(no_memory, free);
    const mg_err of_hello = mg_wire_hello_read(&hello, &h);
    const mg_err of_step  = mg_wire_shown_read(&step, MG_WIRE_STEP, &text_space, NULL, &s);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(of_hello, MG_NOMEM);
    assert_int_equal(of_step, MG_NOMEM);
    mg_wire_shown_release(&s);
    mg_wire_release(&hello);
    mg_wire_release(&step);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_nonces_that_are_none_read_as_zero),
        cmocka_unit_test(lines_that_are_no_message_are_refused_with_what_was_seen),
        cmocka_unit_test(a_typed_failure_has_a_code_its_own_or_the_calls),
        cmocka_unit_test(a_reward_is_a_number_or_none),
        cmocka_unit_test(numbers_that_are_none_are_mended_outside_of_texts_alone),
        cmocka_unit_test(a_step_without_one_of_its_parts_is_refused_by_name),
        cmocka_unit_test(evidence_is_read_whole_or_refused),
        cmocka_unit_test(observations_are_of_their_space),
        cmocka_unit_test(a_hello_is_read_whole_or_refused),
        cmocka_unit_test(want_of_memory_is_no_silence),
        cmocka_unit_test(requests_are_written_as_documented),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(lists_of_actions_and_snapshots_are_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
