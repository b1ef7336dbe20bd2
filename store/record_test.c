// Goal:   a record says what happened, in which life, and which episodes fed which update; nobody can
//         change it unnoticed.
// Method: heads against hashes computed outside this program from chain.h's text; real files edited
//         through SQLite; runs that were cut short and went on against runs that were not.
#include "store/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "store/db.h"
#include "store/fixture.h"

static void assert_hex(const uint8_t hash[32], const char *hex) {
    char found[65];
    for (int i = 0; i < 32; i++) snprintf(found + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(found, hex);
}

// ---- The chain ----

static const mg_touch touched[] = {{.key = "order/17", .wrote = true, .before = 11, .after = 12}};

// An episode with something in every field.
static mg_episode whole(mg_turn turns[2]) {
    static const int32_t prefix[] = {-3, 70000};
    static int32_t tokens[] = {5, -1, 7, 8};
    static uint8_t role[]   = {0, 0, 2, 2};
    static float   logp[]   = {0, 0, -1.5f, -0.25f};
    turns[0] = (mg_turn){
        .observation = "say\0nul", .observation_size = 7, .action = "refund 17", .action_size = 9,
        .action_begin = 2, .action_end = 3, .reward = mg_reward_of(-0.0),
        .evidence = {.action = "refund", .arguments = "{\"order\":17}", .status = MG_STATUS_OK,
                     .touched = touched, .n_touched = 1, .took_ns = 5, .conditions = 2, .held = 1,
                     .owed = mg_reward_of(0.5)},
        .call = {.request = 1, .nonce = 99, .intended_ns = 1, .sent_ns = 2, .received_ns = 3,
                 .raw = "{\"a\":1}", .raw_size = 7, .injected = "late", .load = 4}};
    turns[1] = (mg_turn){.action_begin = 3, .action_end = 4, .reward = mg_reward_invalid("text")};
    mg_episode e = {
        .start = {.item = 9, .group = 3, .episode = 7, .attempt = 1, .prefix = prefix, .n_prefix = 2,
                  .demo_turns = 4},
        .seed = 0xfedcba9876543210u, .policy_version = 12, .tokens = tokens, .role = role,
        .logp = logp, .n_tokens = 4, .turns = turns, .n_turns = 2, .truncated = true, .stopped = true,
        .code = "M.wrong", .detail = "unsolved", .code_turn = -1};
    memset(e.reset_digest, 1, 32);
    memset(e.end_digest, 2, 32);
    return e;
}

// Hashes by Python's hashlib, written from chain.h and bytes.h.
static void test_heads_are_what_the_header_says(void **state) {
    (void)state;
    mg_turn    turns[2];
    mg_episode e = whole(turns);
    uint8_t    heads[2][32], head[32], life[32] = {0};
    mg_episode_head(&e, heads[0]);
    assert_hex(heads[0], "0469d06e300b56fb71829a7c8a65b64ea378021bd4177d3e09af010f08e36b4b");
    memcpy(heads[1], heads[0], 32);
    mg_chain_start("test", head);
    assert_hex(head, "226ccce53518471cc03b49f5ee9834a452b0fae5d942c764c5f380979313dcc4");
    mg_chain_life(life, 1, 0, "test", head);
    assert_hex(life, "7ff850ffa91f27c16e63be7203416ae863f778ee4dc5c5b9334e9994a1c89b0d");
    mg_fed_replay r = {.low = 10, .high = 500, .key = 77};
    memset(r.hash, 3, 32);
    mg_chain_join(head, &(mg_chain_update){.heads = (const uint8_t(*)[32])heads, .n = 2,
                                           .fed = (const uint8_t(*)[32])heads, .n_fed = 1, .replay = &r});
    assert_hex(head, "23f404ea1ce8f4f7fe28afb00f81fa7b47cf897a6a99cb65ba3f9203b64e2473");
}

static void test_a_long_text_is_hashed_like_a_short_one(void **state) {
    (void)state;
    char       text[5000];
    mg_turn    turn = {.observation = text, .observation_size = sizeof text, .action = "", .reward = {0}};
    mg_episode e    = {.turns = &turn, .n_turns = 1};
    uint8_t    a[32], b[32];
    memset(text, 'x', sizeof text);
    mg_episode_head(&e, a);
    text[4999] = 'y';
    mg_episode_head(&e, b);
    assert_memory_not_equal(a, b, 32);
}

static void test_what_a_clock_decides_is_not_hashed(void **state) {
    (void)state;
    mg_turn    turns[2];
    mg_episode e = whole(turns);
    uint8_t    a[32], b[32];
    mg_episode_head(&e, a);
    turns[0].call.intended_ns = 8, turns[0].call.sent_ns = 9, turns[0].call.received_ns = 0;
    turns[0].call.load = 0;
    turns[1].call.sent_ns = 4;
    mg_episode_head(&e, b);
    assert_memory_equal(a, b, 32);
    turns[1].call.request = 4;
    mg_episode_head(&e, b);
    assert_memory_not_equal(a, b, 32);
}

// ---- Records ----

static void assert_same_reward(mg_reward a, mg_reward b) {
    assert_int_equal(a.kind, b.kind);
    assert_memory_equal(&a.value, &b.value, sizeof a.value);
    assert_int_equal(a.reason == NULL, b.reason == NULL);
    if (a.reason) assert_string_equal(a.reason, b.reason);
}

static void assert_same_call(const mg_turn *a, const mg_turn *b) {
    const mg_evidence *x = &a->evidence, *y = &b->evidence;
    assert_true(a->call.request == b->call.request && a->call.nonce == b->call.nonce);
    assert_true(a->call.intended_ns == b->call.intended_ns && a->call.sent_ns == b->call.sent_ns);
    assert_true(a->call.received_ns == b->call.received_ns && a->call.load == b->call.load);
    assert_int_equal(a->call.raw_size, b->call.raw_size);
    assert_memory_equal(a->call.raw, b->call.raw, a->call.raw_size);
    assert_string_equal(a->call.injected, b->call.injected);
    assert_string_equal(x->action, y->action);
    assert_string_equal(x->arguments, y->arguments);
    assert_true(x->status == y->status && !y->error && x->took_ns == y->took_ns);
    assert_true(x->conditions == y->conditions && x->held == y->held);
    assert_same_reward(x->owed, y->owed);
    assert_int_equal(y->n_touched, 1);
    assert_string_equal(y->touched->key, "order/17");
    assert_true(y->touched->wrote && !y->touched->shown && y->touched->before == 11 && y->touched->after == 12);
}

static void test_calls_and_evidence_come_back(void **state) {
    fixture    *f = *state;
    mg_turn     turns[2];
    mg_episode  e = whole(turns), *back;
    int64_t     n;
    uint8_t     head[32], again[32];
    mg_store   *s = living(f->path, 0);
    OK(mg_store_begin(s, 0));
    OK(mg_store_episode(s, &e));
    OK(mg_store_commit(s));
    OK(mg_store_episodes_read(s, 0, 1, 9, &f->arena, &back, &n));
    assert_int_equal(n, 1);
    assert_same_call(&turns[0], &back->turns[0]);
    assert_true(back->turns[1].call.raw == NULL && back->turns[1].evidence.action == NULL);
    mg_episode_head(&e, head);
    mg_episode_head(back, again);
    assert_memory_equal(head, again, 32);
    mg_store_close(s);
}

static void test_a_replayable_record_leaves_out_what_can_be_played_again(void **state) {
    fixture    *f = *state;
    mg_turn     turns[2];
    mg_episode  e = whole(turns), *back;
    int64_t     n;
    uint8_t     heads[2][32];
    for (int how = MG_RECORD_FULL; how <= MG_RECORD_REPLAYABLE; how++) {
        snprintf(f->path, sizeof f->path, "%s/%d.db", f->folder, how);
        mg_store *s = living(f->path, 0);
        mg_store_record(s, (mg_record)how);
        OK(mg_store_begin(s, 0));
        OK(mg_store_episode(s, &e));
        OK(mg_store_commit(s));
        OK(mg_store_head(s, heads[how]));
        OK(mg_store_verify(s));
        OK(mg_store_episodes_read(s, 0, 1, 9, &f->arena, &back, &n));
        mg_store_close(s);
    }
    assert_memory_equal(heads[0], heads[1], 32);
    // Absent is not empty.
    assert_true(back->tokens == NULL && back->role == NULL && back->logp == NULL && back->n_tokens == 0);
    assert_true(back->turns[0].observation == NULL && back->turns[1].observation == NULL);
    assert_true(back->turns[0].call.raw == NULL && back->turns[0].evidence.action == NULL);
    // What is needed to play it again, and what came out.
    assert_string_equal(back->turns[0].action, "refund 17");
    assert_same_reward(back->turns[0].reward, turns[0].reward);
    assert_same_reward(back->turns[1].reward, turns[1].reward);
    assert_true(back->seed == e.seed && back->start.n_prefix == 2 && back->start.prefix[1] == 70000);
    assert_memory_equal(back->reset_digest, e.reset_digest, 32);
    assert_memory_equal(back->end_digest, e.end_digest, 32);
    assert_string_equal(back->code, "M.wrong");
}

// ---- Lives ----

// One update of two groups with two episodes each, handed over out of order. `policy` goes into them.
static void put_update(mg_store *s, int64_t update, int64_t policy) {
    OK(mg_store_begin(s, update));
    OK(mg_store_metric(s, "loss", (double)update));
    for (int i = 3; i >= 0; i--) {
        mg_turn    turns[2];
        mg_episode e = whole(turns);
        e.start.group = i / 2, e.start.episode = (uint32_t)i, e.policy_version = policy;
        OK(mg_store_episode(s, &e));
        if (i != 2) OK(mg_store_fed(s, &e));
    }
    OK(mg_store_fed_replay(s, &(mg_fed_replay){.low = 0, .high = 10 * update, .hash = {1, 2}, .key = 5}));
    OK(mg_store_commit(s));
}

static void put_updates(mg_store *s, int64_t from, int64_t to) {
    for (int64_t u = from; u < to; u++) put_update(s, u, u);
}

static void head_of(mg_store *s, uint8_t out[32]) { OK(mg_store_head(s, out)); }

static void test_a_run_that_went_on_ends_with_the_same_head(void **state) {
    fixture *f = *state;
    uint8_t  straight[32], resumed[32], before[32];
    char     other[96];
    snprintf(other, sizeof other, "%s/other.db", f->folder);
    mg_store *s = living(other, 0);
    assert_int_equal(mg_store_head(s, straight), MG_EMPTY);
    put_updates(s, 0, 6);
    head_of(s, straight);
    OK(mg_store_close(s));

    s = living(f->path, 0); // killed behind update 4, checkpoint behind 3
    put_updates(s, 0, 5);
    head_of(s, before);
    OK(mg_store_close(s));
    s = living(f->path, 3);
    head_of(s, resumed); // a life is there with its first update
    assert_memory_equal(before, resumed, 32);
    put_updates(s, 3, 4);
    OK(mg_store_life(s, 0, "test")); // and all over again
    put_updates(s, 0, 2);
    OK(mg_store_life(s, 1, "test"));
    put_updates(s, 1, 6);
    head_of(s, resumed);
    assert_memory_equal(straight, resumed, 32);
    OK(mg_store_verify(s));
    OK(mg_store_close(s));

    s = living(f->path, 4); // another past is another head
    put_update(s, 4, 40);
    put_updates(s, 5, 6);
    head_of(s, resumed);
    assert_memory_not_equal(straight, resumed, 32);
    OK(mg_store_verify(s));
    mg_store_close(s);
}

static void test_readers_follow_the_last_life(void **state) {
    fixture    *f = *state;
    mg_episode *e;
    mg_point   *p;
    mg_ledger   l;
    int64_t     n;
    mg_store   *s = living(f->path, 0);
    put_updates(s, 0, 6);
    OK(mg_store_life(s, 3, "test"));
    for (int64_t u = 3; u < 5; u++) put_update(s, u, 30 + u);
    OK(mg_store_life(s, 4, "test"));
    put_update(s, 4, 400);
    OK(mg_store_episodes_read(s, 0, 100, 100, &f->arena, &e, &n));
    assert_int_equal(n, 20);
    static const int64_t policies[] = {0, 1, 2, 33, 400};
    for (int i = 0; i < 20; i++) {
        assert_int_equal(e[i].policy_version, policies[i / 4]);
        assert_int_equal(e[i].start.episode, i % 4); // logical order, not that of arrival
    }
    OK(mg_store_metric_read(s, "loss", &f->arena, &p, &n));
    assert_int_equal(n, 5);
    OK(mg_store_ledger_read(s, 5, &f->arena, &l)); // of the first life, which no longer counts
    assert_true(l.n == 0 && !l.replayed);
    OK(mg_store_verify(s));
    mg_store_close(s);
}

static void test_no_life_goes_on_from_what_is_not_there(void **state) {
    fixture  *f = *state;
    mg_store *s = opened(f->path);
    assert_int_equal(mg_store_life(s, 1, "test"), MG_MISMATCH);
    OK(mg_store_life(s, 0, "test"));
    put_updates(s, 0, 3);
    assert_int_equal(mg_store_life(s, 4, "test"), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "run.db: holds 3 updates, wanted 4 to go on from"));
    OK(mg_store_life(s, 3, "test"));
    put_updates(s, 3, 4);
    mg_store_close(s);
}

