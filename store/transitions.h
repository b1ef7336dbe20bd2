// transitions.h - STAND-IN until the real one is merged.
#ifndef MG_STORE_TRANSITIONS_H
#define MG_STORE_TRANSITIONS_H
#include <stdbool.h>
#include <stdint.h>
#include "core/arena.h"
typedef struct mg_transition_row {
    const float *observation, *action, *next;
    float        reward;
    bool         terminated, truncated;
} mg_transition_row;
typedef struct mg_transitions {
    int64_t n, observations, actions;
    float  *rows; // [n, 2 observations + actions + 3]
} mg_transitions;
static inline mg_transition_row mg_transitions_row(const mg_transitions *t, int64_t i) {
    const float *x = t->rows + i * (2 * t->observations + t->actions + 3);
    return (mg_transition_row){x, x + t->observations, x + t->observations + t->actions,
                               x[2 * t->observations + t->actions], x[2 * t->observations + t->actions + 1] > 0,
                               x[2 * t->observations + t->actions + 2] > 0};
}
#endif
