// Goal:   every piece runs exactly once, on one worker at a time, and the number of threads changes
//         no bit.
// Method: counters without atomics (a piece run twice at once is a race that ThreadSanitizer sees),
//         runs that follow one another at once and after a pause long enough for workers to sleep.
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rng.h"
#include "core/thread.h"

enum { PIECES_MAX = 1000, SIZE = 37, N = 20011, YIELDS_MAX = 1000000 };

static const int team_sizes[] = {1, 2, 5};

typedef struct tally {
    int threads;
    int runs_of_piece[PIECES_MAX];
    int busy[MG_THREADS_MAX]; // 1 while a worker is inside a piece
    atomic_int wrong;         // workers out of range or entered twice
} tally;

static void count_piece(void *context, int64_t piece, int worker) {
    tally *t = context;
    if (worker < 0 || worker >= t->threads || t->busy[worker]++) atomic_fetch_add(&t->wrong, 1);
    t->runs_of_piece[piece]++;
    t->busy[worker]--;
}

static void check_tally(const tally *t, int64_t pieces, int runs) {
    assert_int_equal(t->wrong, 0);
    for (int64_t i = 0; i < PIECES_MAX; i++)
        assert_int_equal(t->runs_of_piece[i], i < pieces ? runs : 0);
}

static void every_piece_runs_once(void **state) {
    (void)state;
    const int64_t pieces[] = {0, 1, 2, 4, 5, 6, PIECES_MAX};
    for (int i = 0; i < 3; i++) {
        mg_team *team;
        assert_int_equal(mg_team_open(&team, team_sizes[i]), MG_OK);
        assert_int_equal(mg_team_threads(team), team_sizes[i]);
        for (int j = 0; j < 7; j++) {
            tally t = {.threads = team_sizes[i]};
            mg_team_run(team, count_piece, &t, pieces[j]);
            check_tally(&t, pieces[j], 1);
        }
        mg_team_close(team);
    }
}

static void many_tiny_runs_lose_nothing(void **state) {
    (void)state;
    enum { RUNS = 5000 };
    mg_team *team;
    tally    t = {.threads = 5};
    assert_int_equal(mg_team_open(&team, 5), MG_OK);
    for (int run = 0; run < RUNS; run++) {
        mg_team_run(team, count_piece, &t, 3);
        assert_int_equal(t.runs_of_piece[run % 3], run + 1); // done, and seen here, on return
    }
    mg_team_close(team);
    check_tally(&t, 3, RUNS);
}

typedef struct meeting {
    atomic_int here;
    int        piece_of_worker[5]; // plus one; 0: no piece came to this worker
} meeting;

static void wait_for_all(void *context, int64_t piece, int worker) {
    meeting *m                 = context;
    m->piece_of_worker[worker] = (int)piece + 1;
    atomic_fetch_add(&m->here, 1);
    for (int i = 0; i < YIELDS_MAX && atomic_load(&m->here) < 5; i++) sched_yield();
}

static void all_members_work_at_once_under_their_own_number(void **state) {
    (void)state;
    mg_team *team;
    meeting  m = {.here = 0};
    assert_int_equal(mg_team_open(&team, 5), MG_OK);
    mg_team_run(team, wait_for_all, &m, 5);
    mg_team_close(team);
    for (int i = 0; i < 5; i++) assert_in_range(m.piece_of_worker[i], 1, 5);
}

// Long enough between runs, or in the caller's piece, that the others give up spinning and sleep.
static double idle(int steps) {
    volatile double x = 1;
    for (int i = 0; i < steps; i++) x = x * 0.5 + 1;
    return x;
}

static void slow_first_piece(void *context, int64_t piece, int worker) {
    if (piece == 0) idle(300000);
    count_piece(context, piece, worker);
}

static void sleeping_members_are_woken(void **state) {
    (void)state;
    enum { RUNS = 30 };
    mg_team *team;
    tally    t = {.threads = 2};
    assert_int_equal(mg_team_open(&team, 2), MG_OK);
    for (int run = 0; run < RUNS; run++) {
        idle(300000);
        mg_team_run(team, slow_first_piece, &t, 2);
    }
    mg_team_close(team);
    check_tally(&t, 2, RUNS);
}

typedef struct slices {
    const float *x;
    float        sum[(N + SIZE - 1) / SIZE];
} slices;

static void sum_slice(void *context, int64_t piece, int worker) {
    (void)worker;
    slices *s   = context;
    float   sum = 0;
    for (int64_t i = piece * SIZE; i < mg_piece_end(N, SIZE, piece); i++) sum += s->x[i];
    s->sum[piece] = sum;
}

