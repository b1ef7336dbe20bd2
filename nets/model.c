// model.c - parameters and the forward pass.
#include "nets/model.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define NAME_MAX_SIZE 128
#define LAYERS_MAX    512

// ---- parameters ----

typedef struct size_range {
    const char *key;
    int64_t     found, min, max;
} size_range;

static mg_err check_ranges(const size_range *sizes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (sizes[i].found < sizes[i].min || sizes[i].found > sizes[i].max)
            return mg_fail(MG_CONFIG, "%s: found %lld, wanted %lld..%lld", sizes[i].key,
                           (long long)sizes[i].found, (long long)sizes[i].min,
                           (long long)sizes[i].max);
    return MG_OK;
}

static mg_err check_mlp(const mg_mlp_shape *s) {
    const size_range sizes[] = {
        {"inputs", s->in, 1, 1 << 20},   {"outputs", s->out, 1, 1 << 20}, {"width", s->width, 1, 1 << 16},
        {"depth", s->depth, 0, LAYERS_MAX}, {"nets", s->nets, 1, 256},    {"free", s->free, 0, 1 << 20},
    };
    mg_err err = check_ranges(sizes, sizeof sizes / sizeof *sizes);
    if (err) return err;
    if (s->head == MG_HEAD_TANH_GAUSSIAN && s->out % 2)
        return mg_fail(MG_CONFIG, "outputs: found %lld, wanted an even number: means and deviations",
                       (long long)s->out);
    if (s->head == MG_HEAD_GAUSSIAN && s->free != s->out)
        return mg_fail(MG_CONFIG, "free: found %lld, wanted %lld: one deviation for each output", (long long)s->free,
                       (long long)s->out);
    if (!(s->action_scale > 0 && isfinite(s->action_scale)))
        return mg_fail(MG_CONFIG, "action_scale: found %g, wanted a number above 0", s->action_scale);
    return MG_OK;
}

static mg_err check_sizes(const mg_model_config *c) {
    const size_range sizes[] = {
        {"vocab_size", c->vocab, 1, 1 << 24},
        {"hidden_size", c->d_model, 1, 1 << 20},
        {"intermediate_size", c->d_ff, 1, 1 << 22},
        {"num_hidden_layers", c->n_layers, 1, LAYERS_MAX},
        {"num_attention_heads", c->n_heads, 1, 4096},
        {"num_key_value_heads", c->n_kv_heads, 1, 4096},
        {"head_dim", c->head_width, 2, 1 << 16},
        {"max_position_embeddings", c->context_max, 1, 1 << 30},
    };
    mg_err err = check_ranges(sizes, sizeof sizes / sizeof *sizes);
    if (err) return err;
    if (c->n_heads % c->n_kv_heads)
        return mg_fail(MG_CONFIG, "num_key_value_heads: found %lld, wanted a divisor of %lld heads",
                       (long long)c->n_kv_heads, (long long)c->n_heads);
    if (c->head_width % 2)
        return mg_fail(MG_CONFIG,
                       "head_dim: found %lld, wanted an even number: rotary positions turn pairs",
                       (long long)c->head_width);
    return MG_OK;
}

static mg_err check_numbers(const mg_model_config *c) {
    const mg_rope_scaling *s = &c->rope_scaling;
    if (!(c->rope_theta > 0 && isfinite(c->rope_theta)))
        return mg_fail(MG_CONFIG, "rope_theta: found %g, wanted a number above 0", c->rope_theta);
    if (!(c->norm_eps >= 0 && isfinite(c->norm_eps)))
        return mg_fail(MG_CONFIG, "rms_norm_eps: found %g, wanted 0 or more", c->norm_eps);
    if (!(c->init_std >= 0 && isfinite(c->init_std)))
        return mg_fail(MG_CONFIG, "initializer_range: found %g, wanted 0 or more", c->init_std);
    if (s->factor == 0) return MG_OK;
    if (!(s->factor >= 1 && s->low_freq_factor > 0 && s->high_freq_factor > s->low_freq_factor &&
          s->original_context >= 1))
        return mg_fail(MG_CONFIG,
                       "rope_scaling: found factor %g, low_freq_factor %g, high_freq_factor %g, "
                       "original_max_position_embeddings %lld; wanted factor >= 1, 0 < low < high "
                       "and a context of 1 or more",
                       s->factor, s->low_freq_factor, s->high_freq_factor,
                       (long long)s->original_context);
    return MG_OK;
}

