// reproduce_offline_run.c - a cell of offline-online: data, pre-training and fine-tuning, and what the looks saw.
//
// In the grid's runs folder: data/WORLD-SET.hdf5, made once from the policies in models/; replay-WORLD, the run of
// sac whose buffer is medium-replay; pre-WORLD-SET-SEED, which the arms of a seed share; for a plant that is not that
// of the data, random-WORLD-SHIFT and start-WORLD-SHIFT-SET-SEED.
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/json.h"
#include "app/reproduce_offline.h"
#include "core/file.h"
#include "store/data_card.h"
#include "store/logged.h"

#define N(list) (int)(sizeof(list) / sizeof *(list))
#define SETTINGS_MAX 48

// How long and how wide, by world. All of it is ours.
typedef struct plan {
    const char *world, *rows, *offline, *steps, *block, *width, *batch, *lr, *warmup, *replay_steps;
} plan;

static const plan plans[] = {
    {"pendulum", "20000", "5000", "5000", "200", "64", "128", "1e-3", "1000", "3000"},
    {"hopper", "200000", "100000", "25000", "1000", "256", "256", "3e-4", "5000", "120000"},
    {"walker2d", "200000", "100000", "25000", "1000", "256", "256", "3e-4", "5000", "200000"},
    {"half-cheetah", "200000", "100000", "25000", "1000", "256", "256", "3e-4", "5000", "200000"},
};

static const plan *plan_of(const char *world) {
    for (int i = 0; i < N(plans); i++)
        if (strcmp(plans[i].world, world) == 0) return &plans[i];
    MG_ASSERT(!"a world without a plan");
    return NULL;
}

// ---- runs of train

typedef struct settings {
    mg_cells   *c;
    const char *algo;
    mg_override all[SETTINGS_MAX];
    int         n;
} settings;

static void put(settings *s, const char *key, const char *value) {
    MG_ASSERT(s->n < SETTINGS_MAX);
    s->all[s->n++] = (mg_override){key, value};
}

// A key without a dot is the algorithm's.
static void put_own(settings *s, const char *key, const char *value) {
    put(s, strchr(key, '.') ? key : mg_path(&s->c->arena, "%s.%s", s->algo, key), value);
}

static settings settings_of(mg_cells *c, const plan *p, const char *algo, const char *out, int seed) {
    settings s = {.c = c, .algo = algo};
    put(&s, "algo", algo), put(&s, "world", p->world), put(&s, "out", out);
    put(&s, "seed", mg_path(&c->arena, "%d", seed));
    put(&s, "threads", mg_path(&c->arena, "%lld", (long long)c->threads));
    put(&s, "record", "replayable"), put(&s, "evaluate_every", "1"), put(&s, "checkpoint_every", "1000");
    put(&s, "network.activation", "relu"), put(&s, "network.width", p->width);
    put_own(&s, "batch", p->batch), put_own(&s, "lr", p->lr), put_own(&s, "critic_lr", p->lr);
    put_own(&s, "evaluate_episodes", "20");
    return s;
}

static mg_err train(const settings *s, const char *out) {
    const mg_train_options o = {.overrides = s->all, .n_overrides = s->n,
                                .resume = mg_file_exists(mg_path(&s->c->arena, "%s/run.db", out)),
                                .make_world = mg_app_world, .world_class = mg_app_world_class,
                                .end_world = mg_app_world_free, .stop = &mg_stop, .wall_time = (double)time(NULL)};
    mg_train_result result;
    return mg_train(&o, &result);
}

// ---- data

// The run of sac whose replay buffer is medium-replay: as long as the medium policy's was.
static mg_err replay_run(mg_cells *c, const plan *p, const char **run) {
    *run = mg_path(&c->arena, "%s/replay-%s", c->runs, p->world);
    if (mg_file_exists(mg_path(&c->arena, "%s/report.html", *run))) return MG_OK;
    settings s = settings_of(c, p, "sac", *run, 1);
    put(&s, "sac.steps", p->replay_steps), put(&s, "sac.start_steps", "1000"), put(&s, "sac.replay", p->replay_steps);
    return train(&s, *run);
}

// As `martingale collect` would; its card goes to stdout.
static mg_err collect(mg_cells *c, const plan *p, const char *set, const char *file) {
    const char *run = NULL, *model = mg_path(&c->arena, "models/%s-%s", p->world, set);
    char       *argv[10];
    int         n = 0;
    argv[n++] = mg_arena_strdup(&c->arena, p->world);
    argv[n++] = "--level", argv[n++] = mg_arena_strdup(&c->arena, set);
    if (strcmp(set, "medium-replay") == 0) {
        mg_err err = replay_run(c, p, &run);
        if (err) return err;
        argv[n++] = "--run", argv[n++] = mg_arena_strdup(&c->arena, run);
    } else {
        argv[n++] = "--n", argv[n++] = mg_arena_strdup(&c->arena, p->rows);
        if (strcmp(set, "random") != 0) argv[n++] = "--model", argv[n++] = mg_arena_strdup(&c->arena, model);
    }
    argv[n++] = "--out", argv[n++] = mg_arena_strdup(&c->arena, file);
    const int status = mg_verb_collect.run(n, argv);
    return status == MG_EXIT_DONE ? MG_OK : mg_fail(MG_UNFIT, "%s: collect ended with status %d", file, status);
}

