// Goal:   whatever is wrong with what a user has, the program says what, where and how to go on. No
//         kill, full disk or NaN costs more than the updates since the last checkpoint.
// Method: the real program; every kind of bad input; signals and limits at the worst moment.
#include "app/cli_program.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "nets/folder.h"

#define TRAIN_SFT "train --algo sft --data data " CLI_FROM_BASE " "

// ---- Models

// A copy of base/model to spoil.
static void copy_model(const char *to) {
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    assert_int_equal(mg_folder_make(to), MG_OK);
    for (int i = 0; i < 3; i++) {
        size_t      size;
        const char *data = cli_read(mg_path(&cli_arena, "base/model/%s", files[i]), &size);
        assert_int_equal(mg_file_write(mg_path(&cli_arena, "%s/%s", to, files[i]), data, size),
                         MG_OK);
    }
}

static void a_missing_model_is_named(void **state) {
    (void)state;
    copy_model("gone");
    assert_int_equal(unlink("gone/model.safetensors"), 0);
    cli_refused(3, "eval gone --data data", "gone: neither model.safetensors");
    cli_refused(3, "train --algo sft --data data --model gone --out x",
                "gone: neither model.safetensors");
    assert_int_equal(unlink("gone/config.json"), 0);
    cli_refused(3, "train --algo sft --data data --model gone --out x2", "gone/config.json",
                "No such file");
    assert_false(mg_file_exists("x2")); // found before anything was made
    cli_refused(2, "train --algo ppo --data data --out x2", "model", "model folder");
}

static void a_truncated_model_is_refused(void **state) {
    (void)state;
    copy_model("short");
    size_t size;
    cli_read("short/model.safetensors", &size);
    assert_int_equal(truncate("short/model.safetensors", (off_t)size - 4), 0);
    cli_refused(3, "eval short --data data", "short/model.safetensors", "outside");
    assert_int_equal(truncate("short/model.safetensors", 5), 0);
    cli_refused(3, "eval short --data data", "short/model.safetensors", "truncated: 5 bytes");
}

static void a_tokenizer_of_another_model_is_refused(void **state) {
    (void)state;
    copy_model("mixed");
    cli_status(cli("train --algo sft --data data --out large --sft.epochs 0.1 " CLI_NETWORK
                   " --network.vocab 300"), 0);
    size_t      size;
    const char *data = cli_read("large/model/tokenizer.json", &size);
    assert_int_equal(mg_file_write("mixed/tokenizer.json", data, size), MG_OK);
    cli_refused(3, "train --algo sft --data data --model mixed --out x3", "mixed", "300 tokens",
                "280");
    cli_refused(3, "eval mixed --data data", "mixed", "300", "280");
    cli_refused(3, "compare base large --data data", "large", "other tokens");
    cli_refused(3, "eval large --data data --reference base", "base", "280 tokens", "300");
    cli_status(
        cli("train --algo reward_model --preferences preferences --out large-rm --model large "
            "--prompt_max 40 --response_max 20 --reward_model.batch 24 --threads 1"),
        0);
    cli_refused(3, "train --algo grpo --data data --reward_model large-rm --out x3 " CLI_FROM_BASE,
                "large-rm", "300 tokens", "280");
    cli_refused(3, "compare base base --data data --reward-model large-rm", "large-rm",
                "other tokens");
    assert_false(mg_file_exists("x3"));
}

// ---- Configurations

