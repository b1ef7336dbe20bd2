// act.h - actions of a perceptron policy, by its head.
//
//   tanh           a = tanh(m): one action for each observation, without a log-probability
//   tanh_gaussian  u = m + exp(s) e, a = tanh(u), e ~ N(0, 1); s within [-20, 2] (Haarnoja et al. 2018,
//                  arXiv:1812.05905, appendix C):
//                  log pi(a) = sum_j log N(u_j; m_j, exp(s_j)^2) - log(1 - tanh(u_j)^2)
//   gaussian       a = m + exp(free) e; the world is given what lies within its range, the log-probability is
//                  that of the number that was drawn (as is usual with PPO)
//   categorical    choice k with probability softmax(z)_k
//
// The mode is e = 0, or the first of the likeliest choices.
#ifndef MG_NETS_ACT_H
#define MG_NETS_ACT_H
#include "nets/mlp.h"

#define MG_LOG_DEVIATION_MIN -20.0
#define MG_LOG_DEVIATION_MAX 2.0

// Where results go; NULL: not wanted.
typedef struct mg_acts {
    float   *drawn;  // [rows, n] a as above: what a learner asks log-probabilities of
    float   *action; // [rows, n] action_scale a within +-action_scale: what the world is given
    int64_t *choice; // [rows] of a categorical head, which has no numbers
    double  *logp;   // [rows] not of a tanh head
} mg_acts;

// Numbers of an action: n above; 0 of a categorical head, which chooses.
int64_t mg_act_numbers(const mg_mlp_shape *s);

// One action for each of `rows` observations [rows, in], which are as the world shows them: they are normalised
// here. draws [rows]: the stream that a row draws from, moved on; NULL: the mode. A row's results have the same
// bits in any batch. scratch is reset to its mark on return.
// Error: MG_NUMERIC (the policy's numbers for a row, its deviation or what was drawn are not finite).
mg_err mg_act(mg_model *policy, mg_team *team, const float *observations, int64_t rows, mg_rng *draws,
              mg_arena *scratch, const mg_acts *out) MG_MUST_USE;

// log(1 - tanh(u)^2) without cancellation, 2 (log 2 - u - softplus(-2u)).
double mg_log_tanh_slope(double u);
#endif
