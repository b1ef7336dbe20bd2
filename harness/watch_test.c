// Goal:   a claim that the evidence contradicts is found, by its code and its turn; an honest
//         episode, however odd, is not accused; what cannot be known is neither.
// Method: calls written down as claim and evidence, each class of fault beside its honest twins.
//         Long, because it is the watch's table in README.md row by row: apart, no row could be found.
#include "harness/watch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS ((int64_t)1000000)
enum { A = 11, B = 22, C = 33, D = 44 }; // digests of values

static const char MANIFEST[] =
    "{\"name\": \"w\", \"reward\": {\"min\": 0, \"max\": 1, \"resolution\": 0.01}, \"actions\": ["
    "{\"name\": \"get\", \"effect\": \"pure\", \"reads\": [\"k/*\"], \"timeout_ms\": 100,"
    "  \"schema\": {\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}}, "
    "\"required\": [\"n\"]}},"
    "{\"name\": \"old\", \"effect\": \"pure\", \"reads\": [\"k/*\"], \"visibility_ms\": 50},"
    "{\"name\": \"put\", \"effect\": \"mutating\", \"writes\": [\"k/*\", \"m/*\"], \"timeout_ms\": "
    "100},"
    "{\"name\": \"set\", \"effect\": \"mutating\", \"writes\": [\"k/*\"], \"idempotent\": true},"
    "{\"name\": \"any\"}]}";

static mg_arena    arena;
static mg_manifest manifest;
static mg_watch    w;

static int enter(void **state) {
    (void)state;
    return mg_arena_init(&arena, "manifest", 1 << 20) ||
           mg_manifest_read(MANIFEST, sizeof MANIFEST - 1, &arena, &manifest);
}

static int leave(void **state) {
    (void)state;
    mg_manifest_release(&manifest);
    mg_arena_release(&arena);
    return 0;
}

static const uint8_t DIGEST[32] = {1, 2, 3}, OTHER[32] = {1, 2, 4};

static void begin(const mg_manifest *m) {
    mg_watch_begin(&w, m);
    mg_watch_reset(&w, DIGEST, NULL);
}

static mg_value text(const char *s) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = s, .size = strlen(s)};
}

// One call that shows "fine" and pays nothing.
static void call_at(int64_t now_ms, const char *action, mg_status status, int64_t took_ms,
                    const mg_touch *t, int64_t n) {
    const mg_transition next = {.observation = text("fine"),
                                .reward = mg_reward_of(0),
                                .evidence = {.action = action,
                                             .status = status,
                                             .took_ns = took_ms * MS,
                                             .touched = t,
                                             .n_touched = n}};
    mg_watch_step(&w, &next, now_ms * MS);
}

static void call(const char *action, mg_status status, mg_touch t) {
    call_at(0, action, status, 1, &t, 1);
}

static mg_touch read_of(uint64_t shown, uint64_t state) {
    return (mg_touch){.key = "k/1", .shown = shown, .before = state, .after = state};
}

static mg_touch write_of(uint64_t shown, uint64_t before, uint64_t after) {
    return (mg_touch){
        .key = "k/1", .wrote = true, .shown = shown, .before = before, .after = after};
}

#define found(verdict, code, turn) found_at(verdict, code, turn, __LINE__)
static void found_at(mg_verdict verdict, mg_code code, int32_t turn, int line) {
    const mg_finding *f = &w.finding;
    if (f->verdict != verdict || f->code != code || f->turn != turn)
        fail_msg("line %d: found %d %s turn %d (%s), wanted %d %s turn %d", line, f->verdict,
                 mg_code_name(f->code), f->turn, f->detail, verdict, mg_code_name(code), turn);
    if (code != MG_CODE_NONE) assert_true(strlen(f->detail) > 0);
}
#define clean() found(MG_CLEAN, MG_CODE_NONE, -1)

// ---- reset, manifest, faults -----------------------------------------------------------------

static void a_reset_is_as_fresh_or_dirty(void **state) {
    (void)state;
    mg_watch_begin(&w, NULL);
    mg_watch_reset(&w, DIGEST, DIGEST);
    clean();
    mg_watch_reset(&w, DIGEST, NULL);
    clean();
    mg_watch_reset(&w, DIGEST, OTHER);
    found(MG_QUARANTINED, MG_E_DIRTY, -1);
    assert_non_null(strstr(w.finding.detail, "01020300"));
    assert_non_null(strstr(w.finding.detail, "01020400"));
}

static void a_manifest_that_changes_is_found(void **state) {
    (void)state;
    begin(&manifest);
    mg_watch_manifest(&w, manifest.hash);
    clean();
    call("get", MG_STATUS_OK, read_of(A, A));
    mg_watch_manifest(&w, DIGEST);
    found(MG_QUARANTINED, MG_E_MANIFEST, 1);
    begin(NULL); // nothing is pinned
    mg_watch_manifest(&w, DIGEST);
    clean();
}

