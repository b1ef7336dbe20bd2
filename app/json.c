// json.c - results as JSON.
#include "app/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/file.h"

#define STYLE (JSON_INDENT(2) | JSON_REAL_PRECISION(9))

static mg_err check(const json_t *root, const char *what) {
    if (root) return MG_OK;
    return mg_fail(MG_CORRUPT, "%s: found a name or another text that is not UTF-8, wanted UTF-8, as JSON is", what);
}

mg_err mg_json_print(json_t *root) {
    mg_err err = check(root, "--json");
    if (!err && (json_dumpf(root, stdout, STYLE) != 0 || putchar('\n') == EOF || fflush(stdout) != 0))
        err = mg_fail(MG_IO, "write the result: %s", strerror(errno));
    json_decref(root);
    return err;
}

mg_err mg_json_write(const char *path, json_t *root) {
    mg_err err  = check(root, path);
    char  *text = err ? NULL : json_dumps(root, STYLE);
    if (!err) err = text ? mg_file_write(path, text, strlen(text)) : mg_fail(MG_NOMEM, "%s", path);
    free(text);
    json_decref(root);
    return err;
}

json_t *mg_json_number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

json_t *mg_json_mean(const mg_mean *m) {
    if (isnan(m->mean)) return json_null();
    return json_pack("{s:f, s:f, s:f, s:I}", "estimate", m->mean, "low", m->low, "high", m->high, "n",
                     (json_int_t)m->n);
}

json_t *mg_json_duel(const mg_duel *d) {
    if (d->n == 0) return json_null();
    return json_pack("{s:f, s:f, s:f, s:I, s:b}", "estimate", d->rate, "low", d->low, "high", d->high,
                     "n", (json_int_t)d->n, "decided", d->decided);
}
