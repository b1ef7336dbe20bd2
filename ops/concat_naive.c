// concat_naive.c - columns side by side, in plain loops.
#include "ops/naive.h"

void NAIVE(concat_forward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_concat_call *c = context;
    const int64_t         left = c->a->cols, cols = c->y->cols;

    for (int64_t i = 0; i < c->y->rows; i++)
        for (int64_t j = 0; j < cols; j++)
            numbers(c->y)[i * cols + j] =
                j < left ? numbers(c->a)[i * left + j] : numbers(c->b)[i * c->b->cols + j - left];
}

void NAIVE(concat_backward)(mg_tape *tape, void *context) {
    (void)tape;
    const mg_concat_call *c  = context;
    const real           *dy = gradient(c->y);
    real                 *da = gradient(c->a), *db = gradient(c->b);
    const int64_t         left = c->a->cols, cols = c->y->cols;

    for (int64_t i = 0; i < c->y->rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            if (j < left && da) da[i * left + j] += dy[i * cols + j];
            if (j >= left && db) db[i * c->b->cols + j - left] += dy[i * cols + j];
        }
}
