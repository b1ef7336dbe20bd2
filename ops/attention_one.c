// attention_one.c - attention of one query, as in generation: keys and values are read where they
// lie.
//
// With many queries it pays to gather keys into one matrix (attention.c); with one, the copy would
// cost more than the products. Sixteen keys are scored at a time: 16 x 16 numbers of theirs are
// transposed in registers, so that a score sums over the head's width in sequence, as there. Scores
// lie side by side in the order of the keys, whatever spans they came from; the last sixteen of a
// span may write a little beyond, where the next span or the softmax writes after them.
#include "ops/attention.h"

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

// y [vectors * LANES], of which `left` are real = sum_j p_j v_j / sum, over the spans' rows in order.
LANES_INLINE void weigh(const int vectors, const mg_attention_call *c, const mg_query_group *group,
                        const float *p, float sum, int64_t column, int64_t left, float *y) {
    const mg_key_span *span    = c->plan->spans + group->span;
    lanes              sums[4] = {{0}};
    for (int32_t i = 0; i < group->spans; i++, span++) {
        const float *v = mg_f32(c->v) + span->row * c->v->cols + column;
        for (int64_t j = 0; j < span->n; j++, v += c->v->cols, p++)
            for (int a = 0; a < vectors; a++)
                sums[a] += *p * lanes_load(v + a * LANES, left - a * LANES);
    }
    for (int a = 0; a < vectors; a++)
        lanes_store(y + a * LANES, left - a * LANES, sums[a] / sum);
}

static void weigh_head(const mg_attention_call *c, const mg_query_group *group, const float *p,
                       float sum, int64_t column, int64_t h, float *y) {
    int64_t k = 0;
    for (; k + 4 * LANES <= h; k += 4 * LANES)
        weigh(4, c, group, p, sum, column + k, 4 * LANES, y + k);
    for (; k + 2 * LANES <= h; k += 2 * LANES)
        weigh(2, c, group, p, sum, column + k, 2 * LANES, y + k);
    for (; k < h; k += LANES)
        weigh(1, c, group, p, sum, column + k, h - k, y + k);
}

void mg_attention_one(const mg_attention_call *c, const mg_query_group *group, int64_t first,
                      int64_t end, float *scratch) {
    const mg_key_span *spans = c->plan->spans + group->span;
    const int64_t      h = c->q->cols / c->heads, per_key = c->heads / c->kv_heads;
    const float        scale = 1 / sqrtf((float)h);
    int64_t            keys  = 0;
    for (int32_t s = 0; s < group->spans; s++) keys += spans[s].n;
    const int64_t cover = lanes_cover(keys) + LANES; // and what the last sixteen write beyond

    for (int64_t kv_head = first; kv_head < end; kv_head++) {
        const int64_t head = kv_head * per_key, at = group->row * c->q->cols + head * h;
        float        *s = scratch;
        for (int32_t i = 0; i < group->spans; i++) {
            const float *k = mg_f32(c->k) + spans[i].row * c->k->cols + kv_head * h;
            for (int64_t j = 0; j < spans[i].n; j += LANES) {
                const int64_t left = spans[i].n - j;
                score_keys(mg_f32(c->q) + at, h, per_key, k + j * c->k->cols, c->k->cols,
                           left < LANES ? left : LANES, s + j, cover);
            }
            s += spans[i].n;
        }
        for (int64_t i = 0; i < per_key; i++) {
            float sum, *p = scratch + i * cover;
            c->lse[group->row * c->heads + head + i] =
                softmax_row(p, keys, lanes_cover(keys), scale, &sum);
            weigh_head(c, group, p, sum, kv_head * h, h, mg_f32(c->y) + at + i * h);
        }
    }
}
