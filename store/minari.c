// minari.c - Minari's layout, read: episodes put one after the other.
#include <jansson.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "store/hdf5.h"
#include "store/logged.h"

#define LEFT_MAX 1024 // bytes of names that are listed

static const char *key_of(int64_t episode, const char *name, char key[64]) {
    snprintf(key, 64, "episode_%lld%s%s", (long long)episode, name[0] ? "/" : "", name);
    return key;
}

// How many rows an array of an episode has; refused where it is not `wanted` (-1: any).
static mg_err rows_of(const mg_hdf5 *h, int64_t episode, const char *name, mg_hdf5_kind kind, int64_t wanted,
                      int64_t *rows, int64_t *width) {
    char   key[64];
    mg_err err = mg_hdf5_shape(h, key_of(episode, name, key), kind, rows, width);
    if (err || wanted < 0 || *rows == wanted) return err;
    return mg_fail(MG_CORRUPT, "%s: %s: found %lld rows, wanted %lld", h->path, key, (long long)*rows,
                   (long long)wanted);
}

// All episodes have vectors of the same sizes.
static mg_err same_width(const mg_hdf5 *h, int64_t episode, const char *name, int64_t found, int64_t *wanted) {
    char key[64];
    if (episode == 0) *wanted = found;
    if (found == *wanted) return MG_OK;
    return mg_fail(MG_CORRUPT, "%s: %s: found rows of %lld, wanted %lld, as episode_0 has", h->path,
                   key_of(episode, name, key), (long long)found, (long long)*wanted);
}

// Looks at one episode's shapes and adds its steps to l->rows.
static mg_err measure(const mg_hdf5 *h, int64_t episode, mg_logged *l) {
    int64_t steps, n, obs, act, one;
    mg_err  err = rows_of(h, episode, "rewards", MG_HDF5_NUMBERS, -1, &steps, &one);
    if (!err) err = rows_of(h, episode, "observations", MG_HDF5_VECTORS, steps + 1, &n, &obs);
    if (!err) err = same_width(h, episode, "observations", obs, &l->obs);
    if (!err) err = rows_of(h, episode, "actions", MG_HDF5_VECTORS, steps, &n, &act);
    if (!err) err = same_width(h, episode, "actions", act, &l->act);
    if (!err) err = rows_of(h, episode, "terminations", MG_HDF5_FLAGS, steps, &n, &one);
    if (!err) err = rows_of(h, episode, "truncations", MG_HDF5_FLAGS, steps, &n, &one);
    int64_t said;
    char    key[64];
    if (!err && mg_hdf5_count(h, key_of(episode, "", key), "total_steps", &said) && said != steps)
        err = mg_fail(MG_CORRUPT, "%s: %s: total_steps: found %lld, wanted %lld, as many rows as there are", h->path,
                      key, (long long)said, (long long)steps);
    if (!err && (l->rows += steps) > MG_HDF5_ROWS_MAX)
        err = mg_fail(MG_LIMIT, "%s: found more than %lld steps in all", h->path, (long long)MG_HDF5_ROWS_MAX);
    return err;
}

static mg_err reserve(const mg_hdf5 *h, mg_arena *arena, mg_logged *l) {
    const size_t n = (size_t)l->rows, obs = sizeof(float) * (size_t)l->obs, act = sizeof(float) * (size_t)l->act;
    const size_t size = (n + 1) * (2 * obs + act + sizeof(float) + 2) + 6 * 64; // below 2^52
    if (size > arena->size_max - arena->used)
        return mg_fail(MG_LIMIT, "%s: found %zu bytes, wanted at most %zu", h->path, size,
                       arena->size_max - arena->used);
    l->observation = mg_arena_alloc_raw(arena, (n + 1) * obs); // a row more: see read_episode
    l->next        = mg_arena_alloc_raw(arena, n * obs);
    l->action      = mg_arena_alloc_raw(arena, n * act);
    l->reward      = mg_arena_alloc_raw(arena, n * sizeof(float));
    l->terminal    = mg_arena_alloc_raw(arena, n);
    l->timeout     = mg_arena_alloc_raw(arena, n);
    return MG_OK;
}

