// train.c - the loop.
#include "train/train.h"

#include <math.h>
#include <string.h>

#include "algos/spaces.h"
#include "algos/tokens.h"
#include "core/file.h"
#include "core/log.h"
#include "rollout/collect.h"
#include "rollout/numbers.h"
#include "train/control.h"
#include "train/coverage.h"
#include "train/guarding.h"
#include "train/harness.h"
#include "train/logged.h"
#include "train/report.h"
#include "train/run.h"
#include "train/tensorboard.h"

#define RUN_ARENA_MAX  ((size_t)64 << 30) // address space, not memory: see arena.h
#define STEP_ARENA_MAX ((size_t)256 << 30)
#define CHECK_ROWS     64 // references that the reset and coverage checks look at

typedef struct trainer {
    const mg_train_options *options;
    mg_settings     settings;
    mg_arena        run_arena, step_arena;
    mg_team        *team;
    mg_tokenizer   *tokenizer;
    mg_job          job;
    mg_world        world;
    mg_learner     *learner;
    mg_run          run;
    mg_events      *events;
    mg_rollout      rollout;
    mg_manifest     manifest;  // pinned at the run's start; zeroed: the world has none
    mg_gate         gate;
    mg_env_pool     pool;
    mg_control      steps;     // of learners that learn step by step
    mg_guarding     guarding;
    mg_easing       easing;    // the guard's, for the learner
    bool            over;      // the guard ended the run
    bool            control;   // a study's control arm chose what this update learns from
    bool            control_noted;
    int64_t         updates;   // in all, as the settings ask
    int64_t         done;      // of these
    double          started;   // mg_clock_seconds
} trainer;

static const char *run_yaml(trainer *t) {
    return mg_path(&t->run_arena, "%s/run.yaml", t->settings.run.out);
}

// The world's class, where it is known before the world is made.
static const mg_env_class *known_class(const trainer *t) {
    return t->options->world_class ? t->options->world_class(&t->settings) : NULL;
}

static mg_err write_settings(trainer *t) {
    const char *text, *path = run_yaml(t);
    mg_err      err = mg_settings_text(&t->settings, known_class(t), &t->run_arena, &text);
    if (!err) err = mg_file_write(path, text, strlen(text));
    return err ? err : mg_store_note(t->run.store, "config", text);
}

// Where the settings act: a process, or else a bundled world.
static const char *place(const mg_settings *s) {
    return s->environment.command[0] ? s->environment.command : s->run.world;
}

// A folder that holds a run already: going on with it is a way out only where it is of the same kind.
static mg_err refuse_run(trainer *t) {
    const mg_settings *s = &t->settings;
    mg_settings        of;
    if (!mg_file_exists(mg_path(&t->run_arena, "%s/run.db", s->run.out)) || !mg_file_exists(run_yaml(t)) ||
        mg_settings_read(&of, run_yaml(t), NULL, 0, &t->run_arena))
        return mg_run_check(s->run.out, false, &t->run_arena); // nothing more can be said
    if (of.algo == s->algo && strcmp(place(&of), place(s)) == 0)
        return mg_fail(MG_BUSY, "%s: holds a run already; --resume goes on with it, --out names another", s->run.out);
    return mg_fail(MG_BUSY, "%s: holds a run already, of %s in %s; --out names another", s->run.out, of.algo->name,
                   place(&of));
}

// May the run begin or go on, with these settings?
static mg_err check_run(trainer *t) {
    const bool resume = t->options->resume;
    mg_err     err    = mg_run_check(t->settings.run.out, resume, &t->run_arena);
    if (err == MG_BUSY && !resume) return refuse_run(t);
    // A life that ended very early has left no settings, nor anything made with them.
    if (err || !resume || !mg_file_exists(run_yaml(t))) return err;
    return mg_settings_same(&t->settings, known_class(t), run_yaml(t), &t->run_arena);
}

// A fresh model has no folder whose tokenizer could be carried along, so its own lies in the run. A perceptron has
// no tokenizer.
static const char *origin(const trainer *t) {
    if (!t->tokenizer) return NULL;
    return t->settings.run.model[0] ? t->settings.run.model : t->run.folder;
}

// Data of several turns are gone into by snapshots, others by prefixes.
static bool goes_into_data(const trainer *t) {
    const mg_env_class *c = t->world.class;
    return mg_pairs_have_turns(t->job.pairs, t->job.n_pairs) ? c->snapshot && c->restore : c->resets;
}

