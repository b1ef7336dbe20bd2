// coverage.h - does the starting policy know the references that it will be reset into?
//
// DR-PO's guarantee needs the references' states to be reachable by the starting policy: its error grows
// with the concentrability C_ST of the comparator against that policy (Chang et al. 2024,
// arXiv:2404.08495, Theorem 5.7). What can be measured: how likely the policy finds the references,
// beside how likely it finds its own samples.
#ifndef MG_TRAIN_COVERAGE_H
#define MG_TRAIN_COVERAGE_H
#include "algos/tokens.h"

#define MG_COVERAGE_SAMPLES 4 // per prompt

typedef struct mg_coverage {
    int64_t rows;           // references looked at
    double  reference_logp; // mean log-probability per token of the references
    double  sample_logp;    // and of the policy's own samples at temperature 1
    double  outside;        // share of references less likely, per token, than each own sample
} mg_coverage;

// Looks at the first `rows` usable training pairs. scratch is reset to its mark.
// Errors: those of encoding and generating.
mg_err mg_coverage_measure(mg_model *policy, const mg_job *job, int64_t rows, mg_arena *scratch,
                           mg_coverage *out) MG_MUST_USE;
#endif
