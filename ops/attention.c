// attention.c - scaled dot-product attention over spans of keys.
//
// One piece of work copies the keys and values it needs, span after span, into its worker's
// scratch memory and goes on with plain products (tile.h); a query that is alone reads them where they
// lie (attention_one.c), with the same sums. Where a key came from is then
// forgotten: a score sums over the head's width in sequence, a softmax over lanes by the key's
// place in that order, and an output over the visible keys in sequence. So a row has the same bits
// whether its keys lie in one span or in many.
//
// Backward makes the probabilities again from the saved log-sum-exp (Dao et al. 2022,
// arXiv:2205.14135, section 3.1 and appendix B.2): with D = dy . y = sum_j p_j dp_j,
//   dp_j = dy . v_j,  ds_j = p_j (dp_j - D),
//   dq += sum_j ds_j k_j / sqrt(h),  dk_j += ds_j q / sqrt(h),  dv_j += p_j dy
// A piece is one family and one key head: the gradient of a key row is summed in one place, group
// by group, so a parent hears all its descendants in one order.
#include "ops/attention.h"

enum {
    QUERIES = 32,    // of one sequence are taken at once
    TILE    = 4,     // score rows that forward keeps
    ALONE   = 32768, // numbers of keys that one piece takes for a query that is alone
};

typedef struct query_block {
    const mg_query_group *group;
    int64_t               first, n;         // queries of the group
    int64_t               kv_first, kv_end; // key heads
} query_block;

typedef struct attention_work {
    const mg_attention_call *call;
    const query_block       *blocks;      // forward
    const int64_t           *first_group; // backward: of each family, and the end
    float                   *scratch;
    int64_t                  scratch_count; // numbers per worker
    int64_t                  keys_max;      // most keys of a group, in whole lanes
    int64_t                  h, width;      // head width, and in whole lanes
    float                    scale;         // 1 / sqrt(h)
} attention_work;

static int64_t group_keys(const mg_attention_plan *plan, const mg_query_group *group) {
    int64_t n = 0;
    for (int32_t s = 0; s < group->spans; s++) n += plan->spans[group->span + s].n;
    return n;
}

static int64_t visible_keys(int64_t keys, const mg_query_group *group, int64_t query) {
    return keys - group->n + query + 1;
}

// to [lanes_cover(n), width]: the first n rows named by the group's spans, `h` columns from
// `column` on; zeros around them.
static void gather_rows(const attention_work *w, const mg_query_group *group, const float *from,
                        int64_t from_cols, int64_t column, int64_t n, float *to) {
    const mg_key_span *span = w->call->plan->spans + group->span;
    for (int64_t i = 0, at = 0; i < n; i++, at++, to += w->width) {
        while (at == span->n) span++, at = 0;
        memcpy(to, from + (span->row + at) * from_cols + column, sizeof(float) * (size_t)w->h);
        memset(to + w->h, 0, sizeof(float) * (size_t)(w->width - w->h));
    }
    memset(to, 0, sizeof(float) * (size_t)((lanes_cover(n) - n) * w->width));
}

// The other way: rows of the gradient += from.
static void scatter_rows(const attention_work *w, const mg_query_group *group, const float *from,
                         int64_t n, float *to, int64_t to_cols, int64_t column) {
    const mg_key_span *span = w->call->plan->spans + group->span;
    for (int64_t i = 0, at = 0; i < n; i++, at++, from += w->width) {
        while (at == span->n) span++, at = 0;
        float *row = to + (span->row + at) * to_cols + column;
        for (int64_t c = 0; c < w->h; c += LANES)
            lanes_add_to(row + c, w->h - c, lanes_load(from + c, LANES));
    }
}

typedef struct forward_scratch {
    float *keys, *keys_t, *values; // [keys, width], transposed, [keys, width]
    float *scores, *sums;          // [TILE, keys], [TILE, width]
} forward_scratch;

