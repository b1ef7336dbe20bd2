// betting.h - the mean of observations in [0, 1]: a test against one value, and an interval that
// holds at all times at once.
//
// Source: Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by betting"
// (JRSS-B 86(1), arXiv:2010.09686), the hedged capital process with predictable plug-in bets
// (their Theorem 3). Against the null "the mean is m", half of the capital bets that observations
// are larger and half that they are smaller:
//
//     K+_t(m) = prod_i (1 + lambda+_i(m) (x_i - m)),    lambda+_t(m) = min(lambda_t, c / m)
//     K-_t(m) = prod_i (1 - lambda-_i(m) (x_i - m)),    lambda-_t(m) = min(lambda_t, c / (1 - m))
//     wealth  = max(K+, K-) / 2
//
//     lambda_t  = sqrt(2 log(2/alpha) / (sigma2_{t-1} t log(t + 1)))
//     mu_t      = (1/2 + sum_{i<=t} x_i) / (t + 1)
//     sigma2_t  = (1/4 + sum_{i<=t} (x_i - mu_i)^2) / (t + 1)
//
// The wealth against the true mean reaches 1/alpha, ever, with probability at most alpha; the
// interval is the set of all m whose wealth never did. lambda_t does not depend on m, so K+ falls
// and K- rises with m, and that set is an interval. All that is asked of the observations: they
// lie in [0, 1], and given the past the mean of the next one is always the same.
//
// Win rates: a win is 1, a tie 1/2, a loss 0. A metric known to lie in [a, b]: observe
// (y - a) / (b - a) and carry the interval back. Whoever reads y from outside checks its range
// there; here an x outside [0, 1] is a broken program.
//
// Threads and memory: plain bytes without padding; copy, save and compare them freely.
#ifndef MG_STATS_BETTING_H
#define MG_STATS_BETTING_H
#include <stdbool.h>
#include <stdint.h>

// What the bets learn from the observations, whatever the null.
typedef struct mg_plugin {
    double  alpha;
    int64_t n;          // observations so far
    double  sum;        // of x_i
    double  sum_square; // of (x_i - mu_i)^2
} mg_plugin;

// The test of one null mean m, two-sided.
typedef struct mg_betting {
    mg_plugin plugin;
    double    m;
    double    log_up, log_down; // log K+ and log K-; the larger one tells the side
    double    log_peak;         // log wealth at its highest
} mg_betting;

void mg_betting_init(mg_betting *b, double m, double alpha); // 0 < m < 1, 0 < alpha < 1
void mg_betting_observe(mg_betting *b, double x);            // 0 <= x <= 1

// log of max(K+, K-) / 2: log(1/2) at the start.
double mg_betting_log_wealth(const mg_betting *b);

// Has the wealth ever reached 1/alpha? Then the mean is not m, and stays so.
bool mg_betting_decided(const mg_betting *b);

// The interval: one pair of processes for each m on a grid of thousandths. Only nulls inside the
// interval are still bet against: a point that was rejected stays rejected (running intersection).
enum { MG_CONFSEQ_GRID = 1000 };

typedef struct mg_confseq {
    mg_plugin plugin;
    int64_t   low, high; // the interval, in grid steps: all points at or outside these are rejected
    double    up[MG_CONFSEQ_GRID + 1], down[MG_CONFSEQ_GRID + 1]; // K+ and K- of points inside
} mg_confseq;

void mg_confseq_init(mg_confseq *c, double alpha);
void mg_confseq_observe(mg_confseq *c, double x); // at most MG_CONFSEQ_GRID steps; 0 <= x <= 1

// [*low, *high] holds the mean at all times with probability at least 1 - alpha. Its ends are
// rounded outward to the grid, so it is never narrower than one step and never empty.
void mg_confseq_interval(const mg_confseq *c, double *low, double *high);
#endif
