// store_test.c - what goes in comes out with its bits, and an update is there whole or not at all.
#include "store/store.h"

#include <float.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/fixture.h"

// SQL beside the store's own connection.
static int64_t sql(const char *path, const char *text) {
    sqlite3      *db;
    sqlite3_stmt *q;
    int64_t       number = -1;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, text, -1, &q, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    const int step = sqlite3_step(q);
    if (step == SQLITE_ROW) number = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return step == SQLITE_ROW || step == SQLITE_DONE ? number : -step;
}

static void assert_same_bits(double a, double b) { assert_memory_equal(&a, &b, sizeof a); }

static void assert_same_reward(mg_reward a, mg_reward b) {
    assert_int_equal(a.kind, b.kind);
    assert_same_bits(a.value, b.value);
    assert_int_equal(a.reason == NULL, b.reason == NULL);
    if (a.reason) assert_string_equal(a.reason, b.reason);
}

static void test_round_trip(void **state) {
    fixture *f        = *state;
    int32_t  tokens[] = {5, -1, INT32_MAX, 0, 17, 4, 9};
    uint8_t  role[]   = {0, 0, 1, 1, 2, 0, 2};
    float    logp[]   = {0, 0, -1.5f, -0.0f, -1e-40f, 0, -3.0f};
    mg_turn  turns[]  = {
        {.observation = "say\0nul", .observation_size = 7, .action = "\xff\x00z", .action_size = 3,
         .action_begin = 2, .action_end = 5, .reward = mg_reward_absent("not yet")},
        {.observation = NULL, .observation_size = 0, .action = NULL, .action_size = 0,
         .action_begin = 6, .action_end = 7, .reward = mg_reward_of(0.25)},
        {.observation = "end", .observation_size = 3, .action = "ok", .action_size = 2,
         .action_begin = 7, .action_end = 7, .reward = mg_reward_invalid("text")},
    };
    const int32_t    prefix[] = {-3, 70000};
    const mg_episode first    = {
        .start = {.item = 1234567890123, .group = -7, .episode = 4294967295u, .attempt = 3,
                  .prefix = prefix, .n_prefix = 2, .demo_turns = 5},
        .seed = 0xfedcba9876543210u, .policy_version = 41, .tokens = tokens, .role = role,
        .logp = logp, .n_tokens = 7, .turns = turns, .n_turns = 3, .truncated = true,
        .stopped = true, .learned = mg_reward_of(-2.5), .verdict = MG_QUARANTINED,
        .code = "V.invalid", .detail = "it's a \"text\"", .code_turn = -1,
        .reset_digest = {1, 2, 3}, .end_digest = {[31] = 255}};
    const mg_episode second = {.terminated = true};

    mg_store *s = living(f->path, 0);
    OK(mg_store_begin(s, 41));
    OK(mg_store_episode(s, &first));
    OK(mg_store_episode(s, &second));
    OK(mg_store_commit(s));
    mg_store_close(s);

    mg_episode *e;
    int64_t     n;
    s = opened(f->path);
    OK(mg_store_episodes_read(s, 0, 100, 10, &f->arena, &e, &n));
    assert_int_equal(n, 2);
    assert_int_equal(e->start.item, 1234567890123);
    assert_int_equal(e->start.group, -7);
    assert_true(e->start.episode == 4294967295u && e->start.attempt == 3);
    assert_true(e->start.n_prefix == 2 && e->start.demo_turns == 5 && e->code_turn == -1);
    assert_memory_equal(e->start.prefix, prefix, sizeof prefix);
    assert_memory_equal(e->reset_digest, first.reset_digest, 32);
    assert_memory_equal(e->end_digest, first.end_digest, 32);
    assert_true(e->seed == 0xfedcba9876543210u && e->policy_version == 41);
    assert_int_equal(e->n_tokens, 7);
    assert_memory_equal(e->tokens, tokens, sizeof tokens);
    assert_memory_equal(e->role, role, sizeof role);
    assert_memory_equal(e->logp, logp, sizeof logp);
    assert_true(!e->terminated && e->truncated && e->stopped);
    assert_int_equal(e->verdict, MG_QUARANTINED);
    assert_string_equal(e->code, "V.invalid");
    assert_string_equal(e->detail, "it's a \"text\"");
    assert_same_reward(e->learned, first.learned);
    assert_int_equal(e->n_turns, 3);
    for (int i = 0; i < 3; i++) {
        const mg_turn *a = &turns[i], *b = &e->turns[i];
        assert_int_equal(a->observation_size, b->observation_size);
        assert_int_equal(a->action_size, b->action_size);
        if (a->observation_size)
            assert_memory_equal(a->observation, b->observation, a->observation_size);
        if (a->action_size) assert_memory_equal(a->action, b->action, a->action_size);
        assert_true(a->action_begin == b->action_begin && a->action_end == b->action_end);
        assert_same_reward(a->reward, b->reward);
    }
    assert_true(e[1].n_turns == 0 && e[1].n_tokens == 0 && e[1].terminated && !e[1].truncated);
    assert_true(e[1].code == NULL && e[1].detail[0] == 0 && e[1].verdict == MG_CLEAN);
    mg_store_close(s);
}

