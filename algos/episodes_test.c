// Goal:   an episode's first observation is the prompt and all else the answer, with every token's
//         role and log-probability at its place; equal prompts of one group are one prompt.
// Method: episodes of one and of two turns written out by hand.
#include "algos/episodes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int32_t a_tokens[] = {5, 6, 7, 1, 2, 3, 8, 9, 4, 0}, b_tokens[] = {5, 6, 7, 1, 0};
static int32_t c_tokens[] = {5, 6, 8, 1, 0}, d_tokens[] = {5, 6, 2};
static uint8_t a_role[] = {0, 0, 0, 1, 2, 2, 0, 0, 2, 2}, b_role[] = {0, 0, 0, 2, 2};
static float   a_logp[] = {0, 0, 0, -1, -2, -3, 0, 0, -4, -5}, b_logp[] = {0, 0, 0, -6, -7};
static mg_turn a_turns[] = {
    {.action_begin = 3, .action_end = 6, .reward = {MG_REWARD_VALUE, 1, ""}},
    {.action_begin = 8, .action_end = 10, .reward = {MG_REWARD_VALUE, 2, ""}}};
static mg_turn b_turn = {.action_begin = 3, .action_end = 5, .reward = {MG_REWARD_VALUE, 7, ""}};
static mg_turn d_turn = {.action_begin = 2, .action_end = 3};

static mg_episode of(int32_t group, int32_t *tokens, int64_t n, uint8_t *role, float *logp,
                     mg_turn *turns, int64_t n_turns) {
    return (mg_episode){.start.group = group, .tokens = tokens, .n_tokens = n, .role = role,
                        .logp = logp, .turns = turns, .n_turns = n_turns};
}

static void tokens_roles_and_offsets_are_in_place(void **state) {
    (void)state;
    mg_arena          arena;
    mg_episode_tokens t;
    const mg_episode  e[] = {of(0, a_tokens, 10, a_role, a_logp, a_turns, 2),
                             of(0, b_tokens, 5, b_role, b_logp, &b_turn, 1)};
    assert_int_equal(mg_arena_init(&arena, "test", 1 << 20), MG_OK);
    mg_episode_tokens_make(e, 2, &arena, &t);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.count, 9);
    const int64_t offset[]   = {0, 7, 9};
    const uint8_t role[]     = {1, 2, 2, 0, 0, 2, 2, 2, 2};
    const double  logp_old[] = {-1, -2, -3, 0, 0, -4, -5, -6, -7};
    assert_memory_equal(t.offset, offset, sizeof offset);
    assert_memory_equal(t.role, role, sizeof role);
    assert_memory_equal(t.logp_old, logp_old, sizeof logp_old);
    assert_int_equal(t.answers.n_answers, 2);
    assert_int_equal(t.answers.answers[0].n, 7);
    assert_memory_equal(t.answers.answers[0].tokens, a_tokens + 3, sizeof(int32_t) * 7);
    assert_int_equal(t.answers.n_prompts, 1); // one group, one prompt
    assert_int_equal(t.answers.prompts[0].n, 3);
    assert_int_equal(t.answers.answers[1].prompt, 0);
    mg_arena_release(&arena);
}

static void only_equal_prompts_of_one_group_are_shared(void **state) {
    (void)state;
    mg_arena          arena;
    mg_episode_tokens t;
    const mg_episode  e[] = {of(0, a_tokens, 10, a_role, a_logp, a_turns, 2),
                             of(1, b_tokens, 5, b_role, b_logp, &b_turn, 1), // another group
                             of(1, c_tokens, 5, b_role, b_logp, &b_turn, 1), // other tokens
                             of(1, d_tokens, 3, b_role, b_logp, &d_turn, 1), // a shorter one
                             of(1, d_tokens, 3, b_role, b_logp, &d_turn, 1),
                             of(1, b_tokens, 5, b_role, b_logp, &b_turn, 1)}; // goes on as that did
    assert_int_equal(mg_arena_init(&arena, "test", 1 << 20), MG_OK);
    mg_episode_tokens_make(e, 6, &arena, &t);
    const int32_t prompts[] = {0, 1, 2, 3, 3, 4};
    assert_int_equal(t.answers.n_prompts, 5);
    for (int i = 0; i < 6; i++) assert_int_equal(t.answers.answers[i].prompt, prompts[i]);
    assert_int_equal(t.answers.prompts[3].n, 2);
    mg_arena_release(&arena);
}

static void a_reward_model_stands_before_the_environment(void **state) {
    (void)state;
    mg_episode e = of(0, a_tokens, 10, a_role, a_logp, a_turns, 2);
    assert_true(mg_episode_reward(&e) == 3);
    e.learned = mg_reward_of(-0.5);
    assert_true(mg_episode_reward(&e) == -0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_roles_and_offsets_are_in_place),
        cmocka_unit_test(only_equal_prompts_of_one_group_are_shared),
        cmocka_unit_test(a_reward_model_stands_before_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
