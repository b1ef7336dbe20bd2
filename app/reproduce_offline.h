// reproduce_offline.h - the grid offline-online: from a policy of logged data to one of the world.
#ifndef MG_APP_REPRODUCE_OFFLINE_H
#define MG_APP_REPRODUCE_OFFLINE_H
#include "app/app.h"
#include "app/reproduce.h"

#define MG_OFFLINE_MORE 5 // settings of an arm's own
#define MG_OFFLINE_LOOKS_MAX 1000

// An arm as a configuration: TD3-BC on `set` of `world`, then `algo` in the world.
typedef struct mg_offline_arm {
    const char *world, *set; // set: a level of `collect`
    const char *algo;        // NULL: nothing behind the data
    mg_override more[MG_OFFLINE_MORE + 1]; // of the run in the world; keys without a dot are the algorithm's
} mg_offline_arm;

// A fine-tuning as its looks show it: returns without noise, the first behind `every` steps.
typedef struct mg_offline_curve {
    double  start, random; // J_0, of the pre-trained policy; J_random, of actions drawn evenly
    int64_t n, every;      // looks; steps between two
    double  at[MG_OFFLINE_LOOKS_MAX];
} mg_offline_curve;

// What is said of a curve; NAN where it cannot be. The measures are ours: the paper's are not public.
typedef struct mg_offline_score {
    double dip;      // D = (J_0 - min J_t) / (J_0 - J_random); NAN where the start is no better than random
    double event;    // 1: D beyond .5 at two looks in a row
    double recovery; // steps at the first of three looks in a row at J_0 or better; NAN: none
    double area;     // mean of the looks
    double final;    // the last look
    double share;    // (final - J_random) / (J_0 - J_random)
    double slope;    // return gained per 1,000 steps in the first fifth, least squares, J_0 included
} mg_offline_score;

void mg_offline_judge(const mg_offline_curve *c, mg_offline_score *out);

// One cell: what is shared by a seed's arms is made if it is missing, in c->runs.
mg_err mg_offline_run(mg_cells *c, const mg_offline_arm *a, const char *name, int seed, json_t **result) MG_MUST_USE;

// One line of a picture: mean over seeds.
typedef struct mg_offline_line {
    const char *name;
    int64_t     n;
    double      step[MG_OFFLINE_LOOKS_MAX], mean[MG_OFFLINE_LOOKS_MAX];
} mg_offline_line;

// A picture of up to 8 learning curves, light or dark as the reader's is. Errors: MG_NOMEM, MG_IO.
mg_err mg_offline_draw(const char *path, const char *title, const mg_offline_line *lines, int n) MG_MUST_USE;

// A claim of the paper in one place, and what the cells make of it.
typedef enum mg_offline_verdict { MG_OFFLINE_OPEN, MG_OFFLINE_HOLDS, MG_OFFLINE_FAILS } mg_offline_verdict;

// The interval of one part of a claim beyond or below its bound: each part must hold, and one that fails is enough.
mg_offline_verdict mg_offline_part(double low, double high, double bound, bool above);

// The claims C1 to C6 in words, from the cells in `folder`. Errors: MG_CORRUPT, MG_IO.
mg_err mg_offline_tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) MG_MUST_USE;
#endif