static void test_no_life_goes_on_from_another_environment_s(void **state) {
    fixture  *f = *state;
    mg_store *s = living(f->path, 0);
    OK(mg_store_life(s, 0, "before")); // nothing came of it
    OK(mg_store_life(s, 0, "test"));
    put_updates(s, 0, 3);
    assert_int_equal(mg_store_life(s, 2, "tset"), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "run.db: 'tset' is to go on from 2 updates of 'test'"));
    OK(mg_store_life(s, 2, "test"));
    put_updates(s, 2, 3);
    OK(mg_store_life(s, 0, "tset")); // all over again is another run
    put_updates(s, 0, 1);
    assert_int_equal(mg_store_life(s, 1, "test"), MG_MISMATCH);
    OK(mg_store_life(s, 1, "tset"));
    OK(mg_store_verify(s));
    mg_store_close(s);
}

// ---- The ledger ----

static void test_the_ledger_says_what_fed_an_update(void **state) {
    fixture   *f = *state;
    mg_turn    turns[2];
    mg_episode e = whole(turns);
    mg_ledger  l;
    uint8_t    head[32];
    mg_store  *s = living(f->path, 0);
    put_update(s, 0, 0);
    OK(mg_store_begin(s, 1));
    e.verdict = MG_SUSPECT;
    assert_int_equal(mg_store_fed(s, &e), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "run.db: update 2, group 3, episode 7: feeds the update with verdict 1"));
    e.verdict = MG_QUARANTINED;
    assert_int_equal(mg_store_fed(s, &e), MG_MISMATCH);
    e.verdict = MG_CLEAN;
    OK(mg_store_fed(s, &e)); // fed, and not recorded
    OK(mg_store_commit(s));
    mg_episode_head(&e, head);

    OK(mg_store_ledger_read(s, 1, &f->arena, &l));
    assert_true(l.n == 1 && !l.replayed);
    assert_true(l.fed[0].group == 3 && l.fed[0].episode == 7 && l.fed[0].attempt == 1);
    assert_int_equal(l.fed[0].verdict, MG_CLEAN);
    assert_memory_equal(l.fed[0].head, head, 32);
    OK(mg_store_ledger_read(s, 0, &f->arena, &l));
    assert_true(l.n == 3 && l.fed[0].episode == 3 && l.fed[1].episode == 1 && l.fed[2].episode == 0);
    assert_true(l.replayed && l.replay.low == 0 && l.replay.high == 0 && l.replay.key == 5);
    assert_true(l.replay.hash[0] == 1 && l.replay.hash[1] == 2 && l.replay.hash[31] == 0);
    OK(mg_store_verify(s));
    mg_store_close(s);
}

