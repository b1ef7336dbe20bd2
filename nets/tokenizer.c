// tokenizer.c - encoding and decoding with a tokenizer that is loaded.
//
//   text -> added tokens out -> normal form -> normalised added tokens out -> pieces -> merges
#include "nets/tokenizer.h"

#include <string.h>

#include "core/file.h"
#include "nets/tokenizer_internal.h"

// The file, the bytes of its tokens and 17 bytes per id, with room to spare. Address space.
#define MEMORY_MAX ((size_t)4 * MG_TOKENIZER_FILE_MAX)

mg_err mg_tokenizer_new(mg_tokenizer **out) {
    mg_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return mg_fail(MG_NOMEM, "tokenizer");
    mg_err err = mg_arena_init(&t->memory, "tokenizer", MEMORY_MAX);
    if (err) free(t);
    else *out = t;
    return err;
}

void mg_tokenizer_free(mg_tokenizer *t) {
    if (!t) return;
    mg_strings_release(&t->contents);
    mg_bpe_release(&t->bpe);
    mg_pieces_release(&t->pieces);
    mg_arena_release(&t->memory);
    free(t);
}

mg_err mg_tokenizer_load(mg_tokenizer **out, const char *path) {
    mg_tokenizer *t   = NULL;
    mg_err        err = mg_tokenizer_new(&t);
    if (err) return err;
    err = mg_file_read(path, MG_TOKENIZER_FILE_MAX, &t->memory, &t->file, &t->file_size);
    if (!err) err = mg_tokenizer_read(t, path);
    if (err) mg_tokenizer_free(t);
    else *out = t;
    return err;
}

mg_err mg_tokenizer_save(const mg_tokenizer *t, const char *path) {
    return mg_file_write(path, t->file, t->file_size);
}

// --- queries ---

int32_t mg_tokenizer_vocab_size(const mg_tokenizer *t) { return (int32_t)t->contents.n; }

const char *mg_tokenizer_token_bytes(const mg_tokenizer *t, int32_t id, size_t *size) {
    MG_ASSERT(id >= 0 && id < t->contents.n);
    *size = t->spelled[id].size;
    return t->spelled[id].data;
}

int32_t mg_tokenizer_id(const mg_tokenizer *t, const char *content) {
    return mg_strings_find(&t->contents, content, strlen(content));
}

bool mg_tokenizer_is_special(const mg_tokenizer *t, int32_t id) {
    MG_ASSERT(id >= 0 && id < t->contents.n);
    return t->flags[id] & MG_ID_SPECIAL;
}

// --- encoding ---

typedef struct encoding {
    const mg_tokenizer *t;
    mg_arena           *arena;
    mg_cutter           cutter;
    bool                plain; // special tokens and `stop` in the text stay text
    int32_t             stop;
    int32_t            *ids;
    int64_t             n, n_max;
} encoding;

static void push(encoding *e, const int32_t *ids, int32_t n) {
    MG_ASSERT(e->n + n <= e->n_max);
    if (n > 0) memcpy(e->ids + e->n, ids, (size_t)n * sizeof *ids);
    e->n += n;
}

// May the text not become this id?
static bool is_barred(const encoding *e, int32_t id) {
    return e->plain && (id == e->stop || (e->t->flags[id] & MG_ID_SPECIAL));
}

// The id of a word that is a token itself, or -1.
static mg_err find_whole(encoding *e, const char *word, size_t size, int32_t *id) {
    const mg_tokenizer *t = e->t;
    *id                   = -1;
    if (size > t->model_content_max) return MG_OK;
    const size_t mark     = mg_arena_mark(e->arena);
    char        *spelling = mg_pieces_room(e->arena, 2 * size);
    if (!spelling) return MG_LIMIT;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) n += (size_t)mg_byte_spell((uint8_t)word[i], spelling + n);
    *id = mg_strings_find(&t->contents, spelling, n);
    if (*id >= 0 && (!(t->flags[*id] & MG_ID_MODEL) || is_barred(e, *id))) *id = -1;
    mg_arena_reset(e->arena, mark);
    return MG_OK;
}

static void spell_bytes(const mg_tokenizer *t, const char *word, size_t size, int32_t *ids) {
    for (size_t i = 0; i < size; i++) ids[i] = t->byte_ids[(uint8_t)word[i]];
}

static mg_err encode_piece(void *context, const char *word, size_t size) {
    encoding           *e = context;
    const mg_tokenizer *t = e->t;
    MG_ASSERT(e->n + (int64_t)size <= e->n_max);
    if (t->ignore_merges) {
        int32_t id;
        mg_err  err = find_whole(e, word, size, &id);
        if (err) return err;
        if (id >= 0) {
            push(e, &id, 1);
            return MG_OK;
        }
    }
    int32_t *ids = e->ids + e->n; // merged where they will stay
    spell_bytes(t, word, size, ids);
    const size_t mark    = mg_arena_mark(e->arena);
    void        *scratch = mg_pieces_room(e->arena, mg_bpe_scratch((int64_t)size));
    if (!scratch) return MG_LIMIT;
    int64_t n = mg_bpe_apply(&t->bpe, ids, (int64_t)size, scratch);
    mg_arena_reset(e->arena, mark);
    bool barred = false;
    for (int64_t i = 0; i < n; i++) barred |= is_barred(e, ids[i]);
    if (barred) spell_bytes(t, word, size, ids), n = (int64_t)size;
    e->n += n;
    return MG_OK;
}

