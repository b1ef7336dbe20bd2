// tape.h - reverse-mode automatic differentiation over the operations of ops/.
//
// An operation computes its result at once and, when the tape records, pushes one node: a backward
// function and what it saved. mg_tape_backward runs the nodes from last to first. Losses live in
// algos/: they read outputs, write d loss / d output into the outputs' `grad`, and then run
// backward. Everything is on the tape's arena; resetting the arena ends the graph.
//
// A result's gradient is begun by who asks for it first, a loss or a node behind the result, and
// when the result's own node has run its memory goes to another: backward needs few buffers, and
// finds them in the cache.
//
// T1  Backward adds to gradients, it never overwrites them; who begins one may store.
// T2  A tensor whose gradient is not wanted is a constant: no backward function touches it. A result
//     whose gradient nobody began has none, and its node does not run.
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
    mg_tensor      *y;      // its result
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
    struct mg_spare *spare; // gradients' memory that is free again
};

// The team may be NULL. The tape keeps no resources of its own: there is nothing to release.
mg_tape mg_tape_make(mg_arena *arena, mg_team *team, bool record);
mg_tape mg_tape_make_f64(mg_arena *arena); // naive, in double, recording: for gradient checks

// A result of shape [rows, cols]; data unset, its gradient wanted when the tape records.
mg_tensor *mg_tape_tensor(mg_tape *tape, int64_t rows, int64_t cols);

// Pushes the node of result y when the tape records.
void mg_tape_push(mg_tape *tape, mg_tensor *y, mg_backward_fn *backward, void *saved);

// Runs every node from last to first; the caller has seeded the gradients of the outputs.
void mg_tape_backward(mg_tape *tape);

// ---- Gradients. The calling thread begins them, before the team works on them.

static inline bool mg_grad_wanted(const mg_tensor *t) { return t->grad || t->tape; }

// Begins a gradient that all of will be written: true, and it holds anything yet. False: it was begun
// before, or is not wanted.
bool mg_grad_begin(mg_tensor *t);

// The same with the gradient of `from`, a result of the same shape whose node is running and has no
// more use for it. False: nothing is changed.
bool mg_grad_take(mg_tensor *t, mg_tensor *from);

// Begun with zeros if it was not; NULL: not wanted.
void *mg_grad(mg_tensor *t);

static inline float *mg_grad_f32(const mg_tensor *t) {
    MG_ASSERT(t->dtype == MG_F32);
    return t->grad ? t->grad : mg_grad((mg_tensor *)t);
}
#endif
