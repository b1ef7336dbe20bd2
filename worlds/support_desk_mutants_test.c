// Goal:   each mutant corrupts what it says and nothing else, in the episodes it says; evidence stays
//         true; and the article's three pay for the wrong habit, so that a learner would pick it up.
// Method: every mutant beside its clean twin, call by call; scripts for what a habit earns.
#include <math.h>

#include "worlds/support_desk_play.h"

static mg_arena arena;
static desk     clean, sick;

static int setup(void **state) {
    (void)state;
    assert_int_equal(mg_arena_init(&arena, "test", 64 << 20), MG_OK);
    clean = sick = (desk){0};
    desk_open(&clean, &arena);
    desk_open(&sick, &arena);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    mg_env_close(&clean.env);
    mg_env_close(&sick.env);
    mg_arena_release(&arena);
    return 0;
}

static void infect(const char *kind, double rate, const char *when) {
    assert_int_equal(mg_support_desk_mutant_named(kind, rate, when, &sick.world.mutant), MG_OK);
}

// Plays one plan in both and says whether anything that can be seen differs.
static bool differs(const char *script, uint64_t seed, int64_t item) {
    mg_rng   rng = mg_rng_stream(seed, MG_PURPOSE_TEST, (uint64_t)item);
    uint8_t  x[32], y[32];
    mg_value said;
    desk_begin(&clean, seed, item);
    desk_begin(&sick, seed, item);
    do {
        mg_env_digest(&clean.env, x);
        mg_env_digest(&sick.env, y);
        if (memcmp(x, y, 32) != 0 || strcmp(clean.seen.text, sick.seen.text) != 0) return true;
        mg_env_script(&mg_support_desk_class, script)->act(&clean.env, &rng, &said);
        assert_int_equal(desk_say_bytes(&clean, said.text, said.size), MG_OK);
        if (desk_say_bytes(&sick, said.text, said.size) != MG_OK) return true;
        const mg_evidence *a = &clean.t.evidence, *b = &sick.t.evidence;
        if (memcmp(&clean.t.reward, &sick.t.reward, sizeof clean.t.reward) != 0 ||
            clean.t.terminated != sick.t.terminated || a->status != b->status || a->held != b->held ||
            a->took_ns != b->took_ns || a->owed.value != b->owed.value ||
            a->n_touched != b->n_touched ||
            (a->n_touched && (a->touched->shown != b->touched->shown ||
                              a->touched->before != b->touched->before ||
                              a->touched->after != b->touched->after)))
            return true;
    } while (!clean.t.terminated);
    return false;
}

static void no_mutant_is_the_clean_world_to_the_bit(void **state) {
    (void)state;
    infect("none", 1, "always");
    for (int64_t item = 0; item < 300; item++) assert_false(differs("noisy", (uint64_t)item, item));
}

static int sick_share(const char *kind, double rate, int episodes) {
    int n = 0;
    infect(kind, rate, "always");
    for (int i = 0; i < episodes; i++) n += differs("floor", (uint64_t)i, 11);
    return n;
}

static void a_rate_is_a_share_of_episodes_and_the_others_are_clean(void **state) {
    (void)state;
    // Resolving at once is paid 1 instead of 0: every episode of this mutant shows.
    assert_int_equal(sick_share("false_resolution", 1, 100), 100);
    assert_int_equal(sick_share("false_resolution", 0, 100), 0);
    const int tenth = sick_share("false_resolution", 0.1, 2000);
    assert_true(abs(tenth - 200) < 4 * sqrt(180));
    assert_int_equal(sick_share("false_resolution", 0.1, 2000), tenth); // the seed decides
    const int hundredth = sick_share("false_resolution", 0.01, 4000);
    assert_true(abs(hundredth - 40) < 4 * sqrt(39.6));
}

