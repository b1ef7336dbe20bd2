// json.c - results as JSON.
#include "app/json.h"

#include <math.h>
#include <string.h>

#include "core/file.h"

#define STYLE (JSON_INDENT(2) | JSON_REAL_PRECISION(9))

void mg_json_print(json_t *root) {
    json_dumpf(root, stdout, STYLE);
    printf("\n");
    json_decref(root);
}

mg_err mg_json_write(const char *path, json_t *root) {
    char  *text = json_dumps(root, STYLE);
    mg_err err  = text ? mg_file_write(path, text, strlen(text)) : mg_fail(MG_NOMEM, "%s", path);
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