static void a_failed_call_is_its_turn_s_fault(void **state) {
    (void)state;
    mg_watch_begin(&w, NULL);
    mg_watch_fault(&w, MG_E_RESET, "the lid is stuck");
    found(MG_QUARANTINED, MG_E_RESET, -1);
    assert_string_equal(w.finding.detail, "the lid is stuck");

    begin(NULL);
    call(NULL, MG_STATUS_NONE, (mg_touch){0});
    mg_watch_fault(&w, MG_E_DIED, NULL);
    found(MG_QUARANTINED, MG_E_DIED, 1);
    mg_watch_fault(&w, MG_H_DESYNC, "later"); // the first stands
    found(MG_QUARANTINED, MG_E_DIED, 1);

    begin(NULL);
    mg_watch_fault(&w, MG_CODE_NONE, "who knows"); // unknown counts as harness
    found(MG_QUARANTINED, MG_H_UNKNOWN, 0);
    begin(NULL);
    mg_watch_fault(&w, (mg_code)9999, NULL);
    found(MG_QUARANTINED, MG_H_UNKNOWN, 0);
    begin(NULL);
    mg_watch_fault(&w, MG_M_LIMIT, "out of tokens"); // the model's own
    found(MG_CLEAN, MG_M_LIMIT, 0);
}

// ---- actions ---------------------------------------------------------------------------------

static void say(const char *action, mg_status status, const char *arguments) {
    const mg_transition next = {
        .reward = mg_reward_of(0),
        .evidence = {.action = action, .status = status, .arguments = arguments}};
    mg_watch_step(&w, &next, 0);
}

static void what_is_no_action_is_the_model_s_where_it_is_refused(void **state) {
    (void)state;
    begin(&manifest);
    say("get", MG_STATUS_OK, "{\"n\": 3}");
    say("any", MG_STATUS_OK, "{\"whatever\": 3}"); // it has no schema
    say("get", MG_STATUS_REFUSED, "{\"n\": 3}");   // refused by the world's rules: nobody's fault
    say(NULL, MG_STATUS_NONE, NULL);
    clean();
    say("get", MG_STATUS_REFUSED, "{\"n\": \"3\"}");
    found(MG_CLEAN, MG_M_ARGS, 4);
    assert_non_null(strstr(w.finding.detail, "$.n: found '3', wanted integer"));
    begin(&manifest);
    say("drop_table", MG_STATUS_REFUSED, NULL);
    found(MG_CLEAN, MG_M_PARSE, 0);
    begin(&manifest);
    say(NULL, MG_STATUS_REFUSED, NULL);
    found(MG_CLEAN, MG_M_PARSE, 0);
}

static void what_is_no_action_is_the_environment_s_where_it_is_done(void **state) {
    (void)state;
    begin(&manifest);
    say("drop_table", MG_STATUS_OK, NULL);
    found(MG_QUARANTINED, MG_E_MANIFEST, 0);
    begin(&manifest);
    say("get", MG_STATUS_OK, "{\"n\": \"3\"}");
    found(MG_QUARANTINED, MG_E_MANIFEST, 0);
    begin(&manifest);
    say("get", MG_STATUS_OK, "{\"n\": ");
    found(MG_QUARANTINED, MG_E_MANIFEST, 0);
    begin(NULL);
    say("drop_table", MG_STATUS_OK, "not even json");
    clean(); // nothing was promised
}

// ---- freshness -------------------------------------------------------------------------------

static void a_read_shows_what_the_state_holds(void **state) {
    (void)state;
    begin(&manifest);
    call("get", MG_STATUS_OK, read_of(A, A));
    call("get", MG_STATUS_OK, read_of(0, A)); // shows none
    call("get", MG_STATUS_OK, read_of(A, 0)); // the state is not known
    clean();
    call("get", MG_STATUS_OK, read_of(A, B));
    found(MG_QUARANTINED, MG_E_STALE, 3);
    assert_string_equal(w.finding.detail, "get: k/1: what is shown is not what the state holds");
    begin(NULL); // needs no promise
    call("get", MG_STATUS_NONE, read_of(A, B));
    found(MG_QUARANTINED, MG_E_STALE, 0);
    begin(&manifest); // a refusal shows something too
    call("get", MG_STATUS_REFUSED, read_of(A, B));
    found(MG_QUARANTINED, MG_E_STALE, 0);
}

