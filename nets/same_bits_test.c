// Goal:   what the sampler says about its tokens has the very bits that training computes again, for
//         networks and batches of any shape, with any number of threads, however the answers are
//         packed; and a shared prompt gathers the gradient that prompts of their own would get.
// Method: random shapes (odd widths, shared key heads, biases, tied or not, vocabularies that fill no
//         register), random prompts, forced prefixes and ways to sample. On AVX-512 numbers are
//         compared byte for byte and nothing else will do; elsewhere within 1e-5. The test says which.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "nets/answers.h"

enum { NETWORKS = 16, PROMPTS_MAX = 9, SAMPLES_MAX = 70, PROMPT_MAX = 40, NEW_MAX = 20 };

static mg_arena arena;

static void ok(mg_err err) {
    if (err) fail_msg("%s", mg_err_detail());
}

static void assert_same(const float *found, const float *wanted, int64_t n, const char *where) {
#ifdef __AVX512F__
    if (memcmp(found, wanted, sizeof *found * (size_t)n)) {
        int64_t k = 0;
        while (memcmp(found + k, wanted + k, sizeof *found) == 0) k++;
        fail_msg("%s: number %lld is %a, wanted %a", where, (long long)k, (double)found[k],
                 (double)wanted[k]);
    }
#else
    for (int64_t k = 0; k < n; k++)
        if (!(fabsf(found[k] - wanted[k]) <= 1e-5f))
            fail_msg("%s: number %lld is %.9g, wanted %.9g", where, (long long)k, (double)found[k],
                     (double)wanted[k]);
#endif
}

// ---- Random cases

static int64_t from_to(mg_rng *r, int64_t low, int64_t high) {
    return low + (int64_t)mg_rng_below(r, (uint64_t)(high - low + 1));
}

static bool maybe(mg_rng *r) { return mg_rng_below(r, 2) == 1; }

static mg_model *random_model(mg_rng *r, uint64_t seed, bool bf16) {
    const int64_t         kv = from_to(r, 1, 3);
    const bool            qwen = maybe(r);
    const mg_model_config c = {
        .family = qwen ? MG_FAMILY_QWEN2 : MG_FAMILY_LLAMA, .vocab = from_to(r, 5, 700),
        .d_model = from_to(r, 5, 150),
        .d_ff = maybe(r) ? from_to(r, 5, 100) : from_to(r, 500, 1300), // one or more sums over k
        .n_layers = from_to(r, 1, 3), .n_kv_heads = kv, .n_heads = kv * from_to(r, 1, 3),
        .head_width = 2 * from_to(r, 1, 20), .context_max = PROMPT_MAX + NEW_MAX,
        .rope_theta = 10000, .norm_eps = 1e-6, .init_std = 0.15, .tied = maybe(r),
        .qkv_bias = qwen, .o_bias = maybe(r), .mlp_bias = maybe(r), .bos = -1, .eos = -1, .pad = -1};
    mg_model *m = NULL;
    ok(mg_model_new(&m, &c, true));
    mg_model_init(m, seed);
    for (int64_t p = 0; p < m->n_params; p++) {
        mg_tensor *W = &m->params[p].tensor;
        W->bf16      = bf16 && !m->params[p].vector;
        if (!m->params[p].vector) continue; // gains near 1, biases near 0
        for (int64_t i = 0; i < mg_tensor_count(W); i++)
            mg_f32(W)[i] += (float)(0.2 * mg_rng_normal(r));
    }
    mg_model_touch(m);
    return m;
}

typedef struct game {
    mg_prompt   prompts[PROMPTS_MAX];
    mg_sample   samples[SAMPLES_MAX];
    int64_t     n_prompts, n;
    mg_sampling how;
} game;

static int32_t *random_tokens(mg_rng *r, int64_t n, int64_t vocab) {
    int32_t *tokens = MG_NEW(&arena, int32_t, n);
    for (int64_t k = 0; k < n; k++) tokens[k] = (int32_t)mg_rng_below(r, (uint64_t)vocab);
    return tokens;
}

