// pack.h - factors of products in the layouts that matmul.c reads, rounded on the way where asked.
//
// A product C = A B takes A row-major and B in strips of 64 columns: strip after strip, each with
// its rows in order. In bfloat16 two consecutive rows share a row of words, (k, k+1) side by side in
// 32 bits, because the processor multiplies pairs. Rows end in zeros up to 16 words, columns up to
// 64. (oneDNN's BA16a64b and BA16a64b2a.) Where the library wants no strips, B is row-major: one
// strip as wide as the matrix and nothing behind it.
#ifndef MG_OPS_PACK_H
#define MG_OPS_PACK_H
#include "ops/fast.h"

typedef struct mg_strips {
    bool    bf16;
    int64_t K, N;    // of B
    int64_t width;   // columns of a strip
    int64_t words;   // rows of words
} mg_strips;

mg_strips      mg_strips_of(bool bf16, bool plain, int64_t K, int64_t N);
static inline int64_t mg_strips_count(const mg_strips *s) { return mg_pieces(s->N, s->width); }
static inline size_t  mg_strips_size(const mg_strips *s) { // bytes
    return sizeof(int32_t) * (size_t)(mg_strips_count(s) * s->words * s->width);
}

// Where matrices lie in rows, they are packed part by part: 32 rows of words, read in one go.
static inline int64_t mg_part_rows(bool bf16) { return (bf16 ? 4 : 2) * LANES; }

// A part of B at `to`, where B is `from` [rows, N] with zeros below up to K.
void mg_pack_rows(const mg_strips *s, const float *from, int64_t rows, int64_t part, void *to);
// A strip of B at `to`, where B is from' with from [N, K].
void mg_pack_transposed(const mg_strips *s, const float *from, int64_t strip, void *to);

// A in bfloat16: n numbers, in order, and zeros behind them up to whole lanes of words (64 bytes).
void mg_pack_factor(const float *from, int64_t n, void *to);
// A [cols, K] from columns of `from`, [rows, cols] with that stride; zeros from `rows` to K, which is
// a multiple of 32.
void mg_pack_factor_transposed(bool bf16, const float *from, int64_t stride, int64_t rows,
                               int64_t cols, int64_t K, void *to);
#endif
