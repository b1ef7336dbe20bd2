// reproduce_drpo_desk.c - resets between the turns of demonstrations, on support-desk paid by its outcome.
//
// A starting policy that solves fewer than 5 % of the tasks, because it stopped early in imitating a noisy
// oracle; the same demonstrations to reset into; a reward of 1 where all of a task is done, else 0. Every arm
// plays as many episodes of the same training tasks and takes as many gradient steps. An episode that starts
// inside a demonstration has its first turns given, so DR-PO samples fewer tokens, not more. PPO is DR-PO
// without resets: the two differ in reset_share alone. A second, weaker starting policy solves next to nothing.
//
// Tried on seed 101, before this grid's first cell, with PPO and half of resets: step sizes 3e-4 (critic 1e-3) and
// 4 epochs, at which both learnt less in 80 updates (.26, .13) than with those here (.37, .32). GRPO was tried with
// those here alone.
#include <math.h>
#include <string.h>

#include "app/json.h"
#include "app/reproduce_desk.h"
#include "app/reproduce_drpo.h"
#include "core/file.h"

static const mg_arm arms[] = {
    {"desk-grpo", "GRPO", 5},
    {"desk-ppo", "PPO", 5},
    {"desk-drpo-0.5", "half of the episodes start inside a demonstration", 5},
    {"desk-drpo-1", "all of them do", 5},
    {"desk-weak-ppo", "PPO from the weaker policy", 5},
    {"desk-weak-drpo-0.5", "from the weaker policy, half of the episodes inside a demonstration", 5},
    {0},
};

static const struct {
    const char *share;  // of resets; NULL: GRPO
    const char *epochs; // of imitation; 10 would make a policy that solves half of the tasks
} arm_is[] = { // in the order of arms
    {NULL, "2.3"}, {"0", "2.3"}, {"0.5", "2.3"}, {"1", "2.3"}, {"0", "2"}, {"0.5", "2"}};

static const mg_override common[] = {
    {"world", "support-desk"}, {"environment.reward", "outcome"}, {"response_max", "8"}, {"prompt_max", "0"},
    {"record", "replayable"},  {"checkpoint_every", "1000"}};
static const mg_override grpo[] = {
    {"algo", "grpo"},     {"grpo.updates", "100"}, {"grpo.prompts", "12"},    {"grpo.group", "8"},
    {"grpo.epochs", "2"}, {"grpo.lr", "1e-3"},    {"grpo.temperature", "1"}, {"grpo.kl_coef", "0"}};
static const mg_override drpo[] = {
    {"algo", "drpo"},           {"drpo.updates", "100"},        {"drpo.episodes", "96"}, {"drpo.per_prompt", "8"},
    {"drpo.epochs", "2"},       {"drpo.lr", "1e-3"},           {"drpo.critic_lr", "2e-3"},
    {"drpo.critic_init", "policy"}, {"drpo.lambda", "1"},      {"drpo.whiten_rewards", "false"},
    {"drpo.kl_coef", "0"},      {"drpo.temperature", "1"}};

#define N(list) (int)(sizeof(list) / sizeof *(list))

// ---- the judge

typedef enum column { SUCCESS, PAID, KL, CALLS, REFUSED, PRIOR_SUCCESS, COLUMNS } column;
static const char *const column_name[COLUMNS] = {
    [SUCCESS] = "success", [PAID] = "return",       [KL] = "kl",
    [CALLS] = "calls",     [REFUSED] = "refused", [PRIOR_SUCCESS] = "prior_success"};

// What the desk took for no action, of the calls that were made.
static double refused(const mg_episode *e) {
    double n = 0;
    for (int64_t t = 0; t < e->n_turns; t++) n += e->turns[t].evidence.status == MG_STATUS_REFUSED;
    return n / (double)e->n_turns;
}

