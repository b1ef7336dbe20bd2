// settings.h - for job.c and settings.c: keys that mean nothing in worlds of vectors.
#ifndef MG_TRAIN_SETTINGS_H
#define MG_TRAIN_SETTINGS_H
#include "train/job.h"

// Those of a section, " name name "; "": none.
const char *mg_keys_of_texts(const mg_algo *algo, const char *section);
bool        mg_key_listed(const char *names, const char *key);
// Has the key its default? *found, *wanted: its value and the default as text, on the arena.
bool mg_key_untouched(const mg_section *section, const mg_field *f, mg_arena *arena, const char **found,
                      const char **wanted);
#endif
