// Goal:   merges are applied and learned as the definition says, for short and for long words; the
//         alphabet is GPT-2's.
// Method: literal cases done by hand, and a naive implementation that looks at all pairs each time.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "nets/bpe.h"

enum { WORD_MAX = 400, SYMBOLS = 3, RULES = 60 };

static void alphabet_is_gpt2s(void **state) {
    (void)state;
    const struct {
        uint8_t     byte;
        const char *spelling;
    } known[] = {{'A', "A"},       {'~', "~"},       {' ', "\xC4\xA0"},  {'\n', "\xC4\x8A"},
                 {0x00, "\xC4\x80"}, {0x7F, "\xC4\xA1"}, {0xA0, "\xC5\x82"}, {0xA1, "\xC2\xA1"},
                 {0xAC, "\xC2\xAC"}, {0xAD, "\xC5\x83"}, {0xAE, "\xC2\xAE"}, {0xFF, "\xC3\xBF"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char      out[3] = {0};
        const int n      = mg_byte_spell(known[i].byte, out);
        assert_int_equal(n, strlen(known[i].spelling));
        assert_string_equal(out, known[i].spelling);
    }
    char all[2 * 256], back[2 * 256];
    int  n = 0;
    for (int byte = 0; byte < 256; byte++) n += mg_byte_spell((uint8_t)byte, all + n);
    assert_int_equal(mg_byte_unspell(all, (size_t)n, back), 256);
    for (int byte = 0; byte < 256; byte++) assert_int_equal((uint8_t)back[byte], byte);
}

static void unspelling_refuses_other_characters(void **state) {
    (void)state;
    char              out[8];
    const char *const others[] = {" ", "\x7F", "\xC2\xA0", "\xC2\xAD", "\xC5\x84", "\xE2\x82\xAC"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(mg_byte_unspell(others[i], strlen(others[i]), out), -1);
}

static void strings_are_numbered_once(void **state) {
    (void)state;
    mg_strings s = {0};
    char       text[16];
    int32_t    number;
    assert_int_equal(mg_strings_find(&s, "x", 1), -1);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            const int n = snprintf(text, sizeof text, "%d", i);
            assert_int_equal(mg_strings_add(&s, text, (size_t)n, &number), MG_OK);
            assert_int_equal(number, i);
        }
    assert_int_equal(s.n, 5000);
    assert_int_equal(mg_strings_find(&s, "4999", 4), 4999);
    assert_int_equal(mg_strings_find(&s, "5000", 4), -1);
    assert_int_equal(mg_strings_find(&s, "499", 3), 499); // a prefix is another string
    size_t size;
    assert_memory_equal(mg_strings_get(&s, 1234, &size), "1234", 4);
    assert_int_equal(size, 4);
    mg_strings_release(&s);
}

static void a_beginning_is_another_string(void **state) {
    (void)state;
    enum { LONGEST = 2000 };
    char       text[LONGEST];
    mg_strings s = {0};
    int32_t    number;
    memset(text, 'a', sizeof text);
    for (size_t size = LONGEST; size > 0; size--) {
        assert_int_equal(mg_strings_add(&s, text, size, &number), MG_OK);
        assert_int_equal(number, LONGEST - size);
    }
    mg_strings_release(&s);
}

static void add_rule(mg_bpe *b, int32_t left, int32_t right, int32_t merged) {
    int32_t       rank;
    const int64_t known = b->ranks.n;
    assert_int_equal(mg_pairs_add(&b->ranks, left, right, &rank), MG_OK);
    if (rank == known) b->merged[rank] = merged;
}

// The definition, word for word.
static int64_t apply_naively(const mg_bpe *b, int32_t *ids, int64_t n) {
    for (;;) {
        int32_t lowest = -1;
        int64_t at     = -1;
        for (int64_t i = 0; i + 1 < n; i++) {
            const int32_t rank = mg_pairs_find(&b->ranks, ids[i], ids[i + 1]);
            if (rank >= 0 && (lowest < 0 || rank < lowest)) lowest = rank, at = i;
        }
        if (at < 0) return n;
        ids[at] = b->merged[lowest];
        memmove(ids + at + 1, ids + at + 2, (size_t)(n - at - 2) * sizeof *ids);
        n--;
    }
}

static void merges_are_applied_as_defined(void **state) {
    (void)state;
    mg_rng r = mg_rng_stream(7, MG_PURPOSE_TEST, 0);
    for (int trial = 0; trial < 300; trial++) {
        mg_bpe b = {.merged = malloc(RULES * sizeof(int32_t))};
        for (int i = 0; i < RULES; i++)
            add_rule(&b, (int32_t)mg_rng_below(&r, (uint64_t)SYMBOLS + (uint64_t)i),
                     (int32_t)mg_rng_below(&r, (uint64_t)SYMBOLS + (uint64_t)i), SYMBOLS + i);
        int32_t       ids[WORD_MAX], naive[WORD_MAX];
        const int64_t n = (int64_t)mg_rng_below(&r, trial % 2 ? 40 : WORD_MAX);
        for (int64_t i = 0; i < n; i++) naive[i] = ids[i] = (int32_t)mg_rng_below(&r, SYMBOLS);
        void         *scratch = malloc(mg_bpe_scratch(n) + 1);
        const int64_t left    = mg_bpe_apply(&b, ids, n, scratch);
        const int64_t wanted  = apply_naively(&b, naive, n);
        assert_int_equal(left, wanted);
        assert_memory_equal(ids, naive, (size_t)wanted * sizeof *ids);
        free(scratch);
        mg_bpe_release(&b);
    }
}

// Learns from words given as text, each a symbol per byte, ids 0 'a', 1 'b', 2 'c'.
static void learn(const char *const *words, const int64_t *counts, int64_t n, int32_t vocab_size,
                  mg_strings *vocab, mg_bpe_merge **merges, int64_t *n_merges) {
    int32_t      symbols[64], number;
    int64_t      starts[9] = {0}, copies[8];
    mg_bpe_words w = {symbols, starts, copies, n};
    for (int64_t i = 0; i < n; i++) {
        copies[i]     = counts[i];
        starts[i + 1] = starts[i];
        for (const char *c = words[i]; *c; c++) symbols[starts[i + 1]++] = *c - 'a';
    }
    for (const char *c = "abc"; *c; c++)
        assert_int_equal(mg_strings_add(vocab, c, 1, &number), MG_OK);
    assert_int_equal(mg_bpe_learn(vocab, &w, vocab_size, merges, n_merges), MG_OK);
}

static void the_most_frequent_pair_is_learned_first(void **state) {
    (void)state;
    // Pairs: bc 5, ab 3 (abc), ca 2. bc becomes 3 ("bc"); then a+bc 3, ca 2; "abc" is 4; then ca.
    const char *const words[]  = {"abc", "bc", "ca"};
    const int64_t     counts[] = {3, 2, 2};
    mg_strings        vocab    = {0};
    mg_bpe_merge     *m;
    int64_t           n;
    learn(words, counts, 3, 100, &vocab, &m, &n);
    assert_int_equal(n, 3);
    assert_true(m[0].left == 1 && m[0].right == 2);
    assert_true(m[1].left == 0 && m[1].right == 3);
    assert_true(m[2].left == 2 && m[2].right == 0);
    assert_int_equal(vocab.n, 6);
    assert_int_equal(mg_strings_find(&vocab, "abc", 3), 4);
    free(m);
    mg_strings_release(&vocab);
}

static void of_equal_pairs_the_smaller_ids_are_first(void **state) {
    (void)state;
    const char *const words[]  = {"cb", "bc", "ca", "ac"}; // ac, bc, ca, cb: once each
    const int64_t     counts[] = {1, 1, 1, 1};
    mg_strings        vocab    = {0};
    mg_bpe_merge     *m;
    int64_t           n;
    learn(words, counts, 4, 6, &vocab, &m, &n); // room for three
    assert_int_equal(n, 3);
    assert_true(m[0].left == 0 && m[0].right == 2);
    assert_true(m[1].left == 1 && m[1].right == 2);
    assert_true(m[2].left == 2 && m[2].right == 0);
    free(m);
    mg_strings_release(&vocab);
}

static void runs_are_merged_from_the_left(void **state) {
    (void)state;
    // All pairs are aa, which is 3. Left: aa aa a (once), aa a (three times), so (aa, a): 1 + 3
    // comes before (aa, aa): 1. It is 4. Left: aa aaa.
    const char *const words[]  = {"aaaaa", "aaa"};
    const int64_t     counts[] = {1, 3};
    mg_strings        vocab    = {0};
    mg_bpe_merge     *m;
    int64_t           n;
    learn(words, counts, 2, 100, &vocab, &m, &n);
    assert_int_equal(n, 3);
    assert_true(m[0].left == 0 && m[0].right == 0);
    assert_true(m[1].left == 3 && m[1].right == 0);
    assert_true(m[2].left == 3 && m[2].right == 4);
    assert_int_equal(vocab.n, 6);
    free(m);
    mg_strings_release(&vocab);
}

static void a_known_spelling_keeps_its_id(void **state) {
    (void)state;
    const char *const words[]  = {"ab"};
    const int64_t     counts[] = {1};
    mg_strings        vocab    = {0};
    mg_bpe_merge     *m;
    int64_t           n;
    int32_t           number;
    for (const char *c = "abc"; *c; c++) // as learn() will find them
        assert_int_equal(mg_strings_add(&vocab, c, 1, &number), MG_OK);
    assert_int_equal(mg_strings_add(&vocab, "ab", 2, &number), MG_OK);
    learn(words, counts, 1, 100, &vocab, &m, &n);
    assert_int_equal(n, 1); // the merge is learned, the token is the old one
    assert_int_equal(vocab.n, 4);
    free(m);
    mg_strings_release(&vocab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alphabet_is_gpt2s),
        cmocka_unit_test(unspelling_refuses_other_characters),
        cmocka_unit_test(strings_are_numbered_once),
        cmocka_unit_test(a_beginning_is_another_string),
        cmocka_unit_test(merges_are_applied_as_defined),
        cmocka_unit_test(the_most_frequent_pair_is_learned_first),
        cmocka_unit_test(of_equal_pairs_the_smaller_ids_are_first),
        cmocka_unit_test(runs_are_merged_from_the_left),
        cmocka_unit_test(a_known_spelling_keeps_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
