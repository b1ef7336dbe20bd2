// rollout.c - martingale rollout: episodes of a policy, played, judged and recorded in a run.
//
// Only CLEAN episodes are averaged; the others are counted by verdict and code. Answers to one
// prompt are alike, so the intervals are over prompts: each counts once, by the mean of its clean
// episodes.
#include <math.h>
#include <string.h>

#include "app/json.h"
#include "app/panel.h"
#include "core/log.h"
#include "train/run.h"

#define ALPHA            0.05
#define EPISODES_DEFAULT 256
#define EPISODES_MAX     100000000

typedef struct request {
    mg_panel_options panel;
    const char      *out;
    int64_t          episodes, per_prompt;
} request;

typedef struct rollout {
    request  *r;
    mg_panel  panel;
    mg_model *policy;
    mg_run    run;
    int64_t   n;         // episodes to play
    int64_t   prompts;   // that they are spread over
    double   *gold, *length, *stopped; // [prompts] sums over clean episodes
    int64_t  *clean, *valued;          // [prompts] how many; how many of them have a reward
    int64_t   verdicts[3];             // by mg_verdict
    json_t   *codes;                   // owned: code -> how many
    double    tokens, seconds;         // of all answers; of playing them
} rollout;

static const char *const verdict_name[] = {
    [MG_CLEAN] = "clean", [MG_SUSPECT] = "suspect", [MG_QUARANTINED] = "quarantined"};

static void count(rollout *x, const mg_episode *e, int64_t prompt) {
    const int64_t said = e->n_turns ? e->n_tokens - e->turns[0].action_begin : 0;
    x->verdicts[e->verdict]++;
    x->tokens += (double)said;
    if (e->verdict != MG_CLEAN) {
        const json_int_t before = json_integer_value(json_object_get(x->codes, e->code));
        json_object_set_new(x->codes, e->code, json_integer(before + 1));
        return;
    }
    const mg_reward gold = mg_episode_return(e);
    double          value;
    x->clean[prompt]++;
    x->length[prompt] += (double)said;
    x->stopped[prompt] += e->stopped;
    if (mg_reward_value(&gold, &value)) x->gold[prompt] += value, x->valued[prompt]++;
}

// Plays episodes [from, from + n) and records them as the store's update number `batch`.
static mg_err play(rollout *x, int64_t batch, int64_t from, int64_t n) {
    const mg_judge  *j = &x->panel.judge;
    mg_arena        *a = &x->panel.scratch;
    const size_t     mark = mg_arena_mark(a);
    const mg_rollout how = {.model = x->policy, .tokenizer = j->tokenizer, .rule = j->rule,
                            .sampling = {.temperature = j->temperature, .top_p = 1,
                                         .new_max = j->response_max, .stop = j->rule.stop},
                            .class = j->class, .world = j->world, .team = j->team, .seed = j->seed};
    mg_start   *starts   = MG_NEW(a, mg_start, n);
    mg_episode *episodes = MG_NEW(a, mg_episode, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t prompt = (from + i) / x->r->per_prompt;
        starts[i] =
            (mg_start){.item = prompt, .group = (int32_t)prompt, .episode = (uint32_t)(from + i)};
    }
    const double before = mg_clock_seconds();
    mg_err       err    = mg_rollout_run(&how, starts, n, 0, 0, a, a, episodes, NULL);
    x->seconds += mg_clock_seconds() - before;
    if (!err) err = mg_store_begin(x->run.store, batch);
    for (int64_t i = 0; i < n && !err; i++) {
        count(x, &episodes[i], starts[i].item);
        err = mg_store_episode(x->run.store, &episodes[i]);
    }
    if (!err) err = mg_store_commit(x->run.store);
    mg_arena_reset(a, mark);
    return err;
}

