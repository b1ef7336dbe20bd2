// reproduce.c - martingale reproduce: the published claims as cells (arm, seed) that grow over days
// and machines.
//
// A cell is one small file, repro/NAME/cells/ARM-SEED.json; results.json and RESULTS.md are written
// from the cells that are there, after each cell and when nothing else is asked for. Data, labels and
// the reward model are made once per machine in runs/reproduce-NAME and shared by its cells. A cell
// that was stopped goes on where it was.
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "app/json.h"
#include "app/reproduce.h"
#include "app/study.h"
#include "core/file.h"
#include "core/log.h"

#define ARENA_MAX ((size_t)16 << 30) // address space

// An arm of DR-PO's question on the synopsis world; `settings` differ from PPO's in nothing else.
typedef struct arm {
    const char *name, *algo, *meaning;
    int         seeds; // the core has MG_REPRODUCE_SEEDS_MAX
    mg_override settings[4];
} arm;

static const arm arms[] = {
    {"dpo", "dpo", "DPO on the same pairs", 3, {{0}}},
    {"ppo", "ppo", "PPO", 5, {{0}}},
    {"drpo-0.25", "drpo", "a quarter of resets", 3, {{"drpo.reset_share", "0.25"}}},
    {"drpo-0.5", "drpo", "half of resets", 5, {{"drpo.reset_share", "0.5"}}},
    {"drpo-0.75", "drpo", "three quarters of resets", 3, {{"drpo.reset_share", "0.75"}}},
    {"drpo-1", "drpo", "always a reset (the paper's main setting)", 5, {{"drpo.reset_share", "1"}}},
    {"drpo-1-sft", "drpo", "resets into samples of the starting policy", 3,
     {{"drpo.reset_share", "1"}, {"drpo.reset_source", "sft"}}},
    {"drpo-1-code", "drpo", "masks as the published code has them", 3,
     {{"drpo.reset_share", "1"}, {"drpo.mask_mode", "code"}}},
};

#define ARMS (int)(sizeof arms / sizeof *arms)

// What all on-policy arms have in common.
static const mg_override common[] = {{"updates", "80"},      {"episodes", "64"}, {"epochs", "2"},
                                     {"missing_eos", "-2"}, {"lr", "1e-4"},     {"kl_coef", "0.2"}};

#define COMMON (int)(sizeof common / sizeof *common)

typedef struct cells {
    mg_study    study;
    mg_arena    arena;
    const char *folder; // repro/drpo
} cells;

static const char *cell_path(cells *c, const arm *a, int seed) {
    return mg_path(&c->arena, "%s/cells/%s-%d.json", c->folder, a->name, seed);
}

static int list(cells *c) {
    json_t *all = json_array();
    for (int i = 0; i < ARMS; i++)
        for (int seed = 1; seed <= arms[i].seeds; seed++) {
            const bool there = mg_file_exists(cell_path(c, &arms[i], seed));
            if (mg_json)
                json_array_append_new(all, json_pack("{s:s, s:s, s:i, s:b}", "cell",
                                                     mg_path(&c->arena, "%s-%d", arms[i].name, seed),
                                                     "arm", arms[i].name, "seed", seed, "done", there));
            else
                printf("%-16s %-5s %s\n", mg_path(&c->arena, "%s-%d", arms[i].name, seed),
                       there ? "done" : "", arms[i].meaning);
        }
    if (mg_json)
        mg_json_print(all);
    else
        json_decref(all);
    return MG_EXIT_DONE;
}

// Labels and reward model, once.
static mg_err prepare(cells *c) {
    mg_study       *s    = &c->study;
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
    const mg_override settings[] = {{"reward_model.epochs", "1.5"}};
    if (!err && !mg_file_exists(mg_path(&c->arena, "%s/reward_model.json", s->reward)))
        err = mg_study_train(s, "reward_model", "reward", settings, 1, &result);
    return err;
}

