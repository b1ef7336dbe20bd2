// doctor.c - martingale doctor: what is here, what is missing, and what it would cost.
//
// The processor's features are those that Linux lists in /proc/cpuinfo. Nothing leaves this machine
// unless --network asks for it.
#include <sched.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <openssl/crypto.h>
#include <pcre2.h>
#include <sqlite3.h>
#include <utf8proc.h>
#include <yaml.h>

#include "app/app.h"
#include "app/json.h"
#include "core/file.h"
#include "core/log.h"
#include "ops/ops.h"
#include "store/hdf5.h"
#include "train/settings.h"
#include "worlds/robots.h"

#define GIB          (1024.0 * 1024 * 1024)
#define MEMORY_MIN   1.0 // GiB: a demo takes 0.7
#define DISK_MIN     1.0 // GiB: runs, checkpoints, the package index
#define RATE_SECONDS 0.5 // measured for one thread and for all
#define ROWS         512 // of the product that is measured: a batch of tokens
#define WIDTH        1024
#define FINDINGS_MAX 48
#define TEXT_MAX     256
#define CPUINFO_MAX  65536

typedef enum state { FINE, NOTE, MISSING } state;

static const char *const state_name[] = {[FINE] = "ok", [NOTE] = "note", [MISSING] = "missing"};

typedef struct finding {
    state       state;
    const char *topic, *name; // static
    char        text[TEXT_MAX];
    const char *command;      // static; what would change it, or NULL
} finding;

typedef struct doctor {
    finding all[FINDINGS_MAX];
    int     n;
    double  gflops[2]; // f32, with one thread and with all
    int     threads;
} doctor;

static void MG_PRINTF(6, 7) find(doctor *d, state s, const char *topic, const char *name,
                                 const char *command, const char *fmt, ...) {
    MG_ASSERT(d->n < FINDINGS_MAX);
    finding *f = &d->all[d->n++];
    va_list  args;
    *f = (finding){.state = s, .topic = topic, .name = name, .command = command};
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
}

// ---- The machine

// Whether the first processor has the feature.
static bool has(const char *flags, const char *feature) {
    const size_t n = strlen(feature);
    for (const char *at = flags; (at = strstr(at, feature)); at += n)
        if (at > flags && at[-1] == ' ' && (at[n] == ' ' || at[n] == '\n' || !at[n])) return true;
    return false;
}

// The gains in half precision are oneDNN's on a Zen 5 (930 against 480 GFLOP/s with two cores) and
// on an Intel with AMX (2,100 to 3,000 against 370).
static void processor(doctor *d) {
    static const struct {
        const char *flag, *name, *worth;
    } features[] = {
        {"avx2", "AVX2", "8 numbers an instruction; without it products are many times slower"},
        {"avx512f", "AVX-512",
         "16 numbers an instruction, and a row's bits that do not depend on its batch"},
        {"avx512_bf16", "AVX512-BF16",
         "twice the products in half precision, which nothing here uses yet"},
        {"amx_bf16", "AMX",
         "6 to 8 times the products in half precision, which nothing here uses yet"},
    };
    static char text[CPUINFO_MAX];
    FILE       *f = fopen("/proc/cpuinfo", "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n]     = 0;
    char *flags = strstr(text, "\nflags");
    char *end   = flags ? strchr(flags + 1, '\n') : NULL;
    if (end) *end = 0;
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const bool  there  = flags && has(flags, features[i].flag);
        const state absent = i == 0 ? MISSING : NOTE;
        find(d, there ? FINE : absent, "processor", features[i].name, NULL, "%s: %s",
             there ? "yes" : "no", features[i].worth);
    }
}

static double available_gib(void) {
    char   line[128];
    double kib = 0;
    FILE  *f   = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf kB", &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024 / GIB;
}

static void machine(doctor *d) {
    cpu_set_t      mask;
    struct statvfs disk;
    const double   memory = available_gib();
    const int      cores  = sched_getaffinity(0, sizeof mask, &mask) ? 1 : CPU_COUNT(&mask);
    find(d, FINE, "machine", "cores", NULL, "%d usable of %ld", cores,
         sysconf(_SC_NPROCESSORS_ONLN));
    find(d, memory < MEMORY_MIN ? MISSING : FINE, "machine", "memory", NULL,
         "%.1f GiB free, at least %.0f wanted", memory, MEMORY_MIN);
    const bool   known = statvfs(".", &disk) == 0;
    const double space = known ? (double)disk.f_bavail * (double)disk.f_frsize / GIB : 0;
    find(d, space < DISK_MIN ? MISSING : FINE, "machine", "disk", NULL,
         "%.1f GiB free here, at least %.0f wanted", space, DISK_MIN);
}

