// debian.c - reading stanzas, choosing pairs, and a split that nothing straddles.
//
// In the order of the work: fields of a stanza, text made plain, reasons to drop, duplicates,
// components (union-find over neighbours in sorted order: no hash table), the split.
#include "worlds/debian.h"

#include <openssl/sha.h>
#include <stdbool.h>
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
    size_t n = 0;
    while (n < line.n && line.p[n] != ':' && !is_space(line.p[n])) n++;
    if (n == 0 || n == line.n || line.p[n] != ':') return -1;
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

// Writes the words of s divided by single spaces, and a 0; returns how many bytes come before it.
static size_t squeeze(span s, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_space(s.p[i]))
            out[n++] = s.p[i];
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    if (n > 0 && out[n - 1] == ' ') n--;
    out[n] = 0;
    return n;
}

// A line " .", which divides paragraphs.
static bool is_division(span line) {
    const char *dot = memchr(line.p, '.', line.n);
    if (!dot) return false;
    const size_t before = (size_t)(dot - line.p);
    return is_blank((span){line.p, before}) && is_blank((span){dot + 1, line.n - before - 1});
}

// The lines before the first division; divisions at the very beginning are passed over.
static span first_paragraph(span lines) {
    span paragraph = {lines.p, 0}, line;
    while (next_line(&lines, &line)) {
        if (!is_division(line))
            paragraph.n = (size_t)(line.p + line.n - paragraph.p);
        else if (paragraph.n > 0)
            break;
        else
            paragraph.p = lines.p;
    }
    return paragraph;
}

// RFC 3629: no surrogates, nothing above U+10FFFF, no longer form than needed.
static bool is_utf8(const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    while (p < end) {
        const unsigned char c = *p++;
        if (c >= 0x80 && (c < 0xC2 || c > 0xF4)) return false;
        const int more = (c >= 0xC2) + (c >= 0xE0) + (c >= 0xF0);
        if (end - p < more) return false;
        if ((c == 0xE0 && p[0] < 0xA0) || (c == 0xED && p[0] > 0x9F) ||
            (c == 0xF0 && p[0] < 0x90) || (c == 0xF4 && p[0] > 0x8F))
            return false;
        for (int i = 0; i < more; i++)
            if ((*p++ & 0xC0) != 0x80) return false;
    }
    return true;
}

static bool has_control(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F) return true;
    return false;
}

// ---- a row, or why not --------------------------------------------------------------------

typedef struct row {
    const char *package, *source, *prompt, *paragraph, *synopsis; // paragraph lies inside prompt
} row;

// Policy 5.6.7: at least two of a-z 0-9 + - . beginning with a letter or digit.
static bool is_name(const char *s) {
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    return strchr(first, *s) && strlen(s) >= 2 &&
           s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.")] == 0;
}

static bool is_transitional(const char *text) {
    static const char *const signs[] = {"transitional package", "transitional dummy",
                                        "dummy package", "dummy transitional"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strcasestr(text, signs[i])) return true;
    return false;
}

// Writes a name's field at *out and moves behind it: "hello (1.2)" gives "hello".
static const char *take_name(span field, char **out) {
    char *name = *out;
    squeeze(field, name);
    name[strcspn(name, " ")] = 0;
    *out += strlen(name) + 1;
    return name;
}

