// fast_test.c - the vector exponential against the C library's, and the small products.
#include "ops/fast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"
#include "ops/tile.h"

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// The distance of y from exp(x), in units of the last place of a float of that size.
static double error_ulp(float x, float y) {
    const double want = exp((double)x);
    int          exponent;
    frexp(want, &exponent);
    const double unit = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
    return fabs((double)y - want) / unit;
}

// Every 97th float between -104 and 88.72, in a lane that changes.
static void test_exp_accuracy(void **state) {
    (void)state;
    double   worst = 0;
    int64_t  n = 0;
    uint32_t ranges[2][2] = {{0x00000000u, 0x42b17217u}, {0x80000000u, 0xc2d00000u}};
    for (int r = 0; r < 2; r++)
        for (uint32_t bits = ranges[r][0]; bits < ranges[r][1]; bits += 97 * LANES) {
            lanes x, y;
            for (int l = 0; l < LANES; l++) x[l] = float_of_bits(bits + 97 * (uint32_t)l);
            y = lanes_exp(x);
            for (int l = 0; l < LANES; l++, n++) {
                if (x[l] > 0x1.62e42ep6f) continue; // the last float whose exp is finite
                double error = error_ulp(x[l], y[l]);
                if (!(error <= worst)) worst = error;
            }
        }
    print_message("exp: %lld values, worst error %.3f ulp\n", (long long)n, worst);
    assert_true(worst <= 1.01);
}

static void test_exp_ends(void **state) {
    (void)state;
    lanes x = {0};
    x[0] = -INFINITY, x[1] = INFINITY, x[2] = NAN, x[3] = -0.0f, x[4] = 0x1.62e42ep6f, x[5] = 89;
    x[6] = -103.0f, x[7] = -1e30f, x[8] = 1e30f, x[9] = 1;
    lanes y = lanes_exp(x);
    assert_true(y[0] == 0);
    assert_true(isinf(y[1]) && y[1] > 0);
    assert_true(isnan(y[2]));
    assert_true(y[3] == 1);
    assert_true(isfinite(y[4]));
    assert_true(isinf(y[5]));
    assert_true(y[6] > 0 && y[6] < 1e-44f); // a denormal
    assert_true(y[7] == 0);
    assert_true(isinf(y[8]));
    assert_true(y[9] == 2.7182818f);
}

static void test_exp_same_bits_in_every_lane(void **state) {
    (void)state;
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int n = 0; n < 1000; n++) {
        float x    = (float)(10 * mg_rng_normal(&rng));
        lanes all  = lanes_exp(lanes_of(x));
        lanes tail = lanes_exp(lanes_load(&x, 1));
        for (int l = 0; l < LANES; l++)
            assert_memory_equal((float[]){all[l]}, (float[]){tail[0]}, sizeof(float));
    }
}

static void test_tails(void **state) {
    (void)state;
    const float from[LANES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    float       to[LANES]   = {0};

    lanes three = lanes_load(from, 3);
    assert_true(lanes_sum(three) == 6);
    assert_true(lanes_sum(lanes_load(from, LANES)) == 136);
    assert_true(lanes_largest(lanes_load(from, 5)) == 5);
    lanes_store(to, 2, three);
    assert_true(to[0] == 1 && to[1] == 2 && to[2] == 0);
    lanes_add_to(to, 3, three);
    assert_true(to[0] == 2 && to[1] == 4 && to[2] == 3 && to[3] == 0);
}

// Small integers: every product and sum is exact, so the order does not matter here.
static void test_multiply(void **state) {
    (void)state;
    enum { M_MAX = 9, N_MAX = 144, K_MAX = 21, GAP = 16 };
    static float A[K_MAX * M_MAX], B[K_MAX * (N_MAX + GAP)], C[M_MAX * (N_MAX + GAP)];
    mg_rng       rng = mg_rng_stream(2, MG_PURPOSE_TEST, 0);

    for (int64_t M = 1; M <= M_MAX; M++)
        for (int64_t N = LANES; N <= N_MAX; N += LANES)
            for (int by_columns = 0; by_columns < 2; by_columns++) {
                const int64_t   K = 1 + (M * 7 + N) % K_MAX, stride = N + GAP;
                const tile_view view = by_columns ? (tile_view){A, 1, M} : (tile_view){A, K, 1};
                for (int64_t i = 0; i < M * K; i++) A[i] = (float)mg_rng_below(&rng, 9) - 4;
                for (int64_t i = 0; i < K * stride; i++) B[i] = (float)mg_rng_below(&rng, 9) - 4;
                for (int64_t i = 0; i < M * stride; i++) C[i] = 100;
                mg_tile_multiply(M, N, K, view, B, stride, C, stride);
                for (int64_t i = 0; i < M; i++)
                    for (int64_t j = 0; j < stride; j++) {
                        float want = 100;
                        for (int64_t k = 0; k < K && j < N; k++)
                            want += A[i * view.row + k * view.col] * B[k * stride + j];
                        assert_true(C[i * stride + j] == want);
                    }
            }
}

static void test_transpose(void **state) {
    (void)state;
    enum { ROWS = 48, COLS = 32 };
    static float from[ROWS * COLS], to[COLS * ROWS];
    for (int i = 0; i < ROWS * COLS; i++) from[i] = (float)i;
    mg_tile_transpose(ROWS, COLS, from, to);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) assert_true(to[j * ROWS + i] == (float)(i * COLS + j));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_accuracy), cmocka_unit_test(test_exp_ends),
        cmocka_unit_test(test_exp_same_bits_in_every_lane), cmocka_unit_test(test_tails),
        cmocka_unit_test(test_multiply), cmocka_unit_test(test_transpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
