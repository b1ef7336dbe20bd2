// Goal:   what every learner from a replay buffer promises: the same bits with any number of threads and from a
//         checkpoint, batches from where replay_mode says, nothing learnt where nothing is to be, refusals that name
//         what was found and wanted, and that one may go on with what another left.
// Method: each of them on the world of a formula (tiny_steps.h), twice.
#include "algos/off_policy.h"

#include "algos/tiny_steps.h"

typedef struct subject {
    const char *algo, *settings;
    bool        data;
    int64_t     updates;
} subject;

static const subject subjects[] = {
    {"td3", "steps=40", false, 10},
    {"td3", "steps=24 offline_updates=16 replay_mode=half moments=reset", true, 10},
    {"td3_bc", "steps=24 offline_updates=16 bc_anneal_steps=10", true, 10},
    {"td3_c", "steps=24 offline_updates=16 anchor=frozen eps_steps=10 eps_end=0.01", true, 10},
    {"td3_c", "steps=40 anchor=target", false, 10},
    {"td3_c", "steps=40 anchor=data scale_free=false updates_per_step=3", false, 10},
    {"sac", "steps=40", false, 10},
    {"sac", "steps=40 replay_mode=append updates_per_step=2", true, 10},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

static tiny_steps *started(const subject *s, int threads) {
    return tiny_steps_start(s->algo, threads, s->data, s->settings);
}

static void updated(tiny_steps *t, int64_t from, int64_t to) {
    for (int64_t u = from; u < to; u++) ok(tiny_steps_update(t, u));
}

static void any_number_of_threads_gives_the_bits_of_one(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++)
        for (int threads = 2; threads <= 3; threads++) {
            tiny_steps *one = started(&subjects[i], 1), *more = started(&subjects[i], threads);
            assert_int_equal(one->algo->updates(one->learner), subjects[i].updates);
            assert_true(tiny_steps_same(one, more));
            updated(one, 0, 10);
            assert_false(tiny_steps_same(one, more));
            updated(more, 0, 10);
            if (!tiny_steps_same(one, more)) fail_msg("%s: %s", subjects[i].algo, subjects[i].settings);
            tiny_steps_stop(one), tiny_steps_stop(more);
        }
}

static void a_run_from_a_checkpoint_is_the_run_without_one(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++)
        for (int64_t at = 3; at <= 6; at++) { // before the passage to the world, and behind it
            tiny_steps *whole = started(&subjects[i], 1), *half = started(&subjects[i], 1);
            tiny_steps *rest = started(&subjects[i], 1);
            updated(whole, 0, 10);
            updated(half, 0, at);
            tiny_steps_carry(half, rest);
            updated(rest, at, 10);
            if (!tiny_steps_same(whole, rest)) fail_msg("%s: %s", subjects[i].algo, subjects[i].settings);
            tiny_steps_stop(whole), tiny_steps_stop(half), tiny_steps_stop(rest);
        }
}

// A look at the policy leaves no trace, and gives the same each time.
static void a_look_draws_nothing(void **state) {
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        tiny_steps *t = started(&subjects[i], 1), *other = started(&subjects[i], 1);
        const float s[TINY_SEES] = {0.5f, -1, 2};
        float       a[TINY_DOES], again[TINY_DOES];
        updated(t, 0, 5), updated(other, 0, 5);
        ok(t->algo->act(t->learner, s, false, a));
        ok(t->algo->act(t->learner, s, false, again));
        assert_memory_equal(a, again, sizeof a);
        updated(t, 5, 10), updated(other, 5, 10);
        assert_true(tiny_steps_same(t, other));
        tiny_steps_stop(t), tiny_steps_stop(other);
    }
}

static mg_model *actor_of(tiny_steps *t) { return ((mg_off_policy *)t->learner)->actor; }

static bool moved(tiny_steps *t, tiny_steps *from) {
    return memcmp(actor_of(t)->weights, actor_of(from)->weights, sizeof(float) * (size_t)actor_of(t)->n_weights) != 0;
}

static void nothing_is_learnt_in_the_first_steps(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3", 1, false, "steps=60 start_steps=40"),
               *untouched = tiny_steps_start("td3", 1, false, "steps=60");
    updated(t, 0, 10);
    assert_false(moved(t, untouched));
    updated(t, 10, 15);
    assert_true(moved(t, untouched));
    // 20 steps behind the first 40.
    near(tiny_steps_metric(t, "gradient_steps"), 20, 0);
    near(tiny_steps_metric(t, "steps"), 60, 0);
    tiny_steps_stop(t), tiny_steps_stop(untouched);
}

