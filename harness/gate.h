// gate.h - which episodes may enter a gradient, and when an environment is no longer fit to learn
// from.
//
// A state machine: verdicts in, decisions out, in logical order (update, group, attempt), never in
// order of arrival.
//
// G1  Only CLEAN episodes are admitted; a group of n left with fewer than
//     max(min(group_min, n), ceil(group_share n)) of them is dropped whole, before any baseline.
// G2  A failure of the harness's side is tried again on a fresh environment, at most `retries`
//     times; every attempt counts in the rate. A failure of the model is never tried again.
// G3  Rate: per environment, and per action of its manifest, a wealth process against "at most
//     rate_max" (stats/wealth.h); the k-th test that a run starts may spend alpha 6/(pi^2 k^2).
// G4  Breaker: `breaker` failures in a row stop at once.
// G5  After a trip nothing more of the run is admitted (on_trip: note: it is, and only CLEAN).
// G6  Every admitted episode is counted; one whose verdict is not CLEAN when it feeds an update
//     is a broken program (unclean_in_gradient == 0).
//
// An action's rate is over the episodes in which it was called before anything failed. It failed in
// those whose code names a turn (code_turn) in which it was the action called; once per episode. A
// code of the whole episode or of the reset counts for the environment alone.
//
// The breaker is not paid for by alpha. An environment that fails at a steady rate p without
// regard to the past has `breaker` = r failures in a row in n attempts with chance about
// n (1 - p) p^r: at 5 % and r = 5 that is 3.0e-7 an attempt, 3 % in 100,000 attempts; at 2 %,
// 3.1e-9, 3 in 10,000. A run that long at exactly 5 % has spent more than half of alpha again;
// raise `breaker` for runs of millions (at r = 6 it is 20 times less).
#ifndef MG_HARNESS_GATE_H
#define MG_HARNESS_GATE_H
#include "core/config.h"
#include "harness/exclusion.h"
#include "harness/taxonomy.h"
#include "stats/wealth.h"

#define MG_GATE_FIELDS(F)                                                                          \
    F(real, rate_max, 0.05, 1e-4, 0.5,                                                             \
      "harness failures above this rate stop the run (the 5 % rule)")                              \
    F(real, alpha, 0.05, 1e-6, 0.5, "chance of ever stopping a run whose rate is lower")           \
    F(int, breaker, 5, 2, 1000, "harness failures in a row that stop at once")                     \
    F(int, retries, 2, 0, 2, "attempts on a fresh environment after a harness failure")            \
    F(int, group_min, 2, 1, 1024, "a group with fewer clean episodes is dropped")                  \
    F(real, group_share, 0.75, 0, 1, "and one with a smaller share of its size")                   \
    F(real, replay_share, 0.02, 0, 1, "share of unsuspected episodes that are played again")       \
    F(name, on_trip, stop, 0, 0,                                                                   \
      "stop|note: note goes on, for measurements; still only CLEAN is learnt from")

typedef struct mg_gate_config {
    MG_CONFIG_STRUCT(MG_GATE_FIELDS)
} mg_gate_config;

extern const mg_field mg_gate_fields[]; // MG_CONFIG_TABLE of the list

#define MG_GATE_TESTS_MAX 64 // the environment and its actions; further actions share the last test

typedef struct mg_gate_test { // one rate
    char      name[64];       // "" for the environment as a whole
    mg_wealth wealth;
    double    alpha;          // its share
    int64_t   tripped;        // 1: it has
} mg_gate_test;

// Plain bytes without padding or pointers: a checkpoint keeps it whole, equal histories are equal
// bytes, and a resumed gate goes on bit for bit. Fields of the configuration are copied.
typedef struct mg_gate {
    double         rate_max, alpha, group_share;
    int64_t        breaker, retries, group_min, stops; // stops 1: on_trip is `stop`
    mg_gate_test   tests[MG_GATE_TESTS_MAX];
    int64_t        n_tests;     // begun; tests[0] is the environment's
    int64_t        in_a_row;
    int64_t attempts, failures, retried, excluded, dropped_groups, admitted, unclean_in_gradient;
    int64_t        by_code[MG_CODES];
    int64_t        tripped_at;  // attempts when it tripped; -1: it has not
    char           why[256];    // the sentence of the trip
    mg_exclusion   exclusion;   // is exclusion selecting behaviour?
} mg_gate;

typedef enum mg_admission { MG_ADMIT, MG_RETRY, MG_EXCLUDE } mg_admission;

void mg_gate_init(mg_gate *g, const mg_gate_config *config);
// One attempt is over. Counts it in every rate it belongs to. RETRY: start.attempt was below
// `retries`.
mg_admission mg_gate_attempt(mg_gate *g, const mg_episode *e);
// Of a group's episodes (their last attempts), in order: keep[i] whether it is admitted. n_kept
// 0: dropped.
void mg_gate_group(mg_gate *g, const mg_episode *episodes, int64_t n, bool *keep, int64_t *n_kept);
// What feeds an update passes here last; counts, and asserts G5 and G6.
void mg_gate_feed(mg_gate *g, const mg_episode *episodes, int64_t n);
bool mg_gate_tripped(const mg_gate *g); // some test or the breaker has, whatever on_trip says
bool mg_gate_stopped(const mg_gate *g); // and nothing more is admitted
// Upper bound of the failure rate that holds at all times, at the environment test's alpha.
double mg_gate_bound(const mg_gate *g);
#endif
