// grpo.c - one GRPO update of a language model.
//
// Source: Shao et al. 2024, arXiv:2402.03300, eq. 3 (objective), eq. 4 (KL), outcome supervision.
// Not in the paper: 1e-4 beside the deviation, so that a group of equal rewards has advantage 0 and
// not 0/0; the gradient's norm is limited; length_norm batch is the token mean of later work
// (Yu et al. 2025, arXiv:2503.14476, eq. 8); after exclusions each answer weighs alike, so a
// smaller group weighs less; an answer without its stop has missing_eos for its score.
#include "algos/grpo/grpo.h"

#include <math.h>
#include <string.h>

#include "algos/episodes.h"
#include "algos/losses.h"
#include "algos/tokens.h"
#include "rewards/reward_model.h"

#define MG_CONFIG_OF mg_grpo_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_GRPO_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

typedef struct grpo {
    const mg_job   *job;
    mg_grpo_config  config;
    mg_model       *policy, *reference; // owned
    mg_adamw        opt;
    mg_reward_model reward;  // model NULL: the environment's own reward
    int64_t        *rows;    // usable items; NULL: all of the world's
    int64_t         n_rows;
} grpo;

typedef struct batch {
    mg_episode_tokens t;
    double           *ref;    // [count]
    double           *A;      // [count] the answer's advantage, on each of its tokens
    uint8_t          *keep;   // [count] sampled token
    double            reward, env_reward;
} batch;

void mg_grpo_advantages(int64_t n, const int32_t *group, const double *reward, bool divide_by_std,
                        double *advantage) {
    for (int64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && group[end] == group[begin];) end++;
        const double size = (double)(end - begin);
        double       mean = 0, var = 0;
        for (int64_t i = begin; i < end; i++) mean += reward[i] / size;
        for (int64_t i = begin; i < end; i++) var += (reward[i] - mean) * (reward[i] - mean) / size;
        for (int64_t i = begin; i < end; i++)
            advantage[i] = (reward[i] - mean) / (divide_by_std ? sqrt(var) + 1e-4 : 1);
    }
}

static mg_err score(grpo *g, const mg_episode_tokens *t, mg_episode *episodes) {
    if (!g->reward.model) return MG_OK;
    double *S   = MG_NEW(g->job->step, double, t->n);
    mg_err  err = mg_reward_model_score(&g->reward, g->job->team, &t->answers, g->config.microbatch,
                                        g->job->step, S);
    for (int64_t i = 0; i < t->n && !err; i++)
        episodes[i].learned = mg_reward_of(episodes[i].stopped ? S[i] : g->config.missing_eos);
    return err;
}

static mg_err prepare(grpo *g, mg_episode *episodes, int64_t n, batch *b) {
    mg_arena *step = g->job->step;
    *b             = (batch){0};
    mg_episode_tokens_make(episodes, n, step, &b->t);
    mg_err err = score(g, &b->t, episodes);
    if (err) return err;

    int32_t *group  = MG_NEW(step, int32_t, n);
    double  *reward = MG_NEW(step, double, n), *A = MG_NEW(step, double, n);
    for (int64_t i = 0; i < n; i++) {
        group[i]  = episodes[i].start.group;
        reward[i] = mg_episode_reward(&episodes[i]);
        b->reward += reward[i] / (double)n;
    }
    mg_grpo_advantages(n, group, reward, g->config.divide_by_std, A);

    b->A    = MG_NEW(step, double, b->t.count);
    b->keep = MG_NEW(step, uint8_t, b->t.count);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = b->t.offset[i]; k < b->t.offset[i + 1]; k++) {
            b->A[k]    = A[i];
            b->keep[k] = b->t.role[k] == MG_ROLE_POLICY;
        }
    }
    float *column = MG_NEW(step, float, b->t.count);
    err = mg_answers_read_logp(g->reference, g->job->team, &b->t.answers, g->config.temperature,
                               g->config.microbatch, step, column);
    b->ref = MG_NEW(step, double, b->t.count);
    for (int64_t k = 0; k < b->t.count && !err; k++) b->ref[k] = (double)column[k];
    return err;
}

