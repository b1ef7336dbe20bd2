// generate_test.c - sampled answers against whole forward passes of the oracle (model_oracle.h),
// exact distributions, and training's recomputation.
#include "nets/generate.h"

#include "nets/answers.h"
#include "nets/model_oracle.h"

enum { VOCAB = 37, CONTEXT = 64, NEW_MAX = 12 };

static const mg_sampling PLAIN  = {.temperature = 1, .top_p = 1, .new_max = NEW_MAX, .stop = -1};
static const mg_sampling GREEDY = {.top_p = 1, .new_max = NEW_MAX, .stop = -1};

static const int32_t   ONE[] = {3, 1, 4, 1, 5, 9, 2, 6}, TWO[] = {27}, THREE[] = {31, 4, 15};
static const mg_prompt PROMPTS[] = {{ONE, 8}, {TWO, 1}, {THREE, 3}};
enum { N_PROMPTS = 3 };

static const int32_t FORCED[] = {7, 7, 30, 12, 36};

static mg_arena  arena, scratch;
static mg_model *model;

// In double, and false for NaN.
static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

// The same bits where a product's rows have them in any batch (AVX-512).
static void assert_same(float found, float wanted) {
#ifdef __AVX512F__
    assert_memory_equal(&found, &wanted, sizeof found);
#else
    assert_near((double)found, (double)wanted, 1e-5);
#endif
}

static void assert_same_answer(const mg_sample *found, const mg_sample *wanted) {
    assert_int_equal(found->n, wanted->n);
    assert_int_equal(found->stopped, wanted->stopped);
    for (int64_t k = 0; k < wanted->n; k++) {
        assert_int_equal(found->tokens[k], wanted->tokens[k]);
        assert_same(found->logp[k], wanted->logp[k]);
    }
}

static uint64_t update = 3; // of which the draws are

static mg_rng draws(void) { return mg_rng_stream(17, MG_PURPOSE_SAMPLE, update); }

static void generate(mg_sample *samples, int64_t n, mg_sampling how) {
    if (mg_generate(model, NULL, PROMPTS, N_PROMPTS, samples, n, &how, draws(), &arena, &scratch))
        fail_msg("%s", mg_err_detail());
    assert_int_equal(mg_arena_mark(&scratch), 0);
}

// Six samples: two of one prompt, two with forced tokens, in an order that mixes the prompts.
enum { N_SAMPLES = 6 };

static mg_sample *mixed_samples(void) {
    mg_sample *s = MG_NEW(&arena, mg_sample, N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++)
        s[i] = (mg_sample){.prompt = i % 3, .episode = (uint32_t)(100 + i % 3),
                           .attempt = (uint32_t)(i / 3)};
    s[1].forced = FORCED, s[1].n_forced = 5;
    s[3].forced = FORCED + 2, s[3].n_forced = 1;
    return s;
}

// ---- What the oracle says

// log softmax(z / temperature) of the token that follows the prompt and k tokens of the answer.
static void exact_logp(const mg_sample *s, int64_t k, double temperature, double logp[VOCAB]) {
    static double H[LONGEST][WIDEST], Z[LONGEST][WIDEST];
    const mg_prompt *p = &PROMPTS[s->prompt];
    int32_t          tokens[CONTEXT];
    const oracle     truth = oracle_of(model, &arena);
    double           sum   = 0;
    memcpy(tokens, p->tokens, sizeof *tokens * (size_t)p->n);
    memcpy(tokens + p->n, s->tokens, sizeof *tokens * (size_t)k);
    oracle_run(&truth, tokens, p->n + k, H, Z);
    for (int i = 0; i < VOCAB; i++) sum += exp(Z[p->n + k - 1][i] / temperature);
    for (int i = 0; i < VOCAB; i++) logp[i] = Z[p->n + k - 1][i] / temperature - log(sum);
}

