// Goal:   around every policy the environment is treated the same: opened and closed once, compared after its
//         reset with one that nobody has played on, asked for its promise, held to its limits, given the
//         world's time; what a watched record says of a good episode is what an unwatched one says.
// Method: the trap (trap.h) with its opens, closes and environments counted; a world that shows the time it
//         is told; stages walked through by hand.
#include "rollout/stage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "rollout/counting.h"
#include "rollout/scripted.h"
#include "rollout/trap.h"
#include "store/chain.h"

static const char PROMISE[] = "{\"name\": \"trap\", \"determinism\": \"deterministic\"}";

static mg_arena   arena;
static trap_log   logged;
static trap_world world;

static int enter(void **state) {
    (void)state;
    return mg_arena_init(&arena, "episodes", (size_t)1 << 32);
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    logged = (trap_log){0};
    world  = (trap_world){.manifest = PROMISE, .log = &logged};
    return 0;
}

static mg_manifest read_manifest(const char *json) {
    mg_manifest m;
    assert_int_equal(mg_manifest_read(json, strlen(json), &arena, &m), MG_OK);
    return m;
}

static mg_rollout trapped(mg_env_pool *pool, const mg_manifest *manifest) {
    return (mg_rollout){.class = &trap_class, .world = &world, .seed = TRAP_SEED, .script = trap_scripts,
                        .pool = pool, .manifest = manifest, .wants_reward = true};
}

// Episodes first .. first + n - 1, in slots 0 .. n - 1.
static mg_episode *play(const mg_rollout *r, uint32_t first, int64_t n) {
    mg_start   *starts = MG_NEW(&arena, mg_start, n);
    mg_episode *e      = MG_NEW(&arena, mg_episode, n);
    for (int64_t i = 0; i < n; i++) starts[i] = (mg_start){.item = -1, .episode = first + (uint32_t)i};
    if (mg_scripted_run(r, starts, n, TRAP_VERSION, 0, &arena, e)) fail_msg("%s", mg_err_detail());
    return e;
}

static void assert_verdict(const mg_episode *e, mg_verdict verdict, const char *code, int32_t turn) {
    if (e->verdict != verdict || (code ? !e->code || strcmp(code, e->code) : e->code != NULL))
        fail_msg("found %d %s: %s", e->verdict, e->code ? e->code : "-", e->detail);
    assert_int_equal(e->code_turn, turn);
}

// ---- what one episode leaves to the next ----------------------------------------------------------

static void a_dirty_reset_is_found_by_whoever_kept_a_clean_one(void **state) {
    (void)state;
    mg_env_pool pool;
    mg_rollout  r = trapped(&pool, NULL);
    mg_env_pool_init(&pool, &trap_class, &world, &arena);
    world.how[0][0] = TRAP_LEAVES;
    const mg_episode *first = play(&r, 0, 2), *second = play(&r, 2, 2), *third = play(&r, 4, 2);
    assert_verdict(&first[0], MG_CLEAN, NULL, -1);
    assert_verdict(&first[1], MG_CLEAN, NULL, -1);
    assert_verdict(&second[0], MG_QUARANTINED, "E.dirty", -1);
    assert_int_equal(second[0].n_turns, 2); // it is played on: what comes of it is a witness
    assert_verdict(&second[1], MG_CLEAN, NULL, -1);
    assert_verdict(&third[0], MG_CLEAN, NULL, -1); // on another environment
    assert_int_equal(logged.on[2][0], logged.on[0][0]);
    assert_int_equal(logged.on[3][0], logged.on[1][0]);
    assert_int_not_equal(logged.on[4][0], logged.on[2][0]);
    mg_env_pool_close(&pool);
    assert_int_equal(logged.opened, logged.closed);

    // Without a pool an environment lives for one episode: nothing can be left, and nothing is compared.
    set_up(NULL);
    r               = trapped(NULL, NULL);
    world.how[0][0] = TRAP_LEAVES;
    for (uint32_t i = 0; i < 4; i++) assert_verdict(play(&r, i, 1), MG_CLEAN, NULL, -1);
    assert_int_equal(logged.opened, 4);
}

