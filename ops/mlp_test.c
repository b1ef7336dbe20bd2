// Goal:   perceptrons of any shape, in float and in bfloat16, with any number of threads, are the naive path's, and
//         a row is what it is alone.
// Method: with few weights per neuron, all of them small integers, every sum is exact and every rounding of it
//         is the same, so the paths must agree in all numbers. Shapes, constants and beginnings of gradients are drawn.
//         With tanh and normal weights they agree within what float loses.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "ops/level.h"
#include "ops/ops.h"

enum { LAYERS_MAX = 5, NETS_MAX = 3, ALL_MAX = LAYERS_MAX * NETS_MAX, THREADS_MAX = 3 };

static mg_arena arena;
static mg_team *teams[1 + THREADS_MAX];

static int setup(void **state) {
    (void)state;
    for (int n = 2; n <= THREADS_MAX; n++)
        if (mg_team_open(&teams[n], n)) return 1;
    return mg_arena_init(&arena, "mlp test", (size_t)1 << 31);
}

static int teardown(void **state) {
    (void)state;
    for (int n = 2; n <= THREADS_MAX; n++) mg_team_close(teams[n]);
    mg_arena_release(&arena);
    return 0;
}

typedef struct net {
    mg_tensor          x;
    mg_mlp_layer       layers[ALL_MAX];
    int64_t            n_layers, n_nets;
    mg_activation_kind hidden;
} net;

// About `some` integers of -2 .. 2 in each row of `cols`, zeros else; `some` 0: normal numbers of the size of a
// weight.
static void fill(mg_rng *rng, float *to, int64_t n, int64_t cols, int64_t some) {
    for (int64_t i = 0; i < n; i++)
        if (some == 0)
            to[i] = (float)(mg_rng_normal(rng) / sqrt((double)cols));
        else
            to[i] = (int64_t)mg_rng_below(rng, (uint64_t)cols) < some ? (float)mg_rng_below(rng, 5) - 2 : 0;
}

// One in four has no gradient, others' begin at 1.
static mg_tensor tensor_of(mg_rng *rng, int64_t rows, int64_t cols, int64_t some, bool bf16) {
    mg_tensor t = {.rows = rows, .cols = cols, .bf16 = bf16, .data = MG_NEW(&arena, float, rows * cols)};
    fill(rng, t.data, rows * cols, cols, some);
    if (mg_rng_below(rng, 4) > 0) {
        t.grad = MG_NEW(&arena, float, rows * cols);
        for (int64_t i = 0; i < rows * cols; i++) ((float *)t.grad)[i] = 1;
    }
    return t;
}

static net net_of(mg_rng *rng, bool exact, bool bf16, int64_t rows, int64_t widest) {
    net     n = {.n_layers = 1 + (int64_t)mg_rng_below(rng, LAYERS_MAX),
                 .n_nets = 1 + (int64_t)mg_rng_below(rng, NETS_MAX), .hidden = exact ? MG_RELU : MG_TANH};
    int64_t width[1 + LAYERS_MAX];
    for (int64_t l = 0; l <= n.n_layers; l++)
        width[l] = 1 + (int64_t)mg_rng_below(rng, mg_rng_below(rng, 2) ? 4 : (uint64_t)widest);
    n.x = tensor_of(rng, rows, width[0], exact ? width[0] : 0, false);
    for (int64_t k = 0; k < n.n_nets * n.n_layers; k++) {
        const int64_t in = width[k % n.n_layers], out = width[k % n.n_layers + 1];
        n.layers[k] = (mg_mlp_layer){MG_NEW(&arena, mg_tensor, 1), MG_NEW(&arena, mg_tensor, 1)};
        *n.layers[k].W = tensor_of(rng, out, in, exact ? 3 : 0, bf16);
        *n.layers[k].b = tensor_of(rng, out, 1, exact ? 1 : 0, false);
    }
    return n;
}

static float *copied(const void *from, int64_t n) {
    return from ? memcpy(MG_NEW(&arena, float, n), from, sizeof(float) * (size_t)n) : NULL;
}

// Its own gradients and packed copies.
static net twin_of(const net *n) {
    net t    = *n;
    t.x.grad = copied(n->x.grad, mg_tensor_count(&n->x));
    for (int64_t k = 0; k < n->n_nets * n->n_layers; k++)
        for (int b = 0; b < 2; b++) {
            mg_tensor **at = b ? &t.layers[k].b : &t.layers[k].W, *copy = MG_NEW(&arena, mg_tensor, 1);
            *copy      = **at;
            copy->grad = copied(copy->grad, mg_tensor_count(copy));
            *at        = copy;
        }
    return t;
}

