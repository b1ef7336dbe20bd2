// reward_model.c - scoring with a learned reward.
#include "rewards/reward_model.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "core/file.h"

#define JSON_SIZE_MAX ((size_t)1 << 20)

static mg_err check_json(const json_t *root, const char *path) {
    const json_t *pool = json_object_get(root, "pool"), *scale = json_object_get(root, "scale");
    const char   *word = pool && json_is_string(pool) ? json_string_value(pool) : "no text";
    if (strcmp(word, "mean") && strcmp(word, "last"))
        return mg_fail(MG_CORRUPT, "%s: pool: found '%s', wanted 'mean' or 'last'", path, word);
    if (!json_is_number(json_object_get(root, "centre")))
        return mg_fail(MG_CORRUPT, "%s: centre: wanted a number", path);
    if (!json_is_number(scale) || !(json_number_value(scale) > 0))
        return mg_fail(MG_CORRUPT, "%s: scale: found %g, wanted a positive number", path,
                       json_number_value(scale));
    if (json_object_size(root) != 3)
        return mg_fail(MG_CORRUPT, "%s: found %zu keys, wanted pool, centre and scale", path,
                       json_object_size(root));
    return MG_OK;
}

static mg_err read_json(const char *folder, mg_arena *arena, mg_reward_model *out) {
    const char  *path = mg_path(arena, "%s/reward_model.json", folder);
    char        *text;
    size_t       size;
    json_error_t at;
    mg_err       err = mg_file_read(path, JSON_SIZE_MAX, arena, &text, &size);
    if (err) return err;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    if (!root) return mg_fail(MG_CORRUPT, "%s:%d:%d: %s", path, at.line, at.column, at.text);
    err = check_json(root, path);
    if (!err) {
        const bool mean = strcmp(json_string_value(json_object_get(root, "pool")), "mean") == 0;
        out->pool       = mean ? MG_POOL_MEAN : MG_POOL_LAST;
        out->centre     = json_number_value(json_object_get(root, "centre"));
        out->scale      = json_number_value(json_object_get(root, "scale"));
    }
    json_decref(root);
    return err;
}

mg_err mg_reward_model_load(mg_reward_model *out, const char *folder) {
    mg_arena        arena;
    mg_reward_model r   = {0};
    mg_err          err = mg_arena_init(&arena, "reward_model.json", 4 * JSON_SIZE_MAX);
    if (err) return err;
    err = read_json(folder, &arena, &r);
    if (!err) err = mg_model_load(&r.model, folder, false);
    if (!err && !r.model->config.scalar_head)
        err = mg_fail(MG_MISMATCH, "%s: a language model, wanted one with a scalar head", folder);
    mg_arena_release(&arena);
    if (err)
        mg_reward_model_release(&r);
    else
        *out = r;
    return err;
}

void mg_reward_model_release(mg_reward_model *r) {
    mg_model_free(r->model);
    *r = (mg_reward_model){0};
}

mg_err mg_reward_model_save(const mg_reward_model *r, const char *folder, mg_file_dtype dtype,
                            const char *origin) {
    char path[4096], text[256];
    mg_err err = mg_model_save(r->model, folder, dtype, origin);
    if (err) return err;
    int n = snprintf(text, sizeof text, "{\"pool\": \"%s\", \"centre\": %.17g, \"scale\": %.17g}\n",
                     r->pool == MG_POOL_MEAN ? "mean" : "last", r->centre, r->scale);
    if (snprintf(path, sizeof path, "%s/reward_model.json", folder) >= (int)sizeof path)
        return mg_fail(MG_LIMIT, "%s: the path is too long", folder);
    return mg_file_write(path, text, (size_t)n);
}

void mg_pool_forward(mg_pool pool, const mg_answers *a, const float *token_scores, double *scores) {
    for (int64_t i = 0; i < a->n_answers; i++) {
        const int64_t n = a->answers[i].n;
        double        sum = 0;
        for (int64_t k = 0; k < n; k++) sum += (double)token_scores[k];
        scores[i] = pool == MG_POOL_MEAN ? sum / (double)n : (double)token_scores[n - 1];
        token_scores += n;
    }
}

void mg_pool_backward(mg_pool pool, const mg_answers *a, const double *dscores,
                      float *dtoken_scores) {
    for (int64_t i = 0; i < a->n_answers; i++) {
        const int64_t n = a->answers[i].n;
        if (pool == MG_POOL_LAST) dtoken_scores[n - 1] += (float)dscores[i];
        for (int64_t k = 0; k < n && pool == MG_POOL_MEAN; k++)
            dtoken_scores[k] += (float)(dscores[i] / (double)n);
        dtoken_scores += n;
    }
}

mg_err mg_reward_model_score(mg_reward_model *r, mg_team *team, const mg_answers *a, int64_t batch,
                             mg_arena *scratch, double *reward) {
    mg_err       err  = MG_OK;
    const size_t mark = mg_arena_mark(scratch);
    for (int64_t i = 0; i < a->n_answers && !err; i += batch) {
        const int64_t    end  = i + batch < a->n_answers ? i + batch : a->n_answers;
        const mg_answers part = mg_answers_view(a, i, end);
        mg_tape          tape = mg_tape_make(scratch, team, false);
        mg_tensor       *tokens;
        err = mg_answers_scores(&tape, r->model, &part, &tokens);
        if (!err) mg_pool_forward(r->pool, &part, mg_f32(tokens), reward + i);
        for (int64_t k = i; k < end && !err; k++) {
            reward[k] = (reward[k] - r->centre) / r->scale;
            if (!isfinite(reward[k]))
                err = mg_fail(MG_NUMERIC, "the reward model's score of answer %lld is %g",
                              (long long)k, reward[k]);
        }
        mg_arena_reset(scratch, mark);
    }
    return err;
}
