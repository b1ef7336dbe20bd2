// schema.h - the part of JSON Schema that tool arguments are described with.
//
// Of draft 2020-12: type (one or a list), properties, required, additionalProperties, items,
// enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minLength,
// maxLength, pattern, minItems, maxItems, uniqueItems, anyOf, oneOf, allOf, not, and true and
// false as schemas; title, description, default, examples, $schema and $comment are let pass. Any
// other keyword is refused when the schema is read: a rule that is silently not checked is a
// hole.
//
// As the draft has it, a rule speaks of values of its own kind only: {"minimum": 3} takes any text.
// Lengths count code points; 1.0 is an integer and equals 1; a pattern may match anywhere. One that takes too
// many steps on a text makes the whole value a mismatch, also under `not`.
// Threads: a schema is used by one thread at a time (a pattern's scratch belongs to it).
#ifndef MG_ENV_SCHEMA_H
#define MG_ENV_SCHEMA_H
#include <stddef.h>

#include "core/err.h"

#define MG_SCHEMA_DEPTH_MAX  32   // of schemas within schemas
#define MG_SCHEMA_NODES_MAX  4096 // schemas in all
#define MG_SCHEMA_UNIQUE_MAX 1024 // longer lists fail uniqueItems: comparing pairs takes n^2 steps

typedef struct mg_schema mg_schema;
struct json_t;

// Owned by the caller. Errors: MG_CORRUPT (path, keyword, what was found, what was wanted),
// MG_LIMIT (too deep, too many), MG_NOMEM.
mg_err mg_schema_new(mg_schema **out, const struct json_t *schema) MG_MUST_USE;
void   mg_schema_free(mg_schema *s); // NULL: no effect

// Does the value keep the schema? MG_MISMATCH names the path in it, what was found, what was
// wanted. A text must be one JSON value without repeated keys.
mg_err mg_schema_check(const mg_schema *s, const struct json_t *value) MG_MUST_USE;
mg_err mg_schema_check_text(const mg_schema *s, const char *json, size_t size) MG_MUST_USE;
#endif
