// guard.h - does the policy that learns still do what the one that it started from does? The decisions, no I/O.
//
// After an update, a look: both policies play episodes with the same seeds, new ones at every look. A pair scores 0
// where the learning policy falls short of the other by more than the tolerance, else 1. The null is that it has not
// collapsed: given the past, a pair scores 1 with probability of at least 1/2. A change at an unknown look is what
// stats/detector.h notices; the k-th detector of a run, begun by a rollback, spends alpha 6/(pi^2 k^2), so a run
// that never collapses is rolled back, ever, with probability at most alpha, whatever the algorithm, and however
// often one looks.
//
// An episode that did not go well (harness/gate.h would not admit it: the world broke under an action, a reward is
// none) has no return. Where the learning policy's alone did not, the pair scores 0, as a policy may collapse into
// faults; where the starting policy's did not, there is no pair. So in a world that fails by itself with probability f
// the null asks for a pair of which both went well to score 1 with probability of at least 1 / (2 (1 - f)): .526 for
// the 5 % that the gate lets pass.
//
// Fewest pairs to a rollback where every pair scores 0, by the looks of the run, of which the k-th test gets a part:
//
//     looks   alpha = .05     the 1st test   the 2nd   the 3rd   of a guard with that alpha
//        25            11               12        14        16
//        60            13               14        16        17
//       300            15               16        18        19
//
// That is two looks of ten pairs. Learning that leaves the finite is rolled back without any.
//
// The tolerance is `margin` of the span, which is what the starting policy is ahead of random actions (or of nothing,
// where a world has no random policy). How deep a policy fell is measured in spans as well: D is the most that the mean
// of a look's pairs fell short of the start's in the same pairs, over the span. That is measured by MG_GUARD_START
// episodes each of the start, J_0, and of random actions, and carries their error: D is a description, and decides
// nothing. Where random actions do as well as the starting policy (span <= 0) there is no D, and the tolerance is 0.
//
// A good look without a fault whose pairs gained more than any before is the best so far; at first it is the start,
// whose gain is 0. With `keep_best` the run ends with that state. That it was the best of many is why its gain is told
// by fresh pairs.
#ifndef MG_TRAIN_GUARD_H
#define MG_TRAIN_GUARD_H
#include "core/config.h"
#include "core/rng.h"
#include "stats/bootstrap.h"
#include "stats/detector.h"

enum { MG_GUARD_START = 20 };          // episodes that J_0 and random actions are measured by
enum { MG_GUARD_ROLLBACKS_MAX = 100 };
// Fewer pairs judge nothing: without any effect all n have one sign, and with it their interval, with probability
// 2 (1/2)^n, which is at most 5 % from 6 on.
#define MG_GUARD_PAIRS_MIN 6
#define MG_GUARD_FAULTS_MAX .05        // of the verdict's pairs; a policy that fails more often alone is a no-go

#define MG_GUARD_FIELDS(F)                                                                                          \
    F(flag, enabled, false, 0, 0, "watch the policy while it learns, and roll it back when it has collapsed")        \
    F(real, alpha, 0.05, 0.001, 0.5, "probability that a run that does not collapse is ever rolled back")            \
    F(int, episodes, 10, 2, 10000, "pairs of episodes at a look")                                                    \
    F(int, dense, 25, 0, 1000000, "first updates that learn in the world, each followed by a look")                  \
    F(int, every, 5, 1, 1000000, "updates between looks after these")                                               \
    F(real, margin, 0.2, 0, 10, "how far below the starting policy is no collapse: a share of the span")             \
    F(real, step_factor, 0.5, 1e-6, 1, "a rollback multiplies the policy's step size by this")                       \
    F(real, bound_factor, 0.5, 1e-6, 1, "and how far td3_c lets the policy move")                                   \
    F(int, rollbacks, 3, 0, MG_GUARD_ROLLBACKS_MAX, "after so many the next ends the run")                          \
    F(flag, keep_best, true, 0, 0,                                                                                   \
      "end with the policy whose look was best, the starting one included, not with the last")                        \
    F(int, verdict_episodes, 40, 6, 10000, "pairs of episodes that the run is judged by at its end")

typedef struct mg_guard_config {
    MG_CONFIG_STRUCT(MG_GUARD_FIELDS)
} mg_guard_config;

extern const mg_field mg_guard_fields[];

// Behind that update, to what was behind the first `good` ones; its wealth is that of the detector that spoke.
typedef struct mg_guard_back {
    int64_t update, good;
} mg_guard_back;

