// optimiser.h - AdamW over a model's flat arrays, in one pass.
//
// Loshchilov & Hutter 2019, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2:
//   m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  mh = m/(1-b1^t);  vh = v/(1-b2^t)
//   w <- w - lr (mh / (sqrt(vh) + eps) + decay w)          decay on matrices only
#ifndef MG_NETS_OPTIMISER_H
#define MG_NETS_OPTIMISER_H
#include "nets/model.h"

typedef struct mg_adamw_config {
    double beta1, beta2, eps, decay;
    double clip; // the gradient's global norm is scaled down to this; 0: never
} mg_adamw_config;

typedef struct mg_adamw {
    mg_adamw_config config;
    mg_arena        arena;     // owns the arrays
    float          *m, *v;     // [n_weights]
    double         *squares;   // sums of g^2 over the slices of the flat array; see optimiser.c
    int64_t         n_weights;
    int64_t         steps;     // t, updates done
} mg_adamw;

// For a model of that many weights; m and v are 0. betas in [0, 1), eps > 0. Error: MG_NOMEM.
mg_err mg_adamw_init(mg_adamw *o, const mg_model *m, const mg_adamw_config *config) MG_MUST_USE;
void   mg_adamw_release(mg_adamw *o);

// One update from model->grads, which are zeroed in the same pass. grad_norm (before clipping) may
// be NULL. Same bits with any number of threads.
// Error: MG_NUMERIC when the norm is not finite, or so large that its square is no float; weights,
// gradients and state are then untouched.
mg_err mg_adamw_step(mg_adamw *o, mg_model *model, double lr, mg_team *team,
                     double *grad_norm) MG_MUST_USE;

// Moments and steps as a safetensors file (m, v [n_weights], steps [1]). Errors: MG_IO; of loading MG_CORRUPT,
// MG_MISMATCH (another model's), after which they are spoilt.
mg_err mg_adamw_save(const mg_adamw *o, const char *path) MG_MUST_USE;
mg_err mg_adamw_load(mg_adamw *o, const char *path) MG_MUST_USE;
// Moments as at the beginning.
void mg_adamw_reset(mg_adamw *o);

// Learning rate at update `step` (from 0) of `total`: lr step/warmup over the first `warmup`
// updates, then constant, linear to 0, or half a cosine to 0 (Loshchilov & Hutter 2017,
// arXiv:1608.03983, equation 5). The numbers of transformers' get_..._schedule_with_warmup.
typedef enum mg_schedule {
    MG_SCHEDULE_CONSTANT,
    MG_SCHEDULE_LINEAR,
    MG_SCHEDULE_COSINE
} mg_schedule;

double mg_schedule_lr(mg_schedule s, double lr, int64_t step, int64_t total, int64_t warmup);
#endif
