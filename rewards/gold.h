// gold.h - what a synopsis is worth, by a checklist that needs no human answer.
//
// The score of (prompt, answer) is a number in [0, 1]: half of it is the weighted mean of the
// checks' degrees, the other half is earned only by passing every check (degree 1). It is the
// judge on held-out prompts and the source of preference labels; no policy reads it directly
// unless a run says so.
//
// The rules of style are those of the Debian Developer's Reference 6.2.1 and 6.2.2; support,
// informativeness (inverse document frequencies: Sparck Jones 1972) and the order of words guard
// against answers that are good style and say nothing. The thresholds were set on the package index
// of Debian 12: held-out human synopses score .71 (46 % pass every check), the description's first
// 65 bytes .48, six of its words in any order .51, another package's synopsis .37, the package's
// name .46. Known gaming: rare words of the description in the description's own order score well.
//
// The prompt is "name: description"; without ": " there is no name. Words are words.h's; content
// words are those not in a list of English function words. At most the first MG_GOLD_WORDS_MAX
// words of an answer and MG_GOLD_PROMPT_WORDS_MAX of a prompt are looked at: an answer of the
// allowed length has no more. Threads: a score reads only.
#ifndef MG_REWARDS_GOLD_H
#define MG_REWARDS_GOLD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "env/pair.h"
#include "env/reward.h"

#define MG_GOLD_WORDS_MAX        64
#define MG_GOLD_PROMPT_WORDS_MAX 1024

#define MG_GOLD_LENGTH_MIN      20  // characters
#define MG_GOLD_LENGTH_MAX      65
#define MG_GOLD_KNOWN_MIN       3   // training pairs that hold a known word
#define MG_GOLD_PLAIN_MIN       .7  // share of letters and digits among what is not a space
#define MG_GOLD_ORDER_MIN       .5  // share of neighbouring words that are neighbours elsewhere
#define MG_GOLD_SUPPORT_MIN     .5  // share of content words that the prompt holds
#define MG_GOLD_INFORMATIVE_MIN .75 // mean IDF, over the mean IDF of the prompt's content words

// name, weight in the graded half (they sum to 1), rule
#define MG_GOLD_CHECKS(C)                                                                      \
    C(length, .10, "20 to 65 characters")                                                      \
    C(plain, .05, "single spaces, nothing but text, mostly letters and digits")                \
    C(article, .05, "does not begin with a, an or the")                                        \
    C(name, .05, "does not begin with the package's own name")                                 \
    C(ending, .05, "ends neither with punctuation nor with a word that something must follow") \
    C(phrase, .05, "a phrase and not a sentence: no is, this, provides and the like")          \
    C(once, .10, "has content words, and none twice")                                          \
    C(known, .10, "every word is in the description or in three training pairs")               \
    C(order, .05, "half of the neighbouring words are neighbours in the description or there") \
    C(support, .25, "half of the content words are in the description")                        \
    C(informative, .15, "its content words are three quarters as rare as the description's")

typedef enum mg_gold_check {
#define X(name, weight, rule) MG_GOLD_##name,
    MG_GOLD_CHECKS(X)
#undef X
    MG_GOLD_CHECKS_N,
} mg_gold_check;

typedef struct mg_gold_rule {
    const char *name;
    double      weight;
    const char *rule;
} mg_gold_rule;

extern const mg_gold_rule mg_gold_rules[MG_GOLD_CHECKS_N];

typedef struct mg_gold_parts {
    double degree[MG_GOLD_CHECKS_N]; // in [0, 1]; 1: passed
    double graded;                   // their weighted mean
    bool   passed;                   // every one
} mg_gold_parts;

typedef struct mg_gold mg_gold;

// Counts words and neighbours of the training pairs; copies nothing else.
// Errors: MG_EMPTY (no pairs), MG_NOMEM, MG_LIMIT.
mg_err mg_gold_new(mg_gold **out, const mg_pair *train, int64_t n) MG_MUST_USE;
void   mg_gold_free(mg_gold *g); // NULL: no effect

// An answer without words scores 0. parts may be NULL.
double mg_gold_score(const mg_gold *g, const char *prompt, const char *answer, size_t size,
                     mg_gold_parts *parts);

// The same as an environment's reward function; context is the mg_gold.
mg_reward mg_gold_reward(void *context, const char *prompt, const char *answer, size_t size);
#endif
