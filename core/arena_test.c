// Goal:   an arena hands out aligned, disjoint, zeroed memory and stops a program that outgrows it.
// Method: sizes around the alignment, memory made dirty and handed out again, and a child process
//         that must die of SIGABRT.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena.h"

enum { SIZE_MAX_BYTES = 1 << 16 };

static int open_arena(void **state) {
    static mg_arena arena;
    *state = &arena;
    return mg_arena_init(&arena, "test", SIZE_MAX_BYTES);
}

static int close_arena(void **state) {
    mg_arena_release(*state);
    return 0;
}

static void blocks_are_aligned_and_disjoint(void **state) {
    mg_arena    *a       = *state;
    const size_t sizes[] = {1, 63, 64, 65, 0, 128, 1000};
    const size_t takes[] = {64, 64, 64, 128, 0, 128, 1024}; // rounded up to 64 by hand
    char        *next    = a->base;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = mg_arena_alloc(a, sizes[i]);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_ptr_equal(p, next);
        next += takes[i];
    }
    assert_int_equal(a->used, 1472);
}

static void memory_handed_out_again_is_zero(void **state) {
    mg_arena    *a    = *state;
    const size_t mark = mg_arena_mark(a);
    memset(mg_arena_alloc_raw(a, 1000), 0xFF, 1000);
    mg_arena_reset(a, mark);
    const int *x = MG_NEW(a, int, 250);
    for (int i = 0; i < 250; i++) assert_int_equal(x[i], 0);
}

static void reset_goes_back_to_the_mark_and_keeps_the_peak(void **state) {
    mg_arena    *a    = *state;
    char        *kept = mg_arena_strdup(a, "kept");
    const size_t mark = mg_arena_mark(a);
    char        *gone = mg_arena_alloc(a, 640);
    mg_arena_reset(a, mark);
    assert_int_equal(a->peak, 64 + 640);
    assert_ptr_equal(mg_arena_alloc(a, 1), gone);
    assert_string_equal(kept, "kept");
    mg_arena_reset(a, 0);
    assert_int_equal(a->used, 0);
    assert_int_equal(a->peak, 64 + 640);
}

static void the_whole_arena_can_be_used(void **state) {
    mg_arena *a = *state;
    char     *p = mg_arena_alloc(a, SIZE_MAX_BYTES);
    p[SIZE_MAX_BYTES - 1] = 1;
    assert_int_equal(a->used, SIZE_MAX_BYTES);
}

// The signal that ends a child which asks for `first` and then `second` bytes; 0: none.
static int signal_of_child(mg_arena *a, size_t first, size_t second) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        mg_arena_alloc_raw(a, first);
        mg_arena_alloc_raw(a, second);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void outgrowing_it_aborts(void **state) {
    assert_int_equal(signal_of_child(*state, SIZE_MAX_BYTES - 64, 64), 0);
    assert_int_equal(signal_of_child(*state, SIZE_MAX_BYTES - 64, 65), SIGABRT);
    assert_int_equal(signal_of_child(*state, 64, SIZE_MAX), SIGABRT); // wraps when rounded up
    assert_int_equal(signal_of_child(*state, 64, SIZE_MAX - 63), SIGABRT);
}

static void a_part_is_an_arena_of_its_own_inside_the_whole(void **state) {
    mg_arena    *a     = *state;
    const size_t mark  = mg_arena_mark(a);
    mg_arena     parts[2];
    for (int i = 0; i < 2; i++) parts[i] = mg_arena_part(a, 128);
    char *after = mg_arena_alloc(a, 64);
    for (int i = 0; i < 2; i++) {
        char *p = mg_arena_alloc(&parts[i], 100);
        assert_ptr_equal(p, after - 256 + 128 * i);
        assert_int_equal(parts[i].used, 128); // and no byte more
        assert_int_equal(parts[i].size_max, 128);
    }
    assert_int_equal(mg_arena_mark(a), mark + 256 + 64);
    mg_arena_reset(a, mark);
}

static void releasing_twice_or_a_zeroed_one_is_harmless(void **state) {
    (void)state;
    mg_arena a = {0};
    mg_arena_release(&a);
    assert_int_equal(mg_arena_init(&a, "twice", 4096), MG_OK);
    mg_arena_release(&a);
    assert_null(a.base);
    mg_arena_release(&a);
}

static void more_than_the_address_space_is_refused_with_its_name(void **state) {
    (void)state;
    mg_arena a = {.name = "untouched"};
    assert_int_equal(mg_arena_init(&a, "giant", (size_t)1 << 60), MG_NOMEM);
    assert_non_null(strstr(mg_err_detail(), "giant"));
    assert_string_equal(a.name, "untouched");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_aligned_and_disjoint),
        TEST(memory_handed_out_again_is_zero),
        TEST(reset_goes_back_to_the_mark_and_keeps_the_peak),
        TEST(the_whole_arena_can_be_used),
        TEST(outgrowing_it_aborts),
        TEST(a_part_is_an_arena_of_its_own_inside_the_whole),
        cmocka_unit_test(releasing_twice_or_a_zeroed_one_is_harmless),
        cmocka_unit_test(more_than_the_address_space_is_refused_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
