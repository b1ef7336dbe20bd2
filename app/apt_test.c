// Goal:   apt is told to keep to the folder, its output is the text, and its failures are sentences
//         that help.
// Method: programs named apt-get and apt-cache, found first in PATH, that write down how they were
//         called and do as the test says.
#include "app/apt.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

#define SH "#!/bin/sh\nPATH=/usr/bin:/bin\n"

static mg_arena arena;
static char     home[] = "/tmp/martingale_apt_XXXXXX";

static void install(const char *name, const char *script) {
    const char *path = mg_path(&arena, "%s/bin/%s", home, name);
    assert_int_equal(mg_file_write(path, script, strlen(script)), MG_OK);
    assert_int_equal(chmod(path, 0755), 0);
}

static char *contents(const char *name) {
    char  *text;
    size_t size;
    assert_int_equal(
        mg_file_read(mg_path(&arena, "%s/%s", home, name), 1 << 20, &arena, &text, &size), MG_OK);
    return text;
}

static mg_err fetch(char **text, size_t *size) {
    return mg_apt_fetch(mg_path(&arena, "%s/a \"folder\"", home), &arena, text, size);
}

// Good programs; a test replaces the one that is to fail.
static int setup(void **state) {
    (void)state;
    if (mg_arena_init(&arena, "test", 1 << 24)) return 1;
    if (!mkdtemp(strcpy(home, "/tmp/martingale_apt_XXXXXX"))) return 1;
    if (mg_folder_make(mg_path(&arena, "%s/bin", home))) return 1;
    setenv("PATH", mg_path(&arena, "%s/bin", home), 1); // this machine's own apt is not found
    install("apt-get", SH "printf '%s\\n' \"$@\" > \"$(dirname \"$0\")/update\"\n"
                       "cut -d' ' -f5 /proc/$$/stat > \"$(dirname \"$0\")/group\"\necho fetched\n");
    install("apt-cache", SH "printf '%s\\n' \"$@\" > \"$(dirname \"$0\")/show\"\n"
                         "echo Package: hello\necho a warning >&2\n");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    const char *remove = mg_path(&arena, "/bin/rm -r '%s'", home);
    const int   failed = system(remove);
    mg_arena_release(&arena);
    return failed;
}

static void the_text_is_what_apt_cache_prints(void **state) {
    (void)state;
    char  *text = NULL;
    size_t size = 0;
    for (int again = 0; again < 2; again++) { // a second fetch into the same folder adds nothing
        assert_int_equal(fetch(&text, &size), MG_OK);
        assert_string_equal(text, "Package: hello\n");
        assert_int_equal(size, 15);
        assert_string_equal(contents("a \"folder\"/debian.txt"), "Package: hello\n");
        assert_string_equal(contents("a \"folder\"/apt.log"), "fetched\na warning\n");
    }
}

static void apt_is_told_to_keep_to_the_folder(void **state) {
    (void)state;
    char  *text;
    size_t size;
    assert_int_equal(fetch(&text, &size), MG_OK);
    const char *options = mg_path(&arena,
                                  "-c\n%s/a \"folder\"/apt.conf\n"
                                  "-o\nDir::State=%s/a \"folder\"/state\n"
                                  "-o\nDir::Cache=%s/a \"folder\"/cache\n", home, home, home);
    assert_string_equal(contents("bin/update"), mg_path(&arena, "%supdate\n", options));
    assert_string_equal(contents("bin/show"),
                        mg_path(&arena, "%sshow\n--no-all-versions\n?origin(^Debian$)\n", options));
    const char *conf = contents("a \"folder\"/apt.conf");
    assert_non_null(strstr(conf, "#clear APT::Update::Post-Invoke-Success;\n"));
    assert_non_null(strstr(conf, "Dir::State::status \"status\";"));
    assert_true(mg_file_exists(mg_path(&arena, "%s/a \"folder\"/state/lists/partial", home)));
    assert_true(mg_file_exists(mg_path(&arena, "%s/a \"folder\"/cache/archives/partial", home)));
    assert_int_not_equal(atoi(contents("bin/group")), (int)getpgrp());
}

static void a_failure_says_what_to_do(void **state) {
    (void)state;
    char  *text = NULL;
    size_t size = 7;
    assert_int_equal(fetch(&text, &size), MG_OK);
    const struct {
        const char *name, *script, *sentence;
    } cases[] = {
        {"apt-get", SH "echo no network >&2; exit 100\n", "apt-get update failed, see "},
        {"apt-get", "#!/nowhere\n", "start apt-get: No such file"},
        {"apt-cache", SH "echo Package: half; kill -9 $$\n", "apt-cache show failed, see "},
        {"apt-cache", SH, "hold nothing from Debian"},
    };
    for (int i = 0; i < 4; i++) {
        const size_t used = arena.used;
        text              = NULL;
        install("apt-get", SH);
        install(cases[i].name, cases[i].script);
        assert_int_equal(fetch(&text, &size), MG_IO);
        assert_null(text);
        assert_non_null(strstr(mg_err_detail(), cases[i].sentence));
        assert_non_null(strstr(mg_err_detail(), "--corpus FILE"));
        assert_in_range(arena.used - used, 0, 1024); // this test's own paths
        if (i < 3) assert_string_equal(contents("a \"folder\"/debian.txt"), "Package: hello\n");
        arena.used = used;
    }
    install("apt-cache", SH "head -c 17000000 /dev/zero\n");
    assert_int_equal(fetch(&text, &size), MG_LIMIT);
}

static void on_signal(int number) { (void)number; }

static void a_signal_that_is_caught_ends_the_child(void **state) {
    (void)state;
    char                  *text;
    size_t                 size;
    struct sigaction       before;
    const struct sigaction act = {.sa_handler = on_signal}; // without SA_RESTART
    assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
    install("apt-get", SH "while kill -USR1 $PPID; do :; done\n"); // for ever, if nobody ends it
    assert_int_equal(fetch(&text, &size), MG_INTERRUPTED);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_text_is_what_apt_cache_prints),
        TEST(apt_is_told_to_keep_to_the_folder),
        TEST(a_failure_says_what_to_do),
        TEST(a_signal_that_is_caught_ends_the_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
