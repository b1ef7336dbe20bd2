// dpo.c - direct preference optimisation.
//
// Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7:
//   L = -E log sigma(h)
//   h = beta ((log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log ref(y_l|x)))
// with sums over tokens. With pi = ref, h = 0 and the loss is log 2.
#include "algos/dpo/dpo.h"

#include "algos/losses.h"
#include "algos/pairwise.h"

#define MG_CONFIG_OF mg_dpo_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_DPO_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

typedef struct dpo {
    const mg_job *job;
    mg_dpo_config config;
    mg_model     *policy, *reference; // owned
    mg_adamw      opt;
    mg_pairwise   pairs;
} dpo;

// Sum of x over each answer's tokens.
static void sums(const mg_answers *a, const float *x, double *out) {
    for (int64_t i = 0; i < a->n_answers; i++) {
        out[i] = 0;
        for (int64_t k = 0; k < a->answers[i].n; k++) out[i] += (double)*x++;
    }
}

static mg_err pass(void *self, const mg_answers *a, double weight, mg_pairwise_totals *sum) {
    dpo       *d    = self;
    mg_arena  *step = d->job->step;
    float    *flat  = MG_NEW(step, float, mg_answers_count(a));
    double   *ref   = MG_NEW(step, double, a->n_answers), *now = MG_NEW(step, double, a->n_answers);
    mg_tape   tape  = mg_tape_make(step, d->job->team, weight > 0);
    mg_tensor *logp;
    mg_err err = mg_answers_read_logp(d->reference, d->job->team, a, 1, a->n_answers, step, flat);
    if (!err) err = mg_answers_logp(&tape, d->policy, a, 1, &logp, NULL);
    if (err) return err;
    sums(a, flat, ref);
    sums(a, mg_f32(logp), now);

    int64_t row = 0;
    for (int64_t p = 0; p < a->n_answers / 2; p++) {
        const double h =
            d->config.beta * (now[2 * p] - ref[2 * p] - now[2 * p + 1] + ref[2 * p + 1]);
        double       dh;
        sum->loss += mg_loss_bradley_terry(h, &dh);
        sum->right += h > 0;
        sum->margin += h;
        for (int64_t side = 0; side < 2; side++) {
            const double g = weight * d->config.beta * (side == 0 ? dh : -dh);
            for (int64_t k = 0; k < a->answers[2 * p + side].n; k++, row++)
                if (weight > 0) mg_grad_f32(logp)[row] = (float)g;
        }
    }
    if (weight > 0) mg_tape_backward(&tape);
    return MG_OK;
}

static mg_err update(mg_learner *learner, int64_t u, mg_episode *episodes, int64_t n,
                     mg_metrics *out) {
    (void)episodes, (void)n;
    dpo                 *d  = (dpo *)learner;
    const mg_dpo_config *c  = &d->config;
    const double         lr = mg_schedule_lr(mg_schedule_named(c->schedule), c->lr, u,
                                             d->pairs.updates, c->warmup);
    double               norm;
    mg_err               err = mg_pairwise_gradient(&d->pairs, u, out);
    if (!err) err = mg_adamw_step(&d->opt, d->policy, lr, d->job->team, &norm);
    if (err) return err;
    mg_metrics_add(out, "grad_norm", norm);
    mg_metrics_add(out, "lr", lr);
    return MG_OK;
}

static mg_err evaluate(mg_learner *learner, mg_metrics *out) {
    return mg_pairwise_evaluate(&((dpo *)learner)->pairs, out, NULL);
}

static void close_learner(mg_learner *learner) {
    dpo *d = (dpo *)learner;
    mg_model_free(d->policy);
    mg_model_free(d->reference);
    mg_adamw_release(&d->opt);
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    dpo *d    = MG_NEW(job->run, dpo, 1);
    d->job    = job;
    d->config = *(const mg_dpo_config *)config;
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .clip = d->config.clip_norm};
    mg_err err = mg_model_load(&d->policy, job->model_folder, true);
    if (!err) err = mg_model_load(&d->reference, job->model_folder, false);
    if (!err) err = mg_model_compute(d->policy, job->compute);
    if (!err) err = mg_model_compute(d->reference, job->compute);
    if (!err) err = mg_adamw_init(&d->opt, d->policy, &adam);
    if (!err)
        err = mg_pairwise_open(&d->pairs, job, d->config.epochs, d->config.batch,
                               d->config.microbatch, d, pass);
    if (err) {
        close_learner((mg_learner *)d);
        return err;
    }
    *out = (mg_learner *)d;
    return MG_OK;
}

static int64_t updates(const mg_learner *l) { return ((const dpo *)l)->pairs.updates; }
static int     parts(mg_learner *l, mg_part out[MG_PARTS_MAX]) {
    out[0] = (mg_part){"", ((dpo *)l)->policy, &((dpo *)l)->opt};
    return 1;
}

const mg_algo mg_algo_dpo = {
    .name              = "dpo",
    .summary           = "learn from preference pairs without a reward model",
    .citation          = "Rafailov et al. 2023, arXiv:2305.18290",
    .fields            = fields,
    .config_size       = sizeof(mg_dpo_config),
    .acts_in           = MG_IN_TEXTS,
    .needs_preferences = true,
    .open              = open_learner,
    .updates           = updates,
    .update            = update,
    .evaluate          = evaluate,
    .parts             = parts,
    .close             = close_learner,
};
