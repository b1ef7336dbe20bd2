// Goal:   an update's episodes come through the gate as the rules say: tried again on a fresh environment,
//         with the next attempt's draws, at most so often; recorded all; kept only where CLEAN, in groups that
//         are whole enough; judged again where suspected; the same each time.
// Method: a world that does to each attempt what is written down (trap.h); short histories by hand; three
//         hundred random ones against a second, naive account of the rules.
#include "rollout/collect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nets/tiny.h"
#include "rollout/trap.h"
#include "store/chain.h"

static const char PROMISE[] = "{\"name\": \"trap\", \"determinism\": \"deterministic\"}";
static const char BY_LUCK[] = "{\"name\": \"trap\", \"determinism\": \"stochastic\"}";

static mg_arena   arena, scratch;
static trap_log   logged;
static trap_world world;
static mg_gate    gate;

static int enter(void **state) {
    (void)state;
    return mg_arena_init(&arena, "episodes", (size_t)1 << 34) ||
           mg_arena_init(&scratch, "scratch", (size_t)1 << 32);
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    mg_arena_release(&scratch);
    return 0;
}

// A gate that only notes, and does not mind.
static mg_gate_config patient(void) {
    return (mg_gate_config){.rate_max = 0.5, .alpha = 1e-6, .breaker = 1000, .retries = 2, .group_min = 2,
                            .group_share = 0.75, .on_trip = "note"};
}

static int set_up(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    logged = (trap_log){0};
    world  = (trap_world){.manifest = PROMISE, .log = &logged};
    const mg_gate_config c = patient();
    mg_gate_init(&gate, &c);
    return 0;
}

static mg_rollout rollout(mg_env_pool *pool, const mg_manifest *manifest) {
    mg_env_pool_init(pool, &trap_class, &world, &arena);
    return (mg_rollout){.class = &trap_class, .world = &world, .seed = TRAP_SEED, .script = trap_scripts,
                        .pool = pool, .manifest = manifest, .wants_reward = true};
}

static mg_manifest read_manifest(const char *json) {
    mg_manifest m;
    assert_int_equal(mg_manifest_read(json, strlen(json), &arena, &m), MG_OK);
    return m;
}

// Episodes 0 .. n - 1 in groups of `size`.
static mg_collected collect_with(double replay_share, bool wants_reward, int64_t n, int64_t size) {
    mg_env_pool       pool;
    const mg_manifest m = read_manifest(PROMISE);
    mg_rollout        r = rollout(&pool, &m);
    mg_start          starts[TRAP_EPISODES];
    mg_collected      c;
    r.replay_share = replay_share, r.wants_reward = wants_reward;
    for (int64_t i = 0; i < n; i++)
        starts[i] = (mg_start){.item = -1, .group = (int32_t)(i / size), .episode = (uint32_t)i};
    if (mg_collect(&r, &gate, starts, n, TRAP_VERSION, 3, &arena, &scratch, &c)) fail_msg("%s", mg_err_detail());
    mg_env_pool_close(&pool);
    assert_int_equal(logged.opened, logged.closed);
    return c;
}

static mg_collected collect(int64_t n, int64_t size) { return collect_with(0, true, n, size); }

static void assert_attempt(const mg_collected *c, int64_t k, uint32_t episode, uint32_t attempt, const char *code) {
    assert_in_range(k, 0, c->n_all - 1);
    assert_int_equal(c->all[k].start.episode, episode);
    assert_int_equal(c->all[k].start.attempt, attempt);
    if (code) assert_string_equal(c->all[k].code, code);
    else assert_null(c->all[k].code);
}

static void assert_kept(const mg_collected *c, const int64_t *kept, int64_t n) {
    assert_int_equal(c->n_kept, n);
    for (int64_t k = 0; k < n; k++) assert_int_equal(c->kept[k], kept[k]);
}

// ---- by hand -----------------------------------------------------------------------------------

