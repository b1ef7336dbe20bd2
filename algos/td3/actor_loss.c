// actor_loss.c - the losses of deterministic actors, and the multiplier of a constraint.
//
// Doubles in the order of the batch: the same bits whatever the number of threads.
#include "algos/td3/actor_loss.h"

#include <math.h>

#define ETA_MIN -10 // lambda 4.5e-5: lower it would take long to come back

static double mean(int64_t n, const float *x) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum / (double)n;
}

static double mean_size(int64_t n, const float *x) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs((double)x[i]);
    return sum / (double)n;
}

double mg_action_distance(int64_t n, int64_t actions, const float *pi, const float *a) {
    double sum = 0;
    for (int64_t i = 0; i < n * actions; i++) {
        const double d = (double)pi[i] - (double)a[i];
        sum += d * d;
    }
    return sum / (double)(n * actions);
}

// dq of -weight mean Q.
static void raise_q(const mg_actor_terms *x, double weight) {
    for (int64_t i = 0; i < x->n; i++) x->dq[i] -= (float)(weight / (double)x->n);
}

// dpi of weight c.
static void draw_near(const mg_actor_terms *x, const float *a, double weight) {
    const double scale = 2 * weight / (double)(x->n * x->actions);
    for (int64_t i = 0; i < x->n * x->actions; i++)
        x->dpi[i] += (float)(scale * ((double)x->pi[i] - (double)a[i]));
}

double mg_actor_loss_plain(const mg_actor_terms *x) {
    raise_q(x, 1);
    return -mean(x->n, x->q);
}

double mg_actor_loss_bc(const mg_actor_terms *x, double alpha, double weight) {
    const double size = mean_size(x->n, x->q);
    const double lambda = size > 0 ? alpha / size : 0; // of a critic that is 0 everywhere nothing can be learnt
    raise_q(x, lambda);
    draw_near(x, x->data, weight);
    return -lambda * mean(x->n, x->q) + weight * mg_action_distance(x->n, x->actions, x->pi, x->data);
}

double mg_actor_loss_constraint(const mg_actor_terms *x, const float *a, double lambda, bool scale_free) {
    const double s_Q = scale_free ? mean_size(x->n, x->q) : 1;
    raise_q(x, 1 / (1 + lambda));
    draw_near(x, a, lambda * s_Q / (1 + lambda));
    return (-mean(x->n, x->q) + lambda * s_Q * mg_action_distance(x->n, x->actions, x->pi, a)) / (1 + lambda);
}

double mg_multiplier(double eta) {
    const double lambda = eta > 0 ? eta + log1p(exp(-eta)) : log1p(exp(eta));
    return lambda < MG_MULTIPLIER_MAX ? lambda : MG_MULTIPLIER_MAX;
}

double mg_multiplier_eta(double lambda) { return lambda > 30 ? lambda : log(expm1(lambda)); }

double mg_multiplier_ascend(double eta, double c, double eps, double lr) {
    const double violation = (c - eps) / eps;
    const double next      = eta + lr * fmax(-1, fmin(1, violation));
    return fmax(ETA_MIN, fmin(MG_MULTIPLIER_MAX, next));
}
