// Goal:   TD3, TD3-BC and TD3 under a constraint are their listings.
// Method: the listing once more, by plain sums in doubles and one transition at a time (plain_net.h), beside the
//         learner for several gradient steps on the same transitions and draws: all five networks stay equal to
//         rounding. What must have no influence is changed, and has none.
#include "algos/td3/td3.h"

#include "algos/plain_net.h"
#include "algos/td3_bc/td3_bc.h"
#include "algos/td3_c/td3_c.h"
#include "algos/tiny_steps.h"

enum { B = 16 };

typedef struct listing {
    plain_net pi, pi_target, frozen, q[2], q_target[2];
    double    eta;
} listing;

static listing begin(const tiny_steps *t) {
    const mg_off_policy *l = (const mg_off_policy *)t->learner;
    listing              x = {.pi = plain_of(l->actor, 0), .pi_target = plain_of(l->actor_target, 0),
                              .eta = l->state.learnt.variable};
    for (int k = 0; k < 2; k++) x.q[k] = plain_of(l->critic, k), x.q_target[k] = plain_of(l->critic_target, k);
    x.frozen = x.pi;
    return x;
}

static void act(const plain_net *pi, const double *s, double *a) {
    plain_pass p;
    const double *z = plain_forward(pi, s, &p);
    for (int j = 0; j < TINY_DOES; j++) a[j] = tanh(z[j]);
}

static double value(const plain_net *q, const double *s, const double *a, plain_pass *p) {
    double x[TINY_SEES + TINY_DOES];
    memcpy(x, s, sizeof *s * TINY_SEES), memcpy(x + TINY_SEES, a, sizeof *a * TINY_DOES);
    return plain_forward(q, x, p)[0];
}

typedef struct row {
    double s[TINY_SEES], a[TINY_DOES], r, next[TINY_SEES];
    bool   terminal;
} row;

// The batch of a gradient step of the offline stage, normalised by the policy's constants.
static void batch_of(const tiny_steps *t, uint64_t step, row *b) {
    const mg_model *actor = ((const mg_off_policy *)t->learner)->actor;
    mg_rng          rng   = mg_rng_stream(5, MG_PURPOSE_BATCH, step);
    for (int i = 0; i < B; i++) {
        const int64_t k = (int64_t)mg_rng_below(&rng, TINY_ROWS);
        for (int j = 0; j < TINY_SEES; j++) {
            const double mean = (double)mg_f32(actor->mean)[j], scale = (double)mg_f32(actor->scale)[j];
            b[i].s[j]    = ((double)t->data.observation[k * TINY_SEES + j] - mean) * scale;
            b[i].next[j] = ((double)t->data.next[k * TINY_SEES + j] - mean) * scale;
        }
        for (int j = 0; j < TINY_DOES; j++) b[i].a[j] = (double)t->data.action[k * TINY_DOES + j];
        b[i].r        = (double)t->data.reward[k];
        b[i].terminal = t->data.terminal[k];
    }
}

static double clip(double x, double most) { return x < -most ? -most : x > most ? most : x; }

static void critics(listing *x, const row *b, uint64_t step) {
    mg_rng     rng = mg_rng_stream(5, MG_PURPOSE_NOISE, step);
    plain_pass p;
    double     dx[PLAIN_WIDE];
    for (int i = 0; i < B; i++) {
        double a[TINY_DOES];
        act(&x->pi_target, b[i].next, a);
        for (int j = 0; j < TINY_DOES; j++) a[j] = clip(a[j] + clip(0.2 * mg_rng_normal(&rng), 0.5), 1);
        const double least = fmin(value(&x->q_target[0], b[i].next, a, &p), value(&x->q_target[1], b[i].next, a, &p));
        const double y     = b[i].r + (b[i].terminal ? 0 : 0.99 * least);
        for (int k = 0; k < 2; k++) {
            const double dq = 2 * (value(&x->q[k], b[i].s, b[i].a, &p) - y) / B;
            plain_backward(&x->q[k], &p, &dq, dx, false);
        }
    }
    for (int k = 0; k < 2; k++) plain_adam(&x->q[k], 0.02);
}

