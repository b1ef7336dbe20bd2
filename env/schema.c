// schema.c - schemas are read into a tree once; values are checked against it without allocation.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "env/schema.h"

#include <jansson.h>
#include <math.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "env/place.h"

// A pattern that needs more steps on a text is given up, and the whole value is a mismatch, wherever in the
// schema the pattern is: nobody's regular expression may hold up a run, and nothing follows from what was
// not decided, under `not` least of all. (pcre2_set_match_limit; its own default is 10 million)
#define MATCH_STEPS_MAX 100000

enum { NUL = 1, BOOLEAN = 2, OBJECT = 4, ARRAY = 8, NUMBER = 16, STRING = 32, INTEGER = 64 };
static const struct {
    const char *name;
    unsigned    bit;
} TYPES[] = {{"null", NUL},     {"boolean", BOOLEAN}, {"object", OBJECT},  {"array", ARRAY},
             {"number", NUMBER}, {"string", STRING},   {"integer", INTEGER}};

enum {
    MINIMUM, MAXIMUM, EXCLUSIVE_MINIMUM, EXCLUSIVE_MAXIMUM, MULTIPLE_OF,
    MIN_LENGTH, MAX_LENGTH, MIN_ITEMS, MAX_ITEMS, BOUNDS
};
static const char *const BOUND_NAMES[BOUNDS] = {
    "minimum",   "maximum",   "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems",         "maxItems"};

enum { ANY_OF, ONE_OF, ALL_OF, COMBINATIONS };
static const char *const COMBINATION_NAMES[COMBINATIONS] = {"anyOf", "oneOf", "allOf"};

static const char *const SILENT[] = {"title",    "description", "default",
                                     "examples", "$schema",     "$comment"};

typedef struct schemas {
    mg_schema **of; // [n] owned
    size_t      n;
} schemas;

struct mg_schema {
    bool        never;      // the schema `false`
    unsigned    types;      // bits of TYPES; 0: any
    unsigned    bounded;    // bit k: bound[k] is given
    double      bound[BOUNDS];
    bool        unique;
    json_t     *constants;  // list of what the value may be, or NULL
    json_t     *required;   // list of names, or NULL
    json_t     *names;      // list of the names of `properties`, or NULL
    schemas     properties;
    mg_schema  *additional, *items, *negated; // NULL: anything, anything, no rule
    schemas     combined[COMBINATIONS];
    pcre2_code *pattern;
    pcre2_match_data    *match; // scratch of `pattern`: one thread at a time
    pcre2_match_context *limits;
};

// ---- reading ---------------------------------------------------------------------------------

typedef struct reading {
    int depth, nodes;
} reading;

static mg_err bad(const mg_place *at, const char *keyword, const json_t *found,
                  const char *wanted) {
    char path[MG_PLACE_SIZE];
    return mg_fail(MG_CORRUPT, "schema: %s: %s: found %s, wanted %s", mg_place_print(at, path),
                   keyword, mg_json_kind(found), wanted);
}

static mg_err node_new(mg_schema **out, const json_t *from, const mg_place *at, reading *r);

static mg_err read_list(schemas *out, const json_t *list, const char *keyword, const mg_place *up,
                        reading *r) {
    if (!json_is_array(list) || json_array_size(list) == 0)
        return bad(up, keyword, list, "a list of schemas");
    out->of = calloc(json_array_size(list), sizeof *out->of);
    if (!out->of) return mg_fail(MG_NOMEM, "schema: %zu schemas", json_array_size(list));
    mg_err err = MG_OK;
    for (size_t i = 0; i < json_array_size(list) && !err; i++) {
        const mg_place at = {up, keyword, i};
        err = node_new(&out->of[i], json_array_get(list, i), &at, r);
        out->n += !err;
    }
    return err;
}