// ---- Libraries and files

static void libraries(doctor *d) {
    char pcre2[64] = "?";
    int  major, minor, patch, hdf5[3];
    mg_hdf5_version(hdf5);
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    yaml_get_version(&major, &minor, &patch);
    find(d, FINE, "library", "oneDNN", NULL, "%s", mg_linear_engine());
    find(d, FINE, "library", "SQLite", NULL, "%s", sqlite3_libversion());
    find(d, FINE, "library", "OpenSSL", NULL, "%s", OpenSSL_version(OPENSSL_VERSION));
    find(d, FINE, "library", "HDF5", NULL, "%d.%d.%d", hdf5[0], hdf5[1], hdf5[2]);
    find(d, FINE, "library", "jansson", NULL, "%s", jansson_version_str());
    find(d, FINE, "library", "libyaml", NULL, "%d.%d.%d", major, minor, patch);
    find(d, FINE, "library", "PCRE2", NULL, "%s", pcre2);
    find(d, FINE, "library", "utf8proc", NULL, "%s", utf8proc_version());
}

// Who needs no robot needs no MuJoCo.
static void robots(doctor *d) {
    static const char *const names[] = {"hopper", "half-cheetah", "walker2d", "ant"};
    const char *const        get     = "tools/mujoco.sh && make build";
    mg_mujoco                mujoco  = {0};
    mg_err                   err     = mg_mujoco_open(&mujoco, NULL);
    if (err) {
        const bool other = err == MG_MISMATCH; // a version that this was not built with
        find(d, NOTE, "library", "MuJoCo", get,
             "%s: " MG_ROBOT_WORLDS " will not run, all else will",
             other ? mg_err_detail() : "not here");
        return;
    }
    const int v = mujoco.mj_version(); // 4000000 of 4.0.0
    find(d, FINE, "library", "MuJoCo", NULL, "%d.%d.%d in %s", v / 1000000, v / 1000 % 1000, v % 1000,
         mg_mujoco_folder(NULL));
    mg_mujoco_close(&mujoco);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mg_robot_world w = {0};
        err              = MG_OK;
        for (int version = 4; version <= 5 && !err; version++) {
            err = mg_robot_open(&w, names[i], version, NULL, NULL);
            mg_robot_close(&w);
        }
        find(d, err ? NOTE : FINE, "robot", names[i], err ? get : NULL, "%s",
             err ? mg_err_detail() : "there, v4 and v5");
    }
}

static void files(doctor *d) {
    const bool model = mg_file_exists("models/synopsis-base/config.json");
    const bool data  = mg_file_exists("data/debian/train.jsonl");
    find(d, model ? FINE : MISSING, "file", "models/synopsis-base",
         model ? NULL
               : "git checkout -- models; or train examples/base.yaml, then export runs/base --out "
                 "models/synopsis-base --dtype bf16",
         model ? "there" : "not here: part of the repository; made anew in half an hour");
    find(d, data ? FINE : NOTE, "file", "data/debian",
         data ? NULL : "build/martingale import debian --out data/debian",
         data ? "there" : "not here: 30 MB from this machine's Debian mirror, about a minute");
}

// apt's own way to the first mirror that it is configured for.
#define APT_PROBE                                                                               \
    "uri=$(apt-get indextargets --format '$(REPO_URI)dists/$(RELEASE)/InRelease' "              \
    "'Created-By: Packages' 2>/dev/null | head -n 1); file=$(mktemp) || exit 1; "               \
    "/usr/lib/apt/apt-helper -o Acquire::Retries=0 download-file \"${uri:?}\" \"$file\" "       \
    ">/dev/null 2>&1; status=$?; rm -f \"$file\"; exit $status"

static void apt(doctor *d, bool network) {
    const bool there = system("command -v apt-get >/dev/null 2>&1") == 0;
    if (!there)
        find(d, NOTE, "network", "apt", NULL, "no apt-get here: import debian needs --corpus FILE");
    else if (!network)
        find(d, NOTE, "network", "apt", "build/martingale doctor --network",
             "there; its mirror was not asked");
    else if (system(APT_PROBE) == 0)
        find(d, FINE, "network", "apt", NULL, "its mirror answers");
    else
        find(d, MISSING, "network", "apt", NULL,
             "its mirror does not answer: import debian needs --corpus FILE");
}

