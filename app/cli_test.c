// Goal:   every verb does on the command line what its help says, and says it to programs too.
// Method: the real program on invented data and a network of a few thousand weights.
#include "app/cli_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "nets/safetensors.h"

static double number(const json_t *root, const char *key) {
    const json_t *v = json_object_get(root, key);
    if (!json_is_number(v)) fail_msg("%s is not a number", key);
    return json_number_value(v);
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

// The rows of a file of JSON lines.
static json_t *rows_of(const char *path) {
    json_t *all = json_array(), *row;
    for (char *at = NULL, *line = strtok_r(cli_read(path, NULL), "\n", &at); line;
         line = strtok_r(NULL, "\n", &at)) {
        assert_non_null(row = json_loads(line, JSON_REJECT_DUPLICATES, NULL));
        json_array_append_new(all, row);
    }
    return all;
}

// ---- Help

static void every_verb_has_help(void **state) {
    (void)state;
    static const char *const verbs[] = {"demo",    "import", "train",     "eval",  "compare",
                                        "rollout", "card", "export", "reproduce", "doctor", "bench"};
    const cli_outcome all = cli("--help");
    cli_status(all, 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const cli_outcome o = cli("%s --help", verbs[i]);
        cli_status(o, 0);
        assert_true(lines(o.out) > 5);
        assert_non_null(strstr(o.out, mg_path(&cli_arena, "usage: martingale %s", verbs[i])));
        assert_non_null(strstr(all.out, mg_path(&cli_arena, "  %-10s", verbs[i])));
    }
    static const char *const algorithms[] = {"sft", "reward_model", "dpo", "ppo", "grpo", "drpo"};
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const cli_outcome o = cli("train --help %s", algorithms[i]);
        cli_status(o, 0);
        assert_true(lines(o.out) > 12);
        assert_non_null(strstr(o.out, mg_path(&cli_arena, "%s.lr", algorithms[i])));
    }
}

static void help_answers_at_once(void **state) {
    (void)state;
    double least = INFINITY;
    for (int i = 0; i < 3; i++) least = fmin(least, cli("--help").cpu_ms);
#ifndef MG_SANITIZED // which takes its time to start
    assert_true(least < 20);
#endif
}

static void a_command_that_is_none_is_refused(void **state) {
    (void)state;
    cli_status(cli("%s", ""), 2);
    cli_refused(2, "frobnicate", "frobnicate", "--help");
    cli_refused(2, "eval base --colour blue", "--colour");
    cli_refused(2, "eval base base", "found 2 folders");
    cli_refused(2, "eval base --data", "--data");
    cli_refused(2, "eval base --data data --prompts many", "--prompts", "'many'", "1..");
    cli_refused(2, "eval base --data data --temperature warm", "--temperature", "'warm'");
    cli_refused(2, "export base", "--out");
    cli_refused(2, "export base --out x --dtype f8", "'f8'", "bf16");
    cli_refused(2, "rollout --model base --data data", "--out");
    cli_refused(2, "doctor patient", "'patient'");
    cli_refused(2, "bench peak_f32", "'peak_f32'");
    cli_refused(2, "bench --only peak_f32,horses", "'horses'", "wanted some of", "train_f32");
    cli_refused(2, "bench --repeats 0", "--repeats", "'0'", "1..");
    const cli_outcome o = cli("--version");
    cli_status(o, 0);
    assert_string_equal(o.out, "martingale " MG_VERSION "\n");
}

// ---- Import

static void write_corpus(const char *path) {
    char  *text;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    for (int i = 0; i < 40; i++)
        fprintf(f,
                "Package: invented-%d\nDescription: device number %d for watering pots\n"
                " This device waters the pots of number %d and knows when they are dry.\n .\n "
                "More.\n\n",
                i, i, i);
    fprintf(f, "Package: nothing-said\n\n");
    fclose(f);
    cli_write(path, "%s", text);
    free(text);
}

