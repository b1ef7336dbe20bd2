// trainer.c - from settings to a run that can begin, or go on.
#include "train/trainer.h"

#include <string.h>

#include "algos/spaces.h"
#include "core/file.h"
#include "core/log.h"
#include "rollout/numbers.h"
#include "train/coverage.h"
#include "train/harness.h"
#include "train/logged.h"

#define RUN_ARENA_MAX  ((size_t)64 << 30) // address space, not memory: see arena.h
#define STEP_ARENA_MAX ((size_t)256 << 30)
#define CHECK_ROWS     64 // references that the reset and coverage checks look at

const char *mg_trainer_yaml(mg_trainer *t) {
    return mg_path(&t->run_arena, "%s/run.yaml", t->settings.run.out);
}

// The world's class, where it is known before the world is made.
static const mg_env_class *known_class(const mg_trainer *t) {
    return t->options->world_class ? t->options->world_class(&t->settings) : NULL;
}

static mg_err open_run(mg_trainer *t) {
    const char *text, *identity = mg_harness_identity(t->world.class, &t->manifest, &t->run_arena);
    mg_err      err = mg_settings_text(&t->settings, known_class(t), &t->run_arena, &text);
    if (!err) err = mg_run_open(&t->run, t->settings.run.out, t->options->resume, identity, text, &t->run_arena);
    if (!err) mg_store_record(t->run.store, mg_record_named(t->settings.run.record));
    return err;
}

// Where the settings act: a process, or else a bundled world.
static const char *place(const mg_settings *s) {
    return s->environment.command[0] ? s->environment.command : s->run.world;
}

// A folder that holds a run already: going on with it is a way out only where it is of the same kind.
static mg_err refuse_run(mg_trainer *t) {
    const mg_settings *s = &t->settings;
    mg_settings        of;
    if (!mg_file_exists(mg_path(&t->run_arena, "%s/run.db", s->run.out)) || !mg_file_exists(mg_trainer_yaml(t)) ||
        mg_settings_read(&of, mg_trainer_yaml(t), NULL, 0, &t->run_arena))
        return mg_run_check(s->run.out, false, &t->run_arena); // nothing more can be said
    if (of.algo == s->algo && strcmp(place(&of), place(s)) == 0)
        return mg_fail(MG_BUSY, "%s: holds a run already; --resume goes on with it, --out names another", s->run.out);
    return mg_fail(MG_BUSY, "%s: holds a run already, of %s in %s; --out names another", s->run.out, of.algo->name,
                   place(&of));
}

// May the run begin or go on, with these settings?
static mg_err check_run(mg_trainer *t) {
    const bool resume = t->options->resume;
    mg_err     err    = mg_run_check(t->settings.run.out, resume, &t->run_arena);
    if (err == MG_BUSY && !resume) return refuse_run(t);
    // A life that ended very early has left no settings, nor anything made with them.
    if (err || !resume || !mg_file_exists(mg_trainer_yaml(t))) return err;
    return mg_settings_same(&t->settings, known_class(t), mg_trainer_yaml(t), &t->run_arena);
}

const char *mg_trainer_origin(const mg_trainer *t) {
    if (!t->tokenizer) return NULL;
    return t->settings.run.model[0] ? t->settings.run.model : t->run.folder;
}

// Data of several turns are gone into by snapshots, others by prefixes.
static bool goes_into_data(const mg_trainer *t) {
    const mg_env_class *c = t->world.class;
    return mg_pairs_have_turns(t->job.pairs, t->job.n_pairs) ? c->snapshot && c->restore : c->resets;
}

// A row that names no task of its own is the task of its number.
static mg_err check_tasks(const mg_trainer *t) {
    const int64_t tasks = t->world.n_items;
    for (int64_t i = tasks; tasks > 0 && i < t->job.n_pairs; i++)
        if (!t->job.pairs[i].placed)
            return mg_fail(MG_CONFIG, "%s/train.jsonl: found %lld rows, of which row %lld names no \"item\", wanted at "
                                      "most one for each of the %lld tasks of %s",
                           t->settings.run.data, (long long)t->job.n_pairs, (long long)i + 1, (long long)tasks,
                           t->world.class->name);
    return MG_OK;
}

static mg_err open_world(mg_trainer *t) {
    const mg_algo *a = t->settings.algo;
    if (!a->needs_world) return MG_OK;
    mg_err err = t->options->make_world(&t->settings, &t->job, &t->world);
    if (err) return err;
    err = mg_spaces_suit(a, t->world.class);
    if (err) return err;
    if (a->needs_resets && !goes_into_data(t))
        return mg_fail(MG_CONFIG, "world: %s cannot be reset into a recorded state, which %s needs",
                       t->world.class->name, a->name);
    err = check_tasks(t);
    if (err) return err;
    t->job.n_items = t->world.n_items;
    t->job.world   = t->world.class;
    mg_env_pool_init(&t->pool, t->world.class, t->world.world, &t->run_arena);
    return mg_harness_pin(t->world.class, t->world.world, &t->run_arena, &t->manifest);
}