static void test_rewards_are_kept_apart(void **state) {
    fixture        *f        = *state;
    const mg_reward kinds[]  = {
        mg_reward_of(-0.0), mg_reward_of(0.0), mg_reward_of(5e-324), mg_reward_of(-DBL_MAX),
        mg_reward_of(1.0 / 3), mg_reward_of(9007199254740993.0), mg_reward_absent("nobody said"),
        mg_reward_invalid("nonsense"), mg_reward_absent(NULL)};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    mg_store *s = living(f->path, 0);
    OK(mg_store_begin(s, 0));
    for (int i = 0; i < KINDS; i++) {
        mg_turn    turn = {.reward = kinds[i]};
        mg_episode e    = {.turns = &turn, .n_turns = 1, .learned = kinds[KINDS - 1 - i]};
        OK(mg_store_episode(s, &e));
    }
    OK(mg_store_metric(s, "zero", -0.0));
    OK(mg_store_commit(s));

    mg_episode *e;
    mg_point   *p;
    int64_t     n;
    OK(mg_store_episodes_read(s, 0, 1, 100, &f->arena, &e, &n));
    assert_int_equal(n, KINDS);
    for (int i = 0; i < KINDS; i++) {
        assert_same_reward(e[i].turns[0].reward, kinds[i]);
        assert_same_reward(e[i].learned, kinds[KINDS - 1 - i]);
    }
    OK(mg_store_metric_read(s, "zero", &f->arena, &p, &n));
    assert_same_bits(p[0].value, -0.0);
    mg_store_close(s);

    // Nor can another program put a number where none was said, or take one away.
    assert_int_equal(sql(f->path, "update episode set learned = 0 where learned_kind = 0"),
                     -SQLITE_CONSTRAINT);
    assert_int_equal(sql(f->path, "update episode set learned = null where learned_kind = 1"),
                     -SQLITE_CONSTRAINT);
}

static void test_what_is_not_finite_is_refused(void **state) {
    fixture   *f    = *state;
    mg_store  *s    = living(f->path, 0);
    mg_turn    turn = {.reward = {.kind = MG_REWARD_VALUE, .value = NAN}};
    mg_episode bad  = {.turns = &turn, .n_turns = 1};
    mg_turn    owes = {.evidence.owed = {.kind = MG_REWARD_VALUE, .value = -INFINITY}};
    mg_episode debt = {.turns = &owes, .n_turns = 1};
    mg_episode odd  = {.learned = {.kind = MG_REWARD_VALUE, .value = INFINITY}};
    OK(mg_store_begin(s, 12));
    assert_int_equal(mg_store_metric(s, "kl", NAN), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "run.db: update 13: metric kl is"));
    assert_int_equal(mg_store_metric(s, "kl", -INFINITY), MG_NUMERIC);
    assert_int_equal(mg_store_episode(s, &bad), MG_NUMERIC);
    assert_int_equal(mg_store_episode(s, &odd), MG_NUMERIC);
    assert_int_equal(mg_store_episode(s, &debt), MG_NUMERIC);
    mg_store_close(s);
}

