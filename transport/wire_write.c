// wire_write.c - requests as JSON lines.
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "transport/wire.h"

const char *mg_wire_call_name(mg_wire_call c) {
    static const char *const names[MG_WIRE_CALLS] = {
        [MG_WIRE_HELLO] = "hello",           [MG_WIRE_RESET] = "reset",
        [MG_WIRE_STEP] = "step",             [MG_WIRE_DIGEST] = "digest",
        [MG_WIRE_ADMISSIBLE] = "admissible", [MG_WIRE_SNAPSHOT] = "snapshot",
        [MG_WIRE_RESTORE] = "restore",       [MG_WIRE_CLOSE] = "close"};
    return names[c];
}

// Bytes of the well-formed UTF-8 sequence at the start of s (The Unicode Standard 15, table 3-7);
// 0: none.
static size_t sequence(const unsigned char *s, size_t size) {
    const unsigned char c = s[0];
    if (c < 0x80) return 1;
    const size_t n = c >= 0xC2 && c <= 0xDF   ? 2
                     : c >= 0xE0 && c <= 0xEF ? 3
                     : c >= 0xF0 && c <= 0xF4 ? 4
                                              : 0;
    if (n == 0 || size < n) return 0;
    const unsigned char low  = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xBF) return 0;
    return n;
}

// A policy's tokens may spell half a character; the record keeps the bytes, the wire cannot.
static json_t *text_json(const char *text, size_t size) {
    json_t *whole = json_stringn(text ? text : "", size);
    if (whole) return whole;
    char *mended = malloc(3 * size + 1);
    if (!mended) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        const size_t good = sequence((const unsigned char *)text + i, size - i);
        memcpy(mended + n, good ? text + i : "\xEF\xBF\xBD", good ? good : 3);
        n += good ? good : 3;
        i += good ? good : 1;
    }
    whole = json_stringn_nocheck(mended, n);
    free(mended);
    return whole;
}

static mg_err action_json(const mg_value *action, const mg_space *space, json_t *o) {
    json_t *value = NULL;
    if (action->kind == MG_SPACE_TEXT)
        value = text_json(action->text, action->size);
    else if (action->kind == MG_SPACE_DISCRETE)
        value = json_integer(action->index);
    else {
        value = json_array();
        for (size_t i = 0; i < (size_t)space->n; i++) {
            if (!isfinite(action->vector[i])) {
                json_decref(value);
                return mg_fail(MG_NUMERIC, "action: number %zu is not finite", i);
            }
            json_array_append_new(value, json_real((double)action->vector[i]));
        }
    }
    json_object_set_new(o, "action", value);
    if (action->open) json_object_set_new(o, "open", json_true());
    return MG_OK;
}

static void reset_json(const mg_wire_request *r, json_t *o) {
    json_object_set_new(o, "seed", json_integer((json_int_t)(r->seed & INT64_MAX)));
    json_object_set_new(o, "item", json_integer(r->options->item));
    json_object_set_new(o, "now_ns", json_integer(r->now_ns));
    if (r->options->prefix)
        json_object_set_new(o, "prefix", text_json(r->options->prefix, r->options->prefix_size));
}

static mg_err restore_json(const mg_wire_request *r, json_t *o) {
    json_t *snapshot = json_loadb(r->bytes, r->n_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!snapshot)
        return mg_fail(MG_CORRUPT, "restore: %zu bytes that are no snapshot", r->n_bytes);
    json_object_set_new(o, "snapshot", snapshot);
    return MG_OK;
}

mg_err mg_wire_write(const mg_wire_request *r, char **line, size_t *size) {
    char    nonce[17];
    mg_err  err = MG_OK;
    json_t *o   = json_object();
    snprintf(nonce, sizeof nonce, "%016" PRIx64, r->nonce);
    json_object_set_new(o, "id", json_integer((json_int_t)r->id));
    json_object_set_new(o, "nonce", json_string(nonce));
    json_object_set_new(o, "call", json_string(mg_wire_call_name(r->call)));
    if (r->call == MG_WIRE_RESET) reset_json(r, o);
    if (r->call == MG_WIRE_STEP) {
        err = action_json(r->action, r->space, o);
        json_object_set_new(o, "now_ns", json_integer(r->now_ns));
    }
    if (r->call == MG_WIRE_RESTORE) err = restore_json(r, o);

    char *text = err ? NULL : json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(o);
    if (err) return err;
    if (!text)
        return mg_fail(MG_NOMEM, "%s: no memory for its message", mg_wire_call_name(r->call));
    const size_t n = strlen(text);
    if (n >= MG_WIRE_LINE_MAX) {
        free(text);
        return mg_fail(MG_LIMIT, "%s: found a message of %zu bytes, wanted at most %d",
                       mg_wire_call_name(r->call), n, MG_WIRE_LINE_MAX);
    }
    text[n] = '\n'; // in the place of the terminating 0: a line, not a string
    *line = text, *size = n + 1;
    return MG_OK;
}
