// reproduce_offline.c - the arms of offline-online: a policy is learnt from data by TD3-BC and goes on in the world.
//
// The claims are those of Luo et al. 2023, "Finetuning from offline reinforcement learning: challenges, trade-offs and
// practical solutions", arXiv:2303.17396. Its constants, data sets and criterion of a collapse are not public: the
// numbers here, the sizes of the data and the measures (reproduce_offline.h) are ours.
#include "app/reproduce_offline.h"

#include <math.h>

#define N(list) (int)(sizeof(list) / sizeof *(list))
#define SEEDS MG_REPRODUCE_SEEDS_MAX

// Arms are a list, F(name, meaning, world, set, algo, settings...), of which an mg_arm and an mg_offline_arm are made.
#define V124(F, at, world, set)                                                                                     \
    F(at "-V1", "TD3-BC goes on", world, set, "td3_bc", {0})                                                        \
    F(at "-V2", "TD3", world, set, "td3", {0})                                                                      \
    F(at "-V4", "TD3-C, bound to the target policy", world, set, "td3_c", {0})
#define MODES(F, at, v, world, set, algo)                                                                           \
    F(at "-" v "-empty", "the buffer alone", world, set, algo, {"replay_mode", "empty"})                            \
    F(at "-" v "-half", "half of a batch from data", world, set, algo, {"replay_mode", "half"})                     \
    F(at "-" v "-warmup", "the buffer alone, behind steps without learning", world, set, algo,                      \
      {"replay_mode", "warmup"})
#define BOUND(F, at, anchor, eps, world, set)                                                                       \
    F(at "-" anchor "-" eps, "TD3-C, bound " eps ", anchor " anchor, world, set, "td3_c", {"anchor", anchor},       \
      {"eps", eps})
#define ALL(F, at, world, set)                                                                                      \
    F(at "-V0", "nothing behind the data", world, set, NULL, {0})                                                   \
    V124(F, at, world, set)                                                                                         \
    F(at "-V3", "TD3-BC whose cloning fades", world, set, "td3_bc", {"bc_anneal_steps", "2500"})                    \
    F(at "-V5", "TD3-C, bound to the pre-trained policy, loosened", world, set, "td3_c", {"anchor", "frozen"},      \
      {"eps", "0.0025"}, {"eps_end", "0.04"}, {"eps_steps", "5000"})                                                \
    F(at "-V6", "a penalty of weight 1", world, set, "td3_c", {"anchor", "frozen"}, {"fixed", "true"})              \
    MODES(F, at, "V2", world, set, "td3")                                                                           \
    MODES(F, at, "V4", world, set, "td3_c")                                                                         \
    BOUND(F, at, "target", "1e-4", world, set)                                                                      \
    BOUND(F, at, "target", "1e-2", world, set)                                                                      \
    BOUND(F, at, "frozen", "1e-4", world, set)                                                                      \
    BOUND(F, at, "frozen", "1e-2", world, set)

#define PENDULUM(F)                                                                                                 \
    ALL(F, "pendulum-medium", "pendulum", "medium")                                                                 \
    ALL(F, "pendulum-expert", "pendulum", "expert")                                                                 \
    V124(F, "pendulum-medium-replay", "pendulum", "medium-replay")                                                  \
    V124(F, "pendulum-random", "pendulum", "random")

#define SHIFT(F, v, meaning, algo)                                                                                  \
    F("hopper-shifted-" v, meaning ", on a plant 1.5 times as heavy", "hopper", "medium", algo,                     \
      {"environment.shift_mass", "1.5"})
#define HOPPER(F)                                                                                                   \
    V124(F, "hopper-medium", "hopper", "medium")                                                                    \
    SHIFT(F, "V1", "TD3-BC goes on", "td3_bc")                                                                      \
    SHIFT(F, "V2", "TD3", "td3")                                                                                    \
    SHIFT(F, "V4", "TD3-C", "td3_c")

#define LATER(F)                                                                                                    \
    V124(F, "hopper-medium-replay", "hopper", "medium-replay")                                                      \
    V124(F, "walker2d-medium", "walker2d", "medium")                                                                \
    V124(F, "walker2d-medium-replay", "walker2d", "medium-replay")                                                  \
    V124(F, "half-cheetah-medium", "half-cheetah", "medium")

