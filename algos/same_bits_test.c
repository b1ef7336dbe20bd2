// Goal:   a run ends with the same file of weights, by SHA-256, with one, two and three threads; how a
//         batch is packed moves weights by rounding alone.
// Method: short runs of all algorithms on tiny_job.h, with a network wide enough that every operation
//         is cut into several pieces. With another microbatch the same numbers are summed in another
//         order, so gradients may differ in their last bits (docs/KNOWN.md), and the weights after an
//         update by little against the way that they have come. After it a token may be drawn
//         otherwise, and a run go another way.
#include "algos/tiny_job.h"

#include <openssl/sha.h>

enum { MODELS_MAX = 4 };

typedef struct run {
    const char *algo, *settings;
    bool        reward; // with a reward model
} run;

static const run RUNS[] = {
    {"sft", "batch=12 epochs=3 lr=0.01 warmup=0", false},
    {"ppo", "updates=3 episodes=24 per_prompt=4 epochs=2 lr=0.005 critic_lr=0.005", true},
    {"grpo", "updates=3 prompts=4 group=6 epochs=2 lr=0.005", false},
    {"drpo", "updates=3 episodes=24 epochs=2 lr=0.005", true},
    {"dpo", "batch=12 lr=0.005 epochs=3", false},
    {"reward_model", "batch=12 epochs=3 lr=0.01 warmup=0", false},
};
enum { N_RUNS = sizeof RUNS / sizeof *RUNS };

// In the place of tiny_open's policy: rows of 96 numbers, so that a few hundred tokens are several
// pieces of everything that is cut.
static int open_wide(void **state) {
    if (tiny_open(state)) return -1;
    mg_model_config c = tiny_config(tiny_words, false);
    mg_model       *m = NULL;
    c.d_model = 96, c.d_ff = 200, c.n_heads = 6, c.n_kv_heads = 2, c.head_width = 16;
    ok(mg_model_new(&m, &c, false));
    mg_model_init(m, 1);
    ok(mg_model_save(m, tiny_policy, MG_FILE_F32, NULL));
    mg_model_free(m);
    return 0;
}

static tiny *played(const run *r, int64_t updates, int threads, mg_compute compute,
                    const char *more) {
    char  settings[256];
    tiny *t = tiny_job(r->algo, threads);
    snprintf(settings, sizeof settings, "%s %s", r->settings, more);
    t->job.reward_folder = r->reward ? tiny_reward : "";
    t->job.compute       = compute;
    ok(tiny_learner(t, settings));
    for (int64_t u = 0; u < updates; u++) ok(tiny_update(t, u));
    return t;
}

// SHA-256 of model.safetensors of every part that learns. Returns how many.
static int hashes_of(tiny *t, uint8_t hash[MODELS_MAX][32]) {
    mg_part   parts[MG_PARTS_MAX];
    const int n = t->algo->parts(t->learner, parts);
    assert_in_range(n, 1, MODELS_MAX);
    for (int i = 0; i < n; i++) {
        char   folder[128], *data;
        size_t size;
        snprintf(folder, sizeof folder, "%s/final", tiny_root);
        ok(mg_model_save(parts[i].model, folder, MG_FILE_F32, NULL));
        ok(mg_file_read(mg_path(&t->step, "%s/model.safetensors", folder), 1 << 24, &t->step, &data,
                        &size));
        assert_true(size > sizeof(float) * (size_t)parts[i].model->n_weights);
        SHA256((const uint8_t *)data, size, hash[i]);
    }
    return n;
}

static void any_number_of_threads(mg_compute compute) {
    for (int i = 0; i < N_RUNS; i++) {
        uint8_t   wanted[MODELS_MAX][32], found[MODELS_MAX][32];
        tiny     *t = played(&RUNS[i], 3, 1, compute, "");
        const int n = hashes_of(t, wanted);
        tiny_stop(t);
        for (int threads = 2; threads <= 3; threads++) {
            t = played(&RUNS[i], 3, threads, compute, "");
            assert_int_equal(hashes_of(t, found), n);
            tiny_stop(t);
            if (memcmp(found, wanted, 32 * (size_t)n))
                fail_msg("%s: %d threads end with other weights", RUNS[i].algo, threads);
        }
        // And it has learnt: another step size ends elsewhere.
        t = played(&RUNS[i], 3, 1, compute, "lr=0.002");
        hashes_of(t, found);
        tiny_stop(t);
        assert_memory_not_equal(found, wanted, 32);
    }
}

static void any_number_of_threads_ends_with_the_same_file(void **state) {
    (void)state;
    any_number_of_threads(MG_COMPUTE_F32);
}

static void in_bf16_too(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    any_number_of_threads(MG_COMPUTE_BF16);
}

static double distance(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += pow((double)(a[i] - b[i]), 2);
    return sqrt(sum);
}

static void packing_moves_an_update_by_rounding_alone(void **state) {
    (void)state;
    const char *const packings[] = {"microbatch=1", "microbatch=3"}; // all at once is the rule
    for (int i = 0; i < N_RUNS; i++) {
        tiny        *whole = played(&RUNS[i], 1, 1, MG_COMPUTE_F32, "microbatch=1000");
        const mg_part last = tiny_part(whole, 0);
        tiny         *start = tiny_start(RUNS[i].algo, 1, RUNS[i].reward ? tiny_reward : "",
                                         RUNS[i].settings);
        const int64_t n     = last.model->n_weights;
        const double  moved = distance(last.model->weights, tiny_part(start, 0).model->weights, n);
        assert_true(moved > 0);
        for (size_t p = 0; p < sizeof packings / sizeof *packings; p++) {
            tiny        *t   = played(&RUNS[i], 1, 1, MG_COMPUTE_F32, packings[p]);
            const double off = distance(tiny_part(t, 0).model->weights, last.model->weights, n);
            if (!(off <= 2e-4 * moved))
                fail_msg("%s, %s: off by %g of %g", RUNS[i].algo, packings[p], off, moved);
            print_message("%s, %s: off by %.1e of the way\n", RUNS[i].algo, packings[p], off / moved);
            tiny_stop(t);
        }
        tiny_stop(start);
        tiny_stop(whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_ends_with_the_same_file),
        cmocka_unit_test(in_bf16_too),
        cmocka_unit_test(packing_moves_an_update_by_rounding_alone),
    };
    return cmocka_run_group_tests(tests, open_wide, tiny_close);
}
