// concat.c - columns side by side: what a critic of actions reads.
//
// Rows are short and few (a batch of transitions), so the calling thread does it alone.
#include <string.h>

#include "ops/fast.h"

static void forward(mg_tape *tape, void *call) {
    (void)tape;
    const mg_concat_call *c    = call;
    const int64_t         left = c->a->cols, right = c->y->cols - left;
    const float          *a = mg_f32(c->a), *b = mg_f32(c->b);
    float                *y = mg_f32(c->y);

    for (int64_t i = 0; i < c->y->rows; i++, y += left + right) {
        memcpy(y, a + i * left, sizeof *y * (size_t)left);
        memcpy(y + left, b + i * c->b->cols, sizeof *y * (size_t)right);
    }
}

// dx [rows, cols] += n columns of dy from `first` on.
static void add_to(mg_tensor *x, const mg_tensor *y, int64_t first, int64_t n) {
    float *dx = mg_grad(x);
    if (!dx) return;
    const float *dy = mg_grad_f32(y) + first;
    for (int64_t i = 0; i < y->rows; i++)
        for (int64_t j = 0; j < n; j++) dx[i * x->cols + j] += dy[i * y->cols + j];
}

static void backward(mg_tape *tape, void *call) {
    (void)tape;
    const mg_concat_call *c = call;
    add_to(c->a, c->y, 0, c->a->cols);
    add_to(c->b, c->y, c->a->cols, c->y->cols - c->a->cols);
}

mg_tensor *mg_concat(mg_tape *t, mg_tensor *a, mg_tensor *b, int64_t n) {
    static const mg_paths paths = MG_PATHS(concat);
    mg_concat_call       *c     = MG_NEW(t->arena, mg_concat_call, 1);

    MG_ASSERT(a->rows == b->rows && n >= 0 && n <= b->cols);
    *c = (mg_concat_call){.a = a, .b = b, .y = mg_tape_tensor(t, a->rows, a->cols + n)};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
