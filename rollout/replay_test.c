// Goal:   an episode played again on a world that gives the same again is the same, however it began and ended
//         and wherever its record was kept; where the world answers otherwise, the turn and the word are right.
// Method: a world defined here that changes one thing, in one turn, on request; episodes of a language model
//         from prefixes and behind demonstrations; records read back from a store, whole and replayable.
#include "rollout/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "harness/attribution.h"
#include "nets/tiny.h"
#include "rollout/counting.h"
#include "rollout/demos.h"
#include "rollout/scripted.h"
#include "rollout/trap.h"
#include "store/store.h"

// ---- a world with moods ---------------------------------------------------------------------------

// Shows numbers, or text that says the same; takes texts or one of three choices; is over after three turns,
// or never. What it is told behind a prefix and with it in one go leads to the same state.
enum { TURNS = 3 };
typedef enum mood {
    USUAL, OTHER_SIGHT, OTHER_REWARD, NO_REWARD, OTHER_STATUS, OTHER_ERROR, ENDS, BREAKS, CUTS, OTHER_STATE,
    REFUSES_RESET
} mood;
static struct {
    mood    how;
    int32_t turn; // in which it comes; -1: at the reset
} now_and_then;

typedef struct moody {
    int64_t  item, turn;
    uint64_t heard;
    float    seen[2];
    char     text[48];
} moody;

enum { UNREADABLE = 3, ENDLESS = 4 }; // items

static bool in_mood(mood how, int64_t turn) { return now_and_then.how == how && now_and_then.turn == turn; }

static mg_value look(const mg_env *e, moody *m, int64_t after) {
    const bool otherwise = in_mood(OTHER_SIGHT, after);
    if (e->class->observation.kind == MG_SPACE_VECTOR) {
        m->seen[0] = (float)(m->heard % 997) / 7, m->seen[1] = otherwise ? -1.0f : -0.0f;
        return (mg_value){.kind = MG_SPACE_VECTOR, .vector = m->seen};
    }
    snprintf(m->text, sizeof m->text, "%s%s %d", m->item == UNREADABLE ? "\xFF" : "", otherwise ? "not" : "heard",
             (int)(m->heard % 997));
    return (mg_value){.kind = MG_SPACE_TEXT, .text = m->text, .size = strlen(m->text)};
}

static void hear(moody *m, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) m->heard = m->heard * 31 + (uint8_t)text[i] + 1;
}

static mg_err moody_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now, mg_value *seen) {
    moody *m = e->state;
    (void)now;
    if (in_mood(REFUSES_RESET, -1)) return mg_fail(MG_IO, "not today");
    *m = (moody){.item = o->item, .heard = seed};
    *seen = look(e, m, -1); // what is shown does not depend on the prefix
    if (o->prefix) hear(m, o->prefix, o->prefix_size);
    if (in_mood(OTHER_STATE, -1)) m->heard++;
    return MG_OK;
}

static mg_err moody_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    moody        *m = e->state;
    const int64_t k = m->turn++;
    const char    choice = (char)('0' + action->index);
    (void)now;
    if (in_mood(BREAKS, k)) return mg_fail(MG_IO, "a bad day");
    if (action->kind == MG_SPACE_TEXT) hear(m, action->text, action->size);
    else hear(m, &choice, 1);
    *out = (mg_transition){.observation = look(e, m, k), .reward = mg_reward_of((double)(m->heard % 13) / 13),
                           .terminated = m->item != ENDLESS && m->turn == TURNS,
                           .evidence = {.action = "say", .status = MG_STATUS_REFUSED, .error = "hm"}};
    if (in_mood(OTHER_REWARD, k)) out->reward.value = nextafter(out->reward.value, 2);
    if (in_mood(NO_REWARD, k)) out->reward = mg_reward_absent("tired");
    if (in_mood(OTHER_STATUS, k)) out->evidence.status = MG_STATUS_ERROR;
    if (in_mood(OTHER_ERROR, k)) out->evidence.error = "ha";
    if (in_mood(ENDS, k)) out->terminated = true;
    if (in_mood(CUTS, k)) out->terminated = false, out->truncated = true;
    if (in_mood(OTHER_STATE, k)) m->heard++;
    return MG_OK;
}

static void moody_digest(const mg_env *e, uint8_t out[32]) {
    const moody   *m      = e->state;
    const uint64_t what[] = {(uint64_t)m->item, (uint64_t)m->turn, m->heard};
    SHA256((const uint8_t *)what, sizeof what, out);
}

static mg_err chatter(const mg_env *e, mg_rng *rng, mg_value *action) {
    static const char *const words[] = {"ah", "so", "well, well"};
    const uint32_t           k       = mg_rng_below(rng, 3);
    if (e->class->action.kind == MG_SPACE_DISCRETE)
        *action = (mg_value){.kind = MG_SPACE_DISCRETE, .index = k};
    else
        *action = (mg_value){.kind = MG_SPACE_TEXT, .text = words[k], .size = strlen(words[k])};
    return MG_OK;
}

