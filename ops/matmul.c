// matmul.c - products, by oneDNN; the only file that names it.
//
// oneDNN computes on the rows it is given, in the worker that calls it: every worker says
// omp_set_num_threads(1) and has its own stream and scratchpad, because the library's own
// scratchpad is shared by all threads and gives wrong products in silence.
//
// A primitive serves one number of rows. Those of a list are made, and any M is cut into them:
// sixty-fours, then a multiple of sixteen, then the rest. So what a kind of product can need is
// known before it first runs, and a batch of another length makes nothing.
//
// In bfloat16 a single row is computed as one of two: with AMX it would have other bits.
#include "ops/matmul.h"

#include <dnnl.h>

#include "ops/cxx_memory.h"

void omp_set_num_threads(int n); // <omp.h> is not there for every compiler

enum {
    KINDS_MAX = 1024, // a power of two. When three quarters are taken, all go
    MOST      = 64,   // rows of one primitive
    SHAPES    = 19,   // 1, 2 .. 16, 32, 48, 64 rows
};

static void must(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return;
    fprintf(stderr, "matmul.c: oneDNN: %s: status %d\n", what, (int)status);
    abort();
}

// ---- What the process keeps (O5: one thread at a time calls operations)

enum { A_, B_, C_, SCRATCHPAD, BIAS, ARGS };

typedef struct shape { // a product of so many rows
    dnnl_primitive_t   primitive; // NULL: not made
    dnnl_memory_desc_t scratchpad;
    dnnl_exec_arg_t  (*args)[ARGS]; // of each worker; their memories are pointed to what is given
    int                n_args;      // workers that have them
} shape;

struct mg_product {
    bool               taken; // false: this place of the table is free
    mg_product_kind    kind;
    dnnl_memory_desc_t B;
    shape              shapes[SHAPES];
};

static dnnl_engine_t engine;
static mg_product    products[KINDS_MAX];
static int           n_products;
static bool          plain;    // the library wants no strips
static bool          bf16_too; // it multiplies bfloat16
static int           n_workers;

static struct {
    dnnl_stream_t stream;
    void         *scratchpad;
    size_t        scratchpad_size;
    float        *rows; // two rows of C
    int64_t       rows_count;
    double        seconds; // spent in products, when they are metered
} workers[MG_THREADS_MAX];

static double (*meter)(void); // a clock, or NULL

void mg_product_meter(double (*seconds)(void)) {
    meter = seconds;
    for (int w = 0; w < MG_THREADS_MAX; w++) workers[w].seconds = 0;
}

double mg_product_metered(void) {
    double sum = 0;
    for (int w = 0; w < MG_THREADS_MAX; w++) sum += workers[w].seconds;
    return sum;
}

static void *grown(void *old, size_t size) {
    free(old);
    void *result = aligned_alloc(64, (size + 63) / 64 * 64);
    MG_ASSERT(result);
    return result;
}

// ---- Making them

static dnnl_memory_desc_t matrix(int64_t rows, int64_t cols, bool bf16, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t desc;
    must(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t){rows, cols},
                                      bf16 ? dnnl_bf16 : dnnl_f32, tag), "describe a matrix");
    return desc;
}

static dnnl_format_tag_t strips_tag(bool bf16) {
    return bf16 ? dnnl_BA16a64b2a : plain ? dnnl_ab : dnnl_BA16a64b;
}

