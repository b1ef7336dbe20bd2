// Goal:   a value is taken exactly where draft 2020-12 takes it, and what is refused is named by
//         its path.
// Method: pairs of schema and value with the draft's own answer (validation sections 6 and 10 of
//         the core); schemas that must not be read; a pattern that would never end.
#include "env/schema.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static mg_err read_schema(const char *text, mg_schema **out) {
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!json) fail_msg("the test's schema is no JSON: %s", text);
    mg_err err = mg_schema_new(out, json);
    json_decref(json);
    return err;
}

static mg_err check(const char *schema, const char *value) {
    mg_schema *s;
    if (read_schema(schema, &s)) fail_msg("%s: %s", schema, mg_err_detail());
    mg_err err = mg_schema_check_text(s, value, strlen(value));
    mg_schema_free(s);
    return err;
}

static void taken(const char *schema, const char *value) {
    if (check(schema, value)) fail_msg("%s of %s: %s", value, schema, mg_err_detail());
}

// The sentence says why.
static void refused(const char *schema, const char *value, const char *why) {
    const mg_err err = check(schema, value);
    if (err != MG_MISMATCH) fail_msg("%s of %s: found %s", value, schema, mg_err_name(err));
    if (!strstr(mg_err_detail(), why))
        fail_msg("%s of %s: found '%s', wanted '%s'", value, schema, mg_err_detail(), why);
}

static void types_are_the_seven_of_json_schema(void **state) {
    (void)state;
    static const char *const names[] = {"null",   "boolean", "object", "array",
                                        "number", "string",  "integer"};
    static const char *const values[] = {"null", "true", "{}", "[]", "1.5", "\"1\"", "2"};
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 7; k++) {
            char schema[64];
            snprintf(schema, sizeof schema, "{\"type\": \"%s\"}", names[i]);
            if (i == k || (i == 4 && k == 6)) taken(schema, values[k]);
            else refused(schema, values[k], names[i]);
        }
    taken("{\"type\": \"integer\"}", "1.0");
    taken("{\"type\": \"integer\"}", "1e3");
    taken("{\"type\": [\"string\", \"null\"]}", "null");
    refused("{\"type\": [\"string\", \"null\"]}", "3", "null or string");
    taken("true", "[1]");
    refused("false", "1", "nothing");
    taken("{}", "{\"a\": [null]}");
}

static void numbers_keep_their_bounds(void **state) {
    (void)state;
    taken("{\"minimum\": 3}", "3");
    refused("{\"minimum\": 3}", "2.999", "minimum 3");
    taken("{\"maximum\": 3}", "3");
    refused("{\"maximum\": 3}", "3.001", "maximum 3");
    refused("{\"exclusiveMinimum\": 3}", "3", "exclusiveMinimum 3");
    taken("{\"exclusiveMinimum\": 3}", "3.1");
    refused("{\"exclusiveMaximum\": 3}", "3", "exclusiveMaximum 3");
    taken("{\"exclusiveMaximum\": 3}", "2.9");
    taken("{\"multipleOf\": 0.1}", "0.3");
    taken("{\"multipleOf\": 0.01}", "19.99");
    refused("{\"multipleOf\": 2}", "7", "multipleOf 2");
    taken("{\"minimum\": 0, \"maximum\": 0}", "-0.0");
    taken("{\"minimum\": 3}", "\"1\""); // says nothing of texts
}

static void texts_are_measured_in_code_points(void **state) {
    (void)state;
    taken("{\"minLength\": 2, \"maxLength\": 2}", "\"\\u00e9\\ud83d\\ude00\"");
    refused("{\"minLength\": 3}", "\"\\u00e9\\ud83d\\ude00\"", "minLength 3");
    refused("{\"maxLength\": 1}", "\"\\u00e9\\ud83d\\ude00\"", "maxLength 1");
    taken("{\"pattern\": \"b+\"}", "\"abbc\"");
    refused("{\"pattern\": \"^b+$\"}", "\"abbc\"", "pattern");
    taken("{\"pattern\": \"^\\\\d{3}-.$\"}", "\"123-\\u00e9\"");
    taken("{\"pattern\": \"b\"}", "7");
}