static double kept(const batch *b, int64_t i) {
    double n = 0;
    for (int64_t k = b->t.offset[i]; k < b->t.offset[i + 1]; k++) n += b->keep[k];
    return n;
}

// Eq. 3, negated: weight_i sum_t [clip loss + beta k3], weight_i = 1/(G |o_i|) or 1/sum_i |o_i|.
static mg_err gradient(grpo *g, const batch *b, double *loss, double *kl, mg_clip_counts *counts) {
    mg_arena    *step = g->job->step;
    const size_t mark = mg_arena_mark(step);
    const bool   by_answer = strcmp(g->config.length_norm, "answer") == 0;
    double       tokens = 0, answers = 0;
    for (int64_t i = 0; i < b->t.n; i++) tokens += kept(b, i), answers += kept(b, i) > 0;
    if (tokens == 0)
        return mg_fail(MG_EMPTY, "none of %lld answers has a token of the policy's", (long long)b->t.n);
    for (int64_t i = 0, stop; i < b->t.n; i = stop) {
        stop                  = mg_answers_portion(&b->t.answers, i, b->t.n, 1);
        const mg_answers part = mg_answers_view(&b->t.answers, i, stop);
        mg_tape          tape = mg_tape_make(step, g->job->team, true);
        mg_tensor       *logp;
        mg_err err = mg_answers_logp(&tape, g->policy, &part, g->config.temperature, &logp, NULL);
        if (err) return err;
        for (int64_t j = i; j < stop; j++) {
            const int64_t at = b->t.offset[j], n = b->t.offset[j + 1] - at;
            const int64_t row = at - b->t.offset[i]; // of logp
            if (kept(b, j) == 0) continue;
            const double weight = by_answer ? 1 / (answers * kept(b, j)) : 1 / tokens;
            const float *lp     = mg_f32(logp) + row;
            float       *dlp    = mg_grad_f32(logp) + row;
            *loss += mg_loss_clip(n, lp, b->t.logp_old + at, b->A + at, b->keep + at,
                                  g->config.clip, weight, dlp, counts);
            *kl += mg_loss_k3(n, lp, b->ref + at, b->keep + at, weight * g->config.kl_coef, dlp);
        }
        mg_tape_backward(&tape);
        mg_arena_reset(step, mark);
    }
    return MG_OK;
}

static mg_err update(mg_learner *learner, int64_t u, mg_episode *episodes, int64_t n,
                     mg_metrics *out) {
    grpo                 *g  = (grpo *)learner;
    const mg_grpo_config *c  = &g->config;
    const double          lr = mg_job_step(g->job) * mg_schedule_lr(mg_schedule_named(c->schedule), c->lr, u,
                                                           c->updates, c->warmup);
    batch  b;
    mg_err err = prepare(g, episodes, n, &b);
    if (err) return err;

    double         loss = 0, kl = 0, norm = 0, length = 0, stopped = 0, first_ratio = 0;
    mg_clip_counts counts = {0};
    for (int64_t epoch = 0; epoch < c->epochs; epoch++) {
        err = gradient(g, &b, &loss, &kl, &counts);
        if (!err && !isfinite(loss + kl))
            err = mg_fail(MG_NUMERIC, "policy loss is %g, KL loss is %g", loss, kl);
        if (epoch == 0) first_ratio = counts.ratio_off_max;
        if (!err) err = mg_adamw_step(&g->opt, g->policy, lr, g->job->team, &norm);
        if (err) return err;
    }
    for (int64_t i = 0; i < n; i++) {
        length += (double)b.t.answers.answers[i].n / (double)n;
        stopped += (double)episodes[i].stopped / (double)n;
    }
    mg_metrics_add(out, "reward", b.reward);
    mg_metrics_add(out, "policy_loss", loss / (double)c->epochs);
    mg_metrics_add(out, "kl_loss", kl / (double)c->epochs);
    mg_metrics_add(out, "clip_ratio", counts.tokens > 0 ? counts.clipped / counts.tokens : 0);
    mg_metrics_add(out, "first_ratio_error", first_ratio);
    mg_metrics_add(out, "length", length);
    mg_metrics_add(out, "stopped", stopped);
    mg_metrics_add(out, "grad_norm", norm);
    mg_metrics_add(out, "lr", lr);
    return MG_OK;
}

