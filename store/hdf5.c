// hdf5.c - reading arrays, with every check that their readers would have to make.
//
// Version 1.10 of the library's interface. It keeps its errors per thread and prints them unless told
// not to; ids are closed by hand, and the file closes whatever was left open (H5F_CLOSE_STRONG).
#define H5_USE_110_API
#include "store/hdf5.h"

#include <hdf5.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "store/hdf5_ids.h"

#define ROOM 4096 // of the arena that a text leaves for its key and what is said of it

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *out) {
    if (n == 0) snprintf(out, MG_HDF5_WORDS, "%s", e->desc);
    return 0;
}

const char *mg_hdf5_words(char words[MG_HDF5_WORDS]) {
    strcpy(words, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, words);
    return words;
}

// Of what could not be opened. What the library cannot read of a newer one's files it calls a bad version.
static const char *opening_words(char words[MG_HDF5_WORDS]) {
    unsigned     v[3] = {0};
    const size_t n    = strlen(mg_hdf5_words(words)); // before the next call forgets them
    H5get_libversion(&v[0], &v[1], &v[2]);
    if (strstr(words, "version number"))
        snprintf(words + n, MG_HDF5_WORDS - n, ": the file may be for a newer HDF5 than %u.%u.%u, as h5py's are with "
                 "libver='latest'; wanted its default, or 'v110'", v[0], v[1], v[2]);
    return words;
}

void mg_hdf5_begin(void) {
    H5dont_atexit(); // refused from the second time on
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void mg_hdf5_version(int version[3]) {
    unsigned x[3] = {0};
    mg_hdf5_begin();
    H5get_libversion(&x[0], &x[1], &x[2]);
    for (int i = 0; i < 3; i++) version[i] = (int)x[i];
}

// The system's reasons are shorter than the library's, and a pipe would be waited for.
mg_err mg_hdf5_regular(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode)) return MG_OK;
    return mg_fail(MG_IO, "open %s: found %s, wanted a file", path, S_ISDIR(st.st_mode) ? "a folder" : "no file");
}

mg_err mg_hdf5_open(mg_hdf5 *h, const char *path) {
    char words[MG_HDF5_WORDS];
    *h = (mg_hdf5){0};
    mg_hdf5_begin();
    mg_err err = mg_hdf5_regular(path);
    if (err) return err;
    FILE *f = fopen(path, "rb");
    if (!f) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    fclose(f);
    const hid_t how = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(how, H5F_CLOSE_STRONG);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, how);
    if (file < 0) opening_words(words);
    H5Pclose(how);
    if (file < 0) return mg_fail(MG_CORRUPT, "%s: no HDF5 file that can be read: %s", path, words);
    char *copy = strdup(path);
    if (!copy) {
        H5Fclose(file);
        return mg_fail(MG_NOMEM, "open %s", path);
    }
    *h = (mg_hdf5){copy, file};
    return MG_OK;
}