// What was played: episodes, and steps of the world in them.
typedef struct mg_guard_cost {
    int64_t episodes, steps;
} mg_guard_cost;

// Plain bytes without padding: equal histories are equal bytes.
typedef struct mg_guard {
    int64_t     begun;          // update before which it began; -1: not yet
    int64_t     looks, pairs;   // so far; pairs that decided
    int64_t     last;           // update of the last look; -1: none
    int64_t     faults;         // pairs in which the learning policy's episode alone did not go well
    int64_t     rollbacks;      // without the one that ended the run: mg_guard_backs
    int64_t     good;           // updates behind the last good state
    int64_t     stopped;        // 1: the run is over, by its last rollback
    double      start_mean;     // J_0, before the first update
    double      random;         // NaN: there is none
    double      span;           // J_0 - J_random, or |J_0|
    double      step, bound;    // what the policy's step size and td3_c's bound are multiplied by now
    double      fall;           // the most that a look's mean was below the start's, in the same pairs; 0: never
    double      worst;          // the policy's mean at that look; J_0: there is none
    int64_t     worst_update;   // -1: there is none
    int64_t     best;           // updates behind the state that gained most
    double      best_gain;      // its look's; 0: the start's
    int64_t     low, event;     // looks in a row with D > .5; 1: there were two
    int64_t     recovered;      // first update of three looks in a row at the start or better; -1: none
    int64_t     well;           // such looks in a row
    double      area;           // sum of the looks' means
    int64_t     means;          // looks that have one
    mg_guard_cost evaluation, training; // of the guard; of the run since it began
    mg_detector detector;
    mg_guard_back back[MG_GUARD_ROLLBACKS_MAX + 1]; // the rollbacks, and what ended the run
} mg_guard;

typedef enum mg_guard_decision {
    MG_GUARD_GO,       // nothing is decided
    MG_GUARD_GOOD,     // and this state is worth going back to
    MG_GUARD_ROLLBACK, // to the last good state; go on with smaller steps
    MG_GUARD_STOP,     // the same, but do not go on
} mg_guard_decision;

void mg_guard_init(mg_guard *g);
// Begins before update `update` of `updates`. start: J_0 of the starting policy; random: that of random actions, NaN
// where there is none.
void mg_guard_begin(mg_guard *g, const mg_guard_config *c, int64_t update, int64_t updates, double start,
                    double random);
// How many looks a run of `updates` has, in which the guard begins before update `begun`.
int64_t mg_guard_looks(const mg_guard_config *c, int64_t begun, int64_t updates);
// Is there a look behind update `update`?
bool mg_guard_due(const mg_guard *g, const mg_guard_config *c, int64_t update);
// now[i] and start[i] [n] are returns of a pair, NaN where an episode did not go well. A look without pairs decides
// nothing.
mg_guard_decision mg_guard_look(mg_guard *g, const mg_guard_config *c, int64_t update, const double *now,
                                const double *start, int64_t n);
// Learning behind update `update` has left the finite: a collapse that needs no pairs. ROLLBACK or STOP.
mg_guard_decision mg_guard_broke(mg_guard *g, const mg_guard_config *c, int64_t update);
int64_t mg_guard_backs(const mg_guard *g);     // rollbacks in all, with the one that ended the run
// Updates behind the policy that a run of `done` updates leaves: fewer where the last one was rolled back or another
// one was better.
int64_t mg_guard_behind(const mg_guard *g, const mg_guard_config *c, int64_t done);
double mg_guard_dip(const mg_guard *g);                                // D; 0 before the first look; NaN: none
double mg_guard_wealth(const mg_guard *g, const mg_guard_config *c);   // 1: a rollback. Of the detector's threshold

// What to say at the end. The interval holds with probability .95 for the mean difference of n fresh pairs.
typedef struct mg_guard_verdict {
    mg_interval gain;   // NaN where n < MG_GUARD_PAIRS_MIN
    int64_t     n;      // pairs of which both went well
    int64_t     faults; // of which the new policy's alone did not
    enum { MG_GUARD_UNDECIDED, MG_GUARD_YES, MG_GUARD_NO } go; // is the policy better, or worse, than at the start?
} mg_guard_verdict;
// Returns as those of a look; what is no pair is closed up in place. Errors: those of mg_bootstrap_difference.
mg_err mg_guard_judge(double *now, double *start, int64_t n, mg_rng *rng, mg_guard_verdict *out) MG_MUST_USE;
#endif
