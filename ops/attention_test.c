// attention_test.c - one sequence, laid out in many ways: every query's row keeps its bits.
//
// Alone, in a batch, cut into a chain of parents, and decoded token by token from a cache whose
// rows lie anywhere; one with many keys, whose heads are pieces of work of their own. That attention
// computes the right numbers is ops_test.c's business.
#include "ops/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

enum { N = 90, BEFORE = 7, HEADS = 4, KV_HEADS = 2, ROWS_MAX = 256 };

static mg_arena arena;

// q, k, v of the N tokens, each token's row from its own random stream.
typedef struct layout {
    int64_t   h;
    int64_t   place[N]; // row of token i in k and v
    mg_tensor q, k, v;
} layout;

static void fill(mg_tensor *t, int64_t row, int which, uint64_t token) {
    mg_rng rng = mg_rng_stream(5, MG_PURPOSE_TEST, token * 3 + (uint64_t)which);
    for (int64_t j = 0; j < t->cols; j++)
        mg_f32(t)[row * t->cols + j] = (float)mg_rng_normal(&rng);
}

// n_queries rows of q for the tokens from `first` on at rows from q_row on; keys at place[].
static layout layout_make(int64_t h, int64_t first, int64_t n_queries, int64_t q_row,
                          int64_t q_rows, const int64_t *place) {
    layout l = {.h = h};
    l.q      = (mg_tensor){.rows = q_rows, .cols = HEADS * h};
    l.k = l.v = (mg_tensor){.rows = ROWS_MAX, .cols = KV_HEADS * h};
    l.q.data  = mg_arena_alloc(&arena, sizeof(float) * (size_t)(q_rows * HEADS * h));
    l.k.data  = mg_arena_alloc(&arena, sizeof(float) * (size_t)(ROWS_MAX * KV_HEADS * h));
    l.v.data  = mg_arena_alloc(&arena, sizeof(float) * (size_t)(ROWS_MAX * KV_HEADS * h));
    for (int64_t i = 0; i < n_queries; i++) fill(&l.q, q_row + i, 0, (uint64_t)(first + i));
    for (int64_t i = 0; i < N; i++) {
        fill(&l.k, place[i], 1, (uint64_t)i);
        fill(&l.v, place[i], 2, (uint64_t)i);
    }
    return l;
}

static const float *attend(layout *l, const mg_attention_plan *plan) {
    mg_tape tape = mg_tape_make(&arena, NULL, false);
    return mg_f32(mg_attention(&tape, &l->q, &l->k, &l->v, HEADS, KV_HEADS, plan));
}

static const float *alone(int64_t h) {
    int64_t place[N];
    for (int64_t i = 0; i < N; i++) place[i] = i;
    layout l = layout_make(h, 0, N, 0, N, place);
    return attend(&l, &(mg_attention_plan){.groups = (mg_query_group[]){{.n = N, .spans = 1}},
                                           .spans = (mg_key_span[]){{0, N}}, .n_groups = 1,
                                           .n_families = 1});
}

static void assert_rows(const float *got, const float *want, int64_t n, int64_t h) {
    assert_memory_equal(got, want, sizeof(float) * (size_t)(n * HEADS * h));
}

static const int64_t widths[] = {16, 20, 64, 96};
#define EACH_WIDTH(h)                                                                        \
    for (int64_t w_ = 0, h; w_ < 4 && (h = widths[w_], mg_arena_reset(&arena, 0), true); w_++)

static void test_batch(void **state) {
    (void)state;
    EACH_WIDTH(h) {
        const float *want = alone(h);
        int64_t      place[N];
        for (int64_t i = 0; i < N; i++) place[i] = BEFORE + i;
        layout l = layout_make(h, 0, N, BEFORE, BEFORE + N, place);
        for (int64_t i = 0; i < BEFORE; i++) fill(&l.k, i, 1, 1000);
        const float *y = attend(&l, &(mg_attention_plan){
            .groups = (mg_query_group[]){
                {.n = BEFORE, .spans = 1},
                {.row = BEFORE, .n = N, .span = 1, .spans = 1, .family = 1}},
            .spans  = (mg_key_span[]){{0, BEFORE}, {BEFORE, N}}, .n_groups = 2, .n_families = 2});
        assert_rows(y + BEFORE * HEADS * h, want, N, h);
    }
}

