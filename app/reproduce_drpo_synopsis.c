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
    const char *algo; // NULL: the starting policy as it is
    bool        human_pairs; // the reward model learns from pairs with human texts among them
    mg_override own[4];
} settings;

static const mg_arm arms[] = {
    {"sft", "the starting policy", 1},
    {"dpo", "DPO on the same pairs", 3},
    {"ppo", "PPO", 5},
    {"drpo-0.5", "half of resets", 5},
    {"drpo-1", "always a reset (the paper's main setting)", 5},
    {"drpo-0.25", "a quarter of resets", 3},
    {"drpo-0.75", "three quarters of resets", 3},
    {"drpo-1-sft", "resets into samples of the starting policy", 3},
    {"drpo-1-code", "masks as the published code has them", 3},
    {"ppo-human", "PPO, human texts in the reward model's pairs", 3},
    {"drpo-0.5-human", "half of resets, human texts in the reward model's pairs", 3},
    {"drpo-1-human", "always a reset, human texts in the reward model's pairs", 3},
    {"ppo-kl-0.05", "PPO, a quarter of the KL penalty", 3},
    {"ppo-kl-0.1", "PPO, half of the KL penalty", 3},
    {"drpo-0.5-kl-0.05", "half of resets, a quarter of the KL penalty", 3},
    {"drpo-0.5-kl-0.1", "half of resets, half of the KL penalty", 3},
    {"ppo-long", "PPO, ten times the episodes", 1},
    {"drpo-0.5-long", "half of resets, ten times the episodes", 1},
    {0},
};

static const settings arm_settings[] = { // in the order of arms
    {NULL, false, {{0}}},
    {"dpo", false, {{0}}},
    {"ppo", false, {{0}}},
    {"drpo", false, {{"drpo.reset_share", "0.5"}}},
    {"drpo", false, {{"drpo.reset_share", "1"}}},
    {"drpo", false, {{"drpo.reset_share", "0.25"}}},
    {"drpo", false, {{"drpo.reset_share", "0.75"}}},
    {"drpo", false, {{"drpo.reset_share", "1"}, {"drpo.reset_source", "sft"}}},
    {"drpo", false, {{"drpo.reset_share", "1"}, {"drpo.mask_mode", "code"}}},
    {"ppo", true, {{0}}},
    {"drpo", true, {{"drpo.reset_share", "0.5"}}},
    {"drpo", true, {{"drpo.reset_share", "1"}}},
    {"ppo", false, {{"ppo.kl_coef", "0.05"}}},
    {"ppo", false, {{"ppo.kl_coef", "0.1"}}},
    {"drpo", false, {{"drpo.reset_share", "0.5"}, {"drpo.kl_coef", "0.05"}}},
    {"drpo", false, {{"drpo.reset_share", "0.5"}, {"drpo.kl_coef", "0.1"}}},
    {"ppo", false, {{"ppo.updates", "800"}}},
    {"drpo", false, {{"drpo.reset_share", "0.5"}, {"drpo.updates", "800"}}},
};

// What all on-policy arms have in common: the demo's settings.
static const mg_override common[] = {{"updates", "80"},     {"episodes", "64"},   {"per_prompt", "2"},
                                     {"epochs", "2"},       {"lr", "2e-4"},       {"critic_lr", "3e-4"},
                                     {"kl_coef", "0.2"},    {"temperature", "0.7"}, {"missing_eos", "-2"}};

#define COMMON (int)(sizeof common / sizeof *common)

