// Goal:   a word's documents are counted once each, and none is lost while the table grows.
// Method: word i occurs in documents 0 .. i % 7, twice in each.
#include "rewards/document_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static mg_word numbered(int i) { return mg_word_pair(1, (mg_word)i); }

static void every_document_of_a_word_counts_once(void **state) {
    (void)state;
    enum { WORDS = 20000 };
    mg_document_counts c = {0};
    assert_int_equal(mg_document_counts_get(&c, numbered(0)), 0); // empty
    for (int document = 0; document < 7; document++) {
        for (int i = 0; i < 2 * WORDS; i++) {
            if (i % WORDS % 7 < document) continue;
            assert_int_equal(mg_document_counts_add(&c, numbered(i % WORDS), document), MG_OK);
        }
    }
    assert_int_equal(c.used, WORDS);
    for (int i = 0; i < WORDS; i++)
        assert_int_equal(mg_document_counts_get(&c, numbered(i)), i % 7 + 1);
    assert_int_equal(mg_document_counts_get(&c, numbered(WORDS)), 0);
    mg_document_counts_release(&c);
    mg_document_counts_release(&c);
    assert_int_equal(mg_document_counts_get(&c, numbered(0)), 0);
}

static void words_are_runs_of_letters_and_digits(void **state) {
    (void)state;
    mg_word a[4], b[4];
    assert_int_equal(mg_words("GTK+ 3, x11", 11, false, 4, a), 3);
    assert_int_equal(mg_words("x11 gtk", 7, false, 4, b), 2);
    assert_true(a[0] == b[1] && a[2] == b[0] && a[0] != a[1]);
    // Bytes from 0x80 are letters, or not: "f\xC3\xBCr" is one word or "f" and "r".
    assert_int_equal(mg_words("f\xC3\xBCr", 4, false, 4, a), 1);
    assert_int_equal(mg_words("f\xC3\xBCr", 4, true, 4, a), 2);
    assert_int_equal(mg_words("r f", 3, true, 4, b), 2);
    assert_true(a[0] == b[1] && a[1] == b[0]);
    assert_true(mg_word_pair(a[0], a[1]) != mg_word_pair(a[1], a[0]));

    b[1] = 7;
    assert_int_equal(mg_words("one two three", 13, true, 1, b), 3); // all are counted,
    assert_true(b[1] == 7);                                         // one is written
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_document_of_a_word_counts_once),
        cmocka_unit_test(words_are_runs_of_letters_and_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