static mg_err data(mg_cells *c, const plan *p, const char *set, const char **file) {
    *file = mg_path(&c->arena, "%s/data/%s-%s.hdf5", c->runs, p->world, set);
    if (mg_file_exists(*file)) return MG_OK;
    mg_err err = mg_folder_make(mg_path(&c->arena, "%s/data", c->runs));
    return err ? err : collect(c, p, set, *file);
}

// J_random: the mean return of the random set's episodes.
static mg_err random_return(mg_cells *c, const plan *p, double *out, int64_t *n) {
    const char  *file;
    mg_logged    l;
    mg_data_card card;
    mg_err       err = data(c, p, "random", &file);
    if (!err) err = mg_d4rl_read(file, &c->arena, &l);
    if (err) return err;
    mg_data_card_make(&l, NULL, NULL, &c->arena, &card);
    *out = card.returns.mean, *n = card.finished;
    return MG_OK;
}

// ---- looks

// What the guard did, and how much of the starting policy's lead over random actions the policy that it leaves has.
typedef struct guarded {
    int64_t rollbacks, pairs;
    double  kept; // 1 + gain / span, of fresh pairs
} guarded;

static mg_err read_guard(mg_cells *c, mg_store *store, guarded *g) {
    char  *note;
    mg_err err = mg_store_note_read(store, "guard", &c->arena, &note);
    if (err) return err;
    json_t *o    = json_loads(note, 0, NULL);
    g->rollbacks = (int64_t)json_array_size(json_object_get(o, "rollbacks"));
    g->pairs     = json_integer_value(json_object_get(o, "verdict_pairs"));
    g->kept      = 1 + json_number_value(json_object_get(o, "gain")) / json_number_value(json_object_get(o, "span"));
    json_decref(o);
    return MG_OK;
}

// guard NULL: not asked for.
static mg_err read_looks(mg_cells *c, const char *run, mg_point **points, int64_t *n, guarded *guard) {
    mg_store *store;
    mg_err    err  = mg_store_open(&store, mg_path(&c->arena, "%s/run.db", run));
    if (err) return err;
    err = mg_store_metric_read(store, "return", &c->arena, points, n);
    if (!err && *n == 0) err = mg_fail(MG_EMPTY, "%s: found no look at the policy, wanted one or more", run);
    if (!err && guard) err = read_guard(c, store, guard);
    const mg_err closed = mg_store_close(store);
    return err ? err : closed;
}

static mg_err pretrain(mg_cells *c, const plan *p, const char *set, const char *file, int seed, const char **run) {
    *run = mg_path(&c->arena, "%s/pre-%s-%s-%d", c->runs, p->world, set, seed);
    if (mg_file_exists(mg_path(&c->arena, "%s/report.html", *run))) return MG_OK;
    settings s = settings_of(c, p, "td3_bc", *run, seed);
    put(&s, "data", file), put(&s, "td3_bc.offline_updates", p->offline);
    return train(&s, *run);
}

static mg_err finetune(mg_cells *c, const plan *p, const mg_offline_arm *a, const char *file, const char *model,
                       const char *out, int seed) {
    settings s = settings_of(c, p, a->algo, out, seed);
    put(&s, "data", file), put(&s, "model", model), put_own(&s, "offline_updates", "0");
    put_own(&s, "steps", p->steps), put_own(&s, "block", p->block), put_own(&s, "replay", p->steps);
    put_own(&s, "warmup_steps", p->warmup);
    for (int i = 0; i < MG_OFFLINE_MORE && a->more[i].key; i++) put_own(&s, a->more[i].key, a->more[i].value);
    return train(&s, out);
}

// ---- another plant than that of the data: where a fine-tuning begins has to be played there

static const mg_override *shift_of(const mg_offline_arm *a) {
    for (int i = 0; i < MG_OFFLINE_MORE && a->more[i].key; i++)
        if (strncmp(a->more[i].key, "environment.shift_", strlen("environment.shift_")) == 0) return &a->more[i];
    return NULL;
}

