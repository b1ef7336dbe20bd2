// hdf5_fuzz.c - strangers' bytes as a logged data set.
//
// Build with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. $(pkg-config --cflags hdf5) fuzz/hdf5_fuzz.c
//       store/d4rl.c store/hdf5.c store/hdf5_write.c store/logged.c store/minari.c store/transitions.c
//       store/data_card.c core/arena.c core/err.c core/file.c core/rng.c -ljansson -lm
//       $(pkg-config --libs hdf5) -o hdf5_fuzz
// Run it with -fork=1 -ignore_crashes=1 and ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1, and look at
// crashes whose last frame is ours (docs/KNOWN.md): over broken headers the library reads past what it has,
// loses memory and asks for all there is. Begin with a file that is good: random bytes are no HDF5.
// What is read has finite numbers and flags, and is written and read again as the same bytes.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "store/data_card.h"
#include "store/logged.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static mg_arena arena;

static void same(const void *a, const void *b, int64_t n, size_t width) {
    MG_ASSERT(!a == !b && (!a || memcmp(a, b, (size_t)n * width) == 0));
}

static void check(const mg_logged *l, const char *again) {
    mg_logged    m;
    mg_data_card card;
    for (int64_t k = 0; k < l->rows * l->obs; k++) MG_ASSERT(isfinite(l->observation[k]));
    for (int64_t k = 0; k < l->rows; k++) MG_ASSERT(l->terminal[k] <= 1 && l->timeout[k] <= 1);
    mg_data_card_make(l, NULL, NULL, &arena, &card);
    unlink(again);
    mg_err err = mg_d4rl_write(again, l);
    if (!err) err = mg_logged_read(again, &arena, &m);
    MG_ASSERT(!err && m.rows == l->rows && m.obs == l->obs && m.act == l->act);
    same(l->observation, m.observation, l->rows * l->obs, sizeof(float));
    same(l->next, m.next, l->rows * l->obs, sizeof(float));
    same(l->action, m.action, l->rows * l->act, sizeof(float));
    same(l->reward, m.reward, l->rows, sizeof(float));
    same(l->logp, m.logp, l->rows, sizeof(float));
    same(l->terminal, m.terminal, l->rows, 1);
    same(l->timeout, m.timeout, l->rows, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char      path[48], again[48];
    mg_logged l;
    if (!arena.base) MG_ASSERT(mg_arena_init(&arena, "fuzz", (size_t)64 << 20) == MG_OK);
    snprintf(path, sizeof path, "/dev/shm/mg-fuzz-%d-in.hdf5", (int)getpid()); // the library wants a real path
    snprintf(again, sizeof again, "/dev/shm/mg-fuzz-%d.hdf5", (int)getpid());
    MG_ASSERT(mg_file_write(path, bytes, size) == MG_OK);
    const mg_err err = mg_logged_read(path, &arena, &l);
    MG_ASSERT(!err || (err != MG_IO && err != MG_NOMEM && strstr(mg_err_detail(), path)));
    if (!err && l.rows <= 100000) check(&l, again);
    mg_arena_reset(&arena, 0);
    unlink(path), unlink(again);
    return 0;
}
