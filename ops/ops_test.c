// ops_test.c - every operation, by one table of cases.
//
//   literals   values worked out by hand, on all three paths
//   gradients  backward against central differences, in double
//   paths      the fast path and the naive one in float against the naive one in double
//   threads    the fast path with 1, 2 and 3 threads: same bits
//   rows       a row alone against the row in its batch: same bits
//
// Products of bfloat16 are cases like others, where the processor has them; there the naive path in
// float, which rounds the same factors, is the truth. Long, because the cases of all operations go through the same
// five checks: apart, each would need them again.
#include "ops/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

enum { INPUTS_MAX = 20, ARENA_SIZE = 1 << 30 };

typedef enum path { FAST, NAIVE, DOUBLE } path;

// ---- What the cases share: indices, targets, positions, frequencies, plans

enum { AUX = 4096 };
static int32_t scattered[AUX]; // 0..4, with repetitions
static int32_t targets[AUX];   // 0..1
static int32_t ascending[AUX]; // 7, 8, ...
static int32_t distant[AUX];   // positions far apart
static float   actions[AUX];   // N(0, 1)
static double  frequency[64];
static float   normals[AUX];   // of N(0, 1)

static mg_query_group    plan_groups[64];
static mg_key_span       plan_spans[256];
static mg_attention_plan sequence, tree, cached, large_tree, large_cached;
static int64_t           groups_used, spans_used;

// A training plan from lengths and parents (-1: none); siblings and chains come in order.
static mg_attention_plan plan_of(int n, const int64_t *lengths, const int *parents) {
    mg_attention_plan plan = {.groups = plan_groups + groups_used, .spans = plan_spans,
                              .n_groups = n};
    int64_t           rows[64], row = 0;
    for (int i = 0; i < n; i++) {
        mg_query_group *group = &plan_groups[groups_used++];
        int             chain[8], depth = 0;
        rows[i] = row;
        row += lengths[i];
        for (int a = i; a >= 0; a = parents[a]) chain[depth++] = a;
        if (parents[i] < 0) plan.n_families++;
        *group = (mg_query_group){.row = rows[i], .n = lengths[i], .span = (int32_t)spans_used,
                                  .spans = depth, .family = (int32_t)plan.n_families - 1};
        while (depth-- > 0)
            plan_spans[spans_used++] = (mg_key_span){rows[chain[depth]], lengths[chain[depth]]};
    }
    return plan;
}

// A decoding plan: n queries, query i with the cache's rows [0, shared), then own rows, one by one.
static mg_attention_plan cached_plan(int n, int64_t shared, int64_t own) {
    mg_attention_plan plan = {.groups = plan_groups + groups_used, .spans = plan_spans,
                              .n_groups = n, .n_families = 1};
    for (int i = 0; i < n; i++) {
        plan_groups[groups_used++] = (mg_query_group){
            .row = i, .n = 1, .span = (int32_t)spans_used, .spans = (int32_t)(1 + own)};
        plan_spans[spans_used++] = (mg_key_span){0, shared};
        for (int64_t j = 0; j < own; j++)
            plan_spans[spans_used++] = (mg_key_span){shared + j * n + i, 1};
    }
    return plan;
}

static void make_shared(void) {
    mg_rng rng = mg_rng_stream(3, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < AUX; i++) {
        scattered[i] = (int32_t)mg_rng_below(&rng, 5);
        targets[i]   = (int32_t)mg_rng_below(&rng, 2);
        ascending[i] = 7 + i;
        distant[i]   = (int32_t)mg_rng_below(&rng, 100000);
        normals[i]   = (float)(1.5 * sin(1.0 + 2.3 * i));
    }
    for (int i = 0; i < AUX; i++) actions[i] = (float)mg_rng_normal(&rng);
    for (int j = 0; j < 64; j++) frequency[j] = pow(10000, -j / 16.0);
    sequence     = plan_of(1, (int64_t[]){5}, (int[]){-1});
    tree         = plan_of(5, (int64_t[]){3, 2, 1, 2, 4}, (int[]){-1, 0, 1, 0, -1});
    cached       = cached_plan(3, 2, 2);
    large_tree   = plan_of(6, (int64_t[]){100, 40, 33, 3, 70, 1}, (int[]){-1, 0, 0, 2, -1, -1});
    large_cached = cached_plan(20, 37, 5);
}

// ---- The table

typedef mg_tensor *apply_fn(mg_tape *t, mg_tensor **in, int64_t row);

