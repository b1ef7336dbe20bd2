// Goal:   an episode that starts behind a demonstration's turns has them in its record as they were
//         played, goes on from their state, and is the same whether they were played or restored; what
//         does not come out as it was recorded is found out.
// Method: a world with snapshots (counting.h), demonstrations recorded by its own oracle; records read
//         back against texts, tokens and states made by hand; the same starts alone and together.
#include "rollout/demos.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nets/tiny.h"
#include "rollout/counting.h"
#include "rollout/rollout.h"
#include "rollout/scripted.h"

enum { NEW_MAX = 12, DEMOS = 3 };

static mg_tokenizer *tokenizer;
static mg_model     *model;
static mg_arena      arena, scratch;
static mg_episode    shown[DEMOS]; // by the oracle
static mg_pair      *demos;        // the same

static int enter(void **state) {
    (void)state;
    const mg_start starts[DEMOS] = {{.item = COUNTING_GOOD, .episode = 0},
                                    {.item = COUNTING_GOOD, .episode = 1},
                                    {.item = COUNTING_OTHER, .episode = 2}};
    const mg_rollout oracle = {.class = &counting_class, .seed = 9,
                               .script = mg_env_script(&counting_class, "oracle")};
    tokenizer = tiny_tokenizer();
    model     = tiny_model(tokenizer, false, 1, false);
    return mg_arena_init(&arena, "episodes", (size_t)1 << 32) ||
           mg_arena_init(&scratch, "scratch", (size_t)1 << 32) ||
           mg_scripted_run(&oracle, starts, DEMOS, 0, 0, &arena, shown) ||
           mg_demos_of(shown, DEMOS, &arena, &demos);
}

static int leave(void **state) {
    (void)state;
    mg_tokenizer_free(tokenizer);
    mg_model_free(model);
    mg_arena_release(&arena);
    mg_arena_release(&scratch);
    return 0;
}

static mg_rollout rollout(void) {
    return (mg_rollout){
        .model = model, .tokenizer = tokenizer,
        .rule = {.template = "Q {prompt}\n", .prompt_max = 64, .cut = true, .stop = TINY_STOP},
        .sampling = {.temperature = 1, .top_p = 1, .new_max = NEW_MAX, .stop = TINY_STOP},
        .class = &counting_class, .seed = 3};
}

static mg_episode *played(const mg_rollout *r, const mg_start *starts, int64_t n) {
    mg_episode *e = MG_NEW(&arena, mg_episode, n);
    counting_opened = counting_closed = counting_steps = 0;
    if (mg_rollout_run(r, starts, n, 6, 2, &arena, &scratch, e, NULL)) fail_msg("%s", mg_err_detail());
    assert_int_equal(counting_opened, n);
    assert_int_equal(counting_closed, n);
    return e;
}

static mg_start behind(int64_t turns, const mg_pair *demo, int32_t group, uint32_t episode) {
    return (mg_start){.item = demo->item, .group = group, .episode = episode, .demo = demo,
                      .demo_turns = turns};
}

static void assert_equal_text(const char *found, size_t size, const char *wanted) {
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(found, wanted, size);
}

static void episodes_become_demonstrations(void **state) {
    (void)state;
    for (int i = 0; i < DEMOS; i++) {
        assert_int_equal(demos[i].n_later, COUNTING_TURNS - 1);
        assert_true(demos[i].placed);
        assert_int_equal(demos[i].item, shown[i].start.item);
        assert_true(demos[i].seed == shown[i].seed && demos[i].seed <= (uint64_t)MG_SEED_MAX);
        for (int64_t k = 0; k < COUNTING_TURNS; k++) {
            const mg_exchange x = mg_pair_turn(&demos[i], k);
            assert_equal_text(shown[i].turns[k].observation, shown[i].turns[k].observation_size,
                              x.observation);
            assert_equal_text(shown[i].turns[k].action, shown[i].turns[k].action_size, x.action);
        }
        assert_int_equal(atoi(demos[i].completion + 4), atoi(demos[i].prompt + 4) % 4); // the oracle's
    }
    assert_true(demos[0].seed != demos[1].seed);
    mg_pair   *none = NULL;
    mg_turn    odd  = {.observation = "a\0b", .observation_size = 3, .action = "", .action_size = 0};
    mg_episode bad  = {.turns = &odd, .n_turns = 1}, empty = {0};
    assert_int_equal(mg_demos_of(&bad, 1, &arena, &none), MG_CORRUPT);
    assert_string_equal(mg_err_detail(), "episode 0: turn 1: found a byte 0, wanted text");
    assert_int_equal(mg_demos_of(&empty, 1, &arena, &none), MG_EMPTY);
    assert_null(none);
    odd.observation = "ab", odd.observation_size = 1; // a record's texts end where they say
    assert_int_equal(mg_demos_of(&bad, 1, &arena, &none), MG_OK);
    assert_string_equal(none->prompt, "a");
    assert_string_equal(none->completion, "");
    assert_true(none->n_later == 0 && !none->later);
}

