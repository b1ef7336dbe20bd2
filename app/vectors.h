// vectors.h - logged data sets of vectors between layouts, for import and export.
#ifndef MG_APP_VECTORS_H
#define MG_APP_VECTORS_H
#include "core/arena.h"

// Reads either layout, checks it and writes D4RL's, which runs read. world NULL: as the source says.
// Reports to stdout. Errors: those of store/logged.h.
mg_err mg_vectors_import(const char *source, const char *out, const char *world) MG_MUST_USE;

// Minari's layout from a file of either; id NULL: "martingale/NAME-v0" with the file's name.
mg_err mg_vectors_export(const char *source, const char *folder, const char *id) MG_MUST_USE;
#endif
