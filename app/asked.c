// asked.c - options of judging that follow from runs.
#include "app/asked.h"

#include <string.h>

#include "core/file.h"
#include "core/log.h"

#define ARENA_MAX ((size_t)64 << 20) // address space

// What one run says.
typedef struct voice {
    const char *path; // of its run.yaml; NULL: no run
    const char *template;
    int64_t     prompt_max, response_max;
    double      temperature; // -1: its algorithm does not sample
} voice;

double mg_asked_temperature(const mg_settings *s) {
    for (const mg_field *f = s->algo->fields; f->name; f++)
        if (f->kind == MG_FIELD_real && strcmp(f->name, "temperature") == 0)
            return *(const double *)((const char *)s->algo_config + f->offset);
    return -1;
}

// RUN of RUN/model and of RUN/checkpoints/000123, told by these names alone: a run.yaml that merely lies
// above a model is somebody else's. Anything else is itself.
static const char *run_of(const char *policy, mg_arena *arena) {
    char *path = mg_arena_strdup(arena, policy), *slash;
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = 0;
    slash = strrchr(path, '/');
    if (strcmp(slash ? slash + 1 : path, "model") == 0) return mg_path(arena, "%s/..", path);
    if (!slash) return path;
    const char *above = mg_path(arena, "%.*s", (int)(slash - path), path);
    const char *name  = strrchr(above, '/');
    return strcmp(name ? name + 1 : above, "checkpoints") ? path : mg_path(arena, "%s/..", above);
}

const char *mg_asked_run(const char *policy, mg_arena *arena) {
    const char *path = mg_path(arena, "%s/run.yaml", run_of(policy, arena));
    return mg_file_exists(path) ? path : NULL;
}

static mg_err listen(const char *policy, mg_arena *arena, voice *out) {
    *out = (voice){.path = mg_asked_run(policy, arena)};
    if (!out->path) return MG_OK;
    mg_settings s;
    mg_err      err = mg_settings_read(&s, out->path, NULL, 0, arena);
    if (err) return err;
    const bool process = s.environment.command[0] != 0;
    if (process || strcmp(s.run.world, "synopsis"))
        return mg_fail(MG_CONFIG, "%s acts in %s; eval and compare know synopsis alone, rollout judges it", policy,
                       process ? s.environment.command : s.run.world);
    out->template   = s.run.template;
    out->prompt_max = s.run.prompt_max, out->response_max = s.run.response_max;
    out->temperature = mg_asked_temperature(&s);
    return MG_OK;
}

static mg_err differ(const char *option, const char *a, const char *of_a, const char *b,
                     const char *of_b) {
    return mg_fail(MG_CONFIG, "--%s: found nothing, wanted a value: %s says '%s', %s says '%s', and "
                              "both policies are to be asked alike", option, of_a, a, of_b, b);
}

static const char *number(mg_arena *arena, double x) { return mg_path(arena, "%.15g", x); }

// Joins what another run says to what the first ones did.
static mg_err join(const mg_asked *a, const voice *v, mg_arena *arena, voice *all) {
    if (!v->path) return MG_OK;
    if (!all->path) {
        *all = *v;
        return MG_OK;
    }
    if (!a->template && strcmp(all->template, v->template))
        return differ("template", all->template, all->path, v->template, v->path);
    const struct {
        const char *name, *said;
        double      one, other;
    } numbers[] = {
        {"prompt-max", a->prompt_max, (double)all->prompt_max, (double)v->prompt_max},
        {"response-max", a->response_max, (double)all->response_max, (double)v->response_max},
        {"temperature", a->temperature, all->temperature, v->temperature},
    };
    for (int i = 0; i < 3; i++)
        if (!numbers[i].said && numbers[i].one >= 0 && numbers[i].other >= 0 &&
            numbers[i].one != numbers[i].other)
            return differ(numbers[i].name, number(arena, numbers[i].one), all->path,
                          number(arena, numbers[i].other), v->path);
    if (all->temperature < 0) all->temperature = v->temperature;
    return MG_OK;
}

static mg_err read_options(const mg_asked *a, mg_panel_options *o) {
    mg_err err = MG_OK;
    if (a->template) o->template = a->template;
    if (a->prompt_max) err = mg_args_int("prompt-max", a->prompt_max, 0, 1000000, &o->prompt_max);
    if (!err && a->response_max)
        err = mg_args_int("response-max", a->response_max, 1, 100000, &o->response_max);
    if (!err && a->temperature)
        err = mg_args_real("temperature", a->temperature, 0, 100, &o->temperature);
    return err;
}

mg_err mg_asked_resolve(mg_asked *a, const char *const *policies, int n, mg_panel_options *o) {
    voice  v, all = {.temperature = -1};
    mg_err err = mg_arena_init(&a->arena, "asked", ARENA_MAX);
    for (int i = 0; i < n && !err; i++) {
        err = listen(policies[i], &a->arena, &v);
        if (!err) err = join(a, &v, &a->arena, &all);
    }
    if (err) return err;
    if (all.path) {
        o->template = all.template;
        o->prompt_max = all.prompt_max, o->response_max = all.response_max;
        if (all.temperature >= 0) o->temperature = all.temperature;
    }
    err = read_options(a, o);
    if (!err && all.path)
        mg_log(MG_LOG_INFO, "asked as %s says, where no option does: prompt_max %lld, response_max "
                            "%lld, temperature %g", all.path, (long long)o->prompt_max,
               (long long)o->response_max, o->temperature);
    return err;
}

void mg_asked_release(mg_asked *a) {
    mg_arena_release(&a->arena);
    *a = (mg_asked){0};
}
