// Goal:   the map shows each arm's gain in the square that its name says, with its interval, and says what
//         the gains were decided by.
// Method: rows made up here, whose squares, picture and tree a person can work out.
#include "app/reproduce_drpo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/app.h"
#include "core/file.h"

volatile int mg_stop; // main.c's: nobody asks to stop here

static mg_arena arena;
static char     folder[64];

static void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/mg-map-XXXXXX");
    return !mkdtemp(folder) || mg_arena_init(&arena, "test", (size_t)1 << 30) ||
           mg_folder_make(mg_path(&arena, "%s/cells", folder));
}

static int teardown(void **state) {
    (void)state;
    const int status = system(mg_path(&arena, "rm -r %s", folder));
    mg_arena_release(&arena);
    return status;
}

static const char *const rewards[] = {"sparse", "plain", "dense"},
                  *const reward_words[] = {"sparse with a decoy", "plain sparse", "dense"},
                  *const priors[] = {"0.5", "0.7", "0.9"},
                  *const lengths[] = {"4", "8", "12", "16"}, *const shares[] = {"0", "0.5", "1"};

static const char *page_of(const char *name) {
    char  *text;
    size_t size;
    ok(mg_file_read(mg_path(&arena, "%s/%s", folder, name), 1 << 20, &arena, &text, &size));
    return text;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) n++;
    return n;
}

// .5: .0625, .0039, .00024, .000015; .7: .24, .058, .014, .0033; .9: .66, .43, .28, .19.
static const int chances[3][4] = {{1, 2, 3, 3}, {0, 1, 1, 2}, {0, 0, 0, 0}};

// A gain for each square that tells where it belongs.
static double gain_of(int r, int p, int h, int q) { return r * 0.5 + p * 0.1 + h * 0.02 + q * 0.004; }

static void squares_are_what_arms_are_called(void **state) {
    (void)state;
    mg_map_square squares[MG_MAP_SQUARES];
    json_t       *rows = json_array();
    for (int i = 0; i < 108; i++) {
        const int r = i / 36, p = i / 12 % 3, h = i / 3 % 4, q = i % 3;
        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:f, s:n, s:n, s:i, s:b}", "claim",
                            mg_path(&arena, "lock-%s-%s-%s from the beginning", rewards[r], priors[p], lengths[h]),
                            "metric", mg_path(&arena, "gain_%s", shares[q]), "estimate", gain_of(r, p, h, q), "low",
                            "high", "seeds", 1, "decided", 0));
    }
    mg_drpo_map_read(rows, &arena, squares);
    json_decref(rows);
    bool seen[108] = {0};
    for (int i = 0; i < 108; i++) {
        const mg_map_square *s = &squares[i];
        const int r = s->at[MG_MAP_REWARD], p = s->at[MG_MAP_PRIOR], h = s->at[MG_MAP_STEPS],
                  q = s->at[MG_MAP_COVERAGE];
        assert_int_equal(s->seeds, 1);
        assert_true(s->gain == gain_of(r, p, h, q));
        assert_true(isnan(s->low) && isnan(s->high) && !s->decided);
        assert_string_equal(mg_map_scale[MG_MAP_REWARD].value[r], reward_words[r]);
        assert_string_equal(mg_map_scale[MG_MAP_PRIOR].value[p], priors[p]);
        assert_string_equal(mg_map_scale[MG_MAP_STEPS].value[h], lengths[h]);
        assert_string_equal(mg_map_scale[MG_MAP_COVERAGE].value[q], shares[q]);
        assert_int_equal(s->at[MG_MAP_CHANCE], chances[p][h]);
        assert_false(seen[((r * 3 + p) * 4 + h) * 3 + q]);
        seen[((r * 3 + p) * 4 + h) * 3 + q] = true;
    }
}

