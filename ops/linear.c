// linear.c - y = x W^T + b: how its products are cut, and where their factors are packed.
//
// Rows are cut into pieces by shape alone; a row of a product has the same bits in any piece. W is
// packed once per version and layout, by the team. The gradient of W is a product over tokens, for
// which x is packed slice by slice; every piece transposes the columns of dy that it needs.
#include "ops/few.h"
#include "ops/packed.h"

enum {
    OUT_ROWS = 64, // rows of dW in one piece
    LAST     = 32, // tokens: a slice that is not full takes whole multiples, another what is left
};

// ---- Packed weights

static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    mg_packing_piece(context, piece);
}

// W [out, in] as the factor of x W^T, or of dy W for its input.
static const void *packed(mg_tape *tape, mg_tensor *W, bool input) {
    mg_packing p = mg_packing_begin(W, input, input ? mg_product_strips(W->bf16, W->rows, W->cols)
                                                    : mg_product_strips(W->bf16, W->cols, W->rows));
    if (!input && !tape->record && !W->packed->asked) { // training alone need not know
        W->packed->few   = mg_few_same_bits(&p.strips);
        W->packed->asked = true;
    }
    mg_team_run(tape->team, pack_piece, &p, p.pieces);
    return p.to;
}

// ---- Forward

// Small products are cut finer, so that a batch of one token per sequence still fills the team.
static int64_t rows_of_piece(int64_t rows) { return rows < 512 ? 16 : 64; }

// Memory of each worker, for factors on their way into a product.
typedef struct scratch {
    char  *base;
    size_t size;
} scratch;

static scratch scratch_make(mg_tape *tape, size_t size) {
    size = (size + 63) / 64 * 64;
    return (scratch){mg_arena_alloc_raw(tape->arena, size * (size_t)mg_team_threads(tape->team)),
                     size};
}

static void *scratch_of(const scratch *s, int worker) { return s->base + s->size * (size_t)worker; }

// Bytes of a factor [rows, cols] in bfloat16, with the row and the bytes that may lie behind it.
static size_t factor_size(bool bf16, int64_t rows, int64_t cols) {
    return bf16 ? sizeof(uint16_t) * (size_t)((rows + 1) * cols) + 64 : 0;
}

// Rows of a factor: as they are, or rounded into the worker's scratch.
static const void *factor(bool bf16, const scratch *s, int worker, const float *rows, int64_t n) {
    if (!bf16) return rows;
    void *to = scratch_of(s, worker);
    mg_pack_factor(rows, n, to);
    return to;
}

typedef struct forward_work {
    const mg_linear_call *call;
    const mg_product     *product;
    const void           *weights;
    scratch               scratch;
} forward_work;

static void forward_piece(void *context, int64_t piece, int worker) {
    const forward_work *f = context;
    const mg_tensor    *x = f->call->x, *y = f->call->y, *b = f->call->b;
    const int64_t       size = rows_of_piece(x->rows), i = piece * size;
    const int64_t       n    = mg_piece_end(x->rows, size, piece) - i;
    const void         *A    = factor(f->call->W->bf16, &f->scratch, worker, mg_f32(x) + i * x->cols,
                                      n * x->cols);
    mg_product_run(f->product, worker, n, A, f->weights, b ? mg_f32(b) : NULL,
                   mg_f32(y) + i * y->cols);
}

bool mg_linear_shares_nothing(const mg_tensor *W) {
    const struct mg_packed *p = W->packed;
    return p && p->few && p->bf16 == W->bf16 && p->forward.data && p->forward.version == W->version;
}

