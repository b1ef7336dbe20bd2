// guarding.c - pairs of episodes, rollbacks, and what is said of them.
#include "train/guarding.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "rollout/scripted.h"
#include "rollout/vectors.h"

enum { START_EPISODES = 20 }; // that J_0 and random actions are measured by

// What an evaluation is for; a part of the stream that its seeds come from. Looks are LOOKS + their update.
enum { MEASURE, VERDICT, LOOKS };

static const char *start_folder(const mg_guarding *g, mg_arena *a) {
    return mg_path(a, "%s/guard/start", g->run->folder);
}
static const char *good_folder(const mg_guarding *g, mg_arena *a) { return mg_path(a, "%s/guard/good", g->run->folder); }

// Evaluation shares no seed with training.
static mg_rollout evaluation(const mg_guarding *g) {
    mg_rollout r   = *g->rollout;
    mg_rng     rng = mg_rng_stream(r.seed, MG_PURPOSE_EVAL, 1);
    r.seed         = mg_rng_u32(&rng);
    r.replay_share = 0;
    r.pool         = NULL;
    if (mg_vectors_world(&r)) r.sampling.temperature = 0;
    return r;
}

// Returns of n episodes; NaN where one did not go well. script NULL: the model plays.
static mg_err play(const mg_guarding *g, const mg_model *policy, const mg_script *script, int64_t what, int64_t n,
                   double *returns, mg_arena *arena) {
    const size_t mark     = mg_arena_mark(arena);
    mg_rollout   r        = evaluation(g);
    mg_start    *starts   = MG_NEW(arena, mg_start, n);
    mg_episode  *episodes = MG_NEW(arena, mg_episode, n);
    mg_rng       rng      = mg_rng_stream(r.seed, MG_PURPOSE_PROMPT, (uint64_t)what);
    mg_err       err;
    for (int64_t i = 0; i < n; i++)
        starts[i] = (mg_start){.item = g->tasks > 0 ? (int64_t)mg_rng_below(&rng, (uint64_t)g->tasks) : -1,
                               .group = (int32_t)i, .episode = (uint32_t)i};
    r.model = (mg_model *)policy, r.script = script;
    if (script)
        err = mg_scripted_run(&r, starts, n, what, (uint64_t)what, arena, episodes);
    else if (mg_vectors_world(&r))
        err = mg_vectors_run(&r, starts, n, what, (uint64_t)what, arena, arena, episodes);
    else
        err = mg_rollout_run(&r, starts, n, what, (uint64_t)what, arena, arena, episodes, NULL);
    for (int64_t i = 0; i < n && !err; i++) {
        const mg_reward sum  = mg_episode_return(&episodes[i]);
        const bool      well = episodes[i].verdict == MG_CLEAN && mg_reward_value(&sum, &returns[i]);
        if (!well) returns[i] = NAN;
    }
    mg_arena_reset(arena, mark);
    return err;
}

static double mean_of(const double *x, int64_t n) {
    double  sum = 0;
    int64_t well = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i])) sum += x[i], well++;
    return well > 0 ? sum / (double)well : NAN;
}

static mg_err measure_random(const mg_guarding *g, double *out, mg_arena *scratch) {
    const mg_env_class *class = g->rollout->class;
    const mg_script    *known = mg_env_script(class, "random"), *script = known ? known : mg_scripted_random(class);
    double              returns[START_EPISODES];
    *out = NAN;
    if (!script) return MG_OK;
    mg_err err = play(g, NULL, script, MEASURE, START_EPISODES, returns, scratch);
    if (!err) *out = mean_of(returns, START_EPISODES);
    return err;
}

static mg_err copy_start(mg_guarding *g, const mg_model *policy) {
    mg_err err = mg_model_copy(&g->start, policy, policy->config.scalar_head, false);
    if (!err) mg_model_touch(g->start);
    return err;
}

mg_err mg_guarding_begin(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    double       returns[START_EPISODES], random;
    mg_err       err = copy_start(g, now->parts[0].model);
    if (!err) err = mg_folder_make(mg_path(scratch, "%s/guard", g->run->folder));
    if (!err) err = mg_model_save(g->start, start_folder(g, scratch), MG_FILE_F32, g->origin);
    if (!err) err = mg_snapshot_save(now, good_folder(g, scratch), g->origin, scratch);
    if (!err) err = play(g, g->start, NULL, MEASURE, START_EPISODES, returns, scratch);
    if (!err) err = measure_random(g, &random, scratch);
    mg_arena_reset(scratch, mark);
    if (err) return err;
    const double start = mean_of(returns, START_EPISODES);
    if (isnan(start))
        return mg_fail(MG_UNFIT, "guard: none of %d episodes of the starting policy went well and has a return of the "
                                 "world's own", START_EPISODES);
    mg_guard_begin(&g->guard, g->config, update, g->updates, start, random);
    mg_log(MG_LOG_INFO, "guard: the starting policy returns %.4g, random actions %.4g", start, random);
    return MG_OK;
}

mg_err mg_guarding_resume(mg_guarding *g, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    if (g->guard.begun < 0) return MG_OK;
    mg_err err = mg_model_load(&g->start, start_folder(g, scratch), false);
    mg_arena_reset(scratch, mark);
    return err;
}

void mg_guarding_end(mg_guarding *g) {
    mg_model_free(g->start);
    g->start = NULL;
}