// Without any word of the state: read, write, read.
static void a_read_shows_what_was_last_acknowledged(void **state) {
    (void)state;
    begin(NULL);
    call("get", MG_STATUS_OK, read_of(A, 0));
    call("put", MG_STATUS_OK, write_of(B, 0, 0));
    call("get", MG_STATUS_OK, read_of(B, 0));
    call("get", MG_STATUS_OK, read_of(C, 0)); // the world may move on by itself
    clean();
    call("get", MG_STATUS_OK, read_of(A, 0));
    found(MG_QUARANTINED, MG_E_STALE, 4);
    begin(NULL);
    call("get", MG_STATUS_OK, read_of(A, 0));
    call("put", MG_STATUS_OK, write_of(B, 0, 0));
    call("put", MG_STATUS_OK, write_of(A, 0, 0)); // written back
    call("get", MG_STATUS_OK, read_of(A, 0));
    clean();
    call("put", MG_STATUS_TIMEOUT,
         write_of(C, 0, 0)); // may have been done: nothing is known of it now
    call("get", MG_STATUS_OK, read_of(A, 0));
    clean();
    call("put", MG_STATUS_OK, write_of(B, 0, 0));
    call("put", MG_STATUS_TIMEOUT, (mg_touch){.key = "k/1"}); // may have written A again: it does not say
    call("get", MG_STATUS_OK, read_of(A, 0));
    clean();
    begin(&manifest);
    call("get", MG_STATUS_OK, read_of(A, 0));
    call("put", MG_STATUS_OK, write_of(B, 0, 0));
    call("get", MG_STATUS_TIMEOUT, (mg_touch){.key = "k/1"}); // a read writes nothing, done or not
    call("get", MG_STATUS_OK, read_of(A, 0));
    found(MG_QUARANTINED, MG_E_STALE, 3);
}

// The state itself says so now: a write that was lost, or a world that undid it. Nobody can tell.
static void a_write_that_is_gone_is_a_suspicion(void **state) {
    (void)state;
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(B, A, B));
    call("get", MG_STATUS_OK, read_of(C, C));
    clean();
    call("get", MG_STATUS_OK, read_of(A, A));
    found(MG_SUSPECT, MG_E_STALE, 2);
}

// Nobody reads it: the next call that touches the key says what was there before.
static void a_write_that_is_taken_back_shows_before_the_next(void **state) {
    (void)state;
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(B, A, B));
    call("put", MG_STATUS_OK, write_of(C, B, C));
    call("put", MG_STATUS_OK, write_of(D, A, D)); // a third value: the world may move by itself
    call("put", MG_STATUS_OK, write_of(A, D, A)); // written back
    clean();
    call("put", MG_STATUS_OK, write_of(C, D, C));
    found(MG_SUSPECT, MG_E_STATE, 4);
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(B, A, B));
    call("put", MG_STATUS_TIMEOUT, (mg_touch){.key = "k/1"}); // may have put A back
    call("put", MG_STATUS_OK, write_of(C, A, C));
    clean();
}

static void what_is_declared_to_come_late_may_come_late(void **state) {
    (void)state;
    const mg_touch put = write_of(B, A, B), stale = read_of(A, B), blind = read_of(A, 0);
    begin(&manifest);
    call_at(1000, "put", MG_STATUS_OK, 10, &put, 1); // acknowledged at 1010
    call_at(1060, "old", MG_STATUS_OK, 1, &stale, 1);
    call_at(1060, "old", MG_STATUS_OK, 1, &blind, 1);
    clean();
    assert_false(w.untestable);
    call_at(1061, "old", MG_STATUS_OK, 1, &stale, 1);
    found(MG_QUARANTINED, MG_E_STALE, 3);
    begin(&manifest);
    call_at(1000, "put", MG_STATUS_OK, 10, &put, 1);
    call_at(1061, "old", MG_STATUS_OK, 1, &blind, 1);
    found(MG_QUARANTINED, MG_E_STALE, 1);
    begin(&manifest); // written before this episode, nobody knows when
    call_at(1061, "old", MG_STATUS_OK, 1, &stale, 1);
    clean();
    assert_true(w.untestable);
}

static void keys_beyond_the_table_are_not_testable(void **state) {
    (void)state;
    char keys[MG_WATCH_KEYS + 1][16];
    begin(NULL);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i <= MG_WATCH_KEYS; i++) {
            snprintf(keys[i], sizeof keys[i], "k/%d", i);
            if (i < MG_WATCH_KEYS) assert_false(round == 0 && w.untestable);
            call("put", MG_STATUS_OK,
                 (mg_touch){.key = keys[i],
                            .wrote = true,
                            .shown = round ? B : A,
                            .before = round ? A : C,
                            .after = round ? B : A});
        }
    assert_true(w.untestable);
    assert_int_equal(w.n_seen, MG_WATCH_KEYS);
    call("get", MG_STATUS_OK, (mg_touch){.key = keys[MG_WATCH_KEYS], .shown = A}); // not known
    clean();
    call("get", MG_STATUS_OK, (mg_touch){.key = keys[40], .shown = A});
    found(MG_QUARANTINED, MG_E_STALE, w.turns - 1);
}

