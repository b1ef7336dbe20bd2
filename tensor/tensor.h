// tensor.h - a matrix and, where somebody wants it, its gradient.
//
// Everything is a row-major matrix [rows, cols]: a ragged batch of tokens is [tokens, width], a
// vector is [n, 1]. Two types of number: MG_F32 for work, MG_F64 for gradient checks, where only
// the naive operations run.
#ifndef MG_TENSOR_TENSOR_H
#define MG_TENSOR_TENSOR_H
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

typedef enum mg_dtype { MG_F32, MG_F64 } mg_dtype;

typedef struct mg_tensor {
    mg_dtype dtype;
    int64_t  rows, cols;
    void    *data;    // [rows, cols]
    void    *grad;    // [rows, cols], d loss / d data, added to by backward; NULL: not wanted, or
                      // not begun
    struct mg_tape *tape; // of a result whose gradient is begun when it is asked for (tape.h); or NULL
    uint64_t version; // grows by one whenever a parameter's data is written after it was used
    bool     bf16;    // parameters: products with it round both factors to bfloat16 and sum in float
    struct mg_packed *packed; // parameters: the copy in the matrix library's layout, made by ops/
                              // when `version` has moved on; NULL before the first product
} mg_tensor;

static inline int64_t mg_tensor_count(const mg_tensor *t) { return t->rows * t->cols; }

// The numbers, by type; asserted. Of gradients: tape.h.
static inline float *mg_f32(const mg_tensor *t) {
    MG_ASSERT(t->dtype == MG_F32);
    return (float *)t->data;
}
static inline double *mg_f64(const mg_tensor *t) {
    MG_ASSERT(t->dtype == MG_F64);
    return (double *)t->data;
}
#endif
