// Goal: what was added is there, the window and the samples are those promised, and a ring that was
// killed at any row and rewound ends as one that never was.
#include "store/replay.h"

#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/fixture.h"

#define OBS 3
#define ACT 2
#define WIDTH (2 * OBS + ACT + 2)

static const mg_replay_shape shape = {.obs = OBS, .act = ACT, .capacity = 100, .margin = 40};

static mg_replay *open_at(const fixture *f, const mg_replay_shape *s) {
    mg_replay *r;
    if (mg_replay_open(&r, f->path, s)) fail_msg("%s", mg_err_detail());
    return r;
}

// Row k of every test, as numbers in the order of the file.
static void numbers(int64_t k, float x[WIDTH]) {
    for (int i = 0; i < WIDTH - 1; i++) x[i] = (float)k + (float)i / 16;
    x[WIDTH - 1] = k % 5 == 0;
}

static void add(mg_replay *r, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; k++) {
        float          x[WIDTH];
        uint8_t        terminal = k % 5 == 0;
        numbers(k, x);
        mg_transitions t = {.n = 1, .obs = OBS, .act = ACT, .observation = x, .action = x + OBS,
                            .reward = x + OBS + ACT, .next = x + OBS + ACT + 1, .terminal = &terminal};
        if (mg_replay_add(r, &t)) fail_msg("%s", mg_err_detail());
    }
}

static void assert_row(const mg_transitions *t, int64_t j, int64_t k) {
    float x[WIDTH];
    numbers(k, x);
    assert_memory_equal(t->observation + OBS * j, x, sizeof *x * OBS);
    assert_memory_equal(t->action + ACT * j, x + OBS, sizeof *x * ACT);
    assert_true(t->reward[j] == x[OBS + ACT]);
    assert_memory_equal(t->next + OBS * j, x + OBS + ACT + 1, sizeof *x * OBS);
    assert_int_equal(t->terminal[j], k % 5 == 0);
}

// The window holds rows [low, rows) of the tests, and the chain says so.
static void assert_window(const mg_replay *r, int64_t low, int64_t rows, mg_arena *arena) {
    assert_int_equal(mg_replay_rows(r), rows);
    assert_int_equal(mg_replay_low(r), low);
    mg_transitions t = mg_transitions_new(arena, rows - low, OBS, ACT);
    mg_replay_read(r, low, &t);
    for (int64_t k = low; k < rows; k++) assert_row(&t, k - low, k);
    if (mg_replay_verify(r)) fail_msg("%s", mg_err_detail());
}

// The head over the first n rows as replay.h writes it down, by another interface of libcrypto.
static void chain_of(int64_t n, uint8_t head[32]) {
    uint8_t       bytes[32 + sizeof(float) * WIDTH];
    const int64_t sizes[2] = {OBS, ACT};
    memcpy(bytes, "mg replay 1", 11);
    memcpy(bytes + 11, sizes, 16);
    EVP_Digest(bytes, 27, head, NULL, EVP_sha256(), NULL);
    for (int64_t k = 0; k < n; k++) {
        float x[WIDTH];
        numbers(k, x);
        memcpy(bytes, head, 32);
        memcpy(bytes + 32, x, sizeof x);
        EVP_Digest(bytes, sizeof bytes, head, NULL, EVP_sha256(), NULL);
    }
}

static void assert_head(const mg_replay *r, int64_t n) {
    uint8_t head[32], wanted[32];
    mg_replay_head(r, head);
    chain_of(n, wanted);
    assert_memory_equal(head, wanted, 32);
}

static void test_the_window_is_the_last_rows(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    assert_head(r, 0);
    add(r, 0, 70);
    assert_window(r, 0, 70, &f->arena);
    add(r, 70, 100);
    assert_window(r, 0, 100, &f->arena);
    add(r, 100, 555);
    assert_window(r, 455, 555, &f->arena);
    assert_head(r, 555);
    mg_replay_close(r);
    r = open_at(f, &shape); // and so it is in the file
    assert_window(r, 455, 555, &f->arena);
    assert_head(r, 555);
    mg_replay_close(r);
}