// An episode's rows from row `at` on. Its last observation lies where the next episode's first will come.
static mg_err read_episode(const mg_hdf5 *h, int64_t episode, mg_logged *l, int64_t *at) {
    char    key[64];
    int64_t n, one;
    mg_err  err = rows_of(h, episode, "rewards", MG_HDF5_NUMBERS, -1, &n, &one);
    if (err) return err;
    float *observation = l->observation + *at * l->obs;
    err = mg_hdf5_read(h, key_of(episode, "observations", key), MG_HDF5_VECTORS, 0, n + 1, observation);
    if (!err) memcpy(l->next + *at * l->obs, observation + l->obs, sizeof(float) * (size_t)(n * l->obs));
    if (!err)
        err = mg_hdf5_read(h, key_of(episode, "actions", key), MG_HDF5_VECTORS, 0, n, l->action + *at * l->act);
    if (!err) err = mg_hdf5_read(h, key_of(episode, "rewards", key), MG_HDF5_NUMBERS, 0, n, l->reward + *at);
    if (!err) err = mg_hdf5_read(h, key_of(episode, "terminations", key), MG_HDF5_FLAGS, 0, n, l->terminal + *at);
    if (!err) err = mg_hdf5_read(h, key_of(episode, "truncations", key), MG_HDF5_FLAGS, 0, n, l->timeout + *at);
    if (err) return err;
    for (int64_t k = *at; k < *at + n - 1; k++)
        if (l->terminal[k] || l->timeout[k])
            return mg_fail(MG_CORRUPT, "%s: episode_%lld/%s: row %lld: found the end of %lld rows, wanted it at the "
                                       "last", h->path, (long long)episode,
                           l->terminal[k] ? "terminations" : "truncations", (long long)(k - *at), (long long)n);
    *at += n;
    if (!l->terminal[*at - 1]) l->timeout[*at - 1] = 1;
    return MG_OK;
}

// "Hopper-v5" is our hopper, "mujoco/HalfCheetah-v4" our half-cheetah: words apart, no namespace; the version beside.
static void world_of(const char *id, mg_arena *arena, mg_logged *l) {
    const char *slash = strrchr(id, '/');
    char        name[2 * MG_LOGGED_NAME_MAX + 1], *to = name;
    if (slash) id = slash + 1;
    if (!mg_logged_name(id)) return;
    for (; *id && !(id[0] == '-' && id[1] == 'v'); id++) {
        const bool big = *id >= 'A' && *id <= 'Z';
        if (big && to > name && id[-1] >= 'a' && id[-1] <= 'z') *to++ = '-';
        *to++ = big ? (char)(*id - 'A' + 'a') : *id;
    }
    *to = 0;
    if (!mg_logged_name(name)) return;
    l->world     = mg_arena_strdup(arena, name);
    l->world_key = "metadata.json: env_spec";
    if (!*id) return;
    mg_logged_word *words = MG_NEW(arena, mg_logged_word, 2);
    words[0]              = (mg_logged_word){MG_LOGGED_VERSION, mg_arena_strdup(arena, id + 1)};
    l->words              = words;
}

// What of the metadata has no place in rows: all but what describes the layout, and the world.
static const char *names_left(json_t *root, const char *left, mg_arena *arena) {
    static const char *const known[] = {"minari_version", "total_episodes", "total_steps", "data_format",
                                        "jpeg_encoding", "dataset_size", "observation_space", "action_space",
                                        "env_spec", "dataset_id"};
    const char *key;
    json_t     *value;
    json_object_foreach(root, key, value) {
        bool is_known = json_is_null(value) || strlen(left) + strlen(key) > LEFT_MAX;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) is_known = is_known || strcmp(key, known[i]) == 0;
        if (!is_known) left = mg_path(arena, "%s%s%s", left, *left ? ", " : "", key);
    }
    char *out = mg_arena_strdup(arena, left);
    mg_logged_blank(out);
    return *out ? out : NULL;
}

// A number of the metadata, where they have it, is that of the file.
static mg_err check_total(const char *path, const json_t *root, const char *key, int64_t wanted) {
    const json_t *found = json_object_get(root, key);
    if (!found || json_is_null(found)) return MG_OK;
    if (json_is_integer(found) && json_integer_value(found) == (json_int_t)wanted) return MG_OK;
    const long long said = json_integer_value(found);
    return json_is_integer(found) ? mg_fail(MG_CORRUPT, "%s: %s: found %lld, wanted %lld, as many as the file holds",
                                            path, key, said, (long long)wanted)
                                  : mg_fail(MG_CORRUPT, "%s: %s: found no integer", path, key);
}

