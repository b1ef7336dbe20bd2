// model_test.c - the network against the oracle of model_oracle.h, in value and, by central
// differences of the oracle, in gradient; and against itself: results must not depend on how
// sequences are packed or on whether keys come from a cache.
#include "nets/model_oracle.h"

static mg_arena arena;

// In double, and false for NaN.
static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

// What does not depend on packing has the same bits where the products have (AVX-512).
static void assert_same(const float *found, const float *wanted, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
#ifdef __AVX512F__
        assert_memory_equal(&found[i], &wanted[i], sizeof *found);
#else
        assert_near((double)found[i], (double)wanted[i], 1e-5);
#endif
    }
}

static mg_compute compute; // of the models that are made

// ---- Shapes. Small and odd: heads * head_width is not d_model, queries share keys.

enum { LLAMA, LLAMA_SCALED, QWEN2, QWEN2_TIED, LLAMA_SCORE, N_SHAPES };
static mg_model_config shapes[N_SHAPES];

static void make_shapes(void) {
    for (int i = 0; i < N_SHAPES; i++)
        shapes[i] = (mg_model_config){
            .family = i == QWEN2 || i == QWEN2_TIED ? MG_FAMILY_QWEN2 : MG_FAMILY_LLAMA,
            .vocab = 37, .d_model = 20, .d_ff = 28, .n_layers = 2, .n_heads = 4, .n_kv_heads = 2,
            .head_width = 8, .context_max = 400, .rope_theta = 10000, .norm_eps = 1e-5,
            .init_std = 0.25, .bos = -1, .eos = -1, .pad = -1};
    shapes[LLAMA_SCORE].scalar_head = true;
    shapes[QWEN2].qkv_bias          = true;

    mg_model_config *c = &shapes[LLAMA_SCALED];
    c->qkv_bias = c->o_bias = c->mlp_bias = true;
    c->n_kv_heads                         = 1;
    // Wavelengths 6.3, 63, 628, 6283 against the borders 16 and 64: kept, blended, stretched.
    c->rope_scaling = (mg_rope_scaling){8, 1, 4, 64};

    c             = &shapes[QWEN2_TIED];
    c->qkv_bias   = c->tied = true;
    c->n_kv_heads = 4, c->n_layers = 3, c->rope_theta = 1e6, c->norm_eps = 1e-6;
}

// Random weights, gains and biases too.
static mg_model *made(const mg_model_config *c) {
    mg_model *m   = NULL;
    mg_rng    rng = mg_rng_stream(2, MG_PURPOSE_TEST, 0);
    if (mg_model_new(&m, c, true)) fail_msg("%s", mg_err_detail());
    if (mg_model_compute(m, compute)) fail_msg("%s", mg_err_detail());
    mg_model_init(m, 1);
    for (int64_t i = 0; i < m->n_params; i++)
        for (int64_t j = 0; m->params[i].vector && j < mg_tensor_count(&m->params[i].tensor); j++)
            mg_f32(&m->params[i].tensor)[j] += (float)(0.3 * mg_rng_normal(&rng));
    mg_model_touch(m);
    return m;
}

// ---- A forest of sequences and its packings

// A prompt with two answers, one of them continued; another prompt. There are enough rows for the
// products to cut their work in more than one way.
enum { PROMPT, SHORT, LONG, LATER, OTHER, N_SEQUENCES };
static const int32_t LENGTHS[N_SEQUENCES] = {70, 33, 190, 2, 260};
static const int32_t PARENTS[N_SEQUENCES] = {-1, PROMPT, PROMPT, SHORT, -1};
static const int32_t TINY[N_SEQUENCES]    = {5, 3, 6, 1, 4};

static int32_t token_at(int s, int32_t i) {
    return (int32_t)((unsigned)(s * 7919 + i * 104729 + i * i) % 37);
}

// A sequence with all its ancestors; the last `own` of the n tokens are its own.
typedef struct flat {
    int32_t tokens[LONGEST];
    int64_t n, own;
} flat;

