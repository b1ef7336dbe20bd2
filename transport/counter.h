// counter.h - the smallest world there is, for tests: bring a counter to its target with "+1" and
// "-1".
//
// Played in process by process_test.c and in a process by bad_env.c, so that both can be compared.
#ifndef MG_TRANSPORT_COUNTER_H
#define MG_TRANSPORT_COUNTER_H
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { COUNTER_ITEMS = 5, COUNTER_STEPS = 40 };

typedef struct counter {
    int64_t count, target;
    char    text[64]; // what is shown
} counter;

static inline void counter_show(counter *c) {
    snprintf(c->text, sizeof c->text, "%" PRId64 " of %" PRId64, c->count, c->target);
}

static inline void counter_reset(counter *c, uint64_t seed, int64_t item) {
    *c = (counter){.count = (int64_t)(seed % 10), .target = 3 + item};
    counter_show(c);
}

// False: no such action.
static inline bool counter_step(counter *c, const char *action, size_t size, double *reward) {
    const bool up = size == 2 && memcmp(action, "+1", 2) == 0;
    const bool ok = up || (size == 2 && memcmp(action, "-1", 2) == 0);
    if (ok) c->count += up ? 1 : -1;
    // Bits that no short text has.
    *reward = c->count == c->target ? 1 : -1e-3 / (double)(3 + c->count * c->count);
    counter_show(c);
    return ok;
}

static inline void counter_digest(const counter *c, uint8_t out[32]) {
    SHA256((const uint8_t *)c->text, strlen(c->text), out);
}
#endif
