// apt.c - two child processes, told by a configuration file to keep to themselves.
#include "app/apt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"

// Read after the system's own configuration (apt.conf(5)); `#clear` is a directive there. Hooks
// would rewrite the system's caches; other index targets (contents, icons) would be fetched too.
// Indexes kept uncompressed make `apt-cache show` 70 times faster, 2.5 s for 180.
static const char CONF[] =
    "#clear APT::Update::Pre-Invoke;\n"
    "#clear APT::Update::Post-Invoke;\n"
    "#clear APT::Update::Post-Invoke-Success;\n"
    "#clear Acquire::Languages;\n"
    "#clear Acquire::IndexTargets;\n"
    "APT::Update::Error-Mode \"any\"; // half an index is none\n"
    "Acquire::Languages \"en\";\n"
    "Acquire::GzipIndexes \"false\";\n"
    "Acquire::IndexTargets::deb::Packages {\n"
    "    MetaKey \"$(COMPONENT)/binary-$(ARCHITECTURE)/Packages\";\n"
    "    flatMetaKey \"Packages\";\n"
    "    ShortDescription \"Packages\";\n"
    "    Description \"$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages\";\n"
    "    flatDescription \"$(RELEASE) Packages\";\n"
    "    Optional \"false\";\n"
    "};\n"
    "Acquire::IndexTargets::deb::Translations {\n"
    "    MetaKey \"$(COMPONENT)/i18n/Translation-$(LANGUAGE)\";\n"
    "    flatMetaKey \"$(LANGUAGE)\";\n"
    "    ShortDescription \"Translation-$(LANGUAGE)\";\n"
    "    Description \"$(RELEASE)/$(COMPONENT) Translation-$(LANGUAGE)\";\n"
    "    flatDescription \"$(RELEASE) Translation-$(LANGUAGE)\";\n"
    "};\n"
    "Dir::State::lists \"lists/\";\n"
    "Dir::State::status \"status\"; // empty: nothing is installed here\n";

#define GO_ON                                                                                  \
    "without a network, copy FOLDER/debian.txt from a machine that has one and run again with " \
    "--corpus FILE"

// Runs the program to its end, in a process group of its own.
static mg_err run(char *const argv[], const char *out_path, const char *log_path, int *status) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          attributes;
    const int                  append = O_WRONLY | O_CREAT | O_APPEND;
    pid_t                      pid;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out_path, append, 0644);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log_path, append, 0644);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int failed = posix_spawnp(&pid, argv[0], &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (failed)
        return mg_fail(MG_IO, "start %s: %s; " GO_ON, argv[0], strerror(failed));

    const pid_t ended = waitpid(pid, status, 0);
    if (ended == pid) return MG_OK;
    const int cause = errno; // EINTR: somebody asks us to stop
    kill(-pid, SIGTERM);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) continue;
    return cause == EINTR ? mg_fail(MG_INTERRUPTED, "%s was stopped", argv[0])
                          : mg_fail(MG_IO, "wait for %s: %s", argv[0], strerror(cause));
}

// The folders and files that apt wants to find.
static mg_err prepare(const char *at, mg_arena *arena) {
    mg_err err = mg_folder_make(mg_path(arena, "%s/state/lists/partial", at));
    if (!err) err = mg_folder_make(mg_path(arena, "%s/cache/archives/partial", at));
    if (!err) err = mg_file_write(mg_path(arena, "%s/state/status", at), "", 0);
    if (!err) err = mg_file_write(mg_path(arena, "%s/apt.conf", at), CONF, sizeof CONF - 1);
    if (!err) err = mg_file_write(mg_path(arena, "%s/apt.log", at), "", 0);
    if (!err) err = mg_file_write(mg_path(arena, "%s/debian.part", at), "", 0);
    return err;
}

// Leaves the index in debian.txt; until it is whole, an older one stays there.
static mg_err fetch(const char *at, mg_arena *arena, const char *index) {
    char *conf  = mg_path(arena, "%s/apt.conf", at);
    char *state = mg_path(arena, "Dir::State=%s/state", at);
    char *cache = mg_path(arena, "Dir::Cache=%s/cache", at);
    char *log   = mg_path(arena, "%s/apt.log", at);
    char *part  = mg_path(arena, "%s/debian.part", at);

    char *const update[] = {"apt-get", "-c", conf, "-o", state, "-o", cache, "update", NULL};
    char *const show[]   = {"apt-cache", "-c", conf, "-o", state, "-o", cache, "show",
                            "--no-all-versions", "?origin(^Debian$)", NULL};

    int    status = 0;
    mg_err err    = run(update, log, log, &status);
    if (err) return err;
    if (status != 0) return mg_fail(MG_IO, "apt-get update failed, see %s; " GO_ON, log);
    err = run(show, part, log, &status);
    if (err) return err;
    if (status != 0) return mg_fail(MG_IO, "apt-cache show failed, see %s; " GO_ON, log);
    if (rename(part, index) != 0)
        return mg_fail(MG_IO, "rename %s to %s: %s", part, index, strerror(errno));
    return MG_OK;
}

mg_err mg_apt_fetch(const char *folder, mg_arena *arena, char **text, size_t *size) {
    mg_err err = mg_folder_make(folder);
    if (err) return err;
    char *real = realpath(folder, NULL); // apt takes a relative path as below its own root
    if (!real) return mg_fail(MG_IO, "%s: %s", folder, strerror(errno));
    const size_t begin = mg_arena_mark(arena);
    const char  *at    = mg_arena_strdup(arena, real);
    const char  *index = mg_path(arena, "%s/debian.txt", at);
    char        *read  = NULL;
    size_t       n     = 0;
    free(real);

    err = prepare(at, arena);
    if (!err) err = fetch(at, arena, index);
    const size_t left = arena->size_max - arena->used, slack = 64; // its last byte and alignment
    const size_t room = left > slack ? left - slack : 0;
    const size_t most = room < MG_APT_TEXT_MAX ? room : MG_APT_TEXT_MAX;
    if (!err) err = mg_file_read(index, most, arena, &read, &n);
    if (!err && n == 0)
        err = mg_fail(MG_IO, "this machine's apt sources hold nothing from Debian; " GO_ON);
    if (err) {
        mg_arena_reset(arena, begin);
        return err;
    }
    *text = read;
    *size = n;
    return MG_OK;
}