// What is left of a distribution after top-k and top-p: each token's rank says how much lies before
// it. Zero: cut off.
static void exact_cut(const mg_sampling *how, double p[VOCAB]) {
    int    rank[VOCAB] = {0};
    double before[VOCAB] = {0}, top = 0, total = 0;
    for (int i = 0; i < VOCAB; i++)
        for (int j = 0; j < VOCAB; j++) rank[i] += p[j] > p[i] || (p[j] == p[i] && j < i);
    for (int i = 0; i < VOCAB; i++) {
        if (how->top_k > 0 && rank[i] >= how->top_k) continue;
        top += p[i];
        for (int j = 0; j < VOCAB; j++) before[i] += rank[j] < rank[i] ? p[j] : 0;
    }
    for (int i = 0; i < VOCAB; i++) {
        if ((how->top_k > 0 && rank[i] >= how->top_k) || before[i] >= how->top_p * top) p[i] = 0;
        total += p[i];
    }
    for (int i = 0; i < VOCAB; i++) p[i] /= total;
}

// ---- Tests

static void greedy_answers_are_the_likeliest_tokens_of_whole_passes(void **state) {
    (void)state;
    mg_sample *s = mixed_samples();
    generate(s, N_SAMPLES, GREEDY);
    for (int i = 0; i < N_SAMPLES; i++) {
        assert_int_equal(s[i].n, NEW_MAX);
        assert_false(s[i].stopped);
        for (int64_t k = 0; k < NEW_MAX; k++) {
            double logp[VOCAB];
            int    best = 0;
            exact_logp(&s[i], k, 1, logp);
            for (int j = 1; j < VOCAB; j++) best = logp[j] > logp[best] ? j : best;
            assert_int_equal(s[i].tokens[k], k < s[i].n_forced ? s[i].forced[k] : best);
            assert_near((double)s[i].logp[k], logp[s[i].tokens[k]], 1e-4);
        }
    }
}

// The draw as the header has it: counter (episode, attempt, index), tokens in order of id.
static void check_draws(void) {
    mg_sample  *s   = mixed_samples();
    mg_sampling how = PLAIN;
    how.temperature = 0.8;
    generate(s, N_SAMPLES, how);
    for (int i = 0; i < N_SAMPLES; i++)
        for (int64_t k = 0; k < NEW_MAX; k++) {
            double logp[VOCAB], sum = 0;
            int    token = 0;
            mg_rng rng   = draws();
            exact_logp(&s[i], k, 0.8, logp);
            mg_rng_seek(&rng, s[i].episode, s[i].attempt, (uint32_t)k);
            const double u = mg_rng_uniform(&rng);
            while ((sum += exp(logp[token])) <= u) token++;
            assert_int_equal(s[i].tokens[k], k < s[i].n_forced ? s[i].forced[k] : token);
            assert_near((double)s[i].logp[k], logp[s[i].tokens[k]], 1e-4);
        }
}

static void sampled_tokens_are_the_draws_of_their_own_streams_and_counters(void **state) {
    (void)state;
    check_draws();
    update = 4;
    check_draws();
    update = 3;
}

// 4000 first tokens. The bound is 4.5 standard deviations above the mean of chi-square, both from
// its degrees of freedom; rare tokens are put together so that each cell expects five or more.
static void assert_distribution(mg_sampling how) {
    enum { N = 4000 };
    mg_sample *s = MG_NEW(&arena, mg_sample, N);
    double     p[VOCAB], count[VOCAB] = {0}, chi2 = 0, rare = 0, rare_count = 0;
    int        cells = 0;
    how.new_max      = 1;
    for (int i = 0; i < N; i++) s[i] = (mg_sample){.episode = 5, .attempt = (uint32_t)i};
    generate(s, N, how);
    exact_logp(&s[0], 0, how.temperature, p);
    for (int i = 0; i < N; i++) {
        assert_near((double)s[i].logp[0], p[s[i].tokens[0]], 1e-4); // before top-k and top-p
        count[s[i].tokens[0]]++;
    }
    for (int i = 0; i < VOCAB; i++) p[i] = exp(p[i]);
    exact_cut(&how, p);
    for (int i = 0; i < VOCAB; i++) {
        if (p[i] == 0) {
            assert_true(count[i] == 0);
        } else if (p[i] * N < 5) {
            rare += p[i], rare_count += count[i];
        } else {
            chi2 += pow(count[i] - p[i] * N, 2) / (p[i] * N);
            cells++;
        }
    }
    if (rare > 0) chi2 += pow(rare_count - rare * N, 2) / (rare * N), cells++;
    const double freedom = cells - 1;
    assert_true(freedom >= 1);
    if (!(chi2 <= freedom + 4.5 * sqrt(2 * freedom)))
        fail_msg("chi-square %g with %g degrees of freedom", chi2, freedom);
    mg_arena_reset(&arena, 0);
}

