// rollout.c - martingale rollout: episodes of a policy in an environment, through the gate, in a run.
//
// Only CLEAN episodes are averaged; the others are counted by code, and are the report's witnesses.
// Episodes of one task are alike, so intervals are over tasks: each counts once, by the mean of its clean
// episodes.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "app/json.h"
#include "app/rollout_world.h"
#include "core/file.h"
#include "core/log.h"
#include "train/evaluate.h"
#include "train/report.h"

#define ALPHA            0.05
#define EPISODES_DEFAULT 256
#define EPISODES_MAX     100000000

typedef struct rollout {
    mg_rollout_world where;
    mg_run    run;
    int64_t   episodes, per_task, tasks;
    double   *total, *length;           // [tasks] sums over clean episodes
    double   *stopped, *terminated;     // [tasks] how many of them end with a stop, or with their task
    int64_t  *clean, *valued;           // [tasks] how many; how many of them have a return
    double    tokens, seconds;          // of all answers; of playing them
    int64_t   verdicts[3];              // by mg_verdict
    int64_t   cut;                      // observations cut to prompt_max
    int64_t   begun;                    // tasks; a trip ends the run before the others
    char      witness[512];             // code and detail of the first failure of the harness's side, or else
    bool      has_failure;              // of the first episode that was quarantined; "": there is none
} rollout;

static void keep_witness(rollout *x, const mg_episode *e) {
    const bool failure = mg_episode_harness_failed(e);
    if (x->has_failure || !(failure || (e->verdict == MG_QUARANTINED && !x->witness[0]))) return;
    x->has_failure = failure;
    snprintf(x->witness, sizeof x->witness, "%s: %s", e->code, e->detail);
    for (char *c = x->witness; *c; c++) // a stranger's words, for a terminal
        if (iscntrl((unsigned char)*c)) *c = ' ';
}

static void count(rollout *x, const mg_collected *c) {
    for (int64_t i = 0; i < c->n_all; i++) {
        const mg_episode *e    = &c->all[i];
        const int64_t     task = (int64_t)e->start.episode / x->per_task;
        const mg_reward   sum  = mg_episode_return(e);
        const double      said = e->n_tokens && e->n_turns ? (double)(e->n_tokens - e->turns[0].action_begin)
                                                           : (double)e->n_turns;
        double            value;
        x->tokens += said;
        x->verdicts[e->verdict]++;
        if (task >= x->begun) x->begun = task + 1;
        keep_witness(x, e);
        if (e->verdict != MG_CLEAN) continue;
        x->clean[task]++;
        x->length[task] += said;
        x->stopped[task] += e->stopped, x->terminated[task] += e->terminated;
        if (mg_reward_value(&sum, &value)) x->total[task] += value, x->valued[task]++;
    }
}

// Plays episodes [from, from + n) and records them as the store's update number `batch`.
static mg_err play(rollout *x, int64_t batch, int64_t from, int64_t n) {
    mg_rollout_world *w      = &x->where;
    const size_t      mark   = mg_arena_mark(&w->step);
    mg_start         *starts = MG_NEW(&w->step, mg_start, n);
    mg_collected      c;
    for (int64_t i = 0; i < n; i++) {
        const int64_t task = (from + i) / x->per_task;
        starts[i] = (mg_start){.item = w->items ? w->items[task] : -1, .group = (int32_t)task,
                               .episode = (uint32_t)(from + i)};
    }
    const double before = mg_clock_seconds();
    mg_err       err = mg_collect(&w->how, &w->gate, starts, n, 0, 0, &w->step, &w->step, &c);
    x->seconds += mg_clock_seconds() - before;
    if (!err) err = mg_store_begin(x->run.store, batch);
    for (int64_t i = 0; i < c.n_all && !err; i++) err = mg_store_episode(x->run.store, &c.all[i]);
    if (!err) err = mg_store_commit(x->run.store);
    if (!err) count(x, &c), x->cut += c.cut_prompts;
    for (int64_t k = 0; k < c.n_kept && !err; k++) mg_gate_feed(&w->gate, &c.all[c.kept[k]], 1);
    mg_arena_reset(&w->step, mark);
    return err;
}

static mg_err play_all(rollout *x) {
    const int64_t size = mg_pieces(x->where.batch, x->per_task) * x->per_task;
    mg_progress   progress;
    mg_err        err = MG_OK;
    mg_progress_start(&progress, "rollout", "episodes", x->episodes);
    for (int64_t batch = 0, from = 0; from < x->episodes && !err; batch++, from += size) {
        const int64_t n = x->episodes - from < size ? x->episodes - from : size;
        err = mg_stop ? mg_fail(MG_INTERRUPTED, "stopped after %lld of %lld episodes, which are in %s",
                                (long long)from, (long long)x->episodes, x->run.folder)
                      : play(x, batch, from, n);
        if (!err) mg_progress_show(&progress, from + n, NULL);
        if (mg_gate_stopped(&x->where.gate)) break;
    }
    mg_progress_end(&progress);
    return err;
}

