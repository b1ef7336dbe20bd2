// train.h - the loop that drives any algorithm from its first update to its last.
//
//   resolve config -> read data -> open world -> see what its policy is -> open learner -> open run folder
//                  -> [load checkpoint]
//   each update:  starts -> episodes -> gate -> update -> metrics, episodes and ledger stored
//                 -> checkpoint when due
//   end:          model/ (Hugging Face layout), report.html
//
// Checkpoints lie between updates. A run that was stopped or killed goes on from its newest
// checkpoint and repeats the updates after it from their random streams.
#ifndef MG_TRAIN_TRAIN_H
#define MG_TRAIN_TRAIN_H
#include <stdatomic.h>

#include "env/env.h"
#include "rollout/collect.h"
#include "train/job.h"

// A world made by the caller for the job's training pairs.
typedef struct mg_world {
    const mg_env_class *class;
    const void         *world;
    int64_t             n_items; // to learn from; 0: its seed decides
    void               *owner;   // its maker's
    void              (*end)(struct mg_world *w); // its maker's way of giving it back; NULL: nothing to give
} mg_world;

// Makes the world that settings name over the job's rows, for an algorithm that needs one; memory on
// job->run. The ender is called for a world that was made, after everything else has ended.
typedef mg_err mg_world_maker(const mg_settings *s, const mg_job *job, mg_world *out);
typedef void   mg_world_ender(mg_world *w);

// The class of the world that settings name, where it is known before that world is made (a process has to be
// started); else NULL.
typedef const mg_env_class *mg_world_class(const mg_settings *s);

// A study looks at what was collected, and in its control arms puts what else is to be learnt from into
// `kept` (some mend rewards, as careless harnesses do); then it returns true, and the run keeps no ledger.
typedef bool mg_admit_fn(void *context, mg_collected *c);

typedef struct mg_train_options {
    const char        *config;    // YAML file or NULL
    const mg_override *overrides;
    int                n_overrides;
    bool               resume;
    mg_world_maker    *make_world;
    mg_world_class    *world_class; // NULL: no world's kind is known before it is made
    mg_world_ender    *end_world;
    mg_admit_fn       *admit;     // NULL: the gate alone decides
    void              *admit_context;
    const atomic_int *stop;       // becomes non-zero when somebody asks to stop (Ctrl-C); or NULL
    const char        *program;   // how it was called, for what is told to type; NULL: "martingale"
    double             wall_time; // seconds since 1970 at the start, for event files
} mg_train_options;

// What a finished run says of itself.
typedef struct mg_train_result {
    char       folder[4096]; // the run
    int64_t    updates;      // made in all its lives
    int64_t    planned;      // as its settings ask; more than were made: the guard ended the run
    int64_t    model_behind; // updates behind the policy in model/: fewer where the guard put it there
    bool       best;         // the guard chose it as the best that it saw, not as the last good one
    int64_t    guard_behind; // updates before the guard began, at the policy that it compares with; -1: it did not
    int64_t    rollbacks;    // of the guard
    const char *verdict;     // of the guard, static: "go", "no-go", "not decided"; NULL: there is none
    double     seconds;      // spent in this life
    mg_metrics last;         // the last update's metrics, of its policy before a rollback; names are static. Empty
                             // when a finished run was resumed
} mg_train_result;

// Errors: MG_CONFIG (used wrongly; resumed with settings that the run was not begun with),
// MG_INTERRUPTED after a checkpoint was written, MG_NUMERIC (the sentence names update and episodes;
// the last good checkpoint stays), MG_EMPTY (no episode of an update may be learnt from: they are in the
// store), MG_UNFIT (the gate tripped: the environment fails too often; witnesses are in the report),
// and what data and files say. No folder is made before data, world and models were found fit.
mg_err mg_train(const mg_train_options *options, mg_train_result *out) MG_MUST_USE;
#endif
