// Goal:   what every algorithm promises to the loop: the same bits with any number of threads, the
//         same bits from a checkpoint as without one and with any microbatch, gradients that are the
//         slopes of their losses, and refusals that leave nothing behind.
// Method: each of them on the tiny job (tiny_job.h), twice; optimisers are compared along
//         with the weights. After one step Adam's m is a tenth of the gradient; along it the loss
//         is measured on either side.
#include "algos/algo.h"

#include "algos/tiny_job.h"

typedef struct subject {
    const char *algo, *settings;
    bool        reward; // scored by the tiny reward model
} subject;

#define SAMPLED "updates=4 clip_norm=0 lr=0.01 "

static const subject subjects[] = {
    {"sft", "epochs=3 batch=9 warmup=0 clip_norm=0 lr=0.01", false},
    {"sft", "epochs=3 batch=9 warmup=0 clip_norm=0 lr=0.01 prompt_loss=true", false},
    {"reward_model", "epochs=3 batch=8 warmup=0 clip_norm=0 lr=0.01", false},
    {"dpo", "epochs=3 batch=7 clip_norm=0 lr=0.01", false},
    {"ppo", SAMPLED "episodes=10 epochs=2 critic_lr=0.02", true},
    {"ppo", SAMPLED "episodes=10 per_prompt=3 minibatches=3 mask_mode=code critic_init=policy",
     false},
    {"grpo", SAMPLED "prompts=3 group=4 epochs=2", true},
    {"drpo", SAMPLED "episodes=10 reset_share=0.7", true},
    {"drpo", SAMPLED "episodes=10 reset_source=sft mask_mode=code", false},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects, UPDATES = 4 };

static tiny *started(const subject *s, int threads, const char *more) {
    char settings[256];
    snprintf(settings, sizeof settings, "%s %s", s->settings, more);
    return tiny_start(s->algo, threads, s->reward ? tiny_reward : "", settings);
}

static void updated(tiny *t, int64_t from, int64_t to) {
    for (int64_t u = from; u < to; u++) ok(tiny_update(t, u));
}

static void two_threads_give_the_bits_of_one(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        tiny *one = started(&subjects[i], 1, ""), *two = started(&subjects[i], 2, "");
        assert_true(tiny_same(one, two)); // they start alike,
        updated(one, 0, 1);
        assert_false(tiny_same(one, two)); // and an update moves them
        updated(one, 1, 2);
        updated(two, 0, 2);
        if (!tiny_same(one, two)) fail_msg("%s: %s", subjects[i].algo, subjects[i].settings);
        assert_int_equal(one->metrics.n, two->metrics.n);
        for (int k = 0; k < one->metrics.n; k++)
            assert_memory_equal(&one->metrics.rows[k].value, &two->metrics.rows[k].value,
                                sizeof(double));
        tiny_stop(one), tiny_stop(two);
    }
}

// The learner of a subject whose models compute in bfloat16; NULL where the processor cannot.
static tiny *started_in_bf16(const subject *s, int threads) {
    if (!mg_linear_has_bf16()) return NULL;
    tiny *t              = tiny_job(s->algo, threads);
    t->job.reward_folder = s->reward ? tiny_reward : "";
    t->job.compute       = MG_COMPUTE_BF16;
    ok(tiny_learner(t, s->settings));
    return t;
}

// Sampler and trainer round alike, so the first pass finds the sampler's own log-probabilities.
static void bfloat16_keeps_bits_and_ratios(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        tiny *one = started_in_bf16(&subjects[i], 1), *two = started_in_bf16(&subjects[i], 2);
        if (!one) skip();
        tiny *exact = started(&subjects[i], 1, "");
        for (int64_t u = 0; u < 2; u++) {
            updated(one, u, u + 1), updated(two, u, u + 1), updated(exact, u, u + 1);
            for (int k = 0; k < one->metrics.n; k++)
                if (strcmp(one->metrics.rows[k].name, "first_ratio_error") == 0)
                    assert_true(one->metrics.rows[k].value == 0);
        }
        if (!tiny_same(one, two)) fail_msg("%s: %s", subjects[i].algo, subjects[i].settings);
        assert_false(tiny_same(one, exact));
        tiny_stop(one), tiny_stop(two), tiny_stop(exact);
    }
}

