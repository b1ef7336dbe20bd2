// add_naive.c - y = a + b in plain loops.
#include "ops/naive.h"

void NAIVE(add_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_add_call *c = context;
    const real        *a = numbers(c->a), *b = numbers(c->b);
    real              *y = numbers(c->y);

    for (int64_t i = 0; i < mg_tensor_count(c->y); i++) y[i] = a[i] + b[i];
}

void NAIVE(add_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_add_call *c  = context;
    const real        *dy = gradient(c->y);
    real              *da = gradient(c->a), *db = gradient(c->b);

    for (int64_t i = 0; i < mg_tensor_count(c->y); i++) {
        if (da) da[i] += dy[i];
        if (db) db[i] += dy[i];
    }
}
