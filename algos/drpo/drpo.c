// drpo.c - where DR-PO's episodes start. The rest is ppo/.
//
// Source: arXiv:2404.08495, Algorithm 1, lines "tau ~ Uniform(D_TR); h ~ random step of tau; reset
// to s_h, roll out pi_t to the end". For a language model a state is a prompt and the answer so
// far; in data of several turns it is a world between two turns of a demonstration.
// Not in the paper: the range of the prefix and the empty prefix are settings (drpo.h); the coin of
// reset_share is keyed by (seed, update, episode), so a run can be repeated.
#include "algos/drpo/drpo.h"

#include <string.h>

#include "core/log.h"

#define MG_CONFIG_OF mg_drpo_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_DRPO_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

typedef struct drpo {
    mg_ppo         ppo;
    mg_drpo_config config;
    bool           turns; // the data have pairs of several turns: resets go between turns
} drpo;

// ppo.c reads its own struct: drpo's first fields, copied by name.
static mg_ppo_config ppo_part(const mg_drpo_config *c) {
#define COPY(kind, name, fallback, min, max, doc) .name = c->name,
    return (mg_ppo_config){MG_PPO_FIELDS(COPY)};
#undef COPY
}

// The longest prefix of a reference; none where it is 0 or less.
static int64_t longest(const mg_drpo_config *c, int64_t reference_tokens, int64_t response_max) {
    const int64_t L     = reference_tokens < response_max ? reference_tokens : response_max;
    const int64_t share = (int64_t)(c->prefix_share_max * (double)L);
    return share < L - 1 ? share : L - 1;
}

int64_t mg_drpo_prefix(const mg_drpo_config *c, int64_t reference_tokens, int64_t response_max,
                       mg_rng *rng) {
    const bool    reset = mg_rng_uniform(rng) < c->reset_share;
    const int64_t lo = c->prefix_zero ? 0 : 1, hi = longest(c, reference_tokens, response_max);
    if (!reset || hi < lo) return 0;
    return lo + (int64_t)mg_rng_below(rng, (uint64_t)(hi - lo + 1));
}

// Roll-ins of the starting policy (the theory's resets, Remark 5.1): one full sample per start.
static mg_err sample_roll_ins(drpo *d, int64_t update, const mg_start *starts, const int64_t *rows,
                              int64_t n, mg_sample **out) {
    const mg_job *job     = d->ppo.job;
    mg_prompt    *prompts = MG_NEW(job->step, mg_prompt, n);
    mg_sample    *s       = MG_NEW(job->step, mg_sample, n);
    for (int64_t i = 0; i < n; i++) {
        prompts[i] = d->ppo.references.prompts[rows[i]];
        // Attempt 1 keeps these draws apart from the episodes' own, which are attempt 0.
        s[i] = (mg_sample){.prompt = (int32_t)i, .episode = starts[i].episode, .attempt = 1};
    }
    const mg_sampling how = {.temperature = d->config.temperature, .top_p = 1,
                             .new_max = job->response_max, .stop = job->rule.stop};
    *out = s;
    return mg_generate(d->ppo.reference, job->team, prompts, n, s, n, &how,
                       mg_rng_stream(job->seed, MG_PURPOSE_RESET, (uint64_t)update + 1), job->step,
                       job->step);
}

// Behind a prefix of the answer `tokens`.
static void into_answer(const drpo *d, const int32_t *tokens, int64_t n, mg_rng *rng, mg_start *s) {
    s->n_prefix = mg_drpo_prefix(&d->config, n, d->ppo.job->response_max, rng);
    s->prefix   = s->n_prefix == 0 ? NULL : tokens;
}

// Behind whole turns of the demonstration: what holds for a prefix's tokens holds for these. One of a
// single turn has nothing behind which the policy could go on.
static void between_turns(const drpo *d, const mg_pair *demo, mg_rng *rng, mg_start *s) {
    s->demo_turns = mg_drpo_prefix(&d->config, demo->n_later + 1, INT64_MAX, rng);
    s->demo       = s->demo_turns == 0 ? NULL : demo;
}

