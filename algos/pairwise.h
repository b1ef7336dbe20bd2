// pairwise.h - learning from preference pairs: the loop that reward_model/ and dpo/ share.
#ifndef MG_ALGOS_PAIRWISE_H
#define MG_ALGOS_PAIRWISE_H
#include "algos/tokens.h"

typedef struct mg_pairwise_totals { // over pairs
    double loss, right, margin;
} mg_pairwise_totals;

// One pass over a few pairs (answers 2p chosen, 2p+1 rejected): adds to the totals and, with
// weight > 0, the gradient of weight * sum of losses. May use job->step, which is reset after.
typedef mg_err mg_pairwise_pass(void *learner, const mg_answers *a, double weight,
                                mg_pairwise_totals *sum);

typedef struct mg_pairwise {
    const mg_job        *job;
    mg_preference_tokens train, held; // held.n 0: none
    int64_t              batch, microbatch, updates;
    void                *learner;
    mg_pairwise_pass    *pass;
} mg_pairwise;

// Encodes the job's preferences and counts the updates of `epochs` passes.
mg_err mg_pairwise_open(mg_pairwise *p, const mg_job *job, double epochs, int64_t batch,
                        int64_t microbatch, void *learner, mg_pairwise_pass *pass) MG_MUST_USE;

// The pairs of one update; gradients of the mean loss are added to the model's.
// Error: MG_NUMERIC when the loss is not finite.
mg_err mg_pairwise_gradient(mg_pairwise *p, int64_t update, mg_metrics *out) MG_MUST_USE;

// held_out_loss and held_out_accuracy; *accuracy (may be NULL) is untouched without held-out pairs.
mg_err mg_pairwise_evaluate(mg_pairwise *p, mg_metrics *out, double *accuracy) MG_MUST_USE;
#endif
