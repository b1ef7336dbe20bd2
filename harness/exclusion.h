// exclusion.h - is exclusion selecting behaviour? Excluded and kept episodes are compared by what was
// known before anything failed.
//
// Covariates of an episode up to its first fault: turns, tokens of the policy, actions of each kind,
// partial reward. In each window of MG_EXCLUSION_WINDOW exclusions: the largest AUC over covariates,
// against its distribution when the labels are permuted (999 permutations, from a random stream):
// p < .01 and AUC > .6 raise the alarm. Each window may spend mg_alpha_share(.01, k).
#ifndef MG_HARNESS_EXCLUSION_H
#define MG_HARNESS_EXCLUSION_H
#include "core/rng.h"
#include "env/episode.h"

#define MG_EXCLUSION_WINDOW 50
#define MG_EXCLUSION_KEPT   400 // kept episodes of a window, the first ones
#define MG_COVARIATES       8

typedef struct mg_exclusion {
    double  excluded[MG_EXCLUSION_WINDOW][MG_COVARIATES], kept[MG_EXCLUSION_KEPT][MG_COVARIATES];
    int32_t n_excluded, n_kept;
    int64_t windows;  // full ones so far
    double  auc, p;   // of the last full window
    bool    alarm;    // ever
    int32_t covariate; // the one that told them apart
    mg_rng  rng;
} mg_exclusion;

extern const char *const mg_covariate_name[MG_COVARIATES];
void mg_exclusion_init(mg_exclusion *x, uint64_t seed);
void mg_exclusion_observe(mg_exclusion *x, const mg_episode *e, bool excluded);
#endif
