// linear_naive.c - y = x W^T + b in plain loops; formulas in ops.h.
#include "ops/naive.h"

void NAIVE(linear_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_linear_call *c = context;
    const int64_t in = c->W->cols, out = c->W->rows;
    const real   *x = numbers(c->x), *W = numbers(c->W), *b = c->b ? numbers(c->b) : NULL;
    real         *y = numbers(c->y);

    for (int64_t i = 0; i < c->x->rows; i++)
        for (int64_t j = 0; j < out; j++) {
            real sum = 0;
            for (int64_t k = 0; k < in; k++)
                sum += factor(c->W, x[i * in + k]) * factor(c->W, W[j * in + k]);
            y[i * out + j] = sum + (b ? b[j] : 0);
        }
}

void NAIVE(linear_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_linear_call *c = context;
    const int64_t in = c->W->cols, out = c->W->rows;
    const real   *x = numbers(c->x), *W = numbers(c->W), *dy = gradient(c->y);
    real *dx = gradient(c->x), *dW = gradient(c->W), *db = c->b ? gradient(c->b) : NULL;

    for (int64_t i = 0; i < c->x->rows; i++)
        for (int64_t j = 0; j < out; j++) {
            const real g = dy[i * out + j], rounded = factor(c->W, g);
            if (dx)
                for (int64_t k = 0; k < in; k++)
                    dx[i * in + k] += rounded * factor(c->W, W[j * in + k]);
            if (dW)
                for (int64_t k = 0; k < in; k++)
                    dW[j * in + k] += rounded * factor(c->W, x[i * in + k]);
            if (db) db[j] += g;
        }
}
