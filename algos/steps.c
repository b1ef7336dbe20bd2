// steps.c - flat arrays of steps, and the two ways to read them.
#include "algos/steps.h"

#include <math.h>
#include <string.h>

#include "nets/act.h"

enum { VECTORS_AT_ONCE = 8192 }; // steps; bounds memory

static int64_t *counted(int64_t n, mg_arena *arena) { // 0, 1, .. n
    int64_t *out = MG_NEW(arena, int64_t, n + 1);
    for (int64_t i = 0; i <= n; i++) out[i] = i;
    return out;
}

void mg_steps_of_texts(const mg_episode *episodes, int64_t n, mg_arena *arena, mg_steps *out) {
    mg_episode_tokens t;
    mg_episode_tokens_make(episodes, n, arena, &t);
    *out = (mg_steps){.n = n, .count = t.count, .offset = t.offset, .role = t.role, .logp_old = t.logp_old,
                      .parts = n, .part = t.offset, .answers = t.answers};
}

// The steps of one episode, from `at` on.
static void copy_steps(const mg_episode *e, const mg_model *policy, int64_t at, mg_steps *s) {
    const mg_vector_steps *v = e->vectors;
    for (int64_t j = 0; j < e->n_turns; j++) {
        MG_ASSERT(e->turns[j].observation_size == sizeof(float) * (size_t)s->in);
        memcpy(s->seen + (at + j) * s->in, e->turns[j].observation, e->turns[j].observation_size);
        s->role[at + j]     = MG_ROLE_POLICY;
        s->logp_old[at + j] = v->logp[j];
        if (s->numbers == 0) s->choice[at + j] = v->choice[j];
    }
    if (s->numbers > 0)
        memcpy(s->drawn + at * s->numbers, v->drawn, sizeof *s->drawn * (size_t)(e->n_turns * s->numbers));
    mg_mlp_normalise(policy, s->seen + at * s->in, e->n_turns, s->seen + at * s->in);
}

void mg_steps_of_vectors(const mg_episode *episodes, int64_t n, const mg_model *policy, mg_arena *arena,
                         mg_steps *out) {
    const mg_mlp_shape *shape = &policy->config.mlp;
    mg_steps            s     = {.n = n, .in = shape->in, .numbers = mg_act_numbers(shape)};
    s.offset = MG_NEW(arena, int64_t, n + 1);
    s.after  = MG_NEW(arena, float *, n);
    for (int64_t i = 0; i < n; i++) s.offset[i + 1] = s.offset[i] + episodes[i].n_turns;
    s.count    = s.offset[n];
    s.parts    = s.count;
    s.part     = counted(s.count, arena);
    s.role     = MG_NEW(arena, uint8_t, s.count);
    s.logp_old = MG_NEW(arena, double, s.count);
    s.seen     = MG_NEW(arena, float, s.count * s.in);
    s.drawn    = MG_NEW(arena, float, s.count * s.numbers);
    s.choice   = MG_NEW(arena, int32_t, s.count);
    for (int64_t i = 0; i < n; i++) {
        const mg_vector_steps *v = episodes[i].vectors;
        MG_ASSERT(v && v->logp && (s.numbers > 0 ? (const void *)v->drawn : (const void *)v->choice));
        copy_steps(&episodes[i], policy, s.offset[i], &s);
        if (!v->last) continue;
        s.after[i] = MG_NEW(arena, float, s.in);
        mg_mlp_normalise(policy, v->last, 1, s.after[i]);
    }
    *out = s;
}

void mg_steps_of_turn(const mg_episode *e, int64_t j, int64_t *first, int64_t *behind) {
    *first  = e->vectors ? j : e->turns[j].action_begin - e->turns[0].action_begin;
    *behind = e->vectors ? j + 1 : e->turns[j].action_end - e->turns[0].action_begin;
}

// Rows [begin, end) of what was seen, a constant on the tape's arena.
static mg_tensor *rows_seen(mg_tape *t, float *seen, int64_t rows, int64_t in) {
    mg_tensor *x = MG_NEW(t->arena, mg_tensor, 1);
    *x           = (mg_tensor){.dtype = MG_F32, .rows = rows, .cols = in, .data = seen};
    return x;
}

// Of a normal distribution that is sum_j s_j + 1/2 log(2 pi e), the same everywhere.
static mg_tensor *gaussian(mg_tape *t, mg_model *policy, mg_tensor *mean, const float *drawn, float *entropy) {
    double H = 0;
    for (int64_t j = 0; j < mean->cols; j++) H += (double)mg_f32(policy->free)[j] + 0.5 + log(2 * acos(-1)) / 2;
    for (int64_t i = 0; entropy && i < mean->rows; i++) entropy[i] = (float)H;
    return mg_gaussian_logp(t, mean, policy->free, drawn);
}