static void a_warm_up_fills_the_buffer_with_the_policy_as_it_is(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("sac", 1, false, "steps=60 replay_mode=warmup warmup_steps=36");
    updated(t, 0, 9);
    near(tiny_steps_metric(t, "gradient_steps"), 0, 0);
    assert_int_equal(mg_replay_rows(t->ring), 36);
    updated(t, 9, 15);
    near(tiny_steps_metric(t, "gradient_steps"), 24, 0);
    tiny_steps_stop(t);
}

// How many of a batch's rows are of the data set, whose rewards are known.
static int of_the_data(tiny_steps *t) {
    const mg_transitions b = mg_off_policy_draw((mg_off_policy *)t->learner);
    int                  n = 0;
    for (int64_t i = 0; i < b.n; i++)
        for (int64_t k = 0; k < TINY_ROWS; k++)
            if (memcmp(b.action + i * TINY_DOES, t->data.action + k * TINY_DOES, sizeof(float) * TINY_DOES) == 0) {
                n++;
                break;
            }
    return n;
}

static void batches_come_from_where_the_mode_says(void **state) {
    (void)state;
    const struct {
        const char *mode;
        int         low, high; // of a batch of 200
    } modes[] = {{"empty", 0, 0}, {"warmup", 0, 0}, {"half", 100, 100}, {"append", 120, 180}};
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        char settings[128];
        snprintf(settings, sizeof settings, "steps=200 batch=200 offline_updates=4 warmup_steps=0 replay_mode=%s",
                 modes[k].mode);
        tiny_steps *t = tiny_steps_start("td3", 1, true, settings);
        updated(t, 0, 1);
        assert_int_equal(of_the_data(t), 200); // offline
        updated(t, 1, 51);                     // 200 rows in the buffer, 400 in the data
        const int n = of_the_data(t);
        if (n < modes[k].low || n > modes[k].high) fail_msg("%s: %d of the data", modes[k].mode, n);
        tiny_steps_stop(t);
    }
}

// A frozen anchor is the policy that the world was begun with, not the one that the run was.
static void the_anchor_is_the_policy_at_the_passage(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3_c", 1, true, "steps=24 offline_updates=16 anchor=frozen"),
               *untouched = tiny_steps_start("td3_c", 1, true, "steps=24 offline_updates=16 anchor=frozen");
    updated(t, 0, 4);
    const mg_off_policy *l      = (mg_off_policy *)t->learner;
    const size_t         size   = sizeof(float) * (size_t)l->actor->n_weights;
    float               *before = mg_arena_alloc(&t->run, size);
    memcpy(before, l->actor->weights, size);
    updated(t, 4, 10);
    assert_true(moved(t, untouched));
    assert_memory_equal(l->anchor->weights, before, size);
    assert_memory_not_equal(l->actor->weights, before, size);
    tiny_steps_stop(t), tiny_steps_stop(untouched);
}

// Observations are seen as the data are spread; the constants are the policy's and stay.
static void inputs_are_normalised_by_the_data(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3_bc", 1, true, "offline_updates=40 batch=400");
    updated(t, 0, 10);
    const mg_transitions b = mg_off_policy_draw((mg_off_policy *)t->learner);
    for (int j = 0; j < TINY_SEES; j++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < TINY_ROWS; i++) mean += (double)t->data.observation[i * TINY_SEES + j] / TINY_ROWS;
        for (int64_t i = 0; i < TINY_ROWS; i++)
            square += pow((double)t->data.observation[i * TINY_SEES + j] - mean, 2) / TINY_ROWS;
        near((double)mg_f32(actor_of(t)->mean)[j], mean, 1e-5);
        near(1 / (double)mg_f32(actor_of(t)->scale)[j], sqrt(square) + 1e-3, 1e-5);
        mean = 0;
        for (int64_t i = 0; i < b.n; i++) mean += (double)b.observation[i * TINY_SEES + j] / (double)b.n;
        near(mean, 0, 0.2); // a batch with replacement
    }
    tiny_steps_stop(t);
}

