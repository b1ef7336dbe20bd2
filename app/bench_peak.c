// bench_peak.c - what this machine can do at most: multiplications, and reading memory.
//
// Products: chains of multiply-adds in registers, as many as hide their latency (4 to 5 cycles, two a cycle:
// Fog, "Instruction tables", 2024, Zen 4 and Sapphire Rapids), which no product of matrices can outrun.
// For bf16 those are vdpbf16ps, two products a lane; where the library's own product of large matrices is
// faster (AMX, which no compiler here speaks), that is the peak.
#include <math.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "app/bench.h"
#include "core/log.h"
#include "ops/ops.h"

enum { CHAINS = 10, STEPS = 40000000, WIDTH = 1024, ROWS = 2048, PRODUCTS = 8 };

// As wide as this processor's registers; narrower ones would have to be spilt.
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float vector __attribute__((vector_size(4 * LANES)));

typedef struct peak {
    mg_team *team; // owned; of one thread, or of all
    bool     bf16;
    float   *results; // [threads] so that no compiler leaves the work out
    float   *memory;  // [READ_PIECES PIECE_FLOATS] for the bandwidth
    mg_arena arena;   // of the library's product
    mg_tensor x, W;
} peak;

static float sum_of(const vector *x) {
    float sum = 0;
    for (int k = 0; k < CHAINS; k++)
        for (int i = 0; i < LANES; i++) sum += x[k][i];
    return sum;
}

// Each chain begins elsewhere: equal ones would be computed once.
static void begin_chains(vector x[CHAINS]) {
    for (int k = 0; k < CHAINS; k++)
        for (int i = 0; i < LANES; i++) x[k][i] = (float)(k + 1);
}

static float chains_f32(void) {
    vector x[CHAINS], a, b;
    begin_chains(x);
    for (int i = 0; i < LANES; i++) a[i] = 0.999f, b[i] = 0.001f * (float)i;
    for (int64_t step = 0; step < STEPS; step++)
        for (int k = 0; k < CHAINS; k++) x[k] = x[k] * a + b;
    return sum_of(x);
}

#ifdef __AVX512BF16__
static float chains_bf16(void) {
    vector        x[CHAINS];
    const __m512  ones = _mm512_set1_ps(1.0f / 1024);
    const __m512bh a   = _mm512_cvtne2ps_pbh(ones, ones), b = a;
    begin_chains(x);
    for (int64_t step = 0; step < STEPS; step++)
        for (int k = 0; k < CHAINS; k++) x[k] = (vector)_mm512_dpbf16_ps((__m512)x[k], a, b);
    return sum_of(x);
}
enum { HAS_CHAINS = 1 };
#else
enum { HAS_CHAINS = 0 };
#endif

static void chains_piece(void *context, int64_t piece, int worker) {
    peak *p = context;
    (void)worker;
#ifdef __AVX512BF16__
    if (p->bf16) {
        p->results[piece] = chains_bf16();
        return;
    }
#endif
    p->results[piece] = chains_f32();
}

static void close_peak(void *work) {
    peak *p = work;
    mg_team_close(p->team);
    mg_linear_unpack(&p->W);
    mg_arena_release(&p->arena);
    free(p->results);
    free(p->memory);
    free(p);
}

// x W^T in bf16.
static mg_err make_product(peak *p) {
    mg_err err = mg_arena_init(&p->arena, "peak", (size_t)256 << 20);
    if (err) return err;
    p->x = (mg_tensor){.dtype = MG_F32, .rows = ROWS, .cols = WIDTH, .data = MG_NEW(&p->arena, float, ROWS * WIDTH)};
    p->W = (mg_tensor){.dtype = MG_F32, .rows = WIDTH, .cols = WIDTH, .bf16 = true,
                       .data = MG_NEW(&p->arena, float, WIDTH * WIDTH)};
    for (int64_t i = 0; i < ROWS * WIDTH; i++) mg_f32(&p->x)[i] = (float)(i % 7) / 8;
    for (int64_t i = 0; i < WIDTH * WIDTH; i++) mg_f32(&p->W)[i] = (float)(i % 5) / 8;
    return MG_OK;
}

