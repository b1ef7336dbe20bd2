// linear_logp.c - token_logp of linear, band after band, so that [rows, vocab] numbers are not kept.
//
// With a wide vocabulary logits would be most of what a training step remembers, and their gradients
// as much again. A band's logits are dropped with forward and made again in backward, which costs a
// third of the head's work; few logits, in one band, stay. A band is a multiple of SLICE rows, so
// that sums over rows are those of the two operations one after the other.
#include "ops/fast.h"

enum { LOGITS_MAX = 1 << 22 }; // numbers of a band, where SLICE rows are not more: 16 MiB

typedef struct linear_logp_call {
    mg_linear_call     linear; // x [rows, in], W; y is a band's logits
    mg_token_logp_call logp;   // of all rows; z is a band's logits
    int64_t            rows;   // in a band
    void              *kept;   // the logits, when one band is all
} linear_logp_call;

// Rows first .. first+n of t.
static mg_tensor rows_view(const mg_tensor *t, int64_t first, int64_t n) {
    const size_t size = t->dtype == MG_F64 ? sizeof(double) : sizeof(float);
    const size_t skip = (size_t)(first * t->cols) * size;
    return (mg_tensor){.dtype = t->dtype, .rows = n, .cols = t->cols, .data = (char *)t->data + skip,
                       .grad = t->grad ? (char *)t->grad + skip : NULL};
}

typedef struct band {
    mg_tensor          x, z, logp;
    mg_linear_call     linear;
    mg_token_logp_call call;
} band;

// The calls of the band from row `first` on; its logits are on the arena, or those that were kept.
static void band_make(mg_tape *tape, const linear_logp_call *c, int64_t first, band *s) {
    const int64_t left = c->logp.logp->rows - first, n = left < c->rows ? left : c->rows;
    const int64_t vocab = c->linear.W->rows;
    const size_t  size  = tape->dtype == MG_F64 ? sizeof(double) : sizeof(float);

    s->x      = rows_view(c->linear.x, first, n);
    s->logp   = rows_view(c->logp.logp, first, n);
    s->z      = (mg_tensor){.dtype = tape->dtype, .rows = n, .cols = vocab, .data = c->kept};
    s->linear = (mg_linear_call){.x = &s->x, .W = c->linear.W, .y = &s->z};
    s->call   = c->logp;
    s->call.z = &s->z, s->call.logp = &s->logp;
    s->call.target += first, s->call.lse += first;
    if (s->call.entropy) s->call.entropy += first;
    if (!s->z.data) s->z.data = mg_arena_alloc_raw(tape->arena, (size_t)(n * vocab) * size);
}

static void forward(mg_tape *tape, void *call) {
    const linear_logp_call *c = call;
    for (int64_t first = 0; first < c->logp.logp->rows; first += c->rows) {
        const size_t mark = mg_arena_mark(tape->arena);
        band         s;
        band_make(tape, c, first, &s);
        mg_path_of(tape, &mg_linear_paths)->forward(tape, &s.linear);
        mg_path_of(tape, &mg_token_logp_paths)->forward(tape, &s.call);
        mg_arena_reset(tape->arena, mark);
    }
}

static void backward(mg_tape *tape, void *call) {
    const linear_logp_call *c    = call;
    const size_t            size = tape->dtype == MG_F64 ? sizeof(double) : sizeof(float);
    mg_grad(c->linear.x);
    for (int64_t first = 0; first < c->logp.logp->rows; first += c->rows) {
        const size_t mark = mg_arena_mark(tape->arena);
        band         s;
        band_make(tape, c, first, &s);
        if (!c->kept) mg_path_of(tape, &mg_linear_paths)->forward(tape, &s.linear);
        s.z.grad = mg_arena_alloc(tape->arena, (size_t)mg_tensor_count(&s.z) * size);
        mg_path_of(tape, &mg_token_logp_paths)->backward(tape, &s.call);
        mg_path_of(tape, &mg_linear_paths)->backward(tape, &s.linear);
        mg_arena_reset(tape->arena, mark);
    }
}

mg_tensor *mg_linear_logp(mg_tape *t, mg_tensor *x, mg_tensor *W, const int32_t *target,
                          double temperature, float *entropy_out) {
    static const mg_paths paths = { // on any of them a band takes the tape's
        {forward, backward}, {forward, backward}, {forward, backward}};
    linear_logp_call *c       = MG_NEW(t->arena, linear_logp_call, 1);
    const int64_t     at_once = LOGITS_MAX / SLICE / W->rows;

    MG_ASSERT(!W->tape && x->cols == W->cols && temperature > 0);
    *c = (linear_logp_call){.linear = {.x = x, .W = W}, .rows = SLICE * (at_once > 1 ? at_once : 1),
                            .logp = {.logp = mg_tape_tensor(t, x->rows, 1), .target = target,
                                     .temperature = temperature, .entropy = entropy_out,
                                     .lse = MG_NEW(t->arena, float, x->rows)}};
    if (t->record && x->rows <= c->rows) {
        const size_t size = t->dtype == MG_F64 ? sizeof(double) : sizeof(float);
        c->kept = mg_arena_alloc_raw(t->arena, (size_t)(x->rows * W->rows) * size);
    }
    mg_path_run(t, &paths, c, c->logp.logp);
    return c->logp.logp;
}
