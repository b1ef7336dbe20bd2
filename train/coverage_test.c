// Goal:   the coverage check tells references that the policy could have written from such as it never
//         would, and its numbers are the log-probabilities that they are called.
// Method: a policy before and after it has learnt the references; each answer read on its own; texts
//         of bytes that no reference has.
#include "train/coverage.h"

#include "algos/tiny_job.h"

static mg_coverage measured(tiny *t, int64_t rows) {
    mg_coverage c;
    ok(mg_coverage_measure(tiny_part(t, 0).model, &t->job, rows, &t->step, &c));
    return c;
}

static tiny *learnt(int64_t updates) {
    tiny *t = tiny_job("sft", 1);
    t->job.response_max = 32; // no row is too long
    ok(tiny_learner(t, "batch=12 epochs=60 lr=0.02 warmup=0 schedule=constant"));
    for (int64_t u = 0; u < updates; u++) ok(tiny_update(t, u));
    return t;
}

// Mean log-probability per token of the first references, each read alone.
static double references_logp(tiny *t, int64_t rows) {
    double mean = 0;
    for (int64_t i = 0; i < rows; i++) {
        mg_prompt prompt;
        mg_answer answer = {0};
        int32_t  *ids;
        float     logp[64];
        ok(mg_prompt_encode(tiny_words, &t->job.rule, tiny_pairs[i].prompt,
                            strlen(tiny_pairs[i].prompt), &t->step, &ids, &prompt.n, NULL));
        prompt.tokens = ids;
        ok(mg_answer_encode(tiny_words, &t->job.rule, tiny_pairs[i].completion,
                            strlen(tiny_pairs[i].completion), &t->step, &ids, &answer.n));
        answer.tokens = ids;
        const mg_answers one = {&prompt, 1, &answer, 1};
        ok(mg_answers_read_logp(tiny_part(t, 0).model, NULL, &one, 1, 1, &t->step, logp));
        double own = 0;
        for (int64_t k = 0; k < answer.n; k++) own += (double)logp[k] / (double)answer.n;
        mean += own / (double)rows;
    }
    return mean;
}

static void what_the_policy_has_learnt_is_inside(void **state) {
    (void)state;
    tiny             *fresh = learnt(0), *t = learnt(60);
    const mg_coverage before = measured(fresh, 100), after = measured(t, 100), five = measured(t, 5);
    assert_int_equal(before.rows, TINY_PAIRS); // as many as there are
    assert_int_equal(five.rows, 5);
    near(before.reference_logp, references_logp(fresh, TINY_PAIRS), 1e-5);
    near(after.reference_logp, references_logp(t, TINY_PAIRS), 1e-5);
    near(five.reference_logp, references_logp(t, 5), 1e-5);
    assert_true(after.reference_logp > before.reference_logp + 1);
    assert_true(after.outside < 0.5);
    tiny_stop(fresh), tiny_stop(t);
}

static void what_it_would_never_write_is_outside(void **state) {
    (void)state;
    tiny   *t = learnt(60);
    mg_pair strange[TINY_PAIRS];
    for (int i = 0; i < TINY_PAIRS; i++) strange[i] = (mg_pair){tiny_pairs[i].prompt, "@@##@@##@@"};
    const mg_coverage known = measured(t, TINY_PAIRS);
    t->job.pairs = strange;
    const mg_coverage c = measured(t, TINY_PAIRS);
    near(c.outside, 1, 0);
    assert_true(c.reference_logp < c.sample_logp - 1);
    near(c.sample_logp, known.sample_logp, 1e-6); // the samples do not ask for the references
    tiny_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_policy_has_learnt_is_inside),
        cmocka_unit_test(what_it_would_never_write_is_outside),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
