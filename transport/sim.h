// sim.h - the simulator: clock, network and process table of the harness, from one seed.
//
// It drives the same state machines as the real driver (session, watch, attribution, gate), with
// simulated environments behind a simulated network. Faults are drawn from the seed: a message late,
// lost, doubled, of another call, cut, garbled; a process that dies, hangs, dies in the middle of a
// message; a manifest that changes; rewards that are missing, text, NaN, infinite, out of range;
// stale reads, effects that do not happen, time-outs passed off as answers, dirty resets. What was truly
// done is known to the simulator, so verdicts can be judged (transport/sim_test.c).
#ifndef MG_TRANSPORT_SIM_H
#define MG_TRANSPORT_SIM_H
#include "harness/attribution.h"
#include "harness/gate.h"
#include "harness/session.h"

typedef struct mg_sim_options {
    uint64_t seed;
    int32_t  episodes, turns_max;
    double   fault_rate; // chance that an episode has a fault of the harness's side
} mg_sim_options;

// What one seed's world came to.
typedef struct mg_sim_result {
    int64_t  episodes, attempts;
    int64_t  confusion[MG_CODES][MG_CODES]; // [true code][code of the verdict]
    int64_t  poisoned_admitted;             // truly bad, passed as CLEAN
    int64_t  clean_excluded;                // truly clean, kept out
    int64_t  late_values;                   // values delivered by a session after its deadline: must be 0
    int64_t  numbers_from_nothing;          // ABSENT or INVALID that became a number: must be 0
    uint8_t  hash[32];                      // of everything that happened, in order: equal for equal seeds
} mg_sim_result;

void mg_sim_run(const mg_sim_options *o, mg_sim_result *out);
#endif