// *result is set where the library can.
static dnnl_status_t describe(const mg_product_kind *kind, int64_t M, const dnnl_memory_desc_t *B,
                              dnnl_primitive_desc_t *result) {
    const dnnl_memory_desc_t A    = matrix(M, kind->K, kind->bf16, dnnl_ab);
    const dnnl_memory_desc_t C    = matrix(M, kind->N, false, dnnl_ab);
    const dnnl_memory_desc_t bias = matrix(1, kind->N, false, dnnl_ab);
    dnnl_matmul_desc_t       desc;
    dnnl_primitive_attr_t    attr;
    dnnl_post_ops_t          post;

    must(dnnl_matmul_desc_init(&desc, &A, B, kind->bias ? &bias : NULL, &C), "describe a product");
    must(dnnl_primitive_attr_create(&attr), "make attributes");
    must(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
         "ask for a scratchpad of our own");
    must(dnnl_post_ops_create(&post), "make post-ops");
    if (kind->adds) must(dnnl_post_ops_append_sum(post, 1), "add to the result");
    must(dnnl_primitive_attr_set_post_ops(attr, post), "set post-ops");
    const dnnl_status_t status = dnnl_primitive_desc_create(result, &desc, attr, engine, NULL);
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

// Does the library itself choose strips? It does where it has kernels of its own for them.
static bool chooses_strips(bool bf16) {
    const mg_product_kind    kind = {.bf16 = bf16, .K = MOST, .N = MOST};
    const dnnl_memory_desc_t any  = matrix(MOST, MOST, bf16, dnnl_format_tag_any);
    const dnnl_memory_desc_t strips =
        matrix(MOST, MOST, bf16, bf16 ? dnnl_BA16a64b2a : dnnl_BA16a64b);
    dnnl_primitive_desc_t desc;
    if (describe(&kind, MOST, &any, &desc)) return false;
    const bool result = dnnl_memory_desc_equal(
        dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0), &strips);
    dnnl_primitive_desc_destroy(desc);
    return result;
}

static void start(void) {
    if (engine) return;
    mg_cxx_memory_use();
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "make an engine");
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    plain    = !chooses_strips(false);
    bf16_too = (isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx) &&
               chooses_strips(true);
}

bool mg_linear_has_bf16(void) {
    start();
    return bf16_too;
}

mg_strips mg_product_strips(bool bf16, int64_t K, int64_t N) {
    start();
    return mg_strips_of(bf16, plain && !bf16, K, N);
}

static void shape_free(shape *s) {
    for (int w = 0; w < s->n_args; w++)
        for (int i = 0; i < ARGS; i++)
            if (s->args[w][i].memory) dnnl_memory_destroy(s->args[w][i].memory);
    free(s->args);
    if (s->primitive) dnnl_primitive_destroy(s->primitive);
}

void mg_products_begin(const mg_team *team) {
    omp_set_num_threads(1);
    start();
    n_workers = mg_team_threads(team);
    for (int w = 0; w < n_workers; w++)
        if (!workers[w].stream)
            must(dnnl_stream_create(&workers[w].stream, engine, dnnl_stream_default_flags),
                 "make a stream");
    if (n_products < KINDS_MAX / 4 * 3) return;
    for (int i = 0; i < KINDS_MAX; i++)
        for (int k = 0; k < SHAPES; k++) shape_free(&products[i].shapes[k]);
    memset(products, 0, sizeof products);
    n_products = 0;
}

static int64_t rows_of(int index) { return index < 16 ? index + 1 : 16 * (index - 14); }
static int     index_of(int64_t rows) { return (int)(rows <= 16 ? rows - 1 : rows / 16 + 14); }

// The rows that are cut off next, when M are left.
static int64_t next_rows(int64_t M) { return M >= MOST ? MOST : M >= 16 ? M / 16 * 16 : M; }

static dnnl_memory_t memory(const dnnl_memory_desc_t *desc) {
    dnnl_memory_t result;
    must(dnnl_memory_create(&result, desc, engine, DNNL_MEMORY_NONE), "make a memory");
    return result;
}

static void args_make(const mg_product *p, int64_t M, const shape *s, dnnl_exec_arg_t args[ARGS]) {
    const mg_product_kind   *k      = &p->kind;
    const dnnl_memory_desc_t descs[] = {matrix(M, k->K, k->bf16, dnnl_ab), p->B,
                                        matrix(M, k->N, false, dnnl_ab), s->scratchpad,
                                        matrix(1, k->N, false, dnnl_ab)};
    const int names[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD,
                         DNNL_ARG_BIAS};
    for (int i = 0; i < ARGS; i++) args[i] = (dnnl_exec_arg_t){names[i], memory(&descs[i])};
}

