// tokenizer_pieces.c - see tokenizer_pieces.h.
#include "nets/tokenizer_pieces.h"

#include <string.h>

// --- reading ---

typedef struct reader {
    mg_pieces  *pieces;
    const char *file;       // for sentences
    bool        byte_level; // was read: nothing may follow it
} reader;

static const char *type_of(const json_t *part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    return type ? type : "without a type";
}

static mg_err unsupported(const reader *r, const char *key, const char *what) {
    return mg_fail(MG_UNSUPPORTED, "%s: %s %s is not supported", r->file, key, what);
}

typedef struct form {
    const char       *name;
    utf8proc_option_t options;
    size_t            growth; // of UTF-8, at most (Unicode Standard Annex 15, section 12)
} form;

static const form forms[] = {
    {"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE, 3},
    {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, 3},
    {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT, 11},
    {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, 11},
};

static mg_err read_normalizer(reader *r, const json_t *part) {
    if (!part || json_is_null(part)) return MG_OK;
    const char *type = type_of(part);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *parts = json_object_get(part, "normalizers");
        if (!json_is_array(parts))
            return mg_fail(MG_CORRUPT, "%s: normalizer Sequence without normalizers", r->file);
        mg_err err = MG_OK;
        for (size_t i = 0; !err && i < json_array_size(parts); i++)
            err = read_normalizer(r, json_array_get(parts, i));
        return err;
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(type, forms[i].name) != 0) continue;
        if (r->pieces->n_forms == MG_PIECES_STEPS_MAX)
            return mg_fail(MG_LIMIT, "%s: more than %d normalizers", r->file, MG_PIECES_STEPS_MAX);
        r->pieces->forms[r->pieces->n_forms++] = forms[i].options;
        r->pieces->growth *= forms[i].growth;
        return MG_OK;
    }
    return unsupported(r, "normalizer", type);
}

static mg_err add_step(reader *r, const char *pattern, bool removed) {
    if (r->pieces->n_steps == MG_PIECES_STEPS_MAX)
        return mg_fail(MG_LIMIT, "%s: more than %d pre_tokenizers", r->file, MG_PIECES_STEPS_MAX);
    pcre2_code *code = NULL;
    mg_err      err  = pattern ? mg_pattern_compile(r->file, pattern, &code) : MG_OK;
    if (!err) r->pieces->steps[r->pieces->n_steps++] = (mg_pieces_step){code, removed};
    return err;
}

static mg_err read_split(reader *r, const json_t *part) {
    const json_t *by       = json_object_get(part, "pattern");
    const char   *pattern  = json_string_value(json_object_get(by, "Regex"));
    const char   *behavior = json_string_value(json_object_get(part, "behavior"));
    if (!pattern) return unsupported(r, "pre_tokenizer", "Split by anything but a Regex");
    if (json_is_true(json_object_get(part, "invert")))
        return unsupported(r, "pre_tokenizer", "Split with invert true");
    const bool removed = behavior && strcmp(behavior, "Removed") == 0;
    if (!behavior || (!removed && strcmp(behavior, "Isolated") != 0))
        return mg_fail(MG_UNSUPPORTED, "%s: pre_tokenizer Split with behavior %s is not supported",
                       r->file, behavior ? behavior : "(none)");
    return add_step(r, pattern, removed);
}

// The bytes are spelled out when words are looked up, so this must be the last step.
static mg_err read_byte_level(reader *r, const json_t *part) {
    const json_t *prefix = json_object_get(part, "add_prefix_space");
    r->byte_level        = true;
    if (!prefix || json_is_true(prefix)) {
        mg_err err = add_step(r, NULL, false);
        if (err) return err;
        r->pieces->growth *= 2; // a piece has at least one byte
    }
    return json_is_false(json_object_get(part, "use_regex")) ? MG_OK
                                                             : add_step(r, MG_PATTERN_GPT2, false);
}

