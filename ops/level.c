// level.c - strips of numbers, and of pairs of them.
#include "ops/level.h"

#include "ops/word.h"

static int64_t pairs_of(int64_t rows) { return (rows + 1) / 2; }

// Numbers in memory: of the three copies.
static int64_t values_count(int64_t rows, int64_t width) { return mg_pieces(width, BLOCK_STRIP) * rows * BLOCK_STRIP; }

size_t mg_level_size(bool bf16, bool down, int64_t rows, int64_t width) {
    const int64_t even = 2 * pairs_of(rows), pairs = values_count(even, width) / 2;
    return sizeof(float) * (size_t)(values_count(even, width) + (bf16 ? pairs + (down ? pairs : 0) : 0));
}

mg_level mg_level_in(void *memory, bool bf16, bool down, int64_t rows, int64_t width) {
    const int64_t even = 2 * pairs_of(rows), all = values_count(even, width);
    mg_level      l    = {.bf16 = bf16, .rows = even, .width = width, .values = memory};
    l.along = bf16 ? l.values + all : l.values;
    l.down  = !bf16 ? l.values : down ? l.along + all / 2 : NULL;
    return l;
}

// `whole`: all columns are there.
LANES_INLINE void round_body(const bool whole, const mg_level *l, int64_t i, int64_t n, int64_t first) {
    const int64_t strip = first / BLOCK_STRIP, within = first % BLOCK_STRIP;
    const int64_t left  = whole ? BLOCK_COLUMNS : l->width - first;
    const float  *from  = mg_level_at(l, i, first);
    float        *along = l->along + (strip * l->rows + i) * (BLOCK_STRIP / 2) + within / 2;
    for (int64_t r = 0; r < n; r++)
        lanes_store(along + r * (BLOCK_STRIP / 2), LANES, words_along(true, from + r * BLOCK_STRIP, left));
    if (!l->down) return;
    float *down = l->down + (strip * l->rows + i) / 2 * BLOCK_STRIP + within;
    for (int64_t r = 0; r < n; r += 2)
        for (int64_t c = 0; c < BLOCK_COLUMNS && c < left; c += LANES)
            lanes_store(down + r / 2 * BLOCK_STRIP + c, LANES,
                        words_down(true, from + r * BLOCK_STRIP + c, BLOCK_STRIP, n - r, left - c));
}

void mg_level_round(const mg_level *l, int64_t i, int64_t n, int64_t first) {
    if (!l->bf16) return;
    if (l->width - first >= BLOCK_COLUMNS)
        round_body(true, l, i, n, first);
    else
        round_body(false, l, i, n, first);
}

void mg_level_fill(const mg_level *l, int64_t i, int64_t n, const float *from, int64_t stride) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < l->width; j += LANES)
            lanes_store(mg_level_at(l, i + r, j), LANES, lanes_load(from + r * stride + j, l->width - j));
    for (int64_t r = 0; r < n; r += BLOCK_ROWS)
        for (int64_t j = 0; j < l->width; j += BLOCK_COLUMNS)
            mg_level_round(l, i + r, n - r < BLOCK_ROWS ? n - r : BLOCK_ROWS, j);
}

mg_block_rows mg_level_rows(const mg_level *l, int64_t i) {
    const int64_t per = l->bf16 ? BLOCK_STRIP / 2 : BLOCK_STRIP;
    return (mg_block_rows){.at = l->along + i * per, .row = per, .step = 1, .per = per, .jump = l->rows * per};
}

const float *mg_level_factor(const mg_level *l, int64_t i, int64_t j) {
    const int64_t row = j / BLOCK_STRIP * l->rows + i;
    return l->down + (l->bf16 ? row / 2 : row) * BLOCK_STRIP + j % BLOCK_STRIP;
}

mg_block_rows mg_level_columns(const mg_level *l, int64_t i, int64_t j) {
    return (mg_block_rows){.at = mg_level_factor(l, i, j), .row = 1, .step = BLOCK_STRIP, .per = INT64_MAX};
}
