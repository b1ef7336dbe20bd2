// Goal:   what was acknowledged is there after any death; a queue that is full waits; what goes wrong in
//         the writer's thread is told to whoever asks next, and leaves no hole.
// Method: real files; a lock held by somebody else and given back from SQLite's own sleep; limits of
//         the system; a process killed at each of its writes.
#include "store/writer.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/fixture.h"
#include "store/store.h"

static mg_err put_update(mg_store *s, int64_t update, size_t size) {
    char       text[60000];
    mg_turn    turns[3] = {{.action = text, .action_size = size}, {.reward = mg_reward_of(1)}};
    mg_episode e        = {.start = {.item = update}, .turns = turns, .n_turns = 3};
    memset(text, 'a', sizeof text);
    mg_err err = mg_store_begin(s, update);
    if (!err) err = mg_store_episode(s, &e);
    if (!err) err = mg_store_commit(s);
    return err;
}

static int64_t updates_in(fixture *f, const char *path) {
    mg_store   *s = NULL;
    mg_episode *e;
    int64_t     n;
    OK(mg_store_open(&s, path));
    OK(mg_store_verify(s));
    OK(mg_store_episodes_read(s, 0, INT64_MAX, INT64_MAX, &f->arena, &e, &n));
    for (int64_t i = 0; i < n; i++) assert_true(e[i].start.item == i && e[i].n_turns == 3);
    OK(mg_store_close(s));
    return n;
}

static void test_everything_that_was_committed_is_there_after_close(void **state) {
    fixture  *f = *state;
    mg_store *s = living(f->path, 0);
    for (int u = 0; u < 50; u++) OK(put_update(s, u, 100));
    OK(mg_store_begin(s, 50)); // and what was not is not
    OK(mg_store_close(s));
    assert_int_equal(updates_in(f, f->path), 50);
}

// ---- A full queue ----

// Somebody else has the lock until the owner has begun so many updates. The writer's thread comes here
// when SQLite would sleep because of that lock.
static sqlite3   *other;
static atomic_int begun, got;  // updates that the owner is about to begin, and has handed over
static int        enough;      // of `begun`
static int        got_waiting; // of `got` while the lock was held

static int sleep_until_enough(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    while (atomic_load(&begun) < enough) sched_yield();
    for (int i = 0; i < 2000; i++) sched_yield(); // time enough to go on, for one that does not wait
    if (other) {
        got_waiting = atomic_load(&got);
        sqlite3_exec(other, "commit", NULL, NULL, NULL);
        sqlite3_close(other);
        other = NULL;
    }
    return microseconds;
}

static mg_store *with_the_lock_elsewhere(fixture *f, sqlite3_vfs *vfs, const char *sql, int until) {
    *vfs        = *sqlite3_vfs_find(NULL);
    vfs->zName  = "sleep-until-enough";
    vfs->xSleep = sleep_until_enough;
    assert_int_equal(sqlite3_vfs_register(vfs, 1), SQLITE_OK);
    mg_store *s = living(f->path, 0);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
    enough = until;
    atomic_store(&begun, 0);
    atomic_store(&got, 0);
    return s;
}

static void test_a_full_queue_waits(void **state) {
    fixture    *f = *state;
    sqlite3_vfs vfs;
    mg_store   *s = with_the_lock_elsewhere(f, &vfs, "begin immediate", MG_STORE_QUEUE_MAX + 1);
    for (int u = 0; u < 10; u++) {
        atomic_fetch_add(&begun, 1);
        OK(put_update(s, u, 10));
        atomic_fetch_add(&got, 1);
    }
    OK(mg_store_close(s));
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    assert_int_equal(got_waiting, MG_STORE_QUEUE_MAX);
    assert_int_equal(updates_in(f, f->path), 10);
}

// ---- What goes wrong ----

// The second update is handed over when the first cannot be written: it could be, and must not be.
static void test_behind_an_update_that_failed_nothing_is_written(void **state) {
    fixture    *f = *state;
    sqlite3_vfs vfs;
    mg_episode *e;
    int64_t     n;
    mg_store   *s = with_the_lock_elsewhere(f, &vfs, "begin immediate; insert into done values (1, 0, 0, 0, '')", 3);
    for (int u = 0; u < 2; u++) {
        atomic_fetch_add(&begun, 1);
        OK(put_update(s, u, 10));
    }
    atomic_fetch_add(&begun, 1);
    assert_int_equal(mg_store_wait(s), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "run.db: update 1: UNIQUE constraint failed"));
    assert_int_equal(mg_store_episodes_read(s, 0, 9, 9, &f->arena, &e, &n), MG_IO);
    // Nor does the lock stay with who has failed.
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "insert into note select 'done', count(*) from done", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(mg_store_close(s), MG_IO);
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    char *done;
    OK(mg_store_open(&s, f->path));
    OK(mg_store_note_read(s, "done", &f->arena, &done));
    assert_string_equal(done, "1"); // the one that stood in the way
    OK(mg_store_close(s));
}

