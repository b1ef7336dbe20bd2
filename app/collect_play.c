// collect_play.c - episodes, step by step, into the rows of a data set.
#include "app/collect_play.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "nets/act.h"
#include "rollout/record.h"
#include "rollout/scripted.h"
#include "rollout/stage.h"
#include "worlds/robots.h"

#define LOST_MAX 100 // episodes in a row of which nothing is kept

typedef struct playing {
    mg_rollout_world *w;
    mg_logged        *set;  // [wanted] room
    int64_t           wanted;
    mg_logged         taken; // rows of the episode under way
    int64_t           room;
    bool              robot;
} playing;

static int64_t steps_max(const mg_env_class *c) {
    return c->steps_max > 0 && c->steps_max < MG_SCRIPTED_TURNS_MAX ? c->steps_max : MG_SCRIPTED_TURNS_MAX;
}

static mg_logged rows_new(const mg_env_class *c, const mg_logged *sizes, int64_t n, mg_arena *arena) {
    mg_logged l   = {.obs = c->observation.n, .act = c->action.n, .nq = sizes->nq, .nv = sizes->nv};
    l.observation = MG_NEW(arena, float, n * l.obs);
    l.next        = MG_NEW(arena, float, n * l.obs);
    l.action      = MG_NEW(arena, float, n * l.act);
    l.reward      = MG_NEW(arena, float, n);
    l.logp        = MG_NEW(arena, float, n);
    l.terminal    = MG_NEW(arena, uint8_t, n);
    l.timeout     = MG_NEW(arena, uint8_t, n);
    l.qpos        = l.nq > 0 ? MG_NEW(arena, float, n * l.nq) : NULL;
    l.qvel        = l.nv > 0 ? MG_NEW(arena, float, n * l.nv) : NULL;
    return l;
}

// The policy's action for the row under way. A draw depends on the episode's coordinates and the step alone.
static mg_err act(playing *x, mg_stage *s) {
    const mg_rollout *r      = &x->w->how;
    mg_logged        *t      = &x->taken;
    const int64_t     i      = t->rows;
    float            *action = t->action + i * t->act;
    mg_rng            rng    = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE, 0);
    mg_value          chosen;
    double            logp;
    mg_rng_seek(&rng, s->episode->start.episode, s->episode->start.attempt, (uint32_t)i);
    if (!r->script) {
        const mg_acts to  = {.action = action, .logp = &logp};
        mg_err        err = mg_act(r->model, r->team, t->observation + i * t->obs, 1, &rng, &x->w->step, &to);
        if (!err) t->logp[i] = (float)logp;
        return err;
    }
    mg_err err = r->script->act(s->env, &rng, &chosen);
    if (err) return err;
    memcpy(action, chosen.vector, sizeof *action * (size_t)t->act);
    t->logp[i] = (float)(-(double)t->act * log(2)); // evenly in [-1, 1]
    return MG_OK;
}

static void note_state(playing *x, const mg_stage *s) {
    double     qpos[MG_ROBOT_STATE_MAX], qvel[MG_ROBOT_STATE_MAX];
    mg_logged *t = &x->taken;
    if (!x->robot) return;
    mg_robot_where(s->env, qpos, qvel);
    for (int64_t j = 0; j < t->nq; j++) t->qpos[t->rows * t->nq + j] = (float)qpos[j];
    for (int64_t j = 0; j < t->nv; j++) t->qvel[t->rows * t->nv + j] = (float)qvel[j];
}

static void note_seen(float *to, const mg_logged *t, const mg_value *seen) {
    memcpy(to + t->rows * t->obs, seen->vector, sizeof *to * (size_t)t->obs);
}

// One step into the row under way; *goes: another may follow. A row without a reward does not count.
static void step(playing *x, mg_stage *s, mg_value *seen, bool *goes) {
    const mg_space *space  = &x->w->how.class->action;
    mg_logged      *t      = &x->taken;
    mg_turn        *turn   = mg_stage_turn(s);
    mg_value        action = {.kind = MG_SPACE_VECTOR, .vector = t->action + t->rows * t->act};
    double          reward;
    turn->action = mg_record_value(&action, space, true, s->arena, &turn->action_size);
    *goes        = mg_stage_step(s, &action, seen);
    if (s->broken || !mg_reward_value(&s->turns[s->episode->n_turns - 1].reward, &reward)) return;
    note_seen(t->next, t, seen);
    t->reward[t->rows]   = (float)reward;
    t->timeout[t->rows]  = t->rows + 1 == x->room || s->episode->truncated;
    t->terminal[t->rows] = s->episode->terminated && !t->timeout[t->rows];
    t->rows++;
}

