// wealth.h - wealth processes for a rate: is it at most p0, or at least p0?
//
// A gambler starts with wealth 1 and bets against the null with every observation, at odds that
// are fair or worse if the null holds. Wealth is then a non-negative supermartingale, and reaches
// 1/alpha, ever, with probability at most alpha (Ville 1939). So one may look after every
// observation and stop whenever one likes. Observations need not be independent: it is enough
// that, given the past, the rate of the next one satisfies the null.
//
// The bets. Wealth is split evenly over four gamblers; gambler k bets all along on one alternative
// q_k by likelihood ratio, the bet that grows fastest when the rate is q_k (Kelly 1956). The q_k
// keep fixed odds ratios f_k to p0: those of .07, .1, .2 and .45 to .05, or their inverses for the
// null "at least p0". With n observations, s of them hits, gambler k's wealth is
//
//     prod (q_k / p0)^hit ((1 - q_k) / (1 - p0))^miss  =  f_k^s / (1 + (f_k - 1) p0)^n,
//
// which depends on the counts alone and is monotone in p0, so that a confidence bound is the root
// of one equation. Mean stopping times over log(1/alpha) / KL(p, p0), the best bet in hindsight:
// 1.29, 1.35 and 1.45 for p = .08, .15, .30, p0 = .05, alpha = .05 (dynamic programming over the
// counts). Five or six bets, wider or narrower spacings and unequal shares gave nothing better at
// all three.
//
// The price: rates whose odds are within a factor of about 1.2 of p0's lie closer to the null than
// to any bet, and may never be decided. Where every difference counts, use betting.h.
//
// Threads and memory: plain bytes without padding; copy, save and compare them freely.
#ifndef MG_STATS_WEALTH_H
#define MG_STATS_WEALTH_H
#include <stdbool.h>
#include <stdint.h>

enum { MG_WEALTH_BETS = 4 };

typedef enum mg_rate_null {
    MG_RATE_AT_MOST,  // the rate of hits is <= p0
    MG_RATE_AT_LEAST, // the rate of hits is >= p0
} mg_rate_null;

typedef struct mg_wealth {
    int64_t null; // an mg_rate_null
    double  p0;
    double  hit[MG_WEALTH_BETS];  // log(q_k / p0)
    double  miss[MG_WEALTH_BETS]; // log((1 - q_k) / (1 - p0))
    int64_t n, hits;              // observations so far
    double  log_now, log_peak;    // log wealth now, and at its highest
} mg_wealth;

void mg_wealth_init(mg_wealth *w, mg_rate_null null, double p0); // 0 < p0 < 1
void mg_wealth_observe(mg_wealth *w, bool hit);

// Has the wealth ever reached 1/alpha? Then the null is rejected, for good. If the null holds,
// this is true at any time with probability at most alpha. exp(-log_peak) is the p-value.
bool mg_wealth_decided(const mg_wealth *w, double alpha);

// Bounds for the rate after n observations with that many hits: the largest p0 whose null
// "at most p0" is rejected (0 if none is), the smallest whose null "at least p0" is (1 if none
// is). Each holds at all n at once with probability 1 - alpha; both together with 1 - 2 alpha.
double mg_rate_lower(int64_t n, int64_t hits, double alpha);
double mg_rate_upper(int64_t n, int64_t hits, double alpha);

// No hit in n probes: the rate is at most 1 - alpha^(1/n), about 3/n at alpha = .05 (Hanley &
// Lippman-Hand 1983). Valid at any stopping time, as the single bet q = 0 has wealth (1 - p0)^-n
// until its first hit, and nothing after it: then use mg_rate_upper.
double  mg_probes_bound(int64_t n, double alpha);    // n > 0
int64_t mg_probes_needed(double rate, double alpha); // fewest n with mg_probes_bound <= rate

// What the k-th test of a run may spend, k = 1, 2, ...: alpha 6 / (pi^2 k^2). Over all k this
// sums to alpha (Euler 1735), so a run's false alarms stay below alpha in all.
double mg_alpha_share(double alpha, int64_t k);
#endif
