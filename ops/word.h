// word.h - words of factors: a float, or a pair of bfloat16 side by side in 32 bits, sixteen at a time.
//
// A bfloat16 is the upper half of a float, rounded to nearest, ties to even (as VCVTNEPS2BF16 of
// Intel's manual does, but for denormals, which the products take for zero anyway).
#ifndef MG_OPS_WORD_H
#define MG_OPS_WORD_H
#include "ops/fast.h"

typedef uint32_t lanes_u32 __attribute__((vector_size(4 * LANES)));

LANES_INLINE lanes_u32 words_rounded(lanes x) {
    const lanes_u32 bits = (lanes_u32)x, even = (bits >> 16) & 1;
    const lanes_u32 nan = bits | 0x00400000;
    return (lanes_u32)lanes_choose(x == x, (lanes)(bits + 0x7fff + even), (lanes)nan);
}

LANES_INLINE lanes words_pair(lanes first, lanes second) {
    return (lanes)(words_rounded(first) >> 16 | (words_rounded(second) & 0xffff0000));
}

// Words side by side in a row, which has `left` more numbers.
LANES_INLINE lanes words_along(const bool bf16, const float *row, int64_t left) {
    const lanes a = lanes_load(row, left);
    if (!bf16) return a;
    const lanes b = lanes_load(row + LANES, left - LANES);
    return words_pair(
        __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
        __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
}

// Words of sixteen columns, from one row or two; `rows` and `cols` are left.
LANES_INLINE lanes words_down(const bool bf16, const float *p, int64_t stride, int64_t rows, int64_t cols) {
    const lanes zero = {0}, first = rows > 0 ? lanes_load(p, cols) : zero;
    return bf16 ? words_pair(first, rows > 1 ? lanes_load(p + stride, cols) : zero) : first;
}
#endif
