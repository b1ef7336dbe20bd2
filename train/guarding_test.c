// Goal:   a run that collapses is taken back to what it was, goes on with smaller steps, and is the same with other
//         threads and behind a kill; policies that collapse into faults are seen; every look is on record.
// Method: whole runs in a world of a formula, where the policy of a new run is good and step sizes are absurd from a
//         known update on: before, nothing is learnt. A child process is killed by the world as soon as a named folder
//         is there. The language model's world pays letters that differ.
#include "train/guarding.h"

#include <jansson.h>
#include <sys/wait.h>

#include "algos/off_policy.h"
#include "algos/tiny_job.h"
#include "core/log.h"
#include "store/jsonl.h"
#include "train/train.h"

static mg_arena    arena;
static char       *data;
static const char *kill_at; // folder; the process that finds it there dies

static int open_group(void **state) {
    if (tiny_open(state) || mg_arena_init(&arena, "test", (size_t)1 << 32)) return -1;
    mg_log_setup(MG_LOG_ERROR, false);
    data = mg_path(&arena, "%s/data", tiny_root);
    return mg_tokenizer_save(tiny_words, mg_path(&arena, "%s/tokenizer.json", tiny_policy)) ||
           mg_folder_make(data) || mg_pairs_write(mg_path(&arena, "%s/train.jsonl", data), tiny_pairs, TINY_PAIRS) ||
           mg_pairs_write(mg_path(&arena, "%s/validation.jsonl", data), tiny_pairs, TINY_HELD);
}

static int close_group(void **state) {
    mg_arena_release(&arena);
    return tiny_close(state);
}

// ---- A world of vectors: eight steps, each pays 1 - a^2. Doing nothing returns 8, anything 5.3, pushing 0.

enum { STEPS = 8, PUSHES = 4 };
typedef struct hold {
    int64_t steps, pushed; // in a row
    float   seen[2], random;
} hold;

static bool breaks; // under PUSHES pushes in a row

static mg_value observe(hold *h, uint64_t seed) {
    h->seen[0] = (float)(seed % 97) / 970, h->seen[1] = (float)h->steps / 80;
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = h->seen};
}

static mg_err hold_reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns, mg_value *out) {
    hold *h = e->state;
    (void)options, (void)now_ns;
    *h   = (hold){0};
    *out = observe(h, seed);
    return MG_OK;
}

static mg_err hold_step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    hold        *h = e->state;
    const double a = (double)action->vector[0];
    (void)now_ns;
    if (kill_at && mg_file_exists(kill_at)) _exit(9);
    h->steps++, h->pushed = fabs(a) > 0.9 ? h->pushed + 1 : 0;
    if (breaks && h->pushed == PUSHES) {
        e->fault = "E.step";
        return mg_fail(MG_NUMERIC, "it broke");
    }
    *out = (mg_transition){.observation = observe(h, (uint64_t)h->steps), .reward = mg_reward_of(1 - a * a)};
    return MG_OK;
}

static const char *hold_manifest(const mg_env *e) {
    (void)e;
    return "{\"name\": \"hold\", \"determinism\": \"seeded\"}";
}

static mg_err act_at_random(const mg_env *e, mg_rng *rng, mg_value *action) {
    hold *h   = e->state;
    h->random = (float)(2 * mg_rng_uniform(rng) - 1);
    *action   = (mg_value){.kind = MG_SPACE_VECTOR, .vector = &h->random};
    return MG_OK;
}

static const mg_script hold_scripts[] = {{"random", "evenly in [-1, 1]", act_at_random}, {0}};

static const mg_env_class hold_class = {
    .name = "hold", .observation = {.kind = MG_SPACE_VECTOR, .n = 2, .low = -INFINITY, .high = INFINITY},
    .action = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -1, .high = 1}, .state_size = sizeof(hold),
    .steps_max = STEPS, .reset = hold_reset, .step = hold_step, .manifest = hold_manifest,
    .scripts = hold_scripts};

// ---- A world of texts: one turn, in which every other letter is paid once.

