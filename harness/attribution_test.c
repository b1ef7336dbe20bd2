// Goal:   a second playing decides as the table in attribution.h says, and two records differ where
//         they differ.
// Method: every row of the table; records changed in one field at a time; shares of draws.
#include "harness/attribution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mg_finding finding(mg_verdict verdict, mg_code code, int32_t turn) {
    mg_finding f = {.verdict = verdict, .code = code, .turn = turn};
    snprintf(f.detail, sizeof f.detail, "%s", code ? "what was seen" : "");
    return f;
}

static void decided(mg_finding first, mg_replayed second, mg_verdict verdict, mg_code code,
                    int32_t turn) {
    mg_finding out;
    mg_attribution_decide(&first, &second, &out);
    if (out.verdict != verdict || out.code != code || out.turn != turn)
        fail_msg("found %d %s turn %d, wanted %d %s turn %d", out.verdict, mg_code_name(out.code),
                 out.turn, verdict, mg_code_name(code), turn);
    if (code != MG_CODE_NONE)
        assert_non_null(strstr(out.detail, first.code ? "what was seen" : ""));
    mg_attribution_decide(&first, &second, &first); // in place
    assert_memory_equal(&first, &out, sizeof out);
}

#define SAME(...)   ((mg_replayed){.played = true, .differs_at = -1, __VA_ARGS__})
#define OTHER(at)   ((mg_replayed){.played = true, .differs_at = at})

static void what_could_not_be_played_stays_as_it_was(void **state) {
    (void)state;
    const mg_replayed not_played = {.differs_at = 3, .oracle_fails = true};
    decided(finding(MG_SUSPECT, MG_E_TRACEBACK, 2), not_played, MG_SUSPECT, MG_E_TRACEBACK, 2);
    decided(finding(MG_CLEAN, MG_M_WRONG, -1), not_played, MG_CLEAN, MG_M_WRONG, -1);
}

static void what_comes_out_otherwise_is_the_harness_s(void **state) {
    (void)state;
    decided(finding(MG_SUSPECT, MG_E_TRACEBACK, 2), OTHER(2), MG_QUARANTINED, MG_E_TRACEBACK, 2);
    decided(finding(MG_CLEAN, MG_CODE_NONE, -1), OTHER(4), MG_QUARANTINED, MG_H_REPLAY, 4);
    decided(finding(MG_CLEAN, MG_M_WRONG, -1), OTHER(0), MG_QUARANTINED, MG_H_REPLAY, 0);
    decided(finding(MG_CLEAN, MG_M_WRONG, -1), OTHER(MG_DIFFERS_RESET), MG_QUARANTINED, MG_H_REPLAY,
            -1);
}

static void the_same_fault_again_is_the_environment_s_or_the_task_s(void **state) {
    (void)state;
    const mg_finding again = finding(MG_SUSPECT, MG_E_TRACEBACK, 2);
    decided(again, SAME(.finding = again), MG_QUARANTINED, MG_E_TRACEBACK, 2);
    decided(again, SAME(.finding = again, .oracle_fails = true), MG_QUARANTINED, MG_T_INVALID, 2);
    const mg_finding proven = finding(MG_QUARANTINED, MG_V_WRONG, 1);
    decided(proven, SAME(.finding = proven, .oracle_fails = true), MG_QUARANTINED, MG_T_INVALID, 1);
    decided(proven, SAME(.finding = proven), MG_QUARANTINED, MG_V_WRONG, 1);
}

static void a_suspicion_never_becomes_clean(void **state) {
    (void)state;
    const mg_finding suspect = finding(MG_SUSPECT, MG_E_TIMEOUT, 2);
    decided(suspect, SAME(.finding = finding(MG_CLEAN, MG_CODE_NONE, -1)), MG_SUSPECT, MG_E_TIMEOUT,
            2);
    decided(suspect, SAME(.finding = finding(MG_CLEAN, MG_M_WRONG, -1)), MG_SUSPECT, MG_E_TIMEOUT,
            2);
    decided(finding(MG_QUARANTINED, MG_E_STALE, 1), OTHER(1), MG_QUARANTINED, MG_E_STALE, 1);
    decided(finding(MG_QUARANTINED, MG_E_STALE, 1), SAME(.finding = {.turn = -1}), MG_QUARANTINED,
            MG_E_STALE, 1);
}

static void the_model_s_failure_stays_the_model_s(void **state) {
    (void)state;
    const mg_finding wrong = finding(MG_CLEAN, MG_M_WRONG, -1);
    decided(wrong, SAME(.finding = wrong), MG_CLEAN, MG_M_WRONG, -1);
    decided(wrong, SAME(.finding = wrong, .oracle_fails = true), MG_CLEAN, MG_M_WRONG, -1);
    mg_finding        out, first = finding(MG_CLEAN, MG_CODE_NONE, -1);
    const mg_replayed late = SAME(.finding = finding(MG_QUARANTINED, MG_E_STALE, 3));
    mg_attribution_decide(&first, &late, &out); // seen only the second time
    assert_int_equal(out.verdict, MG_QUARANTINED);
    assert_int_equal(out.code, MG_E_STALE);
}