// One run's finished model is what the next of the same kind begins with.
static void a_policy_goes_on_in_another_run_of_its_kind(void **state) {
    (void)state;
    const char *const kin[] = {"td3", "td3_bc", "td3_c"};
    char              folder[] = "/tmp/mg-kin-XXXXXX", command[64];
    assert_non_null(mkdtemp(folder));
    tiny_steps *first = tiny_steps_start("td3_bc", 1, true, "offline_updates=12");
    updated(first, 0, 3);
    ok(first->algo->finish(first->learner, folder));
    for (int k = 0; k < 3; k++) {
        tiny_steps *next = tiny_steps_job(kin[k], 1, false);
        next->job.model_folder = folder;
        ok(tiny_steps_learner(next, "offline_updates=0 steps=40 start_steps=1000"));
        const mg_off_policy *a = (mg_off_policy *)first->learner, *b = (mg_off_policy *)next->learner;
        assert_false(moved(next, first));
        assert_memory_equal(a->critic->weights, b->critic->weights, sizeof(float) * (size_t)a->critic->n_weights);
        assert_memory_equal(b->critic->weights, b->critic_target->weights,
                            sizeof(float) * (size_t)a->critic->n_weights);
        assert_memory_equal(a->actor_opt.v, b->actor_opt.v, sizeof(float) * (size_t)a->actor->n_weights);
        assert_int_equal(a->actor_opt.steps, b->actor_opt.steps);
        updated(next, 0, 10); // its first steps are the policy's own: it has one
        assert_true(moved(next, first));
        tiny_steps_stop(next);
    }
    tiny_steps *forgets = tiny_steps_job("td3", 1, false);
    forgets->job.model_folder = folder;
    ok(tiny_steps_learner(forgets, "steps=40 moments=reset"));
    assert_int_equal(((mg_off_policy *)forgets->learner)->actor_opt.steps, 0);
    tiny_steps_stop(forgets);

    tiny_steps *other = tiny_steps_job("sac", 1, false);
    other->job.model_folder = folder;
    refused(tiny_steps_learner(other, "steps=40"), MG_CONFIG, "has the head tanh, wanted tanh_gaussian");
    tiny_steps_stop(other);
    snprintf(command, sizeof command, "rm -r %s/critic", folder);
    assert_int_equal(system(command), 0);
    other = tiny_steps_job("td3", 1, false);
    other->job.model_folder = folder;
    refused(tiny_steps_learner(other, "steps=40"), MG_CONFIG, "has no critics");
    tiny_steps_stop(other), tiny_steps_stop(first);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static const struct mg_call *no_call(const mg_env *e) {
    (void)e;
    return NULL;
}

// Networks and learnt bytes as they were before the world was entered: what is learnt afterwards enters it again. The
// anchor is the policy that the data made, not the random one that it was opened with.
static void what_is_learnt_goes_back_without_the_counters(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_start("td3_c", 1, true, "offline_updates=12 steps=12 anchor=frozen");
    updated(t, 0, 3);
    mg_part           parts[MG_PARTS_MAX];
    const int         n    = t->algo->parts(t->learner, parts);
    const mg_stepping s    = t->algo->stepping(t->learner);
    char             *then = mg_arena_alloc(&t->run, s.learnt_size);
    float            *kept[MG_PARTS_MAX];
    memcpy(then, s.learnt, s.learnt_size);
    for (int i = 0; i < n; i++) {
        kept[i] = MG_NEW(&t->run, float, parts[i].model->n_weights);
        memcpy(kept[i], parts[i].model->weights, sizeof(float) * (size_t)parts[i].model->n_weights);
    }
    updated(t, 3, 4);
    mg_off_policy *l = (mg_off_policy *)t->learner;
    assert_true(l->state.learnt.online == 1 && l->state.steps == 4);
    for (int i = 0; i < n; i++) {
        memcpy(parts[i].model->weights, kept[i], sizeof(float) * (size_t)parts[i].model->n_weights);
        mg_model_touch(parts[i].model);
    }
    memcpy(s.learnt, then, s.learnt_size);
    assert_true(l->state.learnt.online == 0 && l->state.steps == 4 && l->state.updates == 16);
    updated(t, 4, 5);
    assert_memory_equal(l->anchor->weights, kept[0], sizeof(float) * (size_t)l->anchor->n_weights);
    assert_true(l->state.steps == 8);
    tiny_steps_stop(t);
}

static void what_cannot_work_is_refused(void **state) {
    (void)state;
    tiny_steps *t = tiny_steps_job("td3_bc", 1, false);
    refused(tiny_steps_learner(t, ""), MG_CONFIG, "data: found none, wanted a file of transitions");
    tiny_steps_stop(t);

    t = tiny_steps_job("td3", 1, false);
    refused(tiny_steps_learner(t, "offline_updates=4"), MG_CONFIG, "offline_updates is 4");
    tiny_steps_stop(t);

    t          = tiny_steps_job("td3_bc", 1, true);
    t->data    = mg_transitions_new(&t->run, 10, 4, 2);
    refused(tiny_steps_learner(t, ""), MG_CONFIG, "found 4 numbers of observations and 2 of actions, wanted 3 and 2");
    tiny_steps_stop(t);

    mg_env_class process = tiny_world;
    process.call         = no_call;
    t                    = tiny_steps_job("td3", 1, false);
    t->job.world         = &process;
    refused(tiny_steps_learner(t, "stage=step"), MG_CONFIG, "stage: found 'step', wanted 'episode'");
    tiny_steps_stop(t);

    mg_env_class choices = tiny_world;
    choices.action       = (mg_space){.kind = MG_SPACE_DISCRETE, .n = 4};
    t                    = tiny_steps_job("sac", 1, false);
    t->job.world         = &choices;
    refused(tiny_steps_learner(t, ""), MG_CONFIG, "takes one of 4 choices");
    tiny_steps_stop(t);
}

// As far as it can be known before anything is played.
static void what_would_learn_nothing_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *algo, *settings;
        bool        data;
        const char *says; // NULL: taken
    } wishes[] = {
        {"td3", "steps=100 start_steps=100", false, "start_steps: found 100, wanted fewer than steps, 100"},
        {"td3", "steps=100 start_steps=99", false, NULL},
        {"td3", "steps=100 start_steps=100 offline_updates=4", true, NULL}, // there is a policy then
        {"sac", "steps=100 start_steps=100", true, "start_steps: found 100"},
        {"td3", "steps=100 replay=15", false, "replay: found 15, wanted batch, 16, or more"},
        {"td3", "steps=100 replay=16", false, NULL},
        {"td3", "steps=100 replay=15", true, NULL}, // the data are a batch
        {"td3_c", "steps=100 offline_updates=4 replay=15 replay_mode=empty", true, "replay: found 15"},
        {"sac", "steps=16", false, "steps: found 16, wanted more than batch, 16"},
        {"sac", "steps=17", false, NULL},
        {"sac", "steps=16 stage=step", false, NULL}, // an episode may go on behind it
        {"sac", "steps=16", true, NULL},
        {"sac", "steps=100 replay_mode=half", false, "replay_mode: found 'half', wanted append, empty or warmup"},
        {"sac", "steps=100 replay_mode=half", true, NULL},
        {"sac", "steps=100 replay_mode=warmup", false, "warmup_steps: found 5000, wanted fewer than steps, 100"},
        {"sac", "steps=100 updates_per_step=0", false, "updates_per_step: found 0, wanted 1 or more"},
        {"td3", "steps=100 updates_per_step=0 offline_updates=4", true, NULL}, // played alone
        {"td3", "steps=0", true, "steps: found 0, wanted 1 or more, or offline_updates"},
        {"td3_bc", "steps=0 offline_updates=4", true, NULL},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        tiny_steps  *t   = tiny_steps_job(wishes[i].algo, 1, wishes[i].data);
        const mg_err err = tiny_steps_learner(t, wishes[i].settings);
        if ((err != MG_OK) != (wishes[i].says != NULL)) fail_msg("%s: %s", wishes[i].settings, mg_err_detail());
        if (err) refused(err, MG_CONFIG, wishes[i].says);
        tiny_steps_stop(t);
    }
}

