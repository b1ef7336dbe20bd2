// attention.h - what the two files of attention share: softmax, and one query over keys in place.
#ifndef MG_OPS_ATTENTION_H
#define MG_OPS_ATTENTION_H
#include <math.h>

#include "ops/tile.h"

// Scores become exp((s_j - max) / sqrt(h)), zero from `visible` up to `keys`, whole lanes. Returns
// their log-sum-exp, and their sum.
static inline float softmax_row(float *s, int64_t visible, int64_t keys, float scale,
                                float *sum_out) {
    lanes max = lanes_of(-INFINITY), sums = {0};
    for (int64_t j = visible; j < keys; j++) s[j] = -INFINITY;
    for (int64_t j = 0; j < keys; j += LANES) max = lanes_max(lanes_load(s + j, LANES), max);
    const float largest = lanes_largest(max);
    for (int64_t j = 0; j < keys; j += LANES) {
        lanes e = lanes_exp((lanes_load(s + j, LANES) - largest) * scale);
        lanes_store(s + j, LANES, e);
        sums += e;
    }
    *sum_out = lanes_sum(sums);
    return largest * scale + logf(*sum_out);
}

// y and lse of a group of one query, for the heads that read key heads [first, end). It has the
// bits of the same query among others (attention.c): each sum is made in the same order.
// scratch: mg_attention_one_scratch numbers.
void mg_attention_one(const mg_attention_call *c, const mg_query_group *group, int64_t first,
                      int64_t end, float *scratch);

static inline int64_t mg_attention_one_scratch(const mg_attention_call *c, int64_t keys,
                                               int64_t kv_heads) {
    const int64_t width = lanes_cover(c->q->cols / c->heads);
    return c->heads / c->kv_heads * kv_heads * (lanes_cover(keys) + LANES + width + 1);
}
#endif
