// report_guard.c - the guard's account and metrics, as a sentence and two tables.
#include "train/report_guard.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"

static double number(const json_t *o, const char *key) {
    const json_t *x = json_object_get(o, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static bool yes(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }

// ---- The account

static const char *verdict_of(const json_t *note, mg_arena *arena) {
    const char *word = json_string_value(json_object_get(note, "verdict"));
    if (!word) return "The run is under way or was interrupted: there is no verdict yet.";
    if (isnan(number(note, "gain")))
        return mg_path(arena, "%c%s: fewer than six pairs of episodes went well.", toupper(*word), word + 1);
    return mg_path(arena, "%c%s: over %.0f pairs of fresh episodes the policy returns %+.4g [%.4g, %.4g] more than the "
                          "one that it started from%s.", toupper(*word), word + 1, number(note, "verdict_pairs"),
                   number(note, "gain"), number(note, "gain_low"), number(note, "gain_high"),
                   number(note, "verdict_faults") > 0
                       ? mg_path(arena, ", and failed alone in %.0f", number(note, "verdict_faults")) : "");
}

// Where nothing is gained, or nobody knows, there is the policy of before.
static const char *start_of(const json_t *note) {
    const char *word = json_string_value(json_object_get(note, "verdict"));
    return word && strcmp(word, "go") != 0 ? " The policy that it started from lies beside this page, in guard/start."
                                           : "";
}

static const char *summary_of(const json_t *note, mg_arena *arena) {
    const json_t *back  = json_object_get(note, "rollbacks"), *b;
    const char   *where = "";
    size_t        i;
    json_array_foreach(back, i, b)
        where = mg_path(arena, "%s%s behind update %.0f to what was behind update %.0f", where, i ? "," : "",
                        number(b, "update"), number(b, "good"));
    const char *model = number(note, "best") == number(note, "begun")
                            ? " The model is the policy that it started from: no look gained."
                            : mg_path(arena, " The model is that behind update %.0f, whose look was the best.",
                                      number(note, "best"));
    return mg_path(arena, "%s%s %zu rollback%s%s%s.%s%s Looking cost %.0f episodes, %.0f steps of the world%s.",
                   verdict_of(note, arena), start_of(note), i, i == 1 ? "" : "s", i ? ":" : "", where,
                   yes(note, "stopped") ? " The last one ended the run." : "",
                   yes(note, "keep_best") && json_is_string(json_object_get(note, "verdict")) ? model : "",
                   number(json_object_get(note, "evaluation"), "episodes"),
                   number(json_object_get(note, "evaluation"), "steps"),
                   isnan(number(note, "step_share")) ? ""
                       : mg_path(arena, " (%.3g times those that the run learnt from)", number(note, "step_share")));
}

static const char *update_of(double update, mg_arena *arena) {
    return update > 0 ? mg_path(arena, "update %.0f", update) : "";
}

static void account_table(const json_t *note, mg_arena *arena, mg_report_table *out) {
    static const mg_report_column columns[] = {{"measured", false, -1}, {"value", true, -1}, {"when", false, -1}};
    enum { COLUMNS = sizeof columns / sizeof *columns, ROWS = 8 };
    const mg_report_cell rows[ROWS][COLUMNS] = {
        {{.text = "return of the starting policy, J0"}, {.value = number(note, "start_return")}, {.text = ""}},
        {{.text = "return of random actions"}, {.value = number(note, "random_return")}, {.text = ""}},
        {{.text = "span, which it has to lose"}, {.value = number(note, "span")}, {.text = ""}},
        {{.text = "worst dip D, in spans"}, {.value = number(note, "dip")},
         {.text = isnan(number(note, "dip")) ? "" : update_of(number(note, "worst_update"), arena)}},
        {{.text = "collapsed (D above .5 at two looks in a row)"}, {.text = yes(note, "collapsed") ? "yes" : "no"},
         {.text = ""}},
        {{.text = "recovered (three looks in a row at the start or better)"},
         {.text = number(note, "recovered") > 0 ? "yes" : "no"},
         {.text = update_of(number(note, "recovered"), arena)}},
        {{.text = "mean return over the looks"}, {.value = number(note, "mean_return")}, {.text = ""}},
        {{.text = "gain at the end"},
         {.value = number(note, "gain"), .low = number(note, "gain_low"), .high = number(note, "gain_high")},
         {.text = ""}},
    };
    mg_report_cell *cells = MG_NEW(arena, mg_report_cell, COLUMNS * ROWS);
    memcpy(cells, rows, sizeof rows);
    *out = (mg_report_table){
        .caption = "What the guard measured", .columns = columns, .n_columns = COLUMNS, .cells = cells,
        .n_rows = ROWS,
        .note = mg_path(arena, "J0 and random actions by %.0f episodes each. A dash: there is none. D describes; what "
                               "decides is below.", number(note, "start_episodes"))};
}

// ---- The looks

typedef struct metric {
    mg_point *points;
    int64_t   n;
} metric;

enum { RETURN, START, PAIRS, FAULTS, WEALTH, ROLLBACK, GOOD, METRICS };

static mg_err read_metrics(mg_store *store, mg_arena *arena, metric all[METRICS]) {
    static const char *const names[METRICS] = {"guard_return", "guard_start", "guard_pairs", "guard_faults",
                                               "guard_wealth", "guard_rollback", "guard_good"};
    mg_err err = MG_OK;
    for (int k = 0; k < METRICS && !err; k++)
        err = mg_store_metric_read(store, names[k], arena, &all[k].points, &all[k].n);
    return err;
}

static double at(const metric *m, int64_t update) {
    for (int64_t i = 0; i < m->n; i++)
        if (m->points[i].update == update) return m->points[i].value;
    return NAN;
}

static const char *decision(const metric all[METRICS], int64_t update, bool ended, mg_arena *arena) {
    const double good = at(&all[GOOD], update);
    if (at(&all[PAIRS], update) == 0) return "nothing to decide by";
    if (at(&all[ROLLBACK], update) > 0)
        return mg_path(arena, "rolled back to what was behind update %.0f%s", good, ended ? ", and ended" : "");
    return good == (double)mg_update_number(update) ? "good: kept to go back to" : "went on";
}

static void looks_table(const metric all[METRICS], bool stopped, mg_arena *arena, mg_report_table *out) {
    static const mg_report_column columns[] = {
        {"update", true, 0}, {"return now", true, -1}, {"of the start", true, -1}, {"pairs", true, 0},
        {"failed alone", true, 0}, {"wealth", true, -1}, {"decision", false, -1}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    const int64_t   n = all[PAIRS].n, cut = n > 2 * MG_REPORT_LOOKS ? n - 2 * MG_REPORT_LOOKS : 0;
    mg_report_cell *cells = MG_NEW(arena, mg_report_cell, COLUMNS * (n - cut));
    for (int64_t i = 0; i < n - cut; i++) {
        const int64_t        look = i < MG_REPORT_LOOKS ? i : i + cut, u = all[PAIRS].points[look].update;
        const mg_report_cell row[COLUMNS] = {
            {.value = (double)mg_update_number(u)}, {.value = at(&all[RETURN], u)}, {.value = at(&all[START], u)},
            {.value = at(&all[PAIRS], u)}, {.value = at(&all[FAULTS], u)}, {.value = at(&all[WEALTH], u)},
            {.text = decision(all, u, stopped && look == n - 1, arena)}};
        memcpy(cells + COLUMNS * i, row, sizeof row);
    }
    *out = (mg_report_table){
        .caption = "Looks", .columns = columns, .n_columns = COLUMNS, .cells = cells, .n_rows = n - cut,
        .note = mg_path(arena, "%sPairs of episodes on the same seeds, new ones at every look. The wealth is the "
                               "evidence that the policy has collapsed; at 1 it is rolled back, which happens to a run "
                               "that does not collapse with the probability alpha at most.",
                        cut > 0 ? mg_path(arena, "%lld looks in the middle are left out. ", (long long)cut) : "")};
}

mg_err mg_report_add_guard(mg_report *r, mg_store *store, mg_arena *arena) {
    char  *json;
    metric all[METRICS];
    mg_err err = mg_store_note_read(store, "guard", arena, &json);
    if (err == MG_EMPTY) return MG_OK;
    if (!err) err = read_metrics(store, arena, all);
    if (err) return err;
    json_t *note = json_loads(json, 0, NULL);
    if (!json_is_object(note)) {
        json_decref(note);
        return mg_fail(MG_CORRUPT, "note guard: not a JSON object");
    }
    mg_report_guard *g      = MG_NEW(arena, mg_report_guard, 1);
    mg_report_table *tables = MG_NEW(arena, mg_report_table, 2);
    account_table(note, arena, &tables[0]);
    looks_table(all, yes(note, "stopped"), arena, &tables[1]);
    *g = (mg_report_guard){.summary = summary_of(note, arena), .tables = tables,
                           .n_tables = 1 + (tables[1].n_rows > 0)};
    json_decref(note);
    r->guard = g;
    return MG_OK;
}