// y of `n` consecutive queries of one head, at most TILE.
static void forward_tile(const attention_work *w, const forward_scratch *f, const query_block *b,
                         int64_t keys, int64_t first, int64_t n, int64_t head) {
    const mg_attention_call *c     = w->call;
    const int64_t            cols  = c->q->cols, row = b->group->row + first;
    const int64_t            cover = lanes_cover(keys);
    const int64_t            fewest = visible_keys(group_keys(c->plan, b->group), b->group, first);
    const int64_t            used   = lanes_cover(fewest + n - 1);
    float                    sum[TILE];

    memset(f->scores, 0, sizeof(float) * (size_t)(n * cover));
    memset(f->sums, 0, sizeof(float) * (size_t)(n * w->width));
    mg_tile_multiply(n, used, w->h, (tile_view){mg_f32(c->q) + row * cols + head * w->h, cols, 1},
                     f->keys_t, cover, f->scores, cover);
    for (int64_t i = 0; i < n; i++)
        c->lse[(row + i) * c->heads + head] =
            softmax_row(f->scores + i * cover, fewest + i, used, w->scale, &sum[i]);

    // The keys that all see, then those that only the later queries see: no term of a hidden key.
    mg_tile_multiply(n, w->width, fewest, (tile_view){f->scores, cover, 1}, f->values, w->width,
                     f->sums, w->width);
    for (int64_t i = 1; i < n; i++)
        mg_tile_multiply(1, w->width, i, (tile_view){f->scores + i * cover + fewest, cover, 1},
                         f->values + fewest * w->width, w->width, f->sums + i * w->width,
                         w->width);
    for (int64_t i = 0; i < n; i++) {
        float *y = mg_f32(c->y) + (row + i) * cols + head * w->h;
        for (int64_t k = 0; k < w->h; k += LANES)
            lanes_store(y + k, w->h - k, lanes_load(f->sums + i * w->width + k, LANES) / sum[i]);
    }
}

static void forward_head(const attention_work *w, const query_block *b, int64_t kv_head,
                         float *base) {
    const mg_attention_call *c       = w->call;
    const int64_t            per_key = c->heads / c->kv_heads;
    const int64_t keys = visible_keys(group_keys(c->plan, b->group), b->group, b->first + b->n - 1);
    const int64_t area = w->keys_max * w->width;
    const forward_scratch f = {.keys = base, .keys_t = base + area, .values = base + 2 * area,
                               .scores = base + 3 * area,
                               .sums   = base + 3 * area + TILE * w->keys_max};

    gather_rows(w, b->group, mg_f32(c->k), c->k->cols, kv_head * w->h, keys, f.keys);
    gather_rows(w, b->group, mg_f32(c->v), c->v->cols, kv_head * w->h, keys, f.values);
    mg_tile_transpose(lanes_cover(keys), w->width, f.keys, f.keys_t);
    for (int64_t head = kv_head * per_key; head < (kv_head + 1) * per_key; head++)
        for (int64_t i = b->first; i < b->first + b->n; i += TILE) {
            int64_t left = b->first + b->n - i;
            forward_tile(w, &f, b, keys, i, left < TILE ? left : TILE, head);
        }
}

static void forward_piece(void *context, int64_t piece, int worker) {
    const attention_work *w    = context;
    const query_block    *b    = &w->blocks[piece];
    float                *base = w->scratch + worker * w->scratch_count;

    if (b->group->n == 1)
        mg_attention_one(w->call, b->group, b->kv_first, b->kv_end, base);
    else
        for (int64_t kv_head = b->kv_first; kv_head < b->kv_end; kv_head++)
            forward_head(w, b, kv_head, base);
}

// What forward and backward need to know.
static attention_work work_make(const mg_attention_call *c) {
    const mg_attention_plan *plan = c->plan;
    attention_work           w    = {.call = c, .h = c->q->cols / c->heads};

    w.width = lanes_cover(w.h);
    w.scale = 1 / sqrtf((float)w.h);
    for (int64_t g = 0; g < plan->n_groups; g++) {
        const int64_t keys = lanes_cover(group_keys(plan, &plan->groups[g]));
        if (keys > w.keys_max) w.keys_max = keys;
    }
    return w;
}

