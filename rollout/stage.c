// stage.c - an environment's calls, recorded and watched.
#include "rollout/stage.h"

#include <string.h>

#include "harness/taxonomy.h"
#include "rollout/record.h"

// Times and bytes of the last call, where there is a wire.
static void record_call(mg_stage *s, mg_turn *turn) {
    const mg_call *c = s->env->class->call ? s->env->class->call(s->env) : NULL;
    if (!c) return;
    turn->call = *c;
    if (c->raw) turn->call.raw = mg_record_bytes(s->arena, c->raw, c->raw_size);
}

static void see(mg_stage *s, const mg_value *seen) {
    mg_turn *turn = mg_record_room(&s->turns, &s->room, s->episode->n_turns, s->arena);
    *turn         = (mg_turn){0};
    turn->observation = mg_record_value(seen, &s->env->class->observation, false, s->arena,
                                        &turn->observation_size);
    s->sees = true;
}

// What this environment promises now, where the run has pinned a promise.
static void ask_manifest(mg_stage *s) {
    if (!s->r->manifest) return;
    const char *json = s->env->class->manifest ? s->env->class->manifest(s->env) : NULL;
    if (!json)
        s->unpromised = "it promises nothing, and did when the run began";
    else if (mg_manifest_hash(json, strlen(json), s->promised))
        s->unpromised = mg_arena_strdup(s->arena, mg_err_detail());
}

// Judged once the environment has begun the episode: one that could not be asked because it is gone has
// a better name for that.
static void watch_manifest(mg_stage *s) {
    if (!s->r->manifest) return;
    if (s->unpromised)
        mg_watch_fault(&s->watch, MG_E_MANIFEST, s->unpromised);
    else
        mg_watch_manifest(&s->watch, s->promised);
}

void mg_stage_open(mg_stage *s, const mg_rollout *r, int64_t slot, const mg_start *start,
                   int64_t policy_version, uint64_t seed, int64_t turns_max, mg_arena *arena,
                   mg_episode *e) {
    mg_env_pool *pool = r->pool;
    mg_err   err;
    *s = (mg_stage){.r = r, .arena = arena, .episode = e, .slot = slot, .turns_max = turns_max};
    *e = (mg_episode){.start = *start, .policy_version = policy_version, .seed = seed, .code_turn = -1};
    mg_watch_begin(&s->watch, r->manifest);
    if (pool && start->attempt > 0) mg_env_pool_drop(pool, slot);
    if (pool) {
        err = mg_env_pool_take(pool, slot, &s->env);
    } else {
        err    = mg_env_open(&s->own, r->class, r->world, arena);
        s->env = &s->own;
    }
    if (err) {
        s->env = NULL, s->over = true;
        mg_watch_fault(&s->watch, MG_E_OPEN, mg_err_detail());
        return;
    }
    ask_manifest(s);
}

// What is declared stochastic may start otherwise each time: no start of it can be called dirty.
static bool repeats(const mg_rollout *r) {
    return !r->manifest || r->manifest->determinism != MG_STOCHASTIC;
}

// The digest of a fresh environment after the same reset, and whether there is one to compare with. One that
// could not be taken equals no other, itself included: then somebody has failed, and says so in the next call.
static bool ask_fresh(const mg_stage *s, const mg_reset_options *options, const uint8_t digest[32],
                      uint8_t fresh[32]) {
    uint8_t again[32];
    if (!s->r->pool || !repeats(s->r) || !mg_env_pool_fresh(s->r->pool, s->episode->seed, options, fresh))
        return false;
    if (memcmp(digest, fresh, 32) == 0) return true;
    mg_env_digest(s->env, again);
    return memcmp(digest, again, 32) == 0 && mg_env_pool_fresh(s->r->pool, s->episode->seed, options, fresh);
}

