// rollout.c - the episode loop for language-model policies on text worlds.
#include "rollout/rollout.h"

#include <string.h>

// An episode under way.
typedef struct player {
    mg_env      env;
    mg_episode *episode;
    mg_turn     turns[MG_ROLLOUT_TURNS_MAX + 1]; // and what is seen behind the last
    int32_t    *context;   // everything read and said so far
    uint8_t    *role;
    float      *logp;
    int64_t     n, room;
    bool        done;
} player;

// What goes wrong in one episode is kept in its verdict; it is never trained on.
static void quarantine(player *p, const char *code, const char *sentence) {
    p->episode->verdict = MG_QUARANTINED;
    p->episode->code    = code;
    snprintf(p->episode->detail, sizeof p->episode->detail, "%s", sentence ? sentence : "");
    p->done = true;
}

static void append(player *p, mg_arena *arena, const int32_t *ids, const float *logp, int64_t n,
                   mg_role role) {
    if (p->n + n > p->room) {
        const int64_t room = 2 * (p->n + n);
        int32_t *context = MG_NEW(arena, int32_t, room);
        uint8_t *roles   = MG_NEW(arena, uint8_t, room);
        float   *logps   = MG_NEW(arena, float, room);
        if (p->n > 0) {
            memcpy(context, p->context, sizeof *context * (size_t)p->n);
            memcpy(roles, p->role, (size_t)p->n);
            memcpy(logps, p->logp, sizeof *logps * (size_t)p->n);
        }
        p->context = context, p->role = roles, p->logp = logps, p->room = room;
    }
    memcpy(p->context + p->n, ids, sizeof *ids * (size_t)n);
    memset(p->role + p->n, (int)role, (size_t)n);
    if (logp) memcpy(p->logp + p->n, logp, sizeof *logp * (size_t)n);
    p->n += n;
}

static void *keep(mg_arena *arena, const void *data, size_t size) {
    void *copy = mg_arena_alloc_raw(arena, size + 1);
    if (size > 0) memcpy(copy, data, size);
    ((char *)copy)[size] = 0;
    return copy;
}

// The bytes of the ids. A model may have more rows than the tokenizer has tokens; such an id, which
// only the model can be blamed for, says nothing.
static mg_err text_of(const mg_rollout *r, const int32_t *ids, int64_t n, mg_arena *arena,
                      char **text, size_t *size) {
    int32_t *known   = MG_NEW(arena, int32_t, n);
    int64_t  n_known = 0;
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < mg_tokenizer_vocab_size(r->tokenizer)) known[n_known++] = ids[i];
    return mg_tokenizer_decode(r->tokenizer, known, n_known, true, arena, text, size);
}

// Reads an observation: its text into the record, its tokens into the context. An episode that has
// no room for another answer is truncated.
static mg_err observe(const mg_rollout *r, player *p, const mg_value *seen, mg_arena *arena,
                      int64_t *cut_prompts) {
    mg_turn       *turn = &p->turns[p->episode->n_turns];
    const bool     more = p->episode->n_turns > 0;
    mg_prompt_rule rule = r->rule;
    int32_t       *ids;
    int64_t        n;
    bool           cut = false;
    rule.continued = more;
    *turn = (mg_turn){.observation = keep(arena, seen->text, seen->size),
                      .observation_size = seen->size};
    mg_err err =
        mg_prompt_encode(r->tokenizer, &rule, turn->observation, seen->size, arena, &ids, &n, &cut);
    if (err == MG_CORRUPT || err == MG_LIMIT || err == MG_EMPTY) {
        quarantine(p, "E.observation", mg_err_detail());
        return MG_OK;
    }
    if (err) return err;
    if (cut_prompts) *cut_prompts += cut;
    // A first observation beyond the context is left to mg_generate, which ends the call.
    const int64_t room = r->model->config.context_max - p->n - n;
    if (more && room < r->sampling.new_max) p->episode->truncated = true;
    if (more && room < 0) return MG_OK;
    append(p, arena, ids, NULL, n, MG_ROLE_ENVIRONMENT);
    return MG_OK;
}