static game random_game(mg_rng *r, int64_t vocab) {
    const double temperatures[] = {0, 0.3, 1, 1.7};
    game         g = {.n_prompts = from_to(r, 1, PROMPTS_MAX)};
    g.n   = maybe(r) ? from_to(r, 1, 12) : from_to(r, 13, SAMPLES_MAX);
    g.how = (mg_sampling){.temperature = temperatures[mg_rng_below(r, 4)],
                          .top_k = maybe(r) ? 0 : from_to(r, 1, vocab), .top_p = maybe(r) ? 1 : 0.8,
                          .new_max = from_to(r, 1, NEW_MAX),
                          .stop = maybe(r) ? -1 : (int32_t)from_to(r, 0, vocab - 1)};
    for (int64_t p = 0; p < g.n_prompts; p++) {
        const int64_t n = from_to(r, 1, PROMPT_MAX);
        g.prompts[p]    = (mg_prompt){random_tokens(r, n, vocab), n};
    }
    for (int64_t i = 0; i < g.n; i++) {
        const int64_t forced = maybe(r) ? 0 : from_to(r, 0, g.how.new_max);
        g.samples[i] = (mg_sample){.prompt = (int32_t)from_to(r, 0, g.n_prompts - 1),
                                   .forced = random_tokens(r, forced, vocab), .n_forced = forced,
                                   .episode = (uint32_t)i, .attempt = (uint32_t)(i % 3)};
    }
    return g;
}

static void play(mg_model *m, game *g, int threads) {
    mg_team *team;
    ok(mg_team_open(&team, threads));
    ok(mg_generate(m, team, g->prompts, g->n_prompts, g->samples, g->n, &g->how,
                   mg_rng_stream(7, MG_PURPOSE_SAMPLE, 1), &arena, &arena));
    mg_team_close(team);
}

// ---- Comparisons

static void a_team_samples_the_same(mg_model *m, const game *g, int threads, const char *where) {
    game again = *g;
    play(m, &again, threads);
    for (int64_t i = 0; i < g->n; i++) {
        const mg_sample *a = &again.samples[i], *b = &g->samples[i];
        if (a->n != b->n || a->stopped != b->stopped ||
            memcmp(a->tokens, b->tokens, sizeof *a->tokens * (size_t)a->n))
            fail_msg("%s: %d threads: other tokens", where, threads);
        assert_same(a->logp, b->logp, b->n, where);
    }
}

// The samples from `first` on in steps of 1 or -1, as a pass that keeps what gradients need sees
// them; with their prompts shared or each with its own.
static void train_on(mg_model *m, const game *g, int64_t first, int64_t n, int step, bool shared,
                     const char *where) {
    const size_t mark    = mg_arena_mark(&arena);
    mg_prompt   *prompts = MG_NEW(&arena, mg_prompt, n);
    mg_answer   *answers = MG_NEW(&arena, mg_answer, n);
    for (int64_t i = 0; i < n; i++) {
        const mg_sample *s = &g->samples[first + step * i];
        prompts[i]         = g->prompts[s->prompt];
        answers[i]         = (mg_answer){shared ? s->prompt : (int32_t)i, s->tokens, s->n};
    }
    const mg_answers all  = {shared ? g->prompts : prompts, shared ? g->n_prompts : n, answers, n};
    mg_tape          tape = mg_tape_make(&arena, NULL, true);
    mg_tensor       *logp;
    ok(mg_answers_logp(&tape, m, &all, g->how.temperature > 0 ? g->how.temperature : 1, &logp,
                       NULL));
    const float *row = mg_f32(logp);
    for (int64_t i = 0; i < n; row += g->samples[first + step * i].n, i++)
        assert_same(row, g->samples[first + step * i].logp, g->samples[first + step * i].n, where);
    mg_arena_reset(&arena, mark);
}

static void training_gives_the_same(mg_model *m, const game *g, const char *where) {
    for (int shared = 0; shared < 2; shared++) {
        train_on(m, g, 0, g->n, 1, shared, where);
        train_on(m, g, g->n - 1, g->n, -1, shared, where);
        for (int64_t i = 0; i < g->n; i += 3)
            train_on(m, g, i, i + 3 < g->n ? 3 : g->n - i, 1, shared, where);
    }
    for (int64_t i = 0; i < g->n; i++) train_on(m, g, i, 1, 1, true, where);
}

