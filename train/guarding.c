// guarding.c - pairs of episodes, rollbacks, and what is said of them.
#include "train/guarding.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "rollout/scripted.h"
#include "rollout/vectors.h"
#include "train/guard_account.h"

// What an evaluation is for; a part of the stream that its seeds come from. Looks are LOOKS + their update.
enum { MEASURE, VERDICT, LOOKS };

static const char *start_folder(const mg_guarding *g, mg_arena *a) {
    return mg_path(a, "%s/guard/start", g->run->folder);
}

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

static void cost(mg_guard_cost *c, const mg_episode *episodes, int64_t n) {
    c->episodes += n;
    for (int64_t i = 0; i < n; i++) c->steps += episodes[i].n_turns;
}

void mg_guarding_count(mg_guarding *g, const mg_episode *episodes, int64_t n) {
    if (g->guard.begun >= 0) cost(&g->guard.training, episodes, n);
}

static void note_fault(mg_guarding *g, const mg_episode *e) {
    if (e->verdict == MG_CLEAN)
        snprintf(g->fault, sizeof g->fault, "clean, without a return");
    else
        snprintf(g->fault, sizeof g->fault, "%s: %s", e->code, e->detail);
}

// Returns of n episodes; NaN where one did not go well. script NULL: the model plays.
static mg_err play(mg_guarding *g, const mg_model *policy, const mg_script *script, int64_t what, int64_t n,
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
        if (!well && !g->fault[0]) note_fault(g, &episodes[i]);
    }
    if (!err) cost(&g->guard.evaluation, episodes, n);
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

static mg_err measure_random(mg_guarding *g, double *out, mg_arena *scratch) {
    const mg_env_class *class = g->rollout->class;
    const mg_script    *known = mg_env_script(class, "random"), *script = known ? known : mg_scripted_random(class);
    double              returns[MG_GUARD_START];
    *out = NAN;
    if (!script) return MG_OK;
    mg_err err = play(g, NULL, script, MEASURE, MG_GUARD_START, returns, scratch);
    if (!err) *out = mean_of(returns, MG_GUARD_START);
    return err;
}

// verdict NULL: the run is under way.
static mg_err note(const mg_guarding *g, const mg_guard_verdict *verdict) {
    char *text = mg_guard_account(&g->guard, g->config, verdict);
    if (!text) return mg_fail(MG_NOMEM, "the guard's account");
    mg_err err = mg_store_note(g->run->store, "guard", text);
    free(text);
    return err;
}

static mg_err copy_start(mg_guarding *g, const mg_model *policy) {
    mg_err err = mg_model_copy(&g->start, policy, policy->config.scalar_head, false);
    if (!err) mg_model_touch(g->start);
    return err;
}

static void say_start(const mg_guard *g) {
    if (isnan(g->random))
        mg_log(MG_LOG_INFO, "guard: the starting policy returns %.4g; the world has no random actions", g->start_mean);
    else
        mg_log(MG_LOG_INFO, "guard: the starting policy returns %.4g, random actions %.4g", g->start_mean, g->random);
    if (!(g->span > 0))
        mg_log(MG_LOG_WARN, "guard: the start has nothing to lose: no dip can be measured, and a pair is lost wherever "
               "the policy falls short of the start at all");
}

mg_err mg_guarding_begin(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    double       returns[MG_GUARD_START], random;
    mg_err       err = copy_start(g, now->parts[0].model);
    if (!err) err = mg_folder_make(mg_path(scratch, "%s/guard", g->run->folder));
    if (!err) err = mg_model_save(g->start, start_folder(g, scratch), MG_FILE_F32, g->origin);
    if (!err) err = mg_kept_save(g->run, MG_KEPT_GOOD, update, now, g->origin, scratch);
    if (!err && g->config->keep_best) err = mg_kept_save(g->run, MG_KEPT_BEST, update, now, g->origin, scratch);
    if (!err) err = play(g, g->start, NULL, MEASURE, MG_GUARD_START, returns, scratch);
    if (!err) err = measure_random(g, &random, scratch);
    mg_arena_reset(scratch, mark);
    if (err) return err;
    const double start = mean_of(returns, MG_GUARD_START);
    if (isnan(start))
        return mg_fail(MG_UNFIT, "guard: none of %d episodes of the starting policy went well and has a return of the "
                                 "world's own; the first: %s", MG_GUARD_START, g->fault);
    const mg_guard_cost spent = g->guard.evaluation;
    mg_guard_begin(&g->guard, g->config, update, g->updates, start, random);
    g->guard.evaluation = spent;
    say_start(&g->guard);
    return note(g, NULL);
}