static mg_tensor *linear(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_linear(t, in[0], in[1], in[2]);
}
static mg_tensor *embedding(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_embedding(t, in[0], scattered, 2 * in[0]->rows);
}
static mg_tensor *rows(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_rows(t, in[0], scattered, 900);
}
static mg_tensor *add(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_add(t, in[0], in[1]);
}
static mg_tensor *add_itself(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_add(t, in[0], mg_add(t, in[0], in[0]));
}
static mg_tensor *rmsnorm(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_rmsnorm(t, in[0], in[1], 1e-3);
}
static mg_tensor *rope_4(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_rope(t, in[0], 4, ascending + row, frequency);
}
static mg_tensor *rope_distant(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_rope(t, in[0], in[0]->cols / 2, distant + row, frequency);
}
static mg_tensor *rope_64(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_rope(t, in[0], 64, scattered + row, frequency);
}
static mg_tensor *swiglu(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_swiglu(t, in[0], in[1]);
}
static mg_tensor *relu(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_activation(t, in[0], MG_RELU);
}
static mg_tensor *tanh_(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_activation(t, in[0], MG_TANH);
}
// in[1 + 2k], in[2 + 2k]: weight and bias of layer k of all nets, one after the other.
static mg_tensor *mlp_of(mg_tape *t, mg_tensor **in, int64_t n_layers, int64_t n_nets, mg_activation_kind hidden) {
    mg_mlp_layer *layers = MG_NEW(t->arena, mg_mlp_layer, n_layers * n_nets);
    for (int64_t k = 0; k < n_layers * n_nets; k++) layers[k] = (mg_mlp_layer){in[1 + 2 * k], in[2 + 2 * k]};
    return mg_mlp(t, in[0], layers, n_layers, n_nets, hidden);
}
static mg_tensor *mlp_1(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mlp_of(t, in, 1, 1, MG_RELU);
}
static mg_tensor *mlp_3(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mlp_of(t, in, 3, 1, MG_TANH);
}
static mg_tensor *mlp_3_twice(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mlp_of(t, in, 3, 2, MG_RELU);
}
static mg_tensor *mlp_2_thrice(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mlp_of(t, in, 2, 3, MG_TANH);
}
static mg_tensor *concat(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_concat(t, in[0], in[1], in[1]->cols - 1);
}
static mg_tensor *squash(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_squash(t, in[0], normals + row * (in[0]->cols / 2), -1, 1); // some are clamped
}
static mg_tensor *token_logp(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_token_logp(t, in[0], targets + row, 1, NULL);
}
static mg_tensor *token_logp_warm(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_token_logp(t, in[0], targets + row, 0.7, NULL);
}
static mg_tensor *gaussian_logp(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_gaussian_logp(t, in[0], in[1], actions + row * in[0]->cols);
}
static mg_tensor *linear_logp(mg_tape *t, mg_tensor **in, int64_t row) {
    return mg_linear_logp(t, in[0], in[1], targets + row, 0.7, NULL);
}
static mg_tensor *attention_sequence_2(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 2, 2, &sequence);
}
static mg_tensor *attention_tree_4_on_2(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 4, 2, &tree);
}
static mg_tensor *attention_cached_3_on_1(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 3, 1, &cached);
}
static mg_tensor *attention_large_tree_2(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 2, 2, &large_tree);
}
static mg_tensor *attention_large_tree_6_on_2(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 6, 2, &large_tree);
}
static mg_tensor *attention_large_cached_4_on_1(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    return mg_attention(t, in[0], in[1], in[2], 4, 1, &large_cached);
}

// Two layers of a transformer with tied embedding over `tree`. in[0] embedding, in[1] last gain;
// then of each layer: gain, q, k, v, o, gain, gate, up, down.
static mg_tensor *network(mg_tape *t, mg_tensor **in, int64_t row) {
    (void)row;
    const int64_t h = in[3]->rows / 2;
    mg_tensor    *x = mg_embedding(t, in[0], scattered, 12);
    for (mg_tensor **w = in + 2; w < in + 20; w += 9) {
        mg_tensor *n = mg_rmsnorm(t, x, w[0], 1e-5);
        mg_tensor *q = mg_rope(t, mg_linear(t, n, w[1], NULL), h, ascending, frequency);
        mg_tensor *k = mg_rope(t, mg_linear(t, n, w[2], NULL), h, ascending, frequency);
        mg_tensor *y = mg_attention(t, q, k, mg_linear(t, n, w[3], NULL), 2, 1, &tree);
        x            = mg_add(t, x, mg_linear(t, y, w[4], NULL));
        n            = mg_rmsnorm(t, x, w[5], 1e-5);
        y            = mg_swiglu(t, mg_linear(t, n, w[6], NULL), mg_linear(t, n, w[7], NULL));
        x            = mg_add(t, x, mg_linear(t, y, w[8], NULL));
    }
    mg_tensor *z = mg_linear(t, mg_rmsnorm(t, x, in[1], 1e-5), in[0], NULL);
    return mg_token_logp(t, mg_rows(t, z, scattered, 12), targets, 1, NULL);
}

typedef struct shape {
    int64_t rows, cols;
} shape;

typedef struct op_case {
    const char *name;
    apply_fn   *apply;
    shape       in[INPUTS_MAX];
    int         by_row; // how many of the first inputs have a row per row of the result
    int64_t     sum;    // the longest sum behind a result: what float may lose grows with it
    bool        bf16;   // in[1] is a weight whose products round to bfloat16
} op_case;

