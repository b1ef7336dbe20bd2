// few.c - strips of 64 columns; within one, sums over k in sequence.
//
// oneDNN 2.6 sums a row over k in one sequence of fused multiply-adds, in bfloat16 of the
// processor's pairs, up to 512 numbers where K is at most 1,024 and 1,024 numbers where it is more,
// and adds those sums. (Found by trying on AVX-512 with and without BF16, K up to 2,816; another
// processor may do otherwise, so every shape is compared before it is used.)
#include "ops/few.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "ops/tile.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

enum {
    STRIP      = 64,    // columns
    CHUNK      = 64,    // rows of B that stay in the first cache while all rows of x pass by
    PIECE_SIZE = 32768, // multiplications in a piece of work: a few microseconds
    SHAPES_MAX = 256,   // remembered; others use the library
};

static int64_t sequence_of(const mg_strips *s) { return s->K > 1024 ? 1024 : 512; }

// x as the loops take it: floats in rows of K, or pairs of bfloat16 in rows of `words`.
typedef struct few_work {
    const mg_strips *strips;
    const void      *x, *B;
    const float     *bias;
    float           *y;
    int64_t          rows, strips_per_piece;
} few_work;

// ---- One strip: sums [rows, STRIP] += x B over the rows k .. k + n of words

static void add_floats(const few_work *f, const float *B, int64_t k, int64_t n, float *sums) {
    const tile_view x = {(const float *)f->x + k, f->strips->K, 1};
    mg_tile_multiply(f->rows, STRIP, n, x, B + k * STRIP, STRIP, sums, STRIP);
}

