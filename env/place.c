// place.c - paths and values of JSON in words.
#include "env/place.h"

#include <stdio.h>
#include <string.h>

const char *mg_place_print(const mg_place *at, char out[MG_PLACE_SIZE]) {
    if (!at) return strcpy(out, "$");
    mg_place_print(at->up, out);
    const size_t n    = strlen(out);
    const int more = at->index == MG_PLACE_KEY
                         ? snprintf(out + n, MG_PLACE_SIZE - n, ".%s", at->key)
                         : snprintf(out + n, MG_PLACE_SIZE - n, "%s%s[%zu]", *at->key ? "." : "",
                                    at->key, at->index);
    if (n + (size_t)more >= MG_PLACE_SIZE) strcpy(out + n, n + 4 < MG_PLACE_SIZE ? "..." : "");
    return out;
}

const char *mg_json_kind(const json_t *v) {
    if (!v) return "nothing";
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return json_array_size(v) > 0 ? "a list" : "an empty list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_NULL: return "null";
    default: return json_is_true(v) ? "true" : "false";
    }
}

const char *mg_json_brief(const json_t *v, char out[MG_PLACE_SIZE]) {
    if (json_is_number(v))
        snprintf(out, MG_PLACE_SIZE, "%.17g", json_number_value(v));
    else if (json_is_string(v) && json_string_length(v) < 64)
        snprintf(out, MG_PLACE_SIZE, "'%s'", json_string_value(v));
    else
        snprintf(out, MG_PLACE_SIZE, "%s", mg_json_kind(v));
    return out;
}