static mg_err letters_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now_ns, mg_value *out) {
    (void)e, (void)seed, (void)now_ns;
    const char *prompt = tiny_pairs[o->item].prompt;
    *out = (mg_value){.kind = MG_SPACE_TEXT, .text = prompt, .size = strlen(prompt)};
    return MG_OK;
}

static mg_err letters_step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    double other = 0;
    (void)e, (void)now_ns;
    for (size_t i = 0; i < action->size; i++) other += !memchr(action->text, action->text[i], i);
    *out = (mg_transition){.terminated = true, .reward = mg_reward_of(other)};
    return MG_OK;
}

static const mg_env_class letters_class = {
    .name = "letters", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = 8, .steps_max = 1, .reset = letters_reset, .step = letters_step};

// ---- Runs

static const mg_env_class *class_of(const mg_settings *s) {
    return strcmp(s->run.model, tiny_policy) == 0 ? &letters_class : &hold_class;
}

static mg_err make_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    *out = (mg_world){.class = class_of(s), .n_items = class_of(s) == &letters_class ? job->n_pairs : 0};
    return MG_OK;
}

static void end_world(mg_world *w) { (void)w; }

static char *run_folder(const char *name) { return mg_path(&arena, "%s/%s", tiny_root, name); }
static char *in_run(const char *name, const char *file) { return mg_path(&arena, "%s/%s", run_folder(name), file); }

// settings: "key=value key=value ...".
static mg_err train(const char *name, const char *settings, bool resume) {
    mg_override     overrides[48] = {{"out", run_folder(name)}, {"guard.enabled", "true"}};
    mg_train_result result;
    int             n    = 2;
    char           *rest = mg_arena_strdup(&arena, settings), *word;
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        overrides[n++] = (mg_override){key, word};
    }
    return mg_train(&(mg_train_options){.overrides = overrides, .n_overrides = n, .resume = resume,
                                        .make_world = make_world, .world_class = class_of, .end_world = end_world,
                                        .wall_time = 1e9}, &result);
}

// Blocks of two episodes. In the first four nothing is learnt, in the fifth with steps of 1: two looks of ten pairs
// later, behind update 5, it is taken back to what was behind the first four, and learns with steps of 1e-6.
#define LEARNS(algo)                                                                                          \
    "algo=" algo " threads=1 network.width=8 network.depth=1 checkpoints_kept=99 " algo ".block=16 " algo       \
    ".steps=192 " algo ".start_steps=64 " algo ".batch=16 " algo ".replay=500 " algo ".lr=1 " algo ".critic_lr=1e-2 " \
    algo ".evaluate_episodes=2 guard.step_factor=1e-6 "
enum { UPDATES = 12, GOOD = 4, BACK = 5 };

static mg_store *store_of(const char *run) {
    mg_store *s;
    ok(mg_store_open(&s, in_run(run, "run.db")));
    return s;
}

static mg_point *points_of(const char *run, const char *name, int64_t *n) {
    mg_store *s = store_of(run);
    mg_point *points;
    ok(mg_store_metric_read(s, name, &arena, &points, n));
    mg_store_close(s);
    return points;
}

static char *note_of(const char *run) {
    mg_store *s = store_of(run);
    char     *text;
    ok(mg_store_note_read(s, "guard", &arena, &text));
    mg_store_close(s);
    return text;
}

static char *bytes_of(const char *path, size_t *size) {
    char *bytes;
    ok(mg_file_read(path, (size_t)1 << 26, &arena, &bytes, size));
    return bytes;
}

static void same_file(const char *a, const char *b) {
    size_t      n, m;
    const char *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    if (n != m || memcmp(x, y, n)) fail_msg("%s and %s differ", a, b);
}

static const char *const learnt_files[] = {"model.safetensors", "optimiser.safetensors", "critic/model.safetensors",
                                           "critic/optimiser.safetensors", "critic_target/model.safetensors"};

static void same_parts(const char *a, const char *b) {
    for (size_t i = 0; i < sizeof learnt_files / sizeof *learnt_files; i++)
        same_file(mg_path(&arena, "%s/%s", a, learnt_files[i]), mg_path(&arena, "%s/%s", b, learnt_files[i]));
}

