// tokenizer_fuzz.c - strangers' bytes as a tokenizer.json.
//
// Build and run with clang's libFuzzer, nets/testdata as the corpus:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/tokenizer_fuzz.c
//       nets/tokenizer.c nets/tokenizer_added.c nets/tokenizer_pattern.c nets/tokenizer_pieces.c
//       nets/tokenizer_read.c nets/bpe.c nets/bpe_tables.c core/arena.c core/err.c core/file.c
//       -ljansson -lpcre2-8 -lutf8proc -o tokenizer_fuzz
// What loads must be safe to use: the file itself, as far as it goes, is a text to encode; its ids
// are ids of the tokenizer and decode.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nets/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { TEXT_MAX = 2048 };

// The file lies in memory: no disk is worn.
static mg_tokenizer *load_bytes(const uint8_t *bytes, size_t size) {
    char          path[32];
    mg_tokenizer *t  = NULL;
    int           fd = memfd_create("fuzz", MFD_CLOEXEC);
    MG_ASSERT(fd >= 0);
    ssize_t written = write(fd, bytes, size);
    MG_ASSERT(written == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mg_err err = mg_tokenizer_load(&t, path);
    MG_ASSERT((err == MG_OK) == (t != NULL));
    MG_ASSERT((err != MG_CORRUPT && err != MG_UNSUPPORTED) || strstr(mg_err_detail(), path));
    close(fd);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    mg_tokenizer *t = load_bytes(bytes, size);
    mg_arena      arena;
    int32_t      *ids;
    int64_t       n;
    if (!t) return 0;
    mg_err err = mg_arena_init(&arena, "fuzz", (size_t)16 << 20);
    MG_ASSERT(!err);
    const size_t text_size = size < TEXT_MAX ? size : TEXT_MAX;
    err = mg_tokenizer_encode(t, (const char *)bytes, text_size, true, &arena, &ids, &n);
    for (int64_t i = 0; !err && i < n; i++)
        MG_ASSERT(ids[i] >= 0 && ids[i] < mg_tokenizer_vocab_size(t));
    if (!err) {
        char  *text;
        size_t back_size;
        err = mg_tokenizer_decode(t, ids, n, bytes[0] & 1, &arena, &text, &back_size);
        MG_ASSERT(!err || err == MG_LIMIT);
    }
    // Read as a stranger's text, it has no special token but those of a single byte.
    mg_arena_reset(&arena, 0);
    err = mg_tokenizer_encode_plain(t, (const char *)bytes, text_size, -1, &arena, &ids, &n);
    for (int64_t i = 0; !err && i < n; i++) {
        size_t token_size;
        mg_tokenizer_token_bytes(t, ids[i], &token_size);
        MG_ASSERT(!mg_tokenizer_is_special(t, ids[i]) || token_size == 1);
    }
    mg_arena_release(&arena);
    mg_tokenizer_free(t);
    return 0;
}
