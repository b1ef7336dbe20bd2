// bpe_tables.c - see bpe_tables.h.
#include "nets/bpe_tables.h"

#include <string.h>

enum { SLOTS_FIRST = 1024 }; // a power of two

// FNV-1a, 64 bits (Fowler, Noll & Vo), folded: tokens are short.
static uint64_t hash(const char *text, size_t size) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++) h = (h ^ (uint8_t)text[i]) * 0x100000001B3u;
    return h ^ h >> 32;
}

const char *mg_strings_get(const mg_strings *s, int64_t number, size_t *size) {
    MG_ASSERT(number >= 0 && number < s->n);
    const size_t start = number > 0 ? s->ends[number - 1] : 0;
    *size              = s->ends[number] - start;
    return s->bytes + start;
}

// The slot that holds the string, or the free one where it belongs.
static int32_t *slot_of(const mg_strings *s, const char *text, size_t size) {
    const uint64_t mask = (uint64_t)s->n_slots - 1;
    for (uint64_t i = hash(text, size) & mask;; i = (i + 1) & mask) {
        if (s->slots[i] < 0) return &s->slots[i];
        size_t      known_size;
        const char *known = mg_strings_get(s, s->slots[i], &known_size);
        if (known_size == size && memcmp(known, text, size) == 0) return &s->slots[i];
    }
}

int32_t mg_strings_find(const mg_strings *s, const char *text, size_t size) {
    return s->n_slots ? *slot_of(s, text, size) : -1;
}

static mg_err strings_rehash(mg_strings *s) {
    const int64_t n_slots = s->n_slots ? 2 * s->n_slots : SLOTS_FIRST;
    int32_t      *slots   = malloc((size_t)n_slots * sizeof *slots);
    if (!slots) return mg_fail(MG_NOMEM, "table of %lld strings", (long long)n_slots);
    memset(slots, -1, (size_t)n_slots * sizeof *slots);
    free(s->slots);
    s->slots   = slots;
    s->n_slots = n_slots;
    for (int64_t i = 0; i < s->n; i++) {
        size_t      size;
        const char *text      = mg_strings_get(s, i, &size);
        *slot_of(s, text, size) = (int32_t)i;
    }
    return MG_OK;
}

static mg_err strings_grow(mg_strings *s, size_t size) {
    const size_t used = s->n ? s->ends[s->n - 1] : 0;
    if (s->n >= MG_STRINGS_MAX)
        return mg_fail(MG_LIMIT, "more than %lld distinct strings", (long long)MG_STRINGS_MAX);
    if (size > MG_STRINGS_BYTES_MAX - used)
        return mg_fail(MG_LIMIT, "distinct strings of more than %zu bytes", MG_STRINGS_BYTES_MAX);
    if (used + size > s->bytes_room || !s->bytes) {
        const size_t room  = 2 * (used + size) + SLOTS_FIRST;
        char        *bytes = realloc(s->bytes, room);
        if (!bytes) return mg_fail(MG_NOMEM, "%zu bytes of strings", room);
        s->bytes      = bytes;
        s->bytes_room = room;
    }
    if (s->n >= s->n_room) {
        const int64_t room = 2 * s->n_room + SLOTS_FIRST;
        size_t       *ends = realloc(s->ends, (size_t)room * sizeof *ends);
        if (!ends) return mg_fail(MG_NOMEM, "%lld strings", (long long)room);
        s->ends   = ends;
        s->n_room = room;
    }
    return 2 * (s->n + 1) > s->n_slots ? strings_rehash(s) : MG_OK;
}

mg_err mg_strings_add(mg_strings *s, const char *text, size_t size, int32_t *number) {
    int32_t found = mg_strings_find(s, text, size);
    if (found < 0) {
        mg_err err = strings_grow(s, size);
        if (err) return err;
        const size_t used = s->n ? s->ends[s->n - 1] : 0;
        int32_t     *slot = slot_of(s, text, size);
        if (size > 0) memcpy(s->bytes + used, text, size);
        s->ends[s->n] = used + size;
        *slot = found = (int32_t)s->n++;
    }
    *number = found;
    return MG_OK;
}