// Scratch memory of `count` numbers for every worker.
static void give_scratch(mg_tape *tape, attention_work *w, int64_t count) {
    w->scratch_count = lanes_cover(count); // so that every worker's is aligned
    w->scratch       = mg_arena_alloc_raw(tape->arena, sizeof(float) * (size_t)w->scratch_count *
                                                           (size_t)mg_team_threads(tape->team));
}

// A query that is alone reads keys where they lie, several heads at a time where they are few; of
// more queries, QUERIES share the copy of one head's keys.
static int64_t heads_of_piece(const attention_work *w, const mg_query_group *group) {
    if (group->n > 1) return 1;
    const int64_t heads = ALONE / (group_keys(w->call->plan, group) * w->width) + 1;
    return heads < w->call->kv_heads ? heads : w->call->kv_heads;
}

static int64_t scratch_of(const attention_work *w, const mg_query_group *group) {
    const int64_t keys = group_keys(w->call->plan, group);
    if (group->n == 1) return mg_attention_one_scratch(w->call, keys, heads_of_piece(w, group));
    return (3 * w->width + TILE) * w->keys_max + TILE * w->width;
}

// Cuts a group into blocks and returns how many.
static int64_t cut_group(const attention_work *w, const mg_query_group *group, query_block *blocks) {
    const int64_t kv_heads = w->call->kv_heads, heads = heads_of_piece(w, group);
    int64_t       n        = 0;
    for (int64_t i = 0; i < group->n; i += QUERIES)
        for (int64_t head = 0; head < kv_heads; head += heads, n++) {
            const int64_t left = group->n - i, end = head + heads;
            blocks[n] = (query_block){group, i, left < QUERIES ? left : QUERIES, head,
                                      end < kv_heads ? end : kv_heads};
        }
    return n;
}

static void forward(mg_tape *tape, void *context) {
    mg_attention_call       *c    = context;
    const mg_attention_plan *plan = c->plan;
    int64_t                  most = 0, n = 0, queries = 0, scratch = 0;

    for (int64_t g = 0; g < plan->n_groups; g++) {
        const mg_query_group *group = &plan->groups[g];
        MG_ASSERT(group->n > 0 && group->spans > 0);
        MG_ASSERT(plan->spans[group->span + group->spans - 1].n >= group->n);
        most += mg_pieces(group->n, QUERIES) * c->kv_heads;
        queries += group->n;
    }
    MG_ASSERT(queries == c->q->rows);
    c->lse = mg_arena_alloc_raw(tape->arena, sizeof(float) * (size_t)(queries * c->heads));

    const size_t   mark   = mg_arena_mark(tape->arena);
    attention_work w      = work_make(c);
    query_block   *blocks = mg_arena_alloc_raw(tape->arena, sizeof *blocks * (size_t)most);
    for (int64_t g = 0; g < plan->n_groups; g++) {
        const int64_t wanted = scratch_of(&w, &plan->groups[g]);
        scratch              = wanted > scratch ? wanted : scratch;
        n += cut_group(&w, &plan->groups[g], blocks + n);
    }
    w.blocks = blocks;
    give_scratch(tape, &w, scratch);
    mg_team_run(tape->team, forward_piece, &w, n);
    mg_arena_reset(tape->arena, mark);
}

typedef struct backward_scratch {
    float *keys, *keys_t, *values_t; // [keys, width], the others transposed
    float *dk, *dv;                  // [keys, width]
    float *p, *ds;                   // [QUERIES, keys]
    float *q, *dy, *dq;              // [QUERIES, width]
} backward_scratch;

