// Goal:   the loss is the mean negative log-likelihood per answer token, and falls until a tiny set
//         is known by heart.
// Method: the loss once more, one row at a time; greedy answers after training against the data.
#include "algos/sft/sft.h"

#include "algos/tiny_job.h"

static mg_answers encoded(tiny *t, int64_t i) {
    const mg_pair *row    = &tiny_pairs[i];
    mg_prompt     *prompt = MG_NEW(&t->step, mg_prompt, 1);
    mg_answer     *answer = MG_NEW(&t->step, mg_answer, 1);
    int32_t       *ids;
    ok(mg_prompt_encode(tiny_words, &t->job.rule, row->prompt, strlen(row->prompt), &t->step, &ids,
                        &prompt->n, NULL));
    prompt->tokens = ids;
    ok(mg_answer_encode(tiny_words, &t->job.rule, row->completion, strlen(row->completion),
                        &t->step, &ids, &answer->n));
    answer->tokens = ids;
    return (mg_answers){prompt, 1, answer, 1};
}

// Sum of log pi over the row's answer, or with the prompt over all but the first token.
static double log_likelihood(tiny *t, int64_t i, bool prompt_too, double *tokens) {
    mg_answers      a = encoded(t, i);
    const mg_prompt first = {a.prompts[0].tokens, 1};
    mg_answer       all   = a.answers[0];
    double          sum   = 0;
    if (prompt_too) {
        const int64_t rest = a.prompts[0].n - 1;
        int32_t      *ids  = MG_NEW(&t->step, int32_t, rest + all.n);
        memcpy(ids, a.prompts[0].tokens + 1, sizeof *ids * (size_t)rest);
        memcpy(ids + rest, all.tokens, sizeof *ids * (size_t)all.n);
        all = (mg_answer){0, ids, rest + all.n};
        a   = (mg_answers){&first, 1, &all, 1};
    }
    float *logp = MG_NEW(&t->step, float, a.answers[0].n);
    ok(mg_answers_read_logp(tiny_part(t, 0).model, NULL, &a, 1, 1, &t->step, logp));
    for (int64_t k = 0; k < a.answers[0].n; k++) sum += (double)logp[k];
    *tokens += (double)a.answers[0].n;
    return sum;
}

enum { EPOCHS = 10 };

static void the_loss_is_the_mean_over_tokens(void **state) {
    (void)state;
    for (int prompt_too = 0; prompt_too < 2; prompt_too++) {
        tiny *t = tiny_job("sft", 1);
        t->job.response_max = 32; // so that no row is too long: a batch is EPOCHS of them
        ok(tiny_learner(t, prompt_too ? "batch=120 microbatch=5 prompt_loss=true"
                                      : "batch=120 microbatch=5"));
        double sum = 0, tokens = 0, held = 0, held_tokens = 0;
        for (int i = 0; i < TINY_PAIRS; i++) sum += log_likelihood(t, i, prompt_too, &tokens);
        for (int i = 0; i < TINY_HELD; i++) held += log_likelihood(t, i, false, &held_tokens);
        ok(t->algo->evaluate(t->learner, &t->metrics));
        near(metric(&t->metrics, "held_out_loss"), -held / held_tokens, 1e-5);
        ok(t->algo->update(t->learner, 0, NULL, 0, &t->metrics));
        near(metric(&t->metrics, "loss"), -sum / tokens, 1e-5);
        assert_true(metric(&t->metrics, "tokens") == EPOCHS * tokens);
        if (prompt_too) assert_true(EPOCHS * tokens > MG_PORTION_TOKENS); // several portions
        tiny_stop(t);
    }
}

