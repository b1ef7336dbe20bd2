// train_test.c - a run is what its settings say, whatever interrupts it, and learns from CLEAN episodes
// only.
#include "train/train.h"

#include "algos/tiny_job.h"
#include "core/log.h"
#include "store/jsonl.h"
#include "train/run.h"

static mg_arena arena;
static char    *data;

static int open_group(void **state) {
    if (tiny_open(state) || mg_arena_init(&arena, "test", (size_t)1 << 32)) return -1;
    mg_log_setup(MG_LOG_ERROR, false);
    data = mg_path(&arena, "%s/data", tiny_root);
    return mg_tokenizer_save(tiny_words, mg_path(&arena, "%s/tokenizer.json", tiny_policy)) ||
           mg_folder_make(data) ||
           mg_pairs_write(mg_path(&arena, "%s/train.jsonl", data), tiny_pairs, TINY_PAIRS) ||
           mg_pairs_write(mg_path(&arena, "%s/validation.jsonl", data), tiny_pairs, TINY_HELD);
}

static int close_group(void **state) {
    mg_arena_release(&arena);
    return tiny_close(state);
}

// ---- A world

// One turn each. What an item does; the rest give the share of letters e.
enum { ITEM_STEP_FAILS = 2, ITEM_RESET_FAILS = 4, ITEM_ABSENT = 6, ITEM_INVALID = 9 };

static atomic_int stop;         // somebody asks to stop
static int          stop_after; // steps; 0: never
static int          worlds;     // made and not ended
static bool         all_fail;

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)seed, (void)now_ns;
    const char *prompt = tiny_pairs[options->item].prompt;
    if (options->item == ITEM_RESET_FAILS) return mg_fail(MG_IO, "no item 4 today");
    *(int64_t *)e->state = options->item;
    *observation = (mg_value){.kind = MG_SPACE_TEXT, .text = prompt, .size = strlen(prompt)};
    return MG_OK;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    const int64_t item  = *(int64_t *)e->state;
    double        share = 0;
    if (stop_after > 0 && --stop_after == 0) stop = 1;
    if (item == ITEM_STEP_FAILS || all_fail) return mg_fail(MG_IO, "item %lld broke", (long long)item);
    for (size_t i = 0; i < action->size; i++)
        share += (action->text[i] == 'e') / (double)action->size;
    *out = (mg_transition){.terminated = true};
    out->reward = item == ITEM_ABSENT    ? mg_reward_absent("nobody looked")
                  : item == ITEM_INVALID ? mg_reward_of(INFINITY)
                                         : mg_reward_of(share);
    return MG_OK;
}

static const mg_env_class letters = {
    .name = "letters", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(int64_t), .steps_max = 1, .reset = reset, .step = step};

static mg_err make_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    (void)s;
    worlds++;
    *out = (mg_world){.class = &letters, .n_items = job->n_pairs};
    return MG_OK;
}

static void end_world(mg_world *w) {
    assert_ptr_equal(w->class, &letters);
    worlds--;
}

// ---- Runs

static char *run_folder(const char *name) { return mg_path(&arena, "%s/%s", tiny_root, name); }

// settings: "key=value key=value ...".
static mg_err train(const char *name, const char *settings, bool resume, mg_train_result *result) {
    mg_override overrides[32] = {
        {"out", run_folder(name)}, {"data", data}, {"model", tiny_policy}, {"threads", "1"},
        {"response_max", "12"}, {"prompt_max", "40"}};
    int   n    = 6;
    char *rest = mg_arena_strdup(&arena, settings), *word;
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        overrides[n++] = (mg_override){key, word};
    }
    return mg_train(&(mg_train_options){.overrides = overrides, .n_overrides = n, .resume = resume,
                                        .make_world = make_world, .end_world = end_world,
                                        .stop = &stop, .wall_time = 1e9}, result);
}

#define SFT "algo=sft sft.batch=5 sft.epochs=3 sft.lr=3e-3 checkpoint_every=2 evaluate_every=3"
#define PPO                                                                                    \
    "algo=ppo ppo.updates=4 ppo.episodes=12 ppo.critic_init=policy ppo.temperature=1 "         \
    "checkpoint_every=2 gate.on_trip=note gate.retries=0"

