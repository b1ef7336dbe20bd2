// folder_config_test.c - config.json in the words of transformers 4 and 5, ours, and refusals.
#include "nets/folder_config.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static mg_model_config parsed(const char *text) {
    mg_model_config c;
    memset(&c, 0x55, sizeof c); // what is left unset shows
    if (mg_folder_config_parse("m/config.json", text, strlen(text), &c))
        fail_msg("%s", mg_err_detail());
    return c;
}

// Shapes and keys of Llama 3.2 1B as published for transformers 4.
static void test_llama_4(void **state) {
    (void)state;
    mg_model_config c = parsed(
        "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,"
        "\"attention_dropout\":0.0,\"bos_token_id\":128000,\"eos_token_id\":[128001,128008],"
        "\"head_dim\":64,\"hidden_act\":\"silu\",\"hidden_size\":2048,"
        "\"initializer_range\":0.02,\"intermediate_size\":8192,"
        "\"max_position_embeddings\":131072,\"mlp_bias\":false,\"model_type\":\"llama\","
        "\"num_attention_heads\":32,\"num_hidden_layers\":16,\"num_key_value_heads\":8,"
        "\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,\"rope_scaling\":{\"factor\":32.0,"
        "\"high_freq_factor\":4.0,\"low_freq_factor\":1.5,"
        "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},"
        "\"rope_theta\":500000.0,\"tie_word_embeddings\":true,\"torch_dtype\":\"bfloat16\","
        "\"use_cache\":true,\"vocab_size\":128256}");
    assert_int_equal(c.family, MG_FAMILY_LLAMA);
    assert_int_equal(c.vocab, 128256);
    assert_int_equal(c.d_model, 2048);
    assert_int_equal(c.d_ff, 8192);
    assert_int_equal(c.n_layers, 16);
    assert_int_equal(c.n_heads, 32);
    assert_int_equal(c.n_kv_heads, 8);
    assert_int_equal(c.head_width, 64);
    assert_int_equal(c.context_max, 131072);
    assert_true(c.rope_theta == 500000 && c.norm_eps == 1e-5 && c.init_std == 0.02);
    assert_true(c.rope_scaling.factor == 32 && c.rope_scaling.low_freq_factor == 1.5);
    assert_true(c.rope_scaling.high_freq_factor == 4 && c.rope_scaling.original_context == 8192);
    assert_true(c.tied && !c.qkv_bias && !c.o_bias && !c.mlp_bias && !c.scalar_head);
    assert_int_equal(c.bos, 128000);
    assert_int_equal(c.eos, 128001);
    assert_int_equal(c.pad, -1);
}

static void test_qwen2_5(void **state) {
    (void)state;
    mg_model_config c = parsed(
        "{\"architectures\":[\"Qwen2ForSequenceClassification\"],\"bos_token_id\":null,"
        "\"dtype\":\"float32\",\"eos_token_id\":7,\"head_dim\":6,\"hidden_act\":\"silu\","
        "\"hidden_size\":16,\"id2label\":{\"0\":\"LABEL_0\"},\"initializer_range\":0.5,"
        "\"intermediate_size\":24,\"label2id\":{\"LABEL_0\":0},"
        "\"layer_types\":[\"full_attention\",\"full_attention\"],"
        "\"max_position_embeddings\":32768,\"max_window_layers\":28,\"model_type\":\"qwen2\","
        "\"num_attention_heads\":4,\"num_hidden_layers\":2,\"num_key_value_heads\":2,"
        "\"pad_token_id\":0,\"rms_norm_eps\":1e-06,\"rope_parameters\":{\"rope_theta\":1000000.0,"
        "\"rope_type\":\"default\"},\"sliding_window\":null,\"tie_word_embeddings\":false,"
        "\"transformers_version\":\"5.0.0\",\"use_sliding_window\":false,\"vocab_size\":37}");
    assert_int_equal(c.family, MG_FAMILY_QWEN2);
    assert_true(c.scalar_head && c.qkv_bias && !c.o_bias && !c.mlp_bias && !c.tied);
    assert_int_equal(c.head_width, 6);
    assert_true(c.rope_theta == 1e6 && c.rope_scaling.factor == 0 && c.init_std == 0.5);
    assert_int_equal(c.bos, -1);
    assert_int_equal(c.eos, 7);
    assert_int_equal(c.pad, 0);
}

#define SHAPE                                                                                  \
    "\"vocab_size\":9,\"hidden_size\":12,\"intermediate_size\":5,\"num_hidden_layers\":1,"     \
    "\"num_attention_heads\":2,\"max_position_embeddings\":8"
#define LLAMA "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\"," SHAPE "}"
#define QWEN2 "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\"," SHAPE "}"