// Small enough for central differences.
static const op_case small_cases[] = {
    {"linear 5x7x3", linear, {{5, 7}, {3, 7}, {3, 1}}, 1, 7},
    {"linear 1x33x1", linear, {{1, 33}, {1, 33}}, 1, 33},
    {"linear 34x5x18", linear, {{34, 5}, {18, 5}, {18, 1}}, 1, 34},
    {"embedding 6x5", embedding, {{6, 5}}, 0, 12},
    {"rows 5x3", rows, {{5, 3}}, 0, 900},
    {"add 3x5", add, {{3, 5}, {3, 5}}, 2, 1},
    {"add itself 1x3", add_itself, {{1, 3}}, 1, 3},
    {"rmsnorm 5x7", rmsnorm, {{5, 7}, {7, 1}}, 1, 7},
    {"rmsnorm 1x33", rmsnorm, {{1, 33}, {33, 1}}, 1, 33},
    {"rope 5x12", rope_4, {{5, 12}}, 1, 2},
    {"rope 1x4", rope_4, {{1, 4}}, 1, 2},
    {"rope distant 4x20", rope_distant, {{4, 20}}, 1, 2},
    {"swiglu 3x7", swiglu, {{3, 7}, {3, 7}}, 2, 4},
    {"swiglu 1x1", swiglu, {{1, 1}, {1, 1}}, 2, 4},
    {"relu 3x7", relu, {{3, 7}}, 1, 1},
    {"tanh 3x7", tanh_, {{3, 7}}, 1, 4},
    {"mlp 5x7x3", mlp_1, {{5, 7}, {3, 7}, {3, 1}}, 1, 7},
    {"mlp 3x2x4x5x1, tanh", mlp_3, {{3, 2}, {4, 2}, {4, 1}, {5, 4}, {5, 1}, {1, 5}, {1, 1}}, 1, 40},
    {"mlp 5x3x4x5x2, two nets", mlp_3_twice,
     {{5, 3}, {4, 3}, {4, 1}, {5, 4}, {5, 1}, {2, 5}, {2, 1}, {4, 3}, {4, 1}, {5, 4}, {5, 1}, {2, 5}, {2, 1}}, 1, 60},
    {"mlp 1x3x17x3, three nets", mlp_2_thrice,
     {{1, 3}, {17, 3}, {17, 1}, {3, 17}, {3, 1}, {17, 3}, {17, 1}, {3, 17}, {3, 1}, {17, 3}, {17, 1}, {3, 17}, {3, 1}},
     1, 60},
    {"concat 3x2, 4 of 5", concat, {{3, 2}, {3, 5}}, 2, 1},
    {"squash 5x6", squash, {{5, 6}}, 1, 12},
    {"squash 1x2", squash, {{1, 2}}, 1, 6},
    {"token_logp 5x7", token_logp, {{5, 7}}, 1, 7},
    {"token_logp 1x2", token_logp, {{1, 2}}, 1, 2},
    {"token_logp 3x33 warm", token_logp_warm, {{3, 33}}, 1, 33},
    {"gaussian_logp 5x3", gaussian_logp, {{5, 3}, {3, 1}}, 1, 12},
    {"gaussian_logp 1x33", gaussian_logp, {{1, 33}, {33, 1}}, 1, 66},
    {"linear_logp 5x7x3", linear_logp, {{5, 7}, {3, 7}}, 1, 21},
    {"linear_logp 33x2x5", linear_logp, {{33, 2}, {5, 2}}, 1, 33},
    {"attention sequence, 2 heads of 3", attention_sequence_2, {{5, 6}, {5, 6}, {5, 6}}, 0, 15},
    {"attention tree, 4 heads on 2", attention_tree_4_on_2, {{12, 12}, {12, 6}, {12, 6}}, 0, 60},
    {"attention cached, 3 heads on 1", attention_cached_3_on_1, {{3, 15}, {8, 5}, {8, 5}}, 0, 20},
    {"network", network,
     {{11, 6}, {6, 1},
      {6, 1}, {8, 6}, {4, 6}, {4, 6}, {6, 8}, {6, 1}, {5, 6}, {5, 6}, {6, 5},
      {6, 1}, {8, 6}, {4, 6}, {4, 6}, {6, 8}, {6, 1}, {5, 6}, {5, 6}, {6, 5}}, 0, 200},
};

// Several pieces of work, several slices of 512 rows, ragged ends.
static const op_case large_cases[] = {
    {"linear 700x96x130", linear, {{700, 96}, {130, 96}, {130, 1}}, 1, 700},
    {"linear 700x96x200", linear, {{700, 96}, {200, 96}}, 1, 700}, // pieces of the same shape
    {"linear 1100x17x1", linear, {{1100, 17}, {1, 17}, {1, 1}}, 1, 1100},
    {"linear 64x192x512", linear, {{64, 192}, {512, 192}}, 1, 512},
    {"linear 1040x640x64", linear, {{1040, 640}, {64, 640}, {64, 1}}, 1, 1040},
    {"bf16 linear 5x7x3", linear, {{5, 7}, {3, 7}, {3, 1}}, 1, 7, true},
    {"bf16 linear 1x33x1", linear, {{1, 33}, {1, 33}}, 1, 33, true},
    {"bf16 linear 34x5x18", linear, {{34, 5}, {18, 5}, {18, 1}}, 1, 34, true},
    {"bf16 linear 700x96x130", linear, {{700, 96}, {130, 96}, {130, 1}}, 1, 700, true},
    {"bf16 linear 1100x17x1", linear, {{1100, 17}, {1, 17}, {1, 1}}, 1, 1100, true},
    {"bf16 linear 64x192x512", linear, {{64, 192}, {512, 192}}, 1, 512, true},
    {"bf16 linear 1041x640x65", linear, {{1041, 640}, {65, 640}, {65, 1}}, 1, 1041, true},
    {"rows 300x70", rows, {{300, 70}}, 0, 300},
    {"add 200x300", add, {{200, 300}, {200, 300}}, 2, 1},
    {"rmsnorm 1030x100", rmsnorm, {{1030, 100}, {100, 1}}, 1, 1030},
    {"rmsnorm 3x20000", rmsnorm, {{3, 20000}, {20000, 1}}, 1, 20000},
    {"rope 300x128", rope_64, {{300, 128}}, 1, 2},
    {"rope distant 600x80", rope_distant, {{600, 80}}, 1, 2},
    {"swiglu 200x301", swiglu, {{200, 301}, {200, 301}}, 2, 4},
    {"relu 200x301", relu, {{200, 301}}, 1, 1},
    {"tanh 200x301", tanh_, {{200, 301}}, 1, 4},
    {"mlp 600x11x256x256x3", mlp_3, {{600, 11}, {256, 11}, {256, 1}, {256, 256}, {256, 1}, {3, 256}, {3, 1}}, 1, 2000},
    {"mlp 257x14x100x33x1, two nets", mlp_3_twice,
     {{257, 14}, {100, 14}, {100, 1}, {33, 100}, {33, 1}, {1, 33}, {1, 1},
      {100, 14}, {100, 1}, {33, 100}, {33, 1}, {1, 33}, {1, 1}}, 1, 1000},
    {"bf16 mlp 5x7x3", mlp_1, {{5, 7}, {3, 7}, {3, 1}}, 1, 7, true},
    {"bf16 mlp 1039x33x70", mlp_1, {{1039, 33}, {70, 33}, {70, 1}}, 1, 1039, true},
    {"concat 700x11, 3 of 4", concat, {{700, 11}, {700, 4}}, 2, 1},
    {"squash 600x12", squash, {{600, 12}}, 1, 60},
    {"token_logp 40x3001", token_logp_warm, {{40, 3001}}, 1, 3001},
    {"token_logp 3x40000", token_logp, {{3, 40000}}, 1, 40000},
    {"gaussian_logp 1100x3", gaussian_logp, {{1100, 3}, {3, 1}}, 1, 1100},
    {"gaussian_logp 23x130", gaussian_logp, {{23, 130}, {130, 1}}, 1, 260},
    {"linear_logp 700x16x200", linear_logp, {{700, 16}, {200, 16}}, 1, 716},
    {"linear_logp 1030x16x5000", linear_logp, {{1030, 16}, {5000, 16}}, 1, 5016}, // three bands
    {"bf16 linear_logp 1030x16x5000", linear_logp, {{1030, 16}, {5000, 16}}, 1, 5016, true},
    {"attention, 2 heads of 64", attention_large_tree_2,
     {{247, 128}, {247, 128}, {247, 128}}, 0, 600},
    {"attention, 6 heads of 20 on 2", attention_large_tree_6_on_2,
     {{247, 120}, {247, 40}, {247, 40}}, 0, 1800},
    {"attention cached, 4 heads of 48 on 1", attention_large_cached_4_on_1,
     {{20, 192}, {137, 48}, {137, 48}}, 0, 1000},
};