static void a_failure_is_tried_again_on_a_fresh_environment(void **state) {
    (void)state;
    world.how[1][0] = TRAP_STEP_FAILS;
    world.how[1][1] = TRAP_ABSENT;
    world.how[3][0] = TRAP_RESET_FAILS;
    const mg_collected c = collect(4, 4);
    static const int64_t kept[] = {0, 3, 4, 6};
    assert_int_equal(c.n_all, 7);
    assert_attempt(&c, 0, 0, 0, NULL);
    assert_attempt(&c, 1, 1, 0, "E.capacity");
    assert_attempt(&c, 2, 1, 1, "V.absent");
    assert_attempt(&c, 3, 1, 2, NULL);
    assert_attempt(&c, 4, 2, 0, NULL);
    assert_attempt(&c, 5, 3, 0, "E.reset");
    assert_attempt(&c, 6, 3, 1, NULL);
    assert_kept(&c, kept, 4);
    // Each attempt with its own draws, where nobody had played before.
    assert_true(logged.fresh[1][1] && logged.fresh[1][2] && logged.fresh[3][1]);
    assert_true(c.all[1].seed != c.all[2].seed && c.all[2].seed != c.all[3].seed);
    assert_true(logged.on[1][1] != logged.on[1][0] && logged.on[1][2] != logged.on[1][1]);
    assert_true(gate.attempts == 7 && gate.failures == 3 && gate.retried == 3 && gate.excluded == 0);
}

// An environment with a proven fault meets no other episode, and a good one is kept from call to call.
static void what_failed_is_not_played_on_again(void **state) {
    (void)state;
    mg_env_pool       pool;
    const mg_manifest m = read_manifest(PROMISE);
    mg_rollout        r = rollout(&pool, &m);
    mg_collected      c;
    const mg_gate_config config = {.rate_max = 0.5, .alpha = 1e-6, .breaker = 1000, .group_min = 1,
                                   .on_trip = "note"}; // no retries
    mg_gate_init(&gate, &config);
    world.how[0][0] = TRAP_ABSENT, world.how[1][0] = TRAP_GOOD;
    for (uint32_t round = 0; round < 2; round++) {
        const mg_start starts[] = {{.item = -1, .episode = 2 * round},
                                   {.item = -1, .group = 1, .episode = 2 * round + 1}};
        assert_int_equal(mg_collect(&r, &gate, starts, 2, TRAP_VERSION, 0, &arena, &scratch, &c), MG_OK);
    }
    assert_int_not_equal(logged.on[2][0], logged.on[0][0]);
    assert_true(logged.fresh[2][0]);
    assert_int_equal(logged.on[3][0], logged.on[1][0]);
    mg_env_pool_close(&pool);
    assert_int_equal(logged.opened, logged.closed);
}

static void no_more_often_than_the_gate_allows(void **state) {
    (void)state;
    for (int32_t retries = 0; retries <= 2; retries++) {
        set_up(NULL);
        mg_gate_config config = patient();
        config.retries        = retries;
        mg_gate_init(&gate, &config);
        memset(world.how[0], TRAP_STEP_FAILS, TRAP_ATTEMPTS);
        const mg_collected c = collect(4, 4);
        static const int64_t kept[][3] = {{1, 2, 3}, {2, 3, 4}, {3, 4, 5}};
        assert_int_equal(c.n_all, 4 + retries);
        for (int32_t a = 0; a <= retries; a++) assert_attempt(&c, a, 0, (uint32_t)a, "E.capacity");
        assert_kept(&c, kept[retries], 3);
    }
}

static void a_group_with_too_few_is_dropped_whole(void **state) {
    (void)state;
    memset(world.how[0], TRAP_STEP_FAILS, TRAP_ATTEMPTS); // 3 of 4 is enough
    memset(world.how[4], TRAP_STEP_FAILS, TRAP_ATTEMPTS); // 2 of 4 is not
    memset(world.how[6], TRAP_ABSENT, TRAP_ATTEMPTS);
    const mg_collected   c = collect(12, 4);
    static const int64_t kept[] = {3, 4, 5, 14, 15, 16, 17};
    assert_int_equal(c.n_all, 12 + 6);
    assert_kept(&c, kept, 7);
    assert_int_equal(gate.dropped_groups, 1);
    for (int64_t k = 0; k < c.n_kept; k++) assert_int_equal(c.all[c.kept[k]].verdict, MG_CLEAN);
}

static void after_a_trip_nothing_is_kept(void **state) {
    (void)state;
    static const char *const on_trip[] = {"stop", "note"};
    for (int notes = 0; notes < 2; notes++) {
        set_up(NULL);
        mg_gate_config config = patient();
        config.breaker = 3, config.retries = 1, config.on_trip = on_trip[notes];
        mg_gate_init(&gate, &config);
        for (int i = 8; i < 11; i++) memset(world.how[i], TRAP_RESET_FAILS, TRAP_ATTEMPTS);
        const mg_collected c = collect(12, 4); // two whole groups before it
        assert_true(mg_gate_tripped(&gate));
        assert_int_equal(gate.tripped_at, 11);
        assert_int_equal(c.n_kept, notes ? 8 : 0);
        for (int64_t k = 0; k < c.n_kept; k++) assert_int_equal(c.all[c.kept[k]].verdict, MG_CLEAN);
        assert_int_equal(c.n_all, notes ? 15 : 12); // neither it nor those before it are tried again
        const mg_collected more = collect(4, 4);
        assert_int_equal(more.n_kept, notes ? 4 : 0);
    }
}

