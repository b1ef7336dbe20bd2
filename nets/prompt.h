// prompt.h - how text becomes the tokens that a network reads, the same way everywhere.
//
// A template such as "{prompt}\n" wraps the text; the answer is encoded on its own and ends with
// the model's end-of-text token, so the seam between them never depends on either side. A prompt
// longer than prompt_max is cut at its end or refused, as the caller says; it is always counted.
// The template is the user's own, and a special token that it spells out is one. The text comes from
// data or an environment: a special token or the stop that it spells out stays text.
#ifndef MG_NETS_PROMPT_H
#define MG_NETS_PROMPT_H
#include "nets/tokenizer.h"

typedef struct mg_prompt_rule {
    const char *template;   // contains "{prompt}" once
    int64_t     prompt_max; // tokens; 0: only the model's context limits
    bool        cut;        // true: keep the first prompt_max tokens of the text, then the rest of
                            // the template; false: too long is MG_LIMIT
    int32_t     stop;       // end-of-text id, appended to answers
    bool        continued;  // this text goes on after others: nothing stands before its template,
                            // such as the begin-of-text token of Llama 3
} mg_prompt_rule;

// Error: MG_CONFIG when the template does not hold "{prompt}" exactly once.
mg_err mg_prompt_rule_check(const mg_prompt_rule *rule) MG_MUST_USE;

// was_cut (may be NULL): the text did not fit. Errors: MG_LIMIT, MG_EMPTY, MG_CORRUPT (not UTF-8).
mg_err mg_prompt_encode(const mg_tokenizer *tok, const mg_prompt_rule *rule, const char *text,
                        size_t size, mg_arena *arena, int32_t **ids, int64_t *n,
                        bool *was_cut) MG_MUST_USE;

// The answer's tokens and the stop token.
mg_err mg_answer_encode(const mg_tokenizer *tok, const mg_prompt_rule *rule, const char *text,
                        size_t size, mg_arena *arena, int32_t **ids, int64_t *n) MG_MUST_USE;
#endif
