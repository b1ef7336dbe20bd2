// Goal:   an episode is what its world and its policy did, token by token; what goes wrong in one
//         stays in it, and what is no number never becomes one.
// Method: a world of two turns, defined here, whose items misbehave in one way each; records read
//         back against the world's texts; the same starts in other company, with other threads.
#include "rollout/rollout.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nets/tiny.h"

// ---- a world --------------------------------------------------------------------------------

// Asks, hears an answer, asks back, hears another, and is over. A turn is worth a hash of all that
// was heard so far, a reset's prefix included.
enum {
    GOOD, OTHER, RESET_FAILS, STEP_FAILS, INVALID, ABSENT, NOT_UTF8, SAYS_NAN, TRUNCATES, ENDLESS,
    LONG_WINDED, ITEMS
};
static const char *const QUESTIONS[ITEMS] = {
    "a red kite over the hill", "rain on a tin roof", "r", "s", "i", "a", "n", "o", "t", "i j",
    "l"};
static const char BACK[] = "the old mill by the river";

typedef struct talk {
    int64_t  item, turn;
    uint64_t seed;
    uint32_t heard;
} talk;

static mg_value speak(const char *text) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
}

static uint32_t hear(uint32_t heard, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) heard = heard * 31 + (uint8_t)text[i] + 1;
    return heard;
}

static mg_err talk_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now,
                         mg_value *seen) {
    (void)now;
    talk *t = e->state;
    memset(t, 0, sizeof *t);
    if (o->item == RESET_FAILS) return mg_fail(MG_IO, "the lid is stuck");
    t->item = o->item, t->seed = seed;
    if (o->prefix) t->heard = hear(0, o->prefix, o->prefix_size);
    *seen = speak(QUESTIONS[o->item]);
    return MG_OK;
}

static mg_err talk_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    (void)now;
    static const char bad[] = "\xFF", wordy[] = "seven sheep in the snow seven sheep in the snow";
    talk *t = e->state;
    t->heard = hear(t->heard, action->text, action->size);
    *out = (mg_transition){.observation = speak(BACK), .reward = mg_reward_of((double)t->heard)};
    if (action->open) return MG_OK;
    if (t->item == STEP_FAILS && t->turn == 1) return mg_fail(MG_IO, "the wheel came off");
    if (t->item == INVALID) out->reward = mg_reward_invalid("a grade of F");
    if (t->item == ABSENT && t->turn == 0) out->reward = mg_reward_absent("nobody looked");
    if (t->item == SAYS_NAN)
        out->reward = (mg_reward){.kind = MG_REWARD_INVALID}; // no reason given
    if (t->item == NOT_UTF8) out->observation = speak(bad);
    if (t->item == LONG_WINDED) out->observation = speak(wordy);
    t->turn++;
    out->truncated  = t->item == TRUNCATES;
    out->terminated = t->turn == 2 && t->item < TRUNCATES;
    return MG_OK;
}

static const mg_env_class TALK = {
    .name = "talk", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(talk), .steps_max = 4, .reset = talk_reset, .step = talk_step,
    .resets = true};

// ---- playing it -----------------------------------------------------------------------------

enum { NEW_MAX = 12 };

static mg_tokenizer *tokenizer;
static mg_model     *model;
static mg_arena      arena, scratch;

static int enter(void **state) {
    (void)state;
    tokenizer = tiny_tokenizer();
    model     = tiny_model(tokenizer, false, 1, false);
    return mg_arena_init(&arena, "episodes", (size_t)1 << 32) ||
           mg_arena_init(&scratch, "scratch", (size_t)1 << 32);
}

static int leave(void **state) {
    (void)state;
    mg_tokenizer_free(tokenizer);
    mg_model_free(model);
    mg_arena_release(&arena);
    mg_arena_release(&scratch);
    return 0;
}

static mg_rollout rollout(void) {
    return (mg_rollout){
        .model = model, .tokenizer = tokenizer,
        .rule = {.template = "Q {prompt}\n", .prompt_max = 64, .cut = true, .stop = TINY_STOP},
        .sampling = {.temperature = 1, .top_p = 1, .new_max = NEW_MAX, .stop = TINY_STOP},
        .class = &TALK, .seed = 3};
}