// ---- Edited by hand ----

static void edit(const char *path, const char *text) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", text, sqlite3_errmsg(db));
    if (sqlite3_total_changes(db) == 0) fail_msg("%s: changes nothing", text);
    sqlite3_close(db);
}

// One bit of a blob: `offset` bytes behind where the needle begins in it.
static void flip(const char *path, int64_t row, const char *column, const char *needle, int offset) {
    sqlite3      *db;
    sqlite3_blob *blob;
    uint8_t       bytes[4096];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_blob_open(db, "main", "episode", column, row, 1, &blob), SQLITE_OK);
    const int size = sqlite3_blob_bytes(blob);
    assert_int_equal(sqlite3_blob_read(blob, bytes, size, 0), SQLITE_OK);
    uint8_t *at = memmem(bytes, (size_t)size, needle, strlen(needle));
    assert_non_null(at);
    at[offset] ^= 1;
    assert_int_equal(sqlite3_blob_write(blob, bytes, size, 0), SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
    sqlite3_close(db);
}

// Other bytes at `offset` behind where the needle begins in row 8's turns.
static void overwrite(const char *path, const char *needle, int offset, const char *with, int n) {
    sqlite3      *db;
    sqlite3_blob *blob;
    uint8_t       bytes[4096];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_blob_open(db, "main", "episode", "turns", 8, 1, &blob), SQLITE_OK);
    const int size = sqlite3_blob_bytes(blob);
    assert_int_equal(sqlite3_blob_read(blob, bytes, size, 0), SQLITE_OK);
    const uint8_t *at = memmem(bytes, (size_t)size, needle, strlen(needle));
    assert_non_null(at);
    assert_int_equal(sqlite3_blob_write(blob, with, n, (int)(at - bytes) + offset), SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
    sqlite3_close(db);
}

