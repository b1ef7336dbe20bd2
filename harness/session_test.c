// Goal:   a session hands on the answer to its open call, in time, and nothing else ever.
#include "harness/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { T0 = 1000, TIMEOUT = 50 };

static mg_session waiting(void) {
    mg_session s;
    mg_session_init(&s, 7, 3);
    mg_session_call(&s, T0, T0 - 10, TIMEOUT);
    return s;
}

static mg_event answer_to(const mg_session *s) {
    return (mg_event){.kind = MG_EVENT_MESSAGE, .id = s->call.request, .nonce = s->call.nonce};
}

static void its_own_answer_in_time_is_delivered(void **state) {
    (void)state;
    mg_session     s = waiting();
    const mg_event e = answer_to(&s);
    assert_int_equal(mg_session_wake(&s), T0 + TIMEOUT);
    assert_int_equal(mg_session_event(&s, T0 + TIMEOUT - 1, &e), MG_DO_DELIVER);
    assert_int_equal(s.state, MG_SESSION_OPEN);
    assert_int_equal(s.code, MG_CODE_NONE);
    assert_int_equal(s.call.intended_ns, T0 - 10);
    assert_int_equal(s.call.sent_ns, T0);
    assert_int_equal(s.call.received_ns, T0 + TIMEOUT - 1);
    assert_true(mg_session_wake(&s) == INT64_MAX);
}

static void ids_rise_by_one_and_nonces_repeat_only_with_the_seed(void **state) {
    (void)state;
    enum { SESSIONS = 4, CALLS = 200 };
    static uint64_t seen[SESSIONS * CALLS];
    int             n = 0;
    for (int i = 0; i < SESSIONS; i++) {
        mg_session s, twin;
        mg_session_init(&s, 7 + (uint64_t)i % 2, (uint64_t)i / 2);
        mg_session_init(&twin, 7 + (uint64_t)i % 2, (uint64_t)i / 2);
        for (uint64_t k = 1; k <= CALLS; k++) {
            const int64_t now = T0 + 2 * (int64_t)k;
            mg_session_call(&s, now, now, TIMEOUT);
            mg_session_call(&twin, now, now, TIMEOUT);
            assert_true(s.call.request == k);
            assert_true(s.call.nonce == twin.call.nonce && s.call.nonce != 0);
            for (int j = 0; j < n; j++) assert_true(seen[j] != s.call.nonce);
            seen[n++]        = s.call.nonce;
            const mg_event e = answer_to(&s);
            assert_int_equal(mg_session_event(&s, now + 1, &e), MG_DO_DELIVER);
            assert_int_equal(mg_session_event(&twin, now + 1, &e), MG_DO_DELIVER);
        }
    }
}

static void what_comes_at_the_deadline_or_later_is_a_timeout_whatever_it_is(void **state) {
    (void)state;
    const int64_t when[] = {T0 + TIMEOUT, T0 + TIMEOUT + 1, INT64_MAX};
    for (int i = 0; i < 3; i++)
        for (int kind = MG_EVENT_MESSAGE; kind <= MG_EVENT_ENDED; kind++) {
            mg_session s = waiting();
            mg_event   e = answer_to(&s);
            e.kind       = (mg_event_kind)kind;
            assert_int_equal(mg_session_event(&s, when[i], &e), MG_DO_KILL);
            assert_int_equal(s.code, MG_E_TIMEOUT);
            assert_int_equal(s.call.received_ns, 0);
        }
    mg_session     s    = waiting();
    const mg_event time = {.kind = MG_EVENT_TIME};
    assert_int_equal(mg_session_event(&s, T0 + TIMEOUT - 1, &time), MG_DO_NOTHING);
    assert_int_equal(s.state, MG_SESSION_WAITING);
    assert_int_equal(mg_session_event(&s, T0 + TIMEOUT, &time), MG_DO_KILL);
    assert_non_null(strstr(s.detail, "call 1"));
}

static void a_message_that_is_not_the_open_calls_answer_ends_it(void **state) {
    (void)state;
    const struct {
        int64_t id, nonce; // added to the right ones
        bool    no_id, no_nonce;
        mg_code code;
    } rows[] = {{1, 0, false, false, MG_H_DESYNC},    {0, 1, false, false, MG_H_DESYNC},
                {-1, 0, false, false, MG_H_PROTOCOL}, // id 0
                {0, 0, true, false, MG_H_PROTOCOL},   {0, 0, false, true, MG_H_PROTOCOL}};
    for (int i = 0; i < 5; i++) {
        mg_session s = waiting();
        mg_event   e = answer_to(&s);
        e.id    = rows[i].no_id ? 0 : e.id + (uint64_t)rows[i].id;
        e.nonce = rows[i].no_nonce ? 0 : e.nonce + (uint64_t)rows[i].nonce;
        assert_int_equal(mg_session_event(&s, T0 + 1, &e), MG_DO_KILL);
        assert_int_equal(s.code, rows[i].code);
        assert_int_not_equal(s.detail[0], 0);
    }
}

