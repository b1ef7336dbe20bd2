// vectors.c - D4RL's and Minari's layouts, one into the other.
#include "app/vectors.h"

#include <string.h>

#include "algos/spaces.h"
#include "app/app.h"
#include "app/json.h"
#include "core/file.h"
#include "core/log.h"
#include "store/logged.h"

#define ARENA_MAX ((size_t)64 << 30) // address space

static mg_err report(const char *source, const char *out, const char *id, const mg_logged *l) {
    const long long rows = l->rows, episodes = mg_logged_episodes(l);
    if (mg_json)
        return mg_json_print(json_pack("{s:s, s:s, s:s*, s:s?, s:I, s:I, s:I, s:I}", "source", source, "out", out,
                                       "id", id, "world", l->world, "rows", (json_int_t)rows, "episodes",
                                       (json_int_t)episodes, "obs", (json_int_t)l->obs, "act", (json_int_t)l->act));
    printf("%lld rows of %lld episodes (observations of %lld numbers, actions of %lld) in %s%s%s\n", rows, episodes,
           (long long)l->obs, (long long)l->act, out, id ? " as " : "", id ? id : "");
    return MG_OK;
}

// The world's class in a version that has vectors of these sizes, or in the newest; NULL: no such world of vectors.
static const mg_env_class *class_of(const char *name, const mg_logged *l, bool *fits) {
    const mg_env_class *class = NULL;
    *fits = false;
    for (int version = 4; version <= 5 && !*fits; version++) {
        class = mg_app_world_named(name, version);
        if (!class || !mg_spaces_vectors(class) || class->action.kind != MG_SPACE_VECTOR) return NULL;
        *fits = class->observation.n == l->obs && class->action.n == l->act;
    }
    return class;
}

mg_err mg_vectors_world(const char *source, const mg_logged *l, const char *asked, const char *by,
                        const mg_env_class **class) {
    const char *name = asked ? asked : l->world;
    bool        fits = false;
    *class = name ? class_of(name, l, &fits) : NULL;
    if (name && !asked && !*class && mg_app_world_named(name, 5))
        return mg_fail(MG_CORRUPT, "%s: %s: found '%s', whose actions are no vectors, wanted one of " MG_VECTORS_WORLDS
                       " or a stranger's", source, l->world_key, name);
    if (asked && !*class)
        return mg_fail(MG_CONFIG, "%s: found '%s', wanted one of " MG_VECTORS_WORLDS, by, asked);
    if (asked && l->world && strcmp(l->world, asked) != 0)
        return mg_fail(MG_CONFIG, "%s: %s: found '%s', wanted '%s', as %s says", source, l->world_key, l->world, asked,
                       by);
    if (!*class || fits) return MG_OK;
    return mg_fail(asked ? MG_CONFIG : MG_CORRUPT, "%s: observations: found %lld numbers, and actions of %lld, wanted "
                                                   "%lld and %lld: those of %s, as %s says", source, (long long)l->obs,
                   (long long)l->act, (long long)(*class)->observation.n, (long long)(*class)->action.n, name,
                   asked ? by : l->world_key);
}

mg_err mg_vectors_import(const char *source, const char *out, const char *world) {
    const mg_env_class *class;
    mg_arena            arena;
    mg_logged           l;
    if (!out) return mg_fail(MG_CONFIG, "--out: found nothing, wanted a file to write to, such as sets/x.hdf5");
    if (mg_file_exists(out)) return mg_fail(MG_BUSY, "%s is there already; remove it or name another file", out);
    mg_err err = mg_arena_init(&arena, "import", ARENA_MAX);
    if (err) return err;
    err = mg_logged_read(source, &arena, &l);
    if (!err) err = mg_vectors_world(source, &l, world, "--world", &class);
    if (!err && class) l.world = class->name;
    if (!err) err = mg_parent_make(out);
    if (!err) err = mg_d4rl_write(out, &l);
    if (!err && l.left) mg_log(MG_LOG_WARN, "%s: left behind, for which rows have no place: %s", source, l.left);
    if (!err) err = report(source, out, NULL, &l);
    mg_arena_release(&arena);
    return err;
}

// "martingale/hopper-medium-v0" of sets/hopper-medium.hdf5; what an id cannot hold becomes a dash.
static const char *id_of(const char *source, mg_arena *arena) {
    const char *slash = strrchr(source, '/'), *name = slash && slash[1] ? slash + 1 : source;
    const char *dot   = strrchr(name, '.');
    const int   n     = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    char       *id    = mg_path(arena, "martingale/%.*s-v0", n, name);
    for (char *c = id + strlen("martingale/"); *c; c++)
        if (!strchr("-_", *c) && !(*c >= '0' && *c <= '9') && !((*c | 32) >= 'a' && (*c | 32) <= 'z')) *c = '-';
    return id;
}

mg_err mg_vectors_export(const char *source, const char *folder, const char *id) {
    mg_arena  arena;
    mg_logged l;
    mg_err    err = mg_arena_init(&arena, "export", ARENA_MAX);
    if (err) return err;
    err = mg_logged_read(source, &arena, &l);
    if (!err && !id) id = id_of(source, &arena);
    if (!err) err = mg_minari_write(folder, id, &l, &arena);
    if (err == MG_UNSUPPORTED || err == MG_MISMATCH) err = mg_fail(err, "%s: %s", source, mg_err_detail());
    if (!err) err = report(source, folder, id, &l);
    mg_arena_release(&arena);
    return err;
}
