// Goal:   the robots are Gymnasium's, to the bit where the machine is the trace's; and nothing that goes wrong
//         in them becomes a reward.
// Method: traces that tools/robots_peer.py wrote with Gymnasium 1.4.0 (worlds/testdata); identities between
//         robots, such as a delayed action and a later one; falls whose speed a formula gives; states that no
//         robot has. Skipped, saying so, where this was built without MuJoCo.
#include <unistd.h>

#include "core/thread.h"
#include "env/manifest.h"
#include "worlds/robots_trace.h"

static const char *const names[] = {"hopper", "half-cheetah", "walker2d", "ant"};

typedef struct fixture {
    mg_arena       arena;
    mg_robot_world world;
    mg_env         env;
} fixture;

static void open_robot(fixture *f, const char *name, int version, const mg_shift *shift) {
    mg_env_close(&f->env);
    mg_robot_close(&f->world);
    if (mg_robot_open(&f->world, name, version, shift, NULL)) fail_msg("%s", mg_err_detail());
    assert_int_equal(mg_env_open(&f->env, mg_robot_class(name, version), &f->world, &f->arena), MG_OK);
}

static int setup(void **state) {
    static fixture f;
    f = (fixture){0};
    assert_int_equal(mg_arena_init(&f.arena, "test", 16 << 20), MG_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    mg_env_close(&f->env);
    mg_robot_close(&f->world);
    mg_arena_release(&f->arena);
    return 0;
}

static mg_value begin(mg_env *e, uint64_t seed) {
    mg_value seen;
    assert_int_equal(e->class->reset(e, seed, &(mg_reset_options){.item = -1}, 0, &seen), MG_OK);
    return seen;
}

static mg_err act(mg_env *e, const float *action, mg_transition *t) {
    const mg_value chosen = {.kind = MG_SPACE_VECTOR, .vector = action};
    return e->class->step(e, &chosen, 0, t);
}

static const double *shown(const fixture *f) { return ((const mg_robot_state *)f->env.state)->observation; }

static void draw(mg_rng *rng, float *action) {
    for (int i = 0; i < MG_ROBOT_ACTION_N_MAX; i++) action[i] = (float)(2 * mg_rng_uniform(rng) - 1);
}

static void recorded_traces_come_out_again(void **state) {
    fixture *f = *state;
    char     path[256];
    int      bits = 0;
    for (int i = 0; i < 4; i++)
        for (int version = 4; version <= 5; version++)
            for (int seed = 1; seed <= 3; seed++) {
                snprintf(path, sizeof path, "worlds/testdata/%s-v%d-%d.trace", names[i], version, seed);
                bits += trace_play(path, &f->arena);
            }
    print_message("%d of 24 traces compared to the bit, the rest to 1e-9\n", bits);
}

static void starts_are_gymnasiums_distributions(void **state) {
    fixture *f = *state;
    double   sum = 0, squares = 0, most = 0;
    open_robot(f, "hopper", 5, NULL);
    for (uint64_t seed = 0; seed < 500; seed++) {
        begin(&f->env, seed);
        for (int i = 0; i < 11; i++) {
            const double off = shown(f)[i] - (i == 0 ? 1.25 : 0);
            most             = fmax(most, fabs(off));
            sum += off;
        }
    }
    assert_true(most <= 5e-3 && most > 4.99e-3);
    assert_true(fabs(sum / 5500) < 5 * 5e-3 / sqrt(3) / sqrt(5500));
    open_robot(f, "half-cheetah", 5, NULL);
    for (uint64_t seed = 0; seed < 500; seed++) {
        begin(&f->env, seed);
        for (int i = 0; i < 8; i++) assert_true(fabs(shown(f)[i]) <= 0.1);
        for (int i = 8; i < 17; i++) squares += shown(f)[i] * shown(f)[i];
    }
    // The mean of 4500 squares of N(0, 0.1): 0.01, with deviation 0.01 sqrt(2 / 4500).
    assert_true(fabs(squares / 4500 - 0.01) < 5 * 0.01 * sqrt(2 / 4500.0));
}

static void a_restored_snapshot_goes_on_as_the_original(void **state) {
    fixture       *f     = *state;
    const mg_shift later = {1, 1, 1, 3};
    for (int i = 0; i < 4; i++) {
        mg_rng        rng = mg_rng_stream(7, MG_PURPOSE_TEST, (uint64_t)i), then;
        void         *bytes;
        size_t        n;
        mg_value      seen;
        mg_transition t;
        float         action[MG_ROBOT_ACTION_N_MAX];
        uint8_t       at[32], back[32], end[2][32];
        double        paid[2] = {0};
        open_robot(f, names[i], 5, &later); // with actions under way
        begin(&f->env, 3);
        for (int k = 0; k < 5; k++) draw(&rng, action), assert_int_equal(act(&f->env, action, &t), MG_OK);
        assert_int_equal(f->env.class->snapshot(&f->env, &f->arena, &bytes, &n), MG_OK);
        mg_env_digest(&f->env, at);
        const float first = t.observation.vector[0];
        then              = rng;
        for (int round = 0; round < 2; round++) {
            rng = then;
            for (int k = 0; k < 5; k++) {
                draw(&rng, action), assert_int_equal(act(&f->env, action, &t), MG_OK);
                paid[round] += t.reward.value;
            }
            mg_env_digest(&f->env, end[round]);
            if (round) break;
            begin(&f->env, 4);
            assert_int_equal(f->env.class->restore(&f->env, bytes, n, &seen), MG_OK);
            mg_env_digest(&f->env, back);
            assert_memory_equal(at, back, 32);
            assert_true(seen.vector[0] == first);
        }
        assert_memory_equal(end[0], end[1], 32);
        assert_memory_not_equal(at, end[0], 32);
        assert_true(paid[0] == paid[1]);
        assert_int_equal(f->env.class->restore(&f->env, bytes, n - 1, &seen), MG_CORRUPT);
    }
}

static void equal_seeds_and_actions_are_equal_states(void **state) {
    fixture      *f = *state;
    uint8_t       digest[3][32];
    mg_transition t;
    mg_value      action;
    open_robot(f, "walker2d", 5, NULL);
    for (int round = 0; round < 3; round++) {
        mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
        begin(&f->env, round < 2 ? 7 : 8);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(mg_env_script(f->env.class, "random")->act(&f->env, &rng, &action), MG_OK);
            assert_int_equal(f->env.class->step(&f->env, &action, 0, &t), MG_OK);
        }
        mg_env_digest(&f->env, digest[round]);
        assert_int_equal(act(&f->env, action.vector, &t), MG_OK); // what came before must not matter
    }
    assert_memory_equal(digest[0], digest[1], 32);
    assert_memory_not_equal(digest[0], digest[2], 32);
}

