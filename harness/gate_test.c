// Goal:   a fair environment is seldom stopped, a broken one soon; only CLEAN episodes of whole
//         groups get through; nothing depends on anything but the attempts and their order.
// Method: decisions written down for short histories; thousands of simulated runs at the edge of
//         the null and beyond it; gates copied in the middle.
#include "harness/gate.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// Nothing between the fields: saved states can be compared as bytes.
_Static_assert(sizeof(mg_gate_test) == 64 + sizeof(mg_wealth) + 16, "padding in mg_gate_test");
_Static_assert(sizeof(mg_gate) == 17 * 8 + MG_GATE_TESTS_MAX * sizeof(mg_gate_test) + MG_CODES * 8 +
                                      256 + sizeof(mg_exclusion),
               "padding in mg_gate");

static mg_gate_config defaults(void) {
    mg_gate_config   c;
    mg_arena         arena;
    const mg_section s = {"gate", mg_gate_fields, &c};
    assert_int_equal(mg_arena_init(&arena, "config", 4096), MG_OK);
    mg_config_defaults(&s, 1, &arena);
    c.on_trip = strcmp(c.on_trip, "stop") == 0 ? "stop" : "?";
    mg_arena_release(&arena);
    return c;
}

static mg_gate fresh(void) {
    mg_gate              g;
    const mg_gate_config c = defaults();
    mg_gate_init(&g, &c);
    return g;
}

// An episode of calls, of which the one named by `broke` failed (-1: none did).
typedef struct played {
    mg_turn    turns[4];
    mg_episode e;
} played;

static const mg_episode *play(played *p, const char *const *actions, int n, int broke) {
    *p = (played){.e = {.turns = p->turns, .n_turns = n, .code_turn = broke}};
    for (int i = 0; i < n; i++) p->turns[i].evidence.action = actions[i];
    if (broke >= 0) p->e.verdict = MG_QUARANTINED, p->e.code = "E.stale";
    return &p->e;
}

static mg_episode verdict_of(mg_verdict verdict, const char *code) {
    return (mg_episode){.verdict = verdict, .code = code, .code_turn = -1};
}
#define GOOD verdict_of(MG_CLEAN, NULL)
#define BAD  verdict_of(MG_QUARANTINED, "E.died")

static mg_admission attempt(mg_gate *g, mg_episode e, uint32_t number) {
    e.start.attempt = number;
    return mg_gate_attempt(g, &e);
}

// ---- one attempt -----------------------------------------------------------------------------

static void a_failure_of_the_harness_is_tried_again_twice(void **state) {
    (void)state;
    mg_gate g = fresh();
    for (int i = 0; i < 200; i++) assert_int_equal(attempt(&g, GOOD, 0), MG_ADMIT);
    assert_int_equal(attempt(&g, BAD, 0), MG_RETRY);
    assert_int_equal(attempt(&g, verdict_of(MG_SUSPECT, "E.traceback"), 1), MG_RETRY);
    assert_int_equal(attempt(&g, BAD, 2), MG_EXCLUDE);
    assert_int_equal(attempt(&g, BAD, 1), MG_RETRY);
    assert_int_equal(attempt(&g, GOOD, 2), MG_ADMIT);
    assert_int_equal(g.attempts, 205); // every attempt counts
    assert_int_equal(g.failures, 4);
    assert_int_equal(g.retried, 3);
    assert_int_equal(g.excluded, 1);
    assert_int_equal(g.by_code[MG_E_DIED], 3);
    assert_int_equal(g.by_code[MG_E_TRACEBACK], 1);
}

static void a_failure_of_the_model_is_admitted_and_never_tried_again(void **state) {
    (void)state;
    mg_gate g = fresh();
    assert_int_equal(attempt(&g, verdict_of(MG_CLEAN, "M.wrong"), 0), MG_ADMIT);
    assert_int_equal(attempt(&g, verdict_of(MG_SUSPECT, "M.limit"), 0),
                     MG_EXCLUDE); // not CLEAN all the same
    assert_int_equal(g.failures, 0);
    assert_int_equal(g.by_code[MG_M_WRONG], 1);
    assert_int_equal(attempt(&g, verdict_of(MG_QUARANTINED, NULL), 0),
                     MG_RETRY); // nobody's: the harness's
    assert_int_equal(attempt(&g, verdict_of(MG_QUARANTINED, "X.new"), 0), MG_RETRY);
    assert_int_equal(g.failures, 2);
    assert_int_equal(g.by_code[MG_H_UNKNOWN], 2);
}

