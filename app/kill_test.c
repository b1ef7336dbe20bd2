// Goal:   killed at any moment, a run loses no acknowledged episode, leaves no half one, and ends, when
//         it has gone on, with the same head and the same weights as one that was never killed.
// Method: the real program, for each algorithm, with a library before it that dies in the N-th call
//         that changes a file (tools/kill_at.c), for N spread over all of them, before the call or
//         halfway through a write; some lives that go on are killed too, and go on once more with two
//         threads where the first had one. What a process has acknowledged are its checkpoints: each
//         says that the updates before it are on record.
//
// MG_KILL_POINTS: points an algorithm. The runs lie in memory (/dev/shm) where there is such a place:
// SIGKILL takes nothing from the system's own buffers, so that what disks do with fsync is not tested here.
#include "app/cli_program.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/logged.h"
#include "train/run.h"

#define POINTS 34 // an algorithm

// Every update has a checkpoint; of three checkpoints one is removed.
#define OFTEN   " --checkpoint_every 1 --evaluate_every 2 "
#define TINY    CLI_FROM_BASE OFTEN
#define CONTROL "--world pendulum --network.width 8 --network.activation relu" OFTEN

static char place[] = "/dev/shm/martingale_kill_XXXXXX", whole[96], killed[96], copy[96];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static int open_place(void **state) {
    if (cli_open(state)) return 1;
    if (!mkdtemp(place)) strcpy(place, "."); // the folder that cli_open made
    snprintf(whole, sizeof whole, "%s/whole", place);
    snprintf(killed, sizeof killed, "%s/killed", place);
    snprintf(copy, sizeof copy, "%s/copy", place);
    // The preloaded library comes before a sanitizer's, which needs to be told that this is meant.
    return setenv("ASAN_OPTIONS", "allow_user_segv_handler=0:verify_asan_link_order=0", 1);
}

