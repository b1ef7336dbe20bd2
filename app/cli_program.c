// cli_program.c - starting the program and reading what it left.
#include "app/cli_program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <spawn.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

#define WORDS_MAX 128
#define FILE_MAX  ((size_t)64 << 20)

mg_arena cli_arena;
char    *cli_source;

static char  home[] = "/tmp/martingale_cli_XXXXXX";
static char *program; // absolute: commands run elsewhere

// ---- Files

void cli_write(const char *path, const char *format, ...) {
    char   *text;
    va_list args;
    va_start(args, format);
    const int n = vasprintf(&text, format, args);
    va_end(args);
    assert_true(n >= 0);
    const char *slash = strrchr(path, '/');
    if (slash)
        assert_int_equal(mg_folder_make(mg_path(&cli_arena, "%.*s", (int)(slash - path), path)),
                         MG_OK);
    assert_int_equal(mg_file_write(path, text, (size_t)n), MG_OK);
    free(text);
}

char *cli_read(const char *path, size_t *size) {
    char  *text;
    size_t n;
    if (mg_file_read(path, FILE_MAX, &cli_arena, &text, &n)) fail_msg("%s", mg_err_detail());
    if (size) *size = n;
    return text;
}

void cli_same_bytes(const char *path, const char *other) {
    size_t      n, m;
    const char *a = cli_read(path, &n), *b = cli_read(other, &m);
    if (n != m || memcmp(a, b, n)) fail_msg("%s and %s differ", path, other);
}

// ---- The program

static pid_t start(const char *format, va_list args) {
    char *words[WORDS_MAX], *line, *at = NULL;
    int   n = 0;
    pid_t pid;
    assert_true(vasprintf(&line, format, args) >= 0);
    words[n++] = program;
    for (char *w = strtok_r(line, " ", &at); w; w = strtok_r(NULL, " ", &at)) {
        assert_true(n < WORDS_MAX - 1);
        words[n++] = w;
    }
    words[n] = NULL;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          how;
    sigset_t                   hang_up; // which the tests may have been told to ignore (nohup)
    const int                  fresh = O_WRONLY | O_CREAT | O_TRUNC;
    sigemptyset(&hang_up);
    sigaddset(&hang_up, SIGHUP);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigdefault(&how, &hang_up);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "stdout", fresh, 0644);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "stderr", fresh, 0644);
    assert_int_equal(posix_spawn(&pid, program, &files, &how, words, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    free(line);
    return pid;
}

cli_outcome cli_wait(pid_t pid) {
    int           status;
    struct rusage used;
    assert_int_equal(wait4(pid, &status, 0, &used), pid);
    const double ms = 1e3 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                      1e-3 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return (cli_outcome){.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                         .out = cli_read("stdout", NULL), .err = cli_read("stderr", NULL),
                         .cpu_ms = ms};
}

pid_t cli_start(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const pid_t pid = start(format, args);
    va_end(args);
    return pid;
}

cli_outcome cli(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const pid_t pid = start(format, args);
    va_end(args);
    return cli_wait(pid);
}

// Reads events of the folder until one is of `name`; false when there are none for a minute.
static bool await(int watch, const char *name) {
    char            buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    struct timeval  minute = {.tv_sec = 60};
    fd_set          set;
    for (;;) {
        FD_ZERO(&set);
        FD_SET(watch, &set);
        if (select(watch + 1, &set, NULL, NULL, &minute) != 1) return false;
        const ssize_t n = read(watch, buffer, sizeof buffer);
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const struct inotify_event *)(buffer + at);
            if (e->len > 0 && strcmp(e->name, name) == 0) return true;
            at += (ssize_t)sizeof *e + (ssize_t)e->len;
        }
    }
}

pid_t cli_start_until(const char *folder, const char *name, const char *format, ...) {
    va_list args;
    assert_int_equal(mg_folder_make(folder), MG_OK);
    const int watch = inotify_init1(IN_CLOEXEC);
    assert_true(watch >= 0 && inotify_add_watch(watch, folder, IN_CREATE | IN_MOVED_TO) >= 0);
    va_start(args, format);
    const pid_t pid = start(format, args);
    va_end(args);
    setpriority(PRIO_PROCESS, (id_t)pid, 19); // so that who waits for it gets the core first
    const bool there = await(watch, name);
    close(watch);
    if (!there) {
        kill(pid, SIGKILL);
        fail_msg("%s/%s did not come: %s", folder, name, cli_wait(pid).err);
    }
    return pid;
}