// ---- effect ----------------------------------------------------------------------------------

static void done_means_that_something_changed(void **state) {
    (void)state;
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(B, A, B));
    call("put", MG_STATUS_OK, write_of(0, B, C));
    call("put", MG_STATUS_OK, write_of(A, 0, 0)); // the state is not known
    call("put", MG_STATUS_OK, (mg_touch){.key = "k/1", .before = A, .after = A}); // claims nothing
    clean();
    call("put", MG_STATUS_OK, write_of(0, A, A));
    found(MG_QUARANTINED, MG_E_STATE, 4);
    begin(&manifest);
    call("put", MG_STATUS_OK,
         write_of(A, A, A)); // an action that is not idempotent cannot change nothing
    found(MG_QUARANTINED, MG_E_STATE, 0);
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(B, A, A));
    found(MG_QUARANTINED, MG_E_STATE, 0);
    begin(NULL); // nobody has promised that it changes anything
    call("put", MG_STATUS_OK, write_of(0, A, A));
    found(MG_SUSPECT, MG_E_STATE, 0);
    begin(NULL);
    call("put", MG_STATUS_OK, write_of(A, A, A));
    clean();
}

static void writing_the_same_value_again_is_no_fault(void **state) {
    (void)state;
    begin(&manifest);
    call("set", MG_STATUS_OK, write_of(A, A, A));
    call("set", MG_STATUS_OK, write_of(0, A, A));
    clean();
    call("set", MG_STATUS_OK, write_of(B, A, A)); // it shows B
    found(MG_QUARANTINED, MG_E_STATE, 2);
}

static void one_of_several_writes_is_enough_unless_the_answer_shows_more(void **state) {
    (void)state;
    mg_touch both[2] = {write_of(0, A, B), {.key = "m/1", .wrote = true, .before = C, .after = C}};
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 1, both, 2);
    clean();
    both[1].shown = A;
    call_at(0, "put", MG_STATUS_OK, 1, both, 2);
    found(MG_QUARANTINED, MG_E_STATE, 1);
}

static void a_write_shows_what_it_wrote(void **state) {
    (void)state;
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(A, A, B));
    found(MG_QUARANTINED, MG_E_STALE, 0); // the value from before
    begin(&manifest);
    call("put", MG_STATUS_OK, write_of(C, A, B));
    found(MG_QUARANTINED, MG_E_STATE, 0);
}

static void not_done_means_that_nothing_changed(void **state) {
    (void)state;
    const mg_status not_done[] = {MG_STATUS_REFUSED, MG_STATUS_ERROR};
    for (int i = 0; i < 2; i++) {
        begin(&manifest);
        call("put", not_done[i], (mg_touch){.key = "k/1", .before = A, .after = A});
        call("put", not_done[i], (mg_touch){.key = "k/1", .before = 0, .after = A});
        clean();
        call("put", not_done[i], (mg_touch){.key = "k/1", .before = A, .after = B});
        found(MG_QUARANTINED, MG_E_STATE, 2);
    }
    begin(&manifest); // a time-out may have been done, and may not
    call("put", MG_STATUS_TIMEOUT, (mg_touch){.key = "k/1", .before = A, .after = B});
    call("put", MG_STATUS_TIMEOUT, (mg_touch){.key = "k/1", .before = B, .after = B});
    clean();
}

static void a_pure_action_changes_nothing(void **state) {
    (void)state;
    for (mg_status s = MG_STATUS_NONE; s <= MG_STATUS_TIMEOUT; s++) {
        begin(&manifest);
        call("get", s, (mg_touch){.key = "k/1", .before = A, .after = B});
        found(MG_QUARANTINED, MG_E_STATE, 0);
    }
}

static void an_action_writes_what_it_has_declared(void **state) {
    (void)state;
    begin(&manifest);
    call("put", MG_STATUS_OK, (mg_touch){.key = "m/7", .wrote = true, .before = A, .after = B});
    call("any", MG_STATUS_OK, (mg_touch){.key = "x/7", .wrote = true, .before = A, .after = B});
    clean();
    mg_touch more[2] = {write_of(0, A, B), {.key = "x/1", .before = A, .after = B}};
    call_at(0, "put", MG_STATUS_OK, 1, more, 2);
    found(MG_QUARANTINED, MG_E_STATE, 2);
    assert_non_null(strstr(w.finding.detail, "x/1"));
    begin(&manifest); // it claims another only
    call("put", MG_STATUS_OK, (mg_touch){.key = "x/1", .wrote = true});
    found(MG_QUARANTINED, MG_E_STATE, 0);
    begin(&manifest); // nothing is known of what it touched
    call_at(0, "put", MG_STATUS_OK, 1, NULL, 0);
    clean();
}

// ---- deadlines -------------------------------------------------------------------------------