static void a_pattern_that_would_never_end_is_refused(void **state) {
    (void)state;
    refused("{\"pattern\": \"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"",
            "pattern");
    // It would match in the end, after a million steps; and does at once where there are few.
    refused("{\"pattern\": \"^(a+)+$|^a+b$\"}", "\"aaaaaaaaaaaaaaaaaaaab\"", "pattern");
    taken("{\"pattern\": \"^(a+)+$|^a+b$\"}", "\"aaaab\"");
    // Nor does anything follow from what was not decided.
    const char *endless = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"";
    refused("{\"not\": {\"pattern\": \"^(a+)+$\"}}", endless, "pattern");
    taken("{\"not\": {\"pattern\": \"^(a+)+$\"}}", "\"aab\"");
    refused("{\"not\": {\"items\": {\"anyOf\": [{\"pattern\": \"^(a+)+$\"}]}}}",
            "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"]", "$[0]: found");
    refused("{\"oneOf\": [{\"pattern\": \"^(a+)+$\"}, {\"pattern\": \"b$\"}]}", endless, "steps");
}

static void lists_and_objects_keep_their_rules(void **state) {
    (void)state;
    const char *order = "{\"type\": \"object\", \"properties\": {\"id\": {\"type\": \"integer\"},"
                        " \"lines\": {\"items\": {\"properties\": {\"n\": {\"minimum\": 1}}}}},"
                        " \"required\": [\"id\"], \"additionalProperties\": false}";
    taken(order, "{\"id\": 4, \"lines\": [{\"n\": 1}, {}]}");
    refused(order, "{\"lines\": []}", "$.id: found nothing");
    refused(order, "{\"id\": \"4\"}", "$.id: found '4', wanted integer");
    refused(order, "{\"id\": 4, \"lines\": [{\"n\": 1}, {\"n\": 0}]}",
            "$.lines[1].n: found 0, wanted minimum 1");
    refused(order, "{\"id\": 4, \"why\": 1}", "$.why: found 1, wanted nothing");
    taken("{\"additionalProperties\": {\"type\": \"string\"}}", "{\"a\": \"b\"}");
    refused("{\"additionalProperties\": {\"type\": \"string\"}}", "{\"a\": 1}", "$.a");
    refused("{\"minItems\": 2}", "[1]", "minItems 2");
    taken("{\"minItems\": 2, \"maxItems\": 2}", "[1, 1]");
    refused("{\"maxItems\": 1}", "[1, 2]", "maxItems 1");
    taken("{\"uniqueItems\": true}", "[1, \"1\", [1], {\"a\": 1}]");
    refused("{\"uniqueItems\": true}", "[1, 2, 1.0]", "unique");
    refused("{\"uniqueItems\": true}", "[{\"a\": 1, \"b\": 2}, {\"b\": 2, \"a\": 1}]", "unique");
    taken("{\"uniqueItems\": false}", "[1, 1]");
}

static void constants_are_compared_as_values(void **state) {
    (void)state;
    taken("{\"enum\": [1, \"a\", null, [true]]}", "1.0");
    taken("{\"enum\": [1, \"a\", null, [true]]}", "[true]");
    refused("{\"enum\": [1, \"a\", null, [true]]}", "[1]", "listed");
    refused("{\"enum\": [0]}", "false", "listed");
    taken("{\"const\": {\"a\": [1]}}", "{\"a\": [1]}");
    refused("{\"const\": {\"a\": [1]}}", "{\"a\": [1], \"b\": 1}", "listed");
    refused("{\"const\": {\"a\": [1]}}", "{\"a\": [1, 1]}", "listed");
}

static void combinations_count_what_holds(void **state) {
    (void)state;
    const char *any = "{\"anyOf\": [{\"type\": \"string\"}, {\"minimum\": 5}]}";
    taken(any, "\"x\"");
    taken(any, "6");
    refused(any, "4", "anyOf, but 0 of its 2");
    const char *one = "{\"oneOf\": [{\"multipleOf\": 2}, {\"multipleOf\": 3}]}";
    taken(one, "4");
    refused(one, "6", "oneOf, but 2 of its 2");
    refused(one, "5", "oneOf, but 0 of its 2");
    const char *all = "{\"allOf\": [{\"multipleOf\": 2}, {\"multipleOf\": 3}]}";
    taken(all, "6");
    refused(all, "4", "allOf, but 1 of its 2");
    taken("{\"not\": {\"type\": \"string\"}}", "1");
    refused("{\"not\": {\"type\": \"string\"}}", "\"x\"", "not");
}

static void text_that_is_no_json_does_not_keep_a_schema(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "{", "{\"a\": 1, \"a\": 2}", "1 2", "{a: 1}", "nan", "\"\xff\"", "1e999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused("{}", bad[i], "found no JSON");
}