// What train/checkpoint.c keeps of a learner, and nothing else.
static void carried_over(tiny *from, tiny *to) {
    mg_part   a[MG_PARTS_MAX], b[MG_PARTS_MAX];
    const int n = from->algo->parts(from->learner, a);
    to->algo->parts(to->learner, b);
    for (int i = 0; i < n; i++) {
        const size_t size = sizeof(float) * (size_t)a[i].model->n_weights;
        memcpy(b[i].model->weights, a[i].model->weights, size);
        memcpy(b[i].optimiser->m, a[i].optimiser->m, size);
        memcpy(b[i].optimiser->v, a[i].optimiser->v, size);
        b[i].optimiser->steps = a[i].optimiser->steps;
        mg_model_touch(b[i].model);
    }
}

static void a_run_from_a_checkpoint_is_the_run_without_one(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        tiny *whole = started(&subjects[i], 1, ""), *half = started(&subjects[i], 1, "");
        tiny *rest = started(&subjects[i], 1, "");
        for (int64_t u = 0; u < UPDATES; u++) { // and looking at held-out data leaves no trace
            updated(whole, u, u + 1);
            if (whole->algo->evaluate) ok(whole->algo->evaluate(whole->learner, &whole->metrics));
        }
        updated(half, 0, 2);
        carried_over(half, rest);
        updated(rest, 2, UPDATES);
        if (!tiny_same(whole, rest)) fail_msg("%s: %s", subjects[i].algo, subjects[i].settings);
        tiny_stop(whole), tiny_stop(half), tiny_stop(rest);
    }
}

// Settings under which an update is one step over several portions of the batch.
static void one_step(const subject *s, int microbatch, char *out, size_t size) {
    snprintf(out, size, "microbatch=%d%s%s%s", microbatch,
             strstr(s->settings, "updates=") ? " epochs=1" : "",
             strstr(s->settings, "minibatches=") ? " minibatches=1" : "",
             strstr(s->settings, "episodes=")  ? " episodes=160"
             : strstr(s->settings, "prompts=") ? " prompts=50"
                                               : " batch=120");
}

static void any_microbatch_gives_the_same_gradient(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        char whole_is[64], sliced_is[64];
        one_step(&subjects[i], 1000, whole_is, sizeof whole_is);
        one_step(&subjects[i], 3, sliced_is, sizeof sliced_is);
        tiny *whole = started(&subjects[i], 1, whole_is),
             *sliced = started(&subjects[i], 1, sliced_is);
        updated(whole, 0, 1);
        updated(sliced, 0, 1);
        mg_part   a[MG_PARTS_MAX];
        const int n = whole->algo->parts(whole->learner, a);
        for (int p = 0; p < n; p++) {
            const float *x = a[p].optimiser->m, *y = tiny_part(sliced, p).optimiser->m;
            double       off = 0, norm = 0;
            for (int64_t k = 0; k < a[p].model->n_weights; k++) {
                off += pow((double)(x[k] - y[k]), 2);
                norm += pow((double)x[k], 2);
            }
            assert_true(norm > 1e-12);
            near(sqrt(off / norm), 0, 1e-5);
#ifdef __AVX512F__ // elsewhere what is read may differ by rounding (ops.h O2)
            assert_memory_equal(x, y, sizeof *x * (size_t)a[p].model->n_weights);
#endif
        }
        tiny_stop(whole), tiny_stop(sliced);
    }
}

static double loss_of(const tiny *t) {
    if (!t->algo->plan) return metric(&t->metrics, "loss");
    const bool kl = strcmp(t->algo->name, "grpo") == 0;
    return metric(&t->metrics, "policy_loss") + (kl ? metric(&t->metrics, "kl_loss") : 0);
}

// The loss of update 0 on these episodes once the weights have moved by `step` along g / |g|.
static double loss_behind(const subject *s, const char *more, mg_episode *e, int64_t n,
                          const float *g, double norm, double step) {
    tiny     *t = started(s, 1, more);
    mg_model *m = tiny_part(t, 0).model;
    for (int64_t k = 0; k < m->n_weights; k++)
        m->weights[k] += (float)(step * (double)g[k] / norm);
    mg_model_touch(m);
    ok(t->algo->update(t->learner, 0, e, n, &t->metrics));
    const double loss = loss_of(t);
    tiny_stop(t);
    return loss;
}

