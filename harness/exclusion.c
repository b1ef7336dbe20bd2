// exclusion.c - covariates, ranks, and a permutation test that stops early.
#include "harness/exclusion.h"

#include <string.h>

#include "core/err.h"
#include "harness/note.h"
#include "stats/wealth.h"

enum { TURNS, TOKENS, READS, WRITES, REFUSALS, PAID, ACTIONS };
static const char *const NAMES[ACTIONS] = {
    "turns", "tokens of the policy", "keys read", "keys written", "refusals", "turns that paid"};
enum { ALL_MAX = MG_EXCLUSION_WINDOW + MG_EXCLUSION_KEPT };
// Permutations as extreme as what was seen, after which nothing more is to be learnt.
enum { EXTREME_MAX = 10 };

void mg_exclusion_init(mg_exclusion *x, uint64_t seed) {
    memset(x, 0, sizeof *x);
    x->rng = mg_rng_stream(seed, MG_PURPOSE_BOOTSTRAP, 0x45584353); // "EXCS": no other stream's id
    x->p   = 1;
    x->auc = 0.5;
    mg_rng_seek(&x->rng, 0, 0, 0);
}

void mg_exclusion_covariate(const mg_exclusion *x, int32_t covariate, char out[80]) {
    MG_ASSERT(0 <= covariate && covariate < MG_COVARIATES);
    if (covariate < ACTIONS) snprintf(out, 80, "%s", NAMES[covariate]);
    else snprintf(out, 80, "calls of %s", x->actions[covariate - ACTIONS]);
}

// Which covariate counts this action; -1: none, there are ten others already.
static int action_of(mg_exclusion *x, const char *action) {
    char name[sizeof x->actions[0]];
    mg_note_action(name, action);
    for (int i = 0; i < MG_EXCLUSION_ACTIONS; i++) {
        if (!x->actions[i][0]) strcpy(x->actions[i], name);
        if (strcmp(x->actions[i], name) == 0) return ACTIONS + i;
    }
    return -1;
}

static void count_answer(const mg_turn *t, int32_t row[MG_COVARIATES]) {
    double paid;
    for (int64_t k = 0; k < t->evidence.n_touched; k++)
        row[t->evidence.touched[k].wrote ? WRITES : READS]++;
    row[REFUSALS] += t->evidence.status == MG_STATUS_REFUSED;
    row[PAID] += mg_reward_value(&t->reward, &paid) && paid > 0;
}

static void covariates_of(mg_exclusion *x, const mg_episode *e, bool excluded,
                          int32_t row[MG_COVARIATES]) {
    const bool    broke = excluded && e->code_turn >= 0 && e->code_turn < e->n_turns;
    const int64_t n     = broke ? e->code_turn + 1 : e->n_turns;
    memset(row, 0, sizeof *row * MG_COVARIATES);
    for (int64_t i = 0; i < n; i++) {
        const mg_turn *t = &e->turns[i];
        const int      a = t->evidence.action ? action_of(x, t->evidence.action) : -1;
        row[TURNS]++;
        row[TOKENS] += (int32_t)(t->action_end - t->action_begin);
        if (a >= 0) row[a]++;
        if (!broke || i + 1 < n) count_answer(t, row); // what the failed call answered is not known
    }
}

// ---- the test --------------------------------------------------------------------------------

typedef struct ranks { // of all episodes in each covariate; doubled, so that midranks are whole
    int32_t of[ALL_MAX][MG_COVARIATES];
    int32_t n;
} ranks;

static int ascending(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void rank(const int32_t *value, int32_t n, int32_t column, ranks *out) {
    const int64_t high = (int64_t)1 << 32;
    int64_t       key[ALL_MAX]; // the value, and whose it is
    for (int32_t i = 0; i < n; i++) key[i] = value[i] * high + i;
    qsort(key, (size_t)n, sizeof *key, ascending);
    for (int32_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && key[to] - key[from] < high - ALL_MAX;) to++;
        // Ranks from + 1 to `to` are tied; twice their mean.
        for (int32_t i = from; i < to; i++) out->of[(uint32_t)key[i]][column] = from + to + 1;
    }
}