static mg_err play_all(rollout *x) {
    const int64_t size = x->panel.judge.batch;
    mg_progress   progress;
    mg_err        err = MG_OK;
    mg_progress_start(&progress, "rollout", "episodes", x->n);
    for (int64_t batch = 0, from = 0; from < x->n && !err; batch++, from += size) {
        const int64_t n = x->n - from < size ? x->n - from : size;
        err = mg_stop
                  ? mg_fail(MG_INTERRUPTED, "stopped after %lld of %lld episodes, which are in %s",
                            (long long)from, (long long)x->n, x->r->out)
                  : play(x, batch, from, n);
        if (!err) mg_progress_show(&progress, from + n, NULL);
    }
    mg_progress_end(&progress);
    return err;
}

// The mean over prompts of sums / counts; prompts without a clean episode are left out.
static mg_err mean_of(rollout *x, const double *sum, const int64_t *n, mg_mean *out) {
    double *each = MG_NEW(&x->panel.scratch, double, x->prompts);
    for (int64_t i = 0; i < x->prompts; i++) each[i] = n[i] ? sum[i] / (double)n[i] : NAN;
    return mg_judged_mean(each, x->prompts, ALPHA, x->panel.judge.seed, &x->panel.scratch, out);
}

static void print(const rollout *x, const mg_mean *gold, const mg_mean *length,
                  const mg_mean *stopped) {
    const char *code;
    json_t     *n;
    printf("%lld episodes of %lld prompts in %s: %lld clean, %lld suspect, %lld quarantined\n",
           (long long)x->n, (long long)x->prompts, x->r->out, (long long)x->verdicts[MG_CLEAN],
           (long long)x->verdicts[MG_SUSPECT], (long long)x->verdicts[MG_QUARANTINED]);
    json_object_foreach(x->codes, code, n)
        printf("  %-14s %lld\n", code, (long long)json_integer_value(n));
    const struct {
        const char    *name;
        const mg_mean *m;
    } rows[] = {{"gold", gold}, {"length", length}, {"stopped", stopped}};
    for (int i = 0; i < 3; i++)
        if (!isnan(rows[i].m->mean))
            printf("  %-14s %.4f  [%.4f, %.4f]\n", rows[i].name, rows[i].m->mean, rows[i].m->low,
                   rows[i].m->high);
    printf("  %-14s %.0f\n", "tokens/s", x->tokens / x->seconds);
}

static mg_err report(rollout *x) {
    mg_mean gold, length, stopped;
    mg_err  err = mean_of(x, x->gold, x->valued, &gold);
    if (!err) err = mean_of(x, x->length, x->clean, &length);
    if (!err) err = mean_of(x, x->stopped, x->clean, &stopped);
    if (err) return err;
    json_t *verdicts = json_object();
    for (int v = MG_CLEAN; v <= MG_QUARANTINED; v++)
        json_object_set_new(verdicts, verdict_name[v], json_integer(x->verdicts[v]));
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:o, s:O, s:o, s:o, s:o, s:f}", "run", x->r->out, "policy",
        x->r->panel.model, "episodes", (json_int_t)x->n, "prompts", (json_int_t)x->prompts,
        "prompts_cut", (json_int_t)x->panel.cut, "verdicts", verdicts, "codes", x->codes, "gold",
        mg_json_mean(&gold), "length", mg_json_mean(&length), "stopped", mg_json_mean(&stopped),
        "tokens_per_second", x->tokens / x->seconds);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    err = text ? mg_store_note(x->run.store, "rollout", text) : mg_fail(MG_NOMEM, "a summary");
    if (!err && mg_json) printf("%s\n", text);
    if (!err && !mg_json) print(x, &gold, &length, &stopped);
    free(text);
    json_decref(root);
    return err;
}

