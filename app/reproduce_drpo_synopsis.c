// reproduce_drpo_synopsis.c - DR-PO against PPO on the synopsis world, the paper's own question.
//
// Labels and the reward model are made once per machine and shared by the cells. A cell that was
// stopped goes on where it was.
#include <math.h>
#include <string.h>

#include "app/json.h"
#include "app/reproduce_drpo.h"
#include "app/study.h"
#include "core/file.h"
#include "core/log.h"

// An arm's settings differ from PPO's in nothing else.
typedef struct settings {
    const char *algo;
    mg_override own[4];
} settings;

static const mg_arm arms[] = {
    {"dpo", "DPO on the same pairs", 3},
    {"ppo", "PPO", 5},
    {"drpo-0.25", "a quarter of resets", 3},
    {"drpo-0.5", "half of resets", 5},
    {"drpo-0.75", "three quarters of resets", 3},
    {"drpo-1", "always a reset (the paper's main setting)", 5},
    {"drpo-1-sft", "resets into samples of the starting policy", 3},
    {"drpo-1-code", "masks as the published code has them", 3},
    {0},
};

static const settings arm_settings[] = { // in the order of arms
    {"dpo", {{0}}},
    {"ppo", {{0}}},
    {"drpo", {{"drpo.reset_share", "0.25"}}},
    {"drpo", {{"drpo.reset_share", "0.5"}}},
    {"drpo", {{"drpo.reset_share", "0.75"}}},
    {"drpo", {{"drpo.reset_share", "1"}}},
    {"drpo", {{"drpo.reset_share", "1"}, {"drpo.reset_source", "sft"}}},
    {"drpo", {{"drpo.reset_share", "1"}, {"drpo.mask_mode", "code"}}},
};

// What all on-policy arms have in common.
static const mg_override common[] = {{"updates", "80"},      {"episodes", "64"}, {"epochs", "2"},
                                     {"missing_eos", "-2"}, {"lr", "2e-4"},     {"kl_coef", "0.2"}};

#define COMMON (int)(sizeof common / sizeof *common)

// Labels and reward model, once.
static mg_err prepare(mg_cells *c, mg_study *s) {
    mg_label_rule   rule = {.prompts = 3500, .held = 400, .answers = 4, .pairs = 1,
                            .pairing = MG_PAIRING_BEST_WORST, .temperature = 0.7, .k = 12,
                            .seed = 1};
    mg_label_report report;
    mg_train_result result;
    s->preferences = mg_path(&c->arena, "%s/preferences", s->folder);
    s->reward      = mg_path(&c->arena, "%s/reward/model", s->folder);
    mg_err err     = MG_OK;
    if (!mg_file_exists(mg_path(&c->arena, "%s/train.jsonl", s->preferences)))
        err = mg_study_preferences(s, &rule, &report);
    const mg_override epochs[] = {{"reward_model.epochs", "1.5"}};
    if (!err && !mg_file_exists(mg_path(&c->arena, "%s/reward_model.json", s->reward)))
        err = mg_study_train(s, "reward_model", "reward", epochs, 1, &result);
    return err;
}

// Judges the arm beside the base policy.
static mg_err judge(const mg_study *s, const char *policy, double seconds, json_t **result) {
    mg_panel_options o = mg_panel_defaults;
    mg_panel         p;
    int64_t          unclean;
    o.data = s->data, o.model = o.reference = s->base, o.reward_model = s->reward;
    o.threads  = s->threads;
    mg_err err = mg_panel_open(&p, &o);
    if (err) return err;
    mg_judged *sft = MG_NEW(&p.arena, mg_judged, p.judge.n), *own = MG_NEW(&p.arena, mg_judged, p.judge.n);
    err = mg_panel_judge(&p, s->base, sft, &unclean, NULL);
    if (!err) err = mg_panel_judge(&p, policy, own, &unclean, NULL);
    const mg_duel d    = mg_judged_duel(own, sft, p.judge.n, 0.05);
    // seconds: of the life that finished the run
    json_t *cell = json_pack("{s:i, s:f, s:I, s:o}", "threads", mg_team_threads(p.team), "seconds", seconds,
                             "unclean", (json_int_t)unclean, "wins_over_sft", mg_json_duel(&d));
    for (mg_column k = 0; k < MG_COLUMNS && !err; k++) {
        mg_mean m;
        err = mg_panel_mean(&p, own, k, 0.05, &m);
        if (!err && !isnan(m.mean)) json_object_set_new(cell, mg_column_name[k], mg_json_mean(&m));
    }
    if (err)
        json_decref(cell);
    else
        *result = cell;
    mg_panel_close(&p);
    return err;
}

static mg_err run(mg_cells *c, int arm, int seed, json_t **result) {
    const settings *a = &arm_settings[arm];
    mg_study        s = {.folder = c->runs, .data = c->data, .base = c->base, .threads = c->threads,
                         .arena = &c->arena};
    mg_override     all[COMMON + 8];
    mg_train_result trained;
    int             n    = 0;
    const char     *name = mg_path(&c->arena, "%s-%d", arms[arm].name, seed);
    for (int i = 0; i < COMMON && strcmp(a->algo, "dpo"); i++)
        all[n++] = (mg_override){mg_path(&c->arena, "%s.%s", a->algo, common[i].key), common[i].value};
    for (int i = 0; i < 4 && a->own[i].key; i++) all[n++] = a->own[i];
    all[n++] = (mg_override){"seed", mg_path(&c->arena, "%d", seed)};
    mg_err err = prepare(c, &s);
    if (!err) err = mg_study_train(&s, a->algo, name, all, n, &trained);
    return err ? err : judge(&s, mg_path(&c->arena, "%s/%s", s.folder, name), trained.seconds, result);
}

static const char *const metrics[] = {"gold", "reward", "kl", "rouge_l", "length"};
static const struct mg_level    levels[]    = {{"wins_over_sft", 0.5}};
static const struct mg_contrast contrasts[] = {
    {"dpo", "ppo"},       {"drpo-0.25", "ppo"},  {"drpo-0.5", "ppo"},   {"drpo-0.75", "ppo"},
    {"drpo-1", "ppo"},    {"drpo-1-sft", "ppo"}, {"drpo-1-code", "ppo"}};

const mg_question mg_drpo_synopsis = {
    .title = "Synopses of packages", .arms = arms, .run = run,
    .claims = {.level_words = "against the starting policy", .levels = levels, .n_levels = 1,
               .contrasts = contrasts, .n_contrasts = 7, .metrics = metrics, .n_metrics = 5}};
