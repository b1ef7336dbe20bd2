// bench_harness.c - what keeping watch and keeping a record cost, and starting the program.
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/bench.h"
#include "core/log.h"
#include "harness/watch.h"
#include "harness/gate.h"
#include "store/store.h"

// ---- A step under the watch
//
// Episodes are clean, of TURNS turns, and pass through watch, verdict and gate, as they do in process.
// Variants: a physics step (no evidence, numbers as observation), a call with evidence and a text, and
// the same with arguments that are checked against their schema.

enum { WATCHED = 20000, TURNS = 8, PHYSICS = 0, CHECKED = 2 };

static const char MANIFEST[] =
    "{\"name\": \"b\", \"reward\": {\"min\": 0, \"max\": 1, \"resolution\": 0.01}, \"actions\": ["
    "{\"name\": \"get\", \"effect\": \"pure\", \"reads\": [\"k/*\"], \"timeout_ms\": 100,"
    "  \"schema\": {\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\", "
    "\"minimum\": 0}},"
    "  \"required\": [\"n\"], \"additionalProperties\": false}},"
    "{\"name\": \"put\", \"effect\": \"mutating\", \"writes\": [\"k/*\"], \"timeout_ms\": 100}]}";

static const char SEEN[] =
    "Record 17: three items, sent on Monday to the address on file; one of them came back on Thursday and "
    "lies on the shelf. The customer has written two times since and asks where the rest is. Notes: none. "
    "Status: open. Last change: Friday, by the night shift, who left no remark about it at all.";

typedef struct watched {
    int64_t     kind;
    mg_arena    arena;
    mg_manifest manifest;
    mg_gate     gate;
    mg_watch    watch;
    mg_turn     turns[TURNS];
    mg_touch    touched[TURNS]; // read, written, read, written ...: each read sees the last write
} watched;

static mg_transition physics(void) {
    return (mg_transition){.observation = {.kind = MG_SPACE_VECTOR}, .reward = mg_reward_of(0.01)};
}

static mg_transition call(const watched *w, int turn) {
    const char *arguments = w->kind == CHECKED ? "{\"n\": 17}" : NULL;
    return (mg_transition){
        .observation = {.kind = MG_SPACE_TEXT, .text = SEEN, .size = sizeof SEEN - 1},
        .reward = mg_reward_of(0.01),
        .evidence = {.action = turn % 2 ? "put" : "get", .arguments = arguments, .status = MG_STATUS_OK,
                     .touched = &w->touched[turn], .n_touched = 1, .took_ns = 5000000,
                     .conditions = 3, .held = 3, .owed = mg_reward_of(0.01)}};
}

static void close_watch(void *context) {
    watched *w = context;
    mg_manifest_release(&w->manifest);
    mg_arena_release(&w->arena);
    free(w);
}

static mg_err open_watch(const mg_bench *b, const mg_bench_case *c, void **work) {
    const mg_gate_config config = {.rate_max = 0.05, .alpha = 0.05, .breaker = 5, .retries = 2,
                                   .group_min = 2, .group_share = 0.75, .on_trip = "stop"};
    watched *w = calloc(1, sizeof *w);
    (void)b;
    if (!w) return mg_fail(MG_NOMEM, "%s", c->name);
    w->kind = c->variant;
    for (int k = 0; k < TURNS; k++) {
        const uint64_t before = 7 + (uint64_t)k / 2, after = before + (uint64_t)k % 2;
        w->touched[k] = (mg_touch){.key = "k/1", .wrote = k % 2, .shown = after, .before = before, .after = after};
    }
    mg_gate_init(&w->gate, &config);
    mg_err err = mg_arena_init(&w->arena, "manifest", 1 << 20);
    if (!err) err = mg_manifest_read(MANIFEST, sizeof MANIFEST - 1, &w->arena, &w->manifest);
    if (err)
        close_watch(w);
    else
        *work = w;
    return err;
}

static mg_err watch_episode(watched *w) {
    static const uint8_t digest[32] = {0};
    mg_episode           e          = {.turns = w->turns, .n_turns = TURNS};
    mg_watch_begin(&w->watch, w->kind == PHYSICS ? NULL : &w->manifest);
    mg_watch_reset(&w->watch, digest, digest);
    for (int k = 0; k < TURNS; k++) {
        const mg_transition t = w->kind == PHYSICS ? physics() : call(w, k);
        mg_watch_step(&w->watch, &t, k);
        w->turns[k].reward = t.reward, w->turns[k].evidence = t.evidence;
    }
    const mg_reward total = mg_episode_return(&e);
    mg_watch_end(&w->watch, true, true, &total);
    mg_watch_verdict(&w->watch, &e);
    return mg_gate_attempt(&w->gate, &e) == MG_ADMIT ? MG_OK : mg_fail(MG_MISMATCH, "not clean: %s", e.detail);
}

// Nanoseconds a step.
static mg_err watch_once(void *context, double *value) {
    const double begun = mg_clock_seconds();
    for (int i = 0; i < WATCHED; i++) {
        const mg_err err = watch_episode(context);
        if (err) return err;
    }
    *value = 1e9 * (mg_clock_seconds() - begun) / ((double)WATCHED * TURNS);
    return MG_OK;
}

