// Goal: episodes of perceptron policies are recorded as they were: what was seen, what was drawn, what the world was
//       given and what it paid; alone or in a batch, with any number of threads. What goes wrong in one touches no
//       other.
// Method: a world of our own, a point on a line that the action pushes, with items that fail in their own ways. What
//         is recorded is played again by hand.
#include "rollout/vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nets/act.h"
#include "rollout/collect.h"

enum { STEPS_MAX = 20, NUMBERS = 2, NAN_SEEN = 7, STEP_FAILS, RESET_NAN, LAST_NAN }; // items from 7 on are broken

typedef struct point {
    double  x;
    float   seen[NUMBERS];
    int64_t item, steps;
} point;

static mg_value look(point *p, bool broken) {
    p->seen[0] = (float)p->x;
    p->seen[1] = broken ? NAN : (float)p->steps / 10;
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = p->seen};
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns, mg_value *seen) {
    point *p   = e->state;
    mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
    (void)now_ns;
    *p    = (point){.x = mg_rng_uniform(&rng), .item = options->item};
    *seen = look(p, p->item == RESET_NAN);
    return MG_OK;
}

static void move(point *p, double push) { p->x += 0.3 * push; }

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    point *p = e->state;
    (void)now_ns;
    if (p->item == STEP_FAILS && p->steps == 2) return mg_fail(MG_IO, "the line broke");
    move(p, action->kind == MG_SPACE_DISCRETE ? (double)action->index - 1 : (double)action->vector[0]);
    p->steps++;
    *out = (mg_transition){.reward = mg_reward_of(-fabs(p->x)), .terminated = fabs(p->x) > 3,
                           .observation = look(p, (p->item == NAN_SEEN && p->steps == 3) ||
                                                      (p->item == LAST_NAN && p->steps == STEPS_MAX))};
    return MG_OK;
}

static const mg_env_class pushed = {
    .name = "line", .observation = {.kind = MG_SPACE_VECTOR, .n = NUMBERS},
    .action = {.kind = MG_SPACE_VECTOR, .n = 1, .low = -2, .high = 2}, .state_size = sizeof(point),
    .steps_max = STEPS_MAX, .reset = reset, .step = step};
static const mg_env_class stepped = {
    .name = "steps", .observation = {.kind = MG_SPACE_VECTOR, .n = NUMBERS},
    .action = {.kind = MG_SPACE_DISCRETE, .n = 3}, .state_size = sizeof(point), .steps_max = STEPS_MAX,
    .reset = reset, .step = step};

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "vectors test", (size_t)1 << 30) != MG_OK;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static mg_model *policy(mg_mlp_head head) {
    mg_model          *m;
    const bool         chosen = head == MG_HEAD_CATEGORICAL;
    const mg_mlp_shape s = {.in = NUMBERS, .out = chosen ? 3 : 1, .width = 20, .depth = 1, .nets = 1, .tanh = true,
                            .head = head, .action_scale = chosen ? 1 : 2, .free = head == MG_HEAD_GAUSSIAN};
    if (mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = s}, false)) fail_msg("%s", mg_err_detail());
    mg_model_init(m, 3);
    return m;
}

static mg_rollout rollout(mg_model *m) {
    return (mg_rollout){.model = m, .class = m->config.mlp.head == MG_HEAD_CATEGORICAL ? &stepped : &pushed, .seed = 4,
                        .sampling = {.temperature = 1}, .wants_reward = true};
}

static void play(const mg_rollout *r, const mg_start *starts, int64_t n, mg_episode *episodes) {
    if (mg_vectors_run(r, starts, n, 5, 6, &arena, &arena, episodes)) fail_msg("%s", mg_err_detail());
}

static const float *seen_at(const mg_episode *e, int64_t i) { return (const float *)e->turns[i].observation; }

