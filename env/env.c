// env.c - rewards, episodes and digests: the small functions of the contract.
#include "env/env.h"

#include <math.h>
#include <openssl/sha.h>

#include "env/episode.h"

mg_reward mg_reward_of(double x) {
    if (!isfinite(x)) return mg_reward_invalid("not a finite number");
    return (mg_reward){.kind = MG_REWARD_VALUE, .value = x};
}

mg_reward mg_reward_absent(const char *reason) {
    return (mg_reward){.kind = MG_REWARD_ABSENT, .reason = reason};
}

mg_reward mg_reward_invalid(const char *reason) {
    return (mg_reward){.kind = MG_REWARD_INVALID, .reason = reason};
}

bool mg_reward_value(const mg_reward *r, double *out) {
    if (r->kind != MG_REWARD_VALUE) return false;
    *out = r->value;
    return true;
}

mg_reward mg_episode_return(const mg_episode *e) {
    if (e->n_turns == 0) return mg_reward_absent("the episode has no turn");
    double sum = 0, x;
    for (int64_t i = 0; i < e->n_turns; i++) {
        if (!mg_reward_value(&e->turns[i].reward, &x)) return e->turns[i].reward;
        sum += x;
    }
    return mg_reward_of(sum);
}

void mg_env_digest(const mg_env *e, uint8_t out[32]) {
    if (e->class->digest)
        e->class->digest(e, out);
    else
        SHA256(e->state, e->class->state_size, out);
}