enum { SMALL = sizeof small_cases / sizeof *small_cases };
enum { LARGE = sizeof large_cases / sizeof *large_cases };

static bool can_run(const op_case *c) { return !c->bf16 || mg_linear_has_bf16(); }

static const op_case *case_at(int i) {
    return i < SMALL ? &small_cases[i] : &large_cases[i - SMALL];
}

// ---- Running a case

static mg_arena inputs_arena, tape_arena;

static int setup(void **state) {
    (void)state;
    make_shared();
    return mg_arena_init(&inputs_arena, "inputs", ARENA_SIZE) ||
           mg_arena_init(&tape_arena, "tape", ARENA_SIZE);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&inputs_arena);
    mg_arena_release(&tape_arena);
    return 0;
}

static double number_get(const mg_tensor *t, const void *numbers, int64_t i) {
    return t->dtype == MG_F64 ? ((const double *)numbers)[i] : (double)((const float *)numbers)[i];
}

static void number_set(const mg_tensor *t, void *numbers, int64_t i, double x) {
    if (t->dtype == MG_F64)
        ((double *)numbers)[i] = x;
    else
        ((float *)numbers)[i] = (float)x;
}

// A tensor of floats drawn from N(0, 1), in either type; its gradient starts from 1.
static mg_tensor *make_input(mg_dtype dtype, shape s, uint64_t id) {
    mg_rng     rng  = mg_rng_stream(4, MG_PURPOSE_TEST, id);
    mg_tensor *t    = MG_NEW(&inputs_arena, mg_tensor, 1);
    size_t     size = sizeof(double) * (size_t)(s.rows * s.cols);
    *t = (mg_tensor){.dtype = dtype, .rows = s.rows, .cols = s.cols,
                     .data = mg_arena_alloc(&inputs_arena, size),
                     .grad = mg_arena_alloc(&inputs_arena, size)};
    for (int64_t i = 0; i < s.rows * s.cols; i++) {
        number_set(t, t->data, i, (double)(float)mg_rng_normal(&rng));
        number_set(t, t->grad, i, 1);
    }
    return t;
}

static void make_inputs(const op_case *c, mg_dtype dtype, mg_tensor **in) {
    for (int i = 0; i < INPUTS_MAX; i++)
        in[i] = c->in[i].rows ? make_input(dtype, c->in[i], (uint64_t)i) : NULL;
    if (c->bf16) in[1]->bf16 = true;
}

static void unpack_inputs(mg_tensor **in) {
    for (int i = 0; i < INPUTS_MAX; i++)
        if (in[i]) mg_linear_unpack(in[i]);
}

static double weight_of(int64_t i) { return sin(1.0 + 1.7 * (double)i); } // of y_i in the loss

static mg_tape tape_of(path which, mg_team *team) {
    mg_arena_reset(&tape_arena, 0);
    if (which == DOUBLE) return mg_tape_make_f64(&tape_arena);
    mg_tape tape = mg_tape_make(&tape_arena, team, true);
    tape.naive   = which == NAIVE;
    return tape;
}

// All that a case computes, forward and backward, as doubles: y, then the inputs' gradients.
typedef struct outcome {
    int     n;
    int64_t count[1 + INPUTS_MAX];
    double *numbers[1 + INPUTS_MAX];
} outcome;