static void five_in_a_row_stop_at_once(void **state) {
    (void)state;
    mg_gate g = fresh();
    for (int i = 0; i < 1000; i++) attempt(&g, GOOD, 0);
    for (int i = 0; i < 4; i++) attempt(&g, BAD, 0);
    attempt(&g, GOOD, 0);
    for (int i = 0; i < 4; i++) assert_int_equal(attempt(&g, BAD, 0), MG_RETRY);
    assert_false(mg_gate_tripped(&g));
    assert_int_equal(attempt(&g, BAD, 0), MG_EXCLUDE);
    assert_true(mg_gate_tripped(&g) && mg_gate_stopped(&g));
    assert_int_equal(g.tripped_at, 1010);
    assert_string_equal(g.why, "5 episodes in a row failed on the harness's side");
    assert_int_equal(attempt(&g, GOOD, 0), MG_EXCLUDE); // nothing more of the run
    mg_episode group[1] = {GOOD};
    bool       keep[1];
    int64_t    n_kept;
    mg_gate_group(&g, group, 1, keep, &n_kept);
    assert_int_equal(n_kept, 0);
    assert_false(keep[0]);
}

static void a_noted_trip_goes_on(void **state) {
    (void)state;
    mg_gate_config c = defaults();
    mg_gate        g;
    c.on_trip = "note";
    mg_gate_init(&g, &c);
    for (int i = 0; i < 9; i++) assert_int_equal(attempt(&g, BAD, 0), MG_RETRY);
    assert_true(mg_gate_tripped(&g));
    assert_false(mg_gate_stopped(&g));
    assert_int_equal(attempt(&g, GOOD, 0), MG_ADMIT);
    assert_int_equal(attempt(&g, BAD, 2), MG_EXCLUDE);
    assert_true(g.tripped_at <= 5); // the first trip is the one that is told of
}

// ---- groups ----------------------------------------------------------------------------------

// 'o' is clean, 'x' is not; how many are kept of it.
static int64_t kept(mg_gate *g, const char *group) {
    mg_episode    e[32] = {0};
    bool          keep[32];
    int64_t       n_kept = -1;
    const int64_t n      = (int64_t)strlen(group);
    for (int64_t i = 0; i < n; i++) e[i] = group[i] == 'o' ? GOOD : BAD;
    mg_gate_group(g, e, n, keep, &n_kept);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(!keep[i] || group[i] == 'o');
        count += keep[i];
    }
    assert_int_equal(count, n_kept);
    return n_kept;
}

static void a_group_is_kept_where_enough_of_it_is_clean(void **state) {
    (void)state;
    mg_gate g = fresh(); // at least 2, and 3 of 4
    assert_int_equal(kept(&g, "oooooooo"), 8);
    assert_int_equal(kept(&g, "oxoooxoo"), 6);
    assert_int_equal(kept(&g, "oxoooxox"), 0);
    assert_int_equal(kept(&g, "xooo"), 3);
    assert_int_equal(kept(&g, "xoox"), 0);
    assert_int_equal(kept(&g, "oox"), 0); // ceil(2.25) = 3
    assert_int_equal(kept(&g, "oo"), 2);
    assert_int_equal(kept(&g, "ox"), 0);
    assert_int_equal(kept(&g, "o"), 1); // an algorithm without groups
    assert_int_equal(kept(&g, "x"), 0);
    assert_int_equal(kept(&g, ""), 0);
    assert_int_equal(g.dropped_groups, 5);

    mg_gate_config c = defaults();
    c.group_share = 0.7, c.group_min = 3;
    mg_gate_init(&g, &c);
    assert_int_equal(kept(&g, "oooooooxxx"), 7); // .7 of 10 is 7
    assert_int_equal(kept(&g, "ooooooxxxx"), 0);
    c.group_share = 0.56, c.group_min = 1;
    mg_gate_init(&g, &c);
    assert_int_equal(kept(&g, "ooooooooooooooxxxxxxxxxxx"),
                     14); // .56 of 25 is 14, though not in binary
    assert_int_equal(kept(&g, "oooooooooooooxxxxxxxxxxxx"), 0);
    c.group_share = 0, c.group_min = 3;
    mg_gate_init(&g, &c);
    assert_int_equal(kept(&g, "oooxxxxx"), 3);
    assert_int_equal(kept(&g, "ooxxxxxx"), 0);
    c.group_min = 1;
    mg_gate_init(&g, &c);
    assert_int_equal(kept(&g, "xxxx"), 0); // of nothing, nothing
}

