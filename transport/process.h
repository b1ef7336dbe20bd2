// process.h - an environment that is a process of its own, spoken to in JSON lines over its
// standard input and output. docs/ENVIRONMENTS.md is the same for people who write one.
//
// One line per message, UTF-8, at most MG_PROCESS_LINE_MAX bytes. Requests and answers:
//
//   {"id":1,"nonce":"9f..","call":"hello"}
//   {"id":1,"nonce":"9f..",
//    "observation":"text"|{"text":bytes}|{"discrete":n}|{"vector":n,"low":..,"high":..},
//    "action":.., "steps_max":64, and if there is one: "manifest":{..}, "manifest_hash":"..",
//    "items":n, "resets":true, "snapshots":true, "digests":true, "admissible":true}
//   {"id":2,"nonce":"..","call":"reset","seed":7,"item":3,"now_ns":0}   "prefix":".." where resets
//   {"id":2,"nonce":"..","observation":"..","digest":"64 hex digits","manifest_hash":".."}
//   {"id":3,"nonce":"..","call":"step","action":"..","now_ns":5}     "open":true: more follows
//   {"id":3,"nonce":"..","observation":"..","reward":0.5,"terminated":false,"truncated":false,
//    "evidence":{"action":"refund","arguments":{},"status":"ok","error":null,"took_ns":5,
//                "conditions":2,"held":1,"owed":0,
//                "touched":[{"key":"order/17","wrote":true,"shown":null,"before":"paid",
//                            "after":"refunded"}]}}
//   {"id":4,"nonce":"..","call":"digest"}         {..,"digest":".."}
//   {"id":5,"nonce":"..","call":"admissible"}     {..,"actions":["..",".."]}
//   {"id":6,"nonce":"..","call":"snapshot"}       {..,"snapshot":any value}
//   {"id":7,"nonce":"..","call":"restore","snapshot":that value}           answered as reset
//   {"id":8,"nonce":"..","call":"close"}          {..}; the process is ended in any case
//   {"id":9,"nonce":"..","error":"one sentence","code":"E.step"}           any call may fail, typed
//
// hello may be said again at any time and changes nothing: so the manifest is looked at during a
// run. A reward that is missing or null is ABSENT; one that is a text, a boolean, not finite or
// too large for a double is INVALID; nothing is ever defaulted. `terminated` and `truncated` must
// be there. Keys that nothing reads are refused, but "info", which is recorded as it came. shown,
// before and after are values themselves, null where not known, and are compared by their
// canonical JSON text. Where there are no digests, the digest is the hash of all that was told and
// shown since the reset.
//
// The process is started by posix_spawn in its own process group; ending it kills the group and
// waits for it. What it writes to standard error goes to a file in the run (its last lines are the
// witness). Time is the monotonic clock; a GLib main context drives pipes and deadlines.
//
// To its users a process is an environment like any other: mg_process_kind_open makes a class from
// what "hello" said. A failed call leaves the code in mg_env.fault, and the process is gone
// (session.h); every further call fails at once with the same code. What cannot report a failure
// (digest, admissible, manifest) answers with a digest that equals no other, 0 actions, "null",
// and the next call that can fails.
#ifndef MG_TRANSPORT_PROCESS_H
#define MG_TRANSPORT_PROCESS_H
#include "env/env.h"

#define MG_PROCESS_LINE_MAX (16 << 20)

typedef struct mg_process_options {
    const char *const *argv;       // ended by NULL; borrowed
    const char *stderr_path;       // appended to; borrowed. NULL: the parent's own
    int64_t     start_timeout_ms;  // for hello
    int64_t     call_timeout_ms;   // for all others; the manifest's are the environment's own
    uint64_t    seed;              // of nonces
} mg_process_options;

typedef struct mg_process_kind mg_process_kind;

// Starts one process, says hello, reads the manifest, and ends it: what the class says of itself
// is known before a run begins. Every mg_env of the class then is a process of its own, and must
// say the same of itself (E.manifest). Errors: MG_CHILD (cannot start, ended, too late, no hello
// that can be read), MG_IO (no descriptors).
mg_err mg_process_kind_open(mg_process_kind **out, const mg_process_options *o) MG_MUST_USE;
// NULL: no effect. Its environments are closed before.
void   mg_process_kind_close(mg_process_kind *k);
const mg_env_class *mg_process_class(const mg_process_kind *k); // world: the kind itself
#endif
