// tokenizer_pieces.h - from text to words: Unicode normal forms, then cutting by patterns.
//
// These are the `normalizer` and `pre_tokenizer` of a tokenizer.json. Each step cuts the pieces
// that the step before it made; a piece is matched on its own, so lookarounds do not see past it.
#ifndef MG_NETS_TOKENIZER_PIECES_H
#define MG_NETS_TOKENIZER_PIECES_H
#include <jansson.h>
#include <stdbool.h>
#include <utf8proc.h>

#include "core/arena.h"
#include "nets/tokenizer_pattern.h"

#define MG_PIECES_STEPS_MAX 8    // steps, and normal forms
#define MG_PIECES_MARKS_MAX 1024 // combining marks in a row: putting them in order takes n^2 steps

typedef struct mg_pieces_step {
    pcre2_code *pattern; // owned; NULL: put a space in front of a piece that has none
    bool        removed; // what matches is dropped, not kept as a piece of its own
} mg_pieces_step;

typedef struct mg_pieces {
    utf8proc_option_t forms[MG_PIECES_STEPS_MAX];
    int               n_forms;
    mg_pieces_step    steps[MG_PIECES_STEPS_MAX];
    int               n_steps;
    size_t            growth; // a text of n bytes makes pieces of at most growth * n bytes
} mg_pieces;

// From the values of the two keys (NULL: absent). On error *p is still to be released.
// Errors: MG_UNSUPPORTED, MG_CORRUPT, MG_LIMIT, MG_NOMEM.
mg_err mg_pieces_read(mg_pieces *p, const char *file, const json_t *normalizer,
                      const json_t *pre_tokenizer) MG_MUST_USE;
void   mg_pieces_release(mg_pieces *p);

// Valid UTF-8 in its normal form: the text itself where it is that already, or on the arena.
// Error: MG_LIMIT.
mg_err mg_pieces_normalise(const mg_pieces *p, const char *text, size_t size, mg_arena *arena,
                           const char **out, size_t *out_size) MG_MUST_USE;

// Called for each piece, which is not empty and valid during the call.
typedef mg_err mg_piece_fn(void *context, const char *piece, size_t size);

typedef struct mg_cutter {
    const mg_pieces  *how;
    mg_arena         *arena; // for pieces with a space put in front
    pcre2_match_data *match; // owned
    mg_piece_fn      *fn;
    void             *context;
} mg_cutter;

mg_err mg_cutter_init(mg_cutter *c, const mg_pieces *how, mg_arena *arena, mg_piece_fn *fn,
                      void *context) MG_MUST_USE; // Error: MG_NOMEM
void   mg_cutter_release(mg_cutter *c);

// text is UTF-8. Errors: MG_LIMIT, and those of fn.
mg_err mg_cutter_run(mg_cutter *c, const char *text, size_t size) MG_MUST_USE;

// Room on the arena, checked: a text's needs are known only when it is looked at. NULL: there is
// not enough, and the sentence for MG_LIMIT is recorded.
void *mg_pieces_room(mg_arena *arena, size_t size) MG_MUST_USE;

// Where the first byte is that is not part of valid UTF-8; size: nowhere.
size_t mg_pieces_invalid_at(const char *text, size_t size);
#endif
