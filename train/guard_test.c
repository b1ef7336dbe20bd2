// Goal: the guard's decisions: what is a collapse, when it is noticed, and that a run without one is left alone.
// Method: looks with returns made up by hand; simulated runs.
#include "train/guard.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/arena.h"

_Static_assert(sizeof(mg_guard) == 26 * 8, "padding in mg_guard");

static mg_guard_config settings(void) {
    mg_guard_config  c;
    mg_arena         arena;
    const mg_section section = {"guard", mg_guard_fields, &c};
    if (mg_arena_init(&arena, "guard test", 1 << 20)) fail_msg("%s", mg_err_detail());
    mg_config_defaults(&section, 1, &arena);
    mg_arena_release(&arena);
    c.enabled = true, c.episodes = 10, c.dense = 25, c.every = 5, c.margin = .2, c.rollbacks = 2;
    return c;
}

// The starting policy returns 100, random actions 0; n pairs at `now`.
static mg_guard_decision look(mg_guard *g, const mg_guard_config *c, int64_t update, double now) {
    double ours[10], theirs[10];
    for (int i = 0; i < 10; i++) ours[i] = now, theirs[i] = 100;
    return mg_guard_look(g, c, update, ours, theirs, 10);
}

static void looks_are_dense_and_then_sparse(void **state) {
    (void)state;
    mg_guard        g;
    mg_guard_config c = settings();
    mg_guard_init(&g);
    assert_false(mg_guard_due(&g, &c, 0)); // it has not begun
    c.dense = 3, c.every = 4;
    mg_guard_begin(&g, &c, 10, 100, 100, 0);
    const bool due[] = {true, true, true, false, false, false, true, false, false, false, true};
    assert_false(mg_guard_due(&g, &c, 9));
    for (int i = 0; i < 11; i++)
        if (mg_guard_due(&g, &c, 10 + i) != due[i]) fail_msg("update %d", 10 + i);
}

// At 79 of 100, with a tolerance of 20, it is no longer what it was: seen at the second look. At 80 it is.
static void a_collapse_is_what_is_worse_than_tolerated(void **state) {
    (void)state;
    const mg_guard_config c = settings();
    mg_guard              g;
    mg_guard_begin(&g, &c, 0, 60, 100, 0);
    for (int u = 0; u < 6; u++) assert_int_equal(look(&g, &c, u, 80), MG_GUARD_GOOD);
    assert_int_equal(g.good, 6);
    assert_int_equal(look(&g, &c, 6, 79), MG_GUARD_GO);
    assert_int_equal(look(&g, &c, 7, 79), MG_GUARD_ROLLBACK);
    assert_int_equal(g.good, 6);
    assert_true(g.step == .5 && g.bound == .5);
    assert_int_equal(g.detector.n, 0); // a new test
}

static void the_last_rollback_ends_the_run(void **state) {
    (void)state;
    const mg_guard_config c = settings();
    mg_guard              g;
    int                   rollbacks = 0;
    mg_guard_decision     d = MG_GUARD_GO;
    mg_guard_begin(&g, &c, 0, 60, 100, 0);
    for (int u = 0; u < 60 && d != MG_GUARD_STOP; u++) {
        d = look(&g, &c, u, 0);
        rollbacks += d == MG_GUARD_ROLLBACK;
    }
    assert_int_equal(d, MG_GUARD_STOP);
    assert_int_equal(rollbacks, 2);
    assert_int_equal(g.stopped, 1);
    assert_true(g.step == .25);
}

// D = (100 - 30) / 100 = .7; two looks in a row below one half are an event; three at 100 or better, recovery.
static void dips_are_measured_in_spans(void **state) {
    (void)state;
    const mg_guard_config c = settings();
    mg_guard              g;
    mg_guard_begin(&g, &c, 0, 60, 100, 0);
    look(&g, &c, 0, 49), look(&g, &c, 1, 120);
    assert_int_equal(g.event, 0);
    look(&g, &c, 2, 30);
    assert_true(fabs(mg_guard_dip(&g) - .7) < 1e-15 && g.worst_update == 2);
    assert_int_equal(g.event, 0);
    look(&g, &c, 3, 40);
    assert_int_equal(g.event, 1);
    for (int u = 4; u < 7; u++) {
        assert_int_equal(g.recovered, -1);
        look(&g, &c, u, 100);
    }
    assert_int_equal(g.recovered, 6);
    assert_true(fabs(g.area - (49 + 120 + 30 + 40 + 300)) < 1e-12);
}

// Returns at random, of both policies alike, without a tolerance that would help: the edge of the null but for ties.
static void a_run_that_does_not_collapse_is_seldom_rolled_back(void **state) {
    (void)state;
    enum { RUNS = 4000, LOOKS = 60 };
    mg_guard_config c = settings();
    int             rolled = 0;
    c.margin = 0, c.every = 1;
    for (int r = 0; r < RUNS; r++) {
        mg_rng   rng = mg_rng_stream(5, MG_PURPOSE_TEST, (uint64_t)r);
        mg_guard g;
        mg_guard_begin(&g, &c, 0, LOOKS, 100, 0);
        for (int u = 0; u < LOOKS; u++) {
            double now[10], start[10];
            for (int i = 0; i < 10; i++) now[i] = mg_rng_normal(&rng), start[i] = mg_rng_normal(&rng);
            mg_guard_look(&g, &c, u, now, start, 10);
        }
        rolled += g.rollbacks > 0;
    }
    const double share = (double)rolled / RUNS, most = .05 + 3 * sqrt(.05 * .95 / RUNS);
    if (share > most) fail_msg("found %g, wanted at most %g", share, most);
}

// Where there is no random policy, the span is what the start returns.
static void a_world_without_random_actions_has_a_span_too(void **state) {
    (void)state;
    const mg_guard_config c = settings();
    mg_guard              g;
    mg_guard_begin(&g, &c, 0, 60, -50, NAN);
    assert_true(g.span == 50);
}

static void the_verdict_is_the_intervals(void **state) {
    (void)state;
    double better[40], start[40];
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < 40; i++) start[i] = i % 7, better[i] = start[i] + 1 + .1 * (i % 3);
    mg_guard_verdict v;
    assert_int_equal(mg_guard_judge(better, start, 40, &rng, &v), MG_OK);
    assert_int_equal(v.go, MG_GUARD_YES);
    assert_true(fabs(v.gain.mean - 1.0975) < 1e-12); // 14, 13 and 13 times 0, .1 and .2
    assert_int_equal(mg_guard_judge(start, better, 40, &rng, &v), MG_OK);
    assert_int_equal(v.go, MG_GUARD_NO);
    for (int i = 0; i < 40; i++) better[i] = start[i] + (i % 2 ? 1 : -1);
    assert_int_equal(mg_guard_judge(better, start, 40, &rng, &v), MG_OK);
    assert_int_equal(v.go, MG_GUARD_UNDECIDED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_are_dense_and_then_sparse),
        cmocka_unit_test(a_collapse_is_what_is_worse_than_tolerated),
        cmocka_unit_test(the_last_rollback_ends_the_run),
        cmocka_unit_test(dips_are_measured_in_spans),
        cmocka_unit_test(a_run_that_does_not_collapse_is_seldom_rolled_back),
        cmocka_unit_test(a_world_without_random_actions_has_a_span_too),
        cmocka_unit_test(the_verdict_is_the_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
