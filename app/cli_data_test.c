// Goal: a logged data set goes through the program, from one layout into the other and back, what is
// wrong is refused with exit status and place, and the card says its numbers to people and programs.
#include "app/cli_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/logged.h"

// Thirty episodes of five rows that end at a terminal, with returns 5, 10 .. 150; hopper's sizes.
enum { ROWS = 150, OBS = 11, ACT = 3 };

static void write_set_of(const char *path, int nan_at, const char *world) {
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
                         .reward = reward, .terminal = terminal, .timeout = timeout, .next = next, .world = world};
    unlink(path);
    if (mg_d4rl_write(path, &l)) fail_msg("%s", mg_err_detail());
}

static void write_set(const char *path, int nan_at) { write_set_of(path, nan_at, NULL); }

// Without next observations.
static void write_plain(const char *path) {
    static float   x[4] = {0, 1, 0, 1};
    static uint8_t no[4];
    const mg_logged l = {.rows = 4, .obs = 1, .act = 1, .observation = x, .action = x, .reward = x, .terminal = no,
                         .timeout = no};
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
    const cli_outcome back = cli("import hdf5 there --out back.hdf5 --world hopper");
    cli_status(back, 0);
    assert_string_equal(back.err, ""); // nothing is left behind
    cli_same_bytes("back.hdf5", "sets/one/hopper.hdf5"); // nothing is lost on the way
    cli_status(cli("export sets/one/hopper.hdf5 --minari named --id me/set-v3"), 0);
    assert_non_null(strstr(cli_read("named/data/metadata.json", NULL), "\"dataset_id\": \"me/set-v3\""));
}

static void what_is_said_of_a_set_comes_along(void **state) {
    (void)state;
    cli_status(cli("collect pendulum --level random --n 300 --seed 7 --out made.hdf5"), 0);
    const cli_outcome o = cli("import hdf5 made.hdf5 --out copy.hdf5");
    cli_status(o, 0);
    assert_string_equal(o.err, ""); // nothing is left
    mg_logged a, b;
    if (mg_logged_read("made.hdf5", &cli_arena, &a) || mg_logged_read("copy.hdf5", &cli_arena, &b))
        fail_msg("%s", mg_err_detail());
    int n = 0, seeds = 0;
    for (; a.words[n].key; n++) {
        assert_string_equal(a.words[n].key, b.words[n].key);
        assert_string_equal(a.words[n].text, b.words[n].text);
        seeds += strcmp(a.words[n].key, "seed") == 0 && strcmp(a.words[n].text, "7") == 0;
    }
    assert_true(n == 5 && seeds == 1 && !b.words[n].key); // command, level, plant, program, seed
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
    write_plain("plain.hdf5");
    cli_refused(3, "export plain.hdf5 --minari m", "plain.hdf5: next_observations: is not there");
    cli_refused(2, "export a.hdf5 --id x-v0", "--id: found 'x-v0' without --minari");
    cli_refused(2, "card", "found 0 data sets");
    assert_int_equal(access("x.hdf5", F_OK), -1);
    assert_int_equal(access("m", F_OK), -1);
}

