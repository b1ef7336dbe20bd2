// job.c - from a configuration to a learner's inputs.
#include "train/job.h"

#include <string.h>

#include "algos/spaces.h"
#include "core/file.h"
#include "core/log.h"
#include "store/jsonl.h"
#include "train/logged.h"
#include "train/settings.h"

#define MG_CONFIG_OF mg_run_config
const mg_field mg_run_fields[] = {MG_CONFIG_TABLE(MG_RUN_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF
#define MG_CONFIG_OF mg_network_config
static const mg_field network_fields[] = {MG_CONFIG_TABLE(MG_NETWORK_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF
#define MG_CONFIG_OF mg_environment_config
static const mg_field environment_fields[] = {MG_CONFIG_TABLE(MG_ENVIRONMENT_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

#define STOP_TOKEN "<|endoftext|>"

// Which algorithm a configuration is for decides which keys it may have, so it is looked up first.
static mg_err find_algo(const char *path, const mg_override *overrides, int n, mg_arena *arena,
                        const mg_algo **out) {
    const char *name = "sft";
    if (path) {
        mg_err err = mg_config_peek(path, "algo", arena, &name);
        if (err) return err;
    }
    bool given = false; // on the command line
    for (int i = 0; i < n; i++)
        if (strcmp(overrides[i].key, "algo") == 0) name = overrides[i].value, given = true;
    *out = mg_algo_find(name);
    if (*out) return MG_OK;
    char        names[256];
    const char *place = NULL;
    mg_err      err   = path && !given ? mg_config_place(path, "algo", arena, &place) : MG_OK;
    if (err) return err;
    mg_algo_names(false, names, sizeof names);
    return mg_fail(MG_CONFIG, "%s%salgo: found '%s', wanted one of %s", place ? place : "--",
                   place ? ": " : "", name, names);
}

// Sections of other algorithms are refused with that word, not as keys that nobody knows. A name
// that is a key as well (reward_model) is left to whoever reads the keys.
static mg_err refuse_other_sections(const char *path, const mg_algo *algo, mg_arena *arena) {
    for (const mg_algo *const *a = mg_algos; *a; a++) {
        const char *place = NULL;
        bool        key   = *a == algo;
        for (const mg_field *f = mg_run_fields; f->name; f++) key |= strcmp(f->name, (*a)->name) == 0;
        mg_err err = key ? MG_OK : mg_config_place(path, (*a)->name, arena, &place);
        if (err) return err;
        if (place)
            return mg_fail(MG_CONFIG, "%s: %s: found a section of another algorithm; this file's algo "
                                      "is %s", place, (*a)->name, algo->name);
    }
    return MG_OK;
}

// A file can hold a name once: where the algorithm's section has a key's name, the key gives way.
// That is reward_model, which has no use for another reward model.
static const mg_field *keys_of(const mg_algo *algo, mg_arena *arena) {
    mg_field *keys = MG_NEW(arena, mg_field, sizeof mg_run_fields / sizeof *mg_run_fields), *k = keys;
    for (const mg_field *f = mg_run_fields; f->name; f++)
        if (strcmp(f->name, algo->name)) *k++ = *f;
    return keys; // the rest is zero: MG_CONFIG_END
}

static void bind_sections(mg_settings *s, mg_arena *arena) {
    mg_config_defaults(&(mg_section){"", mg_run_fields, &s->run}, 1, arena);
    s->algo_config = mg_arena_alloc(arena, s->algo->config_size);
    s->sections[MG_SECTION_RUN]         = (mg_section){"", keys_of(s->algo, arena), &s->run};
    s->sections[MG_SECTION_NETWORK]     = (mg_section){"network", network_fields, &s->network};
    s->sections[MG_SECTION_ALGO]        = (mg_section){s->algo->name, s->algo->fields, s->algo_config};
    s->sections[MG_SECTION_ENVIRONMENT] = (mg_section){"environment", environment_fields, &s->environment};
    s->sections[MG_SECTION_GATE]        = (mg_section){"gate", mg_gate_fields, &s->gate};
    s->sections[MG_SECTION_GUARD]       = (mg_section){"guard", mg_guard_fields, &s->guard};
    mg_config_defaults(s->sections, MG_SECTIONS, arena);
}

static mg_compute compute_named(const char *word) {
    return strcmp(word, "bf16") == 0 ? MG_COMPUTE_BF16 : MG_COMPUTE_F32;
}

// What the processor cannot is refused where it was asked for: the last place that says so.
static mg_err check_compute(const mg_settings *s, const char *path, const mg_override *overrides, int n,
                            mg_arena *arena) {
    mg_err      err   = mg_model_compute(NULL, compute_named(s->run.compute));
    const char *place = NULL;
    if (!err) return MG_OK;
    const char *why   = mg_arena_strdup(arena, mg_err_detail());
    bool        given = path == NULL;
    for (int i = 0; i < n; i++) given |= strcmp(overrides[i].key, "compute") == 0;
    mg_err read = given ? MG_OK : mg_config_place(path, "compute", arena, &place);
    if (read) return read;
    return place ? mg_fail(err, "%s: compute: %s", place, why) : mg_fail(err, "--compute: %s", why);
}

const char *mg_policy_folder(const char *run_or_model, mg_arena *arena) {
    const char *model = mg_path(arena, "%s/model", run_or_model);
    return mg_file_exists(mg_path(arena, "%s/config.json", model)) ? model : run_or_model;
}

// "data/{world}-medium.hdf5" names the set of whatever world the run is in, "runs/ppo-{seed}" a folder for each seed.
static mg_err fill_in(const char *key, const char **text, const mg_run_config *run, mg_arena *arena) {
    const struct { const char *word, *means; } words[] = {{"{world}", run->world},
                                                          {"{seed}", mg_path(arena, "%lld", (long long)run->seed)}};
    enum { WORDS = sizeof words / sizeof *words };
    const char *given = *text, *done = "", *at;
    while ((at = strchr(given, '{'))) {
        int i = 0;
        while (i < WORDS && strncmp(at, words[i].word, strlen(words[i].word)) != 0) i++;
        if (i == WORDS) {
            const char *end = strchr(at, '}');
            return mg_fail(MG_CONFIG, "%s: found '%.*s' in '%s', wanted {world}, {seed} or no brace", key,
                           end ? (int)(end + 1 - at) : (int)strlen(at), at, *text);
        }
        done  = mg_path(arena, "%s%.*s%s", done, (int)(at - given), given, words[i].means);
        given = at + strlen(words[i].word);
    }
    if (given != *text) *text = mg_path(arena, "%s%s", done, given);
    return MG_OK;
}

mg_err mg_settings_read(mg_settings *s, const char *path, const mg_override *overrides, int n,
                        mg_arena *arena) {
    mg_err err = find_algo(path, overrides, n, arena, &s->algo);
    if (err) return err;
    bind_sections(s, arena);
    if (path) err = refuse_other_sections(path, s->algo, arena);
    if (path && !err) err = mg_config_read(s->sections, MG_SECTIONS, path, arena);
    for (int i = 0; i < n && !err; i++)
        err = mg_config_set(s->sections, MG_SECTIONS, overrides[i].key, overrides[i].value, arena);
    if (!err) err = check_compute(s, path, overrides, n, arena);
    if (err) return err;
    s->run.algo = s->algo->name;
    err = fill_in("data", &s->run.data, &s->run, arena);
    if (!err) err = fill_in("out", &s->run.out, &s->run, arena);
    if (err) return err;
    if (s->run.model[0]) s->run.model = mg_policy_folder(s->run.model, arena);
    if (s->run.reward_model[0]) s->run.reward_model = mg_policy_folder(s->run.reward_model, arena);
    if (s->run.out[0] == 0)
        s->run.out = mg_path(arena, "runs/%s-%lld", s->algo->name, (long long)s->run.seed);
    return MG_OK;
}

mg_err mg_settings_folder(const char *key, const char *folder) {
    return mg_file_exists(folder) ? MG_OK
                                  : mg_fail(MG_CONFIG, "%s: found nothing at '%s', wanted a folder", key, folder);
}

mg_record mg_record_named(const char *word) {
    return strcmp(word, "replayable") == 0 ? MG_RECORD_REPLAYABLE : MG_RECORD_FULL;
}

void mg_settings_help(const mg_algo *algo, FILE *out, mg_arena *arena) {
    mg_settings s = {.algo = algo ? algo : mg_algos[0]};
    bind_sections(&s, arena);
    if (algo) {
        mg_config_help(&s.sections[MG_SECTION_ALGO], 1, out);
        return;
    }
    s.sections[MG_SECTION_ALGO] = s.sections[MG_SECTION_GUARD]; // an algorithm's own keys are its own help
    mg_config_help(s.sections, MG_SECTIONS - 1, out);
}

static const mg_model_config *fresh_config(const mg_settings *s, int32_t vocab, mg_arena *arena) {
    const mg_network_config *n = &s->network;
    mg_model_config         *c = MG_NEW(arena, mg_model_config, 1);
    *c = (mg_model_config){
        .family = strcmp(n->family, "qwen2") == 0 ? MG_FAMILY_QWEN2 : MG_FAMILY_LLAMA,
        .vocab = vocab, .d_model = n->d_model, .d_ff = n->d_ff, .n_layers = n->layers,
        .n_heads = n->heads, .n_kv_heads = n->kv_heads, .head_width = n->d_model / n->heads,
        .context_max = n->context, .rope_theta = n->rope_theta, .norm_eps = 1e-5,
        .init_std = n->init_std, .tied = n->tied, .bos = -1, .eos = 0, .pad = -1};
    c->qkv_bias = c->family == MG_FAMILY_QWEN2;
    return c;
}

static mg_err check_network(const mg_network_config *n) {
    if (n->d_model % n->heads == 0 && n->heads % n->kv_heads == 0 && n->d_model / n->heads % 2 == 0)
        return MG_OK;
    return mg_fail(MG_CONFIG,
                   "network.heads: found %lld with d_model %lld and kv_heads %lld, wanted heads "
                   "that divide d_model into even parts, and kv_heads that divide heads",
                   (long long)n->heads, (long long)n->d_model, (long long)n->kv_heads);
}

// A tokenizer learnt from the training rows, prompts and answers alike.
static mg_err train_tokenizer(const mg_settings *s, const mg_job *job, mg_tokenizer **out) {
    static const char *const special[] = {STOP_TOKEN};
    const char              *cut       = s->network.tokenizer;
    int64_t                  n         = 0, n_texts = 0;
    for (int64_t i = 0; i < job->n_pairs; i++) n += 2 + 2 * job->pairs[i].n_later;
    mg_text *texts = MG_NEW(job->run, mg_text, n);
    for (int64_t i = 0; i < job->n_pairs; i++) {
        const mg_pair *p = &job->pairs[i];
        texts[n_texts++] = (mg_text){p->prompt, strlen(p->prompt)};
        texts[n_texts++] = (mg_text){p->completion, strlen(p->completion)};
        for (int64_t k = 0; k < p->n_later; k++) {
            texts[n_texts++] = (mg_text){p->later[k].observation, strlen(p->later[k].observation)};
            texts[n_texts++] = (mg_text){p->later[k].action, strlen(p->later[k].action)};
        }
    }
    mg_log(MG_LOG_INFO, "learning a tokenizer of %lld tokens from %lld texts",
           (long long)s->network.vocab, (long long)n_texts);
    return mg_tokenizer_train(out, &(mg_tokenizer_training){
        .family = strcmp(cut, "qwen2") == 0    ? MG_TOKENIZER_QWEN2
                  : strcmp(cut, "llama3") == 0 ? MG_TOKENIZER_LLAMA3
                                               : MG_TOKENIZER_GPT2,
        .texts = texts, .n_texts = n_texts, .vocab_size = (int32_t)s->network.vocab,
        .special = special, .n_special = 1});
}

mg_err mg_prompt_fit(mg_prompt_rule *rule, int64_t response_max, int64_t context_max) {
    const int64_t room = context_max - response_max;
    if (room < 1)
        return mg_fail(MG_CONFIG,
                       "response_max: found %lld, wanted at most %lld: the model reads %lld tokens in "
                       "all", (long long)response_max, (long long)context_max - 1,
                       (long long)context_max);
    if (rule->prompt_max > room)
        mg_log(MG_LOG_WARN,
               "prompt_max %lld and response_max %lld are more than the %lld tokens that the model "
               "reads: prompt_max is %lld", (long long)rule->prompt_max, (long long)response_max,
               (long long)context_max, (long long)room);
    if (rule->prompt_max == 0 || rule->prompt_max > room) rule->prompt_max = room;
    return MG_OK;
}

// A reward model reads the policy's tokens.
static mg_err check_reward_model(const mg_settings *s, const mg_model_config *policy) {
    mg_model_config c;
    mg_err          err = mg_model_config_read(s->run.reward_model, &c);
    if (!err && c.vocab != policy->vocab)
        err = mg_fail(MG_MISMATCH, "reward_model: %s has %lld tokens, the policy %s has %lld",
                      s->run.reward_model, (long long)c.vocab, s->run.model,
                      (long long)policy->vocab);
    return err;
}

// The tokenizer of the model's folder, and the stop token that the model's config names.
static mg_err load_tokenizer(const mg_settings *s, mg_job *job, mg_tokenizer **tokenizer) {
    mg_tokenizer   *t = NULL;
    mg_model_config c;
    mg_err err = mg_model_config_read(s->run.model, &c);
    if (!err && c.family == MG_FAMILY_MLP)
        err = mg_fail(MG_CONFIG, "model: %s is a perceptron, which reads vectors; wanted a language model: the world "
                                   "has texts", s->run.model);
    if (!err) err = mg_tokenizer_load(&t, mg_path(job->run, "%s/tokenizer.json", s->run.model));
    if (err) return err;
    if (mg_tokenizer_vocab_size(t) > c.vocab)
        err = mg_fail(MG_MISMATCH, "%s: tokenizer.json has %d tokens, the model only %lld rows",
                      s->run.model, mg_tokenizer_vocab_size(t), (long long)c.vocab);
    else if (c.eos < 0 || c.eos >= mg_tokenizer_vocab_size(t))
        err = mg_fail(MG_MISMATCH, "%s: config.json: eos_token_id is %d, which the tokenizer has not",
                      s->run.model, c.eos);
    if (!err) err = mg_prompt_fit(&job->rule, s->run.response_max, c.context_max);
    if (!err && s->run.reward_model[0]) err = check_reward_model(s, &c);
    if (err) {
        mg_tokenizer_free(t);
        return err;
    }
    job->rule.stop   = c.eos;
    job->context_max = c.context_max;
    *tokenizer       = t;
    return MG_OK;
}

// train.jsonl and, where it is there, validation.jsonl of a folder.
static mg_err read_data(const mg_settings *s, mg_job *job) {
    mg_pair       *pairs = NULL, *held = NULL;
    mg_preference *rows = NULL, *held_rows = NULL;
    mg_err         err = MG_OK;
    if (s->run.data[0]) {
        const char *validation = mg_path(job->run, "%s/validation.jsonl", s->run.data);
        err = mg_pairs_read(mg_path(job->run, "%s/train.jsonl", s->run.data), job->run, &pairs,
                            &job->n_pairs);
        if (!err && mg_file_exists(validation))
            err = mg_pairs_read(validation, job->run, &held, &job->n_held_pairs);
    }
    if (!err && s->run.preferences[0]) {
        const char *validation = mg_path(job->run, "%s/validation.jsonl", s->run.preferences);
        err = mg_preferences_read(mg_path(job->run, "%s/train.jsonl", s->run.preferences), job->run,
                                  &rows, &job->n_preferences);
        if (!err && mg_file_exists(validation))
            err = mg_preferences_read(validation, job->run, &held_rows, &job->n_held_preferences);
    }
    job->pairs = pairs, job->held_pairs = held;
    job->preferences = rows, job->held_preferences = held_rows;
    return err;
}

static mg_err check_needs(const mg_settings *s) {
    const mg_algo *a = s->algo;
    if (a->needs_pairs && !s->run.data[0])
        return mg_fail(MG_CONFIG, "data: found nothing, wanted a folder: %s learns from "
                                  "prompt/completion pairs", a->name);
    if (a->needs_preferences && !s->run.preferences[0])
        return mg_fail(MG_CONFIG, "preferences: found nothing, wanted a folder: %s learns from "
                                  "preference pairs", a->name);
    return MG_OK;
}

// Logged data of a bundled world can be made, by a policy that is here or by one that is made before.
static mg_err check_set(const mg_job *job, const mg_settings *s) {
    const char *data = s->run.data, *world = s->run.world;
    if (mg_file_exists(data)) return MG_OK;
    if (s->environment.command[0])
        return mg_fail(MG_CONFIG, "data: found nothing at '%s', wanted a logged data set", data);
    if (job->world && job->world->action.kind != MG_SPACE_VECTOR)
        return mg_fail(MG_CONFIG, "data: found '%s', wanted none: logged data sets are of worlds whose actions are "
                                  "numbers, and those of %s are choices", data, world);
    const char *model = mg_path(job->run, "models/%s-medium", world);
    if (mg_file_exists(model))
        return mg_fail(MG_CONFIG, "data: found nothing at '%s', wanted a logged data set of %s; `collect %s "
                                  "--level medium --model %s --out %s` makes one", data, world, world, model, data);
    return mg_fail(MG_CONFIG, "data: found nothing at '%s', wanted a logged data set of %s; `train --algo "
                              "sac --world %s --out RUN` makes a policy, then `collect %s --level medium "
                              "--model RUN --out %s` a set of what it does", data, world, world, world, data);
}

static mg_err check_folders(const mg_job *job, const mg_settings *s) {
    const char *const named[][2] = {{"data", s->run.data}, {"preferences", s->run.preferences},
                                    {"model", s->run.model}, {"reward_model", s->run.reward_model}};
    mg_err err = s->algo->act && s->run.data[0] ? check_set(job, s) : MG_OK;
    for (int i = 0; i < 4 && !err; i++)
        if (named[i][1][0]) err = mg_settings_folder(named[i][0], named[i][1]);
    return err;
}

// ---- Keys that do nothing in this kind of world: a mistake about where the run acts.

// Of a section, the keys with these names must be as they are by default.
static mg_err refuse_idle(const mg_section *section, const char *names, const mg_env_class *world, const char *kind,
                          mg_arena *arena) {
    for (const mg_field *f = section->fields; f->name; f++) {
        const char *found, *wanted;
        if (!mg_key_listed(names, f->name) || mg_key_untouched(section, f, arena, &found, &wanted)) continue;
        return mg_fail(MG_CONFIG, "%s%s%s: found '%s', wanted '%s': it is of %s, and does nothing in %s", section->name,
                       section->name[0] ? "." : "", f->name, found, wanted, kind, world->name);
    }
    return MG_OK;
}

static mg_err check_vectors(const mg_job *job, const mg_settings *s) {
    mg_model_config c;
    // First the model: whoever names a language model has set its keys as well.
    mg_err err = s->run.model[0] ? mg_settings_folder("model", s->run.model) : MG_OK;
    if (!err && s->run.model[0]) err = mg_model_config_read(s->run.model, &c);
    if (!err && s->run.model[0]) err = mg_spaces_fit(&c, job->world, s->run.model);
    if (!err)
        err = refuse_idle(&s->sections[MG_SECTION_RUN], mg_keys_of_texts(s->algo, ""), job->world, "worlds of texts",
                          job->run);
    if (!err)
        err = refuse_idle(&s->sections[MG_SECTION_NETWORK], mg_keys_of_texts(s->algo, "network"), job->world,
                          "language models", job->run);
    return err;
}

static mg_err check_texts(mg_job *job, const mg_settings *s) {
    static const mg_env_class texts = {.name = "texts"};
    const bool                fresh = s->run.model[0] == 0;
    char                      names[256];
    mg_err                    err = mg_prompt_rule_check(&job->rule);
    if (!err) err = check_needs(s);
    mg_algo_names(true, names, sizeof names);
    if (!err && fresh && !s->algo->starts_fresh)
        err = mg_fail(MG_CONFIG, "model: found nothing, wanted a model folder: only %s can start from nothing", names);
    if (!err)
        err = refuse_idle(&s->sections[MG_SECTION_NETWORK], " width depth activation ",
                          job->world ? job->world : &texts, "perceptrons", job->run);
    if (!err && fresh) err = check_network(&s->network);
    if (!err && fresh) err = mg_prompt_fit(&job->rule, s->run.response_max, s->network.context);
    return err;
}

// Learners that write their models themselves write them in float.
static mg_err check_saved(const mg_settings *s) {
    if (!s->algo->finish || strcmp(s->run.save_dtype, "f32") == 0) return MG_OK;
    return mg_fail(MG_CONFIG, "save_dtype: found '%s', wanted 'f32': models of %s are written in float",
                   s->run.save_dtype, s->algo->name);
}

static bool vectors(const mg_job *job) { return job->world && mg_spaces_vectors(job->world); }

static mg_err check_kind(mg_job *job, const mg_settings *s) {
    return vectors(job) ? check_vectors(job, s) : check_texts(job, s);
}

// A process says what kind of world it is when it is started; of any other it is known before anything that
// takes long.
static bool kind_known(const mg_settings *s) { return s->environment.command[0] == 0; }

mg_err mg_job_data(mg_job *job, const mg_settings *s) {
    job->seed          = (uint64_t)s->run.seed;
    job->compute       = compute_named(s->run.compute);
    job->response_max  = s->run.response_max;
    job->model_folder  = s->run.model;
    job->reward_folder = s->run.reward_model;
    job->rule = (mg_prompt_rule){.template = s->run.template, .prompt_max = s->run.prompt_max,
                                 .cut = s->run.cut_prompts, .stop = 0};
    mg_err err = check_saved(s);
    if (!err) err = kind_known(s) ? check_kind(job, s) : check_needs(s);
    if (!err) err = check_folders(job, s);
    return err || vectors(job) || s->algo->act ? err : read_data(s, job);
}

static mg_err open_words(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) {
    const bool    fresh = s->run.model[0] == 0;
    mg_tokenizer *t     = NULL;
    mg_err        err   = fresh ? train_tokenizer(s, job, &t) : load_tokenizer(s, job, &t);
    if (err) return err;
    if (fresh) {
        job->rule.stop = mg_tokenizer_id(t, STOP_TOKEN);
        job->fresh     = fresh_config(s, mg_tokenizer_vocab_size(t), job->run);
        job->context_max = s->network.context;
    }
    job->tokenizer = *tokenizer = t;
    return MG_OK;
}

static mg_err open_perceptron(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) {
    const mg_network_config *n = &s->network;
    *tokenizer        = NULL;
    job->rule         = (mg_prompt_rule){0};
    job->response_max = 0;
    job->mlp = (mg_mlp_shape){.width = n->width, .depth = n->depth, .tanh = strcmp(n->activation, "tanh") == 0};
    return s->run.data[0] ? mg_job_logged(job, s->run.data, &s->environment) : MG_OK;
}

mg_err mg_job_policy(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) {
    mg_err err = kind_known(s) ? MG_OK : check_kind(job, s);
    if (err || !vectors(job)) return err ? err : open_words(job, s, tokenizer);
    return open_perceptron(job, s, tokenizer);
}

mg_err mg_job_open(mg_job *job, const mg_settings *s, mg_tokenizer **tokenizer) {
    mg_err err = mg_job_data(job, s);
    return err ? err : mg_job_policy(job, s, tokenizer);
}