// A row that names no task of its own is the task of its number.
static mg_err check_tasks(const trainer *t) {
    const int64_t tasks = t->world.n_items;
    for (int64_t i = tasks; tasks > 0 && i < t->job.n_pairs; i++)
        if (!t->job.pairs[i].placed)
            return mg_fail(MG_CONFIG, "%s/train.jsonl: found %lld rows, of which row %lld names no \"item\", wanted at "
                                      "most one for each of the %lld tasks of %s",
                           t->settings.run.data, (long long)t->job.n_pairs, (long long)i + 1, (long long)tasks,
                           t->world.class->name);
    return MG_OK;
}

static mg_err open_world(trainer *t) {
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
static mg_err check_kind(trainer *t) {
    const mg_env_class *class = known_class(t);
    if (!class) return MG_OK;
    if (t->settings.algo->needs_world) t->job.world = class;
    return mg_spaces_suit(t->settings.algo, class);
}

static mg_err open_learner(trainer *t) {
    mg_err err = t->settings.algo->open(&t->learner, &t->job, t->settings.algo_config);
    if (!err) t->updates = t->settings.algo->updates(t->learner);
    return err;
}

// What is learnt: a rollback puts it back.
static mg_snapshot learnt(trainer *t) {
    mg_snapshot s = {.n_parts = 0};
    s.n_parts     = t->settings.algo->parts(t->learner, s.parts);
    if (t->settings.algo->act) {
        const mg_stepping own = t->settings.algo->stepping(t->learner);
        s.plain[s.n_plain++]  = (mg_plain){"learnt.bin", own.learnt, own.learnt_size};
    }
    return s;
}

// And the counters: what a life goes on from.
static mg_snapshot snapshot(trainer *t) {
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

static mg_err load_checkpoint(trainer *t) {
    if (t->run.updates_done == 0 && t->options->resume)
        mg_log(MG_LOG_WARN, "%s/checkpoints: found none to go on from: the run starts over", t->run.folder);
    if (t->run.updates_done == 0) return MG_OK;
    mg_log(MG_LOG_INFO, "resuming behind update %lld", (long long)t->run.updates_done);
    const mg_snapshot s = snapshot(t);
    return mg_checkpoint_load(&t->run, &s, &t->step_arena);
}

// The buffer of a learner that learns step by step lies in the run's folder, as long as the checkpoint says.
static mg_err open_steps(trainer *t) {
    if (!t->settings.algo->act) return MG_OK;
    t->steps = (mg_control){.algo = t->settings.algo, .learner = t->learner, .rollout = &t->rollout, .gate = &t->gate};
    mg_err err    = mg_control_open(&t->steps, t->run.folder, &t->run_arena);
    t->job.replay = t->steps.replay;
    return err;
}

// DR-PO's checks before it starts: the world goes where it is told, and the starting policy knows
// the references that it will be put into.
static mg_err check_resets(trainer *t) {
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

static mg_err check_guard(const trainer *t) {
    const mg_algo *a = t->settings.algo;
    if (!t->settings.guard.enabled || a->plan || a->act) return MG_OK;
    return mg_fail(MG_CONFIG, "guard.enabled: found true, wanted false: %s does not act in a world", a->name);
}

// Does the policy act in the world in this update?
static bool acts(const trainer *t, int64_t update) {
    const mg_algo *a = t->settings.algo;
    return a->plan || (a->act && a->steps_end(t->learner, update) > a->steps(t->learner));
}

// A guard that is never to look watches nothing.
static mg_err check_looks(const trainer *t) {
    const mg_guard_config *c     = &t->settings.guard;
    int64_t                begun = 0;
    while (begun < t->updates && !acts(t, begun)) begun++;
    if (!c->enabled || mg_guard_looks(c, begun, t->updates) > 0) return MG_OK;
    if (begun == t->updates)
        return mg_fail(MG_CONFIG, "guard.enabled: found true, wanted false: the policy acts in the world in none of "
                                  "%lld updates", (long long)t->updates);
    return mg_fail(MG_CONFIG, "guard.every: found %lld, with guard.dense %lld, wanted at most %lld: so many updates "
                              "act in the world, and none is looked behind", (long long)c->every, (long long)c->dense,
                   (long long)(t->updates - begun));
}

static mg_err open_all(trainer *t) {
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
    if (!err) err = check_looks(t);
    if (!err && t->settings.algo->needs_resets && !o->resume) err = check_resets(t);
    if (!err)
        err = mg_run_open(&t->run, t->settings.run.out, o->resume,
                          mg_harness_identity(t->world.class, &t->manifest, &t->run_arena), &t->run_arena);
    if (!err) mg_store_record(t->run.store, mg_record_named(t->settings.run.record));
    if (!err) err = mg_job_logged_same(&t->job, t->settings.run.data, t->run.store);
    const mg_numbers numbers = t->world.class ? mg_numbers_of(t->world.class) : (mg_numbers){0};
    if (!err) err = mg_numbers_note(t->run.store, &numbers);
    if (!err) err = write_settings(t);
    if (!err && t->tokenizer && !t->settings.run.model[0])
        err = mg_tokenizer_save(t->tokenizer, mg_path(&t->run_arena, "%s/tokenizer.json", t->run.folder));
    if (!err) err = load_checkpoint(t);
    if (!err) err = mg_events_open(&t->events, t->run.folder, o->wall_time);
    return err;
}

static void open_rollout(trainer *t) {
    t->rollout = (mg_rollout){
        .tokenizer = t->tokenizer, .rule = t->job.rule, .class = t->world.class, .world = t->world.world,
        .team = t->team, .seed = t->job.seed, .manifest = t->manifest.name ? &t->manifest : NULL,
        .replay_share = t->settings.gate.replay_share, .wants_reward = t->job.reward_folder[0] == 0,
        .pool = &t->pool};
}

static void close_all(trainer *t) {
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

// Names the update and its episodes, of which there may be none, in the sentence of an error.
static mg_err fail_at(trainer *t, mg_err err, int64_t update, int64_t episodes) {
    char which[64] = "", kept[64] = "";
    char *sentence = mg_arena_strdup(&t->step_arena, mg_err_detail());
    if (episodes > 0)
        snprintf(which, sizeof which, ", episodes 0..%lld of it", (long long)episodes - 1);
    if (err == MG_NUMERIC && t->run.updates_done > 0)
        snprintf(kept, sizeof kept, "; the last checkpoint is behind update %lld",
                 (long long)t->run.updates_done);
    return mg_fail(err, "update %lld%s: %s%s", mg_update_number(update), which, sentence, kept);
}

// Whoever reads the run's log or report must know that the gate did not decide; said once.
static mg_err note_control(trainer *t) {
    static const char sentence[] = "This is a study's control arm: not the gate but the study chose what it learnt "
                                   "from, episodes that are not clean among it, and there is no ledger.";
    if (t->control_noted) return MG_OK;
    t->control_noted = true;
    mg_log(MG_LOG_WARN, "%s", sentence);
    return mg_store_note(t->run.store, "control arm", sentence);
}

// Plays the update's steps, and what is learnt behind each, through the gate.
static mg_err collect_steps(trainer *t, int64_t update, mg_collected *out) {
    mg_err err = mg_control_block(&t->steps, update, &t->step_arena, out);
    return err ? fail_at(t, err, update, out->n_all) : MG_OK;
}

// Plays the update's episodes, through the gate.
static mg_err collect(trainer *t, int64_t update, mg_collected *out) {
    mg_part   parts[MG_PARTS_MAX];
    mg_start *starts;
    int64_t   n;
    mg_err    err = t->settings.algo->plan(t->learner, update, &starts, &n, &t->rollout.sampling);
    if (err) return err;
    t->settings.algo->parts(t->learner, parts);
    t->rollout.model = parts[0].model;
    err = mg_collect(&t->rollout, &t->gate, starts, n, update, (uint64_t)update, &t->step_arena,
                     &t->step_arena, out);
    if (err) return fail_at(t, err, update, n);
    t->control = t->options->admit && t->options->admit(t->options->admit_context, out);
    return t->control ? note_control(t) : MG_OK;
}

// The ledger's entries: the episodes, or the part of the buffer that was drawn from.
static mg_err feed(trainer *t, const mg_collected *c) {
    mg_fed_replay r;
    mg_err        err = MG_OK;
    for (int64_t k = 0; k < c->n_kept && !t->settings.algo->act && !err; k++)
        err = mg_store_fed(t->run.store, &c->all[c->kept[k]]);
    if (!err && t->settings.algo->act && mg_control_fed(&t->steps, &r))
        err = mg_store_fed_replay(t->run.store, &r);
    return err;
}

// One transaction: the metrics, every attempt, and which of them fed the update.
static mg_err record(trainer *t, int64_t update, const mg_collected *c, bool fed, const mg_metrics *m) {
    mg_err err = mg_store_begin(t->run.store, update);
    for (int i = 0; i < m->n && !err; i++)
        if (isfinite(m->rows[i].value))
            err = mg_store_metric(t->run.store, m->rows[i].name, m->rows[i].value);
    for (int64_t i = 0; i < c->n_all && !err; i++) err = mg_store_episode(t->run.store, &c->all[i]);
    if (!err && fed) err = feed(t, c);
    if (!err) err = mg_store_commit(t->run.store);
    const double now = t->options->wall_time + mg_clock_seconds() - t->started;
    for (int i = 0; i < m->n && !err; i++)
        err = mg_events_scalar(t->events, mg_update_number(update), now, m->rows[i].name, m->rows[i].value);
    return err;
}

static const mg_episode *first_unclean(const mg_collected *c) {
    for (int64_t i = 0; i < c->n_all; i++)
        if (c->all[i].verdict != MG_CLEAN) return &c->all[i];
    return NULL;
}

// Nothing may be learnt from: the episodes are kept as witnesses, and the run ends here.
static mg_err fail_unclean(trainer *t, int64_t update, const mg_collected *c, const mg_metrics *m) {
    const mg_episode *e   = first_unclean(c);
    mg_err            err = record(t, update, c, false, m);
    if (!err) err = mg_harness_note(&t->gate, &t->manifest, t->run.store, &t->step_arena);
    if (!err) err = mg_report_run(t->run.folder, t->run.store, &t->step_arena);
    if (err) return err;
    if (mg_gate_stopped(&t->gate))
        return mg_fail(MG_UNFIT, "update %lld: %s; the first witness of it: %s: %s; all in %s/report.html",
                       mg_update_number(update), t->gate.why, e ? e->code : "-", e ? e->detail : "-",
                       t->run.folder);
    return mg_fail(MG_EMPTY, "update %lld: none of %lld episodes may be learnt from; the first: %s: %s",
                   mg_update_number(update), (long long)c->n_all, e ? e->code : "-",
                   e ? e->detail : "its group was too small");
}

// The learner sees the admitted ones alone, and what it scored comes back into the record.
static mg_err learn(trainer *t, int64_t update, mg_collected *c, mg_metrics *m) {
    mg_episode *kept = MG_NEW(&t->step_arena, mg_episode, c->n_kept);
    for (int64_t k = 0; k < c->n_kept; k++) kept[k] = (c->instead ? c->instead : c->all)[c->kept[k]];
    if (!t->control) mg_gate_feed(&t->gate, kept, c->n_kept);
    mg_err err = t->settings.algo->update(t->learner, update, kept, c->n_kept, m);
    for (int64_t k = 0; k < c->n_kept && !err; k++) c->all[c->kept[k]].learned = kept[k].learned;
    return err ? fail_at(t, err, update, c->n_all) : MG_OK;
}

static void count(const trainer *t, const mg_collected *c, mg_metrics *m) {
    mg_metrics_add(m, "excluded", (double)(c->n_all - c->n_kept));
    mg_metrics_add(m, "harness_failures", (double)t->gate.failures);
    mg_metrics_add(m, "harness_failure_rate",
                   t->gate.attempts ? (double)t->gate.failures / (double)t->gate.attempts : 0);
}

// ---- The guard

static void ease(trainer *t) { t->easing = (mg_easing){t->guarding.guard.step, t->guarding.guard.bound}; }

static mg_err open_guard(trainer *t) {
    if (!t->settings.guard.enabled) return MG_OK;
    t->guarding.config  = &t->settings.guard;
    t->guarding.rollout = &t->rollout;
    t->guarding.run     = &t->run;
    t->guarding.origin  = t->tokenizer ? origin(t) : NULL;
    t->guarding.compute = t->job.compute;
    t->guarding.updates = t->updates;
    t->guarding.tasks   = t->world.n_items;
    t->over             = t->guarding.guard.stopped;
    ease(t);
    return mg_guarding_resume(&t->guarding, &t->step_arena);
}

// How the policy is sampled is the algorithm's to say.
static mg_err plan_sampling(trainer *t, int64_t update) {
    const mg_algo *a = t->settings.algo;
    mg_start      *starts;
    int64_t        n;
    return a->plan ? a->plan(t->learner, update, &starts, &n, &t->rollout.sampling) : MG_OK;
}

static mg_err begin_guard(trainer *t, int64_t update) {
    const mg_snapshot s = learnt(t);
    if (!t->settings.guard.enabled || t->guarding.guard.begun >= 0 || !acts(t, update)) return MG_OK;
    mg_err err = plan_sampling(t, update);
    return err ? err : mg_guarding_begin(&t->guarding, &s, update, &t->step_arena);
}

static mg_err look_at_guard(trainer *t, int64_t update, const mg_collected *c, bool broke, mg_metrics *m) {
    const mg_snapshot s = learnt(t);
    if (!t->settings.guard.enabled) return MG_OK;
    mg_guarding_count(&t->guarding, c->all, c->n_all);
    if (broke) return MG_OK; // what a look would see is the state that was gone back to
    mg_err err = mg_guarding_look(&t->guarding, &s, update, m, &t->over, &t->step_arena);
    ease(t);
    return err;
}

// A loss is looked at before the step that it leads to; what the last step made of the weights
// shows here first. Numbers that are none must not push out the last good checkpoint.
static mg_err check_weights(const mg_part *parts, int n) {
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < parts[i].model->n_weights; k++)
            if (!isfinite(parts[i].model->weights[k]))
                return mg_fail(MG_NUMERIC, "weight %lld is %g", (long long)k,
                               (double)parts[i].model->weights[k]);
    return MG_OK;
}

static mg_err check_learnt(trainer *t) {
    const mg_snapshot s = learnt(t);
    return check_weights(s.parts, s.n_parts);
}

// To a guard, learning that leaves the finite is a collapse. What else is wrong, or without one, stays an error.
static mg_err recover(trainer *t, mg_err err, int64_t update, mg_metrics *m, bool *broke) {
    const mg_snapshot s = learnt(t);
    if (err != MG_NUMERIC || t->guarding.guard.begun < 0 || *broke) return err;
    const char *why = mg_arena_strdup(&t->step_arena, mg_err_detail());
    *broke = true;
    err    = mg_guarding_broke(&t->guarding, &s, update, why, m, &t->over, &t->step_arena);
    ease(t);
    return err;
}

static mg_err one_update(trainer *t, int64_t update, mg_metrics *m) {
    const mg_algo *a   = t->settings.algo;
    mg_collected   c   = {0};
    mg_err         err = MG_OK;
    bool           broke = false;
    mg_arena_reset(&t->step_arena, 0);
    *m = (mg_metrics){0};
    err = begin_guard(t, update);
    if (err) return fail_at(t, err, update, 0);
    if (a->plan) {
        err = collect(t, update, &c);
        if (err) return err;
        count(t, &c, m);
        if (mg_gate_stopped(&t->gate) || c.n_kept == 0) return fail_unclean(t, update, &c, m);
    }
    if (a->act) {
        err = recover(t, collect_steps(t, update, &c), update, m, &broke);
        if (err) return err;
        count(t, &c, m);
        if (mg_gate_stopped(&t->gate)) return fail_unclean(t, update, &c, m);
    }
    err = recover(t, learn(t, update, &c, m), update, m, &broke);
    if (!err && t->guarding.guard.begun >= 0) err = recover(t, check_learnt(t), update, m, &broke);
    if (err) return err;
    const bool look = (update + 1) % t->settings.run.evaluate_every == 0 || update + 1 == t->updates;
    if (look && a->evaluate) err = a->evaluate(t->learner, m);
    if (look && a->act) err = mg_control_look(&t->steps, a->stepping(t->learner).looks, &t->step_arena, m);
    err = recover(t, err, update, m, &broke);
    if (!err) err = look_at_guard(t, update, &c, broke, m);
    if (!err) err = record(t, update, &c, !t->control, m);
    return err ? fail_at(t, err, update, 0) : MG_OK;
}

static mg_err checkpoint(trainer *t, int64_t done) {
    const mg_snapshot s = snapshot(t);
    mg_arena_reset(&t->step_arena, 0);
    mg_err err = check_weights(s.parts, s.n_parts);
    if (err) return fail_at(t, err, done - 1, 0);
    err = mg_events_flush(t->events);
    // A checkpoint says that the updates before it are on record: first they are.
    if (!err) err = mg_store_wait(t->run.store);
    if (!err && t->steps.replay) err = mg_control_mark(&t->steps);
    if (!err)
        err = mg_checkpoint_save(&t->run, done, &s, t->settings.run.checkpoints_kept, origin(t), &t->step_arena);
    return err;
}

static void note_of(const mg_metrics *m, char *out, size_t size) {
    static const char *const shown[] = {"reward", "loss", "kl", "accuracy", "length", "return", "episode_return"};
    size_t used = 0;
    out[0]      = 0;
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        for (int i = 0; i < m->n && used < size; i++)
            if (strcmp(m->rows[i].name, shown[k]) == 0)
                used += (size_t)snprintf(out + used, size - used, "%s%s %.3f", used ? "  " : "",
                                         shown[k], m->rows[i].value);
}

static mg_err loop(trainer *t, mg_metrics *last) {
    const char *program = t->options->program;
    mg_progress progress;
    char        note[256];
    mg_err      err = MG_OK;
    mg_progress_start(&progress, t->settings.algo->name, "updates", t->updates);
    t->done = t->run.updates_done;
    mg_progress_resume(&progress, t->done);
    for (int64_t u = t->run.updates_done; u < t->updates && !t->over && !err; u++) {
        if (t->options->stop && *t->options->stop) {
            err = u > t->run.updates_done ? checkpoint(t, u) : MG_OK;
            if (!err)
                err = mg_fail(MG_INTERRUPTED, "stopped behind update %lld of %lld; go on with: %s train %s "
                              "--resume", (long long)u, (long long)t->updates, program ? program : "martingale",
                              run_yaml(t));
            break;
        }
        err = one_update(t, u, last);
        if (err) break;
        t->done = u + 1;
        note_of(last, note, sizeof note);
        mg_progress_show(&progress, u + 1, note);
        if ((u + 1) % t->settings.run.checkpoint_every == 0 || u + 1 == t->updates || t->over ||
            mg_control_full(&t->steps))
            err = checkpoint(t, u + 1);
    }
    mg_progress_end(&progress);
    return err;
}

static mg_err judge(trainer *t) {
    mg_part parts[MG_PARTS_MAX];
    if (t->guarding.guard.begun < 0) return MG_OK;
    const mg_snapshot s = learnt(t);
    t->settings.algo->parts(t->learner, parts);
    mg_arena_reset(&t->step_arena, 0);
    mg_err err = plan_sampling(t, t->guarding.guard.begun); // a run that was resumed behind its end has none yet
    if (!err) err = mg_guarding_best(&t->guarding, &s, &t->step_arena);
    return err ? err : mg_guarding_judge(&t->guarding, parts[0].model, &t->step_arena);
}

// The finished policy as a model folder of its own, whole or not at all.
static mg_err export_model(trainer *t) {
    mg_part     parts[MG_PARTS_MAX];
    const char *folder = mg_path(&t->run_arena, "%s/model", t->run.folder);
    const char *half   = mg_path(&t->run_arena, "%s.half", folder);
    const bool  bf16   = strcmp(t->settings.run.save_dtype, "bf16") == 0;
    mg_arena_reset(&t->step_arena, 0);
    mg_err err = mg_folder_make(half);
    t->settings.algo->parts(t->learner, parts);
    if (!err && t->settings.algo->finish)
        err = t->settings.algo->finish(t->learner, half);
    else if (!err)
        err = mg_model_save(parts[0].model, half, bf16 ? MG_FILE_BF16 : MG_FILE_F32, origin(t));
    return err ? err : mg_folder_replace(half, folder);
}

static void tell_result(const trainer *t, const mg_metrics *last, mg_train_result *out) {
    const mg_guard *g = &t->guarding.guard;
    *out = (mg_train_result){.updates = t->done, .planned = t->updates, .last = *last, .rollbacks = mg_guard_backs(g),
                             .model_behind = mg_guard_behind(g, &t->settings.guard, t->done), .guard_behind = g->begun,
                             .best = t->settings.guard.keep_best,
                             .verdict = t->guarding.verdict, .seconds = mg_clock_seconds() - t->started};
    snprintf(out->folder, sizeof out->folder, "%s", t->run.folder);
}

mg_err mg_train(const mg_train_options *options, mg_train_result *out) {
    trainer t = {.options = options, .run = {.lock = -1}, .started = mg_clock_seconds()};
    mg_err  err = open_all(&t);
    if (!err) open_rollout(&t);
    if (!err) err = open_steps(&t);
    if (!err) err = open_guard(&t);
    mg_metrics last = {0};
    if (!err) err = loop(&t, &last);
    if (!err) err = judge(&t);
    if (!err) err = export_model(&t);
    if (!err && (t.settings.algo->plan || t.settings.algo->act))
        err = mg_harness_note(&t.gate, &t.manifest, t.run.store, &t.step_arena);
    if (!err) err = mg_report_run(t.run.folder, t.run.store, &t.step_arena);
    if (!err) tell_result(&t, &last, out);
    close_all(&t);
    return err;
}
