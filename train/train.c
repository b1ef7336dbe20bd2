// train.c - the loop.
#include "train/train.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "rollout/collect.h"
#include "train/harness.h"
#include "train/report.h"
#include "train/trainer.h"

// Names the update and its episodes, of which there may be none, in the sentence of an error.
static mg_err fail_at(mg_trainer *t, mg_err err, int64_t update, int64_t episodes) {
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
static mg_err note_control(mg_trainer *t) {
    static const char sentence[] = "This is a study's control arm: not the gate but the study chose what it learnt "
                                   "from, episodes that are not clean among it, and there is no ledger.";
    if (t->control_noted) return MG_OK;
    t->control_noted = true;
    mg_log(MG_LOG_WARN, "%s", sentence);
    return mg_store_note(t->run.store, "control arm", sentence);
}

// Plays the update's steps, and what is learnt behind each, through the gate.
static mg_err collect_steps(mg_trainer *t, int64_t update, mg_collected *out) {
    mg_err err = mg_control_block(&t->steps, update, &t->step_arena, out);
    return err ? fail_at(t, err, update, out->n_all) : MG_OK;
}

// Plays the update's episodes, through the gate.
static mg_err collect(mg_trainer *t, int64_t update, mg_collected *out) {
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
static mg_err feed(mg_trainer *t, const mg_collected *c) {
    mg_fed_replay r;
    mg_err        err = MG_OK;
    for (int64_t k = 0; k < c->n_kept && !t->settings.algo->act && !err; k++)
        err = mg_store_fed(t->run.store, &c->all[c->kept[k]]);
    if (!err && t->settings.algo->act && mg_control_fed(&t->steps, &r))
        err = mg_store_fed_replay(t->run.store, &r);
    return err;
}

// One transaction: the metrics, every attempt, and which of them fed the update.
static mg_err record(mg_trainer *t, int64_t update, const mg_collected *c, bool fed, const mg_metrics *m) {
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
static mg_err fail_unclean(mg_trainer *t, int64_t update, const mg_collected *c, const mg_metrics *m) {
    const mg_episode *e   = first_unclean(c);
    mg_err            err = record(t, update, c, false, m);
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
static mg_err learn(mg_trainer *t, int64_t update, mg_collected *c, mg_metrics *m) {
    mg_episode *kept = MG_NEW(&t->step_arena, mg_episode, c->n_kept);
    for (int64_t k = 0; k < c->n_kept; k++) kept[k] = (c->instead ? c->instead : c->all)[c->kept[k]];
    if (!t->control) mg_gate_feed(&t->gate, kept, c->n_kept);
    mg_err err = t->settings.algo->update(t->learner, update, kept, c->n_kept, m);
    for (int64_t k = 0; k < c->n_kept && !err; k++) c->all[c->kept[k]].learned = kept[k].learned;
    return err ? fail_at(t, err, update, c->n_all) : MG_OK;
}

static void count(const mg_trainer *t, const mg_collected *c, mg_metrics *m) {
    mg_metrics_add(m, "excluded", (double)(c->n_all - c->n_kept));
    mg_metrics_add(m, "harness_failures", (double)t->gate.failures);
    mg_metrics_add(m, "harness_failure_rate",
                   t->gate.attempts ? (double)t->gate.failures / (double)t->gate.attempts : 0);
}

// ---- The guard

static void ease(mg_trainer *t) { t->easing = (mg_easing){t->guarding.guard.step, t->guarding.guard.bound}; }

static mg_err open_guard(mg_trainer *t) {
    if (!t->settings.guard.enabled) return MG_OK;
    t->guarding.config  = &t->settings.guard;
    t->guarding.rollout = &t->rollout;
    t->guarding.run     = &t->run;
    t->guarding.origin  = t->tokenizer ? mg_trainer_origin(t) : NULL;
    t->guarding.compute = t->job.compute;
    t->guarding.updates = t->updates;
    t->guarding.tasks   = t->world.n_items;
    t->over             = t->guarding.guard.stopped;
    ease(t);
    return mg_guarding_resume(&t->guarding, &t->step_arena);
}

// How the policy is sampled is the algorithm's to say.
static mg_err plan_sampling(mg_trainer *t, int64_t update) {
    const mg_algo *a = t->settings.algo;
    mg_start      *starts;
    int64_t        n;
    return a->plan ? a->plan(t->learner, update, &starts, &n, &t->rollout.sampling) : MG_OK;
}

static mg_err begin_guard(mg_trainer *t, int64_t update) {
    const mg_snapshot s = mg_trainer_learnt(t);
    if (!t->settings.guard.enabled || t->guarding.guard.begun >= 0 || !mg_trainer_acts(t, update)) return MG_OK;
    mg_err err = plan_sampling(t, update);
    return err ? err : mg_guarding_begin(&t->guarding, &s, update, &t->step_arena);
}

static mg_err look_at_guard(mg_trainer *t, int64_t update, const mg_collected *c, bool broke, mg_metrics *m) {
    const mg_snapshot s = mg_trainer_learnt(t);
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

static mg_err check_learnt(mg_trainer *t) {
    const mg_snapshot s = mg_trainer_learnt(t);
    return check_weights(s.parts, s.n_parts);
}

// To a guard, learning that leaves the finite is a collapse. What else is wrong, or without one, stays an error.
static mg_err recover(mg_trainer *t, mg_err err, int64_t update, mg_metrics *m, bool *broke) {
    const mg_snapshot s = mg_trainer_learnt(t);
    if (err != MG_NUMERIC || t->guarding.guard.begun < 0 || *broke) return err;
    const char *why = mg_arena_strdup(&t->step_arena, mg_err_detail());
    *broke = true;
    err    = mg_guarding_broke(&t->guarding, &s, update, why, m, &t->over, &t->step_arena);
    ease(t);
    return err;
}

static mg_err one_update(mg_trainer *t, int64_t update, mg_metrics *m) {
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

static mg_err checkpoint(mg_trainer *t, int64_t done) {
    const mg_snapshot s = mg_trainer_snapshot(t);
    mg_arena_reset(&t->step_arena, 0);
    mg_err err = check_weights(s.parts, s.n_parts);
    if (err) return fail_at(t, err, done - 1, 0);
    err = mg_events_flush(t->events);
    // A checkpoint says that the updates before it are on record: first they are.
    if (!err) err = mg_store_wait(t->run.store);
    if (!err && t->steps.replay) err = mg_control_mark(&t->steps);
    if (!err)
        err = mg_checkpoint_save(&t->run, done, &s, t->settings.run.checkpoints_kept, mg_trainer_origin(t),
                                 &t->step_arena);
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

static mg_err loop(mg_trainer *t, mg_metrics *last) {
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
                              mg_trainer_yaml(t));
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

static mg_err judge(mg_trainer *t) {
    mg_part parts[MG_PARTS_MAX];
    if (t->guarding.guard.begun < 0) return MG_OK;
    const mg_snapshot s = mg_trainer_learnt(t);
    t->settings.algo->parts(t->learner, parts);
    mg_arena_reset(&t->step_arena, 0);
    mg_err err = plan_sampling(t, t->guarding.guard.begun); // a run that was resumed behind its end has none yet
    if (!err) err = mg_guarding_best(&t->guarding, &s, &t->step_arena);
    return err ? err : mg_guarding_judge(&t->guarding, parts[0].model, &t->step_arena);
}

// The finished policy as a model folder of its own, whole or not at all.
static mg_err export_model(mg_trainer *t) {
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
        err = mg_model_save(parts[0].model, half, bf16 ? MG_FILE_BF16 : MG_FILE_F32, mg_trainer_origin(t));
    return err ? err : mg_folder_replace(half, folder);
}

static void tell_result(const mg_trainer *t, const mg_metrics *last, mg_train_result *out) {
    const mg_guard *g = &t->guarding.guard;
    *out = (mg_train_result){.updates = t->done, .planned = t->updates, .last = *last, .rollbacks = mg_guard_backs(g),
                             .model_behind = mg_guard_behind(g, &t->settings.guard, t->done), .guard_behind = g->begun,
                             .best = t->settings.guard.keep_best,
                             .verdict = t->guarding.verdict, .seconds = mg_clock_seconds() - t->started};
    snprintf(out->folder, sizeof out->folder, "%s", t->run.folder);
}

static mg_err write_report(mg_trainer *t) {
    mg_err err = MG_OK;
    if (t->settings.algo->plan || t->settings.algo->act)
        err = mg_harness_note(&t->gate, &t->manifest, t->run.store, &t->step_arena);
    return err ? err : mg_report_run(t->run.folder, t->run.store, &t->step_arena);
}

// What ended a run early is told, and how far it came can be read.
static mg_err fail_reported(mg_trainer *t, mg_err why) {
    const char *said = mg_arena_strdup(&t->run_arena, mg_err_detail());
    mg_arena_reset(&t->step_arena, 0);
    if (write_report(t)) mg_log(MG_LOG_WARN, "no report: %s", mg_err_detail());
    return mg_fail(why, "%s", said);
}

mg_err mg_train(const mg_train_options *options, mg_train_result *out) {
    mg_trainer t   = {.options = options, .run = {.lock = -1}, .started = mg_clock_seconds()};
    mg_metrics last = {0};
    mg_err     err   = mg_trainer_open(&t);
    const bool begun = !err;
    if (!err) err = open_guard(&t);
    if (!err) err = loop(&t, &last);
    if (!err) err = judge(&t);
    if (!err) err = export_model(&t);
    if (!err) err = write_report(&t);
    if (!err)
        tell_result(&t, &last, out);
    else if (begun)
        err = fail_reported(&t, err);
    mg_trainer_close(&t);
    return err;
}
