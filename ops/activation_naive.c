// activation_naive.c - relu and tanh in plain loops.
#include <math.h>

#include "ops/naive.h"

void NAIVE(activation_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_activation_call *c = context;
    const real               *x = numbers(c->x);
    real                     *y = numbers(c->y);

    for (int64_t i = 0; i < mg_tensor_count(c->y); i++)
        y[i] = c->kind == MG_RELU ? (x[i] < 0 ? 0 : x[i]) : (real)tanh((double)x[i]);
}

// relu' is 1 where y > 0; tanh' is 1 - y^2.
void NAIVE(activation_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_activation_call *c = context;
    const real               *y = numbers(c->y), *dy = gradient(c->y);
    real                     *dx = gradient(c->x);

    if (!dx) return;
    for (int64_t i = 0; i < mg_tensor_count(c->y); i++)
        dx[i] += c->kind == MG_RELU ? (y[i] > 0 ? dy[i] : 0) : dy[i] * (1 - y[i] * y[i]);
}
