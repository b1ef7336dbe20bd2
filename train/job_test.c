// job_test.c - a configuration is what file and command line say, or is refused where it is wrong.
#include "train/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/log.h"
#include "nets/tiny.h"

static mg_arena arena;
static char     root[64];

static void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static int open_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/mg-job-XXXXXX");
    return !mkdtemp(root) || mg_arena_init(&arena, "test", (size_t)1 << 30);
}

static int close_root(void **state) {
    (void)state;
    const char *command = mg_path(&arena, "rm -r %s", root);
    const int   status  = system(command);
    mg_arena_release(&arena);
    return status;
}

// root/name with this text in it.
static const char *file(const char *name, const char *text) {
    char       *path  = mg_path(&arena, "%s/%s", root, name);
    const char *slash = strrchr(path, '/');
    ok(mg_folder_make(mg_path(&arena, "%.*s", (int)(slash - path), path)));
    ok(mg_file_write(path, text, strlen(text)));
    return path;
}

static void refused(mg_err found, mg_err wanted, const char *first, const char *second) {
    assert_int_equal(found, wanted);
    if (!strstr(mg_err_detail(), first) || !strstr(mg_err_detail(), second))
        fail_msg("found '%s', wanted '%s' and '%s'", mg_err_detail(), first, second);
}

#define READ(s, path, ...)                                                                     \
    mg_settings_read(s, path, (mg_override[]){__VA_ARGS__},                                    \
                     (int)(sizeof((mg_override[]){__VA_ARGS__}) / sizeof(mg_override)), &arena)

static mg_err read_file(mg_settings *s, const char *path) {
    return mg_settings_read(s, path, NULL, 0, &arena);
}

// ---- Settings

static void test_defaults_file_and_overrides(void **state) {
    (void)state;
    mg_settings s;
    ok(mg_settings_read(&s, NULL, NULL, 0, &arena));
    assert_string_equal(s.run.algo, "sft");
    assert_string_equal(s.run.out, "runs/sft-1");
    assert_int_equal(s.run.checkpoint_every, 50);

    const char *path = file("a.yaml", "seed: 3\nalgo: ppo\nresponse_max: 9\nppo:\n  updates: 11\n");
    ok(read_file(&s, path));
    assert_string_equal(s.run.algo, "ppo");
    assert_string_equal(s.algo->name, "ppo");
    assert_string_equal(s.run.out, "runs/ppo-3");
    assert_int_equal(s.run.response_max, 9);
    assert_string_equal(s.sections[MG_SECTION_ALGO].name, "ppo");

    // What is said on the command line wins, and later there wins over earlier.
    ok(READ(&s, path, {"response_max", "5"}, {"seed", "4"}, {"seed", "8"}));
    assert_int_equal(s.run.response_max, 5);
    assert_int_equal(s.run.seed, 8);
    assert_string_equal(s.run.out, "runs/ppo-8");
    // A folder for each seed, wherever it is said.
    ok(READ(&s, path, {"out", "{seed}/{world}-ppo-{seed}"}, {"world", "cartpole"}));
    assert_string_equal(s.run.out, "3/cartpole-ppo-3");
    refused(READ(&s, path, {"out", "runs/{seed}-{sed}"}), MG_CONFIG, "out: found '{sed}' in 'runs/{seed}-{sed}'",
            "wanted {world}, {seed} or no brace");
    // The algorithm too, with which the file's section of the other no longer fits.
    refused(READ(&s, path, {"algo", "dpo"}), MG_CONFIG, "a.yaml:4", "ppo");
    ok(READ(&s, NULL, {"algo", "dpo"}, {"dpo.epochs", "2"}));
    assert_string_equal(s.run.algo, "dpo");
}

