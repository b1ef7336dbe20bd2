// Goal:   the loss is Bradley and Terry's over pooled scores, starts at log 2, learns an order, and
//         what is saved gives rewards on the scale that was asked for.
// Method: scores once more through the saved folder; means and deviations over the texts they name.
#include "algos/reward_model/reward_model.h"

#include "algos/tiny_job.h"

static tiny *started(const char *settings) {
    tiny *t = tiny_job("reward_model", 1);
    t->job.response_max = 32; // no row is too long
    ok(tiny_learner(t, settings));
    return t;
}

// finish, and the rewards of texts [i] to prompts [i] by the folder that it wrote.
static void rewards_of(tiny *t, const char *const *texts, int n, mg_reward_model *r, double *out) {
    char folder[160];
    snprintf(folder, sizeof folder, "%s/made", tiny_root);
    ok(mg_folder_make(folder));
    ok(t->algo->finish(t->learner, folder));
    ok(t->algo->finish(t->learner, folder)); // once or twice is the same
    ok(mg_reward_model_load(r, folder));
    for (int i = 0; i < n; i++) {
        const char *prompt_text = tiny_pairs[i % TINY_PAIRS].prompt;
        mg_prompt   prompt;
        mg_answer   answer = {0};
        int32_t    *ids;
        ok(mg_prompt_encode(tiny_words, &t->job.rule, prompt_text, strlen(prompt_text), &t->step,
                            &ids, &prompt.n, NULL));
        prompt.tokens = ids;
        ok(mg_answer_encode(tiny_words, &t->job.rule, texts[i], strlen(texts[i]), &t->step, &ids,
                            &answer.n));
        answer.tokens        = ids;
        const mg_answers one = {&prompt, 1, &answer, 1};
        ok(mg_reward_model_score(r, NULL, &one, 1, &t->step, &out[i]));
    }
}

// Chosen answers, then rejected ones.
static void texts_of(const char **texts) {
    for (int i = 0; i < TINY_PAIRS; i++) {
        texts[i]              = tiny_preferences[i].chosen;
        texts[TINY_PAIRS + i] = tiny_preferences[i].rejected;
    }
}

static void all_answers_start_equal(void **state) {
    (void)state;
    tiny *t = started("batch=120 microbatch=5");
    ok(tiny_update(t, 0));
    near(metric(&t->metrics, "loss"), log(2), 1e-12);
    near(metric(&t->metrics, "margin"), 0, 0);
    tiny_stop(t);
}

static void the_loss_is_bradleys_and_terrys(void **state) {
    (void)state;
    const char *const pools[] = {"mean", "last"};
    for (int k = 0; k < 2; k++) {
        char settings[96];
        snprintf(settings, sizeof settings,
                 "batch=120 microbatch=5 epochs=400 lr=0.01 warmup=0 pool=%s", pools[k]);
        tiny           *t = started(settings);
        const char     *texts[2 * TINY_PAIRS];
        double          reward[2 * TINY_PAIRS], loss = 0, right = 0;
        mg_reward_model r = {0};
        for (int64_t u = 0; u < 3; u++) ok(tiny_update(t, u));
        texts_of(texts);
        rewards_of(t, texts, 2 * TINY_PAIRS, &r, reward);
        for (int i = 0; i < TINY_PAIRS; i++) {
            const double margin = r.scale * (reward[i] - reward[TINY_PAIRS + i]);
            loss += log(1 + exp(-margin)) / TINY_PAIRS;
            right += (margin > 0) / (double)TINY_PAIRS;
        }
        assert_int_equal(r.pool, k == 0 ? MG_POOL_MEAN : MG_POOL_LAST);
        ok(tiny_update(t, 3));
        near(metric(&t->metrics, "loss"), loss, 1e-5);
        near(metric(&t->metrics, "accuracy"), right, 1e-12);
        assert_true(fabs(loss - log(2)) > 1e-3);
        for (int64_t u = 4; u < 40; u++) ok(tiny_update(t, u));
        assert_true(metric(&t->metrics, "accuracy") > 0.9);
        assert_true(metric(&t->metrics, "loss") < 0.4);
        mg_reward_model_release(&r);
        tiny_stop(t);
    }
}

static void rewards_have_the_scale_that_was_asked_for(void **state) {
    (void)state;
    const char     *texts[2 * TINY_PAIRS];
    double          reward[2 * TINY_PAIRS], mean = 0, square = 0;
    mg_reward_model r = {0};
    tiny           *t = started("batch=12 epochs=10 lr=0.01 warmup=0");
    for (int64_t u = 0; u < 5; u++) ok(tiny_update(t, u));
    texts_of(texts);
    rewards_of(t, texts, 2 * TINY_PAIRS, &r, reward);
    for (int i = 0; i < 2 * TINY_PAIRS; i++) {
        mean += reward[i] / (2 * TINY_PAIRS);
        square += reward[i] * reward[i] / (2 * TINY_PAIRS);
    }
    near(mean, 0, 1e-4);
    near(square, 1, 1e-4);
    mg_reward_model_release(&r);
    tiny_stop(t);

    t = started("batch=12 epochs=10 lr=0.01 warmup=0 normalise=references");
    for (int64_t u = 0; u < 5; u++) ok(tiny_update(t, u));
    for (int i = 0; i < TINY_PAIRS; i++) texts[i] = tiny_pairs[i].completion;
    rewards_of(t, texts, TINY_PAIRS, &r, reward);
    mean = 0;
    for (int i = 0; i < TINY_PAIRS; i++) mean += reward[i] / TINY_PAIRS;
    near(mean, 0, 1e-4);
    near(r.scale, 1, 0);
    assert_true(r.centre != 0);
    mg_reward_model_release(&r);
    tiny_stop(t);
}

static void references_cannot_be_the_scale_where_there_are_none(void **state) {
    (void)state;
    tiny *t = tiny_job("reward_model", 1);
    t->job.n_pairs = 0;
    assert_int_equal(tiny_learner(t, "normalise=references"), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "normalise"));
    assert_null(t->learner);
    tiny_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_answers_start_equal),
        cmocka_unit_test(the_loss_is_bradleys_and_terrys),
        cmocka_unit_test(rewards_have_the_scale_that_was_asked_for),
        cmocka_unit_test(references_cannot_be_the_scale_where_there_are_none),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
