// word.h - words of factors: a float, or a pair of bfloat16 side by side in 32 bits, sixteen at a time.
//
// A bfloat16 is the upper half of a float, rounded to nearest, ties to even; the processor's instruction,
// where it has it, takes denormals for zero, as its products do anyway.
#ifndef MG_OPS_WORD_H
#define MG_OPS_WORD_H
#include "ops/fast.h"

typedef uint32_t lanes_u32 __attribute__((vector_size(4 * LANES)));

#ifdef __AVX512BF16__
#include <immintrin.h>

// The numbers of a, then those of b, rounded: sixteen words.
LANES_INLINE __m512i words_of_two(lanes a, lanes b) { return (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a); }

LANES_INLINE lanes words_pair(lanes first, lanes second) {
    const __m512i crosswise = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                               6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (lanes)_mm512_permutexvar_epi16(crosswise, words_of_two(first, second));
}

LANES_INLINE lanes words_side_by_side(lanes a, lanes b) { return (lanes)words_of_two(a, b); }
#else
LANES_INLINE lanes_u32 words_rounded(lanes x) {
    const lanes_u32 bits = (lanes_u32)x, even = (bits >> 16) & 1;
    const lanes_u32 nan = bits | 0x00400000;
    return (lanes_u32)lanes_choose(x == x, (lanes)(bits + 0x7fff + even), (lanes)nan);
}

LANES_INLINE lanes words_pair(lanes first, lanes second) {
    return (lanes)(words_rounded(first) >> 16 | (words_rounded(second) & 0xffff0000));
}

LANES_INLINE lanes words_side_by_side(lanes a, lanes b) {
    return words_pair(
        __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
        __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
}
#endif

// Words side by side in a row, which has `left` more numbers.
LANES_INLINE lanes words_along(const bool bf16, const float *row, int64_t left) {
    const lanes a = lanes_load(row, left);
    return bf16 ? words_side_by_side(a, lanes_load(row + LANES, left - LANES)) : a;
}

// Words of sixteen columns, from one row or two; `rows` and `cols` are left.
LANES_INLINE lanes words_down(const bool bf16, const float *p, int64_t stride, int64_t rows, int64_t cols) {
    const lanes zero = {0}, first = rows > 0 ? lanes_load(p, cols) : zero;
    return bf16 ? words_pair(first, rows > 1 ? lanes_load(p + stride, cols) : zero) : first;
}
#endif