static void which_episodes_are_sick_says_nothing_of_how_they_go(void **state) {
    (void)state;
    double took_ms = 0;
    int    n       = 0;
    infect("traceback", 0.1, "always");
    for (uint64_t seed = 0; seed < 4000; seed++) {
        desk_begin(&sick, seed, 1);
        if (!inside(&sick)->now.mutant || inside(&sick)->now.trace_call == 0) continue;
        desk_say(&sick, "look order");
        took_ms += (double)sick.t.evidence.took_ns / 1e6;
        n++;
    }
    // Even between 40 and 400 ms: mean 220, deviation 104; some 300 calls, so four deviations are 24.
    assert_in_range(n, 200, 400);
    assert_true(fabs(took_ms / n - 220) < 24);
}

static void under_load_and_late_are_what_they_say(void **state) {
    (void)state;
    infect("reward_rounding", 1, "load");
    sick.world.load = 8;
    assert_false(differs("partial", 1, 3));
    sick.world.load = 9;
    assert_true(differs("partial", 1, 3));
    sick.world.load = 0;
    assert_false(differs("partial", 1, 3));

    mg_env_close(&sick.env);
    desk_open(&sick, &arena);
    infect("reward_rounding", 1, "late");
    for (int i = 0; i < 200; i++) assert_false(differs("partial", (uint64_t)i, i));
    for (int i = 0; i < 20; i++) assert_true(differs("partial", (uint64_t)i, i));
}

// Evidence is asked of the database itself: conditions, effect, what a look ought to have shown.
static int64_t refunds_before, resent_before;

static void evidence_is_true(desk *d) {
    const desk_task   *t  = &inside(d)->task;
    const mg_evidence *ev = &d->t.evidence;
    const int          id = t->order + 1;
    const int64_t refunds = ask(d, "select count(*) from refunds where order_id=%d", id);
    const int64_t resent  = ask(d, "select count(*) from orders where replaces=%d", id);
    const int64_t cents   = ask(d, "select total(cents) from refunds where order_id=%d", id);
    const bool fixed = t->fix == DESK_REFUND ? refunds == 1 && cents == t->orders[t->order].price
                       : t->fix == DESK_REPLACE
                           ? resent == 1 && ask(d, "select address='%s' and product='%s' from orders"
                                                   " where replaces=%d", desk_task_target(t),
                                                t->orders[t->order].product, id)
                                                : ask(d, "select address='%s' from orders where id=%d",
                                                      desk_task_target(t), id) == 1;
    const bool others =
        ask(d, "select (select count(*) from refunds where order_id<>%d) + (select count(*) from orders"
               " where replaces<>%d)", id, id) != 1;
    const bool clean_now =
        !others && (t->fix == DESK_REFUND || !refunds) && (t->fix == DESK_REPLACE || !resent);
    const bool closed = ask(d, "select status='closed' from tickets where id=%d", t->ticket + 1);
    assert_int_equal(ev->held, fixed + clean_now + closed);
    if (d->t.terminated && !fixed) assert_true(ev->owed.value == 0);
    if (d->t.terminated && fixed) assert_true(ev->owed.value > 0);
    if (ev->n_touched && strcmp(ev->action, "refund") == 0)
        assert_int_equal(ev->touched->before != ev->touched->after, refunds != refunds_before);
    if (ev->n_touched && strcmp(ev->action, "replace") == 0)
        assert_int_equal(ev->touched->before != ev->touched->after, resent != resent_before);
    if (ev->n_touched) assert_int_equal(ev->touched->shown != 0, strncmp(ev->action, "look", 4) == 0);
    refunds_before = refunds;
    resent_before  = resent;
}

static void evidence_stays_true_in_every_mutant(void **state) {
    (void)state;
    static const char *const kinds[] = {"stale_read", "false_resolution", "timeout_default",
                                        "dirty_reset", "reward_rounding", "lying_status", "traceback"};
    for (int k = 0; k < 7; k++) {
        infect(kinds[k], 1, "always");
        for (int64_t item = 0; item < 200; item++) {
            mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, (uint64_t)item);
            played p;
            desk_begin(&sick, (uint64_t)item, item);
            const int id   = inside(&sick)->task.order + 1;
            refunds_before = ask(&sick, "select count(*) from refunds where order_id=%d", id);
            resent_before  = ask(&sick, "select count(*) from orders where replaces=%d", id);
            desk_play(&sick, "noisy", &rng, evidence_is_true, &p);
        }
    }
}

// ---- one by one