static mg_off_policy_state state_of(const char *run, int updates) {
    mg_off_policy_state s;
    size_t              size;
    const char         *bytes = bytes_of(in_run(run, mg_path(&arena, "checkpoints/%06d/learner.bin", updates)), &size);
    memcpy(&s, bytes + size - sizeof s, sizeof s);
    return s;
}

static float moved(const char *run, int updates) { // of a weight, by the update behind so many
    mg_model *a, *b;
    float     most = 0;
    ok(mg_model_load(&a, in_run(run, mg_path(&arena, "checkpoints/%06d", updates)), false));
    ok(mg_model_load(&b, in_run(run, mg_path(&arena, "checkpoints/%06d", updates + 1)), false));
    for (int64_t i = 0; i < a->n_weights; i++) most = fmaxf(most, fabsf(a->weights[i] - b->weights[i]));
    mg_model_free(a), mg_model_free(b);
    return most;
}

// ---- Tests

static void a_run_that_collapses_is_taken_back(void **state) {
    (void)state;
    static const char *const algos[] = {"td3_c", "sac"};
    for (int k = 0; k < 2; k++) {
        const char *run = algos[k];
        int64_t     n, m;
        ok(train(run, k ? LEARNS("sac") "checkpoint_every=1" : LEARNS("td3_c") "checkpoint_every=1", false));
        const mg_point *back = points_of(run, "guard_rollback", &n), *good = points_of(run, "guard_good", &m);
        assert_true(n == UPDATES && m == UPDATES);
        for (int u = 0; u < UPDATES; u++) {
            if (back[u].value != (u == BACK)) fail_msg("%s: update %d: %g rollbacks", run, u, back[u].value);
            const int wanted = u == GOOD || u == BACK ? GOOD : u + 1;
            if (good[u].value != wanted) fail_msg("%s: good behind %g at update %d", run, good[u].value, u);
        }
        same_parts(in_run(run, "checkpoints/000004"), in_run(run, "checkpoints/000006"));
        const mg_off_policy_state then = state_of(run, GOOD), now = state_of(run, BACK + 1), lost = state_of(run, BACK);
        assert_memory_equal(&then.learnt, &now.learnt, sizeof then.learnt);
        assert_true(lost.learnt.variable != then.learnt.variable); // it had been learnt
        assert_true(now.steps > then.steps && now.updates > then.updates && now.buffer.rows == now.steps);
        // Adam's step is at most about its size, of which there are sixteen.
        assert_true(moved(run, GOOD) > 0.5f);
        for (int u = BACK + 1; u < UPDATES; u++) assert_true(moved(run, u) > 0 && moved(run, u) < 1e-4f);
    }
}

static void the_account_tells_it(void **state) {
    (void)state;
    int64_t         n;
    int             update, good, collapsed, evaluated, steps, learnt, pairs, best;
    double          share, dip, span, gain, fall = 0, most = 0;
    const char     *verdict;
    json_t         *note   = json_loads(note_of("td3_c"), 0, NULL);
    const mg_point *now = points_of("td3_c", "guard_return", &n), *start = points_of("td3_c", "guard_start", &n);
    assert_int_equal(json_unpack(note, "{s:[{s:i, s:i}], s:b, s:{s:i, s:i}, s:{s:i}, s:F, s:F, s:F, s:s, s:i, s:i, "
                                 "s:F}", "rollbacks", "update", &update, "good", &good, "collapsed", &collapsed,
                                 "evaluation",
                                 "episodes", &evaluated, "steps", &steps, "training", "steps", &learnt, "step_share",
                                 &share, "dip", &dip, "span", &span, "verdict", &verdict, "verdict_pairs", &pairs,
                                 "best", &best, "best_gain", &gain), 0);
    assert_true(update == BACK + 1 && good == GOOD && collapsed == 1 && pairs == 40);
    // J_0 and random actions by 20 each, twelve looks of ten pairs, a verdict of forty; eight steps each.
    assert_int_equal(evaluated, 20 + 20 + 2 * (12 * 10 + 40));
    assert_int_equal(steps, 8 * evaluated);
    assert_int_equal(learnt, 192);
    near(share, (double)steps / 192, 1e-6);
    for (int64_t i = 0; i < n; i++) fall = fmax(fall, start[i].value - now[i].value);
    near(dip, fall / span, 1e-6);
    assert_true(dip > .5 && strlen(verdict) > 1);
    // The run ended with the look that gained most.
    for (int64_t i = 0; i < n; i++) most = fmax(most, now[i].value - start[i].value);
    near(gain, most, 1e-6);
    same_file(in_run("td3_c", "model/model.safetensors"),
              in_run("td3_c", mg_path(&arena, "guard/best/%06d/model.safetensors", best)));
    json_decref(note);
}