static void the_answer_before_is_not_taken_for_the_next(void **state) {
    (void)state;
    mg_session     s     = waiting();
    const mg_event first = answer_to(&s);
    assert_int_equal(mg_session_event(&s, T0 + 1, &first), MG_DO_DELIVER);
    mg_session_call(&s, T0 + 2, T0 + 2, TIMEOUT);
    assert_int_equal(mg_session_event(&s, T0 + 3, &first), MG_DO_KILL); // the same answer again
    assert_int_equal(s.code, MG_H_DESYNC);
}

static void between_calls_time_may_pass_and_nothing_else(void **state) {
    (void)state;
    const mg_code codes[] = {[MG_EVENT_MESSAGE] = MG_H_DESYNC, [MG_EVENT_GARBAGE] = MG_H_PROTOCOL,
                             [MG_EVENT_TIME] = MG_CODE_NONE, [MG_EVENT_ENDED] = MG_E_DIED};
    for (int kind = MG_EVENT_MESSAGE; kind <= MG_EVENT_ENDED; kind++) {
        mg_session     s = waiting();
        const mg_event e = answer_to(&s);
        assert_int_equal(mg_session_event(&s, T0 + 1, &e), MG_DO_DELIVER);
        const mg_event next = {.kind = (mg_event_kind)kind, .id = e.id, .nonce = e.nonce};
        assert_int_equal(mg_session_event(&s, T0 + 10 * TIMEOUT, &next),
                         codes[kind] ? MG_DO_KILL : MG_DO_NOTHING);
        assert_int_equal(s.code, codes[kind]);
        assert_int_equal(s.state, codes[kind] ? MG_SESSION_DEAD : MG_SESSION_OPEN);
    }
}

static void a_dead_session_stays_dead_with_its_first_code(void **state) {
    (void)state;
    mg_session     s       = waiting();
    const mg_event right   = answer_to(&s);
    const mg_event garbage = {.kind = MG_EVENT_GARBAGE, .detail = "hello?"};
    assert_int_equal(mg_session_event(&s, T0 + 1, &garbage), MG_DO_KILL);
    assert_string_equal(s.detail, "hello?");
    for (int kind = MG_EVENT_MESSAGE; kind <= MG_EVENT_ENDED; kind++) {
        mg_event e = right;
        e.kind     = (mg_event_kind)kind;
        assert_int_equal(mg_session_event(&s, T0 + 2, &e), MG_DO_NOTHING);
    }
    mg_session_end(&s, MG_E_MANIFEST, "too late to matter");
    assert_int_equal(s.code, MG_H_PROTOCOL);
    assert_string_equal(s.detail, "hello?");
    assert_int_equal(s.state, MG_SESSION_DEAD);
    assert_true(mg_session_wake(&s) == INT64_MAX);
}

static void it_can_be_ended_from_outside(void **state) {
    (void)state;
    mg_session     s = waiting();
    const mg_event e = answer_to(&s);
    mg_session_end(&s, MG_E_MANIFEST, "the manifest has changed");
    assert_int_equal(s.code, MG_E_MANIFEST);
    assert_int_equal(mg_session_event(&s, T0 + 1, &e), MG_DO_NOTHING);
}

static void a_timeout_beyond_the_end_of_time_never_comes(void **state) {
    (void)state;
    mg_session     s;
    const mg_event time = {.kind = MG_EVENT_TIME};
    mg_session_init(&s, 1, 1);
    mg_session_call(&s, T0, T0, INT64_MAX);
    assert_true(mg_session_wake(&s) == INT64_MAX);
    assert_int_equal(mg_session_event(&s, INT64_MAX - 1, &time), MG_DO_NOTHING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own_answer_in_time_is_delivered),
        cmocka_unit_test(ids_rise_by_one_and_nonces_repeat_only_with_the_seed),
        cmocka_unit_test(what_comes_at_the_deadline_or_later_is_a_timeout_whatever_it_is),
        cmocka_unit_test(a_message_that_is_not_the_open_calls_answer_ends_it),
        cmocka_unit_test(the_answer_before_is_not_taken_for_the_next),
        cmocka_unit_test(between_calls_time_may_pass_and_nothing_else),
        cmocka_unit_test(a_dead_session_stays_dead_with_its_first_code),
        cmocka_unit_test(it_can_be_ended_from_outside),
        cmocka_unit_test(a_timeout_beyond_the_end_of_time_never_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
