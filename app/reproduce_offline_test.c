// Goal: what is said of a fine-tuning follows from its looks, and what is said of a claim from its cells.
#include "app/reproduce_offline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "app/reproduce_folder.h"
#include "core/file.h"

// main.c's: nobody asks to stop here, and no verb is run.
atomic_int mg_stop;
bool         mg_json;
const char   mg_version[] = "0";
const char  *mg_program = "martingale";
int          mg_exit_status(mg_err err) { return err != MG_OK; }

static mg_offline_score judged(double start, double random, const double *at, int64_t n) {
    static mg_offline_curve c;
    mg_offline_score        s;
    c = (mg_offline_curve){.start = start, .random = random, .n = n, .every = 1000};
    memcpy(c.at, at, sizeof *at * (size_t)n);
    mg_offline_judge(&c, &s);
    return s;
}

// From 100 over random's 0: down to 30 and 40 at two looks, back at 100 from the look at 4,000 steps on.
static void test_a_fall_and_a_recovery(void **state) {
    (void)state;
    const mg_offline_score s = judged(100, 0, (double[]){30, 40, 90, 100, 110, 120, 100, 100, 80, 130}, 10);
    assert_true(fabs(s.dip - 0.7) < 1e-12);
    assert_true(s.event == 1 && s.recovery == 4000);
    assert_true(fabs(s.area - 90) < 1e-12 && s.final == 130 && fabs(s.share - 1.3) < 1e-12);
    // Through (0, 100), (1, 30), (2, 40): (-1 * 100 + 1 * 40) / 2
    assert_true(fabs(s.slope + 30) < 1e-12);
}

static void test_one_deep_look_is_no_event(void **state) {
    (void)state;
    const mg_offline_score s = judged(-100, -300, (double[]){-260, -190, -250, -90, -120}, 5);
    assert_true(fabs(s.dip - 0.8) < 1e-12);
    assert_true(s.event == 0 && isnan(s.recovery));
}

// An exact half is not beyond it; and two deep looks with one between them are not in a row.
static void test_events_need_more_than_half_twice(void **state) {
    (void)state;
    assert_true(judged(100, 0, (double[]){50, 50, 50}, 3).event == 0);
    assert_true(judged(100, 0, (double[]){49, 60, 49}, 3).event == 0);
    assert_true(judged(100, 0, (double[]){60, 49, 49}, 3).event == 1);
}

static void test_without_a_lead_there_is_no_share(void **state) {
    (void)state;
    const mg_offline_score s = judged(-300, -300, (double[]){-200, -100}, 2);
    assert_true(isnan(s.dip) && isnan(s.event) && isnan(s.share));
    assert_true(s.recovery != s.recovery && s.final == -100 && s.area == -150);
    assert_true(s.slope == 100);
}

static void test_parts_are_decided_by_whole_intervals(void **state) {
    (void)state;
    assert_int_equal(mg_offline_part(0.6, 0.9, 0.5, true), MG_OFFLINE_HOLDS);
    assert_int_equal(mg_offline_part(0.6, 0.9, 0.5, false), MG_OFFLINE_FAILS);
    assert_int_equal(mg_offline_part(0.1, 0.4, 0.5, true), MG_OFFLINE_FAILS);
    assert_int_equal(mg_offline_part(0.1, 0.4, 0.5, false), MG_OFFLINE_HOLDS);
    assert_int_equal(mg_offline_part(0.4, 0.6, 0.5, true), MG_OFFLINE_OPEN);
    assert_int_equal(mg_offline_part(NAN, NAN, 0.5, false), MG_OFFLINE_OPEN);
}

// ---- from cells

static void put_cell(const char *arm, int seed, double dip, double slope, double share) {
    put(mg_path(&arena, "%s-%d", arm, seed),
        mg_path(&arena, "{\"every\": 200, \"curve\": [-90, -80, -70], \"J0\": {\"estimate\": -100, \"n\": 20}, \"D\": "
                        "{\"estimate\": %g, \"n\": 3}, \"slope\": {\"estimate\": %g, \"n\": 3}, \"share\": "
                        "{\"estimate\": %g, \"n\": 20}, \"rollbacks\": {\"estimate\": %d, \"n\": 1}, \"kept\": "
                        "{\"estimate\": 0.97, \"n\": 40}}", dip, slope, share, seed == 2));
}

static const char *page(void) {
    char  *text;
    size_t size;
    ok(mg_reproduce_publish(folder, &mg_grid_offline_online, &arena));
    ok(mg_file_read(mg_path(&arena, "%s/RESULTS.md", folder), 1 << 20, &arena, &text, &size));
    return text;
}

static void test_claims_are_told(void **state) {
    (void)state;
    for (int s = 1; s <= 5; s++) {
        put_cell("pendulum-expert-V1", s, 0.1 + 0.01 * s, 10 + s, 1);
        put_cell("pendulum-expert-V2", s, 0.8 + 0.01 * s, 50 + s, 1);
        put_cell("pendulum-expert-V4", s, 0.3 + 0.01 * s, 30 + s, 0.95);
        put_cell("pendulum-expert-V2-empty", s, 0.8 + 0.02 * (s % 3), 50 + s, 1);
    }
    const char *text = page();
    assert_non_null(strstr(text, "| C1 | pendulum-expert | the offline algorithm goes on without falling, and slowly | "
                                 "**holds** | D of V1 below 0.5: 0.13 ("));
    // Its differences are 40 at every seed.
    assert_non_null(strstr(text, "| slope of V1 less V2's below 0: -40 (-40 to -40), 5 seeds |"));
    assert_non_null(strstr(text, "| C2 | pendulum-expert | TD3 is fast, and falls first | **holds** |"));
    assert_non_null(strstr(text, "| **does not hold** | D of V4 below 0.2: 0.33 ("));
    assert_non_null(strstr(text, "share of V4 less 0.9 of V2's above 0: 0.05 (0.05 to 0.05), 5 seeds |"));
    assert_non_null(strstr(text, "slow it down | **not decided** |"));
    assert_null(strstr(text, "| C1 | pendulum-medium |"));
    assert_non_null(strstr(text, "](pendulum-expert.svg)"));
}