// The tokens of one text, at `at`; returns where they end.
static int64_t assert_tokens(const mg_episode *e, int64_t at, const char *text, mg_role role) {
    int32_t *ids;
    int64_t  n;
    assert_int_equal(mg_tokenizer_encode(tokenizer, text, strlen(text), false, &arena, &ids, &n), MG_OK);
    assert_in_range(at + n, 0, e->n_tokens);
    assert_memory_equal(e->tokens + at, ids, sizeof *ids * (size_t)n);
    for (int64_t k = at; k < at + n; k++) {
        assert_int_equal(e->role[k], role);
        assert_true(e->logp[k] == 0);
    }
    return at + n;
}

static void the_past_is_in_the_record_and_the_policy_goes_on(void **state) {
    (void)state;
    const mg_rollout r = rollout();
    for (int64_t turns = 1; turns < COUNTING_TURNS; turns++) {
        const mg_start  start = behind(turns, &demos[1], 0, 0);
        const mg_episode *e   = played(&r, &start, 1);
        int64_t           at  = 0;
        assert_int_equal(e->verdict, MG_CLEAN);
        assert_int_equal(e->code_turn, -1);
        assert_true(e->seed == demos[1].seed);
        assert_true(e->n_turns > turns);
        for (int64_t k = 0; k < turns; k++) {
            const mg_exchange x = mg_pair_turn(&demos[1], k);
            assert_equal_text(e->turns[k].observation, e->turns[k].observation_size, x.observation);
            assert_equal_text(e->turns[k].action, e->turns[k].action_size, x.action);
            assert_true(e->turns[k].reward.kind == MG_REWARD_VALUE &&
                        e->turns[k].reward.value == shown[1].turns[k].reward.value);
            at = assert_tokens(e, at, "Q ", MG_ROLE_ENVIRONMENT);
            at = assert_tokens(e, at, x.observation, MG_ROLE_ENVIRONMENT);
            at = assert_tokens(e, at, "\n", MG_ROLE_ENVIRONMENT);
            assert_int_equal(e->turns[k].action_begin, at);
            at = assert_tokens(e, at, x.action, MG_ROLE_FORCED);
            assert_int_equal(e->tokens[at], TINY_STOP);
            assert_int_equal(e->role[at++], MG_ROLE_FORCED);
            assert_int_equal(e->turns[k].action_end, at);
        }
        at = assert_tokens(e, at, "Q ", MG_ROLE_ENVIRONMENT);
        at = assert_tokens(e, at, mg_pair_turn(&demos[1], turns).observation, MG_ROLE_ENVIRONMENT);
        at = assert_tokens(e, at, "\n", MG_ROLE_ENVIRONMENT);
        assert_int_equal(e->turns[turns].action_begin, at);
        for (; at < e->turns[turns].action_end; at++) {
            assert_int_equal(e->role[at], MG_ROLE_POLICY);
            assert_true(e->logp[at] < 0);
        }
        // The policy began in the state of the demonstration, and the world went on from there.
        counted wanted = {.item = COUNTING_GOOD, .turn = turns,
                          .sum = (uint32_t)atoi(mg_pair_turn(&demos[1], turns).observation + 4)};
        uint8_t digest[32];
        SHA256((const uint8_t *)&wanted, sizeof wanted, digest);
        assert_memory_equal(e->reset_digest, digest, 32);
        for (int64_t k = turns; k < e->n_turns; k++) {
            for (size_t c = 0; c < e->turns[k].action_size; c++)
                wanted.sum = (wanted.sum * 31 + (uint8_t)e->turns[k].action[c]) % 1000;
            assert_true(e->turns[k].reward.value == (wanted.sum % 2 == 0));
        }
        wanted.turn = e->n_turns;
        SHA256((const uint8_t *)&wanted, sizeof wanted, digest);
        assert_memory_equal(e->end_digest, digest, 32);
    }
}