static void outcome_take(outcome *o, const mg_tensor *t, const void *numbers) {
    o->count[o->n]   = mg_tensor_count(t);
    o->numbers[o->n] = MG_NEW(&inputs_arena, double, o->count[o->n]);
    for (int64_t i = 0; i < o->count[o->n]; i++) o->numbers[o->n][i] = number_get(t, numbers, i);
    o->n++;
}

static outcome run_case(const op_case *c, path which, mg_team *team) {
    outcome    o    = {0};
    mg_tape    tape = tape_of(which, team);
    mg_tensor *in[INPUTS_MAX];

    make_inputs(c, tape.dtype, in);
    mg_tensor *y = c->apply(&tape, in, 0);
    for (int64_t i = 0; i < mg_tensor_count(y); i++) number_set(y, mg_grad(y), i, weight_of(i));
    mg_tape_backward(&tape);
    outcome_take(&o, y, y->data);
    for (int i = 0; i < INPUTS_MAX && in[i]; i++) outcome_take(&o, in[i], in[i]->grad);
    unpack_inputs(in);
    return o;
}

// ---- Literals

static mg_tensor *literal(mg_dtype dtype, shape s, const double *numbers) {
    mg_tensor *t = make_input(dtype, s, 0);
    for (int64_t i = 0; i < s.rows * s.cols; i++) number_set(t, t->data, i, numbers[i]);
    return t;
}
#define L(rows, cols, ...) literal(tape.dtype, (shape){rows, cols}, (const double[]){__VA_ARGS__})
#define EXPECT(y, ...)                                                                \
    do {                                                                              \
        const double     want_[] = {__VA_ARGS__};                                     \
        const mg_tensor *y_      = (y);                                               \
        assert_int_equal(mg_tensor_count(y_), sizeof want_ / sizeof *want_);          \
        for (int64_t i_ = 0; i_ < mg_tensor_count(y_); i_++)                          \
            assert_true(fabs(number_get(y_, y_->data, i_) - want_[i_]) <=             \
                        (y_->dtype == MG_F64 ? 1e-14 : 1e-6) * (1 + fabs(want_[i_]))); \
    } while (0)

static void test_literals(void **state) {
    (void)state;
    const mg_attention_plan two = {.groups = (mg_query_group[]){{.n = 2, .spans = 1}},
                                   .spans = (mg_key_span[]){{0, 2}}, .n_groups = 1,
                                   .n_families = 1};
    const mg_attention_plan single = {.groups = (mg_query_group[]){{.n = 1, .spans = 1}},
                                      .spans = (mg_key_span[]){{0, 1}}, .n_groups = 1,
                                      .n_families = 1};
    const double            quarter[] = {acos(0), 0}; // a right angle, and none
    const int32_t           one[] = {1, 1}, reversed[] = {1, 0, 1}, last[] = {2, 1};

    for (path which = FAST; which <= DOUBLE; which++) {
        mg_tape    tape = tape_of(which, NULL);
        mg_tensor *W    = L(1, 2, 3, 4);
        EXPECT(mg_linear(&tape, L(2, 2, 1, 2, 5, 6), W, L(1, 1, 100)), 111, 139);
        mg_linear_unpack(W);
        EXPECT(mg_rows(&tape, L(2, 2, 1, 2, 3, 4), reversed, 3), 3, 4, 1, 2, 3, 4);
        EXPECT(mg_embedding(&tape, L(2, 1, 8, 9), reversed, 3), 9, 8, 9);
        EXPECT(mg_add(&tape, L(1, 3, 1, 2, 3), L(1, 3, 10, 20, 30)), 11, 22, 33);
        // 3 / sqrt((9 + 16) / 2 + 3.5) = 3 / 4
        EXPECT(mg_rmsnorm(&tape, L(1, 2, 3, 4), L(2, 1, 1, 10), 3.5), 0.75, 10);
        EXPECT(mg_rope(&tape, L(2, 4, 1, 2, 3, 4, 1, 0, 0, 0), 4, one, quarter), -3, 2, 1, 4, 0, 0,
               1, 0);
        // sigmoid(log 3) = 3/4
        EXPECT(mg_swiglu(&tape, L(1, 2, log(3), 0), L(1, 2, 2, 5)), 1.5 * log(3), 0);
        EXPECT(mg_activation(&tape, L(1, 3, -1, 0, 2), MG_RELU), 0, 0, 2);
        EXPECT(mg_activation(&tape, L(1, 2, log(3) / 2, 0), MG_TANH), 0.5, 0);
        EXPECT(mg_concat(&tape, L(2, 1, 1, 2), L(2, 2, 3, 4, 5, 6), 1), 1, 3, 2, 5);
        // A deviation of 1/4 is clamped to 1/2: u = log 3 / 2 + 1/2 - 1/2, whose tanh is 1/2.
        const float two_draws[] = {-1, 0};
        EXPECT(mg_squash(&tape, L(1, 4, log(3) / 2 + 0.5, 0, log(0.25), 0), two_draws, log(0.5), 9), 0.5, 0,
               -0.5 - log(0.5) - log(2 * M_PI) - log(0.75));
        // z is 3 / 2 and 0, the deviations 2 and 1: -9/8 - log 2 - log 2 pi, by hand.
        EXPECT(mg_gaussian_logp(&tape, L(1, 2, 1, 7), L(2, 1, log(2), 0), (float[]){4, 7}),
               -1.125 - log(2) - 2 * 0.918938533204672742);
        EXPECT(mg_token_logp(&tape, L(2, 3, log(1), log(2), log(3), 500, 500, 500), last, 1, NULL),
               log(3.0 / 6), log(1.0 / 3));
        EXPECT(mg_token_logp(&tape, L(1, 3, log(1), log(2), log(3)), last, 0.5, NULL),
               log(9.0 / 14)); // temperature 1/2 squares the weights
        // Weights 1/4 and 3/4; h = 4, so scores are halved. The first query sees one key.
        EXPECT(mg_attention(&tape, L(2, 4, 0, 0, 0, 7, 2, 0, 0, 0),
                            L(2, 4, 0, 0, 0, 0, log(3), 0, 0, 0), L(2, 4, 1, 2, 3, 4, 5, 6, 7, 8),
                            1, 1, &two),
               1, 2, 3, 4, 4, 5, 6, 7);
        // Heads 0 and 1 read key head 0, heads 2 and 3 key head 1.
        EXPECT(mg_attention(&tape, L(1, 4, 1, 2, 3, 4), L(1, 2, 1, 2), L(1, 2, 5, 9), 4, 2,
                            &single),
               5, 5, 9, 9);
    }
}

