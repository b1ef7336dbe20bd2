// Goal:   a token is the one that the next uniform number picks out of the exact distribution, and a
//         logit that is not finite picks none.
// Method: two logits, whose distribution is the literal 1 / (1 + e^x) in long double, with its edge put
//         just above and just below the number drawn; ties; what top-k and top-p leave; logits as far
//         apart as floats go. Distributions of whole vocabularies are generate_test.c's business.
#include "nets/choose.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { VOCAB = 40, DRAWS = 300 }; // two whole lanes of sixteen and a tail

static mg_arena scratch;

static mg_rng draw_at(uint32_t i) {
    mg_rng r = mg_rng_stream(23, MG_PURPOSE_TEST, 0);
    mg_rng_seek(&r, i, 0, 0);
    return r;
}

static double uniform_at(uint32_t i) {
    mg_rng r = draw_at(i);
    return mg_rng_uniform(&r);
}

static int32_t choose(mg_sampling how, const float *z, int64_t n, uint32_t i) {
    const int32_t id = mg_choose(&how, z, n, draw_at(i), &scratch);
    assert_int_equal(mg_arena_mark(&scratch), 0);
    return id;
}

static void two_logits_part_at_the_logistic_function(void **state) {
    (void)state;
    const float logits[] = {0, 0.5f, -0.5f, 3, -3, 10, -20};
    for (size_t k = 0; k < sizeof logits / sizeof *logits; k++) {
        const float       z[]   = {0, logits[k]};
        const long double first = 1 / (1 + expl((long double)logits[k]));
        for (uint32_t i = 0; i < DRAWS; i++)
            assert_int_equal(choose((mg_sampling){.temperature = 1, .top_p = 1}, z, 2, i),
                             uniform_at(i) >= (double)first);
    }
}

// The temperature at which a draw falls on the edge, and a 1e-12th of it to both sides.
static void and_nowhere_else(void **state) {
    (void)state;
    int looked = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        const double u = uniform_at(i);
        if (!((u > 0.02 && u < 0.45) || (u > 0.55 && u < 0.98))) continue;
        const float       z[]  = {0, u < 0.5 ? 1 : -1};
        const long double edge = (long double)z[1] / logl(1 / (long double)u - 1);
        for (int side = -1; side <= 1; side += 2) {
            const double      t     = (double)(edge * (1 + side * 1e-12L));
            const long double first = 1 / (1 + expl((long double)z[1] / t));
            assert_true(fabsl(first - (long double)u) > 1e-15L);
            assert_int_equal(choose((mg_sampling){.temperature = t, .top_p = 1}, z, 2, i),
                             (long double)u >= first);
            looked++;
        }
    }
    assert_true(looked > DRAWS);
}

static void ties_go_to_the_lower_id(void **state) {
    (void)state;
    float z[VOCAB] = {0};
    int   below[2] = {0}, above[2] = {0}; // draws below one half that gave 17, or 5; and above
    z[17] = z[5] = z[39] = 2;
    for (uint32_t i = 0; i < DRAWS; i++) {
        assert_int_equal(choose((mg_sampling){.temperature = 0, .top_p = 1}, z, VOCAB, i), 5);
        assert_int_equal(choose((mg_sampling){.temperature = 1, .top_p = 1, .top_k = 1}, z, VOCAB, i), 5);
        assert_int_equal(choose((mg_sampling){.temperature = 1, .top_p = 1e-9}, z, VOCAB, i), 5);
        // The lower two of three, half of the draws each.
        const int32_t id = choose((mg_sampling){.temperature = 1, .top_p = 1, .top_k = 2}, z, VOCAB, i);
        assert_true(id == 5 || id == 17);
        below[id == 5] += uniform_at(i) < 0.5;
        above[id == 5] += uniform_at(i) >= 0.5;
    }
    assert_true((below[0] == 0 && above[1] == 0) || (below[1] == 0 && above[0] == 0));
    assert_true(below[0] + below[1] > 0 && above[0] + above[1] > 0);
}

static void what_is_not_finite_picks_none(void **state) {
    (void)state;
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int b = 0; b < 4; b++)
        for (int at = 0; at < VOCAB; at++)
            for (int temperature = 0; temperature < 2; temperature++) {
                float z[VOCAB] = {0};
                z[at]          = bad[b];
                assert_int_equal(choose((mg_sampling){.temperature = temperature, .top_p = 1}, z, VOCAB,
                                        1), MG_UNCHOSEN);
                assert_int_equal(choose((mg_sampling){.temperature = temperature, .top_p = 1, .top_k = 3},
                                        z, VOCAB, 1), MG_UNCHOSEN);
            }
}

// exp of such a distance is 0, and nothing is infinite on the way.
static void logits_may_lie_as_far_apart_as_floats_do(void **state) {
    (void)state;
    const double temperatures[] = {1e-3, 1, 1e3};
    for (int t = 0; t < 3; t++)
        for (uint32_t i = 0; i < DRAWS; i++) {
            float z[VOCAB] = {0};
            z[21]          = 1e38f;
            for (int64_t k = 0; k < 3; k++)
                assert_int_equal(choose((mg_sampling){.temperature = temperatures[t], .top_p = 1,
                                                      .top_k = k}, z, VOCAB, i), 21);
            z[21] = 3e38f, z[4] = -3e38f;
            assert_int_equal(choose((mg_sampling){.temperature = temperatures[t], .top_p = 1}, z, VOCAB,
                                    i), 21);
            const float low[] = {-1e38f, 0};
            assert_int_equal(choose((mg_sampling){.temperature = temperatures[t], .top_p = 1}, low, 2, i),
                             1);
        }
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&scratch, "choose", mg_choose_memory(VOCAB));
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_logits_part_at_the_logistic_function),
        cmocka_unit_test(and_nowhere_else),
        cmocka_unit_test(ties_go_to_the_lower_id),
        cmocka_unit_test(what_is_not_finite_picks_none),
        cmocka_unit_test(logits_may_lie_as_far_apart_as_floats_do),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
