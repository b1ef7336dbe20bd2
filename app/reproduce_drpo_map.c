// reproduce_drpo_map.c - the map in words, and its picture.
#include "app/reproduce_drpo_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

const struct mg_map_scale mg_map_scale[MG_MAP_AXES] = {
    [MG_MAP_REWARD]   = {"reward", 3, {"sparse with a decoy", "plain sparse", "dense"}},
    [MG_MAP_PRIOR]    = {"chance of a right symbol at the start", 3, {"0.5", "0.7", "0.9"}},
    [MG_MAP_STEPS]    = {"symbols", 4, {"4", "8", "12", "16"}},
    [MG_MAP_COVERAGE] = {"share of right references", 3, {"0", "0.5", "1"}},
    [MG_MAP_CHANCE]   = {"chance that the starting policy opens the lock", 4,
                         {"above 0.1", "0.01 to 0.1", "0.001 to 0.01", "below 0.001"}},
};

mg_map_verdict mg_map_verdict_of(const mg_map_square *s) {
    if (s->low > MG_MAP_SMALL) return MG_MAP_AHEAD; // NAN compares with nothing
    if (s->high < -MG_MAP_SMALL) return MG_MAP_BEHIND;
    return s->low >= -MG_MAP_SMALL && s->high <= MG_MAP_SMALL ? MG_MAP_WITHIN : MG_MAP_OPEN;
}

int mg_map_seeds(const mg_map_square *squares, int n) {
    int most = 0;
    for (int i = 0; i < n; i++)
        if (squares[i].seeds > most) most = squares[i].seeds;
    return most;
}

// ---- in words

static double rounded(double x) { return fabs(x) < 0.005 ? 0 : x; } // no "-0.00"

#define LARGE 0.1 // gains and losses beyond it are named one by one

typedef struct map {
    const mg_map_square *squares;
    int                  n;
} map;

// Squares that have some values in common; those of one seed have no interval and are left out.
typedef struct tally {
    int    squares, seeds, opened, ppo_opened, verdict[MG_MAP_VERDICTS];
    double gain; // mean
} tally;

// A value of -1 is any.
static tally tally_of(const map *m, int reward, int chance, int coverage) {
    tally t = {0};
    for (int i = 0; i < m->n; i++) {
        const mg_map_square *s = &m->squares[i];
        if (s->seeds < 2 || (reward >= 0 && s->at[MG_MAP_REWARD] != reward) ||
            (chance >= 0 && s->at[MG_MAP_CHANCE] != chance) || (coverage >= 0 && s->at[MG_MAP_COVERAGE] != coverage))
            continue;
        t.squares++, t.verdict[mg_map_verdict_of(s)]++;
        t.seeds += s->seeds, t.opened += s->opened, t.ppo_opened += s->ppo_opened;
        t.gain += s->gain;
    }
    if (t.squares) t.gain /= t.squares;
    return t;
}

static void tell_counts(FILE *text, const map *m) {
    const tally t = tally_of(m, -1, -1, -1);
    fprintf(text, "On the locks, where what could decide it is varied at will. A gain is the chance to open a lock "
                  "with resets\nminus that with PPO; it counts where its whole interval lies beyond %g on one side. "
                  "Of %d squares of the\nmap with two seeds or more, resets are ahead in %d and behind in %d; in %d "
                  "the interval lies within %g on both\nsides, and %d are not decided. Each square is tested at 5 %% "
                  "and without correction, so chance alone would\ndecide up to %.2g; the three squares of a lock share "
                  "PPO's runs, and are not three findings.\n\n",
            MG_MAP_SMALL, t.squares, t.verdict[MG_MAP_AHEAD], t.verdict[MG_MAP_BEHIND], t.verdict[MG_MAP_WITHIN],
            MG_MAP_SMALL, t.verdict[MG_MAP_OPEN], 0.05 * t.squares);
}

static void tell_entry(FILE *text, const tally *t) {
    if (t->squares == 0) {
        fputs(" |", text);
        return;
    }
    fprintf(text, " %+.2f, %d of %d", rounded(t->gain), t->opened, t->seeds);
    if (t->verdict[MG_MAP_AHEAD]) fprintf(text, ", %d ahead", t->verdict[MG_MAP_AHEAD]);
    if (t->verdict[MG_MAP_BEHIND]) fprintf(text, ", %d behind", t->verdict[MG_MAP_BEHIND]);
    fputs(" |", text);
}

