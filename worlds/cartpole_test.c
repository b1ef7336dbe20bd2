// Goal:   the pole moves as the published equations say, falls where it should, and can be kept up.
// Method: trajectories computed in Python from Florian 2007, equations 23 and 24, in another arrangement
//         than the code's; seeds without number for the rest.
#include "worlds/cartpole.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    mg_arena           arena;
    mg_env             env;
    mg_cartpole_state *now;
} fixture;

static int setup(void **state) {
    static fixture f;
    assert_int_equal(mg_arena_init(&f.arena, "test", 1 << 20), MG_OK);
    assert_int_equal(mg_env_open(&f.env, &mg_cartpole_class, NULL, &f.arena), MG_OK);
    f.now  = f.env.state;
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    mg_env_close(&f->env);
    mg_arena_release(&f->arena);
    return 0;
}

static mg_value begin(fixture *f, uint64_t seed) {
    mg_value seen;
    assert_int_equal(f->env.class->reset(&f->env, seed, &(mg_reset_options){.item = -1}, 0, &seen),
                     MG_OK);
    return seen;
}

static mg_err push(fixture *f, int64_t index, mg_transition *t) {
    const mg_value action = {.kind = MG_SPACE_DISCRETE, .index = index};
    return f->env.class->step(&f->env, &action, 0, t);
}

static void place(fixture *f, double x, double x_dot, double theta, double theta_dot) {
    begin(f, 0);
    *f->now = (mg_cartpole_state){.x = x, .x_dot = x_dot, .theta = theta, .theta_dot = theta_dot};
}

static void expect(const fixture *f, const mg_transition *t, const double wanted[4]) {
    const double found[4] = {f->now->x, f->now->x_dot, f->now->theta, f->now->theta_dot};
    assert_int_equal(t->observation.kind, MG_SPACE_VECTOR);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(found[i] - wanted[i]) < 1e-13);
        assert_true(t->observation.vector[i] == (float)found[i]);
    }
}

static const int    pushes[12]        = {1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0};
static const double trajectory[12][4] = { // from {0.01, -0.02, 0.03, 0.04}
    {0.0096000000000000009, 0.17467919574755525, 0.030799999999999998, -0.24306871796000809},
    {0.013093583914951107, -0.020868848948191993, 0.025938625640799837, 0.059167999939416599},
    {0.012676206935987267, -0.21635292104612766, 0.027121985639588168, 0.35992057137841382},
    {0.0083491485150647138, -0.021626799199488178, 0.034320397067156443, 0.075911698947444095},
    {0.0079166125310749496, 0.17298676004769042, 0.035838631046105324, -0.20574851582677406},
    {0.011376347732028759, 0.36757837256754688, 0.031723660729569843, -0.48691420134450819},
    {0.018727915183379698, 0.17202349486382795, 0.021985376702679679, -0.18440428392099584},
    {0.022168385080656258, 0.36682408600495908, 0.018297291024259761, -0.47007137478511091},
    {0.029504866800755439, 0.17144851324726548, 0.0088958635285575436, -0.17167796834313398},
    {0.032933837065700751, -0.023799624602328928, 0.0054623041616948635, 0.12379799946559022},
    {0.032457844573654172, 0.17124364660288535, 0.0079382641510066677, -0.16715663331998781},
    {0.035882717505711877, -0.023991029570816003, 0.0045951314846069107, 0.12801997895104256},
};

static void it_moves_as_the_equations_say(void **state) {
    fixture      *f = *state;
    mg_transition t;
    place(f, 0.01, -0.02, 0.03, 0.04);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(push(f, pushes[i], &t), MG_OK);
        expect(f, &t, trajectory[i]);
        assert_false(t.terminated || t.truncated);
        assert_true(t.reward.kind == MG_REWARD_VALUE && t.reward.value == 1);
        assert_string_equal(t.evidence.action, pushes[i] ? "right" : "left");
    }
}

static void it_is_over_beyond_twelve_degrees_or_the_track(void **state) {
    fixture      *f = *state;
    mg_transition t;
    // Always right from rest: theta is -0.1664 after 8 pushes and -0.2152 after 9; 12 degrees are 0.2094.
    place(f, 0, 0, 0, 0);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(push(f, 1, &t), MG_OK);
        assert_int_equal(t.terminated, i == 8);
        assert_true(t.reward.value == 1); // the last step too
    }
    assert_int_equal(push(f, 1, &t), MG_CONFIG);

    for (int side = -1; side <= 1; side += 2) {
        place(f, 2.39 * side, 0.4 * side, 0, 0); // 2.398 after one step, 2.402 or more after two
        assert_int_equal(push(f, side > 0, &t), MG_OK);
        assert_false(t.terminated);
        assert_int_equal(push(f, side > 0, &t), MG_OK);
        assert_true(t.terminated && !t.truncated);
    }
}