// Fills the row with text at *out, behind which *out is left; MG_DEBIAN_DROPS_N when it is kept.
static mg_debian_drop make_row(const stanza *s, char **out, row *r) {
    if (s->malformed) return MG_DEBIAN_DROP_malformed;

    r->package = take_name(s->field[PACKAGE], out);
    r->source  = s->field[SOURCE].p ? take_name(s->field[SOURCE], out) : r->package;
    if (!is_name(r->package) || !is_name(r->source)) return MG_DEBIAN_DROP_package;
    // In contrib and non-free the section is written "non-free/libs" (Policy 2.4).
    if (memchr(s->field[SECTION].p ? s->field[SECTION].p : "", '/', s->field[SECTION].n))
        return MG_DEBIAN_DROP_area;

    span lines = s->field[s->field[DESCRIPTION_EN].p ? DESCRIPTION_EN : DESCRIPTION];
    span first = {"", 0};
    (void)next_line(&lines, &first);
    const size_t synopsis_n = squeeze(first, *out);
    if (synopsis_n == 0) return MG_DEBIAN_DROP_synopsis;
    r->synopsis = *out;
    *out += synopsis_n + 1;

    char *prompt       = *out;
    char *paragraph    = stpcpy(stpcpy(prompt, r->package), ": ");
    const size_t n     = squeeze(first_paragraph(lines), paragraph);
    if (n == 0) return MG_DEBIAN_DROP_paragraph;
    r->prompt    = prompt;
    r->paragraph = paragraph;
    *out         = paragraph + n + 1;

    if (!is_utf8(r->synopsis, synopsis_n) || !is_utf8(paragraph, n)) return MG_DEBIAN_DROP_utf8;
    if (has_control(r->synopsis, synopsis_n) || has_control(paragraph, n))
        return MG_DEBIAN_DROP_control;
    if (is_transitional(r->synopsis) || is_transitional(paragraph))
        return MG_DEBIAN_DROP_transitional;
    if (n < MG_DEBIAN_PARAGRAPH_MIN) return MG_DEBIAN_DROP_paragraph_short;
    if (n > MG_DEBIAN_PARAGRAPH_MAX) return MG_DEBIAN_DROP_paragraph_long;
    if (synopsis_n < MG_DEBIAN_SYNOPSIS_MIN) return MG_DEBIAN_DROP_synopsis_short;
    if (synopsis_n > MG_DEBIAN_SYNOPSIS_MAX) return MG_DEBIAN_DROP_synopsis_long;
    if (strcmp(r->synopsis, paragraph) == 0) return MG_DEBIAN_DROP_same;
    return MG_DEBIAN_DROPS_N;
}

// ---- orders -------------------------------------------------------------------------------

static int by_package(const void *a, const void *b) {
    const row *x = a, *y = b;
    int        c = strcmp(x->package, y->package);
    if (!c) c = strcmp(x->paragraph, y->paragraph);
    if (!c) c = strcmp(x->synopsis, y->synopsis);
    return c ? c : strcmp(x->source, y->source);
}

// The orders below are over pointers into the rows; what is equal stays in the rows' order.
static int by_place(const row *x, const row *y) { return (x > y) - (x < y); }

static int by_text(const void *a, const void *b) {
    const row *x = *(const row *const *)a, *y = *(const row *const *)b;
    int        c = strcmp(x->paragraph, y->paragraph);
    if (!c) c = strcmp(x->synopsis, y->synopsis);
    return c ? c : by_place(x, y);
}

static int by_paragraph(const void *a, const void *b) {
    const row *x = *(const row *const *)a, *y = *(const row *const *)b;
    int        c = strcmp(x->paragraph, y->paragraph);
    if (!c) c = strcmp(x->source, y->source);
    return c ? c : by_place(x, y);
}

static int by_source(const void *a, const void *b) {
    const row *x = *(const row *const *)a, *y = *(const row *const *)b;
    const int  c = strcmp(x->source, y->source);
    return c ? c : by_place(x, y);
}

// Drops the rows whose texts an earlier package has; returns how many are left, still in order.
static int64_t drop_duplicates(row *rows, const row **order, int64_t n) {
    for (int64_t i = 0; i < n; i++) order[i] = &rows[i];
    qsort(order, (size_t)n, sizeof *order, by_text);
    const row *kept = n > 0 ? order[0] : NULL;
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(order[i]->paragraph, kept->paragraph) == 0 &&
            strcmp(order[i]->synopsis, kept->synopsis) == 0)
            rows[order[i] - rows].prompt = NULL;
        else
            kept = order[i];
    }
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++)
        if (rows[i].prompt) rows[left++] = rows[i];
    return left;
}

// ---- components and the split -------------------------------------------------------------

// Trees over the rows; the root of a component is its first row.
typedef struct forest {
    int64_t *parent; // [n]
    int64_t *size;   // [n] of the component, at its root
    uint8_t *split;  // [n] mg_debian_split of the component, at its root
} forest;