// Whoever dies while its digest is asked for has a name for it of its own, and its neighbour is not dirty.
static void a_digest_that_cannot_be_had_is_no_dirt(void **state) {
    (void)state;
    for (uint32_t dies = 0; dies < 2; dies++) { // the environment, or the one that it is compared with
        mg_env_pool      pool;
        const mg_rollout r = trapped(&pool, NULL);
        set_up(NULL);
        mg_env_pool_init(&pool, &trap_class, &world, &arena);
        world.dies = 1u << dies;
        const mg_episode *e = play(&r, 0, 1);
        if (dies == 0) {
            assert_verdict(e, MG_QUARANTINED, "E.died", 0);
            assert_string_equal(e->detail, "it lies on its back");
        } else
            assert_verdict(e, MG_CLEAN, NULL, -1);
        world.dies = 0; // and another is opened in its place
        assert_verdict(play(&r, 1, 1), MG_CLEAN, NULL, -1);
        assert_int_equal(logged.opened, 3);
        mg_env_pool_close(&pool);
        assert_int_equal(logged.opened, logged.closed);
        assert_int_equal(logged.abused, 0);
    }
}

// A file that all of them read: fresh ones are as dirty as the others, but not as they were at first.
static void what_outlives_every_environment_is_found_by_the_first_start(void **state) {
    (void)state;
    mg_env_pool pool;
    mg_rollout  r = trapped(&pool, NULL);
    mg_env_pool_init(&pool, &trap_class, &world, &arena);
    world.how[0][0] = TRAP_SPILLS;
    const mg_episode *first = play(&r, 0, MG_ENV_POOL_AGAIN), *then = play(&r, MG_ENV_POOL_AGAIN, 2);
    assert_verdict(&first[0], MG_CLEAN, NULL, -1);
    assert_verdict(&then[0], MG_QUARANTINED, "E.dirty", -1);
    assert_verdict(&then[1], MG_QUARANTINED, "E.dirty", -1); // and so it stays
    assert_non_null(strstr(then[1].detail, "something outlives them"));
    mg_env_pool_close(&pool);
}

static void lose_second_digest(const mg_env *e, uint8_t out[32]) {
    static int taken; // by the episode's environment first, then by the reference
    trap_digest(e, out);
    out[0] ^= ++taken == 2;
}

static void a_first_start_that_could_not_be_read_is_no_measure(void **state) {
    (void)state;
    mg_env_pool  pool;
    mg_env_class lossy = trap_class;
    mg_rollout   r     = trapped(&pool, NULL);
    lossy.digest = lose_second_digest, r.class = &lossy;
    mg_env_pool_init(&pool, &lossy, &world, &arena);
    const mg_episode *e = play(&r, 0, MG_ENV_POOL_AGAIN + 2);
    for (int i = 0; i < MG_ENV_POOL_AGAIN + 2; i++) assert_verdict(&e[i], MG_CLEAN, NULL, -1);
    mg_env_pool_close(&pool);
}

static void a_stochastic_start_is_not_dirty(void **state) {
    (void)state;
    mg_env_pool      pool;
    const mg_manifest declared = read_manifest("{\"name\": \"trap\", \"determinism\": \"stochastic\"}");
    const mg_rollout r = trapped(&pool, &declared);
    mg_env_pool_init(&pool, &trap_class, &world, &arena);
    world.manifest  = "{\"name\": \"trap\", \"determinism\": \"stochastic\"}";
    world.how[0][0] = TRAP_LEAVES; // whose next start is another
    assert_verdict(play(&r, 0, 1), MG_CLEAN, NULL, -1);
    assert_verdict(play(&r, 1, 1), MG_CLEAN, NULL, -1);
    mg_env_pool_close(&pool);
}

// The reference is reset, never stepped: every first step was on another environment.
static void nobody_plays_on_the_reference(void **state) {
    (void)state;
    mg_env_pool pool;
    const mg_rollout r = trapped(&pool, NULL);
    mg_env_pool_init(&pool, &trap_class, &world, &arena);
    play(&r, 0, 3);
    assert_int_equal(logged.opened, 4);
    assert_int_equal(((const trap *)pool.reference.state)->played, 0);
    for (int i = 0; i < 3; i++) assert_int_not_equal(logged.on[i][0], ((const trap *)pool.reference.state)->number);
    mg_env_pool_close(&pool);
    mg_env_pool_close(&pool); // twice: no effect
    assert_int_equal(logged.closed, 4);
}

