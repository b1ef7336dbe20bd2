// robots.h - hopper, half-cheetah, walker2d and ant: vectors in, torques out.
//
// Gymnasium's published definitions, version 4 and version 5, on MuJoCo and on Gymnasium's own MJCF files.
// With the same library, the same initial state and the same actions, given as float64, observations,
// rewards and ends equal Gymnasium's bit for bit (robots_test, robots_peer_test). It differs in two things:
// a start is drawn from our generator, so the same seed starts elsewhere, and an episode whose physics
// blew up is an error here.
//
//   mg_value        float32, rounded from mg_robot_state.observation, which is what Gymnasium shows
//   terminated      fallen (never on half-cheetah); truncated by the loop after 1000 steps
//   action          each number in [-1, 1] drives its motor; beyond, the motor does no more but the cost
//                   does, as in Gymnasium; beyond MG_ROBOT_ACTION_MAX it is refused
//   blow-up         a number that is not finite, more than MG_ROBOT_SPEED_MAX, or a warning of MuJoCo,
//                   which then has reset its state: MG_NUMERIC and fault "E.step", never a reward; and over
//
// Shifts: mass scales every body's mass and inertia; friction the sliding coefficient of every geom
// (MuJoCo takes the larger one of a contact's two, so every contact's is scaled); gravity opt.gravity;
// action_delay lets an action act, and cost, that many steps later, with zeros before.
//
// A world is shared and read-only, an environment has an mjData of its own: any number of environments
// of one world may step in as many threads.
#ifndef MG_WORLDS_ROBOTS_H
#define MG_WORLDS_ROBOTS_H
#include "env/env.h"
#include "worlds/mujoco.h"
#include "worlds/shift.h"

#define MG_ROBOT_STEPS           1000
#define MG_ROBOT_OBSERVATION_MAX 105 // of any of them
#define MG_ROBOT_ACTION_N_MAX    8
#define MG_ROBOT_STATE_MAX       16 // positions, or speeds
#define MG_ROBOT_ACTION_MAX      100.0  // of each number of an action
#define MG_ROBOT_SPEED_MAX       1000.0 // m/s, forward or back

typedef struct mg_robot_kind mg_robot_kind; // a row of robots_table.h

// mg_env.world of these classes.
typedef struct mg_robot_world {
    mg_mujoco            mujoco;
    const mg_robot_kind *kind;
    mg_shift             shift;
    struct mjModel_     *model;
    char                 manifest[1024];
} mg_robot_world;

// mg_env.state: where the physics is, then plain bytes.
typedef struct mg_robot_state {
    struct mjData_ *data;
    double          observation[MG_ROBOT_OBSERVATION_MAX]; // of Gymnasium, float64
    double          reward;                                // of the last step
    double          x;                                     // m; where the robot stands, as its reward reads it
    float           seen[MG_ROBOT_OBSERVATION_MAX];        // the observation, rounded
    float           chosen[MG_ROBOT_ACTION_N_MAX];         // the last action
    float           queue[MG_ACTION_DELAY_MAX * MG_ROBOT_ACTION_N_MAX]; // still to act, the oldest first
    int64_t         steps, over; // of this episode; over 1: terminated, or never begun
} mg_robot_state;

// The class of a robot, also before a world is opened, and where there is no MuJoCo; NULL: no such robot or
// version.
const mg_env_class *mg_robot_class(const char *name, int version);

// name: hopper, half-cheetah, walker2d or ant; version: 4 or 5; shift NULL: as published; folder as in
// mujoco.h. Errors, naming what was found and wanted: MG_CONFIG (no such robot or version, a shift out of
// range), MG_IO (its MJCF file), and those of mg_mujoco_open.
mg_err mg_robot_open(mg_robot_world *out, const char *name, int version, const mg_shift *shift,
                     const char *folder) MG_MUST_USE;
void   mg_robot_close(mg_robot_world *w); // zeroed: no effect; after its environments

// How many positions and speeds its model has.
void mg_robot_sizes(const mg_robot_world *w, int64_t *nq, int64_t *nv);

// Positions and speeds as they are, into room for at most MG_ROBOT_STATE_MAX each.
void mg_robot_where(const mg_env *e, double *qpos, double *qvel);

// Errors of the class: MG_CONFIG (an action with a number that is not finite or too large, a step after
// the end or a blow-up, a prefix), MG_NUMERIC (blown up), MG_NOMEM, MG_CORRUPT (a snapshot of another size).
// Scripts: random, evenly in [-1, 1]; zero.

// Begins an episode at these positions and speeds instead of a drawn start. Error: MG_CONFIG (n_qpos and
// n_qvel are not the model's).
mg_err mg_robot_place(mg_env *e, const double *qpos, int64_t n_qpos, const double *qvel, int64_t n_qvel,
                      mg_value *observation) MG_MUST_USE;
#endif
