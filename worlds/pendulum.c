// pendulum.c - the equation of motion, one step of 50 ms, and the swing-up by energy.
#include "worlds/pendulum.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "worlds/clip.h"

// Names and values of Gymnasium's gymnasium/envs/classic_control/pendulum.py.
static const double max_speed = 8, max_torque = 2, dt = 0.05, g = 10, m = 1, l = 1, pi = 3.14159265358979323846;

static const mg_shift *shift_of(const mg_env *e) {
    static const mg_shift none = {.mass = 1, .friction = 1, .gravity = 1};
    return e->world ? e->world : &none;
}

static mg_value observe(mg_pendulum_state *s) {
    s->seen[0] = (float)cos(s->theta);
    s->seen[1] = (float)sin(s->theta);
    s->seen[2] = (float)s->theta_dot;
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = s->seen};
}

static mg_err open(mg_env *e) {
    ((mg_pendulum_state *)e->state)->steps = -1; // until a reset
    return MG_OK;
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    mg_pendulum_state *s   = e->state;
    mg_rng             rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
    if (options->prefix) return mg_fail(MG_CONFIG, "pendulum: a prefix, and there is no text");
    *s = (mg_pendulum_state){0};
    s->theta     = pi * (2 * mg_rng_uniform(&rng) - 1);
    s->theta_dot = 2 * mg_rng_uniform(&rng) - 1;
    *observation = observe(s);
    return MG_OK;
}

// Into [-pi, pi), by a remainder with the divisor's sign.
static double angle_normalize(double x) {
    double r = fmod(x + pi, 2 * pi);
    if (r < 0) r += 2 * pi;
    return r - pi;
}

// Moves, and returns what the state and torque before the move cost.
static double move(mg_pendulum_state *s, double u, const mg_shift *shift) {
    const double angle = angle_normalize(s->theta), speed = s->theta_dot;
    const double mass = m * shift->mass, gravity = g * shift->gravity;
    const double costs = angle * angle + 0.1 * (speed * speed) + 0.001 * (u * u);
    s->theta_dot =
        mg_clip(speed + (3 * gravity / (2 * l) * sin(s->theta) + 3.0 / (mass * (l * l)) * u) * dt, max_speed);
    s->theta += s->theta_dot * dt;
    return costs;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    mg_pendulum_state *s     = e->state;
    const mg_shift    *shift = shift_of(e);
    float              acts;
    MG_ASSERT(action->kind == MG_SPACE_VECTOR);
    if (s->steps < 0) return mg_fail(MG_CONFIG, "pendulum: no episode has begun, reset it first");
    if (!isfinite(action->vector[0]))
        return mg_fail(MG_CONFIG, "pendulum: action[0]: found %g, wanted a finite number", action->vector[0]);
    s->torque = action->vector[0]; // also where no script chose it: equal states are equal bytes
    mg_shift_delay(s->queue, shift->action_delay, 1, action->vector, &acts);
    const double costs = move(s, mg_clip(acts, max_torque), shift);
    s->steps++;
    *out = (mg_transition){.observation = observe(s),
                           .reward      = mg_reward_of(-costs),
                           .evidence    = {.action = "torque", .arguments = "{}"}};
    return MG_OK;
}

// A step costs at most pi^2 + 0.1 * 8^2 + 0.001 * 2^2 = 16.2736045, and there are 200.
static const char *manifest(const mg_env *e) {
    (void)e;
    return "{\"name\":\"pendulum\",\"version\":\"1\",\"determinism\":\"seeded\","
           "\"reward\":{\"min\":-3254.7209,\"max\":0},\"actions\":["
           "{\"name\":\"torque\",\"schema\":{\"type\":\"object\",\"additionalProperties\":false},"
           "\"effect\":\"mutating\"}]}";
}

static mg_err snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    *n     = sizeof(mg_pendulum_state);
    *bytes = mg_arena_alloc(arena, *n);
    memcpy(*bytes, e->state, *n);
    return MG_OK;
}

static mg_err restore(mg_env *e, const void *bytes, size_t n, mg_value *observation) {
    if (n != sizeof(mg_pendulum_state))
        return mg_fail(MG_CORRUPT, "pendulum: a snapshot of %zu bytes, wanted %zu", n, sizeof(mg_pendulum_state));
    memcpy(e->state, bytes, n);
    *observation = observe(e->state);
    return MG_OK;
}

// ---- scripts

static mg_err choose(const mg_env *e, double torque, mg_value *action) {
    mg_pendulum_state *s = e->state;
    s->torque            = (float)mg_clip(torque, max_torque);
    *action              = (mg_value){.kind = MG_SPACE_VECTOR, .vector = &s->torque};
    return MG_OK;
}

// Astrom & Furuta 2000, "Swinging up a pendulum by energy control": push with the speed while the energy
// lacks, against it while there is too much. Energies per moment of inertia; upright at rest has 15.
// Near the top a linear controller holds; its gains found by hand.
static mg_err oracle(const mg_env *e, mg_rng *rng, mg_value *action) {
    const mg_pendulum_state *s = e->state;
    (void)rng;
    const double angle = angle_normalize(s->theta), speed = s->theta_dot, top = 3 * g / (2 * l);
    const double lacks = top - (top * cos(angle) + speed * speed / 2);
    const double holds = -(10 * angle + 2.5 * speed);
    if (fabs(holds) < 4 && fabs(angle) < 0.6) return choose(e, holds, action);
    return choose(e, copysign(max_torque, speed) * mg_clip(lacks, 1), action);
}

static mg_err random_torque(const mg_env *e, mg_rng *rng, mg_value *action) {
    return choose(e, max_torque * (2 * mg_rng_uniform(rng) - 1), action);
}

static mg_err zero(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)rng;
    return choose(e, 0, action);
}

static const mg_script scripts[] = {
    {"oracle", "swings up by energy, holds by a linear controller", oracle},
    {"random", "evenly in [-2, 2]", random_torque},
    {"zero", "lets it swing", zero},
    {0},
};

const mg_env_class mg_pendulum_class = {
    .name        = "pendulum",
    .summary     = "swing a pole up with a weak motor; Gymnasium's Pendulum-v1",
    .observation = {.kind = MG_SPACE_VECTOR, .n = 3, .low = -8, .high = 8},
    .action      = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -2, .high = 2},
    .state_size  = sizeof(mg_pendulum_state),
    .steps_max   = MG_PENDULUM_STEPS,
    .open        = open,
    .reset       = reset,
    .step        = step,
    .manifest    = manifest,
    .snapshot    = snapshot,
    .restore     = restore,
    .scripts     = scripts,
};
