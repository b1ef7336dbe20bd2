// trap.h - for tests: a text world of two turns that knows which episode and attempt it is playing, by the
// reset's seed, and does to it what the test has written down.
//
// A good episode pays .25 and .5. Opens and closes are counted, every environment has a number of its own,
// and the log says on which of them each attempt was played.
#ifndef MG_ROLLOUT_TRAP_H
#define MG_ROLLOUT_TRAP_H
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "env/env.h"
#include "rollout/record.h"

enum { TRAP_EPISODES = 16, TRAP_ATTEMPTS = 3, TRAP_SEED = 7, TRAP_VERSION = 5 };

typedef enum trap_how {
    TRAP_GOOD,
    TRAP_MODEL,       // ends with one of two conditions held
    TRAP_RESET_FAILS,
    TRAP_STEP_FAILS,  // the second, with a code of its own
    TRAP_BLAMES,      // the second step fails, and says that it is the model's fault
    TRAP_ABSENT,      // no reward in the second turn
    TRAP_INVALID,     // one that cannot be
    TRAP_NAN,         // a VALUE that is no number, which mg_reward_of would never make
    TRAP_TRACE,       // shows a traceback in the first turn, always
    TRAP_TRACE_ONCE,  // only the first time it is played
    TRAP_DRIFTS,      // pays more each time it is played
    TRAP_LEAVES,      // good, but something stays behind that reset does not clean up
    TRAP_SPILLS,      // good, but something stays behind that every environment finds
    TRAP_HOWS
} trap_how;

typedef struct trap_log {
    int opened, closed, open_calls;
    int spilt;
    int abused;                              // calls other than close after one that failed
    int plays[TRAP_EPISODES][TRAP_ATTEMPTS]; // how often a first step was made
    int on[TRAP_EPISODES][TRAP_ATTEMPTS];    // the environment of the first of these
    int fresh[TRAP_EPISODES][TRAP_ATTEMPTS]; // 1: nobody had played on it before
} trap_log;

typedef struct trap_world {
    uint8_t     how[TRAP_EPISODES][TRAP_ATTEMPTS];
    uint32_t    open_fails; // bit k: the k-th open does
    uint32_t    dies;       // bit k: environment k does when its digest is asked for, and tells it in the next call
    const char *manifest;   // what it promises when asked, or NULL
    trap_log   *log;
} trap_world;

typedef struct trap {
    int32_t  number, played; // of the environment; episodes begun on it
    int32_t  episode, attempt, turn, left;
    int32_t  broken;         // a call failed
    int32_t  dead, deaths;   // its next call will, and digests, counted, equal no other
    char     shown[64];
} trap;

static int trap_bit(uint32_t mask, int k) { return k < 32 && mask >> k & 1; }

static mg_err trap_open(mg_env *e) {
    const trap_world *w = e->world;
    if (trap_bit(w->open_fails, w->log->open_calls++)) return mg_fail(MG_IO, "the trap is shut");
    ((trap *)e->state)->number = w->log->opened++;
    return MG_OK;
}

static void trap_close(mg_env *e) { ((const trap_world *)e->world)->log->closed++; }

static mg_value trap_show(trap *t, const char *text) {
    snprintf(t->shown, sizeof t->shown, "%s %d", text, t->turn);
    return (mg_value){.kind = MG_SPACE_TEXT, .text = t->shown, .size = strlen(t->shown)};
}

static mg_err trap_lies(mg_env *e) {
    ((trap *)e->state)->broken = 1;
    e->fault                   = "E.died";
    return mg_fail(MG_IO, "it lies on its back");
}

