// reward_model.c - Bradley-Terry maximum likelihood.
//
// Source: DR-PO, arXiv:2404.08495, eq. 1: minimise log(1 + exp(r(loser) - r(winner))).
// Not in the paper: pooling over tokens and standardising on samples are settings whose first words
// are the defaults here; the head starts at zero, so that all rewards start equal.
#include "algos/reward_model/reward_model.h"

#include <math.h>
#include <string.h>

#include "algos/losses.h"
#include "algos/pairwise.h"
#include "core/log.h"
#include "rewards/reward_model.h"

#define MG_CONFIG_OF mg_reward_model_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_REWARD_MODEL_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

#define ACCURACY_WARN 0.6 // held-out; below it a policy learns little but the model's mistakes

typedef struct learner {
    const mg_job          *job;
    mg_reward_model_config config;
    mg_reward_model        reward; // owned
    mg_adamw               opt;
    mg_pairwise            pairs;
    mg_pair_tokens         references; // n 0: none given
} learner;

static mg_err pass(void *self, const mg_answers *a, double weight, mg_pairwise_totals *sum) {
    learner   *l     = self;
    mg_arena  *step  = l->job->step;
    double    *score  = MG_NEW(step, double, a->n_answers);
    double    *dscore = MG_NEW(step, double, a->n_answers);
    mg_tape    tape  = mg_tape_make(step, l->job->team, weight > 0);
    mg_tensor *tokens;
    mg_err     err = mg_answers_scores(&tape, l->reward.model, a, &tokens);
    if (err) return err;
    mg_pool_forward(l->reward.pool, a, mg_f32(tokens), score);
    for (int64_t p = 0; p < a->n_answers / 2; p++) {
        const double margin = score[2 * p] - score[2 * p + 1];
        double       d;
        sum->loss += mg_loss_bradley_terry(margin, &d);
        sum->right += margin > 0;
        sum->margin += margin;
        dscore[2 * p]     = weight * d;
        dscore[2 * p + 1] = -weight * d;
    }
    if (weight > 0) {
        mg_pool_backward(l->reward.pool, a, dscore, mg_grad_f32(tokens));
        mg_tape_backward(&tape);
    }
    return MG_OK;
}

static mg_err update(mg_learner *self, int64_t u, mg_episode *episodes, int64_t n,
                     mg_metrics *out) {
    (void)episodes, (void)n;
    learner                      *l  = (learner *)self;
    const mg_reward_model_config *c  = &l->config;
    const double                  lr = mg_schedule_lr(mg_schedule_named(c->schedule), c->lr, u,
                                                      l->pairs.updates, c->warmup);
    double                        norm;
    mg_err                        err = mg_pairwise_gradient(&l->pairs, u, out);
    if (!err) err = mg_adamw_step(&l->opt, l->reward.model, lr, l->job->team, &norm);
    if (err) return err;
    mg_metrics_add(out, "grad_norm", norm);
    mg_metrics_add(out, "lr", lr);
    return MG_OK;
}

static mg_err evaluate(mg_learner *self, mg_metrics *out) {
    learner *l        = (learner *)self;
    double   accuracy = 1;
    mg_err   err      = mg_pairwise_evaluate(&l->pairs, out, &accuracy);
    if (!err && accuracy < ACCURACY_WARN)
        mg_log(MG_LOG_WARN,
               "reward model: held-out accuracy %.1f %% (n %lld) is below %.0f %%: a policy "
               "trained on it learns its mistakes",
               100 * accuracy, (long long)l->pairs.held.n, 100 * ACCURACY_WARN);
    return err;
}

