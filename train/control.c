// control.c - episodes step by step, from the world to the buffer.
#include "train/control.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/file.h"
#include "rollout/record.h"
#include "rollout/scripted.h"
#include "rollout/stage.h"

// That the buffer holds beside its capacity: a checkpoint is due before there are more. Long blocks get by with as many
// rows as the capacity, or these, and one block at the least.
#define MARGIN_BLOCKS 64
#define MARGIN_ROWS   65536

// What an episode leaves for the buffer; reused by all of a block.
typedef struct staged {
    int64_t  room, n;  // transitions
    float   *seen;     // [room + 1, observations]
    float   *done;     // [room, actions] as the policy gave them, within [-1, 1]
    float   *reward;   // [room]
    uint8_t *terminal; // [room]
    float   *wide;     // [actions] as the world takes them
    int64_t  appended;
} staged;

static int64_t turns_max(const mg_env_class *class) {
    const bool limited = class->steps_max > 0 && class->steps_max < MG_SCRIPTED_TURNS_MAX;
    return limited ? class->steps_max : MG_SCRIPTED_TURNS_MAX;
}

static staged staged_make(const mg_env_class *class, mg_arena *arena) {
    const int64_t room = turns_max(class), o = class->observation.n, a = class->action.n;
    return (staged){.room     = room,
                    .seen     = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)((room + 1) * o)),
                    .done     = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)(room * a)),
                    .reward   = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)room),
                    .terminal = mg_arena_alloc_raw(arena, (size_t)room),
                    .wide     = mg_arena_alloc_raw(arena, sizeof(float) * (size_t)a)};
}

// The staged transitions from `appended` on. What is seen behind one step is what is seen before the next.
static mg_err append(mg_control *c, staged *x) {
    const int64_t        o = c->rollout->class->observation.n, a = c->rollout->class->action.n, from = x->appended;
    const mg_transitions rows = {.n = x->n - from, .obs = o, .act = a, .observation = x->seen + from * o,
                                 .action = x->done + from * a, .reward = x->reward + from,
                                 .next = x->seen + (from + 1) * o, .terminal = x->terminal + from};
    x->appended = x->n;
    return rows.n > 0 ? mg_replay_add(c->replay, &rows) : MG_OK;
}

static void keep_seen(const mg_control *c, staged *x, const mg_value *seen) {
    const int64_t o = c->rollout->class->observation.n;
    memcpy(x->seen + x->n * o, seen->vector, sizeof(float) * (size_t)o);
}

// Single precision has it: the buffer can.
static bool paid(const mg_reward *r, double *out) { return mg_reward_value(r, out) && fabs(*out) <= (double)FLT_MAX; }

// One step of the world; *goes: another may follow. True: it gave a transition.
static bool step(mg_control *c, mg_stage *s, staged *x, bool *goes) {
    const mg_space *space  = &c->rollout->class->action;
    const float    *done   = x->done + x->n * space->n;
    mg_turn        *turn   = mg_stage_turn(s);
    mg_value        action = {.kind = MG_SPACE_VECTOR, .vector = x->wide}, seen;
    double          reward;
    for (int64_t j = 0; j < space->n; j++) x->wide[j] = (float)((double)done[j] * space->high);
    turn->action = mg_record_value(&action, space, true, s->arena, &turn->action_size);
    *goes        = mg_stage_step(s, &action, &seen);
    if (s->broken || !paid(&s->turns[s->episode->n_turns - 1].reward, &reward)) return *goes = false;
    x->terminal[x->n] = s->episode->terminated;
    x->reward[x->n++] = (float)reward;
    keep_seen(c, x, &seen);
    return true;
}

// What is in the buffer when gradient steps are made is what they may draw.
static mg_err learn(mg_control *c) {
    const int64_t first = c->algo->stepping(c->learner).gradient_steps;
    const mg_rng  rng   = mg_rng_stream(c->rollout->seed, MG_PURPOSE_BATCH, (uint64_t)first);
    mg_fed_replay now   = mg_replay_fed(c->replay, (uint64_t)rng.key[1] << 32 | rng.key[0]);
    mg_err        err   = c->algo->learn(c->learner);
    if (now.high == 0 || c->algo->stepping(c->learner).gradient_steps == first) return err;
    if (c->drawn.high > 0) now.low = c->drawn.low, now.key = c->drawn.key;
    c->drawn = now;
    return err;
}

static mg_err play(mg_control *c, mg_stage *s, staged *x, bool at_once) {
    const mg_reset_options options = {.item = s->episode->start.item};
    const int64_t          o = c->rollout->class->observation.n, a = c->rollout->class->action.n;
    mg_value               seen;
    mg_err                 err  = MG_OK;
    bool                   goes = mg_stage_reset(s, &options, &seen);
    mg_stage_start(s);
    x->n = x->appended = 0;
    if (goes) keep_seen(c, x, &seen);
    while (goes && !err) {
        err = c->algo->act(c->learner, x->seen + x->n * o, true, x->done + x->n * a);
        if (err || !step(c, s, x, &goes)) break;
        if (at_once && s->watch.finding.verdict == MG_CLEAN) err = append(c, x);
        if (!err) err = learn(c);
    }
    return err;
}

