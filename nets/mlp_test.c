// Goal: a perceptron is computed as written by hand, several nets side by side are each what they are alone, and its
// folder gives back every number or is refused by name.
#include "nets/mlp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "nets/folder.h"

static mg_arena arena;
static char     folder[] = "/tmp/mg_mlp_XXXXXX";

static int setup(void **state) {
    (void)state;
    return !mkdtemp(folder) || mg_arena_init(&arena, "mlp test", (size_t)1 << 30);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static mg_model *made(mg_mlp_shape shape) {
    mg_model *m;
    if (shape.action_scale == 0) shape.action_scale = 1;
    if (mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = shape}, true))
        fail_msg("%s", mg_err_detail());
    return m;
}

static const float *forward(mg_model *m, const float *x, int64_t rows) {
    mg_tape    tape = mg_tape_make(&arena, NULL, false);
    mg_tensor *in   = mg_tape_tensor(&tape, rows, m->config.mlp.in);
    memcpy(in->data, x, sizeof *x * (size_t)(rows * m->config.mlp.in));
    return mg_f32(mg_mlp_forward(&tape, m, in));
}

static void set(const mg_tensor *t, const float *numbers) {
    memcpy(t->data, numbers, sizeof(float) * (size_t)mg_tensor_count(t));
}

// h = relu([1 2; -1 1] x + [0 1]) = relu(1*3+2*-1, -3-1+1) = (1, 0);  out = 2 h_0 - 5 h_1 + .5 = 2.5
static void test_a_net_written_by_hand(void **state) {
    (void)state;
    mg_model *m = made((mg_mlp_shape){.in = 2, .out = 1, .width = 2, .depth = 1, .nets = 1});
    set(m->nets[0].W, (float[]){1, 2, -1, 1});
    set(m->nets[0].b, (float[]){0, 1});
    set(m->nets[1].W, (float[]){2, -5});
    set(m->nets[1].b, (float[]){0.5f});
    mg_model_touch(m);
    assert_true(forward(m, (float[]){3, -1}, 1)[0] == 2.5f);
    mg_model_free(m);
}

static void test_nets_side_by_side_are_each_what_they_are_alone(void **state) {
    (void)state;
    const mg_mlp_shape shape = {.in = 5, .out = 3, .width = 17, .depth = 2, .nets = 1, .tanh = true};
    mg_mlp_shape       both  = shape;
    both.nets                = 2;
    mg_model *pair = made(both);
    mg_model_init(pair, 3);
    const float x[2 * 5] = {1, -2, 0.5f, 0, 3, -1, 1, 1, 2, -0.25f};
    const float *together = forward(pair, x, 2);
    for (int64_t j = 0; j < 2; j++) {
        mg_model *one = made(shape);
        for (int i = 0; i < 3; i++) {
            set(one->nets[i].W, mg_f32(pair->nets[j * 3 + i].W));
            set(one->nets[i].b, mg_f32(pair->nets[j * 3 + i].b));
        }
        mg_model_touch(one);
        const float *alone = forward(one, x, 2);
        for (int64_t r = 0; r < 2; r++)
            assert_memory_equal(alone + r * 3, together + r * 6 + j * 3, 3 * sizeof(float));
        mg_model_free(one);
    }
    mg_model_free(pair);
}

// As nn.Linear: even in +-1/sqrt(in). The mean of 4,000 squares of such numbers is bound^2 / 3 within 5 %.
static void test_first_weights_are_those_of_linear_layers(void **state) {
    (void)state;
    mg_model *m = made((mg_mlp_shape){.in = 40, .out = 1, .width = 100, .depth = 1, .nets = 1, .free = 2});
    mg_model_init(m, 9);
    const float *W     = mg_f32(m->nets[0].W);
    double       most  = 0, squares = 0;
    for (int i = 0; i < 4000; i++) most = fmax(most, fabs((double)W[i])), squares += (double)W[i] * (double)W[i] / 4000;
    assert_true(most <= 1 / sqrt(40) && most > 0.99 / sqrt(40));
    assert_true(fabs(squares * 40 * 3 - 1) < 0.05);
    assert_true(mg_f32(m->nets[0].b)[0] != 0);
    for (int i = 0; i < 40; i++) assert_true(mg_f32(m->mean)[i] == 0 && mg_f32(m->scale)[i] == 1);
    assert_true(mg_f32(m->free)[0] == 0 && mg_f32(m->free)[1] == 0);
    mg_model_free(m);
}

