// debian.c - reading stanzas, choosing pairs, and a split that nothing straddles.
//
// In the order of the work: fields of a stanza, text made plain, reasons to drop, duplicates,
// components (union-find over neighbours in sorted order: no hash table), the split.
#include "worlds/debian.h"

#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

const char *const mg_debian_drop_name[] = {
#define X(name, text) #name,
    MG_DEBIAN_DROPS(X)
#undef X
};
const char *const mg_debian_drop_text[] = {
#define X(name, text) text,
    MG_DEBIAN_DROPS(X)
#undef X
};

typedef struct span {
    const char *p;
    size_t      n;
} span;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_blank(span s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_space(s.p[i])) return false;
    return true;
}

// Takes the next line, without its newline, off the front; false at the end.
static bool next_line(span *rest, span *line) {
    if (rest->n == 0) return false;
    const char  *end  = memchr(rest->p, '\n', rest->n);
    const size_t n    = end ? (size_t)(end - rest->p) : rest->n;
    const size_t skip = end ? n + 1 : n;
    *line = (span){rest->p, n};
    *rest = (span){rest->p + skip, rest->n - skip};
    return true;
}

// ---- a stanza -----------------------------------------------------------------------------

// The fields we read, from behind the colon to the end of the last continuation line.
enum { PACKAGE, SOURCE, SECTION, DESCRIPTION, DESCRIPTION_EN, FIELDS_N };
static const char *const field_names[] = {"Package", "Source", "Section", "Description",
                                          "Description-en"};

typedef struct stanza {
    span field[FIELDS_N]; // p NULL: not there
    bool malformed;
} stanza;

// Which of our fields a line begins, FIELDS_N for another's; -1 when it begins none.
static int field_of(span line, size_t *value) {
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || colon == line.p) return -1;
    const size_t n = (size_t)(colon - line.p);
    *value = n + 1;
    for (int f = 0; f < FIELDS_N; f++)
        if (strlen(field_names[f]) == n && strncasecmp(field_names[f], line.p, n) == 0) return f;
    return FIELDS_N;
}

// Takes the next stanza off the front; false when only blank lines are left.
static bool next_stanza(span *rest, stanza *s) {
    *s = (stanza){.malformed = false};
    bool begun = false;
    int  field = FIELDS_N;
    span line;
    while (next_line(rest, &line)) {
        if (is_blank(line)) {
            if (begun) return true;
            continue;
        }
        size_t     value        = 0;
        const bool continuation = is_space(line.p[0]);
        if (continuation && !begun) s->malformed = true;
        begun = true;
        if (continuation) {
            if (field < FIELDS_N)
                s->field[field].n = (size_t)(line.p + line.n - s->field[field].p);
            continue;
        }
        field = field_of(line, &value);
        if (field < 0 || (field < FIELDS_N && s->field[field].p)) {
            s->malformed = true;
            field        = FIELDS_N;
        }
        if (field < FIELDS_N) s->field[field] = (span){line.p + value, line.n - value};
    }
    return begun;
}

// ---- plain text ---------------------------------------------------------------------------

// Words divided by single spaces, and a 0; returns where it stopped writing, behind the 0.
static char *squeeze(span s, char *out) {
    const char *begin = out;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_space(s.p[i]))
            *out++ = s.p[i];
        else if (out > begin && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out > begin && out[-1] == ' ') out--;
    *out++ = 0;
    return out;
}

// The lines of a long description up to its first " .", those at its beginning passed over.
static span first_paragraph(span lines) {
    span paragraph = {lines.p, 0}, line;
    while (next_line(&lines, &line)) {
        char        plain[3];
        const bool  small = line.n <= sizeof plain - 1;
        const char *dot   = memchr(line.p, '.', line.n);
        (void)small;
        (void)dot;
    }
    return paragraph;
}
