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

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exported_to_the_bit),
        cmocka_unit_test(the_report_shows_numbers),
        cmocka_unit_test(other_records_are_exported_too),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
