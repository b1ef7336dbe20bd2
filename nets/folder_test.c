// folder_test.c - two folders that transformers wrote, saving and reading back, every refusal.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nets/folder_config.h"
#include "nets/folder_expected.h"

#define INDEX "model.safetensors.index.json"

static char root[] = "/tmp/folder_test.XXXXXX";
static char saved[64], edited[64]; // folders below it

static const mg_model_config SMALL = {
    .family = MG_FAMILY_LLAMA, .vocab = 5, .d_model = 4, .d_ff = 6, .n_layers = 2, .n_heads = 2,
    .n_kv_heads = 1, .head_width = 4, .context_max = 16, .rope_theta = 10000, .norm_eps = 1e-5,
    .init_std = 0.5, .bos = 1, .eos = 2, .pad = -1,
};

static int enter(void **state) {
    (void)state;
    if (!mkdtemp(root)) return -1;
    snprintf(saved, sizeof saved, "%s/saved", root);
    snprintf(edited, sizeof edited, "%s/edited", root);
    return 0;
}

static int leave(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static mg_model *made(const mg_model_config *c) {
    mg_model *m = NULL;
    if (mg_model_new(&m, c, false)) fail_msg("%s", mg_err_detail());
    mg_model_init(m, 7);
    for (int64_t i = 0; i < m->n_weights; i++) m->weights[i] += 0.01f * (float)i; // biases too
    return m;
}

static void put(const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
}

static void assert_file(const char *folder, const char *name, const char *text) {
    mg_arena arena;
    char    *found = NULL;
    size_t   size = 0;
    assert_int_equal(mg_arena_init(&arena, "file", 1 << 20), MG_OK);
    assert_int_equal(mg_file_read(mg_path(&arena, "%s/%s", folder, name), 1 << 16, &arena, &found,
                                  &size), MG_OK);
    assert_string_equal(found, text);
    mg_arena_release(&arena);
}

static void test_transformers(void **state) {
    (void)state;
    static const char *const folders[] = {"nets/testdata/llama", "nets/testdata/qwen2"};
    for (int i = 0; i < 2; i++) {
        json_t   *expected = expected_read(folders[i]);
        mg_model *m = loaded(folders[i], false);
        assert_null(m->grads);
        assert_logits(m, expected, 1e-4);
        mg_model_free(m);
        json_decref(expected);
    }
    mg_model *m = loaded(folders[0], true);
    assert_non_null(m->grads);
    assert_true(m->config.qkv_bias && m->config.mlp_bias && !m->config.tied);
    assert_true(m->config.rope_scaling.factor == 8 && m->config.head_width == 6);
    mg_model_free(m);
}

static void assert_same_config(const mg_model_config *a, const mg_model_config *b) {
    char *s = NULL, *t = NULL;
    assert_int_equal(mg_folder_config_text(a, MG_FILE_F32, &s), MG_OK);
    assert_int_equal(mg_folder_config_text(b, MG_FILE_F32, &t), MG_OK);
    assert_string_equal(s, t);
    free(s);
    free(t);
}

// Every kind of model, saved and loaded: the same bits, or those of bf16.
static void test_round_trip(void **state) {
    (void)state;
    mg_model_config kinds[] = {SMALL, SMALL, SMALL, SMALL};
    kinds[1].tied = kinds[1].qkv_bias = kinds[1].o_bias = kinds[1].mlp_bias = true;
    kinds[2].scalar_head = true;
    kinds[3].family = MG_FAMILY_QWEN2;
    kinds[3].qkv_bias = kinds[3].scalar_head = kinds[3].tied = true;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        mg_model *m = made(&kinds[k]);
        if (mg_model_save(m, saved, MG_FILE_F32, NULL)) fail_msg("%s", mg_err_detail());
        mg_model *back = loaded(saved, true);
        assert_same_config(&back->config, &m->config);
        assert_int_equal(back->n_weights, m->n_weights);
        assert_memory_equal(back->weights, m->weights, (size_t)m->n_weights * sizeof(float));
        mg_model_free(back);

        assert_int_equal(mg_model_save(m, saved, MG_FILE_BF16, NULL), MG_OK);
        back = loaded(saved, false);
        for (int64_t i = 0; i < m->n_weights; i++) {
            assert_true(fabsf(back->weights[i] - m->weights[i]) <= fabsf(m->weights[i]) / 256);
            assert_int_equal(mg_bf16(back->weights[i]), mg_bf16(m->weights[i]));
        }
        mg_model_free(back);
        mg_model_free(m);
    }
}

