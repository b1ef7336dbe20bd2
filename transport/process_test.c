// Goal:   an environment in a process is the environment; whatever such a process does wrong ends
// as a
//         code with a sentence, and leaves no process, descriptor or number behind.
#include "transport/process.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "env/episode.h"
#include "transport/child.h"
#include "transport/counter.h"

enum { AMPLE_MS = 30000, SHORT_MS = 50 };

static char bad_env[PATH_MAX], folder[] = "/tmp/martingale_process_XXXXXX", log_path[64],
                               mark_path[64];
static mg_arena arena;

static int set_up(void **state) {
    (void)state;
    const ssize_t n = readlink("/proc/self/exe", bad_env, sizeof bad_env - 1);
    if (n < 0 || !mkdtemp(folder)) return 1;
    bad_env[n] = 0;
    strcpy(strrchr(bad_env, '/'), "/transport/bad_env");
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(mark_path, sizeof mark_path, "%s/mark", folder);
    return mg_arena_init(&arena, "test", (size_t)64 << 20);
}

static int tear_down(void **state) {
    (void)state;
    unlink(log_path);
    unlink(mark_path);
    mg_arena_release(&arena);
    return rmdir(folder);
}

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int  n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// Nothing stays behind: no child, dead or alive, and no descriptor.
static void assert_nothing_left(int descriptors) {
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(open_descriptors(), descriptors);
}

static mg_process_kind *kind_of(const char *fault, int64_t call_timeout_ms) {
    static const char *argv[4];
    argv[0] = bad_env, argv[1] = fault, argv[2] = mark_path;
    const mg_process_options o = {.argv = argv,
                                  .stderr_path = log_path,
                                  .start_timeout_ms = AMPLE_MS,
                                  .call_timeout_ms = call_timeout_ms,
                                  .seed = 11};
    mg_process_kind *k = NULL;
    unlink(log_path);
    unlink(mark_path);
    if (mg_process_kind_open(&k, &o)) fail_msg("%s: %s", fault, mg_err_detail());
    return k;
}

static mg_env env_of(const mg_process_kind *k) {
    mg_env e;
    if (mg_env_open(&e, mg_process_class(k), k, &arena)) fail_msg("%s", mg_err_detail());
    return e;
}

static mg_value say(const char *text) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
}

static mg_err reset(mg_env *e, uint64_t seed, int64_t item, mg_value *seen) {
    const mg_reset_options o = {.item = item};
    return e->class->reset(e, seed, &o, 0, seen);
}

static mg_err step(mg_env *e, const char *action, mg_transition *t) {
    const mg_value v = say(action);
    return e->class->step(e, &v, 0, t);
}

// ---- the good one: the same world in process and in a process

static mg_err counter_class_reset(mg_env *e, uint64_t seed, const mg_reset_options *o,
                                  int64_t now_ns, mg_value *observation) {
    counter *c = e->state;
    (void)now_ns;
    counter_reset(c, seed, o->item);
    *observation = say(c->text);
    return MG_OK;
}

static mg_err counter_class_step(mg_env *e, const mg_value *action, int64_t now_ns,
                                 mg_transition *out) {
    counter *c = e->state;
    double   reward;
    (void)now_ns;
    counter_step(c, action->text, action->size, &reward);
    *out = (mg_transition){.observation = say(c->text), .reward = mg_reward_of(reward),
                           .terminated = c->count == c->target};
    return MG_OK;
}

static void counter_class_digest(const mg_env *e, uint8_t out[32]) {
    counter_digest(e->state, out);
}

static const mg_env_class counter_class = {.name = "counter", .state_size = sizeof(counter),
                                           .reset = counter_class_reset, .step = counter_class_step,
                                           .digest = counter_class_digest};

static void assert_same_digest(const mg_env *a, const mg_env *b) {
    uint8_t x[32], y[32];
    mg_env_digest(a, x);
    mg_env_digest(b, y);
    assert_memory_equal(x, y, 32);
}

static void assert_same_value(const mg_value *a, const mg_value *b) {
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->text, b->text, a->size);
}

