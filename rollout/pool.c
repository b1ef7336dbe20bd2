// pool.c - slots, opened when first taken.
#include "rollout/pool.h"

#include <string.h>

void mg_env_pool_init(mg_env_pool *p, const mg_env_class *class, const void *world, mg_arena *arena) {
    *p = (mg_env_pool){.class = class, .world = world, .arena = arena};
}

// An environment's place, whose state is allocated once however often it is opened.
static mg_env place(const mg_env_pool *p) {
    return (mg_env){.class = p->class, .world = p->world, .state = mg_arena_alloc(p->arena, p->class->state_size)};
}

// Environments move in memory, their states do not.
static void grow(mg_env_pool *p, int64_t room) {
    mg_env *envs = MG_NEW(p->arena, mg_env, room);
    bool   *open = MG_NEW(p->arena, bool, room);
    if (p->room > 0) {
        memcpy(envs, p->envs, sizeof *envs * (size_t)p->room);
        memcpy(open, p->open, sizeof *open * (size_t)p->room);
    }
    for (int64_t i = p->room; i < room; i++) envs[i] = place(p);
    p->envs = envs, p->open = open, p->room = room;
}

static mg_err open_at(mg_env *e, bool *open) {
    if (*open) return MG_OK;
    memset(e->state, 0, e->class->state_size);
    e->fault   = NULL;
    mg_err err = e->class->open ? e->class->open(e) : MG_OK;
    *open      = !err;
    return err;
}

static void close_at(mg_env *e, bool *open) {
    if (*open && e->class->close) e->class->close(e);
    *open = false;
}

mg_err mg_env_pool_take(mg_env_pool *p, int64_t i, mg_env **out) {
    if (i >= p->room) grow(p, i < p->room * 2 ? p->room * 2 : i + 1);
    *out = &p->envs[i];
    return open_at(*out, &p->open[i]);
}

void mg_env_pool_drop(mg_env_pool *p, int64_t i) {
    if (i < p->room) close_at(&p->envs[i], &p->open[i]);
}

static bool reference_starts(mg_env_pool *p, uint64_t seed, const mg_reset_options *options, uint8_t digest[32]) {
    mg_value seen;
    if (!p->reference.state) p->reference = place(p);
    if (open_at(&p->reference, &p->reference_open)) return false;
    if (p->class->reset(&p->reference, seed, options, 0, &seen)) {
        close_at(&p->reference, &p->reference_open);
        return false;
    }
    mg_env_digest(&p->reference, digest);
    return true;
}

// A digest that could not be taken equals no other, itself included: nothing is concluded from it.
static void start_first_again(mg_env_pool *p, uint64_t seed, int64_t item) {
    uint8_t digest[32], again[32];
    if (!p->first_known) p->first_seed = seed, p->first_item = item;
    if (!reference_starts(p, p->first_seed, &(mg_reset_options){.item = p->first_item}, digest)) return;
    mg_env_digest(&p->reference, again);
    if (memcmp(digest, again, sizeof digest) != 0) return;
    if (p->first_known)
        p->spilled |= memcmp(digest, p->first, sizeof digest) != 0;
    else
        memcpy(p->first, digest, sizeof digest), p->first_known = true;
}

bool mg_env_pool_fresh(mg_env_pool *p, uint64_t seed, const mg_reset_options *options, uint8_t digest[32]) {
    if (p->asked++ % MG_ENV_POOL_AGAIN == 0) start_first_again(p, seed, options->item);
    return reference_starts(p, seed, options, digest);
}

void mg_env_pool_close(mg_env_pool *p) {
    close_at(&p->reference, &p->reference_open);
    for (int64_t i = 0; i < p->room; i++) mg_env_pool_drop(p, i);
}
