// sim.h - the simulator: clock, network and process table of the harness, from one seed.
//
// It drives the same state machines as the real driver (session, watch, attribution, gate), with
// simulated environments behind a simulated network. Faults are drawn from the seed (sim_world.h
// lists them). What was truly done is known to the simulator, so verdicts can be judged
// (sim_test.c).
//
// In the manner of FoundationDB's and TigerBeetle's simulators: one seed is one history, bit for
// bit; an assertion that fails under a seed fails under it again.
#ifndef MG_TRANSPORT_SIM_H
#define MG_TRANSPORT_SIM_H
#include "harness/attribution.h"
#include "harness/gate.h"
#include "transport/sim_world.h"

#define MG_SIM_TURNS_MAX 32

typedef struct mg_sim_options {
    uint64_t seed;
    int32_t  episodes, turns_max; // groups of four; turns_max at most MG_SIM_TURNS_MAX
    double   fault_rate;          // chance that an attempt has a fault of the harness's side
    mg_sim_evidence evidence;     // what the environments tell of themselves
    bool     stop;                // the gate stops the run when it trips; otherwise it goes on
} mg_sim_options;

// What one seed's world came to. A fault counts once it has truly touched the episode. Faults of
// the state have an oracle in each episode where the evidence is whole; where it is partial they
// may be seen, and where it is bare they cannot.
typedef struct mg_sim_result {
    int64_t  attempts;
    int64_t confusion[MG_CODES][MG_CODES];  // [true code][code of the verdict], but for those that
                                            // cannot be seen
    int64_t  poisoned, poisoned_passed;     // truly bad with an oracle; of these, verdict CLEAN
    int64_t  doubtful, doubtful_passed;     // the same where evidence is partial
    int64_t  unseen, unseen_passed;         // and where there is none
    int64_t  clean, clean_suspected;        // truly clean; of these, verdict not CLEAN
    int64_t clean_dropped; // truly clean and CLEAN, lost with their group or a stopped run
    int64_t  admitted, poisoned_admitted;   // fed to an update; of these truly bad, with an oracle
    int64_t  unclean_in_gradient;           // must be 0
    int64_t late_values; // delivered by a session, but not its call's own answer in time: 0
    int64_t  numbers_from_nothing;          // ABSENT or INVALID that became a number: must be 0
    int64_t replayed, clean_differ; // truly clean that came out otherwise when played again: 0
    uint8_t hash[32];               // of everything that happened, in order: equal for equal seeds
} mg_sim_result;

void mg_sim_run(const mg_sim_options *o, mg_sim_result *out);
#endif
