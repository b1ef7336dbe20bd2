// optimiser_file.c - an optimiser's moments, kept.
#include <string.h>

#include "nets/optimiser.h"
#include "nets/safetensors.h"

mg_err mg_adamw_save(const mg_adamw *o, const char *path) {
    const int64_t        steps   = o->steps;
    const mg_file_tensor state[] = {
        {.name = "m", .dtype = MG_FILE_F32, .dims = 1, .shape = {o->n_weights}, .count = o->n_weights,
         .data = o->m},
        {.name = "v", .dtype = MG_FILE_F32, .dims = 1, .shape = {o->n_weights}, .count = o->n_weights,
         .data = o->v},
        {.name = "steps", .dtype = MG_FILE_I64, .dims = 1, .shape = {1}, .count = 1, .data = &steps},
    };
    return mg_safetensors_write(path, state, 3);
}

mg_err mg_adamw_load(mg_adamw *o, const char *path) {
    mg_safetensors *file;
    mg_err          err = mg_safetensors_open(&file, path);
    if (err) return err;
    const mg_file_tensor *m = mg_safetensors_find(file, "m"), *v = mg_safetensors_find(file, "v");
    const mg_file_tensor *steps = mg_safetensors_find(file, "steps");
    if (!m || !v || !steps || m->count != o->n_weights || v->count != o->n_weights ||
        steps->dtype != MG_FILE_I64 || steps->count != 1)
        err = mg_fail(MG_MISMATCH, "%s: wanted m, v [%lld] and steps [1]", path,
                      (long long)o->n_weights);
    if (!err) err = mg_file_tensor_to_f32(m, o->m);
    if (!err) err = mg_file_tensor_to_f32(v, o->v);
    if (!err) memcpy(&o->steps, steps->data, sizeof o->steps);
    mg_safetensors_close(file);
    return err;
}
