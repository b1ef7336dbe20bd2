// run.h - a run is a folder: run.yaml, run.db, checkpoints/, model/, events.*, report.html.
//
// One process at a time: run.lock is held (flock) while a run is open, and let go by the kernel when
// the process dies however it dies.
#ifndef MG_TRAIN_RUN_H
#define MG_TRAIN_RUN_H
#include "algos/algo.h"
#include "harness/gate.h"
#include "store/store.h"

typedef struct mg_run {
    const char *folder; // borrowed
    mg_store   *store;  // owned
    int         lock;   // file descriptor; -1: none
    int64_t     updates_done; // of the newest checkpoint; 0: none
} mg_run;

// May a run begin (resume false) or go on (true) in this folder? Makes nothing. One that died before it had a record,
// but not before run.yaml, may do either: it starts over. Errors: MG_BUSY when there is one already, of which nothing
// is overwritten, or when something else lies there; MG_CONFIG where a file is in the way; MG_IO when there is none to
// go on with, or the folder cannot be looked into.
mg_err mg_run_check(const char *folder, bool resume, mg_arena *arena) MG_MUST_USE;

// Makes or opens the folder. Errors: those of the check; MG_BUSY when another process has the run.
// `identity`: what must be equal for two runs to have equal heads (store.h). `settings` become run.yaml, before there
// is a record, and its note "config".
mg_err mg_run_open(mg_run *r, const char *folder, bool resume, const char *identity, const char *settings,
                   mg_arena *arena) MG_MUST_USE;
void   mg_run_close(mg_run *r);

// Plain bytes that are kept in a file of their own, behind their size and hash: of this build.
typedef struct mg_plain {
    const char *file; // such as "gate.bin"
    void       *bytes;
    size_t      size;
} mg_plain;

// What a run is at one moment: the learner's parts, and bytes. All borrowed.
typedef struct mg_snapshot {
    mg_part  parts[MG_PARTS_MAX];
    int      n_parts;
    mg_plain plain[4];
    int      n_plain;
} mg_snapshot;

// A folder: per part a model folder (the policy at the top, others below) with optimiser.safetensors, and the
// bytes' files; written beside the place and renamed into it, so that it is whole or as it was. `origin`: as
// mg_model_save. Error: MG_IO.
mg_err mg_snapshot_save(const mg_snapshot *s, const char *path, const char *origin, mg_arena *scratch) MG_MUST_USE;
// Puts it back; after an error parts and bytes are spoilt. Errors: MG_IO, MG_CORRUPT, MG_MISMATCH.
mg_err mg_snapshot_load(const mg_snapshot *s, const char *path, mg_arena *scratch) MG_MUST_USE;

// checkpoints/NNNNNN/ of a run. Older ones beyond `kept` are removed after. Error: MG_IO; older checkpoints survive.
mg_err mg_checkpoint_save(mg_run *r, int64_t updates_done, const mg_snapshot *s, int64_t kept, const char *origin,
                          mg_arena *scratch) MG_MUST_USE;

// Updates behind the newest whole checkpoint of a run's folder; 0: none. Files and folders that are
// not named like a checkpoint are neither looked at nor removed.
int64_t mg_checkpoint_newest(const char *folder, mg_arena *scratch);

// The newest checkpoint (r->updates_done > 0) put back. Errors: as mg_snapshot_load.
mg_err mg_checkpoint_load(const mg_run *r, const mg_snapshot *s, mg_arena *scratch) MG_MUST_USE;

// guard/good/NNNNNN/ of a run: what a rollback goes back to, behind that many updates (0: before the first); and
// guard/best/NNNNNN/: what it may end with. Each is written in rising order in a life. Older ones are kept only as far
// as a checkpoint's guard would go back to them, so that a life which goes on from any of the checkpoints finds what it
// found the first time. Errors: as above.
#define MG_KEPT_GOOD "guard/good"
#define MG_KEPT_BEST "guard/best"
mg_err mg_kept_save(const mg_run *r, const char *kept, int64_t updates, const mg_snapshot *s, const char *origin,
                    mg_arena *scratch) MG_MUST_USE;
mg_err mg_kept_load(const mg_run *r, const char *kept, int64_t updates, const mg_snapshot *s,
                    mg_arena *scratch) MG_MUST_USE;

// Puts the folder `fresh` where `path` is, or is to be; what was there is removed. Error: MG_IO.
mg_err mg_folder_replace(const char *fresh, const char *path) MG_MUST_USE;
#endif
