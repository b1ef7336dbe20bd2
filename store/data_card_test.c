// Goal: each number of the card equals a hand computation or an identity, and what the card says follows
// from its numbers.
#include "store/data_card.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", (size_t)1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static mg_logged rows_of(int64_t rows, int64_t obs, int64_t act) {
    return (mg_logged){.rows = rows, .obs = obs, .act = act, .observation = MG_NEW(&arena, float, rows * obs),
                       .action = MG_NEW(&arena, float, rows * act), .reward = MG_NEW(&arena, float, rows),
                       .terminal = MG_NEW(&arena, uint8_t, rows), .timeout = MG_NEW(&arena, uint8_t, rows)};
}

static mg_data_card card_of(const mg_logged *l, const char *world) {
    mg_data_card c;
    mg_data_card_make(l, world, NULL, &arena, &c);
    return c;
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-9 * (1 + fabs(wanted)))) fail_msg("%.12g, wanted %.12g", got, wanted);
}

// Returns 3 (two rows, terminal), 30 (three rows, timeout), 5 (one row, terminal); one row over.
static void test_episodes_are_counted_and_summed(void **state) {
    (void)state;
    mg_logged   l         = rows_of(7, 1, 1);
    const float reward[7] = {1, 2, 10, 10, 10, 5, 100};
    memcpy(l.reward, reward, sizeof reward);
    l.terminal[1] = l.timeout[4] = l.terminal[5] = 1;
    const mg_data_card c = card_of(&l, NULL);
    assert_true(c.rows == 7 && c.episodes == 4 && c.finished == 3 && c.terminals == 2 && c.timeouts == 1);
    assert_int_equal(c.transitions, 5); // without the timeout and the last row
    near(c.returns.mean, 38. / 3);
    near(c.returns.deviation, sqrt((9 + 900 + 25) / 3. - 38. / 3 * 38 / 3));
    near(c.returns.low, 3), near(c.returns.median, 5), near(c.returns.high, 30);
    near(c.returns.q10, 3.4), near(c.returns.q90, 25);
    near(c.lengths.mean, 2), near(c.lengths.low, 1), near(c.lengths.high, 3);
    assert_false(c.scored);
    assert_true(c.reward_low == 1 && c.reward_high == 100);
}

static void test_without_a_finished_episode_the_one_that_goes_on_counts(void **state) {
    (void)state;
    mg_logged l = rows_of(4, 1, 1);
    for (int i = 0; i < 4; i++) l.reward[i] = 2;
    const mg_data_card c = card_of(&l, NULL);
    assert_true(c.episodes == 1 && c.finished == 0);
    near(c.returns.mean, 8), near(c.lengths.mean, 4);
}

static void test_scores_are_d4rls(void **state) {
    (void)state;
    double x;
    assert_true(mg_normalised_score("hopper", -20.272305, &x));
    near(x, 0);
    assert_true(mg_normalised_score("hopper", 3234.3, &x));
    near(x, 100);
    assert_true(mg_normalised_score("half-cheetah", 5927.4105235, &x)); // the middle
    near(x, 50);
    assert_true(mg_normalised_score("walker2d", 4592.3, &x));
    near(x, 100);
    assert_true(mg_normalised_score("ant", -325.6, &x));
    near(x, 0);
    assert_false(mg_normalised_score("pendulum", 0, &x));
    assert_false(mg_normalised_score(NULL, 0, &x));
    mg_logged l = rows_of(2, 1, 1);
    l.reward[0] = l.reward[1] = 3234.3f;
    l.terminal[0] = l.terminal[1] = 1, l.world = "hopper";
    assert_true(fabs(card_of(&l, NULL).scores.mean - 100) < 1e-4);
    assert_false(card_of(&l, "pendulum").scored);
}

