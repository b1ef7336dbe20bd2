// sim.c - simulated clock, network and process table around the real state machines.
#include "transport/sim.h"

#include <string.h>

#include "transport/sim_net.h"

#define GROUP    4
#define REPLAYED 0.1 // share of unsuspected episodes that are played again

typedef struct sim {
    const mg_sim_options *o;
    mg_sim_result        *out;
    mg_arena              arena;
    mg_manifest           manifest;
    mg_gate               gate;
    mg_sim_net            net;
} sim;

// One playing of an episode, as it is to be and as it came out.
typedef struct play {
    uint64_t             seed;
    int32_t              item;
    mg_sim_fault         fault;
    int32_t              at;
    const mg_sim_action *script; // [n_script] actions to be repeated; NULL: a policy of its own
    int32_t              n_script;
    bool                 oracle;
    mg_sim_action        actions[MG_SIM_TURNS_MAX];
    mg_episode           episode;
    mg_finding           finding;
    bool                 struck, nothing; // nothing: some reward was none
    mg_code              model;           // the model's own failure, truly
} play;

// ---- an episode

static bool bare(const sim *s) { return s->o->evidence == MG_SIM_BARE; }

static mg_sim_action decide(sim *s, const play *p, int32_t turn) {
    const mg_sim_world *w   = &s->net.world;
    mg_sim_action       a   = {.verb = MG_SIM_DONE};
    const double        u   = mg_rng_uniform(&s->net.rng);
    const int32_t       key = (int32_t)mg_rng_below(&s->net.rng, MG_SIM_KEYS);
    const int32_t       any = (int32_t)mg_rng_below(&s->net.rng, MG_SIM_VALUES);
    int32_t             wrong = -1;
    if (p->script) return turn < p->n_script ? p->script[turn] : a;
    for (int32_t i = 0; i < MG_SIM_KEYS; i++)
        if (w->value[i] != w->goal[i]) wrong = i;
    if (p->oracle) return wrong < 0 ? a : (mg_sim_action){MG_SIM_SET, wrong, w->goal[wrong]};
    if (u < 0.25) return (mg_sim_action){MG_SIM_GET, key, 0};
    if (u < 0.30) return (mg_sim_action){MG_SIM_LOOK, key, 0};
    if (u < 0.40) return (mg_sim_action){MG_SIM_SET, key, any};
    if (u < 0.43) return (mg_sim_action){MG_SIM_SET, key, any + MG_SIM_VALUES};
    if (u < 0.45) return (mg_sim_action){MG_SIM_NONSENSE, 0, 0};
    if (u < 0.50 || wrong < 0) return a;
    return (mg_sim_action){MG_SIM_SET, wrong, w->goal[wrong]};
}

static const char *text_of(sim *s, const mg_sim_action *a) {
    char text[32];
    snprintf(text, sizeof text, "%d %d %d", (int)a->verb, a->key, a->value);
    return mg_arena_strdup(&s->arena, text);
}

// The model's first mistake in a call, if it is one that names itself.
static void note_mistake(play *p, const mg_sim_action *a) {
    if (p->model) return;
    if (a->verb == MG_SIM_NONSENSE) p->model = MG_M_PARSE;
    if (a->verb == MG_SIM_SET && a->value >= MG_SIM_VALUES) p->model = MG_M_ARGS;
}

static void record_turn(sim *s, play *p, const mg_sim_action *a, const mg_value *seen,
                        const mg_sim_body *b) {
    mg_episode *e = &p->episode;
    mg_turn    *t = &e->turns[e->n_turns];
    const char *text = text_of(s, a);
    *t = (mg_turn){.observation = seen->text, .observation_size = seen->size, .action = text,
                   .action_size = strlen(text), .reward = b->t.reward, .evidence = b->t.evidence,
                   .call = s->net.session.call};
    p->actions[e->n_turns++] = *a;
    p->nothing |= b->t.reward.kind != MG_REWARD_VALUE;
    e->terminated = b->t.terminated;
    memcpy(e->end_digest, b->digest, 32);
    note_mistake(p, a);
    mg_sim_mix(&s->net, text, strlen(text));
    mg_sim_mix(&s->net, &t->reward.value, sizeof t->reward.value);
}

// Hello and reset. False: there is no episode to be played.
static bool begin(sim *s, play *p, mg_watch *w, mg_value *seen) {
    mg_sim_world fresh = {0};
    uint8_t      digest[32];
    const mg_sim_body *b;
    if (!(b = mg_sim_call(&s->net, MG_SIM_CALL_HELLO, NULL))) return false;
    if (!bare(s)) mg_watch_manifest(w, b->manifest_hash);
    if (!(b = mg_sim_call(&s->net, MG_SIM_CALL_RESET, NULL))) return false;
    mg_sim_world_reset(&fresh, p->seed, p->item);
    mg_sim_world_digest(&fresh, digest);
    mg_watch_reset(w, b->digest, bare(s) ? NULL : digest);
    if (!bare(s)) mg_watch_manifest(w, b->manifest_hash);
    memcpy(p->episode.reset_digest, b->digest, 32);
    memcpy(p->episode.end_digest, b->digest, 32);
    *seen = b->t.observation;
    return true;
}

