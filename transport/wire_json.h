// wire_json.h - members of JSON objects, each of its type or refused by name. Internal to the wire.
#ifndef MG_TRANSPORT_WIRE_JSON_H
#define MG_TRANSPORT_WIRE_JSON_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

// The beginning of the value's text, or "nothing".
const char *mg_wire_found(const json_t *v, char text[64]);
// "key": found .., wanted ..; MG_CORRUPT.
mg_err mg_wire_wanted(const char *key, const json_t *v, const char *what);
// A key that is not in the list, which NULL ends, is refused.
mg_err mg_wire_known_keys(const json_t *o, const char *const *keys) MG_MUST_USE;

// Of a string that a C string can hold; otherwise NULL.
const char *mg_wire_plain_string(const json_t *v);
// Hex digits alone, at least one and at most `digits`.
bool mg_wire_hex(const char *s, size_t digits, uint64_t *out);

// NULL where it is missing or null.
mg_err mg_wire_get_string(const json_t *o, const char *key, const char **out) MG_MUST_USE;
// false and 0 where it is missing and not required.
mg_err mg_wire_get_bool(const json_t *o, const char *key, bool required, bool *out) MG_MUST_USE;
mg_err mg_wire_get_count(const json_t *o, const char *key, bool required, int64_t least,
                         int64_t most, int64_t *out) MG_MUST_USE;
#endif