// The mean over tasks of sums / counts; tasks without a clean episode are left out.
static mg_err mean_of(rollout *x, const double *sum, const int64_t *n, mg_mean *out) {
    double *each = MG_NEW(&x->where.step, double, x->tasks);
    for (int64_t i = 0; i < x->tasks; i++) each[i] = n[i] ? sum[i] / (double)n[i] : NAN;
    return mg_judged_mean(each, x->tasks, ALPHA, (uint64_t)x->where.settings.run.seed, &x->where.step, out);
}

typedef struct means {
    mg_mean total, length, stopped, terminated;
} means;

static void print(const rollout *x, const means *m) {
    const mg_gate *g      = &x->where.gate;
    const bool     speaks = x->where.how.tokenizer != NULL; // a language model
    printf("%lld attempts at %lld tasks in %s: %lld clean, %lld suspect, %lld quarantined; %lld failed on the "
           "harness's side\n", (long long)g->attempts, (long long)x->begun, x->run.folder,
           (long long)x->verdicts[MG_CLEAN], (long long)x->verdicts[MG_SUSPECT],
           (long long)x->verdicts[MG_QUARANTINED], (long long)g->failures);
    for (int c = MG_CODE_NONE + 1; c < MG_CODES; c++)
        if (g->by_code[c])
            printf("  %-14s %-6lld %s\n", mg_code_name((mg_code)c), (long long)g->by_code[c],
                   mg_code_meaning((mg_code)c));
    if (x->witness[0]) printf("  the first witness of it: %s\n", x->witness);
    const struct {
        const char    *name;
        const mg_mean *m;
    } rows[] = {{"return", &m->total}, {"length", &m->length}, {"terminated", &m->terminated},
                {"stopped", &m->stopped}};
    for (int i = 0; i < 3 + speaks; i++)
        if (!isnan(rows[i].m->mean))
            printf("  %-14s %.4f  [%.4f, %.4f]\n", rows[i].name, rows[i].m->mean, rows[i].m->low,
                   rows[i].m->high);
    if (speaks) printf("  %-14s %.0f\n", "tokens/s", x->tokens / x->seconds);
    printf("  report         %s/report.html\n", x->run.folder);
}

// What a length counts: what a language model says, what happens in a world of vectors, else what a script says.
static const char *unit_of(const mg_rollout_world *w) {
    return w->how.tokenizer ? "tokens" : w->how.class->observation.kind == MG_SPACE_VECTOR ? "steps" : "turns";
}

static mg_err report(rollout *x) {
    mg_rollout_world *w = &x->where;
    means             m;
    const char       *account;
    mg_err            err = mean_of(x, x->total, x->valued, &m.total);
    if (!err) err = mean_of(x, x->length, x->clean, &m.length);
    if (!err) err = mean_of(x, x->stopped, x->clean, &m.stopped);
    if (!err) err = mean_of(x, x->terminated, x->clean, &m.terminated);
    if (!err) err = mg_harness_text(&w->gate, &w->manifest, &w->step, &account);
    if (err) return err;
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:{s:I, s:I, s:I}, s:I, s:o, s:o, s:s, s:o, s:o, s:o, "
                             "s:f}", "run", x->run.folder, "world", w->how.class->name, "policy", w->policy, "split",
                             w->split, "episodes", (json_int_t)x->episodes, "tasks", (json_int_t)x->begun, "verdicts",
                             "clean", (json_int_t)x->verdicts[MG_CLEAN], "suspect",
                             (json_int_t)x->verdicts[MG_SUSPECT], "quarantined",
                             (json_int_t)x->verdicts[MG_QUARANTINED], "prompts_cut", (json_int_t)x->cut,
                             "return", mg_json_mean(&m.total), "length", mg_json_mean(&m.length),
                             "length_unit", unit_of(w), "stopped",
                             mg_json_mean(&m.stopped), "terminated", mg_json_mean(&m.terminated), "harness",
                             json_loads(account, 0, NULL),
                             "tokens_per_second", x->tokens / x->seconds);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    err = text ? mg_store_note(x->run.store, "rollout", text) : mg_fail(MG_NOMEM, "a summary");
    if (!err) err = mg_store_note(x->run.store, "harness", account);
    if (!err) err = mg_report_run(x->run.folder, x->run.store, &w->step);
    if (!err && mg_json) printf("%s\n", text);
    if (!err && !mg_json) print(x, &m);
    free(text);
    json_decref(root);
    return err;
}

static mg_err open_run(rollout *x, const char *out) {
    mg_rollout_world *w = &x->where;
    x->tasks = mg_pieces(x->episodes, x->per_task);
    if (w->items && x->tasks > w->n_items) {
        mg_log(MG_LOG_INFO, "%lld tasks: %lld episodes instead of %lld", (long long)w->n_items,
               (long long)(w->n_items * x->per_task), (long long)x->episodes);
        x->tasks = w->n_items, x->episodes = w->n_items * x->per_task;
    }
    x->total   = MG_NEW(&w->arena, double, x->tasks);
    x->length  = MG_NEW(&w->arena, double, x->tasks);
    x->stopped = MG_NEW(&w->arena, double, x->tasks);
    x->terminated = MG_NEW(&w->arena, double, x->tasks);
    x->clean   = MG_NEW(&w->arena, int64_t, x->tasks);
    x->valued  = MG_NEW(&w->arena, int64_t, x->tasks);
    return mg_rollout_world_run(w, out, &x->run);
}