static void a_world_in_a_process_is_the_world_in_process(void **state) {
    (void)state;
    const int        before = open_descriptors();
    mg_process_kind *k      = kind_of("none", AMPLE_MS);
    mg_env           far = env_of(k), near;
    assert_int_equal(mg_env_open(&near, &counter_class, NULL, &arena), MG_OK);
    assert_string_equal(mg_process_class(k)->name, "counter");
    assert_int_equal(mg_process_class(k)->steps_max, COUNTER_STEPS);
    assert_int_equal(mg_process_class(k)->items(&far), COUNTER_ITEMS);
    const mg_env closed = {.class = mg_process_class(k), .world = k};
    assert_int_equal(closed.class->items(&closed), COUNTER_ITEMS); // before any is open, too
    for (int episode = 0; episode < 6; episode++) {
        mg_rng        rng = mg_rng_stream(5, MG_PURPOSE_TEST, (uint64_t)episode);
        mg_value      a, b;
        mg_transition t = {0}, u = {0};
        assert_int_equal(reset(&far, 100 + (uint64_t)episode, episode % COUNTER_ITEMS, &a), MG_OK);
        assert_int_equal(reset(&near, 100 + (uint64_t)episode, episode % COUNTER_ITEMS, &b), MG_OK);
        assert_same_value(&a, &b);
        assert_same_digest(&far, &near);
        for (int i = 0; i < COUNTER_STEPS && !t.terminated; i++) {
            const char *const actions[] = {"+1", "-1", "", "\xff\x00\"\\\n", "+1 \xc3\xa9"};
            const char *const action    = actions[mg_rng_below(&rng, 5)];
            assert_int_equal(step(&far, action, &t), MG_OK);
            assert_int_equal(step(&near, action, &u), MG_OK);
            assert_same_value(&t.observation, &u.observation);
            assert_int_equal(t.reward.kind, MG_REWARD_VALUE);
            assert_memory_equal(&t.reward.value, &u.reward.value, sizeof(double));
            assert_true(t.terminated == u.terminated && t.truncated == u.truncated);
            assert_same_digest(&far, &near);
        }
    }
    mg_env_close(&far);
    mg_env_close(&near);
    mg_process_kind_close(k);
    assert_nothing_left(before);
}