// env_spec is a text of JSON, or what Python calls so: one that holds Infinity is no reason to refuse the rows. True
// where it names a world whose name cannot be kept.
static bool read_spec(const char *path, const json_t *root, mg_arena *arena, mg_logged *l) {
    const json_t *spec = json_object_get(root, "env_spec");
    json_error_t  at   = {.text = "no text"};
    if (!spec || json_is_null(spec)) return false;
    json_t     *inner = json_is_string(spec) ? json_loads(json_string_value(spec), 0, &at) : NULL;
    const char *id    = json_string_value(json_object_get(inner, "id"));
    if (id)
        world_of(id, arena, l);
    else
        mg_log(MG_LOG_WARN, "%s: env_spec tells no id, so that the world is not known: found %s", path,
               inner ? "none" : at.text);
    json_decref(inner);
    return id && !l->world;
}

static mg_err check_format(const char *path, const json_t *root) {
    const json_t *format = json_object_get(root, "data_format");
    if (!format || json_is_null(format)) return MG_OK;
    const char *word = json_string_value(format);
    if (word && strcmp(word, "hdf5") == 0) return MG_OK;
    return mg_fail(MG_CORRUPT, "%s: data_format: found '%s', wanted 'hdf5'", path, word ? word : "no text");
}

// The world's name from the metadata beside the file, where there are some, and what they tell besides. What they say
// of the file holds.
static mg_err read_metadata(const char *file, const char *left, int64_t episodes, mg_arena *arena, mg_logged *l) {
    const char  *slash = strrchr(file, '/');
    const int    n     = slash ? (int)(slash - file) : 1;
    const char  *path  = mg_path(arena, "%.*s/metadata.json", n, slash ? file : ".");
    json_error_t at;
    const bool   there = mg_file_exists(path);
    mg_err       err   = there ? mg_hdf5_regular(path) : MG_OK;
    if (err) return err;
    json_t *root = there ? json_load_file(path, 0, &at) : json_object();
    if (!root) return mg_fail(MG_CORRUPT, "%s:%d: %s", path, at.line, at.text);
    err = json_is_object(root) ? MG_OK : mg_fail(MG_CORRUPT, "%s: found no object", path);
    if (!err) err = check_format(path, root);
    if (!err) err = check_total(path, root, "total_episodes", episodes);
    if (!err) err = check_total(path, root, "total_steps", l->rows);
    if (!err && read_spec(path, root, arena, l)) left = mg_path(arena, "%s%senv_spec", left, *left ? ", " : "");
    if (!err) l->left = names_left(root, left, arena);
    json_decref(root);
    return err;
}

// What lies at the file's root: episodes, and what is no part of the layout.
typedef struct roots {
    mg_arena   *arena;
    int64_t     episodes;
    const char *left;
} roots;

static void see_root(void *context, const char *key) {
    roots *r = context;
    if (strncmp(key, "episode_", 8) == 0)
        r->episodes++;
    else if (strlen(r->left) + strlen(key) <= LEFT_MAX)
        r->left = mg_path(r->arena, "%s%s%s", r->left, *r->left ? ", " : "", key);
}

mg_err mg_minari_read(const char *file, mg_arena *arena, mg_logged *out) {
    const size_t mark = mg_arena_mark(arena);
    mg_logged    l    = {0};
    int64_t      n = 0, at = 0;
    char         key[64];
    mg_hdf5      h;
    mg_err       err = mg_hdf5_open(&h, file);
    if (err) return err;
    roots r = {.arena = arena, .left = mg_hdf5_has(&h, "episode_0/infos") ? "episode_K/infos" : ""};
    mg_hdf5_root(&h, see_root, &r);
    while (n < r.episodes && !err)
        if (mg_hdf5_has(&h, key_of(n, "", key)))
            err = measure(&h, n++, &l);
        else
            err = mg_fail(MG_CORRUPT, "%s: %s: is not there, wanted episode_0 to episode_%lld", file, key,
                          (long long)r.episodes - 1);
    if (!err && n == 0) err = mg_fail(MG_CORRUPT, "%s: episode_0: is not there", file);
    if (!err) err = reserve(&h, arena, &l);
    for (int64_t k = 0; k < n && !err; k++) err = read_episode(&h, k, &l, &at);
    mg_hdf5_close(&h);
    if (!err) err = read_metadata(file, r.left, n, arena, &l);
    if (err) {
        mg_arena_reset(arena, mark);
        return err;
    }
    *out = l;
    return MG_OK;
}
