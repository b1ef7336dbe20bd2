// tape.c - the list of nodes of one forward pass.
#include "tensor/tape.h"

#include <string.h>

static size_t number_size(mg_dtype dtype) {
    return dtype == MG_F64 ? sizeof(double) : sizeof(float);
}

mg_tape mg_tape_make(mg_arena *arena, mg_team *team, bool record) {
    return (mg_tape){.arena = arena, .team = team, .dtype = MG_F32, .record = record};
}

mg_tape mg_tape_make_f64(mg_arena *arena) {
    return (mg_tape){.arena = arena, .dtype = MG_F64, .naive = true, .record = true};
}

static size_t bytes_of(const mg_tensor *t) {
    return (size_t)mg_tensor_count(t) * number_size(t->dtype);
}

mg_tensor *mg_tape_tensor(mg_tape *tape, int64_t rows, int64_t cols) {
    MG_ASSERT(rows >= 0 && cols > 0);
    mg_tensor *t = MG_NEW(tape->arena, mg_tensor, 1);
    *t           = (mg_tensor){.dtype = tape->dtype, .rows = rows, .cols = cols};
    t->data      = mg_arena_alloc_raw(tape->arena, bytes_of(t));
    if (tape->record) t->tape = tape;
    return t;
}

void mg_tape_push(mg_tape *tape, mg_tensor *y, mg_backward_fn *backward, void *saved) {
    if (!tape->record) return;
    mg_node *node = MG_NEW(tape->arena, mg_node, 1);
    *node = (mg_node){.before = tape->last, .y = y, .backward = backward, .saved = saved};
    tape->last    = node;
}

// ---- Gradients. Spare memory is a list, newest first, each piece described at its own beginning.

typedef struct mg_spare {
    struct mg_spare *next;
    size_t           size;
} mg_spare;

static void *memory_take(mg_tape *tape, size_t size) {
    if (size < sizeof(mg_spare)) size = sizeof(mg_spare);
    for (mg_spare **at = &tape->spare; *at; at = &(*at)->next)
        if ((*at)->size == size) {
            mg_spare *found = *at;
            *at             = found->next;
            return found;
        }
    return mg_arena_alloc_raw(tape->arena, size);
}

static void memory_give(mg_tape *tape, void *memory, size_t size) {
    mg_spare *spare = memory;
    if (size < sizeof *spare) size = sizeof *spare;
    *spare      = (mg_spare){tape->spare, size};
    tape->spare = spare;
}

bool mg_grad_begin(mg_tensor *t) {
    if (t->grad || !t->tape) return false;
    t->grad = memory_take(t->tape, bytes_of(t));
    return true;
}

bool mg_grad_take(mg_tensor *t, mg_tensor *from) {
    if (t->grad || !t->tape || !from->tape) return false;
    MG_ASSERT(bytes_of(t) == bytes_of(from));
    t->grad    = from->grad;
    from->grad = NULL;
    return true;
}

void *mg_grad(mg_tensor *t) {
    if (mg_grad_begin(t)) memset(t->grad, 0, bytes_of(t));
    return t->grad;
}

void mg_tape_backward(mg_tape *tape) {
    MG_ASSERT(tape->record);
    for (mg_node *node = tape->last; node; node = node->before) {
        mg_tensor *y = node->y;
        if (!y->grad) continue;
        node->backward(tape, node->saved);
        if (y->grad) memory_give(tape, y->grad, bytes_of(y));
        y->grad = NULL;
    }
}