// C3 compares the sets of a world: three of the pendulum, two of a robot.
static void test_what_narrow_data_do_is_told_of_every_world_that_has_both_kinds(void **state) {
    (void)state;
    for (int s = 1; s <= 5; s++) {
        put_cell("hopper-medium-V2", s, 0.8, 0, 1), put_cell("hopper-medium-replay-V2", s, 0.3, 0, 1);
        put_cell("walker2d-medium-V2", s, 0.1, 0, 1), put_cell("walker2d-medium-replay-V2", s, 0.2, 0, 1);
        put_cell("pendulum-expert-V2", s, 0.9, 0, 1), put_cell("pendulum-medium-replay-V2", s, 0.4, 0, 1);
    }
    const char *text = page();
    assert_non_null(strstr(text, "| C3 | hopper | TD3 falls deeper from narrow data (medium) than from diverse ones | "
                                 "**holds** | D of medium-V2 less medium-replay-V2's above 0: 0.5 (0.5 to 0.5), 5 "
                                 "seeds | none |\n"));
    assert_non_null(strstr(text, "| C3 | walker2d | TD3 falls deeper from narrow data (medium) than from diverse ones "
                                 "| **does not hold** | D of medium-V2 less medium-replay-V2's above 0: -0.1 ("));
    assert_non_null(strstr(text, "| C3 | pendulum | TD3 falls deeper from narrow data (medium, expert) than from "
                                 "diverse ones | **not decided** | D of medium-V2 less medium-replay-V2's: no two "
                                 "seeds | D of expert-V2 less medium-replay-V2's above 0: 0.5 (0.5 to 0.5), 5 seeds "
                                 "|\n"));
    assert_null(strstr(text, "| C3 | half-cheetah"));
}

// Of a claim one part may be known: that it fails is enough, that it holds is not.
static void test_half_a_claim(void **state) {
    (void)state;
    for (int s = 1; s <= 4; s++) put_cell("hopper-medium-V1", s, 0.9, 10, 1);
    assert_non_null(strstr(page(), "**not decided** | D of V1 below 0.5: 0.9 (0.9 to 0.9), 4 seeds |"));
    for (int s = 1; s <= 5; s++) put_cell("hopper-medium-V1", s, 0.1, 10, 1);
    assert_non_null(strstr(page(), "**not decided** | D of V1 below 0.5: 0.1 (0.1 to 0.1), 5 seeds | slope of V1 less "
                                   "V2's: no two seeds |"));
    for (int s = 1; s <= 5; s++) put_cell("hopper-medium-V1", s, 0.9, 10, 1);
    assert_non_null(strstr(page(), "**does not hold** | D of V1 below 0.5: 0.9 (0.9 to 0.9), 5 seeds |"));
}

// Seed 2 of each is rolled back; what collapsed is no false one.
static void test_false_rollbacks_are_counted_where_nothing_collapsed(void **state) {
    (void)state;
    for (int s = 1; s <= 5; s++) {
        put_cell("guard-quiet-medium-V1", s, 0.1, 0, 1);
        put_cell("guard-quiet-expert-V4", s, s == 2 ? 0.9 : 0.5, 0, 1);
    }
    put_cell("guard-off", 2, 1.2, 0, 0.4), put_cell("guard-on", 2, 1.2, 0, 0.4);
    const char *text = page();
    assert_non_null(strstr(text, "1 of 9 were rolled back"));
    assert_non_null(strstr(text, "Another 1\nmeant for it did collapse"));
    assert_non_null(strstr(text, "| 2 | 1.20 | 0.40 | 1 | 0.97 |\n"));
}

static void test_a_picture_has_a_line_for_each_arm(void **state) {
    (void)state;
    char  *text;
    size_t size;
    put_cell("pendulum-medium-V2", 1, 0, 0, 1), put_cell("pendulum-medium-V4", 3, 0, 0, 1);
    page();
    ok(mg_file_read(mg_path(&arena, "%s/pendulum-medium.svg", folder), 1 << 20, &arena, &text, &size));
    int lines = 0;
    for (const char *at = text; (at = strstr(at, "<polyline ")); at++) lines++;
    assert_int_equal(lines, 2);
    assert_non_null(strstr(text, ">V2</text>"));
    assert_non_null(strstr(text, ">V4</text>"));
    assert_null(strstr(text, "nan"));
    assert_false(mg_file_exists(mg_path(&arena, "%s/pendulum-expert.svg", folder)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fall_and_a_recovery),
        cmocka_unit_test(test_one_deep_look_is_no_event),
        cmocka_unit_test(test_events_need_more_than_half_twice),
        cmocka_unit_test(test_without_a_lead_there_is_no_share),
        cmocka_unit_test(test_parts_are_decided_by_whole_intervals),
        cmocka_unit_test_setup_teardown(test_claims_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_narrow_data_do_is_told_of_every_world_that_has_both_kinds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_half_a_claim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_rollbacks_are_counted_where_nothing_collapsed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_picture_has_a_line_for_each_arm, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