static void test_what_is_wrong_is_refused(void **state) {
    (void)state;
    mg_settings s;
    refused(read_file(&s, file("b.yaml", "seed: 1\nsed: 2\n")), MG_CONFIG, "b.yaml:2", "sed");
    refused(read_file(&s, file("c.yaml", "algo: sarsa\n")), MG_CONFIG, "c.yaml:1:1: algo: found 'sarsa'",
            "reward_model dpo ppo grpo drpo");
    refused(read_file(&s, file("d.yaml", "algo: sft\nppo:\n  updates: 3\n")), MG_CONFIG, "d.yaml:2", "ppo");
    refused(read_file(&s, mg_path(&arena, "%s/none.yaml", root)), MG_IO, "none.yaml", "");
    refused(READ(&s, NULL, {"algo", "grpo"}, {"drpo.reset_share", "1"}), MG_CONFIG,
            "--drpo.reset_share", "");
    refused(READ(&s, NULL, {"algo", "sarsa"}), MG_CONFIG, "algo: found 'sarsa'", "");
    refused(READ(&s, NULL, {"threads", "257"}), MG_CONFIG, "--threads", "257");
}

// One key gives way to the section of its name.
static void test_the_reward_models_own_section(void **state) {
    (void)state;
    mg_settings s;
    ok(READ(&s, NULL, {"algo", "reward_model"}, {"reward_model.epochs", "2"}));
    assert_string_equal(s.run.reward_model, "");
    refused(READ(&s, NULL, {"algo", "reward_model"}, {"reward_model", "runs/x"}), MG_CONFIG,
            "--reward_model", "");
    ok(READ(&s, NULL, {"algo", "ppo"}, {"reward_model", "runs/x"}));
    assert_string_equal(s.run.reward_model, "runs/x");
}

static void test_a_run_means_its_model(void **state) {
    (void)state;
    mg_settings s;
    const char *run = mg_path(&arena, "%s/run", root), *plain = mg_path(&arena, "%s/plain", root);
    file("run/model/config.json", "{}");
    file("plain/config.json", "{}");
    ok(READ(&s, NULL, {"algo", "ppo"}, {"model", run}, {"reward_model", plain}));
    assert_string_equal(s.run.model, mg_path(&arena, "%s/model", run));
    assert_string_equal(s.run.reward_model, plain);
}

// The text reads back as itself, and every weight-changing difference to it is found.
static void test_a_run_goes_on_with_its_own_settings(void **state) {
    (void)state;
    mg_settings s, again;
    const char *text, *text_again;
    ok(READ(&s, NULL, {"algo", "drpo"}, {"drpo.lr", "3e-5"}, {"template", "Q: {prompt}\n\"A\":"}));
    ok(mg_settings_text(&s, NULL, &arena, &text));
    const char *path = file("resolved.yaml", text);
    ok(read_file(&again, path));
    ok(mg_settings_text(&again, NULL, &arena, &text_again));
    assert_string_equal(text_again, text);
    ok(mg_settings_same(&again, NULL, path, &arena));

    ok(READ(&again, path, {"threads", "7"}, {"out", "elsewhere"}, {"checkpoint_every", "3"},
            {"checkpoints_kept", "9"}, {"evaluate_every", "4"}, {"record", "replayable"},
            {"save_dtype", "bf16"}));
    ok(mg_settings_same(&again, NULL, path, &arena));
    static const mg_override changes[] = {{"seed", "2"}, {"drpo.lr", "4e-5"}, {"response_max", "9"},
                                          {"drpo.updates", "81"}, {"template", "{prompt}"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ok(mg_settings_read(&again, path, &changes[i], 1, &arena));
        const char *key = strrchr(changes[i].key, '.');
        refused(mg_settings_same(&again, NULL, path, &arena), MG_CONFIG, "resolved.yaml:",
                mg_path(&arena, "%s: ", key ? key + 1 : changes[i].key));
    }
    ok(READ(&again, NULL, {"algo", "ppo"}));
    refused(mg_settings_same(&again, NULL, path, &arena), MG_CONFIG, ":1: ", "'algo: \"drpo\"'");
    // A file that ends early, and one that goes on.
    ok(read_file(&again, path));
    refused(mg_settings_same(&again, NULL, file("short.yaml", "algo: \"drpo\"\n"), &arena), MG_CONFIG,
            "short.yaml:2", "");
    refused(mg_settings_same(&again, NULL, file("long.yaml", mg_path(&arena, "%s  more: 1\n", text)), &arena),
            MG_CONFIG, "'  more: 1'", "found ''");
}

static const mg_env_class robot = {.name = "hopper", .observation = {.kind = MG_SPACE_VECTOR, .n = 3},
                                   .action = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -1, .high = 1}},
                          pole = {.name = "pendulum", .observation = {.kind = MG_SPACE_VECTOR, .n = 3},
                                  .action = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -2, .high = 2}},
                          words = {.name = "synopsis", .observation = {.kind = MG_SPACE_TEXT},
                                   .action = {.kind = MG_SPACE_TEXT}};

