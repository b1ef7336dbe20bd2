// block.h - blocks of a product C = A B in our own loops, for networks too small for a library's calls.
//
// An element's sum runs over k in sequence, one fused multiply-add per word (the processor's pairs in
// bfloat16), so it has the same bits in a block of any size. Words are those of word.h.
#ifndef MG_OPS_BLOCK_H
#define MG_OPS_BLOCK_H
#include "ops/fast.h"

enum { BLOCK_ROWS = 8, BLOCK_COLUMNS = 32 };

// Word k of row i of A: at[k / per * jump + i * row + k % per * step].
typedef struct mg_block_rows {
    const float *at;
    int64_t      row, step, per, jump;
} mg_block_rows;

// tile [rows, BLOCK_COLUMNS] = A B for rows up to BLOCK_ROWS and words 0 .. K-1; `cols` up to
// BLOCK_COLUMNS are wanted, and whole lanes of them written. Word k of B's column j: B[k * BLOCK_COLUMNS + j];
// whole lanes are read.
void mg_block_multiply(bool bf16, int64_t rows, int64_t cols, int64_t K, mg_block_rows A, const float *B,
                       float *tile);

#endif