// Rewards that never change within an episode: an episode is one observation.
static void test_rows_that_repeat_count_once(void **state) {
    (void)state;
    mg_logged l = rows_of(40 * 8, 1, 1);
    for (int i = 0; i < 320; i++) l.reward[i] = i / 8 % 2 ? 1 : -1, l.timeout[i] = i % 8 == 7;
    near(card_of(&l, NULL).sample_size, 40);
}

static void test_independent_rows_count_all(void **state) {
    (void)state;
    mg_logged l   = rows_of(20000, 1, 1);
    mg_rng    rng = mg_rng_stream(4, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < 20000; i++) l.reward[i] = (float)mg_rng_normal(&rng), l.timeout[i] = i % 100 == 99;
    const double n = card_of(&l, NULL).sample_size;
    assert_true(n > 18000 && n <= 20000);
    for (int i = 0; i < 20000; i++) l.reward[i] = .1f;
    assert_true(isnan(card_of(&l, NULL).sample_size));
}

// Rewards that turn about say more than independent ones would; a set is never worth more than its rows.
static void test_rows_that_turn_about_count_once_each(void **state) {
    (void)state;
    mg_logged l = rows_of(1000, 1, 1);
    for (int i = 0; i < 1000; i++) l.reward[i] = i % 2 ? 3 : -1, l.timeout[i] = i % 50 == 49;
    assert_true(card_of(&l, NULL).sample_size == 1000);
}

// x_t = .9 x_{t-1} + e_t has tau = (1 + .9) / (1 - .9) = 19.
static void test_an_autoregression_counts_for_its_correlation_time(void **state) {
    (void)state;
    const int64_t rows = 200000;
    mg_logged     l    = rows_of(rows, 1, 1);
    mg_rng        rng  = mg_rng_stream(5, MG_PURPOSE_TEST, 0);
    for (int64_t i = 0; i < rows; i++)
        l.reward[i] = (float)((i % 2000 ? .9 * (double)l.reward[i - 1] : 0) + mg_rng_normal(&rng)),
        l.timeout[i] = i % 2000 == 1999;
    const double tau = (double)rows / card_of(&l, NULL).sample_size;
    if (!(tau > 17 && tau < 21)) fail_msg("tau %g, wanted 19", tau);
}

static void test_cells_are_distinct_pairs(void **state) {
    (void)state;
    mg_logged l = rows_of(1000, 3, 2);
    assert_int_equal(card_of(&l, NULL).cells, 1);
    for (int i = 0; i < 1000; i++) l.observation[3 * i] = i % 2 ? 5 : -5;
    assert_int_equal(card_of(&l, NULL).cells, 2);
    for (int i = 0; i < 1000; i++) l.action[2 * i + 1] = i % 3 ? 1 : -1;
    assert_int_equal(card_of(&l, NULL).cells, 4);
    // Large numbers are told apart by their ratio, small ones by their difference.
    mg_logged large = rows_of(1000, 1, 1);
    for (int i = 0; i < 1000; i++)
        large.observation[i] = 1e6f + (float)(i % 2), large.action[i] = -1e6f - (float)(i % 3);
    assert_int_equal(card_of(&large, NULL).cells, 1);
    for (int i = 0; i < 1000; i++) large.observation[i] = i % 2 ? 1e6f : 2e6f;
    assert_int_equal(card_of(&large, NULL).cells, 2);
    mg_rng rng = mg_rng_stream(6, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < 3000; i++) l.observation[i] = (float)mg_rng_normal(&rng);
    const int64_t wide = card_of(&l, NULL).cells;
    for (int i = 0; i < 3000; i++) l.observation[i] *= .1f;
    const int64_t narrow = card_of(&l, NULL).cells;
    if (!(wide > 900 && narrow < wide / 2)) fail_msg("wide %lld, narrow %lld", (long long)wide, (long long)narrow);
}

static void test_large_sets_are_looked_at_in_part(void **state) {
    (void)state;
    mg_logged l = rows_of(250000, 1, 1);
    for (int64_t i = 200000; i < 250000; i++) l.observation[i] = 9; // the last rows are seen, too
    const mg_data_card c = card_of(&l, NULL);
    assert_int_equal(c.cell_rows, 100000);
    assert_int_equal(c.cells, 2);
}

