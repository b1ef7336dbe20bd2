// reproduce_offline_tell.c - the claims C1 to C6, each held against the cells of one place.
//
// A claim is of parts; each is the interquartile mean over seeds of a metric, of one arm or of its difference to
// another at the same seeds, with a bootstrap interval (stats/iqm.h) that has to lie on one side of a bound. What they
// say in words is in the abstract of Luo et al. 2023, arXiv:2303.17396, or follows from it; parts and bounds are ours.
#include <math.h>
#include <string.h>

#include "app/reproduce_offline.h"
#include "core/file.h"
#include "stats/iqm.h"

#define N(list) (int)(sizeof(list) / sizeof *(list))
#define PARTS   2

typedef struct part {
    const char *arm, *baseline; // behind the place; baseline NULL: the arm's own numbers
    double      weight;         // of the baseline's
    const char *metric;
    bool        above;          // than the bound, else below
    double      bound;
} part;

typedef struct claim {
    const char *name, *words;
    part        parts[PARTS]; // from the first without an arm on there are none
} claim;

static const claim claims[] = {
    {"C1", "the offline algorithm goes on without falling, and slowly",
     {{"V1", NULL, 0, "D", false, 0.5}, {"V1", "V2", 1, "slope", false, 0}}},
    {"C2", "TD3 is fast, and falls first", {{"V2", "V1", 1, "slope", true, 0}, {"V2", NULL, 0, "D", true, 0.5}}},
    {"C4", "data in the batches make it fall less, and slow it down",
     {{"V2", "V2-empty", 1, "D", false, 0}, {"V2", "V2-empty", 1, "slope", false, 0}}},
    {"C5", "TD3-C does not fall, and ends within a tenth of where TD3 does",
     {{"V4", NULL, 0, "D", false, 0.2}, {"V4", "V2", 0.9, "share", true, 0}}},
    {"C6 (target)", "a looser bound on the speed falls deeper, and rises faster",
     {{"target-1e-2", "target-1e-4", 1, "D", true, 0}, {"target-1e-2", "target-1e-4", 1, "slope", true, 0}}},
    {"C6 (frozen)", "a looser bound on the distance falls deeper, and rises faster",
     {{"frozen-1e-2", "frozen-1e-4", 1, "D", true, 0}, {"frozen-1e-2", "frozen-1e-4", 1, "slope", true, 0}}},
};
// C3 is about sets of one world. The robots have two: their experts' are not in the grid.
static const claim diverse = {"C3", "TD3 falls deeper from narrow data (medium, expert) than from diverse ones",
                              {{"medium-V2", "medium-replay-V2", 1, "D", true, 0},
                               {"expert-V2", "medium-replay-V2", 1, "D", true, 0}}};
static const claim diverse_robots = {"C3", "TD3 falls deeper from narrow data (medium) than from diverse ones",
                                     {{"medium-V2", "medium-replay-V2", 1, "D", true, 0}}};
static const struct {
    const char  *world;
    const claim *claim;
} worlds[] = {{"pendulum", &diverse}, {"hopper", &diverse_robots}, {"walker2d", &diverse_robots}};
static const char *const places[] = {"pendulum-medium", "pendulum-expert", "hopper-medium", "hopper-shifted",
                                     "hopper-medium-replay", "walker2d-medium", "walker2d-medium-replay",
                                     "half-cheetah-medium"};

mg_offline_verdict mg_offline_part(double low, double high, double bound, bool above) {
    if (low > bound) return above ? MG_OFFLINE_HOLDS : MG_OFFLINE_FAILS; // NAN compares with nothing
    if (high < bound) return above ? MG_OFFLINE_FAILS : MG_OFFLINE_HOLDS;
    return MG_OFFLINE_OPEN;
}

typedef struct teller {
    const char *folder;
    FILE       *text;
    mg_arena   *arena;
} teller;

static mg_err number(const teller *t, const char *place, const char *arm, int seed, const char *metric, double *out) {
    json_t *cell;
    mg_err  err = mg_reproduce_cell(t->folder, mg_path(t->arena, "%s-%s", place, arm), seed, t->arena, &cell);
    if (err) return err;
    *out = mg_reproduce_number(cell, metric);
    json_decref(cell);
    return MG_OK;
}

