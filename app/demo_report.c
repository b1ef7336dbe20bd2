// demo_report.c - the demo's outcome in three forms: for the terminal, for programs, for reading.
#include "app/demo_report.h"

#include <math.h>
#include <string.h>

#include "app/json.h"
#include "core/file.h"
#include "stats/bootstrap.h"
#include "train/report.h"

#define ALPHA       0.05
#define ALPHA_CHECK 0.01 // of "the reward model's score rose"
#define SIDE_BY_SIDE 5  // in the terminal
#define SAMPLES      20 // in the report

static const char *const names[MG_DEMO_ROWS] = {"SFT", "DPO", "PPO", "DR-PO", "human"};

// Everything the three forms show.
typedef struct summary {
    mg_mean     column[MG_DEMO_ROWS][MG_COLUMNS];
    mg_duel     against_sft[MG_DEMO_ROWS], against_human[MG_DEMO_ROWS], drpo_ppo;
    mg_interval rise[MG_DEMO_ROWS]; // reward model's score minus SFT's, paired, at ALPHA_CHECK
} summary;

// Paired difference in the reward model's score over prompts where both have one.
static mg_err rise(mg_panel *p, const mg_judged *a, const mg_judged *sft, mg_interval *out) {
    const size_t mark = mg_arena_mark(&p->scratch);
    double      *d    = MG_NEW(&p->scratch, double, p->judge.n);
    mg_rng       rng  = mg_rng_stream(p->judge.seed, MG_PURPOSE_BOOTSTRAP, 1);
    int64_t      n    = 0;
    for (int64_t i = 0; i < p->judge.n; i++)
        if (!isnan(a[i].reward) && !isnan(sft[i].reward)) d[n++] = a[i].reward - sft[i].reward;
    mg_err err = mg_bootstrap_mean(d, n, ALPHA_CHECK, &rng, out);
    mg_arena_reset(&p->scratch, mark);
    return err;
}

static mg_err summarise(mg_panel *p, const mg_demo_result *r, summary *s) {
    mg_err err = MG_OK;
    for (int k = 0; k < MG_DEMO_ROWS && !err; k++) {
        for (mg_column c = 0; c < MG_COLUMNS && !err; c++)
            err = mg_panel_mean(p, r->judged[k], c, ALPHA, &s->column[k][c]);
        s->against_sft[k]   = mg_judged_duel(r->judged[k], r->judged[MG_DEMO_SFT], p->judge.n, ALPHA);
        s->against_human[k] = mg_judged_duel(r->judged[k], r->judged[MG_DEMO_HUMAN], p->judge.n, ALPHA);
        if (!err && k < MG_DEMO_POLICIES)
            err = rise(p, r->judged[k], r->judged[MG_DEMO_SFT], &s->rise[k]);
    }
    s->drpo_ppo = mg_judged_duel(r->judged[MG_DEMO_DRPO], r->judged[MG_DEMO_PPO], p->judge.n, ALPHA);
    return err;
}

// "DR-PO wins", "PPO wins" or "not decided", as the bet says.
static const char *verdict(const mg_duel *d) {
    return !d->decided ? "not decided" : d->a_wins ? "DR-PO wins" : "PPO wins";
}

// ---- terminal ----