// The base text with the keys of a patch put over it: null stays, "-" takes a key away.
static char *patched(const char *base, const char *patch) {
    json_t     *o = json_loads(base, 0, NULL), *p = json_loads(patch, 0, NULL), *value;
    const char *key;
    assert_non_null(o);
    assert_non_null(p);
    json_object_foreach(p, key, value) {
        if (json_is_string(value) && strcmp(json_string_value(value), "-") == 0)
            json_object_del(o, key);
        else
            json_object_set(o, key, value);
    }
    char *text = json_dumps(o, 0);
    json_decref(o);
    json_decref(p);
    return text;
}

static mg_model_config parsed_patch(const char *base, const char *patch) {
    char           *text = patched(base, patch);
    mg_model_config c = parsed(text);
    free(text);
    return c;
}

// What LlamaConfig and Qwen2Config take where a key is absent.
static void test_defaults(void **state) {
    (void)state;
    mg_model_config l = parsed(LLAMA), q = parsed(QWEN2);
    assert_int_equal(l.n_kv_heads, 2);
    assert_int_equal(l.head_width, 6);
    assert_true(l.rope_theta == 10000 && l.norm_eps == 1e-6 && l.init_std == 0.02);
    assert_true(l.rope_scaling.factor == 0 && !l.tied && !l.qkv_bias && !l.mlp_bias);
    assert_true(l.bos == 1 && l.eos == 2 && l.pad == -1);
    assert_true(q.bos == -1 && q.eos == -1 && q.pad == -1 && q.qkv_bias && !q.o_bias);

    l = parsed_patch(LLAMA, "{\"bos_token_id\":null,\"eos_token_id\":[null],\"pad_token_id\":-1,"
                            "\"num_key_value_heads\":null,\"head_dim\":null,"
                            "\"rope_scaling\":null,\"rope_theta\":7}");
    assert_true(l.bos == -1 && l.eos == -1 && l.pad == -1);
    assert_true(l.n_kv_heads == 2 && l.head_width == 6 && l.rope_theta == 7);
    l = parsed_patch(LLAMA, "{\"attention_bias\":true,\"mlp_bias\":true,\"vocab_size\":2}");
    assert_true(l.qkv_bias && l.o_bias && l.mlp_bias && l.bos == 1 && l.eos == -1);
    // Qwen2's biases are not a matter of configuration.
    q = parsed_patch(QWEN2, "{\"attention_bias\":false,\"mlp_bias\":true}");
    assert_true(q.qkv_bias && !q.o_bias && !q.mlp_bias);
}

static void test_rope(void **state) {
    (void)state;
    // Version 5 may keep rope_theta at the top beside the object; "type" is the older rope_type.
    mg_model_config c = parsed_patch(LLAMA, "{\"rope_theta\":77,\"rope_parameters\":{"
                                            "\"rope_type\":\"default\"}}");
    assert_true(c.rope_theta == 77 && c.rope_scaling.factor == 0);
    c = parsed_patch(LLAMA, "{\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2,"
                            "\"low_freq_factor\":1,\"high_freq_factor\":3,\"rope_theta\":5,"
                            "\"original_max_position_embeddings\":4}}");
    assert_true(c.rope_theta == 5 && c.rope_scaling.factor == 2);
    assert_true(c.rope_scaling.low_freq_factor == 1 && c.rope_scaling.high_freq_factor == 3);
    assert_int_equal(c.rope_scaling.original_context, 4);
}

static void refused(const char *text, mg_err code, const char *words) {
    mg_model_config c, untouched;
    memset(&c, 0x55, sizeof c);
    untouched = c;
    mg_err err = mg_folder_config_parse("m/config.json", text, strlen(text), &c);
    if (err != code || !strstr(mg_err_detail(), words) ||
        strncmp(mg_err_detail(), "m/config.json: ", 15) != 0)
        fail_msg("wanted %s with '%s', found %s: %s", mg_err_name(code), words,
                 mg_err_name(err), mg_err_detail());
    assert_memory_equal(&c, &untouched, sizeof c);
}

