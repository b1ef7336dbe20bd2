// log.h - what a person, or a program with --json, sees while something runs.
#ifndef MG_CORE_LOG_H
#define MG_CORE_LOG_H
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

typedef enum mg_log_level { MG_LOG_ERROR, MG_LOG_WARN, MG_LOG_INFO, MG_LOG_DEBUG } mg_log_level;

// Set once by main, before other threads start. json: one JSON object per line instead of text.
// Everything goes to stderr; stdout is for results.
void mg_log_setup(mg_log_level level, bool json);
void mg_log(mg_log_level level, const char *fmt, ...) MG_PRINTF(2, 3);

// Progress of long work: a bar with rate and time left on a terminal, a plain line at most every
// ten seconds otherwise, objects with --json.
typedef struct mg_progress {
    const char *what;           // "train ppo"
    const char *unit;           // "updates"
    int64_t     done, total;    // total 0: unknown
    int64_t     before;         // done before it started, by an earlier process
    int64_t     done_shown;     // what the last line or bar said
    double      started, shown; // mg_clock_seconds
    bool        bar;            // stderr is a terminal
} mg_progress;

void mg_progress_start(mg_progress *p, const char *what, const char *unit, int64_t total);
// So much was done before: rate and time left are of what is done from here on.
void mg_progress_resume(mg_progress *p, int64_t done);
// `note` is a short text behind the bar ("reward 0.41 kl 2.1"), or NULL.
void mg_progress_show(mg_progress *p, int64_t done, const char *note);
void mg_progress_end(mg_progress *p); // shows the last count, where it has not been shown

// Monotonic seconds. Nothing below train/ decides anything by it: it is for rates and budgets.
double mg_clock_seconds(void);
#endif
