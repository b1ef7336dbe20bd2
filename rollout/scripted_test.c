// Goal:   a script's episodes are what it did and what the world answered, in text or numbers; what the
//         world does wrong stays in its episode, what the script cannot do ends the call.
// Method: the counting world, and a dot on a line, defined here; both played once more by hand.
#include "rollout/scripted.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "harness/attribution.h"
#include "rollout/counting.h"
#include "rollout/replay.h"
#include "rollout/record.h"

static mg_arena arena;

static int enter(void **state) {
    (void)state;
    return mg_arena_init(&arena, "episodes", (size_t)1 << 30);
}

static int leave(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static mg_episode *played(const mg_env_class *class, const char *script, const mg_start *starts,
                          int64_t n, uint64_t seed) {
    mg_episode *e = MG_NEW(&arena, mg_episode, n);
    counting_opened = counting_closed = 0;
    const mg_rollout how = {.class = class, .script = mg_env_script(class, script), .seed = seed};
    if (mg_scripted_run(&how, starts, n, 0, 0, &arena, e))
        fail_msg("%s", mg_err_detail());
    assert_int_equal(counting_opened, counting_closed);
    return e;
}

static void a_record_is_what_was_done(void **state) {
    (void)state;
    const mg_start    start = {.item = COUNTING_OTHER, .episode = 4};
    const mg_episode *e     = played(&counting_class, "oracle", &start, 1, 7);
    uint32_t          sum   = (uint32_t)(e->seed % 1000);
    char              text[32];
    assert_int_equal(e->verdict, MG_CLEAN);
    assert_null(e->code);
    assert_int_equal(e->code_turn, -1);
    assert_int_equal(e->n_turns, COUNTING_TURNS);
    assert_true(e->terminated && !e->truncated);
    assert_int_equal(e->n_tokens, 0);
    assert_int_equal(e->start.item, COUNTING_OTHER);
    assert_int_equal(e->start.episode, 4);
    counted now = {.item = COUNTING_OTHER, .sum = sum};
    uint8_t digest[32];
    SHA256((const uint8_t *)&now, sizeof now, digest);
    assert_memory_equal(e->reset_digest, digest, 32);
    for (int64_t k = 0; k < e->n_turns; k++) {
        snprintf(text, sizeof text, "sum %u", sum);
        assert_int_equal(e->turns[k].observation_size, strlen(text));
        assert_string_equal(e->turns[k].observation, text);
        snprintf(text, sizeof text, "add %u", sum % 4);
        assert_int_equal(e->turns[k].action_size, strlen(text));
        assert_string_equal(e->turns[k].action, text);
        for (const char *c = text; *c; c++) sum = (sum * 31 + (uint8_t)*c) % 1000;
        assert_true(e->turns[k].reward.kind == MG_REWARD_VALUE &&
                    e->turns[k].reward.value == (sum % 2 == 0));
        snprintf(text, sizeof text, "sum/%u", sum);
        assert_string_equal(e->turns[k].evidence.touched[0].key, text);
    }
    now.turn = COUNTING_TURNS, now.sum = sum;
    SHA256((const uint8_t *)&now, sizeof now, digest);
    assert_memory_equal(e->end_digest, digest, 32);
}

// The same episodes alone and in another order.
static void draws_do_not_depend_on_company(void **state) {
    (void)state;
    enum { N = 5 };
    mg_start starts[N], turned[N];
    bool     differ = false;
    for (uint32_t i = 0; i < N; i++)
        starts[i] = turned[N - 1 - i] = (mg_start){.item = COUNTING_GOOD, .episode = i / 2, .attempt = i % 2};
    const mg_episode *e = played(&counting_class, "floor", starts, N, 7);
    const mg_episode *back = played(&counting_class, "floor", turned, N, 7);
    const mg_episode *other = played(&counting_class, "floor", starts, N, 8);
    for (int i = 0; i < N; i++) {
        const mg_episode *alone = played(&counting_class, "floor", &starts[i], 1, 7);
        assert_true(alone->seed == e[i].seed && back[N - 1 - i].seed == e[i].seed);
        assert_true(other[i].seed != e[i].seed && e[i].seed != e[(i + 1) % N].seed);
        assert_memory_equal(alone->end_digest, e[i].end_digest, 32);
        assert_memory_equal(back[N - 1 - i].end_digest, e[i].end_digest, 32);
        for (int64_t k = 1; k < COUNTING_TURNS; k++)
            differ |= e[i].turns[k].action[0] != e[i].turns[0].action[0];
    }
    assert_true(differ); // each turn has a draw of its own
}

static void faults_are_verdicts_and_the_scripts_are_errors(void **state) {
    (void)state;
    const mg_start    starts[] = {{.item = COUNTING_STEP_FAILS}, {.item = -3, .episode = 1},
                                  {.item = COUNTING_GOOD, .episode = 2}};
    const mg_episode *e = played(&counting_class, "oracle", starts, 3, 7);
    mg_episode        dropped[1];
    assert_int_equal(e[0].verdict, MG_QUARANTINED);
    assert_string_equal(e[0].code, "E.capacity"); // the world's own word
    assert_string_equal(e[0].detail, "the abacus is full");
    assert_int_equal(e[0].n_turns, 2);
    assert_int_equal(e[0].code_turn, 1);
    assert_string_equal(e[1].code, "E.reset");
    assert_int_equal(e[1].code_turn, -1);
    assert_int_equal(e[1].n_turns, 0);
    assert_int_equal(e[2].verdict, MG_CLEAN);
    assert_null(mg_env_script(&counting_class, "nobody"));
    counting_opened = counting_closed = 0;
    const mg_rollout lost = {.class = &counting_class, .script = mg_env_script(&counting_class, "lost")};
    assert_int_equal(mg_scripted_run(&lost, &starts[2], 1, 0, 0, &arena, dropped), MG_UNSUPPORTED);
    assert_int_equal(counting_opened, 1);
    assert_int_equal(counting_closed, 1);
}

// ---- a dot on a line: place and speed, pushed left or right, or by a force of two numbers -----------

typedef struct dot {
    float x[2], push[2];
} dot;

static mg_err dot_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now,
                        mg_value *seen) {
    (void)o, (void)now;
    dot *d  = e->state;
    *d      = (dot){.x = {(float)(seed % 100) / 7, 0}};
    *seen   = (mg_value){.kind = MG_SPACE_VECTOR, .vector = d->x};
    return MG_OK;
}

