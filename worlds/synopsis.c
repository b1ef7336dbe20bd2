// synopsis.c - the state is the pair's number and the answer so far.
#include "worlds/synopsis.h"

#include <string.h>

#include "core/rng.h"

typedef struct state {
    int64_t item;
    int64_t size; // of the answer; the bytes behind it are 0, so equal states are equal bytes
    bool    live; // between a reset and the closing action
    char    answer[MG_SYNOPSIS_ANSWER_MAX];
} state;

static mg_err append(state *s, const char *text, size_t size) {
    const size_t room = MG_SYNOPSIS_ANSWER_MAX - (size_t)s->size;
    if (size > room)
        return mg_fail(MG_LIMIT, "synopsis: item %lld: an answer of %zu bytes, at most %d are "
                                 "taken",
                       (long long)s->item, (size_t)s->size + size, MG_SYNOPSIS_ANSWER_MAX);
    if (size > 0) memcpy(s->answer + s->size, text, size);
    s->size += (int64_t)size;
    return MG_OK;
}

static mg_value observe(const char *prompt) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = prompt, .size = strlen(prompt)};
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    const mg_synopsis_world *w = e->world;
    if (w->n == 0) return mg_fail(MG_EMPTY, "synopsis: the world has no pairs");
    int64_t item = options->item;
    if (item < -1 || item >= w->n)
        return mg_fail(MG_CONFIG, "synopsis: item %lld, wanted 0 to %lld or -1", (long long)item,
                       (long long)w->n - 1);
    if (item == -1) {
        mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
        item       = (int64_t)mg_rng_below(&rng, (uint64_t)w->n);
    }
    const mg_value prompt = observe(w->pairs[item].prompt);
    if (prompt.size > MG_SYNOPSIS_PROMPT_MAX)
        return mg_fail(MG_LIMIT, "synopsis: item %lld: a prompt of %zu bytes, at most %d are taken",
                       (long long)item, prompt.size, MG_SYNOPSIS_PROMPT_MAX);

    state *s = e->state;
    memset(s, 0, sizeof *s); // the padding too
    s->item  = item;
    s->live  = true;
    mg_err err = append(s, options->prefix, options->prefix ? options->prefix_size : 0);
    if (err) return err;
    *observation = prompt;
    return MG_OK;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    const mg_synopsis_world *w = e->world;
    state                   *s = e->state;
    MG_ASSERT(action->kind == MG_SPACE_TEXT);
    if (!s->live) return mg_fail(MG_CONFIG, "synopsis: the episode is over, reset it first");
    mg_err err = append(s, action->text, action->size);
    if (err) return err;

    const char *prompt = w->pairs[s->item].prompt;
    *out = (mg_transition){.observation = observe(prompt), .reward = mg_reward_of(0)};
    if (action->open) return MG_OK;
    s->live         = false;
    out->terminated = true;
    out->reward     = w->reward ? w->reward(w->context, prompt, s->answer, (size_t)s->size)
                                : mg_reward_absent("no reward function");
    return MG_OK;
}

static int64_t items(const mg_env *e) { return ((const mg_synopsis_world *)e->world)->n; }

const mg_env_class mg_synopsis_class = {
    .name        = "synopsis",
    .summary     = "write the one-line synopsis of a package from its description",
    .observation = {.kind = MG_SPACE_TEXT, .n = MG_SYNOPSIS_PROMPT_MAX},
    .action      = {.kind = MG_SPACE_TEXT, .n = MG_SYNOPSIS_ANSWER_MAX},
    .state_size  = sizeof(state),
    .steps_max   = MG_SYNOPSIS_ANSWER_MAX, // one byte at a time
    .reset       = reset,
    .step        = step,
    .resets      = true,
    .items       = items,
};