// ---- plants that are not the published one; the third traces are of one, mass included

// Of a half-cheetah high in the air, whose root has neither damping nor armature: vertical speed after one step.
static double falls_at(fixture *f, const mg_shift *shift) {
    const double  at[9] = {0, 5}, still[9] = {0};
    const float   nothing[6] = {0};
    mg_value      seen;
    mg_transition t;
    open_robot(f, "half-cheetah", 5, shift);
    assert_int_equal(mg_robot_place(&f->env, at, 9, still, 9, &seen), MG_OK);
    assert_int_equal(act(&f->env, nothing, &t), MG_OK);
    return shown(f)[9];
}

static void gravity_is_scaled(void **state) {
    // The centre of mass falls with g; the root swings a little as the legs, on springs at rest, do not move.
    assert_true(fabs(falls_at(*state, NULL) + 9.81 * 0.05) < 1e-6);
    assert_true(fabs(falls_at(*state, &(mg_shift){1, 1, 0.25, 0}) + 9.81 * 0.05 / 4) < 1e-6);
    assert_true(fabs(falls_at(*state, &(mg_shift){3, 1, 1, 0}) + 9.81 * 0.05) < 1e-6); // as it does for any mass
}

// How far an ant slides in thirty steps, its legs limp, from 3 m/s.
static double slides(fixture *f, double friction) {
    const double  at[15] = {0, 0, 0.75, 1}, speeds[14] = {3};
    const float   nothing[8] = {0};
    mg_value      seen;
    mg_transition t;
    double        metres = 0;
    open_robot(f, "ant", 4, &(mg_shift){1, friction, 1, 0});
    assert_int_equal(mg_robot_place(&f->env, at, 15, speeds, 14, &seen), MG_OK);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(act(&f->env, nothing, &t), MG_OK);
        metres += (t.reward.value - 1) * 0.05; // the reward is the speed, and 1
        if (t.terminated) break;
    }
    return metres;
}

