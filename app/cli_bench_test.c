// Goal:   the bench measures what it is asked for and says it to programs; a peer that does not come is told.
// Method: the real program; what is looked at is the form of a row, never how fast this machine is.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static double number(const json_t *row, const char *key) {
    const json_t *v = json_object_get(row, key);
    if (!json_is_number(v)) fail_msg("%s is not a number", key);
    return json_number_value(v);
}

// The row of that name, with every key that programs read.
static const json_t *bench_row(const json_t *rows, const char *name) {
    static const char *const keys[] = {"name", "value",      "unit",     "n",         "low",   "high",   "peak_share",
                                       "peer", "peer_value", "peer_low", "peer_high", "ratio", "wanted", "met"};
    const json_t *row;
    size_t        i;
    json_array_foreach(rows, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) != 0) continue;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (!json_object_get(row, keys[k])) fail_msg("%s: no %s", name, keys[k]);
        assert_true(number(row, "value") > 0);
        assert_true(number(row, "low") <= number(row, "value"));
        assert_true(number(row, "high") >= number(row, "value"));
        return row;
    }
    fail_msg("no row %s", name);
    return NULL;
}

static void speed_is_measured(void **state) {
    (void)state;
    json_t *r = cli_json("bench --only peak_f32 --repeats 1 --json");
    assert_int_equal(json_array_size(r), 1);
    assert_int_equal(number(bench_row(r, "peak_f32"), "n"), 1);
    assert_string_equal(json_string_value(json_object_get(bench_row(r, "peak_f32"), "unit")), "GFLOP/s");
    json_decref(r);

    static const char *const small[] = {"watch_physics", "watch_call", "watch_checked", "record_full",
                                        "record_replayable", "start"};
    r = cli_json("bench --only %s,%s,%s,%s,%s,%s --repeats 2 --json", small[0], small[1], small[2], small[3],
                 small[4], small[5]);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        assert_int_equal(number(bench_row(r, small[i]), "n"), 2);
    json_decref(r);
}

#ifndef MG_SANITIZED // with which this takes minutes
// The rows that are asked of a model of real size; each is wanted a ratio, and nobody is there.
static void a_model_is_measured(void **state) {
    (void)state;
    static const char *const large[] = {"train_f32", "generate_1_f32", "loop_grpo"};
    json_t *r = cli_json("bench --only train_f32,generate_1_f32,loop_grpo --repeats 1 --json");
    assert_int_equal(json_array_size(r), 3);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const json_t *row = bench_row(r, large[i]);
        assert_true(number(row, "wanted") > 1);
        assert_true(json_is_null(json_object_get(row, "ratio")));
        assert_true(json_is_null(json_object_get(row, "met")));
    }
    // A share of a peak that was measured for it, of a row that nobody asked for.
    assert_true(number(bench_row(r, "train_f32"), "peak_share") > 0);
    json_decref(r);
}
#endif

// Without the peer the row is there all the same; that it is missing shows in the exit status.
static void a_peer_that_does_not_come_is_told(void **state) {
    (void)state;
    const cli_outcome o = cli("bench --only generate_1_f32 --repeats 1 --json --peers /nowhere/python");
    json_t           *r = json_loads(o.out, 0, NULL);
    cli_status(o, 3);
    assert_true(json_is_null(json_object_get(bench_row(r, "generate_1_f32"), "peer")));
    assert_non_null(strstr(o.err, "bench/peer.py")); // this folder is not the repository
    json_decref(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed_is_measured),
#ifndef MG_SANITIZED
        cmocka_unit_test(a_model_is_measured),
#endif
        cmocka_unit_test(a_peer_that_does_not_come_is_told),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
