// Goal:   sac teaches the hopper to hop: 2,500 and more within 500,000 steps, from three seeds each.
// Method: the real program. Of the policies that a run kept, the one whose ten episodes were best is judged on a
//         hundred others, so that it is not best by chance. Merely standing for a whole episode is paid 1,000.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"

enum { STEPS = 500000, EVERY = 10 }; // of the world; blocks of 1,000 between two looks, each with a checkpoint

// The column of `name` in the row that starts at `row`; NAN where it is empty.
static double field(const char *head, const char *row, const char *name) {
    int column = 0;
    for (const char *at = head; strncmp(at, name, strlen(name)) || !strchr(",\n", at[strlen(name)]); column++) {
        at = strpbrk(at, ",\n");
        if (*at++ == '\n') fail_msg("no column %s in %s", name, head);
    }
    for (; column > 0; column--) row = strchr(row, ',') + 1;
    return strchr(",\n", *row) ? __builtin_nan("") : strtod(row, NULL);
}

// The number of the checkpoint whose look was best.
static int best(const char *metrics) {
    const char *head = cli_read(metrics, NULL), *row = strchr(head, '\n') + 1;
    double      most = -1;
    int         at   = 0;
    for (; *row; row = strchr(row, '\n') + 1) {
        const double mean = field(head, row, "return");
        if (mean > most) most = mean, at = (int)field(head, row, "update");
    }
    print_message("checkpoint %d: %.0f in ten episodes\n", at, most);
    assert_int_equal(at % EVERY, 0);
    return at;
}

static void hops(const char *compute, int seed) {
    const char *run = mg_path(&cli_arena, "hopper-%d", seed);
    cli_status(cli("train --algo sac --world hopper --seed %d --out %s --compute %s --network.width 256 "
                   "--network.activation relu --sac.steps %d --sac.start_steps 10000 --evaluate_every %d "
                   "--checkpoint_every %d --checkpoints_kept 100 --record replayable --threads 1",
                   seed, run, compute, STEPS, EVERY, EVERY), 0);
    cli_status(cli("export %s --metrics %s.csv", run, run), 0);
    json_t *r = cli_json("rollout --model %s/checkpoints/%06d --world hopper --seed 1000 --episodes 100 "
                         "--out %s-judged --json", run, best(mg_path(&cli_arena, "%s.csv", run)), run);
    const json_t *judged = json_object_get(r, "return");
    const double  mean   = json_number_value(json_object_get(judged, "estimate"));
    print_message("hopper, %s, seed %d: %.1f [%.1f, %.1f]\n", compute, seed, mean,
                  json_number_value(json_object_get(judged, "low")),
                  json_number_value(json_object_get(judged, "high")));
    json_decref(r);
    if (!(mean >= 2500)) fail_msg("seed %d: wanted at least 2500", seed);
}

// By products of bfloat16 where the processor has them: they take half the time.
static void sac_teaches_the_hopper_to_hop(void **state) {
    (void)state;
    const bool bf16 = cli("train --algo sac --world hopper --compute bf16 --dry-run").status == 0;
    for (int seed = 1; seed <= 3; seed++) hops(bf16 ? "bf16" : "f32", seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sac_teaches_the_hopper_to_hop)};
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
