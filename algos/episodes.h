// episodes.h - episodes as the flat per-token arrays that on-policy updates work on.
#ifndef MG_ALGOS_EPISODES_H
#define MG_ALGOS_EPISODES_H
#include "core/rng.h"
#include "env/episode.h"
#include "nets/answers.h"

// A network reads an episode as a prompt (its first observation) and an answer (everything after).
// Flat arrays hold one entry per answer token, episode after episode: [offset[i], offset[i+1]).
typedef struct mg_episode_tokens {
    mg_answers answers;  // answer i is episode i's; episodes of one group share the prompt
    int64_t   *offset;   // [n + 1]
    uint8_t   *role;     // [count] mg_role
    double    *logp_old; // [count] as sampled
    int64_t    n, count;
} mg_episode_tokens;

void mg_episode_tokens_make(const mg_episode *episodes, int64_t n, mg_arena *arena,
                            mg_episode_tokens *out);

// The reward to learn from: the reward model's where it scored, else the environment's. What an
// episode without a number does here is a broken program: the gate let it pass.
double mg_episode_reward(const mg_episode *e);
#endif
