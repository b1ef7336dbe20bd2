// folder.c - the weights of a model folder: every tensor that the model wants, and no other.
//
// Before memory is taken for a model, the configuration is held against the size of the files: a
// config.json that promises more weights than there are is refused, however large its numbers.
#include "nets/folder.h"

#include <jansson.h>
#include <string.h>

#include "core/file.h"
#include "nets/folder_config.h"

enum { SHARDS_MAX = 1024 };

#define CONFIG_SIZE_MAX  (1u << 20)   // bytes
#define INDEX_SIZE_MAX   (64u << 20)
#define CARRIED_SIZE_MAX (256u << 20) // the largest tokenizer.json known is 33 MB

static const char *const CARRIED[] = {"tokenizer.json", "generation_config.json",
                                      "tokenizer_config.json", "special_tokens_map.json",
                                      "chat_template.jinja"};
enum { N_CARRIED = sizeof CARRIED / sizeof *CARRIED };

// --- the files -------------------------------------------------------------------------------

typedef struct shards {
    mg_arena        arena; // texts, file names
    char           *path;  // of model.safetensors or of the index
    json_t         *index; // owned; NULL: one file holds everything
    json_t         *map;   // of the index: name of a tensor -> name of its file
    const char     *names[SHARDS_MAX];
    mg_safetensors *files[SHARDS_MAX]; // owned
    int             n;
} shards;

static void shards_close(shards *s) {
    for (int i = 0; i < s->n; i++) mg_safetensors_close(s->files[i]);
    json_decref(s->index);
    mg_arena_release(&s->arena);
}

static int shard_of(const shards *s, const char *name) {
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0) return i;
    return -1;
}

static mg_err open_shards(shards *s, const char *folder) {
    const char *tensor;
    json_t     *value;
    json_object_foreach(s->map, tensor, value) {
        const char *name = json_string_value(value);
        // A plain name: the index of a stranger must not reach outside its folder.
        if (!name || !*name || strchr(name, '/') || name[0] == '.')
            return mg_fail(MG_CORRUPT, "%s: weight_map: %s has no plain file name", s->path,
                           tensor);
        if (shard_of(s, name) >= 0) continue;
        if (s->n == SHARDS_MAX)
            return mg_fail(MG_CORRUPT, "%s: more than %d files", s->path, SHARDS_MAX);
        s->names[s->n] = name;
        char  *path = mg_path(&s->arena, "%s/%s", folder, name);
        mg_err err = mg_safetensors_open(&s->files[s->n], path);
        if (err) return err;
        s->n++;
    }
    return MG_OK;
}

static mg_err open_index(shards *s, const char *folder) {
    char  *text = NULL;
    size_t size = 0;
    mg_err err = mg_file_read(s->path, INDEX_SIZE_MAX, &s->arena, &text, &size);
    if (err) return err;
    json_error_t e;
    s->index = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!s->index)
        return mg_fail(MG_CORRUPT, "%s: line %d: JSON: %s", s->path, e.line, e.text);
    s->map = json_object_get(s->index, "weight_map");
    if (!json_is_object(s->map))
        return mg_fail(MG_CORRUPT, "%s: weight_map is missing or not an object", s->path);
    return open_shards(s, folder);
}

static mg_err shards_open(shards *s, const char *folder) {
    mg_err err = mg_arena_init(&s->arena, "model folder", 2 * (size_t)INDEX_SIZE_MAX);
    if (err) return err;
    s->path = mg_path(&s->arena, "%s/model.safetensors", folder);
    char *index = mg_path(&s->arena, "%s/model.safetensors.index.json", folder);
    if (mg_file_exists(s->path)) {
        s->names[0] = "model.safetensors";
        err = mg_safetensors_open(&s->files[0], s->path);
        if (!err) s->n = 1;
    } else if (mg_file_exists(index)) {
        s->path = index;
        err = open_index(s, folder);
    } else {
        err = mg_fail(MG_IO, "%s: neither model.safetensors nor model.safetensors.index.json",
                      folder);
    }
    if (err) shards_close(s);
    return err;
}

// NULL: not there.
static const mg_file_tensor *find(const shards *s, const char *name) {
    if (!s->map) return mg_safetensors_find(s->files[0], name);
    const char *file = json_string_value(json_object_get(s->map, name));
    return file ? mg_safetensors_find(s->files[shard_of(s, file)], name) : NULL;
}

// --- the weights -----------------------------------------------------------------------------

