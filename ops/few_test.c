// Goal:   a product of few rows has the bits that the library gives the same rows among others, for
//         shapes of every kind, in float and in bfloat16, with and without bias, cut for any team.
// Method: 16 rows and fewer take the loops of few.c, the same rows within 40 take the library; shapes
//         with one and with several sums over k, odd and even, that fill strips or do not. Where the
//         loops' order is known (AVX-512) it is asserted that they were used.
#include "ops/few.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rng.h"
#include "ops/tile.h"

enum { MANY = 40 };

static mg_arena arena;

static mg_tensor random_tensor(int64_t rows, int64_t cols, uint64_t id) {
    mg_rng    r = mg_rng_stream(11, MG_PURPOSE_TEST, id);
    mg_tensor t = {.rows = rows, .cols = cols};
    t.data      = mg_arena_alloc(&arena, sizeof(float) * (size_t)(rows * cols));
    for (int64_t i = 0; i < rows * cols; i++) mg_f32(&t)[i] = (float)mg_rng_normal(&r);
    return t;
}

// Does the compiler fuse multiply and add, as these loops need? It does where it optimises.
static bool fused(void) {
    const float a = 1 + 0x1p-12f, x[2] = {1, a};
    float       B[2 * LANES] = {0}, sums[LANES] = {0};
    B[0] = -(float)((double)a * (double)a), B[LANES] = a;
    mg_tile_multiply(1, LANES, 2, (tile_view){x, 2, 1}, B, LANES, sums, LANES);
    return sums[0] != 0; // what rounding the product would take away
}

// Is it known that the loops have the library's bits?
static bool known(bool bf16) {
#ifdef __AMX_TILE__ // whose products of bfloat16 are summed by tiles
    const bool ordered = !bf16;
#elif defined __AVX512F__
    const bool ordered = true;
#else
    const bool ordered = false;
#endif
    return ordered && (bf16 || fused());
}

static void compare(int64_t K, int64_t N, bool bf16, bool bias, mg_team *team) {
    mg_arena_reset(&arena, 0);
    mg_tensor x = random_tensor(MANY, K, 1), W = random_tensor(N, K, 2), b = random_tensor(N, 1, 3);
    W.bf16      = bf16;
    mg_tape      t    = mg_tape_make(&arena, team, false);
    const float *many = mg_f32(mg_linear(&t, &x, &W, bias ? &b : NULL));
    if (known(bf16)) assert_true(mg_linear_shares_nothing(&W));
    const int64_t counts[] = {1, 2, 3, 5, 16};
    for (size_t i = 0, first = 0; i < sizeof counts / sizeof *counts; first += 3, i++) {
        mg_tensor some = {.rows = counts[i], .cols = K, .data = mg_f32(&x) + (int64_t)first * K};
        const mg_tensor *few = mg_linear(&t, &some, &W, bias ? &b : NULL);
        const float     *wanted = many + (int64_t)first * N;
#ifdef __AVX512F__
        if (memcmp(few->data, wanted, sizeof(float) * (size_t)(counts[i] * N)))
            fail_msg("%s %lldx%lldx%lld: other bits", bf16 ? "bf16" : "f32", (long long)counts[i],
                     (long long)K, (long long)N);
#else
        for (int64_t j = 0; j < counts[i] * N; j++)
            assert_true(fabsf(mg_f32(few)[j] - wanted[j]) <= 1e-5f * sqrtf((float)K));
#endif
    }
    W.version++; // written: the packed copy is no longer W
    assert_false(mg_linear_shares_nothing(&W));
    mg_linear_unpack(&W);
}

static const struct {
    int64_t K, N;
} SHAPES[] = {{1, 1},     {2, 64},   {17, 5},     {64, 64},   {100, 130},  {256, 256}, {511, 65},
              {512, 63},  {513, 70}, {704, 256},  {1024, 33}, {1025, 128}, {1500, 10}, {2049, 65},
              {2816, 40}, {300, 2000}};

static void compare_all(bool bf16) {
    mg_team *team;
    assert_int_equal(mg_team_open(&team, 2), MG_OK);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        for (int bias = 0; bias < 2; bias++)
            compare(SHAPES[i].K, SHAPES[i].N, bf16, bias, i % 2 ? team : NULL);
    mg_team_close(team);
}

static void few_rows_have_the_bits_of_many(void **state) {
    (void)state;
    compare_all(false);
}

static void in_bf16_too(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    compare_all(true);
}

// Looking takes memory and time, which training has no use for.
static void training_does_not_look(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    mg_tensor x = random_tensor(MANY, 640, 1), W = random_tensor(72, 640, 2);
    for (int record = 1; record >= 0; record--) {
        mg_tape t = mg_tape_make(&arena, NULL, record);
        mg_linear(&t, &x, &W, NULL);
        if (record || known(false)) assert_int_equal(mg_linear_shares_nothing(&W), !record);
    }
    mg_linear_unpack(&W);
}

// As on machines where the library wants no strips: 64 columns in rows are a strip but for the zeros
// behind K.
static void rows_are_no_strips(void **state) {
    (void)state;
    const mg_strips s = mg_strips_of(false, true, 17, 64), wide = mg_strips_of(false, true, 32, 80);
    mg_products_begin(NULL);
    assert_false(mg_few_same_bits(&s));
    assert_false(mg_few_same_bits(&wide));
}

// A clock that moves on by a second whenever somebody looks: a product takes as many as its pieces.
static _Atomic int64_t looks;

static double ticking(void) { return (double)++looks; }

static void the_meter_counts_them(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    mg_tensor x = random_tensor(MANY, 512, 1), W = random_tensor(192, 512, 2);
    mg_tape   t = mg_tape_make(&arena, NULL, false);
    mg_linear(&t, &x, &W, NULL);
    x.rows = 4;
    mg_linear_meter(ticking);
    mg_linear(&t, &x, &W, NULL); // a piece is two looks, a second apart
    const bool few = mg_linear_shares_nothing(&W);
    assert_true(mg_linear_metered() == (few ? 3 : 1)); // three strips are a piece each; the library's one
    mg_linear_meter(NULL);
    assert_true(mg_linear_metered() == 0);
    mg_linear_unpack(&W);
}

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "few", 1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_rows_have_the_bits_of_many),
        cmocka_unit_test(in_bf16_too),
        cmocka_unit_test(training_does_not_look),
        cmocka_unit_test(rows_are_no_strips),
        cmocka_unit_test(the_meter_counts_them),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
