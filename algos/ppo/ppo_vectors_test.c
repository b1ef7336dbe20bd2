// Goal: PPO of perceptrons computes what its listing says, on choices and on numbers; is the same with any number of
//       threads and behind a checkpoint; its gradients are slopes; and it learns.
// Method: a world of our own (aim: say where the mark is), played here as rollout/ would. The listing is written once
//         more, by plain sums over the episodes.
#include "algos/ppo/ppo.h"

#include "algos/spaces.h"
#include "algos/tiny_job.h"
#include "nets/act.h"
#include "nets/mlp.h"

enum { STEPS = 6, UPDATES = 4 };

// Shown: where the mark is, and a number that means nothing. Numbers: minus the squared distance. Choices of three:
// 1 where the choice is the mark's third.
static const mg_env_class aim_numbers = {.name = "aim", .observation = {.kind = MG_SPACE_VECTOR, .n = 2},
                                         .action = {.kind = MG_SPACE_VECTOR, .n = 2, .low = -2, .high = 2}};
static const mg_env_class aim_choices = {.name = "aim", .observation = {.kind = MG_SPACE_VECTOR, .n = 2},
                                         .action = {.kind = MG_SPACE_DISCRETE, .n = 3}};

static double paid(const float *seen, const float *action, int64_t choice) {
    const double mark = (double)seen[0];
    if (!action) return choice == (mark < -0.33 ? 0 : mark < 0.33 ? 1 : 2);
    return -pow((double)action[0] - 2 * mark, 2) - 0.1 * pow((double)action[1] + 1, 2);
}

static const mg_ppo *ppo(tiny *t) { return (const mg_ppo *)t->learner; }

// One episode: terminated where its number is even, else watched until STEPS.
static mg_episode played(tiny *t, int64_t update, const mg_start *s) {
    mg_model        *policy = tiny_part(t, 0).model;
    const int64_t    n      = mg_act_numbers(&policy->config.mlp);
    const bool       ends   = s->episode % 2 == 0;
    mg_episode       e      = {.start = *s, .terminated = ends, .truncated = !ends};
    mg_vector_steps *v      = MG_NEW(&t->step, mg_vector_steps, 1);
    float           *drawn  = MG_NEW(&t->step, float, STEPS * n), *action = MG_NEW(&t->step, float, STEPS * n);
    int32_t         *choice = MG_NEW(&t->step, int32_t, STEPS);
    double          *logp   = MG_NEW(&t->step, double, STEPS);
    mg_rng           world  = mg_rng_stream(t->job.seed, MG_PURPOSE_WORLD, (uint64_t)update);
    mg_rng           draws  = mg_rng_stream(t->job.seed, MG_PURPOSE_SAMPLE, (uint64_t)update);
    mg_rng_seek(&world, s->episode, 0, 0), mg_rng_seek(&draws, s->episode, 0, 0);
    e.n_turns = ends ? 1 + s->episode % STEPS : STEPS;
    e.turns   = MG_NEW(&t->step, mg_turn, STEPS + 1);
    for (int64_t i = 0; i <= e.n_turns; i++) {
        float  *seen = MG_NEW(&t->step, float, 2);
        int64_t chosen;
        for (int j = 0; j < 2; j++) seen[j] = (float)(2 * mg_rng_uniform(&world) - 1);
        e.turns[i].observation = (const char *)seen, e.turns[i].observation_size = 2 * sizeof *seen;
        if (i == e.n_turns) break;
        ok(mg_act(policy, t->team, seen, 1, &draws, &t->step,
                  &(mg_acts){drawn + i * n, action + i * n, &chosen, logp + i}));
        choice[i]         = (int32_t)chosen;
        e.turns[i].reward = mg_reward_of(paid(seen, n > 0 ? action + i * n : NULL, chosen));
    }
    *v = (mg_vector_steps){.drawn = n > 0 ? drawn : NULL, .choice = n > 0 ? NULL : choice, .logp = logp,
                           .last = ends ? NULL : (const float *)e.turns[e.n_turns].observation};
    e.vectors = v;
    return e;
}