// The matrices that every model of this shape has, in doubles: strangers' numbers may overflow.
static double weights_at_least(const mg_model_config *c) {
    const mg_mlp_shape *m = &c->mlp;
    if (c->family == MG_FAMILY_MLP)
        return (double)m->nets * (double)m->width * (double)m->width * (double)(m->depth > 0 ? m->depth - 1 : 0);
    double d = (double)c->d_model, heads = (double)(2 * c->n_heads + 2 * c->n_kv_heads);
    double layer = d * heads * (double)c->head_width + 3 * d * (double)c->d_ff;
    return d * (double)c->vocab + layer * (double)c->n_layers;
}

static mg_err check_size(const shards *s, const mg_model_config *c) {
    double found = 0, wanted = weights_at_least(c);
    for (int f = 0; f < s->n; f++)
        for (int64_t i = 0; i < mg_safetensors_count(s->files[f]); i++)
            found += (double)mg_safetensors_at(s->files[f], i)->count;
    if (found < wanted)
        return mg_fail(MG_MISMATCH, "%s: %.0f weights, config.json wants at least %.0f", s->path,
                       found, wanted);
    return MG_OK;
}

static void shape_text(int32_t dims, const int64_t *shape, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "[");
    for (int32_t i = 0; i < dims && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

static mg_err load_param(const shards *s, const mg_param *p) {
    const mg_file_tensor *t = find(s, p->name);
    if (!t) return mg_fail(MG_MISMATCH, "%s: tensor %s is missing", s->path, p->name);
    const int64_t shape[2] = {p->tensor.rows, p->tensor.cols};
    const int32_t dims = p->vector ? 1 : 2;
    if (t->dims != dims || memcmp(t->shape, shape, (size_t)dims * sizeof *shape) != 0) {
        char found[200], wanted[64];
        shape_text(t->dims, t->shape, found, sizeof found);
        shape_text(dims, shape, wanted, sizeof wanted);
        return mg_fail(MG_MISMATCH, "%s: tensor %s: shape %s, config.json wants %s", s->path,
                       p->name, found, wanted);
    }
    mg_err err = mg_file_tensor_to_f32(t, mg_f32(&p->tensor));
    return err ? mg_fail(err, "%s: %s", s->path, mg_err_detail()) : MG_OK;
}

static bool is_param(const mg_model *m, const char *name) {
    for (int64_t i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i].name, name) == 0) return true;
    return false;
}

// Files of a tied model may repeat the embedding as lm_head.weight: nothing is lost.
static bool is_repeat(const shards *s, const mg_file_tensor *t) {
    if (strcmp(t->name, "lm_head.weight") != 0) return false;
    const mg_file_tensor *embed = find(s, "model.embed_tokens.weight");
    return t->dtype == embed->dtype && t->count == embed->count &&
           memcmp(t->data, embed->data, (size_t)mg_file_tensor_size(t)) == 0;
}

// Frequencies of the rotary positions, which old files carry and config.json gives.
static bool is_buffer(const char *name) {
    static const char suffix[] = ".rotary_emb.inv_freq";
    size_t            n = strlen(name), k = sizeof suffix - 1;
    return n > k && strcmp(name + n - k, suffix) == 0;
}

static mg_err check_superfluous(const shards *s, const mg_model *m) {
    for (int f = 0; f < s->n; f++) {
        for (int64_t i = 0; i < mg_safetensors_count(s->files[f]); i++) {
            const mg_file_tensor *t = mg_safetensors_at(s->files[f], i);
            const char           *path = mg_safetensors_path(s->files[f]);
            if (is_buffer(t->name)) continue;
            if (find(s, t->name) != t)
                return mg_fail(MG_MISMATCH, "%s: tensor %s is not where %s has it", path, t->name,
                               s->path);
            if (!is_param(m, t->name) && !is_repeat(s, t))
                return mg_fail(MG_MISMATCH, "%s: tensor %s is superfluous%s", path, t->name,
                               m->config.tied ? " (tie_word_embeddings is true)" : "");
        }
    }
    return MG_OK;
}

static mg_err load_weights(const shards *s, mg_model *m) {
    for (int64_t i = 0; i < m->n_params; i++) {
        mg_err err = load_param(s, &m->params[i]);
        if (err) return err;
    }
    mg_model_touch(m);
    return check_superfluous(s, m);
}