static void test_carried(void **state) {
    (void)state;
    mg_model *m = made(&SMALL);
    assert_int_equal(mg_model_save(m, saved, MG_FILE_F32, NULL), MG_OK);
    put(saved, "tokenizer.json", "{\"t\":1}");
    char deep[96];
    snprintf(deep, sizeof deep, "%s/a/b", root);
    if (mg_model_save(m, deep, MG_FILE_F32, saved)) fail_msg("%s", mg_err_detail());
    assert_file(deep, "tokenizer.json", "{\"t\":1}"); // what is not there is no fault

    put(saved, "tokenizer.json", "{\"t\":2}");
    put(saved, "generation_config.json", "{\"eos_token_id\":[2,3]}");
    put(saved, "tokenizer_config.json", "{}");
    put(saved, "special_tokens_map.json", "[]");
    put(saved, "chat_template.jinja", "{{ x }}");
    put(saved, "notes.txt", "mine");
    if (mg_model_save(m, deep, MG_FILE_F32, saved)) fail_msg("%s", mg_err_detail());
    assert_file(deep, "tokenizer.json", "{\"t\":2}");
    assert_file(deep, "generation_config.json", "{\"eos_token_id\":[2,3]}");
    assert_file(deep, "tokenizer_config.json", "{}");
    assert_file(deep, "special_tokens_map.json", "[]");
    assert_file(deep, "chat_template.jinja", "{{ x }}");
    snprintf(deep, sizeof deep, "%s/a/b/notes.txt", root);
    assert_false(mg_file_exists(deep));
    mg_model_free(m);
}

// --- edited folders --------------------------------------------------------------------------

// The tensors of `saved`, to be changed and written to `edited`.
typedef struct draft {
    mg_model       *model;
    mg_safetensors *file;
    mg_file_tensor  tensors[64];
    int64_t         n;
} draft;

