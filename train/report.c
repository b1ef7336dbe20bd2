// report.c - the document around tables, curves and episodes.
#include "train/report.h"

#include <string.h>

#include "core/file.h"
#include "train/report_curve.h"
#include "train/report_html.h"
#include "train/report_steps.h"
#include "train/report_style.h"

enum { FOLDED_ABOVE = 2000 }; // bytes of a text

// A tag's text in one line: put(out, "<h2>", title, "</h2>").
static void put(FILE *out, const char *before, const char *text, const char *after) {
    fputs(before, out);
    mg_html_string(out, text);
    fputs(after, out);
}

// ---- tables ----

static void put_number(FILE *out, const mg_report_column *c, double x) {
    if (c->decimals < 0) mg_html_significant(out, x, 4);
    else mg_html_number(out, x, c->decimals);
}

static bool has_interval(const mg_report_cell *cell) {
    return !cell->text && cell->low < cell->high;
}

// Intervals get a column of their own beside their numbers, so that both stand in line.
static bool has_intervals(const mg_report_table *t, int64_t column) {
    for (int64_t r = 0; r < t->n_rows; r++)
        if (has_interval(&t->cells[r * t->n_columns + column])) return true;
    return false;
}

static void put_cell(FILE *out, const mg_report_table *t, int64_t row, int64_t column) {
    const mg_report_column *c        = &t->columns[column];
    const mg_report_cell   *cell     = &t->cells[row * t->n_columns + column];
    const bool              interval = has_intervals(t, column);
    fputs(column == 0 ? "<th scope=\"row\"" : "<td", out);
    fputs(interval ? " class=\"n v\">" : c->numeric ? " class=\"n\">" : ">", out);
    if (cell->text) mg_html_string(out, cell->text);
    else put_number(out, c, cell->value);
    fputs(column == 0 ? "</th>" : "</td>", out);
    if (!interval) return;
    fputs("<td class=\"n i\">", out);
    if (has_interval(cell)) {
        fputs("[", out);
        put_number(out, c, cell->low);
        fputs(", ", out);
        put_number(out, c, cell->high);
        fputs("]", out);
    }
    fputs("</td>", out);
}