static void assert_found(fixture *f, const char *where) {
    mg_store *s = opened(f->path);
    assert_int_equal(mg_store_verify(s), MG_CORRUPT);
    if (!strstr(mg_err_detail(), where)) fail_msg("found %s, wanted %s", mg_err_detail(), where);
    mg_store_close(s);
}

// Writes once, as soon as the store that it watches reads.
typedef struct intruder {
    mg_store *writer;
    int       times;
} intruder;

static int write_between(void *user) {
    intruder *i = user;
    if (i->times++ == 0) {
        put_update(i->writer, 3, 3);
        OK(mg_store_wait(i->writer));
    }
    return 0;
}

static void test_a_record_is_verified_beside_its_writer(void **state) {
    fixture  *f = *state;
    int64_t   n;
    mg_store *writer = living(f->path, 0);
    put_updates(writer, 0, 3);
    OK(mg_store_wait(writer));
    mg_store *reader = opened(f->path);
    intruder  i      = {.writer = writer};
    sqlite3_progress_handler(reader->db, 200, write_between, &i);
    OK(mg_store_verify(reader));
    sqlite3_progress_handler(reader->db, 0, NULL, NULL);
    assert_true(i.times > 0);
    OK(mg_store_updates(reader, &n)); // and it reads on behind it
    assert_int_equal(n, 4);
    OK(mg_store_verify(reader));
    mg_store_close(reader);
    mg_store_close(writer);
}