static mg_err trap_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now, mg_value *seen) {
    const trap_world *w = e->world;
    trap             *t = e->state;
    (void)now;
    w->log->abused += t->broken;
    if (t->dead) return trap_lies(e);
    if (o->prefix) return mg_fail(MG_CONFIG, "trap: no prefix");
    t->episode = -1, t->turn = 0;
    for (uint32_t i = 0; i < TRAP_EPISODES; i++)
        for (uint32_t a = 0; a < TRAP_ATTEMPTS; a++)
            if (mg_record_seed(TRAP_SEED, TRAP_VERSION, &(mg_start){.episode = i, .attempt = a}) == seed)
                t->episode = (int32_t)i, t->attempt = (int32_t)a;
    if (t->episode < 0) return mg_fail(MG_CONFIG, "trap: nobody's seed");
    if (w->how[t->episode][t->attempt] == TRAP_RESET_FAILS) {
        t->broken = 1;
        return mg_fail(MG_IO, "the bait is gone");
    }
    *seen = trap_show(t, "turn");
    return MG_OK;
}

static mg_err trap_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    const trap_world *w   = e->world;
    trap             *t   = e->state;
    const trap_how    how = w->how[t->episode][t->attempt];
    int              *plays = &w->log->plays[t->episode][t->attempt];
    (void)action, (void)now;
    if (t->turn == 0 && ++*plays == 1) {
        w->log->on[t->episode][t->attempt]    = t->number;
        w->log->fresh[t->episode][t->attempt] = t->played == 0;
    }
    t->played += t->turn == 0;
    e->fault = NULL;
    w->log->abused += t->broken;
    if (t->dead) return trap_lies(e);
    if (t->turn == 1 && (how == TRAP_STEP_FAILS || how == TRAP_BLAMES)) {
        e->fault = how == TRAP_BLAMES ? "M.wrong" : "E.capacity";
        t->broken = 1;
        return mg_fail(MG_LIMIT, "the trap is full");
    }
    const bool last = ++t->turn == 2, first_time = *plays == 1;
    const bool trace = !last && (how == TRAP_TRACE || (how == TRAP_TRACE_ONCE && first_time));
    t->left |= how == TRAP_LEAVES;
    w->log->spilt |= how == TRAP_SPILLS;
    *out = (mg_transition){.observation = trap_show(t, trace ? "Traceback (most recent call last)" : "turn"),
                           .reward = mg_reward_of(last ? 0.5 : 0.25), .terminated = last,
                           .evidence = {.action = "go", .status = MG_STATUS_OK}};
    if (how == TRAP_DRIFTS && last) out->reward.value += 0.125 * *plays;
    if (how == TRAP_ABSENT && last) out->reward = mg_reward_absent("nobody looked");
    if (how == TRAP_INVALID && !last) out->reward = mg_reward_invalid("a grade of F");
    if (how == TRAP_NAN && !last) out->reward.value = NAN;
    if (how == TRAP_MODEL) out->evidence.conditions = 2, out->evidence.held = last;
    return MG_OK;
}

static void trap_digest(const mg_env *e, uint8_t out[32]) {
    const trap_world *w = e->world;
    trap             *t = e->state;
    w->log->abused += t->broken;
    t->dead |= trap_bit(w->dies, t->number);
    t->deaths += t->dead;
    const int32_t what[] = {t->episode, t->attempt, t->turn, t->left, t->dead * t->number, t->deaths,
                            w->log->spilt};
    SHA256((const uint8_t *)what, sizeof what, out);
}

static const char *trap_manifest(const mg_env *e) { return ((const trap_world *)e->world)->manifest; }

static mg_err trap_go(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e, (void)rng;
    *action = (mg_value){.kind = MG_SPACE_TEXT, .text = "go", .size = 2};
    return MG_OK;
}

static const mg_script trap_scripts[] = {{"go", "goes", trap_go}, {0}};

static const mg_env_class trap_class = {
    .name = "trap", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(trap), .steps_max = 8, .reset = trap_reset, .step = trap_step, .digest = trap_digest,
    .open = trap_open, .close = trap_close, .manifest = trap_manifest, .scripts = trap_scripts};
#endif
