// path.c - the choice of path, the same for every operation.
#include "ops/path.h"

const mg_path *mg_path_of(const mg_tape *tape, const mg_paths *paths) {
    return tape->dtype == MG_F64 ? &paths->naive_f64
           : tape->naive         ? &paths->naive_f32
                                 : &paths->fast;
}

void mg_path_run(mg_tape *tape, const mg_paths *paths, void *call, mg_tensor *y) {
    const mg_path *path = mg_path_of(tape, paths);
    path->forward(tape, call);
    mg_tape_push(tape, y, path->backward, call);
}
