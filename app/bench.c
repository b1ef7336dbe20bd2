// bench.c - martingale bench: how fast this is here, beside what the machine can do and beside others.
#include <math.h>
#include <string.h>

#include "app/app.h"
#include "app/bench.h"
#include "app/json.h"
#include "core/log.h"

enum { REPEATS = 5 };

typedef struct run {
    mg_bench    bench;
    int64_t     repeats;
    const char *python;          // of the peers; NULL: none
    double      peak[MG_PEAKS];  // FLOP/s of all threads; NaN: not measured
    bool        failed;          // a peer that was asked for did not answer
    bool        chosen[MG_BENCH_CASES_MAX];
    int         done, rows;
    mg_progress progress;
} run;

// ---- One row

// Ours and theirs in turns.
static mg_err repeat(run *r, const mg_bench_case *c, void *work, mg_bench_peer *peer, double *ours,
                     double *theirs) {
    double unused;
    mg_err err = c->work->once(work, &unused); // memory is touched, weights are packed
    for (int64_t i = 0; i < r->repeats && !err; i++) {
        if (mg_stop) return mg_fail(MG_INTERRUPTED, "stopped in row %s", c->name);
        err = c->work->once(work, &ours[i]);
        if (err || !peer->pid || !mg_bench_peer_once(peer, &theirs[i])) continue;
        mg_log(MG_LOG_WARN, "%s: %s", c->name, mg_err_detail());
        mg_bench_peer_close(peer);
        r->failed = true;
    }
    return err;
}

// A peer that does not come takes its column along, not the row.
static void open_peer(run *r, const mg_bench_case *c, mg_bench_peer *peer) {
    *peer = (mg_bench_peer){.ask = -1};
    if (!r->python || !c->peer) return;
    const mg_err err = mg_bench_peer_open(peer, r->python, c->peer, r->bench.threads);
    if (!err) return;
    mg_log(MG_LOG_WARN, "%s: %s", c->name, mg_err_detail());
    r->failed = r->failed || err != MG_UNSUPPORTED;
}

static mg_err measure(run *r, const mg_bench_case *c, mg_bench_row *out) {
    double        ours[MG_BENCH_REPEATS_MAX], theirs[MG_BENCH_REPEATS_MAX];
    mg_bench_peer peer;
    void         *work = NULL;
    mg_err        err  = c->work->open(&r->bench, c, &work);
    if (err) return err;
    open_peer(r, c, &peer);
    err = repeat(r, c, work, &peer, ours, theirs);
    if (!err)
        mg_bench_row_make(c, ours, peer.pid ? theirs : NULL, r->repeats, r->peak[c->peak], peer.name, out);
    if (!err && c->is_peak) r->peak[c->peak] = 1e9 * out->value;
    mg_bench_peer_close(&peer);
    c->work->close(work);
    return err;
}

// The peak that a share is of, where nobody asked for its row.
static mg_err measure_peak(run *r, mg_bench_peak peak) {
    mg_bench_row row;
    for (const mg_bench_case *c = mg_bench_cases; c->name; c++)
        if (c->is_peak && c->peak == peak) return measure(r, c, &row);
    return MG_OK;
}

// ---- All of them

// Prints each when it is there; with JSON, all at the end, those before an error too.
static mg_err run_all(run *r, json_t *all) {
    mg_err err = MG_OK;
    mg_progress_start(&r->progress, "bench", "rows", r->rows);
    for (int i = 0; mg_bench_cases[i].name && !err; i++) {
        const mg_bench_case *c = &mg_bench_cases[i];
        mg_bench_row         row;
        if (!r->chosen[i]) continue;
        mg_progress_show(&r->progress, r->done++, c->name);
        if (c->flops > 0 && isnan(r->peak[c->peak])) err = measure_peak(r, c->peak);
        if (!err) err = measure(r, c, &row);
        if (err == MG_UNSUPPORTED) { // by this processor: no row, no error
            mg_log(MG_LOG_WARN, "%s", mg_err_detail());
            err = MG_OK;
            continue;
        }
        if (!err) json_array_append_new(all, mg_bench_row_json(&row));
        if (!err && !mg_json) {
            mg_bench_row_print(&row, stdout);
            fflush(stdout);
        }
    }
    r->done = r->rows;
    mg_progress_show(&r->progress, r->done, NULL);
    mg_progress_end(&r->progress);
    return err;
}

static void help(const mg_option *options) {
    printf("usage: martingale bench [--only NAME,...] [--threads N] [--repeats N] [--peers PYTHON]\n\n"
           "How fast this is on this machine: each row is the median of the repetitions with the\n"
           "smallest and the largest, and a share of the peak that the same run measured. With\n"
           "--peers, a Python that `make bench-peers` prepares, other programs do the same work in\n"
           "turns with ours, and the row has the ratio. All rows take about three minutes, with peers\n"
           "about twenty. Nothing is written but temporary files and what peers compile; nothing\n"
           "else should run.\n\n");
    for (const mg_bench_case *c = mg_bench_cases; c->name; c++)
        printf("  %-20s %-9s %s\n", c->name, c->unit, c->meaning);
    printf("\n");
    mg_args_help(options, stdout);
    printf("\ndocs/BENCHMARKS.md says what each row does. Exit status 3: a peer failed.\n");
}

static mg_err settle(run *r, const char *only, const char *threads, const char *repeats) {
    int64_t n   = 0;
    mg_err  err = mg_bench_choose(only, r->chosen);
    if (!err && threads) err = mg_args_int("threads", threads, 0, MG_THREADS_MAX, &n);
    if (!err && repeats) err = mg_args_int("repeats", repeats, 1, MG_BENCH_REPEATS_MAX, &r->repeats);
    if (!err) err = mg_team_open(&r->bench.team, (int)n);
    if (err) return err;
    r->bench.threads = mg_team_threads(r->bench.team);
    for (int i = 0; mg_bench_cases[i].name; i++) r->rows += r->chosen[i];
    return MG_OK;
}

static int run_verb(int argc, char **argv) {
    const char     *only = NULL, *threads = NULL, *repeats = NULL;
    run             r    = {.repeats = REPEATS, .peak = {NAN, NAN, NAN}};
    mg_args         args;
    const mg_option options[] = {
        {"only", &only, NULL, "NAME,...  these rows alone"},
        {"threads", &threads, NULL, "N  worker threads; 0, the default: as many as the process may use"},
        {"repeats", &repeats, NULL, "N  repetitions of each row (default 5)"},
        {"peers", &r.python, NULL, "PYTHON  measure other programs too, started by this interpreter"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        help(options);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words)
        err = mg_fail(MG_CONFIG, "bench: found '%s', wanted options only", args.words[0]);
    if (!err) err = settle(&r, only, threads, repeats);
    if (err) return mg_exit_status(err);
    mg_log_setup(MG_LOG_WARN, mg_json); // not what learners say of invented data
    json_t *all = json_array();
    err         = run_all(&r, all);
    mg_team_close(r.bench.team);
    const mg_err printed = mg_json ? mg_json_print(json_incref(all)) : MG_OK; // what there is, after an error as well
    json_decref(all);
    if (!err) err = printed;
    return err ? mg_exit_status(err) : r.failed ? MG_EXIT_BROKEN : MG_EXIT_DONE;
}

const mg_verb mg_verb_bench = {
    "bench", "[--only NAME,...] [--peers PYTHON]",
    "speed, as a share of this machine's measured peak, and beside others", run_verb};