static mg_episode *play(tiny *t, int64_t update, int64_t *n) {
    mg_start   *starts;
    mg_sampling how;
    ok(t->algo->plan(t->learner, update, &starts, n, &how));
    assert_true(how.temperature == 1);
    mg_episode *episodes = MG_NEW(&t->step, mg_episode, *n);
    for (int64_t i = 0; i < *n; i++) {
        assert_int_equal(starts[i].item, -1);
        episodes[i] = played(t, update, &starts[i]);
    }
    return episodes;
}

static void update(tiny *t, int64_t u) {
    int64_t n;
    mg_arena_reset(&t->step, 0);
    t->metrics    = (mg_metrics){0};
    mg_episode *e = play(t, u, &n);
    ok(t->algo->update(t->learner, u, e, n, &t->metrics));
}

static tiny *job(const mg_env_class *world, int threads) {
    tiny *t = tiny_job("ppo", threads);
    t->job  = (mg_job){.seed = 5, .team = t->team, .run = &t->run, .step = &t->step, .model_folder = "",
                       .reward_folder = "", .world = world, .mlp = {.width = 24, .depth = 1, .tanh = true}};
    return t;
}

static tiny *start(const mg_env_class *world, int threads, const char *more) {
    char  settings[256];
    tiny *t = job(world, threads);
    snprintf(settings, sizeof settings, "episodes=9 minibatches=3 epochs=2 updates=4 lr=0.01 critic_lr=0.02 "
             "kl_coef=0.1 gamma=0.9 lambda=0.8 value_clip=0.3 %s", more);
    ok(tiny_learner(t, settings));
    return t;
}

static const mg_env_class *const worlds[] = {&aim_numbers, &aim_choices};

// ---- The listing once more

static double value_of(mg_model *critic, const float *seen, mg_arena *arena) {
    mg_tape    tape = mg_tape_make(arena, NULL, false);
    mg_tensor *x    = mg_tape_tensor(&tape, 1, 2);
    mg_mlp_normalise(critic, seen, 1, mg_f32(x));
    return (double)mg_f32(mg_mlp_forward(&tape, critic, x))[0];
}

// log pi of what was done, from the network's numbers.
static double logp_of(mg_model *m, const mg_episode *e, int64_t i, mg_arena *arena) {
    mg_tape    tape = mg_tape_make(arena, NULL, false);
    mg_tensor *x    = mg_tape_tensor(&tape, 1, 2);
    double     sum  = 0;
    mg_mlp_normalise(m, (const float *)e->turns[i].observation, 1, mg_f32(x));
    const float *y = mg_f32(mg_mlp_forward(&tape, m, x));
    if (e->vectors->choice) {
        for (int k = 0; k < 3; k++) sum += exp((double)y[k]);
        return (double)y[e->vectors->choice[i]] - log(sum);
    }
    for (int j = 0; j < 2; j++) {
        const double s = (double)mg_f32(m->free)[j];
        sum += -pow(((double)e->vectors->drawn[2 * i + j] - (double)y[j]) / exp(s), 2) / 2 - s - log(2 * acos(-1)) / 2;
    }
    return sum;
}

// A_t = sum_k (gamma lambda)^k delta_{t+k} over what is left of the episode, before whitening.
static double advantage(const mg_episode *e, int64_t i, const double *R, const double *V, double V_last) {
    double A = 0;
    for (int64_t k = e->n_turns - 1; k >= i; k--) {
        const double next = k + 1 < e->n_turns ? V[k + 1] : e->terminated ? 0 : V_last;
        A += pow(0.9 * 0.8, (double)(k - i)) * (R[k] + 0.9 * next - V[k]);
    }
    return A;
}