static mg_err start(const mg_rollout *r, player *p, const mg_start *s, int64_t policy_version,
                    mg_arena *arena, int64_t *cut_prompts) {
    mg_value         seen;
    mg_reset_options options = {.item = s->item};
    char            *prefix;
    p->env            = (mg_env){r->class, r->world, mg_arena_alloc(arena, r->class->state_size)};
    p->episode->start = *s;
    p->episode->policy_version = policy_version;
    // The world's own draws: keyed like everything else by what the episode is.
    mg_rng rng = mg_rng_stream(r->seed, MG_PURPOSE_WORLD, (uint64_t)policy_version);
    mg_rng_seek(&rng, s->episode, s->attempt, 0);
    p->episode->seed = (uint64_t)mg_rng_u32(&rng) << 32 | mg_rng_u32(&rng);

    if (s->n_prefix > 0) {
        mg_err err = text_of(r, s->prefix, s->n_prefix, arena, &prefix, &options.prefix_size);
        if (err) return err;
        options.prefix = prefix;
    }
    if (r->class->reset(&p->env, p->episode->seed, &options, 0, &seen)) {
        quarantine(p, "E.reset", mg_err_detail());
        return MG_OK;
    }
    return observe(r, p, &seen, arena, cut_prompts);
}

// The answer's text: its tokens up to the first stop, of which the first *forced bytes were forced.
static mg_err answer_text(const mg_rollout *r, const mg_sample *s, mg_arena *arena, mg_turn *turn,
                          size_t *forced, bool *stopped) {
    char   *text, *prefix;
    int64_t n = 0;
    while (n < s->n && s->tokens[n] != r->rule.stop) n++;
    mg_err err = text_of(r, s->tokens, n, arena, &text, &turn->action_size);
    if (!err)
        err = text_of(r, s->tokens, s->n_forced < n ? s->n_forced : n, arena, &prefix, forced);
    if (err) return err;
    turn->action = text;
    *stopped     = n < s->n;
    return MG_OK;
}

static mg_err act(const mg_rollout *r, player *p, const mg_sample *s, mg_arena *arena,
                  int64_t *cut_prompts) {
    mg_episode   *e    = p->episode;
    mg_turn      *turn = &p->turns[e->n_turns];
    mg_transition next = {0};
    size_t        forced;
    mg_err        err = answer_text(r, s, arena, turn, &forced, &e->stopped);
    if (err) return err;
    turn->action_begin = p->n;
    append(p, arena, s->tokens, s->logp, s->n_forced, MG_ROLE_FORCED);
    append(p, arena, s->tokens + s->n_forced, s->logp + s->n_forced, s->n - s->n_forced,
           MG_ROLE_POLICY);
    turn->action_end = p->n;
    e->n_turns++;

    // The environment was put into the prefix's state by reset; it is told what came after.
    const mg_value action = {.kind = MG_SPACE_TEXT, .text = turn->action + forced,
                             .size = turn->action_size - forced};
    if (r->class->step(&p->env, &action, 0, &next)) {
        quarantine(p, "E.step", mg_err_detail());
        return MG_OK;
    }
    turn->reward  = next.reward;
    e->terminated = next.terminated;
    e->truncated  = next.truncated ||
                   (!next.terminated &&
                    (e->n_turns == MG_ROLLOUT_TURNS_MAX || e->n_turns == r->class->steps_max));
    if (turn->reward.kind == MG_REWARD_INVALID) quarantine(p, "V.invalid", turn->reward.reason);
    // The state in which watching stops is read too: a critic may be asked for its value.
    if (!p->done && !e->terminated) err = observe(r, p, &next.observation, arena, cut_prompts);
    if (e->terminated || e->truncated) p->done = true;
    return err;
}

static void finish(player *p, mg_arena *arena) {
    mg_episode *e = p->episode;
    e->tokens = p->context, e->role = p->role, e->logp = p->logp, e->n_tokens = p->n;
    e->turns  = keep(arena, p->turns, sizeof *e->turns * (size_t)e->n_turns);
}