#ifdef __AVX512BF16__
LANES_INLINE void pairs_block(const int rows, const int32_t *x, int64_t x_row, const int32_t *B,
                              int64_t n, float *sums) {
    enum { VECTORS = STRIP / LANES };
    __m512 a[4][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) a[r][v] = _mm512_loadu_ps(sums + r * STRIP + v * LANES);
    for (int64_t k = 0; k < n; k++) {
        __m512bh b[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            b[v] = (__m512bh)_mm512_loadu_si512(B + k * STRIP + v * LANES);
        for (int r = 0; r < rows; r++) {
            const __m512bh pair = (__m512bh)_mm512_set1_epi32(x[r * x_row + k]);
            for (int v = 0; v < VECTORS; v++) a[r][v] = _mm512_dpbf16_ps(a[r][v], pair, b[v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) _mm512_storeu_ps(sums + r * STRIP + v * LANES, a[r][v]);
}

static void add_pairs(const few_work *f, const int32_t *B, int64_t k, int64_t n, float *sums) {
    const int64_t  words = f->strips->words;
    const int32_t *x     = (const int32_t *)f->x + k;
    int64_t        i     = 0;
    for (; i + 4 <= f->rows; i += 4)
        pairs_block(4, x + i * words, words, B + k * STRIP, n, sums + i * STRIP);
    for (; i < f->rows; i++) pairs_block(1, x + i * words, words, B + k * STRIP, n, sums + i * STRIP);
}
#else
static void add_pairs(const few_work *f, const int32_t *B, int64_t k, int64_t n, float *sums) {
    (void)f, (void)B, (void)k, (void)n, (void)sums;
    MG_ASSERT(false); // mg_few_same_bits is false for bfloat16
}
#endif

static void one_strip(const few_work *f, int64_t strip) {
    const mg_strips *s    = f->strips;
    const int64_t    K    = s->bf16 ? s->words : s->K; // rows of words that are not padding, or zero
    const int64_t    most = s->bf16 ? sequence_of(s) / 2 : sequence_of(s);
    const int64_t    from = strip * STRIP, left = s->N - from < STRIP ? s->N - from : STRIP;
    const int32_t   *B    = (const int32_t *)f->B + strip * s->words * STRIP;
    const size_t     size = sizeof(float) * (size_t)(f->rows * STRIP);
    float            all[MG_FEW_ROWS * STRIP], sums[MG_FEW_ROWS * STRIP];

    for (int64_t k = 0; k < K; k += most) {
        const int64_t end = k + most < K ? k + most : K;
        float        *to  = k == 0 ? all : sums;
        memset(to, 0, size);
        for (int64_t at = k; at < end; at += CHUNK) {
            const int64_t n = end - at < CHUNK ? end - at : CHUNK;
            if (s->bf16)
                add_pairs(f, B, at, n, to);
            else
                add_floats(f, (const float *)B, at, n, to);
        }
        for (int64_t i = 0; k > 0 && i < f->rows * STRIP; i++) all[i] += sums[i];
    }
    for (int64_t i = 0; i < f->rows; i++)
        for (int64_t j = 0; j < left; j += LANES) {
            lanes sum = lanes_load(all + i * STRIP + j, LANES);
            if (f->bias) sum += lanes_load(f->bias + from + j, left - j);
            lanes_store(f->y + i * s->N + from + j, left - j, sum);
        }
}

// ---- The product

static double (*meter)(void);         // a clock, or NULL
static _Atomic int64_t metered_ns;

void mg_few_meter(double (*seconds)(void)) {
    meter = seconds;
    atomic_store(&metered_ns, 0);
}

double mg_few_metered(void) { return 1e-9 * (double)atomic_load(&metered_ns); }

static void piece_of(void *context, int64_t piece, int worker) {
    (void)worker;
    const few_work *f    = context;
    const int64_t   last = mg_piece_end(mg_strips_count(f->strips), f->strips_per_piece, piece);
    const double    from = meter ? meter() : 0;
    for (int64_t i = piece * f->strips_per_piece; i < last; i++) one_strip(f, i);
    if (meter) atomic_fetch_add(&metered_ns, (int64_t)(1e9 * (meter() - from)));
}

// Rows of x rounded to bfloat16, each in its own words: mg_pack_factor fills whole lanes of them, with
// zeros behind K.
static void *rounded(mg_arena *arena, const mg_strips *s, const float *x, int64_t rows) {
    int32_t *to = mg_arena_alloc_raw(arena, sizeof *to * (size_t)(rows * s->words));
    for (int64_t i = 0; i < rows; i++) mg_pack_factor(x + i * s->K, s->K, to + i * s->words);
    return to;
}

void mg_few_multiply(mg_tape *tape, const mg_strips *s, const void *B, const float *bias,
                     const mg_tensor *x, mg_tensor *y) {
    MG_ASSERT(x->rows <= MG_FEW_ROWS);
    const size_t  mark = mg_arena_mark(tape->arena);
    const int64_t size = x->rows * s->K * STRIP;
    few_work f = {.strips = s, .x = x->data, .B = B, .bias = bias, .y = mg_f32(y), .rows = x->rows,
                  .strips_per_piece = mg_pieces(PIECE_SIZE, size > 0 ? size : 1)};
    if (s->bf16) f.x = rounded(tape->arena, s, mg_f32(x), x->rows);
    mg_team_run(tape->team, piece_of, &f, mg_pieces(mg_strips_count(s), f.strips_per_piece));
    mg_arena_reset(tape->arena, mark);
}

// ---- Comparing

// The next of numbers that are all different and no sums of which are exact.
static float scattered(uint32_t *word) {
    *word = *word * 1664525u + 1013904223u; // Knuth, TAOCP 3.3.4, table 1, line 16
    return (float)(*word >> 8) * 0x1p-24f - 0.5f;
}

static void scatter(float *x, int64_t n) {
    uint32_t word = 1;
    for (int64_t i = 0; i < n; i++) x[i] = scattered(&word);
}

// B of such numbers, rounded towards zero in bfloat16; zeros behind K and N.
static void scatter_strips(const mg_strips *s, void *B) {
    const int64_t per_word = s->bf16 ? 2 : 1;
    uint32_t      word     = 1, bits;
    memset(B, 0, mg_strips_size(s));
    for (int64_t from = 0; from < s->N; from += STRIP)
        for (int64_t k = 0; k < s->K; k++) {
            const int64_t row = (from * s->words + k / per_word * STRIP) * per_word + k % per_word;
            for (int64_t j = 0; j < STRIP && from + j < s->N; j++) {
                const float x = scattered(&word);
                memcpy(&bits, &x, sizeof bits);
                if (s->bf16)
                    ((uint16_t *)B)[row + j * per_word] = (uint16_t)(bits >> 16);
                else
                    ((float *)B)[row + j] = x;
            }
        }
}

// Products without a bias and with one are two primitives of the library's.
static bool compare(const mg_strips *s) {
    enum { ROWS = MG_FEW_ROWS };
    const size_t xs = sizeof(float) * (size_t)(ROWS * s->K);
    const size_t ys = sizeof(float) * (size_t)(ROWS * s->N);
    mg_arena     arena;
    mg_tensor    x = {.rows = ROWS, .cols = s->K}, y = {.rows = ROWS, .cols = s->N};
    if (mg_arena_init(&arena, "few rows", 8192 + 4 * xs + 3 * ys + mg_strips_size(s))) return false;
    mg_tape tape   = mg_tape_make(&arena, NULL, false);
    void   *B      = mg_arena_alloc_raw(&arena, mg_strips_size(s));
    float  *bias   = mg_arena_alloc_raw(&arena, ys / ROWS);
    float  *theirs = mg_arena_alloc_raw(&arena, ys);
    char   *A      = mg_arena_alloc(&arena, xs + xs / ROWS + 64);
    x.data         = mg_arena_alloc_raw(&arena, xs);
    y.data         = mg_arena_alloc_raw(&arena, ys);
    scatter_strips(s, B);
    scatter(x.data, ROWS * s->K);
    scatter(bias, s->N);
    if (s->bf16)
        mg_pack_factor(x.data, ROWS * s->K, A);
    else
        memcpy(A, x.data, xs);
    bool same = true;
    for (int biased = 0; biased < 2 && same; biased++) {
        const mg_product_kind kind = {.bf16 = s->bf16, .bias = biased, .K = s->K, .N = s->N};
        const float          *b    = biased ? bias : NULL;
        mg_product_run(mg_product_get(kind, ROWS), 0, ROWS, A, B, b, theirs);
        mg_few_multiply(&tape, s, B, b, &x, &y);
        same = memcmp(theirs, y.data, ys) == 0;
    }
    mg_arena_release(&arena);
    return same;
}

// What was found, for the whole process (O5), as matmul.c keeps its products.
static struct {
    mg_strips strips;
    bool      same;
} shapes[SHAPES_MAX];
static int n_shapes;

bool mg_few_same_bits(const mg_strips *s) {
#ifndef __AVX512BF16__
    if (s->bf16) return false;
#endif
    if (s->width != STRIP || s->words % LANES) return false; // rows, not strips
    for (int i = 0; i < n_shapes; i++)
        if (shapes[i].strips.bf16 == s->bf16 && shapes[i].strips.K == s->K &&
            shapes[i].strips.N == s->N)
            return shapes[i].same;
    if (n_shapes == SHAPES_MAX) return false;
    shapes[n_shapes].strips = *s;
    shapes[n_shapes].same   = compare(s);
    return shapes[n_shapes++].same;
}