static void suspects_are_played_again_and_a_share_of_the_others(void **state) {
    (void)state;
    mg_rng           r       = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    const mg_finding suspect = finding(MG_SUSPECT, MG_E_TRACEBACK, 0),
                     proven = finding(MG_QUARANTINED, MG_E_STALE, 0),
                     wrong = finding(MG_CLEAN, MG_M_WRONG, 0);
    int n = 0;
    for (int i = 0; i < 10000; i++) {
        assert_true(mg_attribution_wanted(&suspect, 0, &r));
        assert_false(mg_attribution_wanted(&proven, 1, &r));
        assert_false(mg_attribution_wanted(&wrong, 0, &r));
        assert_true(mg_attribution_wanted(&wrong, 1, &r));
        n += mg_attribution_wanted(&wrong, 0.02, &r);
    }
    assert_in_range(n, 200 - 4 * 14, 200 + 4 * 14); // binomial, standard deviation 14
}

// ---- records ---------------------------------------------------------------------------------

typedef struct record {
    mg_turn    turns[3];
    mg_episode e;
} record;

static record make(void) {
    record r = {.e = {.n_turns = 3, .terminated = true, .reset_digest = {1}, .end_digest = {2}}};
    for (int i = 0; i < 3; i++)
        r.turns[i] = (mg_turn){.observation = "seen",
                               .observation_size = 4,
                               .action = "said",
                               .action_size = 4,
                               .reward = mg_reward_of(0.5),
                               .evidence = {.status = MG_STATUS_OK}};
    return r;
}

// What a change of the second record is found to be.
static void differ(record *b, int32_t at, const char *what) {
    record a = make();
    char   found[64];
    a.e.turns = a.turns, b->e.turns = b->turns;
    const int32_t there = mg_episode_differs(&a.e, &b->e, found),
                  back = mg_episode_differs(&b->e, &a.e, found);
    if (there != at || back != at || strcmp(found, what) != 0)
        fail_msg("found %d and %d in '%s', wanted %d in '%s'", there, back, found, at, what);
}

#define CHANGED(at, what, change)                                                                  \
    do {                                                                                           \
        record b = make();                                                                         \
        change;                                                                                    \
        differ(&b, at, what);                                                                      \
    } while (0)

static void records_differ_where_they_differ(void **state) {
    (void)state;
    CHANGED(-1, "", (void)0);
    CHANGED(-1, "", b.turns[1].reward.reason = "text that nobody compares");
    CHANGED(MG_DIFFERS_RESET, "digest", b.e.reset_digest[31] = 1);
    CHANGED(MG_DIFFERS_RESET, "observation", b.turns[0].observation = "Seen");
    CHANGED(0, "action", b.turns[0].action = "Said");
    CHANGED(1, "observation", b.turns[1].observation_size = 3);
    CHANGED(1, "status", b.turns[1].evidence.status = MG_STATUS_TIMEOUT);
    CHANGED(2, "error", b.turns[2].evidence.error = "unreachable");
    CHANGED(0, "reward", b.turns[0].reward.value = 0.5 + 1e-16 * 2);
    CHANGED(1, "reward", b.turns[1].reward = mg_reward_absent("none"));
    CHANGED(2, "length", b.e.n_turns = 2);
    CHANGED(2, "end", b.e.terminated = false);
    CHANGED(2, "end", b.e.truncated = true);
    CHANGED(2, "digest", b.e.end_digest[0] = 3);
    CHANGED(0, "status", b.turns[0].evidence.status = MG_STATUS_ERROR; b.turns[2].action = "x");
    CHANGED(0, "length", b.e.n_turns = 0);
}

static void empty_records_are_compared_too(void **state) {
    (void)state;
    mg_episode a = {.n_turns = 0}, b = a;
    char       what[64];
    assert_int_equal(mg_episode_differs(&a, &b, what), -1);
    b.end_digest[0] = 1;
    assert_int_equal(mg_episode_differs(&a, &b, what), MG_DIFFERS_RESET);
    assert_string_equal(what, "digest");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_not_be_played_stays_as_it_was),
        cmocka_unit_test(what_comes_out_otherwise_is_the_harness_s),
        cmocka_unit_test(the_same_fault_again_is_the_environment_s_or_the_task_s),
        cmocka_unit_test(a_suspicion_never_becomes_clean),
        cmocka_unit_test(the_model_s_failure_stays_the_model_s),
        cmocka_unit_test(suspects_are_played_again_and_a_share_of_the_others),
        cmocka_unit_test(records_differ_where_they_differ),
        cmocka_unit_test(empty_records_are_compared_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
