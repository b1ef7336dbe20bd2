// pairwise.c - the loop over preference pairs.
#include "algos/pairwise.h"

#include <math.h>

mg_err mg_pairwise_open(mg_pairwise *p, const mg_job *job, double epochs, int64_t batch,
                        int64_t microbatch, void *learner, mg_pairwise_pass *pass) {
    *p = (mg_pairwise){.job = job, .batch = batch, .microbatch = microbatch, .learner = learner,
                       .pass = pass};
    mg_err err = mg_preference_tokens_make(job, job->preferences, job->n_preferences, &p->train);
    if (!err && job->n_held_preferences > 0)
        err = mg_preference_tokens_make(job, job->held_preferences, job->n_held_preferences,
                                        &p->held);
    if (!err) p->updates = (int64_t)ceil(epochs * (double)p->train.n / (double)batch);
    return err;
}

// All pairs of `a`; weight as in mg_pairwise_pass. Passes with a gradient take portions.
static mg_err passes(mg_pairwise *p, const mg_answers *a, double weight, mg_pairwise_totals *sum) {
    const int64_t n = a->n_answers, at_once = 2 * p->microbatch;
    const size_t  mark = mg_arena_mark(p->job->step);
    *sum               = (mg_pairwise_totals){0};
    for (int64_t i = 0, end; i < n; i = end) {
        end = weight > 0 ? mg_answers_portion(a, i, n, 2) : i + at_once < n ? i + at_once : n;
        const mg_answers part = mg_answers_view(a, i, end);
        mg_err           err  = p->pass(p->learner, &part, weight, sum);
        if (err) return err;
        mg_arena_reset(p->job->step, mark);
    }
    if (!isfinite(sum->loss)) return mg_fail(MG_NUMERIC, "loss is %g", sum->loss);
    return MG_OK;
}

mg_err mg_pairwise_gradient(mg_pairwise *p, int64_t update, mg_metrics *out) {
    int64_t           *rows = MG_NEW(p->job->step, int64_t, p->batch);
    mg_answer         *pick = MG_NEW(p->job->step, mg_answer, 2 * p->batch);
    const double       n    = (double)p->batch;
    mg_pairwise_totals sum;
    mg_shuffled_rows(p->job->seed, p->train.n, update, p->batch, p->job->step, rows);
    for (int64_t i = 0; i < 2 * p->batch; i++) pick[i] = p->train.answers[2 * rows[i / 2] + i % 2];
    const mg_answers all = {p->train.prompts, p->train.n, pick, 2 * p->batch};
    mg_err           err = passes(p, &all, 1 / n, &sum);
    if (err) return err;
    mg_metrics_add(out, "loss", sum.loss / n);
    mg_metrics_add(out, "accuracy", sum.right / n);
    mg_metrics_add(out, "margin", sum.margin / n);
    return MG_OK;
}

mg_err mg_pairwise_evaluate(mg_pairwise *p, mg_metrics *out, double *accuracy) {
    if (p->held.n == 0) return MG_OK;
    const double       n   = (double)p->held.n;
    const mg_answers   all = {p->held.prompts, p->held.n, p->held.answers, 2 * p->held.n};
    mg_pairwise_totals sum;
    mg_err             err = passes(p, &all, 0, &sum);
    if (err) return err;
    if (accuracy) *accuracy = sum.right / n;
    mg_metrics_add(out, "held_out_loss", sum.loss / n);
    mg_metrics_add(out, "held_out_accuracy", sum.right / n);
    return MG_OK;
}