mg_err mg_model_config_read(const char *folder, mg_model_config *c) {
    mg_arena arena;
    mg_err   err = mg_arena_init(&arena, "config.json", 2 * (size_t)CONFIG_SIZE_MAX);
    if (err) return err;
    char  *path = mg_path(&arena, "%s/config.json", folder), *text = NULL;
    size_t size = 0;
    err = mg_file_read(path, CONFIG_SIZE_MAX, &arena, &text, &size);
    if (!err) err = mg_folder_config_parse(path, text, size, c);
    mg_arena_release(&arena);
    return err;
}

mg_err mg_model_load(mg_model **out, const char *folder, bool trained) {
    mg_model_config c;
    shards          s = {0};
    mg_model       *m = NULL;
    mg_err          err = mg_model_config_read(folder, &c);
    if (!err) err = shards_open(&s, folder);
    if (err) return err;
    err = check_size(&s, &c);
    if (!err) err = mg_model_new(&m, &c, trained);
    if (err == MG_CONFIG) err = mg_fail(MG_CORRUPT, "%s/config.json: %s", folder, mg_err_detail());
    if (!err) err = load_weights(&s, m);
    shards_close(&s);
    if (err) {
        mg_model_free(m);
        return err;
    }
    *out = m;
    return MG_OK;
}

// --- saving ----------------------------------------------------------------------------------

static mg_err write_config(const mg_model *m, const char *folder, mg_file_dtype dtype,
                           mg_arena *arena) {
    char  *text = NULL;
    mg_err err = mg_folder_config_text(&m->config, dtype, &text);
    if (err) return mg_fail(err, "%s/%s", folder, mg_err_detail());
    err = mg_file_write(mg_path(arena, "%s/config.json", folder), text, strlen(text));
    free(text);
    return err;
}

static mg_err write_weights(const mg_model *m, const char *folder, mg_file_dtype dtype,
                            mg_arena *arena) {
    const void *data = m->weights;
    if (dtype == MG_FILE_BF16) {
        uint16_t *half = mg_arena_alloc_raw(arena, (size_t)m->n_weights * sizeof *half);
        for (int64_t i = 0; i < m->n_weights; i++) half[i] = mg_bf16(m->weights[i]);
        data = half;
    }
    mg_file_tensor *tensors = MG_NEW(arena, mg_file_tensor, m->n_params);
    for (int64_t i = 0; i < m->n_params; i++) {
        const mg_param *p = &m->params[i];
        int64_t         at = mg_f32(&p->tensor) - m->weights;
        tensors[i] = (mg_file_tensor){
            .name = p->name,
            .dtype = dtype,
            .dims = p->vector ? 1 : 2,
            .shape = {p->tensor.rows, p->vector ? 0 : p->tensor.cols},
            .count = mg_tensor_count(&p->tensor),
            .data = (const char *)data + at * (dtype == MG_FILE_BF16 ? 2 : 4),
        };
    }
    return mg_safetensors_write(mg_path(arena, "%s/model.safetensors", folder), tensors,
                                m->n_params);
}

static mg_err carry_files(const char *origin, const char *folder, mg_arena *arena) {
    for (int i = 0; i < N_CARRIED; i++) {
        size_t mark = mg_arena_mark(arena), size = 0;
        char  *data = NULL, *from = mg_path(arena, "%s/%s", origin, CARRIED[i]);
        if (!mg_file_exists(from)) continue;
        mg_err err = mg_file_read(from, CARRIED_SIZE_MAX, arena, &data, &size);
        if (!err) err = mg_file_write(mg_path(arena, "%s/%s", folder, CARRIED[i]), data, size);
        if (err) return err;
        mg_arena_reset(arena, mark);
    }
    return MG_OK;
}

mg_err mg_model_save(const mg_model *m, const char *folder, mg_file_dtype dtype,
                     const char *origin) {
    MG_ASSERT(dtype == MG_FILE_F32 || dtype == MG_FILE_BF16);
    mg_arena arena;
    size_t   halves = (size_t)m->n_weights * sizeof(uint16_t);
    size_t   table = (size_t)m->n_params * sizeof(mg_file_tensor);
    mg_err   err = mg_arena_init(&arena, "model folder", halves + table + 2 * CARRIED_SIZE_MAX);
    if (err) return err;
    err = mg_folder_make(folder);
    if (!err) err = write_config(m, folder, dtype, &arena);
    if (!err) err = write_weights(m, folder, dtype, &arena);
    if (!err && origin) err = carry_files(origin, folder, &arena);
    mg_arena_release(&arena);
    return err;
}
