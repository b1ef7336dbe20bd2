// Goal: sets made of others have the rows that D4RL's recipe names, and no episode runs into another unnoticed.
#include "store/sets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    mg_arena   arena;
    mg_replay *ring;
    char       path[64];
} fixture;

static const mg_replay_shape shape = {.obs = 2, .act = 1, .capacity = 8, .margin = 2};

static int begin(void **state) {
    static fixture f;
    snprintf(f.path, sizeof f.path, "/tmp/mg_sets_%d.bin", (int)getpid());
    unlink(f.path);
    if (mg_arena_init(&f.arena, "test", (size_t)1 << 24)) return 1;
    if (mg_replay_open(&f.ring, f.path, &shape)) return 1;
    *state = &f;
    return 0;
}

static int end(void **state) {
    fixture *f = *state;
    mg_replay_close(f->ring);
    mg_arena_release(&f->arena);
    unlink(f->path);
    return 0;
}

// Steps of the chain from -> from + 1 -> ...; the last is terminal or not.
static void add(fixture *f, int from, int n, bool terminal) {
    for (int i = 0; i < n; i++) {
        float s[2] = {(float)(from + i), 7}, next[2] = {(float)(from + i + 1), 7}, a = -.5f, r = (float)i;
        uint8_t t = terminal && i == n - 1;
        const mg_transitions row = {1, 2, 1, s, &a, &r, next, &t};
        assert_int_equal(mg_replay_add(f->ring, &row), MG_OK);
    }
}

static void a_buffer_becomes_episodes(void **state) {
    fixture  *f = *state;
    mg_logged l;
    add(f, 0, 2, true);
    add(f, 10, 3, false); // cut off: the next row begins elsewhere
    add(f, 20, 3, false); // with as many steps as a world of three allows
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 8, 2, 3, &f->arena, &l), MG_OK);
    const uint8_t terminal[8] = {0, 1, 0, 0, 0, 0, 0, 0}, timeout[8] = {0, 0, 0, 0, 1, 0, 0, 1};
    assert_int_equal(l.rows, 8);
    assert_memory_equal(l.terminal, terminal, 8);
    assert_memory_equal(l.timeout, timeout, 8);
    assert_true(l.action[0] == -1 && l.action[7] == -1); // in the world's units
    assert_true(l.observation[2 * 5] == 20 && l.next[2 * 4] == 13 && l.reward[4] == 2);
    assert_null(l.logp);
}

static void the_last_episode_is_open_unless_it_is_as_long_as_the_world_allows(void **state) {
    fixture  *f = *state;
    mg_logged l;
    add(f, 0, 2, true);
    add(f, 10, 4, false);
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 6, 1, 5, &f->arena, &l), MG_OK);
    assert_int_equal(l.timeout[5], 0);
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 6, 1, 4, &f->arena, &l), MG_OK);
    assert_int_equal(l.timeout[5], 1);
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 4, 1, 4, &f->arena, &l), MG_OK); // as it was earlier
    assert_true(l.rows == 4 && l.timeout[3] == 0 && l.terminal[1] == 1);
}

static void rows_that_made_room_are_not_made_up(void **state) {
    fixture  *f = *state;
    mg_logged l;
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 1, 1, 5, &f->arena, &l), MG_EMPTY);
    add(f, 0, 3, false);
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 4, 1, 5, &f->arena, &l), MG_LIMIT);
    add(f, 3, 6, false);
    assert_int_equal(mg_logged_of_replay(f->ring, &shape, 9, 1, 5, &f->arena, &l), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "holds rows 1 to 8"));
}

static void a_buffers_shape_is_read_from_its_file(void **state) {
    fixture        *f = *state;
    mg_replay_shape found;
    assert_int_equal(mg_replay_shape_read(f->path, &found), MG_OK);
    assert_memory_equal(&found, &shape, sizeof shape);
    assert_int_equal(mg_replay_shape_read("/tmp/mg_no_such_file.bin", &found), MG_IO);
    assert_int_equal(mg_replay_shape_read("README.md", &found), MG_CORRUPT);
}

