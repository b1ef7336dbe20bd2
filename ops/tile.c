// tile.c - a product that keeps 4 x 64 sums in registers, and a transpose of 16 x 16 in them.
#include "ops/tile.h"

enum { ROWS = 4 };

// One block of C, `rows` x `vectors` * LANES. Both are literals where it is called, so that the
// inner loops vanish and the sums stay in registers.
LANES_INLINE void block(const int rows, const int vectors, int64_t K, tile_view A, const float *B,
                        int64_t B_row, float *C, int64_t C_row) {
    lanes sums[ROWS][4];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = lanes_load(C + r * C_row + v * LANES, LANES);
    for (int64_t k = 0; k < K; k++)
        for (int v = 0; v < vectors; v++) {
            lanes b = lanes_load(B + k * B_row + v * LANES, LANES);
            for (int r = 0; r < rows; r++) sums[r][v] += A.data[r * A.row + k * A.col] * b;
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            lanes_store(C + r * C_row + v * LANES, LANES, sums[r][v]);
}

// Functions of their own: together the loops would run out of registers.
#define COLUMNS_FUNCTION(name, vectors)                                                          \
    __attribute__((noinline)) static void name(int64_t M, int64_t K, tile_view A, const float *B, \
                                               int64_t B_row, float *C, int64_t C_row) {          \
        int64_t i = 0;                                                                            \
        for (; i + ROWS <= M; i += ROWS, A.data += ROWS * A.row, C += ROWS * C_row)               \
            block(ROWS, vectors, K, A, B, B_row, C, C_row);                                       \
        for (; i < M; i++, A.data += A.row, C += C_row)                                           \
            block(1, vectors, K, A, B, B_row, C, C_row);                                          \
    }
COLUMNS_FUNCTION(columns_64, 4)
COLUMNS_FUNCTION(columns_32, 2)
COLUMNS_FUNCTION(columns_16, 1)

void mg_tile_multiply(int64_t M, int64_t N, int64_t K, tile_view A, const float *B, int64_t B_row,
                      float *C, int64_t C_row) {
    MG_ASSERT(N % LANES == 0);
    int64_t j = 0;
    for (; j + 64 <= N; j += 64) columns_64(M, K, A, B + j, B_row, C + j, C_row);
    if (j + 32 <= N) {
        columns_32(M, K, A, B + j, B_row, C + j, C_row);
        j += 32;
    }
    if (j < N) columns_16(M, K, A, B + j, B_row, C + j, C_row);
}

static void transpose_block(const float *from, int64_t from_row, float *to, int64_t to_row) {
    lanes a[LANES];
    for (int i = 0; i < LANES; i++) a[i] = lanes_load(from + i * from_row, LANES);
    lanes_transpose(a);
    for (int i = 0; i < LANES; i++) lanes_store(to + i * to_row, LANES, a[i]);
}

void mg_tile_transpose(int64_t rows, int64_t cols, const float *from, float *to) {
    MG_ASSERT(rows % LANES == 0 && cols % LANES == 0);
    for (int64_t i = 0; i < rows; i += LANES)
        for (int64_t j = 0; j < cols; j += LANES)
            transpose_block(from + i * cols + j, cols, to + j * rows + i, rows);
}