static void a_package_index_becomes_pairs(void **state) {
    (void)state;
    write_corpus("corpus");
    json_t *r = cli_json("import debian --corpus corpus --out deb --validation 4 --test 6 --json");
    assert_int_equal(number(r, "packages"), 41);
    assert_int_equal(number(r, "pairs"), 40);
    assert_int_equal(number(json_object_get(r, "dropped"), "synopsis"), 1);
    json_decref(r);
    static const struct {
        const char *name;
        int         n;
    } splits[] = {{"train", 30}, {"validation", 4}, {"test", 6}};
    for (int s = 0; s < 3; s++) {
        json_t *rows = rows_of(mg_path(&cli_arena, "deb/%s.jsonl", splits[s].name));
        assert_int_equal(json_array_size(rows), splits[s].n);
        const json_t *row = json_array_get(rows, 0);
        int           i;
        assert_int_equal(sscanf(json_string_value(json_object_get(row, "completion")),
                                "device number %d for watering pots", &i), 1);
        assert_string_equal(json_string_value(json_object_get(row, "prompt")),
                            mg_path(&cli_arena,
                                    "invented-%d: This device waters the pots of number %d "
                                    "and knows when they are dry.",
                                    i, i));
        json_decref(rows);
    }
    const char *before = cli_read("deb/train.jsonl", NULL);
    cli_refused(2, "import debian --corpus corpus --out deb", "deb/train.jsonl", "there already");
    assert_string_equal(before, cli_read("deb/train.jsonl", NULL));
    cli_write("empty", "%s", "");
    cli_refused(3, "import debian --corpus empty --out deb2", "empty: ", "no stanza");
    cli_refused(3, "import debian --corpus nowhere --out deb3", "nowhere", "No such file");
}

static void json_lines_are_checked_and_split(void **state) {
    (void)state;
    char  *text;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    for (int i = 0; i < 200; i++) // every prompt twice: both rows go the same way
        fprintf(
            f,
            "{\"prompt\": [{\"role\": \"user\", \"content\": \"p%d\"}], \"completion\": \"c\"}\n",
            i / 2);
    fclose(f);
    cli_write("rows.jsonl", "%s", text);
    free(text);
    json_t *r = cli_json("import jsonl rows.jsonl --out split --validation 40 --test 40 --json");
    const double n[3] = {number(r, "train"), number(r, "validation"), number(r, "test")};
    assert_int_equal(n[0] + n[1] + n[2], 200);
    json_decref(r);
    static const char *const names[] = {"train", "validation", "test"};
    for (int s = 0; s < 3; s++) {
        json_t *rows = rows_of(mg_path(&cli_arena, "split/%s.jsonl", names[s]));
        assert_int_equal(json_array_size(rows), n[s]);
        assert_int_equal((int)n[s] % 2, 0);
        assert_true(n[s] >= 10); // 40, 40 and 120 are expected
        json_decref(rows);
    }
    cli_refused(2, "import jsonl rows.jsonl --out split", "there already");
    cli_refused(2, "import jsonl rows.jsonl --out greedy --test 200", "rows.jsonl", "200 rows");
    r = cli_json("import jsonl rows.jsonl --out tenth --json"); // 20 and 20 are expected
    assert_true(number(r, "train") > 140);
    json_decref(r);
    cli_refused(3, "import jsonl rows.jsonl --out other --kind preferences", "rows.jsonl:1",
                "chosen");
    cli_refused(2, "import jsonl rows.jsonl --out other --kind poems", "'poems'", "preferences");
    cli_status(
        cli("import jsonl preferences/train.jsonl --kind preferences --out prefs --validation 4 "
            "--test 4"),
        0);
    cli_write("bad.jsonl", "%s",
              "{\"prompt\": \"a\", \"completion\": \"b\"}\n\n{\"prompt\": \"a\"}\n");
    cli_refused(3, "import jsonl bad.jsonl --out bad", "bad.jsonl:3", "completion",
                "found nothing");
    cli_write("bad.jsonl", "%s",
              "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", }\n");
    cli_refused(3, "import jsonl bad.jsonl --out bad", "bad.jsonl:2");
    cli_write("bad.jsonl", "%s", "{\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]}\n");
    cli_refused(3, "import jsonl bad.jsonl --out bad", "bad.jsonl:1", "messages[0].role", "assistant");
    cli_write("bad.jsonl", "%s", "\n\n");
    cli_refused(3, "import jsonl bad.jsonl --out bad", "bad.jsonl", "empty");
    assert_false(mg_file_exists("bad/train.jsonl"));
    // Conversations come out as they went in, with where they were made.
    static const char talk[] =
        "{\"item\":3,\"seed\":11,\"messages\":[{\"role\":\"user\",\"content\":\"p\"},"
        "{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"q\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"}]}\n";
    cli_write("talk.jsonl", "%s%s%s", talk, talk, talk);
    cli_status(cli("import jsonl talk.jsonl --out talk"), 0);
    assert_string_equal(cli_read("talk/train.jsonl", NULL), mg_path(&cli_arena, "%s%s%s", talk, talk, talk));
}