static mg_err hand_update(mg_store *s, int64_t update, double value, int64_t item) {
    int32_t    token = 1;
    uint8_t    role  = 2;
    float      logp  = -1;
    char       text[3000];
    mg_turn    turns[2] = {{.action = text, .action_size = sizeof text, .action_end = 1}};
    mg_episode e        = {.start = {.item = item}, .tokens = &token, .role = &role, .logp = &logp,
                           .n_tokens = 1, .turns = turns, .n_turns = 2};
    memset(text, 'a' + (char)(update % 26), sizeof text);
    OK(mg_store_begin(s, update));
    OK(mg_store_metric(s, "loss", value));
    OK(mg_store_episode(s, &e));
    OK(mg_store_episode(s, &e));
    OK(mg_store_metric(s, "kl", value / 2));
    return mg_store_commit(s);
}

static void put_update(mg_store *s, int64_t update, double value, int64_t item) {
    OK(hand_update(s, update, value, item));
}

static void test_a_later_life_replaces(void **state) {
    fixture  *f = *state;
    mg_store *s = living(f->path, 0);
    for (int u = 0; u < 2; u++) put_update(s, u, u, 100 + u);
    OK(mg_store_begin(s, 2));
    OK(mg_store_metric(s, "held_out", 0.5)); // which the later life does not write again
    OK(mg_store_commit(s));
    for (int u = 3; u < 5; u++) put_update(s, u, u, 100 + u);
    mg_store_close(s);
    s = living(f->path, 2);
    put_update(s, 2, 20, 200);

    mg_point   *p;
    mg_episode *e;
    int64_t     n;
    OK(mg_store_metric_read(s, "loss", &f->arena, &p, &n));
    assert_int_equal(n, 3);
    assert_true(p[0].update == 0 && p[0].value == 0 && p[1].update == 1 && p[1].value == 1);
    assert_true(p[2].update == 2 && p[2].value == 20);
    OK(mg_store_metric_read(s, "held_out", &f->arena, &p, &n));
    assert_int_equal(n, 0);
    OK(mg_store_episodes_read(s, 0, INT64_MAX, 100, &f->arena, &e, &n));
    assert_int_equal(n, 6);
    assert_true(e[3].start.item == 101 && e[4].start.item == 200 && e[5].start.item == 200);
    // From and to, and the limit.
    OK(mg_store_episodes_read(s, 1, 2, 100, &f->arena, &e, &n));
    assert_true(n == 2 && e[0].start.item == 101 && e[1].start.item == 101);
    OK(mg_store_episodes_read(s, 0, 3, 3, &f->arena, &e, &n));
    assert_true(n == 3 && e[2].start.item == 101);
    mg_store_close(s);
    // What the first life did is kept all the same.
    assert_int_equal(sql(f->path, "select count(*) from episode"), 10);
    assert_int_equal(sql(f->path, "select count(*) from metric where name = 'held_out'"), 1);
}