// Asks for each part of a path, as the library wants it, before the next; false where one is not there. *out: one of
// them leads into another file, in which nothing is looked for.
static bool walk(const mg_hdf5 *h, const char *key, bool *out) {
    char       part[256];
    H5L_info_t link;
    *out = false;
    if (strlen(key) >= sizeof part) return false;
    for (size_t i = 1;; i++) {
        if (key[i] && key[i] != '/') continue;
        memcpy(part, key, i);
        part[i] = 0;
        if (H5Lexists(h->file, part, H5P_DEFAULT) <= 0) return false;
        *out = H5Lget_info(h->file, part, &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_EXTERNAL;
        if (*out || !key[i]) return true;
    }
}

bool mg_hdf5_has(const mg_hdf5 *h, const char *key) {
    bool out;
    return walk(h, key, &out);
}

static bool leads_out(const mg_hdf5 *h, const char *key) {
    bool out;
    return walk(h, key, &out) && out;
}

// A link within the file may lead to one that leads out of it.
static bool lies_here(const mg_hdf5 *h, hid_t object) {
    H5O_info_t root, found;
    return H5Oget_info(h->file, &root) >= 0 && H5Oget_info(object, &found) >= 0 && root.fileno == found.fileno;
}

// ---- What an array is

static const char *class_name(H5T_class_t c) {
    switch (c) {
    case H5T_INTEGER:  return "integers";
    case H5T_FLOAT:    return "floating point numbers";
    case H5T_STRING:   return "texts";
    case H5T_COMPOUND: return "compounds";
    case H5T_ENUM:     return "an enumeration";
    default:           return "something else";
    }
}

static mg_err check_class(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, H5T_class_t c) {
    static const char *const wanted[] = {"floating point numbers", "numbers", "booleans or integers"};
    const bool good[] = {c == H5T_FLOAT, c == H5T_FLOAT || c == H5T_INTEGER, c == H5T_ENUM || c == H5T_INTEGER};
    if (good[kind]) return MG_OK;
    return mg_fail(MG_CORRUPT, "%s: %s: found %s, wanted %s", h->path, key, class_name(c), wanted[kind]);
}

// Rank and dimensions; `dims` becomes {rows, width}.
static mg_err check_dims(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int rank, hsize_t dims[2]) {
    const bool vectors = kind == MG_HDF5_VECTORS;
    if (vectors ? rank != 2 : rank != 1 && !(rank == 2 && dims[1] == 1))
        return mg_fail(MG_CORRUPT, "%s: %s: found rank %d, wanted %s", h->path, key, rank,
                       vectors ? "2: rows of numbers" : "1: a number per row");
    if (rank == 1) dims[1] = 1;
    if (dims[0] == 0 || dims[1] == 0)
        return mg_fail(MG_CORRUPT, "%s: %s: found %llu rows of %llu, wanted at least 1 of 1", h->path, key,
                       (unsigned long long)dims[0], (unsigned long long)dims[1]);
    if (dims[0] > (hsize_t)MG_HDF5_ROWS_MAX || dims[1] > MG_HDF5_WIDTH_MAX)
        return mg_fail(MG_LIMIT, "%s: %s: found %llu rows of %llu, wanted at most %lld of %d", h->path, key,
                       (unsigned long long)dims[0], (unsigned long long)dims[1], (long long)MG_HDF5_ROWS_MAX,
                       MG_HDF5_WIDTH_MAX);
    return MG_OK;
}

static const char *object_name(H5I_type_t type) {
    return type == H5I_GROUP ? "a group" : type == H5I_DATATYPE ? "a named type" : "something else";
}

mg_err mg_hdf5_shape(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t *rows, int64_t *width) {
    char words[MG_HDF5_WORDS];
    if (!mg_hdf5_has(h, key)) return mg_fail(MG_CORRUPT, "%s: %s: is not there", h->path, key);
    if (leads_out(h, key))
        return mg_fail(MG_CORRUPT, "%s: %s: found a link into another file, wanted an array", h->path, key);
    const hid_t set = H5Oopen(h->file, key, H5P_DEFAULT);
    if (set < 0) return mg_fail(MG_CORRUPT, "%s: %s: %s", h->path, key, opening_words(words));
    const H5I_type_t kept = H5Iget_type(set);
    const bool       here = lies_here(h, set);
    if (kept != H5I_DATASET || !here) {
        H5Oclose(set);
        return mg_fail(MG_CORRUPT, "%s: %s: found %s, wanted an array", h->path, key,
                       here ? object_name(kept) : "a link into another file");
    }
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hsize_t     dims[2] = {0};
    const int   rank    = H5Sget_simple_extent_ndims(space);
    if (rank == 1 || rank == 2) H5Sget_simple_extent_dims(space, dims, NULL);
    mg_err err = check_class(h, key, kind, H5Tget_class(type));
    if (!err) err = check_dims(h, key, kind, rank, dims);
    H5Tclose(type);
    H5Sclose(space);
    H5Oclose(set);
    if (err) return err;
    *rows = (int64_t)dims[0], *width = (int64_t)dims[1];
    return MG_OK;
}

// ---- Its numbers

// Each filter that its numbers went through is one that this library has.
static mg_err check_filters(const mg_hdf5 *h, const char *key, hid_t how) {
    for (int i = 0; i < H5Pget_nfilters(how); i++) {
        char               name[64] = "";
        unsigned           flags, config;
        size_t             n  = 0;
        const H5Z_filter_t id = H5Pget_filter2(how, (unsigned)i, &flags, &n, NULL, sizeof name, name, &config);
        if (H5Zfilter_avail(id) <= 0)
            return mg_fail(MG_CORRUPT, "%s: %s: found the filter %d (%s), wanted none, gzip, shuffle or fletcher32",
                           h->path, key, (int)id, name);
    }
    return MG_OK;
}

// Was each of an array's chunks written, or all of it, where it lies in one piece? The library's own word for it
// (H5Dget_space_status) takes what is compressed for a part.
static bool all_written(hid_t set, hid_t how, const hsize_t dims[2]) {
    hsize_t chunk[2] = {1, 1}, written = 0, wanted = 1;
    if (H5Pget_layout(how) != H5D_CHUNKED) return H5Dget_storage_size(set) > 0;
    const int rank = H5Pget_chunk(how, 2, chunk);
    for (int i = 0; i < rank && i < 2; i++) wanted *= (dims[i] + chunk[i] - 1) / chunk[i];
    const hid_t space = H5Dget_space(set);
    const bool  told  = H5Dget_num_chunks(set, space, &written) >= 0;
    H5Sclose(space);
    return told && written == wanted;
}

// All of the numbers are in this file: where some are not, the library reads zeros, or another file's.
static mg_err check_storage(const mg_hdf5 *h, const char *key, hid_t set, const hsize_t dims[2]) {
    const hid_t how = H5Dget_create_plist(set);
    mg_err      err = check_filters(h, key, how);
    if (!err && (H5Pget_layout(how) == H5D_VIRTUAL || H5Pget_external_count(how) > 0))
        err = mg_fail(MG_CORRUPT, "%s: %s: found an array that is kept in other files, wanted it in this one", h->path,
                      key);
    if (!err && !all_written(set, how, dims))
        err = mg_fail(MG_CORRUPT, "%s: %s: found an array that was not written, or not all of it", h->path, key);
    H5Pclose(how);
    return err;
}

static mg_err check_numbers(const mg_hdf5 *h, const char *key, const float *x, int64_t from, int64_t rows,
                            int64_t width) {
    for (int64_t k = 0; k < rows * width; k++)
        if (!isfinite(x[k]))
            return mg_fail(MG_CORRUPT, "%s: %s: row %lld: found %g, wanted finite numbers of 4 bytes", h->path, key,
                           (long long)(from + k / width), (double)x[k]);
    return MG_OK;
}

#define DIGITS 24 // of any integer of 8 bytes, with its sign and an end

// The number of a row as it is in the file.
static const char *number_at(const mg_hdf5 *h, const char *key, int64_t row, char digits[DIGITS]) {
    const hsize_t start[2] = {(hsize_t)row, 0}, one[2] = {1, 1};
    const hid_t   set = H5Dopen2(h->file, key, H5P_DEFAULT), space = H5Dget_space(set);
    const hid_t   memory = H5Screate_simple(1, one, NULL), type = H5Dget_type(set);
    const bool    whole  = H5Tget_sign(type) == H5T_SGN_NONE; // may be larger than the largest with a sign
    uint64_t      x      = 0;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, one, NULL);
    H5Dread(set, whole ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &x);
    if (whole)
        snprintf(digits, DIGITS, "%llu", (unsigned long long)x);
    else
        snprintf(digits, DIGITS, "%lld", (long long)x);
    H5Tclose(type);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    return digits;
}

