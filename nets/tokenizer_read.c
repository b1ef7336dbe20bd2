// tokenizer_read.c - from a tokenizer.json to a tokenizer: every key is understood, harmless, or
// refused by name.
#include <string.h>

#include "nets/tokenizer_internal.h"

// Contents are quoted in sentences up to here.
#define QUOTE "\"%.60s\""

enum { ADDED = 4 }; // a flag beside MG_ID_MODEL and MG_ID_SPECIAL, while reading

typedef struct entry {
    const char *content; // in the JSON; NULL: no token has this id
    uint8_t     flags;
} entry;

typedef struct reader {
    mg_tokenizer *t;
    const char   *name; // the file, for sentences
    const json_t *root, *model, *vocab, *added;
    entry        *entries; // [MG_TOKENIZER_IDS_MAX] by id
    int32_t       n_ids;   // one more than the largest id
} reader;

static bool absent(const json_t *value) { return !value || json_is_null(value); }

static mg_err refuse(const reader *r, const char *what) {
    return mg_fail(MG_UNSUPPORTED, "%s: %s is not supported", r->name, what);
}

static mg_err refuse_type(const reader *r, const char *key, const json_t *part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    return mg_fail(MG_UNSUPPORTED, "%s: %s %s is not supported", r->name, key,
                   type ? type : json_is_null(part) ? "null" : "without a type");
}

static bool has_type(const json_t *part, const char *type) {
    const char *found = json_string_value(json_object_get(part, "type"));
    return found && strcmp(found, type) == 0;
}