static void a_models_failure_is_kept_and_not_tried_again(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) world.how[i][0] = TRAP_MODEL;
    const mg_collected   c = collect(4, 4);
    static const int64_t kept[] = {0, 1, 2, 3};
    assert_kept(&c, kept, 4);
    for (int64_t k = 0; k < 4; k++) {
        assert_attempt(&c, k, (uint32_t)k, 0, "M.wrong");
        assert_int_equal(c.all[k].verdict, MG_CLEAN);
    }
    assert_true(gate.failures == 0 && gate.excluded == 0 && gate.by_code[MG_M_WRONG] == 4);
}

static void what_is_no_number_never_becomes_one(void **state) {
    (void)state;
    static const struct {
        trap_how       how;
        const char    *code;
        mg_reward_kind kind;
    } wrong[] = {{TRAP_ABSENT, "V.absent", MG_REWARD_ABSENT}, {TRAP_INVALID, "V.invalid", MG_REWARD_INVALID},
                 {TRAP_NAN, "V.invalid", MG_REWARD_INVALID}};
    for (int i = 0; i < 3; i++) memset(world.how[i], wrong[i].how, TRAP_ATTEMPTS);
    const mg_collected c = collect(4, 1);
    assert_int_equal(c.n_all, 10);
    for (int64_t k = 0; k < 9; k++) {
        const mg_reward total = mg_episode_return(&c.all[k]);
        double          value = -1;
        assert_attempt(&c, k, (uint32_t)k / 3, (uint32_t)k % 3, wrong[k / 3].code);
        assert_int_equal(total.kind, wrong[k / 3].kind);
        assert_false(mg_reward_value(&total, &value));
        assert_true(value == -1);
        // What cannot be a reward is no number in the record either, and nothing is asked behind it.
        const mg_turn *last = &c.all[k].turns[c.all[k].n_turns - 1];
        assert_int_equal(last->reward.kind, wrong[k / 3].kind);
        assert_int_equal(c.all[k].n_turns, wrong[k / 3].how == TRAP_ABSENT ? 2 : 1);
    }
    assert_int_equal(c.n_kept, 1);
    assert_int_equal(c.kept[0], 9);
    // Where a reward model scores, the environment's own may be absent; it stays so.
    set_up(NULL);
    world.how[0][0] = TRAP_ABSENT;
    const mg_collected scored = collect_with(0, false, 2, 1);
    assert_int_equal(scored.n_kept, 2);
    assert_int_equal(mg_episode_return(&scored.all[0]).kind, MG_REWARD_ABSENT);
    assert_true(scored.all[0].turns[1].reward.kind == MG_REWARD_ABSENT && scored.all[0].turns[1].reward.value == 0);
}

static void a_suspect_is_played_again_and_that_decides(void **state) {
    (void)state;
    memset(world.how[0], TRAP_TRACE, TRAP_ATTEMPTS);      // the same again: proven
    world.how[1][0] = TRAP_TRACE_ONCE;                    // otherwise the second time: the harness's all the same
    world.how[2][0] = TRAP_GOOD;                          // nothing suspected, and nobody looks
    const mg_collected   c      = collect(4, 4);
    static const int64_t kept[] = {4, 5, 6};
    assert_int_equal(c.n_all, 7);
    for (int64_t k = 0; k < 4; k++) {
        assert_attempt(&c, k, k < 3 ? 0 : 1, k < 3 ? (uint32_t)k : 0, "E.traceback");
        assert_int_equal(c.all[k].verdict, MG_QUARANTINED);
        assert_int_equal(c.all[k].code_turn, 0);
        assert_non_null(strstr(c.all[k].detail, k < 3 ? "played again, the same" : "it came out otherwise"));
    }
    assert_kept(&c, kept, 3);
    assert_int_equal(c.replayed, 4);
    assert_true(logged.plays[0][0] == 2 && logged.plays[1][0] == 2 && logged.plays[2][0] == 1);

    // What comes out by luck is not played again, and stays out.
    set_up(NULL);
    mg_env_pool       pool;
    const mg_manifest m = read_manifest(BY_LUCK);
    mg_rollout        r = rollout(&pool, &m);
    const mg_start    one = {.item = -1};
    mg_collected      lucky;
    world.manifest = BY_LUCK, r.replay_share = 1;
    memset(world.how[0], TRAP_TRACE, TRAP_ATTEMPTS);
    assert_int_equal(mg_collect(&r, &gate, &one, 1, TRAP_VERSION, 0, &arena, &scratch, &lucky), MG_OK);
    assert_true(lucky.n_all == 3 && lucky.n_kept == 0 && lucky.replayed == 0);
    assert_int_equal(lucky.all[2].verdict, MG_SUSPECT);
    mg_env_pool_close(&pool);
}

