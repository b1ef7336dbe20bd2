// Goal:   an update is the listing of DR-PO's PPO oracle (arXiv:2404.08495), in both mask modes,
//         for episodes of one and of several turns; what is masked has no influence at all.
// Method: the listing once more, written from its formulas with plain sums over one episode at a
//         time; numbers of masked tokens are changed and gradients compared byte for byte.
#include "algos/ppo/ppo.h"

#include "algos/tiny_job.h"

// ---- episodes written by hand -------------------------------------------------------------

typedef struct said { // one turn
    int64_t forced, own, after; // tokens: of a reset, of the policy, and behind its stop
    bool    stops;              // the last of `own` is the stop
    double  reward;
    int64_t seen;               // tokens of the environment's reply
} said;

typedef struct told { // one episode
    said turns[3];
    int  n;
    bool truncated;
} told;

// Forced or not, stopped early, at the last slot or never, with and without tokens behind the stop;
// two turns; watched to the end or not.
static const told STORY[] = {
    {{{.own = 5, .stops = true, .reward = 0.5}}, 1, false},
    {{{.forced = 3, .own = 4, .stops = true, .after = 3, .reward = -1}}, 1, false},
    {{{.own = 10, .reward = 2}}, 1, false},
    {{{.forced = 6, .own = 1, .stops = true, .reward = 0.25}}, 1, false},
    {{{.own = 4, .stops = true, .reward = 1, .seen = 5},
      {.own = 3, .stops = true, .after = 2, .reward = -0.5}}, 2, false},
    {{{.forced = 2, .own = 3, .stops = true, .reward = 0.75, .seen = 4}, {.own = 6, .reward = 3}},
     2, true},
    {{{.own = 2, .stops = true, .reward = 1.5, .seen = 6}}, 1, true}, // ends with what is seen then
};
enum { STORIES = sizeof STORY / sizeof *STORY, LONG = 64 };

static mg_ppo *ppo(tiny *t) { return (mg_ppo *)t->learner; }

static int64_t length_of(const told *x) {
    int64_t n = 0;
    for (int j = 0; j < x->n; j++)
        n += x->turns[j].forced + x->turns[j].own + x->turns[j].after + x->turns[j].seen;
    return n;
}

static void put(mg_episode *e, mg_rng *rng, int64_t n, mg_role role) {
    for (int64_t k = 0; k < n; k++, e->n_tokens++) {
        e->tokens[e->n_tokens] = 1 + (int32_t)mg_rng_below(rng, TINY_VOCAB - 1); // never the stop
        e->role[e->n_tokens]   = (uint8_t)role;
    }
}

// The policy's own log-probabilities, at which an update's ratios are 1.
static void measure(tiny *t, mg_episode *e) {
    const int64_t    p      = e->turns[0].action_begin, n = e->n_tokens - p;
    const mg_prompt  prompt = {e->tokens, p};
    const mg_answer  answer = {0, e->tokens + p, n};
    const mg_answers one    = {&prompt, 1, &answer, 1};
    ok(mg_answers_read_logp(ppo(t)->policy, NULL, &one, ppo(t)->config.temperature, 1, &t->step,
                            e->logp + p));
    for (int64_t k = 0; k < e->n_tokens; k++)
        if (e->role[k] == MG_ROLE_ENVIRONMENT) e->logp[k] = 0;
}

static mg_episode written(tiny *t, const told *x, int32_t id) {
    mg_rng     rng = mg_rng_stream(21, MG_PURPOSE_TEST, (uint64_t)id);
    mg_episode e   = {.start = {.item = id % TINY_PAIRS, .group = id}, .n_turns = x->n,
                      .truncated = x->truncated, .terminated = !x->truncated};
    e.tokens = MG_NEW(&t->step, int32_t, 4 + length_of(x));
    e.role   = MG_NEW(&t->step, uint8_t, 4 + length_of(x));
    e.logp   = MG_NEW(&t->step, float, 4 + length_of(x));
    e.turns  = MG_NEW(&t->step, mg_turn, x->n);
    e.start.n_prefix = x->turns[0].forced;
    put(&e, &rng, 4, MG_ROLE_ENVIRONMENT);
    for (int j = 0; j < x->n; j++) {
        const said *s = &x->turns[j];
        e.turns[j].action_begin = e.n_tokens;
        put(&e, &rng, s->forced, MG_ROLE_FORCED);
        put(&e, &rng, s->own, MG_ROLE_POLICY);
        if (s->stops) e.tokens[e.n_tokens - 1] = TINY_STOP;
        put(&e, &rng, s->after, MG_ROLE_POLICY);
        e.turns[j].action_end = e.n_tokens;
        e.turns[j].reward     = mg_reward_of(s->reward);
        e.stopped             = s->stops;
        put(&e, &rng, s->seen, MG_ROLE_ENVIRONMENT);
    }
    measure(t, &e);
    return e;
}

