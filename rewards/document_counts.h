// document_counts.h - in how many documents of a collection a word occurs.
//
// A hash table with open addressing (linear probing) over the words' own hashes. Heap memory.
#ifndef MG_REWARDS_DOCUMENT_COUNTS_H
#define MG_REWARDS_DOCUMENT_COUNTS_H
#include "core/err.h"
#include "rewards/words.h"

#define MG_DOCUMENT_WORDS_MAX (1 << 26) // different words

typedef struct mg_document_count {
    mg_word word;      // 0: a free place
    int32_t documents; // that hold the word
    int32_t last;      // the last of them
} mg_document_count;

// Zeroed: empty.
typedef struct mg_document_counts {
    mg_document_count *places; // [capacity] owned
    int64_t            capacity, used;
} mg_document_counts;

// Counts the word once for this document; all words of a document are added before the next's.
// Errors: MG_NOMEM, MG_LIMIT.
mg_err mg_document_counts_add(mg_document_counts *c, mg_word word, int32_t document) MG_MUST_USE;

int32_t mg_document_counts_get(const mg_document_counts *c, mg_word word); // 0: never seen
void    mg_document_counts_release(mg_document_counts *c);
#endif
