// session.c - supervision of the calls to one environment.
#include "harness/session.h"

#include <inttypes.h>
#include <stdarg.h>

#include "core/err.h"
#include "harness/note.h"

// Nonces have the upper half of the streams of their purpose: no world's draw is ever one.
#define NONCE_STREAMS (UINT64_C(1) << 63)

void mg_session_init(mg_session *s, uint64_t seed, uint64_t id) {
    *s = (mg_session){.state       = MG_SESSION_OPEN,
                      .nonces      = mg_rng_stream(seed, MG_PURPOSE_WORLD, id | NONCE_STREAMS),
                      .deadline_ns = INT64_MAX};
}

// 0 stands for "says none" in an event, so it is never a nonce.
static uint64_t next_nonce(mg_rng *rng) {
    uint64_t nonce = 0;
    while (nonce == 0) {
        const uint64_t high = mg_rng_u32(rng), low = mg_rng_u32(rng);
        nonce = high << 32 | low;
    }
    return nonce;
}

void mg_session_call(mg_session *s, int64_t now_ns, int64_t intended_ns, int64_t timeout_ns) {
    MG_ASSERT(s->state == MG_SESSION_OPEN);
    MG_ASSERT(timeout_ns > 0 && now_ns >= s->call.received_ns);
    s->call = (mg_call){.request     = s->call.request + 1,
                        .nonce       = next_nonce(&s->nonces),
                        .intended_ns = intended_ns,
                        .sent_ns     = now_ns};
    s->deadline_ns = timeout_ns < INT64_MAX - now_ns ? now_ns + timeout_ns : INT64_MAX;
    s->state       = MG_SESSION_WAITING;
}

static void bury(mg_session *s, mg_code code, const char *fmt, ...) MG_PRINTF(3, 4);
static void bury(mg_session *s, mg_code code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->detail, sizeof s->detail, fmt, args);
    va_end(args);
    mg_note_cut(s->detail);
    s->code        = code;
    s->state       = MG_SESSION_DEAD;
    s->deadline_ns = INT64_MAX;
}

static void late(mg_session *s, int64_t now_ns) {
    bury(s, MG_E_TIMEOUT, "call %" PRIu64 ": no answer after %.3f ms, wanted one within %.3f ms",
         s->call.request, 1e-6 * (double)(now_ns - s->call.sent_ns),
         1e-6 * (double)(s->deadline_ns - s->call.sent_ns));
}

static mg_session_action message(mg_session *s, int64_t now_ns, const mg_event *e) {
    if (e->id == 0 || e->nonce == 0)
        bury(s, MG_H_PROTOCOL, "a message came without %s", e->id == 0 ? "an id" : "a nonce");
    else if (s->state == MG_SESSION_OPEN)
        bury(s, MG_H_DESYNC, "a message for call %" PRIu64 " came while no call was open", e->id);
    else if (e->id != s->call.request)
        bury(s, MG_H_DESYNC, "found an answer to call %" PRIu64 ", wanted one to call %" PRIu64,
             e->id, s->call.request);
    else if (e->nonce != s->call.nonce)
        bury(s, MG_H_DESYNC,
             "the answer to call %" PRIu64 " carries nonce %016" PRIx64 ", wanted %016" PRIx64,
             e->id, e->nonce, s->call.nonce);
    else {
        s->call.received_ns = now_ns;
        s->deadline_ns      = INT64_MAX;
        s->state            = MG_SESSION_OPEN;
        return MG_DO_DELIVER;
    }
    return MG_DO_KILL;
}

mg_session_action mg_session_event(mg_session *s, int64_t now_ns, const mg_event *e) {
    if (s->state == MG_SESSION_DEAD) return MG_DO_NOTHING;
    MG_ASSERT(s->state == MG_SESSION_OPEN || now_ns >= s->call.sent_ns);
    // Whatever comes at the deadline or behind it comes too late, even if it was looked at only
    // then: so the order in which a driver sees the clock and the pipe does not matter.
    if (s->state == MG_SESSION_WAITING && now_ns >= s->deadline_ns) {
        late(s, now_ns);
        return MG_DO_KILL;
    }
    switch (e->kind) {
    case MG_EVENT_TIME: return MG_DO_NOTHING;
    case MG_EVENT_MESSAGE: return message(s, now_ns, e);
    case MG_EVENT_GARBAGE:
        bury(s, MG_H_PROTOCOL, "%s", e->detail ? e->detail : "what came is no message");
        return MG_DO_KILL;
    case MG_EVENT_ENDED:
        bury(s, MG_E_DIED, "%s", e->detail ? e->detail : "the process ended");
        return MG_DO_KILL;
    }
    MG_ASSERT(!"an event of a kind that exists");
    return MG_DO_NOTHING;
}

int64_t mg_session_wake(const mg_session *s) { return s->deadline_ns; }

void mg_session_end(mg_session *s, mg_code code, const char *detail) {
    MG_ASSERT(code != MG_CODE_NONE);
    if (s->state != MG_SESSION_DEAD) bury(s, code, "%s", detail);
}