static mg_err read_properties(mg_schema *s, const json_t *from, const mg_place *up, reading *r) {
    if (!json_is_object(from)) return bad(up, "properties", from, "an object of schemas");
    s->names         = json_array();
    s->properties.of = calloc(json_object_size(from) + 1, sizeof *s->properties.of);
    if (!s->names || !s->properties.of) return mg_fail(MG_NOMEM, "schema: properties");
    const char *name;
    json_t     *value;
    json_object_foreach((json_t *)from, name, value) {
        const mg_place at  = {up, name, MG_PLACE_KEY};
        mg_err         err = node_new(&s->properties.of[s->properties.n], value, &at, r);
        if (err) return err;
        s->properties.n++;
        if (json_array_append_new(s->names, json_string(name)))
            return mg_fail(MG_NOMEM, "schema: properties");
    }
    return MG_OK;
}

static unsigned type_of_name(const json_t *name) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES && json_is_string(name); i++)
        if (strcmp(TYPES[i].name, json_string_value(name)) == 0) return TYPES[i].bit;
    return 0;
}

static mg_err read_types(mg_schema *s, const json_t *from, const mg_place *at) {
    static const char wanted[] =
        "null, boolean, object, array, number, string, integer, or a list of these";
    if (json_is_array(from)) {
        for (size_t i = 0; i < json_array_size(from); i++) {
            const unsigned bit = type_of_name(json_array_get(from, i));
            if (!bit) return bad(at, "type", json_array_get(from, i), wanted);
            s->types |= bit;
        }
    } else
        s->types = type_of_name(from);
    return s->types ? MG_OK : bad(at, "type", from, wanted);
}

