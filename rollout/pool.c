// pool.c - slots, opened when first taken.
#include "rollout/pool.h"

#include <string.h>

void mg_env_pool_init(mg_env_pool *p, const mg_env_class *class, const void *world, mg_arena *arena) {
    *p = (mg_env_pool){.class = class, .world = world, .arena = arena};
}

// Environments move in memory, their states do not.
static void grow(mg_env_pool *p, int64_t room) {
    mg_env *envs = MG_NEW(p->arena, mg_env, room);
    bool   *open = MG_NEW(p->arena, bool, room);
    if (p->room > 0) {
        memcpy(envs, p->envs, sizeof *envs * (size_t)p->room);
        memcpy(open, p->open, sizeof *open * (size_t)p->room);
    }
    for (int64_t i = p->room; i < room; i++)
        envs[i] = (mg_env){.class = p->class, .world = p->world,
                           .state = mg_arena_alloc(p->arena, p->class->state_size)};
    p->envs = envs, p->open = open, p->room = room;
}

mg_err mg_env_pool_take(mg_env_pool *p, int64_t i, mg_env **out) {
    if (i >= p->room) grow(p, i < p->room * 2 ? p->room * 2 : i + 1);
    mg_env *e = &p->envs[i];
    if (!p->open[i]) {
        memset(e->state, 0, p->class->state_size);
        e->fault   = NULL;
        mg_err err = p->class->open ? p->class->open(e) : MG_OK;
        if (err) return err;
        p->open[i] = true;
    }
    *out = e;
    return MG_OK;
}

void mg_env_pool_drop(mg_env_pool *p, int64_t i) {
    if (i >= p->room || !p->open[i]) return;
    if (p->class->close) p->class->close(&p->envs[i]);
    p->open[i] = false;
}

bool mg_env_pool_fresh(mg_env_pool *p, uint64_t seed, const mg_reset_options *options, uint8_t digest[32]) {
    mg_value seen;
    if (!p->reference.state && mg_env_open(&p->reference, p->class, p->world, p->arena)) return false;
    if (p->class->reset(&p->reference, seed, options, 0, &seen)) {
        mg_env_close(&p->reference);
        return false;
    }
    mg_env_digest(&p->reference, digest);
    return true;
}

void mg_env_pool_close(mg_env_pool *p) {
    mg_env_close(&p->reference);
    for (int64_t i = 0; i < p->room; i++) mg_env_pool_drop(p, i);
}