static void an_update_prepares_what_the_listing_says(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny        *t = start(worlds[w], 1, "whiten_rewards=false");
        mg_ppo_batch b;
        int64_t      n, at = 0;
        update(t, 0), update(t, 1); // so that reference and policy differ
        mg_arena_reset(&t->step, 0);
        mg_episode *e     = play(t, 2, &n);
        double      whole[9 * STEPS], mean = 0, square = 0;
        ok(mg_ppo_prepare((mg_ppo *)t->learner, e, n, &b));
        assert_int_equal(b.t.n, 9);
        for (int64_t i = 0; i < n; i++) {
            double R[STEPS], V[STEPS], last = 0;
            assert_int_equal(b.t.offset[i], at);
            for (int64_t k = 0; k < e[i].n_turns; k++) {
                const double old = logp_of(ppo(t)->policy, &e[i], k, &t->step);
                const double ref = logp_of(ppo(t)->reference, &e[i], k, &t->step);
                near(b.t.logp_old[at + k], old, 1e-5), near(b.ref[at + k], ref, 1e-5);
                near(b.kl[at + k], old - ref, 2e-5);
                R[k] = e[i].turns[k].reward.value - 0.1 * (old - ref);
                V[k] = value_of(ppo(t)->critic, (const float *)e[i].turns[k].observation, &t->step);
                near(b.reward[at + k], R[k], 1e-5), near(b.value[at + k], V[k], 1e-6);
                assert_true(b.in_mdp[at + k] && b.trained[at + k]);
            }
            if (!e[i].terminated) last = value_of(ppo(t)->critic, e[i].vectors->last, &t->step);
            for (int64_t k = 0; k < e[i].n_turns; k++) {
                whole[at + k] = advantage(&e[i], k, R, V, last);
                near(b.target[at + k], whole[at + k] + V[k], 3e-5);
            }
            at += e[i].n_turns;
        }
        assert_int_equal(b.t.count, at);
        for (int64_t k = 0; k < at; k++) mean += whole[k] / (double)at;
        for (int64_t k = 0; k < at; k++) square += pow(whole[k] - mean, 2) / (double)at;
        for (int64_t k = 0; k < at; k++) near(b.A[k], (whole[k] - mean) / sqrt(square), 1e-4);
        tiny_stop(t);
    }
}

// ---- What every algorithm promises

static void ratios_are_one_until_the_policy_moves(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny *t = start(worlds[w], 1, "");
        for (int64_t u = 0; u < UPDATES; u++) {
            update(t, u);
            assert_true(metric(&t->metrics, "first_ratio_error") == 0);
        }
        assert_true(metric(&t->metrics, "approx_kl") > 0);
        for (int i = 0; i < t->metrics.n; i++) { // nothing is said of texts
            assert_string_not_equal(t->metrics.rows[i].name, "stopped");
            assert_string_not_equal(t->metrics.rows[i].name, "forced_tokens");
        }
        tiny_stop(t);
    }
}

static void threads_and_checkpoints_change_no_bit(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny *one = start(worlds[w], 1, ""), *two = start(worlds[w], 2, ""), *rest = start(worlds[w], 1, "");
        assert_true(tiny_same(one, two));
        for (int64_t u = 0; u < 2; u++) update(one, u), update(two, u);
        if (!tiny_same(one, two)) fail_msg("two threads end elsewhere");
        for (int p = 0; p < 2; p++) { // what a checkpoint keeps
            const mg_part a = tiny_part(one, p), b = tiny_part(rest, p);
            const size_t  size = sizeof(float) * (size_t)a.model->n_weights;
            memcpy(b.model->weights, a.model->weights, size);
            memcpy(b.optimiser->m, a.optimiser->m, size), memcpy(b.optimiser->v, a.optimiser->v, size);
            b.optimiser->steps = a.optimiser->steps;
            mg_model_touch(b.model);
        }
        for (int64_t u = 2; u < UPDATES; u++) update(one, u), update(rest, u);
        if (!tiny_same(one, rest)) fail_msg("a run from a checkpoint ends elsewhere");
        tiny_stop(one), tiny_stop(two), tiny_stop(rest);
    }
}

