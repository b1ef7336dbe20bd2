// err.h - the one way this project reports that something went wrong.
//
// Two kinds of wrong, never mixed:
//   operating error  disk full, bad file, peer hung up. Expected. Returned as mg_err; the
//                    caller must look at it. Outputs are written only on MG_OK.
//   broken program   index past the end, NULL where none is allowed. MG_ASSERT prints and
//                    aborts, in every build.
// Only main() turns an mg_err into an exit status. Libraries never exit().
#ifndef MG_CORE_ERR_H
#define MG_CORE_ERR_H
#include <stdio.h>
#include <stdlib.h>

#define MG_ERR_LIST(X)                                                        \
    X(OK, "success")                                                          \
    X(NOMEM, "out of memory")                                                 \
    X(IO, "file, socket or pipe failed")                                      \
    X(CORRUPT, "stored data is damaged or not what it claims to be")          \
    X(CONFIG, "used wrongly: bad command line, key, value or combination")    \
    X(MISMATCH, "two things that must fit together do not")                   \
    X(EMPTY, "there is nothing to work on")                                   \
    X(LIMIT, "a named limit is reached")                                      \
    X(BUSY, "somebody else is using it")                                      \
    X(NUMERIC, "a number became NaN or infinite")                             \
    X(UNSUPPORTED, "a valid request that this build or machine cannot serve") \
    X(INTERRUPTED, "asked to stop")                                           \
    X(UNFIT, "the environment is not fit to learn from")                      \
    X(CHILD, "a child process failed")

typedef enum mg_err {
#define X(name, text) MG_##name,
    MG_ERR_LIST(X)
#undef X
} mg_err;

#define MG_MUST_USE     __attribute__((warn_unused_result))
#define MG_PRINTF(f, a) __attribute__((format(printf, f, a)))

// Records one sentence for the error about to be returned and returns `code`. Called once, where
// the fault is detected:  return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
mg_err mg_fail(mg_err code, const char *fmt, ...) MG_PRINTF(2, 3);

const char *mg_err_name(mg_err code); // static string, such as "MG_IO"
const char *mg_err_detail(void);      // this thread's last sentence; never NULL

// The condition is a fact, never a call with an effect. On in every build.
#define MG_ASSERT(cond)                                                                        \
    ((cond) ? (void)0                                                                          \
            : (fprintf(stderr, "%s:%d: %s: MG_ASSERT(%s) failed\n", __FILE__, __LINE__,        \
                       __func__, #cond),                                                       \
               abort()))
#endif
