// episodes.c - episodes as flat arrays.
#include "algos/episodes.h"

#include <string.h>

// The first observation is the prompt; the first action starts right after it.
static int64_t prompt_length(const mg_episode *e) {
    MG_ASSERT(e->n_turns >= 1 && e->turns[0].action_begin >= 1);
    return e->turns[0].action_begin;
}

static bool same_prompt(const mg_episode *a, const mg_episode *b) {
    const int64_t n = prompt_length(a);
    return a->start.group == b->start.group && n == prompt_length(b) &&
           memcmp(a->tokens, b->tokens, sizeof(int32_t) * (size_t)n) == 0;
}

void mg_episode_tokens_make(const mg_episode *episodes, int64_t n, mg_arena *arena,
                            mg_episode_tokens *out) {
    mg_prompt *prompts = MG_NEW(arena, mg_prompt, n);
    mg_answer *answers = MG_NEW(arena, mg_answer, n);
    int64_t    n_prompts = 0;
    *out        = (mg_episode_tokens){.n = n};
    out->offset = MG_NEW(arena, int64_t, n + 1);
    for (int64_t i = 0; i < n; i++) {
        const mg_episode *e = &episodes[i];
        const int64_t     p = prompt_length(e);
        MG_ASSERT(e->n_tokens > p);
        if (i == 0 || !same_prompt(&episodes[i - 1], e))
            prompts[n_prompts++] = (mg_prompt){e->tokens, p};
        answers[i] = (mg_answer){(int32_t)n_prompts - 1, e->tokens + p, e->n_tokens - p};
        out->offset[i + 1] = out->offset[i] + answers[i].n;
    }
    out->answers  = (mg_answers){prompts, n_prompts, answers, n};
    out->count    = out->offset[n];
    out->role     = MG_NEW(arena, uint8_t, out->count);
    out->logp_old = MG_NEW(arena, double, out->count);
    for (int64_t i = 0; i < n; i++) {
        const int64_t p = prompt_length(&episodes[i]);
        for (int64_t k = 0; k < answers[i].n; k++) {
            out->role[out->offset[i] + k]     = episodes[i].role[p + k];
            out->logp_old[out->offset[i] + k] = (double)episodes[i].logp[p + k];
        }
    }
}

double mg_episode_reward(const mg_episode *e) {
    double    value  = 0;
    mg_reward reward = e->learned.kind == MG_REWARD_VALUE ? e->learned : mg_episode_return(e);
    bool      given  = mg_reward_value(&reward, &value);
    MG_ASSERT(given);
    return value;
}
