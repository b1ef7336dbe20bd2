// reproduce_folder.h - for tests of grids: a folder of cells made up here, gone after each test.
#ifndef MG_APP_REPRODUCE_FOLDER_H
#define MG_APP_REPRODUCE_FOLDER_H
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/file.h"

static mg_arena arena;
static char     folder[64];

static void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/mg-reproduce-XXXXXX");
    return !mkdtemp(folder) || mg_arena_init(&arena, "test", (size_t)1 << 30) ||
           mg_folder_make(mg_path(&arena, "%s/cells", folder));
}

static int teardown(void **state) {
    (void)state;
    const int status = system(mg_path(&arena, "rm -r %s", folder));
    mg_arena_release(&arena);
    return status;
}

static void put(const char *cell, const char *text) {
    ok(mg_file_write(mg_path(&arena, "%s/cells/%s.json", folder, cell), text, strlen(text)));
}
#endif