// Whether the algorithm is for this kind of world, as soon as that can be known.
static mg_err check_kind(mg_trainer *t) {
    const mg_env_class *class = known_class(t);
    if (!class) return MG_OK;
    if (t->settings.algo->needs_world) t->job.world = class;
    return mg_spaces_suit(t->settings.algo, class);
}

static mg_err open_learner(mg_trainer *t) {
    mg_err err = t->settings.algo->open(&t->learner, &t->job, t->settings.algo_config);
    if (!err) t->updates = t->settings.algo->updates(t->learner);
    return err;
}

mg_snapshot mg_trainer_learnt(mg_trainer *t) {
    mg_snapshot s = {.n_parts = 0};
    s.n_parts     = t->settings.algo->parts(t->learner, s.parts);
    if (t->settings.algo->act) {
        const mg_stepping own = t->settings.algo->stepping(t->learner);
        s.plain[s.n_plain++]  = (mg_plain){"learnt.bin", own.learnt, own.learnt_size};
    }
    return s;
}

mg_snapshot mg_trainer_snapshot(mg_trainer *t) {
    mg_snapshot s = {.plain = {{"gate.bin", &t->gate, sizeof t->gate}}, .n_plain = 1};
    s.n_parts     = t->settings.algo->parts(t->learner, s.parts);
    if (t->settings.algo->act) {
        const mg_stepping own  = t->settings.algo->stepping(t->learner);
        s.plain[s.n_plain++] = (mg_plain){"learner.bin", own.state, own.state_size};
    }
    if (t->settings.guard.enabled)
        s.plain[s.n_plain++] = (mg_plain){"guard.bin", &t->guarding.guard, sizeof t->guarding.guard};
    return s;
}

static mg_err load_checkpoint(mg_trainer *t) {
    if (t->run.updates_done == 0 && t->options->resume)
        mg_log(MG_LOG_WARN, "%s/checkpoints: found none to go on from: the run starts over", t->run.folder);
    if (t->run.updates_done == 0) return MG_OK;
    mg_log(MG_LOG_INFO, "resuming behind update %lld", (long long)t->run.updates_done);
    const mg_snapshot s = mg_trainer_snapshot(t);
    return mg_checkpoint_load(&t->run, &s, &t->step_arena);
}

// The buffer of a learner that learns step by step lies in the run's folder, as long as the checkpoint says.
static mg_err open_steps(mg_trainer *t) {
    if (!t->settings.algo->act) return MG_OK;
    t->steps = (mg_control){.algo = t->settings.algo, .learner = t->learner, .rollout = &t->rollout, .gate = &t->gate};
    mg_err err    = mg_control_open(&t->steps, t->run.folder, &t->run_arena);
    t->job.replay = t->steps.replay;
    return err;
}

// What lies beside the checkpoints is not made anew.
static mg_err check_steps(mg_trainer *t) {
    const char      *folder = t->settings.run.out;
    const mg_rollout where  = {.class = t->world.class};
    const mg_control c      = {.algo = t->settings.algo, .learner = t->learner, .rollout = &where};
    if (!t->options->resume || !c.algo->act || mg_checkpoint_newest(folder, &t->run_arena) == 0) return MG_OK;
    return mg_control_check(&c, folder, &t->run_arena);
}

// DR-PO's checks before it starts: the world goes where it is told, and the starting policy knows
// the references that it will be put into.
static mg_err check_resets(mg_trainer *t) {
    const int64_t rows  = t->job.n_pairs < CHECK_ROWS ? t->job.n_pairs : CHECK_ROWS;
    const bool    turns = mg_pairs_have_turns(t->job.pairs, t->job.n_pairs);
    int64_t       checked = 0;
    mg_part       parts[MG_PARTS_MAX];
    mg_coverage   c;
    mg_err        err = MG_OK;
    for (int64_t i = 0; i < rows && !err; i++) {
        const mg_pair *p    = &t->job.pairs[i];
        const int64_t  item = mg_pair_item(t->job.pairs, i);
        if (turns && p->n_later == 0) continue; // nothing to go into
        err = turns ? mg_rollout_check_snapshot(t->world.class, t->world.world, item, p, (p->n_later + 1) / 2)
                    : mg_rollout_check_reset(t->world.class, t->world.world, item, p->completion,
                                             strlen(p->completion) / 2);
        checked++;
    }
    t->settings.algo->parts(t->learner, parts);
    if (!err) err = mg_coverage_measure(parts[0].model, &t->job, rows, &t->step_arena, &c);
    if (err) return err;
    mg_log(MG_LOG_INFO, "reset check: %lld restored states equal the played ones", (long long)checked);
    mg_log(MG_LOG_INFO,
           "coverage check: the policy gives references %.2f nats per token (its own samples %.2f); "
           "%.0f %% of %lld lie outside its samples",
           c.reference_logp, c.sample_logp, 100 * c.outside, (long long)c.rows);
    return MG_OK;
}

