// reproduce.h - what the cells of a grid say together.
#ifndef MG_APP_REPRODUCE_H
#define MG_APP_REPRODUCE_H
#include "core/arena.h"

#define MG_REPRODUCE_SEEDS_MAX 5

// Reads folder/cells/ARM-SEED.json, of which any may be missing, and writes folder/results.json, a list
// of {claim, arm, metric, estimate, low, high, n, seeds, decided, command}, and from it
// folder/RESULTS.md. Two kinds of claim, seeds being the unit of both: how an arm's policies do
// against the starting one, and how an arm's numbers differ from those of `baseline` at the same
// seeds. An interval is Student's at 95 % over seeds; one seed has none. decided: it leaves out one
// half, or zero. Errors: MG_EMPTY (no cell yet), MG_CORRUPT, MG_IO, MG_NOMEM.
mg_err mg_reproduce_publish(const char *folder, const char *const *arms, int n_arms,
                            const char *baseline, mg_arena *arena) MG_MUST_USE;
#endif
