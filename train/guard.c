// guard.c - from pairs of returns to decisions.
#include "train/guard.h"

#include <math.h>

#include "stats/wealth.h"

#define MG_CONFIG_OF mg_guard_config
const mg_field mg_guard_fields[] = {MG_CONFIG_TABLE(MG_GUARD_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

void mg_guard_init(mg_guard *g) { *g = (mg_guard){.begun = -1, .recovered = -1, .step = 1, .bound = 1}; }

// Looks behind updates [from, updates).
static int64_t looks_of(const mg_guard *g, const mg_guard_config *c, int64_t from, int64_t updates) {
    int64_t n = 0;
    for (int64_t u = from; u < updates; u++) n += mg_guard_due(g, c, u);
    return n;
}

static void begin_detector(mg_guard *g, const mg_guard_config *c, int64_t from, int64_t updates) {
    const int64_t looks = looks_of(g, c, from, updates);
    mg_detector_init(&g->detector, 0.5, looks > 0 ? looks : 1);
}

void mg_guard_begin(mg_guard *g, const mg_guard_config *c, int64_t update, int64_t updates, double start,
                    double random) {
    mg_guard_init(g);
    g->begun      = update;
    g->good       = update;
    g->start_mean = start;
    g->worst      = start;
    g->span       = isnan(random) ? fabs(start) : start - random;
    begin_detector(g, c, update, updates);
}

bool mg_guard_due(const mg_guard *g, const mg_guard_config *c, int64_t update) {
    const int64_t done = update - g->begun + 1;
    if (g->begun < 0 || done < 1) return false;
    return done <= c->dense || (done - c->dense) % c->every == 0;
}

// A policy that random actions outdo has nothing to lose: then what counts is falling below its own start.
static double tolerance(const mg_guard *g, const mg_guard_config *c) { return c->margin * fmax(g->span, 0); }

double mg_guard_dip(const mg_guard *g) { return g->span > 0 ? (g->start_mean - g->worst) / g->span : 0; }

static double mean_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static void measure(mg_guard *g, int64_t update, double mean) {
    if (mean < g->worst) g->worst = mean, g->worst_update = update;
    g->low = g->span > 0 && g->start_mean - mean > 0.5 * g->span ? g->low + 1 : 0;
    if (g->low >= 2) g->event = 1;
    g->well = mean >= g->start_mean ? g->well + 1 : 0;
    if (g->well == 3 && g->recovered < 0) g->recovered = update;
    g->area += mean;
}

static double share(const mg_guard *g, const mg_guard_config *c) { return mg_alpha_share(c->alpha, g->rollbacks + 1); }

double mg_guard_wealth(const mg_guard *g, const mg_guard_config *c) { return g->detector.peak * share(g, c); }

static mg_guard_decision roll_back(mg_guard *g, const mg_guard_config *c) {
    if (g->rollbacks == c->rollbacks) {
        g->stopped = 1;
        return MG_GUARD_STOP;
    }
    g->rollbacks++;
    g->step *= c->step_factor;
    g->bound *= c->bound_factor;
    mg_detector_init(&g->detector, 0.5, g->detector.starts_max);
    return MG_GUARD_ROLLBACK;
}

mg_guard_decision mg_guard_look(mg_guard *g, const mg_guard_config *c, int64_t update, const double *now,
                                const double *start, int64_t n) {
    if (n == 0) return MG_GUARD_GO;
    const double least = tolerance(g, c);
    int64_t      kept  = 0; // pairs that score 1
    g->looks++, g->pairs += n;
    mg_detector_start(&g->detector);
    for (int64_t i = 0; i < n; i++) {
        const bool holds = now[i] >= start[i] - least;
        mg_detector_observe(&g->detector, holds);
        kept += holds;
    }
    measure(g, update, mean_of(now, n));
    if (mg_detector_decided(&g->detector, share(g, c))) return roll_back(g, c);
    if (2 * kept < n || mean_of(now, n) < mean_of(start, n) - least) return MG_GUARD_GO;
    g->good = update + 1;
    return MG_GUARD_GOOD;
}

mg_err mg_guard_judge(const double *now, const double *start, int64_t n, mg_rng *rng, mg_guard_verdict *out) {
    mg_guard_verdict v = {.n = n};
    mg_err           err = mg_bootstrap_difference(now, start, n, 0.05, rng, &v.gain);
    if (err) return err;
    v.go = v.gain.low > 0 ? MG_GUARD_YES : v.gain.high < 0 ? MG_GUARD_NO : MG_GUARD_UNDECIDED;
    *out = v;
    return MG_OK;
}