static void forward(mg_tape *tape, void *context) {
    const mg_linear_call *c    = context;
    const int64_t         rows = c->x->rows, size = rows_of_piece(rows);
    const size_t          mark = mg_arena_mark(tape->arena);
    const bool            bf16 = c->W->bf16;

    if (rows == 0) return;
    if (rows <= MG_FEW_ROWS && !tape->record && mg_linear_shares_nothing(c->W)) {
        const mg_strips strips = mg_strips_of(bf16, false, c->x->cols, c->y->cols);
        mg_few_multiply(tape, &strips, c->W->packed->forward.data, c->b ? mg_f32(c->b) : NULL, c->x,
                        c->y);
        return;
    }
    MG_ASSERT(!bf16 || mg_linear_has_bf16());
    mg_products_begin(tape->team);
    forward_work f = {.call = c,
                      .product = mg_product_get((mg_product_kind){.bf16 = bf16, .bias = c->b != NULL,
                                                                  .K = c->x->cols, .N = c->y->cols},
                                                0),
                      .weights = packed(tape, c->W, false),
                      .scratch = scratch_make(tape, factor_size(bf16, size, c->x->cols))};
    mg_team_run(tape->team, forward_piece, &f, mg_pieces(rows, size));
    mg_arena_reset(tape->arena, mark);
}

// ---- Backward

// Tokens whose products are summed before the sum is added to dW: SLICE of them; of those behind,
// whole multiples of LAST, then the rest.
typedef struct slice {
    int64_t           first, n; // tokens
    const mg_product *product;
    mg_strips         strips; // of x
    void             *x;      // packed
} slice;

// Backward packs the slices of x, then runs the pieces of dW, of dx and of db.
typedef struct backward_work {
    const mg_linear_call *call;
    slice                *slices;
    int64_t               n_slices, parts; // parts of a slice of SLICE
    int64_t               dW_pieces, dx_pieces, db_pieces;
    const mg_product     *dx;
    const void           *weights; // dx
    scratch               scratch;
} backward_work;

static void pack_part(void *context, int64_t piece, int worker) {
    (void)worker;
    const backward_work *b = context;
    const slice         *s = &b->slices[piece / b->parts];
    const mg_tensor     *x = b->call->x;
    mg_pack_rows(&s->strips, mg_f32(x) + s->first * x->cols, s->n, piece % b->parts, s->x);
}

static void weight_gradient(const backward_work *b, int64_t piece, int worker) {
    const mg_linear_call *c   = b->call;
    const int64_t         out = c->y->cols, first = piece * OUT_ROWS;
    const int64_t         n   = mg_piece_end(out, OUT_ROWS, piece) - first;
    void                 *dy  = scratch_of(&b->scratch, worker);

    for (const slice *s = b->slices; s < b->slices + b->n_slices; s++) {
        mg_pack_factor_transposed(c->W->bf16, mg_grad_f32(c->y) + s->first * out + first, out, s->n,
                                  n, s->strips.K, dy);
        mg_product_run(s->product, worker, n, dy, s->x, NULL,
                       mg_grad_f32(c->W) + first * c->x->cols);
    }
}

static void input_gradient(const backward_work *b, int64_t piece, int worker) {
    const mg_tensor *x = b->call->x, *y = b->call->y;
    const int64_t    size = rows_of_piece(x->rows), i = piece * size;
    const int64_t    n    = mg_piece_end(x->rows, size, piece) - i;
    const void      *dy   = factor(b->call->W->bf16, &b->scratch, worker,
                                   mg_grad_f32(y) + i * y->cols, n * y->cols);
    mg_product_run(b->dx, worker, n, dy, b->weights, NULL, mg_grad_f32(x) + i * x->cols);
}

static void bias_gradient(const mg_linear_call *c, int64_t piece) {
    const int64_t rows = c->y->rows, out = c->y->cols, last = mg_piece_end(out, COLUMNS, piece);

    for (int64_t start = 0; start < rows; start += SLICE) {
        const int64_t end                   = start + SLICE < rows ? start + SLICE : rows;
        lanes         sums[COLUMNS / LANES] = {0};
        for (int64_t i = start; i < end; i++)
            for (int64_t j = piece * COLUMNS, s = 0; j < last; j += LANES, s++)
                sums[s] += lanes_load(mg_grad_f32(c->y) + i * out + j, last - j);
        for (int64_t j = piece * COLUMNS, s = 0; j < last; j += LANES, s++)
            lanes_add_to(mg_grad_f32(c->b) + j, last - j, sums[s]);
    }
}

