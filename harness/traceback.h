// traceback.h - does a text look like an internal error? One pass, no allocation.
#ifndef MG_HARNESS_TRACEBACK_H
#define MG_HARNESS_TRACEBACK_H
#include <stdbool.h>
#include <stddef.h>

#define MG_TRACEBACK_SPAN 4096 // bytes that are looked at, at either end of a longer text

// The phrase that gives it away (static), or NULL. Sure phrases ("Traceback (most recent call
// last)") count anywhere; doubtful ones ("timed out"), which people write too, only near the
// beginning. Where the state has `confirmed` the answer, what it quotes is data: only a sure phrase near
// the beginning, in the answer's place, counts.
const char *mg_traceback_find(const char *text, size_t size, bool confirmed);
#endif
