// folder_config.c - config.json <-> mg_model_config.
//
// Keys and defaults: configuration_llama.py, configuration_qwen2.py and modeling_rope_utils.py of
// Hugging Face transformers, 4.40 to 5.
#include "nets/folder_config.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const struct kind {
    const char *architecture, *model_type;
    mg_family   family;
    bool        scalar_head;
} KINDS[] = {
    {"LlamaForCausalLM", "llama", MG_FAMILY_LLAMA, false},
    {"Qwen2ForCausalLM", "qwen2", MG_FAMILY_QWEN2, false},
    {"LlamaForSequenceClassification", "llama", MG_FAMILY_LLAMA, true},
    {"Qwen2ForSequenceClassification", "qwen2", MG_FAMILY_QWEN2, true},
};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

#define REQUIRED INT64_MIN
#define THETA    10000.0 // rope_theta where none is written

// --- reading ---------------------------------------------------------------------------------

// An object being read. The first fault sticks; what is read after it is of no account.
typedef struct source {
    const char *path;
    json_t     *object;
    mg_err      err;
} source;

static void refuse(source *s, mg_err code, const char *key, const char *wanted) {
    if (s->err) return;
    const json_t *value = json_object_get(s->object, key);
    char         *found = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    s->err = mg_fail(code, "%s: %s is %.100s, wanted %s", s->path, key,
                     found ? found : "missing", wanted);
    free(found);
}

// NULL: absent or null, which mean the same.
static json_t *get(const source *s, const char *key) {
    json_t *value = json_object_get(s->object, key);
    return json_is_null(value) ? NULL : value;
}

// A size. How large it may be, and with which others, is for mg_model_new to say.
static int64_t get_size(source *s, const char *key, int64_t absent) {
    const json_t *value = get(s, key);
    if (!value && absent != REQUIRED) return absent;
    int64_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > INT32_MAX)
        refuse(s, MG_CORRUPT, key, "a whole number from 1 to 2147483647");
    return n;
}

// absent NAN: required.
static double get_real(source *s, const char *key, double min, double max, double absent) {
    const json_t *value = get(s, key);
    if (!value && !isnan(absent)) return absent;
    double x = json_number_value(value);
    if (!json_is_number(value) || !(x >= min && x <= max)) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
        refuse(s, MG_CORRUPT, key, wanted);
    }
    return x;
}

// Absent: false.
static bool get_bool(source *s, const char *key) {
    const json_t *value = get(s, key);
    if (value && !json_is_boolean(value)) refuse(s, MG_CORRUPT, key, "true or false");
    return json_is_true(value);
}

// An id, a list whose first is taken, or none (null, or -1 as the first Llamas had it).
static int32_t get_id(source *s, const char *key, int64_t vocab, int32_t absent) {
    const json_t *value = json_object_get(s->object, key);
    if (!value) return absent < vocab ? absent : -1;
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (value && json_is_null(value)) return -1;
    int64_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < -1 || id >= vocab)
        refuse(s, MG_CORRUPT, key, "an id below vocab_size, a list of them, or null");
    return (int32_t)id;
}

static void read_kind(source *s, mg_model_config *c) {
    const char *name = json_string_value(json_array_get(get(s, "architectures"), 0));
    const char *type = json_string_value(get(s, "model_type"));
    int         k = 0;
    while (k < N_KINDS && name && strcmp(name, KINDS[k].architecture) != 0) k++;
    if (!name || k == N_KINDS) {
        refuse(s, name ? MG_UNSUPPORTED : MG_CORRUPT, "architectures",
               "[\"LlamaForCausalLM\"], [\"Qwen2ForCausalLM\"], or one of their "
               "...ForSequenceClassification");
        return;
    }
    if (!type || strcmp(type, KINDS[k].model_type) != 0)
        refuse(s, MG_CORRUPT, "model_type", KINDS[k].model_type);
    c->family = KINDS[k].family;
    c->scalar_head = KINDS[k].scalar_head;
}

