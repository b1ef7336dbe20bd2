// sim_net.c - simulated network, clock and process.
#include "transport/sim_net.h"

#include <openssl/sha.h>
#include <string.h>

#define MS INT64_C(1000000) // in ns

void mg_sim_mix(mg_sim_net *s, const void *bytes, size_t n) {
    uint8_t both[64];
    memcpy(both, s->hash, 32);
    SHA256(bytes, n, both + 32);
    SHA256(both, sizeof both, s->hash);
}

bool mg_sim_chance(mg_sim_net *s, double p) { return mg_rng_uniform(&s->rng) < p; }

int64_t mg_sim_between(mg_sim_net *s, int64_t low, int64_t high) {
    return low + (int64_t)mg_rng_below(&s->rng, (uint64_t)(high - low + 1));
}

static void push(mg_sim_net *s, mg_sim_message m) {
    MG_ASSERT(s->n_queue < MG_SIM_QUEUE_MAX);
    s->queue[s->n_queue++] = m;
}

// The earliest message that is due at `until` or before; of equals the first that was sent.
static int32_t earliest(const mg_sim_net *s, int64_t until) {
    int32_t best = -1;
    for (int32_t i = 0; i < s->n_queue; i++)
        if (s->queue[i].at <= until && (best < 0 || s->queue[i].at < s->queue[best].at)) best = i;
    return best;
}

// Feeds one event. What is delivered must be the open call's own answer, within its time.
static void feed(mg_sim_net *s, const mg_sim_message *m) {
    const mg_event e = {.kind = m->kind, .id = m->id, .nonce = m->nonce};
    const int64_t  sent = s->session.call.sent_ns;
    const bool due =
        s->session.state == MG_SESSION_WAITING && m->genuine && m->at - sent < MG_SIM_DEADLINE_NS;
    const int64_t record[] = {s->now, m->kind, (int64_t)m->id, (int64_t)m->nonce, s->session.state};
    mg_sim_mix(s, record, sizeof record);
    if (s->session.state != MG_SESSION_DEAD) s->world.struck |= m->harm;
    if (mg_session_event(&s->session, s->now, &e) != MG_DO_DELIVER) return;
    s->late_values += !due;
    s->delivered = *m;
}

// Lets time pass until `until`, or until the session no longer waits where it is waiting.
static void pass(mg_sim_net *s, int64_t until) {
    const mg_session_state state = s->session.state;
    while (s->session.state == state) {
        const int64_t wake = mg_session_wake(&s->session), limit = wake < until ? wake : until;
        int32_t       i    = earliest(s, limit);
        // Deadline and message at the same instant: either may be seen first.
        if (i >= 0 && s->queue[i].at == wake && mg_sim_chance(s, 0.5)) i = -1;
        if (i < 0) {
            s->now = limit;
            if (limit == until) return;
            feed(s, &(mg_sim_message){.at = s->now, .kind = MG_EVENT_TIME});
            MG_ASSERT(s->session.state != state); // it asked to be woken now, so this ends it
            continue;
        }
        const mg_sim_message m = s->queue[i];
        memmove(&s->queue[i], &s->queue[i + 1], sizeof m * (size_t)(s->n_queue - i - 1));
        s->n_queue--;
        if (m.at > s->now) s->now = m.at;
        feed(s, &m);
    }
}

// ---- the process at the other end

static bool strikes(mg_sim_net *s, mg_sim_fault f) {
    mg_sim_world *w = &s->world;
    return w->fault == f && !w->struck && !s->sent && s->calls > w->at;
}

static mg_sim_body answer_of(mg_sim_net *s, mg_sim_call_kind kind, const mg_sim_action *a) {
    mg_sim_body b = {0};
    if (kind == MG_SIM_CALL_RESET) {
        mg_sim_world_reset(&s->world, s->seed, s->item);
        mg_sim_world_show(&s->world, s->arena, &b.t.observation);
    }
    if (kind == MG_SIM_CALL_RESET && strikes(s, MG_SIM_RESET_FAILS)) b.failure = MG_E_RESET;
    if (kind == MG_SIM_CALL_STEP && strikes(s, MG_SIM_STEP_FAILS)) b.failure = MG_E_STEP;
    if (kind != MG_SIM_CALL_HELLO && strikes(s, MG_SIM_FULL)) b.failure = MG_E_CAPACITY;
    if (b.failure) s->world.struck = true;
    if (kind == MG_SIM_CALL_STEP && !b.failure) mg_sim_world_step(&s->world, a, s->arena, &b.t);
    mg_sim_world_digest(&s->world, b.digest);
    memcpy(b.manifest_hash, s->manifest_hash, 32);
    if (strikes(s, MG_SIM_MANIFEST_CHANGED)) {
        b.manifest_hash[0] ^= 1;
        s->world.struck = true;
    }
    return b;
}

