// generate.c - prefill, then one token per live sample and step.
//
// Cache rows are given out once: prompts and forced prefixes first, in the order in which the
// prefill reads them, then a block of rows per sample for what it will say. A decode step is a
// batch of one-token sequences whose plan names [prompt rows, forced rows, own rows so far]: keys
// are visited in order of position, as in training.
//
// Both kinds of pass end alike. They leave `asks`: a token of an answer and the row of hidden that
// speaks of it. A forced token is only given its log-probability; another is drawn first.
#include "nets/generate.h"

#include <math.h>

#include "nets/choose.h"

enum {
    LOGITS_AT_ONCE = 256, // rows of logits held at a time: with a wide vocabulary they are large
    SPANS_MAX      = 3,   // prompt, forced prefix, own tokens
    TOGETHER  = MG_FEW_ROWS, // streams whose last tokens one worker reads, all layers, beside others
    ALONE_MIN = 8,           // streams for which that pays
};

#define TEMPERATURE_MIN 1e-3 // keeps logits / temperature a float

typedef struct stream { // a sample on its way
    mg_sample *sample;
    int64_t    prompt_row, prompt_n; // in the cache: its prompt,
    int64_t    forced_row;           // its forced tokens,
    int64_t    own_row;              // what it says itself
} stream;

typedef struct ask {
    stream *who;
    int64_t at;    // index in the answer
    int32_t row;   // of hidden
    int32_t token; // forced, or MG_UNCHOSEN
} ask;

typedef struct generator {
    mg_model          *m;
    mg_team           *team;
    const mg_sampling *how;
    mg_rng             draws;
    mg_arena          *scratch;
    mg_cache           cache;
    stream            *streams; // [n]
    stream           **live;    // [n] those that are not done
    int64_t            n, n_live;
    mg_arena          *seats;   // [workers] memory of each; NULL: all work on one pass
    size_t             before_seats; // mark of scratch
} generator;

// ---- answering asks ----

typedef struct choice {
    const generator *g;
    const ask       *asks;
    const float     *z;       // [asks, vocab]
    mg_arena        *scratch; // [workers]
    int32_t         *tokens;  // [asks]; MG_UNCHOSEN when a logit is not finite
} choice;

static void choose(void *context, int64_t i, int worker) {
    static const mg_sampling only_look = {.temperature = 0}; // whether logits are finite

    const choice      *c     = context;
    const ask         *a     = &c->asks[i];
    const mg_sampling *how   = a->token == MG_UNCHOSEN ? c->g->how : &only_look;
    const int64_t      vocab = c->g->m->config.vocab;
    mg_rng             draws = c->g->draws;
    mg_rng_seek(&draws, a->who->sample->episode, a->who->sample->attempt, (uint32_t)a->at);
    c->tokens[i] = mg_choose(how, c->z + i * vocab, vocab, draws, &c->scratch[worker]);
    if (c->tokens[i] != MG_UNCHOSEN && a->token != MG_UNCHOSEN) c->tokens[i] = a->token;
}

// Log-probabilities come from the operation that training uses, so that both have the same bits.
// Returns the first ask whose logits are not finite; of nobody when all are.
static ask answer_some(const generator *g, mg_tape *t, mg_tensor *hidden, const ask *asks,
                       int64_t n) {
    int32_t *rows = mg_arena_alloc_raw(t->arena, sizeof *rows * (size_t)n);
    for (int64_t i = 0; i < n; i++) rows[i] = asks[i].row;
    mg_tensor *z       = mg_model_head(t, g->m, hidden, rows, n);
    const int  workers = mg_team_threads(t->team);
    choice     c       = {.g = g, .asks = asks, .z = mg_f32(z),
                          .scratch = MG_NEW(t->arena, mg_arena, workers),
                          .tokens  = MG_NEW(t->arena, int32_t, n)};
    for (int w = 0; w < workers; w++)
        c.scratch[w] = mg_arena_part(t->arena, mg_choose_memory(g->m->config.vocab));
    mg_team_run(t->team, choose, &c, n);
    for (int64_t i = 0; i < n; i++)
        if (c.tokens[i] == MG_UNCHOSEN) return asks[i];

    const double temperature = g->how->temperature == 0 ? 1 : g->how->temperature;
    const float *logp        = mg_f32(mg_token_logp(t, z, c.tokens, temperature, NULL));
    for (int64_t i = 0; i < n; i++) {
        mg_sample *s = asks[i].who->sample;
        MG_ASSERT(s->n == asks[i].at);
        s->tokens[s->n] = c.tokens[i];
        s->logp[s->n++] = logp[i];
        s->stopped      = c.tokens[i] == g->how->stop;
    }
    return (ask){0};
}