static void a_share_of_the_others_is_played_again(void **state) {
    (void)state;
    world.how[1][0] = TRAP_DRIFTS, world.how[2][0] = TRAP_MODEL;
    mg_collected c = collect_with(1, true, 4, 4);
    assert_int_equal(c.n_all, 5);
    assert_int_equal(c.replayed, 5);
    assert_attempt(&c, 1, 1, 0, "H.replay");
    assert_int_equal(c.all[1].verdict, MG_QUARANTINED);
    assert_int_equal(c.all[1].code_turn, 1);
    assert_attempt(&c, 3, 2, 0, "M.wrong"); // the same again: the model's
    assert_int_equal(c.n_kept, 4);
    // Where none can be opened to play it again on, nothing is known that was not known before.
    set_up(NULL);
    world.open_fails = 1 << 2; // behind the slot and the reference
    c = collect_with(1, true, 1, 1);
    assert_true(c.n_kept == 1 && c.all[0].verdict == MG_CLEAN && logged.plays[0][0] == 1);
    // Half of them, drawn by what they are.
    set_up(NULL);
    c = collect_with(0.5, true, 16, 4);
    assert_in_range(c.replayed, 2, 14);
}

static void the_same_call_gives_the_same_bytes(void **state) {
    (void)state;
    uint8_t heads[2][3 * TRAP_EPISODES][32];
    mg_gate gates[2];
    int64_t n[2], kept[2];
    for (int k = 0; k < 2; k++) {
        set_up(NULL);
        for (int i = 0; i < TRAP_EPISODES; i++) world.how[i][0] = (uint8_t)(i % TRAP_HOWS);
        world.how[9][0] = TRAP_GOOD; // drifts: not the same, and said to be
        const mg_collected c = collect_with(0.3, true, TRAP_EPISODES, 4);
        n[k] = c.n_all, kept[k] = c.n_kept, gates[k] = gate;
        for (int64_t i = 0; i < c.n_all; i++) mg_episode_head(&c.all[i], heads[k][i]);
    }
    assert_true(n[0] > TRAP_EPISODES && n[0] == n[1] && kept[0] == kept[1]);
    assert_memory_equal(heads[0], heads[1], (size_t)n[0] * 32);
    assert_memory_equal(&gates[0], &gates[1], sizeof gate);
}

// ---- a language model's -------------------------------------------------------------------------

static void a_language_models_episodes_go_the_same_way(void **state) {
    (void)state;
    mg_env_pool       pool;
    const mg_manifest m = read_manifest(PROMISE);
    mg_rollout        r = rollout(&pool, &m);
    mg_tokenizer     *words = tiny_tokenizer();
    mg_model         *model = tiny_model(words, false, 1, false);
    mg_start          starts[4];
    mg_collected      c;
    r.script = NULL, r.model = model, r.tokenizer = words;
    r.rule     = (mg_prompt_rule){.template = "{prompt}\n", .prompt_max = 40, .cut = true, .stop = TINY_STOP};
    r.sampling = (mg_sampling){.temperature = 1, .top_p = 1, .new_max = 12, .stop = TINY_STOP};
    world.how[1][0] = TRAP_STEP_FAILS, world.how[2][0] = TRAP_INVALID, world.how[2][1] = TRAP_RESET_FAILS;
    for (uint32_t i = 0; i < 4; i++) starts[i] = (mg_start){.item = -1, .episode = i};
    assert_int_equal(mg_collect(&r, &gate, starts, 4, TRAP_VERSION, 0, &arena, &scratch, &c), MG_OK);
    static const int64_t kept[] = {0, 2, 5, 6};
    assert_int_equal(c.n_all, 7);
    assert_kept(&c, kept, 4);
    assert_attempt(&c, 1, 1, 0, "E.capacity");
    assert_attempt(&c, 3, 2, 0, "V.invalid");
    assert_attempt(&c, 4, 2, 1, "E.reset");
    assert_true(logged.fresh[1][1] && logged.fresh[2][2]);
    // A further attempt's answers are drawn afresh.
    const mg_turn *a = &c.all[1].turns[0], *b = &c.all[2].turns[0];
    const int64_t  n = a->action_end - a->action_begin;
    assert_false(n == b->action_end - b->action_begin &&
                 !memcmp(c.all[1].tokens + a->action_begin, c.all[2].tokens + b->action_begin,
                         sizeof(int32_t) * (size_t)n));
    mg_env_pool_close(&pool);
    assert_int_equal(logged.opened, logged.closed);
    mg_model_free(model);
    mg_tokenizer_free(words);
}