// Every way through an episode, with environments that do not open in between: each open has its close, at
// most one environment lives per slot, and what is wrong in one is not wrong in its neighbour.
static void every_open_has_its_close(void **state) {
    (void)state;
    static const char *const codes[TRAP_HOWS] = {
        [TRAP_MODEL] = "M.wrong", [TRAP_RESET_FAILS] = "E.reset", [TRAP_STEP_FAILS] = "E.capacity",
        [TRAP_BLAMES] = "V.absent", [TRAP_ABSENT] = "V.absent", [TRAP_INVALID] = "V.invalid", [TRAP_NAN] = "V.invalid",
        [TRAP_TRACE] = "E.traceback", [TRAP_TRACE_ONCE] = "E.traceback"};
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int trial = 0; trial < 200; trial++) {
        mg_env_pool      pool;
        const bool pooled = trial % 2, wants = trial / 2 % 2;
        mg_rollout r      = trapped(pooled ? &pool : NULL, NULL);
        set_up(NULL);
        r.wants_reward = wants;
        mg_env_pool_init(&pool, &trap_class, &world, &arena);
        world.open_fails = mg_rng_u32(&rng) & mg_rng_u32(&rng);
        for (int i = 0; i < TRAP_EPISODES; i++) world.how[i][0] = (uint8_t)mg_rng_below(&rng, TRAP_LEAVES);
        for (uint32_t call = 0; call < 4; call++) {
            const mg_episode *e = play(&r, 4 * call, 4);
            for (int i = 0; i < 4; i++) {
                const bool  shut = e[i].code && strcmp(e[i].code, "E.open") == 0;
                const trap_how how = world.how[4 * call + (uint32_t)i][0];
                const char    *code = how == TRAP_ABSENT && !wants   ? NULL
                                      : how == TRAP_BLAMES && !wants ? "M.wrong"
                                                                     : codes[how];
                if (shut) {
                    assert_string_equal(e[i].detail, "the trap is shut");
                    assert_int_equal(e[i].n_turns, 0);
                } else if (code) {
                    assert_string_equal(e[i].code, code);
                } else
                    assert_verdict(&e[i], MG_CLEAN, NULL, -1);
            }
            assert_in_range(logged.opened - logged.closed, 0, pooled ? 5 : 0);
        }
        if (pooled) mg_env_pool_close(&pool);
        assert_int_equal(logged.opened, logged.closed);
        assert_int_equal(logged.abused, 0); // after an error it is only closed
    }
}

// ---- the promise ----------------------------------------------------------------------------------

static void an_environment_that_promises_otherwise_is_found(void **state) {
    (void)state;
    static const struct {
        const char *now, *said;
    } wrong[] = {{"{\"name\": \"trap\", \"determinism\": \"stochastic\"}", "the manifest has hash"},
                 {NULL, "promises nothing"},
                 {"null", ""},
                 {"{\"name\": ", ""}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_env_pool pool;
        set_up(NULL);
        const mg_manifest m = read_manifest(PROMISE);
        const mg_rollout  r = trapped(&pool, &m);
        mg_env_pool_init(&pool, &trap_class, &world, &arena);
        assert_verdict(play(&r, 0, 1), MG_CLEAN, NULL, -1);
        world.manifest = wrong[i].now;
        const mg_episode *e = play(&r, 1, 1);
        assert_verdict(e, MG_QUARANTINED, "E.manifest", -1);
        assert_non_null(strstr(e->detail, wrong[i].said));
        // One that cannot be reset has not changed its promise: it is broken, and says how.
        world.how[2][0] = TRAP_RESET_FAILS;
        assert_verdict(play(&r, 2, 1), MG_QUARANTINED, "E.reset", -1);
        // The same in other words is the same.
        world.manifest = "{ \"determinism\":\"deterministic\",\n \"name\":\"trap\"}";
        assert_verdict(play(&r, 3, 1), MG_CLEAN, NULL, -1);
        // Where nothing was promised at the run's start, nothing is held against it.
        const mg_rollout unpinned = trapped(&pool, NULL);
        world.manifest = wrong[i].now;
        assert_verdict(play(&unpinned, 4, 1), MG_CLEAN, NULL, -1);
        mg_env_pool_close(&pool);
        assert_int_equal(logged.opened, logged.closed);
    }
}

