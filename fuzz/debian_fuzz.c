// debian_fuzz.c - strangers' bytes as a package index.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/debian_fuzz.c
//       worlds/debian.c core/arena.c core/err.c -lcrypto -o debian_fuzz
// What is read must add up: every stanza is a pair or counted, lengths keep to their limits, and no
// source and no first paragraph lies in two splits. The text ends where its memory does, so that a
// byte read behind it is found.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "worlds/debian.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *paragraph_of(const mg_pair *p) { return strstr(p->prompt, ": ") + 2; }

static void check_pair(const mg_debian *d, int64_t i) {
    const mg_pair *p = &d->pairs[i];
    const size_t   n = strlen(paragraph_of(p)), m = strlen(p->completion);
    MG_ASSERT(MG_DEBIAN_PARAGRAPH_MIN <= n && n <= MG_DEBIAN_PARAGRAPH_MAX);
    MG_ASSERT(MG_DEBIAN_SYNOPSIS_MIN <= m && m <= MG_DEBIAN_SYNOPSIS_MAX);
    MG_ASSERT(strncmp(p->prompt, d->origin[i].package, strlen(d->origin[i].package)) == 0);
    MG_ASSERT(!strpbrk(p->prompt, "\t\r\n") && !strstr(p->prompt, "  "));
}

static void check_split(const mg_debian *d, int64_t i, int64_t held_out) {
    const bool alike = strcmp(d->origin[i].source, d->origin[held_out].source) == 0 ||
                       strcmp(paragraph_of(&d->pairs[i]), paragraph_of(&d->pairs[held_out])) == 0;
    for (int s = 0; s <= MG_DEBIAN_SPLITS_N; s++)
        MG_ASSERT(!alike || (i < d->begin[s]) == (held_out < d->begin[s]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static mg_arena arena;
    if (!arena.base && mg_arena_init(&arena, "fuzz", 64 << 20)) return 0;
    mg_arena_reset(&arena, 0);
    char     *text = malloc(size + !size);
    mg_debian d;
    if (size > 0) memcpy(text, bytes, size);
    if (mg_debian_read(text, size, 1, 2, &arena, &d) == MG_OK) {
        int64_t dropped = 0;
        for (int i = 0; i < MG_DEBIAN_DROPS_N; i++) dropped += d.report.dropped[i];
        MG_ASSERT(d.report.stanzas == d.report.pairs + dropped);
        MG_ASSERT(d.begin[MG_DEBIAN_SPLITS_N] == d.report.pairs);
        for (int64_t i = 0; i < d.report.pairs; i++) {
            check_pair(&d, i);
            for (int64_t k = d.begin[MG_DEBIAN_VALIDATION]; k < d.report.pairs; k++)
                check_split(&d, i, k);
        }
    } else {
        MG_ASSERT(arena.used == 0);
    }
    free(text);
    return 0;
}