static void a_time_out_that_is_passed_off_as_an_answer_is_found(void **state) {
    (void)state;
    const mg_touch hollow = write_of(0, A, A), shows = write_of(B, A, A), stale = read_of(A, B),
                   silent = {.key = "k/1", .before = A, .after = A};
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 100, &hollow, 1);
    found(MG_QUARANTINED, MG_E_TIMEOUT, 0);
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 150, &shows, 1);
    found(MG_QUARANTINED, MG_E_TIMEOUT, 0);
    begin(&manifest);
    call_at(0, "get", MG_STATUS_OK, 100, &stale, 1);
    found(MG_QUARANTINED, MG_E_TIMEOUT, 0);
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 100, &silent, 1);
    found(MG_QUARANTINED, MG_E_TIMEOUT, 0);
    begin(&manifest); // {} after the promised time, and nothing to hold it against
    call_at(0, "get", MG_STATUS_OK, 100, NULL, 0);
    found(MG_SUSPECT, MG_E_TIMEOUT, 0);
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 99, &hollow, 1); // in time: a plain lie
    found(MG_QUARANTINED, MG_E_STATE, 0);
}

static void slow_but_true_is_no_fault(void **state) {
    (void)state;
    const mg_touch put = write_of(0, A, B), get = read_of(B, B);
    begin(&manifest);
    call_at(0, "put", MG_STATUS_OK, 500, &put, 1);
    call_at(0, "get", MG_STATUS_OK, 500, &get, 1);
    call_at(0, "get", MG_STATUS_OK, 99, NULL, 0);
    call_at(0, "any", MG_STATUS_OK, 99999, NULL, 0); // has promised no time
    call_at(0, "get", MG_STATUS_TIMEOUT, 100, NULL, 0); // says so, as declared
    call_at(0, "put", MG_STATUS_ERROR, 100, NULL, 0);
    clean();
    call_at(0, "any", MG_STATUS_TIMEOUT, 100, NULL, 0); // nobody was told that it may
    found(MG_SUSPECT, MG_E_TIMEOUT, 6);
    begin(NULL);
    call_at(0, "any", MG_STATUS_TIMEOUT, 100, NULL, 0);
    clean();
}

// ---- text ------------------------------------------------------------------------------------

static void show(mg_status status, const char *seen, const mg_touch *t, int64_t n) {
    const mg_transition next = {.observation = text(seen), .reward = mg_reward_of(0),
                                .evidence = {.status = status, .touched = t, .n_touched = n}};
    mg_watch_step(&w, &next, 0);
}

static void an_internal_error_shown_as_an_answer_is_suspected(void **state) {
    (void)state;
    static const char trace[] =
        "Result:\nTraceback (most recent call last):\n  File \"x.py\", line 3";
    begin(NULL);
    show(MG_STATUS_OK, "Order 7: shipped.", NULL, 0);
    for (mg_status s = MG_STATUS_REFUSED; s <= MG_STATUS_TIMEOUT; s++)
        show(s, trace, NULL, 0); // declared
    clean();
    show(MG_STATUS_OK, trace, NULL, 0);
    found(MG_SUSPECT, MG_E_TRACEBACK, 4);
    assert_non_null(strstr(w.finding.detail, "Traceback"));
    begin(NULL);
    show(MG_STATUS_NONE, "Error: the request timed out after 30 s", NULL, 0);
    found(MG_SUSPECT, MG_E_TRACEBACK, 0);
    const mg_touch real = read_of(A, A); // what somebody wrote is shown: data
    begin(NULL);
    show(MG_STATUS_OK, "ticket 7: payment timed out", &real, 1);
    clean();
    show(MG_STATUS_OK,
         "ticket 7 of Ann, who writes that since this morning the application has shown her this:\n"
         "Traceback (most recent call last):\n  File \"x.py\", line 3",
         &real, 1);
    clean();
    show(MG_STATUS_OK, trace, &real, 1);
    found(MG_SUSPECT, MG_E_TRACEBACK, 2);
}

// ---- rewards ---------------------------------------------------------------------------------

static void pay(mg_reward paid, mg_reward owed, int32_t conditions, int32_t held) {
    const mg_transition next = {.reward = paid,
                                .evidence = {.owed = owed, .conditions = conditions, .held = held}};
    mg_watch_step(&w, &next, 0);
}
#define V(x)   mg_reward_of(x)
#define ABSENT mg_reward_absent("nobody looked")

static void end(mg_reward total) { mg_watch_end(&w, true, true, &total); }