static mg_err read_pre_tokenizer(reader *r, const json_t *part) {
    const char *type = type_of(part);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *parts = json_object_get(part, "pretokenizers");
        if (!json_is_array(parts))
            return mg_fail(MG_CORRUPT, "%s: pre_tokenizer Sequence without pretokenizers", r->file);
        mg_err err = MG_OK;
        for (size_t i = 0; !err && i < json_array_size(parts); i++)
            err = read_pre_tokenizer(r, json_array_get(parts, i));
        return err;
    }
    if (r->byte_level)
        return mg_fail(MG_UNSUPPORTED, "%s: pre_tokenizer %s after ByteLevel is not supported",
                       r->file, type);
    if (strcmp(type, "ByteLevel") == 0) return read_byte_level(r, part);
    if (strcmp(type, "Split") == 0) return read_split(r, part);
    if (strcmp(type, "Digits") == 0) {
        const bool each = json_is_true(json_object_get(part, "individual_digits"));
        return add_step(r, each ? "\\p{N}" : "\\p{N}+", false);
    }
    return unsupported(r, "pre_tokenizer", type);
}

mg_err mg_pieces_read(mg_pieces *p, const char *file, const json_t *normalizer,
                      const json_t *pre_tokenizer) {
    reader r   = {.pieces = p, .file = file};
    *p         = (mg_pieces){.growth = 1};
    mg_err err = read_normalizer(&r, normalizer);
    if (!err && (!pre_tokenizer || json_is_null(pre_tokenizer)))
        err = unsupported(&r, "pre_tokenizer", "null");
    if (!err) err = read_pre_tokenizer(&r, pre_tokenizer);
    if (!err && !r.byte_level) err = unsupported(&r, "pre_tokenizer", "without ByteLevel");
    return err;
}

void mg_pieces_release(mg_pieces *p) {
    for (int i = 0; i < p->n_steps; i++) pcre2_code_free(p->steps[i].pattern); // NULL is fine
    *p = (mg_pieces){0};
}

// --- normal forms ---

void *mg_pieces_room(mg_arena *arena, size_t size) {
    const size_t left = arena->size_max - arena->used, aligned = (size + 63) & ~(size_t)63;
    if (aligned >= size && aligned <= left) return mg_arena_alloc_raw(arena, size);
    mg_fail(MG_LIMIT, "arena %s: a text needs %zu bytes, %zu are left", arena->name, size, left);
    return NULL;
}

static size_t ascii_prefix(const char *text, size_t size) {
    size_t   i = 0;
    uint64_t eight;
    for (; i + sizeof eight <= size; i += sizeof eight) {
        memcpy(&eight, text + i, sizeof eight);
        if (eight & 0x8080808080808080u) break;
    }
    while (i < size && !(text[i] & 0x80)) i++;
    return i;
}

size_t mg_pieces_invalid_at(const char *text, size_t size) {
    size_t at = 0;
    while ((at += ascii_prefix(text + at, size - at)) < size) {
        utf8proc_int32_t      c;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                    (utf8proc_ssize_t)(size - at), &c);
        if (n <= 0) return at;
        at += (size_t)n;
    }
    return size;
}

typedef struct marks {
    int in_a_row, longest;
} marks;

static utf8proc_int32_t count_marks(utf8proc_int32_t c, void *context) {
    marks *m    = context;
    m->in_a_row = utf8proc_get_property(c)->combining_class ? m->in_a_row + 1 : 0;
    if (m->in_a_row > m->longest) m->longest = m->in_a_row;
    return c;
}

