// prompt.c - template, text and stop token put together.
#include "nets/prompt.h"

#include <string.h>

#define SLOT "{prompt}"

mg_err mg_prompt_rule_check(const mg_prompt_rule *rule) {
    const char *slot = strstr(rule->template, SLOT);
    if (!slot || strstr(slot + 1, SLOT))
        return mg_fail(MG_CONFIG, "template: found '%s', wanted '" SLOT "' in it exactly once",
                       rule->template);
    return MG_OK;
}

mg_err mg_prompt_encode(const mg_tokenizer *tok, const mg_prompt_rule *rule, const char *text,
                        size_t size, mg_arena *arena, int32_t **ids, int64_t *n, bool *was_cut) {
    const char *slot = strstr(rule->template, SLOT);
    MG_ASSERT(slot); // mg_prompt_rule_check
    const char *after = slot + strlen(SLOT);
    int32_t    *head, *body, *tail;
    int64_t     n_head, n_body, n_tail;

    // The three parts are encoded each on its own, so that cutting the text moves no other token.
    mg_err err = mg_tokenizer_encode(tok, rule->template, (size_t)(slot - rule->template),
                                     !rule->continued, arena, &head, &n_head);
    if (!err) err = mg_tokenizer_encode_plain(tok, text, size, rule->stop, arena, &body, &n_body);
    if (!err) err = mg_tokenizer_encode(tok, after, strlen(after), false, arena, &tail, &n_tail);
    if (err) return err;

    const int64_t room = rule->prompt_max - n_head - n_tail;
    const bool    cut  = rule->prompt_max > 0 && n_body > room;
    if (cut && (!rule->cut || room < 0))
        return mg_fail(MG_LIMIT, "a prompt of %lld tokens is longer than prompt_max %lld",
                       (long long)(n_head + n_body + n_tail), (long long)rule->prompt_max);
    if (cut) n_body = room;

    int32_t *out = MG_NEW(arena, int32_t, n_head + n_body + n_tail);
    memcpy(out, head, sizeof *out * (size_t)n_head);
    memcpy(out + n_head, body, sizeof *out * (size_t)n_body);
    memcpy(out + n_head + n_body, tail, sizeof *out * (size_t)n_tail);
    if (n_head + n_body + n_tail == 0) return mg_fail(MG_EMPTY, "a prompt without a token");
    *ids = out;
    *n   = n_head + n_body + n_tail;
    if (was_cut) *was_cut = cut;
    return MG_OK;
}

mg_err mg_answer_encode(const mg_tokenizer *tok, const mg_prompt_rule *rule, const char *text,
                        size_t size, mg_arena *arena, int32_t **ids, int64_t *n) {
    int32_t *body;
    int64_t  n_body;
    mg_err   err = mg_tokenizer_encode_plain(tok, text, size, rule->stop, arena, &body, &n_body);
    if (err) return err;
    int32_t *out = MG_NEW(arena, int32_t, n_body + 1);
    memcpy(out, body, sizeof *out * (size_t)n_body);
    out[n_body] = rule->stop;
    *ids        = out;
    *n          = n_body + 1;
    return MG_OK;
}
