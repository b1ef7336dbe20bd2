// job.h - the configuration of a run, and the data that it names.
#ifndef MG_TRAIN_JOB_H
#define MG_TRAIN_JOB_H
#include "algos/algo.h"
#include "harness/gate.h"
#include "store/store.h"
#include "train/guard.h"

#define MG_RUN_FIELDS(F)                                                                          \
    F(text, algo, "sft", 0, 0, "the algorithm, by its name in algos/algo.c")                       \
    F(text, out, "", 0, 0,                                                                         \
      "run folder to make, {world} and {seed} in its name standing for the run's; empty: runs/ALGO-SEED")         \
    F(int, seed, 1, 0, 4294967295, "every random draw follows from it")                           \
    F(text, model, "", 0, 0, "model or run to start from; empty: a new model as in network.*")    \
    F(text, reward_model, "", 0, 0, "reward model's folder or run; empty: the world's own reward") \
    F(text, data, "", 0, 0,                                                                        \
      "folder with train.jsonl and validation.jsonl (prompt, completion); for td3, td3_bc, td3_c and sac a file or "\
      "folder of logged transitions in D4RL's or Minari's layout; {world} and {seed} in its name as in that of out") \
    F(text, preferences, "", 0, 0,                                                                \
      "folder with train.jsonl and validation.jsonl (prompt, chosen, rejected)")                  \
    F(name, world, synopsis, 0, 0,                                                                \
      "synopsis|support-desk|cartpole|pendulum|hopper|half-cheetah|walker2d|ant|lock: where a policy acts") \
    F(name, compute, f32, 0, 0,                                                                   \
      "f32|bf16: what products round their factors to, in every model of the run; the rest is f32") \
    F(int, threads, 0, 0, 256, "worker threads; 0: as many as the process may use")               \
    F(text, template, "{prompt}\n", 0, 0, "how a prompt is put to the model")                     \
    F(int, prompt_max, 72, 0, 1000000, "tokens of a prompt; 0: what the model can read")          \
    F(flag, cut_prompts, true, 0, 0, "cut longer prompts at their end (counted); else drop them") \
    F(int, response_max, 24, 1, 100000, "tokens of an answer, its stop included")                 \
    F(int, checkpoint_every, 50, 1, 1000000, "updates between checkpoints")                       \
    F(int, checkpoints_kept, 2, 1, 1000, "older ones are removed")                                \
    F(int, evaluate_every, 100, 1, 1000000, "updates between looks at held-out data")             \
    F(name, record, full, 0, 0,                                                                   \
      "full|replayable: replayable keeps of an episode what plays it again, not what was seen")   \
    F(name, save_dtype, f32, 0, 0, "f32|bf16: numbers of the final model's file")

typedef struct mg_run_config {
    MG_CONFIG_STRUCT(MG_RUN_FIELDS)
} mg_run_config;

// Shape of a model made from nothing; the defaults are the one that the repository ships. The last three are a
// perceptron's, the others a language model's.
#define MG_NETWORK_FIELDS(F)                                                                      \
    F(name, family, llama, 0, 0, "llama|qwen2: shape and names of the weights")                   \
    F(name, tokenizer, gpt2, 0, 0, "gpt2|llama3|qwen2: how text is cut before merging")           \
    F(int, vocab, 2048, 257, 1000000, "tokens, learnt from the training data")                    \
    F(int, d_model, 192, 8, 65536, "width")                                                       \
    F(int, d_ff, 512, 8, 262144, "width of the feed-forward part")                                \
    F(int, layers, 4, 1, 512, "layers")                                                           \
    F(int, heads, 3, 1, 512, "attention heads")                                                   \
    F(int, kv_heads, 3, 1, 512, "heads of keys and values")                                       \
    F(int, context, 256, 8, 1048576, "positions")                                                 \
    F(real, rope_theta, 10000, 1, 1e12, "base of the rotary frequencies")                         \
    F(flag, tied, true, 0, 0, "output weights are the embedding")                                 \
    F(real, init_std, 0.02, 1e-6, 1, "deviation of the first weights")                            \
    F(int, width, 64, 1, 65536, "of a perceptron, in a world of vectors: numbers of a hidden layer") \
    F(int, depth, 2, 0, 64, "of a perceptron: hidden layers")                                     \
    F(name, activation, tanh, 0, 0, "tanh|relu: of a perceptron, between its layers")

typedef struct mg_network_config {
    MG_CONFIG_STRUCT(MG_NETWORK_FIELDS)
} mg_network_config;

// The environment that on-policy algorithms act in, where it is more than its name.
#define MG_ENVIRONMENT_FIELDS(F)                                                                  \
    F(text, command, "", 0, 0,                                                                    \
      "a process that is the environment, instead of a bundled world: docs/ENVIRONMENTS.md")      \
    F(int, timeout_ms, 10000, 1, 3600000, "for each call to that process")                        \
    F(int, start_timeout_ms, 30000, 1, 3600000, "for its first answer")                           \
    F(name, form, words, 0, 0, "words|tools: how actions are written, where a world has both")    \
    F(name, reward, graded, 0, 0,                                                                 \
      "graded|outcome|plain: outcome pays 1 where all of a task is done, else 0; plain is lock's, outcome "\
      "without a decoy")                                                                          \
    F(name, mutant, none, 0, 0,                                                                   \
      "none|stale_read|false_resolution|timeout_default|dirty_reset|reward_rounding|lying_status|traceback: "\
      "a bug put into the world on purpose, to measure what notices it")                          \
    F(real, mutant_rate, 1, 0, 1, "share of episodes that have it")                               \
    F(name, mutant_when, always, 0, 0,                                                            \
      "always|load|late: only where `load` is above 8, only after 200 episodes of an environment") \
    F(int, load, 0, 0, 1000000, "calls in flight beside the run's own that the world is told of") \
    F(name, version, v5, 0, 0, "v5|v4: which of Gymnasium's definitions a robot is")              \
    F(real, shift_mass, 1, 0.01, 100, "a plant of that many times the mass, inertia included")    \
    F(real, shift_friction, 1, 0.01, 100, "that many times the sliding friction")                 \
    F(real, shift_gravity, 1, 0.01, 100, "that many times the gravity")                           \
    F(int, action_delay, 0, 0, 16, "steps until an action acts; nothing acts before the first")

