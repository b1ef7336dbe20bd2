// env.c - rewards, episodes and digests: the small functions of the contract.
#include "env/env.h"

#include <math.h>
#include <openssl/sha.h>
#include <string.h>

#include "env/episode.h"

mg_reward mg_reward_of(double x) {
    if (!isfinite(x)) return mg_reward_invalid("not a finite number");
    return (mg_reward){.kind = MG_REWARD_VALUE, .value = x};
}

mg_reward mg_reward_absent(const char *reason) {
    return (mg_reward){.kind = MG_REWARD_ABSENT, .reason = reason};
}

mg_reward mg_reward_invalid(const char *reason) {
    return (mg_reward){.kind = MG_REWARD_INVALID, .reason = reason};
}

bool mg_reward_value(const mg_reward *r, double *out) {
    if (r->kind != MG_REWARD_VALUE) return false;
    *out = r->value;
    return true;
}

mg_reward mg_episode_return(const mg_episode *e) {
    if (e->n_turns == 0) return mg_reward_absent("the episode has no turn");
    double sum = 0, x;
    for (int64_t i = 0; i < e->n_turns; i++) {
        if (!mg_reward_value(&e->turns[i].reward, &x)) return e->turns[i].reward;
        sum += x;
    }
    return mg_reward_of(sum);
}

void mg_env_digest(const mg_env *e, uint8_t out[32]) {
    if (e->class->digest)
        e->class->digest(e, out);
    else
        SHA256(e->state, e->class->state_size, out);
}

mg_err mg_env_open(mg_env *e, const mg_env_class *class, const void *world, mg_arena *arena) {
    mg_env fresh = {.class = class, .world = world, .state = mg_arena_alloc(arena, class->state_size)};
    mg_err err   = class->open ? class->open(&fresh) : MG_OK;
    if (!err) *e = fresh;
    return err;
}

void mg_env_close(mg_env *e) {
    if (e->state && e->class->close) e->class->close(e);
    e->state = NULL;
}

const mg_script *mg_env_script(const mg_env_class *class, const char *name) {
    for (const mg_script *s = class->scripts; s && s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}