// Of a conversation every answer counts, each behind all that was seen and said before it; what was seen
// does not, unless it is asked for.
static void all_answers_of_a_conversation_are_learnt(void **state) {
    (void)state;
    const mg_exchange later[] = {{"rain on a tin roof", "grey seals"}, {"a boat", "old mill"}};
    const mg_pair     pair    = {.prompt = "a red kite", .completion = "red kite", .later = later,
                                 .n_later = 2};
    const char *const texts[] = {"a red kite\n", "red kite", "rain on a tin roof\n", "grey seals", "a boat\n",
                                 "old mill"};
    for (int everything = 0; everything < 2; everything++) {
        tiny *t = tiny_job("sft", 1);
        t->job.pairs = t->job.held_pairs = &pair;
        t->job.n_pairs = t->job.n_held_pairs = 1;
        ok(tiny_learner(t, everything ? "batch=2 prompt_loss=true" : "batch=2"));
        int32_t ids[TINY_CONTEXT];
        bool    said[TINY_CONTEXT];
        int64_t n = 0;
        double  sums[2] = {0}, counts[2] = {0}; // of what was said, of everything
        for (int k = 0; k < 6; k++) {
            // The text and its newline apart, as the template has it.
            char     text[64];
            int32_t *part;
            int64_t  size;
            snprintf(text, sizeof text, "%.*s", (int)strcspn(texts[k], "\n"), texts[k]);
            for (int j = 0; j < 2; j++) {
                if (j == 1 && k % 2 == 1) {
                    said[n]  = true;
                    ids[n++] = TINY_STOP;
                    continue;
                }
                ok(mg_tokenizer_encode(tiny_words, j ? "\n" : text, j ? 1 : strlen(text), false, &t->step,
                                       &part, &size));
                for (int64_t i = 0; i < size; i++) said[n] = k % 2 == 1, ids[n++] = part[i];
            }
        }
        const mg_prompt  first = {ids, 1};
        const mg_answer  rest  = {0, ids + 1, n - 1};
        const mg_answers a     = {&first, 1, &rest, 1};
        float            logp[TINY_CONTEXT];
        ok(mg_answers_read_logp(tiny_part(t, 0).model, NULL, &a, 1, 1, &t->step, logp));
        for (int64_t k = 1; k < n; k++)
            for (int all = !said[k]; all < 2; all++) sums[all] += (double)logp[k - 1], counts[all]++;
        ok(t->algo->evaluate(t->learner, &t->metrics));
        near(metric(&t->metrics, "held_out_loss"), -sums[0] / counts[0], 1e-5);
        ok(t->algo->update(t->learner, 0, NULL, 0, &t->metrics)); // the row twice
        near(metric(&t->metrics, "loss"), -sums[everything] / counts[everything], 1e-5);
        assert_true(metric(&t->metrics, "tokens") == 2 * counts[everything]);
        tiny_stop(t);
    }
}

static void a_tiny_set_is_learnt_by_heart(void **state) {
    (void)state;
    tiny *t = tiny_job("sft", 1);
    t->job.response_max = 32;
    ok(tiny_learner(t, "epochs=150 batch=12 lr=0.02 warmup=5 decay=0"));
    const int64_t updates = t->algo->updates(t->learner);
    double        first   = 0;
    assert_int_equal(updates, 150);
    for (int64_t u = 0; u < updates; u++) {
        ok(tiny_update(t, u));
        if (u == 0) first = metric(&t->metrics, "loss");
    }
    assert_true(first > 3);
    assert_true(metric(&t->metrics, "loss") < 0.05);
    mg_arena_reset(&t->step, 0);
    for (int64_t i = 0; i < TINY_PAIRS; i++) {
        const mg_answers  a    = encoded(t, i);
        const mg_sampling how  = {.top_p = 1, .new_max = 32, .stop = TINY_STOP};
        mg_sample         said = {0};
        ok(mg_generate(tiny_part(t, 0).model, NULL, a.prompts, 1, &said, 1, &how,
                       mg_rng_stream(1, MG_PURPOSE_TEST, 0), &t->step, &t->step));
        assert_int_equal(said.n, a.answers[0].n);
        assert_memory_equal(said.tokens, a.answers[0].tokens, sizeof(int32_t) * (size_t)said.n);
    }
    tiny_stop(t);
}

static void a_model_from_nothing_depends_on_the_seed_alone(void **state) {
    (void)state;
    const mg_model_config fresh = tiny_config(tiny_words, false);
    tiny                 *t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = tiny_job("sft", 1);
        t[i]->job.model_folder = "";
        t[i]->job.fresh        = &fresh;
        t[i]->job.seed         = i < 2 ? 8 : 9;
        ok(tiny_learner(t[i], ""));
    }
    assert_true(tiny_same(t[0], t[1]));
    assert_false(tiny_same(t[0], t[2]));
    for (int i = 0; i < 3; i++) tiny_stop(t[i]);
}

static void a_nan_ends_the_update_before_it_moves_anything(void **state) {
    (void)state;
    tiny *t = tiny_start("sft", 1, "", "");
    mg_f32(tiny_part(t, 0).model->final_norm)[0] = NAN;
    mg_model_touch(tiny_part(t, 0).model);
    assert_int_equal(tiny_update(t, 0), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "loss"));
    assert_int_equal(tiny_part(t, 0).optimiser->steps, 0);
    tiny_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_is_the_mean_over_tokens),
        cmocka_unit_test(all_answers_of_a_conversation_are_learnt),
        cmocka_unit_test(a_tiny_set_is_learnt_by_heart),
        cmocka_unit_test(a_model_from_nothing_depends_on_the_seed_alone),
        cmocka_unit_test(a_nan_ends_the_update_before_it_moves_anything),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