// Chance is p to the power of N: how likely the texts that the starting policy learnt from open the lock.
static void tell_table(FILE *text, const map *m) {
    const struct mg_map_scale *scale = mg_map_scale;
    fprintf(text, "In the table: the mean gain over locks, the runs that ended with a chance of %g or more to open "
                  "theirs, and\nthe locks on which resets are ahead or behind, by the share of references that are "
                  "right. Chances at the start\nare those of the texts that the starting policy learnt from.\n\n"
                  "| reward | chance at the start | locks | PPO |", MG_MAP_OPENED);
    for (int q = 0; q < scale[MG_MAP_COVERAGE].n; q++)
        fprintf(text, " resets, %s right |", scale[MG_MAP_COVERAGE].value[q]);
    fprintf(text, "\n|---|---|---|---|---|---|---|\n");
    for (int r = 0; r < scale[MG_MAP_REWARD].n; r++)
        for (int c = 0; c < scale[MG_MAP_CHANCE].n; c++) {
            const tally ppo = tally_of(m, r, c, 0); // once for each lock
            if (ppo.squares == 0) continue;
            fprintf(text, "| %s | %s | %d | %d of %d |", scale[MG_MAP_REWARD].value[r], scale[MG_MAP_CHANCE].value[c],
                    ppo.squares, ppo.ppo_opened, ppo.seeds);
            for (int q = 0; q < scale[MG_MAP_COVERAGE].n; q++) {
                const tally t = tally_of(m, r, c, q);
                tell_entry(text, &t);
            }
            fputc('\n', text);
        }
}

static bool fell(const mg_map_square *s) { return 2 * s->ppo_fell > s->seeds; }

static void tell_falls(FILE *text, const map *m) {
    int locks[MG_MAP_VALUES_MAX] = {0}, fallen[MG_MAP_VALUES_MAX] = {0}, large = 0, large_fallen = 0;
    for (int i = 0; i < m->n; i++) {
        const mg_map_square *s = &m->squares[i];
        if (s->seeds < 2) continue;
        if (s->at[MG_MAP_COVERAGE] == 0) locks[s->at[MG_MAP_REWARD]]++, fallen[s->at[MG_MAP_REWARD]] += fell(s);
        if (s->gain > LARGE) large++, large_fallen += fell(s);
    }
    fprintf(text, "\nLocks that PPO ended less likely to open than it began, in most seeds:");
    const char *comma = " ";
    for (int r = 0; r < mg_map_scale[MG_MAP_REWARD].n; r++) {
        if (locks[r] == 0) continue;
        fprintf(text, "%s%s %d of %d", comma, mg_map_scale[MG_MAP_REWARD].value[r], fallen[r], locks[r]);
        comma = ", ";
    }
    fprintf(text, ".\nThey hold %d of the %d squares with a mean gain above %g.\n", large_fallen, large, LARGE);
}

static bool same_lock(const mg_map_square *a, const mg_map_square *b) {
    return a->at[MG_MAP_REWARD] == b->at[MG_MAP_REWARD] && a->at[MG_MAP_PRIOR] == b->at[MG_MAP_PRIOR] &&
           a->at[MG_MAP_STEPS] == b->at[MG_MAP_STEPS];
}

// Squares of a lock lie side by side, coverage 0 first.
static void tell_lock(FILE *text, const mg_map_square *first, int n) {
    const struct mg_map_scale *scale = mg_map_scale;
    const int                 *at    = first->at;
    fprintf(text, "| %s | %s | %s | %.2g | %.3g, fell in %d of %d |", scale[MG_MAP_REWARD].value[at[MG_MAP_REWARD]],
            scale[MG_MAP_PRIOR].value[at[MG_MAP_PRIOR]], scale[MG_MAP_STEPS].value[at[MG_MAP_STEPS]], first->start,
            first->ppo, first->ppo_fell, first->seeds);
    for (const mg_map_square *s = first; s < first + n; s++)
        fprintf(text, " %+.2f (%+.2f to %+.2f), %d of %d |", rounded(s->gain), rounded(s->low), rounded(s->high),
                s->opened, s->seeds);
    fputc('\n', text);
}

static void tell_large(FILE *text, const map *m) {
    fprintf(text, "\nEach lock with a mean gain or loss beyond %g: chances to open it, at the start and with PPO; "
                  "seeds in which PPO\nfell below the start; then gains, their intervals, and the seeds that opened it."
                  "\n\n| reward | right | symbols | start | PPO | resets, 0 right | 0.5 right | 1 right |\n"
                  "|---|---|---|---|---|---|---|---|\n", LARGE);
    for (int i = 0, k; i < m->n; i += k) {
        bool large = false;
        for (k = 0; i + k < m->n && same_lock(&m->squares[i], &m->squares[i + k]); k++)
            large |= m->squares[i + k].seeds > 1 && fabs(m->squares[i + k].gain) > LARGE;
        if (large) tell_lock(text, &m->squares[i], k);
    }
}