// The frame scrolls on narrow screens, so it can be reached by keyboard and has a name.
static void put_table(FILE *out, const mg_report_table *t) {
    put(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", t->caption,
        "\">\n");
    put(out, "<table>\n<caption>", t->caption, "</caption>\n<thead><tr>");
    for (int64_t c = 0; c < t->n_columns; c++) {
        fprintf(out, "<th scope=\"col\"%s%s>", t->columns[c].numeric ? " class=\"n\"" : "",
                has_intervals(t, c) ? " colspan=\"2\"" : "");
        put(out, "", t->columns[c].name, "</th>");
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (int64_t r = 0; r < t->n_rows; r++) {
        fputs("<tr>", out);
        for (int64_t c = 0; c < t->n_columns; c++)
            put_cell(out, t, r, c);
        fputs("</tr>\n", out);
    }
    fputs("</tbody>\n</table>\n</div>\n", out);
    if (t->note) put(out, "<p class=\"quiet\">", t->note, "</p>\n");
}

// ---- samples and episodes ----

// A text as somebody wrote it, with what it was scored below.
static void put_words(FILE *out, const char *name, const char *text, size_t size,
                      const char *scores) {
    const bool long_text = size > FOLDED_ABOVE;
    put(out, "<dt>", name, "</dt><dd>");
    if (long_text) fprintf(out, "<details><summary>%zu bytes</summary>", size);
    fputs("<div class=\"words\">", out);
    if (size > 0) mg_html_text(out, text, size);
    else fputs("<span class=\"quiet\">(empty)</span>", out);
    fputs(long_text ? "</div></details>" : "</div>", out);
    if (scores) put(out, "<div class=\"quiet\">", scores, "</div>");
    fputs("</dd>\n", out);
}

static void put_sample(FILE *out, const mg_report_sample *s, int64_t number) {
    fprintf(out, "<article>\n<h3>Task %lld</h3>\n<dl>\n", (long long)number);
    put_words(out, "prompt", s->prompt, strlen(s->prompt), NULL);
    if (s->reference) put_words(out, "reference", s->reference, strlen(s->reference), NULL);
    for (int64_t i = 0; i < s->n_answers; i++) {
        const mg_report_answer *a = &s->answers[i];
        put_words(out, a->name, a->text, strlen(a->text), a->scores);
    }
    fputs("</dl>\n</article>\n", out);
}

static void put_reward(FILE *out, const char *name, const mg_reward *r) {
    double value;
    put(out, "<dt>", name, "</dt><dd class=\"facts\">");
    if (mg_reward_value(r, &value)) mg_html_significant(out, value, 6);
    else if (r->kind == MG_REWARD_INVALID)
        put(out, "<span class=\"bad\">invalid</span>: ", r->reason, "");
    else put(out, "absent: ", r->reason, "");
    fputs("</dd>\n", out);
}

// The answer with its forced part marked. A character that the border would cut counts as forced.
static void put_action(FILE *out, const char *name, const mg_turn *t, size_t prefix_size) {
    size_t cut = prefix_size < t->action_size ? prefix_size : t->action_size;
    if (cut == 0) {
        put_words(out, name, t->action, t->action_size, NULL);
        return;
    }
    while (cut < t->action_size && ((unsigned char)t->action[cut] & 0xc0) == 0x80) cut++;
    put(out, "<dt>", name, "</dt><dd><div class=\"words\"><mark title=\"forced prefix\">");
    mg_html_text(out, t->action, cut);
    fputs("</mark>", out);
    mg_html_text(out, t->action + cut, t->action_size - cut);
    fputs("</div></dd>\n", out);
}

// What the world claimed of a call, and what its state showed.
static void put_evidence(FILE *out, const mg_evidence *v) {
    static const char *const status[] = {"none", "ok", "refused", "error", "timeout"};
    if (!v->action) return;
    put(out, "<dt>call</dt><dd class=\"facts\">", v->action, ": ");
    put(out, "", status[v->status], "");
    if (v->error) put(out, " (", v->error, ")");
    if (v->took_ns) fprintf(out, ", %.3g ms", (double)v->took_ns / 1e6);
    if (v->conditions) fprintf(out, ", %d of %d conditions hold", v->held, v->conditions);
    for (int64_t k = 0; k < v->n_touched; k++) {
        const mg_touch *t = &v->touched[k];
        put(out, "; ", t->key, "");
        if (t->shown) fprintf(out, " shown %08x,", (unsigned)(t->shown >> 32));
        fprintf(out, " state %08x", (unsigned)(t->before >> 32));
        if (t->after != t->before) fprintf(out, " became %08x", (unsigned)(t->after >> 32));
        else if (t->wrote) fputs(" unchanged", out);
    }
    fputs("</dd>\n", out);
}

// Does the world say more of a call than its name, which the steps have?
static bool says_more(const mg_evidence *v) {
    return v->status != MG_STATUS_NONE || v->error || v->took_ns || v->conditions || v->n_touched;
}

static void put_trajectory(FILE *out, const mg_episode *e, const mg_numbers *n) {
    mg_report_steps(out, e, n);
    for (int64_t i = 0; i < e->n_turns; i++)
        if (says_more(&e->turns[i].evidence) && (i < MG_REPORT_STEPS || i >= e->n_turns - MG_REPORT_STEPS))
            put_evidence(out, &e->turns[i].evidence);
}

static void put_turns(FILE *out, const mg_report_episode *shown) {
    const mg_episode *e = shown->episode;
    for (int64_t i = 0; i < e->n_turns; i++) {
        const mg_turn *t = &e->turns[i];
        char           seen[48] = "prompt", said[48] = "answer", reward[48] = "reward";
        if (e->n_turns > 1) {
            snprintf(seen, sizeof seen, "observation %lld", (long long)i + 1);
            snprintf(said, sizeof said, "action %lld", (long long)i + 1);
            snprintf(reward, sizeof reward, "reward %lld", (long long)i + 1);
        }
        put_words(out, seen, t->observation, t->observation_size, NULL);
        put_action(out, said, t, i == 0 ? shown->prefix_size : 0);
        put_evidence(out, &t->evidence);
        put_reward(out, reward, &t->reward);
    }
}

static void put_facts(FILE *out, const mg_episode *e) {
    static const char *const roles[]   = {"environment", "forced", "policy"};
    int64_t                  tokens[3] = {0};
    for (int64_t i = 0; i < e->n_tokens; i++)
        if (e->role[i] <= MG_ROLE_POLICY) tokens[e->role[i]]++;
    fputs("<dt>verdict</dt><dd class=\"facts\">", out);
    if (e->verdict == MG_CLEAN) {
        fputs("clean", out);
        if (e->code) put(out, " (", e->code, ")");
    } else {
        put(out, "<span class=\"bad\">", e->verdict == MG_SUSPECT ? "suspect" : "quarantined",
            "</span> ");
        put(out, "", e->code, e->detail[0] ? ": " : "");
        mg_html_string(out, e->detail);
    }
    if (e->code && e->code_turn >= 0) fprintf(out, ", in turn %d", e->code_turn + 1);
    fputs("</dd>\n<dt>end</dt><dd class=\"facts\">", out);
    fputs(e->terminated ? "terminated" : e->truncated ? "truncated" : "neither terminated nor truncated", out);
    if (e->n_tokens > 0) // a script's answers have none, and no limit
        fprintf(out, ", the last answer %s", e->stopped ? "ended with its stop" : "was cut at its limit");
    fputs("</dd>\n", out);
    if (e->n_tokens == 0) return;
    fputs("<dt>tokens</dt><dd class=\"facts\">", out);
    for (int i = 0; i < 3; i++)
        fprintf(out, "%s%s %lld", i ? ", " : "", roles[i], (long long)tokens[i]);
    fputs("</dd>\n", out);
}

static void put_episode(FILE *out, const mg_report_episode *shown, int64_t number, const mg_numbers *n) {
    const mg_episode *e = shown->episode;
    fprintf(out, "<article>\n<h3>Episode %lld <small>policy %lld", (long long)number, (long long)e->policy_version);
    if (e->start.item >= 0) fprintf(out, ", task %lld", (long long)e->start.item);
    if (e->start.attempt > 0) fprintf(out, ", attempt %u", e->start.attempt);
    fputs("</small></h3>\n<dl>\n", out);
    if (n->seen > 0) put_trajectory(out, e, n);
    else put_turns(out, shown);
    if (e->learned.kind != MG_REWARD_ABSENT || e->learned.reason)
        put_reward(out, "learned reward", &e->learned);
    if (shown->reference)
        put_words(out, "reference", shown->reference, strlen(shown->reference), NULL);
    put_facts(out, e);
    fputs("</dl>\n</article>\n", out);
}

// ---- the page ----

static void put_navigation(FILE *out, const mg_report *r) {
    fputs("<nav aria-label=\"Contents\"><ul>\n", out);
    if (r->n_tables) fputs("<li><a href=\"#results\">Results</a></li>\n", out);
    if (r->harness) fputs("<li><a href=\"#harness\">Harness</a></li>\n", out);
    if (r->guard) fputs("<li><a href=\"#guard\">Guard</a></li>\n", out);
    if (r->n_curves) fputs("<li><a href=\"#curves\">Curves</a></li>\n", out);
    if (r->n_samples) fputs("<li><a href=\"#answers\">Side by side</a></li>\n", out);
    if (r->n_episodes) fputs("<li><a href=\"#episodes\">Episodes</a></li>\n", out);
    for (int64_t i = 0; i < r->n_sections; i++) {
        fprintf(out, "<li><a href=\"#note%lld\">", (long long)i + 1);
        put(out, "", r->sections[i].heading, "</a></li>\n");
    }
    if (r->config) fputs("<li><a href=\"#configuration\">Configuration</a></li>\n", out);
    fputs("</ul></nav>\n", out);
}

// Nothing may be loaded and nothing may run, whatever the texts below contain.
static void put_head(FILE *out, const mg_report *r) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" "
          "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
          out);
    put(out, "<title>", r->title, "</title>\n<style>\n" MG_REPORT_STYLE "</style>\n</head>\n");
    put(out, "<body>\n<header>\n<h1>", r->title, "</h1>\n");
    if (r->summary) put(out, "<p class=\"lead\">", r->summary, "</p>\n");
    put_navigation(out, r);
    fputs("</header>\n<main>\n", out);
}

