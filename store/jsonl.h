// jsonl.h - text data sets as JSON lines, read and written.
//
// A line is {"prompt", "completion"} or {"prompt", "chosen", "rejected"}; each value is a text or a
// list of messages [{"role", "content"}], whose contents are joined by newlines. Further keys are
// let pass, and so are blank lines; an empty data set is not. Errors name file, line, key, what was
// found and what was wanted.
#ifndef MG_STORE_JSONL_H
#define MG_STORE_JSONL_H
#include "core/arena.h"
#include "env/pair.h"

#define MG_JSONL_LINE_MAX (16 << 20)           // bytes, without its end
#define MG_JSONL_FILE_MAX ((int64_t)4 << 30)   // bytes; a row takes at most 8 times its line's

// Errors: MG_IO, MG_NOMEM, MG_CORRUPT, MG_EMPTY, MG_LIMIT. Everything read belongs to the arena.
mg_err mg_pairs_read(const char *path, mg_arena *arena, mg_pair **pairs, int64_t *n) MG_MUST_USE;
mg_err mg_preferences_read(const char *path, mg_arena *arena, mg_preference **rows,
                           int64_t *n) MG_MUST_USE;

// Written atomically. Errors: MG_IO, MG_NOMEM, MG_CORRUPT (a text that is not UTF-8: which row).
mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) MG_MUST_USE;
mg_err mg_preferences_write(const char *path, const mg_preference *rows, int64_t n) MG_MUST_USE;
#endif