// The mean return of a policy, `how` --model or --policy, in an arm's plant; as `martingale rollout` would.
static mg_err played(mg_cells *c, const mg_offline_arm *a, const char *how, const char *who, const char *out,
                     int64_t episodes, double *mean) {
    const mg_override *shift = shift_of(a);
    if (!mg_file_exists(mg_path(&c->arena, "%s/report.html", out))) {
        static const char *const begun[] = {"run.db", "run.db-wal", "run.db-shm"}; // of a process that was killed here
        for (int i = 0; i < N(begun); i++) unlink(mg_path(&c->arena, "%s/%s", out, begun[i]));
        const char *const words[] = {how, who, "--world", a->world, mg_path(&c->arena, "--%s", shift->key),
                                     shift->value, "--out", out, "--episodes",
                                     mg_path(&c->arena, "%lld", (long long)episodes), "--threads",
                                     mg_path(&c->arena, "%lld", (long long)c->threads)};
        char *argv[N(words) + 1] = {0};
        for (int i = 0; i < N(words); i++) argv[i] = mg_arena_strdup(&c->arena, words[i]);
        const int status = mg_verb_rollout.run(N(words), argv);
        if (status != MG_EXIT_DONE) return mg_fail(MG_UNFIT, "%s: rollout ended with status %d", out, status);
    }
    mg_store *store;
    char     *note;
    mg_err    err = mg_store_open(&store, mg_path(&c->arena, "%s/run.db", out));
    if (err) return err;
    err = mg_store_note_read(store, "rollout", &c->arena, &note);
    if (!err) {
        json_t *o = json_loads(note, 0, NULL);
        *mean     = json_number_value(json_object_get(json_object_get(o, "return"), "estimate"));
        json_decref(o);
    }
    const mg_err closed = mg_store_close(store);
    return err ? err : closed;
}

// J_0 and J_random there.
static mg_err begin_shifted(mg_cells *c, const mg_offline_arm *a, const char *model, int seed, mg_offline_curve *x,
                            int64_t *random_n) {
    const mg_override *shift = shift_of(a);
    const char        *plant = mg_path(&c->arena, "%s-%s-%s", a->world, strrchr(shift->key, '_') + 1, shift->value);
    *random_n  = 200;
    mg_err err = played(c, a, "--policy", "random", mg_path(&c->arena, "%s/random-%s", c->runs, plant), *random_n,
                        &x->random);
    if (err) return err;
    return played(c, a, "--model", mg_path(&c->arena, "%s/model", model),
                  mg_path(&c->arena, "%s/start-%s-%s-%d", c->runs, plant, a->set, seed), 20, &x->start);
}

// ---- the cell

static void put_level(json_t *cell, const char *name, double x, int64_t n) {
    json_object_set_new(cell, name, json_pack("{s:o, s:I}", "estimate", mg_json_number(x), "n", (json_int_t)n));
}

static json_t *numbers(const mg_offline_curve *x, int64_t random_n, const guarded *guard) {
    mg_offline_score s;
    json_t          *cell = json_pack("{s:I, s:[]}", "every", (json_int_t)x->every, "curve");
    mg_offline_judge(x, &s);
    for (int64_t i = 0; i < x->n; i++)
        json_array_append_new(json_object_get(cell, "curve"), json_real(round(x->at[i] * 1000) / 1000));
    put_level(cell, "J0", x->start, 20), put_level(cell, "J_random", x->random, random_n);
    put_level(cell, "D", s.dip, x->n), put_level(cell, "event", s.event, x->n);
    put_level(cell, "recovery", s.recovery, x->n), put_level(cell, "auc", s.area, x->n);
    put_level(cell, "final", s.final, 20), put_level(cell, "share", s.share, 20);
    put_level(cell, "slope", s.slope, x->n);
    if (guard) put_level(cell, "rollbacks", (double)guard->rollbacks, 1);
    if (guard) put_level(cell, "kept", guard->kept, guard->pairs);
    return cell;
}

static bool is_guarded(const mg_offline_arm *a) {
    for (int i = 0; i < MG_OFFLINE_MORE && a->more[i].key; i++)
        if (strcmp(a->more[i].key, "guard.enabled") == 0) return true;
    return false;
}

mg_err mg_offline_run(mg_cells *c, const mg_offline_arm *a, const char *name, int seed, json_t **result) {
    const plan       *p = plan_of(a->world);
    const char       *file, *model, *out = mg_path(&c->arena, "%s/%s-%d", c->runs, name, seed);
    mg_offline_curve *x = MG_NEW(&c->arena, mg_offline_curve, 1);
    mg_point         *points;
    int64_t           n, random_n;
    guarded           guard, *watched = is_guarded(a) ? &guard : NULL;
    *x = (mg_offline_curve){.every = strtoll(p->block, NULL, 10)};
    mg_err err = random_return(c, p, &x->random, &random_n);
    if (!err) err = data(c, p, a->set, &file);
    if (!err) err = pretrain(c, p, a->set, file, seed, &model);
    if (!err) err = read_looks(c, model, &points, &n, NULL);
    if (err) return err;
    x->start = points[n - 1].value;
    if (shift_of(a)) err = begin_shifted(c, a, model, seed, x, &random_n);
    if (err) return err;
    if (a->algo) {
        err = finetune(c, p, a, file, model, out, seed);
        if (!err) err = read_looks(c, out, &points, &n, watched);
        if (err) return err;
        for (int64_t i = 0; i < n && i < MG_OFFLINE_LOOKS_MAX; i++) x->at[x->n++] = points[i].value;
    } else {
        x->at[x->n++] = x->start;
        x->every      = strtoll(p->steps, NULL, 10);
    }
    *result = numbers(x, random_n, watched);
    return MG_OK;
}