static void draft_begin(draft *d, bool tied) {
    mg_model_config c = SMALL;
    char            path[96];
    c.tied = tied;
    d->model = made(&c);
    assert_int_equal(mg_model_save(d->model, saved, MG_FILE_F32, NULL), MG_OK);
    assert_int_equal(mg_model_save(d->model, edited, MG_FILE_F32, NULL), MG_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", saved);
    assert_int_equal(mg_safetensors_open(&d->file, path), MG_OK);
    d->n = mg_safetensors_count(d->file);
    for (int64_t i = 0; i < d->n; i++) d->tensors[i] = *mg_safetensors_at(d->file, i);
}

static mg_file_tensor *draft_at(draft *d, const char *name) {
    int64_t i = 0;
    while (i < d->n && strcmp(d->tensors[i].name, name) != 0) i++;
    assert_true(i < d->n);
    return &d->tensors[i];
}

static void draft_write(const draft *d) {
    char path[96];
    snprintf(path, sizeof path, "%s/model.safetensors", edited);
    assert_int_equal(mg_safetensors_write(path, d->tensors, d->n), MG_OK);
}

static void draft_end(draft *d) {
    mg_safetensors_close(d->file);
    mg_model_free(d->model);
}

static void refused(mg_err code, const char *file, const char *words) {
    mg_model *m = NULL;
    char      path[128];
    mg_err    err = mg_model_load(&m, edited, false);
    snprintf(path, sizeof path, "%s/%s", edited, file);
    assert_null(m);
    if (err != code || !strstr(mg_err_detail(), words) ||
        strncmp(mg_err_detail(), path, strlen(path)) != 0)
        fail_msg("wanted %s: %s with '%s', found %s: %s", mg_err_name(code), path, words,
                 mg_err_name(err), mg_err_detail());
}

static void test_wrong_tensors(void **state) {
    (void)state;
    static const float    more[64];
    static const int64_t  ids[24];
    const char     *name = "model.layers.1.mlp.up_proj.weight", *file = "model.safetensors";
    draft           d;
    draft_begin(&d, false);
    mg_file_tensor *t = draft_at(&d, name), old = *t;

    t->name = "model.layers.1.mlp.op_proj.weight";
    draft_write(&d);
    refused(MG_MISMATCH, file, "tensor model.layers.1.mlp.up_proj.weight is missing");
    *t = old;

    t->shape[0] = 4, t->shape[1] = 6;
    draft_write(&d);
    refused(MG_MISMATCH, file, "up_proj.weight: shape [4, 6], config.json wants [6, 4]");
    t->dims = 1, t->shape[0] = 24;
    draft_write(&d);
    refused(MG_MISMATCH, file, "shape [24], config.json wants [6, 4]");
    *t = old;

    t->dtype = MG_FILE_I64, t->data = ids;
    draft_write(&d);
    refused(MG_MISMATCH, file, "up_proj.weight: dtype I64");
    *t = old;

    t = draft_at(&d, "model.norm.weight"), old = *t;
    t->dims = 2, t->shape[1] = 1;
    draft_write(&d);
    refused(MG_MISMATCH, file, "model.norm.weight: shape [4, 1], config.json wants [4]");
    *t = old;

    d.tensors[d.n++] = (mg_file_tensor){
        .name = "model.layers.0.self_attn.q_proj.bias", .dtype = MG_FILE_F32, .dims = 1,
        .shape = {8}, .count = 8, .data = more};
    draft_write(&d);
    refused(MG_MISMATCH, file, "tensor model.layers.0.self_attn.q_proj.bias is superfluous");
    d.tensors[d.n - 1].name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    draft_write(&d);
    mg_model_free(loaded(edited, false));
    draft_end(&d);
}

// lm_head.weight in the file of a tied model: welcome when it is the embedding, refused otherwise.
static void test_tied_head(void **state) {
    (void)state;
    draft d;
    draft_begin(&d, true);
    mg_file_tensor *head = &d.tensors[d.n];
    *head = *draft_at(&d, "model.embed_tokens.weight");
    head->name = "lm_head.weight";
    d.n++;
    draft_write(&d);
    mg_model *m = loaded(edited, false);
    assert_memory_equal(m->weights, d.model->weights, (size_t)m->n_weights * sizeof(float));
    mg_model_free(m);

    float other[20];
    memcpy(other, head->data, sizeof other);
    other[19] += 1;
    head->data = other;
    draft_write(&d);
    refused(MG_MISMATCH, "model.safetensors",
            "tensor lm_head.weight is superfluous (tie_word_embeddings is true)");
    draft_end(&d);
}

// config.json and the weights disagree.
static void test_wrong_config(void **state) {
    (void)state;
    draft d;
    char *text = NULL;
    draft_begin(&d, false);
    mg_model_config c = SMALL;
    c.vocab = 1 << 30, c.d_ff = 1 << 20; // refused before memory is asked for
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_OK);
    put(edited, "config.json", text);
    free(text);
    refused(MG_MISMATCH, "model.safetensors", "weights, config.json wants at least 4320133");

    c = SMALL, c.n_heads = 3, c.head_width = 3, c.d_ff = 1; // what mg_model_new says
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_OK);
    put(edited, "config.json", text);
    free(text);
    refused(MG_CORRUPT, "config.json", "head_dim: found 3, wanted an even number");

    put(edited, "config.json", "{\"architectures\":[\"LlamaForCausalLM\"]}");
    refused(MG_CORRUPT, "config.json", "model_type is missing");
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", edited);
    assert_int_equal(unlink(path), 0);
    mg_model *m = NULL;
    assert_int_equal(mg_model_load(&m, edited, false), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "edited/config.json"));
    draft_end(&d);
}

