// child.c - starting and ending child processes.
#include "transport/child.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Pipes whose four ends lie above 0, 1, 2, so that none of them is overwritten while the child's
// are put in place.
static mg_err pipes(int fd[4]) {
    fd[0] = fd[1] = fd[2] = fd[3] = -1;
    mg_err err = MG_OK;
    if (pipe2(fd, O_CLOEXEC) || pipe2(fd + 2, O_CLOEXEC)) err = MG_IO;
    for (int i = 0; i < 4 && !err; i++) {
        if (fd[i] > 2) continue;
        const int high = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
        if (high < 0) {
            err = MG_IO;
            break;
        }
        close(fd[i]);
        fd[i] = high;
    }
    // Ours do not block: in fd[1], out fd[2].
    if (!err && (fcntl(fd[1], F_SETFL, O_NONBLOCK) || fcntl(fd[2], F_SETFL, O_NONBLOCK)))
        err = MG_IO;
    if (!err) return MG_OK;
    err = mg_fail(MG_IO, "pipe: %s", strerror(errno));
    for (int i = 0; i < 4; i++)
        if (fd[i] >= 0) close(fd[i]);
    return err;
}

// Signals as a fresh program expects them, whatever this one does with its own.
static void set_attributes(posix_spawnattr_t *a) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    posix_spawnattr_init(a);
    posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                    POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(a, 0);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &all);
}

static int spawn(mg_child *c, const char *const *argv, int in, int out) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    if (c->log >= 0) posix_spawn_file_actions_adddup2(&files, c->log, 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    set_attributes(&attributes);
    // execvp's own signature lacks the const; it changes nothing.
    const int err = posix_spawnp(&c->pid, argv[0], &files, &attributes,
                                 (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return err;
}

static mg_err open_log(mg_child *c, const char *path) {
    struct stat st;
    c->log = -1;
    if (!path) return MG_OK;
    const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    c->log       = fd >= 0 && fd <= 2 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : fd;
    if (fd != c->log) close(fd);
    if (c->log < 0 || fstat(c->log, &st))
        return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    c->log_start = st.st_size;
    return MG_OK;
}

mg_err mg_child_start(mg_child *c, const char *const *argv, const char *log_path) {
    MG_ASSERT(argv && argv[0]);
    mg_child fresh = {0};
    int      fd[4];
    mg_err   err = open_log(&fresh, log_path);
    if (!err) err = pipes(fd);
    if (err) {
        if (fresh.log >= 0) close(fresh.log);
        return err;
    }
    const int why = spawn(&fresh, argv, fd[0], fd[3]);
    close(fd[0]);
    close(fd[3]);
    if (why) {
        close(fd[1]);
        close(fd[2]);
        if (fresh.log >= 0) close(fresh.log);
        return mg_fail(MG_CHILD, "start %s: %s", argv[0], strerror(why));
    }
    fresh.in = fd[1], fresh.out = fd[2];
    fresh.ended = (int)syscall(SYS_pidfd_open, fresh.pid, 0); // close-on-exec by itself
    *c          = fresh;
    return MG_OK;
}

ssize_t mg_child_write(const mg_child *c, const void *bytes, size_t n) {
    sigset_t              broken, before, pending;
    const struct timespec no_time = {0, 0};
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    ssize_t done;
    do done = write(c->in, bytes, n);
    while (done < 0 && errno == EINTR);
    const int why = errno;
    // The signal that our own write raised is taken back; one that was there before is not ours.
    if (done < 0 && why == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&broken, NULL, &no_time) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return done;
}

// The last line of the log that has something in it, as far as it is ours.
static void last_words(const mg_child *c, char *out, size_t size) {
    char        tail[512];
    struct stat st;
    out[0] = 0;
    if (c->log < 0 || fstat(c->log, &st) || st.st_size <= c->log_start) return;
    const off_t have  = st.st_size - c->log_start;
    const off_t begin = have > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : c->log_start;
    ssize_t     n     = pread(c->log, tail, sizeof tail, begin);
    while (n > 0 && isspace((unsigned char)tail[n - 1])) n--;
    ssize_t start = n;
    while (start > 0 && tail[start - 1] != '\n') start--;
    size_t k = 0;
    for (ssize_t i = start; i < n && k + 1 < size; i++)
        out[k++] = isprint((unsigned char)tail[i]) ? tail[i] : '?';
    out[k] = 0;
}

void mg_child_end(mg_child *c, char *how, size_t how_size) {
    int  status = 0;
    char words[120];
    if (c->pid == 0) return;
    // Before it is waited for, its number is nobody else's, and neither is the group's. It may have left
    // the group (setpgid), so it is killed by its own number too: nothing else ends the wait.
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {}
    last_words(c, words, sizeof words);
    const char *says = words[0] ? "; its last words: " : "";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(how, how_size, "was killed%s%s", says, words);
    else if (WIFSIGNALED(status))
        snprintf(how, how_size, "died of signal %d (%s)%s%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), says, words);
    else
        snprintf(how, how_size, "ended with status %d%s%s", WEXITSTATUS(status), says, words);
    const int open_fds[] = {c->in, c->out, c->ended, c->log};
    for (int i = 0; i < 4; i++)
        if (open_fds[i] >= 0) close(open_fds[i]);
    *c = (mg_child){0};
}