// A bfloat16 near 1 is a multiple of 2^-7, near 2 of 2^-6. With W = 1 a row of x comes out rounded.
static void test_rounding(void **state) {
    (void)state;
    for (path which = FAST; which <= NAIVE; which++) {
        if (which == FAST && !mg_linear_has_bf16()) continue;
        mg_tape    tape = tape_of(which, NULL);
        mg_tensor *W    = L(1, 1, 1);
        W->bf16         = true;
        const double x[8] = {1 + 0x1p-8,  1 + 0x3p-8, 1 + 0x1.1p-8, -1 - 0x3p-8,
                             2 + 0x1p-9, 0x1.fffp0, INFINITY,     0x1.fffp127};
        mg_tensor *y = mg_linear(&tape, literal(MG_F32, (shape){8, 1}, x), W, NULL);
        const float want[8] = {1, 1 + 0x1p-6f, 1 + 0x1p-7f, -1 - 0x1p-6f, 2, 2, INFINITY, INFINITY};
        for (int i = 0; i < 8; i++) assert_true(mg_f32(y)[i] == want[i]);
        y = mg_linear(&tape, literal(MG_F32, (shape){1, 1}, (double[]){(double)NAN}), W, NULL);
        assert_true(isnan(mg_f32(y)[0]));
        mg_linear_unpack(W);
    }
}

// Of n equal logits log n; of weights 1, 2, 3: worked out in double.
static void test_entropy(void **state) {
    (void)state;
    const int32_t none[] = {0, 0};
    const double  third  = log(6) - (2 * log(2) + 3 * log(3)) / 6;
    for (path which = FAST; which <= DOUBLE; which++) {
        mg_tape tape = tape_of(which, NULL);
        float   entropy[2];
        mg_token_logp(&tape, L(2, 3, 1, 1, 1, log(1) / 2, log(2) / 2, log(3) / 2), none, 0.5,
                      entropy);
        assert_true(fabs((double)entropy[0] - log(3)) < 1e-6);
        assert_true(fabs((double)entropy[1] - third) < 1e-6);
    }
    enum { VOCAB = 20000 };
    mg_tensor *z = make_input(MG_F32, (shape){1, VOCAB}, 0);
    float      fast, naive;
    mg_tape    tape = tape_of(FAST, NULL);
    mg_token_logp(&tape, z, none, 1, &fast);
    tape = tape_of(NAIVE, NULL);
    mg_token_logp(&tape, z, none, 1, &naive);
    assert_true(fabsf(fast - naive) < 1e-5f * naive);
    assert_true(naive > 9 && naive < 9.9034f); // at most log 20000
}

// ---- Gradients

static double loss(const op_case *c, mg_tensor **in) {
    mg_tape    tape = tape_of(DOUBLE, NULL);
    mg_tensor *y    = c->apply(&tape, in, 0);
    double     sum  = 0;
    for (int64_t i = 0; i < mg_tensor_count(y); i++) sum += weight_of(i) * mg_f64(y)[i];
    return sum;
}

// ||backward - differences|| / ||differences||, over all inputs.
static double gradient_error(const op_case *c) {
    const double step = 1e-5;
    mg_tensor   *in[INPUTS_MAX];
    outcome      o      = run_case(c, DOUBLE, NULL);
    double       error2 = 0, norm2 = 0;

    make_inputs(c, MG_F64, in);
    for (int i = 0; i < INPUTS_MAX && in[i]; i++)
        for (int64_t j = 0; j < mg_tensor_count(in[i]); j++) {
            double *x = &mg_f64(in[i])[j], at = *x;
            *x        = at + step;
            double up = loss(c, in);
            *x        = at - step;
            double down   = loss(c, in);
            *x            = at;
            double slope  = (up - down) / (2 * step);
            double summed = o.numbers[1 + i][j] - 1; // it started from 1
            error2 += (summed - slope) * (summed - slope);
            norm2 += slope * slope;
        }
    return sqrt(error2 / norm2);
}

static void test_gradients(void **state) {
    (void)state;
    for (int i = 0; i < SMALL; i++) {
        mg_arena_reset(&inputs_arena, 0);
        double error = gradient_error(&small_cases[i]);
        if (!(error <= 1e-6)) fail_msg("%s: relative error %g", small_cases[i].name, error);
    }
}