static void a_world_that_is_not_the_sets_is_refused(void **state) {
    (void)state;
    write_set("a.hdf5", -1);
    write_set_of("says-hopper.hdf5", -1, "hopper");
    write_set_of("says-pendulum.hdf5", -1, "pendulum"); // which shows 3 numbers and takes 1
    write_set_of("says-other.hdf5", -1, "my-robot");
    write_set_of("says-cartpole.hdf5", -1, "cartpole");
    const struct {
        int         status;
        const char *set, *world, *words;
    } cases[] = {
        {2, "a", "--world hoper",
         "--world: found 'hoper', wanted one of pendulum, hopper, half-cheetah, walker2d, ant"},
        {2, "a", "--world cartpole", "--world: found 'cartpole'"},
        {2, "a", "--world synopsis", "--world: found 'synopsis'"},
        {2, "a", "--world=", "--world: found ''"},
        {2, "a", "--world pendulum",
         "a.hdf5: observations: found 11 numbers, and actions of 3, wanted 3 and 1: those of pendulum, as --world "
         "says"},
        {2, "a", "--world ant", "wanted 105 and 8"},
        {2, "says-hopper", "--world walker2d", "says-hopper.hdf5: metadata/world: found 'hopper', wanted 'walker2d'"},
        {2, "says-other", "--world hopper", "metadata/world: found 'my-robot', wanted 'hopper'"},
        {3, "says-cartpole", "", "says-cartpole.hdf5: metadata/world: found 'cartpole', whose actions are no vectors"},
        {3, "says-pendulum", "",
         "says-pendulum.hdf5: observations: found 11 numbers, and actions of 3, wanted 3 and 1: those of pendulum, as "
         "metadata/world says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *verbs[] = {"card %s.hdf5 %s", "import hdf5 %s.hdf5 %s --out x.hdf5"};
        for (int v = 0; v < 2; v++) {
            char command[128];
            snprintf(command, sizeof command, v ? verbs[1] : verbs[0], cases[i].set, cases[i].world);
            cli_refused(cases[i].status, command, cases[i].words);
        }
    }
    assert_int_equal(access("x.hdf5", F_OK), -1);
    cli_refused(2, "collect walker2d --level medium-expert --medium says-hopper.hdf5 --expert a.hdf5 --out x.hdf5",
                "says-hopper.hdf5: metadata/world: found 'hopper', wanted 'walker2d', as collect says");
    // A world that nobody here knows is the file's own business.
    cli_status(cli("card says-other.hdf5"), 0);
    cli_status(cli("card says-hopper.hdf5 --world hopper"), 0);
    cli_status(cli("import hdf5 says-other.hdf5 --out kept.hdf5"), 0);
    cli_refused(2, "card kept.hdf5 --world hopper", "kept.hdf5: metadata/world: found 'my-robot'");
    cli_status(cli("export says-hopper.hdf5 --minari gym"), 0);
    cli_write("gym/data/metadata.json", "{\"env_spec\": \"{\\\"id\\\": \\\"Walker2d-v5\\\"}\"}");
    cli_refused(3, "card gym", "gym: observations: found 11 numbers", "those of walker2d, as metadata.json: env_spec");
    cli_refused(2, "card gym --world hopper", "gym: metadata.json: env_spec: found 'walker2d', wanted 'hopper'");
}

// JSON is UTF-8; names of files and what strangers wrote need not be.
static void what_json_cannot_say_is_refused_or_left_out(void **state) {
    (void)state;
    write_set("p\xff.hdf5", -1);
    write_set_of("strange.hdf5", -1, "hop\xff");
    cli_status(cli("card p\xff.hdf5"), 0);
    const char *verbs[] = {"card p\xff.hdf5 --json", "import hdf5 p\xff.hdf5 --out new.hdf5 --json"};
    for (int v = 0; v < 2; v++) {
        const cli_outcome o = cli("%s", verbs[v]);
        cli_status(o, 3);
        assert_string_equal(o.out, "");
        assert_non_null(strstr(o.err, "--json: found a name or another text that is not UTF-8"));
    }
    json_t *c = cli_json("card strange.hdf5 --json");
    assert_true(json_is_null(json_object_get(c, "world")));
    json_decref(c);
    assert_non_null(strstr(cli("import hdf5 strange.hdf5 --out nameless.hdf5").err, "no place: 1: metadata/world"));
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
    assert_float_equal(json_number_value(json_object_get(c, "action_uniform")), 1 / sqrt(3), 1e-9);
    assert_string_equal(json_string_value(json_object_get(c, "action_bounds")), "world");
    json_decref(c);
    c = cli_json("card a.hdf5 --json");
    assert_string_equal(json_string_value(json_object_get(c, "action_bounds")), "data");
    assert_true(json_is_null(json_object_get(c, "score")) && json_is_null(json_object_get(c, "world")));
    json_decref(c);
    const cli_outcome o = cli("card a.hdf5 --world hopper");
    cli_status(o, 0);
    assert_non_null(strstr(o.out, "a.hdf5, hopper: 150 rows, observations of 11 numbers, actions of 3"));
    assert_non_null(strstr(o.out, "30, of which 30 finished; 30 rows terminal, 0 at a timeout; 149 transitions"));
    assert_non_null(strstr(o.out, "is not known from its card"));
    assert_non_null(strstr(o.out, "(drawn evenly in -1..1, the world's bounds: 0.577)"));
    assert_non_null(strstr(cli("card a.hdf5").out, "(drawn evenly in -1..1, what the data have: 0.577)"));
    // A pendulum's torque goes from -2 to 2, whatever the set's do.
    const cli_outcome made = cli("collect pendulum --level random --n 300 --out torque.hdf5");
    cli_status(made, 0);
    assert_non_null(strstr(made.out, "(drawn evenly in -2..2, the world's bounds: 1.155)"));
    assert_non_null(strstr(cli("card torque.hdf5").out, "(drawn evenly in -2..2, the world's bounds: 1.155)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_goes_to_minari_and_back),
        cmocka_unit_test(what_is_said_of_a_set_comes_along),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_world_that_is_not_the_sets_is_refused),
        cmocka_unit_test(what_json_cannot_say_is_refused_or_left_out),
        cmocka_unit_test(the_card_says_its_numbers),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
