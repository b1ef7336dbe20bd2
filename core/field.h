// field.h - one value of a configuration: its kind, default and range, and its written form.
//
// Internal to config.c, which knows sections, files and positions; see config.h for the lists that
// make these tables.
#ifndef MG_CORE_FIELD_H
#define MG_CORE_FIELD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/arena.h"

#define MG_FIELD_TEXT_SIZE_MAX 4096 // bytes of a text value

typedef enum mg_field_kind {
    MG_FIELD_int,
    MG_FIELD_real,
    MG_FIELD_flag,
    MG_FIELD_text,
    MG_FIELD_name
} mg_field_kind;

typedef struct mg_field {
    const char   *name;     // key; NULL ends the table
    mg_field_kind kind;
    size_t        offset;   // in the section's struct
    const char   *fallback; // default, as the list spells it: 1e-3, true, "strict"
    double        min, max; // int, real
    const char   *doc;
} mg_field;

// Stores the value that `text` spells in the struct `values`; false, and nothing stored, where it
// is not a value that the field takes.
bool mg_field_set(const mg_field *f, const char *text, void *values, mg_arena *arena);

// Stores the default. One that the field does not take is a broken program.
void mg_field_reset(const mg_field *f, void *values, mg_arena *arena);

// The value as a YAML scalar that mg_field_set takes back unchanged.
void mg_field_print(const mg_field *f, const void *values, FILE *out);

// What the field takes: "an integer in 1..64", "one of code strict".
void mg_field_wanted(const mg_field *f, char *out, size_t size);

// The doc without a name field's words.
const char *mg_field_meaning(const mg_field *f);
#endif
