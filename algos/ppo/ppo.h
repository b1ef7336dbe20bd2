// ppo.h - proximal policy optimisation: of a language model against a reward, or of a perceptron in a world of
// vectors, by one update.
//
// Schulman et al. 2017, arXiv:1707.06347, in the form of RLHF that DR-PO builds on (Chang et al.
// 2024, arXiv:2404.08495, section 6 and its public code): per-token KL penalty, whitening, GAE, a
// separate critic. DR-PO is this with other starts, so its learner is made here too. In a world of vectors a step is an
// action instead of a token (algos/steps.h); nothing else differs.
#ifndef MG_ALGOS_PPO_PPO_H
#define MG_ALGOS_PPO_PPO_H
#include "algos/losses.h"
#include "algos/steps.h"
#include "algos/tokens.h"
#include "rewards/reward_model.h"

// Where a default is not the paper's own (Table 5 of arXiv:2404.08495), the meaning says so.
#define MG_PPO_FIELDS(F)                                                                          \
    F(int, updates, 80, 1, 1000000, "updates in all")                                             \
    F(int, episodes, 64, 1, 65536, "episodes per update (paper: 512)")                            \
    F(int, per_prompt, 1, 1, 1024, "episodes that share a prompt, which is then read once")       \
    F(int, epochs, 2, 1, 64, "passes over each batch (paper: 4)")                                 \
    F(int, minibatches, 1, 1, 256, "gradient steps per pass")                                     \
    F(int, microbatch, 32, 1, 65536,                                                              \
      "answers read at once where no gradient is asked for; changes memory, not a bit of the result") \
    F(real, lr, 2e-4, 0, 1, "policy step size (paper: 3e-6 for 2.8 B parameters)")                \
    F(real, critic_lr, 3e-4, 0, 1, "critic step size")                                            \
    F(name, schedule, linear, 0, 0, "linear|constant|cosine: course of both step sizes")          \
    F(int, warmup, 0, 0, 1000000, "updates over which the step sizes rise from 0")                \
    F(real, clip_norm, 1, 0, 1e9, "largest gradient norm; 0: no limit")                           \
    F(real, adam_eps, 1e-5, 1e-12, 1, "AdamW epsilon")                                            \
    F(real, clip, 0.2, 1e-4, 1, "ratio clip epsilon, eq. 7")                                      \
    F(real, value_clip, 0.2, 1e-4, 1e9, "value clip around the old value")                        \
    F(real, value_coef, 0.1, 0, 100, "weight of the value loss")                                  \
    F(real, gamma, 1, 0, 1, "discount")                                                           \
    F(real, lambda, 0.95, 0, 1, "GAE trace decay")                                                \
    F(real, kl_coef, 0.05, 0, 100, "per-token penalty log pi / pi_ref inside the reward")         \
    F(real, temperature, 0.7, 1e-3, 100, "of sampling, and alike of old, reference and new; of texts") \
    F(real, missing_eos, -1, -1e9, 1e9,                                                           \
      "replaces the reward model's score of an answer without its stop")                          \
    F(flag, whiten_rewards, true, 0, 0, "divide token rewards by their deviation, keep the mean") \
    F(name, mask_mode, strict, 0, 0,                                                              \
      "strict|code: strict leaves forced tokens and all after the stop out of everything; code "  \
      "masks forced tokens in the policy loss alone and samples on after the stop, as the "       \
      "published code does")                                                                      \
    F(name, critic_init, reward, 0, 0, "reward|policy: what the critic starts from, of texts; of vectors anew")

typedef struct mg_ppo_config {
    MG_CONFIG_STRUCT(MG_PPO_FIELDS)
} mg_ppo_config;

// The learner's state, shared with drpo/.
typedef struct mg_ppo {
    const mg_job   *job;
    mg_ppo_config   config;
    mg_model       *policy, *reference, *critic; // owned
    mg_adamw        policy_opt, critic_opt;
    mg_reward_model reward;     // model NULL: the environment's own reward is learned from
    mg_pair_tokens  references; // the training pairs as tokens; n 0 when the world has none
} mg_ppo;

extern const mg_algo mg_algo_ppo;

bool mg_ppo_strict(const mg_ppo *l);  // mask_mode
bool mg_ppo_vectors(const mg_ppo *l); // perceptrons in a world of vectors; else transformers

// The parts that drpo/ builds on.
mg_err mg_ppo_open(mg_ppo *l, const mg_job *job, const mg_ppo_config *config) MG_MUST_USE;
void   mg_ppo_close(mg_ppo *l);
int    mg_ppo_parts(mg_ppo *l, mg_part parts[MG_PARTS_MAX]);
// rows (may be NULL): [n] the row of the job's pairs that each start is a task of; without pairs its item.
mg_err mg_ppo_plan(mg_ppo *l, int64_t update, mg_start **starts, int64_t *n, mg_sampling *how,
                   int64_t **rows);
mg_err mg_ppo_update(mg_ppo *l, int64_t update, mg_episode *episodes, int64_t n,
                     mg_metrics *out) MG_MUST_USE;

// The steps of mg_ppo_update, in order. What it computes before its first gradient step; flat
// arrays as in algos/steps.h, on the step arena: a step is a token or an action.
typedef struct mg_ppo_batch {
    mg_steps t;
    uint8_t *in_mdp;  // [count] is a step of the decision process
    uint8_t *trained; // [count] enters the policy loss
    double  *ref;     // [count] log pi_ref
    double  *kl;      // [count] log pi_old - log pi_ref
    double  *value;   // [count] V before the step, of the critic as it was
    double  *reward;  // [count] R_t, whitened where asked for
    double  *A;       // [count] whitened
    double  *target;  // [count] Ret_t
    double   score_mean; // of the episodes' rewards, before KL
} mg_ppo_batch;

typedef struct mg_ppo_sums { // added to by the gradients
    double         policy_loss, value_loss; // L_pg, and value_coef L_v
    double         entropy;                 // of the policy at the trained steps
    mg_clip_counts counts;
} mg_ppo_sums;

// Fills episode->learned where there is a reward model. Errors: MG_LIMIT, MG_NUMERIC.
mg_err mg_ppo_prepare(mg_ppo *l, mg_episode *episodes, int64_t n, mg_ppo_batch *out) MG_MUST_USE;
// Add d loss / d weights of the policy, of the critic, over parts [begin, end) of b->t as one minibatch: episodes of
// texts, steps of vectors.
mg_err mg_ppo_policy_gradient(mg_ppo *l, const mg_ppo_batch *b, int64_t begin, int64_t end,
                              mg_ppo_sums *sums) MG_MUST_USE;
mg_err mg_ppo_value_gradient(mg_ppo *l, const mg_ppo_batch *b, int64_t begin, int64_t end,
                             mg_ppo_sums *sums) MG_MUST_USE;
#endif
