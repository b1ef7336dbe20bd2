// sft.c - maximum likelihood on reference answers.
//
// loss = - sum_t log pi(y_t | x, y_<t) / number of tokens, over the rows of an update. Of a conversation
// the answers of all turns are learnt; what the environment says, the prompt first of all, is left out
// unless prompt_loss asks for it.
#include "algos/sft/sft.h"

#include <math.h>
#include <string.h>

#include "algos/tokens.h"

#define MG_CONFIG_OF mg_sft_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_SFT_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

typedef struct sft {
    const mg_job  *job;
    mg_sft_config  config;
    mg_model      *model; // owned
    mg_adamw       opt;
    mg_pair_tokens train, held; // held.n 0: no validation rows
    int64_t        updates;
} sft;

// Rows as the network reads them, and which of their tokens it is to learn.
typedef struct lesson {
    mg_answers a;
    uint8_t   *learnt; // [mg_answers_count(a)]
    double     tokens; // how many of them are
} lesson;

// With `everything` a row is its first token and all that follows, else prompt and answer.
static void lesson_make(const mg_pair_tokens *t, const int64_t *rows, int64_t n, bool everything,
                        mg_arena *arena, lesson *out) {
    mg_prompt *prompts = MG_NEW(arena, mg_prompt, n);
    mg_answer *answers = MG_NEW(arena, mg_answer, n);
    for (int64_t i = 0; i < n; i++) {
        prompts[i]        = t->prompts[rows[i]];
        answers[i]        = t->answers[rows[i]];
        answers[i].prompt = (int32_t)i;
        if (!everything) continue;
        const int64_t rest = prompts[i].n - 1, own = answers[i].n;
        int32_t      *all  = MG_NEW(arena, int32_t, rest + own);
        memcpy(all, prompts[i].tokens + 1, sizeof(int32_t) * (size_t)rest);
        memcpy(all + rest, answers[i].tokens, sizeof(int32_t) * (size_t)own);
        prompts[i].n = 1;
        answers[i]   = (mg_answer){(int32_t)i, all, rest + own};
    }
    *out        = (lesson){.a = {prompts, n, answers, n}};
    out->learnt = MG_NEW(arena, uint8_t, mg_answers_count(&out->a));
    uint8_t *at = out->learnt;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < answers[i].n; k++, at++) {
            *at = everything || t->role[rows[i]][k] == MG_ROLE_POLICY;
            out->tokens += *at;
        }
}

// Adds d loss / d weights over the rows, portion after portion; the loss per token in *nll.
static mg_err gradient(sft *s, const lesson *x, double *nll) {
    mg_arena      *step   = s->job->step;
    const uint8_t *learnt = x->learnt;
    const size_t   mark   = mg_arena_mark(step);
    *nll                  = 0;
    for (int64_t i = 0, stop; i < x->a.n_answers; i = stop) {
        stop                  = mg_answers_portion(&x->a, i, x->a.n_answers, 1);
        const mg_answers part = mg_answers_view(&x->a, i, stop);
        mg_tape          tape = mg_tape_make(step, s->job->team, true);
        mg_tensor       *logp;
        mg_err           err = mg_answers_logp(&tape, s->model, &part, 1, &logp, NULL);
        if (err) return err;
        for (int64_t k = 0; k < logp->rows; k++) {
            if (!*learnt++) continue;
            *nll -= (double)mg_f32(logp)[k] / x->tokens;
            mg_grad_f32(logp)[k] = (float)(-1 / x->tokens);
        }
        mg_tape_backward(&tape);
        mg_arena_reset(step, mark);
    }
    return MG_OK;
}