static void print_table(const mg_panel *p, const mg_demo_result *r, const summary *s) {
    printf("\n%lld held-out packages, one answer each at temperature %.1f; 95 %% intervals\n\n",
           (long long)p->judge.n, p->judge.temperature);
    printf("%-6s %-19s %-19s %-20s %-21s %6s %8s %6s %6s\n", "", "wins over SFT, %",
           "wins over human, %", "gold", "reward model", "KL", "ROUGE-L", "tokens", "tok/s");
    for (int k = 0; k < MG_DEMO_ROWS; k++) {
        const mg_mean *c = s->column[k];
        const mg_duel *a = &s->against_sft[k], *h = &s->against_human[k];
        printf("%-6s ", names[k]);
        if (k == MG_DEMO_SFT) printf("%-19s ", "-");
        else printf("%4.1f [%4.1f, %4.1f]   ", 100 * a->rate, 100 * a->low, 100 * a->high);
        if (k == MG_DEMO_HUMAN) printf("%-19s ", "-");
        else printf("%4.1f [%4.1f, %4.1f]   ", 100 * h->rate, 100 * h->low, 100 * h->high);
        printf("%.3f [%.3f, %.3f] %6.3f [%5.2f, %5.2f] ", c[MG_COLUMN_GOLD].mean,
               c[MG_COLUMN_GOLD].low, c[MG_COLUMN_GOLD].high, c[MG_COLUMN_REWARD].mean,
               c[MG_COLUMN_REWARD].low, c[MG_COLUMN_REWARD].high);
        if (k == MG_DEMO_HUMAN) printf("%6s ", "-");
        else printf("%6.2f ", c[MG_COLUMN_KL].mean);
        printf("%8.3f %6.1f ", c[MG_COLUMN_ROUGE_L].mean, c[MG_COLUMN_LENGTH].mean);
        if (k < MG_DEMO_POLICIES) printf("%6.0f", r->rate[k]);
        printf("\n");
    }
    const mg_duel *d = &s->drpo_ppo;
    printf("\nDR-PO against PPO: %.1f %% [%.1f, %.1f], valid at every look: %s\n", 100 * d->rate,
           100 * d->low, 100 * d->high, verdict(d));
    for (int k = MG_DEMO_PPO; k <= MG_DEMO_DRPO; k++)
        printf("%-5s raised the reward model's score over SFT by %.3f, 99 %% [%.3f, %.3f]: %s\n",
               names[k], s->rise[k].mean, s->rise[k].low, s->rise[k].high,
               s->rise[k].low > 0 ? "yes" : "NO");
}

static void print_side_by_side(const mg_panel *p, const mg_demo_result *r) {
    for (int64_t i = 0; i < SIDE_BY_SIDE && i < p->judge.n; i++) {
        printf("\n%.200s\n", p->judge.rows[i].prompt);
        for (int k = 0; k < MG_DEMO_ROWS; k++)
            printf("  %-6s %s  (gold %.2f)\n", names[k], r->judged[k][i].text, r->judged[k][i].gold);
    }
}

// ---- for programs ----

static json_t *build_json(const mg_panel *p, const mg_demo_result *r, const summary *s) {
    json_t *rows = json_array();
    for (int k = 0; k < MG_DEMO_ROWS; k++) {
        json_t *row = json_pack("{s:s}", "policy", names[k]);
        for (mg_column c = 0; c < MG_COLUMNS; c++)
            json_object_set_new(row, mg_column_name[c], mg_json_mean(&s->column[k][c]));
        if (k != MG_DEMO_SFT) json_object_set_new(row, "wins_over_sft", mg_json_duel(&s->against_sft[k]));
        if (k != MG_DEMO_HUMAN)
            json_object_set_new(row, "wins_over_human", mg_json_duel(&s->against_human[k]));
        if (k < MG_DEMO_POLICIES) {
            json_object_set_new(row, "unclean", json_integer(r->unclean[k]));
            json_object_set_new(row, "tokens_per_second", mg_json_number(r->rate[k]));
            json_object_set_new(row, "reward_over_sft_99",
                                json_pack("{s:f, s:f, s:f}", "estimate", s->rise[k].mean, "low",
                                          s->rise[k].low, "high", s->rise[k].high));
        }
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:I, s:f, s:f, s:I, s:o, s:o, s:o, s:s}", "folder", r->folder, "prompts",
                     (json_int_t)p->judge.n, "seconds", r->seconds, "budget", r->budget, "updates",
                     (json_int_t)r->updates, "reward_model_accuracy", mg_json_number(r->rm_accuracy), "rows", rows,
                     "drpo_over_ppo", mg_json_duel(&s->drpo_ppo), "verdict", verdict(&s->drpo_ppo));
}

static mg_err write_json(mg_panel *p, const mg_demo_result *r, const summary *s) {
    json_t *root = build_json(p, r, s);
    mg_err  err  = mg_json ? mg_json_print(json_incref(root)) : MG_OK;
    if (!err) return mg_json_write(mg_path(&p->arena, "%s/results.json", r->folder), root);
    json_decref(root);
    return err;
}

// ---- for reading ----