// The steps of a minibatch are drawn afresh for each pass and each update; each comes once.
static void minibatches_are_a_new_order_of_the_same_steps(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny        *t = start(worlds[w], 1, "");
        int64_t      n, moved = 0;
        mg_episode  *e = play(t, 0, &n);
        mg_ppo_batch b;
        ok(mg_ppo_prepare((mg_ppo *)t->learner, e, n, &b));
        double *was = MG_NEW(&t->step, double, b.t.count), *now = MG_NEW(&t->step, double, b.t.count), sum = 0;
        double *mark = MG_NEW(&t->step, double, b.t.count), *const columns[] = {mark};
        mg_rng  rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
        for (int64_t k = 0; k < b.t.count; k++) mark[k] = (double)k, was[k] = b.t.logp_old[k];
        mg_steps_shuffle(&b.t, &rng, columns, 1, &t->step);
        ok(mg_steps_read_logp(ppo(t)->policy, NULL, &b.t, 1, 5, &t->step, now));
        for (int64_t k = 0; k < b.t.count; k++) { // what was seen and done went with the columns
            assert_true(now[k] == was[(int64_t)mark[k]] && now[k] == b.t.logp_old[k]);
            moved += mark[k] != (double)k, sum += mark[k];
        }
        assert_true(moved > b.t.count / 2);
        near(sum, (double)(b.t.count * (b.t.count - 1)) / 2, 0);
        tiny_stop(t);
    }
}

// One step on all of them: whatever their order, the losses are those of the batch as it was prepared.
static void an_order_changes_no_loss(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny        *t = start(worlds[w], 1, "");
        mg_ppo_sums  sums = {0};
        mg_ppo_batch b;
        int64_t      n;
        for (int64_t u = 0; u < 2; u++) update(t, u); // so that no ratio, value or target is like another
        mg_arena_reset(&t->step, 0);
        mg_episode *e = play(t, 2, &n);
        ((mg_ppo *)t->learner)->config.epochs = ((mg_ppo *)t->learner)->config.minibatches = 1;
        ok(mg_ppo_prepare((mg_ppo *)t->learner, e, n, &b));
        ok(mg_ppo_policy_gradient((mg_ppo *)t->learner, &b, 0, b.t.parts, &sums));
        ok(mg_ppo_value_gradient((mg_ppo *)t->learner, &b, 0, b.t.parts, &sums));
        for (int p = 0; p < 2; p++) mg_model_zero_grads(tiny_part(t, p).model);
        t->metrics = (mg_metrics){0};
        ok(t->algo->update(t->learner, 2, e, n, &t->metrics));
        near(metric(&t->metrics, "value_loss") / sums.value_loss, 1, 1e-6);
        near(metric(&t->metrics, "policy_loss"), sums.policy_loss, 1e-6);
        tiny_stop(t);
    }
}

// Trained on the same numbers with the same weights, a critic's hidden layer would be the policy's.
static void policy_and_critic_start_apart(void **state) {
    (void)state;
    tiny *t = start(&aim_numbers, 1, "");
    assert_memory_not_equal(ppo(t)->critic->nets[0].W->data, ppo(t)->policy->nets[0].W->data, 64);
    assert_memory_equal(ppo(t)->reference->weights, ppo(t)->policy->weights,
                        sizeof(float) * (size_t)ppo(t)->policy->n_weights);
    tiny_stop(t);
}

static double policy_loss_behind(tiny *t, const mg_ppo_batch *b, const float *g, double step) {
    mg_model   *m     = tiny_part(t, 0).model;
    mg_ppo_sums sums  = {0};
    float      *saved = MG_NEW(&t->step, float, m->n_weights);
    memcpy(saved, m->weights, sizeof(float) * (size_t)m->n_weights);
    for (int64_t k = 0; k < m->n_weights; k++) m->weights[k] += (float)(step * (double)g[k]);
    mg_model_touch(m);
    ok(mg_ppo_policy_gradient((mg_ppo *)t->learner, b, 0, b->t.parts, &sums));
    memcpy(m->weights, saved, sizeof(float) * (size_t)m->n_weights);
    mg_model_touch(m), mg_model_zero_grads(m);
    return sums.policy_loss;
}

