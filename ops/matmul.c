// matmul.c - linear maps, by oneDNN; the only file that names it.
//
// oneDNN computes on the rows it is given, in the worker that calls it: every worker says
// omp_set_num_threads(1) and has its own stream and scratchpad, because the library's own
// scratchpad is shared by all threads and gives wrong products in silence. Rows are cut into
// pieces by shape alone; a row of a product has the same bits in any piece (oneDNN 2.6, f32,
// AVX-512; the tests look). Weights are packed into the library's layout once per version.
//
// A primitive serves one shape. It is made by the calling thread before the team runs and kept in a
// process-wide table; so are streams and scratchpads. One thread at a time calls operations.
#include <dnnl.h>

#include "ops/fast.h"

void omp_set_num_threads(int n); // <omp.h> is not there for every compiler

enum {
    PRODUCTS_MAX = 4096, // shapes kept; a power of two. When three quarters are taken, all go
    LAST_ROWS    = 32,   // weight gradients take whole multiples of it through oneDNN
};

static void must(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return;
    fprintf(stderr, "matmul.c: oneDNN: %s: status %d\n", what, (int)status);
    abort();
}

// ---- Products: dst [M, N] (+)= src [M, K] weights [K, N]

typedef enum product_kind {
    PRODUCT_FORWARD,   // y = x W^T
    PRODUCT_BIAS,      // y = x W^T + b
    PRODUCT_INPUT,     // dx += dy W
    PRODUCT_WEIGHTS,   // rows of dW += (dy^T) x
} product_kind;

typedef struct product {
    product_kind       kind;
    int64_t            M, K, N;
    int64_t            stride; // PRODUCT_WEIGHTS: columns of dy, which is read transposed
    dnnl_primitive_t   primitive; // NULL: this place of the table is free
    dnnl_memory_desc_t src, weights, bias, dst, scratchpad;
} product;

static dnnl_engine_t engine;
static product       products[PRODUCTS_MAX];
static int           n_products;

static struct {
    dnnl_stream_t stream;
    void         *scratchpad;
    size_t        scratchpad_size;
    double        seconds; // spent in products, when they are metered
} workers[MG_THREADS_MAX];

static double (*meter)(void); // a clock, or NULL

static double meter_start(void) { return meter ? meter() : 0; }
static void   meter_stop(int worker, double start) {
    if (meter) workers[worker].seconds += meter() - start;
}

void mg_linear_meter(double (*seconds)(void)) {
    meter = seconds;
    for (int w = 0; w < MG_THREADS_MAX; w++) workers[w].seconds = 0;
}

double mg_linear_metered(void) {
    double sum = 0;
    for (int w = 0; w < MG_THREADS_MAX; w++) sum += workers[w].seconds;
    return sum;
}

static dnnl_memory_desc_t matrix(int64_t rows, int64_t cols, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t desc;
    must(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t){rows, cols}, dnnl_f32, tag),
         "describe a matrix");
    return desc;
}

static dnnl_memory_desc_t transposed(int64_t rows, int64_t cols, int64_t stride) {
    dnnl_memory_desc_t desc;
    must(dnnl_memory_desc_init_by_strides(&desc, 2, (dnnl_dims_t){rows, cols}, dnnl_f32,
                                          (dnnl_dims_t){1, stride}),
         "describe a transposed matrix");
    return desc;
}

static dnnl_primitive_desc_t product_describe(const product *p) {
    const bool            accumulate = p->kind == PRODUCT_INPUT || p->kind == PRODUCT_WEIGHTS;
    dnnl_matmul_desc_t    desc;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t       post;
    dnnl_primitive_desc_t result;

    must(dnnl_matmul_desc_init(&desc, &p->src, &p->weights,
                               p->kind == PRODUCT_BIAS ? &p->bias : NULL, &p->dst),
         "describe a product");
    must(dnnl_primitive_attr_create(&attr), "make attributes");
    must(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
         "ask for a scratchpad of our own");
    must(dnnl_post_ops_create(&post), "make post-ops");
    if (accumulate) must(dnnl_post_ops_append_sum(post, 1), "add to the result");
    must(dnnl_primitive_attr_set_post_ops(attr, post), "set post-ops");
    must(dnnl_primitive_desc_create(&result, &desc, attr, engine, NULL), "choose a product");
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    return result;
}