static void play_turns(sim *s, play *p, mg_watch *w, mg_value seen) {
    mg_episode *e = &p->episode;
    while (!e->terminated && !e->truncated) {
        const mg_sim_action a = decide(s, p, (int32_t)e->n_turns);
        mg_sim_think(&s->net);
        const int64_t sent = s->net.now;
        const mg_sim_body *b = mg_sim_call(&s->net, MG_SIM_CALL_STEP, &a);
        if (!b) return;
        mg_watch_step(w, &b->t, sent);
        if (!bare(s)) mg_watch_manifest(w, b->manifest_hash);
        record_turn(s, p, &a, &seen, b);
        seen         = b->t.observation;
        e->truncated = !e->terminated && e->n_turns == (p->script ? p->n_script : s->o->turns_max);
    }
}

// What the episode truly is.
static mg_code truth_of(const sim *s, const play *p) {
    if (p->struck) return mg_sim_fault_code(p->fault);
    if (bare(s)) return MG_CODE_NONE; // nobody can tell a solved task from another
    if (mg_sim_world_held(&s->net.world) == MG_SIM_KEYS) return MG_CODE_NONE;
    return p->model ? p->model : p->episode.terminated ? MG_M_WRONG : MG_M_LIMIT;
}

static void play_once(sim *s, play *p) {
    mg_watch w;
    mg_value seen;
    mg_sim_start(&s->net, p->seed, p->item,
                 &(mg_sim_world){.fault = p->fault, .at = p->at, .evidence = s->o->evidence});
    p->episode.turns = MG_NEW(&s->arena, mg_turn, MG_SIM_TURNS_MAX);
    mg_watch_begin(&w, bare(s) ? NULL : &s->manifest);
    if (p->fault == MG_SIM_NOT_STARTED) {
        s->net.world.struck = true;
        mg_watch_fault(&w, MG_E_OPEN, "not started");
    } else if (begin(s, p, &w, &seen))
        play_turns(s, p, &w, seen);
    if (s->net.session.state == MG_SESSION_DEAD)
        mg_watch_fault(&w, s->net.session.code, s->net.session.detail);
    const mg_reward total = mg_episode_return(&p->episode);
    mg_watch_end(&w, p->episode.terminated, true, &total);
    s->out->numbers_from_nothing += p->nothing && total.kind == MG_REWARD_VALUE;
    p->struck  = s->net.world.struck;
    p->finding = w.finding;
    mg_watch_verdict(&w, &p->episode);
}

// ---- attribution

// Whether a fault is there whenever this is done, rather than once.
static mg_sim_fault lasting(mg_sim_fault f) {
    return f == MG_SIM_TRACEBACK_AGAIN || f == MG_SIM_TASK_BROKEN ? f : MG_SIM_NONE;
}

static void attribute(sim *s, play *p) {
    char what[64];
    if (!mg_attribution_wanted(&p->finding, REPLAYED, &s->net.rng)) return;
    if (p->episode.n_turns == 0) return; // nothing to be played again
    play again = {.seed = p->seed, .item = p->item, .fault = lasting(p->fault), .at = p->at,
                  .script = p->actions, .n_script = (int32_t)p->episode.n_turns};
    play_once(s, &again);
    mg_replayed second = {.played = true, .finding = again.finding,
                          .differs_at = mg_episode_differs(&p->episode, &again.episode, what)};
    if (p->finding.verdict == MG_SUSPECT) {
        play oracle = {
            .seed = p->seed, .item = p->item, .fault = lasting(p->fault), .oracle = true};
        play_once(s, &oracle);
        second.oracle_fails = oracle.finding.code == p->finding.code;
    }
    s->out->replayed++;
    s->out->clean_differ += !p->struck && second.differs_at != -1;
    mg_attribution_decide(&p->finding, &second, &p->finding);
    p->episode.verdict   = p->finding.verdict;
    p->episode.code      = mg_code_name(p->finding.code);
    p->episode.code_turn = p->finding.turn;
}

// ---- groups and the gate

// Who could have seen the play's fault: 0 somebody, 1 perhaps somebody, 2 nobody.
static int doubt(const sim *s, const play *p) {
    if (mg_sim_fault_seen(p->fault) != MG_SIM_STATE) return 0;
    return s->o->evidence == MG_SIM_WHOLE ? 0 : s->o->evidence == MG_SIM_PARTIAL ? 1 : 2;
}

