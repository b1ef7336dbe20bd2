// guard.c - from pairs of returns to decisions.
#include "train/guard.h"

#include <math.h>

#include "stats/wealth.h"

#define MG_CONFIG_OF mg_guard_config
const mg_field mg_guard_fields[] = {MG_CONFIG_TABLE(MG_GUARD_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

void mg_guard_init(mg_guard *g) {
    *g = (mg_guard){.begun = -1, .last = -1, .worst_update = -1, .recovered = -1, .step = 1, .bound = 1};
}

int64_t mg_guard_looks(const mg_guard_config *c, int64_t begun, int64_t updates) {
    const mg_guard g = {.begun = begun};
    int64_t        n = 0;
    for (int64_t u = begun; u < updates; u++) n += mg_guard_due(&g, c, u);
    return n;
}

static void begin_detector(mg_guard *g, const mg_guard_config *c, int64_t begun, int64_t updates) {
    const int64_t looks = mg_guard_looks(c, begun, updates);
    mg_detector_init(&g->detector, 0.5, looks > 0 ? looks : 1);
}

void mg_guard_begin(mg_guard *g, const mg_guard_config *c, int64_t update, int64_t updates, double start,
                    double random) {
    mg_guard_init(g);
    g->begun      = update;
    g->good       = update;
    g->best       = update;
    g->start_mean = start;
    g->random     = random;
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

int64_t mg_guard_backs(const mg_guard *g) { return g->rollbacks + g->stopped; }

int64_t mg_guard_behind(const mg_guard *g, const mg_guard_config *c, int64_t done) {
    if (g->begun >= 0 && c->keep_best) return g->best;
    const int64_t n = mg_guard_backs(g);
    return n > 0 && g->back[n - 1].update == done - 1 ? g->back[n - 1].good : done;
}

double mg_guard_dip(const mg_guard *g) { return g->span > 0 ? g->fall / g->span : NAN; }

// Of a look: n pairs, in so many of which the policy's episode failed, or was not worse than tolerated.
typedef struct score {
    int64_t n, faults, kept;
    double  now, start; // means of the rest's returns; NaN: there is none
} score;

static score score_of(mg_detector *d, const double *now, const double *start, int64_t n, double least) {
    score s = {0};
    for (int64_t i = 0; i < n; i++) {
        if (isnan(start[i])) continue;
        const bool fault = isnan(now[i]), holds = !fault && now[i] >= start[i] - least;
        mg_detector_observe(d, holds);
        s.n++, s.faults += fault, s.kept += holds;
        if (!fault) s.now += now[i], s.start += start[i];
    }
    const int64_t well = s.n - s.faults;
    s.now   = well > 0 ? s.now / (double)well : NAN;
    s.start = well > 0 ? s.start / (double)well : NAN;
    return s;
}

// A look at which every episode failed has no mean, and is as low as can be.
static void measure(mg_guard *g, int64_t update, const score *s) {
    const bool   none = isnan(s->now);
    const double fall = s->start - s->now;
    if (fall > g->fall) g->fall = fall, g->worst = s->now, g->worst_update = update;
    g->low = g->span > 0 && (none || fall > 0.5 * g->span) ? g->low + 1 : 0;
    if (g->low >= 2) g->event = 1;
    g->well = fall <= 0 ? g->well + 1 : 0;
    if (g->well == 3 && g->recovered < 0) g->recovered = update;
    if (!none) g->area += s->now, g->means++;
}

static double share(const mg_guard *g, const mg_guard_config *c) { return mg_alpha_share(c->alpha, g->rollbacks + 1); }

double mg_guard_wealth(const mg_guard *g, const mg_guard_config *c) { return g->detector.peak * share(g, c); }

// What follows is another policy: neither a dip nor a recovery goes on from before.
static mg_guard_decision roll_back(mg_guard *g, const mg_guard_config *c, int64_t update) {
    g->back[g->rollbacks] = (mg_guard_back){update, g->good};
    g->low = g->well = 0;
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

mg_guard_decision mg_guard_broke(mg_guard *g, const mg_guard_config *c, int64_t update) {
    return roll_back(g, c, update);
}

mg_guard_decision mg_guard_look(mg_guard *g, const mg_guard_config *c, int64_t update, const double *now,
                                const double *start, int64_t n) {
    const double least = tolerance(g, c);
    mg_detector_start(&g->detector);
    const score s = score_of(&g->detector, now, start, n, least);
    g->last = update;
    if (s.n == 0) return MG_GUARD_GO;
    g->looks++, g->pairs += s.n, g->faults += s.faults;
    measure(g, update, &s);
    if (mg_detector_decided(&g->detector, share(g, c))) return roll_back(g, c, update);
    if (2 * s.kept < s.n || s.now < s.start - least) return MG_GUARD_GO;
    g->good = update + 1;
    if (s.faults == 0 && s.now - s.start > g->best_gain) g->best = g->good, g->best_gain = s.now - s.start;
    return MG_GUARD_GOOD;
}

mg_err mg_guard_judge(double *now, double *start, int64_t n, mg_rng *rng, mg_guard_verdict *out) {
    mg_guard_verdict v = {.gain = {NAN, NAN, NAN}};
    for (int64_t i = 0; i < n; i++) {
        if (isnan(start[i])) continue;
        if (isnan(now[i])) v.faults++;
        else now[v.n] = now[i], start[v.n++] = start[i];
    }
    mg_err err = v.n >= MG_GUARD_PAIRS_MIN ? mg_bootstrap_difference(now, start, v.n, 0.05, rng, &v.gain) : MG_OK;
    if (err) return err;
    const bool fails = (double)v.faults > MG_GUARD_FAULTS_MAX * (double)(v.n + v.faults);
    v.go = fails || v.gain.high < 0 ? MG_GUARD_NO : v.gain.low > 0 ? MG_GUARD_YES : MG_GUARD_UNDECIDED;
    *out = v;
    return MG_OK;
}