static void read_shape(source *s, mg_model_config *c) {
    c->vocab = get_size(s, "vocab_size", REQUIRED);
    c->d_model = get_size(s, "hidden_size", REQUIRED);
    c->d_ff = get_size(s, "intermediate_size", REQUIRED);
    c->n_layers = get_size(s, "num_hidden_layers", REQUIRED);
    c->n_heads = get_size(s, "num_attention_heads", REQUIRED);
    c->n_kv_heads = get_size(s, "num_key_value_heads", c->n_heads);
    c->context_max = get_size(s, "max_position_embeddings", REQUIRED);
    if (s->err) return;
    if (!get(s, "head_dim") && c->d_model % c->n_heads != 0)
        refuse(s, MG_CORRUPT, "hidden_size", "a multiple of num_attention_heads, or head_dim");
    c->head_width = get_size(s, "head_dim", c->d_model / c->n_heads);
}

static void read_numbers(source *s, mg_model_config *c) {
    bool llama = c->family == MG_FAMILY_LLAMA;
    c->norm_eps = get_real(s, "rms_norm_eps", 0, 1, 1e-6);
    c->init_std = get_real(s, "initializer_range", 0, 1, 0.02);
    c->tied = get_bool(s, "tie_word_embeddings");
    c->qkv_bias = !llama || get_bool(s, "attention_bias");
    c->o_bias = llama && c->qkv_bias;
    c->mlp_bias = llama && get_bool(s, "mlp_bias");
    c->bos = get_id(s, "bos_token_id", c->vocab, llama ? 1 : -1);
    c->eos = get_id(s, "eos_token_id", c->vocab, llama ? 2 : -1);
    c->pad = get_id(s, "pad_token_id", c->vocab, -1);
}

static void read_scaling(source *s, mg_rope_scaling *r) {
    static const char *const keys[] = {
        "rope_type",       "type",             "rope_theta", "factor",
        "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"};
    const char *key;
    json_t     *value;
    json_object_foreach(s->object, key, value) {
        size_t k = 0;
        while (k < sizeof keys / sizeof *keys && strcmp(key, keys[k]) != 0) k++;
        if (k == sizeof keys / sizeof *keys)
            refuse(s, MG_UNSUPPORTED, key, "it left out: only default and llama3 are known");
    }

    const char *name = get(s, "rope_type") ? "rope_type" : "type";
    const char *type = get(s, name) ? json_string_value(get(s, name)) : "default";
    if (type && strcmp(type, "default") == 0) return;
    if (!type || strcmp(type, "llama3") != 0) {
        refuse(s, MG_UNSUPPORTED, name, "default or llama3");
        return;
    }
    r->factor = get_real(s, "factor", 1, 1e6, NAN);
    r->low_freq_factor = get_real(s, "low_freq_factor", 1e-6, 1e6, NAN);
    r->high_freq_factor = get_real(s, "high_freq_factor", 1e-6, 1e6, NAN);
    r->original_context = get_size(s, "original_max_position_embeddings", REQUIRED);
    if (!(r->low_freq_factor < r->high_freq_factor))
        refuse(s, MG_CORRUPT, "high_freq_factor", "more than low_freq_factor");
}

// Version 4: rope_theta at the top, rope_scaling an object or null. Version 5: both in
// rope_parameters, where rope_theta outranks one at the top; one that differs is refused.
static void read_rope(source *s, mg_model_config *c) {
    json_t     *parameters = get(s, "rope_parameters"), *scaling = get(s, "rope_scaling");
    const char *name = parameters ? "rope_parameters" : "rope_scaling";
    json_t     *object = parameters ? parameters : scaling;
    double      top = get_real(s, "rope_theta", 1, 1e12, THETA);
    c->rope_theta = top;
    c->rope_scaling = (mg_rope_scaling){0};
    if (parameters && scaling && !json_equal(parameters, scaling))
        refuse(s, MG_CORRUPT, "rope_scaling", "the same as rope_parameters");
    if (object && !json_is_object(object)) refuse(s, MG_CORRUPT, name, "an object or null");
    if (!object || s->err) return;

    char path[512];
    snprintf(path, sizeof path, "%s: %s", s->path, name);
    source in = {.path = path, .object = object};
    c->rope_theta = get_real(&in, "rope_theta", 1, 1e12, top);
    if (get(s, "rope_theta") && c->rope_theta != top)
        refuse(&in, MG_CORRUPT, "rope_theta", "the same as rope_theta at the top");
    read_scaling(&in, &c->rope_scaling);
    s->err = in.err;
}

