// rollout_world.c - settings, world, policy and gate of a rollout.
#include "app/rollout_world.h"

#include <jansson.h>
#include <string.h>

#include "algos/spaces.h"
#include "app/asked.h"
#include "core/file.h"
#include "nets/folder.h"
#include "rollout/numbers.h"
#include "rollout/scripted.h"
#include "store/jsonl.h"

#define ARENA_MAX     ((size_t)16 << 30) // address space
#define STEP_MAX      ((size_t)64 << 30)
#define OVERRIDES_MAX 256
#define BATCH         128 // episodes at a time
#define BATCH_PROCESS 8   // of an environment that is a process each

// A run's own settings, unless a configuration is named; then what the command line says.
static mg_err read_settings(mg_rollout_world *w, const mg_rollout_asked *a) {
    const char *path = a->config ? a->config : a->model ? mg_asked_run(a->model, &w->arena) : NULL;
    mg_override all[OVERRIDES_MAX];
    int         n = 0;
    if (a->n_overrides > OVERRIDES_MAX - 5) return mg_fail(MG_LIMIT, "rollout: too many keys");
    if (!path) all[n++] = (mg_override){"algo", "grpo"};
    // A run's policy may be tried in a process: the world that the run was trained in is not meant then.
    for (int i = 0; i < a->n_overrides && !a->config; i++)
        if (strcmp(a->overrides[i].key, "environment.command") == 0)
            all[n++] = (mg_override){"world", "synopsis"};
    for (int i = 0; i < a->n_overrides; i++) all[n++] = a->overrides[i];
    all[n++] = (mg_override){"out", a->out};
    if (a->model) all[n++] = (mg_override){"model", a->model};
    return mg_settings_read(&w->settings, path, all, n, &w->arena);
}

static mg_err refuse_process(const mg_rollout_world *w, const mg_rollout_asked *a) {
    const char *command = w->settings.environment.command;
    if (!a->bundled || !command[0]) return MG_OK;
    bool given = false;
    for (int i = 0; i < a->n_overrides; i++) given |= strcmp(a->overrides[i].key, "environment.command") == 0;
    return mg_fail(MG_CONFIG, "environment.command%s%s: found '%s', wanted none: sets are made of bundled worlds "
                              "alone; `rollout` plays processes", given ? "" : " of ", given ? "" : a->model, command);
}

// A perceptron of no run does not say which world it is of, and the one where nobody says is made of texts.
static mg_err check_world(mg_rollout_world *w, const mg_rollout_asked *a) {
    const mg_settings *s = &w->settings;
    mg_model_config    config;
    if (!a->model || strcmp(s->run.world, "synopsis") || s->run.data[0] || s->environment.command[0] ||
        !mg_file_exists(mg_path(&w->arena, "%s/config.json", s->run.model)))
        return MG_OK;
    mg_err err = mg_model_config_read(s->run.model, &config);
    if (err || config.family != MG_FAMILY_MLP) return err;
    return mg_fail(MG_CONFIG, "world: found synopsis, which is made of texts, wanted --world NAME of one that shows "
                              "%lld numbers: %s is a perceptron of these", (long long)config.mlp.in, a->model);
}

// A world over a data set is made of the split's rows, which are its tasks.
static mg_err open_world(mg_rollout_world *w, const char *split) {
    const mg_settings *s     = &w->settings;
    mg_pair           *train = NULL, *rows = NULL;
    int64_t            n_train = 0, n = 0;
    mg_err             err     = MG_OK;
    const bool         data = strcmp(s->run.world, "synopsis") == 0 && !s->environment.command[0];
    w->split = data ? split : "";
    if (data && s->run.data[0]) {
        err = mg_settings_folder("data", s->run.data);
        if (!err) err = mg_pairs_read(mg_path(&w->arena, "%s/train.jsonl", s->run.data), &w->arena, &train, &n_train);
        if (!err)
            err = mg_pairs_read(mg_path(&w->arena, "%s/%s.jsonl", s->run.data, split), &w->arena, &rows, &n);
    }
    if (!err) err = mg_app_world_of(s, train, n_train, rows, n, &w->arena, &w->world);
    if (!err) err = mg_harness_pin(w->world.class, w->world.world, &w->arena, &w->manifest);
    if (err) return err;
    w->how.class = w->world.class, w->how.world = w->world.world;
    w->how.manifest = w->manifest.name ? &w->manifest : NULL;
    return MG_OK;
}

