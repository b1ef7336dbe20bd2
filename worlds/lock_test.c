// Goal:   a lock pays what its header says for every text, a reset into a prefix is the state that the same
//         symbols lead to, and the texts that priors learn from are right as often as they were asked to be.
// Method: all 256 texts of the lock of four, counted by what they earn; pieces against wholes; binomial
//         bounds of 5 standard deviations.
#include "worlds/lock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mg_lock_world world;
static mg_env        env, other;

static int setup(void **state) {
    (void)state;
    world = (mg_lock_world){0};
    for (mg_env *e = &env; e; e = e == &env ? &other : NULL) {
        *e = (mg_env){&mg_lock_class, &world, malloc(mg_lock_class.state_size)};
        memset(e->state, 0xAA, mg_lock_class.state_size); // what was there must not matter
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(env.state);
    free(other.state);
    return 0;
}

static void begin(mg_env *e, int64_t item, const char *prefix) {
    const mg_reset_options o = {.item = item, .prefix = prefix, .prefix_size = prefix ? strlen(prefix) : 0};
    mg_value seen;
    assert_int_equal(mg_lock_class.reset(e, 1, &o, 0, &seen), MG_OK);
    char want[32];
    snprintf(want, sizeof want, "open %d", (int)item + 1);
    assert_string_equal(seen.text, want);
}

static double say(mg_env *e, const char *text, bool open) {
    const mg_value a = {.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text), .open = open};
    mg_transition  t;
    double         paid;
    assert_int_equal(mg_lock_class.step(e, &a, 0, &t), MG_OK);
    assert_int_equal(t.terminated, !open);
    assert_true(mg_reward_value(&t.reward, &paid));
    return paid;
}

static double play(int64_t item, const char *text) {
    begin(&env, item, NULL);
    return say(&env, text, false);
}

static void same_state(void) {
    uint8_t a[32], b[32];
    mg_env_digest(&env, a);
    mg_env_digest(&other, b);
    assert_memory_equal(a, b, 32);
}

// Of texts of four symbols: three quarters begin wrong, and so on.
static void every_text_of_four_earns_what_it_should(void **state) {
    (void)state;
    int graded[5] = {0}, opened = 0, decoys = 0, nothing = 0;
    for (int i = 0; i < 256; i++) {
        const char text[5] = {(char)('a' + (i & 3)), (char)('a' + (i >> 2 & 3)), (char)('a' + (i >> 4 & 3)),
                              (char)('a' + (i >> 6)), 0};
        world.outcome     = false;
        const double part = play(3, text);
        assert_true(part == floor(4 * part) / 4);
        graded[(int)(4 * part)]++;
        world.outcome     = true;
        world.decoy       = 0.25;
        const double paid = play(3, text);
        assert_true(paid == (part == 1 ? 1 : part == 0 ? 0.25 : 0));
        world.decoy = 0;
        assert_true(play(3, text) == (part == 1));
        opened += paid == 1, decoys += paid == 0.25, nothing += paid == 0;
    }
    const int want[5] = {192, 48, 12, 3, 1};
    assert_memory_equal(graded, want, sizeof want);
    assert_int_equal(opened, 1);
    assert_int_equal(decoys, 192);
    assert_int_equal(nothing, 63);
}

static void saying_nothing_too_little_or_too_much(void **state) {
    (void)state;
    char word[MG_LOCK_STEPS + 1], text[MG_LOCK_STEPS + 8];
    mg_lock_text(7, 1, NULL, word);
    assert_int_equal(strlen(word), 8);
    for (int outcome = 0; outcome < 2; outcome++) {
        world = (mg_lock_world){.outcome = outcome, .decoy = 0.25}; // no decoy where the reward is graded
        assert_true(play(7, "") == 0);
        assert_true(play(7, word) == 1);
        snprintf(text, sizeof text, "%s and on", word); // nobody listens any more
        assert_true(play(7, text) == 1);
        snprintf(text, sizeof text, "%.7s", word);
        assert_true(play(7, text) == (outcome ? 0 : 0.875));
        snprintf(text, sizeof text, "%.3s%s", word, word + 4); // one left out
        assert_true(play(7, text) < 1);
        assert_true(play(7, "?") == (outcome ? 0.25 : 0));
    }
}

static void locks_have_combinations_of_their_own(void **state) {
    (void)state;
    char one[MG_LOCK_STEPS + 1], two[MG_LOCK_STEPS + 1];
    for (int64_t i = 4; i < MG_LOCK_STEPS; i++) // of five symbols and more: 66 pairs among 1024 beginnings
        for (int64_t j = 4; j < i; j++) {
            mg_lock_text(i, 1, NULL, one);
            mg_lock_text(j, 1, NULL, two);
            assert_true(strncmp(one, two, 5) != 0);
        }
}

