// Goal:   exclusion that follows behaviour raises the alarm, exclusion that does not seldom does,
//         however the faults cut episodes short.
// Method: the AUC of a window by counting pairs; simulated runs under three honest ways of
//         failing and two dishonest ones.
#include "harness/exclusion.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

_Static_assert(sizeof(mg_exclusion) ==
                   32 + 4 * MG_COVARIATES * (MG_EXCLUSION_WINDOW + MG_EXCLUSION_KEPT) +
                       64 * MG_EXCLUSION_ACTIONS + 16 + sizeof(mg_rng) + 4,
               "padding in mg_exclusion");

enum { TURNS_MAX = 40 };

typedef struct played {
    mg_turn    turns[TURNS_MAX];
    mg_episode e;
} played;

// An episode of n turns with four tokens each, cut by a fault in turn `broke` (-1: none).
static void play(played *p, int n, int broke) {
    *p = (played){
        .e = {.turns = p->turns, .n_turns = broke >= 0 ? broke + 1 : n, .code_turn = broke}};
    for (int i = 0; i < n; i++)
        p->turns[i].action_begin = 10 * i, p->turns[i].action_end = 10 * i + 4;
}

static mg_exclusion fresh(uint64_t seed) {
    mg_exclusion x;
    mg_exclusion_init(&x, seed);
    return x;
}

// ---- one window ------------------------------------------------------------------------------

// Turns of the kept are 1..20 over and over, of the excluded 11..15: pairs won or tied by hand.
static void the_auc_of_a_window_is_that_of_its_pairs(void **state) {
    (void)state;
    mg_exclusion x = fresh(1);
    played       p;
    double       won = 0;
    for (int k = 0; k < 200; k++) play(&p, 1 + k % 20, -1), mg_exclusion_observe(&x, &p.e, false);
    for (int i = 0; i < MG_EXCLUSION_WINDOW; i++) {
        for (int k = 0; k < 200; k++)
            won += 11 + i % 5 > 1 + k % 20 ? 1 : 11 + i % 5 == 1 + k % 20 ? 0.5 : 0;
        assert_int_equal(x.windows, 0);
        play(&p, 30, 10 + i % 5);
        mg_exclusion_observe(&x, &p.e, true);
    }
    assert_int_equal(x.windows, 1);
    assert_true(fabs(x.auc - won / (200 * MG_EXCLUSION_WINDOW)) < 1e-12); // .625
    assert_true(x.covariate == 0 || x.covariate == 1); // turns, or tokens: the same ranks
    assert_int_equal(x.n_excluded + x.n_kept, 0);
}

// All alike: every permutation is as extreme, and the test knows after ten.
static void where_all_are_alike_nothing_is_told_apart(void **state) {
    (void)state;
    mg_exclusion x = fresh(1);
    played       p;
    play(&p, 5, -1);
    for (int i = 0; i < 100; i++) mg_exclusion_observe(&x, &p.e, false);
    play(&p, 30, 4);
    for (int i = 0; i < MG_EXCLUSION_WINDOW; i++) mg_exclusion_observe(&x, &p.e, true);
    assert_true(x.auc == 0.5 && x.p == 1 && !x.alarm);
    for (int i = 0; i < MG_EXCLUSION_WINDOW; i++)
        mg_exclusion_observe(&x, &p.e, true); // nothing to compare with
    assert_int_equal(x.windows, 2);
    assert_false(x.alarm);
}

// Two kept episodes: most excluded ones have more, and that is no wonder yet.
static void a_large_auc_of_few_raises_no_alarm(void **state) {
    (void)state;
    mg_exclusion x = fresh(1);
    played       p;
    play(&p, 1, -1);
    for (int i = 0; i < 2; i++) mg_exclusion_observe(&x, &p.e, false);
    for (int i = 0; i < MG_EXCLUSION_WINDOW; i++) {
        play(&p, 9, i % 5 ? 1 : 0);
        mg_exclusion_observe(&x, &p.e, true);
    }
    assert_true(fabs(x.auc - .9) < 1e-12);
    // Both of the few are among the 12 of 52 with one turn: 12 11 / (52 51) = .0498
    assert_true(.02 < x.p && x.p < .12);
    assert_false(x.alarm);
}

static void window_of(mg_exclusion *x, const mg_episode *kept, const mg_episode *excluded) {
    for (int i = 0; i < 100; i++) mg_exclusion_observe(x, kept, false);
    for (int i = 0; i < MG_EXCLUSION_WINDOW; i++) mg_exclusion_observe(x, excluded, true);
}