static mg_report_cell mean_cell(const mg_mean *m) {
    return (mg_report_cell){.value = m->mean, .low = m->low, .high = m->high};
}

// A number without its interval, so that the table fits a page; results.json has it.
static mg_report_cell bare_cell(double value) {
    return (mg_report_cell){.value = value, .low = NAN, .high = NAN};
}

static mg_report_cell duel_cell(const mg_duel *d, bool self) {
    if (self) return (mg_report_cell){.text = "-"};
    return (mg_report_cell){.value = 100 * d->rate, .low = 100 * d->low, .high = 100 * d->high};
}

static mg_report_table result_table(mg_panel *p, const mg_demo_result *r, const summary *s) {
    static const mg_report_column columns[] = {
        {"policy", false, 0},   {"wins over SFT, %", true, 1}, {"wins over human, %", true, 1},
        {"gold", true, 3},      {"reward model", true, 3},     {"KL to SFT", true, 2},
        {"ROUGE-L", true, 3},   {"tokens", true, 1},           {"tokens/s", true, 0}};
    enum { N = sizeof columns / sizeof *columns };
    mg_report_cell *cells = MG_NEW(&p->arena, mg_report_cell, N * MG_DEMO_ROWS);
    for (int k = 0; k < MG_DEMO_ROWS; k++) {
        const mg_mean  *c   = s->column[k];
        mg_report_cell *row = cells + k * N;
        row[0] = (mg_report_cell){.text = names[k]};
        row[1] = duel_cell(&s->against_sft[k], k == MG_DEMO_SFT);
        row[2] = duel_cell(&s->against_human[k], k == MG_DEMO_HUMAN);
        row[3] = mean_cell(&c[MG_COLUMN_GOLD]);
        row[4] = mean_cell(&c[MG_COLUMN_REWARD]);
        row[5] = bare_cell(c[MG_COLUMN_KL].mean);
        row[6] = bare_cell(c[MG_COLUMN_ROUGE_L].mean);
        row[7] = bare_cell(c[MG_COLUMN_LENGTH].mean);
        row[8] = bare_cell(k < MG_DEMO_POLICIES ? r->rate[k] : NAN);
    }
    return (mg_report_table){
        .caption = "Policies on held-out packages", .columns = columns, .n_columns = N,
        .cells = cells, .n_rows = MG_DEMO_ROWS,
        .note = mg_path(&p->arena,
                        "%lld packages that no policy was trained on, one answer each at temperature "
                        "%.1f. Win rates by gold, a tie counting half, with 95 %% intervals valid at "
                        "every look; gold and reward with 95 %% bootstrap intervals. KL is measured under "
                        "the policy's own answers. The reward model was the teacher; gold labelled its "
                        "pairs; nobody was trained on ROUGE-L to the human answer.",
                        (long long)p->judge.n, p->judge.temperature)};
}

static mg_report_sample *samples(mg_panel *p, const mg_demo_result *r, int64_t n) {
    mg_report_sample *out = MG_NEW(&p->arena, mg_report_sample, n);
    for (int64_t i = 0; i < n; i++) {
        mg_report_answer *a = MG_NEW(&p->arena, mg_report_answer, MG_DEMO_POLICIES);
        for (int k = 0; k < MG_DEMO_POLICIES; k++) {
            const mg_judged *x = &r->judged[k][i];
            a[k] = (mg_report_answer){names[k], x->text,
                                      mg_path(&p->arena, "gold %.2f, reward %.2f", x->gold, x->reward)};
        }
        out[i] = (mg_report_sample){p->judge.rows[i].prompt, p->judge.rows[i].completion, a,
                                    MG_DEMO_POLICIES};
    }
    return out;
}

// The runs whose curves and episodes are shown.
typedef struct runs {
    mg_store *store[2];
} runs;

static mg_err open_runs(mg_panel *p, const mg_demo_result *r, runs *out) {
    static const char *const folders[] = {"ppo", "drpo"};
    mg_err                   err       = MG_OK;
    *out = (runs){0};
    for (int i = 0; i < 2 && !err; i++)
        err = mg_store_open(&out->store[i], mg_path(&p->arena, "%s/%s/run.db", r->folder, folders[i]));
    return err;
}

