// transitions.h - vectors that were logged, and the transitions that are learnt from.
//
// Logged rows are what a file of D4RL's layout holds (logged.h): the steps of all episodes one after the
// other. A transition is one step with the observation behind it. The step from logged rows to
// transitions is D4RL's qlearning_dataset (Fu et al. 2020, "D4RL: datasets for deep data-driven
// reinforcement learning", and its public code):
//
//   row i      (s_i, a_i, r_i, s_{i+1}, terminal_i)
//   left out   rows at a timeout, where row i+1 is the next episode's first observation and nothing
//              says what came behind; and the last row of all
//
// A terminal row keeps its transition: its next observation is row i+1, of another episode, which
// nobody reads, because after the end there is nothing to bootstrap from. A row that is terminal and
// timed out is left out like any timeout. Where the file has next observations of its own they are
// taken in place of row i+1, for the same rows: so the number of transitions is D4RL's either way.
#ifndef MG_STORE_TRANSITIONS_H
#define MG_STORE_TRANSITIONS_H
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/rng.h"

// n transitions, row i one of them. Flat and dense. Owned by whoever made it, as a rule an arena.
typedef struct mg_transitions {
    int64_t  n, obs, act; // rows; numbers of an observation, of an action
    float   *observation; // [n * obs]
    float   *action;      // [n * act] what was done, exploration noise included
    float   *reward;      // [n]
    float   *next;        // [n * obs] observation after the step
    uint8_t *terminal;    // [n] 1: the task was over, so there is no bootstrap; 0 at a time limit
} mg_transitions;

// Room for n rows, zeroed. n >= 0, obs and act > 0.
mg_transitions mg_transitions_new(mg_arena *arena, int64_t n, int64_t obs, int64_t act);

// Rows [from, from + n) of t, borrowed.
mg_transitions mg_transitions_view(const mg_transitions *t, int64_t from, int64_t n);

// Fills all of batch->n rows with rows of t: row j is t's row mg_rng_below(rng, t->n), drawn in order
// of j, with replacement. t->n > 0 and equal sizes.
void mg_transitions_sample(const mg_transitions *t, mg_rng *rng, mg_transitions *batch);

// Mean of each number of the observations over all rows, and its deviation + MG_SCALE_FLOOR, [obs]
// each: s <- (s - mean) / deviation is the normalisation of TD3-BC's public code (Fujimoto & Gu 2021).
// The deviation is that of the rows as a population (divided by n). Summed in double. t->n > 0.
#define MG_SCALE_FLOOR 1e-3
void mg_transitions_scale(const mg_transitions *t, float *mean, float *deviation);

// Logged rows, as in a file. What a file does not have is NULL.
typedef struct mg_logged {
    int64_t     rows, obs, act, nq, nv;
    float      *observation; // [rows * obs] before the step
    float      *action;      // [rows * act]
    float      *reward;      // [rows]
    uint8_t    *terminal;    // [rows] 1: the task was over
    uint8_t    *timeout;     // [rows] 1: cut off by a time limit
    float      *next;        // [rows * obs] observation after the step, or NULL
    float      *qpos, *qvel; // [rows * nq], [rows * nv] MuJoCo's state before the step, or NULL
    float      *logp;        // [rows] log-probability of the action, or NULL
    const char *world;       // name of the world, such as "hopper"; NULL: the file does not say
    const char *world_key;   // where the file says so, such as "metadata/world"; NULL where world is
    const struct mg_logged_word *words; // what else is said of how it was made, texts as metadata/KEY, ended by a NULL
                                        // key; nothing here acts by them; NULL: nothing
    const char *left;        // names of what lies in the file and is not in here, for people; NULL: nothing
} mg_logged;

typedef struct mg_logged_word {
    const char *key, *text;
} mg_logged_word;

// Transitions by the rule above. Uses l up: its arrays are closed up in place and become out's, so
// that a large set is never held twice; only `next`, where l has none, is new, in the arena.
// Errors, l unchanged: MG_EMPTY (no row is left), MG_LIMIT (more than the arena has room for); whose rows they are is
// the caller's to put before the sentence.
mg_err mg_logged_transitions(mg_logged *l, mg_arena *arena, mg_transitions *out) MG_MUST_USE;

// Does row i end an episode? A terminal or timed-out row does, and so does the last of all.
bool    mg_logged_ends(const mg_logged *l, int64_t i);
int64_t mg_logged_episodes(const mg_logged *l); // how many the rows hold
#endif