// Room for one more episode, whose record and verdict are there.
static void add(mg_collected *out, const mg_episode *e, int64_t *room, mg_arena *arena) {
    if (out->n_all == *room) {
        const int64_t more = 2 * *room + 8;
        mg_episode   *all  = MG_NEW(arena, mg_episode, more);
        int64_t      *kept = MG_NEW(arena, int64_t, more);
        if (out->n_all > 0) memcpy(all, out->all, sizeof *all * (size_t)out->n_all);
        if (out->n_kept > 0) memcpy(kept, out->kept, sizeof *kept * (size_t)out->n_kept);
        out->all = all, out->kept = kept, *room = more;
    }
    out->all[out->n_all++] = *e;
}

// One attempt: played, judged, played again where suspected, and where it is clean, kept. *next: whose start follows.
static mg_err attempt(mg_control *c, int64_t update, staged *x, mg_start *next, mg_arena *arena, mg_collected *out,
                      int64_t *room) {
    const mg_rollout *r       = c->rollout;
    const bool        at_once = c->algo->stepping(c->learner).at_once;
    mg_rng            rng     = mg_rng_stream(r->seed, MG_PURPOSE_REPLAY, (uint64_t)update);
    mg_episode        e;
    mg_stage          s;
    mg_stage_open(&s, r, 0, next, update, mg_record_seed(r->seed, update, next), x->room, arena, &e);
    mg_err err = play(c, &s, x, at_once);
    mg_stage_close(&s);
    if (err) return err;
    mg_collect_second_look(r, &rng, arena, &e, &out->replayed);
    const bool again = mg_gate_attempt(c->gate, &e) == MG_RETRY;
    bool       keep  = false;
    int64_t    kept;
    if (!again) mg_gate_group(c->gate, &e, 1, &keep, &kept);
    add(out, &e, room, arena);
    if (again)
        next->attempt++;
    else
        next->episode++, next->group++, next->attempt = 0;
    if (!keep) return MG_OK;
    out->kept[out->n_kept++] = out->n_all - 1;
    return append(c, x);
}

mg_err mg_control_block(mg_control *c, int64_t update, mg_arena *arena, mg_collected *out) {
    const int64_t end       = c->algo->steps_end(c->learner, update);
    staged        x         = {0};
    mg_start      next      = {.item = -1};
    int64_t       stillborn = 0, room = 0;
    mg_err        err       = MG_OK;
    *out     = (mg_collected){0};
    c->drawn = (mg_fed_replay){0};
    if (c->algo->steps(c->learner) < end) x = staged_make(c->rollout->class, arena);
    while (!err && c->algo->steps(c->learner) < end && !mg_gate_stopped(c->gate)) {
        err       = attempt(c, update, &x, &next, arena, out, &room);
        stillborn = x.n == 0 ? stillborn + 1 : 0;
        if (!err && stillborn == MG_CONTROL_STILLBORN_MAX)
            err = mg_fail(MG_EMPTY, "%lld episodes in a row ended before their first step; the last: %s: %s",
                          (long long)stillborn, out->all[out->n_all - 1].code, out->all[out->n_all - 1].detail);
    }
    return err;
}

// ---- The buffer

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows that the run adds at most, ever: one a step, and the last episode is played to its end.
static int64_t rows_ever(const mg_control *c) {
    const int64_t steps = c->algo->steps_end(c->learner, c->algo->updates(c->learner) - 1);
    return steps > 0 ? steps + turns_max(c->rollout->class) - 1 : 0;
}

// No more of anything than can come.
static mg_replay_shape shape_of(const mg_control *c) {
    const mg_env_class *class = c->rollout->class;
    const mg_stepping s        = c->algo->stepping(c->learner);
    const int64_t     capacity = least(s.replay, rows_ever(c));
    const int64_t     between  = least(MARGIN_BLOCKS * s.block, most(s.replay, MARGIN_ROWS));
    return (mg_replay_shape){.obs = class->observation.n, .act = class->action.n, .capacity = capacity,
                             .margin = least(most(between, s.block) + 2 * turns_max(class), rows_ever(c) - capacity)};
}

// A file that an older build made for this run reserves more, and does as well.
static mg_replay_shape shape_at(const mg_control *c, const char *path) {
    const mg_replay_shape want = shape_of(c);
    mg_replay_shape       there;
    if (!mg_file_exists(path) || mg_replay_shape_read(path, &there)) return want;
    const bool roomy = there.capacity == c->algo->stepping(c->learner).replay && there.margin >= want.margin;
    return roomy && there.obs == want.obs && there.act == want.act ? there : want;
}