// *seeds with a number; fewer than two give no interval.
static mg_err measure(const teller *t, const char *place, const part *p, int *seeds, mg_interval *out) {
    double x[MG_REPRODUCE_SEEDS_MAX], a, b = 0;
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_BOOTSTRAP, 0);
    *seeds = 0, *out = (mg_interval){NAN, NAN, NAN};
    for (int s = 1; s <= MG_REPRODUCE_SEEDS_MAX; s++) {
        mg_err err = number(t, place, p->arm, s, p->metric, &a);
        if (!err && p->baseline) err = number(t, place, p->baseline, s, p->metric, &b);
        if (err) return err;
        if (!isnan(a) && !isnan(b)) x[(*seeds)++] = a - p->weight * b;
    }
    return *seeds < 2 ? MG_OK : mg_iqm_interval(&(mg_runs){x, *seeds}, 1, 0.05, &rng, t->arena, out);
}

static mg_err tell_claim(const teller *t, const char *place, const claim *c) {
    static const char *const words[] = {[MG_OFFLINE_OPEN] = "not decided", [MG_OFFLINE_HOLDS] = "holds",
                                        [MG_OFFLINE_FAILS] = "does not hold"};
    mg_offline_verdict all = MG_OFFLINE_HOLDS;
    mg_interval        x[PARTS];
    int                seeds[PARTS], some = 0, parts = 0;
    while (parts < PARTS && c->parts[parts].arm) parts++;
    for (int i = 0; i < parts; i++) {
        mg_err err = measure(t, place, &c->parts[i], &seeds[i], &x[i]);
        if (err) return err;
        const part              *p = &c->parts[i];
        const bool               all_seeds = seeds[i] == MG_REPRODUCE_SEEDS_MAX;
        const mg_offline_verdict v = all_seeds ? mg_offline_part(x[i].low, x[i].high, p->bound, p->above)
                                               : MG_OFFLINE_OPEN;
        if (all != MG_OFFLINE_FAILS && v != MG_OFFLINE_HOLDS) all = v;
        some += seeds[i];
    }
    if (some == 0) return MG_OK;
    fprintf(t->text, "| %s | %s | %s | **%s** |", c->name, place, c->words, words[all]);
    for (int i = 0; i < parts; i++) {
        const part *p = &c->parts[i];
        fprintf(t->text, " %s of %s", p->metric, p->arm);
        if (p->baseline && p->weight == 1) fprintf(t->text, " less %s's", p->baseline);
        if (p->baseline && p->weight != 1) fprintf(t->text, " less %g of %s's", p->weight, p->baseline);
        if (seeds[i] < 2)
            fprintf(t->text, ": no two seeds |");
        else
            fprintf(t->text, " %s %g: %.3g (%.3g to %.3g), %d seeds |", p->above ? "above" : "below", p->bound,
                    x[i].mean, x[i].low, x[i].high, seeds[i]);
    }
    fputs(parts < PARTS ? " none |\n" : "\n", t->text);
    return MG_OK;
}

// ---- the guard

static mg_err tell_guard(const teller *t) {
    static const char *const quiet[] = {"quiet-medium-V1", "quiet-medium-V4", "quiet-expert-V1", "quiet-expert-V4"};
    int    runs = 0, fell = 0, back = 0, pairs = 0;
    double d, r, s;
    for (int i = 0; i < N(quiet); i++)
        for (int seed = 1; seed <= MG_REPRODUCE_SEEDS_MAX; seed++) {
            mg_err err = number(t, "guard", quiet[i], seed, "D", &d);
            if (!err) err = number(t, "guard", quiet[i], seed, "rollbacks", &r);
            if (err) return err;
            if (isnan(d) || isnan(r)) continue;
            if (d > 0.5)
                fell++;
            else
                runs++, back += r > 0;
        }
    if (runs + fell > 0)
        fprintf(t->text, "\nThe guard on runs that do not collapse (D of .5 or less): %d of %d were rolled back; its "
                         "promise is 1 in 20. Another %d\nmeant for it did collapse, and are not counted.\n",
                back, runs, fell);
    for (int seed = 1; seed <= MG_REPRODUCE_SEEDS_MAX; seed++) {
        double base = NAN;
        mg_err err  = number(t, "guard", "off", seed, "D", &d);
        if (!err) err = number(t, "guard", "on", seed, "rollbacks", &r);
        if (!err) err = number(t, "guard", "on", seed, "kept", &s);
        if (!err) err = number(t, "guard", "off", seed, "share", &base);
        if (err) return err;
        if (isnan(d) || isnan(s)) continue;
        if (pairs++ == 0)
            fprintf(t->text, "\nThe same run without and with the guard; share: of the pre-trained policy's lead over "
                             "random actions,\nat the end.\n\n| seed | D without | share without | rollbacks | share "
                             "with |\n|---|---|---|---|---|\n");
        fprintf(t->text, "| %d | %.2f | %.2f | %.0f | %.2f |\n", seed, d, base, r, s);
    }
    return MG_OK;
}

