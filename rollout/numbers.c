// numbers.c - the note, and from bytes and decimals to numbers.
#include "rollout/numbers.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char note_name[] = "numbers";

mg_numbers mg_numbers_of(const mg_env_class *class) {
    const mg_space *seen = &class->observation, *done = &class->action;
    return (mg_numbers){.seen    = seen->kind == MG_SPACE_VECTOR ? seen->n : 0,
                        .done    = done->kind == MG_SPACE_VECTOR ? done->n : 0,
                        .choices = done->kind == MG_SPACE_DISCRETE ? done->n : 0};
}

mg_err mg_numbers_note(mg_store *s, const mg_numbers *n) {
    char text[128];
    if (n->seen == 0 && n->done == 0 && n->choices == 0) return MG_OK;
    snprintf(text, sizeof text, "{\"observation\": %lld, \"action\": %lld, \"choices\": %lld}", (long long)n->seen,
             (long long)n->done, (long long)n->choices);
    return mg_store_note(s, note_name, text);
}

mg_err mg_numbers_read(mg_store *s, mg_arena *arena, mg_numbers *out) {
    char  *text;
    mg_err err = mg_store_note_read(s, note_name, arena, &text);
    *out = (mg_numbers){0};
    if (err) return err == MG_EMPTY ? MG_OK : err;
    json_t    *note = json_loads(text, 0, NULL);
    json_int_t seen = 0, done = 0, choices = 0;
    const bool read = json_unpack(note, "{s:I, s:I, s:I}", "observation", &seen, "action", &done, "choices",
                                  &choices) == 0 && seen >= 0 && done >= 0 && choices >= 0;
    json_decref(note);
    if (!read)
        return mg_fail(MG_CORRUPT, "note %s: found '%.80s', wanted the sizes of a world's spaces", note_name, text);
    *out = (mg_numbers){.seen = seen, .done = done, .choices = choices};
    return MG_OK;
}

bool mg_numbers_seen(const mg_numbers *n, const mg_turn *t, float *out) {
    const size_t size = sizeof *out * (size_t)n->seen;
    if (n->seen == 0 || !t->observation || t->observation_size != size) return false;
    memcpy(out, t->observation, size);
    return true;
}

bool mg_numbers_done(const mg_numbers *n, const mg_turn *t, float *out) {
    const char *at = t->action;
    char       *end;
    if (n->done == 0 || !at) return false;
    for (int64_t i = 0; i < n->done; i++, at = end) {
        out[i] = strtof(at, &end);
        if (end == at) return false;
    }
    return *at == 0;
}
