// rows_naive.c - y_i = x[index[i]] in plain loops.
#include "ops/naive.h"

void NAIVE(rows_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rows_call *c = context;
    const int64_t       d = c->x->cols;
    const real         *x = numbers(c->x);
    real               *y = numbers(c->y);

    for (int64_t i = 0; i < c->y->rows; i++)
        for (int64_t j = 0; j < d; j++) y[i * d + j] = x[c->index[i] * d + j];
}

void NAIVE(rows_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_rows_call *c  = context;
    const int64_t       d  = c->x->cols;
    const real         *dy = gradient(c->y);
    real               *dx = gradient(c->x);

    if (!dx) return;
    for (int64_t i = 0; i < c->y->rows; i++)
        for (int64_t j = 0; j < d; j++) dx[c->index[i] * d + j] += dy[i * d + j];
}
