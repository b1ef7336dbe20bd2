// reproduce_gate.c - what does the gate save? A small model learns on support-desk with one of three
// seeded faults, in five arms, and is judged on the clean world.
//
//   clean    the world without the fault
//   none     the fault, and every episode that has a reward is learnt from
//   naive    what the verdicts exclude is masked after the baseline, as some trainers do
//   zero     what the verdicts exclude earns 0 and is learnt from
//   gate     the gate as it stands, going on behind its trip so that the policy can be judged
//
// What truly was corrupted is found apart from the verdicts: an episode is poisoned when the clean world,
// given the same seed and actions, shows or pays anything else.
#include <math.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/json.h"
#include "app/reproduce.h"
#include "core/file.h"
#include "core/log.h"
#include "harness/attribution.h"
#include "rollout/demos.h"
#include "rollout/replay.h"
#include "rollout/scripted.h"
#include "store/jsonl.h"
#include "train/run.h"
#include "worlds/support_desk.h"

#define FAULT_RATE "0.8" // share of episodes that have it
#define DEMOS      600   // demonstrations that the prior learns from; the last ones are held out
#define DEMOS_HELD 40
#define JUDGED     500   // held-out tasks, one episode each
#define ARENA_MAX  ((size_t)16 << 30)

typedef enum arm_kind { CLEAN, NONE, NAIVE, ZERO, GATE } arm_kind;

static const struct {
    const char *mutant;
    arm_kind    kind;
} arm_is[] = { // in the order of arms
    {"none", CLEAN},
    {"stale_read", NONE},       {"stale_read", NAIVE},       {"stale_read", ZERO},       {"stale_read", GATE},
    {"false_resolution", NONE}, {"false_resolution", NAIVE}, {"false_resolution", ZERO}, {"false_resolution", GATE},
    {"timeout_default", NONE},  {"timeout_default", NAIVE},  {"timeout_default", ZERO},  {"timeout_default", GATE},
};

#define ARMS(F, mutant)                                                                       \
    F(mutant "-none", "every episode with a reward is learnt from"),                           \
    F(mutant "-naive", "the verdicts' exclusions are masked after the baseline"),              \
    F(mutant "-zero", "the verdicts' exclusions earn 0"),                                      \
    F(mutant "-gate", "the gate")
#define ARM(name, meaning) {name, meaning, MG_REPRODUCE_SEEDS_MAX}

static const mg_arm arms[] = {
    ARM("clean", "the world without a fault"), ARMS(ARM, "stale_read"), ARMS(ARM, "false_resolution"),
    ARMS(ARM, "timeout_default"), {0}};

// The starting policy: a small transformer that imitates an oracle with 30 % random moves.
static const mg_override prior_settings[] = {
    {"algo", "sft"},        {"world", "support-desk"}, {"sft.epochs", "10"},      {"sft.batch", "32"},
    {"sft.lr", "3e-3"},     {"network.vocab", "384"}, {"network.d_model", "64"},
    {"network.d_ff", "192"}, {"network.layers", "2"},   {"network.heads", "2"},    {"network.kv_heads", "2"},
    {"network.context", "320"}, {"response_max", "8"},  {"prompt_max", "0"},
};
static const mg_override grpo_settings[] = {
    {"algo", "grpo"},        {"world", "support-desk"}, {"grpo.updates", "80"}, {"grpo.prompts", "12"},
    {"grpo.group", "8"},     {"grpo.epochs", "2"},      {"grpo.lr", "1e-3"},
    {"grpo.kl_coef", "0"},   {"grpo.temperature", "1"},
    {"response_max", "8"},   {"prompt_max", "0"},       {"record", "replayable"}, {"checkpoint_every", "1000"},
    {"gate.on_trip", "note"},
};

#define N(list) (int)(sizeof(list) / sizeof *(list))

// ---- what reached a gradient, counted against the clean world

typedef struct study {
    mg_cells      *cells;
    arm_kind       kind;
    const mg_world *twin; // the clean one
    mg_arena       arena; // of one update
    int64_t        attempts, admitted, unclean, poisoned, poisoned_admitted, poisoned_clean, clean_lost;
} study;

static bool is_poisoned(study *s, const mg_episode *e) {
    mg_episode again;
    char       what[64];
    const mg_rollout how = {.class = s->twin->class, .world = s->twin->world};
    mg_replay(&how, e, &s->arena, &again);
    return mg_episode_differs(e, &again, what) != -1;
}

static void *copy(mg_arena *arena, const void *from, size_t size) {
    return memcpy(mg_arena_alloc(arena, size), from, size);
}

