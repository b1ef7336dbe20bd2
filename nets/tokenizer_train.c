// tokenizer_train.c - learning a tokenizer: texts to words, words to merges, merges to a
// tokenizer.json, which is then read like any other.
#include <string.h>

#include "nets/tokenizer_internal.h"

// Sources: tokenizer.py of the Llama 3 release (cl100k's pattern without possessive quantifiers),
// tokenizer.json of Qwen2, which takes digits one by one.
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
#define REST         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

typedef struct training {
    const mg_tokenizer_training *how;
    mg_tokenizer                *t;     // being made; its memory is scratch until the file is there
    mg_strings                   words; // distinct pieces, as bytes
    int64_t                     *counts; // [words.n]
    int64_t                      counts_room;
    mg_strings                   vocab; // number = id
    mg_bpe_merge                *merges;
    int64_t                      n_merges;
    json_t                      *head; // the file without ids and merges
} training;

static mg_err no_memory(void) { return mg_fail(MG_NOMEM, "training a tokenizer"); }

// --- the file's shape ---

static json_t *byte_level(bool use_regex) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", false,
                     "trim_offsets", true, "use_regex", use_regex);
}

static json_t *pre_tokenizer(mg_tokenizer_family family) {
    if (family == MG_TOKENIZER_GPT2) return byte_level(true);
    const char *pattern = family == MG_TOKENIZER_LLAMA3 ? CONTRACTIONS "{1,3}" REST
                                                        : CONTRACTIONS REST;
    return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence", "pretokenizers",
                     "type", "Split", "pattern", "Regex", pattern, "behavior", "Isolated", "invert",
                     false, byte_level(false));
}

static json_t *sequence(const char *id, int type_id) {
    return json_pack("{s:{s:s, s:i}}", "Sequence", "id", id, "type_id", type_id);
}

static json_t *special(const char *id, int type_id) {
    return json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", id, "type_id", type_id);
}

static json_t *post_processor(const char *first, int32_t id) {
    if (!first) return byte_level(true);
    return json_pack("{s:s, s:[o, {s:s, s:[o, o], s:[o, o, o, o], s:{s:{s:s, s:[i], s:[s]}}}]}",
                     "type", "Sequence", "processors", byte_level(true), "type",
                     "TemplateProcessing", "single", special(first, 0), sequence("A", 0), "pair",
                     special(first, 0), sequence("A", 0), special(first, 1), sequence("B", 1),
                     "special_tokens", first, "id", first, "ids", id, "tokens", first);
}

static json_t *added_tokens(const mg_tokenizer_training *how) {
    json_t *list = json_array();
    for (int32_t i = 0; i < how->n_special; i++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i,
                                              "content", how->special[i], "single_word", false,
                                              "lstrip", false, "rstrip", false, "normalized", false,
                                              "special", true));
    return list;
}

static int32_t special_id(const mg_tokenizer_training *how, const char *content) {
    for (int32_t i = 0; i < how->n_special; i++)
        if (strcmp(how->special[i], content) == 0) return i;
    return -1;
}

static mg_err make_head(training *z) {
    const mg_tokenizer_training *how = z->how;
    json_t *normalizer = how->family == MG_TOKENIZER_QWEN2 ? json_pack("{s:s}", "type", "NFC")
                                                           : json_null();
    const int32_t first = how->first ? special_id(how, how->first) : -1;
    z->head = json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation",
                        "padding", "added_tokens", added_tokens(how), "normalizer", normalizer,
                        "pre_tokenizer", pre_tokenizer(how->family), "post_processor",
                        post_processor(how->first, first), "decoder", byte_level(true));
    return z->head ? MG_OK : no_memory(); // a special token that is not UTF-8 was refused before
}

// --- words ---

static mg_err count_word(void *context, const char *word, size_t size) {
    training *z = context;
    int32_t   number;
    mg_err    err = mg_strings_add(&z->words, word, size, &number);
    if (err) return err;
    if (z->words.n > z->counts_room) {
        const int64_t room = 2 * z->words.n + 1024;
        int64_t      *more = realloc(z->counts, (size_t)room * sizeof *more);
        if (!more) return no_memory();
        memset(more + z->counts_room, 0, (size_t)(room - z->counts_room) * sizeof *more);
        z->counts      = more;
        z->counts_room = room;
    }
    z->counts[number]++;
    return MG_OK;
}

static mg_err count_text(training *z, mg_cutter *cutter, int64_t i) {
    const mg_text text    = z->how->texts[i];
    const size_t  invalid = mg_pieces_invalid_at(text.data, text.size);
    if (invalid < text.size)
        return mg_fail(MG_CORRUPT, "training text %lld: byte %zu (0x%02X) is not valid UTF-8",
                       (long long)i, invalid, (unsigned)(uint8_t)text.data[invalid]);
    if (text.size > MG_TOKENIZER_TEXT_MAX)
        return mg_fail(MG_LIMIT, "training text %lld: %zu bytes, at most %zu are taken",
                       (long long)i, text.size, MG_TOKENIZER_TEXT_MAX);
    const char *form;
    size_t      size;
    const size_t mark = mg_arena_mark(cutter->arena);
    mg_err       err  = mg_pieces_normalise(cutter->how, text.data, text.size, cutter->arena, &form,
                                            &size);
    if (!err) err = mg_cutter_run(cutter, form, size);
    mg_arena_reset(cutter->arena, mark);
    return err;
}

