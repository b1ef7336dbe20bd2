// Goal:   what reaches the buffer, and when: transitions of episodes that were found clean, whole and in order, with
//         the ends that they had; a broken world ends its episode as a fault, never as a reward; blocks end with an
//         episode; a buffer that was marked can be gone back to and then comes out the same.
// Method: a world of a formula whose seed decides where it breaks, how it ends and how long it takes; the learner is a
//         small td3, whose buffer is read back row by row.
#include "train/control.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/log.h"

enum { SEES = 2, STEPS_MAX = 12 };

// ---- A world: a point that is pushed; by default an episode is truncated after STEPS_MAX steps.

typedef struct plan { // of all its episodes
    uint64_t breaks_one_in; // seeds; 0: none. Those break in step 5
    uint64_t ends_one_in;   // terminated by step 7
    bool     still_reset;   // resets fail
    double   bad_reward;    // instead of breaking: a reward that is none; 0: they break
    bool     dirty;         // the state's digest tells episodes apart
} plan;

typedef struct point {
    double   x, v;
    int64_t  steps;
    uint64_t seed;
    float    seen[SEES];
} point;

static mg_value observe(point *p) {
    p->seen[0] = (float)p->x, p->seen[1] = (float)p->v;
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = p->seen};
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns, mg_value *observation) {
    const plan *w = e->world;
    point      *p = e->state;
    (void)options, (void)now_ns;
    if (w->still_reset) return mg_fail(MG_IO, "no reset today");
    *p           = (point){.x = (double)(seed % 100) / 50 - 1, .seed = seed};
    *observation = observe(p);
    return MG_OK;
}

static bool one_in(uint64_t seed, uint64_t n) { return n > 0 && seed / 7 % n == 0; }

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    const plan *w = e->world;
    point      *p = e->state;
    (void)now_ns;
    p->steps++;
    const bool breaks = p->steps == 5 && one_in(p->seed, w->breaks_one_in);
    if (breaks && w->bad_reward == 0) {
        e->fault = "E.step";
        return mg_fail(MG_NUMERIC, "the state is not finite");
    }
    p->v = 0.9 * p->v + 0.1 * (double)action->vector[0], p->x += p->v;
    *out = (mg_transition){.observation = observe(p), .reward = mg_reward_of(breaks ? w->bad_reward : -p->x * p->x),
                           .terminated = p->steps == 7 && one_in(p->seed / 3, w->ends_one_in)};
    return MG_OK;
}

static const char *manifest(const mg_env *e) {
    (void)e;
    return "{\"name\": \"point\", \"determinism\": \"seeded\"}";
}

static const mg_env_class point_class = {
    .name = "point", .observation = {.kind = MG_SPACE_VECTOR, .n = SEES, .low = -INFINITY, .high = INFINITY},
    .action = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -3, .high = 3}, .state_size = sizeof(point),
    .steps_max = STEPS_MAX, .reset = reset, .step = step, .manifest = manifest};

// ---- A run without its store

typedef struct bench {
    plan        world;
    mg_job      job;
    mg_arena    run, step;
    mg_rollout  rollout;
    mg_env_pool pool;
    mg_gate     gate;
    mg_control  control;
    mg_collected last;
    char        folder[64];
} bench;

static void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static bench *opened(plan world, const char *settings, const char *folder) {
    bench         *b = calloc(1, sizeof *b);
    mg_gate_config gate;
    ok(mg_arena_init(&b->run, "run", (size_t)1 << 28));
    ok(mg_arena_init(&b->step, "step", (size_t)1 << 30));
    b->world = world;
    b->job   = (mg_job){.seed = 9, .run = &b->run, .step = &b->step, .model_folder = "", .reward_folder = "",
                        .world = &point_class, .mlp = {.width = 8, .depth = 1}};
    mg_env_pool_init(&b->pool, &point_class, &b->world, &b->run);
    b->rollout = (mg_rollout){.class = &point_class, .world = &b->world, .seed = 9, .wants_reward = true,
                              .pool = &b->pool};
    mg_config_defaults(&(mg_section){"gate", mg_gate_fields, &gate}, 1, &b->run);
    gate.rate_max = 0.5, gate.breaker = 1000;
    mg_gate_init(&b->gate, &gate);
    b->control = (mg_control){.algo = mg_algo_find("td3"), .rollout = &b->rollout, .gate = &b->gate};
    void      *config  = mg_arena_alloc(&b->run, b->control.algo->config_size);
    mg_section section = {"td3", b->control.algo->fields, config};
    char      *rest    = mg_path(&b->run, "batch=8 block=30 start_steps=0 %s", settings), *word;
    mg_config_defaults(&section, 1, &b->run);
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        ok(mg_config_set(&section, 1, mg_path(&b->run, "td3.%s", key), word, &b->run));
    }
    ok(b->control.algo->open(&b->control.learner, &b->job, config));
    if (folder)
        strcpy(b->folder, folder);
    else
        assert_non_null(mkdtemp(strcpy(b->folder, "/tmp/mg-control-XXXXXX")));
    return b;
}