static int signal_of_feed(mg_gate *g, mg_episode e) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        mg_gate_feed(g, &e, 1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void feeding_what_is_not_clean_is_a_broken_program(void **state) {
    (void)state;
    mg_gate          g    = fresh();
    const mg_episode e[2] = {GOOD, verdict_of(MG_CLEAN, "M.wrong")};
    mg_gate_feed(&g, e, 2);
    assert_int_equal(g.admitted, 2);
    assert_int_equal(g.unclean_in_gradient, 0);
    assert_int_equal(signal_of_feed(&g, GOOD), 0);
    assert_int_equal(signal_of_feed(&g, BAD), SIGABRT);
    assert_int_equal(signal_of_feed(&g, verdict_of(MG_SUSPECT, "E.timeout")), SIGABRT);
    for (int i = 0; i < 5; i++) attempt(&g, BAD, 0);
    mg_gate_feed(&g, NULL, 0); // nothing, after a trip
    assert_int_equal(signal_of_feed(&g, GOOD), SIGABRT);
}

// ---- rates -----------------------------------------------------------------------------------

static const mg_gate_test *test_named(const mg_gate *g, const char *name) {
    for (int64_t i = 0; i < g->n_tests; i++)
        if (strcmp(g->tests[i].name, name) == 0) return &g->tests[i];
    return NULL;
}

static void counted(const mg_gate *g, const char *name, int64_t n, int64_t hits) {
    const mg_gate_test *t = test_named(g, name);
    if (!t) fail_msg("no test of '%s'", name);
    else if (t->wealth.n != n || t->wealth.hits != hits)
        fail_msg("'%s': found %d of %d, wanted %d of %d", name, (int)t->wealth.hits,
                 (int)t->wealth.n, (int)hits, (int)n);
}

static void an_action_s_rate_is_over_the_episodes_that_called_it(void **state) {
    (void)state;
    static const char *const calls[] = {"look", "buy", "look", "sell"};
    played  p;
    mg_gate g = fresh();
    mg_gate_attempt(&g, play(&p, calls, 4, -1)); // clean: once each
    mg_gate_attempt(&g, play(&p, calls, 4, 1));  // buy broke; sell was not called before
    mg_gate_attempt(&g, play(&p, calls, 4, 2));  // look broke, though it had gone well before
    played whole = p;
    whole.e.turns = whole.turns, whole.e.code_turn = -1, whole.e.code = "V.wrong";
    mg_gate_attempt(&g, &whole.e); // nobody's action
    whole.e.code_turn = 9;         // nor a turn that there is not
    mg_gate_attempt(&g, &whole.e);
    p.turns[1].evidence.action = NULL; // a call that died before anything was known of it
    p.e.code_turn = 1;
    mg_gate_attempt(&g, &p.e);
    counted(&g, "", 6, 5);
    counted(&g, "look", 4, 1);
    counted(&g, "buy", 3, 1);
    counted(&g, "sell", 1, 0);
    assert_int_equal(g.n_tests, 4);
    const double first = .05 * 6 / (M_PI * M_PI); // of order of appearance
    for (int k = 0; k < 4; k++)
        assert_true(fabs(g.tests[k].alpha - first / ((k + 1) * (k + 1))) < 1e-15);
    assert_string_equal(g.tests[1].name, "look");
}

static void a_broken_action_is_named_though_the_environment_is_below_the_rate(void **state) {
    (void)state;
    static const char *const well[] = {"look"}, *const ill[] = {"look", "buy"};
    played  p;
    mg_gate g = fresh();
    for (int i = 0; !mg_gate_tripped(&g) && i < 10000; i++)
        mg_gate_attempt(&g, i % 40 == 0 ? play(&p, ill, 2, i % 80 == 0 ? 1 : -1)
                                        : play(&p, well, 1, -1));
    assert_true(mg_gate_tripped(&g));
    assert_false(g.tests[0].tripped);
    assert_true(test_named(&g, "buy")->tripped);
    assert_non_null(strstr(g.why, "action buy: "));
}

static void more_actions_than_tests_share_the_last(void **state) {
    (void)state;
    played  p;
    mg_gate g = fresh();
    char    name[128];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "a%d%.*s", i, i % 2 ? 100 : 0,
                 "_name_that_is_longer_than_a_test_has_room_for_name_that_is_longer_than_a_test_"
                 "has_room_for");
        const char *calls[] = {name};
        mg_gate_attempt(&g, play(&p, calls, 1, -1));
        mg_gate_attempt(&g, play(&p, calls, 1, -1));
    }
    assert_int_equal(g.n_tests, MG_GATE_TESTS_MAX);
    counted(&g, "a0", 2, 0);
    counted(&g, "a60", 2, 0);
    counted(&g, "all further actions", 2 * (100 - 62), 0);
}

