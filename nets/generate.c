// generate.c - prefill, then one token per live sequence and step.
//
// Cache rows are given out once: prompts and forced prefixes first, by the prefill, then a block of
// rows per sequence for what it will say. A decode step is a batch of one-token sequences whose plan
// names [prompt rows, prefix rows, own rows so far], so that keys are visited in order of position,
// as in training.
#include "nets/generate.h"

#include <math.h>
#include <string.h>

#define SPANS_MAX 3 // prompt, forced prefix, own tokens

typedef struct stream { // one sample on its way
    mg_sample *s;
    int64_t    prompt_row, prompt_n; // its prompt in the cache
    int64_t    prefix_row;           // its forced tokens in the cache
    int64_t    own_row;              // what it has said itself, n - n_forced tokens
} stream;

typedef struct generator {
    mg_model          *m;
    mg_team           *team;
    const mg_sampling *how;
    mg_rng             draws;
    mg_arena          *scratch;
    mg_cache           cache;
    stream            *streams; // [n]
    int64_t            n;
} generator;

// ---- choosing a token ----

typedef struct candidate {
    double  p;
    int32_t id;
} candidate;

static int by_probability(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->p != y->p) return x->p < y->p ? 1 : -1;
    return x->id < y->id ? -1 : 1; // ties by id
}

// Keeps the top_k likeliest, then the smallest set of them whose mass reaches top_p; sorted.
static int64_t truncate(const mg_sampling *how, candidate *c, int64_t n) {
    qsort(c, (size_t)n, sizeof *c, by_probability);
    double total = 0, mass = 0;
    if (how->top_k > 0 && how->top_k < n) n = how->top_k;
    for (int64_t i = 0; i < n; i++) total += c[i].p;
    int64_t kept = 0;
    while (kept < n && (kept == 0 || mass < how->top_p * total)) mass += c[kept++].p;
    return kept;
}

static int32_t likeliest(const float *z, int64_t vocab) {
    int32_t best = 0;
    for (int64_t k = 1; k < vocab; k++)
        if (z[k] > z[best]) best = (int32_t)k;
    return best;
}

// A draw from softmax(z / temperature), after top-k and top-p, by the inverse of its distribution
// function in double: candidates in order of id, or of probability when some were cut off.
static int32_t draw(const generator *g, const mg_sample *s, const float *z, candidate *c) {
    const int64_t vocab = g->m->config.vocab;
    if (g->how->temperature == 0) return likeliest(z, vocab);
    const double max = (double)z[likeliest(z, vocab)];
    double       total = 0;
    for (int64_t k = 0; k < vocab; k++) {
        c[k] = (candidate){exp(((double)z[k] - max) / g->how->temperature), (int32_t)k};
        total += c[k].p;
    }
    int64_t n = vocab;
    if (g->how->top_k > 0 || g->how->top_p < 1) {
        n     = truncate(g->how, c, vocab);
        total = 0;
        for (int64_t i = 0; i < n; i++) total += c[i].p;
    }
    mg_rng rng = g->draws;
    mg_rng_seek(&rng, s->episode, s->attempt, (uint32_t)s->n);
    const double u = mg_rng_uniform(&rng) * total;
    double       sum = 0;
    for (int64_t i = 0; i + 1 < n; i++)
        if ((sum += c[i].p) > u) return c[i].id;
    return c[n - 1].id;
}

// ---- one step ----

static bool done(const generator *g, const mg_sample *s) {
    return s->stopped || s->n == g->how->new_max;
}

static void say(generator *g, mg_sample *s, int32_t token, float logp) {
    s->tokens[s->n]  = token;
    s->logp[s->n++]  = logp;
    s->stopped       = token == g->how->stop;
}

// Log-probabilities of `target` from logits that a no-gradient tape holds: the operation that
// training uses, so that both have the same bits.
static const float *logp_of(generator *g, mg_tape *t, mg_tensor *z, const int32_t *target) {
    const double temperature = g->how->temperature == 0 ? 1 : g->how->temperature;
    return mg_f32(mg_token_logp(t, z, target, temperature, NULL));
}