static mg_episode *story(tiny *t) {
    mg_episode *e = MG_NEW(&t->step, mg_episode, STORIES);
    for (int i = 0; i < STORIES; i++) e[i] = written(t, &STORY[i], i);
    return e;
}

// Moves every weight a little, so that ratios leave 1 and values leave the old ones.
static void moved(mg_model *m, uint64_t id) {
    mg_rng rng = mg_rng_stream(22, MG_PURPOSE_TEST, id);
    for (int64_t i = 0; i < m->n_weights; i++) m->weights[i] += (float)(0.05 * mg_rng_normal(&rng));
    mg_model_touch(m);
}

// ---- the listing once more ----------------------------------------------------------------

typedef struct token { // of an answer
    bool   step, trained; // counts at all; enters the policy loss
    double old, ref, V, R, A, target;
} token;

typedef struct listing {
    token   t[STORIES][LONG];
    int64_t n[STORIES];
    double  last[STORIES]; // V behind the last token, 0 where the task was over
} listing;

// m over an answer, and with one token more, so that a value model also speaks of the end.
static void read_one(tiny *t, mg_model *m, const mg_episode *e, float *out) {
    int32_t         tokens[LONG + 1] = {0};
    const int64_t   p = e->turns[0].action_begin, n = e->n_tokens - p;
    const mg_prompt prompt = {e->tokens, p};
    memcpy(tokens, e->tokens + p, sizeof *tokens * (size_t)n);
    const mg_answer  answer = {0, tokens, n + 1};
    const mg_answers one    = {&prompt, 1, &answer, 1};
    if (m->config.scalar_head)
        ok(mg_answers_read_values(m, NULL, &one, 1, &t->step, out));
    else
        ok(mg_answers_read_logp(m, NULL, &one, ppo(t)->config.temperature, 1, &t->step, out));
}

// What a turn is worth and where: at its stop, else at its last token; or the reward model's word
// at the end of the last turn.
static void rewards_of(tiny *t, const told *x, const mg_episode *e, token *out) {
    const mg_ppo *l      = ppo(t);
    const bool    strict = strcmp(l->config.mask_mode, "strict") == 0;
    int64_t       at     = 0;
    for (int j = 0; j < x->n; j++) {
        const said *s    = &x->turns[j];
        const int64_t end = at + s->forced + s->own + (s->stops ? 0 : s->after) - 1;
        if (!l->reward.model) {
            out[end].R += s->reward;
        } else if (j == x->n - 1) {
            const int64_t    p      = e->turns[0].action_begin;
            const mg_prompt  prompt = {e->tokens, p};
            const mg_answer  answer = {0, e->tokens + p, end + 1};
            const mg_answers one    = {&prompt, 1, &answer, 1};
            double           S;
            ok(mg_reward_model_score(&ppo(t)->reward, NULL, &one, 1, &t->step, &S));
            out[end].R += s->stops && (strict || s->after > 0) ? S : l->config.missing_eos;
        }
        at += s->forced + s->own + s->after + s->seen;
    }
}

static void masks_of(bool strict, const told *x, token *out) {
    int64_t at = 0;
    for (int j = 0; j < x->n; j++) {
        const said *s = &x->turns[j];
        for (int64_t k = 0; k < s->forced + s->own + s->after; k++) {
            const bool forced = k < s->forced, late = s->stops && k >= s->forced + s->own;
            out[at + k].step    = !strict || !(forced || late);
            out[at + k].trained = !forced && !(strict && late);
        }
        at += s->forced + s->own + s->after + s->seen;
    }
}

enum { REWARD, ADVANTAGE };