// y; gradients are added to the net's.
static const float *run(net *n, bool naive, mg_team *team) {
    mg_tape tape = mg_tape_make(&arena, team, true);
    tape.naive   = naive;
    mg_tensor *x = n->n_layers % 2 ? &n->x : mg_activation(&tape, &n->x, MG_RELU); // whose gradient begins here
    mg_tensor *y = mg_mlp(&tape, x, n->layers, n->n_layers, n->n_nets, n->hidden);
    for (int64_t i = 0; i < mg_tensor_count(y); i++) mg_grad_f32(y)[i] = (float)(i * 7 % 5 - 2);
    mg_tape_backward(&tape);
    for (int64_t k = 0; k < n->n_nets * n->n_layers; k++) mg_linear_unpack(n->layers[k].W);
    return mg_f32(y);
}

// Within tolerance times the largest.
static void same(const char *what, int which, const float *got, const float *want, int64_t n, double tolerance) {
    double largest = 1;
    assert_int_equal(got == NULL, want == NULL);
    for (int64_t i = 0; got && i < n; i++) largest = fmax(largest, fabs((double)want[i]));
    for (int64_t i = 0; got && i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance * largest))
            fail_msg("net %d, %s, number %lld: %.9g, wanted %.9g", which, what, (long long)i, (double)got[i],
                     (double)want[i]);
}

static void compare(int which, const net *got, const float *y, const net *want, const float *wanted_y,
                    double tolerance) {
    const int64_t last = got->layers[got->n_layers - 1].W->rows;
    same("y", which, y, wanted_y, got->x.rows * got->n_nets * last, tolerance);
    same("dx", which, got->x.grad, want->x.grad, mg_tensor_count(&got->x), tolerance);
    for (int64_t k = 0; k < got->n_nets * got->n_layers; k++) {
        const mg_mlp_layer *g = &got->layers[k], *w = &want->layers[k];
        same("dW", which, g->W->grad, w->W->grad, mg_tensor_count(w->W), tolerance);
        same("db", which, g->b->grad, w->b->grad, mg_tensor_count(w->b), tolerance);
    }
}

static void shapes_at_random(bool exact, bool bf16, int nets, double tolerance) {
    static const int64_t rows[] = {0, 1, 2, 7, 8, 63, 64, 65, 256, 513, 600};
    mg_rng rng = mg_rng_stream(31, MG_PURPOSE_TEST, (uint64_t)(2 * exact + bf16));
    for (int i = 0; i < nets; i++) {
        mg_arena_reset(&arena, 0);
        const int64_t n  = rows[i % (int)(sizeof rows / sizeof *rows)];
        net           at = net_of(&rng, exact, bf16, n, n > 256 ? 100 : 300), naive = twin_of(&at);
        const float  *want = run(&naive, true, NULL);
        for (int threads = 1; threads <= THREADS_MAX; threads++) {
            net          fast = twin_of(&at);
            const float *y    = run(&fast, false, teams[threads]);
            compare(i, &fast, y, &naive, want, tolerance);
        }
    }
}

static void exact_sums_are_equal(void **state) {
    (void)state;
    shapes_at_random(true, false, 66, 0);
}

static void exact_sums_of_rounded_factors_are_equal(void **state) {
    (void)state;
    if (mg_linear_has_bf16()) shapes_at_random(true, true, 66, 0);
}

static void others_are_near(void **state) {
    (void)state;
    shapes_at_random(false, false, 33, 1e-5);
}

// Rows alone, in a batch, with backward or without: where they are kept differs, not what they are.
static void a_row_is_what_it_is_alone(void **state) {
    (void)state;
    for (int bf16 = 0; bf16 <= mg_linear_has_bf16(); bf16++) {
        mg_rng rng = mg_rng_stream(32, MG_PURPOSE_TEST, (uint64_t)bf16);
        for (int i = 0; i < 30; i++) {
            mg_arena_reset(&arena, 0);
            net        all  = net_of(&rng, false, bf16, 130, 300);
            mg_tape    kept = mg_tape_make(&arena, NULL, true), tape = mg_tape_make(&arena, teams[2], false);
            mg_tensor *y    = mg_mlp(&kept, &all.x, all.layers, all.n_layers, all.n_nets, all.hidden);
            for (int64_t n = 1; n <= 130; n = 3 * n + 1) {
                mg_tensor x = {.rows = n, .cols = all.x.cols, .data = mg_f32(&all.x) + (130 - n) * all.x.cols};
                assert_memory_equal(mg_f32(mg_mlp(&tape, &x, all.layers, all.n_layers, all.n_nets, all.hidden)),
                                    mg_f32(y) + (130 - n) * y->cols, sizeof(float) * (size_t)(n * y->cols));
            }
            for (int64_t k = 0; k < all.n_nets * all.n_layers; k++) mg_linear_unpack(all.layers[k].W);
        }
    }
}