static char *read_text(const char *run, const char *name, size_t *size) {
    char *text;
    ok(mg_file_read(mg_path(&arena, "%s/%s", run_folder(run), name), (size_t)1 << 30, &arena, &text, size));
    return text;
}

static void same_file(const char *a, const char *b, const char *name) {
    size_t      n, m;
    const char *x = read_text(a, name, &n), *y = read_text(b, name, &m);
    if (n != m || memcmp(x, y, n)) fail_msg("%s of %s and %s differ", name, a, b);
}

static mg_store *store_of(const char *run) {
    mg_store *s;
    ok(mg_store_open(&s, mg_path(&arena, "%s/run.db", run_folder(run))));
    return s;
}

static mg_point *points_of(const char *run, const char *name, int64_t *n) {
    mg_store *s = store_of(run);
    mg_point *points;
    ok(mg_store_metric_read(s, name, &arena, &points, n));
    mg_store_close(s);
    return points;
}

static bool there(const char *run, const char *name) {
    return mg_file_exists(mg_path(&arena, "%s/%s", run_folder(run), name));
}

static void refused(mg_err found, mg_err wanted, const char *said) {
    assert_int_equal(found, wanted);
    if (!strstr(mg_err_detail(), said)) fail_msg("found '%s', wanted '%s'", mg_err_detail(), said);
}

static void forget(const char *run, const char *names) {
    assert_int_equal(system(mg_path(&arena, "cd %s && rm -r %s", run_folder(run), names)), 0);
}

// ---- Tests

// Ten of the twelve rows are short enough for an answer of 12 tokens: three epochs by five are six.
static void test_a_whole_run(void **state) {
    (void)state;
    mg_train_result result;
    mg_settings     s;
    const char     *text;
    char           *yaml, *note;
    size_t          size;
    int64_t         n;
    ok(train("sft", SFT, false, &result));
    assert_int_equal(result.updates, 6);
    assert_string_equal(result.folder, run_folder("sft"));
    assert_int_equal(worlds, 0); // none was asked for

    // run.yaml is the resolved configuration, reads back, and is in the store too.
    yaml = read_text("sft", "run.yaml", &size);
    ok(mg_settings_read(&s, mg_path(&arena, "%s/run.yaml", run_folder("sft")), NULL, 0, &arena));
    ok(mg_settings_text(&s, NULL, &arena, &text));
    assert_string_equal(text, yaml);
    assert_non_null(strstr(yaml, "evaluate_every: 3\n"));
    mg_store *store = store_of("sft");
    ok(mg_store_note_read(store, "config", &arena, &note));
    mg_store_close(store);
    assert_string_equal(note, yaml);

    const mg_point *loss = points_of("sft", "loss", &n);
    assert_int_equal(n, 6);
    for (int i = 0; i < 6; i++) assert_int_equal(loss[i].update, i);
    const mg_point *held = points_of("sft", "held_out_loss", &n);
    assert_true(n == 2 && held[0].update == 2 && held[1].update == 5);
    assert_true(held[1].value < held[0].value); // its rows are among those it learns from
    assert_true(result.last.n > 0 && strcmp(result.last.rows[0].name, "loss") == 0);
    assert_true(result.last.rows[0].value == loss[5].value);

    assert_true(there("sft", "checkpoints/000004") && there("sft", "checkpoints/000006"));
    assert_false(there("sft", "checkpoints/000002")); // two are kept
    assert_true(there("sft", "report.html") && there("sft", "model/tokenizer.json"));
    assert_true(there("sft", "events.out.tfevents.1000000000.martingale"));
    assert_false(there("sft", "model.half"));
    same_file("sft/model", "sft/checkpoints/000006", "model.safetensors");
}

// Killed behind a checkpoint, with a half of the next, and resumed: the same bytes. A finished run that
// is resumed stays what it is.
static void test_a_killed_run_goes_on(void **state) {
    (void)state;
    mg_train_result result;
    int64_t         n;
    ok(train("killed", SFT, false, &result));
    same_file("sft", "killed", "model/model.safetensors");
    forget("killed", "model report.html checkpoints/000006");
    ok(mg_folder_make(run_folder("killed/checkpoints/000006.half")));
    ok(train("killed", SFT, true, &result));
    assert_int_equal(result.updates, 6);
    same_file("sft", "killed", "model/model.safetensors");
    same_file("sft", "killed", "checkpoints/000006/optimiser.safetensors");
    assert_false(there("killed", "checkpoints/000006.half"));
    points_of("killed", "loss", &n);
    assert_int_equal(n, 6);

    forget("killed", "model"); // died while it was exported
    ok(train("killed", SFT, true, &result));
    assert_int_equal(result.updates, 6);
    assert_int_equal(result.last.n, 0);
    same_file("sft", "killed", "model/model.safetensors");
}

