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

// The 16 x 16 numbers of sixteen registers, mirrored on the diagonal. Four perfect shuffles bring
// every element across.
LANES_INLINE void lanes_transpose(lanes a[LANES]) {
    lanes b[LANES];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < LANES / 2; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                               5, 21, 6, 22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27,
                                                   12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(a, b, sizeof b);
    }
}

// to [cols, rows] = from [rows, cols] transposed; both are multiples of LANES, without gaps.
void mg_tile_transpose(int64_t rows, int64_t cols, const float *from, float *to);
#endif
