// reproduce_results.c - from cells to claims.
#include <math.h>
#include <string.h>

#include "app/json.h"
#include "app/reproduce.h"
#include "core/file.h"

#define CELL_SIZE_MAX (1 << 20) // bytes

// Student's t at 0.975 with 1 to 4 degrees of freedom (Student 1908; any table of the distribution).
static const double t975[MG_REPRODUCE_SEEDS_MAX - 1] = {12.7062, 4.3027, 3.1824, 2.7764};

typedef struct results {
    const mg_grid   *grid;
    const char      *folder;
    mg_arena        *arena;
    json_t          *rows;
    FILE            *text;           // chapters of RESULTS.md
    int              cells, planned; // those that are done; all
    // of the question at hand
    const mg_claims *claims;
    FILE            *table;          // its rows
    int              tests, decided; // rows with something to leave out, and an interval
} results;

mg_err mg_reproduce_cell(const char *folder, const char *arm, int seed, mg_arena *arena, json_t **cell) {
    const char *path = mg_path(arena, "%s/cells/%s-%d.json", folder, arm, seed);
    char       *text;
    size_t      size;
    *cell = NULL;
    if (!mg_file_exists(path)) return MG_OK;
    mg_err err = mg_file_read(path, CELL_SIZE_MAX, arena, &text, &size);
    if (err) return err;
    json_error_t at;
    *cell = json_loadb(text, size, 0, &at);
    return *cell ? MG_OK : mg_fail(MG_CORRUPT, "%s:%d: %s", path, at.line, at.text);
}

double mg_reproduce_number(const json_t *cell, const char *metric) {
    const json_t *x = json_object_get(json_object_get(cell, metric), "estimate");
    return json_is_number(x) ? json_number_value(x) : NAN;
}

// One claim: the mean over seeds of x[0..seeds), against `null`.
static void add(results *t, const char *claim, const char *arm, const char *metric, const double *x,
                int seeds, int64_t n, double null) {
    double mean = 0, squares = 0;
    if (seeds == 0) return;
    for (int i = 0; i < seeds; i++) mean += x[i] / seeds;
    for (int i = 0; i < seeds; i++) squares += (x[i] - mean) * (x[i] - mean);
    const double half = seeds > 1 ? t975[seeds - 2] * sqrt(squares / (seeds - 1) / seeds) : NAN;
    const bool   decided = mean - half > null || mean + half < null; // never, against NAN
    const char  *command = mg_path(t->arena, "martingale reproduce %s --cell %s-1", t->grid->name, arm);
    json_array_append_new(t->rows, json_pack("{s:s, s:s, s:s, s:f, s:o, s:o, s:I, s:i, s:b, s:s}",
                                             "claim", claim, "arm", arm, "metric", metric, "estimate",
                                             mean, "low", mg_json_number(mean - half), "high",
                                             mg_json_number(mean + half), "n", (json_int_t)n, "seeds",
                                             seeds, "decided", decided, "command", command));
    if (!isnan(null) && seeds > 1) t->tests++, t->decided += decided;
    fprintf(t->table, "| %s | %s | %.4g | ", claim, metric, mean);
    if (seeds > 1) fprintf(t->table, "%.4g to %.4g", mean - half, mean + half);
    fprintf(t->table, " | %d | %lld | %s |\n", seeds, (long long)n, isnan(null) ? "" : decided ? "yes" : "no");
}

typedef struct cells_of { // an arm's, by seed; NULL where there is none
    json_t *seed[MG_REPRODUCE_SEEDS_MAX];
} cells_of;

static mg_err read_cells(const results *t, const char *arm, cells_of *out) {
    mg_err err = MG_OK;
    *out       = (cells_of){0};
    for (int s = 0; s < MG_REPRODUCE_SEEDS_MAX && !err; s++)
        err = mg_reproduce_cell(t->folder, arm, s + 1, t->arena, &out->seed[s]);
    return err;
}

static void free_cells(cells_of *c) {
    for (int s = 0; s < MG_REPRODUCE_SEEDS_MAX; s++) json_decref(c->seed[s]);
}

// One metric of one arm, minus that of the baseline where there is one.
static void add_metric(results *t, const cells_of *own, const cells_of *base, const char *claim,
                       const char *arm, const char *metric, double null) {
    double  x[MG_REPRODUCE_SEEDS_MAX];
    int     seeds = 0;
    int64_t n     = 0;
    for (int s = 0; s < MG_REPRODUCE_SEEDS_MAX; s++) {
        const double a = mg_reproduce_number(own->seed[s], metric);
        const double b = base ? mg_reproduce_number(base->seed[s], metric) : 0;
        if (isnan(a) || isnan(b)) continue;
        x[seeds++] = a - b;
        n += json_integer_value(json_object_get(json_object_get(own->seed[s], metric), "n"));
    }
    add(t, claim, arm, metric, x, seeds, n, null);
}

static mg_err add_levels(results *t, const char *arm) {
    const mg_claims *c = t->claims;
    cells_of         own;
    mg_err           err   = read_cells(t, arm, &own);
    const char      *claim = mg_path(t->arena, "%s %s", arm, c->level_words);
    for (int s = 0; s < MG_REPRODUCE_SEEDS_MAX; s++) t->cells += own.seed[s] != NULL;
    for (int m = 0; m < c->n_levels && !err; m++)
        add_metric(t, &own, NULL, claim, arm, c->levels[m].metric, c->levels[m].null);
    free_cells(&own);
    return err;
}

