// conversation.h - one child process, asked one thing at a time.
//
// Turns pipes and the monotonic clock into events of a session (harness/session.h) and carries out
// what the session says. All deciding is the session's. One thread; a GLib main context of its own
// waits for pipes, the process's end and the deadline.
#ifndef MG_TRANSPORT_CONVERSATION_H
#define MG_TRANSPORT_CONVERSATION_H
#include "env/episode.h"
#include "harness/taxonomy.h"
#include "transport/wire.h"

typedef struct mg_conversation mg_conversation;

typedef struct mg_conversation_options {
    const char        *name;     // for sentences; borrowed, as argv
    const char *const *argv;
    const char        *log_path; // of its standard error; NULL: ours
    uint64_t           seed, id; // of its nonces
} mg_conversation_options;

// Starts the process. Errors: MG_CHILD, MG_IO.
mg_err mg_conversation_open(mg_conversation **out, const mg_conversation_options *o) MG_MUST_USE;
void   mg_conversation_close(mg_conversation *c); // kills what still lives; NULL: no effect

// One call. On success *out is its answer, owned by the caller. Otherwise MG_CHILD: the process is
// gone, mg_conversation_code says why, and so does every later call.
mg_err mg_conversation_ask(mg_conversation *c, mg_wire_request *r, int64_t timeout_ms,
                           mg_wire_answer *out) MG_MUST_USE;
// Ends it for a reason of the caller's; MG_CHILD. One that has ended keeps its first reason.
mg_err mg_conversation_end(mg_conversation *c, mg_code code, const char *detail);

mg_code        mg_conversation_code(const mg_conversation *c); // MG_CODE_NONE while it lives
const mg_call *mg_conversation_call(const mg_conversation *c); // the last one, valid until the next
#endif
