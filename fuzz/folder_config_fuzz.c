// folder_config_fuzz.c - strangers' bytes as a config.json.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/folder_config_fuzz.c
//       nets/folder_config.c core/err.c -ljansson -lm -o folder_config_fuzz
// What is read is written and read again, and then written in the same words.
#include <stdint.h>
#include <string.h>

#include "nets/folder_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    mg_model_config c, again;
    char           *text = NULL, *same = NULL;
    if (mg_folder_config_parse("f", (const char *)bytes, size, &c)) return 0;
    mg_err err = mg_folder_config_text(&c, MG_FILE_F32, &text);
    MG_ASSERT(err == MG_OK);
    err = mg_folder_config_parse("f", text, strlen(text), &again);
    MG_ASSERT(err == MG_OK);
    err = mg_folder_config_text(&again, MG_FILE_F32, &same);
    MG_ASSERT(err == MG_OK && strcmp(text, same) == 0);
    free(text);
    free(same);
    return 0;
}
