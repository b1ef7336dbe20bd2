// traceback.c - phrases of runtimes, kernels and proxies, found by their first letters.
#include "harness/traceback.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

// Python, Go, Rust, Node, Java, .NET, C++, C, Lua, libc's errno names, HTTP proxies, PHP, Ruby, Haskell, Julia.
static const char *const SURE[] = {"Traceback (most recent call last)",
                                   "panic: ",
                                   "panicked at ",
                                   "goroutine 1 [",
                                   "UnhandledPromiseRejection",
                                   "Exception in thread ",
                                   "NullPointerException",
                                   "Unhandled exception",
                                   "OutOfMemoryError",
                                   "std::bad_alloc",
                                   "terminate called after",
                                   "Segmentation fault",
                                   "core dumped",
                                   "stack traceback:",
                                   "Internal Server Error",
                                   "Killed by OOM",
                                   "ECONNREFUSED",
                                   "ECONNRESET",
                                   "ECONNABORTED",
                                   "ETIMEDOUT",
                                   "EPIPE",
                                   "502 Bad Gateway",
                                   "503 Service Unavailable",
                                   "504 Gateway Time",
                                   "429 Too Many Requests",
                                   "DeadlineExceeded",
                                   "PHP Fatal error",
                                   "(NoMethodError)",
                                   "CallStack (from",
                                   "Stacktrace:",
                                   "node:internal/",
                                   "AddressSanitizer"};
// In any case; near the beginning. Also the last lines of runtimes whose stack was left out, and databases.
static const char *const DOUBTFUL[] = {
    "timed out",           "timeout",           "time-out",
    "out of memory",       "rate limit",        "connection refused",
    "connection reset",    "internal error",    "broken pipe",
    "service unavailable", "deadline exceeded", "no space left on device",
    "internal server error", "database is locked", "deadlock detected",
    "operationalerror",    "keyerror: ",        "typeerror: ",
    "attributeerror: ",    "indexerror: ",      "nullreferenceexception",
    "fatal error: ",       "functionclauseerror", "undefined value at "};
enum {
    SURE_N = sizeof SURE / sizeof *SURE,
    DOUBTFUL_N = sizeof DOUBTFUL / sizeof *DOUBTFUL,
    NEAR = 64
};
_Static_assert(SURE_N <= 32 && DOUBTFUL_N <= 32, "a phrase is a bit of a word");

// The first phrase of the list that begins at one of the first `starts` bytes. Bit k of
// mask[j][c] says that phrase k may have byte c at place j, so three looks and two ands pass over
// almost every position (the shift-and idea of Baeza-Yates & Gonnet 1992, without the shift).
static const char *find(const char *const *list, int n, bool any_case, const char *text,
                        size_t size, size_t starts) {
    uint32_t mask[3][256] = {0};
    for (int k = 0; k < n; k++)
        for (int j = 0; j < 3; j++) {
            const int c = (unsigned char)list[k][j];
            mask[j][c] |= 1u << k;
            if (any_case) mask[j][toupper(c)] |= 1u << k;
        }
    const unsigned char *t = (const unsigned char *)text;
    for (size_t i = 0; i + 3 <= size && i < starts; i++) {
        uint32_t may = mask[0][t[i]] & mask[1][t[i + 1]] & mask[2][t[i + 2]];
        for (int k = 0; may; k++, may >>= 1) {
            if (!(may & 1)) continue;
            const size_t length = strlen(list[k]);
            if (length <= size - i && (any_case ? strncasecmp(text + i, list[k], length)
                                                : memcmp(text + i, list[k], length)) == 0)
                return list[k];
        }
    }
    return NULL;
}

const char *mg_traceback_find(const char *text, size_t size, bool confirmed) {
    if (confirmed) return find(SURE, SURE_N, false, text, size, NEAR);
    const size_t head   = size < MG_TRACEBACK_SPAN ? size : MG_TRACEBACK_SPAN;
    const size_t tail   = size - head < MG_TRACEBACK_SPAN ? size - head : MG_TRACEBACK_SPAN;
    const char  *phrase = find(SURE, SURE_N, false, text, head, head);
    if (!phrase && tail > 0) phrase = find(SURE, SURE_N, false, text + size - tail, tail, tail);
    return phrase ? phrase : find(DOUBTFUL, DOUBTFUL_N, true, text, size, NEAR);
}