// ---- Speed

// GFLOP/s of x W^T in f32, through the operation that networks use.
static double rate(mg_team *team, mg_arena *arena, mg_tensor *x, mg_tensor *W) {
    const size_t mark = mg_arena_mark(arena);
    int64_t      n = -1; // the first product packs the weights and is not counted
    double       begin = 0, seconds = 0;
    while (seconds < RATE_SECONDS) {
        mg_tape tape = mg_tape_make(arena, team, false);
        mg_linear(&tape, x, W, NULL);
        mg_arena_reset(arena, mark);
        if (++n == 0) begin = mg_clock_seconds();
        seconds = mg_clock_seconds() - begin;
        if (n == 0) seconds = 0;
    }
    return 2.0 * ROWS * WIDTH * WIDTH * (double)n / seconds * 1e-9;
}

static mg_err speed(doctor *d) {
    mg_arena arena;
    mg_err   err = mg_arena_init(&arena, "speed", (size_t)64 << 20);
    if (err) return err;
    mg_tensor x = {.dtype = MG_F32, .rows = ROWS, .cols = WIDTH,
                   .data = MG_NEW(&arena, float, ROWS * WIDTH)};
    mg_tensor W = {.dtype = MG_F32, .rows = WIDTH, .cols = WIDTH,
                   .data = MG_NEW(&arena, float, WIDTH * WIDTH)};
    for (int64_t i = 0; i < ROWS * WIDTH; i++) mg_f32(&x)[i] = (float)(i % 7) / 7;
    for (int64_t i = 0; i < WIDTH * WIDTH; i++) mg_f32(&W)[i] = (float)(i % 5) / 5;
    for (int k = 0; k < 2 && !err; k++) {
        mg_team *team = NULL;
        err           = mg_team_open(&team, k == 0 ? 1 : 0);
        if (err) break;
        d->threads   = mg_team_threads(team);
        d->gflops[k] = rate(team, &arena, &x, &W);
        mg_team_close(team);
    }
    mg_linear_unpack(&W);
    mg_arena_release(&arena);
    if (!err)
        find(d, FINE, "speed", "f32 products", NULL, "%.0f GFLOP/s with 1 thread, %.0f with %d",
             d->gflops[0], d->gflops[1], d->threads);
    return err;
}

// ---- Telling it

static mg_err print(const doctor *d, bool well) {
    if (!mg_json) {
        for (int i = 0; i < d->n; i++) {
            const finding *f = &d->all[i];
            printf("%-8s%-10s%-22s%s\n", state_name[f->state], f->topic, f->name, f->text);
            if (f->command) printf("%40s%s\n", "", f->command);
        }
        printf(well ? "nothing that is needed is missing\n"
                    : "something that is needed is missing\n");
        return MG_OK;
    }
    json_t *all = json_array();
    for (int i = 0; i < d->n; i++) {
        const finding *f = &d->all[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:s*}", "state",
                                             state_name[f->state], "topic", f->topic, "name",
                                             f->name, "text", f->text, "command", f->command));
    }
    return mg_json_print(json_pack("{s:b, s:o, s:{s:i, s:f, s:f}}", "well", well, "findings", all, "f32",
                            "threads", d->threads, "gflops_1", d->gflops[0], "gflops_all",
                            d->gflops[1]));
}

static int run(int argc, char **argv) {
    bool            network = false, well = true;
    mg_args         args;
    static doctor   d;
    const mg_option options[] = {{"network", NULL, &network, "ask apt's mirror whether it answers"},
                                 {0}};
    mg_err          err       = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale doctor [--network]\n\n"
               "What is installed, what is missing, what it would cost, and how fast products\n"
               "are here. Exit status 1: something that is needed is missing. Nothing leaves this\n"
               "machine without --network.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words)
        err = mg_fail(MG_CONFIG, "doctor: found '%s', wanted options only", args.words[0]);
    if (err) return mg_exit_status(err);
    processor(&d);
    machine(&d);
    libraries(&d);
    robots(&d);
    files(&d);
    apt(&d, network);
    err = speed(&d);
    if (err) return mg_exit_status(err);
    for (int i = 0; i < d.n; i++) well = well && d.all[i].state != MISSING;
    err = print(&d, well);
    return err ? mg_exit_status(err) : well ? MG_EXIT_DONE : MG_EXIT_NO;
}

const mg_verb mg_verb_doctor = {"doctor", "", "what is here, what is missing, what it would cost",
                                run};