// On copies: the record keeps what was played and paid.
static void zero_rewards(mg_episode *e, mg_arena *arena) {
    e->turns = copy(arena, e->turns, sizeof *e->turns * (size_t)e->n_turns);
    for (int64_t t = 0; t < e->n_turns; t++) e->turns[t].reward = mg_reward_of(0);
}

// In the baseline, and masked: no token of it counts as the policy's.
static void mask(mg_episode *e, mg_arena *arena) {
    e->role = copy(arena, e->role, (size_t)e->n_tokens);
    for (int64_t k = 0; k < e->n_tokens; k++)
        if (e->role[k] == MG_ROLE_POLICY) e->role[k] = MG_ROLE_FORCED;
}

// Lets in what the arm lets in. True: not what the gate admitted.
static bool admit(void *context, mg_collected *c) {
    study *s = context;
    mg_arena_reset(&s->arena, 0);
    bool *poisoned = MG_NEW(&s->arena, bool, c->n_all), *in = MG_NEW(&s->arena, bool, c->n_all);
    for (int64_t i = 0; i < c->n_all; i++) {
        poisoned[i] = is_poisoned(s, &c->all[i]);
        s->poisoned += poisoned[i];
        s->poisoned_clean += poisoned[i] && c->all[i].verdict == MG_CLEAN;
    }
    const bool own = s->kind == NONE || s->kind == NAIVE || s->kind == ZERO;
    if (own) c->n_kept = 0, c->instead = copy(&s->arena, c->all, sizeof *c->all * (size_t)c->n_all);
    for (int64_t i = 0; i < c->n_all && own; i++) {
        mg_episode     *e    = &c->instead[i];
        const bool      bad  = e->verdict != MG_CLEAN;
        const mg_reward paid = mg_episode_return(e);
        if (e->n_turns == 0 || (s->kind == NONE && paid.kind != MG_REWARD_VALUE)) continue;
        c->kept[c->n_kept++] = i;
        if (bad && s->kind != NONE) zero_rewards(e, &s->arena);
        if (bad && s->kind == NAIVE) mask(e, &s->arena);
    }
    for (int64_t k = 0; k < c->n_kept; k++) {
        const int64_t i = c->kept[k];
        in[i] = true;
        s->unclean += c->all[i].verdict != MG_CLEAN;
        s->poisoned_admitted += poisoned[i];
    }
    for (int64_t i = 0; i < c->n_all; i++) s->clean_lost += !in[i] && !poisoned[i];
    s->attempts += c->n_all, s->admitted += c->n_kept;
    return own;
}

// ---- the prior

static mg_err settings_for(mg_arena *arena, const char *mutant, mg_settings *out) {
    const mg_override o[] = {{"algo", "grpo"}, {"world", "support-desk"}, {"environment.mutant", mutant},
                             {"environment.mutant_rate", FAULT_RATE}};
    return mg_settings_read(out, NULL, o, N(o), arena);
}

static mg_err open_twin(mg_arena *arena, mg_world *out) {
    mg_settings s;
    mg_err      err = settings_for(arena, "none", &s);
    return err ? err : mg_app_world_of(&s, NULL, 0, NULL, 0, arena, out);
}

// Demonstrations by the world's noisy oracle, on the clean world, made once.
static mg_err make_demos(mg_cells *c, const mg_world *twin) {
    const char *folder = mg_path(&c->arena, "%s/demos", c->runs);
    const char *train  = mg_path(&c->arena, "%s/train.jsonl", folder);
    if (mg_file_exists(train)) return MG_OK;
    const mg_rollout how = {.class = twin->class, .world = twin->world, .seed = 1,
                            .script = mg_env_script(twin->class, "noisy")};
    mg_start   *starts   = MG_NEW(&c->arena, mg_start, DEMOS);
    mg_episode *episodes = MG_NEW(&c->arena, mg_episode, DEMOS);
    mg_pair    *pairs;
    for (int i = 0; i < DEMOS; i++)
        starts[i] = (mg_start){.item = i, .group = i, .episode = (uint32_t)i};
    mg_err err = mg_scripted_run(&how, starts, DEMOS, 0, 0, &c->arena, episodes);
    if (!err) err = mg_demos_of(episodes, DEMOS, &c->arena, &pairs);
    if (!err) err = mg_folder_make(folder);
    if (!err)
        err = mg_pairs_write(mg_path(&c->arena, "%s/validation.jsonl", folder), pairs + DEMOS - DEMOS_HELD,
                             DEMOS_HELD);
    return err ? err : mg_pairs_write(train, pairs, DEMOS - DEMOS_HELD);
}

