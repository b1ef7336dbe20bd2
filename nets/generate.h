// generate.h - sampling from a language model with a cache of keys and values.
//
// Prompts are read once however many samples they get, and not at all when they get none; a forced
// prefix (a reset into reference data) is read as a continuation of its prompt, so a reset costs
// one prefill of the prefix. All sequences advance together, one token each per step; those that
// are done leave. Each draw's counter is (episode, attempt, index in the answer), so a sample does
// not depend on its neighbours in the batch.
//
// Of softmax(z / temperature) the top_k likeliest tokens are kept (Fan, Lewis & Dauphin 2018,
// arXiv:1805.04833); of these, renormalised, the fewest whose mass reaches top_p (Holtzman et al.
// 2020, arXiv:1904.09751). Of equally likely tokens the one with the lower id goes first.
#ifndef MG_NETS_GENERATE_H
#define MG_NETS_GENERATE_H
#include "core/rng.h"
#include "nets/model.h"

typedef struct mg_sampling {
    double  temperature; // 0: the likeliest token; logp is then that of temperature 1. Else at
                         // least 1e-3
    int64_t top_k;       // 0: off
    double  top_p;       // 1: off
    int64_t new_max;     // tokens after the prompt, forced prefix included; >= 1
    int32_t stop;        // the id that ends a sample (kept as its last token); -1: none
} mg_sampling;

typedef struct mg_prompt {
    const int32_t *tokens; // [n], n >= 1
    int64_t        n;
} mg_prompt;

typedef struct mg_sample {
    // asked
    int32_t        prompt;   // index into the prompts
    const int32_t *forced;   // [n_forced] tokens put in the sample's mouth; NULL when 0
    int64_t        n_forced;
    uint32_t       episode, attempt; // the draws' coordinates
    // answered
    int32_t *tokens;  // [n], forced ones first; on the arena
    float   *logp;    // [n] under softmax(z / temperature) before top-k, top-p; forced tokens too
    int64_t  n;
    bool     stopped; // the last token is `stop`
} mg_sample;

// Fills the answers. `draws` is a stream of purpose MG_PURPOSE_SAMPLE whose id names the update.
// scratch is reset to its mark on return; answers live on `arena`, and mean nothing after an error.
// Errors: MG_LIMIT when prompt + new_max exceeds the model's positions (which prompt, how long) or
// a forced prefix exceeds new_max; MG_CONFIG for a temperature between 0 and 1e-3; MG_NUMERIC when
// logits are not finite.
mg_err mg_generate(mg_model *m, mg_team *team, const mg_prompt *prompts, int64_t n_prompts,
                   mg_sample *samples, int64_t n_samples, const mg_sampling *how, mg_rng draws,
                   mg_arena *arena, mg_arena *scratch) MG_MUST_USE;
#endif
