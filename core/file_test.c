// Goal:   a file is read whole or refused; a write that fails leaves the old file, whole, alone.
// Method: a limit on the file size stands for a full disk (write fails half way, with EFBIG); a
//         reader that holds the old file open proves that it was replaced and not overwritten.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

typedef struct fixture {
    mg_arena arena;
    char     folder[32];
} fixture;

static int open_fixture(void **state) {
    static fixture f;
    strcpy(f.folder, "/tmp/mg_file_test_XXXXXX");
    *state = &f;
    return !mkdtemp(f.folder) || mg_arena_init(&f.arena, "test", 1 << 20);
}

static int close_fixture(void **state) {
    fixture *f = *state;
    char     command[64];
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    mg_arena_release(&f->arena);
    return system(command);
}

static void assert_holds(fixture *f, const char *path, const char *text) {
    char  *data;
    size_t size;
    assert_int_equal(mg_file_read(path, 1000, &f->arena, &data, &size), MG_OK);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text); // the terminating 0 too
}

static void what_is_written_is_read(void **state) {
    fixture   *f        = *state;
    char      *path     = mg_path(&f->arena, "%s/%d", f->folder, 1), *data;
    const char bytes[6] = {'a', 0, '\r', '\n', (char)0xFF, 'z'};
    size_t     size;
    assert_int_equal(mg_file_write(path, bytes, 6), MG_OK);
    memset(mg_arena_alloc_raw(&f->arena, 4096), 0xFF, 4096); // the final 0 must not be luck
    mg_arena_reset(&f->arena, 64);
    assert_int_equal(mg_file_read(path, 6, &f->arena, &data, &size), MG_OK);
    assert_int_equal(size, 6);
    assert_memory_equal(data, bytes, 6);
    assert_int_equal(data[6], 0);
}

static void an_empty_file_is_a_file(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/empty", f->folder);
    assert_int_equal(mg_file_write(path, NULL, 0), MG_OK);
    assert_holds(f, path, "");
}

static void writing_replaces_the_file_and_leaves_readers_the_old_one(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/a", f->folder), old[8] = "";
    assert_int_equal(mg_file_write(path, "old", 3), MG_OK);
    FILE *reader = fopen(path, "rb");
    assert_non_null(reader);
    assert_int_equal(mg_file_write(path, "new text", 8), MG_OK);
    assert_int_equal(fread(old, 1, sizeof old, reader), 3);
    fclose(reader);
    assert_memory_equal(old, "old", 3);
    assert_holds(f, path, "new text");
    assert_false(mg_file_exists(mg_path(&f->arena, "%s/a.tmp", f->folder)));
}

static void a_full_disk_leaves_the_old_file(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/a", f->folder);
    char    *big  = mg_arena_alloc(&f->arena, 8192);
    assert_int_equal(mg_file_write(path, "old", 3), MG_OK);

    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit          = before;
    limit.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const mg_err err = mg_file_write(path, big, 8192);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);

    assert_int_equal(err, MG_IO);
    assert_string_equal(mg_err_detail(), mg_path(&f->arena, "write %s.tmp: File too large", path));
    assert_holds(f, path, "old");
    assert_false(mg_file_exists(mg_path(&f->arena, "%s.tmp", path)));
}

static void a_missing_folder_is_named(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/none/a", f->folder);
    assert_int_equal(mg_file_write(path, "x", 1), MG_IO);
    assert_string_equal(mg_err_detail(), mg_path(&f->arena,
                                                 "create %s.tmp: No such file or directory", path));
}

static void a_file_cannot_take_a_folders_name(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/folder", f->folder);
    assert_int_equal(mg_folder_make(path), MG_OK);
    assert_int_equal(mg_file_write(path, "x", 1), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "Is a directory"));
    assert_false(mg_file_exists(mg_path(&f->arena, "%s.tmp", path)));
}

// Asserts the code and the sentence, and that neither outputs nor the arena were touched.
static void assert_unreadable(fixture *f, const char *path, size_t size_max, mg_err code,
                              const char *sentence) {
    char        *data = NULL;
    size_t       size = 77;
    const size_t used = f->arena.used;
    assert_int_equal(mg_file_read(path, size_max, &f->arena, &data, &size), code);
    assert_string_equal(mg_err_detail(), sentence);
    assert_null(data);
    assert_int_equal(size, 77);
    assert_int_equal(f->arena.used, used);
}

