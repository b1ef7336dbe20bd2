// sim_world.c - the simulated environment and its faults.
#include "transport/sim_world.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    mg_code     code;
    mg_sim_seen seen;
} faults[MG_SIM_FAULT_COUNT] = {
#define ROW(name, code, seen) [MG_SIM_##name] = {MG_##code, MG_SIM_##seen},
    MG_SIM_FAULTS(ROW)
#undef ROW
};

mg_code     mg_sim_fault_code(mg_sim_fault f) { return faults[f].code; }
mg_sim_seen mg_sim_fault_seen(mg_sim_fault f) { return faults[f].seen; }

const char *const mg_sim_manifest =
    "{\"name\":\"simulated\",\"version\":\"1\",\"determinism\":\"deterministic\","
    "\"reward\":{\"min\":0,\"max\":1,\"resolution\":0.25},\"actions\":["
    "{\"name\":\"get\",\"effect\":\"pure\",\"reads\":[\"kv/*\"],\"timeout_ms\":50,"
    "\"schema\":{\"type\":\"object\",\"properties\":{\"key\":{\"enum\":[\"a\",\"b\",\"c\",\"d\"]}},"
    "\"required\":[\"key\"],\"additionalProperties\":false}},"
    "{\"name\":\"look\",\"effect\":\"pure\",\"reads\":[\"kv/*\"],\"visibility_ms\":200},"
    "{\"name\":\"set\",\"effect\":\"mutating\",\"writes\":[\"kv/*\"],\"timeout_ms\":50,"
    "\"schema\":{\"type\":\"object\",\"properties\":{\"key\":{\"enum\":[\"a\",\"b\",\"c\",\"d\"]},"
    "\"value\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}},"
    "\"required\":[\"key\",\"value\"],\"additionalProperties\":false}},"
    "{\"name\":\"done\",\"effect\":\"pure\"}]}";

static const char *const key_names[MG_SIM_KEYS] = {"kv/a", "kv/b", "kv/c", "kv/d"};

static bool armed(const mg_sim_world *w, mg_sim_fault f) {
    return w->fault == f && !w->struck && w->turns >= w->at;
}

// The fault strikes now, if it is this one's turn.
static bool strikes(mg_sim_world *w, mg_sim_fault f) {
    const bool now = armed(w, f);
    w->struck |= now;
    return now;
}

void mg_sim_world_reset(mg_sim_world *w, uint64_t seed, int32_t item) {
    mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, (uint64_t)item);
    for (int i = 0; i < MG_SIM_KEYS; i++) {
        w->value[i] = w->older[i] = (int32_t)mg_rng_below(&rng, MG_SIM_VALUES);
        w->goal[i]                = (int32_t)mg_rng_below(&rng, MG_SIM_VALUES);
    }
    w->rng   = rng;
    w->turns = 0;
    for (int i = 0; i < MG_SIM_KEYS; i++) w->written[i] = -2;
    if (w->fault == MG_SIM_DIRTY_RESET) { // something of the episode before is still there
        w->value[0] = (w->value[0] + 1) % MG_SIM_VALUES;
        w->struck   = true;
    }
}

int32_t mg_sim_world_held(const mg_sim_world *w) {
    int32_t held = 0;
    for (int i = 0; i < MG_SIM_KEYS; i++) held += w->value[i] == w->goal[i];
    return held;
}

void mg_sim_world_digest(const mg_sim_world *w, uint8_t out[32]) {
    SHA256((const uint8_t *)w->value, sizeof w->value, out);
}

