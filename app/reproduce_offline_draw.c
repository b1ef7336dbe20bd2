// reproduce_offline_draw.c - learning curves as a picture.
#include <math.h>
#include <stdlib.h>

#include "app/reproduce_offline.h"
#include "core/file.h"
#include "train/report_curve.h"

enum { LEFT = 74, TOP = 56, PLOT_W = 560, PLOT_H = 300, WIDTH = LEFT + PLOT_W + 96, HEIGHT = TOP + PLOT_H + 54 };

static const char head[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
    "aria-label=\"learning curves of %s\">\n<style>\n"
    ":root { --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d1d9e0; --c0: #0a62c4; --c1: #bf4a08; "
    "--c2: #1a7f37; --c3: #8250df; --c4: #9a6700; --c5: #cf222e; --c6: #0e7490; --c7: #57606a }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --line: #3d444d; "
    "--c0: #58a6ff; --c1: #ff9d4d; --c2: #56d364; --c3: #bc8cff; --c4: #e3b341; --c5: #ff7b72; --c6: #39c5cf; "
    "--c7: #8b949e } }\n"
    "text { font: 12.5px system-ui, 'DejaVu Sans', sans-serif; fill: var(--soft) }\n"
    ".title { font-size: 17px; font-weight: 600; fill: var(--ink) } .grid { stroke: var(--line) }\n"
    "polyline { fill: none; stroke-width: 2 }\n</style>\n"
    "<rect width=\"100%%\" height=\"100%%\" rx=\"10\" fill=\"var(--paper)\"/>\n"
    "<text class=\"title\" x=\"24\" y=\"32\">%s: return without noise, mean over seeds</text>\n";

static double place(const mg_axis *a, double x) { return (x - a->low) / (a->high - a->low); }

static void draw_axes(FILE *f, const mg_axis *x, const mg_axis *y) {
    for (int64_t k = y->first; k <= y->last; k++) {
        const double at = TOP + PLOT_H * (1 - place(y, (double)k * y->step));
        fprintf(f, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">%g</text>\n",
                LEFT, LEFT + PLOT_W, at, at, LEFT - 8, at + 4, (double)k * y->step);
    }
    for (int64_t k = x->first; k <= x->last; k++)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                LEFT + PLOT_W * place(x, (double)k * x->step), TOP + PLOT_H + 20, (double)k * x->step);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">environment steps</text>\n", LEFT + PLOT_W / 2,
            HEIGHT - 12);
}

// Names stand beside the picture, one below the other in the order of the arms.
static void draw_line(FILE *f, const mg_offline_line *l, int i, const mg_axis *x, const mg_axis *y) {
    fprintf(f, "<polyline stroke=\"var(--c%d)\" points=\"", i);
    for (int64_t k = 0; k < l->n; k++)
        fprintf(f, "%s%.1f,%.1f", k ? " " : "", LEFT + PLOT_W * place(x, l->step[k]),
                TOP + PLOT_H * (1 - place(y, l->mean[k])));
    fprintf(f, "\"/>\n<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"4\" fill=\"var(--c%d)\"/><text x=\"%d\" "
               "y=\"%d\">%s</text>\n",
            LEFT + PLOT_W + 20, TOP + 16 + 22 * i, i, LEFT + PLOT_W + 40, TOP + 22 + 22 * i, l->name);
}

mg_err mg_offline_draw(const char *path, const char *title, const mg_offline_line *lines, int n) {
    double low = INFINITY, high = -INFINITY, end = 0;
    char  *text = NULL;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    MG_ASSERT(n >= 1 && n <= 8);
    if (!f) return mg_fail(MG_NOMEM, "%s", path);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < lines[i].n; k++) {
            low = fmin(low, lines[i].mean[k]), high = fmax(high, lines[i].mean[k]);
            end = fmax(end, lines[i].step[k]);
        }
    const mg_axis x = mg_axis_over(0, end, 5, false), y = mg_axis_over(low, high, 5, true);
    fprintf(f, head, WIDTH, HEIGHT, WIDTH, HEIGHT, title, title);
    draw_axes(f, &x, &y);
    for (int i = 0; i < n; i++) draw_line(f, &lines[i], i, &x, &y);
    fputs("</svg>\n", f);
    mg_err err = fclose(f) == 0 ? mg_file_write(path, text, size) : mg_fail(MG_NOMEM, "%s", path);
    free(text);
    return err;
}