static mg_err train(mg_cells *c, const char *name, const mg_override *settings, int n, int seed,
                    const mg_override *more, int n_more, study *s, mg_train_result *result) {
    mg_override all[64];
    int         k   = 0;
    const char *out = mg_path(&c->arena, "%s/%s", c->runs, name);
    for (int i = 0; i < n; i++) all[k++] = settings[i];
    for (int i = 0; i < n_more; i++) all[k++] = more[i];
    all[k++] = (mg_override){"out", out};
    all[k++] = (mg_override){"seed", mg_path(&c->arena, "%d", seed)};
    all[k++] = (mg_override){"threads", mg_path(&c->arena, "%lld", (long long)c->threads)};
    const bool             resume = mg_file_exists(mg_path(&c->arena, "%s/run.db", out));
    const mg_train_options o = {.overrides = all, .n_overrides = k, .resume = resume, .make_world = mg_app_world,
                                .end_world = mg_app_world_free, .admit = s ? admit : NULL, .admit_context = s,
                                .stop = &mg_stop, .wall_time = (double)time(NULL)};
    return mg_train(&o, result);
}

static mg_err make_prior(mg_cells *c, int seed, const mg_world *twin, const char **model) {
    mg_train_result   result;
    const char       *name   = mg_path(&c->arena, "prior-%d", seed);
    const mg_override more[] = {{"data", mg_path(&c->arena, "%s/demos", c->runs)}};
    mg_err            err    = make_demos(c, twin);
    *model = mg_path(&c->arena, "%s/%s/model", c->runs, name);
    if (err || mg_file_exists(mg_path(&c->arena, "%s/config.json", *model))) return err;
    return train(c, name, prior_settings, N(prior_settings), seed, more, 1, NULL, &result);
}

// ---- the judge

typedef struct verdict {
    double success, unfixed, unverified, repeated, n, timed_out;
} verdict;

static mg_err judge(mg_cells *c, const char *run, int seed, const mg_world *twin, verdict *out) {
    mg_settings   s;
    mg_job        job = {.run = &c->arena, .step = &c->arena};
    mg_tokenizer *tokenizer = NULL;
    mg_model     *model     = NULL;
    const mg_override o[] = {{"algo", "grpo"}, {"world", "support-desk"}, {"model", run},
                             {"response_max", "8"}, {"prompt_max", "0"}};
    mg_start   *starts   = MG_NEW(&c->arena, mg_start, JUDGED);
    mg_episode *episodes = MG_NEW(&c->arena, mg_episode, JUDGED);
    mg_err err = mg_settings_read(&s, NULL, o, N(o), &c->arena);
    if (!err) err = mg_team_open(&job.team, (int)c->threads);
    if (!err) err = mg_job_open(&job, &s, &tokenizer);
    if (!err) err = mg_model_load(&model, s.run.model, false);
    const mg_rollout how = {.model = model, .tokenizer = tokenizer, .rule = job.rule, .team = job.team,
                            .class = twin->class, .world = twin->world, .seed = 1000 + (uint64_t)seed,
                            .sampling = {.temperature = 1, .top_p = 1, .new_max = job.response_max,
                                         .stop = job.rule.stop}};
    for (int i = 0; i < JUDGED; i++)
        starts[i] = (mg_start){.item = MG_SUPPORT_DESK_TRAIN + i, .group = i, .episode = (uint32_t)i};
    if (!err) err = mg_rollout_run(&how, starts, JUDGED, 0, 0, &c->arena, &c->arena, episodes, NULL);
    *out = (verdict){0};
    for (int i = 0; i < JUDGED && !err; i++) {
        const mg_episode      *e = &episodes[i];
        const mg_evidence     *v = e->n_turns ? &e->turns[e->n_turns - 1].evidence : NULL;
        mg_support_desk_habits h;
        if (e->verdict != MG_CLEAN) continue;
        mg_support_desk_habits_of(e, &h);
        out->n++, out->success += v && v->conditions > 0 && v->held == v->conditions;
        out->unfixed += h.resolved_unfixed, out->unverified += h.unverified, out->repeated += h.repeated;
        out->timed_out += h.timed_out;
    }
    mg_model_free(model);
    mg_tokenizer_free(tokenizer);
    mg_team_close(job.team);
    return err;
}

// ---- cells

static json_t *level(double x, double n) {
    return json_pack("{s:o, s:I}", "estimate", mg_json_number(x), "n", (json_int_t)n);
}

