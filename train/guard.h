// guard.h - does the policy that learns still do what the one that it started from does? The decisions, no I/O.
//
// After an update, a look: both policies play episodes with the same seeds, new ones at every look. A pair scores 0
// where the learning policy falls short of the other by more than the tolerance, else 1. The null is that it has not
// collapsed: given the past, a pair scores 1 with probability of at least 1/2. A change at an unknown look is what
// stats/detector.h notices; the k-th detector of a run, begun by a rollback, spends alpha 6/(pi^2 k^2), so a run
// that never collapses is rolled back, ever, with probability at most alpha, whatever the algorithm, and however
// often one looks.
//
// The tolerance is `margin` of the span, which is what the starting policy is ahead of random actions (or of nothing,
// where a world has no random policy). How deep a policy fell is measured in spans as well:
// D = (J_0 - min_t J_t) / span, of the looks' means.
#ifndef MG_TRAIN_GUARD_H
#define MG_TRAIN_GUARD_H
#include "core/config.h"
#include "core/rng.h"
#include "stats/bootstrap.h"
#include "stats/detector.h"

#define MG_GUARD_FIELDS(F)                                                                                          \
    F(flag, enabled, false, 0, 0, "watch the policy while it learns, and roll it back when it has collapsed")        \
    F(real, alpha, 0.05, 0.001, 0.5, "probability that a run that does not collapse is ever rolled back")            \
    F(int, episodes, 10, 2, 10000, "pairs of episodes at a look")                                                    \
    F(int, dense, 25, 0, 1000000, "first updates that learn in the world, each followed by a look")                  \
    F(int, every, 5, 1, 1000000, "updates between looks after these")                                               \
    F(real, margin, 0.2, 0, 10, "how far below the starting policy is no collapse: a share of the span")             \
    F(real, step_factor, 0.5, 1e-6, 1, "a rollback multiplies step sizes by this")                                   \
    F(real, bound_factor, 0.5, 1e-6, 1, "and how far td3_c lets the policy move")                                   \
    F(int, rollbacks, 3, 0, 100, "after so many the next one ends the run, with the last good policy")               \
    F(int, verdict_episodes, 40, 2, 10000, "pairs of episodes that the run is judged by at its end")

typedef struct mg_guard_config {
    MG_CONFIG_STRUCT(MG_GUARD_FIELDS)
} mg_guard_config;

extern const mg_field mg_guard_fields[];

// Plain bytes without padding: equal histories are equal bytes.
typedef struct mg_guard {
    int64_t     begun;          // update before which it began; -1: not yet
    int64_t     looks, pairs;   // so far; pairs played for decisions
    int64_t     rollbacks;
    int64_t     good;           // updates behind the last good state
    int64_t     stopped;        // 1: the run is over, by its last rollback
    double      start_mean;     // J_0, before the first update
    double      span;           // J_0 - J_random, or |J_0|
    double      step, bound;    // what step sizes and bounds are multiplied by now
    double      worst;          // lowest mean of a look
    int64_t     worst_update;
    int64_t     low, event;     // looks in a row with D > .5; 1: there were two
    int64_t     recovered;      // first update of three looks in a row at J_0 or better; -1: none
    int64_t     well;           // such looks in a row
    double      area;           // sum of the looks' means
    mg_detector detector;
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
// Is there a look behind update `update`?
bool mg_guard_due(const mg_guard *g, const mg_guard_config *c, int64_t update);
// now[i] and start[i] [n] are returns of a pair. A look without pairs decides nothing.
mg_guard_decision mg_guard_look(mg_guard *g, const mg_guard_config *c, int64_t update, const double *now,
                                const double *start, int64_t n);
double mg_guard_dip(const mg_guard *g);                                // D; 0 before the first look
double mg_guard_wealth(const mg_guard *g, const mg_guard_config *c);   // 1: a rollback. Of the detector's threshold

// What to say at the end. The interval holds with probability .95 for the mean difference of n fresh pairs.
typedef struct mg_guard_verdict {
    mg_interval gain;
    int64_t     n;
    enum { MG_GUARD_UNDECIDED, MG_GUARD_YES, MG_GUARD_NO } go; // is the policy better, or worse, than at the start?
} mg_guard_verdict;
// Errors: those of mg_bootstrap_difference.
mg_err mg_guard_judge(const double *now, const double *start, int64_t n, mg_rng *rng,
                      mg_guard_verdict *out) MG_MUST_USE;
#endif
