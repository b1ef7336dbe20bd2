// Goal:   what a run in a world of vectors leaves can be read, by people and by programs: numbers, and the truth about
//         how it went.
// Method: the real program on the pendulum and on cartpole, a few small blocks each. What is exported is held against
//         the bytes of the record, and against the pendulum's own equations.
#include "app/cli_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/store.h"

static double number(const json_t *o, const char *key) {
    const json_t *x = json_object_get(o, key);
    if (!json_is_number(x)) fail_msg("no number '%s'", key);
    return json_number_value(x);
}

static double at(const json_t *array, size_t i) {
    const json_t *x = json_array_get(array, i);
    if (!json_is_number(x)) fail_msg("no number at %zu", i);
    return json_number_value(x);
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("no '%s' in:\n%.20000s", part, text);
}

static json_t *rows_of(const char *path) {
    json_t *rows = json_array();
    char   *text = cli_read(path, NULL), *line;
    while ((line = strsep(&text, "\n")))
        if (*line) json_array_append_new(rows, json_loads(line, 0, NULL));
    return rows;
}

static mg_episode *recorded(const char *path, int64_t *n) {
    mg_store   *s;
    mg_episode *e;
    assert_int_equal(mg_store_open(&s, path), MG_OK);
    assert_int_equal(mg_store_episodes_read(s, 0, INT64_MAX, 1000, &cli_arena, &e, n), MG_OK);
    assert_int_equal(mg_store_close(s), MG_OK);
    return e;
}

// What a step costs follows from what was seen before it and done in it (Gymnasium's pendulum.py).
static void check_pendulum_turn(const json_t *turn, const mg_turn *own) {
    const json_t *seen = json_object_get(turn, "observation"), *done = json_object_get(turn, "action");
    float         bits[3];
    assert_int_equal(json_array_size(seen), 3);
    assert_int_equal(json_array_size(done), 1);
    for (size_t i = 0; i < 3; i++) bits[i] = (float)at(seen, i);
    assert_int_equal(own->observation_size, sizeof bits);
    assert_memory_equal(bits, own->observation, sizeof bits);
    const double angle = atan2(at(seen, 1), at(seen, 0)), speed = at(seen, 2), torque = at(done, 0);
    assert_true((double)(float)torque == torque);
    assert_float_equal(number(json_object_get(turn, "reward"), "value"),
                       -(angle * angle + 0.1 * speed * speed + 0.001 * torque * torque), 1e-4);
}

static void numbers_are_exported_to_the_bit(void **state) {
    (void)state;
    cli_status(cli("rollout --world pendulum --policy random --episodes 3 --out random"), 0);
    cli_status(cli("export random --episodes random.jsonl"), 0);
    int64_t     n;
    mg_episode *e    = recorded("random/run.db", &n);
    json_t     *rows = rows_of("random.jsonl"), *row;
    size_t      i, k;
    assert_int_equal(json_array_size(rows), 3);
    assert_int_equal(n, 3);
    json_array_foreach(rows, i, row) {
        const json_t *turns = json_object_get(row, "turns");
        assert_int_equal(json_array_size(turns), 200);
        for (k = 0; k < 200; k++) check_pendulum_turn(json_array_get(turns, k), &e[i].turns[k]);
        assert_true(json_equal(json_object_get(row, "prompt"),
                               json_object_get(json_array_get(turns, 0), "observation")));
        assert_true(json_equal(json_object_get(row, "answer"), json_object_get(json_array_get(turns, 199), "action")));
    }
    json_decref(rows);
}

// The page says what the terminal says.
static void a_rollouts_report_has_its_returns(void **state) {
    (void)state;
    const cli_outcome o = cli("rollout --world pendulum --policy oracle --episodes 8 --out oracle");
    double            mean, low, high;
    cli_status(o, 0);
    assert_int_equal(sscanf(strstr(o.out, "return "), "return %lf [%lf, %lf]", &mean, &low, &high), 3);
    const char *page = cli_read("oracle/report.html", NULL), *said = strstr(page, "oracle in pendulum: the return is ");
    double      told, from, to;
    assert_non_null(said);
    assert_int_equal(sscanf(said, "oracle in pendulum: the return is %lf [%lf, %lf]", &told, &from, &to), 3);
    assert_true(fabs(told - mean) < 1e-2 && fabs(from - low) < 1e-2 && fabs(to - high) < 1e-2 && low < high);
    assert_has(page, "the mean over 8 episodes");
    assert_has(page, "An episode has 200 [200, 200] steps.");
    assert_null(strstr(page, "The run made no update"));
}