static mg_err read_pattern(mg_schema *s, const json_t *from, const mg_place *at) {
    int        code = 0;
    PCRE2_SIZE offset;
    if (!json_is_string(from)) return bad(at, "pattern", from, "a regular expression");
    s->pattern = pcre2_compile((PCRE2_SPTR)json_string_value(from), json_string_length(from),
                               PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (!s->pattern) {
        char path[MG_PLACE_SIZE], why[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return mg_fail(MG_CORRUPT,
                       "schema: %s: pattern: found '%s' (%s), wanted a regular expression",
                       mg_place_print(at, path), json_string_value(from), why);
    }
    s->match  = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    if (!s->match || !s->limits) return mg_fail(MG_NOMEM, "schema: pattern");
    pcre2_set_match_limit(s->limits, MATCH_STEPS_MAX);
    return MG_OK;
}

static mg_err read_constants(mg_schema *s, const char *keyword, const json_t *from,
                             const mg_place *at) {
    const bool list = strcmp(keyword, "enum") == 0;
    if (list && (!json_is_array(from) || json_array_size(from) == 0))
        return bad(at, keyword, from, "a list of values");
    if (s->constants) return bad(at, keyword, from, "one of enum and const");
    s->constants = list ? json_deep_copy(from) : json_pack("[o]", json_deep_copy(from));
    return s->constants ? MG_OK : mg_fail(MG_NOMEM, "schema: %s", keyword);
}

static mg_err read_required(mg_schema *s, const json_t *from, const mg_place *at) {
    if (!json_is_array(from)) return bad(at, "required", from, "a list of names");
    for (size_t i = 0; i < json_array_size(from); i++)
        if (!json_is_string(json_array_get(from, i)))
            return bad(at, "required", json_array_get(from, i), "a name");
    s->required = json_deep_copy(from);
    return s->required ? MG_OK : mg_fail(MG_NOMEM, "schema: required");
}

static mg_err read_bound(mg_schema *s, int k, const json_t *from, const mg_place *at) {
    const double x = json_number_value(from);
    if (!json_is_number(from) || (k == MULTIPLE_OF && !(x > 0)))
        return bad(at, BOUND_NAMES[k], from, k == MULTIPLE_OF ? "a number above 0" : "a number");
    if (k >= MIN_LENGTH && (x < 0 || x != floor(x)))
        return bad(at, BOUND_NAMES[k], from, "a whole number of at least 0");
    s->bounded |= 1u << k;
    s->bound[k] = x;
    return MG_OK;
}

static mg_err read_keyword(mg_schema *s, const char *key, const json_t *v, const mg_place *up,
                           reading *r) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    for (int k = 0; k < BOUNDS; k++)
        if (strcmp(key, BOUND_NAMES[k]) == 0) return read_bound(s, k, v, up);
    for (int k = 0; k < COMBINATIONS; k++)
        if (strcmp(key, COMBINATION_NAMES[k]) == 0)
            return read_list(&s->combined[k], v, key, up, r);
    for (size_t i = 0; i < sizeof SILENT / sizeof *SILENT; i++)
        if (strcmp(key, SILENT[i]) == 0) return MG_OK;
    if (strcmp(key, "type") == 0) return read_types(s, v, up);
    if (strcmp(key, "properties") == 0) return read_properties(s, v, &at, r);
    if (strcmp(key, "required") == 0) return read_required(s, v, up);
    if (strcmp(key, "pattern") == 0) return read_pattern(s, v, up);
    if (strcmp(key, "enum") == 0 || strcmp(key, "const") == 0) return read_constants(s, key, v, up);
    if (strcmp(key, "additionalProperties") == 0) return node_new(&s->additional, v, &at, r);
    if (strcmp(key, "items") == 0) return node_new(&s->items, v, &at, r);
    if (strcmp(key, "not") == 0) return node_new(&s->negated, v, &at, r);
    if (strcmp(key, "uniqueItems") == 0) {
        s->unique = json_is_true(v);
        return json_is_boolean(v) ? MG_OK : bad(up, key, v, "true or false");
    }
    char path[MG_PLACE_SIZE];
    return mg_fail(MG_CORRUPT,
                   "schema: %s: found the keyword '%s', wanted one of those in env/schema.h",
                   mg_place_print(up, path), key);
}

static mg_err node_new(mg_schema **out, const json_t *from, const mg_place *at, reading *r) {
    if (!json_is_object(from) && !json_is_boolean(from))
        return bad(at, "schema", from, "an object, true or false");
    if (r->depth == MG_SCHEMA_DEPTH_MAX || r->nodes == MG_SCHEMA_NODES_MAX)
        return mg_fail(MG_LIMIT,
                       "schema: found more than %d schemas within each other or %d in all",
                       MG_SCHEMA_DEPTH_MAX, MG_SCHEMA_NODES_MAX);
    mg_schema *s = calloc(1, sizeof *s);
    if (!s) return mg_fail(MG_NOMEM, "schema");
    r->nodes++, r->depth++;
    s->never   = json_is_false(from);
    mg_err err = MG_OK;
    if (json_is_object(from)) {
        const char *key;
        json_t     *value;
        json_object_foreach((json_t *)from, key, value) {
            if (!err) err = read_keyword(s, key, value, at, r);
        }
    }
    r->depth--;
    if (err) mg_schema_free(s);
    else *out = s;
    return err;
}

mg_err mg_schema_new(mg_schema **out, const json_t *schema) {
    reading r = {0};
    return node_new(out, schema, NULL, &r);
}

static void list_free(schemas *l) {
    for (size_t i = 0; i < l->n; i++) mg_schema_free(l->of[i]);
    free(l->of);
}

void mg_schema_free(mg_schema *s) {
    if (!s) return;
    json_decref(s->constants);
    json_decref(s->required);
    json_decref(s->names);
    list_free(&s->properties);
    for (int k = 0; k < COMBINATIONS; k++) list_free(&s->combined[k]);
    mg_schema_free(s->additional);
    mg_schema_free(s->items);
    mg_schema_free(s->negated);
    pcre2_code_free(s->pattern);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->limits);
    free(s);
}

// ---- checking --------------------------------------------------------------------------------

static mg_err differs(const mg_place *at, const json_t *found, const char *wanted) {
    char path[MG_PLACE_SIZE], what[MG_PLACE_SIZE];
    return mg_fail(MG_MISMATCH, "%s: found %s, wanted %s", mg_place_print(at, path),
                   mg_json_brief(found, what), wanted);
}

static unsigned types_of(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT: return OBJECT;
    case JSON_ARRAY: return ARRAY;
    case JSON_STRING: return STRING;
    case JSON_INTEGER: return NUMBER | INTEGER;
    case JSON_REAL: {
        const double x = json_real_value(v);
        return x == floor(x) ? NUMBER | INTEGER : NUMBER;
    }
    case JSON_NULL: return NUL;
    default: return BOOLEAN;
    }
}

