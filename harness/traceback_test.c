// Goal:   what runtimes and proxies print is told from what people write.
// Method: messages of real runtimes; what people write; phrases at the edges of what is looked at.
#include "harness/traceback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *find(const char *text, bool confirmed) {
    return mg_traceback_find(text, strlen(text), confirmed);
}

static void messages_of_runtimes_are_found_anywhere(void **state) {
    (void)state;
    static const char *const texts[] = {
        "ok\nTraceback (most recent call last):\n  File \"<stdin>\", line 1\nKeyError: 3",
        "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:",
        "thread 'main' panicked at src/main.rs:2:5:",
        "Exception in thread \"main\" java.lang.NullPointerException",
        "Error: connect ECONNREFUSED 127.0.0.1:5432",
        "{\"error\": \"read ECONNRESET\"}",
        "<html><head><title>502 Bad Gateway</title></head>",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "bash: line 1:  4711 Segmentation fault      (core dumped) ./a.out",
        "lua: x.lua:1: boom\nstack traceback:\n\t[C]: in ?",
        "java.lang.OutOfMemoryError: Java heap space",
        "Error: no order\n    at look (/app/index.js:10:15)\n    at (node:internal/process/task_queues:95:5)",
        "PHP Fatal error:  Uncaught Error: Call to a member function look() on null in /www/shop.php:12",
        "shop.rb:12:in `look': undefined method `paid' for nil:NilClass (NoMethodError)",
        "shop: Prelude.head: empty list\nCallStack (from HasCallStack):\n  error, called at List.hs:1646:3",
        "ERROR: BoundsError: attempt to access 3-element Vector{Int64} at index [4]\nStacktrace:\n [1] getindex",
        "==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!find(texts[i], false)) fail_msg("not found: %s", texts[i]);
}

static void doubtful_phrases_count_at_the_beginning_of_what_nothing_confirms(void **state) {
    (void)state;
    static const char *const texts[] = {"timed out",
                                        "Error: Request timed out.",
                                        "Connection refused",
                                        "fatal: Out of memory",
                                        "Rate limit exceeded, try again",
                                        "[tool] 504: upstream service unavailable",
                                        "KeyError: 'colour'",
                                        "TypeError: Cannot read properties of undefined (reading 'paid')",
                                        "sqlite3.OperationalError: database is locked",
                                        "ERROR:  deadlock detected\nDETAIL:  Process 123 waits",
                                        "{\"error\": {\"code\": 500, \"message\": \"Internal server error\"}}",
                                        "** (FunctionClauseError) no function clause matching in Shop.look/1",
                                        "Can't call method \"paid\" on an undefined value at shop.pl line 12.",
                                        "Fatal error: Unexpectedly found nil while unwrapping an Optional"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!find(texts[i], false)) fail_msg("not found: %s", texts[i]);
        assert_null(find(texts[i], true));
    }
    assert_null(
        find("Dear team, I have waited for my parcel since Monday and when I look, the page says "
             "that it timed out.",
             false));
}

static void what_a_confirmed_answer_quotes_is_data(void **state) {
    (void)state;
    static const char quoted[] = "ticket 7 of Ann, open since Monday. She writes that the application said:\n"
                                 "Traceback (most recent call last):\n  File \"x.py\", line 3";
    assert_null(find(quoted, true));
    assert_non_null(find(quoted, false));
    assert_non_null(find("Traceback (most recent call last):\n  File \"x.py\"", true)); // in its place
}

static void what_people_write_is_not_found(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "T",
                                        "Order 502: shipped. Panic over, thank you!",
                                        "Trace back my order",
                                        "Exceptional service",
                                        "Expedition ECO-5 is on 2 Bad Street",
                                        "Our Gateway Times edition"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (find(texts[i], false)) fail_msg("found '%s' in: %s", find(texts[i], false), texts[i]);
}

// A phrase at byte `at` of a text of so many bytes, no terminating 0 behind it.
static bool found_at(size_t at, size_t size, const char *phrase) {
    char *text = malloc(size);
    memset(text, '.', size);
    memcpy(text + at, phrase, strlen(phrase));
    const bool found = mg_traceback_find(text, size, false) != NULL;
    free(text);
    return found;
}

static void both_ends_of_a_long_text_are_looked_at(void **state) {
    (void)state;
    const size_t n = strlen("ECONNRESET"), span = MG_TRACEBACK_SPAN;
    assert_true(found_at(0, n, "ECONNRESET"));
    assert_null(mg_traceback_find("ECONNRESET", n - 1, false)); // the rest is not the text's
    assert_true(found_at(span - n, 10 * span, "ECONNRESET"));
    assert_false(found_at(5 * span, 10 * span, "ECONNRESET"));
    assert_true(found_at(9 * span, 10 * span, "ECONNRESET"));
    assert_true(found_at(10 * span - n, 10 * span, "ECONNRESET"));
    assert_true(found_at(span + 7, span + 7 + n, "ECONNRESET"));
    assert_true(found_at(63, 63 + 9, "timed out"));
    assert_false(found_at(64, 64 + 9, "timed out"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_runtimes_are_found_anywhere),
        cmocka_unit_test(doubtful_phrases_count_at_the_beginning_of_what_nothing_confirms),
        cmocka_unit_test(what_a_confirmed_answer_quotes_is_data),
        cmocka_unit_test(what_people_write_is_not_found),
        cmocka_unit_test(both_ends_of_a_long_text_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
