// Goal:   the pendulum moves and costs as the published environment, also where the plant is another, and can
//         be swung up.
// Method: trajectories written down from Gymnasium 1.4.0, whose sine is NumPy's: the last bits may differ.
#include "worlds/pendulum.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    mg_arena           arena;
    mg_env             env;
    mg_pendulum_state *now;
} fixture;

static void open_on(fixture *f, const mg_shift *shift) {
    assert_int_equal(mg_env_open(&f->env, &mg_pendulum_class, shift, &f->arena), MG_OK);
    f->now = f->env.state;
}

static int setup(void **state) {
    static fixture f;
    assert_int_equal(mg_arena_init(&f.arena, "test", 1 << 20), MG_OK);
    open_on(&f, NULL);
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
    assert_int_equal(f->env.class->reset(&f->env, seed, &(mg_reset_options){.item = -1}, 0, &seen), MG_OK);
    return seen;
}

static mg_err turn(fixture *f, float torque, mg_transition *t) {
    const mg_value action = {.kind = MG_SPACE_VECTOR, .vector = &torque};
    return f->env.class->step(&f->env, &action, 0, t);
}

static void place(fixture *f, double theta, double theta_dot) {
    begin(f, 0);
    f->now->theta = theta, f->now->theta_dot = theta_dot;
}

static bool near(double found, double wanted) { return fabs(found - wanted) <= 1e-12 * fmax(1, fabs(wanted)); }

static const float  torques[12] = {2, -1.5F, 0.25F, -3, 7, 1, 0, -2, 2, 0.5F, -0.75F, 2};
static const struct { // theta, theta_dot and reward of twelve steps
    mg_shift shift;
    double   theta, theta_dot, wanted[12][3];
} published[] = {
    {{1, 1, 1, 0}, 3.0, -0.5, {
        {2.995292000302245, -0.094159993955099608, -9.0289999999999999},
        {2.9848007247759281, -0.20982551052633946, -8.9749107775207833},
        {2.9820400853802189, -0.055212787914178635, -8.9135005411096699},
        {2.9702373137524094, -0.23605543255618666, -8.8968679160093878},
        {2.9798289669583378, 0.19183306411856749, -8.83188191673106},
        {3.0029603370700166, 0.46262740223357968, -8.8840606647729068},
        {3.0312737827752523, 0.56626891410471625, -9.0391731973454039},
        {3.048715799937038, 0.34884034323571034, -9.2246867944487203},
        {3.0846356939828357, 0.71839788091595369, -9.310836987292614},
        {3.1264403193649373, 0.83609250764203358, -9.5668369161234246},
        {3.1631881355377618, 0.73495632345649331, -9.8450966386842431},
        {3.2141261840821542, 1.0187609708878482, -9.7923984307918488},
    }},
    {{2, 1, 0.5, 0}, 3.0, -0.5, {
        {2.9851460001511225, -0.29707999697754983, -9.0289999999999999},
        {2.9675884236933809, -0.35115152915482906, -8.9221722946786617},
        {2.9542144876766803, -0.26747872033401687, -8.8189742920817427},
        {2.9368333690969819, -0.34762237159396792, -8.7385377257819403},
        {2.9307647157456809, -0.12137306702602285, -8.6410743691647927},
        {2.9323698669652476, 0.032103024391332058, -8.591854961199795},
        {2.9378693875270558, 0.10999041123616592, -8.5988960971032906},
        {2.9396623517253615, 0.035859283966114708, -8.6362863272249868},
        {2.9527158306205803, 0.26106957790437413, -8.645743330976142},
        {2.9711647309810889, 0.36897800721017404, -8.7255965088480973},
        {2.9899812079835075, 0.37632954004837404, -8.8419968356064036},
        {3.0191295216465379, 0.58296627326060868, -8.9581500163658188},
    }},
    {{1, 1, 1, 2}, 7.9, 0.3, {
        {7.9524603003189922, 1.049206006379829, -2.62308975091997},
        {8.0422389091520952, 1.7955721766620463, -2.8965623271029179},
        {8.1838549632158628, 2.8323210812753414, -3.4206775187727456},
        {8.3496991441314297, 3.3168836183113344, -4.4169994121207301},
        {8.5504043616714096, 4.0141043507996041, -5.3707136320556392},
        {8.7648773978614596, 4.2894607238009881, -6.7555856149616282},
        {9.017339370091964, 5.0492394446100848, -8.0027429630560967},
        {9.2921610511147215, 5.4964336204551554, -10.026080336640897},
        {9.5719413017750981, 5.5956050132075292, -12.075013281996977},
        {9.8312228251119613, 5.1856304667372548, -12.101686454446057},
        {10.090678861189835, 5.1891207215574804, -10.17410976277927},
        {10.330718604172, 4.8007948596433252, -8.8219970430003922},
    }},
    {{1, 1, 1, 0}, -9, 7.9, {
        {-8.6054544431965656, 7.8909111360686826, -13.626082075124879},
        {-8.2495595420859065, 7.1178980222131747, -11.621831795830323},
        {-7.9263936669679351, 6.4633175023594207, -8.9331373571660393},
        {-7.655629519130037, 5.4152829567579621, -6.8815810273088776},
        {-7.4066300949635107, 4.9799884833305352, -4.8201320650916193},
        {-7.1839405182557163, 4.4537915341558927, -3.7431567206093432},
        {-6.9906432965329142, 3.8659444344560456, -2.7949858532526739},
        {-6.8367174711771259, 3.0785165071157636, -1.999049443730021},
        {-6.6875052165160538, 2.9842450932214413, -1.2581242450382233},
        {-6.5492952217176716, 2.7641998959676446, -1.0542964667274743},
        {-6.4265719872993863, 2.4544646883657135, -0.83545709310222083},
        {-6.2942073473615148, 2.6472927987574346, -0.62699943067919783},
    }},
};