static flat flattened(int s, const int32_t *lengths) {
    flat f = {.own = lengths[s]};
    if (PARENTS[s] >= 0) {
        f     = flattened(PARENTS[s], lengths);
        f.own = lengths[s];
    }
    for (int32_t i = 0; i < lengths[s]; i++) f.tokens[f.n++] = token_at(s, i);
    return f;
}

typedef enum packing { ALONE, TOGETHER, SHARED } packing;

// The batches of a packing, as many as it returns: where[s] and row[s] say in which batch, and from
// which row on, the own tokens of sequence s are.
typedef struct packed {
    mg_batch batch[N_SEQUENCES];
    int      n, where[N_SEQUENCES];
    int64_t  row[N_SEQUENCES];
} packed;

static packed *pack(packing how, const int32_t *lengths) {
    packed *p = MG_NEW(&arena, packed, 1);
    for (int s = 0; s < N_SEQUENCES; s++) {
        const flat f = flattened(s, lengths);
        if (s == 0 || how == ALONE) mg_batch_init(&p->batch[p->n++], &arena, 1200, N_SEQUENCES);
        mg_batch *b = &p->batch[p->n - 1];
        p->where[s] = p->n - 1;
        if (how == SHARED)
            mg_batch_add(b, f.tokens + f.n - f.own, f.own, PARENTS[s]);
        else
            mg_batch_add(b, f.tokens, f.n, -1);
        p->row[s] = b->n_tokens - f.own;
    }
    for (int i = 0; i < p->n; i++) mg_batch_plan(&p->batch[i], &arena);
    return p;
}

// Hidden states, and logits or scores, of the own tokens of each sequence.
typedef struct outcome {
    const float *hidden[N_SEQUENCES], *z[N_SEQUENCES];
} outcome;

static double seed_of(int s, int64_t i, int64_t k) {
    return sin(1.0 + s + 3.1 * (double)(i + 5 * k));
}

static bool in_loss(int s) { return s != PROMPT; }

// Runs the batches and, when the tapes record, backward from d loss / d z = seed_of.
static outcome run(mg_model *m, const packed *p, const int32_t *lengths, bool record) {
    outcome    out;
    mg_tensor *hidden[N_SEQUENCES], *z[N_SEQUENCES];
    mg_tape    t[N_SEQUENCES];
    for (int i = 0; i < p->n; i++) {
        const mg_batch *b    = &p->batch[i];
        int32_t        *rows = MG_NEW(&arena, int32_t, b->n_tokens);
        for (int64_t r = 0; r < b->n_tokens; r++) rows[r] = (int32_t)r;
        t[i] = mg_tape_make(&arena, NULL, record);
        if (mg_model_hidden(&t[i], m, b, NULL, &hidden[i])) fail_msg("%s", mg_err_detail());
        z[i] = mg_model_head(&t[i], m, hidden[i], rows, b->n_tokens);
    }
    for (int s = 0; s < N_SEQUENCES; s++) {
        const mg_tensor *H = hidden[p->where[s]], *Z = z[p->where[s]];
        out.hidden[s] = mg_f32(H) + p->row[s] * H->cols;
        out.z[s]      = mg_f32(Z) + p->row[s] * Z->cols;
        for (int64_t i = 0; record && in_loss(s) && i < lengths[s]; i++)
            for (int64_t k = 0; k < Z->cols; k++)
                mg_grad_f32(Z)[(p->row[s] + i) * Z->cols + k] = (float)seed_of(s, i, k);
    }
    for (int i = 0; i < p->n && record; i++) mg_tape_backward(&t[i]);
    return out;
}

// ---- Tests

