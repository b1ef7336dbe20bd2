// turn_fuzz.c - strangers' bytes as the turn of an episode in a run's record.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/turn_fuzz.c store/bytes.c
//       core/arena.c core/err.c -o turn_fuzz
// What can be read is written as the same bytes: there is one way to write a turn.
#include "store/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void overflow(mg_sink *s, const void *bytes, size_t n) {
    (void)s, (void)bytes, (void)n;
    abort(); // more was written than was read
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static mg_arena arena;
    mg_turn         turn = {0};
    if (!arena.base && mg_arena_init(&arena, "fuzz", (size_t)1 << 30)) abort();
    mg_arena_reset(&arena, 0);
    uint8_t  *copy = mg_arena_alloc_raw(&arena, size + 1);
    mg_source from = {.at = bytes, .end = bytes + size, .arena = &arena};
    mg_sink   to   = {.at = copy, .end = copy + size, .full = overflow};
    mg_get_kept(&from, &turn);
    mg_get_seen(&from, &turn);
    mg_get_measured(&from, &turn);
    if (from.bad) return 0;
    mg_put_kept(&to, &turn);
    mg_put_seen(&to, &turn);
    mg_put_measured(&to, &turn);
    const size_t used = (size_t)(from.at - bytes);
    MG_ASSERT(to.at == copy + used && memcmp(copy, bytes, used) == 0);
    return 0;
}
