// study.c - sampling, labelling and training for a study.
#include "app/study.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "core/log.h"
#include "store/jsonl.h"

#define BATCH_PROMPTS 32
#define OVERRIDES_MAX 64

typedef struct labeller {
    const mg_label_rule *rule;
    mg_panel             panel;
    mg_model            *policy;
    mg_preference       *rows; // [room]
    int64_t              n, room;
    mg_label_report      report;
} labeller;

// A byte-level tokenizer can say bytes that are no text; nobody could have preferred those.
static bool is_text(const mg_turn *t) {
    json_t    *s    = json_stringn(t->action, t->action_size);
    const bool text = s != NULL;
    json_decref(s);
    return text;
}

// Answers to the prompts [from, from + n) of the panel's rows, and pairs of them.
static mg_err label_batch(labeller *l, int64_t from, int64_t n) {
    const mg_judge      *j    = &l->panel.judge;
    const mg_label_rule *rule = l->rule;
    mg_arena            *step = &l->panel.scratch;
    const size_t         mark = mg_arena_mark(step);
    const int64_t        all  = n * rule->answers;
    mg_rollout           r    = {.model = l->policy, .tokenizer = j->tokenizer, .rule = j->rule,
                                 .sampling = {.temperature = rule->temperature, .top_p = 1,
                                              .new_max = j->response_max, .stop = j->rule.stop},
                                 .class = j->class, .world = j->world, .team = j->team, .seed = rule->seed};
    mg_start     *starts   = MG_NEW(step, mg_start, all);
    mg_episode   *episodes = MG_NEW(step, mg_episode, all);
    mg_candidate *c        = MG_NEW(step, mg_candidate, rule->answers + 1);
    for (int64_t i = 0; i < all; i++)
        starts[i] = (mg_start){.item = from + i / rule->answers, .group = (int32_t)(i / rule->answers),
                               .episode = (uint32_t)(from * rule->answers + i)};
    mg_err err = mg_rollout_run(&r, starts, all, 0, 0, step, step, episodes, NULL);
    if (err) return err;

    mg_rng rng = mg_rng_stream(rule->seed, MG_PURPOSE_LABEL, 0);
    const mg_preference_rule how = {.pairing = rule->pairing, .k = rule->k, .human = rule->human,
                                    .drop_ties = true};
    for (int64_t p = 0; p < n; p++) {
        const mg_pair *row   = &j->rows[from + p];
        int64_t        count = 0;
        for (int64_t k = 0; k < rule->answers; k++) {
            const mg_episode *e    = &episodes[p * rule->answers + k];
            const mg_reward   gold = mg_episode_return(e);
            double            value;
            if (e->verdict != MG_CLEAN || !mg_reward_value(&gold, &value) || !is_text(&e->turns[0]))
                continue;
            c[count++] = (mg_candidate){mg_arena_strdup(&l->panel.arena, e->turns[0].action), value, false};
            l->report.gold_mean += value;
            l->report.answers++;
        }
        if (rule->human) {
            const char      *text = row->completion;
            const mg_reward  gold = mg_app_gold(&l->panel.world, row->prompt, text);
            double           value;
            if (mg_reward_value(&gold, &value)) c[count++] = (mg_candidate){text, value, true};
        }
        for (int64_t k = 0; k < rule->pairs && l->n < l->room; k++) {
            mg_rng_seek(&rng, (uint32_t)(from + p), 0, (uint32_t)k);
            if (count >= 2 && mg_preference_draw(&how, row->prompt, c, count, &rng, &l->rows[l->n])) l->n++;
        }
    }
    mg_arena_reset(step, mark);
    return MG_OK;
}

static mg_err label_all(labeller *l, int64_t *n_train) {
    const int64_t total = l->panel.judge.n;
    mg_progress   progress;
    mg_err        err = MG_OK;
    mg_progress_start(&progress, "sample and label", "prompts", total);
    for (int64_t from = 0; from < total && !err; from += BATCH_PROMPTS) {
        const int64_t n = total - from < BATCH_PROMPTS ? total - from : BATCH_PROMPTS;
        // Pairs for training come from the first prompts, held-out ones from the others.
        const int64_t border = l->rule->prompts;
        err = mg_stop ? mg_fail(MG_INTERRUPTED, "stopped while sampling") : label_batch(l, from, n);
        if (from + n <= border) *n_train = l->n;
        mg_progress_show(&progress, from + n, NULL);
    }
    mg_progress_end(&progress);
    return err;
}

