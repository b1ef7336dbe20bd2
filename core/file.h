// file.h - whole files: read at once, written atomically.
//
// Writing goes to "path.tmp" beside the target, is flushed to the disk and renamed over it: after a
// kill or a full disk the old file is there, whole, or the new one is.
#ifndef MG_CORE_FILE_H
#define MG_CORE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"

// The file's bytes plus a terminating 0 that size does not count. Only regular files, whose size is
// known before they are read; refused above size_max. Errors: MG_IO, MG_LIMIT.
mg_err mg_file_read(const char *path, size_t size_max, mg_arena *arena, char **data,
                    size_t *size) MG_MUST_USE;

// One writer per path. Error: MG_IO (the sentence gives the system's reason, such as "No space left
// on device"); the old file stays and nothing is left beside it.
mg_err mg_file_write(const char *path, const void *data, size_t size) MG_MUST_USE;

// Makes the folder and its parents. Error: MG_IO.
mg_err mg_folder_make(const char *path) MG_MUST_USE;
mg_err mg_parent_make(const char *path) MG_MUST_USE; // the folders on the way to it
bool   mg_file_exists(const char *path);

// Waits until the names in the folder are on the disk: what was made, renamed or removed there.
// Error: MG_IO.
mg_err mg_folder_sync(const char *path) MG_MUST_USE;

// printf into the arena: for paths.
char *mg_path(mg_arena *arena, const char *fmt, ...) MG_PRINTF(2, 3);
// n bytes in hexadecimal, two small letters each, on the arena: for hashes.
char *mg_hex(mg_arena *arena, const uint8_t *bytes, size_t n);
#endif
