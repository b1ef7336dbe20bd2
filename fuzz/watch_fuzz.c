// watch_fuzz.c - strangers' bytes as evidence: claims, values, times and rewards of an episode's
// calls.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/watch_fuzz.c harness/watch.c
//       harness/watch_reward.c harness/traceback.c harness/taxonomy.c env/manifest.c env/schema.c
//       env/place.c env/env.c core/arena.c core/err.c -ljansson -lpcre2-8 -lcrypto -lm -o watch_fuzz
// A verdict is never taken back, has a code and a sentence where it is not CLEAN, and names a
// turn that there was; the same calls give the same bytes.
#include <stdlib.h>
#include <string.h>

#include "harness/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char MANIFEST[] =
    "{\"name\":\"w\",\"reward\":{\"min\":0,\"max\":1,\"resolution\":0.01},\"actions\":["
    "{\"name\":\"get\",\"effect\":\"pure\",\"timeout_ms\":3,\"visibility_ms\":2,\"schema\":{"
    "\"required\":[\"n\"]}},"
    "{\"name\":\"put\",\"effect\":\"mutating\",\"writes\":[\"k*\"],\"timeout_ms\":3},"
    "{\"name\":\"set\",\"effect\":\"mutating\",\"writes\":[\"k*\"],\"idempotent\":true}]}";

typedef struct bytes_left {
    const uint8_t *at;
    size_t         n;
} bytes_left;

static uint64_t take(bytes_left *b, size_t size) {
    uint64_t x = 0;
    for (size_t i = 0; i < size && b->n > 0; i++, b->at++, b->n--) x = x << 8 | *b->at;
    return x;
}

static double number(bytes_left *b) {
    const uint64_t bits = take(b, 8);
    double         x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static mg_reward reward(bytes_left *b) {
    const uint64_t kind = take(b, 1);
    if (kind % 4 == 3) return mg_reward_of((double)take(b, 1) / 100);
    return (mg_reward){.kind = (mg_reward_kind)(kind % 3), .value = number(b)};
}

static void step(mg_watch *w, bytes_left *b) {
    static const char *const actions[] = {"get", "put", "set", "none of them", NULL};
    static const char *const keys[]    = {"k1", "k2", "", "x", NULL};
    static const char *const texts[] = {"fine", "Traceback (most recent call last)", "timed out",
                                        "{\"n\":1}", ""};
    mg_touch      touched[3];
    mg_transition t = {.evidence = {.touched = touched, .n_touched = (int64_t)take(b, 1) % 4}};
    for (int i = 0; i < 3; i++)
        touched[i] = (mg_touch){.key = keys[take(b, 1) % 5],
                                .wrote = take(b, 1) & 1,
                                .shown = take(b, 1) % 4,
                                .before = take(b, 1) % 4,
                                .after = take(b, 1) % 4};
    t.evidence.action    = actions[take(b, 1) % 5];
    t.evidence.arguments = texts[take(b, 1) % 5];
    t.evidence.status    = (mg_status)(take(b, 1) % 8);
    t.evidence.took_ns   = (int64_t)take(b, 8);
    t.evidence.conditions = (int32_t)take(b, 4), t.evidence.held = (int32_t)take(b, 4);
    t.evidence.owed      = reward(b);
    t.reward             = reward(b);
    const char *text     = texts[take(b, 1) % 5];
    t.observation =
        (mg_value){.kind = (mg_space_kind)(take(b, 1) % 4), .text = text, .size = strlen(text)};
    mg_watch_step(w, &t, (int64_t)take(b, 8));
}

static void play(mg_watch *w, const mg_manifest *m, const uint8_t *bytes, size_t size) {
    bytes_left    b      = {bytes, size};
    const uint8_t digest[32] = {0};
    mg_watch_begin(w, take(&b, 1) & 1 ? m : NULL);
    mg_watch_reset(w, digest, NULL);
    mg_finding before = w->finding;
    while (b.n > 0) {
        step(w, &b);
        MG_ASSERT(w->finding.verdict >= before.verdict);
        MG_ASSERT(before.verdict != MG_QUARANTINED || w->finding.code == before.code);
        MG_ASSERT(w->finding.turn < w->turns);
        before = w->finding;
    }
    const mg_reward total = mg_reward_of(w->paid);
    mg_watch_end(w, size & 1, size & 2, &total);
    MG_ASSERT(w->finding.verdict >= before.verdict);
    MG_ASSERT(w->finding.verdict == MG_CLEAN || !mg_code_is_model(w->finding.code));
    MG_ASSERT((w->finding.code == MG_CODE_NONE) == (w->finding.detail[0] == 0));
    MG_ASSERT(w->finding.verdict == MG_CLEAN || w->finding.code != MG_CODE_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static mg_arena arena;
    static mg_watch a, b;
    mg_manifest     manifest;
    if (!arena.base && mg_arena_init(&arena, "fuzz", 1 << 20)) abort();
    if (mg_manifest_read(MANIFEST, sizeof MANIFEST - 1, &arena, &manifest)) abort();
    play(&a, &manifest, bytes, size);
    play(&b, &manifest, bytes, size);
    MG_ASSERT(memcmp(&a, &b, sizeof a) == 0);
    mg_manifest_release(&manifest);
    mg_arena_reset(&arena, 0);
    return 0;
}
