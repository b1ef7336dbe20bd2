// taxonomy.c - names and sides of the codes.
#include "harness/taxonomy.h"

#include <string.h>

static const struct {
    const char *name, *meaning;
} codes[MG_CODES] = {
#define ROW(id, name, meaning) [MG_##id] = {name, meaning},
    MG_CODE_LIST(ROW)
#undef ROW
};

const char *mg_code_name(mg_code c) { return codes[c].name; }
const char *mg_code_meaning(mg_code c) { return codes[c].meaning; }

mg_code mg_code_find(const char *name) {
    if (!name) return MG_CODE_NONE;
    for (int c = MG_CODE_NONE + 1; c < MG_CODES; c++)
        if (strcmp(codes[c].name, name) == 0) return (mg_code)c;
    return MG_H_UNKNOWN;
}

bool mg_code_is_model(mg_code c) { return c != MG_CODE_NONE && codes[c].name[0] == 'M'; }

bool mg_episode_harness_failed(const mg_episode *e) {
    return e->verdict != MG_CLEAN && !mg_code_is_model(mg_code_find(e->code));
}
