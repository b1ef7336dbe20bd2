// folder_peer_test.c - models that transformers wrote: logits, greedy tokens, loss and gradients.
//
// MG_PEER_DIR names what `tools/peer_models.py write` made. Each model is saved again under
// MG_PEER_DIR/ours, in f32 and bf16, with our logits beside it, for `tools/peer_models.py check`.
#include <glob.h>

#include "nets/folder_expected.h"
#include "nets/generate.h"

#define TOLERANCE          1e-4 // of logits
#define GRADIENT_TOLERANCE 1e-3 // of a gradient's norm

static const char *peer_folder(void) {
    const char *folder = getenv("MG_PEER_DIR");
    if (!folder)
        fail_msg("MG_PEER_DIR is not set; wanted a folder from tools/peer_models.py write");
    return folder;
}

static void check_greedy(mg_model *m, const json_t *expected, mg_arena *arena) {
    const json_t *inputs = json_object_get(expected, "inputs");
    const json_t *greedy = json_object_get(expected, "greedy");
    int64_t       n = (int64_t)json_array_size(greedy);
    if (n == 0) return; // a score has no tokens
    mg_prompt  *prompts = MG_NEW(arena, mg_prompt, n);
    mg_sample  *samples = MG_NEW(arena, mg_sample, n);
    mg_sampling how = {.top_p = 1, .new_max = 20, .stop = -1};
    mg_rng      draws = mg_rng_stream(0, MG_PURPOSE_SAMPLE, 0);
    mg_arena    scratch;
    for (int64_t i = 0; i < n; i++) {
        prompts[i].tokens = ids_of(json_array_get(inputs, (size_t)i), arena, &prompts[i].n);
        samples[i].prompt = (int32_t)i;
    }
    assert_int_equal(mg_arena_init(&scratch, "scratch", (size_t)1 << 30), MG_OK);
    if (mg_generate(m, NULL, prompts, n, samples, n, &how, draws, arena, &scratch))
        fail_msg("%s", mg_err_detail());
    for (int64_t i = 0; i < n; i++) {
        // The list ends early where the two likeliest tokens are too close to tell.
        const json_t *wanted = json_array_get(greedy, (size_t)i);
        assert_int_equal(samples[i].n, 20);
        for (size_t k = 0; k < json_array_size(wanted); k++)
            assert_int_equal(samples[i].tokens[k],
                             json_integer_value(json_array_get(wanted, k)));
    }
    mg_arena_release(&scratch);
}

// -log sigmoid(s_0 - s_1) of the last tokens' scores (Bradley & Terry 1952).
static double score_loss(mg_tape *t, mg_model *m, mg_tensor *hidden, const mg_batch *b) {
    int32_t *rows = MG_NEW(t->arena, int32_t, 2);
    for (int i = 0; i < 2; i++)
        rows[i] = (int32_t)(b->sequences[i].row + b->sequences[i].n - 1);
    mg_tensor *s = mg_model_head(t, m, hidden, rows, 2);
    double     lost = 1 / (1 + exp((double)mg_f32(s)[0] - (double)mg_f32(s)[1]));
    mg_grad_f32(s)[0] = (float)-lost;
    mg_grad_f32(s)[1] = (float)lost;
    return -log1p(-lost);
}

// Mean cross entropy of each next token.
static double token_loss(mg_tape *t, mg_model *m, mg_tensor *hidden, const mg_batch *b) {
    int32_t *rows = MG_NEW(t->arena, int32_t, b->n_tokens);
    int32_t *targets = MG_NEW(t->arena, int32_t, b->n_tokens);
    int64_t  n = 0;
    for (int64_t s = 0; s < b->n_sequences; s++) {
        const mg_sequence *q = &b->sequences[s];
        for (int64_t i = q->row; i + 1 < q->row + q->n; i++, n++) {
            rows[n] = (int32_t)i;
            targets[n] = b->tokens[i + 1];
        }
    }
    mg_tensor *logp = mg_token_logp(t, mg_model_head(t, m, hidden, rows, n), targets, 1, NULL);
    double     loss = 0;
    for (int64_t i = 0; i < n; i++) {
        loss -= (double)mg_f32(logp)[i] / (double)n;
        mg_grad_f32(logp)[i] = -1 / (float)n;
    }
    return loss;
}

static void assert_close(const char *name, const char *what, double found, double wanted,
                         double allowed) {
    if (!(fabs(found - wanted) <= allowed))
        fail_msg("gradient of %s: %s %g, wanted %g", name, what, found, wanted);
}

