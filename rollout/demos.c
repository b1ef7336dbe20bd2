// demos.c - an episode's turns become a conversation.
#include "rollout/demos.h"

#include <string.h>

#include "rollout/record.h"

static mg_err exchange_of(const mg_turn *turn, mg_arena *arena, mg_exchange *out) {
    if ((turn->observation_size > 0 && memchr(turn->observation, 0, turn->observation_size)) ||
        (turn->action_size > 0 && memchr(turn->action, 0, turn->action_size)))
        return mg_fail(MG_CORRUPT, "found a byte 0, wanted text");
    *out = (mg_exchange){mg_record_bytes(arena, turn->observation, turn->observation_size),
                         mg_record_bytes(arena, turn->action, turn->action_size)};
    return MG_OK;
}

static mg_err demo_of(const mg_episode *e, mg_arena *arena, mg_pair *out) {
    if (e->n_turns == 0) return mg_fail(MG_EMPTY, "found no turn, wanted one or more");
    mg_exchange *turns = MG_NEW(arena, mg_exchange, e->n_turns);
    for (int64_t k = 0; k < e->n_turns; k++) {
        mg_err err = exchange_of(&e->turns[k], arena, &turns[k]);
        if (err) return mg_fail(err, "turn %lld: %s", (long long)k + 1, mg_err_detail());
    }
    *out = (mg_pair){.prompt = turns[0].observation, .completion = turns[0].action,
                     .later = e->n_turns > 1 ? turns + 1 : NULL, .n_later = e->n_turns - 1,
                     .placed = true, .item = e->start.item, .seed = e->seed};
    return MG_OK;
}

mg_err mg_demos_of(const mg_episode *episodes, int64_t n, mg_arena *arena, mg_pair **out) {
    mg_pair *pairs = MG_NEW(arena, mg_pair, n);
    for (int64_t i = 0; i < n; i++) {
        mg_err err = demo_of(&episodes[i], arena, &pairs[i]);
        if (err) return mg_fail(err, "episode %lld: %s", (long long)i, mg_err_detail());
    }
    *out = pairs;
    return MG_OK;
}
