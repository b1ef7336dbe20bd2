// reproduce_test.c - claims follow from cells, by arithmetic that a person can repeat.
#include "app/reproduce.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "app/reproduce_folder.h"
#include "core/file.h"

static const mg_arm arms[] = {{"ppo", "", 3}, {"drpo-0.5", "", 3}, {"drpo-1", "", 3}, {0}};

static void put_cell(const char *cell, double wins, double gold) {
    put(cell, mg_path(&arena, "{\"wins_over_sft\": {\"estimate\": %g, \"n\": 10}, "
                              "\"gold\": {\"estimate\": %g, \"n\": 10}}", wins, gold));
}

static mg_err publish(void) {
    static const struct mg_level    levels[]    = {{"wins_over_sft", 0.5}};
    static const struct mg_contrast contrasts[] = {{"drpo-0.5", "ppo"}, {"drpo-1", "ppo"}};
    static const char *const        metrics[]   = {"gold"};
    static const mg_question question = {
        .title = "Drawn", .shared = "Seeds change nothing.", .arms = arms,
        .claims = {.level_words = "against the starting policy", .levels = levels, .n_levels = 1,
                   .contrasts = contrasts, .n_contrasts = 2, .metrics = metrics, .n_metrics = 1}};
    static const mg_question *const questions[] = {&question, NULL};
    return mg_reproduce_publish(folder, &(mg_grid){"drpo", "", questions}, &arena);
}

// A row of results.json.
static void expect(const json_t *rows, const char *claim, const char *metric, double estimate,
                   double half, int seeds, bool decided) {
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(r, "claim")), claim) ||
            strcmp(json_string_value(json_object_get(r, "metric")), metric))
            continue;
        const json_t *low = json_object_get(r, "low"), *high = json_object_get(r, "high");
        assert_true(fabs(json_number_value(json_object_get(r, "estimate")) - estimate) < 1e-8);
        assert_int_equal(json_is_null(low), seeds == 1);
        if (seeds > 1) {
            assert_true(fabs(json_number_value(low) - (estimate - half)) < 1e-5);
            assert_true(fabs(json_number_value(high) - (estimate + half)) < 1e-5);
        }
        assert_int_equal(json_integer_value(json_object_get(r, "seeds")), seeds);
        assert_int_equal(json_integer_value(json_object_get(r, "n")), 10 * seeds);
        assert_int_equal(json_is_true(json_object_get(r, "decided")), decided);
        return;
    }
    fail_msg("no claim '%s' on %s", claim, metric);
}

// Seeds are paired: drpo-0.5 has seeds 1 and 3, drpo-1 only seed 2, which proves nothing.
static void test_claims(void **state) {
    (void)state;
    put_cell("ppo-1", 0.61, 0.5), put_cell("ppo-2", 0.62, 0.9), put_cell("ppo-3", 0.63, 0.5);
    put_cell("drpo-0.5-1", 0.4, 0.6), put_cell("drpo-0.5-3", 0.6, 0.8);
    put_cell("drpo-1-2", 0.9, 0.1);
    ok(publish());
    json_t *rows = json_load_file(mg_path(&arena, "%s/results.json", folder), 0, NULL);
    assert_non_null(rows);
    assert_int_equal(json_array_size(rows), 5);
    // 4.3027 * 0.01 / sqrt 3
    expect(rows, "ppo against the starting policy", "wins_over_sft", 0.62, 0.0248416, 3, true);
    // 12.7062 * sqrt 0.02 / sqrt 2
    expect(rows, "drpo-0.5 against the starting policy", "wins_over_sft", 0.5, 1.27062, 2, false);
    // 0.1 and 0.3: 12.7062 * 0.1
    expect(rows, "drpo-0.5 minus ppo", "gold", 0.2, 1.27062, 2, false);
    expect(rows, "drpo-1 against the starting policy", "wins_over_sft", 0.9, 0, 1, false);
    expect(rows, "drpo-1 minus ppo", "gold", -0.8, 0, 1, false);
    json_decref(rows);
    char  *text;
    size_t size;
    ok(mg_file_read(mg_path(&arena, "%s/RESULTS.md", folder), 1 << 20, &arena, &text, &size));
    assert_non_null(strstr(text, "| ppo against the starting policy | wins_over_sft | 0.62 | "
                                 "0.5952 to 0.6448 | 3 | 30 | yes |\n"));
    assert_non_null(strstr(text, "| drpo-1 minus ppo | gold | -0.8 |  | 1 | 10 | no |\n"));
    assert_non_null(strstr(text, "of which 6 of 9 are done"));
    assert_non_null(strstr(text, "## Drawn\n\n6 of 9 cells are done. Seeds change nothing.\n"));
    // Three rows of two seeds or more: those of one test nothing.
    assert_non_null(strstr(text, "3 rows are tested at 5 % each: about 0.15 would be decided by chance alone, 1 is."));
}

static void test_nothing_or_nonsense(void **state) {
    (void)state;
    assert_int_equal(publish(), MG_EMPTY);
    assert_false(mg_file_exists(mg_path(&arena, "%s/results.json", folder)));
    put("ppo-2", "{\"wins_over_sft\": ");
    assert_int_equal(publish(), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "cells/ppo-2.json:1"));
    assert_false(mg_file_exists(mg_path(&arena, "%s/results.json", folder)));
    put("ppo-2", "{\"wins_over_sft\": null}"); // done, and nothing could be compared
    ok(publish());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_or_nonsense, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