static void close_runs(runs *x) {
    for (int i = 0; i < 2; i++) mg_store_close(x->store[i]);
}

// The last episodes of either run, DR-PO's with their prefixes marked.
static mg_err last_episodes(mg_panel *p, const mg_demo_result *r, const runs *x, mg_report *report) {
    mg_report_episode *shown = MG_NEW(&p->arena, mg_report_episode, MG_REPORT_EPISODES);
    int64_t            count = 0;
    for (int i = 0; i < 2; i++) {
        mg_episode *e;
        int64_t     n;
        mg_err err = mg_store_episodes_read(x->store[i], r->updates - 1, r->updates,
                                            MG_REPORT_EPISODES / 2, &p->arena, &e, &n);
        for (int64_t k = 0; k < n && !err; k++) {
            char  *prefix = NULL;
            size_t size   = 0;
            if (e[k].start.n_prefix > 0 && e[k].n_turns > 0 &&
                e[k].start.n_prefix <= e[k].turns[0].action_end - e[k].turns[0].action_begin)
                err = mg_tokenizer_decode(p->tokenizer, e[k].tokens + e[k].turns[0].action_begin,
                                          e[k].start.n_prefix, true, &p->arena, &prefix, &size);
            shown[count++] = (mg_report_episode){&e[k], size, NULL};
        }
        if (err) return err;
    }
    report->episodes = shown, report->n_episodes = count;
    return MG_OK;
}

static mg_err write_report(mg_panel *p, const mg_demo_result *r, const summary *s) {
    static const char *const run_names[] = {"PPO", "DR-PO"};
    const mg_report_table    table       = result_table(p, r, s);
    const mg_duel           *d           = &s->drpo_ppo;
    const int64_t            n           = p->judge.n < SAMPLES ? p->judge.n : SAMPLES;
    const char *const        how[]       = {
        mg_path(&p->arena,
                "A language model of %.1f million parameters wrote %lld answers to training prompts; the "
                "gold checklist scored them (mean %.3f) and labelled %lld pairs with the care of a "
                "Bradley-Terry labeller. The reward model learnt from them orders %.1f %% of %lld "
                "held-out pairs as they were labelled.",
                (double)p->reference->n_weights / 1e6, (long long)r->labels.answers, r->labels.gold_mean,
                (long long)r->labels.pairs,
                100 * r->rm_accuracy, (long long)r->labels.held_pairs),
        mg_path(&p->arena,
                "PPO and DR-PO had %lld updates each, with the same settings. DR-PO "
                "starts half of its episodes inside a human answer.",
                (long long)r->updates)};
    const mg_report_section sections[] = {{"How it was made", how, 2}};
    mg_report               report     = {
        .title = "From package descriptions to synopses",
        .summary = mg_path(&p->arena, "DR-PO against PPO on the same prompts: %.1f %% [%.1f, %.1f], %s.",
                           100 * d->rate, 100 * d->low, 100 * d->high, verdict(d)),
        .tables = &table, .n_tables = 1, .samples = samples(p, r, n), .n_samples = n,
        .sections = sections, .n_sections = 1};
    runs   x;
    mg_err err = open_runs(p, r, &x);
    if (!err) err = mg_report_add_metrics(&report, x.store, run_names, 2, &p->arena);
    if (!err) err = last_episodes(p, r, &x, &report);
    if (!err) err = mg_report_write(mg_path(&p->arena, "%s/report.html", r->folder), &report);
    close_runs(&x);
    return err;
}

mg_err mg_demo_publish(mg_panel *p, const mg_demo_result *r, bool *kept) {
    summary s;
    mg_err  err = summarise(p, r, &s);
    if (err) return err;
    if (!mg_json) {
        print_table(p, r, &s);
        print_side_by_side(p, r);
    }
    err = write_json(p, r, &s);
    if (!err) err = write_report(p, r, &s);
    *kept = s.rise[MG_DEMO_PPO].low > 0 && s.rise[MG_DEMO_DRPO].low > 0;
    if (!err && !mg_json) printf("\nreport: %s/report.html (%.0f s in all)\n", r->folder, r->seconds);
    return err;
}