static void a_wrong_key_value_or_range_is_refused_where_it_stands(void **state) {
    (void)state;
    static const struct {
        const char *text, *place, *key, *found;
    } cases[] = {
        {"algo: ppo\ndata: data\nppo:\n  epocs: 3\n", "c.yaml:4:3: ", "epocs",
         "did you mean epochs?"},
        {"algo: ppo\nppo:\n  updates: many\n", "c.yaml:3:12: ", "ppo.updates", "'many'"},
        {"algo: ppo\nppo:\n  gamma: 2\n", "c.yaml:3:10: ", "ppo.gamma", "0..1"},
        {"algo: ppo\nsft:\n  lr: 1\n", "c.yaml:2:1: ", "sft: found a section of another algorithm",
         "this file's algo is ppo"},
        {"ppo:\n  lr: 1\n", "c.yaml:1:1: ", "ppo: found a section of another", "algo is sft"},
        {"algo: ppo\nseed: 1\nseed: 2\n", "c.yaml:3:1: ", "seed", "once"},
        {"algo: pop\n", "c.yaml", "algo", "'pop'"},
        {"algo: [ppo\n", "c.yaml:2:", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_write("c.yaml", "%s", cases[i].text);
        cli_refused(2, "train c.yaml", cases[i].place, cases[i].key, cases[i].found);
    }
    cli_refused(2, TRAIN_SFT "--sft.lr 1e30 --out x4", "--sft.lr", "'1e30'", "0..1");
    cli_refused(2, TRAIN_SFT "--sft.batch 2.5 --out x4", "--sft.batch", "'2.5'", "integer");
    // What there is not is named before what it lacks.
    cli_refused(2, "train sft --resumee", "--resumee: no such option or key (did you mean --resume?)");
    cli_refused(2, "train sft --checkpoint-evry=3", "--checkpoint-evry: no such option or key (did you mean "
                "--checkpoint_every?)");
    cli_refused(2, "train sft --quietly", "--quietly: no such option or key; --help lists them");
    cli_refused(2, "train sft --seed", "--seed: found nothing behind it, wanted a value");
    cli_refused(2, "card x --wrld=a", "--wrld: no such option (did you mean --world?)");
    cli_refused(2, TRAIN_SFT "--sft.bach 2 --out x4", "--sft.bach", "did you mean batch?");
    cli_refused(2, TRAIN_SFT "--template prompt --out x4", "template", "{prompt}");
    cli_refused(2, "train nowhere.yaml", "nowhere.yaml", "found nothing");
    assert_false(mg_file_exists("x4"));
    // As a program reads it.
    const cli_outcome o = cli(TRAIN_SFT "--sft.batch 2.5 --json");
    json_t           *e = json_loads(o.err, 0, NULL);
    assert_non_null(e);
    assert_string_equal(json_string_value(json_object_get(e, "level")), "error");
    json_decref(e);
}

// ---- Data

static void an_empty_data_set_is_refused(void **state) {
    (void)state;
    cli_write("void/train.jsonl", "%s", "");
    cli_write("void/test.jsonl", "%s", "");
    cli_refused(3, "train --algo sft --data void --out x5", "void/train.jsonl", "empty");
    cli_refused(2, "train --algo grpo --world lock --data data --out x5 " CLI_FROM_BASE,
                "data/train.jsonl: found", "row 17 names no \"item\"", "16 tasks of lock");
    cli_refused(2, "train --algo sft --data nothing --out x5", "data: found nothing at 'nothing', wanted a folder");
    cli_refused(2, "train --algo sft --data data --model nowhere --out x5", "model: found nothing at 'nowhere'");
    cli_refused(2, "train --algo dpo --preferences nowhere --out x5 " CLI_FROM_BASE,
                "preferences: found nothing at 'nowhere'");
    cli_refused(2, "train --algo grpo --data data --reward_model nowhere --out x5 " CLI_FROM_BASE,
                "reward_model: found nothing at 'nowhere'");
    cli_refused(2, "rollout --model base --data nothing --out x5", "data: found nothing at 'nothing'");
    cli_refused(2, "eval base --data nothing", "data: found nothing at 'nothing'");
    cli_refused(3, "eval base --data void", "void/train.jsonl", "empty");
    cli_refused(2, "train --algo sft --out x5", "data", "sft learns from");
    cli_refused(2, "train --algo dpo --out x5 --data data " CLI_FROM_BASE, "preferences",
                "dpo learns from");
}

static void a_prompt_beyond_the_context_is_counted_and_said(void **state) {
    (void)state;
    char words[1200] = "";
    for (int i = 0; i < 190; i++) strcat(words, "brass ");
    const char *row =
        mg_path(&cli_arena, "{\"prompt\": \"%s\", \"completion\": \"tool\"}\n", words);
    cli_write("long/train.jsonl", "%s%s", cli_read("data/train.jsonl", NULL), row);
    cli_write("long/test.jsonl", "%s%s", row, row);
    cli_write("only/train.jsonl", "%s", row);

    // The network reads 64 tokens; 20 are kept for the answer.
    const char *sft =
        "train --algo sft --data long --model base --response_max 20 --threads 1 --sft.batch 8";
    cli_outcome o   = cli("%s --prompt_max 0 --out long1", sft);
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "25 rows; 1 prompts cut to 44 tokens; 0 rows dropped"));
    o = cli("%s --prompt_max 1000 --out long2", sft);
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "prompt_max is 44"));
    o = cli("%s --prompt_max 0 --cut_prompts false --out long3", sft);
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "0 prompts cut to 44 tokens; 1 rows dropped"));
    cli_refused(2, "train --algo sft --data only --model base --response_max 20 --cut_prompts false --out x6",
                "none of 1 rows fits", "at most 20 tokens");
    cli_refused(2, "train --algo sft --data long --model base --response_max 64 --out x6",
                "response_max", "at most 63");
    o = cli("eval base --data long --prompt-max 0 --json");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "2 of 2 prompts cut to 44 tokens"));
    json_t *r = cli_json(
        "rollout --model base --data long --split train --prompt-max 0 --out long4 --json");
    assert_int_equal(json_integer_value(json_object_get(r, "prompts_cut")), 1);
    json_decref(r);
}