// (x - mean) / sqrt(var + 1e-8) over all steps; rewards get their mean back.
static void whiten(listing *o, int what) {
    double n = 0, sum = 0, squares = 0;
    for (int i = 0; i < STORIES; i++)
        for (int64_t k = 0; k < o->n[i]; k++) {
            if (!o->t[i][k].step) continue;
            const double x = what == REWARD ? o->t[i][k].R : o->t[i][k].A;
            n++, sum += x, squares += x * x;
        }
    const double mean = sum / n, deviation = sqrt(squares / n - mean * mean + 1e-8);
    for (int i = 0; i < STORIES; i++)
        for (int64_t k = 0; k < o->n[i]; k++) {
            token *t = &o->t[i][k];
            if (t->step && what == REWARD) t->R = (t->R - mean) / deviation + mean;
            if (t->step && what == ADVANTAGE) t->A = (t->A - mean) / deviation;
        }
}

// A_t = sum_l (gamma lambda)^l (R_{t+l} + gamma V_{t+l+1} - V_{t+l}) over an episode's steps.
static void advantages(const mg_ppo_config *c, listing *o, int i) {
    token  *step[LONG];
    int64_t n = 0;
    for (int64_t k = 0; k < o->n[i]; k++)
        if (o->t[i][k].step) step[n++] = &o->t[i][k];
    for (int64_t t = 0; t < n; t++) {
        step[t]->A = 0;
        for (int64_t l = 0; t + l < n; l++) {
            const double next = t + l + 1 < n ? step[t + l + 1]->V : o->last[i];
            step[t]->A += pow(c->gamma * c->lambda, (double)l) *
                          (step[t + l]->R + c->gamma * next - step[t + l]->V);
        }
        step[t]->target = step[t]->A + step[t]->V;
    }
}

static listing *listed(tiny *t, const mg_episode *e) {
    const mg_ppo *l      = ppo(t);
    const bool    strict = strcmp(l->config.mask_mode, "strict") == 0;
    listing      *o      = MG_NEW(&t->step, listing, 1);
    float         ref[LONG + 1], V[LONG + 1];
    for (int i = 0; i < STORIES; i++) {
        const int64_t p = e[i].turns[0].action_begin;
        o->n[i] = e[i].n_tokens - p;
        assert_in_range(o->n[i], 1, LONG);
        read_one(t, l->reference, &e[i], ref);
        read_one(t, l->critic, &e[i], V);
        o->last[i] = STORY[i].truncated ? (double)V[o->n[i]] : 0;
        masks_of(strict, &STORY[i], o->t[i]);
        for (int64_t k = 0; k < o->n[i]; k++) {
            token *x = &o->t[i][k];
            x->old = (double)e[i].logp[p + k], x->ref = (double)ref[k], x->V = (double)V[k];
            x->R = x->step ? -l->config.kl_coef * (x->old - x->ref) : 0;
        }
        rewards_of(t, &STORY[i], &e[i], o->t[i]);
    }
    if (l->config.whiten_rewards) whiten(o, REWARD);
    for (int i = 0; i < STORIES; i++) advantages(&l->config, o, i);
    whiten(o, ADVANTAGE);
    return o;
}

// ---- the listing ---------------------------------------------------------------------------

static const struct {
    const char *settings;
    bool        reward; // by the tiny reward model
} modes[] = {
    {"mask_mode=strict", false},
    {"mask_mode=code", false},
    {"mask_mode=strict", true},
    {"mask_mode=code critic_init=policy", true},
    {"mask_mode=strict whiten_rewards=false gamma=0.9 lambda=0.5 kl_coef=0.3", false},
    {"mask_mode=code whiten_rewards=false gamma=0.9 lambda=1 kl_coef=0.3", true},
};
enum { MODES = sizeof modes / sizeof *modes };

static tiny *started(int mode) {
    tiny *t = tiny_start("ppo", 1, modes[mode].reward ? tiny_reward : "", modes[mode].settings);
    moved(ppo(t)->policy, 1); // away from the reference, so that there is a KL
    moved(ppo(t)->critic, 2); // which may have had a head of zeros
    return t;
}

static void an_update_prepares_what_the_listing_says(void **state) {
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        tiny          *t = started(mode);
        mg_episode    *e = story(t);
        mg_ppo_batch   b;
        const listing *o = listed(t, e);
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        for (int i = 0; i < STORIES; i++) {
            assert_int_equal(b.t.offset[i + 1] - b.t.offset[i], o->n[i]);
            for (int64_t k = 0; k < o->n[i]; k++) {
                const token  *x  = &o->t[i][k];
                const int64_t at = b.t.offset[i] + k;
                assert_int_equal(b.in_mdp[at], x->step);
                assert_int_equal(b.trained[at], x->trained);
                if (!x->step) continue;
                near(b.kl[at], x->old - x->ref, 1e-5);
                near(b.reward[at], x->R, 1e-4);
                near(b.target[at], x->target, 1e-4);
                near(b.A[at], x->A, 1e-4);
            }
        }
        tiny_stop(t);
    }
}