static void friction_is_scaled(void **state) {
    const double less = slides(*state, 0.1), as_published = slides(*state, 1);
    print_message("an ant slides %.2f m, with a tenth of the friction %.2f m\n", as_published, less);
    assert_true(less > 1.3 * as_published);
}

static void a_delayed_action_is_a_later_one(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        float         actions[12][MG_ROBOT_ACTION_N_MAX] = {0};
        mg_rng        rng = mg_rng_stream(5, MG_PURPOSE_TEST, (uint64_t)i);
        double        wanted[12];
        mg_transition t;
        for (int k = 0; k < 12; k++) draw(&rng, actions[k]);
        open_robot(f, names[i], 5, NULL);
        begin(&f->env, 1);
        for (int k = 0; k < 12; k++) {
            static const float none[MG_ROBOT_ACTION_N_MAX];
            assert_int_equal(act(&f->env, k < 3 ? none : actions[k - 3], &t), MG_OK);
            wanted[k] = t.reward.value;
        }
        open_robot(f, names[i], 5, &(mg_shift){1, 1, 1, 3});
        begin(&f->env, 1);
        for (int k = 0; k < 12; k++) {
            assert_int_equal(act(&f->env, actions[k], &t), MG_OK);
            assert_true(t.reward.value == wanted[k]);
        }
    }
}

static void any_shift_gives_numbers_or_says_that_it_blew_up(void **state) {
    fixture *f = *state;
    int      blown = 0, steps = 0;
    for (int round = 0; round < 40; round++) {
        mg_rng         rng   = mg_rng_stream(11, MG_PURPOSE_TEST, (uint64_t)round);
        const mg_shift shift = {pow(10, 2 * mg_rng_uniform(&rng) - 1), pow(10, 2 * mg_rng_uniform(&rng) - 1),
                                pow(10, 2 * mg_rng_uniform(&rng) - 1), (int64_t)mg_rng_below(&rng, 17)};
        float          action[MG_ROBOT_ACTION_N_MAX];
        mg_transition  t = {.terminated = true};
        open_robot(f, names[round % 4], 4 + round / 4 % 2, &shift);
        for (int i = 0; i < 100; i++, steps++) {
            if (t.terminated) begin(&f->env, (uint64_t)i);
            draw(&rng, action);
            const mg_err err = act(&f->env, action, &t);
            if (err) {
                assert_int_equal(err, MG_NUMERIC);
                blown++;
                break;
            }
            assert_int_equal(t.reward.kind, MG_REWARD_VALUE);
            for (int k = 0; k < f->env.class->observation.n; k++) assert_true(isfinite(t.observation.vector[k]));
        }
    }
    print_message("%d steps on 40 plants, of which %d blew up\n", steps, blown);
    assert_true(blown <= 2);
}

// ---- standing and falling

// A robot of changed files: without gravity, contacts and limits of joints it stays as it is placed.
static void open_still(fixture *f, const char *name, int version, const char *file) {
    char folder[] = "/tmp/mg-robots-XXXXXX", line[8192];
    mg_env_close(&f->env);
    mg_robot_close(&f->world);
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof line,
             "cd %s && mkdir assets && ln -s %s/libmujoco.so . && sed -e 's/limited=\"true\"/limited=\"false\"/' -e "
             "'s/<option \\([^>]*\\)\\/>/<option \\1 gravity=\"0 0 0\"><flag contact=\"disable\"\\/><\\/option>/' "
             "%s/assets/%s > assets/%s",
             folder, mg_mujoco_folder(NULL), mg_mujoco_folder(NULL), file, file);
    assert_int_equal(system(line), 0);
    if (mg_robot_open(&f->world, name, version, NULL, folder)) fail_msg("%s", mg_err_detail());
    snprintf(line, sizeof line, "rm -r %s", folder);
    assert_int_equal(system(line), 0);
    assert_int_equal(mg_env_open(&f->env, mg_robot_class(name, version), &f->world, &f->arena), MG_OK);
}