static void a_schema_that_cannot_be_kept_to_is_not_read(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"[]", "$: schema: found an empty list"},
        {"{\"format\": \"email\"}", "the keyword 'format'"},
        {"{\"$ref\": \"#\"}", "the keyword '$ref'"},
        {"{\"properties\": {\"a\": {\"minimun\": 3}}}",
         "$.properties.a: found the keyword 'minimun'"},
        {"{\"type\": \"float\"}", "type: found a text"},
        {"{\"type\": []}", "type: found an empty list"},
        {"{\"type\": [\"string\", 1]}", "type: found a number"},
        {"{\"minimum\": \"3\"}", "minimum: found a text, wanted a number"},
        {"{\"multipleOf\": 0}", "wanted a number above 0"},
        {"{\"minLength\": -1}", "whole number"},
        {"{\"maxItems\": 1.5}", "whole number"},
        {"{\"required\": \"a\"}", "required"},
        {"{\"required\": [1]}", "required"},
        {"{\"properties\": []}", "properties"},
        {"{\"items\": [{}]}", "$.items"},
        {"{\"enum\": []}", "enum"},
        {"{\"enum\": [1], \"const\": 1}", "one of enum and const"},
        {"{\"anyOf\": []}", "anyOf"},
        {"{\"anyOf\": [{}, 3]}", "$.anyOf[1]"},
        {"{\"uniqueItems\": 1}", "uniqueItems"},
        {"{\"additionalProperties\": \"no\"}", "additionalProperties"},
        {"{\"pattern\": \"(\"}", "pattern: found '('"},
        {"{\"pattern\": 3}", "pattern"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_schema   *s   = (void *)1;
        const mg_err err = read_schema(bad[i][0], &s);
        if (err != MG_CORRUPT) fail_msg("%s: found %s", bad[i][0], mg_err_name(err));
        if (!strstr(mg_err_detail(), bad[i][1]))
            fail_msg("%s: found '%s', wanted '%s'", bad[i][0], mg_err_detail(), bad[i][1]);
        assert_ptr_equal(s, (void *)1);
    }
}

static void notes_for_people_are_let_pass(void **state) {
    (void)state;
    taken("{\"title\": \"t\", \"description\": \"d\", \"default\": 1, \"examples\": [2],"
          " \"$schema\": \"x\", \"$comment\": \"c\"}", "3");
}

// `depth` schemas within each other.
static mg_err read_nested(int depth) {
    json_t *json = json_object();
    for (int i = 1; i < depth; i++) json = json_pack("{s:o}", "not", json);
    mg_schema   *s   = NULL;
    const mg_err err = mg_schema_new(&s, json);
    mg_schema_free(s);
    json_decref(json);
    return err;
}

static mg_err read_wide(int schemas) {
    json_t *list = json_array();
    for (int i = 1; i < schemas; i++) json_array_append_new(list, json_object());
    json_t      *json = json_pack("{s:o}", "anyOf", list);
    mg_schema   *s    = NULL;
    const mg_err err  = mg_schema_new(&s, json);
    mg_schema_free(s);
    json_decref(json);
    return err;
}

static void depth_and_number_of_schemas_have_limits(void **state) {
    (void)state;
    assert_int_equal(read_nested(MG_SCHEMA_DEPTH_MAX), MG_OK);
    assert_int_equal(read_nested(MG_SCHEMA_DEPTH_MAX + 1), MG_LIMIT);
    assert_int_equal(read_wide(MG_SCHEMA_NODES_MAX), MG_OK);
    assert_int_equal(read_wide(MG_SCHEMA_NODES_MAX + 1), MG_LIMIT);
    mg_schema_free(NULL);
}

static void a_path_that_is_too_long_is_cut(void **state) {
    (void)state;
    char schema[4096] = "{\"type\": \"string\"}", wider[4096];
    char value[2048]  = "1", deeper[2048];
    for (int i = 0; i < 12; i++) {
        snprintf(wider, sizeof wider, "{\"properties\": {\"a name of some length\": %.3500s}}",
                 schema);
        snprintf(deeper, sizeof deeper, "{\"a name of some length\": %.1900s}", value);
        strcpy(schema, wider), strcpy(value, deeper);
    }
    refused(schema, value, "...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_the_seven_of_json_schema),
        cmocka_unit_test(numbers_keep_their_bounds),
        cmocka_unit_test(texts_are_measured_in_code_points),
        cmocka_unit_test(a_pattern_that_would_never_end_is_refused),
        cmocka_unit_test(lists_and_objects_keep_their_rules),
        cmocka_unit_test(constants_are_compared_as_values),
        cmocka_unit_test(combinations_count_what_holds),
        cmocka_unit_test(text_that_is_no_json_does_not_keep_a_schema),
        cmocka_unit_test(a_schema_that_cannot_be_kept_to_is_not_read),
        cmocka_unit_test(notes_for_people_are_let_pass),
        cmocka_unit_test(depth_and_number_of_schemas_have_limits),
        cmocka_unit_test(a_path_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
