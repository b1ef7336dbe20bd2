// mlp.c - perceptrons side by side: a piece of work runs the whole chain of layers for its rows.
//
// Forward, a piece is (net, slice of rows); backward, the same chain leads from dy to x, and when all its
// pieces are done the weights' gradients are summed over all rows, a piece for each 32 rows of a weight.
// So a pass enters the team once for each, and once more where weights have to be packed again.
#include <math.h>

#include "ops/level.h"
#include "ops/packed.h"

enum {
    CHAIN = 64,            // rows of a piece of the chain
    OUT   = BLOCK_COLUMNS, // rows of a weight's gradient in one piece
};

typedef float block_tile[BLOCK_ROWS * BLOCK_COLUMNS] __attribute__((aligned(64)));

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static const mg_mlp_layer *layer_of(const mg_mlp_call *c, int64_t net, int64_t l) {
    return &c->layers[net * c->n_layers + l];
}
static bool bf16_of(const mg_mlp_call *c) { return c->layers[0].W->bf16; }

// ---- Packed weights, all layers of all nets

typedef struct packings {
    mg_packing *of;    // [n]
    int64_t     n, pieces;
} packings;

static void pack_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const packings   *all = context;
    const mg_packing *p   = all->of;
    while (piece >= p->pieces) piece -= p++->pieces;
    mg_packing_piece(p, piece);
}

// W as a factor B in strips as wide as blocks.
static mg_strips strips_of(const mg_tensor *W, bool input) {
    const int64_t K = input ? W->rows : W->cols, N = input ? W->cols : W->rows;
    mg_strips     s = mg_strips_of(W->bf16, false, K, N);
    s.width         = BLOCK_COLUMNS;
    return s;
}

static const mg_packing *packed(mg_tape *tape, const mg_mlp_call *c, bool input) {
    packings all = {.n = c->n_nets * c->n_layers};
    all.of       = MG_NEW(tape->arena, mg_packing, all.n);
    for (int64_t k = 0; k < all.n; k++) {
        all.of[k] = mg_packing_begin(c->layers[k].W, input, strips_of(c->layers[k].W, input));
        all.pieces += all.of[k].pieces;
    }
    mg_team_run(tape->team, pack_piece, &all, all.pieces);
    return all.of;
}

// Columns j .. of a packed weight, as block.h reads them; j is a multiple of BLOCK_COLUMNS.
static const float *packed_columns(const mg_packing *p, int64_t j) {
    return (const float *)p->to + j * p->strips.words;
}

// ---- Forward

typedef struct forward_work {
    const mg_mlp_call *call;
    const mg_packing  *weights;
    int64_t            slices;
    mg_level          *scratch; // of each worker, [n_layers]; NULL: what layers read is kept for backward
} forward_work;

// act(tile + bias) to a level; `whole`: all rows and columns of the tile are there.
LANES_INLINE void leave(const bool whole, mg_activation_kind hidden, mg_level next, int64_t i, int64_t rows,
                        int64_t first, const float *bias, const float *tile) {
    const int64_t n = whole ? BLOCK_ROWS : rows, cols = whole ? BLOCK_COLUMNS : next.width - first;
    const lanes   zero = {0}, b[2] = {lanes_load(bias, cols), lanes_load(bias + LANES, cols - LANES)};
    for (int64_t r = 0; r < n; r += 2) {
        mg_level_part h = {0};
        for (int k = 0; k < 2 && r + k < n; k++)
            for (int64_t v = 0; v < 2 && v * LANES < cols; v++) {
                const lanes z = lanes_load(tile + (r + k) * BLOCK_COLUMNS + v * LANES, LANES) + b[v];
                if (hidden == MG_RELU)
                    h.of[k][v] = lanes_choose(z < zero, zero, z); // a NaN passes
                else
                    for (int l = 0; l < LANES; l++) h.of[k][v][l] = tanhf(z[l]);
            }
        mg_level_put(next, i + r, first, h);
    }
}

// What a layer leaves of a tile of sums, as the next one reads it: columns first .. of rows i ..
static void leave_hidden(const mg_mlp_call *c, const mg_level *next, int64_t i, int64_t rows, int64_t first,
                         const float *bias, const float *tile) {
    if (c->hidden == MG_TANH)
        leave(false, MG_TANH, *next, i, rows, first, bias, tile);
    else if (rows == BLOCK_ROWS && next->width - first >= BLOCK_COLUMNS)
        leave(true, MG_RELU, *next, i, rows, first, bias, tile);
    else
        leave(false, MG_RELU, *next, i, rows, first, bias, tile);
}

