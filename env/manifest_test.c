// Goal:   a manifest says exactly what it says: all of it is read, nothing else is taken, and its
//         hash tells two that differ apart and no others.
// Method: a whole manifest read back field by field; one with each thing wrong; hashes of
//         rewritten forms; the hash of a canonical text by libcrypto.
#include "env/manifest.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char WHOLE[] =
    "{\"name\": \"shop\", \"version\": \"2\", \"determinism\": \"seeded\","
    " \"reward\": {\"min\": -1, \"max\": 1, \"resolution\": 0.25},"
    " \"actions\": [{\"name\": \"sell\", \"schema\": {\"required\": [\"n\"]}, \"effect\": "
    "\"mutating\","
    "   \"reads\": [\"stock/*\"], \"writes\": [\"stock/*\", \"till\"], \"idempotent\": true,"
    "   \"visibility_ms\": 30, \"timeout_ms\": 2000},"
    "  {\"name\": \"look\", \"effect\": \"pure\"}]}";

static mg_arena arena;

static int enter(void **state) {
    (void)state;
    return mg_arena_init(&arena, "manifest", 8 << 20);
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static mg_err read(const char *json, mg_manifest *m) {
    return mg_manifest_read(json, strlen(json), &arena, m);
}

static void everything_that_is_said_is_read(void **state) {
    (void)state;
    mg_manifest m;
    if (read(WHOLE, &m)) fail_msg("%s", mg_err_detail());
    assert_string_equal(m.name, "shop");
    assert_string_equal(m.version, "2");
    assert_int_equal(m.determinism, MG_SEEDED);
    assert_true(m.has_range && m.has_resolution);
    assert_true(m.min == -1 && m.max == 1 && m.resolution == 0.25);
    assert_int_equal(m.n_actions, 2);

    const mg_action_promise *look = mg_manifest_action(&m, "look"),
                            *sell = mg_manifest_action(&m, "sell");
    assert_ptr_equal(look, &m.actions[0]); // sorted by name
    assert_int_equal(look->effect, MG_EFFECT_PURE);
    assert_null(look->schema);
    assert_int_equal(look->n_reads + look->n_writes + look->visibility_ms + look->timeout_ms, 0);
    assert_int_equal(sell->effect, MG_EFFECT_MUTATING);
    assert_int_equal(mg_schema_check_text(sell->schema, "{\"n\": 1}", 8), MG_OK);
    assert_int_equal(mg_schema_check_text(sell->schema, "{}", 2), MG_MISMATCH);
    assert_int_equal(sell->n_reads, 1);
    assert_int_equal(sell->n_writes, 2);
    assert_string_equal(sell->reads[0], "stock/*");
    assert_string_equal(sell->writes[1], "till");
    assert_true(sell->idempotent && !look->idempotent);
    assert_int_equal(sell->visibility_ms, 30);
    assert_int_equal(sell->timeout_ms, 2000);
    assert_null(mg_manifest_action(&m, "loot"));
    assert_null(mg_manifest_action(&m, ""));
    mg_manifest_release(&m);
    assert_int_equal(m.n_actions, 0);
}

static void what_is_missing_is_unknown(void **state) {
    (void)state;
    mg_manifest m;
    assert_int_equal(read("{\"name\": \"x\"}", &m), MG_OK);
    assert_null(m.version);
    assert_int_equal(m.determinism, MG_DETERMINISM_UNKNOWN);
    assert_false(m.has_range || m.has_resolution);
    assert_null(mg_manifest_action(&m, "look"));
    mg_manifest_release(&m);
    assert_int_equal(
        read("{\"name\": \"x\", \"actions\": [{\"name\": \"a\"}], \"reward\": {}}", &m), MG_OK);
    assert_int_equal(m.actions[0].effect, MG_EFFECT_UNKNOWN);
    mg_manifest_release(&m);
}

// One thing wrong in each; the sentence has its path and what was found.
static void what_cannot_be_kept_to_is_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"", "line"},
        {"[]", "$: found an empty list, wanted an object"},
        {"{\"name\": \"x\"", "line 1"},
        {"{\"name\": \"x\", \"name\": \"y\"}", "duplicate"},
        {"{}", "$.name: found nothing, wanted a text"},
        {"{\"name\": \"\"}", "$.name: found ''"},
        {"{\"name\": 3}", "$.name: found 3"},
        {"{\"name\": \"x\", \"postconditions\": []}", "the key 'postconditions'"},
        {"{\"name\": \"x\", \"version\": 2}", "$.version: found 2, wanted a text"},
        {"{\"name\": \"x\", \"determinism\": \"yes\"}", "$.determinism: found 'yes'"},
        {"{\"name\": \"x\", \"reward\": 1}", "$.reward: found 1"},
        {"{\"name\": \"x\", \"reward\": {\"min\": 0}}",
         "$.reward.max: found nothing, wanted a number"},
        {"{\"name\": \"x\", \"reward\": {\"min\": 0, \"max\": \"1\"}}", "$.reward.max: found '1'"},
        {"{\"name\": \"x\", \"reward\": {\"min\": 2, \"max\": 1}}", "a min of at most max"},
        {"{\"name\": \"x\", \"reward\": {\"resolution\": 0}}", "a resolution above 0"},
        {"{\"name\": \"x\", \"reward\": {\"step\": 1}}", "$.reward: found the key 'step'"},
        {"{\"name\": \"x\", \"actions\": {}}", "$.actions: found an object"},
        {"{\"name\": \"x\", \"actions\": [3]}", "$.actions[0]: found 3"},
        {"{\"name\": \"x\", \"actions\": [{}]}", "$.actions[0].name: found nothing"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}",
         "found 'a' twice"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"effects\": \"pure\"}]}",
         "$.actions[0]: found the key 'effects'"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"effect\": \"none\"}]}",
         "$.actions[0].effect: found 'none'"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"effect\": \"pure\", \"writes\": "
         "[\"b\"]}]}",
         "no writes of an action that is pure"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"reads\": \"b\"}]}",
         "$.actions[0].reads"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"reads\": [\"b\", \"*b\"]}]}",
         "$.actions[0].reads[1]: found '*b'"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"writes\": [\"\"]}]}",
         "$.actions[0].writes[0]"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"idempotent\": 1}]}",
         "$.actions[0].idempotent"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"timeout_ms\": -1}]}",
         "$.actions[0].timeout_ms"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"timeout_ms\": 0.5}]}",
         "whole milliseconds"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"a\", \"visibility_ms\": \"1\"}]}",
         "visibility_ms"},
        {"{\"name\": \"x\", \"actions\": [{\"name\": \"b\", \"schema\": {}},"
         " {\"name\": \"a\", \"schema\": {\"format\": \"date\"}}]}",
         "action a: schema: $: found the keyword"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_manifest  m   = {.n_actions = 77};
        const mg_err err = read(bad[i][0], &m);
        if (err != MG_CORRUPT) fail_msg("%s: found %s", bad[i][0], mg_err_name(err));
        if (!strstr(mg_err_detail(), bad[i][1]))
            fail_msg("%s: found '%s', wanted '%s'", bad[i][0], mg_err_detail(), bad[i][1]);
        assert_int_equal(m.n_actions, 77); // untouched
    }
}

