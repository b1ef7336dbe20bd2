// rmsnorm.c - y_j = g_j x_j r, r = 1 / sqrt(mean_j x_j^2 + eps).
//
// With u_j = x_j r:  dg_j += sum_i dy_j u_j,  dx_j += r (g_j dy_j - u_j mean_k(g_k dy_k u_k)).
// dx is cut by rows and dg by columns; the pieces of both run together.
#include <math.h>

#include "ops/fast.h"

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rmsnorm_call *c    = context;
    const int64_t          d    = c->x->cols, size = rows_per_piece(d);
    const int64_t          last = mg_piece_end(c->x->rows, size, piece);

    for (int64_t i = piece * size; i < last; i++) {
        const float *x = mg_f32(c->x) + i * d;
        lanes        squares = {0};
        for (int64_t j = 0; j < d; j += LANES) {
            lanes v = lanes_load(x + j, d - j);
            squares += v * v;
        }
        float r       = 1 / sqrtf(lanes_sum(squares) / (float)d + (float)c->eps);
        c->inverse[i] = r;
        for (int64_t j = 0; j < d; j += LANES) {
            lanes g = lanes_load(mg_f32(c->g) + j, d - j);
            lanes_store(mg_f32(c->y) + i * d + j, d - j, g * (lanes_load(x + j, d - j) * r));
        }
    }
}

static void forward(mg_tape *tape, void *call) {
    const mg_rmsnorm_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(c->x->rows, rows_per_piece(c->x->cols)));
}

static void input_gradient(const mg_rmsnorm_call *c, int64_t piece) {
    const int64_t d = c->x->cols, size = rows_per_piece(d);
    const int64_t last = mg_piece_end(c->x->rows, size, piece);
    const float  *g    = mg_f32(c->g);

    for (int64_t i = piece * size; i < last; i++) {
        const float *x = mg_f32(c->x) + i * d, *dy = mg_grad_f32(c->y) + i * d;
        float       *dx = mg_grad_f32(c->x) + i * d, r = c->inverse[i];
        lanes        products = {0};
        for (int64_t j = 0; j < d; j += LANES)
            products += lanes_load(g + j, d - j) * lanes_load(dy + j, d - j) *
                        lanes_load(x + j, d - j);
        float mean = lanes_sum(products) * r / (float)d;
        for (int64_t j = 0; j < d; j += LANES) {
            lanes gdy = lanes_load(g + j, d - j) * lanes_load(dy + j, d - j);
            lanes u   = lanes_load(x + j, d - j) * r;
            lanes_put(dx + j, d - j, c->store, r * (gdy - u * mean));
        }
    }
}

static void gain_gradient(const mg_rmsnorm_call *c, int64_t piece) {
    const int64_t d = c->x->cols, last = mg_piece_end(d, COLUMNS, piece);

    for (int64_t start = 0; start < c->x->rows; start += SLICE) {
        const int64_t end = start + SLICE < c->x->rows ? start + SLICE : c->x->rows;
        lanes         sums[COLUMNS / LANES] = {0};
        for (int64_t i = start; i < end; i++)
            for (int64_t j = piece * COLUMNS, s = 0; j < last; j += LANES, s++) {
                const int64_t at = i * d + j;
                sums[s] += lanes_load(mg_grad_f32(c->y) + at, last - j) *
                           (lanes_load(mg_f32(c->x) + at, last - j) * c->inverse[i]);
            }
        for (int64_t j = piece * COLUMNS, s = 0; j < last; j += LANES, s++)
            lanes_add_to(mg_grad_f32(c->g) + j, last - j, sums[s]);
    }
}

static int64_t gain_pieces(const mg_rmsnorm_call *c) {
    return c->g->grad ? mg_pieces(c->x->cols, COLUMNS) : 0;
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rmsnorm_call *c = context;
    if (piece < gain_pieces(c))
        gain_gradient(c, piece);
    else
        input_gradient(c, piece - gain_pieces(c));
}

static void backward(mg_tape *tape, void *call) {
    mg_rmsnorm_call *c = call;
    c->store           = mg_grad_begin(c->x);
    int64_t pieces = c->x->grad ? mg_pieces(c->x->rows, rows_per_piece(c->x->cols)) : 0;
    mg_team_run(tape->team, backward_piece, call, gain_pieces(c) + pieces);
}

mg_tensor *mg_rmsnorm(mg_tape *t, mg_tensor *x, mg_tensor *g, double eps) {
    static const mg_paths paths = MG_PATHS(rmsnorm);
    mg_rmsnorm_call      *c     = MG_NEW(t->arena, mg_rmsnorm_call, 1);

    MG_ASSERT(!g->tape && g->rows == x->cols && g->cols == 1); // a parameter
    *c = (mg_rmsnorm_call){.x = x, .g = g, .y = mg_tape_tensor(t, x->rows, x->cols), .eps = eps,
                           .inverse = MG_NEW(t->arena, float, x->rows)};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
