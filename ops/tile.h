// tile.h - products of small matrices in our own loops, for attention.
//
// Attention multiplies matrices of a few dozen rows whose sizes change with every sequence; here
// that needs no packing, no primitive and no call per shape. Sums over k run in sequence with one
// fused multiply-add per term, so an element has the same bits in a matrix of any size.
#ifndef MG_OPS_TILE_H
#define MG_OPS_TILE_H
#include "ops/fast.h"

// n rounded up to whole lanes.
static inline int64_t lanes_cover(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

// A matrix of which element (i, k) lies at data[i * row + k * col].
typedef struct tile_view {
    const float *data;
    int64_t      row, col;
} tile_view;

// C [M, N] += A [M, K] B [K, N].  B and C are row-major with the given distances between rows;
// N is a multiple of LANES.
void mg_tile_multiply(int64_t M, int64_t N, int64_t K, tile_view A, const float *B, int64_t B_row,
                      float *C, int64_t C_row);

// to [cols, rows] = from [rows, cols] transposed; both are multiples of LANES, without gaps.
void mg_tile_transpose(int64_t rows, int64_t cols, const float *from, float *to);
#endif