// Rows of one head, zeros behind its width.
static void copy_head(const attention_work *w, const float *from, int64_t from_cols, int64_t n,
                      float *to) {
    for (int64_t i = 0; i < n; i++, from += from_cols, to += w->width) {
        memcpy(to, from, sizeof(float) * (size_t)w->h);
        memset(to + w->h, 0, sizeof(float) * (size_t)(w->width - w->h));
    }
}

static float dot(const float *a, const float *b, int64_t n) {
    lanes products = {0};
    for (int64_t k = 0; k < n; k += LANES)
        products += lanes_load(a + k, n - k) * lanes_load(b + k, n - k);
    return lanes_sum(products);
}

// Scores become p_j = exp(s_j / sqrt(h) - lse), zero from `visible` on; dp_j becomes
// ds_j / sqrt(h).
static void score_gradient(float *p, float *ds, float scale, float lse, float D, int64_t visible,
                           int64_t used) {
    for (int64_t j = visible; j < used; j++) p[j] = -INFINITY;
    for (int64_t j = 0; j < used; j += LANES) {
        lanes probability = lanes_exp(lanes_load(p + j, LANES) * scale - lse);
        lanes_store(p + j, LANES, probability);
        lanes_store(ds + j, LANES, probability * (lanes_load(ds + j, LANES) - D) * scale);
    }
}

// Adds what `n` queries of one head, at most QUERIES, give to dq, and to the group's dk and dv.
static void backward_block(const attention_work *w, const backward_scratch *f,
                           const mg_query_group *group, int64_t keys, int64_t first, int64_t n,
                           int64_t head) {
    const mg_attention_call *c  = w->call;
    const int64_t cols = c->q->cols, row = group->row + first, at = row * cols + head * w->h;
    const int64_t most = visible_keys(keys, group, first + n - 1), used = lanes_cover(most);
    const int64_t cover = lanes_cover(keys), max = w->keys_max;
    float         D[QUERIES];

    copy_head(w, mg_f32(c->q) + at, cols, n, f->q);
    copy_head(w, mg_grad_f32(c->y) + at, cols, n, f->dy);
    memset(f->p, 0, sizeof(float) * (size_t)(n * max));
    memset(f->ds, 0, sizeof(float) * (size_t)(n * max));
    memset(f->dq, 0, sizeof(float) * (size_t)(n * w->width));

    mg_tile_multiply(n, used, w->h, (tile_view){f->q, w->width, 1}, f->keys_t, cover, f->p, max);
    mg_tile_multiply(n, used, w->h, (tile_view){f->dy, w->width, 1}, f->values_t, cover, f->ds,
                     max);
    for (int64_t i = 0; i < n; i++)
        D[i] = dot(mg_f32(c->y) + at + i * cols, f->dy + i * w->width, w->h);
    for (int64_t i = 0; i < n; i++)
        score_gradient(f->p + i * max, f->ds + i * max, w->scale,
                       c->lse[(row + i) * c->heads + head], D[i],
                       visible_keys(keys, group, first + i), used);

    mg_tile_multiply(most, w->width, n, (tile_view){f->p, 1, max}, f->dy, w->width, f->dv,
                     w->width);
    mg_tile_multiply(most, w->width, n, (tile_view){f->ds, 1, max}, f->q, w->width, f->dk,
                     w->width);
    if (!c->q->grad) return;
    float *dq = mg_grad_f32(c->q) + at;
    mg_tile_multiply(n, w->width, most, (tile_view){f->ds, max, 1}, f->keys, w->width, f->dq,
                     w->width);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < w->h; k += LANES)
            lanes_add_to(dq + i * cols + k, w->h - k, lanes_load(f->dq + i * w->width + k, LANES));
}

