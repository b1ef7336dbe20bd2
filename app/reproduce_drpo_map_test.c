// Goal:   the map shows each arm's gain in the square that its name says, with its interval and how many seeds
//         opened the lock; words and counts say no more than the numbers do.
// Method: cells and squares made up here, whose map, picture and page a person can work out.
#include "app/reproduce_drpo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "app/app.h"
#include "app/reproduce_folder.h"
#include "core/file.h"

atomic_int mg_stop; // main.c's: nobody asks to stop here

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

// What one seed of a lock came to, with resets where none, half and all of the references are right.
typedef struct lock {
    double start, ppo, open[3];
} lock;

static void put_lock(const char *cell, lock x) {
    const char *text = mg_path(
        &arena, "{\"open_prior\": {\"estimate\": %.9g, \"n\": 1}, \"open_ppo\": {\"estimate\": %.9g, \"n\": 1}",
        x.start, x.ppo);
    for (int q = 0; q < 3; q++)
        text = mg_path(&arena, "%s, \"open_%s\": {\"estimate\": %.9g, \"n\": 1}, \"gain_%s\": {\"estimate\": %.9g, "
                               "\"n\": 1}", text, shares[q], x.open[q], shares[q], x.open[q] - x.ppo);
    text = mg_path(&arena, "%s}", text);
    put(cell, text);
}

static void read_map(mg_map_square squares[MG_MAP_SQUARES]) {
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    json_t *rows = json_load_file(mg_path(&arena, "%s/results.json", folder), 0, NULL);
    assert_non_null(rows);
    ok(mg_drpo_map_read(folder, rows, &arena, squares));
    json_decref(rows);
}

// A gain for each square that tells where it belongs.
static double gain_of(int r, int p, int h, int q) { return r * 0.2 + p * 0.05 + h * 0.01 + q * 0.002; }

static void squares_are_what_arms_are_called(void **state) {
    (void)state;
    mg_map_square squares[MG_MAP_SQUARES];
    for (int i = 0; i < 36; i++) {
        const int r = i / 12, p = i / 4 % 3, h = i % 4;
        put_lock(mg_path(&arena, "lock-%s-%s-%s-1", rewards[r], priors[p], lengths[h]),
            (lock){0.25, 0.25, {0.25 + gain_of(r, p, h, 0), 0.25 + gain_of(r, p, h, 1), 0.25 + gain_of(r, p, h, 2)}});
    }
    read_map(squares);
    bool seen[108] = {0};
    for (int i = 0; i < 108; i++) {
        const mg_map_square *s = &squares[i];
        const int r = s->at[MG_MAP_REWARD], p = s->at[MG_MAP_PRIOR], h = s->at[MG_MAP_STEPS],
                  q = s->at[MG_MAP_COVERAGE];
        assert_int_equal(s->seeds, 1);
        assert_true(fabs(s->gain - gain_of(r, p, h, q)) < 1e-6);
        assert_true(isnan(s->low) && isnan(s->high));
        assert_string_equal(mg_map_scale[MG_MAP_REWARD].value[r], reward_words[r]);
        assert_string_equal(mg_map_scale[MG_MAP_PRIOR].value[p], priors[p]);
        assert_string_equal(mg_map_scale[MG_MAP_STEPS].value[h], lengths[h]);
        assert_string_equal(mg_map_scale[MG_MAP_COVERAGE].value[q], shares[q]);
        assert_int_equal(s->at[MG_MAP_CHANCE], chances[p][h]);
        assert_false(seen[((r * 3 + p) * 4 + h) * 3 + q]);
        seen[((r * 3 + p) * 4 + h) * 3 + q] = true;
    }
}