static mg_err dot_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    (void)now;
    dot *d = e->state;
    if (action->kind == MG_SPACE_VECTOR) d->push[0] = action->vector[0], d->push[1] = action->vector[1];
    d->x[1] += action->kind == MG_SPACE_DISCRETE ? (float)action->index - 1 : action->vector[0];
    d->x[0] += d->x[1];
    *out = (mg_transition){.observation = {.kind = MG_SPACE_VECTOR, .vector = d->x},
                           .reward = mg_reward_of(d->x[0] < 3 ? -(double)d->x[0] : NAN)};
    return MG_OK;
}

static mg_err push_left(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e, (void)rng;
    *action = (mg_value){.kind = MG_SPACE_DISCRETE, .index = 0};
    return MG_OK;
}

static mg_err force(const mg_env *e, mg_rng *rng, mg_value *action) {
    dot *d = e->state;
    (void)rng;
    d->push[0] = -1.0f / 3, d->push[1] = 1000.00006103515625f; // the next float after 1000
    *action = (mg_value){.kind = MG_SPACE_VECTOR, .vector = d->push};
    return MG_OK;
}

static mg_env_class dot_class(mg_space_kind action, int64_t n) {
    static const mg_script scripts[] = {{"left", "", push_left}, {"force", "", force}, {0}};
    return (mg_env_class){.name = "dot", .observation = {.kind = MG_SPACE_VECTOR, .n = 2},
                          .action = {.kind = action, .n = n}, .state_size = sizeof(dot), .steps_max = 6,
                          .reset = dot_reset, .step = dot_step, .scripts = scripts};
}

