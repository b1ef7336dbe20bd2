// evaluate.h - policies judged on held-out tasks, each on the same ones, so that they can be compared
// pair by pair.
#ifndef MG_TRAIN_EVALUATE_H
#define MG_TRAIN_EVALUATE_H
#include <stdatomic.h>

#include "env/pair.h"
#include "rewards/reward_model.h"
#include "rollout/rollout.h"

// What judges: all but world and rows may be absent.
typedef struct mg_judge {
    const mg_env_class *class;      // world over `rows`; its reward is the first judge (gold)
    const void         *world;
    const mg_pair      *rows;       // [n] held-out prompts with their human answers
    int64_t             n;
    const mg_tokenizer *tokenizer;
    mg_prompt_rule      rule;
    int64_t             response_max;
    double              temperature; // of sampling; 0: greedy
    mg_reward_model    *reward;      // learned reward; NULL: none
    mg_model           *reference;   // KL is measured to this; NULL: none
    mg_team            *team;
    uint64_t            seed;
    int64_t             batch;       // answers at a time, at least 1
    const atomic_int *stop;          // non-zero: somebody asks to stop; or NULL
} mg_judge;

// One answer, judged. NAN where there is no such judge.
typedef struct mg_judged {
    bool        clean;   // false: nothing else says anything, and the numbers are NAN
    const char *text;    // to show: a 0 byte ends it
    double      gold;    // the world's reward
    double      reward;  // the reward model's
    double      kl;      // sum of log pi - log pi_ref over the answer, under pi's own sample; both
                         // at the temperature of sampling, or 1 where it is greedy
    double      rouge_l; // F against the human answer
    int64_t     length;  // tokens, stop included
    bool        stopped;
} mg_judged;

// judged [n] in row order; texts live on `arena`. *unclean counts episodes whose verdict is not
// CLEAN. tokens (may be NULL): answer tokens sampled. Errors: those of sampling and scoring;
// MG_INTERRUPTED.
mg_err mg_judge_policy(const mg_judge *j, mg_model *policy, mg_arena *arena, mg_arena *scratch,
                       mg_judged *judged, int64_t *unclean, double *tokens) MG_MUST_USE;

// The human answers themselves, through the same judges. A row that the world or the tokenizer does
// not take is not clean; a text that is too long for the reward model has no such reward.
mg_err mg_judge_humans(const mg_judge *j, mg_arena *arena, mg_arena *scratch,
                       mg_judged *judged) MG_MUST_USE;

// Mean over rows of one column, NAN rows left out, with a bootstrap interval at 1 - alpha; NAN when
// fewer than two rows are left.
typedef struct mg_mean {
    double  mean, low, high;
    int64_t n;
} mg_mean;
mg_err mg_judged_mean(const double *column, int64_t n, double alpha, uint64_t seed,
                      mg_arena *scratch, mg_mean *out) MG_MUST_USE;

// How often a beats b by gold, a tie counting one half; anytime-valid interval at 1 - alpha over the
// rows in order. decided: the wealth against "win rate = 1/2" reached 1/alpha behind the `at`-th
// duel, betting on the side that a_wins names. Rows where either has no gold are left out.
typedef struct mg_duel {
    double  rate, low, high;
    int64_t n, ties;
    bool    decided, a_wins;
    int64_t at;
} mg_duel;
mg_duel mg_judged_duel(const mg_judged *a, const mg_judged *b, int64_t n, double alpha);
#endif
