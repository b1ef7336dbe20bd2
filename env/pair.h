// pair.h - the rows of text data sets.
#ifndef MG_ENV_PAIR_H
#define MG_ENV_PAIR_H
#include <stdbool.h>
#include <stdint.h>

// Largest seed of a demonstration: the largest whole number that JSON carries everywhere (RFC 8259,
// section 6). What is played is seeded within it, so that every episode can become one.
#define MG_SEED_MAX ((INT64_C(1) << 53) - 1)

// A further turn of a conversation: what was seen, what was answered.
typedef struct mg_exchange {
    const char *observation, *action;
} mg_exchange;

// A task and what somebody answered; with `later` a demonstration of several turns. Strings are UTF-8,
// owned by the data set.
typedef struct mg_pair {
    const char        *prompt;
    const char        *completion;
    const mg_exchange *later; // [n_later] turns behind the first, or NULL
    int64_t            n_later;
    // Where it was made: what the world's reset was given. Not placed: it is the task of its row's
    // number, and any seed will do.
    bool     placed;
    int64_t  item; // -1: the seed decides
    uint64_t seed; // at most MG_SEED_MAX
} mg_pair;

// Turn k of n_later + 1.
static inline mg_exchange mg_pair_turn(const mg_pair *p, int64_t k) {
    return k == 0 ? (mg_exchange){p->prompt, p->completion} : p->later[k - 1];
}

typedef struct mg_preference {
    const char *prompt;
    const char *chosen;
    const char *rejected;
} mg_preference;
#endif