static void assert_same_episode(const mg_episode *a, const mg_episode *b) {
    assert_int_equal(a->verdict, b->verdict);
    assert_int_equal(a->n_turns, b->n_turns);
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, sizeof(int32_t) * (size_t)a->n_tokens);
    assert_memory_equal(a->role, b->role, (size_t)a->n_tokens);
    assert_memory_equal(a->reset_digest, b->reset_digest, 32);
    assert_memory_equal(a->end_digest, b->end_digest, 32);
    for (int64_t k = 0; k < a->n_tokens; k++)
        assert_true(a->logp[k] - b->logp[k] < 1e-5f && b->logp[k] - a->logp[k] < 1e-5f);
    for (int64_t k = 0; k < a->n_turns; k++) {
        assert_int_equal(a->turns[k].action_begin, b->turns[k].action_begin);
        assert_equal_text(a->turns[k].observation, a->turns[k].observation_size, b->turns[k].observation);
        assert_equal_text(a->turns[k].action, a->turns[k].action_size, b->turns[k].action);
        assert_true(a->turns[k].reward.value == b->turns[k].reward.value);
        assert_string_equal(a->turns[k].evidence.touched[0].key, b->turns[k].evidence.touched[0].key);
    }
}

// Neighbours restore what one has played: nothing of their records tells.
static void restored_or_played_an_episode_is_the_same(void **state) {
    (void)state;
    enum { N = 7 };
    mg_rollout     r         = rollout();
    mg_env_class   unpictured = counting_class;
    const mg_start starts[N] = {behind(2, &demos[0], 0, 0), behind(1, &demos[0], 0, 1),
                                behind(2, &demos[0], 0, 2), {.item = COUNTING_GOOD, .episode = 3},
                                behind(2, &demos[0], 0, 4), behind(2, &demos[1], 0, 5),
                                behind(2, &demos[0], 1, 6)};
    const mg_episode *together = played(&r, starts, N);
    int               steps    = counting_steps, sampled = 0;
    for (int i = 0; i < N; i++) {
        sampled += (int)(together[i].n_turns - starts[i].demo_turns);
        assert_same_episode(played(&r, &starts[i], 1), &together[i]);
        assert_true(together[i].start.demo == starts[i].demo);
    }
    // Played: 2 and 1 turns of the first, 2 of the second, and 2 in the group of its own.
    assert_int_equal(steps, sampled + 2 + 1 + 2 + 2);
    // Two draws behind one past.
    assert_true(together[0].n_tokens != together[2].n_tokens ||
                memcmp(together[0].tokens, together[2].tokens,
                       sizeof(int32_t) * (size_t)together[0].n_tokens));
    unpictured.snapshot = NULL;
    r.class             = &unpictured;
    const mg_episode *each = played(&r, starts, N);
    assert_int_equal(counting_steps, sampled + 2 + 1 + 2 + 2 + 2 + 2);
    for (int i = 0; i < N; i++) assert_same_episode(&each[i], &together[i]);
}

// What was cut in the past counts for everybody who has it.
static void observations_cut_in_the_past_are_counted(void **state) {
    (void)state;
    mg_rollout     r        = rollout();
    const mg_start starts[] = {behind(3, &demos[0], 0, 0), behind(3, &demos[0], 0, 1)};
    mg_episode     e[2];
    int64_t        cut = -1;
    r.rule.prompt_max  = 4; // the frame, and two tokens or less
    assert_int_equal(mg_rollout_run(&r, starts, 2, 0, 0, &arena, &scratch, e, &cut), MG_OK);
    assert_int_equal(e[0].n_turns + e[1].n_turns, 8); // three of each in the past
    assert_int_equal(cut, 8);
}

static void a_past_that_comes_out_otherwise_is_found_out(void **state) {
    (void)state;
    const mg_rollout r = rollout();
    mg_exchange      later[DEMOS][COUNTING_TURNS - 1];
    mg_pair          wrong[DEMOS];
    mg_start         starts[2 * DEMOS];
    for (int i = 0; i < DEMOS; i++) {
        memcpy(later[i], demos[0].later, sizeof later[i]);
        wrong[i]       = demos[0];
        wrong[i].later = later[i];
        starts[2 * i]     = behind(2, &wrong[i], i, (uint32_t)i);
        starts[2 * i + 1] = behind(2, &demos[0], i, (uint32_t)(i + 10));
    }
    wrong[0].prompt         = "sum none";
    later[1][0].observation = "sum"; // the beginning of the truth
    later[2][1].observation = "sum \xc3\xa9";
    const mg_episode *e = played(&r, starts, 2 * DEMOS);
    const char       *said[] = {"turn 1 of the demonstration, from byte 4: found '", "wanted ''",
                                "wanted '\xc3\xa9'"};
    for (int i = 0; i < DEMOS; i++) {
        assert_int_equal(e[2 * i].verdict, MG_QUARANTINED);
        assert_string_equal(e[2 * i].code, "H.replay");
        assert_int_equal(e[2 * i].code_turn, i - 1);
        assert_int_equal(e[2 * i].n_turns, i);
        if (!strstr(e[2 * i].detail, said[i])) fail_msg("%s", e[2 * i].detail);
        assert_int_equal(e[2 * i + 1].verdict, MG_CLEAN);
        for (int64_t k = 0; k < e[2 * i].n_tokens; k++)
            assert_int_not_equal(e[2 * i].role[k], MG_ROLE_POLICY);
    }
}