static void check_gradients(mg_model *m, const json_t *expected, mg_arena *arena) {
    mg_tape    t = mg_tape_make(arena, NULL, true);
    mg_batch  *b = batch_of(json_object_get(expected, "batch"), arena);
    mg_tensor *hidden = NULL;
    mg_model_zero_grads(m);
    if (mg_model_hidden(&t, m, b, NULL, &hidden)) fail_msg("%s", mg_err_detail());
    double loss = m->config.scalar_head ? score_loss(&t, m, hidden, b)
                                        : token_loss(&t, m, hidden, b);
    double wanted = json_number_value(json_object_get(expected, "loss"));
    if (!(fabs(loss - wanted) <= 1e-5 * (1 + wanted)))
        fail_msg("loss is %.8g, wanted %.8g", loss, wanted);
    mg_tape_backward(&t);

    const json_t *norms = json_object_get(expected, "gradient_norms");
    const json_t *projections = json_object_get(expected, "gradient_projections");
    assert_int_equal(json_object_size(norms), m->n_params);
    for (int64_t i = 0; i < m->n_params; i++) {
        const mg_param *p = &m->params[i];
        const float    *g = mg_grad_f32(&p->tensor);
        double          square = 0, projection = 0;
        for (int64_t j = 0; j < mg_tensor_count(&p->tensor); j++) {
            square += (double)g[j] * g[j];
            projection += (double)g[j] * cos((double)j);
        }
        const double norm = json_number_value(json_object_get(norms, p->name));
        const double allowed = GRADIENT_TOLERANCE * norm + 1e-6;
        assert_close(p->name, "norm", sqrt(square), norm, allowed);
        assert_close(p->name, "projection", projection,
                     json_number_value(json_object_get(projections, p->name)), allowed);
    }
}

static json_t *logits_json(const mg_tensor *z, const mg_batch *b) {
    json_t *logits = json_array();
    for (int64_t s = 0; s < b->n_sequences; s++) {
        json_t *rows = json_array();
        for (int64_t i = b->sequences[s].row; i < b->sequences[s].row + b->sequences[s].n; i++) {
            json_t *row = json_array();
            for (int64_t j = 0; j < z->cols; j++)
                json_array_append_new(row, json_real((double)mg_f32(z)[i * z->cols + j]));
            json_array_append_new(rows, row);
        }
        json_array_append_new(logits, rows);
    }
    return logits;
}

// Saves, reads back, and stores beside it what the read model computes.
static void save(const mg_model *m, const char *folder, mg_file_dtype dtype, const char *origin,
                 json_t *expected, mg_arena *arena) {
    if (mg_model_save(m, folder, dtype, origin)) fail_msg("%s", mg_err_detail());
    mg_model *back = loaded(folder, false);
    for (int64_t i = 0; i < m->n_weights && dtype == MG_FILE_F32; i++)
        assert_memory_equal(&back->weights[i], &m->weights[i], sizeof(float));
    mg_tape   t = mg_tape_make(arena, NULL, false);
    json_t   *inputs = json_object_get(expected, "inputs");
    mg_batch *b = batch_of(inputs, arena);
    json_t   *ours = json_pack("{s:O, s:o}", "inputs", inputs, "logits",
                               logits_json(logits_of(back, b, &t), b));
    assert_non_null(ours);
    assert_int_equal(json_dump_file(ours, mg_path(arena, "%s/expected.json", folder), 0), 0);
    json_decref(ours);
    mg_model_free(back);
}

static void check_model(const char *folder, const char *ours, const char *name) {
    mg_arena arena;
    assert_int_equal(mg_arena_init(&arena, "peer", (size_t)4 << 30), MG_OK);
    print_message("%s\n", folder);
    json_t   *expected = expected_read(folder);
    mg_model *m = loaded(folder, true);
    assert_logits(m, expected, TOLERANCE);
    check_greedy(m, expected, &arena);
    check_gradients(m, expected, &arena);
    save(m, mg_path(&arena, "%s/%s", ours, name), MG_FILE_F32, folder, expected, &arena);
    save(m, mg_path(&arena, "%s/%s-bf16", ours, name), MG_FILE_BF16, NULL, expected, &arena);
    mg_model_free(m);
    json_decref(expected);
    mg_arena_release(&arena);
}

static void test_peers(void **state) {
    (void)state;
    char   pattern[512], ours[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*/expected.json", peer_folder());
    snprintf(ours, sizeof ours, "%s/ours", peer_folder());
    if (glob(pattern, 0, NULL, &found) != 0) fail_msg("%s: nothing found", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *folder = found.gl_pathv[i];
        *strrchr(folder, '/') = 0;
        check_model(folder, ours, strrchr(folder, '/') + 1);
    }
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