static bench *started(plan world, const char *settings) {
    bench *b = opened(world, settings, NULL);
    ok(mg_control_open(&b->control, b->folder, &b->run));
    b->job.replay = b->control.replay;
    return b;
}

static void ended(bench *b, bool remove_folder) {
    mg_control_close(&b->control);
    b->control.algo->close(b->control.learner);
    mg_env_pool_close(&b->pool);
    if (remove_folder) assert_int_equal(system(mg_path(&b->run, "rm -r %s", b->folder)), 0);
    mg_arena_release(&b->run);
    mg_arena_release(&b->step);
    free(b);
}

static mg_err block(bench *b, int64_t update) {
    mg_metrics m = {0};
    mg_arena_reset(&b->step, 0);
    mg_err err = mg_control_block(&b->control, update, &b->step, &b->last);
    return err ? err : b->control.algo->update(b->control.learner, update, NULL, 0, &m);
}

static mg_transitions rows_of(bench *b) {
    mg_transitions t = mg_transitions_new(&b->step, mg_replay_rows(b->control.replay), SEES, 1);
    mg_replay_read(b->control.replay, 0, &t);
    return t;
}

static int64_t turns_of(const bench *b, bool kept_only) {
    int64_t n = 0;
    if (kept_only)
        for (int64_t k = 0; k < b->last.n_kept; k++) n += b->last.all[b->last.kept[k]].n_turns;
    else
        for (int64_t i = 0; i < b->last.n_all; i++) n += b->last.all[i].n_turns;
    return n;
}

// ---- Tests

static void a_block_ends_with_the_episode_that_makes_it_whole(void **state) {
    (void)state;
    bench *b = started((plan){0}, "steps=90");
    ok(block(b, 0));
    assert_int_equal(b->control.algo->steps(b->control.learner), 36); // three episodes of twelve for thirty steps
    assert_int_equal(b->last.n_all, 3);
    assert_int_equal(b->last.n_kept, 3);
    assert_int_equal(mg_replay_rows(b->control.replay), 36);
    ok(block(b, 1));
    assert_int_equal(b->control.algo->steps(b->control.learner), 60);
    ok(block(b, 2));
    assert_int_equal(b->control.algo->steps(b->control.learner), 96);
    ended(b, true);
}

// The world's own arithmetic, once more, over what the buffer has: nothing is lost, doubled or put together wrongly.
static void the_buffer_has_what_was_seen_done_and_paid(void **state) {
    (void)state;
    bench *b = started((plan){.ends_one_in = 2}, "steps=90");
    ok(block(b, 0)), ok(block(b, 1)), ok(block(b, 2));
    const mg_transitions t    = rows_of(b);
    int64_t              ends = 0, cut = 0, length = 0;
    for (int64_t i = 0; i < t.n; i++) {
        const double x = (double)t.observation[2 * i], v = (double)t.observation[2 * i + 1];
        const double a = (double)t.action[i], v2 = 0.9 * v + 0.1 * 3 * a, x2 = x + v2;
        assert_true(fabs(a) <= 1);
        assert_true(fabs((double)t.next[2 * i] - x2) < 1e-5 && fabs((double)t.next[2 * i + 1] - v2) < 1e-5);
        assert_true(fabs((double)t.reward[i] + x2 * x2) < 1e-5);
        length++;
        const bool last = i + 1 == t.n || memcmp(t.next + 2 * i, t.observation + 2 * (i + 1), 8) != 0;
        if (t.terminal[i]) assert_true(last && length == 7), ends++;
        if (last && !t.terminal[i]) assert_int_equal(length, STEPS_MAX), cut++;
        if (last) length = 0;
    }
    assert_true(ends >= 2 && cut >= 2); // both were seen
    ended(b, true);
}

