// logged.h - a logged data set for a world of vectors.
#ifndef MG_TRAIN_LOGGED_H
#define MG_TRAIN_LOGGED_H
#include "algos/algo.h"
#include "store/store.h"

// Reads `path` (store/logged.h) into job->transitions, on job->run, actions divided by what the world takes at most;
// those beyond it, which acted as the limit, become the limit and are counted in the log. Needs job->world.
// Errors, which name the file: MG_CONFIG (another world's; other numbers of observations or actions: found and
// wanted), those of reading.
mg_err mg_job_logged(mg_job *job, const char *path) MG_MUST_USE;

// A run goes on with the set that it was begun with: the note "data" of its store has the number of transitions and
// the SHA-256 of what was read (n, obs, act, observations, actions, rewards, next, terminals), and is written where
// there is none. No data: nothing happens. Errors: MG_CONFIG (another set: found and wanted), those of the store.
mg_err mg_job_logged_same(const mg_job *job, const char *path, mg_store *store) MG_MUST_USE;
#endif
