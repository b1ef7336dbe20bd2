// answers.c - prompts and answers laid out as one ragged batch.
#include "nets/answers.h"

#include <string.h>

int64_t mg_answers_count(const mg_answers *a) {
    int64_t count = 0;
    for (int64_t i = 0; i < a->n_answers; i++) count += a->answers[i].n;
    return count;
}

int64_t mg_answers_portion(const mg_answers *a, int64_t begin, int64_t end, int64_t step) {
    int64_t i = begin, tokens = 0;
    while (i < end) {
        const int64_t stop = i + step < end ? i + step : end;
        const bool    goes_on = i > begin && a->answers[i].prompt == a->answers[i - 1].prompt;
        if (tokens >= MG_PORTION_TOKENS * (goes_on ? 2 : 1)) break;
        for (; i < stop; i++) {
            const int32_t prompt = a->answers[i].prompt;
            const bool    read   = i > begin && prompt == a->answers[i - 1].prompt;
            tokens += a->answers[i].n + (read ? 0 : a->prompts[prompt].n);
        }
    }
    return i;
}

// Lays out the prompts that have answers, and each answer as a continuation of its prompt. `read`
// says whether an answer's last token is read by the network: a log-probability needs only the
// tokens before it. rows[k] is the batch row from which flat token k is computed.
static void layout(mg_tape *t, const mg_answers *a, bool read, mg_batch *b, int32_t **rows) {
    // A view may name few of many prompts: room is made for those alone.
    bool   *used   = MG_NEW(t->arena, bool, a->n_prompts);
    int64_t n_used = 0, tokens = mg_answers_count(a);
    for (int64_t i = 0; i < a->n_answers; i++) {
        const int32_t p = a->answers[i].prompt;
        MG_ASSERT(p >= 0 && p < a->n_prompts);
        if (!used[p]) n_used++, tokens += a->prompts[p].n;
        used[p] = true;
    }
    mg_batch_init(b, t->arena, tokens, n_used + a->n_answers);

    int32_t *sequence = MG_NEW(t->arena, int32_t, a->n_prompts);
    for (int64_t p = 0; p < a->n_prompts; p++)
        if (used[p]) sequence[p] = mg_batch_add(b, a->prompts[p].tokens, a->prompts[p].n, -1);

    *rows     = MG_NEW(t->arena, int32_t, mg_answers_count(a));
    int32_t *row = *rows;
    for (int64_t i = 0; i < a->n_answers; i++) {
        const mg_answer   *answer = &a->answers[i];
        const mg_sequence *prompt = &b->sequences[sequence[answer->prompt]];
        const int64_t      last = prompt->row + prompt->n - 1, own = b->n_tokens;
        MG_ASSERT(answer->n >= 1);
        const int64_t n = read ? answer->n : answer->n - 1;
        if (n > 0) mg_batch_add(b, answer->tokens, n, sequence[answer->prompt]);
        for (int64_t k = 0; k < answer->n; k++)
            *row++ = (int32_t)(read ? own + k : k == 0 ? last : own + k - 1);
    }
    mg_batch_plan(b, t->arena);
}

// Hidden states of the answers' batch, and the row of them that each flat token is computed from.
static mg_err read_batch(mg_tape *t, mg_model *m, const mg_answers *a, bool read, mg_tensor **hidden,
                         int32_t **rows) {
    mg_batch *b = MG_NEW(t->arena, mg_batch, 1); // backward reads its plan
    layout(t, a, read, b, rows);
    return mg_model_hidden(t, m, b, NULL, hidden);
}

mg_err mg_answers_logp(mg_tape *t, mg_model *m, const mg_answers *a, double temperature,
                       mg_tensor **logp, float *entropy) {
    MG_ASSERT(!m->config.scalar_head);
    const int64_t n = mg_answers_count(a);
    int32_t      *rows, *target = MG_NEW(t->arena, int32_t, n), *next = target;
    mg_tensor    *hidden;
    mg_err        err = read_batch(t, m, a, false, &hidden, &rows);
    if (err) return err;
    for (int64_t i = 0; i < a->n_answers; i++)
        for (int64_t k = 0; k < a->answers[i].n; k++) *next++ = a->answers[i].tokens[k];
    *logp = mg_model_logp(t, m, hidden, rows, n, target, temperature, entropy);
    return MG_OK;
}

static mg_err scalar_head(mg_tape *t, mg_model *m, const mg_answers *a, bool read, mg_tensor **out) {
    MG_ASSERT(m->config.scalar_head);
    int32_t   *rows;
    mg_tensor *hidden;
    mg_err     err = read_batch(t, m, a, read, &hidden, &rows);
    if (!err) *out = mg_model_head(t, m, hidden, rows, mg_answers_count(a));
    return err;
}

mg_err mg_answers_values(mg_tape *t, mg_model *m, const mg_answers *a, mg_tensor **values) {
    return scalar_head(t, m, a, false, values);
}

mg_err mg_answers_scores(mg_tape *t, mg_model *m, const mg_answers *a, mg_tensor **scores) {
    return scalar_head(t, m, a, true, scores);
}

// Runs one pass per `batch` answers and copies its column into out.
static mg_err read_all(mg_model *m, mg_team *team, const mg_answers *a, double temperature,
                       int64_t batch, mg_arena *scratch, float *out) {
    mg_err       err  = MG_OK;
    const size_t mark = mg_arena_mark(scratch);
    for (int64_t begin = 0; begin < a->n_answers && !err; begin += batch) {
        const int64_t    end  = begin + batch < a->n_answers ? begin + batch : a->n_answers;
        const mg_answers part = mg_answers_view(a, begin, end);
        mg_tape          tape = mg_tape_make(scratch, team, false);
        mg_tensor       *column;
        err = m->config.scalar_head ? mg_answers_values(&tape, m, &part, &column)
                                    : mg_answers_logp(&tape, m, &part, temperature, &column, NULL);
        if (!err) {
            memcpy(out, mg_f32(column), sizeof(float) * (size_t)column->rows);
            out += column->rows;
        }
        mg_arena_reset(scratch, mark);
    }
    return err;
}

mg_err mg_answers_read_logp(mg_model *m, mg_team *team, const mg_answers *a, double temperature,
                            int64_t batch, mg_arena *scratch, float *logp) {
    MG_ASSERT(!m->config.scalar_head);
    return read_all(m, team, a, temperature, batch, scratch, logp);
}

mg_err mg_answers_read_values(mg_model *m, mg_team *team, const mg_answers *a, int64_t batch,
                              mg_arena *scratch, float *values) {
    MG_ASSERT(m->config.scalar_head);
    return read_all(m, team, a, 1, batch, scratch, values);
}
