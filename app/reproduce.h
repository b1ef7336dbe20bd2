// reproduce.h - published claims as grids of cells (arm, seed) that grow over days and machines.
//
// A cell is one small file, repro/NAME/cells/ARM-SEED.json; results.json and RESULTS.md are written
// from the cells that are there. Beside its numbers a cell holds name, arm, seed, commit, machine, threads,
// and processor_seconds of the process that ended it, over all threads; what an earlier process did for it
// before it was stopped is not in them. A grid asks one or more questions; a question's file names its arms
// and runs their cells.
#ifndef MG_APP_REPRODUCE_H
#define MG_APP_REPRODUCE_H
#include <jansson.h>
#include <stdio.h>

#include "core/arena.h"

#define MG_REPRODUCE_SEEDS_MAX 5

// Where a cell is run. Data and whatever the cells of a machine share lie in `runs`.
typedef struct mg_cells {
    mg_arena    arena;
    const char *folder;     // repro/NAME
    const char *runs;       // runs/reproduce-NAME
    const char *data, *base;
    int64_t     threads;
} mg_cells;

typedef struct mg_arm {
    const char *name, *meaning;
    int         seeds; // 1 to MG_REPRODUCE_SEEDS_MAX
} mg_arm;

// What the cells' numbers are made to say. A number of a cell is {"estimate", "n"} under its metric.
typedef struct mg_claims {
    const char *level_words;              // "against the starting policy": behind an arm's name
    const struct mg_level {
        const char *metric;
        double      null;                 // what the interval must leave out; NAN: nothing is decided
    } *levels;
    int         n_levels;
    const struct mg_contrast {
        const char *arm, *baseline;       // the arm's numbers minus the baseline's, at the same seeds
    } *contrasts;
    int         n_contrasts;
    const char *const *metrics;           // [n_metrics] of the contrasts, against 0
    int         n_metrics;
} mg_claims;

// Writes into RESULTS.md, and beside it into the folder, what rows of results.json come to; `rows` are
// those of the grid so far. Errors: MG_NOMEM, MG_IO.
typedef mg_err mg_tell_fn(const char *folder, const json_t *rows, FILE *text, mg_arena *arena);

// Arms that answer one question together. No two arms of a grid have the same name.
typedef struct mg_question {
    const char   *title;  // of its chapter in RESULTS.md
    const char   *shared; // sentences: what seeds change, and what is the same for all of them
    const mg_arm *arms;  // ended by a NULL name
    // Runs one cell; *result, the caller's, is an object of its numbers, to which what is known of every
    // cell is added.
    mg_err (*run)(mg_cells *c, int arm, int seed, json_t **result);
    mg_claims     claims;
    mg_tell_fn   *tell;   // instead of the table of its rows; NULL: the table
} mg_question;

typedef struct mg_grid {
    const char               *name, *summary;
    const mg_question *const *questions; // ended by NULL
    mg_tell_fn               *tell;      // of all rows, above the chapters; NULL: nothing
} mg_grid;

extern const mg_grid mg_grid_bf16, mg_grid_drpo, mg_grid_gate, mg_grid_offline_online;

// Reads folder/cells/ARM-SEED.json, of which any may be missing, and writes folder/results.json, a list
// of {claim, arm, metric, estimate, low, high, n, seeds, decided, command}, and from it
// folder/RESULTS.md. Seeds are the unit: an interval is Student's at 95 % over seeds; one seed has
// none. Errors: MG_EMPTY (no cell yet), MG_CORRUPT, MG_IO, MG_NOMEM.
mg_err mg_reproduce_publish(const char *folder, const mg_grid *grid, mg_arena *arena) MG_MUST_USE;

// The row of that claim and metric, or NULL.
const json_t *mg_reproduce_row(const json_t *rows, const char *claim, const char *metric);

// *cell, the caller's: that of the arm and seed, or NULL where there is none. Errors: MG_CORRUPT, MG_IO.
mg_err mg_reproduce_cell(const char *folder, const char *arm, int seed, mg_arena *arena,
                         json_t **cell) MG_MUST_USE;

// A cell's number. NAN where the cell, which may be NULL, says nothing.
double mg_reproduce_number(const json_t *cell, const char *metric);
#endif
