// document_counts.c - the table doubles when it is half full.
#include "rewards/document_counts.h"

enum { CAPACITY_MIN = 1024 };

// Where the word is, or the free place where it would be.
static mg_document_count *find(const mg_document_counts *c, mg_word word) {
    int64_t i = (int64_t)(word & (uint64_t)(c->capacity - 1));
    while (c->places[i].word != 0 && c->places[i].word != word) i = (i + 1) & (c->capacity - 1);
    return &c->places[i];
}

static mg_err grow(mg_document_counts *c) {
    mg_document_counts larger = {.capacity = c->capacity ? 2 * c->capacity : CAPACITY_MIN,
                                 .used     = c->used};
    if (larger.used > MG_DOCUMENT_WORDS_MAX)
        return mg_fail(MG_LIMIT, "document counts: more than %d different words",
                       MG_DOCUMENT_WORDS_MAX);
    larger.places = calloc((size_t)larger.capacity, sizeof *larger.places);
    if (!larger.places)
        return mg_fail(MG_NOMEM, "document counts: %lld places", (long long)larger.capacity);
    for (int64_t i = 0; i < c->capacity; i++)
        if (c->places[i].word != 0) *find(&larger, c->places[i].word) = c->places[i];
    free(c->places);
    *c = larger;
    return MG_OK;
}

mg_err mg_document_counts_add(mg_document_counts *c, mg_word word, int32_t document) {
    if (2 * c->used >= c->capacity) {
        mg_err err = grow(c);
        if (err) return err;
    }
    mg_document_count *place = find(c, word);
    if (place->word == 0) {
        *place = (mg_document_count){.word = word, .last = -1};
        c->used++;
    }
    if (place->last != document) {
        place->last = document;
        place->documents++;
    }
    return MG_OK;
}

int32_t mg_document_counts_get(const mg_document_counts *c, mg_word word) {
    return c->capacity ? find(c, word)->documents : 0;
}

void mg_document_counts_release(mg_document_counts *c) {
    free(c->places);
    *c = (mg_document_counts){0};
}