static mg_episode *played(const mg_rollout *r, const mg_start *starts, int64_t n) {
    mg_episode *e = MG_NEW(&arena, mg_episode, n);
    if (mg_rollout_run(r, starts, n, 6, 2, &arena, &scratch, e, NULL))
        fail_msg("%s", mg_err_detail());
    assert_int_equal(mg_arena_mark(&scratch), 0);
    return e;
}

static mg_start start_of(int64_t item, uint32_t episode) {
    return (mg_start){.item = item, .group = (int32_t)episode, .episode = episode};
}

static int32_t *ids_of(const char *text, int64_t *n) {
    int32_t *ids;
    assert_int_equal(mg_tokenizer_encode(tokenizer, text, strlen(text), false, &arena, &ids, n),
                     MG_OK);
    return ids;
}

// Tokens [at, ...) are the template around the text, seen; returns where they end.
static int64_t assert_seen(const mg_episode *e, int64_t at, const char *text) {
    const char *const parts[] = {"Q ", text, "\n"};
    for (int i = 0; i < 3; i++) {
        int64_t        n;
        const int32_t *ids = ids_of(parts[i], &n);
        assert_in_range(at + n, 0, e->n_tokens);
        assert_memory_equal(e->tokens + at, ids, sizeof *ids * (size_t)n);
        for (int64_t k = 0; k < n; k++, at++) {
            assert_int_equal(e->role[at], MG_ROLE_ENVIRONMENT);
            assert_true(e->logp[at] == 0);
        }
    }
    return at;
}

// Turn j begins at `at`; its text is its tokens without the stop. Returns where it ends.
static int64_t assert_said(const mg_episode *e, int64_t j, int64_t at, int64_t forced) {
    const mg_turn *turn = &e->turns[j];
    char          *text;
    size_t         size;
    assert_int_equal(turn->action_begin, at);
    assert_in_range(turn->action_end - at, 1, NEW_MAX);
    for (; at < turn->action_end; at++) {
        assert_int_equal(e->role[at],
                         at < turn->action_begin + forced ? MG_ROLE_FORCED : MG_ROLE_POLICY);
        assert_true(e->logp[at] < 0);
    }
    const bool stops = e->tokens[at - 1] == TINY_STOP;
    assert_true(stops || at - turn->action_begin == NEW_MAX);
    assert_int_equal(mg_tokenizer_decode(tokenizer, e->tokens + turn->action_begin,
                                         at - turn->action_begin - stops, false, &arena, &text,
                                         &size),
                     MG_OK);
    assert_int_equal(turn->action_size, size);
    assert_memory_equal(turn->action, text, size);
    if (j + 1 == e->n_turns) assert_int_equal(e->stopped, stops);
    return at;
}

// The world heard the turns' texts, each byte once.
static void assert_paid(const mg_episode *e) {
    uint32_t heard = 0;
    for (int64_t j = 0; j < e->n_turns; j++) {
        heard = hear(heard, e->turns[j].action, e->turns[j].action_size);
        assert_int_equal(e->turns[j].reward.kind, MG_REWARD_VALUE);
        assert_true(e->turns[j].reward.value == (double)heard);
    }
}

static void an_episode_is_what_was_seen_and_said(void **state) {
    (void)state;
    const mg_rollout r        = rollout();
    const mg_start   starts[] = {start_of(GOOD, 0), start_of(OTHER, 1)};
    mg_episode      *e        = played(&r, starts, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(e[i].verdict, MG_CLEAN);
        assert_null(e[i].code);
        assert_string_equal(e[i].detail, "");
        assert_int_equal(e[i].n_turns, 2);
        assert_true(e[i].terminated && !e[i].truncated);
        assert_int_equal(e[i].policy_version, 6);
        int64_t at = assert_seen(&e[i], 0, QUESTIONS[i]);
        at         = assert_said(&e[i], 0, at, 0);
        at         = assert_seen(&e[i], at, BACK);
        at         = assert_said(&e[i], 1, at, 0);
        assert_int_equal(at, e[i].n_tokens);
        assert_memory_equal(e[i].turns[0].observation, QUESTIONS[i], strlen(QUESTIONS[i]));
        assert_memory_equal(e[i].turns[1].observation, BACK, strlen(BACK));
        assert_paid(&e[i]);
    }
    assert_int_not_equal(e[0].seed, e[1].seed);
}

