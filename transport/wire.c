// wire.c - lines read as answers: what belongs to the open call, and what failed.
#include "transport/wire.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "transport/wire_json.h"

// Numbers that JSON or jansson does not know, written so that they can be read: what is not finite
// as a text, an integer beyond 64 bits as a real. NULL: there was none, the line is as it is.
static char *mend(const char *line, size_t size, size_t *mended_size) {
    char *in = malloc(size + 1), *out = malloc(3 * size + 1); // a token grows by two bytes
    size_t n = 0;
    bool   any = false, quoted = false;
    if (!in || !out) size = 0;
    if (in && size) memcpy(in, line, size);
    if (in) in[size] = 0; // where strtod stops at the latest
    for (size_t i = 0; i < size;) {
        const char c = in[i];
        if (quoted || !(isdigit((unsigned char)c) || c == '-' || c == 'N' || c == 'I')) {
            if (c == '"') quoted = !quoted;
            out[n++] = in[i++];
            if (quoted && c == '\\' && i < size) out[n++] = in[i++];
            continue;
        }
        size_t token = 1;
        while (i + token < size &&
               (isalnum((unsigned char)in[i + token]) || strchr("+-.", in[i + token])) &&
               in[i + token])
            token++;
        char        *end;
        const double x    = strtod(in + i, &end);
        const bool whole  = end == in + i + token;
        const bool strange = whole && !isfinite(x);
        errno = 0;
        (void)strtoll(in + i, &end, 10);
        const bool wide = end == in + i + token && errno == ERANGE;
        any |= strange || wide;
        if (strange) out[n++] = '"';
        memcpy(out + n, in + i, token);
        n += token, i += token;
        if (strange) out[n++] = '"';
        if (wide && !strange) out[n++] = '.', out[n++] = '0';
    }
    free(in);
    if (!any) free(out), out = NULL;
    *mended_size = n;
    return out;
}

static mg_err parse(const char *line, size_t size, json_t **root) {
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_error_t why;
    size_t       n;
    *root = json_loadb(line, size, flags, &why);
    if (!*root) {
        char *mended = mend(line, size, &n);
        if (mended) *root = json_loadb(mended, n, flags, &why);
        free(mended);
    }
    char seen[41] = "";
    for (size_t i = 0; i < 40 && i < size; i++)
        seen[i] = isprint((unsigned char)line[i]) ? line[i] : '?';
    if (!*root)
        return mg_fail(MG_CORRUPT, "found the line '%s%s', wanted a JSON message (%s)", seen,
                       size > 40 ? "..." : "", why.text);
    if (!json_is_object(*root)) {
        json_decref(*root);
        return mg_fail(MG_CORRUPT, "found the line '%s%s', wanted a JSON object", seen,
                       size > 40 ? "..." : "");
    }
    return MG_OK;
}

static mg_err failure(mg_wire_answer *a, mg_wire_call call) {
    static const char *const keys[] = {"id", "nonce", "error", "code", "info", NULL};
    const json_t *error = json_object_get(a->root, "error");
    const char   *code;
    if (!error) return MG_OK;
    mg_err err = mg_wire_known_keys(a->root, keys);
    a->error   = mg_wire_plain_string(error);
    if (!err && !a->error) err = mg_wire_wanted("error", error, "a sentence");
    if (!err) err = mg_wire_get_string(a->root, "code", &code);
    if (err) return err;
    a->code = code ? mg_code_find(code) : call == MG_WIRE_RESET ? MG_E_RESET : MG_E_STEP;
    if (mg_code_is_model(a->code) || mg_code_name(a->code)[0] == 'H')
        return mg_wire_wanted("code", json_object_get(a->root, "code"),
                      "one of E, V, S, T, P, U in the taxonomy");
    return MG_OK;
}

mg_err mg_wire_read(const char *line, size_t size, mg_wire_call call, mg_wire_answer *out) {
    mg_wire_answer a   = {0};
    mg_err         err = parse(line, size, &a.root);
    if (err) return err;
    const json_t *id = json_object_get(a.root, "id");
    if (json_is_integer(id) && json_integer_value(id) > 0) a.id = (uint64_t)json_integer_value(id);
    if (!mg_wire_hex(mg_wire_plain_string(json_object_get(a.root, "nonce")), 16, &a.nonce))
        a.nonce = 0;
    err = failure(&a, call);
    if (err)
        mg_wire_release(&a);
    else
        *out = a;
    return err;
}

void mg_wire_release(mg_wire_answer *a) {
    json_decref(a->root);
    *a = (mg_wire_answer){0};
}