static mg_err check_flags(const mg_hdf5 *h, const char *key, const uint8_t *x, int64_t from, int64_t rows) {
    char digits[DIGITS];
    for (int64_t k = 0; k < rows; k++)
        if (x[k] > 1)
            return mg_fail(MG_CORRUPT, "%s: %s: row %lld: found %s, wanted 0 or 1", h->path, key,
                           (long long)(from + k), number_at(h, key, from + k, digits));
    return MG_OK;
}

mg_err mg_hdf5_read(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t from, int64_t rows, void *out) {
    char        words[MG_HDF5_WORDS];
    hsize_t     dims[2] = {0, 1}, start[2] = {(hsize_t)from, 0};
    const hid_t set = H5Dopen2(h->file, key, H5P_DEFAULT), space = H5Dget_space(set);
    H5Sget_simple_extent_dims(space, dims, NULL);
    MG_ASSERT(from >= 0 && rows >= 0 && (hsize_t)(from + rows) <= dims[0]);
    mg_err err = check_storage(h, key, set, dims);
    if (err) {
        H5Sclose(space);
        H5Dclose(set);
        return err;
    }
    dims[0]            = (hsize_t)rows;
    const hid_t memory = H5Screate_simple(H5Sget_simple_extent_ndims(space), dims, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dims, NULL);
    // Integers outside the byte become its largest and smallest, which are no flags either.
    const herr_t failed = H5Dread(set, kind == MG_HDF5_FLAGS ? H5T_NATIVE_INT8 : H5T_NATIVE_FLOAT, memory, space,
                                  H5P_DEFAULT, out);
    if (failed < 0) mg_hdf5_words(words);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    if (failed < 0) return mg_fail(MG_CORRUPT, "%s: %s: %s", h->path, key, words);
    return kind == MG_HDF5_FLAGS ? check_flags(h, key, out, from, rows)
                                 : check_numbers(h, key, out, from, rows, (int64_t)dims[1]);
}