// Both losses of a minibatch of some of the episodes, after both networks have moved on.
static void losses_are_means_over_the_whole_minibatch(void **state) {
    (void)state;
    const int begin = 1, end = STORIES;
    for (int mode = 0; mode < MODES; mode++) {
        tiny         *t = started(mode);
        mg_episode   *e = story(t);
        mg_ppo_batch  b;
        mg_ppo_sums   sums = {0};
        const double  eps = ppo(t)->config.clip, reach = ppo(t)->config.value_clip;
        double        policy = 0, value = 0, trained = 0, steps = 0, clipped = 0;
        const listing *o = listed(t, e);
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        moved(ppo(t)->policy, 3), moved(ppo(t)->critic, 4);
        ppo(t)->config.microbatch = 2;
        ok(mg_ppo_policy_gradient(ppo(t), &b, begin, end, &sums));
        ok(mg_ppo_value_gradient(ppo(t), &b, begin, end, &sums));
        for (int i = begin; i < end; i++) {
            float now[LONG + 1], V[LONG + 1];
            read_one(t, ppo(t)->policy, &e[i], now);
            read_one(t, ppo(t)->critic, &e[i], V);
            for (int64_t k = 0; k < o->n[i]; k++) {
                const token *x     = &o->t[i][k];
                const double ratio = exp((double)now[k] - x->old);
                const double near_one = fmax(1 - eps, fmin(1 + eps, ratio));
                const double tied  = fmax(x->V - reach, fmin(x->V + reach, (double)V[k]));
                if (x->trained) policy += fmax(-x->A * ratio, -x->A * near_one), trained++;
                if (x->trained) clipped += -x->A * near_one > -x->A * ratio;
                if (x->step)
                    value += 0.5 * fmax(pow((double)V[k] - x->target, 2), pow(tied - x->target, 2)),
                        steps++;
            }
        }
        near(sums.policy_loss, policy / trained, 1e-4);
        near(sums.value_loss, ppo(t)->config.value_coef * value / steps, 1e-4);
        assert_true(sums.counts.tokens == trained);
        assert_true(clipped > 0 && sums.counts.clipped == clipped);
        tiny_stop(t);
    }
}

static double value_loss_behind(tiny *t, const mg_ppo_batch *b, const float *g, double step) {
    mg_model   *m    = ppo(t)->critic;
    mg_ppo_sums sums = {0};
    for (int64_t k = 0; k < m->n_weights; k++) m->weights[k] += (float)step * g[k];
    mg_model_touch(m);
    ok(mg_ppo_value_gradient(ppo(t), b, 0, b->t.n, &sums));
    for (int64_t k = 0; k < m->n_weights; k++) m->weights[k] -= (float)step * g[k];
    mg_model_touch(m);
    return sums.value_loss;
}

// The policy's is in algo_test.c.
static void the_critics_gradient_is_the_slope_of_its_loss(void **state) {
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        tiny        *t = started(mode);
        mg_episode  *e = story(t);
        mg_ppo_batch b;
        mg_ppo_sums  sums = {0};
        double       norm = 0;
        ppo(t)->config.value_clip = 1e9; // whose corners have no slope
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        ok(mg_ppo_value_gradient(ppo(t), &b, 0, STORIES, &sums));
        const int64_t n = ppo(t)->critic->n_weights;
        float        *g = malloc(sizeof *g * (size_t)n);
        memcpy(g, ppo(t)->critic->grads, sizeof *g * (size_t)n);
        for (int64_t k = 0; k < n; k++) norm += (double)g[k] * (double)g[k];
        const double step = 2e-3 / sqrt(norm);
        near((value_loss_behind(t, &b, g, step) - value_loss_behind(t, &b, g, -step)) / (2 * step),
             norm, 0.01 * norm);
        free(g);
        tiny_stop(t);
    }
}

static float *copied(const mg_model *m) {
    float *x = malloc(sizeof *x * (size_t)m->n_weights);
    return memcpy(x, m->grads, sizeof *x * (size_t)m->n_weights);
}

