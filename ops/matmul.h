// matmul.h - products C = A B (+ bias) and C += A B, in the worker that calls.
//
// A and B are of floats or of bfloat16 and lie as pack.h says; sums, bias and C are of floats. A row
// of C has the same bits whatever M is (oneDNN 2.6, AVX-512, both types; the tests look).
#ifndef MG_OPS_MATMUL_H
#define MG_OPS_MATMUL_H
#include "ops/pack.h"

typedef struct mg_product_kind {
    bool    bf16;
    bool    adds; // C += A B
    bool    bias; // C = A B + bias; not with adds
    int64_t K, N;
} mg_product_kind;

typedef struct mg_product mg_product;

// Called by the calling thread before it asks for the products of one operation: those it then gets
// stay until the next call. They are kept; a step whose kinds were all seen makes none.
void mg_products_begin(const mg_team *team);

// The product of a kind for `rows` rows, or for any number of them (0).
const mg_product *mg_product_get(mg_product_kind kind, int64_t rows);

// How B must lie.
mg_strips mg_product_strips(bool bf16, int64_t K, int64_t N);

// A [M, K], B packed, bias [N] or unused, C [M, N]. bf16: one more row behind A can be read.
void mg_product_run(const mg_product *p, int worker, int64_t M, const void *A, const void *B,
                    const float *bias, float *C);

// As mg_linear_meter and mg_linear_metered, for these products.
void   mg_product_meter(double (*seconds)(void));
double mg_product_metered(void);
#endif
