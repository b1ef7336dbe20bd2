// evidence.h - what can be checked about one call, apart from what its answer says.
//
// An answer is a claim ("refunded", "resolved"). Evidence is taken from the state itself and from the
// clock, on a path of its own, so that claim and effect can be compared. A world gives what it has;
// what it does not give makes the check that needs it NOT TESTABLE, never passed.
#ifndef MG_ENV_EVIDENCE_H
#define MG_ENV_EVIDENCE_H
#include <stdbool.h>
#include <stdint.h>

#include "env/reward.h"

// What the answer says of the call.
typedef enum mg_status {
    MG_STATUS_NONE,    // nothing: the world has no such notion
    MG_STATUS_OK,      // done
    MG_STATUS_REFUSED, // not done, by the world's rules: the caller's mistake (bad arguments, not allowed)
    MG_STATUS_ERROR,   // not done: something broke behind the world
    MG_STATUS_TIMEOUT, // not known whether done
} mg_status;

// One key of the state that a call read or wrote. Values are 64-bit digests, never 0; 0: not known.
typedef struct mg_touch {
    const char *key;    // such as "order/17", as in the manifest's reads and writes
    bool        wrote;  // the answer says that the call changed it
    uint64_t    shown;  // of the value that the answer shows; 0: it shows none
    uint64_t    before; // of the value in the state itself, before the call
    uint64_t    after;  // and after it
} mg_touch;

typedef struct mg_evidence {
    const char     *action;  // which of the manifest's actions it was; NULL: none
    const char     *arguments; // JSON object as the world understood it; NULL: none
    mg_status       status;
    const char     *error;   // typed, of REFUSED, ERROR and TIMEOUT: "payments_unreachable"; or NULL
    const mg_touch *touched; // [n_touched] valid as long as the transition's observation
    int64_t         n_touched;
    int64_t         took_ns; // how long the call took in the world's time; 0: not known
    // The task's postconditions, on the state and never on a status field: how many there are and how
    // many hold after this call. 0 conditions: not known.
    int32_t         conditions, held;
    // What these conditions say that this call earns, by a path apart from the reward's. ABSENT: not known.
    mg_reward       owed;
} mg_evidence;
#endif