static mg_err check_types(const mg_schema *s, const json_t *v, const mg_place *at) {
    if (!s->types || s->types & types_of(v)) return MG_OK;
    char wanted[96] = "";
    for (size_t i = 0, n = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (s->types & TYPES[i].bit)
            n += (size_t)snprintf(wanted + n, sizeof wanted - n, "%s%s", n ? " or " : "",
                                  TYPES[i].name);
    return differs(at, v, wanted);
}

static mg_err out_of_bound(const mg_schema *s, int k, const json_t *v, const mg_place *at) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s %g", BOUND_NAMES[k], s->bound[k]);
    return differs(at, v, wanted);
}

// 0.3 is a multiple of 0.1, although neither is a binary fraction.
static bool multiple(double x, double of) {
    const double q = x / of;
    return fabs(q - nearbyint(q)) <= 1e-9 * fmax(1, fabs(q));
}

static bool outside(int k, double x, double bound) {
    switch (k) {
    case MINIMUM: return x < bound;
    case MAXIMUM: return x > bound;
    case EXCLUSIVE_MINIMUM: return x <= bound;
    case EXCLUSIVE_MAXIMUM: return x >= bound;
    default: return !multiple(x, bound);
    }
}

static mg_err check_number(const mg_schema *s, double x, const json_t *v, const mg_place *at) {
    for (int k = MINIMUM; k <= MULTIPLE_OF; k++)
        if (s->bounded & 1u << k && outside(k, x, s->bound[k])) return out_of_bound(s, k, v, at);
    return MG_OK;
}

static mg_err check_size(const mg_schema *s, int least, int most, size_t n, const json_t *v,
                         const mg_place *at) {
    if (s->bounded & 1u << least && (double)n < s->bound[least])
        return out_of_bound(s, least, v, at);
    if (s->bounded & 1u << most && (double)n > s->bound[most]) return out_of_bound(s, most, v, at);
    return MG_OK;
}

static mg_err check_string(const mg_schema *s, const json_t *v, const mg_place *at) {
    const char *text = json_string_value(v);
    size_t      n    = 0;
    for (const char *c = text; *c; c++) n += ((unsigned char)*c & 0xC0) != 0x80;
    mg_err err = check_size(s, MIN_LENGTH, MAX_LENGTH, n, v, at);
    if (err || !s->pattern) return err;
    const int rc = pcre2_match(s->pattern, (PCRE2_SPTR)text, json_string_length(v), 0,
                               PCRE2_NO_UTF_CHECK, s->match, s->limits);
    if (rc >= 0) return MG_OK;
    err = differs(at, v, rc == PCRE2_ERROR_NOMATCH ? "a text that matches its pattern"
                                                   : "a text that its pattern decides on in fewer steps");
    return rc == PCRE2_ERROR_NOMATCH ? err : MG_LIMIT;
}

// Equality as JSON Schema means it: 1 is 1.0.
static bool same(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_array(a)) {
        const size_t n = json_array_size(a);
        if (n != json_array_size(b)) return false;
        for (size_t i = 0; i < n; i++)
            if (!same(json_array_get(a, i), json_array_get(b, i))) return false;
        return true;
    }
    if (json_is_object(a)) {
        const char *key;
        json_t     *value;
        if (json_object_size(a) != json_object_size(b)) return false;
        json_object_foreach((json_t *)a, key, value) {
            const json_t *other = json_object_get(b, key);
            if (!other || !same(value, other)) return false;
        }
        return true;
    }
    return json_equal(a, b);
}

static bool among(const json_t *list, size_t n, const json_t *v) {
    for (size_t i = 0; i < n; i++)
        if (same(json_array_get(list, i), v)) return true;
    return false;
}

// MG_MISMATCH, or MG_LIMIT where a pattern was given up: then the rest does not matter.
static mg_err check(const mg_schema *s, const json_t *v, const mg_place *at);

