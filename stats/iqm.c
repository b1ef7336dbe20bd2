// iqm.c - sorted scores, and runs drawn again within their tasks.
#include "stats/iqm.h"

#include <math.h>
#include <stdlib.h>

#include "stats/order.h"

enum { RESAMPLES = 1999 }; // as bootstrap.c; the paper's code takes 50,000 for its figures

double mg_iqm(double *x, int64_t n) {
    const int64_t cut = n / 4;
    double        sum = 0;
    MG_ASSERT(n > 0);
    qsort(x, (size_t)n, sizeof *x, mg_by_value);
    for (int64_t i = cut; i < n - cut; i++) sum += x[i];
    return sum / (double)(n - 2 * cut);
}

static mg_err check(const mg_runs *tasks, int64_t n_tasks, double alpha, int64_t *n) {
    *n = 0;
    if (n_tasks < 1) return mg_fail(MG_EMPTY, "an interquartile mean needs a task, found none");
    if (!(MG_BOOTSTRAP_ALPHA_MIN <= alpha && alpha < 1))
        return mg_fail(MG_LIMIT, "alpha of a bootstrap interval: found %g, wanted %g to below 1", alpha,
                       MG_BOOTSTRAP_ALPHA_MIN);
    for (int64_t t = 0; t < n_tasks; t++) {
        if (tasks[t].n < 2)
            return mg_fail(MG_EMPTY, "task %lld: found %lld runs, wanted 2 or more", (long long)t,
                           (long long)tasks[t].n);
        if (tasks[t].n > MG_BOOTSTRAP_N_MAX - *n)
            return mg_fail(MG_LIMIT, "task %lld: with it there are more than %d scores", (long long)t,
                           MG_BOOTSTRAP_N_MAX);
        *n += tasks[t].n;
        for (int64_t i = 0; i < tasks[t].n; i++)
            if (!isfinite(tasks[t].scores[i]))
                return mg_fail(MG_NUMERIC, "task %lld, run %lld: the score is %g", (long long)t, (long long)i,
                               tasks[t].scores[i]);
    }
    return MG_OK;
}

// r NULL: the runs as they are.
static double iqm_of(const mg_runs *tasks, int64_t n_tasks, mg_rng *r, double *x) {
    int64_t n = 0;
    for (int64_t t = 0; t < n_tasks; t++)
        for (int64_t i = 0; i < tasks[t].n; i++)
            x[n++] = tasks[t].scores[r ? (int64_t)mg_rng_below(r, (uint64_t)tasks[t].n) : i];
    return mg_iqm(x, n);
}

mg_err mg_iqm_interval(const mg_runs *tasks, int64_t n_tasks, double alpha, mg_rng *r, mg_arena *scratch,
                       mg_interval *out) {
    int64_t n;
    mg_err  err = check(tasks, n_tasks, alpha, &n);
    if (err) return err;
    const size_t mark  = mg_arena_mark(scratch);
    double      *x     = MG_NEW(scratch, double, n);
    double      *found = MG_NEW(scratch, double, RESAMPLES);
    const double mean  = iqm_of(tasks, n_tasks, NULL, x);
    for (int64_t i = 0; i < RESAMPLES; i++) found[i] = iqm_of(tasks, n_tasks, r, x);
    qsort(found, RESAMPLES, sizeof *found, mg_by_value);
    *out = (mg_interval){.mean = mean, .low = mg_order_statistic(found, RESAMPLES, alpha / 2),
                         .high = mg_order_statistic(found, RESAMPLES, 1 - alpha / 2)};
    mg_arena_reset(scratch, mark);
    return MG_OK;
}