static void test_a_run_keeps_its_settings(void **state) {
    (void)state;
    mg_train_result result;
    refused(train("sft", SFT, false, &result), MG_BUSY, "--resume goes on");
    refused(train("sft", SFT " sft.lr=0.5", true, &result), MG_CONFIG, "lr: 0.5");
    refused(train("sft", SFT " seed=2", true, &result), MG_CONFIG, "run.yaml:");
    refused(train("nobody", SFT, true, &result), MG_IO, "no run to resume");
    ok(train("sft", SFT " threads=2 checkpoint_every=1", true, &result));
}

// What the user named wrongly leaves nothing behind that stands in the way of the next try.
static void test_a_failed_start_leaves_no_run(void **state) {
    (void)state;
    mg_train_result result;
    // Found by the learner, which is the last to look: a critic is to start from a reward model.
    refused(train("late", "algo=ppo reward_model=/nowhere/at/all", false, &result), MG_CONFIG,
            "reward_model: found nothing at '/nowhere/at/all'");
    assert_false(there("late", "."));
    refused(train("late", "algo=drpo", false, &result), MG_CONFIG, "letters cannot be reset");
    assert_false(there("late", "."));
    assert_int_equal(worlds, 0);
    ok(train("late", "algo=sft sft.batch=10 sft.epochs=1", false, &result));
}

// A stop in the middle of an update's episodes: the update is finished, a checkpoint written, and
// what comes after the resume is what would have come without.
static void test_a_stopped_run_goes_on(void **state) {
    (void)state;
    mg_train_result result;
    int64_t         n, m;
    ok(train("ppo", PPO, false, &result));
    assert_int_equal(worlds, 0);
    stop_after = 25; // in the third update: of 12 episodes at least 9 have a step each
    assert_int_equal(train("stopped", PPO, false, &result), MG_INTERRUPTED);
    assert_non_null(strstr(mg_err_detail(), "stopped behind update 3 of 4"));
    assert_false(there("stopped", "model"));
    size_t size;
    assert_non_null(strstr(read_text("stopped", "report.html", &size), " 3 updates"));
    assert_true(there("stopped", "checkpoints/000003/critic/optimiser.safetensors"));
    stop = 0;
    ok(train("stopped", PPO, true, &result));
    same_file("ppo", "stopped", "model/model.safetensors");
    same_file("ppo", "stopped", "checkpoints/000004/optimiser.safetensors");
    same_file("ppo", "stopped", "checkpoints/000004/critic/model.safetensors");
    same_file("ppo", "stopped", "checkpoints/000004/critic/optimiser.safetensors");
    const mg_point *a = points_of("ppo", "policy_loss", &n), *b = points_of("stopped", "policy_loss", &m);
    assert_true(n == 4 && m == 4 && memcmp(a, b, 4 * sizeof *a) == 0);

    // Asked before anything was done: nothing to keep, and nothing lost.
    stop = 1;
    assert_int_equal(train("early", PPO, false, &result), MG_INTERRUPTED);
    assert_false(there("early", "checkpoints/000000"));
    stop = 0;
    ok(train("early", PPO, true, &result));
    same_file("ppo", "early", "model/model.safetensors");
}