// ---- Train

// Trains `algo` for two updates and looks at what is left.
static void train(const char *algo, const char *options) {
    json_t *r =
        cli_json("train --algo %s --out %s " CLI_FROM_BASE " %s --json", algo, algo, options);
    const double loss_or_reward = json_object_get(json_object_get(r, "metrics"), "reward")
                                      ? number(json_object_get(r, "metrics"), "reward")
                                      : number(json_object_get(r, "metrics"), "loss");
    assert_int_equal(number(r, "updates"), 2);
    assert_true(isfinite(loss_or_reward));
    json_dump_file(r, mg_path(&cli_arena, "%s.json", algo), 0); // for metrics_are_exported
    json_decref(r);
    static const char *const left[] = {"run.yaml",
                                       "run.db",
                                       "report.html",
                                       "checkpoints/000002/config.json",
                                       "model/config.json",
                                       "model/model.safetensors",
                                       "model/tokenizer.json"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (!mg_file_exists(mg_path(&cli_arena, "%s/%s", algo, left[i])))
            fail_msg("no %s/%s", algo, left[i]);
    cli_same_bytes("base/model/tokenizer.json",
                   mg_path(&cli_arena, "%s/model/tokenizer.json", algo));
    // A resolved configuration is one that can be given again.
    const cli_outcome again = cli("train %s/run.yaml --dry-run", algo);
    cli_status(again, 0);
    assert_string_equal(again.out, cli_read(mg_path(&cli_arena, "%s/run.yaml", algo), NULL));
}

static void every_algorithm_trains(void **state) {
    (void)state;
    train("sft", "--data data --sft.batch 12");
    train("reward_model", "--preferences preferences --reward_model.batch 12");
    train("dpo", "--preferences preferences --dpo.batch 12");
    train("ppo", "--data data --reward_model reward_model --ppo.updates 2 --ppo.episodes 6");
    train("grpo", "--data data --reward_model reward_model/model --grpo.updates 2 --grpo.prompts 2 "
                  "--grpo.group 3");
    train("drpo", "--data data --drpo.updates 2 --drpo.episodes 6"); // the world's own reward
    cli_refused(2, "train --algo ppo --data data --out ppo " CLI_FROM_BASE, "ppo", "--resume");
}

// Before DR-PO starts, what its resets stand on is looked at and said.
static void resets_and_coverage_are_checked_first(void **state) {
    (void)state;
    const cli_outcome o = cli("train --algo drpo --data data --out checked --drpo.updates 1 "
                              "--drpo.episodes 4 " CLI_FROM_BASE);
    const char *reset = strstr(o.err, "reset check: 24 restored states equal the played ones");
    const char *cover = strstr(o.err, "coverage check: the policy gives references -");
    cli_status(o, 0);
    assert_true(reset && cover && strstr(cover, "of 24 lie outside its samples"));
}

static void a_reward_model_that_orders_nothing_is_warned_of(void **state) {
    (void)state;
    char   *text;
    size_t  size, i;
    json_t *rows = rows_of("preferences/validation.jsonl"), *row;
    FILE   *f    = open_memstream(&text, &size);
    json_array_foreach(rows, i, row) { // the other way round
        json_t *turned = json_pack("{s:O, s:O, s:O}", "prompt", json_object_get(row, "prompt"), "chosen",
                                   json_object_get(row, "rejected"), "rejected",
                                   json_object_get(row, "chosen"));
        json_dumpf(turned, f, JSON_COMPACT);
        putc('\n', f);
        json_decref(turned);
    }
    fclose(f);
    cli_write("contrary/validation.jsonl", "%s", text);
    cli_write("contrary/train.jsonl", "%s", cli_read("preferences/train.jsonl", NULL));
    free(text);
    json_decref(rows);
    const char *names[] = {"preferences", "contrary"};
    for (int k = 0; k < 2; k++) {
        const cli_outcome o = cli("train --algo reward_model --preferences %s --out rm-%s "
                                  "--reward_model.batch 12 --reward_model.epochs 20 "
                                  "--reward_model.lr 1e-2 " CLI_FROM_BASE, names[k], names[k]);
        cli_status(o, 0);
        assert_int_equal(strstr(o.err, "is below 60 %") != NULL, k == 1);
    }
}

static void the_examples_run(void **state) {
    (void)state;
    static const struct {
        const char *name, *shorter; // options that make it one update
    } examples[] = {
        {"sft", "--sft.epochs 0.2"},
        {"reward_model", "--reward_model.epochs 0.05"},
        {"dpo", "--dpo.epochs 0.05"},
        {"ppo", "--ppo.updates 1 --ppo.episodes 4"},
        {"drpo", "--drpo.updates 1 --drpo.episodes 4"},
        {"grpo", "--grpo.updates 1 --grpo.prompts 1"},
    };
    assert_int_equal(symlink(mg_path(&cli_arena, "%s/examples", cli_source), "examples"), 0);
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        cli_status(cli("train examples/%s.yaml --out example-%s %s " CLI_FROM_BASE
                       " --prompt_max 14 --response_max 50",
                       examples[i].name, examples[i].name, examples[i].shorter),
                   0);
    cli_status(cli("train examples/base.yaml --dry-run"), 0);
}

// ---- Eval and compare

static void policies_are_judged(void **state) {
    (void)state;
    json_t *r =
        cli_json("eval base --data data --reward-model reward_model/model --reference base --json");
    assert_int_equal(number(r, "prompts"), CLI_HELD);
    assert_int_equal(number(r, "unclean"), 0);
    assert_int_equal(number(json_object_get(r, "gold"), "n"), CLI_HELD);
    const json_t *gold = json_object_get(r, "gold");
    assert_true(number(gold, "estimate") >= 0 && number(gold, "estimate") <= 1);
    assert_true(number(gold, "low") <= number(gold, "estimate"));
    assert_true(number(gold, "high") >= number(gold, "estimate"));
    assert_int_equal(number(json_object_get(r, "kl"), "estimate"), 0); // to itself
    json_decref(r);

    // Against itself: the same draws, so nothing but ties.
    const cli_outcome tie = cli("compare base base/model --data data --json");
    cli_status(tie, 1);
    r = json_loads(tie.out, 0, NULL);
    assert_non_null(r);
    assert_int_equal(number(r, "ties"), CLI_HELD);
    assert_true(number(r, "win_rate") == 0.5);
    json_decref(r);

    // Against a network that has learnt nothing, on what both are told to write.
    cli_status(cli("train --algo sft --data data --out fresh --sft.epochs 0.1 " CLI_NETWORK), 0);
    cli_status(cli("export fresh --out fresh-hf"), 0);
    r = cli_json("compare base fresh --data data --split train --json");
    assert_string_equal(json_string_value(json_object_get(r, "winner")), "base");
    assert_true(number(r, "low") > 0.5);
    json_decref(r);
    cli_refused(3, "eval reward_model --data data", "reward model");
    cli_refused(2, "eval nowhere --data data", "nowhere: found nothing, wanted a run or model");
    cli_refused(2, "compare base nowhere --data data", "nowhere: found nothing");
    cli_refused(2, "rollout --model nowhere --data data --out r", "nowhere: found nothing");
    cli_refused(2, "eval base --data data --split tset", "--split", "'tset'", "validation");
    cli_refused(2, "train --help nonsense", "'nonsense'", "reward_model");
    cli_status(cli("eval base --data data --reward_model reward_model --prompt_max 9"), 0);
    r = cli_json("train --algo sft --dry-run --prompt-max 7 --json");
    assert_int_equal(number(r, "prompt_max"), 7);
    assert_string_equal(json_string_value(json_object_get(r, "algo")), "sft");
    json_decref(r);
    cli_refused(2, "eval base", "--data");
}

static json_t *without_policy(json_t *r) {
    json_object_del(r, "policy");
    return r;
}

// A policy is asked as its run says; what an option says wins; two runs that differ need one.
static void policies_are_asked_as_in_their_runs(void **state) {
    (void)state;
    cli_status(cli("train --algo ppo --data data --model base --threads 1 --out asked "
                   "--template <{prompt}> --prompt_max 30 --response_max 19 --ppo.temperature 0.4 "
                   "--ppo.updates 1 --ppo.episodes 4"), 0);
    static const char *const same[] = {
        "asked/model", "asked/checkpoints/000001",
        "asked --template <{prompt}> --prompt-max 30 --response-max 19 --temperature 0.4"};
    static const char *const other[] = {"asked --template {prompt}", "asked --prompt-max 9",
                                        "asked --response-max 4", "asked --temperature 2"};
    json_t *r = without_policy(cli_json("eval asked --data data --reference base --json"));
    for (int i = 0; i < 3; i++) {
        json_t *x = without_policy(cli_json("eval %s --data data --reference base --json", same[i]));
        assert_true(json_equal(r, x));
        json_decref(x);
    }
    for (int i = 0; i < 4; i++) {
        json_t *x = without_policy(cli_json("eval %s --data data --reference base --json", other[i]));
        assert_false(json_equal(r, x));
        json_decref(x);
    }
    json_decref(r);
    cli_status(cli("rollout --model asked --data data --out asked1"), 0);
    cli_status(cli("rollout --model %s --data data --out asked2", same[2]), 0);
    cli_status(cli("rollout --model asked --data data --out asked3 --response-max 4"), 0);
    for (int i = 1; i <= 3; i++)
        cli_status(cli("export asked%d --episodes asked%d.jsonl", i, i), 0);
    cli_same_bytes("asked1.jsonl", "asked2.jsonl");
    assert_string_not_equal(cli_read("asked1.jsonl", NULL), cli_read("asked3.jsonl", NULL));

    cli_refused(2, "compare base asked --data data", "--template", "base/run.yaml says '{prompt}\n'",
                "asked/run.yaml says '<{prompt}>'");
    cli_refused(2, "compare base asked --data data --template {prompt}", "--prompt-max", "'40'", "'30'");
    cli_refused(2, "compare base asked --data data --template {prompt} --prompt-max 30",
                "--response-max", "'20'", "'19'");
    cli_refused(2, "compare ppo asked --data data --template {prompt} --prompt-max 30 "
                   "--response-max 19", "--temperature", "'0.7'", "'0.4'");
    r = json_loads(cli("compare base asked --data data --template {prompt} --prompt-max 30 "
                       "--response-max 19 --json").out, 0, NULL); // sft does not sample: ppo's stands
    assert_int_equal(number(r, "n"), CLI_HELD);
    json_decref(r);
    // A file of that name above a model that is no run's says nothing.
    cli_status(cli("export asked --out shelf/loose"), 0);
    cli_write("shelf/run.yaml", "%s", cli_read("asked/run.yaml", NULL));
    assert_null(strstr(cli("eval shelf/loose --data data").err, "run.yaml"));
    assert_non_null(strstr(cli("eval asked//model/ --data data").err, "run.yaml"));
    cli_write("bent/run.yaml", "algo: sft\nepocs: 1\n");
    cli_status(cli("export base --out bent"), 0);
    cli_refused(2, "eval bent --data data", "bent/run.yaml:2:1", "epocs");
}

// ---- Rollout and the export of episodes

static void episodes_are_recorded(void **state) {
    (void)state;
    json_t *r =
        cli_json("rollout --model base --data data --episodes 12 --per-prompt 3 --out roll --json");
    assert_int_equal(number(r, "episodes"), 12);
    assert_int_equal(number(r, "tasks"), 4);
    assert_int_equal(number(json_object_get(r, "verdicts"), "clean"), 12);
    assert_int_equal(number(json_object_get(r, "return"), "n"), 4); // one number per prompt
    cli_status(cli("export roll --episodes roll.jsonl"), 0);

    // The means again, from the rows that were kept.
    json_t       *rows = rows_of("roll.jsonl"), *test = rows_of("data/test.jsonl"), *row;
    bool          moved = false;
    size_t        i, k;
    double        gold = 0, length = 0, stopped = 0;
    json_array_foreach(rows, i, row) {
        const json_t *tokens = json_object_get(row, "tokens"), *logp = json_object_get(row, "logp");
        const char   *roles  = json_string_value(json_object_get(row, "roles"));
        size_t        own    = 0;
        assert_int_equal(number(row, "group"), i / 3);
        assert_string_equal( // the item is the row of the file, wherever the order put it
            json_string_value(json_object_get(row, "prompt")),
            json_string_value(json_object_get(
                json_array_get(test, (size_t)number(row, "item")), "prompt")));
        moved |= number(row, "item") != (double)i / 3;
        assert_int_equal(number(row, "episode"), i);
        assert_int_equal(number(row, "update"), 1);
        assert_int_equal(json_array_size(tokens), strlen(roles));
        assert_int_equal(json_array_size(logp), strlen(roles));
        assert_int_equal(strspn(roles, "ep"), strlen(roles));
        for (k = 0; roles[k]; k++) {
            assert_true((roles[k] == 'p') == (json_number_value(json_array_get(logp, k)) != 0));
            own += roles[k] == 'p';
        }
        assert_string_equal(json_string_value(json_object_get(row, "verdict")), "clean");
        assert_null(json_object_get(row, "code"));
        gold += number(json_object_get(row, "reward"), "value") / 12;
        length += (double)own / 12;
        stopped += json_is_true(json_object_get(row, "stopped")) / 12.0;
    }
    assert_int_equal(i, 12);
    assert_float_equal(number(json_object_get(r, "return"), "estimate"), gold, 1e-6);
    assert_float_equal(number(json_object_get(r, "length"), "estimate"), length, 1e-6);
    assert_float_equal(number(json_object_get(r, "stopped"), "estimate"), stopped, 1e-6);
    assert_true(moved); // rows are played in a fixed random order
    json_decref(rows), json_decref(test), json_decref(r);

    // The draws follow from the seed.
    cli_status(cli("rollout --model base --data data --episodes 12 --per-prompt 3 --out roll2"), 0);
    cli_status(cli("export roll2 --episodes roll2.jsonl"), 0);
    cli_same_bytes("roll.jsonl", "roll2.jsonl");
    cli_status(
        cli("rollout --model base --data data --episodes 12 --per-prompt 3 --out roll3 --seed 2"),
        0);
    cli_status(cli("export roll3 --episodes roll3.jsonl"), 0);
    assert_string_not_equal(cli_read("roll.jsonl", NULL), cli_read("roll3.jsonl", NULL));
    cli_refused(2, "rollout --model base --data data --out roll", "roll", "holds a run already");
    cli_refused(2, "export roll --episodes roll.jsonl", "roll.jsonl is there already");
}

static void an_unclean_episode_is_counted_and_never_averaged(void **state) {
    (void)state;
    size_t      size;
    const char *held = cli_read("data/test.jsonl", &size);
    cli_write("spoilt/train.jsonl", "%s", cli_read("data/train.jsonl", NULL));
    cli_write("spoilt/test.jsonl", "{\"prompt\": \"\", \"completion\": \"nothing\"}\n%s", held);
    json_t *r = cli_json("rollout --model base --data spoilt --episodes 40 --template {prompt} "
                         "--out unclean --json");
    assert_int_equal(number(r, "episodes"), CLI_HELD + 1); // as many as there are
    assert_int_equal(number(json_object_get(r, "verdicts"), "clean"), CLI_HELD);
    assert_int_equal(number(json_object_get(r, "verdicts"), "quarantined"), 3); // tried thrice
    assert_int_equal(number(json_object_get(json_object_get(r, "harness"), "codes"), "E.observation"), 3);
    assert_int_equal(number(json_object_get(r, "return"), "n"), CLI_HELD);
    assert_int_equal(number(json_object_get(r, "length"), "n"), CLI_HELD);
    json_decref(r);
    cli_status(cli("export unclean --episodes unclean.jsonl"), 0);
    json_t       *rows = rows_of("unclean.jsonl");
    const json_t *row  = NULL;
    for (size_t i = 0; i < json_array_size(rows); i++) // wherever the order put it
        if (strcmp(json_string_value(json_object_get(json_array_get(rows, i), "verdict")), "clean"))
            row = json_array_get(rows, i);
    assert_string_equal(json_string_value(json_object_get(row, "verdict")), "quarantined");
    assert_string_equal(json_string_value(json_object_get(row, "code")), "E.observation");
    assert_true(json_is_null(json_object_get(row, "answer")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "reward"), "kind")),
                        "absent");
    assert_null(json_object_get(json_object_get(row, "reward"), "value"));
    json_decref(rows);
}