static mg_err update(mg_learner *learner, int64_t u, mg_episode *episodes, int64_t n,
                     mg_metrics *out) {
    (void)episodes, (void)n;
    sft                 *s    = (sft *)learner;
    const mg_sft_config *c    = &s->config;
    mg_arena            *step = s->job->step;
    int64_t             *rows = MG_NEW(step, int64_t, c->batch);
    lesson               x;
    double               nll, norm;
    const double lr =
        mg_schedule_lr(mg_schedule_named(c->schedule), c->lr, u, s->updates, c->warmup);

    mg_shuffled_rows(s->job->seed, s->train.n_rows, u, c->batch, step, rows);
    for (int64_t i = 0; i < c->batch; i++) rows[i] = s->train.rows[rows[i]];
    lesson_make(&s->train, rows, c->batch, c->prompt_loss, step, &x);
    mg_err err = gradient(s, &x, &nll);
    if (!err && !isfinite(nll)) err = mg_fail(MG_NUMERIC, "loss is %g", nll);
    if (!err) err = mg_adamw_step(&s->opt, s->model, lr, s->job->team, &norm);
    if (err) return err;
    mg_metrics_add(out, "loss", nll);
    mg_metrics_add(out, "tokens", x.tokens);
    mg_metrics_add(out, "grad_norm", norm);
    mg_metrics_add(out, "lr", lr);
    return MG_OK;
}

// Negative log-likelihood per answer token on the validation rows.
static mg_err evaluate(mg_learner *learner, mg_metrics *out) {
    sft *s = (sft *)learner;
    if (s->held.n == 0) return MG_OK;
    lesson x;
    lesson_make(&s->held, s->held.rows, s->held.n_rows, false, s->job->step, &x);
    float *logp = MG_NEW(s->job->step, float, mg_answers_count(&x.a));
    mg_err err  = mg_answers_read_logp(s->model, s->job->team, &x.a, 1, s->config.microbatch,
                                       s->job->step, logp);
    if (err) return err;
    double nll = 0;
    for (int64_t k = 0; k < mg_answers_count(&x.a); k++)
        if (x.learnt[k]) nll -= (double)logp[k] / x.tokens;
    mg_metrics_add(out, "held_out_loss", nll);
    return MG_OK;
}

static void close_learner(mg_learner *learner) {
    sft *s = (sft *)learner;
    mg_model_free(s->model);
    mg_adamw_release(&s->opt);
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    sft *s    = MG_NEW(job->run, sft, 1);
    s->job    = job;
    s->config = *(const mg_sft_config *)config;
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .decay = s->config.decay,
                                  .clip  = s->config.clip_norm};
    mg_err err = job->model_folder[0] ? mg_model_load(&s->model, job->model_folder, true)
                                      : mg_model_new(&s->model, job->fresh, true);
    if (!err && !job->model_folder[0]) mg_model_init(s->model, job->seed);
    if (!err) err = mg_model_compute(s->model, job->compute);
    if (!err) err = mg_adamw_init(&s->opt, s->model, &adam);
    if (!err) err = mg_pair_tokens_make(job, job->pairs, job->n_pairs, &s->train);
    if (!err && job->n_held_pairs > 0)
        err = mg_pair_tokens_make(job, job->held_pairs, job->n_held_pairs, &s->held);
    if (err) {
        close_learner((mg_learner *)s);
        return err;
    }
    s->updates =
        (int64_t)ceil(s->config.epochs * (double)s->train.n_rows / (double)s->config.batch);
    *out       = (mg_learner *)s;
    return MG_OK;
}

static int64_t updates(const mg_learner *l) { return ((const sft *)l)->updates; }
static int     parts(mg_learner *l, mg_part out[MG_PARTS_MAX]) {
    out[0] = (mg_part){"", ((sft *)l)->model, &((sft *)l)->opt};
    return 1;
}

const mg_algo mg_algo_sft = {
    .name        = "sft",
    .summary     = "imitate reference answers by maximum likelihood",
    .citation    = "",
    .fields      = fields,
    .config_size = sizeof(mg_sft_config),
    .acts_in     = MG_IN_TEXTS,
    .needs_pairs = true,
    .starts_fresh = true,
    .open        = open_learner,
    .updates     = updates,
    .update      = update,
    .evaluate    = evaluate,
    .parts       = parts,
    .close       = close_learner,
};