// The parameters in file order, once to count and once to place them: one list cannot drift.
typedef struct builder {
    mg_model *m;
    int64_t   n_params, n_weights;
    bool      dry; // count only
} builder;

static mg_tensor *add(builder *b, int64_t rows, int64_t cols, bool vector, const char *fmt, ...)
    MG_PRINTF(5, 6);

static mg_tensor *add(builder *b, int64_t rows, int64_t cols, bool vector, const char *fmt, ...) {
    mg_tensor *t = NULL;
    if (!b->dry) {
        char      name[NAME_MAX_SIZE];
        mg_param *p = &b->m->params[b->n_params];
        va_list   args;
        va_start(args, fmt);
        const int size = vsnprintf(name, sizeof name, fmt, args);
        va_end(args);
        MG_ASSERT(size > 0 && size < NAME_MAX_SIZE);
        *p = (mg_param){.name = mg_arena_strdup(&b->m->arena, name), .vector = vector};
        p->tensor = (mg_tensor){.dtype = MG_F32, .rows = rows, .cols = cols,
                                .data = b->m->weights + b->n_weights,
                                .grad = b->m->grads ? b->m->grads + b->n_weights : NULL};
        t = &p->tensor;
    }
    b->n_params++;
    b->n_weights += rows * cols;
    return t;
}

static mg_tensor *add_linear(builder *b, long long layer, const char *name, int64_t out, int64_t in,
                             bool has_bias, mg_tensor **bias) {
    mg_tensor *W = add(b, out, in, false, "model.layers.%lld.%s.weight", layer, name);
    if (has_bias) *bias = add(b, out, 1, true, "model.layers.%lld.%s.bias", layer, name);
    return W;
}

static mg_model_layer add_layer(builder *b, long long i) {
    const mg_model_config *c  = &b->m->config;
    const int64_t          d  = c->d_model, q = c->n_heads * c->head_width;
    const int64_t          kv = c->n_kv_heads * c->head_width;
    mg_model_layer         l  = {0};
    l.q    = add_linear(b, i, "self_attn.q_proj", q, d, c->qkv_bias, &l.q_bias);
    l.k    = add_linear(b, i, "self_attn.k_proj", kv, d, c->qkv_bias, &l.k_bias);
    l.v    = add_linear(b, i, "self_attn.v_proj", kv, d, c->qkv_bias, &l.v_bias);
    l.o    = add_linear(b, i, "self_attn.o_proj", d, q, c->o_bias, &l.o_bias);
    l.gate = add_linear(b, i, "mlp.gate_proj", c->d_ff, d, c->mlp_bias, &l.gate_bias);
    l.up   = add_linear(b, i, "mlp.up_proj", c->d_ff, d, c->mlp_bias, &l.up_bias);
    l.down = add_linear(b, i, "mlp.down_proj", d, c->d_ff, c->mlp_bias, &l.down_bias);
    l.attn_norm = add(b, d, 1, true, "model.layers.%lld.input_layernorm.weight", i);
    l.mlp_norm  = add(b, d, 1, true, "model.layers.%lld.post_attention_layernorm.weight", i);
    return l;
}

static void build_mlp(builder *b) {
    mg_model           *m = b->m;
    const mg_mlp_shape *s = &m->config.mlp;
    for (int64_t j = 0; j < s->nets; j++) {
        for (int64_t i = 0; i <= s->depth; i++) {
            const int64_t in = i == 0 ? s->in : s->width, out = i == s->depth ? s->out : s->width;
            mg_mlp_layer  l;
            l.W = add(b, out, in, false, "nets.%lld.%lld.weight", (long long)j, (long long)i);
            l.b = add(b, out, 1, true, "nets.%lld.%lld.bias", (long long)j, (long long)i);
            if (!b->dry) m->nets[j * (s->depth + 1) + i] = l;
        }
    }
    m->mean  = add(b, s->in, 1, true, "input.mean");
    m->scale = add(b, s->in, 1, true, "input.scale");
    if (s->free > 0) m->free = add(b, s->free, 1, true, "free");
}

