// process.h - an environment that is a process of its own, spoken to in JSON lines over its standard
// input and output.
//
// One line per message, UTF-8, at most MG_PROCESS_LINE_MAX bytes. Requests and answers:
//
//   {"id":1,"nonce":"9f..","call":"hello"}
//   {"id":1,"nonce":"9f..","manifest":{..},"observation":"text"|{"vector":n,..},"action":..,"steps_max":64,
//    "resets":false,"snapshots":false}
//   {"id":2,"nonce":"..","call":"reset","seed":7,"item":3,"now_ns":0}
//   {"id":2,"nonce":"..","observation":"..","digest":"64 hex digits","manifest_hash":".."}
//   {"id":3,"nonce":"..","call":"step","action":"..","now_ns":5}
//   {"id":3,"nonce":"..","observation":"..","reward":0.5,"terminated":false,"truncated":false,
//    "evidence":{"action":"refund","status":"ok","error":null,"took_ns":5,"conditions":2,"held":1,"owed":0,
//                "touched":[{"key":"order/17","wrote":true,"shown":0,"before":1,"after":2}]}}
//   {"id":4,"nonce":"..","call":"digest"|"admissible"|"manifest"|"snapshot"|"restore"|"close"}
//   {"id":4,"nonce":"..","error":"one sentence","code":"E.step"}     any call may fail, typed
//
// A reward that is missing or null is ABSENT; one that is a string, a boolean, not finite or too large
// for a double is INVALID; nothing is ever defaulted. `terminated` and `truncated` must be there.
//
// The process is started by posix_spawn in its own process group; ending it kills the group and waits
// for it. What it writes to standard error goes to a file in the run (its last lines are the witness).
// Time is the monotonic clock; one GLib main context drives pipes and deadlines.
//
// To its users a process is an environment like any other: mg_process_open makes a class from what
// "hello" said. A failed call leaves the code in mg_env.fault, and the process is gone (session.h).
#ifndef MG_TRANSPORT_PROCESS_H
#define MG_TRANSPORT_PROCESS_H
#include "env/env.h"
#include "env/manifest.h"

#define MG_PROCESS_LINE_MAX (16 << 20)

typedef struct mg_process_options {
    const char *const *argv;       // ended by NULL; borrowed
    const char *stderr_path;       // NULL: the parent's own
    int64_t     start_timeout_ms;  // for hello
    int64_t     call_timeout_ms;   // for all others; the manifest's action timeouts are the environment's own
    uint64_t    seed;              // of nonces
} mg_process_options;

typedef struct mg_process_kind mg_process_kind;

// Starts one process, says hello, reads the manifest, and ends it: what the class says of itself is
// known before a run begins. Every mg_env of the class then is a process of its own.
// Errors: MG_CHILD (cannot start, ended, too late), MG_CORRUPT.
mg_err mg_process_kind_open(mg_process_kind **out, const mg_process_options *o) MG_MUST_USE;
void   mg_process_kind_close(mg_process_kind *k);
const mg_env_class *mg_process_class(const mg_process_kind *k); // world: the kind itself
#endif
