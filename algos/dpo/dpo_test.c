// Goal:   the loss is eq. 7 of arXiv:2305.18290, starts at log 2, and falls as chosen answers
//         become likelier than rejected ones.
// Method: h once more, one answer at a time, after the policy has left the reference.
#include "algos/dpo/dpo.h"

#include "algos/losses.h"
#include "algos/tiny_job.h"

static double log_likelihood(tiny *t, mg_model *m, const char *prompt_text, const char *text) {
    mg_prompt prompt;
    mg_answer answer = {0};
    int32_t  *ids;
    double    sum = 0;
    ok(mg_prompt_encode(tiny_words, &t->job.rule, prompt_text, strlen(prompt_text), &t->step, &ids,
                        &prompt.n, NULL));
    prompt.tokens = ids;
    ok(mg_answer_encode(tiny_words, &t->job.rule, text, strlen(text), &t->step, &ids, &answer.n));
    answer.tokens          = ids;
    const mg_answers one   = {&prompt, 1, &answer, 1};
    float           *logp  = MG_NEW(&t->step, float, answer.n);
    ok(mg_answers_read_logp(m, NULL, &one, 1, 1, &t->step, logp));
    for (int64_t k = 0; k < answer.n; k++) sum += (double)logp[k];
    return sum;
}

static tiny *started(const char *settings) {
    tiny *t = tiny_job("dpo", 1);
    t->job.response_max = 32; // no row is too long
    ok(tiny_learner(t, settings));
    return t;
}

static void the_loss_starts_at_log_two(void **state) {
    (void)state;
    tiny *t = started("batch=120 microbatch=5 beta=0.7");
    ok(tiny_update(t, 0));
    near(metric(&t->metrics, "loss"), log(2), 1e-6);
    near(metric(&t->metrics, "margin"), 0, 1e-5);
    tiny_stop(t);
}

static void the_loss_is_equation_seven(void **state) {
    (void)state;
    tiny     *t = started("batch=120 microbatch=5 beta=0.7 lr=0.01 epochs=10");
    mg_model *reference = NULL, *policy = tiny_part(t, 0).model;
    double    loss = 0, margin = 0, right = 0, held_loss = 0, held_right = 0;
    ok(mg_model_load(&reference, tiny_policy, false));
    ok(tiny_update(t, 0));
    for (int i = 0; i < TINY_PAIRS; i++) {
        const mg_preference *p = &tiny_preferences[i];
        const double h = 0.7 * ((log_likelihood(t, policy, p->prompt, p->chosen) -
                                 log_likelihood(t, reference, p->prompt, p->chosen)) -
                                (log_likelihood(t, policy, p->prompt, p->rejected) -
                                 log_likelihood(t, reference, p->prompt, p->rejected)));
        loss += log(1 + exp(-h)) / TINY_PAIRS;
        margin += h / TINY_PAIRS;
        right += (h > 0) / (double)TINY_PAIRS;
        if (i < TINY_HELD) held_loss += log(1 + exp(-h)) / TINY_HELD;
        if (i < TINY_HELD) held_right += (h > 0) / (double)TINY_HELD;
    }
    ok(t->algo->evaluate(t->learner, &t->metrics));
    near(metric(&t->metrics, "held_out_loss"), held_loss, 1e-5);
    near(metric(&t->metrics, "held_out_accuracy"), held_right, 1e-12);
    ok(tiny_update(t, 1));
    near(metric(&t->metrics, "loss"), loss, 1e-5);
    near(metric(&t->metrics, "margin"), margin, 1e-5);
    near(metric(&t->metrics, "accuracy"), right, 1e-12);
    assert_true(fabs(loss - log(2)) > 1e-3); // it has moved
    mg_model_free(reference);
    tiny_stop(t);
}

static void chosen_answers_become_likelier_than_rejected_ones(void **state) {
    (void)state;
    tiny *t = started("batch=12 lr=0.01 epochs=30");
    for (int64_t u = 0; u < t->algo->updates(t->learner); u++) ok(tiny_update(t, u));
    near(metric(&t->metrics, "accuracy"), 1, 0);
    assert_true(metric(&t->metrics, "loss") < 0.3);
    tiny_stop(t);
}

static void a_nan_ends_the_update_before_it_moves_anything(void **state) {
    (void)state;
    tiny *t = started("");
    mg_f32(tiny_part(t, 0).model->final_norm)[0] = NAN;
    mg_model_touch(tiny_part(t, 0).model);
    assert_int_equal(tiny_update(t, 0), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "loss"));
    assert_int_equal(tiny_part(t, 0).optimiser->steps, 0);
    tiny_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_starts_at_log_two),
        cmocka_unit_test(the_loss_is_equation_seven),
        cmocka_unit_test(chosen_answers_become_likelier_than_rejected_ones),
        cmocka_unit_test(a_nan_ends_the_update_before_it_moves_anything),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