static builder build(mg_model *m, bool dry) {
    const mg_model_config *c = &m->config;
    builder                b = {.m = m, .dry = dry};
    if (c->family == MG_FAMILY_MLP) {
        build_mlp(&b);
        return b;
    }
    m->embed = add(&b, c->vocab, c->d_model, false, "model.embed_tokens.weight");
    for (int64_t i = 0; i < c->n_layers; i++) {
        const mg_model_layer l = add_layer(&b, i);
        if (!dry) m->layers[i] = l;
    }
    m->final_norm = add(&b, c->d_model, 1, true, "model.norm.weight");
    m->head       = m->embed;
    if (c->scalar_head)
        m->head = add(&b, 1, c->d_model, false, "score.weight");
    else if (!c->tied)
        m->head = add(&b, c->vocab, c->d_model, false, "lm_head.weight");
    return b;
}

// Inverse frequencies theta^(-2j/h) (RoFormer, arXiv:2104.09864, section 3.2.2) and Llama 3.1's
// change to them, as _compute_llama3_parameters of transformers' modeling_rope_utils.py makes it:
// with lambda = 2 pi / f the wavelength and C the original context,
//   lambda < C / high: f;  lambda > C / low: f / factor;
//   between: (1 - s) f / factor + s f,  s = (C / lambda - low) / (high - low)
// s is above 1 in the first case and below 0 in the second, so clamping it makes one formula.
static void set_frequency(mg_model *m) {
    const mg_model_config *c = &m->config;
    const mg_rope_scaling *r = &c->rope_scaling;
    for (int64_t j = 0; j < c->head_width / 2; j++) {
        double f = pow(c->rope_theta, -2.0 * (double)j / (double)c->head_width);
        if (r->factor != 0) {
            const double turns = (double)r->original_context * f / (2 * M_PI); // C / lambda
            const double s =
                (turns - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
            const double kept = fmin(fmax(s, 0), 1);
            f                 = (1 - kept) * f / r->factor + kept * f;
        }
        m->frequency[j] = f;
    }
}

static void fill(const mg_tensor *t, float value) {
    for (int64_t j = 0; j < mg_tensor_count(t); j++) mg_f32(t)[j] = value;
}

// Biases 0, gains 1.
static void set_vectors(mg_model *m) {
    for (int64_t i = 0; i < m->n_params; i++)
        if (m->params[i].vector) fill(&m->params[i].tensor, 0);
    for (int64_t i = 0; i < m->config.n_layers; i++) {
        fill(m->layers[i].attn_norm, 1);
        fill(m->layers[i].mlp_norm, 1);
    }
    fill(m->final_norm ? m->final_norm : m->scale, 1);
}

mg_err mg_model_new(mg_model **out, const mg_model_config *config, bool trained) {
    const bool mlp = config->family == MG_FAMILY_MLP;
    mg_err     err = mlp ? check_mlp(&config->mlp) : check_sizes(config);
    if (!err && !mlp) err = check_numbers(config);
    if (err) return err;
    mg_model *m = calloc(1, sizeof *m);
    if (!m) return mg_fail(MG_NOMEM, "a model");
    m->config             = *config;
    const builder b       = build(m, true);
    const size_t  weights = sizeof(float) * (size_t)b.n_weights;
    const int64_t nets    = mlp ? config->mlp.nets * (config->mlp.depth + 1) : 0;
    const size_t  rest    = (size_t)b.n_params * (sizeof(mg_param) + NAME_MAX_SIZE) +
                        (size_t)nets * sizeof(mg_mlp_layer) +
                        (size_t)config->n_layers * sizeof(mg_model_layer) +
                        (size_t)config->head_width * sizeof(double);
    const size_t slack = 64 * ((size_t)b.n_params + 8); // each piece begins on a cache line
    err = mg_arena_init(&m->arena, "model", (trained ? 2 : 1) * weights + rest + slack);
    if (err) {
        free(m);
        return err;
    }
    m->n_params  = b.n_params;
    m->n_weights = b.n_weights;
    m->weights   = mg_arena_alloc(&m->arena, weights);
    if (trained) m->grads = mg_arena_alloc(&m->arena, weights);
    m->params    = MG_NEW(&m->arena, mg_param, b.n_params);
    m->layers    = MG_NEW(&m->arena, mg_model_layer, config->n_layers);
    m->frequency = MG_NEW(&m->arena, double, config->head_width / 2);
    if (mlp) m->nets = MG_NEW(&m->arena, mg_mlp_layer, nets);
    build(m, false);
    set_frequency(m);
    set_vectors(m);
    *out = m;
    return MG_OK;
}

void mg_model_free(mg_model *m) {
    if (!m) return;
    for (int64_t i = 0; i < m->n_params; i++) mg_linear_unpack(&m->params[i].tensor);
    mg_arena_release(&m->arena);
    free(m);
}

static void set_compute(mg_model *m, mg_compute compute) {
    m->compute = compute;
    for (int64_t i = 0; i < m->n_params; i++)
        m->params[i].tensor.bf16 = compute == MG_COMPUTE_BF16;
}

mg_err mg_model_compute(mg_model *m, mg_compute compute) {
    if (compute == MG_COMPUTE_BF16 && !mg_linear_has_bf16())
        return mg_fail(MG_CONFIG, "found bf16, which needs AVX-512 with BF16 or AMX; this processor's "
                                  "products are those of %s: wanted f32", mg_linear_engine());
    if (m) set_compute(m, compute);
    return MG_OK;
}

static void init_mlp(mg_model *m, uint64_t seed) {
    const mg_mlp_shape *s = &m->config.mlp;
    for (int64_t i = 0; i < s->nets * (s->depth + 1); i++) {
        const mg_tensor *parts[2] = {m->nets[i].W, m->nets[i].b};
        const double     bound    = 1 / sqrt((double)m->nets[i].W->cols);
        mg_rng           rng      = mg_rng_stream(seed, MG_PURPOSE_INIT, (uint64_t)i);
        for (int k = 0; k < 2; k++)
            for (int64_t j = 0; j < mg_tensor_count(parts[k]); j++)
                mg_f32(parts[k])[j] = (float)(bound * (2 * mg_rng_uniform(&rng) - 1));
    }
}

void mg_model_init(mg_model *m, uint64_t seed) {
    set_vectors(m);
    if (m->config.family == MG_FAMILY_MLP) init_mlp(m, seed);
    for (int64_t i = 0; i < m->n_params; i++) {
        const mg_param *p   = &m->params[i];
        mg_rng          rng = mg_rng_stream(seed, MG_PURPOSE_INIT, (uint64_t)i);
        const bool      score = m->config.scalar_head && &p->tensor == m->head;
        const double    std = score ? 1 / sqrt((double)m->config.d_model + 1) : m->config.init_std;
        for (int64_t j = 0; !p->vector && !m->nets && j < mg_tensor_count(&p->tensor); j++)
            mg_f32(&p->tensor)[j] = (float)(std * mg_rng_normal(&rng));
    }
    mg_model_touch(m);
}

static mg_param *find(mg_model *m, const char *name) {
    for (int64_t i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i].name, name) == 0) return &m->params[i];
    return NULL;
}

