// folder.h - a model folder in Hugging Face layout, both directions.
//
//   config.json               shape and family
//   model.safetensors         weights; or model.safetensors.index.json and its shards (reading)
//   tokenizer.json            see tokenizer.h
//   generation_config.json, tokenizer_config.json, special_tokens_map.json, chat_template.jinja
//                             carried along unread when a folder is derived from another
#ifndef MG_NETS_FOLDER_H
#define MG_NETS_FOLDER_H
#include "nets/model.h"
#include "nets/safetensors.h"

// The shape alone, from config.json. Errors as for mg_model_load.
mg_err mg_model_config_read(const char *folder, mg_model_config *out) MG_MUST_USE;

// Weights in f32, bf16, f16 or f64. A tied model may have the embedding again as lm_head.weight;
// rotary inv_freq buffers are passed over. Whether a tokenizer fits is for whoever loads both.
// Errors name the file and the key or tensor: MG_IO, MG_LIMIT (a JSON file too large), MG_NOMEM,
// MG_CORRUPT (not what it claims to be), MG_MISMATCH (a tensor missing, superfluous or of another
// shape), MG_UNSUPPORTED (architecture, activation, rope type, sliding window, quantization).
mg_err mg_model_load(mg_model **out, const char *folder, bool trained) MG_MUST_USE;

// Writes config.json and model.safetensors (f32 or bf16) and copies the carried files from
// `origin` (NULL: none). Each file is written atomically; the folder is made where it is missing.
// Errors: MG_IO, MG_LIMIT, MG_NOMEM, MG_UNSUPPORTED (biases that the family does not have there).
mg_err mg_model_save(const mg_model *m, const char *folder, mg_file_dtype dtype,
                     const char *origin) MG_MUST_USE;
#endif
