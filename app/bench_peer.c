// bench_peer.c - a peer is a process that measures itself when it is told to.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/bench.h"

#define SCRIPT         "bench/peer.py"
#define ANSWER_MAX     4096
#define READY_WAIT_MS  (600 * 1000) // it loads, compiles, and tries its settings
#define ANSWER_WAIT_MS (300 * 1000)

extern char **environ;

// Our environment with another TMPDIR; the list is the caller's.
static char **environment_of(char *tmpdir) {
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    char **own = calloc(n + 2, sizeof *own); // one more, and the end
    if (!own) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) != 0) own[kept++] = environ[i];
    own[kept] = tmpdir;
    return own;
}

static mg_err spawn(mg_bench_peer *p, char **words, char **environment) {
    int                        in[2] = {-1, -1}, out[2] = {-1, -1};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          group;
    pid_t                      pid = 0;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) return mg_fail(MG_IO, "peer: no pipe: %m");
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&group); // a group of its own: what it starts is ended with it
    posix_spawnattr_setflags(&group, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    const int error = posix_spawnp(&pid, words[0], &files, &group, words, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&group);
    close(in[0]), close(out[1]);
    p->ask     = in[1];
    p->answers = fdopen(out[0], "r");
    if (error) return mg_fail(MG_IO, "peer: start %s: %s", words[0], strerror(error));
    p->pid = pid;
    setvbuf(p->answers, NULL, _IONBF, 0); // so that poll sees what has not been read
    return MG_OK;
}

// The next line's object, which is the caller's.
static mg_err answer(mg_bench_peer *p, int wait_ms, json_t **out) {
    char          line[ANSWER_MAX];
    struct pollfd ready = {.fd = fileno(p->answers), .events = POLLIN};
    const int     n     = poll(&ready, 1, wait_ms);
    if (n < 0) return mg_fail(MG_INTERRUPTED, "peer %s: stopped while it was awaited", p->name); // by a signal
    if (n == 0) return mg_fail(MG_CHILD, "peer %s: no answer within %d s", p->name, wait_ms / 1000);
    if (!fgets(line, sizeof line, p->answers))
        return mg_fail(MG_CHILD, "peer %s: ended without an answer", p->name);
    json_t     *object = json_loads(line, 0, NULL);
    const char *error  = json_string_value(json_object_get(object, "error"));
    const char *absent = json_string_value(json_object_get(object, "absent"));
    mg_err      err    = MG_OK;
    if (!object) err = mg_fail(MG_CHILD, "peer %s: found '%.60s', wanted a JSON object", p->name, line);
    if (error) err = mg_fail(MG_CHILD, "peer %s: %s", p->name, error);
    if (absent) err = mg_fail(MG_UNSUPPORTED, "peer %s is left out: %s", p->name, absent);
    if (err)
        json_decref(object);
    else
        *out = object;
    return err;
}

// Starts it, with a folder for what it leaves when it is ended.
static mg_err start(mg_bench_peer *p, char **words) {
    char   tmpdir[MG_BENCH_FOLDER_MAX + 8];
    mg_err err = mg_bench_folder_make(p->folder);
    if (err) return err;
    snprintf(tmpdir, sizeof tmpdir, "TMPDIR=%s", p->folder);
    char **environment = environment_of(tmpdir);
    err = environment ? spawn(p, words, environment) : mg_fail(MG_NOMEM, "peer %s", p->name);
    free(environment);
    return err;
}

mg_err mg_bench_peer_open(mg_bench_peer *p, const char *python, const char *row, int threads) {
    char  count[16];
    char *words[] = {(char *)python, SCRIPT, (char *)row, count, NULL};
    *p = (mg_bench_peer){.ask = -1};
    if (access(SCRIPT, R_OK)) return mg_fail(MG_IO, "peer: no %s here; run in the repository", SCRIPT);
    snprintf(count, sizeof count, "%d", threads);
    snprintf(p->name, sizeof p->name, "%s", row);
    json_t *hello = NULL;
    mg_err  err   = start(p, words);
    if (!err) err = answer(p, READY_WAIT_MS, &hello);
    const char *name = json_string_value(json_object_get(hello, "peer"));
    if (!err && !name) err = mg_fail(MG_CHILD, "peer %s: found no \"peer\", wanted its name", row);
    if (!err) snprintf(p->name, sizeof p->name, "%s", name);
    json_decref(hello);
    if (err) mg_bench_peer_close(p);
    return err;
}

mg_err mg_bench_peer_once(mg_bench_peer *p, double *value) {
    json_t *object = NULL;
    if (write(p->ask, "go\n", 3) != 3) return mg_fail(MG_CHILD, "peer %s: has ended", p->name);
    mg_err err = answer(p, ANSWER_WAIT_MS, &object);
    if (err) return err;
    const json_t *found = json_object_get(object, "value");
    if (json_is_number(found) && json_number_value(found) > 0)
        *value = json_number_value(found);
    else
        err = mg_fail(MG_CHILD, "peer %s: found no \"value\" above 0", p->name);
    json_decref(object);
    return err;
}

void mg_bench_peer_close(mg_bench_peer *p) {
    if (p->ask > 0) close(p->ask);
    if (p->answers) fclose(p->answers);
    if (p->pid > 0) {
        kill(-p->pid, SIGKILL); // what it has lies in the folder
        waitpid(p->pid, NULL, 0);
    }
    mg_bench_folder_remove(p->folder);
    *p = (mg_bench_peer){.ask = -1};
}