static void a_reward_that_is_none_is_found_at_its_turn(void **state) {
    (void)state;
    const mg_reward bad[] = {V(NAN),
                             V(INFINITY),
                             mg_reward_invalid("text"),
                             {.kind = MG_REWARD_INVALID},
                             {.kind = MG_REWARD_VALUE, .value = NAN},
                             V(-1e300), // single precision has neither
                             V(3.5e38)};
    for (int i = 0; i < 7; i++) {
        begin(NULL);
        pay(V(0), ABSENT, 0, 0);
        pay(bad[i], ABSENT, 0, 0);
        found(MG_QUARANTINED, MG_V_INVALID, 1);
    }
    begin(NULL);
    pay(V(3.4e38), ABSENT, 0, 0); // which it has
    found(MG_CLEAN, MG_CODE_NONE, -1);
}

static void a_missing_reward_is_a_fault_only_where_it_is_wanted(void **state) {
    (void)state;
    const mg_reward none = ABSENT, bad = mg_reward_invalid("the sum is infinite");
    begin(&manifest);
    pay(none, none, 0, 0);
    mg_watch_end(&w, true, false, &none);
    clean();
    mg_watch_end(&w, true, true, &none);
    found(MG_QUARANTINED, MG_V_ABSENT, -1);
    assert_non_null(strstr(w.finding.detail, "nobody looked"));
    begin(&manifest);
    mg_watch_end(&w, true, false, &bad);
    found(MG_QUARANTINED, MG_V_INVALID, -1);
}

static void a_return_lies_in_its_range(void **state) {
    (void)state;
    begin(&manifest);
    end(V(0)), end(V(1)), end(V((double)0.1f * 10)); // single precision is a little over 1
    clean();
    end(V(1.01));
    found(MG_QUARANTINED, MG_V_RANGE, -1);
    begin(&manifest);
    end(V(-0.01));
    found(MG_QUARANTINED, MG_V_RANGE, -1);
    begin(NULL);
    end(V(1e9));
    clean();
}

static void a_return_lies_on_its_grid(void **state) {
    (void)state;
    begin(&manifest);
    for (int i = 0; i <= 100; i++) end(V(i / 100.0)), end(V((double)(float)(i * 0.01f)));
    double sum = 0;
    for (int i = 0; i < 7; i++) sum += 0.01;
    end(V(sum));
    clean();
    end(V(0.333));
    found(MG_QUARANTINED, MG_V_ROUNDED, -1);
}

// Three conditions, each a third: .33 on the grid of hundredths.
static void what_is_paid_is_what_is_owed(void **state) {
    (void)state;
    begin(&manifest);
    pay(V(0.33), V(0.33), 3, 1);
    pay(V(0), ABSENT, 3, 1); // not known for this call
    pay(V(0.34), V(0.34), 3, 2);
    pay(V(0.33), V((double)0.33f), 3, 3);
    end(V(1));
    clean();

    begin(&manifest); // late, but all of it
    pay(V(0), V(0.33), 3, 1);
    pay(V(0.33), V(0), 3, 1);
    end(V(0.33));
    found(MG_CLEAN, MG_M_WRONG, -1);

    begin(&manifest); // to one decimal
    pay(V(0), V(0), 3, 0);
    pay(V(0.3), V(0.33), 3, 1);
    end(V(0.3));
    found(MG_QUARANTINED, MG_V_ROUNDED, 1);

    begin(&manifest); // to whole numbers
    pay(V(0), V(0.4), 3, 1);
    end(V(0));
    found(MG_QUARANTINED, MG_V_ROUNDED, 0);

    begin(&manifest);
    pay(V(1), V(0.58), 3, 2);
    end(V(1));
    found(MG_QUARANTINED, MG_V_ROUNDED, 0);

    begin(&manifest); // each condition a third, and the third one paid though it does not hold
    pay(V(1), V(0.67), 3, 2);
    end(V(1));
    found(MG_QUARANTINED, MG_V_WRONG, 0);

    begin(&manifest); // one of two halves
    pay(V(1), V(0.5), 2, 1);
    end(V(1));
    found(MG_QUARANTINED, MG_V_WRONG, 0);

    begin(&manifest); // not paid at all
    pay(V(0), V(0.9), 3, 2);
    end(V(0));
    found(MG_QUARANTINED, MG_V_WRONG, 0);

    begin(&manifest); // one more condition than holds
    pay(V(0.66), V(0.33), 3, 1);
    end(V(0.66));
    found(MG_QUARANTINED, MG_V_WRONG, 0);

    begin(&manifest);
    pay(V(1), V(0.33), 3, 1);
    end(V(1));
    found(MG_QUARANTINED, MG_V_WRONG, 0);

    begin(NULL); // without a range nobody knows what a condition is worth
    pay(V(0.3), V(0.33), 3, 1);
    end(V(0.3));
    found(MG_QUARANTINED, MG_V_WRONG, 0);
}

static void what_is_owed_is_a_number_or_is_not_said(void **state) {
    (void)state;
    begin(&manifest);
    pay(V(1), ABSENT, 2, 2);
    clean();
    pay(V(0), mg_reward_invalid("a text, not a number"), 2, 2);
    found(MG_QUARANTINED, MG_V_INVALID, 1);
    assert_non_null(strstr(w.finding.detail, "a text, not a number"));
}

