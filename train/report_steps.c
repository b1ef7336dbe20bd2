// report_steps.c - what was seen, done and paid, step by step.
#include "train/report_steps.h"

#include <stdlib.h>

#include "train/report_html.h"

enum { DIGITS = 4 };

static int64_t done_columns(const mg_numbers *n) { return n->done > 0 ? n->done : 1; }

// From 0, as programs count them.
static void put_places(FILE *out, const char *of, int64_t n) {
    for (int64_t i = 0; i < n; i++) fprintf(out, "<th scope=\"col\" class=\"n\">%s[%lld]</th>", of, (long long)i);
}

// A world may name what is done: the call that its evidence is about.
static const char *call_of(const mg_episode *e) {
    return e->n_turns > 0 && e->turns[0].evidence.action ? e->turns[0].evidence.action : "";
}

static void put_head(FILE *out, const mg_episode *e, const mg_numbers *n) {
    const char *call = call_of(e);
    fputs("<thead>\n<tr><th scope=\"col\">step</th>", out);
    fprintf(out, "<th scope=\"colgroup\" colspan=\"%lld\">observation</th>", (long long)n->seen);
    fprintf(out, "<th scope=\"colgroup\" colspan=\"%lld\">action%s", (long long)done_columns(n), call[0] ? ": " : "");
    mg_html_string(out, call);
    fputs("</th><th scope=\"col\" class=\"n\">reward</th></tr>\n<tr><th></th>", out);
    put_places(out, "o", n->seen);
    if (n->done > 0) put_places(out, "a", n->done);
    else fputs("<th></th>", out);
    fputs("<th></th></tr>\n</thead>\n", out);
}

static void put_numbers(FILE *out, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        fputs("<td class=\"n\">", out);
        mg_html_significant(out, (double)x[i], DIGITS);
        fputs("</td>", out);
    }
}

static void put_action(FILE *out, const mg_turn *t, const mg_numbers *n, float *x) {
    if (mg_numbers_done(n, t, x)) {
        put_numbers(out, x, n->done);
        return;
    }
    fprintf(out, "<td colspan=\"%lld\">", (long long)done_columns(n));
    mg_html_text(out, t->action, t->action_size);
    fputs("</td>", out);
}

static void put_reward(FILE *out, const mg_reward *r) {
    double value;
    fputs("<td class=\"n\">", out);
    if (mg_reward_value(r, &value)) mg_html_significant(out, value, DIGITS);
    else {
        fputs(r->kind == MG_REWARD_INVALID ? "<span class=\"bad\">invalid</span>: " : "absent: ", out);
        mg_html_string(out, r->reason);
    }
    fputs("</td>", out);
}

static void put_step(FILE *out, const mg_episode *e, int64_t i, const mg_numbers *n, float *x) {
    const mg_turn *t = &e->turns[i];
    fprintf(out, "<tr><th scope=\"row\">%lld</th>", (long long)i + 1);
    if (mg_numbers_seen(n, t, x)) put_numbers(out, x, n->seen);
    else
        for (int64_t k = 0; k < n->seen; k++) fputs("<td class=\"n\">&ndash;</td>", out);
    put_action(out, t, n, x);
    put_reward(out, &t->reward);
    fputs("</tr>\n", out);
}

// The middle of a long episode is left out.
static void put_table(FILE *out, const mg_episode *e, const mg_numbers *n) {
    const int64_t columns = 2 + n->seen + done_columns(n), room = n->seen > n->done ? n->seen : n->done;
    const int64_t cut = e->n_turns > 2 * MG_REPORT_STEPS ? e->n_turns - 2 * MG_REPORT_STEPS : 0;
    float        *x   = malloc(sizeof *x * (size_t)room);
    MG_ASSERT(x);
    fputs("<dt>trajectory</dt><dd class=\"wide\"><div class=\"scroll steps\" role=\"region\" tabindex=\"0\" "
          "aria-label=\"Trajectory\">\n<table>\n", out);
    put_head(out, e, n);
    fputs("<tbody>\n", out);
    for (int64_t i = 0; i < e->n_turns; i++) {
        if (cut > 0 && i == MG_REPORT_STEPS) {
            fprintf(out, "<tr><td colspan=\"%lld\" class=\"quiet\">%lld steps are left out</td></tr>\n",
                    (long long)columns, (long long)cut);
            i += cut;
        }
        put_step(out, e, i, n, x);
    }
    fputs("</tbody>\n</table>\n</div></dd>\n", out);
    free(x);
}

void mg_report_steps(FILE *out, const mg_episode *e, const mg_numbers *n) {
    const mg_reward sum = mg_episode_return(e);
    double          value;
    MG_ASSERT(n->seen > 0);
    fprintf(out, "<dt>steps</dt><dd class=\"facts\">%lld", (long long)e->n_turns);
    if (e->n_turns > 0 && mg_reward_value(&sum, &value)) {
        fputs(", return ", out);
        mg_html_significant(out, value, 6);
    }
    fputs("</dd>\n", out);
    if (e->n_turns > 0) put_table(out, e, n);
}