// How long an answer takes: mostly little, sometimes all the time there is.
static int64_t latency(mg_sim_net *s) {
    const double u = mg_rng_uniform(&s->rng);
    return u < 0.9    ? mg_sim_between(s, MS / 10, 20 * MS)
           : u < 0.98 ? mg_sim_between(s, 20 * MS, MG_SIM_DEADLINE_NS - 1)
                      : MG_SIM_DEADLINE_NS - 1;
}

// Sends what the wire or the process makes of an answer.
static void serve(mg_sim_net *s, mg_sim_call_kind kind, const mg_sim_action *a) {
    mg_sim_message m = {.at = s->now + latency(s),
                        .kind = MG_EVENT_MESSAGE,
                        .id = s->session.call.request,
                        .nonce = s->session.call.nonce,
                        .what = answer_of(s, kind, a),
                        .genuine = true};
    mg_sim_message copy   = m;
    const mg_sim_message before = s->last;
    bool         *struck = &s->world.struck;
    s->last = m;
    if (strikes(s, MG_SIM_LOST) || strikes(s, MG_SIM_HANGS)) {
        *struck = true;
        return;
    }
    if (strikes(s, MG_SIM_LATE))
        m.at = s->now + MG_SIM_DEADLINE_NS +
               (mg_sim_chance(s, 0.3) ? 0 : mg_sim_between(s, 1, 50 * MS)),
        *struck = true;
    if (strikes(s, MG_SIM_DOUBLED)) {
        copy.at = m.at + mg_sim_between(s, 0, 60 * MS), copy.genuine = false, copy.harm = true;
        push(s, copy);
        s->sent = true;
    }
    if (strikes(s, MG_SIM_UNASKED)) {
        copy.at = s->now + mg_sim_between(s, 0, 60 * MS), copy.id += 1, copy.nonce ^= 4,
        copy.genuine = false, copy.harm = true;
        push(s, copy);
        s->sent = true;
    }
    if (strikes(s, MG_SIM_ANSWER_BEFORE) && before.id) {
        m.what = before.what, m.id = before.id, m.nonce = before.nonce, m.genuine = false,
        m.harm = true;
    }
    if (strikes(s, MG_SIM_OTHER_NONCE))
        m.nonce ^= UINT64_C(1) << mg_sim_between(s, 0, 63), m.genuine = false, m.harm = true;
    if (m.nonce == 0) m.nonce = 3; // a flipped bit must not look like "says none"
    if (strikes(s, MG_SIM_GARBLED)) m.kind = MG_EVENT_GARBAGE, m.genuine = false, m.harm = true;
    if (strikes(s, MG_SIM_CUT) || strikes(s, MG_SIM_DIES))
        m.kind = MG_EVENT_ENDED, m.genuine = false, m.harm = true;
    push(s, m);
}

// One call of the driver. NULL: the session is dead.
const mg_sim_body *mg_sim_call(mg_sim_net *s, mg_sim_call_kind kind, const mg_sim_action *a) {
    if (s->session.state == MG_SESSION_DEAD) return NULL;
    mg_session_call(&s->session, s->now, s->now, MG_SIM_DEADLINE_NS);
    s->calls++;
    serve(s, kind, a);
    pass(s, INT64_MAX);
    if (s->session.state == MG_SESSION_DEAD) return NULL;
    if (s->delivered.what.failure) {
        mg_session_end(&s->session, s->delivered.what.failure, "it says so");
        return NULL;
    }
    return &s->delivered.what;
}

void mg_sim_think(mg_sim_net *s) { pass(s, s->now + mg_sim_between(s, 0, 30 * MS)); }

void mg_sim_start(mg_sim_net *s, uint64_t seed, int32_t item, const mg_sim_world *world) {
    s->seed = seed, s->item = item, s->world = *world;
    s->n_queue = s->calls = 0;
    s->last = (mg_sim_message){0};
    s->sent = false;
    mg_session_init(&s->session, seed, s->processes++);
}
