// taxonomy.h - whose failure it was: the codes that an episode can carry.
//
// Letters: M model, E environment, V verifier, S sandbox, T task, P provider, H harness, U user
// simulator. An M code is the model's own failure and leaves the episode CLEAN: models learn from
// their own mistakes. Every other code is the harness's side, and what nobody can place counts as that.
// The failure classes are those of Auriel W, "How to Stop Shipping Low-Quality RL Environments"
// (Latent Space, 5 June 2026).
#ifndef MG_HARNESS_TAXONOMY_H
#define MG_HARNESS_TAXONOMY_H
#include <stdbool.h>

#include "env/episode.h"

#define MG_CODE_LIST(X)                                                                            \
    X(M_PARSE, "M.parse", "the answer is no action")                                               \
    X(M_ARGS, "M.args", "the action's arguments are not what its schema asks for")                 \
    X(M_LIMIT, "M.limit", "the policy reached its limit of turns, tokens or time")                 \
    X(M_WRONG, "M.wrong", "the task ended unsolved")                                               \
    X(E_OPEN, "E.open", "the environment could not be opened")                                     \
    X(E_RESET, "E.reset", "reset failed")                                                          \
    X(E_DIRTY, "E.dirty", "the state after reset is not that of a fresh environment")              \
    X(E_STEP, "E.step", "step failed")                                                             \
    X(E_OBSERVATION, "E.observation", "what was shown cannot be read")                             \
    X(E_TRACEBACK, "E.traceback", "an internal error was shown as an observation")                 \
    X(E_STATE, "E.state", "the answer says one thing, the state another")                          \
    X(E_STALE, "E.stale", "a read shows an older value than the last acknowledged write")          \
    X(E_TIMEOUT, "E.timeout", "a call ran out of time, or its time-out was passed off as an answer") \
    X(E_CAPACITY, "E.capacity", "the environment is full")                                         \
    X(E_MANIFEST, "E.manifest", "actions are not those of the pinned manifest")                    \
    X(E_DIED, "E.died", "the environment's process ended")                                         \
    X(V_ABSENT, "V.absent", "no reward was given")                                                 \
    X(V_INVALID, "V.invalid", "what was given cannot be a reward")                                 \
    X(V_RANGE, "V.range", "the reward lies outside its declared range")                            \
    X(V_ROUNDED, "V.rounded", "the reward is not what the state earns, by a rounding")             \
    X(V_WRONG, "V.wrong", "the reward is not what the state earns")                                \
    X(S_SANDBOX, "S.sandbox", "the sandbox failed")                                                \
    X(T_INVALID, "T.invalid", "the task cannot be solved as it is put")                            \
    X(P_PROVIDER, "P.provider", "the model's provider failed")                                     \
    X(H_DESYNC, "H.desync", "an answer that belongs to no open call")                              \
    X(H_PROTOCOL, "H.protocol", "a message that is not one")                                       \
    X(H_REPLAY, "H.replay", "played again, it came out otherwise")                                 \
    X(H_ABANDONED, "H.abandoned", "the run ended while it was under way")                          \
    X(H_UNKNOWN, "H.unknown", "nobody could be named")                                             \
    X(U_SIMULATOR, "U.simulator", "the simulated user broke its contract")

typedef enum mg_code {
    MG_CODE_NONE,
#define MG_CODE_ENUM(id, name, meaning) MG_##id,
    MG_CODE_LIST(MG_CODE_ENUM)
#undef MG_CODE_ENUM
    MG_CODES
} mg_code;

const char *mg_code_name(mg_code c);    // static; NULL for MG_CODE_NONE
const char *mg_code_meaning(mg_code c); // static; NULL for MG_CODE_NONE
mg_code     mg_code_find(const char *name); // NULL: MG_CODE_NONE; a name nobody knows: MG_H_UNKNOWN
bool        mg_code_is_model(mg_code c);
// Is this episode a failure of the harness's side, as the 5 % rule counts them?
bool mg_episode_harness_failed(const mg_episode *e);
#endif