// Also where a record is of choices, where it has no observations, and where it was made before the sizes were noted.
static void other_records_are_exported_too(void **state) {
    (void)state;
    cli_status(cli("rollout --world cartpole --policy random --episodes 2 --out cart"), 0);
    cli_status(cli("rollout --world pendulum --policy zero --episodes 2 --record replayable --out short"), 0);
    cli_status(cli("export cart --episodes cart.jsonl"), 0);
    cli_status(cli("export short --episodes short.jsonl"), 0);
    json_t *rows = rows_of("cart.jsonl"), *turn = json_array_get(json_object_get(json_array_get(rows, 0), "turns"), 0);
    assert_int_equal(json_array_size(json_object_get(turn, "observation")), 4);
    assert_true(json_is_integer(json_object_get(turn, "action")) && number(turn, "action") <= 1);
    json_decref(rows);
    rows = rows_of("short.jsonl"), turn = json_array_get(json_object_get(json_array_get(rows, 1), "turns"), 199);
    assert_true(json_is_null(json_object_get(turn, "observation")));
    assert_true(at(json_object_get(turn, "action"), 0) == 0);
    json_decref(rows);
    mg_store *s;
    assert_int_equal(mg_store_open(&s, "random/run.db"), MG_OK);
    assert_int_equal(mg_store_note(s, "numbers", "{\"observation\": 0, \"action\": 0, \"choices\": 0}"), MG_OK);
    assert_int_equal(mg_store_close(s), MG_OK);
    cli_status(cli("export random --episodes old.jsonl"), 0);
    cli_same_bytes("random.jsonl", "old.jsonl");
}

static void the_report_shows_numbers(void **state) {
    (void)state;
    const char *page = cli_read("random/report.html", NULL);
    int64_t     n;
    mg_episode *e = recorded("random/run.db", &n);
    float       seen[3];
    memcpy(seen, e[0].turns[0].observation, sizeof seen);
    const double speed = (double)seen[2];
    assert_has(page, mg_path(&cli_arena, "<td class=\"n\">%s%.4g</td><td class=\"n\">", speed < 0 ? "&minus;" : "",
                             fabs(speed)));
    assert_has(page, "action: torque");
    assert_null(strstr(page, "task &minus;1"));
    assert_null(strstr(page, "task -1"));
    assert_null(strstr(page, "&#xfffd;"));
    assert_null(strstr(page, "<dt>call"));
}

// ---- A run that the guard ends

// Steps of 1 ruin whatever a clone of an expert can do, before and behind the one rollback that is allowed. Without a
// margin, being worse is enough.
#define RUINED                                                                                                    \
    "train --algo td3_c --world pendulum --model clone --threads 1 --network.width 32 --td3_c.lr 1 "              \
    "--td3_c.offline_updates 0 --td3_c.steps 6000 --td3_c.block 200 --td3_c.start_steps 0 --td3_c.batch 16 "      \
    "--guard.enabled true --guard.margin 0 --guard.rollbacks 1 --guard.verdict_episodes 6 --checkpoint_every 1 "    \
    "--checkpoints_kept 99 "

static void make_ruined(void) {
    if (mg_file_exists("ruined")) return;
    cli_status(cli("collect pendulum --level expert --model %s/models/pendulum-expert --n 6000 --out expert.hdf5",
                   cli_source), 0);
    cli_status(cli("train --algo td3_bc --world pendulum --data expert.hdf5 --network.width 32 --threads 1 --out clone "
                   "--td3_bc.offline_updates 2000 --td3_bc.block 1000 --td3_bc.batch 64"), 0);
    const cli_outcome o = cli(RUINED "--out ruined");
    cli_status(o, 0);
    cli_write("said.txt", "%s", o.out);
    cli_write("heard.txt", "%s", o.err);
}

static const json_t *row_of(const json_t *rows, double update) {
    const json_t *row;
    size_t        i;
    json_array_foreach(rows, i, row) if (number(row, "update") == update) return row;
    fail_msg("no metrics of update %g", update);
    return NULL;
}

static double of_note(const char *key, const char *part, size_t i) {
    mg_store *s;
    char     *text;
    assert_int_equal(mg_store_open(&s, "ruined/run.db"), MG_OK);
    assert_int_equal(mg_store_note_read(s, "guard", &cli_arena, &text), MG_OK);
    assert_int_equal(mg_store_close(s), MG_OK);
    json_t      *note = json_loads(text, 0, NULL);
    const double x    = number(json_array_get(json_object_get(note, key), i), part);
    json_decref(note);
    return x;
}

// Updates made, how it ended, and whose policy is left, against checkpoints and the kept states.
static void the_last_lines_tell_how_it_ended(void **state) {
    (void)state;
    make_ruined();
    const char *said = cli_read("said.txt", NULL), *page = cli_read("ruined/report.html", NULL);
    long long   made, planned, behind;
    assert_int_equal(sscanf(strstr(said, "updates  "), "updates  %lld of %lld in", &made, &planned), 2);
    assert_true(planned == 30 && made < planned);
    assert_has(said, " s; the guard ended the run\n");
    assert_has(said, "guard    2 rollbacks; verdict: ");
    assert_has(said, mg_path(&cli_arena, "\nmetrics of update %lld, whose policy is not that of the model:\n", made));
    assert_int_equal(sscanf(strstr(said, "model    "), "model    ruined/model, the policy behind update %lld",
                            &behind), 1);
    assert_true(mg_file_exists(mg_path(&cli_arena, "ruined/checkpoints/%06lld", made)));
    assert_false(mg_file_exists(mg_path(&cli_arena, "ruined/checkpoints/%06lld", made + 1)));
    const char *kept = behind > 0 ? mg_path(&cli_arena, "ruined/checkpoints/%06lld/model.safetensors", behind)
                                  : "clone/model/model.safetensors";
    cli_same_bytes("ruined/model/model.safetensors", kept);
    assert_has(cli_read("heard.txt", NULL), ", 2 rollbacks, ");
    assert_has(page, "2 rollbacks: ");
    assert_has(page, mg_path(&cli_arena, "The run made %lld updates", made));
}