// ---- curves

static mg_err read_line(const teller *t, const char *place, const char *arm, mg_offline_line *line) {
    int seeds = 0;
    *line     = (mg_offline_line){.name = arm};
    for (int seed = 1; seed <= MG_REPRODUCE_SEEDS_MAX; seed++) {
        json_t *cell;
        mg_err  err = mg_reproduce_cell(t->folder, mg_path(t->arena, "%s-%s", place, arm), seed, t->arena, &cell);
        if (err) return err;
        const json_t *curve = json_object_get(cell, "curve");
        const int64_t n     = (int64_t)json_array_size(curve) + 1;
        if (n > 2 && n <= MG_OFFLINE_LOOKS_MAX && (seeds == 0 || n == line->n)) {
            const double every = json_number_value(json_object_get(cell, "every"));
            line->n = n, seeds++;
            line->mean[0] += mg_reproduce_number(cell, "J0");
            for (int64_t i = 1; i < n; i++) {
                line->step[i] = (double)i * every;
                line->mean[i] += json_number_value(json_array_get(curve, (size_t)(i - 1)));
            }
        }
        json_decref(cell);
    }
    for (int64_t i = 0; i < line->n; i++) line->mean[i] /= seeds;
    return MG_OK;
}

static mg_err draw_place(const teller *t, const char *place) {
    static const char *const arms[] = {"V1", "V2", "V3", "V4", "V5", "V6"};
    mg_offline_line *lines = MG_NEW(t->arena, mg_offline_line, N(arms));
    int              n     = 0;
    for (int i = 0; i < N(arms); i++) {
        mg_err err = read_line(t, place, arms[i], &lines[n]);
        if (err) return err;
        n += lines[n].n > 0;
    }
    if (n == 0) return MG_OK;
    fprintf(t->text, "\n![learning curves of %s](%s.svg)\n", place, place);
    return mg_offline_draw(mg_path(t->arena, "%s/%s.svg", t->folder, place), place, lines, n);
}

mg_err mg_offline_tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) {
    const teller t   = {folder, text, arena};
    mg_err       err = MG_OK;
    (void)rows;
    fputs("\n## What of the paper's claims holds here\n\n"
          "A claim holds where the intervals of all its parts lie on the side that it says, does not hold where one\n"
          "lies on the other, and is not decided else. Interquartile means over seeds with 95 % bootstrap intervals,\n"
          "which with five seeds cover about 90 times in 100, and with fewer decide nothing here: their number was\n"
          "fixed beforehand. No correction for how many there are. D: the deepest\n"
          "fall, as a share of what the pre-trained policy is ahead of random actions. slope: return gained per 1,000\n"
          "steps in the first fifth. share: of that lead, at the end. The bounds are ours.\n\n"
          "| claim | place | in words | here | first part | second part |\n|---|---|---|---|---|---|\n", text);
    for (int i = 0; i < N(claims) && !err; i++) {
        for (int k = 0; k < N(worlds) && i == 2 && !err; k++) err = tell_claim(&t, worlds[k].world, worlds[k].claim);
        for (int k = 0; k < N(places) && !err; k++) err = tell_claim(&t, places[k], &claims[i]);
    }
    if (!err) err = tell_guard(&t);
    for (int k = 0; k < N(places) && !err; k++) err = draw_place(&t, places[k]);
    return err;
}