static int64_t find(forest *f, int64_t i) {
    while (f->parent[i] != i) i = f->parent[i] = f->parent[f->parent[i]]; // path halving
    return i;
}

static void join(forest *f, int64_t a, int64_t b) {
    a = find(f, a);
    b = find(f, b);
    f->parent[a < b ? b : a] = a < b ? a : b;
}

static void join_sources(forest *f, const row *rows, const row **order, int64_t n,
                         mg_debian_report *report) {
    qsort(order, (size_t)n, sizeof *order, by_source);
    report->sources = 1;
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(order[i]->source, order[i - 1]->source) == 0)
            join(f, order[i] - rows, order[i - 1] - rows);
        else
            report->sources++;
    }
}

static void join_paragraphs(forest *f, const row *rows, const row **order, int64_t n,
                            mg_debian_report *report) {
    qsort(order, (size_t)n, sizeof *order, by_paragraph);
    const row *first   = order[0]; // of those with this paragraph
    bool       shared  = false;
    report->paragraphs = 1;
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(order[i]->paragraph, first->paragraph) != 0) {
            report->paragraphs++;
            first  = order[i];
            shared = false;
            continue;
        }
        join(f, order[i] - rows, first - rows);
        if (!shared && strcmp(order[i]->source, first->source) != 0) {
            shared = true;
            report->paragraphs_shared++;
        }
    }
}

typedef struct component {
    uint64_t key; // the first eight bytes of SHA-256(name of the root's package)
    int64_t  root;
} component;

static int by_key(const void *a, const void *b) {
    const component *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->root > y->root) - (x->root < y->root);
}

static uint64_t key_of(const char *package) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)package, strlen(package), hash);
    uint64_t key = 0;
    for (int i = 0; i < 8; i++) key = key << 8 | hash[i];
    return key;
}

// Gives every component its split; `held_out` is how many pairs each split may take.
static void split_components(forest *f, const row *rows, int64_t n, component *components,
                             int64_t held_out[MG_DEBIAN_SPLITS_N], mg_debian_report *report) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t root = find(f, i);
        if (root == i)
            components[report->components++] = (component){key_of(rows[i].package), i};
        if (++f->size[root] > report->component_largest) report->component_largest = f->size[root];
    }
    qsort(components, (size_t)report->components, sizeof *components, by_key);
    for (int64_t i = 0; i < report->components; i++) {
        const int64_t root = components[i].root, size = f->size[root];
        f->split[root] = MG_DEBIAN_TRAIN;
        if (size > MG_DEBIAN_HELD_OUT_COMPONENT_MAX) continue;
        for (int s = MG_DEBIAN_TEST; s > MG_DEBIAN_TRAIN; s--) {
            if (size > held_out[s]) continue;
            held_out[s] -= size;
            f->split[root] = (uint8_t)s;
            break;
        }
    }
}

// ---- the whole ----------------------------------------------------------------------------

static int64_t read_rows(span text, char *strings, row *rows, mg_debian_report *report) {
    const char *end = strings + 2 * text.n;
    int64_t     n   = 0;
    stanza      s;
    while (next_stanza(&text, &s)) {
        char                *out  = strings;
        const mg_debian_drop drop = make_row(&s, &out, &rows[n]);
        MG_ASSERT(out <= end);
        report->stanzas++;
        if (drop != MG_DEBIAN_DROPS_N) {
            report->dropped[drop]++;
            continue;
        }
        strings = out;
        n++;
    }
    qsort(rows, (size_t)n, sizeof *rows, by_package);
    return n;
}

