// jsonl.h - text data sets as JSON lines, read and written.
//
// A line is {"prompt", "completion"} or {"prompt", "chosen", "rejected"}; each value is a text or a
// list of messages [{"role", "content"}], whose contents are joined by newlines. Further keys are
// let pass. Errors name file, line, key, what was found and what was wanted; a blank line at the
// end is allowed, an empty data set is not.
#ifndef MG_STORE_JSONL_H
#define MG_STORE_JSONL_H
#include "core/arena.h"
#include "env/pair.h"

#define MG_JSONL_LINE_MAX (16 << 20) // bytes

// Errors: MG_IO, MG_CORRUPT, MG_EMPTY, MG_LIMIT. Everything read belongs to the arena.
mg_err mg_pairs_read(const char *path, mg_arena *arena, mg_pair **pairs, int64_t *n) MG_MUST_USE;
mg_err mg_preferences_read(const char *path, mg_arena *arena, mg_preference **rows,
                           int64_t *n) MG_MUST_USE;

// Written atomically. Error: MG_IO.
mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) MG_MUST_USE;
mg_err mg_preferences_write(const char *path, const mg_preference *rows, int64_t n) MG_MUST_USE;
#endif