static void test_many_rows_at_once_are_rows_one_by_one(void **state) {
    fixture       *f = *state;
    mg_replay     *r = open_at(f, &shape);
    mg_transitions t = mg_transitions_new(&f->arena, 300, OBS, ACT);
    for (int64_t k = 0; k < 300; k++) {
        float x[WIDTH];
        numbers(k, x);
        memcpy(t.observation + OBS * k, x, sizeof *x * OBS);
        memcpy(t.action + ACT * k, x + OBS, sizeof *x * ACT);
        memcpy(t.next + OBS * k, x + OBS + ACT + 1, sizeof *x * OBS);
        t.reward[k] = x[OBS + ACT], t.terminal[k] = k % 5 == 0;
    }
    assert_int_equal(mg_replay_add(r, &t), MG_OK);
    assert_window(r, 200, 300, &f->arena);
    assert_head(r, 300);
    mg_replay_close(r);
}

static void test_samples_are_the_rows_that_window_and_stream_name(void **state) {
    fixture       *f = *state;
    mg_replay     *r = open_at(f, &shape);
    mg_transitions b = mg_transitions_new(&f->arena, 1000, OBS, ACT);
    mg_rng         rng = mg_rng_stream(3, MG_PURPOSE_TEST, 1), again = rng;
    int            seen[100] = {0};
    add(r, 0, 250);
    mg_replay_sample(r, &rng, &b);
    for (int64_t j = 0; j < b.n; j++) {
        const int64_t k = (int64_t)mg_rng_below(&again, 100);
        assert_row(&b, j, 150 + k);
        seen[k]++;
    }
    for (int k = 0; k < 100; k++) assert_in_range(seen[k], 1, 30); // 10 on average; fixed by the seed
    mg_replay_close(r);
}

static void test_the_ledgers_entry_is_window_and_head(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    uint8_t    head[32];
    add(r, 0, 130);
    const mg_fed_replay fed = mg_replay_fed(r, 42);
    chain_of(130, head);
    assert_int_equal(fed.low, 30);
    assert_int_equal(fed.high, 130);
    assert_int_equal(fed.key, 42);
    assert_memory_equal(fed.hash, head, 32);
    mg_replay_close(r);
}

// The child adds rows from `from` on until it is killed; the parent learns through the page how far it is.
static int64_t killed_after(const fixture *f, int64_t from, int64_t rows) {
    volatile int64_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *at                  = from;
    const pid_t child = fork();
    if (child == 0) {
        mg_replay *r = open_at(f, &shape);
        for (int64_t k = from; k < from + rows; k++) {
            add(r, k, k + 1);
            *at = k + 1;
        }
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const int64_t n = *at;
    munmap((void *)at, 4096);
    return n;
}

// Checkpoints every 40 rows, the margin. Killed at a row that the stream names, again and again.
static void test_killed_at_any_row_and_rewound_it_ends_as_one_never_killed(void **state) {
    fixture *f   = *state;
    mg_rng   rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int64_t checkpoint = 0; checkpoint < 1200; checkpoint += 40)
        for (int again = 0; again < 2; again++) {
            const int64_t more = (int64_t)mg_rng_below(&rng, 41);
            assert_int_equal(killed_after(f, checkpoint, more), checkpoint + more);
            mg_replay *r = open_at(f, &shape);
            uint8_t    head[32];
            assert_int_equal(mg_replay_rows(r), checkpoint + more);
            chain_of(checkpoint, head);
            if (mg_replay_rewind(r, checkpoint, head)) fail_msg("%s", mg_err_detail());
            assert_window(r, checkpoint > 100 ? checkpoint - 100 : 0, checkpoint, &f->arena);
            if (again) {
                add(r, checkpoint, checkpoint + 40);
                assert_head(r, checkpoint + 40);
            }
            mg_replay_close(r);
        }
    mg_replay *r = open_at(f, &shape);
    assert_window(r, 1100, 1200, &f->arena);
    mg_replay_close(r);
}

// Killed from outside at no row in particular: what counts is whole.
static void test_a_kill_in_the_middle_of_a_row_leaves_whole_rows(void **state) {
    fixture *f = *state;
    for (int round = 0; round < 20; round++) {
        volatile int64_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        const pid_t       child = fork();
        if (child == 0) {
            mg_replay *r = open_at(f, &shape);
            for (int64_t k = mg_replay_rows(r);; k++) {
                add(r, k, k + 1);
                ++*at;
            }
        }
        while (*at < 50 * round + 7) continue;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        munmap((void *)at, 4096);
        mg_replay    *r    = open_at(f, &shape);
        const int64_t rows = mg_replay_rows(r);
        assert_window(r, rows > 100 ? rows - 100 : 0, rows, &f->arena);
        mg_replay_close(r);
    }
}