// Sums are means over the tokens of their episodes: those of many episodes are those of each, weighed
// by its tokens.
static void many_portions_have_the_gradient_of_their_episodes(void **state) {
    (void)state;
    enum { MANY = 24 * STORIES };
    tiny        *t = started(0);
    mg_episode  *e = MG_NEW(&t->step, mg_episode, MANY);
    mg_ppo_batch b;
    mg_ppo_sums  sums = {0};
    for (int i = 0; i < MANY; i++) e[i] = written(t, &STORY[i % STORIES], i);
    ok(mg_ppo_prepare(ppo(t), e, MANY, &b));
    assert_true(b.t.count > 3 * MG_PORTION_TOKENS / 2);
    moved(ppo(t)->policy, 3), moved(ppo(t)->critic, 4);
    ok(mg_ppo_policy_gradient(ppo(t), &b, 0, MANY, &sums));
    ok(mg_ppo_value_gradient(ppo(t), &b, 0, MANY, &sums));
    for (int critic = 0; critic < 2; critic++) {
        mg_model      *m    = critic ? ppo(t)->critic : ppo(t)->policy;
        const uint8_t *mask = critic ? b.in_mdp : b.trained;
        double        *sum  = calloc((size_t)m->n_weights, sizeof *sum);
        float         *all  = copied(m);
        double         loss = 0, count = 0, off = 0, norm = 0;
        for (int i = 0; i < MANY; i++) {
            mg_ppo_sums one = {0};
            double      n   = 0;
            for (int64_t k = b.t.offset[i]; k < b.t.offset[i + 1]; k++) n += mask[k];
            mg_model_zero_grads(m);
            ok(critic ? mg_ppo_value_gradient(ppo(t), &b, i, i + 1, &one)
                      : mg_ppo_policy_gradient(ppo(t), &b, i, i + 1, &one));
            for (int64_t k = 0; k < m->n_weights; k++) sum[k] += n * (double)m->grads[k];
            loss += n * (critic ? one.value_loss : one.policy_loss), count += n;
        }
        for (int64_t k = 0; k < m->n_weights; k++) {
            off += pow(sum[k] / count - (double)all[k], 2);
            norm += pow((double)all[k], 2);
        }
        assert_true(norm > 1e-12);
        near(sqrt(off / norm), 0, 1e-5);
        near(critic ? sums.value_loss : sums.policy_loss, loss / count, 1e-6);
        free(sum), free(all);
    }
    tiny_stop(t);
}

static void metrics_say_what_happened(void **state) {
    (void)state;
    tiny       *t = tiny_start("ppo", 1, tiny_reward, "mask_mode=strict lr=0");
    mg_episode *e = story(t);
    ok(t->algo->update(t->learner, 0, e, STORIES, &t->metrics));
    near(metric(&t->metrics, "length"), (5 + 7 + 10 + 7 + (4 + 3) + (5 + 6) + 2) / 7.0, 1e-12);
    near(metric(&t->metrics, "stopped"), 5 / 7.0, 1e-12);
    near(metric(&t->metrics, "forced_tokens"), (3 + 6 + 2) / 7.0, 1e-12);
    near(metric(&t->metrics, "env_reward"), (0.5 - 1 + 2 + 0.25 + 0.5 + 3.75 + 1.5) / 7, 1e-12);
    double learned = 0;
    for (int i = 0; i < STORIES; i++) learned += e[i].learned.value / STORIES;
    near(metric(&t->metrics, "reward"), learned, 1e-12);
    near(metric(&t->metrics, "kl"), 0, 1e-4); // the policy is still the reference
    tiny_stop(t);
}

static void an_answer_without_its_stop_gets_missing_eos(void **state) {
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        tiny *t = tiny_start("ppo", 1, tiny_reward,
                             strict ? "missing_eos=-7.5 mask_mode=strict"
                                    : "missing_eos=-7.5 mask_mode=code");
        mg_episode  *e = story(t);
        mg_ppo_batch b;
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        // Story 1 goes on behind its stop, 0 and 3 stop in their last slot, 2 does not stop.
        const bool missing[4] = {!strict, false, true, !strict};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(e[i].learned.kind, MG_REWARD_VALUE);
            assert_int_equal(e[i].learned.value == -7.5, missing[i]);
        }
        tiny_stop(t);
    }
}

// ---- what is masked has no influence --------------------------------------------------------

typedef struct gradients {
    float      *policy, *critic;
    mg_ppo_sums sums;
} gradients;

