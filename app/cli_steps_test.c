// Goal:   learners from a replay buffer are runs like any other: from a dozen lines to a policy that plays, again with
//         the same bytes after an interruption and with other threads, from logged data to the world, one after
//         another; and every wrong wish is refused by name.
// Method: the real program on the pendulum, a few small blocks each; a small data set written here;
//         docs/ENVIRONMENTS.md's process for a stranger's world.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/logged.h"
#include "store/store.h"

#define OFTEN "--checkpoint_every 1 --checkpoints_kept 9 --threads 1 "
#define SMALL(algo)                                                                                           \
    OFTEN "--" algo ".steps 600 --" algo ".block 200 --" algo ".start_steps 200 --" algo ".batch 16 --" algo \
          ".replay 500 "

static void train(const char *algo, const char *out, const char *more) {
    cli_status(cli("train examples/%s.yaml --out %s " OFTEN "--%s.steps 600 --%s.block 200 --%s.start_steps 200 "
                   "--%s.batch 16 --%s.replay 500 %s", algo, out, algo, algo, algo, algo, algo, more), 0);
}

// Three hundred steps of anything, with a time limit at every hundredth.
static void write_data(const char *path, int64_t obs, const char *world, float pays) {
    enum { ROWS = 300 };
    float   seen[ROWS * 4], done[ROWS], paid[ROWS];
    uint8_t no[ROWS] = {0}, cut[ROWS];
    for (int i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < obs; j++) seen[obs * i + j] = (float)((i * 7 + j) % 11) / 11;
        done[i] = (float)(i % 6) - 2, paid[i] = pays - (float)(i % 3), cut[i] = i % 100 == 99; // 3 lies beyond +-2
    }
    const mg_logged l = {.rows = ROWS, .obs = obs, .act = 1, .observation = seen, .action = done, .reward = paid,
                         .terminal = no, .timeout = cut, .world = world};
    if (mg_d4rl_write(path, &l)) fail_msg("%s", mg_err_detail());
}

static void a_run_is_repeated_by_any_number_of_threads(void **state) {
    (void)state;
    static const char *const algos[] = {"td3", "sac"};
    for (int i = 0; i < 2; i++) {
        train(algos[i], mg_path(&cli_arena, "%s-one", algos[i]), "");
        train(algos[i], mg_path(&cli_arena, "%s-two", algos[i]), "--threads 2");
        static const char *const same[] = {"model/model.safetensors", "model/critic/model.safetensors", "replay.bin",
                                           "checkpoints/000003/optimiser.safetensors",
                                           "checkpoints/000003/critic_target/model.safetensors"};
        for (size_t k = 0; k < sizeof same / sizeof *same; k++)
            cli_same_bytes(mg_path(&cli_arena, "%s-one/%s", algos[i], same[k]),
                           mg_path(&cli_arena, "%s-two/%s", algos[i], same[k]));
    }
}

// As if the program had been killed behind the second block: the buffer is longer than the checkpoint says.
static void a_run_goes_on_where_it_was_cut(void **state) {
    (void)state;
    static const char *const algos[] = {"td3", "sac"};
    for (int i = 0; i < 2; i++) {
        const char *cut = mg_path(&cli_arena, "%s-cut", algos[i]), *one = mg_path(&cli_arena, "%s-one", algos[i]);
        train(algos[i], cut, "");
        assert_int_equal(system(mg_path(&cli_arena, "rm -r %s/model %s/checkpoints/00000[23]", cut, cut)), 0);
        cli_status(cli("train %s/run.yaml --resume", cut), 0);
        cli_same_bytes(mg_path(&cli_arena, "%s/model/model.safetensors", one),
                       mg_path(&cli_arena, "%s/model/model.safetensors", cut));
        cli_same_bytes(mg_path(&cli_arena, "%s/replay.bin", one), mg_path(&cli_arena, "%s/replay.bin", cut));
        cli_status(cli("replay %s --json", cut), 0); // its episodes play again as they were recorded
    }
}

