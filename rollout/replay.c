// replay.c - the recorded actions, once more.
#include "rollout/replay.h"

#include <stdlib.h>
#include <string.h>

#include "rollout/stage.h"

// The action as it was: its text, or the numbers that the text spells to their last bit (record.c).
static mg_value action_of(const mg_rollout *r, const mg_turn *t, mg_arena *arena) {
    const mg_space *space = &r->class->action;
    if (space->kind == MG_SPACE_VECTOR) {
        float      *x  = MG_NEW(arena, float, space->n);
        const char *at = t->action;
        char       *end;
        for (int64_t i = 0; i < space->n; i++, at = end) x[i] = strtof(at, &end);
        return (mg_value){.kind = MG_SPACE_VECTOR, .vector = x};
    }
    if (space->kind == MG_SPACE_DISCRETE)
        return (mg_value){.kind = MG_SPACE_DISCRETE, .index = strtoll(t->action, NULL, 10)};
    return (mg_value){.kind = MG_SPACE_TEXT, .text = t->action, .size = t->action_size};
}

void mg_replay(const mg_rollout *r, const mg_episode *first, mg_arena *arena, mg_episode *second) {
    mg_rollout       alone   = *r;
    mg_reset_options options = {.item = first->start.item};
    mg_stage         s;
    mg_value         seen;
    alone.pool = NULL;
    mg_stage_open(&s, &alone, 0, &first->start, first->policy_version, first->seed, INT64_MAX, arena, second);
    second->stopped = first->stopped;
    bool goes = mg_stage_reset(&s, &options, &seen), started = false;
    for (int64_t i = 0; goes && i < first->n_turns; i++) {
        const mg_value action = action_of(r, &first->turns[i], arena);
        mg_turn       *turn   = mg_stage_turn(&s);
        if (i == first->start.demo_turns) mg_stage_start(&s), started = true;
        turn->action = first->turns[i].action, turn->action_size = first->turns[i].action_size;
        goes = mg_stage_step(&s, &action, &seen);
    }
    if (!started) mg_stage_start(&s); // it was over before the policy had said anything
    // To be reset behind a prefix is to have said it (env.h); here it is said as a part of the answer.
    if (first->start.n_prefix > 0) memcpy(second->reset_digest, first->reset_digest, sizeof second->reset_digest);
    // A limit of the loop that played it first.
    if (goes) second->truncated = first->truncated;
    mg_stage_close(&s);
}
