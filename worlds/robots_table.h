// robots_table.h - the four robots, in two versions each, as rows. For robots.c alone, which defines
// MG_ROBOT_CALLS, the functions of their classes.
#ifndef MG_WORLDS_ROBOTS_TABLE_H
#define MG_WORLDS_ROBOTS_TABLE_H
#include <math.h>

#include "worlds/robots.h"

struct mg_robot_kind {
    mg_env_class class;
    int          version;
    const char  *file;            // of assets/
    int          shown, nu, nq, nv; // numbers of observation and action, positions, speeds
    int          frame_skip;      // physics steps for each of ours
    int          hidden;          // first positions that are not shown: where it stands
    bool         clips;           // shows speeds in [-10, 10]
    bool         normal;          // starts with normal speeds, else even ones
    double       noise;           // of the start
    double       cost;            // of an action's sum of squares
    bool         falls;           // has a bonus of 1 for each step, and an end
    bool         bonus_at_end;    // also for the step that ends it
    int          z;               // which position is its height
    double       z_low, z_high;   // it stands between them,
    bool         closed;          // ends included
    double       angle;           // and leans less than this (behind z); 0: is not asked
    double       bound;           // and every position and speed but the first two is below; 0: is not asked
    bool         torso;           // x is the torso's, which MuJoCo moves a physics step late
    bool         contacts;        // shows contact forces, clipped to [-1, 1], and pays for them
};

#define ROBOT(robot, words, n_shown, n_action)                                                                  \
    .class = {.name        = robot,                                                                             \
              .summary     = words,                                                                             \
              .observation = {.kind = MG_SPACE_VECTOR, .n = n_shown, .low = -INFINITY, .high = INFINITY},       \
              .action      = {.kind = MG_SPACE_VECTOR, .n = n_action, .low = -1, .high = 1},                    \
              .state_size  = sizeof(mg_robot_state),                                                            \
              .steps_max   = MG_ROBOT_STEPS,                                                                    \
              MG_ROBOT_CALLS},                                                                                  \
    .shown = n_shown, .nu = n_action
#define HOPPER(v, at_end)                                                                                       \
    {ROBOT("hopper", "one leg hops; Gymnasium's Hopper", 11, 3), .version = v, .file = "hopper.xml", .nq = 6,   \
     .nv = 6, .frame_skip = 4, .hidden = 1, .clips = true, .noise = 5e-3, .cost = 1e-3, .falls = true,          \
     .bonus_at_end = at_end, .z = 1, .z_low = 0.7, .z_high = INFINITY, .angle = 0.2, .bound = 100}
#define CHEETAH(v)                                                                                              \
    {ROBOT("half-cheetah", "two legs run; Gymnasium's HalfCheetah", 17, 6), .version = v,                       \
     .file = "half_cheetah.xml", .nq = 9, .nv = 9, .frame_skip = 5, .hidden = 1, .normal = true, .noise = 0.1,  \
     .cost = 0.1}
#define WALKER(v, at_end, xml)                                                                                  \
    {ROBOT("walker2d", "two legs walk upright; Gymnasium's Walker2d", 17, 6), .version = v, .file = xml,        \
     .nq = 9, .nv = 9, .frame_skip = 4, .hidden = 1, .clips = true, .noise = 5e-3, .cost = 1e-3, .falls = true, \
     .bonus_at_end = at_end, .z = 1, .z_low = 0.8, .z_high = 2.0, .angle = 1}
#define ANT(v, at_end, n_shown, touches)                                                                        \
    {ROBOT("ant", "four legs, in space; Gymnasium's Ant", n_shown, 8), .version = v, .file = "ant.xml",         \
     .nq = 15, .nv = 14, .frame_skip = 5, .hidden = 2, .normal = true, .noise = 0.1, .cost = 0.5,               \
     .falls = true, .bonus_at_end = at_end, .z = 2, .z_low = 0.2, .z_high = 1.0, .closed = true, .torso = true, \
     .contacts = touches}

static const mg_robot_kind table[] = {
    HOPPER(5, false), HOPPER(4, true), CHEETAH(5), CHEETAH(4), WALKER(5, false, "walker2d_v5.xml"),
    WALKER(4, true, "walker2d.xml"), ANT(5, false, 105, true), ANT(4, true, 27, false),
};

static const mg_robot_kind *find(const char *name, int version) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].version == version && strcmp(table[i].class.name, name) == 0) return &table[i];
    return NULL;
}

const mg_env_class *mg_robot_class(const char *name, int version) {
    const mg_robot_kind *k = find(name, version);
    return k ? &k->class : NULL;
}

void mg_robot_sizes(const mg_robot_world *w, int64_t *nq, int64_t *nv) { *nq = w->kind->nq, *nv = w->kind->nv; }
#endif
