// report_rollout.c - the account of a rollout.
#include "train/report_rollout.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"

static double number(const json_t *o, const char *key) {
    const json_t *x = json_object_get(o, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *text(const json_t *o, const char *key, mg_arena *arena) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? mg_arena_strdup(arena, s) : "";
}

// "-1204 [-1240, -1170]"
static const char *mean_of(const json_t *x, mg_arena *arena) {
    return mg_path(arena, "%.6g [%.6g, %.6g]", number(x, "estimate"), number(x, "low"), number(x, "high"));
}

// Where a task has several episodes it counts once, by their mean.
static const char *counted(const json_t *note) {
    return number(note, "episodes") > number(note, "tasks") ? "tasks" : "episodes";
}

static const char *return_of(const json_t *note, mg_arena *arena) {
    const json_t *x = json_object_get(note, "return");
    if (!json_is_object(x)) return "fewer than two clean episodes have a return, so there is no mean.";
    return mg_path(arena, "the return is %s, the mean over %.0f %s with its 95 %% interval.", mean_of(x, arena),
                   number(x, "n"), counted(note));
}

static const char *length_of(const json_t *note, mg_arena *arena) {
    const json_t *x = json_object_get(note, "length");
    if (!json_is_object(x)) return "";
    return mg_path(arena, " An episode has %s %s.", mean_of(x, arena), text(note, "length_unit", arena));
}

static const char *summary_of(const json_t *note, mg_arena *arena) {
    const json_t *v     = json_object_get(note, "verdicts");
    const double  clean = number(v, "clean"), kept_out = number(v, "suspect") + number(v, "quarantined");
    return mg_path(arena, "%s in %s: %s%s %.0f of %.0f attempts were clean; the others are in no mean.",
                   text(note, "policy", arena), text(note, "world", arena), return_of(note, arena),
                   length_of(note, arena), clean, clean + kept_out);
}

static void table_of(const json_t *note, mg_arena *arena, mg_report_table *out) {
    static const mg_report_column columns[] = {{"measured", false, -1}, {"mean", true, -1}, {"of", true, 0}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    const struct {
        const char *key, *name;
    } rows[] = {{"return", "return"},
                {"length", mg_path(arena, "length of an episode, %s", text(note, "length_unit", arena))},
                {"terminated", "share that ended with its task"},
                {"stopped", "share whose last answer ended with its stop"}};
    const bool speaks = strcmp(text(note, "length_unit", arena), "tokens") == 0;
    mg_report_cell *cells = MG_NEW(arena, mg_report_cell, COLUMNS * 4);
    int64_t         n     = 0;
    for (int i = 0; i < 3 + speaks; i++) {
        const json_t *x = json_object_get(note, rows[i].key);
        if (!json_is_object(x)) continue;
        const mg_report_cell row[COLUMNS] = {
            {.text = rows[i].name},
            {.value = number(x, "estimate"), .low = number(x, "low"), .high = number(x, "high")},
            {.value = number(x, "n")}};
        memcpy(cells + COLUMNS * n++, row, sizeof row);
    }
    *out = (mg_report_table){
        .caption = "What the policy did", .columns = columns, .n_columns = COLUMNS, .cells = cells, .n_rows = n,
        .note = mg_path(arena, "Means over clean episodes alone, with 95 %% intervals over %s.", counted(note))};
}

mg_err mg_report_add_rollout(mg_report *r, mg_store *store, mg_arena *arena) {
    char  *json;
    mg_err err = mg_store_note_read(store, "rollout", arena, &json);
    if (err) return err == MG_EMPTY ? MG_OK : err;
    json_t *note = json_loads(json, 0, NULL);
    if (!json_is_object(note)) {
        json_decref(note);
        return mg_fail(MG_CORRUPT, "note rollout: not a JSON object");
    }
    mg_report_table *table = MG_NEW(arena, mg_report_table, 1);
    table_of(note, arena, table);
    r->summary = summary_of(note, arena);
    r->tables = table, r->n_tables = table->n_rows > 0;
    json_decref(note);
    return MG_OK;
}