static void what_goes_wrong_stays_in_its_episode(void **state) {
    (void)state;
    static const struct {
        int64_t     item, turns;
        const char *code, *said;
    } wrong[] = {
        {RESET_FAILS, 0, "E.reset", "the lid is stuck"},
        {STEP_FAILS, 2, "E.step", "the wheel came off"},
        {INVALID, 1, "V.invalid", "a grade of F"},
        {NOT_UTF8, 1, "E.observation", "UTF-8"},
        {SAYS_NAN, 1, "V.invalid", ""},
    };
    enum { WRONG = sizeof wrong / sizeof *wrong };
    const mg_rollout r = rollout();
    mg_start         starts[2 * WRONG + 1];
    for (int i = 0; i <= 2 * WRONG; i++)
        starts[i] = start_of(i % 2 ? wrong[i / 2].item : GOOD, (uint32_t)i);
    mg_episode *e = played(&r, starts, 2 * WRONG + 1);
    for (int i = 0; i <= 2 * WRONG; i++) {
        double         value   = -1;
        const mg_reward total  = mg_episode_return(&e[i]);
        if (i % 2 == 0) { // a good one between two bad ones
            const mg_episode *alone = played(&r, &starts[i], 1);
            assert_int_equal(e[i].verdict, MG_CLEAN);
            assert_int_equal(e[i].n_tokens, alone->n_tokens);
            assert_memory_equal(e[i].tokens, alone->tokens,
                                sizeof(int32_t) * (size_t)alone->n_tokens);
            continue;
        }
        assert_int_equal(e[i].verdict, MG_QUARANTINED);
        assert_string_equal(e[i].code, wrong[i / 2].code);
        assert_non_null(strstr(e[i].detail, wrong[i / 2].said));
        assert_int_equal(e[i].n_turns, wrong[i / 2].turns);
        if (wrong[i / 2].item == NOT_UTF8) continue; // its one reward was fine
        assert_int_not_equal(total.kind, MG_REWARD_VALUE);
        assert_false(mg_reward_value(&total, &value));
        assert_true(value == -1);
    }
}

// Whether an absent reward matters is for who learns to say: there may be a reward model.
static void an_absent_reward_is_recorded_as_absent(void **state) {
    (void)state;
    const mg_rollout r     = rollout();
    const mg_start   start = start_of(ABSENT, 0);
    mg_episode      *e     = played(&r, &start, 1);
    assert_int_equal(e->verdict, MG_CLEAN);
    assert_int_equal(e->turns[0].reward.kind, MG_REWARD_ABSENT);
    assert_int_equal(e->turns[1].reward.kind, MG_REWARD_VALUE);
    assert_int_equal(mg_episode_return(e).kind, MG_REWARD_ABSENT);
}

static void a_truncated_episode_ends_with_what_is_seen(void **state) {
    (void)state;
    mg_rollout     r        = rollout();
    const mg_start starts[] = {start_of(TRUNCATES, 0), start_of(ENDLESS, 1)};
    r.sampling.new_max      = 8;
    mg_episode *e = played(&r, starts, 2);
    for (int i = 0; i < 2; i++) {
        const mg_turn *last = &e[i].turns[e[i].n_turns - 1];
        assert_int_equal(e[i].verdict, MG_CLEAN);
        assert_true(e[i].truncated && !e[i].terminated);
        assert_int_equal(assert_seen(&e[i], last->action_end, BACK), e[i].n_tokens);
    }
    assert_int_equal(e[0].n_turns, 1); // the world's word
    assert_in_range(e[1].n_turns, 2, 4);
}

