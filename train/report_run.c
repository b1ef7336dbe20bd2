// report_run.c - what a run's store holds, as a report.
#include <math.h>
#include <string.h>

#include "core/file.h"
#include "nets/tokenizer.h"
#include "train/report_guard.h"
#include "train/report_rollout.h"

enum { EPISODES_FIRST = 6, EPISODES_LAST = MG_REPORT_EPISODES - EPISODES_FIRST };

// ---- curves ----

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The names of all stores' metrics, each once, in alphabetical order.
static mg_err all_names(mg_store *const *stores, int64_t n_stores, mg_arena *arena, char ***out,
                        int64_t *n) {
    char   **all   = NULL;
    int64_t  total = 0, count = 0;
    for (int64_t s = 0; s < n_stores; s++) {
        char  **names, **more;
        int64_t k;
        mg_err  err = mg_store_metric_names(stores[s], arena, &names, &k);
        if (err) return err;
        more = MG_NEW(arena, char *, total + k);
        if (total > 0) memcpy(more, all, sizeof *all * (size_t)total);
        if (k > 0) memcpy(more + total, names, sizeof *names * (size_t)k);
        all = more, total += k;
    }
    if (total > 0) qsort(all, (size_t)total, sizeof *all, by_name);
    for (int64_t i = 0; i < total; i++)
        if (count == 0 || strcmp(all[count - 1], all[i]) != 0) all[count++] = all[i];
    *out = all, *n = count;
    return MG_OK;
}

mg_err mg_report_add_metrics(mg_report *r, mg_store *const *stores, const char *const *names,
                             int64_t n_stores, mg_arena *arena) {
    char  **titles;
    int64_t n;
    mg_err  err = all_names(stores, n_stores, arena, &titles, &n);
    if (err) return err;
    mg_report_curve *curves = MG_NEW(arena, mg_report_curve, n);
    for (int64_t i = 0; i < n; i++) {
        mg_report_series *series = MG_NEW(arena, mg_report_series, n_stores);
        int64_t           filled = 0;
        for (int64_t s = 0; s < n_stores; s++) {
            mg_point *points;
            int64_t   k;
            err = mg_store_metric_read(stores[s], titles[i], arena, &points, &k);
            if (err) return err;
            for (int64_t j = 0; j < k; j++) points[j].update = mg_update_number(points[j].update);
            if (k > 0) series[filled++] = (mg_report_series){names[s], points, k};
        }
        curves[i] = (mg_report_curve){titles[i], series, filled};
    }
    r->curves = curves, r->n_curves = n;
    return MG_OK;
}

// ---- the table of metrics and the sentence ----

static double mean(const mg_point *points, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += points[i].value;
    return sum / (double)n;
}

static int64_t tenth(int64_t n) { return n < 10 ? 1 : n / 10; }

static void add_table(mg_report *r, mg_arena *arena) {
    static const mg_report_column columns[] = {
        {"metric", false, -1},    {"first tenth", true, -1}, {"last tenth", true, -1},
        {"lowest", true, -1},     {"highest", true, -1},     {"points", true, 0},
    };
    enum { COLUMNS = sizeof columns / sizeof *columns };
    mg_report_cell  *cells = MG_NEW(arena, mg_report_cell, COLUMNS * r->n_curves);
    mg_report_table *table = MG_NEW(arena, mg_report_table, 1);
    for (int64_t i = 0; i < r->n_curves; i++) {
        const mg_report_series *s   = &r->curves[i].series[0];
        const int64_t           k   = tenth(s->n);
        double                  low = INFINITY, high = -INFINITY;
        for (int64_t j = 0; j < s->n; j++) {
            low  = fmin(low, s->points[j].value);
            high = fmax(high, s->points[j].value);
        }
        const mg_report_cell row[COLUMNS] = {
            {.text = r->curves[i].title},
            {.value = mean(s->points, k)},
            {.value = mean(s->points + s->n - k, k)},
            {.value = low},
            {.value = high},
            {.value = (double)s->n},
        };
        memcpy(cells + COLUMNS * i, row, sizeof row);
    }
    *table = (mg_report_table){
        .caption = "Metrics over the run", .columns = columns, .n_columns = COLUMNS, .cells = cells,
        .n_rows = r->n_curves,
        .note   = "Means over the first and the last tenth of a metric's points."};
    r->tables = table, r->n_tables = r->n_curves > 0;
}

