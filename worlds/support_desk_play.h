// support_desk_play.h - how the support desk's tests play it; no test of its own.
#ifndef MG_WORLDS_SUPPORT_DESK_PLAY_H
#define MG_WORLDS_SUPPORT_DESK_PLAY_H
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "worlds/support_desk_parts.h"

typedef struct desk { // one environment
    mg_support_desk_world world;
    mg_env                env;
    mg_value              seen;
    mg_transition         t;
} desk;

// What an episode leaves behind, for habits and sums.
typedef struct played {
    mg_turn  turns[MG_SUPPORT_DESK_CALLS];
    mg_touch touched[MG_SUPPORT_DESK_CALLS];
    char     keys[MG_SUPPORT_DESK_CALLS][32];
    int64_t  n;
    double   paid, owed;
    int32_t  held;
    bool     failed; // a call returned an error
} played;

static inline desk_state *inside(const desk *d) { return d->env.state; }

static inline void desk_open(desk *d, mg_arena *arena) {
    assert_int_equal(mg_env_open(&d->env, &mg_support_desk_class, &d->world, arena), MG_OK);
}

static inline void desk_begin(desk *d, uint64_t seed, int64_t item) {
    assert_int_equal(
        d->env.class->reset(&d->env, seed, &(mg_reset_options){.item = item}, 0, &d->seen), MG_OK);
    assert_true(d->seen.kind == MG_SPACE_TEXT && d->seen.size == strlen(d->seen.text));
}

static inline mg_err desk_say_bytes(desk *d, const char *text, size_t size) {
    const mg_value action = {.kind = MG_SPACE_TEXT, .text = text, .size = size};
    const mg_err   err    = d->env.class->step(&d->env, &action, 0, &d->t);
    if (!err) d->seen = d->t.observation;
    return err;
}

static inline void desk_say(desk *d, const char *text) {
    assert_int_equal(desk_say_bytes(d, text, strlen(text)), MG_OK);
}

static inline void record(played *p, const mg_transition *t) {
    const int64_t i = p->n++;
    p->turns[i]     = (mg_turn){.reward = t->reward, .evidence = t->evidence};
    if (t->evidence.n_touched) { // as a record would keep it
        assert_int_equal(t->evidence.n_touched, 1);
        p->touched[i] = t->evidence.touched[0];
        snprintf(p->keys[i], sizeof p->keys[i], "%s", t->evidence.touched[0].key);
        p->touched[i].key               = p->keys[i];
        p->turns[i].evidence.touched   = &p->touched[i];
        p->turns[i].evidence.arguments = NULL;
    }
    p->paid += t->reward.value;
    p->owed += t->evidence.owed.value;
    p->held = t->evidence.held;
}

// Plays an episode that was begun; `watch` sees the desk after every call.
static inline void desk_play(desk *d, const char *script, mg_rng *rng, void (*watch)(desk *),
                             played *out) {
    const mg_script *s = mg_env_script(d->env.class, script);
    mg_value         action;
    memset(out, 0, sizeof *out);
    do {
        assert_int_equal(s->act(&d->env, rng, &action), MG_OK);
        out->failed = desk_say_bytes(d, action.text, action.size) != MG_OK;
        if (out->failed) return;
        assert_int_equal(d->t.reward.kind, MG_REWARD_VALUE);
        assert_int_equal(d->t.evidence.owed.kind, MG_REWARD_VALUE);
        record(out, &d->t);
        if (watch) watch(d);
    } while (!d->t.terminated);
    assert_false(d->t.truncated);
}

static inline void habits(const played *p, mg_support_desk_habits *out) {
    const mg_episode e = {.turns = (mg_turn *)p->turns, .n_turns = p->n};
    mg_support_desk_habits_of(&e, out);
}

// A number from the database, by a statement written in the test.
static inline int64_t ask(const desk *d, const char *form, ...) MG_PRINTF(2, 3);
static inline int64_t ask(const desk *d, const char *form, ...) {
    char          sql[512];
    sqlite3_stmt *s;
    va_list       args;
    va_start(args, form);
    vsnprintf(sql, sizeof sql, form, args);
    va_end(args);
    assert_int_equal(sqlite3_prepare_v2(inside(d)->books.db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    const int64_t x = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return x;
}

// The first item from `from` on whose right fix this is, with a seed under which the first fix, made as
// the second call, runs out of time and was done or not; or under which no call would run out of time.
typedef enum fate { IN_TIME, LATE_DONE, LATE_UNDONE } fate;

static inline bool desk_in_time(desk *d, uint64_t seed, int64_t item) {
    desk_begin(d, seed, item);
    for (int i = 0; i < MG_SUPPORT_DESK_CALLS; i++) {
        desk_say(d, "refund");
        if (d->t.evidence.status == MG_STATUS_TIMEOUT) return false;
    }
    return true;
}

static inline bool desk_late(desk *d, uint64_t seed, int64_t item, const char *fix, bool done) {
    desk_begin(d, seed, item);
    desk_say(d, "look order");
    desk_say(d, fix);
    const mg_touch *x = &d->t.evidence.touched[0];
    return d->t.evidence.status == MG_STATUS_TIMEOUT && (x->before != x->after) == done;
}

static inline void desk_find(desk *d, int64_t from, desk_fix fix, fate wanted, uint64_t *seed,
                             int64_t *item) {
    static const char *const fixes[DESK_FIXES] = {"refund", "replace", "fix address"};
    const mg_support_desk_world world = d->world;
    desk_task                   t;
    *item = from;
    for (desk_task_make(*item, &t); t.fix != fix; desk_task_make(*item, &t)) ++*item;
    d->world = (mg_support_desk_world){0}; // the clean world tells
    for (*seed = 1; wanted == IN_TIME ? !desk_in_time(d, *seed, *item)
                                      : !desk_late(d, *seed, *item, fixes[fix], wanted == LATE_DONE);)
        ++*seed;
    d->world = world;
}
#endif
