// level.c - strips of numbers, and of pairs of them.
#include "ops/level.h"

static int64_t even(int64_t rows) { return (rows + 1) / 2 * 2; }

// Numbers of one copy in floats; of one in pairs there are half as many words.
static int64_t count(int64_t rows, int64_t width) {
    return mg_pieces(width, BLOCK_COLUMNS) * even(rows) * BLOCK_COLUMNS;
}

size_t mg_level_size(bool bf16, int uses, int64_t rows, int64_t width) {
    const int64_t all = count(rows, width);
    if (!bf16) return sizeof(float) * (size_t)all;
    return sizeof(float) * (size_t)(all / 2 + (uses & MG_LEVEL_EXACT ? all : 0) + (uses & MG_LEVEL_DOWN ? all / 2 : 0));
}

mg_level mg_level_in(void *memory, bool bf16, int uses, int64_t rows, int64_t width) {
    mg_level l = {.bf16 = bf16, .rows = even(rows), .width = width, .along = memory};
    if (!bf16) {
        l.values = l.down = l.along;
        return l;
    }
    float *next = l.along + count(rows, width) / 2;
    if (uses & MG_LEVEL_DOWN) l.down = next, next += count(rows, width) / 2;
    if (uses & MG_LEVEL_EXACT) l.values = next;
    return l;
}

void mg_level_fill(const mg_level *l, int64_t i, int64_t n, const float *from, int64_t stride) {
    for (int64_t j = 0; j < l->width; j += BLOCK_COLUMNS)
        for (int64_t r = 0; r < n; r += 2) {
            mg_level_part x = {0};
            for (int k = 0; k < 2 && r + k < n; k++)
                for (int64_t v = 0; v < 2; v++)
                    x.of[k][v] = lanes_load(from + (r + k) * stride + j + v * LANES, l->width - j - v * LANES);
            mg_level_put(*l, i + r, j, x);
        }
}

mg_block_rows mg_level_rows(const mg_level *l, int64_t i) {
    const int64_t per = l->bf16 ? BLOCK_COLUMNS / 2 : BLOCK_COLUMNS;
    return (mg_block_rows){.at = l->along + i * per, .row = per, .step = 1, .per = per, .jump = l->rows * per};
}

const float *mg_level_factor(const mg_level *l, int64_t i, int64_t j) {
    const int64_t row = j / BLOCK_COLUMNS * l->rows + i;
    return l->down + (l->bf16 ? row / 2 : row) * BLOCK_COLUMNS + j % BLOCK_COLUMNS;
}

mg_block_rows mg_level_columns(const mg_level *l, int64_t i, int64_t j) {
    return (mg_block_rows){.at = mg_level_factor(l, i, j), .row = 1, .step = BLOCK_COLUMNS, .per = INT64_MAX};
}