// The tasks [from, to), in one fixed random order for everybody: anytime-valid tests ask that the next one
// be like those before it.
static mg_err choose_items(mg_rollout_world *w, int64_t from, int64_t to) {
    int64_t n;
    mg_err  err = mg_app_world_items(&w->world, &w->arena, &n);
    if (err) return err;
    if (from > 0 && from >= n)
        return mg_fail(MG_CONFIG, "--from: found %lld, wanted less than %lld, the world's tasks",
                       (long long)from, (long long)n);
    if (to > n || (to > 0 && to <= from))
        return mg_fail(MG_CONFIG, "--to: found %lld, wanted more than %lld (--from) and at most %lld, the "
                                  "world's tasks", (long long)to, (long long)from, (long long)n);
    if (n == 0) return MG_OK;
    mg_rng rng = mg_rng_stream(0, MG_PURPOSE_EVAL, 0);
    w->n_items = (to > 0 ? to : n) - from;
    w->items   = MG_NEW(&w->arena, int64_t, w->n_items);
    for (int64_t i = 0; i < w->n_items; i++) w->items[i] = from + i;
    mg_rng_shuffle(&rng, w->items, w->n_items);
    return MG_OK;
}

// How a policy acts unless it is said: a language model as its run sampled, a perceptron by its mode.
static mg_sampling sampling_of(const mg_rollout_world *w, double asked) {
    const double own = mg_asked_temperature(&w->settings);
    if (w->model->nets) return (mg_sampling){.temperature = asked >= 0 ? asked : 0};
    return (mg_sampling){.temperature = asked >= 0 ? asked : own >= 0 ? own : 0.7, .top_p = 1,
                         .stop = w->job.rule.stop, .new_max = w->job.response_max};
}

static mg_err open_model(mg_rollout_world *w, const mg_rollout_asked *a) {
    const mg_env_class *c = w->world.class;
    if (!mg_spaces_texts(c) && !mg_spaces_vectors(c))
        return mg_fail(MG_CONFIG, "--model: %s has neither texts nor vectors for a model; --policy names a script",
                       c->name);
    if (!mg_file_exists(mg_path(&w->arena, "%s/config.json", w->settings.run.model)))
        return mg_fail(MG_CONFIG, "%s: found nothing, wanted a run or model folder", a->model);
    // Whatever it was trained by, here it only acts: no data are needed.
    mg_settings acting  = w->settings;
    acting.algo         = mg_algo_find(mg_spaces_texts(c) ? "grpo" : "ppo");
    acting.run.data     = acting.run.preferences = acting.run.reward_model = "";
    acting.sections[MG_SECTION_RUN].values = &acting.run;
    w->job              = (mg_job){.run = &w->arena, .step = &w->step, .team = w->job.team, .world = c};
    mg_err err          = mg_job_open(&w->job, &acting, &w->tokenizer);
    if (!err) err = mg_model_load(&w->model, acting.run.model, false);
    if (!err) err = mg_model_compute(w->model, w->job.compute);
    if (err) return err;
    w->how.model = w->model, w->how.tokenizer = w->tokenizer, w->how.rule = w->job.rule;
    w->how.sampling = sampling_of(w, a->temperature);
    return MG_OK;
}