static void faults_on_the_way_stay_in_their_episode(void **state) {
    (void)state;
    static const struct {
        int64_t     item, turns;
        const char *code, *said;
        bool        first; // the one that plays fails, not the one that restores
    } wrong[] = {
        {COUNTING_ENDS, 1, "T.invalid", "over by turn 1", true},
        {COUNTING_STEP_FAILS, 2, "E.capacity", "the abacus is full", true},
        {COUNTING_SNAPSHOT_FAILS, 2, "E.reset", "no film", true},
        {COUNTING_RESTORE_FAILS, 0, "E.reset", "a blurred picture", false},
        {COUNTING_RESTORE_LIES, 2, "H.replay", "restored", false},
        {COUNTING_RESTORES_ELSEWHERE, 2, "E.dirty", "the world's state has another digest", false},
    };
    enum { WRONG = sizeof wrong / sizeof *wrong };
    const mg_rollout r = rollout();
    mg_pair          moved[WRONG];
    mg_start         starts[2 * WRONG + 1];
    for (int i = 0; i < WRONG; i++) {
        moved[i]      = demos[0];
        moved[i].item = wrong[i].item;
        for (int k = 0; k < 2; k++) starts[2 * i + k] = behind(2, &moved[i], i, (uint32_t)(2 * i + k));
    }
    starts[2 * WRONG]   = behind(2, &demos[0], WRONG, 99);
    const mg_episode *e = played(&r, starts, 2 * WRONG + 1);
    for (int i = 0; i < WRONG; i++) {
        const mg_episode *bad = &e[2 * i + !wrong[i].first];
        if (!wrong[i].first) assert_int_equal(e[2 * i].verdict, MG_CLEAN);
        assert_int_equal(bad->verdict, MG_QUARANTINED);
        assert_string_equal(bad->code, wrong[i].code);
        assert_non_null(strstr(bad->detail, wrong[i].said));
        assert_int_equal(bad->n_turns, wrong[i].turns);
        assert_int_equal(bad->code_turn, wrong[i].turns - 1);
    }
    assert_int_equal(e[2 * WRONG].verdict, MG_CLEAN);
    // Where a call failed nothing more is asked: no digest.
    static const uint8_t none[32];
    assert_memory_equal(e[2].end_digest, none, 32);
    assert_memory_not_equal(e[0].end_digest, none, 32);
}

static const char *by_luck(const mg_env *e) {
    (void)e;
    return "{\"name\": \"counting\", \"determinism\": \"stochastic\"}";
}

static void no_digest(const mg_env *e, uint8_t out[32]) {
    static uint64_t next; // as of a process that does not answer: never the same
    (void)e;
    memset(out, 0, 32);
    next++;
    memcpy(out, &next, sizeof next);
}

// Where one state cannot be told from another, no start is called dirty.
static void starts_that_cannot_be_compared_are_not(void **state) {
    (void)state;
    mg_env_class stochastic = counting_class, blind = counting_class;
    mg_manifest  luck;
    mg_pair      moved = demos[0];
    moved.item         = COUNTING_RESTORES_ELSEWHERE;
    const mg_start starts[] = {behind(2, &moved, 0, 0), behind(2, &moved, 0, 1)};
    stochastic.manifest     = by_luck;
    blind.digest            = no_digest;
    assert_int_equal(mg_manifest_read(by_luck(NULL), strlen(by_luck(NULL)), &arena, &luck), MG_OK);
    for (int i = 0; i < 2; i++) {
        mg_rollout r = rollout();
        r.class      = i ? &blind : &stochastic;
        r.manifest   = i ? NULL : &luck;
        const mg_episode *e = played(&r, starts, 2);
        for (int k = 0; k < 2; k++)
            if (e[k].verdict != MG_CLEAN) fail_msg("%s: %s", e[k].code, e[k].detail);
    }
    mg_manifest_release(&luck);
}

