// store_bench.c - how many durable records of calls a second: built, not a test.
//
//   store_bench [rounds [calls per episode [updates]]]
//
// Each round writes 25 updates of 2000 episodes of 8 calls each, with what a small tool call carries,
// into a fresh file, and ends when all are committed: hashing, packing and writing included. WAL,
// synchronous = normal. Two rates: by the wall clock, with the writer's thread beside the caller's; and by
// the time of processors used by both, the system's share included, which is the rate of one core and
// does not depend on who else uses the machine.
#include <ftw.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

enum { EPISODES = 2000, CALLS_MAX = 1024 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(mg_err err) {
    if (!err) return;
    fprintf(stderr, "%s\n", mg_err_detail());
    exit(1);
}

static void fill(mg_turn *turns, int64_t n) {
    static const mg_touch touched[] = {{.key = "order/17", .wrote = true, .before = 1, .after = 2}};
    for (int64_t i = 0; i < n; i++)
        turns[i] = (mg_turn){
            .observation = "{\"order\": 17, \"state\": \"paid\", \"total\": 41.5}", .observation_size = 44,
            .action = "refund {\"order\": 17}", .action_size = 20,
            .action_begin = 4 * i + 2, .action_end = 4 * i + 4, .reward = mg_reward_of(0.25),
            .evidence = {.action = "refund", .arguments = "{\"order\": 17}", .status = MG_STATUS_OK,
                         .touched = touched, .n_touched = 1, .took_ns = 1000000},
            .call = {.request = (uint64_t)i + 1, .nonce = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1),
                     .intended_ns = i, .sent_ns = i + 1, .received_ns = i + 2}};
}

// rate: [0] by the wall clock, [1] by processor time.
static void round_of(mg_store *s, int64_t calls, int64_t updates, mg_record how, double rate[2]) {
    static mg_turn turns[CALLS_MAX];
    static int32_t tokens[4 * CALLS_MAX];
    static uint8_t role[4 * CALLS_MAX];
    static float   logp[4 * CALLS_MAX];
    mg_episode e = {.tokens = tokens, .role = role, .logp = logp, .n_tokens = 4 * calls, .turns = turns,
                    .n_turns = calls, .terminated = true, .code_turn = -1};
    fill(turns, calls);
    mg_store_record(s, how);
    check(mg_store_life(s, 0, "bench"));
    const double wall = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t u = 0; u < updates; u++) {
        check(mg_store_begin(s, u));
        for (int64_t i = 0; i < EPISODES; i++) {
            e.seed          = (uint64_t)(u * EPISODES + i);
            e.start.group   = (int32_t)(i / 8);
            e.start.episode = (uint32_t)i;
            check(mg_store_episode(s, &e));
        }
        check(mg_store_commit(s));
    }
    check(mg_store_wait(s));
    const double n = (double)(updates * EPISODES * calls);
    rate[0] = n / (seconds(CLOCK_MONOTONIC) - wall);
    rate[1] = n / (seconds(CLOCK_PROCESS_CPUTIME_ID) - used);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

int main(int argc, char **argv) {
    const int     rounds  = argc > 1 ? atoi(argv[1]) : 10;
    const int64_t calls   = argc > 2 ? atoi(argv[2]) : 8;
    const int64_t updates = argc > 3 ? atoi(argv[3]) : 25;
    if (rounds < 1 || calls < 1 || calls > CALLS_MAX || updates < 1) return 2;
    for (int how = MG_RECORD_FULL; how <= MG_RECORD_REPLAYABLE; how++) {
        double sum[2] = {0}, low[2] = {INFINITY, INFINITY}, high[2] = {0}, rate[2];
        for (int i = 0; i < rounds; i++) {
            char      folder[] = "/tmp/mg-bench-XXXXXX", path[64];
            mg_store *s;
            if (!mkdtemp(folder)) return 3;
            snprintf(path, sizeof path, "%s/run.db", folder);
            check(mg_store_open(&s, path));
            round_of(s, calls, updates, (mg_record)how, rate);
            check(mg_store_close(s));
            nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
            for (int k = 0; k < 2; k++)
                sum[k] += rate[k], low[k] = fmin(low[k], rate[k]), high[k] = fmax(high[k], rate[k]);
        }
        for (int k = 0; k < 2; k++)
            printf("%s: %.0f records/s %s (n %d, %.0f .. %.0f)\n", how ? "replayable" : "full",
                   sum[k] / rounds, k ? "of one core" : "by the wall clock", rounds, low[k], high[k]);
    }
    return 0;
}
