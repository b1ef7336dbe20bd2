// wire_json.c - members of JSON objects, each of its type or refused.
#include "transport/wire_json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

// What was found, for a sentence: its type and the beginning of its text.
const char *mg_wire_found(const json_t *v, char text[64]) {
    if (!v) return "nothing";
    char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    snprintf(text, 64, "%.40s%s", dump ? dump : "?", dump && strlen(dump) > 40 ? "..." : "");
    free(dump);
    return text;
}

mg_err mg_wire_wanted(const char *key, const json_t *v, const char *what) {
    char text[64];
    return mg_fail(MG_CORRUPT, "\"%s\": found %s, wanted %s", key, mg_wire_found(v, text), what);
}

// A key that nobody reads is a promise that nobody keeps: refused. NULL ends the list.
mg_err mg_wire_known_keys(const json_t *o, const char *const *keys) {
    const char *key;
    json_t     *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v) {
        int i = 0;
        while (keys[i] && strcmp(keys[i], key)) i++;
        if (!keys[i]) return mg_fail(MG_CORRUPT, "found key \"%.64s\", which nothing reads", key);
    }
    return MG_OK;
}

// A string without a NUL inside, which a C string cannot hold.
const char *mg_wire_plain_string(const json_t *v) {
    const char *s = json_string_value(v);
    return s && strlen(s) == json_string_length(v) ? s : NULL;
}

mg_err mg_wire_get_string(const json_t *o, const char *key, const char **out) {
    const json_t *v = json_object_get(o, key);
    *out = mg_wire_plain_string(v);
    return !v || json_is_null(v) || *out ? MG_OK : mg_wire_wanted(key, v, "a text or null");
}

mg_err mg_wire_get_bool(const json_t *o, const char *key, bool required, bool *out) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_boolean(v) && (v || required)) return mg_wire_wanted(key, v, "true or false");
    *out = json_is_true(v);
    return MG_OK;
}

mg_err mg_wire_get_count(const json_t *o, const char *key, bool required, int64_t least,
                        int64_t most, int64_t *out) {
    const json_t *v = json_object_get(o, key);
    char          what[80];
    snprintf(what, sizeof what, "an integer in %" PRId64 "..%" PRId64, least, most);
    if (!v && !required)
        *out = 0;
    else if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most)
        return mg_wire_wanted(key, v, what);
    else
        *out = json_integer_value(v);
    return MG_OK;
}

// `digits` hex digits at most, at least one.
bool mg_wire_hex(const char *s, size_t digits, uint64_t *out) {
    const size_t n = s ? strlen(s) : 0;
    uint64_t     x = 0;
    if (n == 0 || n > digits) return false;
    for (size_t i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)s[i])) return false;
        const int c = tolower((unsigned char)s[i]);
        x           = x << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = x;
    return true;
}
