// Goal:   Philox is the published function, draws depend on their position alone, and the
//         distributions are what they are called.
// Method: Random123's known answers (kat_vectors, philox4x32-10); identities between draws and the
//         bare function; moments within five standard errors, and Pearson's chi-square below its
//         0.999 quantile, with fixed seeds.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static void philox_gives_the_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        mg_philox(kat[i].counter, kat[i].key, out);
        assert_memory_equal(out, kat[i].out, sizeof out);
    }
}

static void a_draw_is_the_function_of_its_position(void **state) {
    (void)state;
    mg_rng r = mg_rng_stream(7, MG_PURPOSE_TEST, 3);
    mg_rng_seek(&r, 11, 22, 33);
    for (uint32_t block = 0; block < 3; block++) {
        uint32_t out[4];
        mg_philox((uint32_t[]){block, 33, 22, 11}, r.key, out);
        for (int i = 0; i < 4; i++) assert_int_equal(mg_rng_u32(&r), out[i]);
    }
}

static void a_stream_begins_at_the_origin(void **state) {
    (void)state;
    mg_rng a = mg_rng_stream(7, MG_PURPOSE_TEST, 3), b = a;
    mg_rng_seek(&b, 0, 0, 0);
    for (int i = 0; i < 9; i++) assert_int_equal(mg_rng_u32(&a), mg_rng_u32(&b));
}

static void what_was_drawn_before_a_seek_has_no_influence(void **state) {
    (void)state;
    mg_rng fresh = mg_rng_stream(1, MG_PURPOSE_SAMPLE, 2);
    mg_rng_seek(&fresh, 4, 5, 6);
    const uint32_t wanted = mg_rng_u32(&fresh);
    for (int drawn = 0; drawn < 9; drawn++) {
        mg_rng used = mg_rng_stream(1, MG_PURPOSE_SAMPLE, 2);
        for (int i = 0; i < drawn; i++) mg_rng_u32(&used);
        mg_rng_seek(&used, 4, 5, 6);
        assert_int_equal(mg_rng_u32(&used), wanted);
    }
}

static void every_coordinate_of_a_draw_matters(void **state) {
    (void)state;
    uint32_t first[9];
    mg_rng   r[9];
    for (int i = 0; i < 4; i++) r[i] = mg_rng_stream(1, MG_PURPOSE_TEST, 2);
    mg_rng_seek(&r[1], 1, 0, 0);
    mg_rng_seek(&r[2], 0, 1, 0);
    mg_rng_seek(&r[3], 0, 0, 1);
    r[4] = mg_rng_stream(2, MG_PURPOSE_TEST, 2);
    r[5] = mg_rng_stream(1 + (1ull << 32), MG_PURPOSE_TEST, 2);
    r[6] = mg_rng_stream(1, MG_PURPOSE_EVAL, 2);
    r[7] = mg_rng_stream(1, MG_PURPOSE_TEST, 3);
    r[8] = mg_rng_stream(1, MG_PURPOSE_TEST, 2 + (1ull << 32));
    for (int i = 0; i < 9; i++) {
        first[i] = mg_rng_u32(&r[i]);
        for (int j = 0; j < i; j++) assert_int_not_equal(first[i], first[j]);
    }
}

static void assert_mean(double sum, int n, double mean, double variance) {
    const double off = fabs(sum / n - mean), standard_error = sqrt(variance / n);
    if (!(off <= 5 * standard_error)) fail_msg("%g off, standard error %g", off, standard_error);
}

static void uniform_has_the_moments_of_the_unit_interval(void **state) {
    (void)state;
    enum { N = 200000 };
    mg_rng r = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    double x = 0, xx = 0, product = 0, last = mg_rng_uniform(&r);
    for (int i = 0; i < N; i++) {
        const double u = mg_rng_uniform(&r);
        assert_true(u >= 0 && u < 1);
        x += u, xx += u * u, product += (u - 0.5) * (last - 0.5), last = u;
    }
    assert_mean(x, N, 1.0 / 2, 1.0 / 12);
    assert_mean(xx, N, 1.0 / 3, 4.0 / 45); // E u^4 - (E u^2)^2 = 1/5 - 1/9
    assert_mean(product, N, 0, 1.0 / 144); // neighbours are uncorrelated
}

