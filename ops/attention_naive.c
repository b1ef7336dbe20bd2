// attention_naive.c - scaled dot-product attention over spans of keys in plain loops.
//
//   dp_j = dy . v_j,  ds_j = p_j (dp_j - sum_l p_l dp_l),
//   dq += sum_j ds_j k_j / sqrt(h),  dk_j += ds_j q / sqrt(h),  dv_j += p_j dy
#include <math.h>

#include "ops/naive.h"

// The key rows that query i of the group sees, in order; their number.
static int64_t keys_of(const mg_attention_plan *plan, const mg_query_group *group, int64_t i,
                       int64_t *rows) {
    int64_t n = 0;
    for (int32_t s = 0; s < group->spans; s++) {
        mg_key_span span = plan->spans[group->span + s];
        int64_t     seen = s + 1 < group->spans ? span.n : span.n - group->n + i + 1;
        for (int64_t j = 0; j < seen; j++) rows[n++] = span.row + j;
    }
    return n;
}

static int64_t keys_max(const mg_attention_plan *plan) {
    int64_t max = 0;
    for (int64_t g = 0; g < plan->n_groups; g++) {
        int64_t n = 0;
        for (int32_t s = 0; s < plan->groups[g].spans; s++)
            n += plan->spans[plan->groups[g].span + s].n;
        if (n > max) max = n;
    }
    return max;
}

static real dot(const real *a, const real *b, int64_t n) {
    real sum = 0;
    for (int64_t c = 0; c < n; c++) sum += a[c] * b[c];
    return sum;
}

// p_j = softmax_j(q . k_j / sqrt(h)) over the n keys named.
static void softmax_scores(const real *q, const real *k, int64_t k_width, int64_t h,
                           const int64_t *rows, int64_t n, real *p) {
    real max = -(real)INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        p[j] = dot(q, k + rows[j] * k_width, h) / (real)sqrt((double)h);
        max  = p[j] > max ? p[j] : max;
    }
    for (int64_t j = 0; j < n; j++) sum += p[j] = (real)exp((double)(p[j] - max));
    for (int64_t j = 0; j < n; j++) p[j] /= sum;
}

// One query row and head, seen by forward and backward alike.
typedef struct one_query {
    int64_t  at;      // first number of this head in q and y
    int64_t  k_at;    // column of its key head
    int64_t *rows;    // [n]
    int64_t  n;
    real    *p, *dp;  // [n]
} one_query;

typedef void query_fn(const mg_attention_call *c, const one_query *o);

static void each_query(mg_tape *tape, const mg_attention_call *c, query_fn *fn) {
    const int64_t h = c->q->cols / c->heads, max = keys_max(c->plan);
    size_t        mark = mg_arena_mark(tape->arena);
    one_query     o    = {.rows = MG_NEW(tape->arena, int64_t, max),
                          .p    = MG_NEW(tape->arena, real, max),
                          .dp   = MG_NEW(tape->arena, real, max)};

    for (int64_t g = 0; g < c->plan->n_groups; g++)
        for (int64_t i = 0; i < c->plan->groups[g].n; i++) {
            o.n = keys_of(c->plan, &c->plan->groups[g], i, o.rows);
            for (int64_t head = 0; head < c->heads; head++) {
                o.at   = (c->plan->groups[g].row + i) * c->q->cols + head * h;
                o.k_at = head / (c->heads / c->kv_heads) * h;
                softmax_scores(numbers(c->q) + o.at, numbers(c->k) + o.k_at, c->k->cols, h, o.rows,
                               o.n, o.p);
                fn(c, &o);
            }
        }
    mg_arena_reset(tape->arena, mark);
}

static void query_forward(const mg_attention_call *c, const one_query *o) {
    const int64_t h = c->q->cols / c->heads;
    real         *y = numbers(c->y) + o->at;

    for (int64_t col = 0; col < h; col++) y[col] = 0;
    for (int64_t j = 0; j < o->n; j++) {
        const real *v = numbers(c->v) + o->rows[j] * c->v->cols + o->k_at;
        for (int64_t col = 0; col < h; col++) y[col] += o->p[j] * v[col];
    }
}

static void query_backward(const mg_attention_call *c, const one_query *o) {
    const int64_t h = c->q->cols / c->heads, width = c->k->cols;
    const real   *q = numbers(c->q) + o->at, *dy = gradient(c->y) + o->at;
    real         *dq = gradient(c->q), *dk = gradient(c->k), *dv = gradient(c->v), mean = 0;

    for (int64_t j = 0; j < o->n; j++) {
        o->dp[j] = dot(dy, numbers(c->v) + o->rows[j] * width + o->k_at, h);
        mean += o->p[j] * o->dp[j];
    }
    for (int64_t j = 0; j < o->n; j++) {
        const int64_t key = o->rows[j] * width + o->k_at;
        const real    ds  = o->p[j] * (o->dp[j] - mean) / (real)sqrt((double)h);
        for (int64_t col = 0; col < h; col++) {
            if (dq) dq[o->at + col] += ds * numbers(c->k)[key + col];
            if (dk) dk[key + col] += ds * q[col];
            if (dv) dv[key + col] += o->p[j] * dy[col];
        }
    }
}

void NAIVE(attention_forward)(mg_tape *tape, void *context) {
    each_query(tape, context, query_forward);
}

void NAIVE(attention_backward)(mg_tape *tape, void *context) {
    each_query(tape, context, query_backward);
}