// Reads a batch into the places of the cache and answers the asks. Returns as answer_some.
static ask pass(const generator *g, mg_arena *arena, mg_team *team, const mg_batch *b,
                const int32_t *place, const ask *asks, int64_t n) {
    const size_t mark  = mg_arena_mark(arena);
    mg_tape      t     = mg_tape_make(arena, team, false);
    mg_cache     cache = g->cache;
    mg_tensor   *hidden;
    ask          bad = {0};
    cache.place      = place;
    const mg_err err = mg_model_hidden(&t, g->m, b, &cache, &hidden);
    MG_ASSERT(!err); // its only error is a context too long, which was looked at before

    const size_t read = mg_arena_mark(arena);
    for (int64_t i = 0; i < n && !bad.who; i += LOGITS_AT_ONCE) {
        const int64_t left = n - i;
        bad = answer_some(g, &t, hidden, asks + i, left < LOGITS_AT_ONCE ? left : LOGITS_AT_ONCE);
        mg_arena_reset(arena, read);
    }
    mg_arena_reset(arena, mark);
    return bad;
}

static mg_err verdict(ask bad) {
    if (!bad.who) return MG_OK;
    return mg_fail(MG_NUMERIC, "episode %u, attempt %u, token %lld: logits are not finite",
                   bad.who->sample->episode, bad.who->sample->attempt, (long long)bad.at);
}

// ---- the two kinds of pass ----

// Lays out what is to be read before the first draw: each prompt that has samples, and the forced
// tokens as its continuations. Cache rows are batch rows. Returns the number of asks.
static int64_t lay_out(generator *g, const mg_prompt *prompts, int64_t n_prompts, mg_batch *b,
                       ask *asks) {
    int32_t *sequence = MG_NEW(g->scratch, int32_t, n_prompts); // of each prompt; -1: not read
    int64_t  n        = 0;
    for (int64_t p = 0; p < n_prompts; p++) sequence[p] = -1;
    for (int64_t i = 0; i < g->n; i++) {
        stream          *st     = &g->streams[i];
        const mg_sample *s      = st->sample;
        const mg_prompt *prompt = &prompts[s->prompt];
        int32_t         *parent = &sequence[s->prompt];
        if (*parent < 0) *parent = mg_batch_add(b, prompt->tokens, prompt->n, -1);
        st->prompt_row = b->sequences[*parent].row;
        st->prompt_n   = prompt->n;
        st->forced_row = b->n_tokens;
        if (s->n_forced > 0) mg_batch_add(b, s->forced, s->n_forced, *parent);

        // Row `last` has read everything before token k.
        int32_t last = (int32_t)(st->prompt_row + prompt->n - 1);
        for (int64_t k = 0; k < s->n_forced; k++) {
            asks[n++] = (ask){st, k, last, s->forced[k]};
            last      = (int32_t)(st->forced_row + k);
        }
        const bool stopped = s->n_forced > 0 && s->forced[s->n_forced - 1] == g->how->stop;
        if (!stopped && s->n_forced < g->how->new_max)
            asks[n++] = (ask){st, s->n_forced, last, MG_UNCHOSEN};
    }
    mg_batch_plan(b, g->scratch);
    return n;
}

// Reads all of that, and gives every sample its forced tokens and its first own one.
static mg_err prefill(generator *g, const mg_prompt *prompts, int64_t n_prompts) {
    mg_batch b;
    int64_t  tokens = 0, forced = 0;
    for (int64_t p = 0; p < n_prompts; p++) tokens += prompts[p].n;
    for (int64_t i = 0; i < g->n; i++) forced += g->streams[i].sample->n_forced;
    mg_batch_init(&b, g->scratch, tokens + forced, n_prompts + g->n);
    ask          *asks   = MG_NEW(g->scratch, ask, forced + g->n);
    const int64_t n_asks = lay_out(g, prompts, n_prompts, &b, asks);

    int64_t rows = b.n_tokens;
    for (int64_t i = 0; i < g->n; i++) {
        g->streams[i].own_row = rows;
        rows += g->how->new_max - g->streams[i].sample->n_forced;
    }
    mg_cache_init(&g->cache, g->m, g->scratch, rows);
    int32_t *place = MG_NEW(g->scratch, int32_t, b.n_tokens);
    for (int64_t i = 0; i < b.n_tokens; i++) place[i] = (int32_t)i;
    return verdict(pass(g, g->scratch, g->team, &b, place, asks, n_asks));
}

