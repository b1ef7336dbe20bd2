// Goal:   labels err as often as Bradley and Terry say, and only pairs that the rule allows are
//         asked about, each equally often.
// Method: frequencies over keyed draws, within five standard deviations.
#include "rewards/preference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 20000 };

static mg_rng at(int64_t draw) {
    mg_rng r = mg_rng_stream(5, MG_PURPOSE_LABEL, 0);
    mg_rng_seek(&r, (uint32_t)draw, 0, 0);
    return r;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.17g, wanted %.17g", found, wanted);
}

static void is_frequency_of(int64_t count, double p) {
    near((double)count / DRAWS, p, 5 * sqrt(p * (1 - p) / DRAWS));
}

static void the_probability_is_a_sigmoid_of_the_difference(void **state) {
    (void)state;
    near(mg_prefer_probability(12, 0.7, 0.6), 0.76852478349901765, 1e-12); // 1 / (1 + e^-1.2)
    near(mg_prefer_probability(12, 0.6, 0.7), 1 - 0.76852478349901765, 1e-12);
    near(mg_prefer_probability(log(3), 1, 0), 0.75, 1e-12);
    near(mg_prefer_probability(0, 1, 0), 0.5, 0);
    near(mg_prefer_probability(INFINITY, 0.5, 0.5), 0.5, 0);
    near(mg_prefer_probability(INFINITY, 0.4, 0.5), 0, 0);
}

static void labels_err_as_often_as_the_probability_says(void **state) {
    (void)state;
    const mg_candidate two[]  = {{"good", 0.7, false}, {"poor", 0.6, false}};
    const double       ks[]   = {0, 4, 12, 1e9};
    const mg_pairing   how[]  = {MG_PAIRING_RANDOM, MG_PAIRING_BEST_WORST};
    const double       wanted[] = {0.5, 0.59868766011245200, 0.76852478349901765, 1};
    for (int i = 0; i < 4; i++) {
        for (int h = 0; h < 2; h++) {
            const mg_preference_rule rule = {.pairing = how[h], .k = ks[i]};
            int64_t                  good = 0;
            for (int64_t d = 0; d < DRAWS; d++) {
                mg_rng        rng = at(d);
                mg_preference row;
                assert_true(mg_preference_draw(&rule, "prompt", two, 2, &rng, &row));
                assert_string_equal(row.prompt, "prompt");
                assert_string_not_equal(row.chosen, row.rejected);
                good += row.chosen == two[0].text;
            }
            is_frequency_of(good, wanted[i]);
        }
    }
}

// Candidates 0 and 1 say the same, so of six pairs five are left; 2 is the human's.
static const mg_candidate four[] = {
    {"a", 0.5, false}, {"a", 0.5, false}, {"b", 0.9, true}, {"c", 0.1, false}};

static void every_allowed_pair_is_asked_about_equally_often(void **state) {
    (void)state;
    for (int human = 0; human < 2; human++) {
        const mg_preference_rule rule = {.k = 12, .human = human};
        int64_t                  ab = 0, ac = 0, bc = 0;
        for (int64_t d = 0; d < DRAWS; d++) {
            mg_rng        rng = at(d);
            mg_preference row;
            assert_true(mg_preference_draw(&rule, "", four, 4, &rng, &row));
            const int letters = row.chosen[0] + row.rejected[0];
            ab += letters == 'a' + 'b';
            ac += letters == 'a' + 'c';
            bc += letters == 'b' + 'c';
        }
        assert_int_equal(ab + ac + bc, DRAWS);
        is_frequency_of(ab, human ? 0.4 : 0);
        is_frequency_of(ac, human ? 0.4 : 1);
        is_frequency_of(bc, human ? 0.2 : 0);
    }
}

static void best_and_worst_are_by_gold_among_those_allowed(void **state) {
    (void)state;
    mg_preference_rule rule = {.pairing = MG_PAIRING_BEST_WORST, .k = 1e9, .human = true};
    mg_rng             rng  = at(0);
    mg_preference      row;
    assert_true(mg_preference_draw(&rule, "", four, 4, &rng, &row));
    assert_string_equal(row.chosen, "b");
    assert_string_equal(row.rejected, "c");
    rule.human = false;
    assert_true(mg_preference_draw(&rule, "", four, 4, &rng, &row));
    assert_ptr_equal(row.chosen, four[0].text);
    assert_string_equal(row.rejected, "c");
}

static void ties_are_a_coin_or_dropped(void **state) {
    (void)state;
    const mg_candidate tied[] = {{"a", 0.5, false}, {"b", 0.5, false}, {"c", 0.5, false}};
    for (int pairing = MG_PAIRING_RANDOM; pairing <= MG_PAIRING_BEST_WORST; pairing++) {
        mg_preference_rule rule = {.pairing = (mg_pairing)pairing, .k = 1e9, .drop_ties = true};
        mg_preference      row  = {.prompt = "untouched"};
        mg_rng             rng  = at(0);
        assert_false(mg_preference_draw(&rule, "", tied, 3, &rng, &row));
        assert_string_equal(row.prompt, "untouched");
    }
    for (int pairing = MG_PAIRING_RANDOM; pairing <= MG_PAIRING_BEST_WORST; pairing++) {
        const mg_preference_rule coin = {.pairing = (mg_pairing)pairing, .k = 1e9};
        int64_t                  a    = 0;
        for (int64_t d = 0; d < DRAWS; d++) {
            mg_rng        rng = at(d);
            mg_preference row;
            assert_true(mg_preference_draw(&coin, "", tied, 2, &rng, &row));
            a += row.chosen[0] == 'a';
        }
        is_frequency_of(a, 0.5);
    }
}

static void without_two_different_texts_there_is_no_pair(void **state) {
    (void)state;
    for (int pairing = MG_PAIRING_RANDOM; pairing <= MG_PAIRING_BEST_WORST; pairing++) {
        const mg_preference_rule rule = {.pairing = (mg_pairing)pairing, .k = 1};
        mg_rng                   rng  = at(0);
        mg_preference            row;
        assert_false(mg_preference_draw(&rule, "", four, 0, &rng, &row));
        assert_false(mg_preference_draw(&rule, "", four, 1, &rng, &row));
        assert_false(mg_preference_draw(&rule, "", four, 2, &rng, &row));
        assert_false(mg_preference_draw(&rule, "", four + 2, 1, &rng, &row));
        assert_false(mg_preference_draw(&rule, "", four + 2, 2, &rng, &row)); // one is human
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probability_is_a_sigmoid_of_the_difference),
        cmocka_unit_test(labels_err_as_often_as_the_probability_says),
        cmocka_unit_test(every_allowed_pair_is_asked_about_equally_often),
        cmocka_unit_test(best_and_worst_are_by_gold_among_those_allowed),
        cmocka_unit_test(ties_are_a_coin_or_dropped),
        cmocka_unit_test(without_two_different_texts_there_is_no_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