static void hidden_states_and_logits_are_those_of_the_oracle(void **state) {
    (void)state;
    static double H[LONGEST][WIDEST], Z[LONGEST][WIDEST];
    for (int shape = 0; shape < N_SHAPES; shape++) {
        mg_model      *m = made(&shapes[shape]);
        const int64_t  d = m->config.d_model, out = m->head->rows;
        const packed  *p = pack(SHARED, LENGTHS);
        const outcome  o = run(m, p, LENGTHS, false);
        const oracle   truth = oracle_of(m, &arena);
        for (int s = 0; s < N_SEQUENCES; s++) {
            const flat f = flattened(s, LENGTHS);
            oracle_run(&truth, f.tokens, f.n, H, Z);
            for (int64_t i = 0; i < f.own; i++) {
                for (int64_t j = 0; j < d; j++)
                    assert_near((double)o.hidden[s][i * d + j], H[f.n - f.own + i][j], 1e-4);
                for (int64_t k = 0; k < out; k++)
                    assert_near((double)o.z[s][i * out + k], Z[f.n - f.own + i][k], 1e-4);
            }
        }
        mg_model_free(m);
        mg_arena_reset(&arena, 0);
    }
}

// L = sum of seed * z over the answers, whose gradient `run` asks for.
static double oracle_loss(const oracle *o, const int32_t *lengths) {
    static double H[LONGEST][WIDEST], Z[LONGEST][WIDEST];
    double        loss = 0;
    for (int s = 0; s < N_SEQUENCES; s++) {
        if (!in_loss(s)) continue;
        const flat f = flattened(s, lengths);
        oracle_run(o, f.tokens, f.n, H, Z);
        for (int64_t i = 0; i < f.own; i++)
            for (int64_t k = 0; k < o->m->head->rows; k++)
                loss += seed_of(s, i, k) * Z[f.n - f.own + i][k];
    }
    return loss;
}

// The derivative along `u` by central differences. Their error, found by halving eps, is at most
// 2e-6 of the slope: well below that of the gradient in float.
static double oracle_slope(const mg_model *m, const double *u) {
    const double eps  = 1e-5;
    double       loss[2], *w = MG_NEW(&arena, double, m->n_weights);
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < m->n_weights; i++)
            w[i] = (double)m->weights[i] + (side ? eps : -eps) * u[i];
        loss[side] = oracle_loss(&(oracle){m, w}, TINY);
    }
    return (loss[1] - loss[0]) / (2 * eps);
}

static void assert_slope(const mg_model *m, const double *u, const char *where) {
    double       slope  = 0;
    const double wanted = oracle_slope(m, u);
    for (int64_t i = 0; i < m->n_weights; i++) slope += (double)m->grads[i] * u[i];
    if (!(fabs(slope - wanted) <= 1e-3 * fabs(wanted) && wanted != 0))
        fail_msg("along %s: slope %.9g, the oracle's %.9g", where, slope, wanted);
}

// Along random directions over all weights; along one per parameter, so that a small one counts;
// and along the gradient.
static void the_gradient_is_the_slope_of_the_oracle(void **state) {
    (void)state;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        mg_model *m   = made(&shapes[shape]);
        double   *u   = MG_NEW(&arena, double, m->n_weights);
        mg_rng    rng = mg_rng_stream(11, MG_PURPOSE_TEST, 0);
        mg_model_zero_grads(m);
        run(m, pack(SHARED, TINY), TINY, true);
        for (int direction = 0; direction < 4; direction++) {
            for (int64_t i = 0; i < m->n_weights; i++) u[i] = mg_rng_normal(&rng);
            assert_slope(m, u, "a random direction");
        }
        for (int64_t p = 0; p < m->n_params; p++) {
            const mg_param *param = &m->params[p];
            const int64_t   at    = (float *)param->tensor.data - m->weights;
            memset(u, 0, sizeof *u * (size_t)m->n_weights);
            for (int64_t i = 0; i < mg_tensor_count(&param->tensor); i++)
                u[at + i] = mg_rng_normal(&rng);
            assert_slope(m, u, param->name);
        }
        double norm = 0;
        for (int64_t i = 0; i < m->n_weights; i++) norm += pow((double)m->grads[i], 2);
        for (int64_t i = 0; i < m->n_weights; i++) u[i] = (double)m->grads[i] / sqrt(norm);
        assert_slope(m, u, "the gradient");
        mg_model_free(m);
        mg_arena_reset(&arena, 0);
    }
}

