// Goal:   a step of a robot allocates nothing, in our code or MuJoCo's.
// Method: this program's own malloc and its kin stand before the C library's for everything in the process and
//         count while they are told to. Not built with sanitizers, which bring their own.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worlds/robots.h"

static bool counting;
static long calls;

// The GNU C library's own, under the names that it keeps for programs that replace them.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size) { return calls += counting, __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return calls += counting, __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return calls += counting, __libc_realloc(p, size); }
void *aligned_alloc(size_t align, size_t size) { return calls += counting, __libc_memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size) {
    calls += counting;
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}

static void steps_and_resets_allocate_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"hopper", "half-cheetah", "walker2d", "ant"};
    for (int i = 0; i < 4; i++) {
        mg_robot_world w;
        mg_arena       arena;
        mg_env         e;
        mg_value       seen, action;
        mg_rng         rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
        mg_transition  t   = {.terminated = true};
        assert_int_equal(mg_arena_init(&arena, "test", 1 << 20), MG_OK);
        if (mg_robot_open(&w, names[i], 5, NULL, NULL)) fail_msg("%s", mg_err_detail());
        calls = 0, counting = true;
        assert_int_equal(mg_env_open(&e, mg_robot_class(names[i], 5), &w, &arena), MG_OK);
        assert_true(calls > 0); // MuJoCo's are counted
        calls = 0;
        for (int k = 0; k < 300; k++) {
            mg_err err = MG_OK;
            if (t.terminated) err = e.class->reset(&e, (uint64_t)k, &(mg_reset_options){.item = -1}, 0, &seen);
            if (!err) err = mg_env_script(e.class, "random")->act(&e, &rng, &action);
            if (!err) err = e.class->step(&e, &action, 0, &t);
            if (err) fail_msg("%s", mg_err_detail());
        }
        counting = false;
        assert_int_equal(calls, 0);
        mg_env_close(&e);
        mg_robot_close(&w);
        mg_arena_release(&arena);
    }
}

int main(void) {
    mg_robot_world w;
    if (mg_robot_open(&w, "hopper", 5, NULL, NULL) == MG_UNSUPPORTED && strstr(mg_err_detail(), "built without")) {
        fprintf(stderr, "not tested: %s\n", mg_err_detail());
        return 77; // Meson's word for skipped
    }
    mg_robot_close(&w);
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_and_resets_allocate_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