// A record of two lives: updates 0..2, then 2..3 again. Rows of episode: 1..12 and 13..20.
static void fresh(fixture *f, mg_record how) {
    nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    OK(mg_folder_make(f->folder));
    mg_store *s = living(f->path, 0);
    mg_store_record(s, how);
    put_updates(s, 0, 3);
    OK(mg_store_life(s, 2, "test"));
    put_updates(s, 2, 4);
    OK(mg_store_verify(s));
    OK(mg_store_close(s));
}

static void test_one_changed_bit_is_found_where_it_is(void **state) {
    static const struct {
        int64_t     row;
        const char *column, *needle;
        int         offset;
        const char *where;
    } cases[] = {
        {8, "turns", "say", 1, "run.db: update 2, group 1, episode 3, turn 0: "}, // an observation
        {6, "turns", "refund 17", 8, "run.db: update 2, group 0, episode 1, turn 0: "}, // an action
        // -0.0 to 0.0: a reward's sign, the ninth byte behind the action's text and its 0
        {8, "turns", "refund 17", 18, "run.db: update 2, group 1, episode 3, turn 0: "},
        {8, "turns", "{\"a\":1}", 0, "episode 3, turn 0: "}, // raw bytes of a call
        {8, "turns", "{\"order\"", 3, "episode 3, turn 0: "}, // evidence
        {8, "turns", "order/17", 7, "episode 3, turn 0: "},
        {8, "turns", "text", 0, "episode 3, turn 1: "}, // why a reward is invalid
        {5, "tokens", "\x07", 0, "run.db: update 2, group 0, episode 0: its end"},
        {5, "logp", "\xc0\xbf", 0, "run.db: update 2, group 0, episode 0: its end"},
        {5, "role", "\x02", -1, "run.db: update 2, group 0, episode 0: its end"},
        {5, "prefix", "\xfd", 0, "run.db: update 2, group 0, episode 0: its header"},
        {5, "head", "", 0, "run.db: update 2, group 0, episode 0: its end"},
        {9, "turns", "say", 0, "run.db: update 3, group 0, episode 0, turn 0: "}, // of a life that is over
        {13, "turns", "say", 0, "run.db: update 3 of life 2, group 0, episode 0, turn 0: "},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fresh(f, MG_RECORD_FULL);
        flip(f->path, cases[i].row, cases[i].column, cases[i].needle, cases[i].offset);
        assert_found(f, cases[i].where);
    }
    fresh(f, MG_RECORD_REPLAYABLE);
    flip(f->path, 8, "turns", "refund 17", 8);
    assert_found(f, "run.db: update 2, group 1, episode 3, turn 0: ");
    fresh(f, MG_RECORD_REPLAYABLE);
    flip(f->path, 8, "left_out", "", 0); // the hash of what was left out
    assert_found(f, "run.db: update 2, group 1, episode 3: its end");
}