// A weight that was written is packed again, for both directions.
static void written_weights_count(void **state) {
    (void)state;
    mg_arena_reset(&arena, 0);
    float        w[2] = {1, 1}, b[1] = {0}, dw[2] = {0}, db[1] = {0}, x[2] = {3, 4}, dx[2] = {0, 0};
    mg_tensor    W = {.rows = 1, .cols = 2, .data = w, .grad = dw}, B = {.rows = 1, .cols = 1, .data = b, .grad = db};
    mg_tensor    X     = {.rows = 1, .cols = 2, .data = x, .grad = dx};
    mg_mlp_layer layer = {&W, &B};
    for (int version = 1; version < 4; version++) {
        mg_tape tape = mg_tape_make(&arena, NULL, true);
        w[1]         = (float)version, dx[1] = 0;
        W.version++;
        mg_tensor *y = mg_mlp(&tape, &X, &layer, 1, 1, MG_RELU);
        assert_true(mg_f32(y)[0] == (float)(3 + 4 * version));
        mg_grad_f32(y)[0] = 10;
        mg_tape_backward(&tape);
        assert_true(dx[1] == (float)(10 * version));
    }
    mg_linear_unpack(&W);
}

// Where the floats are not kept, a slope reads them back from the pairs: numbers of eight bits, the last one set.
static void what_pairs_hold_is_read_back(void **state) {
    (void)state;
    const mg_level l = mg_level_in(mg_arena_alloc(&arena, mg_level_size(true, MG_LEVEL_DOWN, 4, 64)), true,
                                   MG_LEVEL_DOWN, 4, 64);
    mg_level_part x;
    for (int r = 0; r < 2; r++)
        for (int v = 0; v < 2; v++)
            for (int k = 0; k < LANES; k++) x.of[r][v][k] = (float)(129 + 2 * (32 * r + LANES * v + k)) * (k % 3 - 1);
    mg_level_put(l, 2, 32, x);
    const mg_level_part back = mg_level_get(l, 2, 32);
    assert_null(l.values);
    assert_memory_equal(back.of, x.of, sizeof x.of);
}

// tanh(2)^2 of 8 bits would be .931, and the slope .069. What goes on is rounded to 8 bits, so to one part in 256.
static void a_slope_of_tanh_is_of_the_exact_number(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    float        w[2] = {1, 1}, b[2] = {0}, dw[2] = {0}, x = 2, dx = 0;
    mg_tensor    W[2], B[2], X = {.rows = 1, .cols = 1, .data = &x, .grad = &dx};
    mg_mlp_layer layers[2];
    for (int l = 0; l < 2; l++) {
        W[l]      = (mg_tensor){.rows = 1, .cols = 1, .bf16 = true, .data = w + l, .grad = dw + l};
        B[l]      = (mg_tensor){.rows = 1, .cols = 1, .data = b + l};
        layers[l] = (mg_mlp_layer){&W[l], &B[l]};
    }
    mg_tape    tape = mg_tape_make(&arena, NULL, true);
    mg_tensor *y    = mg_mlp(&tape, &X, layers, 2, 1, MG_TANH);
    mg_grad_f32(y)[0] = 1;
    mg_tape_backward(&tape);
    const double slope = 1 - tanh(2) * tanh(2); // .0707
    assert_true(fabs((double)dx - slope) <= slope / 256);
    for (int l = 0; l < 2; l++) mg_linear_unpack(&W[l]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums_are_equal),      cmocka_unit_test(exact_sums_of_rounded_factors_are_equal),
        cmocka_unit_test(others_are_near),           cmocka_unit_test(a_row_is_what_it_is_alone),
        cmocka_unit_test(written_weights_count),     cmocka_unit_test(what_pairs_hold_is_read_back),
        cmocka_unit_test(a_slope_of_tanh_is_of_the_exact_number),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
