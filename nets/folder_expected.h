// folder_expected.h - for tests: what transformers computed for a model folder, and what we do.
//
// expected.json is written by tools/peer_models.py, which describes it.
#ifndef MG_NETS_FOLDER_EXPECTED_H
#define MG_NETS_FOLDER_EXPECTED_H
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "nets/folder.h"

static inline mg_model *loaded(const char *folder, bool trained) {
    mg_model *m = NULL;
    if (mg_model_load(&m, folder, trained)) fail_msg("%s", mg_err_detail());
    return m;
}

static inline json_t *expected_read(const char *folder) {
    char         path[512];
    json_error_t e;
    snprintf(path, sizeof path, "%s/expected.json", folder);
    json_t *expected = json_load_file(path, 0, &e);
    if (!expected) fail_msg("%s: line %d: %s", path, e.line, e.text);
    return expected;
}

static inline int32_t *ids_of(const json_t *list, mg_arena *arena, int64_t *n) {
    *n = (int64_t)json_array_size(list);
    assert_true(*n > 0);
    int32_t *ids = MG_NEW(arena, int32_t, *n);
    for (int64_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return ids;
}

// The lists of ids as one batch.
static inline mg_batch *batch_of(const json_t *lists, mg_arena *arena) {
    mg_batch *b = MG_NEW(arena, mg_batch, 1);
    size_t    i;
    json_t   *list;
    int64_t   n_tokens = 0, n;
    json_array_foreach(lists, i, list) n_tokens += (int64_t)json_array_size(list);
    mg_batch_init(b, arena, n_tokens, (int64_t)json_array_size(lists));
    json_array_foreach(lists, i, list) {
        int32_t *ids = ids_of(list, arena, &n);
        mg_batch_add(b, ids, n, -1);
    }
    mg_batch_plan(b, arena);
    return b;
}

// Logits, or scores, of every token of the batch.
static inline mg_tensor *logits_of(mg_model *m, const mg_batch *b, mg_tape *t) {
    mg_tensor *hidden = NULL;
    int32_t   *rows = MG_NEW(t->arena, int32_t, b->n_tokens);
    for (int32_t i = 0; i < b->n_tokens; i++) rows[i] = i;
    if (mg_model_hidden(t, m, b, NULL, &hidden)) fail_msg("%s", mg_err_detail());
    return mg_model_head(t, m, hidden, rows, b->n_tokens);
}

// The largest difference from the expected logits; infinite when a shape differs.
static inline double logits_error(const mg_tensor *z, const json_t *logits) {
    double  worst = 0;
    int64_t row = 0;
    size_t  i, j, k;
    json_t *rows, *list, *value;
    json_array_foreach(logits, i, rows) {
        json_array_foreach(rows, j, list) {
            if (row == z->rows || (int64_t)json_array_size(list) != z->cols) return INFINITY;
            json_array_foreach(list, k, value) {
                double e = fabs(json_number_value(value) - mg_f32(z)[row * z->cols + (int64_t)k]);
                if (!(e <= worst)) worst = e; // NaN sticks
            }
            row++;
        }
    }
    return row == z->rows ? worst : INFINITY;
}

static inline void assert_logits(mg_model *m, const json_t *expected, double tolerance) {
    mg_arena arena;
    assert_int_equal(mg_arena_init(&arena, "expected", (size_t)1 << 30), MG_OK);
    mg_tape    t = mg_tape_make(&arena, NULL, false);
    mg_batch  *b = batch_of(json_object_get(expected, "inputs"), &arena);
    mg_tensor *z = logits_of(m, b, &t);
    double     e = logits_error(z, json_object_get(expected, "logits"));
    if (!(e <= tolerance)) fail_msg("logits differ by %g, wanted at most %g", e, tolerance);
    mg_arena_release(&arena);
}
#endif
