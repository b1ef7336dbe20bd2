// losses.h - losses on numbers per token or per answer, each with its derivative.
//
// A loss reads a network's outputs and adds d loss / d output, so that the tape can go on from
// there. Sums run in order, in double.
#ifndef MG_ALGOS_LOSSES_H
#define MG_ALGOS_LOSSES_H
#include <stdint.h>

// PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7), as a loss:
//     weight * sum_t keep_t max(-A_t rho_t, -A_t clip(rho_t, 1-eps, 1+eps)),
//     rho_t = exp(logp_t - logp_old_t)
// keep [n] or NULL: all. dlogp [n] is added to. Counters are added to as well, so that
// portions of a batch share them; NULL: not wanted.
typedef struct mg_clip_counts {
    double tokens, clipped; // kept tokens, and those on the clipped branch
    double ratio_off_max;   // largest |rho - 1|
    double kl;              // sum of (rho - 1) - log rho, Schulman's k3 of old against new
} mg_clip_counts;

double mg_loss_clip(int64_t n, const float *logp, const double *logp_old, const double *A,
                    const uint8_t *keep, double eps, double weight, float *dlogp,
                    mg_clip_counts *counts);

// Clipped value loss of the OpenAI baselines family:
//     weight * 0.5 * sum_t keep_t max((V - Ret)^2, (clip(V, Vold-eps, Vold+eps) - Ret)^2)
double mg_loss_value(int64_t n, const float *V, const double *V_old, const double *target,
                     const uint8_t *keep, double eps, double weight, float *dV);

// Bradley & Terry 1952: -log sigma(margin), and its derivative by the margin. Also DPO's, with
// margin = beta ((logp_w - ref_w) - (logp_l - ref_l)) (Rafailov et al. 2023, arXiv:2305.18290,
// eq. 7).
double mg_loss_bradley_terry(double margin, double *dmargin);

// GRPO's KL term (Shao et al. 2024, arXiv:2402.03300, eq. 4), the k3 estimate against a reference:
//     weight * sum_t keep_t (exp(ref_t - logp_t) - (ref_t - logp_t) - 1)
double mg_loss_k3(int64_t n, const float *logp, const double *ref, const uint8_t *keep,
                  double weight, float *dlogp);
#endif
