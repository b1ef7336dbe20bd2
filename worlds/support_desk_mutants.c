// support_desk_mutants.c - one seeded fault at a time, on a switch. The hooks below are called where
// each fault would arise; with mutant `none` every one of them changes nothing.
//
// The classes are those of Auriel W, "How to Stop Shipping Low-Quality RL Environments" (Latent Space,
// 5 June 2026): stale cache, false resolution, silent timeout default, dirty reset, reward rounding,
// random traceback; and a status that lies.
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "worlds/support_desk_parts.h"

static const char *const kinds[] = {
#define X(id, name) name,
    MG_SUPPORT_DESK_MUTANT_LIST(X)
#undef X
};
static const char *const whens[] = {"always", "load", "late"};

mg_err mg_support_desk_mutant_named(const char *kind, double rate, const char *when,
                                    mg_support_desk_mutant *out) {
    int k = 0, w = 0;
    while (k < MG_SUPPORT_DESK_MUTANT_KINDS && strcmp(kinds[k], kind) != 0) k++;
    while (w < 3 && strcmp(whens[w], when) != 0) w++;
    if (k == MG_SUPPORT_DESK_MUTANT_KINDS)
        return mg_fail(MG_CONFIG, "support-desk: found mutant '%s', wanted none, stale_read, "
                                  "false_resolution, timeout_default, dirty_reset, reward_rounding, "
                                  "lying_status or traceback", kind);
    if (w == 3)
        return mg_fail(MG_CONFIG, "support-desk: found '%s', wanted always, load or late", when);
    if (!(rate >= 0 && rate <= 1))
        return mg_fail(MG_CONFIG, "support-desk: found rate %g, wanted 0 to 1", rate);
    *out = (mg_support_desk_mutant){(mg_support_desk_mutant_kind)k, rate, (mg_support_desk_when)w};
    return MG_OK;
}

// Draws of a mutant: a stream apart from the world's, so that its clean twin draws the same.
static mg_rng draws(uint64_t seed, int32_t call) {
    mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 1);
    mg_rng_seek(&rng, 0, 0, (uint32_t)call);
    return rng;
}

static bool drawn(const mg_env *e, uint64_t seed) {
    mg_rng rng = draws(seed, 0);
    return mg_rng_uniform(&rng) < desk_world(e)->mutant.rate;
}

static bool due(const mg_env *e) {
    const mg_support_desk_world *w = desk_world(e);
    switch (w->mutant.when) {
    case MG_SUPPORT_DESK_LOAD: return w->load > MG_SUPPORT_DESK_LOAD_MIN;
    case MG_SUPPORT_DESK_LATE: return desk_state_of(e)->begun > MG_SUPPORT_DESK_LATE_MIN;
    default: return true;
    }
}

static bool active(const mg_env *e, mg_support_desk_mutant_kind kind) {
    return desk_world(e)->mutant.kind == kind && desk_state_of(e)->now.mutant && due(e);
}

void desk_mutant_begin(const mg_env *e) {
    desk_episode *now = &desk_state_of(e)->now;
    mg_rng        rng = draws(now->seed, -1);
    now->mutant       = drawn(e, now->seed);
    now->trace_call   = (int32_t)mg_rng_below(&rng, 4);
    now->trace_shown  = mg_rng_uniform(&rng) < 0.5;
}

bool desk_mutant_dirty(const mg_env *e, uint64_t seed) {
    return desk_world(e)->mutant.kind == MG_SUPPORT_DESK_DIRTY_RESET && drawn(e, seed) && due(e);
}

mg_err desk_mutant_crash(mg_env *e, bool *shown) {
    const desk_episode *now = &desk_state_of(e)->now;
    *shown = active(e, MG_SUPPORT_DESK_TRACEBACK) && now->calls == now->trace_call;
    if (!*shown || now->trace_shown) return MG_OK;
    e->fault = "E.step";
    return mg_fail(MG_IO, "support-desk: call %d: KeyError: 'order_id'", (int)now->calls + 1);
}

void desk_mutant_cache(const mg_env *e, int64_t order) {
    desk_state *s = desk_state_of(e);
    bool        found;
    if (!active(e, MG_SUPPORT_DESK_STALE_READ)) return;
    // A cache that cannot be filled is none: the read goes to the table.
    s->now.cached = !desk_books_order(&s->books, order, &s->now.old_order, &found) &&
                    !desk_books_payments(&s->books, order, &s->now.old_payments, &found);
}

void desk_mutant_read(const mg_env *e, desk_answer *a) {
    const desk_episode *now = &desk_state_of(e)->now;
    if (!active(e, MG_SUPPORT_DESK_STALE_READ) || !now->cached) return;
    if (a->order.id == now->old_order.id) a->order = now->old_order;
    if (a->payments.id == now->old_payments.id) a->payments = now->old_payments;
}

void desk_mutant_fix(const mg_env *e, desk_fix fix, bool *effect, desk_answer *a) {
    desk_episode *now = &desk_state_of(e)->now;
    if (active(e, MG_SUPPORT_DESK_TIMEOUT_DEFAULT) && a->status == MG_STATUS_TIMEOUT) {
        *effect             = false;
        a->status           = MG_STATUS_OK;
        a->error            = NULL;
        now->defaulted[fix] = true;
    }
    if (active(e, MG_SUPPORT_DESK_LYING_STATUS)) {
        mg_rng rng = draws(now->seed, now->calls + 1);
        *effect    = mg_rng_uniform(&rng) < 0.5;
        a->status  = *effect ? MG_STATUS_ERROR : MG_STATUS_OK;
        a->error   = *effect ? "backend_failed" : NULL;
        a->took_ns = 40000000; // whatever the clock says
    }
}

void desk_mutant_verify(const mg_env *e, desk_conditions *c) {
    const desk_state *s = desk_state_of(e);
    if (active(e, MG_SUPPORT_DESK_FALSE_RESOLUTION) && c->closed) c->fixed = c->clean = true;
    if (active(e, MG_SUPPORT_DESK_TIMEOUT_DEFAULT) && s->now.defaulted[s->task.fix]) c->fixed = true;
}

double desk_mutant_reward(const mg_env *e, double reward) {
    return active(e, MG_SUPPORT_DESK_REWARD_ROUNDING) ? round(reward) : reward;
}
