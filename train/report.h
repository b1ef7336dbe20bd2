// report.h - report.html: one file that a person reads offline, with tables, curves and episodes.
//
// A renderer over structs and nothing else: the page loads nothing, needs no JavaScript, and
// follows the reader's choice of light or dark. Whatever models, environments and data wrote is
// escaped; bytes that are not UTF-8 become U+FFFD. Everything pointed to is borrowed; NULL and 0
// mean "none", and what there is none of gets no heading.
#ifndef MG_TRAIN_REPORT_H
#define MG_TRAIN_REPORT_H
#include "core/arena.h"
#include "env/episode.h"
#include "rollout/numbers.h"
#include "store/store.h"

#define MG_REPORT_POINTS_MAX 600 // drawn per series; longer ones keep the extremes of each stretch
#define MG_REPORT_SERIES_MAX 8   // told apart by colour and dash; further ones repeat the looks
#define MG_REPORT_EPISODES   20  // that mg_report_run shows
#define MG_REPORT_WITNESSES  12  // of episodes that were kept out, at most 3 of a code

// Shown in place of the number when text is not NULL. value NAN: a dash. low < high: its interval.
typedef struct mg_report_cell {
    const char *text;
    double      value, low, high;
} mg_report_cell;

typedef struct mg_report_column {
    const char *name;
    bool        numeric;  // aligned right
    int         decimals; // of its numbers; -1: four significant digits
} mg_report_column;

typedef struct mg_report_table {
    const char             *caption;
    const mg_report_column *columns;
    int64_t                 n_columns;
    const mg_report_cell   *cells; // [n_rows * n_columns], row after row; the first names its row
    int64_t                 n_rows;
    const char             *note; // below the table
} mg_report_table;

typedef struct mg_report_series {
    const char     *name;   // in the legend, which is drawn where there are several
    const mg_point *points; // in order of update, by its number; what is not finite is a gap
    int64_t         n;
} mg_report_series;

typedef struct mg_report_curve {
    const char             *title;
    const mg_report_series *series;
    int64_t                 n_series;
} mg_report_curve;

// One prompt, answered by several.
typedef struct mg_report_answer {
    const char *name, *text, *scores; // "DR-PO", ..., "gold 0.41, reward 1.20"
} mg_report_answer;

typedef struct mg_report_sample {
    const char             *prompt, *reference;
    const mg_report_answer *answers;
    int64_t                 n_answers;
} mg_report_sample;

typedef struct mg_report_episode {
    const mg_episode *episode;
    size_t            prefix_size; // bytes of the first turn's action that were forced
    const char       *reference;
} mg_report_episode;

typedef struct mg_report_section { // free text: data card, notes
    const char        *heading;
    const char *const *paragraphs;
    int64_t            n_paragraphs;
} mg_report_section;

typedef struct mg_report_harness { // is the environment fit to learn from?
    const char              *summary;
    const mg_report_table   *tables;
    int64_t                  n_tables;
    const mg_report_episode *witnesses; // episodes that were kept out
    int64_t                  n_witnesses;
} mg_report_harness;

typedef struct mg_report_guard { // did the policy collapse while it learnt? (report_guard.h)
    const char            *summary;
    const mg_report_table *tables;
    int64_t                n_tables;
} mg_report_guard;

typedef struct mg_report {
    const char              *title;
    const char              *summary; // the outcome in one sentence
    const char              *config;  // resolved, as YAML
    const mg_report_table   *tables;
    int64_t                  n_tables;
    const mg_report_curve   *curves;
    int64_t                  n_curves;
    const mg_report_sample  *samples;
    int64_t                  n_samples;
    const mg_report_episode *episodes;
    int64_t                  n_episodes;
    const mg_report_section *sections;
    int64_t                  n_sections;
    const mg_report_harness *harness;
    const mg_report_guard   *guard;
    mg_numbers               numbers; // of the episodes; seen > 0: they are shown as steps of numbers
} mg_report;

// Written atomically. Errors: MG_IO, MG_NOMEM.
mg_err mg_report_write(const char *path, const mg_report *r) MG_MUST_USE;

// Sets r->curves: one per metric of any of the stores, in alphabetical order, each with a series
// per store that has it. Errors: those of reading a store.
mg_err mg_report_add_metrics(mg_report *r, mg_store *const *stores, const char *const *names,
                             int64_t n_stores, mg_arena *arena) MG_MUST_USE;

// Sets r->harness from the note "harness" and the store's episodes that are not CLEAN; a store without
// that note: no effect. Errors: those of reading a store; MG_CORRUPT for a note that is not one.
mg_err mg_report_add_harness(mg_report *r, mg_store *store, mg_arena *arena) MG_MUST_USE;

// folder/report.html of a finished run or rollout: what its store holds, with prefixes marked by the tokenizer
// in folder/model where there is one. Errors: those of reading and writing.
mg_err mg_report_run(const char *folder, mg_store *store, mg_arena *arena) MG_MUST_USE;
#endif
