// field.c - the five kinds of value: read strictly, written so that they read back.
//
// Numbers are judged here and not by a YAML library, because those take 3e-4x, 010 and 1e999
// without a word. Texts are UTF-8 (RFC 3629); YAML has no way to write any other bytes.
#include "core/field.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The code point at s and, returned, its bytes; 0 where none stands. RFC 3629, section 3: shortest
// form only, no surrogates, at most U+10FFFF.
static int decode(const char *s, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char  *b       = (const unsigned char *)s;
    const int size = b[0] < 0x80   ? 1
                     : b[0] < 0xC0 ? 0
                     : b[0] < 0xE0 ? 2
                     : b[0] < 0xF0 ? 3
                     : b[0] < 0xF8 ? 4
                                   : 0;
    uint32_t  c    = size < 2 ? b[0] : b[0] & (0x7Fu >> size);
    for (int i = 1; i < size; i++) {
        if ((b[i] & 0xC0) != 0x80) return 0; // the terminating 0 too
        c = c << 6 | (b[i] & 0x3Fu);
    }
    if (c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 0;
    *code = c;
    return size;
}

static bool is_text(const char *s) {
    if (strlen(s) > MG_FIELD_TEXT_SIZE_MAX) return false;
    uint32_t code;
    for (int size; *s; s += size)
        if ((size = decode(s, &code)) == 0) return false;
    return true;
}

// The words that a name field takes: the doc up to its colon, separated by bars.
static size_t words_size(const mg_field *f) { return strcspn(f->doc, ":"); }

static bool is_word(const mg_field *f, const char *text) {
    const size_t size = strlen(text);
    const char  *at = f->doc, *end = f->doc + words_size(f);
    while (size > 0 && at < end) {
        const size_t n = strcspn(at, "|:");
        if (n == size && memcmp(at, text, n) == 0) return true;
        at += n + 1;
    }
    return false;
}

const char *mg_field_meaning(const mg_field *f) {
    if (f->kind != MG_FIELD_name) return f->doc;
    const char *colon = f->doc + words_size(f);
    return colon + strspn(colon, ": ");
}

void mg_field_wanted(const mg_field *f, char *out, size_t size) {
    switch (f->kind) {
    case MG_FIELD_int: snprintf(out, size, "an integer in %.17g..%.17g", f->min, f->max); break;
    case MG_FIELD_real: snprintf(out, size, "a number in %.15g..%.15g", f->min, f->max); break;
    case MG_FIELD_flag: snprintf(out, size, "true or false"); break;
    case MG_FIELD_text:
        snprintf(out, size, "a text in UTF-8 of at most %d bytes", MG_FIELD_TEXT_SIZE_MAX);
        break;
    case MG_FIELD_name:
        snprintf(out, size, "one of %.*s", (int)words_size(f), f->doc);
        for (char *c = out; *c; c++)
            if (*c == '|') *c = ' ';
        break;
    }
}

static bool in_range(const mg_field *f, double x) { return x >= f->min && x <= f->max; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// 010 is eight to some readers and ten to others, so it is no number here.
static bool looks_octal(const char *digits) { return digits[0] == '0' && is_digit(digits[1]); }

static bool parse_int(const mg_field *f, const char *text, int64_t *out) {
    const char *digits = text + (*text == '-');
    if (!*digits || digits[strspn(digits, "0123456789")] || looks_octal(digits)) return false;
    errno           = 0;
    const int64_t x = strtoll(text, NULL, 10);
    if (errno || !in_range(f, (double)x)) return false;
    *out = x;
    return true;
}

static bool parse_real(const mg_field *f, const char *text, double *out) {
    // strtod also takes blanks, hexadecimal, "inf" and "nan".
    if (text[strspn(text, "0123456789+-.eE")]) return false;
    if (looks_octal(text + (*text == '-' || *text == '+'))) return false;
    char *end;
    errno          = 0;
    const double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || !in_range(f, x)) return false;
    if (errno == ERANGE && x == 0) return false; // 1e-999
    *out = x;
    return true;
}

bool mg_field_set(const mg_field *f, const char *text, void *values, mg_arena *arena) {
    void *at = (char *)values + f->offset;
    switch (f->kind) {
    case MG_FIELD_int: return parse_int(f, text, at);
    case MG_FIELD_real: return parse_real(f, text, at);
    case MG_FIELD_flag:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return false;
        *(bool *)at = text[0] == 't';
        return true;
    case MG_FIELD_text:
        if (!is_text(text)) return false;
        break;
    case MG_FIELD_name:
        if (!is_word(f, text)) return false;
        break;
    }
    *(const char **)at = mg_arena_strdup(arena, text);
    return true;
}

// The preprocessor's # spells a string literal with its quotes and escapes: \" \\ \n \t are undone.
static const char *unquote(const char *spelled, mg_arena *arena) {
    if (spelled[0] != '"') return spelled;
    char *out = mg_arena_strdup(arena, spelled + 1), *end = out;
    for (const char *c = out; *c != '"'; c++) {
        const bool escaped = *c == '\\';
        if (escaped) c++;
        *end++ = escaped && *c == 'n' ? '\n' : escaped && *c == 't' ? '\t' : *c;
    }
    *end = 0;
    return out;
}

void mg_field_reset(const mg_field *f, void *values, mg_arena *arena) {
    const bool taken = mg_field_set(f, unquote(f->fallback, arena), values, arena);
    if (!taken) fprintf(stderr, "default of %s: %s\n", f->name, f->fallback);
    MG_ASSERT(taken);
}

// What libyaml's reader lets through as it stands and does not fold as a line break; YAML 1.2,
// productions c-printable and nb-json. The rest lies below U+10000 and is written as an escape.
static bool is_plain(uint32_t c) {
    if (c < 0xA0) return c >= 0x20 && c < 0x7F;
    return c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

static void print_quoted(const char *s, FILE *out) {
    fputc('"', out);
    uint32_t c;
    for (int size; *s; s += size) {
        size = decode(s, &c);
        MG_ASSERT(size > 0);
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", (char)c);
        else if (is_plain(c))
            fwrite(s, 1, (size_t)size, out);
        else
            fprintf(out, "\\u%04x", (unsigned)c);
    }
    fputc('"', out);
}

void mg_field_print(const mg_field *f, const void *values, FILE *out) {
    const void *at = (const char *)values + f->offset;
    switch (f->kind) {
    case MG_FIELD_int: fprintf(out, "%lld", (long long)*(const int64_t *)at); break;
    case MG_FIELD_real: {
        char text[32]; // 15 digits always suit the eye, 17 always suffice (IEEE 754, 5.12.2)
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, *(const double *)at);
            if (strtod(text, NULL) == *(const double *)at) break;
        }
        fputs(text, out);
        break;
    }
    case MG_FIELD_flag: fputs(*(const bool *)at ? "true" : "false", out); break;
    case MG_FIELD_text: print_quoted(*(const char *const *)at, out); break;
    case MG_FIELD_name: fputs(*(const char *const *)at, out); break;
    }
}