mg_err mg_steps_logp(mg_tape *t, mg_model *policy, const mg_steps *s, int64_t begin, int64_t end, double temperature,
                     mg_tensor **logp, float *entropy) {
    if (s->in == 0) {
        const mg_answers part = mg_answers_view(&s->answers, begin, end);
        return mg_answers_logp(t, policy, &part, temperature, logp, entropy);
    }
    mg_tensor *y = mg_mlp_forward(t, policy, rows_seen(t, s->seen + begin * s->in, end - begin, s->in));
    *logp = s->numbers > 0 ? gaussian(t, policy, y, s->drawn + begin * s->numbers, entropy)
                           : mg_token_logp(t, y, s->choice + begin, 1, entropy);
    return MG_OK;
}

mg_err mg_steps_values(mg_tape *t, mg_model *critic, const mg_steps *s, int64_t begin, int64_t end,
                       mg_tensor **values) {
    if (s->in == 0) {
        const mg_answers part = mg_answers_view(&s->answers, begin, end);
        return mg_answers_values(t, critic, &part, values);
    }
    *values = mg_mlp_forward(t, critic, rows_seen(t, s->seen + begin * s->in, end - begin, s->in));
    return MG_OK;
}

mg_err mg_steps_value_after(mg_model *critic, mg_team *team, const mg_steps *s, int64_t i, mg_arena *scratch,
                            double *out) {
    const size_t mark = mg_arena_mark(scratch);
    mg_tape      tape = mg_tape_make(scratch, team, false);
    mg_tensor   *after;
    mg_err       err = MG_OK;
    if (s->in == 0) {
        const mg_answers one = mg_answers_view(&s->answers, i, i + 1);
        err = mg_answers_scores(&tape, critic, &one, &after);
    } else {
        MG_ASSERT(s->after[i]);
        after = mg_mlp_forward(&tape, critic, rows_seen(&tape, s->after[i], 1, s->in));
    }
    if (!err) *out = (double)mg_f32(after)[after->rows - 1];
    mg_arena_reset(scratch, mark);
    return err;
}

int64_t mg_steps_portion(const mg_steps *s, int64_t begin, int64_t end) {
    if (s->in == 0) return mg_answers_portion(&s->answers, begin, end, 1);
    return begin + VECTORS_AT_ONCE < end ? begin + VECTORS_AT_ONCE : end;
}

int64_t mg_steps_slice(const mg_steps *s, int64_t texts) { return s->in > 0 ? VECTORS_AT_ONCE : texts; }

// Of a policy, or where it is NULL of the critic.
static mg_err read_all(mg_model *policy, mg_model *critic, mg_team *team, const mg_steps *s, double temperature,
                       int64_t slice, mg_arena *scratch, double *out) {
    const size_t mark = mg_arena_mark(scratch);
    mg_err       err  = MG_OK;
    for (int64_t i = 0; i < s->parts && !err; i += slice) {
        const int64_t stop = i + slice < s->parts ? i + slice : s->parts;
        mg_tape       tape = mg_tape_make(scratch, team, false);
        mg_tensor    *column;
        err = policy ? mg_steps_logp(&tape, policy, s, i, stop, temperature, &column, NULL)
                     : mg_steps_values(&tape, critic, s, i, stop, &column);
        for (int64_t k = 0; !err && k < column->rows; k++) out[s->part[i] + k] = (double)mg_f32(column)[k];
        mg_arena_reset(scratch, mark);
    }
    return err;
}

mg_err mg_steps_read_logp(mg_model *policy, mg_team *team, const mg_steps *s, double temperature, int64_t slice,
                          mg_arena *scratch, double *out) {
    return read_all(policy, NULL, team, s, temperature, slice, scratch, out);
}

mg_err mg_steps_read_values(mg_model *critic, mg_team *team, const mg_steps *s, int64_t slice, mg_arena *scratch,
                            double *out) {
    return read_all(NULL, critic, team, s, 1, slice, scratch, out);
}

// Row i of x [n, size] becomes what was row order[i].
static void permute(void *x, const int64_t *order, int64_t n, size_t size, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    char        *old  = mg_arena_alloc_raw(scratch, size * (size_t)n);
    if (n > 0 && size > 0) memcpy(old, x, size * (size_t)n);
    for (int64_t i = 0; i < n; i++) memcpy((char *)x + size * (size_t)i, old + size * (size_t)order[i], size);
    mg_arena_reset(scratch, mark);
}

void mg_steps_shuffle(mg_steps *s, mg_rng *rng, double *const *columns, int n_columns, mg_arena *scratch) {
    if (s->in == 0) return;
    const size_t mark  = mg_arena_mark(scratch);
    int64_t     *order = counted(s->count, scratch);
    mg_rng_shuffle(rng, order, s->count);
    permute(s->seen, order, s->count, sizeof *s->seen * (size_t)s->in, scratch);
    permute(s->drawn, order, s->count, sizeof *s->drawn * (size_t)s->numbers, scratch);
    permute(s->choice, order, s->count, sizeof *s->choice, scratch);
    permute(s->logp_old, order, s->count, sizeof *s->logp_old, scratch);
    for (int i = 0; i < n_columns; i++) permute(columns[i], order, s->count, sizeof *columns[i], scratch);
    mg_arena_reset(scratch, mark);
}
