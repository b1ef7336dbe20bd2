// bpe.h - byte pair encoding: applying merges to the symbols of a word, and learning them.
//
// Source: Sennrich, Haddow & Birch 2016, arXiv:1508.07909, algorithm 1. Applying: of all adjacent
// pairs that have a merge, the one with the lowest rank, the leftmost of equals, is joined, until
// none is left.
#ifndef MG_NETS_BPE_H
#define MG_NETS_BPE_H
#include "core/arena.h"
#include "nets/bpe_tables.h"

typedef struct mg_bpe { // zeroed: no merges
    mg_pairs ranks;     // pair of ids: the merge's rank, 0 first
    int32_t *merged;    // [ranks.n] the id that the merge makes
} mg_bpe;

void mg_bpe_release(mg_bpe *b);

// Merges in place and returns how many ids are left. scratch holds mg_bpe_scratch(n) bytes.
int64_t mg_bpe_apply(const mg_bpe *b, int32_t *ids, int64_t n, void *scratch);
size_t  mg_bpe_scratch(int64_t n);

// Distinct words, each a run of symbols, and how often each occurs. Learning writes into `symbols`.
typedef struct mg_bpe_words {
    int32_t *symbols; // words one after the other
    int64_t *starts;  // [n + 1]
    int64_t *counts;  // [n]
    int64_t  n;
} mg_bpe_words;

typedef struct mg_bpe_merge {
    int32_t left, right;
} mg_bpe_merge;

// Adds merged tokens to `vocab` (which holds the words' symbols: number = id) until it has
// vocab_size of them or no pair is left. merges: in order of rank, *n of them, freed by the caller.
// Errors: MG_LIMIT, MG_NOMEM.
mg_err mg_bpe_learn(mg_strings *vocab, const mg_bpe_words *words, int32_t vocab_size,
                    mg_bpe_merge **merges, int64_t *n) MG_MUST_USE;
#endif