static void what_it_says_of_a_call_arrives_as_evidence(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("none", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    const mg_evidence first = t.evidence;
    assert_string_equal(first.action, "add");
    assert_int_equal(first.status, MG_STATUS_OK);
    assert_null(first.error);
    assert_int_equal(first.n_touched, 1);
    assert_string_equal(first.touched[0].key, "counter");
    assert_true(first.touched[0].wrote);
    assert_true(first.touched[0].before != first.touched[0].after && first.touched[0].before != 0);
    assert_true(first.touched[0].shown == first.touched[0].after);
    assert_int_equal(first.conditions, 1);
    assert_int_equal(first.held, 0);
    assert_true(first.owed.kind == t.reward.kind && first.owed.value == t.reward.value);
    const uint64_t after = first.touched[0].after;
    assert_int_equal(step(&e, "jump", &t), MG_OK);
    assert_int_equal(t.evidence.status, MG_STATUS_REFUSED);
    assert_string_equal(t.evidence.error, "no_such_action");
    assert_true(t.evidence.touched[0].before == after && t.evidence.touched[0].after == after);
    mg_env_close(&e);
    mg_process_kind_close(k);
}

static void each_call_can_be_recorded_as_it_went_over_the_wire(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("none", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    uint8_t          digest[32];
    char             nonce[17];
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    const mg_call first = *e.class->call(&e);
    assert_int_equal(first.request, 2); // hello was the first
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    mg_env_digest(&e, digest); // a call of its own, which is not the turn's
    const mg_call *c = e.class->call(&e);
    assert_int_equal(c->request, 3);
    assert_true(c->nonce != first.nonce && c->nonce != 0);
    assert_true(c->intended_ns <= c->sent_ns && c->sent_ns <= c->received_ns &&
                first.received_ns <= c->intended_ns);
    snprintf(nonce, sizeof nonce, "%016" PRIx64, c->nonce);
    char *raw = strndup(c->raw, c->raw_size);
    assert_non_null(strstr(raw, nonce));
    assert_non_null(strstr(raw, "\"observation\":\"2 of 3\""));
    assert_true(raw[0] == '{' && raw[c->raw_size - 1] == '}');
    free(raw);
    mg_env_close(&e);
    mg_process_kind_close(k);
}

static void a_snapshot_brings_state_and_observation_back(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("none", AMPLE_MS);
    mg_env           e = env_of(k), other = env_of(k);
    mg_value         seen;
    mg_transition    t;
    void            *bytes;
    size_t           n;
    assert_int_equal(reset(&e, 2, 4, &seen), MG_OK);
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    assert_int_equal(e.class->snapshot(&e, &arena, &bytes, &n), MG_OK);
    assert_int_equal(other.class->restore(&other, bytes, n, &seen), MG_OK);
    assert_int_equal(seen.size, 6);
    assert_memory_equal(seen.text, "3 of 7", 6);
    assert_same_digest(&e, &other);
    assert_int_equal(step(&other, "-1", &t), MG_OK);
    assert_memory_equal(t.observation.text, "2 of 7", 6);
    mg_env_close(&e);
    mg_env_close(&other);
    mg_process_kind_close(k);
}

static void admissible_actions_and_the_manifest_can_be_asked_for(void **state) {
    (void)state;
    mg_process_kind   *k = kind_of("none", AMPLE_MS);
    mg_env             e = env_of(k);
    mg_value           seen;
    const char *const *actions;
    assert_int_equal(reset(&e, 2, 4, &seen), MG_OK);
    assert_int_equal(e.class->admissible(&e, &actions), 2);
    assert_string_equal(actions[0], "+1");
    assert_string_equal(actions[1], "-1");
    assert_non_null(strstr(e.class->manifest(&e), "\"determinism\":\"deterministic\""));
    assert_memory_equal(seen.text, "2 of 7", 6); // still what reset showed
    mg_env_close(&e);
    mg_process_kind_close(k);
}

static void without_digests_what_was_shown_stands_in(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("no digests", AMPLE_MS);
    mg_env           a = env_of(k), b = env_of(k);
    mg_value         seen;
    mg_transition    t;
    uint8_t          x[32], y[32];
    assert_null(mg_process_class(k)->snapshot);
    assert_null(mg_process_class(k)->admissible);
    assert_int_equal(reset(&a, 2, 4, &seen), MG_OK);
    assert_int_equal(reset(&b, 2, 4, &seen), MG_OK);
    assert_same_digest(&a, &b);
    assert_int_equal(step(&a, "+1", &t), MG_OK);
    mg_env_digest(&a, x);
    mg_env_digest(&b, y);
    assert_memory_not_equal(x, y, 32);
    assert_int_equal(step(&b, "+1", &t), MG_OK);
    assert_same_digest(&a, &b);
    assert_int_equal(step(&a, "x", &t), MG_OK); // shows the same,
    assert_int_equal(step(&b, "y", &t), MG_OK); // told otherwise
    mg_env_digest(&a, x);
    mg_env_digest(&b, y);
    assert_memory_not_equal(x, y, 32);
    assert_int_equal(reset(&a, 2, 4, &seen), MG_OK);
    assert_int_equal(reset(&b, 2, 4, &seen), MG_OK);
    assert_same_digest(&a, &b);
    mg_env_close(&a);
    mg_env_close(&b);
    mg_process_kind_close(k);
}

static void messages_larger_than_a_pipe_go_through(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    mg_process_kind *k = kind_of("echo", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    char            *text = calloc(1, SIZE + 1);
    for (int i = 0; i < SIZE; i++) text[i] = (char)('a' + i % 26);
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    if (step(&e, text, &t)) fail_msg("%s", mg_err_detail());
    assert_int_equal(t.observation.size, SIZE);
    assert_memory_equal(t.observation.text, text, SIZE);
    free(text);
    mg_env_close(&e);
    mg_process_kind_close(k);
}

// ---- rewards that are none

static void a_reward_that_is_no_number_stays_none(void **state) {
    (void)state;
    const struct {
        const char    *fault;
        mg_reward_kind kind;
        const char    *reason;
    } rows[] = {{"NaN reward", MG_REWARD_INVALID, "not a finite number"},
                {"infinite reward", MG_REWARD_INVALID, "not a finite number"},
                {"minus infinite reward", MG_REWARD_INVALID, "not a finite number"},
                {"overflowing reward", MG_REWARD_INVALID, "not a finite number"},
                {"text reward", MG_REWARD_INVALID, "a text, not a number"},
                {"boolean reward", MG_REWARD_INVALID, "true or false, not a number"},
                {"list reward", MG_REWARD_INVALID, "a list or an object, not a number"},
                {"null reward", MG_REWARD_ABSENT, "null was sent"},
                {"missing reward", MG_REWARD_ABSENT, "none was sent"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mg_process_kind *k = kind_of(rows[i].fault, AMPLE_MS);
        mg_env           e = env_of(k);
        mg_value         seen;
        mg_transition    t;
        double           x = 7;
        assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
        if (step(&e, "+1", &t)) fail_msg("%s: %s", rows[i].fault, mg_err_detail());
        assert_int_equal(t.reward.kind, rows[i].kind);
        assert_string_equal(t.reward.reason, rows[i].reason);
        assert_false(mg_reward_value(&t.reward, &x));
        assert_memory_equal(t.observation.text, "2 of 3", 6); // the rest of the answer stands
        assert_int_equal(step(&e, "+1", &t), MG_OK);          // and the session lives
        mg_env_close(&e);
        mg_process_kind_close(k);
    }
}

static void a_whole_number_beyond_64_bits_is_a_number(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("huge integer reward", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    assert_true(t.reward.kind == MG_REWARD_VALUE && t.reward.value == 1e20);
    mg_env_close(&e);
    mg_process_kind_close(k);
}

// ---- what ends a session

static const struct {
    const char *fault;
    int64_t     timeout_ms;
    const char *code, *words;
} faults[] = {
    {"silent", SHORT_MS, "E.timeout", "wanted one within 50.000 ms"},
    {"late", SHORT_MS, "E.timeout", "wanted one within 50.000 ms"},
    {"twice", AMPLE_MS, "H.desync", "while no call was open"},
    {"another request", AMPLE_MS, "H.desync", "found an answer to call 99, wanted one to call 3"},
    {"wrong nonce", AMPLE_MS, "H.desync", "nonce 00000000deadbeef"},
    {"no nonce", AMPLE_MS, "H.protocol", "without a nonce"},
    {"garbage", AMPLE_MS, "H.protocol", "'Loading model...'"},
    {"bytes", AMPLE_MS, "H.protocol", "'???{}'"},
    {"deep", AMPLE_MS, "H.protocol", "'[[[["},
    {"no object", AMPLE_MS, "H.protocol", "'[1,2]', wanted a JSON object"},
    {"endless line", AMPLE_MS, "H.protocol", "without an end"},
    {"half a line then dies", AMPLE_MS, "E.died", "ended with status 0 in the middle of a message"},
    {"dies", AMPLE_MS, "E.died", "ended with status 3"},
    {"dies with last words", AMPLE_MS, "E.died",
     "ended with status 1; its last words: ValueError: boom"},
    {"dies of a signal", AMPLE_MS, "E.died", "signal 10"},
    {"closes its output", AMPLE_MS, "E.died", "closed its output"},
    {"missing terminated", AMPLE_MS, "H.protocol",
     "\"terminated\": found nothing, wanted true or false"},
    {"unknown key", AMPLE_MS, "H.protocol", "\"rewrad\""},
    {"number observation", AMPLE_MS, "E.observation", "\"observation\": found 3, wanted a text"},
    {"typed failure", AMPLE_MS, "E.capacity", "no room"},
    {"blames the model", AMPLE_MS, "H.protocol", "found \"M.wrong\""},
    {"leaves a grandchild and dies", AMPLE_MS, "E.died", "ended with status 4"},
};

static void what_goes_wrong_ends_the_session_with_its_code(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const int        before = open_descriptors();
        mg_process_kind *k      = kind_of(faults[i].fault, faults[i].timeout_ms);
        mg_env           e      = env_of(k);
        mg_value         seen;
        mg_transition    t = {.terminated = true, .reward = mg_reward_absent("untouched")};
        uint8_t          a[32], b[32];
        // Where the time-out is short, a busy machine may be late with the reset already.
        mg_err err = reset(&e, 1, 0, &seen);
        if (err && faults[i].timeout_ms == AMPLE_MS)
            fail_msg("%s: reset: %s", faults[i].fault, mg_err_detail());
        if (!err) err = step(&e, "+1", &t);
        if (err != MG_CHILD) fail_msg("%s: the step went well", faults[i].fault);
        if (!e.fault || strcmp(e.fault, faults[i].code) ||
            !strstr(mg_err_detail(), faults[i].words))
            fail_msg("%s: found %s: %s", faults[i].fault, e.fault ? e.fault : "no code",
                     mg_err_detail());
        assert_string_equal(t.reward.reason, "untouched"); // no number came out of it

        // Every later call fails at once, with the same code, and a digest equals no other.
        assert_int_equal(step(&e, "+1", &t), MG_CHILD);
        assert_string_equal(e.fault, faults[i].code);
        assert_int_equal(reset(&e, 1, 0, &seen), MG_CHILD);
        assert_string_equal(e.fault, faults[i].code);
        assert_non_null(strstr(mg_err_detail(), faults[i].words));
        mg_env_digest(&e, a);
        memset(b, 0, 32);
        assert_memory_not_equal(a, b, 32);
        mg_env_close(&e);
        mg_process_kind_close(k);
        assert_nothing_left(before);
    }
}

static void changed_tools_are_seen(void **state) {
    (void)state;
    const char *const faults_of_tools[] = {"other tools at reset",
                                           "other tools on the second start"};
    mg_value          seen;
    for (int i = 0; i < 2; i++) {
        mg_process_kind *k = kind_of(faults_of_tools[i], AMPLE_MS);
        mg_env           e = env_of(k);
        assert_int_equal(reset(&e, 1, 0, &seen), MG_CHILD);
        assert_string_equal(e.fault, "E.manifest");
        mg_env_close(&e);
        mg_process_kind_close(k);
    }
    mg_process_kind *k = kind_of("other tools when asked again", AMPLE_MS);
    mg_env           e = env_of(k);
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    assert_non_null(strstr(e.class->manifest(&e), "\"version\":\"2\"")); // for the watch to compare
    mg_env_close(&e);
    mg_process_kind_close(k);
}

static void what_cannot_be_started_or_says_no_hello_is_refused(void **state) {
    (void)state;
    const int         before    = open_descriptors();
    const char *const missing[] = {"/nowhere/at/all", NULL};
    const char *const silent[]  = {bad_env, "silent hello", NULL};
    const char *const other[]   = {"true", NULL};
    mg_process_kind  *k         = NULL;
    mg_process_options o = {.argv = missing, .stderr_path = log_path, .start_timeout_ms = AMPLE_MS,
                            .call_timeout_ms = AMPLE_MS};
    assert_int_equal(mg_process_kind_open(&k, &o), MG_CHILD);
    assert_non_null(strstr(mg_err_detail(), "start /nowhere/at/all: No such file"));
    o.argv = other;
    assert_int_equal(mg_process_kind_open(&k, &o), MG_CHILD);
    assert_non_null(strstr(mg_err_detail(), "E.died: its process ended with status 0"));
    o.argv = silent, o.start_timeout_ms = SHORT_MS;
    assert_int_equal(mg_process_kind_open(&k, &o), MG_CHILD);
    assert_non_null(strstr(mg_err_detail(), "E.timeout"));
    o.stderr_path = "/nowhere/at/all";
    assert_int_equal(mg_process_kind_open(&k, &o), MG_IO);
    assert_null(k);
    assert_nothing_left(before);
}

// ---- ends

static void what_ignores_every_wish_is_killed(void **state) {
    (void)state;
    const int        before = open_descriptors();
    mg_process_kind *k      = kind_of("ignores close and SIGTERM", SHORT_MS);
    mg_env           e      = env_of(k);
    mg_env_close(&e);
    mg_process_kind_close(k);
    assert_nothing_left(before);
}

static void what_left_its_group_is_killed(void **state) {
    (void)state;
    const int        before = open_descriptors();
    mg_process_kind *k      = kind_of("joins its parent's group", SHORT_MS);
    mg_env           e      = env_of(k);
    mg_env_close(&e);
    mg_process_kind_close(k);
    assert_nothing_left(before);
}

static void what_writes_much_to_standard_error_is_not_blocked(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("noisy", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    mg_env_close(&e);
    mg_process_kind_close(k);
    char  *text;
    size_t size;
    assert_int_equal(mg_file_read(log_path, (size_t)32 << 20, &arena, &text, &size), MG_OK);
    assert_true(size > 4000000 && strncmp(text, "line 0 of", 9) == 0);
}

static void children_of_the_process_die_with_it(void **state) {
    (void)state;
    mg_process_kind *k = kind_of("leaves a grandchild", AMPLE_MS);
    mg_env           e = env_of(k);
    mg_value         seen;
    mg_transition    t;
    char            *text;
    size_t           size;
    assert_int_equal(reset(&e, 1, 0, &seen), MG_OK);
    assert_int_equal(step(&e, "+1", &t), MG_OK);
    assert_int_equal(mg_file_read(log_path, 100, &arena, &text, &size), MG_OK);
    const int grandchild = (int)syscall(SYS_pidfd_open, atoi(text), 0);
    assert_true(grandchild >= 0);
    struct pollfd gone = {.fd = grandchild, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 0), 0); // it lives
    mg_env_close(&e);
    assert_int_equal(poll(&gone, 1, AMPLE_MS), 1); // and dies, however long the kernel takes
    close(grandchild);
    mg_process_kind_close(k);
}

static void writing_to_a_process_that_is_gone_raises_no_signal(void **state) {
    (void)state;
    const char *const argv[] = {"true", NULL};
    const int         before = open_descriptors();
    mg_child          c;
    sigset_t          pending;
    char              how[256];
    assert_int_equal(mg_child_start(&c, argv, NULL), MG_OK);
    struct pollfd gone = {.fd = c.ended, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, AMPLE_MS), 1);
    assert_int_equal(mg_child_write(&c, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    mg_child_end(&c, how, sizeof how);
    assert_string_equal(how, "ended with status 0");
    assert_nothing_left(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_world_in_a_process_is_the_world_in_process),
        cmocka_unit_test(what_it_says_of_a_call_arrives_as_evidence),
        cmocka_unit_test(each_call_can_be_recorded_as_it_went_over_the_wire),
        cmocka_unit_test(a_snapshot_brings_state_and_observation_back),
        cmocka_unit_test(admissible_actions_and_the_manifest_can_be_asked_for),
        cmocka_unit_test(without_digests_what_was_shown_stands_in),
        cmocka_unit_test(messages_larger_than_a_pipe_go_through),
        cmocka_unit_test(a_reward_that_is_no_number_stays_none),
        cmocka_unit_test(a_whole_number_beyond_64_bits_is_a_number),
        cmocka_unit_test(what_goes_wrong_ends_the_session_with_its_code),
        cmocka_unit_test(changed_tools_are_seen),
        cmocka_unit_test(what_cannot_be_started_or_says_no_hello_is_refused),
        cmocka_unit_test(what_ignores_every_wish_is_killed),
        cmocka_unit_test(what_left_its_group_is_killed),
        cmocka_unit_test(what_writes_much_to_standard_error_is_not_blocked),
        cmocka_unit_test(children_of_the_process_die_with_it),
        cmocka_unit_test(writing_to_a_process_that_is_gone_raises_no_signal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