static void put_sections(FILE *out, const mg_report *r) {
    for (int64_t i = 0; i < r->n_sections; i++) {
        const mg_report_section *s = &r->sections[i];
        fprintf(out, "<section>\n<h2 id=\"note%lld\">", (long long)i + 1);
        put(out, "", s->heading, "</h2>\n");
        for (int64_t k = 0; k < s->n_paragraphs; k++) put(out, "<p>", s->paragraphs[k], "</p>\n");
        fputs("</section>\n", out);
    }
}

static void put_harness(FILE *out, const mg_report_harness *h, const mg_numbers *n) {
    put(out, "<section>\n<h2 id=\"harness\">Harness</h2>\n<p>", h->summary, "</p>\n");
    for (int64_t i = 0; i < h->n_tables; i++) put_table(out, &h->tables[i]);
    if (h->n_witnesses)
        fputs("<h3>Witnesses</h3>\n<p class=\"quiet\">Episodes that were kept out: what was claimed, and "
              "what the state showed.</p>\n", out);
    for (int64_t i = 0; i < h->n_witnesses; i++) put_episode(out, &h->witnesses[i], i + 1, n);
    fputs("</section>\n", out);
}

static void put_guard(FILE *out, const mg_report_guard *g) {
    put(out, "<section>\n<h2 id=\"guard\">Guard</h2>\n<p>", g->summary, "</p>\n");
    for (int64_t i = 0; i < g->n_tables; i++) put_table(out, &g->tables[i]);
    fputs("</section>\n", out);
}

