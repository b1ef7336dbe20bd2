// gae.h - generalised advantage estimation over one episode's actions.
//
// Schulman et al. 2016, "High-dimensional continuous control using generalized advantage
// estimation", arXiv:1506.02438, eq. 11 and eq. 16 by its backward recursion:
//     delta_t = r_t + gamma V_{t+1} - V_t
//     A_t     = delta_t + gamma lambda A_{t+1}
// and the value target  Ret_t = A_t + V_t.
//
// Not in the paper: ends. V_n, after the last action, is `bootstrap`: 0 when the episode
// terminated, the value of the last state when somebody merely stopped watching (truncated).
#ifndef MG_ALGOS_GAE_H
#define MG_ALGOS_GAE_H
#include <stdint.h>

// r, v, advantage, target [n].
void mg_gae(int64_t n, const double *r, const double *v, double bootstrap, double gamma,
            double lambda, double *advantage, double *target);

// (x - mean) / sqrt(var + 1e-8) over the n_kept entries with keep[i] (NULL: all); the mean is added
// back when keep_mean. Biased variance and the place of the 1e-8 as in the summarize-from-feedback
// code family. Entries that are not kept are left as they are.
void mg_whiten(int64_t n, double *x, const uint8_t *keep, int keep_mean);
#endif