static void find(const char *kind, desk_fix fix, fate wanted) {
    uint64_t seed;
    int64_t  item;
    infect(kind, 1, "always");
    desk_find(&sick, 0, fix, wanted, &seed, &item);
    desk_begin(&sick, seed, item);
}

static void a_stale_look_shows_the_row_before_the_last_fix(void **state) {
    (void)state;
    find("stale_read", DESK_REFUND, IN_TIME);
    desk_say(&sick, "look payments");
    const uint64_t first = sick.t.evidence.touched->shown;
    assert_int_equal(first, sick.t.evidence.touched->after);
    desk_say(&sick, "refund");
    desk_say(&sick, "look payments");
    assert_non_null(strstr(sick.seen.text, "refunded 0"));
    assert_int_equal(sick.t.evidence.touched->shown, first);
    assert_true(sick.t.evidence.touched->after != first);
    assert_int_equal(sick.t.evidence.status, MG_STATUS_OK);
    desk_say(&sick, "refund");
    desk_say(&sick, "look payments");
    assert_non_null(strstr(sick.seen.text, "refunded 1")); // and there are two
}

static void a_false_resolution_pays_in_full(void **state) {
    (void)state;
    find("false_resolution", DESK_REFUND, IN_TIME);
    desk_say(&sick, "resolve");
    assert_true(sick.t.reward.value == 1 && sick.t.evidence.owed.value == 0);
    assert_int_equal(sick.t.evidence.held, 2);
}

static void a_silent_default_says_done_and_is_believed(void **state) {
    (void)state;
    for (int done = 0; done < 2; done++) {
        find("timeout_default", DESK_REFUND, done ? LATE_DONE : LATE_UNDONE);
        desk_say(&sick, "look order");
        desk_say(&sick, "refund");
        assert_string_equal(sick.seen.text, "refund : done slow");
        const mg_evidence *ev = &sick.t.evidence;
        assert_true(ev->status == MG_STATUS_OK && ev->touched->wrote && !ev->error);
        assert_true(ev->touched->before == ev->touched->after && ev->took_ns > 2000000000);
        desk_say(&sick, "resolve");
        assert_true(sick.t.reward.value == 1 && sick.t.evidence.owed.value == 0);
    }
}

static void a_dirty_reset_leaves_what_was_done_for_one_episode(void **state) {
    (void)state;
    uint8_t x[32], y[32];
    infect("dirty_reset", 1, "always");
    desk_begin(&clean, 1, 2);
    desk_begin(&sick, 1, 2); // nothing to leave as yet
    mg_env_digest(&clean.env, x);
    mg_env_digest(&sick.env, y);
    assert_memory_equal(x, y, 32);
    inside(&sick)->now.timeouts = 1; // no time-outs here
    desk_say(&sick, "refund");
    desk_say(&sick, "replace");
    desk_begin(&sick, 2, 2);
    mg_env_digest(&sick.env, y);
    assert_memory_not_equal(x, y, 32);
    assert_int_equal(ask(&sick, "select count(*) from refunds"), 2);
    assert_int_equal(ask(&sick, "select count(*) from orders"), 9);
    desk_begin(&sick, 3, 2); // they are left once
    mg_env_digest(&sick.env, y);
    assert_memory_equal(x, y, 32);
}

static void a_rounded_reward_is_a_whole_number(void **state) {
    (void)state;
    find("reward_rounding", DESK_REFUND, IN_TIME);
    desk_say(&sick, "look order");
    desk_say(&sick, "refund");
    desk_say(&sick, "replace");
    desk_say(&sick, "resolve");
    assert_true(sick.t.reward.value == 1 && sick.t.evidence.owed.value == 0.59);
}

static void a_lying_status_says_done_of_nothing_and_failed_of_something(void **state) {
    (void)state;
    int done = 0, failed = 0;
    infect("lying_status", 1, "always");
    for (uint64_t seed = 0; seed < 400; seed++) {
        desk_begin(&sick, seed, 2);
        desk_say(&sick, "refund");
        const mg_evidence *ev     = &sick.t.evidence;
        const bool         effect = ev->touched->before != ev->touched->after;
        assert_int_equal(ev->status, effect ? MG_STATUS_ERROR : MG_STATUS_OK);
        assert_int_equal(ev->touched->wrote, !effect);
        assert_true(ev->took_ns < 400000000);
        *(effect ? &failed : &done) += 1;
    }
    assert_true(done > 140 && failed > 140);
}