// Replays what the record says, and asks the policy for what it would have done.
static void check_episode(const mg_rollout *r, const mg_episode *e) {
    const mg_vector_steps *v = e->vectors;
    point                  p = {0};
    assert_non_null(v);
    p.x = (double)seen_at(e, 0)[0];
    for (int64_t i = 0; i < e->n_turns; i++) {
        mg_rng  draws = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE, 6);
        float   drawn, action;
        int64_t choice = -1;
        double  logp;
        mg_rng_seek(&draws, e->start.episode, e->start.attempt, (uint32_t)i);
        assert_int_equal(mg_act(r->model, NULL, seen_at(e, i), 1, &draws, &arena,
                                &(mg_acts){&drawn, &action, &choice, &logp}), MG_OK);
        assert_true(logp == v->logp[i]);
        if (v->drawn) {
            assert_true(v->drawn[i] == drawn && !v->choice);
            assert_true(strtof(e->turns[i].action, NULL) == action); // what the world was given, to the last bit
            move(&p, (double)action);
        } else {
            assert_int_equal(v->choice[i], choice);
            assert_int_equal(atoi(e->turns[i].action), choice);
            move(&p, (double)choice - 1);
        }
        p.steps++;
        assert_true(fabs(e->turns[i].reward.value + fabs(p.x)) < 1e-6);
        const float *next = i + 1 < e->n_turns ? seen_at(e, i + 1) : v->last;
        if (next) assert_true(fabs((double)next[0] - p.x) < 1e-6 && next[1] == (float)p.steps / 10);
    }
    assert_int_equal(e->terminated, fabs(p.x) > 3);
    assert_int_equal(e->truncated, !e->terminated && e->n_turns == STEPS_MAX);
    assert_true(e->terminated != e->truncated);
    assert_int_equal(v->last != NULL, e->truncated);
    assert_int_equal(e->verdict, MG_CLEAN);
    assert_null(e->tokens);
}

enum { N = 12 };

static void starts_of(mg_start starts[N]) {
    for (int i = 0; i < N; i++) starts[i] = (mg_start){.item = -1, .group = i, .episode = (uint32_t)(40 + i)};
}

static void test_the_record_is_what_happened(void **state) {
    (void)state;
    static const mg_mlp_head heads[] = {MG_HEAD_GAUSSIAN, MG_HEAD_TANH_GAUSSIAN, MG_HEAD_CATEGORICAL};
    int terminated = 0, truncated = 0;
    for (int h = 0; h < 3; h++) {
        mg_model        *m;
        mg_start         starts[N];
        mg_episode       episodes[N];
        if (heads[h] == MG_HEAD_TANH_GAUSSIAN) { // twice the numbers
            const mg_mlp_shape s = {.in = NUMBERS, .out = 2, .nets = 1, .width = 1, .head = heads[h],
                                    .action_scale = 2};
            assert_int_equal(mg_model_new(&m, &(mg_model_config){.family = MG_FAMILY_MLP, .mlp = s}, false), MG_OK);
            mg_model_init(m, 3);
        } else {
            m = policy(heads[h]);
        }
        const mg_rollout r = rollout(m);
        starts_of(starts);
        play(&r, starts, N, episodes);
        for (int i = 0; i < N; i++) {
            check_episode(&r, &episodes[i]);
            terminated += episodes[i].terminated, truncated += episodes[i].truncated;
        }
        mg_model_free(m);
    }
    assert_true(terminated >= 3 && truncated >= 3); // both ends were seen
}

static void assert_same(const mg_episode *a, const mg_episode *b) {
    assert_int_equal(a->n_turns, b->n_turns);
    for (int64_t i = 0; i < a->n_turns; i++) {
        assert_memory_equal(a->turns[i].observation, b->turns[i].observation, sizeof(float) * NUMBERS);
        assert_string_equal(a->turns[i].action, b->turns[i].action);
    }
    assert_memory_equal(a->vectors->drawn, b->vectors->drawn, sizeof(float) * (size_t)a->n_turns);
    assert_memory_equal(a->vectors->logp, b->vectors->logp, sizeof(double) * (size_t)a->n_turns);
    assert_memory_equal(a->end_digest, b->end_digest, 32);
}

static void test_neither_neighbours_nor_threads_change_an_episode(void **state) {
    (void)state;
    mg_model  *m = policy(MG_HEAD_GAUSSIAN);
    mg_rollout r = rollout(m);
    mg_start   starts[N];
    mg_episode together[N], alone, threaded[N];
    starts_of(starts);
    play(&r, starts, N, together);
    for (int i = 0; i < N; i++) {
        play(&r, &starts[i], 1, &alone);
        assert_same(&together[i], &alone);
    }
    assert_int_equal(mg_team_open(&r.team, 3), MG_OK);
    play(&r, starts, N, threaded);
    for (int i = 0; i < N; i++) assert_same(&together[i], &threaded[i]);
    mg_team_close(r.team);
    mg_model_free(m);
}

