// replay.h - a replay buffer: a ring of transitions in one memory-mapped file that survives a kill.
//
// Rows are numbered from 0 in the order in which they were added, for ever. Sampled are the last
// `capacity` of them, the window [low, rows). The file has room for `margin` rows more: a run that was
// killed goes on from its last checkpoint, which names a row count, and everything that was in the
// window then must still be there. So margin is the largest number of rows between two checkpoints.
// The rewound run adds the same rows again, and its file is that of a run that was never killed.
//
// Each row has the head of a chain of SHA-256 beside it, so that a head stands for every row before it:
//
//   h_0 = H("mg replay 1" | obs | act)      h_{k+1} = H(h_k | row k)
//
// (obs, act: 8 bytes each; a row: observation, action, reward, next, terminal as a number; all
// little-endian, 4 bytes a number.) It is the hash in the ledger (chain.h, mg_fed_replay).
//
// What a kill leaves is what was added: the pages are the kernel's. Against a loss of power, call
// mg_replay_sync before a checkpoint is published. The file's blocks are reserved when it is made, so a
// disk that fills up later does not end the process.
// Threads: one at a time; one process per file.
#ifndef MG_STORE_REPLAY_H
#define MG_STORE_REPLAY_H
#include "store/chain.h"
#include "store/transitions.h"

#define MG_REPLAY_ROWS_MAX  ((int64_t)1 << 32) // capacity + margin
#define MG_REPLAY_WIDTH_MAX 65536              // numbers of an observation, of an action

typedef struct mg_replay mg_replay;

typedef struct mg_replay_shape {
    int64_t obs, act;         // numbers of an observation, of an action
    int64_t capacity, margin; // rows in the window; rows that may come between two checkpoints
} mg_replay_shape;

// Opens the file, or makes it empty. On success owned by the caller, ended by mg_replay_close.
// Errors: MG_IO (with the system's reason, such as "No space left on device"; nothing is left behind),
// MG_NOMEM, MG_LIMIT, MG_CORRUPT (not a replay buffer's file, another version, cut off),
// MG_MISMATCH (another shape), MG_BUSY (open in another process).
mg_err mg_replay_open(mg_replay **out, const char *path, const mg_replay_shape *shape) MG_MUST_USE;
void   mg_replay_close(mg_replay *r); // NULL: no effect

// The shape of a file that is there. Errors: MG_IO, MG_CORRUPT.
mg_err mg_replay_shape_read(const char *path, mg_replay_shape *out) MG_MUST_USE;

int64_t mg_replay_rows(const mg_replay *r); // ever added
int64_t mg_replay_low(const mg_replay *r);  // first row of the window: max(0, rows - capacity)
void    mg_replay_head(const mg_replay *r, uint8_t head[32]); // over all rows ever added

// Goes back to `rows` rows: a checkpoint's. `head`: what mg_replay_head was then; NULL: not compared.
// The chain is computed once more over the window that results.
// Errors, the ring unchanged: MG_MISMATCH (fewer rows are there; another head), MG_LIMIT (more than
// `margin` rows came after it, and have overwritten some of its window), MG_CORRUPT (which row).
mg_err mg_replay_rewind(mg_replay *r, int64_t rows, const uint8_t *head) MG_MUST_USE;

// Appends all rows of t. Errors, nothing added: MG_MISMATCH (sizes), MG_NUMERIC (a number that is
// not finite; a terminal above 1): which row and which field.
mg_err mg_replay_add(mg_replay *r, const mg_transitions *t) MG_MUST_USE;

// Fills all of batch->n rows, uniformly and with replacement: row j is the buffer's row
// low + mg_rng_below(rng, rows - low), drawn in order of j, so that whoever knows the window and the
// stream knows the rows. rows > 0 and equal sizes. One row is copied from 1 to 3 cache lines in a row
// for robots' sizes.
void mg_replay_sample(const mg_replay *r, mg_rng *rng, mg_transitions *batch);

// Copies rows [from, from + out->n) of the window, oldest first. Equal sizes.
void mg_replay_read(const mg_replay *r, int64_t from, mg_transitions *out);

// The window and its hash for the ledger; key: of the stream that samples are drawn from.
mg_fed_replay mg_replay_fed(const mg_replay *r, uint64_t key);

// Computes the chain once more over the window. Error: MG_CORRUPT, naming the first row that is not
// the one that was added.
mg_err mg_replay_verify(const mg_replay *r) MG_MUST_USE;

// Waits until all that was added is on the disk. Error: MG_IO.
mg_err mg_replay_sync(mg_replay *r) MG_MUST_USE;
#endif
