// episode.h - the record of an episode: what was seen, said, rewarded, and what it is worth.
#ifndef MG_ENV_EPISODE_H
#define MG_ENV_EPISODE_H
#include <stddef.h>
#include <stdint.h>

#include "env/reward.h"

// How far an episode can be trusted. A failure of the model is CLEAN; only CLEAN episodes enter a
// group, a baseline, a whitening statistic or a gradient.
typedef enum mg_verdict { MG_CLEAN, MG_SUSPECT, MG_QUARANTINED } mg_verdict;

// Who wrote a token.
typedef enum mg_role {
    MG_ROLE_ENVIRONMENT, // an observation: never trained on
    MG_ROLE_FORCED,      // a reset's prefix, from reference data
    MG_ROLE_POLICY,      // sampled
} mg_role;

// Where an episode is to start. Made by the algorithm, honoured by the rollout.
typedef struct mg_start {
    int64_t        item;     // task of the world
    int32_t        group;    // episodes with the same start, for group baselines
    uint32_t       episode, attempt; // coordinates of its random draws
    const int32_t *prefix;   // tokens of the answer so far; NULL: from the beginning
    int64_t        n_prefix;
} mg_start;

typedef struct mg_turn {
    const char *observation; // text, borrowed by the record
    size_t      observation_size;
    const char *action;
    size_t      action_size;
    int64_t     action_begin, action_end; // its tokens, [begin, end)
    mg_reward   reward;                   // as the environment gave it
} mg_turn;

// Arrays are owned by the arena of whoever made the episode (one update's).
typedef struct mg_episode {
    mg_start start;
    uint64_t seed;           // of the environment's reset
    int64_t  policy_version; // updates done when it was sampled

    int32_t *tokens;         // [n_tokens] observation and answer, turn after turn; a truncated episode
                             // ends with what is seen after its last answer
    uint8_t *role;           // [n_tokens] mg_role
    float   *logp;           // [n_tokens] of policy and forced tokens when sampled; 0 elsewhere
    int64_t  n_tokens;

    mg_turn *turns;          // [n_turns]
    int64_t  n_turns;
    bool     terminated, truncated;
    bool     stopped;        // the last answer ended with the stop token, not at its limit

    mg_reward learned;       // of the reward model, where one scores; filled by the algorithm
    mg_verdict  verdict;
    const char *code;        // "E.step", "V.absent", ... ; NULL when clean; static
    char        detail[256]; // one sentence; "" when clean
} mg_episode;

// Sum of the turns' rewards, ABSENT or INVALID when one of them is.
mg_reward mg_episode_return(const mg_episode *e);
#endif
