// collect.c - rounds of attempts, and what the gate makes of them.
#include "rollout/collect.h"

#include <string.h>

#include "harness/attribution.h"
#include "rollout/replay.h"
#include "rollout/scripted.h"
#include "rollout/vectors.h"

static void finding_of(const mg_episode *e, mg_finding *f) {
    *f = (mg_finding){.verdict = e->verdict, .code = mg_code_find(e->code), .turn = e->code_turn};
    snprintf(f->detail, sizeof f->detail, "%s", e->detail);
}

void mg_collect_second_look(const mg_rollout *r, mg_rng *rng, mg_arena *arena, mg_episode *e, int64_t *replayed) {
    const bool repeatable = !r->manifest || r->manifest->determinism != MG_STOCHASTIC;
    mg_finding first, stands;
    mg_episode again;
    char       what[64];
    finding_of(e, &first);
    mg_rng_seek(rng, e->start.episode, e->start.attempt, 0);
    if (!mg_attribution_wanted(&first, r->replay_share, rng)) return;
    mg_replayed second = {.played = repeatable, .differs_at = -1};
    if (repeatable) {
        mg_replay(r, e, arena, &again);
        ++*replayed;
        second.differs_at = mg_episode_differs(e, &again, what);
        finding_of(&again, &second.finding);
        second.played = second.finding.code != MG_E_OPEN; // nobody was there to play it again
    }
    mg_attribution_decide(&first, &second, &stands);
    e->verdict = stands.verdict, e->code = mg_code_name(stands.code), e->code_turn = stands.turn;
    snprintf(e->detail, sizeof e->detail, "%s", stands.detail);
}

// The place of (start, attempt) in the final order is known once all rounds are over; until then each
// start has a row of its attempts.
typedef struct rounds {
    mg_episode *episodes; // [n * attempts_max]
    int32_t    *attempts; // [n] so far
    int64_t     attempts_max, n;
} rounds;

static mg_err play_round(const mg_rollout *r, mg_gate *gate, rounds *x, mg_start *starts,
                         int64_t *who, int64_t *n_who, int64_t policy_version, uint64_t draws,
                         mg_arena *arena, mg_arena *scratch, mg_collected *out) {
    mg_episode *played = MG_NEW(arena, mg_episode, *n_who);
    mg_rng      rng    = mg_rng_stream(r->seed, MG_PURPOSE_REPLAY, draws);
    int64_t     cut = 0, again = 0;
    mg_err      err;
    if (r->script)
        err = mg_scripted_run(r, starts, *n_who, policy_version, draws, arena, played);
    else if (mg_vectors_world(r))
        err = mg_vectors_run(r, starts, *n_who, policy_version, draws, arena, scratch, played);
    else
        err = mg_rollout_run(r, starts, *n_who, policy_version, draws, arena, scratch, played, &cut);
    if (err) return err;
    out->cut_prompts += cut;
    for (int64_t k = 0; k < *n_who; k++) mg_collect_second_look(r, &rng, arena, &played[k], &out->replayed);
    for (int64_t k = 0; k < *n_who; k++) {
        const int64_t i = who[k];
        x->episodes[i * x->attempts_max + x->attempts[i]++] = played[k];
        if (mg_gate_attempt(gate, &played[k]) == MG_RETRY) {
            starts[again] = starts[k];
            starts[again].attempt++;
            who[again++] = i;
        }
    }
    *n_who = again;
    return MG_OK;
}

// Groups are neighbours; each is admitted or dropped by the last attempts of its members.
static void admit(mg_gate *gate, const rounds *x, const mg_start *starts, const int64_t *first,
                  mg_arena *arena, mg_collected *out) {
    mg_episode *last = MG_NEW(arena, mg_episode, x->n);
    bool       *keep = MG_NEW(arena, bool, x->n);
    for (int64_t i = 0; i < x->n; i++)
        last[i] = x->episodes[i * x->attempts_max + x->attempts[i] - 1];
    for (int64_t begin = 0, end; begin < x->n; begin = end) {
        int64_t kept;
        for (end = begin; end < x->n && starts[end].group == starts[begin].group;) end++;
        mg_gate_group(gate, last + begin, end - begin, keep + begin, &kept);
    }
    for (int64_t i = 0; i < x->n; i++)
        if (keep[i]) out->kept[out->n_kept++] = first[i] + x->attempts[i] - 1;
}

mg_err mg_collect(const mg_rollout *r, mg_gate *gate, const mg_start *starts, int64_t n,
                  int64_t policy_version, uint64_t draws, mg_arena *arena, mg_arena *scratch,
                  mg_collected *out) {
    rounds x = {.attempts_max = 1 + gate->retries, .n = n};
    x.episodes = MG_NEW(arena, mg_episode, n * x.attempts_max);
    x.attempts = MG_NEW(arena, int32_t, n);
    mg_start *now   = MG_NEW(arena, mg_start, n);
    int64_t  *who   = MG_NEW(arena, int64_t, n), *first = MG_NEW(arena, int64_t, n), n_who = n;
    mg_err    err   = MG_OK;
    *out = (mg_collected){.kept = MG_NEW(arena, int64_t, n)};
    memcpy(now, starts, sizeof *now * (size_t)n);
    for (int64_t i = 0; i < n; i++) who[i] = i;
    // Behind a trip nothing is admitted: retries that were granted before it are not played.
    for (int64_t round = 0; n_who > 0 && !err && (round == 0 || !mg_gate_stopped(gate)); round++)
        err = play_round(r, gate, &x, now, who, &n_who, policy_version, draws, arena, scratch, out);
    if (err) return err;
    out->all = MG_NEW(arena, mg_episode, n * x.attempts_max);
    for (int64_t i = 0; i < n; i++) {
        first[i] = out->n_all;
        for (int32_t a = 0; a < x.attempts[i]; a++)
            out->all[out->n_all++] = x.episodes[i * x.attempts_max + a];
    }
    admit(gate, &x, starts, first, arena, out);
    return MG_OK;
}