static void test_ranges_and_the_spread_of_actions(void **state) {
    (void)state;
    mg_logged   l              = rows_of(4, 2, 2);
    const float observation[8] = {1, -2, 3, 0, -7, 5, 2, 2}, action[8] = {1, 0, -1, 0, 1, 0, -1, 0};
    memcpy(l.observation, observation, sizeof observation);
    memcpy(l.action, action, sizeof action);
    const mg_data_card c = card_of(&l, NULL);
    assert_true(c.observation_low[0] == -7 && c.observation_high[0] == 3);
    assert_true(c.observation_low[1] == -2 && c.observation_high[1] == 5);
    assert_true(c.action_low[0] == -1 && c.action_high[0] == 1 && c.action_low[1] == 0 && c.action_high[1] == 0);
    near(c.action_spread, .5); // deviations 1 and 0
    // Evenly drawn: (2 + 0) / 2 / sqrt(12) between what the data have, 4 / sqrt(12) between -2 and 2.
    near(c.action_uniform, 1 / sqrt(12));
    assert_true(!c.action_bounded && c.action_min == -1 && c.action_max == 1);
    mg_data_card   d;
    const mg_space torque = {.kind = MG_SPACE_VECTOR, .n = 2, .low = -2, .high = 2};
    mg_data_card_make(&l, NULL, &torque, &arena, &d);
    near(d.action_uniform, 2 / sqrt(3));
    assert_true(d.action_bounded && d.action_min == -2 && d.action_max == 2 && d.action_spread == c.action_spread);
}

static bool says(const mg_data_card *c, const char *words) {
    const char *lines[MG_CARD_WORDS];
    const int   n = mg_data_card_says(c, &arena, lines);
    assert_in_range(n, 1, MG_CARD_WORDS);
    for (int i = 0; i < n; i++)
        if (strstr(lines[i], words)) return true;
    return false;
}

static void test_what_the_card_says_follows_from_its_numbers(void **state) {
    (void)state;
    mg_data_card c = {.rows = 1000, .finished = 19, .terminals = 3, .sample_size = 900,
                      .returns = {.q10 = 90, .q90 = 100}};
    assert_true(says(&c, "too few") && !says(&c, "narrow"));
    c.finished = 20;
    assert_true(says(&c, "a narrow set") && !says(&c, "too few") && !says(&c, "No row is terminal"));
    c.returns.q10 = 80;
    assert_true(says(&c, "Returns are spread") && !says(&c, "a narrow set"));
    assert_false(says(&c, "rows say as much as") || says(&c, "an expert's"));
    c.terminals = 0, c.sample_size = 9;
    assert_true(says(&c, "No row is terminal") && says(&c, "1000 rows say as much as 9 independent"));
    c.scored = true, c.scores = (mg_spread){.mean = 44.25, .q10 = 40, .q90 = 54};
    assert_true(says(&c, "a narrow set") && says(&c, "44.2 % of the way"));
    c.scores.q90 = 56;
    assert_true(says(&c, "Returns are spread") && says(&c, "is not known from its card"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_episodes_are_counted_and_summed),
        cmocka_unit_test(test_without_a_finished_episode_the_one_that_goes_on_counts),
        cmocka_unit_test(test_scores_are_d4rls),
        cmocka_unit_test(test_rows_that_repeat_count_once),
        cmocka_unit_test(test_independent_rows_count_all),
        cmocka_unit_test(test_rows_that_turn_about_count_once_each),
        cmocka_unit_test(test_an_autoregression_counts_for_its_correlation_time),
        cmocka_unit_test(test_cells_are_distinct_pairs),
        cmocka_unit_test(test_large_sets_are_looked_at_in_part),
        cmocka_unit_test(test_ranges_and_the_spread_of_actions),
        cmocka_unit_test(test_what_the_card_says_follows_from_its_numbers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
