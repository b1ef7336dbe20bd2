// Goal:   C++'s operator new is ours: small blocks given back are handed out again, to the thread that
//         gave them, and what no memory can hold ends the program.
// Method: blocks by their addresses; a thread of its own, so that nobody kept any before; a child
//         process that asks for too much. Not built with sanitizers, which bring their own.
#include "ops/cxx_memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void *operator_new(size_t size) __asm__("_Znwm");
void  operator_delete(void *p) __asm__("_ZdlPv");

// Through pointers that may change: a compiler that knows these names leaves pairs of calls out.
static void *(*volatile take)(size_t size) = operator_new;
static void (*volatile give)(void *p)      = operator_delete;

static const size_t SMALL[] = {0, 1, 15, 16, 17, 31, 32, 300, 496, 511};
enum { N_SMALL = sizeof SMALL / sizeof *SMALL, MORE = 100 };

// A block is aligned, can be written to its end, and is the one given back last of its size.
static void *give_and_take(void *arg) {
    bool *wrong = arg;
    for (int i = 0; i < N_SMALL; i++) {
        char *first = take(SMALL[i]), *second = take(SMALL[i]);
        *wrong |= (uintptr_t)first % 16 || (uintptr_t)second % 16;
        memset(first, 1, SMALL[i]), memset(second, 2, SMALL[i]);
        for (size_t k = 0; k < SMALL[i]; k++) *wrong |= first[k] != 1;
        give(first), give(second);
        *wrong |= take(SMALL[i]) != second || take(SMALL[i]) != first;
        give(first), give(second);
    }
    return NULL;
}

static void small_blocks_are_handed_out_again(void **state) {
    (void)state;
    pthread_t thread;
    bool      wrong = false;
    assert_int_equal(pthread_create(&thread, NULL, give_and_take, &wrong), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(wrong);
    give(NULL);
}

// More than are kept of a size, and blocks that are not kept: all can be written, none is another.
static void more_blocks_than_are_kept(void **state) {
    (void)state;
    const size_t sizes[] = {40, 512, 5000};
    for (int s = 0; s < 3; s++)
        for (int round = 0; round < 3; round++) {
            char *blocks[MORE];
            for (int i = 0; i < MORE; i++)
                blocks[i] = memset(take(sizes[s]), i, sizes[s]);
            for (int i = 0; i < MORE; i++) {
                for (size_t k = 0; k < sizes[s]; k++) assert_int_equal(blocks[i][k], i);
                give(blocks[i]);
            }
        }
}

static void assert_aborts(size_t size) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        _exit(take(size) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void what_no_memory_can_hold_aborts(void **state) {
    (void)state;
    assert_aborts(SIZE_MAX); // also where the head before the block and rounding would go around
    assert_aborts(SIZE_MAX - 40);
    assert_aborts(PTRDIFF_MAX);
}

int main(void) {
    mg_cxx_memory_use();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_are_handed_out_again),
        cmocka_unit_test(more_blocks_than_are_kept),
        cmocka_unit_test(what_no_memory_can_hold_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
