// path.c - the choice of path, the same for every operation.
#include "ops/path.h"

void mg_path_run(mg_tape *tape, const mg_paths *paths, void *call, mg_tensor *y) {
    const mg_path *path = tape->dtype == MG_F64 ? &paths->naive_f64
                          : tape->naive         ? &paths->naive_f32
                                                : &paths->fast;
    path->forward(tape, call);
    mg_tape_push(tape, y, path->backward, call);
}
