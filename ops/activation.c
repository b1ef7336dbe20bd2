// activation.c - relu and tanh, element by element.
//
// tanhf is the C library's, one number at a time: it ends small networks, it is never hot.
#include <math.h>

#include "ops/fast.h"

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_activation_call *c     = context;
    const int64_t             first = piece * PIECE;
    const int64_t             last  = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);
    const float              *x     = mg_f32(c->x);
    float                    *y     = mg_f32(c->y);

    if (c->kind == MG_RELU) // a NaN passes
        for (int64_t i = first; i < last; i++) y[i] = x[i] < 0 ? 0 : x[i];
    else
        for (int64_t i = first; i < last; i++) y[i] = tanhf(x[i]);
}

static void forward(mg_tape *tape, void *call) {
    const mg_activation_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

// relu' is 1 where y > 0; tanh' is 1 - y^2.
static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_activation_call *c     = context;
    const int64_t             first = piece * PIECE;
    const int64_t             last  = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);
    const float              *y = mg_f32(c->y), *dy = mg_grad_f32(c->y);
    float                    *dx = mg_grad_f32(c->x);

    if (c->kind == MG_RELU)
        for (int64_t i = first; i < last; i++) dx[i] += y[i] > 0 ? dy[i] : 0;
    else
        for (int64_t i = first; i < last; i++) dx[i] += dy[i] * (1 - y[i] * y[i]);
}

static void backward(mg_tape *tape, void *call) {
    const mg_activation_call *c = call;
    if (!mg_grad(c->x)) return;
    mg_team_run(tape->team, backward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

mg_tensor *mg_activation(mg_tape *t, mg_tensor *x, mg_activation_kind kind) {
    static const mg_paths paths = MG_PATHS(activation);
    mg_activation_call   *c     = MG_NEW(t->arena, mg_activation_call, 1);

    *c = (mg_activation_call){.x = x, .y = mg_tape_tensor(t, x->rows, x->cols), .kind = kind};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