typedef struct mg_environment_config {
    MG_CONFIG_STRUCT(MG_ENVIRONMENT_FIELDS)
} mg_environment_config;

// What is shifted, as data sets say it (MG_LOGGED_PLANT of store/logged.h): "mass 1, friction 1, gravity 1, action
// delay 0". On the arena. And which definition of a robot it is; NULL: the world is no robot.
const char *mg_environment_plant(const mg_environment_config *e, mg_arena *arena);
const char *mg_environment_version(const mg_environment_config *e, const char *world);

// A resolved configuration: the sections "", "network", the algorithm's own, "environment", "gate", "guard".
enum { MG_SECTION_RUN, MG_SECTION_NETWORK, MG_SECTION_ALGO, MG_SECTION_ENVIRONMENT, MG_SECTION_GATE, MG_SECTION_GUARD,
       MG_SECTIONS };

typedef struct mg_settings {
    mg_run_config         run;
    mg_network_config     network;
    mg_environment_config environment;
    mg_gate_config        gate;
    mg_guard_config       guard;
    const mg_algo        *algo;
    void                 *algo_config;
    mg_section            sections[MG_SECTIONS];
} mg_settings;

extern const mg_field mg_run_fields[]; // of the section ""

typedef struct mg_override { // --key value
    const char *key, *value;
} mg_override;

// A finished run's folder means its model's, RUN/model; any other means itself. On the arena.
const char *mg_policy_folder(const char *run_or_model, mg_arena *arena);

// Defaults, then the file (NULL: none), then the overrides; models that are named by their runs are
// found. Strings live on the arena.
// Errors: MG_CONFIG, MG_IO.
mg_err mg_settings_read(mg_settings *out, const char *path, const mg_override *overrides, int n,
                        mg_arena *arena) MG_MUST_USE;
// The resolved settings' sections, as they are shown: where `world`, in which the run acts, is one of vectors, without
// the keys that mean nothing there and are as they are by default. NULL, where it is not known before it is made: all.
void mg_settings_shown(const mg_settings *s, const mg_env_class *world, mg_arena *arena, mg_section out[MG_SECTIONS]);
// The same as the text of a file that mg_settings_read takes back unchanged. Error: MG_NOMEM.
mg_err mg_settings_text(const mg_settings *s, const mg_env_class *world, mg_arena *arena,
                        const char **text) MG_MUST_USE;
// Are these the settings that a run was begun with, of which `path` holds the text, as it is shown for the world, or
// with all keys, as runs of older builds have it? What changes no weight may differ: out, threads, record, save_dtype,
// checkpoints_kept, how often is checkpointed and evaluated.
// Errors: MG_CONFIG, naming the line, what it says and what was wanted now; MG_IO, MG_LIMIT.
mg_err mg_settings_same(const mg_settings *s, const mg_env_class *world, const char *path,
                        mg_arena *arena) MG_MUST_USE;
// A folder that was named must be there. Error: MG_CONFIG, with the key.
mg_err mg_settings_folder(const char *key, const char *folder) MG_MUST_USE;
// What `record` says.
mg_record mg_record_named(const char *word);
// All keys of an algorithm with their defaults, for --help. algo NULL: the keys of every run.
void mg_settings_help(const mg_algo *algo, FILE *out, mg_arena *arena);

// Limits prompt_max, of which 0 means no limit, to what leaves room for an answer in the model's
// context. A prompt that is then too long is cut or dropped, and counted, like any other.
// Error: MG_CONFIG when there is no room for a prompt at all.
mg_err mg_prompt_fit(mg_prompt_rule *rule, int64_t response_max, int64_t context_max) MG_MUST_USE;

// Fills the job but for team, arenas, world and n_items, which the caller has set, in two steps. `world` may come
// between them: what it shows decides what the policy is, and some worlds are made of the data.
//
// mg_job_data reads what is to be learnt from. Errors name the file: MG_IO, MG_CORRUPT, MG_EMPTY, MG_CONFIG (data
// that the algorithm needs and has not).
// mg_job_policy reads what belongs to the policy. Of a language model (no world, or one of texts) that is a
// tokenizer, owned by the caller, which for a fresh model is trained here on the job's data. In a world of vectors
// there is none (NULL): a perceptron's folder is held against the world's spaces.
// Errors: MG_CONFIG (a key that does nothing in this kind of world, a model that does not fit it), MG_MISMATCH (model
// and tokenizer do not fit), those of reading.
mg_err mg_job_data(mg_job *job, const mg_settings *s) MG_MUST_USE;
mg_err mg_job_policy(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) MG_MUST_USE;
// Both.
mg_err mg_job_open(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) MG_MUST_USE;
#endif
