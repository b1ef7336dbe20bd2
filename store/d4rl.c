// d4rl.c - D4RL's layout, read and written.
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "store/hdf5.h"
#include "store/logged.h"

#define AS    "observations"
#define WORLD "metadata/world"

// The arrays that may be there.
static mg_err read_optional(const mg_hdf5 *h, mg_arena *arena, mg_logged *l) {
    int64_t n, width = l->obs, one;
    mg_err  err = MG_OK;
    if (mg_hdf5_has(h, "next_observations"))
        err = mg_hdf5_array(h, "next_observations", MG_HDF5_VECTORS, l->rows, AS, arena, &n, &width, &l->next);
    if (!err && width != l->obs)
        err = mg_fail(MG_CORRUPT, "%s: next_observations: found rows of %lld, wanted %lld, as observations has",
                      h->path, (long long)width, (long long)l->obs);
    if (!err && mg_hdf5_has(h, "infos/qpos"))
        err = mg_hdf5_array(h, "infos/qpos", MG_HDF5_VECTORS, l->rows, AS, arena, &n, &l->nq, &l->qpos);
    if (!err && mg_hdf5_has(h, "infos/qvel"))
        err = mg_hdf5_array(h, "infos/qvel", MG_HDF5_VECTORS, l->rows, AS, arena, &n, &l->nv, &l->qvel);
    if (!err && mg_hdf5_has(h, "infos/action_log_probs"))
        err = mg_hdf5_array(h, "infos/action_log_probs", MG_HDF5_NUMBERS, l->rows, AS, arena, &n, &one, &l->logp);
    if (!err) l->world = mg_hdf5_text(h, WORLD, arena);
    if (!err && l->world && !mg_logged_name(l->world)) l->world = NULL; // see() names it
    if (!err && l->world) l->world_key = WORLD;
    return err;
}

// ---- What else lies there: texts of metadata/ are kept, the rest is named

#define WORDS_MAX 64
#define NAMES_MAX 1024 // bytes of the names

typedef struct rest {
    const mg_hdf5  *h;
    mg_arena       *arena;
    bool            has_world;
    mg_logged_word *words; // [WORDS_MAX + 1]
    int             n_words, n_left;
    char            left[NAMES_MAX];
} rest;

static void see(void *context, const char *key) {
    static const char *const read[] = {"observations", "actions", "rewards", "terminals", "timeouts",
                                       "next_observations", "infos/qpos", "infos/qvel", "infos/action_log_probs"};
    const char *const metadata = "metadata/";
    rest *r = context;
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (strcmp(read[i], key) == 0) return;
    const bool world = strcmp(key, WORLD) == 0;
    if (world && r->has_world) return;
    const bool  may  = !world && strncmp(key, metadata, strlen(metadata)) == 0 && r->n_words < WORDS_MAX;
    const char *text = may ? mg_hdf5_text(r->h, key, r->arena) : NULL;
    if (text) {
        r->words[r->n_words++] = (mg_logged_word){mg_arena_strdup(r->arena, key + strlen(metadata)), text};
        return;
    }
    const size_t used = strlen(r->left);
    r->n_left++;
    if (used + strlen(key) + 2 >= sizeof r->left) return;
    snprintf(r->left + used, sizeof r->left - used, "%s%s", used ? ", " : "", key);
    mg_logged_blank(r->left + used);
}

static void read_rest(const mg_hdf5 *h, mg_arena *arena, mg_logged *l) {
    const size_t room = sizeof(mg_logged_word) * (WORDS_MAX + 1) + 2 * NAMES_MAX;
    l->left = "all else, for want of room";
    if (room > arena->size_max - arena->used) return;
    rest r = {.h = h, .arena = arena, .has_world = l->world, .words = MG_NEW(arena, mg_logged_word, WORDS_MAX + 1)};
    mg_hdf5_each(h, see, &r);
    l->words = r.n_words > 0 ? r.words : NULL;
    l->left  = r.n_left > 0 ? mg_path(arena, "%d: %s", r.n_left, r.left) : NULL;
}

mg_err mg_d4rl_read(const char *file, mg_arena *arena, mg_logged *out) {
    const size_t mark = mg_arena_mark(arena);
    mg_logged    l    = {0};
    int64_t      n, one;
    mg_hdf5      h;
    mg_err       err = mg_hdf5_open(&h, file);
    if (err) return err;
    err = mg_hdf5_array(&h, "observations", MG_HDF5_VECTORS, -1, NULL, arena, &l.rows, &l.obs, &l.observation);
    if (!err) err = mg_hdf5_array(&h, "actions", MG_HDF5_VECTORS, l.rows, AS, arena, &n, &l.act, &l.action);
    if (!err) err = mg_hdf5_array(&h, "rewards", MG_HDF5_NUMBERS, l.rows, AS, arena, &n, &one, &l.reward);
    if (!err) err = mg_hdf5_array(&h, "terminals", MG_HDF5_FLAGS, l.rows, AS, arena, &n, &one, &l.terminal);
    if (!err) err = mg_hdf5_array(&h, "timeouts", MG_HDF5_FLAGS, l.rows, AS, arena, &n, &one, &l.timeout);
    if (!err) err = read_optional(&h, arena, &l);
    if (!err) read_rest(&h, arena, &l);
    mg_hdf5_close(&h);
    if (err) {
        mg_arena_reset(arena, mark);
        return err;
    }
    *out = l;
    return MG_OK;
}

// An array that may be NULL: then nothing is written.
static mg_err put(const mg_hdf5 *h, mg_err err, const char *key, mg_hdf5_kind kind, const mg_logged *l,
                  int64_t width, const void *x) {
    return err || !x ? err : mg_hdf5_write(h, key, kind, l->rows, width, x);
}

mg_err mg_d4rl_try(const char *file) {
    mg_hdf5 h;
    mg_err  err = mg_parent_make(file);
    if (!err) err = mg_hdf5_create(&h, file);
    if (!err) mg_hdf5_close(&h);
    return err;
}

mg_err mg_d4rl_write(const char *file, const mg_logged *l) {
    mg_hdf5 h;
    mg_err  err = mg_hdf5_create(&h, file);
    if (err) return err;
    err = put(&h, err, "observations", MG_HDF5_VECTORS, l, l->obs, l->observation);
    err = put(&h, err, "actions", MG_HDF5_VECTORS, l, l->act, l->action);
    err = put(&h, err, "rewards", MG_HDF5_NUMBERS, l, 0, l->reward);
    err = put(&h, err, "terminals", MG_HDF5_FLAGS, l, 0, l->terminal);
    err = put(&h, err, "timeouts", MG_HDF5_FLAGS, l, 0, l->timeout);
    err = put(&h, err, "next_observations", MG_HDF5_VECTORS, l, l->obs, l->next);
    err = put(&h, err, "infos/qpos", MG_HDF5_VECTORS, l, l->nq, l->qpos);
    err = put(&h, err, "infos/qvel", MG_HDF5_VECTORS, l, l->nv, l->qvel);
    err = put(&h, err, "infos/action_log_probs", MG_HDF5_NUMBERS, l, 0, l->logp);
    if (!err && l->world) err = mg_hdf5_write_text(&h, WORLD, l->world);
    for (const mg_logged_word *w = l->words; w && w->key && !err; w++) {
        char key[320]; // of a file's keys, those below 256 bytes are read
        snprintf(key, sizeof key, "metadata/%s", w->key);
        err = mg_hdf5_write_text(&h, key, w->text);
    }
    if (!err) return mg_hdf5_finish(&h);
    mg_hdf5_close(&h);
    return err;
}
