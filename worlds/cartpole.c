// cartpole.c - the equations of motion and one Euler step of 20 ms.
#include "worlds/cartpole.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

// Names and values of Gymnasium's gymnasium/envs/classic_control/cartpole.py.
static const double gravity = 9.8, masscart = 1.0, masspole = 0.1, length = 0.5, // half the pole's
    force_mag = 10.0, tau = 0.02, x_threshold = 2.4,
    theta_threshold = 12 * 2 * 3.14159265358979323846 / 360;

static const char *const names[] = {"left", "right"};

static mg_value observe(mg_cartpole_state *s) {
    s->seen[0] = (float)s->x;
    s->seen[1] = (float)s->x_dot;
    s->seen[2] = (float)s->theta;
    s->seen[3] = (float)s->theta_dot;
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = s->seen};
}

static mg_err open(mg_env *e) {
    ((mg_cartpole_state *)e->state)->over = 1; // until a reset
    return MG_OK;
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    mg_cartpole_state *s   = e->state;
    mg_rng             rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
    if (options->prefix) return mg_fail(MG_CONFIG, "cartpole: a prefix, and there is no text");
    *s = (mg_cartpole_state){0};
    s->x         = 0.1 * mg_rng_uniform(&rng) - 0.05;
    s->x_dot     = 0.1 * mg_rng_uniform(&rng) - 0.05;
    s->theta     = 0.1 * mg_rng_uniform(&rng) - 0.05;
    s->theta_dot = 0.1 * mg_rng_uniform(&rng) - 0.05;
    *observation = observe(s);
    return MG_OK;
}

// Florian 2007, equations 23 and 24 without friction, in Gymnasium's arrangement.
static void move(mg_cartpole_state *s, double force) {
    const double total_mass = masscart + masspole, polemass_length = masspole * length;
    const double costheta = cos(s->theta), sintheta = sin(s->theta);
    const double temp =
        (force + polemass_length * s->theta_dot * s->theta_dot * sintheta) / total_mass;
    const double thetaacc =
        (gravity * sintheta - costheta * temp) /
        (length * (4.0 / 3.0 - masspole * costheta * costheta / total_mass));
    const double xacc = temp - polemass_length * thetaacc * costheta / total_mass;
    // Euler: positions move with the speeds from before the push.
    s->x += tau * s->x_dot;
    s->x_dot += tau * xacc;
    s->theta += tau * s->theta_dot;
    s->theta_dot += tau * thetaacc;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    mg_cartpole_state *s = e->state;
    MG_ASSERT(action->kind == MG_SPACE_DISCRETE);
    if (s->over) return mg_fail(MG_CONFIG, "cartpole: the episode is over, reset it first");
    if (action->index != 0 && action->index != 1)
        return mg_fail(MG_CONFIG, "cartpole: action %lld, wanted 0 or 1", (long long)action->index);
    move(s, action->index == 1 ? force_mag : -force_mag);
    s->steps++;
    s->over = fabs(s->x) > x_threshold || fabs(s->theta) > theta_threshold;
    *out    = (mg_transition){.observation = observe(s),
                              .reward      = mg_reward_of(1),
                              .terminated  = s->over,
                              .evidence    = {.action = names[action->index], .arguments = "{}"}};
    return MG_OK;
}

static const char *manifest(const mg_env *e) {
    (void)e;
    return "{\"name\":\"cartpole\",\"version\":\"1\",\"determinism\":\"seeded\","
           "\"reward\":{\"min\":1,\"max\":500,\"resolution\":1},\"actions\":["
           "{\"name\":\"left\",\"schema\":{\"type\":\"object\",\"additionalProperties\":false},"
           "\"effect\":\"mutating\"},"
           "{\"name\":\"right\",\"schema\":{\"type\":\"object\",\"additionalProperties\":false},"
           "\"effect\":\"mutating\"}]}";
}

static mg_err snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    *n     = sizeof(mg_cartpole_state);
    *bytes = mg_arena_alloc(arena, *n);
    memcpy(*bytes, e->state, *n);
    return MG_OK;
}

static mg_err restore(mg_env *e, const void *bytes, size_t n, mg_value *observation) {
    if (n != sizeof(mg_cartpole_state))
        return mg_fail(MG_CORRUPT, "cartpole: a snapshot of %zu bytes, wanted %zu", n,
                       sizeof(mg_cartpole_state));
    memcpy(e->state, bytes, n);
    *observation = observe(e->state);
    return MG_OK;
}

static mg_err choose(mg_value *action, bool right) {
    *action = (mg_value){.kind = MG_SPACE_DISCRETE, .index = right};
    return MG_OK;
}

// Pushes under the pole as it falls, and leans towards the middle. Gains found by hand.
static mg_err oracle(const mg_env *e, mg_rng *rng, mg_value *action) {
    const mg_cartpole_state *s = e->state;
    (void)rng;
    return choose(action, s->theta + 0.3 * s->theta_dot + 0.03 * s->x + 0.06 * s->x_dot > 0);
}

static mg_err random_push(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e;
    return choose(action, mg_rng_below(rng, 2));
}

static mg_err left(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e;
    (void)rng;
    return choose(action, false);
}

static const mg_script scripts[] = {
    {"oracle", "a linear controller", oracle},
    {"random", "left or right, evenly", random_push},
    {"left", "always left", left},
    {0},
};

const mg_env_class mg_cartpole_class = {
    .name        = "cartpole",
    .summary     = "balance a pole on a cart; Gymnasium's CartPole-v1",
    .observation = {.kind = MG_SPACE_VECTOR, .n = 4, .low = -INFINITY, .high = INFINITY},
    .action      = {.kind = MG_SPACE_DISCRETE, .n = 2},
    .state_size  = sizeof(mg_cartpole_state),
    .steps_max   = MG_CARTPOLE_STEPS,
    .open        = open,
    .reset       = reset,
    .step        = step,
    .manifest    = manifest,
    .snapshot    = snapshot,
    .restore     = restore,
    .scripts     = scripts,
};