static mg_err count_texts(training *z) {
    mg_pieces pieces;
    mg_cutter cutter;
    mg_err    err = mg_pieces_read(&pieces, "training", json_object_get(z->head, "normalizer"),
                                   json_object_get(z->head, "pre_tokenizer"));
    if (!err) err = mg_cutter_init(&cutter, &pieces, &z->t->memory, count_word, z);
    if (!err) {
        for (int64_t i = 0; !err && i < z->how->n_texts; i++) err = count_text(z, &cutter, i);
        mg_cutter_release(&cutter);
    }
    mg_pieces_release(&pieces);
    return err;
}

// --- merges ---

// Special tokens, then the alphabet in order of code points. symbols[byte]: the byte's id.
static mg_err first_ids(training *z, int32_t symbols[256]) {
    mg_err err = MG_OK;
    int32_t id;
    for (int32_t i = 0; !err && i < z->how->n_special; i++)
        err = mg_strings_add(&z->vocab, z->how->special[i], strlen(z->how->special[i]), &id);
    for (int beyond = 0; beyond < 2; beyond++) // bytes that stand for themselves; for U+0100 and on
        for (int byte = 0; !err && byte < 256; byte++) {
            char      spelling[2];
            const int n = mg_byte_spell((uint8_t)byte, spelling);
            if ((n == 2 && (uint8_t)spelling[0] >= 0xC4) == beyond)
                err = mg_strings_add(&z->vocab, spelling, (size_t)n, &symbols[byte]);
        }
    return err;
}

static mg_err learn(training *z) {
    int32_t symbols[256];
    mg_err  err = first_ids(z, symbols);
    if (err) return err;
    const int64_t n     = z->words.n;
    const size_t  total = n ? z->words.ends[n - 1] : 0;
    mg_bpe_words  words = {malloc((total + 1) * sizeof *words.symbols),
                           malloc(((size_t)n + 1) * sizeof *words.starts), z->counts, n};
    if (words.symbols && words.starts) {
        for (size_t i = 0; i < total; i++) words.symbols[i] = symbols[(uint8_t)z->words.bytes[i]];
        words.starts[0] = 0;
        for (int64_t i = 0; i < n; i++) words.starts[i + 1] = (int64_t)z->words.ends[i];
        err = mg_bpe_learn(&z->vocab, &words, z->how->vocab_size, &z->merges, &z->n_merges);
    } else err = no_memory();
    free(words.symbols);
    free(words.starts);
    return err;
}

static json_t *token(const training *z, int32_t id) {
    size_t      size;
    const char *content = mg_strings_get(&z->vocab, id, &size);
    return json_stringn(content, size);
}

static json_t *model(const training *z) {
    json_t *vocab = json_object(), *merges = json_array();
    for (int64_t id = 0; id < z->vocab.n; id++) {
        size_t      size;
        const char *content = mg_strings_get(&z->vocab, id, &size);
        json_object_setn_new(vocab, content, size, json_integer(id));
    }
    for (int64_t i = 0; i < z->n_merges; i++)
        json_array_append_new(merges, json_pack("[o, o]", token(z, z->merges[i].left),
                                                token(z, z->merges[i].right)));
    return json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                     "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                     false, "byte_fallback", false, "ignore_merges",
                     z->how->family == MG_TOKENIZER_LLAMA3, "vocab", vocab, "merges", merges);
}

static mg_err write_file(training *z) {
    mg_tokenizer *t    = z->t;
    char         *text = NULL;
    if (json_object_set_new(z->head, "model", model(z)) == 0)
        text = json_dumps(z->head, JSON_INDENT(2));
    if (!text) return no_memory();
    t->file_size = strlen(text);
    mg_err err   = MG_OK;
    if (t->file_size > MG_TOKENIZER_FILE_MAX)
        err = mg_fail(MG_LIMIT, "a tokenizer.json of %zu bytes, at most %zu are written",
                      t->file_size, MG_TOKENIZER_FILE_MAX);
    if (!err && !(t->file = mg_pieces_room(&t->memory, t->file_size))) err = MG_LIMIT;
    if (!err) memcpy(t->file, text, t->file_size);
    free(text);
    return err;
}

static mg_err check(const mg_tokenizer_training *how) {
    for (int32_t i = 0; i < how->n_special; i++) {
        const char *content = how->special[i];
        if (!*content || mg_pieces_invalid_at(content, strlen(content)) < strlen(content))
            return mg_fail(MG_CONFIG, "special token %d is empty or not UTF-8", i);
        if (special_id(how, content) != i)
            return mg_fail(MG_CONFIG, "special token \"%.60s\" is named twice", content);
    }
    if (how->first && special_id(how, how->first) < 0)
        return mg_fail(MG_CONFIG, "the first token \"%.60s\" is not a special token", how->first);
    const int32_t least = 256 + how->n_special;
    if (how->vocab_size < least || how->vocab_size > MG_TOKENIZER_IDS_MAX)
        return mg_fail(MG_CONFIG, "vocab_size %d, wanted %d (bytes and special tokens) to %d",
                       how->vocab_size, least, MG_TOKENIZER_IDS_MAX);
    return MG_OK;
}

mg_err mg_tokenizer_train(mg_tokenizer **out, const mg_tokenizer_training *how) {
    training z   = {.how = how};
    mg_err   err = check(how);
    if (!err) err = mg_tokenizer_new(&z.t);
    if (!err) err = make_head(&z);
    if (!err) err = count_texts(&z);
    if (!err) err = learn(&z);
    if (!err) err = write_file(&z);
    if (!err) err = mg_tokenizer_read(z.t, "trained tokenizer");
    json_decref(z.head);
    mg_strings_release(&z.words);
    mg_strings_release(&z.vocab);
    free(z.counts);
    free(z.merges);
    if (err) mg_tokenizer_free(z.t);
    else *out = z.t;
    return err;
}
