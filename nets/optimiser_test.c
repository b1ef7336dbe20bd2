// optimiser_test.c - AdamW against the paper's lines in double, clipping, and the schedules.
#include "nets/optimiser.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// 153,032 weights: two slices and a part of a third, with parameters that cross their borders.
static const mg_model_config SHAPE = {
    .family = MG_FAMILY_QWEN2, .vocab = 3000, .d_model = 24, .d_ff = 40, .n_layers = 2,
    .n_heads = 3, .n_kv_heads = 1, .head_width = 8, .context_max = 16, .rope_theta = 10000,
    .norm_eps = 1e-6, .init_std = 0.1, .qkv_bias = true,
};

static const mg_adamw_config PLAIN = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

// In double, and false for NaN.
static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

typedef struct trained {
    mg_model *m;
    mg_adamw  o;
} trained;

static trained made(mg_adamw_config config) {
    trained t;
    if (mg_model_new(&t.m, &SHAPE, true)) fail_msg("%s", mg_err_detail());
    mg_model_init(t.m, 5);
    if (mg_adamw_init(&t.o, t.m, &config)) fail_msg("%s", mg_err_detail());
    return t;
}

static void ended(trained *t) {
    mg_adamw_release(&t->o);
    mg_model_free(t->m);
}

static void random_grads(mg_model *m, uint64_t id) {
    mg_rng rng = mg_rng_stream(8, MG_PURPOSE_TEST, id);
    for (int64_t i = 0; i < m->n_weights; i++) m->grads[i] = (float)mg_rng_normal(&rng);
}

static double step(trained *t, double lr) {
    double norm = -1;
    if (mg_adamw_step(&t->o, t->m, lr, NULL, &norm)) fail_msg("%s", mg_err_detail());
    return norm;
}

static bool is_vector(const mg_model *m, int64_t i) {
    for (int64_t p = 0; p < m->n_params; p++) {
        const mg_tensor *t = &m->params[p].tensor;
        const int64_t    at = i - ((float *)t->data - m->weights);
        if (at >= 0 && at < mg_tensor_count(t)) return strstr(m->params[p].name, "norm") ||
                                                       strstr(m->params[p].name, "bias");
    }
    fail();
    return false;
}

static void the_first_step_is_lr_against_the_sign_of_the_gradient(void **state) {
    (void)state;
    trained      t = made(PLAIN);
    mg_model    *m = t.m;
    const double w0 = (double)m->weights[0], w1 = (double)m->weights[70000];
    const double w2 = (double)m->weights[m->n_weights - 1];
    m->grads[0]                = 3;
    m->grads[70000]            = -1e-3f;
    m->grads[m->n_weights - 1] = 1e-8f; // as small as eps: half a step
    assert_near(step(&t, 0.01), sqrt(9 + 1e-6), 1e-12);
    assert_near(m->weights[0] - w0, -0.01, 1e-7);
    assert_near(m->weights[70000] - w1, 0.01, 1e-7);
    assert_near(m->weights[m->n_weights - 1] - w2, -0.005, 1e-7);
    assert_int_equal(t.o.steps, 1);
    for (int64_t i = 0; i < m->n_weights; i++) assert_true(m->grads[i] == 0);
    ended(&t);
}

// Algorithm 2 of the paper, line by line, for one weight in double.
typedef struct paper {
    double w, m, v;
} paper;

static void paper_step(paper *p, double g, double lr, double decay, int t) {
    p->m               = 0.9 * p->m + 0.1 * g;
    p->v               = 0.999 * p->v + 0.001 * g * g;
    const double m_hat = p->m / (1 - pow(0.9, t));
    const double v_hat = p->v / (1 - pow(0.999, t));
    p->w               = p->w - lr * (m_hat / (sqrt(v_hat) + 1e-8) + decay * p->w);
}