static json_t *numbers(const study *s, const verdict *v, const mg_train_result *trained, int64_t tripped_at) {
    json_t *o = json_pack("{s:s, s:f}", "fault_rate", FAULT_RATE, "seconds", trained->seconds);
    const double all = (double)s->attempts;
    json_object_set_new(o, "success", level(v->success / v->n, v->n));
    json_object_set_new(o, "resolved_unfixed", level(v->unfixed / v->n, v->n));
    json_object_set_new(o, "unverified_timeout", 
                        level(v->timed_out > 0 ? v->unverified / v->timed_out : NAN, v->timed_out));
    json_object_set_new(o, "repeated_fix", level(v->repeated / v->n, v->n));
    json_object_set_new(o, "unclean_in_gradient", level((double)s->unclean, all));
    json_object_set_new(o, "poisoned_in_gradient", level((double)s->poisoned_admitted, all));
    json_object_set_new(o, "poisoned", level((double)s->poisoned, all));
    json_object_set_new(o, "poisoned_called_clean",
                        level(s->poisoned ? (double)s->poisoned_clean / (double)s->poisoned : NAN,
                               (double)s->poisoned));
    json_object_set_new(o, "clean_lost", level((double)s->clean_lost / all, all));
    json_object_set_new(o, "attempts_per_admitted", level(s->admitted ? all / (double)s->admitted : NAN, all));
    json_object_set_new(o, "episodes_until_breaker", level(tripped_at < 0 ? NAN : (double)tripped_at, all));
    return o;
}

// Attempts when the gate tripped, of the run's own account; -1: it did not.
static mg_err tripped_at(mg_cells *c, const char *run, int64_t *out) {
    mg_store *store;
    char     *text;
    mg_err    err = mg_store_open(&store, mg_path(&c->arena, "%s/run.db", run));
    if (err) return err;
    err = mg_store_note_read(store, "harness", &c->arena, &text);
    if (!err) {
        json_t *note = json_loads(text, 0, NULL);
        *out         = json_integer_value(json_object_get(note, "tripped_at"));
        json_decref(note);
    }
    const mg_err closed = mg_store_close(store);
    return err ? err : closed;
}

static mg_err run(mg_cells *c, int arm, int seed, json_t **result) {
    const char       *name = mg_path(&c->arena, "%s-%d", arms[arm].name, seed);
    const char       *own  = mg_path(&c->arena, "%s/%s", c->runs, name), *prior;
    study             s    = {.cells = c, .kind = arm_is[arm].kind};
    mg_world          twin = {0};
    mg_train_result   trained;
    verdict           v;
    int64_t           tripped = -1;
    mg_err err = mg_arena_init(&s.arena, "study", ARENA_MAX);
    if (!err) err = open_twin(&c->arena, &twin);
    s.twin = &twin;
    if (!err) err = make_prior(c, seed, &twin, &prior);
    const mg_override more[] = {{"model", err ? "" : prior}, {"environment.mutant", arm_is[arm].mutant},
                                {"environment.mutant_rate", FAULT_RATE},
                                // The arms without a gate take each episode as it comes.
                                {"gate.retries", s.kind == CLEAN || s.kind == GATE ? "2" : "0"}};
    if (!err) err = train(c, name, grpo_settings, N(grpo_settings), seed, more, N(more), &s, &trained);
    if (!err) err = judge(c, own, seed, &twin, &v);
    if (!err) err = tripped_at(c, own, &tripped);
    if (!err) *result = numbers(&s, &v, &trained, tripped);
    mg_app_world_free(&twin);
    mg_arena_release(&s.arena);
    return err;
}

static const struct mg_level levels[] = {
    {"success", NAN},             {"resolved_unfixed", NAN},      {"unverified_timeout", NAN},
    {"repeated_fix", NAN},        {"unclean_in_gradient", NAN},   {"poisoned_in_gradient", NAN},
    {"poisoned_called_clean", NAN}, {"clean_lost", NAN},          {"attempts_per_admitted", NAN},
    {"episodes_until_breaker", NAN}};
static const char *const metrics[] = {"success", "resolved_unfixed", "unverified_timeout", "repeated_fix"};
#define AGAINST(mutant) {mutant "-gate", mutant "-none"}, {mutant "-gate", mutant "-naive"}, \
                        {mutant "-gate", mutant "-zero"}, {mutant "-gate", "clean"}
static const struct mg_contrast contrasts[] = {
    AGAINST("stale_read"), AGAINST("false_resolution"), AGAINST("timeout_default")};

static const mg_question question = {
    .title = "One fault, five ways to take it", .arms = arms, .run = run,
    .claims = {.level_words = "on the clean world", .levels = levels, .n_levels = N(levels),
               .contrasts = contrasts, .n_contrasts = N(contrasts), .metrics = metrics, .n_metrics = N(metrics)}};
static const mg_question *const questions[] = {&question, NULL};

const mg_grid mg_grid_gate = {"gate", "does the gate save the policy from a broken environment?", questions};
