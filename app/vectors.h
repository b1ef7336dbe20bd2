// vectors.h - logged data sets of vectors between layouts, for import and export.
#ifndef MG_APP_VECTORS_H
#define MG_APP_VECTORS_H
#include "env/env.h"
#include "store/transitions.h"
#include "train/settings.h"

// The worlds whose data a set of vectors may be.
#define MG_VECTORS_WORLDS "pendulum, " MG_ROBOT_WORLDS

// Whose data the set is: what is asked for (NULL: nothing is) or else what the file says. *class is that world's, NULL
// where neither says or the file names none of ours. `by` says who asks, such as "--world". Errors, naming source, key,
// found and wanted: MG_CONFIG (no such world; the file says another; observations or actions of other sizes),
// MG_CORRUPT (of other sizes than those of the world that the file names itself).
mg_err mg_vectors_world(const char *source, const mg_logged *l, const char *asked, const char *by,
                        const mg_env_class **class) MG_MUST_USE;

// Reads either layout, checks it and writes D4RL's, which runs read. world NULL: as the source says.
// Reports to stdout. Errors: those of store/logged.h and of mg_vectors_world.
mg_err mg_vectors_import(const char *source, const char *out, const char *world) MG_MUST_USE;

// Minari's layout from a file of either; id NULL: "martingale/NAME-v0" with the file's name.
mg_err mg_vectors_export(const char *source, const char *folder, const char *id) MG_MUST_USE;
#endif