static void limits_of_turns_and_of_the_context_truncate(void **state) {
    (void)state;
    mg_env_class   brief = TALK;
    mg_rollout     r     = rollout();
    const mg_start start = start_of(ENDLESS, 0), wordy = start_of(LONG_WINDED, 0);
    brief.steps_max    = 2;
    r.class            = &brief;
    r.sampling.new_max = 4;
    mg_episode *e = played(&r, &start, 1);
    assert_int_equal(e->n_turns, 2);
    assert_true(e->truncated && !e->terminated);

    brief.steps_max    = 1000;
    r.sampling.new_max = 12;
    e = played(&r, &wordy, 1);
    assert_true(e->truncated);
    assert_int_equal(e->verdict, MG_CLEAN);
    assert_in_range(e->n_tokens, TINY_CONTEXT - NEW_MAX - 40, TINY_CONTEXT);
    assert_in_range(e->turns[e->n_turns - 1].action_end, 1, TINY_CONTEXT);

    // A first observation that leaves no room for an answer concerns the whole call.
    r.sampling.new_max = TINY_CONTEXT;
    assert_int_equal(mg_rollout_run(&r, &start, 1, 0, 0, &arena, &scratch, e, NULL), MG_LIMIT);
    r.sampling.new_max = 4;
    r.rule.cut         = false; // one that must not be cut, its own episode
    r.rule.prompt_max  = 4;
    const mg_start two[] = {start_of(GOOD, 0), start_of(ABSENT, 1)};
    e = played(&r, two, 2);
    assert_string_equal(e[0].code, "E.observation");
    assert_int_not_equal(e[1].n_turns, 0);
}

static void a_reset_puts_the_world_into_the_prefixs_state(void **state) {
    (void)state;
    const mg_rollout r = rollout();
    mg_start         start = start_of(GOOD, 0);
    int64_t          n;
    start.prefix   = ids_of("grey seals, two", &n);
    start.n_prefix = n - 1;
    mg_episode *e  = played(&r, &start, 1);
    int64_t     at = assert_seen(e, 0, QUESTIONS[GOOD]);
    assert_memory_equal(e->tokens + at, start.prefix, sizeof(int32_t) * (size_t)start.n_prefix);
    at = assert_said(e, 0, at, start.n_prefix);
    at = assert_seen(e, at, BACK);
    at = assert_said(e, 1, at, 0); // no prefix in the second turn
    assert_int_equal(at, e->n_tokens);
    assert_paid(e); // reset told it the prefix, and the action only what came behind
    char  *prefix;
    size_t size;
    assert_int_equal(
        mg_tokenizer_decode(tokenizer, start.prefix, start.n_prefix, false, &arena, &prefix, &size),
        MG_OK);
    assert_memory_equal(e->turns[0].action, prefix, size);
    assert_in_range(size, 4, e->turns[0].action_size);
    assert_int_equal(mg_rollout_check_reset(&TALK, NULL, GOOD, prefix, size), MG_OK);
}

// Forgets what a reset said it knew.
static mg_err forgetful_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now,
                              mg_value *seen) {
    mg_err err = talk_reset(e, seed, o, now, seen);
    if (!err && o->prefix) ((talk *)e->state)->heard = 0;
    return err;
}

static void a_world_that_resets_elsewhere_is_found_out(void **state) {
    (void)state;
    mg_env_class wrong = TALK;
    wrong.reset        = forgetful_reset;
    assert_int_equal(mg_rollout_check_reset(&wrong, NULL, OTHER, "seven", 5), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "item 1"));
    wrong.resets = false;
    assert_int_equal(mg_rollout_check_reset(&wrong, NULL, GOOD, "seven", 5), MG_UNSUPPORTED);
    assert_int_equal(mg_rollout_check_reset(&TALK, NULL, RESET_FAILS, "seven", 5), MG_IO);
}

// The same episodes alone, in another order, and with two threads.
static void draws_do_not_depend_on_company(void **state) {
    (void)state;
    enum { N = 6 };
    mg_rollout r = rollout();
    mg_start   starts[N], turned[N];
    int64_t    n;
    for (uint32_t i = 0; i < N; i++) starts[i] = start_of(i % 2 ? OTHER : GOOD, i / 2);
    for (int i = 0; i < N; i++) starts[i].attempt = (uint32_t)i % 2;
    starts[4].prefix   = ids_of("old", &n);
    starts[4].n_prefix = n;
    for (int i = 0; i < N; i++) turned[i] = starts[N - 1 - i];
    const mg_episode *e = played(&r, starts, N), *back = played(&r, turned, N);
    mg_team          *team;
    assert_int_equal(mg_team_open(&team, 2), MG_OK);
    r.team                = team;
    const mg_episode *two = played(&r, starts, N);
    for (int i = 0; i < N; i++) {
        const mg_episode *alone    = played(&r, &starts[i], 1);
        const mg_episode *others[] = {&back[N - 1 - i], &two[i], alone};
        for (int k = 0; k < 3; k++) {
            assert_int_equal(others[k]->seed, e[i].seed);
            assert_int_equal(others[k]->n_tokens, e[i].n_tokens);
            assert_memory_equal(others[k]->tokens, e[i].tokens,
                                sizeof(int32_t) * (size_t)e[i].n_tokens);
            for (int64_t t = 0; t < e[i].n_tokens; t++)
                assert_true(others[k]->logp[t] - e[i].logp[t] < 1e-5f &&
                            e[i].logp[t] - others[k]->logp[t] < 1e-5f);
        }
    }
    // Two episodes of one task are two draws.
    assert_true(e[0].n_tokens != e[2].n_tokens ||
                memcmp(e[0].tokens, e[2].tokens, sizeof(int32_t) * (size_t)e[0].n_tokens));
    mg_team_close(team);
}

