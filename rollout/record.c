// record.c - copies and seeds of an episode's record.
#include "rollout/record.h"

#include <string.h>

uint64_t mg_record_seed(uint64_t seed, int64_t policy_version, const mg_start *s) {
    mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, (uint64_t)policy_version);
    mg_rng_seek(&rng, s->episode, s->attempt, 0);
    const uint64_t high = mg_rng_u32(&rng);
    return (high << 32 | mg_rng_u32(&rng)) & (uint64_t)MG_SEED_MAX;
}

void *mg_record_bytes(mg_arena *arena, const void *data, size_t size) {
    char *copy = mg_arena_alloc_raw(arena, size + 1);
    if (size > 0) memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

enum { NUMBER = 24 }; // bytes of a number in decimal

static const char *decimals(const float *x, int64_t n, mg_arena *arena, size_t *size) {
    char *text = mg_arena_alloc(arena, (size_t)(n * NUMBER + 1));
    *size      = 0;
    for (int64_t i = 0; i < n; i++)
        *size += (size_t)snprintf(text + *size, NUMBER, "%s%.9g", i > 0 ? " " : "", (double)x[i]);
    return text;
}

const char *mg_record_value(const mg_value *v, const mg_space *space, bool action, mg_arena *arena,
                            size_t *size) {
    char number[NUMBER];
    switch (v->kind) {
    case MG_SPACE_TEXT: *size = v->size; return mg_record_bytes(arena, v->text, v->size);
    case MG_SPACE_DISCRETE:
        *size = (size_t)snprintf(number, sizeof number, "%lld", (long long)v->index);
        return mg_record_bytes(arena, number, *size);
    case MG_SPACE_VECTOR: break;
    }
    if (action) return decimals(v->vector, space->n, arena, size);
    *size = sizeof *v->vector * (size_t)space->n;
    return mg_record_bytes(arena, v->vector, *size);
}

mg_turn *mg_record_room(mg_turn **turns, int64_t *room, int64_t i, mg_arena *arena) {
    if (i >= *room) {
        const int64_t more = 2 * i + 2;
        mg_turn      *wide = MG_NEW(arena, mg_turn, more);
        if (i > 0) memcpy(wide, *turns, sizeof *wide * (size_t)i);
        *turns = wide, *room = more;
    }
    return &(*turns)[i];
}

static const char *string(mg_arena *arena, const char *s) { return s ? mg_arena_strdup(arena, s) : NULL; }

static mg_evidence keep(const mg_evidence *x, mg_arena *arena) {
    mg_evidence out     = *x;
    mg_touch   *touched = x->n_touched > 0 ? MG_NEW(arena, mg_touch, x->n_touched) : NULL;
    for (int64_t i = 0; i < x->n_touched; i++) {
        touched[i]     = x->touched[i];
        touched[i].key = string(arena, x->touched[i].key);
    }
    out.action    = string(arena, x->action);
    out.arguments = string(arena, x->arguments);
    out.error     = string(arena, x->error);
    out.touched   = touched;
    return out;
}

void mg_record_transition(mg_episode *e, mg_turn *turn, const mg_transition *t,
                          const mg_env_class *class, int64_t turns_max, mg_arena *arena) {
    const bool limit = e->n_turns == turns_max || e->n_turns == class->steps_max;
    turn->reward     = t->reward.kind == MG_REWARD_VALUE ? mg_reward_of(t->reward.value) : t->reward;
    turn->evidence   = keep(&t->evidence, arena);
    e->terminated    = t->terminated;
    e->truncated     = t->truncated || (!t->terminated && limit);
}