// Seeds are counted where a chance is one half or more, and where PPO is below its own start. Student's interval of
// 0 and .9 is .45 -+ 5.7, and a difference of chances lies in -1 to 1.
static void seeds_are_counted_and_intervals_are_of_chances(void **state) {
    (void)state;
    mg_map_square squares[MG_MAP_SQUARES];
    put_lock("lock-plain-0.7-8-1", (lock){0.0625, 0.05, {0.05, 0.95, 0.5}});
    put_lock("lock-plain-0.7-8-2", (lock){0.0625, 0.0625, {0.0625, 0.0625, 0.4375}});
    read_map(squares);
    const mg_map_square *half = NULL;
    for (int i = 0; i < 108; i++)
        if (squares[i].seeds > 0 && squares[i].at[MG_MAP_COVERAGE] == 1) half = &squares[i];
    assert_non_null(half);
    assert_int_equal(half->at[MG_MAP_REWARD], 1);
    assert_int_equal(half->seeds, 2);
    assert_true(fabs(half->gain - 0.45) < 1e-6 && half->low == -1 && half->high == 1);
    assert_true(fabs(half->start - 0.0625) < 1e-6 && fabs(half->ppo - 0.05625) < 1e-6);
    assert_true(half->opened == 1 && half->ppo_opened == 0 && half->ppo_fell == 1);
    assert_int_equal(half[1].opened, 1); // .5 is half, .4375 is not
    assert_int_equal(half[-1].opened, 0);
}

// Only what lies beyond .05, or within it, is said.
static void a_gain_counts_by_its_whole_interval(void **state) {
    (void)state;
    static const struct {
        double         low, high;
        mg_map_verdict is;
    } cases[] = {{0.06, 0.9, MG_MAP_AHEAD}, {0.01, 0.9, MG_MAP_OPEN},   {0.01, 0.02, MG_MAP_WITHIN},
                 {-0.9, -0.06, MG_MAP_BEHIND}, {-0.9, 0.04, MG_MAP_OPEN}, {-0.04, 0.04, MG_MAP_WITHIN},
                 {-0.9, 0.9, MG_MAP_OPEN},  {NAN, NAN, MG_MAP_OPEN}};
    for (int i = 0; i < 8; i++)
        assert_int_equal(mg_map_verdict_of(&(mg_map_square){.seeds = 2, .low = cases[i].low, .high = cases[i].high}),
                         cases[i].is);
}

#define OF(r, p, h, q, c) .at = {r, p, h, q, c}

static void the_map_is_told_in_words(void **state) {
    (void)state;
    const mg_map_square squares[] = {
        // PPO falls, resets open it
        {OF(0, 0, 1, 0, 2), 5, 0, 0, 0, 0.004, 0.0001, 0, 0, 5},
        {OF(0, 0, 1, 1, 2), 5, 0.8, 0.3, 1, 0.004, 0.0001, 4, 0, 5},
        {OF(0, 0, 1, 2, 2), 5, 0.98, 0.97, 0.99, 0.004, 0.0001, 5, 0, 5},
        // the same chance, and a gain that the interval does not settle
        {OF(0, 1, 3, 0, 2), 4, -0.004, -0.01, 0.01, 0.003, 0.9, 4, 4, 0},
        {OF(0, 1, 3, 1, 2), 4, 0.2, -0.1, 0.5, 0.003, 0.9, 4, 4, 0},
        {OF(0, 1, 3, 2, 2), 4, 0, 0, 0, 0.003, 0.9, 4, 4, 0},
        // another reward, where nothing is large
        {OF(2, 2, 0, 0, 0), 3, -0.08, -0.09, -0.07, 0.6, 0.99, 3, 3, 0},
        {OF(2, 2, 0, 1, 0), 3, 0, 0, 0, 0.6, 0.99, 3, 3, 0},
        {OF(2, 2, 0, 2, 0), 3, 0, 0, 0, 0.6, 0.99, 3, 3, 0},
        // one seed, which is not read
        {OF(1, 2, 0, 0, 0), 1, -1, NAN, NAN, 0.6, 0.1, 0, 0, 1},
        {OF(1, 2, 0, 1, 0), 1, -1, NAN, NAN, 0.6, 0.1, 0, 0, 1},
        {OF(1, 2, 0, 2, 0), 1, -1, NAN, NAN, 0.6, 0.1, 0, 0, 1},
    };
    char  *text = NULL;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    mg_map_tell(f, squares, 12);
    fclose(f);
    assert_non_null(strstr(text, "Of 9 squares"));
    assert_non_null(strstr(text, "ahead in 2 and behind in 1; in 5 the interval lies within 0.05 on both\nsides, and 1 "
                                 "are not decided."));
    assert_non_null(strstr(text, "decide up to 0.45;"));
    assert_non_null(strstr(
        text, "|---|---|---|---|---|---|---|\n"
              "| sparse with a decoy | 0.001 to 0.01 | 2 | 4 of 9 | +0.00, 4 of 9 | +0.50, 8 of 9, 1 ahead | "
              "+0.49, 9 of 9, 1 ahead |\n"
              "| dense | above 0.1 | 1 | 3 of 3 | -0.08, 3 of 3, 1 behind | +0.00, 3 of 3 | +0.00, 3 of 3 |\n\n"));
    assert_non_null(strstr(text, "than it began, in most seeds: sparse with a decoy 1 of 2, dense 0 of 1.\n"
                                 "They hold 2 of the 3 squares with a mean gain above 0.1.\n"));
    assert_non_null(strstr(
        text, "|---|---|---|---|---|---|---|---|\n"
              "| sparse with a decoy | 0.5 | 8 | 0.004 | 0.0001, fell in 5 of 5 | +0.00 (+0.00 to +0.00), 0 of 5 | "
              "+0.80 (+0.30 to +1.00), 4 of 5 | +0.98 (+0.97 to +0.99), 5 of 5 |\n"
              "| sparse with a decoy | 0.7 | 16 | 0.003 | 0.9, fell in 0 of 4 | +0.00 (-0.01 to +0.01), 4 of 4 | "
              "+0.20 (-0.10 to +0.50), 4 of 4 | +0.00 (+0.00 to +0.00), 4 of 4 |\n"));
    assert_null(strstr(text, "dense | 0.9"));
    free(text);
}

