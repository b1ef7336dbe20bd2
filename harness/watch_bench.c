// watch_bench.c - what a step costs under the watch, and an attempt under the gate.
//
// Prints nanoseconds per step: the median of REPEATS runs, the smallest and the largest. Episodes
// are clean, of TURNS turns, and pass through watch, verdict and gate, as they do in process.
// Three kinds: a physics step (no evidence, numbers as observation), a call with evidence and a
// text, and the same with arguments that are checked against their schema.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/gate.h"
#include "harness/watch.h"

enum { REPEATS = 31, EPISODES = 2000, TURNS = 8 };

static const char MANIFEST[] =
    "{\"name\": \"b\", \"reward\": {\"min\": 0, \"max\": 1, \"resolution\": 0.01}, \"actions\": ["
    "{\"name\": \"get\", \"effect\": \"pure\", \"reads\": [\"k/*\"], \"timeout_ms\": 100,"
    "  \"schema\": {\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\", "
    "\"minimum\": 0}},"
    "  \"required\": [\"n\"], \"additionalProperties\": false}},"
    "{\"name\": \"put\", \"effect\": \"mutating\", \"writes\": [\"k/*\"], \"timeout_ms\": 100}]}";

static const mg_touch READ = {.key = "k/1", .shown = 7, .before = 7, .after = 7};
static const mg_touch WROTE = {.key = "k/1", .wrote = true, .shown = 7, .before = 6, .after = 7};
static const char SEEN[] =
    "Record 17: three items, sent on Monday to the address on file; one of them came back on "
    "Thursday and "
    "lies on the shelf. The customer has written two times since and asks where the rest is. "
    "Notes: none. "
    "Status: open. Last change: Friday, by the night shift, who left no remark about it at all.";

static mg_transition physics(int turn) {
    (void)turn;
    return (mg_transition){.observation = {.kind = MG_SPACE_VECTOR}, .reward = mg_reward_of(0.01)};
}

static mg_transition call(int turn, const char *arguments) {
    return (mg_transition){
        .observation = {.kind = MG_SPACE_TEXT, .text = SEEN, .size = sizeof SEEN - 1},
        .reward = mg_reward_of(0.01),
        .evidence = {.action = turn % 2 ? "put" : "get",
                     .arguments = arguments,
                     .status = MG_STATUS_OK,
                     .touched = turn % 2 ? &WROTE : &READ,
                     .n_touched = 1,
                     .took_ns = 5000000,
                     .conditions = 3,
                     .held = 3,
                     .owed = mg_reward_of(0.01)}};
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Nanoseconds per step of EPISODES episodes.
static double run(int kind, const mg_manifest *m, mg_gate *g) {
    static mg_watch w;
    static mg_turn  turns[TURNS];
    const uint8_t   digest[32] = {0};
    const double    begun      = seconds();
    for (int i = 0; i < EPISODES; i++) {
        mg_episode e = {.turns = turns, .n_turns = TURNS};
        mg_watch_begin(&w, kind == 0 ? NULL : m);
        mg_watch_reset(&w, digest, digest);
        for (int k = 0; k < TURNS; k++) {
            const mg_transition t =
                kind == 0 ? physics(k) : call(k, kind == 2 ? "{\"n\": 17}" : NULL);
            mg_watch_step(&w, &t, k);
            turns[k].reward = t.reward, turns[k].evidence = t.evidence;
        }
        const mg_reward total = mg_episode_return(&e);
        mg_watch_end(&w, true, true, &total);
        mg_watch_verdict(&w, &e);
        if (mg_gate_attempt(g, &e) != MG_ADMIT)
            fprintf(stderr, "not clean: %s\n", e.detail), abort();
    }
    return 1e9 * (seconds() - begun) / ((double)EPISODES * TURNS);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    static const char *const kinds[] = {"physics step", "call with evidence and 290 bytes of text",
                                        "the same, arguments checked"};
    static mg_gate       g;
    mg_manifest          m;
    mg_arena             arena;
    const mg_gate_config config = {.rate_max = 0.05, .alpha = 0.05, .breaker = 5, .retries = 2,
                                   .group_min = 2, .group_share = 0.75, .on_trip = "stop"};
    if (mg_arena_init(&arena, "manifest", 1 << 20) ||
        mg_manifest_read(MANIFEST, sizeof MANIFEST - 1, &arena, &m)) {
        fprintf(stderr, "%s\n", mg_err_detail());
        return 3;
    }
    for (int kind = 0; kind < 3; kind++) {
        double ns[REPEATS];
        mg_gate_init(&g, &config);
        for (int i = 0; i < REPEATS; i++) ns[i] = run(kind, &m, &g);
        qsort(ns, REPEATS, sizeof *ns, ascending);
        printf("%-44s %7.0f ns per step (%d runs of %d steps: %.0f to %.0f)\n", kinds[kind],
               ns[REPEATS / 2], REPEATS, EPISODES * TURNS, ns[0], ns[REPEATS - 1]);
    }
    mg_manifest_release(&m);
    mg_arena_release(&arena);
    return 0;
}
