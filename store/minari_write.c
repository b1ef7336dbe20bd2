// minari_write.c - Minari's layout, written as Minari 0.5 reads it.
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "store/hdf5.h"
#include "store/logged.h"

#define MINARI_VERSION "0.5.0" // what the layout is that of

static bool among(char c, const char *more) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(more, c));
}

// "(namespace/)name-vN", as Minari's own pattern has it.
static bool good_id(const char *id) {
    const size_t n   = strlen(id);
    size_t       end = n; // of what stands before the version's digits
    while (end > 0 && id[end - 1] >= '0' && id[end - 1] <= '9') end--;
    if (end == n || n - end > 9 || end < 3 || id[end - 1] != 'v' || id[end - 2] != '-') return false;
    const char *slash = strrchr(id, '/');
    if (slash && (slash - id < 2 || id[0] == '/' || slash[-1] == '/' || slash + 1 == id + end - 2)) return false;
    for (size_t i = 0; i < n; i++)
        if (!among(id[i], "-_/")) return false;
    return true;
}

// A box of n numbers between -bound and bound, as a text of JSON; bound 0: without bounds, which
// Python's JSON spells Infinity.
static const char *box(int64_t n, int bound, mg_arena *arena) {
    char  *text = NULL;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    if (!f) return NULL;
    fprintf(f, "{\"type\": \"Box\", \"dtype\": \"float32\", \"shape\": [%lld]", (long long)n);
    for (int side = 0; side < 2; side++) {
        fprintf(f, ", \"%s\": [", side ? "high" : "low");
        for (int64_t k = 0; k < n; k++)
            if (bound)
                fprintf(f, "%s%d.0", k ? ", " : "", side ? bound : -bound);
            else
                fprintf(f, "%s%sInfinity", k ? ", " : "", side ? "" : "-");
        fputc(']', f);
    }
    fputc('}', f);
    const char *out = fclose(f) == 0 ? mg_arena_strdup(arena, text) : NULL;
    free(text);
    return out;
}

// What gymnasium.make needs to know, as a text of JSON in the keys of Gymnasium's EnvSpec; NULL where the set is of
// no world of Gymnasium's, or does not say of which version.
static const char *env_spec(const mg_logged *l, mg_arena *arena) {
    static const struct { const char *world, *name, *module; } robots[] = {
        {"hopper", "Hopper", "hopper"}, {"half-cheetah", "HalfCheetah", "half_cheetah"},
        {"walker2d", "Walker2d", "walker2d"}, {"ant", "Ant", "ant"}};
    static const char form[] = "{\"id\": \"%s-%s\", \"entry_point\": \"gymnasium.envs.%s:%sEnv\", "
                               "\"reward_threshold\": null, \"nondeterministic\": false, "
                               "\"max_episode_steps\": %d, \"order_enforce\": true, \"disable_env_checker\": false, "
                               "\"kwargs\": {}, \"additional_wrappers\": [], \"vector_entry_point\": null}";
    const char *version = mg_logged_says(l, MG_LOGGED_VERSION);
    const char *plant   = mg_logged_says(l, MG_LOGGED_PLANT);
    const char *as_published = mg_path(arena, MG_LOGGED_PLANT_WORDS, 1., 1., 1., 0LL);
    if (!l->world || (plant && strcmp(plant, as_published) != 0)) return NULL;
    if (strcmp(l->world, "pendulum") == 0)
        return mg_path(arena, form, "Pendulum", "v1", "classic_control.pendulum", "Pendulum", 200);
    if (!version || (strcmp(version, "v4") != 0 && strcmp(version, "v5") != 0)) return NULL;
    for (size_t i = 0; i < sizeof robots / sizeof *robots; i++)
        if (strcmp(l->world, robots[i].world) == 0)
            return mg_path(arena, form, robots[i].name, version,
                           mg_path(arena, "mujoco.%s_%s", robots[i].module, version), robots[i].name, 1000);
    return NULL;
}

static mg_err write_metadata(const char *path, const char *id, const mg_logged *l, int64_t episodes,
                             mg_arena *arena) {
    int bound = 1;
    for (int64_t k = 0; k < l->rows * l->act; k++)
        if (l->action[k] < -1 || l->action[k] > 1) bound = 0;
    json_t *root = json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:s?, s:s?, s:s*}", "dataset_id", id, "minari_version",
                             MINARI_VERSION, "total_episodes", (json_int_t)episodes, "total_steps",
                             (json_int_t)l->rows, "data_format", "hdf5", "jpeg_encoding", 0, "observation_space",
                             box(l->obs, 0, arena), "action_space", box(l->act, bound, arena), "env_spec",
                              env_spec(l, arena));
    char   *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    mg_err  err  = text ? mg_file_write(path, text, strlen(text)) : mg_fail(MG_NOMEM, "write %s", path);
    free(text);
    json_decref(root);
    return err;
}