static mg_err normalise(utf8proc_option_t options, const char *text, size_t size, mg_arena *arena,
                        const char **out, size_t *out_size) {
    const utf8proc_uint8_t *in = (const utf8proc_uint8_t *)text;
    marks                   m  = {0};
    // Without room it only counts code points, and puts no marks in order.
    utf8proc_ssize_t n = utf8proc_decompose_custom(in, (utf8proc_ssize_t)size, NULL, 0, options,
                                                   count_marks, &m);
    if (n < 0) return mg_fail(MG_LIMIT, "normalising a text: %s", utf8proc_errmsg(n));
    if (m.longest > MG_PIECES_MARKS_MAX)
        return mg_fail(MG_LIMIT, "a text has %d combining marks in a row, at most %d are taken",
                       m.longest, MG_PIECES_MARKS_MAX);
    const size_t      mark  = mg_arena_mark(arena);
    utf8proc_int32_t *codes = mg_pieces_room(arena, ((size_t)n + 1) * sizeof *codes);
    if (!codes) return MG_LIMIT;
    n = utf8proc_decompose(in, (utf8proc_ssize_t)size, codes, n, options);
    MG_ASSERT(n >= 0);
    n = utf8proc_reencode(codes, n, options); // in place: UTF-8 needs at most 4 bytes each
    MG_ASSERT(n >= 0);
    mg_arena_reset(arena, mark);
    *out      = mg_arena_alloc_raw(arena, (size_t)n); // the same place, cut to what it holds
    *out_size = (size_t)n;
    return MG_OK;
}

mg_err mg_pieces_normalise(const mg_pieces *p, const char *text, size_t size, mg_arena *arena,
                           const char **out, size_t *out_size) {
    mg_err err = MG_OK;
    if (ascii_prefix(text, size) < size)
        for (int i = 0; !err && i < p->n_forms; i++)
            err = normalise(p->forms[i], text, size, arena, &text, &size);
    *out      = text;
    *out_size = size;
    return err;
}

// --- cutting ---

mg_err mg_cutter_init(mg_cutter *c, const mg_pieces *how, mg_arena *arena, mg_piece_fn *fn,
                      void *context) {
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) return mg_fail(MG_NOMEM, "matching a pattern");
    *c = (mg_cutter){how, arena, match, fn, context};
    return MG_OK;
}

void mg_cutter_release(mg_cutter *c) {
    pcre2_match_data_free(c->match);
    *c = (mg_cutter){0};
}

static mg_err cut(mg_cutter *c, int step, const char *text, size_t size);

static mg_err with_space(mg_cutter *c, int step, const char *text, size_t size) {
    if (text[0] == ' ') return cut(c, step, text, size);
    const size_t mark   = mg_arena_mark(c->arena);
    char        *spaced = mg_pieces_room(c->arena, size + 1);
    if (!spaced) return MG_LIMIT;
    spaced[0] = ' ';
    memcpy(spaced + 1, text, size);
    mg_err err = cut(c, step, spaced, size + 1);
    mg_arena_reset(c->arena, mark);
    return err;
}

static mg_err cut(mg_cutter *c, int step, const char *text, size_t size) {
    if (size == 0) return MG_OK;
    if (step == c->how->n_steps) return c->fn(c->context, text, size);
    const mg_pieces_step *s = &c->how->steps[step];
    if (!s->pattern) return with_space(c, step + 1, text, size);

    size_t at = 0;
    for (;;) { // the text was checked once: UTF-8 is not looked at again
        const int rc = pcre2_match(s->pattern, (PCRE2_SPTR)text, size, at, PCRE2_NO_UTF_CHECK,
                                   c->match, NULL);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0) return mg_fail(MG_LIMIT, "a pre_tokenizer's pattern gave up (PCRE2: %d)", rc);
        const size_t start = pcre2_get_ovector_pointer(c->match)[0];
        const size_t end   = pcre2_get_ovector_pointer(c->match)[1];
        MG_ASSERT(at <= start && start < end && end <= size);
        mg_err err = cut(c, step + 1, text + at, start - at);
        if (!err && !s->removed) err = cut(c, step + 1, text + start, end - start);
        if (err) return err;
        at = end;
    }
    return cut(c, step + 1, text + at, size - at);
}

mg_err mg_cutter_run(mg_cutter *c, const char *text, size_t size) { return cut(c, 0, text, size); }
