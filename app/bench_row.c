// bench_row.c - from repetitions to a row, and a row as text and as JSON.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench.h"
#include "app/json.h"

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mg_bench_median(double *x, int64_t n) {
    MG_ASSERT(n > 0);
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

void mg_bench_row_make(const mg_bench_case *c, double *ours, double *theirs, int64_t n, double peak,
                       const char *peer, mg_bench_row *out) {
    *out = (mg_bench_row){.name = c->name, .unit = c->unit, .n = n, .peak_share = NAN, .peer_value = NAN,
                          .peer_low = NAN, .peer_high = NAN, .ratio = NAN, .wanted = c->wanted > 0 ? c->wanted : NAN};
    out->value = mg_bench_median(ours, n);
    out->low   = ours[0];
    out->high  = ours[n - 1];
    if (c->flops > 0) out->peak_share = out->value * c->flops / peak;
    if (theirs) {
        snprintf(out->peer, sizeof out->peer, "%s", peer);
        out->peer_value = mg_bench_median(theirs, n);
        out->peer_low   = theirs[0];
        out->peer_high  = theirs[n - 1];
        out->ratio = c->time ? out->peer_value / out->value : out->value / out->peer_value;
    }
    const double got = c->peer ? out->ratio : out->value;
    if (isnan(out->wanted) || isnan(got)) return;
    out->met = (c->time && !c->peer ? got <= out->wanted : got >= out->wanted) ? MG_BENCH_MET
                                                                              : MG_BENCH_MISSED;
}

json_t *mg_bench_row_json(const mg_bench_row *r) {
    return json_pack("{s:s, s:o, s:s, s:I, s:o, s:o, s:o, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "name", r->name,
                     "value", mg_json_number(r->value), "unit", r->unit, "n", (json_int_t)r->n, "low",
                     mg_json_number(r->low), "high", mg_json_number(r->high), "peak_share",
                     mg_json_number(r->peak_share), "peer", r->peer[0] ? r->peer : NULL, "peer_value",
                     mg_json_number(r->peer_value), "peer_low", mg_json_number(r->peer_low), "peer_high",
                     mg_json_number(r->peer_high), "ratio", mg_json_number(r->ratio), "wanted",
                     mg_json_number(r->wanted), "met",
                     r->met == MG_BENCH_UNKNOWN ? json_null() : json_boolean(r->met == MG_BENCH_MET));
}

// Four figures are what repetitions agree on.
static const char *figures(double x, char out[32]) {
    const double size = fabs(x);
    snprintf(out, 32, "%.*f", size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3, x);
    return out;
}

void mg_bench_row_print(const mg_bench_row *r, FILE *out) {
    char a[32], b[32], c[32];
    fprintf(out, "%-20s %10s %-14s %9s .. %-9s", r->name, figures(r->value, a), r->unit,
            figures(r->low, b), figures(r->high, c));
    if (!isnan(r->peak_share)) fprintf(out, "  %4.1f %% of peak", 100 * r->peak_share);
    if (!isnan(r->ratio))
        fprintf(out, "  %.2f times %s (%s .. %s) of %s", r->ratio, figures(r->peer_value, a),
                figures(r->peer_low, b), figures(r->peer_high, c), r->peer);
    if (!isnan(r->wanted)) fprintf(out, "  (wanted %g%s)", r->wanted,
                                   r->met == MG_BENCH_MET      ? ": met"
                                   : r->met == MG_BENCH_MISSED ? ": not met"
                                                               : ", no peer");
    fprintf(out, "\n");
}

static void refuse_row(const char *name, size_t size, char *text, size_t room) {
    size_t used = (size_t)snprintf(text, room, "--only: found '%.*s', wanted some of", (int)size, name);
    for (const mg_bench_case *c = mg_bench_cases; c->name && used < room; c++)
        used += (size_t)snprintf(text + used, room - used, " %s", c->name);
}

mg_err mg_bench_choose(const char *only, bool *chosen) {
    int n = 0;
    for (const mg_bench_case *c = mg_bench_cases; c->name; c++) chosen[n++] = !only;
    for (const char *at = only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const size_t size  = strcspn(at, ",");
        bool         found = false;
        for (int i = 0; i < n; i++)
            if (strlen(mg_bench_cases[i].name) == size && strncmp(mg_bench_cases[i].name, at, size) == 0)
                chosen[i] = found = true;
        if (found) continue;
        char text[1024];
        refuse_row(at, size, text, sizeof text);
        return mg_fail(MG_CONFIG, "%s", text);
    }
    return MG_OK;
}