static void drpo_without_references_is_refused(void **state) {
    (void)state;
    cli_refused(2, "train --algo drpo --out x7 " CLI_FROM_BASE, "data", "drpo learns from");
    cli_write("bare/train.jsonl", "%s", "{\"prompt\": \"a thing\"}\n");
    cli_refused(3, "train --algo drpo --data bare --out x7 " CLI_FROM_BASE, "bare/train.jsonl:1",
                "completion: found nothing");
    cli_write("mute/train.jsonl", "%s", "{\"prompt\": \"a thing\", \"completion\": \"\"}\n");
    cli_refused(2, "train --algo drpo --data mute --out x7 " CLI_FROM_BASE, "reset_source");
}

// ---- Interruption

// 24 updates, of which any may be the last before something happens.
#define PPO                                                                                    \
    "train --algo ppo --data data " CLI_FROM_BASE " --ppo.updates 24 --ppo.episodes 4 "        \
    "--checkpoint_every 6 --out "

// The run, sent the signals in call `at` of those that change a file (tools/kill_at.c; 0: none), so at a moment of its
// own and not of the clock's. How many there were is in RUN.calls, where it came to an end.
static cli_outcome struck(const char *signals, long at, const char *run) {
    const char *asan = getenv("ASAN_OPTIONS");
    setenv("ASAN_OPTIONS", "allow_user_segv_handler=0:verify_asan_link_order=0", 1); // the library comes before it
    setenv("MG_KILL_AT", mg_path(&cli_arena, "%ld", at), 1);
    setenv("MG_KILL_BY", signals, 1);
    setenv("MG_KILL_COUNT", mg_path(&cli_arena, "%s.calls", run), 1);
    setenv("LD_PRELOAD", getenv("MG_KILL_LIBRARY"), 1);
    const cli_outcome o = cli(PPO "%s", run);
    unsetenv("LD_PRELOAD");
    if (asan)
        setenv("ASAN_OPTIONS", asan, 1);
    else
        unsetenv("ASAN_OPTIONS");
    return o;
}

// The run that nothing happened to, made on first use.
static void make_whole(void) {
    if (mg_file_exists("whole.csv")) return;
    cli_status(struck("0", 0, "whole"), 0);
    cli_status(cli("export whole --metrics whole.csv --episodes whole.jsonl"), 0);
}

// In the middle of the calls of the whole run, behind its first checkpoint and before its last.
static cli_outcome struck_midway(const char *signals, const char *run) {
    make_whole();
    return struck(signals, atol(cli_read("whole.calls", NULL)) / 2, run);
}

static void same_as_whole(const char *run) {
    make_whole();
    cli_status(cli("export %s --metrics %s.csv --episodes %s.jsonl", run, run, run), 0);
    cli_same_bytes("whole/model/model.safetensors",
                   mg_path(&cli_arena, "%s/model/model.safetensors", run));
    cli_same_bytes("whole/checkpoints/000024/critic/optimiser.safetensors",
                   mg_path(&cli_arena, "%s/checkpoints/000024/critic/optimiser.safetensors", run));
    cli_same_bytes("whole.csv", mg_path(&cli_arena, "%s.csv", run));
    cli_same_bytes("whole.jsonl", mg_path(&cli_arena, "%s.jsonl", run));
}

#define STOPPING "stopping behind what is under way; once more ends it at once"

static void ctrl_c_keeps_a_checkpoint_and_resume_finishes(void **state) {
    (void)state;
    const cli_outcome o = struck_midway(mg_path(&cli_arena, "%d", SIGINT), "stopped");
    cli_status(o, 3);
    const char *words = mg_path(&cli_arena, "go on with: %s train stopped/run.yaml --resume", getenv("MG_PROGRAM"));
    assert_non_null(strstr(o.err, words)); // as it was called
    assert_false(mg_file_exists("stopped/model"));
    long long done, all; // the checkpoint is where it says that it stopped
    assert_int_equal(
        sscanf(strstr(o.err, "stopped behind"), "stopped behind update %lld of %lld", &done, &all),
        2);
    assert_int_equal(all, 24);
    assert_true(
        mg_file_exists(mg_path(&cli_arena, "stopped/checkpoints/%06lld/config.json", done)));
    cli_refused(2, PPO "stopped", "--resume goes on"); // never overwritten
    cli_status(cli(PPO "stopped --resume"), 0);
    same_as_whole("stopped");
}

