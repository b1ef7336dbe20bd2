// robots_trace.h - playing Gymnasium's traces again (tools/robots_peer.py), for robots_test.c and
// robots_peer_test.c.
//
// Where library, libc and processor are those of the trace, every step's observation, reward and end are
// compared to the bit. Where one of them is another, trajectories drift apart within a few dozen steps, as
// contacts are chaotic; then single steps from recorded states are compared to 1e-9.
#ifndef MG_WORLDS_ROBOTS_TRACE_H
#define MG_WORLDS_ROBOTS_TRACE_H
#include <gnu/libc-version.h>
#include <math.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worlds/robots.h"

// SplitMix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
static inline double trace_uniform(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z          = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z          = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static inline uint64_t trace_hash(uint64_t h, const void *bytes, size_t n) { // FNV-1a; begins with 0
    if (h == 0) h = 0xCBF29CE484222325;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3;
    return h;
}

static inline uint32_t trace_fold(uint64_t h) { return (uint32_t)(h ^ h >> 32); }

typedef struct trace {
    const char    *path;
    FILE          *file;
    char           robot[32];
    int            version, steps, singles;
    uint64_t       draws;
    double         scale, noise, qpos0[16];
    mg_robot_world world;
    mg_env         env;
    int64_t        nq, nv, shown, nu;
} trace;

static inline void trace_fingerprint(char out[256]) {
    static unsigned char bytes[32 << 20];
    unsigned char        digest[32];
    char                 path[4096];
    snprintf(path, sizeof path, "%s/libmujoco.so", mg_mujoco_folder(NULL));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n > 0 && n < sizeof bytes);
    SHA256(bytes, n, digest);
    out += sprintf(out, "library ");
    for (int i = 0; i < 32; i++) out += sprintf(out, "%02x", digest[i]);
    const char *fma  = __builtin_cpu_supports("fma") ? "fma+" : "";
    const char *avx2 = __builtin_cpu_supports("avx2") ? "avx2+" : "",
               *wide = __builtin_cpu_supports("avx512f") ? "avx512f+" : "";
    out += sprintf(out, " libc %s processor %s%s%s", gnu_get_libc_version(), fma, avx2, wide);
    out[-1] = 0; // the last +
}

static inline void trace_numbers(trace *t, double *to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (fscanf(t->file, "%la", &to[i]) != 1) fail_msg("%s: found no number, wanted one", t->path);
}

static inline const float *trace_action(trace *t) {
    static float action[MG_ROBOT_ACTION_N_MAX];
    for (int i = 0; i < t->nu; i++) action[i] = (float)(t->scale * (2 * trace_uniform(&t->draws) - 1));
    return action;
}

static inline void trace_start(trace *t) {
    double   at[16], speeds[16];
    mg_value seen;
    for (int i = 0; i < t->nq; i++) {
        volatile double off = t->noise * (2 * trace_uniform(&t->draws) - 1); // not fused into the sum
        at[i]               = t->qpos0[i] + off;
    }
    for (int i = 0; i < t->nv; i++) speeds[i] = t->noise * (2 * trace_uniform(&t->draws) - 1);
    if (mg_robot_place(&t->env, at, t->nq, speeds, t->nv, &seen)) fail_msg("%s: %s", t->path, mg_err_detail());
}

static inline mg_transition trace_step(trace *t, const float *action) {
    const mg_value chosen = {.kind = MG_SPACE_VECTOR, .vector = action, .size = (size_t)t->nu};
    mg_transition  out;
    if (t->env.class->step(&t->env, &chosen, 0, &out)) fail_msg("%s: %s", t->path, mg_err_detail());
    return out;
}

