// level.h - numbers between two layers of a perceptron, as the products on both sides read them.
//
// [rows, width], cut into strips of 32 columns, each with its rows in order. In float one copy is all:
// its rows are rows of a factor A, its columns are columns of A' and, for a weight's gradient, rows of a
// factor B. In bfloat16 pairs lie along a row for the first and down the columns for the others.
// What is behind the last row and the last column, up to two rows and 32 columns, is zero.
#ifndef MG_OPS_LEVEL_H
#define MG_OPS_LEVEL_H
#include "ops/block.h"
#include "ops/word.h"

typedef struct mg_level {
    bool    bf16;
    int64_t rows, width; // rows: even
    float  *values; // [strips][rows][32]; in bfloat16 NULL where nobody asked for it
    float  *along;  // [strips][rows][16] pairs of bfloat16; in float `values`
    float  *down;   // [strips][pairs of rows][32]; in float `values`; NULL where nobody asked for it
} mg_level;

// What a level is read for, besides being a factor A; in float it is there anyway.
enum { MG_LEVEL_EXACT = 1, MG_LEVEL_DOWN = 2 };

// Bytes of a level for these uses; and the level in that much memory, unset.
size_t   mg_level_size(bool bf16, int uses, int64_t rows, int64_t width);
mg_level mg_level_in(void *memory, bool bf16, int uses, int64_t rows, int64_t width);

// Rows i .. i + n of all columns from a matrix; i is even.
void mg_level_fill(const mg_level *l, int64_t i, int64_t n, const float *from, int64_t stride);

// Words of n numbers.
static inline int64_t mg_level_words(const mg_level *l, int64_t n) { return l->bf16 ? (n + 1) / 2 : n; }
// Rows from i on as a factor A of `width` columns.
mg_block_rows mg_level_rows(const mg_level *l, int64_t i);
// Columns from j on as rows of a factor A over rows i, i even, and on. Of one strip.
mg_block_rows mg_level_columns(const mg_level *l, int64_t i, int64_t j);
// Columns from j on as a factor B over rows i, i even, and on. Of one strip.
const float *mg_level_factor(const mg_level *l, int64_t i, int64_t j);

// Rows i (even) and i + 1 of columns j (a multiple of 32) .. j + 31: how a level is written and read back.
typedef struct mg_level_part {
    lanes of[2][BLOCK_COLUMNS / LANES];
} mg_level_part;

LANES_INLINE void mg_level_put(mg_level l, int64_t i, int64_t j, mg_level_part x) {
    const int64_t at = (j / BLOCK_COLUMNS * l.rows + i) * BLOCK_COLUMNS;
    for (int r = 0; r < 2 && l.values; r++)
        for (int v = 0; v < 2; v++) lanes_store(l.values + at + r * BLOCK_COLUMNS + v * LANES, LANES, x.of[r][v]);
    if (!l.bf16) return;
    for (int r = 0; r < 2; r++)
        lanes_store(l.along + at / 2 + r * LANES, LANES, words_side_by_side(x.of[r][0], x.of[r][1]));
    for (int v = 0; v < 2 && l.down; v++)
        lanes_store(l.down + at / 2 + v * LANES, LANES, words_pair(x.of[0][v], x.of[1][v]));
}

// As exact as it is kept.
LANES_INLINE mg_level_part mg_level_get(mg_level l, int64_t i, int64_t j) {
    const int64_t at = (j / BLOCK_COLUMNS * l.rows + i) * BLOCK_COLUMNS;
    mg_level_part x;
    for (int v = 0; v < 2; v++) {
        if (l.values) {
            for (int r = 0; r < 2; r++) x.of[r][v] = lanes_load(l.values + at + r * BLOCK_COLUMNS + v * LANES, LANES);
        } else {
            const lanes_u32 pairs = (lanes_u32)lanes_load(l.down + at / 2 + v * LANES, LANES);
            x.of[0][v] = (lanes)(pairs << 16), x.of[1][v] = (lanes)(pairs & 0xffff0000);
        }
    }
    return x;
}
#endif