// The layout that the library wants for weights [K, N]; it is the same for every M.
static dnnl_memory_desc_t packed_layout(product_kind kind, int64_t K, int64_t N) {
    enum { ROWS = 64 };
    product p = {.kind = kind, .src = matrix(ROWS, K, dnnl_ab), .dst = matrix(ROWS, N, dnnl_ab),
                 .weights = matrix(K, N, dnnl_format_tag_any)};
    dnnl_primitive_desc_t desc   = product_describe(&p);
    dnnl_memory_desc_t    layout = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(desc);
    return layout;
}

static void product_make(product *p) {
    p->dst = matrix(p->M, p->N, dnnl_ab);
    if (p->kind == PRODUCT_WEIGHTS) {
        p->src     = transposed(p->M, p->K, p->stride);
        p->weights = matrix(p->K, p->N, dnnl_ab);
    } else {
        p->src     = matrix(p->M, p->K, dnnl_ab);
        p->weights = packed_layout(p->kind == PRODUCT_INPUT ? PRODUCT_INPUT : PRODUCT_FORWARD,
                                   p->K, p->N);
        p->bias    = matrix(1, p->N, dnnl_ab);
    }
    dnnl_primitive_desc_t desc = product_describe(p);
    p->scratchpad = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    must(dnnl_primitive_create(&p->primitive, desc), "make a product");
    dnnl_primitive_desc_destroy(desc);
}

// Before the products of one operation are looked up, so that none of them moves meanwhile.
static void products_prepare(void) {
    omp_set_num_threads(1);
    if (!engine) must(dnnl_engine_create(&engine, dnnl_cpu, 0), "make an engine");
    if (n_products < PRODUCTS_MAX / 4 * 3) return;
    for (int i = 0; i < PRODUCTS_MAX; i++)
        if (products[i].primitive) dnnl_primitive_destroy(products[i].primitive);
    memset(products, 0, sizeof products);
    n_products = 0;
}

// Found or made, by open addressing; NULL when there are no rows.
static const product *product_get(product_kind kind, int64_t M, int64_t K, int64_t N,
                                  int64_t stride) {
    if (M == 0 || K == 0) return NULL;
    const int64_t key[] = {kind, M, K, N, stride};
    uint64_t      hash  = 0;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        hash = (hash ^ (uint64_t)key[i]) * 0x9E3779B97F4A7C15u; // Knuth 1973, 6.4: Fibonacci

    for (uint64_t at = hash >> 32;; at++) {
        product *p = &products[at % PRODUCTS_MAX];
        if (!p->primitive) {
            *p = (product){.kind = kind, .M = M, .K = K, .N = N, .stride = stride};
            product_make(p);
            n_products++;
            return p;
        }
        if (p->kind == kind && p->M == M && p->K == K && p->N == N && p->stride == stride) return p;
    }
}

// Streams and scratchpads for everyone who may run the product. NULL: no effect.
static void workers_prepare(const mg_team *team, const product *p) {
    if (!p) return;
    const size_t size = dnnl_memory_desc_get_size(&p->scratchpad);
    for (int w = 0; w < mg_team_threads(team); w++) {
        if (!workers[w].stream)
            must(dnnl_stream_create(&workers[w].stream, engine, dnnl_stream_default_flags),
                 "make a stream");
        if (workers[w].scratchpad_size >= size) continue;
        free(workers[w].scratchpad);
        workers[w].scratchpad      = aligned_alloc(64, (size + 63) / 64 * 64);
        workers[w].scratchpad_size = size;
        MG_ASSERT(workers[w].scratchpad);
    }
}

