// detector.h - when did the mean of scores in [0, 1] fall below m? A change at an unknown time, noticed.
//
// At each start k = 1, 2, ... (a look at a policy, say) a gambler comes in who bets from there on that scores x are
// low: with every score his wealth is multiplied by 1 + lambda (m - x). While E[x | past] >= m no such wealth grows on
// average, so any weighted sum of them is a non-negative supermartingale (Shin, Ramdas & Rinaldo 2023, "E-detectors: a
// nonparametric framework for sequential change detection", arXiv:2203.03532, where the weights are 1 each and what is
// bounded is the average time to a false alarm). Here start k has weight 1 / starts_max: all that the gamblers bring is
// at most 1, and their sum reaches 1/alpha, ever, with probability at most alpha (Ville 1939), however many scores
// come. The price is log(starts_max) in the delay: a run's looks are known beforehand.
//
// Each gambler's money is split evenly over MG_DETECTOR_BETS values of lambda, the largest of which nearly doubles it
// at a score of 0 where m = 1/2. A change after which all scores are 0 is noticed after
// log(4 starts_max / alpha) / log(1.95) scores or fewer at m = 1/2: 13 for 60 starts at alpha = .05,
// where that alpha is all its own (train/guard.h shares one out: a table there).
//
// State is plain bytes without padding; a decision is not taken back. Scores outside [0, 1] are a broken program.
#ifndef MG_STATS_DETECTOR_H
#define MG_STATS_DETECTOR_H
#include <stdbool.h>
#include <stdint.h>

enum { MG_DETECTOR_BETS = 4 };

typedef struct mg_detector {
    double  m;
    int64_t starts_max, starts; // gamblers that may come, that have come
    int64_t n;                  // scores so far
    double  wealth[MG_DETECTOR_BETS]; // of all gamblers, by lambda
    double  peak;               // of their sum
} mg_detector;

void mg_detector_init(mg_detector *d, double m, int64_t starts_max); // 0 < m < 1, starts_max > 0
// A change may have happened just before the next score. Beyond starts_max nobody comes in any more: those who are
// there go on.
void mg_detector_start(mg_detector *d);
void mg_detector_observe(mg_detector *d, double x);
bool mg_detector_decided(const mg_detector *d, double alpha); // 0 < alpha < 1
#endif