// Looks at the first four updates alone, in which nothing is learnt: the run does not end with what is learnt later.
static void the_start_is_kept_where_nothing_gained(void **state) {
    (void)state;
    ok(train("start", LEARNS("td3_c") "checkpoint_every=5 guard.dense=4 guard.every=100", false));
    json_t *note = json_loads(note_of("start"), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(note, "best")), 0);
    assert_true(json_number_value(json_object_get(note, "gain")) == 0);
    json_decref(note);
    same_file(in_run("start", "model/model.safetensors"), in_run("start", "guard/start/model.safetensors"));
    size_t      n, m;
    const char *kept = bytes_of(in_run("start", "model/model.safetensors"), &n);
    const char *last = bytes_of(in_run("start", "checkpoints/000012/model.safetensors"), &m);
    assert_true(n != m || memcmp(kept, last, n));
}

// Unless it is told to end with the last state.
static void the_last_is_kept_where_asked_for(void **state) {
    (void)state;
    ok(train("last", LEARNS("td3_c") "checkpoint_every=1 guard.keep_best=false", false));
    same_parts(in_run("td3_c", "checkpoints/000012"), in_run("last", "checkpoints/000012"));
    same_file(in_run("last", "model/model.safetensors"), in_run("last", "checkpoints/000012/model.safetensors"));
    assert_false(mg_file_exists(in_run("last", "guard/best")));
}

static void threads_change_nothing(void **state) {
    (void)state;
    ok(train("two", LEARNS("td3_c") "checkpoint_every=1 threads=2", false));
    same_parts(in_run("td3_c", "checkpoints/000012"), in_run("two", "checkpoints/000012"));
    assert_string_equal(note_of("td3_c"), note_of("two"));
}

// A run of these settings killed when it keeps what is behind update 9, and run on; and the same run never killed. They
// end alike.
static void goes_on(const char *whole, const char *killed, const char *settings) {
    int status;
    ok(train(whole, settings, false));
    const pid_t child = fork();
    if (child == 0) {
        kill_at = in_run(killed, "guard/good/000009");
        (void)!train(killed, settings, false);
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9);
    assert_true(mg_file_exists(in_run(killed, "checkpoints/000005")));
    assert_false(mg_file_exists(in_run(killed, "checkpoints/000010")));
    assert_true(mg_file_exists(in_run(killed, "guard/good/000004")));
    assert_false(mg_file_exists(in_run(killed, "guard/good/000007"))); // no checkpoint goes back to it
    json_t *note = json_loads(note_of(killed), 0, NULL); // what was decided is on record all the same
    assert_int_equal(json_array_size(json_object_get(note, "rollbacks")), 1);
    assert_true(json_is_null(json_object_get(note, "verdict")));
    json_decref(note);

    ok(train(killed, settings, true));
    same_parts(in_run(whole, "checkpoints/000012"), in_run(killed, "checkpoints/000012"));
    same_file(in_run(whole, "model/model.safetensors"), in_run(killed, "model/model.safetensors"));
    assert_string_equal(note_of(whole), note_of(killed));
    ok(train(killed, settings, true)); // it is over: judged again, and alike
    assert_string_equal(note_of(whole), note_of(killed));
}

// The checkpoint is behind update 4. The rollback behind 5 goes back to 4; then 7, 8 and 9 are good, and the process
// dies before the next checkpoint. The life that goes on must not go back to 9.
static void a_life_that_goes_on_goes_back_to_the_same_state(void **state) {
    (void)state;
    goes_on("whole", "killed", LEARNS("td3_c") "checkpoint_every=5");
}

