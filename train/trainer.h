// trainer.h - a run while it is under way: what train.c and trainer.c share.
#ifndef MG_TRAIN_TRAINER_H
#define MG_TRAIN_TRAINER_H
#include "train/control.h"
#include "train/guarding.h"
#include "train/tensorboard.h"
#include "train/train.h"

typedef struct mg_trainer {
    const mg_train_options *options;
    mg_settings     settings;
    mg_arena        run_arena, step_arena;
    mg_team        *team;
    mg_tokenizer   *tokenizer;
    mg_job          job;
    mg_world        world;
    mg_learner     *learner;
    mg_run          run;
    mg_events      *events;
    mg_rollout      rollout;
    mg_manifest     manifest;  // pinned at the run's start; zeroed: the world has none
    mg_gate         gate;
    mg_env_pool     pool;
    mg_control      steps;     // of learners that learn step by step
    mg_guarding     guarding;
    mg_easing       easing;    // the guard's, for the learner
    bool            over;      // the guard ended the run
    bool            control;   // a study's control arm chose what this update learns from
    bool            control_noted;
    int64_t         updates;   // in all, as the settings ask
    int64_t         done;      // of these
    double          started;   // mg_clock_seconds
} mg_trainer;

// Opens all that a run needs before its first update, and goes back to the newest checkpoint. What can be wrong with
// what the user named is found before a folder is made. `t` holds the options; after an error it is to be closed too.
mg_err mg_trainer_open(mg_trainer *t) MG_MUST_USE;
void   mg_trainer_close(mg_trainer *t);

mg_snapshot mg_trainer_learnt(mg_trainer *t);   // what is learnt: a rollback puts it back
mg_snapshot mg_trainer_snapshot(mg_trainer *t); // and the counters: what a life goes on from
bool        mg_trainer_acts(const mg_trainer *t, int64_t update); // does the policy act in the world in this update?
// A fresh model has no folder whose tokenizer could be carried along, so its own lies in the run. A perceptron has
// no tokenizer: NULL.
const char *mg_trainer_origin(const mg_trainer *t);
const char *mg_trainer_yaml(mg_trainer *t); // where the run's settings lie
#endif