static void alarm_is_about(const char *what, const mg_episode *kept, const mg_episode *excluded) {
    mg_exclusion x = fresh(2);
    char         name[80];
    window_of(&x, kept, excluded);
    assert_true(x.alarm);
    assert_true(x.auc == 1);
    assert_true(x.p < .001);
    mg_exclusion_covariate(&x, x.covariate, name);
    if (strcmp(name, what) != 0) fail_msg("found '%s', wanted '%s'", name, what);
    window_of(&x, kept, kept); // it stays
    assert_true(x.alarm && x.auc == 1);
}

static void each_covariate_can_raise_the_alarm(void **state) {
    (void)state;
    static const mg_touch read = {.key = "k"}, wrote = {.key = "k", .wrote = true};
    played kept, bad;
    play(&kept, 4, -1);
    play(&bad, 8, 7);
    alarm_is_about("turns", &kept.e, &bad.e);
    play(&bad, 4, 3), bad.turns[2].action_end += 3;
    alarm_is_about("tokens of the policy", &kept.e, &bad.e);
    play(&bad, 4, 3), bad.turns[0].evidence.touched = &read, bad.turns[0].evidence.n_touched = 1;
    alarm_is_about("keys read", &kept.e, &bad.e);
    play(&bad, 4, 3), bad.turns[0].evidence.touched = &wrote, bad.turns[0].evidence.n_touched = 1;
    alarm_is_about("keys written", &kept.e, &bad.e);
    play(&bad, 4, 3), bad.turns[1].evidence.status = MG_STATUS_REFUSED;
    alarm_is_about("refusals", &kept.e, &bad.e);
    play(&bad, 4, 3), bad.turns[1].reward = mg_reward_of(0.1);
    alarm_is_about("turns that paid", &kept.e, &bad.e);
    play(&bad, 4, 3),
        bad.turns[3].evidence.action = "buy"; // the call that failed was chosen before it did
    alarm_is_about("calls of buy", &kept.e, &bad.e);
}

// What the failing call answered is the fault itself, and what came behind it was never seen by
// the rest.
static void what_failed_is_no_covariate(void **state) {
    (void)state;
    static const mg_touch read = {.key = "k"};
    mg_exclusion x = fresh(3);
    played       kept, bad;
    play(&kept, 4, -1);
    play(&bad, 4, 3);
    bad.turns[3].evidence =
        (mg_evidence){.status = MG_STATUS_REFUSED, .touched = &read, .n_touched = 1};
    bad.turns[3].reward   = mg_reward_of(1);
    window_of(&x, &kept.e, &bad.e);
    assert_true(x.auc == 0.5 && !x.alarm);
    bad.e.code_turn = 1; // the record goes on behind the fault
    bad.turns[2].action_end += 100;
    window_of(&x, &kept.e, &bad.e);
    assert_true(x.auc < 0.51 && !x.alarm);
}

// Excluded episodes with less are what a cut makes of any episode.
static void having_less_raises_no_alarm(void **state) {
    (void)state;
    mg_exclusion x = fresh(4);
    played       kept, bad;
    play(&kept, 9, -1);
    play(&bad, 9, 2);
    for (int i = 0; i < 5; i++) window_of(&x, &kept.e, &bad.e);
    assert_int_equal(x.windows, 5);
    assert_false(x.alarm);
}

static void actions_beyond_the_tenth_are_not_counted(void **state) {
    (void)state;
    char         names[12][16];
    mg_exclusion x = fresh(5);
    played       p;
    char         name[80];
    play(&p, 12, -1);
    for (int i = 0; i < 12; i++)
        snprintf(names[i], sizeof names[i], "t%d", i), p.turns[i].evidence.action = names[i];
    mg_exclusion_observe(&x, &p.e, false);
    mg_exclusion_covariate(&x, 6, name);
    assert_string_equal(name, "calls of t0");
    mg_exclusion_covariate(&x, MG_COVARIATES - 1, name);
    assert_string_equal(name, "calls of t9");
}

// ---- simulated runs --------------------------------------------------------------------------

typedef enum way { BY_EPISODE, BY_CALL, BY_START, LONG_ONLY, TOOL_ONLY } way;

// An episode of either a short or a long habit; the long one calls another tool. In which turn it
// fails.
static int broken_turn(way how, mg_rng *r, int n, bool of_long) {
    const double u = mg_rng_uniform(r);
    switch (how) {
    case BY_EPISODE: return u < .06 ? (int)mg_rng_below(r, (uint64_t)n) : -1;
    case BY_START: return u < .06 ? 0 : -1;
    case LONG_ONLY:
    case TOOL_ONLY: return of_long && u < .12 ? n - 1 : -1;
    default:
        for (int i = 0; i < n; i++)
            if (mg_rng_uniform(r) < .01) return i;
        return -1;
    }
}