// Rows [from, from + n) as an episode. Its observations are one more than its steps.
static mg_err write_episode(const mg_hdf5 *h, const mg_logged *l, int64_t episode, int64_t from, int64_t n,
                            mg_arena *arena) {
    const size_t mark = mg_arena_mark(arena), row = sizeof(float) * (size_t)l->obs;
    const char  *name = mg_path(arena, "episode_%lld", (long long)episode);
    if ((size_t)(n + 1) * (row + 1) + 8192 > arena->size_max - arena->used) {
        mg_arena_reset(arena, mark);
        return mg_fail(MG_LIMIT, "write %s: episode %lld: found %lld rows, more than there is room for", h->path,
                       (long long)episode, (long long)n);
    }
    float       *x    = mg_arena_alloc_raw(arena, (size_t)(n + 1) * row);
    uint8_t     *cut  = mg_arena_alloc(arena, (size_t)n);
    memcpy(x, l->observation + from * l->obs, (size_t)n * row);
    memcpy(x + n * l->obs, l->next + (from + n - 1) * l->obs, row);
    cut[n - 1] = l->timeout[from + n - 1] || !l->terminal[from + n - 1];
    mg_err err = mg_hdf5_write(h, mg_path(arena, "%s/observations", name), MG_HDF5_VECTORS, n + 1, l->obs, x);
    if (!err) err = mg_hdf5_write(h, mg_path(arena, "%s/actions", name), MG_HDF5_VECTORS, n, l->act,
                                  l->action + from * l->act);
    if (!err) err = mg_hdf5_write(h, mg_path(arena, "%s/rewards", name), MG_HDF5_NUMBERS, n, 0, l->reward + from);
    if (!err) err = mg_hdf5_write(h, mg_path(arena, "%s/terminations", name), MG_HDF5_FLAGS, n, 0, l->terminal + from);
    if (!err) err = mg_hdf5_write(h, mg_path(arena, "%s/truncations", name), MG_HDF5_FLAGS, n, 0, cut);
    if (!err) err = mg_hdf5_write_count(h, name, "id", episode);
    if (!err) err = mg_hdf5_write_count(h, name, "total_steps", n);
    mg_arena_reset(arena, mark);
    return err;
}

static mg_err write_episodes(const char *path, const mg_logged *l, mg_arena *arena) {
    mg_hdf5 h;
    int64_t from = 0, episode = 0;
    mg_err  err = mg_hdf5_create(&h, path);
    for (int64_t i = 0; i < l->rows && !err; i++) {
        if (!mg_logged_ends(l, i)) continue;
        err  = write_episode(&h, l, episode++, from, i + 1 - from, arena);
        from = i + 1;
    }
    if (!err) return mg_hdf5_finish(&h);
    mg_hdf5_close(&h);
    return err;
}

// Minari has one observation between two steps, D4RL's layout two, which must be the same.
static mg_err check(const char *folder, const char *id, const mg_logged *l) {
    if (!good_id(id))
        return mg_fail(MG_CONFIG, "%s: found the id '%s', wanted Minari's form: (namespace/)name-vN", folder, id);
    if (!l->next)
        return mg_fail(MG_UNSUPPORTED, "next_observations: is not there, wanted it: Minari has an observation behind "
                                       "each episode's last step");
    for (int64_t i = 0; i < l->rows; i++)
        for (int64_t k = 0; k < l->obs && !mg_logged_ends(l, i); k++)
            if (memcmp(&l->next[i * l->obs + k], &l->observation[(i + 1) * l->obs + k], sizeof(float)) != 0)
                return mg_fail(MG_MISMATCH, "next_observations: row %lld: found %g at %lld, wanted %g, as the next "
                                            "row's observation has", (long long)i,
                               (double)l->next[i * l->obs + k], (long long)k,
                               (double)l->observation[(i + 1) * l->obs + k]);
    return MG_OK;
}

mg_err mg_minari_write(const char *folder, const char *id, const mg_logged *l, mg_arena *arena) {
    const size_t mark = mg_arena_mark(arena);
    const char  *data = mg_path(arena, "%s/data", folder), *part = mg_path(arena, "%s.tmp", data);
    const char  *file = mg_path(arena, "%s/main_data.hdf5", part), *notes = mg_path(arena, "%s/metadata.json", part);
    mg_err       err  = check(folder, id, l);
    if (!err && mg_file_exists(data)) err = mg_fail(MG_BUSY, "%s is there already", data);
    if (!err && mg_file_exists(part))
        err = mg_fail(MG_BUSY, "%s is there already: remove it, unless another process is writing it", part);
    if (!err) err = mg_folder_make(part);
    if (!err) {
        err = write_episodes(file, l, arena);
        if (!err) err = write_metadata(notes, id, l, mg_logged_episodes(l), arena);
        if (!err) err = mg_folder_sync(part);
        if (!err && rename(part, data) != 0)
            err = mg_fail(MG_IO, "rename %s to %s: %s", part, data, strerror(errno));
        if (err) unlink(file), unlink(notes), rmdir(part);
    }
    mg_arena_reset(arena, mark);
    return err;
}
