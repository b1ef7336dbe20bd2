// Goal:   the examples of control learn what they say, from three seeds each.
// Method: the real program: trained by the example's own settings, then judged on a hundred episodes that no training
//         has seen, by the policy's mode. Floors are the published marks: CartPole-v1 counts as solved at 475 of 500;
//         a pendulum that is swung up and held costs about 150, one that hangs more than 1,000.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

// Mean of a hundred episodes behind training by the example's settings and `more`.
static double learnt(const char *example, int seed, const char *more) {
    const char *run = mg_path(&cli_arena, "%s-%d", example, seed);
    cli_status(cli("train examples/%s.yaml --seed %d --threads 1 --out %s %s", example, seed, run, more), 0);
    json_t *r = cli_json("rollout --model %s --seed 1000 --episodes 100 --out %s-judged --json", run, run);
    const json_t *judged = json_object_get(r, "return");
    const double  mean   = json_number_value(json_object_get(judged, "estimate"));
    assert_true(json_is_number(json_object_get(judged, "estimate")));
    print_message("%s, seed %d: %.1f [%.1f, %.1f]\n", example, seed, mean,
                  json_number_value(json_object_get(judged, "low")),
                  json_number_value(json_object_get(judged, "high")));
    json_decref(r);
    return mean;
}

static void learns_with(const char *example, const char *more, double floor) {
    for (int seed = 1; seed <= 3; seed++)
        if (!(learnt(example, seed, more) >= floor)) fail_msg("%s, seed %d: wanted at least %g", example, seed, floor);
}

static void learns(const char *example, double floor) { learns_with(example, "", floor); }

static void ppo_balances_a_pole(void **state) {
    (void)state;
    learns("cartpole_ppo", 475);
}

static void ppo_swings_up_a_pendulum(void **state) {
    (void)state;
    learns("pendulum_ppo", -300);
}

static void td3_swings_up_a_pendulum(void **state) {
    (void)state;
    learns("td3", -200);
}

static void sac_swings_up_a_pendulum(void **state) {
    (void)state;
    learns("sac", -200);
}

// What made the set is a policy of sac a third of the way up, as it explored.
static void td3_bc_is_as_good_as_its_data(void **state) {
    (void)state;
    json_t *r = cli_json("collect pendulum --level medium --model %s/models/pendulum-medium --n 50000 "
                         "--out medium.hdf5 --json", cli_source);
    const double mean = json_number_value(json_object_get(json_object_get(r, "return"), "mean"));
    assert_true(mean < -500); // or there is nothing to be learnt
    print_message("data: %.1f\n", mean);
    json_decref(r);
    learns_with("td3_bc", "--data medium.hdf5", mean);
}

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ppo_balances_a_pole),
        cmocka_unit_test(ppo_swings_up_a_pendulum),
        cmocka_unit_test(td3_swings_up_a_pendulum),
        cmocka_unit_test(sac_swings_up_a_pendulum),
        cmocka_unit_test(td3_bc_is_as_good_as_its_data),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