const mg_bench_work mg_bench_watch_work = {open_watch, watch_once, close_watch};

// ---- The record
//
// UPDATES updates of EPISODES episodes of TURNS calls each, with what a small tool call carries, into a
// fresh file, until all are committed: hashing, packing and writing included. WAL, synchronous = normal. By
// the time of processors that caller and writer used, the system's share included: the rate of one core,
// which does not depend on who else uses the machine.

enum { UPDATES = 10, EPISODES = 2000, TOKENS = 4 * TURNS };

typedef struct recorded {
    mg_record how;
    mg_turn   turns[TURNS];
} recorded;

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static mg_err open_record(const mg_bench *b, const mg_bench_case *c, void **work) {
    static const mg_touch touched[] = {{.key = "order/17", .wrote = true, .before = 1, .after = 2}};
    recorded *r = calloc(1, sizeof *r);
    (void)b;
    if (!r) return mg_fail(MG_NOMEM, "%s", c->name);
    r->how = (mg_record)c->variant;
    for (int i = 0; i < TURNS; i++)
        r->turns[i] = (mg_turn){
            .observation = "{\"order\": 17, \"state\": \"paid\", \"total\": 41.5}", .observation_size = 44,
            .action = "refund {\"order\": 17}", .action_size = 20, .action_begin = 4 * i + 2,
            .action_end = 4 * i + 4, .reward = mg_reward_of(0.25),
            .evidence = {.action = "refund", .arguments = "{\"order\": 17}", .status = MG_STATUS_OK,
                         .touched = touched, .n_touched = 1, .took_ns = 1000000},
            .call = {.request = (uint64_t)i + 1, .nonce = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1),
                     .intended_ns = i, .sent_ns = i + 1, .received_ns = i + 2}};
    *work = r;
    return MG_OK;
}

static mg_err record_updates(recorded *r, mg_store *s) {
    static int32_t tokens[TOKENS];
    static uint8_t role[TOKENS];
    static float   logp[TOKENS];
    mg_episode     e   = {.tokens = tokens, .role = role, .logp = logp, .n_tokens = TOKENS, .turns = r->turns,
                          .n_turns = TURNS, .terminated = true, .code_turn = -1};
    mg_err         err = mg_store_life(s, 0, "bench");
    mg_store_record(s, r->how);
    for (int64_t u = 0; u < UPDATES && !err; u++) {
        err = mg_store_begin(s, u);
        for (int64_t i = 0; i < EPISODES && !err; i++) {
            e.seed          = (uint64_t)(u * EPISODES + i);
            e.start.group   = (int32_t)(i / 8);
            e.start.episode = (uint32_t)i;
            err             = mg_store_episode(s, &e);
        }
        if (!err) err = mg_store_commit(s);
    }
    return err ? err : mg_store_wait(s);
}

// Records a second of one core.
static mg_err record_once(void *context, double *value) {
    char      folder[MG_BENCH_FOLDER_MAX], path[sizeof folder + 8];
    mg_store *s   = NULL;
    mg_err    err = mg_bench_folder_make(folder);
    if (err) return err;
    snprintf(path, sizeof path, "%s/run.db", folder);
    err = mg_store_open(&s, path);
    const double begun = processor_seconds();
    if (!err) err = record_updates(context, s);
    *value = (double)UPDATES * EPISODES * TURNS / (processor_seconds() - begun);
    const mg_err end = mg_store_close(s);
    mg_bench_folder_remove(folder);
    return err ? err : end;
}

const mg_bench_work mg_bench_record_work = {open_record, record_once, free};

// ---- Starting the program

enum { STARTS = 20 };

static mg_err open_start(const mg_bench *b, const mg_bench_case *c, void **work) {
    (void)b, (void)c;
    *work = NULL;
    return MG_OK;
}

static void close_start(void *work) { (void)work; }

static mg_err start(posix_spawn_file_actions_t *files) {
    static char *words[] = {"/proc/self/exe", "--version", NULL};
    extern char **environ;
    pid_t         pid;
    int           status = 1;
    const int     error  = posix_spawn(&pid, words[0], files, NULL, words, environ);
    if (error) return mg_fail(MG_IO, "start %s: %s", words[0], strerror(error));
    if (waitpid(pid, &status, 0) < 0 || status) return mg_fail(MG_CHILD, "start: status %d", status);
    return MG_OK;
}

// Milliseconds from asking for a process until it has ended.
static mg_err start_once(void *work, double *value) {
    posix_spawn_file_actions_t files;
    mg_err                     err = MG_OK;
    (void)work;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    const double begun = mg_clock_seconds();
    for (int i = 0; i < STARTS && !err; i++) err = start(&files);
    *value = 1e3 * (mg_clock_seconds() - begun) / STARTS;
    posix_spawn_file_actions_destroy(&files);
    return err;
}

const mg_bench_work mg_bench_start_work = {open_start, start_once, close_start};
