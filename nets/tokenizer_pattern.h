// tokenizer_pattern.h - the regular expressions of tokenizer.json, matched by PCRE2.
//
// The files are written for Oniguruma (Ruby syntax). Where the two libraries differ the pattern is
// translated or refused, so that a text is never cut elsewhere in silence:
//   \s      the property White_Space; PCRE2 would add U+180E
//   ^ $     match at every line, as in Ruby
//   \w \b \h \v \p{Han} [a[b]] [a&&b] x{1,3}+ (?<name>) (*VERB)  mean something else: refused
#ifndef MG_NETS_TOKENIZER_PATTERN_H
#define MG_NETS_TOKENIZER_PATTERN_H
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/err.h"

#define MG_PATTERN_MAX 4096 // bytes

#define MG_PATTERN_GPT2                                                                          \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

// `file` is for the sentence. *out is the caller's, for pcre2_code_free.
// Errors: MG_UNSUPPORTED, MG_CORRUPT (not a regular expression), MG_LIMIT, MG_NOMEM.
mg_err mg_pattern_compile(const char *file, const char *pattern, pcre2_code **out) MG_MUST_USE;
#endif
