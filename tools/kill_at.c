// kill_at.c - for tests, preloaded (LD_PRELOAD): dies, or is sent signals, in the N-th call that changes a file.
//
//   MG_KILL_AT=N      of all such calls of the process, in the order in which its threads make them;
//                     0 or not set: none
//   MG_KILL_BY=S,...  the signals, by numbers, at most 4, that the process is sent there, one behind the other;
//                     not set: SIGKILL. The call is made after, where the process lives on
//   MG_KILL_HALF=1    a write dies after half of its bytes, not before the first
//   MG_KILL_COUNT=F   at the end of a process that lives, the number of its calls is written to F
//
// Dying is SIGKILL: nothing is flushed, no handler runs. Calls that the C library makes inside itself
// (stdio's writes) are not seen; nothing that has to survive goes that way.
#undef _FILE_OFFSET_BITS // which would give one name to two functions
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long        kill_at;
static int         half, signals[4] = {SIGKILL};

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("MG_KILL_AT"), *part = getenv("MG_KILL_HALF"), *by = getenv("MG_KILL_BY");
    kill_at        = at ? atol(at) : 0;
    half           = part && atoi(part);
    if (by) sscanf(by, "%d,%d,%d,%d", &signals[0], &signals[1], &signals[2], &signals[3]);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("MG_KILL_COUNT");
    FILE       *f    = path ? fopen(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "%ld\n", atomic_load(&calls));
    fclose(f);
}

static void strike(void) {
    for (int i = 0; i < 4 && signals[i]; i++) kill(getpid(), signals[i]);
    while (signals[0] == SIGKILL) pause();
}

// True when this is the call to be struck in.
static int counted(void) { return atomic_fetch_add(&calls, 1) + 1 == kill_at; }

// The function that this one stands before.
#define NEXT(result, name, ...)                                                                    \
    static result (*next)(__VA_ARGS__);                                                            \
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

// A call that is made or not.
#define WHOLE(result, name, parameters, arguments)                                                 \
    result name parameters;                                                                        \
    result name parameters {                                                                       \
        NEXT(result, name, WHOLE_TYPES parameters);                                                \
        if (counted()) strike();                                                                   \
        return next arguments;                                                                     \
    }
#define WHOLE_TYPES(...) __VA_ARGS__

WHOLE(int, fsync, (int fd), (fd))
WHOLE(int, fdatasync, (int fd), (fd))
WHOLE(int, rename, (const char *from, const char *to), (from, to))
WHOLE(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WHOLE(int, ftruncate, (int fd, off_t size), (fd, size))
WHOLE(int, ftruncate64, (int fd, off64_t size), (fd, size))
WHOLE(int, unlink, (const char *path), (path))
WHOLE(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WHOLE(int, rmdir, (const char *path), (path))
WHOLE(int, remove, (const char *path), (path))
WHOLE(int, mkdir, (const char *path, mode_t mode), (path, mode))
WHOLE(int, fflush, (FILE *f), (f))

// A call that can be made in half.
#define PART(name, parameters, arguments, shorter)                                                 \
    ssize_t name parameters;                                                                       \
    ssize_t name parameters {                                                                      \
        NEXT(ssize_t, name, WHOLE_TYPES parameters);                                               \
        if (counted()) {                                                                           \
            ssize_t done = half ? next shorter : 0;                                                \
            (void)done;                                                                            \
            strike();                                                                              \
        }                                                                                          \
        return next arguments;                                                                     \
    }

PART(write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, n / 2))
PART(pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, n / 2, at))
PART(pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), (fd, data, n / 2, at))
PART(writev, (int fd, const struct iovec *parts, int n), (fd, parts, n), (fd, parts, n / 2))
