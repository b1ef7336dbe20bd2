// Goal:   a run under the gate is the same whatever interrupts it; its ledger names what was admitted and
//         nothing else; where a broken environment is only noted, still only CLEAN is learnt from.
// Method: a world that fails by its reset's seed, at a rate below the limit or above it; runs stopped, cut off
//         and resumed against one that was not; the ledger against the record.
#include "algos/tiny_job.h"
#include "core/log.h"
#include "harness/gate.h"
#include "store/jsonl.h"
#include "store/store.h"
#include "train/train.h"

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

// ---- A world of one turn, whose seed decides whether it works

static atomic_int stop;
static int          stop_after;       // steps; 0: never
static uint64_t     fails_below = 30; // of 1000 seeds

typedef struct told {
    int64_t  item;
    uint64_t seed;
} told;

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    const char *prompt = tiny_pairs[options->item].prompt;
    *(told *)e->state  = (told){options->item, seed};
    *observation       = (mg_value){.kind = MG_SPACE_TEXT, .text = prompt, .size = strlen(prompt)};
    return MG_OK;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    const told *t     = e->state;
    double      share = 0;
    if (stop_after > 0 && --stop_after == 0) stop = 1;
    if (t->seed % 1000 < fails_below) return mg_fail(MG_IO, "seed %llu broke", (unsigned long long)t->seed);
    for (size_t i = 0; i < action->size; i++) share += (action->text[i] == 'e') / (double)action->size;
    *out = (mg_transition){.terminated = true, .reward = mg_reward_of(share)};
    return MG_OK;
}

static const char *manifest(const mg_env *e) {
    (void)e;
    return "{\"name\": \"letters\", \"determinism\": \"deterministic\"}";
}

static const mg_env_class letters = {
    .name = "letters", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(told), .steps_max = 1, .reset = reset, .step = step, .manifest = manifest};

static mg_err make_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    (void)s;
    *out = (mg_world){.class = &letters, .n_items = job->n_pairs};
    return MG_OK;
}

static void end_world(mg_world *w) { (void)w; }

// ---- Runs

static char *run_folder(const char *name) { return mg_path(&arena, "%s/%s", tiny_root, name); }

static mg_admit_fn *admit; // a study's; NULL: there is none

static mg_err train(const char *name, const char *settings, bool resume) {
    mg_train_result result;
    mg_override     overrides[32] = {
            {"out", run_folder(name)}, {"data", data}, {"model", tiny_policy}, {"threads", "1"},
            {"response_max", "12"}, {"prompt_max", "40"}, {"checkpoint_every", "2"}};
    int   n    = 7;
    char *rest = mg_arena_strdup(&arena, settings), *word;
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        overrides[n++] = (mg_override){key, word};
    }
    return mg_train(&(mg_train_options){.overrides = overrides, .n_overrides = n, .resume = resume,
                                        .make_world = make_world, .end_world = end_world, .admit = admit, .stop = &stop,
                                        .wall_time = 1e9}, &result);
}

#define PPO  "algo=ppo ppo.updates=5 ppo.episodes=60 ppo.critic_init=policy ppo.temperature=1 gate.replay_share=0.2"
#define GRPO "algo=grpo grpo.updates=5 grpo.prompts=10 grpo.group=6 grpo.temperature=1"

static mg_store *store_of(const char *run) {
    mg_store *s;
    ok(mg_store_open(&s, mg_path(&arena, "%s/run.db", run_folder(run))));
    return s;
}

static void same_file(const char *a, const char *b, const char *name) {
    char  *x, *y;
    size_t n, m;
    ok(mg_file_read(mg_path(&arena, "%s/%s", run_folder(a), name), (size_t)1 << 30, &arena, &x, &n));
    ok(mg_file_read(mg_path(&arena, "%s/%s", run_folder(b), name), (size_t)1 << 30, &arena, &y, &m));
    if (n != m || memcmp(x, y, n)) fail_msg("%s of %s and %s differ", name, a, b);
}

