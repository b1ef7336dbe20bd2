// report_curve.c - small multiples in SVG.
#include "train/report_curve.h"

#include <math.h>
#include <stdlib.h>

#include "train/report_html.h"

// The figure's units, which are CSS pixels at its natural size, and the box that the axes span.
enum { WIDTH = 320, HEIGHT = 180, LEFT = 46, RIGHT = 306, TOP = 10, BOTTOM = 152 };
enum { X_TICKS = 5, Y_TICKS = 4 };

#define NUMBER_MAX 1e300  // drawn; the distance of two such numbers is finite
#define NUMBER_MIN 1e-290 // a smaller distance is none

// 1, 2 or 5 times a power of ten, the nearest below or above x.
static double nice(double x) {
    const double power = pow(10, floor(log10(x))), f = x / power;
    return power * (f < 1.5 ? 1 : f < 3 ? 2 : f < 7 ? 5 : 10);
}

mg_axis mg_axis_over(double low, double high, int wanted, bool loose) {
    const double size = fmax(fabs(low), fabs(high));
    if (high - low <= fmax(1e-9 * size, NUMBER_MIN)) { // a constant, or what rounding leaves of one
        const double room = size > NUMBER_MIN ? 0.1 * size : 1;
        low -= room, high += room;
    }
    // A tick that rounding puts a hair away from an end stands at that end.
    const double step = nice((high - low) / wanted), from = low / step, to = high / step;
    const double first = loose ? floor(from + 1e-6) : ceil(from - 1e-6);
    const double last  = loose ? ceil(to - 1e-6) : floor(to + 1e-6);
    if (loose) low = fmin(low, first * step), high = fmax(high, last * step);
    return (mg_axis){low, high, step, (int64_t)first, (int64_t)last};
}

static double along(const mg_axis *a, double x, double from, double to) {
    return from + (x - a->low) / (a->high - a->low) * (to - from);
}

// As many digits as tell neighbouring ticks apart.
static void put_tick(FILE *out, const mg_axis *a, int64_t k) {
    const double x = (double)k * a->step, size = fmax(fabs(a->low), fabs(a->high));
    const int    place = (int)floor(log10(a->step) + 1e-9);
    if (size < 1e6 && place >= -4) mg_html_number(out, x, place < 0 ? -place : 0);
    else mg_html_significant(out, x, (int)floor(log10(size)) - place + 1);
}

typedef struct extent {
    double  low, high; // of the values
    int64_t from, to;  // updates
    int64_t n;         // finite points
    double  first, last;
} extent;

static double clamped(double x) { return fmax(-NUMBER_MAX, fmin(NUMBER_MAX, x)); }

static extent extent_of(const mg_report_series *series, int64_t n) {
    extent e = {.low = INFINITY, .high = -INFINITY, .from = INT64_MAX, .to = INT64_MIN};
    for (int64_t s = 0; s < n; s++)
        for (int64_t i = 0; i < series[s].n; i++) {
            const mg_point *p = &series[s].points[i];
            if (!isfinite(p->value)) continue;
            const double value = clamped(p->value);
            if (e.n++ == 0) e.first = value;
            e.last = value;
            e.low  = fmin(e.low, value);
            e.high = fmax(e.high, value);
            if (p->update < e.from) e.from = p->update;
            if (p->update > e.to) e.to = p->update;
        }
    return e;
}

static void put_axes(FILE *out, const mg_axis *x, const mg_axis *y) {
    fputs("<g class=\"axis\" aria-hidden=\"true\">\n", out);
    for (int64_t k = y->first; k <= y->last; k++) {
        const double at = along(y, (double)k * y->step, BOTTOM, TOP);
        fprintf(out, "<path d=\"M%d,%.1fH%d\"/><text class=\"y\" x=\"%d\" y=\"%.1f\">", LEFT, at,
                RIGHT, LEFT - 6, at + 3.5);
        put_tick(out, y, k);
        fputs("</text>\n", out);
    }
    for (int64_t k = x->first; k <= x->last; k++) {
        const double at = along(x, (double)k * x->step, LEFT, RIGHT);
        fprintf(out, "<path d=\"M%.1f,%dv4\"/><text class=\"x\" x=\"%.1f\" y=\"%d\">", at, BOTTOM,
                at, BOTTOM + 17);
        put_tick(out, x, k);
        fputs("</text>\n", out);
    }
    fputs("</g>\n", out);
}

// A line under way; `open` inside a run of finite points.
typedef struct pen {
    FILE          *out;
    const mg_axis *x, *y;
    bool           open;
} pen;

static void draw(pen *p, const mg_point *point) {
    const double x = along(p->x, (double)point->update, LEFT, RIGHT);
    const double y = along(p->y, clamped(point->value), BOTTOM, TOP);
    // h0 makes a dot where the run has one point only.
    fprintf(p->out, p->open ? "L%.1f,%.1f" : "M%.1f,%.1fh0", x, y);
    p->open = true;
}

