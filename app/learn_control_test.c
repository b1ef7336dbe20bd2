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

static void learns(const char *example, double floor) {
    for (int seed = 1; seed <= 3; seed++) {
        const char *run = mg_path(&cli_arena, "%s-%d", example, seed);
        cli_status(cli("train examples/%s.yaml --seed %d --threads 1 --out %s", example, seed, run), 0);
        json_t *r = cli_json("rollout --model %s --seed 1000 --episodes 100 --out %s-judged --json", run, run);
        const json_t *judged = json_object_get(r, "return");
        const double  mean   = json_number_value(json_object_get(judged, "estimate"));
        assert_true(json_is_number(json_object_get(judged, "estimate")));
        print_message("%s, seed %d: %.1f [%.1f, %.1f]\n", example, seed, mean,
                      json_number_value(json_object_get(judged, "low")),
                      json_number_value(json_object_get(judged, "high")));
        if (!(mean >= floor)) fail_msg("%s, seed %d: wanted at least %g", example, seed, floor);
        json_decref(r);
    }
}

static void ppo_balances_a_pole(void **state) {
    (void)state;
    learns("cartpole_ppo", 475);
}

static void ppo_swings_up_a_pendulum(void **state) {
    (void)state;
    learns("pendulum_ppo", -300);
}

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ppo_balances_a_pole),
        cmocka_unit_test(ppo_swings_up_a_pendulum),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
