// bench_model.c - training steps and generation, as the library does them for any algorithm.
#include <stdlib.h>

#include "app/bench.h"
#include "core/log.h"
#include "nets/generate.h"
#include "nets/optimiser.h"

enum { LENGTH = 128, BATCH = 16, TOKENS = BATCH * LENGTH, STEPS = 4, NEW = 128, SAMPLES_MAX = 64 };
#define ARENA_MAX ((size_t)16 << 30) // address space, not memory

const mg_model_config mg_bench_shape = {
    .family = MG_FAMILY_LLAMA, .vocab = MG_BENCH_VOCAB, .d_model = 256, .d_ff = 752, .n_layers = 6,
    .n_heads = 8, .n_kv_heads = 8, .head_width = 32, .context_max = 256, .rope_theta = 10000,
    .norm_eps = 1e-5, .init_std = 0.02, .bos = -1, .eos = -1, .pad = -1};

typedef struct work {
    const mg_bench *bench;
    mg_model       *model; // owned
    mg_adamw        optimiser;
    mg_arena        step, scratch;
    int32_t         tokens[TOKENS], targets[TOKENS], rows[TOKENS];
    int64_t         batch; // of generation
} work;

static void close_work(void *context) {
    work *w = context;
    mg_adamw_release(&w->optimiser);
    mg_model_free(w->model);
    mg_arena_release(&w->step);
    mg_arena_release(&w->scratch);
    free(w);
}

mg_err mg_bench_can(const mg_bench_case *c) {
    return mg_model_compute(NULL, c->compute) ? mg_fail(MG_UNSUPPORTED, "%s is left out: %s", c->name, mg_err_detail())
                                              : MG_OK;
}

static mg_err open_work(const mg_bench *b, const mg_bench_case *c, bool trained, work **out) {
    mg_err err = mg_bench_can(c);
    if (err) return err;
    work *w = calloc(1, sizeof *w);
    if (!w) return mg_fail(MG_NOMEM, "%s", c->name);
    w->bench = b, w->batch = c->variant;
    err = mg_arena_init(&w->step, "step", ARENA_MAX);
    if (!err) err = mg_arena_init(&w->scratch, "scratch", ARENA_MAX);
    if (!err) err = mg_model_new(&w->model, &mg_bench_shape, trained);
    if (!err) err = mg_model_compute(w->model, c->compute);
    if (!err) {
        MG_ASSERT((double)w->model->n_weights == MG_BENCH_WEIGHTS);
        mg_model_init(w->model, 1);
        *out = w;
    } else
        close_work(w);
    return err;
}

// ---- Training

static mg_err open_train(const mg_bench *b, const mg_bench_case *c, void **out) {
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01, .clip = 1};
    work  *w   = NULL;
    mg_err err = open_work(b, c, true, &w);
    if (!err) err = mg_adamw_init(&w->optimiser, w->model, &adam);
    if (err) {
        if (w) close_work(w);
        return err;
    }
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_INIT, 7);
    for (int32_t i = 0; i < TOKENS; i++) {
        w->rows[i]    = i;
        w->tokens[i]  = (int32_t)mg_rng_below(&rng, MG_BENCH_VOCAB);
        w->targets[i] = (int32_t)mg_rng_below(&rng, MG_BENCH_VOCAB);
    }
    *out = w;
    return MG_OK;
}

// Mean cross-entropy of TOKENS targets, backward, AdamW.
static mg_err train_step(work *w) {
    mg_arena_reset(&w->step, 0);
    mg_tape    tape = mg_tape_make(&w->step, w->bench->team, true);
    mg_batch   batch;
    mg_tensor *hidden;
    double     norm;
    mg_batch_init(&batch, &w->step, TOKENS, BATCH);
    for (int i = 0; i < BATCH; i++) mg_batch_add(&batch, w->tokens + i * LENGTH, LENGTH, -1);
    mg_batch_plan(&batch, &w->step);
    mg_err err = mg_model_hidden(&tape, w->model, &batch, NULL, &hidden);
    if (err) return err;
    mg_tensor *logp = mg_model_logp(&tape, w->model, hidden, w->rows, TOKENS, w->targets, 1, NULL);
    for (int i = 0; i < TOKENS; i++) mg_grad_f32(logp)[i] = -1.0f / TOKENS;
    mg_tape_backward(&tape);
    return mg_adamw_step(&w->optimiser, w->model, 1e-4, w->bench->team, &norm);
}

static mg_err train_once(void *context, double *value) {
    const double begun = mg_clock_seconds();
    for (int i = 0; i < STEPS; i++) {
        const mg_err err = train_step(context);
        if (err) return err;
    }
    *value = (double)STEPS * TOKENS / (mg_clock_seconds() - begun);
    return MG_OK;
}

const mg_bench_work mg_bench_train_work = {open_train, train_once, close_work};

// ---- Generation

static mg_err open_generate(const mg_bench *b, const mg_bench_case *c, void **out) {
    work  *w   = NULL;
    mg_err err = open_work(b, c, false, &w);
    if (!err) *out = w;
    return err;
}

// NEW tokens behind a prompt of one, for as many sequences as the batch has.
static mg_err generate(work *w) {
    static const int32_t first = 1;
    const mg_sampling    how   = {.temperature = 1, .top_p = 1, .new_max = NEW, .stop = -1};
    mg_prompt            prompts[SAMPLES_MAX];
    mg_sample            samples[SAMPLES_MAX];
    mg_arena_reset(&w->step, 0);
    for (int i = 0; i < w->batch; i++) {
        prompts[i] = (mg_prompt){&first, 1};
        samples[i] = (mg_sample){.prompt = i, .episode = (uint32_t)i};
    }
    return mg_generate(w->model, w->bench->team, prompts, w->batch, samples, w->batch, &how,
                       mg_rng_stream(1, MG_PURPOSE_SAMPLE, 0), &w->step, &w->scratch);
}

static mg_err generate_once(void *context, double *value) {
    work         *w     = context;
    const int64_t times = w->batch < 8 ? 8 : 1; // about a second
    const double  begun = mg_clock_seconds();
    for (int64_t i = 0; i < times; i++) {
        const mg_err err = generate(w);
        if (err) return err;
    }
    *value = (double)(times * w->batch * NEW) / (mg_clock_seconds() - begun);
    return MG_OK;
}

const mg_bench_work mg_bench_generate_work = {open_generate, generate_once, close_work};
