// coverage.c - the references beside the policy's own samples.
#include "train/coverage.h"

// Mean log-probability per token of each answer.
static mg_err per_token(mg_model *policy, const mg_job *job, const mg_answers *a, mg_arena *scratch,
                        double *out) {
    float *flat = MG_NEW(scratch, float, mg_answers_count(a));
    mg_err err  = mg_answers_read_logp(policy, job->team, a, 1, a->n_answers, scratch, flat);
    for (int64_t i = 0; i < a->n_answers && !err; i++) {
        out[i] = 0;
        for (int64_t k = 0; k < a->answers[i].n; k++)
            out[i] += (double)*flat++ / (double)a->answers[i].n;
    }
    return err;
}

static mg_err draw_samples(mg_model *policy, const mg_job *job, const mg_prompt *prompts, int64_t n,
                           mg_arena *scratch, mg_answer *answers) {
    const mg_sampling how = {.temperature = 1, .top_p = 1, .new_max = job->response_max,
                             .stop = job->rule.stop};
    mg_sample *s = MG_NEW(scratch, mg_sample, n * MG_COVERAGE_SAMPLES);
    for (int64_t i = 0; i < n * MG_COVERAGE_SAMPLES; i++)
        s[i] = (mg_sample){.prompt = (int32_t)(i / MG_COVERAGE_SAMPLES), .episode = (uint32_t)i};
    mg_err err = mg_generate(policy, job->team, prompts, n, s, n * MG_COVERAGE_SAMPLES, &how,
                             mg_rng_stream(job->seed, MG_PURPOSE_EVAL, 0), scratch, scratch);
    for (int64_t i = 0; i < n * MG_COVERAGE_SAMPLES && !err; i++)
        answers[i] = (mg_answer){s[i].prompt, s[i].tokens, s[i].n};
    return err;
}

mg_err mg_coverage_measure(mg_model *policy, const mg_job *job, int64_t rows, mg_arena *scratch,
                           mg_coverage *out) {
    const size_t   mark  = mg_arena_mark(scratch);
    const int64_t  pairs = job->n_pairs < rows ? job->n_pairs : rows;
    mg_pair_tokens t;
    mg_err         err = mg_pair_tokens_make(job, job->pairs, pairs, &t);
    if (err) return err;
    const int64_t n       = t.n_rows;
    mg_prompt    *prompts = MG_NEW(scratch, mg_prompt, n);
    mg_answer    *refs = MG_NEW(scratch, mg_answer, n), *own = MG_NEW(scratch, mg_answer, n * MG_COVERAGE_SAMPLES);
    double       *ref_logp = MG_NEW(scratch, double, n), *own_logp = MG_NEW(scratch, double, n * MG_COVERAGE_SAMPLES);
    for (int64_t i = 0; i < n; i++) {
        prompts[i]     = t.prompts[t.rows[i]];
        refs[i] = (mg_answer){(int32_t)i, t.answers[t.rows[i]].tokens, t.first[t.rows[i]]};
    }
    err = draw_samples(policy, job, prompts, n, scratch, own);
    const mg_answers references = {prompts, n, refs, n}, samples = {prompts, n, own, n * MG_COVERAGE_SAMPLES};
    if (!err) err = per_token(policy, job, &references, scratch, ref_logp);
    if (!err) err = per_token(policy, job, &samples, scratch, own_logp);
    mg_coverage c = {.rows = n};
    for (int64_t i = 0; i < n && !err; i++) {
        bool outside = true;
        c.reference_logp += ref_logp[i] / (double)n;
        for (int64_t k = i * MG_COVERAGE_SAMPLES; k < (i + 1) * MG_COVERAGE_SAMPLES; k++) {
            c.sample_logp += own_logp[k] / (double)(n * MG_COVERAGE_SAMPLES);
            outside = outside && ref_logp[i] < own_logp[k];
        }
        c.outside += (double)outside / (double)n;
    }
    mg_arena_reset(scratch, mark);
    if (!err) *out = c;
    return err;
}