// What a stranger calls an action is cut where a character ends, or no text of it could be written as JSON.
static void a_long_name_is_cut_between_characters(void **state) {
    (void)state;
    played  p;
    mg_gate g = fresh();
    char    name[101] = "", whole[64] = "", covariate[80];
    for (int i = 0; i < 50; i++) strcat(name, "\u00e9"); // two bytes each
    for (int i = 0; i < 31; i++) strcat(whole, "\u00e9");
    const char *calls[] = {"look", name};
    for (int i = 0; !mg_gate_tripped(&g) && i < 10000; i++)
        mg_gate_attempt(&g, play(&p, calls, i % 40 ? 1 : 2, i % 80 ? -1 : 1));
    assert_true(mg_gate_tripped(&g));
    assert_int_equal(g.n_tests, 3); // it is one action still
    assert_string_equal(g.tests[2].name, whole);
    json_t *why = json_string(g.why), *kept = json_string(g.exclusion.actions[1]);
    assert_non_null(why);
    assert_non_null(strstr(g.why, whole));
    assert_non_null(kept);
    assert_string_equal(g.exclusion.actions[2], "");
    mg_exclusion_covariate(&g.exclusion, 7, covariate);
    assert_string_equal(covariate + strlen("calls of "), whole);
    json_decref(why);
    json_decref(kept);
}

static void a_bound_is_that_of_the_environment_s_test(void **state) {
    (void)state;
    mg_gate g = fresh();
    for (int i = 0; i < 300; i++) attempt(&g, i == 7 ? BAD : GOOD, 0);
    const double bound = mg_gate_bound(&g), share = .05 * 6 / (M_PI * M_PI);
    mg_wealth    w;
    mg_wealth_init(&w, MG_RATE_AT_LEAST, bound + 1e-9);
    for (int i = 0; i < 300; i++) mg_wealth_observe(&w, i == 0);
    assert_true(w.log_now >= -log(share));
    assert_true(1.0 / 300 < bound && bound < .05);
}

// ---- simulated runs --------------------------------------------------------------------------

enum { TOOLS = 3 };
static const char *const TOOL[TOOLS] = {"a", "b", "c"};

// One attempt that calls one of the tools and fails at `rate`.
static void draw(mg_gate *g, mg_rng *r, double rate, int tools) {
    played      p;
    const char *calls[] = {TOOL[mg_rng_below(r, TOOLS) % (uint64_t)(tools ? tools : 1)]};
    const bool  fails   = mg_rng_uniform(r) < rate;
    play(&p, calls, tools ? 1 : 0, fails && tools ? 0 : -1);
    if (fails) p.e.verdict = MG_QUARANTINED, p.e.code = "E.stale";
    mg_gate_attempt(g, &p.e);
}

// The share of runs of n attempts in which some rate tripped. The breaker, whose chance is another
// matter, is set aside.
static double share_of_trips(double rate, int tools, int runs, int n, uint64_t id) {
    mg_gate_config c = defaults();
    mg_rng         r = mg_rng_stream(5, MG_PURPOSE_TEST, id);
    mg_gate        g;
    int            count = 0;
    c.breaker = 1000;
    for (int run = 0; run < runs; run++) {
        mg_gate_init(&g, &c);
        for (int i = 0; i < n && !mg_gate_tripped(&g); i++) draw(&g, &r, rate, tools);
        count += mg_gate_tripped(&g);
    }
    return (double)count / runs;
}