static void resets_are_marked_in_what_is_exported(void **state) {
    (void)state;
    cli_status(cli("export drpo --episodes drpo.jsonl"), 0);
    json_t *rows = rows_of("drpo.jsonl"), *row;
    size_t  i, forced = 0;
    json_array_foreach(rows, i, row) {
        const char  *roles = json_string_value(json_object_get(row, "roles"));
        const size_t e = strspn(roles, "e"), f = strspn(roles + e, "f");
        // First the prompt, then the prefix, then the policy.
        assert_int_equal(f, number(row, "prefix"));
        assert_int_equal(e + f + strspn(roles + e + f, "p"), strlen(roles));
        forced += f;
    }
    assert_int_equal(i, 12); // two updates of six
    assert_true(forced > 0);
    json_decref(rows);
}

// ---- Export of models and metrics

static void models_are_exported(void **state) {
    (void)state;
    cli_status(cli("export base --out hf"), 0);
    cli_status(cli("export base --out hf16 --dtype bf16"), 0);
    cli_same_bytes("base/model/model.safetensors", "hf/model.safetensors");
    cli_same_bytes("base/model/tokenizer.json", "hf16/tokenizer.json");
    mg_safetensors *f32, *bf16;
    assert_int_equal(mg_safetensors_open(&f32, "hf/model.safetensors"), MG_OK);
    assert_int_equal(mg_safetensors_open(&bf16, "hf16/model.safetensors"), MG_OK);
    const mg_file_tensor *a = mg_safetensors_find(f32, "model.embed_tokens.weight");
    const mg_file_tensor *b = mg_safetensors_find(bf16, "model.embed_tokens.weight");
    assert_true(a && b && a->count == b->count && b->dtype == MG_FILE_BF16);
    float *x = MG_NEW(&cli_arena, float, a->count), *y = MG_NEW(&cli_arena, float, a->count);
    assert_int_equal(mg_file_tensor_to_f32(a, x), MG_OK);
    assert_int_equal(mg_file_tensor_to_f32(b, y), MG_OK);
    for (int64_t i = 0; i < a->count; i++) // bf16 keeps 8 bits of the fraction
        assert_true(fabsf(x[i] - y[i]) <= 0x1p-8f * fabsf(x[i]));
    mg_safetensors_close(f32), mg_safetensors_close(bf16);

    cli_refused(2, "export base --out hf", "hf/config.json is there already");
    cli_refused(3, "export data --out hf2", "data", "neither");
    // A checkpoint is a model; an exported reward model rewards.
    cli_status(cli("export ppo/checkpoints/000002 --out hf3"), 0);
    cli_status(cli("export reward_model --out rm"), 0);
    cli_same_bytes("reward_model/model/reward_model.json", "rm/reward_model.json");
    cli_status(cli("eval hf3 --data data --reward-model rm"), 0);
}

