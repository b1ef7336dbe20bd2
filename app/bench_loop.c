// bench_loop.c - whole updates: play, judge, admit, learn, record; of an algorithm, with its own learner.
//
// 64 answers of 32 tokens to prompts of 96, eight to a prompt, four gradient steps on each batch: what the
// peer is asked for too (bench/peer_grpo.py). Texts are invented, the policy knows nothing, and nothing
// stops an answer early; a reward that differs between answers keeps every gradient at work. What an update
// costs does not depend on how good it is.
#include <stdlib.h>
#include <string.h>

#include "algos/algo.h"
#include "app/bench.h"
#include "core/file.h"
#include "core/log.h"
#include "ops/ops.h"
#include "rollout/collect.h"
#include "store/store.h"
#include "train/job.h"
#include "worlds/synopsis.h"

enum { PROMPT = 96, RESPONSE = 32, PAIRS = 256, PROMPT_WORDS = 120, ANSWER_WORDS = 8, WORDS = 96 };
#define ARENA_MAX ((size_t)64 << 30) // address space, not memory

static const char STOP[] = "<|endoftext|>";

typedef struct loop {
    const mg_bench   *bench;
    char              folder[MG_BENCH_FOLDER_MAX]; // temporary: the model to start from, and the record
    mg_arena          run, step;
    mg_settings       settings;
    mg_tokenizer     *tokenizer; // owned, as what follows
    mg_job            job;
    mg_synopsis_world world;
    mg_env_pool       pool;
    mg_rollout        rollout;
    mg_gate           gate;
    mg_store         *store;
    mg_learner       *learner;
    int64_t           updates; // done
} loop;

// ---- What it works on

// Words of consonants and vowels: a tokenizer of 512 finds pairs enough in them.
static const char *text_of(mg_rng *rng, int64_t words, mg_arena *arena) {
    static const char consonants[] = "bdfghklmnprstvwz", vowels[] = "aeiou";
    char *text = MG_NEW(arena, char, 9 * words + 1), *at = text;
    for (int64_t i = 0; i < words; i++) {
        mg_rng word = mg_rng_stream(1, MG_PURPOSE_WORLD, 1 + mg_rng_below(rng, WORDS));
        for (uint64_t k = 2 + mg_rng_below(&word, 2); k > 0; k--) {
            *at++ = consonants[mg_rng_below(&word, sizeof consonants - 1)];
            *at++ = vowels[mg_rng_below(&word, sizeof vowels - 1)];
        }
        *at++ = ' ';
    }
    at[-1] = 0;
    return text;
}

static mg_err make_texts(loop *l) {
    static const char *const special[] = {STOP};
    mg_pair *pairs = MG_NEW(&l->run, mg_pair, PAIRS);
    mg_text *texts = MG_NEW(&l->run, mg_text, PAIRS);
    mg_rng   rng   = mg_rng_stream(1, MG_PURPOSE_WORLD, 0);
    for (int i = 0; i < PAIRS; i++) {
        pairs[i] = (mg_pair){.prompt = text_of(&rng, PROMPT_WORDS, &l->run),
                             .completion = text_of(&rng, ANSWER_WORDS, &l->run)};
        texts[i] = (mg_text){pairs[i].prompt, strlen(pairs[i].prompt)};
    }
    l->job.pairs = pairs, l->job.n_pairs = PAIRS, l->job.n_items = PAIRS;
    return mg_tokenizer_train(
        &l->tokenizer, &(mg_tokenizer_training){.family = MG_TOKENIZER_GPT2, .texts = texts,
                                                .n_texts = PAIRS, .vocab_size = MG_BENCH_VOCAB,
                                                .special = special, .n_special = 1});
}

// A policy that knows nothing, in a folder, where learners look for theirs.
static mg_err make_model(loop *l) {
    mg_model *m   = NULL;
    mg_err    err = mg_tokenizer_vocab_size(l->tokenizer) == MG_BENCH_VOCAB
                        ? mg_model_new(&m, &mg_bench_shape, false)
                        : mg_fail(MG_MISMATCH, "bench: found a tokenizer of %d, wanted one of %d",
                                  mg_tokenizer_vocab_size(l->tokenizer), MG_BENCH_VOCAB);
    if (err) return err;
    mg_model_init(m, 1);
    l->job.model_folder = mg_path(&l->run, "%s/model", l->folder);
    err                 = mg_model_save(m, l->job.model_folder, MG_FILE_F32, NULL);
    mg_model_free(m);
    return err;
}