// 20 tokens, then 1, then 69, each the parent of the next.
static void test_parents(void **state) {
    (void)state;
    EACH_WIDTH(h) {
        const float *want = alone(h);
        int64_t      place[N];
        for (int64_t i = 0; i < N; i++) place[i] = i;
        layout l = layout_make(h, 0, N, 0, N, place);
        const float *y = attend(&l, &(mg_attention_plan){
            .groups = (mg_query_group[]){{.n = 20, .spans = 1},
                                         {.row = 20, .n = 1, .span = 0, .spans = 2},
                                         {.row = 21, .n = 69, .span = 0, .spans = 3}},
            .spans  = (mg_key_span[]){{0, 20}, {20, 1}, {21, 69}}, .n_groups = 3, .n_families = 1});
        assert_rows(y, want, N, h);
    }
}

// The last 60 tokens one by one, their keys in a cache in reverse order.
static void test_decoding(void **state) {
    (void)state;
    enum { PROMPT = 30 };
    EACH_WIDTH(h) {
        const float *want = alone(h);
        int64_t      place[N];
        mg_key_span  spans[N] = {{100, PROMPT}};
        for (int64_t i = 0; i < N; i++) place[i] = i < PROMPT ? 100 + i : N - i;
        for (int64_t i = PROMPT; i < N; i++) spans[i - PROMPT + 1] = (mg_key_span){place[i], 1};
        for (int64_t i = PROMPT; i < N; i++) {
            layout         l     = layout_make(h, i, 1, 0, 1, place);
            mg_query_group group = {.n = 1, .spans = (int32_t)(i - PROMPT + 2)};
            const float   *y     = attend(&l, &(mg_attention_plan){.groups = &group, .spans = spans,
                                                                   .n_groups = 1, .n_families = 1});
            assert_rows(y, want + i * HEADS * h, 1, h);
        }
    }
}

// 600 keys of 64 numbers are more than a piece takes for a query that is alone: one key head each, in
// two threads. As the last of two queries it takes the way of many.
static void test_heads_apart(void **state) {
    (void)state;
    enum { KEYS = 600, H = 64 };
    mg_arena_reset(&arena, 0);
    layout l = {.h = H, .q = {.rows = 2, .cols = HEADS * H}, .k = {.rows = KEYS, .cols = KV_HEADS * H}};
    l.v      = l.k;
    l.q.data = mg_arena_alloc(&arena, sizeof(float) * 2 * HEADS * H);
    l.k.data = mg_arena_alloc(&arena, sizeof(float) * KEYS * KV_HEADS * H);
    l.v.data = mg_arena_alloc(&arena, sizeof(float) * KEYS * KV_HEADS * H);
    for (int64_t i = 0; i < 2; i++) fill(&l.q, i, 0, (uint64_t)i);
    for (int64_t i = 0; i < KEYS; i++) fill(&l.k, i, 1, (uint64_t)i), fill(&l.v, i, 2, (uint64_t)i);
    const mg_key_span all  = {0, KEYS};
    const float      *want = attend(&l, &(mg_attention_plan){
        .groups = (mg_query_group[]){{.n = 2, .spans = 1}}, .spans = &all, .n_groups = 1,
        .n_families = 1});

    mg_team *team;
    assert_int_equal(mg_team_open(&team, 2), MG_OK);
    mg_tape   tape = mg_tape_make(&arena, team, false);
    mg_tensor last = {.rows = 1, .cols = HEADS * H, .data = mg_f32(&l.q) + HEADS * H};
    mg_tensor *got = mg_attention(&tape, &last, &l.k, &l.v, HEADS, KV_HEADS, &(mg_attention_plan){
        .groups = (mg_query_group[]){{.n = 1, .spans = 1}}, .spans = &all, .n_groups = 1,
        .n_families = 1});
    assert_rows(mg_f32(got), want + HEADS * H, 1, H);
    mg_team_close(team);
}

// A hidden key may hold anything.
static void test_hidden_keys(void **state) {
    (void)state;
    EACH_WIDTH(h) {
        const float *want = alone(h);
        int64_t      place[N];
        for (int64_t i = 0; i < N; i++) place[i] = i;
        for (int64_t i = 0; i < N - 1; i += 13) {
            layout l = layout_make(h, 0, N, 0, N, place);
            for (int64_t j = 0; j < l.v.cols; j++)
                mg_f32(&l.v)[(i + 1) * l.v.cols + j] = mg_f32(&l.k)[(i + 1) * l.v.cols + j] = NAN;
            const float *y = attend(&l, &(mg_attention_plan){
                .groups = (mg_query_group[]){{.n = N, .spans = 1}},
                .spans  = (mg_key_span[]){{0, N}}, .n_groups = 1, .n_families = 1});
            assert_rows(y, want, i + 1, h);
            assert_true(isnan(y[(i + 1) * HEADS * h]));
        }
    }
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "attention", 1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch), cmocka_unit_test(test_parents),
        cmocka_unit_test(test_decoding), cmocka_unit_test(test_heads_apart),
        cmocka_unit_test(test_hidden_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