mg_err mg_guarding_resume(mg_guarding *g, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    if (g->guard.begun < 0) return MG_OK;
    mg_err err = mg_model_load(&g->start, start_folder(g, scratch), false);
    if (!err) err = mg_model_compute(g->start, g->compute);
    mg_arena_reset(scratch, mark);
    return err;
}

void mg_guarding_end(mg_guarding *g) {
    mg_model_free(g->start);
    g->start = NULL;
}

// A policy whose numbers are none has failed in all of them, and not the run.
static mg_err play_pairs(mg_guarding *g, const mg_model *policy, int64_t what, int64_t n, double *now, double *start,
                         mg_arena *scratch) {
    mg_err err = play(g, policy, NULL, what, n, now, scratch);
    if (err == MG_NUMERIC) {
        mg_log(MG_LOG_WARN, "guard: the policy failed: %s", mg_err_detail());
        for (int64_t i = 0; i < n; i++) now[i] = NAN;
        err = MG_OK;
    }
    return err ? err : play(g, g->start, NULL, what, n, start, scratch);
}

static mg_err keep(mg_guarding *g, const mg_snapshot *now, mg_arena *scratch) {
    mg_err err = mg_kept_save(g->run, MG_KEPT_GOOD, g->guard.good, now, g->origin, scratch);
    if (err || !g->config->keep_best || g->guard.best != g->guard.good) return err;
    return mg_kept_save(g->run, MG_KEPT_BEST, g->guard.best, now, g->origin, scratch);
}

static mg_err carry_out(mg_guarding *g, mg_guard_decision d, const mg_snapshot *now, int64_t update, bool *over,
                        mg_arena *scratch) {
    *over = d == MG_GUARD_STOP;
    switch (d) {
    case MG_GUARD_GO: return MG_OK;
    case MG_GUARD_GOOD: return keep(g, now, scratch);
    case MG_GUARD_ROLLBACK:
    case MG_GUARD_STOP: break;
    }
    mg_log(MG_LOG_WARN, "guard: update %lld: the policy has collapsed; back to what it was behind update %lld%s",
           mg_update_number(update), (long long)g->guard.good,
           *over ? ", and no further" : ", with smaller steps");
    return mg_kept_load(g->run, MG_KEPT_GOOD, g->guard.good, now, scratch);
}

// Means over the pairs of which both went well, if there are any.
static void report(const mg_guarding *g, const double *now, const double *start, int64_t pairs, int64_t faults,
                   mg_guard_decision d, mg_metrics *m) {
    const bool   back = d == MG_GUARD_ROLLBACK || d == MG_GUARD_STOP;
    double       of_now = 0, of_start = 0;
    int64_t      well = 0;
    for (int64_t i = 0; i < g->config->episodes; i++)
        if (!isnan(now[i]) && !isnan(start[i])) of_now += now[i], of_start += start[i], well++;
    if (well > 0) {
        mg_metrics_add(m, "guard_return", of_now / (double)well);
        mg_metrics_add(m, "guard_start", of_start / (double)well);
    }
    mg_metrics_add(m, "guard_pairs", (double)pairs);
    mg_metrics_add(m, "guard_faults", (double)faults);
    mg_metrics_add(m, "guard_wealth", back ? 1 : mg_guard_wealth(&g->guard, g->config));
    mg_metrics_add(m, "guard_rollback", back);
    mg_metrics_add(m, "guard_good", (double)g->guard.good);
}