// Restored into a neighbour's past: that past's findings and this environment's own both count.
static void a_restored_past_does_not_hide_another_promise(void **state) {
    (void)state;
    const mg_manifest m     = read_manifest(PROMISE);
    const mg_rollout  r     = trapped(NULL, &m);
    const mg_start    start = {.item = -1};
    for (int k = 0; k < 4; k++) {
        const bool changed = k & 1, dirty = k & 2;
        mg_stage   s;
        mg_episode e;
        mg_watch   past;
        uint8_t    digest[32] = {0}, fresh[32] = {1};
        mg_watch_begin(&past, &m);
        mg_watch_reset(&past, digest, dirty ? fresh : digest);
        world.manifest = changed ? "{\"name\": \"other\"}" : PROMISE;
        mg_stage_open(&s, &r, 0, &start, TRAP_VERSION, 1, 8, &arena, &e);
        mg_stage_resume(&s, 77, &past);
        assert_int_equal(s.now_ns, 77);
        assert_true(s.watch.reset);
        assert_int_equal(s.watch.finding.code, dirty ? MG_E_DIRTY : changed ? MG_E_MANIFEST : MG_CODE_NONE);
        mg_stage_close(&s);
    }
    assert_int_equal(logged.opened, logged.closed);
}

// ---- limits ---------------------------------------------------------------------------------------

static void limits_truncate_and_what_is_seen_last_is_kept(void **state) {
    (void)state;
    static const mg_value go = {.kind = MG_SPACE_TEXT, .text = "go", .size = 2};
    mg_env_class          brief = trap_class;
    const mg_start        start = {.item = -1};
    const uint64_t        seed  = mg_record_seed(TRAP_SEED, TRAP_VERSION, &start);
    for (int k = 0; k < 3; k++) { // the loop's limit, the class's, none
        mg_rollout r = trapped(NULL, NULL);
        mg_stage   s;
        mg_episode e;
        mg_value   seen;
        r.class         = &brief;
        brief.steps_max = k == 1 ? 1 : 0;
        mg_stage_open(&s, &r, 0, &start, TRAP_VERSION, seed, k == 0 ? 1 : 100, &arena, &e);
        assert_true(mg_stage_reset(&s, &(mg_reset_options){.item = -1}, &seen));
        mg_stage_start(&s);
        assert_int_equal(mg_stage_step(&s, &go, &seen), k == 2);
        assert_true(s.sees);
        assert_string_equal(mg_stage_turn(&s)->observation, "turn 1");
        assert_int_equal(e.truncated, k < 2);
        assert_false(e.terminated);
        if (k == 2) {
            assert_false(mg_stage_step(&s, &go, &seen));
            assert_true(e.terminated && !e.truncated && !s.sees);
        }
        mg_stage_close(&s);
        assert_int_equal(e.n_turns, k == 2 ? 2 : 1);
        assert_verdict(&e, MG_CLEAN, NULL, -1);
    }
    // Terminated in the turn in which the limit is reached: the task's word counts.
    mg_rollout r    = trapped(NULL, NULL);
    brief.steps_max = 2, r.class = &brief;
    const mg_episode *e = play(&r, 0, 1);
    assert_true(e->terminated && !e->truncated && e->n_turns == 2);
}

// ---- the world's time ------------------------------------------------------------------------------

enum { CALLS = 3 };
static struct {
    int64_t   took_ns[CALLS], began_ns[CALLS];
    mg_touch  touch[CALLS];
    const char *action[CALLS];
} timed;

static mg_err timed_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now, mg_value *seen) {
    (void)seed, (void)o, (void)now;
    *(int64_t *)e->state = 0;
    *seen                = (mg_value){.kind = MG_SPACE_TEXT, .text = "now", .size = 3};
    return MG_OK;
}

static mg_err timed_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    const int64_t k = (*(int64_t *)e->state)++;
    (void)action;
    timed.began_ns[k] = now;
    *out = (mg_transition){.observation = {.kind = MG_SPACE_TEXT, .text = "now", .size = 3},
                           .reward = mg_reward_of(0), .terminated = k == CALLS - 1,
                           .evidence = {.action = timed.action[k], .status = MG_STATUS_OK, .touched = &timed.touch[k],
                                        .n_touched = 1, .took_ns = timed.took_ns[k]}};
    return MG_OK;
}

static const char TIMED[] =
    "{\"name\": \"timed\", \"actions\": [{\"name\": \"write\", \"effect\": \"mutating\", \"writes\": [\"k\"]},"
    " {\"name\": \"read\", \"effect\": \"pure\", \"reads\": [\"k\"], \"visibility_ms\": 10}]}";

static const char *timed_manifest(const mg_env *e) { return (void)e, TIMED; }

static const mg_env_class timed_class = {
    .name = "timed", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(int64_t), .reset = timed_reset, .step = timed_step, .manifest = timed_manifest};

#define MS INT64_C(1000000)

