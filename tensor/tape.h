// tape.h - reverse-mode automatic differentiation over the operations of ops/.
//
// An operation computes its result at once and, when the tape records, pushes one node: a backward
// function and what it saved. mg_tape_backward runs the nodes from last to first. Losses live in
// algos/: they read outputs, write d loss / d output into the outputs' `grad`, and then run
// backward. Everything is on the tape's arena; resetting the arena ends the graph.
//
// T1  Backward adds to gradients, it never overwrites them.
// T2  A tensor whose grad is NULL is a constant: no backward function touches it.
// T3  Results do not depend on the number of threads: work is cut by shape, sums run in order.
#ifndef MG_TENSOR_TAPE_H
#define MG_TENSOR_TAPE_H
#include <stdbool.h>

#include "core/arena.h"
#include "core/thread.h"
#include "tensor/tensor.h"

typedef struct mg_tape mg_tape;

typedef void mg_backward_fn(mg_tape *tape, void *saved);

typedef struct mg_node {
    struct mg_node *before; // the node pushed before this one
    mg_backward_fn *backward;
    void           *saved;
} mg_node;

struct mg_tape {
    mg_arena *arena;  // borrowed; holds activations, gradients, nodes
    mg_team  *team;   // borrowed; NULL: the calling thread alone
    mg_dtype  dtype;  // of every tensor on it
    bool      naive;  // take the naive operations (always so with MG_F64)
    bool      record; // false: no gradients, nothing is kept for backward
    mg_node  *last;
};

// The team may be NULL. The tape keeps no resources of its own: there is nothing to release.
mg_tape mg_tape_make(mg_arena *arena, mg_team *team, bool record);
mg_tape mg_tape_make_f64(mg_arena *arena); // naive, in double, recording: for gradient checks

// A result of shape [rows, cols]; data unset, grad zeroed when the tape records, else NULL.
mg_tensor *mg_tape_tensor(mg_tape *tape, int64_t rows, int64_t cols);

// Pushes a node when the tape records.
void mg_tape_push(mg_tape *tape, mg_backward_fn *backward, void *saved);

// Runs every node from last to first; the caller has seeded the gradients of the outputs.
void mg_tape_backward(mg_tape *tape);
#endif