static void put_episodes(FILE *out, const mg_report *r) {
    static const char texts[] =
        "What is <mark>marked</mark> was given to the policy from reference data; it wrote what follows.";
    static const char numbers[] = "What was seen before each step, what was done and what it paid. Numbers are "
                                  "rounded; <code>export --episodes</code> has all of them whole.";
    if (r->n_episodes == 0) return;
    fprintf(out, "<section>\n<h2 id=\"episodes\">Episodes</h2>\n<p class=\"quiet\">%s</p>\n",
            r->numbers.seen > 0 ? numbers : texts);
    for (int64_t i = 0; i < r->n_episodes; i++) put_episode(out, &r->episodes[i], i + 1, &r->numbers);
    fputs("</section>\n", out);
}

static void put_page(FILE *out, const mg_report *r) {
    put_head(out, r);
    if (r->n_tables) fputs("<section>\n<h2 id=\"results\">Results</h2>\n", out);
    for (int64_t i = 0; i < r->n_tables; i++) put_table(out, &r->tables[i]);
    if (r->n_tables) fputs("</section>\n", out);

    if (r->harness) put_harness(out, r->harness, &r->numbers);
    if (r->guard) put_guard(out, r->guard);

    if (r->n_curves)
        fputs("<section>\n<h2 id=\"curves\">Curves</h2>\n<p class=\"quiet\">Horizontally: updates. "
              "Behind a name: the last value.</p>\n<div class=\"curves\">\n", out);
    for (int64_t i = 0; i < r->n_curves; i++) mg_report_figure(out, &r->curves[i], i + 1);
    if (r->n_curves) fputs("</div>\n</section>\n", out);

    if (r->n_samples) fputs("<section>\n<h2 id=\"answers\">Side by side</h2>\n", out);
    for (int64_t i = 0; i < r->n_samples; i++) put_sample(out, &r->samples[i], i + 1);
    if (r->n_samples) fputs("</section>\n", out);

    put_episodes(out, r);

    put_sections(out, r);
    if (r->config)
        put(out, "<section>\n<h2 id=\"configuration\">Configuration</h2>\n<pre>", r->config,
            "</pre>\n</section>\n");
    fputs("</main>\n<footer class=\"quiet\">Written by martingale.</footer>\n</body>\n</html>\n",
          out);
}

mg_err mg_report_write(const char *path, const mg_report *r) {
    char  *text = NULL;
    size_t size = 0;
    FILE  *out  = open_memstream(&text, &size);
    if (!out) return mg_fail(MG_NOMEM, "%s: a buffer", path);
    put_page(out, r);
    const bool whole = !ferror(out);
    mg_err     err   = fclose(out) == 0 && whole ? MG_OK : mg_fail(MG_NOMEM, "%s: a buffer", path);
    if (!err) err = mg_file_write(path, text, size);
    free(text);
    return err;
}
