// preference.c - pairs and labels.
#include "rewards/preference.h"

#include <math.h>
#include <string.h>

#include "core/err.h"

double mg_prefer_probability(double k, double gold_first, double gold_second) {
    MG_ASSERT(k >= 0);
    if (gold_first == gold_second) return 0.5; // also for infinite k
    return 1 / (1 + exp(-k * (gold_first - gold_second)));
}

typedef struct two {
    const mg_candidate *first, *second;
} two;

static bool may_ask(const mg_preference_rule *rule, const mg_candidate *a) {
    return rule->human || !a->human;
}

static bool may_pair(const mg_preference_rule *rule, const mg_candidate *a,
                     const mg_candidate *b) {
    return may_ask(rule, a) && may_ask(rule, b) && strcmp(a->text, b->text) != 0 &&
           !(rule->drop_ties && a->gold == b->gold);
}

// The pair with this number among those that may be asked about; counts them when it is -1.
static int64_t nth_pair(const mg_preference_rule *rule, const mg_candidate *c, int64_t n,
                        int64_t number, two *out) {
    int64_t pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i + 1; j < n; j++) {
            if (!may_pair(rule, &c[i], &c[j])) continue;
            if (pairs++ == number) *out = (two){&c[i], &c[j]};
        }
    }
    return pairs;
}

static bool best_worst(const mg_preference_rule *rule, const mg_candidate *c, int64_t n, two *out) {
    two extreme = {NULL, NULL};
    for (int64_t i = 0; i < n; i++) {
        if (!may_ask(rule, &c[i])) continue;
        if (!extreme.first || c[i].gold > extreme.first->gold) extreme.first = &c[i];
        if (!extreme.second || c[i].gold <= extreme.second->gold) extreme.second = &c[i];
    }
    if (!extreme.first || !may_pair(rule, extreme.first, extreme.second)) return false;
    *out = extreme;
    return true;
}

bool mg_preference_draw(const mg_preference_rule *rule, const char *prompt,
                        const mg_candidate *candidates, int64_t n, mg_rng *rng,
                        mg_preference *out) {
    MG_ASSERT(0 <= n && n <= MG_CANDIDATES_MAX);
    two pair;
    if (rule->pairing == MG_PAIRING_BEST_WORST) {
        if (!best_worst(rule, candidates, n, &pair)) return false;
    } else {
        const int64_t pairs = nth_pair(rule, candidates, n, -1, &pair);
        if (pairs == 0) return false;
        const int64_t number = (int64_t)mg_rng_below(rng, (uint64_t)pairs);
        nth_pair(rule, candidates, n, number, &pair);
    }
    const double p     = mg_prefer_probability(rule->k, pair.first->gold, pair.second->gold);
    const bool   first = mg_rng_uniform(rng) < p;
    *out = (mg_preference){.prompt   = prompt,
                           .chosen   = first ? pair.first->text : pair.second->text,
                           .rejected = first ? pair.second->text : pair.first->text};
    return true;
}
