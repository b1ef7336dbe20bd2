// Goal:   numbers per answer token are those of the whole sequence read alone, each at its place:
//         log-probability and value before the token, score at it; portions follow from the answers.
// Method: the oracle (model_oracle.h), one sequence at a time and in double; the same answers
//         packed in other ways.
#include "nets/answers.h"

#include "nets/model_oracle.h"

enum { VOCAB = 37, CONTEXT = 24, N_PROMPTS = 4, N_ANSWERS = 6 };

static const int32_t ONE[] = {3, 1, 4, 1, 5, 9, 2, 6}, TWO[] = {27}, FOUR[] = {31, 4, 15};
static const int32_t A[] = {7, 30, 12}, B[] = {36}, C[] = {8, 8, 8, 0, 19, 2}, D[] = {7, 30};

// The third prompt has no answers and is never read: it could not be.
static const mg_prompt PROMPTS[N_PROMPTS] = {
    {ONE, 8}, {TWO, 1}, {NULL, (int64_t)1 << 40}, {FOUR, 3}};
static const mg_answer ANSWERS[N_ANSWERS] = {
    {3, A, 3}, {0, B, 1}, {0, C, 6}, {1, C, 6}, {0, D, 2}, {3, B, 1}};
static const mg_answers ALL   = {PROMPTS, N_PROMPTS, ANSWERS, N_ANSWERS};
static const int64_t    COUNT = 3 + 1 + 6 + 6 + 2 + 1;

static mg_arena  arena;
static mg_model *language, *scalar;

static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

static void assert_same(const float *found, const float *wanted, int64_t n) {
#ifdef __AVX512F__
    assert_memory_equal(found, wanted, sizeof *found * (size_t)n);
#else
    for (int64_t i = 0; i < n; i++) assert_near((double)found[i], (double)wanted[i], 1e-5);
#endif
}

static mg_model *made(bool scalar_head) {
    mg_model             *m = NULL;
    const mg_model_config c = {
        .family = MG_FAMILY_LLAMA, .vocab = VOCAB, .d_model = 20, .d_ff = 28, .n_layers = 2,
        .n_heads = 4, .n_kv_heads = 2, .head_width = 8, .context_max = CONTEXT,
        .rope_theta = 10000, .norm_eps = 1e-5, .init_std = 0.25, .scalar_head = scalar_head,
        .bos = -1, .eos = -1, .pad = -1};
    if (mg_model_new(&m, &c, true)) fail_msg("%s", mg_err_detail());
    mg_model_init(m, 3);
    return m;
}

static int enter(void **state) {
    (void)state;
    language = made(false), scalar = made(true);
    return mg_arena_init(&arena, "test", (size_t)1 << 30) ? -1 : 0;
}

static int leave(void **state) {
    (void)state;
    mg_model_free(language), mg_model_free(scalar);
    mg_arena_release(&arena);
    return 0;
}

// What the oracle's head says at every position of prompt and answer; returns the prompt's length.
static int64_t read_whole(mg_model *m, const mg_answer *a, double (*Z)[WIDEST]) {
    static double    H[LONGEST][WIDEST];
    int32_t          tokens[LONGEST];
    const mg_prompt *p = &PROMPTS[a->prompt];
    const oracle     o = oracle_of(m, &arena);
    memcpy(tokens, p->tokens, sizeof *tokens * (size_t)p->n);
    memcpy(tokens + p->n, a->tokens, sizeof *tokens * (size_t)a->n);
    oracle_run(&o, tokens, p->n + a->n, H, Z);
    return p->n;
}

static void log_probabilities_and_entropy_are_the_oracles(void **state) {
    (void)state;
    const double temperature = 0.7;
    double       Z[LONGEST][WIDEST];
    float       *H = MG_NEW(&arena, float, COUNT);
    mg_tape      t = mg_tape_make(&arena, NULL, false);
    mg_tensor   *logp;
    assert_int_equal(mg_answers_count(&ALL), COUNT);
    assert_int_equal(mg_answers_logp(&t, language, &ALL, temperature, &logp, H), MG_OK);
    assert_int_equal(logp->rows, COUNT);
    int64_t row = 0;
    for (int i = 0; i < N_ANSWERS; i++) {
        const int64_t before = read_whole(language, &ANSWERS[i], Z) - 1;
        for (int64_t k = 0; k < ANSWERS[i].n; k++, row++) {
            double sum = 0, entropy = 0;
            for (int v = 0; v < VOCAB; v++) sum += exp(Z[before + k][v] / temperature);
            for (int v = 0; v < VOCAB; v++) {
                const double p = exp(Z[before + k][v] / temperature) / sum;
                entropy -= p * log(p);
            }
            const double z = Z[before + k][ANSWERS[i].tokens[k]] / temperature;
            assert_near((double)mg_f32(logp)[row], z - log(sum), 1e-4);
            assert_near((double)H[row], entropy, 1e-4);
        }
    }
}

