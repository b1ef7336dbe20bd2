// tiny_steps.h - for tests: an off-policy learner on a world of a formula, from its first step to its last.
//
// The world shows three numbers and takes two; what is seen next is a mixture of both. A file of four hundred
// transitions of evenly drawn actions is the data set. The loop is that of train/control.c without episodes: act,
// add to the buffer, learn.
#ifndef MG_ALGOS_TINY_STEPS_H
#define MG_ALGOS_TINY_STEPS_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "algos/off_policy.h"
#include "core/file.h"
#include "store/replay.h"

enum { TINY_SEES = 3, TINY_DOES = 2, TINY_ROWS = 400 };

static const mg_env_class tiny_world = {.name        = "formula",
                                        .observation = {.kind = MG_SPACE_VECTOR, .n = TINY_SEES},
                                        .action = {.kind = MG_SPACE_VECTOR, .n = TINY_DOES, .low = -2, .high = 2}};

static inline void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

static inline void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

static inline void refused(mg_err err, mg_err wanted, const char *part) {
    if (err != wanted || !strstr(mg_err_detail(), part))
        fail_msg("%s: %s; wanted %s: ...%s...", mg_err_name(err), mg_err_detail(), mg_err_name(wanted), part);
}

typedef struct tiny_steps {
    const mg_algo *algo;
    mg_job         job;
    mg_arena       run, step;
    mg_learner    *learner;
    mg_replay     *ring;
    mg_transitions data;
    char           path[64];
    float          seen[TINY_SEES];
    mg_metrics     metrics;
} tiny_steps;

static inline float tiny_next(const float *s, const float *a, int j) {
    return (float)sin(1.3 * (double)s[(j + 1) % TINY_SEES] + (double)a[j % TINY_DOES] + 0.3 * j);
}

static inline float tiny_reward(const float *s, const float *a) {
    return (float)(1 - pow((double)a[0] - 0.5 * (double)s[0], 2) - 0.1 * pow((double)a[1], 2));
}

// Row i of the data set; every seventh row ends an episode.
static inline void tiny_row(mg_transitions *t, int64_t i, mg_rng *rng) {
    float *s = t->observation + i * TINY_SEES, *a = t->action + i * TINY_DOES;
    for (int j = 0; j < TINY_SEES; j++) s[j] = (float)(3 * mg_rng_normal(rng) + j);
    for (int j = 0; j < TINY_DOES; j++) a[j] = (float)(2 * mg_rng_uniform(rng) - 1);
    for (int j = 0; j < TINY_SEES; j++) t->next[i * TINY_SEES + j] = tiny_next(s, a, j);
    t->reward[i]   = tiny_reward(s, a);
    t->terminal[i] = i % 7 == 0;
}

// Everything but the learner; tests change the job before tiny_steps_learner. data: with the data set.
static inline tiny_steps *tiny_steps_job(const char *algo, int threads, bool data) {
    tiny_steps *t = calloc(1, sizeof *t);
    mg_rng      rng = mg_rng_stream(21, MG_PURPOSE_TEST, 0);
    t->algo = mg_algo_find(algo);
    assert_non_null(t->algo);
    ok(mg_arena_init(&t->run, "run", (size_t)1 << 30));
    ok(mg_arena_init(&t->step, "step", (size_t)1 << 30));
    t->job = (mg_job){.seed = 5, .run = &t->run, .step = &t->step, .model_folder = "", .reward_folder = "",
                      .world = &tiny_world, .mlp = {.width = 8, .depth = 2}};
    ok(mg_team_open(&t->job.team, threads));
    t->data = mg_transitions_new(&t->run, TINY_ROWS, TINY_SEES, TINY_DOES);
    for (int64_t i = 0; i < TINY_ROWS; i++) tiny_row(&t->data, i, &rng);
    if (data) t->job.transitions = &t->data;
    strcpy(t->path, "/tmp/mg-steps-XXXXXX");
    close(mkstemp(t->path)), unlink(t->path);
    ok(mg_replay_open(&t->ring, t->path,
                      &(mg_replay_shape){.obs = TINY_SEES, .act = TINY_DOES, .capacity = 300, .margin = 300}));
    t->job.replay = t->ring;
    return t;
}

// settings: "key=value key=value ..." of the algorithm's section, over small numbers of all learners.
static inline mg_err tiny_steps_learner(tiny_steps *t, const char *settings) {
    void      *config  = mg_arena_alloc(&t->run, t->algo->config_size);
    mg_section section = {t->algo->name, t->algo->fields, config};
    char      *rest    = mg_path(&t->run, "batch=16 block=4 start_steps=0 lr=0.01 critic_lr=0.02 %s", settings), *word;
    mg_config_defaults(&section, 1, &t->run);
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        if (*key) ok(mg_config_set(&section, 1, mg_path(&t->run, "%s.%s", t->algo->name, key), word, &t->run));
    }
    return t->algo->open(&t->learner, &t->job, config);
}