static void numbers_are_written_as_bytes_and_decimals(void **state) {
    (void)state;
    const mg_env_class choice = dot_class(MG_SPACE_DISCRETE, 3), pushed = dot_class(MG_SPACE_VECTOR, 2);
    mg_start           start  = {.item = 0};
    // An episode that begins left of 2.7: its rewards are numbers for all six steps.
    while (mg_record_seed(7, 0, &start) % 100 >= 19) start.episode++;
    const mg_episode *e = played(&choice, "left", &start, 1, 7), *f = played(&pushed, "force", &start, 1, 7);
    float             x[2] = {(float)(e->seed % 100) / 7, 0};
    assert_int_equal(e->n_turns, 6); // the class's limit
    assert_true(e->truncated && !e->terminated);
    for (int64_t k = 0; k < 6; k++) {
        assert_int_equal(e->turns[k].observation_size, sizeof x);
        assert_memory_equal(e->turns[k].observation, x, sizeof x);
        assert_int_equal(e->turns[k].action_size, 1);
        assert_string_equal(e->turns[k].action, "0");
        x[1] -= 1, x[0] += x[1];
        float push[2];
        assert_int_equal(f->turns[k].action_size, strlen(f->turns[k].action));
        assert_int_equal(sscanf(f->turns[k].action, "%f %f", &push[0], &push[1]), 2);
        assert_true(push[0] == -1.0f / 3 && push[1] == 1000.00006103515625f); // every bit
    }
    // Both are played again from what is written, the forces too.
    for (int i = 0; i < 2; i++) {
        const mg_rollout r = {.class = i ? &pushed : &choice};
        mg_episode       again;
        char             what[64];
        mg_replay(&r, i ? f : e, &arena, &again);
        if (mg_episode_differs(i ? f : e, &again, what) != -1) fail_msg("%d: %s", i, what);
        assert_string_equal(again.turns[5].action, (i ? f : e)->turns[5].action);
    }
    // And one that begins right of it ends with what is no reward.
    start.episode = 0;
    while (mg_record_seed(7, 0, &start) % 100 < 90) start.episode++;
    e = played(&choice, "left", &start, 1, 7);
    assert_string_equal(e->code, "V.invalid");
    assert_int_equal(e->code_turn, 0);
    assert_int_equal(e->turns[0].reward.kind, MG_REWARD_INVALID);
}

// ---- any world that lists its actions ------------------------------------------------------------------

static int64_t two_words(const mg_env *e, const char *const **actions) {
    static const char *const words[] = {"add 1", "add 2"};
    (void)e;
    *actions = words;
    return 2;
}

static int64_t no_words(const mg_env *e, const char *const **actions) {
    (void)e;
    *actions = NULL;
    return 0;
}

static mg_episode *played_at_random(const mg_env_class *class) {
    enum { N = 40 };
    mg_start    starts[N];
    mg_episode *e = MG_NEW(&arena, mg_episode, N);
    for (uint32_t i = 0; i < N; i++) starts[i] = (mg_start){.item = COUNTING_GOOD, .episode = i};
    const mg_rollout how = {.class = class, .script = mg_scripted_random(class), .seed = 3};
    assert_int_equal(mg_scripted_run(&how, starts, N, 0, 0, &arena, e), MG_OK);
    return e;
}

// Of 40 first draws each choice has its share, within four deviations of a fair draw's.
static void random_takes_any_action_that_is_listed(void **state) {
    (void)state;
    mg_env_class       words = counting_class, choice = dot_class(MG_SPACE_DISCRETE, 3);
    const mg_env_class push  = dot_class(MG_SPACE_VECTOR, 2);
    int                seen[3] = {0}, said[2] = {0};
    words.admissible    = two_words;
    const mg_episode *e = played_at_random(&words);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(e[i].turns[0].action_size, 5);
        assert_memory_equal(e[i].turns[0].action, "add ", 4);
        said[e[i].turns[0].action[4] - '1']++;
    }
    assert_in_range(said[0], 8, 32);
    assert_in_range(said[1], 8, 32);
    e = played_at_random(&choice);
    for (int i = 0; i < 40; i++) seen[e[i].turns[0].action[0] - '0']++;
    for (int i = 0; i < 3; i++) assert_in_range(seen[i], 2, 26);
    words.admissible = no_words;
    e                = played_at_random(&words);
    assert_int_equal(e[0].turns[0].action_size, 0); // the world says what it thinks of that
    words.admissible = NULL;
    assert_null(mg_scripted_random(&words));
    assert_null(mg_scripted_random(&push));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_what_was_done),
        cmocka_unit_test(draws_do_not_depend_on_company),
        cmocka_unit_test(faults_are_verdicts_and_the_scripts_are_errors),
        cmocka_unit_test(numbers_are_written_as_bytes_and_decimals),
        cmocka_unit_test(random_takes_any_action_that_is_listed),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
