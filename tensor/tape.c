// tape.c - the list of nodes of one forward pass.
#include "tensor/tape.h"

static size_t number_size(mg_dtype dtype) {
    return dtype == MG_F64 ? sizeof(double) : sizeof(float);
}

mg_tape mg_tape_make(mg_arena *arena, mg_team *team, bool record) {
    return (mg_tape){.arena = arena, .team = team, .dtype = MG_F32, .record = record};
}

mg_tape mg_tape_make_f64(mg_arena *arena) {
    return (mg_tape){.arena = arena, .dtype = MG_F64, .naive = true, .record = true};
}

mg_tensor *mg_tape_tensor(mg_tape *tape, int64_t rows, int64_t cols) {
    MG_ASSERT(rows >= 0 && cols > 0);
    size_t     size = (size_t)rows * (size_t)cols * number_size(tape->dtype);
    mg_tensor *t    = MG_NEW(tape->arena, mg_tensor, 1);

    *t = (mg_tensor){.dtype = tape->dtype, .rows = rows, .cols = cols};
    t->data = mg_arena_alloc_raw(tape->arena, size);
    if (tape->record) t->grad = mg_arena_alloc(tape->arena, size);
    return t;
}

void mg_tape_push(mg_tape *tape, mg_backward_fn *backward, void *saved) {
    if (!tape->record) return;
    mg_node *node = MG_NEW(tape->arena, mg_node, 1);
    *node         = (mg_node){.before = tape->last, .backward = backward, .saved = saved};
    tape->last    = node;
}

void mg_tape_backward(mg_tape *tape) {
    MG_ASSERT(tape->record);
    for (mg_node *node = tape->last; node; node = node->before) node->backward(tape, node->saved);
}