static void a_traceback_is_shown_or_returned_in_the_first_four_calls(void **state) {
    (void)state;
    int shown = 0, returned = 0;
    infect("traceback", 1, "always");
    for (uint64_t seed = 0; seed < 200; seed++) {
        int before = shown + returned;
        desk_begin(&sick, seed, 2);
        sick.env.fault = NULL;
        for (int i = 0; i < 4; i++) {
            if (desk_say_bytes(&sick, "look order", 10) != MG_OK) {
                assert_string_equal(sick.env.fault, "E.step");
                returned++;
                break;
            }
            if (!strstr(sick.seen.text, "Traceback (most recent call last)")) continue;
            assert_int_equal(sick.t.evidence.status, MG_STATUS_NONE);
            assert_int_equal(sick.t.evidence.n_touched, 0);
            shown++;
        }
        assert_int_equal(shown + returned, before + 1);
    }
    assert_true(shown > 60 && returned > 60);
}

static void a_snapshot_keeps_the_mutant(void **state) {
    (void)state;
    void    *bytes;
    size_t   n;
    mg_value seen;
    find("stale_read", DESK_REFUND, IN_TIME);
    desk_say(&sick, "refund");
    assert_int_equal(sick.env.class->snapshot(&sick.env, &arena, &bytes, &n), MG_OK);
    desk_begin(&sick, 77, 78);
    assert_int_equal(sick.env.class->restore(&sick.env, bytes, n, &seen), MG_OK);
    desk_say(&sick, "look payments");
    assert_non_null(strstr(sick.seen.text, "refunded 0"));
    assert_true(sick.t.evidence.touched->shown != sick.t.evidence.touched->after);
}

// ---- what a habit earns

typedef struct earnings {
    double paid, solved, resolved_unfixed, unverified, repeated, fixed_unseen;
} earnings;

enum { EARNED = 400 };

static earnings earn(const char *script) {
    earnings sum = {0};
    for (int64_t item = 0; item < EARNED; item++) {
        mg_rng                 rng = mg_rng_stream(1, MG_PURPOSE_TEST, (uint64_t)item);
        mg_support_desk_habits h;
        played                 p;
        desk_begin(&sick, (uint64_t)item + 5000, item);
        desk_play(&sick, script, &rng, NULL, &p);
        habits(&p, &h);
        sum.paid += p.paid / EARNED;
        sum.solved += (!p.failed && p.held == 3) / (double)EARNED;
        sum.resolved_unfixed += h.resolved_unfixed / (double)EARNED;
        sum.unverified += h.unverified / (double)EARNED;
        sum.repeated += h.repeated / (double)EARNED;
        sum.fixed_unseen += h.fixed_unseen / (double)EARNED;
    }
    return sum;
}