static void backward_adds_to_what_the_gradients_hold(void **state) {
    (void)state;
    mg_model *m = made(&shapes[QWEN2_TIED]);
    float    *once = MG_NEW(&arena, float, m->n_weights);
    run(m, pack(SHARED, TINY), TINY, true);
    memcpy(once, m->grads, sizeof *once * (size_t)m->n_weights);
    run(m, pack(SHARED, TINY), TINY, true);
    for (int64_t i = 0; i < m->n_weights; i++)
        assert_near((double)m->grads[i], 2 * (double)once[i], 1e-4);
    mg_model_zero_grads(m);
    for (int64_t i = 0; i < m->n_weights; i++) assert_true(m->grads[i] == 0);
    mg_model_free(m);
    mg_arena_reset(&arena, 0);
}

// A shared prompt's gradient is rounded to bfloat16 once, behind the sum over its answers; apart, each
// answer's is: they may differ by the 2^-8 of a rounding here and there.
static double same_gradient(packing how) {
    return compute == MG_COMPUTE_BF16 && how == SHARED ? 0x1p-7 : 1e-5;
}

static void packing_changes_no_result(void **state) {
    (void)state;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        mg_model *m    = made(&shapes[shape]);
        float    *want = MG_NEW(&arena, float, m->n_weights), most = 0;
        mg_model_zero_grads(m);
        const outcome alone = run(m, pack(ALONE, LENGTHS), LENGTHS, true);
        for (int64_t i = 0; i < m->n_weights; i++) {
            want[i] = m->grads[i];
            most    = fmaxf(most, fabsf(want[i]));
        }
        for (packing how = TOGETHER; how <= SHARED; how++) {
            mg_model_zero_grads(m);
            const outcome o = run(m, pack(how, LENGTHS), LENGTHS, true);
            for (int s = 0; s < N_SEQUENCES; s++) {
                assert_same(o.hidden[s], alone.hidden[s], LENGTHS[s] * m->config.d_model);
                assert_same(o.z[s], alone.z[s], LENGTHS[s] * m->head->rows);
            }
            for (int64_t i = 0; i < m->n_weights; i++)
                assert_near((double)m->grads[i], (double)want[i],
                            same_gradient(how) * (double)most);
        }
        mg_model_free(m);
        mg_arena_reset(&arena, 0);
    }
}

// The tokens of OTHER, read in bites of which each is a batch of its own, into places that are
// scattered over the cache.
static void keys_from_a_cache_give_what_one_pass_gives(void **state) {
    (void)state;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        mg_model      *m     = made(&shapes[shape]);
        const int64_t  d     = m->config.d_model, n = LENGTHS[OTHER];
        const flat     f     = flattened(OTHER, LENGTHS);
        const outcome  whole = run(m, pack(SHARED, LENGTHS), LENGTHS, false);
        mg_tape        t     = mg_tape_make(&arena, NULL, false);
        int32_t       *place = MG_NEW(&arena, int32_t, n);
        mg_key_span   *spans = MG_NEW(&arena, mg_key_span, n);
        mg_cache       cache;
        mg_cache_init(&cache, m, &arena, 2 * n);
        for (int64_t bite = 1, at = 0; at < n; at += bite, bite = bite % 23 * 3 + 1) {
            mg_batch   b;
            mg_tensor *hidden;
            if (bite > n - at) bite = n - at;
            mg_batch_init(&b, &arena, bite, 1);
            mg_batch_add(&b, f.tokens + at, bite, -1);
            for (int64_t i = 0; i < bite; i++) b.positions[i] = (int32_t)(at + i);
            // Earlier rows one by one in every second place, the new ones unbroken behind them.
            for (int64_t i = 0; i < bite; i++) place[i] = (int32_t)(2 * at + i);
            int64_t n_spans = 0;
            for (int64_t i = 0; i < at; i++) spans[n_spans++] = (mg_key_span){2 * i, 1};
            spans[n_spans++] = (mg_key_span){2 * at, bite};
            const mg_query_group group = {.row = 0, .n = bite, .spans = (int32_t)n_spans};
            b.plan = (mg_attention_plan){&group, spans, 1, 1};
            cache.place = place;
            if (mg_model_hidden(&t, m, &b, &cache, &hidden)) fail_msg("%s", mg_err_detail());
            assert_same(mg_f32(hidden), whole.hidden[OTHER] + at * d, bite * d);

            // Now spread the new rows out, from the last on.
            const size_t width = sizeof(float) * (size_t)cache.k->cols;
            for (int64_t l = 0; l < m->config.n_layers; l++)
                for (int64_t i = bite - 1; i > 0; i--) {
                    char *k = cache.k[l].data, *v = cache.v[l].data;
                    const size_t from = (size_t)(2 * at + i) * width;
                    const size_t to   = (size_t)(2 * (at + i)) * width;
                    memcpy(k + to, k + from, width);
                    memcpy(v + to, v + from, width);
                }
        }
        mg_model_free(m);
        mg_arena_reset(&arena, 0);
    }
}

