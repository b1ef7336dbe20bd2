// jsonl_fuzz.c - strangers' bytes as a text data set.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/jsonl_fuzz.c store/jsonl.c
//       core/arena.c core/err.c core/file.c -ljansson -o jsonl_fuzz
// What is read is written and read again as the same texts. The first byte chooses the kind of row.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static mg_arena arena;

// A file in memory: no disk is worn. /proc/self/fd cannot be renamed over, so only reading uses it.
static int file_of(const uint8_t *bytes, size_t size, char path[32]) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MG_ASSERT(fd >= 0);
    ssize_t written = write(fd, bytes, size);
    MG_ASSERT(written == (ssize_t)size);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static mg_err check(mg_err err, const char *path) {
    MG_ASSERT(!err || (err != MG_IO && err != MG_NOMEM && strstr(mg_err_detail(), path)));
    return err;
}

static void pairs(const char *path, const char *again) {
    mg_pair *a, *b;
    int64_t  n, m;
    if (check(mg_pairs_read(path, &arena, &a, &n), path)) return;
    mg_err err = mg_pairs_write(again, a, n);
    if (!err) err = mg_pairs_read(again, &arena, &b, &m);
    MG_ASSERT(!err && m == n && n > 0);
    for (int64_t i = 0; i < n; i++) {
        MG_ASSERT(strcmp(a[i].prompt, b[i].prompt) == 0);
        MG_ASSERT(strcmp(a[i].completion, b[i].completion) == 0);
        MG_ASSERT(a[i].n_later == b[i].n_later && a[i].placed == b[i].placed);
        MG_ASSERT(a[i].item == b[i].item && a[i].seed == b[i].seed);
        for (int64_t k = 0; k < a[i].n_later; k++) {
            MG_ASSERT(strcmp(a[i].later[k].observation, b[i].later[k].observation) == 0);
            MG_ASSERT(strcmp(a[i].later[k].action, b[i].later[k].action) == 0);
        }
    }
}

static void preferences(const char *path, const char *again) {
    mg_preference *a, *b;
    int64_t        n, m;
    if (check(mg_preferences_read(path, &arena, &a, &n), path)) return;
    mg_err err = mg_preferences_write(again, a, n);
    if (!err) err = mg_preferences_read(again, &arena, &b, &m);
    MG_ASSERT(!err && m == n && n > 0);
    for (int64_t i = 0; i < n; i++) {
        MG_ASSERT(strcmp(a[i].prompt, b[i].prompt) == 0);
        MG_ASSERT(strcmp(a[i].chosen, b[i].chosen) == 0);
        MG_ASSERT(strcmp(a[i].rejected, b[i].rejected) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char path[32], again[64];
    if (size == 0) return 0;
    if (!arena.base && mg_arena_init(&arena, "fuzz", (size_t)1 << 30)) abort();
    snprintf(again, sizeof again, "/dev/shm/jsonl_fuzz.%d", (int)getpid());
    int fd = file_of(bytes + 1, size - 1, path);
    if (bytes[0] & 1)
        pairs(path, again);
    else
        preferences(path, again);
    close(fd);
    mg_arena_reset(&arena, 0);
    return 0;
}
