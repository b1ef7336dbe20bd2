// swiglu_naive.c - y = silu(a) b in plain loops.
//
// With s = 1 / (1 + exp(-a)):  da += dy b s (1 + a (1 - s)),  db += dy a s.
#include <math.h>

#include "ops/naive.h"

static real sigmoid(real a) { return (real)(1 / (1 + exp(-(double)a))); }

void NAIVE(swiglu_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_swiglu_call *c = context;
    const real           *a = numbers(c->a), *b = numbers(c->b);
    real                 *y = numbers(c->y);

    for (int64_t i = 0; i < mg_tensor_count(c->y); i++) y[i] = a[i] * sigmoid(a[i]) * b[i];
}

void NAIVE(swiglu_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_swiglu_call *c = context;
    const real           *a = numbers(c->a), *b = numbers(c->b), *dy = gradient(c->y);
    real                 *da = gradient(c->a), *db = gradient(c->b);

    for (int64_t i = 0; i < mg_tensor_count(c->y); i++) {
        real s = sigmoid(a[i]);
        if (da) da[i] += dy[i] * b[i] * s * (1 + a[i] * (1 - s));
        if (db) db[i] += dy[i] * a[i] * s;
    }
}