static void written_weights_are_used_once_touched(void **state) {
    (void)state;
    static double H[LONGEST][WIDEST], Z[LONGEST][WIDEST];
    mg_model     *m = made(&shapes[QWEN2_TIED]);
    const packed *p = pack(ALONE, TINY);
    const flat    f = flattened(OTHER, TINY);
    run(m, p, TINY, true);
    for (int64_t i = 0; i < m->n_weights; i++) m->weights[i] *= 1 - 0.2f * (float)(i % 3);
    mg_model_touch(m);
    const outcome o     = run(m, p, TINY, false);
    const oracle  truth = oracle_of(m, &arena);
    oracle_run(&truth, f.tokens, f.n, H, Z);
    for (int64_t i = 0; i < f.n; i++)
        for (int64_t k = 0; k < m->config.vocab; k++)
            assert_near((double)o.z[OTHER][i * m->config.vocab + k], Z[i][k], 1e-4);
    mg_model_free(m);
    mg_arena_reset(&arena, 0);
}

static size_t memory_to_read(int64_t n_layers) {
    mg_model_config c = shapes[LLAMA];
    c.n_layers        = n_layers;
    mg_model     *m   = made(&c);
    const packed *p   = pack(SHARED, LENGTHS);
    arena.peak        = arena.used;
    const size_t before = arena.used;
    run(m, p, LENGTHS, false);
    mg_model_free(m);
    const size_t taken = arena.peak - before;
    mg_arena_reset(&arena, 0);
    return taken;
}

static void without_a_gradient_all_layers_share_one_layers_memory(void **state) {
    (void)state;
    assert_int_equal(memory_to_read(1), memory_to_read(6));
}

static void parameters_have_their_hugging_face_names_and_shapes_in_file_order(void **state) {
    (void)state;
    mg_model_config c = shapes[QWEN2];
    c.n_layers = 1, c.o_bias = true, c.mlp_bias = true;
    const struct {
        const char *name;
        int64_t     rows, cols;
        bool        vector;
    } expected[] = {
        {"model.embed_tokens.weight", 37, 20, false},
        {"model.layers.0.self_attn.q_proj.weight", 32, 20, false},
        {"model.layers.0.self_attn.q_proj.bias", 32, 1, true},
        {"model.layers.0.self_attn.k_proj.weight", 16, 20, false},
        {"model.layers.0.self_attn.k_proj.bias", 16, 1, true},
        {"model.layers.0.self_attn.v_proj.weight", 16, 20, false},
        {"model.layers.0.self_attn.v_proj.bias", 16, 1, true},
        {"model.layers.0.self_attn.o_proj.weight", 20, 32, false},
        {"model.layers.0.self_attn.o_proj.bias", 20, 1, true},
        {"model.layers.0.mlp.gate_proj.weight", 28, 20, false},
        {"model.layers.0.mlp.gate_proj.bias", 28, 1, true},
        {"model.layers.0.mlp.up_proj.weight", 28, 20, false},
        {"model.layers.0.mlp.up_proj.bias", 28, 1, true},
        {"model.layers.0.mlp.down_proj.weight", 20, 28, false},
        {"model.layers.0.mlp.down_proj.bias", 20, 1, true},
        {"model.layers.0.input_layernorm.weight", 20, 1, true},
        {"model.layers.0.post_attention_layernorm.weight", 20, 1, true},
        {"model.norm.weight", 20, 1, true},
        {"lm_head.weight", 37, 20, false},
    };
    mg_model *m;
    assert_int_equal(mg_model_new(&m, &c, false), MG_OK);
    assert_int_equal(m->n_params, sizeof expected / sizeof *expected);
    assert_null(m->grads);
    float *next = m->weights;
    for (int64_t i = 0; i < m->n_params; i++) {
        const mg_param *p = &m->params[i];
        assert_string_equal(p->name, expected[i].name);
        assert_int_equal(p->tensor.rows, expected[i].rows);
        assert_int_equal(p->tensor.cols, expected[i].cols);
        assert_int_equal(p->vector, expected[i].vector);
        assert_ptr_equal(p->tensor.data, next);
        assert_null(p->tensor.grad);
        const float gain = strstr(p->name, "norm") ? 1 : 0;
        for (int64_t j = 0; j < mg_tensor_count(&p->tensor); j++) assert_true(*next++ == gain);
    }
    assert_int_equal(next - m->weights, m->n_weights);
    mg_model_free(m);
}