// A stretch of text without added tokens that are looked for in the text as it is.
static mg_err encode_gap(encoding *e, const char *text, size_t size) {
    const size_t  mark = mg_arena_mark(e->arena);
    mg_added_walk w    = {.added = &e->t->added_normalised, .plain = e->plain, .stop = e->stop};
    mg_err err = mg_pieces_normalise(&e->t->pieces, text, size, e->arena, &w.text, &w.size);
    while (!err && mg_added_next(&w)) {
        err = mg_cutter_run(&e->cutter, w.gap, w.gap_size);
        if (!err && w.id >= 0) push(e, &w.id, 1);
    }
    mg_arena_reset(e->arena, mark);
    return err;
}

static mg_err encode(encoding *e, const char *text, size_t size, bool add_special) {
    const mg_tokenizer *t = e->t;
    mg_err              err = mg_cutter_init(&e->cutter, &t->pieces, e->arena, encode_piece, e);
    if (err) return err;
    if (add_special) push(e, t->before, t->n_before);
    mg_added_walk w = {.added = &t->added, .text = text, .size = size, .plain = e->plain,
                       .stop = e->stop};
    while (!err && mg_added_next(&w)) {
        err = encode_gap(e, w.gap, w.gap_size);
        if (!err && w.id >= 0) push(e, &w.id, 1);
    }
    if (!err && add_special) push(e, t->after, t->n_after);
    mg_cutter_release(&e->cutter);
    return err;
}

static mg_err encode_checked(encoding *e, const char *text, size_t size, bool add_special,
                             int32_t **ids, int64_t *n) {
    const mg_tokenizer *t     = e->t;
    mg_arena           *arena = e->arena;
    if (size > MG_TOKENIZER_TEXT_MAX)
        return mg_fail(MG_LIMIT, "a text of %zu bytes, at most %zu are encoded", size,
                       MG_TOKENIZER_TEXT_MAX);
    if (size == 0) text = ""; // it may be NULL
    const size_t invalid = mg_pieces_invalid_at(text, size);
    if (invalid < size)
        return mg_fail(MG_CORRUPT, "text: byte %zu of %zu (0x%02X) is not valid UTF-8", invalid,
                       size, (unsigned)(uint8_t)text[invalid]);

    const size_t mark = mg_arena_mark(arena);
    e->n_max          = (int64_t)(size * t->pieces.growth) + t->n_before + t->n_after;
    e->ids            = mg_pieces_room(arena, (size_t)e->n_max * sizeof *e->ids);
    mg_err err        = e->ids ? encode(e, text, size, add_special) : MG_LIMIT;
    mg_arena_reset(arena, mark);
    if (err) return err;
    *ids = mg_arena_alloc_raw(arena, (size_t)e->n * sizeof *e->ids); // the same place, cut to size
    *n   = e->n;
    return MG_OK;
}

mg_err mg_tokenizer_encode(const mg_tokenizer *t, const char *text, size_t size, bool add_special,
                           mg_arena *arena, int32_t **ids, int64_t *n) {
    encoding e = {.t = t, .arena = arena};
    return encode_checked(&e, text, size, add_special, ids, n);
}

mg_err mg_tokenizer_encode_plain(const mg_tokenizer *t, const char *text, size_t size, int32_t stop,
                                 mg_arena *arena, int32_t **ids, int64_t *n) {
    encoding e = {.t = t, .arena = arena, .plain = true, .stop = stop};
    return encode_checked(&e, text, size, false, ids, n);
}

// --- decoding ---

static bool skipped(const mg_tokenizer *t, int32_t id, bool skip_special) {
    return skip_special && (t->flags[id] & MG_ID_SPECIAL);
}

mg_err mg_tokenizer_decode(const mg_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special,
                           mg_arena *arena, char **text, size_t *size) {
    size_t total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->contents.n)
            return mg_fail(MG_MISMATCH, "decode: id %d at place %lld, the tokenizer has 0..%lld",
                           ids[i], (long long)i, (long long)t->contents.n - 1);
        if (!skipped(t, ids[i], skip_special)) total += t->spelled[ids[i]].size;
    }
    char *out = mg_pieces_room(arena, total + 1);
    if (!out) return MG_LIMIT;
    *text = out;
    *size = total;
    for (int64_t i = 0; i < n; i++) {
        if (skipped(t, ids[i], skip_special)) continue;
        const mg_text one = t->spelled[ids[i]];
        memcpy(out, one.data, one.size);
        out += one.size;
    }
    *out = 0;
    return MG_OK;
}