static void it_moves_and_costs_as_published_on_every_plant(void **state) {
    fixture *f = *state;
    for (size_t k = 0; k < sizeof published / sizeof *published; k++) {
        mg_env_close(&f->env);
        open_on(f, &published[k].shift);
        place(f, published[k].theta, published[k].theta_dot);
        for (int i = 0; i < 12; i++) {
            const double *wanted = published[k].wanted[i];
            mg_transition t;
            assert_int_equal(turn(f, torques[i], &t), MG_OK);
            assert_true(near(f->now->theta, wanted[0]) && near(f->now->theta_dot, wanted[1]));
            assert_true(t.reward.kind == MG_REWARD_VALUE && near(t.reward.value, wanted[2]));
            assert_false(t.terminated || t.truncated);
            assert_true(t.observation.vector[0] == (float)cos(f->now->theta));
            assert_true(t.observation.vector[1] == (float)sin(f->now->theta));
            assert_true(t.observation.vector[2] == (float)f->now->theta_dot);
        }
    }
}

static void rewards_and_speeds_stay_in_their_bounds(void **state) {
    fixture      *f = *state;
    mg_rng        rng = mg_rng_stream(5, MG_PURPOSE_TEST, 0);
    mg_transition t;
    double        least = 0, most = -20, fastest = 0;
    begin(f, 5);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(turn(f, (float)(8 * mg_rng_uniform(&rng) - 4), &t), MG_OK);
        least   = fmin(least, t.reward.value);
        most    = fmax(most, t.reward.value);
        fastest = fmax(fastest, fabs(f->now->theta_dot));
        if (i % 50 == 0) f->now->theta_dot = 8; // off and round it goes
    }
    assert_true(least >= -16.273604401089358 && most <= 0 && fastest == 8);
    assert_true(most > -0.3 && least < -14);
}

static void starts_are_even_all_round(void **state) {
    fixture *f = *state;
    double   low = 4, high = -4, slow = 1, fast = -1, sum = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        begin(f, seed);
        low  = fmin(low, f->now->theta), high = fmax(high, f->now->theta);
        slow = fmin(slow, f->now->theta_dot), fast = fmax(fast, f->now->theta_dot);
        sum += f->now->theta / 3.14159265358979323846 + f->now->theta_dot;
    }
    assert_true(low >= -3.14159265358979323846 && low < -3.12 && high < 3.14159265358979323846 && high > 3.12);
    assert_true(slow >= -1 && slow < -0.99 && fast < 1 && fast > 0.99);
    // 4000 draws of deviation 2 / sqrt(12): five deviations of the mean are 0.046.
    assert_true(fabs(sum / 4000) < 0.046);
}

