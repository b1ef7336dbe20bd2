// guard_account.h - what the guard did to a run and what it says of it, as JSON: the note "guard" of a run's store.
//
//   alpha, margin                 of the settings
//   begun                         updates behind the starting policy
//   start_return, random_return   J_0, and what random actions return (null: the world has none); of start_episodes
//   span                          what the policy has to lose
//   looks, last_look, pairs, faults    pairs that decided; in `faults` of them the policy's episode alone failed
//   rollbacks: [{update, good}]   behind that update, to what was behind update `good` (0: before the first)
//   step_factor, bound_factor     what the policy's step size and the bound were multiplied by in the end
//   stopped                       the last rollback ended the run
//   dip, worst_return, worst_update    D (null where random actions do as well as the start); update null: none
//   keep_best, best, best_gain    of the settings; updates behind the state that gained most, and its look's gain
//   collapsed                     D was above .5 at two looks in a row
//   recovered                     first update of three looks in a row at the start or better; null: none
//   mean_return                   over looks; null: none
//   evaluation, training          {episodes, steps}: of the guard, and of the run since it began
//   step_share                    evaluation's steps as a share of training's; null: none
//   gain, gain_low, gain_high, verdict_pairs, verdict_faults, verdict    at the end; while the run is under way null
//
// Updates have the numbers of mg_update_number (store/store.h): the first is 1. last_look null: none.
// A gain of fewer than two pairs is null, and its verdict "not decided".
#ifndef MG_TRAIN_GUARD_ACCOUNT_H
#define MG_TRAIN_GUARD_ACCOUNT_H
#include "train/guard.h"

// verdict NULL: the run is under way. The caller frees it; NULL: out of memory. Equal histories give equal bytes.
char       *mg_guard_account(const mg_guard *g, const mg_guard_config *c, const mg_guard_verdict *verdict);
const char *mg_guard_word(const mg_guard_verdict *v); // "go", "no-go", "not decided"
#endif