// Before a world is opened, which may take long.
static mg_err check_out(const char *out) {
    mg_arena arena;
    mg_err   err = mg_arena_init(&arena, "out", (size_t)1 << 20);
    if (!err) err = mg_run_check(out, false, &arena);
    mg_arena_release(&arena);
    return err;
}

static int run_all(rollout *x, const mg_rollout_asked *asked) {
    mg_err err = check_out(asked->out);
    if (!err) err = mg_rollout_world_open(&x->where, asked);
    if (!err) err = open_run(x, asked->out);
    if (!err) err = play_all(x);
    if (!err) err = report(x);
    if (!err && mg_gate_stopped(&x->where.gate))
        err = mg_fail(MG_UNFIT, "%s; the first witness of it: %s", x->where.gate.why, x->witness);
    mg_run_close(&x->run);
    mg_rollout_world_close(&x->where);
    return mg_exit_status(err);
}

static int help(const mg_option *options) {
    printf("usage: martingale rollout [CONFIG.yaml] --model RUN|MODEL --out FOLDER [--key value ...]\n"
           "       martingale rollout [CONFIG.yaml] --policy SCRIPT   --out FOLDER [--key value ...]\n\n"
           "Plays episodes through the gate and records them in FOLDER/run.db, with a report. Keys are those\n"
           "of `train` (world, data, environment.*, gate.*, seed, ...); those of a run that is given as the\n"
           "model are its own. Means are over clean episodes alone. Exit status 1: the gate tripped.\n\n"
           "  %s rollout --world support-desk --policy oracle --out runs/oracle\n"
           "  %s rollout --environment.command \"python3 my_env.py\" --policy random --out runs/mine\n\n",
           mg_program, mg_program);
    mg_args_help(options, stdout);
    return MG_EXIT_DONE;
}

static int run(int argc, char **argv) {
    rollout          x = {.episodes = EPISODES_DEFAULT, .per_task = 1, .run = {.lock = -1}};
    mg_rollout_asked asked    = {.split = "test"};
    const char      *episodes = NULL, *per_task = NULL, *temperature = NULL, *from = NULL, *to = NULL;
    mg_args          args;
    const mg_option  options[] = {
        {"model", &asked.model, NULL, "RUN|MODEL  a language model as the policy, or of vectors a perceptron"},
        {"policy", &asked.script, NULL,
         "SCRIPT  one that the world brings along, or random (of discrete or admissible actions)"},
        {"out", &asked.out, NULL, "FOLDER  the run folder to make"},
        {"episodes", &episodes, NULL, "N  how many (default 256)"},
        {"per-prompt", &per_task, NULL, "K  episodes of each task (default 1)"},
        {"from", &from, NULL, "N  of the world's tasks only those from number N on (default 0)"},
        {"to", &to, NULL, "N  of the world's tasks only those up to N, which is left out (default: all)"},
        {"split", &asked.split, NULL, "NAME  of a world made of data: train, validation or test (default test)"},
        {"temperature", &temperature, NULL,
         "T  of sampling, 0: greedy (default: the run's, else 0.7; a perceptron's 0, and above it as its head draws)"},
        {0}};
    asked.temperature = -1;
    mg_err err = mg_args_parse(&args, argc, argv, options, true);
    if (!err && args.help) return help(options);
    if (!err && args.n_words > 1)
        err = mg_fail(MG_CONFIG, "rollout: found %d files, wanted one configuration", args.n_words);
    if (!err && !asked.model == !asked.script)
        err = mg_fail(MG_CONFIG, "rollout: found %s, wanted one of --model and --policy",
                      asked.model ? "both" : "neither");
    if (!err && !asked.out) err = mg_fail(MG_CONFIG, "--out: found nothing, wanted a folder to make");
    if (!err && episodes) err = mg_args_int("episodes", episodes, 1, EPISODES_MAX, &x.episodes);
    if (!err && per_task) err = mg_args_int("per-prompt", per_task, 1, 1024, &x.per_task);
    if (!err && from) err = mg_args_int("from", from, 0, EPISODES_MAX, &asked.from);
    if (!err && to) err = mg_args_int("to", to, 1, EPISODES_MAX, &asked.to);
    if (!err && temperature) err = mg_args_real("temperature", temperature, 0, 100, &asked.temperature);
    asked.config = args.n_words ? args.words[0] : NULL;
    asked.overrides = args.overrides, asked.n_overrides = args.n_overrides;
    return err ? mg_exit_status(err) : run_all(&x, &asked);
}

const mg_verb mg_verb_rollout = {"rollout", "--model RUN|MODEL | --policy SCRIPT  --out FOLDER",
                                 "play episodes through the gate and record them", run};