static gradients gradients_of(tiny *t, const mg_ppo_batch *b) {
    gradients g = {0};
    mg_model_zero_grads(ppo(t)->policy), mg_model_zero_grads(ppo(t)->critic);
    ok(mg_ppo_policy_gradient(ppo(t), b, 0, b->t.n, &g.sums));
    ok(mg_ppo_value_gradient(ppo(t), b, 0, b->t.n, &g.sums));
    g.policy = copied(ppo(t)->policy), g.critic = copied(ppo(t)->critic);
    return g;
}

static bool same_numbers(const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) // as numbers: 0 is -0
        if (a[i] != b[i]) return false;
    return true;
}

static void assert_policy(tiny *t, const gradients *a, const gradients *b, bool same) {
    const int64_t n = ppo(t)->policy->n_weights;
    assert_int_equal(same_numbers(a->policy, b->policy, n), same);
    assert_int_equal(a->sums.policy_loss == b->sums.policy_loss, same);
}
static void assert_value(tiny *t, const gradients *a, const gradients *b, bool same) {
    const int64_t n = ppo(t)->critic->n_weights;
    assert_int_equal(same_numbers(a->critic, b->critic, n), same);
    assert_int_equal(a->sums.value_loss == b->sums.value_loss, same);
}
static void gone(gradients *g) { free(g->policy), free(g->critic); }

// Other log-probabilities for forced tokens, other tokens behind a stop.
static void strict_ignores_forced_and_late_tokens_and_code_does_not(void **state) {
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        tiny *t = tiny_start("ppo", 1, "", strict ? "mask_mode=strict" : "mask_mode=code");
        moved(ppo(t)->critic, 2);
        mg_episode  *e = story(t);
        mg_ppo_batch b;
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        gradients before = gradients_of(t, &b);
        const double late_A = b.A[b.t.offset[1] + 4]; // of an own token behind a forced prefix
        for (int64_t k = 0; k < e[1].n_tokens; k++)
            if (e[1].role[k] == MG_ROLE_FORCED) e[1].logp[k] -= 2;
        e[1].tokens[e[1].n_tokens - 1] = 77;
        e[1].logp[e[1].n_tokens - 2] -= 3;
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        gradients after = gradients_of(t, &b);
        assert_policy(t, &before, &after, strict);
        assert_value(t, &before, &after, strict);
        assert_int_equal(b.A[b.t.offset[1] + 4] == late_A, strict);
        gone(&before), gone(&after);
        tiny_stop(t);
    }
}

// In both modes: whatever a forced token's advantage and ratio, it moves no weight of the policy.
static void forced_tokens_have_no_policy_gradient(void **state) {
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        tiny        *t = tiny_start("ppo", 1, "", strict ? "mask_mode=strict" : "mask_mode=code");
        mg_episode  *e = story(t);
        mg_ppo_batch b;
        ok(mg_ppo_prepare(ppo(t), e, STORIES, &b));
        gradients before = gradients_of(t, &b);
        for (int64_t k = 0; k < b.t.count; k++)
            if (b.t.role[k] != MG_ROLE_POLICY) b.A[k] = 1e6, b.t.logp_old[k] = -50;
        gradients after = gradients_of(t, &b);
        assert_policy(t, &before, &after, true);
        gone(&after);
        b.A[b.t.offset[1] + 4] += 1e-3; // an own one
        after = gradients_of(t, &b);
        assert_policy(t, &before, &after, false);
        gone(&before), gone(&after);
        tiny_stop(t);
    }
}

// ---- updates --------------------------------------------------------------------------------

static void ratios_are_one_until_the_policy_moves(void **state) {
    (void)state;
    tiny        *t = tiny_start("ppo", 1, "", "temperature=0.7 episodes=16");
    mg_episode  *e;
    int64_t      n;
    mg_ppo_batch b;
    mg_ppo_sums  sums = {0};
    ok(tiny_play(t, 0, &e, &n));
    ok(mg_ppo_prepare(ppo(t), e, n, &b));
    for (int epoch = 0; epoch < 3; epoch++)
        ok(mg_ppo_policy_gradient(ppo(t), &b, 0, n, &sums));
    assert_true(sums.counts.ratio_off_max < 1e-5);
    for (int64_t k = 0; k < b.t.count; k++) near(b.kl[k], 0, 1e-5); // the reference is as warm
    ppo(t)->config.temperature = 1; // than it was sampled at
    ok(mg_ppo_policy_gradient(ppo(t), &b, 0, n, &sums));
    assert_true(sums.counts.ratio_off_max > 0.1);
    tiny_stop(t);

    t = tiny_start("ppo", 1, "", "temperature=0.7 episodes=16 updates=3 epochs=3 lr=0.01");
    for (int64_t u = 0; u < 3; u++) {
        ok(tiny_update(t, u));
        assert_true(metric(&t->metrics, "first_ratio_error") < 1e-5);
    }
    assert_true(metric(&t->metrics, "approx_kl") > 1e-5); // it did move
    tiny_stop(t);
}

