// run.c - opening a run's folder.
#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/file.h"

// The newest whole checkpoint: folders named by six digits or more.
static int64_t newest_checkpoint(const char *folder, mg_arena *arena) {
    int64_t        newest = 0;
    DIR           *d      = opendir(mg_path(arena, "%s/checkpoints", folder));
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        char         *end;
        const int64_t n = strtoll(entry->d_name, &end, 10);
        if (*end == 0 && end - entry->d_name >= 6 && n > newest) newest = n;
    }
    if (d) closedir(d);
    return newest;
}

static mg_err take_lock(mg_run *r, mg_arena *arena) {
    const char *path = mg_path(arena, "%s/run.lock", r->folder);
    r->lock          = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) return MG_OK;
    return errno == EWOULDBLOCK
               ? mg_fail(MG_BUSY, "%s: another process is using this run", r->folder)
               : mg_fail(MG_IO, "lock %s: %s", path, strerror(errno));
}

mg_err mg_run_open(mg_run *r, const char *folder, bool resume, mg_arena *arena) {
    *r                   = (mg_run){.folder = folder, .lock = -1};
    const char *database = mg_path(arena, "%s/run.db", folder);
    mg_err      err      = MG_OK;
    if (resume && !mg_file_exists(database))
        err = mg_fail(MG_IO, "%s: there is no run to resume", folder);
    if (!err) err = mg_folder_make(mg_path(arena, "%s/checkpoints", folder));
    if (!err) err = take_lock(r, arena);
    if (!err && !resume && mg_file_exists(database))
        err = mg_fail(MG_BUSY, "%s: holds a run already; --resume goes on with it, --out names another",
                      folder);
    if (!err) err = mg_store_open(&r->store, database);
    if (!err && resume) r->updates_done = newest_checkpoint(folder, arena);
    if (err) mg_run_close(r);
    return err;
}

void mg_run_close(mg_run *r) {
    mg_store_close(r->store);
    if (r->lock >= 0) close(r->lock);
    *r = (mg_run){.lock = -1};
}