// Killed before the first checkpoint, or somebody has removed them.
static void without_a_checkpoint_it_says_that_it_starts_over(void **state) {
    (void)state;
    train("td3", "bare", "");
    assert_int_equal(system("rm -r bare/model bare/checkpoints/*"), 0);
    const cli_outcome o = cli("train bare/run.yaml --resume");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "bare/checkpoints: found none to go on from: the run starts over"));
    cli_same_bytes("td3-one/model/model.safetensors", "bare/model/model.safetensors");
    cli_same_bytes("td3-one/replay.bin", "bare/replay.bin");
    assert_null(strstr(cli("train td3-one/run.yaml --resume").err, "starts over"));
}

static double metric(const json_t *r, const char *name) {
    const json_t *value = json_object_get(json_object_get(r, "metrics"), name);
    if (!json_is_number(value)) fail_msg("there is no metric %s", name);
    return json_number_value(value);
}

static void what_it_says_of_itself(void **state) {
    (void)state;
    json_t *r = cli_json("train examples/sac.yaml --out told " SMALL("sac") "--evaluate_every 2 --json");
    assert_true(metric(r, "steps") == 600 && metric(r, "gradient_steps") == 400);
    assert_true(metric(r, "episode_length") == 200 && metric(r, "return_length") == 200);
    assert_true(metric(r, "return") < 0 && metric(r, "return") > -2200 && metric(r, "return_deviation") > 0);
    assert_true(metric(r, "critic_loss") > 0 && metric(r, "alpha") > 0);
    json_decref(r);
    assert_non_null(strstr(cli_read("told/report.html", NULL), "episode_return"));
    mg_store *s;
    mg_ledger ledger;
    assert_int_equal(mg_store_open(&s, "told/run.db"), MG_OK);
    assert_int_equal(mg_store_ledger_read(s, 2, &cli_arena, &ledger), MG_OK);
    assert_true(ledger.replayed && ledger.n == 0);
    assert_int_equal(ledger.replay.high, 400); // of its two hundred steps none had entered yet
    assert_int_equal(ledger.replay.low, 0);    // it holds 500
    assert_int_equal(mg_store_verify(s), MG_OK);
    assert_int_equal(mg_store_close(s), MG_OK);
}

static void a_trained_policy_plays(void **state) {
    (void)state;
    json_t *r = cli_json("rollout --model td3-one --episodes 5 --out judged --json");
    assert_string_equal(json_string_value(json_object_get(r, "world")), "pendulum");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "verdicts"), "clean")), 5);
    json_decref(r);
}

// Data, then the world; and from one run to the next of its kind.
static void from_data_to_the_world(void **state) {
    (void)state;
    write_data("logged.hdf5", 3, "pendulum", 0);
    json_t *r = cli_json("train examples/td3_bc.yaml --out bc --data logged.hdf5 " OFTEN
                         "--td3_bc.offline_updates 300 --td3_bc.block 100 --td3_bc.batch 16 --json");
    assert_true(metric(r, "steps") == 0 && metric(r, "gradient_steps") == 300);
    assert_true(metric(r, "data_distance") > 0 && metric(r, "return") < 0);
    assert_false(mg_file_exists("bc/replay.bin")); // of data alone nothing is added
    json_decref(r);
    r = cli_json("train examples/td3_c.yaml --out c --model bc " SMALL("td3_c") "--td3_c.offline_updates 0 --json");
    // It had a policy, so nothing was drawn evenly first; but the buffer was empty until the first episode's end.
    assert_true(metric(r, "gradient_steps") == 400 && metric(r, "lambda") > 0 && metric(r, "action_distance") > 0);
    json_decref(r);
    r = cli_json("train examples/td3_c.yaml --out both --data logged.hdf5 " SMALL("td3_c")
                 "--td3_c.offline_updates 300 --td3_c.anchor frozen --json");
    assert_true(metric(r, "gradient_steps") == 300 + 600); // data can be drawn from at once
    json_decref(r);
    train("td3", "next", "--model c");
}