static void backward_group(const attention_work *w, const backward_scratch *f,
                           const mg_query_group *group, int64_t kv_head) {
    const mg_attention_call *c       = w->call;
    const int64_t            keys    = group_keys(c->plan, group), column = kv_head * w->h;
    const int64_t            per_key = c->heads / c->kv_heads, cover = lanes_cover(keys);

    gather_rows(w, group, mg_f32(c->v), c->v->cols, column, keys, f->keys); // in passing
    mg_tile_transpose(cover, w->width, f->keys, f->values_t);
    gather_rows(w, group, mg_f32(c->k), c->k->cols, column, keys, f->keys);
    mg_tile_transpose(cover, w->width, f->keys, f->keys_t);
    memset(f->dk, 0, sizeof(float) * (size_t)(keys * w->width));
    memset(f->dv, 0, sizeof(float) * (size_t)(keys * w->width));

    for (int64_t head = kv_head * per_key; head < (kv_head + 1) * per_key; head++)
        for (int64_t i = 0; i < group->n; i += QUERIES) {
            const int64_t left = group->n - i;
            backward_block(w, f, group, keys, i, left < QUERIES ? left : QUERIES, head);
        }
    if (c->k->grad) scatter_rows(w, group, f->dk, keys, mg_grad_f32(c->k), c->k->cols, column);
    if (c->v->grad) scatter_rows(w, group, f->dv, keys, mg_grad_f32(c->v), c->v->cols, column);
}

static void backward_piece(void *context, int64_t piece, int worker) {
    const attention_work *w       = context;
    const int64_t         family  = piece / w->call->kv_heads, kv_head = piece % w->call->kv_heads;
    const int64_t         area    = w->keys_max * w->width, scores = QUERIES * w->keys_max;
    float                *base    = w->scratch + worker * w->scratch_count;
    float                *queries = base + 5 * area + 2 * scores;
    const backward_scratch f = {
        .keys = base, .keys_t = base + area, .values_t = base + 2 * area,
        .dk = base + 3 * area, .dv = base + 4 * area,
        .p = base + 5 * area, .ds = base + 5 * area + scores,
        .q = queries, .dy = queries + QUERIES * w->width, .dq = queries + 2 * QUERIES * w->width};

    for (int64_t g = w->first_group[family]; g < w->first_group[family + 1]; g++)
        backward_group(w, &f, &w->call->plan->groups[g], kv_head);
}

static void backward(mg_tape *tape, void *context) {
    const mg_attention_call *c     = context;
    const mg_attention_plan *plan  = c->plan;
    mg_grad(c->q), mg_grad(c->k), mg_grad(c->v);
    const size_t             mark  = mg_arena_mark(tape->arena);
    attention_work           w     = work_make(c);
    int64_t                 *first = MG_NEW(tape->arena, int64_t, plan->n_families + 1);

    for (int64_t g = 0, family = 0; g < plan->n_groups; g++) {
        MG_ASSERT(plan->groups[g].family >= family && plan->groups[g].family < plan->n_families);
        while (family < plan->groups[g].family) first[++family] = g;
    }
    for (int64_t family = plan->n_groups ? plan->groups[plan->n_groups - 1].family : 0;
         family < plan->n_families;)
        first[++family] = plan->n_groups;
    w.first_group = first;
    give_scratch(tape, &w, (5 * w.width + 2 * QUERIES) * w.keys_max + 3 * QUERIES * w.width);
    mg_team_run(tape->team, backward_piece, &w, plan->n_families * c->kv_heads);
    mg_arena_reset(tape->arena, mark);
}

mg_tensor *mg_attention(mg_tape *t, mg_tensor *q, mg_tensor *k, mg_tensor *v, int64_t heads,
                        int64_t kv_heads, const mg_attention_plan *plan) {
    static const mg_paths paths = MG_PATHS(attention);
    mg_attention_call    *c     = MG_NEW(t->arena, mg_attention_call, 1);

    MG_ASSERT(heads % kv_heads == 0 && q->cols % heads == 0);
    MG_ASSERT(k->cols == q->cols / heads * kv_heads && v->cols == k->cols && v->rows == k->rows);
    *c = (mg_attention_call){.q = q, .k = k, .v = v, .y = mg_tape_tensor(t, q->rows, q->cols),
                             .heads = heads, .kv_heads = kv_heads, .plan = plan};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
