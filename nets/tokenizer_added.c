// tokenizer_added.c - see tokenizer_added.h.
#include "nets/tokenizer_added.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static int compare(const void *left, const void *right) {
    const mg_added_token *a = left, *b = right;
    const uint8_t         x = (uint8_t)a->text[0], y = (uint8_t)b->text[0];
    if (x != y) return x < y ? -1 : 1;
    return a->size == b->size ? 0 : a->size > b->size ? -1 : 1;
}

void mg_added_init(mg_added *a, mg_added_token *tokens, int32_t n) {
    if (n > 0) qsort(tokens, (size_t)n, sizeof *tokens, compare);
    *a = (mg_added){.tokens = tokens, .n = n};
    for (int32_t i = 0; i < n; i++) a->first[(uint8_t)tokens[i].text[0] + 1]++;
    for (int c = 0; c < 256; c++) a->first[c + 1] += a->first[c];
}

// The two classes below are those of Rust's `regex`, which the Python library asks.

// White_Space (PropList.txt).
static bool is_space(int32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

// \w of Unicode Technical Standard 18, annex C: Alphabetic, M, Nd, Pc, Join_Control. Alphabetic is
// L, Nl and Other_Alphabetic, whose members outside M are circled and squared letters.
static bool is_word(int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default:
        return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
               (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
               (c >= 0x1F170 && c <= 0x1F189);
    }
}

// The character that starts at `at`; its size in *n.
static int32_t char_at(const mg_added_walk *w, size_t at, size_t *n) {
    utf8proc_int32_t c;
    *n = (size_t)utf8proc_iterate((const utf8proc_uint8_t *)w->text + at,
                                  (utf8proc_ssize_t)(w->size - at), &c);
    return c;
}

static size_t char_before(const mg_added_walk *w, size_t at) {
    do at--;
    while ((w->text[at] & 0xC0) == 0x80);
    return at;
}

static bool touches_word(const mg_added_walk *w, size_t start, size_t end) {
    size_t n;
    return (start > 0 && is_word(char_at(w, char_before(w, start), &n))) ||
           (end < w->size && is_word(char_at(w, end, &n)));
}

// The next place where a token stands; its length is the match's, without stripped space.
static const mg_added_token *search(const mg_added_walk *w, size_t *at) {
    const mg_added *a = w->added;
    if (a->n == 0) return NULL;
    for (size_t i = w->searched; i < w->size; i++) {
        const uint8_t c = (uint8_t)w->text[i];
        for (int32_t k = a->first[c]; k < a->first[c + 1]; k++) {
            const mg_added_token *t = &a->tokens[k];
            if (t->size > w->size - i || memcmp(w->text + i, t->text, t->size) != 0) continue;
            *at = i;
            return t;
        }
    }
    return NULL;
}

static void emit(mg_added_walk *w, size_t gap_end, int32_t id, size_t taken) {
    w->gap      = w->text + w->taken;
    w->gap_size = gap_end > w->taken ? gap_end - w->taken : 0;
    w->id       = id;
    w->taken    = taken;
}

bool mg_added_next(mg_added_walk *w) {
    if (w->ended) return false;
    size_t                start, n;
    const mg_added_token *t;
    while ((t = search(w, &start))) {
        size_t end  = start + t->size;
        w->searched = end;
        if (w->plain && (t->special || t->id == w->stop)) continue;
        if (t->single_word && touches_word(w, start, end)) continue;
        if (t->lstrip)
            while (start > w->taken && is_space(char_at(w, char_before(w, start), &n)))
                start = char_before(w, start);
        if (t->rstrip)
            while (end < w->size && is_space(char_at(w, end, &n))) end += n;
        emit(w, start, t->id, end);
        return true;
    }
    w->ended = true;
    emit(w, w->size, -1, w->size);
    return w->gap_size > 0;
}
