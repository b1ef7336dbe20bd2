// tokenizer_pattern.c - see tokenizer_pattern.h.
#include "nets/tokenizer_pattern.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

// White_Space of the Unicode character database (PropList.txt), as members of a class.
#define SPACE                                                                                    \
    "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"      \
    "\\x{205f}\\x{3000}"

typedef struct translation {
    const char *file, *pattern; // for sentences
    const char *at;             // what comes next
    bool        in_class;
    char        out[MG_PATTERN_MAX];
    size_t      size;
} translation;

static mg_err refuse(const translation *t, const char *what) {
    return mg_fail(MG_UNSUPPORTED, "%s: pattern \"%s\": %s at byte %td is not supported", t->file,
                   t->pattern, what, t->at - t->pattern);
}

static mg_err put(translation *t, const char *text, size_t size) {
    if (size >= sizeof t->out - t->size)
        return mg_fail(MG_LIMIT, "%s: a pattern of more than %d bytes", t->file, MG_PATTERN_MAX);
    memcpy(t->out + t->size, text, size);
    t->size += size;
    return MG_OK;
}

static mg_err put_n(translation *t, size_t n) { // the next n bytes as they are
    mg_err err = put(t, t->at, n);
    if (!err) t->at += n;
    return err;
}

static mg_err put_for(translation *t, size_t n, const char *text) { // instead of the next n bytes
    mg_err err = put(t, text, strlen(text));
    if (!err) t->at += n;
    return err;
}

// \p{L}, \p{Lu}, \p{^L}, \P{L}: general categories only.
static mg_err put_property(translation *t) {
    const char *p = t->at + 2;
    if (*p++ != '{') return refuse(t, "a property without braces");
    if (*p == '^') p++;
    const size_t letters = strcspn(p, "}");
    if (letters < 1 || letters > 2 || !strchr("CLMNPSZ", p[0]) || p[letters] != '}')
        return refuse(t, "a property other than a general category");
    return put_n(t, (size_t)(p - t->at) + letters + 1);
}

static mg_err put_escape(translation *t) {
    const char c = t->at[1];
    if (c == 's') return put_for(t, 2, t->in_class ? SPACE : "[" SPACE "]");
    if (c == 'S' && !t->in_class) return put_for(t, 2, "[^" SPACE "]");
    if (c == 'p' || c == 'P') return put_property(t);
    if (c == 'x' && t->at[2] == '{') {
        const size_t digits = strspn(t->at + 3, "0123456789abcdefABCDEF");
        return t->at[3 + digits] == '}' ? put_n(t, digits + 4) : refuse(t, "this escape");
    }
    if (c && strchr("dDnrtfxAz", c)) return put_n(t, 2);
    if (c > ' ' && c < 0x7F && !isalnum((unsigned char)c)) return put_n(t, 2); // punctuation
    return refuse(t, "this escape");
}

// (...)  (?:...)  (?i:...)  (?=...)  (?!...)  (?<=...)  (?<!...)  (?>...)
static mg_err put_group(translation *t) {
    static const char *const openings[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (t->at[1] == '*') return refuse(t, "a verb");
    if (t->at[1] != '?') return put_n(t, 1);
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (strncmp(t->at, openings[i], strlen(openings[i])) == 0)
            return put_n(t, strlen(openings[i]));
    return refuse(t, "this kind of group");
}

static mg_err put_next(translation *t) {
    const char c = t->at[0];
    if (c == '\\') return put_escape(t);
    if (t->in_class) {
        if (c == '[') return refuse(t, "a class inside a class");
        if (c == '&' && t->at[1] == '&') return refuse(t, "an intersection of classes");
        t->in_class = c != ']';
        return put_n(t, 1);
    }
    if (c == '(') return put_group(t);
    if (c == '{' && t->at[1] == ',') return refuse(t, "a repeat without a lower bound");
    if (c == '}' && (t->at[1] == '+' || t->at[1] == '?'))
        return refuse(t, "a counted repeat that is possessive or lazy");
    if (c != '[') return put_n(t, 1);
    t->in_class = true;
    const size_t opening = t->at[1] == '^' ? 2 : 1;
    if (t->at[opening] == ']') return refuse(t, "a class that begins with ']'");
    return put_n(t, opening);
}

static mg_err compile(const translation *t, pcre2_code **out) {
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) return mg_fail(MG_NOMEM, "%s: pattern", t->file);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int         code;
    size_t      at;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)t->out, t->size, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code,
                      &at, context);
    pcre2_compile_context_free(context);
    if (!compiled) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return mg_fail(MG_CORRUPT, "%s: pattern \"%s\": %s", t->file, t->pattern, (char *)why);
    }
    uint32_t empty = 0;
    pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) {
        pcre2_code_free(compiled);
        return mg_fail(MG_UNSUPPORTED, "%s: pattern \"%s\" can match nothing at all", t->file,
                       t->pattern);
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); // where that fails it is interpreted
    *out = compiled;
    return MG_OK;
}

mg_err mg_pattern_compile(const char *file, const char *pattern, pcre2_code **out) {
    translation t = {.file = file, .pattern = pattern, .at = pattern};
    while (*t.at) {
        mg_err err = put_next(&t);
        if (err) return err;
    }
    return compile(&t, out);
}