mg_err mg_hdf5_array(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t wanted, const char *as,
                     mg_arena *arena, int64_t *rows, int64_t *width, void *out) {
    int64_t n, w;
    mg_err  err = mg_hdf5_shape(h, key, kind, &n, &w);
    if (err) return err;
    if (wanted >= 0 && n != wanted)
        return mg_fail(MG_CORRUPT, "%s: %s: found %lld rows, wanted %lld, as many as %s has", h->path, key,
                       (long long)n, (long long)wanted, as);
    const size_t size = (size_t)(n * w) * (kind == MG_HDF5_FLAGS ? 1 : sizeof(float)); // below 2^50
    if (size + 64 > arena->size_max - arena->used)
        return mg_fail(MG_LIMIT, "%s: %s: found %zu bytes, wanted at most %zu", h->path, key, size,
                       arena->size_max - arena->used);
    const size_t mark = mg_arena_mark(arena);
    void        *x    = mg_arena_alloc_raw(arena, size);
    err               = mg_hdf5_read(h, key, kind, 0, n, x);
    if (err) {
        mg_arena_reset(arena, mark);
        return err;
    }
    *rows = n, *width = w;
    memcpy(out, &x, sizeof x);
    return MG_OK;
}

static const char *read_text(hid_t set, hid_t type, mg_arena *arena) {
    if (H5Tis_variable_str(type) > 0) {
        char *text = NULL;
        if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0 || !text) return NULL;
        const char *copy = strlen(text) > MG_HDF5_TEXT_MAX ? NULL : mg_arena_strdup(arena, text);
        H5free_memory(text);
        return copy;
    }
    const size_t size = H5Tget_size(type);
    if (size == 0 || size > MG_HDF5_TEXT_MAX) return NULL;
    char *text = mg_arena_alloc(arena, size + 1);
    return H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0 ? NULL : text;
}

bool mg_hdf5_count(const mg_hdf5 *h, const char *key, const char *name, int64_t *value) {
    if (!mg_hdf5_has(h, key) || H5Aexists_by_name(h->file, key, name, H5P_DEFAULT) <= 0) return false;
    const hid_t at    = H5Aopen_by_name(h->file, key, name, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Aget_space(at), type = H5Aget_type(at);
    const bool  one   = H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1;
    const bool  good  = one && H5Aread(at, H5T_NATIVE_INT64, value) >= 0;
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(at);
    return good;
}

const char *mg_hdf5_text(const mg_hdf5 *h, const char *key, mg_arena *arena) {
    const bool there = mg_hdf5_has(h, key) && !leads_out(h, key);
    if (!there || MG_HDF5_TEXT_MAX + ROOM > arena->size_max - arena->used) return NULL;
    const hid_t set = H5Dopen2(h->file, key, H5P_DEFAULT);
    if (set < 0) return NULL;
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    const char *text  = NULL;
    if (lies_here(h, set) && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1)
        text = read_text(set, type, arena);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return text;
}

// ---- What there is

typedef struct visit {
    mg_hdf5_see *see;
    void        *context;
} visit;

static herr_t visit_one(hid_t file, const char *key, const H5O_info_t *info, void *context) {
    const visit *v = context;
    (void)file;
    if (info->type != H5O_TYPE_GROUP) v->see(v->context, key);
    return 0;
}

void mg_hdf5_each(const mg_hdf5 *h, mg_hdf5_see *see, void *context) {
    visit v = {see, context};
    H5Ovisit(h->file, H5_INDEX_NAME, H5_ITER_INC, visit_one, &v);
}

static herr_t visit_link(hid_t root, const char *name, const H5L_info_t *info, void *context) {
    const visit *v = context;
    (void)root, (void)info;
    v->see(v->context, name);
    return 0;
}

void mg_hdf5_root(const mg_hdf5 *h, mg_hdf5_see *see, void *context) {
    visit v = {see, context};
    H5Literate(h->file, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &v);
}
