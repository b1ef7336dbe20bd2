// control.h - the loop of single steps: where an off-policy learner meets a world of vectors.
//
//   block:  { episode:  reset, { act, step, learn } ..., verdict } until the block's steps are made
//
// Every call to the world goes through the stage (rollout/stage.h) and every episode through the gate. What was
// seen and done in an episode enters the buffer when the episode has ended CLEAN; where the learner wants it at once,
// behind its step as long as nothing is wrong with the episode so far. Blocks end with an episode, so nothing but
// the learner's parts and bytes, the gate and the buffer's length goes into a checkpoint.
#ifndef MG_TRAIN_CONTROL_H
#define MG_TRAIN_CONTROL_H
#include "algos/algo.h"
#include "harness/gate.h"
#include "rollout/collect.h"
#include "store/chain.h"
#include "store/replay.h"

// Episodes in a row that may end before their first step: a world that cannot be reset is not waited for.
#define MG_CONTROL_STILLBORN_MAX 100

typedef struct mg_control { // all borrowed but the buffer
    const mg_algo    *algo;
    mg_learner       *learner;
    const mg_rollout *rollout;
    mg_gate          *gate;
    mg_replay        *replay; // owned
    int64_t           kept;   // its rows at the last checkpoint
    mg_fed_replay     drawn;  // of the block so far; high 0: nothing
} mg_control;

// Opens the buffer of the run's folder, with the rows that the learner's bytes say; it reserves what the run can ever
// use, and a run that never acts in the world has none. Errors: MG_IO, MG_CORRUPT, MG_MISMATCH, MG_LIMIT.
mg_err mg_control_open(mg_control *c, const char *folder, mg_arena *arena) MG_MUST_USE;
// Is the buffer there that a run with checkpoints goes on with? c needs no more than the algorithm, the learner and the
// world's class. Error: MG_IO.
mg_err mg_control_check(const mg_control *c, const char *folder, mg_arena *arena) MG_MUST_USE;
void   mg_control_close(mg_control *c);

// Plays the update's episodes. Draws of the world are keyed as those of other rollouts, by (update, episode,
// attempt). All of it lies on `arena`, which the learner uses too. A gate that stops ends the block at once.
// Errors: those of the learner; MG_EMPTY (MG_CONTROL_STILLBORN_MAX).
mg_err mg_control_block(mg_control *c, int64_t update, mg_arena *arena, mg_collected *out) MG_MUST_USE;

// The buffer holds so many rows beside its capacity that it can go back to its last mark. Full: a block more might
// be too many, so that a checkpoint is due whatever the settings say. Never, where all that can come has room.
bool mg_control_full(const mg_control *c); // without a buffer: false
// Marks how far the buffer is in the learner's bytes; it is on the disk when this returns. Error: MG_IO.
mg_err mg_control_mark(mg_control *c) MG_MUST_USE;

// What the last block's gradient steps may have drawn from the buffer, as the ledger has it: the rows from the first of
// the window at its first gradient step to the last of the window at its last, the chain's head there, the key of the
// first one's stream. What the block added behind its last gradient step is not among them. False: nothing.
bool mg_control_fed(const mg_control *c, mg_fed_replay *out);

// Plays the policy without exploring, on the same seeds at every look, outside record and gate: return,
// return_deviation and return_length over the episodes that went well, look_faults where some did not.
// Errors: those of acting; MG_UNFIT when none went well.
mg_err mg_control_look(const mg_control *c, int64_t looks, mg_arena *scratch, mg_metrics *m) MG_MUST_USE;
#endif
