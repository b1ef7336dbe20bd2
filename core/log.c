// log.c - lines, bars and objects on stderr.
#include "core/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_EVERY_SECONDS 10.0
#define BAR_EVERY_SECONDS  0.1
#define BAR_WIDTH          24

static mg_log_level level_max = MG_LOG_INFO;
static bool         as_json;

void mg_log_setup(mg_log_level level, bool json) { level_max = level, as_json = json; }

double mg_clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Takes the object.
static void print_json(json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text) fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(object);
}

void mg_log(mg_log_level level, const char *fmt, ...) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char                     text[2048];
    va_list                  args;
    if (level > level_max) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (as_json)
        print_json(json_pack("{s:s, s:s}", "level", names[level], "message", text));
    else if (level <= MG_LOG_WARN)
        fprintf(stderr, "%s: %s\n", names[level], text);
    else
        fprintf(stderr, "%s\n", text);
}

void mg_progress_start(mg_progress *p, const char *what, const char *unit, int64_t total) {
    *p         = (mg_progress){.what = what, .unit = unit, .total = total};
    p->started = mg_clock_seconds();
    p->shown   = p->started - LINE_EVERY_SECONDS; // the first call shows
}

static void clock_text(double seconds, char *out, size_t size) {
    const int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%lld:%02lld:%02lld", (long long)s / 3600, (long long)s / 60 % 60,
                 (long long)s % 60);
    else
        snprintf(out, size, "%lld:%02lld", (long long)s / 60, (long long)s % 60);
}

static void print_progress(const mg_progress *p, const char *note, bool bar) {
    const double spent = mg_clock_seconds() - p->started;
    const double rate  = spent > 0 ? (double)p->done / spent : 0;
    char         left[32] = "", counts[96];
    if (p->total > 0)
        snprintf(counts, sizeof counts, "%lld/%lld %s", (long long)p->done, (long long)p->total,
                 p->unit);
    else
        snprintf(counts, sizeof counts, "%lld %s", (long long)p->done, p->unit);
    if (p->total > 0 && rate > 0) clock_text((double)(p->total - p->done) / rate, left, sizeof left);
    if (bar && p->total > 0) {
        char      cells[BAR_WIDTH + 1];
        const int full = (int)(BAR_WIDTH * p->done / p->total);
        for (int i = 0; i < BAR_WIDTH; i++) cells[i] = i < full ? '#' : '.';
        cells[BAR_WIDTH] = 0;
        fprintf(stderr, "\r\033[K%s [%s] ", p->what, cells);
    } else {
        fprintf(stderr, "%s%s ", bar ? "\r\033[K" : "", p->what);
    }
    fprintf(stderr, "%s  %.3g/s%s%s%s%s", counts, rate, left[0] ? "  left " : "", left,
            note ? "  " : "", note ? note : "");
    if (!bar) fputc('\n', stderr);
    fflush(stderr);
}

void mg_progress_show(mg_progress *p, int64_t done, const char *note) {
    const double now = mg_clock_seconds();
    const bool   bar = !as_json && isatty(STDERR_FILENO);
    p->done          = done;
    if (level_max < MG_LOG_INFO) return;
    if (done != p->total && now - p->shown < (bar ? BAR_EVERY_SECONDS : LINE_EVERY_SECONDS)) return;
    p->shown = now;
    if (as_json)
        print_json(json_pack("{s:s, s:I, s:I, s:s, s:f, s:s}", "progress", p->what, "done",
                             (json_int_t)done, "total", (json_int_t)p->total, "unit", p->unit,
                             "seconds", now - p->started, "note", note ? note : ""));
    else
        print_progress(p, note, bar);
}

void mg_progress_end(mg_progress *p) {
    if (level_max >= MG_LOG_INFO && !as_json && isatty(STDERR_FILENO)) fputc('\n', stderr);
    *p = (mg_progress){0};
}
