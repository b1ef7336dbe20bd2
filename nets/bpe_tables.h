// bpe_tables.h - what byte-level BPE counts with: numbered strings, numbered pairs, and the
// alphabet that shows bytes as printable characters.
//
// Both tables give each new key the next number from 0 and find it again in constant time (open
// addressing, at most half full). Memory: the heap, until released.
#ifndef MG_NETS_BPE_TABLES_H
#define MG_NETS_BPE_TABLES_H
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define MG_STRINGS_MAX       ((int64_t)1 << 26) // strings in a table, pairs in a table
#define MG_STRINGS_BYTES_MAX ((size_t)2 << 30)  // bytes of all strings of a table

typedef struct mg_strings { // zeroed: empty
    char    *bytes;         // all strings, one after the other
    size_t  *ends;          // [n] where string i ends in `bytes`
    int32_t *slots;         // number of the string, or -1
    int64_t  n, n_room, n_slots;
    size_t   bytes_room;
} mg_strings;

// number: of the string, new or old. Errors: MG_LIMIT, MG_NOMEM.
mg_err mg_strings_add(mg_strings *s, const char *text, size_t size,
                      int32_t *number) MG_MUST_USE;
int32_t     mg_strings_find(const mg_strings *s, const char *text, size_t size); // -1: not there
const char *mg_strings_get(const mg_strings *s, int64_t number, size_t *size);   // no 0 behind it
void        mg_strings_release(mg_strings *s);

typedef struct mg_pair_slot {
    int32_t left, right;
    int32_t number; // -1: free
} mg_pair_slot;

typedef struct mg_pairs { // zeroed: empty
    mg_pair_slot *slots;
    int64_t       n, n_slots;
} mg_pairs;

// Errors: MG_LIMIT, MG_NOMEM.
mg_err mg_pairs_add(mg_pairs *p, int32_t left, int32_t right, int32_t *number) MG_MUST_USE;
void   mg_pairs_release(mg_pairs *p);

static inline uint64_t mg_pair_hash(int32_t left, int32_t right) {
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t x   = key * 0x9E3779B97F4A7C15u; // 2^64 / golden ratio (Knuth, 6.4)
    return x ^ x >> 32;
}

// -1: not there. In the header because encoding does little else.
static inline int32_t mg_pairs_find(const mg_pairs *p, int32_t left, int32_t right) {
    if (p->n_slots == 0) return -1;
    const uint64_t mask = (uint64_t)p->n_slots - 1;
    for (uint64_t i = mg_pair_hash(left, right) & mask;; i = (i + 1) & mask) {
        const mg_pair_slot *slot = &p->slots[i];
        if (slot->number < 0 || (slot->left == left && slot->right == right)) return slot->number;
    }
}

// The alphabet of GPT-2's encoder.py (bytes_to_unicode): printable Latin-1 stands for itself, the
// other bytes, in order, for U+0100 and on. Writes 1 or 2 bytes of UTF-8 and returns how many.
int mg_byte_spell(uint8_t byte, char out[2]);

// The bytes that a spelling stands for, at most `size` of them; -1 when it has another character.
// spelling is UTF-8.
int64_t mg_byte_unspell(const char *spelling, size_t size, char *out);
#endif
