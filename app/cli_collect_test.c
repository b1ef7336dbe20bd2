// Goal:   a set is what D4RL's recipe says: whole episodes cut at the wanted row, the action that was done beside what
//         was seen before it and paid for it, ends told apart from time limits, the same bytes for the same words; and
//         every wrong wish is refused by name.
// Method: the real program on the pendulum, with a policy of a short run of sac. Rows are judged by the pendulum's
//         published reward, computed here from the row's own numbers; a robot's by its positions and speeds, of which
//         its observation is made.
#include "app/cli_program.h"

#include <math.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/hdf5.h"
#include "store/logged.h"

#define TINY  "--world pendulum --network.width 8 --threads 1 "
#define STEPS "steps 600 --%s.block 200 --%s.batch 16 --%s.start_steps 100"

static mg_logged read_set(const char *path) {
    mg_logged l;
    if (mg_logged_read(path, &cli_arena, &l)) fail_msg("%s", mg_err_detail());
    return l;
}

static const char *metadata(const char *path, const char *key) {
    mg_hdf5 h;
    if (mg_hdf5_open(&h, path)) fail_msg("%s", mg_err_detail());
    const char *text = mg_hdf5_text(&h, mg_path(&cli_arena, "metadata/%s", key), &cli_arena);
    mg_hdf5_close(&h);
    return text;
}