static void draw_all(pen *p, const mg_report_series *s) {
    for (int64_t i = 0; i < s->n; i++) {
        if (isfinite(s->points[i].value)) draw(p, &s->points[i]);
        else p->open = false;
    }
}

// The lowest and the highest point of each stretch, in their order: no spike is lost.
static void draw_thinned(pen *p, const mg_report_series *s) {
    enum { STRETCHES = MG_REPORT_POINTS_MAX / 2 };
    for (int64_t k = 0; k < STRETCHES; k++) {
        int64_t low = -1, high = -1;
        for (int64_t i = s->n * k / STRETCHES; i < s->n * (k + 1) / STRETCHES; i++) {
            const double value = s->points[i].value;
            if (!isfinite(value)) continue;
            if (low < 0 || value < s->points[low].value) low = i;
            if (high < 0 || value > s->points[high].value) high = i;
        }
        if (low < 0) {
            p->open = false;
            continue;
        }
        draw(p, &s->points[low < high ? low : high]);
        if (low != high) draw(p, &s->points[low < high ? high : low]);
    }
}

static void put_series(FILE *out, const mg_report_series *s, int64_t number, const mg_axis *x,
                       const mg_axis *y) {
    pen p = {.out = out, .x = x, .y = y};
    fprintf(out, "<path class=\"line s%d\" d=\"", (int)(number % MG_REPORT_SERIES_MAX));
    if (s->n <= MG_REPORT_POINTS_MAX) draw_all(&p, s);
    else draw_thinned(&p, s);
    fputs("\"/>\n", out);
}

// What the picture shows, in words: a sentence per series.
static void put_description(FILE *out, const mg_report_curve *c) {
    for (int64_t i = 0; i < c->n_series; i++) {
        const mg_report_series *s = &c->series[i];
        const extent            e = extent_of(s, 1);
        if (c->n_series > 1) {
            mg_html_string(out, s->name);
            fputs(": ", out);
        }
        if (e.n == 0) {
            fputs("no points. ", out);
            continue;
        }
        mg_html_significant(out, e.first, 4);
        fprintf(out, " at update %lld, ", (long long)e.from);
        mg_html_significant(out, e.last, 4);
        fprintf(out, " at update %lld; lowest ", (long long)e.to);
        mg_html_significant(out, e.low, 4);
        fputs(", highest ", out);
        mg_html_significant(out, e.high, 4);
        fputs(". ", out);
    }
}

static void put_legend(FILE *out, const mg_report_curve *c) {
    fputs("<ul class=\"legend\">", out);
    for (int64_t i = 0; i < c->n_series; i++) {
        fprintf(out,
                "<li><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"line s%d\" "
                "d=\"M1,4H23\"/></svg>",
                (int)(i % MG_REPORT_SERIES_MAX));
        mg_html_string(out, c->series[i].name);
        fputs("</li>", out);
    }
    fputs("</ul>\n", out);
}

void mg_report_figure(FILE *out, const mg_report_curve *c, int64_t number) {
    const extent e = extent_of(c->series, c->n_series);
    fputs("<figure>\n<figcaption>", out);
    mg_html_string(out, c->title);
    if (c->n_series == 1 && e.n > 0) {
        fputs(" <span class=\"last\">", out);
        mg_html_significant(out, e.last, 4);
        fputs("</span>", out);
    }
    fputs("</figcaption>\n", out);
    if (c->n_series > 1) put_legend(out, c);
    fprintf(out,
            "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"c%lldt c%lldd\">\n"
            "<title id=\"c%lldt\">",
            WIDTH, HEIGHT, (long long)number, (long long)number, (long long)number);
    mg_html_string(out, c->title);
    fprintf(out, "</title>\n<desc id=\"c%lldd\">", (long long)number);
    put_description(out, c);
    fputs("</desc>\n", out);
    if (e.n > 0) {
        // Updates are whole: no more ticks than steps between them.
        const double steps = fmax(1, (double)(e.to - e.from));
        mg_axis x = mg_axis_over((double)e.from, (double)e.to, (int)fmin(X_TICKS, steps), false);
        mg_axis y = mg_axis_over(e.low, e.high, Y_TICKS, true);
        put_axes(out, &x, &y);
        for (int64_t i = 0; i < c->n_series; i++) put_series(out, &c->series[i], i, &x, &y);
    } else {
        fprintf(out, "<text class=\"x\" x=\"%d\" y=\"%d\">no points</text>\n", (LEFT + RIGHT) / 2,
                (TOP + BOTTOM) / 2);
    }
    fputs("</svg>\n</figure>\n", out);
}