static mg_err plan(mg_learner *learner, int64_t u, mg_start **starts, int64_t *n,
                   mg_sampling *how) {
    grpo                 *g    = (grpo *)learner;
    const mg_grpo_config *c    = &g->config;
    const int64_t         rows = g->rows ? g->n_rows : g->job->n_items;
    mg_start             *s    = MG_NEW(g->job->step, mg_start, c->prompts * c->group);
    int64_t              *take = MG_NEW(g->job->step, int64_t, c->prompts);
    mg_shuffled_rows(g->job->seed, rows, u, c->prompts, g->job->step, take);
    for (int64_t i = 0; i < c->prompts * c->group; i++) {
        const int64_t p = i / c->group, item = g->rows ? mg_pair_item(g->job->pairs, g->rows[take[p]])
                                                              : take[p];
        s[i] = (mg_start){.item = item, .group = (int32_t)p, .episode = (uint32_t)i};
    }
    *starts = s, *n = c->prompts * c->group;
    *how = (mg_sampling){.temperature = c->temperature, .top_p = 1, .new_max = g->job->response_max,
                         .stop = g->job->rule.stop};
    return MG_OK;
}

static void close_learner(mg_learner *learner) {
    grpo *g = (grpo *)learner;
    mg_model_free(g->policy);
    mg_model_free(g->reference);
    mg_reward_model_release(&g->reward);
    mg_adamw_release(&g->opt);
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    grpo *g   = MG_NEW(job->run, grpo, 1);
    g->job    = job;
    g->config = *(const mg_grpo_config *)config;
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = g->config.adam_eps,
                                  .clip = g->config.clip_norm};
    mg_pair_tokens tokens = {0};
    if (job->n_pairs == 0 && job->n_items == 0)
        return mg_fail(MG_CONFIG, "grpo: a group answers one task, but this world has no list of "
                                  "tasks: its seed decides");
    mg_err err = mg_model_load(&g->policy, job->model_folder, true);
    if (!err) err = mg_model_load(&g->reference, job->model_folder, false);
    if (!err && job->reward_folder[0]) err = mg_reward_model_load(&g->reward, job->reward_folder);
    if (!err) err = mg_model_compute(g->policy, job->compute);
    if (!err) err = mg_model_compute(g->reference, job->compute);
    if (!err) err = mg_model_compute(g->reward.model, job->compute);
    if (!err) err = mg_adamw_init(&g->opt, g->policy, &adam);
    if (!err && job->n_pairs > 0) err = mg_pair_tokens_make(job, job->pairs, job->n_pairs, &tokens);
    g->rows = tokens.rows, g->n_rows = tokens.n_rows;
    if (err)
        close_learner((mg_learner *)g);
    else
        *out = (mg_learner *)g;
    return err;
}

static int64_t updates(const mg_learner *l) { return ((const grpo *)l)->config.updates; }
static int     parts(mg_learner *l, mg_part out[MG_PARTS_MAX]) {
    out[0] = (mg_part){"", ((grpo *)l)->policy, &((grpo *)l)->opt};
    return 1;
}

const mg_algo mg_algo_grpo = {
    .name        = "grpo",
    .summary     = "policy optimisation with group means as the baseline",
    .citation    = "Shao et al. 2024, arXiv:2402.03300",
    .fields      = fields,
    .config_size = sizeof(mg_grpo_config),
    .acts_in     = MG_IN_TEXTS,
    .needs_world = true,
    .open        = open_learner,
    .updates     = updates,
    .plan        = plan,
    .update      = update,
    .parts       = parts,
    .close       = close_learner,
};