static bool has(const char *text, const char *key) { return strstr(text, mg_path(&arena, "%s: ", key)) != NULL; }

// What reads texts is left out of the settings of a run that reads numbers, unless somebody has set it.
static void test_keys_of_texts_are_not_shown_in_worlds_of_vectors(void **state) {
    (void)state;
    static const char *const idle[] = {"template", "prompt_max", "response_max", "preferences", "vocab", "heads",
                                       "rope_theta", "form", "mutant", "start_timeout_ms"};
    mg_settings s;
    const char *all, *text, *odd;
    ok(READ(&s, NULL, {"algo", "td3"}, {"world", "pendulum"}, {"td3.lr", "2e-4"}, {"environment.shift_mass", "2"}));
    ok(mg_settings_text(&s, NULL, &arena, &all));
    ok(mg_settings_text(&s, &words, &arena, &text));
    assert_string_equal(text, all);
    ok(mg_settings_text(&s, &pole, &arena, &text));
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (!has(all, idle[i]) || has(text, idle[i])) fail_msg("%s", idle[i]);
    assert_true(has(text, "width") && has(text, "seed") && has(text, "lr") && has(text, "data"));
    assert_true(has(text, "shift_mass") && !has(text, "shift_friction") && !has(text, "version"));
    ok(mg_settings_text(&s, &robot, &arena, &text));
    assert_true(has(text, "shift_friction") && has(text, "version"));
    // A value that nobody asked for is left out; one that somebody did stays, were it different in its last bit only.
    ok(READ(&s, NULL, {"algo", "td3"}, {"network.rope_theta", "10000.000000000002"}, {"template", "{prompt}"}));
    ok(mg_settings_text(&s, &pole, &arena, &odd));
    assert_true(has(odd, "rope_theta") && has(odd, "template") && !has(odd, "vocab"));
    // Learners of episodes have no logged data.
    ok(READ(&s, NULL, {"algo", "ppo"}));
    ok(mg_settings_text(&s, &pole, &arena, &text));
    assert_true(!has(text, "data"));
}

// A run of an older build has all keys; one of this build those that are shown. Both go on, and both are held to them.
static void test_runs_of_both_builds_go_on(void **state) {
    (void)state;
    mg_settings s, again;
    const char *text[2];
    ok(READ(&s, NULL, {"algo", "td3"}, {"world", "pendulum"}, {"td3.lr", "2e-4"}));
    ok(mg_settings_text(&s, NULL, &arena, &text[0]));
    ok(mg_settings_text(&s, &pole, &arena, &text[1]));
    for (int i = 0; i < 2; i++) {
        const char *path = file(i ? "new.yaml" : "old.yaml", text[i]), *back;
        ok(read_file(&again, path));
        ok(mg_settings_same(&again, &pole, path, &arena));
        ok(mg_settings_text(&again, NULL, &arena, &back));
        assert_string_equal(back, text[0]); // nothing is lost
        static const mg_override changes[] = {{"td3.lr", "3e-4"}, {"guard.enabled", "true"}, {"response_max", "9"}};
        for (int k = 0; k < 3; k++) {
            ok(mg_settings_read(&again, path, &changes[k], 1, &arena));
            assert_int_equal(mg_settings_same(&again, &pole, path, &arena), MG_CONFIG);
        }
        ok(READ(&again, path, {"td3.lr", "3e-4"}));
        refused(mg_settings_same(&again, &pole, path, &arena), MG_CONFIG, "'  lr: 0.0002', found '  lr: 0.0003'", "");
    }
}

