// npg.h - DR-PO with the natural-policy-gradient oracle, tabular and exact.
//
// Source: Chang, Zhan, Oertell, Brantley, Misra, Lee & Sun 2024, "Dataset Reset Policy Optimization
// for RLHF", arXiv:2404.08495v3: Algorithm 1 (the loop), Algorithm 2 (NPG), Algorithm 3 (NPG as the
// appendix analyses it). No network stands between theory and result here, so what the paper proves
// can be checked to the last digit; the form for language models is PPO with other starts.
//
//   s, a, h        state, action, step in 1, ..., H     the setting: states belong to one step
//   r, r_max       r(s, a), bound of r(tau)             the setting: 0 <= r(tau) <= r_max
//   pi_SFT, D_TR   first policy, reset data             inputs of Algorithm 1
//   t, T           iteration, number of them            Algorithm 1
//   N_0 = N / T    rollouts in an iteration             Algorithm 3: the t-th part of D_TR
//   y, Q_t         target, least-squares fit            Algorithms 2 and 3, "argmin over f in F"
//   lambda, eta    weights of the two KL                Algorithms 2 and 3, "argmin over p"
//   beta           proportion of resets                 Table 2
//
// Not in the paper:
//   - the learned reward r_hat is the true one (eps_MLE = 0), so that only the oracle is measured;
//   - D_TR is endless: fresh trajectories are drawn, which is the same as cutting it into T parts.
//     A share of it is reference answers, as in the paper's experiments; its theory has pi_SFT
//     samples alone;
//   - a rollout without a reset starts in s_1, follows pi_t from its first action on and gives a
//     target for every pair it visits. That is more data than the one pair of a reset rollout:
//     comparisons favour beta = 0;
//   - least squares says nothing about pairs without data; Q_t is 0 there, the least-norm solution.
// Threads: one mg_npg per thread. Memory: the caller's structs; nothing is allocated.
#ifndef MG_ALGOS_DRPO_NPG_H
#define MG_ALGOS_DRPO_NPG_H
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

#define MG_MDP_STATES_MAX   32
#define MG_MDP_ACTIONS_MAX  16
#define MG_NPG_ROLLOUTS_MAX 1000000
#define MG_NPG_LAMBDA_MAX   1e6 // the least is r_max / 500
#define MG_NPG_ETA_MIN      1e-6
#define MG_NPG_ETA_MAX      1e6

// f(s, a): a policy pi(a|s), a reward, a value.
typedef double mg_table[MG_MDP_STATES_MAX][MG_MDP_ACTIONS_MAX];

// The paper's setting with the transitions of a text: deterministic, a state belongs to one step.
// State 0 is s_1; next[s][a] > s; next[s][a] == S means that nothing is left to decide.
typedef struct mg_mdp {
    int      S, A, H; // states, actions, horizon
    int      next[MG_MDP_STATES_MAX][MG_MDP_ACTIONS_MAX];
    mg_table r;                            // r(s, a) >= 0, at most r_max along a trajectory
    double   r_max;
    mg_table sft;                          // pi_SFT(a|s)
    int      reference[MG_MDP_STATES_MAX]; // what a reference answer does in s
} mg_mdp;

// The combination lock. pi_SFT chooses the right one of A tokens (token 0) with probability p_right
// and the others evenly. The reward is 1 when all H tokens are right, `decoy` when the first is
// wrong, else 0; a reference answer is right throughout. State h: "the first h tokens are right";
// off that path no token changes the reward, so the episode is over there.
// For the best policy and D_TR ~ pi_SFT, C_ST of Theorem 5.7 is p_right^-H.
// Error: MG_CONFIG; the sentence says what was found and what was wanted.
mg_err mg_mdp_lock(int A, int H, double p_right, double decoy, mg_mdp *out) MG_MUST_USE;

// V^pi(s_1) = E_pi[r(tau)], by backward induction.
double mg_mdp_value(const mg_mdp *m, mg_table pi);

// pi_{t+1}(.|s) of Algorithms 2 and 3 for one s; arrays of A, out may be pi:
//     argmin_p  <-Q, p> + lambda KL(p || sft) + 1/eta KL(p || pi)
// in closed form.
void mg_npg_mirror_step(int A, const double *Q, const double *sft, const double *pi, double lambda,
                        double eta, double *out);

typedef struct mg_npg_config {
    int    rollouts;        // N_0: rollouts in one iteration
    double lambda;          // weight of KL(p || pi_SFT); Corollary 5.8: eps / (3 H log C_ST)
    double eta;             // 1/eta weighs KL(p || pi_t); Theorem 5.7: 1 / (r_max sqrt(T))
    double reset_share;     // beta: rollouts that start from a reset
    double reference_share; // q: trajectories of D_TR that are reference answers
} mg_npg_config;

typedef struct mg_npg {
    mg_mdp        mdp;
    mg_npg_config config;
    mg_rng        rng; // seeks (rollout, 0, iteration): no rollout's draws move another's
    int           t;   // iterations done
    mg_table      pi;  // pi_{t+1}
    mg_table      Q;   // Q_t, the mean of the targets y at (s, a)
    mg_table      n;   // how many targets that were
} mg_npg;

// pi_1 = pi_SFT. Copies both. Error: MG_CONFIG names the field, what was found and what was wanted.
mg_err mg_npg_init(mg_npg *z, const mg_mdp *mdp, const mg_npg_config *config,
                   uint64_t seed) MG_MUST_USE;

// One iteration of Algorithm 3: pi_t becomes pi_{t+1}.
void mg_npg_iterate(mg_npg *z);

// T > 0 iterations. Returns V of what Algorithms 2 and 3 output, Unif{pi_1, ..., pi_T}; the last
// iterate, which the paper's experiments use, is left in z->pi.
double mg_npg_run(mg_npg *z, int T);
#endif
