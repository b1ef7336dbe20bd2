// tokens.h - a text data set as tokens, encoded once.
#ifndef MG_ALGOS_TOKENS_H
#define MG_ALGOS_TOKENS_H
#include "algos/algo.h"
#include "nets/answers.h"

// prompt[i] and answer[i] of pair i. Rows that cannot be used are left out of `rows`.
//
// Of a pair of several turns the answer is everything behind the first observation: each turn's answer
// with its stop, then what was seen next, token for token as rollout/ builds it when it plays these
// texts. role tells the two apart.
typedef struct mg_pair_tokens {
    mg_prompt *prompts; // [n]
    mg_answer *answers; // [n] the answer to prompt i, prompt == i; n == 0 where dropped
    uint8_t  **role;    // [n][answers[i].n] MG_ROLE_POLICY or MG_ROLE_ENVIRONMENT; NULL where dropped
    int64_t   *first;   // [n] tokens of the first turn's answer, with its stop; 0 where dropped
    int64_t    n;
    int64_t   *rows;    // [n_rows] indices of usable pairs, ascending
    int64_t    n_rows;
    int64_t    cut;     // prompts and later observations cut to prompt_max
    int64_t    dropped; // observations too long (when not cut); answers longer than response_max, or
                        // with a stop token inside; turns that leave the context no room for an answer
} mg_pair_tokens;

// On the run arena. Errors: MG_CORRUPT (row number), MG_CONFIG when nothing is usable.
mg_err mg_pair_tokens_make(const mg_job *job, const mg_pair *pairs, int64_t n,
                           mg_pair_tokens *out) MG_MUST_USE;

// The world's item that row `row` of the job's pairs is a task of: the one it was made on, or `row`.
int64_t mg_pair_item(const mg_pair *pairs, int64_t row);
// Is there a pair of several turns among them?
bool mg_pairs_have_turns(const mg_pair *pairs, int64_t n);

// Two answers to one prompt: answers[2i] chosen, answers[2i + 1] rejected.
typedef struct mg_preference_tokens {
    mg_prompt *prompts; // [n]
    mg_answer *answers; // [2n]
    int64_t    n;       // usable rows, packed
    int64_t    cut, dropped;
} mg_preference_tokens;

mg_err mg_preference_tokens_make(const mg_job *job, const mg_preference *rows, int64_t n,
                                 mg_preference_tokens *out) MG_MUST_USE;

// The rows of update `update` when `batch` rows are taken at a time from a fresh shuffle per epoch
// (stream MG_PURPOSE_SHUFFLE, position = epoch): rows[0..batch) into out. n >= 1.
void mg_shuffled_rows(uint64_t seed, int64_t n, int64_t update, int64_t batch, mg_arena *scratch,
                      int64_t *out);
#endif
