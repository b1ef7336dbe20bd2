// reproduce_desk.h - what grids on support-desk share: demonstrations, a starting policy, runs, the judge.
//
// Everything lies in the grid's runs folder, and what is there is not made again.
#ifndef MG_APP_REPRODUCE_DESK_H
#define MG_APP_REPRODUCE_DESK_H
#include "app/app.h"
#include "app/reproduce.h"

#define MG_DESK_JUDGED 500 // held-out tasks, of which no demonstration is one; one episode each

// The desk without a fault, its rewards graded.
mg_err mg_desk_world_open(mg_arena *arena, mg_world *clean) MG_MUST_USE;

// Demonstrations of the world's noisy oracle, which makes 30 % of its moves at random; the folder's name.
mg_err mg_desk_demos(mg_cells *c, const mg_world *clean, const char **folder) MG_MUST_USE;

typedef struct mg_desk_run {
    const char        *name; // of its folder
    int                seed;
    const mg_override *settings, *more; // later ones win
    int                n_settings, n_more;
    mg_admit_fn       *admit; // NULL: the gate alone decides
    void              *admit_context;
} mg_desk_run;

// Trains, or goes on where an earlier life stopped.
mg_err mg_desk_train(mg_cells *c, const mg_desk_run *r, mg_train_result *result) MG_MUST_USE;

// A small transformer that imitates the demonstrations, `epochs` times over; *model is its folder.
mg_err mg_desk_prior(mg_cells *c, const mg_world *clean, int seed, const char *epochs,
                     const char **model) MG_MUST_USE;

// A policy on the held-out tasks: *episodes [MG_DESK_JUDGED]. With a reference (a model's folder; or NULL)
// kl [MG_DESK_JUDGED] is each episode's log pi / pi_ref, summed over what the policy said.
mg_err mg_desk_play(mg_cells *c, const mg_world *clean, const char *policy, const char *reference, int seed,
                    mg_episode **episodes, double *kl) MG_MUST_USE;

// Every condition held at the end, by the evidence. False too where nothing was played.
bool mg_desk_solved(const mg_episode *e);
#endif
