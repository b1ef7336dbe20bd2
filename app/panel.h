// panel.h - the judges of held-out tasks, put together from folders: what eval, compare, demo and
// reproduce share.
#ifndef MG_APP_PANEL_H
#define MG_APP_PANEL_H
#include "app/app.h"
#include "train/evaluate.h"

typedef struct mg_panel_options {
    const char *data;         // folder with train.jsonl (for gold) and the judged split
    const char *split;        // "train", "validation", "test"
    int64_t     rows;         // at most so many of the split, in one fixed random order
    const char *model;        // a run or model folder: its tokenizer is used for all
    const char *reward_model; // folder or NULL
    const char *reference;    // folder or NULL: KL is measured to it
    const char *template;
    int64_t     prompt_max, response_max;
    double      temperature;
    int64_t     threads, seed;
} mg_panel_options;

extern const mg_panel_options mg_panel_defaults;

typedef struct mg_panel {
    mg_arena        arena, scratch;
    mg_team        *team;
    mg_tokenizer   *tokenizer;
    mg_world        world;
    mg_reward_model reward;
    mg_model       *reference;
    mg_judge        judge;
    const int64_t  *row; // [judge.n] which row of the split's file each is, from 0
    int64_t         cut; // rows whose prompt is longer than the rule allows, and is cut
} mg_panel;

// Is it a folder with a model, as a run's or its own? For paths that are loaded late.
// Error: MG_CONFIG.
mg_err mg_panel_check(const char *run_or_model) MG_MUST_USE;

mg_err mg_panel_open(mg_panel *p, const mg_panel_options *o) MG_MUST_USE;
void   mg_panel_close(mg_panel *p);

// Loads a policy, which the caller owns. Errors: those of loading; MG_MISMATCH when it is a reward
// model, or when its tokens are not those of the panel's tokenizer.
mg_err mg_panel_policy(mg_panel *p, const char *run_or_model, mg_model **policy) MG_MUST_USE;

// Loads a policy and judges it on every row.
mg_err mg_panel_judge(mg_panel *p, const char *run_or_model, mg_judged *judged, int64_t *unclean,
                      double *tokens) MG_MUST_USE;

// One column of judged rows, NAN where a row is not clean.
typedef enum mg_column { MG_COLUMN_GOLD, MG_COLUMN_REWARD, MG_COLUMN_KL, MG_COLUMN_ROUGE_L,
                         MG_COLUMN_LENGTH, MG_COLUMN_STOPPED, MG_COLUMNS } mg_column;
extern const char *const mg_column_name[MG_COLUMNS];
double mg_judged_cell(const mg_judged *x, mg_column column);
mg_err mg_panel_mean(mg_panel *p, const mg_judged *judged, mg_column column, double alpha,
                     mg_mean *out) MG_MUST_USE;
#endif