// Of two seeds an interval is 12.7062 deviations wide to each side.
static void the_picture_shows_numbers_and_what_is_open(void **state) {
    (void)state;
    put_lock("lock-sparse-0.5-12-1", (lock){0.0002, 0.0625, {0.3625, 0.0625, 0.8725}});
    put_lock("lock-sparse-0.5-12-2", (lock){0.0002, 0.0625, {-0.0375, 0.0625, 0.8925}});
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    const char *svg = page_of("map.svg");
    assert_int_equal(count(svg, "class=\"value"), 3);
    assert_int_equal(count(svg, "class=\"value sure"), 1); // .82, and not the sure 0
    assert_int_equal(count(svg, "\u2013</text>"), 105);   // squares of which nothing is known
    assert_int_equal(count(svg, ">+.82</text>"), 1);      // .82 -+ .127
    assert_int_equal(count(svg, ">.69 to .95</text>"), 1);
    assert_int_equal(count(svg, ">+.10</text>"), 1); // .1 -+ 2.54, of chances
    assert_int_equal(count(svg, ">\u22121.00 to 1.00</text>"), 1);
    assert_int_equal(count(svg, "fill=\"url(#open)\""), 2); // the undecided one, and the legend's
    assert_int_equal(count(svg, ">2/2, PPO 0/2</text>"), 1);
    assert_int_equal(count(svg, "95 % intervals over 2 seeds"), 1);
    assert_int_equal(count(svg, ">sparse with a decoy</text>"), 1);
    assert_int_equal(count(svg, ">plain sparse</text>"), 1);
    const char *page = page_of("RESULTS.md");
    assert_non_null(strstr(page, "](map.svg)"));
    assert_non_null(strstr(page, "2 of 180 cells are done."));
    assert_non_null(strstr(page, "| sparse with a decoy | below 0.001 | 1 | 0 of 2 | +0.10, 0 of 2 |"));
    assert_null(strstr(page, "| lock-")); // 36 arms of nine numbers: in results.json
    assert_non_null(strstr(page_of("results.json"), "\"lock-sparse-0.5-12 from the beginning\""));
}

