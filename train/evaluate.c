// evaluate.c - judging policies on held-out rows.
#include "train/evaluate.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "rewards/rouge.h"
#include "stats/betting.h"
#include "stats/bootstrap.h"

static void blank(mg_judged *x) {
    *x = (mg_judged){.text = "", .gold = NAN, .reward = NAN, .kl = NAN, .rouge_l = NAN};
}

// KL of an answer under its own sample: what the policy gave its tokens minus what the reference does.
static mg_err judge_kl(const mg_judge *j, mg_model *policy, const mg_answers *a, mg_arena *scratch,
                       mg_judged *judged, const int64_t *who) {
    if (!j->reference) return MG_OK;
    const double  temperature = j->temperature > 0 ? j->temperature : 1;
    const int64_t count       = mg_answers_count(a);
    float        *own = MG_NEW(scratch, float, count), *ref = MG_NEW(scratch, float, count);
    mg_err err = mg_answers_read_logp(policy, j->team, a, temperature, j->batch, scratch, own);
    if (!err) err = mg_answers_read_logp(j->reference, j->team, a, temperature, j->batch, scratch, ref);
    for (int64_t i = 0, k = 0; i < a->n_answers && !err; i++) {
        double kl = 0;
        for (int64_t t = 0; t < a->answers[i].n; t++, k++) kl += (double)own[k] - (double)ref[k];
        judged[who[i]].kl = kl;
    }
    return err;
}

static mg_err judge_reward(const mg_judge *j, const mg_answers *a, mg_arena *scratch,
                           mg_judged *judged, const int64_t *who) {
    if (!j->reward) return MG_OK;
    double *S   = MG_NEW(scratch, double, a->n_answers);
    mg_err  err = mg_reward_model_score(j->reward, j->team, a, j->batch, scratch, S);
    for (int64_t i = 0; i < a->n_answers && !err; i++) judged[who[i]].reward = S[i];
    return err;
}

static mg_err judge_batch(const mg_judge *j, mg_model *policy, int64_t from, int64_t n,
                          mg_arena *arena, mg_arena *scratch, mg_judged *judged, int64_t *unclean,
                          double *tokens) {
    const mg_rollout r = {.model = policy, .tokenizer = j->tokenizer, .rule = j->rule,
                          .sampling = {.temperature = j->temperature, .top_p = 1,
                                       .new_max = j->response_max, .stop = j->rule.stop},
                          .class = j->class, .world = j->world, .team = j->team, .seed = j->seed};
    mg_start   *starts   = MG_NEW(scratch, mg_start, n);
    mg_episode *episodes = MG_NEW(scratch, mg_episode, n);
    mg_prompt  *prompts  = MG_NEW(scratch, mg_prompt, n);
    mg_answer  *answers  = MG_NEW(scratch, mg_answer, n);
    int64_t    *who      = MG_NEW(scratch, int64_t, n), clean = 0;
    // Draws are keyed by the row, so every policy meets the same ones whatever the batch size.
    for (int64_t i = 0; i < n; i++)
        starts[i] = (mg_start){.item = from + i, .group = (int32_t)i, .episode = (uint32_t)(from + i)};
    mg_err err = mg_rollout_run(&r, starts, n, 0, 0, scratch, scratch, episodes, NULL);
    for (int64_t i = 0; i < n && !err; i++) {
        const mg_episode *e = &episodes[i];
        mg_judged        *x = &judged[from + i];
        if (e->verdict != MG_CLEAN) {
            (*unclean)++;
            continue;
        }
        x->clean = true;
        const int64_t   p    = e->turns[0].action_begin;
        const mg_reward gold = mg_episode_return(e);
        double          score;
        x->text    = mg_arena_strdup(arena, e->turns[0].action);
        x->length  = e->n_tokens - p;
        x->stopped = e->stopped;
        x->rouge_l = mg_rouge(e->turns[0].action, e->turns[0].action_size,
                              j->rows[from + i].completion,
                              strlen(j->rows[from + i].completion), scratch).l.f;
        if (mg_reward_value(&gold, &score)) x->gold = score;
        prompts[clean] = (mg_prompt){e->tokens, p};
        answers[clean] = (mg_answer){(int32_t)clean, e->tokens + p, x->length};
        who[clean++]   = from + i;
        if (tokens) *tokens += (double)x->length;
    }
    if (err || clean == 0) return err;
    const mg_answers a = {prompts, clean, answers, clean};
    err = judge_kl(j, policy, &a, scratch, judged, who);
    return err ? err : judge_reward(j, &a, scratch, judged, who);
}