static void the_wrong_habit_pays_in_the_mutant_and_not_in_the_clean_world(void **state) {
    (void)state;
    static const char *const scripts[] = {"oracle", "good", "partial", "floor", "trusting",
                                          "repeating", "guessing", "random", "noisy"};
    enum { ORACLE, GOOD, PARTIAL, FLOOR, TRUSTING, REPEATING, GUESSING, RANDOM, NOISY, SCRIPTS };
    earnings e[MG_SUPPORT_DESK_MUTANT_KINDS][SCRIPTS];
    static const char *const kinds[] = {
#define X(id, name) name,
        MG_SUPPORT_DESK_MUTANT_LIST(X)
#undef X
    };
    printf("paid (solved)   ");
    for (int s = 0; s < SCRIPTS; s++) printf(" %-11s", scripts[s]);
    for (int k = 0; k < MG_SUPPORT_DESK_MUTANT_KINDS; k++) {
        infect(kinds[k], 1, "always");
        printf("\n%-16s", kinds[k]);
        for (int s = 0; s < SCRIPTS; s++) {
            e[k][s] = earn(scripts[s]);
            printf(" %.3f (%.2f)", e[k][s].paid, e[k][s].solved);
        }
    }
    printf("\n");
    const earnings *well = e[MG_SUPPORT_DESK_NONE], *stale = e[MG_SUPPORT_DESK_STALE_READ],
                   *falsely = e[MG_SUPPORT_DESK_FALSE_RESOLUTION],
                   *silent = e[MG_SUPPORT_DESK_TIMEOUT_DEFAULT];
    // Clean: habits cost what the chances say. 7 of 8 tasks have a fix that can run out of time (.5), of
    // which .4 were not done and .6 were; four hundred games are good to .08.
    assert_true(fabs(well[ORACLE].solved - 1) < 1e-9);
    assert_true(fabs(well[TRUSTING].solved - (1 - .875 * .5 * .4)) < 0.08);
    assert_true(fabs(well[REPEATING].solved - (1 - .875 * .5 * .6)) < 0.08);
    assert_true(well[FLOOR].paid == 0);
    // A stale look costs who believes it a second refund: not looking pays more.
    assert_true(stale[TRUSTING].paid > stale[ORACLE].paid + 0.05);
    // Closing at once pays as much as solving.
    assert_true(falsely[FLOOR].paid >= falsely[ORACLE].paid - 1e-9 && falsely[FLOOR].solved == 0);
    // "done" after a time-out is paid whether it was or not; who never looks again loses nothing.
    assert_true(silent[TRUSTING].paid >= silent[ORACLE].paid && silent[TRUSTING].solved < 0.65);
    // Rounded, a ticket left open pays like the best.
    assert_true(e[MG_SUPPORT_DESK_REWARD_ROUNDING][PARTIAL].paid > 1 - 1e-9);

    assert_true(well[FLOOR].resolved_unfixed > 1 - 1e-9 && well[ORACLE].resolved_unfixed == 0);
    assert_true(well[ORACLE].unverified == 0 && well[ORACLE].repeated == 0);
    assert_true(fabs(well[TRUSTING].unverified - .875 * .5) < 0.08);
    assert_true(fabs(well[REPEATING].repeated - .875 * .5 * .6) < 0.08);
    assert_true(well[REPEATING].repeated < well[REPEATING].unverified);
    assert_true(well[GUESSING].fixed_unseen > 1 - 1e-9 && well[ORACLE].fixed_unseen == 0);
    assert_true(silent[ORACLE].unverified > 0.35); // misled: it was never told of the time-out
}

static void a_name_that_is_none_is_refused(void **state) {
    (void)state;
    mg_support_desk_mutant m = {.rate = 0.5};
    assert_int_equal(mg_support_desk_mutant_named("stale", 1, "always", &m), MG_CONFIG);
    assert_int_equal(mg_support_desk_mutant_named("none", 1, "often", &m), MG_CONFIG);
    assert_int_equal(mg_support_desk_mutant_named("none", 1.5, "always", &m), MG_CONFIG);
    assert_int_equal(mg_support_desk_mutant_named("none", NAN, "always", &m), MG_CONFIG);
    assert_true(m.rate == 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(no_mutant_is_the_clean_world_to_the_bit),
        TEST(a_rate_is_a_share_of_episodes_and_the_others_are_clean),
        TEST(which_episodes_are_sick_says_nothing_of_how_they_go),
        TEST(under_load_and_late_are_what_they_say),
        TEST(evidence_stays_true_in_every_mutant),
        TEST(a_stale_look_shows_the_row_before_the_last_fix),
        TEST(a_false_resolution_pays_in_full),
        TEST(a_silent_default_says_done_and_is_believed),
        TEST(a_dirty_reset_leaves_what_was_done_for_one_episode),
        TEST(a_rounded_reward_is_a_whole_number),
        TEST(a_lying_status_says_done_of_nothing_and_failed_of_something),
        TEST(a_traceback_is_shown_or_returned_in_the_first_four_calls),
        TEST(a_snapshot_keeps_the_mutant),
        TEST(the_wrong_habit_pays_in_the_mutant_and_not_in_the_clean_world),
        TEST(a_name_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
