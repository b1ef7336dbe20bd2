// fixture.h - for the store's tests: a folder of their own with a run's file in it, given back afterwards.
#ifndef MG_STORE_FIXTURE_H
#define MG_STORE_FIXTURE_H
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

typedef struct fixture {
    char     folder[64], path[80];
    mg_arena arena;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/mg-store-XXXXXX");
    if (!mkdtemp(f->folder) || mg_arena_init(&f->arena, "test", (size_t)1 << 30)) return -1;
    snprintf(f->path, sizeof f->path, "%s/run.db", f->folder);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int teardown(void **state) {
    fixture *f = *state;
    nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mg_arena_release(&f->arena);
    free(f);
    return 0;
}

#define OK(call)                                                                               \
    do {                                                                                       \
        if (call) fail_msg("%s: %s", #call, mg_err_detail());                                  \
    } while (0)

static mg_store *opened(const char *path) {
    mg_store *s = NULL;
    OK(mg_store_open(&s, path));
    return s;
}

// Opened to write, in a new life behind `from` updates.
static inline mg_store *living(const char *path, int64_t from) {
    mg_store *s = opened(path);
    OK(mg_store_life(s, from, "test"));
    return s;
}
#endif
