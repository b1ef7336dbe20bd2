// answers.h - one forward pass over prompts and their answers, each prompt read once.
//
// This is how a loss, a reference policy, a reward model and a critic look at text: flat numbers
// per answer token. Answers that share a prompt name it by the same index, so the prompt is
// computed once, forward and backward (batch.h).
#ifndef MG_NETS_ANSWERS_H
#define MG_NETS_ANSWERS_H
#include "nets/generate.h"

typedef struct mg_answer {
    int32_t        prompt; // index into the prompts
    const int32_t *tokens; // [n], n >= 1
    int64_t        n;
} mg_answer;

typedef struct mg_answers {
    const mg_prompt *prompts;
    int64_t          n_prompts;
    const mg_answer *answers;
    int64_t          n_answers;
} mg_answers;

// Answers begin .. end-1 of `a`, borrowed.
static inline mg_answers mg_answers_view(const mg_answers *a, int64_t begin, int64_t end) {
    return (mg_answers){a->prompts, a->n_prompts, a->answers + begin, end - begin};
}

// Where a portion of the batch ends that begins with answer `begin`: the answers through which one pass
// forward and backward goes before the next begins. What is summed over a batch is so summed in an order
// that the answers alone decide. A portion is closed once it has MG_PORTION_TOKENS tokens, prompts
// included; between answers to one prompt only with twice as many, so that a prompt is seldom read a
// second time. It takes whole steps of `step` answers (2: pairs), at least one, and none behind `end`.
enum { MG_PORTION_TOKENS = 1024 };
int64_t mg_answers_portion(const mg_answers *a, int64_t begin, int64_t end, int64_t step);

// Number of answer tokens; results are flat arrays of that many rows, answer after answer.
int64_t mg_answers_count(const mg_answers *a);

// log pi(token_t | prompt, tokens before t) at `temperature`. entropy [count] or NULL.
// Errors here and below: MG_LIMIT (context).
mg_err mg_answers_logp(mg_tape *t, mg_model *m, const mg_answers *a, double temperature,
                       mg_tensor **logp, float *entropy) MG_MUST_USE;

// The scalar head before token t was chosen (a critic's V of the state in which t is the action).
mg_err mg_answers_values(mg_tape *t, mg_model *m, const mg_answers *a,
                         mg_tensor **values) MG_MUST_USE;

// The same two without gradients, `batch` answers a pass, into a flat array [count]. scratch is
// reset to its mark on return.
mg_err mg_answers_read_logp(mg_model *m, mg_team *team, const mg_answers *a, double temperature,
                            int64_t batch, mg_arena *scratch, float *logp) MG_MUST_USE;
mg_err mg_answers_read_values(mg_model *m, mg_team *team, const mg_answers *a, int64_t batch,
                              mg_arena *scratch, float *values) MG_MUST_USE;

// The scalar head at token t itself, having read it (a reward model's score so far).
mg_err mg_answers_scores(mg_tape *t, mg_model *m, const mg_answers *a,
                         mg_tensor **scores) MG_MUST_USE;
#endif