// The revision that the cell was made with, or "unknown" outside a checkout.
static const char *commit(cells *c) {
    char  text[64] = "";
    FILE *git      = popen("git rev-parse HEAD 2>/dev/null", "r");
    if (git) {
        if (!fgets(text, sizeof text, git)) text[0] = 0;
        pclose(git);
    }
    text[strcspn(text, "\n")] = 0;
    return text[0] ? mg_arena_strdup(&c->arena, text) : "unknown";
}

// The processor's name, or "unknown" where the system does not tell.
static const char *machine(cells *c) {
    char  line[512];
    FILE *cpus = fopen("/proc/cpuinfo", "r");
    char *name = NULL;
    while (cpus && !name && fgets(line, sizeof line, cpus))
        if (strncmp(line, "model name", 10) == 0) name = strstr(line, ": ");
    if (cpus) fclose(cpus);
    if (!name) return "unknown";
    name[strcspn(name, "\n")] = 0;
    return mg_arena_strdup(&c->arena, name + 2);
}

// Judges the arm beside the base policy and writes the cell.
static mg_err judge(cells *c, const arm *a, int seed, const char *policy, double seconds) {
    mg_panel_options o = mg_panel_defaults;
    mg_panel         p;
    int64_t          unclean;
    o.data = c->study.data, o.model = o.reference = c->study.base, o.reward_model = c->study.reward;
    o.threads  = c->study.threads;
    mg_err err = mg_panel_open(&p, &o);
    if (err) return err;
    mg_judged *sft = MG_NEW(&p.arena, mg_judged, p.judge.n), *own = MG_NEW(&p.arena, mg_judged, p.judge.n);
    err = mg_panel_judge(&p, c->study.base, sft, &unclean, NULL);
    if (!err) err = mg_panel_judge(&p, policy, own, &unclean, NULL);
    const mg_duel d    = mg_judged_duel(own, sft, p.judge.n, 0.05);
    // seconds: of the life that finished the run
    json_t       *cell = json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:f, s:I, s:o}", "name", "drpo", "arm",
                                   a->name, "seed", seed, "commit", commit(c), "machine", machine(c),
                                   "threads", mg_team_threads(p.team), "seconds", seconds, "unclean",
                                   (json_int_t)unclean, "wins_over_sft", mg_json_duel(&d));
    for (mg_column k = 0; k < MG_COLUMNS && !err; k++) {
        mg_mean m;
        err = mg_panel_mean(&p, own, k, 0.05, &m);
        if (!err && !isnan(m.mean)) json_object_set_new(cell, mg_column_name[k], mg_json_mean(&m));
    }
    if (!err) err = mg_folder_make(mg_path(&c->arena, "%s/cells", c->folder));
    if (err)
        json_decref(cell);
    else
        err = mg_json_write(cell_path(c, a, seed), cell);
    mg_panel_close(&p);
    return err;
}

static mg_err publish(cells *c) {
    const char *names[ARMS];
    for (int i = 0; i < ARMS; i++) names[i] = arms[i].name;
    return mg_reproduce_publish(c->folder, names, ARMS, "ppo", &c->arena);
}

static mg_err run_cell(cells *c, const arm *a, int seed) {
    mg_override     all[COMMON + 8];
    mg_train_result result;
    int             n    = 0;
    const char     *name = mg_path(&c->arena, "%s-%d", a->name, seed);
    for (int i = 0; i < COMMON && strcmp(a->algo, "dpo"); i++)
        all[n++] = (mg_override){mg_path(&c->arena, "%s.%s", a->algo, common[i].key), common[i].value};
    for (int i = 0; i < 4 && a->settings[i].key; i++) all[n++] = a->settings[i];
    all[n++] = (mg_override){"seed", mg_path(&c->arena, "%d", seed)};
    mg_err err = prepare(c);
    if (!err) err = mg_study_train(&c->study, a->algo, name, all, n, &result);
    if (!err)
        err = judge(c, a, seed, mg_path(&c->arena, "%s/%s", c->study.folder, name), result.seconds);
    return err ? err : publish(c);
}