static mg_err plan(mg_learner *learner, int64_t update, mg_start **starts, int64_t *n,
                   mg_sampling *how) {
    drpo    *d = (drpo *)learner;
    int64_t *rows;
    mg_err   err = mg_ppo_plan(&d->ppo, update, starts, n, how, &rows);
    if (err || d->config.reset_share == 0) return err;

    const bool roll_in = strcmp(d->config.reset_source, "sft") == 0;
    mg_sample *samples = NULL;
    if (roll_in && (err = sample_roll_ins(d, update, *starts, rows, *n, &samples))) return err;

    mg_rng rng = mg_rng_stream(d->ppo.job->seed, MG_PURPOSE_RESET, 0);
    for (int64_t i = 0; i < *n; i++) {
        mg_start        *s   = &(*starts)[i];
        const mg_answer *ref = &d->ppo.references.answers[rows[i]];
        mg_rng_seek(&rng, (uint32_t)update, 0, (uint32_t)i);
        if (d->turns)
            between_turns(d, &d->ppo.job->pairs[rows[i]], &rng, s);
        else if (roll_in)
            into_answer(d, samples[i].tokens, samples[i].n, &rng, s);
        else
            into_answer(d, ref->tokens, ref->n, &rng, s);
    }
    return MG_OK;
}

// How much of the usable reference `row` is before its last token, or turn, and may be a prefix.
static int64_t longest_of(const drpo *d, int64_t row) {
    const mg_job *job = d->ppo.job;
    if (d->turns) return longest(&d->config, job->pairs[row].n_later + 1, INT64_MAX);
    if (strcmp(d->config.reset_source, "sft") == 0) return longest(&d->config, INT64_MAX, job->response_max); // at most
    return longest(&d->config, d->ppo.references.answers[row].n, job->response_max);
}

// A reference that is the stop alone, of one turn, or too short for prefix_share_max has nothing to reset into: its
// episodes start at the prompt, and nobody would see it.
static mg_err check_inside(const drpo *d) {
    const mg_pair_tokens *t     = &d->ppo.references;
    int64_t               brief = 0;
    for (int64_t i = 0; i < t->n_rows; i++) brief += longest_of(d, t->rows[i]) < 1;
    if (brief == t->n_rows)
        return mg_fail(MG_CONFIG, "drpo.reset_source: found %s, wanted what has a part to begin behind: with "
                                  "prefix_share_max %g none of the %lld %s that fit has one", d->config.reset_source,
                       d->config.prefix_share_max, (long long)t->n_rows, d->turns ? "conversations" : "references");
    if (brief > 0)
        mg_log(MG_LOG_WARN, "drpo: %lld of %lld references are too short to begin behind a part of them: their "
                            "episodes start at the prompt", (long long)brief, (long long)t->n_rows);
    return MG_OK;
}

// A world between two turns comes from a recorded demonstration alone, and the log-probabilities of what
// was said there are not computed.
static mg_err check_turns(const mg_drpo_config *c) {
    if (strcmp(c->reset_source, "reference") != 0)
        return mg_fail(MG_CONFIG, "drpo.reset_source: found %s, wanted reference: the data have several "
                                  "turns", c->reset_source);
    if (strcmp(c->mask_mode, "strict") != 0)
        return mg_fail(MG_CONFIG, "drpo.mask_mode: found %s, wanted strict: the data have several turns",
                       c->mask_mode);
    return MG_OK;
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    drpo *d   = MG_NEW(job->run, drpo, 1);
    d->config = *(const mg_drpo_config *)config;
    if (job->n_pairs == 0)
        return mg_fail(MG_CONFIG,
                       "drpo: reset_source: the data hold no reference answers to reset into");
    const mg_ppo_config ppo = ppo_part(&d->config);
    d->turns                = mg_pairs_have_turns(job->pairs, job->n_pairs);
    mg_err err = d->turns ? check_turns(&d->config) : MG_OK;
    if (!err) err = mg_ppo_open(&d->ppo, job, &ppo);
    if (!err && d->config.reset_share > 0) err = check_inside(d);
    if (err)
        mg_ppo_close(&d->ppo);
    else
        *out = (mg_learner *)d;
    return err;
}

static int64_t updates(const mg_learner *l) { return ((const drpo *)l)->config.updates; }
static int     parts(mg_learner *l, mg_part out[MG_PARTS_MAX]) {
    return mg_ppo_parts(&((drpo *)l)->ppo, out);
}
static mg_err update(mg_learner *l, int64_t u, mg_episode *episodes, int64_t n, mg_metrics *out) {
    return mg_ppo_update(&((drpo *)l)->ppo, u, episodes, n, out);
}
static void close_learner(mg_learner *l) { mg_ppo_close(&((drpo *)l)->ppo); }

const mg_algo mg_algo_drpo = {
    .name         = "drpo",
    .summary      = "PPO that resets into reference answers",
    .citation     = "Chang et al. 2024, arXiv:2404.08495",
    .fields       = fields,
    .config_size  = sizeof(mg_drpo_config),
    .acts_in      = MG_IN_TEXTS,
    .needs_pairs  = true,
    .needs_world  = true,
    .needs_resets = true,
    .open         = open_learner,
    .updates      = updates,
    .plan         = plan,
    .update       = update,
    .parts        = parts,
    .close        = close_learner,
};