// Whether a robot at these positions, in which number k of positions or speeds is x, stands after a step.
static bool stands_with(fixture *f, const double *at, bool speed, int k, double x) {
    static const float nothing[MG_ROBOT_ACTION_N_MAX];
    double             qpos[MG_ROBOT_STATE_MAX], qvel[MG_ROBOT_STATE_MAX] = {0};
    int64_t            nq, nv;
    mg_value           seen;
    mg_transition      t;
    mg_robot_sizes(&f->world, &nq, &nv);
    memcpy(qpos, at, (size_t)nq * sizeof *qpos);
    *(speed ? &qvel[k] : &qpos[k]) = x;
    assert_int_equal(mg_robot_place(&f->env, qpos, nq, qvel, nv, &seen), MG_OK);
    if (act(&f->env, nothing, &t)) fail_msg("%s", mg_err_detail());
    return !t.terminated;
}

// Bounds of Gymnasium's healthy_state_range, healthy_z_range and healthy_angle_range; number 0 is x.
static void a_hopper_stands_within_its_bounds(void **state) {
    fixture     *f     = *state;
    const double at[6] = {0, 5};
    for (int version = 4; version <= 5; version++) {
        open_still(f, "hopper", version, "hopper.xml");
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int k = 3; k < 6; k++) {
                assert_true(stands_with(f, at, false, k, sign * 99.5));
                assert_false(stands_with(f, at, false, k, sign * 100.5));
            }
            for (int k = 0; k < 2; k++) {
                assert_true(stands_with(f, at, true, k, sign * 99.5));
                assert_false(stands_with(f, at, true, k, sign * 100.5));
            }
            assert_true(stands_with(f, at, false, 0, sign * 500.0));
            assert_true(stands_with(f, at, false, 2, sign * 0.199));
            assert_false(stands_with(f, at, false, 2, sign * 0.201));
        }
        assert_true(stands_with(f, at, false, 1, 0.701) && stands_with(f, at, false, 1, 500));
        assert_false(stands_with(f, at, false, 1, 0.7));
    }
}

static void a_walker_and_an_ant_stand_within_their_bounds(void **state) {
    fixture     *f     = *state;
    const double walker[9] = {0, 1.25}, ant[15] = {0, 0, 0.75, 1};
    for (int version = 4; version <= 5; version++) {
        open_still(f, "walker2d", version, version == 4 ? "walker2d.xml" : "walker2d_v5.xml");
        assert_true(stands_with(f, walker, false, 1, 0.801) && stands_with(f, walker, false, 1, 1.999));
        assert_false(stands_with(f, walker, false, 1, 0.8) || stands_with(f, walker, false, 1, 2.0));
        for (int sign = -1; sign <= 1; sign += 2) {
            assert_true(stands_with(f, walker, false, 2, sign * 0.999));
            assert_false(stands_with(f, walker, false, 2, sign * 1.001));
            assert_true(stands_with(f, walker, false, 4, sign * 150.0)); // it has no bound of its state
        }
        open_still(f, "ant", version, "ant.xml"); // its ends count as standing
        assert_true(stands_with(f, ant, false, 2, 0.2) && stands_with(f, ant, false, 2, 1.0));
        assert_false(stands_with(f, ant, false, 2, 0.1999) || stands_with(f, ant, false, 2, 1.0001));
    }
}

// ---- what goes wrong

static void a_blow_up_is_a_fault_and_no_reward(void **state) {
    fixture          *f = *state;
    static const double bad[] = {NAN, INFINITY, 1e11, 1e5};
    const float       nothing[MG_ROBOT_ACTION_N_MAX] = {0};
    for (int i = 0; i < 4; i++)
        for (size_t b = 0; b < 2 * sizeof bad / sizeof *bad; b++) {
            double        at[16] = {0, 1.25, 0.5, 1}, speeds[16] = {0};
            int64_t       nq, nv;
            mg_value      seen;
            mg_transition t = {.reward = {.reason = "untouched"}};
            open_robot(f, names[i], 4, NULL);
            mg_robot_sizes(&f->world, &nq, &nv);
            if (b % 2) speeds[0] = bad[b / 2];
            else if (bad[b / 2] == 1e5) continue; // a position as good as any
            else at[nq - 1] = bad[b / 2];
            assert_int_equal(mg_robot_place(&f->env, at, nq, speeds, nv, &seen), MG_OK);
            assert_int_equal(act(&f->env, nothing, &t), MG_NUMERIC);
            assert_string_equal(f->env.fault, "E.step");
            assert_non_null(strstr(mg_err_detail(), names[i]));
            assert_string_equal(t.reward.reason, "untouched");
            assert_int_equal(act(&f->env, nothing, &t), MG_CONFIG); // and it is over
            assert_string_equal(t.reward.reason, "untouched");
            begin(&f->env, 0);
            assert_null(f->env.fault);
        }
    assert_int_equal(access("MUJOCO_LOG.TXT", F_OK), -1);
}

