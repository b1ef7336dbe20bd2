// demo.c - martingale demo: the main job on real input, sized to the time there is.
//
// A small language model that can already write Debian synopses by imitation (models/synopsis-base)
// learns to write better ones: answers are sampled and labelled, a reward model is learnt from the
// labels, DPO learns from them directly, PPO and DR-PO against the reward model. All are judged on
// held-out packages, and the table says who won, with intervals.
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "app/demo_report.h"
#include "app/study.h"
#include "core/file.h"
#include "core/log.h"
#include "worlds/debian.h"

#define ARENA_MAX    ((size_t)16 << 30) // address space
#define RUNS_MAX     1000               // demo folders before somebody should tidy up
#define PILOT        2                  // updates whose time says how many fit
#define UPDATES_MAX  80
#define UPDATES_MIN  10

// How the minutes are shared out; the rest goes to PPO and DR-PO.
#define SHARE_LABELS 0.10
#define SHARE_JUDGES 0.14

// PPO's, and used for DR-PO as they are. kl_coef and lr are those of six, {.1, .2, .4} x {1e-4, 2e-4}, whose
// policy had the highest gold on the validation prompts (docs/KNOWN.md).
static const mg_override rl_settings[] = {
    {"episodes", "64"}, {"per_prompt", "2"}, {"epochs", "2"}, {"lr", "2e-4"}, {"critic_lr", "3e-4"},
    {"kl_coef", "0.2"}, {"temperature", "0.7"}, {"missing_eos", "-2"},
};

#define N_RL (int)(sizeof rl_settings / sizeof *rl_settings)

typedef struct demo {
    mg_study        study;
    mg_arena        arena;
    double          started, budget; // seconds
    int64_t         updates;
    mg_label_report labels;
    mg_train_result reward, dpo, ppo, drpo;
} demo;

static double spent(const demo *d) { return mg_clock_seconds() - d->started; }

static const char *number(demo *d, double x) { return mg_path(&d->arena, "%.17g", x); }

// The first of runs/demo-1, -2, ... that is not there.
static mg_err choose_folder(demo *d, const char *out) {
    for (int i = 1; !out && i <= RUNS_MAX; i++) {
        const char *path = mg_path(&d->arena, "runs/demo-%d", i);
        if (!mg_file_exists(path)) out = path;
    }
    if (!out) return mg_fail(MG_LIMIT, "runs/ holds %d demos; remove some", RUNS_MAX);
    if (mg_file_exists(out)) return mg_fail(MG_BUSY, "--out: %s is there already", out);
    d->study.folder = out;
    return mg_folder_make(out);
}

static mg_err fetch(demo *d, const char *corpus) {
    if (mg_file_exists(mg_path(&d->arena, "%s/train.jsonl", d->study.data))) {
        mg_log(MG_LOG_INFO, "1  data: %s is there", d->study.data);
        return MG_OK;
    }
    mg_debian x;
    mg_err    err = mg_folder_make(d->study.data);
    if (!err) err = mg_import_debian(d->study.data, corpus, 1000, 2000, &d->arena, &x);
    if (!err)
        mg_log(MG_LOG_INFO, "1  data: %lld pairs of description and synopsis from %lld packages",
               (long long)x.report.pairs, (long long)x.report.stanzas);
    return err;
}

// A first handful tells the speed; then as many prompts as their share of the minutes allows.
static mg_err label(demo *d) {
    mg_label_rule rule = {.prompts = 64, .held = 32, .answers = 4, .pairs = 1,
                          .pairing = MG_PAIRING_BEST_WORST, .temperature = 0.7, .k = 12, .seed = 1};
    mg_err err = mg_study_preferences(&d->study, &rule, &d->labels);
    if (err) return err;
    const double each = d->labels.seconds / 96;
    rule.held         = 400;
    rule.prompts      = (int64_t)fmin(fmax(SHARE_LABELS * d->budget / each - 400, 500), 4000);
    err               = mg_study_preferences(&d->study, &rule, &d->labels);
    if (!err)
        mg_log(MG_LOG_INFO, "2  labels: %lld answers of the base policy (gold %.3f), %lld + %lld pairs",
               (long long)d->labels.answers, d->labels.gold_mean, (long long)d->labels.pairs,
               (long long)d->labels.held_pairs);
    return err;
}

static double metric(const mg_train_result *r, const char *name) {
    for (int i = 0; i < r->last.n; i++)
        if (strcmp(r->last.rows[i].name, name) == 0) return r->last.rows[i].value;
    return NAN;
}

static mg_err learn_reward(demo *d) {
    static const mg_override settings[] = {{"reward_model.epochs", "1.5"}};
    mg_err err = mg_study_train(&d->study, "reward_model", "reward", settings, 1, &d->reward);
    d->study.reward = mg_path(&d->arena, "%s/reward/model", d->study.folder);
    if (!err)
        mg_log(MG_LOG_INFO, "3  reward model: held-out accuracy %.1f %%",
               100 * metric(&d->reward, "held_out_accuracy"));
    return err;
}

static mg_err train_rl(demo *d, const char *algo, const char *name, int64_t updates,
                       mg_train_result *out) {
    mg_override all[N_RL + 2];
    int         n = 0;
    for (; n < N_RL; n++)
        all[n] = (mg_override){mg_path(&d->arena, "%s.%s", algo, rl_settings[n].key),
                               rl_settings[n].value};
    all[n++] = (mg_override){mg_path(&d->arena, "%s.updates", algo), number(d, (double)updates)};
    if (strcmp(algo, "drpo") == 0) all[n++] = (mg_override){"drpo.reset_share", "0.5"};
    return mg_study_train(&d->study, algo, name, all, n, out);
}