// Four rows of two episodes, the second without an end; values from `first` on.
static mg_logged four(mg_arena *arena, float first, bool infos) {
    mg_logged l = {.rows = 4, .obs = 2, .act = 1};
    l.observation = MG_NEW(arena, float, 8), l.action = MG_NEW(arena, float, 4), l.reward = MG_NEW(arena, float, 4);
    l.terminal = MG_NEW(arena, uint8_t, 4), l.timeout = MG_NEW(arena, uint8_t, 4), l.logp = MG_NEW(arena, float, 4);
    for (int i = 0; i < 4; i++) l.observation[2 * i] = l.action[i] = l.reward[i] = l.logp[i] = first + (float)i;
    l.timeout[1] = 1;
    if (infos) {
        l.nq = 3, l.nv = 1;
        l.qpos = MG_NEW(arena, float, 12), l.qvel = MG_NEW(arena, float, 4);
        l.qpos[11] = first;
    }
    return l;
}

static void the_first_set_ends_with_its_last_finished_episode(void **state) {
    fixture        *f = *state;
    const mg_logged a = four(&f->arena, 0, true), b = four(&f->arena, 10, true), bare = four(&f->arena, 10, false);
    mg_logged       l;
    assert_int_equal(mg_logged_join(&a, &b, 100, &f->arena, &l), MG_OK);
    const float rewards[6] = {0, 1, 10, 11, 12, 13};
    assert_int_equal(l.rows, 6);
    assert_memory_equal(l.reward, rewards, sizeof rewards);
    assert_memory_equal(l.logp, rewards, sizeof rewards);
    assert_true(l.timeout[1] == 1 && l.timeout[2] == 0 && l.timeout[3] == 1 && l.timeout[5] == 0);
    assert_true(l.observation[2 * 5] == 13 && l.nq == 3 && l.qpos[3 * 6 - 1] == 10);
    assert_int_equal(mg_logged_join(&a, &bare, 5, &f->arena, &l), MG_OK);
    assert_true(l.rows == 5 && l.reward[4] == 12 && l.nq == 0 && !l.qpos);
    assert_int_equal(mg_logged_join(&a, &b, 1, &f->arena, &l), MG_OK);
    assert_true(l.rows == 1 && l.timeout[0] == 0);
}

static void sets_of_two_kinds_are_refused(void **state) {
    fixture  *f = *state;
    mg_logged a = four(&f->arena, 0, false), b = four(&f->arena, 0, false), l;
    a.world = "hopper", b.world = "ant";
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_MISMATCH);
    b.world = NULL;
    assert_int_equal(mg_logged_join(&b, &a, 9, &f->arena, &l), MG_OK);
    assert_string_equal(l.world, "hopper");
    b.act = 2;
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_MISMATCH);
    b.act = 1;
    mg_arena small = mg_arena_part(&f->arena, 1000);
    assert_int_equal(mg_logged_join(&a, &b, 9, &small, &l), MG_LIMIT);
    a.timeout[1] = 0;
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_EMPTY);
}

// Which physics made the rows must be the same; of all else what both say alike comes along.
static void sets_of_two_plants_are_refused(void **state) {
    fixture  *f = *state;
    mg_logged a = four(&f->arena, 0, false), b = four(&f->arena, 0, false), l;
    const mg_logged_word of_a[] = {{"author", "me"}, {"environment_version", "v5"}, {"plant", "mass 1"}, {0}},
                         of_b[] = {{"author", "you"}, {"plant", "mass 1"}, {"seed", "1"}, {0}},
                         old[]  = {{"environment_version", "v4"}, {"plant", "mass 1"}, {0}},
                         heavy[] = {{"plant", "mass 3"}, {0}};
    a.words = of_a, b.words = of_b;
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_OK);
    assert_string_equal(l.words[0].key, "plant");
    assert_string_equal(l.words[0].text, "mass 1");
    assert_null(l.words[1].key);
    b.words = heavy;
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "metadata/plant: found 'mass 3' in the second set, wanted 'mass 1'"));
    b.words = old;
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "metadata/environment_version: found 'v4'"));
    b.words = NULL; // which nobody knows of
    assert_int_equal(mg_logged_join(&a, &b, 9, &f->arena, &l), MG_OK);
    assert_null(l.words);
}

int main(void) {
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_buffer_becomes_episodes),
        EACH(the_last_episode_is_open_unless_it_is_as_long_as_the_world_allows),
        EACH(rows_that_made_room_are_not_made_up),
        EACH(a_buffers_shape_is_read_from_its_file),
        EACH(the_first_set_ends_with_its_last_finished_episode),
        EACH(sets_of_two_kinds_are_refused),
        EACH(sets_of_two_plants_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