static void backward_piece(void *context, int64_t piece, int worker) {
    const backward_work *b = context;
    if (piece < b->dW_pieces)
        weight_gradient(b, piece, worker);
    else if ((piece -= b->dW_pieces) < b->dx_pieces)
        input_gradient(b, piece, worker);
    else
        bias_gradient(b->call, piece - b->dx_pieces);
}

static int64_t slice_tokens(int64_t left) {
    return left >= SLICE ? SLICE : left >= LAST ? left / LAST * LAST : left;
}

static void prepare_weight_gradient(mg_tape *tape, backward_work *b) {
    const mg_tensor *x = b->call->x, *W = b->call->W;
    mg_product_kind  kind = {.bf16 = W->bf16, .adds = true, .N = W->cols};

    // Whatever a batch of another length will need is made now.
    for (kind.K = LAST; kind.K <= SLICE; kind.K += LAST) mg_product_get(kind, W->rows);
    b->slices = MG_NEW(tape->arena, slice, mg_pieces(x->rows, SLICE) + 1);
    for (int64_t at = 0; at < x->rows; at += b->slices[b->n_slices++].n) {
        slice *s   = &b->slices[b->n_slices];
        *s         = (slice){.first = at, .n = slice_tokens(x->rows - at)};
        kind.K     = mg_pieces(s->n, LAST) * LAST;
        s->product = mg_product_get(kind, W->rows);
        s->strips  = mg_product_strips(W->bf16, kind.K, W->cols);
        s->x       = mg_arena_alloc_raw(tape->arena, mg_strips_size(&s->strips));
    }
    b->parts     = mg_pieces(SLICE, mg_part_rows(W->bf16));
    b->dW_pieces = mg_pieces(W->rows, OUT_ROWS);
    mg_team_run(tape->team, pack_part, b, b->n_slices * b->parts);
}

static void prepare_input_gradient(mg_tape *tape, backward_work *b, bool store) {
    mg_tensor *W = b->call->W;
    b->dx_pieces = mg_pieces(b->call->x->rows, rows_of_piece(b->call->x->rows));
    b->dx        = mg_product_get((mg_product_kind){.bf16 = W->bf16, .adds = !store, .K = W->rows,
                                                    .N = W->cols}, 0);
    b->weights   = packed(tape, W, true);
}

static void backward(mg_tape *tape, void *context) {
    const mg_linear_call *c     = context;
    const bool            store = mg_grad_begin(c->x);
    const size_t          mark  = mg_arena_mark(tape->arena);
    const size_t          dy    = factor_size(c->W->bf16, rows_of_piece(c->x->rows), c->y->cols);
    const size_t          dy_t  = sizeof(float) * (OUT_ROWS + 1) * SLICE;

    if (c->x->rows == 0) return;
    backward_work b = {.call = c, .scratch = scratch_make(tape, dy > dy_t ? dy : dy_t)};
    mg_products_begin(tape->team);
    if (c->W->grad) prepare_weight_gradient(tape, &b);
    if (c->x->grad) prepare_input_gradient(tape, &b, store);
    if (c->b && c->b->grad) b.db_pieces = mg_pieces(c->y->cols, COLUMNS);
    mg_team_run(tape->team, backward_piece, &b, b.dW_pieces + b.dx_pieces + b.db_pieces);
    mg_arena_reset(tape->arena, mark);
}

// ---- The whole

void mg_linear_meter(double (*seconds)(void)) {
    mg_product_meter(seconds);
    mg_few_meter(seconds);
}

double mg_linear_metered(void) { return mg_product_metered() + mg_few_metered(); }

const mg_paths mg_linear_paths = MG_PATHS(linear);

mg_tensor *mg_linear(mg_tape *t, mg_tensor *x, mg_tensor *W, mg_tensor *b) {
    mg_linear_call *c = MG_NEW(t->arena, mg_linear_call, 1);

    MG_ASSERT(!W->tape && (!b || !b->tape)); // parameters
    MG_ASSERT(x->cols == W->cols && (!b || (b->rows == W->rows && b->cols == 1)));
    *c = (mg_linear_call){.x = x, .W = W, .b = b, .y = mg_tape_tensor(t, x->rows, W->rows)};
    mg_path_run(t, &mg_linear_paths, c, c->y);
    return c->y;
}
