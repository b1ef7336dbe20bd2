// config.h - a configuration: one list per section makes the struct, the range check, the YAML
// keys, the command-line flags, the help and the table in the docs.
//
//     #define PPO_FIELDS(F)
//         F(real, gamma, 1,     0, 1,  "discount")
//         F(int,  epochs, 4,    1, 64, "passes over each batch")
//         F(flag, whiten, true, 0, 0,  "whiten the advantages")
//         F(text, model, "",    0, 0,  "model folder")
//         F(name, mask_mode, "strict", 0, 0, "code|strict: what the masks leave out")
//     typedef struct ppo_config { MG_CONFIG_STRUCT(PPO_FIELDS) } ppo_config;
//     #define MG_CONFIG_OF ppo_config
//     const mg_field ppo_fields[] = {MG_CONFIG_TABLE(PPO_FIELDS) MG_CONFIG_END};
//     #undef MG_CONFIG_OF
//
// A default is spelled out, never a macro's name: the table keeps its spelling.
//
// kind   C type       YAML                      min, max
// int    int64_t      decimal integer           inclusive range
// real   double       finite decimal number     inclusive range
// flag   bool         true | false              unused
// text   const char*  any scalar, UTF-8         unused
// name   const char*  one of the words that the doc starts with, "a|b|c: what it means"
//
// A file has top-level keys (the section named "") and one mapping per named section; an empty file
// or section changes nothing. Quotes around a value make no difference: its field says what it is.
// Later wins: defaults, file, command line. Unknown or repeated keys, wrong types and values out of
// range are refused with file, line, column, key, what was found and what was wanted.
#ifndef MG_CORE_CONFIG_H
#define MG_CORE_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/err.h"
#include "core/field.h"

#define MG_CONFIG_FILE_SIZE_MAX 65536 // bytes

typedef struct mg_section {
    const char     *name;   // "" for top-level keys
    const mg_field *fields; // ends with MG_CONFIG_END
    void           *values; // the section's struct
} mg_section;

typedef int64_t     mg_config_int;
typedef double      mg_config_real;
typedef bool        mg_config_flag;
typedef const char *mg_config_text;
typedef const char *mg_config_name;

#define MG_CONFIG_MEMBER(kind, name, fallback, min, max, doc) mg_config_##kind name;
#define MG_CONFIG_STRUCT(LIST)                                LIST(MG_CONFIG_MEMBER)
// The struct's type is bound by MG_CONFIG_OF so that the row macro keeps the list's six columns:
// #define MG_CONFIG_OF ppo_config  before the table, #undef after it.
#define MG_CONFIG_ROW(kind, name, fallback, min, max, doc)                                     \
    {#name, MG_FIELD_##kind, offsetof(MG_CONFIG_OF, name), #fallback, min, max, doc},
#define MG_CONFIG_TABLE(LIST) LIST(MG_CONFIG_ROW)
#define MG_CONFIG_END         {NULL, MG_FIELD_int, 0, NULL, 0, 0, NULL}

// Edits (insert, remove, replace) that turn a into b; with at most MG_CONFIG_EDITS_MAX one may have been meant by the
// other. More than that where either has more than 63 bytes.
#define MG_CONFIG_EDITS_MAX 2
int mg_config_edits(const char *a, const char *b);

// Writes every section's defaults. Text values live in the arena, here and below.
void mg_config_defaults(const mg_section *sections, int n, mg_arena *arena);

// Reads a file over what is there; where it fails, the keys before the wrong one are set already.
// Errors: MG_IO, MG_LIMIT (larger than MG_CONFIG_FILE_SIZE_MAX), MG_CONFIG with the sentence
// "path:line:column: section.key: found 'x', wanted y".
mg_err mg_config_read(const mg_section *sections, int n, const char *path,
                      mg_arena *arena) MG_MUST_USE;

// The scalar under a top-level key, where there is one; else *value is left as it is. For a key
// that decides which sections a file may have. Errors: MG_IO, MG_LIMIT, MG_CONFIG (not YAML).
mg_err mg_config_peek(const char *path, const char *key, mg_arena *arena,
                      const char **value) MG_MUST_USE;

// Where a file has a top-level key, "path:line:column"; *place is left as it is where it has none.
// Errors: those of mg_config_peek.
mg_err mg_config_place(const char *path, const char *key, mg_arena *arena,
                       const char **place) MG_MUST_USE;

// One override from the command line, key "section.key" or "key". The sentence begins with
// "--section.key". Error: MG_CONFIG.
mg_err mg_config_set(const mg_section *sections, int n, const char *key, const char *value,
                     mg_arena *arena) MG_MUST_USE;

// The resolved configuration as YAML that mg_config_read takes back unchanged.
void mg_config_write(const mg_section *sections, int n, FILE *out);

// One aligned line per key for --help, and a Markdown table for the docs.
void mg_config_help(const mg_section *sections, int n, FILE *out);
void mg_config_markdown(const mg_section *section, FILE *out);
#endif