static int close_place(void **state) {
    if (place[0] == '/') remove_tree(place);
    return cli_close(state);
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        if (call) fail_msg("%s: %s: %s", where, #call, mg_err_detail());                           \
    } while (0)

static char where[96]; // algorithm and point, for what is said when something is wrong

// ---- Lives

// One life; `at` 0: to its end; `more` are options. Returns whether it was killed.
static bool life(const char *command, const char *more, int64_t at, bool half, const char *count) {
    setenv("MG_KILL_AT", mg_path(&cli_arena, "%lld", (long long)at), 1);
    setenv("MG_KILL_HALF", half ? "1" : "0", 1);
    setenv("MG_KILL_COUNT", count, 1);
    setenv("LD_PRELOAD", getenv("MG_KILL_LIBRARY"), 1);
    const cli_outcome o = cli("%s%s", command, more);
    unsetenv("LD_PRELOAD");
    if (o.status == 128 + SIGKILL && at > 0) return true;
    if (o.status != 0) fail_msg("%s: status %d: %s%s", where, o.status, o.out, o.err);
    return false;
}

// ---- Records

typedef struct record {
    int64_t n;           // episodes
    uint8_t (*heads)[32];
    int64_t *updates;    // that they belong to
} record;

// All of the episodes, after the record was found to be what was recorded.
static record read_record(const char *folder) {
    mg_store   *s = NULL;
    mg_episode *e;
    record      r = {.heads = NULL};
    OK(mg_store_open(&s, mg_path(&cli_arena, "%s/run.db", folder)));
    OK(mg_store_verify(s));
    OK(mg_store_episodes_read(s, 0, INT64_MAX, INT64_MAX, &cli_arena, &e, &r.n));
    r.heads   = mg_arena_alloc(&cli_arena, 32 * (size_t)r.n);
    r.updates = mg_arena_alloc(&cli_arena, sizeof *r.updates * (size_t)r.n);
    for (int64_t i = 0; i < r.n; i++) {
        mg_episode_head(&e[i], r.heads[i]);
        r.updates[i] = e[i].policy_version;
    }
    OK(mg_store_close(s));
    return r;
}

static void copy_file(const char *name) {
    const char *from = mg_path(&cli_arena, "%s/%s", killed, name);
    size_t      size;
    if (!mg_file_exists(from)) return;
    const char *data = cli_read(from, &size);
    OK(mg_file_write(mg_path(&cli_arena, "%s/%s", copy, name), data, size));
}

// What a death left is looked at in a copy: who goes on is to find it as it is.
static void check_death(const record *all) {
    const int64_t acknowledged = mg_checkpoint_newest(killed, &cli_arena);
    if (!mg_file_exists(mg_path(&cli_arena, "%s/run.db", killed))) {
        assert_int_equal(acknowledged, 0);
        return;
    }
    remove_tree(copy);
    OK(mg_folder_make(copy));
    copy_file("run.db");
    copy_file("run.db-wal");
    const record left = read_record(copy);
    // As far as it goes it is the record of the run that was not killed, in whole updates.
    if (left.n > all->n || (left.n && memcmp(left.heads, all->heads, 32 * (size_t)left.n)))
        fail_msg("%s: other episodes than those of the whole run", where);
    if (left.n < all->n && left.n > 0 && all->updates[left.n] == all->updates[left.n - 1])
        fail_msg("%s: half an update", where);
    if (left.n < all->n && all->updates[left.n] < acknowledged)
        fail_msg("%s: checkpoint behind %lld, but update %lld is not on record", where,
                 (long long)acknowledged, (long long)all->updates[left.n]);
}

static void head_of(const char *folder, uint8_t head[32]) {
    mg_store *s = NULL;
    OK(mg_store_open(&s, mg_path(&cli_arena, "%s/run.db", folder)));
    OK(mg_store_verify(s));
    OK(mg_store_head(s, head));
    OK(mg_store_close(s));
}

static void check_end(void) {
    uint8_t a[32], b[32];
    head_of(whole, a);
    head_of(killed, b);
    if (memcmp(a, b, 32)) fail_msg("%s: another head", where);
    cli_same_bytes(mg_path(&cli_arena, "%s/model/model.safetensors", whole),
                   mg_path(&cli_arena, "%s/model/model.safetensors", killed));
    const char *buffer = mg_path(&cli_arena, "%s/replay.bin", whole);
    if (mg_file_exists(buffer)) cli_same_bytes(buffer, mg_path(&cli_arena, "%s/replay.bin", killed));
}

// The command of a life that goes on: the run's folder, or the command that it began with, where there is something
// to go on with; else it begins again.
static const char *going_on(const char *command, bool folder) {
    const bool begun = mg_file_exists(mg_path(&cli_arena, "%s/run.db", killed));
    const bool told  = mg_file_exists(mg_path(&cli_arena, "%s/run.yaml", killed));
    if (begun && !told) fail_msg("%s: a record without settings", where);
    if (told && folder) return mg_path(&cli_arena, "train %s --resume", killed);
    return mg_path(&cli_arena, "%s%s", command, begun ? " --resume" : "");
}

// ---- One algorithm

static void killed_at(const char *command, const record *all, int64_t at, bool half, bool twice,
                      int64_t *deaths) {
    remove_tree(killed);
    if (life(command, "", at, half, "count")) {
        *deaths += 1;
        check_death(all);
    }
    if (twice && life(going_on(command, half), "", at / 2 + 1, !half, "count")) {
        *deaths += 1;
        check_death(all);
    }
    life(going_on(command, !half), twice ? " --threads 2" : "", 0, false, "count");
    check_end();
}

// Options that make an algorithm's run a small one of three updates, behind those of its kind.
static void kill_all_over(const char *algo, const char *kind, const char *options) {
    const char *named  = getenv("MG_KILL_POINTS");
    const int   points = named ? atoi(named) : POINTS;
    int64_t     deaths = 0;
    const char *command = mg_path(&cli_arena, "train --algo %s %s%s --out ", algo, kind, options);
    remove_tree(whole);
    snprintf(where, sizeof where, "%s", algo);
    life(mg_path(&cli_arena, "%s%s", command, whole), "", 0, false, "count");
    const record  all   = read_record(whole);
    const int64_t calls = atoll(cli_read("count", NULL));
    assert_true(calls > 100); // or the library is not before the program
    command             = mg_path(&cli_arena, "%s%s", command, killed);
    const size_t mark   = mg_arena_mark(&cli_arena);
    for (int i = 0; i < points; i++) {
        const int64_t at = 1 + i * (calls - 1) / points;
        snprintf(where, sizeof where, "%s, call %lld of %lld%s", algo, (long long)at, (long long)calls,
                 i % 2 ? ", halfway" : "");
        killed_at(command, &all, at, i % 2, i % 5 == 4, &deaths);
        mg_arena_reset(&cli_arena, mark);
    }
    print_message("%s: %lld deaths at %d points of %lld\n", algo, (long long)deaths, points, (long long)calls);
    assert_true(deaths >= points);
}

static void sft(void **state) {
    (void)state;
    kill_all_over("sft", TINY, "--data data --sft.batch 8 --sft.epochs 1");
}

static void reward_model(void **state) {
    (void)state;
    kill_all_over("reward_model", TINY, "--preferences preferences --reward_model.batch 8");
}

static void dpo(void **state) {
    (void)state;
    kill_all_over("dpo", TINY, "--preferences preferences --dpo.batch 8");
}

static void ppo(void **state) {
    (void)state;
    kill_all_over("ppo", TINY, "--data data --ppo.updates 3 --ppo.episodes 4");
}

static void grpo(void **state) {
    (void)state;
    kill_all_over("grpo", TINY, "--data data --grpo.updates 3 --grpo.prompts 2 --grpo.group 2");
}

static void drpo(void **state) {
    (void)state;
    kill_all_over("drpo", TINY, "--data data --drpo.updates 3 --drpo.episodes 4");
}

// Three blocks of one episode each.
#define BLOCKS(algo)                                                                                          \
    "--" algo ".steps 450 --" algo ".block 150 --" algo ".start_steps 0 --" algo ".batch 8 --" algo ".replay 500"

static void td3(void **state) {
    (void)state;
    kill_all_over("td3", CONTROL, BLOCKS("td3"));
}

// One block of gradient steps on a logged file, two in the world.
static void td3_bc(void **state) {
    (void)state;
    enum { ROWS = 40 };
    float   seen[ROWS * 3], done[ROWS], paid[ROWS];
    uint8_t no[ROWS] = {0};
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < 3; j++) seen[3 * i + j] = (float)((i * 7 + j) % 11) / 11;
        done[i] = (float)(i % 5) - 2, paid[i] = (float)-i;
    }
    const mg_logged logged = {.rows = ROWS, .obs = 3, .act = 1, .observation = seen, .action = done, .reward = paid,
                              .terminal = no, .timeout = no};
    OK(mg_d4rl_write("logged.hdf5", &logged));
    kill_all_over("td3_bc", CONTROL "--data logged.hdf5 ",
                  BLOCKS("td3_bc") " --td3_bc.offline_updates 20 --td3_bc.steps 300");
}

static void td3_c(void **state) {
    (void)state;
    kill_all_over("td3_c", CONTROL,
                  BLOCKS("td3_c") " --td3_c.anchor frozen --guard.enabled true --guard.episodes 2 "
                                  "--guard.verdict_episodes 6");
}

static void sac(void **state) {
    (void)state;
    kill_all_over("sac", CONTROL, BLOCKS("sac"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft), cmocka_unit_test(reward_model), cmocka_unit_test(dpo),
        cmocka_unit_test(ppo), cmocka_unit_test(grpo),         cmocka_unit_test(drpo),
        cmocka_unit_test(td3), cmocka_unit_test(td3_bc),       cmocka_unit_test(td3_c), cmocka_unit_test(sac),
    };
    size_t n = 0;
    while (mg_algos[n]) n++;
    MG_ASSERT(n == sizeof tests / sizeof *tests); // an algorithm that is not killed here is not finished
    return cmocka_run_group_tests(tests, open_place, close_place);
}