static const mg_script    moody_scripts[] = {{"chatter", "says something", chatter}, {0}};
static const mg_env_class moody_class     = {
        .name = "moody", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
        .state_size = sizeof(moody), .steps_max = 7, .reset = moody_reset, .step = moody_step,
        .digest = moody_digest, .resets = true, .scripts = moody_scripts};

// ---- playing --------------------------------------------------------------------------------------

static mg_tokenizer *words;
static mg_model     *model;
static mg_arena      arena, scratch;

static int enter(void **state) {
    (void)state;
    words = tiny_tokenizer();
    model = tiny_model(words, false, 1, false);
    return mg_arena_init(&arena, "episodes", (size_t)1 << 32) ||
           mg_arena_init(&scratch, "scratch", (size_t)1 << 32);
}

static int leave(void **state) {
    (void)state;
    mg_tokenizer_free(words);
    mg_model_free(model);
    mg_arena_release(&arena);
    mg_arena_release(&scratch);
    return 0;
}

static int usual(void **state) {
    (void)state;
    now_and_then.how = USUAL;
    return 0;
}

static mg_rollout scripted(const mg_env_class *class) {
    return (mg_rollout){.class = class, .script = class->scripts, .seed = 3, .wants_reward = true};
}

static mg_rollout spoken(const mg_env_class *class) {
    return (mg_rollout){
        .model = model, .tokenizer = words, .class = class, .seed = 3, .wants_reward = true,
        .rule = {.template = "Q {prompt}\n", .prompt_max = 64, .cut = true, .stop = TINY_STOP},
        .sampling = {.temperature = 1, .top_p = 1, .new_max = 8, .stop = TINY_STOP}};
}

static mg_episode *play(const mg_rollout *r, const mg_start *starts, int64_t n) {
    mg_episode *e = MG_NEW(&arena, mg_episode, n);
    mg_err err = r->script ? mg_scripted_run(r, starts, n, 2, 5, &arena, e)
                           : mg_rollout_run(r, starts, n, 2, 5, &arena, &scratch, e, NULL);
    if (err) fail_msg("%s", mg_err_detail());
    return e;
}

static void assert_differs(const mg_rollout *r, const mg_episode *e, int32_t at, const char *word) {
    mg_episode again;
    char       what[64];
    mg_replay(r, e, &arena, &again);
    const int32_t found = mg_episode_differs(e, &again, what);
    if (found != at || strcmp(what, word)) fail_msg("differs at %d in '%s', wanted %d '%s'", found, what, at, word);
}

static void assert_same(const mg_rollout *r, const mg_episode *e) {
    mg_episode again;
    assert_differs(r, e, -1, "");
    mg_replay(r, e, &arena, &again);
    assert_int_equal(again.n_tokens, 0);
    assert_int_equal(again.seed, e->seed);
    assert_int_equal(again.stopped, e->stopped);
}

// ---- the same -------------------------------------------------------------------------------------

static void what_is_the_same_does_not_differ(void **state) {
    (void)state;
    const mg_rollout r        = scripted(&moody_class);
    const mg_start   starts[] = {{.item = 0}, {.item = 1, .episode = 1, .attempt = 2}, {.item = ENDLESS, .episode = 2}};
    const mg_episode *e       = play(&r, starts, 3);
    assert_int_equal(e[0].n_turns, TURNS);
    assert_true(e[2].n_turns == 7 && e[2].truncated); // the class's limit
    for (int i = 0; i < 3; i++) {
        const mg_reward *last = &e[i].turns[e[i].n_turns - 1].reward;
        mg_episode       again;
        assert_same(&r, &e[i]);
        mg_replay(&r, &e[i], &arena, &again);
        assert_memory_equal(&again.turns[again.n_turns - 1].reward.value, &last->value, sizeof(double));
        assert_memory_equal(again.end_digest, e[i].end_digest, 32);
    }
}