static void metrics_are_exported(void **state) {
    (void)state;
    cli_status(cli("export ppo --metrics m.csv"), 0);
    cli_status(cli("export ppo --metrics m.jsonl"), 0);
    json_t *rows = rows_of("m.jsonl");
    assert_int_equal(json_array_size(rows), 2);
    const char *csv = cli_read("m.csv", NULL);
    assert_int_equal(lines(csv), 3);
    // The same numbers in both, column by column.
    char *at = mg_arena_strdup(&cli_arena, csv), *names = strsep(&at, "\n"), *name;
    strsep(&at, "\n"); // update 1
    char         *values = strsep(&at, "\n");
    const json_t *row    = json_array_get(rows, 1);
    size_t        n      = 0;
    for (; (name = strsep(&names, ",")); n++)
        assert_true(number(row, name) == atof(strsep(&values, ",")));
    assert_int_equal(n, json_object_size(row));
    // And those that the run itself gave for its last update.
    json_t     *said = json_load_file("ppo.json", 0, NULL), *value;
    const char *key;
    json_object_foreach(json_object_get(said, "metrics"), key, value) assert_float_equal(
        number(row, key), json_number_value(value), 1e-8 * (1 + fabs(json_number_value(value))));
    json_decref(said);
    assert_int_equal(number(row, "update"), 2);
    json_decref(rows);
    cli_refused(2, "export ppo --metrics m.csv", "m.csv is there already");
    cli_refused(2, "export ppo --metrics m.txt", ".csv");
    cli_refused(3, "export data --metrics n.csv", "data", "run.db");
    assert_false(mg_file_exists("data/run.db"));
}

