// attribution.c - what a second playing says about the first.
#include "harness/attribution.h"

#include <string.h>

#include "harness/note.h"

bool mg_attribution_wanted(const mg_finding *f, double share, mg_rng *rng) {
    if (f->verdict == MG_CLEAN) return mg_rng_uniform(rng) < share;
    return f->verdict == MG_SUSPECT;
}

// `out` may be `first`.
static void stands(mg_finding *out, const mg_finding *first, mg_code code, int32_t turn,
                   const char *why) {
    char before[sizeof first->detail];
    memcpy(before, first->detail, sizeof before);
    *out = (mg_finding){.verdict = MG_CLEAN, .turn = -1};
    mg_finding_note(out, MG_QUARANTINED, code, turn, "%s%s%s", why, *before ? ": " : "", before);
}

void mg_attribution_decide(const mg_finding *first, const mg_replayed *second, mg_finding *out) {
    const mg_code code      = first->code;
    const bool    harness   = code != MG_CODE_NONE && !mg_code_is_model(code);
    const bool    otherwise = second->differs_at != -1;
    const mg_finding *again = &second->finding;
    if (!second->played)
        *out = *first;
    else if (harness && second->oracle_fails && !otherwise && again->code == code)
        stands(out, first, MG_T_INVALID, first->turn, "the oracle meets it too");
    else if (otherwise)
        stands(out, first, harness ? code : MG_H_REPLAY,
               harness ? first->turn : second->differs_at < 0 ? -1 : second->differs_at,
               "played again, it came out otherwise");
    else if (harness && again->code == code)
        stands(out, first, code, first->turn, "played again, the same");
    else if (!harness && again->verdict != MG_CLEAN)
        *out = *again; // seen only the second time
    else
        *out = *first;
}

// ---- comparing records -----------------------------------------------------------------------

static bool same_bytes(const char *a, size_t n, const char *b, size_t m) {
    return n == m && (n == 0 || memcmp(a, b, n) == 0);
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

// The bits of a VALUE; of others that they are of the same kind.
static bool same_reward(const mg_reward *a, const mg_reward *b) {
    return a->kind == b->kind &&
           (a->kind != MG_REWARD_VALUE || memcmp(&a->value, &b->value, sizeof a->value) == 0);
}

// A replayable record has neither observations nor evidence; what is not there is not compared.
static const char *turn_differs(const mg_turn *a, const mg_turn *b) {
    const bool both = a->observation && b->observation;
    if (both && !same_bytes(a->observation, a->observation_size, b->observation, b->observation_size))
        return "observation";
    if (!same_bytes(a->action, a->action_size, b->action, b->action_size)) return "action";
    if (both && a->evidence.status != b->evidence.status) return "status";
    if (both && !same_text(a->evidence.error, b->evidence.error)) return "error";
    return same_reward(&a->reward, &b->reward) ? NULL : "reward";
}

int32_t mg_episode_differs(const mg_episode *a, const mg_episode *b, char what[64]) {
    const int64_t n     = a->n_turns < b->n_turns ? a->n_turns : b->n_turns;
    const char   *which = memcmp(a->reset_digest, b->reset_digest, 32) ? "digest" : NULL;
    int64_t       at    = MG_DIFFERS_RESET;
    for (int64_t i = 0; i < n && !which; i++) {
        which = turn_differs(&a->turns[i], &b->turns[i]);
        at    = i == 0 && which && strcmp(which, "observation") == 0 ? MG_DIFFERS_RESET : i;
    }
    if (!which) {
        at = n > 0 ? n - 1 : MG_DIFFERS_RESET;
        if (a->n_turns != b->n_turns) which = "length", at = n;
        else if (a->terminated != b->terminated || a->truncated != b->truncated) which = "end";
        else if (memcmp(a->end_digest, b->end_digest, 32)) which = "digest";
    }
    snprintf(what, 64, "%s", which ? which : "");
    return which ? (int32_t)at : -1;
}