// Whatever went wrong goes wrong again, in the same place.
static void failures_fail_again(void **state) {
    (void)state;
    trap_log   logged = {0};
    trap_world world  = {.log = &logged};
    mg_env_pool pool;
    mg_rollout  r = scripted(&trap_class);
    mg_env_pool_init(&pool, &trap_class, &world, &arena);
    r.world = &world, r.seed = TRAP_SEED, r.pool = &pool;
    for (uint32_t how = 0; how < TRAP_HOWS; how++) {
        if (how == TRAP_TRACE_ONCE || how == TRAP_DRIFTS || how >= TRAP_LEAVES) continue;
        const mg_start start = {.item = -1, .episode = how};
        mg_episode     e, again;
        world.how[how][0] = (uint8_t)how;
        assert_int_equal(mg_scripted_run(&r, &start, 1, TRAP_VERSION, 0, &arena, &e), MG_OK);
        const int32_t begun = ((const trap *)pool.envs[0].state)->played;
        const bool    open  = pool.open[0];
        assert_same(&r, &e);
        mg_replay(&r, &e, &arena, &again);
        assert_int_equal(((const trap *)pool.envs[0].state)->played, begun); // the pool was left alone
        assert_int_equal(pool.open[0], open);
        assert_int_equal(again.verdict, e.verdict);
        assert_int_equal(again.code_turn, e.code_turn);
        assert_true(again.code == e.code || strcmp(again.code, e.code) == 0);
        assert_string_equal(again.detail, e.detail);
    }
    mg_env_pool_close(&pool);
    assert_int_equal(logged.opened, logged.closed);
}

static void choices_and_numbers(void **state) {
    (void)state;
    mg_env_class numbers = moody_class;
    numbers.observation  = (mg_space){.kind = MG_SPACE_VECTOR, .n = 2};
    numbers.action       = (mg_space){.kind = MG_SPACE_DISCRETE, .n = 3};
    const mg_rollout  r        = scripted(&numbers);
    const mg_start    starts[] = {{.item = 0}, {.item = ENDLESS, .episode = 1}};
    const mg_episode *e        = play(&r, starts, 2);
    for (int i = 0; i < 2; i++) assert_same(&r, &e[i]);
    now_and_then.how = OTHER_SIGHT, now_and_then.turn = 1;
    assert_differs(&r, &e[0], 2, "observation"); // shown by the call before
}

static void a_language_models_episodes(void **state) {
    (void)state;
    mg_env_class one_turn = moody_class;
    mg_rollout   r        = spoken(&moody_class);
    mg_start     starts[] = {{.item = 0}, {.item = ENDLESS, .episode = 1}, {.item = UNREADABLE, .episode = 2},
                             {.item = 1, .episode = 3}};
    int32_t     *ids;
    int64_t      n;
    assert_int_equal(mg_tokenizer_encode(words, "old", 3, false, &arena, &ids, &n), MG_OK);
    starts[3].prefix = ids, starts[3].n_prefix = n;
    const mg_episode *e = play(&r, starts, 4);
    assert_true(e[1].truncated && e[1].n_turns < 7); // no room in the context, which is no word of the world's
    assert_string_equal(e[2].code, "E.observation");
    assert_int_equal(e[2].n_turns, 0);
    for (int i = 0; i < 4; i++) assert_same(&r, &e[i]);
    now_and_then.how = OTHER_STATE, now_and_then.turn = 1;
    assert_differs(&r, &e[3], 2, "reward");

    // As in synopsis: one turn, begun by a reset into what was said.
    now_and_then.how   = USUAL;
    one_turn.steps_max = 1;
    r.class            = &one_turn;
    e                  = play(&r, starts + 3, 1);
    assert_int_equal(e->n_turns, 1);
    assert_same(&r, e);
    now_and_then.how = OTHER_REWARD, now_and_then.turn = 0;
    assert_differs(&r, e, 0, "reward");
}

// Played or restored, gone on with, or over before the policy had a word.
static void episodes_behind_demonstrations(void **state) {
    (void)state;
    const mg_rollout  oracle  = scripted(&counting_class), r = spoken(&counting_class);
    const mg_start    shown[] = {{.item = COUNTING_GOOD}, {.item = COUNTING_OTHER, .episode = 1}};
    const mg_episode *made    = play(&oracle, shown, 2);
    mg_pair          *demos;
    assert_int_equal(mg_demos_of(made, 2, &arena, &demos), MG_OK);
    mg_pair ends = demos[0], lies = demos[1];
    ends.item    = COUNTING_ENDS; // over after the first of the demonstration's turns
    lies.prompt  = "sum nothing";
    const mg_start starts[] = {
        {.item = COUNTING_GOOD, .demo = &demos[0], .demo_turns = 2},
        {.item = COUNTING_GOOD, .demo = &demos[0], .demo_turns = 2, .episode = 1},
        {.item = COUNTING_OTHER, .demo = &demos[1], .demo_turns = 3, .episode = 2, .group = 1},
        {.item = COUNTING_ENDS, .demo = &ends, .demo_turns = 2, .episode = 3, .group = 2},
        {.item = COUNTING_OTHER, .demo = &lies, .demo_turns = 1, .episode = 4, .group = 3},
        {.item = COUNTING_GOOD, .episode = 5, .group = 4}};
    const mg_episode *e = play(&r, starts, 6);
    assert_string_equal(e[3].code, "T.invalid");
    assert_string_equal(e[4].code, "H.replay");
    assert_int_equal(e[4].n_turns, 0);
    for (int i = 0; i < 6; i++) assert_same(&r, &e[i]);
    assert_memory_not_equal(e[0].reset_digest, e[5].reset_digest, 32);
}

