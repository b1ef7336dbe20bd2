// add.c - y = a + b.
#include "ops/fast.h"

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_add_call *c    = context;
    const int64_t      last = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);
    const float       *a = mg_f32(c->a), *b = mg_f32(c->b);
    float             *y = mg_f32(c->y);

    for (int64_t i = piece * PIECE; i < last; i++) y[i] = a[i] + b[i];
}

static void forward(mg_tape *tape, void *call) {
    const mg_add_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_add_call *c     = context;
    const int64_t      first = piece * PIECE;
    const int64_t      last  = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);
    const float       *dy    = mg_grad_f32(c->y);
    float             *da = mg_grad_f32(c->a), *db = mg_grad_f32(c->b);

    if (da)
        for (int64_t i = first; i < last; i++) da[i] += dy[i];
    if (db)
        for (int64_t i = first; i < last; i++) db[i] += dy[i];
}

static void backward(mg_tape *tape, void *call) {
    const mg_add_call *c = call;
    mg_team_run(tape->team, backward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

mg_tensor *mg_add(mg_tape *t, mg_tensor *a, mg_tensor *b) {
    static const mg_paths paths = MG_PATHS(add);
    mg_add_call          *c     = MG_NEW(t->arena, mg_add_call, 1);

    MG_ASSERT(a->rows == b->rows && a->cols == b->cols);
    *c = (mg_add_call){.a = a, .b = b, .y = mg_tape_tensor(t, a->rows, a->cols)};
    mg_path_run(t, &paths, c);
    return c->y;
}