static void first_tokens_have_the_exact_distribution(void **state) {
    (void)state;
    const struct {
        double  temperature, top_p;
        int64_t top_k;
    } cases[] = {{1, 1, 0},     {0.5, 1, 0},   {1.7, 1, 0},     {1, 1, 5},        {1, 1, VOCAB},
                 {1, 1, 1000},  {0.9, 0.8, 0}, {1.5, 0.35, 0},  {1.3, 0.999, 0},  {1.6, 0.7, 9},
                 {1.6, 0.99, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_sampling how = PLAIN;
        how.temperature = cases[i].temperature;
        how.top_p = cases[i].top_p, how.top_k = cases[i].top_k;
        assert_distribution(how);
    }
}

// All logits 0: what is kept is known without any arithmetic of ours.
static void equally_likely_tokens_go_by_id(void **state) {
    (void)state;
    enum { N = 600 };
    const size_t size = sizeof(float) * (size_t)mg_tensor_count(model->head);
    float       *head = memcpy(mg_arena_alloc(&arena, size), model->head->data, size);
    const struct {
        mg_sampling how;
        int32_t     kept;
    } cases[] = {
        {{.temperature = 0, .top_p = 1}, 1},
        {{.temperature = 1, .top_p = 1, .top_k = 1}, 1},
        {{.temperature = 1, .top_p = 1e-9}, 1},
        {{.temperature = 1, .top_p = 1, .top_k = 4}, 4},
        {{.temperature = 1, .top_p = 1, .top_k = 30}, 30},
        {{.temperature = 1, .top_p = 18.5 / VOCAB}, 19}, // 18 have less than top_p, 19 reach it
        {{.temperature = 1, .top_p = 0.5, .top_k = 4}, 2},
        {{.temperature = 1, .top_p = 1}, VOCAB},
    };
    memset(model->head->data, 0, size);
    mg_model_touch(model);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        mg_sample  *s   = MG_NEW(&arena, mg_sample, N);
        mg_sampling how = cases[c].how;
        bool        seen[VOCAB] = {false};
        how.new_max = 1, how.stop = -1;
        for (int i = 0; i < N; i++) s[i].attempt = (uint32_t)i;
        generate(s, N, how);
        for (int i = 0; i < N; i++) {
            assert_near((double)s[i].logp[0], -log(VOCAB), 1e-6);
            seen[s[i].tokens[0]] = true;
        }
        for (int32_t k = 0; k < VOCAB; k++) assert_int_equal(seen[k], k < cases[c].kept);
    }
    memcpy(model->head->data, head, size);
    mg_model_touch(model);
}

static void an_answer_ends_with_the_stop_token_and_its_neighbours_go_on(void **state) {
    (void)state;
    mg_sample *whole = mixed_samples(), *cut = mixed_samples();
    int        ended = 0;
    generate(whole, N_SAMPLES, PLAIN);
    mg_sampling how = PLAIN;
    how.stop        = whole[2].tokens[3];
    generate(cut, N_SAMPLES, how);
    assert_in_range(cut[2].n, 1, 4);
    for (int i = 0; i < N_SAMPLES; i++) {
        const int64_t n        = whole[i].n_forced; // a forced token counts where it is the last
        mg_sample     expected = whole[i];
        expected.stopped       = n > 0 && whole[i].tokens[n - 1] == how.stop;
        for (expected.n = n; expected.n < NEW_MAX && !expected.stopped; expected.n++)
            expected.stopped = whole[i].tokens[expected.n] == how.stop;
        ended += expected.stopped;
        assert_same_answer(&cut[i], &expected);
    }
    assert_in_range(ended, 1, N_SAMPLES - 1);
}