// ---- Doctor and reproduce

static const char *state_of(const json_t *root, const char *name) {
    const json_t *findings = json_object_get(root, "findings"), *f;
    size_t        i;
    json_array_foreach(findings, i, f)
        if (strcmp(json_string_value(json_object_get(f, "name")), name) == 0)
            return json_string_value(json_object_get(f, "state"));
    return "";
}

static void the_doctor_says_what_is_missing(void **state) {
    (void)state;
    const cli_outcome o = cli("doctor --json");
    json_t           *r = json_loads(o.out, 0, NULL);
    cli_status(o, 1);
    assert_non_null(r);
    assert_true(json_is_false(json_object_get(r, "well")));
    assert_string_equal(state_of(r, "models/synopsis-base"), "missing");
    assert_string_equal(state_of(r, "data/debian"), "note");
    assert_true(number(json_object_get(r, "f32"), "gflops_1") > 0);
    json_decref(r);

    cli_write("models/synopsis-base/config.json", "{}");
    cli_write("data/debian/train.jsonl", "{}");
    const cli_outcome p = cli("doctor");
    assert_null(strstr(p.out, "missing file"));
    assert_non_null(strstr(p.out, "oneDNN 2."));
    cli_status(p, strstr(p.out, "\nmissing ") || strncmp(p.out, "missing ", 8) == 0 ? 1 : 0);
}

