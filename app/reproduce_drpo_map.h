// reproduce_drpo_map.h - the map of where resets help: squares, their picture, and what explains them.
#ifndef MG_APP_REPRODUCE_DRPO_MAP_H
#define MG_APP_REPRODUCE_DRPO_MAP_H
#include <stdbool.h>
#include <stdio.h>

#include "core/arena.h"

typedef enum mg_map_axis {
    MG_MAP_REWARD,
    MG_MAP_PRIOR,
    MG_MAP_STEPS,
    MG_MAP_COVERAGE,
    MG_MAP_CHANCE, // follows from prior and steps: p to the power of steps
    MG_MAP_AXES
} mg_map_axis;

#define MG_MAP_VALUES_MAX 4
#define MG_MAP_SQUARES    (3 * 3 * 4 * 3)

extern const struct mg_map_scale {
    const char *name; // of the axis, before its value
    int         n;
    const char *value[MG_MAP_VALUES_MAX];
} mg_map_scale[MG_MAP_AXES];

typedef struct mg_map_square {
    int    at[MG_MAP_AXES];  // indices of values
    int    seeds;            // 0: nothing is known, and the rest is not read
    double gain, low, high;  // of one seed no interval: low and high are NAN
    bool   decided;          // the interval leaves out 0
} mg_map_square;

// A picture for a page, light or dark as the reader's is. Errors: MG_NOMEM, MG_IO.
mg_err mg_map_draw(const char *path, const mg_map_square *squares, int n) MG_MUST_USE;

// What decides the gain: the squares split by the axis that explains most of how their gains vary (the sum of
// squares between its values), then each part by the axis that does so there, as a nested list. To `levels`
// splits, and no further than an axis explains a twentieth of how all gains vary.
void mg_map_explain(FILE *text, const mg_map_square *squares, int n, int levels);
#endif