// Reads the last token of each of n streams and gives it one more. Returns as answer_some.
static ask read_last(const generator *g, mg_arena *arena, mg_team *team, stream *const *streams,
                     int64_t n) {
    const size_t    mark   = mg_arena_mark(arena);
    ask            *asks   = MG_NEW(arena, ask, n);
    mg_query_group *groups = MG_NEW(arena, mg_query_group, n);
    mg_key_span    *spans  = MG_NEW(arena, mg_key_span, SPANS_MAX * n);
    int32_t        *place  = MG_NEW(arena, int32_t, n);
    int32_t         n_spans = 0;
    mg_batch        b;
    mg_batch_init(&b, arena, n, n);
    for (int64_t i = 0; i < n; i++) {
        stream          *st  = streams[i];
        const mg_sample *s   = st->sample;
        const int64_t    own = s->n - s->n_forced; // the token to be read among them
        mg_batch_add(&b, &s->tokens[s->n - 1], 1, -1);
        b.positions[i] = b.sequences[i].position = (int32_t)(st->prompt_n + s->n - 1);

        const int32_t first = n_spans;
        spans[n_spans++]    = (mg_key_span){st->prompt_row, st->prompt_n};
        if (s->n_forced > 0) spans[n_spans++] = (mg_key_span){st->forced_row, s->n_forced};
        spans[n_spans++] = (mg_key_span){st->own_row, own};
        groups[i]        = (mg_query_group){.row = i, .n = 1, .span = first,
                                            .spans = n_spans - first}; // all one family
        place[i]         = (int32_t)(st->own_row + own - 1);
        asks[i]          = (ask){st, s->n, (int32_t)i, MG_UNCHOSEN};
    }
    b.plan        = (mg_attention_plan){groups, spans, n, 1};
    const ask bad = pass(g, arena, team, &b, place, asks, n);
    mg_arena_reset(arena, mark);
    return bad;
}

static void find_live(generator *g) {
    g->n_live = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const mg_sample *s = g->streams[i].sample;
        if (!s->stopped && s->n < g->how->new_max) g->live[g->n_live++] = &g->streams[i];
    }
}

// ---- a step ----
//
// Rows of a decode step have nothing to do with one another: each reads the cache and writes a place
// of its own. So where products share nothing (ops.h), every worker takes some streams through all
// layers up to the drawn token and meets the others only at the end of the step. A few streams go
// as one pass instead, whose products are cut by columns.

typedef struct seating {
    const generator *g;
    int64_t          size; // streams in a piece
    ask             *bad;  // [pieces]
} seating;

static void read_some(void *context, int64_t piece, int worker) {
    const seating *s     = context;
    const int64_t  first = piece * s->size;
    s->bad[piece] = read_last(s->g, &s->g->seats[worker], NULL, s->g->live + first,
                              mg_piece_end(s->g->n_live, s->size, piece) - first);
}

static bool shares_nothing(const mg_model *m) {
    for (int64_t i = 0; i < m->config.n_layers; i++) {
        const mg_model_layer *l = &m->layers[i];
        const mg_tensor *const W[] = {l->q, l->k, l->v, l->o, l->gate, l->up, l->down};
        for (size_t k = 0; k < sizeof W / sizeof *W; k++)
            if (!mg_linear_shares_nothing(W[k])) return false;
    }
    return mg_linear_shares_nothing(m->head);
}

// More than twice what the activations of a piece take.
static size_t memory_of_piece(const generator *g) {
    const mg_model_config *c = &g->m->config;
    const int64_t heads = c->n_heads * c->head_width, kv = c->n_kv_heads * c->head_width;
    const int64_t row   = 16 * c->d_model + 8 * heads + 8 * kv + 8 * c->d_ff + 2 * c->vocab;
    const int64_t scores = 4 * c->n_heads * (c->context_max + c->head_width + 64);
    return sizeof(float) * (size_t)(TOGETHER * row + scores) + 2 * mg_choose_memory(c->vocab) +
           ((size_t)1 << 20);
}

