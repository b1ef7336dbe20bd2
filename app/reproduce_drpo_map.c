// reproduce_drpo_map.c - the map's picture, and the tree of what explains it.
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

#define WORTH 0.05 // share of all variation that a split must explain

// ---- what explains it

typedef struct part { // some of the squares
    const mg_map_square *squares;
    int                  n;
    int                  fixed[MG_MAP_AXES]; // the value that an axis must have; -1: any
} part;

static bool inside(const part *p, const mg_map_square *s) {
    for (int a = 0; a < MG_MAP_AXES; a++)
        if (p->fixed[a] >= 0 && s->at[a] != p->fixed[a]) return false;
    return s->seeds > 0;
}

static double mean_gain(const part *p, int *n) {
    double sum = 0;
    *n         = 0;
    for (int i = 0; i < p->n; i++)
        if (inside(p, &p->squares[i])) sum += p->squares[i].gain, ++*n;
    return *n ? sum / *n : 0;
}

static part with(const part *p, int axis, int value) {
    part narrower        = *p;
    narrower.fixed[axis] = value;
    return narrower;
}

// Sum of squares between an axis' values: what knowing the value explains.
static double explained(const part *p, int axis) {
    int          n;
    const double all = mean_gain(p, &n);
    double       sum = 0;
    for (int v = 0; v < mg_map_scale[axis].n; v++) {
        const part   w = with(p, axis, v);
        const double m = mean_gain(&w, &n);
        sum += n * (m - all) * (m - all);
    }
    return sum;
}

static double variation(const part *p) {
    int          n;
    const double all = mean_gain(p, &n);
    double       sum = 0;
    for (int i = 0; i < p->n; i++)
        if (inside(p, &p->squares[i])) sum += (p->squares[i].gain - all) * (p->squares[i].gain - all);
    return sum;
}

static void print_part(FILE *text, const part *p) {
    int          n, ahead = 0, behind = 0;
    const double mean = mean_gain(p, &n);
    for (int i = 0; i < p->n; i++)
        if (inside(p, &p->squares[i]) && p->squares[i].decided)
            p->squares[i].gain > 0 ? ahead++ : behind++;
    fprintf(text, "%+.2f on average over %d square%s; ahead in %d, behind in %d, not decided in %d\n", mean, n,
            n == 1 ? "" : "s", ahead, behind, n - ahead - behind);
}

static void split(FILE *text, const part *p, double worth, int indent, int levels) {
    int    axis = -1, n;
    double most = worth;
    for (int a = 0; a < MG_MAP_AXES && levels > 0; a++) {
        const double x = p->fixed[a] < 0 ? explained(p, a) : 0;
        if (x > most) most = x, axis = a;
    }
    for (int v = 0; axis >= 0 && v < mg_map_scale[axis].n; v++) {
        const part w = with(p, axis, v);
        mean_gain(&w, &n);
        if (n == 0) continue;
        fprintf(text, "%*s- %s %s: ", indent, "", mg_map_scale[axis].name, mg_map_scale[axis].value[v]);
        print_part(text, &w);
        split(text, &w, worth, indent + 2, levels - 1);
    }
}

void mg_map_explain(FILE *text, const mg_map_square *squares, int n, int levels) {
    const part all = {squares, n, {-1, -1, -1, -1, -1}};
    fprintf(text, "- all: ");
    print_part(text, &all);
    split(text, &all, WORTH * variation(&all), 2, levels);
}

// ---- the picture

enum {
    CELL_W = 78, CELL_H = 46, GAP = 26,       // a square; between panels
    LEFT = 104, TOP = 112, FOOT = 100,         // room around the panels
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
    if (s->seeds > 0)
        fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill-opacity=\"%.3f\"/>",
                s->gain < 0 ? "behind" : "ahead", x, y, CELL_W, CELL_H, opacity(s->gain));
    if (s->seeds > 0 && !s->decided)
        fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"url(#open)\"/>", x, y, CELL_W, CELL_H);
    fprintf(f, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, y, CELL_W, CELL_H);
    if (s->seeds == 0) {
        fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">\u2013</text>\n", middle, y + 28);
        return;
    }
    fprintf(f, "<text class=\"value%s%s\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", s->decided ? " sure" : "",
            on ? " on" : "", middle, y + 22);
    write_number(f, s->gain, true);
    fputs("</text>", f);
    if (!isnan(s->low)) {
        fprintf(f, "<text class=\"interval%s\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", on ? " on" : "", middle,
                y + 38);
        write_number(f, s->low, false);
        fputs(" to ", f);
        write_number(f, s->high, false);
        fputs("</text>", f);
    }
    fputc('\n', f);
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
    fprintf(f, " seed%s</text>\n", seeds_max == 1 ? "" : "s");
    for (int p = 0; p < scale[MG_MAP_PRIOR].n; p++)
        fprintf(f, "<text class=\"panel\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">right with chance %s a "
                   "symbol</text>\n",
                left_of(p) + PANEL_W / 2, TOP - 14, scale[MG_MAP_PRIOR].value[p]);
    for (int r = 0; r < scale[MG_MAP_REWARD].n; r++) {
        const int middle = top_of(r) + PANEL_H / 2;
        fprintf(f, "<text class=\"panel\" transform=\"translate(34 %d) rotate(-90)\" text-anchor=\"middle\">%s "
                   "reward</text>\n<text class=\"soft\" transform=\"translate(56 %d) rotate(-90)\" "
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
    const int y = HEIGHT - 54, step = 26;
    fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">PPO ahead</text>\n", LEFT + 82, y + 13);
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
               "y=\"%d\" width=\"34\" height=\"18\"/>\n<text class=\"soft\" x=\"%d\" y=\"%d\">the interval holds "
               "0, or there is none</text>\n</svg>\n",
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