static void test_what_was_edited_reordered_or_cut_off_is_found(void **state) {
    static const struct {
        const char *edit, *where;
    } cases[] = {
        // Two episodes change places: their rows, or what they are called.
        {"update episode set id = -7 where id = 7; update episode set id = 7 where id = 8;"
         "update episode set id = 8 where id = -7", "update 2, group 1, episode 2: out of order"},
        {"update episode set episode = 5 - episode where id in (7, 8)", "update 2, group 1, episode 3: its header"},
        {"update episode set step = 1 - step where id in (4, 8)", "update 1: its episodes, its ledger and"},
        // Ends are cut off.
        {"delete from episode where id = 20", "update 4 of life 2: cut off: holds 3 of 4 episodes"},
        {"delete from episode where step = 3; delete from done where step = 3; delete from fed where step = 3;"
         "delete from fed_replay where step = 3", "update 3 of life 2: cut off: the record ends here"},
        {"delete from episode where id > 12; delete from done where life = 2; delete from fed where life = 2;"
         "delete from fed_replay where life = 2", "life 2: cut off: it holds no update"},
        {"delete from life where life = 2", "8 rows of episode belong to no update"},
        {"delete from done where life = 1 and step = 1", "update 3: its episodes, its ledger and the updates"},
        {"delete from fed where life = 1 and step = 1 and n = 2", "update 2: its ledger was cut off"},
        {"delete from fed where life = 1 and step = 1 and n = 0", "update 2: its ledger was changed"},
        // Values are changed.
        {"update episode set verdict = 2 where id = 8", "update 2, group 1, episode 3: its end (verdict"},
        {"update episode set code = 'E.state' where id = 8", "update 2, group 1, episode 3: its end"},
        {"update episode set detail = '' where id = 8", "update 2, group 1, episode 3: its end"},
        {"update episode set code_turn = 1 where id = 8", "update 2, group 1, episode 3: its end"},
        {"update episode set learned_kind = 1, learned = 0.0 where id = 8", "episode 3: its end"},
        {"update episode set terminated = 1 where id = 8", "update 2, group 1, episode 3: its end"},
        {"update episode set end_digest = reset_digest where id = 8", "episode 3: its end"},
        {"update episode set reset_digest = end_digest where id = 8", "episode 3: its header"},
        {"update episode set seed = seed + 1 where id = 8", "update 2, group 1, episode 3: its header"},
        {"update episode set policy = 0 where id = 8", "update 2, group 1, episode 3: its header"},
        {"update episode set item = 0 where id = 8", "update 2, group 1, episode 3: its header"},
        {"update episode set demo_turns = 0 where id = 8", "update 2, group 1, episode 3: its header"},
        {"update fed set head = zeroblob(32) where step = 1 and n = 1", "update 2: its episodes, its ledger"},
        {"update fed_replay set key = 6 where step = 1", "update 2: its episodes, its ledger"},
        {"update fed_replay set high = 6 where step = 1", "update 2: its episodes, its ledger"},
        {"update done set head = zeroblob(32) where step = 1", "update 2: its episodes, its ledger"},
        {"update life set start = zeroblob(32) where life = 2", "life 2: what it goes on from"},
        {"update life set low = 1 where life = 2", "life 2: what it goes on from"},
        {"update life set identity = 'tset' where life = 1", "life 1: what it goes on from"},
        {"update life set identity = 'tset' where life = 2", "life 2: what it goes on from"},
        {"update tip set step = 4", "update 4 of life 2: cut off"},
        // Something is put in.
        {"insert into episode select 21, life, 9, item, grp, episode, attempt, n_prefix, prefix, demo_turns,"
         " seed, policy, terminated, truncated, stopped, learned_kind, learned, learned_reason, verdict, code,"
         " detail, code_turn, reset_digest, end_digest, tokens, role, logp, left_out, n_turns, turns, link, head"
         " from episode where id = 20", "1 rows of episode belong to no update"},
        {"insert into fed select life, step, 3, grp, episode, attempt, verdict, head from fed"
         " where life = 1 and step = 1 and n = 0", "1 rows of fed belong to no update"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fresh(f, MG_RECORD_FULL);
        edit(f->path, cases[i].edit);
        assert_found(f, cases[i].where);
    }
}

static void assert_unread(fixture *f, const char *where) {
    mg_episode *e;
    int64_t     n;
    mg_store   *s = opened(f->path);
    assert_int_equal(mg_store_episodes_read(s, 0, 100, 100, &f->arena, &e, &n), MG_CORRUPT);
    if (!strstr(mg_err_detail(), where)) fail_msg("found %s, wanted %s", mg_err_detail(), where);
    mg_store_close(s);
}

// Readers look at no hash: what is no reward, verdict, role or status must not become one.
static void test_no_number_is_made_of_what_is_none(void **state) {
    static const struct {
        const char *edit, *where;
    } cases[] = {
        {"update episode set learned_kind = 3, learned = null where id = 8", "episode 3: a learned reward of kind 3"},
        {"update episode set learned_kind = -1, learned = null where id = 8", "episode 3: a learned reward of kind -1"},
        {"update episode set learned_kind = 4294967297, learned = null where id = 8", "episode 3: a learned reward"},
        {"update episode set learned_kind = 1, learned = 'high' where id = 8", "episode 3: a learned reward of kind 1"},
        {"update episode set learned_kind = 1, learned = 1 where id = 8", "episode 3: a learned reward of kind 1"},
        {"update episode set learned_kind = 1, learned = 9e999 where id = 8", "episode 3: a learned reward of kind 1"},
        {"update episode set verdict = 3 where id = 8", "episode 3: verdict 3"},
        {"update episode set verdict = -1 where id = 8", "episode 3: verdict -1"},
        {"update episode set role = x'00000203' where id = 8", "episode 3: token 3 has role 3"},
    };
    static const struct {
        const char *needle;
        int         offset;
        const char *with;
        int         n;
    } bytes[] = {
        {"refund 17", 17, "\xf0\x7f", 2}, // a reward of infinity, of NaN
        {"refund 17", 17, "\xf8\x7f", 2},
        {"\xe0\x3f", 0, "\xf0\xff", 2},   // 0.5 is owed
        {"{\"order\":17}", 13, "\5", 1},  // a status behind the last
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fresh(f, MG_RECORD_FULL);
        edit(f->path, cases[i].edit);
        assert_unread(f, cases[i].where);
        assert_found(f, cases[i].where);
    }
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        fresh(f, MG_RECORD_FULL);
        overwrite(f->path, bytes[i].needle, bytes[i].offset, bytes[i].with, bytes[i].n);
        assert_unread(f, "run.db: update 2, group 1, episode 3, turn 0: its bytes are no turn");
    }
}