// d loss / d Q is -q_weight / B, d loss / d pi its own part 2 c_weight (pi - anchor) / (B A).
static void push(listing *x, const row *b, double q_weight, double c_weight, double anchors[B][TINY_DOES]) {
    for (int i = 0; i < B; i++) {
        plain_pass pass, p;
        double     a[TINY_DOES], dz[TINY_DOES], dx[PLAIN_WIDE];
        plain_forward(&x->pi, b[i].s, &pass);
        act(&x->pi, b[i].s, a);
        value(&x->q[0], b[i].s, a, &p);
        const double dq = -q_weight / B;
        plain_backward(&x->q[0], &p, &dq, dx, true);
        for (int j = 0; j < TINY_DOES; j++) {
            const double own = 2 * c_weight * (a[j] - anchors[i][j]) / (B * TINY_DOES);
            dz[j] = (dx[TINY_SEES + j] + own) * (1 - a[j] * a[j]);
        }
        plain_backward(&x->pi, &pass, dz, dx, false);
    }
    plain_adam(&x->pi, 0.01);
}

typedef enum anchor { DATA, TARGET, FROZEN } anchor;

// mean |Q_1(s, pi(s))|, the distance to the anchor, and the anchor's actions.
static double look(const listing *x, const row *b, anchor which, double anchors[B][TINY_DOES], double *c) {
    double size = 0;
    *c = 0;
    for (int i = 0; i < B; i++) {
        plain_pass p;
        double     a[TINY_DOES];
        act(&x->pi, b[i].s, a);
        size += fabs(value(&x->q[0], b[i].s, a, &p)) / B;
        if (which == TARGET) act(&x->pi_target, b[i].s, anchors[i]);
        if (which == FROZEN) act(&x->frozen, b[i].s, anchors[i]);
        if (which == DATA) memcpy(anchors[i], b[i].a, sizeof b[i].a);
        for (int j = 0; j < TINY_DOES; j++) *c += pow(a[j] - anchors[i][j], 2) / (B * TINY_DOES);
    }
    return size;
}

static void all_follow(listing *x) {
    plain_follow(&x->pi_target, &x->pi, 0.005);
    for (int k = 0; k < 2; k++) plain_follow(&x->q_target[k], &x->q[k], 0.005);
}

static void assert_equal(const listing *x, const tiny_steps *t, double within) {
    const mg_off_policy *l = (const mg_off_policy *)t->learner;
    near(plain_differs(&x->pi, l->actor, 0), 0, within);
    near(plain_differs(&x->pi_target, l->actor_target, 0), 0, within);
    for (int k = 0; k < 2; k++) {
        near(plain_differs(&x->q[k], l->critic, k), 0, within);
        near(plain_differs(&x->q_target[k], l->critic_target, k), 0, within);
        near(plain_moments_differ(&x->q[k], l->critic, &l->critic_opt, k), 0, 1e-4);
    }
    near(plain_moments_differ(&x->pi, l->actor, &l->actor_opt, 0), 0, 1e-4);
}

// Floats against doubles: a step of Adam is at most lr, and loses what a gradient loses.
#define WITHIN 2e-5

static void on_data_td3_bc_is_its_listing(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3_bc", 1, true, "offline_updates=8 block=2");
    listing     x = begin(t);
    for (uint64_t step = 0; step < 8; step++) {
        row    b[B];
        double anchors[B][TINY_DOES], c;
        batch_of(t, step, b);
        critics(&x, b, step);
        if (step % 2 == 1) {
            push(&x, b, 2.5 / look(&x, b, DATA, anchors, &c), 1, anchors);
            all_follow(&x);
            ok(tiny_steps_update(t, (int64_t)step / 2));
            assert_equal(&x, t, WITHIN);
        }
    }
    tiny_steps_stop(t);
}