bool mg_stage_reset(mg_stage *s, const mg_reset_options *options, mg_value *seen) {
    uint8_t digest[32], fresh[32];
    if (s->over) return false;
    if (s->env->class->reset(s->env, s->episode->seed, options, s->now_ns, seen)) {
        mg_stage_broke(s, "E.reset");
        return false;
    }
    mg_env_digest(s->env, digest);
    const bool compared = ask_fresh(s, options, digest, fresh);
    if (compared && s->r->pool->spilled)
        mg_watch_fault(&s->watch, MG_E_DIRTY, "the run's first reset, made again on an environment that nobody "
                                              "has played on, now gives another state: something outlives them");
    watch_manifest(s);
    mg_watch_reset(&s->watch, digest, compared ? fresh : NULL);
    see(s, seen);
    return true;
}

void mg_stage_resume(mg_stage *s, int64_t now_ns, const mg_watch *past) {
    watch_manifest(s); // this environment's own
    const mg_finding own = s->watch.finding;
    s->watch = *past, s->now_ns = now_ns;
    if (own.verdict > s->watch.finding.verdict) s->watch.finding = own;
}

void mg_stage_start(mg_stage *s) {
    if (!s->broken && s->env) mg_env_digest(s->env, s->episode->reset_digest);
}

// Is this still the environment's digest? One that could not be taken equals no other (ask_fresh).
static bool digest_stands(const mg_stage *s) {
    uint8_t again[32];
    if (s->broken || !s->env) return false;
    mg_env_digest(s->env, again);
    return memcmp(s->episode->reset_digest, again, sizeof again) == 0;
}

void mg_stage_same_start(mg_stage *s, const mg_stage *played) {
    const uint8_t *own = s->episode->reset_digest, *other = played->episode->reset_digest;
    if (s->over || !repeats(s->r) || memcmp(own, other, 32) == 0) return;
    if (digest_stands(s) && digest_stands(played))
        mg_stage_fault(s, "E.dirty", "restored, the world's state has another digest than when it was played");
}

mg_turn *mg_stage_turn(mg_stage *s) { return &s->turns[s->episode->n_turns]; }

bool mg_stage_step(mg_stage *s, const mg_value *action, mg_value *seen) {
    mg_episode    *e    = s->episode;
    mg_turn       *turn = mg_stage_turn(s);
    mg_transition  next = {0};
    e->n_turns++;
    s->sees = false;
    if (s->env->class->step(s->env, action, s->now_ns, &next)) {
        record_call(s, turn);
        mg_stage_broke(s, "E.step");
        return false;
    }
    record_call(s, turn);
    mg_watch_step(&s->watch, &next, s->now_ns);
    if (next.evidence.took_ns > 0 && __builtin_add_overflow(s->now_ns, next.evidence.took_ns, &s->now_ns))
        s->now_ns = INT64_MAX;
    mg_record_transition(e, turn, &next, s->env->class, s->turns_max, s->arena);
    s->over = e->terminated || e->truncated || turn->reward.kind == MG_REWARD_INVALID;
    *seen   = next.observation;
    if (!s->over || (e->truncated && turn->reward.kind != MG_REWARD_INVALID)) see(s, seen);
    return !s->over;
}

void mg_stage_fault(mg_stage *s, const char *code, const char *sentence) {
    mg_watch_fault(&s->watch, mg_code_find(code), sentence);
    s->over = true;
}

void mg_stage_broke(mg_stage *s, const char *code) {
    s->broken = true;
    mg_stage_fault(s, s->env->fault ? s->env->fault : code, mg_err_detail());
}

void mg_stage_close(mg_stage *s) {
    mg_episode     *e     = s->episode;
    e->turns              = s->turns;
    const mg_reward total = mg_episode_return(e);
    if (s->env && !s->broken) mg_env_digest(s->env, e->end_digest);
    mg_watch_end(&s->watch, e->terminated, s->r->wants_reward, &total);
    mg_watch_verdict(&s->watch, e);
    if (!s->r->pool)
        mg_env_close(&s->own);
    else if (s->broken || mg_episode_harness_failed(e)) // nobody knows what it has become
        mg_env_pool_drop(s->r->pool, s->slot);
}
