// attention_one.c - attention of one query, as in generation: keys and values are read where they
// lie.
//
// With many queries it pays to gather keys into one matrix (attention.c); with one, the copy would
// cost more than the products. Sixteen keys are scored at a time: 16 x 16 numbers of theirs are
// transposed in registers, so that a score sums over the head's width in sequence, as there. Scores
// lie side by side in the order of the keys, whatever spans they came from; the last sixteen of a
// span may write a little beyond, where the next span or the softmax writes after them.
#include "ops/attention.h"

enum { ROWS = 8 }; // of values, between two visits to the same sums

// Scores of up to 16 keys, n of them real, for `heads` queries; scores of a head lie `cover` apart.
static void score_keys(const float *q, int64_t h, int64_t heads, const float *k, int64_t k_cols,
                       int64_t n, float *s, int64_t cover) {
    for (int64_t c = 0; c < h; c += LANES) {
        const int64_t width = h - c < LANES ? h - c : LANES;
        lanes         keys[LANES];
        for (int64_t i = 0; i < LANES; i++)
            keys[i] = lanes_load(k + (i < n ? i : n - 1) * k_cols + c, width);
        lanes_transpose(keys);
        for (int64_t head = 0; head < heads; head++) {
            const float *a   = q + head * h + c;
            lanes        sum = {0};
            if (c > 0) sum = lanes_load(s + head * cover, LANES);
            if (width == LANES)
                for (int i = 0; i < LANES; i++) sum += a[i] * keys[i];
            else
                for (int64_t i = 0; i < width; i++) sum += a[i] * keys[i];
            lanes_store(s + head * cover, LANES, sum);
        }
    }
}

// sums [vectors * LANES], of which `left` are real, += sum_j p_j v_j over n rows.
LANES_INLINE void add_values(const int vectors, const float *p, const float *v, int64_t v_cols,
                             int64_t n, int64_t left, float *sums) {
    lanes a[4];
    for (int i = 0; i < vectors; i++) a[i] = lanes_load(sums + i * LANES, LANES);
    for (int64_t j = 0; j < n; j++, v += v_cols)
        for (int i = 0; i < vectors; i++)
            a[i] += p[j] * lanes_load(v + i * LANES, left - i * LANES);
    for (int i = 0; i < vectors; i++) lanes_store(sums + i * LANES, LANES, a[i]);
}

static void weigh_values(const float *p, const float *v, int64_t v_cols, int64_t n, int64_t h,
                         float *sums) {
    int64_t k = 0;
    for (; k + 4 * LANES <= h; k += 4 * LANES)
        add_values(4, p, v + k, v_cols, n, 4 * LANES, sums + k);
    for (; k + 2 * LANES <= h; k += 2 * LANES)
        add_values(2, p, v + k, v_cols, n, 2 * LANES, sums + k);
    for (; k < h; k += LANES) add_values(1, p, v + k, v_cols, n, h - k, sums + k);
}

// A piece's work: what scratch holds, and where it reads.
typedef struct lonely {
    int64_t h, width, per_key, first, end; // key heads [first, end)
    int64_t keys, cover;
    float  *scores; // [heads of the piece, cover]
    float  *sums;   // [heads of the piece, width]
    float  *total;  // [heads of the piece]: sum of the exponentials
} lonely;

// Rows of keys and values lie together for all heads: a block of rows is read once, for all.
static void score_all(const mg_attention_call *c, const mg_query_group *group, const lonely *o) {
    const mg_key_span *span = c->plan->spans + group->span;
    const float       *q    = mg_f32(c->q) + group->row * c->q->cols;
    float             *s    = o->scores;
    for (int32_t i = 0; i < group->spans; s += span->n, i++, span++)
        for (int64_t j = 0; j < span->n; j += LANES) {
            const int64_t n = span->n - j < LANES ? span->n - j : LANES;
            const float  *k = mg_f32(c->k) + (span->row + j) * c->k->cols;
            for (int64_t head = o->first; head < o->end; head++)
                score_keys(q + head * o->per_key * o->h, o->h, o->per_key, k + head * o->h,
                           c->k->cols, n, s + (head - o->first) * o->per_key * o->cover + j,
                           o->cover);
        }
}

static void weigh_all(const mg_attention_call *c, const mg_query_group *group, const lonely *o) {
    const mg_key_span *span = c->plan->spans + group->span;
    const float       *p    = o->scores;
    for (int32_t i = 0; i < group->spans; p += span->n, i++, span++)
        for (int64_t j = 0; j < span->n; j += ROWS) {
            const int64_t n = span->n - j < ROWS ? span->n - j : ROWS;
            const float  *v = mg_f32(c->v) + (span->row + j) * c->v->cols;
            for (int64_t head = o->first * o->per_key; head < o->end * o->per_key; head++) {
                const int64_t own = head - o->first * o->per_key;
                weigh_values(p + own * o->cover + j, v + head / o->per_key * o->h, c->v->cols, n,
                             o->h, o->sums + own * o->width);
            }
        }
}

void mg_attention_one(const mg_attention_call *c, const mg_query_group *group, int64_t first,
                      int64_t end, float *scratch) {
    const mg_key_span *spans = c->plan->spans + group->span;
    lonely o = {.h = c->q->cols / c->heads, .per_key = c->heads / c->kv_heads, .first = first,
                .end = end, .scores = scratch};
    for (int32_t s = 0; s < group->spans; s++) o.keys += spans[s].n;
    o.width             = lanes_cover(o.h);
    o.cover             = lanes_cover(o.keys) + LANES; // and what the last sixteen write beyond
    const int64_t heads = (end - first) * o.per_key, from = first * o.per_key;
    o.sums              = scratch + heads * o.cover;
    o.total             = o.sums + heads * o.width;

    score_all(c, group, &o);
    memset(o.sums, 0, sizeof(float) * (size_t)(heads * o.width));
    for (int64_t i = 0; i < heads; i++)
        c->lse[group->row * c->heads + from + i] =
            softmax_row(o.scores + i * o.cover, o.keys, lanes_cover(o.keys),
                        1 / sqrtf((float)o.h), &o.total[i]);
    weigh_all(c, group, &o);
    for (int64_t i = 0; i < heads; i++) {
        float *y = mg_f32(c->y) + group->row * c->q->cols + (from + i) * o.h;
        for (int64_t k = 0; k < o.h; k += LANES)
            lanes_store(y + k, o.h - k, lanes_load(o.sums + i * o.width + k, LANES) / o.total[i]);
    }
}
