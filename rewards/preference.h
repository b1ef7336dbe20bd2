// preference.h - which of two answers is preferred, and which two are asked about.
//
// Labels follow Bradley & Terry 1952: P(first preferred) = sigmoid(k (gold_first - gold_second)).
// k is the labeller's care: 0 is a coin, large k hardly errs. Pure functions: the draws come from
// the caller's stream (MG_PURPOSE_LABEL, at the prompt's own position).
#ifndef MG_REWARDS_PREFERENCE_H
#define MG_REWARDS_PREFERENCE_H
#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"
#include "env/pair.h"

#define MG_CANDIDATES_MAX 1024 // per prompt

// One answer to a prompt.
typedef struct mg_candidate {
    const char *text; // borrowed
    double      gold;
    bool        human; // the data set's own completion
} mg_candidate;

typedef enum mg_pairing {
    MG_PAIRING_RANDOM,     // any two whose texts differ, each pair equally likely
    MG_PAIRING_BEST_WORST, // the first with the highest gold, the last with the lowest
} mg_pairing;

typedef struct mg_preference_rule {
    mg_pairing pairing;
    double     k;         // Bradley-Terry; at least 0
    bool       human;     // human texts may be asked about
    bool       drop_ties; // equal gold makes no row; otherwise a coin decides
} mg_preference_rule;

double mg_prefer_probability(double k, double gold_first, double gold_second);

// Chooses two of n candidates and labels them. False, and nothing is written or drawn, when no two
// may be asked about: texts all equal, or a tie that is dropped.
bool mg_preference_draw(const mg_preference_rule *rule, const char *prompt,
                        const mg_candidate *candidates, int64_t n, mg_rng *rng,
                        mg_preference *out);
#endif