static double spread(const mg_tensor *t) {
    double sum = 0, sum2 = 0, n = (double)mg_tensor_count(t);
    for (int64_t i = 0; i < mg_tensor_count(t); i++) {
        sum += (double)mg_f32(t)[i];
        sum2 += pow((double)mg_f32(t)[i], 2);
    }
    assert_near(sum / n, 0, 4 * sqrt(sum2 / n / n)); // the mean is within four standard errors
    return sqrt(sum2 / n);
}

static void random_weights_have_their_spread_and_depend_on_the_seed(void **state) {
    (void)state;
    mg_model_config c = shapes[LLAMA_SCORE];
    c.d_model = 600, c.vocab = 50, c.init_std = 0.02, c.qkv_bias = true;
    mg_model *a, *b;
    assert_int_equal(mg_model_new(&a, &c, false), MG_OK);
    assert_int_equal(mg_model_new(&b, &c, false), MG_OK);
    for (int64_t i = 0; i < b->n_weights; i++) b->weights[i] = 9; // whatever was there
    mg_model_init(a, 3);
    mg_model_init(b, 3);
    assert_memory_equal(a->weights, b->weights, sizeof(float) * (size_t)a->n_weights);
    mg_model_init(b, 4);
    assert_near(spread(a->embed), 0.02, 0.0004); // 30,000 numbers: four standard errors
    assert_near(spread(a->layers[1].down), 0.02, 0.0005);
    assert_near(spread(a->head), 1 / sqrt(601), 4 / sqrt(601) / sqrt(1200));
    for (int64_t i = 0; i < a->n_params; i++) {
        const mg_param *p = &a->params[i];
        const float     x = mg_f32(&p->tensor)[1], y = mg_f32(&b->params[i].tensor)[1];
        if (p->vector)
            assert_true(x == y && x == (strstr(p->name, "norm") ? 1 : 0));
        else
            assert_true(x != y);
    }
    assert_true(mg_f32(a->layers[0].q)[0] != mg_f32(a->layers[1].q)[0]);
    mg_model_free(a), mg_model_free(b);
}

static void a_copy_has_the_body_and_the_head_asked_for(void **state) {
    (void)state;
    const int64_t d = shapes[LLAMA].d_model;
    mg_model     *lm = made(&shapes[LLAMA]), *score, *again, *back;
    assert_int_equal(mg_model_copy(&score, lm, true, true), MG_OK);
    assert_true(score->config.scalar_head);
    assert_int_equal(score->n_weights, lm->n_weights - 37 * d + d);
    assert_memory_equal(score->weights, lm->weights, // all but the head, which comes last
                        sizeof(float) * (size_t)(score->n_weights - d));
    for (int64_t i = 0; i < d; i++) assert_true(mg_f32(score->head)[i] == 0);

    mg_f32(score->head)[3] = 5;
    assert_int_equal(mg_model_copy(&again, score, true, false), MG_OK);
    assert_true(mg_f32(again->head)[3] == 5);
    assert_null(again->grads);
    mg_f32(again->embed)[0] = 77;
    assert_true(mg_f32(score->embed)[0] != 77);
    mg_model_free(lm), mg_model_free(again);

    mg_model *tied = made(&shapes[QWEN2_TIED]);
    mg_model_free(score);
    assert_int_equal(mg_model_copy(&score, tied, true, false), MG_OK);
    assert_int_equal(mg_model_copy(&back, score, false, false), MG_OK);
    assert_ptr_equal(back->head, back->embed);
    assert_memory_equal(back->weights, tied->weights, sizeof(float) * (size_t)tied->n_weights);
    mg_model_free(tied), mg_model_free(score), mg_model_free(back);
}

