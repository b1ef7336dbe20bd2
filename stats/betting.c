// betting.c - the hedged capital process, for one null mean and for a grid of them.
#include "stats/betting.h"

#include <math.h>

#include "core/err.h"

// c: no bet risks more than this share of its capital. Of the paper's 1/2 and 3/4, the first
// decides "win rate 1/2" sooner at true rates up to .8 (at .6 after 353 observations in the mean,
// not 564) and later only above that (at .9 after 13, not 11; 2,000 simulated streams each,
// alpha = .05).
#define TRUNCATION 0.5

static mg_plugin plugin_start(double alpha) {
    MG_ASSERT(0 < alpha && alpha < 1);
    return (mg_plugin){.alpha = alpha};
}

// lambda_t for the next observation, t = n + 1, from those before it.
static double plugin_bet(const mg_plugin *p) {
    const double t = (double)p->n + 1, sigma2 = (0.25 + p->sum_square) / t;
    return sqrt(2 * log(2 / p->alpha) / (sigma2 * t * log(t + 1)));
}

static void plugin_learn(mg_plugin *p, double x) {
    p->n++;
    p->sum += x;
    const double mu = (0.5 + p->sum) / ((double)p->n + 1);
    p->sum_square += (x - mu) * (x - mu);
}

// What K+ and K- of the null m are multiplied by.
static inline double up_factor(double lambda, double m, double x) {
    return 1 + fmin(lambda, TRUNCATION / m) * (x - m);
}
static inline double down_factor(double lambda, double m, double x) {
    return 1 - fmin(lambda, TRUNCATION / (1 - m)) * (x - m);
}

void mg_betting_init(mg_betting *b, double m, double alpha) {
    MG_ASSERT(0 < m && m < 1);
    *b = (mg_betting){.plugin = plugin_start(alpha), .m = m, .log_peak = log(0.5)};
}

void mg_betting_observe(mg_betting *b, double x) {
    MG_ASSERT(0 <= x && x <= 1);
    const double lambda = plugin_bet(&b->plugin);
    b->log_up += log(up_factor(lambda, b->m, x));
    b->log_down += log(down_factor(lambda, b->m, x));
    b->log_peak = fmax(b->log_peak, mg_betting_log_wealth(b));
    plugin_learn(&b->plugin, x);
}

double mg_betting_log_wealth(const mg_betting *b) {
    return log(0.5) + fmax(b->log_up, b->log_down);
}

bool mg_betting_decided(const mg_betting *b) { return b->log_peak >= -log(b->plugin.alpha); }

void mg_confseq_init(mg_confseq *c, double alpha) {
    *c = (mg_confseq){.plugin = plugin_start(alpha), .high = MG_CONFSEQ_GRID};
    for (int i = 0; i <= MG_CONFSEQ_GRID; i++) c->up[i] = c->down[i] = 1;
}

void mg_confseq_observe(mg_confseq *c, double x) {
    MG_ASSERT(0 <= x && x <= 1);
    const double lambda = plugin_bet(&c->plugin), rejected = 2 / c->plugin.alpha;
    for (int64_t i = c->low + 1; i < c->high; i++) {
        const double m = (double)i / MG_CONFSEQ_GRID;
        c->up[i] *= up_factor(lambda, m, x);
        c->down[i] *= down_factor(lambda, m, x);
    }
    while (c->low + 1 < c->high && c->up[c->low + 1] >= rejected) c->low++;
    while (c->low + 1 < c->high && c->down[c->high - 1] >= rejected) c->high--;
    plugin_learn(&c->plugin, x);
}

void mg_confseq_interval(const mg_confseq *c, double *low, double *high) {
    *low  = (double)c->low / MG_CONFSEQ_GRID;
    *high = (double)c->high / MG_CONFSEQ_GRID;
}
