// swiglu.c - y = silu(a) b, silu(a) = a s, s = 1 / (1 + exp(-a)).
//
//   da += dy b s (1 + a (1 - s)),  db += dy a s
#include "ops/fast.h"

LANES_INLINE lanes sigmoid(lanes a) { return 1.0f / (1.0f + lanes_exp(-a)); }

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_swiglu_call *c    = context;
    const int64_t         last = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);

    for (int64_t i = piece * PIECE; i < last; i += LANES) {
        lanes a = lanes_load(mg_f32(c->a) + i, last - i);
        lanes b = lanes_load(mg_f32(c->b) + i, last - i);
        lanes_store(mg_f32(c->y) + i, last - i, a * sigmoid(a) * b);
    }
}

static void forward(mg_tape *tape, void *call) {
    const mg_swiglu_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_swiglu_call *c    = context;
    const int64_t         last = mg_piece_end(mg_tensor_count(c->y), PIECE, piece);
    float                *da = c->a->grad, *db = c->b->grad;

    for (int64_t i = piece * PIECE; i < last; i += LANES) {
        lanes a  = lanes_load(mg_f32(c->a) + i, last - i);
        lanes b  = lanes_load(mg_f32(c->b) + i, last - i);
        lanes dy = lanes_load(mg_grad_f32(c->y) + i, last - i);
        lanes s  = sigmoid(a);
        if (da) lanes_put(da + i, last - i, c->store_a, dy * b * s * (1.0f + a * (1.0f - s)));
        if (db) lanes_put(db + i, last - i, c->store_b, dy * a * s);
    }
}

static void backward(mg_tape *tape, void *call) {
    mg_swiglu_call *c = call;
    c->store_a        = mg_grad_begin(c->a);
    c->store_b        = mg_grad_begin(c->b);
    mg_team_run(tape->team, backward_piece, call, mg_pieces(mg_tensor_count(c->y), PIECE));
}

mg_tensor *mg_swiglu(mg_tape *t, mg_tensor *a, mg_tensor *b) {
    static const mg_paths paths = MG_PATHS(swiglu);
    mg_swiglu_call       *c     = MG_NEW(t->arena, mg_swiglu_call, 1);

    MG_ASSERT(a->rows == b->rows && a->cols == b->cols);
    *c = (mg_swiglu_call){.a = a, .b = b, .y = mg_tape_tensor(t, a->rows, a->cols)};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
