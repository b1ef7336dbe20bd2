// report_harness.c - the gate's account of an environment, as tables and witnesses.
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"
#include "harness/taxonomy.h"
#include "train/report.h"

static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key, mg_arena *arena) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? mg_arena_strdup(arena, s) : "";
}

// Each rate against the limit: the environment's first, then its actions'.
static void rates_table(const json_t *note, mg_arena *arena, mg_report_table *out) {
    static const mg_report_column columns[] = {{"failures of", false, -1}, {"attempts", true, 0},
                                               {"failed", true, 0},        {"rate, %", true, 2},
                                               {"highest wealth", true, -1}, {"stops at", true, -1},
                                               {"verdict", false, -1}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    const json_t   *tests = json_object_get(note, "tests"), *t;
    mg_report_cell *cells = MG_NEW(arena, mg_report_cell, COLUMNS * (json_array_size(tests) + 1));
    size_t          i;
    json_array_foreach(tests, i, t) {
        const char          *name = text(t, "name", arena);
        const double         n = number(t, "attempts"), failed = number(t, "failures");
        const mg_report_cell row[COLUMNS] = {
            {.text = name[0] ? name : "the environment"},
            {.value = n},
            {.value = failed},
            {.value = n > 0 ? 100 * failed / n : NAN},
            {.value = number(t, "wealth_peak")},
            {.value = 1 / number(t, "alpha")},
            {.text = json_is_true(json_object_get(t, "tripped")) ? "too many failures" : "within the limit"}};
        memcpy(cells + COLUMNS * i, row, sizeof row);
    }
    *out = (mg_report_table){
        .caption = mg_path(arena, "Failure rates against %.3g %%", 100 * number(note, "rate_max")),
        .columns = columns, .n_columns = COLUMNS, .cells = cells, .n_rows = (int64_t)i,
        .note = "Each rate is bet against, from a wealth of 1. That of a rate within the limit ever reaches the "
                "number at which it stops with a chance of at most one in that number."};
}

static void codes_table(const json_t *note, mg_arena *arena, mg_report_table *out) {
    static const mg_report_column columns[] = {{"code", false, -1}, {"meaning", false, -1},
                                               {"attempts", true, 0}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    json_t         *codes = json_object_get(note, "codes"), *n;
    mg_report_cell *cells = MG_NEW(arena, mg_report_cell, COLUMNS * (json_object_size(codes) + 1));
    const char     *code;
    int64_t         rows = 0;
    json_object_foreach(codes, code, n) {
        const mg_report_cell row[COLUMNS] = {{.text = mg_arena_strdup(arena, code)},
                                             {.text = mg_code_meaning(mg_code_find(code))},
                                             {.value = json_number_value(n)}};
        memcpy(cells + COLUMNS * rows++, row, sizeof row);
    }
    *out = (mg_report_table){
        .caption = "Attempts by code", .columns = columns, .n_columns = COLUMNS, .cells = cells,
        .n_rows = rows, .note = "M codes are the model's own failures: clean, and learnt from."};
}

static const char *summary(const json_t *note, mg_arena *arena) {
    const char *name = text(note, "environment", arena), *why = text(note, "why", arena);
    const json_t *x = json_object_get(note, "exclusion");
    return mg_path(
        arena, "%s%s%.0f of %.0f attempts failed on the harness's side (%.2f %%; at most %.2f %% at all "
               "times). %.0f were tried again, %.0f episodes kept out, %.0f groups dropped, %.0f episodes "
               "admitted. %s%s%s%s",
        name, name[0] ? ": " : "", number(note, "failures"), number(note, "attempts"),
        100 * number(note, "rate"), 100 * number(note, "rate_bound"), number(note, "retried"),
        number(note, "excluded"), number(note, "dropped_groups"), number(note, "admitted"),
        json_is_true(json_object_get(note, "stopped")) ? "It was stopped: "
        : why[0]                                       ? "It was unfit to learn from, which was noted only: "
                                                       : "It was not stopped",
        why, ".",
        json_is_true(json_object_get(x, "alarm"))
            ? mg_path(arena, " Exclusion is selecting behaviour: what was kept out differs from what was kept in %s.",
                      text(x, "differs_in", arena))
            : "");
}

static mg_err add_witnesses(mg_report_harness *h, mg_store *store, mg_arena *arena) {
    mg_report_episode *shown = MG_NEW(arena, mg_report_episode, MG_REPORT_WITNESSES);
    mg_episode        *e;
    int64_t            n, of_code[MG_CODES] = {0};
    mg_err err = mg_store_unclean_read(store, 3, arena, &e, &n);
    for (int64_t i = 0; i < n && !err && h->n_witnesses < MG_REPORT_WITNESSES; i++)
        if (of_code[mg_code_find(e[i].code)]++ < 3)
            shown[h->n_witnesses++] = (mg_report_episode){.episode = &e[i]};
    h->witnesses = shown;
    return err;
}

mg_err mg_report_add_harness(mg_report *r, mg_store *store, mg_arena *arena) {
    char  *json = NULL, *control = "";
    mg_err err  = mg_store_note_read(store, "harness", arena, &json);
    if (err == MG_EMPTY) return MG_OK;
    if (!err) err = mg_store_note_read(store, "control arm", arena, &control);
    if (err && err != MG_EMPTY) return err;
    json_t *note = json_loads(json, 0, NULL);
    if (!note) return mg_fail(MG_CORRUPT, "note harness: not JSON");
    mg_report_harness *h      = MG_NEW(arena, mg_report_harness, 1);
    mg_report_table   *tables = MG_NEW(arena, mg_report_table, 2);
    rates_table(note, arena, &tables[0]);
    codes_table(note, arena, &tables[1]);
    h->summary = mg_path(arena, "%s%s%s", control, control[0] ? " " : "", summary(note, arena));
    h->tables = tables, h->n_tables = 1 + (tables[1].n_rows > 0);
    err        = add_witnesses(h, store, arena);
    if (!err) r->harness = h;
    json_decref(note);
    return err;
}