// An input without a gradient is left alone, and the others' gradients stay what they were.
static void test_constants(void **state) {
    (void)state;
    for (int i = 0; i < SMALL + LARGE; i++)
        for (path which = FAST; which <= NAIVE; which++) {
            const op_case *c = case_at(i);
            if (which == NAIVE && i >= SMALL) continue; // slow, and nothing new
            if (!can_run(c)) continue;
            mg_arena_reset(&inputs_arena, 0);
            outcome want = run_case(c, which, NULL);
            for (int constant = 0; constant < INPUTS_MAX && c->in[constant].rows; constant++) {
                mg_tape    tape = tape_of(which, NULL);
                mg_tensor *in[INPUTS_MAX];
                make_inputs(c, MG_F32, in);
                in[constant]->grad = NULL;
                mg_tensor *y       = c->apply(&tape, in, 0);
                for (int64_t k = 0; k < mg_tensor_count(y); k++)
                    mg_grad_f32(y)[k] = (float)weight_of(k);
                mg_tape_backward(&tape);
                for (int k = 0; k < INPUTS_MAX && in[k]; k++)
                    for (int64_t j = 0; k != constant && j < mg_tensor_count(in[k]); j++)
                        if ((double)mg_grad_f32(in[k])[j] != want.numbers[1 + k][j])
                            fail_msg("%s: input %d is constant, gradient %d changed", c->name,
                                     constant, k);
                unpack_inputs(in);
            }
        }
}

// ---- Paths and threads

// Every rounding of float is at most 2^-24 of what it rounds, so a sum of n terms loses at most
// about n 2^-24 of the sum of their sizes; results here are of the size of those sums.
// Products of bfloat16 are exact in float, so that holds for them too; but what they are compared
// with was summed in float itself, which may lose as much.
static void assert_close(const op_case *c, const char *what, const outcome *got,
                         const outcome *want) {
    const double tolerance = (double)(16 + c->sum) * (c->bf16 ? 0x1p-23 : 0x1p-24);
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < want->n; i++) {
        double largest = 1;
        for (int64_t j = 0; j < want->count[i]; j++)
            largest = fmax(largest, fabs(want->numbers[i][j]));
        for (int64_t j = 0; j < want->count[i]; j++) {
            double error = fabs(got->numbers[i][j] - want->numbers[i][j]) / largest;
            if (!(error <= tolerance))
                fail_msg("%s, %s: %s %d, number %lld: %.9g, wanted %.9g", c->name, what,
                         i ? "gradient of input" : "result", i - 1, (long long)j,
                         got->numbers[i][j], want->numbers[i][j]);
        }
    }
}

static void test_paths(void **state) {
    (void)state;
    for (int i = 0; i < SMALL + LARGE; i++) {
        const op_case *c = case_at(i);
        if (!can_run(c)) continue;
        mg_arena_reset(&inputs_arena, 0);
        outcome fast = run_case(c, FAST, NULL);
        outcome slow = run_case(c, NAIVE, NULL);
        outcome want = c->bf16 ? slow : run_case(c, DOUBLE, NULL);
        assert_close(c, "naive", &slow, &want);
        assert_close(c, "fast", &fast, &want);
    }
}

static void test_threads(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        mg_team *team;
        assert_int_equal(mg_team_open(&team, threads), MG_OK);
        for (int i = 0; i < SMALL + LARGE; i++) {
            if (!can_run(case_at(i))) continue;
            mg_arena_reset(&inputs_arena, 0);
            outcome want = run_case(case_at(i), FAST, NULL);
            for (int again = 0; again < 3; again++) {
                outcome got = run_case(case_at(i), FAST, team);
                for (int k = 0; k < want.n; k++)
                    if (memcmp(got.numbers[k], want.numbers[k],
                               sizeof(double) * (size_t)want.count[k]))
                        fail_msg("%s: number %d has other bits with %d threads", case_at(i)->name,
                                 k, threads);
            }
        }
        mg_team_close(team);
    }
}

// ---- Rows

static void test_rows(void **state) {
    (void)state;
    const bool exact = __builtin_cpu_supports("avx512f");
    print_message("a row alone: %s\n", exact ? "same bits" : "no AVX-512, within 1e-5");
    for (int n = 0; n < SMALL + LARGE; n++) {
        const op_case *c = case_at(n);
        mg_tensor     *in[INPUTS_MAX], *one[INPUTS_MAX];
        if (!c->by_row || !can_run(c)) continue;

        mg_arena_reset(&inputs_arena, 0);
        make_inputs(c, MG_F32, in);
        mg_tape    tape = tape_of(FAST, NULL);
        mg_tensor *y    = c->apply(&tape, in, 0);
        for (int64_t row = 0; row < y->rows; row += 1 + y->rows / 50) {
            for (int i = 0; i < INPUTS_MAX; i++) {
                one[i] = in[i];
                if (i >= c->by_row) continue;
                one[i]  = MG_NEW(&inputs_arena, mg_tensor, 1);
                *one[i] = (mg_tensor){.rows = 1, .cols = in[i]->cols,
                                      .data = mg_f32(in[i]) + row * in[i]->cols};
            }
            const float *want = mg_f32(y) + row * y->cols;
            mg_tensor   *got  = c->apply(&tape, one, row);
            for (int64_t j = 0; j < y->cols; j++)
                if (exact ? memcmp(&mg_f32(got)[j], &want[j], sizeof(float))
                          : !(fabsf(mg_f32(got)[j] - want[j]) <= 1e-5f * (1 + fabsf(want[j]))))
                    fail_msg("%s: row %lld alone, column %lld: %.9g, in the batch %.9g", c->name,
                             (long long)row, (long long)j, (double)mg_f32(got)[j], (double)want[j]);
        }
        unpack_inputs(in);
    }
}

