// hdf5_write.c - arrays into a file that is whole or absent.
#define H5_USE_110_API
#include <hdf5.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "store/hdf5.h"
#include "store/hdf5_ids.h"

#define SUFFIX ".tmp"

static mg_err io(const mg_hdf5 *h, const char *key) {
    char words[MG_HDF5_WORDS];
    mg_hdf5_words(words);
    return mg_fail(MG_IO, "write %s: %s: %s", h->path, key, words);
}

mg_err mg_hdf5_create(mg_hdf5 *h, const char *path) {
    char words[MG_HDF5_WORDS];
    *h = (mg_hdf5){0};
    mg_hdf5_begin();
    if (mg_file_exists(path)) return mg_fail(MG_BUSY, "%s is there already", path);
    char *temporary = malloc(strlen(path) + sizeof SUFFIX);
    if (!temporary) return mg_fail(MG_NOMEM, "create %s", path);
    sprintf(temporary, "%s" SUFFIX, path);
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); // the system's reason is shorter
    if (fd < 0) {
        mg_err err = errno == EEXIST ? mg_fail(MG_BUSY, "%s is there already: remove it, unless another process is "
                                                        "writing it", temporary)
                                     : mg_fail(MG_IO, "create %s: %s", temporary, strerror(errno));
        free(temporary);
        return err;
    }
    close(fd);
    const hid_t how = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(how, H5F_CLOSE_STRONG);
    const hid_t file = H5Fcreate(temporary, H5F_ACC_TRUNC, H5P_DEFAULT, how);
    if (file < 0) mg_hdf5_words(words);
    H5Pclose(how);
    if (file < 0) {
        mg_err err = mg_fail(MG_IO, "create %s: %s", temporary, words);
        unlink(temporary);
        free(temporary);
        return err;
    }
    *h = (mg_hdf5){temporary, file};
    return MG_OK;
}

static bool unfinished(const char *path) {
    const size_t n = strlen(path), k = sizeof SUFFIX - 1;
    return n > k && strcmp(path + n - k, SUFFIX) == 0;
}

void mg_hdf5_close(mg_hdf5 *h) {
    unsigned how = H5F_ACC_RDONLY;
    if (!h->file) return;
    H5Fget_intent(h->file, &how);
    H5Fclose(h->file);
    if (how != H5F_ACC_RDONLY && unfinished(h->path)) unlink(h->path);
    free(h->path);
    *h = (mg_hdf5){0};
}

static mg_err flush(const char *path) {
    const int  fd     = open(path, O_RDONLY | O_CLOEXEC);
    const bool failed = fd < 0 || fsync(fd) != 0;
    mg_err     err    = failed ? mg_fail(MG_IO, "flush %s: %s", path, strerror(errno)) : MG_OK;
    if (fd >= 0) close(fd);
    return err;
}

mg_err mg_hdf5_finish(mg_hdf5 *h) {
    char words[MG_HDF5_WORDS], path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s", (int)(strlen(h->path) - (sizeof SUFFIX - 1)), h->path);
    mg_err err = MG_OK;
    if (H5Fclose(h->file) < 0) err = mg_fail(MG_IO, "write %s: %s", h->path, mg_hdf5_words(words));
    if (!err) err = flush(h->path);
    if (!err && mg_file_exists(path)) err = mg_fail(MG_BUSY, "%s is there already", path);
    if (!err && rename(h->path, path) != 0)
        err = mg_fail(MG_IO, "rename %s to %s: %s", h->path, path, strerror(errno));
    if (err) unlink(h->path);
    free(h->path);
    *h = (mg_hdf5){0};
    return err;
}

// A boolean as h5py writes and reads it.
static hid_t boolean(void) {
    const hid_t  type = H5Tenum_create(H5T_NATIVE_INT8);
    const int8_t no = 0, yes = 1;
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    return type;
}

// The library notes the second at which a set was made, unless told not to: the same data must be the same bytes.
static mg_err write_set(const mg_hdf5 *h, const char *key, hid_t type, hid_t space, const void *data) {
    const hid_t links = H5Pcreate(H5P_LINK_CREATE), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_obj_track_times(how, 0);
    const hid_t set = H5Dcreate2(h->file, key, type, space, links, how, H5P_DEFAULT);
    mg_err      err = set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0 ? io(h, key) : MG_OK;
    if (set >= 0) H5Dclose(set);
    H5Pclose(how);
    H5Pclose(links);
    return err;
}

mg_err mg_hdf5_write(const mg_hdf5 *h, const char *key, mg_hdf5_kind kind, int64_t rows, int64_t width,
                     const void *data) {
    const hsize_t dims[2] = {(hsize_t)rows, (hsize_t)width};
    MG_ASSERT(rows > 0 && width >= 0);
    const hid_t   type    = kind == MG_HDF5_FLAGS ? boolean() : H5Tcopy(H5T_NATIVE_FLOAT);
    const hid_t   space   = H5Screate_simple(width ? 2 : 1, dims, NULL);
    mg_err        err     = write_set(h, key, type, space, data);
    H5Sclose(space);
    H5Tclose(type);
    return err;
}

mg_err mg_hdf5_write_text(const mg_hdf5 *h, const char *key, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    mg_err err = write_set(h, key, type, space, text);
    H5Sclose(space);
    H5Tclose(type);
    return err;
}

mg_err mg_hdf5_write_count(const mg_hdf5 *h, const char *key, const char *name, int64_t value) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t a     = H5Acreate_by_name(h->file, key, name, H5T_NATIVE_INT64, space, H5P_DEFAULT, H5P_DEFAULT,
                                          H5P_DEFAULT);
    mg_err      err = a < 0 || H5Awrite(a, H5T_NATIVE_INT64, &value) < 0 ? io(h, key) : MG_OK;
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return err;
}
