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

#include "app/json.h"
#include "app/reproduce_desk.h"
#include "core/file.h"
#include "harness/attribution.h"
#include "rollout/replay.h"
#include "train/run.h"
#include "worlds/support_desk.h"

#define FAULT_RATE "0.8" // share of episodes that have it
#define EPOCHS     "10"  // over the demonstrations, for the starting policy
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

// ---- the judge

typedef struct verdict {
    double success, unfixed, unverified, repeated, n, timed_out;
} verdict;

static mg_err judge(mg_cells *c, const char *run, int seed, const mg_world *twin, verdict *out) {
    mg_episode *episodes;
    mg_err      err = mg_desk_play(c, twin, run, NULL, seed, &episodes, NULL);
    *out            = (verdict){0};
    for (int i = 0; i < MG_DESK_JUDGED && !err; i++) {
        const mg_episode      *e = &episodes[i];
        mg_support_desk_habits h;
        if (e->verdict != MG_CLEAN) continue;
        mg_support_desk_habits_of(e, &h);
        out->n++, out->success += mg_desk_solved(e);
        out->unfixed += h.resolved_unfixed, out->unverified += h.unverified, out->repeated += h.repeated;
        out->timed_out += h.timed_out;
    }
    return err;
}

// ---- cells

static json_t *level(double x, double n) {
    return json_pack("{s:o, s:I}", "estimate", mg_json_number(x), "n", (json_int_t)n);
}

static json_t *numbers(const study *s, const verdict *v, int64_t tripped_at) {
    json_t *o = json_pack("{s:s}", "fault_rate", FAULT_RATE);
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
    if (!err) err = mg_desk_world_open(&c->arena, &twin);
    s.twin = &twin;
    if (!err) err = mg_desk_prior(c, &twin, seed, EPOCHS, &prior);
    const mg_override more[] = {{"model", err ? "" : prior}, {"environment.mutant", arm_is[arm].mutant},
                                {"environment.mutant_rate", FAULT_RATE},
                                // The arms without a gate take each episode as it comes.
                                {"gate.retries", s.kind == CLEAN || s.kind == GATE ? "2" : "0"}};
    const mg_desk_run r = {.name = name, .seed = seed, .settings = grpo_settings, .n_settings = N(grpo_settings),
                           .more = more, .n_more = N(more), .admit = admit, .admit_context = &s};
    if (!err) err = mg_desk_train(c, &r, &trained);
    if (!err) err = judge(c, own, seed, &twin, &v);
    if (!err) err = tripped_at(c, own, &tripped);
    if (!err) *result = numbers(&s, &v, tripped);
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
    .title = "One fault, five ways to take it",
    .shared = "Seeds change the starting policy's training, the episodes and the\ntraining on them; demonstrations, "
              "tasks, and the 500 that are judged are the same for all.",
    .arms = arms, .run = run,
    .claims = {.level_words = "on the clean world", .levels = levels, .n_levels = N(levels),
               .contrasts = contrasts, .n_contrasts = N(contrasts), .metrics = metrics, .n_metrics = N(metrics)}};
static const mg_question *const questions[] = {&question, NULL};

const mg_grid mg_grid_gate = {"gate", "does the gate save the policy from a broken environment?", questions};