mg_err mg_study_preferences(mg_study *s, const mg_label_rule *rule, mg_label_report *out) {
    mg_panel_options o       = mg_panel_defaults;
    labeller         l       = {.rule = rule};
    int64_t          n_train = 0;
    o.data = s->data, o.split = "train", o.model = s->base, o.threads = s->threads;
    // Whole batches on the training side, so that no batch straddles the border.
    mg_label_rule whole = *rule;
    whole.prompts       = mg_pieces(rule->prompts, BATCH_PROMPTS) * BATCH_PROMPTS;
    o.rows              = whole.prompts + whole.held;
    l.rule              = &whole;
    mg_err err = mg_panel_open(&l.panel, &o);
    if (err) return err;
    const double started = mg_clock_seconds(); // of sampling: reading the data is no part of its speed
    err = mg_model_load(&l.policy, mg_policy_folder(s->base, &l.panel.arena), false);
    l.room = l.panel.judge.n * rule->pairs;
    l.rows = MG_NEW(&l.panel.arena, mg_preference, l.room);
    if (!err) err = label_all(&l, &n_train);
    s->preferences = mg_path(s->arena, "%s/preferences", s->folder);
    if (!err && (n_train == 0 || n_train == l.n))
        err = mg_fail(MG_EMPTY, "%s: %lld pairs to learn from and %lld held out could be made of %lld "
                                "prompts; wanted some of either, and of the prompts %lld and more",
                      s->data, (long long)n_train, (long long)(l.n - n_train),
                      (long long)l.panel.judge.n, (long long)whole.prompts + 1);
    if (!err) err = mg_folder_make(s->preferences);
    if (!err)
        err = mg_preferences_write(mg_path(s->arena, "%s/validation.jsonl", s->preferences),
                                   l.rows + n_train, l.n - n_train);
    if (!err)
        err = mg_preferences_write(mg_path(s->arena, "%s/train.jsonl", s->preferences), l.rows, n_train);
    l.report.pairs = n_train, l.report.held_pairs = l.n - n_train;
    if (l.report.answers > 0) l.report.gold_mean /= (double)l.report.answers;
    l.report.seconds = mg_clock_seconds() - started;
    *out             = l.report;
    mg_model_free(l.policy);
    mg_panel_close(&l.panel);
    return err;
}

mg_err mg_study_train(mg_study *s, const char *algo, const char *name, const mg_override *overrides,
                      int n, mg_train_result *result) {
    const mg_algo *a     = mg_algo_find(algo);
    const char    *out   = mg_path(s->arena, "%s/%s", s->folder, name);
    const char    *count = mg_path(s->arena, "%lld", (long long)s->threads);
    mg_override    all[OVERRIDES_MAX];
    int            k = 0;
    MG_ASSERT(a && n + 8 <= OVERRIDES_MAX);
    all[k++] = (mg_override){"algo", algo};
    all[k++] = (mg_override){"out", out};
    all[k++] = (mg_override){"model", s->base};
    all[k++] = (mg_override){"data", s->data};
    all[k++] = (mg_override){"threads", count};
    if (a->needs_preferences) all[k++] = (mg_override){"preferences", s->preferences};
    if (a->needs_world) all[k++] = (mg_override){"reward_model", s->reward};
    for (int i = 0; i < n; i++) all[k++] = overrides[i];
    const bool             resume = mg_file_exists(mg_path(s->arena, "%s/run.db", out));
    const mg_train_options o = {.overrides = all, .n_overrides = k, .resume = resume, .make_world = mg_app_world,
                                .end_world = mg_app_world_free, .stop = &mg_stop,
                                .wall_time = (double)time(NULL)};
    return mg_train(&o, result);
}
