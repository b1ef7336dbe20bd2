// Goal:   a run in a world of vectors is a run like any other: from a dozen lines to a policy that plays, again with
//         the same bytes after an interruption and with other threads, and every wrong wish is refused by name.
// Method: the real program on cartpole, a few small updates each; docs/ENVIRONMENTS.md's process for a stranger's world
//         of vectors.
#include "app/cli_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

#define SMALL "--ppo.updates 4 --ppo.episodes 6 --checkpoint_every 1 --checkpoints_kept 9 --threads 1 "

static void train(const char *out, const char *more) {
    cli_status(cli("train examples/cartpole_ppo.yaml " SMALL "--out %s %s", out, more), 0);
}

static void a_run_is_repeated_by_any_number_of_threads(void **state) {
    (void)state;
    train("one", "");
    cli_status(cli("train examples/cartpole_ppo.yaml " SMALL "--threads 2 --out two"), 0);
    cli_same_bytes("one/model/model.safetensors", "two/model/model.safetensors");
    cli_same_bytes("one/checkpoints/000004/critic/optimiser.safetensors",
                   "two/checkpoints/000004/critic/optimiser.safetensors");
    assert_false(mg_file_exists("one/tokenizer.json")); // there are no texts
    train("other", "--seed 2");
    assert_string_not_equal(cli_read("other/model/config.json", NULL), "");
    size_t size;
    char  *a = cli_read("one/model/model.safetensors", &size), *b = cli_read("other/model/model.safetensors", NULL);
    assert_memory_not_equal(a, b, size);
}

// As if the program had been killed behind the second update.
static void a_run_goes_on_where_it_was_cut(void **state) {
    (void)state;
    train("cut", "");
    cli_same_bytes("one/model/model.safetensors", "cut/model/model.safetensors");
    assert_int_equal(system("rm -r cut/model cut/checkpoints/000003 cut/checkpoints/000004"), 0);
    cli_status(cli("train cut/run.yaml --resume"), 0);
    cli_same_bytes("one/model/model.safetensors", "cut/model/model.safetensors");
}

static double mean_of(const json_t *r, const char *key) {
    return json_number_value(json_object_get(json_object_get(r, key), "estimate"));
}

static void a_trained_policy_plays(void **state) {
    (void)state;
    json_t *mode = cli_json("rollout --model one --episodes 20 --out mode --json");
    json_t *drawn = cli_json("rollout --model one/checkpoints/000001 --temperature 1 --episodes 20 --out drawn --json");
    assert_string_equal(json_string_value(json_object_get(mode, "world")), "cartpole");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(mode, "verdicts"), "clean")), 20);
    assert_true(mean_of(mode, "return") == mean_of(mode, "length") && mean_of(mode, "return") >= 8);
    assert_true(mean_of(drawn, "return") >= 8);
    // The folder of the model alone needs the world's name.
    json_t *named = cli_json("rollout --world cartpole --model one/model --episodes 20 --out named --json");
    assert_true(mean_of(named, "return") == mean_of(mode, "return"));
    json_decref(mode), json_decref(drawn), json_decref(named);
    cli_status(cli("replay mode --json"), 0);
    cli_status(cli("replay one --json"), 0); // what it was trained on, as well
}

static void training_goes_on_from_a_policy(void **state) {
    (void)state;
    train("further", "--model one");
    cli_same_bytes("one/model/config.json", "further/model/config.json");
}

static void wrong_wishes_are_refused(void **state) {
    (void)state;
    cli_refused(2, "train examples/pendulum_ppo.yaml --model one --out x",
                "model: one/model reads 4 numbers, wanted 3: those that pendulum shows");
    cli_refused(2, "rollout --world pendulum --model one --out x", "one/model reads 4 numbers, wanted 3");
    cli_refused(2, "rollout --data data --world synopsis --model one --out x", "is a perceptron", "language model");
    cli_refused(2, "train --algo ppo --data data --model one --out x", "is a perceptron");
    // A policy of no run does not say whose it is, nor what a script is that the world has not.
    assert_int_equal(system("cp -r one/model alone"), 0);
    cli_refused(2, "rollout --model alone --out x", "world: found synopsis", "--world NAME", "4 numbers", "alone");
    const cli_outcome o = cli("rollout --world pendulum --policy orakel --out x");
    cli_status(o, 2);
    if (!strstr(o.err, "own: oracle random zero") || strstr(o.err, "nor does")) fail_msg("%s", o.err);
    cli_refused(2, "train examples/cartpole_ppo.yaml --network.width 0 --out x", "network.width", "found '0'");
    cli_refused(2, "train examples/cartpole_ppo.yaml --reward_model base --out x", "reward_model: found 'base",
                "does nothing in cartpole");
    cli_refused(2, "train one/run.yaml --resume --network.width 32", "the run was begun with");
    cli_refused(2, "eval one --data data", "one acts in cartpole", "rollout judges it");
    cli_status(cli("export one --out exported"), 0);
    cli_refused(2, "eval exported --data data", "exported is a perceptron", "rollout judges it");
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

static void a_process_may_be_a_world_of_vectors(void **state) {
    (void)state;
    if (system("python3 -c pass")) skip();
    cli_write("echo.py", "%s", echo);
    cli_write("echo.yaml", "algo: ppo\nout: echo\nthreads: 1\nenvironment:\n  command: python3 echo.py\nnetwork:\n"
                           "  width: 16\nppo:\n  updates: 3\n  episodes: 8\n  minibatches: 2\n  kl_coef: 0\n");
    json_t *r = cli_json("train echo.yaml --json");
    assert_true(json_number_value(json_object_get(json_object_get(r, "metrics"), "length")) == 5);
    assert_true(json_number_value(json_object_get(json_object_get(r, "metrics"), "excluded")) == 0);
    json_decref(r);
    r = cli_json("rollout --model echo --episodes 8 --out echo-judged --json");
    assert_true(mean_of(r, "return") < 0 && mean_of(r, "return") > -10);
    json_decref(r);
    // What a process is like is known when it has been started: such keys are refused then.
    cli_refused(2, "train echo.yaml --out x --response_max 3", "response_max: found '3'", "does nothing in");
    cli_refused(2, "train echo.yaml --out x --network.heads 4", "network.heads: found '4'");
}

static int open_examples(void **state) {
    return cli_open(state) || symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_repeated_by_any_number_of_threads),
        cmocka_unit_test(a_run_goes_on_where_it_was_cut),
        cmocka_unit_test(a_trained_policy_plays),
        cmocka_unit_test(training_goes_on_from_a_policy),
        cmocka_unit_test(wrong_wishes_are_refused),
        cmocka_unit_test(a_process_may_be_a_world_of_vectors),
    };
    return cmocka_run_group_tests(tests, open_examples, cli_close);
}