// What the doctor says of the robots is what happens to who wants one.
static void the_doctor_knows_whether_there_are_robots(void **state) {
    (void)state;
    static const char *const names[] = {"hopper", "half-cheetah", "walker2d", "ant"};
    json_t                  *r       = json_loads(cli("doctor --json").out, 0, NULL);
    const cli_outcome        o       = cli("rollout --world hopper --policy zero --episodes 1 --out hops");
    if (o.status) {
        assert_string_equal(state_of(r, "MuJoCo"), "note");
        const char *text = cli("doctor").out;
        assert_non_null(strstr(text, "hopper, half-cheetah, walker2d and ant will not run"));
        assert_non_null(strstr(text, "tools/mujoco.sh && make build"));
    } else {
        assert_string_equal(state_of(r, "MuJoCo"), "ok");
        for (int i = 0; i < 4; i++) assert_string_equal(state_of(r, names[i]), "ok");
    }
    json_decref(r);
}

static void the_cells_are_listed(void **state) {
    (void)state;
    json_t *r = cli_json("reproduce drpo --list --json");
    assert_true(json_array_size(r) > 20);
    json_decref(r);
    cli_refused(2, "reproduce everything --list", "reproduce: found 'everything'", "bf16, drpo, gate, offline-online");
    // What was measured is not measured over.
    cli_write("repro/drpo/cells/ppo-1.json", "{}");
    cli_refused(2, "reproduce drpo --cell ppo-1", "repro/drpo/cells/ppo-1.json is there already", "remove it");
    assert_string_equal(cli_read("repro/drpo/cells/ppo-1.json", NULL), "{}");
}