static void what_a_run_carries_on_from_another_is_said(void **state) {
    (void)state;
    cli_outcome o = cli("train examples/sac.yaml --out kin --model sac-one " SMALL("sac") "--sac.alpha 0.163 "
                        "--sac.alpha_lr 0");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "sac-one/model: policy, critics and Adam's moments are carried on\n"));
    assert_non_null(strstr(o.err, "sac-one/model: the temperature is not carried on, it begins at alpha, 0.163\n"));
    mg_store *store;
    mg_point *alpha;
    int64_t   n;
    assert_int_equal(mg_store_open(&store, "kin/run.db"), MG_OK);
    assert_int_equal(mg_store_metric_read(store, "alpha", &cli_arena, &alpha, &n), MG_OK);
    assert_int_equal(mg_store_close(store), MG_OK);
    assert_true(n > 0 && alpha[0].value > 0.1629 && alpha[n - 1].value < 0.1631);
    o = cli("train examples/td3.yaml --out kin-td3 --model td3-one " SMALL("td3") "--td3.moments reset");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "td3-one/model: policy and critics are carried on; Adam's moments begin at 0\n"));
}

// Its checkpoints go on with the buffer: an empty one in its place would be another run's.
static void a_run_does_not_go_on_without_its_buffer(void **state) {
    (void)state;
    train("sac", "robbed", "");
    assert_int_equal(system("rm -r robbed/model robbed/checkpoints/000003 robbed/replay.bin"), 0);
    assert_int_equal(system("ls -lR --time-style=full-iso robbed > before.txt"), 0);
    cli_refused(3, "train robbed --resume", "robbed/replay.bin: found nothing, wanted the replay buffer");
    assert_int_equal(system("ls -lR --time-style=full-iso robbed > after.txt"), 0);
    cli_same_bytes("before.txt", "after.txt"); // nothing was written
}

// Of as many rows under the same name: only what is in it tells.
static void a_run_goes_on_with_the_data_that_it_was_begun_with(void **state) {
    (void)state;
    write_data("other.hdf5", 3, "pendulum", -1);
    write_data("named.hdf5", 3, "pendulum", 0);
    cli_status(cli("train examples/td3_c.yaml --out fixed --data named.hdf5 " SMALL("td3_c")
                   "--td3_c.offline_updates 100"), 0);
    assert_int_equal(system("rm -r fixed/model fixed/checkpoints/00000[34]"), 0);
    assert_int_equal(system("mv named.hdf5 kept.hdf5 && cp other.hdf5 named.hdf5"), 0);
    cli_refused(2, "train fixed/run.yaml --resume", "named.hdf5 is not the set that the run was begun with: found 297 "
                "transitions with sha256 ", ", wanted 297 transitions with sha256 ");
    assert_int_equal(system("cp kept.hdf5 named.hdf5"), 0);
    cli_status(cli("train fixed/run.yaml --resume"), 0);
}

// A run is named by its folder as anywhere else, also where it was moved to.
static void a_run_goes_on_by_its_folders_name(void **state) {
    (void)state;
    train("td3", "here", "");
    assert_int_equal(system("rm -r here/model here/checkpoints/00000[23] && mkdir deep && mv here deep/there"), 0);
    cli_refused(2, "train deep/there", "deep/there: found a run", "train deep/there --resume");
    cli_refused(2, "train deep --resume", "deep: found a folder without run.yaml");
    cli_refused(2, "train deep/there --resume --td3.tau 0.1", "the run was begun with");
    const cli_outcome o = cli("train deep/there/ --resume");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "resuming behind update 1"));
    assert_false(mg_file_exists("here"));
    cli_same_bytes("deep/there/model/model.safetensors", "td3-one/model/model.safetensors");
    cli_status(cli("train deep/there --dry-run"), 0);
}