// Labels and reward model, once.
static mg_err prepare(mg_cells *c, mg_study *s, bool human) {
    mg_label_rule   rule = {.prompts = 3500, .held = 400, .answers = 4, .pairs = 1,
                            .pairing = MG_PAIRING_BEST_WORST, .temperature = 0.7, .k = 12,
                            .human = human, .seed = 1};
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

// Judges the arm beside the base policy and the people's texts.
static mg_err judge(const mg_study *s, const char *policy, json_t **result) {
    mg_panel_options o = mg_panel_defaults;
    mg_panel         p;
    int64_t          unclean;
    o.data = s->data, o.model = o.reference = s->base, o.reward_model = s->reward;
    o.threads  = s->threads;
    mg_err err = mg_panel_open(&p, &o);
    if (err) return err;
    mg_judged *sft = MG_NEW(&p.arena, mg_judged, p.judge.n), *own = MG_NEW(&p.arena, mg_judged, p.judge.n),
              *human = MG_NEW(&p.arena, mg_judged, p.judge.n);
    err = mg_judge_humans(&p.judge, &p.arena, &p.scratch, human);
    if (!err) err = mg_panel_judge(&p, s->base, sft, &unclean, NULL);
    if (!err) err = mg_panel_judge(&p, policy, own, &unclean, NULL);
    const mg_duel over_sft = mg_judged_duel(own, sft, p.judge.n, 0.05);
    const mg_duel over_human = mg_judged_duel(own, human, p.judge.n, 0.05);
    json_t *cell = json_pack("{s:I, s:o, s:o}", "unclean", (json_int_t)unclean, "wins_over_sft",
                             mg_json_duel(&over_sft), "wins_over_human", mg_json_duel(&over_human));
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
    mg_study        s = {.folder = a->human_pairs ? mg_path(&c->arena, "%s/human", c->runs) : c->runs,
                         .data = c->data, .base = c->base, .threads = c->threads, .arena = &c->arena};
    mg_override     all[COMMON + 8];
    mg_train_result trained = {0};
    int             n    = 0;
    const char     *name = mg_path(&c->arena, "%s-%d", arms[arm].name, seed);
    mg_err          err  = prepare(c, &s, a->human_pairs);
    if (err || !a->algo) return err ? err : judge(&s, s.base, result);
    for (int i = 0; i < COMMON && strcmp(a->algo, "dpo"); i++)
        all[n++] = (mg_override){mg_path(&c->arena, "%s.%s", a->algo, common[i].key), common[i].value};
    for (int i = 0; i < 4 && a->own[i].key; i++) all[n++] = a->own[i];
    all[n++] = (mg_override){"seed", mg_path(&c->arena, "%d", seed)};
    err = mg_study_train(&s, a->algo, name, all, n, &trained);
    return err ? err : judge(&s, mg_path(&c->arena, "%s/%s", s.folder, name), result);
}

static const char *const metrics[] = {"gold", "wins_over_human", "reward", "kl", "rouge_l", "length"};
static const struct mg_level    levels[]    = {{"wins_over_sft", 0.5}, {"wins_over_human", NAN}};
static const struct mg_contrast contrasts[] = {
    {"dpo", "ppo"},           {"drpo-0.5", "ppo"},          {"drpo-1", "ppo"},
    {"drpo-0.25", "ppo"},     {"drpo-0.75", "ppo"},         {"drpo-1-sft", "ppo"},
    {"drpo-1-code", "ppo"},   {"drpo-0.5-human", "ppo-human"}, {"drpo-1-human", "ppo-human"},
    {"drpo-0.5-kl-0.05", "ppo-kl-0.05"}, {"drpo-0.5-kl-0.1", "ppo-kl-0.1"}, {"drpo-0.5-long", "ppo-long"}};

#define N(list) (int)(sizeof(list) / sizeof *(list))

const mg_question mg_drpo_synopsis = {
    .title = "Synopses of packages",
    .shared = "Seeds change RL alone: labels and reward model (one for the arms\ncalled human, one for the others), "
              "starting policy and the 1,000 judged prompts are the same for all. What\nanother reward model would "
              "do is not in the intervals.",
    .arms = arms, .run = run,
    .claims = {.level_words = "against the starting policy", .levels = levels, .n_levels = N(levels),
               .contrasts = contrasts, .n_contrasts = N(contrasts), .metrics = metrics, .n_metrics = N(metrics)}};
