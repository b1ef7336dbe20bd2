// rollout.h - where a language-model policy meets a text world; where a perceptron meets one of vectors: vectors.h.
//
// All episodes of a call advance together: observations are encoded, answers are sampled in one
// batch, environments step, until every episode has ended or reached its limits. What goes wrong
// inside one episode is written into that episode's verdict and never becomes a reward; only what
// concerns all of them (no memory, a first prompt beyond the model's context) ends the call. An
// episode whose next answer no longer fits into the context is truncated.
//
// A start may lie behind whole turns of a demonstration (mg_start.demo). They are played on the
// environment, seeded as the demonstration was; neighbours of one group that start behind the same
// turns play them once and take over the state by snapshot and restore, where the world has these. The
// record has the played turns like any others, rewards included; their answers' tokens are forced, with
// log-probability 0. What they show must be what the demonstration says they showed.
#ifndef MG_ROLLOUT_ROLLOUT_H
#define MG_ROLLOUT_ROLLOUT_H
#include "env/env.h"
#include "env/episode.h"
#include "env/manifest.h"
#include "nets/generate.h"
#include "nets/prompt.h"
#include "rollout/pool.h"

#define MG_ROLLOUT_TURNS_MAX 64 // per episode; it is truncated there

typedef struct mg_rollout {
    mg_model           *model;
    const mg_tokenizer *tokenizer; // here and in the next two: of texts, but for the temperature (vectors.h)
    mg_prompt_rule      rule;     // how observations become tokens
    mg_sampling         sampling; // stop -1: sample new_max tokens, the text ends before the first
                                  // rule.stop all the same
    const mg_env_class *class;
    const void         *world;
    mg_team            *team;
    uint64_t            seed;
    // Which verdicts can be given, and where environments live.
    const mg_manifest  *manifest;     // pinned; NULL: the environment promises nothing
    double              replay_share; // of the episodes that nothing is suspected of, played again (collect.h)
    bool                wants_reward; // an episode without a number of the environment's own is a failure
    mg_env_pool            *pool;         // NULL: environments live for one call
    const mg_script    *script;       // the policy instead of a model (scripted.h); NULL: the model
} mg_rollout;

// Plays n episodes from their starts, with draws of stream (seed, MG_PURPOSE_SAMPLE, draws).
// Episodes and what they point to live on `arena`; scratch is reset to its mark on return.
// cut_prompts (may be NULL) counts observations that were cut to rule.prompt_max.
mg_err mg_rollout_run(const mg_rollout *r, const mg_start *starts, int64_t n,
                      int64_t policy_version, uint64_t draws, mg_arena *arena, mg_arena *scratch,
                      mg_episode *episodes, int64_t *cut_prompts) MG_MUST_USE;

// DR-PO's reset check: the environment's digest after reset(item, prefix) equals the digest after
// reset(item) and playing the prefix. Error: MG_UNSUPPORTED when the world has no resets,
// MG_MISMATCH when they differ (which item, how long a prefix).
mg_err mg_rollout_check_reset(const mg_env_class *class, const void *world, int64_t item,
                              const char *prefix, size_t prefix_size) MG_MUST_USE;

// The same for starts behind turns: digest and observation after restoring a snapshot into a fresh
// environment equal those after playing the demonstration's first `turns` on it. Errors: MG_UNSUPPORTED
// when the world has no snapshots, MG_MISMATCH when they differ, or when the episode ends on the way.
mg_err mg_rollout_check_snapshot(const mg_env_class *class, const void *world, int64_t item,
                                 const mg_pair *demo, int64_t turns) MG_MUST_USE;
#endif