// A manifest of n actions, and the reads of the first repeated so often.
static mg_err read_many(int n, int reads, size_t padding) {
    char *text = mg_arena_alloc(&arena, 64 + 32 * (size_t)n + 8 * (size_t)reads + padding),
         *end = text;
    end += sprintf(end, "{\"name\": \"x\", \"actions\": [");
    for (int i = 0; i < n; i++) {
        end += sprintf(end, "%s{\"name\": \"a%d\"", i ? "," : "", i);
        for (int k = 0; i == 0 && k < reads; k++)
            end += sprintf(end, "%s\"k\"", k ? "," : ",\"reads\":[");
        end += sprintf(end, i == 0 && reads ? "]}" : "}");
    }
    end += sprintf(end, "]}");
    memset(end, ' ', padding);
    mg_manifest  m;
    const mg_err err = mg_manifest_read(text, (size_t)(end - text) + padding, &arena, &m);
    if (!err) mg_manifest_release(&m);
    return err;
}

static void sizes_have_limits(void **state) {
    (void)state;
    assert_int_equal(read_many(MG_MANIFEST_ACTIONS_MAX, 0, 0), MG_OK);
    assert_int_equal(read_many(MG_MANIFEST_ACTIONS_MAX + 1, 0, 0), MG_LIMIT);
    assert_int_equal(read_many(1, MG_MANIFEST_KEYS_MAX, 0), MG_OK);
    assert_int_equal(read_many(1, MG_MANIFEST_KEYS_MAX + 1, 0), MG_LIMIT);
    assert_int_equal(read_many(1, 0, MG_MANIFEST_SIZE_MAX), MG_LIMIT);
}

