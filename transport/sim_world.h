// sim_world.h - the simulated environment: four keys to be brought to their goals by get, look,
// set, done; and every fault that it, its process or its wire can have. It also does what looks
// like a fault and is none: time-outs that are told honestly, slow calls that went well, and reads
// by `look` that are a turn old, as its manifest allows.
#ifndef MG_TRANSPORT_SIM_WORLD_H
#define MG_TRANSPORT_SIM_WORLD_H
#include "env/env.h"
#include "harness/taxonomy.h"

// Name; the code that it truly is; by what it is seen where the state gives no evidence.
//   WIRE, PROCESS  seen by the session, always          SHOWN  in answers themselves
//   STATE          seen through evidence and manifest alone
#define MG_SIM_FAULTS(X)                                                                           \
    X(LATE, E_TIMEOUT, WIRE)              /* the answer comes at the deadline or after it */       \
    X(LOST, E_TIMEOUT, WIRE)                                                                       \
    X(DOUBLED, H_DESYNC, WIRE)            /* and the copy comes at any later time */               \
    X(UNASKED, H_DESYNC, WIRE)                                                                     \
    X(ANSWER_BEFORE, H_DESYNC, WIRE)      /* the last call's answer, in place of this one's */  \
    X(OTHER_NONCE, H_DESYNC, WIRE)                                                                 \
    X(GARBLED, H_PROTOCOL, WIRE)                                                                   \
    X(CUT, E_DIED, WIRE)                  /* half a message, then the process ends */              \
    X(NOT_STARTED, E_OPEN, PROCESS)                                                                \
    X(DIES, E_DIED, PROCESS)                                                                       \
    X(HANGS, E_TIMEOUT, PROCESS)                                                                   \
    X(RESET_FAILS, E_RESET, PROCESS)                                                               \
    X(STEP_FAILS, E_STEP, PROCESS)                                                                 \
    X(FULL, E_CAPACITY, PROCESS)                                                                   \
    X(REWARD_MISSING, V_ABSENT, SHOWN)                                                             \
    X(REWARD_TEXT, V_INVALID, SHOWN)                                                               \
    X(REWARD_NAN, V_INVALID, SHOWN)                                                                \
    X(REWARD_INFINITE, V_INVALID, SHOWN)                                                           \
    X(TRACEBACK, E_TRACEBACK, SHOWN)        /* once */                                             \
    X(TRACEBACK_AGAIN, E_TRACEBACK, SHOWN)  /* whenever that is done; the oracle does not */       \
    X(TASK_BROKEN, T_INVALID, SHOWN)        /* whatever is done, by the oracle too */              \
    X(MANIFEST_CHANGED, E_MANIFEST, STATE)                                                         \
    X(TOOL_RENAMED, E_MANIFEST, STATE)                                                             \
    X(REWARD_RANGE, V_RANGE, STATE)                                                                \
    X(REWARD_ROUNDED, V_ROUNDED, STATE)     /* to one decimal */                                   \
    X(REWARD_WRONG, V_WRONG, STATE)         /* full marks for a task that is not done */           \
    X(STALE_READ, E_STALE, STATE)                                                                  \
    X(NO_EFFECT, E_STATE, STATE)            /* done, it says */                                    \
    X(SIDE_EFFECT, E_STATE, STATE)          /* a read that writes */                               \
    X(REFUSED_DONE, E_STATE, STATE)         /* refused, it says, and does it */                    \
    X(SILENT_TIMEOUT, E_TIMEOUT, STATE)     /* ran out of time, and says it is done */             \
    X(DIRTY_RESET, E_DIRTY, STATE)

typedef enum mg_sim_fault {
    MG_SIM_NONE,
#define MG_SIM_ENUM(name, code, seen) MG_SIM_##name,
    MG_SIM_FAULTS(MG_SIM_ENUM)
#undef MG_SIM_ENUM
    MG_SIM_FAULT_COUNT
} mg_sim_fault;

typedef enum mg_sim_seen { MG_SIM_WIRE, MG_SIM_PROCESS, MG_SIM_SHOWN, MG_SIM_STATE } mg_sim_seen;

mg_code     mg_sim_fault_code(mg_sim_fault f);
mg_sim_seen mg_sim_fault_seen(mg_sim_fault f);

enum { MG_SIM_KEYS = 4, MG_SIM_VALUES = 10, MG_SIM_TIMEOUT_MS = 50 };

typedef enum mg_sim_verb {
    MG_SIM_GET, MG_SIM_LOOK, MG_SIM_SET, MG_SIM_DONE, MG_SIM_NONSENSE
} mg_sim_verb;

typedef struct mg_sim_action {
    mg_sim_verb verb;
    int32_t     key, value;
} mg_sim_action;

typedef enum mg_sim_evidence {
    MG_SIM_WHOLE,
    MG_SIM_PARTIAL, // of each key touched, some of shown, before and after are not known
    MG_SIM_BARE,    // none, and no manifest
} mg_sim_evidence;

typedef struct mg_sim_world {
    int32_t      value[MG_SIM_KEYS], goal[MG_SIM_KEYS];
    int32_t      older[MG_SIM_KEYS];   // the value before its last write
    mg_sim_fault fault;
    int32_t      at;     // it waits for this turn (of the wire: this call), then for its chance
    bool         struck; // it has truly touched the episode
    mg_sim_evidence evidence;
    int32_t      written[MG_SIM_KEYS]; // the turn of its last write
    mg_rng       rng;    // of what happens inside; a draw's position is the turn
    int32_t      turns;
} mg_sim_world;

extern const char *const mg_sim_manifest; // JSON

// Start and goals follow from seed and item. Strings and touched keys lie on the arena.
void mg_sim_world_reset(mg_sim_world *w, uint64_t seed, int32_t item);
void mg_sim_world_step(mg_sim_world *w, const mg_sim_action *a, mg_arena *arena,
                       mg_transition *out);
void mg_sim_world_show(const mg_sim_world *w, mg_arena *arena, mg_value *out);
void mg_sim_world_digest(const mg_sim_world *w, uint8_t out[32]);
int32_t mg_sim_world_held(const mg_sim_world *w);
#endif
