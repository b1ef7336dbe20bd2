// synopsis.h - a text world of one turn: answer a prompt as a person did.
//
// The tasks are pairs; the observation is a pair's prompt, the action the answer, the reward what a
// reward function says of the whole answer. The answer may come in pieces: an `open` action adds to
// it, earns 0 and ends nothing; a closed one adds to it and ends the episode. A reset with a prefix
// is the same state as a reset followed by that prefix as an open action, so an episode can start
// inside a reference (dataset resets: Chang et al. 2024, arXiv:2404.08495, section 2).
//
// Threads: the world is read-only; the reward function must bear calls from several threads.
#ifndef MG_WORLDS_SYNOPSIS_H
#define MG_WORLDS_SYNOPSIS_H
#include "env/env.h"
#include "env/pair.h"

#define MG_SYNOPSIS_ANSWER_MAX 4096      // bytes of one answer
#define MG_SYNOPSIS_PROMPT_MAX (1 << 20) // bytes

typedef mg_reward mg_answer_reward(void *context, const char *prompt, const char *answer,
                                   size_t size);

// mg_env.world of this class.
typedef struct mg_synopsis_world {
    const mg_pair    *pairs; // [n] borrowed
    int64_t           n;
    mg_answer_reward *reward; // NULL: every reward is ABSENT("no reward function")
    void             *context;
} mg_synopsis_world;

// reset: item -1 draws a pair by the seed. Errors: MG_EMPTY (no pairs), MG_CONFIG (no such item;
// a step after the end), MG_LIMIT (an answer or prompt that is too long).
extern const mg_env_class mg_synopsis_class;
#endif
