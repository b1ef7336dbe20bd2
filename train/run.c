// run.c - opening a run's folder.
#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/file.h"

static mg_err take_lock(mg_run *r, mg_arena *arena) {
    const char *path = mg_path(arena, "%s/run.lock", r->folder);
    r->lock          = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) return MG_OK;
    return errno == EWOULDBLOCK
               ? mg_fail(MG_BUSY, "%s: another process is using this run", r->folder)
               : mg_fail(MG_IO, "lock %s: %s", path, strerror(errno));
}

// What mg_run_open makes before there is a store: a run that died that early may begin again. Without a lock the
// last two, settings, are somebody's.
static bool of_a_beginning(const char *name, bool locked) {
    static const char *const names[] = {".", "..", "checkpoints", "run.lock", "run.yaml", "run.yaml.tmp"};
    const size_t             n       = sizeof names / sizeof *names - (locked ? 0 : 2);
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static bool has(const char *folder, const char *name, mg_arena *arena) {
    return mg_file_exists(mg_path(arena, "%s/%s", folder, name));
}

// A folder without a run is somebody's, unless it is empty.
static mg_err check_free(const char *folder, mg_arena *arena) {
    const bool locked = has(folder, "run.lock", arena);
    char found[256] = ""; // NAME_MAX and its end
    DIR *d          = opendir(folder);
    if (!d && errno == ENOENT) return MG_OK;
    if (!d && errno == ENOTDIR)
        return mg_fail(MG_CONFIG, "%s: found a file there or on the way, wanted a folder to make; --out names another",
                       folder);
    if (!d) return mg_fail(MG_IO, "open %s: %s", folder, strerror(errno));
    for (struct dirent *e; !found[0] && (e = readdir(d));)
        if (!of_a_beginning(e->d_name, locked)) snprintf(found, sizeof found, "%s", e->d_name);
    closedir(d);
    if (!found[0]) return MG_OK;
    return mg_fail(MG_BUSY, "%s: found '%s' in it and no run, wanted an empty folder or none; --out names another",
                   folder, found);
}

mg_err mg_run_check(const char *folder, bool resume, mg_arena *arena) {
    const bool there = has(folder, "run.db", arena);
    const bool died  = has(folder, "run.lock", arena) && has(folder, "run.yaml", arena); // before there was a record
    if (resume && !there && !died) return mg_fail(MG_IO, "%s: there is no run to resume", folder);
    if (!resume && there)
        return mg_fail(MG_BUSY, "%s: holds a run already; --out names another", folder);
    // Its checkpoints would be taken for those of the new run.
    if (!there && mg_checkpoint_newest(folder, arena) > 0)
        return mg_fail(MG_BUSY, "%s: holds checkpoints of a run; --out names another folder", folder);
    return there ? MG_OK : check_free(folder, arena);
}

mg_err mg_run_open(mg_run *r, const char *folder, bool resume, const char *identity, const char *settings,
                   mg_arena *arena) {
    *r         = (mg_run){.folder = folder, .lock = -1};
    mg_err err = mg_run_check(folder, resume, arena);
    if (!err) err = mg_folder_make(mg_path(arena, "%s/checkpoints", folder));
    if (!err) err = take_lock(r, arena);
    if (!err) err = mg_run_check(folder, resume, arena); // somebody may have been quicker
    if (!err) err = mg_file_write(mg_path(arena, "%s/run.yaml", folder), settings, strlen(settings));
    if (!err) err = mg_store_open(&r->store, mg_path(arena, "%s/run.db", folder));
    // A checkpoint is synchronised when it is written: the updates behind it must not be less safe.
    if (!err) err = mg_store_durable(r->store, true);
    if (!err && resume) r->updates_done = mg_checkpoint_newest(folder, arena);
    if (!err) err = mg_store_life(r->store, r->updates_done, identity);
    if (!err) err = mg_store_note(r->store, "config", settings);
    if (err) mg_run_close(r);
    return err;
}

void mg_run_close(mg_run *r) {
    mg_store_close(r->store);
    if (r->lock >= 0) close(r->lock);
    *r = (mg_run){.lock = -1};
}