mg_err mg_model_copy(mg_model **out, const mg_model *from, bool scalar_head, bool trained) {
    mg_model_config c = from->config;
    mg_model       *m;
    c.scalar_head = scalar_head;
    mg_err err    = mg_model_new(&m, &c, trained);
    if (err) return err;
    set_compute(m, from->compute);
    for (int64_t i = 0; i < from->n_params; i++) {
        const mg_param *p  = &from->params[i];
        mg_param       *to = find(m, p->name);
        if (to)
            memcpy(to->tensor.data, p->tensor.data,
                   sizeof(float) * (size_t)mg_tensor_count(&p->tensor));
    }
    *out = m;
    return MG_OK;
}

void mg_model_touch(mg_model *m) {
    for (int64_t i = 0; i < m->n_params; i++) m->params[i].tensor.version++;
}

void mg_model_zero_grads(mg_model *m) {
    if (m->grads) memset(m->grads, 0, sizeof(float) * (size_t)m->n_weights);
}

// ---- forward ----

void mg_cache_init(mg_cache *c, const mg_model *m, mg_arena *arena, int64_t rows) {
    const int64_t width = m->config.n_kv_heads * m->config.head_width;
    c->place = NULL;
    c->k = MG_NEW(arena, mg_tensor, m->config.n_layers);
    c->v = MG_NEW(arena, mg_tensor, m->config.n_layers);
    for (int64_t i = 0; i < m->config.n_layers; i++) {
        c->k[i] = c->v[i] = (mg_tensor){.dtype = MG_F32, .rows = rows, .cols = width};
        c->k[i].data = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)(rows * width));
        c->v[i].data = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)(rows * width));
    }
}