static void time_is_the_worlds(void **state) {
    (void)state;
    const mg_manifest m = read_manifest(TIMED);
    const mg_rollout  r = {.class = &timed_class, .script = trap_scripts};
    mg_rollout        watched = r;
    watched.manifest          = &m;
    // A write that takes 5 ms; a read begun when it is over, which may show the old value for 10 ms from then
    // on however long it takes itself; one begun 20 ms later, which may not.
    timed.action[0] = "write", timed.action[1] = timed.action[2] = "read";
    timed.touch[0]  = (mg_touch){.key = "k", .wrote = true, .shown = 2, .before = 1, .after = 2};
    timed.touch[1] = timed.touch[2] = (mg_touch){.key = "k", .shown = 1, .before = 2, .after = 2};
    const int64_t took[CALLS] = {5 * MS, 20 * MS, 0};
    memcpy(timed.took_ns, took, sizeof took);
    const mg_episode *e = play(&watched, 0, 1);
    assert_true(timed.began_ns[0] == 0 && timed.began_ns[1] == 5 * MS && timed.began_ns[2] == 25 * MS);
    assert_verdict(e, MG_QUARANTINED, "E.stale", 2);
    timed.touch[2].shown = 2;
    assert_verdict(play(&watched, 0, 1), MG_CLEAN, NULL, -1);

    // A stranger's idea of time: it stands still at the end of all numbers, and does not run backwards.
    const int64_t odd[CALLS] = {INT64_MAX, INT64_MAX, -5};
    memcpy(timed.took_ns, odd, sizeof odd);
    play(&r, 0, 1);
    assert_true(timed.began_ns[1] == INT64_MAX && timed.began_ns[2] == INT64_MAX);
    const int64_t back[CALLS] = {7, -5, 0};
    memcpy(timed.took_ns, back, sizeof back);
    play(&r, 0, 1);
    assert_true(timed.began_ns[1] == 7 && timed.began_ns[2] == 7);
}

// ---- the record -----------------------------------------------------------------------------------

// On environments that are kept and compared, as on fresh ones that nobody watches.
static void a_watched_record_is_the_same(void **state) {
    (void)state;
    mg_env_pool    pool;
    const mg_start starts[] = {{.item = COUNTING_GOOD}, {.item = COUNTING_OTHER, .episode = 1},
                               {.item = COUNTING_ENDS, .episode = 2}};
    const char *const names[] = {"oracle", "floor"};
    mg_env_pool_init(&pool, &counting_class, NULL, &arena);
    counting_opened = counting_closed = 0;
    for (int k = 0; k < 2; k++) {
        const mg_rollout plain = {.class = &counting_class, .seed = 7,
                                  .script = mg_env_script(&counting_class, names[k])};
        mg_rollout       watched = plain;
        mg_episode       a[3], b[3];
        watched.pool = &pool, watched.wants_reward = true;
        assert_int_equal(mg_scripted_run(&plain, starts, 3, 2, 4, &arena, a), MG_OK);
        assert_int_equal(mg_scripted_run(&watched, starts, 3, 2, 4, &arena, b), MG_OK);
        for (int i = 0; i < 3; i++) {
            uint8_t x[32], y[32];
            mg_episode_head(&a[i], x), mg_episode_head(&b[i], y);
            assert_verdict(&b[i], MG_CLEAN, NULL, -1);
            assert_memory_equal(x, y, 32);
        }
    }
    mg_env_pool_close(&pool);
    assert_int_equal(counting_opened, 3 + 3 + 3 + 1);
    assert_int_equal(counting_opened, counting_closed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_dirty_reset_is_found_by_whoever_kept_a_clean_one, set_up),
        cmocka_unit_test_setup(a_digest_that_cannot_be_had_is_no_dirt, set_up),
        cmocka_unit_test_setup(what_outlives_every_environment_is_found_by_the_first_start, set_up),
        cmocka_unit_test_setup(a_first_start_that_could_not_be_read_is_no_measure, set_up),
        cmocka_unit_test_setup(a_stochastic_start_is_not_dirty, set_up),
        cmocka_unit_test_setup(nobody_plays_on_the_reference, set_up),
        cmocka_unit_test_setup(every_open_has_its_close, set_up),
        cmocka_unit_test_setup(an_environment_that_promises_otherwise_is_found, set_up),
        cmocka_unit_test_setup(a_restored_past_does_not_hide_another_promise, set_up),
        cmocka_unit_test_setup(limits_truncate_and_what_is_seen_last_is_kept, set_up),
        cmocka_unit_test_setup(time_is_the_worlds, set_up),
        cmocka_unit_test_setup(a_watched_record_is_the_same, set_up),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
