// checkpoint.c - models and optimisers, whole or not at all.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <openssl/sha.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "train/run.h"

#define HALF        ".half" // behind the name of a checkpoint that is being written
#define CHECKPOINTS "checkpoints"

// A file of plain bytes: what tells whether they can be taken, then they.
typedef struct plain_head {
    char    format[32];
    uint8_t hash[32]; // SHA-256 of the bytes behind
} plain_head;

static char *plain_make(const mg_plain *p, mg_arena *a, size_t *size) {
    *size            = sizeof(plain_head) + p->size;
    char       *file = mg_arena_alloc(a, *size);
    plain_head *head = (plain_head *)file;
    snprintf(head->format, sizeof head->format, "mg %s 2, %zu bytes", p->file, p->size);
    memcpy(head + 1, p->bytes, p->size);
    SHA256((const uint8_t *)(head + 1), p->size, head->hash);
    return file;
}

static mg_err plain_save(const mg_plain *p, const char *folder, mg_arena *a) {
    size_t      size;
    const char *file = plain_make(p, a, &size);
    return mg_file_write(mg_path(a, "%s/%s", folder, p->file), file, size);
}

static mg_err plain_load(const mg_plain *p, const char *folder, mg_arena *a) {
    const char       *path = mg_path(a, "%s/%s", folder, p->file);
    char             *bytes;
    size_t            size, wanted;
    uint8_t           hash[32];
    const plain_head *own = (const plain_head *)plain_make(p, a, &wanted);
    mg_err            err = mg_file_read(path, wanted, a, &bytes, &size);
    if (err) return err;
    const plain_head *file = (const plain_head *)bytes;
    if (size != wanted || memcmp(file->format, own->format, sizeof file->format))
        return mg_fail(MG_MISMATCH, "%s: of another build or algorithm, or cut off", path);
    SHA256((const uint8_t *)(file + 1), p->size, hash);
    if (memcmp(file->hash, hash, sizeof hash))
        return mg_fail(MG_CORRUPT, "%s: its hash is not that of what it holds", path);
    memcpy(p->bytes, file + 1, p->size);
    return MG_OK;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

// What cannot be removed stays, and is seen by whoever needs its place.
static void remove_tree(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static const char *part_folder(mg_arena *a, const char *top, const mg_part *p) {
    return p->name[0] ? mg_path(a, "%s/%s", top, p->name) : top;
}

static mg_err save_part(const mg_part *p, const char *folder, const char *origin, mg_arena *a) {
    mg_err err = mg_folder_make(folder);
    if (!err) err = mg_model_save(p->model, folder, MG_FILE_F32, origin);
    if (!err && p->optimiser) err = mg_adamw_save(p->optimiser, mg_path(a, "%s/optimiser.safetensors", folder));
    return err ? err : mg_folder_sync(folder);
}

// The updates of a name, which is six digits or more; -1: not a checkpoint's. *half: one that was not
// finished.
static int64_t updates_of(const char *name, bool *half) {
    const size_t digits = strspn(name, "0123456789");
    *half               = strcmp(name + digits, HALF) == 0;
    return digits >= 6 && (*half || name[digits] == 0) ? strtoll(name, NULL, 10) : -1;
}

static int is_checkpoint(const struct dirent *entry) {
    bool half;
    return updates_of(entry->d_name, &half) > 0;
}

static int is_kept(const struct dirent *entry) { // what the run began with is, too
    bool half;
    return updates_of(entry->d_name, &half) >= 0;
}

// The names in that folder of a run, oldest first: versionsort puts 999999 before 1000000. -1: no such folder.
static int list(const char *run, const char *folder, mg_arena *a, struct dirent ***names) {
    const bool kept = strcmp(folder, CHECKPOINTS) != 0;
    return scandir(mg_path(a, "%s/%s", run, folder), names, kept ? is_kept : is_checkpoint, versionsort);
}

int64_t mg_checkpoint_newest(const char *folder, mg_arena *a) {
    struct dirent **names;
    const int       count  = list(folder, CHECKPOINTS, a, &names);
    int64_t         newest = 0;
    for (int i = 0; i < count; i++) {
        bool          half;
        const int64_t updates = updates_of(names[i]->d_name, &half);
        if (!half) newest = updates;
        free(names[i]);
    }
    if (count >= 0) free(names);
    return newest;
}

// Removes all but the newest `kept`, and what a killed life left half written.
static void remove_old(const mg_run *r, int64_t kept, mg_arena *a) {
    struct dirent **names;
    const int       count = list(r->folder, CHECKPOINTS, a, &names);
    int64_t         whole = 0;
    for (int i = count - 1; i >= 0; i--) {
        bool half;
        updates_of(names[i]->d_name, &half);
        if (half || ++whole > kept)
            remove_tree(mg_path(a, "%s/" CHECKPOINTS "/%s", r->folder, names[i]->d_name));
        free(names[i]);
    }
    if (count >= 0) free(names);
}

// On the disk in this order: what is in the folder, its name, and only then may anything that it
// stands for be removed.
mg_err mg_folder_replace(const char *fresh, const char *path) {
    char   above[PATH_MAX];
    mg_err err = mg_folder_sync(fresh);
    if (err) return err;
    remove_tree(path);
    if (rename(fresh, path) != 0)
        return mg_fail(MG_IO, "rename %s to %s: %s", fresh, path, strerror(errno));
    snprintf(above, sizeof above, "%s", path);
    return mg_folder_sync(dirname(above));
}

mg_err mg_snapshot_save(const mg_snapshot *s, const char *path, const char *origin, mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    const char  *half = mg_path(a, "%s" HALF, path);
    mg_err       err  = MG_OK;
    remove_tree(half);
    for (int i = 0; i < s->n_parts && !err; i++)
        err = save_part(&s->parts[i], part_folder(a, half, &s->parts[i]), origin, a);
    for (int i = 0; i < s->n_plain && !err; i++) err = plain_save(&s->plain[i], half, a);
    if (!err) err = mg_folder_replace(half, path);
    if (err) {
        char *sentence = mg_arena_strdup(a, mg_err_detail());
        remove_tree(half);
        err = mg_fail(err, "checkpoint %s: %s", path, sentence);
    }
    mg_arena_reset(a, mark);
    return err;
}

static const char *path_of(const mg_run *r, const char *folder, int64_t updates, mg_arena *a) {
    return mg_path(a, "%s/%s/%06lld", r->folder, folder, (long long)updates);
}

mg_err mg_checkpoint_save(mg_run *r, int64_t updates_done, const mg_snapshot *s, int64_t kept, const char *origin,
                          mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    mg_err       err  = mg_snapshot_save(s, path_of(r, CHECKPOINTS, updates_done, a), origin, a);
    if (!err) {
        r->updates_done = updates_done;
        remove_old(r, kept, a);
    }
    mg_arena_reset(a, mark);
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
        if (p->optimiser) err = mg_adamw_load(p->optimiser, mg_path(a, "%s/optimiser.safetensors", folder));
    }
    mg_model_free(saved);
    return err;
}

mg_err mg_snapshot_load(const mg_snapshot *s, const char *path, mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    mg_err       err  = MG_OK;
    for (int i = 0; i < s->n_parts && !err; i++) err = load_part(&s->parts[i], part_folder(a, path, &s->parts[i]), a);
    for (int i = 0; i < s->n_plain && !err; i++) err = plain_load(&s->plain[i], path, a);
    mg_arena_reset(a, mark);
    return err;
}

mg_err mg_checkpoint_load(const mg_run *r, const mg_snapshot *s, mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    mg_err       err  = mg_snapshot_load(s, path_of(r, CHECKPOINTS, r->updates_done, a), a);
    mg_arena_reset(a, mark);
    return err;
}

// ---- What a rollback goes back to

// Does the guard of a checkpoint behind `done` updates go back to that one, when `next` is the one after it? It goes
// back to the newest that there was.
static bool goes_back(int64_t done, int64_t updates, int64_t next) {
    return updates <= done && (next < 0 || done < next);
}

// Removes all but `newest` and those that a checkpoint goes back to. Those behind `newest` are of a life that was
// killed, and will be written again.
static void remove_kept(const mg_run *r, const char *folder, int64_t newest, mg_arena *a) {
    struct dirent **all, **points;
    bool            half, other;
    const int       n = list(r->folder, folder, a, &all), n_points = list(r->folder, CHECKPOINTS, a, &points);
    int64_t         next = -1;
    for (int i = n - 1; i >= 0; i--) {
        const int64_t updates = updates_of(all[i]->d_name, &half);
        bool          needed  = updates == newest && !half;
        for (int k = 0; k < n_points && !half; k++)
            needed |= goes_back(updates_of(points[k]->d_name, &other), updates, next);
        if (!half) next = updates;
        if (!needed) remove_tree(mg_path(a, "%s/%s/%s", r->folder, folder, all[i]->d_name));
    }
    for (int i = 0; i < n; i++) free(all[i]);
    for (int k = 0; k < n_points; k++) free(points[k]);
    if (n >= 0) free(all);
    if (n_points >= 0) free(points);
}

mg_err mg_kept_save(const mg_run *r, const char *kept, int64_t updates, const mg_snapshot *s, const char *origin,
                    mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    mg_err       err  = mg_folder_make(mg_path(a, "%s/%s", r->folder, kept));
    if (!err) err = mg_snapshot_save(s, path_of(r, kept, updates, a), origin, a);
    if (!err) remove_kept(r, kept, updates, a);
    mg_arena_reset(a, mark);
    return err;
}

mg_err mg_kept_load(const mg_run *r, const char *kept, int64_t updates, const mg_snapshot *s, mg_arena *a) {
    const size_t mark = mg_arena_mark(a);
    mg_err       err  = mg_snapshot_load(s, path_of(r, kept, updates, a), a);
    mg_arena_reset(a, mark);
    return err;
}
