// checkpoint.c - models and optimisers, whole or not at all.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "train/run.h"

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static const char *part_folder(mg_arena *a, const char *top, const mg_part *p) {
    return p->name[0] ? mg_path(a, "%s/%s", top, p->name) : top;
}

static mg_err save_part(const mg_part *p, const char *folder, const char *origin, mg_arena *a) {
    const mg_adamw *o     = p->optimiser;
    const int64_t   steps = o->steps;
    mg_err          err   = mg_folder_make(folder);
    if (!err) err = mg_model_save(p->model, folder, MG_FILE_F32, origin);
    if (err) return err;
    const mg_file_tensor state[] = {
        {.name = "m", .dtype = MG_FILE_F32, .dims = 1, .shape = {o->n_weights}, .count = o->n_weights,
         .data = o->m},
        {.name = "v", .dtype = MG_FILE_F32, .dims = 1, .shape = {o->n_weights}, .count = o->n_weights,
         .data = o->v},
        {.name = "steps", .dtype = MG_FILE_I64, .dims = 1, .shape = {1}, .count = 1, .data = &steps},
    };
    return mg_safetensors_write(mg_path(a, "%s/optimiser.safetensors", folder), state, 3);
}

// Removes all but the newest `kept`. Names sort like their numbers: six digits, zero padded.
static void remove_old(const mg_run *r, int64_t kept, mg_arena *a) {
    struct dirent **names;
    const char     *top   = mg_path(a, "%s/checkpoints", r->folder);
    int             count = scandir(top, &names, NULL, alphasort), whole = 0;
    for (int i = count - 1; i >= 0; i--) {
        const char *name = names[i]->d_name;
        if (name[0] != '.' && (strchr(name, '.') || ++whole > kept))
            remove_tree(mg_path(a, "%s/%s", top, name));
        free(names[i]);
    }
    if (count >= 0) free(names);
}

mg_err mg_checkpoint_save(mg_run *r, int64_t updates_done, const mg_part *parts, int n, int64_t kept,
                          const char *origin, mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    const char  *path = mg_path(a, "%s/checkpoints/%06lld", r->folder, (long long)updates_done);
    const char  *half = mg_path(a, "%s.half", path);
    mg_err       err  = MG_OK;
    remove_tree(half);
    for (int i = 0; i < n && !err; i++) err = save_part(&parts[i], part_folder(a, half, &parts[i]), origin, a);
    if (!err) {
        remove_tree(path); // of an earlier life
        if (rename(half, path) != 0)
            err = mg_fail(MG_IO, "rename %s to %s: %s", half, path, strerror(errno));
    }
    if (err) {
        char *sentence = mg_arena_strdup(a, mg_err_detail());
        remove_tree(half);
        err = mg_fail(err, "checkpoint %s: %s", path, sentence);
    } else {
        r->updates_done = updates_done;
        remove_old(r, kept, a);
    }
    mg_arena_reset(a, mark);
    return err;
}

static mg_err load_optimiser(const char *path, mg_adamw *o) {
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

static mg_err load_part(const mg_part *p, const char *folder, mg_arena *a) {
    mg_model *saved;
    mg_err    err = mg_model_load(&saved, folder, false);
    if (err) return err;
    if (saved->n_weights != p->model->n_weights) {
        err = mg_fail(MG_MISMATCH, "%s: %lld weights, wanted %lld", folder, (long long)saved->n_weights,
                      (long long)p->model->n_weights);
    } else {
        memcpy(p->model->weights, saved->weights, sizeof(float) * (size_t)saved->n_weights);
        mg_model_touch(p->model);
        err = load_optimiser(mg_path(a, "%s/optimiser.safetensors", folder), p->optimiser);
    }
    mg_model_free(saved);
    return err;
}

mg_err mg_checkpoint_load(const mg_run *r, const mg_part *parts, int n, mg_arena *a) {
    const char *path = mg_path(a, "%s/checkpoints/%06lld", r->folder, (long long)r->updates_done);
    mg_err      err  = MG_OK;
    for (int i = 0; i < n && !err; i++) err = load_part(&parts[i], part_folder(a, path, &parts[i]), a);
    return err;
}