// --- shards ----------------------------------------------------------------------------------

// The draft's tensors in two files, alternating, and their index.
static void write_shards(const draft *d) {
    static const char *const names[] = {"model-1.safetensors", "model-2.safetensors"};
    char                     path[96];
    mg_file_tensor           half[64];
    json_t                  *index = json_pack("{s:{}}", "weight_map");
    for (int f = 0; f < 2; f++) {
        int64_t n = 0;
        for (int64_t i = f; i < d->n; i += 2) {
            half[n++] = d->tensors[i];
            json_object_set_new(json_object_get(index, "weight_map"), d->tensors[i].name,
                                json_string(names[f]));
        }
        snprintf(path, sizeof path, "%s/%s", edited, names[f]);
        assert_int_equal(mg_safetensors_write(path, half, n), MG_OK);
    }
    char *text = json_dumps(index, 0);
    put(edited, INDEX, text);
    free(text);
    json_decref(index);
    snprintf(path, sizeof path, "%s/model.safetensors", edited);
    unlink(path);
}

static void test_shards(void **state) {
    (void)state;
    draft d;
    draft_begin(&d, false);
    write_shards(&d);
    mg_model *m = loaded(edited, false);
    assert_memory_equal(m->weights, d.model->weights, (size_t)m->n_weights * sizeof(float));
    mg_model_free(m);

    static const struct {
        const char *index;
        mg_err      code;
        const char *words;
    } cases[] = {
        {"{} x", MG_CORRUPT, "line 1: JSON: end of file expected"},
        {"{\"weight_map\":[]}", MG_CORRUPT, "weight_map is missing or not an object"},
        {"{\"weight_map\":{\"a\":\"../edited/model-1.safetensors\"}}", MG_CORRUPT,
         "weight_map: a has no plain file name"},
        {"{\"weight_map\":{\"a\":\"/tmp/model-1.safetensors\"}}", MG_CORRUPT, "no plain file"},
        {"{\"weight_map\":{\"a\":\"..\"}}", MG_CORRUPT, "no plain file name"},
        {"{\"weight_map\":{\"a\":7}}", MG_CORRUPT, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", MG_CORRUPT, "no plain file name"},
        {"{\"weight_map\":{}}", MG_MISMATCH, ": 0 weights, config.json wants at least"},
        {"{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\"}}",
         MG_MISMATCH, "tensor model.embed_tokens.weight is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(edited, INDEX, cases[i].index);
        refused(cases[i].code, INDEX, cases[i].words);
    }

    // A tensor in both files: the one that the index does not name has no place.
    write_shards(&d);
    char path[96];
    snprintf(path, sizeof path, "%s/model-1.safetensors", edited);
    assert_int_equal(mg_safetensors_write(path, d.tensors, d.n), MG_OK);
    refused(MG_MISMATCH, "model-1.safetensors", "is not where");
    assert_int_equal(unlink(path), 0);
    mg_model *none = NULL;
    assert_int_equal(mg_model_load(&none, edited, false), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "model-1.safetensors: No such file"));
    snprintf(path, sizeof path, "%s/%s", edited, INDEX);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mg_model_load(&none, edited, false), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "edited: neither model.safetensors nor"));
    draft_end(&d);
}

static void test_save_refused(void **state) {
    (void)state;
    mg_model_config c = SMALL;
    c.o_bias = true;
    mg_model *m = made(&c);
    assert_int_equal(mg_model_save(m, saved, MG_FILE_F32, NULL), MG_UNSUPPORTED);
    assert_non_null(strstr(mg_err_detail(), "saved/config.json: LlamaForCausalLM has no such"));
    mg_model_free(m);
    m = made(&SMALL);
    assert_int_equal(mg_model_save(m, "/proc/nowhere", MG_FILE_F32, NULL), MG_IO);
    mg_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transformers), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_carried),      cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_tied_head),    cmocka_unit_test(test_wrong_config),
        cmocka_unit_test(test_shards),       cmocka_unit_test(test_save_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