static double play(fixture *f, const char *name, uint64_t seed) {
    const mg_script *script = mg_env_script(&mg_pendulum_class, name);
    mg_rng           rng    = mg_rng_stream(seed, MG_PURPOSE_TEST, 0);
    mg_transition    t;
    double           sum = 0;
    begin(f, seed);
    for (int i = 0; i < MG_PENDULUM_STEPS; i++) {
        mg_value action;
        assert_int_equal(script->act(&f->env, &rng, &action), MG_OK);
        assert_true(fabsf(action.vector[0]) <= 2);
        assert_int_equal(f->env.class->step(&f->env, &action, 0, &t), MG_OK);
        sum += t.reward.value;
    }
    return sum;
}

static void the_oracle_swings_up_and_the_others_do_not(void **state) {
    fixture *f = *state;
    double   oracle = 0, random = 0, zero = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        oracle += play(f, "oracle", seed) / 200;
        assert_true(cos(f->now->theta) > 0.99 && fabs(f->now->theta_dot) < 0.2);
        random += play(f, "random", seed) / 200;
        zero += play(f, "zero", seed) / 200;
    }
    print_message("mean return: oracle %.1f, random %.1f, zero %.1f\n", oracle, random, zero);
    assert_true(oracle > -200);
    assert_true(random < -1000 && zero < -1000);
}

static void equal_seeds_and_torques_are_equal_states(void **state) {
    fixture      *f = *state;
    uint8_t       digest[3][32];
    mg_transition t;
    for (int round = 0; round < 3; round++) {
        begin(f, round < 2 ? 7 : 8);
        for (int i = 0; i < 5; i++) assert_int_equal(turn(f, torques[i], &t), MG_OK);
        mg_env_digest(&f->env, digest[round]);
        play(f, "random", 3); // what came before must not matter, nor who chose
    }
    assert_memory_equal(digest[0], digest[1], 32);
    assert_memory_not_equal(digest[0], digest[2], 32);
}

static void a_restored_snapshot_goes_on_as_the_original(void **state) {
    fixture      *f = *state;
    void         *bytes;
    size_t        n;
    mg_value      seen;
    mg_transition t;
    uint8_t       a[32], b[32];
    mg_env_close(&f->env);
    open_on(f, &published[2].shift); // with actions under way
    place(f, published[2].theta, published[2].theta_dot);
    for (int i = 0; i < 5; i++) assert_int_equal(turn(f, torques[i], &t), MG_OK);
    assert_int_equal(f->env.class->snapshot(&f->env, &f->arena, &bytes, &n), MG_OK);
    mg_env_digest(&f->env, a);
    play(f, "zero", 1);
    assert_int_equal(f->env.class->restore(&f->env, bytes, n, &seen), MG_OK);
    mg_env_digest(&f->env, b);
    assert_memory_equal(a, b, 32);
    assert_true(seen.vector[2] == (float)f->now->theta_dot);
    for (int i = 5; i < 12; i++) {
        assert_int_equal(turn(f, torques[i], &t), MG_OK);
        assert_true(near(f->now->theta, published[2].wanted[i][0]));
    }
    assert_int_equal(f->env.class->restore(&f->env, bytes, n + 1, &seen), MG_CORRUPT);
}

static void wrong_use_is_an_error(void **state) {
    fixture               *f = *state;
    mg_value               seen;
    mg_transition          t;
    const mg_reset_options prefix = {.item = -1, .prefix = "x", .prefix_size = 1};
    assert_int_equal(turn(f, 0, &t), MG_CONFIG); // no reset yet
    begin(f, 0);
    assert_int_equal(turn(f, NAN, &t), MG_CONFIG);
    assert_string_equal(mg_err_detail(), "pendulum: action[0]: found nan, wanted a finite number");
    assert_int_equal(turn(f, -INFINITY, &t), MG_CONFIG);
    assert_int_equal(f->env.class->reset(&f->env, 0, &prefix, 0, &seen), MG_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(it_moves_and_costs_as_published_on_every_plant),
        TEST(rewards_and_speeds_stay_in_their_bounds),
        TEST(starts_are_even_all_round),
        TEST(the_oracle_swings_up_and_the_others_do_not),
        TEST(equal_seeds_and_torques_are_equal_states),
        TEST(a_restored_snapshot_goes_on_as_the_original),
        TEST(wrong_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
