// pool.h - environments that outlive an episode, as they do wherever opening one is dear. That is how
// one episode's leavings can reach the next, which the digest after reset shows (harness/watch.h).
#ifndef MG_ROLLOUT_POOL_H
#define MG_ROLLOUT_POOL_H
#include "env/env.h"

typedef struct mg_env_pool {
    const mg_env_class *class;
    const void         *world;
    mg_arena           *arena; // of the environments' state, as long as the pool lives
    mg_env             *envs;  // [room], owned
    bool               *open;  // [room]
    int64_t             room;
    mg_env              reference; // reset, never played on; owned
    bool                reference_open;
    // The first start of all, which the reference makes again from time to time.
    uint64_t            first_seed;
    int64_t             first_item, asked; // how often a fresh digest was asked for
    uint8_t             first[32];
    bool                first_known, spilled; // spilled: it came out otherwise since
} mg_env_pool;

void mg_env_pool_init(mg_env_pool *p, const mg_env_class *class, const void *world, mg_arena *arena);
// Slot i's environment: the one that was there, or a fresh one. Errors: those of opening it, with *out then
// of no use.
mg_err mg_env_pool_take(mg_env_pool *p, int64_t i, mg_env **out) MG_MUST_USE;
// Closes slot i's: after a failure, and before an attempt that is to be on a fresh one.
void mg_env_pool_drop(mg_env_pool *p, int64_t i);
// The digest after the same reset on an environment on which nobody has ever played. False: it has none,
// or will not be reset. Every MG_ENV_POOL_AGAIN-th time the first reset of all is made again there too: what
// outlives environments (a file, a server that all of them share) is no dirt in one of them, every fresh one has it.
#define MG_ENV_POOL_AGAIN 8
bool mg_env_pool_fresh(mg_env_pool *p, uint64_t seed, const mg_reset_options *options, uint8_t digest[32]);
void mg_env_pool_close(mg_env_pool *p);
#endif
