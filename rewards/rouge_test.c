// Goal:   ROUGE as its paper defines it, to the last bit but rounding as rouge-score computes it.
// Method: the example in section 3.1 of the paper, and a table that the Python package wrote.
#include "rewards/rouge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mg_arena scratch;

static mg_rouge_scores rouge(const char *reference, const char *candidate) {
    const mg_rouge_scores scores =
        mg_rouge(candidate, strlen(candidate), reference, strlen(reference), &scratch);
    assert_int_equal(scratch.used, 0);
    return scores;
}

static void near(double found, double wanted) {
    if (!(fabs(found - wanted) <= 1e-15)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

// Lin 2004, 3.1: S2 and S3 have the same ROUGE-2; ROUGE-L tells them apart, 3/4 and 2/4.
static void the_example_of_the_paper(void **state) {
    (void)state;
    const char           *s1 = "police killed the gunman";
    const mg_rouge_scores s2 = rouge(s1, "police kill the gunman");
    const mg_rouge_scores s3 = rouge(s1, "the gunman kill police");
    near(s2.r2.recall, 1.0 / 3);
    near(s3.r2.recall, 1.0 / 3);
    near(s2.l.f, 3.0 / 4);
    near(s3.l.f, 2.0 / 4);
}

// Overlap 3 (the, cat, sat) of 4 and 6 words; bigrams "the cat", "cat sat" of 3 and 5; sequence 3.
static void precision_and_recall_have_their_own_side(void **state) {
    (void)state;
    const mg_rouge_scores r = rouge("the cat sat on a mat", "The cat: sat still");
    near(r.r1.precision, 3.0 / 4);
    near(r.r1.recall, 3.0 / 6);
    near(r.r1.f, 2 * 3.0 / (4 + 6));
    near(r.r2.precision, 2.0 / 3);
    near(r.r2.recall, 2.0 / 5);
    near(r.r2.f, 2 * 2.0 / (3 + 5));
    near(r.l.precision, 3.0 / 4);
    near(r.l.recall, 3.0 / 6);
}

static void the_python_package_says_the_same(void **state) {
    (void)state;
    static const struct {
        const char *reference, *candidate;
        double      wanted[3][3];
    } rows[] = {
#include "rewards/rouge_table.h"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const mg_rouge_scores r        = rouge(rows[i].reference, rows[i].candidate);
        const mg_rouge_score  found[3] = {r.r1, r.r2, r.l};
        for (int k = 0; k < 3; k++) {
            near(found[k].precision, rows[i].wanted[k][0]);
            near(found[k].recall, rows[i].wanted[k][1]);
            near(found[k].f, rows[i].wanted[k][2]);
        }
    }
}

// The words after the limit would halve the precision.
static void words_after_the_limit_are_not_looked_at(void **state) {
    (void)state;
    static char text[4 * MG_ROUGE_WORDS_MAX + 1];
    for (int i = 0; i < MG_ROUGE_WORDS_MAX; i++) memcpy(text + 2 * i, "x ", 2);
    const size_t half = strlen(text);
    for (int i = 0; i < MG_ROUGE_WORDS_MAX; i++) memcpy(text + half + 2 * i, "y ", 2);
    const mg_rouge_scores s = mg_rouge(text, strlen(text), text, half, &scratch);
    near(s.r1.precision, 1);
    near(s.r2.precision, 1);
    near(s.l.f, 1);
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&scratch, "scratch", 1 << 20) != MG_OK;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_paper),
        cmocka_unit_test(precision_and_recall_have_their_own_side),
        cmocka_unit_test(the_python_package_says_the_same),
        cmocka_unit_test(words_after_the_limit_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