static mg_err check_array(const mg_schema *s, const json_t *v, const mg_place *up) {
    const size_t n   = json_array_size(v);
    mg_err       err = check_size(s, MIN_ITEMS, MAX_ITEMS, n, v, up);
    for (size_t i = 0; i < n && s->items && !err; i++) {
        const mg_place at = {up, "", i};
        err = check(s->items, json_array_get(v, i), &at);
    }
    if (err || !s->unique) return err;
    if (n > MG_SCHEMA_UNIQUE_MAX) return differs(up, v, "a shorter list of unique items");
    for (size_t i = 1; i < n; i++)
        if (among(v, i, json_array_get(v, i))) return differs(up, v, "a list of unique items");
    return MG_OK;
}

static mg_err check_object(const mg_schema *s, const json_t *v, const mg_place *up) {
    for (size_t i = 0; i < json_array_size(s->required); i++) {
        const char *name = json_string_value(json_array_get(s->required, i));
        if (!json_object_get(v, name)) {
            const mg_place at = {up, name, MG_PLACE_KEY};
            return differs(&at, NULL, "a value, it is required");
        }
    }
    size_t known = 0;
    for (size_t i = 0; i < s->properties.n; i++) {
        const char    *name  = json_string_value(json_array_get(s->names, i));
        const json_t  *value = json_object_get(v, name);
        const mg_place at    = {up, name, MG_PLACE_KEY};
        if (!value) continue;
        known++;
        mg_err err = check(s->properties.of[i], value, &at);
        if (err) return err;
    }
    if (!s->additional || known == json_object_size(v)) return MG_OK;
    const char *name;
    json_t     *value;
    json_object_foreach((json_t *)v, name, value) {
        const mg_place at = {up, name, MG_PLACE_KEY};
        bool           listed = false;
        for (size_t i = 0; i < s->properties.n && !listed; i++)
            listed = strcmp(name, json_string_value(json_array_get(s->names, i))) == 0;
        mg_err err = listed ? MG_OK : check(s->additional, value, &at);
        if (err) return err;
    }
    return MG_OK;
}

static mg_err check_combined(const mg_schema *s, const json_t *v, const mg_place *at) {
    for (int k = 0; k < COMBINATIONS; k++) {
        const schemas *l    = &s->combined[k];
        size_t         held = 0;
        for (size_t i = 0; i < l->n; i++) {
            const mg_err err = check(l->of[i], v, at);
            if (err == MG_LIMIT) return err;
            held += !err;
        }
        if (l->n == 0 || (k == ANY_OF ? held > 0 : k == ONE_OF ? held == 1 : held == l->n))
            continue;
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s, but %zu of its %zu schemas hold", COMBINATION_NAMES[k],
                 held, l->n);
        return differs(at, v, wanted);
    }
    const mg_err err = s->negated ? check(s->negated, v, at) : MG_MISMATCH;
    return err == MG_OK ? differs(at, v, "anything but what `not` describes") : err == MG_LIMIT ? err : MG_OK;
}

static mg_err check(const mg_schema *s, const json_t *v, const mg_place *at) {
    if (s->never) return differs(at, v, "nothing here");
    mg_err err = check_types(s, v, at);
    if (!err && s->constants && !among(s->constants, json_array_size(s->constants), v))
        err = differs(at, v, "one of its listed values");
    if (err) return err;
    if (json_is_number(v)) err = check_number(s, json_number_value(v), v, at);
    if (json_is_string(v)) err = check_string(s, v, at);
    if (json_is_array(v)) err = check_array(s, v, at);
    if (json_is_object(v)) err = check_object(s, v, at);
    return err ? err : check_combined(s, v, at);
}

mg_err mg_schema_check(const mg_schema *s, const json_t *value) {
    return check(s, value, NULL) ? MG_MISMATCH : MG_OK;
}

mg_err mg_schema_check_text(const mg_schema *s, const char *json, size_t size) {
    json_error_t at;
    json_t *value = json_loadb(
        json, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &at);
    if (!value) return mg_fail(MG_MISMATCH, "column %d: found no JSON: %s", at.column, at.text);
    mg_err err = mg_schema_check(s, value);
    json_decref(value);
    return err;
}
