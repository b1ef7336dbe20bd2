// Goal:   the sentence of an error survives until it is read, thread by thread.
// Method: literal sentences; a second thread that fails in between.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

static void a_failure_returns_its_code_and_keeps_its_sentence(void **state) {
    (void)state;
    assert_string_equal(mg_err_detail(), "");
    assert_int_equal(mg_fail(MG_LIMIT, "%s: found %d", "rows", 7), MG_LIMIT);
    assert_string_equal(mg_err_detail(), "rows: found 7");
}

static void a_sentence_may_hold_the_one_before(void **state) {
    (void)state;
    assert_int_equal(mg_fail(MG_IO, "disk"), MG_IO);
    assert_int_equal(mg_fail(MG_IO, "save: %s (%s)", mg_err_detail(), mg_err_detail()), MG_IO);
    assert_string_equal(mg_err_detail(), "save: disk (disk)");
}

static void an_endless_sentence_is_cut(void **state) {
    (void)state;
    assert_int_equal(mg_fail(MG_IO, "%05000d", 0), MG_IO);
    assert_int_equal(strlen(mg_err_detail()), 1023);
}

static void *fail_elsewhere(void *arg) {
    *(mg_err *)arg = mg_fail(MG_BUSY, "elsewhere");
    return NULL;
}

static void a_thread_has_its_own_sentence(void **state) {
    (void)state;
    pthread_t thread;
    mg_err    other = MG_OK;
    assert_int_equal(mg_fail(MG_IO, "here"), MG_IO);
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other, MG_BUSY);
    assert_string_equal(mg_err_detail(), "here");
}

static void codes_have_names(void **state) {
    (void)state;
    assert_string_equal(mg_err_name(MG_OK), "MG_OK");
    assert_string_equal(mg_err_name(MG_CHILD), "MG_CHILD");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_its_code_and_keeps_its_sentence),
        cmocka_unit_test(a_sentence_may_hold_the_one_before),
        cmocka_unit_test(an_endless_sentence_is_cut),
        cmocka_unit_test(a_thread_has_its_own_sentence),
        cmocka_unit_test(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
