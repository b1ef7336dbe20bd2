// Goal: a logged data set goes through the program, from one layout into the other and back, what is
// wrong is refused with exit status and place, and the card says its numbers to people and programs.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/logged.h"

// Thirty episodes of five rows that end at a terminal, with returns 5, 10 .. 150; hopper's sizes.
enum { ROWS = 150, OBS = 11, ACT = 3 };

static void write_set(const char *path, int nan_at) {
    static float observation[ROWS * OBS], next[ROWS * OBS], action[ROWS * ACT], reward[ROWS];
    static uint8_t terminal[ROWS], timeout[ROWS];
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < OBS; k++)
            observation[i * OBS + k] = (float)(i + k) / 4, next[i * OBS + k] = (float)(i + 1 + k) / 4;
        for (int k = 0; k < ACT; k++) action[i * ACT + k] = (float)((i + k) % 9 - 4) / 4;
        reward[i] = (float)(i / 5 + 1), terminal[i] = i % 5 == 4;
    }
    if (nan_at >= 0) reward[nan_at] = __builtin_nanf("");
    const mg_logged l = {.rows = ROWS, .obs = OBS, .act = ACT, .observation = observation, .action = action,
                         .reward = reward, .terminal = terminal, .timeout = timeout, .next = next};
    unlink(path);
    if (mg_d4rl_write(path, &l)) fail_msg("%s", mg_err_detail());
}

static long long whole(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static double number(const json_t *o, const char *part, const char *key) {
    return json_number_value(json_object_get(json_object_get(o, part), key));
}

static void a_set_goes_to_minari_and_back(void **state) {
    (void)state;
    write_set("a.hdf5", -1);
    json_t *r = cli_json("import hdf5 a.hdf5 --out sets/one/hopper.hdf5 --world hopper --json");
    assert_int_equal(whole(r, "rows"), 150);
    assert_int_equal(whole(r, "episodes"), 30);
    assert_string_equal(json_string_value(json_object_get(r, "world")), "hopper");
    json_decref(r);
    r = cli_json("export sets/one/hopper.hdf5 --minari there --json");
    assert_string_equal(json_string_value(json_object_get(r, "id")), "martingale/hopper-v0");
    json_decref(r);
    cli_status(cli("import hdf5 there --out back.hdf5 --world hopper"), 0);
    cli_same_bytes("back.hdf5", "sets/one/hopper.hdf5"); // nothing is lost on the way
    cli_status(cli("export sets/one/hopper.hdf5 --minari named --id me/set-v3"), 0);
    assert_non_null(strstr(cli_read("named/data/metadata.json", NULL), "\"dataset_id\": \"me/set-v3\""));
}

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    write_set("bad.hdf5", 42);
    write_set("a.hdf5", -1);
    cli_refused(3, "import hdf5 bad.hdf5 --out x.hdf5", "bad.hdf5: rewards: row 42: found nan");
    cli_refused(3, "card bad.hdf5", "bad.hdf5: rewards: row 42: found nan");
    cli_refused(3, "import hdf5 nowhere.hdf5 --out x.hdf5", "nowhere.hdf5", "No such file");
    cli_refused(3, "import hdf5 data/train.jsonl --out x.hdf5", "data/train.jsonl: no HDF5 file");
    cli_refused(2, "import hdf5 a.hdf5", "--out: found nothing");
    cli_refused(2, "import hdf5 a.hdf5 --out a.hdf5", "a.hdf5 is there already");
    cli_refused(2, "import hdf5 a.hdf5 --out x.hdf5 --test 3", "found --test");
    cli_refused(2, "import hdf5", "wanted `debian`, `jsonl FILE` or `hdf5 FILE`");
    cli_refused(2, "export a.hdf5 --minari m --id x", "found the id 'x'");
    cli_refused(2, "export a.hdf5 --minari m --metrics m.csv", "wanted --minari alone");
    cli_refused(2, "export a.hdf5 --id x-v0", "--id: found 'x-v0' without --minari");
    cli_refused(2, "card", "found 0 data sets");
    assert_int_equal(access("x.hdf5", F_OK), -1);
    assert_int_equal(access("m", F_OK), -1);
}

static void the_card_says_its_numbers(void **state) {
    (void)state;
    write_set("a.hdf5", -1);
    json_t *c = cli_json("card a.hdf5 --world hopper --json");
    assert_int_equal(whole(c, "rows"), 150);
    assert_int_equal(whole(c, "transitions"), 149);
    assert_int_equal(whole(c, "episodes"), 30);
    assert_int_equal(whole(c, "terminals"), 30);
    assert_int_equal(whole(c, "timeouts"), 0);
    assert_float_equal(number(c, "return", "mean"), 77.5, 1e-9);
    assert_float_equal(number(c, "return", "low"), 5, 0);
    assert_float_equal(number(c, "return", "high"), 150, 0);
    assert_float_equal(number(c, "length", "mean"), 5, 0);
    assert_float_equal(number(c, "score", "mean"), 100 * (77.5 + 20.272305) / (3234.3 + 20.272305), 1e-6);
    assert_int_equal(json_array_size(json_object_get(c, "observations")), 11);
    assert_int_equal(json_array_size(json_object_get(c, "actions")), 3);
    assert_true(json_array_size(json_object_get(c, "says")) > 0);
    json_decref(c);
    c = cli_json("card a.hdf5 --json");
    assert_true(json_is_null(json_object_get(c, "score")) && json_is_null(json_object_get(c, "world")));
    json_decref(c);
    const cli_outcome o = cli("card a.hdf5 --world hopper");
    cli_status(o, 0);
    assert_non_null(strstr(o.out, "a.hdf5, hopper: 150 rows, observations of 11 numbers, actions of 3"));
    assert_non_null(strstr(o.out, "30, of which 30 finished; 30 rows terminal, 0 at a timeout; 149 transitions"));
    assert_non_null(strstr(o.out, "is not known from its card"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_goes_to_minari_and_back),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(the_card_says_its_numbers),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
