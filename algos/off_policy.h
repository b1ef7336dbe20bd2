// off_policy.h - what learners from a replay buffer share: networks, batches, the critic's step, counters.
//
// An update of the loop is a block: of gradient steps on the data set first (offline), then of environment steps,
// with gradient steps behind each (online). Networks see normalised observations and actions in [-1, 1]; the
// constants that normalise are the policy's own (mlp.h) and stay as they are once learning has begun.
//
// Draws are keyed by (seed, purpose, number of the environment step or gradient step), so blocks, kills and
// threads have no influence.
#ifndef MG_ALGOS_OFF_POLICY_H
#define MG_ALGOS_OFF_POLICY_H
#include "algos/algo.h"
#include "nets/mlp.h"
#include "store/transitions.h"

// Where a default is not the papers', its meaning says so. offline_updates and steps come before these, as each
// algorithm has its own defaults for them.
#define MG_OFF_POLICY_FIELDS(F)                                                                                     \
    F(int, block, 1000, 1, 1000000000, "steps, on data or in the world, between two entries of the run's record")    \
    F(int, batch, 256, 1, 65536, "transitions of a gradient step (TD3's first paper: 100)")                          \
    F(real, gamma, 0.99, 0, 1, "discount")                                                                          \
    F(real, tau, 0.005, 0, 1, "how far targets follow, each time")                                                  \
    F(real, lr, 3e-4, 0, 1, "policy step size")                                                                     \
    F(real, critic_lr, 3e-4, 0, 1, "critic step size")                                                              \
    F(int, start_steps, 25000, 0, 1000000000,                                                                       \
      "first environment steps, whose actions are drawn evenly and behind which nothing is learnt; none where the "  \
      "run starts from a policy or learns from data first")                                                         \
    F(int, updates_per_step, 1, 0, 1000, "gradient steps behind each environment step")                             \
    F(int, replay, 1000000, 1, 1000000000, "transitions that the buffer holds, the oldest make room")               \
    F(name, replay_mode, append, 0, 0,                                                                              \
      "append|empty|half|warmup: batches are drawn from data and buffer as one; from the buffer alone; half from "   \
      "each; from the buffer alone, after warmup_steps in which nothing is learnt")                                 \
    F(int, warmup_steps, 5000, 0, 1000000000, "of replay_mode warmup")                                              \
    F(name, stage, episode, 0, 0,                                                                                   \
      "episode|step: transitions enter the buffer when their episode has ended clean; or at once, which only worlds " \
      "in this process allow, whose verdict of a step is final")                                                    \
    F(name, moments, keep, 0, 0,                                                                                    \
      "keep|reset: Adam's moments at the passage from data to the world, and from a run that is started from "       \
      "(ours: papers do not say)")                                                                                  \
    F(int, evaluate_episodes, 10, 1, 10000, "episodes of the policy without noise at each look")

typedef struct mg_off_policy_config {
    int64_t offline_updates, steps;
    MG_CONFIG_STRUCT(MG_OFF_POLICY_FIELDS)
} mg_off_policy_config;

// What belongs to the networks and goes back with them. Plain bytes without padding, as is the next.
typedef struct mg_off_policy_learnt {
    int64_t online;   // 1: the passage to the world is behind, where the anchor was taken
    double  variable, m, v, t; // a dual variable or log temperature, with Adam's moments and count
} mg_off_policy_learnt;

// What a checkpoint keeps beside the networks.
typedef struct mg_off_policy_state {
    int64_t steps;    // made in the world
    int64_t updates;  // gradient steps, offline ones too: what draws are keyed by
    mg_off_policy_learnt learnt;
    mg_buffer_mark buffer; // at the checkpoint
} mg_off_policy_state;

// Sums since the block began, for its report.
typedef struct mg_off_policy_sums {
    double critic_loss, q, steps;            // over gradient steps
    double actor_loss, actor_steps;          // over those that moved the policy
    double data_distance;                    // of the policy from the batch's actions, over the same
    double distance, multiplier, bound;      // td3_c's
    double entropy, temperature;             // sac's
} mg_off_policy_sums;

