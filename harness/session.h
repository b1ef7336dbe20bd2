// session.h - supervision of the calls to one environment: at most one in flight, each with an id, a
// nonce and a deadline; the first thing that goes wrong ends the session for good.
//
// A state machine without I/O: (now, event) in, actions out. A driver in transport/ owns clock,
// pipes and processes, feeds it events and carries out its actions; so does the simulator.
//
//   OPEN ──call──▶ WAITING ──answer with this id and nonce, in time──▶ OPEN
//     │               │ deadline, other id, other nonce, not a message, process ended
//     └─ any message ─┴────────────────────▶ DEAD(code)   the process is killed, the channel closed
//
// S1  A call that timed out never returns a value, whatever arrives later.
// S2  A dead session stays dead; its channel is never used again.
// S3  Every message that is not the open call's own answer ends the session: nothing is skipped,
//     waited out or matched by luck. (a client that times out and reads on would hand every later
//     call the answer before: the desynchronised socket of OpenEnv issue 1143)
// S4  Ids rise by one, nonces come from a random stream: an answer cannot be guessed.
#ifndef MG_HARNESS_SESSION_H
#define MG_HARNESS_SESSION_H
#include "core/rng.h"
#include "harness/taxonomy.h"

typedef enum mg_session_state { MG_SESSION_OPEN, MG_SESSION_WAITING, MG_SESSION_DEAD } mg_session_state;

typedef enum mg_event_kind {
    MG_EVENT_MESSAGE,  // a whole message came: id and nonce as it says (0 where it says none)
    MG_EVENT_GARBAGE,  // bytes came that are no message, or too many
    MG_EVENT_TIME,     // time has passed
    MG_EVENT_ENDED,    // the process ended or closed its end
} mg_event_kind;

typedef struct mg_event {
    mg_event_kind kind;
    uint64_t      id, nonce;
    const char   *detail; // for GARBAGE and ENDED: what was seen, for the sentence; or NULL
} mg_event;

typedef enum mg_session_action {
    MG_DO_NOTHING,
    MG_DO_DELIVER, // the message answers the open call: hand it on
    MG_DO_KILL,    // kill the process group, close the channel, hand on the code
} mg_session_action;

typedef struct mg_session {
    mg_session_state state;
    mg_rng           nonces;
    mg_call          call;        // the open or last call
    int64_t          deadline_ns;
    mg_code          code;        // of the end; MG_CODE_NONE while it lives
    char             detail[256];
} mg_session;

void mg_session_init(mg_session *s, uint64_t seed, uint64_t id);

// Opens a call: id and nonce are in s->call. The session must be OPEN: a second call while one is
// in flight is a broken program.
void mg_session_call(mg_session *s, int64_t now_ns, int64_t intended_ns, int64_t timeout_ns);
mg_session_action mg_session_event(mg_session *s, int64_t now_ns, const mg_event *e);
// The time by which the driver must send MG_EVENT_TIME; INT64_MAX: none.
int64_t mg_session_wake(const mg_session *s);
// Ends it from outside: what the driver could not do (a write that failed, a manifest that changed).
void mg_session_end(mg_session *s, mg_code code, const char *detail);
#endif
