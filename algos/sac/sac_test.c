// Goal:   SAC is its listing, and its temperature goes where the entropy should be.
// Method: the listing once more, by plain sums in doubles and one transition at a time (plain_net.h), beside the
//         learner for several gradient steps on the same transitions and draws.
#include "algos/sac/sac.h"

#include "algos/plain_net.h"
#include "algos/tiny_steps.h"

enum { B = 16 };

typedef struct listing {
    plain_net pi, q[2], q_target[2];
    double    log_alpha, m, v;
    int       t;
} listing;

static listing begin(const tiny_steps *t) {
    const mg_off_policy *l = (const mg_off_policy *)t->learner;
    listing              x = {.pi = plain_of(l->actor, 0), .log_alpha = l->state.learnt.variable};
    for (int k = 0; k < 2; k++) x.q[k] = plain_of(l->critic, k), x.q_target[k] = plain_of(l->critic_target, k);
    return x;
}

// u = mean + exp(l) e, a = tanh u; the density of a by the change of variables, as the definition has it.
static double draw(const plain_net *pi, const double *s, const double *e, double *a, plain_pass *p) {
    const double *z    = plain_forward(pi, s, p);
    double        logp = 0;
    for (int j = 0; j < TINY_DOES; j++) {
        const double deviation = exp(z[TINY_DOES + j]), u = z[j] + deviation * e[j];
        a[j] = tanh(u);
        logp += log(exp(-pow((u - z[j]) / deviation, 2) / 2) / (deviation * sqrt(2 * M_PI)) / (1 - a[j] * a[j]));
    }
    return logp;
}

static double value(const plain_net *q, const double *s, const double *a, plain_pass *p) {
    double x[TINY_SEES + TINY_DOES];
    memcpy(x, s, sizeof *s * TINY_SEES), memcpy(x + TINY_SEES, a, sizeof *a * TINY_DOES);
    return plain_forward(q, x, p)[0];
}

static void normals(uint64_t step, uint32_t which, double e[B][TINY_DOES]) {
    mg_rng rng = mg_rng_stream(5, MG_PURPOSE_NOISE, step);
    mg_rng_seek(&rng, which, 0, 0);
    for (int i = 0; i < B; i++)
        for (int j = 0; j < TINY_DOES; j++) e[i][j] = (double)(float)mg_rng_normal(&rng);
}

// The buffer is empty: all are the data's.
static void batch_of(uint64_t step, int64_t rows[B]) {
    mg_rng rng = mg_rng_stream(5, MG_PURPOSE_BATCH, step);
    for (int i = 0; i < B; i++) rows[i] = (int64_t)mg_rng_below(&rng, TINY_ROWS);
}

static void wide(const tiny_steps *t, const float *seen, int64_t row, double *s) {
    const mg_model *actor = ((const mg_off_policy *)t->learner)->actor;
    for (int j = 0; j < TINY_SEES; j++)
        s[j] = ((double)seen[row * TINY_SEES + j] - (double)mg_f32(actor->mean)[j]) * (double)mg_f32(actor->scale)[j];
}

static void critics(listing *x, const tiny_steps *t, const int64_t *rows, uint64_t step) {
    double     e[B][TINY_DOES], dx[PLAIN_WIDE], s[TINY_SEES], next[TINY_SEES], a[TINY_DOES];
    plain_pass p;
    normals(step, 0, e);
    for (int i = 0; i < B; i++) {
        wide(t, t->data.next, rows[i], next), wide(t, t->data.observation, rows[i], s);
        const double logp = draw(&x->pi, next, e[i], a, &p);
        const double soft = fmin(value(&x->q_target[0], next, a, &p), value(&x->q_target[1], next, a, &p)) -
                            exp(x->log_alpha) * logp;
        const double y = (double)t->data.reward[rows[i]] + (t->data.terminal[rows[i]] ? 0 : 0.99 * soft);
        for (int j = 0; j < TINY_DOES; j++) a[j] = (double)t->data.action[rows[i] * TINY_DOES + j];
        for (int k = 0; k < 2; k++) {
            const double dq = 2 * (value(&x->q[k], s, a, &p) - y) / B;
            plain_backward(&x->q[k], &p, &dq, dx, false);
        }
    }
    for (int k = 0; k < 2; k++) plain_adam(&x->q[k], 0.02);
}

