// tokenizer_internal.h - what a tokenizer consists of, for the files that make and use one.
#ifndef MG_NETS_TOKENIZER_INTERNAL_H
#define MG_NETS_TOKENIZER_INTERNAL_H
#include "nets/bpe.h"
#include "nets/tokenizer.h"
#include "nets/tokenizer_added.h"
#include "nets/tokenizer_pieces.h"

#define MG_TOKENIZER_AROUND_MAX 16 // ids that a template puts before a text, or after it

enum { MG_ID_MODEL = 1, MG_ID_SPECIAL = 2 }; // flags of an id

struct mg_tokenizer {
    mg_arena   memory; // owns what is said to lie on it
    char      *file;   // the tokenizer.json, on memory: saving writes it
    size_t     file_size;
    mg_strings contents; // tokens as the file spells them; number = id
    uint8_t   *flags;    // [contents.n] on memory
    mg_text   *spelled;  // [contents.n] what the ids stand for, on memory or in contents
    size_t     model_content_max; // of a token of the BPE vocabulary

    mg_bpe    bpe;
    int32_t   byte_ids[256];
    bool      ignore_merges; // a word that is a token is taken whole
    mg_pieces pieces;
    mg_added  added;            // looked for in the text as it is
    mg_added  added_normalised; // looked for in the text's normal form
    int32_t   before[MG_TOKENIZER_AROUND_MAX], after[MG_TOKENIZER_AROUND_MAX];
    int32_t   n_before, n_after;
};

// Fills a zeroed tokenizer that has memory and file. `name` is for sentences. On error it is still
// to be freed.
mg_err mg_tokenizer_read(mg_tokenizer *t, const char *name) MG_MUST_USE;

// A zeroed tokenizer with its memory.
mg_err mg_tokenizer_new(mg_tokenizer **out) MG_MUST_USE;
#endif