static void what_is_owed_counts_where_no_return_is_wanted_too(void **state) {
    (void)state;
    const mg_reward none = ABSENT;
    begin(&manifest);
    pay(V(1), V(0), 2, 0);
    pay(none, none, 2, 0);
    mg_watch_end(&w, true, false, &none);
    found(MG_QUARANTINED, MG_V_WRONG, 0);
}

static void the_highest_reward_is_for_a_task_that_is_done(void **state) {
    (void)state;
    begin(&manifest);
    pay(V(1), ABSENT, 2, 2);
    end(V(1));
    clean();
    begin(&manifest);
    pay(V(0.5), ABSENT, 2, 1);
    end(V(0.5));
    found(MG_CLEAN, MG_M_WRONG, -1);
    begin(&manifest);
    pay(V(1), ABSENT, 2, 1);
    end(V(1));
    found(MG_QUARANTINED, MG_V_WRONG, -1);
    begin(&manifest); // something is said of what is owed, but not of what was paid
    pay(V(0), V(0), 2, 1);
    pay(V(1), ABSENT, 2, 1);
    end(V(1));
    found(MG_QUARANTINED, MG_V_WRONG, -1);
    begin(&manifest); // of all of it
    pay(V(1), V(1), 2, 1);
    pay(V(0), ABSENT, 2, 1);
    end(V(1));
    found(MG_CLEAN, MG_M_WRONG, -1);
}

// ---- the end ---------------------------------------------------------------------------------

static void a_failure_of_the_model_is_clean_and_named(void **state) {
    (void)state;
    const mg_reward zero = V(0), half = V(0.5), one = V(1);
    begin(&manifest);
    pay(zero, zero, 2, 0);
    mg_watch_end(&w, true, true, &zero);
    found(MG_CLEAN, MG_M_WRONG, -1);
    begin(&manifest);
    pay(half, half, 2, 1);
    mg_watch_end(&w, false, true, &half);
    found(MG_CLEAN, MG_M_LIMIT, -1);
    begin(&manifest); // the first mistake explains it
    say("get", MG_STATUS_REFUSED, "{}");
    pay(zero, zero, 2, 0);
    mg_watch_end(&w, true, true, &zero);
    found(MG_CLEAN, MG_M_ARGS, 0);
    begin(&manifest); // and is forgiven where the task was solved
    say("get", MG_STATUS_REFUSED, "{}");
    pay(one, one, 2, 2);
    mg_watch_end(&w, true, true, &one);
    clean();
    begin(&manifest); // no conditions, no label: a limit may be a success
    pay(one, one, 0, 0);
    mg_watch_end(&w, false, true, &one);
    clean();
}

static void the_gravest_stands_and_of_equals_the_first(void **state) {
    (void)state;
    begin(&manifest);
    say("get", MG_STATUS_REFUSED, "{}");
    found(MG_CLEAN, MG_M_ARGS, 0);
    show(MG_STATUS_OK, "panic: runtime error", NULL, 0);
    found(MG_SUSPECT, MG_E_TRACEBACK, 1);
    call_at(0, "get", MG_STATUS_OK, 100, NULL, 0);
    found(MG_SUSPECT, MG_E_TRACEBACK, 1);
    call("get", MG_STATUS_OK, read_of(A, B));
    found(MG_QUARANTINED, MG_E_STALE, 3);
    call("put", MG_STATUS_OK, write_of(0, A, A));
    end(V(7));
    found(MG_QUARANTINED, MG_E_STALE, 3);
    assert_int_equal(w.turns, 5);
}

static void the_verdict_goes_into_the_episode(void **state) {
    (void)state;
    mg_episode e = {
        .n_turns = 1, .verdict = MG_SUSPECT, .code = "X", .code_turn = 7, .detail = "x"};
    begin(&manifest);
    mg_watch_verdict(&w, &e);
    assert_int_equal(e.verdict, MG_CLEAN);
    assert_null(e.code);
    assert_int_equal(e.code_turn, -1);
    assert_string_equal(e.detail, "");
    call("get", MG_STATUS_OK, read_of(A, A));
    mg_watch_fault(&w, MG_E_OBSERVATION, "not UTF-8"); // of what the last call showed
    mg_watch_verdict(&w, &e);
    assert_int_equal(e.verdict, MG_QUARANTINED);
    assert_string_equal(e.code, "E.observation");
    assert_int_equal(e.code_turn, 0); // there is no turn behind it
    assert_string_equal(e.detail, "not UTF-8");
}

// ---- strangers -------------------------------------------------------------------------------

