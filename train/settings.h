// settings.h - keys that mean nothing where a run acts.
#ifndef MG_TRAIN_SETTINGS_H
#define MG_TRAIN_SETTINGS_H
#include "train/job.h"

// Those of a section, " name name "; "": none.
const char *mg_keys_of_texts(const mg_algo *algo, const char *section);
bool        mg_key_listed(const char *names, const char *key);
// The worlds in which a key of `environment` does something, "support-desk, lock"; NULL: it is not of certain worlds.
const char *mg_environment_key_worlds(const char *key);
bool        mg_world_listed(const char *worlds, const char *world);
#define MG_ROBOT_WORLDS "hopper, half-cheetah, walker2d, ant" // those of worlds/robots.h

// Has the key its default? *found, *wanted: its value and the default as text, on the arena.
bool mg_key_untouched(const mg_section *section, const mg_field *f, mg_arena *arena, const char **found,
                      const char **wanted);
#endif