static mg_err add_contrast(results *t, const struct mg_contrast *x) {
    const mg_claims *c = t->claims;
    cells_of         own, base = {0};
    mg_err           err   = read_cells(t, x->arm, &own);
    const char      *claim = mg_path(t->arena, "%s minus %s", x->arm, x->baseline);
    if (!err) err = read_cells(t, x->baseline, &base);
    for (int m = 0; m < c->n_metrics && !err; m++)
        add_metric(t, &own, &base, claim, x->arm, c->metrics[m], 0);
    free_cells(&own);
    free_cells(&base);
    return err;
}

static mg_err write_chapter(const results *t, const mg_question *q, int done, int planned, const char *table) {
    fprintf(t->text, "\n## %s\n\n%d of %d cells are done.", q->title, done, planned);
    if (done && q->shared) fprintf(t->text, " %s", q->shared);
    fputc('\n', t->text);
    if (done == 0) return MG_OK;
    fputc('\n', t->text);
    if (q->tell) return q->tell(t->folder, t->rows, t->text, t->arena);
    if (t->tests)
        fprintf(t->text, "%d row%s tested at 5 %% each: about %.2g would be decided by chance alone, %d %s.\n\n",
                t->tests, t->tests == 1 ? " is" : "s are", 0.05 * t->tests, t->decided,
                t->decided == 1 ? "is" : "are");
    fprintf(t->text, "| claim | metric | estimate | 95 %% | seeds | n | decided |\n|---|---|---|---|---|---|---|\n%s",
            table);
    return MG_OK;
}

static mg_err add_question(results *t, const mg_question *q) {
    const int done    = t->cells;
    char     *table   = NULL;
    int       planned = 0;
    size_t    size;
    mg_err    err = MG_OK;
    t->claims = &q->claims, t->tests = t->decided = 0;
    t->table  = open_memstream(&table, &size);
    if (!t->table) return mg_fail(MG_NOMEM, "%s/RESULTS.md", t->folder);
    for (const mg_arm *a = q->arms; a->name && !err; a++) planned += a->seeds, err = add_levels(t, a->name);
    for (int i = 0; i < t->claims->n_contrasts && !err; i++) err = add_contrast(t, &t->claims->contrasts[i]);
    if (fclose(t->table) != 0 && !err) err = mg_fail(MG_NOMEM, "%s/RESULTS.md", t->folder);
    if (!err) err = write_chapter(t, q, t->cells - done, planned, table);
    t->planned += planned;
    free(table);
    return err;
}

const json_t *mg_reproduce_row(const json_t *rows, const char *claim, const char *metric) {
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(r, "claim")), claim) == 0 &&
            strcmp(json_string_value(json_object_get(r, "metric")), metric) == 0)
            return r;
    }
    return NULL;
}

// The page: what it is, what its rows come to, then a chapter for each question.
static mg_err write_page(const results *t, const char *chapters, size_t size) {
    const char *path = mg_path(t->arena, "%s/RESULTS.md", t->folder);
    char       *page = NULL;
    size_t      page_size;
    FILE       *f = open_memstream(&page, &page_size);
    mg_err      err = MG_OK;
    if (!f) return mg_fail(MG_NOMEM, "%s", path);
    fprintf(f, "# Results\n\nWritten by `martingale reproduce %s` from the cells in `cells/`, of which %d of %d are "
               "done.\n\nIntervals are Student's at 95 %% over seeds; one seed has none. They hold what seeds change "
               "and nothing else:\neach chapter says what all seeds share. n counts what was judged over all seeds, "
               "the same prompts once for\neach. decided: the interval leaves out what the claim is measured against, "
               "zero, or one half for win rates; each\nrow is a test of its own, with no correction for how many "
               "there are.\n",
            t->grid->name, t->cells, t->planned);
    if (t->grid->tell) err = t->grid->tell(t->folder, t->rows, f, t->arena);
    fwrite(chapters, 1, size, f);
    if (fclose(f) != 0 && !err) err = mg_fail(MG_NOMEM, "%s", path);
    if (!err) err = mg_file_write(path, page, page_size);
    free(page);
    return err;
}

mg_err mg_reproduce_publish(const char *folder, const mg_grid *grid, mg_arena *arena) {
    char   *text = NULL;
    size_t  size;
    results t    = {.grid = grid, .folder = folder, .arena = arena, .text = open_memstream(&text, &size)};
    mg_err  err  = MG_OK;
    if (!t.text) return mg_fail(MG_NOMEM, "%s/RESULTS.md", folder);
    t.rows = json_array();
    for (const mg_question *const *q = grid->questions; *q && !err; q++) err = add_question(&t, *q);
    if (!err && t.cells == 0) err = mg_fail(MG_EMPTY, "%s/cells: holds no cell yet; --list names them", folder);
    if (fclose(t.text) != 0 && !err) err = mg_fail(MG_NOMEM, "%s/RESULTS.md", folder);
    if (!err) err = mg_json_write(mg_path(arena, "%s/results.json", folder), json_incref(t.rows));
    if (!err) err = write_page(&t, text, size);
    json_decref(t.rows);
    free(text);
    return err;
}