// Samples the next token of the streams who[0..n) from the given rows of hidden.
static mg_err sample(generator *g, mg_tape *t, mg_tensor *hidden, const int32_t *rows,
                     stream *const *who, int64_t n) {
    const int64_t vocab  = g->m->config.vocab;
    mg_tensor    *z      = mg_model_head(t, g->m, hidden, rows, n);
    int32_t      *target = MG_NEW(g->scratch, int32_t, n);
    candidate    *c      = mg_arena_alloc_raw(g->scratch, sizeof *c * (size_t)vocab);
    for (int64_t i = 0; i < n; i++)
        target[i] = draw(g, who[i]->s, mg_f32(z) + i * vocab, c);
    const float *logp = logp_of(g, t, z, target);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(logp[i]))
            return mg_fail(MG_NUMERIC, "the log-probability of episode %u's token %lld is %g",
                           who[i]->s->episode, (long long)who[i]->s->n, (double)logp[i]);
        say(g, who[i]->s, target[i], logp[i]);
    }
    return MG_OK;
}

// Reads prompts and forced prefixes into the cache, gives forced tokens their log-probabilities, and
// samples each stream's first own token from the same pass.
static mg_err prefill(generator *g, const mg_prompt *prompts, int64_t n_prompts) {
    const size_t mark = mg_arena_mark(g->scratch);
    mg_tape      t    = mg_tape_make(g->scratch, g->team, false);
    mg_batch     b;
    int64_t      tokens = 0, forced = 0;
    for (int64_t p = 0; p < n_prompts; p++) tokens += prompts[p].n;
    for (int64_t i = 0; i < g->n; i++) forced += g->streams[i].s->n_forced;
    mg_batch_init(&b, g->scratch, tokens + forced, n_prompts + g->n);
    int32_t *sequence = MG_NEW(g->scratch, int32_t, n_prompts);
    for (int64_t p = 0; p < n_prompts; p++)
        sequence[p] = mg_batch_add(&b, prompts[p].tokens, prompts[p].n, -1);

    int32_t *rows = MG_NEW(g->scratch, int32_t, forced), *target = MG_NEW(g->scratch, int32_t, forced);
    int32_t *first = MG_NEW(g->scratch, int32_t, g->n);
    stream **who   = MG_NEW(g->scratch, stream *, g->n);
    int64_t  n_rows = 0, n_first = 0;
    for (int64_t i = 0; i < g->n; i++) {
        stream            *st     = &g->streams[i];
        const mg_sample   *s      = st->s;
        const mg_sequence *prompt = &b.sequences[sequence[s->prompt]];
        int32_t            last   = (int32_t)(prompt->row + prompt->n - 1);
        st->prompt_row = prompt->row, st->prompt_n = prompt->n, st->prefix_row = b.n_tokens;
        if (s->n_forced > 0) mg_batch_add(&b, s->forced, s->n_forced, sequence[s->prompt]);
        for (int64_t k = 0; k < s->n_forced; k++) {
            rows[n_rows] = last, target[n_rows++] = s->forced[k];
            last = (int32_t)(st->prefix_row + k);
        }
        if (s->n_forced > 0 && s->forced[s->n_forced - 1] == g->how->stop) continue;
        if (s->n_forced < g->how->new_max) first[n_first] = last, who[n_first++] = st;
    }
    mg_batch_plan(&b, g->scratch);
    int32_t *place = MG_NEW(g->scratch, int32_t, b.n_tokens); // cache row = batch row
    for (int64_t i = 0; i < b.n_tokens; i++) place[i] = (int32_t)i;
    g->cache.place = place;

    mg_tensor *hidden;
    mg_err     err = mg_model_hidden(&t, g->m, &b, &g->cache, &hidden);
    if (!err && n_rows > 0) {
        const float *logp = logp_of(g, &t, mg_model_head(&t, g->m, hidden, rows, n_rows), target);
        for (int64_t i = 0, k = 0; i < g->n; i++)
            for (int64_t j = 0; j < g->streams[i].s->n_forced; j++, k++)
                say(g, g->streams[i].s, target[k], logp[k]);
    }
    if (!err && n_first > 0) err = sample(g, &t, hidden, first, who, n_first);
    mg_arena_reset(g->scratch, mark);
    return err;
}