#define SCALED(keys) "{\"rope_scaling\":{\"rope_type\":\"llama3\"," keys "}}"

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *patch;
        mg_err      code;
        const char *words;
    } cases[] = {
        {"{\"architectures\":\"-\"}", MG_CORRUPT, "architectures is missing"},
        {"{\"architectures\":[]}", MG_CORRUPT, "architectures is [], wanted"},
        {"{\"architectures\":[\"MistralForCausalLM\"]}", MG_UNSUPPORTED, "MistralForCausalLM"},
        {"{\"model_type\":\"qwen2\"}", MG_CORRUPT, "model_type is \"qwen2\", wanted llama"},
        {"{\"model_type\":\"-\"}", MG_CORRUPT, "model_type is missing"},
        {"{\"vocab_size\":\"-\"}", MG_CORRUPT, "vocab_size is missing, wanted a whole number"},
        {"{\"vocab_size\":null}", MG_CORRUPT, "vocab_size is null"},
        {"{\"vocab_size\":2147483648}", MG_CORRUPT, "vocab_size is 2147483648"},
        {"{\"hidden_size\":\"-\"}", MG_CORRUPT, "hidden_size is missing"},
        {"{\"hidden_size\":12.0}", MG_CORRUPT, "hidden_size is 12.0, wanted a whole number"},
        {"{\"hidden_size\":0}", MG_CORRUPT, "hidden_size is 0"},
        {"{\"hidden_size\":13}", MG_CORRUPT, "hidden_size is 13, wanted a multiple"},
        {"{\"head_dim\":-2}", MG_CORRUPT, "head_dim is -2"},
        {"{\"intermediate_size\":\"-\"}", MG_CORRUPT, "intermediate_size is missing"},
        {"{\"intermediate_size\":true}", MG_CORRUPT, "intermediate_size is true"},
        {"{\"num_hidden_layers\":\"-\"}", MG_CORRUPT, "num_hidden_layers is missing"},
        {"{\"num_key_value_heads\":0}", MG_CORRUPT, "num_key_value_heads is 0"},
        {"{\"num_attention_heads\":\"-\"}", MG_CORRUPT, "num_attention_heads is missing"},
        {"{\"num_attention_heads\":\"2\"}", MG_CORRUPT, "num_attention_heads is \"2\""},
        {"{\"max_position_embeddings\":\"-\"}", MG_CORRUPT, "max_position_embeddings is missing"},
        {"{\"rms_norm_eps\":\"x\"}", MG_CORRUPT, "rms_norm_eps is \"x\""},
        {"{\"rms_norm_eps\":-1e-9}", MG_CORRUPT, "rms_norm_eps"},
        {"{\"initializer_range\":2}", MG_CORRUPT, "initializer_range is 2"},
        {"{\"tie_word_embeddings\":1}", MG_CORRUPT, "tie_word_embeddings is 1, wanted true"},
        {"{\"attention_bias\":\"no\"}", MG_CORRUPT, "attention_bias"},
        {"{\"mlp_bias\":0}", MG_CORRUPT, "mlp_bias"},
        {"{\"bos_token_id\":9}", MG_CORRUPT, "bos_token_id is 9, wanted an id below vocab_size"},
        {"{\"eos_token_id\":[]}", MG_CORRUPT, "eos_token_id is []"},
        {"{\"eos_token_id\":[10,1]}", MG_CORRUPT, "eos_token_id is [10,1]"},
        {"{\"pad_token_id\":-2}", MG_CORRUPT, "pad_token_id is -2"},
        {"{\"pad_token_id\":1.0}", MG_CORRUPT, "pad_token_id is 1.0"},
        {"{\"hidden_act\":\"gelu\"}", MG_UNSUPPORTED, "hidden_act is \"gelu\", wanted \"silu\""},
        {"{\"use_sliding_window\":true}", MG_UNSUPPORTED, "use_sliding_window is true"},
        {"{\"layer_types\":3}", MG_CORRUPT, "layer_types is 3"},
        {"{\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", MG_UNSUPPORTED,
         "layer_types"},
        {"{\"quantization_config\":{}}", MG_UNSUPPORTED, "quantization_config"},
        {"{\"rope_theta\":0}", MG_CORRUPT, "rope_theta is 0"},
        {"{\"rope_theta\":\"1e4\"}", MG_CORRUPT, "rope_theta is \"1e4\""},
        {"{\"rope_scaling\":3}", MG_CORRUPT, "rope_scaling is 3, wanted an object"},
        {"{\"rope_scaling\":{\"type\":\"yarn\"}}", MG_UNSUPPORTED,
         "rope_scaling: type is \"yarn\", wanted default or llama3"},
        {"{\"rope_scaling\":{\"rope_type\":1}}", MG_UNSUPPORTED, "rope_type is 1"},
        {"{\"rope_parameters\":{\"partial_rotary_factor\":0.5}}", MG_UNSUPPORTED,
         "rope_parameters: partial_rotary_factor is 0.5"},
        {"{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":2.0}}}", MG_UNSUPPORTED,
         "rope_parameters: full_attention"},
        {"{\"rope_theta\":5,\"rope_parameters\":{\"rope_theta\":6}}", MG_CORRUPT,
         "rope_parameters: rope_theta is 6, wanted the same"},
        {"{\"rope_scaling\":{\"type\":\"default\"},\"rope_parameters\":{\"rope_theta\":6}}",
         MG_CORRUPT, "rope_scaling is {\"type\":\"default\"}, wanted the same"},
        {SCALED("\"factor\":0.5"), MG_CORRUPT, "rope_scaling: factor is 0.5"},
        {SCALED("\"factor\":2"), MG_CORRUPT, "low_freq_factor is missing"},
        {SCALED("\"factor\":2,\"low_freq_factor\":1"), MG_CORRUPT, "high_freq_factor is missing"},
        {SCALED("\"factor\":2,\"low_freq_factor\":1,\"high_freq_factor\":2"), MG_CORRUPT,
         "original_max_position_embeddings is missing"},
        {SCALED("\"factor\":2,\"low_freq_factor\":1,\"high_freq_factor\":1,"
                "\"original_max_position_embeddings\":4"),
         MG_CORRUPT, "high_freq_factor is 1, wanted more than low_freq_factor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = patched(LLAMA, cases[i].patch);
        refused(text, cases[i].code, cases[i].words);
        free(text);
    }
    refused("", MG_CORRUPT, "line 1: JSON");
    refused("[]", MG_CORRUPT, "not an object");
    refused("{\n\"a\":1,\n\"a\":1}", MG_CORRUPT, "line 3: JSON: duplicate object key");
}