#define QUIET(F, at, v, set, algo)                                                                                  \
    F("guard-quiet-" at "-" v, "guarded, " algo " on " set, "pendulum", set, algo, {"guard.enabled", "true"},        \
      {"guard.keep_best", "false"})
#define GUARD(F)                                                                                                    \
    F("guard-off", "TD3 from the buffer alone, unguarded", "pendulum", "expert", "td3", {"replay_mode", "empty"})     \
    F("guard-on", "the same, guarded", "pendulum", "expert", "td3", {"replay_mode", "empty"},                       \
      {"guard.enabled", "true"}, {"guard.keep_best", "false"})                                                      \
    QUIET(F, "medium", "V1", "medium", "td3_bc")                                                                    \
    QUIET(F, "medium", "V4", "medium", "td3_c")                                                                     \
    QUIET(F, "expert", "V1", "expert", "td3_bc")                                                                    \
    QUIET(F, "expert", "V4", "expert", "td3_c")

#define ARM(name, meaning, world, set, algo, ...)  {name, meaning, SEEDS},
#define SPEC(name, meaning, world, set, algo, ...) {world, set, algo, {__VA_ARGS__}},
#define SHARED "Seeds change pre-training, which the arms of a seed share, and what comes behind it;\n" \
               "data are the same for all."

static const struct mg_level    levels[]  = {{"J0", NAN},   {"D", NAN},     {"event", NAN}, {"recovery", NAN},
                                             {"auc", NAN},  {"final", NAN}, {"share", NAN}, {"slope", NAN}};
static const struct mg_level    guarded[] = {{"J0", NAN}, {"D", NAN}, {"final", NAN}, {"share", NAN},
                                             {"rollbacks", NAN}, {"kept", NAN}};
static const char *const        metrics[] = {"D", "auc", "final", "slope"};
#define AGAINST(at) {at "-V2", at "-V1"}, {at "-V4", at "-V1"}, {at "-V4", at "-V2"}
static const struct mg_contrast pendulum_contrasts[] = {AGAINST("pendulum-medium"), AGAINST("pendulum-expert")};
static const struct mg_contrast hopper_contrasts[]   = {AGAINST("hopper-medium"), AGAINST("hopper-shifted")};
static const struct mg_contrast later_contrasts[]    = {AGAINST("hopper-medium-replay"), AGAINST("walker2d-medium"),
                                                        AGAINST("walker2d-medium-replay"),
                                                        AGAINST("half-cheetah-medium")};
static const struct mg_contrast guard_contrasts[]    = {{"guard-on", "guard-off"}};

#define QUESTION(id, list, its_title, its_levels, its_contrasts) \
    static const mg_arm         id##_arms[]  = {list(ARM){0}}; \
    static const mg_offline_arm id##_specs[] = {list(SPEC)}; \
    static mg_err run_##id(mg_cells *c, int arm, int seed, json_t **result) { \
        return mg_offline_run(c, &id##_specs[arm], id##_arms[arm].name, seed, result); \
    } \
    static const mg_question id = { \
        .title = its_title, .shared = SHARED, .arms = id##_arms, .run = run_##id, \
        .claims = {.level_words = "by its looks", .levels = its_levels, .n_levels = N(its_levels), \
                   .contrasts = its_contrasts, .n_contrasts = N(its_contrasts), .metrics = metrics, \
                   .n_metrics = N(metrics)}};

QUESTION(pendulum, PENDULUM, "The pendulum", levels, pendulum_contrasts)
QUESTION(guard, GUARD, "The guard on the pendulum", guarded, guard_contrasts)
QUESTION(hopper, HOPPER, "The hopper", levels, hopper_contrasts)
QUESTION(later, LATER, "Other sets and robots", levels, later_contrasts)

static const mg_question *const questions[] = {&pendulum, &guard, &hopper, &later, NULL};

const mg_grid mg_grid_offline_online = {"offline-online", "does fine-tuning from data collapse, and what prevents it?",
                                        questions, mg_offline_tell};