// Puts the batch's rows into their places in a layer's store and returns the store.
static mg_tensor *remember(mg_tensor *store, const int32_t *place, const mg_tensor *fresh) {
    const int64_t width = store->cols;
    for (int64_t i = 0; i < fresh->rows; i++) {
        MG_ASSERT(place[i] >= 0 && place[i] < store->rows);
        memcpy(mg_f32(store) + place[i] * width, mg_f32(fresh) + i * width,
               sizeof(float) * (size_t)width);
    }
    return store;
}

static mg_tensor *attend(mg_tape *t, mg_model *m, const mg_batch *b, const mg_turns *turns,
                         mg_cache *cache, int64_t i, mg_tensor *h) {
    const mg_model_config *c = &m->config;
    const mg_model_layer  *l = &m->layers[i];
    mg_tensor *n = mg_rmsnorm(t, h, l->attn_norm, c->norm_eps);
    mg_tensor *q = mg_linear(t, n, l->q, l->q_bias);
    mg_tensor *k = mg_linear(t, n, l->k, l->k_bias);
    mg_tensor *v = mg_linear(t, n, l->v, l->v_bias);
    q = mg_rope_by(t, q, turns);
    k = mg_rope_by(t, k, turns);
    if (cache) {
        k = remember(&cache->k[i], cache->place, k);
        v = remember(&cache->v[i], cache->place, v);
    }
    mg_tensor *y = mg_attention(t, q, k, v, c->n_heads, c->n_kv_heads, &b->plan);
    return mg_add(t, h, mg_linear(t, y, l->o, l->o_bias));
}

static mg_tensor *feed_forward(mg_tape *t, mg_model *m, int64_t i, mg_tensor *h) {
    const mg_model_layer *l = &m->layers[i];
    mg_tensor *n    = mg_rmsnorm(t, h, l->mlp_norm, m->config.norm_eps);
    mg_tensor *gate = mg_linear(t, n, l->gate, l->gate_bias);
    mg_tensor *up   = mg_linear(t, n, l->up, l->up_bias);
    return mg_add(t, h, mg_linear(t, mg_swiglu(t, gate, up), l->down, l->down_bias));
}

mg_err mg_model_hidden(mg_tape *t, mg_model *m, const mg_batch *b, mg_cache *cache,
                       mg_tensor **out) {
    MG_ASSERT(!m->nets && (!cache || !t->record));
    for (int64_t s = 0; s < b->n_sequences; s++) {
        const int64_t end = b->sequences[s].position + b->sequences[s].n;
        if (end > m->config.context_max)
            return mg_fail(MG_LIMIT, "sequence %lld ends at position %lld; the model reads %lld",
                           (long long)s, (long long)end, (long long)m->config.context_max);
    }
    mg_tensor      *h     = mg_embedding(t, m->embed, b->tokens, b->n_tokens);
    const mg_turns *turns = mg_rope_turns(t, m->config.head_width, b->positions, b->n_tokens,
                                          m->frequency);
    const size_t mark = mg_arena_mark(t->arena);
    for (int64_t i = 0; i < m->config.n_layers; i++) {
        mg_tensor *next = feed_forward(t, m, i, attend(t, m, b, turns, cache, i, h));
        if (t->record) {
            h = next;
        } else { // nobody looks back: one layer's memory serves them all
            memcpy(h->data, next->data, sizeof(float) * (size_t)mg_tensor_count(h));
            mg_arena_reset(t->arena, mark);
        }
    }
    *out = mg_rmsnorm(t, h, m->final_norm, m->config.norm_eps);
    return MG_OK;
}

mg_tensor *mg_model_head(mg_tape *t, mg_model *m, mg_tensor *hidden, const int32_t *rows,
                         int64_t n) {
    return mg_linear(t, mg_rows(t, hidden, rows, n), m->head, NULL);
}

mg_tensor *mg_model_logp(mg_tape *t, mg_model *m, mg_tensor *hidden, const int32_t *rows, int64_t n,
                         const int32_t *target, double temperature, float *entropy) {
    return mg_linear_logp(t, mg_rows(t, hidden, rows, n), m->head, target, temperature, entropy);
}
