// bench_control.c - gradient steps of learners from a replay buffer, of a robot's size.
//
// 11 numbers seen, 3 given, networks of 256 x 256, batches of 256 drawn from a million transitions: what the
// peer is asked for too (bench/peer_td3.py). Transitions are noise; what a step costs does not depend on how
// good the policy is.
#include <stdlib.h>

#include "algos/algo.h"
#include "app/bench.h"
#include "core/file.h"
#include "core/log.h"
#include "store/replay.h"

enum { SEES = 11, DOES = 3, WIDTH = 256, DEPTH = 2, ROWS = 1000000, PART = 10000, STEPS = 100 };
#define ARENA_MAX ((size_t)4 << 30) // address space, not memory

static const mg_env_class world = {.name        = "bench",
                                   .observation = {.kind = MG_SPACE_VECTOR, .n = SEES},
                                   .action      = {.kind = MG_SPACE_VECTOR, .n = DOES, .low = -1, .high = 1}};

typedef struct control {
    char           folder[MG_BENCH_FOLDER_MAX]; // temporary: the buffer
    mg_arena       run, step;
    mg_job         job;
    const mg_algo *algo;
    mg_replay     *replay; // owned, as what follows
    mg_learner    *learner;
} control;

static void close_control(void *context) {
    control *c = context;
    if (c->learner) c->algo->close(c->learner);
    mg_replay_close(c->replay);
    mg_arena_release(&c->step);
    mg_arena_release(&c->run);
    mg_bench_folder_remove(c->folder);
    free(c);
}

static void noise(mg_rng *rng, float *x, int64_t n, double size) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)(size * (2 * mg_rng_uniform(rng) - 1));
}

static mg_err fill(control *c) {
    const mg_replay_shape shape = {.obs = SEES, .act = DOES, .capacity = ROWS, .margin = PART};
    mg_transitions        t     = mg_transitions_new(&c->run, PART, SEES, DOES);
    mg_rng                rng   = mg_rng_stream(1, MG_PURPOSE_WORLD, 0);
    mg_err                err   = mg_replay_open(&c->replay, mg_path(&c->run, "%s/replay", c->folder), &shape);
    for (int64_t i = 0; i < ROWS && !err; i += PART) {
        noise(&rng, t.observation, PART * SEES, 1.7);
        noise(&rng, t.next, PART * SEES, 1.7);
        noise(&rng, t.action, PART * DOES, 1);
        noise(&rng, t.reward, PART, 1);
        err = mg_replay_add(c->replay, &t);
    }
    return err;
}

static mg_err open_all(control *c) {
    mg_err err = mg_bench_folder_make(c->folder);
    if (!err) err = mg_arena_init(&c->run, "run", ARENA_MAX);
    if (!err) err = mg_arena_init(&c->step, "step", ARENA_MAX);
    if (!err) err = fill(c);
    if (err) return err;
    void      *config  = mg_arena_alloc(&c->run, c->algo->config_size);
    mg_section section = {c->algo->name, c->algo->fields, config};
    mg_config_defaults(&section, 1, &c->run);
    c->job.replay = c->replay;
    err = mg_config_set(&section, 1, mg_path(&c->run, "%s.start_steps", c->algo->name), "0", &c->run);
    if (!err) err = c->algo->open(&c->learner, &c->job, config);
    return err ? err : c->algo->act(c->learner, (float[SEES]){0}, true, (float[DOES]){0}); // it is in the world now
}

static mg_err open_control(const mg_bench *b, const mg_bench_case *row, void **work) {
    mg_err err = mg_bench_can(row);
    if (err) return err;
    control *c = calloc(1, sizeof *c);
    if (!c) return mg_fail(MG_NOMEM, "%s", row->name);
    c->algo = mg_algo_find(row->word);
    MG_ASSERT(c->algo);
    c->job = (mg_job){.seed = 1, .team = b->team, .compute = row->compute, .run = &c->run, .step = &c->step,
                      .model_folder = "", .reward_folder = "", .world = &world,
                      .mlp = {.width = WIDTH, .depth = DEPTH}};
    err = open_all(c);
    if (err)
        close_control(c);
    else
        *work = c;
    return err;
}

static mg_err once(void *context, double *value) {
    control     *c     = context;
    const double begun = mg_clock_seconds();
    mg_err       err   = MG_OK;
    for (int i = 0; i < STEPS && !err; i++) {
        mg_arena_reset(&c->step, 0);
        err = c->algo->learn(c->learner);
    }
    if (!err) *value = STEPS / (mg_clock_seconds() - begun);
    return err;
}

const mg_bench_work mg_bench_control_work = {open_control, once, close_control};