static void a_sequence_longer_than_the_context_is_refused(void **state) {
    (void)state;
    mg_model_config c = shapes[LLAMA];
    c.context_max     = 8;
    mg_model  *m      = made(&c);
    int32_t    tokens[9] = {0};
    mg_tensor *hidden = NULL;
    mg_batch   b;
    for (int64_t n = 3; n <= 4; n++) { // behind a parent of 5: up to position 8, and beyond
        mg_tape t = mg_tape_make(&arena, NULL, false);
        mg_batch_init(&b, &arena, 9, 2);
        mg_batch_add(&b, tokens, 5, -1);
        mg_batch_add(&b, tokens, n, 0);
        mg_batch_plan(&b, &arena);
        assert_int_equal(mg_model_hidden(&t, m, &b, NULL, &hidden), n == 3 ? MG_OK : MG_LIMIT);
    }
    assert_non_null(strstr(mg_err_detail(), "sequence 1 ends at position 9; the model reads 8"));
    mg_model_free(m);
    mg_arena_reset(&arena, 0);
}

static void assert_refused(const mg_model_config *c, const char *key) {
    mg_model *m = NULL;
    assert_int_equal(mg_model_new(&m, c, false), MG_CONFIG);
    assert_null(m);
    if (!strstr(mg_err_detail(), key)) fail_msg("%s does not name %s", mg_err_detail(), key);
}

static void a_shape_that_cannot_be_is_refused_with_its_key(void **state) {
    (void)state;
    const mg_model_config good = shapes[LLAMA];
    mg_model_config       c;
    c = good, c.vocab = 0, assert_refused(&c, "vocab_size: found 0");
    c = good, c.d_model = -1, assert_refused(&c, "hidden_size: found -1");
    c = good, c.d_ff = (int64_t)1 << 40, assert_refused(&c, "intermediate_size");
    c = good, c.n_layers = 513, assert_refused(&c, "num_hidden_layers: found 513, wanted 1..512");
    c = good, c.n_heads = 0, assert_refused(&c, "num_attention_heads");
    c = good, c.n_kv_heads = 3, assert_refused(&c, "num_key_value_heads: found 3");
    c = good, c.head_width = 7, assert_refused(&c, "head_dim: found 7, wanted an even number");
    c = good, c.context_max = 0, assert_refused(&c, "max_position_embeddings");
    c = good, c.rope_theta = 0, assert_refused(&c, "rope_theta");
    c = good, c.norm_eps = NAN, assert_refused(&c, "rms_norm_eps");
    c = good, c.init_std = -1, assert_refused(&c, "initializer_range");
    const mg_rope_scaling bad[] = {{0.5, 1, 4, 64}, {8, 4, 4, 64}, {8, 0, 4, 64}, {8, 1, 4, 0},
                                   {NAN, 1, 4, 64}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        c = good, c.rope_scaling = bad[i], assert_refused(&c, "rope_scaling");
    mg_model *m = NULL; // 2^61 bytes of weights are a shape, but not one for this machine
    c = good, c.vocab = 1 << 24, c.d_model = 1 << 20, c.n_layers = 512;
    c.n_heads = c.n_kv_heads = 4096, c.head_width = 1 << 16;
    assert_int_equal(mg_model_new(&m, &c, true), MG_NOMEM);
    assert_null(m);
}

// Rounded factors move hidden states, whose size is about 1, but not far: each of the 14 products in
// a row is off by at most 2^-8 of its own size.
static void bfloat16_rounds_products_and_little_else(void **state) {
    (void)state;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        mg_model     *m     = made(&shapes[shape]);
        const packed *p     = pack(SHARED, TINY);
        assert_int_equal(mg_model_compute(m, MG_COMPUTE_F32), MG_OK);
        const outcome exact = run(m, p, TINY, false);
        double        most  = 0;
        assert_int_equal(mg_model_compute(m, MG_COMPUTE_BF16), MG_OK);
        const outcome rounded = run(m, p, TINY, false);
        for (int s = 0; s < N_SEQUENCES; s++)
            for (int64_t i = 0; i < TINY[s] * m->config.d_model; i++)
                most = fmax(most, fabs((double)(exact.hidden[s][i] - rounded.hidden[s][i])));
        if (!(most > 1e-4 && most < 14 * 0x1p-7)) fail_msg("hidden states differ by %g", most);

        mg_model *copy;
        assert_int_equal(mg_model_copy(&copy, m, true, false), MG_OK);
        assert_int_equal(copy->compute, MG_COMPUTE_BF16);
        assert_true(copy->head->bf16);
        mg_model_free(copy);
        assert_int_equal(mg_model_compute(m, MG_COMPUTE_F32), MG_OK);
        const outcome back = run(m, p, TINY, false);
        for (int s = 0; s < N_SEQUENCES; s++)
            assert_memory_equal(back.hidden[s], exact.hidden[s],
                                sizeof(float) * (size_t)(TINY[s] * m->config.d_model));
        mg_model_free(m);
        mg_arena_reset(&arena, 0);
    }
}