static void test_nothing_is_there_before_commit(void **state) {
    fixture  *f = *state;
    mg_store *s = living(f->path, 0), *reader = opened(f->path);
    char    **names;
    mg_point *p;
    int64_t   n;
    OK(mg_store_begin(s, 0));
    OK(mg_store_metric(s, "loss", 1));
    OK(mg_store_metric(s, "loss", 2)); // the later one counts
    OK(mg_store_metric_names(reader, &f->arena, &names, &n));
    assert_int_equal(n, 0);
    OK(mg_store_metric_read(reader, "loss", &f->arena, &p, &n));
    assert_int_equal(n, 0);
    OK(mg_store_metric(s, "accuracy", 0.5));
    OK(mg_store_metric(s, "kl", 3));
    OK(mg_store_commit(s));
    OK(mg_store_wait(s));
    OK(mg_store_metric_names(reader, &f->arena, &names, &n));
    assert_int_equal(n, 3);
    assert_string_equal(names[0], "accuracy");
    assert_string_equal(names[1], "kl");
    assert_string_equal(names[2], "loss");
    OK(mg_store_metric_read(reader, "loss", &f->arena, &p, &n));
    assert_true(n == 1 && p[0].value == 2);
    OK(mg_store_begin(s, 1));
    OK(mg_store_metric(s, "loss", 9));
    mg_store_close(s); // never committed
    OK(mg_store_metric_read(reader, "loss", &f->arena, &p, &n));
    assert_int_equal(n, 1);
    mg_store_close(reader);
}

static void test_notes(void **state) {
    fixture  *f    = *state;
    mg_store *s    = opened(f->path);
    char     *text = "untouched";
    assert_int_equal(mg_store_note_read(s, "config", &f->arena, &text), MG_EMPTY);
    assert_non_null(strstr(mg_err_detail(), "run.db: no note 'config'"));
    assert_string_equal(text, "untouched");
    OK(mg_store_note(s, "config", "seed: 1\n"));
    OK(mg_store_note(s, "card", ""));
    OK(mg_store_note(s, "config", "seed: 2\n"));
    OK(mg_store_note_read(s, "config", &f->arena, &text));
    assert_string_equal(text, "seed: 2\n");
    OK(mg_store_note_read(s, "card", &f->arena, &text));
    assert_string_equal(text, "");
    mg_store_close(s);
}

// The process dies in its `left`-th writing call to the system, halfway through the bytes.
static int64_t left;

static ssize_t dying_write(int fd, const void *data, size_t size) {
    if (--left > 0) return write(fd, data, size);
    ssize_t half = write(fd, data, size / 2);
    raise(SIGKILL);
    return half;
}

static ssize_t dying_pwrite(int fd, const void *data, size_t size, off_t at) {
    if (--left > 0) return pwrite(fd, data, size, at);
    ssize_t half = pwrite(fd, data, size / 2, at);
    raise(SIGKILL);
    return half;
}

// False when the update was through before the process would have died.
static bool killed_in_update(const char *path, int64_t update, int64_t writes) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mg_store    *s   = living(path, update);
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
        left             = writes;
        vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)dying_write);
        vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)dying_pwrite);
        vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)dying_pwrite);
        put_update(s, update, -1, 999);
        OK(mg_store_wait(s));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
    else assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

// One killed at each write of an update's transaction: the older update and the row that the new
// one was to replace are there, and of the new one all or nothing.
static void test_killed_in_an_update(void **state) {
    fixture *f      = *state;
    int64_t  absent = 0, whole = 0;
    bool     killed = true;
    for (int64_t writes = 1; killed; writes++) {
        nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        assert_int_equal(mkdir(f->folder, 0700), 0);
        mg_store *s = living(f->path, 0);
        put_update(s, 0, 0, 100);
        put_update(s, 1, 1, 101);
        mg_store_close(s);
        killed = killed_in_update(f->path, 1, writes);

        mg_point   *loss, *kl;
        mg_episode *e;
        int64_t     n_loss, n_kl, n;
        s = opened(f->path);
        OK(mg_store_metric_read(s, "loss", &f->arena, &loss, &n_loss));
        OK(mg_store_metric_read(s, "kl", &f->arena, &kl, &n_kl));
        OK(mg_store_episodes_read(s, 0, 9, 9, &f->arena, &e, &n));
        assert_true(n_loss == 2 && n_kl == 2 && n == 4);
        const bool new = loss[1].value == -1;
        assert_true(kl[1].value == (new ? -0.5 : 0.5));
        for (int i = 0; i < 4; i++) {
            assert_int_equal(e[i].start.item, i < 2 ? 100 : new ? 999 : 101);
            assert_int_equal(e[i].n_turns, 2);
            assert_int_equal(e[i].turns[0].action[2999], i < 2 ? 'a' : 'b');
        }
        OK(mg_store_verify(s));
        OK(mg_store_life(s, 1, "test"));
        put_update(s, 1, 7, 102); // the next life writes on
        OK(mg_store_close(s));
        *(new ? &whole : &absent) += 1;
        assert_true(killed || new);
    }
    assert_true(absent >= 10); // a transaction is several pages, each written in several pieces
    assert_true(whole >= 1);
}

