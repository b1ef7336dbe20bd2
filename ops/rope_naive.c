// rope_naive.c - rotary positions in plain loops.
//
// A rotation's transpose is its inverse: backward turns dy by the opposite angle.
#include <math.h>

#include "ops/naive.h"

// to += each pair (j, j + h/2) of every head of `from`, turned by direction * position * frequency.
static void turn(const mg_rope_call *c, double direction, const real *from, real *to) {
    const mg_turns *t = c->turns;
    const int64_t   h = t->head_width, heads = c->x->cols / h;

    for (int64_t i = 0; i < c->x->rows; i++)
        for (int64_t head = 0; head < heads; head++)
            for (int64_t j = 0; j < h / 2; j++) {
                double  angle = direction * t->positions[i] * t->frequency[j];
                real    cosine = (real)cos(angle), sine = (real)sin(angle);
                int64_t a = (i * heads + head) * h + j, b = a + h / 2;
                to[a] += from[a] * cosine - from[b] * sine;
                to[b] += from[a] * sine + from[b] * cosine;
            }
}

void NAIVE(rope_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rope_call *c = context;
    for (int64_t i = 0; i < mg_tensor_count(c->y); i++) numbers(c->y)[i] = 0;
    turn(c, 1, numbers(c->x), numbers(c->y));
}

void NAIVE(rope_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rope_call *c = context;
    if (gradient(c->x)) turn(c, -1, gradient(c->y), gradient(c->x));
}
