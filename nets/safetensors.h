// safetensors.h - the file format of Hugging Face's safetensors, read and written.
//
// Format: u64 length of the header, little endian; a JSON header {"name": {"dtype", "shape",
// "data_offsets": [begin, end]}, "__metadata__": {string: string}}; the data, without holes.
// A reader faces strangers' files: every length, offset and shape is checked against the file
// before anything is used.
#ifndef MG_NETS_SAFETENSORS_H
#define MG_NETS_SAFETENSORS_H
#include "core/arena.h"
#include "core/err.h"
#include <stdint.h>

#define MG_SAFETENSORS_HEADER_MAX 100000000u // bytes, the limit of the Rust reader
#define MG_SAFETENSORS_DIMS_MAX   8

typedef enum mg_file_dtype {
    MG_FILE_F32,
    MG_FILE_F16,
    MG_FILE_BF16,
    MG_FILE_F64,
    MG_FILE_I64
} mg_file_dtype;

typedef struct mg_file_tensor {
    const char   *name;
    mg_file_dtype dtype;
    int32_t       dims;
    int64_t       shape[MG_SAFETENSORS_DIMS_MAX];
    int64_t       count;  // product of shape
    const void   *data;   // into the mapped file, or what to write; not aligned when read
} mg_file_tensor;

typedef struct mg_safetensors mg_safetensors; // an open file, mapped read-only

// Errors: MG_NOMEM; MG_IO; MG_CORRUPT with the file's name and what is wrong (truncated, header
// size, JSON, unknown dtype, overlap, hole, overflow, shape that disagrees with the offsets).
mg_err mg_safetensors_open(mg_safetensors **out, const char *path) MG_MUST_USE;
void   mg_safetensors_close(mg_safetensors *s);
int64_t               mg_safetensors_count(const mg_safetensors *s);
const mg_file_tensor *mg_safetensors_at(const mg_safetensors *s, int64_t i); // by name
const mg_file_tensor *mg_safetensors_find(const mg_safetensors *s, const char *name); // or NULL
const char           *mg_safetensors_path(const mg_safetensors *s);

int64_t mg_file_tensor_size(const mg_file_tensor *t); // bytes of its data

// Copies to float with conversion (f16, bf16 exactly; f64 rounded). Error: MG_MISMATCH for
// MG_FILE_I64.
mg_err mg_file_tensor_to_f32(const mg_file_tensor *t, float *out) MG_MUST_USE;

// Writes atomically ("path.tmp", renamed): the old file survives a failure. Data follow one another
// in the order given; bf16 data are given as MG_FILE_BF16 bytes. Names differ, counts are the
// products of the shapes (asserted). Errors: MG_IO, MG_NOMEM.
mg_err mg_safetensors_write(const char *path, const mg_file_tensor *tensors,
                            int64_t n) MG_MUST_USE;

// float to bfloat16, round to nearest even; NaN stays NaN.
uint16_t mg_bf16(float x);
#endif