static void a_broken_episode_leaves_nothing_behind(void **state) {
    (void)state;
    // Learners compute in single precision, which holds neither of the last two.
    static const double bad[] = {0, NAN, -1e300, 3.5e38};
    for (int k = 0; k < 4; k++) {
        bench  *b = started((plan){.breaks_one_in = 3, .bad_reward = bad[k]}, "steps=600 block=300");
        int64_t broken = 0, kept = 0;
        for (int64_t u = 0; u < 2; u++) {
            ok(block(b, u));
            for (int64_t i = 0; i < b->last.n_all; i++)
                if (b->last.all[i].verdict == MG_QUARANTINED) {
                    broken++;
                    assert_int_equal(b->last.all[i].n_turns, 5);
                    assert_string_equal(b->last.all[i].code, k ? "V.invalid" : "E.step");
                }
            kept += turns_of(b, true);
        }
        assert_true(broken > 3);
        assert_int_equal(b->gate.failures, broken);
        assert_int_equal(b->gate.unclean_in_gradient, 0);
        assert_int_equal(mg_replay_rows(b->control.replay), kept);
        assert_int_equal(kept % STEPS_MAX, 0); // whole ones alone
        // Steps that were made were learnt behind, broken episode or not: 4 of a broken one that fails to answer.
        assert_true(b->control.algo->steps(b->control.learner) >= 600);
        ended(b, true);
    }
}

static void steps_at_once_are_those_before_the_fault(void **state) {
    (void)state;
    bench *b = started((plan){.breaks_one_in = 3}, "steps=600 block=300 stage=step");
    ok(block(b, 0)), ok(block(b, 1));
    const mg_transitions t = rows_of(b);
    int64_t              fours = 0, length = 0;
    for (int64_t i = 0; i < t.n; i++) {
        length++;
        const bool last = i + 1 == t.n || memcmp(t.next + 2 * i, t.observation + 2 * (i + 1), 8) != 0;
        if (last) assert_true(length == STEPS_MAX || length == 4), fours += length == 4, length = 0;
    }
    assert_int_equal(fours, b->gate.failures);
    assert_true(fours > 3);
    ended(b, true);
}

static void a_world_that_fails_too_often_stops_the_block(void **state) {
    (void)state;
    bench *b = started((plan){.breaks_one_in = 1}, "steps=30000 block=30000");
    b->gate.breaker = 5;
    ok(block(b, 0));
    assert_true(mg_gate_stopped(&b->gate));
    assert_int_equal(b->last.n_all, 5);
    assert_int_equal(b->last.n_kept, 0);
    assert_int_equal(mg_replay_rows(b->control.replay), 0);
    ended(b, true);
}

static void a_world_that_cannot_be_reset_is_not_waited_for(void **state) {
    (void)state;
    bench *b        = started((plan){.still_reset = true}, "steps=30");
    b->gate.stops   = 0; // on_trip: note
    assert_int_equal(block(b, 0), MG_EMPTY);
    assert_non_null(strstr(mg_err_detail(), "100 episodes in a row ended before their first step; the last: E.reset"));
    ended(b, true);
}

// Killed behind the second block, when only the first was kept.
static void a_marked_buffer_is_gone_back_to_and_comes_out_the_same(void **state) {
    (void)state;
    uint8_t whole[32], again[32];
    char    folder[64];
    bench  *b = started((plan){.breaks_one_in = 4}, "steps=90");
    ok(block(b, 0));
    ok(mg_control_mark(&b->control));
    mg_part     from[MG_PARTS_MAX], to[MG_PARTS_MAX];
    mg_stepping s = b->control.algo->stepping(b->control.learner);
    char       *state_then = malloc(s.state_size);
    memcpy(state_then, s.state, s.state_size);
    bench    *kept = opened((plan){.breaks_one_in = 4}, "steps=90", b->folder);
    const int n    = b->control.algo->parts(b->control.learner, from);
    kept->control.algo->parts(kept->control.learner, to);
    for (int i = 0; i < n; i++) {
        const size_t size = sizeof(float) * (size_t)from[i].model->n_weights;
        memcpy(to[i].model->weights, from[i].model->weights, size);
        mg_model_touch(to[i].model);
        if (!from[i].optimiser) continue;
        memcpy(to[i].optimiser->m, from[i].optimiser->m, size);
        memcpy(to[i].optimiser->v, from[i].optimiser->v, size);
        to[i].optimiser->steps = from[i].optimiser->steps;
    }
    memcpy(kept->control.algo->stepping(kept->control.learner).state, state_then, s.state_size);
    kept->gate = b->gate;
    ok(block(b, 1)), ok(block(b, 2));
    mg_replay_head(b->control.replay, whole);
    strcpy(folder, b->folder);
    ended(b, false); // and the file stays, longer than what was kept

    ok(mg_control_open(&kept->control, folder, &kept->run));
    kept->job.replay = kept->control.replay;
    assert_int_equal(mg_replay_rows(kept->control.replay) % STEPS_MAX, 0);
    ok(block(kept, 1)), ok(block(kept, 2));
    mg_replay_head(kept->control.replay, again);
    assert_memory_equal(whole, again, 32);
    free(state_then);
    ended(kept, true);
}

