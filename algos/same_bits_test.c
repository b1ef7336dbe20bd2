// Goal:   a run ends with the same file of weights, by SHA-256, with one, two and three threads and
//         however its batch is packed.
// Method: short runs of all algorithms on tiny_job.h, with a network wide enough that every operation
//         is cut into several pieces, and batches of more than one portion.
#include "algos/tiny_job.h"

#include <openssl/sha.h>

enum { MODELS_MAX = 4 };

typedef struct run {
    const char *algo, *settings;
    bool        reward; // with a reward model
} run;

static const run RUNS[] = {
    {"sft", "batch=60 epochs=18 lr=0.01 warmup=0", false},
    {"ppo", "updates=3 episodes=72 per_prompt=4 epochs=2 lr=0.005 critic_lr=0.005", true},
    {"grpo", "updates=3 prompts=12 group=6 epochs=2 lr=0.005", false},
    {"drpo", "updates=3 episodes=72 epochs=2 lr=0.005", true},
    {"dpo", "batch=60 lr=0.005 epochs=18", false},
    {"reward_model", "batch=60 epochs=18 lr=0.01 warmup=0", false},
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

static tiny *played(const run *r, int threads, mg_compute compute, const char *more) {
    char  settings[256];
    tiny *t = tiny_job(r->algo, threads);
    snprintf(settings, sizeof settings, "%s %s", r->settings, more);
    t->job.reward_folder = r->reward ? tiny_reward : "";
    t->job.compute       = compute;
    ok(tiny_learner(t, settings));
    for (int64_t u = 0; u < 3; u++) ok(tiny_update(t, u));
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

// Answers one by one, in parts that no batch is a multiple of, all at once.
static const char *const PACKINGS[] = {"microbatch=1", "microbatch=7", "microbatch=1000"};

static void any_threads_and_packing(mg_compute compute) {
    for (int i = 0; i < N_RUNS; i++) {
        uint8_t   wanted[MODELS_MAX][32], found[MODELS_MAX][32];
        tiny     *t = played(&RUNS[i], 1, compute, "");
        const int n = hashes_of(t, wanted);
        tiny_stop(t);
        for (int threads = 1; threads <= 3; threads++) {
            const char *packing = PACKINGS[threads - 1];
            t                   = played(&RUNS[i], threads, compute, packing);
            assert_int_equal(hashes_of(t, found), n);
            tiny_stop(t);
            if (memcmp(found, wanted, 32 * (size_t)n))
                fail_msg("%s: %d threads and %s end with other weights", RUNS[i].algo, threads, packing);
        }
        // And it has learnt: another step size ends elsewhere.
        t = played(&RUNS[i], 1, compute, "lr=0.002");
        hashes_of(t, found);
        tiny_stop(t);
        assert_memory_not_equal(found, wanted, 32);
    }
}

static void any_threads_and_packing_end_with_the_same_file(void **state) {
    (void)state;
    any_threads_and_packing(MG_COMPUTE_F32);
}

static void in_bf16_too(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    any_threads_and_packing(MG_COMPUTE_BF16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_threads_and_packing_end_with_the_same_file),
        cmocka_unit_test(in_bf16_too),
    };
    return cmocka_run_group_tests(tests, open_wide, tiny_close);
}
