// shift.h - a plant that is not the one that made the data: heavier, smoother, later.
//
// What a bundled control world may differ in from its published definition, so that a policy learnt on
// one plant meets another. A world says which of these it has.
#ifndef MG_WORLDS_SHIFT_H
#define MG_WORLDS_SHIFT_H
#include <stdint.h>
#include <string.h>

#define MG_ACTION_DELAY_MAX 16 // steps

typedef struct mg_shift {
    double  mass, friction, gravity; // factors, above 0; 1: as published
    int64_t action_delay;            // an action acts that many steps later, zeros before; 0 to MG_ACTION_DELAY_MAX
} mg_shift;

#define MG_SHIFT_NONE ((mg_shift){.mass = 1, .friction = 1, .gravity = 1})

// What acts now, where `action` was chosen now: the oldest of queue[delay][n], which the youngest then joins.
static inline void mg_shift_delay(float *queue, int64_t delay, int64_t n, const float *action, float *acts) {
    if (delay == 0) {
        memcpy(acts, action, (size_t)n * sizeof *acts);
        return;
    }
    memcpy(acts, queue, (size_t)n * sizeof *acts);
    memmove(queue, queue + n, (size_t)((delay - 1) * n) * sizeof *queue);
    memcpy(queue + (delay - 1) * n, action, (size_t)n * sizeof *queue);
}
#endif
