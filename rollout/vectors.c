// vectors.c - perceptrons in worlds of vectors.
#include "rollout/vectors.h"

#include <math.h>
#include <string.h>

#include "nets/act.h"
#include "rollout/record.h"
#include "rollout/scripted.h"
#include "rollout/stage.h"

// An episode under way, and what its policy did so far.
typedef struct player {
    mg_stage stage;
    float   *drawn;  // [room, numbers]
    int32_t *choice; // [room]
    double  *logp;   // [room]
    int64_t  room;
} player;

// What one step of all who are not over goes through.
typedef struct batch {
    player **who;         // [live]
    int64_t  live;
    float   *seen;        // [live, in]
    mg_rng  *draws;       // [live]
    float   *drawn, *action; // [live, numbers]
    int64_t *choice;      // [live]
    double  *logp;        // [live]
    int64_t  in, numbers; // 0: the policy chooses
    bool     has_logp;
} batch;

static batch batch_make(const mg_rollout *r, int64_t n, mg_arena *arena) {
    const mg_mlp_shape *s = &r->model->config.mlp;
    batch               b = {.in = s->in, .numbers = mg_act_numbers(s), .has_logp = s->head != MG_HEAD_TANH};
    MG_ASSERT(r->model->nets && s->in == r->class->observation.n);
    b.who    = MG_NEW(arena, player *, n);
    b.seen   = MG_NEW(arena, float, n * b.in);
    b.draws  = MG_NEW(arena, mg_rng, n);
    b.drawn  = MG_NEW(arena, float, n * b.numbers);
    b.action = MG_NEW(arena, float, n * b.numbers);
    b.choice = MG_NEW(arena, int64_t, n);
    b.logp   = MG_NEW(arena, double, n);
    return b;
}

// A policy cannot be asked about numbers that are none: that is the world's fault, and its episode's alone.
static void check_seen(player *p, int64_t in) {
    char         sentence[96];
    const float *x = (const float *)mg_stage_turn(&p->stage)->observation;
    for (int64_t j = 0; j < in; j++) {
        if (isfinite(x[j])) continue;
        snprintf(sentence, sizeof sentence, "number %lld of the observation is %g", (long long)j, (double)x[j]);
        mg_stage_fault(&p->stage, "E.observation", sentence);
        return;
    }
}

static void *widened(mg_arena *arena, const void *old, int64_t used, int64_t room, size_t size) {
    void *wide = mg_arena_alloc_raw(arena, size * (size_t)room);
    if (used > 0) memcpy(wide, old, size * (size_t)used);
    return wide;
}

static void keep(player *p, const batch *b, int64_t k, mg_arena *arena) {
    const int64_t i = p->stage.episode->n_turns;
    if (i >= p->room) {
        const int64_t room = 2 * i + 16;
        p->drawn  = widened(arena, p->drawn, i, room, sizeof *p->drawn * (size_t)b->numbers);
        p->choice = widened(arena, p->choice, i, room, sizeof *p->choice);
        p->logp   = widened(arena, p->logp, i, room, sizeof *p->logp);
        p->room   = room;
    }
    memcpy(p->drawn + i * b->numbers, b->drawn + k * b->numbers, sizeof *p->drawn * (size_t)b->numbers);
    p->choice[i] = (int32_t)b->choice[k];
    p->logp[i]   = b->logp[k];
}

static void take_step(const mg_rollout *r, player *p, const batch *b, int64_t k, mg_arena *arena) {
    const mg_value action = b->numbers > 0
                                ? (mg_value){.kind = MG_SPACE_VECTOR, .vector = b->action + k * b->numbers}
                                : (mg_value){.kind = MG_SPACE_DISCRETE, .index = b->choice[k]};
    mg_turn *turn = mg_stage_turn(&p->stage);
    mg_value seen;
    turn->action = mg_record_value(&action, &r->class->action, true, arena, &turn->action_size);
    keep(p, b, k, arena);
    mg_stage_step(&p->stage, &action, &seen);
    if (p->stage.sees) check_seen(p, b->in);
}

// Everybody who is not over makes a step.
static mg_err one_step(const mg_rollout *r, player *players, int64_t n, uint64_t draws, batch *b, mg_arena *arena,
                       mg_arena *scratch) {
    const mg_rng stream  = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE, draws);
    const bool   sampled = r->sampling.temperature > 0;
    b->live = 0;
    for (int64_t i = 0; i < n; i++) {
        player           *p = &players[i];
        const mg_episode *e = p->stage.episode;
        if (p->stage.over) continue;
        memcpy(b->seen + b->live * b->in, mg_stage_turn(&p->stage)->observation, sizeof *b->seen * (size_t)b->in);
        b->draws[b->live] = stream;
        mg_rng_seek(&b->draws[b->live], e->start.episode, e->start.attempt, (uint32_t)e->n_turns);
        b->who[b->live++] = p;
    }
    if (b->live == 0) return MG_OK;
    const mg_acts out = {.drawn = b->drawn, .action = b->action, .choice = b->choice,
                         .logp = b->has_logp ? b->logp : NULL};
    mg_err err = mg_act(r->model, r->team, b->seen, b->live, sampled ? b->draws : NULL, scratch, &out);
    for (int64_t k = 0; k < b->live && !err; k++) take_step(r, b->who[k], b, k, arena);
    return err;
}

static void begin(const mg_rollout *r, player *p, int64_t slot, const mg_start *start, int64_t policy_version,
                  int64_t in, mg_arena *arena, mg_episode *episode) {
    const mg_reset_options options = {.item = start->item};
    mg_value               seen;
    MG_ASSERT(!start->demo && start->n_prefix == 0);
    mg_stage_open(&p->stage, r, slot, start, policy_version, mg_record_seed(r->seed, policy_version, start),
                  MG_SCRIPTED_TURNS_MAX, arena, episode);
    if (mg_stage_reset(&p->stage, &options, &seen)) check_seen(p, in);
    mg_stage_start(&p->stage);
}

static void finish(player *p, const batch *b, mg_arena *arena) {
    mg_episode      *e = p->stage.episode;
    mg_vector_steps *v = MG_NEW(arena, mg_vector_steps, 1);
    *v = (mg_vector_steps){.drawn  = b->numbers > 0 ? p->drawn : NULL,
                           .choice = b->numbers > 0 ? NULL : p->choice,
                           .logp   = b->has_logp ? p->logp : NULL};
    if (e->truncated && p->stage.sees) v->last = (const float *)mg_stage_turn(&p->stage)->observation;
    e->vectors = v;
    mg_stage_close(&p->stage);
}

mg_err mg_vectors_run(const mg_rollout *r, const mg_start *starts, int64_t n, int64_t policy_version, uint64_t draws,
                      mg_arena *arena, mg_arena *scratch, mg_episode *episodes) {
    player *players = MG_NEW(arena, player, n);
    batch   b       = batch_make(r, n, arena);
    mg_err  err     = MG_OK;
    for (int64_t i = 0; i < n; i++)
        begin(r, &players[i], i, &starts[i], policy_version, b.in, arena, &episodes[i]);
    do {
        err = one_step(r, players, n, draws, &b, arena, scratch);
    } while (!err && b.live > 0);
    for (int64_t i = 0; i < n; i++) finish(&players[i], &b, arena);
    return err;
}