// The share of vowels: cheap, and never the same for all answers of a group.
static mg_reward vowels_of(void *context, const char *prompt, const char *answer, size_t size) {
    int64_t n = 0;
    (void)context, (void)prompt;
    for (size_t i = 0; i < size; i++) n += answer[i] && strchr("aeiou", answer[i]);
    return mg_reward_of(size ? (double)n / (double)size : 0);
}

// What the peer is asked for; the critic starts from the policy, there being no reward model.
static mg_err settle(loop *l, const char *algo) {
    static const mg_override grpo[] = {{"algo", "grpo"}, {"grpo.prompts", "8"}, {"grpo.group", "8"},
                                       {"grpo.epochs", "4"}, {"grpo.microbatch", "64"},
                                       {"grpo.lr", "1e-5"}, {"grpo.updates", "1000000"}};
    static const mg_override ppo[]  = {{"algo", "ppo"}, {"ppo.episodes", "64"}, {"ppo.per_prompt", "8"},
                                       {"ppo.epochs", "4"}, {"ppo.microbatch", "64"},
                                       {"ppo.lr", "1e-5"}, {"ppo.updates", "1000000"},
                                       {"ppo.critic_init", "policy"}, {"ppo.temperature", "1"}};
    static const mg_override drpo[] = {{"algo", "drpo"}, {"drpo.episodes", "64"}, {"drpo.per_prompt", "8"},
                                       {"drpo.epochs", "4"}, {"drpo.microbatch", "64"},
                                       {"drpo.lr", "1e-5"}, {"drpo.updates", "1000000"},
                                       {"drpo.critic_init", "policy"}, {"drpo.temperature", "1"},
                                       {"drpo.reset_share", "0.5"}};
    static const struct {
        const mg_override *words;
        size_t             n;
    } of[] = {{grpo, sizeof grpo / sizeof *grpo}, {ppo, sizeof ppo / sizeof *ppo},
              {drpo, sizeof drpo / sizeof *drpo}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (strcmp(of[i].words[0].value, algo) == 0)
            return mg_settings_read(&l->settings, NULL, of[i].words, (int)of[i].n, &l->run);
    return mg_fail(MG_CONFIG, "bench: no settings for %s", algo);
}

// ---- Opening and closing

static void close_loop(void *context) {
    loop *l = context;
    if (l->learner) l->settings.algo->close(l->learner);
    if (l->store && mg_store_close(l->store)) mg_log(MG_LOG_WARN, "bench: %s", mg_err_detail());
    mg_env_pool_close(&l->pool);
    mg_tokenizer_free(l->tokenizer);
    mg_arena_release(&l->step);
    mg_arena_release(&l->run);
    mg_bench_folder_remove(l->folder);
    free(l);
}

static mg_err open_all(loop *l, const char *algo) {
    mg_err err = mg_bench_folder_make(l->folder);
    if (!err) err = mg_arena_init(&l->run, "run", ARENA_MAX);
    if (!err) err = mg_arena_init(&l->step, "step", ARENA_MAX);
    if (!err) err = settle(l, algo);
    if (!err) err = make_texts(l);
    if (!err) err = make_model(l);
    if (err) return err;
    l->job = (mg_job){
        .seed = 1, .team = l->bench->team, .compute = l->job.compute, .run = &l->run, .step = &l->step,
        .tokenizer = l->tokenizer,
        .rule = {.template = "{prompt}", .prompt_max = PROMPT, .cut = true,
                 .stop = mg_tokenizer_id(l->tokenizer, STOP)},
        .response_max = RESPONSE, .context_max = mg_bench_shape.context_max,
        .model_folder = l->job.model_folder, .reward_folder = "", .pairs = l->job.pairs,
        .n_pairs = l->job.n_pairs, .n_items = l->job.n_items};
    l->world = (mg_synopsis_world){.pairs = l->job.pairs, .n = PAIRS, .reward = vowels_of};
    mg_env_pool_init(&l->pool, &mg_synopsis_class, &l->world, &l->run);
    mg_gate_init(&l->gate, &l->settings.gate);
    err = l->settings.algo->open(&l->learner, &l->job, l->settings.algo_config);
    if (!err) err = mg_store_open(&l->store, mg_path(&l->run, "%s/run.db", l->folder));
    return err ? err : mg_store_life(l->store, 0, "bench");
}

static mg_err open_loop(const mg_bench *b, const mg_bench_case *c, void **work) {
    mg_err err = mg_bench_can(c);
    if (err) return err;
    loop *l = calloc(1, sizeof *l);
    if (!l) return mg_fail(MG_NOMEM, "%s", c->name);
    l->bench       = b;
    l->job.compute = c->compute;
    err            = open_all(l, c->word);
    if (err)
        close_loop(l);
    else
        *work = l;
    return err;
}

// ---- One update

static mg_err collect(loop *l, mg_collected *c) {
    mg_part   parts[MG_PARTS_MAX];
    mg_start *starts;
    int64_t   n;
    l->rollout = (mg_rollout){
        .tokenizer = l->tokenizer, .rule = l->job.rule, .class = &mg_synopsis_class, .world = &l->world,
        .team = l->bench->team, .seed = l->job.seed, .replay_share = l->settings.gate.replay_share,
        .wants_reward = true, .pool = &l->pool};
    mg_err err = l->settings.algo->plan(l->learner, l->updates, &starts, &n, &l->rollout.sampling);
    if (err) return err;
    l->rollout.sampling.stop = -1; // RESPONSE tokens, whatever they are
    l->settings.algo->parts(l->learner, parts);
    l->rollout.model = parts[0].model;
    return mg_collect(&l->rollout, &l->gate, starts, n, l->updates, (uint64_t)l->updates, &l->step, &l->step,
                      c);
}

static mg_err record(loop *l, const mg_collected *c) {
    mg_err err = mg_store_begin(l->store, l->updates);
    for (int64_t i = 0; i < c->n_all && !err; i++) err = mg_store_episode(l->store, &c->all[i]);
    for (int64_t k = 0; k < c->n_kept && !err; k++) err = mg_store_fed(l->store, &c->all[c->kept[k]]);
    return err ? err : mg_store_commit(l->store);
}

// sampled: tokens of the policy's own.
static mg_err one_update(loop *l, int64_t *sampled) {
    mg_collected c = {0};
    mg_metrics   metrics = {0};
    mg_arena_reset(&l->step, 0);
    mg_err err = collect(l, &c);
    if (err) return err;
    mg_episode *kept = MG_NEW(&l->step, mg_episode, c.n_kept);
    *sampled         = 0;
    for (int64_t k = 0; k < c.n_kept; k++) {
        kept[k] = c.all[c.kept[k]];
        for (int64_t i = 0; i < kept[k].n_tokens; i++) *sampled += kept[k].role[i] == MG_ROLE_POLICY;
    }
    mg_gate_feed(&l->gate, kept, c.n_kept);
    err = l->settings.algo->update(l->learner, l->updates, kept, c.n_kept, &metrics);
    if (!err) err = record(l, &c);
    l->updates++;
    return err;
}

static mg_err once(void *context, double *value) {
    int64_t      sampled;
    const double begun = mg_clock_seconds();
    const mg_err err   = one_update(context, &sampled);
    if (!err) *value = (double)sampled / (mg_clock_seconds() - begun);
    return err;
}

const mg_bench_work mg_bench_loop_work = {open_loop, once, close_loop};

// Of all threads' time, how much products of matrices took.
static mg_err products_once(void *context, double *value) {
    loop        *l = context;
    int64_t      sampled;
    const double begun = mg_clock_seconds();
    mg_linear_meter(mg_clock_seconds);
    const mg_err err = one_update(l, &sampled);
    if (!err) *value = mg_linear_metered() / (l->bench->threads * (mg_clock_seconds() - begun));
    mg_linear_meter(NULL);
    return err;
}

const mg_bench_work mg_bench_products_work = {open_loop, products_once, close_loop};
