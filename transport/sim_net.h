// sim_net.h - the simulator's network, clock and process table: one conversation at a time, as the
// real driver has them (conversation.h), over messages that come late, twice, mangled or not at
// all.
#ifndef MG_TRANSPORT_SIM_NET_H
#define MG_TRANSPORT_SIM_NET_H
#include "harness/session.h"
#include "transport/sim_world.h"

#define MG_SIM_DEADLINE_NS INT64_C(100000000) // of every call
#define MG_SIM_QUEUE_MAX   8

typedef enum mg_sim_call_kind {
    MG_SIM_CALL_HELLO,
    MG_SIM_CALL_RESET,
    MG_SIM_CALL_STEP
} mg_sim_call_kind;

// What an answer carries.
typedef struct mg_sim_body {
    mg_transition t;
    uint8_t       digest[32], manifest_hash[32];
    mg_code       failure; // a typed one; MG_CODE_NONE: none
} mg_sim_body;

// Something on its way to the harness.
typedef struct mg_sim_message {
    int64_t       at;
    mg_event_kind kind;
    uint64_t      id, nonce;
    mg_sim_body   what;
    bool          genuine; // the call's own answer, for the first time
    bool          harm;    // when a living session sees it, the fault has struck
} mg_sim_message;

typedef struct mg_sim_net {
    mg_rng         rng;
    mg_arena      *arena;
    uint8_t        manifest_hash[32]; // the pinned one
    uint8_t        hash[32];          // of everything that happened, in order
    int64_t now, late_values; // late_values: delivered, but not the call's own answer in time
    uint64_t       processes;         // started so far
    // The process that is being spoken to.
    uint64_t       seed;
    int32_t        item;
    mg_session     session;
    mg_sim_world   world;
    mg_sim_message queue[MG_SIM_QUEUE_MAX], delivered, last; // last: the answer before this call's
    int32_t        n_queue, calls;
    bool           sent; // an extra message of the fault is under way, once
} mg_sim_net;

void    mg_sim_mix(mg_sim_net *s, const void *bytes, size_t n); // into the hash
bool    mg_sim_chance(mg_sim_net *s, double p);
int64_t mg_sim_between(mg_sim_net *s, int64_t low, int64_t high);

// A fresh process with that world, for an episode of (seed, item).
void mg_sim_start(mg_sim_net *s, uint64_t seed, int32_t item, const mg_sim_world *world);
// The policy thinks; meanwhile messages come.
void mg_sim_think(mg_sim_net *s);
// One call of the driver, until it is answered. NULL: the session is dead.
const mg_sim_body *mg_sim_call(mg_sim_net *s, mg_sim_call_kind kind, const mg_sim_action *a);
#endif