static void a_forced_stop_ends_an_answer_only_at_the_end_of_the_prefix(void **state) {
    (void)state;
    mg_sampling how = GREEDY;
    mg_sample   s[3] = {{.forced = FORCED, .n_forced = 5},
                        {.forced = FORCED, .n_forced = 4},
                        {.forced = FORCED, .n_forced = 3}};
    how.new_max = 4, how.stop = 12; // FORCED[3]
    assert_int_equal(mg_generate(model, NULL, PROMPTS, N_PROMPTS, s, 3, &how, draws(), &arena,
                                 &scratch), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "sample 0: 5 forced tokens in an answer of up to 4"));
    how.new_max = 6;
    generate(s, 3, how);
    assert_int_equal(s[0].n, 6); // the stop is inside
    assert_int_equal(s[1].n, 4);
    assert_true(s[1].stopped);
    assert_in_range(s[2].n, 4, 6);

    how.new_max = 5;
    generate(s, 1, how); // nothing left to say
    assert_int_equal(s[0].n, 5);
    assert_false(s[0].stopped);
    assert_memory_equal(s[0].tokens, FORCED, sizeof FORCED);
    for (int64_t k = 0; k < 5; k++) {
        double logp[VOCAB];
        exact_logp(&s[0], k, 1, logp);
        assert_near((double)s[0].logp[k], logp[FORCED[k]], 1e-4);
    }
}

static void a_sample_is_the_same_alone_and_in_any_company(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        mg_sampling how = PLAIN;
        how.stop        = round == 0 ? -1 : 1; // with it, some leave early
        if (round == 1) how.top_k = 20, how.top_p = 0.9;
        mg_sample *together = mixed_samples(), *reversed = mixed_samples();
        generate(together, N_SAMPLES, how);
        for (int i = 0; i < N_SAMPLES; i++) {
            mg_sample alone = mixed_samples()[i];
            generate(&alone, 1, how);
            assert_same_answer(&together[i], &alone);
        }
        for (int i = 0; i < N_SAMPLES / 2; i++) {
            const mg_sample keep        = reversed[i];
            reversed[i]                 = reversed[N_SAMPLES - 1 - i];
            reversed[N_SAMPLES - 1 - i] = keep;
        }
        generate(reversed, N_SAMPLES, how);
        for (int i = 0; i < N_SAMPLES; i++)
            assert_same_answer(&reversed[N_SAMPLES - 1 - i], &together[i]);
    }
}

static void any_number_of_threads_gives_the_same_answers(void **state) {
    (void)state;
    mg_sampling how = PLAIN;
    how.top_p       = 0.95;
    mg_sample *one  = mixed_samples();
    generate(one, N_SAMPLES, how);
    for (int threads = 2; threads <= 3; threads++) {
        mg_team   *team;
        mg_sample *many = mixed_samples();
        assert_int_equal(mg_team_open(&team, threads), MG_OK);
        assert_int_equal(mg_generate(model, team, PROMPTS, N_PROMPTS, many, N_SAMPLES, &how,
                                     draws(), &arena, &scratch), MG_OK);
        for (int i = 0; i < N_SAMPLES; i++) assert_same_answer(&many[i], &one[i]);
        mg_team_close(team);
    }
}

