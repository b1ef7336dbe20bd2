// rollout.c - the episode loop for language-model policies on text worlds.
#include "rollout/rollout.h"

#include <string.h>

#include "rollout/record.h"
#include "rollout/stage.h"

// An episode under way.
typedef struct player {
    mg_stage    stage;
    int32_t    *context;    // everything read and said so far
    uint8_t    *role;
    float      *logp;
    int64_t     n, room;
    int64_t     cut;        // observations that were cut
    void       *past;       // the state behind the demonstration's turns, for the group's others; NULL
    size_t      past_size;
    int64_t     past_ns;    // the world's time then, and what the watch had seen
    mg_watch    past_watch;
} player;

static void quarantine(player *p, const char *code, const char *sentence) {
    mg_stage_fault(&p->stage, code, sentence);
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

// Reads the observation of the turn under way: its tokens into the context. An episode that has no room
// for another answer is truncated.
static mg_err observe(const mg_rollout *r, player *p, mg_arena *arena) {
    mg_episode    *e    = p->stage.episode;
    const mg_turn *turn = mg_stage_turn(&p->stage);
    mg_prompt_rule rule = r->rule;
    int32_t       *ids;
    int64_t        n;
    bool           cut = false;
    rule.continued = e->n_turns > 0;
    mg_err err = mg_prompt_encode(r->tokenizer, &rule, turn->observation, turn->observation_size, arena, &ids,
                                  &n, &cut);
    if (err == MG_CORRUPT || err == MG_LIMIT || err == MG_EMPTY) {
        quarantine(p, "E.observation", mg_err_detail());
        return MG_OK;
    }
    if (err) return err;
    p->cut += cut;
    // A first observation beyond the context is left to mg_generate, which ends the call.
    const int64_t room = r->model->config.context_max - p->n - n;
    if (e->n_turns > 0 && room < r->sampling.new_max) e->truncated = p->stage.over = true;
    if (e->n_turns > 0 && room < 0) return MG_OK;
    append(p, arena, ids, NULL, n, MG_ROLE_ENVIRONMENT);
    return MG_OK;
}

// Tells the world what was said, and reads what it answers. The state in which watching stops is read too: a
// critic may be asked for its value.
static mg_err advance(const mg_rollout *r, player *p, const mg_value *action, mg_arena *arena) {
    mg_value seen;
    mg_stage_step(&p->stage, action, &seen);
    return p->stage.sees ? observe(r, p, arena) : MG_OK;
}

static mg_err reset(const mg_rollout *r, player *p, mg_arena *arena) {
    const mg_start  *s = &p->stage.episode->start;
    mg_value         seen;
    mg_reset_options options = {.item = s->item};
    char            *prefix;
    if (s->n_prefix > 0) {
        mg_err err = text_of(r, s->prefix, s->n_prefix, arena, &prefix, &options.prefix_size);
        if (err) return err;
        options.prefix = prefix;
    }
    return mg_stage_reset(&p->stage, &options, &seen) ? observe(r, p, arena) : MG_OK;
}

// ---- starts behind a demonstration's turns ----------------------------------------------------------

// Bytes of s, from its byte `at`, that fit into `max` and end with a character.
static int head(const char *s, size_t at, size_t size, size_t max) {
    size_t n = size - at < max ? size - at : max;
    while (n > 0 && at + n < size && ((uint8_t)s[at + n] & 0xC0) == 0x80) n--;
    return (int)n;
}

// Is what is seen now what was seen when the demonstration was made?
static void compare_seen(player *p) {
    enum { SHOWN = 60 };
    const int64_t  k    = p->stage.episode->n_turns;
    const mg_turn *turn = mg_stage_turn(&p->stage);
    const char    *now = turn->observation, *then = mg_pair_turn(p->stage.episode->start.demo, k).observation;
    const size_t   n_now = turn->observation_size, n_then = strlen(then);
    size_t         at = 0;
    char           sentence[256];
    while (at < n_now && at < n_then && now[at] == then[at]) at++;
    if (at == n_now && at == n_then) return;
    while (at > 0 && ((uint8_t)now[at] & 0xC0) == 0x80) at--;
    snprintf(sentence, sizeof sentence,
             "turn %lld of the demonstration, from byte %zu: found '%.*s', wanted '%.*s'", (long long)k + 1,
             at, head(now, at, n_now, SHOWN), now + at, head(then, at, n_then, SHOWN), then + at);
    quarantine(p, "H.replay", sentence);
}

// Says what the demonstration says in this turn.
static mg_err say(const mg_rollout *r, player *p, mg_arena *arena) {
    mg_episode    *e    = p->stage.episode;
    mg_turn       *turn = mg_stage_turn(&p->stage);
    const char    *text = mg_pair_turn(e->start.demo, e->n_turns).action;
    const mg_value said = {.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
    int32_t       *ids;
    int64_t        n;
    char           sentence[128];
    mg_err err = mg_answer_encode(r->tokenizer, &r->rule, said.text, said.size, arena, &ids, &n);
    if (err == MG_CORRUPT) quarantine(p, "T.invalid", mg_err_detail()); // no text at all
    if (err) return err == MG_CORRUPT ? MG_OK : err;
    turn->action       = mg_record_bytes(arena, said.text, said.size);
    turn->action_size  = said.size;
    turn->action_begin = p->n;
    append(p, arena, ids, NULL, n, MG_ROLE_FORCED);
    turn->action_end = p->n;
    err = advance(r, p, &said, arena);
    if (err || !p->stage.over || !(e->terminated || e->truncated)) return err;
    snprintf(sentence, sizeof sentence, "the episode was %s by turn %lld of the demonstration, which goes on",
             e->terminated ? "over" : "cut off", (long long)e->n_turns);
    quarantine(p, "T.invalid", sentence);
    return MG_OK;
}

static bool same_past(const mg_start *a, const mg_start *b) {
    return a->group == b->group && a->item == b->item && a->demo == b->demo &&
           a->demo_turns == b->demo_turns;
}

// Plays the demonstration's turns, and keeps the state behind them where `others` start there too.
static mg_err play_demo(const mg_rollout *r, player *p, bool others, mg_arena *arena) {
    const mg_env_class *c   = r->class;
    mg_err              err = reset(r, p, arena);
    for (int64_t k = 0; k < p->stage.episode->start.demo_turns && !err && !p->stage.over; k++) {
        compare_seen(p);
        if (!p->stage.over) err = say(r, p, arena);
    }
    if (!err && !p->stage.over) compare_seen(p);
    if (!err && !p->stage.over && others && c->snapshot && c->restore &&
        c->snapshot(p->stage.env, arena, &p->past, &p->past_size))
        mg_stage_broke(&p->stage, "E.reset");
    p->past_ns = p->stage.now_ns, p->past_watch = p->stage.watch;
    return err;
}

// Takes over the turns that another has played, and its world as it was behind them.
static void restore_demo(const mg_rollout *r, player *p, const player *other, mg_arena *arena) {
    mg_stage      *own   = &p->stage;
    const int64_t  turns = own->episode->start.demo_turns;
    const mg_turn *last  = &other->stage.turns[turns];
    mg_value       seen;
    if (own->over) return;
    if (r->class->restore(own->env, other->past, other->past_size, &seen)) {
        mg_stage_broke(own, "E.reset");
        return;
    }
    own->turns = MG_NEW(arena, mg_turn, turns + 2), own->room = turns + 2;
    memcpy(own->turns, other->stage.turns, sizeof *own->turns * (size_t)(turns + 1));
    own->episode->n_turns = turns;
    mg_stage_resume(own, other->past_ns, &other->past_watch);
    p->cut      = other->cut;
    append(p, arena, other->context, NULL, other->n, MG_ROLE_ENVIRONMENT);
    memcpy(p->role, other->role, (size_t)other->n);
    if (seen.size != last->observation_size ||
        (seen.size > 0 && memcmp(seen.text, last->observation, seen.size)))
        quarantine(p, "H.replay", "restored, the world shows something else than when it was played");
}

// ---- the loop ---------------------------------------------------------------------------------------

// Opens player i's environment and brings it to where the episode starts. Neighbours of one group that
// start behind the same turns play them once.
static mg_err start(const mg_rollout *r, player *players, const mg_start *starts, int64_t i, int64_t n,
                    int64_t policy_version, mg_arena *arena, mg_episode *episode) {
    const mg_start *s = &starts[i];
    player         *p = &players[i];
    const player   *other = NULL;
    mg_err          err   = MG_OK;
    MG_ASSERT(!s->demo || (!s->n_prefix && s->demo_turns >= 1 && s->demo_turns <= s->demo->n_later));
    mg_stage_open(&p->stage, r, i, s, policy_version,
                  s->demo ? s->demo->seed : mg_record_seed(r->seed, policy_version, s), MG_ROLLOUT_TURNS_MAX,
                  arena, episode);
    for (int64_t k = i; s->demo && k-- > 0 && starts[k].group == s->group && !other;)
        if (players[k].past && same_past(&starts[k], s)) other = &players[k];
    bool others = false;
    for (int64_t k = i + 1; s->demo && k < n && starts[k].group == s->group; k++)
        others |= same_past(&starts[k], s);

    if (other)
        restore_demo(r, p, other, arena);
    else
        err = s->demo ? play_demo(r, p, others, arena) : reset(r, p, arena);
    if (!err) mg_stage_start(&p->stage);
    if (!err && other) mg_stage_same_start(&p->stage, &other->stage);
    return err;
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

static mg_err act(const mg_rollout *r, player *p, const mg_sample *s, mg_arena *arena) {
    mg_episode *e    = p->stage.episode;
    mg_turn    *turn = mg_stage_turn(&p->stage);
    size_t      forced;
    mg_err      err = answer_text(r, s, arena, turn, &forced, &e->stopped);
    if (err) return err;
    turn->action_begin = p->n;
    append(p, arena, s->tokens, s->logp, s->n_forced, MG_ROLE_FORCED);
    append(p, arena, s->tokens + s->n_forced, s->logp + s->n_forced, s->n - s->n_forced,
           MG_ROLE_POLICY);
    turn->action_end = p->n;

    // The environment was put into the prefix's state by reset; it is told what came after.
    const mg_value action = {.kind = MG_SPACE_TEXT, .text = turn->action + forced,
                             .size = turn->action_size - forced};
    return advance(r, p, &action, arena);
}

// Everybody who is not done says something. *live is how many those were.
static mg_err one_turn(const mg_rollout *r, player *players, int64_t n, uint64_t draws, int64_t turn,
                       mg_arena *arena, mg_arena *scratch, int64_t *live) {
    mg_prompt *prompts = MG_NEW(arena, mg_prompt, n);
    mg_sample *samples = MG_NEW(arena, mg_sample, n);
    player   **who     = MG_NEW(arena, player *, n);
    int64_t    n_prompts = 0;
    *live = 0;
    for (int64_t i = 0; i < n; i++) {
        player         *p = &players[i];
        const mg_start *s = &p->stage.episode->start;
        if (p->stage.over) continue;
        // Neighbours of one group that have read the same share the prompt.
        const player *before = *live > 0 ? who[*live - 1] : NULL;
        if (!before || before->stage.episode->start.group != s->group || before->n != p->n ||
            memcmp(before->context, p->context, sizeof(int32_t) * (size_t)p->n))
            prompts[n_prompts++] = (mg_prompt){p->context, p->n};
        samples[*live] = (mg_sample){.prompt = (int32_t)n_prompts - 1, .episode = s->episode,
                                     .attempt = s->attempt};
        if (turn == 0) samples[*live].forced = s->prefix, samples[*live].n_forced = s->n_prefix;
        who[(*live)++] = p;
    }
    if (*live == 0) return MG_OK;
    // Each turn has its own stream, so that a position is never drawn twice.
    const mg_rng rng = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE,
                                     draws * MG_ROLLOUT_TURNS_MAX + (uint64_t)turn);
    mg_err err = mg_generate(r->model, r->team, prompts, n_prompts, samples, *live, &r->sampling, rng,
                             arena, scratch);
    for (int64_t k = 0; k < *live && !err; k++) err = act(r, who[k], &samples[k], arena);
    return err;
}

static void finish(player *p) {
    mg_episode *e = p->stage.episode;
    e->tokens = p->context, e->role = p->role, e->logp = p->logp, e->n_tokens = p->n;
    mg_stage_close(&p->stage);
}

mg_err mg_rollout_run(const mg_rollout *r, const mg_start *starts, int64_t n,
                      int64_t policy_version, uint64_t draws, mg_arena *arena, mg_arena *scratch,
                      mg_episode *episodes, int64_t *cut_prompts) {
    MG_ASSERT(r->class->observation.kind == MG_SPACE_TEXT &&
              r->class->action.kind == MG_SPACE_TEXT);
    player *players = MG_NEW(arena, player, n);
    mg_err  err     = MG_OK;
    int64_t open    = 0;
    for (; open < n && !err; open++)
        err = start(r, players, starts, open, n, policy_version, arena, &episodes[open]);
    int64_t live = n, cut = 0;
    for (int64_t turn = 0; live > 0 && !err; turn++)
        err = one_turn(r, players, n, draws, turn, arena, scratch, &live);
    for (int64_t i = 0; i < open; i++) {
        finish(&players[i]);
        cut += players[i].cut;
    }
    if (cut_prompts) *cut_prompts = cut;
    return err;
}