// What would change the network and is not built.
static void check_features(source *s) {
    const json_t *act = get(s, "hidden_act");
    if (act && (!json_is_string(act) || strcmp(json_string_value(act), "silu") != 0))
        refuse(s, MG_UNSUPPORTED, "hidden_act", "\"silu\"");
    if (get_bool(s, "use_sliding_window"))
        refuse(s, MG_UNSUPPORTED, "use_sliding_window", "false");
    if (get(s, "quantization_config"))
        refuse(s, MG_UNSUPPORTED, "quantization_config", "unquantized weights");

    size_t        i;
    const json_t *layer, *types = get(s, "layer_types");
    if (types && !json_is_array(types)) refuse(s, MG_CORRUPT, "layer_types", "a list");
    json_array_foreach(types, i, layer) {
        const char *type = json_string_value(layer);
        if (!type || strcmp(type, "full_attention") != 0)
            refuse(s, MG_UNSUPPORTED, "layer_types", "nothing but \"full_attention\"");
    }
}

// --- perceptrons -----------------------------------------------------------------------------

#define MLP_ARCHITECTURE "MartingaleMLP"
#define MLP_TYPE         "martingale_mlp"

static const char *const HEADS[] = {[MG_HEAD_NONE] = "none", [MG_HEAD_TANH] = "tanh",
                                    [MG_HEAD_TANH_GAUSSIAN] = "tanh_gaussian", [MG_HEAD_GAUSSIAN] = "gaussian",
                                    [MG_HEAD_CATEGORICAL] = "categorical"};
enum { N_HEADS = sizeof HEADS / sizeof *HEADS };

static bool is_mlp(const source *s) {
    const char *name = json_string_value(json_array_get(get(s, "architectures"), 0));
    return name && strcmp(name, MLP_ARCHITECTURE) == 0;
}

// One of a few words, by its place among them.
static int get_word(source *s, const char *key, const char *const *words, int n, const char *wanted) {
    const char *found = json_string_value(get(s, key));
    for (int i = 0; i < n; i++)
        if (found && strcmp(found, words[i]) == 0) return i;
    refuse(s, MG_CORRUPT, key, wanted);
    return 0;
}

static int64_t get_count(source *s, const char *key) { // 0 may be
    const json_t *value = get(s, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
        refuse(s, MG_CORRUPT, key, "a whole number from 0 to 2147483647");
    return json_integer_value(value);
}

static void read_mlp(source *s, mg_model_config *c) {
    static const char *const hidden[] = {"relu", "tanh"};
    c->family = MG_FAMILY_MLP;
    c->mlp    = (mg_mlp_shape){.in    = get_size(s, "inputs", REQUIRED),
                               .out   = get_size(s, "outputs", REQUIRED),
                               .width = get_size(s, "width", REQUIRED),
                               .depth = get_count(s, "depth"),
                               .nets  = get_size(s, "nets", REQUIRED),
                               .free  = get_count(s, "free"),
                               .tanh  = get_word(s, "hidden_act", hidden, 2, "\"relu\" or \"tanh\"") == 1,
                               .head  = (mg_mlp_head)get_word(s, "head", HEADS, N_HEADS,
                                                              "none, tanh, tanh_gaussian, gaussian or categorical"),
                               .action_scale = get_real(s, "action_scale", 1e-9, 1e9, NAN)};
}

static void read_transformer(source *s, mg_model_config *c) {
    if (!s->err) read_kind(s, c);
    if (!s->err) check_features(s);
    if (!s->err) read_shape(s, c);
    if (!s->err) read_numbers(s, c);
    if (!s->err) read_rope(s, c);
}

mg_err mg_folder_config_parse(const char *path, const char *text, size_t size,
                              mg_model_config *out) {
    json_error_t e;
    source       s = {.path = path};
    s.object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!s.object) return mg_fail(MG_CORRUPT, "%s: line %d: JSON: %s", path, e.line, e.text);
    if (!json_is_object(s.object)) s.err = mg_fail(MG_CORRUPT, "%s: not an object", path);

    mg_model_config c = {0};
    if (!s.err && is_mlp(&s))
        read_mlp(&s, &c);
    else
        read_transformer(&s, &c);
    json_decref(s.object);
    if (!s.err) *out = c;
    return s.err;
}

// --- writing ---------------------------------------------------------------------------------