// A wide vocabulary and many threads: to choose in all of them takes more than what the seats of eight
// streams leave, and seven are read in one pass of all.
static void what_seats_took_is_there_when_few_streams_are_left(void **state) {
    (void)state;
    enum { STREAMS = 8, THREADS = 16, WIDE = 30000 };
    const mg_model_config c = {
        .family = MG_FAMILY_LLAMA, .vocab = WIDE, .d_model = 8, .d_ff = 8, .n_layers = 1,
        .n_heads = 1, .n_kv_heads = 1, .head_width = 8, .context_max = CONTEXT,
        .rope_theta = 10000, .norm_eps = 1e-6, .init_std = 0.3};
    mg_sample   seated[STREAMS] = {{0}}, one[STREAMS];
    mg_sampling how = PLAIN;
    mg_team    *team;
    mg_model   *wide;
    mg_arena    narrow;
    how.new_max = 4;
    for (uint32_t i = 0; i < STREAMS; i++) seated[i].attempt = i;
    seated[3].forced = FORCED, seated[3].n_forced = 2; // the first to be done
    memcpy(one, seated, sizeof one);
    assert_int_equal(mg_team_open(&team, THREADS), MG_OK);
    assert_int_equal(mg_arena_init(&narrow, "narrow", 144 << 20), MG_OK);
    assert_int_equal(mg_model_new(&wide, &c, true), MG_OK);
    mg_model_init(wide, 4);
    assert_int_equal(mg_generate(wide, team, PROMPTS, N_PROMPTS, seated, STREAMS, &how, draws(),
                                 &arena, &narrow), MG_OK);
    assert_int_equal(mg_arena_mark(&narrow), 0);
    assert_int_equal(mg_generate(wide, NULL, PROMPTS, N_PROMPTS, one, STREAMS, &how, draws(),
                                 &arena, &scratch), MG_OK);
    for (int i = 0; i < STREAMS; i++) assert_same_answer(&seated[i], &one[i]);
    mg_model_free(wide);
    mg_arena_release(&narrow);
    mg_team_close(team);
}

static void training_computes_the_log_probabilities_again(void **state) {
    (void)state;
    const double temperatures[] = {1, 0.7, 0};
    for (int round = 0; round < 3; round++) {
        mg_sampling how      = PLAIN;
        how.temperature      = temperatures[round];
        mg_sample *s         = mixed_samples();
        mg_answer  answers[N_SAMPLES];
        generate(s, N_SAMPLES, how);
        for (int i = 0; i < N_SAMPLES; i++)
            answers[i] = (mg_answer){s[i].prompt, s[i].tokens, s[i].n};
        const mg_answers all  = {PROMPTS, N_PROMPTS, answers, N_SAMPLES};
        mg_tape          tape = mg_tape_make(&arena, NULL, true);
        mg_tensor       *logp;
        assert_int_equal(mg_answers_logp(&tape, model, &all, temperatures[round] > 0 ?
                                         temperatures[round] : 1, &logp, NULL), MG_OK);
        for (int i = 0, at = 0; i < N_SAMPLES; i++)
            for (int64_t k = 0; k < s[i].n; k++) assert_same(s[i].logp[k], mg_f32(logp)[at++]);
    }
}

static void prompts_and_answers_must_fit_into_the_context(void **state) {
    (void)state;
    int32_t         *tokens    = MG_NEW(&arena, int32_t, CONTEXT + 1);
    const mg_prompt  prompts[] = {{tokens, CONTEXT + 1}, {tokens, CONTEXT - NEW_MAX},
                                  {tokens, CONTEXT - NEW_MAX + 1}};
    for (int32_t p = 1; p <= 2; p++) { // nobody asks about prompt 0, which does not fit at all
        mg_sample s = {.prompt = p};
        assert_int_equal(mg_generate(model, NULL, prompts, 3, &s, 1, &GREEDY, draws(), &arena,
                                     &scratch), p == 1 ? MG_OK : MG_LIMIT);
    }
    assert_non_null(strstr(mg_err_detail(), "prompt 2: 53 tokens and an answer of up to 12"));
    assert_int_equal(mg_generate(model, NULL, prompts, 3, NULL, 0, &GREEDY, draws(), &arena,
                                 &scratch), MG_OK);
}

