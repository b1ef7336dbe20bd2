// mlp_naive.c - perceptrons side by side in plain loops: formulas in ops.h.
#include "ops/naive.h"

#include <math.h>

// What layer l of net k reads: x, or what the layer before left, [rows, in].
static real *input_of(const mg_mlp_call *c, int64_t k, int64_t l) {
    return l == 0 ? numbers(c->x) : c->kept[k * c->n_layers + l - 1];
}

static real activated(const mg_mlp_call *c, real x) {
    return c->hidden == MG_RELU ? (x < 0 ? 0 : x) : (real)tanh((double)x);
}

void NAIVE(mlp_forward)(mg_tape *tape, void *context) {
    mg_mlp_call  *c    = context;
    const int64_t rows = c->x->rows;

    c->kept = MG_NEW(tape->arena, void *, c->n_nets * c->n_layers);
    for (int64_t k = 0; k < c->n_nets; k++)
        for (int64_t l = 0; l < c->n_layers; l++) {
            const mg_tensor *W = c->layers[k * c->n_layers + l].W, *b = c->layers[k * c->n_layers + l].b;
            const real      *x = input_of(c, k, l);
            real            *h = MG_NEW(tape->arena, real, rows * W->rows);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < W->rows; j++) {
                    real sum = 0;
                    for (int64_t n = 0; n < W->cols; n++)
                        sum += factor(W, x[i * W->cols + n]) * factor(W, numbers(W)[j * W->cols + n]);
                    sum += numbers(b)[j];
                    h[i * W->rows + j] = l + 1 < c->n_layers ? activated(c, sum) : sum;
                    if (l + 1 == c->n_layers) numbers(c->y)[(i * c->n_nets + k) * W->rows + j] = sum;
                }
            c->kept[k * c->n_layers + l] = h;
        }
}

// dx [rows, in] += dy W;  dW += dy^T x,  db_j += sum_i dy_ij.  dx may be NULL.
static void through_layer(const mg_mlp_layer *layer, int64_t rows, const real *x, const real *dy, real *dx) {
    const mg_tensor *W  = layer->W;
    const int64_t    in = W->cols, out = W->rows;
    real            *dW = gradient(W), *db = gradient(layer->b);

    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < out; j++) {
            const real rounded = factor(W, dy[i * out + j]);
            for (int64_t n = 0; n < in; n++) {
                if (dx) dx[i * in + n] += rounded * factor(W, numbers(W)[j * in + n]);
                if (dW) dW[j * in + n] += rounded * factor(W, x[i * in + n]);
            }
            if (db) db[j] += rounded;
        }
}

void NAIVE(mlp_backward)(mg_tape *tape, void *context) {
    const mg_mlp_call *c    = context;
    const int64_t      rows = c->x->rows, out = c->y->cols / c->n_nets;

    for (int64_t k = 0; k < c->n_nets; k++) {
        real *dy = MG_NEW(tape->arena, real, rows * out);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < out; j++) dy[i * out + j] = gradient(c->y)[(i * c->n_nets + k) * out + j];
        for (int64_t l = c->n_layers - 1; l >= 0; l--) {
            const mg_mlp_layer *layer = &c->layers[k * c->n_layers + l];
            const int64_t       n     = rows * layer->W->cols;
            const real         *h     = input_of(c, k, l);
            real               *dh    = l == 0 ? gradient(c->x) : MG_NEW(tape->arena, real, n);
            through_layer(layer, rows, h, dy, dh);
            for (int64_t i = 0; l > 0 && i < n; i++)
                dh[i] = c->hidden == MG_RELU ? (h[i] > 0 ? dh[i] : 0) : dh[i] * (1 - h[i] * h[i]);
            dy = dh;
        }
    }
}
