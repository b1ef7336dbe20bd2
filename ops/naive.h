// naive.h - what the files x_naive.c share: the type of number they are compiled for.
//
// Meson compiles each of them twice, with MG_NAIVE_F64 and without. They are plain loops in the
// calling thread, written to be compared with the formulas of ops.h and with nothing else in mind.
#ifndef MG_OPS_NAIVE_H
#define MG_OPS_NAIVE_H
#include <string.h>

#include "ops/path.h"

#ifdef MG_NAIVE_F64
typedef double real;
#define NAIVE(name) mg_##name##_f64
#define NAIVE_DTYPE MG_F64
#else
typedef float real;
#define NAIVE(name) mg_##name##_f32
#define NAIVE_DTYPE MG_F32
#endif

static inline real *numbers(const mg_tensor *t) {
    MG_ASSERT(t->dtype == NAIVE_DTYPE);
    return (real *)t->data;
}

// NULL: nobody wants it.
static inline real *gradient(const mg_tensor *t) {
    MG_ASSERT(t->dtype == NAIVE_DTYPE);
    return (real *)mg_grad((mg_tensor *)t);
}

// A factor of a product with W: with W->bf16 the nearest float whose lower half is zero, ties to the
// even one; NaN stays. In double nothing is rounded.
static inline real factor(const mg_tensor *W, real x) {
#ifdef MG_NAIVE_F64
    (void)W;
    return x;
#else
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (!W->bf16 || x != x) return x;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, sizeof bits);
    return x;
#endif
}
#endif