static void an_update_makes_what_was_better_likelier(void **state) {
    (void)state;
    tiny *t = tiny_start("ppo", 1, "",
                         "temperature=1 episodes=32 epochs=1 kl_coef=0 lr=0.001 adam_eps=1e-8");
    mg_episode  *e;
    int64_t      n;
    mg_ppo_batch b;
    double       better = 0, worse = 0;
    ok(tiny_play(t, 0, &e, &n));
    ok(mg_ppo_prepare(ppo(t), e, n, &b));
    float *now = MG_NEW(&t->step, float, b.t.count);
    ok(t->algo->update(t->learner, 0, e, n, &t->metrics));
    ok(mg_answers_read_logp(ppo(t)->policy, NULL, &b.t.answers, 1, 8, &t->step, now));
    for (int64_t k = 0; k < b.t.count; k++)
        *(b.A[k] > 0 ? &better : &worse) += b.A[k] * ((double)now[k] - b.t.logp_old[k]);
    assert_true(better > 0); // likelier, weighted by how much better
    assert_true(worse > 0);  // and A < 0 less likely
    tiny_stop(t);
}

static void the_value_loss_falls_on_the_same_batch(void **state) {
    (void)state;
    tiny *t = tiny_start("ppo", 1, "",
                         "lr=0 critic_lr=0.01 epochs=1 schedule=constant value_clip=9 lambda=1");
    double first = 0;
    for (int64_t u = 0; u < 40; u++) {
        mg_episode *e = story(t);
        t->metrics    = (mg_metrics){0};
        ok(t->algo->update(t->learner, u, e, STORIES, &t->metrics));
        if (u == 0) first = metric(&t->metrics, "value_loss");
    }
    assert_true(metric(&t->metrics, "value_loss") < 0.75 * first);
    tiny_stop(t);
}

static void without_resets_drpo_is_ppo_bit_for_bit(void **state) {
    (void)state;
#define SHARED "updates=3 episodes=12 per_prompt=2 epochs=2 lr=0.01"
    tiny *a = tiny_start("ppo", 1, tiny_reward, SHARED);
    tiny *b = tiny_start("drpo", 1, tiny_reward, SHARED " reset_share=0");
    tiny *c = tiny_start("drpo", 1, tiny_reward, SHARED " reset_share=1");
    for (int64_t u = 0; u < 3; u++) {
        ok(tiny_update(a, u)), ok(tiny_update(b, u)), ok(tiny_update(c, u));
        assert_true(tiny_same(a, b));
        assert_false(tiny_same(a, c));
        assert_true(metric(&b->metrics, "forced_tokens") == 0);
        assert_true(metric(&c->metrics, "forced_tokens") > 0);
    }
    tiny_stop(a), tiny_stop(b), tiny_stop(c);
}

static void prompts_are_shared_as_asked(void **state) {
    (void)state;
    tiny       *t = tiny_start("ppo", 1, "", "episodes=7 per_prompt=3 temperature=0.9");
    mg_start   *s;
    int64_t     n;
    mg_sampling how;
    ok(t->algo->plan(t->learner, 0, &s, &n, &how));
    assert_int_equal(n, 7);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(s[i].group, i / 3);
        assert_int_equal(s[i].episode, i);
        assert_int_equal(s[i].item, s[i / 3 * 3].item);
        assert_null(s[i].prefix);
    }
    assert_int_not_equal(s[0].item, s[3].item);
    near(how.temperature, 0.9, 0);
    near(how.top_p, 1, 0);
    assert_int_equal(how.new_max, TINY_RESPONSE);
    assert_int_equal(how.stop, TINY_STOP);
    ppo(t)->config.mask_mode = "code";
    ok(t->algo->plan(t->learner, 0, &s, &n, &how));
    assert_int_equal(how.stop, -1); // samples on
    tiny_stop(t);
}