// From a prefix, from pieces, from one text: one state, and one reward.
static void pieces_are_the_whole(void **state) {
    (void)state;
    char word[MG_LOCK_STEPS + 1], head[MG_LOCK_STEPS + 1];
    mg_lock_text(11, 1, NULL, word);
    for (int cut = 0; cut <= 12; cut++) {
        for (int wrong = 0; wrong < 2; wrong++) {
            snprintf(head, sizeof head, "%.*s", cut, word);
            if (wrong && cut) head[cut - 1] = head[cut - 1] == 'a' ? 'b' : 'a';
            begin(&env, 11, head);
            begin(&other, 11, NULL);
            assert_true(say(&other, head, true) == 0);
            same_state();
            const double paid = say(&env, word + cut, false);
            assert_true(paid == say(&other, word + cut, false));
            assert_true(paid == (wrong && cut ? (cut - 1) / 12.0 : 1));
            same_state();
        }
    }
}

static void texts_are_right_as_often_as_asked(void **state) {
    (void)state;
    enum { N = 4000 };
    char   word[MG_LOCK_STEPS + 1], text[MG_LOCK_STEPS + 1];
    mg_rng rng = mg_rng_stream(5, MG_PURPOSE_TEST, 0);
    int    right[MG_LOCK_STEPS] = {0}, shift[MG_LOCK_SYMBOLS] = {0};
    mg_lock_text(15, 1, NULL, word);
    for (int i = 0; i < N; i++) {
        mg_lock_text(15, 0.7, &rng, text);
        assert_int_equal(strlen(text), 16);
        for (int h = 0; h < 16; h++) {
            assert_true(text[h] >= 'a' && text[h] <= 'd');
            right[h] += text[h] == word[h];
            shift[(text[h] - word[h] + 4) % 4]++;
        }
    }
    for (int h = 0; h < 16; h++) assert_true(fabs(right[h] - 0.7 * N) < 5 * sqrt(N * 0.21));
    for (int k = 1; k < 4; k++) assert_true(fabs(shift[k] - 0.1 * 16 * N) < 5 * sqrt(16 * N * 0.09));
}

static void scripts_open_or_do_not(void **state) {
    (void)state;
    mg_rng rng    = mg_rng_stream(6, MG_PURPOSE_TEST, 0);
    int    opened = 0;
    for (int64_t item = 0; item < MG_LOCK_STEPS; item++) {
        mg_value a;
        begin(&env, item, NULL);
        assert_int_equal(mg_env_script(&mg_lock_class, "oracle")->act(&env, &rng, &a), MG_OK);
        assert_true(say(&env, a.text, false) == 1);
        begin(&other, item, NULL); // what a script was about to say is no part of the state
        mg_transition t;
        assert_int_equal(mg_env_script(&mg_lock_class, "noisy")->act(&other, &rng, &a), MG_OK);
        assert_int_equal(mg_lock_class.step(&other, &a, 0, &t), MG_OK);
        opened += t.reward.value == 1;
    }
    assert_true(opened < 12); // .7 + .49 + ... = 2.3 are expected
}

static void what_cannot_be_asked_is_refused(void **state) {
    (void)state;
    mg_value      seen;
    mg_transition t;
    const mg_value a = {.kind = MG_SPACE_TEXT, .text = "a", .size = 1};
    assert_int_equal(mg_lock_class.items(&env), 16);
    assert_int_equal(mg_lock_class.reset(&env, 1, &(mg_reset_options){.item = 16}, 0, &seen), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "item 16, wanted 0 to 15"));
    begin(&env, 0, NULL);
    assert_int_equal(mg_lock_class.step(&env, &a, 0, &t), MG_OK);
    assert_int_equal(mg_lock_class.step(&env, &a, 0, &t), MG_CONFIG);
    assert_int_equal(mg_lock_class.reset(&env, 1, &(mg_reset_options){.item = -1}, 0, &seen), MG_OK);
    assert_memory_equal(seen.text, "open ", 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_text_of_four_earns_what_it_should),
        TEST(saying_nothing_too_little_or_too_much),
        TEST(locks_have_combinations_of_their_own),
        TEST(pieces_are_the_whole),
        TEST(texts_are_right_as_often_as_asked),
        TEST(scripts_open_or_do_not),
        TEST(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
