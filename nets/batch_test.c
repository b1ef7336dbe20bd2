// batch_test.c - rows, positions, and the plan: literals for a small forest, and what a plan means
// (every query sees the tokens before it and no others) for random ones.
#include "nets/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static int open_arena(void **state) {
    static mg_arena arena;
    *state = &arena;
    return mg_arena_init(&arena, "batch test", 1 << 24);
}

static int close_arena(void **state) {
    mg_arena_release(*state);
    return 0;
}

// Two families whose members come mixed: a (3 tokens) - a1 (1) - a2 (4), and b (2) - b1 (2).
static mg_batch forest(mg_arena *arena) {
    mg_batch b;
    mg_batch_init(&b, arena, 12, 5);
    const int32_t a = mg_batch_add(&b, (int32_t[]){10, 11, 12}, 3, -1);
    const int32_t o = mg_batch_add(&b, (int32_t[]){20, 21}, 2, -1);
    const int32_t a1 = mg_batch_add(&b, (int32_t[]){13}, 1, a);
    mg_batch_add(&b, (int32_t[]){22, 23}, 2, o);
    mg_batch_add(&b, (int32_t[]){14, 15, 16, 17}, 4, a1);
    mg_batch_plan(&b, arena);
    return b;
}

static void sequences_lie_one_after_the_other_and_go_on_where_their_parents_end(void **state) {
    const mg_batch      b            = forest(*state);
    const int32_t       tokens[12]   = {10, 11, 12, 20, 21, 13, 22, 23, 14, 15, 16, 17};
    const int32_t       positions[12] = {0, 1, 2, 0, 1, 3, 2, 3, 4, 5, 6, 7};
    const mg_sequence   expected[5]  = {{.row = 0, .n = 3, .parent = -1, .position = 0},
                                        {.row = 3, .n = 2, .parent = -1, .position = 0},
                                        {.row = 5, .n = 1, .parent = 0, .position = 3},
                                        {.row = 6, .n = 2, .parent = 1, .position = 2},
                                        {.row = 8, .n = 4, .parent = 2, .position = 4}};
    assert_int_equal(b.n_tokens, 12);
    assert_int_equal(b.n_sequences, 5);
    assert_memory_equal(b.tokens, tokens, sizeof tokens);
    assert_memory_equal(b.positions, positions, sizeof positions);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(b.sequences[i].row, expected[i].row);
        assert_int_equal(b.sequences[i].n, expected[i].n);
        assert_int_equal(b.sequences[i].parent, expected[i].parent);
        assert_int_equal(b.sequences[i].position, expected[i].position);
    }
}

static void groups_come_by_family_and_their_spans_root_first(void **state) {
    const mg_batch b = forest(*state);
    const struct {
        int64_t     row, n;
        int32_t     family, spans;
        mg_key_span span[3];
    } expected[5] = {
        {0, 3, 0, 1, {{0, 3}}},
        {5, 1, 0, 2, {{0, 3}, {5, 1}}},
        {8, 4, 0, 3, {{0, 3}, {5, 1}, {8, 4}}},
        {3, 2, 1, 1, {{3, 2}}},
        {6, 2, 1, 2, {{3, 2}, {6, 2}}},
    };
    assert_int_equal(b.plan.n_groups, 5);
    assert_int_equal(b.plan.n_families, 2);
    for (int i = 0; i < 5; i++) {
        const mg_query_group *g = &b.plan.groups[i];
        assert_int_equal(g->row, expected[i].row);
        assert_int_equal(g->n, expected[i].n);
        assert_int_equal(g->family, expected[i].family);
        assert_int_equal(g->spans, expected[i].spans);
        for (int s = 0; s < g->spans; s++) {
            assert_int_equal(b.plan.spans[g->span + s].row, expected[i].span[s].row);
            assert_int_equal(b.plan.spans[g->span + s].n, expected[i].span[s].n);
        }
    }
}

// Token ids name their place: 1000 * sequence + index, so that a row tells where it comes from.
static void add_random(mg_batch *b, mg_rng *rng) {
    int32_t       tokens[5];
    const int32_t n      = 1 + (int32_t)mg_rng_below(rng, 5);
    const int32_t parent = (int32_t)mg_rng_below(rng, (uint64_t)b->n_sequences + 1) - 1;
    for (int32_t i = 0; i < n; i++) tokens[i] = 1000 * (int32_t)b->n_sequences + i;
    const int32_t s = mg_batch_add(b, tokens, n, parent);
    assert_int_equal(s, b->n_sequences - 1);
}

// The keys of the last query of a group, in order, are the sequence and its ancestors, root first.
static void check_group(const mg_batch *b, const mg_query_group *g) {
    int64_t            i = 0, path[64], depth = 0;
    const mg_key_span *spans = b->plan.spans + g->span;
    int32_t            s     = b->tokens[g->row] / 1000;
    for (; s >= 0; s = b->sequences[s].parent) path[depth++] = s;
    assert_int_equal(g->n, b->sequences[path[0]].n);
    assert_int_equal(g->spans, depth);
    for (int32_t k = 0; k < g->spans; k++)
        for (int64_t row = spans[k].row; row < spans[k].row + spans[k].n; row++) {
            assert_int_equal(b->positions[row], i++);
            assert_int_equal(b->tokens[row] / 1000, path[depth - 1 - k]);
        }
    assert_int_equal(i, b->positions[g->row + g->n - 1] + 1);
}

static void every_plan_names_each_row_once_as_query_and_all_before_it_as_keys(void **state) {
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int round = 0; round < 50; round++) {
        mg_batch b;
        bool     seen[300] = {false}, shared[300][60] = {{false}};
        mg_batch_init(&b, *state, 300, 60);
        while (b.n_sequences < 1 + round) add_random(&b, &rng);
        mg_batch_plan(&b, *state);

        assert_int_equal(b.plan.n_groups, b.n_sequences);
        for (int64_t i = 0; i < b.plan.n_groups; i++) {
            const mg_query_group *g = &b.plan.groups[i];
            check_group(&b, g);
            assert_in_range(g->family, 0, b.plan.n_families - 1);
            if (i > 0) assert_in_range(g->family - b.plan.groups[i - 1].family, 0, 1);
            for (int64_t row = g->row; row < g->row + g->n; row++) {
                assert_false(seen[row]);
                seen[row] = true;
            }
            for (int32_t s = g->span; s < g->span + g->spans; s++)
                shared[b.plan.spans[s].row][g->family] = true;
        }
        // Groups that share a key row have one family, and a family has one root.
        for (int64_t row = 0; row < b.n_tokens; row++) {
            int families = 0;
            assert_true(seen[row]);
            for (int f = 0; f < 60; f++) families += shared[row][f];
            assert_in_range(families, 0, 1);
        }
        int64_t roots = 0;
        for (int64_t s = 0; s < b.n_sequences; s++) roots += b.sequences[s].parent < 0;
        assert_int_equal(b.plan.n_families, roots);
        mg_arena_reset(*state, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_lie_one_after_the_other_and_go_on_where_their_parents_end),
        cmocka_unit_test(groups_come_by_family_and_their_spans_root_first),
        cmocka_unit_test(every_plan_names_each_row_once_as_query_and_all_before_it_as_keys),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
