// pack.c - sixteen words at a time: a word is a float, or a pair of bfloat16.
//
// A bfloat16 is the upper half of a float, rounded to nearest, ties to even (as VCVTNEPS2BF16 of
// Intel's manual does, but for denormals, which the products take for zero anyway).
#include "ops/pack.h"

enum { PART = 2 * LANES }; // rows of words

typedef uint32_t lanes_u32 __attribute__((vector_size(4 * LANES)));

LANES_INLINE lanes_u32 rounded(lanes x) {
    const lanes_u32 bits = (lanes_u32)x, even = (bits >> 16) & 1;
    const lanes_u32 nan = bits | 0x00400000;
    return (lanes_u32)lanes_choose(x == x, (lanes)(bits + 0x7fff + even), (lanes)nan);
}

LANES_INLINE lanes pair(lanes first, lanes second) {
    return (lanes)(rounded(first) >> 16 | (rounded(second) & 0xffff0000));
}

// Words side by side in a row, which has `left` more numbers.
LANES_INLINE lanes along(const bool bf16, const float *row, int64_t left) {
    const lanes a = lanes_load(row, left);
    if (!bf16) return a;
    const lanes b = lanes_load(row + LANES, left - LANES);
    return pair(__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                        30),
                __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29,
                                        31));
}

// Words of sixteen columns, from one row or two; `rows` and `cols` are left.
LANES_INLINE lanes down(const bool bf16, const float *p, int64_t stride, int64_t rows, int64_t cols) {
    const lanes zero = {0}, first = rows > 0 ? lanes_load(p, cols) : zero;
    return bf16 ? pair(first, rows > 1 ? lanes_load(p + stride, cols) : zero) : first;
}

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
                            down(bf16, from + w * per_word * s->N + first + c, s->N,
                                 rows - w * per_word, s->N - first - c));
}

void mg_pack_rows(const mg_strips *s, const float *from, int64_t rows, int64_t part, void *to) {
    if (s->bf16)
        rows_body(true, s, from, rows, part, to);
    else
        rows_body(false, s, from, rows, part, to);
}

LANES_INLINE void transposed_body(const bool bf16, const mg_strips *s, const float *from,
                                  int64_t strip, float *to) {
    const int64_t first = strip * s->width, per_word = bf16 ? 2 : 1;
    for (int64_t c = 0; c < s->width; c += LANES)
        for (int64_t w = 0; w < s->words; w += LANES) {
            lanes a[LANES] = {{0}};
            for (int64_t i = 0; i < LANES && first + c + i < s->N; i++)
                a[i] = along(bf16, from + (first + c + i) * s->K + w * per_word,
                             s->K - w * per_word);
            lanes_transpose(a);
            for (int64_t i = 0; i < LANES && w + i < s->words; i++)
                lanes_store(to + (w + i) * s->width + c, s->width - c, a[i]);
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
        lanes_store((float *)to + i / 2, LANES, along(true, from + i, n - i));
}

LANES_INLINE void factor_body(const bool bf16, const float *from, int64_t stride, int64_t rows,
                              int64_t cols, int64_t words, float *to) {
    const int64_t per_word = bf16 ? 2 : 1;
    for (int64_t w = 0; w < words; w += LANES)
        for (int64_t c = 0; c < cols; c += LANES) {
            lanes a[LANES];
            for (int64_t i = 0; i < LANES; i++)
                a[i] = down(bf16, from + (w + i) * per_word * stride + c, stride,
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