// Flips bits of one byte of an episode's turns. Returns the blob's size.
static int flip_byte(sqlite3 *db, int64_t row, int at, uint8_t bits) {
    sqlite3_blob *blob;
    uint8_t       byte;
    assert_int_equal(sqlite3_blob_open(db, "main", "episode", "turns", row, 1, &blob), SQLITE_OK);
    const int size = sqlite3_blob_bytes(blob);
    assert_int_equal(sqlite3_blob_read(blob, &byte, 1, at), SQLITE_OK);
    byte ^= bits;
    assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK); // commits
    return size;
}

// Each byte of an episode's turns, changed into another: found, but for the times and the load of the
// first turn's call, which are not hashed.
static void test_every_byte_of_a_turn_counts(void **state) {
    fixture *f = *state;
    sqlite3 *db;
    int      missed = 0, size = 1;
    fresh(f, MG_RECORD_FULL);
    mg_store *s = opened(f->path);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    for (int i = 0; i < size; i++) {
        const uint8_t bits = (uint8_t)(1 + i % 255);
        size               = flip_byte(db, 8, i, bits);
        const mg_err err   = mg_store_verify(s);
        if (err && !strstr(mg_err_detail(), "run.db: update 2, group 1, episode 3")) fail_msg("%s", mg_err_detail());
        missed += err == MG_OK;
        flip_byte(db, 8, i, bits);
    }
    OK(mg_store_verify(s));
    sqlite3_close(db);
    mg_store_close(s);
    assert_true(size > 250);
    assert_int_equal(missed, 3 * 8 + 4);
}