static void between(double found, double low, double high) {
    if (!(low <= found && found <= high)) fail_msg("found %g, wanted [%g, %g]", found, low, high);
}

// 5,000 runs each. alpha is .05 for all of a run's tests together; the standard error of a share
// of .05 is .0031. At exactly 5 % a test that never trips would be as wrong as one that trips too
// often.
static void a_fair_environment_is_stopped_at_most_alpha_often(void **state) {
    (void)state;
    const double error = sqrt(.05 * .95 / 5000);
    between(share_of_trips(.05, 0, 5000, 600, 1), .05 / 20, .05 + 3 * error);
    between(share_of_trips(.05, 1, 5000, 600, 2), .05 / 20, .05 + 3 * error);
    between(share_of_trips(.05, 3, 5000, 600, 3), .05 / 20, .05 + 3 * error);
    between(share_of_trips(.02, 3, 5000, 600, 4), 0, .05 / 20);
    between(share_of_trips(.0, 3, 100, 600, 5), 0, 0);
}

static double kl(double p, double q) { return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)); }

// Mean attempts until the environment's own test trips, over what the best bet in hindsight needs.
static double relative_time(double rate) {
    enum { RUNS = 2000, MAX = 20000 };
    mg_gate_config c = defaults();
    mg_rng         r = mg_rng_stream(6, MG_PURPOSE_TEST, (uint64_t)(rate * 100));
    mg_gate        g;
    double         sum = 0;
    c.on_trip = "note", c.breaker = 1000;
    for (int run = 0; run < RUNS; run++) {
        mg_gate_init(&g, &c);
        while (!g.tests[0].tripped && g.attempts < MAX) draw(&g, &r, rate, 0);
        assert_true(g.tests[0].tripped);
        assert_int_equal(g.tripped_at, g.attempts);
        sum += (double)g.attempts;
    }
    return sum / RUNS / (log(1 / g.tests[0].alpha) / kl(rate, .05));
}

static void a_broken_environment_is_stopped_soon(void **state) {
    (void)state;
    between(relative_time(.08), 1, 1.5);
    between(relative_time(.15), 1, 1.5);
    between(relative_time(.30), 1, 1.5);
}

// ---- saved and resumed -----------------------------------------------------------------------

static void equal_histories_are_equal_bytes_and_a_copy_goes_on(void **state) {
    (void)state;
    static mg_gate       a, b, copy;
    const mg_gate_config c = defaults();
    memset(&a, 0x55, sizeof a), memset(&b, 0xaa, sizeof b), memset(&copy, 0x11, sizeof copy);
    mg_gate_init(&a, &c), mg_gate_init(&b, &c);
    assert_memory_equal(&a, &b, sizeof a);
    mg_rng r = mg_rng_stream(7, MG_PURPOSE_TEST, 0), s = r;
    for (int i = 0; i < 3000; i++) {
        draw(&a, &r, .04, 3), draw(&b, &s, .04, 3);
        if (i == 1700)
            memcpy(&copy, &a, sizeof a), memset(&a, 0x77, sizeof a), memcpy(&a, &copy, sizeof a);
    }
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.exclusion.windows > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_of_the_harness_is_tried_again_twice),
        cmocka_unit_test(a_failure_of_the_model_is_admitted_and_never_tried_again),
        cmocka_unit_test(five_in_a_row_stop_at_once),
        cmocka_unit_test(a_noted_trip_goes_on),
        cmocka_unit_test(a_group_is_kept_where_enough_of_it_is_clean),
        cmocka_unit_test(feeding_what_is_not_clean_is_a_broken_program),
        cmocka_unit_test(an_action_s_rate_is_over_the_episodes_that_called_it),
        cmocka_unit_test(a_broken_action_is_named_though_the_environment_is_below_the_rate),
        cmocka_unit_test(more_actions_than_tests_share_the_last),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(a_bound_is_that_of_the_environment_s_test),
        cmocka_unit_test(a_fair_environment_is_stopped_at_most_alpha_often),
        cmocka_unit_test(a_broken_environment_is_stopped_soon),
        cmocka_unit_test(equal_histories_are_equal_bytes_and_a_copy_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