static void one_seed_of_a_lock_is_no_finding(void **state) {
    (void)state;
    put_lock("lock-sparse-0.5-12-1", (lock){0.0002, 0.0625, {0.0625, 0.0625, 0.9}});
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    assert_null(strstr(page_of("RESULTS.md"), "What it goes with"));
    assert_int_equal(count(page_of("map.svg"), "class=\"value sure"), 0);
    assert_int_equal(count(page_of("map.svg"), "fill=\"url(#open)\""), 4); // all three, and the legend's
}

// What the page says of the claim turns with the numbers.
static void put_scores(const char *arm, const char *metric, double score, int seeds) {
    for (int seed = 1; seed <= seeds; seed++) {
        const char *text = mg_path(&arena, "{\"%s\": {\"estimate\": %g, \"n\": 500}}", metric, score + seed * 0.001);
        put(mg_path(&arena, "%s-%d", arm, seed), text);
    }
}

static const char *published(void) {
    ok(mg_reproduce_publish(folder, &mg_grid_drpo, &arena));
    return page_of("RESULTS.md");
}

static void the_claim_holds_or_fails_by_its_numbers(void **state) {
    (void)state;
    const char *const holds = "It holds", *const fails = "It fails", *const line = "the desk, all of them: success ";
    put_scores("desk-ppo", "success", 0.5, 3), put_scores("desk-drpo-1", "success", 0.75, 3);
    const char *page = published();
    assert_non_null(strstr(page, holds));
    assert_null(strstr(page, fails));
    assert_null(strstr(page, "It is not decided"));
    assert_null(strstr(page, "One seed"));
    assert_non_null(strstr(page, mg_path(&arena, "%s+0.250 (+0.250 to +0.250), 3 seeds", line)));
    assert_non_null(strstr(page, "Tested 1 time at 5 % each; about 0.05 would be decided by chance alone."));
    assert_non_null(strstr(page, "of which 6 of 264 are done"));
    put_scores("desk-drpo-1", "success", 0.25, 3);
    page = published();
    assert_null(strstr(page, holds));
    assert_non_null(strstr(page, fails));
    assert_non_null(strstr(page, mg_path(&arena, "%s-0.250", line)));
}

static void one_seed_and_controls_stand_apart(void **state) {
    (void)state;
    put_scores("desk-ppo", "success", 0.5, 3), put_scores("desk-drpo-0.5", "success", 0.75, 1);
    put_scores("ppo", "gold", 0.5, 3), put_scores("drpo-1-sft", "gold", 0.75, 3);
    const char *page = published();
    assert_non_null(strstr(page, "One seed, which decides nothing:\n\n- the desk, half of the episodes reset"));
    assert_null(strstr(page, "It holds"));
    assert_null(strstr(page, "Tested"));
    assert_non_null(strstr(page, "A control, and no test of the claim: resets into the starting policy's own texts "
                                 "instead of references.\n\n- synopses, all of the episodes reset: gold +0.250"));
}

// Neither map nor words of it where no lock was tried.
static void a_question_without_cells_is_only_named(void **state) {
    (void)state;
    put_scores("desk-ppo", "success", 0.5, 3);
    const char *page = published(), *end = "with a decoy and without\n\n0 of 180 cells are done.\n";
    assert_string_equal(page + strlen(page) - strlen(end), end);
    assert_non_null(strstr(page, "## Synopses of packages\n\n0 of 54 cells are done.\n\n## "));
    assert_null(strstr(page, "What it goes with"));
    assert_false(mg_file_exists(mg_path(&arena, "%s/map.svg", folder)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(squares_are_what_arms_are_called),
        TEST(seeds_are_counted_and_intervals_are_of_chances),
        TEST(a_gain_counts_by_its_whole_interval),
        TEST(the_map_is_told_in_words),
        TEST(the_picture_shows_numbers_and_what_is_open),
        TEST(one_seed_of_a_lock_is_no_finding),
        TEST(the_claim_holds_or_fails_by_its_numbers),
        TEST(one_seed_and_controls_stand_apart),
        TEST(a_question_without_cells_is_only_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