static void what_cannot_be_read_whole_is_refused(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/a", f->folder);
    char    *missing  = mg_path(&f->arena, "open %s: No such file or directory", path);
    char    *too_big  = mg_path(&f->arena, "read %s: found 10 bytes, wanted at most 9", path);
    char    *a_folder = mg_path(&f->arena, "read %s: found a folder, wanted a file", f->folder);
    assert_unreadable(f, path, 9, MG_IO, missing);
    assert_int_equal(mg_file_write(path, "0123456789", 10), MG_OK);
    assert_unreadable(f, path, 9, MG_LIMIT, too_big);
    assert_unreadable(f, f->folder, 9, MG_IO, a_folder);
    assert_unreadable(f, "/dev/zero", 9, MG_IO,
                      "read /dev/zero: found a pipe or device, wanted a file");
}

// The kernel says one page for a file of /sys, whatever it holds.
static void a_file_shorter_than_it_says_is_refused(void **state) {
    fixture           *f    = *state;
    static const char *path = "/sys/devices/system/cpu/online";
    char              *data = NULL;
    size_t             size;
    if (!mg_file_exists(path)) skip();
    assert_int_equal(mg_file_read(path, 1 << 16, &f->arena, &data, &size), MG_IO);
    assert_non_null(strstr(mg_err_detail(), " of its 4096 bytes"));
    assert_null(data);
    assert_int_equal(f->arena.used, 0);
}

static void folders_are_made_with_their_parents(void **state) {
    fixture *f = *state;
    assert_int_equal(mg_folder_make(mg_path(&f->arena, "%s/a/b//c/", f->folder)), MG_OK);
    assert_int_equal(mg_folder_make(mg_path(&f->arena, "%s/a/b/c", f->folder)), MG_OK);
    char *path = mg_path(&f->arena, "%s/a/b/c/file", f->folder);
    assert_int_equal(mg_file_write(path, "x", 1), MG_OK);
    assert_true(mg_file_exists(path));
    assert_int_equal(mg_folder_make("/"), MG_OK);
}

static void a_file_in_the_way_of_a_folder_is_named(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/file", f->folder);
    char    *below = mg_path(&f->arena, "%s/file/a", f->folder);
    assert_int_equal(mg_file_write(path, "x", 1), MG_OK);
    assert_int_equal(mg_folder_make(path), MG_IO);
    assert_string_equal(mg_err_detail(),
                        mg_path(&f->arena, "make folder %s: Not a directory", path));
    assert_int_equal(mg_folder_make(below), MG_IO);
    assert_string_equal(mg_err_detail(),
                        mg_path(&f->arena, "make folder %s: Not a directory", below));
    assert_int_equal(mg_folder_make(""), MG_IO);
    assert_string_equal(mg_err_detail(), "make folder '': No such file or directory");
}

static void a_folder_is_flushed_and_nothing_else(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "%s/file", f->folder);
    assert_int_equal(mg_folder_sync(f->folder), MG_OK);
    assert_int_equal(mg_file_write(path, "x", 1), MG_OK);
    assert_int_equal(mg_folder_sync(path), MG_IO);
    assert_string_equal(mg_err_detail(), mg_path(&f->arena, "open folder %s: Not a directory", path));
    assert_int_equal(mg_folder_sync("/nowhere/at/all"), MG_IO);
    assert_string_equal(mg_err_detail(), "open folder /nowhere/at/all: No such file or directory");
}

static void endless_paths_are_refused(void **state) {
    fixture *f    = *state;
    char    *path = mg_path(&f->arena, "/%05000d", 0);
    assert_int_equal(mg_file_write(path, "x", 1), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "create /0000"));
    assert_int_equal(mg_folder_make(path), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "make folder '/0000"));
}

static void bytes_become_letters(void **state) {
    fixture      *f       = *state;
    const uint8_t bytes[] = {0, 0x0f, 0xa0, 0xff};
    assert_string_equal(mg_hex(&f->arena, bytes, sizeof bytes), "000fa0ff");
    assert_string_equal(mg_hex(&f->arena, bytes, 0), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_become_letters),
        TEST(what_is_written_is_read),
        TEST(an_empty_file_is_a_file),
        TEST(writing_replaces_the_file_and_leaves_readers_the_old_one),
        TEST(a_full_disk_leaves_the_old_file),
        TEST(a_missing_folder_is_named),
        TEST(a_file_cannot_take_a_folders_name),
        TEST(what_cannot_be_read_whole_is_refused),
        TEST(a_file_shorter_than_it_says_is_refused),
        TEST(folders_are_made_with_their_parents),
        TEST(a_file_in_the_way_of_a_folder_is_named),
        TEST(a_folder_is_flushed_and_nothing_else),
        TEST(endless_paths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
