// transitions.c - from logged rows to transitions, and samples of them.
#include "store/transitions.h"

#include <math.h>
#include <string.h>

mg_transitions mg_transitions_new(mg_arena *arena, int64_t n, int64_t obs, int64_t act) {
    MG_ASSERT(n >= 0 && obs > 0 && act > 0);
    return (mg_transitions){
        .n = n, .obs = obs, .act = act,
        .observation = MG_NEW(arena, float, n * obs), .action = MG_NEW(arena, float, n * act),
        .reward = MG_NEW(arena, float, n), .next = MG_NEW(arena, float, n * obs),
        .terminal = MG_NEW(arena, uint8_t, n),
    };
}

mg_transitions mg_transitions_view(const mg_transitions *t, int64_t from, int64_t n) {
    MG_ASSERT(from >= 0 && n >= 0 && from <= t->n - n);
    return (mg_transitions){
        .n = n, .obs = t->obs, .act = t->act,
        .observation = t->observation + from * t->obs, .action = t->action + from * t->act,
        .reward = t->reward + from, .next = t->next + from * t->obs, .terminal = t->terminal + from,
    };
}

#define AHEAD 32 // rows whose memory is asked for before they are copied

// Asks for row i's memory: the first lines of each of its parts, the processor fetches on.
static void ask(const mg_transitions *t, int64_t i) {
    for (int64_t k = 0; k < t->obs; k += 16) {
        __builtin_prefetch(t->observation + i * t->obs + k);
        __builtin_prefetch(t->next + i * t->obs + k);
    }
    __builtin_prefetch(t->action + i * t->act);
    __builtin_prefetch(t->reward + i);
    __builtin_prefetch(t->terminal + i);
}

static void copy(const mg_transitions *t, int64_t i, mg_transitions *to, int64_t j) {
    memcpy(to->observation + j * t->obs, t->observation + i * t->obs, sizeof(float) * (size_t)t->obs);
    memcpy(to->next + j * t->obs, t->next + i * t->obs, sizeof(float) * (size_t)t->obs);
    memcpy(to->action + j * t->act, t->action + i * t->act, sizeof(float) * (size_t)t->act);
    to->reward[j]   = t->reward[i];
    to->terminal[j] = t->terminal[i];
}

void mg_transitions_sample(const mg_transitions *t, mg_rng *rng, mg_transitions *batch) {
    MG_ASSERT(t->n > 0 && t->obs == batch->obs && t->act == batch->act);
    int64_t at[AHEAD];
    for (int64_t from = 0; from < batch->n; from += AHEAD) {
        const int64_t n = batch->n - from < AHEAD ? batch->n - from : AHEAD;
        for (int64_t j = 0; j < n; j++) {
            at[j] = (int64_t)mg_rng_below(rng, (uint64_t)t->n);
            ask(t, at[j]);
        }
        for (int64_t j = 0; j < n; j++) copy(t, at[j], batch, from + j);
    }
}

#define WIDE 16 // numbers of an observation at a time: a cache line of each row

// Columns [k, k + n) of the observations: what mg_transitions_scale promises.
static void scale_columns(const mg_transitions *t, int64_t k, int64_t n, float *mean, float *deviation) {
    double mu[WIDE] = {0}, square[WIDE] = {0};
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t c = 0; c < n; c++) mu[c] += (double)t->observation[i * t->obs + k + c];
    for (int64_t c = 0; c < n; c++) mu[c] /= (double)t->n;
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t c = 0; c < n; c++) {
            const double d = (double)t->observation[i * t->obs + k + c] - mu[c];
            square[c] += d * d;
        }
    for (int64_t c = 0; c < n; c++) {
        mean[k + c]      = (float)mu[c];
        deviation[k + c] = (float)(sqrt(square[c] / (double)t->n) + MG_SCALE_FLOOR);
    }
}

void mg_transitions_scale(const mg_transitions *t, float *mean, float *deviation) {
    MG_ASSERT(t->n > 0);
    for (int64_t k = 0; k < t->obs; k += WIDE)
        scale_columns(t, k, t->obs - k < WIDE ? t->obs - k : WIDE, mean, deviation);
}

// Row i becomes row j <= i.
static void move(mg_logged *l, const float *next, int64_t i, int64_t j) {
    memmove(l->observation + j * l->obs, l->observation + i * l->obs, sizeof(float) * (size_t)l->obs);
    memmove(l->action + j * l->act, l->action + i * l->act, sizeof(float) * (size_t)l->act);
    memmove(l->next + j * l->obs, next, sizeof(float) * (size_t)l->obs);
    l->reward[j]   = l->reward[i];
    l->terminal[j] = l->terminal[i];
}

mg_err mg_logged_transitions(mg_logged *l, mg_arena *arena, mg_transitions *out) {
    const bool own = l->next != NULL;
    int64_t    n = 0, kept = 0;
    for (int64_t i = 0; i < l->rows - 1; i++) n += !l->timeout[i];
    if (n == 0)
        return mg_fail(MG_EMPTY, "found no transition among %lld rows, wanted one that is neither the "
                                 "last nor at a timeout", (long long)l->rows);
    const size_t size = own ? 0 : sizeof(float) * (size_t)(n * l->obs);
    if (size + 64 > arena->size_max - arena->used)
        return mg_fail(MG_LIMIT, "found %zu bytes of next observations, wanted at most %zu", size,
                       arena->size_max - arena->used);
    if (!own) l->next = mg_arena_alloc_raw(arena, size);
    for (int64_t i = 0; i < l->rows - 1; i++) {
        if (l->timeout[i]) continue;
        // Row i+1 is still where it was: rows only move down, and i+1 comes after.
        move(l, own ? l->next + i * l->obs : l->observation + (i + 1) * l->obs, i, kept++);
    }
    *out = (mg_transitions){
        .n = n, .obs = l->obs, .act = l->act, .observation = l->observation, .action = l->action,
        .reward = l->reward, .next = l->next, .terminal = l->terminal,
    };
    *l = (mg_logged){0};
    return MG_OK;
}

bool mg_logged_ends(const mg_logged *l, int64_t i) { return l->terminal[i] || l->timeout[i] || i == l->rows - 1; }

int64_t mg_logged_episodes(const mg_logged *l) {
    int64_t n = 0;
    for (int64_t i = 0; i < l->rows; i++) n += mg_logged_ends(l, i);
    return n;
}