// --resume is proposed only where it would go on with the same thing.
static void what_lies_in_the_way_is_named(void **state) {
    (void)state;
    const char *small = "--threads 1 --network.width 8 --out td3-one";
    cli_refused(2, "train examples/td3.yaml --out td3-one",
                "td3-one: holds a run already; --resume goes on with it, --out names another");
    const struct { const char *key, *words; } others[] = {
        {"td3 --world hopper", "td3-one: holds a run already, of td3 in pendulum; --out names another"},
        {"sac --world pendulum", "td3-one: holds a run already, of td3 in pendulum; --out names another"},
        {"td3 --environment.command true", "td3-one: holds a run already, of td3 in pendulum; --out names another"}};
    for (int i = 0; i < 3; i++) {
        const cli_outcome o = cli("train --algo %s %s", others[i].key, small);
        cli_status(o, 2);
        if (!strstr(o.err, others[i].words) || strstr(o.err, "--resume")) fail_msg("%s", o.err);
    }
    cli_write("mine/notes.txt", "x");
    cli_refused(2, "train examples/td3.yaml --out mine", "mine: found 'notes.txt' in it and no run");
    cli_refused(2, "rollout --world pendulum --policy random --out mine", "mine: found 'notes.txt' in it and no run");
    cli_refused(2, "train examples/td3.yaml --out mine/notes.txt", "mine/notes.txt: found a file");
    cli_refused(2, "rollout --world pendulum --policy random --out mine/notes.txt/run",
                "mine/notes.txt/run: found a file there or on the way");
    assert_int_equal(rmdir("mine"), -1);
    assert_int_equal(unlink("mine/notes.txt") + rmdir("mine"), 0); // nothing else was put there
}

static void wrong_wishes_are_refused(void **state) {
    (void)state;
    cli_status(cli("collect pendulum --level random --n 1 --out row.hdf5"), 0);
    cli_refused(3, "train examples/td3_c.yaml --out x --data row.hdf5 " SMALL("td3_c"),
                "data: row.hdf5: found no transition among 1 rows");
    write_data("wide.hdf5", 4, NULL, 0);
    write_data("elsewhere.hdf5", 3, "hopper", 0);
    cli_refused(2, "train examples/td3_bc.yaml --out x --data wide.hdf5",
                "wide.hdf5 has 4 numbers of observations and 1 of actions, wanted 3 and 1: those of pendulum");
    cli_refused(2, "train examples/td3_bc.yaml --out x --data elsewhere.hdf5",
                "was logged in 'hopper', wanted 'pendulum'");
    cli_refused(2, "train examples/td3_bc.yaml --out x", "data: found none, wanted a file of transitions");
    cli_refused(2, "train examples/td3_bc.yaml --out x --data nowhere.hdf5", "data: found nothing at 'nowhere.hdf5'");
    cli_refused(2, "train examples/td3_c.yaml --out x --data logged.hdf5 --td3_c.anchor behind",
                "td3_c.anchor: found 'behind', wanted one of target frozen data");
    cli_refused(2, "train examples/td3.yaml --out x --td3.replay_mode twice", "wanted one of append empty half warmup");
    cli_refused(2, "train examples/td3_bc.yaml --out x --data logged.hdf5 --guard.enabled true",
                "guard.enabled: found true, wanted false: the policy acts in the world in none of");
    cli_refused(2, "train examples/sac.yaml --out x --guard.enabled true --guard.dense 0 --guard.every 21",
                "guard.every: found 21, with guard.dense 0, wanted at most 20");
    cli_refused(2, "train examples/td3.yaml --out x --world cartpole", "takes one of 2 choices, wanted one that takes");
    cli_refused(2, "train --algo sac --out x --world lock", "lock has texts, and sac is for worlds of vectors");
    // A checkpoint of another algorithm.
    cli_refused(2, "train examples/sac.yaml --out x --model td3-one", "has the head tanh, wanted tanh_gaussian");
    cli_refused(2, "train examples/td3.yaml --out x --model sac-one", "has the head tanh_gaussian, wanted tanh");
    assert_int_equal(system("cp -r td3-one/model alone && rm -r alone/critic"), 0);
    cli_refused(2, "train examples/td3.yaml --out x --model alone", "alone has no critics (critic/)");
    cli_refused(2, "train td3-one/run.yaml --resume --td3.tau 0.1", "the run was begun with");
    assert_false(mg_file_exists("x"));
}

