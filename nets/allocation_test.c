// Goal:   from sampling to the optimiser nothing allocates once the first steps are over, in any
//         thread and any library, whatever the lengths are.
// Method: this program's own malloc, calloc, realloc, their aligned kin, mmap and mremap stand
//         before the C library's for everything in the process, C++'s operator new among it, and
//         count while they are told to. Every step samples from prompts of other lengths, reads a
//         reference, takes gradients of log-probabilities and of a critic, and makes two AdamW
//         steps; perceptrons take batches of other lengths too. Not built with sanitizers, which
//         bring their own malloc.
//
// Pages of an arena that become real when first touched are no calls; they stay.
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nets/answers.h"
#include "nets/mlp.h"
#include "nets/optimiser.h"

// ---- What counts

static atomic_bool counting;
static bool        aborts; // at the first, for a debugger: MG_ALLOCATION_ABORT=1
static atomic_long calls, bytes; // while counting

static void count(size_t size) {
    if (!atomic_load_explicit(&counting, memory_order_relaxed)) return;
    if (aborts) abort();
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&bytes, (long)size);
}

// The GNU C library's own, under the names that it keeps for programs that replace them.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size) { return count(size), __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return count(n * size), __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return count(size), __libc_realloc(p, size); }
void *memalign(size_t align, size_t size) { return count(size), __libc_memalign(align, size); }
void *aligned_alloc(size_t align, size_t size) { return count(size), __libc_memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size) {
    count(size);
    void *p = __libc_memalign(align, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    count(size);
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

void *mremap(void *old, size_t old_size, size_t size, int flags, ...) {
    count(size);
    return (void *)syscall(SYS_mremap, old, old_size, size, flags, 0);
}

// ---- A step

enum { PROMPTS = 3, PER_PROMPT = 20, SAMPLES = PROMPTS * PER_PROMPT, LONGEST = 40, NEW = 12 };

typedef struct trainer {
    mg_team  *team;
    mg_model *policy, *reference, *critic;
    mg_adamw  policy_steps, critic_steps;
    mg_arena  step;
} trainer;

static const mg_model_config shape = {
    .family = MG_FAMILY_QWEN2, .vocab = 61, .d_model = 192, .d_ff = 320, .n_layers = 2, .n_heads = 4,
    .n_kv_heads = 2, .head_width = 48, .context_max = 64, .rope_theta = 10000, .norm_eps = 1e-6,
    .init_std = 0.2, .qkv_bias = true};

static void ok(mg_err err) {
    if (err) fail_msg("%s", mg_err_detail());
}

static trainer start(int threads, mg_compute compute) {
    trainer               t     = {0};
    const mg_adamw_config adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01,
                                   .clip = 1};
    ok(mg_team_open(&t.team, threads));
    ok(mg_model_new(&t.policy, &shape, true));
    mg_model_init(t.policy, 1);
    ok(mg_model_compute(t.policy, compute));
    ok(mg_model_copy(&t.reference, t.policy, false, false));
    ok(mg_model_copy(&t.critic, t.policy, true, true));
    ok(mg_adamw_init(&t.policy_steps, t.policy, &adamw));
    ok(mg_adamw_init(&t.critic_steps, t.critic, &adamw));
    ok(mg_arena_init(&t.step, "step", (size_t)1 << 30));
    return t;
}

static void stop(trainer *t) {
    mg_arena_release(&t->step);
    mg_adamw_release(&t->policy_steps);
    mg_adamw_release(&t->critic_steps);
    mg_model_free(t->policy);
    mg_model_free(t->reference);
    mg_model_free(t->critic);
    mg_team_close(t->team);
}

// Answers of every length to prompts of every length, as the step's number has it.
static mg_answers play(trainer *t, int number) {
    mg_prompt        *prompts = MG_NEW(&t->step, mg_prompt, PROMPTS);
    mg_sample        *samples = MG_NEW(&t->step, mg_sample, SAMPLES);
    mg_answer        *answers = MG_NEW(&t->step, mg_answer, SAMPLES);
    const mg_sampling how     = {.temperature = 0.9, .top_p = number % 2 ? 1 : 0.9, .top_k = 0,
                                 .new_max = NEW, .stop = 7};
    for (int p = 0; p < PROMPTS; p++) {
        const int64_t n      = 1 + (number * 7 + p * 11) % LONGEST;
        int32_t      *tokens = MG_NEW(&t->step, int32_t, n);
        for (int64_t k = 0; k < n; k++) tokens[k] = (int32_t)((k * 5 + p + number) % shape.vocab);
        prompts[p] = (mg_prompt){tokens, n};
    }
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = (mg_sample){.prompt = i % PROMPTS, .episode = (uint32_t)i,
                                 .forced = prompts[0].tokens, .n_forced = i % 5 == 4};
    ok(mg_generate(t->policy, t->team, prompts, PROMPTS, samples, SAMPLES - number % 3, &how,
                   mg_rng_stream(3, MG_PURPOSE_SAMPLE, (uint64_t)number), &t->step, &t->step));
    for (int i = 0; i < SAMPLES - number % 3; i++)
        answers[i] = (mg_answer){samples[i].prompt, samples[i].tokens, samples[i].n};
    return (mg_answers){prompts, PROMPTS, answers, SAMPLES - number % 3};
}

static void step(trainer *t, int number) {
    mg_arena_reset(&t->step, 0);
    const mg_answers all = play(t, number);
    float *reference = MG_NEW(&t->step, float, mg_answers_count(&all));
    ok(mg_answers_read_logp(t->reference, t->team, &all, 1, 5, &t->step, reference));

    mg_tape    tape = mg_tape_make(&t->step, t->team, true);
    mg_tensor *logp, *values;
    float     *entropy = MG_NEW(&t->step, float, mg_answers_count(&all));
    ok(mg_answers_logp(&tape, t->policy, &all, 0.9, &logp, entropy));
    for (int64_t i = 0; i < logp->rows; i++)
        mg_grad_f32(logp)[i] = mg_f32(logp)[i] - reference[i] + 0.1f;
    mg_tape_backward(&tape);
    ok(mg_adamw_step(&t->policy_steps, t->policy, 1e-3, t->team, NULL));

    mg_tape other = mg_tape_make(&t->step, t->team, true);
    ok(mg_answers_values(&other, t->critic, &all, &values));
    for (int64_t i = 0; i < values->rows; i++) mg_grad_f32(values)[i] = mg_f32(values)[i] - 1;
    mg_tape_backward(&other);
    ok(mg_adamw_step(&t->critic_steps, t->critic, 1e-3, t->team, NULL));
}

// ---- Tests

enum { FIRST_STEPS = 3, STEPS = 12 };

static void nothing_allocates(int threads, mg_compute compute) {
    trainer t = start(threads, compute);
    for (int i = 0; i < FIRST_STEPS; i++) step(&t, i);
    atomic_store(&calls, 0), atomic_store(&bytes, 0);
    aborts = getenv("MG_ALLOCATION_ABORT") != NULL;
    atomic_store(&counting, true);
    for (int i = FIRST_STEPS; i < STEPS; i++) step(&t, i);
    atomic_store(&counting, false);
    if (calls > 0)
        fail_msg("%d threads: %ld allocations of %ld bytes in %d steps", threads, calls, bytes,
                 STEPS - FIRST_STEPS);
    stop(&t);
}

static void nothing_allocates_with_one_thread(void **state) {
    (void)state;
    nothing_allocates(1, MG_COMPUTE_F32);
}

static void nothing_allocates_with_two_threads(void **state) {
    (void)state;
    nothing_allocates(2, MG_COMPUTE_F32);
}

static void nothing_allocates_in_bf16(void **state) {
    (void)state;
    if (!mg_linear_has_bf16()) skip();
    nothing_allocates(1, MG_COMPUTE_BF16);
    nothing_allocates(2, MG_COMPUTE_BF16);
}

// Perceptrons: a policy through which gradients go into a critic of two, batches of any length.
static void perceptron_step(trainer *t, int number) {
    const int64_t rows = 1 + number * 37 % 300;
    mg_arena_reset(&t->step, 0);
    mg_tape    tape = mg_tape_make(&t->step, t->team, true);
    mg_tensor *x    = MG_NEW(&t->step, mg_tensor, 1);
    *x = (mg_tensor){.rows = rows, .cols = 11, .data = MG_NEW(&t->step, float, rows * 11)};
    mg_tensor *a = mg_activation(&tape, mg_mlp_forward(&tape, t->policy, x), MG_TANH);
    mg_tensor *q = mg_mlp_forward(&tape, t->critic, mg_concat(&tape, x, a, 3));
    for (int64_t i = 0; i < mg_tensor_count(q); i++) mg_grad_f32(q)[i] = 1;
    mg_tape_backward(&tape);
    ok(mg_adamw_step(&t->policy_steps, t->policy, 1e-3, t->team, NULL));
    ok(mg_adamw_step(&t->critic_steps, t->critic, 1e-3, t->team, NULL));
}

static void nothing_allocates_for_perceptrons(void **state) {
    (void)state;
    const mg_adamw_config adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (mg_compute compute = MG_COMPUTE_F32; compute <= MG_COMPUTE_BF16; compute++) {
        if (compute == MG_COMPUTE_BF16 && !mg_linear_has_bf16()) continue;
        trainer         t      = {0};
        mg_model_config config = {.family = MG_FAMILY_MLP, .mlp = {.in = 11, .out = 3, .width = 64, .depth = 2,
                                                                  .nets = 1, .action_scale = 1}};
        ok(mg_team_open(&t.team, 2));
        ok(mg_model_new(&t.policy, &config, true));
        config.mlp.in = 14, config.mlp.out = 1, config.mlp.nets = 2;
        ok(mg_model_new(&t.critic, &config, true));
        mg_model_init(t.policy, 1), mg_model_init(t.critic, 2);
        ok(mg_model_compute(t.policy, compute));
        ok(mg_model_compute(t.critic, compute));
        ok(mg_adamw_init(&t.policy_steps, t.policy, &adamw));
        ok(mg_adamw_init(&t.critic_steps, t.critic, &adamw));
        ok(mg_arena_init(&t.step, "step", (size_t)1 << 30));
        perceptron_step(&t, 0);
        atomic_store(&calls, 0), atomic_store(&bytes, 0);
        atomic_store(&counting, true);
        for (int i = 1; i < STEPS; i++) perceptron_step(&t, i);
        atomic_store(&counting, false);
        if (calls > 0) fail_msg("%ld allocations of %ld bytes", calls, bytes);
        stop(&t);
    }
}

void *operator_new(size_t size) __asm__("_Znwm"); // of ops/cxx_memory.c, which asks malloc
void  operator_delete(void *p) __asm__("_ZdlPv");

// Else the tests above would see nothing.
static void allocations_of_any_kind_are_seen(void **state) {
    (void)state;
    void *volatile p[8] = {NULL}; // so that no call is optimised away
    void          *aligned = NULL;
    atomic_store(&calls, 0);
    atomic_store(&counting, true);
    p[0] = malloc(10);
    p[1] = calloc(2, 5);
    p[0] = realloc(p[0], 5000);
    p[2] = aligned_alloc(64, 640);
    p[3] = strdup("inside the C library");
    p[4] = memalign(64, 640);
    assert_int_equal(posix_memalign(&aligned, 64, 640), 0);
    p[5] = aligned;
    p[6] = operator_new(5000);
    p[7] = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[7] = mremap(p[7], 4096, 8192, MREMAP_MAYMOVE);
    atomic_store(&counting, false);
    assert_int_equal(calls, 10);
    for (int i = 0; i < 6; i++) free(p[i]);
    operator_delete(p[6]);
    munmap(p[7], 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_of_any_kind_are_seen),
        cmocka_unit_test(nothing_allocates_with_one_thread),
        cmocka_unit_test(nothing_allocates_with_two_threads),
        cmocka_unit_test(nothing_allocates_in_bf16),
        cmocka_unit_test(nothing_allocates_for_perceptrons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
