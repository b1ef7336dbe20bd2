// tokenizer_added.h - added tokens: whole strings that a text is split at before anything else.
//
// At each place the longest one counts, and the search goes on behind it (leftmost-longest).
#ifndef MG_NETS_TOKENIZER_ADDED_H
#define MG_NETS_TOKENIZER_ADDED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MG_ADDED_MAX 16384 // added tokens of one tokenizer

typedef struct mg_added_token {
    const char *text; // borrowed; not empty
    size_t      size;
    int32_t     id;
    bool        single_word; // not inside a word: no word character may touch it
    bool        lstrip, rstrip; // takes the white space on its left, on its right, along
    bool        special;
} mg_added_token;

typedef struct mg_added { // zeroed: no tokens
    mg_added_token *tokens;     // borrowed [n]
    int32_t         n;
    int32_t         first[257]; // those that begin with byte c are first[c] .. first[c + 1] - 1
} mg_added;

// Puts the tokens, which stay the caller's, in order of first byte, the longer ones first.
void mg_added_init(mg_added *a, mg_added_token *tokens, int32_t n);

// A text comes apart into gaps and tokens:  for (mg_added_walk w = {a, text, size};
// mg_added_next(&w);) { the gap (maybe empty), then the token `id` (-1: none, the text ends) }
typedef struct mg_added_walk {
    const mg_added *added;
    const char     *text;
    size_t          size;
    bool            plain; // special tokens and `stop` are not looked for: they stay text
    int32_t         stop;
    const char     *gap;
    size_t          gap_size;
    int32_t         id;
    size_t          taken, searched; // where the next gap starts, where the next search starts
    bool            ended;
} mg_added_walk;

bool mg_added_next(mg_added_walk *w);
#endif