// ---- not the same ---------------------------------------------------------------------------------

static void the_first_difference_is_named(void **state) {
    (void)state;
    static const struct {
        mood        how;
        int32_t     turn, at;
        const char *word;
    } cases[] = {
        {OTHER_SIGHT, -1, MG_DIFFERS_RESET, "observation"}, {OTHER_SIGHT, 0, 1, "observation"},
        {OTHER_SIGHT, 1, 2, "observation"},  {OTHER_SIGHT, 2, -1, ""}, // behind the end nobody looks
        {OTHER_REWARD, 0, 0, "reward"},      {OTHER_REWARD, 2, 2, "reward"},
        {NO_REWARD, 1, 1, "reward"},         {OTHER_STATUS, 1, 1, "status"},
        {OTHER_ERROR, 2, 2, "error"},        {ENDS, 0, 1, "length"}, {ENDS, 1, 2, "length"},
        {CUTS, 2, 2, "end"},                 {OTHER_STATE, -1, MG_DIFFERS_RESET, "digest"},
        {OTHER_STATE, 0, 1, "reward"},  {OTHER_STATE, 2, 2, "digest"},
        {BREAKS, 1, 1, "status"},            {REFUSES_RESET, -1, MG_DIFFERS_RESET, "digest"}};
    const mg_rollout  r     = scripted(&moody_class);
    const mg_start    start = {.item = 0};
    const mg_episode *e     = play(&r, &start, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        now_and_then.how = cases[i].how, now_and_then.turn = cases[i].turn;
        // A reset into another state shows the same here, and the call behind it does not.
        assert_differs(&r, e, cases[i].at, cases[i].word);
    }
}

// ---- from a store ---------------------------------------------------------------------------------

static void records_read_back_are_played_again(void **state) {
    (void)state;
    char       folder[] = "/tmp/mg-replay-XXXXXX";
    mg_start   starts[] = {{.item = 0}, {.item = ENDLESS, .episode = 1}, {.item = UNREADABLE, .episode = 2},
                           {.item = 1, .episode = 3}};
    mg_rollout r        = spoken(&moody_class);
    int32_t   *ids;
    int64_t    n;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mg_tokenizer_encode(words, "old mill", 8, false, &arena, &ids, &n), MG_OK);
    starts[3].prefix = ids, starts[3].n_prefix = n;
    const mg_episode *played = play(&r, starts, 4);
    for (int how = 0; how < 2; how++) {
        const char *path = mg_path(&arena, "%s/%d.db", folder, how);
        mg_store   *s;
        mg_episode *e;
        now_and_then.how = USUAL;
        assert_int_equal(mg_store_open(&s, path), MG_OK);
        mg_store_record(s, how ? MG_RECORD_REPLAYABLE : MG_RECORD_FULL);
        assert_int_equal(mg_store_life(s, 0, ""), MG_OK);
        assert_int_equal(mg_store_begin(s, 0), MG_OK);
        for (int i = 0; i < 4; i++) assert_int_equal(mg_store_episode(s, &played[i]), MG_OK);
        assert_int_equal(mg_store_commit(s), MG_OK);
        assert_int_equal(mg_store_close(s), MG_OK);
        assert_int_equal(mg_store_open(&s, path), MG_OK);
        assert_int_equal(mg_store_episodes_read(s, 0, 1, 9, &arena, &e, &n), MG_OK);
        assert_int_equal(n, 4);
        assert_true((e[0].turns[0].observation == NULL) == how);
        for (int i = 0; i < 4; i++) assert_differs(&r, &e[i], -1, "");
        // What a replayable record does not have is not compared; what it has, is.
        now_and_then.how = OTHER_SIGHT, now_and_then.turn = 0;
        assert_differs(&r, &e[0], how ? -1 : 1, how ? "" : "observation");
        now_and_then.how = OTHER_REWARD, now_and_then.turn = 1;
        assert_differs(&r, &e[0], 1, "reward");
        now_and_then.how = OTHER_STATE, now_and_then.turn = 2;
        assert_differs(&r, &e[0], 2, "digest");
        assert_int_equal(mg_store_close(s), MG_OK);
    }
    assert_int_equal(system(mg_path(&arena, "rm -r %s", folder)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_the_same_does_not_differ, usual),
        cmocka_unit_test_setup(failures_fail_again, usual),
        cmocka_unit_test_setup(choices_and_numbers, usual),
        cmocka_unit_test_setup(a_language_models_episodes, usual),
        cmocka_unit_test_setup(episodes_behind_demonstrations, usual),
        cmocka_unit_test_setup(the_first_difference_is_named, usual),
        cmocka_unit_test_setup(records_read_back_are_played_again, usual),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
