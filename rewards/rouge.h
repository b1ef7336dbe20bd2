// rouge.h - ROUGE-1, ROUGE-2 and ROUGE-L of a candidate against one reference.
//
// Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", sections 2 and 3:
// n-grams counted with clipping, and the longest common subsequence of the whole texts; F is the
// harmonic mean of precision and recall. Words are what the Python package rouge-score makes of a
// text by default: lower case, runs of [a-z0-9], no stemming. A side without n-grams scores 0.
#ifndef MG_REWARDS_ROUGE_H
#define MG_REWARDS_ROUGE_H
#include "core/arena.h"

// Words of either text that are scored; what comes after them is not looked at. No answer of a
// text world has more (4,096 bytes).
#define MG_ROUGE_WORDS_MAX 2048

typedef struct mg_rouge_score {
    double precision, recall, f;
} mg_rouge_score;

typedef struct mg_rouge_scores {
    mg_rouge_score r1, r2, l;
} mg_rouge_scores;

// scratch is left as it was found.
mg_rouge_scores mg_rouge(const char *candidate, size_t candidate_size, const char *reference,
                         size_t reference_size, mg_arena *scratch);
#endif
