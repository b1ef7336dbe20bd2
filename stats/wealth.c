// wealth.c - an even mixture of likelihood-ratio bets, computed from counts in log space.
#include "stats/wealth.h"

#include <math.h>

#include "core/err.h"

// Odds of the alternatives .07, .1, .2, .45 over the odds of .05, that is q/(1-q) * 19.
static const double ODDS_RATIO[MG_WEALTH_BETS] = {133.0 / 93, 19.0 / 9, 19.0 / 4, 171.0 / 11};

void mg_wealth_init(mg_wealth *w, mg_rate_null null, double p0) {
    MG_ASSERT(0 < p0 && p0 < 1);
    *w = (mg_wealth){.null = null, .p0 = p0};
    for (int k = 0; k < MG_WEALTH_BETS; k++) {
        const double f = null == MG_RATE_AT_MOST ? ODDS_RATIO[k] : 1 / ODDS_RATIO[k];
        w->miss[k]     = -log1p((f - 1) * p0);
        w->hit[k]      = log(f) + w->miss[k];
    }
}

// log of the mean over k of (q_k / p0)^hits ((1 - q_k) / (1 - p0))^misses
static double log_mixture(const mg_wealth *w) {
    const double hits = (double)w->hits, misses = (double)(w->n - w->hits);
    double       log_bet[MG_WEALTH_BETS], best = -INFINITY, sum = 0;
    for (int k = 0; k < MG_WEALTH_BETS; k++) {
        log_bet[k] = hits * w->hit[k] + misses * w->miss[k];
        best       = fmax(best, log_bet[k]);
    }
    for (int k = 0; k < MG_WEALTH_BETS; k++) sum += exp(log_bet[k] - best);
    return best + log(sum / MG_WEALTH_BETS);
}

void mg_wealth_observe(mg_wealth *w, bool hit) {
    w->n++;
    w->hits += hit;
    w->log_now  = log_mixture(w);
    w->log_peak = fmax(w->log_peak, w->log_now);
}

bool mg_wealth_decided(const mg_wealth *w, double alpha) {
    MG_ASSERT(0 < alpha && alpha < 1);
    return w->log_peak >= -log(alpha);
}

static bool rejects(mg_rate_null null, double p0, int64_t n, int64_t hits, double alpha) {
    mg_wealth w;
    mg_wealth_init(&w, null, p0);
    w.n    = n;
    w.hits = hits;
    return log_mixture(&w) >= -log(alpha);
}

// Bisection: the wealth falls with p0 for "at most" and rises with it for "at least". `held` is a
// p0 that is rejected, or the trivial bound; `open` is one that is not. Fifty halvings leave 1e-15
// between them, and no p0 that rounds to 1.
static double bound(mg_rate_null null, double held, double open, int64_t n, int64_t hits,
                    double alpha) {
    MG_ASSERT(0 <= hits && hits <= n);
    MG_ASSERT(0 < alpha && alpha < 1);
    for (int i = 0; i < 50; i++) {
        const double p0 = (held + open) / 2;
        if (rejects(null, p0, n, hits, alpha)) held = p0;
        else open = p0;
    }
    return held;
}

double mg_rate_lower(int64_t n, int64_t hits, double alpha) {
    return bound(MG_RATE_AT_MOST, 0, 1, n, hits, alpha);
}

double mg_rate_upper(int64_t n, int64_t hits, double alpha) {
    return bound(MG_RATE_AT_LEAST, 1, 0, n, hits, alpha);
}

double mg_probes_bound(int64_t n, double alpha) {
    MG_ASSERT(n > 0 && 0 < alpha && alpha < 1);
    return -expm1(log(alpha) / (double)n);
}

int64_t mg_probes_needed(double rate, double alpha) {
    MG_ASSERT(0 < rate && rate < 1 && 0 < alpha && alpha < 1);
    return (int64_t)ceil(log(alpha) / log1p(-rate));
}

double mg_alpha_share(double alpha, int64_t k) {
    MG_ASSERT(0 < alpha && alpha < 1 && k >= 1);
    return alpha * 6 / (M_PI * M_PI * (double)k * (double)k);
}
