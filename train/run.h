// run.h - a run is a folder: run.yaml, run.db, checkpoints/, model/, events.*, report.html.
//
// One process at a time: run.lock is held (flock) while a run is open, and let go by the kernel when
// the process dies however it dies.
#ifndef MG_TRAIN_RUN_H
#define MG_TRAIN_RUN_H
#include "algos/algo.h"
#include "store/store.h"

typedef struct mg_run {
    const char *folder; // borrowed
    mg_store   *store;  // owned
    int         lock;   // file descriptor
    int64_t     updates_done; // of the newest checkpoint; 0: none
} mg_run;

// resume false: makes the folder; MG_BUSY when there is a run in it already (nothing is overwritten).
// resume true: opens it; MG_IO when there is none. Either: MG_BUSY when another process has it.
mg_err mg_run_open(mg_run *r, const char *folder, bool resume, mg_arena *arena) MG_MUST_USE;
void   mg_run_close(mg_run *r);

// checkpoints/NNNNNN/: per part a model folder (the policy at the top, others below) with
// optimiser.safetensors, written beside the place and renamed into it, so that a checkpoint is whole
// or absent. Older ones beyond `kept` are removed after. Error: MG_IO; older checkpoints survive.
mg_err mg_checkpoint_save(mg_run *r, int64_t updates_done, const mg_part *parts, int n, int64_t kept,
                          const char *origin, mg_arena *scratch) MG_MUST_USE;

// Restores the parts from the newest checkpoint (r->updates_done > 0).
// Errors: MG_IO, MG_CORRUPT, MG_MISMATCH.
mg_err mg_checkpoint_load(const mg_run *r, const mg_part *parts, int n, mg_arena *scratch) MG_MUST_USE;
#endif