// The starting policy, loaded again, acts by the same products as before.
static void so_does_one_in_bfloat16(void **state) {
    (void)state;
    if (mg_model_compute(NULL, MG_COMPUTE_BF16)) skip();
    goes_on("whole16", "killed16", LEARNS("td3_c") "checkpoint_every=5 compute=bf16");
}

// The world breaks under pushing: the policy that collapses has no return at all.
static void a_collapse_into_faults_is_taken_back(void **state) {
    (void)state;
    int64_t n;
    breaks = true;
    ok(train("faults", LEARNS("td3") "checkpoint_every=1 gate.on_trip=note", false));
    breaks = false;
    const mg_point *back = points_of("faults", "guard_rollback", &n), *faults = points_of("faults", "guard_faults", &n);
    assert_true(faults[BACK - 1].value == 10 && faults[BACK].value == 10 && back[BACK].value == 1);
    for (int u = BACK + 1; u < UPDATES; u++) assert_true(faults[u].value == 0 && back[u].value == 0);
    same_parts(in_run("faults", "checkpoints/000004"), in_run("faults", "checkpoints/000006"));
}

// A temperature that grows e-fold with every step has no number in the end, in the eighth update. Gone back to the
// start, steps are too small for it to grow again.
#define DIVERGES LEARNS("sac") "sac.alpha_lr=1 guard.dense=0 guard.every=11 "
enum { BROKE = 7 };

static void learning_that_leaves_the_finite_is_taken_back(void **state) {
    (void)state;
    int64_t n, m;
    ok(train("broke", DIVERGES "checkpoint_every=1", false));
    const mg_point *back = points_of("broke", "guard_rollback", &n);
    const mg_point *steps = points_of("broke", "steps", &m);
    assert_true(n == 2 && m == UPDATES); // what broke, and the look
    assert_true(back[0].update == BROKE && back[0].value == 1 && back[1].update == 10 && back[1].value == 0);
    assert_true(steps[BROKE].value < 16 * (BROKE + 1) && steps[BROKE].value > 16 * BROKE); // within a block
    assert_true(steps[UPDATES - 1].value >= 192 && steps[UPDATES - 1].value < 192 + STEPS); // made up for
    same_parts(in_run("broke", "checkpoints/000008"), in_run("broke", "guard/good/000000"));
    for (int u = BROKE + 1; u < UPDATES; u++) assert_true(moved("broke", u) > 0 && moved("broke", u) < 1e-4f);
    json_t *note = json_loads(note_of("broke"), 0, NULL);
    int     update, good;
    assert_int_equal(json_unpack(note, "{s:[{s:i, s:i}!]}", "rollbacks", "update", &update, "good", &good), 0);
    assert_true(update == BROKE + 1 && good == 0); // numbered from 1, as people read it
    json_decref(note);
}

static void and_so_it_is_in_a_life_that_goes_on(void **state) {
    (void)state;
    uint8_t   head[32], again[32];
    mg_store *s;
    for (int at = BROKE; at <= BROKE + 1; at++) { // before it, and behind
        ok(train("broken", DIVERGES "checkpoint_every=1", false));
        assert_int_equal(system(mg_path(&arena, "cd %s && rm -r model && for c in checkpoints/*; do "
                                        "[ ${c##*/} -gt %06d ] && rm -r $c; done; true", run_folder("broken"), at)), 0);
        ok(train("broken", DIVERGES "checkpoint_every=1", true));
        same_parts(in_run("broke", "checkpoints/000012"), in_run("broken", "checkpoints/000012"));
        same_file(in_run("broke", "replay.bin"), in_run("broken", "replay.bin"));
        assert_string_equal(note_of("broke"), note_of("broken"));
        s = store_of("broke");
        ok(mg_store_head(s, head));
        mg_store_close(s), s = store_of("broken");
        ok(mg_store_head(s, again));
        mg_store_close(s);
        assert_memory_equal(head, again, 32);
        assert_int_equal(system(mg_path(&arena, "rm -r %s", run_folder("broken"))), 0);
    }
}

