// support_desk_scripts.c - policies that the world brings along, and the habits in an episode.
//
// A script remembers what answers told it and nothing else: the state that only the database knows is
// not its to read. So its games are demonstrations, and a fault of the world misleads it as it would
// mislead a learner.
#include <string.h>

#include "core/rng.h"
#include "worlds/support_desk_parts.h"

void desk_scripts_heard(desk_state *s, const desk_call *c, const desk_answer *a) {
    desk_episode *now = &s->now;
    desk_fix      fix;
    if (c->order != s->task.order + 1) return;
    if (a->seen && c->kind == DESK_LOOK_ORDER) {
        now->looked             = true;
        now->shown              = a->order;
        now->told[DESK_REPLACE] = a->order.resent > 0;
        now->told[DESK_ADDRESS] = strcmp(a->order.address, desk_task_target(&s->task)) == 0;
        now->doubt[DESK_REPLACE] = now->doubt[DESK_ADDRESS] = false;
    } else if (a->seen) {
        now->told[DESK_REFUND]  = a->payments.refunds > 0;
        now->doubt[DESK_REFUND] = false;
    } else if (desk_call_is_fix(c->kind, &fix)) {
        if (a->status == MG_STATUS_OK) now->told[fix] = true;
        now->doubt[fix] = a->status == MG_STATUS_TIMEOUT;
    }
}

static mg_value say(const desk_state *s, desk_kind k) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = s->choices[k], .size = strlen(s->choices[k])};
}

// Which fix the order, as it was shown, asks for.
static desk_fix plan(const desk_state *s) {
    const desk_order_view *o = &s->now.shown;
    switch (s->task.problem) {
    case DESK_TWICE: return o->bought > 1 ? DESK_REPLACE : DESK_REFUND;
    case DESK_WRONG_ADDRESS: return strcmp(o->status, "packed") == 0 ? DESK_ADDRESS : DESK_REPLACE;
    default: return o->stock > 0 ? DESK_REPLACE : DESK_REFUND;
    }
}

static desk_kind call_of(desk_fix fix) {
    static const desk_kind calls[DESK_FIXES] = {
        [DESK_REFUND] = DESK_CALL_REFUND, [DESK_REPLACE] = DESK_CALL_REPLACE,
        [DESK_ADDRESS] = DESK_CALL_ADDRESS};
    return calls[fix];
}

static desk_kind best(const desk_state *s) {
    if (!s->now.looked) return DESK_LOOK_ORDER;
    const desk_fix fix = plan(s);
    if (s->now.doubt[fix]) return fix == DESK_REFUND ? DESK_LOOK_PAYMENTS : DESK_LOOK_ORDER;
    return s->now.told[fix] ? DESK_RESOLVE : call_of(fix);
}

static mg_err oracle(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)rng;
    const desk_state *s = desk_state_of(e);
    *action             = say(s, best(s));
    return MG_OK;
}

static mg_err good(const mg_env *e, mg_rng *rng, mg_value *action) {
    const desk_state *s = desk_state_of(e);
    if (s->now.calls >= 2) return oracle(e, rng, action);
    *action = say(s, DESK_LOOK_PAYMENTS);
    return MG_OK;
}

static mg_err partial(const mg_env *e, mg_rng *rng, mg_value *action) {
    const desk_state *s = desk_state_of(e);
    (void)rng;
    const desk_kind k = best(s);
    *action           = say(s, k == DESK_RESOLVE ? DESK_LOOK_ORDER : k);
    return MG_OK;
}

static mg_err floor_of(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)rng;
    *action = say(desk_state_of(e), DESK_RESOLVE);
    return MG_OK;
}

static mg_err trusting(const mg_env *e, mg_rng *rng, mg_value *action) {
    const desk_state *s = desk_state_of(e);
    if (s->now.looked && s->now.doubt[plan(s)]) return floor_of(e, rng, action);
    return oracle(e, rng, action);
}

static mg_err repeating(const mg_env *e, mg_rng *rng, mg_value *action) {
    const desk_state *s = desk_state_of(e);
    if (!s->now.looked || !s->now.doubt[plan(s)]) return oracle(e, rng, action);
    *action = say(s, call_of(plan(s)));
    return MG_OK;
}

