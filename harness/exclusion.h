// exclusion.h - is exclusion selecting behaviour? Excluded and kept episodes are compared by what
// was known before anything failed.
//
// Covariates of an episode up to the call that failed, that call's action included: turns, tokens
// of the policy, keys read and written, refusals, turns that paid, and how often each of the
// first MG_EXCLUSION_ACTIONS actions of the run was called. All are counts that only grow along
// an episode. That matters: a fault cuts an episode short, so an excluded episode has counted
// less than it would have. So only "the excluded ones have more" says something, and says it on
// the safe side: if faults fall without regard to behaviour, the excluded ones' counts are those
// of any episode, or fewer.
//
// In each window of MG_EXCLUSION_WINDOW exclusions: the largest AUC over covariates (how often an
// excluded one has more than a kept one; ties count half), against its distribution when the
// labels are permuted. p <= mg_alpha_share(.01, k) in the k-th window and AUC > .6 raise the
// alarm. So a run without selection raises it with probability at most .01. Kept episodes are a
// uniform sample of the window's (Vitter 1985, algorithm R), so that a policy that changes within
// it does not look like selection. Permuting stops as soon as the outcome is known (Besag &
// Clifford 1991): where nothing is wrong after a few dozen.
//
// Plain bytes without padding or pointers.
#ifndef MG_HARNESS_EXCLUSION_H
#define MG_HARNESS_EXCLUSION_H
#include "core/rng.h"
#include "env/episode.h"

#define MG_EXCLUSION_WINDOW  50
#define MG_EXCLUSION_KEPT    400 // kept episodes of a window, a sample where there are more
#define MG_EXCLUSION_ACTIONS 10
#define MG_COVARIATES        (6 + MG_EXCLUSION_ACTIONS)
#define MG_EXCLUSION_ALPHA   0.01
#define MG_EXCLUSION_AUC     0.6
// Of one window; so many are needed from the 25th on, and after the 78th (3,900 exclusions
// without an alarm) no number of them could show a p that small: the run has been watched long
// enough.
#define MG_EXCLUSION_PERMUTATIONS_MAX (1 << 20)

typedef struct mg_exclusion {
    int64_t windows;      // full ones so far
    int64_t kept_seen;    // in this window
    double  auc, p;       // of the last full window
    int32_t excluded[MG_EXCLUSION_WINDOW][MG_COVARIATES], kept[MG_EXCLUSION_KEPT][MG_COVARIATES];
    char actions[MG_EXCLUSION_ACTIONS]
                [64]; // in the order in which they were first called; "": none
    int32_t n_excluded, n_kept;
    int32_t alarm;        // 1: it was raised, and stays so; auc and p are then of that window
    int32_t covariate;    // the one that told them apart
    mg_rng  rng;          // where the window's draws begin follows from its number alone
    uint32_t unused;      // keeps the size a multiple of 8
} mg_exclusion;

void mg_exclusion_init(mg_exclusion *x, uint64_t seed);
void mg_exclusion_observe(mg_exclusion *x, const mg_episode *e, bool excluded);
// In words, such as "turns" or "calls of lookup".
void mg_exclusion_covariate(const mg_exclusion *x, int32_t covariate, char out[80]);
#endif