static mg_err open_peak(const mg_bench *b, const mg_bench_case *c, void **work) {
    mg_err err = mg_bench_can(c);
    if (err) return err;
    peak *p = calloc(1, sizeof *p);
    if (!p) return mg_fail(MG_NOMEM, "%s", c->name);
    p->bf16    = c->peak == MG_PEAK_BF16;
    p->results = calloc(MG_THREADS_MAX, sizeof *p->results);
    err        = p->results ? mg_team_open(&p->team, c->variant ? (int)c->variant : b->threads)
                            : mg_fail(MG_NOMEM, "%s", c->name);
    if (!err && p->bf16) err = make_product(p);
    if (err)
        close_peak(p);
    else
        *work = p;
    return err;
}

static double library_flops(peak *p) {
    const size_t mark  = mg_arena_mark(&p->arena);
    const double begun = mg_clock_seconds();
    for (int i = 0; i < PRODUCTS; i++) {
        mg_tape tape = mg_tape_make(&p->arena, p->team, false);
        mg_linear(&tape, &p->x, &p->W, NULL);
        mg_arena_reset(&p->arena, mark);
    }
    return 2.0 * ROWS * WIDTH * WIDTH * PRODUCTS / (mg_clock_seconds() - begun);
}

// GFLOP/s
static mg_err once(void *work, double *value) {
    peak        *p       = work;
    const int    threads = mg_team_threads(p->team);
    const double begun   = mg_clock_seconds();
    mg_team_run(p->team, chains_piece, p, threads);
    double flops = 2.0 * LANES * CHAINS * STEPS * threads / (mg_clock_seconds() - begun);
    if (p->bf16) flops = fmax(HAS_CHAINS * 2 * flops, library_flops(p));
    *value = 1e-9 * flops;
    return MG_OK;
}

const mg_bench_work mg_bench_peak_work = {open_peak, once, close_peak};

// ---- Reading memory

enum { READ_PIECES = 64 };
#define PIECE_FLOATS ((int64_t)1 << 20) // 4 MiB; all of them are far beyond any cache

static void read_piece(void *context, int64_t piece, int worker) {
    peak         *p = context;
    const vector *m = (const vector *)(p->memory + piece * PIECE_FLOATS);
    vector        x[CHAINS] = {0};
    (void)worker;
    for (int64_t i = 0; i + CHAINS <= PIECE_FLOATS / LANES; i += CHAINS)
        for (int k = 0; k < CHAINS; k++) x[k] += m[i + k];
    p->results[piece] = sum_of(x);
}

static mg_err open_bandwidth(const mg_bench *b, const mg_bench_case *c, void **work) {
    mg_err err = open_peak(b, c, work);
    if (err) return err;
    peak        *p    = *work;
    const size_t size = sizeof(float) * READ_PIECES * PIECE_FLOATS;
    p->memory         = aligned_alloc(4096, size);
    if (!p->memory) {
        close_peak(p);
        return mg_fail(MG_NOMEM, "%s: %zu bytes", c->name, size);
    }
    memset(p->memory, 0, size); // else all of it is one page of zeros
    return MG_OK;
}

// GB/s, the best of a few passes: what else the machine does only takes away.
static mg_err read_once(void *work, double *value) {
    peak *p = work;
    *value  = 0;
    for (int i = 0; i < 4; i++) {
        const double begun = mg_clock_seconds();
        mg_team_run(p->team, read_piece, p, READ_PIECES);
        *value = fmax(*value, 1e-9 * sizeof(float) * READ_PIECES * (double)PIECE_FLOATS /
                                  (mg_clock_seconds() - begun));
    }
    return MG_OK;
}

const mg_bench_work mg_bench_bandwidth_work = {open_bandwidth, read_once, close_peak};