static void gives_up(void *context) {
    const mg_robot_world *w = context;
    w->mujoco.mj_stateSize(w->model, 1 << 30); // there is no such state
}

static void what_mujoco_gives_up_on_comes_back_as_an_error(void **state) {
    fixture *f = *state;
    open_robot(f, "hopper", 5, NULL);
    assert_int_equal(mg_mujoco_try(gives_up, &f->world), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "MuJoCo: "));
    begin(&f->env, 0);
    assert_int_equal(access("MUJOCO_LOG.TXT", F_OK), -1);
}

static void wrong_use_is_an_error(void **state) {
    fixture               *f = *state;
    mg_value               seen;
    mg_transition          t;
    const mg_reset_options prefix = {.item = -1, .prefix = "x", .prefix_size = 1};
    float                  action[3] = {0};
    open_robot(f, "hopper", 5, NULL);
    assert_int_equal(act(&f->env, action, &t), MG_CONFIG); // no reset yet
    begin(&f->env, 0);
    action[2] = NAN;
    assert_int_equal(act(&f->env, action, &t), MG_CONFIG);
    assert_string_equal(mg_err_detail(), "hopper: action[2]: found nan, wanted a number in [-100, 100]");
    action[2] = -INFINITY;
    assert_int_equal(act(&f->env, action, &t), MG_CONFIG);
    action[2] = 101;
    assert_int_equal(act(&f->env, action, &t), MG_CONFIG);
    action[2] = 0;
    assert_int_equal(f->env.class->reset(&f->env, 0, &prefix, 0, &seen), MG_CONFIG);
    assert_int_equal(mg_robot_place(&f->env, (double[5]){0}, 5, (double[6]){0}, 6, &seen), MG_CONFIG);
    // Lying on the floor it is over, and stays so.
    assert_int_equal(mg_robot_place(&f->env, (double[6]){0, 0.5}, 6, (double[6]){0}, 6, &seen), MG_OK);
    assert_int_equal(act(&f->env, action, &t), MG_OK);
    assert_true(t.terminated && !t.truncated);
    assert_int_equal(act(&f->env, action, &t), MG_CONFIG);
}

static void a_world_that_cannot_be_had_says_why(void **state) {
    (void)state;
    char           folder[] = "/tmp/mg-robots-XXXXXX", path[4096], target[4096];
    mg_robot_world w;
    assert_int_equal(mg_robot_open(&w, "humanoid", 5, NULL, NULL), MG_CONFIG);
    assert_int_equal(mg_robot_open(&w, "ant", 3, NULL, NULL), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "'ant' version 3, wanted hopper"));
    assert_int_equal(mg_robot_open(&w, "ant", 5, &(mg_shift){1, 0, 1, 0}, NULL), MG_CONFIG);
    assert_int_equal(mg_robot_open(&w, "ant", 5, &(mg_shift){NAN, 1, 1, 0}, NULL), MG_CONFIG);
    assert_int_equal(mg_robot_open(&w, "ant", 5, &(mg_shift){1, 1, 1, 17}, NULL), MG_CONFIG);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mg_robot_open(&w, "ant", 5, NULL, folder), MG_UNSUPPORTED); // no library
    assert_non_null(strstr(mg_err_detail(), "tools/mujoco.sh"));
    snprintf(path, sizeof path, "%s/libmujoco.so", folder);
    snprintf(target, sizeof target, "%s/libmujoco.so", mg_mujoco_folder(NULL));
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(mg_robot_open(&w, "ant", 5, NULL, folder), MG_IO); // no MJCF file
    assert_non_null(strstr(mg_err_detail(), "/assets/ant.xml"));
    assert_non_null(strstr(mg_err_detail(), "tools/mujoco.sh"));
    snprintf(target, sizeof target, "mkdir %s/assets && echo '<mujoco><worldbody/>' > %s/assets/ant.xml", folder,
             folder);
    assert_int_equal(system(target), 0);
    assert_int_equal(mg_robot_open(&w, "ant", 5, NULL, folder), MG_CORRUPT); // it ends too early
    snprintf(target, sizeof target, "echo '<mujoco><worldbody/></mujoco>' > %s/assets/ant.xml", folder);
    assert_int_equal(system(target), 0);
    assert_int_equal(mg_robot_open(&w, "ant", 5, NULL, folder), MG_MISMATCH); // another robot's
    snprintf(target, sizeof target, "rm -r %s", folder);
    assert_int_equal(system(target), 0);
}

