// stage.h - one episode on one environment, watched: what every loop does around its policy.
//
//   open -> reset -> { the loop writes the turn's action -> step } ... -> close
//
// After a failed call, and after the episode's end, nothing more is asked (`over`). The verdict is the
// watch's, written at close; an environment that failed, or in whose episode the harness's side failed, is
// not used again.
#ifndef MG_ROLLOUT_STAGE_H
#define MG_ROLLOUT_STAGE_H
#include "harness/watch.h"
#include "rollout/rollout.h"

typedef struct mg_stage {
    const mg_rollout *r;
    mg_arena   *arena;      // of the record
    mg_episode *episode;
    mg_turn    *turns;      // [room] the episode's, and what is seen behind the last
    int64_t     room;
    int64_t     turns_max;  // the loop's own limit
    mg_env      own, *env;  // own: where there is no pool
    int64_t     slot;
    int64_t     now_ns;     // the world's time
    mg_watch    watch;
    uint8_t     promised[32];   // hash of the environment's manifest when it was opened, or why there is none
    const char *unpromised;
    bool        broken;     // a call failed: the environment can only be closed
    bool        over;
    bool        sees;       // what is seen behind the last call is recorded as the turn under way
} mg_stage;

// Begins the record of *e and takes slot's environment; a further attempt gets a fresh one.
void mg_stage_open(mg_stage *s, const mg_rollout *r, int64_t slot, const mg_start *start,
                   int64_t policy_version, uint64_t seed, int64_t turns_max, mg_arena *arena,
                   mg_episode *e);
// Resets it, compares its state with that of an environment on which nobody has ever played, and records
// what is seen. False: over.
bool mg_stage_reset(mg_stage *s, const mg_reset_options *options, mg_value *seen);
// Instead of a reset: the environment was restored into the state in which another's episode was at `now_ns`,
// with what had been watched until then.
void mg_stage_resume(mg_stage *s, int64_t now_ns, const mg_watch *past);
// Notes that the episode starts in the state as it is now: of this the record keeps the digest.
void mg_stage_start(mg_stage *s);
// For an episode that was restored to where `played` started: that both start in the same state, where one
// can be told from another (not of what is declared stochastic).
void mg_stage_same_start(mg_stage *s, const mg_stage *played);
// The turn under way, whose action the loop writes.
mg_turn *mg_stage_turn(mg_stage *s);
// Carries the turn out. True: it goes on, and *seen is recorded. False: over; where watching stopped, what is
// seen then is recorded too, as a critic may be asked what it is worth.
bool mg_stage_step(mg_stage *s, const mg_value *action, mg_value *seen);
// What a loop finds wrong by itself.
void mg_stage_fault(mg_stage *s, const char *code, const char *sentence);
// A call to the environment failed.
void mg_stage_broke(mg_stage *s, const char *code);
// Writes digest, turns and verdict, and gives the environment back.
void mg_stage_close(mg_stage *s);
#endif
