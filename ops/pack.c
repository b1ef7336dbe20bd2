// pack.c - sixteen words at a time.
#include "ops/pack.h"

#include "ops/word.h"

enum { PART = 2 * LANES }; // rows of words

mg_strips mg_strips_of(bool bf16, bool plain, int64_t K, int64_t N) {
    enum { WIDTH = 64 };
    const int64_t words = bf16 ? (K + 1) / 2 : K;
    MG_ASSERT(!(bf16 && plain));
    return (mg_strips){.bf16 = bf16, .K = K, .N = N, .width = plain ? N : WIDTH,
                       .words = plain ? K : (words + LANES - 1) / LANES * LANES};
}

// The bodies are compiled once for each type of word.
LANES_INLINE void rows_body(const bool bf16, const mg_strips *s, const float *from, int64_t rows,
                            int64_t part, float *to) {
    const int64_t per_word = bf16 ? 2 : 1, last = mg_piece_end(s->words, PART, part);
    for (int64_t w = part * PART; w < last; w++)
        for (int64_t first = 0; first < s->N; first += s->width)
            for (int64_t c = 0; c < s->width; c += LANES)
                lanes_store(to + first * s->words + w * s->width + c, s->width - c,
                            words_down(bf16, from + w * per_word * s->N + first + c, s->N,
                                 rows - w * per_word, s->N - first - c));
}

void mg_pack_rows(const mg_strips *s, const float *from, int64_t rows, int64_t part, void *to) {
    if (s->bf16)
        rows_body(true, s, from, rows, part, to);
    else
        rows_body(false, s, from, rows, part, to);
}

// Sixteen columns from `column` on and sixteen rows of words from w on. `whole`: all of them are there, and
// nothing goes through memory.
LANES_INLINE void transposed_block(const bool bf16, const bool whole, const mg_strips *s, const float *from,
                                   int64_t column, int64_t w, float *to) {
    const int64_t per_word = bf16 ? 2 : 1;
    const int64_t cols = whole ? LANES : s->N - column, rows = whole ? LANES : s->words - w;
    lanes         a[LANES];
    for (int64_t i = 0; i < LANES; i++)
        a[i] = i < cols ? words_along(bf16, from + (column + i) * s->K + w * per_word,
                                      whole ? 2 * LANES : s->K - w * per_word)
                        : lanes_of(0);
    lanes_transpose(a);
    for (int64_t i = 0; i < LANES && i < rows; i++)
        lanes_store(to + i * s->width, whole ? LANES : s->width - column % s->width, a[i]);
}

LANES_INLINE void transposed_body(const bool bf16, const mg_strips *s, const float *from,
                                  int64_t strip, float *to) {
    const int64_t first = strip * s->width, per_word = bf16 ? 2 : 1;
    for (int64_t c = 0; c < s->width; c += LANES)
        for (int64_t w = 0; w < s->words; w += LANES) {
            const bool whole = first + c + LANES <= s->N && (w + LANES) * per_word <= s->K;
            float     *at    = to + w * s->width + c;
            if (whole)
                transposed_block(bf16, true, s, from, first + c, w, at);
            else
                transposed_block(bf16, false, s, from, first + c, w, at);
        }
}

void mg_pack_transposed(const mg_strips *s, const float *from, int64_t strip, void *to) {
    float *at = (float *)to + strip * s->words * s->width;
    if (s->bf16)
        transposed_body(true, s, from, strip, at);
    else
        transposed_body(false, s, from, strip, at);
}

void mg_pack_factor(const float *from, int64_t n, void *to) {
    for (int64_t i = 0; i < n; i += 2 * LANES)
        lanes_store((float *)to + i / 2, LANES, words_along(true, from + i, n - i));
}

LANES_INLINE void factor_body(const bool bf16, const float *from, int64_t stride, int64_t rows,
                              int64_t cols, int64_t words, float *to) {
    const int64_t per_word = bf16 ? 2 : 1;
    for (int64_t w = 0; w < words; w += LANES)
        for (int64_t c = 0; c < cols; c += LANES) {
            lanes a[LANES];
            for (int64_t i = 0; i < LANES; i++)
                a[i] = words_down(bf16, from + (w + i) * per_word * stride + c, stride,
                            rows - (w + i) * per_word, cols - c);
            lanes_transpose(a);
            for (int64_t i = 0; i < LANES && c + i < cols; i++)
                lanes_store(to + (c + i) * words + w, LANES, a[i]);
        }
}

void mg_pack_factor_transposed(bool bf16, const float *from, int64_t stride, int64_t rows,
                               int64_t cols, int64_t K, void *to) {
    MG_ASSERT(K % (2 * LANES) == 0);
    if (bf16)
        factor_body(true, from, stride, rows, cols, K / 2, to);
    else
        factor_body(false, from, stride, rows, cols, K, to);
}
