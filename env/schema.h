// schema.h - the part of JSON Schema that tool arguments are described with.
//
// Of draft 2020-12: type (one or a list), properties, required, additionalProperties, items, enum,
// const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minLength, maxLength,
// pattern, minItems, maxItems, uniqueItems, anyOf, oneOf, allOf, not; title, description, default and
// examples are let pass. Any other keyword is refused when the schema is read: a rule that is
// silently not checked is a hole.
#ifndef MG_ENV_SCHEMA_H
#define MG_ENV_SCHEMA_H
#include <stddef.h>

#include "core/err.h"

typedef struct mg_schema mg_schema;
struct json_t;

// Owned by the caller. Errors: MG_CORRUPT (keyword, what was found, what was wanted).
mg_err mg_schema_new(mg_schema **out, const struct json_t *schema) MG_MUST_USE;
void   mg_schema_free(mg_schema *s); // NULL: no effect

// Does the value keep the schema? MG_MISMATCH names the path in it, what was found, what was wanted.
mg_err mg_schema_check(const mg_schema *s, const struct json_t *value) MG_MUST_USE;
mg_err mg_schema_check_text(const mg_schema *s, const char *json, size_t size) MG_MUST_USE;
#endif
