// logged.h - a logged data set for a world of vectors.
#ifndef MG_TRAIN_LOGGED_H
#define MG_TRAIN_LOGGED_H
#include "algos/algo.h"
#include "train/job.h"

// Reads `path` (store/logged.h) into job->transitions, on job->run, actions divided by what the world takes at most;
// those beyond it, which acted as the limit, become the limit and are counted in the log. Needs job->world. Where the
// file says of itself that it was logged on another plant than e's, job->plant becomes a sentence, which is logged.
// Errors, which name the file: MG_CONFIG (another world's; other numbers of observations or actions: found and
// wanted), those of reading.
mg_err mg_job_logged(mg_job *job, const char *path, const mg_environment_config *e) MG_MUST_USE;
#endif
