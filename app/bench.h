// bench.h - martingale bench: what is measured, and what a measurement says.
//
// A row is one kind of work. It is opened, done once uncounted, then repeated; where a peer does the same
// work in another process, the two take turns, so that a ratio is of one run whatever else the machine
// does. Shares are of peaks that the same run measured.
#ifndef MG_APP_BENCH_H
#define MG_APP_BENCH_H
#include <jansson.h>

#include "core/thread.h"
#include "nets/model.h"

#define MG_BENCH_REPEATS_MAX 99
#define MG_BENCH_CASES_MAX   40

// What came out.
typedef struct mg_bench_row {
    const char *name, *unit;
    int64_t     n;                // repetitions
    double      value, low, high; // their median, smallest, largest, in `unit`
    double      peak_share;       // of the peak of all threads; NaN: none belongs to it
    char        peer[128];        // who else did it, and how; "": nobody
    double      peer_value, peer_low, peer_high; // its repetitions, as above; NaN: nobody
    double      ratio;            // how many times as fast as the peer; NaN: nobody
    double      wanted;           // of the ratio, or of the value where no peer does this; NaN: nothing
    enum { MG_BENCH_UNKNOWN, MG_BENCH_MET, MG_BENCH_MISSED } met;
} mg_bench_row;

// A run of the verb, as the work sees it.
typedef struct mg_bench {
    int      threads;
    mg_team *team; // of so many
} mg_bench;

typedef struct mg_bench_case mg_bench_case;

// How a kind of work is done; `work` is its own. open: MG_UNSUPPORTED where this processor has not what it
// takes, and there is no row.
typedef struct mg_bench_work {
    mg_err (*open)(const mg_bench *b, const mg_bench_case *c, void **work);
    mg_err (*once)(void *work, double *value); // one repetition, in the row's unit
    void (*close)(void *work);
} mg_bench_work;

typedef enum mg_bench_peak { MG_PEAK_NONE, MG_PEAK_F32, MG_PEAK_BF16, MG_PEAKS } mg_bench_peak;

// What is asked.
struct mg_bench_case {
    const char          *name, *unit, *meaning;
    const mg_bench_work *work;
    int64_t              variant;  // the work's own: a batch, a kind, a number of threads
    const char          *word;     // the same: an algorithm
    mg_compute           compute;  // how its models compute
    mg_bench_peak        peak;     // which peak its share is of
    double               flops;    // useful ones in one of its unit; 0: no share
    bool                 is_peak;  // it measures that peak itself
    bool                 time;     // the unit is a time: less is better
    double               wanted;   // 0: nothing
    const char          *peer;     // row of bench/peer.py; NULL: nobody does this
};

extern const mg_bench_case mg_bench_cases[]; // ended by a NULL name

extern const mg_bench_work mg_bench_peak_work, mg_bench_bandwidth_work, mg_bench_train_work,
    mg_bench_generate_work, mg_bench_loop_work, mg_bench_products_work, mg_bench_control_work, mg_bench_watch_work,
    mg_bench_record_work, mg_bench_physics_work, mg_bench_robot_work, mg_bench_start_work;

// The model of the train, generate and loop rows: 5.3 M weights, as the peers build it too.
#define MG_BENCH_VOCAB   512
#define MG_BENCH_WEIGHTS 5303552.0
extern const mg_model_config mg_bench_shape;
// Can this processor compute so? Error: MG_UNSUPPORTED.
mg_err mg_bench_can(const mg_bench_case *c) MG_MUST_USE;

// ---- A temporary folder (bench_folder.c)

#define MG_BENCH_FOLDER_MAX 256
// In TMPDIR or /tmp. Errors: MG_IO, MG_LIMIT; `folder` is "" then.
mg_err mg_bench_folder_make(char folder[MG_BENCH_FOLDER_MAX]) MG_MUST_USE;
void   mg_bench_folder_remove(char folder[MG_BENCH_FOLDER_MAX]); // with what is in it; "": no effect

// ---- From repetitions to a row (bench_row.c)

// The middle of n numbers, which are put in order; the mean of the two in the middle of an even n.
double mg_bench_median(double *x, int64_t n);

// peak: in the case's unit of work per second times its flops, that is FLOP/s; NaN: not measured. theirs
// NULL: no peer. Both arrays [n] are put in order.
void mg_bench_row_make(const mg_bench_case *c, double *ours, double *theirs, int64_t n, double peak,
                       const char *peer, mg_bench_row *out);
json_t *mg_bench_row_json(const mg_bench_row *r);
void    mg_bench_row_print(const mg_bench_row *r, FILE *out);

// Which cases `only` names, "a,b"; NULL: all. chosen [MG_BENCH_CASES_MAX] is in their order.
// Error: MG_CONFIG, with the name that was found and those that there are.
mg_err mg_bench_choose(const char *only, bool *chosen) MG_MUST_USE;

// ---- A peer: another program doing the same work (bench_peer.c)

// bench/peer.py ROW THREADS says a line of JSON when it is ready, {"peer": "PyTorch 2.15"}, and one for each
// line that it is told, {"value": 123}; or {"error": "sentence"}; or {"absent": "sentence"} where it is not
// installed. It ends when nothing more is told. TMPDIR is a folder of its own, gone when it is closed.
typedef struct mg_bench_peer {
    char  name[128];
    int   pid; // 0: none
    int   ask; // file descriptors, -1: none
    FILE *answers;
    char  folder[MG_BENCH_FOLDER_MAX]; // "": none
} mg_bench_peer;

// Errors: MG_IO (no such program, script or folder), MG_UNSUPPORTED (absent), MG_CHILD (it says or does
// something else).
mg_err mg_bench_peer_open(mg_bench_peer *p, const char *python, const char *row, int threads) MG_MUST_USE;
mg_err mg_bench_peer_once(mg_bench_peer *p, double *value) MG_MUST_USE;
void   mg_bench_peer_close(mg_bench_peer *p); // a zeroed one: no effect
#endif