static void test_text(void **state) {
    (void)state;
    char           *text = NULL;
    mg_model_config c = parsed_patch(
        LLAMA, "{\"eos_token_id\":[3,4],\"rope_theta\":500000.0,\"rms_norm_eps\":1e-05,"
               "\"attention_bias\":true,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,"
               "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
               "\"original_max_position_embeddings\":4}}");
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_OK);
    assert_string_equal(text, "{\n"
                              "  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n"
                              "  \"model_type\": \"llama\",\n"
                              "  \"torch_dtype\": \"float32\",\n"
                              "  \"vocab_size\": 9,\n"
                              "  \"hidden_size\": 12,\n"
                              "  \"intermediate_size\": 5,\n"
                              "  \"num_hidden_layers\": 1,\n"
                              "  \"num_attention_heads\": 2,\n"
                              "  \"num_key_value_heads\": 2,\n"
                              "  \"head_dim\": 6,\n"
                              "  \"hidden_act\": \"silu\",\n"
                              "  \"max_position_embeddings\": 8,\n"
                              "  \"rope_theta\": 500000.0,\n"
                              "  \"rope_scaling\": {\n"
                              "    \"rope_type\": \"llama3\",\n"
                              "    \"factor\": 8.0,\n"
                              "    \"low_freq_factor\": 1.0,\n"
                              "    \"high_freq_factor\": 4.0,\n"
                              "    \"original_max_position_embeddings\": 4\n"
                              "  },\n"
                              "  \"rms_norm_eps\": 1e-5,\n"
                              "  \"initializer_range\": 0.02,\n"
                              "  \"tie_word_embeddings\": false,\n"
                              "  \"bos_token_id\": 1,\n"
                              "  \"eos_token_id\": 3,\n"
                              "  \"pad_token_id\": null,\n"
                              "  \"attention_bias\": true,\n"
                              "  \"mlp_bias\": false\n"
                              "}");
    free(text);
    c = parsed(QWEN2);
    c.scalar_head = true;
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_BF16, &text), MG_OK);
    assert_non_null(strstr(text, "\"Qwen2ForSequenceClassification\""));
    assert_non_null(strstr(text, "\"torch_dtype\": \"bfloat16\""));
    assert_non_null(strstr(text, "\"id2label\": {\n    \"0\": \"LABEL_0\"\n  }"));
    assert_non_null(strstr(text, "\"label2id\": {\n    \"LABEL_0\": 0\n  }"));
    assert_non_null(strstr(text, "\"use_sliding_window\": false"));
    assert_null(strstr(text, "attention_bias"));
    free(text);
}

// A number that 15 digits do not hold comes back with all its bits.
static void test_text_digits(void **state) {
    (void)state;
    mg_model_config c = parsed(LLAMA);
    char           *text = NULL;
    c.norm_eps = 0x1.5798ee2308c3bp-27;
    c.rope_theta = 1234567.1234567891;
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_OK);
    mg_model_config back = parsed(text);
    assert_true(back.norm_eps == c.norm_eps && back.rope_theta == c.rope_theta);
    free(text);
}

static void test_text_refusals(void **state) {
    (void)state;
    char           *text = NULL;
    mg_model_config c = parsed(LLAMA);
    c.o_bias = true;
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_UNSUPPORTED);
    assert_non_null(strstr(mg_err_detail(), "LlamaForCausalLM has no such biases"));
    c = parsed(QWEN2);
    c.mlp_bias = true;
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_UNSUPPORTED);
    c = parsed(QWEN2);
    c.qkv_bias = false;
    assert_int_equal(mg_folder_config_text(&c, MG_FILE_F32, &text), MG_UNSUPPORTED);
    assert_null(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_4),      cmocka_unit_test(test_qwen2_5),
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_rope),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_digits),  cmocka_unit_test(test_text_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