static void count(sim *s, const play *p, mg_code truth) {
    mg_sim_result *r        = s->out;
    const bool     passed   = p->episode.verdict == MG_CLEAN;
    const int32_t record[] = {(int32_t)truth, (int32_t)p->episode.verdict, (int32_t)p->finding.code,
                              p->finding.turn};
    int64_t *const bad[][2] = {{&r->poisoned, &r->poisoned_passed},
                               {&r->doubtful, &r->doubtful_passed},
                               {&r->unseen, &r->unseen_passed}};
    mg_sim_mix(&s->net, record, sizeof record);
    r->attempts++;
    if (p->struck) {
        ++*bad[doubt(s, p)][0];
        *bad[doubt(s, p)][1] += passed;
    } else
        r->clean++, r->clean_suspected += !passed;
    if (!p->struck || doubt(s, p) < 2) r->confusion[truth][p->finding.code]++;
}

// One place of a group, tried until the gate has enough of it.
static void play_place(sim *s, play *p, uint64_t seed, int32_t item, uint32_t place) {
    mg_admission admission = MG_RETRY;
    for (uint32_t attempt = 0; admission == MG_RETRY; attempt++) {
        *p = (play){.seed = seed, .item = item};
        if (mg_sim_chance(&s->net, s->o->fault_rate)) {
            p->fault = (mg_sim_fault)mg_sim_between(&s->net, 1, MG_SIM_FAULT_COUNT - 1);
            p->at    = (int32_t)mg_sim_between(&s->net, 0, 5);
        }
        p->episode.start = (mg_start){.item = item, .episode = place, .attempt = attempt};
        play_once(s, p);
        const mg_code truth = truth_of(s, p);
        attribute(s, p);
        count(s, p, truth);
        admission = mg_gate_attempt(&s->gate, &p->episode);
    }
}

static void play_group(sim *s, int32_t item) {
    const size_t   mark = mg_arena_mark(&s->arena);
    const uint64_t seed = (uint64_t)mg_sim_between(&s->net, 0, INT32_MAX);
    play           places[GROUP];
    mg_episode     episodes[GROUP], fed[GROUP];
    bool           keep[GROUP];
    int64_t        n_kept, n_fed = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
        play_place(s, &places[i], seed, item, i);
        episodes[i] = places[i].episode;
    }
    mg_gate_group(&s->gate, episodes, GROUP, keep, &n_kept);
    for (int i = 0; i < GROUP; i++) {
        const play *p = &places[i];
        double      x;
        if (!keep[i]) {
            s->out->clean_dropped += !p->struck && p->episode.verdict == MG_CLEAN;
            continue;
        }
        fed[n_fed++] = episodes[i];
        s->out->poisoned_admitted += p->struck && doubt(s, p) == 0;
        const mg_reward total = mg_episode_return(&p->episode);
        s->out->numbers_from_nothing += p->nothing || !mg_reward_value(&total, &x);
    }
    MG_ASSERT(n_fed == n_kept);
    mg_gate_feed(&s->gate, fed, n_fed);
    mg_arena_reset(&s->arena, mark);
}

void mg_sim_run(const mg_sim_options *o, mg_sim_result *out) {
    sim *s = calloc(1, sizeof *s);
    MG_ASSERT(s && o->turns_max > 0 && o->turns_max <= MG_SIM_TURNS_MAX);
    const mg_gate_config config = {.rate_max = 0.05,
                                   .alpha = 0.05,
                                   .breaker = 5,
                                   .retries = 2,
                                   .group_min = 2,
                                   .group_share = 0.75,
                                   .replay_share = REPLAYED,
                                   .on_trip = o->stop ? "stop" : "note"};
    *out       = (mg_sim_result){0};
    s->o       = o;
    s->out     = out;
    s->net.rng = mg_rng_stream(o->seed, MG_PURPOSE_TEST, 0);
    mg_err err = mg_arena_init(&s->arena, "simulation", (size_t)8 << 20);
    if (!err)
        err = mg_manifest_read(mg_sim_manifest, strlen(mg_sim_manifest), &s->arena, &s->manifest);
    MG_ASSERT(!err);
    s->net.arena = &s->arena;
    memcpy(s->net.manifest_hash, s->manifest.hash, 32);
    mg_gate_init(&s->gate, &config);
    for (int32_t i = 0; i < o->episodes / GROUP && !mg_gate_stopped(&s->gate); i++)
        play_group(s, i);
    out->admitted            = s->gate.admitted;
    out->unclean_in_gradient = s->gate.unclean_in_gradient;
    out->late_values         = s->net.late_values;
    memcpy(out->hash, s->net.hash, 32);
    mg_manifest_release(&s->manifest);
    mg_arena_release(&s->arena);
    free(s);
}