static bool empty_text(const json_t *value) {
    return absent(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static mg_err check_options(const reader *r) {
    const char   *version = json_string_value(json_object_get(r->root, "version"));
    const json_t *decoder = json_object_get(r->root, "decoder");
    const json_t *dropout = json_object_get(r->model, "dropout");
    if (version && strcmp(version, "1.0") != 0)
        return mg_fail(MG_UNSUPPORTED, "%s: version " QUOTE ", wanted 1.0", r->name, version);
    if (!absent(json_object_get(r->root, "truncation"))) return refuse(r, "truncation");
    if (!absent(json_object_get(r->root, "padding"))) return refuse(r, "padding");
    if (!has_type(decoder, "ByteLevel")) return refuse_type(r, "decoder", decoder);
    if (!absent(dropout) && json_number_value(dropout) != 0) return refuse(r, "dropout");
    if (!empty_text(json_object_get(r->model, "continuing_subword_prefix")))
        return refuse(r, "continuing_subword_prefix");
    if (!empty_text(json_object_get(r->model, "end_of_word_suffix")))
        return refuse(r, "end_of_word_suffix");
    if (json_is_true(json_object_get(r->model, "byte_fallback")))
        return refuse(r, "byte_fallback");
    return MG_OK; // unk_token: every byte has a token, so no text ever needs it
}

// --- ids ---

static mg_err read_id(const reader *r, const char *content, const json_t *value, int32_t *id) {
    if (!json_is_integer(value))
        return mg_fail(MG_CORRUPT, "%s: token " QUOTE " has no integer id", r->name, content);
    const json_int_t x = json_integer_value(value);
    if (x < 0)
        return mg_fail(MG_CORRUPT, "%s: token " QUOTE " has id %lld", r->name, content,
                       (long long)x);
    if (x >= MG_TOKENIZER_IDS_MAX)
        return mg_fail(MG_LIMIT, "%s: token " QUOTE " has id %lld, the largest supported is %d",
                       r->name, content, (long long)x, MG_TOKENIZER_IDS_MAX - 1);
    *id = (int32_t)x;
    return MG_OK;
}

static mg_err add_id(reader *r, const char *content, int32_t id, uint8_t flags) {
    entry *e = &r->entries[id];
    if (strlen(content) > MG_TOKENIZER_TOKEN_MAX)
        return mg_fail(MG_LIMIT, "%s: token %d has more than %d bytes", r->name, id,
                       MG_TOKENIZER_TOKEN_MAX);
    if (e->content)
        return mg_fail(MG_CORRUPT, "%s: tokens " QUOTE " and " QUOTE " both have id %d", r->name,
                       e->content, content, id);
    *e = (entry){content, flags};
    if (id >= r->n_ids) r->n_ids = id + 1;
    return MG_OK;
}

static mg_err read_vocab(reader *r) {
    const char *content;
    json_t     *value;
    json_object_foreach((json_t *)r->vocab, content, value) {
        int32_t id  = -1;
        mg_err  err = read_id(r, content, value, &id);
        if (!err) err = add_id(r, content, id, MG_ID_MODEL);
        if (err) return err;
    }
    return MG_OK;
}

static mg_err read_added_id(reader *r, const json_t *token) {
    const char *content = json_string_value(json_object_get(token, "content"));
    if (!content || !*content)
        return mg_fail(MG_CORRUPT, "%s: an added token without content", r->name);
    int32_t id  = -1;
    mg_err  err = read_id(r, content, json_object_get(token, "id"), &id);
    if (err) return err;
    const json_t *known = json_object_get(r->vocab, content);
    if (!known) err = add_id(r, content, id, 0);
    else if (json_integer_value(known) != id)
        err = mg_fail(MG_CORRUPT, "%s: added token " QUOTE " has id %d, in the vocabulary %lld",
                      r->name, content, id, (long long)json_integer_value(known));
    else if (r->entries[id].flags & ADDED)
        err = mg_fail(MG_CORRUPT, "%s: token " QUOTE " is added twice", r->name, content);
    if (!err && json_is_true(json_object_get(token, "special")))
        r->entries[id].flags |= MG_ID_SPECIAL;
    if (!err) r->entries[id].flags |= ADDED;
    return err;
}

static mg_err number_contents(reader *r) {
    mg_tokenizer *t   = r->t;
    mg_err        err = MG_OK;
    t->flags          = mg_pieces_room(&t->memory, (size_t)r->n_ids);
    if (!t->flags) return MG_LIMIT;
    for (int32_t id = 0; !err && id < r->n_ids; id++) {
        const entry *e = &r->entries[id];
        int32_t      number;
        if (!e->content)
            return mg_fail(MG_CORRUPT, "%s: no token has id %d, though ids run to %d", r->name, id,
                           r->n_ids - 1);
        err = mg_strings_add(&t->contents, e->content, strlen(e->content), &number);
        if (!err && number != id)
            err = mg_fail(MG_CORRUPT, "%s: token " QUOTE " has ids %d and %d", r->name, e->content,
                          number, id);
        t->flags[id] = e->flags & (MG_ID_MODEL | MG_ID_SPECIAL);
    }
    return err;
}

static mg_err read_ids(reader *r) {
    mg_err err = read_vocab(r);
    if (!err && json_array_size(r->added) > MG_ADDED_MAX)
        err = mg_fail(MG_LIMIT, "%s: more than %d added tokens", r->name, MG_ADDED_MAX);
    for (size_t i = 0; !err && i < json_array_size(r->added); i++)
        err = read_added_id(r, json_array_get(r->added, i));
    return err ? err : number_contents(r);
}

// What each id stands for. Content that is not in the byte alphabet stands for itself, and so does
// an added token (one with `normalized` is looked at again by read_added_token).
static mg_err spell_ids(const reader *r) {
    mg_tokenizer *t = r->t;
    const size_t  n = (size_t)t->contents.n, total = n ? t->contents.ends[n - 1] : 0;
    char         *bytes = mg_pieces_room(&t->memory, total);
    if (bytes) t->spelled = mg_pieces_room(&t->memory, n * sizeof *t->spelled);
    if (!t->spelled) return MG_LIMIT;
    for (size_t id = 0; id < n; id++) {
        size_t      size;
        const char *content = mg_strings_get(&t->contents, (int64_t)id, &size);
        t->spelled[id]      = (mg_text){content, size};
        if (!(t->flags[id] & MG_ID_MODEL)) continue;
        const int64_t k = mg_byte_unspell(content, size, bytes);
        if (k >= 0) t->spelled[id] = (mg_text){bytes, (size_t)k};
        if (k >= 0) bytes += k;
        if (size > t->model_content_max) t->model_content_max = size;
    }
    return MG_OK;
}

static mg_err find_bytes(const reader *r) {
    mg_tokenizer *t = r->t;
    for (int byte = 0; byte < 256; byte++) {
        char          spelling[3] = {0};
        const int     k  = mg_byte_spell((uint8_t)byte, spelling);
        const int32_t id = mg_strings_find(&t->contents, spelling, (size_t)k);
        if (id < 0 || !(t->flags[id] & MG_ID_MODEL))
            return mg_fail(MG_CORRUPT, "%s: the vocabulary has no token " QUOTE " for byte 0x%02X",
                           r->name, spelling, (unsigned)byte);
        t->byte_ids[byte] = id;
    }
    return MG_OK;
}

// --- merges ---

// "a b" or ["a", "b"].
static bool merge_sides(const json_t *merge, const char *side[2], size_t size[2]) {
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        for (size_t i = 0; i < 2; i++) {
            side[i] = json_string_value(json_array_get(merge, i));
            size[i] = json_string_length(json_array_get(merge, i));
        }
        return side[0] && side[1];
    }
    side[0]           = json_string_value(merge);
    const char *space = side[0] ? strchr(side[0], ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return false;
    side[1] = space + 1;
    size[0] = (size_t)(space - side[0]);
    size[1] = strlen(side[1]);
    return true;
}

static mg_err find_token(const reader *r, size_t merge, const char *content, size_t size,
                         int32_t *id) {
    *id = mg_strings_find(&r->t->contents, content, size);
    if (size > 0 && *id >= 0 && (r->t->flags[*id] & MG_ID_MODEL)) return MG_OK;
    return mg_fail(MG_CORRUPT, "%s: merge %zu names \"%.*s\", which is not in the vocabulary",
                   r->name, merge, size > 60 ? 60 : (int)size, content);
}

static mg_err read_merge(const reader *r, size_t i, const json_t *merge, char *joined) {
    mg_bpe     *bpe = &r->t->bpe;
    const char *side[2];
    size_t      size[2];
    int32_t     left, right, rank;
    if (!merge_sides(merge, side, size))
        return mg_fail(MG_CORRUPT, "%s: merge %zu is neither \"a b\" nor [\"a\", \"b\"]", r->name,
                       i);
    mg_err err = find_token(r, i, side[0], size[0], &left);
    if (!err) err = find_token(r, i, side[1], size[1], &right);
    if (err) return err;
    memcpy(joined, side[0], size[0]);
    memcpy(joined + size[0], side[1], size[1]);
    err = find_token(r, i, joined, size[0] + size[1], &bpe->merged[i]);
    if (!err) err = mg_pairs_add(&bpe->ranks, left, right, &rank);
    if (!err && rank != (int32_t)i)
        err = mg_fail(MG_CORRUPT, "%s: merge %zu is merge %d again", r->name, i, rank);
    return err;
}

static mg_err read_merges(const reader *r) {
    mg_tokenizer *t      = r->t;
    const json_t *merges = json_object_get(r->model, "merges");
    const size_t  n = json_array_size(merges), mark = mg_arena_mark(&t->memory);
    if (!json_is_array(merges)) return mg_fail(MG_CORRUPT, "%s: model without merges", r->name);
    if (n > MG_TOKENIZER_IDS_MAX)
        return mg_fail(MG_LIMIT, "%s: more than %d merges", r->name, MG_TOKENIZER_IDS_MAX);
    t->bpe.merged = malloc((n + 1) * sizeof *t->bpe.merged);
    if (!t->bpe.merged) return mg_fail(MG_NOMEM, "%s: %zu merges", r->name, n);
    char  *joined = mg_pieces_room(&t->memory, 2 * MG_TOKENIZER_TOKEN_MAX); // two tokens
    mg_err err    = joined ? MG_OK : MG_LIMIT;
    for (size_t i = 0; !err && i < n; i++)
        err = read_merge(r, i, json_array_get(merges, i), joined);
    mg_arena_reset(&t->memory, mark);
    return err;
}

// --- added tokens ---

static mg_err read_added_token(const reader *r, const json_t *token, mg_added_token *out) {
    mg_tokenizer *t = r->t;
    const char   *content = json_string_value(json_object_get(token, "content"));
    size_t        size    = strlen(content);
    *out = (mg_added_token){.id          = mg_strings_find(&t->contents, content, size),
                            .single_word = json_is_true(json_object_get(token, "single_word")),
                            .lstrip      = json_is_true(json_object_get(token, "lstrip")),
                            .rstrip      = json_is_true(json_object_get(token, "rstrip"))};
    out->special = t->flags[out->id] & MG_ID_SPECIAL;
    out->text = mg_strings_get(&t->contents, out->id, &out->size);
    if (!json_is_true(json_object_get(token, "normalized"))) return MG_OK;
    mg_err err = mg_pieces_normalise(&t->pieces, out->text, out->size, &t->memory, &out->text,
                                     &out->size);
    if (!err && !(t->flags[out->id] & MG_ID_MODEL))
        t->spelled[out->id] = (mg_text){out->text, out->size};
    return err;
}

// The tokens whose `normalized` is as given.
static mg_err read_added(const reader *r, bool normalised, mg_added *out) {
    const size_t    n = json_array_size(r->added);
    mg_added_token *tokens = mg_pieces_room(&r->t->memory, n * sizeof *tokens);
    int32_t         taken  = 0;
    mg_err          err    = tokens ? MG_OK : MG_LIMIT;
    for (size_t i = 0; !err && i < n; i++) {
        const json_t *token = json_array_get(r->added, i);
        if (json_is_true(json_object_get(token, "normalized")) == normalised)
            err = read_added_token(r, token, &tokens[taken++]);
    }
    if (err) return err;
    mg_added_init(out, tokens, taken);
    for (int32_t i = 1; i < taken; i++) {
        const mg_added_token *a = &tokens[i - 1], *b = &tokens[i];
        if (a->size == b->size && memcmp(a->text, b->text, a->size) == 0)
            return mg_fail(MG_UNSUPPORTED, "%s: added tokens %d and %d have the same normal form",
                           r->name, a->id, b->id);
    }
    return MG_OK;
}

// --- post_processor ---

static mg_err around(const reader *r, const json_t *ids, int32_t *list, int32_t *n) {
    if (json_array_size(ids) == 0)
        return mg_fail(MG_CORRUPT, "%s: TemplateProcessing names a token without ids", r->name);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t    *id = json_array_get(ids, i);
        const json_int_t x  = json_integer_value(id);
        if (!json_is_integer(id) || x < 0 || x >= r->n_ids)
            return mg_fail(MG_CORRUPT, "%s: TemplateProcessing has id %lld, ids run to %d", r->name,
                           (long long)x, r->n_ids - 1);
        if (*n == MG_TOKENIZER_AROUND_MAX)
            return mg_fail(MG_LIMIT, "%s: TemplateProcessing with more than %d tokens", r->name,
                           MG_TOKENIZER_AROUND_MAX);
        list[(*n)++] = (int32_t)x;
    }
    return MG_OK;
}

static mg_err read_template(const reader *r, const json_t *part) {
    mg_tokenizer *t        = r->t;
    const json_t *single   = json_object_get(part, "single");
    const json_t *specials = json_object_get(part, "special_tokens");
    int           texts    = 0;
    if (t->n_before + t->n_after > 0) return refuse(r, "a second TemplateProcessing");
    mg_err err = MG_OK;
    for (size_t i = 0; !err && i < json_array_size(single); i++) {
        const json_t *piece    = json_array_get(single, i);
        const json_t *sequence = json_object_get(piece, "Sequence");
        const char   *text     = json_string_value(json_object_get(sequence, "id"));
        const char   *special =
            json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
        if (text && strcmp(text, "A") == 0) texts++;
        else if (!special) return refuse(r, "TemplateProcessing with another piece than $A");
        else if (texts == 0)
            err = around(r, json_object_get(json_object_get(specials, special), "ids"), t->before,
                         &t->n_before);
        else
            err = around(r, json_object_get(json_object_get(specials, special), "ids"), t->after,
                         &t->n_after);
    }
    if (!err && texts != 1) err = refuse(r, "TemplateProcessing without exactly one $A");
    return err;
}

static mg_err read_post_processor(const reader *r, const json_t *part) {
    if (absent(part) || has_type(part, "ByteLevel")) return MG_OK; // offsets only
    if (has_type(part, "TemplateProcessing")) return read_template(r, part);
    if (!has_type(part, "Sequence")) return refuse_type(r, "post_processor", part);
    const json_t *parts = json_object_get(part, "processors");
    mg_err        err   = MG_OK;
    for (size_t i = 0; !err && i < json_array_size(parts); i++)
        err = read_post_processor(r, json_array_get(parts, i));
    return err;
}

// --- all of it ---

static mg_err read_all(reader *r) {
    mg_tokenizer *t = r->t;
    r->model        = json_object_get(r->root, "model");
    r->vocab        = json_object_get(r->model, "vocab");
    r->added        = json_object_get(r->root, "added_tokens");
    if (!json_is_object(r->model))
        return mg_fail(MG_CORRUPT, "%s: not a tokenizer.json: it has no model", r->name);
    if (json_object_get(r->model, "type") && !has_type(r->model, "BPE"))
        return refuse_type(r, "model", r->model);
    if (!json_is_object(r->vocab)) return mg_fail(MG_CORRUPT, "%s: model without vocab", r->name);
    t->ignore_merges = json_is_true(json_object_get(r->model, "ignore_merges"));

    mg_err err = check_options(r);
    if (!err)
        err = mg_pieces_read(&t->pieces, r->name, json_object_get(r->root, "normalizer"),
                             json_object_get(r->root, "pre_tokenizer"));
    if (!err) err = read_ids(r);
    if (!err) err = spell_ids(r);
    if (!err) err = find_bytes(r);
    if (!err) err = read_merges(r);
    if (!err) err = read_added(r, false, &t->added);
    if (!err) err = read_added(r, true, &t->added_normalised);
    if (!err) err = read_post_processor(r, json_object_get(r->root, "post_processor"));
    return err;
}

mg_err mg_tokenizer_read(mg_tokenizer *t, const char *name) {
    json_error_t why;
    json_t      *root = json_loadb(t->file, t->file_size, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return mg_fail(MG_CORRUPT, "%s:%d:%d: not JSON: %s", name, why.line, why.column, why.text);
    reader r   = {.t = t, .name = name, .root = root};
    r.entries  = calloc(MG_TOKENIZER_IDS_MAX, sizeof *r.entries);
    mg_err err = r.entries ? read_all(&r) : mg_fail(MG_NOMEM, "%s: ids", name);
    free(r.entries);
    json_decref(root);
    return err;
}
