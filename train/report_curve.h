// report_curve.h - one curve as a figure: axes and series in SVG, and words for who cannot see it.
#ifndef MG_TRAIN_REPORT_CURVE_H
#define MG_TRAIN_REPORT_CURVE_H
#include <stdio.h>

#include "train/report.h"

// `number` makes the ids of its title and description unique in the page.
void mg_report_figure(FILE *out, const mg_report_curve *c, int64_t number);

// An axis from low to high with ticks at first * step, ..., last * step.
typedef struct mg_axis {
    double  low, high, step;
    int64_t first, last;
} mg_axis;

// Ticks 1, 2 or 5 times a power of ten apart, about `wanted` of them. loose: low and high move out
// to ticks (Heckbert 1990, "Nice numbers for graph labels", Graphics Gems I).
mg_axis mg_axis_over(double low, double high, int wanted, bool loose);
#endif
