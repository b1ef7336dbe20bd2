// level.h - numbers between two layers of a perceptron, as the products on both sides read them.
//
// [rows, width], cut into strips of 64 columns, each with its rows in order. In float one copy is all:
// its rows are rows of a factor A, its columns are columns of A' and, for a weight's gradient, rows of a
// factor B. In bfloat16 pairs lie along a row for the first and down the columns for the others.
#ifndef MG_OPS_LEVEL_H
#define MG_OPS_LEVEL_H
#include "ops/block.h"

typedef struct mg_level {
    bool    bf16;
    int64_t rows, width;
    float  *values; // [strips][rows][64]
    float  *along;  // [strips][rows][32] pairs of bfloat16; in float `values`
    float  *down;   // [strips][pairs of rows][64]; in float `values`
} mg_level;

// Bytes of a level; and the level in that much memory, unset. `down` lacks where it is not asked for.
size_t   mg_level_size(bool bf16, bool down, int64_t rows, int64_t width);
mg_level mg_level_in(void *memory, bool bf16, bool down, int64_t rows, int64_t width);

// Rows i .. i + n of all columns from a matrix; i is even.
void mg_level_fill(const mg_level *l, int64_t i, int64_t n, const float *from, int64_t stride);
// In bfloat16, pairs from the values of columns first .. first + 31 (a multiple of 32) of rows i .. i + n, n up
// to BLOCK_ROWS, i even. Values are written in whole lanes, and those behind `width` are not read.
void mg_level_round(const mg_level *l, int64_t i, int64_t n, int64_t first);

// Where the number of row i, column j lies.
static inline float *mg_level_at(const mg_level *l, int64_t i, int64_t j) {
    return l->values + (j / BLOCK_STRIP * l->rows + i) * BLOCK_STRIP + j % BLOCK_STRIP;
}
// Words of n numbers.
static inline int64_t mg_level_words(const mg_level *l, int64_t n) { return l->bf16 ? (n + 1) / 2 : n; }
// Rows from i on as a factor A of `width` columns.
mg_block_rows mg_level_rows(const mg_level *l, int64_t i);
// Columns from j on as rows of a factor A over rows i, i even, and on. Of one strip.
mg_block_rows mg_level_columns(const mg_level *l, int64_t i, int64_t j);
// Columns from j on as a factor B over rows i, i even, and on. Of one strip.
const float *mg_level_factor(const mg_level *l, int64_t i, int64_t j);
#endif