int main(void) {
    const struct CMUnitTest tests[] = { // in this order: later ones use what earlier ones made
        cmocka_unit_test(every_verb_has_help),
        cmocka_unit_test(help_answers_at_once),
        cmocka_unit_test(a_command_that_is_none_is_refused),
        cmocka_unit_test(a_package_index_becomes_pairs),
        cmocka_unit_test(json_lines_are_checked_and_split),
        cmocka_unit_test(every_algorithm_trains),
        cmocka_unit_test(resets_and_coverage_are_checked_first),
        cmocka_unit_test(a_reward_model_that_orders_nothing_is_warned_of),
        cmocka_unit_test(the_examples_run),
        cmocka_unit_test(policies_are_judged),
        cmocka_unit_test(policies_are_asked_as_in_their_runs),
        cmocka_unit_test(episodes_are_recorded),
        cmocka_unit_test(an_unclean_episode_is_counted_and_never_averaged),
        cmocka_unit_test(resets_are_marked_in_what_is_exported),
        cmocka_unit_test(models_are_exported),
        cmocka_unit_test(metrics_are_exported),
        cmocka_unit_test(the_doctor_says_what_is_missing),
        cmocka_unit_test(the_doctor_knows_whether_there_are_robots),
        cmocka_unit_test(the_cells_are_listed),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
