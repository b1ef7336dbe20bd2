// order.h - quantiles of a bootstrap distribution.
#ifndef MG_STATS_ORDER_H
#define MG_STATS_ORDER_H
#include <math.h>
#include <stdint.h>

static inline int mg_by_value(const void *p, const void *q) {
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// The p-quantile of n sorted values: order statistic (n + 1) p, counted from 1.
static inline double mg_order_statistic(const double *sorted, int64_t n, double p) {
    const double  k    = fmin(fmax(p * (double)(n + 1), 1), (double)n) - 1;
    const int64_t i    = (int64_t)k;
    const double  next = sorted[i + 1 < n ? i + 1 : i];
    return sorted[i] + (k - (double)i) * (next - sorted[i]);
}
#endif