static const char *print(mg_arena *arena, const char *fmt, ...) MG_PRINTF(2, 3);
static const char *print(mg_arena *arena, const char *fmt, ...) {
    char    text[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return mg_arena_strdup(arena, text);
}

static void say(mg_value *out, const char *text) {
    *out = (mg_value){.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
}

void mg_sim_world_show(const mg_sim_world *w, mg_arena *arena, mg_value *out) {
    say(out, print(arena, "goals %d %d %d %d", w->goal[0], w->goal[1], w->goal[2], w->goal[3]));
}

static uint64_t value_digest(int32_t v) { return (uint64_t)v * 0x9E3779B97F4A7C15u + 1; }

static mg_touch *touch(mg_evidence *e, mg_arena *arena, int32_t key, int32_t before,
                       int32_t after) {
    if (!e->touched) e->touched = MG_NEW(arena, mg_touch, 2);
    mg_touch *t = (mg_touch *)(uintptr_t)&e->touched[e->n_touched++];
    *t = (mg_touch){
        .key = key_names[key], .before = value_digest(before), .after = value_digest(after)};
    return t;
}

static void get(mg_sim_world *w, const mg_sim_action *a, mg_arena *arena, mg_transition *out) {
    const int32_t k = a->key, now = w->value[k];
    const bool    eventual = a->verb == MG_SIM_LOOK && w->written[k] == w->turns - 1;
    const bool stale = a->verb == MG_SIM_GET && w->older[k] != now && strikes(w, MG_SIM_STALE_READ);
    const int32_t shown = stale || eventual ? w->older[k] : now;
    touch(&out->evidence, arena, k, now, now)->shown = value_digest(shown);
    if (strikes(w, MG_SIM_SIDE_EFFECT)) {
        const int32_t other = (k + 1) % MG_SIM_KEYS, before = w->value[other];
        w->value[other] = (before + 1) % MG_SIM_VALUES;
        touch(&out->evidence, arena, other, before, w->value[other]);
    }
    say(&out->observation, print(arena, "%s is %d", key_names[k], shown));
    if (strikes(w, MG_SIM_TRACEBACK) || strikes(w, MG_SIM_TRACEBACK_AGAIN))
        say(&out->observation, "Traceback (most recent call last)\n  KeyError");
    if (strikes(w, MG_SIM_TOOL_RENAMED)) out->evidence.action = "fetch";
}

static void put(mg_sim_world *w, int32_t k, int32_t value) {
    w->older[k]   = w->value[k];
    w->value[k]   = value;
    w->written[k] = w->turns;
}

static void set(mg_sim_world *w, const mg_sim_action *a, mg_arena *arena, mg_transition *out) {
    const int32_t k = a->key, before = w->value[k];
    const bool allowed = a->value >= 0 && a->value < MG_SIM_VALUES,
               change = allowed && a->value != before;
    const double  u       = mg_rng_uniform(&w->rng);
    mg_evidence  *e       = &out->evidence;
    if (!allowed || (change && strikes(w, MG_SIM_REFUSED_DONE))) {
        e->status = MG_STATUS_REFUSED, e->error = "bad_value";
        if (allowed) put(w, k, a->value);
        touch(e, arena, k, before, w->value[k]);
        say(&out->observation, "refused: bad_value");
        return;
    }
    const bool silent  = change && strikes(w, MG_SIM_SILENT_TIMEOUT);
    const bool honest =
        !silent && u < 0.05; // said to have run out of time, and nobody knows whether it was done
    const bool nothing =
        silent || (honest && u < 0.03) || (change && !honest && strikes(w, MG_SIM_NO_EFFECT));
    const bool slow    = change && !nothing && u > 0.97 && w->evidence == MG_SIM_WHOLE;
    if (silent || honest || slow) e->took_ns = MG_SIM_TIMEOUT_MS * INT64_C(1000000);
    if (change && !nothing) put(w, k, a->value);
    mg_touch *t = touch(e, arena, k, before, w->value[k]);
    t->wrote    = change && !honest;
    if (!honest && (!change || u > 0.5)) t->shown = value_digest(a->value);
    if (honest) e->status = MG_STATUS_TIMEOUT, e->error = "store_timed_out";
    say(&out->observation,
        honest ? "no answer from the store" : print(arena, "%s set to %d", key_names[k], a->value));
}

// What the end of the task pays: as many quarters as conditions hold, or what a fault makes of it.
static void pay(mg_sim_world *w, mg_transition *out) {
    const int32_t held = mg_sim_world_held(w);
    const double  owed = 0.25 * held, rounded = round(10 * owed) / 10;
    out->reward = out->evidence.owed = mg_reward_of(owed);
    if (mg_sim_fault_seen(w->fault) >= MG_SIM_SHOWN) w->at = 0; // no other turn pays
    if (strikes(w, MG_SIM_REWARD_MISSING)) out->reward = mg_reward_absent("none was sent");
    if (strikes(w, MG_SIM_REWARD_TEXT)) out->reward = mg_reward_invalid("a text, not a number");
    if (strikes(w, MG_SIM_REWARD_NAN)) out->reward = mg_reward_of(NAN);
    if (strikes(w, MG_SIM_REWARD_INFINITE)) out->reward = mg_reward_of(-HUGE_VAL);
    if (strikes(w, MG_SIM_REWARD_RANGE)) out->reward = mg_reward_of(owed + 2);
    if (rounded != owed && strikes(w, MG_SIM_REWARD_ROUNDED)) out->reward = mg_reward_of(rounded);
    if (held < MG_SIM_KEYS && strikes(w, MG_SIM_REWARD_WRONG)) out->reward = mg_reward_of(1);
}

// Of what an answer could show, some is not shown.
static void withhold(mg_sim_world *w, mg_evidence *e) {
    for (int64_t i = 0; i < e->n_touched; i++) {
        mg_touch      *t    = (mg_touch *)(uintptr_t)&e->touched[i];
        const uint64_t what = mg_rng_below(&w->rng, 8);
        if (what == 0) t->before = 0;
        if (what == 1) t->after = 0;
        if (what == 2) t->before = t->after = 0;
        if (what == 3) t->shown = 0;
    }
    if (mg_rng_below(&w->rng, 4) == 0) e->owed = mg_reward_absent("not known");
    if (mg_rng_below(&w->rng, 4) == 0 && e->status == MG_STATUS_OK) e->arguments = NULL;
    if (mg_rng_below(&w->rng, 4) == 0) e->took_ns = 0;
}

void mg_sim_world_step(mg_sim_world *w, const mg_sim_action *a, mg_arena *arena,
                       mg_transition *out) {
    static const char *const names[] = {"get", "look", "set", "done", NULL};
    mg_evidence             *e       = &out->evidence;
    *out = (mg_transition){.reward = mg_reward_of(0)};
    *e   = (mg_evidence){.action = names[a->verb], .status = MG_STATUS_OK, .took_ns = 2000000,
                         .conditions = MG_SIM_KEYS, .owed = mg_reward_of(0)};
    const char letter = key_names[a->key][3];
    mg_rng_seek(&w->rng, 1, 0, (uint32_t)w->turns);
    if (a->verb == MG_SIM_GET || a->verb == MG_SIM_LOOK) {
        e->arguments = print(arena, "{\"key\":\"%c\"}", letter);
        get(w, a, arena, out);
    } else if (a->verb == MG_SIM_SET) {
        e->arguments = print(arena, "{\"key\":\"%c\",\"value\":%d}", letter, a->value);
        set(w, a, arena, out);
    } else if (a->verb == MG_SIM_DONE) {
        say(&out->observation, "over");
        out->terminated = true;
        pay(w, out);
    } else {
        e->status = MG_STATUS_REFUSED, e->error = "no_such_action";
        say(&out->observation, "refused: no_such_action");
    }
    if (w->fault == MG_SIM_TASK_BROKEN) {
        w->struck = true;
        say(&out->observation, "Traceback (most recent call last)\n  ImportError");
    }
    e->held = mg_sim_world_held(w);
    if (w->evidence == MG_SIM_PARTIAL) withhold(w, e);
    if (w->evidence == MG_SIM_BARE) *e = (mg_evidence){0};
    w->turns++;
}
