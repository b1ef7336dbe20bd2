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

typedef struct sum_gradient { // dx (+)= dy
    int64_t      n;
    const float *dy;
    float       *dx;
    bool         store;
} sum_gradient;

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const sum_gradient *g     = context;
    const int64_t       first = piece * PIECE, last = mg_piece_end(g->n, PIECE, piece);

    if (g->store)
        memcpy(g->dx + first, g->dy + first, sizeof(float) * (size_t)(last - first));
    else
        for (int64_t i = first; i < last; i++) g->dx[i] += g->dy[i];
}

static void add_to(mg_tape *tape, mg_tensor *x, const mg_tensor *y) {
    if (!mg_grad_wanted(x)) return;
    sum_gradient g = {.n = mg_tensor_count(y), .dy = mg_grad_f32(y), .store = mg_grad_begin(x)};
    g.dx           = mg_grad_f32(x);
    mg_team_run(tape->team, backward_piece, &g, mg_pieces(g.n, PIECE));
}

// dy goes to both; whose gradient begins with it has its memory for nothing.
static void backward(mg_tape *tape, void *call) {
    const mg_add_call *c = call;
    add_to(tape, c->b, c->y);
    if (!mg_grad_take(c->a, c->y)) add_to(tape, c->a, c->y);
}

mg_tensor *mg_add(mg_tape *t, mg_tensor *a, mg_tensor *b) {
    static const mg_paths paths = MG_PATHS(add);
    mg_add_call          *c     = MG_NEW(t->arena, mg_add_call, 1);

    MG_ASSERT(a->rows == b->rows && a->cols == b->cols);
    *c = (mg_add_call){.a = a, .b = b, .y = mg_tape_tensor(t, a->rows, a->cols)};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
