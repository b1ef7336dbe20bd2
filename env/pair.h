// pair.h - the rows of text data sets.
#ifndef MG_ENV_PAIR_H
#define MG_ENV_PAIR_H
#include <stdint.h>

// A task and what a person answered. Strings are UTF-8, owned by the data set.
typedef struct mg_pair {
    const char *prompt;
    const char *completion;
} mg_pair;

typedef struct mg_preference {
    const char *prompt;
    const char *chosen;
    const char *rejected;
} mg_preference;
#endif