// Of policies and reward models; a critic's is in ppo/, because it takes part in what is prepared.
static void gradients_are_slopes_of_the_losses(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        const double   step = 5e-3;
        char           settings[64];
        one_step(s, 3, settings, sizeof settings);
        tiny       *t = started(s, 1, settings);
        mg_episode *e = NULL;
        int64_t     n = 0;
        if (t->algo->plan) ok(tiny_play(t, 0, &e, &n));
        ok(t->algo->update(t->learner, 0, e, n, &t->metrics));
        const float *m    = tiny_part(t, 0).optimiser->m;
        double       norm = 0;
        for (int64_t k = 0; k < tiny_part(t, 0).model->n_weights; k++)
            norm += (double)m[k] * (double)m[k];
        norm = sqrt(norm);
        near(metric(&t->metrics, "grad_norm") / (10 * norm), 1, 1e-5);
        const double up   = loss_behind(s, settings, e, n, m, norm, step);
        const double down = loss_behind(s, settings, e, n, m, norm, -step);
        near((up - down) / (2 * step) / (10 * norm), 1, 0.01);
        tiny_stop(t);
    }
}

static void a_run_has_as_many_updates_as_its_settings_say(void **state) {
    (void)state;
    // Ten of the twelve rows are short enough for TINY_RESPONSE; three epochs of them by nine are
    // four updates. Preferences need both answers: eight rows, by eight and by seven.
    const int64_t wanted[] = {4, 4, 3, 4, 4, 4, 4, 4, 4};
    for (int i = 0; i < SUBJECTS; i++) {
        tiny *t = started(&subjects[i], 1, "");
        assert_int_equal(t->algo->updates(t->learner), wanted[i]);
        tiny_stop(t);
    }
}

static void a_missing_model_is_refused_and_nothing_leaks(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        tiny *t = tiny_job(subjects[i].algo, 1);
        t->job.model_folder = "/nonexistent";
        assert_int_equal(tiny_learner(t, subjects[i].settings), MG_IO);
        assert_null(t->learner);
        t->job.model_folder  = tiny_policy;
        t->job.reward_folder = "/nonexistent";
        if (subjects[i].reward) {
            assert_int_equal(tiny_learner(t, subjects[i].settings), MG_IO);
            assert_null(t->learner);
        }
        tiny_stop(t);
    }
}

static void every_algorithm_is_found_by_its_name(void **state) {
    (void)state;
    char names[256];
    for (int i = 0; mg_algos[i]; i++) assert_ptr_equal(mg_algo_find(mg_algos[i]->name), mg_algos[i]);
    for (int i = 0; i < SUBJECTS; i++)
        assert_string_equal(mg_algo_find(subjects[i].algo)->name, subjects[i].algo);
    mg_algo_names(true, names, sizeof names);
    assert_string_equal(names, "sft");
    mg_algo_names(false, names, sizeof names);
    assert_int_equal(strncmp(names, "sft reward_model dpo", 20), 0);
    mg_algo_names(false, names, 6);
    assert_string_equal(names, "sft r");
    assert_null(mg_algo_find("PPO"));
    assert_null(mg_algo_find(""));
    assert_int_equal(mg_schedule_named("linear"), MG_SCHEDULE_LINEAR);
    assert_int_equal(mg_schedule_named("cosine"), MG_SCHEDULE_COSINE);
    assert_int_equal(mg_schedule_named("constant"), MG_SCHEDULE_CONSTANT);
}

static void readmes_hold_the_tables_of_the_configurations(void **state) {
    (void)state;
    mg_arena arena;
    ok(mg_arena_init(&arena, "readme", (size_t)16 << 20));
    for (const mg_algo *const *a = mg_algos; *a; a++) {
        const mg_section section = {(*a)->name, (*a)->fields, NULL};
        const char      *path    = mg_path(&arena, "algos/%s/README.md", (*a)->name);
        char            *table, *readme;
        size_t           size;
        FILE            *out = open_memstream(&table, &size);
        assert_non_null(out);
        mg_config_markdown(&section, out);
        fclose(out);
        ok(mg_file_read(path, 1 << 20, &arena, &readme, &size));
        if (!strstr(readme, table)) fail_msg("%s: wanted this table:\n%s", path, table);
        free(table);
    }
    mg_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_give_the_bits_of_one),
        cmocka_unit_test(bfloat16_keeps_bits_and_ratios),
        cmocka_unit_test(a_run_from_a_checkpoint_is_the_run_without_one),
        cmocka_unit_test(any_microbatch_gives_the_same_gradient),
        cmocka_unit_test(gradients_are_slopes_of_the_losses),
        cmocka_unit_test(a_run_has_as_many_updates_as_its_settings_say),
        cmocka_unit_test(a_missing_model_is_refused_and_nothing_leaks),
        cmocka_unit_test(every_algorithm_is_found_by_its_name),
        cmocka_unit_test(readmes_hold_the_tables_of_the_configurations),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