static void hash(const char *json, uint8_t out[32]) {
    if (mg_manifest_hash(json, strlen(json), out)) fail_msg("%s: %s", json, mg_err_detail());
}

static bool same_hash(const char *a, const char *b) {
    uint8_t x[32], y[32];
    hash(a, x), hash(b, y);
    return memcmp(x, y, 32) == 0;
}

static void a_hash_is_of_what_is_said_and_not_of_how(void **state) {
    (void)state;
    const char *base = "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":1},\"actions\":[{\"name\":"
                       "\"a\"},{\"name\":\"b\"}]}";
    assert_true(same_hash(
        base, "{ \"reward\": {\"max\": 1.0, \"min\": 0.0},\n \"actions\": [{\"name\": \"b\"},"
              " {\"name\": \"a\"}], \"name\": \"\\u0078\" }"));
    static const char *const others[] = {
        "{\"name\":\"y\",\"reward\":{\"min\":0,\"max\":1},\"actions\":[{\"name\":\"a\"},{\"name\":"
        "\"b\"}]}",
        "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":2},\"actions\":[{\"name\":\"a\"},{\"name\":"
        "\"b\"}]}",
        "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":1},\"actions\":[{\"name\":\"a\"}]}",
        "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":1},\"actions\":[{\"name\":\"a\"},{\"name\":"
        "\"c\"}]}",
        "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":1},\"actions\":[{\"name\":\"a\",\"timeout_"
        "ms\":1},{\"name\":\"b\"}]}",
        "{\"name\":\"x\",\"reward\":{\"min\":0,\"max\":1.0000000000000002},\"actions\":[{\"name\":"
        "\"a\"},{\"name\":\"b\"}]}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(same_hash(base, others[i]));

    // By hand: keys and actions in order, numbers as jansson writes reals.
    static const char canonical[] = "{\"actions\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"name\":"
                                    "\"x\",\"reward\":{\"max\":1.0,\"min\":0.0}}";
    uint8_t wanted[32], found[32];
    SHA256((const uint8_t *)canonical, sizeof canonical - 1, wanted);
    hash(base, found);
    assert_memory_equal(found, wanted, 32);

    mg_manifest m;
    assert_int_equal(read(base, &m), MG_OK);
    assert_memory_equal(m.hash, wanted, 32);
    mg_manifest_release(&m);
}

static void a_hash_needs_json_and_no_more(void **state) {
    (void)state;
    uint8_t out[32];
    hash("{\"whatever\": [1]}", out);
    hash("{\"actions\": [{\"name\": \"b\"}, 3]}", out);
    assert_false(same_hash("{\"actions\": [{\"name\": \"b\"}, 3]}",
                           "{\"actions\": [3, {\"name\": \"b\"}]}"));
    assert_int_equal(mg_manifest_hash("{", 1, out), MG_CORRUPT);
}

static void a_pattern_is_a_key_or_the_beginning_of_keys(void **state) {
    (void)state;
    assert_true(mg_key_matches("order/*", "order/17"));
    assert_true(mg_key_matches("order/*", "order/"));
    assert_false(mg_key_matches("order/*", "order"));
    assert_false(mg_key_matches("order/*", "orders/17"));
    assert_true(mg_key_matches("till", "till"));
    assert_false(mg_key_matches("till", "till/1"));
    assert_false(mg_key_matches("till", "til"));
    assert_true(mg_key_matches("*", ""));
    assert_true(mg_key_matches("*", "anything"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_said_is_read),
        cmocka_unit_test(what_is_missing_is_unknown),
        cmocka_unit_test(what_cannot_be_kept_to_is_refused),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(a_hash_is_of_what_is_said_and_not_of_how),
        cmocka_unit_test(a_hash_needs_json_and_no_more),
        cmocka_unit_test(a_pattern_is_a_key_or_the_beginning_of_keys),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