static mg_err open_all(rollout *x) {
    request *r    = x->r;
    r->panel.rows = mg_pieces(r->episodes, r->per_prompt);
    mg_err err    = mg_panel_open(&x->panel, &r->panel);
    if (err) return err;
    x->n       = x->panel.judge.n * r->per_prompt;
    x->n       = r->episodes < x->n ? r->episodes : x->n;
    x->prompts = mg_pieces(x->n, r->per_prompt);
    if (x->n < r->episodes)
        mg_log(MG_LOG_INFO, "%s has %lld prompts: %lld episodes instead of %lld", r->panel.split,
               (long long)x->prompts, (long long)x->n, (long long)r->episodes);
    x->gold    = MG_NEW(&x->panel.arena, double, x->prompts);
    x->length  = MG_NEW(&x->panel.arena, double, x->prompts);
    x->stopped = MG_NEW(&x->panel.arena, double, x->prompts);
    x->clean   = MG_NEW(&x->panel.arena, int64_t, x->prompts);
    x->valued  = MG_NEW(&x->panel.arena, int64_t, x->prompts);
    x->codes   = json_object();
    err        = mg_panel_policy(&x->panel, r->panel.model, &x->policy);
    if (!err) err = mg_run_open(&x->run, r->out, false, &x->panel.arena);
    return err;
}

static int run_all(request *r) {
    rollout x   = {.r = r, .run = {.lock = -1}};
    mg_err  err = open_all(&x);
    if (!err) err = play_all(&x);
    if (!err) err = report(&x);
    mg_run_close(&x.run);
    mg_model_free(x.policy);
    mg_panel_close(&x.panel);
    json_decref(x.codes);
    return mg_exit_status(err);
}

static int run(int argc, char **argv) {
    request     r = {.panel = mg_panel_defaults, .episodes = EPISODES_DEFAULT, .per_prompt = 1};
    const char *episodes = NULL, *per_prompt = NULL, *temperature = NULL, *seed = NULL;
    const char *prompt_max = NULL, *response_max = NULL;
    mg_args     args;
    const mg_option options[] = {
        {"model", &r.panel.model, NULL, "RUN|MODEL  the policy"},
        {"data", &r.panel.data, NULL, "FOLDER  with train.jsonl and the split that is played"},
        {"split", &r.panel.split, NULL, "NAME  train, validation or test (default test)"},
        {"episodes", &episodes, NULL, "N  how many (default 256)"},
        {"per-prompt", &per_prompt, NULL, "K  episodes that share a prompt (default 1)"},
        {"temperature", &temperature, NULL, "T  of sampling, 0: greedy (default 0.7)"},
        {"seed", &seed, NULL, "N  of the draws (default 1)"},
        {"prompt-max", &prompt_max, NULL, "N  tokens of a prompt (default 72)"},
        {"response-max", &response_max, NULL, "N  tokens of an answer (default 24)"},
        {"template", &r.panel.template, NULL, "TEXT  how a prompt is put to the model"},
        {"out", &r.out, NULL, "FOLDER  the run folder to make"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf(
            "usage: martingale rollout --model RUN|MODEL --data FOLDER --out FOLDER [options]\n\n"
            "Plays episodes of the synopsis world and records them in FOLDER/run.db; `export\n"
            "--episodes` writes them as JSON lines. Means are over clean episodes alone.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words)
        err = mg_fail(MG_CONFIG, "rollout: found '%s', wanted options only", args.words[0]);
    if (!err && !r.panel.model)
        err = mg_fail(MG_CONFIG, "--model: found nothing, wanted a run or model folder");
    if (!err && !r.out) err = mg_fail(MG_CONFIG, "--out: found nothing, wanted a folder to make");
    if (!err && episodes) err = mg_args_int("episodes", episodes, 1, EPISODES_MAX, &r.episodes);
    if (!err && per_prompt) err = mg_args_int("per-prompt", per_prompt, 1, 1024, &r.per_prompt);
    if (!err && seed) err = mg_args_int("seed", seed, 0, 4294967295, &r.panel.seed);
    if (!err && prompt_max)
        err = mg_args_int("prompt-max", prompt_max, 0, 1000000, &r.panel.prompt_max);
    if (!err && response_max)
        err = mg_args_int("response-max", response_max, 1, 100000, &r.panel.response_max);
    if (!err && temperature)
        err = mg_args_real("temperature", temperature, 0, 100, &r.panel.temperature);
    return err ? mg_exit_status(err) : run_all(&r);
}

const mg_verb mg_verb_rollout = {"rollout", "--model RUN|MODEL --data FOLDER --out FOLDER",
                                 "play episodes and record them", run};
