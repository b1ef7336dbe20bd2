// actor_loss.h - the losses of deterministic actors, and the multiplier of a constraint.
//
// With pi_i = pi(s_i) of A numbers, Q_i = Q_1(s_i, pi_i), the mean over B transitions:
//   plain         L = -mean Q                                        (arXiv:1802.09477, Algorithm 1)
//   bc            L = -(alpha / mean |Q|) mean Q + weight c          (arXiv:2106.06860, equation 5; of its public
//                 code: |Q| at pi(s), not at the data's action; c a mean over actions' numbers too)
//   constraint    L = (-mean Q + lambda c s_Q) / (1 + lambda)        (the Lagrangian of: Q high, c <= eps)
//   c = mean_i ||pi_i - a_i||^2 / A, of a the data's action or another policy's;  s_Q = mean |Q|, or 1
// mean |Q| is a constant to the gradient.
#ifndef MG_ALGOS_TD3_ACTOR_LOSS_H
#define MG_ALGOS_TD3_ACTOR_LOSS_H
#include <stdbool.h>
#include <stdint.h>

typedef struct mg_actor_terms {
    int64_t      n, actions;
    const float *q;       // [n]
    const float *pi;      // [n, actions]
    const float *data;    // [n, actions] the batch's actions
    const float *target;  // [n, actions] the target policy's; NULL: not asked for
    const float *frozen;  // [n, actions] the anchor's; NULL: not asked for
    float       *dq;      // [n] d L / d q, added to
    float       *dpi;     // [n, actions] d L / d pi by its own terms, added to
} mg_actor_terms;

// Mean squared distance of an action's numbers, over n actions.
double mg_action_distance(int64_t n, int64_t actions, const float *pi, const float *a);

// Each returns L and adds its gradients.
double mg_actor_loss_plain(const mg_actor_terms *x);
double mg_actor_loss_bc(const mg_actor_terms *x, double alpha, double weight);
double mg_actor_loss_constraint(const mg_actor_terms *x, const float *a, double lambda, bool scale_free);

// The multiplier lambda = log(1 + exp eta), at most MG_MULTIPLIER_MAX, and its ascent:
//   eta <- eta + lr clip((c - eps) / eps, -1, 1)
// so that it rises while the constraint is violated and falls while it is not, as fast one way as the other, in
// units of the bound. eta stays between -10 (lambda 4.5e-5) and MG_MULTIPLIER_MAX. eps above 0.
#define MG_MULTIPLIER_MAX 1e4
double mg_multiplier(double eta);
double mg_multiplier_eta(double lambda); // the eta of a lambda above 0
double mg_multiplier_ascend(double eta, double c, double eps, double lr);
#endif
