// reward_model.h - a learned reward: a scalar-head model, read over prompt and answer.
//
// The folder holds a model with a scalar head and reward_model.json:
//   {"pool": "last" | "mean", "centre": c, "scale": s}
// last: the score at the answer's last token (its end-of-text token); mean: the mean of the scores
// at the answer's tokens. reward = (raw - centre) / scale. The model sees the description and the
// candidate, nothing else.
#ifndef MG_REWARDS_REWARD_MODEL_H
#define MG_REWARDS_REWARD_MODEL_H
#include "nets/answers.h"
#include "nets/folder.h"
#include "nets/prompt.h"

typedef enum mg_pool { MG_POOL_LAST, MG_POOL_MEAN } mg_pool;

typedef struct mg_reward_model {
    mg_model *model; // owned
    mg_pool   pool;
    double    centre, scale;
} mg_reward_model;

// Errors: those of mg_model_load; MG_MISMATCH when it has no scalar head; MG_CORRUPT for the JSON.
mg_err mg_reward_model_load(mg_reward_model *out, const char *folder) MG_MUST_USE;
void   mg_reward_model_release(mg_reward_model *r);

// Saves model and reward_model.json, each atomically; carried files come from `origin`.
mg_err mg_reward_model_save(const mg_reward_model *r, const char *folder, mg_file_dtype dtype,
                            const char *origin) MG_MUST_USE;

// d loss / d score of each answer spread over its tokens' scores, and back: the pooling and its
// transpose. offsets are implied by the answers.
void mg_pool_forward(mg_pool pool, const mg_answers *a, const float *token_scores, double *scores);
void mg_pool_backward(mg_pool pool, const mg_answers *a, const double *dscores,
                      float *dtoken_scores); // adds

// reward [n_answers], centred and scaled, `batch` answers a pass. scratch is reset to its mark.
// Errors: MG_LIMIT, MG_NUMERIC (which answer).
mg_err mg_reward_model_score(mg_reward_model *r, mg_team *team, const mg_answers *a, int64_t batch,
                             mg_arena *scratch, double *reward) MG_MUST_USE;
#endif