static mg_err open_policy(mg_rollout_world *w, const mg_rollout_asked *a) {
    w->policy = a->model ? a->model : a->script;
    if (a->model) return open_model(w, a);
    w->how.script = mg_env_script(w->world.class, a->script);
    if (!w->how.script && strcmp(a->script, "random") == 0) w->how.script = mg_scripted_random(w->world.class);
    if (w->how.script) return MG_OK;
    char names[256] = "";
    for (const mg_script *s = w->world.class->scripts; s && s->name; s++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", names[0] ? " " : "", s->name);
    return mg_fail(MG_CONFIG, "--policy: found '%s', wanted one of %s's own: %s%s", a->script,
                   w->world.class->name, names[0] ? names : "it has none",
                   mg_env_script(w->world.class, "random")  ? ""
                   : mg_scripted_random(w->world.class) ? "; or random"
                                                        : "; nor does it list actions for random");
}

static mg_err open_arenas(mg_rollout_world *w) {
    *w         = (mg_rollout_world){.batch = BATCH};
    mg_err err = mg_arena_init(&w->arena, "rollout", ARENA_MAX);
    return err ? err : mg_arena_init(&w->step, "rollout step", STEP_MAX);
}

mg_err mg_rollout_world_open(mg_rollout_world *w, const mg_rollout_asked *a) {
    mg_err err = open_arenas(w);
    if (!err) err = read_settings(w, a);
    if (!err) err = refuse_process(w, a);
    if (!err) err = check_world(w, a);
    if (!err) err = mg_team_open(&w->job.team, (int)w->settings.run.threads);
    if (!err) err = open_world(w, a->split);
    if (!err) err = choose_items(w, a->from, a->to);
    if (!err) err = open_policy(w, a);
    if (err) return err;
    mg_gate_init(&w->gate, &w->settings.gate);
    mg_env_pool_init(&w->pool, w->world.class, w->world.world, &w->arena);
    if (w->settings.environment.command[0]) w->batch = BATCH_PROCESS;
    w->how.pool         = &w->pool;
    w->how.wants_reward = true, w->how.replay_share = w->settings.gate.replay_share;
    w->how.team = w->job.team, w->how.seed = (uint64_t)w->settings.run.seed;
    return MG_OK;
}

mg_err mg_rollout_world_run(mg_rollout_world *w, const char *out, mg_run *run) {
    const char *text, *identity = mg_harness_identity(w->how.class, &w->manifest, &w->arena);
    mg_err      err = mg_settings_text(&w->settings, mg_app_world_class(&w->settings), &w->arena, &text);
    if (!err) err = mg_run_open(run, out, false, identity, text, &w->arena);
    const mg_numbers numbers = mg_numbers_of(w->how.class);
    if (!err) err = mg_numbers_note(run->store, &numbers);
    if (!err) mg_store_record(run->store, mg_record_named(w->settings.run.record));
    return err;
}

// The split that a rollout over a data set was made of; a training run's world is made of "train".
static mg_err split_of(mg_rollout_world *w, const char *folder, const char **split) {
    mg_store *store;
    char     *text = NULL;
    *split         = "train";
    mg_err err = mg_store_open(&store, mg_path(&w->arena, "%s/run.db", folder));
    if (err) return err;
    err = mg_store_note_read(store, "rollout", &w->arena, &text);
    if (!err) {
        json_t *note = json_loads(text, 0, NULL);
        const char *s = json_string_value(json_object_get(note, "split"));
        if (s && *s) *split = mg_arena_strdup(&w->arena, s);
        json_decref(note);
    }
    const mg_err closed = mg_store_close(store);
    return err && err != MG_EMPTY ? err : closed;
}

mg_err mg_rollout_world_of_run(mg_rollout_world *w, const char *folder) {
    const char *split;
    mg_err      err = open_arenas(w);
    if (!err && !mg_file_exists(mg_path(&w->arena, "%s/run.db", folder))) // which opening it would make
        err = mg_fail(MG_IO, "%s: not a run: it has no run.db", folder);
    if (!err) err = mg_settings_read(&w->settings, mg_path(&w->arena, "%s/run.yaml", folder), NULL, 0, &w->arena);
    if (!err) err = split_of(w, folder, &split);
    return err ? err : open_world(w, split);
}

void mg_rollout_world_close(mg_rollout_world *w) {
    mg_env_pool_close(&w->pool);
    mg_model_free(w->model);
    mg_tokenizer_free(w->tokenizer);
    mg_manifest_release(&w->manifest);
    mg_app_world_free(&w->world);
    mg_team_close(w->job.team);
    mg_arena_release(&w->step);
    mg_arena_release(&w->arena);
}