static void test_the_mode_draws_nothing(void **state) {
    (void)state;
    mg_model  *m = policy(MG_HEAD_TANH);
    mg_rollout r = rollout(m);
    mg_episode a, b;
    mg_start   start = {.item = -1, .episode = 2};
    r.sampling.temperature = 0;
    play(&r, &start, 1, &a);
    for (int64_t i = 0; i < a.n_turns; i++) {
        float action;
        assert_int_equal(mg_act(m, NULL, seen_at(&a, i), 1, NULL, &arena, &(mg_acts){.action = &action}), MG_OK);
        assert_true(strtof(a.turns[i].action, NULL) == action);
    }
    assert_null(a.vectors->logp);
    r.sampling.temperature = 1; // a deterministic policy draws nothing either
    play(&r, &start, 1, &b);
    assert_memory_equal(a.end_digest, b.end_digest, 32);
    mg_model_free(m);
}

static void test_what_goes_wrong_in_one_touches_no_other(void **state) {
    (void)state;
    static const struct {
        int64_t     item, turns;
        const char *code, *words;
    } broken[] = {{NAN_SEEN, 3, "E.observation", "number 1 of the observation is nan"},
                  {STEP_FAILS, 3, "E.step", "the line broke"},
                  {RESET_NAN, 0, "E.observation", "number 1 of the observation is nan"},
                  {LAST_NAN, STEPS_MAX, "E.observation", "number 1 of the observation is nan"}};
    mg_model  *m = policy(MG_HEAD_TANH);
    mg_rollout r = rollout(m);
    mg_start   starts[N];
    mg_episode good[N], mixed[N];
    starts_of(starts);
    memset(m->nets[1].W->data, 0, sizeof(float) * (size_t)mg_tensor_count(m->nets[1].W)); // the point stays where it is
    mg_f32(m->nets[1].b)[0] = 0;
    mg_model_touch(m);
    play(&r, starts, N, good);
    for (int k = 0; k < 4; k++) starts[2 * k + 1].item = broken[k].item;
    play(&r, starts, N, mixed);
    for (int i = 0; i < N; i++) {
        const int k = i / 2;
        if (i % 2 == 0 || k >= 4) {
            assert_memory_equal(good[i].end_digest, mixed[i].end_digest, 32);
            assert_int_equal(mixed[i].verdict, MG_CLEAN);
            continue;
        }
        assert_int_equal(mixed[i].verdict, MG_QUARANTINED);
        assert_string_equal(mixed[i].code, broken[k].code);
        if (!strstr(mixed[i].detail, broken[k].words)) fail_msg("%s", mixed[i].detail);
        assert_int_equal(mixed[i].n_turns, broken[k].turns);
    }
    mg_model_free(m);
}

// Through the gate: a broken item is tried again, and is not among what is kept.
static void test_the_gate_lets_clean_episodes_through(void **state) {
    (void)state;
    mg_model      *m = policy(MG_HEAD_GAUSSIAN);
    mg_rollout     r = rollout(m);
    mg_start       starts[N];
    mg_collected   c;
    mg_gate        gate;
    mg_gate_config config;
    const mg_section section = {"gate", mg_gate_fields, &config};
    mg_config_defaults(&section, 1, &arena);
    mg_gate_init(&gate, &config);
    r.replay_share = 1; // and each is played again, and comes out the same
    starts_of(starts);
    starts[5].item = STEP_FAILS;
    if (mg_collect(&r, &gate, starts, N, 0, 0, &arena, &arena, &c)) fail_msg("%s", mg_err_detail());
    assert_int_equal(c.n_kept, N - 1);
    assert_true(c.replayed >= N - 1);
    for (int64_t k = 0; k < c.n_kept; k++) {
        assert_int_equal(c.all[c.kept[k]].verdict, MG_CLEAN);
        assert_true(c.all[c.kept[k]].start.item == -1);
        assert_non_null(c.all[c.kept[k]].vectors);
    }
    mg_model_free(m);
}

static void test_a_policy_that_is_no_number_ends_the_call(void **state) {
    (void)state;
    mg_model  *m = policy(MG_HEAD_GAUSSIAN);
    mg_rollout r = rollout(m);
    mg_start   start = {.item = -1};
    mg_episode e;
    mg_f32(m->nets[1].b)[0] = INFINITY;
    assert_int_equal(mg_vectors_run(&r, &start, 1, 0, 0, &arena, &arena, &e), MG_NUMERIC);
    mg_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_record_is_what_happened),
        cmocka_unit_test(test_neither_neighbours_nor_threads_change_an_episode),
        cmocka_unit_test(test_the_mode_draws_nothing),
        cmocka_unit_test(test_what_goes_wrong_in_one_touches_no_other),
        cmocka_unit_test(test_the_gate_lets_clean_episodes_through),
        cmocka_unit_test(test_a_policy_that_is_no_number_ends_the_call),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