typedef struct mg_off_policy mg_off_policy;
struct mg_off_policy {
    const mg_job        *job;
    mg_off_policy_config config;
    int64_t   observations, actions; // numbers of each
    bool      begun;                 // a policy was there before the run, or data come before the world
    mg_model *actor, *critic, *critic_target; // owned, as are the next
    mg_model *actor_target, *anchor;          // NULL: the algorithm has none
    mg_adamw  actor_opt, critic_opt;
    mg_mlp_layer *constant; // the critic's layers without gradients, for what only goes through it
    mg_off_policy_state      state;
    mg_off_policy_sums       sums;
    // One gradient step; state.updates is its number.
    mg_err (*step)(mg_off_policy *l);
    double noise; // deviation of what exploring adds to actions
};

// Opens actor, critics and targets: of job->model_folder with critic/ below, or new ones. head: the policy's.
// deterministic: it has a target too. anchored: and a copy as it was at the passage to the world.
// Errors: MG_CONFIG (no data where there must be; a world of choices; a policy of another algorithm, one without
// critics, data of other spaces), and those of loading.
mg_err mg_off_policy_open(mg_off_policy *l, const mg_job *job, const mg_off_policy_config *config,
                          mg_mlp_head head, bool deterministic, bool anchored) MG_MUST_USE;

// The parts of a step.
//
// A minibatch on the step arena, of data and buffer as replay_mode says; its observations are normalised.
mg_transitions mg_off_policy_draw(const mg_off_policy *l);
// q [n, 2] of a network of critics, which `a` [n, stride] joins to s by its first `actions` columns. Constants.
const float *mg_off_policy_values(const mg_off_policy *l, mg_model *critics, int64_t n, const float *s,
                                  const float *a, int64_t stride);
// y = r + gamma (1 - terminal) next: a truncated episode is bootstrapped
void mg_off_policy_target(const mg_transitions *b, double gamma, const double *next, float *y);
// sum_k mean_i (Q_k(s_i, a_i) - y_i)^2, one step of Adam. Error: MG_NUMERIC, before anything moves.
mg_err mg_off_policy_critic_step(mg_off_policy *l, const mg_transitions *b, const float *y) MG_MUST_USE;
// Q_1, or with `nets` 2 both, of (s, a's first columns) on the tape; gradients reach `a` and no critic.
mg_tensor *mg_off_policy_through(mg_off_policy *l, mg_tape *tape, const mg_transitions *b, mg_tensor *a,
                                 int64_t nets);
// The critic's layers without gradients, kept as it moves. Opened and closed with the learner.
void mg_off_policy_constant_open(mg_off_policy *l);
void mg_off_policy_constant_close(mg_off_policy *l);
// One step of Adam of the policy after its loss was looked at.
mg_err mg_off_policy_actor_step(mg_off_policy *l, double loss) MG_MUST_USE;
void   mg_off_policy_follow(mg_off_policy *l); // targets move by tau

// Adam (Kingma & Ba 2015, arXiv:1412.6980) of the one variable, down its gradient.
void mg_off_policy_variable_step(mg_off_policy_learnt *s, double gradient, double lr);

// Of algo.h's table all but what names an algorithm and opens it, for learners that begin with a mg_off_policy.
#define MG_OFF_POLICY_FUNCTIONS                                                                                     \
    .acts_in = MG_IN_VECTORS, .needs_world = true, .updates = mg_off_policy_updates,                                \
    .update = mg_off_policy_update, .steps_end = mg_off_policy_steps_end, .steps = mg_off_policy_steps,             \
    .act = mg_off_policy_act, .learn = mg_off_policy_learn, .stepping = mg_off_policy_stepping,                     \
    .parts = mg_off_policy_parts, .finish = mg_off_policy_finish, .close = mg_off_policy_close
int64_t     mg_off_policy_updates(const mg_learner *l);
int64_t     mg_off_policy_steps_end(const mg_learner *l, int64_t update);
int64_t     mg_off_policy_steps(const mg_learner *l);
mg_stepping mg_off_policy_stepping(mg_learner *l);
mg_err      mg_off_policy_act(mg_learner *l, const float *observation, bool explore, float *action) MG_MUST_USE;
mg_err      mg_off_policy_learn(mg_learner *l) MG_MUST_USE;
mg_err      mg_off_policy_update(mg_learner *l, int64_t update, mg_episode *episodes, int64_t n,
                                 mg_metrics *out) MG_MUST_USE;
int         mg_off_policy_parts(mg_learner *l, mg_part parts[MG_PARTS_MAX]);
mg_err      mg_off_policy_finish(mg_learner *l, const char *folder) MG_MUST_USE;
void        mg_off_policy_close(mg_learner *l);
#endif