static inline void trace_bits(trace *t, bool compared) {
    const mg_robot_state *s = t->env.state;
    char                  line[64];
    uint32_t              wanted;
    if (fscanf(t->file, " start %x ", &wanted) != 1) fail_msg("%s: found no start", t->path);
    trace_start(t);
    const size_t size = (size_t)t->shown * sizeof(double);
    if (compared) assert_true(wanted == trace_fold(trace_hash(0, s->observation, size)));
    for (int i = 0; i < t->steps; i++) {
        if (!fgets(line, sizeof line, t->file)) fail_msg("%s: ends at step %d", t->path, i);
        wanted         = (uint32_t)strtoul(line, NULL, 16);
        const bool end = strstr(line, "end");
        if (!compared) continue;
        const mg_transition out   = trace_step(t, trace_action(t));
        const uint64_t      both  = trace_hash(trace_hash(0, s->observation, size), &out.reward.value, sizeof(double));
        const uint32_t      found = trace_fold(both);
        if (found != wanted || out.terminated != end)
            fail_msg("%s: step %d: found %08x%s, wanted %08x%s", t->path, i, found, out.terminated ? " end" : "",
                     wanted, end ? " end" : "");
        for (int k = 0; k < t->shown; k++) assert_true(out.observation.vector[k] == (float)s->observation[k]);
        if (end) trace_start(t);
    }
}

static inline void trace_singles(trace *t, bool bits) {
    const mg_robot_state *s = t->env.state;
    for (int i = 0; i < t->singles; i++) {
        double   at[16], speeds[16], chosen[MG_ROBOT_ACTION_N_MAX], wanted[MG_ROBOT_OBSERVATION_MAX], paid, end;
        float    action[MG_ROBOT_ACTION_N_MAX];
        mg_value seen;
        if (fscanf(t->file, " single %n", &(int){0}) == EOF) fail_msg("%s: ends at single step %d", t->path, i);
        trace_numbers(t, at, t->nq), trace_numbers(t, speeds, t->nv), trace_numbers(t, chosen, t->nu);
        trace_numbers(t, wanted, t->shown), trace_numbers(t, &paid, 1), trace_numbers(t, &end, 1);
        for (int k = 0; k < t->nu; k++) action[k] = (float)chosen[k];
        assert_int_equal(mg_robot_place(&t->env, at, t->nq, speeds, t->nv, &seen), MG_OK);
        const mg_transition out = trace_step(t, action);
        assert_int_equal(out.terminated, end != 0);
        for (int k = 0; k < t->shown; k++) {
            const double off = fabs(s->observation[k] - wanted[k]);
            if (bits ? off != 0 : !(off <= 1e-9 * fmax(1, fabs(wanted[k]))))
                fail_msg("%s: single step %d, number %d: found %.17g, wanted %.17g", t->path, i, k, s->observation[k],
                         wanted[k]);
        }
        const double off = fabs(out.reward.value - paid);
        assert_true(bits ? off == 0 : off <= 1e-9 * fmax(1, fabs(paid)));
    }
}

// Plays one file; true: its bits were compared.
static inline bool trace_play(const char *path, mg_arena *arena) {
    trace         t    = {.path = path, .file = fopen(path, "r")};
    char          here[256], there[256];
    unsigned long seed;
    mg_shift      shift;
    if (!t.file) fail_msg("%s: found no such file", path);
    if (fscanf(t.file, "robot %31s %d seed %lu scale %la noise %la steps %d singles %d ", t.robot, &t.version, &seed,
               &t.scale, &t.noise, &t.steps, &t.singles) != 7 ||
        fscanf(t.file, "mass %la friction %la gravity %la delay %ld ", &shift.mass, &shift.friction, &shift.gravity,
               &shift.action_delay) != 4 || !fgets(there, sizeof there, t.file))
        fail_msg("%s: found no trace of a robot", path);
    t.draws                        = seed;
    there[strcspn(there, "\n")]    = 0;
    trace_fingerprint(here);
    const bool same = strcmp(here, there) == 0;
    if (mg_robot_open(&t.world, t.robot, t.version, &shift, NULL)) fail_msg("%s", mg_err_detail());
    const mg_env_class *class = mg_robot_class(t.robot, t.version);
    assert_int_equal(mg_env_open(&t.env, class, &t.world, arena), MG_OK);
    mg_robot_sizes(&t.world, &t.nq, &t.nv);
    t.shown = class->observation.n, t.nu = class->action.n;
    if (fscanf(t.file, "qpos0 %n", &(int){0}) == EOF) fail_msg("%s: found no start", path);
    trace_numbers(&t, t.qpos0, t.nq);
    trace_bits(&t, same);
    trace_singles(&t, same);
    mg_env_close(&t.env);
    mg_robot_close(&t.world);
    fclose(t.file);
    if (!same) print_message("%s: made with\n  %s, this is\n  %s: compared to 1e-9\n", path, there, here);
    return same;
}
#endif