// Pairs of which both went well, closed up; how many.
static int64_t close_up(double *now, double *start, int64_t n) {
    int64_t well = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(now[i]) && !isnan(start[i])) now[well] = now[i], start[well++] = start[i];
    return well;
}

static mg_err play_pairs(const mg_guarding *g, const mg_model *policy, int64_t what, int64_t *n, double *now,
                         double *start, mg_arena *scratch) {
    mg_err err = play(g, policy, NULL, what, *n, now, scratch);
    if (!err) err = play(g, g->start, NULL, what, *n, start, scratch);
    if (!err) *n = close_up(now, start, *n);
    return err;
}

static mg_err carry_out(mg_guarding *g, mg_guard_decision d, const mg_snapshot *now, int64_t update, bool *over,
                        mg_arena *scratch) {
    mg_snapshot parts = *now;
    parts.n_plain     = 0; // counters go on
    *over             = d == MG_GUARD_STOP;
    switch (d) {
    case MG_GUARD_GO: return MG_OK;
    case MG_GUARD_GOOD: return mg_snapshot_save(&parts, good_folder(g, scratch), g->origin, scratch);
    case MG_GUARD_ROLLBACK:
    case MG_GUARD_STOP: break;
    }
    mg_log(MG_LOG_WARN, "guard: update %lld: the policy has collapsed; back to what it was behind update %lld%s",
           (long long)update, (long long)g->guard.good, *over ? ", and no further" : ", with smaller steps");
    return mg_snapshot_load(&parts, good_folder(g, scratch), scratch);
}

mg_err mg_guarding_look(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_metrics *m, bool *over,
                        mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    int64_t      n    = g->config->episodes;
    double      *of_now = MG_NEW(scratch, double, n), *of_start = MG_NEW(scratch, double, n);
    *over = false;
    if (!mg_guard_due(&g->guard, g->config, update)) return MG_OK;
    mg_err err = play_pairs(g, now->parts[0].model, LOOKS + update, &n, of_now, of_start, scratch);
    if (err) return err;
    const mg_guard_decision d = mg_guard_look(&g->guard, g->config, update, of_now, of_start, n);
    if (n > 0) {
        mg_metrics_add(m, "guard_return", mean_of(of_now, n));
        mg_metrics_add(m, "guard_start", mean_of(of_start, n));
    }
    mg_metrics_add(m, "guard_pairs", (double)n);
    mg_metrics_add(m, "guard_wealth", d >= MG_GUARD_ROLLBACK ? 1 : mg_guard_wealth(&g->guard, g->config));
    mg_metrics_add(m, "guard_rollback", d >= MG_GUARD_ROLLBACK);
    err = carry_out(g, d, now, update, over, scratch);
    mg_arena_reset(scratch, mark);
    return err;
}

static const char *go_word(const mg_guard_verdict *v) {
    return v->go == MG_GUARD_YES ? "go" : v->go == MG_GUARD_NO ? "no-go" : "not decided";
}

static json_t *account(const mg_guarding *g, const mg_guard_verdict *v) {
    const mg_guard *s = &g->guard;
    return json_pack("{s:f, s:I, s:f, s:f, s:I, s:I, s:I, s:b, s:f, s:f, s:I, s:b, s:I, s:f, s:f, s:f, s:f, s:I, s:s}",
                     "alpha", g->config->alpha, "begun", (json_int_t)s->begun, "start_return", s->start_mean, "span",
                     s->span, "looks", (json_int_t)s->looks, "pairs", (json_int_t)s->pairs, "rollbacks",
                     (json_int_t)s->rollbacks, "stopped", (int)s->stopped, "dip", mg_guard_dip(s), "worst_return",
                     s->worst, "worst_update", (json_int_t)s->worst_update, "collapsed", (int)s->event, "recovered",
                     (json_int_t)s->recovered, "mean_return", s->looks > 0 ? s->area / (double)s->looks : 0, "gain",
                     v->gain.mean, "gain_low", v->gain.low, "gain_high", v->gain.high, "verdict_pairs",
                     (json_int_t)v->n, "verdict", go_word(v));
}

mg_err mg_guarding_judge(mg_guarding *g, const mg_model *policy, mg_arena *scratch) {
    const size_t     mark = mg_arena_mark(scratch);
    int64_t          n    = g->config->verdict_episodes;
    double          *now = MG_NEW(scratch, double, n), *start = MG_NEW(scratch, double, n);
    mg_rng           rng = mg_rng_stream(g->rollout->seed, MG_PURPOSE_BOOTSTRAP, 1);
    mg_guard_verdict v   = {0};
    mg_err           err = play_pairs(g, policy, VERDICT, &n, now, start, scratch);
    if (!err) err = mg_guard_judge(now, start, n, &rng, &v);
    mg_arena_reset(scratch, mark);
    if (err) return err;
    json_t *root = account(g, &v);
    char   *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (!text) return mg_fail(MG_NOMEM, "the guard's account");
    err = mg_store_note(g->run->store, "guard", text);
    free(text);
    mg_log(MG_LOG_INFO, "guard: gain %+.4g [%.4g, %.4g] over %lld pairs: %s; worst dip %.2f of the span, %lld rollbacks, "
           "%lld pairs at %lld looks", v.gain.mean, v.gain.low, v.gain.high, (long long)v.n, go_word(&v),
           mg_guard_dip(&g->guard), (long long)g->guard.rollbacks, (long long)g->guard.pairs, (long long)g->guard.looks);
    return err;
}