static void a_temperature_too_low_to_divide_by_is_refused(void **state) {
    (void)state;
    const double bad[] = {1e-4, -1, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_sampling how = PLAIN;
        mg_sample   s   = {.prompt = 0};
        how.temperature = bad[i];
        assert_int_equal(mg_generate(model, NULL, PROMPTS, N_PROMPTS, &s, 1, &how, draws(), &arena,
                                     &scratch), MG_CONFIG);
        assert_non_null(strstr(mg_err_detail(), "temperature: found "));
    }
}

static void logits_that_are_no_numbers_are_refused(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < 2; i++) {
        float     *weight = mg_f32(model->final_norm);
        const float keep  = weight[4];
        mg_sample  s      = {.episode = 8, .attempt = 2, .forced = FORCED, .n_forced = i == 0};
        weight[4]         = bad[i];
        assert_int_equal(mg_generate(model, NULL, PROMPTS, N_PROMPTS, &s, 1, &PLAIN, draws(),
                                     &arena, &scratch), MG_NUMERIC);
        assert_non_null(strstr(mg_err_detail(), "episode 8, attempt 2, token 0"));
        assert_int_equal(mg_arena_mark(&scratch), 0);
        weight[4] = keep;
    }
}

static int make_model(void **state) {
    (void)state;
    const mg_model_config c = {
        .family = MG_FAMILY_QWEN2, .vocab = VOCAB, .d_model = 24, .d_ff = 40, .n_layers = 2,
        .n_heads = 4, .n_kv_heads = 2, .head_width = 8, .context_max = CONTEXT,
        .rope_theta = 10000, .norm_eps = 1e-6, .init_std = 0.3, .qkv_bias = true};
    if (mg_arena_init(&arena, "answers", (size_t)1 << 30)) return 1;
    if (mg_arena_init(&scratch, "scratch", (size_t)1 << 30)) return 1;
    if (mg_model_new(&model, &c, true)) return 1;
    mg_model_init(model, 4);
    return 0;
}

static int make_bf16_model(void **state) {
    return make_model(state) || mg_model_compute(model, MG_COMPUTE_BF16);
}

static int end_model(void **state) {
    (void)state;
    mg_model_free(model);
    mg_arena_release(&arena);
    mg_arena_release(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_answers_are_the_likeliest_tokens_of_whole_passes),
        cmocka_unit_test(sampled_tokens_are_the_draws_of_their_own_streams_and_counters),
        cmocka_unit_test(first_tokens_have_the_exact_distribution),
        cmocka_unit_test(equally_likely_tokens_go_by_id),
        cmocka_unit_test(an_answer_ends_with_the_stop_token_and_its_neighbours_go_on),
        cmocka_unit_test(a_forced_stop_ends_an_answer_only_at_the_end_of_the_prefix),
        cmocka_unit_test(a_sample_is_the_same_alone_and_in_any_company),
        cmocka_unit_test(any_number_of_threads_gives_the_same_answers),
        cmocka_unit_test(what_seats_took_is_there_when_few_streams_are_left),
        cmocka_unit_test(training_computes_the_log_probabilities_again),
        cmocka_unit_test(prompts_and_answers_must_fit_into_the_context),
        cmocka_unit_test(a_temperature_too_low_to_divide_by_is_refused),
        cmocka_unit_test(logits_that_are_no_numbers_are_refused),
    };
    // What holds in bits must hold in bfloat16 too.
    const struct CMUnitTest bf16_tests[] = {
        cmocka_unit_test(a_sample_is_the_same_alone_and_in_any_company),
        cmocka_unit_test(any_number_of_threads_gives_the_same_answers),
        cmocka_unit_test(training_computes_the_log_probabilities_again),
    };
    const int failed = cmocka_run_group_tests(tests, make_model, end_model);
    if (!mg_linear_has_bf16()) return failed;
    return failed + cmocka_run_group_tests(bf16_tests, make_bf16_model, end_model);
}
