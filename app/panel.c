// panel.c - judges put together.
#include "app/panel.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "store/jsonl.h"

#define ARENA_MAX   ((size_t)16 << 30) // address space
#define SCRATCH_MAX ((size_t)64 << 30)
#define BATCH       128 // answers at a time

const mg_panel_options mg_panel_defaults = {
    .split = "test", .rows = 1000, .template = "{prompt}\n", .prompt_max = 72, .response_max = 24,
    .temperature = 0.7, .seed = 1};

const char *const mg_column_name[MG_COLUMNS] = {
    [MG_COLUMN_GOLD] = "gold",       [MG_COLUMN_REWARD] = "reward", [MG_COLUMN_KL] = "kl",
    [MG_COLUMN_ROUGE_L] = "rouge_l", [MG_COLUMN_LENGTH] = "length", [MG_COLUMN_STOPPED] = "stopped"};

// A split lies in the order of its file, such as of package names, but anytime-valid tests ask that the
// next row be like the ones before it, and a first part of the rows should stand for all. One fixed
// order for everybody: whoever is judged meets the same rows.
static const int64_t *shuffle(mg_pair *rows, int64_t n, mg_arena *arena, mg_arena *scratch) {
    const size_t mark  = mg_arena_mark(scratch);
    int64_t     *order = MG_NEW(arena, int64_t, n);
    mg_pair     *copy  = MG_NEW(scratch, mg_pair, n);
    mg_rng       rng   = mg_rng_stream(0, MG_PURPOSE_EVAL, 0);
    memcpy(copy, rows, sizeof *rows * (size_t)n);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    mg_rng_shuffle(&rng, order, n);
    for (int64_t i = 0; i < n; i++) rows[i] = copy[order[i]];
    mg_arena_reset(scratch, mark);
    return order;
}

static mg_err open_rows(mg_panel *p, const mg_panel_options *o, const mg_pair **rows, int64_t *n) {
    mg_pair *train, *held;
    int64_t  n_train;
    mg_err   err = mg_pairs_read(mg_path(&p->arena, "%s/train.jsonl", o->data), &p->arena, &train,
                                 &n_train);
    if (!err)
        err = mg_pairs_read(mg_path(&p->arena, "%s/%s.jsonl", o->data, o->split), &p->arena, &held, n);
    if (err) return err;
    p->row = shuffle(held, *n, &p->arena, &p->scratch);
    if (*n > o->rows) *n = o->rows;
    *rows = held;
    return mg_app_world_over("synopsis", train, n_train, held, *n, &p->arena, &p->world);
}

// A person must see what the policies do not get to read. A prompt that cannot be read at all
// spoils its own episodes later.
static void count_cut(mg_panel *p) {
    for (int64_t i = 0; i < p->judge.n; i++) {
        const size_t mark = mg_arena_mark(&p->scratch);
        const char  *text = p->judge.rows[i].prompt;
        int32_t     *ids;
        int64_t      n;
        bool         cut;
        if (!mg_prompt_encode(p->tokenizer, &p->judge.rule, text, strlen(text), &p->scratch, &ids,
                              &n, &cut))
            p->cut += cut;
        mg_arena_reset(&p->scratch, mark);
    }
    if (p->cut > 0)
        mg_log(MG_LOG_INFO, "data: %lld of %lld prompts cut to %lld tokens", (long long)p->cut,
               (long long)p->judge.n, (long long)p->judge.rule.prompt_max);
}

// Everything judges the same tokens. A model without a tokenizer is taken at its word.
static mg_err check_tokens(mg_panel *p, const char *folder, const mg_model *m) {
    const char   *path = mg_path(&p->arena, "%s/tokenizer.json", folder);
    const int     n    = mg_tokenizer_vocab_size(p->tokenizer);
    mg_tokenizer *own  = NULL;
    if (m->config.vocab < n)
        return mg_fail(MG_MISMATCH, "%s: %lld tokens, but the tokenizer has %d", folder,
                       (long long)m->config.vocab, n);
    if (!mg_file_exists(path)) return MG_OK;
    mg_err err = mg_tokenizer_load(&own, path);
    if (err) return err;
    bool same = mg_tokenizer_vocab_size(own) == n;
    for (int32_t id = 0; id < n && same; id++) {
        size_t      a_size, b_size;
        const char *a = mg_tokenizer_token_bytes(p->tokenizer, id, &a_size);
        const char *b = mg_tokenizer_token_bytes(own, id, &b_size);
        same = a_size == b_size && memcmp(a, b, a_size) == 0;
    }
    mg_tokenizer_free(own);
    if (same) return MG_OK;
    return mg_fail(MG_MISMATCH, "%s: other tokens than those of the policy; models that judge one "
                                "another need the same", path);
}

static mg_err open_judges(mg_panel *p, const mg_panel_options *o) {
    mg_err err = MG_OK;
    if (o->reward_model) {
        const char *folder = mg_policy_folder(o->reward_model, &p->arena);
        err = mg_reward_model_load(&p->reward, folder);
        if (!err) err = check_tokens(p, folder, p->reward.model);
    }
    return err || !o->reference ? err : mg_panel_policy(p, o->reference, &p->reference);
}

mg_err mg_panel_check(const char *run_or_model) {
    char path[4096];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, i ? "%s/model/config.json" : "%s/config.json", run_or_model);
        if (mg_file_exists(path)) return MG_OK;
    }
    return mg_fail(MG_CONFIG, "%s: found %s, wanted a run or model folder", run_or_model,
                   mg_file_exists(run_or_model) ? "no model in it" : "nothing");
}