static const arm *find_arm(const char *id, int *seed) {
    for (int i = 0; i < ARMS; i++) {
        const size_t n = strlen(arms[i].name);
        char        *end;
        if (strncmp(id, arms[i].name, n) || id[n] != '-') continue;
        const long x = strtol(id + n + 1, &end, 10);
        if (*end || end == id + n + 1 || x < 1 || x > arms[i].seeds) continue;
        *seed = (int)x;
        return &arms[i];
    }
    return NULL;
}

// Cells that are missing, by seed and then by arm, until the time is up.
static mg_err run_budget(cells *c, double seconds) {
    const double started = mg_clock_seconds();
    mg_err       err     = MG_OK;
    for (int seed = 1; seed <= MG_REPRODUCE_SEEDS_MAX && !err; seed++)
        for (int i = 0; i < ARMS && !err; i++) {
            if (seed > arms[i].seeds || mg_file_exists(cell_path(c, &arms[i], seed))) continue;
            if (mg_clock_seconds() - started > seconds) return MG_OK;
            mg_log(MG_LOG_INFO, "cell %s-%d", arms[i].name, seed);
            err = run_cell(c, &arms[i], seed);
        }
    return err;
}

// "90m", "2h", "45s".
static mg_err parse_budget(const char *text, double *seconds) {
    char        *end;
    const double x    = strtod(text, &end);
    const double unit = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : 0;
    if (end == text || !(x > 0) || !isfinite(x) || unit == 0 || end[1])
        return mg_fail(MG_CONFIG, "--budget: found '%s', wanted a time such as 90m or 2h", text);
    *seconds = x * unit;
    return MG_OK;
}

static int run(int argc, char **argv) {
    const char *cell = NULL, *budget = NULL, *data = "data/debian", *base = "models/synopsis-base";
    const char *threads = NULL, *out = "repro/drpo";
    bool        do_list = false;
    mg_args     args;
    cells       c       = {0};
    double      seconds = 0;
    int         seed    = 0;
    const mg_option options[] = {
        {"list", NULL, &do_list, "print the cells, and which are done"},
        {"cell", &cell, NULL, "ID  run one cell, such as ppo-1"},
        {"budget", &budget, NULL, "TIME  run missing cells for so long: 45s, 90m or 2h"},
        {"data", &data, NULL, "FOLDER  pairs (default data/debian)"},
        {"base", &base, NULL, "FOLDER  starting policy (default models/synopsis-base)"},
        {"threads", &threads, NULL, "N  worker threads (default: all)"},
        {"out", &out, NULL, "FOLDER  where cells/ lies (default repro/drpo)"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale reproduce drpo [--list | --cell ID | --budget TIME]\n\n"
               "Where do resets into reference answers help? Arms and seeds of DR-PO's question. Without\n"
               "an option: results.json and RESULTS.md from the cells that are there.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && (args.n_words != 1 || strcmp(args.words[0], "drpo")))
        err = mg_fail(MG_CONFIG, "reproduce: found '%s', wanted drpo", args.n_words ? args.words[0] : "nothing");
    if (!err) err = mg_arena_init(&c.arena, "reproduce", ARENA_MAX);
    if (!err && threads) err = mg_args_int("threads", threads, 0, 256, &c.study.threads);
    const arm *a = cell ? find_arm(cell, &seed) : NULL;
    if (!err && cell && !a) err = mg_fail(MG_CONFIG, "--cell: found '%s'; --list names them", cell);
    if (!err && budget) err = parse_budget(budget, &seconds);
    c.folder       = out;
    c.study.folder = "runs/reproduce-drpo", c.study.arena = &c.arena;
    c.study.data = data, c.study.base = base;
    int status = MG_EXIT_DONE;
    if (!err && do_list) status = list(&c);
    else if (!err && a) err = run_cell(&c, a, seed);
    else if (!err && budget) err = run_budget(&c, seconds);
    else if (!err) err = publish(&c);
    mg_arena_release(&c.arena);
    return err ? mg_exit_status(err) : status;
}

const mg_verb mg_verb_reproduce = {"reproduce", "drpo [--list | --cell ID | --budget TIME]",
                                   "the published claims, cell by cell", run};