// The first of these that the run has is what it was after.
static const mg_report_curve *main_curve(const mg_report *r) {
    static const char *const wanted[] = {"reward", "held_out_accuracy", "held_out_loss", "loss"};
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++)
        for (int64_t i = 0; i < r->n_curves; i++)
            if (strcmp(r->curves[i].title, wanted[w]) == 0) return &r->curves[i];
    return NULL;
}

static int64_t updates_of(const mg_report *r) {
    int64_t updates = 0;
    for (int64_t i = 0; i < r->n_curves; i++) {
        const mg_report_series *s    = &r->curves[i].series[0];
        const int64_t           last = s->points[s->n - 1].update;
        if (last > updates) updates = last;
    }
    return updates;
}

static const char *summary_of(const mg_report *r, mg_arena *arena) {
    const mg_report_curve *c       = main_curve(r);
    const long long        updates = (long long)updates_of(r);
    if (!c && updates < 2) return updates ? "The run made one update." : "The run made no update.";
    if (!c) return mg_path(arena, "The run made %lld updates.", updates);
    const mg_report_series *s = &c->series[0];
    const int64_t           k = tenth(s->n);
    return mg_path(arena,
                   "After %lld update%s %s is %.4g, the mean over the last tenth of its points; "
                   "over the first tenth it was %.4g.",
                   updates, updates == 1 ? "" : "s", c->title, mean(s->points + s->n - k, k), mean(s->points, k));
}

// ---- episodes ----

// Bytes of the first action that its forced tokens stand for.
static mg_err prefix_of(const mg_tokenizer *t, const mg_episode *e, mg_arena *arena, size_t *size) {
    const mg_turn *turn = e->turns;
    char          *text;
    *size = 0;
    if (!t || e->n_turns == 0 || e->start.n_prefix <= 0 ||
        e->start.n_prefix > turn->action_end - turn->action_begin)
        return MG_OK;
    return mg_tokenizer_decode(t, e->tokens + turn->action_begin, e->start.n_prefix, true, arena,
                               &text, size);
}

static mg_err append(mg_report_episode *out, int64_t *n, const mg_episode *e, int64_t n_e,
                     const mg_tokenizer *t, mg_arena *arena) {
    mg_err err = MG_OK;
    for (int64_t i = 0; i < n_e && !err; i++) {
        out[*n] = (mg_report_episode){.episode = &e[i]};
        err     = prefix_of(t, &e[i], arena, &out[*n].prefix_size);
        ++*n;
    }
    return err;
}

// Some of the oldest and some of the last update.
static mg_err add_episodes(mg_report *r, mg_store *store, const mg_tokenizer *t, mg_arena *arena) {
    mg_report_episode *shown = MG_NEW(arena, mg_report_episode, MG_REPORT_EPISODES);
    mg_episode        *e;
    int64_t            n = 0, n_e, last = 0;
    mg_err err = mg_store_updates(store, &last);
    last--;
    if (!err) err = mg_store_episodes_read(store, 0, last, EPISODES_FIRST, arena, &e, &n_e);
    if (!err) err = append(shown, &n, e, n_e, t, arena);
    if (!err)
        err = mg_store_episodes_read(store, last, last + 1,
                                     n > 0 ? EPISODES_LAST : MG_REPORT_EPISODES, arena, &e, &n_e);
    if (!err) err = append(shown, &n, e, n_e, t, arena);
    if (!err) r->episodes = shown, r->n_episodes = n;
    return err;
}

mg_err mg_report_run(const char *folder, mg_store *store, mg_arena *arena) {
    mg_report     r         = {.title = mg_path(arena, "Run %s", folder)};
    const char   *words     = mg_path(arena, "%s/model/tokenizer.json", folder);
    const char   *name      = folder;
    mg_tokenizer *tokenizer = NULL;
    char         *config    = NULL;
    mg_err        err       = mg_store_note_read(store, "config", arena, &config);
    if (err == MG_EMPTY) err = MG_OK;
    if (!err) err = mg_numbers_read(store, arena, &r.numbers);
    if (!err) err = mg_report_add_metrics(&r, &store, &name, 1, arena);
    if (!err && mg_file_exists(words)) err = mg_tokenizer_load(&tokenizer, words);
    if (!err) {
        r.config  = config;
        r.summary = summary_of(&r, arena);
        add_table(&r, arena);
        err = add_episodes(&r, store, tokenizer, arena);
        if (!err) err = mg_report_add_rollout(&r, store, arena);
        if (!err) err = mg_report_add_harness(&r, store, arena);
        if (!err) err = mg_report_add_guard(&r, store, arena);
    }
    if (!err) err = mg_report_write(mg_path(arena, "%s/report.html", folder), &r);
    mg_tokenizer_free(tokenizer);
    return err;
}