static mg_err check_guard(const mg_trainer *t) {
    const mg_algo *a = t->settings.algo;
    if (!t->settings.guard.enabled || a->plan || a->act) return MG_OK;
    return mg_fail(MG_CONFIG, "guard.enabled: found true, wanted false: %s does not act in a world", a->name);
}

bool mg_trainer_acts(const mg_trainer *t, int64_t update) {
    const mg_algo *a = t->settings.algo;
    return a->plan || (a->act && a->steps_end(t->learner, update) > a->steps(t->learner));
}

// A guard that is never to look watches nothing.
static mg_err check_looks(const mg_trainer *t) {
    const mg_guard_config *c     = &t->settings.guard;
    int64_t                begun = 0;
    while (begun < t->updates && !mg_trainer_acts(t, begun)) begun++;
    if (!c->enabled || mg_guard_looks(c, begun, t->updates) > 0) return MG_OK;
    if (begun == t->updates)
        return mg_fail(MG_CONFIG, "guard.enabled: found true, wanted false: the policy acts in the world in none of "
                                  "%lld updates", (long long)t->updates);
    return mg_fail(MG_CONFIG, "guard.every: found %lld, with guard.dense %lld, wanted at most %lld: so many updates "
                              "act in the world, and none is looked behind", (long long)c->every, (long long)c->dense,
                   (long long)(t->updates - begun));
}

static mg_err open_all(mg_trainer *t) {
    const mg_train_options *o = t->options;
    mg_err err = mg_arena_init(&t->run_arena, "run", RUN_ARENA_MAX);
    if (!err) err = mg_arena_init(&t->step_arena, "step", STEP_ARENA_MAX);
    if (!err)
        err = mg_settings_read(&t->settings, o->config, o->overrides, o->n_overrides, &t->run_arena);
    if (!err) err = check_run(t);
    if (!err) err = mg_team_open(&t->team, (int)t->settings.run.threads);
    if (err) return err;
    t->easing = (mg_easing){1, 1};
    t->job    = (mg_job){.team = t->team, .run = &t->run_arena, .step = &t->step_arena, .easing = &t->easing};
    mg_guard_init(&t->guarding.guard);
    // Everything that can be wrong with what the user named is found before the folder is made, where
    // an empty run would stand in the way of the next try.
    mg_gate_init(&t->gate, &t->settings.gate);
    err = check_guard(t);
    if (!err) err = check_kind(t);
    if (!err) err = mg_job_data(&t->job, &t->settings);
    if (!err) err = open_world(t);
    if (!err) err = mg_job_policy(&t->job, &t->settings, &t->tokenizer);
    if (!err) err = open_learner(t);
    if (!err) err = check_steps(t);
    if (!err) err = check_looks(t);
    if (!err && t->settings.algo->needs_resets && !o->resume) err = check_resets(t);
    if (!err) err = open_run(t);
    if (!err) err = mg_job_logged_same(&t->job, t->settings.run.data, t->run.store);
    const mg_numbers numbers = t->world.class ? mg_numbers_of(t->world.class) : (mg_numbers){0};
    if (!err) err = mg_numbers_note(t->run.store, &numbers);
    if (!err && t->job.plant) err = mg_store_note(t->run.store, "plant", t->job.plant);
    if (!err && t->tokenizer && !t->settings.run.model[0])
        err = mg_tokenizer_save(t->tokenizer, mg_path(&t->run_arena, "%s/tokenizer.json", t->run.folder));
    if (!err) err = load_checkpoint(t);
    if (!err) err = mg_events_open(&t->events, t->run.folder, o->wall_time);
    return err;
}

static void open_rollout(mg_trainer *t) {
    t->rollout = (mg_rollout){
        .tokenizer = t->tokenizer, .rule = t->job.rule, .class = t->world.class, .world = t->world.world,
        .team = t->team, .seed = t->job.seed, .manifest = t->manifest.name ? &t->manifest : NULL,
        .replay_share = t->settings.gate.replay_share, .wants_reward = t->job.reward_folder[0] == 0,
        .pool = &t->pool};
}

mg_err mg_trainer_open(mg_trainer *t) {
    mg_err err = open_all(t);
    if (err) return err;
    open_rollout(t);
    return open_steps(t);
}

void mg_trainer_close(mg_trainer *t) {
    mg_events_close(t->events);
    mg_control_close(&t->steps);
    mg_guarding_end(&t->guarding);
    if (t->learner) t->settings.algo->close(t->learner);
    mg_run_close(&t->run);
    mg_env_pool_close(&t->pool);
    mg_manifest_release(&t->manifest);
    if (t->world.class) t->options->end_world(&t->world);
    mg_tokenizer_free(t->tokenizer);
    mg_team_close(t->team);
    mg_arena_release(&t->step_arena);
    mg_arena_release(&t->run_arena);
}
