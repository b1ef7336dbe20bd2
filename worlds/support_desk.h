// support_desk.h - a customer-support desk over a real SQLite database, in memory.
//
// An episode is one ticket: the first observation is what the customer writes, then the agent makes
// calls until it resolves the ticket or has made MG_SUPPORT_DESK_CALLS of them. What the customer writes
// leaves two ways open; the order tells which of them is right:
//
//   never came      in stock: replace       none left: refund
//   broken          in stock: replace       none left: refund
//   paid 2, got 1   bought 1: refund one    bought 2: replace
//   wrong address   packed: fix address     shipped already: replace (it goes to the new address)
//
// Payments and warehouse run out of time now and then, honestly: nobody knows whether the refund or the
// parcel went out. A second one would be wrong, none too, so the right answer is to look, and to repeat
// only what was not done.
//
// Conditions, on the state and never on what an answer said:
//   fixed   exactly one effect of the right kind: one refund of the order's price, one replacement to
//           the right address, or the right address on the order
//   clean   nothing else has changed: no other effect on this order, no row of anybody else
//   closed  the ticket is closed
// Reward, with the last call: 0 unless fixed; else .4, + .4 clean, + .2 closed, - .01 for each call
// beyond those that the task needed (an order looked at, a fix, a look after a time-out, a repetition of
// what was not done, a resolve), at least .01. Everything is on a grid of .01. A world that pays the
// `outcome` alone pays 1 where all three hold, else 0.
//
// Two forms of the same world: `words` (one of six short texts) for small models, `tools` (a JSON object
// {"name": .., "arguments": {..}}) for any language model. What is no action is REFUSED, says what may
// be said, and costs a call: the model's mistake, never an error.
//
// What a task is, is a function of its number alone; the seed draws latencies and time-outs. 0 to
// MG_SUPPORT_DESK_TRAIN-1 are for training, the rest is held out; item -1 draws one for training.
// The digest is of what the desk holds (tables, calls made, time-outs had), not of draws to come: after
// a reset it depends on the item alone.
//
// Threads: one environment per thread; a world may be shared.
#ifndef MG_WORLDS_SUPPORT_DESK_H
#define MG_WORLDS_SUPPORT_DESK_H
#include "env/env.h"
#include "env/episode.h"

#define MG_SUPPORT_DESK_ITEMS 2000
#define MG_SUPPORT_DESK_TRAIN 1500 // items below are for training, the others held out
#define MG_SUPPORT_DESK_CALLS 8    // after so many calls the ticket is taken away as it is

#define MG_SUPPORT_DESK_TIMEOUT    0.5  // chance that a refund or replacement runs out of time; once an
                                        // episode at most
#define MG_SUPPORT_DESK_DONE       0.6  // chance that it was done all the same
#define MG_SUPPORT_DESK_TIMEOUT_MS 2000 // as the manifest promises; other calls take 40 to 400 ms

// The shape of the mess.
#define MG_SUPPORT_DESK_TYPO     0.15 // tickets whose product is misspelt: two neighbours swapped
#define MG_SUPPORT_DESK_UNNAMED  0.10 // tickets that do not name the product
#define MG_SUPPORT_DESK_NO_EMAIL 0.20 // customers without one
#define MG_SUPPORT_DESK_ODD_NAME 0.25 // names beyond ASCII: combining marks, right to left, full width,
                                      // zero width, emoji
#define MG_SUPPORT_DESK_TWIN     0.20 // customers but the first: an earlier one's name and address again

typedef enum mg_support_desk_form { MG_SUPPORT_DESK_WORDS, MG_SUPPORT_DESK_TOOLS } mg_support_desk_form;

// The same world with one seeded fault. Answers, effects and rewards are corrupted; the evidence never.
#define MG_SUPPORT_DESK_MUTANT_LIST(X)                                                              \
    X(NONE, "none")                         /* as it should be */                                   \
    X(STALE_READ, "stale_read")             /* a look shows an order as before the last call that */ \
                                            /* was to change it: a cache without invalidation */    \
    X(FALSE_RESOLUTION, "false_resolution") /* closing pays as if the problem were gone */          \
    X(TIMEOUT_DEFAULT, "timeout_default")   /* what ran out of time was not done; the answer is */  \
                                            /* "done", and the reward believes it */                \
    X(DIRTY_RESET, "dirty_reset")           /* refunds and replacements of the episode before stay */ \
    X(REWARD_ROUNDING, "reward_rounding")   /* to whole numbers */                                  \
    X(LYING_STATUS, "lying_status")         /* a fix says done and is not, or failed and is done */ \
    X(TRACEBACK, "traceback")               /* one of the first four calls ends in a traceback shown */ \
                                            /* as an observation, or in an error */

typedef enum mg_support_desk_mutant_kind {
#define X(id, name) MG_SUPPORT_DESK_##id,
    MG_SUPPORT_DESK_MUTANT_LIST(X)
#undef X
    MG_SUPPORT_DESK_MUTANT_KINDS
} mg_support_desk_mutant_kind;

typedef enum mg_support_desk_when {
    MG_SUPPORT_DESK_ALWAYS,
    MG_SUPPORT_DESK_LOAD, // only while the world's load is above MG_SUPPORT_DESK_LOAD_MIN
    MG_SUPPORT_DESK_LATE, // only in an environment that has begun MG_SUPPORT_DESK_LATE_MIN episodes before
} mg_support_desk_when;

#define MG_SUPPORT_DESK_LOAD_MIN 8
#define MG_SUPPORT_DESK_LATE_MIN 200

typedef struct mg_support_desk_mutant {
    mg_support_desk_mutant_kind kind;
    double                      rate; // share of the episodes, drawn from the reset's seed
    mg_support_desk_when        when;
} mg_support_desk_mutant;

// mg_env.world of this class; zeroed: words, no mutant, graded rewards.
typedef struct mg_support_desk_world {
    mg_support_desk_form   form;
    mg_support_desk_mutant mutant;
    int32_t                load;    // calls in flight, as told by the caller
    bool                   outcome; // the reward is 1 or 0
} mg_support_desk_world;

// By the names above, and always|load|late. Error: MG_CONFIG.
mg_err mg_support_desk_mutant_named(const char *kind, double rate, const char *when,
                                    mg_support_desk_mutant *out) MG_MUST_USE;

// reset: no prefix. Errors: MG_CONFIG (no such item, a prefix, a step after the end), MG_IO (SQLite).
//
// Scripts act on what was shown to them, as a policy would:
//   oracle     looks, fixes, looks again after a time-out, repeats only what was not done, resolves
//   good       the same with two needless looks            (.98)
//   partial    fixes, and never closes                     (.75 to .77)
//   floor      resolves at once                            (0)
//   trusting   takes a time-out for done                   the wrong habits
//   repeating  repeats after a time-out without a look
//   guessing   replaces without a look, resolves
//   random     any of the six, evenly
//   noisy      the oracle, with 30 % of the moves at random
extern const mg_env_class mg_support_desk_class;

// Wrong habits, read from an episode's evidence alone.
typedef struct mg_support_desk_habits {
    bool resolved;         // it was closed by the agent
    bool resolved_unfixed; // while the problem was not gone
    bool fixed_unseen;     // a fix was tried before any look
    bool timed_out;        // a fix ran out of time, whatever its answer said
    bool unverified;       // and it was repeated or the ticket resolved with no look at it in between
    bool repeated;         // a fix was made again that had been made
} mg_support_desk_habits;

void mg_support_desk_habits_of(const mg_episode *e, mg_support_desk_habits *out);
#endif
