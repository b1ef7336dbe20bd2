// train.c - martingale train: any algorithm, from a configuration.
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/app.h"
#include "app/json.h"
#include "core/file.h"

static int help(const char *algo_name) {
    const mg_algo *algo = algo_name ? mg_algo_find(algo_name) : NULL;
    mg_arena       arena;
    if (algo_name && !algo) {
        char names[256];
        mg_algo_names(false, names, sizeof names);
        return mg_exit_status(mg_fail(MG_CONFIG, "train --help: found '%s', wanted one of %s",
                                      algo_name, names));
    }
    if (mg_arena_init(&arena, "help", 1 << 20)) return MG_EXIT_BROKEN;
    printf("usage: martingale train [CONFIG.yaml] [--dry-run] [--key value ...]\n"
           "       martingale train RUN --resume\n\n"
           "Trains what the configuration says. A key on the command line wins over the file; keys of\n"
           "a section are written with a dot: --ppo.lr 1e-4. `train --help ALGO` lists an algorithm's\n"
           "own keys.\n\n  --resume   go on with the run in its folder; RUN is that folder, or its run.yaml\n"
           "  --dry-run  print the resolved configuration and stop; in a world of vectors without the\n"
           "             keys of language models\n\n");
    if (algo) {
        printf("%s: %s%s%s\n\n", algo->name, algo->summary, algo->citation[0] ? "; " : "", algo->citation);
        mg_settings_help(algo, stdout, &arena);
    } else {
        mg_settings_help(NULL, stdout, &arena);
        printf("\nalgorithms:\n");
        for (const mg_algo *const *a = mg_algos; *a; a++)
            printf("  %-14s %s\n", (*a)->name, (*a)->summary);
    }
    mg_arena_release(&arena);
    return MG_EXIT_DONE;
}

static json_t *value_of(const mg_field *f, const void *values) {
    const void *at = (const char *)values + f->offset;
    switch (f->kind) {
    case MG_FIELD_int: return json_integer(*(const int64_t *)at);
    case MG_FIELD_real: return json_real(*(const double *)at);
    case MG_FIELD_flag: return json_boolean(*(const bool *)at);
    case MG_FIELD_text:
    case MG_FIELD_name: break;
    }
    return json_string(*(const char *const *)at);
}

static json_t *settings_json(const mg_section *sections) {
    json_t *root = json_object();
    for (int i = 0; i < MG_SECTIONS; i++) {
        const mg_section *section = &sections[i];
        json_t           *keys    = section->name[0] ? json_object() : json_incref(root);
        for (const mg_field *f = section->fields; f->name; f++)
            json_object_set_new(keys, f->name, value_of(f, section->values));
        if (section->name[0])
            json_object_set_new(root, section->name, keys);
        else
            json_decref(keys);
    }
    return root;
}

static mg_err dry_run(const mg_train_options *o) {
    mg_arena    arena;
    mg_settings s;
    mg_section  shown[MG_SECTIONS];
    mg_err      err = mg_arena_init(&arena, "settings", (size_t)64 << 20);
    if (err) return err;
    err = mg_settings_read(&s, o->config, o->overrides, o->n_overrides, &arena);
    if (!err) mg_settings_shown(&s, mg_app_world_class(&s), &arena, shown);
    if (!err && mg_json) err = mg_json_print(settings_json(shown));
    if (!err && !mg_json) mg_config_write(shown, MG_SECTIONS, stdout);
    mg_arena_release(&arena);
    return err;
}

// Which policy is in model/, where it is not that of the last update.
static void print_model(const mg_train_result *r) {
    printf("model    %s/model", r->folder);
    if (r->model_behind < r->updates)
        printf(", the policy behind update %lld%s: %s", (long long)r->model_behind,
               r->model_behind == r->guard_behind ? ", at which the guard began" : "",
               r->best ? "the best that the guard saw" : "the guard went back to it");
    putchar('\n');
}

static void print_result(const mg_train_result *r) {
    const bool ended = r->updates < r->planned;
    printf("run      %s\nupdates  %lld", r->folder, (long long)r->updates);
    if (ended) printf(" of %lld", (long long)r->planned);
    printf(" in %.0f s%s\n", r->seconds, ended ? "; the guard ended the run" : "");
    if (r->verdict)
        printf("guard    %lld rollback%s; verdict: %s\n", (long long)r->rollbacks, r->rollbacks == 1 ? "" : "s",
               r->verdict);
    if (r->last.n > 0 && r->model_behind < r->updates)
        printf("metrics of update %lld, whose policy is not that of the model:\n", (long long)r->updates);
    for (int i = 0; i < r->last.n; i++)
        printf("%-20s %.6g\n", r->last.rows[i].name, r->last.rows[i].value);
    print_model(r);
    printf("report   %s/report.html\n", r->folder);
}

