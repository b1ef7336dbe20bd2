// words.h - text as lower-case words.
//
// A word is a run of letters and digits, known by a 64-bit hash of its lower-case bytes: FNV-1a
// (Fowler, Noll & Vo) with the finaliser of SplitMix64 (Steele, Lea & Flood 2014). Two words are
// taken for the same when their hashes are: among a million words one such mistake has probability
// 3e-8. Only ASCII letters have cases here.
#ifndef MG_REWARDS_WORDS_H
#define MG_REWARDS_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t mg_word; // never 0

// Writes the first n_max words of the text and returns how many it has in all. ascii: only a-z and
// 0-9 make words; otherwise every byte from 0x80 does too, so that no letter is passed over.
int64_t mg_words(const char *text, size_t size, bool ascii, int64_t n_max, mg_word *out);

// One hash of two, for pairs of neighbours; the order matters.
mg_word mg_word_pair(mg_word a, mg_word b);
#endif