// Refuses what the arena cannot hold, before anything is made.
static mg_err count_stanzas(span text, const mg_arena *arena, int64_t *out) {
    const size_t size = text.n;
    int64_t      n    = 0;
    stanza       s;
    while (next_stanza(&text, &s)) n++;
    if (n == 0) return mg_fail(MG_EMPTY, "package index: no stanza in %zu bytes", size);
    if (n > MG_DEBIAN_STANZAS_MAX)
        return mg_fail(MG_LIMIT, "package index: %lld stanzas, at most %d are read", (long long)n,
                       MG_DEBIAN_STANZAS_MAX);
    const size_t per_stanza = sizeof(mg_pair) + sizeof(mg_debian_origin) + sizeof(row) +
                              sizeof(row *) + 2 * sizeof(int64_t) + 1 + sizeof(component);
    const size_t alignment  = 64 * 16;
    const size_t needed     = 2 * size + (size_t)n * per_stanza + alignment;
    if (needed > arena->size_max - arena->used)
        return mg_fail(MG_LIMIT, "package index: %zu bytes of memory are needed, arena %s has %zu",
                       needed, arena->name, arena->size_max - arena->used);
    *out = n;
    return MG_OK;
}

static void write_splits(forest *f, const row *rows, int64_t n, mg_debian *d) {
    int64_t at = 0;
    for (int s = 0; s < MG_DEBIAN_SPLITS_N; s++) {
        d->begin[s] = at;
        for (int64_t i = 0; i < n; i++) {
            if (f->split[find(f, i)] != s) continue;
            d->pairs[at]    = (mg_pair){rows[i].prompt, rows[i].synopsis};
            d->origin[at++] = (mg_debian_origin){rows[i].package, rows[i].source};
        }
    }
    d->begin[MG_DEBIAN_SPLITS_N] = at;
}

mg_err mg_debian_read(const char *text, size_t size, int64_t validation, int64_t test,
                      mg_arena *arena, mg_debian *out) {
    MG_ASSERT(validation >= 0 && test >= 0);
    const span index = {text, size};
    int64_t    n_max = 0;
    mg_err     err   = count_stanzas(index, arena, &n_max);
    if (err) return err;

    // What stays comes first, what only this function needs behind it. A stanza's strings are its
    // own bytes, the package name once more, and fewer separators than its fields have names.
    const size_t begin   = mg_arena_mark(arena);
    mg_debian    d       = {.pairs = MG_NEW(arena, mg_pair, n_max)};
    d.origin             = MG_NEW(arena, mg_debian_origin, n_max);
    char        *strings = mg_arena_alloc_raw(arena, 2 * size);
    const size_t kept    = mg_arena_mark(arena);
    row         *rows    = MG_NEW(arena, row, n_max);
    const row  **order   = MG_NEW(arena, const row *, n_max);
    component   *components = MG_NEW(arena, component, n_max);
    forest       f       = {.parent = MG_NEW(arena, int64_t, n_max),
                            .size   = MG_NEW(arena, int64_t, n_max),
                            .split  = MG_NEW(arena, uint8_t, n_max)};

    const int64_t read = read_rows(index, strings, rows, &d.report);
    const int64_t n    = drop_duplicates(rows, order, read);
    d.report.pairs     = n;
    d.report.dropped[MG_DEBIAN_DROP_duplicate] = read - n;
    if (n == 0) {
        err = mg_fail(MG_EMPTY, "package index: none of its %lld stanzas makes a pair",
                      (long long)d.report.stanzas);
        goto fail;
    }

    for (int64_t i = 0; i < n; i++) {
        f.parent[i] = i;
        order[i]    = &rows[i];
    }
    join_sources(&f, rows, order, n, &d.report);
    join_paragraphs(&f, rows, order, n, &d.report);
    int64_t held_out[MG_DEBIAN_SPLITS_N] = {0, validation, test};
    split_components(&f, rows, n, components, held_out, &d.report);
    write_splits(&f, rows, n, &d);
    if (d.begin[MG_DEBIAN_VALIDATION] == d.begin[MG_DEBIAN_TRAIN]) {
        err = mg_fail(MG_CONFIG,
                      "package index: validation %lld and test %lld leave none of %lld pairs to "
                      "train on",
                      (long long)validation, (long long)test, (long long)n);
        goto fail;
    }
    mg_arena_reset(arena, kept);
    *out = d;
    return MG_OK;

fail:
    mg_arena_reset(arena, begin);
    return err;
}