static void values_are_before_the_token_and_scores_at_it(void **state) {
    (void)state;
    double     Z[LONGEST][WIDEST];
    mg_tape    t = mg_tape_make(&arena, NULL, false);
    mg_tensor *values, *scores;
    assert_int_equal(mg_answers_values(&t, scalar, &ALL, &values), MG_OK);
    assert_int_equal(mg_answers_scores(&t, scalar, &ALL, &scores), MG_OK);
    int64_t row = 0;
    for (int i = 0; i < N_ANSWERS; i++) {
        const int64_t at = read_whole(scalar, &ANSWERS[i], Z);
        for (int64_t k = 0; k < ANSWERS[i].n; k++, row++) {
            assert_near((double)mg_f32(values)[row], Z[at + k - 1][0], 1e-4);
            assert_near((double)mg_f32(scores)[row], Z[at + k][0], 1e-4);
        }
    }
    assert_int_equal(row, COUNT);
}

static void packing_changes_no_number(void **state) {
    (void)state;
    float *logp = MG_NEW(&arena, float, COUNT), *values = MG_NEW(&arena, float, COUNT);
    float *again = MG_NEW(&arena, float, COUNT);
    assert_int_equal(mg_answers_read_logp(language, NULL, &ALL, 1, N_ANSWERS, &arena, logp), MG_OK);
    assert_int_equal(mg_answers_read_values(scalar, NULL, &ALL, N_ANSWERS, &arena, values), MG_OK);
    for (int64_t batch = 1; batch < N_ANSWERS; batch++) {
        assert_int_equal(mg_answers_read_logp(language, NULL, &ALL, 1, batch, &arena, again),
                         MG_OK);
        assert_same(again, logp, COUNT);
        assert_int_equal(mg_answers_read_values(scalar, NULL, &ALL, batch, &arena, again), MG_OK);
        assert_same(again, values, COUNT);
    }
    // Each answer with a prompt of its own.
    mg_prompt prompts[N_ANSWERS];
    mg_answer answers[N_ANSWERS];
    for (int i = 0; i < N_ANSWERS; i++) {
        prompts[i] = PROMPTS[ANSWERS[i].prompt];
        answers[i] = (mg_answer){i, ANSWERS[i].tokens, ANSWERS[i].n};
    }
    const mg_answers apart = {prompts, N_ANSWERS, answers, N_ANSWERS};
    assert_int_equal(mg_answers_read_logp(language, NULL, &apart, 1, 4, &arena, again), MG_OK);
    assert_same(again, logp, COUNT);
    // A view is those answers.
    const mg_answers middle = mg_answers_view(&ALL, 2, 4);
    assert_int_equal(mg_answers_count(&middle), 12);
    assert_int_equal(mg_answers_read_logp(language, NULL, &middle, 1, 9, &arena, again), MG_OK);
    assert_same(again, logp + 4, 12);
}

// d (sum of w_k logp_k) / d weights over answers [begin, end), added to the model's gradients.
static void add_gradient(int64_t begin, int64_t end, int64_t row) {
    const mg_answers part = mg_answers_view(&ALL, begin, end);
    mg_tape          t    = mg_tape_make(&arena, NULL, true);
    mg_tensor       *logp;
    assert_int_equal(mg_answers_logp(&t, language, &part, 1, &logp, NULL), MG_OK);
    for (int64_t k = 0; k < logp->rows; k++)
        mg_grad_f32(logp)[k] = (float)((row + k) % 5) - 1.5f;
    mg_tape_backward(&t);
}