static void twenty_steps_are_those_of_the_paper_with_clipping_and_decay(void **state) {
    (void)state;
    mg_adamw_config config = PLAIN;
    config.decay = 0.3, config.clip = 50;
    trained t = made(config);
    enum { STRIDE = 1019, N = 150 };
    paper  p[N] = {{0}};
    double norm2, g[N];
    int    clipped = 0;
    assert_in_range(t.m->n_weights - N * STRIDE, 0, STRIDE);
    for (int i = 0; i < N; i++) p[i].w = (double)t.m->weights[i * STRIDE];

    for (int s = 1; s <= 20; s++) {
        random_grads(t.m, (uint64_t)s);
        norm2 = 0;
        for (int64_t i = 0; i < t.m->n_weights; i++) {
            t.m->grads[i] *= 0.02f * (float)s; // norms of 8 to 156, so that some are clipped
            norm2 += pow((double)t.m->grads[i], 2);
        }
        for (int i = 0; i < N; i++) g[i] = (double)t.m->grads[i * STRIDE];
        const double scale = fmin(1, 50 / sqrt(norm2)), lr = 0.01 / s;
        clipped += scale < 1;
        assert_near(step(&t, lr) / sqrt(norm2), 1, 1e-12);
        for (int i = 0; i < N; i++)
            paper_step(&p[i], g[i] * scale, lr, is_vector(t.m, i * STRIDE) ? 0 : 0.3, s);
    }
    assert_in_range(clipped, 5, 15);
    for (int i = 0; i < N; i++) assert_near(t.m->weights[i * STRIDE], p[i].w, 1e-6);
    ended(&t);
}

static void decay_shrinks_matrices_and_leaves_norms_and_biases(void **state) {
    (void)state;
    mg_adamw_config config = PLAIN;
    config.decay           = 0.5;
    trained t = made(config);
    int64_t vectors = 0;
    for (int64_t i = 0; i < t.m->n_weights; i++) t.m->weights[i] = 2;
    step(&t, 0.25); // all gradients 0
    for (int64_t i = 0; i < t.m->n_weights; i++) {
        const bool vector = is_vector(t.m, i);
        vectors += vector;
        assert_near(t.m->weights[i], vector ? 2 : 1.75, 0);
    }
    assert_int_equal(vectors, 5 * 24 + 2 * (24 + 8 + 8)); // norms; biases of q, k, v
    ended(&t);
}

static void a_clipped_gradient_is_the_scaled_gradient_and_a_short_one_is_left_alone(void **state) {
    (void)state;
    mg_adamw_config config = PLAIN;
    config.clip            = 1;
    trained t = made(config);
    t.m->grads[7] = 3, t.m->grads[100000] = -4;
    assert_near(step(&t, 0), 5, 0);
    assert_near(t.o.m[7], 0.1 * 0.6, 1e-8); // 3/5
    assert_near(t.o.m[100000], 0.1 * -0.8, 1e-8);
    assert_near(t.o.v[7], 0.001 * 0.36, 1e-10);
    ended(&t);

    trained with = made(config), without = made(PLAIN);
    for (int i = 0; i < 2; i++) { // norms of 0.98 and, exactly, 1
        with.m->grads[i] = without.m->grads[i] = i == 0 ? 0.98f : 1;
        step(&with, 0.1), step(&without, 0.1);
        assert_memory_equal(with.m->weights, without.m->weights,
                            sizeof(float) * (size_t)with.m->n_weights);
    }
    ended(&with), ended(&without);
}