// The last place that asks for it is named.
static void test_bfloat16_is_for_processors_that_have_it(void **state) {
    (void)state;
    mg_settings s;
    const char *path = file("bf16.yaml", "algo: sft\ncompute: bf16\n");
    if (mg_linear_has_bf16()) {
        ok(read_file(&s, path));
        assert_string_equal(s.run.compute, "bf16");
    } else {
        refused(read_file(&s, path), MG_CONFIG, "bf16.yaml:2:", "compute: found bf16");
        refused(READ(&s, NULL, {"compute", "bf16"}), MG_CONFIG, "--compute: found bf16", "wanted f32");
        refused(READ(&s, path, {"compute", "bf16"}), MG_CONFIG, "--compute: found bf16", "AMX");
    }
    ok(READ(&s, path, {"compute", "f32"}));
    assert_string_equal(s.run.compute, "f32");
}

// ---- Data

static mg_err open_job(const mg_settings *s, mg_job *job, mg_tokenizer **t) {
    *job = (mg_job){.run = &arena};
    return mg_job_open(job, s, t);
}

static void test_data_that_do_not_fit(void **state) {
    (void)state;
    mg_settings   s;
    mg_job        job;
    mg_tokenizer *t    = NULL;
    const char   *data = mg_path(&arena, "%s/data", root);

    ok(mg_settings_read(&s, NULL, NULL, 0, &arena));
    refused(open_job(&s, &job, &t), MG_CONFIG, "data: found nothing", "sft");
    ok(READ(&s, NULL, {"algo", "dpo"}, {"model", "m"}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "preferences: found nothing", "dpo");
    ok(READ(&s, NULL, {"algo", "ppo"}, {"data", data}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "model: found nothing", "");
    ok(READ(&s, NULL, {"data", data}, {"template", "no place"}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "{prompt}", "");

    ok(READ(&s, NULL, {"data", data}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "data: found nothing at '", "/data', wanted a folder");
    ok(mg_folder_make(data));
    refused(open_job(&s, &job, &t), MG_IO, "data/train.jsonl", "");
    file("data/train.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"}\n");
    refused(open_job(&s, &job, &t), MG_CORRUPT, "data/train.jsonl:2", "completion");
    file("data/train.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    file("data/validation.jsonl", "");
    refused(open_job(&s, &job, &t), MG_EMPTY, "data/validation.jsonl", "");
    ok(READ(&s, NULL, {"algo", "ppo"}, {"data", data}, {"model", data}));
    file("data/validation.jsonl", "{\"prompt\": \"c\", \"completion\": \"d\"}\n");
    refused(open_job(&s, &job, &t), MG_IO, "data/config.json", "");
    assert_null(t);
}

// What is wrong with a network is said before its tokenizer is learnt, and its data are read.
static void test_networks_that_cannot_be(void **state) {
    (void)state;
    mg_settings   s;
    mg_job        job;
    mg_tokenizer *t = NULL;
    ok(READ(&s, NULL, {"data", "nowhere"}, {"network.heads", "5"}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "network.heads: found 5", "d_model 192");
    ok(READ(&s, NULL, {"data", "nowhere"}, {"network.kv_heads", "2"}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "kv_heads 2", "");
    ok(READ(&s, NULL, {"data", "nowhere"}, {"network.context", "24"}));
    refused(open_job(&s, &job, &t), MG_CONFIG, "response_max: found 24", "at most 23");
}

static void test_a_fresh_model(void **state) {
    (void)state;
    char          text[TINY_TEXTS * 64];
    int           n = 0;
    mg_settings   s;
    mg_job        job;
    mg_tokenizer *t;
    for (int i = 0; i < TINY_TEXTS / 2; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "{\"prompt\": \"%s\", \"completion\": \"%s\"}\n",
                      tiny_texts[i], tiny_texts[TINY_TEXTS / 2 + i]);
    file("fresh/train.jsonl", text);
    ok(READ(&s, NULL, {"data", mg_path(&arena, "%s/fresh", root)}, {"network.vocab", "300"},
            {"network.family", "qwen2"}, {"network.context", "40"}, {"seed", "77"},
            {"compute", mg_linear_has_bf16() ? "bf16" : "f32"}));
    ok(open_job(&s, &job, &t));
    assert_int_equal(job.compute, mg_linear_has_bf16() ? MG_COMPUTE_BF16 : MG_COMPUTE_F32);
    assert_int_equal(job.seed, 77);
    assert_int_equal(job.n_pairs, TINY_TEXTS / 2);
    assert_string_equal(job.pairs[1].completion, tiny_texts[TINY_TEXTS / 2 + 1]);
    assert_int_equal(job.n_held_pairs, 0);
    assert_ptr_equal(job.tokenizer, t);
    assert_int_equal(mg_tokenizer_vocab_size(t), 300);
    assert_int_equal(job.rule.stop, mg_tokenizer_id(t, "<|endoftext|>"));
    assert_int_equal(job.rule.prompt_max, 40 - 24); // what leaves room for an answer
    assert_int_equal(job.fresh->vocab, 300);
    assert_int_equal(job.fresh->head_width, 64);
    assert_true(job.fresh->qkv_bias);
    assert_string_equal(job.model_folder, "");
    mg_tokenizer_free(t);
}

// ---- Worlds of vectors

static const mg_env_class numbers = {.name = "numbers", .observation = {.kind = MG_SPACE_VECTOR, .n = 3},
                                     .action = {.kind = MG_SPACE_VECTOR, .n = 2, .low = -2, .high = 2}};
static const mg_env_class texts = {.name = "texts", .observation = {.kind = MG_SPACE_TEXT},
                                   .action = {.kind = MG_SPACE_TEXT}};

static mg_err open_in(const mg_env_class *world, const mg_settings *s, mg_job *job, mg_tokenizer **t) {
    *job = (mg_job){.run = &arena, .world = world};
    return mg_job_open(job, s, t);
}

static void test_a_world_of_vectors_needs_no_words(void **state) {
    (void)state;
    mg_settings   s;
    mg_job        job;
    mg_tokenizer *t = (mg_tokenizer *)&s; // to be replaced
    ok(READ(&s, NULL, {"algo", "ppo"}, {"network.width", "32"}, {"network.depth", "3"}, {"network.activation", "relu"},
            {"seed", "5"}));
    ok(open_in(&numbers, &s, &job, &t));
    assert_null(t);
    assert_null(job.tokenizer);
    assert_int_equal(job.mlp.width, 32), assert_int_equal(job.mlp.depth, 3);
    assert_false(job.mlp.tanh);
    assert_int_equal(job.response_max, 0);
    assert_int_equal(job.seed, 5);
    ok(READ(&s, NULL, {"algo", "ppo"}));
    ok(open_in(&numbers, &s, &job, &t));
    assert_true(job.mlp.tanh && job.mlp.width == 64 && job.mlp.depth == 2);
}

static void test_a_saved_type_that_nobody_would_write(void **state) {
    (void)state;
    static const char *const writers[] = {"td3", "td3_bc", "td3_c", "sac"};
    mg_settings              s;
    mg_job                   job;
    mg_tokenizer            *t;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        ok(READ(&s, NULL, {"algo", writers[i]}, {"save_dtype", "bf16"}));
        refused(open_in(&numbers, &s, &job, &t), MG_CONFIG, "save_dtype: found 'bf16', wanted 'f32'",
                mg_path(&arena, "models of %s are written in float", writers[i]));
    }
    ok(READ(&s, NULL, {"algo", "ppo"}, {"save_dtype", "bf16"}));
    ok(open_in(&numbers, &s, &job, &t));
}

// Each key that does nothing is refused by its name, in either kind of world; as it is by default it may be said.
static void test_keys_of_the_other_kind_of_world(void **state) {
    (void)state;
    static const char *const of_texts[][2] = {
        {"template", "{prompt}"}, {"prompt_max", "71"}, {"cut_prompts", "false"}, {"response_max", "9"},
        {"preferences", "p"}, {"reward_model", "r"}, {"network.family", "qwen2"},
        {"network.tokenizer", "qwen2"}, {"network.vocab", "300"}, {"network.d_model", "64"}, {"network.d_ff", "64"},
        {"network.layers", "1"}, {"network.heads", "1"}, {"network.kv_heads", "1"}, {"network.context", "100"},
        {"network.rope_theta", "500"}, {"network.tied", "false"}, {"network.init_std", "0.1"}};
    static const char *const of_vectors[][2] = {
        {"network.width", "32"}, {"network.depth", "1"}, {"network.activation", "relu"}};
    mg_settings   s;
    mg_job        job;
    mg_tokenizer *t;
    for (size_t i = 0; i < sizeof of_texts / sizeof *of_texts; i++) {
        ok(READ(&s, NULL, {"algo", "ppo"}, {of_texts[i][0], of_texts[i][1]}));
        refused(open_in(&numbers, &s, &job, &t), MG_CONFIG,
                mg_path(&arena, "%s: found '%s', wanted '", of_texts[i][0], of_texts[i][1]), "does nothing in numbers");
    }
    for (size_t i = 0; i < sizeof of_vectors / sizeof *of_vectors; i++) {
        ok(READ(&s, NULL, {"algo", "ppo"}, {"model", "m"}, {of_vectors[i][0], of_vectors[i][1]}));
        refused(open_in(&texts, &s, &job, &t), MG_CONFIG,
                mg_path(&arena, "%s: found '%s', wanted '", of_vectors[i][0], of_vectors[i][1]),
                "of perceptrons, and does nothing in texts");
    }
    ok(READ(&s, NULL, {"algo", "ppo"}, {"prompt_max", "72"}, {"network.init_std", "2e-2"}, {"network.tied", "true"}));
    ok(open_in(&numbers, &s, &job, &t));
}

static void test_room_for_prompts(void **state) {
    (void)state;
    mg_prompt_rule rule = {.prompt_max = 0};
    ok(mg_prompt_fit(&rule, 24, 100));
    assert_int_equal(rule.prompt_max, 76); // 0: all there is
    rule.prompt_max = 10;
    ok(mg_prompt_fit(&rule, 24, 100));
    assert_int_equal(rule.prompt_max, 10);
    rule.prompt_max = 77;
    ok(mg_prompt_fit(&rule, 24, 100));
    assert_int_equal(rule.prompt_max, 76);
    ok(mg_prompt_fit(&rule, 99, 100));
    assert_int_equal(rule.prompt_max, 1);
    refused(mg_prompt_fit(&rule, 100, 100), MG_CONFIG, "response_max: found 100, wanted at most 99", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_file_and_overrides),
        cmocka_unit_test(test_what_is_wrong_is_refused),
        cmocka_unit_test(test_the_reward_models_own_section),
        cmocka_unit_test(test_a_run_means_its_model),
        cmocka_unit_test(test_a_run_goes_on_with_its_own_settings),
        cmocka_unit_test(test_keys_of_texts_are_not_shown_in_worlds_of_vectors),
        cmocka_unit_test(test_runs_of_both_builds_go_on),
        cmocka_unit_test(test_bfloat16_is_for_processors_that_have_it),
        cmocka_unit_test(test_data_that_do_not_fit),
        cmocka_unit_test(test_networks_that_cannot_be),
        cmocka_unit_test(test_a_fresh_model),
        cmocka_unit_test(test_a_world_of_vectors_needs_no_words),
        cmocka_unit_test(test_keys_of_the_other_kind_of_world),
        cmocka_unit_test(test_a_saved_type_that_nobody_would_write),
        cmocka_unit_test(test_room_for_prompts),
    };
    mg_log_setup(MG_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, open_root, close_root);
}