static void sums_have_the_same_bits_with_any_number_of_threads(void **state) {
    (void)state;
    static float x[N];
    mg_rng       r = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < N; i++) x[i] = (float)mg_rng_normal(&r);

    slices        alone = {.x = x};
    const int64_t pieces = mg_pieces(N, SIZE);
    for (int64_t i = 0; i < pieces; i++) sum_slice(&alone, i, 0);
    for (int i = 0; i < 3; i++) {
        mg_team *team;
        slices   together = {.x = x};
        assert_int_equal(mg_team_open(&team, team_sizes[i]), MG_OK);
        mg_team_run(team, sum_slice, &together, pieces);
        mg_team_close(team);
        assert_memory_equal(together.sum, alone.sum, sizeof alone.sum);
    }
}

static void pieces_cover_the_whole_without_overlap(void **state) {
    (void)state;
    assert_int_equal(mg_pieces(0, 4), 0);
    assert_int_equal(mg_pieces(1, 4), 1);
    assert_int_equal(mg_pieces(4, 4), 1);
    assert_int_equal(mg_pieces(5, 4), 2);
    assert_int_equal(mg_piece_end(5, 4, 0), 4);
    assert_int_equal(mg_piece_end(5, 4, 1), 5);
    assert_int_equal(mg_piece_end(8, 4, 1), 8);
}

typedef struct sequence {
    int64_t pieces[4];
    int     n;
} sequence;

static void note_piece(void *context, int64_t piece, int worker) {
    sequence *s = context;
    assert_int_equal(worker, 0);
    s->pieces[s->n++] = piece;
}

static void no_team_runs_in_order_here(void **state) {
    (void)state;
    sequence s = {.n = 0};
    assert_int_equal(mg_team_threads(NULL), 1);
    mg_team_run(NULL, note_piece, &s, 4);
    assert_int_equal(s.n, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(s.pieces[i], i);
    mg_team_close(NULL);
}

static void no_number_means_the_affinity_mask(void **state) {
    (void)state;
    mg_team *team;
    assert_int_equal(mg_team_open(&team, 0), MG_OK);
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    assert_in_range(mg_team_threads(team), 1, online < MG_THREADS_MAX ? online : MG_THREADS_MAX);
    mg_team_close(team);
}

static void impossible_teams_are_refused(void **state) {
    (void)state;
    mg_team *team = NULL;
    assert_int_equal(mg_team_open(&team, -1), MG_CONFIG);
    assert_string_equal(mg_err_detail(), "threads: found -1, wanted 1..256");
    assert_int_equal(mg_team_open(&team, MG_THREADS_MAX + 1), MG_CONFIG);
    assert_null(team);
}

static void run_within(void *context, int64_t piece, int worker) {
    (void)worker;
    tally t = {.threads = 2};
    if (piece == 0) mg_team_run(context, count_piece, &t, 2);
}

// The member of a team of two begins a run when the caller has no piece left and waits for it.
static void run_behind_the_door(void *context, int64_t piece, int worker) {
    static atomic_int here;
    (void)piece;
    atomic_fetch_add(&here, 1);
    while (atomic_load(&here) < 2) sched_yield(); // each has a piece
    if (worker == 0) return;
    for (int i = 0; i < YIELDS_MAX / 100; i++) sched_yield();
    tally t = {.threads = 2};
    mg_team_run(context, count_piece, &t, 2);
}

static void assert_aborts(mg_piece_fn *fn) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        alarm(20); // a team that hangs ends, and not by an abort
        mg_team *team;
        if (!freopen("/dev/null", "w", stderr) || mg_team_open(&team, 2)) _exit(1);
        mg_team_run(team, fn, team, 2);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_run_within_a_run_aborts(void **state) {
    (void)state;
    assert_aborts(run_within);
    assert_aborts(run_behind_the_door);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_within_a_run_aborts), // first: it forks while there is one thread
        cmocka_unit_test(every_piece_runs_once),
        cmocka_unit_test(many_tiny_runs_lose_nothing),
        cmocka_unit_test(all_members_work_at_once_under_their_own_number),
        cmocka_unit_test(sleeping_members_are_woken),
        cmocka_unit_test(sums_have_the_same_bits_with_any_number_of_threads),
        cmocka_unit_test(pieces_cover_the_whole_without_overlap),
        cmocka_unit_test(no_team_runs_in_order_here),
        cmocka_unit_test(no_number_means_the_affinity_mask),
        cmocka_unit_test(impossible_teams_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