static void a_full_margin_asks_for_a_checkpoint(void **state) {
    (void)state;
    bench  *b = started((plan){0}, "steps=3000 replay=40");
    int64_t u = 0;
    for (; u < 100 && !mg_control_full(&b->control); u++) ok(block(b, u));
    assert_true(u > 50 && u < 66);
    ok(mg_control_mark(&b->control));
    assert_false(mg_control_full(&b->control));
    ended(b, true);
}

// 64 bytes a row and 32 of its head, behind a page.
static void the_file_has_room_for_what_can_come_and_no_more(void **state) {
    (void)state;
    static const struct {
        const char *settings;
        int64_t     rows; // in the window and beside it
    } runs[] = {
        {"steps=90", 101}, // and the rest of an episode
        {"steps=90 block=1000000", 101},
        {"steps=90 replay=40", 101},
        {"steps=3000 replay=40", 40 + 64 * 30 + 24},
        {"steps=1000000 replay=1000 block=100000", 1000 + 100000 + 24}, // one block, so a checkpoint behind each
        {"steps=1000000 replay=1000 block=10000", 1000 + 65536 + 24},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        bench      *b = started((plan){0}, runs[i].settings);
        struct stat file;
        assert_int_equal(stat(mg_path(&b->run, "%s/replay.bin", b->folder), &file), 0);
        assert_int_equal(file.st_size, 4096 + 96 * (runs[i].rows + 1));
        ended(b, true);
    }
}

// Of builds that reserved capacity and margin whatever the run's length. Less room than is needed is refused.
static void a_file_with_more_room_is_gone_on_with(void **state) {
    (void)state;
    const mg_replay_shape shapes[] = {{SEES, 1, 500, 64 * 30 + 24}, {SEES, 1, 499, 64 * 30 + 24}, {SEES, 1, 500, 23},
                                      {SEES, 2, 500, 64 * 30 + 24}};
    for (int i = 0; i < 4; i++) {
        bench      *b = opened((plan){0}, "steps=600 replay=500", NULL);
        mg_replay  *older;
        struct stat file;
        const char *path = mg_path(&b->run, "%s/replay.bin", b->folder);
        ok(mg_replay_open(&older, path, &shapes[i]));
        mg_replay_close(older);
        assert_int_equal(mg_control_open(&b->control, b->folder, &b->run), i == 0 ? MG_OK : MG_MISMATCH);
        if (i == 0) {
            b->job.replay = b->control.replay;
            for (int64_t u = 0; u < 20; u++) ok(block(b, u));
            assert_int_equal(mg_replay_low(b->control.replay), 100);
            assert_int_equal(stat(path, &file), 0);
            assert_int_equal(file.st_size, 4096 + 96 * (500 + 64 * 30 + 24 + 1));
        }
        ended(b, true);
    }
}

static void what_has_room_for_all_asks_for_no_checkpoint(void **state) {
    (void)state;
    bench *b = started((plan){0}, "steps=300 replay=20");
    for (int64_t u = 0; u < 10; u++) {
        ok(block(b, u));
        assert_false(mg_control_full(&b->control));
    }
    ok(mg_replay_rewind(b->control.replay, 0, NULL)); // from its end to its beginning
    ended(b, true);
}

// Episodes of twelve steps, entered when they end; what an update's last one adds is drawn from in the next.
static void the_ledger_names_what_could_be_drawn_and_its_head(void **state) {
    (void)state;
    bench        *b = started((plan){0}, "steps=90 replay=20");
    mg_fed_replay fed;
    uint8_t       head[32];
    assert_false(mg_control_fed(&b->control, &fed));
    ok(block(b, 0)); // 36 rows: nothing to draw from, then [0, 12), then [4, 24)
    assert_true(mg_control_fed(&b->control, &fed));
    assert_int_equal(fed.low, 0);
    assert_int_equal(fed.high, 24);
    const int64_t first = b->control.algo->stepping(b->control.learner).gradient_steps;
    mg_replay_head(b->control.replay, head);
    assert_memory_not_equal(fed.hash, head, 32); // that of row 24, of which the last episode's rows are behind
    ok(block(b, 1)); // 60 rows: [16, 36), then [28, 48)
    assert_true(mg_control_fed(&b->control, &fed));
    assert_int_equal(fed.low, 16);
    assert_int_equal(fed.high, 48);
    ok(mg_replay_rewind(b->control.replay, 48, fed.hash));
    const mg_rng rng = mg_rng_stream(9, MG_PURPOSE_BATCH, (uint64_t)first);
    assert_true(fed.key == ((uint64_t)rng.key[1] << 32 | rng.key[0]));
    ended(b, true);
}