static void gradients_are_slopes_of_the_losses(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny        *t = start(worlds[w], 1, "");
        int64_t      n;
        double       norm = 0;
        mg_ppo_sums  sums = {0};
        mg_ppo_batch b;
        ok(mg_ppo_prepare((mg_ppo *)t->learner, play(t, 0, &n), 9, &b));
        ok(mg_ppo_policy_gradient((mg_ppo *)t->learner, &b, 0, b.t.parts, &sums));
        mg_model *m = tiny_part(t, 0).model;
        float    *g = MG_NEW(&t->step, float, m->n_weights);
        memcpy(g, m->grads, sizeof(float) * (size_t)m->n_weights);
        mg_model_zero_grads(m);
        for (int64_t k = 0; k < m->n_weights; k++) norm += (double)g[k] * (double)g[k];
        const double h = 3e-3 / sqrt(norm);
        near((policy_loss_behind(t, &b, g, h) - policy_loss_behind(t, &b, g, -h)) / (2 * h) / norm, 1, 0.01);
        tiny_stop(t);
    }
}

static void it_learns_to_aim(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        tiny *t = start(worlds[w], 1, "updates=30 episodes=24 minibatches=4 epochs=4 kl_coef=0 schedule=constant "
                                      "whiten_rewards=false value_clip=1000000");
        double first = 0, last = 0;
        for (int64_t u = 0; u < 30; u++) {
            update(t, u);
            const double each = metric(&t->metrics, "env_reward") / metric(&t->metrics, "length");
            *(u < 3 ? &first : &last) += u < 3 || u >= 27 ? each / 3 : 0;
        }
        print_message("%s: %.3f a step, then %.3f\n", w ? "choices" : "numbers", first, last);
        if (w == 0) assert_true(first < -2 && last > -0.6);
        if (w == 1) assert_true(first < 0.5 && last > 0.85);
        tiny_stop(t);
    }
}

// ---- Policies from folders

static void refused(tiny *t, const char *words) {
    assert_int_equal(tiny_learner(t, ""), MG_CONFIG);
    assert_null(t->learner);
    if (!strstr(mg_err_detail(), words)) fail_msg("'%s' does not say '%s'", mg_err_detail(), words);
    tiny_stop(t);
}

static const char *saved(tiny *t, mg_mlp_shape shape) {
    mg_model   *m;
    const char *folder = mg_path(&t->run, "%s/perceptron", tiny_root);
    ok(mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = shape}, false));
    mg_model_init(m, 77);
    mg_mlp_set_input(m, (double[]){1, 2}, (double[]){3, 4});
    ok(mg_model_save(m, folder, MG_FILE_F32, NULL));
    mg_model_free(m);
    return folder;
}

