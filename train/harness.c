// harness.c - the manifest pinned, and the gate's account as JSON.
#include "train/harness.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"

mg_err mg_harness_pin(const mg_env_class *class, const void *world, mg_arena *arena, mg_manifest *out) {
    mg_env e;
    *out = (mg_manifest){0};
    if (!class->manifest) return MG_OK;
    mg_err err = mg_env_open(&e, class, world, arena);
    if (err) return err;
    const char *json = class->manifest(&e);
    err = json ? mg_manifest_read(json, strlen(json), arena, out) : MG_OK;
    mg_env_close(&e);
    return err;
}

const char *mg_harness_identity(const mg_env_class *class, const mg_manifest *m, mg_arena *arena) {
    return class ? mg_path(arena, "%s %s", class->name, m->name ? mg_hex(arena, m->hash, sizeof m->hash) : "") : "";
}

static json_t *tests_json(const mg_gate *g) {
    json_t *tests = json_array();
    for (int32_t i = 0; i < g->n_tests; i++) {
        const mg_gate_test *t = &g->tests[i];
        json_array_append_new(
            tests, json_pack("{s:s, s:I, s:I, s:f, s:f, s:b}", "name", t->name, "attempts",
                             (json_int_t)t->wealth.n, "failures", (json_int_t)t->wealth.hits,
                             "wealth_peak", exp(fmin(t->wealth.log_peak, 700)), "alpha", t->alpha,
                             "tripped", t->tripped != 0));
    }
    return tests;
}

static json_t *codes_json(const mg_gate *g) {
    json_t *codes = json_object();
    for (int c = MG_CODE_NONE + 1; c < MG_CODES; c++)
        if (g->by_code[c])
            json_object_set_new(codes, mg_code_name((mg_code)c), json_integer(g->by_code[c]));
    return codes;
}

mg_err mg_harness_text(const mg_gate *g, const mg_manifest *m, mg_arena *arena, const char **json) {
    const mg_exclusion *x = &g->exclusion;
    char                differs[80];
    mg_exclusion_covariate(x, x->covariate, differs);
    json_t *root = json_pack(
        "{s:s, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o, s:{s:I, s:f, s:f, s:b, s:s}}",
        "environment", m->name ? m->name : "", "attempts", (json_int_t)g->attempts, "failures",
        (json_int_t)g->failures, "rate",
        g->attempts ? (double)g->failures / (double)g->attempts : 0.0, "rate_bound", mg_gate_bound(g),
        "rate_max", g->rate_max, "retried", (json_int_t)g->retried, "excluded",
        (json_int_t)g->excluded, "dropped_groups", (json_int_t)g->dropped_groups, "admitted",
        (json_int_t)g->admitted, "tripped_at", (json_int_t)g->tripped_at, "stopped", mg_gate_stopped(g), "why",
        g->why, "tests", tests_json(g), "codes", codes_json(g), "exclusion", "windows", (json_int_t)x->windows, "auc",
        x->auc, "p", x->p, "alarm", x->alarm != 0, "differs_in", differs);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (text) *json = mg_arena_strdup(arena, text);
    json_decref(root);
    if (!text) return mg_fail(MG_NOMEM, "the gate's account");
    free(text);
    return MG_OK;
}

mg_err mg_harness_note(const mg_gate *g, const mg_manifest *m, mg_store *store, mg_arena *arena) {
    const char *text;
    mg_err      err = mg_harness_text(g, m, arena, &text);
    return err ? err : mg_store_note(store, "harness", text);
}
