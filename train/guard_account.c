// guard_account.c - the account, key by key.
#include "train/guard_account.h"

#include <jansson.h>
#include <math.h>

#include "store/store.h"

// JSON has no NaN.
static json_t *real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *whole(int64_t n) { return json_integer((json_int_t)n); }

// An update by its number; -1: none.
static json_t *named(int64_t update) { return update < 0 ? json_null() : json_integer(mg_update_number(update)); }

static json_t *cost(const mg_guard_cost *c) {
    return json_pack("{s:o, s:o}", "episodes", whole(c->episodes), "steps", whole(c->steps));
}

static json_t *rollbacks(const mg_guard *g) {
    json_t *all = json_array();
    for (int64_t i = 0; i < mg_guard_backs(g); i++)
        json_array_append_new(all, json_pack("{s:o, s:o}", "update", named(g->back[i].update), "good",
                                             whole(g->back[i].good)));
    return all;
}

static json_t *history(const mg_guard *g, const mg_guard_config *c) {
    const double spent = (double)g->evaluation.steps, learnt = (double)g->training.steps;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:b, "
                     "s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}",
                     "alpha", real(c->alpha), "margin", real(c->margin), "begun", whole(g->begun), "start_return",
                     real(g->start_mean), "random_return", real(g->random), "start_episodes", MG_GUARD_START, "span",
                     real(g->span), "looks", whole(g->looks), "last_look", named(g->last), "pairs", whole(g->pairs),
                     "faults", whole(g->faults), "rollbacks", rollbacks(g), "step_factor", real(g->step),
                     "bound_factor", real(g->bound), "stopped", (int)g->stopped, "dip", real(mg_guard_dip(g)),
                     "worst_return", real(g->worst), "worst_update", named(g->worst_update), "collapsed",
                     (int)g->event, "recovered", named(g->recovered), "mean_return",
                     real(g->means > 0 ? g->area / (double)g->means : NAN), "evaluation", cost(&g->evaluation),
                     "training", cost(&g->training), "step_share", real(learnt > 0 ? spent / learnt : NAN),
                     "keep_best", (int)c->keep_best, "best", whole(g->best), "best_gain", real(g->best_gain));
}

static json_t *outcome(const mg_guard_verdict *v) {
    if (!v) return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n}", "gain", "gain_low", "gain_high", "verdict_pairs",
                             "verdict_faults", "verdict");
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "gain", real(v->gain.mean), "gain_low", real(v->gain.low),
                     "gain_high", real(v->gain.high), "verdict_pairs", whole(v->n), "verdict_faults",
                     whole(v->faults), "verdict", mg_guard_word(v));
}

const char *mg_guard_word(const mg_guard_verdict *v) {
    return v->go == MG_GUARD_YES ? "go" : v->go == MG_GUARD_NO ? "no-go" : "not decided";
}

char *mg_guard_account(const mg_guard *g, const mg_guard_config *c, const mg_guard_verdict *verdict) {
    json_t *root = history(g, c), *end = outcome(verdict);
    char   *text = NULL;
    if (root && end && json_object_update(root, end) == 0)
        text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    json_decref(end);
    return text;
}