// The same number means the same update wherever it is read.
static void updates_have_one_numbering(void **state) {
    (void)state;
    make_ruined();
    cli_status(cli("export ruined --metrics ruined.jsonl"), 0);
    cli_status(cli("export ruined --episodes played.jsonl"), 0);
    json_t     *rows = rows_of("ruined.jsonl"), *played = rows_of("played.jsonl");
    const char *page = cli_read("ruined/report.html", NULL), *heard = cli_read("heard.txt", NULL);
    size_t      back = 0;
    long long   n    = (long long)json_array_size(rows);
    for (long long u = 1; u <= n; u++) {
        const json_t *row = row_of(rows, (double)u);
        assert_true(mg_file_exists(mg_path(&cli_arena, "ruined/checkpoints/%06lld", u)));
        assert_has(page, mg_path(&cli_arena, "<tr><th scope=\"row\" class=\"n\">%lld</th><td class=\"n\">", u));
        if (number(row, "guard_rollback") > 0) {
            assert_true(of_note("rollbacks", "update", back) == (double)u);
            assert_true(of_note("rollbacks", "good", back) == number(row, "guard_good"));
            assert_has(heard, mg_path(&cli_arena, "guard: update %lld: the policy has collapsed; back to what it was "
                                                  "behind update %.0f", u, number(row, "guard_good")));
            back++;
        } else
            assert_true(number(row, "guard_good") <= (double)u);
    }
    assert_int_equal(back, 2);
    assert_has(heard, mg_path(&cli_arena, "td3_c %lld/30 updates", n)); // where it ended
    assert_true(number(json_array_get(played, 0), "update") == 1);
    assert_true(number(json_array_get(played, json_array_size(played) - 1), "update") == (double)n);
    cli_status(cli("replay ruined %lld", n), 0);
    cli_refused(2, "replay ruined 0", "the first update is 1");
    json_decref(rows), json_decref(played);
}

static void programs_are_told_the_same(void **state) {
    (void)state;
    make_ruined();
    json_t   *r = cli_json("train ruined/run.yaml --resume --json"), *guard = json_object_get(r, "guard");
    long long made, planned, behind;
    const char *said = cli_read("said.txt", NULL);
    assert_int_equal(sscanf(strstr(said, "updates  "), "updates  %lld of %lld in", &made, &planned), 2);
    assert_int_equal(sscanf(strstr(said, "behind update "), "behind update %lld", &behind), 1);
    assert_true(number(r, "updates") == (double)made && number(r, "updates_planned") == 30);
    assert_true(json_is_true(json_object_get(r, "ended_by_guard")) && number(r, "model_update") == (double)behind);
    assert_true(number(guard, "rollbacks") == 2 && json_is_string(json_object_get(guard, "verdict")));
    json_decref(r);
    // A run that made all its updates, without a guard.
    const cli_outcome o = cli("train clone/run.yaml --resume");
    cli_status(o, 0);
    assert_has(o.out, "updates  2 in ");
    assert_has(o.out, "model    clone/model\n");
    assert_null(strstr(o.out, "guard"));
}

// A person who looks at a run of numbers is not shown keys of texts; all that is shown reads back.
static void settings_have_no_keys_of_texts(void **state) {
    (void)state;
    make_ruined();
    const char *dry = cli("train ruined/run.yaml --dry-run").out, *kept = cli_read("ruined/run.yaml", NULL);
    assert_string_equal(dry, kept);
    assert_has(cli_read("ruined/report.html", NULL), "\nenvironment:\n  shift_mass: 1\n");
    json_t *r = cli_json("train ruined/run.yaml --dry-run --json");
    static const char *const idle[] = {"template", "vocab", "rope_theta", "mutant"};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        const char *key = mg_path(&cli_arena, "%s: ", idle[i]);
        assert_null(strstr(kept, key));
        assert_null(strstr(cli_read("ruined/report.html", NULL), key));
        assert_null(json_object_get(r, idle[i]));
        assert_null(json_object_get(json_object_get(r, "network"), idle[i]));
        assert_null(json_object_get(json_object_get(r, "environment"), idle[i]));
    }
    assert_true(number(json_object_get(r, "network"), "width") == 32);
    json_decref(r);
}

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exported_to_the_bit),
        cmocka_unit_test(the_report_shows_numbers),
        cmocka_unit_test(a_rollouts_report_has_its_returns),
        cmocka_unit_test(other_records_are_exported_too),
        cmocka_unit_test(the_last_lines_tell_how_it_ended),
        cmocka_unit_test(updates_have_one_numbering),
        cmocka_unit_test(programs_are_told_the_same),
        cmocka_unit_test(settings_have_no_keys_of_texts),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
