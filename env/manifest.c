// manifest.c - a manifest is read strictly: whatever is there is understood, or refused by its
// path.
#include "env/manifest.h"

#include <jansson.h>
#include <math.h>
#include <openssl/sha.h>
#include <string.h>

#include "env/place.h"

typedef struct word {
    const char *text;
    int         value;
} word;

static mg_err wrong(const mg_place *at, const json_t *found, const char *wanted) {
    char path[MG_PLACE_SIZE], what[MG_PLACE_SIZE];
    return mg_fail(MG_CORRUPT, "manifest: %s: found %s, wanted %s", mg_place_print(at, path),
                   mg_json_brief(found, what), wanted);
}

static mg_err only_these(const json_t *object, const mg_place *up, const char *const *keys) {
    const char *key;
    json_t     *value;
    if (!json_is_object(object)) return wrong(up, object, "an object");
    json_object_foreach((json_t *)object, key, value) {
        const char *const *k = keys;
        while (*k && strcmp(*k, key) != 0) k++;
        if (*k) continue;
        char path[MG_PLACE_SIZE];
        return mg_fail(MG_CORRUPT,
                       "manifest: %s: found the key '%s', wanted one of those in env/manifest.h",
                       mg_place_print(up, path), key);
    }
    return MG_OK;
}

static mg_err text_at(const json_t *object, const char *key, const mg_place *up, bool required,
                      mg_arena *arena, const char **out) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    const json_t  *v  = json_object_get(object, key);
    if (!v && !required) return MG_OK;
    if (!json_is_string(v) || json_string_length(v) == 0) return wrong(&at, v, "a text");
    *out = mg_arena_strdup(arena, json_string_value(v));
    return MG_OK;
}

static mg_err word_at(const json_t *object, const char *key, const mg_place *up, const word *words,
                      const char *wanted, int *out) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    const json_t  *v  = json_object_get(object, key);
    if (!v) return MG_OK;
    for (; words->text; words++)
        if (json_is_string(v) && strcmp(words->text, json_string_value(v)) == 0) {
            *out = words->value;
            return MG_OK;
        }
    return wrong(&at, v, wanted);
}

static mg_err number_at(const json_t *object, const char *key, const mg_place *up, double *out) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    const json_t  *v  = json_object_get(object, key);
    if (!json_is_number(v)) return wrong(&at, v, "a number");
    *out = json_number_value(v);
    return MG_OK;
}

// At most a day: a product of it with a million stays far inside 64 bits.
static mg_err ms_at(const json_t *object, const char *key, const mg_place *up, int64_t *out) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    const json_t  *v  = json_object_get(object, key);
    const double   x  = json_number_value(v);
    if (!v) return MG_OK;
    if (!json_is_number(v) || x != floor(x) || x < 0 || x > 86400000)
        return wrong(&at, v, "whole milliseconds from 0 to a day");
    *out = (int64_t)x;
    return MG_OK;
}

static mg_err patterns_at(const json_t *object, const char *key, const mg_place *up,
                          mg_arena *arena, const char *const **out, int64_t *n) {
    const mg_place at = {up, key, MG_PLACE_KEY};
    const json_t  *v  = json_object_get(object, key);
    if (!v) return MG_OK;
    if (!json_is_array(v)) return wrong(&at, v, "a list of key patterns");
    const size_t count = json_array_size(v);
    if (count > MG_MANIFEST_KEYS_MAX)
        return mg_fail(MG_LIMIT, "manifest: %s: found %zu patterns, wanted at most %d", key, count,
                       MG_MANIFEST_KEYS_MAX);
    const char **patterns = MG_NEW(arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        const mg_place item = {up, key, i};
        const json_t  *p    = json_array_get(v, i);
        const char    *star = json_is_string(p) ? strchr(json_string_value(p), '*') : NULL;
        if (!json_is_string(p) || json_string_length(p) == 0 || (star && star[1]))
            return wrong(&item, p, "a key, or a beginning of keys and one * at its end");
        patterns[i] = mg_arena_strdup(arena, json_string_value(p));
    }
    *out = patterns, *n = (int64_t)count;
    return MG_OK;
}

