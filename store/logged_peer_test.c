// logged_peer_test.c - data sets that h5py and Minari wrote: every number of them.
//
// MG_PEER_DIR names what `tools/peer_hdf5.py write` made. Each set is written again under
// MG_PEER_DIR/ours_hdf5, in both layouts, for `tools/peer_hdf5.py check`; and a set of each world that Gymnasium has.
#include <glob.h>
#include <sys/stat.h>

#include "core/file.h"
#include "store/fixture.h"
#include "store/logged.h"

// The parts of NAME.expected, one after the other.
static const char *take(const char *at, const char *end, const void *got, size_t size, const char *what) {
    if ((size_t)(end - at) < size) fail_msg("%s: found %zu bytes, expected %zu", what, size, (size_t)(end - at));
    if (memcmp(at, got, size) != 0) fail_msg("%s differs", what);
    return at + size;
}

static void check(const mg_logged *l, const char *expected, size_t size) {
    const char   *at = expected, *end = expected + size;
    const int64_t head[3] = {l->rows, l->obs, l->act};
    const size_t  n = (size_t)l->rows, obs = sizeof(float) * (size_t)l->obs, act = sizeof(float) * (size_t)l->act;
    assert_non_null(l->next);
    at = take(at, end, head, sizeof head, "rows, obs, act");
    at = take(at, end, l->observation, n * obs, "observations");
    at = take(at, end, l->action, n * act, "actions");
    at = take(at, end, l->reward, n * sizeof(float), "rewards");
    at = take(at, end, l->next, n * obs, "next observations");
    at = take(at, end, l->terminal, n, "terminals");
    at = take(at, end, l->timeout, n, "timeouts");
    assert_ptr_equal(at, end);
}

static void write_again(const mg_logged *l, const char *folder, const char *name, mg_arena *arena) {
    const char *file = mg_path(arena, "%s/ours_hdf5/%s.hdf5", folder, name);
    const char *set  = mg_path(arena, "%s/ours_hdf5/minari/ours/%s-v0", folder, name);
    const char *id   = mg_path(arena, "ours/%s-v0", name);
    if (mg_folder_make(mg_path(arena, "%s/ours_hdf5", folder))) fail_msg("%s", mg_err_detail());
    if (mg_d4rl_write(file, l)) fail_msg("%s", mg_err_detail());
    if (mg_minari_write(set, id, l, arena)) fail_msg("%s", mg_err_detail());
}

static void test_every_set_of_the_peers(void **state) {
    fixture    *f      = *state;
    const char *folder = getenv("MG_PEER_DIR");
    glob_t      found;
    if (!folder) fail_msg("MG_PEER_DIR is not set; wanted a folder from tools/peer_hdf5.py write");
    assert_int_equal(glob(mg_path(&f->arena, "%s/hdf5/*.expected", folder), 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 5);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i], *base = strrchr(path, '/') + 1;
        const char *stem = mg_path(&f->arena, "%.*s", (int)(strlen(path) - strlen(".expected")), path);
        const char *file = mg_path(&f->arena, "%s.hdf5", stem);
        char       *expected;
        size_t      size;
        mg_logged   l;
        if (mg_file_read(path, (size_t)1 << 30, &f->arena, &expected, &size)) fail_msg("%s", mg_err_detail());
        if (mg_logged_read(mg_file_exists(file) ? file : stem, &f->arena, &l)) fail_msg("%s", mg_err_detail());
        print_message("%s: %lld rows\n", base, (long long)l.rows);
        check(&l, expected, size);
        write_again(&l, folder, mg_path(&f->arena, "%.*s", (int)(strlen(base) - strlen(".expected")), base), &f->arena);
    }
    globfree(&found);
}

// One row each, whose environment Minari is to make again.
static void test_a_set_of_each_of_gymnasiums_worlds(void **state) {
    fixture    *f      = *state;
    const char *folder = getenv("MG_PEER_DIR");
    static const struct { const char *world, *version; int64_t obs, act; } worlds[] = {
        {"hopper", "v4", 11, 3}, {"hopper", "v5", 11, 3}, {"half-cheetah", "v4", 17, 6}, {"half-cheetah", "v5", 17, 6},
        {"walker2d", "v4", 17, 6}, {"walker2d", "v5", 17, 6}, {"ant", "v4", 27, 8}, {"ant", "v5", 105, 8},
        {"pendulum", "v5", 3, 1}}; // a pendulum has one version, whatever is said
    if (!folder) fail_msg("MG_PEER_DIR is not set; wanted a folder from tools/peer_hdf5.py write");
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++) {
        float                zero[105] = {0};
        uint8_t              over      = 1, cut = 0;
        const mg_logged_word words[]   = {{MG_LOGGED_VERSION, worlds[i].version}, {0}};
        const mg_logged      l = {.rows = 1, .obs = worlds[i].obs, .act = worlds[i].act, .observation = zero,
                                  .action = zero, .reward = zero, .terminal = &over, .timeout = &cut, .next = zero,
                                  .world = worlds[i].world, .words = words};
        const char *name = mg_path(&f->arena, "%s-%s", worlds[i].world, worlds[i].version);
        const char *set  = mg_path(&f->arena, "%s/ours_hdf5/minari/worlds/%s-v0", folder, name);
        const char *id   = mg_path(&f->arena, "worlds/%s-v0", name);
        if (mg_minari_write(set, id, &l, &f->arena)) fail_msg("%s", mg_err_detail());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_set_of_the_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_set_of_each_of_gymnasiums_worlds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
