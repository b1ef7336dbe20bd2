// manifest_fuzz.c - strangers' bytes as an environment's manifest.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/manifest_fuzz.c env/manifest.c
//       env/schema.c env/place.c core/arena.c core/err.c -ljansson -lpcre2-8 -lcrypto -lm -o manifest_fuzz
// What is taken has the hash that is taken without reading, finds each of its actions by name,
// promises nothing out of bounds, and is the same when its text is white space longer.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "env/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static mg_arena arena;

static void patterns(const char *const *list, int64_t n) {
    MG_ASSERT(0 <= n && n <= MG_MANIFEST_KEYS_MAX);
    for (int64_t i = 0; i < n; i++) {
        const char *star = strchr(list[i], '*');
        MG_ASSERT(*list[i] && (!star || !star[1]));
        MG_ASSERT(mg_key_matches(list[i], list[i]));
    }
}

static void promises(const mg_manifest *m) {
    MG_ASSERT(*m->name && m->n_actions <= MG_MANIFEST_ACTIONS_MAX);
    MG_ASSERT(!m->has_range || m->min <= m->max);
    MG_ASSERT(!m->has_resolution || m->resolution > 0);
    for (int64_t i = 0; i < m->n_actions; i++) {
        const mg_action_promise *a = &m->actions[i];
        MG_ASSERT(mg_manifest_action(m, a->name) == a);
        MG_ASSERT(0 <= a->timeout_ms && a->timeout_ms <= 86400000 && 0 <= a->visibility_ms);
        MG_ASSERT(a->effect != MG_EFFECT_PURE || a->n_writes == 0);
        patterns(a->reads, a->n_reads);
        patterns(a->writes, a->n_writes);
        if (!a->schema) continue;
        const mg_err err = mg_schema_check_text(a->schema, "{\"a\": [1, \"b\"]}", 15);
        MG_ASSERT(!err || err == MG_MISMATCH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    mg_manifest m, again;
    uint8_t     hash[32];
    const char *json = (const char *)bytes;
    if (!arena.base && mg_arena_init(&arena, "fuzz", (size_t)1 << 30)) abort();
    const mg_err err = mg_manifest_read(json, size, &arena, &m);
    MG_ASSERT(!err || ((err == MG_CORRUPT || err == MG_LIMIT) && *mg_err_detail()));
    if (!err) {
        promises(&m);
        MG_ASSERT(!mg_manifest_hash(json, size, hash) && memcmp(hash, m.hash, 32) == 0);
        char *longer = malloc(size + 1);
        if (!longer) abort();
        longer[0] = '\n';
        memcpy(longer + 1, json, size);
        if (!mg_manifest_read(longer, size + 1, &arena, &again)) {
            MG_ASSERT(memcmp(again.hash, m.hash, 32) == 0);
            mg_manifest_release(&again);
        }
        free(longer);
        mg_manifest_release(&m);
    }
    mg_arena_reset(&arena, 0);
    return 0;
}