static void starts_are_even_within_a_twentieth(void **state) {
    fixture *f    = *state;
    double   low = 1, high = -1, sum = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        begin(f, seed);
        const double four[4] = {f->now->x, f->now->x_dot, f->now->theta, f->now->theta_dot};
        for (int i = 0; i < 4; i++) {
            low  = fmin(low, four[i]);
            high = fmax(high, four[i]);
            sum += four[i];
        }
    }
    assert_true(low >= -0.05 && low < -0.0499 && high < 0.05 && high > 0.0499);
    // 8000 draws with deviation 0.1 / sqrt(12): five deviations of the mean are 0.0016.
    assert_true(fabs(sum / 8000) < 0.0016);
}

static int play(fixture *f, const char *name, uint64_t seed) {
    const mg_script *script = mg_env_script(&mg_cartpole_class, name);
    mg_rng           rng    = mg_rng_stream(seed, MG_PURPOSE_TEST, 0);
    mg_transition    t      = {0};
    mg_value         action;
    int              steps = 0;
    begin(f, seed);
    while (!t.terminated && steps < MG_CARTPOLE_STEPS) {
        assert_int_equal(script->act(&f->env, &rng, &action), MG_OK);
        assert_int_equal(push(f, action.index, &t), MG_OK);
        steps++;
    }
    return steps;
}

static void the_oracle_stands_and_the_others_fall(void **state) {
    fixture *f = *state;
    int      random = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        assert_int_equal(play(f, "oracle", seed), MG_CARTPOLE_STEPS);
        assert_in_range(play(f, "left", seed), 7, 11);
        random += play(f, "random", seed);
    }
    // Published for random play in CartPole: about 22 steps.
    assert_in_range(random / 200, 17, 28);
}

static void equal_seeds_and_pushes_are_equal_states(void **state) {
    fixture      *f = *state;
    uint8_t       a[32], b[32], c[32];
    mg_transition t;
    for (int round = 0; round < 2; round++) {
        begin(f, 7);
        for (int i = 0; i < 5; i++) assert_int_equal(push(f, i % 2, &t), MG_OK);
        mg_env_digest(&f->env, round ? b : a);
        play(f, "random", 3); // what came before must not matter
    }
    begin(f, 8);
    for (int i = 0; i < 5; i++) assert_int_equal(push(f, i % 2, &t), MG_OK);
    mg_env_digest(&f->env, c);
    assert_memory_equal(a, b, 32);
    assert_memory_not_equal(a, c, 32);
}

static void a_restored_snapshot_goes_on_as_the_original(void **state) {
    fixture      *f = *state;
    void         *bytes;
    size_t        n;
    mg_value      seen;
    mg_transition t;
    uint8_t       a[32], b[32];
    place(f, 0.01, -0.02, 0.03, 0.04);
    for (int i = 0; i < 5; i++) assert_int_equal(push(f, pushes[i], &t), MG_OK);
    assert_int_equal(f->env.class->snapshot(&f->env, &f->arena, &bytes, &n), MG_OK);
    mg_env_digest(&f->env, a);
    play(f, "left", 1);
    assert_int_equal(f->env.class->restore(&f->env, bytes, n, &seen), MG_OK);
    mg_env_digest(&f->env, b);
    assert_memory_equal(a, b, 32);
    assert_true(seen.vector[1] == (float)trajectory[4][1]);
    for (int i = 5; i < 12; i++) {
        assert_int_equal(push(f, pushes[i], &t), MG_OK);
        expect(f, &t, trajectory[i]);
    }
    assert_int_equal(f->env.class->restore(&f->env, bytes, n - 1, &seen), MG_CORRUPT);
}

static void wrong_use_is_an_error(void **state) {
    fixture               *f = *state;
    mg_value               seen;
    mg_transition          t;
    const mg_reset_options prefix = {.item = -1, .prefix = "x", .prefix_size = 1};
    assert_int_equal(push(f, 0, &t), MG_CONFIG); // no reset yet
    begin(f, 0);
    assert_int_equal(push(f, 2, &t), MG_CONFIG);
    assert_int_equal(push(f, -1, &t), MG_CONFIG);
    assert_int_equal(f->env.class->reset(&f->env, 0, &prefix, 0, &seen), MG_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(it_moves_as_the_equations_say),
        TEST(it_is_over_beyond_twelve_degrees_or_the_track),
        TEST(starts_are_even_within_a_twentieth),
        TEST(the_oracle_stands_and_the_others_fall),
        TEST(equal_seeds_and_pushes_are_equal_states),
        TEST(a_restored_snapshot_goes_on_as_the_original),
        TEST(wrong_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
