// Goal:   every code has one name and one side, and what nobody knows counts as the harness's.
// Method: all codes there and back; episodes of each verdict.
#include "harness/taxonomy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_code_is_found_by_its_name(void **state) {
    (void)state;
    for (int c = MG_CODE_NONE + 1; c < MG_CODES; c++) {
        const char *name = mg_code_name((mg_code)c);
        assert_int_equal(mg_code_find(name), c);
        assert_non_null(strchr("MEVSTPHU", name[0]));
        assert_int_equal(name[1], '.');
        assert_true(strlen(mg_code_meaning((mg_code)c)) > 10);
    }
    assert_null(mg_code_name(MG_CODE_NONE));
    assert_int_equal(mg_code_find(NULL), MG_CODE_NONE);
    assert_int_equal(mg_code_find(""), MG_H_UNKNOWN);
    assert_int_equal(mg_code_find("E.stale "), MG_H_UNKNOWN);
    assert_int_equal(mg_code_find("E.stale"), MG_E_STALE);
}

static void the_model_s_codes_are_the_m_codes(void **state) {
    (void)state;
    static const char *const model[] = {"M.parse", "M.args", "M.limit", "M.wrong"};
    int                      n       = 0;
    for (int c = MG_CODE_NONE; c < MG_CODES; c++) n += mg_code_is_model((mg_code)c);
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++) assert_true(mg_code_is_model(mg_code_find(model[i])));
}

static bool failed(mg_verdict verdict, const char *code) {
    const mg_episode e = {.verdict = verdict, .code = code};
    return mg_episode_harness_failed(&e);
}

static void the_five_percent_rule_counts_the_harness_s_side(void **state) {
    (void)state;
    assert_false(failed(MG_CLEAN, NULL));
    assert_false(failed(MG_CLEAN, "M.wrong"));
    assert_true(failed(MG_SUSPECT, "E.traceback"));
    assert_true(failed(MG_QUARANTINED, "E.stale"));
    assert_true(failed(MG_QUARANTINED, "U.simulator"));
    assert_true(failed(MG_QUARANTINED, NULL));
    assert_true(failed(MG_QUARANTINED, "a code of somebody else's"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_found_by_its_name),
        cmocka_unit_test(the_model_s_codes_are_the_m_codes),
        cmocka_unit_test(the_five_percent_rule_counts_the_harness_s_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
