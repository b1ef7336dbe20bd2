// check.c - does a world put itself where it is told? Played states against restored ones.
#include <string.h>

#include "rollout/rollout.h"

#define CHECK_ARENA_MAX ((size_t)8 << 30) // address space, for two states and a snapshot

static mg_err reset_differs(mg_env *played, mg_env *put, int64_t item, const char *prefix,
                            size_t prefix_size) {
    mg_reset_options from_start = {.item = item};
    mg_reset_options inside     = {.item = item, .prefix = prefix, .prefix_size = prefix_size};
    mg_value         seen;
    mg_transition    next;
    const mg_value say = {.kind = MG_SPACE_TEXT, .text = prefix, .size = prefix_size, .open = true};
    uint8_t        a[32], b[32];

    mg_err err = played->class->reset(played, 0, &from_start, 0, &seen);
    if (!err) err = played->class->step(played, &say, 0, &next);
    if (!err) err = put->class->reset(put, 0, &inside, 0, &seen);
    if (err) return err;
    mg_env_digest(played, a);
    mg_env_digest(put, b);
    if (memcmp(a, b, sizeof a))
        return mg_fail(MG_MISMATCH,
                       "%s: item %lld: the state after a reset behind %zu bytes is not the "
                       "state after playing them",
                       played->class->name, (long long)item, prefix_size);
    return MG_OK;
}

mg_err mg_rollout_check_reset(const mg_env_class *class, const void *world, int64_t item,
                              const char *prefix, size_t prefix_size) {
    if (!class->resets)
        return mg_fail(MG_UNSUPPORTED, "%s: this world cannot be reset into a recorded state",
                       class->name);
    mg_arena arena;
    mg_env   played = {0}, put = {0};
    mg_err   err    = mg_arena_init(&arena, "reset check", CHECK_ARENA_MAX);
    if (err) return err;
    err = mg_env_open(&played, class, world, &arena);
    if (!err) err = mg_env_open(&put, class, world, &arena);
    if (!err) err = reset_differs(&played, &put, item, prefix, prefix_size);
    mg_env_close(&played);
    mg_env_close(&put);
    mg_arena_release(&arena);
    return err;
}

static mg_err snapshot_differs(mg_env *played, mg_env *put, int64_t item, const mg_pair *demo,
                               int64_t turns, mg_arena *arena) {
    const mg_env_class    *c       = played->class;
    const mg_reset_options options = {.item = item};
    mg_value               before, after;
    mg_transition          next = {0};
    void                  *bytes;
    size_t                 size;
    uint8_t                a[32], b[32];
    mg_err                 err = c->reset(played, demo->seed, &options, 0, &before);
    for (int64_t k = 0; k < turns && !err; k++) {
        const char    *text = mg_pair_turn(demo, k).action;
        const mg_value say  = {.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
        err = c->step(played, &say, 0, &next);
        if (!err && (next.terminated || next.truncated))
            err = mg_fail(MG_MISMATCH, "%s: item %lld: the episode ends with turn %lld of a demonstration "
                                       "that goes on", c->name, (long long)item, (long long)k + 1);
        before = next.observation;
    }
    if (!err) err = c->snapshot(played, arena, &bytes, &size);
    if (!err) err = c->restore(put, bytes, size, &after);
    if (err) return err;
    mg_env_digest(played, a);
    mg_env_digest(put, b);
    const bool same = before.size == after.size &&
                      (after.size == 0 || memcmp(before.text, after.text, after.size) == 0);
    if (same && memcmp(a, b, sizeof a) == 0) return MG_OK;
    return mg_fail(MG_MISMATCH, "%s: item %lld: the %s restored behind %lld turns is not the one that they "
                                "were played to",
                   c->name, (long long)item, same ? "state" : "observation", (long long)turns);
}

mg_err mg_rollout_check_snapshot(const mg_env_class *class, const void *world, int64_t item,
                                 const mg_pair *demo, int64_t turns) {
    MG_ASSERT(turns >= 1 && turns <= demo->n_later);
    if (!class->snapshot || !class->restore)
        return mg_fail(MG_UNSUPPORTED, "%s: this world has no snapshots", class->name);
    mg_arena arena;
    mg_env   played = {0}, put = {0};
    mg_err   err    = mg_arena_init(&arena, "snapshot check", CHECK_ARENA_MAX);
    if (err) return err;
    err = mg_env_open(&played, class, world, &arena);
    if (!err) err = mg_env_open(&put, class, world, &arena);
    if (!err) err = snapshot_differs(&played, &put, item, demo, turns, &arena);
    mg_env_close(&played);
    mg_env_close(&put);
    mg_arena_release(&arena);
    return err;
}
