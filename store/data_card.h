// data_card.h - how diverse a logged data set is, in numbers that can be compared between sets.
//
// Each number with its definition:
//
//   episodes      runs of rows up to a terminal, a timeout or the last row; finished: not by the last row
//   return        sum of an episode's rewards, undiscounted; over finished episodes (over the one there
//                 is where none is finished). Quantile q of n sorted values: linear between values, at
//                 (n - 1) q (Hyndman & Fan 1996, definition 7)
//   score         100 (return - low) / (high - low), with D4RL's low (a random policy's return) and high (an
//                 expert's) for the world (Fu et al. 2020; its public code, d4rl/infos.py)
//   sample size   rows / tau, tau = -1 + 2 sum_m G_m, G_m = rho_2m + rho_2m+1, up to the first G_m <= 0
//                 (Geyer 1992, "Practical Markov chain Monte Carlo", initial positive sequence). rho_k:
//                 autocorrelation of rewards at lag k over pairs of rows of one episode, about the mean
//                 of all, divided by the number of all rows; at most MG_CARD_LAGS lags. At most rows;
//                 NaN where all rewards are equal. Episodes whose rewards never change count as one row.
//   cells         how many cells of width MG_CARD_CELL of a fixed random projection to three numbers are
//                 occupied, by at most MG_CARD_ROWS rows, evenly spaced: x = asinh of observation and
//                 action, projected on Gaussian directions divided by sqrt(obs + act). A count of distinct
//                 state-action pairs, in the spirit of SACo (Schweighofer et al. 2022, "A dataset
//                 perspective on offline reinforcement learning"). Cells are in the world's own units: compare
//                 sets of one world, of as many rows
//   action spread mean over the action's numbers of their deviation over all rows; uniform: what it would be of
//                 actions drawn evenly between bounds, (high - low) / sqrt(12) each: the world's where it is known,
//                 else the lowest and the highest that the data have
#ifndef MG_STORE_DATA_CARD_H
#define MG_STORE_DATA_CARD_H
#include <stdbool.h>

#include "env/env.h"
#include "store/transitions.h"

#define MG_CARD_LAGS  1000
#define MG_CARD_ROWS  100000
#define MG_CARD_CELL  .05
#define MG_CARD_WORDS 8 // sentences at most

typedef struct mg_spread {
    double mean, deviation; // of the values as a population
    double low, q10, median, q90, high;
} mg_spread;

typedef struct mg_data_card {
    const char *world; // borrowed; NULL: not known
    int64_t     rows, transitions, obs, act; // transitions: that are learnt from (transitions.h)
    int64_t     episodes, finished, terminals, timeouts;
    mg_spread   returns, lengths;
    bool        scored; // the world is one of D4RL's
    mg_spread   scores;
    double      sample_size;
    int64_t     cells, cell_rows; // occupied, by so many rows
    double      action_spread, action_uniform;
    bool        action_bounded;            // the world's bounds are known: action_uniform is of these
    double      action_min, action_max;    // they, or the data's over all numbers of an action
    float      *observation_low, *observation_high; // [obs], in the arena
    float      *action_low, *action_high;           // [act]
    float       reward_low, reward_high;
} mg_data_card;

// l->rows > 0. `world` NULL: l's own. `action`: what the world takes; NULL: not known.
void mg_data_card_make(const mg_logged *l, const char *world, const mg_space *action, mg_arena *arena,
                       mg_data_card *out);

// What the numbers say about fine-tuning from this set, and what they do not: sentences in the arena.
// Returns how many, at most MG_CARD_WORDS.
int mg_data_card_says(const mg_data_card *c, mg_arena *arena, const char *says[MG_CARD_WORDS]);

// The normalised score of a return; false where the world is none of hopper, half-cheetah, walker2d, ant.
bool mg_normalised_score(const char *world, double value, double *score);
#endif
