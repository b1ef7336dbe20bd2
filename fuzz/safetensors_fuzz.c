// safetensors_fuzz.c - strangers' bytes as a safetensors file.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/safetensors_fuzz.c
//       nets/safetensors.c core/err.c -ljansson -o safetensors_fuzz
// What opens must be safe to use: every tensor is found by its name and every number of it is read;
// together they are no larger than the file.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nets/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// The file lies in memory: no disk is worn.
static mg_safetensors *open_bytes(const uint8_t *bytes, size_t size) {
    char            path[32];
    mg_safetensors *s = NULL;
    int             fd = memfd_create("fuzz", MFD_CLOEXEC);
    MG_ASSERT(fd >= 0);
    ssize_t written = write(fd, bytes, size);
    MG_ASSERT(written == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mg_err err = mg_safetensors_open(&s, path);
    MG_ASSERT((err == MG_OK) == (s != NULL) && (!err || strstr(mg_err_detail(), path)));
    close(fd);
    return s;
}

static float checksum; // so that no read is optimised away

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    mg_safetensors *s = open_bytes(bytes, size);
    if (!s) return 0;
    int64_t before = 0;
    for (int64_t i = 0; i < mg_safetensors_count(s); i++) {
        const mg_file_tensor *t = mg_safetensors_at(s, i);
        MG_ASSERT(mg_safetensors_find(s, t->name) == t);
        MG_ASSERT((size_t)t->count <= size);
        float *x = calloc((size_t)t->count + 1, sizeof *x);
        if (mg_file_tensor_to_f32(t, x) == MG_OK) {
            for (int64_t j = 0; j < t->count; j++) checksum += mg_bf16(x[j]);
        }
        free(x);
        before += t->count;
    }
    MG_ASSERT((size_t)before <= size);
    mg_safetensors_close(s);
    return 0;
}