static dnnl_memory_t memory(const dnnl_memory_desc_t *desc, const void *data) {
    dnnl_memory_t result;
    must(dnnl_memory_create(&result, desc, engine, (void *)data), "make a memory");
    return result;
}

static void product_run(const product *p, int worker, const float *src, const float *weights,
                        const float *bias, float *dst) {
    dnnl_exec_arg_t args[5] = {
        {DNNL_ARG_SRC, memory(&p->src, src)},
        {DNNL_ARG_WEIGHTS, memory(&p->weights, weights)},
        {DNNL_ARG_DST, memory(&p->dst, dst)},
        {DNNL_ARG_SCRATCHPAD, memory(&p->scratchpad, workers[worker].scratchpad)},
    };
    int n = 4;
    if (p->kind == PRODUCT_BIAS)
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, memory(&p->bias, bias)};

    const double start = meter_start();
    omp_set_num_threads(1);
    must(dnnl_primitive_execute(p->primitive, workers[worker].stream, n, args), "run a product");
    must(dnnl_stream_wait(workers[worker].stream), "wait for a product");
    meter_stop(worker, start);
    for (int i = 0; i < n; i++) dnnl_memory_destroy(args[i].memory);
}

// ---- Packed weights

typedef struct packed_copy {
    float   *data; // NULL: not made yet
    uint64_t version;
} packed_copy;

struct mg_packed {
    packed_copy forward, input; // for x W^T and for dy W
};

static void reorder(const dnnl_memory_desc_t *from_desc, const float *from,
                    const dnnl_memory_desc_t *to_desc, float *to) {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t      primitive;
    must(dnnl_reorder_primitive_desc_create(&desc, from_desc, engine, to_desc, engine, NULL),
         "choose a reorder");
    must(dnnl_primitive_create(&primitive, desc), "make a reorder");
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, memory(from_desc, from)},
                              {DNNL_ARG_TO, memory(to_desc, to)}};
    must(dnnl_primitive_execute(primitive, workers[0].stream, 2, args), "run a reorder");
    must(dnnl_stream_wait(workers[0].stream), "wait for a reorder");
    dnnl_memory_destroy(args[0].memory);
    dnnl_memory_destroy(args[1].memory);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
}

// W in the layout of the product, made again when W was written.
static const float *packed(mg_tensor *W, const product *p) {
    if (!W->packed) W->packed = calloc(1, sizeof *W->packed);
    MG_ASSERT(W->packed);
    packed_copy *copy = p->kind == PRODUCT_INPUT ? &W->packed->input : &W->packed->forward;
    if (copy->data && copy->version == W->version) return copy->data;

    const size_t             size  = dnnl_memory_desc_get_size(&p->weights);
    const dnnl_memory_desc_t plain = p->kind == PRODUCT_INPUT
                                         ? matrix(W->rows, W->cols, dnnl_ab)
                                         : transposed(W->cols, W->rows, W->cols);
    if (!copy->data) copy->data = aligned_alloc(64, (size + 63) / 64 * 64);
    MG_ASSERT(copy->data);
    reorder(&plain, mg_f32(W), &p->weights, copy->data);
    copy->version = W->version;
    return copy->data;
}

void mg_linear_unpack(mg_tensor *W) {
    if (!W->packed) return;
    free(W->packed->forward.data);
    free(W->packed->input.data);
    free(W->packed);
    W->packed = NULL;
}

// ---- The operation

// Small products are cut finer, so that a batch of one token per sequence still fills the team.
static int64_t rows_of_piece(int64_t rows) { return rows < 512 ? 16 : 64; }

typedef struct forward_work {
    const mg_linear_call *call;
    const product        *whole, *rest; // for a whole piece of rows and for the last, shorter one
    const float          *weights;
} forward_work;

