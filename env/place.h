// place.h - where in a JSON value something was found, for sentences. Internal to schema.c and
// manifest.c.
#ifndef MG_ENV_PLACE_H
#define MG_ENV_PLACE_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define MG_PLACE_SIZE 160
#define MG_PLACE_KEY  SIZE_MAX

// A link of the way down from the root, which is NULL.
typedef struct mg_place {
    const struct mg_place *up;
    const char            *key;
    size_t                 index; // of key's list; MG_PLACE_KEY: the key itself
} mg_place;

// "$.order.lines[2]", or its beginning and "..."; returns `out`.
const char *mg_place_print(const mg_place *at, char out[MG_PLACE_SIZE]);
const char *mg_json_kind(const json_t *v); // "a text"; NULL: "nothing"
// The value itself where it is short, its kind elsewhere; returns `out`.
const char *mg_json_brief(const json_t *v, char out[MG_PLACE_SIZE]);
#endif