static void same_run(const char *a, const char *b) {
    uint8_t   x[32], y[32];
    mg_store *s = store_of(a), *t = store_of(b);
    ok(mg_store_head(s, x)), ok(mg_store_head(t, y));
    ok(mg_store_verify(s)), ok(mg_store_verify(t));
    mg_store_close(s), mg_store_close(t);
    assert_memory_equal(x, y, 32);
    same_file(a, b, "model/model.safetensors");
    same_file(a, b, "checkpoints/000005/optimiser.safetensors");
    same_file(a, b, "checkpoints/000005/gate.bin");
}

static const mg_gate *gate_of(const char *run) {
    char  *bytes;
    size_t n;
    ok(mg_file_read(mg_path(&arena, "%s/checkpoints/000005/gate.bin", run_folder(run)), (size_t)1 << 30, &arena,
                    &bytes, &n));
    mg_gate *g = MG_NEW(&arena, mg_gate, 1);
    assert_int_equal(n, 32 + 32 + sizeof *g); // format, hash, account
    return memcpy(g, bytes + 64, sizeof *g);
}

// Stopped between two updates, behind a checkpoint or not; cut off with what came after one still on record:
// the same weights, the same gate, the same head.
static void test_an_interrupted_run_is_the_same(void **state) {
    (void)state;
    static const char *const settings[] = {PPO, GRPO};
    for (int k = 0; k < 2; k++) {
        const char *whole = k ? "grpo" : "ppo", *other = k ? "grpo-2" : "ppo-2", *third = k ? "grpo-3" : "ppo-3";
        fails_below = 30;
        ok(train(whole, settings[k], false));
        stop_after = 150; // in the third update
        assert_int_equal(train(other, settings[k], false), MG_INTERRUPTED);
        stop = 0;
        ok(train(other, settings[k], true));
        same_run(whole, other);
        ok(train(third, settings[k], false));
        assert_int_equal(system(mg_path(&arena, "cd %s && rm -r model report.html checkpoints/000005",
                                        run_folder(third))), 0);
        ok(train(third, settings[k], true));
        same_run(whole, third);
        const mg_gate *g = gate_of(whole);
        assert_true(g->failures > 0 && g->retried == g->failures && g->tripped_at == -1 && g->unclean_in_gradient == 0);
        assert_int_equal(g->attempts, 300 + g->failures);
        assert_int_equal(g->admitted, 300);
    }
}

// Every update: what the ledger names is on record, CLEAN, and its start's last attempt; `admitted` says how
// many there are in all.
static int64_t check_ledger(const char *run, int64_t *unclean, int64_t *dropped) {
    mg_store *s     = store_of(run);
    int64_t   admitted = 0;
    *unclean = *dropped = 0;
    for (int64_t u = 0; u < 5; u++) {
        mg_episode *e;
        mg_ledger   l;
        int64_t     n, at = 0;
        ok(mg_store_episodes_read(s, u, u + 1, 1000, &arena, &e, &n));
        ok(mg_store_ledger_read(s, u, &arena, &l));
        for (int64_t i = 0; i < n; i++) {
            const bool last = i + 1 == n || e[i + 1].start.episode != e[i].start.episode;
            assert_int_equal(e[i].verdict == MG_CLEAN, e[i].seed % 1000 >= fails_below);
            *unclean += e[i].verdict != MG_CLEAN;
            if (!last) assert_int_not_equal(e[i].verdict, MG_CLEAN); // tried again with reason
            const bool fed  = at < l.n && l.fed[at].episode == e[i].start.episode &&
                             l.fed[at].attempt == e[i].start.attempt;
            if (!fed) {
                *dropped += last && e[i].verdict == MG_CLEAN; // of a group that was too small
                continue;
            }
            uint8_t head[32];
            mg_episode_head(&e[i], head);
            assert_true(last && e[i].verdict == MG_CLEAN && l.fed[at].verdict == MG_CLEAN);
            assert_int_equal(l.fed[at].group, e[i].start.group);
            assert_memory_equal(l.fed[at++].head, head, 32);
        }
        assert_int_equal(at, l.n); // and it names nothing else
        admitted += l.n;
    }
    mg_store_close(s);
    return admitted;
}