// Seats are cut from what is left of the scratch memory, and given back before a pass of all workers,
// which has need of it.
static void seat_workers(generator *g) {
    const int    workers = mg_team_threads(g->team);
    const size_t left    = g->scratch->size_max - g->scratch->used;
    const size_t size    = left / (size_t)(workers + 1) / 64 * 64;
    if (g->n < ALONE_MIN || size < memory_of_piece(g) || !shares_nothing(g->m)) return;
    g->before_seats = mg_arena_mark(g->scratch);
    g->seats        = MG_NEW(g->scratch, mg_arena, workers);
    for (int w = 0; w < workers; w++) g->seats[w] = mg_arena_part(g->scratch, size);
}

// Half of few streams, TOGETHER of many: by their number alone.
static int64_t streams_of_piece(int64_t n) {
    const int64_t half = (n + 1) / 2;
    return half < TOGETHER ? half : TOGETHER;
}

// One more token for every stream that is not done.
static mg_err advance(generator *g) {
    if (g->seats && g->n_live < ALONE_MIN) {
        mg_arena_reset(g->scratch, g->before_seats);
        g->seats = NULL;
    }
    if (!g->seats) return verdict(read_last(g, g->scratch, g->team, g->live, g->n_live));
    const size_t  mark   = mg_arena_mark(g->scratch);
    const int64_t size   = streams_of_piece(g->n_live), pieces = mg_pieces(g->n_live, size);
    seating       s      = {.g = g, .size = size, .bad = MG_NEW(g->scratch, ask, pieces)};
    mg_err        err    = MG_OK;
    mg_team_run(g->team, read_some, &s, pieces);
    for (int64_t i = 0; i < pieces && !err; i++) err = verdict(s.bad[i]);
    mg_arena_reset(g->scratch, mark);
    return err;
}

// ---- the whole ----

static mg_err check(const mg_model *m, const mg_prompt *prompts, int64_t n_prompts,
                    const mg_sample *samples, int64_t n, const mg_sampling *how) {
    MG_ASSERT(!m->config.scalar_head);
    MG_ASSERT(how->new_max >= 1);
    if (!(how->temperature == 0 || how->temperature >= TEMPERATURE_MIN))
        return mg_fail(MG_CONFIG, "temperature: found %g, wanted 0 or at least %g",
                       how->temperature, TEMPERATURE_MIN);
    for (int64_t i = 0; i < n; i++) {
        const mg_sample *s = &samples[i];
        MG_ASSERT(s->prompt >= 0 && s->prompt < n_prompts && prompts[s->prompt].n >= 1);
        const long long prompt = prompts[s->prompt].n, new_max = how->new_max;
        if (prompt + new_max > m->config.context_max)
            return mg_fail(MG_LIMIT,
                           "prompt %d: %lld tokens and an answer of up to %lld do not fit into the "
                           "%lld positions of the model",
                           s->prompt, prompt, new_max, (long long)m->config.context_max);
        if (s->n_forced > new_max)
            return mg_fail(MG_LIMIT, "sample %lld: %lld forced tokens in an answer of up to %lld",
                           (long long)i, (long long)s->n_forced, new_max);
    }
    return MG_OK;
}

mg_err mg_generate(mg_model *m, mg_team *team, const mg_prompt *prompts, int64_t n_prompts,
                   mg_sample *samples, int64_t n_samples, const mg_sampling *how, mg_rng draws,
                   mg_arena *arena, mg_arena *scratch) {
    mg_err err = check(m, prompts, n_prompts, samples, n_samples, how);
    if (err || n_samples == 0) return err;
    for (int64_t i = 0; i < n_samples; i++) {
        samples[i].tokens  = MG_NEW(arena, int32_t, how->new_max);
        samples[i].logp    = MG_NEW(arena, float, how->new_max);
        samples[i].n       = 0;
        samples[i].stopped = false;
    }

    const size_t mark = mg_arena_mark(scratch);
    generator    g = {.m = m, .team = team, .how = how, .draws = draws, .scratch = scratch,
                      .streams = MG_NEW(scratch, stream, n_samples),
                      .live = MG_NEW(scratch, stream *, n_samples), .n = n_samples};
    for (int64_t i = 0; i < n_samples; i++) g.streams[i].sample = &samples[i];
    err = prefill(&g, prompts, n_prompts);
    if (!err) seat_workers(&g);
    for (find_live(&g); g.n_live > 0 && !err; find_live(&g)) err = advance(&g);
    mg_arena_reset(scratch, mark);
    return err;
}