static void a_step_that_enters_at_once_can_be_drawn_behind_itself(void **state) {
    (void)state;
    bench        *b = started((plan){0}, "steps=90 replay=20 stage=step");
    mg_fed_replay fed;
    ok(block(b, 0)), ok(block(b, 1)); // rows 37, 38, ... 60, each drawn from at once
    assert_true(mg_control_fed(&b->control, &fed));
    assert_int_equal(fed.low, 17);
    assert_int_equal(fed.high, 60);
    ended(b, true);
}

static void a_block_that_learns_nothing_has_drawn_nothing(void **state) {
    (void)state;
    bench        *b = started((plan){0}, "steps=90 start_steps=40");
    mg_fed_replay fed;
    ok(block(b, 0));
    assert_false(mg_control_fed(&b->control, &fed));
    ok(block(b, 1));
    assert_true(mg_control_fed(&b->control, &fed));
    ended(b, true);
}

static double metric(const mg_metrics *m, const char *name) {
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->rows[i].name, name) == 0) return m->rows[i].value;
    fail_msg("there is no metric %s", name);
    return NAN;
}

static void looks_are_at_the_same_episodes_each_time(void **state) {
    (void)state;
    bench     *b = started((plan){.ends_one_in = 2}, "steps=90");
    mg_metrics one = {0}, two = {0}, later = {0};
    ok(mg_control_look(&b->control, 20, &b->step, &one));
    ok(mg_control_look(&b->control, 20, &b->step, &two));
    assert_true(metric(&one, "return") == metric(&two, "return"));
    assert_true(metric(&one, "return_length") > 7 && metric(&one, "return_length") < STEPS_MAX); // of both kinds
    assert_true(metric(&one, "return_deviation") > 0);
    ok(block(b, 0));
    ok(mg_control_look(&b->control, 20, &b->step, &later));
    assert_true(metric(&one, "return") != metric(&later, "return")); // the policy has moved
    assert_true(metric(&one, "return_length") == metric(&later, "return_length"));
    ended(b, true);

    b = started((plan){.breaks_one_in = 3}, "steps=90");
    mg_metrics some = {0};
    ok(mg_control_look(&b->control, 20, &b->step, &some));
    assert_true(metric(&some, "look_faults") >= 1);
    assert_true(metric(&some, "return_length") == STEPS_MAX);
    b->world.breaks_one_in = 1;
    assert_int_equal(mg_control_look(&b->control, 20, &b->step, &some), MG_UNFIT);
    ended(b, true);
}

int main(void) {
    mg_log_setup(MG_LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_ends_with_the_episode_that_makes_it_whole),
        cmocka_unit_test(the_buffer_has_what_was_seen_done_and_paid),
        cmocka_unit_test(a_broken_episode_leaves_nothing_behind),
        cmocka_unit_test(steps_at_once_are_those_before_the_fault),
        cmocka_unit_test(a_world_that_fails_too_often_stops_the_block),
        cmocka_unit_test(a_world_that_cannot_be_reset_is_not_waited_for),
        cmocka_unit_test(a_marked_buffer_is_gone_back_to_and_comes_out_the_same),
        cmocka_unit_test(a_full_margin_asks_for_a_checkpoint),
        cmocka_unit_test(the_file_has_room_for_what_can_come_and_no_more),
        cmocka_unit_test(a_file_with_more_room_is_gone_on_with),
        cmocka_unit_test(what_has_room_for_all_asks_for_no_checkpoint),
        cmocka_unit_test(the_ledger_names_what_could_be_drawn_and_its_head),
        cmocka_unit_test(a_step_that_enters_at_once_can_be_drawn_behind_itself),
        cmocka_unit_test(a_block_that_learns_nothing_has_drawn_nothing),
        cmocka_unit_test(looks_are_at_the_same_episodes_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
