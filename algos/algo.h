// algo.h - what every algorithm is to the loop that drives it.
//
// A learner owns its models and optimisers. The loop in train/ asks it for starts (on-policy
// learners), plays them, hands the episodes back, and keeps what the learner names in checkpoints.
// Data flow one way: starts -> episodes -> update -> metrics.
//
//   offline learners (sft, reward_model, dpo)     plan is NULL; update reads the job's data
//   on-policy learners (ppo, grpo, drpo)          plan, then update with the episodes
//   off-policy learners (td3, td3_bc, td3_c, sac) plan is NULL; { act, a step of the world, learn } until the block's
//                                                 steps are made, then update with the block's episodes
#ifndef MG_ALGOS_ALGO_H
#define MG_ALGOS_ALGO_H
#include "core/config.h"
#include "env/env.h"
#include "env/episode.h"
#include "env/pair.h"
#include "nets/folder.h"
#include "nets/generate.h"
#include "nets/optimiser.h"
#include "nets/prompt.h"

#define MG_METRICS_MAX 64
#define MG_PARTS_MAX   6

typedef struct mg_metrics { // of one update
    struct {
        const char *name; // static, such as "kl"
        double      value;
    } rows[MG_METRICS_MAX];
    int n;
} mg_metrics;

void mg_metrics_add(mg_metrics *m, const char *name, double value);

// The schedule of a config's word "linear|constant|cosine".
mg_schedule mg_schedule_named(const char *word);

// What a guard multiplies a policy's step size by, and how far it may move at once (train/guard.h).
typedef struct mg_easing {
    double step, bound;
} mg_easing;

// What a learner is given. All borrowed; outlives the learner.
typedef struct mg_job {
    uint64_t            seed;
    mg_team            *team;
    mg_compute          compute; // of every model that the learner opens
    mg_arena           *run;  // lifetime of the learner
    mg_arena           *step; // reset by the loop after each update
    const mg_tokenizer *tokenizer; // NULL, as all that concerns texts is zero: the world has vectors
    mg_prompt_rule      rule;
    int64_t             response_max; // tokens of an answer, its stop token included
    int64_t             context_max;  // tokens that the model reads in all; 0: not known, no limit
    const char         *model_folder;  // policy at the start, and the reference ("" for fresh)
    const char         *reward_folder; // reward model; "" : the environment's reward
    const mg_model_config *fresh;      // shape of a new model, when model_folder is ""
    const mg_env_class    *world;      // that policies act in; NULL: the algorithm needs none
    mg_mlp_shape           mlp;        // width, depth and tanh of a new perceptron; the rest follows from the world
    const struct mg_transitions *transitions; // of a logged data set, actions within [-1, 1]; NULL: none
    const char          *plant;        // how that set's plant differs from the run's, a sentence; NULL: as far as it
                                       // says of itself, it does not
    const mg_easing     *easing;       // may change between updates; NULL: none
    struct mg_replay    *replay;       // buffer of off-policy learners, filled by the loop; opened after the learner
    const mg_pair       *pairs;        // training rows; mg_pair_item says which of the world's items
    int64_t              n_pairs;
    int64_t              n_items;      // tasks of the world; 0: its seed decides
    const mg_pair       *held_pairs;   // validation rows, for held-out numbers; may be empty
    int64_t              n_held_pairs;
    const mg_preference *preferences;  // training rows
    int64_t              n_preferences;
    const mg_preference *held_preferences;
    int64_t              n_held_preferences;
} mg_job;

static inline double mg_job_step(const mg_job *job) { return job->easing ? job->easing->step : 1; }
static inline double mg_job_bound(const mg_job *job) { return job->easing ? job->easing->bound : 1; }

// Something a checkpoint keeps: a model and its optimiser.
typedef struct mg_part {
    const char *name;      // folder under the checkpoint; "" for the policy itself
    mg_model   *model;
    mg_adamw   *optimiser; // NULL: nothing trains it (a target that follows)
} mg_part;

typedef struct mg_learner mg_learner;

// How far a replay buffer was filled: rows ever added, and the head of their chain (store/replay.h).
typedef struct mg_buffer_mark {
    int64_t rows;
    uint8_t head[32];
} mg_buffer_mark;