mg_err mg_control_open(mg_control *c, const char *folder, mg_arena *arena) {
    const mg_stepping s    = c->algo->stepping(c->learner);
    const char       *path = mg_path(arena, "%s/replay.bin", folder);
    if (rows_ever(c) == 0) return MG_OK; // data alone are learnt from
    const mg_replay_shape shape = shape_at(c, path);
    mg_err                err   = mg_replay_open(&c->replay, path, &shape);
    if (!err) err = mg_replay_rewind(c->replay, s.buffer->rows, s.buffer->rows > 0 ? s.buffer->head : NULL);
    c->kept = s.buffer->rows;
    return err;
}

void mg_control_close(mg_control *c) {
    mg_replay_close(c->replay);
    c->replay = NULL;
}

bool mg_control_full(const mg_control *c) {
    if (!c->replay) return false;
    const mg_replay_shape shape = shape_of(c);
    if (shape.capacity + shape.margin >= rows_ever(c)) return false;
    const int64_t more = c->algo->stepping(c->learner).block + turns_max(c->rollout->class);
    return mg_replay_rows(c->replay) - c->kept + more > shape.margin;
}

mg_err mg_control_mark(mg_control *c) {
    mg_buffer_mark *mark = c->algo->stepping(c->learner).buffer;
    mark->rows = c->kept = mg_replay_rows(c->replay);
    mg_replay_head(c->replay, mark->head);
    return mg_replay_sync(c->replay);
}

bool mg_control_fed(const mg_control *c, mg_fed_replay *out) {
    *out = c->drawn;
    return out->high > 0;
}

// ---- Looks

// The undiscounted return of one episode on that seed. False: the world failed; e is to be closed.
static mg_err look(const mg_control *c, mg_env *e, uint64_t seed, const staged *x, double *total, int64_t *n,
                   bool *well) {
    const mg_env_class *class = c->rollout->class;
    mg_value            seen, action = {.kind = MG_SPACE_VECTOR, .vector = x->wide};
    mg_transition       next = {0};
    double              reward;
    *total = 0, *n = 0;
    *well = class->reset(e, seed, &(mg_reset_options){.item = -1}, 0, &seen) == MG_OK;
    while (*well && !next.terminated && !next.truncated && *n < x->room) {
        mg_err err = c->algo->act(c->learner, seen.vector, false, x->done);
        if (err) return err;
        for (int64_t j = 0; j < class->action.n; j++) x->wide[j] = (float)((double)x->done[j] * class->action.high);
        next  = (mg_transition){0};
        *well = class->step(e, &action, 0, &next) == MG_OK && paid(&next.reward, &reward);
        seen  = next.observation;
        if (*well) *total += reward, ++*n;
    }
    return MG_OK;
}

static void report(const double *returns, const int64_t *lengths, int64_t n, int64_t faults, mg_metrics *m) {
    double mean = 0, square = 0, length = 0;
    for (int64_t i = 0; i < n; i++) mean += returns[i], length += (double)lengths[i];
    mean /= (double)n, length /= (double)n;
    for (int64_t i = 0; i < n; i++) square += (returns[i] - mean) * (returns[i] - mean);
    mg_metrics_add(m, "return", mean);
    mg_metrics_add(m, "return_deviation", n > 1 ? sqrt(square / (double)(n - 1)) : 0);
    mg_metrics_add(m, "return_length", length);
    if (faults > 0) mg_metrics_add(m, "look_faults", (double)faults);
}

mg_err mg_control_look(const mg_control *c, int64_t looks, mg_arena *scratch, mg_metrics *m) {
    const mg_rollout *r    = c->rollout;
    const size_t      mark = mg_arena_mark(scratch);
    const staged      x    = staged_make(r->class, scratch);
    double           *returns = MG_NEW(scratch, double, looks);
    int64_t          *lengths = MG_NEW(scratch, int64_t, looks), n = 0;
    mg_env            env;
    mg_err            err = mg_env_open(&env, r->class, r->world, scratch);
    for (int64_t i = 0; i < looks && !err; i++) {
        mg_rng         rng  = mg_rng_stream(r->seed, MG_PURPOSE_EVAL, (uint64_t)i);
        const uint64_t high = mg_rng_u32(&rng), seed = (high << 32 | mg_rng_u32(&rng)) & (uint64_t)MG_SEED_MAX;
        bool           well;
        err = look(c, &env, seed, &x, &returns[n], &lengths[n], &well);
        n += well;
        if (err || well) continue;
        mg_env_close(&env);
        err = mg_env_open(&env, r->class, r->world, scratch);
    }
    if (!err && n == 0)
        err = mg_fail(MG_UNFIT, "a look at the policy: the world failed in all of %lld episodes", (long long)looks);
    if (!err) report(returns, lengths, n, looks - n, m);
    mg_env_close(&env);
    mg_arena_reset(scratch, mark);
    return err;
}