static mg_err play(playing *x, mg_stage *s) {
    const mg_reset_options options = {.item = -1};
    mg_value               seen;
    mg_err                 err  = MG_OK;
    bool                   goes = mg_stage_reset(s, &options, &seen);
    mg_stage_start(s);
    x->taken.rows = 0;
    while (goes && !err) {
        note_seen(x->taken.observation, &x->taken, &seen);
        note_state(x, s);
        err = act(x, s);
        if (!err) step(x, s, &seen, &goes);
    }
    return err;
}

static void copy(void *to, const void *from, int64_t at, int64_t n, int64_t width, size_t size) {
    if (to) memcpy((char *)to + size * (size_t)(at * width), from, size * (size_t)(n * width));
}

// The episode's rows, or as many as are still wanted.
static void append(playing *x) {
    mg_logged       *l = x->set;
    const mg_logged *t = &x->taken;
    const int64_t    n = t->rows < x->wanted - l->rows ? t->rows : x->wanted - l->rows, at = l->rows;
    copy(l->observation, t->observation, at, n, t->obs, sizeof(float));
    copy(l->next, t->next, at, n, t->obs, sizeof(float));
    copy(l->action, t->action, at, n, t->act, sizeof(float));
    copy(l->reward, t->reward, at, n, 1, sizeof(float));
    copy(l->logp, t->logp, at, n, 1, sizeof(float));
    copy(l->terminal, t->terminal, at, n, 1, 1);
    copy(l->timeout, t->timeout, at, n, 1, 1);
    copy(l->qpos, t->qpos, at, n, t->nq, sizeof(float));
    copy(l->qvel, t->qvel, at, n, t->nv, sizeof(float));
    l->rows += n;
}

// One attempt: played, judged, played again where suspected, and where it is clean, kept. *next: what follows.
static mg_err attempt(playing *x, mg_start *next, mg_collect_counts *counts, int64_t *lost, mg_episode *e) {
    const mg_rollout *r     = &x->w->how;
    mg_arena         *arena = &x->w->step;
    mg_gate          *gate  = &x->w->gate;
    mg_rng            rng   = mg_rng_stream(r->seed, MG_PURPOSE_REPLAY, 0);
    bool              keep  = false;
    int64_t           kept, replayed = 0;
    mg_stage          s;
    mg_stage_open(&s, r, 0, next, 0, mg_record_seed(r->seed, 0, next), x->room, arena, e);
    mg_err err = play(x, &s);
    mg_stage_close(&s);
    if (err) return err;
    mg_collect_second_look(r, &rng, arena, e, &replayed);
    const bool again = mg_gate_attempt(gate, e) == MG_RETRY;
    if (!again) mg_gate_group(gate, e, 1, &keep, &kept);
    if (again)
        next->attempt++;
    else
        next->episode++, next->group++, next->attempt = 0;
    *lost = keep ? 0 : *lost + 1;
    if (!keep) return MG_OK;
    mg_gate_feed(gate, e, 1);
    append(x);
    counts->kept++;
    return MG_OK;
}

static mg_err play_all(playing *x, mg_collect_counts *counts) {
    const mg_gate *gate = &x->w->gate;
    mg_start       next = {.item = -1};
    mg_episode     e;
    mg_progress    progress;
    int64_t        lost = 0;
    mg_err         err  = MG_OK;
    mg_progress_start(&progress, "collect", "rows", x->wanted);
    while (x->set->rows < x->wanted && !err) {
        const size_t mark = mg_arena_mark(&x->w->step);
        err = mg_stop ? mg_fail(MG_INTERRUPTED, "stopped after %lld of %lld rows; nothing was written",
                                (long long)x->set->rows, (long long)x->wanted)
                      : attempt(x, &next, counts, &lost, &e);
        if (!err && mg_gate_stopped(gate)) err = mg_fail(MG_UNFIT, "%s; the last: %s: %s", gate->why, e.code, e.detail);
        if (!err && lost == LOST_MAX)
            err = mg_fail(MG_EMPTY, "%d episodes in a row are not clean; the last: %s: %s", LOST_MAX, e.code, e.detail);
        if (!err) mg_progress_show(&progress, x->set->rows, NULL);
        mg_arena_reset(&x->w->step, mark);
    }
    mg_progress_end(&progress);
    counts->attempts = gate->attempts, counts->failures = gate->failures;
    return err;
}

mg_err mg_collect_play(mg_rollout_world *w, int64_t rows, mg_arena *arena, mg_logged *out,
                       mg_collect_counts *counts) {
    const mg_env_class *c = w->how.class;
    mg_logged           set = {0};
    playing             x   = {.w = w, .set = &set, .wanted = rows, .room = steps_max(c)};
    x.robot = c == mg_robot_class(c->name, 4) || c == mg_robot_class(c->name, 5);
    if (x.robot) mg_robot_sizes(w->how.world, &set.nq, &set.nv);
    x.taken = rows_new(c, &set, x.room, &w->arena);
    set     = rows_new(c, &set, rows, arena);
    *counts = (mg_collect_counts){0};
    mg_err err = play_all(&x, counts);
    if (!err) *out = set;
    return err;
}
