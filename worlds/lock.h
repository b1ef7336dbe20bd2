// lock.h - a combination lock written as text: one turn, in which every symbol must be right.
//
// The textbook case of a reward that chance does not find, as in algos/drpo/npg.h, for a language model to
// open. The observation is "open N", the
// action a text whose first N symbols are heard, each one of abcd or wrong; what comes behind them is not.
// Lock N has one combination, drawn once and for all from its number.
//
// Rewards, with the closed action: `graded`, how many symbols are right before the first wrong one, as a
// share of N. `outcome`, 1 for all N; the world's decoy when the first one is wrong (not when nothing was
// said), a small sure pay beside the way to the large one; else 0. `plain`, the same without a decoy.
//
// Tasks: item i is the lock of i + 1 symbols; -1 is drawn by the seed. The answer may come in pieces, and a
// reset with a prefix is the same state as a reset followed by that prefix as an open action, so episodes
// can start inside a reference (Chang et al. 2024, arXiv:2404.08495, section 2).
//
// Threads: one environment per thread; a world may be shared.
#ifndef MG_WORLDS_LOCK_H
#define MG_WORLDS_LOCK_H
#include "core/rng.h"
#include "env/env.h"

#define MG_LOCK_SYMBOLS 4  // abcd
#define MG_LOCK_STEPS   16 // of the longest lock
#define MG_LOCK_DECOY   0.25 // of `outcome`

// mg_env.world of this class; zeroed: graded rewards.
typedef struct mg_lock_world {
    bool   outcome;
    double decoy; // where the outcome is paid
} mg_lock_world;

// A text for lock `item` of which each symbol is right with chance p_right, whatever came before, and else
// one of the three others evenly. With 1 it is the combination, and nothing is drawn.
void mg_lock_text(int64_t item, double p_right, mg_rng *rng, char out[MG_LOCK_STEPS + 1]);

// Errors: MG_CONFIG (no such item; a step after the end).
//
// Scripts: oracle opens every lock; noisy says each symbol right with chance .7.
extern const mg_env_class mg_lock_class;
#endif