static void test_the_ledger_is_what_was_admitted(void **state) {
    (void)state;
    int64_t unclean, dropped;
    fails_below = 30;
    for (int k = 0; k < 2; k++) {
        const char *run = k ? "grpo-2" : "ppo-2"; // with two lives
        assert_int_equal(check_ledger(run, &unclean, &dropped), 300);
        assert_int_equal(unclean, gate_of(run)->failures);
        assert_int_equal(dropped, 0);
    }
}

// More than half of everything fails: noted, the run goes on to its end, with the clean rest.
static void test_a_note_goes_on_with_what_is_clean(void **state) {
    (void)state;
    int64_t unclean, dropped;
    char   *report;
    size_t  size;
    fails_below = 550;
    ok(train("noted", GRPO " gate.on_trip=note gate.retries=1", false));
    const mg_gate *g        = gate_of("noted");
    const int64_t  admitted = check_ledger("noted", &unclean, &dropped);
    assert_true(g->tripped_at >= 0 && unclean > 100 && dropped > 0 && admitted > 0);
    assert_true(g->admitted == admitted && g->failures == unclean && g->unclean_in_gradient == 0);
    assert_int_equal(admitted + dropped + unclean, g->attempts);
    ok(mg_file_read(mg_path(&arena, "%s/report.html", run_folder("noted")), (size_t)1 << 30, &arena, &report, &size));
    assert_non_null(strstr(report, "which was noted only: "));
    assert_null(strstr(report, "It was stopped: "));
    // The same, stopped: nothing of the update is learnt from, and the sentence is the witness's.
    assert_int_equal(train("halted", GRPO, false), MG_UNFIT);
    assert_non_null(strstr(mg_err_detail(), "update 1: the environment: "));
    assert_non_null(strstr(mg_err_detail(), "E.step: seed "));
    mg_store *s = store_of("halted");
    mg_ledger l;
    ok(mg_store_ledger_read(s, 0, &arena, &l));
    assert_int_equal(l.n, 0);
    mg_store_close(s);
    // It does not get past this by being asked again.
    assert_int_equal(train("halted", GRPO, true), MG_UNFIT);
    fails_below = 30;
}

static bool as_it_comes(void *context, mg_collected *c) {
    (void)context, (void)c;
    return true;
}

static bool as_the_gate_says(void *context, mg_collected *c) { return as_it_comes(context, c) && false; }

// Where a study decided what was learnt from, the report says so before anything else; elsewhere it does not.
static void test_a_control_arm_is_said_to_be_one(void **state) {
    (void)state;
    mg_admit_fn *const arms[] = {as_it_comes, as_the_gate_says, NULL};
    for (int i = 0; i < 3; i++) {
        const char *name = mg_path(&arena, "arm%d", i);
        char       *report, *note;
        size_t      size;
        admit = arms[i];
        ok(train(name, GRPO, false));
        ok(mg_file_read(mg_path(&arena, "%s/report.html", run_folder(name)), (size_t)1 << 30, &arena, &report, &size));
        assert_int_equal(strstr(report, "This is a study&#39;s control arm: ") != NULL ||
                             strstr(report, "This is a study's control arm: ") != NULL, i == 0);
        mg_store *s = store_of(name);
        assert_int_equal(mg_store_note_read(s, "control arm", &arena, &note), i == 0 ? MG_OK : MG_EMPTY);
        mg_store_close(s);
    }
    admit = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = { // in this order: the second looks at the runs of the first
        cmocka_unit_test(test_an_interrupted_run_is_the_same),
        cmocka_unit_test(test_the_ledger_is_what_was_admitted),
        cmocka_unit_test(test_a_note_goes_on_with_what_is_clean),
        cmocka_unit_test(test_a_control_arm_is_said_to_be_one),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