// In a process of its own: what `child` returns is its exit status.
static void in_child(fixture *f, int (*child)(fixture *)) {
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(child(f));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int full_disk(fixture *f) {
    const struct rlimit limit = {1 << 20, 1 << 20};
    mg_store           *s     = NULL;
    mg_err              err   = MG_OK;
    signal(SIGXFSZ, SIG_IGN); // the write fails instead
    if (setrlimit(RLIMIT_FSIZE, &limit) || mg_store_open(&s, f->path) || mg_store_life(s, 0, "test")) return 1;
    for (int u = 0; u < 1000 && !err; u++) err = put_update(s, u, 60000);
    if (!err) err = mg_store_wait(s);
    if (err != MG_IO || !strstr(mg_err_detail(), "run.db: update ")) return 2;
    if (mg_store_wait(s) != MG_IO || mg_store_close(s) != MG_IO) return 3; // and it stays told
    return strstr(mg_err_detail(), "run.db: update ") ? 0 : 4;
}

static void test_a_full_disk_ends_the_record_between_two_updates(void **state) {
    fixture *f = *state;
    in_child(f, full_disk);
    const int64_t n = updates_in(f, f->path);
    assert_true(n >= 2 && n < 1000);
    mg_store *s = living(f->path, n); // with more room it goes on
    OK(put_update(s, n, 10));
    OK(mg_store_close(s));
    assert_int_equal(updates_in(f, f->path), n + 1);
}

// Permissions bind everybody but root.
static int read_only(fixture *f) {
    mg_store *s = NULL;
    if (geteuid() == 0 && seteuid(65534)) return 1;
    if (mg_store_open(&s, f->path) || mg_store_life(s, 1, "test")) return 2; // it can be read
    const mg_err err = put_update(s, 1, 10);
    if (err ? err != MG_IO : mg_store_wait(s) != MG_IO) return 3;
    if (!strstr(mg_err_detail(), "run.db: update 2: attempt to write a readonly database")) return 4;
    return mg_store_close(s) == MG_IO ? 0 : 5;
}

static void test_a_file_that_is_read_only_says_so(void **state) {
    fixture  *f = *state;
    mg_store *s = living(f->path, 0);
    OK(put_update(s, 0, 10));
    OK(mg_store_close(s));
    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(chmod(f->path, 0444), 0);
    in_child(f, read_only);
    assert_int_equal(updates_in(f, f->path), 1);
}

// ---- Acknowledged means committed ----

static int64_t left; // writing calls until the process dies

static ssize_t dying_pwrite(int fd, const void *data, size_t size, off_t at) {
    if (--left > 0) return pwrite(fd, data, size, at);
    const ssize_t half = pwrite(fd, data, size / 2, at);
    raise(SIGKILL);
    return half;
}

// Writes updates for ever and says of each that was acknowledged a byte into the pipe.
static void write_until_killed(const char *path, int64_t writes, int pipe) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    mg_store    *s   = living(path, 0);
    left             = writes;
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)dying_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)dying_pwrite);
    for (int u = 0;; u++) {
        if (put_update(s, u, 10)) _exit(1);
        if (u % 3 != 2) continue; // several are on their way
        if (mg_store_wait(s) || write(pipe, "123", 3) != 3) _exit(2);
    }
}

static void test_what_was_acknowledged_is_there_after_a_kill(void **state) {
    fixture *f     = *state;
    int64_t  found = 0;
    for (int64_t writes = 1; writes < 120; writes += 2) {
        int  ends[2], status;
        char path[96], bytes[300];
        snprintf(path, sizeof path, "%s/%lld.db", f->folder, (long long)writes);
        assert_int_equal(pipe(ends), 0);
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) write_until_killed(path, writes, ends[1]);
        close(ends[1]);
        int64_t acknowledged = 0;
        for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;) acknowledged += n;
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        const int64_t n = updates_in(f, path);
        assert_in_range(n, acknowledged, acknowledged + 3);
        found += n;
    }
    assert_true(found > 60);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_everything_that_was_committed_is_there_after_close),
        TEST(test_a_full_queue_waits),
        TEST(test_behind_an_update_that_failed_nothing_is_written),
        TEST(test_a_full_disk_ends_the_record_between_two_updates),
        TEST(test_a_file_that_is_read_only_says_so),
        TEST(test_what_was_acknowledged_is_there_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