// In the world, with batches from the data set alone: the buffer is empty.
static void step_online(tiny_steps *t) {
    const float s[TINY_SEES] = {0};
    float       a[TINY_DOES];
    ok(t->algo->act(t->learner, s, true, a));
    ok(t->algo->learn(t->learner));
}

static void in_the_world_td3_is_its_listing(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3", 1, true, "policy_delay=3");
    listing     x = begin(t);
    for (uint64_t step = 0; step < 9; step++) {
        row    b[B];
        double anchors[B][TINY_DOES], c;
        batch_of(t, step, b);
        critics(&x, b, step);
        if (step % 3 == 2) {
            look(&x, b, DATA, anchors, &c);
            push(&x, b, 1, 0, anchors);
            all_follow(&x);
        }
        step_online(t);
        assert_equal(&x, t, WITHIN);
    }
    tiny_steps_stop(t);
}

static void a_constraint_is_its_listing(void **state) {
    (void)state;
    const struct {
        const char *settings;
        anchor      which;
        bool        scaled;
    } all[] = {{"anchor=target eps=1e-4", TARGET, true}, {"anchor=frozen eps=0.01", FROZEN, false},
               {"anchor=data eps=0.1", DATA, true}};
    for (int k = 0; k < 3; k++) {
        char settings[128];
        snprintf(settings, sizeof settings, "dual_lr=0.1 lambda0=2 scale_free=%s %s", all[k].scaled ? "true" : "false",
                 all[k].settings);
        tiny_steps  *t   = tiny_steps_start("td3_c", 1, true, settings);
        const double eps = atof(strstr(all[k].settings, "eps=") + 4);
        listing      x   = begin(t);
        near(log1p(exp(x.eta)), 2, 1e-12);
        for (uint64_t step = 0; step < 8; step++) {
            row    b[B];
            double anchors[B][TINY_DOES], c;
            batch_of(t, step, b);
            critics(&x, b, step);
            if (step % 2 == 1) {
                const double size = look(&x, b, all[k].which, anchors, &c), lambda = log1p(exp(x.eta));
                push(&x, b, 1 / (1 + lambda), lambda * (all[k].scaled ? size : 1) / (1 + lambda), anchors);
                x.eta += 0.1 * clip(c / eps - 1, 1);
                all_follow(&x);
            }
            step_online(t);
            assert_equal(&x, t, WITHIN);
            near(((mg_off_policy *)t->learner)->state.learnt.variable, x.eta, 1e-3);
        }
        tiny_steps_stop(t);
    }
}

static bool same_after(const char *settings, void (*change)(tiny_steps *t)) {
    tiny_steps *as_it_is = tiny_steps_start("td3", 1, true, settings), *changed = tiny_steps_job("td3", 1, true);
    change(changed);
    ok(tiny_steps_learner(changed, settings));
    for (int64_t u = 0; u < 4; u++) ok(tiny_steps_update(as_it_is, u)), ok(tiny_steps_update(changed, u));
    const bool same = tiny_steps_same(as_it_is, changed);
    tiny_steps_stop(as_it_is), tiny_steps_stop(changed);
    return same;
}

static void behind_the_end(tiny_steps *t) {
    for (int64_t i = 0; i < TINY_ROWS; i++)
        for (int j = 0; t->data.terminal[i] && j < TINY_SEES; j++) t->data.next[i * TINY_SEES + j] = 77;
}

static void behind_the_rest(tiny_steps *t) {
    for (int64_t i = 0; i < TINY_ROWS; i++)
        for (int j = 0; !t->data.terminal[i] && j < TINY_SEES; j++) t->data.next[i * TINY_SEES + j] = 77;
}

static void behind_a_terminal_state_nothing_counts_and_elsewhere_it_does(void **state) {
    (void)state;
    assert_true(same_after("offline_updates=16", behind_the_end));
    assert_false(same_after("offline_updates=16", behind_the_rest));
}