mg_err mg_rollout_run(const mg_rollout *r, const mg_start *starts, int64_t n,
                      int64_t policy_version, uint64_t draws, mg_arena *arena, mg_arena *scratch,
                      mg_episode *episodes, int64_t *cut_prompts) {
    MG_ASSERT(r->class->observation.kind == MG_SPACE_TEXT &&
              r->class->action.kind == MG_SPACE_TEXT);
    player    *players = MG_NEW(arena, player, n);
    mg_prompt *prompts = MG_NEW(arena, mg_prompt, n);
    mg_sample *samples = MG_NEW(arena, mg_sample, n);
    int64_t   *who     = MG_NEW(arena, int64_t, n);
    mg_err     err     = MG_OK;
    if (cut_prompts) *cut_prompts = 0;
    for (int64_t i = 0; i < n && !err; i++) {
        episodes[i]        = (mg_episode){.verdict = MG_CLEAN};
        players[i].episode = &episodes[i];
        err = start(r, &players[i], &starts[i], policy_version, arena, cut_prompts);
    }

    for (int64_t turn = 0; !err; turn++) {
        int64_t live = 0, n_prompts = 0;
        for (int64_t i = 0; i < n; i++) {
            const player *p = &players[i];
            if (p->done) continue;
            // Neighbours of one group that have read the same share the prompt.
            const player *before = live > 0 ? &players[who[live - 1]] : NULL;
            if (!before || before->episode->start.group != p->episode->start.group ||
                before->n != p->n ||
                memcmp(before->context, p->context, sizeof(int32_t) * (size_t)p->n))
                prompts[n_prompts++] = (mg_prompt){p->context, p->n};
            samples[live] = (mg_sample){.prompt = (int32_t)n_prompts - 1,
                                        .episode = starts[i].episode, .attempt = starts[i].attempt};
            if (turn == 0) {
                samples[live].forced   = starts[i].prefix;
                samples[live].n_forced = starts[i].n_prefix;
            }
            who[live++] = i;
        }
        if (live == 0) break;
        // Each turn has its own stream, so that a position is never drawn twice.
        const mg_rng rng = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE,
                                         draws * MG_ROLLOUT_TURNS_MAX + (uint64_t)turn);
        err = mg_generate(r->model, r->team, prompts, n_prompts, samples, live, &r->sampling, rng,
                          arena, scratch);
        for (int64_t k = 0; k < live && !err; k++)
            err = act(r, &players[who[k]], &samples[k], arena, cut_prompts);
    }
    for (int64_t i = 0; i < n && !err; i++) finish(&players[i], arena);
    return err;
}

mg_err mg_rollout_check_reset(const mg_env_class *class, const void *world, int64_t item,
                              const char *prefix, size_t prefix_size) {
    if (!class->resets)
        return mg_fail(MG_UNSUPPORTED, "%s: this world cannot be reset into a recorded state",
                       class->name);
    mg_arena arena;
    mg_err   err = mg_arena_init(&arena, "reset check", 2 * class->state_size + 4096);
    if (err) return err;
    mg_env           played = {class, world, mg_arena_alloc(&arena, class->state_size)};
    mg_env           put    = {class, world, mg_arena_alloc(&arena, class->state_size)};
    mg_reset_options from_start = {.item = item};
    mg_reset_options inside     = {.item = item, .prefix = prefix, .prefix_size = prefix_size};
    mg_value         seen;
    mg_transition    next;
    const mg_value say = {.kind = MG_SPACE_TEXT, .text = prefix, .size = prefix_size, .open = true};
    uint8_t          a[32], b[32];

    err = class->reset(&played, 0, &from_start, 0, &seen);
    if (!err) err = class->step(&played, &say, 0, &next);
    if (!err) err = class->reset(&put, 0, &inside, 0, &seen);
    if (!err) {
        mg_env_digest(&played, a);
        mg_env_digest(&put, b);
        if (memcmp(a, b, sizeof a))
            err = mg_fail(MG_MISMATCH,
                          "%s: item %lld: the state after a reset behind %zu bytes is not the "
                          "state after playing them",
                          class->name, (long long)item, prefix_size);
    }
    mg_arena_release(&arena);
    return err;
}