// Of J = mean alpha logp - min Q: through a, whose slope in u is 1 - a^2, and by logp itself, whose slope is 2 a in u
// and -1 in the log deviation at a given u.
static double policy(listing *x, const tiny_steps *t, const int64_t *rows, uint64_t step) {
    double e[B][TINY_DOES], s[TINY_SEES], mean = 0;
    const double alpha = exp(x->log_alpha);
    normals(step, 1, e);
    for (int i = 0; i < B; i++) {
        plain_pass pass, p[2];
        double     a[TINY_DOES], dz[2 * TINY_DOES], dx[PLAIN_WIDE];
        wide(t, t->data.observation, rows[i], s);
        mean += draw(&x->pi, s, e[i], a, &pass) / B;
        const double q0 = value(&x->q[0], s, a, &p[0]), q1 = value(&x->q[1], s, a, &p[1]), dq = -1.0 / B;
        const int    k = q0 <= q1 ? 0 : 1;
        plain_backward(&x->q[k], &p[k], &dq, dx, true);
        const double *z = pass.h[x->pi.layers];
        for (int j = 0; j < TINY_DOES; j++) {
            const double du = dx[TINY_SEES + j] * (1 - a[j] * a[j]) + alpha / B * 2 * a[j];
            dz[j]             = du;
            dz[TINY_DOES + j] = du * exp(z[TINY_DOES + j]) * e[i][j] - alpha / B;
        }
        plain_backward(&x->pi, &pass, dz, dx, false);
    }
    plain_adam(&x->pi, 0.01);
    return mean;
}

static void temperature(listing *x, double logp, double target, double lr) {
    const double g = -(logp + target);
    x->t++;
    x->m = 0.9 * x->m + 0.1 * g, x->v = 0.999 * x->v + 0.001 * g * g;
    x->log_alpha -= lr * (x->m / (1 - pow(0.9, x->t))) / (sqrt(x->v / (1 - pow(0.999, x->t))) + 1e-8);
}

static void step_online(tiny_steps *t) {
    const float s[TINY_SEES] = {0};
    float       a[TINY_DOES];
    ok(t->algo->act(t->learner, s, true, a));
    ok(t->algo->learn(t->learner));
}

static void sac_is_its_listing(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("sac", 1, true, "alpha=0.3 alpha_lr=0.05 target_entropy=-0.7");
    listing     x = begin(t);
    for (uint64_t step = 0; step < 8; step++) {
        const mg_off_policy *l = (const mg_off_policy *)t->learner;
        int64_t              rows[B];
        batch_of(step, rows);
        critics(&x, t, rows, step);
        temperature(&x, policy(&x, t, rows, step), -0.7 * TINY_DOES, 0.05);
        for (int k = 0; k < 2; k++) plain_follow(&x.q_target[k], &x.q[k], 0.005);
        step_online(t);
        near(plain_differs(&x.pi, l->actor, 0), 0, 2e-5);
        near(plain_moments_differ(&x.pi, l->actor, &l->actor_opt, 0), 0, 1e-4);
        for (int k = 0; k < 2; k++) {
            near(plain_differs(&x.q[k], l->critic, k), 0, 2e-5);
            near(plain_moments_differ(&x.q[k], l->critic, &l->critic_opt, k), 0, 1e-4);
            near(plain_differs(&x.q_target[k], l->critic_target, k), 0, 2e-5);
        }
        near(l->state.learnt.variable, x.log_alpha, 1e-4);
    }
    tiny_steps_stop(t);
}

// Too little entropy: the temperature rises; too much: it falls; not learnt: it stays.
static void the_temperature_goes_where_entropy_is_wanted(void **state) {
    (void)state;
    const struct {
        const char *settings;
        int         way;
    } all[] = {{"target_entropy=50", 1}, {"target_entropy=-50", -1}, {"target_entropy=50 alpha_learnt=false", 0}};
    for (int k = 0; k < 3; k++) {
        char settings[128];
        snprintf(settings, sizeof settings, "alpha=0.5 alpha_lr=0.01 %s", all[k].settings);
        tiny_steps *t = tiny_steps_start("sac", 1, true, settings);
        for (int step = 0; step < 20; step++) step_online(t);
        const double alpha = exp(((mg_off_policy *)t->learner)->state.learnt.variable);
        if (all[k].way == 0) near(alpha, 0.5, 1e-12);
        if (all[k].way != 0) assert_true(all[k].way * (alpha - 0.5) > 0.05);
        tiny_steps_stop(t);
    }
}

// With exploring it draws, another action at each step; without it is the mode.
static void it_explores_by_drawing(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("sac", 1, true, "");
    const float s[TINY_SEES] = {1, 0, -1};
    float       first[TINY_DOES], second[TINY_DOES], mode[TINY_DOES];
    ok(t->algo->act(t->learner, s, true, first));
    ((mg_off_policy *)t->learner)->state.steps++;
    ok(t->algo->act(t->learner, s, true, second));
    ok(t->algo->act(t->learner, s, false, mode));
    assert_true(first[0] != second[0] && first[0] != mode[0]);
    for (int j = 0; j < TINY_DOES; j++) assert_true(fabsf(first[j]) <= 1 && fabsf(mode[j]) <= 1);
    tiny_steps_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sac_is_its_listing),
        cmocka_unit_test(the_temperature_goes_where_entropy_is_wanted),
        cmocka_unit_test(it_explores_by_drawing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
