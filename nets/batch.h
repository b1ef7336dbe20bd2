// batch.h - the ragged token batch: what a network sees.
//
// Sequences lie one after the other in one flat array; there is no padding. A sequence may name an
// earlier one as its parent: it then continues the parent, attends to all of the parent's keys (and
// the parent's parent's), and its positions go on from there. A prompt shared by many continuations
// is so computed once: samples of one prompt, the two sides of a preference pair, resets.
#ifndef MG_NETS_BATCH_H
#define MG_NETS_BATCH_H
#include "core/arena.h"
#include "ops/ops.h"

typedef struct mg_sequence {
    int64_t row;      // of its first token in the flat arrays
    int64_t n;        // tokens, >= 1
    int32_t parent;   // index of an earlier sequence, or -1
    int32_t position; // of its first token: 0, or where the parent ends
} mg_sequence;

typedef struct mg_batch {
    int32_t          *tokens;    // [n_tokens] ids
    int32_t          *positions; // [n_tokens]
    mg_sequence      *sequences; // [n_sequences]
    int64_t           n_tokens, tokens_max;
    int64_t           n_sequences, sequences_max;
    mg_attention_plan plan;      // made by mg_batch_plan
} mg_batch;

// An empty batch with room for so many; memory from the arena.
void mg_batch_init(mg_batch *b, mg_arena *arena, int64_t tokens_max, int64_t sequences_max);

// Appends a sequence (copied) and returns its index. parent -1: it starts at position 0.
// n >= 1, the room and the parent are asserted.
int32_t mg_batch_add(mg_batch *b, const int32_t *tokens, int64_t n, int32_t parent);

// Builds the attention plan, on the arena; after it nothing is added. Spans name the batch's rows.
// A family is a root and all that descend from it; families come in the order of their roots.
void mg_batch_plan(mg_batch *b, mg_arena *arena);
#endif