static void evidence_may_be_anything(void **state) {
    (void)state;
    mg_touch touches[] = {
        {.key = NULL, .wrote = true, .shown = 1, .before = 2, .after = 3},
        {.key = ""},
        {.key = "k/1", .wrote = true, .shown = UINT64_MAX, .before = 1, .after = UINT64_MAX}};
    mg_transition t = {.observation = {.kind = (mg_space_kind)77, .text = "x", .size = 1},
                       .evidence = {.action = "",
                                    .arguments = "",
                                    .status = (mg_status)1234,
                                    .n_touched = 3,
                                    .touched = touches,
                                    .took_ns = INT64_MAX,
                                    .conditions = -3,
                                    .held = 9}};
    const int64_t times[] = {INT64_MIN, INT64_MAX, 0};
    for (int i = 0; i < 3; i++) {
        begin(&manifest);
        mg_watch_step(&w, &t, times[i]);
        t.evidence.action = "old", t.evidence.took_ns = INT64_MIN;
        mg_watch_step(&w, &t, times[i]);
        mg_watch_step(&w, &t, times[2 - i]);
        assert_int_equal(w.conditions, 0);
    }
    t.evidence.touched = NULL;
    mg_watch_step(&w, &t, 0);
    t.evidence.n_touched = -1;
    mg_watch_step(&w, &t, 0);
    t.evidence.conditions = 2, t.evidence.held = 3;
    begin(NULL);
    mg_watch_step(&w, &t, 0);
    assert_int_equal(w.conditions, 0);
}

static void a_sentence_is_cut_between_characters(void **state) {
    (void)state;
    char name[400] = "";
    for (int pad = 0; pad < 4; pad++) {
        memset(name, 'a', (size_t)pad);
        for (int i = pad; i + 4 < 396; i += 4) memcpy(name + i, "\xF0\x9F\x98\x80", 5);
        begin(NULL);
        mg_watch_fault(&w, MG_E_STEP, name);
        const size_t n = strlen(w.finding.detail);
        assert_in_range(n, 250, 255);
        assert_int_equal((n - (size_t)pad) % 4, 0);
    }
    begin(NULL);
    memset(name, '\x80', 300); // no beginning of a character in sight
    name[300] = 0;
    mg_watch_fault(&w, MG_E_STEP, name);
    assert_true(strlen(w.finding.detail) <= 255);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_is_as_fresh_or_dirty),
        cmocka_unit_test(a_manifest_that_changes_is_found),
        cmocka_unit_test(a_failed_call_is_its_turn_s_fault),
        cmocka_unit_test(what_is_no_action_is_the_model_s_where_it_is_refused),
        cmocka_unit_test(what_is_no_action_is_the_environment_s_where_it_is_done),
        cmocka_unit_test(a_read_shows_what_the_state_holds),
        cmocka_unit_test(a_read_shows_what_was_last_acknowledged),
        cmocka_unit_test(a_write_that_is_gone_is_a_suspicion),
        cmocka_unit_test(a_write_that_is_taken_back_shows_before_the_next),
        cmocka_unit_test(what_is_declared_to_come_late_may_come_late),
        cmocka_unit_test(keys_beyond_the_table_are_not_testable),
        cmocka_unit_test(done_means_that_something_changed),
        cmocka_unit_test(writing_the_same_value_again_is_no_fault),
        cmocka_unit_test(one_of_several_writes_is_enough_unless_the_answer_shows_more),
        cmocka_unit_test(a_write_shows_what_it_wrote),
        cmocka_unit_test(not_done_means_that_nothing_changed),
        cmocka_unit_test(a_pure_action_changes_nothing),
        cmocka_unit_test(an_action_writes_what_it_has_declared),
        cmocka_unit_test(a_time_out_that_is_passed_off_as_an_answer_is_found),
        cmocka_unit_test(slow_but_true_is_no_fault),
        cmocka_unit_test(an_internal_error_shown_as_an_answer_is_suspected),
        cmocka_unit_test(a_reward_that_is_none_is_found_at_its_turn),
        cmocka_unit_test(a_missing_reward_is_a_fault_only_where_it_is_wanted),
        cmocka_unit_test(a_return_lies_in_its_range),
        cmocka_unit_test(a_return_lies_on_its_grid),
        cmocka_unit_test(what_is_paid_is_what_is_owed),
        cmocka_unit_test(what_is_owed_is_a_number_or_is_not_said),
        cmocka_unit_test(what_is_owed_counts_where_no_return_is_wanted_too),
        cmocka_unit_test(the_highest_reward_is_for_a_task_that_is_done),
        cmocka_unit_test(a_failure_of_the_model_is_clean_and_named),
        cmocka_unit_test(the_gravest_stands_and_of_equals_the_first),
        cmocka_unit_test(the_verdict_goes_into_the_episode),
        cmocka_unit_test(evidence_may_be_anything),
        cmocka_unit_test(a_sentence_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
