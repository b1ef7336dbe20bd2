// rng.h - Philox 4x32-10, a counter-based generator.
//
// Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (SC11).
// A draw is a pure function of (seed, purpose, id) and (episode, attempt, position), so neither
// threads nor the make-up of a batch can change a result.
#ifndef MG_CORE_RNG_H
#define MG_CORE_RNG_H
#include <stdint.h>

// What a stream is for. Two purposes never share draws.
typedef enum mg_purpose {
    MG_PURPOSE_INIT,    // weights at the start
    MG_PURPOSE_SHUFFLE, // order of a data set; position = epoch
    MG_PURPOSE_PROMPT,  // which prompts an update takes
    MG_PURPOSE_SAMPLE,  // tokens and actions of the policy
    MG_PURPOSE_RESET,   // where an episode starts inside a reference
    MG_PURPOSE_WORLD,   // what happens inside an environment
    MG_PURPOSE_LABEL,   // noise of a preference label
    MG_PURPOSE_BOOTSTRAP,
    MG_PURPOSE_EVAL,
    MG_PURPOSE_REPLAY,  // which episodes are played again
    MG_PURPOSE_TEST,
    MG_PURPOSE_BATCH,   // which transitions a gradient step takes
    MG_PURPOSE_NOISE,   // added to actions that targets and losses are taken at
} mg_purpose;

typedef struct mg_rng {
    uint32_t key[2];     // from (seed, purpose, id)
    uint32_t counter[4]; // block within a position, position, attempt, episode
    uint32_t block[4];   // the four words of the current block
    int      left;       // words of `block` not yet handed out
} mg_rng;

// The bare function, ten rounds: out = philox(counter, key).
void mg_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// The stream of (seed, purpose, id) at episode 0, attempt 0, position 0.
mg_rng mg_rng_stream(uint64_t seed, mg_purpose purpose, uint64_t id);

// Moves to the start of (episode, attempt, position); what was drawn before has no influence.
void mg_rng_seek(mg_rng *r, uint32_t episode, uint32_t attempt, uint32_t position);

uint32_t mg_rng_u32(mg_rng *r);
double   mg_rng_uniform(mg_rng *r);             // [0, 1), 53 bits
double   mg_rng_normal(mg_rng *r);              // N(0, 1), Box & Muller 1958
uint64_t mg_rng_below(mg_rng *r, uint64_t n);   // {0, ..., n-1} without bias; n > 0
void     mg_rng_shuffle(mg_rng *r, int64_t *a, int64_t n); // Fisher & Yates, in place
#endif
