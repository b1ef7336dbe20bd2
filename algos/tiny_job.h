// tiny_job.h - for tests: a learner on two dozen invented lines, from folder to last update.
//
// tiny_open makes a folder below /tmp with a random policy and a random reward model; tiny_start
// opens a learner on them as the loop in train/ would; tiny_play acts for rollout/ and a world of
// one turn, whose reward is the share of sampled tokens with an even id.
#ifndef MG_ALGOS_TINY_JOB_H
#define MG_ALGOS_TINY_JOB_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "algos/algo.h"
#include "core/file.h"
#include "nets/answers.h"
#include "nets/tiny.h"
#include "rewards/reward_model.h"

enum { TINY_PAIRS = TINY_TEXTS / 2, TINY_HELD = 3, TINY_RESPONSE = 12 };

static char          tiny_root[64], tiny_policy[128], tiny_reward[128]; // folders
static mg_tokenizer *tiny_words;
static mg_pair       tiny_pairs[TINY_PAIRS];
static mg_preference tiny_preferences[TINY_PAIRS];

static inline void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

static inline void ok(mg_err err) {
    if (err) fail_msg("%s: %s", mg_err_name(err), mg_err_detail());
}

// Group set-up and tear-down.
static inline int tiny_open(void **state) {
    (void)state;
    strcpy(tiny_root, "/tmp/mg-tiny-XXXXXX");
    if (!mkdtemp(tiny_root)) return -1;
    snprintf(tiny_policy, sizeof tiny_policy, "%s/policy", tiny_root);
    snprintf(tiny_reward, sizeof tiny_reward, "%s/reward", tiny_root);
    tiny_words                 = tiny_tokenizer();
    mg_model       *policy     = tiny_model(tiny_words, false, 1, false);
    mg_reward_model reward     = {tiny_model(tiny_words, true, 2, false), MG_POOL_MEAN, 0.25, 2};
    const mg_err    err_policy = mg_model_save(policy, tiny_policy, MG_FILE_F32, NULL);
    const mg_err    err_reward = mg_reward_model_save(&reward, tiny_reward, MG_FILE_F32, NULL);
    mg_model_free(policy);
    mg_reward_model_release(&reward);
    for (int i = 0; i < TINY_PAIRS; i++) {
        tiny_pairs[i] = (mg_pair){tiny_texts[i], tiny_texts[TINY_PAIRS + i]};
        // The right answer against another line's.
        tiny_preferences[i] = (mg_preference){tiny_texts[i], tiny_texts[TINY_PAIRS + i],
                                              tiny_texts[TINY_PAIRS + (i + 5) % TINY_PAIRS]};
    }
    return err_policy || err_reward;
}

static inline int tiny_close(void **state) {
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", tiny_root);
    mg_tokenizer_free(tiny_words);
    return system(command);
}

typedef struct tiny {
    const mg_algo *algo;
    mg_job         job;
    mg_arena       run, step;
    mg_team       *team;
    mg_learner    *learner;
    mg_metrics     metrics; // of the last update
} tiny;

// Everything but the learner; tests change the job before tiny_learner.
static inline tiny *tiny_job(const char *algo, int threads) {
    tiny *t = calloc(1, sizeof *t);
    t->algo = mg_algo_find(algo);
    assert_non_null(t->algo);
    ok(mg_arena_init(&t->run, "run", (size_t)1 << 30));
    ok(mg_arena_init(&t->step, "step", (size_t)1 << 32));
    ok(mg_team_open(&t->team, threads));
    t->job = (mg_job){
        .seed = 5, .team = t->team, .run = &t->run, .step = &t->step, .tokenizer = tiny_words,
        .rule = {.template = "{prompt}\n", .prompt_max = 40, .cut = true, .stop = TINY_STOP},
        .response_max = TINY_RESPONSE, .model_folder = tiny_policy, .reward_folder = "",
        .pairs = tiny_pairs, .n_pairs = TINY_PAIRS, .n_items = TINY_PAIRS,
        .held_pairs = tiny_pairs, .n_held_pairs = TINY_HELD,
        .preferences = tiny_preferences, .n_preferences = TINY_PAIRS,
        .held_preferences = tiny_preferences, .n_held_preferences = TINY_HELD};
    return t;
}

// settings: "key=value key=value ..." of the algorithm's section.
static inline mg_err tiny_learner(tiny *t, const char *settings) {
    void      *config  = mg_arena_alloc(&t->run, t->algo->config_size);
    mg_section section = {t->algo->name, t->algo->fields, config};
    char      *rest    = mg_arena_strdup(&t->run, settings), *word;
    mg_config_defaults(&section, 1, &t->run);
    while ((word = strsep(&rest, " "))) {
        char *key = strsep(&word, "=");
        if (*key)
            ok(mg_config_set(&section, 1, mg_path(&t->run, "%s.%s", t->algo->name, key), word,
                             &t->run));
    }
    return t->algo->open(&t->learner, &t->job, config);
}

static inline tiny *tiny_start(const char *algo, int threads, const char *reward,
                               const char *settings) {
    tiny *t = tiny_job(algo, threads);
    t->job.reward_folder = reward;
    ok(tiny_learner(t, settings));
    return t;
}