static void rank_all(const mg_exclusion *x, ranks *out) {
    int32_t value[ALL_MAX];
    out->n = x->n_excluded + x->n_kept;
    for (int32_t c = 0; c < MG_COVARIATES; c++) {
        for (int32_t i = 0; i < x->n_excluded; i++) value[i] = x->excluded[i][c];
        for (int32_t i = 0; i < x->n_kept; i++) value[x->n_excluded + i] = x->kept[i][c];
        rank(value, out->n, c, out);
    }
}

// The largest rank sum over covariates of the episodes `who` names, which is the largest AUC:
// with m of them and n others, AUC = (sum of ranks - m (m + 1) / 2) / (m n), Mann & Whitney 1947.
static int32_t largest(const ranks *r, const int32_t *who, int32_t m, int32_t *column) {
    int32_t sums[MG_COVARIATES] = {0};
    for (int32_t i = 0; i < m; i++)
        for (int32_t c = 0; c < MG_COVARIATES; c++) sums[c] += r->of[who[i]][c];
    *column = 0;
    for (int32_t c = 1; c < MG_COVARIATES; c++)
        if (sums[c] > sums[*column]) *column = c;
    return sums[*column];
}

// p of the largest rank sum; exact enough to tell p <= share, no finer than EXTREME_MAX asks for.
static double permute(const ranks *r, int32_t m, int32_t seen, double share, mg_rng *rng) {
    const double  wanted = EXTREME_MAX / share;
    const int64_t most =
        wanted < MG_EXCLUSION_PERMUTATIONS_MAX ? (int64_t)wanted : MG_EXCLUSION_PERMUTATIONS_MAX;
    int32_t       order[ALL_MAX], column;
    int64_t       extreme = 0, done = 0;
    for (int32_t i = 0; i < r->n; i++) order[i] = i;
    while (done < most && extreme < EXTREME_MAX) {
        for (int32_t i = 0; i < m; i++) { // the first m of a shuffle
            const int32_t k = i + (int32_t)((uint64_t)mg_rng_u32(rng) * (uint64_t)(r->n - i) >> 32);
            const int32_t swap = order[i];
            order[i] = order[k], order[k] = swap;
        }
        extreme += largest(r, order, m, &column) >= seen;
        done++;
    }
    return extreme == EXTREME_MAX ? (double)extreme / (double)done
                                  : (double)(extreme + 1) / (double)(done + 1);
}

static void close_window(mg_exclusion *x) {
    ranks   r;
    int32_t who[MG_EXCLUSION_WINDOW], column;
    const int32_t m = x->n_excluded;
    x->windows++;
    mg_rng_seek(&x->rng, (uint32_t)x->windows, 1, 0);
    if (x->n_kept > 0) {
        rank_all(x, &r);
        for (int32_t i = 0; i < m; i++) who[i] = i;
        const double share = mg_alpha_share(MG_EXCLUSION_ALPHA, x->windows);
        const int32_t seen = largest(&r, who, m, &column);
        x->auc       = (seen / 2.0 - m * (m + 1) / 2.0) / ((double)m * x->n_kept);
        x->p         = permute(&r, m, seen, share, &x->rng);
        x->covariate = column;
        x->alarm     = x->p <= share && x->auc > MG_EXCLUSION_AUC;
    }
    x->n_excluded = x->n_kept = 0, x->kept_seen = 0;
    mg_rng_seek(&x->rng, (uint32_t)x->windows, 0, 0);
}

void mg_exclusion_observe(mg_exclusion *x, const mg_episode *e, bool excluded) {
    if (x->alarm) return;
    if (excluded) {
        covariates_of(x, e, true, x->excluded[x->n_excluded++]);
        if (x->n_excluded == MG_EXCLUSION_WINDOW) close_window(x);
        return;
    }
    int64_t at = x->kept_seen++;
    if (at >= MG_EXCLUSION_KEPT) at = (int64_t)mg_rng_below(&x->rng, (uint64_t)x->kept_seen);
    if (at >= MG_EXCLUSION_KEPT) return;
    covariates_of(x, e, false, x->kept[at]);
    if (x->n_kept < MG_EXCLUSION_KEPT) x->n_kept++;
}
