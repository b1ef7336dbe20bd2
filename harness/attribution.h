// attribution.h - model or harness? A suspect is played again on a fresh, unloaded environment with
// the same actions, and what comes out decides.
//
//   it comes out otherwise        the harness's side: the code that was suspected, or H.replay
//   the same fault again          the code; T.invalid where somebody asked the oracle, and it meets it too
//   the same, without the fault   the suspicion stands: unknown counts as harness
//   a failure of the model alone  CLEAN with its M code
//
// What was proven stays proven (QUARANTINED is not played again), and a suspect never becomes
// CLEAN: an environment that hides its fault the second time would earn its episodes back. An
// environment that declares itself stochastic comes out otherwise by right; whoever plays again
// leaves those out.
//
// A state machine of one decision; who plays again is the driver's business (rollout/).
#ifndef MG_HARNESS_ATTRIBUTION_H
#define MG_HARNESS_ATTRIBUTION_H
#include "harness/watch.h"

// What a second playing showed, beside the first.
typedef struct mg_replayed {
    bool       played;      // false: it could not be played (no snapshot, no budget)
    int32_t differs_at; // first turn whose observation, reward, status or digest differs; -1: none;
                        // of the reset: MG_DIFFERS_RESET
    mg_finding finding;     // of the second playing's own watch
    bool       oracle_fails; // the oracle, on this task, meets the same code
} mg_replayed;
#define MG_DIFFERS_RESET (-2)

// Should this finding be played again? SUSPECT always; a share of the model's failures and of
// what is CLEAN without a code, by a draw.
bool mg_attribution_wanted(const mg_finding *f, double share, mg_rng *rng);
// The finding that stands.
void mg_attribution_decide(const mg_finding *first, const mg_replayed *second, mg_finding *out);

// The first turn at which two records of an episode differ, as mg_replayed.differs_at counts, and
// in what: "observation", "action", "status", "error", "reward", "length", "end", "digest"; ""
// for none. The observation of turn 0 is the reset's; that of a later turn was shown by the call
// before it. One that is NULL is not there (a replayable record), nor is that turn's evidence.
int32_t mg_episode_differs(const mg_episode *a, const mg_episode *b, char what[64]);
#endif