static void test_a_file_cut_off_is_found(void **state) {
    fixture    *f = *state;
    struct stat st;
    fresh(f, MG_RECORD_FULL);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(truncate(f->path, st.st_size / 2), 0);
    mg_store    *s   = NULL;
    const mg_err err = mg_store_open(&s, f->path);
    assert_int_equal(err ? err : mg_store_verify(s), MG_CORRUPT);
    assert_non_null(strstr(mg_err_detail(), f->path));
    mg_store_close(s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_heads_are_what_the_header_says),
        TEST(test_a_long_text_is_hashed_like_a_short_one),
        TEST(test_what_a_clock_decides_is_not_hashed),
        TEST(test_calls_and_evidence_come_back),
        TEST(test_a_replayable_record_leaves_out_what_can_be_played_again),
        TEST(test_a_run_that_went_on_ends_with_the_same_head),
        TEST(test_readers_follow_the_last_life),
        TEST(test_no_life_goes_on_from_what_is_not_there),
        TEST(test_no_life_goes_on_from_another_environment_s),
        TEST(test_the_ledger_says_what_fed_an_update),
        TEST(test_a_record_is_verified_beside_its_writer),
        TEST(test_one_changed_bit_is_found_where_it_is),
        TEST(test_what_was_edited_reordered_or_cut_off_is_found),
        TEST(test_no_number_is_made_of_what_is_none),
        TEST(test_every_byte_of_a_turn_counts),
        TEST(test_a_file_cut_off_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
