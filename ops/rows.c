// rows.c - y_i = x[index[i]]: rows of a table, and the embedding of tokens, which is the same.
//
// Backward cuts the columns into pieces and takes the rows in order, so a row that is named twice
// gets its contributions in one order with any number of threads.
#include "ops/fast.h"

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rows_call *c    = context;
    const int64_t       d    = c->x->cols, size = rows_per_piece(d);
    const int64_t       last = mg_piece_end(c->y->rows, size, piece);

    for (int64_t i = piece * size; i < last; i++) {
        MG_ASSERT(c->index[i] >= 0 && c->index[i] < c->x->rows);
        memcpy(mg_f32(c->y) + i * d, mg_f32(c->x) + c->index[i] * d, sizeof(float) * (size_t)d);
    }
}

static void forward(mg_tape *tape, void *call) {
    const mg_rows_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(c->y->rows, rows_per_piece(c->x->cols)));
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rows_call *c = context;
    const int64_t d = c->x->cols, first = piece * COLUMNS, last = mg_piece_end(d, COLUMNS, piece);

    for (int64_t i = 0; i < c->y->rows; i++) {
        const float *dy = mg_grad_f32(c->y) + i * d;
        float       *dx = mg_grad_f32(c->x) + c->index[i] * d;
        for (int64_t j = first; j < last; j++) dx[j] += dy[j];
    }
}

static void backward(mg_tape *tape, void *call) {
    const mg_rows_call *c = call;
    if (!mg_grad(c->x)) return;
    mg_team_run(tape->team, backward_piece, call, mg_pieces(c->x->cols, COLUMNS));
}

mg_tensor *mg_rows(mg_tape *t, mg_tensor *x, const int32_t *index, int64_t n) {
    static const mg_paths paths = MG_PATHS(rows);
    mg_rows_call         *c     = MG_NEW(t->arena, mg_rows_call, 1);

    *c = (mg_rows_call){.x = x, .y = mg_tape_tensor(t, n, x->cols), .index = index};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}

mg_tensor *mg_embedding(mg_tape *t, mg_tensor *W, const int32_t *ids, int64_t n) {
    return mg_rows(t, W, ids, n);
}
