// iqm.h - the interquartile mean over runs and tasks, and its interval by a stratified bootstrap.
//
// Source: Agarwal, Schwarzer, Castro, Courville & Bellemare 2021, "Deep reinforcement learning at the edge of the
// statistical precipice", arXiv:2108.13264. All scores of all tasks as one, the lowest and the highest floor(N / 4)
// left out, the mean of the rest: less thrown by one run than a mean, and less wasteful than a median. Scores have to
// be normalised, so that tasks can stand beside each other. The interval is the percentile one of the paper: runs are
// drawn again within each task.
//
// For reports, as bootstrap.h: valid once, at a number of runs that was fixed beforehand. It covers too seldom where
// runs are few. Of 100 intervals at alpha = .05 over four tasks (2,000 simulated samples each) there covered:
//
//     runs of a task   normal scores   exponential ones
//                  3            84.6               87.8
//                  5            89.8               92.6
//                 10            93.5               93.5
//                 20            94.3               93.9
#ifndef MG_STATS_IQM_H
#define MG_STATS_IQM_H
#include "core/arena.h"
#include "stats/bootstrap.h"

// Of one task; tasks may have different numbers.
typedef struct mg_runs {
    const double *scores;
    int64_t       n;
} mg_runs;

// Of x[0..n), n > 0, which is put in order. A quarter of fewer than four is none.
double mg_iqm(double *x, int64_t n);

// out->mean is the IQM. Draws from r. Errors: MG_EMPTY (no task, or one of fewer than 2 runs), MG_LIMIT (more than
// MG_BOOTSTRAP_N_MAX scores; alpha), MG_NUMERIC (a score that is not finite).
mg_err mg_iqm_interval(const mg_runs *tasks, int64_t n_tasks, double alpha, mg_rng *r, mg_arena *scratch,
                       mg_interval *out) MG_MUST_USE;
#endif
