// block.c - sums that stay in registers while their factors pass by.
//
// Eight rows of two registers are sixteen sums: enough for the latency of the multiply-adds, and few enough
// loads beside them. With AVX2, whose registers hold half as much, four rows of one.
#include "ops/block.h"

#include "ops/word.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
enum { ROWS = 8, VECTORS = 2 };
#else
enum { ROWS = 4, VECTORS = 1 };
#endif

LANES_INLINE lanes multiply_add(const bool bf16, lanes sum, const float *a, lanes b) {
    if (!bf16) return sum + *a * b;
    int32_t pair;
    memcpy(&pair, a, sizeof pair);
#ifdef __AVX512BF16__
    return (lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)b);
#else
    const lanes_u32 bits = (lanes_u32)b, word = (lanes_u32){0} + (uint32_t)pair;
    sum += (lanes)(word << 16) * (lanes)(bits << 16);
    return sum + (lanes)(word & 0xffff0000) * (lanes)(bits & 0xffff0000);
#endif
}

// All but K and A's strides are literals where it is called, so that the inner loops vanish.
LANES_INLINE void block(const bool bf16, const int rows, const int vectors, int64_t K, mg_block_rows A,
                        const float *B, float *tile) {
    lanes sums[ROWS][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sums[r][v] = lanes_of(0);
    for (int64_t first = 0; first < K; first += A.per, A.at += A.jump) {
        const int64_t n  = K - first < A.per ? K - first : A.per;
        const float  *at = A.at;
        for (int64_t k = 0; k < n; k++, at += A.step, B += BLOCK_COLUMNS) {
            lanes b[VECTORS];
            for (int v = 0; v < vectors; v++) b[v] = lanes_load(B + v * LANES, LANES);
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < vectors; v++)
                    sums[r][v] = multiply_add(bf16, sums[r][v], at + r * A.row, b[v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) lanes_store(tile + r * BLOCK_COLUMNS + v * LANES, LANES, sums[r][v]);
}

// Functions of their own: together the loops would run out of registers.
#define BLOCK_FUNCTION(name, bf16, rows, vectors)                                                     \
    __attribute__((noinline)) static void name(int64_t K, mg_block_rows A, const float *B, float *tile) { \
        block(bf16, rows, vectors, K, A, B, tile);                                                    \
    }
#define BLOCK_FUNCTIONS(type, bf16, vectors)              \
    BLOCK_FUNCTION(type##_all_##vectors, bf16, ROWS, vectors) \
    BLOCK_FUNCTION(type##_4_##vectors, bf16, 4, vectors)  \
    BLOCK_FUNCTION(type##_2_##vectors, bf16, 2, vectors)  \
    BLOCK_FUNCTION(type##_1_##vectors, bf16, 1, vectors)
BLOCK_FUNCTIONS(floats, false, 1)
BLOCK_FUNCTIONS(pairs, true, 1)
#ifdef __AVX512F__
BLOCK_FUNCTIONS(floats, false, 2)
BLOCK_FUNCTIONS(pairs, true, 2)
#define TABLE(type)                                          \
    {{type##_1_1, type##_2_1, type##_4_1, type##_all_1}, \
     {type##_1_2, type##_2_2, type##_4_2, type##_all_2}}
#else
#define TABLE(type) {{type##_1_1, type##_2_1, type##_4_1, type##_all_1}}
#endif

typedef void block_fn(int64_t K, mg_block_rows A, const float *B, float *tile);

void mg_block_multiply(bool bf16, int64_t rows, int64_t cols, int64_t K, mg_block_rows A, const float *B,
                       float *tile) {
    static block_fn *const functions[2][VECTORS][4] = {TABLE(floats), TABLE(pairs)};
    MG_ASSERT(rows <= BLOCK_ROWS && cols <= BLOCK_COLUMNS);
    for (int64_t i = 0, some; i < rows; i += some, A.at += some * A.row) {
        const int64_t left = rows - i;
        const int     size = left >= ROWS ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
        some               = size == 3 ? ROWS : 1 << size;
        for (int64_t j = 0; j < cols; j += VECTORS * LANES) {
            const int vectors = cols - j > LANES ? VECTORS : 1;
            functions[bf16][vectors - 1][size](K, A, B + j, tile + i * BLOCK_COLUMNS + j);
        }
    }
}
