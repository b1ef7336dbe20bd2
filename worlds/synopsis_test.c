// Goal:   a reset into a prefix is the state that the same words lead to, and the reward is what
//         the reward function says of the whole answer, once, at the end.
// Method: three pairs and a reward function that remembers what it was asked.
#include "worlds/synopsis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const mg_pair pairs[] = {
    {"lamp: turns the lights of a model railway on", "light switch for model railways"},
    {"kiln: keeps records of pottery firings", "log book for potters"},
    {"reed: tunes organ pipes by ear", "organ pipe tuner"},
};

typedef struct asked {
    int    times;
    char   prompt[64], answer[64];
    double say;
} asked;

static mg_reward remember(void *context, const char *prompt, const char *answer, size_t size) {
    asked *a = context;
    a->times++;
    snprintf(a->prompt, sizeof a->prompt, "%s", prompt);
    snprintf(a->answer, sizeof a->answer, "%.*s", (int)size, answer);
    return mg_reward_of(a->say);
}

typedef struct fixture {
    asked             asked;
    mg_synopsis_world world;
    mg_env            env;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->world   = (mg_synopsis_world){pairs, 3, remember, &f->asked};
    f->env     = (mg_env){&mg_synopsis_class, &f->world, malloc(mg_synopsis_class.state_size)};
    memset(f->env.state, 0xAA, mg_synopsis_class.state_size); // what was there must not matter
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    free(f->env.state);
    free(f);
    return 0;
}

static mg_err reset(fixture *f, uint64_t seed, int64_t item, const char *prefix, mg_value *seen) {
    const mg_reset_options options = {
        .item = item, .prefix = prefix, .prefix_size = prefix ? strlen(prefix) : 0};
    return f->env.class->reset(&f->env, seed, &options, 0, seen);
}

static mg_err say(fixture *f, const char *text, bool open, mg_transition *t) {
    const mg_value action = {
        .kind = MG_SPACE_TEXT, .text = text, .size = strlen(text), .open = open};
    return f->env.class->step(&f->env, &action, 0, t);
}

static void the_whole_answer_is_rewarded_once_at_the_end(void **state) {
    fixture      *f = *state;
    mg_value      seen;
    mg_transition t;
    f->asked.say = 0.25;
    assert_int_equal(reset(f, 7, 1, "log ", &seen), MG_OK);
    assert_int_equal(seen.kind, MG_SPACE_TEXT);
    assert_string_equal(seen.text, pairs[1].prompt);
    assert_int_equal(seen.size, strlen(pairs[1].prompt));

    assert_int_equal(say(f, "book", true, &t), MG_OK);
    assert_false(t.terminated || t.truncated);
    assert_int_equal(t.reward.kind, MG_REWARD_VALUE);
    assert_true(t.reward.value == 0);
    assert_int_equal(f->asked.times, 0);

    assert_int_equal(say(f, " of fires", false, &t), MG_OK);
    assert_true(t.terminated && !t.truncated);
    assert_int_equal(t.reward.kind, MG_REWARD_VALUE);
    assert_true(t.reward.value == 0.25);
    assert_int_equal(f->asked.times, 1);
    assert_string_equal(f->asked.prompt, pairs[1].prompt);
    assert_string_equal(f->asked.answer, "log book of fires");
    assert_int_equal(say(f, "more", false, &t), MG_CONFIG);
    assert_int_equal(f->asked.times, 1);
}

static void a_reset_into_a_prefix_is_the_state_the_words_lead_to(void **state) {
    fixture      *f = *state;
    uint8_t       jumped[32], walked[32], other[32];
    mg_value      seen;
    mg_transition t;
    assert_int_equal(reset(f, 1, 2, "organ pipe", &seen), MG_OK);
    mg_env_digest(&f->env, jumped);

    assert_int_equal(reset(f, 9, 2, NULL, &seen), MG_OK);
    assert_int_equal(say(f, "organ", true, &t), MG_OK);
    mg_env_digest(&f->env, other);
    assert_int_equal(say(f, " pipe", true, &t), MG_OK);
    mg_env_digest(&f->env, walked);
    assert_memory_equal(jumped, walked, 32);
    assert_memory_not_equal(jumped, other, 32);

    assert_int_equal(reset(f, 1, 0, "organ pipe", &seen), MG_OK); // another item
    mg_env_digest(&f->env, other);
    assert_memory_not_equal(jumped, other, 32);
    assert_int_equal(reset(f, 1, 2, "organ pipe", &seen), MG_OK); // nothing of before is left
    mg_env_digest(&f->env, other);
    assert_memory_equal(jumped, other, 32);
}

static void the_seed_draws_every_item_and_always_the_same(void **state) {
    fixture *f       = *state;
    int      seen[3] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        mg_value first, again;
        assert_int_equal(reset(f, seed, -1, NULL, &first), MG_OK);
        assert_int_equal(reset(f, seed, -1, NULL, &again), MG_OK);
        assert_ptr_equal(first.text, again.text);
        for (int i = 0; i < 3; i++) seen[i] += first.text == pairs[i].prompt;
    }
    // Mean 100, standard deviation 8.2: five of them to either side.
    for (int i = 0; i < 3; i++) assert_in_range(seen[i], 59, 141);
}

static void without_a_reward_function_the_reward_is_absent(void **state) {
    fixture      *f = *state;
    mg_value      seen;
    mg_transition t;
    f->world.reward = NULL;
    assert_int_equal(reset(f, 0, 0, NULL, &seen), MG_OK);
    assert_int_equal(say(f, "switch", false, &t), MG_OK);
    assert_true(t.terminated);
    assert_int_equal(t.reward.kind, MG_REWARD_ABSENT);
    assert_string_equal(t.reward.reason, "no reward function");
}

static void what_does_not_fit_or_exist_is_refused(void **state) {
    fixture      *f = *state;
    mg_value      seen;
    mg_transition t;
    static char   full[MG_SYNOPSIS_ANSWER_MAX + 2];
    memset(full, 'x', MG_SYNOPSIS_ANSWER_MAX);
    assert_int_equal(reset(f, 0, 3, NULL, &seen), MG_CONFIG);
    assert_int_equal(reset(f, 0, -2, NULL, &seen), MG_CONFIG);
    assert_int_equal(reset(f, 0, 0, full, &seen), MG_OK); // exactly full
    assert_int_equal(say(f, "", true, &t), MG_OK);
    assert_int_equal(say(f, "y", true, &t), MG_LIMIT);
    full[MG_SYNOPSIS_ANSWER_MAX] = 'x';
    assert_int_equal(reset(f, 0, 0, full, &seen), MG_LIMIT);
    f->world.n = 0;
    assert_int_equal(reset(f, 0, -1, NULL, &seen), MG_EMPTY);
}

static void the_class_says_what_it_offers(void **state) {
    fixture *f = *state;
    assert_true(f->env.class->resets);
    assert_int_equal(f->env.class->items(&f->env), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_whole_answer_is_rewarded_once_at_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reset_into_a_prefix_is_the_state_the_words_lead_to,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_seed_draws_every_item_and_always_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_reward_function_the_reward_is_absent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_or_exist_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_class_says_what_it_offers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