static void put_file(const char *path, const char *text) {
    OK(mg_file_write(path, text, strlen(text)));
}

static void test_not_a_run(void **state) {
    fixture  *f = *state;
    mg_store *s = (mg_store *)f;
    char     *before, *after;
    size_t    size, size_after;

    put_file(f->path, "prompt,completion\nThis is a table that somebody keeps, and no database.\n"
                      "It is longer than the hundred bytes that SQLite's own header would take.\n");
    assert_int_equal(mg_store_open(&s, f->path), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), f->path));
    assert_ptr_equal(s, f); // untouched

    remove(f->path);
    sql(f->path, "create table address(name text)");
    OK(mg_file_read(f->path, 1 << 20, &f->arena, &before, &size));
    assert_int_equal(mg_store_open(&s, f->path), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "run.db: a database, but not one of a run"));
    OK(mg_file_read(f->path, 1 << 20, &f->arena, &after, &size_after));
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);

    remove(f->path);
    s = opened(f->path);
    mg_store_close(s);
    assert_int_equal(sql(f->path, "pragma user_version = 1"), -1);
    assert_int_equal(mg_store_open(&s, f->path), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "run.db: schema version 1, wanted 2: written by an older"));
    sql(f->path, "pragma user_version = 3");
    assert_int_equal(mg_store_open(&s, f->path), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), "run.db: schema version 3, wanted 2: written by a newer"));
    sql(f->path, "pragma user_version = 2");
    mg_store_close(opened(f->path));
}

static void test_places_where_no_file_can_be(void **state) {
    fixture  *f = *state;
    mg_store *s;
    assert_int_equal(mg_store_open(&s, f->folder), MG_IO);
    assert_non_null(strstr(mg_err_detail(), f->folder));
    assert_int_equal(mg_store_open(&s, "/nowhere/at/all/run.db"), MG_IO);
}

