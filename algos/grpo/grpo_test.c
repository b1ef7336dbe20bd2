// Goal:   advantages are the group's standard scores, and an update's loss is eq. 3 of
//         arXiv:2402.03300, answer by answer or over all tokens.
// Method: groups by hand; eq. 3 once more with plain sums over the answers of a played update.
#include "algos/grpo/grpo.h"

#include "algos/tiny_job.h"

static void advantages_match_hand_computation(void **state) {
    (void)state;
    const int32_t group[]  = {0, 0, 0, 0, 3, 3, 7, 5, 5};
    const double  reward[] = {1, 2, 3, 6, 4, 4, 9, -1, 1}; // means 3, 4, 9, 0
    const double  wide     = sqrt(14.0 / 4) + 1e-4;        // biased deviation of 1, 2, 3, 6
    const double  scaled[] = {-2 / wide, -1 / wide, 0, 3 / wide, 0, 0, 0, -1 / 1.0001, 1 / 1.0001};
    const double  plain[]  = {-2, -1, 0, 3, 0, 0, 0, -1, 1};
    double        A[9];
    mg_grpo_advantages(9, group, reward, true, A);
    for (int i = 0; i < 9; i++) near(A[i], scaled[i], 1e-15);
    mg_grpo_advantages(9, group, reward, false, A);
    for (int i = 0; i < 9; i++) near(A[i], plain[i], 1e-15);
}

// log pi of every answer token, one answer at a time.
static double *read_logp(tiny *t, mg_model *m, const mg_episode *e) {
    const int64_t    p      = e->turns[0].action_begin, n = e->n_tokens - p;
    const mg_prompt  prompt = {e->tokens, p};
    const mg_answer  answer = {0, e->tokens + p, n};
    const mg_answers one    = {&prompt, 1, &answer, 1};
    float           *x      = MG_NEW(&t->step, float, n);
    double          *out    = MG_NEW(&t->step, double, n);
    ok(mg_answers_read_logp(m, NULL, &one, 0.8, 1, &t->step, x));
    for (int64_t k = 0; k < n; k++) out[k] = (double)x[k];
    return out;
}

// Groups of three, of which the first has lost an answer and the second all but one; several portions.
static void an_update_is_equation_three(void **state) {
    (void)state;
    for (int by_answer = 0; by_answer < 2; by_answer++) {
        tiny *t =
            tiny_start("grpo", 1, "",
                       by_answer ? "prompts=120 group=3 updates=9 lr=0.01 temperature=0.8 kl_coef=0.5"
                                 : "prompts=120 group=3 updates=9 lr=0.01 temperature=0.8 "
                                   "kl_coef=0.5 length_norm=batch divide_by_std=false");
        mg_model   *start = NULL, *policy = tiny_part(t, 0).model;
        mg_episode *e;
        int64_t     n;
        ok(mg_model_load(&start, tiny_policy, false));
        ok(tiny_update(t, 0)); // away from the reference
        ok(tiny_play(t, 1, &e, &n));
        assert_int_equal(n, 360);
        memmove(e + 3, e + 5, sizeof *e * 355); // without 3 and 4
        memmove(e + 1, e + 2, sizeof *e * 356); // and without 1
        n = 357;
        for (int i = 0; i < n; i++) // ratios on either side of the clip
            for (int64_t k = e[i].turns[0].action_begin; k < e[i].n_tokens; k++)
                e[i].logp[k] += 0.3f * (float)(k % 3 - 1);

        double  clip = 0, kl = 0, weights = 0;
        int64_t tokens = 0; // read, of a prompt once
        for (int i = 0; i < n; i++) {
            const int size = i < 2 ? 2 : i == 2 ? 1 : 3, first = i < 2 ? 0 : i == 2 ? 2 : i / 3 * 3;
            double mean = 0, var = 0, r, A, own_clip = 0, own_kl = 0;
            const int64_t p = e[i].turns[0].action_begin, count = e[i].n_tokens - p;
            for (int j = first; j < first + size; j++) mean += e[j].turns[0].reward.value / size;
            for (int j = first; j < first + size; j++)
                var += pow(e[j].turns[0].reward.value - mean, 2) / size;
            r = e[i].turns[0].reward.value;
            A = (r - mean) / (by_answer ? sqrt(var) + 1e-4 : 1);
            const double *now = read_logp(t, policy, &e[i]), *ref = read_logp(t, start, &e[i]);
            for (int64_t k = 0; k < count; k++) {
                const double rho = exp(now[k] - (double)e[i].logp[p + k]), d = ref[k] - now[k];
                own_clip -= fmin(rho * A, fmax(0.8, fmin(1.2, rho)) * A);
                own_kl += exp(d) - d - 1;
            }
            clip += by_answer ? own_clip / (double)count : own_clip;
            kl += by_answer ? own_kl / (double)count : own_kl;
            weights += by_answer ? 1 : (double)count;
            tokens += count + (i == first ? p : 0);
        }
        assert_true(tokens > 2 * MG_PORTION_TOKENS); // several portions
        t->metrics = (mg_metrics){0};
        ok(t->algo->update(t->learner, 1, e, n, &t->metrics));
        near(metric(&t->metrics, "policy_loss"), clip / weights, 1e-5);
        near(metric(&t->metrics, "kl_loss"), 0.5 * kl / weights, 1e-5);
        assert_true(kl / weights > 1e-4); // it has moved
        assert_in_range((int)(100 * metric(&t->metrics, "clip_ratio")), 10, 60);
        mg_model_free(start);
        tiny_stop(t);
    }
}