// tile + bias to rows of the output.
static void leave_output(int64_t rows, int64_t cols, const float *bias, const float *tile, float *y, int64_t stride) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < cols; j += LANES)
            lanes_store(y + r * stride + j, cols - j,
                        lanes_load(tile + r * BLOCK_COLUMNS + j, LANES) + lanes_load(bias + j, cols - j));
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const forward_work *f    = context;
    const mg_mlp_call  *c    = f->call;
    const int64_t net = piece / f->slices, slice = piece % f->slices, row = slice * CHAIN, out = c->y->cols;
    const int64_t n   = mg_piece_end(c->x->rows, CHAIN, slice) - row, i = f->scratch ? 0 : row;
    const mg_level *levels = f->scratch ? f->scratch + worker * c->n_layers : c->levels + net * c->n_layers;
    block_tile tile;

    mg_level_fill(&levels[0], i, n, mg_f32(c->x) + row * c->x->cols, c->x->cols);
    for (int64_t l = 0; l < c->n_layers; l++) {
        const mg_tensor  *W = layer_of(c, net, l)->W;
        const mg_packing *p = &f->weights[net * c->n_layers + l];
        const int64_t     K = mg_level_words(&levels[l], W->cols);
        for (int64_t j = 0; j < W->rows; j += BLOCK_COLUMNS)
            for (int64_t r = 0; r < n; r += BLOCK_ROWS) {
                const int64_t rows = smaller(BLOCK_ROWS, n - r), cols = smaller(BLOCK_COLUMNS, W->rows - j);
                mg_block_multiply(W->bf16, rows, cols, K, mg_level_rows(&levels[l], i + r), packed_columns(p, j), tile);
                const float *bias = mg_f32(layer_of(c, net, l)->b) + j;
                if (l + 1 < c->n_layers)
                    leave_hidden(c, &levels[l + 1], i + r, rows, j, bias, tile);
                else
                    leave_output(rows, cols, bias, tile, mg_f32(c->y) + (row + r) * out + net * W->rows + j, out);
            }
    }
}

// What backward reads of a level: W's gradient goes down its columns, a slope is told by what was left.
static int uses_of(const mg_mlp_call *c, int64_t k, bool kept) {
    const bool exact = c->hidden == MG_TANH; // 1 - h h wants more than 8 bits of h; the sign of relu's is enough
    if (!kept) return 0;
    return (exact ? MG_LEVEL_EXACT : MG_LEVEL_DOWN) | (c->layers[k].W->grad ? MG_LEVEL_DOWN : 0);
}

// kept: for backward.
static mg_level *levels_of(mg_tape *tape, const mg_mlp_call *c, int64_t nets, int64_t rows, bool kept) {
    mg_level *levels = MG_NEW(tape->arena, mg_level, nets * c->n_layers);
    for (int64_t k = 0; k < nets * c->n_layers; k++) {
        const mg_tensor *W    = c->layers[kept ? k : k % c->n_layers].W;
        const int        uses = uses_of(c, k, kept);
        const size_t     size = mg_level_size(W->bf16, uses, rows, W->cols);
        levels[k] = mg_level_in(mg_arena_alloc_raw(tape->arena, size), W->bf16, uses, rows, W->cols);
    }
    return levels;
}

static void forward(mg_tape *tape, void *context) {
    mg_mlp_call  *c    = context;
    const int64_t rows = c->x->rows;

    MG_ASSERT(!bf16_of(c) || mg_linear_has_bf16());
    if (rows == 0) return;
    if (tape->record) c->levels = levels_of(tape, c, c->n_nets, rows, true);
    const size_t mark = mg_arena_mark(tape->arena);
    forward_work f    = {.call = c, .slices = mg_pieces(rows, CHAIN), .weights = packed(tape, c, false)};
    if (!tape->record) f.scratch = levels_of(tape, c, mg_team_threads(tape->team), smaller(rows, CHAIN), false);
    mg_team_run(tape->team, forward_piece, &f, c->n_nets * f.slices);
    mg_arena_reset(tape->arena, mark);
}

// ---- Backward

typedef struct backward_work {
    const mg_mlp_call *call;
    const mg_packing  *weights;
    mg_level          *dz;     // gradients of what layers leave, before the activation, [n_nets * n_layers]
    int64_t            slices, lowest; // the last layer that the chain comes to
    bool               store;  // x's gradient begins here
    int64_t           *pieces; // of the weights' gradients, [n_nets * n_layers]
} backward_work;