// What can be told before anything is loaded.
static mg_err check_options(const mg_panel_options *o) {
    static const char *const splits[] = {"train", "validation", "test"};
    bool                     known    = false;
    for (int i = 0; i < 3; i++) known |= strcmp(o->split, splits[i]) == 0;
    if (!o->data) return mg_fail(MG_CONFIG, "--data: found nothing, wanted a folder with train.jsonl");
    if (!known)
        return mg_fail(MG_CONFIG, "--split: found '%s', wanted train, validation or test", o->split);
    mg_err err = mg_settings_folder("data", o->data);
    if (!err) err = mg_panel_check(o->model);
    if (!err && o->reward_model) err = mg_panel_check(o->reward_model);
    return err || !o->reference ? err : mg_panel_check(o->reference);
}

mg_err mg_panel_open(mg_panel *p, const mg_panel_options *o) {
    *p         = (mg_panel){0};
    mg_err err = check_options(o);
    if (err) return err;
    mg_model_config config;
    const mg_pair  *rows;
    int64_t         n;
    err = mg_arena_init(&p->arena, "panel", ARENA_MAX);
    if (!err) err = mg_arena_init(&p->scratch, "panel scratch", SCRATCH_MAX);
    if (!err) err = mg_team_open(&p->team, (int)o->threads);
    if (err) goto out;
    const char *model = mg_policy_folder(o->model, &p->arena);
    err = mg_model_config_read(model, &config);
    if (!err && config.family == MG_FAMILY_MLP)
        err = mg_fail(MG_CONFIG, "%s is a perceptron, which acts in a world of vectors; eval and compare know synopsis "
                                 "alone, rollout judges it", o->model);
    if (!err) err = mg_tokenizer_load(&p->tokenizer, mg_path(&p->arena, "%s/tokenizer.json", model));
    if (!err) err = open_rows(p, o, &rows, &n);
    if (!err) err = open_judges(p, o);
    if (err) goto out;
    p->judge = (mg_judge){
        .class = p->world.class, .world = p->world.world, .rows = rows, .n = n,
        .tokenizer = p->tokenizer,
        .rule = {.template = o->template, .prompt_max = o->prompt_max, .cut = true,
                 .stop = config.eos},
        .response_max = o->response_max, .temperature = o->temperature,
        .reward = p->reward.model ? &p->reward : NULL, .reference = p->reference, .team = p->team,
        .seed = (uint64_t)o->seed, .batch = BATCH, .stop = &mg_stop};
    err = mg_prompt_rule_check(&p->judge.rule);
    if (!err) err = mg_prompt_fit(&p->judge.rule, o->response_max, config.context_max);
    if (!err) count_cut(p);
out:
    if (err) mg_panel_close(p);
    return err;
}

void mg_panel_close(mg_panel *p) {
    mg_app_world_free(&p->world);
    mg_reward_model_release(&p->reward);
    mg_model_free(p->reference);
    mg_tokenizer_free(p->tokenizer);
    mg_team_close(p->team);
    mg_arena_release(&p->scratch);
    mg_arena_release(&p->arena);
    *p = (mg_panel){0};
}

mg_err mg_panel_policy(mg_panel *p, const char *run_or_model, mg_model **out) {
    const char *folder = mg_policy_folder(run_or_model, &p->arena);
    mg_model   *policy;
    mg_err      err = mg_model_load(&policy, folder, false);
    if (err) return err;
    if (policy->config.scalar_head)
        err = mg_fail(MG_MISMATCH, "%s: a reward model, wanted a language model", run_or_model);
    else
        err = check_tokens(p, folder, policy);
    if (err)
        mg_model_free(policy);
    else
        *out = policy;
    return err;
}

mg_err mg_panel_judge(mg_panel *p, const char *run_or_model, mg_judged *judged, int64_t *unclean,
                      double *tokens) {
    mg_model *policy;
    mg_err    err = mg_panel_policy(p, run_or_model, &policy);
    if (err) return err;
    err = mg_judge_policy(&p->judge, policy, &p->arena, &p->scratch, judged, unclean, tokens);
    mg_model_free(policy);
    return err;
}

double mg_judged_cell(const mg_judged *x, mg_column column) {
    if (!x->clean) return NAN;
    switch (column) {
    case MG_COLUMN_GOLD: return x->gold;
    case MG_COLUMN_REWARD: return x->reward;
    case MG_COLUMN_KL: return x->kl;
    case MG_COLUMN_ROUGE_L: return x->rouge_l;
    case MG_COLUMN_LENGTH: return (double)x->length;
    case MG_COLUMN_STOPPED: return (double)x->stopped;
    case MG_COLUMNS: break;
    }
    MG_ASSERT(column != MG_COLUMNS);
    return NAN;
}

mg_err mg_panel_mean(mg_panel *p, const mg_judged *judged, mg_column column, double alpha,
                     mg_mean *out) {
    const size_t mark = mg_arena_mark(&p->scratch);
    double      *x    = MG_NEW(&p->scratch, double, p->judge.n);
    for (int64_t i = 0; i < p->judge.n; i++) x[i] = mg_judged_cell(&judged[i], column);
    mg_err err = mg_judged_mean(x, p->judge.n, alpha, p->judge.seed, &p->scratch, out);
    mg_arena_reset(&p->scratch, mark);
    return err;
}