static mg_err read_action(const json_t *from, const mg_place *at, mg_arena *arena,
                          mg_action_promise *out) {
    static const char *const keys[] = {"name",          "schema",     "effect",
                                       "reads",         "writes",     "idempotent",
                                       "visibility_ms", "timeout_ms", NULL};
    static const word effects[] = {{"pure", MG_EFFECT_PURE}, {"mutating", MG_EFFECT_MUTATING},
                                   {"unknown", MG_EFFECT_UNKNOWN}, {NULL, 0}};
    const json_t *idempotent = json_object_get(from, "idempotent"),
                 *schema = json_object_get(from, "schema");
    int           effect = MG_EFFECT_UNKNOWN;
    mg_err        err = only_these(from, at, keys);
    if (!err) err = text_at(from, "name", at, true, arena, &out->name);
    if (!err) err = word_at(from, "effect", at, effects, "pure, mutating or unknown", &effect);
    if (!err) err = patterns_at(from, "reads", at, arena, &out->reads, &out->n_reads);
    if (!err) err = patterns_at(from, "writes", at, arena, &out->writes, &out->n_writes);
    if (!err) err = ms_at(from, "visibility_ms", at, &out->visibility_ms);
    if (!err) err = ms_at(from, "timeout_ms", at, &out->timeout_ms);
    if (!err && effect == MG_EFFECT_PURE && out->n_writes > 0)
        err = wrong(at, json_object_get(from, "writes"), "no writes of an action that is pure");
    if (!err && idempotent && !json_is_boolean(idempotent)) {
        const mg_place here = {at, "idempotent", MG_PLACE_KEY};
        err = wrong(&here, idempotent, "true or false");
    }
    if (err) return err;
    out->effect = (mg_effect)effect, out->idempotent = json_is_true(idempotent);
    if (schema && (err = mg_schema_new(&out->schema, schema))) {
        char *why = mg_arena_strdup(arena, mg_err_detail());
        return mg_fail(err, "manifest: action %s: %s", out->name, why);
    }
    return MG_OK;
}

static mg_err read_reward(const json_t *from, mg_manifest *out) {
    static const char *const keys[] = {"min", "max", "resolution", NULL};
    const mg_place           at     = {NULL, "reward", MG_PLACE_KEY};
    if (!from) return MG_OK;
    mg_err err          = only_these(from, &at, keys);
    out->has_range      = json_object_get(from, "min") || json_object_get(from, "max");
    out->has_resolution = json_object_get(from, "resolution");
    if (!err && out->has_range) err = number_at(from, "min", &at, &out->min);
    if (!err && out->has_range) err = number_at(from, "max", &at, &out->max);
    if (!err && out->has_resolution) err = number_at(from, "resolution", &at, &out->resolution);
    if (!err && out->has_range && out->min > out->max)
        err = wrong(&at, from, "a min of at most max");
    if (!err && out->has_resolution && !(out->resolution > 0))
        err = wrong(&at, json_object_get(from, "resolution"), "a resolution above 0");
    return err;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const mg_action_promise *)a)->name, ((const mg_action_promise *)b)->name);
}

static mg_err read_actions(const json_t *list, mg_arena *arena, mg_manifest *out) {
    const mg_place at = {NULL, "actions", MG_PLACE_KEY};
    if (!list) return MG_OK;
    if (!json_is_array(list)) return wrong(&at, list, "a list of actions");
    const size_t n = json_array_size(list);
    if (n > MG_MANIFEST_ACTIONS_MAX)
        return mg_fail(MG_LIMIT, "manifest: actions: found %zu, wanted at most %d", n,
                       MG_MANIFEST_ACTIONS_MAX);
    mg_action_promise *actions = MG_NEW(arena, mg_action_promise, n);
    out->actions               = actions;
    for (size_t i = 0; i < n; i++) {
        const mg_place item = {NULL, "actions", i};
        mg_err         err  = read_action(json_array_get(list, i), &item, arena, &actions[i]);
        out->n_actions      = (int64_t)i + 1; // its schema, if it has one, is to be given back
        if (err) return err;
    }
    if (n > 0) qsort(actions, n, sizeof *actions, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(actions[i - 1].name, actions[i].name) == 0)
            return mg_fail(MG_CORRUPT, "manifest: actions: found '%s' twice", actions[i].name);
    return MG_OK;
}

