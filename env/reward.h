// reward.h - what an environment says an action was worth: a number, nothing yet, or nonsense.
//
// There is no conversion from ABSENT or INVALID to a number anywhere in the program, but for the control
// arms of a study that measures what such a conversion costs (app/reproduce_gate.c): an episode
// whose reward is not a VALUE never reaches a gradient, a baseline or a statistic. The bits that
// the environment gave are the bits that are recorded and that the learner reads.
#ifndef MG_ENV_REWARD_H
#define MG_ENV_REWARD_H
#include <stdbool.h>

typedef enum mg_reward_kind {
    MG_REWARD_ABSENT,  // nobody has said; also what a zeroed struct means
    MG_REWARD_VALUE,   // a finite number
    MG_REWARD_INVALID, // something was said that cannot be a reward
} mg_reward_kind;

typedef struct mg_reward {
    mg_reward_kind kind;
    double         value;  // VALUE only
    const char    *reason; // ABSENT, INVALID: static text, such as "no reward function"
} mg_reward;

// A finite x becomes a VALUE, anything else INVALID("not a finite number").
mg_reward mg_reward_of(double x);
mg_reward mg_reward_absent(const char *reason);
mg_reward mg_reward_invalid(const char *reason);

// True and *out set for a VALUE; false and *out untouched otherwise.
bool mg_reward_value(const mg_reward *r, double *out);
#endif
