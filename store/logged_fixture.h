// logged_fixture.h - for tests of both layouts: a small set, and files as other programs make them.
//
// Before it: H5_USE_110_API, for the library's interface.
#ifndef MG_STORE_LOGGED_FIXTURE_H
#define MG_STORE_LOGGED_FIXTURE_H
#include <hdf5.h>

#include "store/fixture.h"
#include "store/logged.h"

#define N 6

// Three episodes: two rows to a terminal, three to a timeout, one that goes on.
static float   s[N * 2] = {0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21},
               s2[N * 2] = {2, 3, 4, 5, 12, 13, 14, 15, 16, 17, 22, 23},
               a[N] = {-1, .5f, 0, .25f, -.125f, 1}, r[N] = {1, 2, 3, -4, 5, 1e-30f},
               qpos[N] = {.1f, .2f, .3f, .4f, .5f, .6f}, qvel[N * 2] = {9, 8, 7}, logp[N] = {-1, -2, -3, -4, -5, -6};
static uint8_t over[N] = {0, 1, 0, 0, 0, 0}, cut[N] = {0, 0, 0, 0, 1, 0};

static inline mg_logged whole(void) {
    return (mg_logged){.rows = N, .obs = 2, .act = 1, .nq = 1, .nv = 2, .observation = s, .action = a, .reward = r,
                       .terminal = over, .timeout = cut, .next = s2, .qpos = qpos, .qvel = qvel, .logp = logp,
                       .world = "hopper"};
}

static inline mg_logged read_back(fixture *f, const char *path) {
    mg_logged l;
    if (mg_logged_read(path, &f->arena, &l)) fail_msg("%s", mg_err_detail());
    return l;
}

static inline void refused(fixture *f, const char *path, mg_err wanted, const char *words) {
    mg_logged    l;
    const size_t used = f->arena.used;
    const mg_err err  = mg_logged_read(path, &f->arena, &l);
    if (err != wanted || !strstr(mg_err_detail(), words))
        fail_msg("%s '%s', wanted %s '%s'", mg_err_name(err), err ? mg_err_detail() : "", mg_err_name(wanted), words);
    if (!strstr(mg_err_detail(), path)) fail_msg("'%s' does not name %s", mg_err_detail(), path);
    mg_arena_reset(&f->arena, used);
}

static inline hid_t made(const fixture *f) {
    const hid_t file = H5Fcreate(f->path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

// An array as h5py would put it: chunks, gzip and shuffle where it has numbers.
static inline void put(hid_t file, const char *key, hid_t type, int rank, hsize_t rows, hsize_t width, const void *x) {
    const hsize_t dims[2] = {rows, width}, chunk[2] = {rows > 1 ? 2 : 1, width};
    const hid_t   space = H5Screate_simple(rank, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE),
                  links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    if (rows > 0) H5Pset_chunk(how, rank, chunk), H5Pset_shuffle(how), H5Pset_deflate(how, 4);
    const hid_t set = H5Dcreate2(file, key, type, space, links, how, H5P_DEFAULT);
    assert_true(set >= 0);
    if (rows > 0) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(set), H5Pclose(links), H5Pclose(how), H5Sclose(space);
}

// An array that claims its size without having it; width 0: of rank 1.
static inline void claim(hid_t file, const char *key, hid_t type, hsize_t rows, hsize_t width) {
    const hsize_t dims[2] = {rows, width}, chunk[2] = {64, width < 64 ? width : 64};
    const hid_t   space = H5Screate_simple(width ? 2 : 1, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE),
                  links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_chunk(how, width ? 2 : 1, chunk);
    H5Dclose(H5Dcreate2(file, key, type, space, links, how, H5P_DEFAULT));
    H5Pclose(links), H5Pclose(how), H5Sclose(space);
}
#endif