static void returns_stay_in_the_manifests_bounds(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 8; i++) {
        mg_manifest   m;
        mg_transition t;
        float         action[MG_ROBOT_ACTION_N_MAX];
        double        all = 0;
        open_robot(f, names[i / 2], 4 + i % 2, NULL);
        const char *text = f->env.class->manifest(&f->env);
        assert_int_equal(mg_manifest_read(text, strlen(text), &f->arena, &m), MG_OK);
        assert_string_equal(m.name, names[i / 2]);
        assert_true(m.has_range && mg_manifest_action(&m, "torques"));
        for (int k = 0; k < MG_ROBOT_ACTION_N_MAX; k++) action[k] = k % 2 ? -100 : 100; // the dearest there are
        begin(&f->env, 0);
        for (int k = 0; k < MG_ROBOT_STEPS; k++) {
            assert_int_equal(act(&f->env, action, &t), MG_OK);
            all += t.reward.value;
            if (t.terminated) break;
        }
        assert_true(all >= m.min && all <= m.max);
        mg_manifest_release(&m);
    }
}

// ---- many at once

typedef struct flock {
    const mg_robot_world *world;
    mg_env                envs[8];
} flock;

static void play(void *context, int64_t piece, int worker) {
    flock        *k   = context;
    mg_env       *e   = &k->envs[piece];
    mg_rng        rng = mg_rng_stream(2, MG_PURPOSE_TEST, (uint64_t)piece);
    mg_transition t   = {.terminated = true};
    float         action[MG_ROBOT_ACTION_N_MAX];
    (void)worker;
    for (int i = 0; i < 150; i++) {
        if (t.terminated) begin(e, (uint64_t)(1000 * piece + i));
        draw(&rng, action);
        assert_int_equal(act(e, action, &t), MG_OK);
    }
}

static void on_threads_they_move_as_one_by_one(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        flock    k = {.world = &f->world};
        uint8_t  alone[8][32], together[32];
        mg_team *team;
        open_robot(f, names[i], 5, NULL);
        for (int n = 0; n < 8; n++)
            assert_int_equal(mg_env_open(&k.envs[n], mg_robot_class(names[i], 5), k.world, &f->arena), MG_OK);
        mg_team_run(NULL, play, &k, 8);
        for (int n = 0; n < 8; n++) mg_env_digest(&k.envs[n], alone[n]);
        assert_memory_not_equal(alone[0], alone[1], 32);
        assert_int_equal(mg_team_open(&team, 2), MG_OK);
        mg_team_run(team, play, &k, 8);
        mg_team_close(team);
        for (int n = 0; n < 8; n++) {
            mg_env_digest(&k.envs[n], together);
            assert_memory_equal(alone[n], together, 32);
            mg_env_close(&k.envs[n]);
        }
    }
}

int main(void) {
    mg_robot_world w;
    if (mg_robot_open(&w, "hopper", 5, NULL, NULL) == MG_UNSUPPORTED && strstr(mg_err_detail(), "built without")) {
        fprintf(stderr, "not tested: %s\n", mg_err_detail());
        return 77; // Meson's word for skipped
    }
    mg_robot_close(&w);
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(recorded_traces_come_out_again),
        TEST(starts_are_gymnasiums_distributions),
        TEST(a_restored_snapshot_goes_on_as_the_original),
        TEST(equal_seeds_and_actions_are_equal_states),
        TEST(gravity_is_scaled),
        TEST(friction_is_scaled),
        TEST(a_delayed_action_is_a_later_one),
        TEST(any_shift_gives_numbers_or_says_that_it_blew_up),
        TEST(a_hopper_stands_within_its_bounds),
        TEST(a_walker_and_an_ant_stand_within_their_bounds),
        TEST(a_blow_up_is_a_fault_and_no_reward),
        TEST(what_mujoco_gives_up_on_comes_back_as_an_error),
        TEST(wrong_use_is_an_error),
        TEST(a_world_that_cannot_be_had_says_why),
        TEST(returns_stay_in_the_manifests_bounds),
        TEST(on_threads_they_move_as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