// Does a run of n episodes raise the alarm?
static bool alarmed(way how, mg_rng *r, int n, mg_exclusion *x) {
    mg_exclusion_init(x, mg_rng_u32(r));
    for (int k = 0; k < n && !x->alarm; k++) {
        const bool of_long = mg_rng_below(r, 2);
        const int  turns   = how == TOOL_ONLY ? 4 : 2 + (int)mg_rng_below(r, 3) + (of_long ? 6 : 0);
        const int  broke   = broken_turn(how, r, turns, of_long);
        played     p;
        play(&p, turns, broke);
        for (int i = 0; i < turns; i++) {
            p.turns[i].evidence.action = of_long && i % 2 ? "dig" : "ask";
            p.turns[i].action_end += (int64_t)mg_rng_below(r, 3);
        }
        mg_exclusion_observe(x, &p.e, broke >= 0);
    }
    return x->alarm;
}

static int alarms(way how, int runs, int n) {
    mg_rng              r = mg_rng_stream(8, MG_PURPOSE_TEST, how);
    static mg_exclusion x;
    int                 count = 0;
    for (int i = 0; i < runs; i++) count += alarmed(how, &r, n, &x);
    return count;
}

// alpha is .01 for a whole run: 300 runs may have at most 3, and with a binomial's three
// deviations 8.
static void failing_without_regard_to_behaviour_seldom_raises_the_alarm(void **state) {
    (void)state;
    for (way how = BY_EPISODE; how <= BY_START; how++)
        assert_in_range(alarms(how, 300, 3000), 0, 8);
}

static void failing_with_long_episodes_or_with_a_tool_raises_it(void **state) {
    (void)state;
    assert_in_range(alarms(LONG_ONLY, 50, 3000), 49, 50);
    assert_in_range(alarms(TOOL_ONLY, 50, 3000), 49, 50);
}

// The test itself at the edge of its null: labels that are drawn without looking. It must raise the
// alarm sometimes: its p is at most .05 in about 50 of 1,000 windows (deviation 7).
static void p_values_are_neither_too_small_nor_too_large(void **state) {
    (void)state;
    mg_rng              r = mg_rng_stream(9, MG_PURPOSE_TEST, 0);
    static mg_exclusion x;
    int                 small = 0;
    for (int run = 0; run < 1000; run++) {
        mg_exclusion_init(&x, (uint64_t)run);
        for (int i = 0; i < 150 + MG_EXCLUSION_WINDOW; i++) {
            const int n = 1 + (int)mg_rng_below(&r, 30);
            played    p;
            play(&p, n, i < 150 ? -1 : n - 1); // the fault comes at the end: nothing is cut
            mg_exclusion_observe(&x, &p.e, i >= 150);
        }
        assert_int_equal(x.windows, 1);
        small += x.p <= .05;
    }
    assert_in_range(small, 50 - 3 * 7, 50 + 3 * 7);
}

static void equal_histories_are_equal_bytes(void **state) {
    (void)state;
    static mg_exclusion a, b;
    mg_rng              r = mg_rng_stream(10, MG_PURPOSE_TEST, 0), s = r;
    memset(&a, 0x55, sizeof a), memset(&b, 0xaa, sizeof b);
    alarmed(BY_CALL, &r, 2500, &a);
    alarmed(BY_CALL, &s, 2500, &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.windows >= 2);
}

// Kept episodes of the whole window are a sample, not the first ones: of 4,000, in which the
// turns grow from 1 to 40, the mean of the sample is 20.5 (deviation .58).
static void kept_episodes_are_a_uniform_sample_of_the_window(void **state) {
    (void)state;
    mg_exclusion x = fresh(6);
    played       p;
    double       sum = 0;
    for (int i = 0; i < 4000; i++) play(&p, 1 + i / 100, -1), mg_exclusion_observe(&x, &p.e, false);
    assert_int_equal(x.n_kept, MG_EXCLUSION_KEPT);
    for (int i = 0; i < x.n_kept; i++) sum += x.kept[i][0];
    assert_true(fabs(sum / x.n_kept - 20.5) < 3 * .58);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_auc_of_a_window_is_that_of_its_pairs),
        cmocka_unit_test(where_all_are_alike_nothing_is_told_apart),
        cmocka_unit_test(a_large_auc_of_few_raises_no_alarm),
        cmocka_unit_test(each_covariate_can_raise_the_alarm),
        cmocka_unit_test(what_failed_is_no_covariate),
        cmocka_unit_test(having_less_raises_no_alarm),
        cmocka_unit_test(actions_beyond_the_tenth_are_not_counted),
        cmocka_unit_test(failing_without_regard_to_behaviour_seldom_raises_the_alarm),
        cmocka_unit_test(failing_with_long_episodes_or_with_a_tool_raises_it),
        cmocka_unit_test(p_values_are_neither_too_small_nor_too_large),
        cmocka_unit_test(equal_histories_are_equal_bytes),
        cmocka_unit_test(kept_episodes_are_a_uniform_sample_of_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
