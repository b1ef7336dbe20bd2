// reproduce.c - martingale reproduce: cells listed, run and published, whatever the grid.
#include <math.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/json.h"
#include "app/reproduce.h"
#include "core/file.h"
#include "core/log.h"
#include "core/thread.h"

#define ARENA_MAX ((size_t)16 << 30) // address space

static const mg_grid *const grids[] = {&mg_grid_bf16, &mg_grid_drpo, &mg_grid_gate, &mg_grid_offline_online, NULL};

static const mg_grid *find_grid(const char *name) {
    for (const mg_grid *const *g = grids; *g; g++)
        if (strcmp((*g)->name, name) == 0) return *g;
    return NULL;
}

// "bf16, drpo, ..."
static const char *grid_names(mg_arena *arena) {
    const char *all = grids[0]->name;
    for (const mg_grid *const *g = grids + 1; *g; g++) all = mg_path(arena, "%s, %s", all, (*g)->name);
    return all;
}

// An arm of a grid and the question that it belongs to; arm NULL: behind the last.
typedef struct place {
    const mg_question *const *question;
    const mg_arm             *arm;
} place;

static place first_arm(const mg_grid *g) { return (place){g->questions, (*g->questions)->arms}; }

static place next_arm(place at) {
    if ((++at.arm)->name) return at;
    at.arm = *++at.question ? (*at.question)->arms : NULL;
    return at;
}

static const char *cell_path(mg_cells *c, const mg_arm *a, int seed) {
    return mg_path(&c->arena, "%s/cells/%s-%d.json", c->folder, a->name, seed);
}

static int list(mg_cells *c, const mg_grid *g) {
    json_t *all = json_array();
    for (place at = first_arm(g); at.arm; at = next_arm(at))
        for (int seed = 1; seed <= at.arm->seeds; seed++) {
            const mg_arm *a     = at.arm;
            const bool    there = mg_file_exists(cell_path(c, a, seed));
            const char   *name  = mg_path(&c->arena, "%s-%d", a->name, seed);
            if (mg_json)
                json_array_append_new(all, json_pack("{s:s, s:s, s:i, s:b}", "cell", name, "arm", a->name,
                                                     "seed", seed, "done", there));
            else
                printf("%-28s %-5s %s\n", name, there ? "done" : "", a->meaning);
        }
    if (mg_json) return mg_exit_status(mg_json_print(all));
    json_decref(all);
    return MG_EXIT_DONE;
}

// The revision that the cell was made with, or "unknown" outside a checkout.
static const char *commit(mg_cells *c) {
    char  text[64] = "";
    FILE *git      = popen("git rev-parse HEAD 2>/dev/null", "r");
    if (git) {
        if (!fgets(text, sizeof text, git)) text[0] = 0;
        pclose(git);
    }
    text[strcspn(text, "\n")] = 0;
    return text[0] ? mg_arena_strdup(&c->arena, text) : "unknown";
}

// The processor's name, or "unknown" where the system does not tell.
static const char *machine(mg_cells *c) {
    char  line[512];
    FILE *cpus = fopen("/proc/cpuinfo", "r");
    char *name = NULL;
    while (cpus && !name && fgets(line, sizeof line, cpus))
        if (strncmp(line, "model name", 10) == 0) name = strstr(line, ": ");
    if (cpus) fclose(cpus);
    if (!name) return "unknown";
    name[strcspn(name, "\n")] = 0;
    return mg_arena_strdup(&c->arena, name + 2);
}

// 0 becomes the number that it stands for.
static mg_err count_threads(int64_t *threads) {
    mg_team *team;
    mg_err   err = mg_team_open(&team, (int)*threads);
    if (err) return err;
    *threads = mg_team_threads(team);
    mg_team_close(team);
    return MG_OK;
}

// A cell is a measurement: none is made over another.
static mg_err run_cell(mg_cells *c, const mg_grid *g, place at, int seed) {
    const mg_question *q      = *at.question;
    const mg_arm      *a      = at.arm;
    const char        *path   = cell_path(c, a, seed);
    const clock_t      began  = clock();
    json_t            *result = NULL;
    if (mg_file_exists(path)) return mg_fail(MG_BUSY, "%s is there already; remove it to run the cell anew", path);
    mg_err err = mg_folder_make(c->runs);
    if (!err) err = count_threads(&c->threads);
    if (!err) err = q->run(c, (int)(a - q->arms), seed, &result);
    if (err) return err;
    json_t *cell = json_pack("{s:s, s:s, s:i, s:s, s:s, s:I, s:f}", "name", g->name, "arm", a->name, "seed", seed,
                             "commit", commit(c), "machine", machine(c), "threads", (json_int_t)c->threads,
                             "processor_seconds", (double)(clock() - began) / CLOCKS_PER_SEC);
    json_object_update(cell, result);
    json_decref(result);
    err = mg_folder_make(mg_path(&c->arena, "%s/cells", c->folder));
    if (err)
        json_decref(cell);
    else
        err = mg_json_write(path, cell);
    return err ? err : mg_reproduce_publish(c->folder, g, &c->arena);
}