void mg_map_tell(FILE *text, const mg_map_square *squares, int n) {
    const map m = {squares, n};
    tell_counts(text, &m);
    tell_table(text, &m);
    tell_falls(text, &m);
    tell_large(text, &m);
}

// ---- the picture

enum {
    CELL_W = 82, CELL_H = 58, GAP = 26,       // a square; between panels
    LEFT = 104, TOP = 132, FOOT = 122,         // room around the panels
    PANEL_W = 4 * CELL_W, PANEL_H = 3 * CELL_H,
    BOTTOM = TOP + 3 * PANEL_H + 2 * GAP,      // of the last panel
    WIDTH = LEFT + 3 * PANEL_W + 2 * GAP + 24, HEIGHT = BOTTOM + FOOT
};

static const char head[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
    "aria-label=\"DR-PO minus PPO on combination locks\">\n"
    "<style>\n"
    ":root { --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d1d9e0; --ahead: #0a62c4; "
    "--behind: #bf4a08; --on: #ffffff }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; "
    "--line: #3d444d; --ahead: #58a6ff; --behind: #ff9d4d; --on: #0d1117 } }\n"
    "text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink) }\n"
    ".title { font-size: 19px; font-weight: 600 } .soft { font-size: 12.5px; fill: var(--soft) }\n"
    ".panel { font-size: 13.5px; font-weight: 600 } .value { font-size: 16px } .sure { font-weight: 700 }\n"
    ".interval { font-size: 10px; fill-opacity: .8 } .on { fill: var(--on); fill-opacity: 1 }\n"
    ".ahead { fill: var(--ahead) } .behind { fill: var(--behind) }\n"
    ".frame { fill: none; stroke: var(--line) }\n"
    "</style>\n"
    "<defs><pattern id=\"open\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
    "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"7\" stroke=\"var(--ink)\" "
    "stroke-opacity=\".17\" stroke-width=\"2\"/></pattern></defs>\n"
    "<rect width=\"100%%\" height=\"100%%\" rx=\"10\" fill=\"var(--paper)\"/>\n";

// "+.97", "-.12" with a true minus, "0".
static void write_number(FILE *f, double x, bool sign) {
    char digits[16];
    if (fabs(x) < 0.005) {
        fputs("0", f);
        return;
    }
    snprintf(digits, sizeof digits, "%.2f", fabs(x));
    fprintf(f, "%s%s", x < 0 ? "\u2212" : sign ? "+" : "", digits[0] == '0' ? digits + 1 : digits);
}

static double opacity(double gain) { return 0.05 + 0.95 * fmin(fabs(gain), 1); }

static void draw_square(FILE *f, const mg_map_square *s, int x, int y) {
    const int  middle = x + CELL_W / 2;
    const bool on     = s->seeds > 0 && opacity(s->gain) > 0.55;
    const mg_map_verdict verdict = mg_map_verdict_of(s);
    if (s->seeds > 0)
        fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill-opacity=\"%.3f\"/>",
                s->gain < 0 ? "behind" : "ahead", x, y, CELL_W, CELL_H, opacity(s->gain));
    if (s->seeds > 0 && verdict == MG_MAP_OPEN)
        fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"url(#open)\"/>", x, y, CELL_W, CELL_H);
    fprintf(f, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, y, CELL_W, CELL_H);
    if (s->seeds == 0) {
        fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">\u2013</text>\n", middle, y + 33);
        return;
    }
    fprintf(f, "<text class=\"value%s%s\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
            verdict == MG_MAP_AHEAD || verdict == MG_MAP_BEHIND ? " sure" : "", on ? " on" : "", middle, y + 21);
    write_number(f, s->gain, true);
    fputs("</text>", f);
    if (!isnan(s->low)) {
        fprintf(f, "<text class=\"interval%s\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", on ? " on" : "", middle,
                y + 36);
        write_number(f, s->low, false);
        fputs(" to ", f);
        write_number(f, s->high, false);
        fputs("</text>", f);
    }
    fprintf(f, "<text class=\"interval%s\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d/%d, PPO %d/%d</text>\n",
            on ? " on" : "", middle, y + 51, s->opened, s->seeds, s->ppo_opened, s->seeds);
}

static int left_of(int prior) { return LEFT + prior * (PANEL_W + GAP); }
static int top_of(int reward) { return TOP + reward * (PANEL_H + GAP); }