// PPO and DR-PO get equally many updates, as many as both fit into the time that is left.
static mg_err learn_policies(demo *d) {
    static const mg_override dpo[] = {{"dpo.epochs", "1"}, {"dpo.lr", "1e-4"}};
    mg_train_result          pilot;
    mg_err err = mg_study_train(&d->study, "dpo", "dpo", dpo, 2, &d->dpo);
    if (!err) err = train_rl(d, "ppo", "pilot", PILOT, &pilot);
    if (err) return err;
    const double left = d->budget * (1 - SHARE_JUDGES) - spent(d);
    const double each = pilot.seconds / PILOT;
    d->updates        = (int64_t)fmin(fmax(left / (2 * each), UPDATES_MIN), UPDATES_MAX);
    mg_log(MG_LOG_INFO, "4  %lld updates each fit (%.1f s an update)", (long long)d->updates, each);
    err = train_rl(d, "ppo", "ppo", d->updates, &d->ppo);
    if (!err) err = train_rl(d, "drpo", "drpo", d->updates, &d->drpo);
    return err;
}

static mg_err judge(demo *d, bool *kept) {
    mg_panel_options o = mg_panel_defaults;
    mg_panel         p;
    o.data = d->study.data, o.model = d->study.base, o.reward_model = d->study.reward;
    o.reference = d->study.base, o.threads = d->study.threads;
    mg_err err = mg_panel_open(&p, &o);
    if (err) return err;
    const char *const folders[] = {
        d->study.base, mg_path(&d->arena, "%s/dpo", d->study.folder),
        mg_path(&d->arena, "%s/ppo", d->study.folder), mg_path(&d->arena, "%s/drpo", d->study.folder)};
    mg_demo_result r = {.folder = d->study.folder, .updates = d->updates, .budget = d->budget,
                        .labels = d->labels, .rm_accuracy = metric(&d->reward, "held_out_accuracy")};
    for (int i = 0; i < MG_DEMO_POLICIES && !err; i++) {
        const double before = mg_clock_seconds();
        double       tokens = 0;
        r.judged[i] = MG_NEW(&p.arena, mg_judged, p.judge.n);
        err = mg_panel_judge(&p, folders[i], r.judged[i], &r.unclean[i], &tokens);
        r.rate[i] = tokens / (mg_clock_seconds() - before);
    }
    r.judged[MG_DEMO_HUMAN] = MG_NEW(&p.arena, mg_judged, p.judge.n);
    if (!err) err = mg_judge_humans(&p.judge, &p.arena, &p.scratch, r.judged[MG_DEMO_HUMAN]);
    r.seconds = spent(d);
    if (!err) err = mg_demo_publish(&p, &r, kept);
    mg_panel_close(&p);
    return err;
}

static mg_err run_all(demo *d, const char *out, const char *corpus, bool *kept) {
    mg_err err = choose_folder(d, out);
    if (!err) err = fetch(d, corpus);
    if (!err) err = label(d);
    if (!err) err = learn_reward(d);
    if (!err) err = learn_policies(d);
    if (!err) err = judge(d, kept);
    return err;
}

static int run(int argc, char **argv) {
    const char *out = NULL, *corpus = NULL, *minutes = NULL, *data = "data/debian";
    const char *base = "models/synopsis-base", *threads = NULL;
    mg_args     args;
    demo        d    = {.started = mg_clock_seconds()};
    bool        kept = false;
    int64_t     n    = 7;
    const mg_option options[] = {
        {"minutes", &minutes, NULL, "N  how long it may take, building not counted (default 7)"},
        {"out", &out, NULL, "FOLDER  default: the next free runs/demo-N"},
        {"data", &data, NULL, "FOLDER  pairs; fetched when it is empty (default data/debian)"},
        {"corpus", &corpus, NULL, "FILE  a package index from elsewhere: no network"},
        {"base", &base, NULL, "FOLDER  starting policy (default models/synopsis-base)"},
        {"threads", &threads, NULL, "N  worker threads (default: all)"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale demo [options]\n\n"
               "From the Debian package index to policies trained by DPO, PPO and DR-PO, judged on\n"
               "held-out packages. Exit status 1: PPO or DR-PO did not raise the reward model's score.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words) err = mg_fail(MG_CONFIG, "demo: found '%s', wanted options only", args.words[0]);
    if (!err && minutes) err = mg_args_int("minutes", minutes, 2, 10000, &n);
    if (!err && threads) err = mg_args_int("threads", threads, 0, 256, &d.study.threads);
    if (!err) err = mg_arena_init(&d.arena, "demo", ARENA_MAX);
    d.budget     = 60 * (double)n;
    d.study.data = data, d.study.base = base, d.study.arena = &d.arena;
    if (!err) err = run_all(&d, out, corpus, &kept);
    mg_arena_release(&d.arena);
    return err ? mg_exit_status(err) : kept ? MG_EXIT_DONE : MG_EXIT_NO;
}

const mg_verb mg_verb_demo = {"demo", "[--minutes N]",
                              "the main job on real input, from raw text to judged policies", run};