static json_t *mlp_json(const mg_mlp_shape *m, mg_file_dtype dtype) {
    return json_pack("{s:[s], s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:f}", "architectures",
                     MLP_ARCHITECTURE, "model_type", MLP_TYPE, "torch_dtype",
                     dtype == MG_FILE_F32 ? "float32" : "bfloat16", "inputs", (json_int_t)m->in, "outputs",
                     (json_int_t)m->out, "width", (json_int_t)m->width, "depth", (json_int_t)m->depth, "nets",
                     (json_int_t)m->nets, "free", (json_int_t)m->free, "hidden_act", m->tanh ? "tanh" : "relu",
                     "head", HEADS[m->head], "action_scale", m->action_scale);
}

static json_t *id_json(int32_t id) { return id < 0 ? json_null() : json_integer(id); }

static json_t *scaling_json(const mg_rope_scaling *r) {
    if (r->factor == 0) return json_null();
    return json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", r->factor,
                     "low_freq_factor", r->low_freq_factor, "high_freq_factor",
                     r->high_freq_factor, "original_max_position_embeddings",
                     (json_int_t)r->original_context);
}

static json_t *config_json(const mg_model_config *c, const struct kind *kind,
                           mg_file_dtype dtype) {
    json_t *o = json_pack(
        "{s:[s], s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:f, s:o, s:f, s:f, s:b,"
        " s:o, s:o, s:o}",
        "architectures", kind->architecture, "model_type", kind->model_type, "torch_dtype",
        dtype == MG_FILE_F32 ? "float32" : "bfloat16", "vocab_size", (json_int_t)c->vocab,
        "hidden_size", (json_int_t)c->d_model, "intermediate_size", (json_int_t)c->d_ff,
        "num_hidden_layers", (json_int_t)c->n_layers, "num_attention_heads",
        (json_int_t)c->n_heads, "num_key_value_heads", (json_int_t)c->n_kv_heads, "head_dim",
        (json_int_t)c->head_width, "hidden_act", "silu", "max_position_embeddings",
        (json_int_t)c->context_max, "rope_theta", c->rope_theta, "rope_scaling",
        scaling_json(&c->rope_scaling), "rms_norm_eps", c->norm_eps, "initializer_range",
        c->init_std, "tie_word_embeddings", c->tied, "bos_token_id", id_json(c->bos),
        "eos_token_id", id_json(c->eos), "pad_token_id", id_json(c->pad));
    if (c->family == MG_FAMILY_LLAMA) {
        json_object_set_new(o, "attention_bias", json_boolean(c->qkv_bias));
        json_object_set_new(o, "mlp_bias", json_boolean(c->mlp_bias));
    } else {
        json_object_set_new(o, "use_sliding_window", json_false());
    }
    if (c->scalar_head) { // one label; transformers takes two where none is named
        json_object_set_new(o, "id2label", json_pack("{s:s}", "0", "LABEL_0"));
        json_object_set_new(o, "label2id", json_pack("{s:i}", "LABEL_0", 0));
    }
    return o;
}

// 15 digits print 0.02 as people write it; where they lose a bit, 17 do not.
static char *dump(const json_t *o) {
    char   *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_t *back = text ? json_loads(text, 0, NULL) : NULL;
    if (back && !json_equal(back, o)) {
        free(text);
        text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    }
    json_decref(back);
    return text;
}

// Takes o, which may be NULL.
static mg_err text_of(json_t *o, char **text) {
    char *made = o ? dump(o) : NULL;
    json_decref(o);
    if (!made) return mg_fail(MG_NOMEM, "config.json");
    *text = made;
    return MG_OK;
}

mg_err mg_folder_config_text(const mg_model_config *c, mg_file_dtype dtype, char **text) {
    MG_ASSERT(dtype == MG_FILE_F32 || dtype == MG_FILE_BF16);
    if (c->family == MG_FAMILY_MLP) return text_of(mlp_json(&c->mlp, dtype), text);
    int k = 0;
    while (KINDS[k].family != c->family || KINDS[k].scalar_head != c->scalar_head) k++;
    bool llama = c->family == MG_FAMILY_LLAMA;
    if (llama ? c->qkv_bias != c->o_bias : !c->qkv_bias || c->o_bias || c->mlp_bias)
        return mg_fail(MG_UNSUPPORTED, "config.json: %s has no such biases (qkv %d, o %d, mlp %d)",
                       KINDS[k].architecture, c->qkv_bias, c->o_bias, c->mlp_bias);
    return text_of(config_json(c, &KINDS[k], dtype), text);
}
