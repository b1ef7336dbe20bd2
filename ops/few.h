// few.h - products of a few rows, as generation needs them, in loops of our own.
//
// With one row a product reads each weight once and computes twice with it; a call of the library
// costs as much as the product of a small layer. These loops read the library's packed weights,
// share nothing, so that any number of threads may run them, and can be cut by columns, so that one
// row keeps several cores busy. They sum in the library's order and give its bits, or they are not
// used: few.c looks once per shape.
#ifndef MG_OPS_FEW_H
#define MG_OPS_FEW_H
#include "ops/matmul.h"

// Do these loops have the library's bits for B of this shape, here? In a thread that may ask for
// products (mg_products_begin).
bool mg_few_same_bits(const mg_strips *s);

// y = x B (+ bias): x [rows, K], y [rows, N], rows <= MG_FEW_ROWS, B packed. Runs the tape's team.
void mg_few_multiply(mg_tape *tape, const mg_strips *s, const void *B, const float *bias,
                     const mg_tensor *x, mg_tensor *y);

// As mg_linear_meter and mg_linear_metered, for these products.
void   mg_few_meter(double (*seconds)(void));
double mg_few_metered(void);
#endif