static void print_json(const mg_train_result *r) {
    json_t *metrics = json_object();
    for (int i = 0; i < r->last.n; i++)
        if (isfinite(r->last.rows[i].value))
            json_object_set_new(metrics, r->last.rows[i].name, json_real(r->last.rows[i].value));
    json_t *root = json_pack("{s:s, s:I, s:I, s:b, s:I, s:f, s:o}", "run", r->folder, "updates",
                             (json_int_t)r->updates, "updates_planned", (json_int_t)r->planned, "ended_by_guard",
                             r->updates < r->planned, "model_update", (json_int_t)r->model_behind, "seconds",
                             r->seconds, "metrics", metrics);
    if (r->verdict)
        json_object_set_new(root, "guard", json_pack("{s:I, s:s}", "rollbacks", (json_int_t)r->rollbacks, "verdict",
                                                     r->verdict));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(root);
}

typedef struct run_folder {
    char path[PATH_MAX], config[PATH_MAX + 16];
} run_folder;

// A run's folder stands for the run.yaml in it, and its run goes on there, wherever it was begun.
static mg_err of_folder(mg_args *args, bool resume, run_folder *f) {
    struct stat st;
    if (stat(args->words[0], &st) != 0 || !S_ISDIR(st.st_mode)) return MG_OK;
    size_t n = strlen(args->words[0]);
    while (n > 1 && args->words[0][n - 1] == '/') n--;
    snprintf(f->path, sizeof f->path, "%.*s", (int)n, args->words[0]);
    snprintf(f->config, sizeof f->config, "%s/run.yaml", f->path);
    if (!mg_file_exists(f->config))
        return mg_fail(MG_CONFIG, "%s: found a folder without run.yaml, wanted a configuration file or a run; one that "
                                  "was stopped before it had any begins with the command that it began with", f->path);
    if (!resume)
        return mg_fail(MG_CONFIG, "%s: found a run, wanted a configuration file; to go on with it: %s train %s "
                                  "--resume", f->path, mg_program, f->path);
    bool told = false;
    for (int i = 0; i < args->n_overrides; i++) told = told || strcmp(args->overrides[i].key, "out") == 0;
    if (!told) args->overrides[args->n_overrides++] = (mg_override){"out", f->path};
    args->words[0] = f->config;
    return MG_OK;
}

static int run(int argc, char **argv) {
    run_folder       folder;
    bool             resume = false, dry = false;
    mg_args          args;
    const mg_option  options[] = {{"resume", NULL, &resume, ""}, {"dry-run", NULL, &dry, ""}, {0}};
    mg_train_result  result;
    mg_err           err = mg_args_parse(&args, argc, argv, options, true);
    // `train CONFIG.yaml --help` asks about the verb, `train --help ppo` about an algorithm.
    const bool about = args.n_words && !mg_file_exists(args.words[0]);
    if (!err && args.help) return help(about ? args.words[0] : NULL);
    if (!err && args.n_words > 1)
        err = mg_fail(MG_CONFIG, "train: found %d files, wanted one configuration", args.n_words);
    if (!err && args.n_words == 0 && args.n_overrides == 0)
        err = mg_fail(MG_CONFIG, "train: found no configuration; try examples/ppo.yaml, or --help");
    if (!err && args.n_words && !mg_file_exists(args.words[0]))
        err = mg_fail(MG_CONFIG, "%s: found nothing, wanted a configuration file", args.words[0]);
    if (!err && args.n_words) err = of_folder(&args, resume || dry, &folder);
    const mg_train_options o = {
        .config = args.n_words ? args.words[0] : NULL, .overrides = args.overrides,
        .n_overrides = args.n_overrides, .resume = resume, .make_world = mg_app_world,
        .world_class = mg_app_world_class, .end_world = mg_app_world_free,
        .stop = &mg_stop, .program = mg_program, .wall_time = (double)time(NULL)};
    if (!err && dry) return mg_exit_status(dry_run(&o));
    if (!err) err = mg_train(&o, &result);
    if (!err) (mg_json ? print_json : print_result)(&result);
    return mg_exit_status(err);
}

const mg_verb mg_verb_train = {"train", "[CONFIG.yaml] [--key value ...]",
                               "train a policy or a reward model", run};