// Neighbours of one group that have read other things, as long or with the same beginning.
static void only_equal_contexts_are_shared(void **state) {
    (void)state;
    mg_rollout r        = rollout();
    mg_start   starts[] = {start_of(ENDLESS, 0), start_of(INVALID, 0), start_of(ABSENT, 0)};
    r.rule.template     = "Q {prompt}"; // "i" is the beginning of "i j", and as long as "a"
    for (uint32_t i = 0; i < 3; i++) starts[i].attempt = i;
    const mg_episode *e = played(&r, starts, 3);
    assert_in_range(e[1].turns[0].action_begin, 1, e[0].turns[0].action_begin - 1);
    assert_int_equal(e[1].turns[0].action_begin, e[2].turns[0].action_begin);
    for (int i = 0; i < 3; i++) {
        const mg_episode *alone = played(&r, &starts[i], 1);
        assert_int_equal(alone->n_tokens, e[i].n_tokens);
        assert_memory_equal(alone->tokens, e[i].tokens, sizeof(int32_t) * (size_t)alone->n_tokens);
        for (int64_t t = 0; t < alone->n_tokens; t++)
            assert_true(alone->logp[t] - e[i].logp[t] < 1e-5f &&
                        e[i].logp[t] - alone->logp[t] < 1e-5f);
    }
}

// A model that likes all tokens alike says what the draws say.
static void each_turn_has_draws_of_its_own(void **state) {
    (void)state;
    mg_model      *even  = tiny_model(tokenizer, false, 1, false);
    mg_rollout     r     = rollout();
    const mg_start start = start_of(GOOD, 0);
    memset(even->head->data, 0, sizeof(float) * (size_t)mg_tensor_count(even->head));
    mg_model_touch(even);
    r.model         = even;
    r.sampling.stop = -1;
    const mg_episode *e = played(&r, &start, 1);
    assert_int_equal(e->n_turns, 2);
    assert_memory_not_equal(e->tokens + e->turns[0].action_begin,
                            e->tokens + e->turns[1].action_begin, sizeof(int32_t) * NEW_MAX);
    mg_model_free(even);
}

// Llama 3's begin-of-text stands before the first observation alone.
static void the_first_token_of_texts_comes_once(void **state) {
    (void)state;
    static const char *const special[] = {"<|endoftext|>", "<|begin|>"};
    const mg_text            text      = {BACK, strlen(BACK)};
    const mg_start           start     = start_of(GOOD, 0);
    mg_tokenizer            *llama     = NULL;
    mg_rollout               r         = rollout();
    int64_t                  begins    = 0;
    assert_int_equal(mg_tokenizer_train(&llama, &(mg_tokenizer_training){
                         .family = MG_TOKENIZER_LLAMA3, .texts = &text, .n_texts = 1,
                         .vocab_size = 270, .special = special, .n_special = 2,
                         .first = "<|begin|>"}), MG_OK);
    mg_model *m = tiny_model(llama, false, 1, false);
    r.tokenizer = llama, r.model = m;
    const mg_episode *e = played(&r, &start, 1);
    assert_int_equal(e->n_turns, 2);
    for (int64_t k = 0; k < e->n_tokens; k++)
        begins += e->role[k] == MG_ROLE_ENVIRONMENT &&
                  e->tokens[k] == mg_tokenizer_id(llama, "<|begin|>");
    assert_int_equal(begins, 1);
    assert_int_equal(e->tokens[0], mg_tokenizer_id(llama, "<|begin|>"));
    mg_model_free(m);
    mg_tokenizer_free(llama);
}