// What the loop of single steps does for a learner, and keeps of it.
typedef struct mg_stepping {
    int64_t  replay;     // transitions that the buffer holds
    bool     at_once;    // they enter it behind their step, else behind their episode
    int64_t  looks;      // episodes of a look at the policy as it is at its best
    void    *state;      // what a checkpoint keeps beside the parts: plain bytes, read and written in place
    size_t   state_size;
    void    *learnt;     // in it: what belongs to the parts and goes back with them; the rest are counters, which go on
    size_t   learnt_size;
    mg_buffer_mark *buffer;  // in it; set by the loop before it is kept
    int64_t  block;      // steps of an update, but for the rest of an episode
    int64_t  gradient_steps; // made so far, which key the draws of batches
} mg_stepping;

// Worlds that an algorithm is for (spaces.h).
enum { MG_IN_TEXTS = 1, MG_IN_VECTORS = 2 };

typedef struct mg_algo {
    const char     *name, *summary, *citation;
    const mg_field *fields;      // its config section, named like the algorithm
    size_t          config_size; // bytes of the config struct
    bool            needs_pairs, needs_preferences, needs_world;
    bool            needs_resets; // into prefixes, or with data of several turns by snapshots
    bool            starts_fresh; // of texts: can do without a model, and makes one of the job's `fresh` shape. Of
                                  // vectors all can.
    unsigned        acts_in;      // MG_IN_TEXTS, MG_IN_VECTORS or both

    // On success *out is owned by the caller and ended by close. Errors: those of loading models
    // and of encoding data; MG_CONFIG for combinations that cannot work.
    mg_err (*open)(mg_learner **out, const mg_job *job, const void *config);

    int64_t (*updates)(const mg_learner *l); // how many the run has in all

    // The starts of this update's episodes, on job->step, and how to sample them.
    mg_err (*plan)(mg_learner *l, int64_t update, mg_start **starts, int64_t *n, mg_sampling *how);

    // One update; a pure function of (learner, update, episodes), so that a resumed run repeats it.
    // Episodes whose verdict is not CLEAN are left out by the loop before. The learner may fill
    // episode->learned. Errors: MG_NUMERIC (the sentence names the update).
    mg_err (*update)(mg_learner *l, int64_t update, mg_episode *episodes, int64_t n,
                     mg_metrics *out);

    // Off-policy learners; else all are NULL. An update is a block of single steps, each keyed by its number.
    //
    // steps_end: environment steps that are to be made in all when the update is over, in whole episodes; not more
    // than were made: none in this update.
    int64_t (*steps_end)(const mg_learner *l, int64_t update);
    int64_t (*steps)(const mg_learner *l); // made so far
    // An action in [-1, 1] for an observation as the world shows it. explore: as one learns; else the policy's best.
    // Error: MG_NUMERIC.
    mg_err (*act)(mg_learner *l, const float *observation, bool explore, float *action);
    // Behind every step of the world, whose transition may be in job->replay already. Error: MG_NUMERIC.
    mg_err (*learn)(mg_learner *l);
    mg_stepping (*stepping)(mg_learner *l);

    // Numbers on held-out data; NULL: none.
    mg_err (*evaluate)(mg_learner *l, mg_metrics *out);

    // What to keep; at most MG_PARTS_MAX. The policy comes first. on-policy: parts[0] is sampled.
    int  (*parts)(mg_learner *l, mg_part parts[MG_PARTS_MAX]);
    // Called after the parts were loaded or the run ended well: writes what is not a part into
    // `folder` (the reward model's JSON); NULL: nothing.
    mg_err (*finish)(mg_learner *l, const char *folder);
    void (*close)(mg_learner *l);
} mg_algo;

// NULL-terminated; the one list of algorithms.
extern const mg_algo *const mg_algos[];
const mg_algo *mg_algo_find(const char *name); // or NULL
// Their names for a sentence, "sft dpo ppo", cut at the size; fresh: of those that start fresh.
void mg_algo_names(bool fresh, char *out, size_t size);
#endif
