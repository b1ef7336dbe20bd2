// pendulum.h - a pole on a motor too weak to lift it at once: vectors in, a torque out.
//
// Equations, constants, the semi-implicit Euler step and the reward as in Gymnasium's published
// Pendulum-v1. It differs from that in one thing: the start, an angle evenly in [-pi, pi) and a speed
// evenly in [-1, 1), is drawn from our generator, so the same seed starts elsewhere.
//
// The angle is 0 upright and grows without bound; torque beyond 2 N m acts, and costs, as 2. Reward
// -(angle^2 + 0.1 speed^2 + 0.001 torque^2) of the state before the step, the angle in [-pi, pi).
// Never terminated, truncated by the loop after 200 steps. There are no tasks: the seed decides,
// whatever the item.
#ifndef MG_WORLDS_PENDULUM_H
#define MG_WORLDS_PENDULUM_H
#include "env/env.h"
#include "worlds/shift.h"

#define MG_PENDULUM_STEPS 200

// mg_env.world of this class is a const mg_shift * (friction, of which the joint has none, is not read),
// or NULL: as published.
//
// mg_env.state of this class.
typedef struct mg_pendulum_state {
    double  theta, theta_dot; // rad from upright, rad/s
    float   seen[3];          // the observation: cos theta, sin theta, theta_dot, rounded
    float   torque;           // the last action chosen
    float   queue[MG_ACTION_DELAY_MAX]; // actions that are still to act, the oldest first
    int64_t steps;            // of this episode; -1: not begun
} mg_pendulum_state;

// Errors: MG_CONFIG (a torque that is no finite number, a step before a reset, a prefix), MG_CORRUPT (a
// snapshot of another size).
//
// Scripts: oracle swings up by energy and holds by a linear controller; random, evenly in [-2, 2]; zero.
extern const mg_env_class mg_pendulum_class;
#endif
