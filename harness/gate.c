// gate.c - counts, wealth, and who is let in.
#include "harness/gate.h"

#include <math.h>
#include <string.h>

#include "harness/note.h"

#define MG_CONFIG_OF mg_gate_config
const mg_field mg_gate_fields[] = {MG_CONFIG_TABLE(MG_GATE_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

// Every test but the last one is of one action.
#define OTHERS "all further actions"

static void begin_test(mg_gate *g, const char *name) {
    mg_gate_test *t = &g->tests[g->n_tests++];
    mg_note_action(t->name, name);
    mg_wealth_init(&t->wealth, MG_RATE_AT_MOST, g->rate_max);
    t->alpha = mg_alpha_share(g->alpha, g->n_tests);
}

void mg_gate_init(mg_gate *g, const mg_gate_config *config) {
    memset(g, 0, sizeof *g);
    g->rate_max = config->rate_max, g->alpha = config->alpha, g->group_share = config->group_share;
    g->breaker = config->breaker, g->retries = config->retries, g->group_min = config->group_min;
    g->stops      = strcmp(config->on_trip, "stop") == 0;
    g->tripped_at = -1;
    begin_test(g, "");
    mg_exclusion_init(&g->exclusion, 0);
}

// The action's test, begun where it is new.
static int64_t test_of(mg_gate *g, const char *action) {
    char name[sizeof g->tests->name];
    mg_note_action(name, action);
    for (int64_t i = 1; i < g->n_tests; i++)
        if (strcmp(g->tests[i].name, name) == 0) return i;
    if (g->n_tests < MG_GATE_TESTS_MAX)
        begin_test(g, g->n_tests < MG_GATE_TESTS_MAX - 1 ? name : OTHERS);
    return g->n_tests - 1;
}

// The first trip is the one that is told of.
static void observe(mg_gate *g, int64_t test, bool failed) {
    mg_gate_test *t = &g->tests[test];
    mg_wealth_observe(&t->wealth, failed);
    if (!mg_wealth_decided(&t->wealth, t->alpha)) return;
    t->tripped = 1;
    if (g->tripped_at >= 0) return;
    g->tripped_at = g->attempts;
    snprintf(
        g->why, sizeof g->why,
        "%s%s: %lld of %lld episodes failed on the harness's side, more than %g %% (p <= %.2g)",
        test > 0 ? "action " : "the environment", t->name, (long long)t->wealth.hits,
        (long long)t->wealth.n, 100 * g->rate_max, exp(-t->wealth.log_peak));
    mg_note_cut(g->why);
}

// Each action called up to the fault counts once.
static void observe_actions(mg_gate *g, const mg_episode *e, bool failed) {
    bool          called[MG_GATE_TESTS_MAX] = {false};
    int64_t       broke = -1, n = e->n_turns;
    const bool    placed = failed && e->code_turn >= 0 && e->code_turn < e->n_turns;
    if (failed && !placed) return;
    if (placed) n = e->code_turn + 1;
    for (int64_t i = 0; i < n; i++) {
        const char *action = e->turns[i].evidence.action;
        if (!action) continue;
        const int64_t test = test_of(g, action);
        called[test] = true;
        if (placed && i == e->code_turn) broke = test;
    }
    for (int64_t i = 1; i < g->n_tests; i++)
        if (called[i]) observe(g, i, i == broke);
}

static void count_in_a_row(mg_gate *g, bool failed) {
    g->in_a_row = failed ? g->in_a_row + 1 : 0;
    if (g->in_a_row < g->breaker || g->tripped_at >= 0) return;
    g->tripped_at = g->attempts;
    snprintf(g->why, sizeof g->why, "%lld episodes in a row failed on the harness's side",
             (long long)g->in_a_row);
}

mg_admission mg_gate_attempt(mg_gate *g, const mg_episode *e) {
    const bool    failed = mg_episode_harness_failed(e);
    const mg_code code   = mg_code_find(e->code);
    g->attempts++;
    g->failures += failed;
    g->by_code[failed && code == MG_CODE_NONE ? MG_H_UNKNOWN : code]++;
    observe(g, 0, failed);
    observe_actions(g, e, failed);
    count_in_a_row(g, failed);
    mg_exclusion_observe(&g->exclusion, e, e->verdict != MG_CLEAN);
    if (e->verdict == MG_CLEAN && !mg_gate_stopped(g)) return MG_ADMIT;
    if (failed && !mg_gate_stopped(g) && e->start.attempt < g->retries) {
        g->retried++;
        return MG_RETRY;
    }
    g->excluded++;
    return MG_EXCLUDE;
}

// A group of one, where an algorithm knows no groups, is whole with its one episode.
static int64_t wanted(const mg_gate *g, int64_t n) {
    const int64_t least = g->group_min < n ? g->group_min : n;
    const int64_t share =
        (int64_t)ceil(g->group_share * (double)n - 1e-9); // .56 of 25 is 14, not 15
    return share > least ? share : least;
}

void mg_gate_group(mg_gate *g, const mg_episode *episodes, int64_t n, bool *keep, int64_t *n_kept) {
    int64_t clean = 0;
    for (int64_t i = 0; i < n; i++) clean += episodes[i].verdict == MG_CLEAN;
    const bool whole = clean >= wanted(g, n) && !mg_gate_stopped(g);
    for (int64_t i = 0; i < n; i++) keep[i] = whole && episodes[i].verdict == MG_CLEAN;
    g->dropped_groups += n > 0 && !whole;
    *n_kept = whole ? clean : 0;
}

void mg_gate_feed(mg_gate *g, const mg_episode *episodes, int64_t n) {
    for (int64_t i = 0; i < n; i++) g->unclean_in_gradient += episodes[i].verdict != MG_CLEAN;
    g->admitted += n;
    MG_ASSERT(g->unclean_in_gradient == 0);
    MG_ASSERT(n == 0 || !mg_gate_stopped(g));
}

bool mg_gate_tripped(const mg_gate *g) { return g->tripped_at >= 0; }

bool mg_gate_stopped(const mg_gate *g) { return g->stops && g->tripped_at >= 0; }

double mg_gate_bound(const mg_gate *g) {
    return mg_rate_upper(g->attempts, g->failures, g->tests[0].alpha);
}