static void forward_piece(void *context, int64_t piece, int worker) {
    const forward_work *f = context;
    const mg_tensor    *x = f->call->x, *y = f->call->y, *b = f->call->b;
    const int64_t       size = rows_of_piece(x->rows), i = piece * size;

    product_run(i + size <= x->rows ? f->whole : f->rest, worker, mg_f32(x) + i * x->cols,
                f->weights, b ? mg_f32(b) : NULL, mg_f32(y) + i * y->cols);
}

static void forward(mg_tape *tape, void *context) {
    const mg_linear_call *c    = context;
    const product_kind    kind = c->b ? PRODUCT_BIAS : PRODUCT_FORWARD;
    const int64_t rows = c->x->rows, in = c->x->cols, out = c->y->cols, size = rows_of_piece(rows);
    forward_work  f = {.call = c};

    if (rows == 0) return;
    products_prepare();
    if (rows >= size) f.whole = product_get(kind, size, in, out, 0);
    f.rest = product_get(kind, rows % size, in, out, 0);
    workers_prepare(tape->team, f.whole);
    workers_prepare(tape->team, f.rest);
    f.weights = packed(c->W, f.whole ? f.whole : f.rest);
    mg_team_run(tape->team, forward_piece, &f, mg_pieces(rows, size));
}

// Backward runs the pieces of dW, then of dx, then of db.
typedef struct backward_work {
    const mg_linear_call *call;
    int64_t               dW_pieces, dx_pieces, db_pieces;
    int64_t               out_rows;           // rows of dW in one piece
    const product        *slice[2], *last[2]; // dW: of SLICE and of fewer tokens; [1]: last piece
    const product        *whole, *rest;       // dx
    const float          *weights;            // dx
} backward_work;

// dW[first .. end) += dy^T x over tokens [start, rows): the last few, for which a primitive per
// number of tokens would not pay.
static void add_last_tokens(const mg_linear_call *c, int64_t start, int64_t first, int64_t end) {
    const int64_t in = c->x->cols, out = c->y->cols;
    enum { AT_ONCE = 4 };

    for (int64_t j = first; j < end; j++)
        for (int64_t k = 0; k < in; k += AT_ONCE * LANES) {
            float *dW            = mg_grad_f32(c->W) + j * in + k;
            lanes  sums[AT_ONCE] = {0};
            for (int64_t i = start; i < c->x->rows; i++)
                for (int a = 0; a < AT_ONCE && k + a * LANES < in; a++)
                    sums[a] += mg_grad_f32(c->y)[i * out + j] *
                               lanes_load(mg_f32(c->x) + i * in + k + a * LANES,
                                          in - k - a * LANES);
            for (int a = 0; a < AT_ONCE && k + a * LANES < in; a++)
                lanes_add_to(dW + a * LANES, in - k - a * LANES, sums[a]);
        }
}

static void weight_gradient(const backward_work *b, int64_t piece, int worker) {
    const mg_linear_call *c   = b->call;
    const int64_t         in = c->x->cols, out = c->y->cols, rows = c->x->rows;
    const int64_t         first = piece * b->out_rows, end = mg_piece_end(out, b->out_rows, piece);
    const int             short_piece = end - first < b->out_rows;

    for (int64_t i = 0; i + LAST_ROWS <= rows; i += SLICE) {
        const product *p = i + SLICE <= rows ? b->slice[short_piece] : b->last[short_piece];
        product_run(p, worker, mg_grad_f32(c->y) + i * out + first, mg_f32(c->x) + i * in, NULL,
                    mg_grad_f32(c->W) + first * in);
    }
    const double start = meter_start();
    if (rows % LAST_ROWS) add_last_tokens(c, rows / LAST_ROWS * LAST_ROWS, first, end);
    meter_stop(worker, start);
}