static long long whole(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static const char *text(const json_t *o, const char *part, const char *key) {
    return json_string_value(json_object_get(json_object_get(o, part), key));
}

// Gymnasium's Pendulum-v1: -(angle^2 + .1 speed^2 + .001 torque^2).
static void rows_are_the_pendulums(const mg_logged *l) {
    for (int64_t i = 0; i < l->rows; i++) {
        const float *s     = l->observation + 3 * i;
        const double angle = atan2((double)s[1], (double)s[0]), speed = (double)s[2], torque = (double)l->action[i];
        assert_true(fabs(torque) <= 2);
        assert_true(fabs((double)l->reward[i] + angle * angle + .1 * speed * speed + .001 * torque * torque) < 1e-4);
        assert_int_equal(l->terminal[i], 0);
        assert_int_equal(l->timeout[i], i % 200 == 199);
        if (i + 1 < l->rows && !l->timeout[i]) assert_memory_equal(l->next + 3 * i, s + 3, 3 * sizeof *s);
    }
}

static void random_actions_make_whole_episodes(void **state) {
    (void)state;
    json_t *r = cli_json("collect pendulum --level random --n 500 --out sets/r.hdf5 --json");
    assert_int_equal(whole(r, "rows"), 500);
    assert_int_equal(whole(r, "episodes"), 3);
    assert_int_equal(whole(r, "finished"), 2);
    assert_int_equal(whole(json_object_get(r, "attempts"), "kept"), 3);
    assert_string_equal(text(r, "made", "level"), "random");
    json_decref(r);
    const mg_logged l = read_set("sets/r.hdf5");
    double          mean = 0, square = 0;
    assert_int_equal(l.rows, 500);
    assert_string_equal(l.world, "pendulum");
    assert_null(l.qpos);
    rows_are_the_pendulums(&l);
    for (int i = 0; i < 500; i++) {
        mean += (double)l.action[i] / 500, square += (double)l.action[i] * (double)l.action[i] / 500;
        assert_true(fabs((double)l.logp[i] + log(2)) < 1e-6); // evenly in [-1, 1], whatever the torque's limit
    }
    assert_true(fabs(mean) < .25 && fabs(square - 4. / 3) < .25);
    assert_non_null(strstr(metadata("sets/r.hdf5", "command"), "collect pendulum --level random --n 500"));
    assert_string_equal(metadata("sets/r.hdf5", "seed"), "1");
    assert_null(metadata("sets/r.hdf5", "environment_version")); // which is a robot's
    cli_status(cli("collect pendulum --level random --n 200 --environment.shift_mass 1.5 --out heavy.hdf5"), 0);
    assert_string_equal(metadata("heavy.hdf5", "plant"), "mass 1.5, friction 1, gravity 1, action delay 0");
}

static void the_same_words_make_the_same_rows(void **state) {
    (void)state;
    cli_status(cli("collect pendulum --level medium --model sac --n 450 --out a.hdf5"), 0);
    cli_status(cli("collect pendulum --level medium --model sac/model --n 850 --threads 2 --out b.hdf5"), 0);
    cli_status(cli("collect pendulum --level medium --model sac --n 450 --seed 2 --out c.hdf5"), 0);
    const mg_logged a = read_set("a.hdf5"), b = read_set("b.hdf5"), c = read_set("c.hdf5");
    assert_memory_equal(a.observation, b.observation, sizeof(float) * 3 * 450);
    assert_memory_equal(a.action, b.action, sizeof(float) * 450);
    assert_memory_equal(a.logp, b.logp, sizeof(float) * 450);
    assert_memory_not_equal(a.action, c.action, sizeof(float) * 450);
    rows_are_the_pendulums(&b);
}

static void a_policy_explores_and_is_named_by_its_hash(void **state) {
    (void)state;
    json_t         *r = cli_json("collect pendulum --level expert --model sac --n 400 --out e.hdf5 --json");
    const mg_logged l = read_set("e.hdf5");
    size_t          size;
    uint8_t         hash[32];
    char            hex[65];
    const char     *weights = cli_read("sac/model/model.safetensors", &size);
    SHA256((const uint8_t *)weights, size, hash);
    for (int i = 0; i < 32; i++) sprintf(hex + 2 * i, "%02x", hash[i]);
    assert_string_equal(text(r, "made", "policy_sha256"), hex);
    assert_string_equal(metadata("e.hdf5", "policy_sha256"), hex);
    json_decref(r);
    // Two episodes begin in different states and draw different actions; a tanh's density in [-1, 1] has no bound.
    assert_true(l.action[0] != l.action[1] && l.logp[0] != l.logp[1] && l.logp[0] != l.logp[200]);
}

static void a_replay_buffer_is_what_a_run_has_learnt_from(void **state) {
    (void)state;
    json_t *r = cli_json("collect pendulum --level medium-replay --run sac --out mr.hdf5 --json");
    assert_int_equal(whole(r, "rows"), 600);
    assert_int_equal(whole(r, "finished"), 3);
    assert_string_equal(text(r, "made", "algorithm"), "sac");
    json_decref(r);
    mg_logged l = read_set("mr.hdf5");
    rows_are_the_pendulums(&l);
    assert_null(l.logp);
    cli_status(cli("collect pendulum --level medium-replay --run sac --n 250 --out early.hdf5"), 0);
    const mg_logged early = read_set("early.hdf5");
    assert_memory_equal(early.observation, l.observation, sizeof(float) * 3 * 250);
    cli_refused(3, "collect pendulum --level medium-replay --run sac --n 601 --out x.hdf5", "0 to 600");
    assert_false(mg_file_exists("x.hdf5"));
}

static void two_sets_become_one(void **state) {
    (void)state;
    cli_status(cli("collect pendulum --level random --n 450 --out one.hdf5"), 0);
    cli_status(cli("collect pendulum --level expert --model sac --n 300 --out two.hdf5"), 0);
    cli_status(cli("collect pendulum --level medium-expert --medium one.hdf5 --expert two.hdf5 --out both.hdf5"), 0);
    const cli_outcome few = cli("collect pendulum --level medium-expert --medium one.hdf5 --expert two.hdf5 --n 9000 "
                                "--out few.hdf5");
    cli_status(few, 0);
    assert_non_null(strstr(few.err, "--n: found 9000, but medium-expert has 700 rows to give")); // 400 and 300
    const mg_logged one = read_set("one.hdf5"), two = read_set("two.hdf5"), both = read_set("both.hdf5");
    assert_int_equal(both.rows, 700);
    rows_are_the_pendulums(&both);
    assert_memory_equal(both.action, one.action, sizeof(float) * 400);
    assert_memory_equal(both.action + 400, two.action, sizeof(float) * 300);
    assert_memory_equal(both.logp + 400, two.logp, sizeof(float) * 300);
    assert_string_equal(mg_logged_says(&both, "plant"), "mass 1, friction 1, gravity 1, action delay 0");
}

// The physics that made the rows go with them: into the card, into a joined set, and against those of a run.
static void a_sets_plant_is_told(void **state) {
    (void)state;
    cli_status(cli("collect pendulum --level random --n 450 --seed 4 --out light.hdf5"), 0);
    cli_status(cli("collect pendulum --level random --n 300 --seed 4 --environment.shift_mass 3 --out three.hdf5"), 0);
    const char *join = "collect pendulum --level medium-expert --medium light.hdf5 --expert three.hdf5 --out no.hdf5";
    cli_refused(2, join, "three.hdf5: metadata/plant: found 'mass 3, friction 1, gravity 1, action delay 0'",
                "wanted 'mass 1, friction 1, gravity 1, action delay 0'");
    assert_false(mg_file_exists("no.hdf5"));
    const cli_outcome card = cli("card three.hdf5");
    cli_status(card, 0);
    assert_non_null(strstr(card.out, "plant               mass 3, friction 1, gravity 1, action delay 0\n"));
    assert_non_null(strstr(card.out, "level               random\n"));
    json_t *c = cli_json("card three.hdf5 --json");
    assert_string_equal(text(c, "made", "plant"), "mass 3, friction 1, gravity 1, action delay 0");
    json_decref(c);
    cli_status(cli("collect pendulum --level medium-expert --medium light.hdf5 --expert light.hdf5 --out twice.hdf5"),
               0);
    assert_string_equal(metadata("twice.hdf5", "plant"), "mass 1, friction 1, gravity 1, action delay 0");
    assert_string_equal(metadata("twice.hdf5", "seed"), "4");
    assert_string_equal(metadata("twice.hdf5", "level"), "medium-expert");
    const char       *td3  = "train --algo td3_bc --td3_bc.offline_updates 20 --td3_bc.steps 0 --td3_bc.batch 16 " TINY;
    const char *const said = "three.hdf5 was logged on another plant than the run's: metadata/plant is 'mass 3, ";
    const cli_outcome other = cli("%s --data three.hdf5 --out other", td3);
    cli_status(other, 0);
    assert_non_null(strstr(other.err, said));
    assert_non_null(strstr(cli_read("other/report.html", NULL), "logged on another plant than the run&#39;s"));
    const cli_outcome same = cli("%s --data three.hdf5 --environment.shift_mass 3 --out same", td3);
    cli_status(same, 0);
    assert_null(strstr(same.err, "another plant"));
}

static void a_robots_set_has_its_state(void **state) {
    (void)state;
    const cli_outcome o = cli("collect hopper --level random --n 300 --out hopper.hdf5");
    if (o.status == 3 && strstr(o.err, "without MuJoCo")) skip();
    cli_status(o, 0);
    cli_status(cli("collect hopper --level random --n 300 --environment.version v4 --out older.hdf5"), 0);
    cli_refused(2, "collect hopper --level medium-expert --medium hopper.hdf5 --expert older.hdf5 --out both4.hdf5",
                "older.hdf5: metadata/environment_version: found 'v4'", "'v5'");
    const mg_logged l = read_set("hopper.hdf5");
    int             ends = 0;
    assert_true(l.rows == 300 && l.nq == 6 && l.nv == 6);
    for (int i = 0; i < 300; i++) {
        for (int j = 0; j < 5; j++) assert_true(l.observation[11 * i + j] == l.qpos[6 * i + 1 + j]);
        for (int j = 0; j < 6; j++)
            assert_true(l.observation[11 * i + 5 + j] == fminf(fmaxf(l.qvel[6 * i + j], -10), 10));
        if (l.terminal[i]) ends++;
        else if (i < 299) assert_memory_equal(l.next + 11 * i, l.observation + 11 * (i + 1), 11 * sizeof(float));
        assert_true(l.timeout[i] == 0 && fabs((double)l.logp[i] + 3 * log(2)) < 1e-6);
    }
    assert_true(ends > 5); // a hopper that twitches falls soon
}

static void what_cannot_be_collected_is_refused(void **state) {
    (void)state;
    cli_refused(2, "collect pendulum --out x.hdf5", "--level: found nothing", "medium-replay");
    cli_refused(2, "collect pendulum --level simple --out x.hdf5", "--level: found simple");
    cli_refused(2, "collect pendulum --level medium --out x.hdf5", "--model", "nothing", "medium");
    cli_refused(2, "collect pendulum --level random --model sac --out x.hdf5", "--model", "random", "not");
    cli_refused(2, "collect pendulum --level medium-expert --medium e.hdf5 --out x.hdf5", "--expert");
    cli_refused(2, "collect pendulum --level random", "--out");
    cli_refused(2, "collect --level random --out x.hdf5", "worlds");
    cli_refused(2, "collect pendulum --level random --n 0 --out x.hdf5", "--n", "0");
    cli_refused(2, "collect pendulum --level random --n 10 --sed 3 --out x.hdf5",
                "--sed: no such option or key (did you mean --seed?)");
    cli_refused(2, "collect pendulum --level random --n 10 --world hopper --out x.hdf5", "--world: found 'hopper'");
    cli_refused(2, "collect pendulum --level random --n 10 --algo sac --out x.hdf5", "--algo: found 'sac'");
    cli_refused(2, "collect pendulum --lvl medium --out x.hdf5",
                "--lvl: no such option or key (did you mean --level?)");
    cli_refused(2, "collect pendulum --level medium-replay --run sac --environment.shift_mass 2 --out x.hdf5",
                "--environment.shift_mass: found '2', wanted none", "medium-replay");
    cli_refused(2, "collect nowhere --level random --n 10 --out x.hdf5", "nowhere");
    cli_refused(2, "collect cartpole --level random --n 10 --out x.hdf5", "cartpole");
    cli_refused(2, "collect support-desk --level random --n 10 --out x.hdf5", "support-desk");
    cli_refused(2, "collect hopper --level medium --model sac/model --n 10 --out x.hdf5", "11");
    cli_refused(2, "collect pendulum --level medium --model nowhere --n 10 --out x.hdf5", "nowhere");
    cli_refused(2, "collect pendulum --level medium --model td3 --n 10 --out x.hdf5", "td3", "sac");
    cli_refused(2, "collect hopper --level medium-replay --run sac --out x.hdf5", "pendulum", "hopper");
    cli_refused(3, "collect pendulum --level medium-replay --run nowhere --out x.hdf5", "nowhere/run.yaml");
    cli_refused(2, "collect hopper --level medium-expert --medium e.hdf5 --expert e.hdf5 --out x.hdf5", "pendulum");
    cli_refused(2, "collect pendulum --level medium-expert --medium no.hdf5 --expert e.hdf5 --out x.hdf5", "no.hdf5");
    assert_false(mg_file_exists("x.hdf5") || mg_file_exists("x.hdf5.tmp"));
    cli_refused(2, "collect pendulum --level random --n 10 --out e.hdf5", "there already");
}

// A set says which of the bundled worlds it is of; what a process is nobody here knows.
static void a_process_is_not_collected_from(void **state) {
    (void)state;
    cli_refused(2, "collect synopsis --level random --environment.command ./world --n 25 --out x.hdf5",
                "environment.command: found './world', wanted none", "bundled");
    cli_refused(2, "collect pendulum --level medium --model sac --environment.command ./world --n 25 --out x.hdf5",
                "environment.command: found './world'");
    // A run that was trained in one, as its settings say.
    if (mg_folder_make("far")) fail_msg("%s", mg_err_detail());
    cli_write("far/run.yaml", "algo: sac\nenvironment:\n  command: ./world\n");
    cli_refused(2, "collect synopsis --level expert --model far --n 25 --out x.hdf5",
                "environment.command of far: found './world', wanted none");
    cli_refused(2, "collect synopsis --level medium-replay --run far --n 25 --out x.hdf5",
                "environment.command of far: found './world', wanted none");
    assert_false(mg_file_exists("x.hdf5"));
}

static void the_help_says_that_a_stop_leaves_nothing(void **state) {
    (void)state;
    const cli_outcome o = cli("collect --help");
    cli_status(o, 0);
    assert_non_null(strstr(o.out, "Ctrl-C"));
    assert_non_null(strstr(o.out, "leaves nothing"));
}

// What was played would be lost.
static void where_nothing_can_be_written_nothing_is_played(void **state) {
    (void)state;
    char name[301];
    memset(name, 'x', sizeof name), name[300] = 0;
    cli_write("file.txt", "x");
    const struct { const char *out, *words; } cases[] = {
        {"file.txt/x.hdf5", "file.txt: Not a directory"},
        {"/proc/x.hdf5", "create /proc/x.hdf5.tmp: No such file or directory"},
        {mg_path(&cli_arena, "new/%s", name), "File name too long"}};
    for (int i = 0; i < 3; i++) {
        const cli_outcome o = cli("collect pendulum --level random --n 500 --out %s", cases[i].out);
        cli_status(o, 3);
        if (!strstr(o.err, cases[i].words) || strstr(o.err, "errno") || strstr(o.err, "500"))
            fail_msg("'%s', wanted '%s' and no rows", o.err, cases[i].words);
    }
    cli_status(cli("collect pendulum --level random --n 500 --out new/set.hdf5"), 0);
    assert_false(mg_file_exists("new/set.hdf5.tmp"));
}

// examples/offline-to-online.yaml, a thousandth of it.
static void from_a_set_to_a_controller(void **state) {
    (void)state;
    const char *small = "--network.width 8 --threads 1 --td3_c.block 200 --td3_c.offline_updates 200 --td3_c.steps 400 "
                        "--td3_c.batch 16 --guard.verdict_episodes 6 --guard.episodes 2";
    const char *train = mg_path(&cli_arena, "train %s/examples/offline-to-online.yaml %s --out tuned", cli_source,
                                small);
    // No policy is here.
    cli_refused(2, train, "data/pendulum-medium.hdf5", "`train --algo sac --world pendulum --out RUN`",
                "`collect pendulum --level medium --model RUN --out data/pendulum-medium.hdf5`");
    cli_refused(2, mg_path(&cli_arena, "%s --world hopper", train), "data/hopper-medium.hdf5", "collect hopper");
    cli_refused(2, mg_path(&cli_arena, "%s --world cartpole", train), "data/cartpole-medium.hdf5", "are choices");
    cli_refused(2, mg_path(&cli_arena, "%s --data {wrld}/{world}.hdf5", train),
                "data: found '{wrld}' in '{wrld}/{world}.hdf5', wanted {world}, {seed} or no brace");
    cli_refused(2, mg_path(&cli_arena, "%s --data {world}/{world.hdf5", train), "data: found '{world.hdf5' in");
    cli_refused(2, mg_path(&cli_arena, "%s --data {world}/{world}.hdf5", train), "'pendulum/pendulum.hdf5'");
    if (mg_folder_make("models/pendulum-medium")) fail_msg("%s", mg_err_detail());
    cli_refused(2, train, "`collect pendulum --level medium --model models/pendulum-medium --out data/pend");
    const char *model = mg_path(&cli_arena, "%s/models/pendulum-medium", cli_source);
    cli_status(cli("collect pendulum --level medium --model %s --n 2000 --out data/pendulum-medium.hdf5", model), 0);
    cli_status(cli("%s", train), 0);
    assert_non_null(strstr(cli_read("tuned/run.yaml", NULL), "data/pendulum-medium.hdf5"));
    assert_true(mg_file_exists("tuned/model/config.json"));
}

static int train_small(void **state) {
    if (cli_open(state)) return 1;
    const char *const algos[] = {"sac", "td3"};
    for (int i = 0; i < 2; i++) {
        const char *a = algos[i];
        const cli_outcome o = cli("train --algo %s --out %s " TINY "--%s." STEPS, a, a, a, a, a, a);
        if (o.status) {
            print_message("%s", o.err);
            return 1;
        }
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_actions_make_whole_episodes),
        cmocka_unit_test(the_same_words_make_the_same_rows),
        cmocka_unit_test(a_policy_explores_and_is_named_by_its_hash),
        cmocka_unit_test(a_replay_buffer_is_what_a_run_has_learnt_from),
        cmocka_unit_test(two_sets_become_one),
        cmocka_unit_test(a_sets_plant_is_told),
        cmocka_unit_test(a_robots_set_has_its_state),
        cmocka_unit_test(what_cannot_be_collected_is_refused),
        cmocka_unit_test(a_process_is_not_collected_from),
        cmocka_unit_test(the_help_says_that_a_stop_leaves_nothing),
        cmocka_unit_test(where_nothing_can_be_written_nothing_is_played),
        cmocka_unit_test(from_a_set_to_a_controller),
    };
    return cmocka_run_group_tests(tests, train_small, cli_close);
}
