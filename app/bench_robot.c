// bench_robot.c - a robot's steps: what watching and recording them adds to the physics, and whole learning steps.
#include <stdlib.h>
#include <string.h>

#include "app/bench.h"
#include "core/file.h"
#include "core/log.h"
#include "rollout/record.h"
#include "train/control.h"
#include "train/harness.h"
#include "train/job.h"
#include "worlds/robots.h"

enum { WARM = 1100, STEPS = 200, EPISODES = 200 }; // steps before any that counts; a repetition: steps, episodes
#define ARENA_MAX ((size_t)64 << 30)      // address space, not memory

typedef struct robot {
    const mg_bench *bench;
    char            folder[MG_BENCH_FOLDER_MAX];
    mg_arena        run, step;
    mg_settings     settings;
    mg_robot_world  world; // owned, as what follows
    mg_manifest     manifest;
    mg_job          job;
    mg_rollout      rollout;
    mg_env_pool     pool;
    mg_gate         gate;
    mg_store       *store;
    mg_learner     *learner;
    mg_control      control;
    mg_env          env;     // of the bare physics
    bool            env_open;
    int64_t         updates; // blocks done
} robot;

static void close_robot(void *context) {
    robot *r = context;
    if (r->env_open) mg_env_close(&r->env);
    mg_control_close(&r->control);
    if (r->learner) r->settings.algo->close(r->learner);
    if (r->store && mg_store_close(r->store)) mg_log(MG_LOG_WARN, "bench: %s", mg_err_detail());
    mg_env_pool_close(&r->pool);
    mg_manifest_release(&r->manifest);
    mg_robot_close(&r->world);
    mg_arena_release(&r->step);
    mg_arena_release(&r->run);
    mg_bench_folder_remove(r->folder);
    free(r);
}

// What the peer is asked for too (bench/peer_sb3.py).
static mg_err settle(robot *r, const char *algo) {
    const mg_override words[] = {
        {"algo", algo}, {"world", "hopper"}, {"network.width", "256"}, {"network.activation", "relu"},
        {mg_path(&r->run, "%s.steps", algo), "1000000000"}, {mg_path(&r->run, "%s.block", algo), "200"},
        {mg_path(&r->run, "%s.replay", algo), "100000"}, {mg_path(&r->run, "%s.start_steps", algo), "1000"}};
    return mg_settings_read(&r->settings, NULL, words, (int)(sizeof words / sizeof *words), &r->run);
}

static mg_err open_world(robot *r) {
    mg_err err = mg_robot_open(&r->world, "hopper", 5, NULL, NULL);
    if (err == MG_UNSUPPORTED || err == MG_IO)
        return mg_fail(MG_UNSUPPORTED, "rows of robots are left out: %s", mg_err_detail());
    const mg_env_class *class = mg_robot_class("hopper", 5);
    if (!err) err = mg_env_open(&r->env, class, &r->world, &r->run);
    if (err) return err;
    r->env_open = true;
    err = mg_harness_pin(class, &r->world, &r->run, &r->manifest);
    mg_env_pool_init(&r->pool, class, &r->world, &r->run);
    return err;
}

static mg_err open_all(robot *r, const mg_bench_case *c) {
    const mg_env_class *class = mg_robot_class("hopper", 5);
    mg_err err = mg_bench_folder_make(r->folder);
    if (!err) err = mg_arena_init(&r->run, "run", ARENA_MAX);
    if (!err) err = mg_arena_init(&r->step, "step", ARENA_MAX);
    if (!err) err = settle(r, c->word);
    if (!err) err = open_world(r);
    if (err) return err;
    r->job = (mg_job){.seed = 1, .team = r->bench->team, .compute = c->compute, .run = &r->run, .step = &r->step,
                      .model_folder = "", .reward_folder = "", .world = class,
                      .mlp = {.width = r->settings.network.width, .depth = r->settings.network.depth}};
    r->rollout = (mg_rollout){.class = class, .world = &r->world, .team = r->bench->team, .seed = 1,
                              .manifest = &r->manifest, .replay_share = 0, .wants_reward = true, .pool = &r->pool};
    mg_gate_init(&r->gate, &r->settings.gate);
    err = r->settings.algo->open(&r->learner, &r->job, r->settings.algo_config);
    if (err) return err;
    r->control = (mg_control){.algo = r->settings.algo, .learner = r->learner, .rollout = &r->rollout,
                              .gate = &r->gate};
    err = mg_control_open(&r->control, r->folder, &r->run);
    r->job.replay = r->control.replay;
    if (!err) err = mg_store_open(&r->store, mg_path(&r->run, "%s/run.db", r->folder));
    if (!err) mg_store_record(r->store, MG_RECORD_REPLAYABLE);
    return err ? err : mg_store_life(r->store, 0, "bench");
}