// dz from h and a tile of dh.
LANES_INLINE void slope(const bool whole, mg_activation_kind hidden, mg_level h, mg_level dz, int64_t i, int64_t rows,
                        int64_t first, const float *tile) {
    const int64_t n = whole ? BLOCK_ROWS : rows, cols = whole ? BLOCK_COLUMNS : h.width - first;
    const lanes   zero = {0};
    for (int64_t r = 0; r < n; r += 2) {
        const mg_level_part y = mg_level_get(h, i + r, first);
        mg_level_part       d = {0};
        for (int k = 0; k < 2 && r + k < n; k++)
            for (int64_t v = 0; v < 2 && v * LANES < cols; v++) {
                const lanes dh = lanes_load(tile + (r + k) * BLOCK_COLUMNS + v * LANES, LANES), left = y.of[k][v];
                d.of[k][v] = hidden == MG_RELU ? lanes_choose(left > zero, dh, zero) : dh * (1 - left * left);
            }
        mg_level_put(dz, i + r, first, d);
    }
}

static void through_activation(const mg_mlp_call *c, const mg_level *h, const mg_level *dz, int64_t i, int64_t rows,
                               int64_t first, const float *tile) {
    if (c->hidden == MG_TANH)
        slope(false, MG_TANH, *h, *dz, i, rows, first, tile);
    else if (rows == BLOCK_ROWS && h->width - first >= BLOCK_COLUMNS)
        slope(true, MG_RELU, *h, *dz, i, rows, first, tile);
    else
        slope(false, MG_RELU, *h, *dz, i, rows, first, tile);
}

static void input_gradient(const backward_work *b, bool store, int64_t i, int64_t rows, int64_t first,
                           const float *tile) {
    const int64_t in = b->call->x->cols;
    float        *dx = mg_grad_f32(b->call->x);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < BLOCK_COLUMNS && j < in - first; j += LANES)
            lanes_put(dx + (i + r) * in + first + j, in - first - j, store,
                      lanes_load(tile + r * BLOCK_COLUMNS + j, LANES));
}

static void chain_of(const backward_work *b, int64_t net, int64_t i, int64_t n) {
    const mg_mlp_call *c   = b->call;
    const mg_level    *dz  = b->dz + net * c->n_layers, *h = c->levels + net * c->n_layers;
    const int64_t      out = layer_of(c, net, c->n_layers - 1)->W->rows;
    const bool         dx  = c->x->grad != NULL;
    block_tile         tile;

    mg_level_fill(&dz[c->n_layers - 1], i, n, mg_grad_f32(c->y) + i * c->y->cols + net * out, c->y->cols);
    for (int64_t l = c->n_layers - 1; l > b->lowest || (l == 0 && dx); l--) {
        const int64_t K = mg_level_words(&dz[l], dz[l].width);
        for (int64_t j = 0; j < h[l].width; j += BLOCK_COLUMNS)
            for (int64_t r = 0; r < n; r += BLOCK_ROWS) {
                const int64_t rows = smaller(BLOCK_ROWS, n - r), cols = smaller(BLOCK_COLUMNS, h[l].width - j);
                mg_block_multiply(dz[l].bf16, rows, cols, K, mg_level_rows(&dz[l], i + r),
                                  packed_columns(&b->weights[net * c->n_layers + l], j), tile);
                if (l > 0)
                    through_activation(c, &h[l], &dz[l - 1], i + r, rows, j, tile);
                else
                    input_gradient(b, b->store && net == 0, i + r, rows, j, tile);
            }
    }
}

// With a gradient of x, to which nets add in their order, a piece is all nets of a slice.
static void chain_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const backward_work *b     = context;
    const bool           all   = b->call->x->grad != NULL;
    const int64_t        slice = piece % b->slices, i = slice * CHAIN;
    const int64_t        n     = mg_piece_end(b->call->x->rows, CHAIN, slice) - i;
    for (int64_t net = all ? 0 : piece / b->slices; net < (all ? b->call->n_nets : piece / b->slices + 1); net++)
        chain_of(b, net, i, n);
}

// db += 1' dz over a slice of rows: a product too, so in bfloat16 of what the others read.
static void bias_gradient(const mg_level *dz, int64_t i, int64_t n, int64_t first, float *db) {
    const int64_t  cols = smaller(OUT, dz->width - first);
    const uint32_t pair = 0x3f803f80; // of ones
    float          one  = 1;
    block_tile     tile;
    if (dz->bf16) memcpy(&one, &pair, sizeof one);
    mg_block_multiply(dz->bf16, 1, cols, mg_level_words(dz, n), (mg_block_rows){.at = &one, .per = INT64_MAX},
                      mg_level_factor(dz, i, first), tile);
    for (int64_t j = 0; j < cols; j += LANES) lanes_add_to(db + first + j, cols - j, lanes_load(tile + j, LANES));
}

