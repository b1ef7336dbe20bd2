// reproduce_drpo_map.h - the map of where resets help: squares, their picture, and what they come to in words.
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
    double gain, low, high;  // resets minus PPO; of one seed no interval: low and high are NAN
    double start, ppo;       // chance to open the lock, of the starting policy and of PPO: means
    int    opened, ppo_opened, ppo_fell; // seeds: opened with resets, by PPO; PPO ended below its start
} mg_map_square;

#define MG_MAP_SMALL  0.05 // a gain that is no larger is none
#define MG_MAP_OPENED 0.5  // chance from which on a lock counts as opened

// By the whole interval: beyond MG_MAP_SMALL on one side, or within it on both, or else OPEN, as of one seed.
typedef enum mg_map_verdict { MG_MAP_AHEAD, MG_MAP_BEHIND, MG_MAP_WITHIN, MG_MAP_OPEN, MG_MAP_VERDICTS } mg_map_verdict;
mg_map_verdict mg_map_verdict_of(const mg_map_square *s);

int mg_map_seeds(const mg_map_square *squares, int n); // most that a square has

// A picture for a page, light or dark as the reader's is. Errors: MG_NOMEM, MG_IO.
mg_err mg_map_draw(const char *path, const mg_map_square *squares, int n) MG_MUST_USE;

// What the gain goes with: a table of reward, chance and coverage, whether PPO fell below its start where gains are
// large, and each lock with a large gain or loss. Squares of one seed are left out.
void mg_map_tell(FILE *text, const mg_map_square *squares, int n);
#endif
