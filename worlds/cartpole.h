// cartpole.h - a pole on a cart, the control world: vectors in, one of two pushes out.
//
// Barto, Sutton & Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning control
// problems"; the equations of motion as corrected by Florian 2007, "Correct equations for the dynamics of
// the cart-pole system", without friction; constants, Euler step and limits as in Gymnasium's published
// CartPole-v1. It differs from that in one thing: the start, four numbers evenly in [-0.05, 0.05), is
// drawn from our generator, so the same seed starts elsewhere.
//
// Reward 1 for every step, the last one too; terminated beyond 12 degrees or 2.4 m, truncated by the
// loop after 500 steps. There are no tasks: the seed decides, whatever the item.
#ifndef MG_WORLDS_CARTPOLE_H
#define MG_WORLDS_CARTPOLE_H
#include "env/env.h"

#define MG_CARTPOLE_STEPS 500

// mg_env.state of this class; mg_env.world is not read.
typedef struct mg_cartpole_state {
    double  x, x_dot;         // m, m/s
    double  theta, theta_dot; // rad from upright, rad/s
    float   seen[4];          // the observation: these four, rounded
    int64_t steps, over;      // over 1: terminated, or never begun
} mg_cartpole_state;

// Errors: MG_CONFIG (an action but 0 left and 1 right, a step after the end, a prefix), MG_CORRUPT (a
// snapshot of another size).
//
// Scripts: oracle, a linear controller that stands for all 500 steps; random; left, which falls soon.
extern const mg_env_class mg_cartpole_class;
#endif