// centre and scale from raw scores of samples (the pairs' texts) or of the human references.
static mg_err normalise(learner *l) {
    const bool samples = strcmp(l->config.normalise, "samples") == 0;
    mg_answers a       = {l->pairs.train.prompts, l->pairs.train.n, l->pairs.train.answers,
                          2 * l->pairs.train.n};
    if (!samples) {
        mg_answer *rows = MG_NEW(l->job->step, mg_answer, l->references.n_rows);
        for (int64_t i = 0; i < l->references.n_rows; i++)
            rows[i] = l->references.answers[l->references.rows[i]];
        a = (mg_answers){l->references.prompts, l->references.n, rows, l->references.n_rows};
    }
    if (a.n_answers > l->config.normalise_rows) a.n_answers = l->config.normalise_rows;
    const double n   = (double)a.n_answers;
    double      *raw = MG_NEW(l->job->step, double, a.n_answers), mean = 0, var = 0;
    l->reward.centre = 0, l->reward.scale = 1;
    mg_err err = mg_reward_model_score(&l->reward, l->job->team, &a, l->config.microbatch,
                                       l->job->step, raw);
    if (err) return err;
    for (int64_t i = 0; i < a.n_answers; i++) mean += raw[i] / n;
    for (int64_t i = 0; i < a.n_answers; i++) var += (raw[i] - mean) * (raw[i] - mean) / n;
    l->reward.centre = mean;
    if (samples && var > 0) l->reward.scale = sqrt(var);
    return MG_OK;
}

static mg_err finish(mg_learner *self, const char *folder) {
    learner *l   = (learner *)self;
    mg_err   err = normalise(l);
    if (!err) err = mg_reward_model_save(&l->reward, folder, MG_FILE_F32, l->job->model_folder);
    return err;
}

static void close_learner(mg_learner *self) {
    learner *l = (learner *)self;
    mg_reward_model_release(&l->reward);
    mg_adamw_release(&l->opt);
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    learner *l = MG_NEW(job->run, learner, 1);
    l->job     = job;
    l->config  = *(const mg_reward_model_config *)config;
    l->reward.pool  = strcmp(l->config.pool, "mean") == 0 ? MG_POOL_MEAN : MG_POOL_LAST;
    l->reward.scale = 1;
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .decay = l->config.decay,
                                  .clip  = l->config.clip_norm};
    mg_model *body = NULL;
    mg_err    err  = mg_model_load(&body, job->model_folder, false);
    if (!err) err = mg_model_copy(&l->reward.model, body, true, true);
    mg_model_free(body);
    if (!err) err = mg_model_compute(l->reward.model, job->compute);
    if (!err) err = mg_adamw_init(&l->opt, l->reward.model, &adam);
    if (!err)
        err = mg_pairwise_open(&l->pairs, job, l->config.epochs, l->config.batch,
                               l->config.microbatch, l, pass);
    if (!err && job->n_pairs > 0)
        err = mg_pair_tokens_make(job, job->pairs, job->n_pairs, &l->references);
    if (!err && strcmp(l->config.normalise, "references") == 0 && job->n_pairs == 0)
        err = mg_fail(MG_CONFIG, "reward_model.normalise: found 'references', but the data hold no "
                                 "reference answers");
    if (err) {
        close_learner((mg_learner *)l);
        return err;
    }
    *out = (mg_learner *)l;
    return MG_OK;
}

static int64_t updates(const mg_learner *self) { return ((const learner *)self)->pairs.updates; }
static int     parts(mg_learner *self, mg_part out[MG_PARTS_MAX]) {
    out[0] = (mg_part){"", ((learner *)self)->reward.model, &((learner *)self)->opt};
    return 1;
}

const mg_algo mg_algo_reward_model = {
    .name              = "reward_model",
    .summary           = "learn a reward from preference pairs (Bradley-Terry)",
    .citation          = "Bradley & Terry 1952; Stiennon et al. 2020, arXiv:2009.01325",
    .fields            = fields,
    .config_size       = sizeof(mg_reward_model_config),
    .acts_in           = MG_IN_TEXTS,
    .needs_preferences = true,
    .open              = open_learner,
    .updates           = updates,
    .update            = update,
    .evaluate          = evaluate,
    .parts             = parts,
    .finish            = finish,
    .close             = close_learner,
};