// Recomputed from the record: the world's reward that each update saw is the mean over its CLEAN
// episodes. One that is not CLEAN has no reward, and would end the program in the learner.
static void test_only_clean_episodes_are_learnt_from(void **state) {
    (void)state;
    int64_t         n_seen, n_excluded, n, unclean_in_all = 0;
    const mg_point *seen     = points_of("ppo", "env_reward", &n_seen);
    const mg_point *excluded = points_of("ppo", "excluded", &n_excluded);
    mg_store       *s        = store_of("ppo");
    int             codes[4] = {0};
    assert_true(n_seen == 4 && n_excluded == 4);
    for (int64_t u = 0; u < 4; u++) {
        mg_episode *e;
        int64_t     clean = 0, unclean = 0;
        double      sum = 0, value;
        ok(mg_store_episodes_read(s, u, u + 1, 100, &arena, &e, &n));
        assert_int_equal(n, 12); // whatever became of them, all are in the record
        for (int64_t i = 0; i < n; i++) {
            static const char *const wanted[] = {"E.step", "E.reset", "V.absent", "V.invalid"};
            const int64_t            item     = e[i].start.item;
            const int bad = item == ITEM_STEP_FAILS ? 0 : item == ITEM_RESET_FAILS ? 1
                          : item == ITEM_ABSENT     ? 2 : item == ITEM_INVALID     ? 3 : -1;
            const mg_reward r = mg_episode_return(&e[i]);
            assert_int_equal(e[i].verdict, bad < 0 ? MG_CLEAN : MG_QUARANTINED);
            assert_int_equal(e[i].policy_version, u);
            if (bad >= 0) {
                assert_string_equal(e[i].code, wanted[bad]);
                assert_true(e[i].detail[0]);
                codes[bad]++, unclean++;
            } else {
                assert_true(mg_reward_value(&r, &value));
                sum += value, clean++;
            }
        }
        near(seen[u].value, sum / (double)clean, 1e-12);
        near(excluded[u].value, (double)unclean, 0);
        unclean_in_all += unclean;
    }
    mg_store_close(s);
    assert_true(unclean_in_all > 0 && codes[0] > 0 && codes[1] > 0 && codes[2] > 0 && codes[3] > 0);
}

// Nothing clean is nothing to learn from: the run ends, and what happened is in the store.
static void test_no_clean_episode(void **state) {
    (void)state;
    mg_train_result result;
    mg_episode     *e;
    int64_t         n;
    all_fail = true;
    refused(train("unclean", PPO, false, &result), MG_EMPTY,
            "update 1: none of 12 episodes may be learnt from; the first: E.step: item 2 broke");
    all_fail = false;
    mg_store *s = store_of("unclean");
    ok(mg_store_episodes_read(s, 0, 1, 100, &arena, &e, &n));
    mg_store_close(s);
    assert_int_equal(n, 12);
    assert_int_equal(e[0].verdict, MG_QUARANTINED);
    ok(train("unclean", PPO, true, &result)); // when the world is mended, the run goes on
    same_file("ppo", "unclean", "model/model.safetensors");
}

// A third of the items fail: the gate stops the run at the first update, before any is tried again, and the
// report says why. What was played is kept, and nothing was learnt.
static void test_an_unfit_environment_stops_the_run(void **state) {
    (void)state;
    mg_train_result result;
    mg_episode     *e;
    int64_t         n, again = 0;
    size_t          size;
    refused(train("unfit", "algo=ppo ppo.updates=4 ppo.episodes=40 ppo.critic_init=policy ppo.temperature=1",
                  false, &result), MG_UNFIT, "failed on the harness's side, more than 5 %");
    mg_store *s = store_of("unfit");
    ok(mg_store_episodes_read(s, 0, 1, 200, &arena, &e, &n));
    for (int64_t i = 0; i < n; i++) again += e[i].start.attempt > 0;
    assert_true(n == 40 && again == 0);
    mg_ledger fed;
    ok(mg_store_ledger_read(s, 0, &arena, &fed));
    assert_int_equal(fed.n, 0);
    mg_store_close(s);
    const char *report = read_text("unfit", "report.html", &size);
    assert_non_null(strstr(report, "It was stopped: "));
    assert_non_null(strstr(report, "<h3>Witnesses</h3>"));
    assert_non_null(strstr(report, "item 2 broke"));
    assert_false(there("unfit", "model"));
}

int main(void) {
    const struct CMUnitTest tests[] = { // in this order: some look at the runs of those before
        cmocka_unit_test(test_a_whole_run),
        cmocka_unit_test(test_a_killed_run_goes_on),
        cmocka_unit_test(test_a_run_keeps_its_settings),
        cmocka_unit_test(test_a_failed_start_leaves_no_run),
        cmocka_unit_test(test_a_stopped_run_goes_on),
        cmocka_unit_test(test_only_clean_episodes_are_learnt_from),
        cmocka_unit_test(test_no_clean_episode),
        cmocka_unit_test(test_an_unfit_environment_stops_the_run),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