static void numbers_that_are_none_end_it_before_anything_moves(void **state) {
    (void)state;
    const char *const all[] = {"td3", "td3_c", "sac"};
    for (int k = 0; k < 3; k++) {
        tiny_steps *t = tiny_steps_start(all[k], 1, true, "steps=40");
        updated(t, 0, 5);
        mg_off_policy *l = (mg_off_policy *)t->learner;
        const size_t   size = sizeof(float) * (size_t)l->critic->n_weights;
        float         *before = mg_arena_alloc(&t->run, size);
        for (int64_t i = 0; i < TINY_ROWS; i++) t->data.reward[i] = NAN;
        memcpy(before, l->critic->weights, size);
        refused(tiny_steps_update(t, 5), MG_NUMERIC, "critic loss is nan at gradient step");
        assert_memory_equal(before, l->critic->weights, size);
        tiny_steps_stop(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_bits_of_one),
        cmocka_unit_test(a_run_from_a_checkpoint_is_the_run_without_one),
        cmocka_unit_test(a_look_draws_nothing),
        cmocka_unit_test(nothing_is_learnt_in_the_first_steps),
        cmocka_unit_test(a_warm_up_fills_the_buffer_with_the_policy_as_it_is),
        cmocka_unit_test(batches_come_from_where_the_mode_says),
        cmocka_unit_test(the_anchor_is_the_policy_at_the_passage),
        cmocka_unit_test(inputs_are_normalised_by_the_data),
        cmocka_unit_test(a_policy_goes_on_in_another_run_of_its_kind),
        cmocka_unit_test(what_is_learnt_goes_back_without_the_counters),
        cmocka_unit_test(what_cannot_work_is_refused),
        cmocka_unit_test(what_would_learn_nothing_is_refused),
        cmocka_unit_test(numbers_that_are_none_end_it_before_anything_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
