// rollout_world.h - a policy and an environment put together by a configuration, to be played.
#ifndef MG_APP_ROLLOUT_WORLD_H
#define MG_APP_ROLLOUT_WORLD_H
#include "app/app.h"
#include "train/harness.h"
#include "train/run.h"

typedef struct mg_rollout_asked { // on the command line
    const char        *config, *model, *script, *out, *split;
    const mg_override *overrides;
    int                n_overrides;
    double             temperature; // below 0: the run's, else 0.7
    bool               bundled;     // a world that is a process is refused
    int64_t            from, to;    // tasks before `from` are left out, and those from `to` on; to 0: none
} mg_rollout_asked;

typedef struct mg_rollout_world {
    mg_arena      arena, step;
    mg_settings   settings;
    mg_job        job;
    mg_tokenizer *tokenizer;
    mg_model     *model;
    mg_world      world;
    mg_manifest   manifest;
    mg_gate       gate;
    mg_env_pool       pool;
    mg_rollout    how;
    int64_t      *items;  // [n_items] in the one fixed random order; NULL: the seed decides
    int64_t       n_items;
    int64_t       batch;  // episodes at a time
    const char   *policy; // its name
    const char   *split;  // "" for a world that is made of no data
} mg_rollout_world;

// Errors: MG_CONFIG (a process where a bundled world is asked for, no such script, a model that does not fit the
// world), those of settings, data, models and the environment. After an error it is closed.
mg_err mg_rollout_world_open(mg_rollout_world *w, const mg_rollout_asked *asked) MG_MUST_USE;
void   mg_rollout_world_close(mg_rollout_world *w);
// A new run in `out`, for what is played (mg_run_open).
mg_err mg_rollout_world_run(mg_rollout_world *w, const char *out, mg_run *run) MG_MUST_USE;

// The environment of a finished run, from its run.yaml and notes; without a policy.
mg_err mg_rollout_world_of_run(mg_rollout_world *w, const char *folder) MG_MUST_USE;
#endif
