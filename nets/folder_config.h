// folder_config.h - the config.json of a model folder, both directions, without the disk.
//
// Read as transformers 4 and 5 write it (5 nests rope_theta and the scaling in rope_parameters). An
// absent key means what it means there: the default of LlamaConfig or Qwen2Config, but the numbers
// that shape the weights are required. Of a list of eos_token_id the first is taken; the whole list
// stays in generation_config.json, which is carried along unread.
#ifndef MG_NETS_FOLDER_CONFIG_H
#define MG_NETS_FOLDER_CONFIG_H
#include "nets/model.h"
#include "nets/safetensors.h"

// text [size] is the file's content, path its name for sentences.
// Errors: MG_CORRUPT (JSON, a key missing or of another type or range), MG_UNSUPPORTED
// (architecture, activation, rope type, sliding window, quantization). Whether the sizes fit
// together is left to mg_model_new.
mg_err mg_folder_config_parse(const char *path, const char *text, size_t size,
                              mg_model_config *out) MG_MUST_USE;

// What both versions read. dtype: that of the weights beside it. *text is malloc'ed, the caller's.
// Errors: MG_UNSUPPORTED (biases that the family does not have there), MG_NOMEM.
mg_err mg_folder_config_text(const mg_model_config *c, mg_file_dtype dtype,
                             char **text) MG_MUST_USE;
#endif