// dW += dz' h over a slice of rows, for rows first .. first + OUT of dW.
static void weight_gradient(const mg_level *dz, const mg_level *h, int64_t i, int64_t n, int64_t first, float *dW) {
    const int64_t last = smaller(first + OUT, dz->width), K = mg_level_words(h, n);
    block_tile    tile;
    for (int64_t j = 0; j < h->width; j += BLOCK_COLUMNS)
        for (int64_t o = first; o < last; o += BLOCK_ROWS) {
            const int64_t rows = smaller(BLOCK_ROWS, last - o), cols = smaller(BLOCK_COLUMNS, h->width - j);
            mg_block_multiply(h->bf16, rows, cols, K, mg_level_columns(dz, i, o), mg_level_factor(h, i, j), tile);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t v = 0; v < cols; v += LANES)
                    lanes_add_to(dW + (o + r) * h->width + j + v, cols - v,
                                 lanes_load(tile + r * BLOCK_COLUMNS + v, LANES));
        }
}

static void weights_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const backward_work *b    = context;
    const mg_mlp_call   *c    = b->call;
    const int64_t        rows = c->x->rows;
    int64_t              k    = 0;
    while (piece >= b->pieces[k]) piece -= b->pieces[k++];
    const mg_mlp_layer *layer = &c->layers[k];
    for (int64_t i = 0; i < rows; i += SLICE) {
        const int64_t n = smaller(SLICE, rows - i);
        if (layer->b->grad) bias_gradient(&b->dz[k], i, n, piece * OUT, layer->b->grad);
        if (layer->W->grad) weight_gradient(&b->dz[k], &c->levels[k], i, n, piece * OUT, layer->W->grad);
    }
}

static bool learns(const mg_mlp_layer *layer) { return layer->W->grad || layer->b->grad; }

static void backward(mg_tape *tape, void *context) {
    const mg_mlp_call *c     = context;
    const int64_t      rows  = c->x->rows, all = c->n_nets * c->n_layers;
    backward_work      b     = {.call = c, .store = mg_grad_begin(c->x), .lowest = c->n_layers};
    int64_t            total = 0;

    if (rows == 0) return;
    const size_t mark = mg_arena_mark(tape->arena);
    b.pieces          = MG_NEW(tape->arena, int64_t, all);
    b.dz              = MG_NEW(tape->arena, mg_level, all);
    for (int64_t k = 0; k < all; k++) {
        const mg_tensor *W    = c->layers[k].W;
        const int        uses = learns(&c->layers[k]) ? MG_LEVEL_DOWN : 0;
        const size_t     size = mg_level_size(W->bf16, uses, rows, W->rows);
        b.dz[k] = mg_level_in(mg_arena_alloc_raw(tape->arena, size), W->bf16, uses, rows, W->rows);
        if (!learns(&c->layers[k])) continue;
        b.lowest = smaller(b.lowest, k % c->n_layers);
        total += b.pieces[k] = mg_pieces(W->rows, OUT);
    }
    if (c->x->grad) b.lowest = 0;
    if (b.lowest < c->n_layers) {
        b.slices  = mg_pieces(rows, CHAIN);
        b.weights = packed(tape, c, true);
        mg_team_run(tape->team, chain_piece, &b, c->x->grad ? b.slices : c->n_nets * b.slices);
        mg_team_run(tape->team, weights_piece, &b, total);
    }
    mg_arena_reset(tape->arena, mark);
}

// ---- The whole

mg_tensor *mg_mlp(mg_tape *t, mg_tensor *x, const mg_mlp_layer *layers, int64_t n_layers, int64_t n_nets,
                  mg_activation_kind hidden) {
    static const mg_paths paths = MG_PATHS(mlp);
    mg_mlp_call          *c     = MG_NEW(t->arena, mg_mlp_call, 1);

    MG_ASSERT(n_layers > 0 && n_nets > 0);
    for (int64_t k = 0; k < n_nets * n_layers; k++) {
        const mg_tensor *W = layers[k].W, *b = layers[k].b;
        MG_ASSERT(!W->tape && !b->tape && W->bf16 == layers[0].W->bf16); // parameters
        MG_ASSERT(W->rows == layers[k % n_layers].W->rows);
        MG_ASSERT(W->cols == (k % n_layers ? layers[k - 1].W->rows : x->cols) && b->rows == W->rows && b->cols == 1);
    }
    *c = (mg_mlp_call){.x = x, .layers = layers, .n_layers = n_layers, .n_nets = n_nets, .hidden = hidden,
                       .y = mg_tape_tensor(t, x->rows, n_nets * layers[n_layers - 1].W->rows)};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
