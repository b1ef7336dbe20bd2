// detector.c - gamblers who come in one after the other, summed by the bet that they make.
#include "stats/detector.h"

#include <math.h>

#include "core/err.h"

// Of the largest lambda that leaves wealth positive whatever x is, 1 / (1 - m).
static const double SHARE[MG_DETECTOR_BETS] = {0.25, 0.5, 0.75, 0.95};

void mg_detector_init(mg_detector *d, double m, int64_t starts_max) {
    MG_ASSERT(0 < m && m < 1 && starts_max > 0);
    *d = (mg_detector){.m = m, .starts_max = starts_max};
}

void mg_detector_start(mg_detector *d) {
    if (d->starts == d->starts_max) return;
    d->starts++;
    for (int k = 0; k < MG_DETECTOR_BETS; k++) d->wealth[k] += 1.0 / MG_DETECTOR_BETS / (double)d->starts_max;
}

void mg_detector_observe(mg_detector *d, double x) {
    double sum = 0;
    MG_ASSERT(x >= 0 && x <= 1);
    d->n++;
    for (int k = 0; k < MG_DETECTOR_BETS; k++) {
        d->wealth[k] *= 1 + SHARE[k] / (1 - d->m) * (d->m - x);
        sum += d->wealth[k];
    }
    d->peak = fmax(d->peak, sum);
}

bool mg_detector_decided(const mg_detector *d, double alpha) {
    MG_ASSERT(0 < alpha && alpha < 1);
    return d->peak >= 1 / alpha;
}
