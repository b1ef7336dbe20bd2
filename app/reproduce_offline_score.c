// reproduce_offline_score.c - how deep a curve falls, how fast it rises, and where it ends.
#include <math.h>

#include "app/reproduce_offline.h"

// Least squares of the looks in the first fifth, and of J_0 at 0, per 1,000 steps.
static double slope_of(const mg_offline_curve *c) {
    const int64_t n  = c->n / 5 > 0 ? c->n / 5 : 1;
    double        sx = 0, sy = c->start, sxx = 0, sxy = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)((i + 1) * c->every) / 1000;
        sx += x, sy += c->at[i], sxx += x * x, sxy += x * c->at[i];
    }
    const double m = (double)(n + 1);
    return (m * sxy - sx * sy) / (m * sxx - sx * sx);
}

void mg_offline_judge(const mg_offline_curve *c, mg_offline_score *out) {
    const double span = c->start - c->random;
    double       worst = INFINITY;
    int64_t      low = 0, well = 0;
    *out = (mg_offline_score){.dip = NAN, .event = NAN, .recovery = NAN, .area = NAN, .final = NAN, .share = NAN,
                              .slope = NAN};
    if (c->n == 0) return;
    if (span > 0) out->event = 0;
    out->area = 0;
    for (int64_t i = 0; i < c->n; i++) {
        worst = fmin(worst, c->at[i]);
        out->area += c->at[i] / (double)c->n;
        low = span > 0 && c->start - c->at[i] > span / 2 ? low + 1 : 0;
        if (low == 2) out->event = 1;
        well = c->at[i] >= c->start ? well + 1 : 0;
        if (well == 3 && isnan(out->recovery)) out->recovery = (double)((i - 1) * c->every);
    }
    out->final = c->at[c->n - 1];
    out->slope = slope_of(c);
    if (!(span > 0)) return;
    out->dip   = (c->start - worst) / span;
    out->share = (out->final - c->random) / span;
}
