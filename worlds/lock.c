// lock.c - the state is the lock's combination and how far it was followed.
#include "worlds/lock.h"

#include <string.h>

#define NOISY 0.7

typedef struct state {
    int64_t steps; // of the lock
    int64_t heard, right; // symbols so far, at most steps; how many of them are right before a wrong one
    bool    live;  // between a reset and the closing action
    char    word[MG_LOCK_STEPS + 1]; // the combination
    char    said[MG_LOCK_STEPS + 1]; // a script's, until it is said
    char    seen[16];
} state;

void mg_lock_text(int64_t item, double p_right, mg_rng *rng, char out[MG_LOCK_STEPS + 1]) {
    mg_rng word = mg_rng_stream(0, MG_PURPOSE_WORLD, (uint64_t)item);
    memset(out, 0, MG_LOCK_STEPS + 1);
    for (int64_t h = 0; h <= item; h++) {
        int64_t k = (int64_t)mg_rng_below(&word, MG_LOCK_SYMBOLS);
        if (p_right < 1 && mg_rng_uniform(rng) >= p_right)
            k = (k + 1 + (int64_t)mg_rng_below(rng, MG_LOCK_SYMBOLS - 1)) % MG_LOCK_SYMBOLS;
        out[h] = (char)('a' + k);
    }
}

static void hear(state *s, const char *text, size_t size) {
    for (size_t i = 0; i < size && s->heard < s->steps; i++, s->heard++)
        s->right += s->right == s->heard && text[i] == s->word[s->heard];
}

static mg_value observe(const state *s) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = s->seen, .size = strlen(s->seen)};
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    int64_t item = options->item;
    if (item < -1 || item >= MG_LOCK_STEPS)
        return mg_fail(MG_CONFIG, "lock: item %lld, wanted 0 to %d or -1", (long long)item, MG_LOCK_STEPS - 1);
    if (item == -1) {
        mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
        item       = (int64_t)mg_rng_below(&rng, MG_LOCK_STEPS);
    }
    state *s = e->state;
    memset(s, 0, sizeof *s); // the padding too: equal states are equal bytes
    s->steps = item + 1;
    s->live  = true;
    mg_lock_text(item, 1, NULL, s->word);
    snprintf(s->seen, sizeof s->seen, "open %d", (int)s->steps);
    if (options->prefix) hear(s, options->prefix, options->prefix_size);
    *observation = observe(s);
    return MG_OK;
}

static double earned(const mg_lock_world *w, const state *s) {
    if (!w->outcome) return (double)s->right / (double)s->steps;
    if (s->right == s->steps) return 1;
    return s->heard > 0 && s->right == 0 ? w->decoy : 0;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    state *s = e->state;
    MG_ASSERT(action->kind == MG_SPACE_TEXT);
    if (!s->live) return mg_fail(MG_CONFIG, "lock: the episode is over, reset it first");
    hear(s, action->text, action->size);
    memset(s->said, 0, sizeof s->said);
    s->live = action->open;
    *out    = (mg_transition){.observation = observe(s), .terminated = !action->open,
                              .reward = mg_reward_of(action->open ? 0 : earned(e->world, s))};
    return MG_OK;
}

static int64_t items(const mg_env *e) { return (void)e, MG_LOCK_STEPS; }

// ---- scripts

static mg_err say(const mg_env *e, double p_right, mg_rng *rng, mg_value *action) {
    state *s = e->state;
    mg_lock_text(s->steps - 1, p_right, rng, s->said);
    *action = (mg_value){.kind = MG_SPACE_TEXT, .text = s->said, .size = strlen(s->said)};
    return MG_OK;
}

static mg_err oracle(const mg_env *e, mg_rng *rng, mg_value *action) { return say(e, 1, rng, action); }
static mg_err noisy(const mg_env *e, mg_rng *rng, mg_value *action) { return say(e, NOISY, rng, action); }

static const mg_script scripts[] = {
    {"oracle", "says the combination", oracle},
    {"noisy", "says each symbol right with chance .7", noisy},
    {0},
};

const mg_env_class mg_lock_class = {
    .name        = "lock",
    .summary     = "say a combination, symbol by symbol",
    .observation = {.kind = MG_SPACE_TEXT, .n = 16},
    .action      = {.kind = MG_SPACE_TEXT, .n = 4096},
    .state_size  = sizeof(state),
    .steps_max   = 4096, // a byte at a time, and as many that are not heard
    .reset       = reset,
    .step        = step,
    .resets      = true,
    .items       = items,
    .scripts     = scripts,
};