// Bands of logits leave no trace: all numbers are those of the two operations, which keep them, and
// the arena holds far fewer than there are logits.
static void test_logits_by_bands(void **state) {
    (void)state;
    const op_case c = {"", NULL, {{1030, 16}, {5000, 16}}, 1, 0};
    float         entropy[2][1030];
    outcome       o[2] = {0};
    for (int fused = 0; fused < 2; fused++) {
        mg_tape    tape = tape_of(FAST, NULL);
        mg_tensor *in[INPUTS_MAX];
        make_inputs(&c, MG_F32, in);
        mg_tensor *y = fused ? mg_linear_logp(&tape, in[0], in[1], targets, 0.7, entropy[1])
                             : mg_token_logp(&tape, mg_linear(&tape, in[0], in[1], NULL), targets,
                                             0.7, entropy[0]);
        assert_true(fused == (mg_arena_mark(&tape_arena) < sizeof(float) * 1030 * 5000));
        for (int64_t i = 0; i < 1030; i++) mg_grad_f32(y)[i] = (float)weight_of(i);
        mg_tape_backward(&tape);
        outcome_take(&o[fused], y, y->data);
        for (int i = 0; i < 2; i++) outcome_take(&o[fused], in[i], in[i]->grad);
        unpack_inputs(in);
    }
    for (int k = 0; k < 3; k++)
        assert_memory_equal(o[1].numbers[k], o[0].numbers[k],
                            sizeof(double) * (size_t)o[0].count[k]);
    assert_memory_equal(entropy[1], entropy[0], sizeof entropy[0]);
}

// More kinds of product than are kept, with teams of any size in turn: the first, asked again, has gone
// and come back. Not under TSan, whose own memory is used up by the code that these kinds are compiled to;
// no two threads share anything here that test_threads has not shared.
#ifndef __SANITIZE_THREAD__
static void test_many_kinds(void **state) {
    (void)state;
    enum { KINDS = 800 };
    static float first[KINDS];
    for (int threads = 2; threads <= 3; threads++) {
        mg_team *team;
        assert_int_equal(mg_team_open(&team, threads), MG_OK);
        for (int64_t i = 0; i <= KINDS; i++) {
            const int64_t K = i % KINDS + 1;
            mg_arena_reset(&inputs_arena, 0);
            mg_tape    tape = tape_of(FAST, team);
            mg_tensor *x = make_input(MG_F32, (shape){1, K}, 0), *W = make_input(MG_F32, (shape){1, K}, 1);
            const float y = mg_f32(mg_linear(&tape, x, W, NULL))[0];
            mg_linear_unpack(W);
            if (threads == 2 && i < KINDS)
                first[i] = y;
            else
                assert_memory_equal(&y, &first[K - 1], sizeof y);
        }
        mg_team_close(team);
    }
    mg_tensor *x = make_input(MG_F32, (shape){1, 2}, 0), *W = make_input(MG_F32, (shape){1, 2}, 1);
    assert_true(fabsf(first[1] - mg_f32(x)[0] * mg_f32(W)[0] - mg_f32(x)[1] * mg_f32(W)[1]) < 1e-6f);
}
#endif

// A parameter is packed again when its version has grown, for both directions.
static void test_versions(void **state) {
    (void)state;
    mg_tensor *x = make_input(MG_F32, (shape){40, 3}, 0), *W = make_input(MG_F32, (shape){2, 3}, 1);
    for (int version = 1; version <= 3; version++) {
        mg_tape tape = tape_of(FAST, NULL);
        for (int64_t i = 0; i < 6; i++) mg_f32(W)[i] = (float)version;
        W->version++;
        memset(x->grad, 0, sizeof(float) * 120);
        for (int64_t i = 0; i < 120; i++) mg_f32(x)[i] = 1;
        mg_tensor *y = mg_linear(&tape, x, W, NULL);
        for (int64_t i = 0; i < 80; i++) mg_grad_f32(y)[i] = 1;
        mg_tape_backward(&tape);
        assert_true(mg_f32(y)[79] == (float)(3 * version));
        assert_true(mg_grad_f32(x)[119] == (float)(2 * version));
    }
    assert_non_null(W->packed);
    mg_linear_unpack(W);
    assert_null(W->packed);
    mg_linear_unpack(W);
}

// A clock that gains a second with each look. A product lies between two looks that nothing else
// shares, so half of the looks are its seconds.
static double looks;
static double count_looks(void) { return looks++; }

static void test_meter(void **state) {
    (void)state;
    mg_tensor *x = make_input(MG_F32, (shape){40, 3}, 0), *W = make_input(MG_F32, (shape){2, 3}, 1);
    mg_tape    tape = tape_of(FAST, NULL);
    mg_linear_meter(count_looks);
    assert_true(mg_linear_metered() == 0);
    mg_grad(mg_linear(&tape, x, W, NULL));
    const double forward = mg_linear_metered();
    assert_true(forward >= 1);
    mg_tape_backward(&tape);
    assert_true(mg_linear_metered() >= forward + 2);
    assert_true(looks == 2 * mg_linear_metered()); // nothing is counted twice or between products
    mg_linear_meter(NULL);
    mg_linear(&tape, x, W, NULL);
    assert_true(mg_linear_metered() == 0);
    mg_linear_unpack(W);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),  cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_constants),
        cmocka_unit_test(test_paths),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_versions),
        cmocka_unit_test(test_meter),     cmocka_unit_test(test_logits_by_bands),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(test_many_kinds),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