// Of a terminal that is closed; said twice, as its shell may, it is one wish.
static void a_hang_up_asks_as_ctrl_c_does(void **state) {
    (void)state;
    const cli_outcome o = struck_midway(mg_path(&cli_arena, "%d,%d", SIGHUP, SIGHUP), "hung");
    cli_status(o, 3);
    const char *said = strstr(o.err, STOPPING);
    assert_non_null(said);
    assert_null(strstr(said + 1, STOPPING));
    assert_non_null(strstr(said, "stopped behind update"));
    cli_status(cli(PPO "hung --resume"), 0);
    same_as_whole("hung");
}

// Either may come first.
static void asked_twice_it_ends_at_once(void **state) {
    (void)state;
    const cli_outcome o = struck_midway(mg_path(&cli_arena, "%d,%d", SIGINT, SIGTERM), "twice");
    if (o.status != 128 + SIGINT) cli_status(o, 128 + SIGTERM);
    assert_null(strstr(o.err, "stopped behind"));
}

static void kill_9_costs_no_more_than_the_updates_since_a_checkpoint(void **state) {
    (void)state;
    cli_status(struck_midway(mg_path(&cli_arena, "%d", SIGKILL), "killed"), 128 + SIGKILL);
    const cli_outcome o = cli(PPO "killed --resume");
    cli_status(o, 0);
    assert_non_null(strstr(o.err, "resuming behind update"));
    same_as_whole("killed");
    cli_refused(3, PPO "nobody --resume", "nobody: there is no run to resume");
}

static void a_full_disk_leaves_the_old_checkpoint(void **state) {
    (void)state;
    const char *run =
        "train --algo sft --data data --out full --sft.epochs 2 --sft.batch 12 "
        "--checkpoint_every 2 " CLI_NETWORK " --network.d_model 192 --network.d_ff 512";
    const pid_t pid = cli_start_until("full/checkpoints", "000002", "%s", run);
    assert_int_equal(kill(pid, SIGKILL), 0);
    cli_wait(pid);
    for (int i = 3; i <= 4; i++) { // where it was faster than the signal
        const char *words = mg_path(&cli_arena, "rm -rf full/model full/checkpoints/%06d", i);
        assert_int_equal(system(words), 0);
    }
    size_t        size;
    const char   *before = cli_read("full/checkpoints/000002/optimiser.safetensors", &size);
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = (struct rlimit){.rlim_cur = size / 2, .rlim_max = old.rlim_max};
    assert_true(low.rlim_cur > (1 << 20)); // room for the database, none for the optimiser
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0); // children inherit it
    const cli_outcome o = cli("%s --resume", run);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    cli_status(o, 3);
    assert_non_null(strstr(o.err, "checkpoint full/checkpoints/000004: write "));
    assert_non_null(strstr(o.err, "File too large"));
    assert_false(mg_file_exists("full/checkpoints/000004"));
    assert_false(mg_file_exists("full/checkpoints/000004.half"));
    assert_memory_equal(before, cli_read("full/checkpoints/000002/optimiser.safetensors", NULL),
                        size);
    cli_status(cli("%s --resume", run), 0);
    assert_true(mg_file_exists("full/model/model.safetensors"));
}

static void a_run_that_is_in_use_is_left_alone(void **state) {
    (void)state;
    cli_write("busy/run.lock", "%s", "");
    const int lock = open("busy/run.lock", O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0 && flock(lock, LOCK_EX) == 0);
    cli_refused(2, TRAIN_SFT "--sft.batch 12 --out busy", "busy", "another process");
    cli_refused(2, "rollout --model base --data data --out busy", "busy", "another process");
    assert_false(mg_file_exists("busy/run.db"));
    assert_int_equal(close(lock), 0);
    cli_status(cli(TRAIN_SFT "--sft.batch 12 --out busy"), 0);
}

// ---- Numbers that are none