// A block of steps, with its record.
static mg_err block(robot *r, int64_t *steps) {
    const mg_algo *a      = r->settings.algo;
    const int64_t  before = a->steps(r->learner);
    mg_collected   c;
    mg_metrics     metrics = {0};
    mg_arena_reset(&r->step, 0);
    mg_err err = mg_control_block(&r->control, r->updates, &r->step, &c);
    if (!err) err = a->update(r->learner, r->updates, NULL, 0, &metrics);
    if (!err) err = mg_store_begin(r->store, r->updates);
    for (int64_t i = 0; i < c.n_all && !err; i++) err = mg_store_episode(r->store, &c.all[i]);
    if (!err) err = mg_store_commit(r->store);
    if (!err && mg_control_full(&r->control)) err = mg_control_mark(&r->control);
    r->updates++;
    *steps = a->steps(r->learner) - before;
    return err;
}

static mg_err open_robot(const mg_bench *b, const mg_bench_case *c, void **work) {
    int64_t steps;
    mg_err  err = mg_bench_can(c);
    if (err) return err;
    robot *r = calloc(1, sizeof *r);
    if (!r) return mg_fail(MG_NOMEM, "%s", c->name);
    r->bench = b;
    err      = open_all(r, c);
    while (!err && c->variant == 0 && r->settings.algo->steps(r->learner) < WARM) err = block(r, &steps);
    if (err)
        close_robot(r);
    else
        *work = r;
    return err;
}

// ---- Whole learning steps

static mg_err learn_once(void *context, double *value) {
    int64_t      steps = 0, all = 0;
    mg_err       err   = MG_OK;
    const double begun = mg_clock_seconds();
    while (all < STEPS && !err) err = block(context, &steps), all += steps;
    if (!err) *value = (double)all / (mg_clock_seconds() - begun);
    return err;
}

const mg_bench_work mg_bench_robot_work = {open_robot, learn_once, close_robot};

// ---- The share of physics
//
// Random actions, so that nothing but the world, its harness and the record is at work; the same episodes bare and
// through the gate.

static mg_err bare(robot *r, int64_t episodes, double *seconds) {
    const mg_env_class *class  = r->env.class;
    const mg_script    *script = mg_env_script(class, "random");
    mg_rng              rng    = mg_rng_stream(1, MG_PURPOSE_SAMPLE, (uint64_t)r->updates);
    mg_err              err    = MG_OK;
    const double        begun  = mg_clock_seconds();
    for (int64_t i = 0; i < episodes && !err; i++) {
        const mg_start start = {.item = -1, .group = (int32_t)i, .episode = (uint32_t)i};
        mg_transition  t     = {0};
        mg_value       seen, action;
        err = class->reset(&r->env, mg_record_seed(1, r->updates, &start), &(mg_reset_options){.item = -1}, 0, &seen);
        for (int64_t k = 0; k < MG_ROBOT_STEPS && !t.terminated && !err; k++) {
            mg_rng_seek(&rng, start.episode, 0, (uint32_t)k);
            err = script->act(&r->env, &rng, &action);
            if (!err) err = class->step(&r->env, &action, 0, &t);
        }
    }
    *seconds = mg_clock_seconds() - begun;
    return err;
}

static mg_err judged(robot *r, int64_t episodes, double *seconds) {
    mg_collected c;
    mg_arena_reset(&r->step, 0);
    const double begun  = mg_clock_seconds();
    mg_start    *starts = MG_NEW(&r->step, mg_start, episodes);
    for (int64_t i = 0; i < episodes; i++)
        starts[i] = (mg_start){.item = -1, .group = (int32_t)i, .episode = (uint32_t)i};
    r->rollout.script = mg_env_script(r->env.class, "random");
    mg_err err = mg_collect(&r->rollout, &r->gate, starts, episodes, r->updates, (uint64_t)r->updates, &r->step,
                            &r->step, &c);
    if (!err) err = mg_store_begin(r->store, r->updates);
    for (int64_t i = 0; i < c.n_all && !err; i++) err = mg_store_episode(r->store, &c.all[i]);
    if (!err) err = mg_store_commit(r->store);
    if (!err) err = mg_store_wait(r->store);
    *seconds = mg_clock_seconds() - begun;
    return err;
}

static mg_err share_once(void *context, double *value) {
    robot *r = context;
    double alone, with;
    mg_err err = bare(r, EPISODES, &alone);
    if (!err) err = judged(r, EPISODES, &with);
    if (!err) *value = alone / with;
    r->updates++;
    return err;
}

const mg_bench_work mg_bench_physics_work = {open_robot, share_once, close_robot};
