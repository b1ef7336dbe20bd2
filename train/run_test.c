// run_test.c - a run belongs to one process, is never overwritten, and goes on from its newest whole
// checkpoint, which holds every bit of its models and optimisers.
#include "train/run.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "algos/tiny_job.h"

static mg_arena arena;
static char    *folder; // of this test's run
static mg_gate  gate;

static int setup(void **state) {
    static int tests;
    (void)state;
    if (mg_arena_init(&arena, "test", (size_t)1 << 30)) return -1;
    folder = mg_path(&arena, "%s/run-%d", tiny_root, tests++);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static void refused(mg_err found, mg_err wanted, const char *said) {
    assert_int_equal(found, wanted);
    if (!strstr(mg_err_detail(), said)) fail_msg("found '%s', wanted '%s'", mg_err_detail(), said);
}

static char *at(const char *name) { return mg_path(&arena, "%s/%s", folder, name); }

static mg_err opened(mg_run *r, const char *in, bool resume) {
    return mg_run_open(r, in, resume, "", "seed: 1\n", &arena);
}

static char *text_of(const char *path) {
    char  *text;
    size_t size;
    ok(mg_file_read(path, 1 << 20, &arena, &text, &size));
    return text;
}

static void put(const char *name) { ok(mg_file_write(at(name), "x", 1)); }

// ---- Whose a run is

static void test_a_run_is_never_overwritten(void **state) {
    (void)state;
    mg_run r;
    refused(opened(&r, folder, true), MG_IO, "there is no run to resume");
    assert_false(mg_file_exists(folder)); // asking makes nothing
    ok(opened(&r, folder, false));
    assert_int_equal(r.updates_done, 0);
    mg_run_close(&r);
    refused(opened(&r, folder, false), MG_BUSY, "holds a run already; --out names another");
    assert_true(r.lock == -1 && !r.store);
    mg_run_close(&r); // half-built: no effect
    ok(opened(&r, folder, true));
    assert_int_equal(r.updates_done, 0);
    mg_run_close(&r);

    // One that died before it had a record has left no more than this, and may begin again or go on.
    assert_int_equal(remove(at("run.db")), 0);
    put("run.yaml.tmp");
    ok(mg_run_check(folder, false, &arena));
    ok(opened(&r, folder, true));
    mg_run_close(&r);
    assert_int_equal(remove(at("run.db")), 0);
    assert_string_equal(text_of(at("run.yaml")), "seed: 1\n");
    assert_int_equal(remove(at("run.yaml")), 0);
    refused(mg_run_check(folder, true, &arena), MG_IO, "there is no run to resume");
    ok(opened(&r, folder, false));
    mg_run_close(&r);

    // Without its database a run's checkpoints would pass for those of the next.
    ok(mg_folder_make(at("checkpoints/000007")));
    assert_int_equal(remove(at("run.db")), 0);
    refused(opened(&r, folder, false), MG_BUSY, "holds checkpoints");
    refused(opened(&r, folder, true), MG_BUSY, "holds checkpoints");
    assert_false(mg_file_exists(at("run.db")));
}

// Another process has the run: refused until it dies, however it dies.
static void test_the_lock_dies_with_its_process(void **state) {
    (void)state;
    int  ready[2];
    char byte;
    mg_run r;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // should the test fail
        if (opened(&r, folder, false)) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    refused(opened(&r, folder, true), MG_BUSY, "another process is using this run");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    ok(opened(&r, folder, true));
    mg_run_close(&r);
}

static void test_the_newest_checkpoint(void **state) {
    (void)state;
    static const char *const others[] = {"000012.half", "00009", "best", "7", "000099x", "notes.000050"};
    assert_int_equal(mg_checkpoint_newest(folder, &arena), 0); // no folder at all
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ok(mg_folder_make(mg_path(&arena, "%s/checkpoints/%s", folder, others[i])));
    assert_int_equal(mg_checkpoint_newest(folder, &arena), 0);
    ok(mg_folder_make(at("checkpoints/000003")));
    ok(mg_folder_make(at("checkpoints/000010")));
    assert_int_equal(mg_checkpoint_newest(folder, &arena), 10);
    ok(mg_folder_make(at("checkpoints/999999")));
    ok(mg_folder_make(at("checkpoints/1000000")));
    assert_int_equal(mg_checkpoint_newest(folder, &arena), 1000000);
}

static void test_a_run_begins_where_nothing_else_lies(void **state) {
    (void)state;
    mg_run r;
    ok(mg_folder_make(folder));
    ok(mg_run_check(folder, false, &arena)); // empty
    put("notes.txt");
    refused(opened(&r, folder, false), MG_BUSY, "found 'notes.txt' in it and no run");
    refused(mg_run_check(folder, true, &arena), MG_IO, "there is no run to resume");
    assert_false(mg_file_exists(at("checkpoints")) || mg_file_exists(at("run.db")) || mg_file_exists(at("run.lock")));
    const char *file = at("notes.txt"), *below = at("notes.txt/run");
    refused(opened(&r, file, false), MG_CONFIG, "notes.txt: found a file there or on the way");
    refused(opened(&r, below, false), MG_CONFIG, "notes.txt/run: found a file there or on the way");
    assert_int_equal(remove(file), 0);
    put("run.yaml"); // without a lock: somebody's
    refused(mg_run_check(folder, false, &arena), MG_BUSY, "found 'run.yaml' in it");
    refused(mg_run_check(folder, true, &arena), MG_IO, "there is no run to resume");
    assert_int_equal(remove(at("run.yaml")), 0);
    put(".hidden");
    refused(mg_run_check(folder, false, &arena), MG_BUSY, "found '.hidden' in it");
    assert_int_equal(remove(at(".hidden")), 0);
    ok(opened(&r, folder, false));
    mg_run_close(&r);
}

// ---- Checkpoints

// A policy and a critic, with optimisers that have seen something.
typedef struct pair {
    mg_model *models[2];
    mg_adamw  optimisers[2];
    mg_part   parts[2];
} pair;

static void make_pair(pair *p, uint64_t seed) {
    static const char *const names[] = {"", "critic"};
    const mg_adamw_config    adam    = {0.9, 0.999, 1e-8, 0, 0};
    for (int i = 0; i < 2; i++) {
        mg_rng rng   = mg_rng_stream(seed, MG_PURPOSE_TEST, (uint64_t)i);
        p->models[i] = tiny_model(tiny_words, i == 1, seed + (uint64_t)i, true);
        ok(mg_adamw_init(&p->optimisers[i], p->models[i], &adam));
        for (int64_t k = 0; k < p->optimisers[i].n_weights; k++) {
            p->optimisers[i].m[k] = (float)mg_rng_normal(&rng);
            p->optimisers[i].v[k] = (float)mg_rng_uniform(&rng) * 1e-30f;
        }
        p->models[i]->weights[0]  = -0.0f; // bits, not values
        p->models[i]->weights[1]  = 1e-42f;
        p->optimisers[i].steps    = 1234567890123 + i;
        p->parts[i] = (mg_part){names[i], p->models[i], &p->optimisers[i]};
    }
}

static void free_pair(pair *p) {
    for (int i = 0; i < 2; i++) {
        mg_model_free(p->models[i]);
        mg_adamw_release(&p->optimisers[i]);
    }
}

static bool same(const pair *a, const pair *b) {
    bool equal = true;
    for (int i = 0; i < 2; i++) {
        const size_t size = sizeof(float) * (size_t)a->models[i]->n_weights;
        equal = equal && a->optimisers[i].steps == b->optimisers[i].steps &&
                !memcmp(a->models[i]->weights, b->models[i]->weights, size) &&
                !memcmp(a->optimisers[i].m, b->optimisers[i].m, size) &&
                !memcmp(a->optimisers[i].v, b->optimisers[i].v, size);
    }
    return equal;
}

static const mg_snapshot *of(const mg_part *parts, int n) {
    static mg_snapshot s;
    s = (mg_snapshot){.n_parts = n, .plain = {{"gate.bin", &gate, sizeof gate}}, .n_plain = 1};
    memcpy(s.parts, parts, sizeof *parts * (size_t)n);
    return &s;
}

// A checkpoint behind n updates goes with n updates on record.
static void record_updates(mg_run *r, int64_t n) {
    for (int64_t u = 0; u < n; u++) {
        ok(mg_store_begin(r->store, u));
        ok(mg_store_commit(r->store));
    }
}

static void test_every_bit_comes_back(void **state) {
    (void)state;
    pair   a, b;
    mg_run r;
    make_pair(&a, 3);
    make_pair(&b, 30);
    assert_false(same(&a, &b));
    ok(opened(&r, folder, false));
    record_updates(&r, 4);
    const size_t mark = mg_arena_mark(&arena);
    gate.attempts = 17;
    ok(mg_checkpoint_save(&r, 5, of(a.parts, 2), 2, NULL, &arena));
    gate.attempts = 0;
    assert_int_equal(mg_arena_mark(&arena), mark);
    mg_run_close(&r);
    refused(opened(&r, folder, true), MG_MISMATCH, "holds 4 updates, wanted 5");
    assert_int_equal(rename(at("checkpoints/000005"), at("kept")), 0);
    ok(opened(&r, folder, true)); // from the beginning
    record_updates(&r, 5);
    assert_int_equal(rename(at("kept"), at("checkpoints/000005")), 0);
    r.updates_done = 5;
    assert_int_equal(r.updates_done, 5);
    mg_run_close(&r);
    ok(opened(&r, folder, true));
    assert_int_equal(r.updates_done, 5);
    ok(mg_checkpoint_load(&r, of(b.parts, 2), &arena));
    assert_true(same(&a, &b));
    assert_int_equal(gate.attempts, 17);
    mg_run_close(&r);
    free_pair(&a);
    free_pair(&b);
}

// A checkpoint of other models is not taken, nor one that lacks a file or holds a wrong one.
static void test_what_does_not_fit_is_refused(void **state) {
    (void)state;
    pair   a, b;
    mg_run r;
    make_pair(&a, 3);
    make_pair(&b, 4);
    ok(opened(&r, folder, false));
    ok(mg_checkpoint_save(&r, 5, of(a.parts, 2), 2, NULL, &arena));
    mg_model_config c = tiny_config(tiny_words, false);
    c.d_ff += 8;
    mg_model *wider;
    ok(mg_model_new(&wider, &c, true));
    mg_part swapped[] = {{"", wider, b.parts[0].optimiser}};
    refused(mg_checkpoint_load(&r, of(swapped, 1), &arena), MG_MISMATCH, "000005: ");
    mg_model_free(wider);

    // One bit of the gate's account; one byte more.
    char  *bytes;
    size_t size;
    ok(mg_file_read(at("checkpoints/000005/gate.bin"), 1 << 24, &arena, &bytes, &size));
    bytes[size / 2] ^= 1;
    ok(mg_file_write(at("checkpoints/000005/gate.bin"), bytes, size));
    refused(mg_checkpoint_load(&r, of(b.parts, 2), &arena), MG_CORRUPT, "gate.bin: its hash");
    bytes[size / 2] ^= 1;
    ok(mg_file_write(at("checkpoints/000005/gate.bin"), bytes, size - 1));
    refused(mg_checkpoint_load(&r, of(b.parts, 2), &arena), MG_MISMATCH, "gate.bin: of another build");
    ok(mg_file_write(at("checkpoints/000005/gate.bin"), bytes, size));

    mg_part missing[] = {{"reference", b.models[0], b.parts[0].optimiser}};
    refused(mg_checkpoint_load(&r, of(missing, 1), &arena), MG_IO, "000005/reference/");

    const int64_t        steps   = 1;
    const mg_file_tensor short_m = {.name = "m", .dtype = MG_FILE_F32, .dims = 1, .shape = {1},
                                    .count = 1, .data = &steps};
    ok(mg_safetensors_write(at("checkpoints/000005/critic/optimiser.safetensors"), &short_m, 1));
    refused(mg_checkpoint_load(&r, of(b.parts, 2), &arena), MG_MISMATCH, "critic/optimiser.safetensors: wanted m");
    put("checkpoints/000005/optimiser.safetensors");
    refused(mg_checkpoint_load(&r, of(b.parts, 2), &arena), MG_CORRUPT, "000005/optimiser.safetensors");
    mg_run_close(&r);
    free_pair(&a);
    free_pair(&b);
}

// The newest `kept` stay, and a killed life's halves go; what is not a checkpoint is nobody's business.
static void test_how_many_are_kept(void **state) {
    (void)state;
    pair   a;
    mg_run r;
    make_pair(&a, 3);
    ok(opened(&r, folder, false));
    ok(mg_folder_make(at("checkpoints/best")));
    put("checkpoints/notes.txt");
    ok(mg_folder_make(at("checkpoints/000001.half/critic")));
    put("checkpoints/000001.half/critic/model.safetensors");
    ok(mg_folder_make(at("checkpoints/1000001.half"))); // newer than all, and not one of the kept
    static const int64_t done[] = {2, 999998, 999999, 1000000};
    for (int i = 0; i < 4; i++) ok(mg_checkpoint_save(&r, done[i], of(a.parts, 2), 2, NULL, &arena));
    mg_run_close(&r);
    assert_false(mg_file_exists(at("checkpoints/000001.half")));
    assert_false(mg_file_exists(at("checkpoints/1000001.half")));
    assert_false(mg_file_exists(at("checkpoints/000002")));
    assert_false(mg_file_exists(at("checkpoints/999998")));
    assert_true(mg_file_exists(at("checkpoints/999999/critic/config.json")));
    assert_true(mg_file_exists(at("checkpoints/1000000/optimiser.safetensors")));
    assert_true(mg_file_exists(at("checkpoints/best")));
    assert_true(mg_file_exists(at("checkpoints/notes.txt")));
    free_pair(&a);
}

static bool good(int updates) { return mg_file_exists(at(mg_path(&arena, "guard/good/%06d", updates))); }

// Behind 2 updates one goes back to 0, behind 5 to 4; 3 and 6 are named by no checkpoint. A life that goes on from 5
// makes 6 again, and what the one before it left behind that is not taken for its own.
static void test_what_a_checkpoint_goes_back_to_is_kept(void **state) {
    (void)state;
    pair   a, b;
    mg_run r;
    make_pair(&a, 3);
    make_pair(&b, 30);
    ok(opened(&r, folder, false));
    ok(mg_kept_save(&r, MG_KEPT_GOOD, 0, of(a.parts, 2), NULL, &arena));
    ok(mg_checkpoint_save(&r, 2, of(a.parts, 2), 2, NULL, &arena));
    for (int u = 3; u < 5; u++) ok(mg_kept_save(&r, MG_KEPT_GOOD, u, of(a.parts, 2), NULL, &arena));
    ok(mg_checkpoint_save(&r, 5, of(a.parts, 2), 2, NULL, &arena));
    for (int u = 6; u < 8; u++) ok(mg_kept_save(&r, MG_KEPT_GOOD, u, of(b.parts, 2), NULL, &arena));
    assert_true(good(0) && !good(3) && good(4) && !good(6) && good(7));
    ok(mg_folder_make(at("guard/good/000008.half/critic")));
    put("guard/good/notes.txt");

    ok(mg_kept_save(&r, MG_KEPT_GOOD, 6, of(b.parts, 2), NULL, &arena));
    assert_true(good(0) && good(4) && good(6) && !good(7));
    assert_false(mg_file_exists(at("guard/good/000008.half")));
    assert_true(mg_file_exists(at("guard/good/notes.txt")));
    ok(mg_checkpoint_save(&r, 7, of(b.parts, 2), 2, NULL, &arena)); // and 2 goes, and with it the last need of 0
    ok(mg_kept_save(&r, MG_KEPT_GOOD, 9, of(b.parts, 2), NULL, &arena));
    assert_true(!good(0) && good(4) && good(6) && good(9));
    ok(mg_kept_load(&r, MG_KEPT_GOOD, 4, of(b.parts, 2), &arena));
    assert_true(same(&a, &b));
    refused(mg_kept_load(&r, MG_KEPT_GOOD, 5, of(b.parts, 2), &arena), MG_IO, "guard/good/000005");
    mg_run_close(&r);
    free_pair(&a);
    free_pair(&b);
}

// A half of this very checkpoint, with a file that is not to be in it, does not end up in the whole.
static void test_a_half_is_not_built_upon(void **state) {
    (void)state;
    pair   a;
    mg_run r;
    make_pair(&a, 3);
    ok(opened(&r, folder, false));
    ok(mg_folder_make(at("checkpoints/000004.half/old")));
    put("checkpoints/000004.half/old/model.safetensors");
    ok(mg_checkpoint_save(&r, 4, of(a.parts, 2), 2, NULL, &arena));
    assert_false(mg_file_exists(at("checkpoints/000004/old")));
    assert_false(mg_file_exists(at("checkpoints/000004.half")));
    mg_run_close(&r);
    free_pair(&a);
}

static void test_a_full_disk_leaves_the_old_one(void **state) {
    (void)state;
    pair          a, b;
    mg_run        r;
    struct rlimit old;
    make_pair(&a, 3);
    make_pair(&b, 30);
    ok(opened(&r, folder, false));
    ok(mg_checkpoint_save(&r, 5, of(a.parts, 2), 1, NULL, &arena));
    // Room for the policy, which is written first; none for its optimiser, twice as large.
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit low = {6 * (rlim_t)a.models[0]->n_weights, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    const mg_err err = mg_checkpoint_save(&r, 6, of(b.parts, 2), 1, NULL, &arena);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    refused(err, MG_IO, "checkpoints/000006: write ");
    assert_non_null(strstr(mg_err_detail(), "optimiser.safetensors"));
    assert_int_equal(r.updates_done, 5);
    assert_false(mg_file_exists(at("checkpoints/000006.half")));
    assert_int_equal(mg_checkpoint_newest(folder, &arena), 5);
    ok(mg_checkpoint_load(&r, of(b.parts, 2), &arena));
    assert_true(same(&a, &b));
    mg_run_close(&r);
    free_pair(&a);
    free_pair(&b);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_is_never_overwritten),
        TEST(test_a_run_begins_where_nothing_else_lies),
        TEST(test_the_lock_dies_with_its_process),
        TEST(test_the_newest_checkpoint),
        TEST(test_every_bit_comes_back),
        TEST(test_what_does_not_fit_is_refused),
        TEST(test_how_many_are_kept),
        TEST(test_what_a_checkpoint_goes_back_to_is_kept),
        TEST(test_a_half_is_not_built_upon),
        TEST(test_a_full_disk_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
