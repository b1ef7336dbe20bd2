// bytes.h - how the parts of an episode become bytes, to be hashed and to be kept, and back.
//
// Numbers at their size, little-endian (as every machine is that this runs on); a text as its length
// + 1 in four bytes, itself and a 0, or four zeros for NULL. One list of fields serves hash and file.
#ifndef MG_STORE_BYTES_H
#define MG_STORE_BYTES_H
#include <string.h>

#include "core/arena.h"
#include "env/episode.h"

// Where bytes go. What does not fit between at and end is handed to full.
typedef struct mg_sink {
    uint8_t *at, *end;
    void   (*full)(struct mg_sink *s, const void *bytes, size_t n);
} mg_sink;

static inline void mg_put(mg_sink *s, const void *bytes, size_t n) {
    if (n == 0) return;
    if ((size_t)(s->end - s->at) < n) {
        s->full(s, bytes, n);
        return;
    }
    memcpy(s->at, bytes, n);
    s->at += n;
}
static inline void mg_put_u8(mg_sink *s, uint8_t x) { mg_put(s, &x, 1); }
static inline void mg_put_i32(mg_sink *s, int32_t x) { mg_put(s, &x, 4); }
static inline void mg_put_i64(mg_sink *s, int64_t x) { mg_put(s, &x, 8); }
static inline void mg_put_u64(mg_sink *s, uint64_t x) { mg_put(s, &x, 8); }
void mg_put_text(mg_sink *s, const char *text, size_t size); // NULL: none
void mg_put_string(mg_sink *s, const char *string);          // ends at its 0; NULL: none
void mg_put_reward(mg_sink *s, const mg_reward *r);

// A turn's parts; chain.h says what is in them. `measured` is what is kept but not hashed.
void mg_put_kept(mg_sink *s, const mg_turn *t);
void mg_put_seen(mg_sink *s, const mg_turn *t);
void mg_put_measured(mg_sink *s, const mg_turn *t);

// Where bytes come from. Texts point into them. After something that nobody has put, bad is true and
// everything that is got is zero: bytes that can be got are those that mg_put_x makes of what was got.
typedef struct mg_source {
    const uint8_t *at, *end;
    mg_arena      *arena; // for arrays
    bool           bad;
} mg_source;

void     mg_get(mg_source *s, void *out, size_t n);
uint64_t mg_get_u64(mg_source *s);
void     mg_get_kept(mg_source *s, mg_turn *t);
void     mg_get_seen(mg_source *s, mg_turn *t);
void     mg_get_measured(mg_source *s, mg_turn *t);
#endif