static mg_err guessing(const mg_env *e, mg_rng *rng, mg_value *action) {
    const desk_state *s = desk_state_of(e);
    (void)rng;
    *action = say(s, s->now.calls == 0 ? DESK_CALL_REPLACE : DESK_RESOLVE);
    return MG_OK;
}

static mg_err random_of(const mg_env *e, mg_rng *rng, mg_value *action) {
    *action = say(desk_state_of(e), (desk_kind)mg_rng_below(rng, DESK_KINDS));
    return MG_OK;
}

static mg_err noisy(const mg_env *e, mg_rng *rng, mg_value *action) {
    return mg_rng_uniform(rng) < 0.3 ? random_of(e, rng, action) : oracle(e, rng, action);
}

const mg_script desk_scripts[] = {
    {"oracle", "looks, fixes, looks after a time-out, resolves", oracle},
    {"good", "the same with two needless looks", good},
    {"partial", "fixes and never closes", partial},
    {"floor", "resolves at once", floor_of},
    {"trusting", "takes a time-out for done", trusting},
    {"repeating", "repeats after a time-out without a look", repeating},
    {"guessing", "replaces without a look", guessing},
    {"random", "any admissible action", random_of},
    {"noisy", "the oracle with 30 % of the moves at random", noisy},
    {0},
};

// ---- habits

static const mg_touch *touch(const mg_turn *t) {
    return t->evidence.n_touched > 0 ? &t->evidence.touched[0] : NULL;
}

static desk_kind kind_of(const mg_turn *t) {
    for (int k = 0; k < DESK_KINDS; k++)
        if (t->evidence.action && strcmp(t->evidence.action, desk_call_name((desk_kind)k)) == 0)
            return (desk_kind)k;
    return DESK_NO_CALL;
}

// Did it run out of time, whatever its answer says?
static bool ran_out(const mg_turn *t) {
    return t->evidence.status == MG_STATUS_TIMEOUT ||
           t->evidence.took_ns > MG_SUPPORT_DESK_TIMEOUT_MS * INT64_C(1000000);
}

// After turn `i` ran out of time: was it repeated, or the ticket resolved, before anybody looked?
static bool unverified(const mg_episode *e, int64_t i) {
    const mg_touch *out = touch(&e->turns[i]);
    for (int64_t k = i + 1; out && k < e->n_turns; k++) {
        const mg_turn  *t = &e->turns[k];
        const mg_touch *x = touch(t);
        if (kind_of(t) == DESK_RESOLVE && t->evidence.status == MG_STATUS_OK) return true;
        if (!x || strcmp(x->key, out->key) != 0) continue;
        if (x->shown) return false;
        if (kind_of(t) == kind_of(&e->turns[i])) return true;
    }
    return false;
}

void mg_support_desk_habits_of(const mg_episode *e, mg_support_desk_habits *out) {
    mg_support_desk_habits h     = {0};
    bool                   shown = false;
    for (int64_t i = 0; i < e->n_turns; i++) {
        const mg_turn  *t = &e->turns[i];
        const mg_touch *x = touch(t);
        const desk_kind k = kind_of(t);
        desk_fix        fix;
        if (x && x->shown) shown = true;
        if (k == DESK_RESOLVE && t->evidence.status == MG_STATUS_OK) {
            double owed;
            h.resolved         = true;
            h.resolved_unfixed = mg_reward_value(&t->evidence.owed, &owed) && owed == 0;
        }
        if (!desk_call_is_fix(k, &fix) || !x) continue;
        if (!shown) h.fixed_unseen = true;
        if (ran_out(t)) {
            h.timed_out = true;
            if (unverified(e, i)) h.unverified = true;
        }
        for (int64_t j = 0; j < i; j++) { // the same effect, on the same key, once more
            const mg_touch *y = touch(&e->turns[j]);
            if (kind_of(&e->turns[j]) == k && y && strcmp(y->key, x->key) == 0 &&
                y->before != y->after && x->before != x->after)
                h.repeated = true;
        }
    }
    *out = h;
}
