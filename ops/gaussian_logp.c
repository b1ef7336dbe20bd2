// gaussian_logp.c - log-probabilities of actions under independent normal distributions.
//
// With z_ij = (x_ij - m_ij) exp(-s_j):
//   logp_i = -1/2 sum_j z_ij^2 - sum_j s_j - d/2 log 2 pi
//   dm_ij += dlogp_i z_ij exp(-s_j),  ds_j += sum_i dlogp_i (z_ij^2 - 1)
// dm is cut by rows and ds by columns; the pieces of both run together.
#include "ops/fast.h"

#define LOG_2PI_HALF 0.918938533204672742 // log(2 pi) / 2

LANES_INLINE lanes z_of(const mg_gaussian_logp_call *c, int64_t i, int64_t j, int64_t left) {
    const int64_t at = i * c->m->cols + j;
    return (lanes_load(c->x + at, left) - lanes_load(mg_f32(c->m) + at, left)) * lanes_load(c->inverse + j, left);
}

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_gaussian_logp_call *c = context;
    const int64_t d = c->m->cols, size = rows_per_piece(d), last = mg_piece_end(c->m->rows, size, piece);
    for (int64_t i = piece * size; i < last; i++) {
        lanes squares = {0};
        for (int64_t j = 0; j < d; j += LANES) {
            const lanes z = z_of(c, i, j, d - j);
            squares += z * z;
        }
        mg_f32(c->logp)[i] = c->constant - 0.5f * lanes_sum(squares);
    }
}

static void forward(mg_tape *tape, void *call) {
    mg_gaussian_logp_call *c = call;
    const int64_t          d = c->m->cols;
    double                 constant = 0;
    for (int64_t j = 0; j < d; j++) constant -= (double)mg_f32(c->s)[j] + LOG_2PI_HALF;
    c->constant = (float)constant;
    for (int64_t j = 0; j < d; j += LANES)
        lanes_store(c->inverse + j, d - j, lanes_exp(-lanes_load(mg_f32(c->s) + j, d - j)));
    mg_team_run(tape->team, forward_piece, call, mg_pieces(c->m->rows, rows_per_piece(d)));
}

static void mean_gradient(const mg_gaussian_logp_call *c, int64_t piece) {
    const int64_t d = c->m->cols, size = rows_per_piece(d), last = mg_piece_end(c->m->rows, size, piece);
    for (int64_t i = piece * size; i < last; i++)
        for (int64_t j = 0; j < d; j += LANES) {
            const lanes slope = z_of(c, i, j, d - j) * lanes_load(c->inverse + j, d - j);
            lanes_put(mg_grad_f32(c->m) + i * d + j, d - j, c->store, slope * mg_grad_f32(c->logp)[i]);
        }
}

static void deviation_gradient(const mg_gaussian_logp_call *c, int64_t piece) {
    const int64_t d = c->m->cols, last = mg_piece_end(d, COLUMNS, piece);
    for (int64_t start = 0; start < c->m->rows; start += SLICE) {
        const int64_t end = start + SLICE < c->m->rows ? start + SLICE : c->m->rows;
        lanes         sums[COLUMNS / LANES] = {0};
        for (int64_t i = start; i < end; i++)
            for (int64_t j = piece * COLUMNS, k = 0; j < last; j += LANES, k++) {
                const lanes z = z_of(c, i, j, last - j);
                sums[k] += (z * z - 1) * mg_grad_f32(c->logp)[i];
            }
        for (int64_t j = piece * COLUMNS, k = 0; j < last; j += LANES, k++)
            lanes_add_to(mg_grad_f32(c->s) + j, last - j, sums[k]);
    }
}

static int64_t deviation_pieces(const mg_gaussian_logp_call *c) {
    return c->s->grad ? mg_pieces(c->s->rows, COLUMNS) : 0;
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_gaussian_logp_call *c = context;
    if (piece < deviation_pieces(c))
        deviation_gradient(c, piece);
    else
        mean_gradient(c, piece - deviation_pieces(c));
}

static void backward(mg_tape *tape, void *call) {
    mg_gaussian_logp_call *c = call;
    c->store             = mg_grad_begin(c->m);
    const int64_t pieces = c->m->grad ? mg_pieces(c->m->rows, rows_per_piece(c->m->cols)) : 0;
    mg_team_run(tape->team, backward_piece, call, deviation_pieces(c) + pieces);
}

mg_tensor *mg_gaussian_logp(mg_tape *t, mg_tensor *m, mg_tensor *s, const float *x) {
    static const mg_paths  paths = MG_PATHS(gaussian_logp);
    mg_gaussian_logp_call *c     = MG_NEW(t->arena, mg_gaussian_logp_call, 1);

    MG_ASSERT(!s->tape && s->rows == m->cols && s->cols == 1); // a parameter
    *c = (mg_gaussian_logp_call){.m = m, .s = s, .logp = mg_tape_tensor(t, m->rows, 1), .x = x,
                                 .inverse = MG_NEW(t->arena, float, m->cols)};
    mg_path_run(t, &paths, c, c->logp);
    return c->logp;
}