static void test_rewinding_needs_the_rows_and_the_head(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    uint8_t    head[32];
    add(r, 0, 300);
    chain_of(259, head);
    assert_int_equal(mg_replay_rewind(r, 301, NULL), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "found 300 rows, wanted at least the 301"));
    assert_int_equal(mg_replay_rewind(r, 259, head), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "found 41 rows behind the 259"));
    assert_int_equal(mg_replay_rewind(r, 260, head), MG_MISMATCH); // the head of 259 rows
    assert_int_equal(mg_replay_rewind(r, -1, NULL), MG_MISMATCH);
    assert_window(r, 200, 300, &f->arena); // unchanged by all that
    chain_of(260, head);
    assert_int_equal(mg_replay_rewind(r, 260, head), MG_OK);
    assert_window(r, 160, 260, &f->arena);
    assert_int_equal(mg_replay_rewind(r, 255, NULL), MG_LIMIT); // rows 115.. are gone since row 300 was written
    mg_replay_close(r);
}

// Until a slot is used a second time every row is there, and one may go back as far as one likes.
static void test_rewinding_has_no_limit_before_the_ring_is_full(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    uint8_t    head[32];
    add(r, 0, 140); // window and margin
    chain_of(30, head);
    assert_int_equal(mg_replay_rewind(r, 30, head), MG_OK);
    assert_window(r, 0, 30, &f->arena);
    add(r, 30, 140);
    assert_head(r, 140);
    assert_int_equal(mg_replay_rewind(r, 0, NULL), MG_OK);
    add(r, 0, 142); // row 0 is gone, which the window before row 30 has
    assert_int_equal(mg_replay_rewind(r, 30, head), MG_LIMIT);
    mg_replay_close(r);
}

// Changes one byte of the file at `at`.
static void change(const char *path, off_t at) {
    uint8_t   byte = 0;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_a_changed_row_is_named(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    add(r, 0, 50);
    mg_replay_close(r);
    change(f->path, 4096 + 64 * 17 + 5); // a row of 40 bytes takes a line of 64
    r = open_at(f, &shape);
    assert_int_equal(mg_replay_verify(r), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "row 17 is not"));
    assert_int_equal(mg_replay_rewind(r, 30, NULL), MG_CORRUPT);
    assert_int_equal(mg_replay_rows(r), 50);
    assert_int_equal(mg_replay_rewind(r, 17, NULL), MG_OK);
    mg_replay_close(r);
}

static void refuse(const fixture *f, const mg_replay_shape *s, mg_err wanted, const char *word) {
    mg_replay *r;
    assert_int_equal(mg_replay_open(&r, f->path, s), wanted);
    if (!strstr(mg_err_detail(), word)) fail_msg("'%s' lacks '%s'", mg_err_detail(), word);
    if (!strstr(mg_err_detail(), f->path)) fail_msg("'%s' does not name the file", mg_err_detail());
}

static void test_another_file_is_refused(void **state) {
    fixture        *f = *state;
    mg_replay_shape s = shape;
    mg_replay      *r = open_at(f, &shape);
    refuse(f, &shape, MG_BUSY, "another process");
    mg_replay_close(r);
    s.margin = 41;
    refuse(f, &s, MG_MISMATCH, "found obs 3, act 2, capacity 100, margin 40, wanted obs 3, act 2, "
                               "capacity 100, margin 41");
    assert_int_equal(truncate(f->path, 4096 + 141 * 96 - 1), 0);
    refuse(f, &shape, MG_CORRUPT, "found 17631 bytes, wanted 17632");
    assert_int_equal(truncate(f->path, 7), 0);
    refuse(f, &shape, MG_CORRUPT, "not the file of a replay buffer");
    assert_int_equal(truncate(f->path, 0), 0);
    refuse(f, &shape, MG_CORRUPT, "not the file of a replay buffer");
}

static void test_counts_of_rows_that_cannot_be_are_refused(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    add(r, 0, 50);
    mg_replay_close(r);
    change(f->path, 48); // rows, behind mark, order, version and shape: 50 ^ 1
    refuse(f, &shape, MG_CORRUPT, "found 51 rows, wanted 0..50");
    change(f->path, 48);
    const int fd = open(f->path, O_RDWR);
    assert_int_equal(pwrite(fd, (int64_t[]){-1}, 8, 48), 8);
    close(fd);
    refuse(f, &shape, MG_CORRUPT, "found -1 rows, wanted 0..50");
}

