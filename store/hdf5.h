// hdf5.h - arrays in HDF5 files, for the store's own data sets (logged.h).
//
// A key is a path from the file's root, such as "infos/qpos". Sentences of errors name file, key and,
// where it is about one, the row, from 0. What the library says goes into the sentence, its innermost
// words, and nowhere else: it prints nothing.
#ifndef MG_STORE_HDF5_H
#define MG_STORE_HDF5_H
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

#define MG_HDF5_ROWS_MAX  ((int64_t)1 << 32)
#define MG_HDF5_WIDTH_MAX 65536 // numbers of a row

void mg_hdf5_version(int version[3]); // of the library

typedef struct mg_hdf5 {
    char   *path; // owned
    int64_t file; // the library's; 0: none
} mg_hdf5;

// What an array holds, and how it lies in the file.
typedef enum mg_hdf5_kind {
    MG_HDF5_VECTORS, // float [rows, width]: floating point numbers, all finite
    MG_HDF5_NUMBERS, // float [rows] or [rows, 1]: numbers of any kind, all finite
    MG_HDF5_FLAGS,   // uint8_t [rows] or [rows, 1]: booleans as h5py has them, or integers, 0 or 1
} mg_hdf5_kind;

// A file, and no folder, pipe or device? Asked before one is opened. Error: MG_IO.
mg_err mg_hdf5_regular(const char *path) MG_MUST_USE;

// Opens to read. On success ended by mg_hdf5_close. Errors: MG_IO (not there, not to be read),
// MG_CORRUPT (no HDF5 file, or cut off).
mg_err mg_hdf5_open(mg_hdf5 *h, const char *path) MG_MUST_USE;
void   mg_hdf5_close(mg_hdf5 *h); // a file that is being made is thrown away; zeroed: no effect

bool mg_hdf5_has(const mg_hdf5 *h, const char *key);

// What an array's first dimension is, and its second (1 where it has none). Errors: MG_CORRUPT (not there,
// no array, another rank or type, a link into another file), MG_LIMIT.
mg_err mg_hdf5_shape(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t *rows,
                     int64_t *width) MG_MUST_USE;
// Reads rows [from, from + rows) of what mg_hdf5_shape has found good. Error: MG_CORRUPT (cannot be read; not all of it
// was written, or into other files; a filter that the library lacks; a number that is not finite, or too large for 4
// bytes; a flag that is neither 0 nor 1: which row).
mg_err mg_hdf5_read(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t from, int64_t rows,
                    void *out) MG_MUST_USE;
// A whole array of `wanted` rows (-1: any) into the arena. Further errors: MG_CORRUPT (another number of
// rows than `as` has), MG_LIMIT (more than the arena has room for).
mg_err mg_hdf5_array(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t wanted, const char *as,
                     mg_arena *arena, int64_t *rows, int64_t *width, void *out) MG_MUST_USE;
// An attribute that is one integer; false where there is none.
bool mg_hdf5_count(const mg_hdf5 *h, const char *key, const char *name, int64_t *value);
// A single text of at most MG_HDF5_TEXT_MAX bytes; NULL where there is none that is one.
#define MG_HDF5_TEXT_MAX 65536
const char *mg_hdf5_text(const mg_hdf5 *h, const char *key, mg_arena *arena);

// Tells `see` the key of everything in the file that is no group and no link to elsewhere, in the order of keys; or of
// everything that lies at the file's root.
typedef void mg_hdf5_see(void *context, const char *key);
void mg_hdf5_each(const mg_hdf5 *h, mg_hdf5_see *see, void *context);
void mg_hdf5_root(const mg_hdf5 *h, mg_hdf5_see *see, void *context);

// Begins a file that mg_hdf5_finish puts in its place; until then it lies beside it, as PATH.tmp. Errors: MG_BUSY
// (one of the two is there already: nothing is overwritten), MG_IO.
mg_err mg_hdf5_create(mg_hdf5 *h, const char *path) MG_MUST_USE;
mg_err mg_hdf5_finish(mg_hdf5 *h) MG_MUST_USE; // ends h
// Groups on the way are made. One of width 0 has rank 1. Error: MG_IO.
mg_err mg_hdf5_write(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t rows, int64_t width,
                     const void *data) MG_MUST_USE;
mg_err mg_hdf5_write_text(const mg_hdf5 *h, const char *key, const char *text) MG_MUST_USE;
// Attributes of the group `key`; "/" for the file's.
mg_err mg_hdf5_write_count(const mg_hdf5 *h, const char *key, const char *name, int64_t value) MG_MUST_USE;
#endif
