// gate.h - which episodes may enter a gradient, and when an environment is no longer fit to learn from.
//
// A state machine: verdicts in, decisions out, in logical order (update, group, attempt), never in
// order of arrival.
//
// G1  Only CLEAN episodes are admitted; a group left with fewer than max(group_min, ceil(group_share n))
//     of them is dropped whole, before any baseline.
// G2  A failure of the harness's side is tried again on a fresh environment, at most retries_max
//     times; every attempt counts in the rate. A failure of the model is never tried again.
// G3  Rate: per environment, and per action of its manifest, a wealth process against "at most
//     rate_max" (stats/wealth.h); the k-th test that a run starts may spend alpha 6/(pi^2 k^2).
// G4  Breaker: `breaker` failures in a row stop at once.
// G5  After a trip nothing more of the run is admitted.
// G6  Every admitted episode is counted; one whose verdict is not CLEAN when it feeds an update is a
//     broken program (unclean_in_gradient == 0).
#ifndef MG_HARNESS_GATE_H
#define MG_HARNESS_GATE_H
#include "core/config.h"
#include "harness/exclusion.h"
#include "harness/taxonomy.h"
#include "stats/wealth.h"

#define MG_GATE_FIELDS(F)                                                                          \
    F(real, rate_max, 0.05, 1e-4, 0.5, "harness failures above this rate stop the run (the 5 % rule)") \
    F(real, alpha, 0.05, 1e-6, 0.5, "chance of ever stopping a run whose rate is lower")           \
    F(int, breaker, 5, 2, 1000, "harness failures in a row that stop at once")                     \
    F(int, retries, 2, 0, 2, "attempts on a fresh environment after a harness failure")            \
    F(int, group_min, 2, 1, 1024, "a group with fewer clean episodes is dropped")                  \
    F(real, group_share, 0.75, 0, 1, "and one with a smaller share of its size")                   \
    F(real, replay_share, 0.02, 0, 1, "share of unsuspected episodes that are played again")       \
    F(name, on_trip, stop, 0, 0, "stop|note: note goes on, for measurements; still only CLEAN is learnt from")

typedef struct mg_gate_config {
    MG_CONFIG_STRUCT(MG_GATE_FIELDS)
} mg_gate_config;

#define MG_GATE_TESTS_MAX 64 // the environment and its actions; further actions share the last test
#define MG_GATE_WITNESSES 20 // kept; further ones are counted only

typedef struct mg_gate_test { // one rate
    char      name[64];       // "" for the environment as a whole
    mg_wealth wealth;
    double    alpha;          // its share
    bool      tripped;
} mg_gate_test;

typedef struct mg_gate {
    mg_gate_config config;
    mg_gate_test   tests[MG_GATE_TESTS_MAX];
    int32_t        n_tests;
    int32_t        in_a_row;
    int64_t        attempts, failures, retried, excluded, dropped_groups, admitted, unclean_in_gradient;
    int64_t        by_code[MG_CODES];
    int64_t        tripped_at;  // attempts when it tripped; -1: it has not
    char           why[256];    // the sentence of the trip
    mg_exclusion   exclusion;   // is exclusion selecting behaviour?
} mg_gate;

typedef enum mg_admission { MG_ADMIT, MG_RETRY, MG_EXCLUDE } mg_admission;

void mg_gate_init(mg_gate *g, const mg_gate_config *config);
// One attempt is over. Counts it in every rate it belongs to.
mg_admission mg_gate_attempt(mg_gate *g, const mg_episode *e);
// Of a group's episodes (their last attempts), in order: keep[i] whether it is admitted. n_kept 0: dropped.
void mg_gate_group(mg_gate *g, const mg_episode *episodes, int64_t n, bool *keep, int64_t *n_kept);
// What feeds an update passes here last; counts, and asserts G6.
void mg_gate_feed(mg_gate *g, const mg_episode *episodes, int64_t n);
bool mg_gate_tripped(const mg_gate *g);
// Upper bound of the failure rate that holds at all times, at the environment test's alpha.
double mg_gate_bound(const mg_gate *g);
#endif