// The arm and seed of "ARM-SEED"; arm NULL: no such cell.
static place find_cell(const mg_grid *g, const char *id, int *seed) {
    place at = first_arm(g);
    for (; at.arm; at = next_arm(at)) {
        const mg_arm *a = at.arm;
        const size_t  n = strlen(a->name);
        char        *end;
        if (strncmp(id, a->name, n) || id[n] != '-') continue;
        const long x = strtol(id + n + 1, &end, 10);
        if (*end || end == id + n + 1 || x < 1 || x > a->seeds) continue;
        *seed = (int)x;
        break;
    }
    return at;
}

// Cells that are missing, by seed and then by arm, until the time is up.
static mg_err run_budget(mg_cells *c, const mg_grid *g, double seconds) {
    const double started = mg_clock_seconds();
    mg_err       err     = MG_OK;
    for (int seed = 1; seed <= MG_REPRODUCE_SEEDS_MAX && !err; seed++)
        for (place at = first_arm(g); at.arm && !err; at = next_arm(at)) {
            const mg_arm *a = at.arm;
            if (seed > a->seeds || mg_file_exists(cell_path(c, a, seed))) continue;
            if (mg_clock_seconds() - started > seconds) return MG_OK;
            mg_log(MG_LOG_INFO, "cell %s-%d", a->name, seed);
            err = run_cell(c, g, at, seed);
        }
    return err;
}

// "90m", "2h", "45s".
static mg_err parse_budget(const char *text, double *seconds) {
    char        *end;
    const double x    = strtod(text, &end);
    const double unit = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : 0;
    if (end == text || !(x > 0) || !isfinite(x) || unit == 0 || end[1])
        return mg_fail(MG_CONFIG, "--budget: found '%s', wanted a time such as 90m or 2h", text);
    *seconds = x * unit;
    return MG_OK;
}

static int help(const mg_option *options) {
    printf("usage: martingale reproduce NAME [--list | --cell ID | --budget TIME]\n\n"
           "The published claims as cells (arm, seed). Without an option: results.json and RESULTS.md from\n"
           "the cells that are there.\n\n");
    for (const mg_grid *const *g = grids; *g; g++) printf("  %-14s %s\n", (*g)->name, (*g)->summary);
    printf("\n");
    mg_args_help(options, stdout);
    return MG_EXIT_DONE;
}

static int run(int argc, char **argv) {
    const char *cell = NULL, *budget = NULL, *threads = NULL, *out = NULL;
    bool        do_list = false;
    mg_args     args;
    mg_cells    c       = {.data = "data/debian", .base = "models/synopsis-base"};
    double      seconds = 0;
    int         seed    = 0;
    const mg_option options[] = {
        {"list", NULL, &do_list, "print the cells, and which are done"},
        {"cell", &cell, NULL, "ID  run one cell, such as ppo-1"},
        {"budget", &budget, NULL, "TIME  run missing cells for so long: 45s, 90m or 2h"},
        {"data", &c.data, NULL, "FOLDER  pairs for drpo's synopses alone (default data/debian)"},
        {"base", &c.base, NULL, "FOLDER  starting policy of drpo's synopses and of bf16's ppo, no others (default "
                                "models/synopsis-base)"},
        {"threads", &threads, NULL, "N  worker threads (default: all)"},
        {"out", &out, NULL, "FOLDER  where cells/ lies (default repro/NAME)"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) return help(options);
    if (!err) err = mg_arena_init(&c.arena, "reproduce", ARENA_MAX);
    const mg_grid *g = !err && args.n_words == 1 ? find_grid(args.words[0]) : NULL;
    if (!err && !g)
        err = mg_fail(MG_CONFIG, "reproduce: found '%s', wanted one of %s",
                      args.n_words ? args.words[0] : "nothing", grid_names(&c.arena));
    if (!err && threads) err = mg_args_int("threads", threads, 0, 256, &c.threads);
    const place at = !err && cell ? find_cell(g, cell, &seed) : (place){0};
    if (!err && cell && !at.arm) err = mg_fail(MG_CONFIG, "--cell: found '%s'; --list names them", cell);
    if (!err && budget) err = parse_budget(budget, &seconds);
    if (!err) {
        c.folder = out ? out : mg_path(&c.arena, "repro/%s", g->name);
        c.runs   = mg_path(&c.arena, "runs/reproduce-%s", g->name);
    }
    int status = MG_EXIT_DONE;
    if (!err && do_list) status = list(&c, g);
    else if (!err && cell) err = run_cell(&c, g, at, seed);
    else if (!err && budget) err = run_budget(&c, g, seconds);
    else if (!err) err = mg_reproduce_publish(c.folder, g, &c.arena);
    mg_arena_release(&c.arena);
    return err ? mg_exit_status(err) : status;
}

const mg_verb mg_verb_reproduce = {"reproduce", "NAME [--list | --cell ID | --budget TIME]",
                                   "the published claims, cell by cell", run};
