// Goal:   what a record of a world of vectors holds comes back as the numbers that went in, to the bit; what it does
//         not hold is said not to be there, never made up.
// Method: floats of every size through mg_record_value and back; turns cut, missing and spoilt by hand; a store's note.
#include "rollout/numbers.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "rollout/record.h"

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", 1 << 24) ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static void numbers_come_back_to_the_bit(void **state) {
    (void)state;
    const float    x[] = {0.1f, -0.0f, FLT_MIN, FLT_TRUE_MIN, -FLT_MAX, 1.f / 3, 16777217.f, -8.0000005f};
    enum { N = sizeof x / sizeof *x };
    const mg_space   space = {.kind = MG_SPACE_VECTOR, .n = N};
    const mg_value   value = {.kind = MG_SPACE_VECTOR, .vector = x};
    const mg_numbers n     = {.seen = N, .done = N};
    mg_turn          turn  = {0};
    float            back[N];
    turn.observation = mg_record_value(&value, &space, false, &arena, &turn.observation_size);
    turn.action      = mg_record_value(&value, &space, true, &arena, &turn.action_size);
    assert_true(mg_numbers_seen(&n, &turn, back));
    assert_memory_equal(back, x, sizeof x);
    memset(back, 1, sizeof back);
    assert_true(mg_numbers_done(&n, &turn, back));
    assert_memory_equal(back, x, sizeof x);
}

static void what_is_not_there_is_not_made_up(void **state) {
    (void)state;
    const float      x[3] = {1, 2, 3};
    const mg_numbers n = {.seen = 3, .done = 2}, texts = {0};
    float            back[3];
    mg_turn          turn = {.observation = (const char *)x, .observation_size = sizeof x, .action = "1 2"};
    assert_true(mg_numbers_seen(&n, &turn, back) && mg_numbers_done(&n, &turn, back));
    assert_false(mg_numbers_seen(&texts, &turn, back) || mg_numbers_done(&texts, &turn, back));
    turn.observation_size = sizeof x - 1, turn.action = "1";
    assert_false(mg_numbers_seen(&n, &turn, back) || mg_numbers_done(&n, &turn, back));
    turn.observation_size = sizeof x + 4, turn.action = "1 2 3";
    assert_false(mg_numbers_seen(&n, &turn, back) || mg_numbers_done(&n, &turn, back));
    turn.observation = NULL, turn.observation_size = sizeof x, turn.action = NULL; // a replayable record
    assert_false(mg_numbers_seen(&n, &turn, back) || mg_numbers_done(&n, &turn, back));
    turn.action = "1 left";
    assert_false(mg_numbers_done(&n, &turn, back));
}

static mg_numbers noted(mg_store *s) {
    mg_numbers n;
    assert_int_equal(mg_numbers_read(s, &arena, &n), MG_OK);
    return n;
}

static void a_run_says_what_its_record_is(void **state) {
    (void)state;
    char      folder[] = "/tmp/mg-numbers-XXXXXX";
    mg_store *s;
    const mg_env_class vectors = {.observation = {.kind = MG_SPACE_VECTOR, .n = 11},
                                  .action      = {.kind = MG_SPACE_VECTOR, .n = 3}},
                       chooses = {.observation = {.kind = MG_SPACE_VECTOR, .n = 4},
                                  .action      = {.kind = MG_SPACE_DISCRETE, .n = 2}},
                       texts   = {.observation = {.kind = MG_SPACE_TEXT, .n = 80},
                                  .action      = {.kind = MG_SPACE_TEXT, .n = 80}};
    assert_non_null(mkdtemp(folder));
    const char *path = mg_path(&arena, "%s/run.db", folder);
    assert_int_equal(mg_store_open(&s, path), MG_OK);
    mg_numbers n = noted(s);
    assert_true(n.seen == 0 && n.done == 0 && n.choices == 0);
    n = mg_numbers_of(&texts);
    assert_int_equal(mg_numbers_note(s, &n), MG_OK);
    char *text;
    assert_int_equal(mg_store_note_read(s, "numbers", &arena, &text), MG_EMPTY);
    n = mg_numbers_of(&vectors);
    assert_int_equal(mg_numbers_note(s, &n), MG_OK);
    n = noted(s);
    assert_true(n.seen == 11 && n.done == 3 && n.choices == 0);
    n = mg_numbers_of(&chooses);
    assert_int_equal(mg_numbers_note(s, &n), MG_OK);
    n = noted(s);
    assert_true(n.seen == 4 && n.done == 0 && n.choices == 2);
    assert_int_equal(mg_store_note(s, "numbers", "{\"observation\": -1, \"action\": 1, \"choices\": 0}"), MG_OK);
    assert_int_equal(mg_numbers_read(s, &arena, &n), MG_CORRUPT);
    assert_int_equal(mg_store_note(s, "numbers", "["), MG_OK);
    assert_int_equal(mg_numbers_read(s, &arena, &n), MG_CORRUPT);
    mg_store_close(s);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(numbers_come_back_to_the_bit), TEST(what_is_not_there_is_not_made_up),
                                       TEST(a_run_says_what_its_record_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
