// eval.c - martingale eval and compare: policies on held-out tasks.
#include <math.h>
#include <string.h>

#include "app/asked.h"
#include "app/json.h"

#define ALPHA 0.05

// Options that both verbs take, read into a panel's.
typedef struct request {
    mg_panel_options panel;
    mg_asked         asked;
    const char      *prompts, *seed;
} request;

#define PANEL_OPTIONS(r)                                                                         \
    {"data", &(r).panel.data, NULL, "FOLDER  with train.jsonl and the judged split"},            \
    {"split", &(r).panel.split, NULL, "NAME  train, validation or test (default test)"},                \
    {"prompts", &(r).prompts, NULL, "N  how many of them (default 1000)"},                       \
    {"reward-model", &(r).panel.reward_model, NULL, "FOLDER  a learned reward as a judge"},      \
    {"reference", &(r).panel.reference, NULL, "FOLDER  the policy that KL is measured to"},      \
    MG_ASKED_OPTIONS((r).asked),                                                                 \
    {"seed", &(r).seed, NULL, "N  of the draws (default 1)"}

static mg_err resolve(request *r, const mg_args *args) {
    mg_err err = mg_asked_resolve(&r->asked, args->words, args->n_words, &r->panel);
    if (!err && r->prompts) err = mg_args_int("prompts", r->prompts, 1, 100000000, &r->panel.rows);
    if (!err && r->seed) err = mg_args_int("seed", r->seed, 0, 4294967295, &r->panel.seed);
    return err;
}

// ---- eval ----

static mg_err evaluate(mg_panel *p, const char *policy) {
    mg_judged *judged = MG_NEW(&p->arena, mg_judged, p->judge.n);
    int64_t    unclean;
    mg_err     err = mg_panel_judge(p, policy, judged, &unclean, NULL);
    if (err) return err;
    json_t *root = json_pack("{s:s, s:I, s:I}", "policy", policy, "prompts",
                             (json_int_t)p->judge.n, "unclean", (json_int_t)unclean);
    if (!mg_json)
        printf("%s on %lld prompts (%lld episodes not clean), 95 %% bootstrap intervals\n", policy,
               (long long)p->judge.n, (long long)unclean);
    for (mg_column c = 0; c < MG_COLUMNS && !err; c++) {
        mg_mean m;
        err = mg_panel_mean(p, judged, c, ALPHA, &m);
        if (err || isnan(m.mean)) continue;
        if (!mg_json) printf("  %-8s %8.4f  [%.4f, %.4f]\n", mg_column_name[c], m.mean, m.low, m.high);
        json_object_set_new(root, mg_column_name[c], mg_json_mean(&m));
    }
    if (mg_json && !err)
        err = mg_json_print(root);
    else
        json_decref(root);
    return err;
}

static int run_eval(int argc, char **argv) {
    request         r         = {.panel = mg_panel_defaults};
    mg_args         args;
    mg_panel        panel     = {0};
    const mg_option options[] = {PANEL_OPTIONS(r), {0}};
    mg_err          err       = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale eval RUN|MODEL --data FOLDER [options]\n\n"
               "Samples one answer per held-out prompt and prints what the judges say: gold (the world's\n"
               "own score), the reward model, KL to a reference, ROUGE-L to the human answer.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words != 1)
        err = mg_fail(MG_CONFIG, "eval: found %d %s, wanted one run or model", args.n_words,
                      args.n_words == 1 ? "folder" : "folders");
    if (!err) err = resolve(&r, &args);
    r.panel.model = !err ? args.words[0] : NULL;
    if (!err) err = mg_panel_open(&panel, &r.panel);
    if (!err) err = evaluate(&panel, args.words[0]);
    mg_panel_close(&panel);
    mg_asked_release(&r.asked);
    return mg_exit_status(err);
}

const mg_verb mg_verb_eval = {"eval", "RUN|MODEL --data FOLDER",
                              "judge a policy on held-out tasks, with intervals", run_eval};

// ---- compare ----

static mg_err compare(mg_panel *p, const char *const names[2], bool *decided) {
    mg_judged *judged[2];
    int64_t    unclean;
    for (int k = 0; k < 2; k++) {
        judged[k]  = MG_NEW(&p->arena, mg_judged, p->judge.n);
        mg_err err = mg_panel_judge(p, names[k], judged[k], &unclean, NULL);
        if (err) return err;
    }
    const mg_duel d      = mg_judged_duel(judged[0], judged[1], p->judge.n, ALPHA);
    const char   *winner = !d.decided ? "" : d.a_wins ? names[0] : names[1];
    *decided             = d.decided;
    if (mg_json) {
        return mg_json_print(json_pack("{s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:b, s:s, s:I}", "a", names[0], "b",
                                       names[1], "win_rate", d.rate, "low", d.low, "high", d.high, "n",
                                       (json_int_t)d.n, "ties", (json_int_t)d.ties, "decided", d.decided,
                                       "winner", winner, "decided_at", (json_int_t)d.at));
    }
    printf("%s wins %.1f %% of %lld prompts against %s (95 %% at every look: %.1f to %.1f %%; %lld "
           "ties count half)\n",
           names[0], 100 * d.rate, (long long)d.n, names[1], 100 * d.low, 100 * d.high,
           (long long)d.ties);
    if (d.decided)
        printf("decided after %lld prompts: %s\n", (long long)d.at, winner);
    else
        printf("not decided\n");
    return MG_OK;
}

static int run_compare(int argc, char **argv) {
    request         r         = {.panel = mg_panel_defaults};
    mg_args         args;
    mg_panel        panel     = {0};
    bool            decided   = false;
    const mg_option options[] = {PANEL_OPTIONS(r), {0}};
    mg_err          err       = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale compare A B --data FOLDER [options]\n\n"
               "Both policies answer the same prompts under the same draws; who has the higher gold wins\n"
               "the prompt. A betting test against \"they win equally often\" decides, valid at every look.\n"
               "Runs that were trained with different templates, limits or temperatures are refused until\n"
               "an option says which to use.\n"
               "Exit status 0: decided; 1: not decided.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words != 2)
        err = mg_fail(MG_CONFIG, "compare: found %d %s, wanted two runs or models", args.n_words,
                      args.n_words == 1 ? "folder" : "folders");
    for (int i = 0; i < 2 && !err; i++) err = mg_panel_check(args.words[i]);
    if (!err) err = resolve(&r, &args);
    r.panel.model = !err ? args.words[0] : NULL;
    if (!err) err = mg_panel_open(&panel, &r.panel);
    if (!err) err = compare(&panel, args.words, &decided);
    mg_panel_close(&panel);
    mg_asked_release(&r.asked);
    return err ? mg_exit_status(err) : decided ? MG_EXIT_DONE : MG_EXIT_NO;
}

const mg_verb mg_verb_compare = {"compare", "A B --data FOLDER", "which policy wins, decided by a bet",
                                 run_compare};
