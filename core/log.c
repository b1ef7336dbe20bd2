// log.c - lines, bars and objects on stderr.
//
// A bar is redrawn in place; a line that comes between wipes it, and its next turn draws it anew.
#include "core/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_EVERY_SECONDS 10.0
#define BAR_EVERY_SECONDS  0.1
#define BAR_WIDTH          24
#define COLUMNS_DEFAULT    80
#define WIPE               "\r\033[K" // ECMA-48: to the line's start, erase to its end

static mg_log_level level_max = MG_LOG_INFO;
static bool         as_json;
static atomic_bool  bar_drawn; // the cursor stands behind a bar

void mg_log_setup(mg_log_level level, bool json) { level_max = level, as_json = json; }

double mg_clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// JSON is UTF-8: in a text that is not, the bytes beyond ASCII are lost, the rest is kept.
static json_t *json_text(const char *text) {
    json_t *whole = json_string(text);
    if (whole) return whole;
    char ascii[2048];
    snprintf(ascii, sizeof ascii, "%s", text);
    for (char *c = ascii; *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    return json_string(ascii);
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
    const char *wipe = atomic_exchange(&bar_drawn, false) ? WIPE : "";
    if (as_json)
        print_json(json_pack("{s:s, s:o}", "level", names[level], "message", json_text(text)));
    else if (level <= MG_LOG_WARN)
        fprintf(stderr, "%s%s: %s\n", wipe, names[level], text);
    else
        fprintf(stderr, "%s%s\n", wipe, text);
}

void mg_progress_start(mg_progress *p, const char *what, const char *unit, int64_t total) {
    *p = (mg_progress){.what = what, .unit = unit, .total = total, .started = mg_clock_seconds()};
    p->bar   = !as_json && isatty(STDERR_FILENO);
    p->shown = p->started - LINE_EVERY_SECONDS; // the first call shows
}

void mg_progress_resume(mg_progress *p, int64_t done) { p->before = p->done = p->done_shown = done; }

// "7/20 updates  3.5/s  left 0:04  reward 0.41"
static void describe(const mg_progress *p, double seconds, const char *note, char *out,
                     size_t size) {
    const double rate = seconds > 0 ? (double)(p->done - p->before) / seconds : 0;
    char         total[32] = "", left[48] = "";
    if (p->total > 0) snprintf(total, sizeof total, "/%lld", (long long)p->total);
    if (p->total > p->done && rate > 0) {
        const long long s = (long long)((double)(p->total - p->done) / rate + 0.5);
        snprintf(left, sizeof left, "  left %lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    }
    snprintf(out, size, "%lld%s %s  %.3g/s%s%s%s", (long long)p->done, total, p->unit, rate, left,
             note ? "  " : "", note ? note : "");
}

// Never wider than the terminal: a bar that wraps cannot be wiped.
static void draw_bar(const mg_progress *p, const char *text) {
    char cells[BAR_WIDTH + 1] = "", line[1024];
    if (p->total > 0) {
        const double part = (double)p->done / (double)p->total;
        const int    full = part < 1 ? (int)(BAR_WIDTH * part) : BAR_WIDTH;
        memset(cells, '.', BAR_WIDTH);
        memset(cells, '#', (size_t)full);
    }
    struct winsize window;
    int            columns = COLUMNS_DEFAULT;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        columns = window.ws_col;
    snprintf(line, sizeof line, cells[0] ? "%s [%s] %s" : "%s %s%s", p->what, cells, text);
    fprintf(stderr, WIPE "%.*s", columns - 1, line);
    atomic_store(&bar_drawn, true);
}

static void show(mg_progress *p, double now, const char *note) {
    char text[512];
    p->shown      = now;
    p->done_shown = p->done;
    describe(p, now - p->started, note, text, sizeof text);
    if (as_json)
        print_json(json_pack("{s:o, s:I, s:I, s:I, s:s, s:f, s:o}", "progress", json_text(p->what),
                             "done", (json_int_t)p->done, "before", (json_int_t)p->before,
                             "total", (json_int_t)p->total, "unit",
                             p->unit, "seconds", now - p->started, "note",
                             json_text(note ? note : "")));
    else if (p->bar)
        draw_bar(p, text);
    else
        fprintf(stderr, "%s %s\n", p->what, text);
}

void mg_progress_show(mg_progress *p, int64_t done, const char *note) {
    p->done = done;
    if (level_max < MG_LOG_INFO) return;
    const double now = mg_clock_seconds();
    if (done == p->total || now - p->shown >= (p->bar ? BAR_EVERY_SECONDS : LINE_EVERY_SECONDS))
        show(p, now, note);
}

void mg_progress_end(mg_progress *p) {
    if (level_max >= MG_LOG_INFO && p->done != p->done_shown) show(p, mg_clock_seconds(), NULL);
    if (atomic_exchange(&bar_drawn, false)) fputc('\n', stderr);
    *p = (mg_progress){0};
}