// Ready for all workers.
static void shape_prepare(mg_product *p, int index) {
    shape *s = &p->shapes[index];
    if (!s->primitive) {
        dnnl_primitive_desc_t desc;
        must(describe(&p->kind, rows_of(index), &p->B, &desc), "choose a product");
        s->scratchpad = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        must(dnnl_primitive_create(&s->primitive, desc), "make a product");
        dnnl_primitive_desc_destroy(desc);
    }
    if (s->n_args < n_workers) {
        s->args = realloc(s->args, sizeof *s->args * (size_t)n_workers);
        MG_ASSERT(s->args);
        for (int w = s->n_args; w < n_workers; w++)
            args_make(p, rows_of(index), s, s->args[w]);
        s->n_args = n_workers;
    }
    const size_t size = dnnl_memory_desc_get_size(&s->scratchpad);
    for (int w = 0; w < n_workers; w++) {
        if (workers[w].scratchpad_size < size) {
            workers[w].scratchpad      = grown(workers[w].scratchpad, size);
            workers[w].scratchpad_size = size;
        }
        if (p->kind.bf16 && workers[w].rows_count < 2 * p->kind.N) {
            workers[w].rows_count = 2 * p->kind.N;
            workers[w].rows       = grown(workers[w].rows, sizeof(float) * 2 * (size_t)p->kind.N);
        }
    }
}

static bool same_kind(const mg_product_kind *a, const mg_product_kind *b) {
    return a->bf16 == b->bf16 && a->adds == b->adds && a->bias == b->bias && a->K == b->K &&
           a->N == b->N;
}

// By open addressing.
static mg_product *find(const mg_product_kind *kind) {
    const int64_t key[] = {kind->bf16, kind->adds, kind->bias, kind->K, kind->N};
    uint64_t      hash  = 0;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        hash = (hash ^ (uint64_t)key[i]) * 0x9E3779B97F4A7C15u; // Knuth 1973, 6.4: Fibonacci
    for (uint64_t at = hash >> 32;; at++) {
        mg_product *p = &products[at % KINDS_MAX];
        if (!p->taken || same_kind(&p->kind, kind)) return p;
    }
}

const mg_product *mg_product_get(mg_product_kind kind, int64_t rows) {
    mg_product *p = find(&kind);
    if (!p->taken) {
        *p = (mg_product){.taken = true, .kind = kind,
                          .B = matrix(kind.K, kind.N, kind.bf16, strips_tag(kind.bf16))};
        n_products++;
    }
    if (rows > MOST) shape_prepare(p, SHAPES - 1), rows = rows % MOST ? rows % MOST : MOST;
    for (int64_t left = rows; left > 0; left -= next_rows(left))
        shape_prepare(p, index_of(kind.bf16 && left == 1 ? 2 : next_rows(left)));
    for (int i = kind.bf16 ? 1 : 0; rows == 0 && i < SHAPES; i++) shape_prepare(p, i);
    return p;
}

// ---- Running them

static void run(const mg_product *p, int worker, int64_t M, const void *A, const void *B,
                const float *bias, float *C) {
    const shape     *s    = &p->shapes[index_of(M)];
    dnnl_exec_arg_t *args = s->args[worker];
    const void *const data[ARGS] = {A, B, C, workers[worker].scratchpad, bias};
    const int         n          = p->kind.bias ? ARGS : BIAS;

    for (int i = 0; i < n; i++)
        must(dnnl_memory_set_data_handle(args[i].memory, (void *)data[i]), "point a memory");
    must(dnnl_primitive_execute(s->primitive, workers[worker].stream, n, args), "run a product");
    must(dnnl_stream_wait(workers[worker].stream), "wait for a product");
}

static void run_single(const mg_product *p, int worker, const void *A, const void *B,
                       const float *bias, float *C) {
    const size_t size = sizeof(float) * (size_t)p->kind.N;
    float       *rows = workers[worker].rows;
    if (p->kind.adds) memcpy(rows, C, size), memset(rows + p->kind.N, 0, size);
    run(p, worker, 2, A, B, bias, rows);
    memcpy(C, rows, size);
}

void mg_product_run(const mg_product *p, int worker, int64_t M, const void *A, const void *B,
                    const float *bias, float *C) {
    const double from = meter ? meter() : 0;
    const size_t row  = (size_t)p->kind.K * (p->kind.bf16 ? sizeof(uint16_t) : sizeof(float));
    const char  *a    = A;

    omp_set_num_threads(1);
    for (int64_t left = M; left > 0;) {
        const int64_t rows = next_rows(left);
        if (p->kind.bf16 && rows == 1)
            run_single(p, worker, a, B, bias, C);
        else
            run(p, worker, rows, a, B, bias, C);
        a += row * (size_t)rows, C += rows * p->kind.N, left -= rows;
    }
    if (meter) workers[worker].seconds += meter() - from;
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
