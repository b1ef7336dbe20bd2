// Goal:   a reward that is not a number never becomes one, and a digest is what it says.
#include "env/env.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "env/episode.h"

static void a_finite_number_is_a_value_with_the_same_bits(void **state) {
    (void)state;
    const double numbers[] = {0.0, -0.0, 1e-320, -1.5, 1.7976931348623157e308};
    for (int i = 0; i < 5; i++) {
        const mg_reward r = mg_reward_of(numbers[i]);
        double          x = 7;
        assert_int_equal(r.kind, MG_REWARD_VALUE);
        assert_true(mg_reward_value(&r, &x));
        assert_memory_equal(&x, &numbers[i], sizeof x);
    }
}

static void what_is_no_number_stays_none(void **state) {
    (void)state;
    const mg_reward none[] = {mg_reward_of(NAN),         mg_reward_of(INFINITY),
                              mg_reward_of(-INFINITY),   mg_reward_absent("nobody looked"),
                              mg_reward_invalid("text"), {0}};
    const mg_reward_kind kinds[]   = {MG_REWARD_INVALID, MG_REWARD_INVALID, MG_REWARD_INVALID,
                                      MG_REWARD_ABSENT,  MG_REWARD_INVALID, MG_REWARD_ABSENT};
    const char *const    reasons[] = {"not a finite number", "not a finite number",
                                      "not a finite number", "nobody looked", "text"};
    for (int i = 0; i < 6; i++) {
        double x = 7;
        assert_int_equal(none[i].kind, kinds[i]);
        if (i < 5) assert_string_equal(none[i].reason, reasons[i]);
        assert_false(mg_reward_value(&none[i], &x));
        assert_true(x == 7);
    }
}

static mg_reward return_of(mg_turn *turns, int64_t n) {
    const mg_episode e = {.turns = turns, .n_turns = n};
    return mg_episode_return(&e);
}

static void a_return_is_the_sum_or_the_first_that_is_no_number(void **state) {
    (void)state;
    mg_turn   turns[3] = {{.reward = mg_reward_of(0.5)},
                          {.reward = mg_reward_of(-2)},
                          {.reward = mg_reward_of(4)}};
    mg_reward r        = return_of(turns, 3);
    assert_int_equal(r.kind, MG_REWARD_VALUE);
    assert_true(r.value == 2.5);

    turns[1].reward = mg_reward_absent("late");
    turns[2].reward = mg_reward_invalid("odd");
    r               = return_of(turns, 3);
    assert_int_equal(r.kind, MG_REWARD_ABSENT);
    assert_string_equal(r.reason, "late");

    turns[0].reward = turns[1].reward = mg_reward_of(1.7976931348623157e308);
    assert_int_equal(return_of(turns, 2).kind, MG_REWARD_INVALID); // the sum is infinite
    assert_int_equal(return_of(turns, 0).kind, MG_REWARD_ABSENT);
}

// FIPS 180-2, appendix B.1: SHA-256 of "abc".
static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

static void own_digest(const mg_env *e, uint8_t out[32]) { memset(out, *(char *)e->state, 32); }

static void a_digest_is_the_hash_of_the_state_unless_the_class_has_its_own(void **state) {
    (void)state;
    char         bytes[] = "abcd"; // the class's state is its first three
    mg_env_class class   = {.state_size = 3};
    const mg_env e       = {.class = &class, .state = bytes};
    uint8_t      digest[32];
    mg_env_digest(&e, digest);
    assert_memory_equal(digest, abc, 32);

    class.digest = own_digest;
    mg_env_digest(&e, digest);
    for (int i = 0; i < 32; i++) assert_int_equal(digest[i], 'a');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finite_number_is_a_value_with_the_same_bits),
        cmocka_unit_test(what_is_no_number_stays_none),
        cmocka_unit_test(a_return_is_the_sum_or_the_first_that_is_no_number),
        cmocka_unit_test(a_digest_is_the_hash_of_the_state_unless_the_class_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