// Sampling goes on behind the stop; the world hears only what came before it.
static void without_a_stop_the_text_ends_at_the_stop_all_the_same(void **state) {
    (void)state;
    mg_rollout r = rollout();
    mg_start   starts[8];
    bool       early = false;
    r.sampling.stop  = -1;
    for (uint32_t i = 0; i < 8; i++) starts[i] = start_of(GOOD, i);
    const mg_episode *e = played(&r, starts, 8);
    for (int i = 0; i < 8; i++) {
        for (int64_t j = 0; j < e[i].n_turns; j++) {
            const mg_turn *turn = &e[i].turns[j];
            int64_t        end  = turn->action_begin;
            char          *text;
            size_t         size;
            assert_int_equal(turn->action_end - turn->action_begin, NEW_MAX);
            while (end < turn->action_end && e[i].tokens[end] != TINY_STOP) end++;
            assert_int_equal(mg_tokenizer_decode(tokenizer, e[i].tokens + turn->action_begin,
                                                 end - turn->action_begin, false, &arena, &text,
                                                 &size),
                             MG_OK);
            assert_int_equal(turn->action_size, size);
            assert_memory_equal(turn->action, text, size);
            if (j + 1 == e[i].n_turns) assert_int_equal(e[i].stopped, end < turn->action_end);
            early |= end + 1 < turn->action_end;
        }
        assert_paid(&e[i]);
    }
    assert_true(early);
}

// A model may have more rows than the tokenizer has tokens.
static void an_id_that_is_no_token_says_nothing(void **state) {
    (void)state;
    mg_model_config c    = tiny_config(tokenizer, false);
    mg_model       *wide = NULL;
    mg_rollout      r    = rollout();
    const mg_start  start = start_of(GOOD, 0);
    c.vocab *= 8; // so that most of what a random model says is no token
    assert_int_equal(mg_model_new(&wide, &c, false), MG_OK);
    mg_model_init(wide, 1);
    r.model = wide;
    const mg_episode *e = played(&r, &start, 1);
    int64_t           beyond = 0;
    for (int64_t k = 0; k < e->n_tokens; k++)
        beyond += e->tokens[k] >= mg_tokenizer_vocab_size(tokenizer);
    assert_true(beyond > 4);
    assert_int_equal(e->verdict, MG_CLEAN);
    mg_model_free(wide);
}

static void cut_observations_are_counted(void **state) {
    (void)state;
    mg_rollout     r        = rollout();
    const mg_start starts[] = {start_of(GOOD, 0), start_of(STEP_FAILS, 1)};
    mg_episode     e[2];
    int64_t        cut = -1, n;
    ids_of(BACK, &n);
    r.rule.prompt_max = n + 1; // the frame takes two or more: BACK is cut, a short question is not
    assert_int_equal(mg_rollout_run(&r, &starts[1], 1, 0, 0, &arena, &scratch, e, &cut), MG_OK);
    assert_int_equal(cut, 1);
    r.rule.prompt_max = 0;
    assert_int_equal(mg_rollout_run(&r, starts, 2, 0, 0, &arena, &scratch, e, &cut), MG_OK);
    assert_int_equal(cut, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_episode_is_what_was_seen_and_said),
        cmocka_unit_test(what_goes_wrong_stays_in_its_episode),
        cmocka_unit_test(an_absent_reward_is_recorded_as_absent),
        cmocka_unit_test(a_truncated_episode_ends_with_what_is_seen),
        cmocka_unit_test(limits_of_turns_and_of_the_context_truncate),
        cmocka_unit_test(a_reset_puts_the_world_into_the_prefixs_state),
        cmocka_unit_test(a_world_that_resets_elsewhere_is_found_out),
        cmocka_unit_test(draws_do_not_depend_on_company),
        cmocka_unit_test(only_equal_contexts_are_shared),
        cmocka_unit_test(each_turn_has_draws_of_its_own),
        cmocka_unit_test(the_first_token_of_texts_comes_once),
        cmocka_unit_test(without_a_stop_the_text_ends_at_the_stop_all_the_same),
        cmocka_unit_test(an_id_that_is_no_token_says_nothing),
        cmocka_unit_test(cut_observations_are_counted),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