static void bfloat16_is_refused_where_the_processor_lacks_it(void **state) {
    (void)state;
    const bool   can = mg_linear_has_bf16();
    const mg_err err = mg_model_compute(NULL, MG_COMPUTE_BF16);
    assert_int_equal(err, can ? MG_OK : MG_CONFIG);
    if (!can) assert_non_null(strstr(mg_err_detail(), "AVX-512 with BF16 or AMX"));
    assert_int_equal(mg_model_compute(NULL, MG_COMPUTE_F32), MG_OK);
}

static int open_arena(void **state) {
    (void)state;
    make_shapes();
    return mg_arena_init(&arena, "model test", (size_t)1 << 30);
}

static int open_arena_for_bf16(void **state) {
    compute = MG_COMPUTE_BF16;
    return open_arena(state);
}

static int close_arena(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_states_and_logits_are_those_of_the_oracle),
        cmocka_unit_test(the_gradient_is_the_slope_of_the_oracle),
        cmocka_unit_test(backward_adds_to_what_the_gradients_hold),
        cmocka_unit_test(packing_changes_no_result),
        cmocka_unit_test(keys_from_a_cache_give_what_one_pass_gives),
        cmocka_unit_test(written_weights_are_used_once_touched),
        cmocka_unit_test(without_a_gradient_all_layers_share_one_layers_memory),
        cmocka_unit_test(parameters_have_their_hugging_face_names_and_shapes_in_file_order),
        cmocka_unit_test(random_weights_have_their_spread_and_depend_on_the_seed),
        cmocka_unit_test(a_copy_has_the_body_and_the_head_asked_for),
        cmocka_unit_test(a_sequence_longer_than_the_context_is_refused),
        cmocka_unit_test(a_shape_that_cannot_be_is_refused_with_its_key),
        cmocka_unit_test(bfloat16_is_refused_where_the_processor_lacks_it),
    };
    const struct CMUnitTest bf16_tests[] = {
        cmocka_unit_test(bfloat16_rounds_products_and_little_else),
        cmocka_unit_test(packing_changes_no_result),
        cmocka_unit_test(keys_from_a_cache_give_what_one_pass_gives),
    };
    const int failed = cmocka_run_group_tests(tests, open_arena, close_arena);
    if (!mg_linear_has_bf16()) return failed;
    return failed + cmocka_run_group_tests(bf16_tests, open_arena_for_bf16, close_arena);
}
