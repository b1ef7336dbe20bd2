// child.h - a child process in a process group of its own, spoken to over two pipes.
//
// Started by posix_spawn, so that a parent with gigabytes in memory copies no page tables. Every
// descriptor of ours is closed in it but 0, 1 and 2. Ending it kills the whole group, what it left
// behind included, and waits for it: no zombie stays. (A process that moves into a session of its
// own leaves the group; keeping such in needs a sandbox.)
#ifndef MG_TRANSPORT_CHILD_H
#define MG_TRANSPORT_CHILD_H
#include <sys/types.h>

#include "core/err.h"

typedef struct mg_child {
    pid_t pid;     // 0: none
    int   in, out; // its standard input and output: our ends, not blocking
    int   ended;   // a pidfd: readable when the process itself has ended; -1: the kernel has none
    int   log;     // where its standard error goes, for reading back; -1: our own standard error
    off_t log_start;
} mg_child;

// argv[0] is looked up in PATH; the environment is ours. Errors: MG_CHILD (it cannot be run),
// MG_IO.
mg_err mg_child_start(mg_child *c, const char *const *argv, const char *log_path) MG_MUST_USE;

// Writes what fits; -1 and errno (EAGAIN, EPIPE) where nothing does. Raises no SIGPIPE.
ssize_t mg_child_write(const mg_child *c, const void *bytes, size_t n);

// Kills and reaps it, closes everything, and says how it ended and its last words, if it left any.
// Nothing was started: no effect.
void mg_child_end(mg_child *c, char *how, size_t how_size);
#endif