void mg_strings_release(mg_strings *s) {
    free(s->bytes);
    free(s->ends);
    free(s->slots);
    *s = (mg_strings){0};
}

static void pairs_put(mg_pairs *p, mg_pair_slot pair) {
    const uint64_t mask = (uint64_t)p->n_slots - 1;
    uint64_t       i    = mg_pair_hash(pair.left, pair.right) & mask;
    while (p->slots[i].number >= 0) i = (i + 1) & mask;
    p->slots[i] = pair;
}

static mg_err pairs_rehash(mg_pairs *p) {
    const mg_pairs old = *p;
    p->n_slots         = old.n_slots ? 2 * old.n_slots : SLOTS_FIRST;
    p->slots           = malloc((size_t)p->n_slots * sizeof *p->slots);
    if (!p->slots) {
        *p = old;
        return mg_fail(MG_NOMEM, "table of %lld pairs", (long long)(2 * old.n_slots));
    }
    memset(p->slots, -1, (size_t)p->n_slots * sizeof *p->slots);
    for (int64_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].number >= 0) pairs_put(p, old.slots[i]);
    free(old.slots);
    return MG_OK;
}

mg_err mg_pairs_add(mg_pairs *p, int32_t left, int32_t right, int32_t *number) {
    int32_t found = mg_pairs_find(p, left, right);
    if (found < 0) {
        if (p->n >= MG_STRINGS_MAX)
            return mg_fail(MG_LIMIT, "more than %lld distinct pairs", (long long)MG_STRINGS_MAX);
        mg_err err = 2 * (p->n + 1) > p->n_slots ? pairs_rehash(p) : MG_OK;
        if (err) return err;
        found = (int32_t)p->n++;
        pairs_put(p, (mg_pair_slot){left, right, found});
    }
    *number = found;
    return MG_OK;
}

void mg_pairs_release(mg_pairs *p) {
    free(p->slots);
    *p = (mg_pairs){0};
}

// The bytes without a printable character, in order: 00-20, 7F-A0, AD.
enum { FIRST = 0x100, LOW_END = 0x21, HIGH = 0x7F, HIGH_END = 0xA1, SOFT_HYPHEN = 0xAD };
enum { FIRST_HIGH = FIRST + LOW_END, FIRST_LAST = FIRST_HIGH + HIGH_END - HIGH };

int mg_byte_spell(uint8_t byte, char out[2]) {
    const int c = byte < LOW_END                        ? FIRST + byte
                  : byte >= HIGH && byte < HIGH_END     ? FIRST_HIGH + byte - HIGH
                  : byte == SOFT_HYPHEN                 ? FIRST_LAST
                                                        : byte;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return 2;
}

int64_t mg_byte_unspell(const char *spelling, size_t size, char *out) {
    const uint8_t *s = (const uint8_t *)spelling;
    int64_t        n = 0;
    for (size_t i = 0; i < size;) {
        int c = s[i++];
        if (c >= 0xE0) return -1; // beyond U+07FF
        if (c >= 0x80) {
            MG_ASSERT(i < size);
            c = (c & 0x1F) << 6 | (s[i++] & 0x3F);
        }
        int byte;
        if (c > FIRST_LAST) return -1;
        if (c == FIRST_LAST) byte = SOFT_HYPHEN;
        else if (c >= FIRST_HIGH) byte = c - FIRST_HIGH + HIGH;
        else if (c >= FIRST) byte = c - FIRST;
        else if (c < LOW_END || (c >= HIGH && c < HIGH_END) || c == SOFT_HYPHEN) return -1;
        else byte = c;
        out[n++] = (char)byte;
    }
    return n;
}
