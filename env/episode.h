// episode.h - the record of an episode: what was seen, said, rewarded, and what it is worth.
#ifndef MG_ENV_EPISODE_H
#define MG_ENV_EPISODE_H
#include <stddef.h>
#include <stdint.h>

#include "env/evidence.h"
#include "env/pair.h"
#include "env/reward.h"

// How far an episode can be trusted. A failure of the model is CLEAN; only CLEAN episodes enter a
// group, a baseline, a whitening statistic or a gradient.
typedef enum mg_verdict { MG_CLEAN, MG_SUSPECT, MG_QUARANTINED } mg_verdict;

// Who wrote a token.
typedef enum mg_role {
    MG_ROLE_ENVIRONMENT, // an observation: never trained on
    MG_ROLE_FORCED,      // a reset's prefix, or an answer of a demonstration's turns
    MG_ROLE_POLICY,      // sampled
} mg_role;

// Where an episode is to start. Made by the algorithm, honoured by the rollout.
typedef struct mg_start {
    int64_t        item;     // task of the world
    int32_t        group;    // episodes with the same start, for group baselines
    uint32_t       episode, attempt; // coordinates of its random draws
    const int32_t *prefix;   // tokens of the answer so far; NULL: from the beginning
    int64_t        n_prefix;
    // A start behind whole turns of a demonstration: its first demo_turns exchanges are in the past.
    // The environment is seeded as the demonstration was, and no prefix comes with it.
    const mg_pair *demo;     // NULL: none. Borrowed; made on this item
    int64_t        demo_turns; // 1 to its n_later
} mg_start;

// One call as it went over the wire, times on the harness's clock.
typedef struct mg_call {
    uint64_t request;        // id within the environment's life, from 1; 0: no wire (in process)
    uint64_t nonce;          // what had to come back with the answer
    int64_t  intended_ns, sent_ns, received_ns;
    const char *raw;         // the answer's bytes before anything was read from them; NULL: in process
    size_t      raw_size;
    const char *injected;    // fault put in on purpose, its name; NULL: none
    int32_t     load;        // calls in flight on the environment's host when it was sent
} mg_call;

typedef struct mg_turn {
    const char *observation; // text, borrowed by the record
    size_t      observation_size;
    const char *action;
    size_t      action_size;
    int64_t     action_begin, action_end; // its tokens, [begin, end)
    mg_reward   reward;                   // as the environment gave it
    mg_evidence evidence;                 // strings and touched copied by the record
    mg_call     call;
} mg_turn;

// What a perceptron policy did in a world of vectors, for whoever learns from it; of each turn, or of the last.
typedef struct mg_vector_steps {
    const float   *drawn;  // [n_turns, n] as its head drew them (nets/act.h), before the world's range cut them; NULL:
                           // it chooses
    const int32_t *choice; // [n_turns]; NULL: it does not choose
    const double  *logp;   // [n_turns] of that; NULL: the head has none
    const float   *last;   // what was seen behind the last turn where watching stopped; NULL: the task was over
} mg_vector_steps;

// Arrays are owned by the arena of whoever made the episode (one update's).
typedef struct mg_episode {
    mg_start start;
    uint64_t seed;           // of the environment's reset, at most MG_SEED_MAX
    int64_t  policy_version; // updates done when it was sampled

    int32_t *tokens;         // [n_tokens] observation and answer, turn after turn; a truncated episode
                             // ends with what is seen after its last answer
    uint8_t *role;           // [n_tokens] mg_role
    float   *logp;           // [n_tokens] of the policy's tokens and a prefix's when sampled; 0 elsewhere,
                             // also in a demonstration's turns
    int64_t  n_tokens;

    const mg_vector_steps *vectors; // NULL: texts, or a script's

    mg_turn *turns;          // [n_turns]
    int64_t  n_turns;
    bool     terminated, truncated;
    bool     stopped;        // the last answer ended with the stop token, not at its limit

    mg_reward learned;       // of the reward model, where one scores; filled by the algorithm
    mg_verdict  verdict;
    const char *code;        // of the taxonomy (harness/taxonomy.h), static; NULL: nothing to say. A CLEAN
                             // episode may carry an M code: the model's failure is its own to learn from
    char        detail[256]; // one sentence; "" where code is NULL
    int32_t     code_turn;   // turn that the code is about; -1: none (reset, or the whole episode)
    uint8_t     reset_digest[32]; // of the state in which the policy began: after reset, or behind the
                                  // demonstration's turns; zeros where it was never reached
    uint8_t     end_digest[32];   // of the state after the last turn; zeros after an environment's error
} mg_episode;

// Sum of the turns' rewards, ABSENT or INVALID when one of them is.
mg_reward mg_episode_return(const mg_episode *e);
#endif
