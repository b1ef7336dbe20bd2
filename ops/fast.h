// fast.h - what the fast paths share: sixteen numbers at a time, and how work is cut.
//
// `lanes` is the vector type of GCC and clang: one AVX-512 register, two of AVX2, any other
// machine's equivalent, always the same sixteen sums. Loads and stores take how many numbers are
// left, so that a loop has one body for whole registers and for its tail, and a number has the
// same bits in any lane.
#ifndef MG_OPS_FAST_H
#define MG_OPS_FAST_H
#include <string.h>

#include "ops/path.h"

// GCC warns of vectors by value where AVX-512 is missing; nothing here is called across files.
#pragma GCC diagnostic ignored "-Wpsabi"
#define LANES_INLINE __attribute__((always_inline)) static inline

enum {
    LANES   = 16,
    SLICE   = 512,   // rows that are summed before the sum is added to a gradient (O3)
    COLUMNS = 64,    // columns of a gradient that one piece of work sums over all rows
    PIECE   = 16384, // numbers in one piece of row-wise work: several microseconds
};

typedef float   lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lanes_i32 __attribute__((vector_size(4 * LANES)));
typedef float   lanes_in_memory __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline int64_t rows_per_piece(int64_t cols) { return cols < PIECE ? PIECE / cols : 1; }

LANES_INLINE lanes lanes_of(float x) {
    return (lanes){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

// The first `left` numbers at p, zeros behind them.
LANES_INLINE lanes lanes_load(const float *p, int64_t left) {
    lanes v = {0};
    if (left >= LANES)
        v = *(const lanes_in_memory *)p;
    else
        for (int64_t l = 0; l < left; l++) v[l] = p[l];
    return v;
}

LANES_INLINE void lanes_store(float *p, int64_t left, lanes v) {
    if (left >= LANES)
        *(lanes_in_memory *)p = v;
    else
        for (int64_t l = 0; l < left; l++) p[l] = v[l];
}

LANES_INLINE void lanes_add_to(float *p, int64_t left, lanes v) {
    lanes_store(p, left, lanes_load(p, left) + v);
}

// Stores where a gradient begins, else adds.
LANES_INLINE void lanes_put(float *p, int64_t left, bool store, lanes v) {
    if (store)
        lanes_store(p, left, v);
    else
        lanes_add_to(p, left, v);
}

// where: all ones or all zeros per lane, as comparisons give.
LANES_INLINE lanes lanes_choose(lanes_i32 where, lanes yes, lanes no) {
    return (lanes)((where & (lanes_i32)yes) | (~where & (lanes_i32)no));
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) { return lanes_choose(a > b, a, b); }

// Folded by halves: 16 sums become 8, 4, 2, 1.
LANES_INLINE float lanes_sum(lanes v) {
    float a[LANES];
    memcpy(a, &v, sizeof a);
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int l = 0; l < w; l++) a[l] += a[l + w];
    return a[0];
}

LANES_INLINE float lanes_largest(lanes v) {
    float max = v[0];
    for (int l = 1; l < LANES; l++) max = v[l] > max ? v[l] : max;
    return max;
}

// Rows become columns: four perfect shuffles of sixteen registers bring every element across the
// diagonal.
LANES_INLINE void lanes_transpose(lanes a[LANES]) {
    lanes b[LANES];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < LANES / 2; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                               5, 21, 6, 22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27,
                                                   12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(a, b, sizeof b);
    }
}

// exp(x) within 1.01 units in the last place, also where the result is denormal; 0 and infinity
// beyond, NaN stays NaN.
// Reduction x = n log 2 + r and the polynomial are those of Cephes' expf (Moshier 1989), whose
// log 2 is split in two so that n times its first part is exact. 2^n is applied in two factors,
// because n = 128 and n < -126 are no exponents of a normal number.
LANES_INLINE lanes lanes_exp(lanes x) {
    const lanes low = lanes_of(-104), high = lanes_of(89);
    const lanes to_integer = lanes_of(0x1.8p23f); // adding it leaves the integer in the low bits

    x = lanes_choose(x < low, low, lanes_choose(x > high, high, x));
    lanes     shifted = x * 1.44269504088896341f + to_integer;
    lanes     n       = shifted - to_integer;
    lanes_i32 bits    = (lanes_i32)shifted - (lanes_i32)to_integer;

    lanes r = x - n * 0.693359375f;
    r       = r - n * -2.12194440e-4f;
    lanes p = lanes_of(1.9875691500e-4f);
    p       = p * r + 1.3981999507e-3f;
    p       = p * r + 8.3334519073e-3f;
    p       = p * r + 4.1665795894e-2f;
    p       = p * r + 1.6666665459e-1f;
    p       = p * r + 5.0000001201e-1f;
    p       = p * (r * r) + r + 1.0f;

    lanes_i32 half = bits >> 1, rest = bits - half;
    return p * (lanes)((half + 127) << 23) * (lanes)((rest + 127) << 23);
}
#endif