static void a_shared_prompt_gathers_the_gradients_of_its_answers(void **state) {
    (void)state;
    const size_t size  = sizeof(float) * (size_t)language->n_weights;
    float       *whole = mg_arena_alloc(&arena, size);
    double       off = 0, norm = 0;
    mg_model_zero_grads(language);
    add_gradient(0, N_ANSWERS, 0);
    memcpy(whole, language->grads, size);
    mg_model_zero_grads(language);
    for (int64_t i = 0, row = 0; i < N_ANSWERS; row += ANSWERS[i].n, i++)
        add_gradient(i, i + 1, row);
    for (int64_t i = 0; i < language->n_weights; i++) {
        off += pow((double)(whole[i] - language->grads[i]), 2);
        norm += pow((double)whole[i], 2);
    }
    assert_true(norm > 1);
    assert_near(sqrt(off / norm), 0, 1e-5);
    mg_model_zero_grads(language);
}

// Prompts of 500, 100 and 900 tokens; the tokens themselves are not looked at.
static void portions_are_closed_by_tokens_and_late_within_a_prompt(void **state) {
    (void)state;
    const mg_prompt prompts[] = {{NULL, 500}, {NULL, 100}, {NULL, 900}};
    mg_answer       rows[40];
    mg_answers      a = {prompts, 3, rows, 0};
    // 500 + 523 = 1023 is not enough, 1024 is.
    rows[0] = (mg_answer){0, NULL, 523}, rows[1] = (mg_answer){1, NULL, 1};
    rows[2] = (mg_answer){2, NULL, 5000}, rows[3] = (mg_answer){0, NULL, 1};
    a.n_answers = 4;
    assert_int_equal(mg_answers_portion(&a, 0, 4, 1), 2);
    rows[0].n = 524;
    assert_int_equal(mg_answers_portion(&a, 0, 4, 1), 1);
    assert_int_equal(mg_answers_portion(&a, 1, 4, 1), 3); // 101 and 5,900
    assert_int_equal(mg_answers_portion(&a, 2, 4, 1), 3); // one that is longer than a portion
    assert_int_equal(mg_answers_portion(&a, 3, 4, 1), 4);
    assert_int_equal(mg_answers_portion(&a, 4, 4, 1), 4);
    assert_int_equal(mg_answers_portion(&a, 0, 4, 2), 2); // pairs stay together
    assert_int_equal(mg_answers_portion(&a, 1, 4, 2), 3);
    assert_int_equal(mg_answers_portion(&a, 0, 1, 2), 1);
    // A prompt of 100 with 40 answers of 100 is read for 20 of them: 100 + 1900 < 2048 <= 100 + 2000.
    for (int i = 0; i < 40; i++) rows[i] = (mg_answer){1, NULL, 100};
    assert_int_equal(mg_answers_portion(&a, 0, 40, 1), 20);
    // Where the prompt changes, 1,024 close it.
    for (int i = 0; i < 40; i++) rows[i].prompt = i < 12 ? 1 : 0;
    assert_int_equal(mg_answers_portion(&a, 0, 40, 1), 12);
    for (int i = 0; i < 40; i++) rows[i].prompt = i < 9 ? 1 : 0; // 1,000, then 500 + 100 n
    assert_int_equal(mg_answers_portion(&a, 0, 40, 1), 15);
    assert_int_equal(mg_answers_portion(&a, 0, 14, 1), 14);
}

static void what_does_not_fit_into_the_context_is_refused(void **state) {
    (void)state;
    int32_t          tokens[CONTEXT] = {0};
    mg_answer        a = {0, tokens, CONTEXT - 8};
    const mg_answers one = {PROMPTS, 1, &a, 1};
    mg_tape          t   = mg_tape_make(&arena, NULL, false);
    mg_tensor       *scores;
    assert_int_equal(mg_answers_scores(&t, scalar, &one, &scores), MG_OK);
    a.n++; // a value needs only what comes before the last token
    assert_int_equal(mg_answers_values(&t, scalar, &one, &scores), MG_OK);
    assert_int_equal(mg_answers_scores(&t, scalar, &one, &scores), MG_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_and_entropy_are_the_oracles),
        cmocka_unit_test(values_are_before_the_token_and_scores_at_it),
        cmocka_unit_test(packing_changes_no_number),
        cmocka_unit_test(a_shared_prompt_gathers_the_gradients_of_its_answers),
        cmocka_unit_test(portions_are_closed_by_tokens_and_late_within_a_prompt),
        cmocka_unit_test(what_does_not_fit_into_the_context_is_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