static void nan_stops_the_run_and_keeps_the_last_good_checkpoint(void **state) {
    (void)state;
    // Weight decay of ten times the weights makes them nine times larger an update, until none is
    // a number.
    cli_outcome o = cli("train --algo sft --data data --out burst --sft.lr 1 --sft.decay 10 "
                        "--sft.warmup 0 --sft.schedule constant --sft.epochs 40 --sft.batch 12 "
                        "--checkpoint_every 1 " CLI_NETWORK);
    cli_status(o, 3);
    long long   update = -1, last = -1;
    const char *said = strstr(o.err, "error: update "),
               *kept = strstr(o.err, "the last checkpoint");
    assert_non_null(said);
    assert_non_null(kept);
    assert_int_equal(sscanf(said, "error: update %lld", &update), 1);
    assert_int_equal(sscanf(kept, "the last checkpoint is behind update %lld", &last), 1);
    assert_int_equal(last, update - 1);
    assert_false(mg_file_exists("burst/model"));
    mg_model *m;
    assert_int_equal(
        mg_model_load(&m, mg_path(&cli_arena, "burst/checkpoints/%06lld", last), false), MG_OK);
    for (int64_t i = 0; i < m->n_weights; i++) assert_true(isfinite(m->weights[i]));
    mg_model_free(m);

    // What the last step did is seen before it is kept. Nothing reads the embedding of the stop, so
    // that the loss is finite while its weights, times nine, are not.
    cli_status(cli("train --algo sft --data data --out untied --sft.epochs 0.1 --network.tied false "
                   CLI_NETWORK), 0);
    assert_int_equal(mg_model_load(&m, "untied/model", false), MG_OK);
    mg_f32(m->embed)[0] = 3e38f;
    assert_int_equal(mg_model_save(m, "brim", MG_FILE_F32, "untied/model"), MG_OK);
    mg_model_free(m);
    cli_refused(3, "train --algo sft --data data --model brim --out burst3 --sft.lr 1 --sft.decay 10 "
                   "--sft.warmup 0 --sft.batch 12 --checkpoint_every 1 --prompt_max 40 "
                   "--response_max 20 --threads 1", "update 1: weight 0 is -inf");
    assert_false(mg_file_exists("burst3/checkpoints/000001"));

    // On-policy, the episodes are named too.
    assert_int_equal(mg_model_load(&m, "base/model", false), MG_OK);
    for (int64_t i = 0; i < m->n_weights; i++) m->weights[i] *= 1e30f;
    assert_int_equal(mg_model_save(m, "huge", MG_FILE_F32, "base/model"), MG_OK);
    mg_model_free(m);
    cli_refused(
        3,
        "train --algo ppo --data data --model huge --out burst2 --ppo.episodes 4 --threads 1 "
        "--prompt_max 40 --response_max 20",
        "update 1, episodes 0..3 of it: ");
}

// ---- No network

static void without_a_network_the_import_says_how_to_go_on(void **state) {
    (void)state;
    const char *here = getcwd(mg_arena_alloc(&cli_arena, 4096), 4096);
    cli_write("apt/sources.list", "%s",
              "deb http://127.0.0.1:9/debian bookworm main\n"); // discard: closed
    cli_write(
        "apt/apt.conf",
        "Dir::Etc::sourcelist \"%s/apt/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n"
        "Acquire::Retries \"0\";\nAcquire::http::Proxy \"DIRECT\";\n",
        here);
    assert_int_equal(setenv("APT_CONFIG", mg_path(&cli_arena, "%s/apt/apt.conf", here), 1), 0);
    cli_refused(3, "import debian --out net", "--corpus FILE", "apt-get");
    assert_int_equal(unsetenv("APT_CONFIG"), 0);
    assert_false(mg_file_exists("net/train.jsonl"));
    if (mg_file_exists("/usr/bin/apt-get")) // it did ask, and there alone
        assert_non_null(strstr(cli_read("net/apt/apt.log", NULL), "127.0.0.1:9"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_model_is_named),
        cmocka_unit_test(a_truncated_model_is_refused),
        cmocka_unit_test(a_tokenizer_of_another_model_is_refused),
        cmocka_unit_test(a_wrong_key_value_or_range_is_refused_where_it_stands),
        cmocka_unit_test(an_empty_data_set_is_refused),
        cmocka_unit_test(a_prompt_beyond_the_context_is_counted_and_said),
        cmocka_unit_test(drpo_without_references_is_refused),
        cmocka_unit_test(ctrl_c_keeps_a_checkpoint_and_resume_finishes),
        cmocka_unit_test(a_hang_up_asks_as_ctrl_c_does),
        cmocka_unit_test(asked_twice_it_ends_at_once),
        cmocka_unit_test(kill_9_costs_no_more_than_the_updates_since_a_checkpoint),
        cmocka_unit_test(a_full_disk_leaves_the_old_checkpoint),
        cmocka_unit_test(a_run_that_is_in_use_is_left_alone),
        cmocka_unit_test(nan_stops_the_run_and_keeps_the_last_good_checkpoint),
        cmocka_unit_test(without_a_network_the_import_says_how_to_go_on),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
