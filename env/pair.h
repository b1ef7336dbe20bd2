// pair.h - the rows of text data sets.
#ifndef MG_ENV_PAIR_H
#define MG_ENV_PAIR_H
#include <stdint.h>

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
} mg_pair;

typedef struct mg_preference {
    const char *prompt;
    const char *chosen;
    const char *rejected;
} mg_preference;
#endif
