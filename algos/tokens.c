// tokens.c - text rows encoded once, with what was cut and dropped counted.
#include "algos/tokens.h"

#include <string.h>

#include "core/log.h"

// Encodes what was seen, behind other turns (`continued`) or first; *n is 0 when it is longer than the
// rule allows and the rule does not cut.
static mg_err encode_prompt(const mg_job *job, const char *text, bool continued, mg_prompt *out,
                            int64_t *cut) {
    mg_prompt_rule rule = job->rule;
    int32_t       *ids;
    bool           was_cut = false;
    rule.continued = continued;
    mg_err err = mg_prompt_encode(job->tokenizer, &rule, text, strlen(text), job->run, &ids, &out->n,
                                  &was_cut);
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

static mg_err none_fits(const mg_job *job, int64_t n, const char *what) {
    return mg_fail(MG_CONFIG, "data: none of %lld %s fits: wanted an answer of at most %lld tokens, its stop among "
                              "them (response_max), to a prompt of at most %lld (prompt_max), where cut_prompts does "
                              "not cut",
                   (long long)n, what, (long long)job->response_max, (long long)job->rule.prompt_max);
}

// A person must see what of the data is not learnt from.
static void report(const mg_job *job, int64_t n, int64_t cut, int64_t dropped) {
    if (cut + dropped == 0) return;
    mg_log(MG_LOG_INFO,
           "data: %lld rows; %lld prompts cut to %lld tokens; %lld rows dropped: answers beyond "
           "%lld tokens or with a stop inside, prompts that may not be cut, conversations beyond the "
           "model's context",
           (long long)n, (long long)cut, (long long)job->rule.prompt_max, (long long)dropped,
           (long long)job->response_max);
}

// Encodes the turns behind the first into parts: seen, said, seen, said. *n_all becomes the tokens of the
// whole answer, or 0 where a turn cannot be used; one that the rollout would not let the policy answer,
// for want of room, is none to learn from.
static mg_err encode_later(const mg_job *job, const mg_pair *p, int64_t prompt, mg_answer *parts,
                           int64_t *n_all, int64_t *cut) {
    mg_prompt seen;
    for (int64_t k = 0; k < p->n_later && *n_all > 0; k++) {
        mg_answer *said = &parts[2 * k + 1];
        mg_err     err  = encode_prompt(job, p->later[k].observation, true, &seen, cut);
        if (!err) err = encode_answer(job, p->later[k].action, said);
        if (err) return mg_fail(err, "turn %lld: %s", (long long)k + 2, mg_err_detail());
        parts[2 * k]       = (mg_answer){.tokens = seen.tokens, .n = seen.n};
        const int64_t used = prompt + *n_all + seen.n;
        const bool    room = job->context_max == 0 || used + job->response_max <= job->context_max;
        *n_all             = seen.n == 0 || said->n == 0 || !room ? 0 : *n_all + seen.n + said->n;
    }
    return MG_OK;
}

// The answer's tokens and the parts', one behind the other.
static void join(mg_arena *arena, mg_answer *answer, const mg_answer *parts, int64_t n_parts,
                 int64_t n_all, uint8_t *role) {
    int32_t *tokens = MG_NEW(arena, int32_t, n_all);
    memcpy(tokens, answer->tokens, sizeof *tokens * (size_t)answer->n);
    for (int64_t k = 0, at = answer->n; k < n_parts; at += parts[k++].n) {
        memcpy(tokens + at, parts[k].tokens, sizeof *tokens * (size_t)parts[k].n);
        if (k % 2 == 0) memset(role + at, MG_ROLE_ENVIRONMENT, (size_t)parts[k].n);
    }
    answer->tokens = tokens, answer->n = n_all;
}

static mg_err encode_pair(const mg_job *job, const mg_pair *p, mg_pair_tokens *t, int64_t i) {
    mg_answer *answer = &t->answers[i], *parts = MG_NEW(job->run, mg_answer, 2 * p->n_later);
    answer->prompt    = (int32_t)i;
    mg_err err = encode_prompt(job, p->prompt, false, &t->prompts[i], &t->cut);
    if (!err) err = encode_answer(job, p->completion, answer);
    if (err) return err;
    int64_t n = t->prompts[i].n == 0 ? 0 : answer->n;
    err       = encode_later(job, p, t->prompts[i].n, parts, &n, &t->cut);
    if (err || n == 0) {
        answer->n = 0;
        return err;
    }
    t->first[i] = answer->n;
    t->role[i]  = MG_NEW(job->run, uint8_t, n);
    memset(t->role[i], MG_ROLE_POLICY, (size_t)n);
    if (p->n_later > 0) join(job->run, answer, parts, 2 * p->n_later, n, t->role[i]);
    return MG_OK;
}

mg_err mg_pair_tokens_make(const mg_job *job, const mg_pair *pairs, int64_t n,
                           mg_pair_tokens *out) {
    mg_pair_tokens t = {.n = n};
    t.prompts        = MG_NEW(job->run, mg_prompt, n);
    t.answers        = MG_NEW(job->run, mg_answer, n);
    t.role           = MG_NEW(job->run, uint8_t *, n);
    t.first          = MG_NEW(job->run, int64_t, n);
    t.rows           = MG_NEW(job->run, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        mg_err err = encode_pair(job, &pairs[i], &t, i);
        if (err) return mg_fail(err, "row %lld: %s", (long long)i + 1, mg_err_detail());
        if (t.answers[i].n == 0)
            t.dropped++;
        else
            t.rows[t.n_rows++] = i;
    }
    if (t.n_rows == 0) return none_fits(job, n, "rows");
    report(job, n, t.cut, t.dropped);
    *out = t;
    return MG_OK;
}

int64_t mg_pair_item(const mg_pair *pairs, int64_t row) {
    return pairs[row].placed ? pairs[row].item : row;
}

bool mg_pairs_have_turns(const mg_pair *pairs, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (pairs[i].n_later > 0) return true;
    return false;
}

mg_err mg_preference_tokens_make(const mg_job *job, const mg_preference *rows, int64_t n,
                                 mg_preference_tokens *out) {
    mg_preference_tokens t = {0};
    t.prompts              = MG_NEW(job->run, mg_prompt, n);
    t.answers              = MG_NEW(job->run, mg_answer, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        mg_prompt *prompt = &t.prompts[t.n];
        mg_answer *pair   = &t.answers[2 * t.n];
        mg_err     err    = encode_prompt(job, rows[i].prompt, false, prompt, &t.cut);
        if (!err) err = encode_answer(job, rows[i].chosen, &pair[0]);
        if (!err) err = encode_answer(job, rows[i].rejected, &pair[1]);
        if (err) return mg_fail(err, "row %lld: %s", (long long)i + 1, mg_err_detail());
        if (prompt->n == 0 || pair[0].n == 0 || pair[1].n == 0) {
            t.dropped++;
            continue;
        }
        pair[0].prompt = pair[1].prompt = (int32_t)t.n++;
    }
    if (t.n == 0) return none_fits(job, n, "preference rows");
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