static inline tiny_steps *tiny_steps_start(const char *algo, int threads, bool data, const char *settings) {
    tiny_steps *t = tiny_steps_job(algo, threads, data);
    ok(tiny_steps_learner(t, settings));
    return t;
}

static inline void tiny_steps_stop(tiny_steps *t) {
    if (t->learner) t->algo->close(t->learner);
    mg_replay_close(t->ring);
    unlink(t->path);
    mg_team_close(t->job.team);
    mg_arena_release(&t->run);
    mg_arena_release(&t->step);
    free(t);
}

// One update: a block of steps, if it has any, and its report.
static inline mg_err tiny_steps_update(tiny_steps *t, int64_t update) {
    mg_err err = MG_OK;
    mg_arena_reset(&t->step, 0);
    t->metrics = (mg_metrics){0};
    while (!err && t->algo->steps(t->learner) < t->algo->steps_end(t->learner, update)) {
        mg_transitions row = mg_transitions_new(&t->step, 1, TINY_SEES, TINY_DOES);
        memcpy(row.observation, t->seen, sizeof t->seen);
        err = t->algo->act(t->learner, t->seen, true, row.action);
        if (err) break;
        for (int j = 0; j < TINY_SEES; j++) row.next[j] = tiny_next(t->seen, row.action, j);
        row.reward[0] = tiny_reward(t->seen, row.action);
        err = mg_replay_add(t->ring, &row);
        memcpy(t->seen, row.next, sizeof t->seen);
        if (!err) err = t->algo->learn(t->learner);
    }
    return err ? err : t->algo->update(t->learner, update, NULL, 0, &t->metrics);
}

static inline double tiny_steps_metric(const tiny_steps *t, const char *name) {
    for (int i = 0; i < t->metrics.n; i++)
        if (strcmp(t->metrics.rows[i].name, name) == 0) return t->metrics.rows[i].value;
    fail_msg("there is no metric %s", name);
    return NAN;
}

// Parts, moments and the learner's own bytes.
static inline bool tiny_steps_same(tiny_steps *a, tiny_steps *b) {
    mg_part     x[MG_PARTS_MAX], y[MG_PARTS_MAX];
    const int   n = a->algo->parts(a->learner, x);
    mg_stepping p = a->algo->stepping(a->learner), q = b->algo->stepping(b->learner);
    assert_int_equal(b->algo->parts(b->learner, y), n);
    if (p.state_size != q.state_size || memcmp(p.state, q.state, p.state_size)) return false;
    for (int i = 0; i < n; i++) {
        const size_t size = sizeof(float) * (size_t)x[i].model->n_weights;
        if (memcmp(x[i].model->weights, y[i].model->weights, size)) return false;
        if (!x[i].optimiser) continue;
        if (x[i].optimiser->steps != y[i].optimiser->steps || memcmp(x[i].optimiser->m, y[i].optimiser->m, size) ||
            memcmp(x[i].optimiser->v, y[i].optimiser->v, size))
            return false;
    }
    return true;
}

// What a checkpoint keeps of a learner, and nothing else; the buffer as it is.
static inline void tiny_steps_carry(tiny_steps *from, tiny_steps *to) {
    mg_part     a[MG_PARTS_MAX], b[MG_PARTS_MAX];
    const int   n = from->algo->parts(from->learner, a);
    mg_stepping p = from->algo->stepping(from->learner), q = to->algo->stepping(to->learner);
    to->algo->parts(to->learner, b);
    memcpy(q.state, p.state, p.state_size);
    for (int i = 0; i < n; i++) {
        const size_t size = sizeof(float) * (size_t)a[i].model->n_weights;
        memcpy(b[i].model->weights, a[i].model->weights, size);
        mg_model_touch(b[i].model);
        if (!a[i].optimiser) continue;
        memcpy(b[i].optimiser->m, a[i].optimiser->m, size);
        memcpy(b[i].optimiser->v, a[i].optimiser->v, size);
        b[i].optimiser->steps = a[i].optimiser->steps;
    }
    mg_transitions rows = mg_transitions_new(&to->step, mg_replay_rows(from->ring) - mg_replay_low(from->ring),
                                             TINY_SEES, TINY_DOES);
    mg_replay_read(from->ring, mg_replay_low(from->ring), &rows);
    ok(mg_replay_rewind(to->ring, 0, NULL));
    ok(mg_replay_add(to->ring, &rows));
    memcpy(to->seen, from->seen, sizeof to->seen);
}
#endif