// V6 is a penalty, V3 fades, V5 has a schedule: what configs of variants say.
static void schedules_are_straight_lines(void **state) {
    (void)state;
    near(mg_td3_bc_weight(0, 100), 1, 0), near(mg_td3_bc_weight(25, 100), 0.75, 1e-12);
    near(mg_td3_bc_weight(100, 100), 0, 0), near(mg_td3_bc_weight(1000, 100), 0, 0);
    near(mg_td3_bc_weight(1000, 0), 1, 0);
    const mg_td3_c_config c = {.eps = 0.0025, .eps_end = 0.04, .eps_steps = 1000};
    near(mg_td3_c_bound(&c, 0), 0.0025, 0), near(mg_td3_c_bound(&c, 500), 0.02125, 1e-12);
    near(mg_td3_c_bound(&c, 5000), 0.04, 1e-12);
    tiny_steps *t = tiny_steps_start("td3_c", 1, false, "steps=40 fixed=true lambda0=7");
    for (int64_t u = 0; u < 10; u++) ok(tiny_steps_update(t, u));
    near(tiny_steps_metric(t, "lambda"), 7, 1e-12);
    tiny_steps_stop(t);
}

// What a guard does behind a rollback: a smaller step, and a tighter bound.
static void easing_shortens_steps_and_tightens_the_bound(void **state) {
    (void)state;
    mg_easing   easing = {.step = 1, .bound = 1};
    tiny_steps *whole = tiny_steps_start("td3_c", 1, true, "eps=0.01"), *eased = tiny_steps_job("td3_c", 1, true);
    eased->job.easing = &easing;
    ok(tiny_steps_learner(eased, "eps=0.01"));
    for (int64_t u = 0; u < 2; u++) ok(tiny_steps_update(whole, u)), ok(tiny_steps_update(eased, u));
    assert_true(tiny_steps_same(whole, eased));
    const mg_off_policy *l      = (mg_off_policy *)eased->learner;
    const size_t         size   = sizeof(float) * (size_t)l->actor->n_weights;
    float               *before = mg_arena_alloc(&eased->run, size);
    memcpy(before, l->actor->weights, size);
    easing = (mg_easing){.step = 0, .bound = 0.25};
    ok(tiny_steps_update(eased, 2));
    assert_memory_equal(before, l->actor->weights, size);
    near(tiny_steps_metric(eased, "eps"), 0.0025, 1e-12);
    easing.step = 0.5;
    ok(tiny_steps_update(eased, 3));
    assert_memory_not_equal(before, l->actor->weights, size);
    tiny_steps_stop(whole), tiny_steps_stop(eased);
}

// The mechanics of the constraint: a target policy a tenth as far away as without.
static void a_bound_keeps_the_policy_near(void **state) {
    (void)state;
    double distance[2];
    for (int k = 0; k < 2; k++) {
        tiny_steps *t = tiny_steps_start("td3_c", 1, true,
                                         k == 0 ? "steps=2000 block=400 anchor=target eps=1e-4 dual_lr=0.1"
                                                : "steps=2000 block=400 anchor=target eps=1e3");
        for (int64_t u = 0; u < 5; u++) ok(tiny_steps_update(t, u));
        distance[k] = tiny_steps_metric(t, "action_distance");
        assert_true(isfinite(tiny_steps_metric(t, "lambda")));
        tiny_steps_stop(t);
    }
    assert_true(distance[0] < 1.5e-4);
    assert_true(distance[1] > 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_data_td3_bc_is_its_listing),
        cmocka_unit_test(in_the_world_td3_is_its_listing),
        cmocka_unit_test(a_constraint_is_its_listing),
        cmocka_unit_test(behind_a_terminal_state_nothing_counts_and_elsewhere_it_does),
        cmocka_unit_test(schedules_are_straight_lines),
        cmocka_unit_test(easing_shortens_steps_and_tightens_the_bound),
        cmocka_unit_test(a_bound_keeps_the_policy_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