static inline void tiny_stop(tiny *t) {
    if (t->learner) t->algo->close(t->learner);
    mg_team_close(t->team);
    mg_arena_release(&t->run);
    mg_arena_release(&t->step);
    free(t);
}

static inline mg_part tiny_part(tiny *t, int i) {
    mg_part   parts[MG_PARTS_MAX];
    const int n = t->algo->parts(t->learner, parts);
    assert_true(i < n);
    return parts[i];
}

// One episode from what was sampled. Its memory is the step arena's.
static inline mg_episode tiny_episode(tiny *t, const mg_start *start, const mg_prompt *prompt,
                                      const mg_sample *s) {
    mg_episode e = {.start = *start, .terminated = true, .n_tokens = prompt->n + s->n};
    double     even = 0;
    e.tokens = MG_NEW(&t->step, int32_t, e.n_tokens);
    e.role   = MG_NEW(&t->step, uint8_t, e.n_tokens);
    e.logp   = MG_NEW(&t->step, float, e.n_tokens);
    e.turns  = MG_NEW(&t->step, mg_turn, 1);
    memcpy(e.tokens, prompt->tokens, sizeof *e.tokens * (size_t)prompt->n);
    memcpy(e.tokens + prompt->n, s->tokens, sizeof *e.tokens * (size_t)s->n);
    memcpy(e.logp + prompt->n, s->logp, sizeof *e.logp * (size_t)s->n);
    for (int64_t k = 0; k < s->n; k++) {
        e.role[prompt->n + k] = k < s->n_forced ? MG_ROLE_FORCED : MG_ROLE_POLICY;
        even += (s->tokens[k] % 2 == 0) / (double)s->n;
    }
    e.turns[0] = (mg_turn){.action_begin = prompt->n, .action_end = e.n_tokens,
                           .reward = mg_reward_of(even)};
    e.n_turns  = 1;
    for (int64_t k = 0; k < s->n; k++) e.stopped |= s->tokens[k] == TINY_STOP;
    return e;
}

static inline mg_err tiny_play(tiny *t, int64_t update, mg_episode **episodes, int64_t *n) {
    mg_start   *starts;
    mg_sampling how;
    mg_err      err = t->algo->plan(t->learner, update, &starts, n, &how);
    if (err) return err;
    mg_prompt *prompts = MG_NEW(&t->step, mg_prompt, *n);
    mg_sample *samples = MG_NEW(&t->step, mg_sample, *n);
    for (int64_t i = 0; i < *n; i++) {
        const char *text = t->job.pairs[starts[i].item].prompt;
        int32_t    *ids;
        ok(mg_prompt_encode(t->job.tokenizer, &t->job.rule, text, strlen(text), &t->step, &ids,
                            &prompts[i].n, NULL));
        prompts[i].tokens = ids;
        samples[i] = (mg_sample){.prompt = (int32_t)i, .episode = starts[i].episode,
                                 .attempt = starts[i].attempt, .forced = starts[i].prefix,
                                 .n_forced = starts[i].n_prefix};
    }
    err = mg_generate(tiny_part(t, 0).model, t->team, prompts, *n, samples, *n, &how,
                      mg_rng_stream(t->job.seed, MG_PURPOSE_SAMPLE, (uint64_t)update), &t->step,
                      &t->step);
    if (err) return err;
    *episodes = MG_NEW(&t->step, mg_episode, *n);
    for (int64_t i = 0; i < *n; i++)
        (*episodes)[i] = tiny_episode(t, &starts[i], &prompts[samples[i].prompt], &samples[i]);
    return MG_OK;
}

// As the loop does it.
static inline mg_err tiny_update(tiny *t, int64_t update) {
    mg_episode *episodes = NULL;
    int64_t     n        = 0;
    mg_arena_reset(&t->step, 0);
    t->metrics = (mg_metrics){0};
    mg_err err = t->algo->plan ? tiny_play(t, update, &episodes, &n) : MG_OK;
    return err ? err : t->algo->update(t->learner, update, episodes, n, &t->metrics);
}

static inline double metric(const mg_metrics *m, const char *name) {
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->rows[i].name, name) == 0) return m->rows[i].value;
    fail_msg("there is no metric %s", name);
    return NAN;
}

// Weights and optimisers of all parts, byte for byte.
static inline bool tiny_same(tiny *a, tiny *b) {
    mg_part   x[MG_PARTS_MAX], y[MG_PARTS_MAX];
    const int n = a->algo->parts(a->learner, x);
    if (b->algo->parts(b->learner, y) != n) return false;
    for (int i = 0; i < n; i++) {
        const size_t size = sizeof(float) * (size_t)x[i].model->n_weights;
        if (x[i].model->n_weights != y[i].model->n_weights ||
            x[i].optimiser->steps != y[i].optimiser->steps ||
            memcmp(x[i].model->weights, y[i].model->weights, size) ||
            memcmp(x[i].optimiser->m, y[i].optimiser->m, size) ||
            memcmp(x[i].optimiser->v, y[i].optimiser->v, size))
            return false;
    }
    return true;
}
#endif