static void draw_frame(FILE *f, int seeds_min, int seeds_max) {
    const struct mg_map_scale *scale = mg_map_scale;
    fprintf(f, head, WIDTH, HEIGHT, WIDTH, HEIGHT);
    fprintf(f, "<text class=\"title\" x=\"24\" y=\"36\">Where do resets help? DR-PO minus PPO: the chance to open a "
               "lock</text>\n<text class=\"soft\" x=\"24\" y=\"58\">a small transformer says one symbol of four per "
               "step; means and 95 %% intervals over %d", seeds_min);
    if (seeds_max > seeds_min) fprintf(f, " to %d", seeds_max);
    fprintf(f, " seed%s</text>\n<text class=\"soft\" x=\"24\" y=\"78\">rewards: sparse, 1 for an open lock; "
               "with a decoy, also a little for a wrong first symbol; dense, the share of symbols before the first "
               "wrong one</text>\n", seeds_max == 1 ? "" : "s");
    for (int p = 0; p < scale[MG_MAP_PRIOR].n; p++)
        fprintf(f, "<text class=\"panel\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">right with chance %s a "
                   "symbol</text>\n",
                left_of(p) + PANEL_W / 2, TOP - 14, scale[MG_MAP_PRIOR].value[p]);
    for (int r = 0; r < scale[MG_MAP_REWARD].n; r++) {
        const int middle = top_of(r) + PANEL_H / 2;
        fprintf(f, "<text class=\"panel\" transform=\"translate(34 %d) rotate(-90)\" text-anchor=\"middle\">%s"
                   "</text>\n<text class=\"soft\" transform=\"translate(56 %d) rotate(-90)\" "
                   "text-anchor=\"middle\">right references</text>\n",
                middle, scale[MG_MAP_REWARD].value[r], middle);
        for (int q = 0; q < scale[MG_MAP_COVERAGE].n; q++)
            fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 10,
                    top_of(r) + (2 - q) * CELL_H + CELL_H / 2 + 4, scale[MG_MAP_COVERAGE].value[q]);
    }
    for (int p = 0; p < scale[MG_MAP_PRIOR].n; p++)
        for (int h = 0; h < scale[MG_MAP_STEPS].n; h++)
            fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                    left_of(p) + h * CELL_W + CELL_W / 2, BOTTOM + 18, scale[MG_MAP_STEPS].value[h]);
    fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">symbols</text>\n", LEFT - 10,
            BOTTOM + 18);
}

static void draw_legend(FILE *f) {
    const int y = HEIGHT - 76, step = 26;
    fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">PPO ahead</text>\n", LEFT + 82, y + 13);
    fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\">in a square: mean gain, bold where its interval lies beyond "
               ".05; the interval; seeds that end with a chance of one half or more, with resets and with PPO</text>\n",
            LEFT, y + 58);
    for (int k = -4; k <= 4; k++)
        fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"18\" fill-opacity=\"%.3f\"/>\n",
                k < 0 ? "behind" : "ahead", LEFT + 92 + (k + 4) * step, y, step, opacity(k / 4.0));
    fprintf(f, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"18\"/>\n"
               "<text class=\"soft\" x=\"%d\" y=\"%d\">DR-PO ahead</text>\n",
            LEFT + 92, y, 9 * step, LEFT + 102 + 9 * step, y + 13);
    for (int k = -1; k <= 1; k++)
        fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                LEFT + 92 + (4 * k + 4) * step + step / 2, y + 33, k < 0 ? "\u22121" : k > 0 ? "+1" : "0");
    const int x = LEFT + 9 * step + 230;
    fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"34\" height=\"18\" fill=\"url(#open)\"/><rect class=\"frame\" x=\"%d\" "
               "y=\"%d\" width=\"34\" height=\"18\"/>\n<text class=\"soft\" x=\"%d\" y=\"%d\">neither beyond nor "
               "within .05, or one seed</text>\n</svg>\n",
            x, y, x, y, x + 44, y + 13);
}

mg_err mg_map_draw(const char *path, const mg_map_square *squares, int n) {
    char  *text = NULL;
    size_t size;
    FILE  *f   = open_memstream(&text, &size);
    int    min = 0, max = 0;
    if (!f) return mg_fail(MG_NOMEM, "%s", path);
    for (int i = 0; i < n; i++) {
        const int k = squares[i].seeds;
        if (k > 0 && (min == 0 || k < min)) min = k;
        if (k > max) max = k;
    }
    draw_frame(f, min, max);
    for (int i = 0; i < n; i++) {
        const int *at = squares[i].at;
        draw_square(f, &squares[i], left_of(at[MG_MAP_PRIOR]) + at[MG_MAP_STEPS] * CELL_W,
                    top_of(at[MG_MAP_REWARD]) + (2 - at[MG_MAP_COVERAGE]) * CELL_H);
    }
    draw_legend(f);
    mg_err err = fclose(f) == 0 ? mg_file_write(path, text, size) : mg_fail(MG_NOMEM, "%s", path);
    free(text);
    return err;
}