// Permissions bind everybody but root.
static void test_read_only_folder(void **state) {
    fixture *f = *state;
    mg_store_close(opened(f->path));
    assert_int_equal(chmod(f->folder, 0555), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char      fresh[96];
        mg_store *s;
        snprintf(fresh, sizeof fresh, "%s/fresh.db", f->folder);
        if (geteuid() == 0 && seteuid(65534)) _exit(10);
        if (mg_store_open(&s, fresh) != MG_IO || !strstr(mg_err_detail(), fresh)) _exit(11);
        if (mg_store_open(&s, f->path) != MG_IO || !strstr(mg_err_detail(), f->path)) _exit(12);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

// SQLite counts the sleeps that it asked for and never looks at a clock, so they need not be slept.
static int64_t slept_us;

static int no_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    slept_us += microseconds;
    return microseconds;
}

static void test_locked(void **state) {
    fixture    *f   = *state;
    sqlite3_vfs vfs = *sqlite3_vfs_find(NULL);
    vfs.zName       = "no-sleep";
    vfs.xSleep      = no_sleep;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
    mg_store *s = living(f->path, 0);
    sqlite3  *other;
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
    slept_us = 0;
    const mg_err handed = hand_update(s, 0, 0, 1); // whether it goes well may be known by then, or not yet
    assert_true(handed == MG_OK || handed == MG_BUSY);
    assert_int_equal(mg_store_wait(s), MG_BUSY);
    assert_non_null(strstr(mg_err_detail(), "run.db: update 1: database is locked"));
    assert_true(slept_us > 4900 * 1000 && slept_us <= MG_STORE_BUSY_MS * 1000);
    // A record with a hole is worse than one that ends.
    mg_point *p;
    int64_t   n;
    assert_int_equal(mg_store_begin(s, 1), MG_BUSY);
    assert_int_equal(mg_store_note(s, "config", ""), MG_BUSY);
    assert_int_equal(mg_store_metric_read(s, "loss", &f->arena, &p, &n), MG_BUSY);
    assert_int_equal(mg_store_close(s), MG_BUSY);
    assert_non_null(strstr(mg_err_detail(), "run.db: update 1: database is locked"));
    assert_int_equal(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    s = living(f->path, 0); // and nothing is left behind
    put_update(s, 0, 0, 1);
    OK(mg_store_close(s));
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
}

static void test_damaged_rows(void **state) {
    fixture    *f = *state;
    mg_store   *s = living(f->path, 0);
    mg_episode *e = NULL;
    int64_t     n = -1;
    put_update(s, 0, 0, 1);
    OK(mg_store_wait(s));
    static const struct {
        const char *damage, *repair, *said;
    } cases[] = {
        {"update episode set tokens = x'010203' where id = 2",
         "update episode set tokens = x'01000000' where id = 2", "episode 0: 3 bytes of tokens"},
        {"update episode set logp = x'' where id = 1",
         "update episode set logp = x'000080bf' where id = 1", "episode 0: 4 bytes of tokens"},
        {"update episode set n_turns = 1", "update episode set n_turns = 2", "turn 0: its bytes are no turn"},
        {"update episode set n_turns = 3", "update episode set n_turns = 2", "turn 2: its bytes are no turn"},
        {"update episode set n_turns = -1", "update episode set n_turns = 2", "-1 turns"},
        {"update episode set turns = substr(turns, 2)", NULL, "turn 0: its bytes are no turn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sql(f->path, cases[i].damage), -1);
        assert_int_equal(mg_store_episodes_read(s, 0, 1, 10, &f->arena, &e, &n), MG_CORRUPT);
        if (!strstr(mg_err_detail(), cases[i].said)) fail_msg("%s", mg_err_detail());
        assert_true(e == NULL && n == -1);
        if (!cases[i].repair) continue;
        assert_int_equal(sql(f->path, cases[i].repair), -1);
        OK(mg_store_verify(s));
    }
    mg_store_close(s);
}

// A page of the table overwritten: an error, and not the rows up to there.
static void test_damaged_pages(void **state) {
    fixture *f = *state;
    mg_store *s = living(f->path, 0);
    for (int u = 0; u < 400; u++) put_update(s, u, u, u);
    mg_store_close(s);
    const int64_t size = sql(f->path, "pragma page_size");
    FILE         *file = fopen(f->path, "r+b");
    char          page[65536];
    memset(page, 0xa5, sizeof page);
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    const long pages = ftell(file) / size;
    for (long p = pages / 2; p < pages; p++) {
        fseek(file, p * size, SEEK_SET);
        fwrite(page, 1, (size_t)size, file);
    }
    fclose(file);
    mg_episode *e;
    int64_t     n;
    s = opened(f->path);
    assert_int_equal(mg_store_episodes_read(s, 0, 400, 1000, &f->arena, &e, &n), MG_CORRUPT);
    mg_store_close(s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_rewards_are_kept_apart),
        TEST(test_what_is_not_finite_is_refused),
        TEST(test_a_later_life_replaces),
        TEST(test_nothing_is_there_before_commit),
        TEST(test_notes),
        TEST(test_killed_in_an_update),
        TEST(test_not_a_run),
        TEST(test_places_where_no_file_can_be),
        TEST(test_read_only_folder),
        TEST(test_locked),
        TEST(test_damaged_rows),
        TEST(test_damaged_pages),
    };
    mg_store_close(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