static mg_err judge(mg_cells *c, const mg_world *clean, const char *run, const char *prior, int seed,
                    json_t *cell) {
    double      x[COLUMNS][MG_DESK_JUDGED];
    mg_episode *own, *before;
    mg_err      err = mg_desk_play(c, clean, run, prior, seed, &own, x[KL]);
    if (!err) err = mg_desk_play(c, clean, prior, NULL, seed, &before, NULL);
    for (int i = 0; i < MG_DESK_JUDGED && !err; i++) {
        const mg_episode *e    = &own[i];
        const mg_reward   paid = mg_episode_return(e);
        const bool        used = e->verdict == MG_CLEAN && before[i].verdict == MG_CLEAN;
        for (int k = 0; k < COLUMNS && !used; k++) x[k][i] = NAN;
        if (!used) continue;
        x[SUCCESS][i] = mg_desk_solved(e), x[PRIOR_SUCCESS][i] = mg_desk_solved(&before[i]);
        x[CALLS][i] = (double)e->n_turns, x[REFUSED][i] = refused(e);
        if (!mg_reward_value(&paid, &x[PAID][i])) x[PAID][i] = NAN;
    }
    for (int k = 0; k < COLUMNS && !err; k++) {
        mg_mean m;
        err = mg_judged_mean(x[k], MG_DESK_JUDGED, 0.05, 1, &c->arena, &m);
        if (!err) json_object_set_new(cell, column_name[k], mg_json_mean(&m));
    }
    return err;
}

static mg_err run(mg_cells *c, int arm, int seed, json_t **result) {
    const char     *share = arm_is[arm].share, *prior, *demos;
    const char     *name  = mg_path(&c->arena, "%s-%d", arms[arm].name, seed);
    mg_world        clean = {0};
    mg_train_result trained;
    mg_override     more[N(grpo) + N(drpo) + 3];
    int             n   = 0;
    mg_err          err = mg_desk_world_open(&c->arena, &clean);
    if (!err) err = mg_desk_prior(c, &clean, seed, arm_is[arm].epochs, &prior);
    if (!err) err = mg_desk_demos(c, &clean, &demos);
    if (err) goto end;
    for (int i = 0; i < (share ? N(drpo) : N(grpo)); i++) more[n++] = share ? drpo[i] : grpo[i];
    if (share) more[n++] = (mg_override){"drpo.reset_share", share};
    more[n++] = (mg_override){"model", prior};
    more[n++] = (mg_override){"data", demos};
    const mg_desk_run r = {.name = name, .seed = seed, .settings = common, .n_settings = N(common), .more = more,
                           .n_more = n};
    err = mg_desk_train(c, &r, &trained);
    if (err) goto end;
    json_t *cell = json_object();
    err          = judge(c, &clean, mg_path(&c->arena, "%s/%s", c->runs, name), prior, seed, cell);
    if (err)
        json_decref(cell);
    else
        *result = cell;
end:
    mg_app_world_free(&clean);
    return err;
}

static const struct mg_level levels[] = {{"success", NAN}, {"return", NAN}, {"kl", NAN}, {"calls", NAN},
                                         {"refused", NAN}, {"prior_success", NAN}};
static const char *const        metrics[]   = {"success", "return", "kl"};
static const struct mg_contrast contrasts[] = {
    {"desk-drpo-0.5", "desk-ppo"}, {"desk-drpo-1", "desk-ppo"}, {"desk-drpo-0.5", "desk-grpo"},
    {"desk-grpo", "desk-ppo"}, {"desk-weak-drpo-0.5", "desk-weak-ppo"}};

const mg_question mg_drpo_desk = {
    .title = "A desk paid by its outcome",
    .shared = "Seeds change the starting policy's training, the episodes and the\ntraining on them; demonstrations "
              "and the 500 tasks that are judged are the same for all.",
    .arms = arms, .run = run,
    .claims = {.level_words = "on held-out tasks", .levels = levels, .n_levels = N(levels),
               .contrasts = contrasts, .n_contrasts = N(contrasts), .metrics = metrics, .n_metrics = N(metrics)}};