// One more token for every stream that is not done; *live is how many there were.
static mg_err advance(generator *g, int64_t *live) {
    const size_t mark = mg_arena_mark(g->scratch);
    mg_tape      t    = mg_tape_make(g->scratch, g->team, false);
    stream     **who  = MG_NEW(g->scratch, stream *, g->n);
    int64_t      n    = 0;
    for (int64_t i = 0; i < g->n; i++)
        if (!done(g, g->streams[i].s)) who[n++] = &g->streams[i];
    *live = n;
    if (n == 0) return MG_OK;

    mg_batch b;
    mg_batch_init(&b, g->scratch, n, n);
    mg_query_group *groups  = MG_NEW(g->scratch, mg_query_group, n);
    mg_key_span    *spans   = MG_NEW(g->scratch, mg_key_span, SPANS_MAX * n);
    int32_t        *rows    = MG_NEW(g->scratch, int32_t, n), *place = MG_NEW(g->scratch, int32_t, n);
    int32_t         n_spans = 0;
    for (int64_t i = 0; i < n; i++) {
        const stream    *st  = who[i];
        const mg_sample *s   = st->s;
        const int64_t    own = s->n - s->n_forced; // said so far, the token to be read among them
        mg_batch_add(&b, &s->tokens[s->n - 1], 1, -1);
        b.positions[i] = b.sequences[i].position = (int32_t)(st->prompt_n + s->n - 1);
        const int32_t from = n_spans;
        spans[n_spans++]   = (mg_key_span){st->prompt_row, st->prompt_n};
        if (s->n_forced > 0) spans[n_spans++] = (mg_key_span){st->prefix_row, s->n_forced};
        spans[n_spans++] = (mg_key_span){st->own_row, own};
        groups[i] = (mg_query_group){i, 1, from, n_spans - from, (int32_t)i};
        rows[i]   = (int32_t)i;
        place[i]  = (int32_t)(st->own_row + own - 1);
    }
    b.plan         = (mg_attention_plan){groups, spans, n, n};
    g->cache.place = place;

    mg_tensor *hidden;
    mg_err     err = mg_model_hidden(&t, g->m, &b, &g->cache, &hidden);
    if (!err) err = sample(g, &t, hidden, rows, who, n);
    mg_arena_reset(g->scratch, mark);
    return err;
}

// ---- the whole ----

static mg_err check(const mg_model *m, const mg_prompt *prompts, const mg_sample *samples, int64_t n,
                    const mg_sampling *how) {
    MG_ASSERT(how->new_max >= 1 && how->temperature >= 0);
    for (int64_t i = 0; i < n; i++) {
        const int64_t prompt = prompts[samples[i].prompt].n;
        MG_ASSERT(prompt >= 1 && samples[i].n_forced <= how->new_max);
        if (prompt + how->new_max > m->config.context_max)
            return mg_fail(MG_LIMIT,
                           "prompt %d: %lld tokens and an answer of up to %lld do not fit into the "
                           "%lld positions of the model",
                           samples[i].prompt, (long long)prompt, (long long)how->new_max,
                           (long long)m->config.context_max);
    }
    return MG_OK;
}

mg_err mg_generate(mg_model *m, mg_team *team, const mg_prompt *prompts, int64_t n_prompts,
                   mg_sample *samples, int64_t n_samples, const mg_sampling *how, mg_rng draws,
                   mg_arena *arena, mg_arena *scratch) {
    mg_err err = check(m, prompts, samples, n_samples, how);
    if (err) return err;
    int64_t rows = 0;
    for (int64_t i = 0; i < n_samples; i++) {
        samples[i].tokens  = MG_NEW(arena, int32_t, how->new_max);
        samples[i].logp    = MG_NEW(arena, float, how->new_max);
        samples[i].n       = 0;
        samples[i].stopped = false;
        rows += samples[i].n_forced;
    }
    for (int64_t p = 0; p < n_prompts; p++) rows += prompts[p].n;

    const size_t mark = mg_arena_mark(scratch);
    generator    g = {.m = m, .team = team, .how = how, .draws = draws, .scratch = scratch,
                      .n = n_samples, .streams = MG_NEW(scratch, stream, n_samples)};
    for (int64_t i = 0; i < n_samples; i++) {
        g.streams[i] = (stream){.s = &samples[i], .own_row = rows};
        rows += how->new_max - samples[i].n_forced;
    }
    mg_cache_init(&g.cache, m, scratch, rows);
    err = prefill(&g, prompts, n_prompts);
    for (int64_t live = 1; live > 0 && !err;) err = advance(&g, &live);
    mg_arena_reset(scratch, mark);
    return err;
}