// A stranger's: shown is a number, which is to be said again.
static const char echo[] =
    "import json, sys, random\n"
    "number, steps = 0.0, 0\n"
    "for line in sys.stdin:\n"
    "    call = json.loads(line)\n"
    "    answer = {'id': call['id'], 'nonce': call['nonce']}\n"
    "    if call['call'] == 'hello':\n"
    "        answer.update(observation={'vector': 1, 'low': -1, 'high': 1},\n"
    "                      action={'vector': 1, 'low': -1, 'high': 1}, steps_max=5)\n"
    "    if call['call'] == 'reset':\n"
    "        steps, source = 0, random.Random(call['seed'])\n"
    "    if call['call'] == 'step':\n"
    "        steps += 1\n"
    "        answer.update(reward=-abs(number - call['action'][0]), terminated=steps == 5, truncated=False)\n"
    "    if call['call'] in ('reset', 'step'):\n"
    "        number = source.uniform(-1, 1)\n"
    "        answer['observation'] = [number]\n"
    "    print(json.dumps(answer), flush=True)\n";

static void a_process_may_be_learnt_from_episode_by_episode(void **state) {
    (void)state;
    if (system("python3 -c pass")) skip();
    cli_write("echo.py", "%s", echo);
    cli_write("echo.yaml", "algo: sac\nout: echo\nthreads: 1\nenvironment:\n  command: python3 echo.py\nnetwork:\n"
                           "  width: 16\nsac:\n  steps: 200\n  block: 100\n  start_steps: 50\n  batch: 16\n");
    json_t *r = cli_json("train echo.yaml --json");
    assert_true(metric(r, "episode_length") == 5 && metric(r, "excluded") == 0);
    assert_true(metric(r, "return") < 0 && metric(r, "return") >= -10);
    json_decref(r);
    cli_refused(2, "train echo.yaml --out y --sac.stage step", "stage: found 'step', wanted 'episode'");
    assert_false(mg_file_exists("y"));
}

// A policy that has learnt nothing is no better on the pendulum than random actions.
static void what_a_guard_cannot_measure_is_said_in_words(void **state) {
    (void)state;
    const cli_outcome o = cli("train examples/sac.yaml --out idle --threads 1 --sac.steps 400 --sac.block 200 "
                              "--sac.start_steps 10 --sac.batch 8 --sac.lr 0 --guard.enabled true --guard.episodes 2 "
                              "--guard.verdict_episodes 6");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "guard: the start has nothing to lose: no dip can be measured"));
    assert_non_null(strstr(o.err, "not decided; no dip measured: the start has nothing to lose"));
}

// Its observations are of two numbers where one was promised.
static void a_guard_that_cannot_begin_says_why_and_leaves_a_report(void **state) {
    (void)state;
    if (system("python3 -c pass")) skip();
    cli_write("wide.py", "%s", echo);
    assert_int_equal(system("sed -i 's/\\[number\\]/[number, number]/' wide.py"), 0);
    cli_write("wide.yaml", "algo: sac\nenvironment:\n  command: python3 wide.py\n");
    cli_refused(1, "train wide.yaml --out wide --threads 1 --sac.steps 200 --sac.block 100 --sac.start_steps 50 "
                "--sac.batch 16 --guard.enabled true",
                "guard: none of 20 episodes of the starting policy went well", "the first: E.observation: ");
    assert_non_null(strstr(cli_read("wide/report.html", NULL), "The run made no update."));
}

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_repeated_by_any_number_of_threads),
        cmocka_unit_test(a_run_goes_on_where_it_was_cut),
        cmocka_unit_test(without_a_checkpoint_it_says_that_it_starts_over),
        cmocka_unit_test(a_run_goes_on_by_its_folders_name),
        cmocka_unit_test(what_lies_in_the_way_is_named),
        cmocka_unit_test(what_it_says_of_itself),
        cmocka_unit_test(a_trained_policy_plays),
        cmocka_unit_test(from_data_to_the_world),
        cmocka_unit_test(what_a_run_carries_on_from_another_is_said),
        cmocka_unit_test(a_run_does_not_go_on_without_its_buffer),
        cmocka_unit_test(a_run_goes_on_with_the_data_that_it_was_begun_with),
        cmocka_unit_test(wrong_wishes_are_refused),
        cmocka_unit_test(a_process_may_be_learnt_from_episode_by_episode),
        cmocka_unit_test(what_a_guard_cannot_measure_is_said_in_words),
        cmocka_unit_test(a_guard_that_cannot_begin_says_why_and_leaves_a_report),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