static void a_group_answers_one_prompt(void **state) {
    (void)state;
    tiny       *t = tiny_start("grpo", 1, "", "prompts=3 group=4");
    mg_start   *s;
    int64_t     n;
    mg_sampling how;
    ok(t->algo->plan(t->learner, 0, &s, &n, &how));
    assert_int_equal(n, 12);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(s[i].group, i / 4);
        assert_int_equal(s[i].item, s[i / 4 * 4].item);
        assert_int_equal(s[i].episode, i);
    }
    assert_true(s[0].item != s[4].item && s[4].item != s[8].item);
    tiny_stop(t);
}

static void an_answer_without_its_stop_gets_missing_eos(void **state) {
    (void)state;
    tiny       *t = tiny_start("grpo", 1, tiny_reward, "prompts=6 group=6 missing_eos=-7.5");
    mg_episode *e;
    int64_t     n, missing = 0;
    ok(tiny_play(t, 0, &e, &n));
    ok(t->algo->update(t->learner, 0, e, n, &t->metrics));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(e[i].learned.value == -7.5, !e[i].stopped);
        missing += !e[i].stopped;
    }
    assert_in_range(missing, 1, n - 1);
    assert_true(metric(&t->metrics, "first_ratio_error") < 1e-5);
    near(metric(&t->metrics, "stopped"), (double)(n - missing) / (double)n, 1e-12);
    tiny_stop(t);
}

static void settings_that_cannot_work_are_refused(void **state) {
    (void)state;
    tiny *t = tiny_job("grpo", 1);
    t->job.n_pairs = t->job.n_items = 0; // a world whose seed decides has no two equal tasks
    assert_int_equal(tiny_learner(t, ""), MG_CONFIG);
    assert_null(t->learner);
    tiny_stop(t);
}

static void an_update_in_which_the_policy_said_nothing_is_refused(void **state) {
    (void)state;
    tiny       *t = tiny_start("grpo", 1, "", "prompts=3 group=2"), *twin =
               tiny_start("grpo", 1, "", "prompts=3 group=2");
    mg_episode *e;
    int64_t     n;
    ok(tiny_play(t, 0, &e, &n));
    for (int64_t i = 0; i < n; i++) memset(e[i].role, MG_ROLE_FORCED, (size_t)e[i].n_tokens);
    assert_int_equal(t->algo->update(t->learner, 0, e, n, &t->metrics), MG_EMPTY);
    assert_true(tiny_same(t, twin));
    tiny_stop(t), tiny_stop(twin);
}

static void a_nan_ends_the_update_before_it_moves_anything(void **state) {
    (void)state;
    tiny       *t = tiny_start("grpo", 1, "", "prompts=2 group=3"), *twin =
               tiny_start("grpo", 1, "", "prompts=2 group=3");
    mg_episode *e;
    int64_t     n;
    ok(tiny_play(t, 0, &e, &n));
    e[0].logp[e[0].n_tokens - 1] = NAN;
    assert_int_equal(t->algo->update(t->learner, 0, e, n, &t->metrics), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "loss"));
    assert_true(tiny_same(t, twin));
    tiny_stop(t), tiny_stop(twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advantages_match_hand_computation),
        cmocka_unit_test(an_update_is_equation_three),
        cmocka_unit_test(a_group_answers_one_prompt),
        cmocka_unit_test(an_answer_without_its_stop_gets_missing_eos),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
        cmocka_unit_test(an_update_in_which_the_policy_said_nothing_is_refused),
        cmocka_unit_test(a_nan_ends_the_update_before_it_moves_anything),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
