// sets.c - logged rows out of a replay buffer, and two sets joined.
#include "store/sets.h"

#include <string.h>

#include "store/logged.h"

// Is there room for rows of so many numbers, two flags, and what is lost between arrays?
static mg_err check_room(const mg_arena *arena, int64_t rows, int64_t numbers) {
    const size_t row = sizeof(float) * (size_t)numbers + 2, wanted = row * (size_t)rows + 1024;
    if (wanted <= arena->size_max - arena->used) return MG_OK;
    return mg_fail(MG_LIMIT, "a set of %lld rows of %zu bytes: found room for %zu bytes", (long long)rows, row,
                   arena->size_max - arena->used);
}

static bool goes_on(const mg_transitions *t, int64_t i) {
    const size_t o = (size_t)t->obs;
    return memcmp(t->next + (size_t)i * o, t->observation + (size_t)(i + 1) * o, sizeof(float) * o) == 0;
}

mg_err mg_logged_of_replay(const mg_replay *r, const mg_replay_shape *shape, int64_t rows, double scale,
                           int64_t steps_max, mg_arena *arena, mg_logged *out) {
    const int64_t low = mg_replay_low(r), high = mg_replay_rows(r);
    if (high == 0) return mg_fail(MG_EMPTY, "the replay buffer holds no row");
    if (low > 0 || rows > high)
        return mg_fail(MG_LIMIT, "the replay buffer holds rows %lld to %lld, wanted those from 0 to %lld",
                       (long long)low, (long long)high - 1, (long long)rows - 1);
    mg_err err = check_room(arena, rows, 2 * shape->obs + shape->act + 1);
    if (err) return err;
    mg_transitions t = mg_transitions_new(arena, rows, shape->obs, shape->act);
    uint8_t       *timeout = MG_NEW(arena, uint8_t, rows);
    mg_replay_read(r, 0, &t);
    for (int64_t i = 0, begun = 0; i < rows; i++) {
        const bool cut = i + 1 < rows ? !goes_on(&t, i) : i + 1 - begun == steps_max;
        timeout[i]     = cut && !t.terminal[i];
        if (t.terminal[i] || timeout[i]) begun = i + 1;
    }
    for (int64_t k = 0; k < rows * t.act; k++) t.action[k] = (float)((double)t.action[k] * scale);
    *out = (mg_logged){.rows = rows, .obs = t.obs, .act = t.act, .observation = t.observation, .action = t.action,
                       .reward = t.reward, .next = t.next, .terminal = t.terminal, .timeout = timeout};
    return MG_OK;
}

// ---- Joining

typedef struct joint {
    int64_t   from_a, from_b; // rows of each
    mg_arena *arena;
} joint;

// [rows, width] of things of `size` bytes; NULL where one of the two has none.
static void *joined(const joint *j, const void *a, const void *b, int64_t width, size_t size) {
    const size_t row = size * (size_t)width, n = row * (size_t)j->from_a;
    if (!a || !b) return NULL;
    char *out = mg_arena_alloc_raw(j->arena, row * (size_t)(j->from_a + j->from_b));
    memcpy(out, a, n);
    if (j->from_b > 0) memcpy(out + n, b, row * (size_t)j->from_b);
    return out;
}

// A word that two sets of one plant have alike, where both have it.
static mg_err check_word(const mg_logged *a, const mg_logged *b, const char *key) {
    const char *of_a = mg_logged_says(a, key), *of_b = mg_logged_says(b, key);
    if (!of_a || !of_b || strcmp(of_a, of_b) == 0) return MG_OK;
    return mg_fail(MG_MISMATCH, "metadata/%s: found '%s' in the second set, wanted '%s', as the first has it: two of "
                                "one plant", key, of_b, of_a);
}

// What both say alike.
static const mg_logged_word *common(const mg_logged *a, const mg_logged *b, mg_arena *arena) {
    int n = 0;
    for (const mg_logged_word *w = a->words; w && w->key; w++) n++;
    mg_logged_word *out = MG_NEW(arena, mg_logged_word, n + 1), *end = out; // the last is zero
    for (const mg_logged_word *w = a->words; w && w->key; w++) {
        const char *other = mg_logged_says(b, w->key);
        if (other && strcmp(other, w->text) == 0) *end++ = *w;
    }
    return end > out ? out : NULL;
}

static mg_err check(const mg_logged *a, const mg_logged *b) {
    if (a->obs != b->obs || a->act != b->act)
        return mg_fail(MG_MISMATCH, "found %lld numbers of observations and %lld of actions in one set, %lld and %lld "
                                    "in the other: wanted two of one world", (long long)a->obs, (long long)a->act,
                       (long long)b->obs, (long long)b->act);
    if (a->world && b->world && strcmp(a->world, b->world) != 0)
        return mg_fail(MG_MISMATCH, "found sets of '%s' and of '%s', wanted two of one world", a->world, b->world);
    mg_err err = check_word(a, b, MG_LOGGED_PLANT);
    return err ? err : check_word(a, b, MG_LOGGED_VERSION);
}

mg_err mg_logged_join(const mg_logged *a, const mg_logged *b, int64_t rows_max, mg_arena *arena, mg_logged *out) {
    mg_err  err = check(a, b);
    int64_t end = a->rows;
    if (err) return err;
    while (end > 0 && !a->terminal[end - 1] && !a->timeout[end - 1]) end--;
    if (end == 0) return mg_fail(MG_EMPTY, "no episode of the first set is finished, wanted one at least");
    joint j = {.arena = arena};
    j.from_a = end < rows_max ? end : rows_max;
    j.from_b = b->rows < rows_max - j.from_a ? b->rows : rows_max - j.from_a;
    err = check_room(arena, j.from_a + j.from_b, 2 * a->obs + a->act + 2 + a->nq + a->nv);
    if (err) return err;
    *out = (mg_logged){.rows = j.from_a + j.from_b, .obs = a->obs, .act = a->act,
                       .world = a->world ? a->world : b->world, .words = common(a, b, arena)};
    out->observation = joined(&j, a->observation, b->observation, a->obs, sizeof(float));
    out->action      = joined(&j, a->action, b->action, a->act, sizeof(float));
    out->reward      = joined(&j, a->reward, b->reward, 1, sizeof(float));
    out->terminal    = joined(&j, a->terminal, b->terminal, 1, 1);
    out->timeout     = joined(&j, a->timeout, b->timeout, 1, 1);
    out->next        = joined(&j, a->next, b->next, a->obs, sizeof(float));
    out->logp        = joined(&j, a->logp, b->logp, 1, sizeof(float));
    if (a->nq != b->nq || a->nv != b->nv) return MG_OK;
    out->nq = a->nq, out->nv = a->nv;
    out->qpos = joined(&j, a->qpos, b->qpos, a->nq, sizeof(float));
    out->qvel = joined(&j, a->qvel, b->qvel, a->nv, sizeof(float));
    return MG_OK;
}
