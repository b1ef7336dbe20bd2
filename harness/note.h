// note.h - how a watch writes down what it found. Internal to the harness.
#ifndef MG_HARNESS_NOTE_H
#define MG_HARNESS_NOTE_H
#include "harness/watch.h"

// A text that was cut inside a UTF-8 character ends before it. What strangers say has any length, and half
// a character is no text that JSON or a reader would take.
void mg_note_cut(char *s);

// An action's name, cut to what its test and its covariate have room for.
void mg_note_action(char out[64], const char *action);

// Kept where it is graver than what is there, or the first with a code.
void mg_finding_note(mg_finding *f, mg_verdict verdict, mg_code code, int32_t turn, const char *fmt,
                     ...) MG_PRINTF(5, 6);

// The rewards of an episode against its range, its grid and what the state earns (watch_reward.c).
void mg_watch_pay(mg_watch *w, const mg_reward *paid, const mg_reward *owed);
void mg_watch_settle(mg_watch *w, bool wants_reward, const mg_reward *total);
#endif