static void uniform_takes_its_53_bits_from_two_words(void **state) {
    (void)state;
    mg_rng words = mg_rng_stream(9, MG_PURPOSE_TEST, 0), r = words;
    for (int i = 0; i < 100; i++) {
        const double hi = mg_rng_u32(&words) / 32, lo = mg_rng_u32(&words) / 64;
        assert_true(mg_rng_uniform(&r) == (hi * 67108864 + lo) / 9007199254740992); // 2^26, 2^53
    }
}

static void normal_has_the_moments_of_the_bell(void **state) {
    (void)state;
    enum { N = 200000 };
    mg_rng r   = mg_rng_stream(2, MG_PURPOSE_TEST, 0);
    double sum[5] = {0};
    for (int i = 0; i < N; i++) {
        const double z = mg_rng_normal(&r);
        for (int k = 1; k <= 4; k++) sum[k] += pow(z, k);
    }
    // E z^2k = (2k-1)!!: 1, 3, 15, 105.
    assert_mean(sum[1], N, 0, 1);
    assert_mean(sum[2], N, 1, 3 - 1);
    assert_mean(sum[3], N, 0, 15);
    assert_mean(sum[4], N, 3, 105 - 9);
}

// Pearson 1900: the sum of (observed - expected)^2 / expected.
static double chi_square(const int *count, int cells, int n) {
    const double expected = (double)n / cells;
    double       sum      = 0;
    for (int i = 0; i < cells; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
    return sum;
}

static void below_is_even_over_a_few(void **state) {
    (void)state;
    enum { N = 100000 };
    mg_rng r         = mg_rng_stream(3, MG_PURPOSE_TEST, 0);
    int    count[10] = {0};
    for (int i = 0; i < N; i++) {
        const uint64_t x = mg_rng_below(&r, 10);
        assert_true(x < 10);
        count[x]++;
    }
    assert_true(chi_square(count, 10, N) < 27.88); // 9 degrees of freedom
    assert_int_equal(mg_rng_below(&r, 1), 0);
}

// For n = 3/4 of the range a bare remainder would give the first third half of all draws.
static void below_rejects_the_uneven_tail(void **state) {
    (void)state;
    enum { N = 30000 };
    mg_rng r        = mg_rng_stream(4, MG_PURPOSE_TEST, 0);
    int    count[3] = {0};
    for (int i = 0; i < N; i++) {
        const uint64_t x = mg_rng_below(&r, 3ull << 62);
        assert_true(x < 3ull << 62);
        count[x >> 62]++;
    }
    assert_true(chi_square(count, 3, N) < 13.82); // 2 degrees of freedom
}

static void below_takes_the_high_word_first(void **state) {
    (void)state;
    mg_rng words = mg_rng_stream(5, MG_PURPOSE_TEST, 0), r = words;
    for (int i = 0; i < 10; i++) {
        const uint64_t hi = mg_rng_u32(&words), lo = mg_rng_u32(&words);
        assert_true(mg_rng_below(&r, UINT64_MAX) == (hi << 32) + lo);
    }
}

static void shuffle_makes_every_order_equally_often(void **state) {
    (void)state;
    enum { N = 60000 };
    mg_rng r         = mg_rng_stream(6, MG_PURPOSE_TEST, 0);
    int    count[27] = {0}, orders[6], n = 0;
    for (int i = 0; i < N; i++) {
        int64_t a[3] = {0, 1, 2};
        mg_rng_shuffle(&r, a, 3);
        assert_int_equal(1 << a[0] | 1 << a[1] | 1 << a[2], 7); // a permutation
        count[9 * a[0] + 3 * a[1] + a[2]]++;
    }
    for (int i = 0; i < 27; i++)
        if (count[i]) orders[n++] = count[i];
    assert_int_equal(n, 6);
    assert_true(chi_square(orders, 6, N) < 20.52); // 5 degrees of freedom
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(a_draw_is_the_function_of_its_position),
        cmocka_unit_test(a_stream_begins_at_the_origin),
        cmocka_unit_test(what_was_drawn_before_a_seek_has_no_influence),
        cmocka_unit_test(every_coordinate_of_a_draw_matters),
        cmocka_unit_test(uniform_has_the_moments_of_the_unit_interval),
        cmocka_unit_test(uniform_takes_its_53_bits_from_two_words),
        cmocka_unit_test(normal_has_the_moments_of_the_bell),
        cmocka_unit_test(below_is_even_over_a_few),
        cmocka_unit_test(below_rejects_the_uneven_tail),
        cmocka_unit_test(below_takes_the_high_word_first),
        cmocka_unit_test(shuffle_makes_every_order_equally_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