static void compare_all(bool bf16) {
    for (uint64_t seed = 0; seed < NETWORKS; seed++) {
        mg_arena_reset(&arena, 0);
        mg_rng    r = mg_rng_stream(seed, MG_PURPOSE_TEST, bf16);
        mg_model *m = random_model(&r, seed, bf16);
        char      where[64];
        snprintf(where, sizeof where, "%s, network %d", bf16 ? "bf16" : "f32", (int)seed);
        for (int round = 0; round < 2; round++) {
            game g = random_game(&r, m->config.vocab);
            play(m, &g, 1);
            a_team_samples_the_same(m, &g, 2 + round, where);
            training_gives_the_same(m, &g, where);
        }
        mg_model_free(m);
    }
}

// ---- Tests

static void log_probabilities_of_samples_are_training_s(void **state) {
    (void)state;
    compare_all(false);
}

static void in_bf16_too(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    compare_all(true);
}

// The gradient of a loss like PPO's: -A min(rho, clip(rho, .8, 1.2)), rho = exp(logp - old).
static void add_gradient(mg_model *m, const game *g, const float *old, bool shared) {
    mg_prompt prompts[SAMPLES_MAX];
    mg_answer answers[SAMPLES_MAX];
    for (int64_t i = 0; i < g->n; i++) {
        const mg_sample *s = &g->samples[i];
        prompts[i]         = g->prompts[s->prompt];
        answers[i]         = (mg_answer){shared ? s->prompt : (int32_t)i, s->tokens, s->n};
    }
    const mg_answers all  = {shared ? g->prompts : prompts, shared ? g->n_prompts : g->n, answers,
                             g->n};
    mg_tape          tape = mg_tape_make(&arena, NULL, true);
    mg_tensor       *logp;
    ok(mg_answers_logp(&tape, m, &all, 1, &logp, NULL));
    for (int64_t k = 0; k < logp->rows; k++) {
        const float A = (float)(k % 7) - 2.5f, rho = expf(mg_f32(logp)[k] - old[k]);
        const bool  cut = A > 0 ? rho > 1.2f : rho < 0.8f;
        mg_grad_f32(logp)[k] = cut ? 0 : -A * rho;
    }
    mg_tape_backward(&tape);
}

static void a_shared_prompt_gathers_the_gradient_of_prompts_apart(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < NETWORKS / 2; seed++) {
        mg_arena_reset(&arena, 0);
        mg_rng    r = mg_rng_stream(seed, MG_PURPOSE_TEST, 9);
        mg_model *m = random_model(&r, seed, false);
        game      g = random_game(&r, m->config.vocab);
        play(m, &g, 1);
        float       *old   = MG_NEW(&arena, float, SAMPLES_MAX * NEW_MAX);
        const size_t size  = sizeof(float) * (size_t)m->n_weights;
        float       *apart = mg_arena_alloc(&arena, size);
        int64_t      count = 0;
        for (int64_t i = 0; i < g.n; i++)
            for (int64_t k = 0; k < g.samples[i].n; k++)
                old[count++] = g.samples[i].logp[k] + 0.3f * (float)mg_rng_normal(&r);
        mg_model_zero_grads(m);
        add_gradient(m, &g, old, false);
        memcpy(apart, m->grads, size);
        mg_model_zero_grads(m);
        add_gradient(m, &g, old, true);
        double off = 0, norm = 0;
        for (int64_t i = 0; i < m->n_weights; i++) {
            off += pow((double)(m->grads[i] - apart[i]), 2);
            norm += pow((double)apart[i], 2);
        }
        assert_true(norm > 0);
        if (!(sqrt(off / norm) <= 1e-5)) fail_msg("network %d: off by %g", (int)seed, sqrt(off / norm));
        mg_model_free(m);
    }
}

static int enter(void **state) {
    (void)state;
#ifdef __AVX512F__
    print_message("AVX-512: byte for byte; %s\n", mg_linear_engine());
#else
    print_message("no AVX-512: within 1e-5; %s\n", mg_linear_engine());
#endif
    return mg_arena_init(&arena, "test", (size_t)1 << 32) ? -1 : 0;
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_of_samples_are_training_s),
        cmocka_unit_test(in_bf16_too),
        cmocka_unit_test(a_shared_prompt_gathers_the_gradient_of_prompts_apart),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
