// tokens.c - text rows encoded once, with what was cut and dropped counted.
#include "algos/tokens.h"

#include <string.h>

#include "core/log.h"

// Encodes a prompt; *n is 0 when it is longer than the rule allows and the rule does not cut.
static mg_err encode_prompt(const mg_job *job, const char *text, mg_prompt *out, int64_t *cut) {
    int32_t *ids;
    bool     was_cut = false;
    mg_err err = mg_prompt_encode(job->tokenizer, &job->rule, text, strlen(text), job->run, &ids,
                                  &out->n, &was_cut);
    if (err == MG_LIMIT) {
        *out = (mg_prompt){0};
        return MG_OK;
    }
    if (err) return err;
    out->tokens = ids;
    *cut += was_cut;
    return MG_OK;
}

// Encodes an answer; its n is 0 when it is longer than response_max, or when its text spells out
// the stop token: it would end where its writer did not.
static mg_err encode_answer(const mg_job *job, const char *text, mg_answer *out) {
    int32_t *ids;
    mg_err   err = mg_answer_encode(job->tokenizer, &job->rule, text, strlen(text), job->run, &ids,
                                    &out->n);
    if (err) return err;
    out->tokens = ids;
    if (out->n > job->response_max) out->n = 0;
    for (int64_t k = 0; k + 1 < out->n; k++)
        if (ids[k] == job->rule.stop) out->n = 0;
    return MG_OK;
}

// A person must see what of the data is not learnt from.
static void report(const mg_job *job, int64_t n, int64_t cut, int64_t dropped) {
    if (cut + dropped == 0) return;
    mg_log(MG_LOG_INFO,
           "data: %lld rows; %lld prompts cut to %lld tokens; %lld rows dropped: answers beyond "
           "%lld tokens or with a stop inside, prompts that may not be cut",
           (long long)n, (long long)cut, (long long)job->rule.prompt_max, (long long)dropped,
           (long long)job->response_max);
}

mg_err mg_pair_tokens_make(const mg_job *job, const mg_pair *pairs, int64_t n,
                           mg_pair_tokens *out) {
    mg_pair_tokens t = {.n = n};
    t.prompts        = MG_NEW(job->run, mg_prompt, n);
    t.answers        = MG_NEW(job->run, mg_answer, n);
    t.rows           = MG_NEW(job->run, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        t.answers[i].prompt = (int32_t)i;
        mg_err err = encode_prompt(job, pairs[i].prompt, &t.prompts[i], &t.cut);
        if (!err) err = encode_answer(job, pairs[i].completion, &t.answers[i]);
        if (err) return mg_fail(err, "row %lld: %s", (long long)i + 1, mg_err_detail());
        if (t.prompts[i].n == 0) t.answers[i].n = 0;
        if (t.answers[i].n == 0)
            t.dropped++;
        else
            t.rows[t.n_rows++] = i;
    }
    if (t.n_rows == 0)
        return mg_fail(MG_EMPTY,
                       "none of %lld rows fits: prompt_max %lld, response_max %lld tokens",
                       (long long)n, (long long)job->rule.prompt_max, (long long)job->response_max);
    report(job, n, t.cut, t.dropped);
    *out = t;
    return MG_OK;
}

mg_err mg_preference_tokens_make(const mg_job *job, const mg_preference *rows, int64_t n,
                                 mg_preference_tokens *out) {
    mg_preference_tokens t = {0};
    t.prompts              = MG_NEW(job->run, mg_prompt, n);
    t.answers              = MG_NEW(job->run, mg_answer, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        mg_prompt *prompt = &t.prompts[t.n];
        mg_answer *pair   = &t.answers[2 * t.n];
        mg_err     err    = encode_prompt(job, rows[i].prompt, prompt, &t.cut);
        if (!err) err = encode_answer(job, rows[i].chosen, &pair[0]);
        if (!err) err = encode_answer(job, rows[i].rejected, &pair[1]);
        if (err) return mg_fail(err, "row %lld: %s", (long long)i + 1, mg_err_detail());
        if (prompt->n == 0 || pair[0].n == 0 || pair[1].n == 0) {
            t.dropped++;
            continue;
        }
        pair[0].prompt = pair[1].prompt = (int32_t)t.n++;
    }
    if (t.n == 0)
        return mg_fail(MG_EMPTY,
                       "none of %lld preference rows fits: prompt_max %lld, response_max %lld",
                       (long long)n, (long long)job->rule.prompt_max, (long long)job->response_max);
    report(job, n, t.cut, t.dropped);
    *out = t;
    return MG_OK;
}

void mg_shuffled_rows(uint64_t seed, int64_t n, int64_t update, int64_t batch, mg_arena *scratch,
                      int64_t *out) {
    MG_ASSERT(n >= 1);
    const size_t mark   = mg_arena_mark(scratch);
    int64_t     *order  = MG_NEW(scratch, int64_t, n);
    mg_rng       rng    = mg_rng_stream(seed, MG_PURPOSE_SHUFFLE, 0);
    int64_t      loaded = -1; // the epoch that `order` holds
    for (int64_t i = 0; i < batch; i++) {
        const int64_t k = update * batch + i, epoch = k / n;
        if (epoch != loaded) {
            for (int64_t j = 0; j < n; j++) order[j] = j;
            mg_rng_seek(&rng, 0, 0, (uint32_t)epoch);
            mg_rng_shuffle(&rng, order, n);
            loaded = epoch;
        }
        out[i] = order[k % n];
    }
    mg_arena_reset(scratch, mark);
}
