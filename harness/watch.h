// watch.h - the verdict of an episode, made while it happens.
//
// A watch is told of reset, of every call and of the end, and keeps the first fault of the
// harness's side that it can prove, or the first that it suspects. It knows no world, tool or
// field by name: it compares claims (answer, reward) with evidence (state, clock, manifest).
//
//   reset       digest equal to a fresh environment's for the same start     E.dirty
//   manifest    hash equal to the pinned one                                 E.manifest
//   action      the manifest's, with arguments that keep their schema        E.manifest
//               (refused: M.parse, M.args)
//   freshness   what is shown is what the state holds and was acknowledged   E.stale
//   effect      OK of a mutating action changed what it writes; REFUSED,     E.state
//               ERROR and pure changed nothing
//   deadline    OK without effect after the promised time is a time-out      E.timeout
//   reward      a number, in range, on its grid, what the state earns        V.*
//   text        no internal error shown as an observation (SUSPECT)          E.traceback
//   conditions  the task ended with some of them open (CLEAN)                M.wrong, M.limit
//
// What exactly is a fault, and what is not known, is in README.md ("What the watch decides").
//
// Plain bytes, no allocation (but for the parser of arguments, where the manifest has a schema): a
// step costs well under a microsecond. Keys that were shown or written are kept in a table of
// MG_WATCH_KEYS; when it is full the read-your-writes check goes on for the keys it has and
// `untestable` says so. Evidence may be a stranger's: any value of any field is looked at safely.
// Strings must be UTF-8 and end, arrays have their lengths; the driver sees to that.
#ifndef MG_HARNESS_WATCH_H
#define MG_HARNESS_WATCH_H
#include "env/env.h"
#include "env/manifest.h"
#include "harness/taxonomy.h"

#define MG_WATCH_KEYS 64

typedef struct mg_finding {
    mg_verdict verdict;
    mg_code    code;
    int32_t    turn;        // -1: reset or the whole episode
    char       detail[256]; // claim and evidence, in a sentence
} mg_finding;

typedef struct mg_watch {
    const mg_manifest *manifest; // pinned at the run's start; NULL: its checks are not testable
    mg_finding         finding;  // the gravest so far; of equals the first
    int32_t            turns;    // calls that were answered
    bool               reset;    // it went well: what fails now fails in a turn
    double             paid, owed;      // sums over the turns for which both are known
    int32_t            weighed;         // how many these are
    int32_t            differs_at;      // first of them behind which the sums differ; -1: none
    int32_t            conditions, held; // of the last call that knew
    struct {
        uint64_t key;        // digest; 0: empty
        uint64_t value;      // last acknowledged or shown; 0: no longer known
        uint64_t older;      // what the last write replaced; 0: not known
        int64_t  written_ns; // when that was acknowledged; INT64_MIN: not written in this episode
    } seen[MG_WATCH_KEYS];
    int32_t            n_seen;
    bool               untestable; // some freshness check had to be left out
} mg_watch;

void mg_watch_begin(mg_watch *w, const mg_manifest *manifest);
// `fresh`: the digest of a fresh environment after the same reset; NULL: nobody has one.
void mg_watch_reset(mg_watch *w, const uint8_t digest[32], const uint8_t *fresh);
// A manifest fetched during the run: its hash against the pinned one.
void mg_watch_manifest(mg_watch *w, const uint8_t hash[32]);
void mg_watch_step(mg_watch *w, const mg_transition *t, int64_t now_ns); // now: when the call began
// A call failed: `code` of the environment or its driver, and the sentence or NULL. A code of the
// model leaves the episode CLEAN; MG_CODE_NONE counts as H.unknown.
void mg_watch_fault(mg_watch *w, mg_code code, const char *detail);
// The episode is over. wants_reward: the learner needs the environment's own number.
void mg_watch_end(mg_watch *w, bool terminated, bool wants_reward, const mg_reward *total);
// Writes verdict, code, detail and code_turn.
void mg_watch_verdict(const mg_watch *w, mg_episode *e);
#endif