// (x - mean) / deviation
static void test_inputs_are_normalised(void **state) {
    (void)state;
    mg_model *m = made((mg_mlp_shape){.in = 2, .out = 1, .width = 1, .nets = 1});
    float     x[4] = {3, 10, 1, -2};
    mg_mlp_set_input(m, (double[]){1, -2}, (double[]){0.5, 4});
    mg_mlp_normalise(m, x, 2, x);
    const float wanted[4] = {4, 3, 0, 0};
    assert_memory_equal(x, wanted, sizeof wanted);
    mg_model_free(m);
}

static void refused(mg_mlp_shape shape, const char *words) {
    mg_model *m;
    assert_int_equal(mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = shape}, false), MG_CONFIG);
    if (!strstr(mg_err_detail(), words)) fail_msg("'%s' does not say '%s'", mg_err_detail(), words);
}

static void test_shapes_that_cannot_be(void **state) {
    (void)state;
    const mg_mlp_shape good = {.in = 3, .out = 3, .width = 8, .depth = 1, .nets = 1, .action_scale = 1};
    mg_mlp_shape       s    = good;
    s.in = 0, refused(s, "inputs: found 0");
    s = good, s.nets = 0, refused(s, "nets: found 0");
    s = good, s.depth = -1, refused(s, "depth: found -1");
    s = good, s.head = MG_HEAD_TANH_GAUSSIAN, refused(s, "outputs: found 3, wanted an even number");
    s = good, s.head = MG_HEAD_GAUSSIAN, s.free = 2, refused(s, "free: found 2, wanted 3");
    s = good, s.action_scale = (double)NAN, refused(s, "action_scale: found");
}

static void test_a_folder_gives_every_number_back(void **state) {
    (void)state;
    mg_model *m = made((mg_mlp_shape){.in = 4, .out = 2, .width = 6, .depth = 2, .nets = 2, .free = 2, .tanh = true,
                                      .head = MG_HEAD_GAUSSIAN, .action_scale = 0.4}), *back;
    mg_model_init(m, 11);
    mg_f32(m->mean)[3] = 7;
    mg_f32(m->free)[1] = -0.5f;
    assert_int_equal(mg_model_save(m, folder, MG_FILE_F32, NULL), MG_OK);
    if (mg_model_load(&back, folder, false)) fail_msg("%s", mg_err_detail());
    assert_int_equal(back->config.family, MG_FAMILY_MLP);
    const mg_mlp_shape *a = &m->config.mlp, *b = &back->config.mlp;
    assert_true(a->in == b->in && a->out == b->out && a->width == b->width && a->depth == b->depth);
    assert_true(a->nets == b->nets && a->free == b->free && a->tanh == b->tanh && a->head == b->head);
    assert_true(a->action_scale == b->action_scale);
    assert_int_equal(back->n_weights, m->n_weights);
    assert_memory_equal(back->weights, m->weights, sizeof(float) * (size_t)m->n_weights);
    mg_model_free(back);
    mg_model_free(m);
}

static void refused_config(const char *text, const char *words) {
    const char *path = mg_path(&arena, "%s/config.json", folder);
    mg_model   *m;
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_int_not_equal(mg_model_load(&m, folder, false), MG_OK);
    if (!strstr(mg_err_detail(), words)) fail_msg("'%s' does not say '%s'", mg_err_detail(), words);
}

#define CONFIG(width, head)                                                                                  \
    "{\"architectures\":[\"MartingaleMLP\"],\"model_type\":\"martingale_mlp\",\"inputs\":4,\"outputs\":2,"     \
    "\"width\":" width ",\"depth\":2,\"nets\":2,\"free\":2,\"hidden_act\":\"tanh\",\"head\":" head             \
    ",\"action_scale\":0.4}"

// The weights are those that the test above left.
static void test_a_broken_folder_is_refused_by_name(void **state) {
    (void)state;
    refused_config(CONFIG("6", "\"gausian\""), "head is \"gausian\", wanted none, tanh");
    refused_config(CONFIG("\"6\"", "\"gaussian\""), "width is \"6\", wanted a whole number");
    refused_config(CONFIG("60000", "\"gaussian\""), "weights, config.json wants at least");
    refused_config(CONFIG("5", "\"gaussian\""), "nets.0.0.weight: shape [6, 4], config.json wants [5, 4]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_net_written_by_hand),
        cmocka_unit_test(test_nets_side_by_side_are_each_what_they_are_alone),
        cmocka_unit_test(test_first_weights_are_those_of_linear_layers),
        cmocka_unit_test(test_inputs_are_normalised),
        cmocka_unit_test(test_shapes_that_cannot_be),
        cmocka_unit_test(test_a_folder_gives_every_number_back),
        cmocka_unit_test(test_a_broken_folder_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