static void input_gradient(const backward_work *b, int64_t piece, int worker) {
    const mg_tensor *x = b->call->x, *y = b->call->y;
    const int64_t    size = rows_of_piece(x->rows), i = piece * size;

    product_run(i + size <= x->rows ? b->whole : b->rest, worker, mg_grad_f32(y) + i * y->cols,
                b->weights, NULL, mg_grad_f32(x) + i * x->cols);
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

static void prepare_weight_gradient(const mg_team *team, backward_work *b) {
    const int64_t rows = b->call->x->rows, in = b->call->x->cols, out = b->call->y->cols;
    const int64_t left = rows % SLICE / LAST_ROWS * LAST_ROWS;

    b->out_rows  = 64;
    b->dW_pieces = mg_pieces(out, b->out_rows);
    for (int s = 0; s < 2; s++) {
        const int64_t M = s == 0 ? (out < b->out_rows ? 0 : b->out_rows) : out % b->out_rows;
        if (rows >= SLICE) b->slice[s] = product_get(PRODUCT_WEIGHTS, M, SLICE, in, out);
        b->last[s] = product_get(PRODUCT_WEIGHTS, M, left, in, out);
        workers_prepare(team, b->slice[s]);
        workers_prepare(team, b->last[s]);
    }
}

static void prepare_input_gradient(const mg_team *team, backward_work *b) {
    const int64_t rows = b->call->x->rows, in = b->call->x->cols, out = b->call->y->cols;
    const int64_t size = rows_of_piece(rows);

    b->dx_pieces = mg_pieces(rows, size);
    if (rows >= size) b->whole = product_get(PRODUCT_INPUT, size, out, in, 0);
    b->rest = product_get(PRODUCT_INPUT, rows % size, out, in, 0);
    workers_prepare(team, b->whole);
    workers_prepare(team, b->rest);
    b->weights = packed(b->call->W, b->whole ? b->whole : b->rest);
}

static void backward(mg_tape *tape, void *context) {
    const mg_linear_call *c = context;
    backward_work         b = {.call = c};

    if (c->x->rows == 0) return;
    products_prepare();
    if (c->W->grad) prepare_weight_gradient(tape->team, &b);
    if (c->x->grad) prepare_input_gradient(tape->team, &b);
    if (c->b && c->b->grad) b.db_pieces = mg_pieces(c->y->cols, COLUMNS);
    mg_team_run(tape->team, backward_piece, &b, b.dW_pieces + b.dx_pieces + b.db_pieces);
}

mg_tensor *mg_linear(mg_tape *t, mg_tensor *x, mg_tensor *W, mg_tensor *b) {
    static const mg_paths paths = MG_PATHS(linear);
    mg_linear_call       *c     = MG_NEW(t->arena, mg_linear_call, 1);

    MG_ASSERT(x->cols == W->cols && (!b || (b->rows == W->rows && b->cols == 1)));
    *c = (mg_linear_call){.x = x, .W = W, .b = b, .y = mg_tape_tensor(t, x->rows, W->rows)};
    mg_path_run(t, &paths, c);
    return c->y;
}

const char *mg_linear_engine(void) {
    static char text[64];
    static const struct {
        dnnl_cpu_isa_t isa;
        const char    *name;
    } names[] = {
        {dnnl_cpu_isa_sse41, "SSE4.1"},
        {dnnl_cpu_isa_avx, "AVX"},
        {dnnl_cpu_isa_avx2, "AVX2"},
        {dnnl_cpu_isa_avx2_vnni, "AVX2 with VNNI"},
        {dnnl_cpu_isa_avx512_core, "AVX-512"},
        {dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI"},
        {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with BF16"},
        {dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"},
    };
    const dnnl_version_t *v    = dnnl_version();
    const dnnl_cpu_isa_t  isa  = dnnl_get_effective_cpu_isa();
    const char           *name = "other instructions";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].isa == isa) name = names[i].name;
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, name);
    return text;
}