static void a_policy_may_come_from_a_folder(void **state) {
    (void)state;
    const mg_mlp_shape good = {.in = 2, .out = 2, .width = 8, .depth = 1, .nets = 1, .free = 2,
                               .head = MG_HEAD_GAUSSIAN, .action_scale = 2};
    tiny *t = job(&aim_numbers, 1);
    t->job.model_folder = saved(t, good);
    ok(tiny_learner(t, "episodes=9"));
    const mg_ppo *l = ppo(t);
    assert_int_equal(l->policy->config.mlp.width, 8);
    // The critic reads what the policy reads, with weights of its own.
    assert_true(mg_f32(l->critic->mean)[1] == 2 && mg_f32(l->critic->scale)[1] == 0.25f);
    assert_memory_not_equal(l->critic->nets[0].W->data, l->policy->nets[0].W->data, 64);
    update(t, 0);
    assert_true(metric(&t->metrics, "first_ratio_error") == 0);
    tiny_stop(t);

    mg_mlp_shape wrong = good;
    t = job(&aim_numbers, 1), wrong.in = 3;
    t->job.model_folder = mg_path(&t->run, "%s/perceptron", tiny_root);
    mg_model *m; // three numbers seen: another set of constants
    ok(mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = wrong}, false));
    ok(mg_model_save(m, t->job.model_folder, MG_FILE_F32, NULL));
    mg_model_free(m);
    refused(t, "reads 3 numbers, wanted 2: those that aim shows");
    t = job(&aim_numbers, 1), wrong = good, wrong.out = wrong.free = 1;
    t->job.model_folder = saved(t, wrong);
    refused(t, "gives 1 numbers, wanted 2: those that aim takes");
    t = job(&aim_numbers, 1), wrong = good, wrong.action_scale = 1;
    t->job.model_folder = saved(t, wrong);
    refused(t, "gives numbers within 1, wanted 2: the range of aim");
    t = job(&aim_numbers, 1), wrong = good, wrong.head = MG_HEAD_TANH, wrong.free = 0;
    t->job.model_folder = saved(t, wrong);
    refused(t, "has the head tanh, wanted gaussian");
    t = job(&aim_numbers, 1), wrong = good, wrong.nets = 2;
    t->job.model_folder = saved(t, wrong);
    refused(t, "gives values, wanted a policy");
    t = job(&aim_choices, 1);
    t->job.model_folder = saved(t, good);
    refused(t, "has the head gaussian, wanted one that gives choices, which aim takes");
    t = job(&aim_choices, 1), wrong = good, wrong.head = MG_HEAD_CATEGORICAL, wrong.free = 0, wrong.out = 4;
    t->job.model_folder = saved(t, wrong);
    refused(t, "gives 4 choices, wanted 3");
    t = job(&aim_choices, 1);
    t->job.model_folder = tiny_policy;
    refused(t, "is a language model, wanted a perceptron for aim");
}

static void worlds_and_algorithms_fit_or_say_why(void **state) {
    (void)state;
    mg_env_class texts = {.name = "words", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT}};
    mg_env_class mixed = texts, lopsided = aim_numbers;
    mixed.action = aim_choices.action, lopsided.action.low = -1;
    ok(mg_spaces_suit(&mg_algo_ppo, &texts));
    ok(mg_spaces_suit(&mg_algo_ppo, &aim_numbers));
    ok(mg_spaces_suit(&mg_algo_ppo, &aim_choices));
    assert_int_equal(mg_spaces_suit(&mg_algo_ppo, &mixed), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "words has no texts, nor numbers"));
    assert_int_equal(mg_spaces_suit(&mg_algo_ppo, &lopsided), MG_CONFIG);
    assert_int_equal(mg_spaces_suit(mg_algo_find("sft"), &aim_choices), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "aim has no texts"));
    mg_algo only = mg_algo_ppo;
    only.name = "steer", only.acts_in = MG_IN_VECTORS;
    assert_int_equal(mg_spaces_suit(&only, &texts), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "words has texts, and steer is for worlds of vectors; for texts are sft"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_prepares_what_the_listing_says),
        cmocka_unit_test(ratios_are_one_until_the_policy_moves),
        cmocka_unit_test(threads_and_checkpoints_change_no_bit),
        cmocka_unit_test(minibatches_are_a_new_order_of_the_same_steps),
        cmocka_unit_test(an_order_changes_no_loss),
        cmocka_unit_test(policy_and_critic_start_apart),
        cmocka_unit_test(gradients_are_slopes_of_the_losses),
        cmocka_unit_test(it_learns_to_aim),
        cmocka_unit_test(a_policy_may_come_from_a_folder),
        cmocka_unit_test(worlds_and_algorithms_fit_or_say_why),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