static void test_another_build_is_refused(void **state) {
    fixture *f = *state;
    mg_replay_close(open_at(f, &shape));
    change(f->path, 8);
    refuse(f, &shape, MG_CORRUPT, "byte order 01020305");
    change(f->path, 8);
    change(f->path, 12);
    refuse(f, &shape, MG_CORRUPT, "version 0, wanted 1");
}

static void test_sizes_are_limited(void **state) {
    fixture              *f     = *state;
    const mg_replay_shape bad[] = {
        {0, 1, 1, 0}, {1, 0, 1, 0}, {65537, 1, 1, 0}, {1, 65537, 1, 0}, {1, 1, 0, 0}, {1, 1, 1, -1},
        {1, 1, INT64_MAX, 1}, {1, 1, 1, INT64_MAX}, {1, 1, ((int64_t)1 << 32) + 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse(f, &bad[i], MG_LIMIT, "wanted 1");
    assert_int_equal(access(f->path, F_OK), -1);
}

// A limit on the size of files stands for a full disk.
static void test_no_room_is_an_error_that_leaves_nothing(void **state) {
    fixture      *f = *state;
    struct rlimit limit, small;
    char          temporary[96];
    getrlimit(RLIMIT_FSIZE, &limit);
    small          = limit;
    small.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    refuse(f, &shape, MG_IO, "reserve 17632 bytes");
    setrlimit(RLIMIT_FSIZE, &limit);
    snprintf(temporary, sizeof temporary, "%s.tmp", f->path);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(access(temporary, F_OK), -1);
}

static void test_every_block_of_the_file_is_reserved(void **state) {
    fixture    *f = *state;
    struct stat st;
    mg_replay_close(open_at(f, &shape));
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, 17632);
    assert_true(st.st_blocks * 512 >= st.st_size);
}

static void test_bad_rows_are_not_added(void **state) {
    fixture       *f = *state;
    mg_replay     *r = open_at(f, &shape);
    mg_transitions t = mg_transitions_new(&f->arena, 9, OBS, ACT), other = mg_transitions_new(&f->arena, 1, 4, ACT);
    const struct { float *at; const char *word; } bad[] = {
        {t.observation + OBS * 4 + 2, "row 4 to be added: observation: found"},
        {t.action + ACT * 8, "row 8 to be added: action: found"},
        {t.reward + 3, "row 3 to be added: reward: found"},
        {t.next + OBS * 5 + 1, "row 5 to be added: next: found"}};
    for (int i = 0; i < 4; i++) {
        *bad[i].at = i % 2 ? (float)INFINITY : NAN;
        assert_int_equal(mg_replay_add(r, &t), MG_NUMERIC);
        if (!strstr(mg_err_detail(), bad[i].word)) fail_msg("'%s' lacks '%s'", mg_err_detail(), bad[i].word);
        *bad[i].at = 0;
    }
    t.terminal[7] = 2;
    assert_int_equal(mg_replay_add(r, &t), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "row 7 to be added: terminal: found 2"));
    assert_int_equal(mg_replay_add(r, &other), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "found rows of obs 4, act 2, wanted 3, 2"));
    assert_int_equal(mg_replay_rows(r), 0);
    mg_replay_close(r);
}

static void test_flushing(void **state) {
    fixture   *f = *state;
    mg_replay *r = open_at(f, &shape);
    add(r, 0, 30);
    assert_int_equal(mg_replay_sync(r), MG_OK);
    mg_replay_close(r);
    mg_replay_close(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_window_is_the_last_rows),
        TEST(test_many_rows_at_once_are_rows_one_by_one),
        TEST(test_samples_are_the_rows_that_window_and_stream_name),
        TEST(test_the_ledgers_entry_is_window_and_head),
        TEST(test_killed_at_any_row_and_rewound_it_ends_as_one_never_killed),
        TEST(test_a_kill_in_the_middle_of_a_row_leaves_whole_rows),
        TEST(test_rewinding_needs_the_rows_and_the_head),
        TEST(test_rewinding_has_no_limit_before_the_ring_is_full),
        TEST(test_a_changed_row_is_named),
        TEST(test_another_file_is_refused),
        TEST(test_counts_of_rows_that_cannot_be_are_refused),
        TEST(test_another_build_is_refused),
        TEST(test_sizes_are_limited),
        TEST(test_no_room_is_an_error_that_leaves_nothing),
        TEST(test_every_block_of_the_file_is_reserved),
        TEST(test_bad_rows_are_not_added),
        TEST(test_flushing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