// ---- by chance ----------------------------------------------------------------------------------

// The rules once more, from what is written down alone.
static bool clean(trap_how how) { return how == TRAP_GOOD || how == TRAP_MODEL || how == TRAP_DRIFTS; }

static void random_histories_follow_the_rules(void **state) {
    (void)state;
    mg_rng rng = mg_rng_stream(11, MG_PURPOSE_TEST, 0);
    for (int trial = 0; trial < 300; trial++) {
        set_up(NULL);
        mg_gate_config config = patient();
        const int64_t  size = 1 + (int64_t)mg_rng_below(&rng, 8), n = 1 + (int64_t)mg_rng_below(&rng, 16);
        const double   bad  = mg_rng_uniform(&rng);
        config.retries = (int64_t)mg_rng_below(&rng, 3), config.group_share = mg_rng_uniform(&rng);
        mg_gate_init(&gate, &config);
        for (int i = 0; i < TRAP_EPISODES; i++)
            for (int a = 0; a < TRAP_ATTEMPTS; a++)
                world.how[i][a] = mg_rng_uniform(&rng) < bad ? (uint8_t)mg_rng_below(&rng, TRAP_LEAVES) : TRAP_GOOD;
        const mg_collected c = collect(n, size);
        int64_t            at = 0, k = 0;
        for (int64_t begin = 0; begin < n; begin += size) {
            const int64_t end = begin + size < n ? begin + size : n;
            int64_t       last[TRAP_EPISODES], good = 0;
            for (int64_t i = begin; i < end; i++) {
                int64_t a = 0;
                while (a < config.retries && !clean(world.how[i][a])) a++;
                for (int64_t j = 0; j <= a; j++, at++) {
                    assert_int_equal(c.all[at].start.episode, i);
                    assert_int_equal(c.all[at].start.attempt, j);
                    assert_int_equal(c.all[at].verdict == MG_CLEAN, clean(world.how[i][j]));
                    assert_int_equal(c.all[at].start.group, i / size);
                    if (j > 0 && world.how[i][j] != TRAP_RESET_FAILS) assert_true(logged.fresh[i][j]);
                }
                last[i - begin] = clean(world.how[i][a]) ? at - 1 : -1;
                good += last[i - begin] >= 0;
            }
            const double  members = (double)(end - begin);
            const int64_t least   = end - begin < 2 ? end - begin : 2;
            const bool    whole   = good >= least && (double)good >= config.group_share * members;
            for (int64_t i = 0; i < end - begin; i++)
                if (whole && last[i] >= 0) assert_true(k < c.n_kept && c.kept[k++] == last[i]);
        }
        assert_true(at == c.n_all && k == c.n_kept);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_failure_is_tried_again_on_a_fresh_environment, set_up),
        cmocka_unit_test_setup(what_failed_is_not_played_on_again, set_up),
        cmocka_unit_test_setup(no_more_often_than_the_gate_allows, set_up),
        cmocka_unit_test_setup(a_group_with_too_few_is_dropped_whole, set_up),
        cmocka_unit_test_setup(after_a_trip_nothing_is_kept, set_up),
        cmocka_unit_test_setup(a_models_failure_is_kept_and_not_tried_again, set_up),
        cmocka_unit_test_setup(what_is_no_number_never_becomes_one, set_up),
        cmocka_unit_test_setup(a_suspect_is_played_again_and_that_decides, set_up),
        cmocka_unit_test_setup(a_share_of_the_others_is_played_again, set_up),
        cmocka_unit_test_setup(the_same_call_gives_the_same_bytes, set_up),
        cmocka_unit_test_setup(a_language_models_episodes_go_the_same_way, set_up),
        cmocka_unit_test_setup(random_histories_follow_the_rules, set_up),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
