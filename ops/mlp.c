// mlp.c - a perceptron of the operations that it is made of.
#include <string.h>

#include "ops/ops.h"

typedef struct join {
    mg_tensor **parts; // [n] of equal shape
    int64_t     n;
    mg_tensor  *y;
} join;

static void join_backward(mg_tape *tape, void *saved) {
    const join *j = saved;
    (void)tape;
    for (int64_t k = 0; k < j->n; k++) {
        const int64_t cols = j->parts[k]->cols;
        float        *to   = mg_grad_f32(j->parts[k]);
        for (int64_t i = 0; i < j->y->rows; i++)
            for (int64_t c = 0; c < cols; c++) to[i * cols + c] += mg_grad_f32(j->y)[(i * j->n + k) * cols + c];
    }
}

mg_tensor *mg_mlp(mg_tape *t, mg_tensor *x, const mg_mlp_layer *layers, int64_t n_layers, int64_t n_nets,
                  mg_activation_kind hidden) {
    join *j = MG_NEW(t->arena, join, 1);
    j->parts = MG_NEW(t->arena, mg_tensor *, n_nets);
    j->n     = n_nets;
    for (int64_t k = 0; k < n_nets; k++) {
        mg_tensor *h = x;
        for (int64_t i = 0; i < n_layers; i++) {
            const mg_mlp_layer *l = &layers[k * n_layers + i];
            h = mg_linear(t, h, l->W, l->b);
            if (i + 1 < n_layers) h = mg_activation(t, h, hidden);
        }
        j->parts[k] = h;
    }
    if (n_nets == 1) return j->parts[0];
    const int64_t cols = j->parts[0]->cols;
    j->y = mg_tape_tensor(t, x->rows, n_nets * cols);
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t k = 0; k < n_nets; k++)
            memcpy(mg_f32(j->y) + (i * n_nets + k) * cols, mg_f32(j->parts[k]) + i * cols,
                   sizeof(float) * (size_t)cols);
    mg_tape_push(t, j->y, join_backward, j);
    return j->y;
}