static mg_err read_all(const json_t *root, mg_arena *arena, mg_manifest *out) {
    static const char *const keys[] = {"name", "version", "determinism", "reward", "actions", NULL};
    static const word kinds[] = {{"deterministic", MG_DETERMINISTIC}, {"seeded", MG_SEEDED},
                                 {"stochastic", MG_STOCHASTIC}, {NULL, 0}};
    int    determinism = MG_DETERMINISM_UNKNOWN;
    mg_err err = only_these(root, NULL, keys);
    if (!err) err = text_at(root, "name", NULL, true, arena, &out->name);
    if (!err) err = text_at(root, "version", NULL, false, arena, &out->version);
    if (!err)
        err = word_at(root, "determinism", NULL, kinds, "deterministic, seeded or stochastic",
                      &determinism);
    if (!err) err = read_reward(json_object_get(root, "reward"), out);
    if (!err) err = read_actions(json_object_get(root, "actions"), arena, out);
    out->determinism = (mg_determinism)determinism;
    return err;
}

// Every number is a real: 0 and 0.0 say the same.
static mg_err parse(const char *json, size_t size, json_t **root) {
    json_error_t at;
    if (size > MG_MANIFEST_SIZE_MAX)
        return mg_fail(MG_LIMIT, "manifest: found %zu bytes, wanted at most %d", size,
                       MG_MANIFEST_SIZE_MAX);
    *root = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &at);
    return *root ? MG_OK
                 : mg_fail(MG_CORRUPT, "manifest: line %d, column %d: %s", at.line, at.column,
                           at.text);
}

static int by_json_name(const void *a, const void *b) {
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "name"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "name"));
    return strcmp(x, y);
}

// The same list in the order of names; a list of which some have no name keeps its order.
static mg_err sort_actions(json_t *root) {
    const json_t *list = json_object_get(root, "actions");
    const size_t  n    = json_array_size(list);
    for (size_t i = 0; i < n; i++)
        if (!json_is_string(json_object_get(json_array_get(list, i), "name"))) return MG_OK;
    if (n == 0) return MG_OK;
    json_t **items  = malloc(sizeof *items * n);
    json_t  *sorted = json_array();
    bool     ok     = items && sorted;
    for (size_t i = 0; i < n && ok; i++) items[i] = json_array_get(list, i);
    if (ok) qsort(items, n, sizeof *items, by_json_name);
    for (size_t i = 0; i < n && ok; i++) ok = json_array_append(sorted, items[i]) == 0;
    if (ok) ok = json_object_set(root, "actions", sorted) == 0;
    json_decref(sorted);
    free(items);
    return ok ? MG_OK : mg_fail(MG_NOMEM, "manifest: %zu actions", n);
}

// Of the canonical form, into which root is brought.
static mg_err hash_of(json_t *root, uint8_t out[32]) {
    mg_err err = sort_actions(root);
    if (err) return err;
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    if (!text) return mg_fail(MG_NOMEM, "manifest: its canonical form");
    SHA256((const uint8_t *)text, strlen(text), out);
    free(text);
    return MG_OK;
}

mg_err mg_manifest_read(const char *json, size_t size, mg_arena *arena, mg_manifest *out) {
    mg_manifest m = {0};
    json_t     *root = NULL;
    mg_err      err  = parse(json, size, &root);
    if (!err) err = read_all(root, arena, &m);
    if (!err) err = hash_of(root, m.hash);
    json_decref(root);
    if (err) mg_manifest_release(&m);
    else *out = m;
    return err;
}

void mg_manifest_release(mg_manifest *m) {
    for (int64_t i = 0; i < m->n_actions; i++) mg_schema_free(m->actions[i].schema);
    *m = (mg_manifest){0};
}

mg_err mg_manifest_hash(const char *json, size_t size, uint8_t out[32]) {
    json_t *root = NULL;
    mg_err  err  = parse(json, size, &root);
    if (!err) err = hash_of(root, out);
    json_decref(root);
    return err;
}

const mg_action_promise *mg_manifest_action(const mg_manifest *m, const char *name) {
    int64_t low = 0, high = m->n_actions;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int     sign   = strcmp(name, m->actions[middle].name);
        if (sign == 0) return &m->actions[middle];
        if (sign < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

bool mg_key_matches(const char *pattern, const char *key) {
    while (*pattern && *pattern != '*' && *pattern == *key) pattern++, key++;
    return *pattern == '*' || (!*pattern && !*key);
}