// What explains most comes first: of .932 in all coverage explains .705; then, where references are right, the
// reward .202; where they are not it would explain .02, less than a twentieth of all.
static void the_tree_splits_by_what_matters(void **state) {
    (void)state;
    mg_map_square squares[] = {
        {.at = {0, 0, 0, 0}, .seeds = 5, .gain = 0, .decided = false},
        {.at = {1, 0, 1, 0}, .seeds = 5, .gain = -0.2, .decided = true},
        {.at = {0, 0, 0, 2}, .seeds = 5, .gain = 0.9, .decided = true},
        {.at = {0, 0, 1, 2}, .seeds = 5, .gain = 0.8, .decided = true},
        {.at = {1, 0, 0, 2}, .seeds = 5, .gain = 0.3, .decided = true},
        {.at = {1, 1, 1, 2}, .seeds = 0, .gain = -1, .decided = true}, // unknown, and not read
    };
    char  *text = NULL;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    mg_map_explain(f, squares, 6, 2);
    fclose(f);
    assert_string_equal(
        text,
        "- all: +0.36 on average over 5 squares; ahead in 3, behind in 1, not decided in 1\n"
        "  - share of right references 0: -0.10 on average over 2 squares; ahead in 0, behind in 1, not decided in 1\n"
        "  - share of right references 1: +0.67 on average over 3 squares; ahead in 3, behind in 0, not decided in 0\n"
        "    - reward sparse with a decoy: +0.85 on average over 2 squares; ahead in 2, behind in 0, not decided in 0\n"
        "    - reward plain sparse: +0.30 on average over 1 square; ahead in 1, behind in 0, not decided in 0\n");
    free(text);
}

static void put(const char *cell, double gain_0, double gain_1) {
    const char *text = mg_path(&arena, "{\"gain_0\": {\"estimate\": %g, \"n\": 1}, "
                                       "\"gain_1\": {\"estimate\": %g, \"n\": 1}}", gain_0, gain_1);
    ok(mg_file_write(mg_path(&arena, "%s/cells/%s.json", folder, cell), text, strlen(text)));
}

// Of two seeds an interval is 12.7062 deviations wide to each side.
static void the_picture_shows_numbers_and_what_is_open(void **state) {
    (void)state;
    put("lock-sparse-0.5-12-1", 0.3, 0.81), put("lock-sparse-0.5-12-2", -0.1, 0.83);
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    const char *svg = page_of("map.svg");
    assert_int_equal(count(svg, "class=\"value"), 2);
    assert_int_equal(count(svg, "\u2013</text>"), 106); // squares of which nothing is known
    assert_int_equal(count(svg, ">+.82</text>"), 1);   // .82 -+ .127
    assert_int_equal(count(svg, ">.69 to .95</text>"), 1);
    assert_int_equal(count(svg, ">+.10</text>"), 1); // .1 -+ 2.54
    assert_int_equal(count(svg, ">\u22122.44 to 2.64</text>"), 1);
    assert_int_equal(count(svg, "fill=\"url(#open)\""), 2); // the undecided one, and the legend's
    assert_int_equal(count(svg, "95 % intervals over 2 seeds"), 1);
    const char *page = page_of("RESULTS.md");
    assert_non_null(strstr(page, "](map.svg)"));
    assert_non_null(strstr(page, "- share of right references 1: +0.82 on average over 1 square; ahead in 1"));
    assert_null(strstr(page, "| lock-")); // 36 arms of nine numbers: in results.json
    assert_non_null(strstr(page_of("results.json"), "\"lock-sparse-0.5-12 from the beginning\""));
}

// What the page says of the claim turns with the numbers.
static void put_success(const char *arm, double success) {
    for (int seed = 1; seed <= 3; seed++) {
        const char *text = mg_path(&arena, "{\"success\": {\"estimate\": %g, \"n\": 500}}", success + seed * 0.001);
        ok(mg_file_write(mg_path(&arena, "%s/cells/%s-%d.json", folder, arm, seed), text, strlen(text)));
    }
}

static void the_claim_holds_or_fails_by_its_numbers(void **state) {
    (void)state;
    const char *const holds = "It holds", *const fails = "It fails", *const line = "the desk, all of them: success ";
    put_success("desk-ppo", 0.5), put_success("desk-drpo-1", 0.75);
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    const char *page = page_of("RESULTS.md");
    assert_non_null(strstr(page, holds));
    assert_null(strstr(page, fails));
    assert_null(strstr(page, "It is not decided"));
    assert_non_null(strstr(page, mg_path(&arena, "%s+0.250 (+0.250 to +0.250), 3 seeds", line)));
    assert_null(strstr(page, "What decides it")); // no lock was tried
    put_success("desk-drpo-1", 0.25);
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    page = page_of("RESULTS.md");
    assert_null(strstr(page, holds));
    assert_non_null(strstr(page, fails));
    assert_non_null(strstr(page, mg_path(&arena, "%s-0.250", line)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(squares_are_what_arms_are_called),
        TEST(the_tree_splits_by_what_matters),
        TEST(the_picture_shows_numbers_and_what_is_open),
        TEST(the_claim_holds_or_fails_by_its_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