// ---- numbers that are none ------------------------------------------------------------------

static void a_nan_reward_ends_the_update_before_it_moves_anything(void **state) {
    (void)state;
    tiny *t = tiny_start("ppo", 1, tiny_reward, "episodes=6"), *untouched =
         tiny_start("ppo", 1, tiny_reward, "episodes=6");
    mg_f32(ppo(t)->reward.model->head)[3] = NAN;
    mg_model_touch(ppo(t)->reward.model);
    assert_int_equal(tiny_update(t, 0), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "reward"));
    assert_true(tiny_same(t, untouched));
    tiny_stop(t), tiny_stop(untouched);
}

static void a_critic_gone_wrong_does_not_move_the_policy(void **state) {
    (void)state;
    tiny *t = tiny_start("ppo", 1, "", "episodes=6"),
         *twin = tiny_start("ppo", 1, "", "episodes=6");
    mg_f32(ppo(t)->critic->head)[3] = mg_f32(ppo(twin)->critic->head)[3] = NAN;
    mg_model_touch(ppo(t)->critic);
    assert_int_equal(tiny_update(t, 0), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "loss"));
    assert_true(tiny_same(t, twin));
    tiny_stop(t), tiny_stop(twin);
}

// A step size that throws the weights to where the network overflows: the next update, on the same
// episodes, says so and leaves them where they are.
static void an_exploding_step_is_noticed(void **state) {
    (void)state;
    tiny *t = tiny_start("ppo", 1, "", "episodes=6 epochs=1"), *twin =
         tiny_start("ppo", 1, "", "episodes=6 epochs=1");
    mg_episode *e;
    int64_t     n;
    ppo(t)->config.lr = ppo(twin)->config.lr = 1e30;
    ok(tiny_update(twin, 0));
    ok(tiny_play(t, 0, &e, &n));
    ok(t->algo->update(t->learner, 0, e, n, &t->metrics));
    assert_true(tiny_same(t, twin));
    t->metrics = (mg_metrics){0};
    assert_int_equal(t->algo->update(t->learner, 1, e, n, &t->metrics), MG_NUMERIC);
    assert_true(tiny_same(t, twin));
    assert_int_equal(tiny_update(t, 1), MG_NUMERIC); // nor can it be sampled from
    tiny_stop(t), tiny_stop(twin);
}

static void a_reward_model_of_another_vocabulary_is_refused(void **state) {
    (void)state;
    tiny           *t = tiny_job("ppo", 1);
    mg_model_config c = tiny_config(tiny_words, true);
    mg_reward_model r = {NULL, MG_POOL_LAST, 0, 1};
    char            folder[160];
    snprintf(folder, sizeof folder, "%s/other", tiny_root);
    c.vocab += 8;
    ok(mg_model_new(&r.model, &c, false));
    ok(mg_reward_model_save(&r, folder, MG_FILE_F32, NULL));
    mg_reward_model_release(&r);
    t->job.reward_folder = folder;
    assert_int_equal(tiny_learner(t, ""), MG_MISMATCH);
    assert_null(t->learner);
    tiny_stop(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_prepares_what_the_listing_says),
        cmocka_unit_test(losses_are_means_over_the_whole_minibatch),
        cmocka_unit_test(the_critics_gradient_is_the_slope_of_its_loss),
        cmocka_unit_test(many_portions_have_the_gradient_of_their_episodes),
        cmocka_unit_test(metrics_say_what_happened),
        cmocka_unit_test(an_answer_without_its_stop_gets_missing_eos),
        cmocka_unit_test(strict_ignores_forced_and_late_tokens_and_code_does_not),
        cmocka_unit_test(forced_tokens_have_no_policy_gradient),
        cmocka_unit_test(ratios_are_one_until_the_policy_moves),
        cmocka_unit_test(an_update_makes_what_was_better_likelier),
        cmocka_unit_test(the_value_loss_falls_on_the_same_batch),
        cmocka_unit_test(without_resets_drpo_is_ppo_bit_for_bit),
        cmocka_unit_test(prompts_are_shared_as_asked),
        cmocka_unit_test(a_nan_reward_ends_the_update_before_it_moves_anything),
        cmocka_unit_test(a_critic_gone_wrong_does_not_move_the_policy),
        cmocka_unit_test(an_exploding_step_is_noticed),
        cmocka_unit_test(a_reward_model_of_another_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
