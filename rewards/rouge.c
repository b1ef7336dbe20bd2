// rouge.c - overlaps are counted by pairing equal n-grams off: texts are short.
#include "rewards/rouge.h"

#include <string.h>

#include "rewards/words.h"

typedef struct words {
    int64_t  n;
    mg_word *word; // [n]
} words;

static words split(const char *text, size_t size, mg_arena *scratch) {
    const int64_t all = mg_words(text, size, true, 0, NULL);
    words         w   = {.n = all < MG_ROUGE_WORDS_MAX ? all : MG_ROUGE_WORDS_MAX};
    w.word            = MG_NEW(scratch, mg_word, w.n);
    mg_words(text, size, true, w.n, w.word);
    return w;
}

static mg_rouge_score score(int64_t common, int64_t in_candidate, int64_t in_reference) {
    if (common == 0) return (mg_rouge_score){0, 0, 0};
    const double p = (double)common / (double)in_candidate;
    const double r = (double)common / (double)in_reference;
    return (mg_rouge_score){p, r, 2 * p * r / (p + r)};
}

static mg_rouge_score n_grams(words candidate, words reference, int64_t n, mg_arena *scratch) {
    const int64_t in_candidate = candidate.n - n + 1, in_reference = reference.n - n + 1;
    bool         *taken  = MG_NEW(scratch, bool, reference.n); // of the reference's grams
    int64_t       common = 0;
    for (int64_t i = 0; i < in_candidate; i++) {
        for (int64_t j = 0; j < in_reference; j++) {
            if (taken[j] || memcmp(&candidate.word[i], &reference.word[j],
                                   (size_t)n * sizeof(mg_word)) != 0)
                continue;
            taken[j] = true;
            common++;
            break;
        }
    }
    return score(common, in_candidate, in_reference);
}

// Longest common subsequence, one row of the table at a time.
static mg_rouge_score subsequence(words candidate, words reference, mg_arena *scratch) {
    // length[j]: with the reference's first j words
    int64_t *length = MG_NEW(scratch, int64_t, reference.n + 1);
    for (int64_t i = 0; i < candidate.n; i++) {
        int64_t diagonal = 0; // length[j - 1] one row above
        for (int64_t j = 1; j <= reference.n; j++) {
            const int64_t above = length[j];
            if (candidate.word[i] == reference.word[j - 1])
                length[j] = diagonal + 1;
            else if (length[j - 1] > above)
                length[j] = length[j - 1];
            diagonal = above;
        }
    }
    return score(length[reference.n], candidate.n, reference.n);
}

mg_rouge_scores mg_rouge(const char *candidate, size_t candidate_size, const char *reference,
                         size_t reference_size, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    const words  c    = split(candidate, candidate_size, scratch);
    const words  r    = split(reference, reference_size, scratch);
    const mg_rouge_scores scores = {n_grams(c, r, 1, scratch), n_grams(c, r, 2, scratch),
                                    subsequence(c, r, scratch)};
    mg_arena_reset(scratch, mark);
    return scores;
}