// Looks that see nothing call a policy good whose temperature is on its way: gone back to, it leaves again.
static void what_leaves_again_ends_the_run(void **state) {
    (void)state;
    int64_t n;
    ok(train("leaves", LEARNS("sac") "sac.alpha_lr=1 guard.margin=10 guard.rollbacks=2 checkpoint_every=1", false));
    const mg_point *back = points_of("leaves", "guard_rollback", &n);
    assert_int_equal(n, BROKE + 3);
    for (int u = 0; u < n; u++) assert_true(back[u].value == (u >= BROKE));
    json_t *note = json_loads(note_of("leaves"), 0, NULL);
    int     stopped;
    assert_int_equal(json_unpack(note, "{s:b}", "stopped", &stopped), 0);
    json_decref(note);
    assert_true(stopped == 1);
}

// Without a guard it ends the run as ever.
static void without_a_guard_it_is_an_error(void **state) {
    (void)state;
    assert_int_equal(train("unguarded", DIVERGES "guard.enabled=false", false), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "update 8: "));
}

#define LETTERS                                                                                                \
    "algo=ppo threads=1 response_max=12 prompt_max=40 ppo.updates=6 ppo.episodes=12 ppo.critic_init=policy "      \
    "ppo.temperature=1 ppo.schedule=constant ppo.clip_norm=0 guard.step_factor=1e-3 guard.margin=0 "

static mg_err writes(const char *run, const char *more, bool resume) {
    return train(run, mg_path(&arena, LETTERS "model=%s data=%s %s", tiny_policy, data, more), resume);
}

// A language model whose steps are absurd writes one letter over and over, and is taken back; threads and a second life
// change nothing.
static void language_models_are_watched_alike(void **state) {
    (void)state;
    int64_t n;
    ok(writes("texts", "ppo.lr=1 checkpoint_every=1 checkpoints_kept=9", false));
    const mg_point *back = points_of("texts", "guard_rollback", &n);
    assert_int_equal(n, 6);
    double rollbacks = 0;
    int    at        = -1;
    for (int u = 0; u < 6; u++) {
        rollbacks += back[u].value;
        if (back[u].value > 0 && at < 0) at = u;
    }
    assert_true(rollbacks == 1 && at >= 1 && at <= 3);
    same_file(in_run("texts", "guard/start/model.safetensors"),
              in_run("texts", mg_path(&arena, "checkpoints/%06d/model.safetensors", at + 1)));
    ok(writes("texts2", "ppo.lr=1 checkpoint_every=2 threads=2", false));
    same_file(in_run("texts", "model/model.safetensors"), in_run("texts2", "model/model.safetensors"));
    assert_string_equal(note_of("texts"), note_of("texts2"));
    assert_int_equal(system(mg_path(&arena, "rm -r %s/checkpoints/000006 %s/model", run_folder("texts2"),
                                    run_folder("texts2"))), 0);
    ok(writes("texts2", "ppo.lr=1 checkpoint_every=2 threads=2", true));
    same_file(in_run("texts", "model/model.safetensors"), in_run("texts2", "model/model.safetensors"));
    assert_string_equal(note_of("texts"), note_of("texts2"));
    ok(writes("texts2", "ppo.lr=1 checkpoint_every=2 threads=2", true)); // over, with nothing to go on with
    assert_string_equal(note_of("texts"), note_of("texts2"));
}

int main(void) {
    const struct CMUnitTest tests[] = { // in this order: some look at the runs of those before
        cmocka_unit_test(a_run_that_collapses_is_taken_back),
        cmocka_unit_test(the_account_tells_it),
        cmocka_unit_test(the_start_is_kept_where_nothing_gained),
        cmocka_unit_test(the_last_is_kept_where_asked_for),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(a_life_that_goes_on_goes_back_to_the_same_state),
        cmocka_unit_test(so_does_one_in_bfloat16),
        cmocka_unit_test(a_collapse_into_faults_is_taken_back),
        cmocka_unit_test(learning_that_leaves_the_finite_is_taken_back),
        cmocka_unit_test(and_so_it_is_in_a_life_that_goes_on),
        cmocka_unit_test(what_leaves_again_ends_the_run),
        cmocka_unit_test(without_a_guard_it_is_an_error),
        cmocka_unit_test(language_models_are_watched_alike),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
