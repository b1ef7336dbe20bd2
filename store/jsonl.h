// jsonl.h - text data sets as JSON lines, read and written.
//
// A line is {"prompt", "completion"} or {"prompt", "chosen", "rejected"}; each value is a text or a
// list of messages [{"role", "content"}], whose contents are joined by newlines. Further keys are
// let pass, and so are blank lines; an empty data set is not. Errors name file, line, key, what was
// found and what was wanted.
//
// A file of pairs may also hold conversations, {"messages": [{"role", "content"}, ...]}, as TRL and
// OpenAI's fine-tuning write them. Each message of role assistant is an answer; what stands before
// it (system, developer, user, tool), joined by newlines, is what it answers, and there is always
// something. A conversation ends with an answer. Beside "messages" a demonstration says where it was
// made: "item" and "seed", whole numbers (pair.h); with a seed alone the item is -1, with an item
// alone the seed is 0. A row that has a "completion" is no conversation, whatever else it has.
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

// Written atomically; pairs of several turns and demonstrations as messages, others as prompt and
// completion. Errors: MG_IO, MG_NOMEM, MG_CORRUPT (a text that is not UTF-8: which row), MG_LIMIT (an
// item or a seed that JSON cannot carry).
mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) MG_MUST_USE;
mg_err mg_preferences_write(const char *path, const mg_preference *rows, int64_t n) MG_MUST_USE;
#endif