mg_err mg_guarding_look(mg_guarding *g, const mg_snapshot *now, int64_t update, mg_metrics *m, bool *over,
                        mg_arena *scratch) {
    const size_t  mark = mg_arena_mark(scratch);
    const int64_t n = g->config->episodes, pairs = g->guard.pairs, faults = g->guard.faults;
    double       *of_now = MG_NEW(scratch, double, n), *of_start = MG_NEW(scratch, double, n);
    *over = false;
    if (!mg_guard_due(&g->guard, g->config, update)) return MG_OK;
    mg_err err = play_pairs(g, now->parts[0].model, LOOKS + update, n, of_now, of_start, scratch);
    if (err) return err;
    const mg_guard_decision d = mg_guard_look(&g->guard, g->config, update, of_now, of_start, n);
    report(g, of_now, of_start, g->guard.pairs - pairs, g->guard.faults - faults, d, m);
    err = carry_out(g, d, now, update, over, scratch);
    if (!err) err = note(g, NULL);
    mg_arena_reset(scratch, mark);
    return err;
}

mg_err mg_guarding_broke(mg_guarding *g, const mg_snapshot *now, int64_t update, const char *why, mg_metrics *m,
                         bool *over, mg_arena *scratch) {
    const size_t mark = mg_arena_mark(scratch);
    mg_log(MG_LOG_WARN, "guard: learning has left the finite: %s", why);
    const mg_guard_decision d = mg_guard_broke(&g->guard, g->config, update);
    mg_metrics_add(m, "guard_rollback", 1);
    mg_metrics_add(m, "guard_good", (double)g->guard.good);
    mg_err err = carry_out(g, d, now, update, over, scratch);
    // A step that was refused has left its gradient, which no checkpoint has.
    for (int i = 0; i < now->n_parts; i++)
        if (now->parts[i].model->grads) mg_model_zero_grads(now->parts[i].model);
    if (!err) err = note(g, NULL);
    mg_arena_reset(scratch, mark);
    return err;
}

// What could not be measured is said in words.
static void say_verdict(const mg_guard *g, const mg_guard_verdict *v) {
    char gain[128] = "gain not measured", dip[64];
    if (v->n >= MG_GUARD_PAIRS_MIN)
        snprintf(gain, sizeof gain, "gain %+.4g [%.4g, %.4g]", v->gain.mean, v->gain.low, v->gain.high);
    if (g->looks == 0)
        snprintf(dip, sizeof dip, "no dip measured: no look had a pair");
    else if (!(g->span > 0))
        snprintf(dip, sizeof dip, "no dip measured: the start has nothing to lose");
    else
        snprintf(dip, sizeof dip, "worst dip %.2f of the span", mg_guard_dip(g));
    mg_log(MG_LOG_INFO, "guard: %s over %lld pairs: %s; %s, %lld rollbacks, %lld pairs at %lld looks", gain,
           (long long)v->n, mg_guard_word(v), dip, (long long)mg_guard_backs(g), (long long)g->pairs,
           (long long)g->looks);
}

mg_err mg_guarding_best(mg_guarding *g, const mg_snapshot *now, mg_arena *scratch) {
    if (!g->config->keep_best) return MG_OK;
    return mg_kept_load(g->run, MG_KEPT_BEST, g->guard.best, now, scratch);
}

mg_err mg_guarding_judge(mg_guarding *g, const mg_model *policy, mg_arena *scratch) {
    const size_t     mark = mg_arena_mark(scratch);
    const int64_t    n    = g->config->verdict_episodes;
    double          *now = MG_NEW(scratch, double, n), *start = MG_NEW(scratch, double, n);
    mg_rng           rng = mg_rng_stream(g->rollout->seed, MG_PURPOSE_BOOTSTRAP, 1);
    mg_guard_verdict v;
    mg_err           err = play_pairs(g, policy, VERDICT, n, now, start, scratch);
    if (!err) err = mg_guard_judge(now, start, n, &rng, &v);
    if (!err) err = note(g, &v);
    mg_arena_reset(scratch, mark);
    if (err) return err;
    g->verdict = mg_guard_word(&v);
    say_verdict(&g->guard, &v);
    return MG_OK;
}
