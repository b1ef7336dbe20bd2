// numbers.h - what the record of a world of vectors holds (record.h), as numbers again.
//
// The record keeps bytes; what they are is the world's spaces, which the note "numbers" in a run's store says:
// {"observation": 3, "action": 1, "choices": 0}. A run of texts has no such note.
#ifndef MG_ROLLOUT_NUMBERS_H
#define MG_ROLLOUT_NUMBERS_H
#include "env/env.h"
#include "store/store.h"

typedef struct mg_numbers {
    int64_t seen;    // numbers of an observation; 0: it is a text
    int64_t done;    // numbers of an action; 0: it is none of numbers
    int64_t choices; // an action is one of so many; 0: it is no choice
} mg_numbers;

mg_numbers mg_numbers_of(const mg_env_class *class);
// Errors: those of notes.
mg_err mg_numbers_note(mg_store *s, const mg_numbers *n) MG_MUST_USE; // all zero: no effect
// Without a note: all zero. Errors: those of notes; MG_CORRUPT for a note that is not one.
mg_err mg_numbers_read(mg_store *s, mg_arena *arena, mg_numbers *out) MG_MUST_USE;

// A turn's numbers, [n->seen] and [n->done], to the bit. False: the record has none there (a replayable one has no
// observations), or not so many; out is spoilt.
bool mg_numbers_seen(const mg_numbers *n, const mg_turn *t, float *out);
bool mg_numbers_done(const mg_numbers *n, const mg_turn *t, float *out);
#endif