mg_err mg_judge_policy(const mg_judge *j, mg_model *policy, mg_arena *arena, mg_arena *scratch,
                       mg_judged *judged, int64_t *unclean, double *tokens) {
    mg_err       err  = MG_OK;
    const size_t mark = mg_arena_mark(scratch);
    MG_ASSERT(j->batch > 0);
    *unclean = 0;
    for (int64_t i = 0; i < j->n; i++) blank(&judged[i]);
    for (int64_t from = 0; from < j->n && !err; from += j->batch) {
        const int64_t n = j->n - from < j->batch ? j->n - from : j->batch;
        err = j->stop && *j->stop
                  ? mg_fail(MG_INTERRUPTED, "stopped after judging %lld of %lld answers",
                            (long long)from, (long long)j->n)
                  : judge_batch(j, policy, from, n, arena, scratch, judged, unclean, tokens);
        mg_arena_reset(scratch, mark);
    }
    return err;
}

// What the world and the reward model say of one human answer, as if a policy had given it.
static mg_err judge_human(const mg_judge *j, int64_t row, mg_arena *scratch, mg_judged *x) {
    const char      *text = j->rows[row].completion;
    const size_t     size = strlen(text);
    mg_env           env  = {j->class, j->world, mg_arena_alloc(scratch, j->class->state_size)};
    mg_reset_options at   = {.item = row};
    const mg_value   say  = {.kind = MG_SPACE_TEXT, .text = text, .size = size};
    mg_transition    next = {0};
    mg_value         seen;
    int32_t         *p, *y;
    int64_t          n_p, n_y;
    mg_err           err = j->class->reset(&env, 0, &at, 0, &seen);
    if (!err)
        err = mg_prompt_encode(j->tokenizer, &j->rule, seen.text, seen.size, scratch, &p, &n_p, NULL);
    if (!err) err = j->class->step(&env, &say, 0, &next);
    if (!err) err = mg_answer_encode(j->tokenizer, &j->rule, text, size, scratch, &y, &n_y);
    if (err) { // a policy's episode would be quarantined here
        mg_log(MG_LOG_DEBUG, "row %lld: human answer left out: %s", (long long)row, mg_err_detail());
        return MG_OK;
    }
    x->clean = x->stopped = true;
    x->text = text, x->length = n_y, x->rouge_l = 1;
    double gold;
    if (mg_reward_value(&next.reward, &gold)) x->gold = gold;
    const mg_prompt  prompt = {p, n_p};
    const mg_answer  answer = {0, y, n_y};
    const mg_answers a      = {&prompt, 1, &answer, 1};
    const int64_t    who    = 0;
    err = judge_reward(j, &a, scratch, x, &who);
    return err == MG_LIMIT ? MG_OK : err; // no bound like response_max holds for what people wrote
}

mg_err mg_judge_humans(const mg_judge *j, mg_arena *arena, mg_arena *scratch, mg_judged *judged) {
    const size_t mark = mg_arena_mark(scratch);
    mg_err       err  = MG_OK;
    for (int64_t i = 0; i < j->n && !err; i++) {
        blank(&judged[i]);
        err = judge_human(j, i, scratch, &judged[i]);
        judged[i].text = mg_arena_strdup(arena, judged[i].text);
        mg_arena_reset(scratch, mark);
    }
    return err;
}

mg_err mg_judged_mean(const double *column, int64_t n, double alpha, uint64_t seed,
                      mg_arena *scratch, mg_mean *out) {
    const size_t mark = mg_arena_mark(scratch);
    double      *kept = MG_NEW(scratch, double, n);
    mg_rng       rng  = mg_rng_stream(seed, MG_PURPOSE_BOOTSTRAP, 0);
    mg_interval  x    = {NAN, NAN, NAN};
    int64_t      m    = 0;
    mg_err       err  = MG_OK;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(column[i])) kept[m++] = column[i];
    if (m >= 2) err = mg_bootstrap_mean(kept, m, alpha, &rng, &x);
    if (!err) *out = (mg_mean){x.mean, x.low, x.high, m};
    mg_arena_reset(scratch, mark);
    return err;
}

mg_duel mg_judged_duel(const mg_judged *a, const mg_judged *b, int64_t n, double alpha) {
    mg_betting test;
    mg_confseq interval;
    mg_duel    out = {0};
    double     wins = 0;
    mg_betting_init(&test, 0.5, alpha);
    mg_confseq_init(&interval, alpha);
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i].gold) || isnan(b[i].gold)) continue;
        const bool   tie = a[i].gold == b[i].gold;
        const double x   = tie ? 0.5 : a[i].gold > b[i].gold;
        mg_betting_observe(&test, x);
        mg_confseq_observe(&interval, x);
        wins += x;
        out.n++;
        out.ties += tie;
        if (out.decided || !mg_betting_decided(&test)) continue;
        out.decided = true, out.at = out.n;
        out.a_wins  = test.log_up > test.log_down;
    }
    out.rate = out.n > 0 ? wins / (double)out.n : NAN;
    mg_confseq_interval(&interval, &out.low, &out.high);
    return out;
}