static void no_room_behind_the_past_is_no_episode(void **state) {
    (void)state;
    mg_rollout r       = rollout();
    r.sampling.new_max = TINY_CONTEXT - 30;
    const mg_start    starts[] = {behind(2, &demos[0], 0, 0), {.item = COUNTING_GOOD, .episode = 1}};
    const mg_episode *e        = played(&r, starts, 2);
    assert_string_equal(e[0].code, "T.invalid");
    assert_non_null(strstr(e[0].detail, "cut off by turn"));
    assert_int_equal(e[1].verdict, MG_CLEAN);

    // What ends the whole call closes what was open.
    mg_episode dropped[2];
    counting_opened = counting_closed = 0;
    r.sampling.new_max                = TINY_CONTEXT;
    assert_int_equal(mg_rollout_run(&r, &starts[1], 1, 0, 0, &arena, &scratch, dropped, NULL), MG_LIMIT);
    assert_int_equal(counting_opened, 1);
    assert_int_equal(counting_closed, 1);
}

static void evidence_outlives_the_call(void **state) {
    (void)state;
    const mg_rollout  r     = rollout();
    const mg_start    start = {.item = COUNTING_GOOD};
    const mg_episode *e     = played(&r, &start, 1);
    for (int64_t k = 0; k < e->n_turns; k++) {
        const mg_evidence *x = &e->turns[k].evidence;
        char               key[32];
        assert_string_equal(x->action, "add");
        assert_null(x->arguments);
        assert_int_equal(x->status, MG_STATUS_OK);
        assert_int_equal(x->n_touched, 1);
        snprintf(key, sizeof key, "sum/%d", (int)x->touched[0].after - 1);
        assert_string_equal(x->touched[0].key, key);
        assert_true(x->touched[0].wrote);
        if (k + 1 < e->n_turns) // what was written is what is shown next
            assert_string_equal(e->turns[k + 1].observation + 4, key + 4);
    }
}

static void pictures_are_compared_with_what_was_played(void **state) {
    (void)state;
    mg_env_class unpictured = counting_class;
    const int64_t good[] = {COUNTING_GOOD, COUNTING_OTHER};
    counting_opened = counting_closed = 0;
    for (int64_t turns = 1; turns < COUNTING_TURNS; turns++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(mg_rollout_check_snapshot(&counting_class, NULL, good[i], &demos[0], turns),
                             MG_OK);
    assert_true(counting_seed == demos[0].seed);
    static const struct {
        int64_t     item;
        mg_err      err;
        const char *said;
    } wrong[] = {
        {COUNTING_RESTORES_ELSEWHERE, MG_MISMATCH, "item 6: the state restored behind 2 turns"},
        {COUNTING_RESTORE_LIES, MG_MISMATCH, "item 5: the observation restored"},
        {COUNTING_ENDS, MG_MISMATCH, "item 2: the episode ends with turn 1"},
        {COUNTING_STEP_FAILS, MG_LIMIT, "the abacus is full"},
        {COUNTING_SNAPSHOT_FAILS, MG_IO, "no film"},
        {COUNTING_RESTORE_FAILS, MG_CORRUPT, "a blurred picture"},
        {-5, MG_CONFIG, "no such start"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(mg_rollout_check_snapshot(&counting_class, NULL, wrong[i].item, &demos[0], 2),
                         wrong[i].err);
        if (!strstr(mg_err_detail(), wrong[i].said)) fail_msg("%s", mg_err_detail());
    }
    assert_int_equal(counting_opened, counting_closed);
    unpictured.restore = NULL;
    assert_int_equal(mg_rollout_check_snapshot(&unpictured, NULL, 0, &demos[0], 1), MG_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(episodes_become_demonstrations),
        cmocka_unit_test(the_past_is_in_the_record_and_the_policy_goes_on),
        cmocka_unit_test(restored_or_played_an_episode_is_the_same),
        cmocka_unit_test(observations_cut_in_the_past_are_counted),
        cmocka_unit_test(a_past_that_comes_out_otherwise_is_found_out),
        cmocka_unit_test(faults_on_the_way_stay_in_their_episode),
        cmocka_unit_test(starts_that_cannot_be_compared_are_not),
        cmocka_unit_test(no_room_behind_the_past_is_no_episode),
        cmocka_unit_test(evidence_outlives_the_call),
        cmocka_unit_test(pictures_are_compared_with_what_was_played),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