static void a_norm_that_is_no_number_changes_nothing(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    trained     t     = made(PLAIN);
    const size_t size = sizeof(float) * (size_t)t.m->n_weights;
    random_grads(t.m, 1);
    step(&t, 0.1);
    random_grads(t.m, 2);
    float *w = malloc(size), *m = malloc(size), *v = malloc(size), *g = malloc(size);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t.m->grads[66000] = bad[i];
        memcpy(w, t.m->weights, size), memcpy(g, t.m->grads, size);
        memcpy(m, t.o.m, size), memcpy(v, t.o.v, size);
        double norm = -1;
        assert_int_equal(mg_adamw_step(&t.o, t.m, 0.1, NULL, &norm), MG_NUMERIC);
        assert_near(norm, -1, 0);
        assert_int_equal(t.o.steps, 1);
        assert_memory_equal(t.m->weights, w, size);
        assert_memory_equal(t.m->grads, g, size);
        assert_memory_equal(t.o.m, m, size);
        assert_memory_equal(t.o.v, v, size);
    }
    free(w), free(m), free(v), free(g);
    ended(&t);
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    mg_adamw_config config = PLAIN;
    config.decay = 0.1, config.clip = 1;
    trained one = made(config);
    double  norm, expected;
    for (int threads = 2; threads <= 3; threads++) {
        mg_team *team;
        trained  many = made(config);
        assert_int_equal(mg_team_open(&team, threads), MG_OK);
        if (threads == 3) ended(&one), one = made(config);
        for (uint64_t s = 0; s < 3; s++) {
            random_grads(one.m, s), random_grads(many.m, s);
            expected = step(&one, 0.01);
            assert_int_equal(mg_adamw_step(&many.o, many.m, 0.01, team, &norm), MG_OK);
            assert_memory_equal(&norm, &expected, sizeof norm);
        }
        assert_memory_equal(many.m->weights, one.m->weights,
                            sizeof(float) * (size_t)one.m->n_weights);
        mg_team_close(team);
        ended(&many);
    }
    ended(&one);
}

static void a_step_tells_the_products_that_the_weights_were_written(void **state) {
    (void)state;
    trained        t       = made(PLAIN);
    const uint64_t version = t.m->head->version;
    step(&t, 0.1);
    assert_int_equal(t.m->head->version, version + 1);
    ended(&t);
}

static void schedules_rise_and_fall_as_worked_out_by_hand(void **state) {
    (void)state;
    const mg_schedule all[] = {MG_SCHEDULE_CONSTANT, MG_SCHEDULE_LINEAR, MG_SCHEDULE_COSINE};
    for (int i = 0; i < 3; i++) { // 4 updates of warm-up, then 10 to the end
        assert_near(mg_schedule_lr(all[i], 8, 0, 14, 4), 0, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 1, 14, 4), 2, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 3, 14, 4), 6, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 4, 14, 4), 8, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 0, 14, 0), 8, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 2, 3, 4), 4, 1e-12); // all of it warm-up
    }
    assert_near(mg_schedule_lr(MG_SCHEDULE_CONSTANT, 8, 13, 14, 4), 8, 0);
    assert_near(mg_schedule_lr(MG_SCHEDULE_LINEAR, 8, 9, 14, 4), 4, 1e-12);
    assert_near(mg_schedule_lr(MG_SCHEDULE_LINEAR, 8, 13, 14, 4), 0.8, 1e-12);
    assert_near(mg_schedule_lr(MG_SCHEDULE_COSINE, 8, 9, 14, 4), 4, 1e-12);
    // a quarter of the way: (1 + cos 45 degrees) / 2
    assert_near(mg_schedule_lr(MG_SCHEDULE_COSINE, 8, 2, 8, 0), 8 * 0.8535533905932737,
                       1e-12);
    for (int i = 1; i < 3; i++) {
        assert_near(mg_schedule_lr(all[i], 8, 14, 14, 4), 0, 1e-12);
        assert_near(mg_schedule_lr(all[i], 8, 20, 14, 4), 0, 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_is_lr_against_the_sign_of_the_gradient),
        cmocka_unit_test(twenty_steps_are_those_of_the_paper_with_clipping_and_decay),
        cmocka_unit_test(decay_shrinks_matrices_and_leaves_norms_and_biases),
        cmocka_unit_test(a_clipped_gradient_is_the_scaled_gradient_and_a_short_one_is_left_alone),
        cmocka_unit_test(a_norm_that_is_no_number_changes_nothing),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_step_tells_the_products_that_the_weights_were_written),
        cmocka_unit_test(schedules_rise_and_fall_as_worked_out_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