void cli_check_status(const char *file, int line, cli_outcome o, int wanted) {
    if (o.status == wanted) return;
    print_error("status %d, wanted %d\n%s%s\n", o.status, wanted, o.out, o.err);
    _fail(file, line);
}

json_t *cli_json(const char *format, ...) {
    va_list      args;
    json_error_t at;
    va_start(args, format);
    const pid_t pid = start(format, args);
    va_end(args);
    const cli_outcome o = cli_wait(pid);
    cli_status(o, 0);
    json_t *root = json_loads(o.out, JSON_REJECT_DUPLICATES, &at);
    if (!root) fail_msg("not JSON: %s: %s", at.text, o.out);
    return root;
}

void cli_check_refused(const char *file, int line, int status, const char *command,
                       const char *const *texts) {
    const cli_outcome o = cli("%s", command);
    cli_check_status(file, line, o, status);
    for (; *texts; texts++)
        if (!strstr(o.err, *texts)) {
            print_error("'%s' is not in: %s", *texts, o.err);
            _fail(file, line);
        }
}

// ---- What tests start from

static const char *const verbs[] = {"sort", "paint", "count", "mend", "weigh", "stack"};
static const char *const nouns[] = {"boats", "shells", "lamps", "coins", "leaves", "stones"};

// Pair i, for 36 different ones.
static void write_rows(const char *name, int from, int n) {
    char  *pairs, *preferences;
    size_t size;
    FILE  *a = open_memstream(&pairs, &size), *b = open_memstream(&preferences, &size);
    for (int i = from; i < from + n; i++) {
        const char *v = verbs[i / 6 % 6], *u = nouns[i % 6], *w = nouns[(i + 1) % 6];
        fprintf(a,
                "{\"prompt\": \"t%d: helps to %s %s and %s\", \"completion\": \"tool to %s %s and "
                "%s\"}\n",
                i, v, u, w, v, u, w);
        fprintf(b, "{\"prompt\": \"t%d: helps to %s %s and %s\", \"chosen\": \"tool to %s %s\", "
                   "\"rejected\": \"A thing.\"}\n", i, v, u, w, v, u);
    }
    fclose(a), fclose(b);
    cli_write(mg_path(&cli_arena, "data/%s.jsonl", name), "%s", pairs);
    cli_write(mg_path(&cli_arena, "preferences/%s.jsonl", name), "%s", preferences);
    free(pairs), free(preferences);
}

int cli_open(void **state) {
    (void)state;
    const char *named = getenv("MG_PROGRAM");
    program           = named ? realpath(named, NULL) : NULL;
    if (!program) {
        print_error("MG_PROGRAM names no program\n");
        return 1;
    }
    if (mg_arena_init(&cli_arena, "test", (size_t)1 << 30)) return 1;
    cli_source = getcwd(NULL, 0);
    if (!cli_source || !mkdtemp(home) || chdir(home)) return 1;
    write_rows("train", 0, CLI_TRAIN);
    write_rows("validation", CLI_TRAIN, CLI_HELD);
    write_rows("test", CLI_TRAIN, CLI_HELD);
    const cli_outcome o =
        cli("train --algo sft --data data --out base --sft.epochs 20 --sft.batch 8 "
            "--sft.lr 0.02 --sft.warmup 2 " CLI_NETWORK);
    cli_status(o, 0);
    return 0;
}

int cli_close(void **state) {
    (void)state;
    char *const words[] = {"rm", "-r", home, NULL};
    pid_t       pid;
    int         status;
    if (chdir("/") || posix_spawnp(&pid, "rm", NULL, NULL, words, environ)) return 1;
    free(program);
    free(cli_source);
    mg_arena_release(&cli_arena);
    return waitpid(pid, &status, 0) != pid || status != 0;
}
