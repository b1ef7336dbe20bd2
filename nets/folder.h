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

// Errors name the file and the key: MG_IO, MG_CORRUPT, MG_MISMATCH (a tensor missing, superfluous
// or of another shape), MG_UNSUPPORTED (family, activation, rope type, sliding window in use).
mg_err mg_model_load(mg_model **out, const char *folder, bool trained) MG_MUST_USE;

// Writes config.json and model.safetensors (f32 or bf16) and copies the carried files from
// `origin` (NULL: none). Each file is written atomically.
mg_err mg_model_save(const mg_model *m, const char *folder, mg_file_dtype dtype,
                     const char *origin) MG_MUST_USE;
#endif
