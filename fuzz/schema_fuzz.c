// schema_fuzz.c - strangers' bytes as a schema, a line feed, and a value.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/schema_fuzz.c env/schema.c
//       env/place.c core/err.c -ljansson -lpcre2-8 -lm -o schema_fuzz
// A value keeps a schema exactly where it does not keep the schema's negation; what is refused
// has a sentence.
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "env/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// Whether the value keeps it: 1, 0, or -1 where it is no JSON.
static int keeps(const mg_schema *s, const char *value, size_t size) {
    const mg_err err = mg_schema_check_text(s, value, size);
    MG_ASSERT(!err || (err == MG_MISMATCH && *mg_err_detail()));
    return !err ? 1 : mg_err_detail()[0] == '$' ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const uint8_t *end = size ? memchr(bytes, '\n', size) : NULL;
    if (!end) return 0;
    const char  *value = (const char *)end + 1;
    const size_t n     = size - (size_t)(end + 1 - bytes);
    json_t *from = json_loadb((const char *)bytes, (size_t)(end - bytes), JSON_DECODE_ANY, NULL);
    if (!from) return 0;
    json_t    *negated = json_pack("{s:O}", "not", from);
    mg_schema *s = NULL, *contrary = NULL;
    mg_err     err = mg_schema_new(&s, from);
    MG_ASSERT(!err || ((err == MG_CORRUPT || err == MG_LIMIT) && *mg_err_detail() && !s));
    const bool both = !err && !mg_schema_new(&contrary, negated); // else it is one schema too deep
    if (both) {
        const int a = keeps(s, value, n), b = keeps(contrary, value, n);
        MG_ASSERT(a == -1 ? b == -1 : a + b == 1);
    }
    mg_schema_free(s);
    mg_schema_free(contrary);
    json_decref(negated);
    json_decref(from);
    return 0;
}
