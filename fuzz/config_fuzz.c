// config_fuzz.c - strangers' bytes as a configuration file.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/config_fuzz.c core/config.c
//       core/field.c core/arena.c core/err.c -lyaml -lm -o config_fuzz
// What is taken is within its field's limits, and written out it reads back and is written again in
// the same words.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/config.h"

#define TOP_FIELDS(F)                                                                              \
    F(name, algo, "ppo", 0, 0, "td3|ppo: the algorithm")                                           \
    F(text, model, "", 0, 0, "model folder")
#define NET_FIELDS(F)                                                                              \
    F(real, lr, 3e-4, 0, 1, "step size")                                                           \
    F(int, width, 4, 1, 64, "units")                                                               \
    F(flag, bias, true, 0, 0, "with bias")

typedef struct top_config {
    MG_CONFIG_STRUCT(TOP_FIELDS)
} top_config;
typedef struct net_config {
    MG_CONFIG_STRUCT(NET_FIELDS)
} net_config;

#define MG_CONFIG_OF top_config
static const mg_field top_fields[] = {MG_CONFIG_TABLE(TOP_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF
#define MG_CONFIG_OF net_config
static const mg_field net_fields[] = {MG_CONFIG_TABLE(NET_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

static top_config       top;
static net_config       net;
static const mg_section sections[] = {{"", top_fields, &top}, {"net", net_fields, &net}};
static mg_arena         arena;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// The file lies in memory: no disk is worn.
static mg_err read_text(const void *text, size_t size) {
    char      path[32];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MG_ASSERT(fd >= 0);
    const ssize_t written = write(fd, text, size);
    MG_ASSERT(written == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mg_config_defaults(sections, 2, &arena);
    const mg_err err = mg_config_read(sections, 2, path, &arena);
    close(fd);
    return err;
}

static char *written(size_t *size) {
    char *text = NULL;
    FILE *out  = open_memstream(&text, size);
    MG_ASSERT(out);
    mg_config_write(sections, 2, out);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (!arena.base && mg_arena_init(&arena, "fuzz", 1 << 20)) abort();
    mg_arena_reset(&arena, 0);
    if (read_text(bytes, size)) return 0;
    MG_ASSERT(net.lr >= 0 && net.lr <= 1 && net.width >= 1 && net.width <= 64);
    MG_ASSERT(strcmp(top.algo, "td3") == 0 || strcmp(top.algo, "ppo") == 0);

    size_t       first_size, second_size;
    char        *first = written(&first_size);
    const mg_err err   = read_text(first, first_size);
    MG_ASSERT(err == MG_OK);
    char *second = written(&second_size);
    MG_ASSERT(first_size == second_size && memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
    return 0;
}
